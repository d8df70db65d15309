//! The long-running worker: each source's cycle on its schedule, one at a time.
//!
//! Where the process meets the world's clock: [`now`], [`new_run`] and [`holder`] are read here and
//! handed down.

use crate::{
    config::{Config, Schedule},
    cycle::{self, CycleReport, Exit, Options, Progress, Session, Silent, TenantReport},
    model::{RunId, SourceId},
    store::{self, Holder, ReadStore},
};
use jiff::{
    SignedDuration, Timestamp,
    civil::{Date, date},
    tz::TimeZone,
};
use sd_notify::NotifyState;
use std::{collections::BTreeSet, sync::Arc, time::Duration};
use tokio::{
    sync::watch,
    task::JoinSet,
    time::{Instant, interval, sleep_until},
};

/// The time of day, from the machine's clock.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "the edge: everybody below is told the time")]
pub fn now() -> Timestamp {
    Timestamp::now()
}

/// The machine's clock cannot be right, so that nothing can be told of what is due.
#[derive(Debug, thiserror::Error)]
#[error("the machine's clock says {0}, which is before this program was made; set the clock")]
pub struct ClockError(Timestamp);

/// When this version was made, or a little before.
const MADE: Date = date(2026, 11, 1);

/// Whether a time of day can be believed: a machine whose clock has lost its battery says 1970.
pub fn believe(now: Timestamp) -> Result<Timestamp, ClockError> {
    if now.to_zoned(TimeZone::UTC).date() < MADE { Err(ClockError(now)) } else { Ok(now) }
}

/// A name for a run that begins now.
#[must_use]
#[expect(clippy::expect_used, reason = "a UUID is a UUID")]
pub fn new_run() -> RunId {
    RunId::parse(&uuid::Uuid::now_v7().to_string()).expect("a UUID")
}

/// This process, as it signs its locks.
#[must_use]
pub fn holder() -> Holder {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    Holder { pid: std::process::id(), host: host.trim().to_owned(), since: now() }
}

/// Judges a source and maps it for all its tenants, without state or network.
#[must_use]
pub fn check_source(config: &Config, source: &SourceId, options: &Options) -> CycleReport {
    cycle::judge(config, source, options)
}

/// systemd could not be told.
#[derive(Debug, thiserror::Error)]
#[error("failed to tell systemd")]
pub struct NotifyError(#[source] std::io::Error);

/// Longest sleep between two looks at the clock, so that a clock that is set, or a machine that
/// slept, makes a run late by no more.
const LOOK_EVERY: Duration = Duration::from_secs(30);

/// What the process is asked for while it serves.
#[derive(Clone, Debug)]
pub struct Wishes {
    /// Turns true when it shall stop.
    pub stop: watch::Receiver<bool>,
    /// Changes when it shall read its configuration anew.
    pub reload: watch::Receiver<u64>,
}

/// Runs until the process is asked to stop; a cycle under way is stopped cleanly. Ends as well when a
/// disk has failed (see [`store::disk_failure`]): only a process that starts anew can tell what it
/// holds. `read` is called between two cycles when the configuration is to be read anew; while what
/// it reads has a mistake, the one before stays.
///
/// # Errors
/// When systemd, which waits for it, cannot be told that the service is ready.
pub async fn serve(
    mut config: Arc<Config>,
    read: impl Fn() -> anyhow::Result<Arc<Config>>,
    mut wishes: Wishes,
) -> Result<(), NotifyError> {
    let mut timetable = Timetable::new(&config, now());
    let mut rest = WAITING;
    let _watchdog = feed_watchdog();
    notify(&[NotifyState::Ready, NotifyState::Status(rest)])?;
    tracing::info!("ready");
    while let Some((source, due)) = timetable.next() {
        tracing::info!(%source, %due, "next run");
        match wait_until(due, &mut wishes).await {
            Woken::Stop => break,
            Woken::Reload => {
                rest = reload(&mut config, &mut timetable, &read)?;
                continue;
            }
            Woken::Due => {}
        }
        notify(&[NotifyState::Status("running")])?;
        run_cycle(&config, &source, wishes.stop.clone()).await;
        notify(&[NotifyState::Status(rest)])?;
        if *wishes.stop.borrow() || store::disk_failure().is_some() {
            break;
        }
        timetable.done(&config, &source, due, now());
    }
    notify(&[NotifyState::Stopping])?;
    tracing::info!("stopped");
    Ok(())
}

const WAITING: &str = "waiting";
const STALE: &str = "waiting, by an older configuration: the one on disk has a mistake";

/// Takes the configuration on disk, or keeps the one that is there; how to call the rest after it.
fn reload(
    config: &mut Arc<Config>,
    timetable: &mut Timetable,
    read: &impl Fn() -> anyhow::Result<Arc<Config>>,
) -> Result<&'static str, NotifyError> {
    if let Ok(time) = NotifyState::monotonic_usec_now() {
        notify(&[NotifyState::Reloading, time])?;
    }
    let rest = match read() {
        Ok(new) => {
            *timetable = Timetable::new(&new, now());
            *config = new;
            tracing::info!("the configuration has been read anew");
            WAITING
        }
        Err(why) => {
            tracing::error!("the configuration is not taken, and the one before stays: {why:#}");
            STALE
        }
    };
    notify(&[NotifyState::Ready, NotifyState::Status(rest)])?;
    Ok(rest)
}

/// Outside systemd there is nobody to tell, which is no error.
fn notify(states: &[NotifyState<'_>]) -> Result<(), NotifyError> {
    sd_notify::notify(states).map_err(NotifyError)
}

/// Tells systemd that tasks are being run, three times as often as it wants to hear it, until dropped.
/// Silent where it does not ask.
fn feed_watchdog() -> JoinSet<()> {
    let mut feeder = JoinSet::new();
    if let Some(patience) = sd_notify::watchdog_enabled() {
        feeder.spawn(async move {
            let mut ticks = interval(patience / 3);
            loop {
                ticks.tick().await;
                if let Err(error) = notify(&[NotifyState::Watchdog]) {
                    tracing::warn!(%error, "the watchdog is not fed");
                }
            }
        });
    }
    feeder
}

enum Woken {
    Due,
    Reload,
    Stop,
}

/// Waits for the moment by the wall clock, or until there is something else to do.
async fn wait_until(due: Timestamp, wishes: &mut Wishes) -> Woken {
    let Wishes { stop, reload } = wishes;
    loop {
        let left = Duration::try_from(due.duration_since(now())).unwrap_or_default();
        if *stop.borrow() {
            return Woken::Stop;
        }
        if left.is_zero() {
            return Woken::Due;
        }
        tokio::select! {
            _ = stop.wait_for(|stop| *stop) => return Woken::Stop,
            Ok(()) = reload.changed() => return Woken::Reload,
            () = sleep_until(Instant::now() + left.min(LOOK_EVERY)) => {}
        }
    }
}

/// When each source runs next.
#[derive(Debug)]
struct Timetable(Vec<(SourceId, Timestamp)>);

impl Timetable {
    /// A source that missed a run while nobody was there runs at once, and once.
    fn new(config: &Config, now: Timestamp) -> Self {
        let due = |(id, schedule): (&SourceId, &Schedule)| {
            let missed = schedule.missed(last_run(config, id), now);
            let due = if missed { Some(now) } else { schedule.after(now) };
            due.map(|due| (id.clone(), due))
        };
        Self(schedules(config).filter_map(due).collect())
    }

    fn next(&self) -> Option<(SourceId, Timestamp)> {
        self.0.iter().min_by_key(|(_, due)| *due).cloned()
    }

    /// Runs that fell due while the source was at work are not made up for. `due`: when the one that is
    /// done was.
    fn done(&mut self, config: &Config, source: &SourceId, due: Timestamp, now: Timestamp) {
        let schedule = config.sources.get(source).and_then(|source| source.schedule.as_ref());
        let next = schedule.and_then(|schedule| following(schedule, due, now));
        self.0.retain(|(id, _)| id != source);
        self.0.extend(next.map(|next| (source.clone(), next)));
    }
}

/// The run after the one that was due then. A clock that was set back since by less than a day does not
/// make that one due again; one that was set back by more was wrong when it was due.
fn following(schedule: &Schedule, due: Timestamp, now: Timestamp) -> Option<Timestamp> {
    let set_back = due.duration_since(now);
    let from = if set_back < SignedDuration::from_hours(24) { due.max(now) } else { now };
    schedule.after(from)
}

fn schedules(config: &Config) -> impl Iterator<Item = (&SourceId, &Schedule)> {
    config.sources.iter().filter_map(|(id, source)| Some((id, source.schedule.as_ref()?)))
}

/// When the last whole run of all of a source's tenants began; `None` when one never had any.
fn last_run(config: &Config, source: &SourceId) -> Option<Timestamp> {
    let began = |tenant: &Arc<crate::config::TenantConfig>| {
        let store = ReadStore::open(&config.state_dir, &tenant.id).ok()??;
        store.mark(cycle::WHOLE_RUN).ok()?
    };
    let all: Option<Vec<Timestamp>> = config.tenants_of(source).map(began).collect();
    all?.into_iter().min()
}

async fn run_cycle(config: &Arc<Config>, source: &SourceId, stop: watch::Receiver<bool>) {
    let run = new_run();
    tracing::info!(%source, %run, "run begins");
    let options = Options {
        run: run.clone(),
        verb: "daemon",
        now: now(),
        tenants: BTreeSet::new(),
        users: BTreeSet::new(),
        stop,
    };
    let progress: Arc<dyn Progress> = Arc::new(Silent);
    // Reading takes its time, and meanwhile this thread runs no other task.
    let open = || Session::open(config.clone(), source, options, &holder());
    let mut session = tokio::task::block_in_place(open);
    session.carry_out(&progress).await;
    log_report(&session.finish(now()));
}

/// One line for each tenant: figures and attribute names, nothing of anybody.
fn log_report(report: &CycleReport) {
    for finding in &report.findings {
        tracing::warn!(source = %report.source, run = %report.run, "{finding}");
    }
    for tenant in &report.tenants {
        log_tenant(report, tenant);
    }
    let exit = report.exit();
    tracing::info!(source = %report.source, run = %report.run, exit = exit.code(), "run ends");
}

fn log_tenant(report: &CycleReport, tenant: &TenantReport) {
    for notice in &tenant.notices {
        tracing::warn!(tenant = %tenant.tenant, "{}; {}", notice.message, notice.hint);
    }
    for guard in tenant.plan.iter().flat_map(|plan| &plan.guards) {
        let (figure, limit, key) = (&guard.figure, &guard.limit, &guard.key);
        let digest = &tenant.digest;
        tracing::error!(
            tenant = %tenant.tenant, guard = guard.guard, %figure, %limit, %key, %digest, "held: \
             `rosterd approve DIGEST --reason TEXT` lets this plan pass once"
        );
    }
    let results = &tenant.results;
    let held = tenant.plan.as_ref().map_or(0, |plan| plan.held.len());
    let users = tenant.plan.as_ref().map_or(0, |plan| plan.users);
    tracing::info!(
        tenant = %tenant.tenant,
        run = %report.run,
        users,
        held,
        read = results.read,
        settled = results.settled,
        not_accepted = results.not_accepted,
        refused = results.refused,
        gone = results.gone,
        in_doubt = results.in_doubt,
        deferred = results.deferred,
        left = results.left,
        requests = results.requests.reads + results.requests.patches,
        throttled = results.requests.throttled,
        end = ?tenant.end,
        "tenant ends"
    );
    if tenant.exit() > Exit::Partial {
        tracing::error!(tenant = %tenant.tenant, end = ?tenant.end, "needs a look");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn e14_a_clock_from_before_this_program_was_made_is_not_believed() {
        let says = |text: &str| believe(text.parse().unwrap());
        let why = says("1970-01-01T00:00:05Z").unwrap_err().to_string();
        assert!(why.contains("1970-01-01") && why.contains("set the clock"), "{why}");
        assert!(says("2026-10-31T23:59:59Z").is_err() && says("2026-11-01T00:00:00Z").is_ok());
        assert!(believe(now()).is_ok());
    }

    #[test]
    fn e14_a_clock_that_is_set_back_a_little_does_not_start_a_night_twice() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let schedule = Schedule::parse("30 2 * * *", "UTC").unwrap();
        let (due, next) = (at("2026-12-01T02:30:00Z"), at("2026-12-02T02:30:00Z"));
        let after = |now| following(&schedule, due, at(now));
        assert_eq!(after("2026-12-01T02:31:00Z"), Some(next));
        assert_eq!(after("2026-12-01T02:20:00Z"), Some(next), "set back by some minutes");
        assert_eq!(after("2026-12-01T04:00:00Z"), Some(next), "after a long run");
        // It was years ahead when that run was due.
        assert_eq!(after("2025-01-01T00:00:00Z"), Some(at("2025-01-01T02:30:00Z")));
    }
}
