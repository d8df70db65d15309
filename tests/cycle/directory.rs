//! Nights at SCIM directories, each with ways of its own.

use crate::{
    company::Tenant,
    world::{World, of},
};
use rosterd::sandbox::{Api, Fault, ScimQuirks};
use serde_json::json;

/// A directory for each way of speaking to one, with the lines that say so.
pub(crate) fn directories() -> Vec<Tenant> {
    let strict = ScimQuirks::default;
    let ways = [
        ("strict", strict(), ""),
        ("silent", ScimQuirks { no_content: true, ..strict() }, ""),
        ("whole", ScimQuirks { only_put: true, ..strict() }, "method = \"put\""),
        ("versions", ScimQuirks { etag: true, ..strict() }, "etag = true"),
        ("lists", ScimQuirks { no_value_paths: true, ..strict() }, "value_paths = false"),
        ("pathless", ScimQuirks { no_paths: true, ..strict() }, "preset = \"okta\""),
        ("entra", ScimQuirks { like_entra: true, ..strict() }, "preset = \"entra\""),
        (
            "aws",
            ScimQuirks { one_operation_per_attribute: true, only_json: true, ..strict() },
            "preset = \"aws\"\nmedia_type = \"application/json\"",
        ),
    ];
    ways.map(|(name, quirks, lines)| {
        let tenant = Tenant::new(name, Api::Scim).scim(quirks, lines);
        // Nothing can be unset by an operation that has no path.
        if name == "pathless" {
            tenant.map("title = { column = \"title\", on_empty = \"clear\" }", "")
        } else {
            tenant
        }
    })
    .into()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_directory_is_in_step_after_a_night_and_a_second_run_sends_nothing() {
    let mut world = World::adopted(6, directories()).await;
    world.marry_all();
    for (number, column, text) in [
        (1, "status", "leave"),
        (2, "email", "other@example.org"),
        (3, "department", "Moonbase"),
        (4, "given_name", "Zoë \"Z\" \\ O'Neill"),
    ] {
        world.change(number, |person| {
            person.set(column, text);
        });
    }
    let report = world.night().await;
    assert_eq!(report.exit().code(), 0, "{report:?}");
    world.assert_in_step();
    world.rest().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_of_which_nothing_is_known_is_read_and_then_changed() {
    let mut world = World::new(3, directories()).await;
    world.marry_all();
    let report = world.night().await;
    assert_eq!(report.exit().code(), 0, "{report:?}");
    assert_eq!(world.count("strict", "GET"), 3);
    assert_eq!(world.count("strict", "PATCH"), 3);
    world.assert_in_step();
    world.rest().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_changes_is_sent_and_read_only_where_the_directory_wants_it() {
    let mut world = World::adopted(2, directories()).await;
    world.change(1, |person| {
        person.set("title", "Chief");
    });
    world.night().await;
    for name in ["strict", "entra", "aws", "lists"] {
        assert_eq!(world.sent(name), ["PATCH E00001 title"], "{name}");
    }
    // 204 shows nothing, so the user is looked at; a version is known from a look.
    for name in ["silent", "versions"] {
        assert_eq!(world.sent(name), ["GET E00001", "PATCH E00001 title"], "{name}");
    }
    assert_eq!((world.count("whole", "GET"), world.count("whole", "PUT")), (1, 1));
    world.rest().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_became_empty_is_removed() {
    let tenants = directories().into_iter().filter(|tenant| tenant.name != "pathless").collect();
    let mut world = World::adopted(2, tenants).await;
    world.change(1, |person| {
        person.set("title", "");
    });
    world.night().await;
    for tenant in &world.tenants {
        let account = world.sandbox.account(&tenant.name, world.people[0].id(Api::Scim)).unwrap();
        assert!(account.get("title").is_none(), "{}", tenant.name);
    }
    world.rest().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_address_of_its_kind_joins_those_that_are_there() {
    let mut world = World::new(1, vec![Tenant::new("strict", Api::Scim)]).await;
    let mut account = world.people[0].account(Api::Scim);
    account["emails"] = json!([{ "type": "home", "value": "me@example.net", "display": "Me" }]);
    world.sandbox.set_account("strict", world.people[0].id(Api::Scim), account);
    world.night().await;
    let account = world.sandbox.account("strict", world.people[0].id(Api::Scim)).unwrap();
    assert_eq!(
        account["emails"],
        json!([
            { "type": "home", "value": "me@example.net", "display": "Me" },
            { "type": "work", "value": "user1@example.org" },
        ])
    );
    world.rest().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn d38_a_user_that_changed_between_the_look_and_the_change_is_looked_at_again() {
    let quirks = ScimQuirks { etag: true, ..ScimQuirks::default() };
    for fault in [Fault::Conflict, Fault::LostAnswer, Fault::LostRequest] {
        let tenant = Tenant::new("versions", Api::Scim).scim(quirks.clone(), "etag = true");
        let mut world = World::adopted(1, vec![tenant.once(fault)]).await;
        world.marry_all();
        let report = world.night().await;
        assert_eq!(report.exit().code(), 0, "{report:?}");
        assert_eq!(of(&report, "versions").results.settled, 1);
        world.assert_in_step();
        world.calm().await;
    }
}
