//! Limits on a whole plan.

use crate::{
    company::{LAX, Person, Tenant, roster},
    world::{World, exit_of, of},
};
use jiff::ToSpan;
use rosterd::{
    cycle::{CycleReport, TenantEnd},
    model::HeldReason,
    sandbox::{Api, Fault, Faults},
};

pub(crate) fn tripped(report: &CycleReport, tenant: &str) -> Vec<String> {
    let plan = of(report, tenant).plan.as_ref().unwrap();
    plan.guards.iter().map(|guard| guard.key.clone()).collect()
}

/// What the guards of `acme` counted, each with its name.
fn figures(report: &CycleReport) -> Vec<(&'static str, String)> {
    let plan = of(report, "acme").plan.as_ref().unwrap();
    plan.guards.iter().map(|guard| (guard.guard, guard.figure.clone())).collect()
}

/// The names of the guards of `acme` that tripped.
fn names(report: &CycleReport) -> Vec<&'static str> {
    figures(report).into_iter().map(|(guard, _)| guard).collect()
}

/// One tenant with nothing but the limits that hold by default, and these.
async fn acme(count: u32, limits: &str) -> World {
    World::adopted(count, vec![Tenant::new("acme", Api::Datadog).guards(limits)]).await
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

#[tokio::test(flavor = "multi_thread")]
async fn f01_another_tenants_file_is_held_before_anybody_is_even_looked_at() {
    let mut world = acme(20, "").await;
    let people = std::mem::take(&mut world.people);
    world.people.push(people[0].clone());
    world.people.extend((101..=119).map(Person::new));
    world.write_roster();
    let report = world.night().await;
    assert_eq!(exit_of(&report, "acme"), 3);
    let told = &figures(&report)[0];
    assert_eq!((told.0, names(&report).len()), ("min_known", 1));
    assert!(told.1.starts_with("only 1 (5.0 %) of the 20 users of the source"), "{}", told.1);
    assert_eq!(world.sent("acme"), [""; 0]);

    world.people = people;
    world.write_roster();
    assert_eq!(world.rest().await.exit().code(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn f01_a_tenant_that_knows_nobody_yet_or_only_some_reads_everybody() {
    let mut world = World::new(20, vec![Tenant::new("acme", Api::Datadog).guards("")]).await;
    let everybody = world.people.clone();
    world.people.truncate(9);
    world.write_roster();
    assert_eq!(exit_of(&world.night().await, "acme"), 0);
    assert_eq!(world.count("acme", "GET"), 9);
    // Nine of twenty are known, and all nine are there. Twenty are more than twice as many, though.
    world.people = everybody;
    world.write_roster();
    assert_eq!(names(&world.rest().await), ["max_source_growth"]);
    world.change_tenant("acme", |tenant| tenant.guards("max_source_growth = 200"));
    assert_eq!(exit_of(&world.night().await, "acme"), 0);
    assert_eq!(world.count("acme", "GET"), 11);
    world.rest().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a30_a_source_that_more_than_doubled_is_held_and_one_that_doubled_is_not() {
    let mut world = acme(8, "").await;
    world.people.extend((9..=17).map(Person::new));
    world.write_roster();
    let report = world.rest().await;
    assert_eq!(names(&report), ["max_source_growth"]);
    assert!(figures(&report)[0].1.contains("had 8"), "{:?}", figures(&report));
    world.people.truncate(16);
    world.write_roster();
    let report = world.night().await;
    assert_eq!(names(&report), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a29_half_of_the_rows_gone_holds_the_plan_and_the_counts_are_told() {
    let mut world = acme(20, "").await;
    let people = world.people.clone();
    world.people.truncate(10);
    world.people[0].set("title", "Head of Sales");
    world.write_roster();
    let report = world.rest().await;
    assert_eq!(names(&report), ["max_source_shrink"]);
    let told = &figures(&report)[0].1;
    assert!(told.contains("10 users and had 20") && told.contains("50.0 %"), "{told}");
    world.people = people;
    world.write_roster();
    assert_eq!(world.rest().await.exit().code(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn f03_switching_off_more_than_five_percent_is_held_and_five_percent_is_not() {
    let mut world = acme(120, "").await;
    for number in 1..=7 {
        world.people[number].set("status", "leave");
    }
    world.write_roster();
    let report = world.rest().await;
    assert_eq!(names(&report), ["max_disable"]);
    assert!(figures(&report)[0].1.starts_with("7 (5.8 %) of the 120 users that are active"));
    world.people[7].set("status", "active");
    world.write_roster();
    assert_eq!(exit_of(&world.night().await, "acme"), 0);
    assert_eq!(world.count("acme", "PATCH"), 6);
    world.rest().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn f03_whoever_is_off_already_is_no_measure_for_how_many_may_follow() {
    let mut world = acme(120, "").await;
    let off = |world: &mut World, numbers: std::ops::Range<usize>| {
        for person in &mut world.people[numbers] {
            person.set("status", "leave");
        }
        world.write_roster();
    };
    world.change_tenant("acme", |tenant| tenant.guards(LAX));
    off(&mut world, 0..100);
    assert_eq!(exit_of(&world.night().await, "acme"), 0);
    // Six of the twenty who are left are more than five.
    world.change_tenant("acme", |tenant| tenant.guards(""));
    off(&mut world, 100..106);
    assert_eq!(names(&world.rest().await), ["max_disable"]);
    world.people[105].set("status", "active");
    world.write_roster();
    assert_eq!(exit_of(&world.night().await, "acme"), 0);
    world.assert_in_step();
}

#[tokio::test(flavor = "multi_thread")]
async fn f04_a_mass_change_of_what_people_log_in_with_is_held() {
    let mut world = acme(40, "").await;
    for number in 0..6 {
        let mail = format!("renamed{number}@example.org");
        world.people[number].set("email", &mail);
    }
    world.write_roster();
    let report = world.rest().await;
    assert_eq!(names(&report), ["max_key_change", "max_key_change"]);
    assert!(figures(&report)[1].1.starts_with("`userName`, by which people log in"));
    world.people[5] = Person::new(6);
    world.write_roster();
    assert_eq!(exit_of(&world.night().await, "acme"), 0);
    assert_eq!(world.count("acme", "PATCH"), 5);
    world.rest().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn f05_a_protected_account_is_neither_changed_nor_switched_off_and_the_row_is_told() {
    let tenant = Tenant::new("acme", Api::Datadog).list("protected", &["E00001", "E00009"]);
    let mut world = World::adopted(10, vec![tenant]).await;
    for number in [1, 2] {
        world.change(number, |person| {
            person.set("status", "leave").set("title", "Head of Sales");
        });
    }
    for _ in 0..2 {
        let report = world.night().await;
        assert_eq!(exit_of(&report, "acme"), 4);
        let held = &of(&report, "acme").plan.as_ref().unwrap().held;
        assert_eq!(held.len(), 1);
        assert_eq!((held[0].key.as_str(), held[0].reason), ("E00001", HeldReason::Protected));
        assert_eq!(held[0].line, Some(2));
        assert_eq!(world.behind("acme"), ["E00001"]);
    }
    // As it is at the target, the row is nobody's concern.
    world.change(1, |person| *person = Person::new(1));
    assert_eq!(exit_of(&world.rest().await, "acme"), 0);
    world.assert_in_step();
}

#[tokio::test(flavor = "multi_thread")]
async fn a20_a_column_that_empties_out_is_held_although_an_empty_cell_sends_nothing() {
    let mut world = acme(60, "").await;
    for person in &mut world.people[..7] {
        person.set("title", "");
    }
    world.people[20].set("title", "Head of Sales");
    world.write_roster();
    // Night after night, and not only once: what sends nothing must not settle meanwhile.
    for _ in 0..3 {
        let report = world.rest().await;
        assert_eq!(names(&report), ["max_source_clear"]);
        let told = &figures(&report)[0].1;
        assert!(told.contains("`title`") && told.contains("7 (11.7 %) of the 60 users"), "{told}");
    }
    world.people[0].set("title", "Engineer");
    world.write_roster();
    assert_eq!(exit_of(&world.night().await, "acme"), 0);
    assert_eq!(world.sent("acme"), ["PATCH E00021 title"]);
    world.rest().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a20_an_optional_column_that_is_gone_says_nothing_of_anybody() {
    let mut world = acme(20, "").await;
    world.change_tenant("acme", |tenant| {
        tenant.map("title = { column", "title = { optional = true, column")
    });
    assert_eq!(exit_of(&world.rest().await, "acme"), 0);
    world.write_roster_as(&roster(&world.people).replacen("title", "old_title", 1));
    assert_eq!(exit_of(&world.rest().await, "acme"), 0);
    assert_eq!(exit_of(&world.rest().await, "acme"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a20_what_the_source_never_said_is_not_emptied_by_a_column_that_another_tenant_asks_for() {
    let tenants =
        vec![Tenant::new("acme", Api::Datadog).guards(""), Tenant::new("other", Api::Datadog)];
    let mut world = World::new(20, tenants).await;
    for person in &mut world.people {
        person.set("title", "");
    }
    world.write_roster();
    // The targets have titles of which the roster says nothing; that is read, and settles.
    assert_eq!(world.night().await.exit().code(), 0);
    assert_eq!(world.rest().await.exit().code(), 0);
    world.change_tenant("other", |tenant| {
        tenant.map("title = { column = \"title\" }", "title = { column = \"department\" }")
    });
    assert_eq!(exit_of(&world.night().await, "acme"), 0);
    assert_eq!(world.sent("acme"), [""; 0]);
    assert_eq!(exit_of(&world.night().await, "acme"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn c05_changes_that_a_new_mapping_makes_are_held_and_said_to_be_its_doing() {
    let mut world = acme(20, "").await;
    assert_eq!(exit_of(&world.rest().await, "acme"), 0);
    world.change_tenant("acme", |tenant| {
        tenant.map("title = { column = \"title\" }", "title = { column = \"department\" }")
    });
    let report = world.rest().await;
    assert_eq!(names(&report), ["max_update", "max_attr_change"]);
    for (_, figure) in figures(&report) {
        assert!(figure.contains("caused by config change"), "{figure}");
    }
    // The same by a source that changed under the mapping as it was is not.
    world.change_tenant("acme", |tenant| {
        tenant.map("title = { column = \"department\" }", "title = { column = \"title\" }")
    });
    assert_eq!(exit_of(&world.rest().await, "acme"), 0);
    for person in &mut world.people {
        person.set("title", "Director");
    }
    world.write_roster();
    let told = figures(&world.rest().await);
    assert!(!told[0].1.contains("config change"), "{told:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn inv10_slices_within_a_day_are_counted_together_and_a_day_later_they_are_not() {
    let mut world = acme(40, "").await;
    let slice = |world: &mut World, people: std::ops::Range<usize>, title: &str| {
        for person in &mut world.people[people] {
            person.set("title", title);
        }
        world.write_roster();
    };
    // Four at a time, at most eight in a day.
    slice(&mut world, 0..4, "Director");
    assert_eq!(exit_of(&world.night().await, "acme"), 0);
    world.now -= 18.hours();
    slice(&mut world, 4..8, "Director");
    assert_eq!(exit_of(&world.night().await, "acme"), 0);
    assert_eq!(world.count("acme", "PATCH"), 4);
    world.now -= 18.hours();
    slice(&mut world, 8..12, "Director");
    let report = world.night().await;
    assert_eq!(names(&report), ["max_attr_change"]);
    let told = &figures(&report)[0].1;
    assert!(told.contains("12 (30.0 %)") && told.contains("the 8 that were sent"), "{told}");
    assert_eq!(world.sent("acme"), [""; 0]);
    // The same users again are no more than they were.
    world.now -= 23.hours();
    slice(&mut world, 8..12, "Engineer");
    slice(&mut world, 0..8, "Clerk");
    assert_eq!(exit_of(&world.night().await, "acme"), 0);
    // A day after that the third slice is one of its own.
    slice(&mut world, 8..12, "Director");
    assert_eq!(exit_of(&world.night().await, "acme"), 0);
    world.assert_in_step();
    world.rest().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn inv10_a_change_of_which_nobody_knows_whether_it_was_done_counts_as_done() {
    let silent = Faults::always(Fault::LostAnswer);
    let tenant = Tenant::new("acme", Api::Datadog).guards("").faults(silent);
    let mut world = World::adopted(40, vec![tenant]).await;
    let promote = |world: &mut World, people: std::ops::Range<usize>| {
        for person in &mut world.people[people] {
            person.set("title", "Director");
        }
        world.write_roster();
    };
    promote(&mut world, 0..2);
    assert_eq!(of(&world.night().await, "acme").results.in_doubt, 2);
    world.no_more_faults();
    // Seven more are within the limit of eight, and nine are not.
    world.now -= 20.hours();
    promote(&mut world, 2..9);
    let report = world.night().await;
    assert_eq!(names(&report), ["max_attr_change"]);
    assert!(figures(&report)[0].1.contains("9 (22.5 %)"), "{:?}", figures(&report));
    assert_eq!(world.sent("acme"), [""; 0]);
    // A day later they are settled along with the rest.
    world.now -= 4.hours();
    assert_eq!(exit_of(&world.night().await, "acme"), 0);
    world.assert_in_step();
}

#[tokio::test(flavor = "multi_thread")]
async fn f13_a_plan_that_takes_longer_than_a_run_may_is_told_with_its_length() {
    let tenant = Tenant::new("acme", Api::Datadog).key("quota", "1/h").key("run_deadline", "2h");
    let mut world = World::adopted(5, vec![tenant]).await;
    let told = |world: &World| -> Vec<String> {
        let report = world.preview();
        of(&report, "acme").notices.iter().map(|notice| notice.message.clone()).collect()
    };
    world.change(1, |person| {
        person.set("title", "Director");
    });
    assert_eq!(told(&world), [""; 0]);
    world.marry_all();
    assert_eq!(
        told(&world),
        ["the plan takes about 300 min at the tenant's quota, and a run ends after 120 min"]
    );
}
