//! What a person has said of a plan that a guard holds.

use super::{Options, TenantEnd, TenantReport, case::Case, evidence::settings_of};
use crate::{
    model::Notice,
    store::{Approval, Bindings, Snapshot, Store, StoreError, WaitingPlan},
};
use jiff::Timestamp;

/// Approvals that are looked through: more than a day has.
const LOOKED_AT: u32 = 64;

impl Case {
    fn bindings(&self, snapshot: &Snapshot) -> Result<Bindings, StoreError> {
        snapshot.bindings(self.facts.digest, settings_of(&self.config, self.view.view))
    }

    /// Lets a plan that guards hold pass when a person has approved this very plan, made of the very
    /// same; its guards are then told as a notice. An approval that does not count is told too, with
    /// what has changed. Nothing is written: the approval is used when something is sent.
    pub(super) fn let_pass(
        &self,
        report: &mut TenantReport,
        snapshot: &Snapshot,
        now: Timestamp,
    ) -> Result<Option<Approval>, StoreError> {
        let Some(plan) = report.plan.as_mut().filter(|plan| !plan.guards.is_empty()) else {
            return Ok(None);
        };
        let approvals = snapshot.approvals(LOOKED_AT)?;
        let mut bindings = self.bindings(snapshot)?;
        // What this run's own looks have added since made this very plan.
        bindings.serial = self.serial.unwrap_or(bindings.serial);
        let current = Current { digest: &report.digest, bindings: &bindings, now };
        let notice = match current.find(&approvals) {
            Found::Nothing => return Ok(None),
            Found::Counts(approval) => {
                let guards = std::mem::take(&mut plan.guards);
                let passed: Vec<&str> = guards.iter().map(|guard| guard.guard).collect();
                let notice = passes(approval, &passed.join(", "));
                report.notices.insert(notice);
                return Ok(Some(approval.clone()));
            }
            Found::CountsNot(approval, why) => counts_not(approval, &why),
        };
        report.notices.insert(notice);
        Ok(None)
    }

    /// Remembers, once the run is over, which plan waits for a person.
    pub(super) fn remember_waiting(
        &self,
        store: &mut Store,
        report: &TenantReport,
        options: &Options,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let Some(plan) = &report.plan else { return Ok(()) };
        match report.end {
            TenantEnd::Guarded if !plan.guards.is_empty() => {
                let told = plan.guards.iter().map(|guard| {
                    format!("{}: {}; the limit is {}", guard.guard, guard.figure, guard.limit)
                });
                let waiting = WaitingPlan {
                    digest: report.digest.clone(),
                    run: options.run.clone(),
                    at: now,
                    figures: told.collect(),
                    bindings: self.bindings(store)?,
                };
                store.hold_plan(&waiting, options.users.is_empty())
            }
            TenantEnd::Done | TenantEnd::Early(_) if options.is_whole() => {
                store.forget_waiting_plans()
            }
            _ => Ok(()),
        }
    }
}

/// The plan as it is now.
struct Current<'a> {
    digest: &'a str,
    bindings: &'a Bindings,
    now: Timestamp,
}

enum Found<'a> {
    Nothing,
    Counts(&'a Approval),
    CountsNot(&'a Approval, String),
}

impl Current<'_> {
    /// `approvals`: newest first.
    fn find<'a>(&self, approvals: &'a [Approval]) -> Found<'a> {
        let of_plan = || approvals.iter().filter(|approval| approval.digest == self.digest);
        if let Some(approval) = of_plan().find(|approval| self.why_not(approval).is_none()) {
            return Found::Counts(approval);
        }
        let open = approvals.iter().find(|approval| approval.is_open(self.now));
        let Some(approval) = of_plan().next().or(open) else { return Found::Nothing };
        let why = self.why_not(approval);
        Found::CountsNot(approval, why.unwrap_or_else(|| "the plan is another one now".to_owned()))
    }

    /// Why the approval does not count for what this plan is made of.
    fn why_not(&self, approval: &Approval) -> Option<String> {
        let Bindings { lineage, serial, source, settings } = &approval.bindings;
        if let Some((at, run)) = &approval.used {
            return Some(format!("already used at {at} by run {run}"));
        }
        let changed = [
            (approval.is_of_the_future(self.now), "the clock was set back since".to_owned()),
            (self.now >= approval.expires, format!("expired at {}", approval.expires)),
            (*lineage != self.bindings.lineage, "it is of another state file".to_owned()),
            (*source != self.bindings.source, "the source changed since".to_owned()),
            (*settings != self.bindings.settings, "the configuration changed since".to_owned()),
            (*serial != self.bindings.serial, "the state changed since".to_owned()),
        ];
        let why = changed.into_iter().find_map(|(changed, why)| changed.then_some(why));
        why.or_else(|| {
            (approval.digest != self.digest).then(|| "the plan is another one now".to_owned())
        })
    }
}

fn passes(approval: &Approval, guards: &str) -> Notice {
    let Approval { digest, who, reason, at, expires, .. } = approval;
    Notice {
        message: format!(
            "approved by {who} at {at} (\"{reason}\"): {digest} passes {guards}, once, until \
             {expires}"
        ),
        hint: String::new(),
        refuses: false,
    }
}

fn counts_not(approval: &Approval, why: &str) -> Notice {
    let Approval { digest, who, .. } = approval;
    Notice {
        message: format!("the approval of {digest} by {who} does not count: {why}"),
        hint: "look at the plan as it is now, and approve that".to_owned(),
        refuses: false,
    }
}
