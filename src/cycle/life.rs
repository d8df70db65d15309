//! Accounts as a whole, in a run: who is looked for and linked, who has left, and what is remembered.

use super::{
    Options, Phase, Progress, TenantEnd,
    case::Case,
    tenant::{Desk, of_store},
};
use crate::{
    engine::{
        diff::canonical,
        mapping::Mapping,
        plan::{Leaving, Sought},
        quarantine::{Cause, SLACK},
    },
    model::{
        Completeness, Fingerprint, HeldReason, Known, LeaverReason, Match, Operation, Plan,
        RemoteId, Standing, UserKey, Value, Wanted,
    },
    store::{InVain, Link, Snapshot, Store, StoreError},
};
use jiff::{SignedDuration, Timestamp};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// Gives references the ids of the accounts that are known by now.
pub(super) fn refer<'a>(
    mapping: &Mapping,
    snapshot: &Snapshot,
    users: impl Iterator<Item = &'a mut Wanted>,
) -> Result<(), StoreError> {
    let users: Vec<&mut Wanted> = users.filter(|user| !user.references.is_empty()).collect();
    let keys: BTreeSet<&UserKey> = users.iter().flat_map(|user| user.references.values()).collect();
    let known = snapshot.known(&keys.into_iter().collect::<Vec<_>>())?.into_iter();
    let there = known.filter(|(_, known)| known.standing == Standing::Settled);
    let ids = there.map(|(key, known)| (key, known.remote_id)).collect();
    for user in users {
        mapping.refer(user, &ids);
    }
    Ok(())
}

/// When ids that others refer to moved last, and when all rows were looked at and sent since.
const MOVED: &str = "references:moved";
const LOOKED: &str = "references:looked";

/// Ids that others may refer to are others from now on.
pub(super) fn mark_moved(
    mapping: &Mapping,
    store: &mut Store,
    at: Timestamp,
) -> Result<(), StoreError> {
    if mapping.reference_columns().next().is_none() {
        return Ok(());
    }
    store.set_mark(MOVED, at)
}

/// Whether rows that need nothing by themselves may refer to an id that is not so any more.
pub(super) fn have_moved(mapping: &Mapping, snapshot: &Snapshot) -> Result<bool, StoreError> {
    if mapping.reference_columns().next().is_none() {
        return Ok(false);
    }
    Ok(snapshot
        .mark(MOVED)?
        .is_some_and(|moved| snapshot.mark(LOOKED).ok().flatten() < Some(moved)))
}

/// What a plan needs to know of whole accounts.
pub(super) struct Life {
    pub(super) known: BTreeMap<UserKey, Known>,
    pub(super) leaving: BTreeMap<UserKey, Leaving>,
    pub(super) linked: BTreeSet<UserKey>,
    pub(super) creating: BTreeMap<UserKey, Vec<Match>>,
}

impl Case {
    /// Nothing is asked of the snapshot that the tenant's rules have no use for.
    pub(super) fn life(
        &self,
        snapshot: Option<&Snapshot>,
        mut known: BTreeMap<UserKey, Known>,
    ) -> Result<Life, StoreError> {
        let rules = &self.config.rules;
        let Some(snapshot) = snapshot else {
            let (leaving, linked, creating) = Default::default();
            return Ok(Life { known, leaving, linked, creating });
        };
        let creating = self.creating(snapshot)?;
        let (mut leaving, mut linked) = (BTreeMap::new(), BTreeSet::new());
        if rules.disable || rules.delete {
            leaving = snapshot.leaving()?;
            let leavers: Vec<&UserKey> = self.intake.leavers.iter().map(|l| &l.key).collect();
            known.extend(snapshot.known(&leavers)?);
            let of_leavers = leavers.iter().filter_map(|key| known.get_key_value(*key));
            linked = snapshot.linked(of_leavers.map(|(key, known)| (key, &known.remote_id)))?;
        }
        Ok(Life { known, leaving, linked, creating })
    }

    fn creating(&self, snapshot: &Snapshot) -> Result<BTreeMap<UserKey, Vec<Match>>, StoreError> {
        let link = self.config.mapping.link();
        if self.config.rules.create { snapshot.creating(link) } else { Ok(BTreeMap::new()) }
    }

    /// Adds what look-ups have brought to what earlier ones of this run did.
    pub(super) fn note_sought(&mut self, news: BTreeMap<UserKey, Sought>) {
        for (key, found) in news {
            let before = self.sought.get(&key);
            let found = match (found, before) {
                (Sought::Nobody { tried }, Some(Sought::Nobody { tried: before })) => {
                    Sought::Nobody { tried: before + tried }
                }
                (found, _) => found,
            };
            self.sought.insert(key, found);
        }
    }

    /// Accounts that were found and are nobody else's; the others are noted as taken.
    fn links(&mut self, snapshot: &Snapshot) -> Result<Vec<Link>, StoreError> {
        let mut claims: BTreeMap<RemoteId, Vec<Link>> = BTreeMap::new();
        for (key, sought) in &self.sought {
            if let Sought::One { remote_id, shown, by } = sought {
                let (key, shown, by) = (key.clone(), shown.clone(), by.clone());
                let link = Link { key, remote_id: remote_id.clone(), shown, by };
                claims.entry(remote_id.clone()).or_default().push(link);
            }
        }
        if claims.is_empty() {
            return Ok(Vec::new());
        }
        let owners = snapshot.owners(&claims.keys().collect())?;
        let named = self.intake.wanted.iter().filter_map(|wanted| wanted.remote_id.as_ref());
        let named: BTreeSet<&RemoteId> = named.chain(&self.intake.others.remote_ids).collect();
        let keep = self.remembered();
        let left: BTreeSet<&UserKey> = self.intake.leavers.iter().map(|l| &l.key).collect();
        let mut links = Vec::new();
        for (remote_id, mut claimants) in claims {
            // Somebody who is there goes before somebody who has left, perhaps the same under another key.
            if claimants.iter().any(|link| !left.contains(&link.key)) {
                claimants.retain(|link| !left.contains(&link.key));
            }
            let owner = owners.get(&remote_id);
            let single = claimants.pop().filter(|_| claimants.is_empty());
            let free = |link: &Link| owner.is_none_or(|owner| *owner == link.key);
            let single = single.filter(|link| free(link) && !named.contains(&remote_id));
            for (_, sought) in self.sought.iter_mut().filter(|(key, sought)| {
                is_of(sought, &remote_id) && single.as_ref().is_none_or(|link| link.key != **key)
            }) {
                *sought = Sought::Taken { remote_id: remote_id.clone() };
            }
            if let Some(mut link) = single {
                link.shown = canonical(&link.shown);
                link.shown.retain(|path, _| keep.contains(path));
                links.push(link);
            }
        }
        Ok(links)
    }

    /// Those of the plan who were looked for in vain.
    fn in_vain(&self, plan: &Plan) -> Vec<InVain> {
        let sought = self.intake.wanted.iter().filter(|user| self.sought.contains_key(&user.key));
        let rows: BTreeMap<&UserKey, Fingerprint> =
            sought.map(|user| (&user.key, user.fingerprint)).collect();
        let held = plan.held.iter().filter(|held| held.timer.is_none());
        let in_vain = held.filter_map(|held| {
            let cause = match (held.reason, self.sought.get(&held.key)?) {
                (HeldReason::NoRemoteId, Sought::Nobody { .. }) => Cause::Nobody,
                (HeldReason::Ambiguous, Sought::Several { .. }) => Cause::Several,
                _ => return None,
            };
            let (key, why) = (held.key.clone(), held.why.clone());
            // Whoever has left is looked for each night.
            Some(InVain { row: Some(*rows.get(&key)?), key, cause, why })
        });
        in_vain.collect()
    }

    /// Users who have left, and of whom every look-up has said that no account was made for them, or
    /// that it is somebody else's by now.
    fn unmade(&self, snapshot: &Snapshot) -> Result<Vec<&UserKey>, StoreError> {
        let left = self.intake.leavers.iter().map(|leaver| &leaver.key);
        let sought: Vec<(&UserKey, &Sought)> =
            left.filter_map(|key| self.sought.get_key_value(key)).collect();
        if sought.is_empty() {
            return Ok(Vec::new());
        }
        let creating = self.creating(snapshot)?;
        let mut unmade = Vec::new();
        for (key, sought) in sought {
            let Some(ways) = creating.get(key) else { continue };
            let is_over = match sought {
                Sought::Nobody { tried } => *tried >= ways.len(),
                Sought::Taken { remote_id } => !snapshot.owners(&[remote_id].into())?.is_empty(),
                Sought::One { .. } | Sought::Several { .. } | Sought::Linked => false,
            };
            unmade.extend(is_over.then_some(key));
        }
        Ok(unmade)
    }

    /// So many ways there are to look for somebody, at most.
    fn ways_max(&self, snapshot: &Snapshot) -> Result<usize, StoreError> {
        let of_creations = self.creating(snapshot)?.into_values().map(|ways| ways.len());
        Ok(of_creations.chain([self.config.mapping.link().len()]).max().unwrap_or_default())
    }
}

/// What was on its way has arrived by then, if it ever does.
const NIGHT: SignedDuration = SignedDuration::from_hours(24);

fn is_of(sought: &Sought, id: &RemoteId) -> bool {
    matches!(sought, Sought::One { remote_id, .. } if remote_id == id)
}

impl Desk {
    /// Links who was found, and looks for the others by the next way, until none is left.
    pub(super) async fn seek_on(&mut self, options: &Options, progress: &Arc<dyn Progress>) {
        if self.case.sought.is_empty() {
            return;
        }
        let ways = self.store.as_ref().map(|store| self.case.ways_max(store));
        let ways = match ways.unwrap_or(Ok(0)) {
            Ok(ways) => ways,
            Err(error) => {
                self.report.end = of_store(&error);
                return;
            }
        };
        for _ in 0..=ways {
            self.link_found(options);
            if self.ended() || self.case.sought.is_empty() {
                return;
            }
            let planned = self.plan(false);
            let Some(plan) = self.keep(planned).cloned() else { return };
            let sought = &self.case.sought;
            let news = |look: &&Operation| sought.contains_key(&look.key);
            let looks: Vec<Operation> = plan.reads().filter(news).cloned().collect();
            if looks.is_empty() {
                return;
            }
            self.carry(looks, Phase::Reading, options, progress).await;
        }
    }

    /// Takes the accounts that were found for their users'.
    pub(super) fn link_found(&mut self, options: &Options) {
        let Some(store) = &mut self.store else { return };
        let now = self.clock.now();
        let linked = self.case.links(store).and_then(|links| {
            store.link(&links, &options.run, now)?;
            Ok(links)
        });
        match linked {
            Ok(links) => {
                for link in links {
                    self.case.sought.insert(link.key, Sought::Linked);
                }
            }
            Err(error) => self.report.end = of_store(&error),
        }
    }

    /// Before anything leaves that moves an id which others refer to.
    pub(super) fn note_moves(&self, store: &mut Store) -> Result<(), StoreError> {
        if self.case.ids_moved { store.set_mark(MOVED, self.clock.now()) } else { Ok(()) }
    }

    /// After a run that has looked at all rows, and sent all that they wish.
    pub(super) fn note_looks(&mut self, options: &Options) -> Result<(), StoreError> {
        let Some(store) = &mut self.store else { return Ok(()) };
        let is_all = options.is_whole() && self.report.end == TenantEnd::Done;
        let mapping = &self.case.config.mapping;
        if is_all && !self.case.ids_moved && have_moved(mapping, store)? {
            store.set_mark(LOOKED, options.now)?;
        }
        Ok(())
    }

    /// Remembers who was looked for in vain, and who has left.
    pub(super) fn note_life(&mut self, now: Timestamp) -> Result<(), StoreError> {
        let (Some(plan), Some(store)) = (&self.report.plan, &mut self.store) else { return Ok(()) };
        store.seek_later(&self.case.in_vain(plan), now)?;
        let unmade = self.case.unmade(store)?;
        // A nightly run begins some minutes earlier or later than the one before.
        store.note_unmade(&unmade, now.checked_sub(NIGHT - SLACK).unwrap_or(Timestamp::MIN))?;
        let (rules, intake) = (&self.case.config.rules, &self.case.intake);
        if intake.is_of_everybody() {
            let left = intake.leavers.iter().map(|leaver| &leaver.key).collect();
            store.note_present(intake.waiting.present(), &left)?;
        }
        let counts = intake.is_of_everybody()
            && self.case.facts.completeness == Completeness::Complete
            && intake.absence.counts()
            && plan.guards.is_empty();
        if !(rules.disable || rules.delete) || !counts {
            return Ok(());
        }
        let leavers = &intake.leavers;
        let leaving = store.leaving()?;
        if leavers.is_empty() && leaving.is_empty() {
            return Ok(());
        }
        let (absent, left): (Vec<_>, Vec<_>) =
            leavers.iter().partition(|l| l.reason == LeaverReason::AbsentFromSource);
        let absent: Vec<&UserKey> = absent.into_iter().map(|leaver| &leaver.key).collect();
        let left: Vec<&UserKey> = left.into_iter().map(|leaver| &leaver.key).collect();
        let gone: BTreeSet<&UserKey> = absent.iter().chain(&left).copied().collect();
        let switched: Vec<&UserKey> = leaving.keys().filter(|key| !gone.contains(key)).collect();
        let known = store.known(&switched)?;
        let is_on = |key: &&&UserKey| {
            let switch = self.case.config.capabilities().life.switch.as_ref();
            let shown = switch.zip(known.get(**key)).and_then(|(s, k)| k.attributes.get(&s.path));
            shown == Some(&Some(Value::Flag(true)))
        };
        let back: Vec<&UserKey> = switched.iter().filter(is_on).copied().collect();
        store.note_leavers(&absent, &left, &back, rules.absent_runs.saturating_add(1), now)
    }
}
