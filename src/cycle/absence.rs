//! Who has no row, and whether that proves anything.

use super::intake::Intake;
use crate::{
    config::TenantConfig,
    model::{
        AttrPath, Code, Completeness, Fate, Finding, Fingerprint, Held, HeldReason, Leaver,
        LeaverReason, Place, Severity, UserKey, Wanted,
    },
    source::Roster,
    store::{Snapshot, StoreError},
};
use std::collections::BTreeSet;

/// Somebody is absent, and may be somebody else's row that cannot be used.
const NOT_PROVEN: Code = Code("RD-2010");

/// What the absence of a row proves to one tenant. A key that was changed looks like somebody who has
/// left until the new key is known for the same account; while that cannot be found out, nobody has.
#[derive(Default)]
pub(super) struct Absence {
    /// Something may happen to the accounts of who is absent.
    matters: bool,
    /// Attributes by which accounts are looked for.
    link: Vec<AttrPath>,
    /// Users of the read who are not looked for in this run, whosever account they may have.
    unread: BTreeSet<UserKey>,
    proves_nothing: bool,
}

impl Absence {
    pub(super) fn of(tenant: &TenantConfig) -> Self {
        let matters = tenant.rules.disable || tenant.rules.delete;
        Self { matters, link: tenant.mapping.link().to_vec(), ..Self::default() }
    }

    /// Nothing of the user's row can be used.
    pub(super) fn note(&mut self, key: &UserKey) {
        if self.matters {
            self.unread.insert(key.clone());
        }
    }

    /// The row can be read, and nothing comes of it for now. Whoever names an account keeps it from
    /// everybody else; and of whom a look-up has found nobody, there is none to keep.
    pub(super) fn note_held(&mut self, user: &Wanted, held: Option<&Held>) {
        let sought = held.is_some_and(|held| held.reason == HeldReason::NoRemoteId);
        if user.remote_id.is_none() && !sought {
            self.note(&user.key);
        }
    }

    /// The row does not say by what its user is to be looked for, though another day it may.
    pub(super) fn note_unsought(&mut self, user: &Wanted) {
        let unsaid = |path: &AttrPath| self.link.contains(path);
        if user.remote_id.is_none() && user.withheld.iter().any(unsaid) {
            self.note(&user.key);
        }
    }

    /// Whether this read may count as one that has missed somebody.
    pub(super) fn counts(&self) -> bool {
        !self.proves_nothing
    }

    /// `absent`: how many users are. Those of whom an account is known are nobody else.
    fn judge(&mut self, absent: usize, snapshot: &Snapshot) -> Result<Option<Finding>, StoreError> {
        let unread: Vec<&UserKey> = self.unread.iter().collect();
        let strangers = unread.len() - snapshot.known(&unread)?.len();
        self.proves_nothing = strangers > 0;
        Ok(self.proves_nothing.then(|| finding(strangers, absent)))
    }
}

fn finding(strangers: usize, absent: usize) -> Finding {
    Finding {
        severity: Severity::Warning,
        code: NOT_PROVEN,
        place: Place::default(),
        message: format!(
            "users who are held and of whom no account is known: {strangers}; each may be one of the \
             users who are absent ({absent}), under another key; who is absent is not taken for a \
             leaver"
        ),
        hint:
            "correct the rows that are held, or release the users; absence counts again after that"
                .to_owned(),
        key: None,
    }
}

impl Intake {
    /// Accounts of whom no row was heard: nothing new, or no row. Gives how many have one.
    pub(super) fn take_unheard(
        &mut self,
        roster: &Roster,
        snapshot: Option<&Snapshot>,
    ) -> Result<u64, StoreError> {
        let (mut present, mut absent) = (0, Vec::new());
        for place in self.index.accounts(self.number) {
            if self.judged.get(place.at()) {
                continue;
            }
            if roster.has(place) {
                present += 1;
            } else {
                absent.push(self.index.entry(place).key);
            }
        }
        let is_complete = roster.facts.completeness == Completeness::Complete;
        if let Some(snapshot) = snapshot.filter(|_| is_complete && !absent.is_empty()) {
            self.take_absent(&absent, snapshot)?;
        }
        Ok(present)
    }

    fn take_absent(
        &mut self,
        absent: &[Fingerprint],
        snapshot: &Snapshot,
    ) -> Result<(), StoreError> {
        if let Some(finding) = self.absence.judge(absent.len(), snapshot)? {
            self.findings.push(finding);
            return Ok(());
        }
        let reason = LeaverReason::AbsentFromSource;
        let leavers = snapshot.keys_of(absent)?.into_iter();
        self.leavers.extend(leavers.map(|key| Leaver { key, reason, fate: Fate::Told }));
        Ok(())
    }
}
