//! From a recorded request to its departure, and what the headers of an answer mean for the pace.

use super::{lane::Lane, pacer::Departure, record::Recorder};
use crate::{
    dialect::sunset::deprecation_notices,
    engine::{allowance::Allowance, breaker::Pass},
    model::Response,
};
use std::time::Duration;
use tokio::time::Instant;

/// A request that leaves later than this after it was recorded is recorded once more. Longer than
/// slots are given ahead and a busy disk takes: who records again holds a place in the window for as
/// long.
pub(crate) const RECORD_AGE_MAX: Duration = Duration::from_secs(1);

/// Whoever sends one request after another under one number of the journal.
pub(super) struct Caller<'a, R> {
    pub(super) lane: &'a Lane,
    pub(super) recorder: &'a R,
    /// Names the operation in the journal.
    pub(super) intent: u64,
    /// Calls of the login that left in its name.
    pub(super) calls: u32,
    /// When what leaves next was written down.
    recorded: Option<Instant>,
}

impl<'a, R: Recorder> Caller<'a, R> {
    /// Of an operation whose intent has just been written down.
    pub(super) fn begun(lane: &'a Lane, recorder: &'a R, intent: u64) -> Self {
        Self { lane, recorder, intent, calls: 0, recorded: Some(Instant::now()) }
    }

    /// Of what has not been written down yet.
    pub(super) fn new(lane: &'a Lane, recorder: &'a R, intent: u64) -> Self {
        Self { lane, recorder, intent, calls: 0, recorded: None }
    }

    /// Has the next request written down, and waits until it may leave; `None` when the lane ends
    /// first.
    pub(super) async fn depart(&mut self) -> Result<Option<(Pass, Departure<'a>)>, String> {
        let lane = self.lane;
        let in_time = |recorded: &Instant| recorded.elapsed() <= RECORD_AGE_MAX;
        let mut recorded = match self.recorded.take().filter(in_time) {
            Some(recorded) => recorded,
            None => self.record().await?,
        };
        if lane.has_ended() {
            return Ok(None);
        }
        let Some(pass) = lane.or_end(lane.pass()).await else { return Ok(None) };
        loop {
            let Some(departure) = lane.or_end(lane.pacer.depart()).await else { return Ok(None) };
            if in_time(&recorded) {
                return Ok(Some((pass, departure)));
            }
            // Held up by a pause: the next run counts the quota by what is recorded.
            recorded = self.record().await?;
            // The disk may have taken so long that there is a pause again.
            if lane.pacer.paused_until() <= recorded {
                return Ok(Some((pass, departure)));
            }
        }
    }

    async fn record(&self) -> Result<Instant, String> {
        self.recorder.again(self.intent, self.lane.clock.now()).await?;
        Ok(Instant::now())
    }
}

impl Lane {
    /// What the target says of its quota, and of the end of this version of its API.
    pub(super) fn heed_headers(&self, response: &Response) {
        if let Some(allowance) = Allowance::of(response, self.reset_unit, self.clock.now()) {
            self.pacer.heed(allowance, Instant::now());
        }
        self.shared().notices.extend(deprecation_notices(response));
    }
}
