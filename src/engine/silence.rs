//! How long a tenant is silent because its target asked for it, and when that has come to nothing.
//!
//! A wait of up to an hour is sat out. After a longer one the tenant's run ends. It also ends after
//! ten silences in a row of which none was followed by an answer, or an hour of them: a target that
//! turns away whatever comes is asked again by the next run.

use super::retry::{self, Dice, RetryAfter, WAIT_IN_RUN_MAX};
use std::time::{Duration, Instant};

/// After so many answers without throttling its schedule starts again.
const CLEAN_ENOUGH: u32 = 20;
/// Silences in a row without an answer between them.
const FRUITLESS_MAX: u32 = 10;

/// A silence that begins now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Silence {
    pub wait: Duration,
    /// The run does not sit it out.
    pub ends_the_run: bool,
    /// The target turned a request away; else it served it, and wants no more for a while.
    pub throttled: bool,
}

/// The silences of one tenant in one run.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silences {
    until: Option<Instant>,
    throttled_in_a_row: u32,
    clean_in_a_row: u32,
    fruitless: u32,
    waited: Duration,
}

impl Silences {
    /// The target turned a request away.
    pub fn throttled(&mut self, asked: RetryAfter, now: Instant, dice: Dice) -> Silence {
        self.clean_in_a_row = 0;
        // What was under way when it began brings the same silence, not a second one.
        let is_new = self.until.is_none_or(|until| until <= now);
        if is_new {
            self.throttled_in_a_row += 1;
            self.fruitless += 1;
        }
        let n = self.throttled_in_a_row.saturating_sub(1);
        let wait = retry::throttled(asked, n, now, dice);
        self.waited = self.waited.saturating_add(self.extend(wait, now));
        let fruitless = self.fruitless >= FRUITLESS_MAX || self.waited > WAIT_IN_RUN_MAX;
        Silence { wait, ends_the_run: fruitless || wait > WAIT_IN_RUN_MAX, throttled: true }
    }

    /// The target served a request, or said what was wrong with it, and wants no other one for that
    /// time.
    pub fn asked(&mut self, wait: Duration, now: Instant) -> Silence {
        self.extend(wait, now);
        Silence { wait, ends_the_run: wait > WAIT_IN_RUN_MAX, throttled: false }
    }

    /// A request was not turned away.
    pub fn clean(&mut self) {
        self.clean_in_a_row += 1;
        if self.clean_in_a_row >= CLEAN_ENOUGH {
            self.throttled_in_a_row = 0;
        }
    }

    /// The target has worked.
    pub fn fruitful(&mut self) {
        self.fruitless = 0;
        self.waited = Duration::ZERO;
    }

    /// By how much later the silence ends.
    fn extend(&mut self, wait: Duration, now: Instant) -> Duration {
        let wait = wait.min(WAIT_IN_RUN_MAX.saturating_mul(2));
        let before = self.until.filter(|until| *until > now).unwrap_or(now);
        let until = before.max(now + wait);
        self.until = Some(until);
        until - before
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn instant() -> Instant {
        tokio::time::Instant::now().into_std()
    }

    fn lowest() -> Dice {
        Dice::new(0.0)
    }

    const MINUTE: RetryAfter = RetryAfter::Wait(Duration::from_mins(1));

    #[test]
    fn ten_silences_in_a_row_end_the_run_and_one_answer_among_them_begins_anew() {
        let (mut silences, mut now) = (Silences::default(), instant());
        let mut ended = 0;
        for round in 1..30 {
            let silence = silences.throttled(MINUTE, now, lowest());
            now += silence.wait;
            if round == 9 {
                silences.fruitful();
            }
            if silence.ends_the_run {
                ended = round;
                break;
            }
        }
        assert_eq!(ended, 19);
    }

    #[test]
    fn an_hour_of_silences_without_an_answer_ends_the_run_too() {
        let (mut silences, now) = (Silences::default(), instant());
        let most = RetryAfter::Wait(Duration::from_mins(50));
        let first = silences.throttled(most, now, lowest());
        assert!(!first.ends_the_run);
        assert!(silences.throttled(most, now + first.wait, lowest()).ends_the_run);
    }

    #[test]
    fn d36_what_was_under_way_when_it_began_is_the_same_silence() {
        let (mut silences, now) = (Silences::default(), instant());
        for _ in 0..30 {
            assert!(!silences.throttled(MINUTE, now, lowest()).ends_the_run);
        }
    }

    #[test]
    fn d08_a_served_request_may_ask_for_silence_and_counts_for_nothing_else() {
        let (mut silences, now) = (Silences::default(), instant());
        for _ in 0..30 {
            let silence = silences.asked(Duration::from_mins(9), now);
            assert!(!silence.ends_the_run && !silence.throttled);
        }
        assert!(silences.asked(Duration::from_hours(2), now).ends_the_run);
    }

    #[test]
    fn d03_twenty_clean_answers_start_the_schedule_again() {
        let (mut silences, start) = (Silences::default(), instant());
        let longest = |silences: &mut Silences, hours| {
            let now = start + Duration::from_hours(hours);
            let silence = silences.throttled(RetryAfter::Absent, now, Dice::new(1.0));
            silences.fruitful();
            silence.wait.as_secs()
        };
        assert_eq!([0, 1, 2].map(|hours| longest(&mut silences, hours)), [3, 5, 9]);
        (0..20).for_each(|_| silences.clean());
        assert_eq!(longest(&mut silences, 3), 3);
    }
}
