//! The verbs that work on a configuration.

use super::{
    Ended, Mistake,
    arguments::{Adopt, Apply, Common, Plan, Run, Scope, Status},
    ask,
    output::{Bars, say, write_private, write_stdout},
    signals::Signals,
};
use crate::{
    config::{Config, Surroundings, load},
    cycle::{self, CycleReport, Exit, Options, Progress, Session, TenantEnd, TenantReport},
    daemon::{self, holder, new_run, now},
    model::{RunId, SourceId, UserKey},
    report::{self, SavedPlan, Style, TenantStatus},
    source::typed_key,
    store::ReadStore,
};
use anyhow::{Context, bail};
use std::{io::IsTerminal, path::Path, sync::Arc};
use tokio::sync::watch;

/// Loads the configuration; a flag goes before what it says.
pub(super) fn configuration(common: &Common) -> anyhow::Result<Config> {
    let mut config = load(&common.config, &Surroundings::of_process())?;
    if let Some(dir) = &common.state_dir {
        config.state_dir.clone_from(dir);
    }
    Ok(config)
}

/// The sources that are meant; all when none is named.
pub(super) fn sources(config: &Config, scope: &Scope) -> anyhow::Result<Vec<SourceId>> {
    for tenant in &scope.tenants {
        if !config.tenants.contains_key(tenant) {
            let known: Vec<String> = config.tenants.keys().map(ToString::to_string).collect();
            let why = format!("there is no tenant `{tenant}`; known are {}", known.join(", "));
            bail!(Mistake::CommandLine(why));
        }
    }
    let fed = |source: &&SourceId| {
        scope.tenants.is_empty()
            || config.tenants_of(source).any(|tenant| scope.tenants.contains(&tenant.id))
    };
    if scope.source.is_empty() {
        return Ok(config.sources.keys().filter(fed).cloned().collect());
    }
    let find = |name: &String| {
        let id = SourceId::parse(name).ok().filter(|id| config.sources.contains_key(id));
        id.ok_or_else(|| {
            let known: Vec<String> = config.sources.keys().map(ToString::to_string).collect();
            let why = format!("there is no source `{name}`; known are {}", known.join(", "));
            Mistake::CommandLine(why).into()
        })
    };
    scope.source.iter().map(find).collect()
}

/// Keys that a person has typed, in the form that the source gives its own.
pub(super) fn keys_of(config: &Config, source: &SourceId, typed: &[UserKey]) -> Vec<UserKey> {
    let settings = config.sources.get(source);
    let key = |typed: &UserKey| {
        let read = settings.and_then(|settings| typed_key(typed.as_str(), &settings.csv));
        read.unwrap_or_else(|| typed.clone())
    };
    typed.iter().map(key).collect()
}

pub(super) fn options(
    verb: &'static str,
    run: &RunId,
    scope: &Scope,
    (config, source): (&Config, &SourceId),
    stop: watch::Receiver<bool>,
) -> Options {
    Options {
        run: run.clone(),
        verb,
        now: now(),
        tenants: scope.tenants.iter().cloned().collect(),
        users: keys_of(config, source, &scope.users).into_iter().collect(),
        stop,
    }
}

/// Nobody asks a verb that only looks to stop.
fn never() -> watch::Receiver<bool> {
    watch::channel(false).1
}

fn worst(reports: &[CycleReport]) -> Exit {
    reports.iter().map(CycleReport::exit).fold(Exit::Done, Exit::max)
}

/// What keeps a run from sending, told before anything else: secrets that cannot be read.
pub(super) fn secrets_ready(common: &Common, config: &Config) -> Result<(), Ended> {
    let problems = config.secret_problems();
    if problems.is_empty() {
        return Ok(());
    }
    say(&format!("error: the secrets of {} cannot be used", common.config.display()));
    for problem in problems {
        say(&format!("  {problem}"));
    }
    Err(Ended::Exit(Exit::Config))
}

pub(super) fn check(common: &Common, colour: bool) -> anyhow::Result<Ended> {
    let config = configuration(common)?;
    let secrets = secrets_ready(common, &config);
    let mut worst = if secrets.is_err() { Exit::Config } else { Exit::Done };
    let certificates = rustls_native_certs::load_native_certs().certs.len();
    if certificates == 0 {
        say("warning: this machine trusts no certificate authority; install `ca-certificates`");
    }
    let scope = Scope::default();
    for source in sources(&config, &scope)? {
        let options = options("check", &new_run(), &scope, (&config, &source), never());
        let report = daemon::check_source(&config, &source, &options);
        let style = Style { colour, ..Style::default() };
        write_stdout(&report::check_text(&report, &style));
        worst = worst.max(report.exit());
    }
    let style = Style { colour, ..Style::default() };
    let tenants = config.tenants.values().map(|tenant| &**tenant);
    write_stdout(&report::access_text(tenants, &style));
    Ok(Ended::Exit(worst))
}

pub(super) fn plan(common: &Common, plan: &Plan, colour: bool) -> anyhow::Result<Ended> {
    let config = configuration(common)?;
    if let Err(ended) = secrets_ready(common, &config) {
        return Ok(ended);
    }
    let run = new_run();
    let preview = |source: &SourceId| {
        let about = (&config, source);
        cycle::preview(&config, source, &options("plan", &run, &plan.scope, about, never()))
    };
    let reports: Vec<CycleReport> = sources(&config, &plan.scope)?.iter().map(preview).collect();
    show_plan(&reports, plan, colour)
}

/// Reads who is not known yet, and plans; sends no change.
pub(super) async fn plan_refreshed(
    common: &Common,
    plan: &Plan,
    colour: bool,
) -> anyhow::Result<Ended> {
    let config = Arc::new(configuration(common)?);
    if let Err(ended) = secrets_ready(common, &config) {
        return Ok(ended);
    }
    let signals = Signals::listen()?;
    let run = new_run();
    let progress: Arc<dyn Progress> = Arc::new(Bars::new());
    let mut reports = Vec::new();
    for source in sources(&config, &plan.scope)? {
        let options = options("plan", &run, &plan.scope, (&config, &source), signals.stop.clone());
        let mut session = Session::open(config.clone(), &source, options, &holder());
        session.refresh(&progress).await;
        reports.push(session.finish(now()));
    }
    let ended = show_plan(&reports, plan, colour)?;
    Ok(signals.end(ended))
}

fn show_plan(reports: &[CycleReport], plan: &Plan, colour: bool) -> anyhow::Result<Ended> {
    if let Some(path) = &plan.out {
        let [report] = reports else {
            let why = "a plan file holds one source; choose it with --source";
            bail!(Mistake::CommandLine(why.to_owned()));
        };
        write_private(path, &report::json_text(&report::plan_json(report)))
            .with_context(|| format!("failed to write the plan to {}", path.display()))?;
    }
    for report in reports {
        if plan.json {
            write_stdout(&report::json_line(&report::plan_json(report)));
        } else {
            let limit = Some(plan.limit).filter(|limit| *limit > 0);
            let style = Style { dry_run: true, colour, limit, ..Style::default() };
            write_stdout(&report::plan_text(report, &style));
        }
    }
    let worst = worst(reports);
    let changes = reports.iter().flat_map(|report| &report.tenants).any(has_operations);
    if plan.detailed_exitcode && changes && matches!(worst, Exit::Done | Exit::Partial) {
        return Ok(Ended::Changes);
    }
    Ok(Ended::Exit(worst))
}

fn has_operations(tenant: &TenantReport) -> bool {
    tenant.plan.as_ref().is_some_and(|plan| !plan.operations.is_empty())
}

pub(super) async fn run(common: &Common, run: &Run, colour: bool) -> anyhow::Result<Ended> {
    let config = Arc::new(configuration(common)?);
    if let Err(ended) = secrets_ready(common, &config) {
        return Ok(ended);
    }
    daemon::believe(now())?;
    let signals = Signals::listen()?;
    let progress: Arc<dyn Progress> = Arc::new(Bars::new());
    let id = new_run();
    let cycle = |source: SourceId| {
        let options = options("run", &id, &run.scope, (&config, &source), signals.stop.clone());
        let (config, progress) = (config.clone(), progress.clone());
        tokio::spawn(async move {
            let mut session = Session::open(config, &source, options, &holder());
            session.carry_out(&progress).await;
            session.finish(now())
        })
    };
    // Side by side: a tenant that has to be silent keeps no other source's tenants waiting.
    let cycles: Vec<_> = sources(&config, &run.scope)?.into_iter().map(cycle).collect();
    let mut reports = Vec::new();
    for cycle in cycles {
        reports.push(cycle.await.context("the run of a source failed")?);
    }
    show_summaries(&reports, run.json, colour);
    Ok(signals.end(Ended::Exit(worst(&reports))))
}

fn show_summaries(reports: &[CycleReport], json: bool, colour: bool) {
    for report in reports {
        if json {
            write_stdout(&report::json_line(&report::summary_json(report)));
        } else {
            // A timer's stdout is a log, and what a target says of a person is not for logs.
            let values = std::io::stdout().is_terminal();
            let style = Style { colour, values, ..Style::default() };
            write_stdout(&report::summary_text(report, &style));
        }
    }
}

pub(super) async fn apply(common: &Common, apply: &Apply, colour: bool) -> anyhow::Result<Ended> {
    if !apply.yes && !ask::somebody_there() {
        say("error: there is no terminal to ask on; pass --yes to send without asking");
        return Ok(Ended::Usage);
    }
    let config = Arc::new(configuration(common)?);
    if let Err(ended) = secrets_ready(common, &config) {
        return Ok(ended);
    }
    let saved = apply.plan.as_deref().map(saved_plan).transpose()?;
    daemon::believe(now())?;
    let signals = Signals::listen()?;
    let progress: Arc<dyn Progress> = Arc::new(Bars::new());
    let id = new_run();
    let mut chosen = sources(&config, &apply.scope)?;
    if let Some(saved) = &saved {
        chosen.retain(|source| source.as_str() == saved.source);
        if chosen.is_empty() {
            bail!("the plan is for the source `{}`, which this run is not about", saved.source);
        }
    }
    let mut reports = Vec::new();
    for source in chosen {
        let options = options("apply", &id, &apply.scope, (&config, &source), signals.stop.clone());
        let mut session = Session::open(config.clone(), &source, options, &holder());
        if let Some(saved) = &saved {
            session.plan_only();
            if let Some(why) = saved.stale(session.tenants()) {
                session.decline();
                let report = session.finish(now());
                // What keeps it from being planned at all has an exit code of its own.
                if report.exit() > Exit::Failed {
                    reports.push(report);
                    continue;
                }
                bail!("the plan is stale: {why}; nothing was sent; make a new plan");
            }
        } else {
            session.refresh(&progress).await;
        }
        if apply.yes || agreed(&session, apply, colour, &signals).await? {
            session.send(&progress).await;
        } else {
            session.decline();
        }
        reports.push(session.finish(now()));
    }
    show_summaries(&reports, apply.json, colour);
    Ok(signals.end(Ended::Exit(worst(&reports))))
}

fn saved_plan(path: &Path) -> anyhow::Result<SavedPlan> {
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("failed to read the plan {}", path.display()))?;
    SavedPlan::read(&text).map_err(|why| anyhow::anyhow!("{} is no plan: {why}", path.display()))
}

/// Shows the plans and asks; nothing to send needs no answer.
async fn agreed(
    session: &Session,
    apply: &Apply,
    colour: bool,
    signals: &Signals,
) -> anyhow::Result<bool> {
    let limit = Some(apply.limit).filter(|limit| *limit > 0);
    let style = Style { colour, limit, ..Style::default() };
    let mut changes = 0;
    let mut tenants = 0;
    for tenant in session.tenants() {
        write_stdout(&format!("{}\n", report::tenant_plan_text(tenant, &style)));
        let open = matches!(tenant.end, TenantEnd::Planned);
        let sendable = tenant.plan.as_ref().filter(|plan| open && plan.guards.is_empty());
        let count = sendable.map_or(0, |plan| plan.changes().count());
        changes += count;
        tenants += usize::from(count > 0);
    }
    if changes == 0 {
        return Ok(true);
    }
    let question = format!("Send {changes} changes to {tenants} tenants?");
    let asked = ask::agreed_unless_stopped(&question, signals.stop.clone());
    asked.await.context("failed to ask on the terminal")
}

pub(super) fn adopt(common: &Common, adopt: &Adopt, colour: bool) -> anyhow::Result<Ended> {
    let config = configuration(common)?;
    if !adopt.yes {
        if !ask::somebody_there() {
            say("error: there is no terminal to ask on; pass --yes to adopt without asking");
            return Ok(Ended::Usage);
        }
        let question = "Everybody not known yet is taken to be at the targets exactly as in the \
                        roster. Is that so?";
        if !ask::agreed(question).context("failed to ask on the terminal")? {
            return Ok(Ended::Exit(Exit::Done));
        }
    }
    let run = new_run();
    let mut exit = Exit::Done;
    for source in sources(&config, &adopt.scope)? {
        let options = options("adopt", &run, &adopt.scope, (&config, &source), never());
        let (report, adopted) = cycle::adopt(&config, &source, &options, &holder());
        for (tenant, users) in &adopted {
            write_stdout(&format!("{tenant}: {users} users adopted\n"));
        }
        let style = Style { colour, ..Style::default() };
        write_stdout(&report::adopt_text(&report, &style));
        exit = exit.max(report.exit());
    }
    Ok(Ended::Exit(exit))
}

pub(super) fn status(common: &Common, status: &Status) -> anyhow::Result<Ended> {
    let config = configuration(common)?;
    let mut statuses = Vec::new();
    for tenant in config.tenants.values() {
        let source = config.sources.get(&tenant.source);
        let next = source.and_then(|source| source.schedule.as_ref()?.after(now()));
        let store = ReadStore::open(&config.state_dir, &tenant.id)
            .with_context(|| format!("failed to look at the state of {}", tenant.id))?;
        let snapshot = store.as_deref();
        let status = TenantStatus::of(tenant, snapshot, next, now())
            .with_context(|| format!("failed to look at the state of {}", tenant.id))?;
        statuses.push(status);
    }
    if status.json {
        write_stdout(&report::json_text(&report::status_json(&statuses)));
    } else {
        write_stdout(&report::status_text(&statuses, now()));
    }
    Ok(Ended::Exit(Exit::Done))
}
