//! What one request came back with, and what that says of the target itself.

use super::{breaker::Pulse, retry::RetryAfter};
use crate::model::{Answer, Verdict};
use std::time::Duration;

/// What one request came back with.
#[derive(Clone, Debug)]
pub enum Reply {
    Answered {
        answer: Answer,
        status: u16,
        retry_after: RetryAfter,
    },
    /// It certainly did not reach the target.
    NotSent {
        why: String,
    },
    /// Part of it left, and no answer came.
    Lost {
        why: String,
    },
    /// Nothing that is sent to this tenant can succeed: its certificate is not valid.
    Unreachable {
        why: String,
    },
}

/// The silence that an answer asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// Too many requests: this one was turned away.
    Throttled(RetryAfter),
    /// The answer counts as what it is; after it, none for so long.
    Silence(Duration),
}

impl Reply {
    /// What it asks of the whole tenant. `Retry-After` is honoured on every status. With 503 it
    /// turns the request away, and with 401, 403 and 413 too, as GitHub and RFC 9110 §15.5.14 have
    /// it; with any other status it leaves the answer what it is, and there a header that cannot be
    /// read asks for nothing.
    #[must_use]
    pub fn asks(&self) -> Option<Asked> {
        let Self::Answered { answer, status, retry_after } = self else { return None };
        let throttles = match answer.verdict {
            Verdict::Throttled => true,
            Verdict::Unavailable => *retry_after != RetryAfter::Absent,
            _ => matches!(status, 401 | 403 | 413) && *retry_after != RetryAfter::Absent,
        };
        match retry_after {
            _ if throttles => Some(Asked::Throttled(*retry_after)),
            RetryAfter::Wait(wait) if !wait.is_zero() => Some(Asked::Silence(*wait)),
            RetryAfter::Wait(_) | RetryAfter::Absent | RetryAfter::Invalid => None,
        }
    }

    /// The request was turned away, and nothing was done.
    #[must_use]
    pub fn throttles(&self) -> bool {
        matches!(self.asks(), Some(Asked::Throttled(_)))
    }

    /// What it says of the target itself.
    #[must_use]
    pub fn pulse(&self) -> Pulse {
        match self {
            Self::NotSent { .. } => Pulse::Unreached,
            Self::Lost { .. } => Pulse::Failing,
            Self::Unreachable { .. } => Pulse::Silent,
            Self::Answered { .. } if self.throttles() => Pulse::Silent,
            Self::Answered { answer, status, .. } => match answer.verdict {
                Verdict::Applied { .. }
                | Verdict::Found { .. }
                | Verdict::Matches(_)
                | Verdict::Created { .. }
                | Verdict::Missing
                | Verdict::Conflict
                | Verdict::Rejected { .. }
                | Verdict::Unauthorized
                | Verdict::Forbidden => Pulse::Well,
                // Accepted, or done in part: a target that is slow, and works.
                Verdict::Uncertain if matches!(status, 202 | 207) => Pulse::Well,
                Verdict::Uncertain | Verdict::Unavailable => Pulse::Failing,
                Verdict::Throttled | Verdict::Broken => Pulse::Silent,
            },
        }
    }

    /// A page for people, where an API should be.
    #[must_use]
    pub fn is_page(&self) -> bool {
        matches!(self, Self::Answered { answer, .. } if answer.code == Answer::PAGE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(verdict: Verdict, status: u16, retry_after: RetryAfter) -> Reply {
        Reply::Answered { answer: Answer::of(verdict), status, retry_after }
    }

    const MINUTE: Duration = Duration::from_mins(1);
    const WAIT: RetryAfter = RetryAfter::Wait(MINUTE);

    #[test]
    fn d08_retry_after_with_503_401_403_or_413_turns_the_request_away() {
        let rejected = || Verdict::Rejected { attributes: Vec::new() };
        let turned_away = [
            (Verdict::Throttled, 429),
            (Verdict::Throttled, 408),
            (Verdict::Unavailable, 503),
            (Verdict::Unauthorized, 401),
            (Verdict::Forbidden, 403),
            (rejected(), 413),
            (Verdict::Broken, 413),
        ];
        for (verdict, status) in turned_away {
            for asked in [WAIT, RetryAfter::Invalid] {
                let reply = reply(verdict.clone(), status, asked);
                assert_eq!(reply.asks(), Some(Asked::Throttled(asked)), "{status}");
                assert_eq!(reply.pulse(), Pulse::Silent, "{status}");
            }
            let plain = reply(verdict, status, RetryAfter::Absent);
            assert_eq!(plain.throttles(), matches!(status, 429 | 408), "{status}");
        }
    }

    #[test]
    fn d08_retry_after_with_any_other_status_leaves_the_answer_what_it_is() {
        let shown = crate::model::Attributes::new;
        for (verdict, status) in [
            (Verdict::Applied { shown: shown() }, 200),
            (Verdict::Uncertain, 202),
            (Verdict::Missing, 404),
            (Verdict::Rejected { attributes: Vec::new() }, 400),
            (Verdict::Uncertain, 500),
            (Verdict::Broken, 301),
        ] {
            let asked = reply(verdict.clone(), status, WAIT).asks();
            assert_eq!(asked, Some(Asked::Silence(MINUTE)), "{status}");
            for nothing in [RetryAfter::Invalid, RetryAfter::Absent] {
                assert_eq!(reply(verdict.clone(), status, nothing).asks(), None, "{status}");
            }
        }
    }

    #[test]
    fn d17_what_was_accepted_and_not_yet_done_is_no_failure_of_the_target() {
        let pulse = |status| reply(Verdict::Uncertain, status, RetryAfter::Absent).pulse();
        assert_eq!([202, 500, 200].map(pulse), [Pulse::Well, Pulse::Failing, Pulse::Failing]);
    }
}
