//! A tenant in quarantine: nothing is sent to it but a probe, now and then.
//!
//! ```text
//!  well ── credentials, contract, too many failures ──► in quarantine ── 28 days ──► disabled
//!    ▲                                                   │   ▲                         │
//!    └── good: the rest of the plan goes in this run ── probe ┘ bad                    │
//!    └── a person releases it ◄────────────────────────────────────────────────────────┘
//! ```

use super::{
    Options, Phase, Progress, Results, TenantEnd,
    learn::Wishes,
    tenant::{Desk, of_store},
};
use crate::{
    engine::quarantine::{TenantCause, Tried, is_due, probe},
    model::{Operation, Timer, UserKey},
    sender::Ended,
    store::{Snapshot, StoreError, TenantInQuarantine},
};
use jiff::Timestamp;
use std::{collections::BTreeMap, sync::Arc};

/// What a run has to tell of quarantines.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Quarantines {
    /// Told once for each turn that the tenant's own quarantine takes.
    pub turn: Option<Turn>,
    /// Users that failed in this run and are in quarantine since.
    pub users: BTreeMap<UserKey, Timer>,
}

/// A turn that a tenant's quarantine has taken in a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Turn {
    Entered(TenantInQuarantine),
    /// A probe failed, for another reason than before.
    Changed(TenantInQuarantine),
    Left {
        since: Timestamp,
    },
}

impl Desk {
    /// The tenant's quarantine, when its next probe is not due yet: nothing is sent.
    pub(super) fn waits(&self) -> Option<TenantEnd> {
        match waiting(self.store.as_deref(), self.clock.now()) {
            Ok(state) => state.map(TenantEnd::Quarantined),
            Err(error) => Some(of_store(&error)),
        }
    }

    fn own_quarantine(&self) -> Result<Option<TenantInQuarantine>, StoreError> {
        self.store.as_deref().map_or(Ok(None), Snapshot::tenant_quarantine)
    }

    /// Sends all of them, unless the tenant is in quarantine: then a few first, and the rest in the
    /// same run when those went well.
    pub(super) async fn carry(
        &mut self,
        operations: Vec<Operation>,
        phase: Phase,
        options: &Options,
        progress: &Arc<dyn Progress>,
    ) {
        let state = match self.own_quarantine() {
            Ok(Some(state)) => state,
            Ok(None) => return self.deliver(operations, phase, options, progress).await,
            Err(error) => {
                self.report.end = of_store(&error);
                return;
            }
        };
        let (probe, rest) = probe(operations);
        let before = tried(&self.report.results);
        self.deliver(probe, phase, options, progress).await;
        let after = tried(&self.report.results);
        let tried = Tried {
            ended: after.ended.saturating_sub(before.ended),
            fine: after.fine.saturating_sub(before.fine),
            failed: after.failed.saturating_sub(before.failed),
        };
        match self.judge_probe(state, tried) {
            Ok(true) => self.deliver(rest, phase, options, progress).await,
            Ok(false) => self.leave(rest.len()),
            Err(error) => self.report.end = of_store(&error),
        }
    }

    /// Whether the rest may go.
    fn judge_probe(
        &mut self,
        before: TenantInQuarantine,
        tried: Tried,
    ) -> Result<bool, StoreError> {
        let stopped = self.stop_cause();
        if self.ended() && stopped.is_none() {
            // A stop, a deadline, a full disk: it says nothing of the tenant, and is told as it is.
            return Ok(false);
        }
        let cause = match (stopped, tried.is_good()) {
            (Some(cause), _) => Some(cause),
            (None, Some(false)) => Some((TenantCause::Rate, share(tried))),
            (None, Some(true)) => {
                self.set_quarantine(None)?;
                let since = before.timer.since;
                tracing::warn!(tenant = %self.report.tenant, %since, "left quarantine");
                self.report.quarantines.turn = Some(Turn::Left { since });
                return Ok(!self.ended());
            }
            (None, None) => None,
        };
        let Some((cause, why)) = cause else {
            // Nobody said anything: the next run tries.
            if !self.ended() {
                self.report.end = TenantEnd::Quarantined(before);
            }
            return Ok(false);
        };
        let now = self.clock.now();
        let after = TenantInQuarantine::after(Some(&before), cause, why, now);
        self.set_quarantine(Some(&after))?;
        // The figures of a share differ each time.
        let same = before.cause == cause && (cause == TenantCause::Rate || before.why == after.why);
        if !same {
            self.tell(&after, "in quarantine for another reason");
            self.report.quarantines.turn = Some(Turn::Changed(after.clone()));
        }
        self.report.end = TenantEnd::Quarantined(after);
        Ok(false)
    }

    /// Operations that are not begun in this run.
    pub(super) fn leave(&mut self, operations: usize) {
        self.booked += operations as u64;
        self.report.results.left += operations as u64;
    }

    /// What is wished of these; the others' wishes stay for later.
    pub(super) fn wishes_of(&mut self, operations: &[Operation]) -> BTreeMap<UserKey, Wishes> {
        let wishes =
            operations.iter().filter_map(|operation| self.wishes.remove_entry(&operation.key));
        wishes.collect()
    }

    /// Puts a tenant into quarantine that this run found to be failing.
    pub(super) fn enter_quarantine(&mut self, options: &Options) -> Result<(), StoreError> {
        let tried = tried(&self.report.results);
        let Some((cause, why)) = self.stop_cause().or(self.rate_cause(tried, options.now)?) else {
            return Ok(());
        };
        if self.own_quarantine()?.is_some() {
            return Ok(());
        }
        let state = TenantInQuarantine::after(None, cause, why, self.clock.now());
        self.set_quarantine(Some(&state))?;
        self.tell(&state, "in quarantine");
        self.report.quarantines.turn = Some(Turn::Entered(state));
        Ok(())
    }

    /// What has stopped the run at once, if it concerns the whole tenant.
    fn stop_cause(&self) -> Option<(TenantCause, String)> {
        let TenantEnd::Early(ended) = &self.report.end else { return None };
        match ended {
            Ended::Unauthorized => {
                Some((TenantCause::Credentials, "the target refuses the credentials".to_owned()))
            }
            Ended::LoginRefused { why } => Some((TenantCause::Credentials, why.clone())),
            Ended::Broken { why } => Some((TenantCause::Broken, why.clone())),
            Ended::Stopped
            | Ended::Unwell { .. }
            | Ended::Deadline
            | Ended::Throttled { .. }
            | Ended::NotRecorded { .. } => None,
        }
    }

    fn rate_cause(
        &self,
        tried: Tried,
        begun: Timestamp,
    ) -> Result<Option<(TenantCause, String)>, StoreError> {
        if tried.failed == 0 && self.report.results.failures.is_empty() {
            return Ok(None);
        }
        let Some(store) = &self.store else { return Ok(None) };
        let failed = store
            .quarantine()?
            .into_values()
            .filter(|user| user.last >= begun && !user.cause.is_of_links());
        let failed = failed.count();
        Ok(tried.is_too_bad(failed as u64).then(|| (TenantCause::Rate, share(tried))))
    }

    fn set_quarantine(&mut self, state: Option<&TenantInQuarantine>) -> Result<(), StoreError> {
        self.store.as_mut().map_or(Ok(()), |store| store.set_tenant_quarantine(state))
    }

    fn tell(&self, state: &TenantInQuarantine, what: &str) {
        let TenantInQuarantine { cause, why, timer } = state;
        let next_try = timer.next_try.map(tracing::field::display);
        tracing::warn!(tenant = %self.report.tenant, cause = cause.as_str(), %why, next_try, "{what}");
    }

    /// For the report: who failed, and when they are tried again.
    pub(super) fn note_timers(&mut self) -> Result<(), StoreError> {
        let failures = &self.report.results.failures;
        let Some(store) = self.store.as_deref().filter(|_| !failures.is_empty()) else {
            return Ok(());
        };
        let users = store.quarantine()?.into_iter();
        let failed = users.filter(|(key, _)| failures.contains_key(key));
        self.report.quarantines.users = failed.map(|(key, user)| (key, user.timer)).collect();
        Ok(())
    }

    /// Ends the quarantine of users who need nothing any more.
    pub(super) fn release_users(&mut self) -> Result<(), StoreError> {
        let mut over = self.case.intake.waiting.over().to_vec();
        over.extend(self.settled.iter().filter(|key| self.case.intake.waiting.has(key)).cloned());
        let Some(store) = self.store.as_mut().filter(|_| !over.is_empty()) else { return Ok(()) };
        store.release(&over).map(drop)
    }
}

/// The quarantine of a tenant whose next probe is not due yet.
pub(super) fn waiting(
    snapshot: Option<&Snapshot>,
    now: Timestamp,
) -> Result<Option<TenantInQuarantine>, StoreError> {
    let state = snapshot.map_or(Ok(None), Snapshot::tenant_quarantine)?;
    let due = |state: &TenantInQuarantine| state.timer.next_try.is_some_and(|at| is_due(at, now));
    Ok(state.filter(|state| !due(state)))
}

/// Operations that tell something about the tenant.
fn tried(results: &Results) -> Tried {
    let fine = results.read + results.settled;
    let failed = results.refused + results.gone;
    Tried { ended: fine + failed, fine, failed }
}

fn share(tried: Tried) -> String {
    let Tried { ended, fine: _, failed } = tried;
    format!("{failed} of {ended} operations failed")
}
