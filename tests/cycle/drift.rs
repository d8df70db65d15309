//! Accounts that others change as well.

use crate::{
    company::Tenant,
    world::{World, exit_of, of},
};
use rosterd::{
    cycle::{Compared, Exit, Whom},
    daemon::{holder, new_run},
    engine::drift::Sight,
    model::{HeldReason, Sides, TenantId, UserKey, Value},
    sandbox::{Api, Fault, Faults},
    store::{Request, Store},
};
use serde_json::json;
use std::collections::BTreeMap;

const TITLE: &str = "title = { column = \"title\" }";

/// A tenant whose title has that policy.
fn acme(policy: &'static str) -> Vec<Tenant> {
    let tenant = Tenant::new("acme", Api::Datadog).one_by_one();
    vec![match policy {
        "" => tenant,
        "keep" => tenant.map(TITLE, "title = { column = \"title\", on_drift = \"keep\" }"),
        "hold" => tenant.map(TITLE, "title = { column = \"title\", on_drift = \"hold\" }"),
        policy => panic!("{policy}"),
    }]
}

/// So many people, all as wished and settled.
async fn settled(count: u32, policy: &'static str) -> World {
    let mut world = World::adopted(count, acme(policy)).await;
    world.rest().await;
    world
}

fn set_title(world: &World, number: usize, title: &str) {
    set(world, number, "title", title);
}

/// Somebody at the target does that.
fn set(world: &World, number: usize, attribute: &str, text: &str) {
    let id = world.people[number - 1].id(Api::Datadog).to_owned();
    let mut account = world.sandbox.account("acme", &id).unwrap();
    account[attribute] = json!(text);
    world.sandbox.set_account("acme", &id, account);
}

fn title_of(world: &World, number: usize) -> String {
    let id = world.people[number - 1].id(Api::Datadog);
    world.sandbox.account("acme", id).unwrap()["title"].as_str().unwrap().to_owned()
}

async fn look(world: &mut World, whom: &Whom) -> Compared {
    let (report, mut found) = world.compare(whom).await;
    assert_eq!(report.exit(), Exit::Done, "{report:?}");
    assert_eq!(world.count("acme", "PATCH"), 0);
    found.remove(&TenantId::parse("acme").unwrap()).unwrap()
}

/// Who changed what: `E00003 title Target`.
fn told(compared: &Compared) -> Vec<String> {
    let mut told = Vec::new();
    for drift in &compared.drifts {
        match &drift.sight {
            Sight::Missing => told.push(format!("{} missing", drift.key)),
            Sight::Unlisted => told.push(format!("{} unlisted", drift.key)),
            Sight::Contrasts(contrasts) => told.extend(
                contrasts
                    .iter()
                    .map(|contrast| format!("{} {} {:?}", drift.key, contrast.path, contrast.who)),
            ),
        }
    }
    told
}

/// Everybody, in both ways of reading: by the list, and one by one.
fn both_ways(world: &World) -> [Whom; 2] {
    [Whom::Everybody, Whom::Sample(world.people.len())]
}

#[tokio::test]
async fn d33_what_somebody_changed_by_hand_is_told_apart_from_what_the_roster_changed() {
    let mut world = settled(30, "").await;
    set_title(&world, 3, "CTO");
    world.change(5, |person| _ = person.set("title", "Director"));
    world.change(7, |person| _ = person.set("title", "Director"));
    set_title(&world, 7, "Intern");
    for whom in both_ways(&world) {
        let compared = look(&mut world, &whom).await;
        let expected = ["E00003 title Target", "E00005 title Source", "E00007 title Both"];
        // What was seen once of E00007 is known from then on, and then only the roster differs.
        let expected = expected.map(|line| match whom {
            Whom::Everybody => line,
            _ => {
                if line.contains("Both") {
                    "E00007 title Source"
                } else {
                    line
                }
            }
        });
        assert_eq!(told(&compared), expected, "{whom:?}");
        assert_eq!((compared.looked, compared.in_step), (30, 27));
        let Sight::Contrasts(contrasts) = &compared.drifts[0].sight else { panic!() };
        let text = |text: &str| Some(Value::text(text));
        assert_eq!(contrasts[0].wanted, text("Engineer"));
        assert_eq!(contrasts[0].shown, text("CTO"));
    }
}

#[tokio::test]
async fn d33_overwrite_is_the_default_and_sends_the_rosters_value_in_the_next_run() {
    let mut world = settled(20, "").await;
    set_title(&world, 3, "CTO");
    world.rest().await;
    let compared = look(&mut world, &Whom::Everybody).await;
    assert_eq!((compared.changed(), compared.noted), (1, 1));
    world.night().await;
    assert_eq!(world.sent("acme"), ["PATCH E00003 title"]);
    world.assert_in_step();
    world.rest().await;
    assert_eq!(look(&mut world, &Whom::Everybody).await.in_step, 20);
}

#[tokio::test]
async fn d33_keep_leaves_what_somebody_set_until_the_wish_changes() {
    for number in [0, 1] {
        let mut world = settled(20, "keep").await;
        set_title(&world, 3, "CTO");
        let whom = both_ways(&world)[number].clone();
        assert_eq!(told(&look(&mut world, &whom).await), ["E00003 title Target"]);
        let report = world.night().await;
        assert_eq!(exit_of(&report, "acme"), 0, "nothing is held");
        assert_eq!(world.sent("acme"), [""; 0]);
        world.rest().await;
        assert_eq!(told(&look(&mut world, &whom).await), ["E00003 title Target"], "told again");
        assert_eq!(title_of(&world, 3), "CTO");
        world.change(3, |person| _ = person.set("title", "Director"));
        world.night().await;
        assert_eq!(world.sent("acme"), ["PATCH E00003 title"]);
        world.assert_in_step();
        world.rest().await;
        assert_eq!(look(&mut world, &whom).await.in_step, 20);
    }
}

#[tokio::test]
async fn d33_hold_tells_the_attribute_every_night_and_sends_the_rest_of_the_user() {
    let mut world = settled(20, "hold").await;
    set_title(&world, 3, "CTO");
    look(&mut world, &Whom::Everybody).await;
    for _ in 0..2 {
        let report = world.night().await;
        assert_eq!(exit_of(&report, "acme"), 4);
        let held = &of(&report, "acme").plan.as_ref().unwrap().held;
        let told: Vec<_> = held.iter().map(|held| (held.key.as_str(), held.reason)).collect();
        assert_eq!(told, [("E00003", HeldReason::Drifted)]);
        let (wished, shown) = (Some(Value::text("Engineer")), Some(Value::text("CTO")));
        assert_eq!(held[0].sides, Some(Sides { wished, shown }), "both sides are told");
        assert_eq!(world.sent("acme"), [""; 0]);
    }
    world.change(3, |person| _ = person.set("status", "leave"));
    world.night().await;
    assert_eq!(world.sent("acme"), ["PATCH E00003 active"]);
    assert_eq!(title_of(&world, 3), "CTO");
    // Set back by hand, it is held no more.
    set_title(&world, 3, "Engineer");
    assert_eq!(look(&mut world, &Whom::Everybody).await.in_step, 20);
    assert_eq!(exit_of(&world.night().await, "acme"), 0);
    world.assert_in_step();
    world.rest().await;
}

#[tokio::test]
async fn d33_what_the_answer_to_a_change_shows_of_other_attributes_is_kept_too() {
    let mut world = settled(20, "keep").await;
    set_title(&world, 3, "CTO");
    world.change(3, |person| _ = person.set("status", "leave"));
    world.night().await;
    assert_eq!(world.sent("acme"), ["PATCH E00003 active"]);
    world.night().await;
    assert_eq!(world.sent("acme"), [""; 0]);
    assert_eq!(title_of(&world, 3), "CTO");
    world.rest().await;
    // By default the next night puts it right.
    let mut world = settled(20, "").await;
    set_title(&world, 3, "CTO");
    world.change(3, |person| _ = person.set("status", "leave"));
    world.night().await;
    world.night().await;
    assert_eq!(world.sent("acme"), ["PATCH E00003 title"]);
}

#[tokio::test]
async fn d33_what_the_read_of_a_later_run_shows_is_kept_too_but_not_what_was_on_its_way_itself() {
    let mut world = settled(20, "keep").await;
    world.change(3, |person| _ = person.set("status", "leave"));
    world.sandbox.set_faults("acme", Faults::always(Fault::LostRequest));
    world.night().await;
    world.no_more_faults();
    set_title(&world, 3, "CTO");
    world.night().await;
    assert_eq!(world.sent("acme")[0], "GET E00003");
    assert_eq!(title_of(&world, 3), "CTO", "it was not in doubt, so somebody else set it");
    assert_eq!(world.people[2].get("status"), "leave");
    // The title itself was on its way: nobody can say who set it, and the wish is sent.
    let mut world = settled(20, "keep").await;
    world.change(3, |person| _ = person.set("title", "Director"));
    world.sandbox.set_faults("acme", Faults::always(Fault::LostRequest));
    world.night().await;
    world.no_more_faults();
    set_title(&world, 3, "CTO");
    world.night().await;
    world.assert_in_step();
}

#[tokio::test]
async fn another_policy_counts_at_once() {
    let mut world = settled(20, "keep").await;
    set_title(&world, 3, "CTO");
    look(&mut world, &Whom::Everybody).await;
    world.rest().await;
    world.change_tenant("acme", |_| acme("hold").remove(0));
    assert_eq!(exit_of(&world.night().await, "acme"), 4);
    assert_eq!(world.sent("acme"), [""; 0]);
    world.change_tenant("acme", |_| acme("").remove(0));
    world.night().await;
    assert_eq!(world.sent("acme"), ["PATCH E00003 title"]);
    world.rest().await;
}

#[tokio::test]
async fn adopting_a_list_keeps_what_the_rules_keep() {
    let mut world = settled(20, "keep").await;
    set_title(&world, 3, "CTO");
    let (_, listed) = world.adopt_listed().await;
    assert_eq!(listed.values().next().unwrap().news, 1);
    world.night().await;
    assert_eq!(world.sent("acme"), [""; 0]);
    assert_eq!(title_of(&world, 3), "CTO");
    world.rest().await;
}

#[tokio::test]
async fn whom_a_read_does_not_find_has_drifted_and_whom_a_list_does_not_have_has_not() {
    let mut world = settled(20, "").await;
    let id = world.people[2].id(Api::Datadog).to_owned();
    let account = world.sandbox.remove_account("acme", &id).unwrap();
    let compared = look(&mut world, &Whom::Everybody).await;
    assert_eq!((told(&compared), compared.changed()), (vec!["E00003 unlisted".to_owned()], 0));
    let compared = look(&mut world, &Whom::Sample(20)).await;
    assert_eq!((told(&compared), compared.changed()), (vec!["E00003 missing".to_owned()], 1));
    world.sandbox.set_account("acme", &id, account);
    world.rest().await;
}

#[tokio::test]
async fn only_those_are_read_who_are_asked_for_and_settled_users_stay_settled() {
    let mut world = settled(20, "").await;
    let compared = look(&mut world, &Whom::Sample(4)).await;
    assert_eq!((compared.looked, world.count("acme", "GET")), (4, 4));
    let planned: BTreeMap<_, _> = [(
        TenantId::parse("acme").unwrap(),
        ["E00004", "E00009", "E99999"].map(|key| UserKey::parse(key).unwrap()).into(),
    )]
    .into();
    let compared = look(&mut world, &Whom::Planned(planned)).await;
    assert_eq!(compared.looked, 2);
    assert_eq!(world.sent("acme"), ["GET E00004", "GET E00009"]);
    assert_eq!(compared.noted, 0);
    world.rest().await;
}

#[tokio::test]
async fn a_target_without_a_list_is_read_one_by_one_unless_reads_are_switched_off() {
    let mut world = World::adopted(6, vec![Tenant::new("kare", Api::Kare)]).await;
    world.rest().await;
    let (report, found) = world.compare(&Whom::Everybody).await;
    assert_eq!(report.exit(), Exit::Done);
    let compared = found.values().next().unwrap();
    assert_eq!((compared.by_list, compared.looked, compared.in_step), (false, 6, 6));
    assert_eq!(world.count("kare", "GET"), 6);
    world.change_tenant("kare", |tenant| tenant.flag("reads", false));
    let (report, found) = world.compare(&Whom::Everybody).await;
    assert_eq!((report.exit().code(), found.len()), (1, 0));
    assert_eq!(world.sent("kare"), [""; 0]);
}

#[tokio::test]
async fn whoever_cannot_be_read_is_no_drift_and_told() {
    let mut world = settled(5, "").await;
    world.sandbox.set_faults("acme", Faults::script([(2, Fault::Forbidden)]));
    let (report, found) = world.compare(&Whom::Sample(5)).await;
    assert_eq!(exit_of(&report, "acme"), 4);
    assert_eq!(of(&report, "acme").results.failures.len(), 1);
    let compared = found.values().next().unwrap();
    assert_eq!((compared.looked, compared.in_step, compared.changed()), (4, 4, 0));
    world.no_more_faults();
    world.rest().await;
}

#[tokio::test]
async fn d34_a_target_put_back_from_an_old_copy_holds_the_plan_until_everybody_is_read_anew() {
    let mut world = settled(40, "").await;
    for number in 1..=20 {
        set_title(&world, number, "Trainee");
    }
    let compared = look(&mut world, &Whom::Sample(30)).await;
    assert!(compared.holds && compared.changed() >= 10);
    world.change(39, |person| _ = person.set("title", "Director"));
    let report = world.night().await;
    assert_eq!(exit_of(&report, "acme"), 3);
    let guards = &of(&report, "acme").plan.as_ref().unwrap().guards;
    assert_eq!(guards[0].guard, "max_drift");
    assert!(guards[0].figure.contains("rosterd resnapshot --tenant acme"));
    assert_eq!(world.count("acme", "PATCH"), 0);
    let (config, tenant, run) = (world.config(), TenantId::parse("acme").unwrap(), new_run());
    let (holder, now) = (holder(), world.now);
    let request = Request { config: &config, tenant: &tenant, holder: &holder, run: &run, now };
    Store::resnapshot(&request).unwrap();
    let report = world.night().await;
    assert_eq!(exit_of(&report, "acme"), 0, "{report:?}");
    assert_eq!((world.count("acme", "GET"), world.count("acme", "PATCH")), (40, 21));
    world.assert_in_step();
    world.rest().await;
}

#[tokio::test]
async fn d34_a_look_that_finds_less_lets_the_next_plan_pass() {
    let mut world = settled(20, "keep").await;
    for number in 1..=3 {
        set_title(&world, number, "Trainee");
    }
    assert!(look(&mut world, &Whom::Everybody).await.holds);
    assert_eq!(exit_of(&world.night().await, "acme"), 0, "nothing would be sent");
    world.change(9, |person| _ = person.set("title", "Director"));
    assert_eq!(exit_of(&world.night().await, "acme"), 3);
    set_title(&world, 1, "Engineer");
    assert!(!look(&mut world, &Whom::Everybody).await.holds, "2 of 20");
    world.night().await;
    assert_eq!(world.sent("acme"), ["PATCH E00009 title"]);
    world.rest().await;
}
