//! Nothing to do, almost nothing to do, and the first night.

use crate::{
    company::{Tenant, shuffled_roster},
    world::{World, exit_of},
};
use rosterd::sandbox::Api;
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn of_ten_thousand_users_one_changed_title_is_one_patch_where_it_is_mapped() {
    let mut world = World::adopted(10_000, Tenant::of_each_api()).await;
    world.rest().await;
    world.change(7_654, |person| {
        person.set("title", "Head of Engineering");
    });

    let report = world.night().await;
    assert_eq!(report.exit().code(), 0);
    assert_eq!(world.sent("datadog"), ["PATCH E07654 title"]);
    assert_eq!(world.sent("biot"), ["PATCH E07654 jobTitle"]);
    for other in ["workiva", "scalepad", "kare"] {
        assert_eq!(world.sent(other), [""; 0]);
    }
    let operations = |tenant: &str| world.sandbox.requests(tenant)[0].operations;
    assert_eq!((operations("datadog"), operations("biot")), (1, 1));
    world.assert_in_step();

    world.write_roster_as(&shuffled_roster(&world.people, 5));
    world.rest().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_night_reads_everybody_once_and_patches_only_what_differs() {
    let mut world = World::new(12, Tenant::of_each_api()).await;
    let (ann, bob) = (world.people[2].clone(), world.people[8].clone());
    let mut account = ann.account(Api::Datadog);
    account["title"] = json!("Intern");
    world.sandbox.set_account("datadog", ann.id(Api::Datadog), account);
    let mut account = bob.account(Api::Biot);
    account["_name"]["lastName"] = json!("Maiden");
    account["jobTitle"] = json!("Intern");
    world.sandbox.set_account("biot", bob.id(Api::Biot), account);

    let report = world.night().await;
    assert_eq!(report.exit().code(), 0);
    for tenant in Api::ALL.map(Api::name) {
        let sent = world.sent(tenant);
        let reads: Vec<String> =
            world.people.iter().map(|person| format!("GET {}", person.key())).collect();
        assert_eq!(sent[..12], reads, "{tenant}");
    }
    assert_eq!(world.sent("datadog")[12..], ["PATCH E00003 title"]);
    // The names travel together, and nothing else of the account does.
    let names = "PATCH E00009 _name.firstName _name.lastName jobTitle";
    assert_eq!(world.sent("biot")[12..], [names]);
    assert_eq!(world.count("workiva", "PATCH"), 0);
    world.assert_in_step();
    world.rest().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_joiner_is_read_before_anything_is_sent_and_nobody_else_is() {
    let mut world = World::adopted(5, Tenant::of_each_api()).await;
    let mut joiner = crate::company::Person::new(6);
    for tenant in &world.tenants {
        world.sandbox.set_account(&tenant.name, joiner.id(tenant.api), joiner.account(tenant.api));
    }
    joiner.set("title", "Engineer II");
    world.people.push(joiner);
    world.write_roster();

    let report = world.night().await;
    assert_eq!(world.sent("datadog"), ["GET E00006", "PATCH E00006 title"]);
    assert_eq!(world.sent("kare"), ["GET E00006"]);
    assert_eq!(exit_of(&report, "datadog"), 0);
    world.assert_in_step();
    world.rest().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_value_that_goes_and_comes_back_is_sent_both_times() {
    let mut world = World::adopted(3, vec![Tenant::new("datadog", Api::Datadog)]).await;
    for title in ["Engineer II", "Engineer", "Engineer II"] {
        world.change(2, |person| {
            person.set("title", title);
        });
        world.night().await;
        assert_eq!(world.sent("datadog"), ["PATCH E00002 title"]);
        world.assert_in_step();
    }
    world.rest().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_preview_shows_what_the_night_then_sends_and_sends_nothing() {
    let mut world = World::adopted(6, Tenant::of_each_api()).await;
    world.marry_all();
    let preview = world.preview();
    let again = world.preview();
    for tenant in Api::ALL.map(Api::name) {
        assert_eq!(world.sent(tenant), [""; 0]);
    }
    let report = world.night().await;
    for ((planned, again), sent) in preview.tenants.iter().zip(&again.tenants).zip(&report.tenants)
    {
        assert_eq!(planned.digest, sent.digest);
        assert_eq!(planned.digest, again.digest);
        assert_eq!(world.count(sent.tenant.as_str(), "PATCH"), 6);
    }
    world.assert_in_step();
    world.rest().await;
}
