//! Users of whom nobody knows the account, while others are absent: one may be the other, under another
//! key.

use crate::{
    company::{Tenant, roster},
    life::{ACTIVE, LAX, dismiss, fates, held, is_on, linked},
    world::{World, of},
};
use rosterd::{
    cycle::CycleReport,
    model::{Fate, HeldReason, UserKey},
    report::{Style, plan_json, plan_text},
    sandbox::{Api, Fault, Faults},
    store::Hold,
};

const HELD: &str = "on_bad_row = \"hold\"";

/// Users are found by their names, and whoever leaves is switched off.
fn switching() -> Tenant {
    let limits = format!("{LAX}\nmax_bad_values = \"100%\"");
    linked().allow(&["disable"]).map(ACTIVE, "").guards(&limits)
}

/// Six people whose accounts were found.
async fn settled(tenant: Tenant) -> World {
    let mut world = World::new(6, vec![tenant]).await.with_source(HELD);
    world.night().await;
    world
}

fn rename(world: &mut World) {
    world.change(3, |person| {
        person.set("employee_id", "E90003");
    });
}

fn codes(report: &CycleReport) -> Vec<&str> {
    of(report, "acme").findings.iter().map(|finding| finding.code.0).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn inv11_whoever_has_a_new_key_that_cannot_be_used_yet_is_not_taken_for_absent() {
    // The row cannot be read, or a value holds it.
    let unreadable: fn(&World) -> String =
        |world| roster(&world.people).replace("E90003,Given3", "E90003,Giv\u{7}en3");
    let bad_value: fn(&World) -> String =
        |world| roster(&world.people).replace("user3@example.org", "user3 at example.org");
    for spoil in [unreadable, bad_value] {
        let mut world = settled(switching()).await;
        let gone = dismiss(&mut world, 6);
        rename(&mut world);
        world.write_roster_as(&spoil(&world));
        for _ in 0..4 {
            let report = world.rest().await;
            assert_eq!(fates(&report), []);
            assert!(codes(&report).contains(&"RD-2010"), "{report:?}");
            let text = plan_text(&report, &Style::default());
            assert!(text.contains("who is absent is not taken for a leaver"), "{text}");
            assert!(plan_json(&report).to_string().contains("RD-2010"));
        }
        // Not one of these nights counts.
        world.write_roster();
        let report = world.night().await;
        assert_eq!(fates(&report), [("E00003", Fate::Unknown), ("E00006", Fate::Waits)]);
        let report = world.night().await;
        assert_eq!(fates(&report), [("E00003", Fate::Unknown), ("E00006", Fate::Disabled)]);
        assert!(is_on(&world, &world.people[2]) && !is_on(&world, &gone));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn inv11_absence_counts_although_rows_are_held_whose_accounts_are_known() {
    let mut world = settled(switching()).await;
    let gone = dismiss(&mut world, 6);
    let bad = roster(&world.people).replace("user3@example.org", "user3 at example.org");
    world.write_roster_as(&bad.replace("E00002,Given2", "E00002,Giv\u{7}en2"));
    assert_eq!(fates(&world.night().await), [("E00006", Fate::Waits)]);
    assert_eq!(fates(&world.night().await), [("E00006", Fate::Disabled)]);
    assert!(!is_on(&world, &gone));
    world.rest().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn inv11_where_nothing_may_happen_to_accounts_absence_is_told_whoever_is_held() {
    let tenant = linked().guards(&format!("{LAX}\nmax_bad_values = \"100%\""));
    let mut world = settled(tenant).await;
    rename(&mut world);
    let bad = roster(&world.people).replace("user3@example.org", "user3 at example.org");
    world.write_roster_as(&bad);
    let report = world.rest().await;
    assert_eq!(
        (fates(&report), codes(&report).contains(&"RD-2010")),
        (vec![("E00003", Fate::Told)], false)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn inv11_a_new_key_that_a_person_holds_keeps_absence_from_counting_until_it_is_released() {
    let mut world = settled(switching()).await;
    rename(&mut world);
    let (reason, person) = ("asked HR".to_owned(), "anna".to_owned());
    let hold = Hold { reason, person, since: world.now, until: None };
    let user = UserKey::parse("E90003").unwrap();
    world.store("acme").hold(std::slice::from_ref(&user), &hold).unwrap();
    for _ in 0..3 {
        let report = world.rest().await;
        assert_eq!((fates(&report), held(&report)), (vec![], vec![("E90003", HeldReason::ByHand)]));
    }
    let mut store = world.store("acme");
    store.end_holds(&[user]).unwrap();
    drop(store);
    for _ in 0..3 {
        assert_eq!(fates(&world.night().await), [("E00003", Fate::Unknown)]);
    }
    assert!(is_on(&world, &world.people[2]));
}

#[tokio::test(flavor = "multi_thread")]
async fn inv11_a_user_in_quarantine_of_whom_no_account_is_known_keeps_absence_from_counting() {
    let mut world = settled(switching().allow(&["create", "disable"])).await;
    rename(&mut world);
    world.change(3, |person| {
        person.set("email", "new3@example.org");
    });
    world.sandbox.set_faults("acme", Faults::always(Fault::Forbidden).only_patches());
    world.night().await;
    world.no_more_faults();
    // Before the next try is due.
    world.come_back_after(1);
    let report = world.night().await;
    assert_eq!((fates(&report), held(&report)), (vec![], vec![("E90003", HeldReason::Refused)]));
}

#[tokio::test(flavor = "multi_thread")]
async fn inv11_an_account_that_a_failed_look_up_might_have_found_is_not_switched_off() {
    for fault in [Fault::Error500NotApplied, Fault::Forbidden, Fault::LostRequest] {
        let mut world = settled(switching()).await;
        rename(&mut world);
        world.change(3, |person| {
            person.set("email", "USER3@example.org");
        });
        for _ in 0..3 {
            let failures = (1..=9).map(|number| (number, fault.clone()));
            world.sandbox.set_faults("acme", Faults::script(failures));
            let report = world.night().await;
            assert_eq!(fates(&report), [("E00003", Fate::Unknown)], "{fault:?}");
            assert_eq!(world.count("acme", "PATCH"), 0);
        }
        assert!(is_on(&world, &world.people[2]));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn inv11_an_account_that_is_one_of_several_answers_is_not_switched_off() {
    let mut world = settled(switching()).await;
    let mut twin = world.people[2].account(Api::Datadog);
    twin["userName"] = serde_json::json!("User3@Example.org");
    world.sandbox.set_account("acme", "3fa85f64-5717-4562-b3fc-0000000000aa", twin);
    rename(&mut world);
    for night in 0..3 {
        let report = world.night().await;
        assert_eq!(held(&report), [("E90003", HeldReason::Ambiguous)], "night {night}");
        assert_eq!(fates(&report), [("E00003", Fate::Unknown)], "night {night}");
    }
    // Between two tries, too.
    world.come_back_after(1);
    assert_eq!(fates(&world.rest().await), []);
    assert!(is_on(&world, &world.people[2]));
}
