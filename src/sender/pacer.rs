//! One tenant's quota, as a promise about every window.
//!
//! Three parts: governor hands out evenly spaced slots, one at a time and never two at once; a log
//! of the last window stands guard over what really left; a gate holds everybody while the target
//! has asked for silence. A slot that the scheduler woke up for too late is made good within
//! 10 ms, so that timers do not eat the quota, and the guard still counts it.
//!
//! The guard counts by arrival, which is what the target counts. Nobody here sees an arrival, but it
//! lies between departure and answer. So a request under way counts until it is answered, and then
//! as if it had arrived only then. That is certain, and costs a share of the quota as large as the
//! answer's time is in the window. Once enough answers have been seen, what the quickest of them took
//! is taken for the target's own time, and a request counts as arrived that much before its answer;
//! a target that throttles all the same ends that trust for the run.

use crate::model::Rate;
use governor::{
    Quota, RateLimiter,
    clock::{Clock, Reference},
    middleware::NoOpMiddleware,
    nanos::Nanos,
    state::{InMemoryState, NotKeyed},
};
use std::{
    cmp::Reverse,
    collections::BinaryHeap,
    num::NonZeroU32,
    ops::Add,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{
    sync::{Notify, watch},
    time::{Instant, sleep_until},
};

/// Share of the quota that the even spacing uses. The rest takes up the difference between when a
/// request leaves and when it arrives.
const SHARE: f64 = 0.99;
/// A late slot is made good up to here, and what is later is lost.
const LATE_MAX: Duration = Duration::from_millis(10);
/// Added to the window, for what the quickest request spent on its way.
const MARGIN: Duration = Duration::from_millis(2);

/// Answers of which the quickest tells the target's own time. The first ones wait for connections.
const ANSWERS_LEAST: u32 = 64;

/// The quota of one tenant. Shared by all that send to it, retries and reads included.
#[derive(Debug)]
pub struct Pacer {
    quota: Rate,
    /// Whoever holds it has the next turn; fair, so first come, first served.
    turn: tokio::sync::Mutex<Slots>,
    log: Mutex<Log>,
    /// Told when a request that was under way has been answered.
    answered: Notify,
    gate: watch::Sender<Instant>,
}

impl Pacer {
    /// `recent` are the departures of earlier runs within the last window, as the time that has
    /// passed since: a restart does not start a new window.
    #[must_use]
    pub fn new(quota: Rate, recent: &[Duration], now: Instant) -> Self {
        let past = |ago: &Duration| now.checked_sub(*ago);
        let arrivals: BinaryHeap<Reverse<Instant>> =
            recent.iter().filter_map(past).map(Reverse).collect();
        let last = arrivals.iter().map(|Reverse(arrival)| *arrival).max();
        Self {
            quota,
            turn: tokio::sync::Mutex::new(Slots::new(quota, last, now)),
            log: Mutex::new(Log { under_way: 0, arrivals, answers: 0, quickest: Duration::MAX }),
            answered: Notify::new(),
            gate: watch::channel(now).0,
        }
    }

    /// Waits for a slot. What is to be recorded before the request leaves is recorded after this
    /// and before [`Self::depart`].
    pub async fn slot(&self) {
        let mut turn = self.turn.lock().await;
        loop {
            self.open().await;
            let due = turn.next(Instant::now());
            match due {
                None => return,
                Some(due) => self.wait(due).await,
            }
        }
    }

    /// Waits until one more request may arrive within the window, and counts it as under way until
    /// the departure is dropped.
    pub async fn depart(&self) -> Departure<'_> {
        loop {
            self.open().await;
            // Listened to before the look, so that no answer in between is missed.
            let answered = self.answered.notified();
            let full = self.count(Instant::now());
            match full {
                None => return Departure { pacer: self, left: Instant::now() },
                Some(Full::Until(free)) => tokio::select! {
                    () = self.wait(free) => {}
                    () = answered => {}
                },
                Some(Full::UntilAnswered) => answered.await,
            }
        }
    }

    /// Nobody of this tenant sends before that moment. Never shortens an earlier pause.
    pub fn pause_until(&self, moment: Instant) {
        self.gate.send_if_modified(|gate| {
            let later = moment > *gate;
            if later {
                *gate = moment;
            }
            later
        });
    }

    /// The target throttled: from now on a request counts until it is answered.
    pub fn distrust(&self) {
        self.log().quickest = Duration::ZERO;
    }

    /// Until when the gate is closed.
    #[must_use]
    pub fn paused_until(&self) -> Instant {
        *self.gate.borrow()
    }

    async fn open(&self) {
        let mut gate = self.gate.subscribe();
        loop {
            let until = *gate.borrow_and_update();
            if until <= Instant::now() {
                return;
            }
            tokio::select! {
                () = sleep_until(until) => {}
                _ = gate.changed() => {}
            }
        }
    }

    /// Sleeps, but comes back early when the gate closes, so that no slot is taken out of turn.
    async fn wait(&self, until: Instant) {
        let mut gate = self.gate.subscribe();
        tokio::select! {
            () = sleep_until(until) => {}
            _ = gate.changed() => {}
        }
    }

    /// Counts a departure; or says why none may leave.
    fn count(&self, now: Instant) -> Option<Full> {
        let window = self.quota.per + MARGIN;
        let mut log = self.log();
        while log.arrivals.peek().is_some_and(|Reverse(arrival)| *arrival + window <= now) {
            log.arrivals.pop();
        }
        if log.under_way + log.arrivals.len() < self.quota.requests.get() as usize {
            log.under_way += 1;
            return None;
        }
        let oldest = log.arrivals.peek();
        Some(oldest.map_or(Full::UntilAnswered, |Reverse(arrival)| Full::Until(*arrival + window)))
    }

    fn arrived(&self, left: Instant) {
        let took = left.elapsed();
        {
            let mut log = self.log();
            log.quickest = log.quickest.min(took);
            log.answers = log.answers.saturating_add(1);
            let at_target = if log.answers > ANSWERS_LEAST { log.quickest } else { Duration::ZERO };
            log.under_way = log.under_way.saturating_sub(1);
            log.arrivals.push(Reverse(left + took.saturating_sub(at_target)));
        }
        self.answered.notify_waiters();
    }

    fn log(&self) -> MutexGuard<'_, Log> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request that has left and is not answered yet. Dropped when it is, or when nobody waits for the
/// answer any more.
#[must_use = "dropped, it counts as answered"]
#[derive(Debug)]
pub struct Departure<'a> {
    pacer: &'a Pacer,
    left: Instant,
}

impl Drop for Departure<'_> {
    fn drop(&mut self) {
        self.pacer.arrived(self.left);
    }
}

/// The requests that the target may count in the window that ends now.
#[derive(Debug)]
struct Log {
    under_way: usize,
    /// When the answered ones arrived at the latest, earliest first.
    arrivals: BinaryHeap<Reverse<Instant>>,
    answers: u32,
    /// Shortest time from departure to answer; zero once the target has throttled.
    quickest: Duration,
}

enum Full {
    Until(Instant),
    UntilAnswered,
}

/// Evenly spaced slots: governor with a burst of one, asked at the moment that a slot was due.
#[derive(Debug)]
struct Slots {
    limiter: RateLimiter<NotKeyed, InMemoryState, AskedAt, NoOpMiddleware<Moment>>,
    clock: AskedAt,
    /// When the next slot was promised; the past, when it is free.
    due: Instant,
}

impl Slots {
    fn new(quota: Rate, last: Option<Instant>, now: Instant) -> Self {
        let start = last.unwrap_or(now).min(now);
        let clock = AskedAt(Arc::new(Mutex::new(start)));
        let spacing = quota.interval().div_f64(SHARE).max(Duration::from_nanos(1));
        let spaced = Quota::with_period(spacing)
            .unwrap_or_else(|| Quota::per_second(quota.requests))
            .allow_burst(NonZeroU32::MIN);
        let limiter = RateLimiter::direct_with_clock(spaced, clock.clone());
        if last.is_some() {
            // The slot of the last request of the run before.
            let _ = limiter.check();
        }
        Self { limiter, clock, due: start }
    }

    /// Takes the slot if it is there, else says when it will be.
    fn next(&mut self, now: Instant) -> Option<Instant> {
        let asked = self.due.max(now.checked_sub(LATE_MAX).unwrap_or(now)).min(now);
        self.clock.set(asked);
        match self.limiter.check() {
            Ok(()) => {
                self.due = asked;
                None
            }
            Err(not_until) => {
                self.due = asked + not_until.wait_time_from(Moment(asked));
                // A slot that is due by now is taken at its own moment, and so made good.
                if self.due <= now { self.next(now) } else { Some(self.due) }
            }
        }
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use tokio::{task::JoinSet, time::sleep};

    /// When `count` requests of `workers` leave, in ms from the start.
    async fn departures(pacer: Pacer, workers: usize, count: usize) -> Vec<u128> {
        let pacer = Arc::new(pacer);
        let start = Instant::now();
        let mut tasks = JoinSet::new();
        for worker in 0..workers {
            let pacer = pacer.clone();
            let share = count / workers + usize::from(worker < count % workers);
            tasks.spawn(async move {
                let mut left = Vec::new();
                for _ in 0..share {
                    pacer.slot().await;
                    let departure = pacer.depart().await;
                    left.push(start.elapsed().as_millis());
                    drop(departure);
                }
                left
            });
        }
        let mut left = tasks.join_all().await.concat();
        left.sort_unstable();
        left
    }

    fn most_in_any_window(left: &[u128], window_ms: u128) -> usize {
        let within =
            |start: &u128| left.iter().filter(|t| (*start..start + window_ms).contains(t)).count();
        left.iter().map(within).max().unwrap_or_default()
    }

    fn rate(text: &str) -> Rate {
        Rate::parse(text).unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn inv7_no_window_sees_more_than_the_quota_and_nearly_all_of_it_is_used() {
        for (quota, window_ms, count) in [("50/s", 1000, 500), ("100/10s", 10_000, 300)] {
            let pacer = Pacer::new(rate(quota), &[], Instant::now());
            let left = departures(pacer, 7, count).await;
            let allowed = rate(quota).requests.get() as usize;
            assert!(most_in_any_window(&left, window_ms) <= allowed, "{quota}");
            let ideal = window_ms * count as u128 / allowed as u128;
            assert!(*left.last().unwrap() <= ideal * 103 / 100, "{quota}: {:?} ms", left.last());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn inv7_a_restart_does_not_start_a_new_window() {
        let recent: Vec<Duration> = (0..10).map(|n| Duration::from_millis(n * 100)).collect();
        let pacer = Pacer::new(rate("10/10s"), &recent, Instant::now());
        let left = departures(pacer, 2, 10).await;
        assert!(left[0] >= 9_000, "{left:?}");
        let earlier = recent.iter().map(|ago| 10_000 - ago.as_millis());
        let mut all: Vec<u128> = earlier.chain(left.iter().map(|ms| ms + 10_000)).collect();
        all.sort_unstable();
        assert!(most_in_any_window(&all, 10_000) <= 10);
    }

    #[tokio::test(start_paused = true)]
    async fn inv8_nobody_leaves_before_the_pause_is_over_and_a_shorter_one_does_not_shorten_it() {
        let pacer = Arc::new(Pacer::new(rate("10/s"), &[], Instant::now()));
        let start = Instant::now();
        pacer.pause_until(start + Duration::from_secs(5));
        pacer.pause_until(start + Duration::from_secs(2));
        pacer.slot().await;
        let _departure = pacer.depart().await;
        assert!(start.elapsed() >= Duration::from_secs(5));
    }

    #[tokio::test(start_paused = true)]
    async fn a_pause_also_holds_who_already_has_a_slot() {
        let pacer = Arc::new(Pacer::new(rate("10/s"), &[], Instant::now()));
        let start = Instant::now();
        pacer.slot().await;
        pacer.pause_until(start + Duration::from_secs(3));
        let _departure = pacer.depart().await;
        assert!(start.elapsed() >= Duration::from_secs(3));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn inv7_holds_at_the_target_whatever_the_way_there_takes(
            requests in 1_u32..20, seconds in 1_u64..5,
            ways in prop::collection::vec((0_u64..400, 0_u64..400), 60), answer in 5_u64..80
        ) {
            let quota = rate(&format!("{requests}/{seconds}s"));
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_time().start_paused(true).build().unwrap();
            let arrivals = runtime.block_on(async {
                let pacer = Arc::new(Pacer::new(quota, &[], Instant::now()));
                pacer.distrust();
                let start = Instant::now();
                let mut tasks = JoinSet::new();
                for (before, way) in ways {
                    let pacer = pacer.clone();
                    tasks.spawn(async move {
                        pacer.slot().await;
                        sleep(Duration::from_millis(before)).await;
                        let departure = pacer.depart().await;
                        sleep(Duration::from_millis(way)).await;
                        let arrival = start.elapsed().as_millis();
                        sleep(Duration::from_millis(answer)).await;
                        drop(departure);
                        arrival
                    });
                }
                tasks.join_all().await
            });
            let most = most_in_any_window(&arrivals, u128::from(seconds) * 1000);
            prop_assert!(most <= requests as usize, "{} of {}", most, requests);
        }
    }
}
