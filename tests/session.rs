//! A session against a practice target: what it records, whom it looks at and how it ends.

#![expect(clippy::unwrap_used, reason = "a test's helpers stop where its body would")]

use jiff::Timestamp;
use rosterd::{
    config::{Config, Surroundings, load},
    cycle::{
        CycleReport, Exit, Options, Progress, Session, Silent, TenantEnd, WHOLE_RUN, adopt, preview,
    },
    daemon::{holder, new_run},
    engine::index::{Pages, UNSETTLED},
    model::{Fingerprint, HeldReason, SourceId, TenantId, UserKey},
    sandbox::{Api, Sandbox, SandboxTenant, account_of},
    store::ReadStore,
};
use serde_json::json;
use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::Arc,
    time::Duration,
};
use tempfile::TempDir;
use tokio::sync::watch;

/// A roster of people with a title, and a target that knows them all as `Engineer`.
struct World {
    folder: TempDir,
    sandbox: Sandbox,
    /// Further keys of the source.
    source: &'static str,
    /// Further keys of the tenant.
    tenant: &'static str,
    quota: &'static str,
    stop: watch::Sender<bool>,
}

fn uuid(number: u32) -> String {
    format!("3fa85f64-5717-4562-b3fc-{number:012x}")
}

impl World {
    async fn of(people: u32) -> Self {
        let mut practice = SandboxTenant::new("dog", Api::Datadog);
        let account =
            |_| account_of(Api::Datadog, &[("title".to_owned(), json!("Engineer"))].into());
        practice.accounts = (1..=people).map(|n| (uuid(n), account(n))).collect();
        let any_port = std::net::SocketAddr::from(([127, 0, 0, 1], 0));
        let sandbox = Sandbox::start(any_port, vec![practice]).await.unwrap();
        Self {
            folder: tempfile::tempdir().unwrap(),
            sandbox,
            source: "",
            tenant: "",
            quota: "1000/s",
            stop: watch::channel(false).0,
        }
    }

    fn source(self, source: &'static str) -> Self {
        Self { source, ..self }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Key, id at the target and title of everybody.
    fn roster_text(&self, text: &str) {
        std::fs::write(self.path().join("roster.csv"), text).unwrap();
    }

    fn roster(&self, rows: &[(&str, u32, &str)]) {
        let row = |(key, id, title): &(&str, u32, &str)| format!("{key},{},{title}\n", uuid(*id));
        let rows: String = rows.iter().map(row).collect();
        self.roster_text(&format!("key,id,title\n{rows}"));
    }

    fn config(&self) -> Arc<Config> {
        let text = format!(
            "[state]\ndir = \"state\"\n\
             [sources.people.csv]\npath = \"roster.csv\"\nkey = \"key\"\n{}\n\
             [tenants.dog]\nquota = \"{}\"\nallow_insecure_http = \"loopback\"\n{}\n\
             [tenants.dog.datadog]\nbase_url = \"{}\"\n\
             [tenants.dog.credentials]\ntoken_env = \"TOKEN\"\n\
             [tenants.dog.remote_id]\ncolumn = \"id\"\n\
             [tenants.dog.map]\ntitle = {{ column = \"title\" }}\n\
             \"name.formatted\" = {{ column = \"boss\", optional = true }}\n",
            self.source,
            self.quota,
            self.tenant,
            self.sandbox.base_url("dog"),
        );
        let path = self.path().join("rosterd.toml");
        std::fs::write(&path, text).unwrap();
        let variables = BTreeMap::from([("TOKEN".to_owned(), "practice".to_owned())]);
        Arc::new(load(&path, &Surroundings { variables, ..Surroundings::default() }).unwrap())
    }

    fn options(&self, verb: &'static str, now: Timestamp) -> Options {
        Options {
            run: new_run(),
            verb,
            now,
            tenants: BTreeSet::new(),
            users: BTreeSet::new(),
            stop: self.stop.subscribe(),
        }
    }

    fn open(&self, options: Options) -> Session {
        Session::open(self.config(), &source(), options, &holder())
    }

    fn store(&self) -> ReadStore {
        ReadStore::open(&self.path().join("state"), &tenant()).unwrap().unwrap()
    }
}

fn source() -> SourceId {
    SourceId::parse("people").unwrap()
}

fn tenant() -> TenantId {
    TenantId::parse("dog").unwrap()
}

fn night(number: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + number * 86_400).unwrap()
}

fn silent() -> Arc<dyn Progress> {
    Arc::new(Silent)
}

#[tokio::test]
async fn inv7_what_is_sent_hours_after_the_run_began_is_recorded_as_sent_then() {
    let world = World::of(3).await;
    world.roster(&[("E1", 1, "Engineer"), ("E2", 2, "Engineer"), ("E3", 3, "Chief")]);
    tokio::time::pause();
    let mut session = world.open(world.options("apply", night(0)));
    // A person reads the plan, and agrees after lunch.
    tokio::time::advance(Duration::from_hours(2)).await;
    tokio::time::resume();
    session.refresh(&silent()).await;
    session.send(&silent()).await;
    let report = session.finish(night(1));
    assert_eq!((report.exit(), world.sandbox.requests("dog").len()), (Exit::Done, 4));
    let lunch = night(0).checked_add(jiff::SignedDuration::from_hours(2)).unwrap();
    assert_eq!(world.store().sends_since(lunch).unwrap().len(), 4);
}

#[tokio::test]
async fn e16_only_a_run_about_everybody_that_nobody_stopped_counts_as_the_nights_run() {
    let world = World::of(2).await;
    world.roster(&[("E1", 1, "Engineer"), ("E2", 2, "Engineer")]);
    let mark = || world.store().mark(WHOLE_RUN).unwrap();

    let _ = adopt(&world.config(), &source(), &world.options("adopt", night(0)), &holder());
    assert_eq!(mark(), None, "adopt");

    let mut session = world.open(world.options("plan", night(0)));
    session.refresh(&silent()).await;
    let _ = session.finish(night(0));
    assert_eq!(mark(), None, "plan --refresh");

    let users = BTreeSet::from([UserKey::parse("E1").unwrap()]);
    let mut session = world.open(Options { users, ..world.options("run", night(0)) });
    session.refresh(&silent()).await;
    session.send(&silent()).await;
    let _ = session.finish(night(0));
    assert_eq!(mark(), None, "--user");

    world.roster(&[("E1", 1, "Chief"), ("E2", 2, "Engineer")]);
    world.stop.send_replace(true);
    let mut session = world.open(world.options("daemon", night(0)));
    session.refresh(&silent()).await;
    session.send(&silent()).await;
    assert_eq!(session.finish(night(0)).exit(), Exit::Early);
    assert_eq!(mark(), None, "stopped");

    world.stop.send_replace(false);
    let mut session = world.open(world.options("daemon", night(1)));
    session.refresh(&silent()).await;
    session.send(&silent()).await;
    assert_eq!(session.finish(night(2)).exit(), Exit::Done);
    assert_eq!(mark(), Some(night(1)));
}

#[tokio::test]
async fn adopt_leaves_out_who_is_held_and_settles_no_row_that_cannot_be_believed_as_a_whole() {
    let world = World::of(4).await.source("references = [\"boss\"]");
    let rows = [("E1", 1, "E2"), ("E2", 2, ""), ("E3", 3, "E99"), ("E4", 4, ""), ("E5", 4, "")];
    let row = |(key, id, boss): (&str, u32, &str)| format!("{key},{},Engineer,{boss}\n", uuid(id));
    world.roster_text(&("key,id,title,boss\n".to_owned() + &rows.map(row).concat()));
    let (report, adopted) =
        adopt(&world.config(), &source(), &world.options("adopt", night(0)), &holder());
    assert_eq!((report.exit(), adopted[&tenant()]), (Exit::Partial, 3));
    let config = world.config();
    let view = config.tenants[&tenant()].mapping.digest().with(Fingerprint::default());
    let store = world.store();
    let mut pages = store.pages(view).unwrap();
    let mut entries = Vec::new();
    for at in 0..pages.heads().len() {
        pages.read(at, &mut entries).unwrap();
    }
    let row = |key: &str| {
        let key = UserKey::parse(key).unwrap().fingerprint();
        entries.iter().find(|entry| entry.key == key).map(|entry| entry.row != UNSETTLED)
    };
    let settled = ["E1", "E2", "E3", "E4", "E5"].map(row);
    assert_eq!(settled, [Some(true), Some(true), Some(false), None, None]);
    // The first measure of the nights to come.
    assert_eq!(world.store().accepted_input().unwrap().map(|input| input.users), Some(5));
}

#[tokio::test]
async fn a_run_for_some_users_is_guarded_by_the_whole_tenant_and_knows_everybodys_ids() {
    let world = World::of(10).await;
    let keys: Vec<String> = (1..=10).map(|n| format!("E{n:02}")).collect();
    let mut rows: Vec<(&str, u32, &str)> =
        keys.iter().zip(1..).map(|(key, id)| (key.as_str(), id, "Chief")).collect();
    rows[9].1 = 9;
    world.roster(&rows);
    let users = ["E01", "E02", "E09"].map(|key| UserKey::parse(key).unwrap());
    let mut session = world.open(Options { users: users.into(), ..world.options("run", night(0)) });
    session.refresh(&silent()).await;
    session.send(&silent()).await;
    let report = session.finish(night(0));
    // Two of ten, which is within 30 %; the third claims the id of somebody who was not asked for.
    assert_eq!(report.tenants[0].results.settled, 2, "{report:?}");
    let held = &report.tenants[0].plan.as_ref().unwrap().held;
    assert_eq!((held.len(), held[0].reason), (1, HeldReason::SharedRemoteId));
}

#[tokio::test]
async fn a_look_that_finds_a_guard_tripped_ends_as_held_by_it() {
    let world = World::of(3).await;
    world.roster(&[("E1", 1, "Chief"), ("E2", 2, "Chief"), ("E3", 3, "Chief")]);
    let mut session = world.open(world.options("plan", night(0)));
    session.refresh(&silent()).await;
    assert_eq!(session.finish(night(0)).exit(), Exit::Guarded);
}

#[tokio::test]
async fn a_plan_that_was_approved_before_anybody_was_read_says_who_was_left() {
    let world = World::of(2).await;
    world.roster(&[("E1", 1, "Chief"), ("E2", 2, "Engineer")]);
    let mut session = world.open(world.options("apply", night(0)));
    session.plan_only();
    session.send(&silent()).await;
    let report = session.finish(night(0));
    assert_eq!((report.exit(), report.tenants[0].results.left), (Exit::Partial, 2));
    assert!(world.sandbox.requests("dog").is_empty());
}

#[tokio::test]
async fn nobody_waits_for_a_slot_once_nothing_is_left_to_send() {
    let world = World { quota: "1/h", ..World::of(1).await };
    world.roster(&[("E1", 1, "Engineer")]);
    let mut session = world.open(world.options("run", night(0)));
    let refreshed = tokio::time::timeout(Duration::from_mins(1), session.refresh(&silent())).await;
    assert!(refreshed.is_ok(), "the next slot is an hour away");
    session.send(&silent()).await;
    assert_eq!(session.finish(night(0)).exit(), Exit::Done);
}

#[tokio::test]
async fn e07_a_damaged_state_is_told_also_when_the_source_is_refused() {
    let world = World::of(1).await;
    std::fs::create_dir(world.path().join("state")).unwrap();
    std::fs::write(world.path().join("state/dog.db"), "no database").unwrap();
    let report = preview(&world.config(), &source(), &world.options("plan", night(0)));
    assert_eq!((report.exit(), report.tenants.len()), (Exit::State, 1));
}

#[tokio::test]
async fn f02_a_snapshot_is_not_used_for_another_target_than_the_one_it_is_of() {
    let mut world = World::of(1).await;
    world.roster(&[("E1", 1, "Engineer")]);
    let mut session = world.open(world.options("run", night(0)));
    session.refresh(&silent()).await;
    session.send(&silent()).await;
    assert_eq!(session.finish(night(0)).exit(), Exit::Done);

    let first = std::mem::replace(&mut world.sandbox, World::of(1).await.sandbox);
    world.roster(&[("E1", 1, "Director")]);
    let plan = preview(&world.config(), &source(), &world.options("plan", night(1)));
    assert_eq!(plan.exit(), Exit::Config);
    let mut session = world.open(world.options("run", night(1)));
    session.refresh(&silent()).await;
    session.send(&silent()).await;
    assert_eq!(session.finish(night(1)).exit(), Exit::Config);
    assert!(world.sandbox.requests("dog").is_empty());

    world.sandbox = first;
    let mut session = world.open(world.options("run", night(2)));
    session.refresh(&silent()).await;
    session.send(&silent()).await;
    assert_eq!(session.finish(night(2)).exit(), Exit::Done);
    assert_eq!(world.sandbox.account("dog", &uuid(1)).unwrap()["title"], "Director");
}

impl World {
    async fn night(&self, number: i64) -> CycleReport {
        let mut session = self.open(self.options("run", night(number)));
        session.carry_out(&silent()).await;
        session.finish(night(number))
    }

    fn requests(&self) -> usize {
        self.sandbox.requests("dog").len()
    }
}

#[tokio::test]
async fn the_very_same_file_is_said_again_and_not_read_until_something_else_has_changed() {
    let mut world = World::of(3).await;
    let titles = |boss| [("E1", 1, "Engineer"), ("E2", 2, "Engineer"), ("E3", 3, boss)];
    world.roster(&titles("Engineer"));
    let first = world.night(0).await;
    assert_eq!((first.exit(), world.requests()), (Exit::Done, 3));
    assert!(world.store().last_answer().unwrap().is_none(), "somebody was read");

    let second = world.night(1).await;
    let answer = world.store().last_answer().unwrap().expect("nothing was left to do");
    assert_eq!(answer.size, std::fs::metadata(world.path().join("roster.csv")).unwrap().len());
    let third = world.night(2).await;
    for report in [&second, &third] {
        assert_eq!(report.facts, first.facts);
        assert_eq!(report.findings, first.findings);
        let plan = report.tenants[0].plan.as_ref().unwrap();
        assert_eq!((plan.users, plan.unchanged, plan.operations.len()), (3, 3, 0));
        assert_eq!(report.tenants[0].end, TenantEnd::Done);
    }
    let looked = preview(&world.config(), &source(), &world.options("plan", night(3)));
    assert_eq!((looked.exit(), looked.facts), (Exit::Done, first.facts));
    assert_eq!(world.requests(), 3);
    assert!(world.store().mark(WHOLE_RUN).unwrap() == Some(night(2)));

    // Away and back: the file is the one of the quiet night, and its answer is not.
    world.roster(&titles("Chief"));
    assert_eq!(world.night(4).await.tenants[0].results.settled, 1);
    world.roster(&titles("Engineer"));
    assert_eq!(world.night(5).await.tenants[0].results.settled, 1);
    let _ = world.night(6).await;
    assert_eq!(world.requests(), 5);

    // The same file under another setting is read.
    world.source = "key_pattern = \"X.*\"";
    assert_eq!(world.night(7).await.exit(), Exit::Source);
    assert_eq!(world.requests(), 5);
}

#[tokio::test]
async fn what_is_told_every_night_is_told_of_the_very_same_file_too() {
    let guards = "guards = { max_source_shrink = 1 }";
    let world = World { tenant: guards, ..World::of(3).await };
    let rows = [("E1", 1, "Engineer"), ("E2", 2, "Engineer"), ("E3", 3, "Engineer")];
    world.roster(&rows);
    let _ = world.night(0).await;
    world.roster(&rows[..2]);
    for number in 1..4 {
        let report = world.night(number).await;
        let plan = report.tenants[0].plan.as_ref().unwrap();
        assert_eq!((report.exit(), plan.leavers.len(), plan.users), (Exit::Done, 1, 2));
    }
    assert!(world.store().last_answer().unwrap().is_none());
    assert_eq!(world.requests(), 3);
}

#[tokio::test]
async fn a_row_that_is_not_the_tenants_is_settled_too_until_it_moves_into_its_scope() {
    let world = World { tenant: "scope = \"title != 'Guest'\"", ..World::of(4).await };
    let rows = |last| [("E1", 1, "Engineer"), ("E2", 2, "Guest"), ("E3", 3, last)];
    world.roster(&rows("Guest"));
    let _ = world.night(0).await;
    let quiet = world.night(1).await;
    let plan = quiet.tenants[0].plan.as_ref().unwrap();
    assert_eq!((plan.users, plan.leavers.len(), world.requests()), (1, 0, 1));
    // Nothing of the guests was fresh, else this night were not remembered as a quiet one.
    assert!(world.store().last_answer().unwrap().is_some());
    assert_eq!(world.store().users().unwrap(), 1);

    world.roster(&rows("Engineer"));
    let joined = world.night(2).await;
    assert_eq!((joined.tenants[0].results.read, world.requests()), (1, 2));
    world.roster(&rows("Guest"));
    let left = world.night(3).await;
    assert_eq!(left.tenants[0].plan.as_ref().unwrap().leavers.len(), 1);
    assert_eq!(world.requests(), 2);
}
