//! A quota kept exactly, over every window.

use super::practice::QuotaView;
use crate::model::Rate;
use std::{collections::VecDeque, time::Duration};
use tokio::time::Instant;

/// How a server counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum QuotaStyle {
    /// At most so many served requests in any window; refused ones do not count.
    #[default]
    Sliding,
    /// Refused requests count too, so that a client which keeps knocking stays outside.
    SlidingWithRefusals,
}

/// The requests that count at present.
#[derive(Debug)]
pub(super) struct Window {
    quota: Option<Rate>,
    style: QuotaStyle,
    counted: VecDeque<Instant>,
}

impl Window {
    pub(super) fn new(quota: Option<Rate>, style: QuotaStyle) -> Self {
        Self { quota, style, counted: VecDeque::new() }
    }

    /// Lets a request in, or says which quota is used up and in how many seconds to come again.
    pub(super) fn admit(&mut self, now: Instant) -> Result<(), (Rate, u64)> {
        let Some(quota) = self.quota else { return Ok(()) };
        self.forget_before(now, quota.per);
        let limit = usize::try_from(quota.requests.get()).unwrap_or(usize::MAX);
        let full = self.counted.len() >= limit;
        if !full || self.style == QuotaStyle::SlidingWithRefusals {
            self.counted.push_back(now);
        }
        if !full {
            return Ok(());
        }
        let blocking = self.counted[self.counted.len() - limit];
        Err((quota, whole_seconds_up(blocking + quota.per - now).max(1)))
    }

    pub(super) fn view(&self, now: Instant) -> Option<QuotaView> {
        let quota = self.quota?;
        let limit = usize::try_from(quota.requests.get()).unwrap_or(usize::MAX);
        let oldest = self.counted.front().copied().unwrap_or(now);
        Some(QuotaView {
            quota,
            remaining: limit.saturating_sub(self.counted.len()),
            reset_s: whole_seconds_up((oldest + quota.per).saturating_duration_since(now)),
        })
    }

    fn forget_before(&mut self, now: Instant, per: Duration) {
        while self.counted.front().is_some_and(|&at| at + per <= now) {
            self.counted.pop_front();
        }
    }
}

fn whole_seconds_up(duration: Duration) -> u64 {
    duration.as_secs() + u64::from(duration.subsec_nanos() > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(style: QuotaStyle, millis: &[u64]) -> Vec<Result<(), u64>> {
        let start = Instant::now();
        let mut window = Window::new(Rate::parse("2/10s").ok(), style);
        let at = |ms: &u64| start + Duration::from_millis(*ms);
        millis.iter().map(|ms| window.admit(at(ms)).map_err(|(_, wait)| wait)).collect()
    }

    #[test]
    fn refused_requests_do_not_count_in_a_sliding_window() {
        let answers = run(QuotaStyle::Sliding, &[0, 4000, 9500, 9999, 10_000, 10_001, 14_000]);
        assert_eq!(answers, [Ok(()), Ok(()), Err(1), Err(1), Ok(()), Err(4), Ok(())]);
    }

    #[test]
    fn a_client_that_keeps_knocking_stays_outside_where_refusals_count() {
        let answers = run(QuotaStyle::SlidingWithRefusals, &[0, 4000, 9000, 13_000, 23_001]);
        assert_eq!(answers, [Ok(()), Ok(()), Err(5), Err(6), Ok(())]);
    }
}
