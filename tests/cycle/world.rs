//! One test's world: a roster on disk, a configuration, practice targets, and nights.

use crate::company::{
    Person, TOKEN, TOKEN_VARIABLE, Tenant, assert_untold, configuration, departments, is_in_step,
    open_sandbox, requests, roster,
};
use jiff::{Timestamp, ToSpan};
use rosterd::{
    config::{Config, Surroundings, load},
    cycle::{
        self, Compared, CycleReport, Listed, Options, Progress, Session, Silent, TenantReport, Whom,
    },
    daemon::{holder, new_run},
    model::{SourceId, TenantId, UserKey},
    sandbox::{Faults, Sandbox, SandboxTenant},
    store::{ReadStore, Store},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    net::SocketAddr,
    path::PathBuf,
    sync::Arc,
};
use tempfile::TempDir;
use tokio::sync::watch;

pub(crate) struct World {
    pub(crate) people: Vec<Person>,
    pub(crate) tenants: Vec<Tenant>,
    pub(crate) sandbox: Sandbox,
    /// When the next night is. Each is a day after the one before.
    pub(crate) now: Timestamp,
    /// Turns true when the night is to end early.
    pub(crate) stop: watch::Sender<bool>,
    source: String,
    /// Hours have passed for us and not for the targets, which then find that we come too early.
    ahead: bool,
    dir: TempDir,
}

impl Drop for World {
    fn drop(&mut self) {
        assert_untold(self.dir.path());
    }
}

impl World {
    /// Targets that hold the people as the roster has them.
    pub(crate) async fn new(count: u32, tenants: Vec<Tenant>) -> Self {
        let people = Person::all(count);
        let world = Self {
            sandbox: open_sandbox(&tenants, &people).await,
            people,
            tenants,
            now: "2026-03-02T02:30:00Z".parse().unwrap(),
            stop: watch::channel(false).0,
            source: String::new(),
            ahead: false,
            dir: tempfile::tempdir().unwrap(),
        };
        fs::write(world.dir.path().join("departments.csv"), departments()).unwrap();
        world.write_config();
        world.write_roster();
        world
    }

    /// The same, and the snapshots know it.
    pub(crate) async fn adopted(count: u32, tenants: Vec<Tenant>) -> Self {
        let mut world = Self::new(count, tenants).await;
        world.adopt();
        world
    }

    pub(crate) fn adopt(&mut self) {
        let (report, adopted) =
            cycle::adopt(&self.config(), &source(), &self.options("adopt"), &holder());
        assert_eq!(report.exit().code(), 0, "{report:?}");
        assert_eq!(adopted.len(), self.tenants.len());
        self.pass_a_day();
    }

    /// What each target lists becomes known.
    pub(crate) async fn adopt_listed(&mut self) -> (CycleReport, BTreeMap<TenantId, Listed>) {
        self.sandbox.clear_requests();
        let progress: Arc<dyn Progress> = Arc::new(Silent);
        let (config, options) = (self.config(), self.options("adopt"));
        let found = cycle::adopt_listed(&config, &source(), &options, &holder(), &progress).await;
        self.pass_a_day();
        found
    }

    /// Accounts are looked at beside what is wished and known.
    pub(crate) async fn compare(
        &mut self,
        whom: &Whom,
    ) -> (CycleReport, BTreeMap<TenantId, Compared>) {
        self.sandbox.clear_requests();
        let progress: Arc<dyn Progress> = Arc::new(Silent);
        let (config, options) = (self.config(), self.options("drift"));
        let found = cycle::compare(&config, &source(), &options, whom, &holder(), &progress).await;
        self.pass_a_day();
        found
    }

    /// Other practice targets, in place of all of them.
    pub(crate) async fn serve(&mut self, practice: SandboxTenant) {
        let anywhere = SocketAddr::from(([127, 0, 0, 1], 0));
        self.sandbox = Sandbox::start(anywhere, vec![practice]).await.unwrap();
        self.write_config();
    }

    /// Further lines of the configuration about the source.
    pub(crate) fn with_source(mut self, lines: &str) -> Self {
        lines.clone_into(&mut self.source);
        self.write_config();
        self
    }

    /// Other keys for one tenant.
    pub(crate) fn change_tenant(&mut self, name: &str, change: impl FnOnce(Tenant) -> Tenant) {
        let at = self.tenants.iter().position(|tenant| tenant.name == name).unwrap();
        self.tenants[at] = change(self.tenants[at].clone());
        self.write_config();
    }

    fn write_config(&self) {
        let text = configuration(&self.tenants, &self.sandbox, &self.source);
        fs::write(self.dir.path().join("rosterd.toml"), text).unwrap();
    }

    /// A file beside the configuration.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn write_roster(&self) {
        self.write_roster_as(&roster(&self.people));
    }

    pub(crate) fn write_roster_as(&self, text: &str) {
        fs::write(self.dir.path().join("roster.csv"), text).unwrap();
    }

    /// Changes the person with that number, in the roster too.
    pub(crate) fn change(&mut self, number: usize, change: impl FnOnce(&mut Person)) {
        change(&mut self.people[number - 1]);
        self.write_roster();
    }

    pub(crate) fn marry_all(&mut self) {
        for person in &mut self.people {
            person.marry();
        }
        self.write_roster();
    }

    pub(crate) fn config(&self) -> Config {
        let variables = [(TOKEN_VARIABLE.to_owned(), TOKEN.to_owned())].into();
        let surroundings = Surroundings { variables, ..Surroundings::default() };
        let config = load(&self.dir.path().join("rosterd.toml"), &surroundings);
        config.unwrap_or_else(|error| panic!("{error}"))
    }

    pub(crate) fn state_dir(&self) -> PathBuf {
        self.dir.path().join("state")
    }

    pub(crate) fn options(&self, verb: &'static str) -> Options {
        Options {
            run: new_run(),
            verb,
            now: self.now,
            tenants: BTreeSet::new(),
            users: BTreeSet::new(),
            stop: self.stop.subscribe(),
        }
    }

    pub(crate) fn open(&self) -> Session {
        self.open_with(self.options("run"))
    }

    fn open_with(&self, options: Options) -> Session {
        Session::open(Arc::new(self.config()), &source(), options, &holder())
    }

    /// One night, from the locks to the last record. What the targets saw before is forgotten.
    pub(crate) async fn night(&mut self) -> CycleReport {
        self.pass_night(self.open()).await
    }

    /// The same, about some users only.
    pub(crate) async fn night_of(&mut self, users: &[&str]) -> CycleReport {
        let users = users.iter().map(|key| UserKey::parse(key).unwrap()).collect();
        let options = Options { users, ..self.options("run") };
        self.pass_night(self.open_with(options)).await
    }

    async fn pass_night(&mut self, mut session: Session) -> CycleReport {
        self.sandbox.clear_requests();
        let progress: Arc<dyn Progress> = Arc::new(Silent);
        session.carry_out(&progress).await;
        let report = session.finish(self.now);
        self.pass_a_day();
        report
    }

    /// What would be sent, from snapshots that are only looked at.
    pub(crate) fn preview(&self) -> CycleReport {
        cycle::preview(&self.config(), &source(), &self.options("plan"))
    }

    /// A night with the same roster sends nothing, and no target has had a complaint.
    pub(crate) async fn rest(&mut self) -> CycleReport {
        let report = self.night().await;
        for tenant in &self.tenants {
            assert_eq!(self.sent(&tenant.name), [""; 0], "{} is not at rest", tenant.name);
        }
        self.assert_no_complaint();
        report
    }

    /// Nights in which who was in doubt is looked at and nothing is changed, and then one of rest.
    pub(crate) async fn calm(&mut self) -> CycleReport {
        for _ in 0..2 {
            self.night().await;
            for tenant in &self.tenants {
                assert_eq!(self.count(&tenant.name, "PATCH"), 0, "{} changes", tenant.name);
            }
        }
        self.rest().await
    }

    fn assert_no_complaint(&self) {
        for tenant in &self.tenants {
            let mut violations = self.sandbox.violations(&tenant.name);
            violations.retain(|violation| !self.ahead || !violation.contains("Retry-After"));
            assert_eq!(violations, [""; 0], "{} complains", tenant.name);
        }
    }

    /// The next run is so long after the one before.
    pub(crate) fn come_back_after(&mut self, hours: i64) {
        self.now += (hours - 24).hours();
    }

    /// For what only a person does between two nights.
    pub(crate) fn store(&self, tenant: &str) -> Store {
        Store::open(&self.state_dir(), &TenantId::parse(tenant).unwrap(), &holder()).unwrap()
    }

    /// The next night is then, whatever a target has asked for.
    pub(crate) fn move_to(&mut self, now: Timestamp) {
        self.assert_no_complaint();
        self.ahead = true;
        self.now = now;
    }

    /// Every account is as the roster says.
    pub(crate) fn assert_in_step(&self) {
        for tenant in &self.tenants {
            let behind = self.behind(&tenant.name);
            assert_eq!(behind, [""; 0], "{} is behind", tenant.name);
        }
    }

    /// Whose account is not as the roster says.
    pub(crate) fn behind(&self, tenant: &str) -> Vec<&str> {
        let tenant = self.tenant(tenant);
        let behind = |person: &&Person| !is_in_step(&self.sandbox, tenant, person);
        self.people.iter().filter(behind).map(Person::key).collect()
    }

    /// The night's requests, sorted: `GET E00001`, `PATCH E00001 title`.
    pub(crate) fn sent(&self, tenant: &str) -> Vec<String> {
        let mut sent = requests(&self.sandbox, self.tenant(tenant), &self.people);
        sent.sort();
        sent
    }

    pub(crate) fn count(&self, tenant: &str, method: &str) -> usize {
        self.sent(tenant).iter().filter(|request| request.starts_with(method)).count()
    }

    pub(crate) fn no_more_faults(&self) {
        for tenant in &self.tenants {
            self.sandbox.set_faults(&tenant.name, Faults::none());
        }
    }

    pub(crate) fn tenant(&self, name: &str) -> &Tenant {
        self.tenants.iter().find(|tenant| tenant.name == name).unwrap()
    }

    pub(crate) fn snapshot(&self, tenant: &str) -> ReadStore {
        let tenant = TenantId::parse(tenant).unwrap();
        ReadStore::open(&self.state_dir(), &tenant).unwrap().unwrap()
    }

    fn pass_a_day(&mut self) {
        self.now += 24.hours();
    }
}

pub(crate) fn source() -> SourceId {
    SourceId::parse("people").unwrap()
}

/// One tenant's part of a report.
pub(crate) fn of<'a>(report: &'a CycleReport, tenant: &str) -> &'a TenantReport {
    report.tenants.iter().find(|report| report.tenant.as_str() == tenant).unwrap()
}

/// The exit code of one tenant's part.
pub(crate) fn exit_of(report: &CycleReport, tenant: &str) -> u8 {
    of(report, tenant).exit().code()
}
