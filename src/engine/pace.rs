//! What share of a quota to use: less after the target throttled, and more again while it does not.
//!
//! The quota is what a person was told. A target that throttles below it shares it with somebody, or
//! was misdescribed, and the only way to know is to try: down to seven tenths at once, up by a
//! fiftieth of the quota each ten seconds, never above it. Where that goes wrong again and again, the
//! pace is left alone for a while, and a person is told what it was.

use crate::model::Rate;
use std::time::{Duration, Instant};

/// Kept of the pace when the target throttles.
const KEPT: f64 = 0.7;
/// Won back each time after so long without throttling, of the quota.
const WON: f64 = 0.02;
const WON_AFTER: Duration = Duration::from_secs(10);
/// The pace is lowered at most once in so long: answers that were under way tell the same story.
const LOWERED_APART: Duration = Duration::from_secs(10);
/// Lowered so often in so long, the pace stays where it is for so long.
const OFTEN: usize = 3;
const OFTEN_WITHIN: Duration = Duration::from_mins(10);
const FROZEN_FOR: Duration = Duration::from_mins(30);
/// Never slower than one request in so long.
const SLOWEST: Duration = Duration::from_mins(1);
/// How long a run remembers what an earlier one learnt.
pub const LEARNT_FOR: Duration = Duration::from_hours(24);

/// The share of one quota that is used at present.
#[derive(Clone, Debug)]
pub struct Pace {
    quota: Rate,
    /// `0.0..=1.0`.
    share: f64,
    /// Since when nothing has changed for the better or the worse.
    quiet_since: Instant,
    /// When it was lowered, as far as that is not long ago.
    lowered: Vec<Instant>,
    frozen_until: Option<Instant>,
    /// What the target said is left of its own count, and until when.
    told: Option<(f64, Instant)>,
}

/// What throttling did to the pace.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Lowered {
    /// It was lowered a moment ago.
    No,
    Yes,
    /// Once too often: it stays at that share of the quota for a while.
    Frozen {
        share: f64,
    },
}

impl Pace {
    /// `learnt`: the share that an earlier run ended with.
    #[must_use]
    pub fn new(quota: Rate, learnt: Option<f64>, now: Instant) -> Self {
        let mut pace = Self {
            quota,
            share: 1.0,
            quiet_since: now,
            lowered: Vec::new(),
            frozen_until: None,
            told: None,
        };
        pace.share = learnt.map_or(1.0, |share| pace.bounded(share));
        pace
    }

    /// The share of the quota to use now; grows as time passes.
    pub fn share(&mut self, now: Instant) -> f64 {
        let quiet = now.saturating_duration_since(self.quiet_since);
        if self.share < 1.0 && quiet >= WON_AFTER && self.frozen_until.is_none_or(|end| end <= now)
        {
            self.share = self.bounded(self.share + WON);
            self.quiet_since = now;
        }
        match self.told {
            Some((told, until)) if now < until => self.share.min(told),
            Some(_) | None => self.share,
        }
    }

    /// What there is to remember; `None` when the whole quota is in use.
    #[must_use]
    pub fn learnt(&self) -> Option<f64> {
        (self.share < 1.0).then_some(self.share)
    }

    /// The target throttled. `used`: the share of the quota that really left in the last window, if
    /// one has passed since requests leave.
    pub fn throttled(&mut self, used: Option<f64>, now: Instant) -> Lowered {
        self.quiet_since = now;
        let since = |then: &Instant| now.saturating_duration_since(*then);
        if self.lowered.last().is_some_and(|last| since(last) < LOWERED_APART) {
            return Lowered::No;
        }
        self.share = self.bounded(self.share.min(used.unwrap_or(1.0)) * KEPT);
        self.lowered.retain(|then| since(then) < OFTEN_WITHIN);
        self.lowered.push(now);
        if self.lowered.len() < OFTEN {
            return Lowered::Yes;
        }
        self.frozen_until = Some(now + FROZEN_FOR);
        Lowered::Frozen { share: self.share }
    }

    /// The target says how many requests it still takes until then. Only ever slows down, and never
    /// to a stop.
    pub fn told(&mut self, remaining: u64, reset: Duration, now: Instant) {
        let Some(until) = now.checked_add(reset) else { return };
        let whole = self.quota.interval().as_secs_f64();
        #[expect(clippy::cast_precision_loss, reason = "of a pace, the first digits matter")]
        let share = remaining as f64 * whole / reset.as_secs_f64().max(f64::MIN_POSITIVE);
        self.told = (share < 1.0).then(|| (self.bounded(share), until));
    }

    fn bounded(&self, share: f64) -> f64 {
        let least = self.quota.interval().as_secs_f64() / SLOWEST.as_secs_f64();
        share.max(least).min(1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn pace(now: Instant) -> Pace {
        Pace::new(Rate::parse("10/s").unwrap(), None, now)
    }

    /// Any moment will do: it has no other beginning.
    fn start() -> Instant {
        tokio::time::Instant::now().into_std()
    }

    fn seconds(count: u64) -> Duration {
        Duration::from_secs(count)
    }

    #[test]
    fn d03_the_pace_falls_to_seven_tenths_and_grows_back_to_the_quota_and_no_further() {
        let start = start();
        let mut pace = pace(start);
        assert_eq!(pace.throttled(None, start), Lowered::Yes);
        assert!((pace.share(start) - 0.7).abs() < 1e-9);
        assert_eq!(pace.throttled(None, start + seconds(3)), Lowered::No, "of the same story");
        let mut now = start + seconds(3);
        let mut steps = 0;
        while pace.learnt().is_some() {
            now += seconds(10);
            assert!(pace.share(now) <= 1.0);
            steps += 1;
        }
        assert_eq!(steps, 15);
        assert!((pace.share(now + seconds(1000)) - 1.0).abs() < 1e-9);
    }

    #[test]
    fn d35_what_really_left_counts_when_it_was_less_than_the_pace() {
        let start = start();
        let mut pace = pace(start);
        pace.throttled(Some(0.4), start);
        assert!((pace.share(start) - 0.28).abs() < 1e-9);
    }

    #[test]
    fn d35_lowered_for_the_third_time_it_stays_for_half_an_hour_and_says_where() {
        let start = start();
        let mut pace = pace(start);
        assert_eq!(pace.throttled(None, start), Lowered::Yes);
        assert_eq!(pace.throttled(None, start + seconds(60)), Lowered::Yes);
        let third = start + seconds(120);
        let Lowered::Frozen { share } = pace.throttled(None, third) else { panic!() };
        assert!((pace.share(third + seconds(29 * 60)) - share).abs() < 1e-9);
        assert!(pace.share(third + seconds(31 * 60)) > share);
    }

    #[test]
    fn what_the_target_says_is_left_slows_down_until_then_and_never_speeds_up() {
        let start = start();
        let mut pace = pace(start);
        pace.told(5, seconds(10), start);
        assert!((pace.share(start) - 0.05).abs() < 1e-9);
        assert!((pace.share(start + seconds(10)) - 1.0).abs() < 1e-9);
        pace.told(1_000_000, seconds(1), start);
        assert!(pace.share(start) <= 1.0);
    }

    proptest! {
        #[test]
        fn inv7_no_story_brings_the_pace_above_the_quota_or_to_a_stop(
            story in prop::collection::vec((0_u64..2000, 0_u8..3, 0_u64..50), 1..80)
        ) {
            let start = start();
            let (mut pace, mut now) = (pace(start), start);
            for (passed, event, number) in story {
                now += seconds(passed);
                match event {
                    0 => { pace.throttled(None, now); }
                    1 => pace.told(number, seconds(number), now),
                    _ => {}
                }
                let share = pace.share(now);
                prop_assert!((1.0 / 600.0..=1.0).contains(&share), "{}", share);
            }
        }
    }
}
