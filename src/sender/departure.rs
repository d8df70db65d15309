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

impl Lane {
    /// Waits until a request that was just recorded under that number may leave; `None` when the
    /// lane has to end before it.
    pub(super) async fn leave<R: Recorder>(
        &self,
        recorder: &R,
        intent: u64,
    ) -> Result<Option<(Pass, Departure<'_>)>, String> {
        let mut since = Instant::now();
        let Some(pass) = self.or_end(self.pass()).await else { return Ok(None) };
        loop {
            let Some(departure) = self.or_end(self.pacer.depart()).await else { return Ok(None) };
            if since.elapsed() <= RECORD_AGE_MAX {
                return Ok(Some((pass, departure)));
            }
            // Held up by a pause: the next run counts the quota by what is recorded.
            recorder.again(intent, self.clock.now()).await?;
            since = Instant::now();
            // The disk may have taken so long that there is a pause again.
            if self.pacer.paused_until() <= since {
                return Ok(Some((pass, departure)));
            }
        }
    }

    /// What the target says of its quota, and of the end of this version of its API.
    pub(super) fn heed_headers(&self, response: &Response) {
        if let Some(allowance) = Allowance::of(response, self.reset_unit, self.clock.now()) {
            self.pacer.heed(allowance, Instant::now());
        }
        self.shared().notices.extend(deprecation_notices(response));
    }
}
