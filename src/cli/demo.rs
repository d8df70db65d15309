//! `rosterd demo`: three nights of a small company, against practice targets in this process.

use super::{
    Ended,
    arguments::Demo,
    output::{Bars, say, write_private, write_stdout},
    rehearse::practice_tenant,
    signals::Signals,
};
use crate::{
    config::{Config, Surroundings, load},
    cycle::{Exit, Options, Progress, Session},
    daemon::{holder, new_run, now},
    report::{self, Style},
    sandbox::{Api, Department, Fault, Faults, RetryAfterForm, Sandbox},
};
use anyhow::{Context, bail};
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    sync::Arc,
};
use tokio::sync::watch;

const CONFIG: &str = include_str!("../../config/demo/rosterd.toml");
const ACCOUNTS: &str = include_str!("../../config/demo/accounts.json");
const DEPARTMENTS: &str = include_str!("../../config/demo/departments.csv");
const ROSTERS: [&str; 3] = [
    include_str!("../../config/demo/roster-1.csv"),
    include_str!("../../config/demo/roster-2.csv"),
    include_str!("../../config/demo/roster-3.csv"),
];

pub(super) async fn demo(wish: &Demo, colour: bool) -> anyhow::Result<Ended> {
    let signals = Signals::listen()?;
    let folder = Folder::new(wish.dir.as_deref())?;
    let sandbox = sandbox(&folder.path).await?;
    let stage =
        Stage { folder: &folder.path, sandbox: &sandbox, colour, stop: signals.stop.clone() };
    write_stdout(
        "rosterd demo: a company of 300 people, five directories, three nights.\n\
         The directories are practice servers in this process, as strict as their documents.\n\n",
    );
    let mut nights = Vec::new();
    for (number, story) in [(1, FIRST), (2, SECOND), (3, THIRD)] {
        write_stdout(&format!("── Night {number} ── {story}\n\n"));
        nights.push(stage.night(number).await?);
        if let Some(signal) = signals.number() {
            return Ok(Ended::Signal(signal));
        }
    }
    stage.epilogue(&nights);
    let violations: usize = Api::ALL.iter().map(|api| sandbox.violations(api.name()).len()).sum();
    sandbox.stop().await;
    if violations > 0 {
        bail!("the practice targets found {violations} violations of their documents");
    }
    if nights.last() != Some(&Requests::default()) {
        bail!("the third night should have had nothing to send");
    }
    Ok(Ended::Exit(Exit::Done))
}

const FIRST: &str = "nothing is known yet: everybody is read, and what differs is patched";
const SECOND: &str = "movers, a joiner, a leaver, a bad value, and a directory that throttles";
const THIRD: &str = "the same people in another order: nothing to send";

/// Requests of one night, over all tenants.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Requests {
    get: usize,
    patch: usize,
    operations: usize,
}

struct Stage<'a> {
    folder: &'a Path,
    sandbox: &'a Sandbox,
    colour: bool,
    stop: watch::Receiver<bool>,
}

impl Stage<'_> {
    async fn night(&self, number: usize) -> anyhow::Result<Requests> {
        self.sandbox.clear_requests();
        if number == 2 {
            let retry_after = RetryAfterForm::ImfFixdate(2);
            let faults = Faults::script([(3, Fault::Throttle { retry_after })]);
            self.sandbox.set_faults(Api::Biot.name(), faults);
        }
        let config = Arc::new(self.config(number)?);
        let progress: Arc<dyn Progress> = Arc::new(Bars::new());
        for source in config.sources.keys() {
            let mut session = Session::open(config.clone(), source, self.options(), &holder());
            session.refresh(&progress).await;
            let style = Style { colour: self.colour, limit: Some(4), ..Style::default() };
            for tenant in session.tenants() {
                write_stdout(&format!("{}\n", report::tenant_plan_text(tenant, &style)));
            }
            session.send(&progress).await;
            let report = session.finish(now());
            write_stdout(&report::summary_text(&report, &style));
            let path = self.folder.join(format!("night-{number}.json"));
            let text = report::json_text(&report::summary_json(&report));
            write_private(&path, &text)
                .with_context(|| format!("failed to write {}", path.display()))?;
        }
        let requests = self.requests();
        let Requests { get, patch, operations } = requests;
        write_stdout(&format!(
            "\nNight {number}: {get} reads, {patch} PATCHes with {operations} changes.\n\n"
        ));
        Ok(requests)
    }

    fn requests(&self) -> Requests {
        let mut requests = Requests::default();
        for seen in Api::ALL.iter().flat_map(|api| self.sandbox.requests(api.name())) {
            if seen.method == "GET" {
                requests.get += 1;
            } else {
                requests.patch += 1;
                requests.operations += seen.operations;
            }
        }
        requests
    }

    fn config(&self, number: usize) -> anyhow::Result<Config> {
        let mut variables = BTreeMap::from([
            ("ROSTERD_DEMO_TOKEN".to_owned(), "practice".to_owned()),
            ("ROSTERD_DEMO_SESSION_TOKEN".to_owned(), "practice".to_owned()),
            ("ROSTERD__SOURCES__PEOPLE__CSV__PATH".to_owned(), format!("roster-{number}.csv")),
            ("ROSTERD__STATE__DIR".to_owned(), "state".to_owned()),
        ]);
        for api in Api::ALL {
            let name = api.name().to_uppercase();
            let key = format!("ROSTERD__TENANTS__{name}__{name}__BASE_URL");
            variables.insert(key, self.sandbox.base_url(api.name()));
        }
        let surroundings = Surroundings { variables, ..Surroundings::default() };
        Ok(load(&self.folder.join("rosterd.toml"), &surroundings)?)
    }

    fn options(&self) -> Options {
        Options {
            run: new_run(),
            verb: "demo",
            now: now(),
            tenants: BTreeSet::new(),
            users: BTreeSet::new(),
            stop: self.stop.clone(),
        }
    }

    fn epilogue(&self, nights: &[Requests]) {
        let whole: usize = nights.iter().map(|night| night.get + night.patch).sum();
        let last = nights.last().map_or(0, |night| night.get + night.patch);
        write_stdout(&format!(
            "Three nights, {whole} requests; the last night sent {last}.\n\
             The state and a report of each night were kept in {} while the demo ran.\n",
            self.folder.display()
        ));
    }
}

async fn sandbox(folder: &Path) -> anyhow::Result<Sandbox> {
    let accounts: BTreeMap<String, BTreeMap<String, Value>> =
        serde_json::from_str(ACCOUNTS).context("failed to read the sample accounts")?;
    let config = load(&folder.join("rosterd.toml"), &Surroundings::default())?;
    let mut tenants = Vec::new();
    for tenant in config.tenants.values() {
        let mut practice = practice_tenant(tenant)?;
        practice.accounts = accounts.get(tenant.id.as_str()).cloned().unwrap_or_default();
        practice.departments = departments();
        tenants.push(practice);
    }
    let any_port = std::net::SocketAddr::from(([127, 0, 0, 1], 0));
    Sandbox::start(any_port, tenants).await.context("failed to start the practice targets")
}

/// The departments of the sample, by their id at the target.
fn departments() -> BTreeMap<String, Department> {
    let rows = DEPARTMENTS.lines().skip(1).filter_map(|line| {
        let mut cells = line.split(',');
        let (name, id) = (cells.next()?, cells.next()?);
        let department = Department { name: name.to_owned(), description: String::new() };
        Some((id.to_owned(), department))
    });
    rows.collect()
}

/// Where the demo keeps its files; removed at the end unless the user named it.
struct Folder {
    path: PathBuf,
    temporary: bool,
}

impl Folder {
    fn new(wish: Option<&Path>) -> anyhow::Result<Self> {
        let temporary = wish.is_none();
        let name = format!("rosterd-demo-{}", std::process::id());
        let path = wish.map_or_else(|| std::env::temp_dir().join(name), Path::to_owned);
        let fail = || format!("failed to set up {}", path.display());
        std::fs::create_dir_all(&path).with_context(fail)?;
        if std::fs::read_dir(&path).with_context(fail)?.next().is_some() {
            bail!("{} is not empty; name a new folder for the demo", path.display());
        }
        let write =
            |name: &str, text: &str| write_private(&path.join(name), text).with_context(fail);
        write("rosterd.toml", CONFIG)?;
        write("departments.csv", DEPARTMENTS)?;
        for (number, roster) in (1..).zip(ROSTERS) {
            write(&format!("roster-{number}.csv"), roster)?;
        }
        Ok(Self { path, temporary })
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if self.temporary
            && let Err(error) = std::fs::remove_dir_all(&self.path)
        {
            say(&format!("warning: {} could not be removed: {error}", self.path.display()));
        }
    }
}
