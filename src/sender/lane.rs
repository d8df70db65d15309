//! One tenant's lane: its operations on their way, some at a time, never two of one user.

use super::{
    clock::Clock,
    pacer::Pacer,
    queue::{Begun, Queue},
    record::{Delivered, End, Ended, Recorder, Tally},
    secrets::Access,
    transport::Transport,
    wait::{at_once, told},
};
use crate::{
    dialect::Dialect,
    engine::{
        allowance::ResetUnit,
        breaker::{Leave, Opened, Pass},
        caution::{Caution, Heed},
        pace::Lowered,
        reply::Reply,
        retry::{self, Dice, WAIT_IN_RUN_MAX},
        silence::Silence,
    },
    model::{Notice, Operation, Outcome, TenantId},
};
use std::{
    collections::BTreeSet,
    fmt,
    future::Future,
    pin::pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::Poll,
};
use tokio::{
    sync::{Notify, watch},
    task::JoinSet,
    time::{Instant, sleep_until},
};

/// Everything that one tenant's requests share.
pub struct Lane {
    pub tenant: TenantId,
    pub dialect: Arc<dyn Dialect>,
    /// The target offers a read and the tenant uses it.
    pub reads: bool,
    pub transport: Transport,
    pub pacer: Pacer,
    pub access: Access,
    /// Requests in flight at most.
    pub concurrency: usize,
    pub clock: Clock,
    /// The run of this tenant ends then, with what is left for the next one.
    pub deadline: Instant,
    /// What `X-RateLimit-Reset` counts at this target.
    pub reset_unit: Option<ResetUnit>,
    /// Turns true when the process is asked to stop.
    pub stop: watch::Receiver<bool>,
    queue: Queue,
    shared: Mutex<Shared>,
    /// Told whenever the breaker may let somebody through who had to wait.
    moved: Notify,
    /// Turns true when the lane has ended early.
    closed: watch::Sender<bool>,
}

#[derive(Debug, Default)]
pub(super) struct Shared {
    pub(super) ended: Option<Ended>,
    pub(super) caution: Caution,
    pub(super) notices: BTreeSet<Notice>,
    pub(super) tally: Tally,
}

impl Lane {
    #[expect(clippy::too_many_arguments, reason = "each is a thing of its own, given once")]
    pub fn new(
        tenant: TenantId,
        dialect: Arc<dyn Dialect>,
        reads: bool,
        transport: impl Into<Transport>,
        pacer: Pacer,
        access: impl Into<Access>,
        concurrency: usize,
        clock: Clock,
        deadline: Instant,
        stop: watch::Receiver<bool>,
    ) -> Self {
        let (shared, queue) = (Mutex::new(Shared::default()), Queue::default());
        let (moved, closed) = (Notify::new(), watch::channel(false).0);
        Self {
            tenant,
            dialect,
            reads,
            transport: transport.into(),
            pacer,
            access: access.into(),
            concurrency,
            clock,
            deadline,
            reset_unit: None,
            stop,
            queue,
            shared,
            moved,
            closed,
        }
    }

    /// Sends one request at a time until three have been answered: the credentials were refused a
    /// short time ago, and may be still.
    pub fn probe_first(&self) {
        self.shared().caution.breaker.half_open();
    }

    /// Sends the operations, in order, `concurrency` at a time. Every one that was begun has its
    /// outcome recorded when this returns, unless recording itself failed.
    pub async fn deliver<R: Recorder>(
        self: &Arc<Self>,
        operations: Vec<Operation>,
        recorder: &Arc<R>,
        done: Arc<dyn Fn(&Outcome) + Send + Sync>,
    ) -> Delivered {
        self.queue.fill(operations);
        let mut workers = JoinSet::new();
        for _ in 0..self.concurrency {
            let (lane, recorder, done) = (self.clone(), recorder.clone(), done.clone());
            workers.spawn(async move {
                if let Err(why) = lane.work(&*recorder, &*done).await {
                    lane.end(Ended::NotRecorded { why });
                }
            });
        }
        while let Some(joined) = workers.join_next().await {
            if joined.is_err() {
                self.end(Ended::Broken { why: "a worker of this tenant failed".to_owned() });
            }
        }
        let left = self.queue.len();
        let mut shared = self.shared();
        let tally = std::mem::take(&mut shared.tally);
        Delivered { left, ended: shared.ended.clone(), tally, notices: shared.notices.clone() }
    }

    async fn work<R: Recorder>(
        &self,
        recorder: &R,
        done: &(dyn Fn(&Outcome) + Send + Sync),
    ) -> Result<(), String> {
        // First the operation: nobody waits for a slot that nothing is left for.
        let queue = &self.queue;
        let Some(first) = queue.pop() else { return Ok(()) };
        let intent = self.begin(&first, recorder).await;
        let mut begun = queue.begin(first, intent)?;
        while let Some(current) = begun {
            let end = self.carry(&current, recorder).await?;
            self.conclude(&end.outcome);
            done(&end.outcome);
            let Some(next) = queue.pop() else {
                return recorder.settle(current.intent, &current.operation, end).await;
            };
            let intent = self.pass_on(&current, end, &next, recorder).await;
            begun = queue.begin(next, intent)?;
        }
        Ok(())
    }

    /// Records the intent of an operation once there is a slot; `None` when the lane ended before.
    async fn begin<R: Recorder>(
        &self,
        operation: &Operation,
        recorder: &R,
    ) -> Result<Option<u64>, String> {
        if self.or_end(self.slot()).await.is_none() {
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
        let mut slot = pin!(self.or_end(self.slot()));
        match at_once(slot.as_mut()).await {
            Poll::Ready(Some(())) => {
                let now = self.clock.now();
                recorder.settle_and_intend(*intent, operation, end, next, now).await.map(Some)
            }
            Poll::Ready(None) => recorder.settle(*intent, operation, end).await.map(|()| None),
            Poll::Pending => {
                let mut settle = pin!(recorder.settle(*intent, operation, end));
                tokio::select! {
                    biased;
                    settled = &mut settle => {
                        settled?;
                        if slot.await.is_none() {
                            return Ok(None);
                        }
                        recorder.intend(next, self.clock.now()).await.map(Some)
                    }
                    slot = &mut slot => {
                        if slot.is_none() {
                            return settle.await.map(|()| None);
                        }
                        // Both in one wait for the disk: an intent does not leave outcomes waiting.
                        let begin = recorder.intend(next, self.clock.now());
                        let (settled, intent) = tokio::join!(settle, begin);
                        settled.and(intent.map(Some))
                    }
                }
            }
        }
    }

    fn conclude(&self, outcome: &Outcome) {
        let problem = self.shared().caution.conclude(outcome);
        if let Some(why) = problem {
            self.end(Ended::Broken { why });
        }
    }

    /// Waits while the breaker is open, and then for a slot: nothing is even begun before.
    pub(super) async fn slot(&self) {
        loop {
            let open = self.shared().caution.breaker.open_until();
            let Some(until) = open.map(Instant::from_std).filter(|until| *until > Instant::now())
            else {
                break;
            };
            sleep_until(until).await;
        }
        self.pacer.slot().await;
    }

    /// Waits until the breaker lets one more request through.
    pub(super) async fn pass(&self) -> Pass {
        loop {
            // Listened to before the look, so that no answer in between is missed.
            let moved = self.moved.notified();
            let leave = self.shared().caution.breaker.ask(Instant::now().into_std());
            match leave {
                Leave::Now(pass) => return pass,
                Leave::NotBefore(until) => sleep_until(Instant::from_std(until)).await,
                Leave::AfterTheProbe => moved.await,
            }
        }
    }

    /// Takes back what [`Self::pass`] gave for a request that says nothing of the target.
    pub(super) fn give_back(&self, pass: Pass) {
        self.shared().caution.breaker.give_back(pass);
        self.moved.notify_waiters();
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
            () = sleep_until(self.deadline) => self.end(Ended::Deadline),
            waited = wait => return Some(waited),
        }
        None
    }

    fn goes_on(&self) -> bool {
        !self.has_ended() && !*self.stop.borrow() && Instant::now() < self.deadline
    }

    /// The first cause stays, unless what was done cannot be written down.
    pub(super) fn end(&self, cause: Ended) {
        let mut shared = self.shared();
        let worse = matches!(cause, Ended::NotRecorded { .. });
        if worse || shared.ended.is_none() {
            shared.ended = Some(cause);
        }
        drop(shared);
        self.closed.send_replace(true);
    }

    pub(super) fn has_ended(&self) -> bool {
        *self.closed.borrow()
    }

    pub(super) fn shared(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes in what one reply means for everybody of this tenant, before anything else is done.
    pub(super) async fn heed<R: Recorder>(
        &self,
        reply: &Reply,
        pass: Pass,
        recorder: &R,
    ) -> Result<(), String> {
        let now = Instant::now();
        let heed = self.shared().caution.hear(reply, pass, now.into_std(), dice());
        let Heed { silence, opened, hopeless } = heed;
        self.moved.notify_waiters();
        if let Some(why) = hopeless {
            self.end(Ended::Broken { why });
        }
        if let Some(opened) = opened {
            self.open(&opened, now);
        }
        match silence {
            Some(silence) => self.fall_silent(silence, now, recorder).await,
            None => Ok(()),
        }
    }

    /// The breaker has opened: everybody waits for it, if that can be within this run.
    fn open(&self, opened: &Opened, now: Instant) {
        let (why, wait_s, left) = (&opened.why, opened.wait.as_secs(), self.queue.len());
        let tenant = &self.tenant;
        if opened.ends_the_run() || now + opened.wait >= self.deadline {
            tracing::warn!(%tenant, %why, left, "the target is not well; the next run goes on");
            self.end(Ended::Unwell { why: why.to_string() });
        } else {
            tracing::info!(%tenant, %why, wait_s, left, "waiting: the target is not well");
        }
    }

    /// Closes the gate for everybody of this tenant, and writes down until when.
    async fn fall_silent<R: Recorder>(
        &self,
        silence: Silence,
        now: Instant,
        recorder: &R,
    ) -> Result<(), String> {
        let Silence { wait, ends_the_run, throttled } = silence;
        let lowered = if throttled { self.pacer.distrust(now) } else { None };
        if let Some(Lowered::Frozen { share }) = lowered {
            self.shared().notices.insert(self.pacer.too_slow(share));
        }
        // Everybody stops at once; the record follows.
        let within_run = wait.min(WAIT_IN_RUN_MAX);
        self.pacer.pause_until(now + within_run);
        let until = retry::moment_after(self.clock.now(), wait);
        let why = if throttled { "it was sent too much" } else { "it asked for a pause" };
        let (tenant, wait_s, left) = (&self.tenant, wait.as_secs(), self.queue.len());
        tracing::info!(%tenant, why, wait_s, %until, left, "waiting: the target wants silence");
        {
            let mut shared = self.shared();
            shared.tally.throttled += u64::from(throttled);
            shared.tally.paused += within_run;
        }
        if ends_the_run {
            self.end(Ended::Throttled { until });
        }
        let learnt = (self.pacer.learnt(), self.clock.now());
        recorder.pause(until, "the target asked for fewer requests".to_owned(), learnt).await
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
    use crate::sender::Secrets;
    use crate::{
        dialect::{REGISTRY, Settings},
        model::{Rate, Reach, Request, UserKey},
        sender::{Hosts, Http, Timeouts, Within, transport::Sending},
    };
    use jiff::Timestamp;
    use secrecy::SecretString;
    use std::{collections::BTreeMap, time::Duration};
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

        async fn pause(
            &self,
            _: Timestamp,
            _: String,
            _: (Option<f64>, Timestamp),
        ) -> Result<(), String> {
            Ok(())
        }
    }

    fn read_of(user: &str) -> Operation {
        Operation {
            key: UserKey::parse(user).unwrap(),
            remote_id: RemoteId::parse("3fa85f64-5717-4562-b3fc-000000000001").ok(),
            action: Action::Read,
        }
    }

    /// A lane to a port where nobody listens.
    fn lane(quota: &str, stop: watch::Receiver<bool>) -> Arc<Lane> {
        let table = serde_json::json!({ "base_url": "http://127.0.0.1:9" });
        let table = table.as_object().unwrap().clone();
        let entry = REGISTRY.iter().find(|entry| entry.name == "datadog").unwrap();
        let reach = Reach { loopback: true, ..Reach::default() };
        let opened = (entry.open)(&Settings { table, reach });
        let start = Instant::now();
        let token = || [("token".to_owned(), SecretString::from("t"))].into();
        Arc::new(Lane::new(
            TenantId::parse("acme").unwrap(),
            opened.unwrap().into(),
            true,
            Http::new(Timeouts::default(), Hosts::within(reach)).unwrap(),
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

        async fn pause(
            &self,
            _: Timestamp,
            _: String,
            _: (Option<f64>, Timestamp),
        ) -> Result<(), String> {
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

    /// Reads 400 users; the end, the requests, and how long it took in seconds.
    async fn read_all(lane: &Arc<Lane>) -> (Delivered, u64, u64) {
        let start = Instant::now();
        let operations = (1..=400).map(|number| read_of(&format!("E{number}"))).collect();
        let times = Arc::new(Times::default());
        let delivered = lane.deliver(operations, &times, Arc::new(|_| ())).await;
        let requests = delivered.tally.reads;
        (delivered, requests, start.elapsed().as_secs())
    }

    #[tokio::test(start_paused = true)]
    async fn d09_a_target_that_is_not_reached_is_tried_less_and_less_and_left_to_the_next_run() {
        let (_stop, stopped) = watch::channel(false);
        let (delivered, requests, seconds) = read_all(&lane("1000/s", stopped)).await;
        let Some(Ended::Unwell { why }) = &delivered.ended else { panic!("{delivered:?}") };
        assert!(why.contains("still failing"), "{why}");
        // Five, four probes; 30, 60, 120 and 240 seconds, each a fifth more or less.
        assert_eq!(requests, 9);
        assert!((360..=545).contains(&seconds), "{seconds} s");
        assert!(delivered.left > 390);
    }

    #[tokio::test(start_paused = true)]
    async fn inv18_a_stop_ends_the_wait_for_a_target_that_is_not_well() {
        let (stop, stopped) = watch::channel(false);
        let lane = lane("1000/s", stopped);
        let stopping = async {
            sleep(Duration::from_secs(20)).await;
            stop.send_replace(true);
        };
        let ((delivered, requests, seconds), ()) = tokio::join!(read_all(&lane), stopping);
        assert_eq!(delivered.ended, Some(Ended::Stopped));
        assert_eq!((requests, seconds), (5, 20));
    }

    /// Never answers, and tells when it has been sent something.
    #[derive(Debug)]
    struct Mute(watch::Sender<bool>);

    impl Within for Mute {
        fn send<'a>(&'a self, _: Request, _: &'a BTreeMap<String, SecretString>) -> Sending<'a> {
            self.0.send_replace(true);
            Box::pin(std::future::pending())
        }
    }

    /// Has one request on its way and no answer, and is asked to stop, or twice; how it ended, and
    /// after how many seconds.
    async fn stopped_with_one_on_its_way(twice: bool) -> (Delivered, u64) {
        let (stop, stopped) = watch::channel(false);
        let (sent, mut was_sent) = watch::channel(false);
        let mut lane = Arc::into_inner(lane("1000/s", stopped)).unwrap();
        lane.transport = Transport::Within(Arc::new(Mute(sent)));
        let lane = Arc::new(lane);
        let times = Arc::new(Times::default());
        let operations = vec![read_of("E1"), read_of("E2")];
        let delivering = lane.deliver(operations, &times, Arc::new(|_| ()));
        let stopping = async {
            was_sent.wait_for(|sent| *sent).await.unwrap();
            stop.send_replace(true);
            let asked = Instant::now();
            if twice {
                drop(stop);
                return (asked, None);
            }
            (asked, Some(stop))
        };
        let (delivered, (asked, _stop)) = tokio::join!(delivering, stopping);
        (delivered, asked.elapsed().as_secs())
    }

    #[tokio::test(start_paused = true)]
    async fn e03_inv18_an_answer_that_does_not_come_is_given_up_within_a_stops_ninety_seconds() {
        let (delivered, seconds) = stopped_with_one_on_its_way(false).await;
        assert_eq!((delivered.ended, delivered.left), (Some(Ended::Stopped), 1));
        assert_eq!((delivered.tally.reads, seconds), (1, 80));
    }

    #[tokio::test(start_paused = true)]
    async fn e03_asked_twice_nobody_waits_for_an_answer() {
        let (delivered, seconds) = stopped_with_one_on_its_way(true).await;
        assert_eq!((delivered.ended, delivered.left), (Some(Ended::Stopped), 1));
        assert_eq!((delivered.tally.reads, seconds), (1, 0));
    }
}
