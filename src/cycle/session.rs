//! From the locks to the last record.

use super::{
    CycleReport, Edges, Options, Progress, TenantEnd, TenantReport, WHOLE_RUN,
    gather::{self, Gathered, Guest},
    prepare::Prepared,
    target,
    tenant::{Desk, blank, of_store},
    window::set_back,
};
use crate::{
    config::{Config, SourceConfig, TenantConfig},
    model::{Finding, SourceFacts, SourceId, TenantId},
    sender::{Clock, Ended},
    source::Refused,
    store::{Holder, Store},
};
use jiff::Timestamp;
use std::{collections::HashMap, sync::Arc};
use tokio::{task::JoinSet, time::Instant};

/// What the report says of the source.
struct Read {
    facts: SourceFacts,
    findings: Vec<Finding>,
    prepared: Prepared,
}

/// A cycle that holds the locks of its tenants.
pub struct Session {
    config: Arc<Config>,
    source: SourceId,
    options: Options,
    clock: Clock,
    read: Option<Result<Read, Refused>>,
    desks: Vec<Desk>,
    /// Tenants that ended before they had a desk.
    ended: Vec<TenantReport>,
    /// Whose task is whose, while tenants go side by side.
    running: HashMap<tokio::task::Id, TenantId>,
}

impl Session {
    /// Takes the locks, reads and judges the whole source, and maps it for every tenant.
    #[must_use]
    pub fn open(config: Arc<Config>, source: &SourceId, options: Options, holder: &Holder) -> Self {
        let mut session = Self {
            source: source.clone(),
            clock: Clock::new(options.now, Instant::now()),
            options,
            read: None,
            desks: Vec::new(),
            ended: Vec::new(),
            running: HashMap::new(),
            config,
        };
        let config = session.config.clone();
        if let Some(settings) = config.sources.get(source) {
            let opened = session.open_stores(holder);
            session.read(&config, settings, opened);
        }
        session
    }

    /// Reaches targets and writes down what is sent in that way from now on.
    #[must_use]
    pub fn through(mut self, edges: &Edges) -> Self {
        for desk in &mut self.desks {
            desk.edges = edges.clone();
        }
        self
    }

    fn open_stores(&mut self, holder: &Holder) -> Vec<Opened> {
        let mut opened = Vec::new();
        for tenant in chosen(&self.config, &self.source, &self.options) {
            match open_store(&self.config, &tenant, &self.options, holder) {
                Ok(store) => opened.push(Opened { tenant, store }),
                Err(report) => self.ended.push(*report),
            }
        }
        opened
    }

    fn read(&mut self, config: &Config, settings: &SourceConfig, opened: Vec<Opened>) {
        let guests = opened.iter().map(Opened::guest).collect::<Vec<_>>();
        match gather::read(config, &self.source, settings, &guests, &self.options) {
            Err(refused) => {
                self.read = Some(Err(refused));
                for Opened { tenant, store } in opened {
                    let report = end(blank(&tenant, self.options.now), TenantEnd::SourceRefused);
                    self.ended.push(close_early(store, report, &self.options));
                }
            }
            Ok(gather::Read { gathered, prepared }) => {
                let Gathered { facts, findings, cases } = gathered;
                self.read = Some(Ok(Read { facts, findings, prepared }));
                for (Opened { tenant, store }, case) in opened.into_iter().zip(cases) {
                    let report = blank(&tenant, self.options.now);
                    match case {
                        Ok(case) => self.desks.push(Desk::new(case, store, report, self.clock)),
                        Err(error) => self.ended.push(end(report, of_store(&error))),
                    }
                }
            }
        }
    }

    /// Looks at everybody whose account is not known; tenants side by side.
    pub async fn refresh(&mut self, progress: &Arc<dyn Progress>) {
        self.each(Round::Refresh, progress).await;
    }

    /// Plans without sending anything.
    pub fn plan_only(&mut self) {
        for desk in &mut self.desks {
            desk.plan_only();
        }
    }

    /// The plans as they stand.
    pub fn tenants(&self) -> impl Iterator<Item = &TenantReport> {
        self.desks.iter().map(|desk| &desk.report).chain(&self.ended)
    }

    /// Sends what was planned to every tenant whose guards are quiet; tenants side by side.
    pub async fn send(&mut self, progress: &Arc<dyn Progress>) {
        self.each(Round::Send, progress).await;
    }

    /// Nothing is sent: a person said no.
    pub fn decline(&mut self) {
        for desk in &mut self.desks {
            desk.decline();
        }
    }

    /// Looks and sends without a question in between. Each tenant goes from one to the other on its
    /// own, so that one that has to be silent keeps no other waiting.
    pub async fn carry_out(&mut self, progress: &Arc<dyn Progress>) {
        self.each(Round::Both, progress).await;
    }

    /// Closes the run of every tenant.
    #[must_use]
    pub fn finish(self, now: Timestamp) -> CycleReport {
        let Self { config, source, options, read, desks, ended, clock: _, running: _ } = self;
        let mut tenants = ended;
        tenants.extend(desks.into_iter().map(|desk| desk.finish(&options, now)));
        match read {
            Some(Ok(Read { facts, mut findings, prepared })) => {
                if options.is_whole() && options.tenants.is_empty() && have_used(&tenants) {
                    findings.extend(prepared.archive(&config, &source));
                }
                report(&config, &source, &options, (facts, findings), tenants)
            }
            Some(Err(refused)) => refused_report(&config, &source, &options, refused, tenants),
            None => empty(&config, &source, &options),
        }
    }

    async fn each(&mut self, round: Round, progress: &Arc<dyn Progress>) {
        let mut tasks = JoinSet::new();
        for mut desk in std::mem::take(&mut self.desks) {
            let (options, progress) = (self.options.clone(), progress.clone());
            let tenant = desk.report.tenant.clone();
            let task = tasks.spawn(async move {
                match round {
                    Round::Refresh => desk.refresh(&options, &progress).await,
                    Round::Send => desk.send(&options, &progress).await,
                    Round::Both => {
                        desk.refresh(&options, &progress).await;
                        desk.send(&options, &progress).await;
                    }
                }
                desk
            });
            self.running.insert(task.id(), tenant);
        }
        while let Some(joined) = tasks.join_next().await {
            match joined {
                Ok(desk) => self.desks.push(desk),
                Err(error) => self.lose(error.id()),
            }
        }
        self.running.clear();
        self.desks.sort_by(|a, b| a.report.tenant.cmp(&b.report.tenant));
    }

    /// A tenant whose task panicked: its snapshot is as its last record left it, and the other
    /// tenants go on.
    fn lose(&mut self, task: tokio::task::Id) {
        let tenant = self.running.get(&task).and_then(|id| self.config.tenants.get(id));
        if let Some(tenant) = tenant {
            let why = "an internal error; the snapshot is as its last record left it".to_owned();
            let report = blank(tenant, self.options.now);
            self.ended.push(end(report, TenantEnd::Early(Ended::Broken { why })));
        }
    }
}

/// There are tenants, and each has taken the roster for what it is: none waits for a person or for its state.
fn have_used(tenants: &[TenantReport]) -> bool {
    let has = |tenant: &TenantReport| match &tenant.end {
        TenantEnd::Done
        | TenantEnd::Early(_)
        | TenantEnd::Paused { .. }
        | TenantEnd::Quarantined(_) => true,
        TenantEnd::Planned
        | TenantEnd::Guarded
        | TenantEnd::Declined
        | TenantEnd::Locked { .. }
        | TenantEnd::State { .. }
        | TenantEnd::Unusable { .. }
        | TenantEnd::SourceRefused => false,
    };
    !tenants.is_empty() && tenants.iter().all(has)
}

#[derive(Clone, Copy)]
enum Round {
    Refresh,
    Send,
    Both,
}

/// A tenant whose snapshot is locked for us, before its part of the cycle has begun.
struct Opened {
    tenant: Arc<TenantConfig>,
    store: Store,
}

impl Opened {
    fn guest(&self) -> Guest<'_> {
        Guest { tenant: &self.tenant, snapshot: Some(&self.store) }
    }
}

pub(super) fn open_store(
    config: &Config,
    tenant: &TenantConfig,
    options: &Options,
    holder: &Holder,
) -> Result<Store, Box<TenantReport>> {
    let open = || {
        let mut store = Store::open_for(config, &tenant.id, holder)?;
        store.begin_run(&options.run, options.verb, options.now)?;
        if let Some(by) = set_back(&store, options.now)? {
            tracing::warn!(tenant = %tenant.id, by_s = by.as_secs(), "the clock was set back");
            store.clock_was_set_back(by)?;
        }
        let stranger = target::stranger(tenant, &store)?;
        target::note(tenant, &mut store, options.now)?;
        Ok((store, stranger))
    };
    let blank = || blank(tenant, options.now);
    match open() {
        Ok((store, None)) => Ok(store),
        Ok((store, Some(stranger))) => {
            Err(Box::new(close_early(store, end(blank(), stranger), options)))
        }
        Err(error) => Err(Box::new(end(blank(), of_store(&error)))),
    }
}

/// Records a run that ended before it was planned.
pub(super) fn close_early(
    mut store: Store,
    report: TenantReport,
    options: &Options,
) -> TenantReport {
    let summary = format!("{{\"exit\":{}}}", report.exit().code());
    let mut close = || {
        if options.is_whole() {
            store.set_mark(WHOLE_RUN, options.now)?;
        }
        store.end_run(&options.run, &summary, options.now)
    };
    match close() {
        Ok(()) => report,
        Err(error) => end(report, of_store(&error)),
    }
}

/// The tenants that this run is about.
pub(super) fn chosen(
    config: &Config,
    source: &SourceId,
    options: &Options,
) -> Vec<Arc<TenantConfig>> {
    let wanted = |tenant: &&Arc<TenantConfig>| {
        options.tenants.is_empty() || options.tenants.contains(&tenant.id)
    };
    config.tenants_of(source).filter(wanted).cloned().collect()
}

pub(super) fn end(report: TenantReport, end: TenantEnd) -> TenantReport {
    TenantReport { end, ..report }
}

pub(super) fn empty(config: &Config, source: &SourceId, options: &Options) -> CycleReport {
    let path = config.sources.get(source).map(|source| source.csv.path.clone());
    CycleReport {
        run: options.run.clone(),
        source: source.clone(),
        path: path.unwrap_or_default(),
        started: options.now,
        facts: None,
        findings: Vec::new(),
        tenants: Vec::new(),
    }
}

pub(super) fn report(
    config: &Config,
    source: &SourceId,
    options: &Options,
    (facts, findings): (SourceFacts, Vec<Finding>),
    mut tenants: Vec<TenantReport>,
) -> CycleReport {
    tenants.sort_by(|a, b| a.tenant.cmp(&b.tenant));
    CycleReport { facts: Some(facts), findings, tenants, ..empty(config, source, options) }
}

pub(super) fn refused_report(
    config: &Config,
    source: &SourceId,
    options: &Options,
    refused: Refused,
    mut tenants: Vec<TenantReport>,
) -> CycleReport {
    for tenant in &mut tenants {
        if tenant.end == TenantEnd::Planned {
            tenant.end = TenantEnd::SourceRefused;
        }
    }
    tenants.sort_by(|a, b| a.tenant.cmp(&b.tenant));
    CycleReport { findings: refused.findings, tenants, ..empty(config, source, options) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_without_a_tenant_uses_no_dropped_file_up() {
        assert!(!have_used(&[]));
    }
}
