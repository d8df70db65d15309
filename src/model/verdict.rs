//! What a response means, and what became of an operation.

use super::{AttrPath, Attributes, RemoteId};
use std::fmt;

/// What a response means: the full space. A vendor's words end here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The change was done. `shown`: the attributes that the answer showed, unset ones included;
    /// empty when it showed none (204, or a body that cannot be read).
    Applied { shown: Attributes },
    /// The user, as a read shows it.
    Found { shown: Attributes },
    /// All accounts that answer to what was looked for, each with its id and as the list shows it.
    Matches(Vec<(RemoteId, Attributes)>),
    /// An account was made. `shown` as with `Applied`.
    Created { id: RemoteId, shown: Attributes },
    /// There is no such user at the target.
    Missing,
    /// Too many requests: 429, and 425 and 408, which promise that nothing was done.
    Throttled,
    /// 503: not now.
    Unavailable,
    /// It may or may not have been done: 500, 502, 504, an answer that was cut or makes no sense.
    Uncertain,
    /// 409, 412: look again, diff again, try once more.
    Conflict,
    /// This wish will never be taken. `attributes`: those at fault, as far as the answer tells;
    /// empty when it does not.
    Rejected { attributes: Vec<AttrPath> },
    /// The credentials are not valid (any more).
    Unauthorized,
    /// Valid, but not allowed to do this; perhaps for this user only.
    Forbidden,
    /// Nothing that is sent to this tenant can succeed: a redirect, the wrong content, an endpoint
    /// that is gone.
    Broken,
}

/// A verdict with what a person needs to act on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    pub verdict: Verdict,
    /// The vendor's error code, of `[A-Za-z0-9_.-]{1,64}`: safe to log. Empty when there is none.
    pub code: String,
    /// The vendor's message. Personal: for reports only.
    pub excerpt: Excerpt,
}

impl Answer {
    /// The code of a page for people where an API should have answered.
    pub const PAGE: &str = "html";

    #[must_use]
    pub fn of(verdict: Verdict) -> Self {
        Self { verdict, code: String::new(), excerpt: Excerpt::default() }
    }
}

/// At most 300 characters of an error body, control and bidirectional characters replaced. May hold
/// personal data, so `Debug` hides it.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Excerpt(String);

impl Excerpt {
    const MAX_CHARS: usize = 300;

    #[must_use]
    pub fn of(text: &str) -> Self {
        let safe = |c: char| if c.is_control() || is_bidi_control(c) { ' ' } else { c };
        Self(text.trim().chars().take(Self::MAX_CHARS).map(safe).collect())
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Characters that reorder what stands around them on a terminal.
fn is_bidi_control(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

impl fmt::Debug for Excerpt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Excerpt({} bytes)", self.0.len())
    }
}

/// What became of an operation: the only thing that moves the snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The target showed these attributes; all that was sent is among them, or the target offers
    /// no way to see it (then `unverified`, and what was sent is taken to hold).
    Settled { shown: Attributes, unverified: bool },
    /// The target will not take it. Nothing changed there.
    Refused(Refusal),
    /// It left, and nobody knows whether it was done.
    InDoubt { why: String },
    /// It never left, or the target said that nothing was done; the next run plans it again.
    Deferred { why: String },
    /// There is no such user at the target.
    Gone,
    /// Exactly one account answers to what was looked for: it is linked to the user once nobody else
    /// turns out to have it.
    Matched { remote_id: RemoteId, shown: Attributes, by: AttrPath },
    /// No account answers to what was looked for.
    Nobody,
    /// So many accounts answer to it.
    Ambiguous { count: usize },
    /// An account was made; else as `Settled`.
    Created { remote_id: RemoteId, shown: Attributes, unverified: bool },
    /// The account is not there any more, as was wished.
    Deleted,
}

/// Why the target will not take a wish.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    pub status: u16,
    pub code: String,
    pub excerpt: Excerpt,
    /// The attributes at fault; empty when the answer does not tell, and then all that were sent.
    pub attributes: Vec<AttrPath>,
}
