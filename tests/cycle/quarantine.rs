//! Users and tenants that failed and wait, and users that a person holds.

use crate::{
    company::Tenant,
    world::{World, exit_of, of},
};
use jiff::{Timestamp, ToSpan};
use rosterd::{
    cycle::{CycleReport, TenantEnd, Turn},
    daemon::holder,
    engine::quarantine::TenantCause,
    model::{Held, HeldReason, TenantId, UserKey},
    report::{Style, json_text, plan_json, plan_text, summary_json, summary_text},
    sandbox::{Api, Fault, Faults, RetryAfterForm},
    store::{Hold, Store, TenantInQuarantine},
};

fn acme() -> Tenant {
    Tenant::new("acme", Api::Datadog).one_by_one()
}

fn store(world: &World) -> Store {
    world.store("acme")
}

fn key(key: &str) -> UserKey {
    UserKey::parse(key).unwrap()
}

fn held(report: &CycleReport) -> &[Held] {
    &of(report, "acme").plan.as_ref().unwrap().held
}

/// Of the only one who is held.
fn reason(report: &CycleReport) -> (&str, HeldReason) {
    let [held] = held(report) else { panic!("{:?}", held(report)) };
    (held.key.as_str(), held.reason)
}

fn next_try(report: &CycleReport) -> Option<Timestamp> {
    held(report)[0].timer.unwrap().next_try
}

/// Eight people, of whom E00002 alone has a change, which the target forbids every time.
async fn forbidden() -> World {
    let forbidden = acme().always(Fault::Forbidden);
    let mut world = World::adopted(8, vec![forbidden]).await;
    world.change(2, |person| {
        person.set("title", "Head of Sales");
    });
    world
}

#[tokio::test(flavor = "multi_thread")]
async fn d11_who_was_refused_is_not_sent_an_hour_later_and_is_sent_the_next_night() {
    let mut world = forbidden().await;
    let began = world.now;
    let report = world.night().await;
    assert_eq!(world.sent("acme"), ["PATCH E00002 title"]);
    let timer = of(&report, "acme").quarantines.users[&key("E00002")];
    assert!(timer.since >= began && timer.tries == 1);
    assert_eq!(timer.next_try, Some(timer.since + 6.hours()));

    world.come_back_after(1);
    world.no_more_faults();
    let preview = world.preview();
    let report = world.rest().await;
    assert_eq!(exit_of(&report, "acme"), 4);
    for report in [&report, &preview] {
        assert_eq!(reason(report), ("E00002", HeldReason::Refused));
        assert_eq!(held(report)[0].timer, Some(timer));
    }
    let text = plan_text(&preview, &Style::default());
    assert!(text.contains("next try 2026-03-03 08:30"), "{text}");
    assert!(json_text(&plan_json(&preview)).contains("\"next_try\": \"2026-03-03T08:30"));

    world.come_back_after(24);
    assert_eq!(world.night().await.exit().code(), 0);
    assert_eq!(world.sent("acme"), ["PATCH E00002 title"]);
    assert!(world.snapshot("acme").quarantine().unwrap().is_empty());
    assert_eq!(world.rest().await.exit().code(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_fails_for_28_days_is_given_up_and_stays_listed_until_the_wish_changes() {
    let mut world = forbidden().await;
    for night in 0..=28 {
        let report = world.night().await;
        assert_eq!(world.sent("acme").len(), 1, "night {night}");
        assert_eq!(of(&report, "acme").quarantines.users[&key("E00002")].tries, night + 1);
    }
    for _ in 0..3 {
        let report = world.rest().await;
        assert_eq!(reason(&report), ("E00002", HeldReason::Refused));
        assert_eq!((next_try(&report), exit_of(&report, "acme")), (None, 4));
        assert!(plan_text(&report, &Style::default()).contains("given up after 29 tries"));
    }
    world.change(2, |person| {
        person.set("title", "Head of Research");
    });
    let report = world.night().await;
    assert_eq!(world.sent("acme").len(), 1);
    assert_eq!(of(&report, "acme").quarantines.users[&key("E00002")].tries, 1);
    world.come_back_after(1);
    world.rest().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retry_begins_the_schedule_anew_and_a_release_ends_it() {
    let mut world = forbidden().await;
    world.night().await;
    world.night().await;
    world.come_back_after(1);
    let now = world.now;
    assert_eq!(store(&world).retry(&[key("E00002"), key("E00003")], now).unwrap(), 1);
    let report = world.night().await;
    assert_eq!(world.sent("acme").len(), 1);
    let timer = of(&report, "acme").quarantines.users[&key("E00002")];
    assert!(timer.tries == 1 && timer.since >= now);

    world.come_back_after(1);
    world.no_more_faults();
    assert_eq!(store(&world).release(&[key("E00002")]).unwrap(), 1);
    assert_eq!(world.night().await.exit().code(), 0);
    world.assert_in_step();
    world.rest().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wish_that_is_taken_back_and_a_leaver_end_their_quarantine() {
    let mut world = forbidden().await;
    world.night().await;
    world.change(2, |person| {
        person.set("title", "Engineer");
    });
    world.come_back_after(1);
    assert_eq!(world.rest().await.exit().code(), 0);
    assert!(world.snapshot("acme").quarantine().unwrap().is_empty());

    let guards = "max_update = \"100%\"\nmax_source_shrink = \"50%\"";
    world.change_tenant("acme", |tenant| tenant.guards(guards));
    world.change(8, |person| {
        person.set("title", "Head of Sales");
    });
    world.night().await;
    assert_eq!(world.snapshot("acme").quarantine().unwrap().len(), 1);
    world.people.pop();
    world.write_roster();
    world.rest().await;
    assert!(world.snapshot("acme").quarantine().unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn d09_who_met_503_or_429_is_in_no_quarantine() {
    let unavailable = Fault::Unavailable { retry_after: RetryAfterForm::None };
    let mut world = World::adopted(2, vec![acme().always(unavailable)]).await;
    world.marry_all();
    let report = world.night().await;
    assert_eq!(of(&report, "acme").results.deferred, 2);
    assert!(of(&report, "acme").quarantines.users.is_empty());
    world.come_back_after(1);
    world.no_more_faults();
    assert_eq!(world.night().await.exit().code(), 0);
    assert_eq!(world.count("acme", "PATCH"), 2);
    world.assert_in_step();
    world.rest().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn d08_who_was_not_reached_by_any_attempt_waits_for_the_next_night() {
    let mut world = World::adopted(2, vec![acme().always(Fault::LostRequest)]).await;
    world.change(1, |person| {
        person.set("title", "Head of Sales");
    });
    let report = world.night().await;
    assert_eq!(of(&report, "acme").quarantines.users.len(), 1, "{report:?}");
    world.no_more_faults();
    world.come_back_after(1);
    let report = world.rest().await;
    assert_eq!(held(&report).len(), 1);
    assert!(next_try(&report).is_some());
    world.come_back_after(24);
    assert_eq!(world.night().await.exit().code(), 0);
    world.assert_in_step();
    world.calm().await;
}

/// The tenant is in quarantine, and why.
fn waits(report: &CycleReport) -> &TenantInQuarantine {
    match &of(report, "acme").end {
        TenantEnd::Quarantined(state) => state,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn d10_a_tenant_with_bad_credentials_is_tried_with_a_few_and_then_gets_everything() {
    let sick = acme().faults(Faults::always(Fault::Unauthorized));
    let well = Tenant::new("well", Api::Datadog);
    let mut world = World::adopted(23, vec![sick, well]).await;
    world.marry_all();
    let report = world.night().await;
    assert_eq!((exit_of(&report, "acme"), exit_of(&report, "well")), (1, 0));
    let Some(Turn::Entered(state)) = &of(&report, "acme").quarantines.turn else {
        panic!("{report:?}")
    };
    assert_eq!(state.cause, TenantCause::Credentials);
    let stored = world.snapshot("acme").tenant_quarantine().unwrap().unwrap();
    let since = stored.timer.since;
    assert!(summary_text(&report, &Style::default()).contains("QUARANTINE now in quarantine"));
    // No user is to blame.
    assert!(world.snapshot("acme").quarantine().unwrap().is_empty());

    world.come_back_after(1);
    assert_eq!(exit_of(&world.preview(), "acme"), 5);
    let report = world.rest().await;
    assert_eq!((exit_of(&report, "acme"), &of(&report, "acme").quarantines.turn), (5, &None));
    assert_eq!(waits(&report), &stored);

    // A probe that fails for the same reason is no news, one that fails for another is.
    world.come_back_after(24);
    let report = world.night().await;
    assert!((1..=5).contains(&world.sent("acme").len()));
    assert_eq!((exit_of(&report, "acme"), &of(&report, "acme").quarantines.turn), (5, &None));
    assert_eq!((waits(&report).timer.tries, waits(&report).timer.since), (2, since));
    world.sandbox.set_faults("acme", Faults::always(Fault::Redirect));
    let report = world.night().await;
    assert!((1..=5).contains(&world.sent("acme").len()));
    let turn = &of(&report, "acme").quarantines.turn;
    assert!(matches!(turn, Some(Turn::Changed(state)) if state.cause == TenantCause::Broken));

    world.no_more_faults();
    let report = world.night().await;
    assert_eq!(exit_of(&report, "acme"), 0);
    assert!(matches!(of(&report, "acme").quarantines.turn, Some(Turn::Left { .. })));
    let json = json_text(&summary_json(&report));
    assert!(json.contains("\"turn\": \"left\""), "{json}");
    assert_eq!(world.count("acme", "PATCH"), 23);
    world.assert_in_step();
    world.rest().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_is_disabled_after_28_days_until_a_person_releases_it() {
    let sick = acme().faults(Faults::always(Fault::Unauthorized));
    let mut world = World::adopted(3, vec![sick]).await;
    world.marry_all();
    for night in 0..=28 {
        world.night().await;
        assert_eq!(world.sent("acme").len(), 1, "night {night}");
    }
    world.no_more_faults();
    for _ in 0..2 {
        let report = world.rest().await;
        assert_eq!((waits(&report).timer.next_try, exit_of(&report, "acme")), (None, 5));
    }
    store(&world).set_tenant_quarantine(None).unwrap();
    assert_eq!(world.night().await.exit().code(), 0);
    world.assert_in_step();
    world.rest().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_of_which_more_than_40_percent_fail_is_tried_with_a_few_the_next_night() {
    // Not among the first, which would end the run at once.
    let gone = Fault::TurnedAway { status: 404, retry_after: RetryAfterForm::None };
    let later = (31..=60).map(|n| (n, gone.clone()));
    let sick = acme().faults(Faults::script(later).only_patches());
    let mut world = World::adopted(60, vec![sick]).await;
    world.marry_all();
    let report = world.night().await;
    assert_eq!((of(&report, "acme").results.gone, exit_of(&report, "acme")), (30, 4));
    let turn = &of(&report, "acme").quarantines.turn;
    assert!(matches!(turn, Some(Turn::Entered(state)) if state.cause == TenantCause::Rate));

    world.sandbox.set_faults("acme", Faults::always(Fault::Forbidden));
    let report = world.night().await;
    assert!(world.sent("acme").len() <= 5);
    assert_eq!(waits(&report).timer.tries, 2);
    world.no_more_faults();
    let report = world.night().await;
    assert_eq!((exit_of(&report, "acme"), world.count("acme", "PATCH")), (0, 30));
    world.assert_in_step();
    world.rest().await;
}

/// Holds E00002 by hand.
fn hold(world: &World, until: Option<Timestamp>) {
    let since = world.now;
    let (reason, person) = ("on parental leave".to_owned(), "anna".to_owned());
    let hold = Hold { reason, person, since, until };
    store(world).hold(&[key("E00002"), key("E99999")], &hold).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_held_by_hand_is_not_sent_until_the_hold_ends_by_itself() {
    let mut world = World::adopted(8, vec![acme()]).await;
    world.rest().await;
    hold(&world, Some(world.now + 36.hours()));
    // Told though the file is the same and nothing has changed.
    let report = world.rest().await;
    assert_eq!((reason(&report), exit_of(&report, "acme")), (("E00002", HeldReason::ByHand), 4));
    let text = plan_text(&report, &Style::default());
    for told in ["held by hand", "held by anna: on parental leave", "until 2026-03-05 14:30:00"] {
        assert!(text.contains(told), "{told} is not in {text}");
    }
    world.marry_all();
    let report = world.night().await;
    assert_eq!(world.count("acme", "PATCH"), 7);
    assert_eq!(reason(&report), ("E00002", HeldReason::ByHand));
    let report = world.night().await;
    assert_eq!((report.exit().code(), world.count("acme", "PATCH")), (0, 1));
    world.assert_in_step();
    assert_eq!(world.snapshot("acme").holds().unwrap().len(), 0);
    world.rest().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_held_by_hand_is_no_leaver_whatever_the_source_says() {
    let tenant = acme().guards("max_update = \"100%\"\nmax_source_shrink = \"50%\"");
    let source = "[sources.people.leavers]\ncolumn = \"status\"\nvalues = [\"left\"]";
    let mut world = World::adopted(8, vec![tenant]).await.with_source(source);
    hold(&world, None);
    let leavers = |report: &CycleReport| of(report, "acme").plan.as_ref().unwrap().leavers.len();
    world.change(2, |person| {
        person.set("status", "left");
    });
    let report = world.rest().await;
    assert_eq!((leavers(&report), reason(&report)), (0, ("E00002", HeldReason::ByHand)));
    let person = world.people.remove(1);
    world.write_roster();
    let report = world.rest().await;
    assert_eq!((leavers(&report), reason(&report)), (0, ("E00002", HeldReason::ByHand)));

    assert_eq!(store(&world).end_holds(&[key("E00002")]).unwrap(), 1);
    assert_eq!(leavers(&world.rest().await), 1);
    world.people.push(person);
    world.people[7].set("status", "active");
    world.write_roster();
    assert_eq!(world.rest().await.exit().code(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn inv15_the_books_of_random_nights_balance() {
    let faults = |seed| {
        let kinds = [
            Fault::Forbidden,
            Fault::LostRequest,
            Fault::Error500NotApplied,
            Fault::Conflict,
            Fault::Unavailable { retry_after: RetryAfterForm::None },
            Fault::Unauthorized,
        ];
        // Few that are passing: half of them and more would have everybody wait.
        let shares = [0.15, 0.03, 0.03, 0.1, 0.03, 0.01];
        Faults::shares(seed, shares.into_iter().zip(kinds).collect::<Vec<_>>())
    };
    let tenants = ["acme", "other"].map(|name| Tenant::new(name, Api::Datadog).one_by_one());
    let mut world = World::adopted(12, tenants.into()).await;
    let mut chance = fastrand::Rng::with_seed(15);
    for night in 0..12 {
        for tenant in ["acme", "other"] {
            world.sandbox.set_faults(tenant, faults(chance.u64(..)));
        }
        for _ in 0..4 {
            world.change(chance.usize(1..=12), |person| {
                person.marry();
            });
        }
        if night % 4 == 0 {
            hold(&world, Some(world.now + 36.hours()));
        }
        // What a debug build asserts at the end of each run; and as a person would add it up.
        let report = world.night().await;
        for tenant in &report.tenants {
            let plan = tenant.plan.as_ref().unwrap();
            let whole = plan.held.iter().filter(|held| !held.others_go).count() as u64;
            let sum = plan.unchanged + plan.operations.len() as u64 + whole;
            assert_eq!((sum, plan.users), (12, 12), "night {night}: {tenant:?}");
        }
        world.come_back_after(chance.i64(1..=24));
    }
    world.no_more_faults();
    world.come_back_after(48);
    for name in ["acme", "other"] {
        let users: Vec<UserKey> = world.snapshot(name).quarantine().unwrap().into_keys().collect();
        let id = TenantId::parse(name).unwrap();
        let mut store = Store::open(&world.state_dir(), &id, &holder()).unwrap();
        store.release(&users).unwrap();
        store.set_tenant_quarantine(None).unwrap();
    }
    assert_eq!(world.night().await.exit().code(), 0);
    world.assert_in_step();
    world.calm().await;
}
