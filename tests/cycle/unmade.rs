//! Accounts that may have been made for somebody who has left since.

use crate::{
    company::Tenant,
    life::{ACTIVE, GONE, LAX, dismiss, fates, held, is_on, linked, made, unmake},
    world::World,
};
use rosterd::{
    daemon::new_run,
    model::{AttrPath, Edit, Fate, HeldReason, UserKey, Value as Wish},
    sandbox::{Api, Fault, Faults},
    store::{ActionKind, Entry, Intent},
};
use serde_json::json;

fn tenant() -> Tenant {
    linked().allow(&["create", "disable"]).map(ACTIVE, "").guards(LAX)
}

/// Six people, and a creation for the second of whom nobody knows whether it arrived.
async fn in_doubt(tenant: Tenant, arrived: bool) -> World {
    let world = World::new(6, vec![tenant]).await;
    if !arrived {
        unmake(&world, 2);
    }
    doubt(&world);
    world
}

fn doubt(world: &World) {
    let mut store = world.store("acme");
    store.begin_run(&new_run(), "run", world.now).unwrap();
    let edit = Edit {
        path: AttrPath::new("userName"),
        before: Some(None),
        after: Some(Wish::text("user2@example.org")),
    };
    let intent = Intent {
        operation_id: store.last_operation().unwrap() + 1,
        run: new_run(),
        key: UserKey::parse("E00002").unwrap(),
        remote_id: None,
        action: ActionKind::Create,
        edits: vec![edit],
        at: world.now,
    };
    store.commit(&[Entry::Intent(intent)]).unwrap();
}

/// Whether anything is on its way of anybody, or may yet arrive.
fn is_settled(world: &World) -> bool {
    let snapshot = world.snapshot("acme");
    snapshot.open_intents().unwrap().is_empty() && snapshot.suspects().unwrap().is_empty()
}

fn looks(world: &World) -> usize {
    world.sandbox.requests("acme").iter().filter(|seen| seen.method == "GET").count()
}

fn changes(world: &World) -> usize {
    world.sandbox.requests("acme").iter().filter(|seen| seen.method != "GET").count()
}

#[tokio::test(flavor = "multi_thread")]
async fn inv3_whoever_is_said_to_have_left_after_a_creation_in_doubt_is_found_and_switched_off() {
    let mut world = in_doubt(tenant(), true).await.with_source(GONE);
    world.change(2, |person| {
        person.set("status", "gone");
    });
    assert_eq!(fates(&world.night().await), [("E00002", Fate::Disabled)]);
    assert!(!is_on(&world, &world.people[1]) && made(&world) == 0 && is_settled(&world));
    assert_eq!(fates(&world.rest().await), [("E00002", Fate::Off)]);
    world.change(2, |person| {
        person.set("status", "active");
    });
    world.night().await;
    assert!(is_on(&world, &world.people[1]) && made(&world) == 0);
    world.rest().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn inv3_whoever_is_absent_after_a_creation_in_doubt_is_found_and_switched_off_in_time() {
    let mut world = in_doubt(tenant(), true).await;
    let gone = dismiss(&mut world, 2);
    assert_eq!(fates(&world.night().await), [("E00002", Fate::Waits)]);
    assert!(is_on(&world, &gone) && is_settled(&world));
    assert_eq!(fates(&world.night().await), [("E00002", Fate::Disabled)]);
    assert!(!is_on(&world, &gone) && made(&world) == 0);
    world.rest().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn inv3_an_account_that_was_never_made_is_looked_for_on_two_nights_and_then_forgotten() {
    for left_by_status in [true, false] {
        let mut world = in_doubt(tenant(), false).await.with_source(GONE);
        if left_by_status {
            world.change(2, |person| {
                person.set("status", "gone");
            });
        } else {
            dismiss(&mut world, 2);
        }
        // Five others are looked for in the first night.
        for expected in [6, 1] {
            assert!(!is_settled(&world));
            assert_eq!(fates(&world.night().await), [("E00002", Fate::Unknown)]);
            assert_eq!((looks(&world), changes(&world)), (expected, 0));
        }
        assert!(is_settled(&world));
        assert_eq!(fates(&world.rest().await), []);
        assert_eq!(looks(&world), 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn inv3_a_creation_that_arrives_after_the_first_look_is_found_by_the_second() {
    let mut world = in_doubt(tenant(), false).await;
    let gone = dismiss(&mut world, 2);
    assert_eq!(fates(&world.night().await), [("E00002", Fate::Unknown)]);
    // Another run an hour later is no other night.
    world.come_back_after(1);
    assert_eq!(fates(&world.night().await), [("E00002", Fate::Unknown)]);
    assert!(!is_settled(&world));
    world.sandbox.set_account("acme", gone.id(Api::Datadog), gone.account(Api::Datadog));
    assert_eq!(fates(&world.night().await), [("E00002", Fate::Disabled)]);
    assert!(!is_on(&world, &gone) && is_settled(&world));
    world.rest().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn inv3_a_look_up_that_fails_ends_no_doubt_about_a_creation() {
    let mut world = World::new(6, vec![tenant()]).await;
    let gone = dismiss(&mut world, 2);
    world.night().await;
    doubt(&world);
    for _ in 0..3 {
        let failures = (1..=9).map(|number| (number, Fault::Error500NotApplied));
        world.sandbox.set_faults("acme", Faults::script(failures));
        assert_eq!(fates(&world.night().await), [("E00002", Fate::Unknown)]);
        assert!(!is_settled(&world));
    }
    world.no_more_faults();
    world.night().await;
    world.night().await;
    assert!(!is_on(&world, &gone));
    world.rest().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_several_accounts_that_a_leavers_creation_may_have_made_none_is_touched() {
    let mut world = in_doubt(tenant(), true).await;
    let mut twin = world.people[1].account(Api::Datadog);
    twin["userName"] = json!("User2@Example.org");
    let other = "3fa85f64-5717-4562-b3fc-0000000000aa";
    world.sandbox.set_account("acme", other, twin);
    let gone = dismiss(&mut world, 2);
    for _ in 0..3 {
        let report = world.night().await;
        assert_eq!(held(&report), [("E00002", HeldReason::Ambiguous)]);
        assert_eq!((fates(&report), changes(&world)), (vec![("E00002", Fate::Unknown)], 0));
    }
    assert!(!is_settled(&world));
    world.sandbox.remove_account("acme", other);
    assert_eq!(fates(&world.night().await), [("E00002", Fate::Disabled)]);
    assert!(!is_on(&world, &gone));
    world.rest().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_got_another_key_after_a_creation_in_doubt_has_the_account_and_keeps_it() {
    let mut world = in_doubt(tenant(), true).await;
    world.change(2, |person| {
        person.set("employee_id", "E90002");
    });
    for _ in 0..2 {
        let report = world.night().await;
        assert_eq!((fates(&report), held(&report)), (vec![("E00002", Fate::Unknown)], vec![]));
        assert_eq!(changes(&world), 0);
    }
    assert_eq!(fates(&world.rest().await), []);
    assert!(is_on(&world, &world.people[1]) && is_settled(&world));
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_back_before_the_doubt_is_over_gets_one_account() {
    let mut world = in_doubt(tenant(), false).await;
    let person = dismiss(&mut world, 2);
    world.night().await;
    world.people.insert(1, person);
    world.write_roster();
    world.night().await;
    assert_eq!(made(&world), 1);
    assert!(is_settled(&world));
    world.rest().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_who_has_left_is_looked_for_where_nothing_may_happen_to_the_account() {
    for allow in [&["create"][..], &["disable"][..]] {
        let mut world = in_doubt(tenant().allow(allow), true).await;
        let gone = dismiss(&mut world, 2);
        for night in 0..3 {
            assert_eq!(fates(&world.night().await), [("E00002", Fate::Told)]);
            assert_eq!((looks(&world), changes(&world)), (if night == 0 { 5 } else { 0 }, 0));
        }
        assert!(is_on(&world, &gone));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_and_a_run_of_other_users_look_for_no_leaver() {
    let mut world = in_doubt(tenant(), true).await;
    dismiss(&mut world, 2);
    let report = world.preview();
    assert_eq!((fates(&report), looks(&world)), (vec![("E00002", Fate::Read)], 0));
    world.night_of(&["E00001"]).await;
    assert_eq!(looks(&world), 1);
    let report = world.night_of(&["E00002"]).await;
    assert_eq!((fates(&report), looks(&world)), (vec![("E00002", Fate::Waits)], 1));
}
