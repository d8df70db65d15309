//! Users and values that are held, and people who have left.

use crate::{
    company::{Tenant, roster},
    world::{World, exit_of, of},
};
use rosterd::{
    cycle::CycleReport,
    model::{HeldReason, LeaverReason},
    sandbox::Api,
};

/// A tenant's held users, with the attribute where it is one.
fn held(report: &CycleReport, tenant: &str) -> Vec<(String, HeldReason)> {
    let plan = of(report, tenant).plan.as_ref().unwrap();
    plan.held.iter().map(|held| (held.key.as_str().to_owned(), held.reason)).collect()
}

fn leavers(report: &CycleReport, tenant: &str) -> Vec<(String, LeaverReason)> {
    let plan = of(report, tenant).plan.as_ref().unwrap();
    plan.leavers.iter().map(|leaver| (leaver.key.as_str().to_owned(), leaver.reason)).collect()
}

fn pair<T>(key: &str, reason: T) -> (String, T) {
    (key.to_owned(), reason)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_value_holds_its_user_and_nobody_else() {
    let tenants = ["workiva", "datadog", "scalepad"].map(|name| {
        let tenant = Tenant::new(name, name.parse().unwrap());
        tenant.guards("max_update = \"100%\"\nmax_bad_values = \"50%\"")
    });
    let mut world = World::adopted(5, tenants.into()).await;
    world.marry_all();
    world.change(2, |person| {
        person.set("email", "nobody at example.org");
    });
    let report = world.night().await;
    for tenant in ["workiva", "datadog"] {
        assert_eq!(exit_of(&report, tenant), 4);
        assert_eq!(held(&report, tenant), [pair("E00002", HeldReason::BadValue)]);
        assert_eq!(world.behind(tenant), ["E00002"]);
        assert_eq!(world.count(tenant, "PATCH"), 4);
    }
    // It has no use for the address.
    assert_eq!((exit_of(&report, "scalepad"), world.count("scalepad", "PATCH")), (0, 5));
    assert_eq!(exit_of(&world.rest().await, "workiva"), 4);

    world.change(2, |person| {
        person.set("email", "somebody@example.org");
    });
    assert_eq!(world.night().await.exit().code(), 0);
    world.assert_in_step();
    world.rest().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn inv11_a_row_that_cannot_be_read_is_held_and_proves_nobody_absent() {
    let world = World::adopted(30, vec![Tenant::new("datadog", Api::Datadog)]).await;
    let mut world = world.with_source("on_bad_row = \"hold\"");
    let gone = world.people.pop().unwrap();
    world.people[0].set("title", "Head of Sales");
    let text = roster(&world.people).replace("E00003,Given3,", "E00003,");
    world.write_roster_as(&text);
    let report = world.night().await;
    assert_eq!(world.sent("datadog"), ["PATCH E00001 title"]);
    assert_eq!(leavers(&report, "datadog"), []);
    // Whose row it is cannot be told, so the run as a whole tells of it.
    assert_eq!((held(&report, "datadog"), report.facts.as_ref().unwrap().held), (vec![], 1));
    assert_eq!(report.exit().code(), 4);

    // Where the key can be read, it is held by name, and is no leaver either.
    let mut people = world.people.clone();
    people[4].set("title", "Chief\u{7}");
    world.write_roster_as(&roster(&people));
    let report = world.rest().await;
    assert_eq!(held(&report, "datadog"), [pair("E00005", HeldReason::BadRow)]);
    assert_eq!(leavers(&report, "datadog"), [pair("E00030", LeaverReason::AbsentFromSource)]);
    assert_eq!(report.exit().code(), 4);

    world.people.push(gone);
    world.write_roster();
    assert_eq!(world.rest().await.exit().code(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn leavers_of_every_kind_are_told_and_never_sent() {
    let tenants = vec![
        Tenant::new("plain", Api::Datadog),
        Tenant::new("scoped", Api::Datadog).key("scope", "department != 'Design'"),
    ];
    let source = "[sources.people.leavers]\ncolumn = \"status\"\nvalues = [\"left\"]";
    let mut world = World::adopted(19, tenants).await.with_source(source);
    // One is missing, one is marked, and one moves to where the second tenant does not look.
    world.people.pop();
    world.people[0].set("status", "left").set("title", "Nobody");
    world.people[3].set("department", "Design").set("title", "Designer");
    world.write_roster();
    let report = world.night().await;
    assert_eq!(world.sent("plain"), ["PATCH E00004 title"]);
    assert_eq!(world.sent("scoped"), [""; 0]);
    let plain = [
        pair("E00001", LeaverReason::StatusColumn),
        pair("E00019", LeaverReason::AbsentFromSource),
    ];
    assert_eq!(leavers(&report, "plain"), plain);
    let [marked, missing] = plain;
    let scoped = [marked, pair("E00004", LeaverReason::OutOfScope), missing];
    let told = leavers(&report, "scoped");
    assert!(scoped.iter().all(|leaver| told.contains(leaver)), "{told:?}");
    // Told again the next night, and still only told.
    assert_eq!(leavers(&world.rest().await, "plain").len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_department_holds_that_value_and_the_user_is_not_taken_for_gone() {
    let tenant = Tenant::new("scalepad", Api::Scalepad).one_by_one();
    let mut world = World::adopted(12, vec![tenant]).await;
    for number in 1..=12 {
        world.change(number, |person| {
            person.set("department", "Moonbase");
        });
    }
    // All of them: even a dozen answers of 404 do not look like a wrong address.
    let report = world.night().await;
    let results = &of(&report, "scalepad").results;
    assert_eq!((results.gone, exit_of(&report, "scalepad")), (0, 4), "{report:?}");
    world.change(1, |person| {
        person.set("department", "Design");
    });
    world.night().await;
    world.rest().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_unknown_department_is_told_once_sent_once_and_sent_again_when_it_changes() {
    let mut world = World::adopted(4, vec![Tenant::new("scalepad", Api::Scalepad)]).await;
    world.change(2, |person| {
        person.set("department", "Moonbase");
    });
    world.change(3, |person| {
        person.marry();
    });
    let report = world.night().await;
    let results = &of(&report, "scalepad").results;
    assert_eq!((results.refused, results.settled, results.gone), (1, 1, 0));
    assert_eq!(exit_of(&report, "scalepad"), 4);
    let refused = world.snapshot("scalepad").refused().unwrap();
    assert_eq!(refused.len(), 1);
    assert_eq!((refused[0].key.as_str(), refused[0].path.as_str()), ("E00002", "departments"));
    world.rest().await;

    world.change(2, |person| {
        person.set("department", "Sales");
    });
    assert_eq!(world.night().await.exit().code(), 0);
    assert_eq!(world.sent("scalepad"), ["PATCH E00002 departments"]);
    world.assert_in_step();
    world.rest().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn d12_a_user_who_is_gone_at_the_target_is_held_and_asked_for_each_night() {
    let mut world = World::adopted(8, Tenant::of_each_api()).await;
    world.marry_all();
    let gone = world.people[3].clone();
    let mut accounts = Vec::new();
    for tenant in &world.tenants {
        let account = world.sandbox.remove_account(&tenant.name, gone.id(tenant.api));
        accounts.push((tenant.clone(), account.unwrap()));
    }
    let report = world.night().await;
    for tenant in &report.tenants {
        assert_eq!((tenant.exit().code(), tenant.results.gone), (4, 1), "{tenant:?}");
        assert_eq!(world.behind(tenant.tenant.as_str()), ["E00004"]);
    }
    world.come_back_after(1);
    let report = world.rest().await;
    assert_eq!(report.exit().code(), 4);
    assert_eq!(held(&report, "biot"), [pair("E00004", HeldReason::Gone)]);

    // The next night asks once, and says the same.
    world.come_back_after(24);
    let report = world.night().await;
    assert_eq!(exit_of(&report, "datadog"), 4);
    assert_eq!(world.sent("datadog"), ["GET E00004"]);
    assert_eq!(held(&report, "datadog"), [pair("E00004", HeldReason::Gone)]);

    // Back again: the night after that finds out.
    for (tenant, account) in accounts {
        world.sandbox.set_account(&tenant.name, gone.id(tenant.api), account);
    }
    assert_eq!(world.night().await.exit().code(), 0);
    world.assert_in_step();
    world.rest().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_people_with_one_account_are_both_held_until_it_is_clear_whose_it_is() {
    let mut world = World::adopted(4, vec![Tenant::new("datadog", Api::Datadog)]).await;
    let own = world.people[1].get("uuid").to_owned();
    let taken = world.people[2].get("uuid").to_owned();
    world.change(2, |person| {
        person.set("uuid", &taken).set("title", "Engineer II");
    });
    let report = world.rest().await;
    assert_eq!(held(&report, "datadog")[0], pair("E00002", HeldReason::SharedRemoteId));
    assert_eq!(exit_of(&report, "datadog"), 4);
    world.change(2, |person| {
        person.set("uuid", &own);
    });
    world.night().await;
    world.assert_in_step();
    world.rest().await;
}
