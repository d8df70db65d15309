//! The account as wanted and as known.

use super::{AttrPath, Drifted, Fingerprint, RemoteId, UserKey, Value};
use std::collections::{BTreeMap, BTreeSet};

/// Attributes by path. `Some(None)` (present, no value): unset. Absent: nothing is said about it,
/// which in a [`Known`] means *unknown* and in a [`Wanted`] means *leave as it is*.
pub type Attributes = BTreeMap<AttrPath, Option<Value>>;

/// An account as the source says it should be.
#[derive(Clone, Debug)]
pub struct Wanted {
    pub key: UserKey,
    /// `None`: the roster does not say; it is what is known, or the account is looked for.
    pub remote_id: Option<RemoteId>,
    /// What is wished; `None` wishes the attribute unset.
    pub attributes: Attributes,
    /// Attributes whose value could not be believed (a manager who is nobody): left as they are.
    pub withheld: Vec<AttrPath>,
    /// Attributes whose value is the id of another user's account, and whose. The value is among
    /// `attributes` once that account is known; until then nothing is wished of the attribute.
    pub references: BTreeMap<AttrPath, UserKey>,
    /// The row's first line in the source, from 1.
    pub line: u64,
    /// Of the row: while it and the mapping stay the same, so does all that is wished.
    pub fingerprint: Fingerprint,
}

impl Wanted {
    /// References to somebody whose account is not known.
    pub fn open_references(&self) -> impl Iterator<Item = &AttrPath> {
        self.references.keys().filter(|path| !self.attributes.contains_key(*path))
    }

    /// Something of the row says nothing for now, so that it has to be looked at again.
    #[must_use]
    pub fn is_incomplete(&self) -> bool {
        !self.withheld.is_empty() || self.open_references().next().is_some()
    }
}

/// An account as the target last showed it: never what we hoped, only what was seen.
#[derive(Clone, Debug)]
pub struct Known {
    pub remote_id: RemoteId,
    pub attributes: Attributes,
    pub standing: Standing,
    /// Values that the target would not take, by path: not sent again until the wish changes.
    pub refused: Attributes,
    /// What a request was to change that was in doubt, is settled now, and may arrive yet: the user
    /// is looked at again until two looks have shown what is known. Empty for most users.
    pub suspect: BTreeSet<AttrPath>,
    /// What somebody else changed at the target while the wish stayed the same. Empty for most users.
    pub drifted: BTreeMap<AttrPath, Drifted>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    Settled,
    /// A request left and no trustworthy answer came back: the attributes that it named are neither in
    /// [`Known::attributes`] nor in [`Known::refused`], and the user is read before it is diffed
    /// again.
    InDoubt,
    /// The target said that there is no such user. Asked again only once the row has changed.
    Gone,
}

impl Known {
    /// A user of whom nothing has been seen yet.
    #[must_use]
    pub fn unseen(remote_id: RemoteId) -> Self {
        Self {
            remote_id,
            attributes: Attributes::new(),
            standing: Standing::InDoubt,
            refused: Attributes::new(),
            suspect: BTreeSet::new(),
            drifted: BTreeMap::new(),
        }
    }
}
