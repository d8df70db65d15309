//! Who of a tenant's users is not sent for now: held by hand, or in quarantine.

use crate::{
    engine::quarantine::is_due,
    model::{Fingerprint, Held, HeldReason, Timer, UserKey, Wanted},
    store::{Hold, InQuarantine, Snapshot, StoreError},
};
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};

/// The few users who wait, as one run finds them.
#[derive(Default)]
pub(super) struct Waiting {
    now: Timestamp,
    holds: BTreeMap<UserKey, Hold>,
    quarantine: BTreeMap<UserKey, InQuarantine>,
    /// Whom we have switched off.
    switched_off: BTreeSet<UserKey>,
    /// They, and the others who have left or seem to have.
    leaving: BTreeSet<UserKey>,
    /// Of them, those who have a row.
    present: Vec<UserKey>,
    /// Held by hand, and told.
    told: BTreeSet<UserKey>,
    /// In quarantine without a wish left to try.
    over: Vec<UserKey>,
}

impl Waiting {
    pub(super) fn of(snapshot: Option<&Snapshot>, now: Timestamp) -> Result<Self, StoreError> {
        let Some(snapshot) = snapshot else { return Ok(Self { now, ..Self::default() }) };
        let mut holds = snapshot.holds()?;
        holds.retain(|_, hold| !hold.is_over(now));
        let quarantine = snapshot.quarantine()?;
        let leavers = snapshot.leaving()?;
        let switched_off = leavers.iter().filter(|(_, leaving)| leaving.disabled.is_some());
        let switched_off = switched_off.map(|(key, _)| key.clone()).collect();
        let leaving = leavers.into_keys().collect();
        Ok(Self { now, holds, quarantine, switched_off, leaving, ..Self::default() })
    }

    /// All of them, to be looked at even if nothing has changed.
    pub(super) fn users(&self) -> impl Iterator<Item = Fingerprint> {
        let waiting = self.holds.keys().chain(self.quarantine.keys());
        waiting.chain(&self.switched_off).map(UserKey::fingerprint)
    }

    /// We have switched the user off, and not yet on again.
    pub(super) fn is_switched_off(&self, key: &UserKey) -> bool {
        self.switched_off.contains(key)
    }

    pub(super) fn held_by_hand(&self) -> impl Iterator<Item = &UserKey> {
        self.holds.keys()
    }

    /// Nothing is sent of the user, and its absence says nothing, because a person said so. Told
    /// once.
    pub(super) fn by_hand(&mut self, key: &UserKey, line: Option<u64>) -> Option<Held> {
        let Hold { reason, person, since, until } = self.holds.get(key)?;
        if !self.told.insert(key.clone()) {
            return None;
        }
        Some(Held {
            key: key.clone(),
            reason: HeldReason::ByHand,
            attribute: None,
            line,
            why: format!("held by {person}: {reason}"),
            others_go: false,
            timer: Some(Timer { since: *since, next_try: *until, tries: 0 }),
            sides: None,
        })
    }

    pub(super) fn is_held_by_hand(&self, key: &UserKey) -> bool {
        self.holds.contains_key(key)
    }

    /// The user failed, and is not to be tried yet. Another row is another wish, and is tried.
    pub(super) fn in_quarantine(&self, wanted: &Wanted) -> Option<Held> {
        let found = self.quarantine.get(&wanted.key)?;
        let same_wish = found.row.is_none_or(|row| row == wanted.fingerprint);
        let due = found.timer.next_try.is_some_and(|next| is_due(next, self.now));
        (same_wish && !due).then(|| held(&wanted.key, found, Some(wanted.line)))
    }

    pub(super) fn has(&self, key: &UserKey) -> bool {
        self.quarantine.contains_key(key)
    }

    /// There is nothing left to try for the user.
    pub(super) fn end(&mut self, key: &UserKey) {
        if self.has(key) {
            self.over.push(key.clone());
        }
    }

    /// Ends the absence of everybody who has a row and, where all rows were read, the quarantine of
    /// everybody who has none.
    pub(super) fn compare(&mut self, has_row: impl Fn(&UserKey) -> bool, is_complete: bool) {
        self.present = self.leaving.iter().filter(|key| has_row(key)).cloned().collect();
        let has_left = |key: &&UserKey| is_complete && !has_row(key);
        self.over.extend(self.quarantine.keys().filter(has_left).cloned());
    }

    /// Who has left, or seemed to, as earlier runs saw it, and has a row.
    pub(super) fn present(&self) -> &[UserKey] {
        &self.present
    }

    /// Users to take out of quarantine when the run ends.
    pub(super) fn over(&self) -> &[UserKey] {
        &self.over
    }
}

/// A user in quarantine, as the plan tells it.
pub(super) fn held(key: &UserKey, found: &InQuarantine, line: Option<u64>) -> Held {
    let InQuarantine { cause, why, status, row: _, last: _, timer } = found;
    let details = [status.map(|status| format!("status {status}")), Some(why.clone())];
    let details: Vec<String> =
        details.into_iter().flatten().filter(|text| !text.is_empty()).collect();
    let details =
        if details.is_empty() { String::new() } else { format!(" ({})", details.join(", ")) };
    Held {
        key: key.clone(),
        reason: cause.held_reason(),
        attribute: None,
        line,
        why: format!("{}{details}", cause.told()),
        others_go: false,
        timer: Some(*timer),
        sides: None,
    }
}
