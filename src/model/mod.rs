//! The nouns of rosterd: plain values that every other module speaks in.
//!
//! Nothing here reads a clock, a disk or the network, and nothing here decides. A type's doc line
//! states the invariant that its constructor keeps. Whatever may hold personal data has a `Debug`
//! that shows its shape and not its content.

mod account;
mod capability;
mod drift;
mod finding;
mod http;
mod id;
mod page;
mod plan;
mod problem;
mod rate;
mod reach;
mod record;
mod value;
mod verdict;

pub use account::{Attributes, Known, Standing, Wanted};
pub use capability::{Attribute, Capabilities, Creation, Group, Kind, Life, Switch, Weight};
pub use drift::{Drifted, OnDrift};
pub use finding::{Code, Finding, Place, Severity};
pub use http::{Body, CredentialHeader, Method, Request, Response};
pub use id::{AttrPath, Fingerprint, IdProblem, RemoteId, RunId, SourceId, TenantId, UserKey};
pub use page::{Cursor, Listed, Page};
pub use plan::{
    Action, Edit, Fate, Forecast, Held, HeldReason, Leaver, LeaverReason, Match, Operation, Plan,
    Sides, Timer, TrippedGuard,
};
pub use problem::{Notice, Problem};
pub use rate::Rate;
pub use reach::{OutOfReach, Reach, is_localhost};
pub use record::{Columns, Completeness, Fields, HeldRow, Record, SourceFacts, UNKNOWN_CELL};
pub use value::{INTEGER_MAX, Value};
pub use verdict::{Answer, Excerpt, Outcome, Refusal, Verdict};
