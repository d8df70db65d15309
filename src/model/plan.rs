//! A plan: what one tenant would be sent, with nothing left to decide.

use super::{AttrPath, RemoteId, TenantId, UserKey, Value};
use jiff::Timestamp;
use serde::Serialize;
use std::{collections::BTreeMap, time::Duration};

/// One attribute, before and after. Never without a difference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edit {
    pub path: AttrPath,
    /// What the target last showed there: `None`, nothing yet (only where the target offers no
    /// read); `Some(None)`, unset.
    pub before: Option<Option<Value>>,
    /// What it shall hold; `None`: unset.
    pub after: Option<Value>,
}

/// What one operation does, complete: a dialect needs nothing else to spell it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Look at the user, because it is in doubt or has never been seen.
    Read,
    /// Set these attributes and no others.
    Patch {
        /// Sorted by path, at least one, no path twice.
        edits: Vec<Edit>,
        /// Unchanged members that have to go along with an edit; see [`super::Group`].
        companions: BTreeMap<AttrPath, Value>,
    },
}

/// One request for one user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operation {
    pub key: UserKey,
    pub remote_id: RemoteId,
    pub action: Action,
}

impl Operation {
    /// What it changes; nothing for a read.
    #[must_use]
    pub fn edits(&self) -> &[Edit] {
        match &self.action {
            Action::Patch { edits, companions: _ } => edits,
            Action::Read => &[],
        }
    }
}

/// A user that is deliberately not sent to this tenant, or an attribute of it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Held {
    pub key: UserKey,
    pub reason: HeldReason,
    /// The attribute concerned, where it is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attribute: Option<AttrPath>,
    /// The row's first line in the source, where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<u64>,
    /// Why, in words, without any value.
    pub why: String,
    /// The other attributes of the user go; else nothing of the user is sent.
    pub others_go: bool,
    /// Of users in quarantine and of those held by hand; what waits for people has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timer: Option<Timer>,
    /// Both values of an attribute that somebody else changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sides: Option<Sides>,
}

/// What the roster wishes, and what somebody has set there. For reports only.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Sides {
    pub wished: Option<Value>,
    pub shown: Option<Value>,
}

/// Since when somebody is held, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Timer {
    /// The first failure, or when a person said so.
    pub since: Timestamp,
    /// When the user is tried again, or the hold ends. `None`: not before the wish changes or a
    /// person says so.
    pub next_try: Option<Timestamp>,
    /// Failed tries so far; 0 where nothing was tried.
    pub tries: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum HeldReason {
    /// The row could not be read.
    BadRow,
    /// A value breaks the API's documented rule.
    BadValue,
    /// The source says nothing of this user's id at the target.
    NoRemoteId,
    /// Two users would be sent to the same remote id.
    SharedRemoteId,
    /// A reference to somebody unknown, or a cycle.
    BadReference,
    /// The API demands an attribute along with the changed one, and nobody knows its value.
    MissingCompanion,
    /// The target did not take this value before; told until the wish changes.
    NotAccepted,
    /// The target says there is no such user.
    Gone,
    /// The target refused the change.
    Refused,
    /// No trustworthy answer yet.
    InDoubt,
    /// The tenant's `protected` names the user.
    Protected,
    /// The target could not be brought to do it, as often as it was asked.
    Unreachable,
    /// Somebody else changed it at the target, and the rule says to hold it.
    Drifted,
    /// A person said so.
    ByHand,
}

/// Somebody known here who should perhaps not have an account any more. Only told.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Leaver {
    pub key: UserKey,
    pub reason: LeaverReason,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LeaverReason {
    AbsentFromSource,
    /// The configured status column says so.
    StatusColumn,
    /// Still in the source, but the tenant's scope no longer takes the user.
    OutOfScope,
}

/// A limit on the whole plan that was passed: nothing of this tenant is sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TrippedGuard {
    /// The last part of `key`: `max_update`.
    pub guard: &'static str,
    /// What was counted, in words: "412 of 1000 users would change (41.2 %)".
    pub figure: String,
    /// The limit that it passed: `30%`.
    pub limit: String,
    /// The configuration key that would allow it.
    pub key: String,
}

/// How long the plan will take at the tenant's quota.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Forecast {
    pub requests: u64,
    pub duration: Duration,
}

/// Everything that one tenant would be sent in one cycle. Deterministic: the same inputs give the
/// same plan, whatever the order of the source's rows or columns.
#[derive(Clone, Debug)]
pub struct Plan {
    pub tenant: TenantId,
    /// Users of the source within the tenant's scope, held ones included.
    pub users: u64,
    /// Of them, those that are as they should be.
    pub unchanged: u64,
    /// Sorted by key.
    pub operations: Vec<Operation>,
    /// Sorted.
    pub held: Vec<Held>,
    /// Sorted.
    pub leavers: Vec<Leaver>,
    pub guards: Vec<TrippedGuard>,
    pub forecast: Forecast,
}

impl Plan {
    /// Operations that change something at the target.
    pub fn changes(&self) -> impl Iterator<Item = (&Operation, &[Edit])> {
        self.operations.iter().filter_map(|operation| match &operation.action {
            Action::Patch { edits, .. } => Some((operation, edits.as_slice())),
            Action::Read => None,
        })
    }

    /// Users that have to be read before they can be diffed.
    pub fn reads(&self) -> impl Iterator<Item = &Operation> {
        self.operations.iter().filter(|operation| operation.action == Action::Read)
    }
}
