//! What one read means for one tenant, as far as it can be told without a plan.

use super::{
    absence::Absence,
    gather::{Heard, Meaning},
    life::refer,
    waiting::Waiting,
};
use crate::{
    config::TenantConfig,
    engine::{
        bits::Bits,
        index::{Entry, Index, Place},
        mapping::Mapped,
        plan::{GONE, is_as_wanted},
    },
    model::{
        AttrPath, Columns, Completeness, Fate, Finding, Fingerprint, Held, HeldReason, Known,
        Leaver, LeaverReason, RemoteId, UserKey, Wanted,
    },
    source::Roster,
    store::{Snapshot, StoreError},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// Grows batch by batch. Of a user whose new row changes nothing only the fingerprints stay, so
/// that a new mapping for a million users needs no memory for a million accounts.
pub(super) struct Intake {
    /// The tenant's number in the index.
    pub(super) number: usize,
    pub(super) index: Arc<Index>,
    /// The users that the run is about; empty: all.
    chosen: BTreeSet<UserKey>,
    /// Users that have to be planned.
    pub(super) wanted: Vec<Wanted>,
    /// What is known of them; given to the first plan.
    pub(super) known: Option<BTreeMap<UserKey, Known>>,
    /// Users that are as their new row wishes.
    pub(super) agreed: Vec<Entry>,
    /// Rows of users with whom the tenant has nothing to do.
    pub(super) passing: Vec<Entry>,
    pub(super) held: Vec<Held>,
    pub(super) leavers: Vec<Leaver>,
    pub(super) findings: Vec<Finding>,
    /// Users in scope who need nothing.
    pub(super) untouched: u64,
    pub(super) others: Others,
    /// How many users the source has emptied an attribute of, though nothing is sent for that.
    pub(super) emptied: BTreeMap<AttrPath, u64>,
    /// Those users.
    pub(super) emptied_users: BTreeSet<Fingerprint>,
    heeded: Heeded,
    tenant: Option<Arc<TenantConfig>>,
    pub(super) waiting: Waiting,
    pub(super) judged: Bits,
    pub(super) absence: Absence,
}

/// Attributes of which an empty cell says nothing.
#[derive(Default)]
struct Heeded {
    paths: BTreeSet<AttrPath>,
    /// Number of all attributes that are mapped.
    mapped: usize,
}

/// Users of the tenant whom the run is not about.
#[derive(Default)]
pub(super) struct Others {
    pub(super) users: u64,
    /// Their ids at the target, which nobody else may have; without those that are as the snapshot
    /// has them.
    pub(super) remote_ids: BTreeSet<RemoteId>,
}

impl Intake {
    pub(super) fn new(number: usize, index: Arc<Index>, chosen: &BTreeSet<UserKey>) -> Self {
        Self {
            number,
            index,
            chosen: chosen.clone(),
            wanted: Vec::new(),
            known: Some(BTreeMap::new()),
            agreed: Vec::new(),
            passing: Vec::new(),
            held: Vec::new(),
            leavers: Vec::new(),
            findings: Vec::new(),
            untouched: 0,
            others: Others::default(),
            emptied: BTreeMap::new(),
            emptied_users: BTreeSet::new(),
            heeded: Heeded::default(),
            tenant: None,
            waiting: Waiting::default(),
            judged: Bits::default(),
            absence: Absence::default(),
        }
    }

    pub(super) fn with(self, waiting: Waiting) -> Self {
        Self { waiting, ..self }
    }

    /// Has an eye on values that the source empties where that says nothing, and on what others may
    /// change.
    pub(super) fn heed(&mut self, tenant: &Arc<TenantConfig>, columns: &Columns) {
        self.absence = Absence::of(tenant);
        self.tenant = Some(tenant.clone());
        let mapping = &tenant.mapping;
        let paths = mapping.silent_when_empty(&|column| columns.contains(column));
        self.heeded = Heeded { paths, mapped: mapping.attributes().count() };
    }

    /// How many users in scope are not known here, and how many users are. Neither, where nobody is
    /// known yet or the run is not about everybody.
    pub(super) fn strangers_and_accounts(&self) -> (u64, u64) {
        if !self.chosen.is_empty() || self.wanted.is_empty() && self.held.is_empty() {
            return (0, 0);
        }
        let accounts = self.accounts();
        if accounts == 0 {
            return (0, 0);
        }
        let is_stranger = |key: &&UserKey| !self.has_account(key.fingerprint());
        let wanted = self.wanted.iter().map(|wanted| &wanted.key).filter(is_stranger).count();
        let held: BTreeSet<&UserKey> = self.held.iter().map(|held| &held.key).collect();
        ((wanted + held.into_iter().filter(is_stranger).count()) as u64, accounts)
    }

    /// How many users are known here.
    pub(super) fn accounts(&self) -> u64 {
        self.index.accounts(self.number).count() as u64
    }

    /// The run is not about some users only.
    pub(super) fn is_of_everybody(&self) -> bool {
        self.chosen.is_empty()
    }

    /// There is nothing to do and nothing to tell, but of rows that are as wished.
    pub(super) fn is_quiet(&self) -> bool {
        self.wanted.is_empty()
            && self.held.is_empty()
            && self.leavers.is_empty()
            && self.findings.is_empty()
            && self.chosen.is_empty()
    }

    pub(super) fn has_account(&self, key: Fingerprint) -> bool {
        self.index.find(key).is_some_and(|place| self.index.has_account(self.number, place))
    }

    pub(super) fn take(
        &mut self,
        heard: Vec<Heard>,
        snapshot: Option<&Snapshot>,
    ) -> Result<(), StoreError> {
        let mut wanted = Vec::new();
        for heard in heard {
            let Heard { entry, place, key, meaning } = heard;
            if let Some(place) = place {
                self.judged.set(place.at());
            }
            match meaning {
                Meaning::Waiting => self.wait(entry, place, &key),
                Meaning::Left => self.leave(entry, place, key, LeaverReason::StatusColumn),
                Meaning::Mapped(Mapped::OutOfScope) => {
                    self.leave(entry, place, key, LeaverReason::OutOfScope);
                }
                Meaning::Mapped(Mapped::Wanted(user)) => wanted.push((entry, user)),
                Meaning::Mapped(Mapped::Held { held, findings }) => {
                    self.absence.note(&key);
                    if self.waiting.is_held_by_hand(&key) {
                        self.held.extend(self.waiting.by_hand(&key, None));
                        continue;
                    }
                    self.held.extend(held);
                    self.findings.extend(findings);
                }
            }
        }
        self.compare(wanted, snapshot)
    }

    fn leave(&mut self, entry: Entry, place: Option<Place>, key: UserKey, reason: LeaverReason) {
        self.waiting.end(&key);
        if !place.is_some_and(|place| self.index.has_account(self.number, place)) {
            self.passing.push(entry);
        } else if self.waiting.is_held_by_hand(&key) {
            self.held.extend(self.waiting.by_hand(&key, None));
        } else {
            self.leavers.push(Leaver { key, reason, fate: Fate::Told });
        }
    }

    /// The row that is to come says nothing yet: the user stays as he is, or is nobody's concern.
    fn wait(&mut self, entry: Entry, place: Option<Place>, key: &UserKey) {
        if !place.is_some_and(|place| self.index.has_account(self.number, place)) {
            self.passing.push(entry);
        } else if self.waiting.is_held_by_hand(key) {
            self.held.extend(self.waiting.by_hand(key, None));
        } else {
            self.agreed.push(entry);
            let count =
                if self.is_chosen(key) { &mut self.untouched } else { &mut self.others.users };
            *count += 1;
        }
    }

    fn compare(
        &mut self,
        mut wanted: Vec<(Entry, Wanted)>,
        snapshot: Option<&Snapshot>,
    ) -> Result<(), StoreError> {
        if let (Some(tenant), Some(snapshot)) = (&self.tenant, snapshot) {
            refer(&tenant.mapping, snapshot, wanted.iter_mut().map(|(_, user)| user))?;
        }
        let keys: Vec<&UserKey> = wanted.iter().map(|(_, user)| &user.key).collect();
        let known = snapshot.map(|snapshot| snapshot.known(&keys)).transpose()?;
        let mut known = known.unwrap_or_default();
        if let Some(tenant) = &self.tenant {
            tenant.mapping.judge_drift(known.values_mut());
        }
        for (entry, user) in wanted {
            if self.waiting.is_held_by_hand(&user.key) {
                let held = self.waiting.by_hand(&user.key, Some(user.line));
                self.hold_back(user, held);
                continue;
            }
            let found = known.remove(&user.key);
            if let Some(found) = &found {
                self.note_emptied(&entry, &user, found);
            }
            let agrees = found.as_ref().is_some_and(|found| is_as_wanted(&user, found))
                && !self.waiting.is_switched_off(&user.key);
            let chosen = self.is_chosen(&user.key);
            self.absence.note_unsought(&user);
            if agrees {
                self.waiting.end(&user.key);
            } else if let Some(held) = self.waiting.in_quarantine(&user) {
                self.hold_back(user, Some(held));
                continue;
            }
            match (agrees, chosen) {
                (true, true) => self.untouched += 1,
                (true, false) => self.others.users += 1,
                (false, true) => {
                    if let (Some(known), Some(found)) = (&mut self.known, found) {
                        known.insert(user.key.clone(), found);
                    }
                    self.wanted.push(user);
                }
                (false, false) => {
                    self.others.users += 1;
                    self.others.remote_ids.extend(user.remote_id);
                }
            }
            if agrees {
                self.agreed.push(entry);
            }
        }
        Ok(())
    }

    /// Values that are known, and of which the row says nothing.
    fn note_emptied(&mut self, entry: &Entry, user: &Wanted, known: &Known) {
        let Wanted { attributes, withheld, .. } = user;
        if attributes.len() + withheld.len() >= self.heeded.mapped {
            return;
        }
        let holds = |path: &AttrPath| known.attributes.get(path).is_some_and(Option::is_some);
        let emptied = self.heeded.paths.iter().filter(|path| {
            !attributes.contains_key(*path) && !withheld.contains(path) && holds(path)
        });
        for path in emptied {
            *self.emptied.entry(path.clone()).or_default() += 1;
            self.emptied_users.insert(entry.key);
        }
    }

    /// Not sent for now; nobody else may have the user's id meanwhile.
    fn hold_back(&mut self, user: Wanted, held: Option<Held>) {
        self.absence.note_held(&user, held.as_ref());
        self.others.remote_ids.extend(user.remote_id);
        self.held.extend(held);
    }

    fn is_chosen(&self, key: &UserKey) -> bool {
        self.chosen.is_empty() || self.chosen.contains(key)
    }

    /// Everybody whose row was not heard: rows that cannot be read, nothing new, or no row.
    pub(super) fn finish(
        &mut self,
        roster: &Roster,
        snapshot: Option<&Snapshot>,
    ) -> Result<(), StoreError> {
        self.take_held_by_hand();
        self.take_bad_rows(roster);
        let is_complete = roster.facts.completeness == Completeness::Complete;
        let index = self.index.clone();
        self.waiting.compare(|key| roster.has_key(&index, key.fingerprint()), is_complete);
        let mut present = self.take_unheard(roster, snapshot)?;
        if let Some(snapshot) = snapshot {
            present -= self.take_gone(roster, snapshot)?;
        }
        let count =
            if self.chosen.is_empty() { &mut self.untouched } else { &mut self.others.users };
        *count += present;
        self.leave_out_others();
        Ok(())
    }

    /// Accounts that a person holds and of whom no row was heard: there is none, or it says nothing.
    fn take_held_by_hand(&mut self) {
        let users: Vec<UserKey> = self.waiting.held_by_hand().cloned().collect();
        for key in users {
            let place = self.index.find(key.fingerprint());
            let place = place.filter(|place| self.index.has_account(self.number, *place));
            let Some(place) = place else { continue };
            self.judged.set(place.at());
            self.held.extend(self.waiting.by_hand(&key, None));
        }
    }

    /// A row that cannot be read says nothing of its user, who stays as he is.
    fn take_bad_rows(&mut self, roster: &Roster) {
        for row in &roster.held {
            let Some(key) = &row.key else { continue };
            self.absence.note(key);
            let Some(place) = self.index.find(key.fingerprint()) else { continue };
            let first = !self.judged.get(place.at());
            self.judged.set(place.at());
            if !first || !self.index.has_account(self.number, place) {
                continue;
            }
            self.held.push(Held {
                key: key.clone(),
                reason: HeldReason::BadRow,
                attribute: None,
                line: Some(row.line),
                why: row.why.clone(),
                others_go: false,
                timer: None,
                sides: None,
            });
        }
    }

    /// Those whom the target does not have, and whose row is as it was when it said so.
    fn take_gone(&mut self, roster: &Roster, snapshot: &Snapshot) -> Result<u64, StoreError> {
        let mut gone = 0;
        for key in snapshot.gone()? {
            let place = self
                .index
                .find(key.fingerprint())
                .filter(|place| roster.has(*place) && self.index.has_account(self.number, *place));
            if place.is_none_or(|place| self.judged.get(place.at())) {
                continue;
            }
            gone += 1;
            self.held.push(Held {
                key,
                reason: HeldReason::Gone,
                attribute: None,
                line: None,
                why: GONE.to_owned(),
                others_go: false,
                timer: None,
                sides: None,
            });
        }
        Ok(gone)
    }

    fn leave_out_others(&mut self) {
        if self.chosen.is_empty() {
            return;
        }
        let chosen = &self.chosen;
        let left_out = self.held.extract_if(.., |held| !chosen.contains(&held.key));
        let users: BTreeSet<UserKey> = left_out.map(|held| held.key).collect();
        self.others.users += users.len() as u64;
        self.leavers.retain(|leaver| chosen.contains(&leaver.key));
        self.findings.retain(|finding| finding.key.as_ref().is_none_or(|key| chosen.contains(key)));
    }
}
