//! The cycle: one source read, every tenant fed by it planned, judged and sent.
//!
//! `plan`, `apply`, `run` and the daemon are this same cycle. [`preview`] opens the snapshots
//! read-only and stops at the plan; a [`Session`] holds the locks, reads the users in doubt, plans
//! again, and sends what was decided. Tenants go side by side and know nothing of each other.

mod absence;
mod approval;
mod blank;
mod books;
mod case;
mod close;
mod edges;
mod evidence;
mod exit;
mod fan;
mod feed;
mod gather;
mod import;
mod intake;
mod learn;
mod life;
mod look;
mod opening;
mod prepare;
mod probe;
mod progress;
mod quarantine;
mod recorder;
mod same;
mod secrets;
mod session;
mod shelf;
mod survey;
mod target;
mod tenant;
mod waiting;
mod window;

pub use edges::{Edges, OpenScribe, OpenTransport};
pub use exit::Exit;
pub use import::adopt;
pub use look::{Wishes, judge, preview, wishes};
pub use probe::{Probed, Unprobed, probe};
pub use progress::{Phase, Progress, Silent};
pub use quarantine::{Quarantines, Turn};
pub use session::Session;
pub use survey::{Compared, Listed, Whom, adopt_listed, compare};

use crate::{
    model::{Finding, Notice, Plan, RunId, SourceFacts, SourceId, TenantId, UserKey},
    sender::{Ended, Tally},
    store::TenantInQuarantine,
};
use jiff::Timestamp;
use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
};
use tokio::sync::watch;

/// What one run is told.
#[derive(Clone, Debug)]
pub struct Options {
    pub run: RunId,
    /// `plan`, `apply`, `run`, `daemon`, `adopt`, `drift`: for the record.
    pub verb: &'static str,
    pub now: Timestamp,
    /// Only these tenants; empty: all that the source feeds.
    pub tenants: BTreeSet<TenantId>,
    /// Only these users; empty: all.
    pub users: BTreeSet<UserKey>,
    /// Turns true when the process is asked to stop. That whoever could turn it is gone afterwards
    /// means to leave at once: no answer is waited for any more.
    pub stop: watch::Receiver<bool>,
}

/// The mark that a run leaves in a tenant's snapshot (see [`crate::store::Snapshot::mark`]) when it
/// was about everybody and nobody stopped it: when that run began.
pub const WHOLE_RUN: &str = "whole_run";

impl Options {
    /// Nothing is sent and nothing is kept.
    fn looks(&self) -> bool {
        matches!(self.verb, "check" | "plan" | "sandbox")
    }

    /// The run is what a schedule asks for: neither a look, nor an import, nor about some users.
    fn is_whole(&self) -> bool {
        self.users.is_empty() && matches!(self.verb, "run" | "apply" | "daemon" | "demo")
    }
}

/// What became of one source and its tenants.
#[derive(Debug)]
pub struct CycleReport {
    pub run: RunId,
    pub source: SourceId,
    pub path: PathBuf,
    pub started: Timestamp,
    /// Absent when the source was refused.
    pub facts: Option<SourceFacts>,
    /// Everything noticed about the source, the reasons of a refusal included.
    pub findings: Vec<Finding>,
    pub tenants: Vec<TenantReport>,
}

/// What became of one tenant.
#[derive(Debug)]
pub struct TenantReport {
    pub tenant: TenantId,
    /// The dialect's name.
    pub api: &'static str,
    /// Absent when the tenant ended before it could be planned.
    pub plan: Option<Plan>,
    /// Of the plan; see [`crate::engine::plan::digest`].
    pub digest: String,
    /// About values, from the mapping.
    pub findings: Vec<Finding>,
    /// About the target API.
    pub notices: BTreeSet<Notice>,
    /// Attributes of which a change is a matter of security, for the report to mark.
    pub privileges: BTreeSet<crate::model::AttrPath>,
    pub results: Results,
    pub quarantines: Quarantines,
    pub end: TenantEnd,
}

/// Counted from outcomes. All zero for a plan that was not sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Results {
    /// Users that were read.
    pub read: u64,
    /// Users that are now as wanted.
    pub settled: u64,
    /// Of them, those that the target had no way to show.
    pub unverified: u64,
    /// Users with a value that the target did not take or rewrote.
    pub not_accepted: u64,
    pub refused: u64,
    pub gone: u64,
    pub in_doubt: u64,
    /// Operations that never left, or of which nothing was done; the next run plans them again.
    pub deferred: u64,
    /// Operations that were not begun.
    pub left: u64,
    pub requests: Tally,
    /// Users that failed, with what the target said; for reports only.
    pub failures: BTreeMap<UserKey, Failure>,
}

/// What the target said of one user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    pub status: Option<u16>,
    /// The vendor's code, safe to log; may be empty.
    pub code: String,
    /// In words; may hold personal data.
    pub why: String,
}

/// How one tenant's part of the cycle ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TenantEnd {
    /// Planned and not sent, because only a plan was asked for.
    Planned,
    /// Everything that was planned was sent.
    Done,
    /// A guard tripped; nothing was sent.
    Guarded,
    /// Not approved by the person who was asked.
    Declined,
    /// Stopped early; the next run goes on.
    Early(Ended),
    /// Not begun: the target still wants silence until then.
    Paused { until: Timestamp },
    /// In quarantine: nothing was sent but, when one was due, a probe, which did not go well.
    Quarantined(TenantInQuarantine),
    /// Another process holds the snapshot.
    Locked { why: String },
    /// The snapshot cannot be used.
    State { why: String },
    /// The target cannot be sent to as it is configured: a secret, a date that has passed.
    Unusable { why: String },
    /// The source was refused.
    SourceRefused,
}
