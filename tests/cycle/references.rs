//! Attributes that say who another user is: managers.

use crate::{
    company::{Person, Tenant},
    world::{World, exit_of, of},
};
use rosterd::{cycle::CycleReport, model::HeldReason, sandbox::Api};
use serde_json::{Value, json};

/// `BioT`, where an attribute of the company's own refers to the manager.
fn referring() -> Tenant {
    let boss = "boss = { column = \"manager_id\", reference = true }\njobTitle = {";
    Tenant::new("acme", Api::Biot).map("jobTitle = {", boss)
}

async fn company(tenant: Tenant) -> World {
    let mut world = World::new(4, vec![tenant]).await;
    for number in [2, 3] {
        manage(&mut world, number, "E00001");
    }
    world
}

fn manage(world: &mut World, number: usize, manager: &str) {
    world.change(number, |person| {
        person.set("manager_id", manager);
    });
}

fn boss_of(world: &World, number: u32) -> Value {
    let person = &world.people[number as usize - 1];
    world.sandbox.account("acme", person.id(Api::Biot)).unwrap()["boss"].clone()
}

fn id_of(number: u32) -> Value {
    json!({ "id": Person::new(number).id(Api::Biot) })
}

fn held(report: &CycleReport) -> Vec<(&str, HeldReason, bool)> {
    let plan = of(report, "acme").plan.as_ref().unwrap();
    plan.held.iter().map(|held| (held.key.as_str(), held.reason, held.others_go)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_manager_is_referred_to_by_the_id_there_in_the_run_that_first_sees_both() {
    let mut world = company(referring()).await;
    let report = world.night().await;
    assert_eq!((exit_of(&report, "acme"), world.count("acme", "GET")), (0, 4));
    assert_eq!(world.count("acme", "PATCH"), 2);
    assert_eq!((boss_of(&world, 2), boss_of(&world, 3)), (id_of(1), id_of(1)));
    world.rest().await;
    manage(&mut world, 3, "E00004");
    world.night().await;
    assert_eq!(world.sent("acme"), ["PATCH E00003 boss.id"]);
    assert_eq!(boss_of(&world, 3), id_of(4));
    world.rest().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a38_a_manager_who_is_nobody_holds_the_attribute_and_never_clears_it() {
    let mut world = company(referring()).await;
    world.night().await;
    manage(&mut world, 2, "E99999");
    world.change(2, |person| {
        person.set("title", "Chief");
    });
    let report = world.night().await;
    assert_eq!(held(&report), [("E00002", HeldReason::BadReference, true)]);
    assert_eq!(world.sent("acme"), ["PATCH E00002 jobTitle"]);
    assert_eq!(boss_of(&world, 2), id_of(1));
    // Nor does an empty cell, unless the rule says so.
    manage(&mut world, 2, "");
    world.night().await;
    assert_eq!(boss_of(&world, 2), id_of(1));
    world.rest().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_manager_who_was_just_given_an_account_is_referred_to_by_the_next_run() {
    let tenant = referring().linked_by("_email").allow(&["create"]);
    let mut world = company(tenant).await;
    let manager = world.people[0].id(Api::Biot).to_owned();
    assert!(world.sandbox.remove_account("acme", &manager).is_some());
    let report = world.night().await;
    let waits = HeldReason::OpenReference;
    assert_eq!(held(&report), [("E00002", waits, true), ("E00003", waits, true)]);
    assert_eq!((boss_of(&world, 2), world.count("acme", "PATCH")), (Value::Null, 0));
    let report = world.night().await;
    assert_eq!((held(&report), world.count("acme", "PATCH")), (Vec::new(), 2));
    let origins = world.snapshot("acme").origins().unwrap();
    let made = origins.iter().find(|origin| origin.made).unwrap();
    assert_eq!(boss_of(&world, 2), json!({ "id": made.remote_id.as_str() }));
    world.rest().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_account_refers_to_its_manager_from_the_beginning() {
    let tenant = referring().linked_by("_email").allow(&["create"]);
    let mut world = company(tenant).await;
    let joiner = world.people[1].id(Api::Biot).to_owned();
    assert!(world.sandbox.remove_account("acme", &joiner).is_some());
    world.night().await;
    let origins = world.snapshot("acme").origins().unwrap();
    let made = origins.iter().find(|origin| origin.made).unwrap();
    let account = world.sandbox.account("acme", made.remote_id.as_str()).unwrap();
    assert_eq!(account["boss"], id_of(1));
    world.rest().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_manager_with_another_account_is_referred_to_anew_though_no_other_row_has_changed() {
    let mut world = company(referring()).await;
    world.night().await;
    world.rest().await;
    let other = Person::new(99).id(Api::Biot).to_owned();
    let account = world.people[0].account(Api::Biot);
    world.sandbox.set_account("acme", &other, account);
    world.change(1, |person| {
        person.set("uuid", Person::new(99).id(Api::Biot));
    });
    world.night().await;
    world.night().await;
    assert_eq!((boss_of(&world, 2), boss_of(&world, 3)), (id_of(99), id_of(99)));
    world.rest().await;
}
