//! One seed's world: a roster, tenants, targets, a state on disk, and night after night.

use crate::{
    approver::Approver,
    chance::Chance,
    company::departments,
    ink::Disk,
    oracle::Oracle,
    planted::Planted,
    quota::Gate,
    roster::Roster,
    scenario::{Part, Scenario},
    settings::{base, config, toml, workshop},
    target::{Shared, Target},
    wire::{Eyes, Wire},
};
use rosterd::{
    config::Config,
    cycle::{self, CycleReport, Edges, Options, Progress, Session, Silent},
    model::{Rate, RunId, SourceId, TenantId, UserKey},
    sandbox::Unplugged,
    sender::Transport,
    store::{Holder, Store},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::PathBuf,
    sync::{Arc, Mutex, atomic::AtomicBool},
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
    pub(crate) chance: Chance,
    pub(crate) approver: Approver,
    buckets: BTreeMap<String, Arc<Mutex<Instant>>>,
    pub(crate) disks: BTreeMap<String, Disk>,
    runs: u64,
    pub(crate) dead: u64,
    pub(crate) dir: TempDir,
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
        let mut scenario = Scenario::draw(&mut chance);
        let approver = Approver::of(seed, planted);
        approver.tighten(&mut scenario);
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
            approver,
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

    pub(crate) fn options(
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

    /// What happens to people between two nights, or two runs.
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
            target.begin();
            target.stopped = None;
        }
        let some = users.len();
        self.oracle.note(&format!("run of {some} users, crash {crash:?}, stop {stop:?}"));
        self.plant_in_state();
        let foreseen = if preview { self.preview(users.clone()) } else { BTreeMap::new() };
        let deaf = watch::channel(false).0;
        let heard = if self.planted == Some(Planted::StopNotHeard) { &deaf } else { &stopped };
        let options = self.options("run", users, heard);
        let alive = Arc::new(AtomicBool::new(true));
        let (edges, eyes) = self.edges(&alive, full_after);
        let holder = holder(&self.oracle);
        let session = Session::open(self.config.clone(), &source(), options, &holder);
        let mut session = session.through(&edges);
        let progress: Arc<dyn Progress> = Arc::new(Silent);
        let is_over = tokio::select! {
            biased;
            () = self.beside(overlap, &stopped) => unreachable!("it never ends"),
            () = after(stop, || self.ask_to_stop(&stopped)) => unreachable!("it never ends"),
            () = after_or_never(crash) => false,
            () = session.carry_out(&progress) => true,
        };
        for eye in &eyes {
            eye.open.lock().unwrap().take();
        }
        self.check_stop();
        self.check_permits();
        if overlap.is_some() {
            // A second run that has not ended either is torn down.
            sleep(Duration::from_millis(1)).await;
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

    fn ask_to_stop(&self, stop: &watch::Sender<bool>) {
        self.oracle.note("stop");
        stop.send_replace(true);
        for target in self.targets.values() {
            target.lock().unwrap().stopped = Some(Instant::now());
        }
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
        std::future::pending::<()>().await;
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

    /// Fair weather from now on, everybody readable, and a person has released the tenants.
    pub(crate) fn mend(&mut self) {
        for name in self.targets.keys() {
            let opened =
                Store::open(&self.state(), &TenantId::parse(name).unwrap(), &holder(&self.oracle));
            opened.unwrap().set_tenant_quarantine(None).unwrap();
        }
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

async fn after(time: Option<Duration>, act: impl FnOnce()) {
    after_or_never(time).await;
    act();
    std::future::pending::<()>().await;
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

pub(crate) fn holder(oracle: &Oracle) -> Holder {
    Holder { pid: 1, host: "simulated".to_owned(), since: oracle.now() }
}
