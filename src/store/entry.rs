//! What is recorded while a plan is carried out.

use crate::{
    engine::quarantine::Effect,
    model::{Action, AttrPath, Attributes, Edit, Fingerprint, Outcome, RemoteId, RunId, UserKey},
};
use jiff::Timestamp;
use std::{collections::BTreeSet, sync::Arc};

/// One fact to make durable. The order of entries is the order in which they happened.
#[derive(Clone, Debug)]
pub enum Entry {
    /// A request is about to leave for the first time. Must be durable before it does.
    Intent(Intent),
    /// A request of that operation is about to leave once more.
    Sent { operation_id: u64, at: Timestamp },
    /// What became of an operation: the only entry that moves the snapshot.
    Outcome(Box<Conclusion>),
    /// The tenant is not to be sent anything before that instant. A later one that is already
    /// recorded stands.
    Pause { until: Timestamp, why: String },
    /// How much of the quota is used from now on; `None`: all of it.
    Pace { share: Option<f64>, at: Timestamp },
}

/// A request that is about to leave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Intent {
    /// Never used before in this file; see [`super::Snapshot::last_operation`].
    pub operation_id: u64,
    pub run: RunId,
    pub key: UserKey,
    /// `None` for a look-up and a creation.
    pub remote_id: Option<RemoteId>,
    pub action: ActionKind,
    /// Empty for a read.
    pub edits: Vec<Edit>,
    pub at: Timestamp,
}

/// What kind of request it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ActionKind {
    Read,
    Find,
    Create,
    Patch,
    Disable,
    Enable,
    Delete,
}

impl ActionKind {
    const ALL: [Self; 7] = [
        Self::Read,
        Self::Find,
        Self::Create,
        Self::Patch,
        Self::Disable,
        Self::Enable,
        Self::Delete,
    ];

    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Find => "find",
            Self::Create => "create",
            Self::Patch => "patch",
            Self::Disable => "disable",
            Self::Enable => "enable",
            Self::Delete => "delete",
        }
    }

    /// It only looks.
    #[must_use]
    pub fn is_look(self) -> bool {
        matches!(self, Self::Read | Self::Find)
    }

    /// It sets attributes of an account that is there.
    #[must_use]
    pub fn sets(self) -> bool {
        matches!(self, Self::Patch | Self::Disable | Self::Enable)
    }

    pub(super) fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }
}

impl From<&Action> for ActionKind {
    fn from(action: &Action) -> Self {
        match action {
            Action::Read => Self::Read,
            Action::Find { .. } => Self::Find,
            Action::Create { .. } => Self::Create,
            Action::Patch { .. } => Self::Patch,
            Action::Disable { .. } => Self::Disable,
            Action::Enable { .. } => Self::Enable,
            Action::Delete => Self::Delete,
        }
    }
}

/// What became of an operation, with all that the snapshot has to remember of it.
#[derive(Clone, Debug)]
pub struct Conclusion {
    pub operation_id: u64,
    pub key: UserKey,
    /// As in the intent.
    pub remote_id: Option<RemoteId>,
    pub action: ActionKind,
    pub outcome: Outcome,
    /// As in the intent; of what went in parts, those that the outcome is about.
    pub edits: Vec<Edit>,
    /// Nobody knew for a time what became of one of its requests, which may arrive yet.
    pub was_in_doubt: bool,
    /// Of the last answer, if there was one.
    pub status: Option<u16>,
    /// Requests that left.
    pub attempts: u32,
    pub at: Timestamp,
    /// Of the user's row, when all that it wished is settled now; `None`: it is looked at again.
    pub fingerprint: Option<Fingerprint>,
    /// All values of this user that the target will not take, in place of those recorded; `None`:
    /// they stay as they are.
    pub refused: Option<Attributes>,
    /// Attributes of `shown` to remember, besides those of `edits`; what is not wished of anybody
    /// is not kept. The same for all users of a tenant.
    pub keep: Arc<BTreeSet<AttrPath>>,
    /// What is wished of the attributes that stay as others set them.
    pub watched: Attributes,
    /// What it means for the user's quarantine.
    pub effect: Effect,
    /// Of the user's row as it was wished, whatever became of it: another row is another wish.
    pub row: Option<Fingerprint>,
}

impl Conclusion {
    /// The account that it turned out to be about.
    #[must_use]
    pub fn account(&self) -> Option<&RemoteId> {
        match &self.outcome {
            Outcome::Matched { remote_id, .. } | Outcome::Created { remote_id, .. } => {
                Some(remote_id)
            }
            Outcome::Settled { .. }
            | Outcome::Refused(_)
            | Outcome::InDoubt { .. }
            | Outcome::Deferred { .. }
            | Outcome::Gone
            | Outcome::Nobody
            | Outcome::Ambiguous { .. }
            | Outcome::Deleted => self.remote_id.as_ref(),
        }
    }
}
