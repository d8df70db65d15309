//! Evenly spaced moments to leave at.

use crate::model::Rate;
use governor::{
    Quota, RateLimiter,
    clock::{Clock, Reference},
    middleware::NoOpMiddleware,
    nanos::Nanos,
    state::{InMemoryState, NotKeyed},
};
use std::{
    num::NonZeroU32,
    ops::Add,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::time::Instant;

/// Share of the quota that the even spacing uses. The guard alone would keep the promise; what is
/// left free keeps it from holding up requests that are recorded already.
const SHARE: f64 = 0.996;
/// A late slot is made good up to here, and what is later is lost.
pub(super) const LATE_MAX: Duration = Duration::from_millis(100);

type Limiter = RateLimiter<NotKeyed, InMemoryState, AskedAt, NoOpMiddleware<Moment>>;

/// Evenly spaced slots: governor with a burst of one, asked at the moment that a slot was due.
#[derive(Debug)]
pub(super) struct Slots {
    limiter: Limiter,
    clock: AskedAt,
    quota: Rate,
    /// Of the quota, as the limiter has it.
    share: f64,
    /// When the next slot was promised; the past, when it is free.
    due: Instant,
    /// Slots that are due until then are given at once.
    pub(super) given_until: Instant,
}

impl Slots {
    pub(super) fn new(quota: Rate, last: Option<Instant>, now: Instant) -> Self {
        let start = last.unwrap_or(now).min(now);
        let clock = AskedAt(Arc::new(Mutex::new(start)));
        let limiter = limiter(quota, 1.0, &clock);
        let mut slots = Self { limiter, clock, quota, share: 1.0, due: start, given_until: start };
        if last.is_some() {
            // The slot of the last request of the run before.
            slots.take();
        }
        slots
    }

    /// From the next slot on, so much of the quota is used.
    pub(super) fn follow(&mut self, share: f64) {
        // A limiter that has given nothing yet gives the slot that is due.
        if self.share.total_cmp(&share).is_ne() {
            self.limiter = limiter(self.quota, share, &self.clock);
            self.share = share;
        }
    }

    /// When the next slot is due: at most [`LATE_MAX`] ago, and not while nobody was to send.
    pub(super) fn due(&mut self, now: Instant, opened: Instant) -> Instant {
        let earliest = now.checked_sub(LATE_MAX).unwrap_or(now).max(opened.min(now));
        self.due = self.due.max(earliest);
        self.due
    }

    /// Takes the slot that is due, and asks when the next one will be.
    pub(super) fn take(&mut self) {
        // Found to be free when it was made the next one.
        self.clock.set(self.due);
        let _ = self.limiter.check();
        if let Err(not_until) = self.limiter.check() {
            self.due += not_until.wait_time_from(Moment(self.due));
        }
    }
}

fn limiter(quota: Rate, share: f64, clock: &AskedAt) -> Limiter {
    let spacing = quota.interval().div_f64(SHARE * share).max(Duration::from_nanos(1));
    let spaced = Quota::with_period(spacing)
        .unwrap_or_else(|| Quota::per_second(quota.requests))
        .allow_burst(NonZeroU32::MIN);
    RateLimiter::direct_with_clock(spaced, clock.clone())
}

/// governor's clock: not the time, but the moment for which a slot is asked.
#[derive(Clone, Debug)]
struct AskedAt(Arc<Mutex<Instant>>);

impl AskedAt {
    fn set(&self, moment: Instant) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = moment;
    }
}

impl Clock for AskedAt {
    type Instant = Moment;

    fn now(&self) -> Moment {
        Moment(*self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Moment(Instant);

impl Add<Nanos> for Moment {
    type Output = Self;

    fn add(self, nanos: Nanos) -> Self {
        Self(self.0 + Duration::from(nanos))
    }
}

impl Reference for Moment {
    fn duration_since(&self, earlier: Self) -> Nanos {
        self.0.saturating_duration_since(earlier.0).into()
    }

    fn saturating_sub(&self, duration: Nanos) -> Self {
        Self(self.0.checked_sub(duration.into()).unwrap_or(self.0))
    }
}
