//! One tenant's lane: its operations on their way, some at a time, never two of one user.

use super::{
    carrier::Carrier,
    clock::Clock,
    pacer::Pacer,
    queue::{Begun, Queue},
    record::{Delivered, End, Ended, Recorder, Tally},
    secrets::Secrets,
    transport::Transport,
};
use crate::{
    dialect::Dialect,
    engine::{
        health::{Health, Sign},
        retry::{self, Dice, RetryAfter, WAIT_IN_RUN_MAX},
    },
    model::{Notice, Operation, Outcome, TenantId},
};
use std::{
    collections::BTreeSet,
    fmt,
    future::{Future, poll_fn},
    pin::{Pin, pin},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::Poll,
};
use tokio::{sync::watch, task::JoinSet, time::Instant};

/// Everything that one tenant's requests share.
pub struct Lane {
    pub tenant: TenantId,
    pub dialect: Arc<dyn Dialect>,
    /// The target offers a read and the tenant uses it.
    pub reads: bool,
    pub transport: Transport,
    pub pacer: Pacer,
    pub secrets: Secrets,
    /// Requests in flight at most.
    pub concurrency: usize,
    pub clock: Clock,
    /// The run of this tenant ends then, with what is left for the next one.
    pub deadline: Instant,
    /// Turns true when the process is asked to stop.
    pub stop: watch::Receiver<bool>,
    shared: Mutex<Shared>,
    /// Turns true when the lane has ended early.
    closed: watch::Sender<bool>,
}

#[derive(Debug, Default)]
pub(super) struct Shared {
    ended: Option<Ended>,
    health: Health,
    throttles_in_a_row: u32,
    clean_in_a_row: u32,
    pub(super) notices: BTreeSet<Notice>,
    pub(super) tally: Tally,
}

/// After so many answers without throttling its schedule starts again.
const CLEAN_ENOUGH: u32 = 20;

impl Lane {
    #[expect(clippy::too_many_arguments, reason = "each is a thing of its own, given once")]
    pub fn new(
        tenant: TenantId,
        dialect: Arc<dyn Dialect>,
        reads: bool,
        transport: impl Into<Transport>,
        pacer: Pacer,
        secrets: Secrets,
        concurrency: usize,
        clock: Clock,
        deadline: Instant,
        stop: watch::Receiver<bool>,
    ) -> Self {
        let shared = Mutex::new(Shared::default());
        let closed = watch::channel(false).0;
        Self {
            tenant,
            dialect,
            reads,
            transport: transport.into(),
            pacer,
            secrets,
            concurrency,
            clock,
            deadline,
            stop,
            shared,
            closed,
        }
    }

    /// Sends the operations, in order, `concurrency` at a time. Every one that was begun has its
    /// outcome recorded when this returns, unless recording itself failed.
    pub async fn deliver<R: Recorder>(
        self: &Arc<Self>,
        operations: Vec<Operation>,
        recorder: &Arc<R>,
        done: Arc<dyn Fn(&Outcome) + Send + Sync>,
    ) -> Delivered {
        let queue = Arc::new(Queue::of(operations));
        let mut workers = JoinSet::new();
        for _ in 0..self.concurrency {
            let (lane, queue) = (self.clone(), queue.clone());
            let (recorder, done) = (recorder.clone(), done.clone());
            workers.spawn(async move {
                if let Err(why) = lane.work(&queue, &*recorder, &*done).await {
                    lane.end(Ended::NotRecorded { why });
                }
            });
        }
        while let Some(joined) = workers.join_next().await {
            if joined.is_err() {
                self.end(Ended::Broken { why: "a worker of this tenant failed".to_owned() });
            }
        }
        let left = queue.len();
        let mut shared = self.shared();
        let tally = std::mem::take(&mut shared.tally);
        Delivered { left, ended: shared.ended.clone(), tally, notices: shared.notices.clone() }
    }

    async fn work<R: Recorder>(
        &self,
        queue: &Queue,
        recorder: &R,
        done: &(dyn Fn(&Outcome) + Send + Sync),
    ) -> Result<(), String> {
        // First the operation: nobody waits for a slot that nothing is left for.
        let Some(first) = queue.pop() else { return Ok(()) };
        let intent = self.begin(&first, recorder).await;
        let mut begun = queue.begin(first, intent)?;
        while let Some(current) = begun {
            let end = self.carry(&current, recorder).await?;
            self.judge_health(&end.outcome);
            done(&end.outcome);
            let Some(next) = queue.pop() else {
                return recorder.settle(current.intent, &current.operation, end).await;
            };
            let intent = self.pass_on(&current, end, &next, recorder).await;
            begun = queue.begin(next, intent)?;
        }
        Ok(())
    }

    /// Carries one operation to its end. Has a slot already.
    async fn carry<R: Recorder>(&self, begun: &Begun, recorder: &R) -> Result<End, String> {
        let Begun { operation, intent } = begun;
        let mut carrier =
            Carrier { lane: self, operation, recorder, intent: *intent, requests: 0, status: None };
        let outcome = carrier.run().await?;
        let Carrier { requests, status, .. } = carrier;
        Ok(End { outcome, status, requests, at: self.clock.now() })
    }

    /// Records the intent of an operation once there is a slot; `None` when the lane ended before.
    async fn begin<R: Recorder>(
        &self,
        operation: &Operation,
        recorder: &R,
    ) -> Result<Option<u64>, String> {
        if self.or_end(self.pacer.slot()).await.is_none() {
            return Ok(None);
        }
        recorder.intend(operation, self.clock.now()).await.map(Some)
    }

    /// Records how an operation ended, and the intent of the next one with it, if there is a slot
    /// at once: an outcome never waits for a slot.
    async fn pass_on<R: Recorder>(
        &self,
        ended: &Begun,
        end: End,
        next: &Operation,
        recorder: &R,
    ) -> Result<Option<u64>, String> {
        let Begun { operation, intent } = ended;
        let mut slot = pin!(self.or_end(self.pacer.slot()));
        match at_once(slot.as_mut()).await {
            Poll::Ready(Some(())) => {
                let now = self.clock.now();
                recorder.settle_and_intend(*intent, operation, end, next, now).await.map(Some)
            }
            Poll::Ready(None) => recorder.settle(*intent, operation, end).await.map(|()| None),
            Poll::Pending => {
                let settle = recorder.settle(*intent, operation, end);
                let (settled, slot) = tokio::join!(settle, slot);
                settled?;
                if slot.is_none() {
                    return Ok(None);
                }
                recorder.intend(next, self.clock.now()).await.map(Some)
            }
        }
    }

    fn judge_health(&self, outcome: &Outcome) {
        let problem = self.shared().health.take(Sign::of(outcome));
        if let Some(why) = problem {
            self.end(Ended::Broken { why });
        }
    }

    /// Waits for the future, or until the lane has to end; `None` then.
    pub(super) async fn or_end<T>(&self, wait: impl Future<Output = T>) -> Option<T> {
        let mut wait = pin!(wait);
        // Most waits are over before they begin, and need no alarm.
        if self.goes_on()
            && let Poll::Ready(waited) = at_once(wait.as_mut()).await
        {
            return Some(waited);
        }
        let mut stop = self.stop.clone();
        let mut closed = self.closed.subscribe();
        tokio::select! {
            biased;
            () = told(&mut stop) => self.end(Ended::Stopped),
            () = told(&mut closed) => {}
            () = tokio::time::sleep_until(self.deadline) => self.end(Ended::Deadline),
            waited = wait => return Some(waited),
        }
        None
    }

    fn goes_on(&self) -> bool {
        !self.has_ended() && !*self.stop.borrow() && Instant::now() < self.deadline
    }

    /// The first cause stays.
    pub(super) fn end(&self, cause: Ended) {
        self.shared().ended.get_or_insert(cause);
        self.closed.send_replace(true);
    }

    pub(super) fn has_ended(&self) -> bool {
        *self.closed.borrow()
    }

    pub(super) fn shared(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts an answer for the throttle schedule; the number of throttled ones in a row before it.
    pub(super) fn count_throttle(&self, throttled: bool) -> u32 {
        let mut shared = self.shared();
        if throttled {
            shared.clean_in_a_row = 0;
            shared.throttles_in_a_row += 1;
            return shared.throttles_in_a_row - 1;
        }
        shared.clean_in_a_row += 1;
        if shared.clean_in_a_row >= CLEAN_ENOUGH {
            shared.throttles_in_a_row = 0;
        }
        0
    }

    /// Closes the gate for everybody of this tenant, durably before anything else is done.
    pub(super) async fn pause<R: Recorder>(
        &self,
        asked: RetryAfter,
        recorder: &R,
    ) -> Result<(), String> {
        let now = Instant::now();
        // What was under way when the gate closed brings the same silence, not a second one.
        let n = if self.pacer.distrust(now).is_some() {
            self.count_throttle(true)
        } else {
            self.shared().throttles_in_a_row.saturating_sub(1)
        };
        let wait = retry::throttled(asked, n, now.into_std(), dice());
        tracing::info!(tenant = %self.tenant, wait_s = wait.as_secs(), "throttled");
        // Everybody stops at once; the record follows.
        let within_run = wait.min(WAIT_IN_RUN_MAX);
        self.pacer.pause_until(now + within_run);
        let until = retry::moment_after(self.clock.now(), wait);
        {
            let mut shared = self.shared();
            shared.tally.throttled += 1;
            shared.tally.paused += within_run;
        }
        if wait > WAIT_IN_RUN_MAX {
            self.end(Ended::Throttled { until });
        }
        recorder.pause(until, "the target asked for fewer requests".to_owned()).await
    }
}

/// What there is of it without waiting.
async fn at_once<F: Future>(mut wait: Pin<&mut F>) -> Poll<F::Output> {
    poll_fn(|context| Poll::Ready(wait.as_mut().poll(context))).await
}

/// Waits until the flag turns true; for ever when nobody is left to turn it.
async fn told(flag: &mut watch::Receiver<bool>) {
    if flag.wait_for(|flag| *flag).await.is_err() {
        std::future::pending::<()>().await;
    }
}

pub(super) fn dice() -> Dice {
    Dice::new(fastrand::f64())
}

impl fmt::Debug for Lane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Lane({:?})", self.dialect)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Action, RemoteId};
    use crate::{
        dialect::{REGISTRY, Settings},
        model::{Rate, UserKey},
        sender::{Http, Timeouts},
    };
    use jiff::Timestamp;
    use secrecy::SecretString;
    use std::time::Duration;
    use tokio::time::sleep;

    /// When requests were recorded, in seconds from the start.
    #[derive(Default)]
    struct Times(Mutex<Vec<i64>>);

    impl Times {
        fn note(&self, at: Timestamp) {
            self.0.lock().unwrap().push(at.as_second());
        }
    }

    impl Recorder for Times {
        async fn intend(&self, _: &Operation, at: Timestamp) -> Result<u64, String> {
            self.note(at);
            Ok(1)
        }

        async fn again(&self, _: u64, at: Timestamp) -> Result<(), String> {
            self.note(at);
            Ok(())
        }

        async fn settle(&self, _: u64, _: &Operation, _: End) -> Result<(), String> {
            Ok(())
        }

        async fn settle_and_intend(
            &self,
            _: u64,
            _: &Operation,
            _: End,
            _: &Operation,
            at: Timestamp,
        ) -> Result<u64, String> {
            self.note(at);
            Ok(2)
        }

        async fn pause(&self, _: Timestamp, _: String) -> Result<(), String> {
            Ok(())
        }
    }

    fn read_of(user: &str) -> Operation {
        Operation {
            key: UserKey::parse(user).unwrap(),
            remote_id: RemoteId::parse("3fa85f64-5717-4562-b3fc-000000000001").unwrap(),
            action: Action::Read,
        }
    }

    /// A lane to a port where nobody listens.
    fn lane(quota: &str, stop: watch::Receiver<bool>) -> Arc<Lane> {
        let table = serde_json::json!({ "base_url": "http://127.0.0.1:9" });
        let table = table.as_object().unwrap().clone();
        let entry = REGISTRY.iter().find(|entry| entry.name == "datadog").unwrap();
        let opened = (entry.open)(&Settings { table, allow_http_loopback: true });
        let start = Instant::now();
        let token = || [("token".to_owned(), SecretString::from("t"))].into();
        Arc::new(Lane::new(
            TenantId::parse("acme").unwrap(),
            opened.unwrap().into(),
            true,
            Http::new(Timeouts::default()).unwrap(),
            Pacer::new(Rate::parse(quota).unwrap(), &[], None, start),
            Secrets::load(Box::new(move || Ok(token()))).unwrap(),
            1,
            Clock::new(Timestamp::UNIX_EPOCH, start),
            start + Duration::from_hours(1),
            stop,
        ))
    }

    #[tokio::test(start_paused = true)]
    async fn inv7_a_request_that_is_held_up_before_it_leaves_is_recorded_once_more() {
        let (_stop, stopped) = watch::channel(false);
        let lane = lane("1/10s", stopped);
        let operation = read_of("E1");
        let times = Arc::new(Times::default());
        let under_way = lane.pacer.depart().await;
        let answer = async {
            sleep(Duration::from_secs(5)).await;
            drop(under_way);
        };
        let deliver = lane.deliver(vec![operation], &times, Arc::new(|_| ()));
        let _ = tokio::join!(deliver, answer);
        let times = times.0.lock().unwrap();
        assert_eq!(times[..2], [0, 15], "{times:?}");
    }

    /// Takes the first outcome and is killed before it has written it.
    struct Killed;

    impl Recorder for Killed {
        async fn intend(&self, _: &Operation, _: Timestamp) -> Result<u64, String> {
            Ok(1)
        }

        async fn again(&self, intent: u64, _: Timestamp) -> Result<(), String> {
            assert_eq!(intent, 1);
            Ok(())
        }

        async fn settle(&self, _: u64, _: &Operation, _: End) -> Result<(), String> {
            std::future::pending().await
        }

        async fn settle_and_intend(
            &self,
            _: u64,
            _: &Operation,
            _: End,
            _: &Operation,
            _: Timestamp,
        ) -> Result<u64, String> {
            std::future::pending().await
        }

        async fn pause(&self, _: Timestamp, _: String) -> Result<(), String> {
            Ok(())
        }
    }

    #[tokio::test(start_paused = true)]
    async fn inv1_nothing_leaves_while_the_outcome_before_it_and_its_intent_are_being_written() {
        for quota in ["1000/s", "1/20s"] {
            let (_stop, stopped) = watch::channel(false);
            let lane = lane(quota, stopped);
            let operations = vec![read_of("E1"), read_of("E2")];
            let killed = Arc::new(Killed);
            let deliver = lane.deliver(operations, &killed, Arc::new(|_| ()));
            let waited = tokio::time::timeout(Duration::from_mins(30), deliver).await;
            assert!(waited.is_err());
            let reads = lane.shared().tally.reads;
            let attempts = u64::from(retry::ATTEMPTS_MAX);
            assert_eq!(reads, attempts, "{quota}");
        }
    }
}
