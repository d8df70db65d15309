//! When what failed is tried again: the long schedule of users and of whole tenants.
//!
//! ```text
//!  first failure ─► 6 h ─► 12 h ─► 24 h ─► every 24 h ─► … ─► 28 days ─► given up
//!        ▲                                                                   │
//!        └────────── another wish, or a person says so ◄─────────────────────┘
//! ```
//! Throttling (429) and a target that is not there just now (503) count for nothing.

use super::retry::ATTEMPTS_MAX;
use crate::model::{HeldReason, Outcome};
use jiff::{SignedDuration, Timestamp};

/// Hours from the first failure to the first tries after it.
const FIRST_HOURS: [i64; 2] = [6, 12];
const DAY_HOURS: i64 = 24;
/// After so many days nobody is tried again, unless a person or another wish says so.
pub const GIVE_UP_DAYS: i64 = 28;
/// A try is due so long before its hour: a nightly run begins some minutes earlier or later than
/// the one before, and once a year a night is an hour shorter.
pub const SLACK: SignedDuration = SignedDuration::from_hours(2);

/// The longest time between two tries, and some more.
const AHEAD_MAX: SignedDuration = SignedDuration::from_hours(2 * DAY_HOURS);

/// The hour of the next try after a failure at `now`; `None`: given up. `since`: the first failure.
#[must_use]
pub fn next_try(since: Timestamp, now: Timestamp) -> Option<Timestamp> {
    let days = (1..=GIVE_UP_DAYS).map(|day| day * DAY_HOURS);
    let hours = FIRST_HOURS.into_iter().chain(days);
    let mut tries =
        hours.filter_map(|hours| since.checked_add(SignedDuration::from_hours(hours)).ok());
    // One that would be due already is this very failure.
    tries.find(|at| at.duration_since(now) > SLACK)
}

/// An hour that is further ahead than any failure sets it is one of a clock that was set back since.
#[must_use]
pub fn is_due(next_try: Timestamp, now: Timestamp) -> bool {
    let ahead = next_try.duration_since(now);
    ahead <= SLACK || ahead > AHEAD_MAX
}

/// Why a user is in quarantine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The target refused it, for a reason that is not about one value.
    Refused,
    /// The target has no such user.
    Gone,
    /// Nobody knows what became of it, as often as the target was asked.
    InDoubt,
    /// It could not be brought to the target, as often as that was tried.
    Unreachable,
    /// No account answers to what the user is looked for by.
    Nobody,
    /// Several do.
    Several,
}

impl Cause {
    const ALL: [Self; 6] =
        [Self::Refused, Self::Gone, Self::InDoubt, Self::Unreachable, Self::Nobody, Self::Several];

    /// It says something of one user only, and nothing of the tenant.
    #[must_use]
    pub fn is_of_links(self) -> bool {
        matches!(self, Self::Nobody | Self::Several)
    }

    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::Gone => "gone",
            Self::InDoubt => "in_doubt",
            Self::Unreachable => "unreachable",
            Self::Nobody => "nobody",
            Self::Several => "several",
        }
    }

    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|cause| cause.as_str() == text)
    }

    #[must_use]
    pub fn held_reason(self) -> HeldReason {
        match self {
            Self::Refused => HeldReason::Refused,
            Self::Gone => HeldReason::Gone,
            Self::InDoubt => HeldReason::InDoubt,
            Self::Unreachable => HeldReason::Unreachable,
            Self::Nobody => HeldReason::NoRemoteId,
            Self::Several => HeldReason::Ambiguous,
        }
    }

    /// In words, for reports.
    #[must_use]
    pub fn told(self) -> &'static str {
        match self {
            Self::Refused => "the target refused it",
            Self::Gone => "the target has no such user",
            Self::InDoubt => "no trustworthy answer came",
            Self::Unreachable => "the target could not be brought to do it",
            Self::Nobody => "no account was found",
            Self::Several => "several accounts were found",
        }
    }
}

/// What an outcome means for its user's quarantine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Effect {
    /// It is over: done, or remembered of the values that the target will not take.
    Ends,
    /// One more failure, or the first.
    Fails(Cause),
    /// It says nothing: a look, a run that ended first, a target that wants silence.
    #[default]
    Nothing,
}

/// What is known of an operation when it has ended, besides its outcome.
#[derive(Clone, Copy, Debug)]
pub struct Circumstances {
    pub is_read: bool,
    /// Of the last answer, if there was one.
    pub status: Option<u16>,
    pub requests: u32,
    /// The refused values are remembered and not sent again, so there is nothing to try.
    pub remembered: bool,
}

impl Effect {
    #[must_use]
    pub fn of(outcome: &Outcome, circumstances: Circumstances) -> Self {
        let Circumstances { is_read, status, requests, remembered } = circumstances;
        let silent = matches!(status, Some(429 | 503));
        // With fewer the run ended first, which is nobody's fault.
        let worn_out = requests >= ATTEMPTS_MAX && !silent;
        match outcome {
            Outcome::Settled { .. } if is_read => Self::Nothing,
            Outcome::Settled { .. } | Outcome::Created { .. } | Outcome::Deleted => Self::Ends,
            Outcome::Refused(_) if remembered => Self::Ends,
            Outcome::Refused(refusal) if matches!(refusal.status, 429 | 503) => Self::Nothing,
            Outcome::Refused(_) => Self::Fails(Cause::Refused),
            Outcome::Gone => Self::Fails(Cause::Gone),
            Outcome::InDoubt { .. } if worn_out => Self::Fails(Cause::InDoubt),
            Outcome::Deferred { .. } if worn_out => Self::Fails(Cause::Unreachable),
            // What comes of a look-up is decided when all of them are over.
            Outcome::InDoubt { .. }
            | Outcome::Deferred { .. }
            | Outcome::Matched { .. }
            | Outcome::Nobody
            | Outcome::Ambiguous { .. } => Self::Nothing,
        }
    }
}

/// Why a whole tenant is in quarantine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TenantCause {
    /// The credentials are refused.
    Credentials,
    /// No request can succeed: a certificate, a redirect, another API than configured.
    Broken,
    /// Too many users failed.
    Rate,
}

impl TenantCause {
    const ALL: [Self; 3] = [Self::Credentials, Self::Broken, Self::Rate];

    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Credentials => "credentials",
            Self::Broken => "broken",
            Self::Rate => "rate",
        }
    }

    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|cause| cause.as_str() == text)
    }
}

/// What a run tried, in operations.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tried {
    /// That came to some end, throttled and unreachable ones left out.
    pub ended: u64,
    /// Done, or seen.
    pub fine: u64,
    /// Refused or gone: the same would happen again.
    pub failed: u64,
}

/// Fewer operations than this prove nothing about a tenant.
const ENDED_LEAST: u64 = 50;
const FAILED_PERCENT: u64 = 40;
/// So many users that fail are too many whatever the share.
const USERS_MAX: u64 = 1000;

impl Tried {
    /// Too many failed for the rest to be tried. `users`: who failed in this run.
    #[must_use]
    pub fn is_too_bad(self, users: u64) -> bool {
        users >= USERS_MAX || self.ended >= ENDED_LEAST && self.mostly_fails()
    }

    fn mostly_fails(self) -> bool {
        self.failed * 100 > self.ended * FAILED_PERCENT
    }

    /// What a probe of a tenant in quarantine says: `None` when nothing came to an end.
    #[must_use]
    pub fn is_good(self) -> Option<bool> {
        (self.ended > 0).then(|| self.fine > 0 && !self.mostly_fails())
    }
}

/// Operations that a tenant in quarantine is tried with.
pub const PROBE: usize = 5;

/// Takes the operations of a probe out, spread over all of them: those that fail may stand
/// together.
#[must_use]
pub fn probe<T>(operations: Vec<T>) -> (Vec<T>, Vec<T>) {
    let step = operations.len().div_ceil(PROBE).max(1);
    let (mut probe, mut rest) = (Vec::new(), Vec::new());
    for (at, operation) in operations.into_iter().enumerate() {
        if at % step == 0 { probe.push(operation) } else { rest.push(operation) }
    }
    (probe, rest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Attributes, Excerpt, Refusal};
    use proptest::prelude::*;

    fn at(hours: i64) -> Timestamp {
        Timestamp::UNIX_EPOCH + SignedDuration::from_hours(hours)
    }

    /// The hours of all tries of a user who fails each time at once.
    fn tries() -> Vec<i64> {
        let mut tries = Vec::new();
        let mut next = next_try(at(0), at(0));
        while let Some(try_at) = next {
            tries.push(try_at.as_second() / 3600);
            next = next_try(at(0), try_at);
        }
        tries
    }

    #[test]
    fn the_schedule_is_6_12_24_hours_and_then_daily_for_28_days() {
        let tries = tries();
        assert_eq!(tries[..4], [6, 12, 24, 48]);
        assert_eq!((tries.len(), *tries.last().unwrap()), (30, 28 * 24));
    }

    #[test]
    fn a_nightly_run_is_always_due_and_one_an_hour_later_never() {
        let jitter = [0, 900, -900, 3600, -3600, 5, -5];
        let mut next = next_try(at(0), at(0)).unwrap();
        for night in 1..28 {
            let second = night * 86_400 + jitter[usize::try_from(night).unwrap() % jitter.len()];
            let now = Timestamp::from_second(second).unwrap();
            assert!(is_due(next, now), "night {night}");
            next = next_try(at(0), now).unwrap();
            assert!(!is_due(next, now + SignedDuration::from_hours(1)), "night {night}");
        }
    }

    fn effect(outcome: &Outcome, status: Option<u16>, requests: u32) -> Effect {
        let is_read = false;
        Effect::of(outcome, Circumstances { is_read, status, requests, remembered: false })
    }

    #[test]
    fn throttling_and_a_run_that_ended_first_count_for_nothing() {
        let (why, code) = (String::new(), String::new());
        let deferred = Outcome::Deferred { why: why.clone() };
        let in_doubt = Outcome::InDoubt { why };
        for outcome in [&deferred, &in_doubt] {
            assert_eq!(effect(outcome, Some(503), 4), Effect::Nothing);
            assert_eq!(effect(outcome, Some(429), 9), Effect::Nothing);
            assert_eq!(effect(outcome, None, 1), Effect::Nothing);
        }
        assert_eq!(effect(&deferred, Some(502), 4), Effect::Fails(Cause::Unreachable));
        assert_eq!(effect(&in_doubt, None, 4), Effect::Fails(Cause::InDoubt));
        let refused = |status| {
            let excerpt = Excerpt::default();
            Outcome::Refused(Refusal { status, code: code.clone(), excerpt, attributes: vec![] })
        };
        assert_eq!(effect(&refused(403), Some(403), 1), Effect::Fails(Cause::Refused));
        assert_eq!(effect(&refused(503), Some(503), 1), Effect::Nothing);
    }

    #[test]
    fn a_refusal_that_is_remembered_of_its_value_and_a_success_end_a_quarantine() {
        let (code, excerpt) = (String::new(), Excerpt::default());
        let refusal = Refusal { status: 400, code, excerpt, attributes: vec![] };
        let (status, requests) = (Some(400), 1);
        let told = Circumstances { is_read: false, status, requests, remembered: true };
        assert_eq!(Effect::of(&Outcome::Refused(refusal), told), Effect::Ends);
        let settled = Outcome::Settled { shown: Attributes::new(), unverified: false };
        assert_eq!(effect(&settled, Some(200), 1), Effect::Ends);
        // A look shows that the user is there, and nothing of what is wished.
        let looked = Circumstances { is_read: true, remembered: false, ..told };
        assert_eq!(Effect::of(&settled, looked), Effect::Nothing);
    }

    #[test]
    fn a_tenant_fails_by_rate_from_50_operations_on_or_by_a_thousand_users() {
        let tried = |ended, failed| Tried { ended, fine: ended - failed, failed };
        assert!(!tried(49, 49).is_too_bad(49));
        assert!(!tried(50, 20).is_too_bad(20));
        assert!(tried(50, 21).is_too_bad(21));
        assert!(!tried(9_000, 999).is_too_bad(999));
        assert!(tried(9_000, 1_000).is_too_bad(1_000));
        let probes = [tried(0, 0), tried(5, 2), tried(5, 3), tried(1, 1)].map(Tried::is_good);
        assert_eq!(probes, [None, Some(true), Some(false), Some(false)]);
    }

    #[test]
    fn names_are_read_back() {
        assert!(Cause::ALL.iter().all(|cause| Cause::parse(cause.as_str()) == Some(*cause)));
        let causes = TenantCause::ALL;
        assert!(causes.iter().all(|cause| TenantCause::parse(cause.as_str()) == Some(*cause)));
    }

    proptest! {
        #[test]
        fn a_try_is_never_due_at_its_failure_and_never_more_than_a_day_and_the_slack_away(
            since in 0_i64..10_000_000, after in 0_i64..3_000_000
        ) {
            let since = Timestamp::from_second(since).unwrap();
            let now = since + SignedDuration::from_secs(after);
            match next_try(since, now) {
                None => prop_assert!(after > (GIVE_UP_DAYS * 24 - 3) * 3600),
                Some(next) => {
                    prop_assert!(!is_due(next, now));
                    prop_assert!(next.duration_since(now) <= SignedDuration::from_hours(26));
                }
            }
        }

        #[test]
        fn a_probe_takes_five_at_most_and_loses_nobody(count in 0_usize..99) {
            let (probe, rest) = probe((0..count).collect());
            prop_assert!(probe.len() <= PROBE && (count == 0 || !probe.is_empty()));
            let mut all: Vec<usize> = probe.into_iter().chain(rest).collect();
            all.sort_unstable();
            prop_assert_eq!(all, (0..count).collect::<Vec<_>>());
        }
    }
}
