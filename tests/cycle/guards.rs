//! Limits on a whole plan.

use crate::{
    company::{Person, Tenant, roster},
    world::{World, exit_of, of},
};
use rosterd::{cycle::TenantEnd, sandbox::Api};

fn tripped(report: &rosterd::cycle::CycleReport, tenant: &str) -> Vec<String> {
    let plan = of(report, tenant).plan.as_ref().unwrap();
    plan.guards.iter().map(|guard| guard.key.clone()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn f03_a_plan_above_max_update_sends_nothing_and_the_other_tenants_go_on() {
    let tenants = vec![
        Tenant::new("strict", Api::Datadog).guards("max_update = \"30%\""),
        Tenant::new("lax", Api::Datadog),
    ];
    let mut world = World::adopted(10, tenants).await;
    for number in 1..=4 {
        world.change(number, |person| {
            person.marry();
        });
    }
    let report = world.night().await;
    assert_eq!(of(&report, "strict").end, TenantEnd::Guarded);
    assert_eq!((exit_of(&report, "strict"), exit_of(&report, "lax")), (3, 0));
    assert_eq!(tripped(&report, "strict"), ["tenants.strict.guards.max_update"]);
    assert_eq!(world.sent("strict"), [""; 0]);
    assert_eq!((world.count("lax", "PATCH"), world.behind("lax").len()), (4, 0));

    // It stays held until a person raises the limit.
    assert_eq!(exit_of(&world.rest().await, "strict"), 3);
    world.change_tenant("strict", |tenant| tenant.guards("max_update = \"40%\""));
    assert_eq!(exit_of(&world.night().await, "strict"), 0);
    world.assert_in_step();
    world.rest().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn f03_a_source_that_shrank_holds_the_changes_of_those_who_are_left() {
    let tenants = vec![
        Tenant::new("strict", Api::Datadog),
        Tenant::new("lax", Api::Datadog)
            .guards("max_update = \"100%\"\nmax_source_shrink = \"50%\""),
    ];
    let mut world = World::adopted(20, tenants).await;
    world.people.truncate(17);
    world.people[0].set("title", "Head of Sales");
    world.write_roster();
    let report = world.night().await;
    assert_eq!(tripped(&report, "strict"), ["tenants.strict.guards.max_source_shrink"]);
    assert_eq!((exit_of(&report, "strict"), exit_of(&report, "lax")), (3, 0));
    assert_eq!(world.sent("strict"), [""; 0]);
    assert_eq!(world.sent("lax"), ["PATCH E00001 title"]);
    // A held night is no measure for the next one.
    assert_eq!(exit_of(&world.rest().await, "strict"), 3);

    world.people.extend((18..=20).map(Person::new));
    world.write_roster();
    assert_eq!(exit_of(&world.night().await, "strict"), 0);
    world.assert_in_step();
    world.rest().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn f03_a_column_that_empties_out_trips_the_guard_of_the_target_that_would_clear_it() {
    let tenants = vec![
        Tenant::new("scalepad", Api::Scalepad),
        Tenant::new("datadog", Api::Datadog),
        Tenant::new("kare", Api::Kare),
    ];
    let mut world = World::adopted(20, tenants).await;
    for number in 1..=3 {
        world.change(number, |person| {
            person.set("department", "");
        });
    }
    world.change(9, |person| {
        person.set("title", "Head of Sales");
    });
    let report = world.night().await;
    assert_eq!(tripped(&report, "scalepad"), ["tenants.scalepad.guards.max_attr_clear"]);
    assert_eq!((exit_of(&report, "scalepad"), report.exit().code()), (3, 3));
    assert_eq!(world.sent("scalepad"), [""; 0]);
    assert_eq!(world.sent("datadog"), ["PATCH E00009 title"]);
    // An empty cell says nothing where the mapping does not say `clear`.
    assert_eq!(world.sent("kare"), [""; 0]);

    world.change(2, |person| {
        person.set("department", "Design");
    });
    let report = world.night().await;
    assert_eq!(exit_of(&report, "scalepad"), 0, "{report:?}");
    assert_eq!(world.count("scalepad", "PATCH"), 2, "two of twenty may be emptied");
    assert!(world.behind("scalepad").is_empty());
    world.rest().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_without_rows_is_refused_and_changes_nothing() {
    let mut world = World::adopted(4, Tenant::of_each_api()).await;
    let people = std::mem::take(&mut world.people);
    world.write_roster();
    let report = world.rest().await;
    assert_eq!(report.exit().code(), 65);
    assert!(report.tenants.iter().all(|tenant| tenant.end == TenantEnd::SourceRefused));

    // Allowed by name, it is still a source that shrank.
    let mut world = world.with_source("allow_empty = true");
    let report = world.rest().await;
    assert_eq!(report.exit().code(), 3);
    assert_eq!(tripped(&report, "kare"), ["tenants.kare.guards.max_source_shrink"]);

    world.people = people;
    world.write_roster();
    assert_eq!(world.rest().await.exit().code(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn inv11_a_damaged_file_is_refused_as_a_whole_and_nobody_is_a_leaver() {
    let mut world = World::adopted(6, Tenant::of_each_api()).await;
    world.people[0].set("title", "Head of Sales");
    let text = roster(&world.people);
    let cut = text.len() - 40;
    for damaged in [text[..cut].to_owned(), text.replace("E00004", ""), String::new()] {
        world.write_roster_as(&damaged);
        let report = world.rest().await;
        assert_eq!(report.exit().code(), 65);
        assert!(report.tenants.iter().all(|tenant| tenant.plan.is_none()));
    }
    world.write_roster();
    assert_eq!(world.night().await.exit().code(), 0);
    world.assert_in_step();
    world.rest().await;
}
