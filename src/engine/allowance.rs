//! What a response says is left of the target's own count: `RateLimit` in the forms that its IETF
//! draft has had, and the `X-RateLimit-*` that came before it.
//!
//! It is only ever taken to slow down. A malformed field is no field (draft-ietf-httpapi-ratelimit-
//! headers-10, client behaviour), and a time beyond [`RESET_MAX`] is one: an epoch that is read as
//! seconds from now would stall a tenant for decades.

use crate::model::Response;
use jiff::Timestamp;
use std::time::Duration;

/// Longest time until the count starts anew that is believed.
pub const RESET_MAX: Duration = Duration::from_hours(1);

const OLDER: [(&str, &str); 2] = [
    ("x-ratelimit-remaining", "x-ratelimit-reset"),
    ("x-rate-limit-remaining", "x-rate-limit-reset"),
];

/// So many requests are taken until the count starts anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allowance {
    pub remaining: u64,
    /// From now on; at most [`RESET_MAX`].
    pub reset: Duration,
}

/// What `X-RateLimit-Reset` counts, which no header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ResetUnit {
    /// Seconds from now.
    Delta,
    /// Milliseconds from now.
    DeltaMs,
    /// Seconds since 1970 (GitHub, Okta).
    Epoch,
    /// Milliseconds since 1970.
    EpochMs,
}

impl Allowance {
    /// The narrowest of what the response says. `unit`: of the older headers, which are not looked
    /// at without one.
    #[must_use]
    pub fn of(response: &Response, unit: Option<ResetUnit>, now: Timestamp) -> Option<Self> {
        let current = response.header("ratelimit").flat_map(fields);
        let seconds = |number| Some(Duration::from_secs(number));
        let split = pair(response, "ratelimit-remaining", "ratelimit-reset", seconds);
        let older = OLDER.into_iter().filter_map(|(remaining, reset)| {
            pair(response, remaining, reset, |number| from_now(number, unit?, now))
        });
        let all = current.chain(split).chain(older);
        let believed =
            all.filter(|allowance| !allowance.reset.is_zero() && allowance.reset <= RESET_MAX);
        // The least requests a second.
        believed.min_by(|one, other| one.pace().total_cmp(&other.pace()))
    }

    #[expect(clippy::cast_precision_loss, reason = "of a pace, the first digits matter")]
    fn pace(self) -> f64 {
        self.remaining as f64 / self.reset.as_secs_f64()
    }
}

fn number(text: &str) -> Option<u64> {
    let text = text.trim();
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten()
}

fn pair(
    response: &Response,
    remaining: &str,
    reset: &str,
    from_now: impl Fn(u64) -> Option<Duration>,
) -> Option<Allowance> {
    let remaining = response.header(remaining).find_map(number)?;
    let reset = response.header(reset).find_map(number).and_then(from_now)?;
    Some(Allowance { remaining, reset })
}

fn from_now(number: u64, unit: ResetUnit, now: Timestamp) -> Option<Duration> {
    let since = |epoch: Duration| {
        let now = u64::try_from(now.as_millisecond()).ok()?;
        Some(epoch.saturating_sub(Duration::from_millis(now)))
    };
    match unit {
        ResetUnit::Delta => Some(Duration::from_secs(number)),
        ResetUnit::DeltaMs => Some(Duration::from_millis(number)),
        ResetUnit::Epoch => since(Duration::from_secs(number)),
        ResetUnit::EpochMs => since(Duration::from_millis(number)),
    }
}

/// One `RateLimit` field: `"default";r=50;t=30`, a list of such, or `limit=100, remaining=50,
/// reset=5` as it was in draft 07.
fn fields(value: &str) -> Vec<Allowance> {
    let named = |name: &str| {
        let mut parts = value.split([',', ';']).filter_map(|part| part.split_once('='));
        parts.find(|(found, _)| found.trim() == name).and_then(|(_, value)| number(value))
    };
    if let (Some(remaining), Some(reset)) = (named("remaining"), named("reset")) {
        return vec![Allowance { remaining, reset: Duration::from_secs(reset) }];
    }
    value.split(',').filter_map(item).collect()
}

/// A policy's name with its parameters `r` and `t`; without `t` there is nothing to wait for.
fn item(text: &str) -> Option<Allowance> {
    let parameter = |name: &str| {
        let mut parameters = text.split(';').skip(1).filter_map(|part| part.split_once('='));
        parameters.find(|(found, _)| found.trim() == name).and_then(|(_, value)| number(value))
    };
    let reset = Duration::from_secs(parameter("t")?);
    Some(Allowance { remaining: parameter("r")?, reset })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Body;
    use proptest::prelude::*;

    fn response(headers: &[(&str, &str)]) -> Response {
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Response { status: 200, headers: headers.collect(), body: Body::Whole(Vec::new()) }
    }

    fn of(headers: &[(&str, &str)], unit: Option<ResetUnit>) -> Option<(u64, u64)> {
        let now = Timestamp::from_second(1_700_000_000).unwrap();
        let found = Allowance::of(&response(headers), unit, now);
        found.map(|allowance| (allowance.remaining, allowance.reset.as_secs()))
    }

    #[test]
    fn every_form_that_the_draft_has_had_is_read() {
        assert_eq!(of(&[("ratelimit", r#""default";r=50;t=30"#)], None), Some((50, 30)));
        assert_eq!(of(&[("ratelimit", "limit=100, remaining=50, reset=5")], None), Some((50, 5)));
        assert_eq!(of(&[("ratelimit", "default;r=7;t=60")], None), Some((7, 60)));
        let split = [("ratelimit-remaining", "3"), ("ratelimit-reset", "9")];
        assert_eq!(of(&split, None), Some((3, 9)));
        let several = r#""burst";r=40;t=2,"daily";r=10;t=3000"#;
        assert_eq!(of(&[("ratelimit", several)], None), Some((10, 3000)), "the narrowest");
    }

    #[test]
    fn the_older_headers_need_to_be_told_what_their_reset_counts() {
        let github = [("x-ratelimit-remaining", "4"), ("x-ratelimit-reset", "1700000020")];
        assert_eq!(of(&github, None), None);
        assert_eq!(of(&github, Some(ResetUnit::Epoch)), Some((4, 20)));
        assert_eq!(of(&github, Some(ResetUnit::Delta)), None, "no tenant stalls for decades");
        let delta = [("x-rate-limit-remaining", "4"), ("x-rate-limit-reset", "15")];
        assert_eq!(of(&delta, Some(ResetUnit::Delta)), Some((4, 15)));
        let ms = [("x-ratelimit-remaining", "4"), ("x-ratelimit-reset", "15000")];
        assert_eq!(of(&ms, Some(ResetUnit::DeltaMs)), Some((4, 15)));
    }

    #[test]
    fn what_is_malformed_is_not_there() {
        for value in [
            "",
            "default",
            "r=5;t=5",
            "\"a\";r=-1;t=5",
            "\"a\";r=5;t=1.5",
            "\"a\";r=5",
            "remaining=5",
        ] {
            assert_eq!(of(&[("ratelimit", value)], None), None, "{value}");
        }
        let far = [("ratelimit-remaining", "1"), ("ratelimit-reset", "1700000000")];
        assert_eq!(of(&far, None), None);
    }

    proptest! {
        #[test]
        fn no_header_makes_anybody_wait_for_longer_than_an_hour(value in ".{0,60}", reset in any::<u64>()) {
            let reset = reset.to_string();
            let headers = [("ratelimit", value.as_str()), ("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", reset.as_str())];
            for unit in [ResetUnit::Delta, ResetUnit::DeltaMs, ResetUnit::Epoch, ResetUnit::EpochMs] {
                let found = Allowance::of(&response(&headers), Some(unit), Timestamp::UNIX_EPOCH);
                prop_assert!(found.is_none_or(|allowance| allowance.reset <= RESET_MAX));
            }
        }
    }
}
