//! One tenant's part of a cycle: planned, judged, sent, recorded.

use super::{
    Options, Phase, Progress, Results, TenantEnd, TenantReport, WHOLE_RUN,
    case::{Case, Judgement},
    recorder::{Journal, Wishes},
    window::pacer,
};
use crate::{
    config::TenantConfig,
    engine::{
        plan::{Planned, digest},
        retry::{WAIT_IN_RUN_MAX, moment_after},
    },
    model::{Completeness, Notice, Operation, Outcome, SourceFacts, UserKey, Weight},
    sender::{Clock, Ended, Http, Lane, Secrets, Timeouts},
    store::{AcceptedInput, Store, StoreError},
};
use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};
use tokio::time::Instant;

/// When the target last refused the credentials.
const REFUSED: &str = "credentials:refused";
/// A run within that time after it tries them with one request first, so that an account is not
/// locked by runs that come one after another.
const PROBE_FIRST: SignedDuration = SignedDuration::from_hours(1);

/// A tenant's report before anything has happened.
pub(super) fn blank(tenant: &TenantConfig, now: Timestamp) -> TenantReport {
    let attributes = tenant.capabilities().attributes.iter();
    let privileges = attributes.filter(|(_, attribute)| attribute.weight == Weight::Privilege);
    TenantReport {
        tenant: tenant.id.clone(),
        api: tenant.api,
        plan: None,
        digest: String::new(),
        findings: Vec::new(),
        notices: tenant.dialect.notices(now.to_zoned(TimeZone::UTC).date()).into_iter().collect(),
        privileges: privileges.map(|(path, _)| path.clone()).collect(),
        results: Results::default(),
        end: TenantEnd::Planned,
    }
}

/// The notice that forbids sending to the tenant at all.
pub(super) fn refusal(notices: &BTreeSet<Notice>) -> Option<TenantEnd> {
    let notice = notices.iter().find(|notice| notice.refuses)?;
    Some(TenantEnd::Unusable { why: format!("{}; {}", notice.message, notice.hint) })
}

pub(super) fn of_store(error: &StoreError) -> TenantEnd {
    match error {
        StoreError::Locked { .. } => TenantEnd::Locked { why: error.to_string() },
        _ => TenantEnd::State { why: chain(error) },
    }
}

/// An error with its causes, in one line.
fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

/// A tenant whose snapshot is locked for us.
pub(super) struct Desk {
    case: Case,
    /// Set when the run began: what is sent hours later, once a person has agreed, is recorded hours
    /// later.
    clock: Clock,
    /// Given away to the journal while something is sent.
    store: Option<Store>,
    lane: Option<Arc<Lane>>,
    pub(super) report: TenantReport,
    settled: Vec<UserKey>,
    wishes: BTreeMap<UserKey, Wishes>,
}

impl Desk {
    pub(super) fn new(case: Case, store: Store, mut report: TenantReport, clock: Clock) -> Self {
        report.findings = case.findings().to_vec();
        Self {
            case,
            clock,
            store: Some(store),
            lane: None,
            report,
            settled: Vec::new(),
            wishes: BTreeMap::new(),
        }
    }

    fn ended(&self) -> bool {
        self.report.end != TenantEnd::Planned
    }

    /// First round: looks at everybody whose account is not known, and plans again.
    pub(super) async fn refresh(&mut self, options: &Options, progress: &Arc<dyn Progress>) {
        let planned = self.plan(false);
        let Some(planned) = self.keep(planned) else { return };
        // What a guard already holds is not even looked at.
        if !planned.guards.is_empty() {
            return;
        }
        let reads: Vec<Operation> = planned.reads().cloned().collect();
        if reads.is_empty() {
            return;
        }
        if self.lane(options).is_some() {
            self.deliver(reads, Phase::Reading, options, progress).await;
        }
        // Also when the reads were cut short: what is known is planned, the others wait.
        let planned = self.plan(true);
        let _ = self.keep(planned);
    }

    /// Plans without looking at anybody.
    pub(super) fn plan_only(&mut self) {
        let planned = self.plan(false);
        let _ = self.keep(planned);
    }

    /// What keeps the plan from being sent, if anything does.
    fn hold_back(&mut self) {
        if self.ended() {
            return;
        }
        let guarded = self.report.plan.as_ref().is_some_and(|plan| !plan.guards.is_empty());
        let guarded = guarded.then_some(TenantEnd::Guarded);
        if let Some(end) = refusal(&self.report.notices).or(guarded) {
            self.report.end = end;
        }
    }

    /// Second round: sends the changes, unless a guard tripped.
    pub(super) async fn send(&mut self, options: &Options, progress: &Arc<dyn Progress>) {
        self.hold_back();
        if self.ended() {
            return;
        }
        let Some(plan) = &self.report.plan else { return };
        // Only an approved plan still has any: what they will show was not approved.
        self.report.results.left += plan.reads().count() as u64;
        let changes: Vec<Operation> =
            plan.changes().map(|(operation, _)| operation.clone()).collect();
        if changes.is_empty() {
            self.report.end = TenantEnd::Done;
            return;
        }
        if self.lane(options).is_none() {
            return;
        }
        self.deliver(changes, Phase::Sending, options, progress).await;
        if !self.ended() {
            self.report.end = TenantEnd::Done;
        }
    }

    pub(super) fn decline(&mut self) {
        if !self.ended() {
            self.report.end = TenantEnd::Declined;
        }
    }

    /// Remembers what needs no look until it changes, and closes the run.
    pub(super) fn finish(mut self, options: &Options, now: Timestamp) -> TenantReport {
        self.hold_back();
        if let Err(error) = self.close(options, now) {
            self.report.end = of_store(&error);
        }
        self.report
    }

    fn close(&mut self, options: &Options, now: Timestamp) -> Result<(), StoreError> {
        let Some(store) = &mut self.store else { return Ok(()) };
        store.pack(self.case.view, &self.case.settled(&self.settled), &self.case.intake.passing)?;
        let memo = self.case.memo.take();
        if let Some(memo) =
            memo.filter(|_| options.is_whole() && self.report.end == TenantEnd::Done)
        {
            memo.keep(store)?;
        }
        close(store, &self.case.facts, &self.report, options, now)
    }

    fn plan(&mut self, reads_done: bool) -> Result<Judgement, StoreError> {
        self.case.plan(self.store.as_deref(), reads_done)
    }

    fn keep(&mut self, planned: Result<Judgement, StoreError>) -> Option<&crate::model::Plan> {
        match planned {
            Err(error) => {
                self.report.end = of_store(&error);
                None
            }
            Ok(Judgement { planned: Planned { plan, settled }, wishes }) => {
                self.settled = settled;
                self.wishes = wishes;
                self.report.digest = digest(&plan);
                Some(self.report.plan.insert(plan))
            }
        }
    }

    /// The lane, made when it is first needed; `None`, and the tenant's end, when it cannot be.
    fn lane(&mut self, options: &Options) -> Option<Arc<Lane>> {
        if self.lane.is_none() && !self.ended() {
            match self.verify().and_then(|()| self.open_lane(options)) {
                Ok(lane) => self.lane = Some(Arc::new(lane)),
                Err(end) => self.report.end = end,
            }
        }
        self.lane.clone()
    }

    /// Before the first request leaves: what is sent is decided by what the whole file says.
    fn verify(&mut self) -> Result<(), TenantEnd> {
        self.store.as_mut().map_or(Ok(()), Store::verify).map_err(|error| of_store(&error))
    }

    fn open_lane(&self, options: &Options) -> Result<Lane, TenantEnd> {
        if let Some(end) = refusal(&self.report.notices) {
            return Err(end);
        }
        let config = &self.case.config;
        let store = self.store.as_ref().ok_or(TenantEnd::State { why: "no state".to_owned() })?;
        let (clock, started) = (self.clock, Instant::now());
        let pause = store.pause().map_err(|error| of_store(&error))?;
        let paused = pause.map_or(Duration::ZERO, |pause| clock.until(pause.until));
        if paused > WAIT_IN_RUN_MAX {
            let until = moment_after(clock.now(), paused);
            return Err(TenantEnd::Paused { until });
        }
        let pacer = pacer(config, store, &clock, started).map_err(|error| of_store(&error))?;
        if !paused.is_zero() {
            let (tenant, wait_s) = (&config.id, paused.as_secs());
            tracing::info!(%tenant, wait_s, "waiting: the target wanted silence last time");
        }
        pacer.pause_until(started + paused);
        let unusable = |why| TenantEnd::Unusable { why };
        let timeouts = Timeouts { total: config.request_timeout, ..Timeouts::default() };
        let http = Http::new(timeouts).map_err(|error| unusable(chain(&error)))?;
        let secrets = secrets(config).map_err(unusable)?;
        let lane = Lane::new(
            config.id.clone(),
            config.dialect.clone(),
            config.reads,
            http,
            pacer,
            secrets,
            config.concurrency,
            clock,
            started + config.run_deadline,
            options.stop.clone(),
        );
        let refused = store.mark(REFUSED).map_err(|error| of_store(&error))?;
        if refused.is_some_and(|at| clock.now().duration_since(at) < PROBE_FIRST) {
            lane.probe_first();
        }
        Ok(lane)
    }

    async fn deliver(
        &mut self,
        operations: Vec<Operation>,
        phase: Phase,
        options: &Options,
        progress: &Arc<dyn Progress>,
    ) {
        let (Some(lane), Some(store)) = (self.lane.clone(), self.store.take()) else { return };
        let tenant = self.case.config.id.clone();
        let wishes = std::mem::take(&mut self.wishes);
        let results = std::mem::take(&mut self.report.results);
        let run = options.run.clone();
        let journal = match Journal::new(store, run, wishes, self.case.remembered(), results) {
            Ok(journal) => Arc::new(journal),
            Err(error) => {
                self.report.end = of_store(&error);
                return;
            }
        };
        progress.begin(&tenant, phase, operations.len() as u64);
        let step = {
            let (progress, tenant) = (progress.clone(), tenant.clone());
            move |_: &Outcome| progress.step(&tenant)
        };
        let delivered = lane.deliver(operations, &journal, Arc::new(step)).await;
        progress.end(&tenant);
        match Arc::into_inner(journal).map(Journal::finish) {
            Some(Ok((mut store, results))) => {
                if delivered.ended == Some(Ended::Unauthorized)
                    && let Err(error) = store.set_mark(REFUSED, self.clock.now())
                {
                    self.report.end = of_store(&error);
                }
                self.store = Some(store);
                self.report.results = results;
            }
            Some(Err(error)) => self.report.end = of_store(&error),
            None => {
                let why = "a task of this tenant did not end".to_owned();
                self.report.end = TenantEnd::State { why };
            }
        }
        self.count(delivered);
    }

    fn count(&mut self, delivered: crate::sender::Delivered) {
        let crate::sender::Delivered { left, ended, tally, notices } = delivered;
        let results = &mut self.report.results;
        results.left += left as u64;
        results.requests.reads += tally.reads;
        results.requests.patches += tally.patches;
        results.requests.throttled += tally.throttled;
        results.requests.paused += tally.paused;
        self.report.notices.extend(notices);
        if let Some(ended) = ended {
            if let Ended::NotRecorded { why } = &ended {
                tracing::error!(tenant = %self.report.tenant, %why, "the state cannot be written");
            }
            self.report.end = TenantEnd::Early(ended);
        }
    }
}

/// Records the end of a run, and the roster as a measure for the next one.
pub(super) fn close(
    store: &mut Store,
    facts: &SourceFacts,
    report: &TenantReport,
    options: &Options,
    now: Timestamp,
) -> Result<(), StoreError> {
    let passed = report.plan.as_ref().is_none_or(|plan| plan.guards.is_empty());
    let sent = matches!(report.end, TenantEnd::Done | TenantEnd::Early(_));
    // What is adopted is the first measure, and never takes the place of one.
    let first = options.users.is_empty() && store.accepted_input()?.is_none();
    let measures = options.is_whole() || first;
    if passed && sent && measures && facts.completeness == Completeness::Complete {
        let (users, rows, digest) = (facts.users, facts.rows, facts.digest);
        store.accept_input(&AcceptedInput { users, rows, digest, at: now })?;
    }
    let broken_off = matches!(report.end, TenantEnd::Declined | TenantEnd::Early(Ended::Stopped));
    if options.is_whole() && !broken_off {
        store.set_mark(WHOLE_RUN, options.now)?;
    }
    store.end_run(&options.run, &summary(report), now)
}

fn secrets(config: &TenantConfig) -> Result<Secrets, String> {
    let places = config.secrets.clone();
    Secrets::load(Box::new(move || {
        let read = |(name, secret): (&String, &crate::config::Secret)| {
            secret.read().map(|text| (name.clone(), text)).map_err(|problem| problem.to_string())
        };
        places.iter().map(read).collect()
    }))
}

/// The run in figures, for the record and for `status`.
fn summary(report: &TenantReport) -> String {
    let Results {
        read,
        settled,
        unverified,
        not_accepted,
        refused,
        gone,
        in_doubt,
        deferred,
        left,
        requests,
        failures: _,
    } = &report.results;
    let held = report.plan.as_ref().map_or(0, |plan| plan.held.len());
    serde_json::json!({
        "exit": report.exit().code(),
        "digest": report.digest,
        "read": read,
        "settled": settled,
        "unverified": unverified,
        "not_accepted": not_accepted,
        "refused": refused,
        "gone": gone,
        "in_doubt": in_doubt,
        "deferred": deferred,
        "left": left,
        "held": held,
        "requests": requests.reads + requests.patches,
    })
    .to_string()
}
