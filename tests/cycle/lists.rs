//! Importing a target's own list of all users.

use crate::{
    company::{Person, Tenant},
    world::{World, exit_of, of},
};
use rosterd::{
    cycle::{CycleReport, Listed, TenantEnd, Whom},
    model::{HeldReason, TenantId},
    sandbox::{Api, Fault, Faults, Lie, RetryAfterForm},
    sender::Ended,
};
use serde_json::{Value, json};
use std::collections::BTreeSet;

const LISTING: [Api; 4] = [Api::Workiva, Api::Biot, Api::Scalepad, Api::Datadog];

fn listing() -> Vec<Tenant> {
    LISTING.map(|api| Tenant::new(api.name(), api)).into()
}

fn acme(api: Api) -> Vec<Tenant> {
    vec![Tenant::new("acme", api)]
}

fn id_of(tenant: &str) -> TenantId {
    TenantId::parse(tenant).unwrap()
}

/// Why nothing of a list was taken.
fn refusal(end: &TenantEnd) -> &str {
    match end {
        TenantEnd::Early(Ended::Broken { why }) => why,
        end => panic!("{end:?}"),
    }
}

#[tokio::test]
async fn what_a_target_lists_is_known_and_the_next_run_sends_exactly_the_differences() {
    let mut world = World::new(250, listing()).await;
    for number in [3, 120, 250] {
        world.change(number, |person| _ = person.marry());
    }
    let (report, listed) = world.adopt_listed().await;
    assert_eq!(report.exit().code(), 0, "{report:?}");
    for (tenant, pages) in [("workiva", 1), ("biot", 3), ("scalepad", 1), ("datadog", 3)] {
        let all = Listed { entries: 250, pages, known: 250, news: 250, ..Listed::default() };
        assert_eq!(listed[&id_of(tenant)], all, "{tenant}");
        assert_eq!(world.sent(tenant).len(), pages as usize, "{tenant}: a request a page");
    }
    world.night().await;
    for tenant in LISTING.map(Api::name) {
        let sent = world.sent(tenant);
        assert_eq!(sent.len(), 3, "{tenant}: {sent:?}");
        assert!(sent.iter().all(|request| request.starts_with("PATCH ")), "{sent:?}");
    }
    world.assert_in_step();
    world.rest().await;
}

#[tokio::test]
async fn a_hundred_thousand_reads_are_a_thousand_pages_at_most() {
    let world = World::new(1000, acme(Api::Datadog)).await;
    let mut world = world;
    let (_, listed) = world.adopt_listed().await;
    assert_eq!(listed[&id_of("acme")].pages, 10);
    world.rest().await;
}

#[tokio::test]
async fn who_is_not_listed_stays_unknown_and_is_read_before_anything_is_sent() {
    let mut world = World::new(6, acme(Api::Datadog)).await;
    let account = world.sandbox.remove_account("acme", world.people[1].id(Api::Datadog)).unwrap();
    let (report, listed) = world.adopt_listed().await;
    assert_eq!(report.exit().code(), 0);
    let listed = &listed[&id_of("acme")];
    assert_eq!((listed.known, listed.unlisted, listed.unmanaged), (5, 1, 0));
    assert_eq!(world.snapshot("acme").users().unwrap(), 5, "not even gone");
    world.sandbox.set_account("acme", world.people[1].id(Api::Datadog), account);
    world.night().await;
    assert_eq!(world.sent("acme"), ["GET E00002"]);
    world.rest().await;
}

#[tokio::test]
async fn an_empty_list_is_proof_of_nothing() {
    let mut world = World::adopted(4, acme(Api::Datadog)).await;
    let ids: Vec<String> =
        world.people.iter().map(|person| person.id(Api::Datadog).to_owned()).collect();
    let accounts: Vec<_> =
        ids.iter().map(|id| world.sandbox.remove_account("acme", id).unwrap()).collect();
    let (_, listed) = world.adopt_listed().await;
    let Listed { entries, known, unlisted, .. } = listed[&id_of("acme")];
    assert_eq!((entries, known, unlisted), (0, 0, 4));
    for (id, account) in ids.iter().zip(accounts) {
        world.sandbox.set_account("acme", id, account);
    }
    world.rest().await;
}

#[tokio::test]
async fn whom_nobody_in_the_roster_has_is_counted_and_never_touched() {
    let mut world = World::new(3, acme(Api::Workiva)).await;
    world.sandbox.set_account("acme", "V0Guest", json!({ "givenName": "Guest" }));
    world.sandbox.set_account("acme", "me", json!({ "givenName": "Me" }));
    let (_, listed) = world.adopt_listed().await;
    assert_eq!(listed[&id_of("acme")].unmanaged, 2);
    world.rest().await;
    assert_eq!(world.sandbox.account("acme", "V0Guest").unwrap()["givenName"], "Guest");
}

#[tokio::test]
async fn what_is_known_already_is_brought_up_to_what_the_list_shows() {
    let mut world = World::adopted(5, acme(Api::Datadog)).await;
    world.rest().await;
    let uuid = world.people[2].id(Api::Datadog).to_owned();
    let mut account = world.sandbox.account("acme", &uuid).unwrap();
    account["title"] = json!("CTO");
    world.sandbox.set_account("acme", &uuid, account);
    let (_, listed) = world.adopt_listed().await;
    assert_eq!((listed[&id_of("acme")].known, listed[&id_of("acme")].news), (5, 1));
    world.night().await;
    assert_eq!(world.sent("acme"), ["PATCH E00003 title"]);
    world.rest().await;
}

#[tokio::test]
async fn a_uuid_is_found_in_whatever_capitals_the_roster_has_it() {
    let mut world = World::new(2, acme(Api::Biot)).await;
    let upper = world.people[0].get("uuid").to_uppercase();
    world.change(1, |person| _ = person.set("uuid", &upper));
    let (_, listed) = world.adopt_listed().await;
    assert_eq!((listed[&id_of("acme")].known, listed[&id_of("acme")].unmanaged), (2, 0));
}

#[tokio::test]
async fn b01_b03_b10_b14_a_list_that_is_not_to_be_believed_is_refused_and_nothing_of_it_is_known() {
    let elsewhere = Lie::Elsewhere("https://evil.example/acme".to_owned());
    for (api, lie, told, requests) in [
        (Api::Scalepad, Lie::Loop, "leads back to a page", 2),
        (Api::Workiva, Lie::Loop, "leads back to a page", 2),
        (Api::Workiva, elsewhere, "page 1 is not to be believed (next_link_elsewhere)", 1),
        (Api::Scalepad, Lie::Total, "says that it has 13, and so it did the second time", 6),
        (Api::Scalepad, Lie::Twice, "shows a user twice", 4),
        (Api::Biot, Lie::Total, "page 1 is not to be believed (other_page)", 1),
        (Api::Datadog, Lie::Gap, "says that it has 12", 4),
    ] {
        let mut world = paged_world(api).await;
        world.sandbox.set_lie("acme", Some(lie.clone()));
        let (report, listed) = world.adopt_listed().await;
        let why = refusal(&of(&report, "acme").end);
        assert!(why.contains(told), "{api} {lie:?}: {why}");
        assert_eq!(exit_of(&report, "acme"), 1);
        assert!(listed.is_empty());
        assert_eq!(world.sandbox.requests("acme").len(), requests, "{api} {lie:?}");
        assert_eq!(world.snapshot("acme").users().unwrap(), 0, "{api} {lie:?}");
    }
}

/// Twelve people, five on a page.
async fn paged_world(api: Api) -> World {
    let mut world = World::new(12, acme(api)).await;
    let mut practice = world.tenants[0].practice(&world.people);
    practice.page_max = Some(5);
    world.serve(practice).await;
    world
}

#[tokio::test]
async fn b13_an_empty_page_in_the_middle_ends_nothing() {
    let mut world = paged_world(Api::Workiva).await;
    world.sandbox.set_lie("acme", Some(Lie::Gap));
    let (_, listed) = world.adopt_listed().await;
    assert_eq!((listed[&id_of("acme")].known, listed[&id_of("acme")].pages), (12, 5));
}

#[tokio::test]
async fn b02_b05_b15_a_page_that_fails_is_asked_for_again_and_the_list_goes_on_from_there() {
    let mut world = paged_world(Api::Scalepad).await;
    let retry_after = RetryAfterForm::Seconds(1);
    let faults = [
        (1, Fault::Error500NotApplied),
        (3, Fault::Throttle { retry_after }),
        (5, Fault::CutBody),
        (6, Fault::LostAnswer),
    ];
    world.sandbox.set_faults("acme", Faults::script(faults));
    let (report, listed) = world.adopt_listed().await;
    assert_eq!(report.exit().code(), 0, "{report:?}");
    assert_eq!((listed[&id_of("acme")].known, listed[&id_of("acme")].pages), (12, 3));
    assert_eq!(world.sandbox.requests("acme").len(), 3 + 4);
    world.no_more_faults();
    world.rest().await;
}

#[tokio::test]
async fn b02_a_page_that_does_not_come_gives_up_the_whole_list() {
    let mut world = paged_world(Api::Datadog).await;
    let fails = (2..=5).map(|request| (request, Fault::Error500NotApplied));
    world.sandbox.set_faults("acme", Faults::script(fails));
    let (report, listed) = world.adopt_listed().await;
    let why = refusal(&of(&report, "acme").end);
    assert_eq!(why, "the list of users is refused: page 2 did not come: status 500");
    assert!(listed.is_empty());
    assert_eq!(world.snapshot("acme").users().unwrap(), 0, "the first page is not used");
}

#[tokio::test]
async fn refused_credentials_end_it() {
    let mut world = paged_world(Api::Datadog).await;
    world.sandbox.set_faults("acme", Faults::always(Fault::Unauthorized));
    let (report, _) = world.adopt_listed().await;
    assert_eq!(of(&report, "acme").end, TenantEnd::Early(Ended::Unauthorized));
}

#[tokio::test]
async fn a_target_without_a_list_says_so_and_asks_for_nothing() {
    let old = Tenant::new("old", Api::Workiva).api_version("2022-01-01");
    let mut world = World::new(2, vec![Tenant::new("kare", Api::Kare), old]).await;
    let (report, listed) = world.adopt_listed().await;
    assert!(listed.is_empty());
    for (tenant, told) in
        [("kare", "KARE publishes neither"), ("old", "api_version = \"2026-01-01\"")]
    {
        assert!(refusal(&of(&report, tenant).end).contains(told));
        assert_eq!(world.sent(tenant), [""; 0]);
    }
}

#[tokio::test]
async fn two_rows_with_one_id_are_held_and_neither_is_known() {
    let mut world = World::new(4, acme(Api::Datadog)).await;
    let uuid = world.people[0].get("uuid").to_owned();
    world.change(2, |person| _ = person.set("uuid", &uuid));
    let (report, listed) = world.adopt_listed().await;
    assert_eq!(exit_of(&report, "acme"), 4);
    assert_eq!((listed[&id_of("acme")].known, listed[&id_of("acme")].unmanaged), (2, 1));
    let held = &of(&report, "acme").plan.as_ref().unwrap().held;
    let held: BTreeSet<&str> = held.iter().map(|held| held.key.as_str()).collect();
    assert_eq!(held, ["E00001", "E00002"].into());
}

#[tokio::test]
async fn pages_count_within_the_quota_of_the_run_that_follows() {
    let world = World::new(3, vec![Tenant::new("acme", Api::Datadog).key("quota", "10/10s")]).await;
    let mut world = world;
    world.adopt_listed().await;
    let since = "2026-03-02T00:00:00Z".parse().unwrap();
    assert_eq!(world.snapshot("acme").sends_since(since).unwrap().len(), 1);
    let (_, found) = world.compare(&Whom::Everybody).await;
    assert!(found[&id_of("acme")].by_list);
    assert_eq!(world.snapshot("acme").sends_since(since).unwrap().len(), 2);
}

/// Users of whom the roster names no id.
fn linked_world() -> Vec<Tenant> {
    vec![Tenant::new("acme", Api::Datadog).linked_by("userName")]
}

#[tokio::test]
async fn users_without_an_id_are_found_in_the_list_by_what_they_are_linked_by() {
    let mut world = World::new(120, linked_world()).await;
    world.change(5, |person| _ = person.set("email", "USER5@Example.org"));
    world.change(7, |person| _ = person.set("title", "Director"));
    let (report, listed) = world.adopt_listed().await;
    assert_eq!(report.exit().code(), 0, "{report:?}");
    let listed = &listed[&id_of("acme")];
    assert_eq!((listed.known, listed.linked, listed.unlisted, listed.unmanaged), (120, 120, 0, 0));
    assert_eq!(world.sent("acme").len(), 2);
    let origins = world.snapshot("acme").origins().unwrap();
    assert_eq!(origins.len(), 120);
    assert!(origins.iter().all(|o| o.by.as_ref().is_some_and(|by| by.as_str() == "userName")));
    world.night().await;
    let patched = world.sent("acme");
    assert_eq!(patched.last().unwrap(), "PATCH E00007 title", "{patched:?}");
    assert_eq!(world.count("acme", "GET"), 0, "nobody has to be looked for any more");
    world.rest().await;
    let (_, listed) = world.adopt_listed().await;
    assert_eq!((listed[&id_of("acme")].known, listed[&id_of("acme")].linked), (120, 0));
    assert_eq!(listed[&id_of("acme")].news, 0);
    world.rest().await;
}

/// Who is held, and why.
fn held(report: &CycleReport) -> Vec<(String, HeldReason)> {
    let held = &of(report, "acme").plan.as_ref().unwrap().held;
    held.iter().map(|held| (held.key.as_str().to_owned(), held.reason)).collect()
}

#[tokio::test]
async fn who_answers_to_several_or_is_anothers_already_is_held_by_a_list_as_by_a_look_up() {
    let mut world = World::new(6, linked_world()).await;
    // Two rows with the name of one account, a row whose name no account has, and two accounts with
    // one name.
    world.change(2, |person| _ = person.set("email", "user1@example.org"));
    world.change(4, |person| _ = person.set("email", "nobody@example.org"));
    let mut twin = world.sandbox.account("acme", world.people[4].id(Api::Datadog)).unwrap();
    let id = "aaaaaaaa-0000-4000-8000-000000000005";
    twin["id"] = json!(id);
    world.sandbox.set_account("acme", id, twin);
    let (report, listed) = world.adopt_listed().await;
    assert_eq!(exit_of(&report, "acme"), 4);
    let listed = &listed[&id_of("acme")];
    assert_eq!((listed.known, listed.linked, listed.unlisted), (2, 2, 1));
    assert_eq!(listed.unmanaged, 5, "the accounts of 1, 2, 4 and both of 5 are nobody's so far");
    assert_eq!(world.snapshot("acme").users().unwrap(), 2);
    let expected = [
        ("E00001", HeldReason::SharedRemoteId),
        ("E00002", HeldReason::SharedRemoteId),
        ("E00005", HeldReason::Ambiguous),
    ];
    let expected = expected.map(|(key, reason)| (key.to_owned(), reason));
    assert_eq!(held(&report), expected);
    let plan = of(&report, "acme").plan.as_ref().unwrap();
    assert_eq!((plan.users, plan.unchanged), (6, 3));
    let night = held(&world.night().await);
    assert!(expected.iter().all(|held| night.contains(held)), "{night:?}");
}

#[tokio::test]
async fn an_account_that_another_row_names_is_not_linked_by_its_name_nor_by_the_next_best() {
    let mut world = World::new(3, linked_world()).await;
    world.adopt_listed().await;
    // Somebody new goes by the name of somebody who is known.
    world.change(3, |person| _ = person.set("email", "user1@example.org"));
    world.change(3, |person| _ = person.set("employee_id", "E00009"));
    let (report, listed) = world.adopt_listed().await;
    let listed = &listed[&id_of("acme")];
    assert_eq!((listed.linked, listed.unmanaged), (0, 0), "{listed:?}");
    assert_eq!(held(&report), [("E00009".to_owned(), HeldReason::SharedRemoteId)]);
}

#[tokio::test]
async fn the_roster_is_taken_for_the_truth_also_where_earlier_runs_learnt_of_nobody() {
    let tenants = vec![Tenant::new("acme", Api::Datadog), Tenant::new("kare", Api::Kare)];
    let mut world = World::new(5, tenants).await;
    for tenant in ["acme", "kare"] {
        world.sandbox.set_faults(tenant, Faults::always(Fault::Unauthorized));
    }
    world.night().await;
    world.adopt_listed().await;
    world.compare(&Whom::Sample(5)).await;
    assert_eq!(world.snapshot("acme").users().unwrap(), 0);
    world.no_more_faults();
    world.adopt();
    assert_eq!(world.snapshot("acme").users().unwrap(), 5);
    world.rest().await;
    world.adopt();
    world.rest().await;
}

/// `BioT`, where an attribute refers to the manager, who is the first of the company.
async fn referring_world() -> World {
    let boss = "boss = { column = \"manager_id\", reference = true }\njobTitle = {";
    let mut world =
        World::new(4, vec![Tenant::new("acme", Api::Biot).map("jobTitle = {", boss)]).await;
    for number in [2, 3] {
        world.change(number, |person| _ = person.set("manager_id", "E00001"));
    }
    world
}

fn boss_of(world: &World, number: usize) -> Value {
    let id = world.people[number - 1].id(Api::Biot);
    world.sandbox.account("acme", id).unwrap()["boss"]["id"].clone()
}

#[tokio::test]
async fn references_are_made_good_after_a_list_whoever_of_both_it_made_known() {
    let mut world = referring_world().await;
    let (_, listed) = world.adopt_listed().await;
    assert_eq!(listed[&id_of("acme")].known, 4);
    world.night().await;
    assert_eq!((world.count("acme", "GET"), world.count("acme", "PATCH")), (0, 2));
    assert_eq!(boss_of(&world, 2), world.people[0].id(Api::Biot));
    world.rest().await;
    let (_, listed) = world.adopt_listed().await;
    assert_eq!(listed[&id_of("acme")].news, 0, "and are compared as they are wished");
    world.rest().await;
    // The manager has another account.
    let id = Person::new(99).id(Api::Biot).to_owned();
    world.sandbox.set_account("acme", &id, world.people[0].account(Api::Biot));
    world.change(1, |person| _ = person.set("uuid", &id));
    let (_, listed) = world.adopt_listed().await;
    assert_eq!((listed[&id_of("acme")].known, listed[&id_of("acme")].news), (4, 1));
    world.night().await;
    assert_eq!(world.count("acme", "PATCH"), 2);
    assert_eq!([boss_of(&world, 2), boss_of(&world, 3)], [id.as_str(), id.as_str()]);
    world.rest().await;
    // Somebody sets another one by hand.
    let second = world.people[1].id(Api::Biot).to_owned();
    let mut account = world.sandbox.account("acme", &second).unwrap();
    account["boss"] = json!({ "id": second });
    world.sandbox.set_account("acme", &second, account);
    let (_, found) = world.compare(&Whom::Everybody).await;
    assert_eq!(found[&id_of("acme")].changed(), 1);
    world.night().await;
    assert_eq!(world.sent("acme"), ["PATCH E00002 boss.id"]);
}
