//! Wall time for a run, from one look at the machine's clock.

use crate::engine::retry;
use jiff::{SignedDuration, Timestamp};
use std::time::Duration;
use tokio::time::Instant;

/// Wall time that runs on tokio's clock, so that a test can pass hours in a moment.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    wall: Timestamp,
    started: Instant,
}

impl Clock {
    #[must_use]
    pub fn new(wall: Timestamp, started: Instant) -> Self {
        Self { wall, started }
    }

    #[must_use]
    pub fn now(&self) -> Timestamp {
        retry::moment_after(self.wall, self.started.elapsed())
    }

    /// How long until that moment; zero when it has passed.
    #[must_use]
    pub fn until(&self, moment: Timestamp) -> Duration {
        let left: SignedDuration = moment.duration_since(self.now());
        Duration::try_from(left).unwrap_or_default()
    }
}
