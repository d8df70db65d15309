//! When a tenant's target is so unwell that it is left alone for a while.
//!
//! ```text
//!            ┌─ half of the last 20 answers failed (10 at least), or 5 in a row not reached
//!            ▼
//!  closed ─────► open ── 30 s, 60, … 900 s, each 20 % more or less ──► half open
//!    ▲             ▲                                                     │   │
//!    │             └──────────────── the probe failed ───────────────────┘   │
//!    └─────────────────────────── 3 probes in a row went well ───────────────┘
//! ```
//! Half open, one request at a time is let through. After the fifth opening of a run nothing is sent
//! to the tenant any more until the next one. What the target is throttled by is no failure: it says
//! itself when to come again.

use super::retry::Dice;
use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

/// Answers that are looked back on.
const WINDOW: usize = 20;
/// Fewer prove nothing.
const WINDOW_LEAST: usize = 10;
/// Connections in a row that came to nothing.
const UNREACHED_MAX: u32 = 5;
/// Probes in a row that have to go well.
const PROBES: u32 = 3;
const OPEN_FIRST: Duration = Duration::from_secs(30);
const OPEN_MAX: Duration = Duration::from_mins(15);
/// Openings in one run, the last of which ends it.
const OPENINGS_MAX: u32 = 5;

/// What one reply says of the target itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pulse {
    /// It works, whatever it said of the request.
    Well,
    /// It was reached and failed, or said nothing.
    Failing,
    /// It was not reached.
    Unreached,
    /// Nothing: it wants fewer requests, or every one will fail alike.
    Silent,
}

/// The permission for one request. What it came to is told with it, so that replies to requests
/// from before an opening are not taken for the probe's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "what became of the request has to be told"]
pub struct Pass(u32);

/// Whether a request may leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leave {
    Now(Pass),
    NotBefore(Instant),
    /// One probe is under way: ask again once it is answered.
    AfterTheProbe,
}

/// The breaker has opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Opened {
    pub why: Why,
    pub wait: Duration,
    /// Openings in this run, this one included.
    pub openings: u32,
}

impl Opened {
    /// Nothing is sent any more in this run.
    #[must_use]
    pub fn ends_the_run(&self) -> bool {
        self.openings >= OPENINGS_MAX
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// Of so many answers so many failed.
    Failed {
        failed: usize,
        of: usize,
    },
    /// Connections in a row came to nothing.
    Unreached {
        in_a_row: u32,
    },
    ProbeFailed,
}

impl std::fmt::Display for Why {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Failed { failed, of } => {
                write!(f, "{failed} of the last {of} requests failed at the target")
            }
            Self::Unreached { in_a_row } => {
                write!(f, "the target was not reached {in_a_row} times in a row")
            }
            Self::ProbeFailed => f.write_str("the target is still failing"),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Closed,
    Open { until: Instant },
    HalfOpen { under_way: bool, good: u32 },
}

/// One tenant's breaker in one run.
#[derive(Clone, Debug)]
pub struct Breaker {
    state: State,
    /// Whether each failed, the latest last.
    recent: VecDeque<bool>,
    unreached: u32,
    openings: u32,
}

impl Default for Breaker {
    fn default() -> Self {
        Self { state: State::Closed, recent: VecDeque::new(), unreached: 0, openings: 0 }
    }
}

impl Breaker {
    /// One at a time may leave, as after an opening.
    pub fn half_open(&mut self) {
        self.state = State::HalfOpen { under_way: false, good: 0 };
    }

    /// Whether a request may leave now.
    #[must_use]
    pub fn ask(&mut self, now: Instant) -> Leave {
        match self.state {
            State::Closed => return Leave::Now(Pass(self.openings)),
            State::Open { until } if now < until => return Leave::NotBefore(until),
            State::HalfOpen { under_way: true, .. } => return Leave::AfterTheProbe,
            State::Open { .. } => self.state = State::HalfOpen { under_way: true, good: 0 },
            State::HalfOpen { under_way: false, good } => {
                self.state = State::HalfOpen { under_way: true, good };
            }
        }
        Leave::Now(Pass(self.openings))
    }

    /// Until when nothing may leave, if that is so.
    #[must_use]
    pub fn open_until(&self) -> Option<Instant> {
        match self.state {
            State::Open { until } => Some(until),
            State::Closed | State::HalfOpen { .. } => None,
        }
    }

    /// Takes in what a request came to.
    pub fn hear(&mut self, pass: Pass, pulse: Pulse, now: Instant, dice: Dice) -> Option<Opened> {
        if pass != Pass(self.openings) {
            return None;
        }
        match self.state {
            State::Closed => self.count(pulse).map(|why| self.open(why, now, dice)),
            State::Open { .. } => None,
            State::HalfOpen { under_way: _, good } => match pulse {
                Pulse::Failing | Pulse::Unreached => Some(self.open(Why::ProbeFailed, now, dice)),
                Pulse::Well if good + 1 >= PROBES => {
                    self.state = State::Closed;
                    None
                }
                Pulse::Well => {
                    self.state = State::HalfOpen { under_way: false, good: good + 1 };
                    None
                }
                Pulse::Silent => {
                    self.state = State::HalfOpen { under_way: false, good };
                    None
                }
            },
        }
    }

    /// Takes a permission back that was not used.
    pub fn give_back(&mut self, pass: Pass) {
        if let State::HalfOpen { under_way, .. } = &mut self.state
            && pass == Pass(self.openings)
        {
            *under_way = false;
        }
    }

    fn count(&mut self, pulse: Pulse) -> Option<Why> {
        let failed = match pulse {
            Pulse::Silent => return None,
            Pulse::Well => false,
            Pulse::Failing | Pulse::Unreached => true,
        };
        self.unreached = if pulse == Pulse::Unreached { self.unreached + 1 } else { 0 };
        if self.recent.len() == WINDOW {
            self.recent.pop_front();
        }
        self.recent.push_back(failed);
        if self.unreached >= UNREACHED_MAX {
            return Some(Why::Unreached { in_a_row: self.unreached });
        }
        let (of, failed) =
            (self.recent.len(), self.recent.iter().filter(|failed| **failed).count());
        (of >= WINDOW_LEAST && failed * 2 >= of).then_some(Why::Failed { failed, of })
    }

    fn open(&mut self, why: Why, now: Instant, dice: Dice) -> Opened {
        let doubled = OPEN_FIRST.saturating_mul(1 << self.openings.min(16)).min(OPEN_MAX);
        let wait = doubled.mul_f64(0.8) + dice.of(doubled.mul_f64(0.4));
        self.openings += 1;
        self.state = State::Open { until: now + wait };
        self.recent.clear();
        self.unreached = 0;
        Opened { why, wait, openings: self.openings }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Pulse::{Failing, Silent, Unreached, Well};
    use proptest::prelude::*;

    fn instant() -> Instant {
        tokio::time::Instant::now().into_std()
    }

    const MIDDLE: f64 = 0.5;

    fn hear(breaker: &mut Breaker, pulse: Pulse, now: Instant) -> Option<Opened> {
        let Leave::Now(pass) = breaker.ask(now) else { panic!("nothing may leave: {breaker:?}") };
        breaker.hear(pass, pulse, now, Dice::new(MIDDLE))
    }

    /// After how many of these it opens.
    fn opens_after(pulses: impl IntoIterator<Item = Pulse>) -> Option<usize> {
        let (mut breaker, now) = (Breaker::default(), instant());
        let mut pulses = pulses.into_iter();
        pulses.position(|pulse| hear(&mut breaker, pulse, now).is_some()).map(|at| at + 1)
    }

    #[test]
    fn d09_half_of_the_last_answers_failed_opens_it_but_not_before_ten() {
        assert_eq!(opens_after([Failing; 20]), Some(10));
        let mixed = |n: usize| (0..40).map(move |at| if at % n == 0 { Failing } else { Well });
        assert_eq!(opens_after(mixed(2)), Some(10));
        assert_eq!(opens_after(mixed(3)), None);
        let late = std::iter::repeat_n(Well, 30).chain([Failing; 20]);
        assert_eq!(opens_after(late), Some(40), "10 of the last 20");
    }

    #[test]
    fn d27_five_connections_in_a_row_that_came_to_nothing_open_it_at_once() {
        assert_eq!(opens_after([Unreached; 9]), Some(5));
        let broken = [Unreached, Unreached, Unreached, Unreached, Well];
        assert_eq!(opens_after([Well; 5].into_iter().chain(broken)), None);
    }

    #[test]
    fn d01_being_throttled_is_no_failure() {
        assert_eq!(opens_after([Silent; 100]), None);
    }

    #[test]
    fn it_stays_open_twice_as_long_each_time_and_the_fifth_opening_ends_the_run() {
        let (mut breaker, mut now) = (Breaker::default(), instant());
        let mut waits = Vec::new();
        for _ in 0..9 {
            assert!(hear(&mut breaker, Failing, now).is_none());
        }
        let mut opened = hear(&mut breaker, Failing, now).unwrap();
        while !opened.ends_the_run() {
            waits.push(opened.wait.as_secs());
            assert_eq!(breaker.ask(now), Leave::NotBefore(now + opened.wait));
            now += opened.wait;
            opened = hear(&mut breaker, Failing, now).unwrap();
        }
        assert_eq!((waits, opened.wait.as_secs()), (vec![30, 60, 120, 240], 480));
    }

    #[test]
    fn half_open_it_lets_one_through_at_a_time_and_three_good_ones_close_it() {
        let (mut breaker, now) = (Breaker::default(), instant());
        let opened = (0..10).find_map(|_| hear(&mut breaker, Failing, now)).unwrap();
        let later = now + opened.wait;
        for good in 0..3 {
            let Leave::Now(pass) = breaker.ask(later) else { panic!("probe {good}") };
            assert_eq!(breaker.ask(later), Leave::AfterTheProbe);
            assert_eq!(breaker.hear(pass, Well, later, Dice::new(MIDDLE)), None);
        }
        let both = [breaker.ask(later), breaker.ask(later)];
        assert!(both.iter().all(|leave| matches!(leave, Leave::Now(_))), "{both:?}");
    }

    #[test]
    fn an_answer_to_a_request_from_before_the_opening_is_not_the_probes() {
        let (mut breaker, now) = (Breaker::default(), instant());
        let Leave::Now(old) = breaker.ask(now) else { panic!() };
        let opened = (0..10).find_map(|_| hear(&mut breaker, Failing, now)).unwrap();
        let later = now + opened.wait;
        let Leave::Now(probe) = breaker.ask(later) else { panic!() };
        assert_eq!(breaker.hear(old, Failing, later, Dice::new(MIDDLE)), None);
        assert_eq!(breaker.ask(later), Leave::AfterTheProbe);
        breaker.give_back(probe);
        assert!(matches!(breaker.ask(later), Leave::Now(_)));
    }

    proptest! {
        #[test]
        fn p07_a_wait_is_never_longer_than_eighteen_minutes_nor_shorter_than_24_seconds(
            pulses in prop::collection::vec(0_u8..4, 0..400), dice in 0.0..=1.0
        ) {
            let (mut breaker, mut now) = (Breaker::default(), instant());
            for pulse in pulses {
                let pulse = [Well, Failing, Unreached, Silent][usize::from(pulse)];
                let Leave::Now(pass) = breaker.ask(now) else { panic!() };
                if let Some(opened) = breaker.hear(pass, pulse, now, Dice::new(dice)) {
                    prop_assert!(opened.wait >= OPEN_FIRST.mul_f64(0.799));
                    prop_assert!(opened.wait <= OPEN_MAX.mul_f64(1.201));
                    now += opened.wait;
                }
            }
        }
    }
}
