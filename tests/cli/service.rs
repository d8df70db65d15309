//! The daemon as systemd runs it, and the practice targets as a person runs them.

use crate::{
    company::Tenant,
    stage::{Running, Stage, until},
};
use jiff::ToSpan;
use rosterd::{
    daemon::{holder, new_run, now},
    model::TenantId,
    sandbox::{Api, Fault},
    store::Store,
};
use std::{os::unix::net::UnixDatagram, time::Duration};

/// Once a year, so that what runs is what was missed.
const YEARLY: &str = "[sources.people.schedule]\ncron = \"30 2 1 1 *\"\nzone = \"Europe/Berlin\"";

/// Where the service tells how it is.
struct Systemd {
    socket: UnixDatagram,
    told: Vec<String>,
}

impl Systemd {
    fn new(stage: &Stage) -> Self {
        let socket = UnixDatagram::bind(stage.path("notify")).unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(5))).unwrap();
        Self { socket, told: Vec::new() }
    }

    /// The service, which tells it.
    fn start(stage: &Stage) -> Running {
        Self::start_with(stage, &[])
    }

    fn start_with(stage: &Stage, variables: &[(&str, &str)]) -> Running {
        let socket = stage.path("notify");
        let told = ("NOTIFY_SOCKET", socket.to_str().unwrap());
        stage.start(&["daemon"], &[&[told], variables].concat())
    }

    fn hears(&mut self, line: &str) -> bool {
        let mut buffer = [0; 4096];
        while let Ok(length) = self.socket.recv(&mut buffer) {
            let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
            self.told.extend(text.lines().map(str::to_owned));
        }
        self.told.iter().any(|told| told == line)
    }
}

#[test]
fn e16_the_daemon_catches_up_a_missed_night_once_and_stops_when_asked() {
    let mut stage = Stage::adopted(3, vec![Tenant::new("acme", Api::Datadog)]);
    stage.configure(YEARLY);
    // The last run was two years ago.
    let tenant = TenantId::parse("acme").unwrap();
    std::fs::remove_dir_all(stage.path("state")).unwrap();
    let mut store = Store::open(&stage.path("state"), &tenant, &holder()).unwrap();
    let (run, then) = (new_run(), now() - (2 * 366 * 24).hours());
    store.begin_run(&run, "daemon", then).unwrap();
    store.end_run(&run, "{}", then).unwrap();
    drop(store);
    stage.marry_all();

    let mut systemd = Systemd::new(&stage);
    let mut running = Systemd::start(&stage);
    until("the service is ready", || systemd.hears("READY=1"));
    until("it has caught up", || running.stderr().contains("run ends"));
    assert_eq!(stage.requests(), 6);
    stage.assert_in_step();
    assert!(!systemd.hears("STOPPING=1"));
    until("it waits for the next one", || running.stderr().matches("next run").count() == 2);
    running.signal("TERM");
    let ended = running.end();
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    assert!(systemd.hears("STOPPING=1"));
    assert_eq!(ended.stdout, "");
    assert_eq!(ended.stderr.matches("run begins").count(), 1);

    // Started again within the year, it waits, whatever the roster says.
    stage.marry_all();
    stage.sandbox.clear_requests();
    let mut running = Systemd::start(&stage);
    until("it waits for the next one", || running.stderr().contains("next run"));
    running.signal("INT");
    let ended = running.end();
    assert_eq!((ended.code, stage.requests()), (0, 0), "{}", ended.stderr);
    assert_eq!(ended.stderr.matches("run begins").count(), 0);
    assert_eq!(stage.run(&["run"]).code, 0);
    stage.assert_in_step();
    stage.assert_at_rest();
}

#[test]
fn e03_the_daemon_stops_cleanly_in_the_middle_of_a_night() {
    let slow = Tenant::new("acme", Api::Datadog).always(Fault::Slow(Duration::from_millis(250)));
    let mut stage = Stage::new(40, vec![slow]);
    stage.configure(YEARLY);
    stage.marry_all();
    let mut systemd = Systemd::new(&stage);
    let mut running = Systemd::start(&stage);
    let patched = |stage: &Stage| {
        stage.sent("acme").iter().filter(|request| request.starts_with("PATCH ")).count()
    };
    until("it sends", || patched(&stage) >= 3);
    // Meanwhile it can be looked at, and nobody else may run.
    assert_eq!(stage.run(&["status"]).code, 0);
    let ended = stage.run(&["run"]);
    assert_eq!(ended.code, 6);
    running.signal("TERM");
    assert_eq!(running.end().code, 0);
    assert!(systemd.hears("READY=1") && systemd.hears("STOPPING=1"), "{:?}", systemd.told);
    assert!(patched(&stage) < 40);
    assert!(stage.snapshot("acme").open_intents().unwrap().is_empty());

    stage.no_more_faults();
    assert_eq!(stage.run(&["run"]).code, 0);
    stage.assert_in_step();
    stage.assert_at_rest();
}

#[test]
fn c10_a_reload_takes_the_new_configuration_and_one_with_a_mistake_is_not_taken() {
    let stage = Stage::adopted(3, vec![Tenant::new("acme", Api::Datadog)]);
    stage.configure(YEARLY);
    assert_eq!(stage.run(&["run"]).code, 0);
    let mut systemd = Systemd::new(&stage);
    let mut running = Systemd::start(&stage);
    until("it waits", || running.stderr().contains("next run"));

    let file = stage.path("rosterd.toml");
    let right = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, right.replace("[sources.people.schedule]", "[sources.people.schedul]"))
        .unwrap();
    running.signal("HUP");
    let old = "STATUS=waiting, by an older configuration: the one on disk has a mistake";
    until("it keeps the old one", || systemd.hears(old));
    assert!(running.stderr().contains("schedul"), "{}", running.stderr());

    let other = right.replace("30 2 1 1 *", "30 2 2 1 *");
    std::fs::write(&file, other).unwrap();
    running.signal("HUP");
    until("it takes the new one", || running.stderr().contains("read anew"));
    until("it waits for another day", || running.stderr().contains("-01-02T01:30"));
    assert!(systemd.hears("RELOADING=1"));
    running.signal("TERM");
    assert_eq!(running.end().code, 0);
    assert!(systemd.hears("STOPPING=1"));
}

#[test]
fn a_reload_in_the_middle_of_a_night_waits_for_its_end() {
    let slow = Tenant::new("acme", Api::Datadog).always(Fault::Slow(Duration::from_millis(100)));
    let mut stage = Stage::new(20, vec![slow]);
    stage.configure(YEARLY);
    stage.marry_all();
    let _systemd = Systemd::new(&stage);
    let mut running = Systemd::start(&stage);
    until("it sends", || stage.requests() >= 3);
    running.signal("HUP");
    until("it reads the configuration", || running.stderr().contains("read anew"));
    assert!(running.stderr().contains("run ends"), "{}", running.stderr());
    stage.assert_in_step();
    running.signal("TERM");
    assert_eq!(running.end().code, 0);
}

#[test]
fn e27_the_watchdog_is_fed_as_long_as_tasks_are_run() {
    let stage = Stage::adopted(1, vec![Tenant::new("acme", Api::Datadog)]);
    stage.configure(YEARLY);
    let mut systemd = Systemd::new(&stage);
    let mut running = Systemd::start_with(&stage, &[("WATCHDOG_USEC", "60000")]);
    let fed = |systemd: &mut Systemd| {
        systemd.hears("");
        systemd.told.iter().filter(|line| *line == "WATCHDOG=1").count()
    };
    until("it is fed again and again", || fed(&mut systemd) >= 3);
    running.signal("TERM");
    assert_eq!(running.end().code, 0);
}

#[test]
fn a_daemon_without_a_schedule_is_told_so() {
    let stage = Stage::new(1, vec![Tenant::new("acme", Api::Datadog)]);
    let ended = stage.run(&["daemon"]);
    assert_eq!(ended.code, 78);
    assert!(ended.stderr.contains("schedule"), "{}", ended.stderr);
}

#[test]
fn a_rehearsal_serves_the_configured_targets_and_ends_with_what_it_saw() {
    let mut stage = Stage::new(4, Tenant::of_each_api());
    let arguments =
        ["sandbox", "--listen", "127.0.0.1:0", "--token", crate::stage::TOKEN, "--quota", "500/s"];
    let mut running = stage.start(&arguments, &[]);
    until("it serves", || running.stdout().matches("BASE_URL=").count() == 5);
    let text = running.stdout();
    let overlay: Vec<(&str, &str)> = text
        .lines()
        .map(|line| line.strip_prefix("export ").unwrap().split_once('=').unwrap())
        .collect();

    // It holds what the roster says.
    let ended = stage.run_with(&["run"], &overlay);
    assert_eq!(ended.code, 0, "{}{}", ended.stdout, ended.stderr);
    assert!(stage.path("rehearsal-state").exists() && !stage.path("state").exists());
    stage.marry_all();
    assert_eq!(stage.run_with(&["run"], &overlay).code, 0);
    assert_eq!(stage.requests(), 0, "the real targets were asked");

    running.signal("TERM");
    let ended = running.end();
    assert_eq!(ended.code, 0);
    assert!(ended.stderr.contains("datadog: 8 requests, 4 of them PATCH"), "{}", ended.stderr);
    assert!(!ended.stderr.contains("violation"), "{}", ended.stderr);
}

#[test]
fn a_rehearsal_with_another_token_refuses_ours() {
    let stage = Stage::new(2, vec![Tenant::new("acme", Api::Datadog)]);
    let running = stage.start(&["sandbox", "--listen", "127.0.0.1:0", "--token", "other"], &[]);
    until("it serves", || running.stdout().contains("BASE_URL="));
    let text = running.stdout();
    let overlay = text.lines().map(|line| line.strip_prefix("export ").unwrap());
    let overlay: Vec<(&str, &str)> = overlay.map(|line| line.split_once('=').unwrap()).collect();
    assert_eq!(stage.run_with(&["run"], &overlay).code, 1);
}
