//! The target's own count of requests, in four styles, and what was really sent.

use rosterd::model::Rate;
use std::{collections::VecDeque, time::Duration};
use tokio::time::Instant;

/// How a target counts, and what it does about too many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    /// Anew with every full window of the clock.
    Fixed,
    Sliding,
    Leaky,
    /// As sliding, and whoever passes it is shut out for five windows.
    Ban,
}

impl Style {
    pub(crate) const ALL: [Self; 4] = [Self::Fixed, Self::Sliding, Self::Leaky, Self::Ban];
}

/// What the target counts by.
#[derive(Clone, Debug)]
pub(crate) struct Gate {
    pub(crate) quota: Rate,
    style: Style,
    started: Instant,
    passed: VecDeque<Instant>,
    banned_until: Instant,
}

impl Gate {
    pub(crate) fn new(quota: Rate, style: Style) -> Self {
        let now = Instant::now();
        Self { quota, style, started: now, passed: VecDeque::new(), banned_until: now }
    }

    /// Lets a request in, or says after how many seconds to come again.
    pub(crate) fn admit(&mut self, now: Instant) -> Result<(), u64> {
        let Rate { requests, per } = self.quota;
        let limit = requests.get() as usize;
        if now < self.banned_until {
            return Err(seconds_up(self.banned_until - now));
        }
        while self.passed.front().is_some_and(|at| *at + per * 2 <= now) {
            self.passed.pop_front();
        }
        let since = |from: Instant| self.passed.iter().filter(|at| **at >= from).count();
        let wait = match self.style {
            Style::Sliding | Style::Ban => {
                let recent: Vec<&Instant> =
                    self.passed.iter().filter(|at| **at + per > now).collect();
                (recent.len() >= limit).then(|| *recent[recent.len() - limit] + per - now)
            }
            Style::Fixed => {
                let passed = (now - self.started).as_nanos() % per.as_nanos();
                let passed = Duration::from_nanos(u64::try_from(passed).unwrap());
                (since(now - passed) >= limit).then(|| per.saturating_sub(passed))
            }
            Style::Leaky => (self.level(now) + 1.0 > f64::from(requests.get())).then_some(per),
        };
        let Some(wait) = wait else {
            self.passed.push_back(now);
            return Ok(());
        };
        if self.style == Style::Ban {
            self.banned_until = now + per * 5;
            return Err(seconds_up(per * 5));
        }
        Err(seconds_up(wait).max(1))
    }

    fn level(&self, now: Instant) -> f64 {
        let rate = f64::from(self.quota.requests.get()) / self.quota.per.as_secs_f64();
        let (mut level, mut last) = (0.0_f64, self.started);
        for at in &self.passed {
            level = (level - (*at - last).as_secs_f64() * rate).max(0.0) + 1.0;
            last = *at;
        }
        (level - (now - last).as_secs_f64() * rate).max(0.0)
    }
}

fn seconds_up(time: Duration) -> u64 {
    time.as_secs() + u64::from(time.subsec_nanos() > 0)
}

/// Everything that was sent, to be counted over every window.
#[derive(Clone, Debug, Default)]
pub(crate) struct Count(VecDeque<Instant>);

impl Count {
    /// How many there were in the window that ends with this one.
    pub(crate) fn add(&mut self, now: Instant, per: Duration) -> usize {
        while self.0.front().is_some_and(|at| *at + per <= now) {
            self.0.pop_front();
        }
        self.0.push_back(now);
        self.0.len()
    }
}
