//! What one read means for one tenant, planned and judged; from values to values but for the snapshot.

use super::{intake::Intake, recorder::Wishes, same::Memo, waiting};
use crate::{
    config::TenantConfig,
    engine::{
        guard::{self, Evidence},
        index::Entry,
        plan::{Inputs, Planned, plan},
    },
    model::{
        AttrPath, Finding, Fingerprint, Held, HeldReason, Known, RemoteId, SourceFacts, UserKey,
        Value, Wanted,
    },
    store::{Snapshot, StoreError},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// What a tenant needs to be planned, and stays the same through the cycle.
pub(super) struct Case {
    pub(super) config: Arc<TenantConfig>,
    /// Under which rows are settled; see [`super::gather::view`].
    pub(super) view: Fingerprint,
    pub(super) facts: SourceFacts,
    pub(super) intake: Intake,
    /// Taken when the run ends.
    pub(super) memo: Option<Memo>,
}

/// What planning gives.
pub(super) struct Judgement {
    pub(super) planned: Planned,
    pub(super) wishes: BTreeMap<UserKey, Wishes>,
}

impl Case {
    pub(super) fn new(
        config: Arc<TenantConfig>,
        view: Fingerprint,
        facts: &SourceFacts,
        intake: Intake,
        memo: Option<Memo>,
    ) -> Self {
        Self { config, view, facts: facts.clone(), intake, memo }
    }

    pub(super) fn findings(&self) -> &[Finding] {
        &self.intake.findings
    }

    pub(super) fn into_wanted(self) -> Vec<Wanted> {
        self.intake.wanted
    }

    /// Plans and judges; the snapshot is `None` for a tenant that has none yet.
    pub(super) fn plan(
        &mut self,
        snapshot: Option<&Snapshot>,
        reads_done: bool,
    ) -> Result<Judgement, StoreError> {
        let known = match self.intake.known.take() {
            Some(known) => known,
            None => self.known(snapshot)?,
        };
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
            untouched: self.intake.untouched,
        });
        let before = snapshot.map(Snapshot::accepted_input).transpose()?.flatten();
        let holders = self.holders(snapshot, &planned)?;
        planned.plan.guards = guard::judge(&Evidence {
            plan: &planned.plan,
            limits: &self.config.limits,
            users: planned.plan.users + self.intake.others.users,
            source_users: self.facts.users,
            source_users_before: before.map(|input| input.users),
            holders: &holders,
        });
        if let Some(snapshot) = snapshot.filter(|_| reads_done) {
            tell_timers(snapshot, &mut planned.plan.held)?;
        }
        let wishes = self.wishes(&planned, &known);
        Ok(Judgement { planned, wishes })
    }

    /// What is known of those who have to be planned, as it is now.
    fn known(&self, snapshot: Option<&Snapshot>) -> Result<BTreeMap<UserKey, Known>, StoreError> {
        let keys: Vec<&UserKey> = self.intake.wanted.iter().map(|wanted| &wanted.key).collect();
        Ok(snapshot.map(|snapshot| snapshot.known(&keys)).transpose()?.unwrap_or_default())
    }

    /// Who of those known has one of the ids that are wished for.
    fn owners(
        &self,
        snapshot: Option<&Snapshot>,
    ) -> Result<BTreeMap<RemoteId, UserKey>, StoreError> {
        let Some(snapshot) = snapshot.filter(|_| !self.intake.wanted.is_empty()) else {
            return Ok(BTreeMap::new());
        };
        snapshot.owners(&self.intake.wanted.iter().map(|wanted| &wanted.remote_id).collect())
    }

    /// How many users have a value or may have one, for each attribute that the plan empties: all
    /// of them, or as many as it takes to see that the limit is kept.
    fn holders(
        &self,
        snapshot: Option<&Snapshot>,
        planned: &Planned,
    ) -> Result<BTreeMap<AttrPath, u64>, StoreError> {
        let cleared = guard::cleared(&planned.plan);
        let mut holders: BTreeMap<AttrPath, u64> = BTreeMap::new();
        if cleared.is_empty() {
            return Ok(holders);
        }
        // Nothing is known of these, so each of them may hold one.
        let unknown = planned
            .plan
            .changes()
            .filter(|(change, _)| !self.intake.has_account(change.key.fingerprint()));
        let edited = unknown.flat_map(|(_, edits)| edits).map(|edit| &edit.path);
        for path in edited.filter(|path| cleared.contains_key(path)) {
            *holders.entry(path.clone()).or_default() += 1;
        }
        let Some(snapshot) = snapshot else { return Ok(holders) };
        let limit = self.config.limits.max_attr_clear;
        snapshot.each_known(&mut |known| {
            let mut in_question = false;
            for (path, count) in &cleared {
                let held = holders.entry((*path).clone()).or_default();
                *held += u64::from(may_hold(known, path));
                in_question |= limit.exceeded(*count, *held);
            }
            in_question
        })?;
        Ok(holders)
    }

    /// Rows that need no look until they change: of users who are as wished, `planned` among them.
    pub(super) fn settled(&self, planned: &[UserKey]) -> Vec<Entry> {
        let planned: BTreeSet<&UserKey> = planned.iter().collect();
        let entry =
            |wanted: &Wanted| Entry { key: wanted.key.fingerprint(), row: wanted.fingerprint };
        let wanted = self.intake.wanted.iter().filter(|wanted| planned.contains(&wanted.key));
        wanted.map(entry).chain(self.intake.agreed.iter().copied()).collect()
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
                let known = known.filter(|known| known.remote_id == wanted.remote_id);
                let refused = known.map(|known| known.refused.clone()).unwrap_or_default();
                (wanted.key.clone(), Wishes::of(wanted, refused))
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

/// Whether the user has a value there, or may have one that nobody has seen.
fn may_hold(known: &Known, path: &AttrPath) -> bool {
    let filled = |value: &Option<Value>| value.as_ref().is_some_and(|value| !value.is_empty_set());
    known.attributes.get(path).is_none_or(filled)
}
