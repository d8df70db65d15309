//! One seed's world: a roster, tenants, targets, a state on disk, and night after night.

use crate::{
    chance::Chance,
    company::{TOKEN_VARIABLE, departments},
    ink::Disk,
    landed,
    oracle::Oracle,
    planted::Planted,
    quota::Gate,
    roster::Roster,
    scenario::{Part, Scenario},
    target::{Shared, Target},
    wire::{Eyes, Wire},
};
use rosterd::{
    config::{Config, Surroundings, load},
    cycle::{self, CycleReport, Edges, Options, Progress, Session, Silent},
    model::{Rate, RunId, SourceId, UserKey},
    sandbox::Unplugged,
    sender::Transport,
    store::Holder,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tempfile::TempDir;
use tokio::{
    sync::watch,
    time::{Instant, sleep},
};

pub(crate) struct World {
    pub(crate) scenario: Scenario,
    pub(crate) oracle: Oracle,
    pub(crate) roster: Roster,
    pub(crate) targets: BTreeMap<String, Shared>,
    pub(crate) config: Arc<Config>,
    pub(crate) planted: Option<Planted>,
    chance: Chance,
    buckets: BTreeMap<String, Arc<Mutex<Instant>>>,
    disks: BTreeMap<String, Disk>,
    runs: u64,
    dead: u64,
    dir: TempDir,
}

/// What is to happen to one run.
#[derive(Default)]
pub(crate) struct Fortune {
    users: BTreeSet<UserKey>,
    crash: Option<Duration>,
    stop: Option<Duration>,
    overlap: Option<Duration>,
    full_after: Option<u64>,
    preview: bool,
}

impl World {
    pub(crate) fn new(seed: u64, planted: Option<Planted>) -> Self {
        let mut chance = Chance::of(seed);
        fastrand::seed(chance.seed());
        let scenario = Scenario::draw(&mut chance);
        let oracle = Oracle::new();
        let roster = Roster::new(&scenario);
        let dir = workshop();
        fs::write(dir.path().join("departments.csv"), departments()).unwrap();
        fs::write(dir.path().join("rosterd.toml"), toml(&scenario, planted)).unwrap();
        let config = Arc::new(config(dir.path()));
        let mut world = Self {
            targets: BTreeMap::new(),
            buckets: BTreeMap::new(),
            disks: BTreeMap::new(),
            scenario,
            oracle,
            roster,
            config,
            planted,
            chance,
            runs: 0,
            dead: 0,
            dir,
        };
        world.open_targets();
        world.write_roster();
        world
    }

    fn open_targets(&mut self) {
        let Self { scenario, roster, oracle, chance, .. } = self;
        for (number, part) in scenario.tenants.iter().enumerate() {
            let Part { tenant, quota, reads, weather, stingy } = part;
            let mut practice = tenant.practice(&roster.people);
            practice.quota = None;
            let keys: BTreeMap<String, String> = roster
                .people
                .iter()
                .map(|person| (person.id(tenant.api).to_owned(), person.key().to_owned()))
                .collect();
            let quota = Rate::parse(quota).unwrap();
            let mut target = Target::new(
                tenant.clone(),
                Unplugged::new(practice, oracle.now()).unwrap(),
                quota,
                weather.clone(),
                chance.split(),
                keys,
                oracle.clone(),
            );
            target.gate = stingy.map(|style| {
                let requests = (quota.requests.get() / 2).max(1).try_into().unwrap();
                Gate::new(Rate { requests, ..quota }, style)
            });
            if scenario.slow_disk && !landed::PAUSE_WHILE_RECORDING {
                target.grace = Duration::from_secs(1);
            }
            target.reads = *reads;
            if !reads {
                // Who was never looked at is sent all of it.
                target.doubted = target.keys.keys().cloned().collect();
            }
            let name = tenant.name.clone();
            let past = Instant::now().checked_sub(Duration::from_hours(1));
            let bucket = Arc::new(Mutex::new(past.unwrap_or_else(Instant::now)));
            self.buckets.insert(name.clone(), bucket);
            let slow = scenario.slow_disk.then(|| Arc::new(Mutex::new(chance.split())));
            let log = self.dir.path().join(format!("state/{name}.db-wal"));
            let lengths = Arc::default();
            let disk = Disk { log, lengths, slow, full_after: None, planted: self.planted };
            self.disks.insert(name.clone(), disk);
            self.targets.insert(name, Arc::new(Mutex::new(target)));
            debug_assert!(number < 100, "each has a port of its own");
        }
    }

    pub(crate) fn write_roster(&self) {
        let text = self.roster.text(self.planted);
        fs::write(self.dir.path().join("roster.csv"), text).unwrap();
    }

    pub(crate) fn state(&self) -> PathBuf {
        self.dir.path().join("state")
    }

    /// The snapshots begin as what the roster says.
    pub(crate) fn adopt(&mut self) {
        let options = self.options("adopt", BTreeSet::new(), &watch::channel(false).0);
        let (report, _) = cycle::adopt(&self.config, &source(), &options, &holder(&self.oracle));
        assert_eq!(report.exit().code(), 0, "{report:?}");
    }

    fn options(
        &mut self,
        verb: &'static str,
        users: BTreeSet<UserKey>,
        stop: &watch::Sender<bool>,
    ) -> Options {
        self.runs += 1;
        Options {
            run: RunId::parse(&format!("0192f0c1-2a3b-7c4d-8e5f-{:012x}", self.runs)).unwrap(),
            verb,
            now: self.oracle.now(),
            tenants: BTreeSet::new(),
            users,
            stop: stop.subscribe(),
        }
    }

    /// What happens between two nights.
    pub(crate) fn pass_a_day(&mut self) {
        let Self { roster, scenario, chance, .. } = self;
        roster.pass(scenario, chance);
        self.write_roster();
    }

    pub(crate) fn hits(&mut self, share: f64) -> bool {
        self.chance.hits(share)
    }

    pub(crate) fn wait(&mut self, least: Duration, most: Duration) -> Duration {
        self.chance.time(least, most)
    }

    pub(crate) fn fortune(&mut self) -> Fortune {
        let Self { scenario, chance, roster, .. } = self;
        let shares = &scenario.shares;
        let when = |chance: &mut Chance, share: f64| {
            let most = chance.pick(&[1, 30, 600]);
            let time = chance.time(Duration::from_millis(1), Duration::from_secs(most));
            chance.hits(share).then_some(time)
        };
        let mut fortune = Fortune {
            users: BTreeSet::new(),
            crash: when(chance, shares.crash),
            stop: when(chance, shares.stop),
            overlap: when(chance, shares.overlap),
            full_after: chance.hits(shares.full_disk).then(|| chance.between(0, 20)),
            preview: chance.hits(shares.preview),
        };
        if chance.hits(shares.some_users) {
            let count = chance.between(1, 3);
            let people = &roster.people;
            let keys = (0..count).map(|_| people[chance.index(people.len())].key());
            fortune.users = keys.map(|key| UserKey::parse(key).unwrap()).collect();
        }
        fortune
    }

    /// One run; `None` when it was killed.
    pub(crate) async fn run(&mut self, fortune: Fortune) -> Option<CycleReport> {
        let Fortune { users, crash, stop, overlap, full_after, preview } = fortune;
        let (stopped, _keep) = watch::channel(false);
        for target in self.targets.values() {
            let mut target = target.lock().unwrap();
            (target.sent, target.patched, target.throttled) = (0, 0, false);
        }
        let some = users.len();
        self.oracle.note(&format!("run of {some} users, crash {crash:?}, stop {stop:?}"));
        self.plant_in_state();
        let foreseen = if preview { self.preview(users.clone()) } else { BTreeMap::new() };
        let options = self.options("run", users, &stopped);
        let alive = Arc::new(AtomicBool::new(true));
        let (edges, eyes) = self.edges(&alive, full_after);
        let holder = holder(&self.oracle);
        let session = Session::open(self.config.clone(), &source(), options, &holder);
        let mut session = session.through(&edges);
        let progress: Arc<dyn Progress> = Arc::new(Silent);
        let is_over = tokio::select! {
            biased;
            () = self.beside(overlap, &stopped) => unreachable!("it never ends"),
            () = after(stop, || { stopped.send_replace(true); }) => unreachable!("it never ends"),
            () = after_or_never(crash) => false,
            () = session.carry_out(&progress) => true,
        };
        for eye in &eyes {
            eye.open.lock().unwrap().take();
        }
        // Killed between the last request and the last record.
        let is_over = is_over && !(crash.is_some() && self.chance.hits(0.2));
        if !is_over {
            self.kill(session, &alive).await;
            return None;
        }
        let report = session.finish(self.oracle.now());
        self.note_report(&report);
        self.compare_with_preview(&foreseen, &report);
        Some(report)
    }

    /// A second run on the same state, begun while the first is under way; then nothing.
    async fn beside(&self, overlap: Option<Duration>, stop: &watch::Sender<bool>) {
        after_or_never(overlap).await;
        if self.planted == Some(Planted::SecondWriter) {
            for name in self.targets.keys() {
                let _ = fs::remove_file(self.state().join(format!("{name}.lock")));
            }
        }
        let options = Options {
            run: RunId::parse("0192f0c1-2a3b-7c4d-8e5f-ffffffffffff").unwrap(),
            verb: "run",
            now: self.oracle.now(),
            tenants: BTreeSet::new(),
            users: BTreeSet::new(),
            stop: stop.subscribe(),
        };
        let (edges, eyes) = self.edges(&Arc::new(AtomicBool::new(true)), None);
        let holder = holder(&self.oracle);
        let session = Session::open(self.config.clone(), &source(), options, &holder);
        let mut session = session.through(&edges);
        let progress: Arc<dyn Progress> = Arc::new(Silent);
        session.carry_out(&progress).await;
        drop(eyes);
        let report = session.finish(self.oracle.now());
        self.oracle.note("a second run is over");
        for tenant in &report.tenants {
            let sent = tenant.results.requests.reads + tenant.results.requests.patches;
            if sent > 0 {
                self.oracle.breach("INV-12", "a second run sends beside the first");
            }
        }
        std::future::pending().await
    }

    fn edges(&self, alive: &Arc<AtomicBool>, full_after: Option<u64>) -> (Edges, Vec<Eyes>) {
        let eyes: BTreeMap<String, Eyes> = self
            .targets
            .keys()
            .map(|name| (name.clone(), Eyes::of(self.state().join(format!("{name}.db")))))
            .collect();
        let kept = eyes.values().cloned().collect();
        let (targets, buckets) = (self.targets.clone(), self.buckets.clone());
        let (oracle, planted, alive) = (self.oracle.clone(), self.planted, alive.clone());
        let names: Vec<String> =
            self.scenario.tenants.iter().map(|part| part.tenant.name.clone()).collect();
        let transport = move |config: &rosterd::config::TenantConfig, timeouts| {
            let name = config.id.as_str();
            let number = names.iter().position(|known| known == name).unwrap();
            Ok(Transport::Within(Arc::new(Wire {
                target: targets[name].clone(),
                oracle: oracle.clone(),
                base: base(number, name),
                timeouts,
                alive: alive.clone(),
                eyes: eyes[name].clone(),
                planted,
                bucket: buckets[name].clone(),
            })))
        };
        let disks = self.disks.clone();
        let scribe = move |store: rosterd::store::Store| {
            let name = store.path().file_stem().unwrap().to_str().unwrap().to_owned();
            let disk = Disk { full_after, ..disks[&name].clone() };
            let ink: Box<dyn rosterd::store::Scribe> = Box::new(disk.open(store));
            ink
        };
        (Edges { transport: Arc::new(transport), scribe: Arc::new(scribe) }, kept)
    }

    /// What a kill leaves is what is on the disk; whatever the process had in mind is gone.
    async fn kill(&mut self, session: Session, alive: &Arc<AtomicBool>) {
        alive.store(false, Ordering::Relaxed);
        self.dead += 1;
        let (state, dead) = (self.state(), self.dir.path().join(format!("dead-{}", self.dead)));
        fs::rename(&state, &dead).unwrap();
        fs::create_dir(&state).unwrap();
        for name in self.targets.keys() {
            for ending in ["db", "db-wal", "db-journal"] {
                let file = format!("{name}.{ending}");
                if dead.join(&file).exists() {
                    fs::copy(dead.join(&file), state.join(&file)).unwrap();
                }
            }
        }
        if self.planted == Some(Planted::CommitsNotSynced) {
            self.lose_the_last_commits();
        }
        drop(session);
        // What is torn down goes; what has left arrives.
        let arrived = if landed::TWO_CLEAN_READS { 1 } else { 2000 };
        sleep(Duration::from_millis(arrived)).await;
        fs::remove_dir_all(&dead).unwrap();
        self.oracle.note("killed");
        self.check_state(true);
    }

    fn lose_the_last_commits(&mut self) {
        for (name, disk) in &self.disks {
            let lengths = std::mem::take(&mut *disk.lengths.lock().unwrap());
            let log = self.state().join(format!("{name}.db-wal"));
            let now = fs::metadata(&log).map_or(0, |log| log.len());
            let earlier: Vec<u64> = lengths.into_iter().filter(|length| *length < now).collect();
            if !earlier.is_empty() {
                let length = earlier[self.chance.index(earlier.len())];
                fs::OpenOptions::new().write(true).open(&log).unwrap().set_len(length).unwrap();
            }
        }
    }

    /// What is planted in the state between two runs.
    fn plant_in_state(&self) {
        let forget = match self.planted {
            Some(Planted::JournalNotConsulted) => "DELETE FROM intent",
            Some(Planted::QuotaForgottenAtRestart) => "DELETE FROM sent",
            Some(Planted::PauseForgottenAtRestart) => "DELETE FROM pause",
            _ => return,
        };
        for name in self.targets.keys() {
            let file = self.state().join(format!("{name}.db"));
            if fs::metadata(&file).is_ok_and(|file| file.len() > 0) {
                rusqlite::Connection::open(&file).unwrap().execute(forget, []).unwrap();
            }
        }
    }

    /// Fair weather from now on, and everybody readable.
    pub(crate) fn mend(&mut self) {
        for target in self.targets.values() {
            let mut target = target.lock().unwrap();
            target.weather = target.weather.fair();
            target.gate = None;
        }
        self.roster.mend();
        self.write_roster();
        self.oracle.note("fair weather");
    }
}

/// The plans of a look at the state, by tenant.
type Foreseen = BTreeMap<String, String>;

impl World {
    /// A look that changes nothing, and what it says will be sent to whom nobody is read first.
    fn preview(&mut self, users: BTreeSet<UserKey>) -> Foreseen {
        let before = self.state_digest();
        let options = self.options("plan", users, &watch::channel(false).0);
        let report = cycle::preview(&self.config, &source(), &options);
        if self.planted == Some(Planted::PreviewWrites) {
            fs::write(self.state().join("preview"), "").unwrap();
        }
        if self.state_digest() != before {
            self.oracle.breach("INV-14", "a preview changes the state");
        }
        let plain = report.tenants.iter().filter(|tenant| {
            tenant.plan.as_ref().is_some_and(|plan| plan.reads().next().is_none())
        });
        plain.map(|tenant| (tenant.tenant.to_string(), tenant.digest.clone())).collect()
    }

    fn compare_with_preview(&self, foreseen: &Foreseen, report: &CycleReport) {
        for tenant in report.tenants.iter().filter(|tenant| tenant.plan.is_some()) {
            let seen = foreseen.get(tenant.tenant.as_str());
            if seen.is_some_and(|digest| *digest != tenant.digest) {
                let what = format!("{}: another plan than the one foreseen", tenant.tenant);
                self.oracle.breach("INV-14", &what);
            }
        }
    }

    fn state_digest(&self) -> Vec<(PathBuf, Vec<u8>)> {
        let Ok(files) = fs::read_dir(self.state()) else { return Vec::new() };
        let paths = files.map(|file| file.unwrap().path());
        let mut files: Vec<_> = paths.map(|path| (path.clone(), fs::read(path).unwrap())).collect();
        files.sort();
        files
    }
}

async fn after(time: Option<Duration>, act: impl FnOnce()) {
    after_or_never(time).await;
    act();
    std::future::pending().await
}

async fn after_or_never(time: Option<Duration>) {
    match time {
        Some(time) => sleep(time).await,
        None => std::future::pending().await,
    }
}

pub(crate) fn source() -> SourceId {
    SourceId::parse("people").unwrap()
}

fn holder(oracle: &Oracle) -> Holder {
    Holder { pid: 1, host: "simulated".to_owned(), since: oracle.now() }
}

fn base(number: usize, name: &str) -> String {
    format!("http://127.0.0.1:{}/{name}", 9000 + number)
}

/// In memory where there is such a place: that a sync reaches the disk is tested elsewhere.
fn workshop() -> TempDir {
    let memory = Path::new("/dev/shm");
    let builder = tempfile::Builder::new();
    if memory.is_dir() { builder.tempdir_in(memory) } else { builder.tempdir() }.unwrap()
}

fn toml(scenario: &Scenario, planted: Option<Planted>) -> String {
    let bad_rows = if scenario.holds_bad_rows { "hold" } else { "refuse" };
    let mut text = format!(
        "[state]\ndir = \"state\"\n\
         [sources.people.csv]\npath = \"roster.csv\"\nkey = \"employee_id\"\n\
         on_bad_row = \"{bad_rows}\"\n"
    );
    for (number, part) in scenario.tenants.iter().enumerate() {
        let tenant = match planted {
            // The bucket stands in the sender's place.
            Some(Planted::BucketAsLargeAsTheQuota) => part.tenant.clone().key("quota", "1000000/s"),
            _ => part.tenant.clone(),
        };
        text.push_str(&tenant.toml(&base(number, &part.tenant.name)));
    }
    text
}

fn config(dir: &Path) -> Config {
    let variables = [(TOKEN_VARIABLE.to_owned(), "practice".to_owned())].into();
    let surroundings = Surroundings { variables, ..Surroundings::default() };
    let config = load(&dir.join("rosterd.toml"), &surroundings);
    config.unwrap_or_else(|error| panic!("{error}"))
}
