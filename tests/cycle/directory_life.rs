//! The life of accounts at SCIM directories: found, made, switched off and on again, and deleted.

use crate::{
    company::{Person, Tenant},
    directory::directories,
    world::{World, exit_of, of},
};
use rosterd::{
    cycle::CycleReport,
    model::Fate,
    sandbox::{Api, Fault, Faults, RetryAfterForm, ScimQuirks},
};
use serde_json::{Value, json};

const LAX: &str = "max_update = \"100%\"\nmax_disable = \"100%\"\nmax_key_change = \"100%\"\n\
    max_create = \"100%\"\nmax_attr_change = \"100%\"\nmax_source_shrink = \"100%\"";

const ACTIVE: &str =
    "active = { column = \"status\", true_values = [\"active\"], false_values = [\"leave\"] }\n";

fn unmake(world: &World, number: usize) {
    let id = world.people[number - 1].id(Api::Scim);
    for tenant in &world.tenants {
        assert!(world.sandbox.remove_account(&tenant.name, id).is_some());
    }
}

fn dismiss(world: &mut World, number: usize) -> Person {
    let person = world.people.remove(number - 1);
    world.write_roster();
    person
}

fn take_back(world: &mut World, number: usize, person: &Person) {
    world.people.insert(number - 1, person.clone());
    world.write_roster();
}

fn account(world: &World, tenant: &str, person: &Person) -> Option<Value> {
    world.sandbox.account(tenant, person.id(Api::Scim))
}

fn fates(report: &CycleReport, tenant: &str) -> Vec<Fate> {
    let plan = of(report, tenant).plan.as_ref().unwrap();
    plan.leavers.iter().map(|leaver| leaver.fate).collect()
}

/// What a request that made an account asked for.
fn made(world: &World, tenant: &str) -> Vec<Value> {
    let requests = world.sandbox.requests(tenant);
    let made = requests.into_iter().filter(|seen| seen.method == "POST" && seen.applied);
    made.map(|seen| seen.body).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_joiner_gets_one_account_at_each_directory_and_a_second_run_sends_nothing() {
    let joining = |tenant: Tenant| tenant.linked_by("userName").allow(&["create"]).guards(LAX);
    let tenants = directories().into_iter().map(joining).collect();
    let mut world = World::new(4, tenants).await;
    unmake(&world, 2);
    let report = world.night().await;
    assert_eq!(report.exit().code(), 0, "{report:?}");
    for tenant in &world.tenants {
        let name = &tenant.name;
        // Three are found, and the fourth is looked for before an account is made.
        assert_eq!(world.count(name, "GET"), 4, "{name}: {:?}", world.sent(name));
        assert_eq!(world.count(name, "P"), 1, "{name}: {:?}", world.sent(name));
        let [user] = &made(&world, name)[..] else { panic!("{name}") };
        assert_eq!(user["userName"], "user2@example.org");
        assert_eq!(user["active"], json!(true), "{name}: a resource has flags, not texts");
        assert_eq!(user["emails"][0]["value"], "user2@example.org");
    }
    world.rest().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_made_although_the_answer_was_lost_is_found_again_and_not_made_twice() {
    for fault in [Fault::LostAnswer, Fault::Error500Applied, Fault::LostRequest] {
        let tenant = Tenant::new("strict", Api::Scim).linked_by("userName").guards(LAX);
        let tenant = tenant.allow(&["create"]).faults(Faults::script([(4, fault)]));
        let mut world = World::new(3, vec![tenant.one_by_one()]).await;
        unmake(&world, 2);
        world.night().await;
        world.no_more_faults();
        world.night().await;
        let accounts = world.sandbox.accounts("strict");
        let named = accounts.values().filter(|user| user["userName"] == "user2@example.org");
        assert_eq!(named.count(), 1);
        world.rest().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn users_are_looked_for_by_external_id_and_then_by_name() {
    let mapping = "userName = { column = \"email\" }";
    let both = "externalId = { column = \"employee_id\" }\nuserName = { column = \"email\" }";
    let tenant = Tenant::new("strict", Api::Scim).map(mapping, both);
    let tenant = tenant.linked_by("externalId\", \"userName");
    let mut world = World::new(2, vec![tenant]).await;
    let mut user = world.people[0].account(Api::Scim);
    user["externalId"] = json!("E00001");
    user["userName"] = json!("before@example.org");
    world.sandbox.set_account("strict", world.people[0].id(Api::Scim), user);
    let report = world.night().await;
    assert_eq!(exit_of(&report, "strict"), 0, "{report:?}");
    assert_eq!((world.count("strict", "GET"), world.count("strict", "PATCH")), (3, 2));
    world.assert_in_step();
    world.rest().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leaver_is_switched_off_at_each_directory_and_on_again_when_back() {
    let switching = |tenant: Tenant| tenant.allow(&["disable"]).map(ACTIVE, "").guards(LAX);
    let tenants = directories().into_iter().map(switching).collect();
    let mut world = World::adopted(6, tenants).await;
    let gone = dismiss(&mut world, 3);
    world.night().await;
    let report = world.night().await;
    assert_eq!(report.exit().code(), 0, "{report:?}");
    let is_on = |world: &World, name: &str| account(world, name, &gone).unwrap()["active"].clone();
    for tenant in &world.tenants {
        assert_eq!(is_on(&world, &tenant.name), json!(false), "{}", tenant.name);
        assert_eq!(fates(&report, &tenant.name), [Fate::Disabled]);
    }
    world.rest().await;
    take_back(&mut world, 3, &gone);
    let report = world.night().await;
    assert_eq!(report.exit().code(), 0, "{report:?}");
    for tenant in &world.tenants {
        assert_eq!(is_on(&world, &tenant.name), json!(true), "{}", tenant.name);
        assert_eq!(world.count(&tenant.name, "POST"), 0);
    }
    world.assert_in_step();
    world.rest().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn after_the_time_of_grace_an_account_is_deleted() {
    let tenant = Tenant::new("strict", Api::Scim).allow(&["disable", "delete"]).map(ACTIVE, "");
    let guards = format!("{LAX}\nmax_delete = \"1\"");
    let tenant = tenant.number("grace_days", 2).guards(&guards);
    let mut world = World::adopted(5, vec![tenant]).await;
    let gone = dismiss(&mut world, 5);
    world.night().await;
    for fate in [Fate::Disabled, Fate::Off, Fate::Deleted] {
        let report = world.night().await;
        assert_eq!(fates(&report, "strict"), [fate]);
    }
    assert!(account(&world, "strict", &gone).is_none());
    world.rest().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn where_active_destroys_a_leaver_is_switched_off_only_by_that_word() {
    let quirks = ScimQuirks { no_value_paths: true, ..ScimQuirks::default() };
    let github = |word| {
        let tenant = Tenant::new("github", Api::Scim).scim(quirks.clone(), "preset = \"github\"");
        tenant.map(ACTIVE, "").allow(&[word]).guards(LAX)
    };
    let mut world = World::adopted(5, vec![github("destroy")]).await;
    let gone = dismiss(&mut world, 5);
    world.night().await;
    let report = world.night().await;
    assert_eq!(fates(&report, "github"), [Fate::Disabled], "{report:?}");
    assert_eq!(account(&world, "github", &gone).unwrap()["active"], json!(false));
    world.rest().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_by_cursors_is_read_to_its_end() {
    let quirks = ScimQuirks { cursors: true, ..ScimQuirks::default() };
    let tenant =
        Tenant::new("strict", Api::Scim).scim(quirks, "paging = \"cursor\"\npage_size = 2");
    let mut world = World::new(5, vec![tenant]).await;
    let (report, _) = world.adopt_listed().await;
    assert_eq!((report.exit().code(), world.count("strict", "GET")), (0, 3), "{report:?}");
    world.rest().await;
}

/// A directory where whoever left is switched off the second night, and deleted two nights later.
async fn world_with_grace() -> (World, Person) {
    let tenant = Tenant::new("strict", Api::Scim).allow(&["disable", "delete"]).map(ACTIVE, "");
    let guards = format!("{LAX}\nmax_delete = \"1\"");
    let tenant = tenant.number("grace_days", 2).guards(&guards);
    let mut world = World::adopted(5, vec![tenant]).await;
    let gone = dismiss(&mut world, 5);
    for fate in [Fate::Waits, Fate::Disabled, Fate::Off] {
        assert_eq!(fates(&world.night().await, "strict"), [fate]);
    }
    (world, gone)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_that_somebody_uses_again_is_not_deleted_and_the_time_of_grace_begins_anew() {
    let (mut world, gone) = world_with_grace().await;
    let mut used = account(&world, "strict", &gone).unwrap();
    used["active"] = json!(true);
    world.sandbox.set_account("strict", gone.id(Api::Scim), used);
    for fate in [Fate::Disabled, Fate::Off, Fate::Deleted] {
        assert!(account(&world, "strict", &gone).is_some());
        assert_eq!(fates(&world.night().await, "strict"), [fate]);
    }
    assert!(account(&world, "strict", &gone).is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deletion_that_finds_nobody_is_told_and_looked_after_by_the_next_run() {
    let (mut world, gone) = world_with_grace().await;
    let missing = Fault::TurnedAway { status: 404, retry_after: RetryAfterForm::None };
    world.sandbox.set_faults("strict", Faults::always(missing).only_patches());
    let report = world.night().await;
    assert_eq!(of(&report, "strict").results.gone, 1, "{report:?}");
    world.no_more_faults();
    assert!(account(&world, "strict", &gone).is_some());
    assert_eq!(fates(&world.night().await, "strict"), [Fate::Deleted]);
    assert!(account(&world, "strict", &gone).is_none());
    world.rest().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leaver_whose_account_others_have_deleted_is_looked_for_once() {
    let (mut world, gone) = world_with_grace().await;
    assert!(world.sandbox.remove_account("strict", gone.id(Api::Scim)).is_some());
    assert_eq!(fates(&world.night().await, "strict"), [Fate::Told]);
    assert_eq!(world.count("strict", "GET"), 1);
    assert_eq!(fates(&world.rest().await, "strict"), [Fate::Told]);
}
