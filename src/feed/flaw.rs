//! Why a feed was not read.

use super::links::Damaged;
use crate::model::{Code, Finding, Place, Severity};
use std::time::Duration;

/// A feed that is not believed, or that could not be read to its end. Nothing of it is used then.
/// No text here holds a value of a page, a query or a secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Flaw {
    #[error("page {page} names as the next one a page that was read before")]
    Cycle { page: u32 },
    #[error("page {page} has the same users as an earlier page")]
    SamePage { page: u32 },
    #[error("it has more than {max} pages")]
    TooManyPages { max: u32 },
    #[error("page {page} names a next one that is not at {origin}: {why}")]
    Elsewhere { page: u32, origin: String, why: &'static str },
    #[error("the `Link` header of page {page} {why}")]
    Link { page: u32, why: Damaged },
    #[error("what should lead from page {page} to the next one is {what}")]
    NoWay { page: u32, what: &'static str },
    #[error("page {page} has something other than objects on the way of `{path}` to the next one")]
    OffTheWay { page: u32, path: String },
    #[error("page {page} does not say how many elements there are")]
    NoTotal { page: u32 },
    #[error("{why}, also when it was read again")]
    Moving { why: Moved },

    #[error("page {page} was answered with status {status}")]
    Status { page: u32, status: u16 },
    #[error("page {page} was answered with a redirect to {to}, which is not followed")]
    Redirect { page: u32, to: String },
    #[error("its credentials are refused")]
    Unauthorized,
    #[error("its credentials cannot be used: {why}")]
    NoCredentials { why: String },
    #[error("its login is locked: {why}")]
    Locked { why: String, wait: Duration },
    #[error("page {page} could not be read, and no further try is left: {why}")]
    Exhausted { page: u32, why: String },
    #[error("it cannot be reached: {why}")]
    Unreachable { why: String },
    #[error("it wants no request for {} s", wait.as_secs())]
    Silent { wait: Duration },
    #[error("it answered again and again that there were too many requests")]
    Throttled,
    #[error("it says that nothing has changed, which it was not asked")]
    Unasked,

    #[error("page {page} is not JSON: {kind}{}", titled(title))]
    NotJson { page: u32, kind: String, title: String },
    #[error("page {page} is in the charset {charset}, not in UTF-8")]
    Charset { page: u32, charset: String },
    #[error("page {page} is encoded in a way that was not asked for: {encoding}")]
    Encoding { page: u32, encoding: String },
    #[error("page {page} has more than {max} bytes")]
    PageTooLarge { page: u32, max: u64 },
    #[error("page {page} unpacks to more than 100 times its size")]
    Bomb { page: u32 },
    #[error("it has more than {max} bytes")]
    TooLarge { max: u64 },
    #[error("page {page} cannot be used: {why}")]
    Page { page: u32, why: String },

    #[error("it took longer than {} minutes", limit.as_secs() / 60)]
    TooSlow { limit: Duration },
    #[error("another process is reading it")]
    Busy,
    #[error("the run was stopped before it was read")]
    Stopped,
    #[error("HTTPS cannot be set up on this machine: {why}")]
    Setup { why: String },
    #[error("what was read cannot be kept: {why}")]
    Disk { why: String },
}

/// The signs that a feed was changed while it was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Moved {
    #[error("it has {found} elements and says that there are {told}")]
    Count { found: u64, told: u64 },
    #[error("it said at first that there are {before} elements and then {after}")]
    Total { before: u64, after: u64 },
    #[error("page {page} has a user of an earlier page")]
    Twice { page: u32 },
    #[error("page {page} is gone")]
    Gone { page: u32 },
}

fn titled(title: &str) -> String {
    if title.is_empty() { String::new() } else { format!(", titled \"{title}\"") }
}

/// The feed's paging leads nowhere, in circles, or away.
pub const PAGING: Code = Code("RD-1200");
/// The feed was changed while it was read.
pub const MOVING: Code = Code("RD-1201");
/// The server did not answer with a page.
pub const NO_PAGE: Code = Code("RD-1202");
/// The credentials are refused or cannot be read.
pub const CREDENTIALS: Code = Code("RD-1203");
/// The server cannot be reached, or asked for silence.
pub const NOT_REACHED: Code = Code("RD-1204");
/// What came is not JSON.
pub const NOT_JSON: Code = Code("RD-1205");
/// What came is larger than any feed, or took longer.
pub const LIMIT: Code = Code("RD-1206");
/// The token of the feed has not long to go.
pub const TOKEN_ENDS: Code = Code("RD-1208");
/// Something on this machine kept the feed from being read.
pub const MACHINE: Code = Code("RD-1207");

impl Flaw {
    /// The flaw as people are told of it. `feed`: what it is called there.
    pub(super) fn finding(&self, feed: &str) -> Finding {
        let (code, hint) = self.kind();
        Finding {
            severity: Severity::Refused,
            code,
            place: Place { file: Some(feed.to_owned()), ..Place::default() },
            message: self.to_string(),
            hint: hint.to_owned(),
            key: None,
        }
    }

    fn kind(&self) -> (Code, &'static str) {
        match self {
            Self::Cycle { .. } | Self::SamePage { .. } => {
                (PAGING, "look at `paging`: the server may not know its parameter")
            }
            Self::TooManyPages { .. } => (PAGING, "ask for larger pages with `page_size`"),
            Self::Elsewhere { .. } => {
                (PAGING, "credentials go nowhere but to the feed's own origin; look at the server")
            }
            Self::Link { .. } | Self::NoWay { .. } | Self::OffTheWay { .. } => {
                (PAGING, "look at `paging` and at what the server sends")
            }
            Self::NoTotal { .. } => (PAGING, "correct `total` or `total_header`, or take it out"),
            Self::Moving { .. } => (MOVING, "run again when nobody is writing there"),
            Self::Status { status: 401 | 403, .. } | Self::Unauthorized => {
                (CREDENTIALS, "look at the feed's credentials and at what they may read")
            }
            Self::NoCredentials { .. } => (CREDENTIALS, "correct them; nothing was used"),
            Self::Locked { .. } => (CREDENTIALS, "nothing is tried before the lock has ended"),
            Self::Status { .. } | Self::Redirect { .. } => {
                (NO_PAGE, "look at `url`, and at the server")
            }
            Self::Exhausted { .. } => (NO_PAGE, "nothing of it was used; run again later"),
            Self::Unreachable { .. } => (NOT_REACHED, "look at `url`, `ca_file` and the network"),
            Self::Silent { .. } | Self::Throttled => {
                (NOT_REACHED, "run again later; lower `quota` if it happens often")
            }
            Self::Unasked => (NO_PAGE, "look at what stands between here and the server"),
            Self::NotJson { .. } => (NOT_JSON, "look at `url`; a page to log in at is often it"),
            Self::Charset { .. } => (NOT_JSON, "have the server send UTF-8 (RFC 8259 §8.1)"),
            Self::Encoding { .. } => (NOT_JSON, "only gzip is unpacked"),
            Self::Page { .. } => (NOT_JSON, "nothing of the feed was used; look at the server"),
            Self::PageTooLarge { .. } => (LIMIT, "ask for smaller pages with `page_size`"),
            Self::Bomb { .. } | Self::TooLarge { .. } => {
                (LIMIT, "no roster does; look at the server")
            }
            Self::TooSlow { .. } => (LIMIT, "raise `quota`, or ask for larger pages"),
            Self::Busy => (MACHINE, "wait until it has ended"),
            Self::Stopped | Self::Setup { .. } | Self::Disk { .. } => {
                (MACHINE, "nothing of the feed was used")
            }
        }
    }
}
