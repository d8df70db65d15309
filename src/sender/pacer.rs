//! One tenant's quota, as a promise about every window.
//!
//! Four parts: governor hands out evenly spaced slots, one at a time and never two at once; each of
//! them is a moment to leave at, given some time before, so that several requests are recorded in
//! one go; a log of the last window stands guard over what really left; a gate holds everybody while
//! the target has asked for silence. What comes too late for its moment is made good, at no more
//! than twice the pace, so that timers and disks do not eat the quota, and the guard still counts it.
//!
//! The guard counts by arrival, which is what the target counts. Nobody here sees an arrival, but it
//! lies between departure and answer. So a request under way counts until it is answered, and then
//! as if it had arrived only then. That is certain, and costs a share of the quota as large as the
//! answer's time is in the window. Once enough answers have been seen, what the quickest of them took
//! is taken for the target's own time, and a request counts as arrived that much before its answer.
//! What of that time was spent on the way there is no error as long as the next request takes it too.
//! So the fewer answers have been seen, and the more unlike they are, the less is trusted.
//!
//! A target that throttles all the same may have shown that trust wrong, or have a reason of its own,
//! and nobody can tell which from one answer. So what was learnt is forgotten, also because a refusal
//! is answered quicker than anything else, and learnt anew from as many answers as at first: certain
//! again for a second or two, at a few per cent of the pace. If it throttles again soon after, twice
//! as many are needed, and so on: who is throttled for trusting stops trusting. Refusals of one
//! silence are one. Each also lowers the pace, which grows back while nothing is refused; see
//! [`Pace`].

use super::{
    crowd::Crowd,
    slots::{LATE_MAX, Slots},
    trust::Trust,
};
use crate::{
    engine::{
        allowance::Allowance,
        pace::{Lowered, Pace},
    },
    model::{Notice, Rate},
};
use std::{
    cmp::Reverse,
    collections::{BinaryHeap, VecDeque},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{
    sync::Notify,
    time::{Instant, sleep_until},
};

/// Slots are given so long before their moment, which is time to record what is to leave then.
const LEAD: Duration = Duration::from_millis(20);
/// And with the first of them all others that are due within so much more.
const BUNDLE: Duration = Duration::from_millis(200);
/// A departure that is late through a timer leaves the next one where it was.
const TIMER: Duration = Duration::from_millis(10);
/// Added to the window, for clocks and timers.
const MARGIN: Duration = Duration::from_millis(3);

/// The quota of one tenant. Shared by all that send to it, retries and reads included.
#[derive(Debug)]
pub struct Pacer {
    quota: Rate,
    /// Whoever holds it has the next turn; fair, so first come, first served.
    turn: tokio::sync::Mutex<Slots>,
    pace: Mutex<Pace>,
    log: Mutex<Log>,
    leaving: Mutex<Leaving>,
    crowd: Crowd,
    /// Told when a request that was under way has been answered.
    answered: Notify,
    gate: Gate,
    begun: Instant,
}

impl Pacer {
    /// `recent` are the departures of earlier runs within the last window, as the time that has
    /// passed since: a restart does not start a new window. `learnt`: see [`Self::learnt`].
    #[must_use]
    pub fn new(quota: Rate, recent: &[Duration], learnt: Option<f64>, now: Instant) -> Self {
        let past = |ago: &Duration| now.checked_sub(*ago);
        let arrivals: BinaryHeap<Reverse<Instant>> =
            recent.iter().filter_map(past).map(Reverse).collect();
        let last = arrivals.iter().map(|Reverse(arrival)| *arrival).max();
        Self {
            quota,
            turn: tokio::sync::Mutex::new(Slots::new(quota, last, now)),
            pace: Mutex::new(Pace::new(quota, learnt, now.into_std())),
            begun: now,
            log: Mutex::new(Log { under_way: 0, arrivals, trust: Trust::new() }),
            leaving: Mutex::new(Leaving { dues: VecDeque::new(), last: None }),
            crowd: Crowd::default(),
            answered: Notify::new(),
            gate: Gate { until: Mutex::new(now), moved: Notify::new() },
        }
    }

    /// Waits for a slot. What is to be recorded before the request leaves is recorded after this
    /// and before [`Self::depart`], which waits for the moment of the slot.
    pub async fn slot(&self) {
        let mut turn = self.turn.lock().await;
        loop {
            self.open().await;
            let now = Instant::now();
            turn.follow(self.pace().share(now.into_std()));
            let due = turn.due(now, self.paused_until());
            if due <= turn.given_until {
                turn.take();
                self.leaving().dues.push_back(due);
                return;
            }
            let given = due.checked_sub(LEAD).unwrap_or(due);
            if given > now {
                self.wait(given).await;
            } else if self.crowd.is_thin(self.few()) {
                turn.given_until = due.max(now) + BUNDLE;
            } else {
                self.crowd.thinned().await;
            }
        }
    }

    /// Waits for the moment of the oldest slot, and until one more request may arrive within the
    /// window; counts it as under way until the departure is dropped.
    pub async fn depart(&self) -> Departure<'_> {
        loop {
            self.open().await;
            let moment = self.leaving().next(Instant::now(), self.quota.interval() / 2);
            // A pause in between makes all moments void.
            if !self.wait(moment).await {
                continue;
            }
            if let Some(departure) = self.join_window().await {
                return departure;
            }
        }
    }

    /// `None` when the gate closed before there was room.
    async fn join_window(&self) -> Option<Departure<'_>> {
        let mut waiting = None;
        while self.paused_until() <= Instant::now() {
            // Listened to before the look, so that no answer in between is missed.
            let answered = self.answered.notified();
            let full = self.count(Instant::now());
            if full.is_some() && waiting.is_none() {
                waiting = Some(self.crowd.join());
            }
            match full {
                None => return Some(Departure { pacer: self, left: Instant::now() }),
                Some(Full::Until(free)) => tokio::select! {
                    biased;
                    _ = self.wait(free) => {}
                    () = answered => {}
                },
                Some(Full::UntilAnswered) => answered.await,
            }
        }
        None
    }

    /// Nobody of this tenant sends before that moment. Never shortens an earlier pause.
    pub fn pause_until(&self, moment: Instant) {
        self.gate.close_until(moment);
    }

    /// The target throttled: a request counts until it is answered, until enough was learnt anew,
    /// and the pace is lowered. Called before the pause that it brings. `None` when that is no new
    /// silence, which it is not for what was under way when the gate closed.
    pub fn distrust(&self, now: Instant) -> Option<Lowered> {
        let is_new = self.paused_until() <= now;
        let used = {
            let mut log = self.log();
            log.trust.forget(is_new);
            log.under_way + log.arrivals.len()
        };
        // What left in a window that is not over says nothing of a pace.
        let whole = now.saturating_duration_since(self.begun.max(self.paused_until()));
        #[expect(clippy::cast_precision_loss, reason = "of a pace, the first digits matter")]
        let used = used as f64 / f64::from(self.quota.requests.get());
        let used = (whole >= self.quota.per).then_some(used);
        is_new.then(|| self.pace().throttled(used, now.into_std()))
    }

    /// What the target says of its own count; heard only where it is less than what is sent.
    pub fn heed(&self, allowance: Allowance, now: Instant) {
        let Allowance { remaining, reset } = allowance;
        if remaining == 0 {
            self.pause_until(now + reset);
        } else {
            self.pace().told(remaining, reset, now.into_std());
        }
    }

    /// What a person is told of a target that throttles at that share of its quota, again and again.
    #[must_use]
    pub fn too_slow(&self, share: f64) -> Notice {
        let taken = f64::from(self.quota.requests.get()) * share;
        Notice {
            message: format!(
                "the target throttles again and again: its quota is {}, and it takes about \
                 {taken:.1} in that time",
                self.quota
            ),
            hint: "lower `quota`, or ask who else sends there with the same credentials".to_owned(),
            refuses: false,
        }
    }

    /// The share of the quota that throttling has left; `None` when it is all of it. For the next
    /// run.
    #[must_use]
    pub fn learnt(&self) -> Option<f64> {
        self.pace().learnt()
    }

    /// Until when the gate is closed.
    #[must_use]
    pub fn paused_until(&self) -> Instant {
        self.gate.until()
    }

    /// As many as leave while a bundle is recorded.
    fn few(&self) -> usize {
        let interval = self.quota.interval().as_nanos().max(1);
        usize::try_from(LEAD.as_nanos() / interval).unwrap_or(usize::MAX)
    }

    async fn open(&self) {
        loop {
            let moved = self.gate.moved.notified();
            let until = self.gate.until();
            if until <= Instant::now() {
                return;
            }
            tokio::select! {
                biased;
                () = sleep_until(until) => {}
                () = moved => {}
            }
        }
    }

    /// Sleeps, but comes back early when the gate closes; false then.
    async fn wait(&self, until: Instant) -> bool {
        if until <= Instant::now() {
            return true;
        }
        let moved = self.gate.moved.notified();
        tokio::select! {
            biased;
            () = moved => false,
            () = sleep_until(until) => true,
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
            let at_target = log.trust.learn(took);
            log.under_way = log.under_way.saturating_sub(1);
            log.arrivals.push(Reverse(left + took.saturating_sub(at_target)));
        }
        self.answered.notify_waiters();
    }

    fn pace(&self) -> MutexGuard<'_, Pace> {
        self.pace.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn leaving(&self) -> MutexGuard<'_, Leaving> {
        self.leaving.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn log(&self) -> MutexGuard<'_, Log> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Until when nobody leaves. Whoever waits is told in the order of waiting, so that the same night
/// goes the same way twice.
#[derive(Debug)]
struct Gate {
    until: Mutex<Instant>,
    moved: Notify,
}

impl Gate {
    fn until(&self) -> Instant {
        *self.lock()
    }

    fn close_until(&self, moment: Instant) {
        let mut until = self.lock();
        if moment > *until {
            *until = moment;
            drop(until);
            self.moved.notify_waiters();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Instant> {
        self.until.lock().unwrap_or_else(PoisonError::into_inner)
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
    trust: Trust,
}

/// When those leave that have a slot.
#[derive(Debug)]
struct Leaving {
    /// Moments of the slots whose requests have not asked to leave yet.
    dues: VecDeque<Instant>,
    /// The moment that was given last.
    last: Option<Instant>,
}

impl Leaving {
    /// A moment that is long past is void: its request is late, or will never leave.
    fn next(&mut self, now: Instant, apart: Duration) -> Instant {
        while self.dues.front().is_some_and(|due| *due + LATE_MAX < now) {
            self.dues.pop_front();
        }
        let recent = now.checked_sub(TIMER).unwrap_or(now);
        let due = self.dues.pop_front().unwrap_or(now).max(recent);
        let moment = self.last.map_or(due, |last| due.max(last + apart));
        self.last = Some(moment);
        moment
    }
}

enum Full {
    Until(Instant),
    UntilAnswered,
}

#[cfg(test)]
mod tests {
    use super::{super::trust::ANSWERS_LEAST, *};
    use proptest::prelude::*;
    use std::sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    };
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
            let pacer = Pacer::new(rate(quota), &[], None, Instant::now());
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
        let pacer = Pacer::new(rate("10/10s"), &recent, None, Instant::now());
        let left = departures(pacer, 2, 10).await;
        assert!(left[0] >= 9_000, "{left:?}");
        let earlier = recent.iter().map(|ago| 10_000 - ago.as_millis());
        let mut all: Vec<u128> = earlier.chain(left.iter().map(|ms| ms + 10_000)).collect();
        all.sort_unstable();
        assert!(most_in_any_window(&all, 10_000) <= 10);
    }

    #[tokio::test(start_paused = true)]
    async fn inv8_nobody_leaves_before_the_pause_is_over_and_a_shorter_one_does_not_shorten_it() {
        let pacer = Arc::new(Pacer::new(rate("10/s"), &[], None, Instant::now()));
        let start = Instant::now();
        pacer.pause_until(start + Duration::from_secs(5));
        pacer.pause_until(start + Duration::from_secs(2));
        pacer.slot().await;
        let _departure = pacer.depart().await;
        assert!(start.elapsed() >= Duration::from_secs(5));
    }

    #[tokio::test(start_paused = true)]
    async fn a_pause_also_holds_who_already_has_a_slot() {
        let pacer = Arc::new(Pacer::new(rate("10/s"), &[], None, Instant::now()));
        let start = Instant::now();
        pacer.slot().await;
        pacer.pause_until(start + Duration::from_secs(3));
        let _departure = pacer.depart().await;
        assert!(start.elapsed() >= Duration::from_secs(3));
    }

    /// Has requests leave, each answered 50 ms later, for so many seconds from now; when they reached
    /// the target, in ms from `start`.
    async fn send_for(pacer: &Arc<Pacer>, start: Instant, seconds: u64) -> Vec<u128> {
        let end = Instant::now() + Duration::from_secs(seconds);
        let mut tasks = JoinSet::new();
        for _ in 0..16 {
            let pacer = pacer.clone();
            tasks.spawn(async move {
                let mut left = Vec::new();
                while Instant::now() < end {
                    pacer.slot().await;
                    sleep(Duration::from_millis(5)).await;
                    let departure = pacer.depart().await;
                    left.push(start.elapsed().as_millis());
                    sleep(Duration::from_millis(50)).await;
                    drop(departure);
                }
                left
            });
        }
        let mut left = tasks.join_all().await.concat();
        left.sort_unstable();
        left
    }

    fn throttled(pacer: &Pacer, seconds: u64) -> bool {
        let now = Instant::now();
        let is_new = pacer.distrust(now).is_some();
        pacer.pause_until(now + Duration::from_secs(seconds));
        is_new
    }

    #[tokio::test(start_paused = true)]
    async fn two_seconds_after_the_silence_the_lowered_pace_is_in_full_use() {
        let pacer = Arc::new(Pacer::new(rate("50/s"), &[], None, Instant::now()));
        let start = Instant::now();
        let mut left = send_for(&pacer, start, 8).await;
        assert!(throttled(&pacer, 3));
        assert!(!throttled(&pacer, 3), "of the same silence");
        let end = (Instant::now() + Duration::from_secs(3) - start).as_millis();
        left.extend(send_for(&pacer, start, 25).await);
        assert!(most_in_any_window(&left, 1000) <= 50);
        let used = left.iter().filter(|ms| (end + 2_000..end + 17_000).contains(ms)).count();
        // Seven tenths for five seconds, and then a fiftieth of the quota more.
        let pace = 35 * 5 + 36 * 10;
        assert!((pace * 98 / 100..=pace).contains(&used), "{used} of {pace}");
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_throttled_again_and_again_counts_until_the_answer_for_longer_each_time() {
        let pacer = Arc::new(Pacer::new(rate("50/s"), &[], None, Instant::now()));
        let start = Instant::now();
        for needed in [2, 4, 8, 16] {
            assert!(throttled(&pacer, 1));
            assert_eq!(pacer.log().trust.needed, needed * ANSWERS_LEAST);
            sleep(Duration::from_secs(2)).await;
        }
        // At the pace of the quota, to see the caution alone.
        *pacer.pace() = Pace::new(rate("50/s"), None, Instant::now().into_std());
        let began = start.elapsed().as_millis();
        let left = send_for(&pacer, start, 10).await;
        let cautious = left.iter().filter(|ms| (began + 1_000..began + 9_000).contains(ms)).count();
        assert!((370..390).contains(&cautious), "{cautious}");
        // Until twice as many answers were clean.
        send_for(&pacer, start, 40).await;
        assert!(throttled(&pacer, 1));
        assert_eq!(pacer.log().trust.needed, ANSWERS_LEAST);
    }

    #[tokio::test(start_paused = true)]
    async fn slots_given_before_a_pause_bring_no_burst_after_it() {
        let pacer = Arc::new(Pacer::new(rate("50/s"), &[], None, Instant::now()));
        let start = Instant::now();
        for _ in 0..8 {
            pacer.slot().await;
        }
        assert!(start.elapsed() <= Duration::from_millis(1), "given in one go");
        pacer.pause_until(start + Duration::from_secs(3));
        let left = send_for(&pacer, start, 4).await;
        assert!(left[0] >= 3_000);
        assert!(most_in_any_window(&left, 100) <= 11, "{left:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn what_a_busy_disk_held_up_is_made_good() {
        let pacer = Arc::new(Pacer::new(rate("50/s"), &[], None, Instant::now()));
        let start = Instant::now();
        let busy = async {
            loop {
                sleep(Duration::from_millis(700)).await;
                let _turn = pacer.turn.lock().await;
                sleep(Duration::from_millis(100)).await;
            }
        };
        let left = tokio::select! {
            left = send_for(&pacer, start, 20) => left,
            () = busy => Vec::new(),
        };
        assert!(most_in_any_window(&left, 1000) <= 50);
        assert!(left.len() >= 980, "{}", left.len());
    }

    #[tokio::test(start_paused = true)]
    async fn slots_do_not_run_ahead_of_a_window_that_is_full() {
        let pacer = Arc::new(Pacer::new(rate("10/s"), &[], None, Instant::now()));
        let given = Arc::new(AtomicUsize::new(0));
        let mut tasks = JoinSet::new();
        for _ in 0..64 {
            let (pacer, given) = (pacer.clone(), given.clone());
            tasks.spawn(async move {
                pacer.slot().await;
                given.fetch_add(1, Ordering::Relaxed);
                let _departure = pacer.depart().await;
                std::future::pending::<()>().await;
            });
        }
        sleep(Duration::from_secs(20)).await;
        // None is ever answered: the window stays full of the first ten, and one bundle has a slot.
        let given = given.load(Ordering::Relaxed);
        assert!((10..=14).contains(&given), "{given}");
    }

    /// So many cases, or as many as `PROPTEST_CASES` says.
    fn cases(usual: u32) -> ProptestConfig {
        match std::env::var_os("PROPTEST_CASES") {
            Some(_) => ProptestConfig::default(),
            None => ProptestConfig::with_cases(usual),
        }
    }

    proptest! {
        #![proptest_config(cases(64))]
        #[test]
        fn p05_inv7_holds_at_the_target_whatever_the_way_there_takes(
            requests in 1_u32..20, seconds in 1_u64..5,
            ways in prop::collection::vec((0_u64..400, 0_u64..400), 60), answer in 5_u64..80
        ) {
            let quota = rate(&format!("{requests}/{seconds}s"));
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_time().start_paused(true).build().unwrap();
            let arrivals = runtime.block_on(async {
                let pacer = Arc::new(Pacer::new(quota, &[], None, Instant::now()));
                pacer.distrust(Instant::now());
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
