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

/// Something by which a user without a known id can be found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Match {
    /// One of [`super::Life::finds`].
    pub path: AttrPath,
    pub value: Value,
}

/// What one operation does, complete: a dialect needs nothing else to spell it. Each is one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Look at the user, because it is in doubt or has never been seen.
    Read,
    /// Look for accounts that have this value: nobody knows the user's id.
    Find { by: Match },
    /// Make an account. Never sent blindly again: after a doubt it is looked for first.
    Create {
        /// All that is wished, sorted by path, each `before` unset; at least one, no path twice.
        edits: Vec<Edit>,
        /// What to look for it by, the best first; empty where the target has no look-up.
        by: Vec<Match>,
    },
    /// Set these attributes and no others.
    Patch {
        /// Sorted by path, at least one, no path twice.
        edits: Vec<Edit>,
        /// Unchanged members that have to go along with an edit; see [`super::Group`].
        companions: BTreeMap<AttrPath, Value>,
    },
    /// Switch the account off, because its user has left. `edit`: of [`super::Switch::path`].
    Disable { edit: Edit },
    /// Switch on again what we have switched off.
    Enable { edit: Edit },
    /// Take the account away for good.
    Delete,
}

impl Action {
    /// What it changes, by attribute: nothing for a look, and nothing for a deletion.
    #[must_use]
    pub fn edits(&self) -> &[Edit] {
        match self {
            Self::Patch { edits, companions: _ } | Self::Create { edits, by: _ } => edits,
            Self::Disable { edit } | Self::Enable { edit } => std::slice::from_ref(edit),
            Self::Read | Self::Find { .. } | Self::Delete => &[],
        }
    }

    /// It only looks.
    #[must_use]
    pub fn is_look(&self) -> bool {
        match self {
            Self::Read | Self::Find { .. } => true,
            Self::Create { .. }
            | Self::Patch { .. }
            | Self::Disable { .. }
            | Self::Enable { .. }
            | Self::Delete => false,
        }
    }
}

/// One request for one user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operation {
    pub key: UserKey,
    /// `None` for [`Action::Find`] and [`Action::Create`], and for nothing else.
    pub remote_id: Option<RemoteId>,
    pub action: Action,
}

impl Operation {
    /// What it changes; nothing for a look.
    #[must_use]
    pub fn edits(&self) -> &[Edit] {
        self.action.edits()
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
    /// Nobody says what this user's id at the target is, and no account was found or made.
    NoRemoteId,
    /// Several accounts answer to what the user is looked for by.
    Ambiguous,
    /// Two users would be sent to the same remote id.
    SharedRemoteId,
    /// A reference to somebody unknown, or a cycle.
    BadReference,
    /// A reference to somebody whose account is not known yet.
    OpenReference,
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

/// Somebody known here who should perhaps not have an account any more.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Leaver {
    pub key: UserKey,
    pub reason: LeaverReason,
    pub fate: Fate,
}

/// What a plan does about somebody who has left.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Fate {
    /// Nothing: the tenant allows nothing, or the API offers nothing.
    #[default]
    Told,
    /// Nothing yet: the user was not absent often enough, or the time of grace runs.
    Waits,
    /// Nothing: `protected` names the user.
    Protected,
    /// The account is looked at first.
    Read,
    /// Nothing: the target has not shown the account, or not whether it is on; or it belongs to
    /// somebody in the roster.
    Unknown,
    /// The account is switched off.
    Disabled,
    /// Nothing: it is off already.
    Off,
    /// The account is deleted.
    Deleted,
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
    /// Operations that change something at the target, with what they change by attribute.
    pub fn changes(&self) -> impl Iterator<Item = (&Operation, &[Edit])> {
        let changes = self.operations.iter().filter(|operation| !operation.action.is_look());
        changes.map(|operation| (operation, operation.edits()))
    }

    /// Users that have to be read, or looked for, before they can be diffed.
    pub fn reads(&self) -> impl Iterator<Item = &Operation> {
        self.operations.iter().filter(|operation| operation.action.is_look())
    }
}
