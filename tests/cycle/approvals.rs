//! A person lets one plan pass that a guard holds.

use crate::{
    company::{Person, Tenant},
    guards::tripped,
    world::{World, exit_of, of},
};
use jiff::{Timestamp, ToSpan};
use rosterd::{
    cycle::{CycleReport, TenantEnd},
    daemon::holder,
    model::TenantId,
    sandbox::{Api, Fault, Faults},
    store::{Approval, ApprovalError, Approving, Store},
};

fn open(world: &World) -> Store {
    let tenant = TenantId::parse("acme").unwrap();
    Store::open(&world.state_dir(), &tenant, &holder()).unwrap()
}

/// The plan that waits.
fn waiting(world: &World) -> Vec<String> {
    let plans = world.snapshot("acme").waiting_plans().unwrap();
    plans.into_iter().map(|plan| plan.digest).collect()
}

fn approve_at(world: &World, digest: &str, at: Timestamp) -> Result<Approval, ApprovalError> {
    let (who, reason) = ("ann (uid 1000)", "the merger");
    let expires = at + 24.hours();
    open(world).approve(&Approving { digest, who, reason, at, expires })
}

/// Approves what waits, an hour before the next night.
pub(crate) fn approve(world: &World) {
    let digest = waiting(world).pop().unwrap();
    approve_at(world, &digest, world.now - 1.hour()).unwrap();
}

/// A tenant whose plan to promote half of its people is held.
async fn held() -> World {
    let tenant = Tenant::new("acme", Api::Datadog).guards("");
    let mut world = World::adopted(20, vec![tenant]).await;
    promote(&mut world, 0..10, "Director");
    let report = world.night().await;
    assert_eq!(of(&report, "acme").end, TenantEnd::Guarded);
    assert_eq!(waiting(&world), [of(&report, "acme").digest.clone()]);
    world
}

fn promote(world: &mut World, people: std::ops::Range<usize>, title: &str) {
    for person in &mut world.people[people] {
        person.set("title", title);
    }
    world.write_roster();
}

/// What a report says of approvals.
fn told(report: &CycleReport) -> String {
    let notices = of(report, "acme").notices.iter().map(|notice| notice.message.clone());
    notices.collect::<Vec<_>>().join("\n")
}

#[tokio::test(flavor = "multi_thread")]
async fn f06_an_approved_plan_is_sent_once_and_what_comes_next_is_held_again() {
    let mut world = held().await;
    approve(&world);
    // A look says so, and uses nothing.
    let look = world.preview();
    assert_eq!(exit_of(&look, "acme"), 0);
    assert!(told(&look).contains("approved by ann (uid 1000)"), "{}", told(&look));
    let report = world.night().await;
    assert_eq!((exit_of(&report, "acme"), world.count("acme", "PATCH")), (0, 10));
    assert!(told(&report).contains("passes max_update, max_attr_change, once"));
    world.assert_in_step();
    assert_eq!(waiting(&world), [""; 0]);
    let used = world.snapshot("acme").approvals(9).unwrap().pop().unwrap().used;
    assert_eq!(used.unwrap().1, report.run);
    world.rest().await;

    promote(&mut world, 0..10, "Engineer");
    let report = world.rest().await;
    assert_eq!(tripped(&report, "acme").len(), 2);
    assert_eq!(told(&report), "");
    // There and back again: the same changes, and the approval of them is spent.
    world.change_tenant("acme", |tenant| {
        tenant.guards("max_update = \"60%\"\nmax_attr_change = \"60%\"")
    });
    assert_eq!(exit_of(&world.night().await, "acme"), 0);
    world.change_tenant("acme", |tenant| tenant.guards(""));
    promote(&mut world, 0..10, "Director");
    let report = world.rest().await;
    assert_eq!(exit_of(&report, "acme"), 3);
    assert!(told(&report).contains("already used at 2026-"), "{}", told(&report));
}

#[tokio::test(flavor = "multi_thread")]
async fn f06_an_approval_counts_only_for_the_source_the_state_and_the_settings_it_was_given_for() {
    let mut world = held().await;
    approve(&world);
    // One more row.
    world.people.push(Person::new(21));
    world.write_roster();
    let report = world.rest().await;
    assert_eq!(exit_of(&report, "acme"), 3);
    assert!(told(&report).contains("the source changed since"), "{}", told(&report));
    world.people.pop();

    // Other limits, and these hold it as well.
    let mut world = held().await;
    approve(&world);
    world.change_tenant("acme", |tenant| tenant.guards("max_update = \"31%\""));
    let report = world.rest().await;
    assert_eq!(exit_of(&report, "acme"), 3);
    assert!(told(&report).contains("the configuration changed since"), "{}", told(&report));

    // A state file with another history.
    let mut world = held().await;
    approve(&world);
    let db = rusqlite::Connection::open(world.state_dir().join("acme.db")).unwrap();
    db.execute("UPDATE meta SET lineage = 'another'", []).unwrap();
    drop(db);
    // Whoever brings another file along says so: with the mark of the old one it is refused.
    std::fs::remove_file(world.state_dir().join("acme.serial")).unwrap();
    let report = world.rest().await;
    assert_eq!(exit_of(&report, "acme"), 3);
    assert!(told(&report).contains("another state file"), "{}", told(&report));

    // The same history, further on.
    let mut world = held().await;
    approve(&world);
    let db = rusqlite::Connection::open(world.state_dir().join("acme.db")).unwrap();
    db.execute("UPDATE meta SET serial = serial + 1", []).unwrap();
    drop(db);
    let report = world.rest().await;
    assert_eq!(exit_of(&report, "acme"), 3);
    assert!(told(&report).contains("the state changed since"), "{}", told(&report));
}

#[tokio::test(flavor = "multi_thread")]
async fn f06_an_approval_ends_after_a_day() {
    let mut world = held().await;
    let digest = waiting(&world).pop().unwrap();
    approve_at(&world, &digest, world.now - 25.hours()).unwrap();
    let report = world.rest().await;
    assert_eq!(exit_of(&report, "acme"), 3);
    assert!(told(&report).contains("does not count: expired at"), "{}", told(&report));
    // Another one may be given, and counts.
    approve(&world);
    assert_eq!(exit_of(&world.night().await, "acme"), 0);
    world.assert_in_step();
    world.rest().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn f10_of_two_people_who_approve_one_plan_the_second_is_told_of_the_first() {
    let world = held().await;
    let digest = waiting(&world).pop().unwrap();
    approve_at(&world, &digest, world.now).unwrap();
    let second = approve_at(&world, &digest, world.now).unwrap_err();
    assert!(matches!(second, ApprovalError::Already { ref who, .. } if who.contains("ann")));
    assert_eq!(world.snapshot("acme").approvals(9).unwrap().len(), 1);
    let unknown = approve_at(&world, "sha256:00", world.now).unwrap_err();
    assert!(matches!(unknown, ApprovalError::NotWaiting));
}

#[tokio::test(flavor = "multi_thread")]
async fn f10_of_two_runs_that_use_one_approval_the_second_sends_nothing() {
    let world = held().await;
    approve(&world);
    let mut store = open(&world);
    let approval = store.approvals(1).unwrap().pop().unwrap();
    let run = world.options("run").run;
    assert!(store.use_approval(approval.id, &run, world.now).unwrap());
    assert!(!store.use_approval(approval.id, &run, world.now).unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_approved_plan_is_carried_out_as_it_stands_its_reads_included() {
    let tenant = Tenant::new("acme", Api::Datadog).guards("");
    let mut world = World::new(22, vec![tenant]).await;
    let newcomers = world.people.split_off(20);
    world.write_roster();
    world.adopt();
    promote(&mut world, 0..10, "Director");
    world.people.extend(newcomers);
    world.people[20].set("title", "Director");
    world.write_roster();
    assert_eq!(exit_of(&world.rest().await, "acme"), 3);
    approve(&world);
    assert_eq!(exit_of(&world.night().await, "acme"), 0);
    assert_eq!((world.count("acme", "PATCH"), world.count("acme", "GET")), (10, 2));
    // What the reads have shown is another plan, judged by itself.
    assert_eq!(exit_of(&world.night().await, "acme"), 0);
    assert_eq!(world.sent("acme"), ["PATCH E00021 title"]);
    world.assert_in_step();
    world.rest().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_that_was_held_after_its_reads_is_approved_though_some_reads_had_failed() {
    let tenant = Tenant::new("acme", Api::Datadog).guards("").one_by_one();
    let mut world = World::new(28, vec![tenant]).await;
    let newcomers = world.people.split_off(20);
    world.write_roster();
    world.adopt();
    promote(&mut world, 0..4, "Director");
    world.people.extend(newcomers);
    promote(&mut world, 20..28, "Director");
    let forbidden = [(1, Fault::Forbidden), (2, Fault::Forbidden)];
    world.sandbox.set_faults("acme", Faults::script(forbidden));
    // Four changes are within the limit, and with what the reads have shown it is ten.
    let report = world.night().await;
    assert_eq!((exit_of(&report, "acme"), world.count("acme", "GET")), (3, 8));
    approve(&world);
    let report = world.night().await;
    assert_eq!((world.count("acme", "PATCH"), world.count("acme", "GET")), (10, 0));
    assert!(told(&report).contains("approved by ann") && !told(&report).contains("count:"));
    assert_eq!(world.behind("acme").len(), 2);
    assert_eq!(exit_of(&world.night().await, "acme"), 0);
    world.assert_in_step();
    world.rest().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn inv10_what_was_approved_does_not_hold_the_rest_of_the_day() {
    let mut world = held().await;
    approve(&world);
    assert_eq!(exit_of(&world.night().await, "acme"), 0);
    world.now -= 20.hours();
    promote(&mut world, 12..15, "Director");
    assert_eq!(exit_of(&world.night().await, "acme"), 0);
    assert_eq!(world.count("acme", "PATCH"), 3);
    // What was not is counted still.
    world.now -= 20.hours();
    promote(&mut world, 15..18, "Director");
    assert_eq!(exit_of(&world.night().await, "acme"), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_shrank_and_was_approved_is_the_measure_from_then_on() {
    let tenant = Tenant::new("acme", Api::Datadog).guards("");
    let mut world = World::adopted(20, vec![tenant]).await;
    world.people.truncate(10);
    world.write_roster();
    assert_eq!(exit_of(&world.rest().await, "acme"), 3);
    approve(&world);
    // There is nothing to send, and it is accepted all the same.
    assert_eq!(exit_of(&world.rest().await, "acme"), 0);
    assert_eq!(exit_of(&world.rest().await, "acme"), 0);
    let accepted = world.snapshot("acme").accepted_input().unwrap().unwrap();
    assert_eq!(accepted.users, 10);
    assert!(world.snapshot("acme").approvals(1).unwrap()[0].used.is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_waits_no_longer_than_until_one_passes() {
    let mut world = held().await;
    promote(&mut world, 0..10, "Engineer");
    assert_eq!(exit_of(&world.rest().await, "acme"), 0);
    assert_eq!(waiting(&world), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_state_of_the_first_schema_is_upgraded_and_a_copy_of_it_is_kept() {
    let mut world = World::new(3, vec![Tenant::new("acme", Api::Datadog)]).await;
    std::fs::create_dir(world.state_dir()).unwrap();
    let db = rusqlite::Connection::open(world.state_dir().join("acme.db")).unwrap();
    db.pragma_update(None, "auto_vacuum", "INCREMENTAL").unwrap();
    db.execute_batch(include_str!("../../state/001_snapshot.sql")).unwrap();
    db.pragma_update(None, "application_id", 0x726f_7374).unwrap();
    db.pragma_update(None, "user_version", 1).unwrap();
    let meta = "INSERT INTO meta (id, tenant, lineage, serial, operation, packed, tag_key)
                VALUES (1, 'acme', 'old', 5, 9, 0, randomblob(32))";
    db.execute(meta, []).unwrap();
    drop(db);
    world.marry_all();
    assert_eq!(exit_of(&world.night().await, "acme"), 0);
    world.assert_in_step();
    assert_eq!(world.snapshot("acme").lineage().unwrap(), "old");
    assert!(world.state_dir().join("acme.db.schema-1.bak").exists());
    world.rest().await;
}
