//! What one read means for one tenant, planned and judged; from values to values but for the snapshot.

use super::{
    Options,
    gather::{Index, Intake, Roster, intake},
    recorder::Wishes,
};
use crate::{
    config::{SourceConfig, TenantConfig},
    engine::{
        guard::{self, Evidence},
        plan::{Inputs, Planned, plan},
    },
    model::{AttrPath, Finding, Known, RemoteId, UserKey, Value, Wanted},
    store::{Snapshot, StoreError},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// What a tenant needs to be planned, and stays the same through the cycle.
pub(super) struct Case {
    pub(super) config: Arc<TenantConfig>,
    pub(super) roster: Arc<Roster>,
    pub(super) intake: Intake,
    pub(super) index: Index,
    others: Others,
}

/// Users of the tenant whom the run is not about.
#[derive(Default)]
struct Others {
    users: u64,
    /// Their ids at the target, which nobody else may have.
    remote_ids: BTreeSet<RemoteId>,
}

impl Others {
    /// Keeps only what concerns the chosen users; all are chosen when none is.
    fn leave_out(intake: &mut Intake, chosen: &BTreeSet<UserKey>) -> Self {
        if chosen.is_empty() {
            return Self::default();
        }
        let Intake { wanted, held, leavers, findings, untouched: _ } = intake;
        let is_chosen = |key: &UserKey| chosen.contains(key);
        let left_out = wanted.extract_if(.., |wanted| !is_chosen(&wanted.key));
        let remote_ids: Vec<RemoteId> = left_out.map(|wanted| wanted.remote_id).collect();
        let unheld = held.extract_if(.., |held| !is_chosen(&held.key)).map(|held| held.key);
        let users = remote_ids.len() + unheld.collect::<BTreeSet<_>>().len();
        leavers.retain(|leaver| is_chosen(&leaver.key));
        findings.retain(|finding| finding.key.as_ref().is_none_or(is_chosen));
        Self { users: users as u64, remote_ids: remote_ids.into_iter().collect() }
    }
}

/// What planning gives.
pub(super) struct Judgement {
    pub(super) planned: Planned,
    pub(super) wishes: BTreeMap<UserKey, Wishes>,
}

impl Case {
    pub(super) fn new(
        config: Arc<TenantConfig>,
        source: &SourceConfig,
        roster: Arc<Roster>,
        index: Index,
        options: &Options,
    ) -> Self {
        let mut intake = intake(&config, source, &roster, &index, !options.users.is_empty());
        let others = Others::leave_out(&mut intake, &options.users);
        Self { config, roster, intake, index, others }
    }

    pub(super) fn findings(&self) -> &[Finding] {
        &self.intake.findings
    }

    pub(super) fn into_wanted(self) -> Vec<Wanted> {
        self.intake.wanted
    }

    /// Plans and judges; the snapshot is `None` for a tenant that has none yet.
    pub(super) fn plan(
        &self,
        snapshot: Option<&Snapshot>,
        reads_done: bool,
    ) -> Result<Judgement, StoreError> {
        let keys: Vec<&UserKey> = self.intake.wanted.iter().map(|wanted| &wanted.key).collect();
        let known = snapshot.map(|snapshot| snapshot.known(&keys)).transpose()?.unwrap_or_default();
        let mut planned = plan(&Inputs {
            tenant: &self.config.id,
            capabilities: self.config.capabilities(),
            reads: self.config.reads,
            reads_done,
            quota: self.config.quota,
            wanted: &self.intake.wanted,
            known: &known,
            owners: &self.index.owners(&self.intake.wanted),
            taken: &self.others.remote_ids,
            held: &self.intake.held,
            leavers: &self.intake.leavers,
            untouched: self.intake.untouched,
        });
        let before = snapshot.map(Snapshot::accepted_input).transpose()?.flatten();
        let holders = self.holders(snapshot, &planned)?;
        planned.plan.guards = guard::judge(&Evidence {
            plan: &planned.plan,
            limits: &self.config.limits,
            users: planned.plan.users + self.others.users,
            source_users: self.roster.facts.users,
            source_users_before: before.map(|input| input.users),
            holders: &holders,
        });
        let wishes = self.wishes(&planned, &known);
        Ok(Judgement { planned, wishes })
    }

    /// How many users have a value or may have one, for each attribute that the plan empties.
    fn holders(
        &self,
        snapshot: Option<&Snapshot>,
        planned: &Planned,
    ) -> Result<BTreeMap<AttrPath, u64>, StoreError> {
        let paths = guard::cleared(&planned.plan);
        let mut holders: BTreeMap<AttrPath, u64> = BTreeMap::new();
        if paths.is_empty() {
            return Ok(holders);
        }
        let mut count = |path: &AttrPath| *holders.entry(path.clone()).or_default() += 1;
        // Nothing is known of these, so each of them may hold one.
        let unknown = planned.plan.changes().filter(|(change, _)| !self.index.knows(&change.key));
        let edited = unknown.flat_map(|(_, edits)| edits).map(|edit| &edit.path);
        edited.filter(|path| paths.contains_key(path)).for_each(&mut count);
        let Some(snapshot) = snapshot else { return Ok(holders) };
        let keys: Vec<&UserKey> = self.index.keys().collect();
        for keys in keys.chunks(4096) {
            for known in snapshot.known(keys)?.values() {
                paths.keys().filter(|path| may_hold(known, path)).for_each(|path| count(path));
            }
        }
        Ok(holders)
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

/// Whether the user has a value there, or may have one that nobody has seen.
fn may_hold(known: &Known, path: &AttrPath) -> bool {
    let filled = |value: &Option<Value>| value.as_ref().is_some_and(|value| !value.is_empty_set());
    known.attributes.get(path).is_none_or(filled)
}
