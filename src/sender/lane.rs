//! One tenant's lane: its operations on their way, some at a time, never two of one user.

use super::{
    http::{Http, Sent},
    pacer::Pacer,
};
use crate::{
    dialect::Dialect,
    engine::{
        delivery::{Delivery, Next, Reply, Step, StopCause},
        health::{Health, Sign},
        retry::{self, Dice, RetryAfter, WAIT_IN_RUN_MAX},
    },
    model::{Action, Notice, Operation, Outcome, RemoteId, TenantId},
};
use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use secrecy::{ExposeSecret, SecretString};
use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    fmt,
    future::Future,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{
    sync::watch,
    task::JoinSet,
    time::{Instant, sleep},
};

/// Everything that one tenant's requests share.
pub struct Lane {
    pub tenant: TenantId,
    pub dialect: Arc<dyn Dialect>,
    /// The target offers a read and the tenant uses it.
    pub reads: bool,
    pub http: Http,
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
struct Shared {
    ended: Option<Ended>,
    health: Health,
    throttles_in_a_row: u32,
    clean_in_a_row: u32,
    notices: BTreeSet<Notice>,
    tally: Tally,
}

/// After so many answers without throttling its schedule starts again.
const CLEAN_ENOUGH: u32 = 20;

/// A request that leaves later than this after it was recorded is recorded once more.
const RECORD_AGE_MAX: Duration = Duration::from_millis(100);

/// Why a lane ended before its last operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// The process is asked to stop.
    Stopped,
    /// The run took too long.
    Deadline,
    /// The target asked for silence until then, which is longer than a run waits.
    Throttled {
        until: Timestamp,
    },
    Unauthorized,
    Broken {
        why: String,
    },
    /// An intent or an outcome could not be written, so nothing may be sent any more.
    NotRecorded {
        why: String,
    },
}

/// Counted in requests, not in operations.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    pub reads: u64,
    pub patches: u64,
    pub throttled: u64,
    /// Time that the whole lane was silent because the target asked for it.
    pub paused: Duration,
}

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

/// A tenant's secrets by name, and how to fetch them anew.
pub struct Secrets {
    load: Loader,
    current: Mutex<Arc<BTreeMap<String, SecretString>>>,
}

/// Reads the secrets from where they are kept; an error says which could not be read, and why.
pub type Loader = Box<dyn Fn() -> Result<BTreeMap<String, SecretString>, String> + Send + Sync>;

impl Secrets {
    pub fn load(load: Loader) -> Result<Self, String> {
        let current = Mutex::new(Arc::new(load()?));
        Ok(Self { load, current })
    }

    fn current(&self) -> Arc<BTreeMap<String, SecretString>> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Reads them again. `false` when they could not be read or are those that were just refused,
    /// so that sending again would be refused again.
    fn renew(&self, refused: &BTreeMap<String, SecretString>) -> bool {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if let Ok(fresh) = (self.load)() {
            *current = Arc::new(fresh);
        }
        let text = |secrets: &BTreeMap<String, SecretString>| -> Vec<String> {
            secrets.values().map(|secret| secret.expose_secret().to_owned()).collect()
        };
        text(&current) != text(refused)
    }
}

/// Where intents and outcomes are made durable. Each call returns when it is on disk.
pub trait Recorder: Send + Sync + 'static {
    /// Before the first request of an operation leaves; the number names it from then on.
    fn intend(
        &self,
        operation: &Operation,
        at: Timestamp,
    ) -> impl Future<Output = Result<u64, String>> + Send;

    /// Before each further request of it leaves.
    fn again(&self, intent: u64, at: Timestamp) -> impl Future<Output = Result<(), String>> + Send;

    fn settle(
        &self,
        intent: u64,
        operation: &Operation,
        end: End,
    ) -> impl Future<Output = Result<(), String>> + Send;

    /// The target asked for silence.
    fn pause(
        &self,
        until: Timestamp,
        why: String,
    ) -> impl Future<Output = Result<(), String>> + Send;
}

/// How one operation ended.
#[derive(Clone, Debug)]
pub struct End {
    pub outcome: Outcome,
    /// Of the last answer, if there was one.
    pub status: Option<u16>,
    /// Requests sent for it.
    pub requests: u32,
    pub at: Timestamp,
}

/// What became of a list of operations.
#[derive(Debug, Default)]
pub struct Delivered {
    /// Operations that were not begun.
    pub left: usize,
    pub ended: Option<Ended>,
    pub tally: Tally,
    pub notices: BTreeSet<Notice>,
}

impl Lane {
    #[expect(clippy::too_many_arguments, reason = "each is a thing of its own, given once")]
    pub fn new(
        tenant: TenantId,
        dialect: Arc<dyn Dialect>,
        reads: bool,
        http: Http,
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
            http,
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
        let queue = Arc::new(Mutex::new(VecDeque::from(operations)));
        let mut workers = JoinSet::new();
        for _ in 0..self.concurrency {
            let (lane, queue) = (self.clone(), queue.clone());
            let (recorder, done) = (recorder.clone(), done.clone());
            workers.spawn(async move { lane.work(&queue, &*recorder, &*done).await });
        }
        while let Some(joined) = workers.join_next().await {
            if joined.is_err() {
                self.end(Ended::Broken { why: "a worker of this tenant failed".to_owned() });
            }
        }
        let left = queue.lock().unwrap_or_else(PoisonError::into_inner).len();
        let mut shared = self.shared();
        let tally = std::mem::take(&mut shared.tally);
        Delivered { left, ended: shared.ended.clone(), tally, notices: shared.notices.clone() }
    }

    async fn work<R: Recorder>(
        &self,
        queue: &Mutex<VecDeque<Operation>>,
        recorder: &R,
        done: &(dyn Fn(&Outcome) + Send + Sync),
    ) {
        let queue = || queue.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if self.has_ended() {
                return;
            }
            // First the operation: nobody waits for a slot that nothing is left for.
            let next = queue().pop_front();
            let Some(operation) = next else { return };
            if self.or_end(self.pacer.slot()).await.is_none() {
                queue().push_front(operation);
                return;
            }
            if let Err(why) = self.carry(&operation, recorder, done).await {
                self.end(Ended::NotRecorded { why });
                return;
            }
        }
    }

    /// Carries one operation to its end. Has a slot already.
    async fn carry<R: Recorder>(
        &self,
        operation: &Operation,
        recorder: &R,
        done: &(dyn Fn(&Outcome) + Send + Sync),
    ) -> Result<(), String> {
        let intent = recorder.intend(operation, self.clock.now()).await?;
        let mut carrier =
            Carrier { lane: self, operation, recorder, intent, requests: 0, status: None };
        let outcome = carrier.run().await?;
        let end = End {
            outcome,
            status: carrier.status,
            requests: carrier.requests,
            at: self.clock.now(),
        };
        self.judge_health(&end.outcome);
        done(&end.outcome);
        recorder.settle(intent, operation, end).await
    }

    fn judge_health(&self, outcome: &Outcome) {
        let problem = self.shared().health.take(Sign::of(outcome));
        if let Some(why) = problem {
            self.end(Ended::Broken { why });
        }
    }

    /// Waits for the future, or until the lane has to end; `None` then.
    async fn or_end<T>(&self, wait: impl Future<Output = T>) -> Option<T> {
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

    /// The first cause stays.
    fn end(&self, cause: Ended) {
        self.shared().ended.get_or_insert(cause);
        self.closed.send_replace(true);
    }

    fn has_ended(&self) -> bool {
        *self.closed.borrow()
    }

    fn shared(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts an answer for the throttle schedule; the number of throttled ones in a row before it.
    fn count_throttle(&self, throttled: bool) -> u32 {
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
    async fn pause<R: Recorder>(&self, asked: RetryAfter, recorder: &R) -> Result<(), String> {
        let n = self.count_throttle(true);
        let now = Instant::now();
        let wait = retry::throttled(asked, n, now.into_std(), dice());
        tracing::info!(tenant = %self.tenant, wait_s = wait.as_secs(), "throttled");
        // Everybody stops at once; the record follows.
        self.pacer.distrust();
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

/// One operation and what it has used up.
struct Carrier<'a, R> {
    lane: &'a Lane,
    operation: &'a Operation,
    recorder: &'a R,
    intent: u64,
    requests: u32,
    status: Option<u16>,
}

impl<R: Recorder> Carrier<'_, R> {
    async fn run(&mut self) -> Result<Outcome, String> {
        let mut delivery = Delivery::new(self.operation, self.lane.reads);
        let mut next = Next::Operation;
        loop {
            let secrets = self.lane.secrets.current();
            let Some(reply) = self.request(next, &secrets).await? else {
                return Ok(delivery.abandon("the run ended first"));
            };
            next = match delivery.next(reply) {
                Step::Done(outcome) => return Ok(outcome),
                Step::Stop { cause, outcome } => {
                    self.lane.end(match cause {
                        StopCause::Unauthorized => Ended::Unauthorized,
                        StopCause::Broken { why } => Ended::Broken { why },
                    });
                    return Ok(outcome);
                }
                Step::Send(next) => next,
                Step::Again { next, failures } => {
                    let wait = retry::transient(failures, Instant::now().into_std(), dice());
                    if self.lane.or_end(sleep(wait)).await.is_none() {
                        return Ok(delivery.abandon("the run ended first"));
                    }
                    next
                }
                Step::Pause { next, retry_after } => {
                    self.lane.pause(retry_after, self.recorder).await?;
                    next
                }
                Step::Renew(next) if self.lane.secrets.renew(&secrets) => next,
                Step::Renew(_) => {
                    self.lane.end(Ended::Unauthorized);
                    return Ok(delivery.abandon("the credentials are refused"));
                }
            };
            if self.lane.or_end(self.lane.pacer.slot()).await.is_none() {
                return Ok(delivery.abandon("the run ended first"));
            }
        }
    }

    /// One request and its reply; `None` when the lane ended before it could leave.
    async fn request(
        &mut self,
        next: Next,
        secrets: &BTreeMap<String, SecretString>,
    ) -> Result<Option<Reply>, String> {
        let Operation { key: _, remote_id, action } = self.operation;
        let action = match next {
            Next::Operation => action,
            Next::Look => &Action::Read,
        };
        let request = match self.lane.dialect.request(remote_id, action) {
            Ok(request) => request,
            Err(why) => return Ok(Some(Reply::NotSent { why })),
        };
        if self.requests > 0 {
            self.recorder.again(self.intent, self.lane.clock.now()).await?;
        }
        if self.lane.has_ended() {
            return Ok(None);
        }
        let recorded = Instant::now();
        let Some(departure) = self.lane.or_end(self.lane.pacer.depart()).await else {
            return Ok(None);
        };
        // Held up by a pause: the next run counts the quota by what is recorded.
        if recorded.elapsed() > RECORD_AGE_MAX {
            self.recorder.again(self.intent, self.lane.clock.now()).await?;
        }
        self.requests += 1;
        self.count_request(action);
        let (method, left) = (request.method.as_str(), Instant::now());
        let sent = self.lane.http.send(request, secrets).await;
        drop(departure);
        let reply = self.read(remote_id, action, sent);
        let took = left.elapsed();
        self.log(method, &reply, took);
        Ok(Some(reply))
    }

    /// The operation is named by its number: the user is nobody's business but the report's.
    fn log(&self, method: &str, reply: &Reply, took: Duration) {
        let tenant = &self.lane.tenant;
        let (op, attempt, duration_ms) = (self.intent, self.requests, took.as_millis());
        match reply {
            Reply::Answered { answer, status, retry_after } => tracing::debug!(
                %tenant, op, attempt, method, http_status = status, code = answer.code,
                ?retry_after, duration_ms, "answered"
            ),
            Reply::NotSent { why } => {
                tracing::debug!(%tenant, op, attempt, method, why, duration_ms, "not sent");
            }
            Reply::Lost { why } => {
                tracing::debug!(%tenant, op, attempt, method, why, duration_ms, "no answer");
            }
            Reply::Unreachable { why } => {
                tracing::warn!(%tenant, op, attempt, method, why, "unreachable");
            }
        }
    }

    fn count_request(&self, action: &Action) {
        let mut shared = self.lane.shared();
        match action {
            Action::Read => shared.tally.reads += 1,
            Action::Patch { .. } => shared.tally.patches += 1,
        }
    }

    fn read(&mut self, remote_id: &RemoteId, action: &Action, sent: Sent) -> Reply {
        let response = match sent {
            Sent::Answered(response) => response,
            Sent::NotSent { why } => return Reply::NotSent { why },
            Sent::Lost { why } => return Reply::Lost { why },
            Sent::Unreachable { why } => return Reply::Unreachable { why },
        };
        let now = self.lane.clock.now();
        let today = now.to_zoned(TimeZone::UTC).date();
        let answer = self.lane.dialect.read(remote_id, action, &response, today);
        let retry_after = RetryAfter::of(&response, now);
        let notices = crate::dialect::sunset::deprecation_notices(&response);
        self.lane.shared().notices.extend(notices);
        self.status = Some(response.status);
        if !matches!(response.status, 429 | 503) {
            self.lane.count_throttle(false);
        }
        Reply::Answered { answer, status: response.status, retry_after }
    }
}

/// Waits until the flag turns true; for ever when nobody is left to turn it.
async fn told(flag: &mut watch::Receiver<bool>) {
    if flag.wait_for(|flag| *flag).await.is_err() {
        std::future::pending::<()>().await;
    }
}

fn dice() -> Dice {
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
    use crate::{
        dialect::{REGISTRY, Settings},
        model::{Rate, UserKey},
        sender::Timeouts,
    };

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

        async fn pause(&self, _: Timestamp, _: String) -> Result<(), String> {
            Ok(())
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
            Pacer::new(Rate::parse(quota).unwrap(), &[], start),
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
        let operation = Operation {
            key: UserKey::parse("E1").unwrap(),
            remote_id: RemoteId::parse("3fa85f64-5717-4562-b3fc-000000000001").unwrap(),
            action: Action::Read,
        };
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
}
