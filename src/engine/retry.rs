//! When to try again: the schedule, and what `Retry-After` asks for.
//!
//! The `backoff` crate gives the schedule and is named nowhere else; the jitter is drawn here, so
//! that a test can choose it.

use crate::model::Response;
use backoff::{ExponentialBackoff, backoff::Backoff};
use jiff::{SignedDuration, Timestamp};
use std::time::{Duration, Instant, SystemTime};

/// Requests that one operation may use up in a run: the first and three more. Throttled ones do not
/// count.
pub const ATTEMPTS_MAX: u32 = 4;
/// The same where the target itself has failed (500 and unknown ones): it may do so every time, and
/// each time have done it.
pub const ATTEMPTS_AFTER_ERROR_MAX: u32 = 3;
/// First bound of a wait after a transient failure, doubled each time up to [`TRANSIENT_MAX`].
const TRANSIENT_FIRST: Duration = Duration::from_millis(500);
const TRANSIENT_MAX: Duration = Duration::from_secs(30);
/// The same for a target that throttles without saying until when.
const THROTTLE_FIRST: Duration = Duration::from_secs(2);
const THROTTLE_MAX: Duration = Duration::from_mins(2);
/// Least wait after any throttling: a target that says 0 still said "too many".
const THROTTLE_FLOOR: Duration = Duration::from_secs(1);
/// Added at most to a wait that the target named. Jitter keeps many clients from coming back at one
/// moment that each of them worked out alike; here the target worked it out, for one tenant whose
/// requests leave one after another. So only as much as keeps tenants of one target apart, and never
/// less than was asked.
const ASKED_SPREAD: Duration = Duration::from_millis(20);
/// Least wait when the target named a time that cannot be read: neither an error nor zero.
const INVALID_FLOOR: Duration = Duration::from_mins(1);
/// Longest wait that a run sits out; after a longer one the tenant's run ends, and the time is
/// stored.
pub const WAIT_IN_RUN_MAX: Duration = Duration::from_hours(1);
/// A pause beyond this is worth an alarm, not only a line.
pub const WAIT_ALARM: Duration = Duration::from_hours(24);

/// A number in `0.0..=1.0` that decides where in its range a wait falls.
#[derive(Clone, Copy, Debug)]
pub struct Dice(f64);

impl Dice {
    /// Clamped to `0.0..=1.0`.
    #[must_use]
    pub fn new(number: f64) -> Self {
        Self(number.clamp(0.0, 1.0))
    }

    /// That share of the bound.
    pub(super) fn of(self, bound: Duration) -> Duration {
        bound.mul_f64(self.0)
    }
}

/// The wait after the `n`-th transient failure in a row, from 0: full jitter, `U(0, min(30 s,
/// 0.5 s · 2^n))`.
#[must_use]
pub fn transient(n: u32, now: Instant, dice: Dice) -> Duration {
    dice.of(bound(TRANSIENT_FIRST, TRANSIENT_MAX, n, now))
}

/// The wait of the whole tenant after the `n`-th throttled answer in a row, from 0.
#[must_use]
pub fn throttled(asked: RetryAfter, n: u32, now: Instant, dice: Dice) -> Duration {
    let backed_off = || THROTTLE_FLOOR + dice.of(bound(THROTTLE_FIRST, THROTTLE_MAX, n, now));
    match asked {
        RetryAfter::Absent => backed_off(),
        RetryAfter::Invalid => INVALID_FLOOR.max(backed_off()),
        RetryAfter::Wait(wait) if wait.is_zero() => backed_off(),
        RetryAfter::Wait(wait) => wait.max(THROTTLE_FLOOR).saturating_add(dice.of(ASKED_SPREAD)),
    }
}

/// The `n`-th interval of the doubling schedule.
fn bound(first: Duration, max: Duration, n: u32, now: Instant) -> Duration {
    let mut schedule = ExponentialBackoff {
        current_interval: first,
        initial_interval: first,
        randomization_factor: 0.0,
        multiplier: 2.0,
        max_interval: max,
        start_time: now,
        max_elapsed_time: None,
        clock: backoff::SystemClock {},
    };
    // The schedule has reached its maximum long before the 32nd step.
    let steps = n.min(32);
    for _ in 0..steps {
        schedule.next_backoff();
    }
    schedule.next_backoff().unwrap_or(max).min(max)
}

/// What a response's `Retry-After` asks for (RFC 9110 §10.2.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RetryAfter {
    Absent,
    /// It is there and cannot be read.
    Invalid,
    /// Not before this has passed since the response came; zero for a time in the past.
    Wait(Duration),
}

impl RetryAfter {
    /// Reads whole seconds and the three forms of an HTTP date (RFC 9110 §5.6.7), a date against
    /// the response's own `Date` where there is one, so that neither clock need be right. Of
    /// several valid values the longest counts.
    #[must_use]
    pub fn of(response: &Response, now: Timestamp) -> Self {
        let mut found = Self::Absent;
        for value in response.header("retry-after") {
            for part in values(value) {
                let wait = delay_seconds(part).or_else(|| delay_until(part, response, now));
                found = match (found, wait) {
                    (Self::Wait(longest), Some(wait)) => Self::Wait(longest.max(wait)),
                    (_, Some(wait)) => Self::Wait(wait),
                    (Self::Wait(longest), None) => Self::Wait(longest),
                    (Self::Absent | Self::Invalid, None) => Self::Invalid,
                };
            }
        }
        found
    }
}

/// Two headers may arrive joined by a comma; an HTTP date has a comma of its own.
fn values(value: &str) -> Vec<&str> {
    let whole = value.trim();
    if httpdate::parse_http_date(whole).is_ok() || !whole.contains(',') {
        return vec![whole];
    }
    whole.split(',').map(str::trim).collect()
}

/// `1*DIGIT`; more digits than fit mean longer than anybody waits.
fn delay_seconds(text: &str) -> Option<Duration> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits
        .then(|| Duration::from_secs(text.parse::<u64>().unwrap_or(u64::MAX).min(FOREVER_SECONDS)))
}

/// Some 3,000 years: still a time that every clock type can add.
const FOREVER_SECONDS: u64 = 100_000_000_000;

fn delay_until(text: &str, response: &Response, now: Timestamp) -> Option<Duration> {
    let until = http_date(text)?;
    let from = response.header("date").find_map(http_date).unwrap_or_else(|| now.into());
    Some(until.duration_since(from).unwrap_or_default())
}

fn http_date(text: &str) -> Option<SystemTime> {
    httpdate::parse_http_date(text.trim()).ok()
}

/// The moment that lies `wait` after `now`, or the end of time.
#[must_use]
pub fn moment_after(now: Timestamp, wait: Duration) -> Timestamp {
    let wait = SignedDuration::try_from(wait).unwrap_or(SignedDuration::MAX);
    now.checked_add(wait).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Body;
    use proptest::prelude::*;

    const NOW: &str = "2026-11-21T12:00:00Z";

    fn asked(headers: &[(&str, &str)]) -> RetryAfter {
        let headers = headers.iter().map(|(name, value)| ((*name).into(), (*value).into()));
        let response =
            Response { status: 429, headers: headers.collect(), body: Body::Whole(Vec::new()) };
        RetryAfter::of(&response, NOW.parse().unwrap())
    }

    fn wait(seconds: u64) -> RetryAfter {
        RetryAfter::Wait(Duration::from_secs(seconds))
    }

    fn instant() -> Instant {
        tokio::time::Instant::now().into_std()
    }

    #[test]
    fn d02_seconds_and_all_three_date_forms_are_read() {
        assert_eq!(asked(&[("retry-after", "120")]), wait(120));
        assert_eq!(asked(&[("retry-after", "Sat, 21 Nov 2026 12:02:00 GMT")]), wait(120));
        assert_eq!(asked(&[("retry-after", "Saturday, 21-Nov-26 12:02:00 GMT")]), wait(120));
        assert_eq!(asked(&[("retry-after", "Sat Nov 21 12:02:00 2026")]), wait(120));
    }

    #[test]
    fn d02_a_date_is_measured_against_the_targets_own_clock() {
        let headers = [
            ("date", "Sat, 21 Nov 2026 11:00:00 GMT"),
            ("retry-after", "Sat, 21 Nov 2026 11:00:30 GMT"),
        ];
        assert_eq!(asked(&headers), wait(30));
    }

    #[test]
    fn d03_no_header_asks_for_nothing() {
        assert_eq!(asked(&[]), RetryAfter::Absent);
    }

    #[test]
    fn d04_what_cannot_be_read_is_neither_an_error_nor_zero() {
        let invalid = [
            "-1",
            "1.5",
            "+5",
            "120s",
            "",
            "Sat, 21 Nov 2026 12:02:00 UTC",
            "Sat, 21 Nov 2026 12:02:00 +0000",
            "١٢٠",
            "１２０",
            "soon",
        ];
        for value in invalid {
            assert_eq!(asked(&[("retry-after", value)]), RetryAfter::Invalid, "{value:?}");
        }
        let least = throttled(RetryAfter::Invalid, 0, instant(), Dice::new(0.0));
        assert!(least >= Duration::from_mins(1));
    }

    #[test]
    fn d05_a_time_in_the_past_still_waits_a_second() {
        assert_eq!(asked(&[("retry-after", "Sat, 21 Nov 2026 11:00:00 GMT")]), wait(0));
        let least = throttled(wait(0), 0, instant(), Dice::new(0.0));
        assert_eq!(least, Duration::from_secs(1));
    }

    #[test]
    fn d02_a_time_that_was_named_is_kept_to_the_hundredth_and_never_undercut() {
        for seconds in [1, 3, 600] {
            let asked = Duration::from_secs(seconds);
            for dice in [0.0, 0.5, 1.0] {
                let waits = throttled(wait(seconds), 7, instant(), Dice::new(dice));
                assert!(waits >= asked && waits <= asked + Duration::from_millis(20), "{waits:?}");
            }
        }
        let unnamed = |dice| throttled(RetryAfter::Absent, 3, instant(), Dice::new(dice));
        assert_eq!(unnamed(1.0), unnamed(0.0) + Duration::from_secs(16), "full jitter");
    }

    #[test]
    fn d06_a_huge_wait_is_kept_and_never_overflows() {
        let huge = asked(&[("retry-after", "100000000000000000000000")]);
        let RetryAfter::Wait(duration) = huge else { panic!("not read: {huge:?}") };
        assert!(duration > WAIT_ALARM);
        let waited = throttled(huge, 40, instant(), Dice::new(1.0));
        assert!(moment_after(NOW.parse().unwrap(), waited) > NOW.parse().unwrap());
        assert_eq!(moment_after(NOW.parse().unwrap(), Duration::MAX), Timestamp::MAX);
    }

    #[test]
    fn d07_of_several_values_the_longest_counts() {
        assert_eq!(asked(&[("retry-after", "120, 60")]), wait(120));
        assert_eq!(asked(&[("retry-after", "5"), ("retry-after", "90")]), wait(90));
        assert_eq!(asked(&[("retry-after", "soon"), ("retry-after", "90")]), wait(90));
    }

    #[test]
    fn the_schedule_doubles_from_half_a_second_to_thirty_seconds() {
        let longest = |n| transient(n, instant(), Dice::new(1.0)).as_secs_f64();
        let bounds: Vec<f64> = (0..8).map(longest).collect();
        assert_eq!(bounds, [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0]);
        assert_eq!(transient(3, instant(), Dice::new(0.0)), Duration::ZERO);
    }

    proptest! {
        #[test]
        fn p07_a_wait_that_nobody_asked_for_stays_within_its_bounds(
            n in any::<u32>(), dice in any::<f64>()
        ) {
            prop_assert!(transient(n, instant(), Dice::new(dice)) <= Duration::from_secs(30));
            let wait = throttled(RetryAfter::Absent, n, instant(), Dice::new(dice));
            prop_assert!((Duration::from_secs(1)..=Duration::from_secs(121)).contains(&wait), "{wait:?}");
            let wait = throttled(RetryAfter::Invalid, n, instant(), Dice::new(dice));
            prop_assert!((Duration::from_mins(1)..=Duration::from_secs(121)).contains(&wait), "{wait:?}");
        }

        #[test]
        fn p06_a_throttled_tenant_waits_at_least_what_was_asked_and_at_least_a_second(
            value in "\\PC{0,24}", seconds in any::<u64>(), n in 0_u32..60, dice in 0.0..=1.0
        ) {
            for value in [value, seconds.to_string()] {
                let asked = asked(&[("retry-after", &value)]);
                let wait = throttled(asked, n, instant(), Dice::new(dice));
                prop_assert!(wait >= Duration::from_secs(1));
                if let RetryAfter::Wait(least) = asked {
                    prop_assert!(wait >= least);
                }
            }
        }
    }
}
