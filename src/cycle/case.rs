//! What one read means for one tenant, planned and judged; from values to values but for the snapshot.

use super::{
    intake::Intake,
    learn::Wishes,
    life::{Life, refer},
    same::Memo,
    waiting,
};
use crate::{
    config::TenantConfig,
    engine::{
        index::Entry,
        plan::{Inputs, Planned, Sought, is_of, plan},
    },
    model::{
        Action, AttrPath, Finding, Held, HeldReason, Known, Operation, Plan, RemoteId, SourceFacts,
        UserKey, Wanted,
    },
    store::{AcceptedView, Snapshot, StoreError},
};
use jiff::Timestamp;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// What a tenant needs to be planned, and stays the same through the cycle.
pub(super) struct Case {
    pub(super) config: Arc<TenantConfig>,
    /// Under which rows are settled; see [`super::gather::accepted_view`].
    pub(super) view: AcceptedView,
    pub(super) facts: SourceFacts,
    pub(super) intake: Intake,
    /// Taken when the run ends.
    pub(super) memo: Option<Memo>,
    /// What look-ups of this run have brought.
    pub(super) sought: BTreeMap<UserKey, Sought>,
    /// Leavers whose account a read of this run has shown.
    pub(super) seen: BTreeSet<UserKey>,
    /// How far the state had come when the run made its first plan.
    pub(super) serial: Option<u64>,
    /// Ids that others refer to are others now, or are to go.
    pub(super) ids_moved: bool,
}

/// What planning gives.
pub(super) struct Judgement {
    pub(super) planned: Planned,
    pub(super) wishes: BTreeMap<UserKey, Wishes>,
}

impl Case {
    pub(super) fn new(
        config: Arc<TenantConfig>,
        view: AcceptedView,
        facts: &SourceFacts,
        intake: Intake,
        memo: Option<Memo>,
    ) -> Self {
        let (facts, sought, seen) = (facts.clone(), BTreeMap::new(), BTreeSet::new());
        Self { config, view, facts, intake, memo, sought, seen, serial: None, ids_moved: false }
    }

    pub(super) fn findings(&self) -> &[Finding] {
        &self.intake.findings
    }

    pub(super) fn into_wanted(self) -> Vec<Wanted> {
        self.intake.wanted
    }

    /// Plans and judges; the snapshot is `None` for a tenant that has none yet. `began`: when the
    /// run did, from which the last day is counted.
    pub(super) fn plan(
        &mut self,
        snapshot: Option<&Snapshot>,
        reads_done: bool,
        began: Timestamp,
    ) -> Result<Judgement, StoreError> {
        if let Some(snapshot) = snapshot {
            self.serial.get_or_insert(snapshot.serial()?);
            refer(&self.config.mapping, snapshot, self.intake.wanted.iter_mut())?;
        }
        let known = match self.intake.known.take() {
            Some(known) => known,
            None => self.known(snapshot)?,
        };
        let Life { known, leaving, linked, creating } = self.life(snapshot, known)?;
        let mut planned = plan(&Inputs {
            tenant: &self.config.id,
            capabilities: self.config.capabilities(),
            reads: self.config.reads,
            reads_done,
            quota: self.config.quota,
            wanted: &self.intake.wanted,
            known: &known,
            owners: &self.owners(snapshot)?,
            taken: &self.intake.others.remote_ids,
            held: &self.intake.held,
            leavers: &self.intake.leavers,
            leaving: &leaving,
            linked: &linked,
            seen: &self.seen,
            rules: &self.config.rules,
            link: self.config.mapping.link(),
            sought: &self.sought,
            creating: &creating,
            now: began,
            protected: &self.config.protected,
            untouched: self.intake.untouched,
        });
        planned.plan.guards = self.judge(&planned.plan, snapshot, began)?;
        if let Some(snapshot) = snapshot.filter(|_| reads_done) {
            tell_timers(snapshot, &mut planned.plan.held)?;
        }
        self.ids_moved |= self.moves_ids(&planned.plan, &known);
        let wishes = self.wishes(&planned, &known);
        Ok(Judgement { planned, wishes })
    }

    /// Whether users who need nothing may refer to what is not so any more.
    fn moves_ids(&self, plan: &Plan, known: &BTreeMap<UserKey, Known>) -> bool {
        let moved =
            |wanted: &Wanted| known.get(&wanted.key).is_some_and(|known| !is_of(wanted, known));
        let deletes = |operation: &Operation| operation.action == Action::Delete;
        self.config.mapping.reference_columns().next().is_some()
            && (self.intake.wanted.iter().any(moved) || plan.operations.iter().any(deletes))
    }

    /// What is known of those who have to be planned, as it is now.
    fn known(&self, snapshot: Option<&Snapshot>) -> Result<BTreeMap<UserKey, Known>, StoreError> {
        let keys: Vec<&UserKey> = self.intake.wanted.iter().map(|wanted| &wanted.key).collect();
        let known = snapshot.map(|snapshot| snapshot.known(&keys)).transpose()?;
        let mut known = known.unwrap_or_default();
        self.config.mapping.judge_drift(known.values_mut());
        Ok(known)
    }

    /// Who of those known has one of the ids that are wished for.
    fn owners(
        &self,
        snapshot: Option<&Snapshot>,
    ) -> Result<BTreeMap<RemoteId, UserKey>, StoreError> {
        let Some(snapshot) = snapshot.filter(|_| !self.intake.wanted.is_empty()) else {
            return Ok(BTreeMap::new());
        };
        let wished = self.intake.wanted.iter().filter_map(|wanted| wanted.remote_id.as_ref());
        snapshot.owners(&wished.collect())
    }

    /// Rows that need no look until they change: of users who are as wished, `planned` among them.
    ///
    /// `emptied_held`: the plan is held because of values that the source has emptied. Where nothing
    /// is sent for that, the row would be settled, and the next night would not see it any more.
    pub(super) fn settled(&self, planned: &[UserKey], emptied_held: bool) -> Vec<Entry> {
        let planned: BTreeSet<&UserKey> = planned.iter().collect();
        let entry =
            |wanted: &Wanted| Entry { key: wanted.key.fingerprint(), row: wanted.fingerprint };
        let wanted = self.intake.wanted.iter().filter(|wanted| planned.contains(&wanted.key));
        let settled = wanted.map(entry).chain(self.intake.agreed.iter().copied());
        let waits = |entry: &Entry| emptied_held && self.intake.emptied_users.contains(&entry.key);
        settled.filter(|entry| !waits(entry)).collect()
    }

    /// What is wished of everybody that has an operation.
    fn wishes(
        &self,
        planned: &Planned,
        known: &BTreeMap<UserKey, Known>,
    ) -> BTreeMap<UserKey, Wishes> {
        let concerned: BTreeSet<&UserKey> =
            planned.plan.operations.iter().map(|operation| &operation.key).collect();
        let wanted = self.intake.wanted.iter().filter(|wanted| concerned.contains(&wanted.key));
        wanted
            .map(|wanted| {
                let known = known.get(&wanted.key);
                let known = known.filter(|known| is_of(wanted, known));
                let stays = |path: &AttrPath| self.config.mapping.stays(path);
                (wanted.key.clone(), Wishes::of(wanted, known, stays))
            })
            .collect()
    }

    /// Attributes that the snapshot remembers: those that are mapped, and those that have to go
    /// along with one.
    pub(super) fn remembered(&self) -> BTreeSet<AttrPath> {
        let mut paths: BTreeSet<AttrPath> = self.config.mapping.attributes().cloned().collect();
        for path in self.config.mapping.attributes() {
            if let Some(group) = self.config.capabilities().group_of(path) {
                paths.extend(group.members.iter().cloned());
            }
        }
        let switch = self.config.capabilities().life.switch.as_ref();
        paths.extend(switch.filter(|_| self.config.rules.disable).map(|s| s.path.clone()));
        paths
    }
}

/// Of users who could not be looked at just now: since when, and when they are tried again.
fn tell_timers(snapshot: &Snapshot, held: &mut [Held]) -> Result<(), StoreError> {
    let mut untimed = held
        .iter_mut()
        .filter(|held| held.timer.is_none())
        .filter(|held| matches!(held.reason, HeldReason::Gone | HeldReason::InDoubt))
        .peekable();
    if untimed.peek().is_none() {
        return Ok(());
    }
    let quarantine = snapshot.quarantine()?;
    for held in untimed {
        if let Some(found) = quarantine.get(&held.key) {
            *held = waiting::held(&held.key, found, held.line);
        }
    }
    Ok(())
}
