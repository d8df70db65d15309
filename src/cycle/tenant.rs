//! One tenant's part of a cycle: planned, judged, sent, recorded.

use super::{
    Edges, Options, Phase, Progress, TenantEnd, TenantReport, books,
    case::{Case, Judgement},
    close::close,
    evidence::overtime,
    learn::Wishes,
    opening::REFUSED,
    recorder::{Closed, Journal},
};
use crate::{
    engine::plan::{Planned, digest},
    model::{Notice, Operation, Outcome, UserKey},
    sender::{Clock, Ended, Lane},
    store::{Approval, Store, StoreError},
};
use jiff::Timestamp;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

pub(super) use super::blank::{blank, of_store, refusal};

/// A tenant whose snapshot is locked for us.
pub(super) struct Desk {
    pub(super) case: Case,
    /// Set when the run began: what is sent hours later, once a person has agreed, is recorded hours
    /// later.
    pub(super) clock: Clock,
    /// Given away to the journal while something is sent.
    pub(super) store: Option<Store>,
    lane: Option<Arc<Lane>>,
    pub(super) edges: Edges,
    pub(super) report: TenantReport,
    pub(super) settled: Vec<UserKey>,
    pub(super) wishes: BTreeMap<UserKey, Wishes>,
    /// Operations that this run has to account for.
    pub(super) booked: u64,
    /// What lets the plan pass though a guard holds it. The plan is then carried out as it stands.
    approval: Option<Approval>,
    began: Timestamp,
}

impl Desk {
    pub(super) fn new(case: Case, store: Store, mut report: TenantReport, clock: Clock) -> Self {
        report.findings = case.findings().to_vec();
        Self {
            case,
            clock,
            store: Some(store),
            lane: None,
            edges: Edges::default(),
            report,
            settled: Vec::new(),
            wishes: BTreeMap::new(),
            booked: 0,
            approval: None,
            began: clock.now(),
        }
    }

    pub(super) fn ended(&self) -> bool {
        self.report.end != TenantEnd::Planned
    }

    /// First round: looks at everybody whose account is not known, and plans again.
    pub(super) async fn refresh(&mut self, options: &Options, progress: &Arc<dyn Progress>) {
        let notices = self.report.notices.clone();
        let planned = self.plan(false);
        let Some(planned) = self.keep(planned) else { return };
        // What a guard already holds is not even looked at.
        let guarded = !planned.guards.is_empty();
        let reads: Vec<Operation> = planned.reads().cloned().collect();
        // Nor is what was approved: what the reads would show was not.
        if self.approval.is_some() || reads.is_empty() {
            return;
        }
        if guarded {
            self.plan_as_read(&notices);
            return;
        }
        if let Some(end) = self.waits() {
            self.report.end = end;
            return;
        }
        if self.lane(options).is_some() {
            self.carry(reads, Phase::Reading, options, progress).await;
            self.seek_on(options, progress).await;
        }
        // Also when the reads were cut short: what is known is planned, the others wait.
        let planned = self.plan(true);
        let _ = self.keep(planned);
    }

    /// A run that was held after its reads made its plan without those who did not answer. If that
    /// plan was approved, it stands; else the plan stays as it is. `notices`: from before it.
    fn plan_as_read(&mut self, notices: &BTreeSet<Notice>) {
        let approvals = self.store.as_ref().map(|store| store.approvals(1));
        if !matches!(approvals, Some(Ok(approvals)) if !approvals.is_empty()) {
            return;
        }
        for reads_done in [true, false] {
            self.report.notices.clone_from(notices);
            let planned = self.plan(reads_done);
            let _ = self.keep(planned);
            if self.approval.is_some() {
                return;
            }
        }
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
        let end = refusal(&self.report.notices).or(guarded).or_else(|| self.waits());
        if let Some(end) = end {
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
        let mut operations = plan.operations.clone();
        if self.approval.is_none() {
            // Only a plan that was shown to somebody still has reads: what they will show was not.
            self.leave(plan.reads().count());
            operations.retain(|operation| !operation.action.is_look());
        }
        if !operations.is_empty() && self.lane(options).is_none() {
            return;
        }
        if !self.use_approval(options) {
            return;
        }
        if operations.is_empty() {
            self.report.end = TenantEnd::Done;
            return;
        }
        self.carry(operations, Phase::Sending, options, progress).await;
        self.link_found(options);
        if !self.ended() {
            self.report.end = TenantEnd::Done;
        }
    }

    /// Before the first request leaves. `false`: what was approved may not be sent any more.
    fn use_approval(&mut self, options: &Options) -> bool {
        let (Some(approval), Some(store)) = (&self.approval, &mut self.store) else { return true };
        match store.use_approval(approval.id, &options.run, self.clock.now()) {
            Ok(true) => match store.clear_drift_sample() {
                Ok(()) => return true,
                Err(error) => self.report.end = of_store(&error),
            },
            // It expired while a person was asked.
            Ok(false) => self.report.end = TenantEnd::Guarded,
            Err(error) => self.report.end = of_store(&error),
        }
        false
    }

    pub(super) fn decline(&mut self) {
        self.hold_back();
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
        books::check(&self.report, self.booked);
        self.report
    }

    fn close(&mut self, options: &Options, now: Timestamp) -> Result<(), StoreError> {
        self.release_users()?;
        self.enter_quarantine(options)?;
        self.note_timers()?;
        self.note_life(now)?;
        self.note_looks(options)?;
        let Some(store) = &mut self.store else { return Ok(()) };
        if let Some(lane) = &self.lane {
            store.remember_pace(lane.pacer.learnt(), self.clock.now())?;
        }
        let guards = self.report.plan.iter().flat_map(|plan| &plan.guards);
        let emptied_held = guards.into_iter().any(|guard| guard.guard == "max_source_clear");
        let settled = self.case.settled(&self.settled, emptied_held);
        store.pack(self.case.view.view, &settled, &self.case.intake.passing)?;
        let memo = self.case.memo.take();
        if let Some(memo) =
            memo.filter(|_| options.is_whole() && self.report.end == TenantEnd::Done)
        {
            memo.keep(store)?;
        }
        self.case.remember_waiting(store, &self.report, options, now)?;
        close(store, self.case.view, &self.case.facts, &self.report, options, now)
    }

    /// For a run that ends without [`Self::finish`].
    pub(super) fn keep_pace(&self, store: &mut Store) -> Result<(), StoreError> {
        let learnt = self.lane.as_ref().map(|lane| lane.pacer.learnt());
        learnt.map_or(Ok(()), |learnt| store.remember_pace(learnt, self.clock.now()))
    }

    pub(super) fn plan(&mut self, reads_done: bool) -> Result<Judgement, StoreError> {
        self.case.plan(self.store.as_deref(), reads_done, self.began)
    }

    pub(super) fn keep(
        &mut self,
        planned: Result<Judgement, StoreError>,
    ) -> Option<&crate::model::Plan> {
        match planned {
            Err(error) => {
                self.report.end = of_store(&error);
                None
            }
            Ok(Judgement { planned: Planned { plan, settled }, wishes }) => {
                self.settled = settled;
                self.wishes = wishes;
                self.report.digest = digest(&plan);
                self.report.notices.extend(overtime(&self.case.config, &plan));
                self.report.plan = Some(plan);
                self.look_for_approval();
                self.report.plan.as_ref()
            }
        }
    }

    fn look_for_approval(&mut self) {
        let Some(store) = &self.store else { return };
        match self.case.let_pass(&mut self.report, store, self.clock.now()) {
            Ok(approval) => self.approval = approval,
            Err(error) => self.report.end = of_store(&error),
        }
    }

    /// The lane, made when it is first needed; `None`, and the tenant's end, when it cannot be.
    pub(super) fn lane(&mut self, options: &Options) -> Option<Arc<Lane>> {
        if self.lane.is_none() && !self.ended() {
            match self.open_lane(options) {
                Ok(lane) => self.lane = Some(Arc::new(lane)),
                Err(end) => self.report.end = end,
            }
        }
        self.lane.clone()
    }

    pub(super) async fn deliver(
        &mut self,
        operations: Vec<Operation>,
        phase: Phase,
        options: &Options,
        progress: &Arc<dyn Progress>,
    ) {
        let (Some(lane), Some(store)) = (self.lane.clone(), self.store.take()) else { return };
        let tenant = self.case.config.id.clone();
        self.booked += operations.len() as u64;
        let mut store = store;
        if let Err(error) = self.note_moves(&mut store) {
            self.report.end = of_store(&error);
            return;
        }
        let wishes = self.wishes_of(&operations);
        let results = std::mem::take(&mut self.report.results);
        let run = options.run.clone();
        let (scribe, keep) = (&*self.edges.scribe, self.case.remembered());
        let journal = match Journal::new(store, scribe, run, wishes, keep, results) {
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
            Some(Ok(Closed { mut store, results, sought, shown })) => {
                self.case.note_sought(sought);
                self.case.seen.extend(shown.keys().cloned());
                if let Err(error) = store.note_shown(&shown, &options.run, self.clock.now()) {
                    self.report.end = of_store(&error);
                }
                let ended = &delivered.ended;
                if matches!(ended, Some(Ended::Unauthorized | Ended::LoginRefused { .. }))
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

    pub(super) fn count(&mut self, delivered: crate::sender::Delivered) {
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
