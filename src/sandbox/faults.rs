//! What can go wrong on the way to an API and back, by script or by chance.

use jiff::{Timestamp, tz::TimeZone};
use std::{collections::BTreeMap, time::Duration};

/// Which requests of a tenant meet which fault.
#[derive(Clone, Debug, Default)]
pub struct Faults {
    /// By the request's number, counted from 1 since the faults were set; goes before `shares`.
    pub script: BTreeMap<u64, Fault>,
    /// A share of all requests, 0 to 1; the shares together are at most 1.
    pub shares: Vec<(f64, Fault)>,
    /// Makes the shares fall the same way in every run.
    pub seed: u64,
    /// GETs are spared, and not counted.
    pub only_patches: bool,
}

impl Faults {
    pub fn none() -> Self {
        Self::default()
    }

    /// Faults for the requests with these numbers, the first being 1.
    pub fn script(faults: impl IntoIterator<Item = (u64, Fault)>) -> Self {
        Self { script: faults.into_iter().collect(), ..Self::default() }
    }

    /// Faults for these shares of the requests.
    pub fn shares(seed: u64, shares: impl IntoIterator<Item = (f64, Fault)>) -> Self {
        Self { seed, shares: shares.into_iter().collect(), ..Self::default() }
    }

    /// The same fault for every request.
    pub fn always(fault: Fault) -> Self {
        Self::shares(0, [(1.0, fault)])
    }

    #[must_use]
    pub fn only_patches(self) -> Self {
        Self { only_patches: true, ..self }
    }
}

/// One thing that goes wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// 429, not applied.
    Throttle {
        retry_after: RetryAfterForm,
    },
    /// 503, not applied.
    Unavailable {
        retry_after: RetryAfterForm,
    },
    /// Applied, then the connection is closed without an answer.
    LostAnswer,
    /// The connection is closed without an answer and nothing was applied.
    LostRequest,
    /// The connection is closed without an answer, and the effect comes after this time.
    LateEffect(Duration),
    /// The connection is closed without an answer, and the effect comes when
    /// [`Sandbox::release`](super::Sandbox::release) says so.
    Withheld,
    /// Applied at once, answered after this time.
    Slow(Duration),
    /// Applied, but the answer is 500.
    Error500Applied,
    Error500NotApplied,
    /// Applied, but a gateway in between answers 504.
    Error504Applied,
    Error504NotApplied,
    /// A proxy's HTML page with status 502, not applied.
    Error502Html,
    /// Applied, and the connection is closed in the middle of the answer's body.
    CutBody,
    /// Applied, and the successful answer has no body.
    EmptyBody,
    /// Applied, but the answer names another user.
    OtherUser,
    /// Success is answered with the account unchanged.
    Ignored,
    /// 307 to another host, not applied.
    Redirect,
    /// 401, as after the token ran out.
    Unauthorized,
    /// 403.
    Forbidden,
    /// 409, not applied.
    Conflict,
    /// That status, not applied, with a time to come again.
    TurnedAway {
        status: u16,
        retry_after: RetryAfterForm,
    },
    /// Answered as without a fault, with a time until which nothing else is to come.
    WantsSilence {
        retry_after: RetryAfterForm,
    },
    /// 400 without a word about the reason for every PATCH that sets the attribute.
    Rejects {
        name: &'static str,
    },
}

/// How a Retry-After header is written (RFC 9110 §10.2.3 and §5.6.7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RetryAfterForm {
    /// There is no header.
    None,
    Seconds(u64),
    /// `Sun, 06 Nov 1994 08:49:37 GMT`, so many seconds from now.
    ImfFixdate(u64),
    /// `Sunday, 06-Nov-94 08:49:37 GMT`
    Rfc850(u64),
    /// `Sun Nov  6 08:49:37 1994`
    Asctime(u64),
    /// The header holds this text, which asks for nothing that a client must honour.
    Invalid(&'static str),
}

impl RetryAfterForm {
    pub(super) fn header(self, now: Timestamp) -> Option<String> {
        let date = |seconds, format| {
            later(now, seconds).to_zoned(TimeZone::UTC).strftime(format).to_string()
        };
        match self {
            Self::None => None,
            Self::Seconds(seconds) => Some(seconds.to_string()),
            Self::ImfFixdate(seconds) => Some(date(seconds, "%a, %d %b %Y %H:%M:%S GMT")),
            Self::Rfc850(seconds) => Some(date(seconds, "%A, %d-%b-%y %H:%M:%S GMT")),
            Self::Asctime(seconds) => Some(date(seconds, "%a %b %e %H:%M:%S %Y")),
            Self::Invalid(text) => Some(text.to_owned()),
        }
    }

    /// How long the client must stay away. A date has no fractions of a second, so that it names
    /// an instant up to one second before.
    pub(super) fn wait(self, now: Timestamp) -> Option<Duration> {
        match self {
            Self::None | Self::Invalid(_) => None,
            Self::Seconds(seconds) => Some(Duration::from_secs(seconds)),
            Self::ImfFixdate(seconds) | Self::Rfc850(seconds) | Self::Asctime(seconds) => {
                Some(now.duration_until(later(now, seconds)).try_into().unwrap_or_default())
            }
        }
    }
}

fn later(now: Timestamp, seconds: u64) -> Timestamp {
    let seconds = i64::try_from(seconds).unwrap_or(i64::MAX);
    Timestamp::from_second(now.as_second().saturating_add(seconds)).unwrap_or(Timestamp::MAX)
}

/// Faults in the course of being dealt out.
#[derive(Debug)]
pub(super) struct FaultPlan {
    faults: Faults,
    chance: fastrand::Rng,
    met: u64,
}

impl FaultPlan {
    pub(super) fn new(faults: Faults) -> Self {
        let chance = fastrand::Rng::with_seed(faults.seed);
        Self { faults, chance, met: 0 }
    }

    /// The fault that this request meets.
    pub(super) fn next(&mut self, method: &str) -> Option<Fault> {
        if self.faults.only_patches && method == "GET" {
            return None;
        }
        self.met += 1;
        let mut drawn = self.chance.f64();
        if let Some(fault) = self.faults.script.get(&self.met) {
            return Some(fault.clone());
        }
        let mut shares = self.faults.shares.iter();
        let hit = shares.find(|(share, _)| {
            drawn -= share;
            drawn < 0.0
        });
        hit.map(|(_, fault)| fault.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_written_in_each_form_of_the_standard() {
        let now: Timestamp = "1994-11-06T08:49:07.25Z".parse().unwrap();
        for (form, header, wait_ms) in [
            (RetryAfterForm::None, None, None),
            (RetryAfterForm::Seconds(30), Some("30"), Some(30_000)),
            (RetryAfterForm::ImfFixdate(30), Some("Sun, 06 Nov 1994 08:49:37 GMT"), Some(29_750)),
            (RetryAfterForm::Rfc850(30), Some("Sunday, 06-Nov-94 08:49:37 GMT"), Some(29_750)),
            (RetryAfterForm::Asctime(30), Some("Sun Nov  6 08:49:37 1994"), Some(29_750)),
            (RetryAfterForm::ImfFixdate(0), Some("Sun, 06 Nov 1994 08:49:07 GMT"), Some(0)),
            (RetryAfterForm::Invalid("soon"), Some("soon"), None),
        ] {
            assert_eq!(form.header(now).as_deref(), header, "{form:?}");
            assert_eq!(form.wait(now), wait_ms.map(Duration::from_millis), "{form:?}");
        }
    }

    #[test]
    fn the_same_seed_deals_the_same_faults_in_the_asked_share() {
        let deal = |seed| {
            let mut plan = FaultPlan::new(Faults::shares(seed, [(0.25, Fault::LostAnswer)]));
            (0..1000).map(|_| plan.next("PATCH").is_some()).collect::<Vec<_>>()
        };
        assert_eq!(deal(7), deal(7));
        assert_ne!(deal(7), deal(8));
        let hits = deal(7).into_iter().filter(|hit| *hit).count();
        assert!((200..300).contains(&hits), "{hits} of 1000");
    }

    #[test]
    fn a_script_may_spare_reads() {
        let script = Faults::script([(2, Fault::LostRequest)]).only_patches();
        let mut plan = FaultPlan::new(script);
        let dealt = ["PATCH", "GET", "PATCH", "PATCH"].map(|method| plan.next(method).is_some());
        assert_eq!(dealt, [false, false, true, false]);
    }
}
