//! How much of an answer's time was the target's own.

use std::time::Duration;

/// Answers of which the quickest tells the target's own time. The first ones wait for connections.
pub(super) const ANSWERS_LEAST: u32 = 64;
/// As many as that are never needed, however often the target throttles.
const ANSWERS_MOST: u32 = 1 << 16;

/// What is known of the time that the target itself takes.
#[derive(Debug)]
pub(super) struct Trust {
    /// Since the target throttled.
    answers: u32,
    pub(super) needed: u32,
    quickest: Duration,
    /// By how much answers are slower than that, on average over some of them.
    spread: Duration,
}

impl Trust {
    pub(super) fn new() -> Self {
        Self { answers: 0, needed: ANSWERS_LEAST, quickest: Duration::MAX, spread: Duration::ZERO }
    }

    /// Takes in an answer; how long before it the request arrived at the latest.
    pub(super) fn learn(&mut self, took: Duration) -> Duration {
        self.quickest = self.quickest.min(took);
        self.answers = self.answers.saturating_add(1);
        let slower = took.saturating_sub(self.quickest);
        self.spread = self.spread * 15 / 16 + slower / 16;
        if self.answers <= self.needed {
            return Duration::ZERO;
        }
        let unseen = f64::from(self.needed) / f64::from(self.answers) / 4.0;
        self.quickest.saturating_sub(self.quickest.mul_f64(unseen) + self.spread / 4)
    }

    pub(super) fn forget(&mut self, is_new: bool) {
        let again = self.answers < self.needed.saturating_mul(2);
        let needed = match (is_new, again) {
            (false, _) => self.needed,
            (true, true) => self.needed.saturating_mul(2).min(ANSWERS_MOST),
            (true, false) => ANSWERS_LEAST,
        };
        *self = Self { needed, ..Self::new() };
    }
}
