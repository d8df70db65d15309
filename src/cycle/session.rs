//! From the locks to the last record.

use super::{
    CycleReport, Options, Progress, TenantEnd, TenantReport, WHOLE_RUN,
    case::Case,
    gather::{self, Index, Roster},
    target,
    tenant::{Desk, blank, of_store},
};
use crate::{
    config::{Config, SourceConfig, TenantConfig},
    model::{SourceId, TenantId},
    sender::{Clock, Ended},
    source::Refused,
    store::{Holder, Store},
};
use jiff::Timestamp;
use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};
use tokio::{task::JoinSet, time::Instant};

/// A cycle that holds the locks of its tenants.
pub struct Session {
    config: Arc<Config>,
    source: SourceId,
    options: Options,
    clock: Clock,
    roster: Option<Arc<Roster>>,
    refused: Option<Refused>,
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
            roster: None,
            refused: None,
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

    fn open_stores(&mut self, holder: &Holder) -> Vec<(Arc<TenantConfig>, Index, Store)> {
        let mut opened = Vec::new();
        for tenant in chosen(&self.config, &self.source, &self.options) {
            match open_store(&self.config, &tenant, &self.options, holder) {
                Ok((index, store)) => opened.push((tenant, index, store)),
                Err(report) => self.ended.push(*report),
            }
        }
        opened
    }

    fn read(
        &mut self,
        config: &Config,
        settings: &SourceConfig,
        opened: Vec<(Arc<TenantConfig>, Index, Store)>,
    ) {
        let views: Vec<(&TenantConfig, &Index)> =
            opened.iter().map(|(tenant, index, _)| (tenant.as_ref(), index)).collect();
        let keep_all = !self.options.users.is_empty();
        match gather::read(config, &self.source, settings, &views, keep_all) {
            Err(refused) => {
                self.refused = Some(refused);
                for (tenant, _, store) in opened {
                    let report = end(blank(&tenant, self.options.now), TenantEnd::SourceRefused);
                    self.ended.push(close_refused(store, report, &self.options));
                }
            }
            Ok(roster) => {
                let roster = Arc::new(roster);
                self.roster = Some(roster.clone());
                for (tenant, index, store) in opened {
                    let report = blank(&tenant, self.options.now);
                    let case = Case::new(tenant, settings, roster.clone(), index, &self.options);
                    self.desks.push(Desk::new(case, store, report, self.clock));
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
        let Self { config, source, options, roster, refused, desks, ended, clock: _, running: _ } =
            self;
        let mut tenants = ended;
        tenants.extend(desks.into_iter().map(|desk| desk.finish(&options, now)));
        match (roster, refused) {
            (Some(roster), _) => report(&config, &source, &options, &roster, tenants),
            (None, Some(refused)) => refused_report(&config, &source, &options, refused, tenants),
            (None, None) => empty(&config, &source, &options),
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

#[derive(Clone, Copy)]
enum Round {
    Refresh,
    Send,
    Both,
}

/// Takes the roster for what the targets hold, for everybody of whom nothing is known. Sends
/// nothing. For a target that was just loaded from this very roster.
#[must_use]
pub fn adopt(
    config: &Config,
    source: &SourceId,
    options: &Options,
    holder: &Holder,
) -> (CycleReport, BTreeMap<TenantId, u64>) {
    let mut adopted = BTreeMap::new();
    let clock = Clock::new(options.now, Instant::now());
    let Some(settings) = config.sources.get(source) else {
        return (empty(config, source, options), adopted);
    };
    let (mut opened, mut ended) = (Vec::new(), Vec::new());
    for tenant in chosen(config, source, options) {
        match open_store(config, &tenant, options, holder) {
            Ok((index, store)) => opened.push((tenant, index, store)),
            Err(report) => ended.push(*report),
        }
    }
    let views: Vec<(&TenantConfig, &Index)> =
        opened.iter().map(|(tenant, index, _)| (tenant.as_ref(), index)).collect();
    let roster = match gather::read(config, source, settings, &views, false) {
        Ok(roster) => Arc::new(roster),
        Err(refused) => {
            for (tenant, _, store) in opened {
                let report = end(blank(&tenant, options.now), TenantEnd::SourceRefused);
                ended.push(close_refused(store, report, options));
            }
            return (refused_report(config, source, options, refused, ended), adopted);
        }
    };
    for (tenant, index, store) in opened {
        let id = tenant.id.clone();
        let case = Case::new(tenant, settings, roster.clone(), index, options);
        let desk_report = blank(&case.config, options.now);
        let mut desk = Desk::new(case, store, desk_report, clock);
        adopted.insert(id, desk.adopt());
        ended.push(desk.finish(options, options.now));
    }
    (report(config, source, options, &roster, ended), adopted)
}

fn open_store(
    config: &Config,
    tenant: &TenantConfig,
    options: &Options,
    holder: &Holder,
) -> Result<(Index, Store), Box<TenantReport>> {
    let open = || {
        let mut store = Store::open(&config.state_dir, &tenant.id, holder)?;
        store.begin_run(&options.run, options.verb, options.now)?;
        let stranger = target::stranger(tenant, &store)?;
        target::note(tenant, &mut store, options.now)?;
        Ok((Index::of(Some(&store))?, store, stranger))
    };
    let blank = || blank(tenant, options.now);
    match open() {
        Ok((index, store, None)) => Ok((index, store)),
        Ok((_, store, Some(stranger))) => {
            Err(Box::new(close_refused(store, end(blank(), stranger), options)))
        }
        Err(error) => Err(Box::new(end(blank(), of_store(&error)))),
    }
}

fn close_refused(mut store: Store, report: TenantReport, options: &Options) -> TenantReport {
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
    roster: &Roster,
    mut tenants: Vec<TenantReport>,
) -> CycleReport {
    tenants.sort_by(|a, b| a.tenant.cmp(&b.tenant));
    let facts = Some(roster.facts.clone());
    let findings = roster.findings.clone();
    CycleReport { facts, findings, tenants, ..empty(config, source, options) }
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
