//! Nights on tokens that are fetched.

use crate::{
    company::{Tenant, practice_login},
    world::{World, exit_of, of},
};
use jiff::ToSpan as _;
use rosterd::{
    cycle::{CycleReport, TenantEnd},
    sandbox::{Api, Fault, Faults, PracticeLogin, RetryAfterForm},
    sender::Ended,
};
use std::time::Duration;

fn each_api(login: &PracticeLogin) -> Vec<Tenant> {
    let tenants = Tenant::of_each_api().into_iter();
    tenants.map(|tenant| tenant.logs_in(login.clone())).collect()
}

fn logins(world: &World, tenant: &str) -> usize {
    world.count(tenant, "POST")
}

fn ends(report: &CycleReport) -> Vec<&TenantEnd> {
    report.tenants.iter().map(|tenant| &tenant.end).collect()
}

fn all(world: &World, tenant: &str) -> usize {
    world.sandbox.requests(tenant).len()
}

#[tokio::test(flavor = "multi_thread")]
async fn d10_every_api_has_whole_nights_on_tokens_that_are_fetched_once() {
    let mut tenants = each_api(&practice_login());
    let user = Tenant::new("biot_user", Api::Biot);
    tenants.push(user.logs_in_as("biot_user", practice_login()));
    let mut world = World::adopted(9, tenants).await;
    world.marry_all();
    let report = world.night().await;
    assert_eq!(report.exit().code(), 0, "{:?}", ends(&report));
    world.assert_in_step();
    for tenant in &world.tenants {
        assert_eq!(logins(&world, &tenant.name), 1, "{}", tenant.name);
    }
    // Nobody logs in who has nothing to send.
    world.rest().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn d10_a_token_that_is_refused_in_the_middle_of_a_night_is_fetched_once_more() {
    let tenants = each_api(&practice_login()).into_iter().map(|tenant| {
        // KARE is read after each change.
        let uses = if tenant.api == Api::Kare { 12 } else { 7 };
        tenant.logs_in(PracticeLogin { uses: Some(uses), ..practice_login() })
    });
    let mut world = World::adopted(10, tenants.collect()).await;
    world.marry_all();
    let report = world.night().await;
    assert_eq!(report.exit().code(), 0, "{:?}", ends(&report));
    world.assert_in_step();
    for tenant in &world.tenants {
        assert_eq!(logins(&world, &tenant.name), 2, "{}", tenant.name);
    }
    world.rest().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn d10_tokens_that_are_refused_again_at_once_end_the_run_of_that_tenant_alone() {
    let login = PracticeLogin { uses: Some(3), ..practice_login() };
    let sick = Tenant::new("sick", Api::Datadog).logs_in(login).one_by_one();
    let mut world = World::adopted(9, vec![sick, Tenant::new("well", Api::Workiva)]).await;
    world.marry_all();
    let report = world.night().await;
    assert_eq!((exit_of(&report, "sick"), exit_of(&report, "well")), (1, 0));
    assert_eq!(of(&report, "sick").end, TenantEnd::Early(Ended::Unauthorized));
    assert_eq!(logins(&world, "sick"), 2);
    world.sandbox.set_login("sick", practice_login());
    let report = world.night().await;
    assert_eq!(report.exit().code(), 0, "{:?}", ends(&report));
    world.assert_in_step();
    world.rest().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn d10_a_login_that_is_refused_is_tried_once_and_nothing_else_is_sent() {
    let login = PracticeLogin { secret: "another".to_owned(), ..practice_login() };
    let mut world = World::adopted(9, each_api(&login)).await;
    world.marry_all();
    let report = world.night().await;
    for tenant in &world.tenants {
        let name = &tenant.name;
        assert_eq!(exit_of(&report, name), 1, "{name}");
        let TenantEnd::Early(Ended::LoginRefused { why }) = &of(&report, name).end else {
            panic!("{name}: {:?}", of(&report, name).end)
        };
        assert!(why.starts_with("the login is refused: 40"), "{name}: {why}");
        assert_eq!((logins(&world, name), all(&world, name)), (1, 1), "{name}");
    }
    for tenant in &world.tenants {
        world.sandbox.set_login(&tenant.name, practice_login());
    }
    let report = world.night().await;
    assert_eq!(report.exit().code(), 0, "{:?}", ends(&report));
    world.assert_in_step();
    world.rest().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn d10_a_locked_account_is_left_alone_until_its_time_whoever_runs() {
    let login = PracticeLogin { secret: "another".to_owned(), locked_after: 1, ..practice_login() };
    let tenant = Tenant::new("clinic", Api::Biot).logs_in(login);
    let mut world = World::adopted(4, vec![tenant]).await;
    world.marry_all();
    world.night().await;
    // The account is locked by now, which nobody was told yet.
    let report = world.night().await;
    assert_eq!((logins(&world, "clinic"), all(&world, "clinic")), (1, 1));
    let TenantEnd::Quarantined(state) = &of(&report, "clinic").end else {
        panic!("{:?}", ends(&report))
    };
    assert!(state.why.contains("locked: 401 SERVICE_LOCKED; nothing is tried before"), "{state:?}");
    // Somebody is impatient.
    world.now -= 23.hours();
    world.store("clinic").set_tenant_quarantine(None).unwrap();
    let report = world.night().await;
    let TenantEnd::Paused { .. } = &of(&report, "clinic").end else {
        panic!("{:?}", ends(&report))
    };
    assert_eq!(all(&world, "clinic"), 0);
    world.sandbox.set_login("clinic", practice_login());
    let report = world.night().await;
    assert_eq!(report.exit().code(), 0, "{:?}", ends(&report));
    world.assert_in_step();
    world.rest().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_tenants_with_one_client_have_tokens_of_their_own() {
    let tenants = ["one", "two"].map(|name| {
        let login = PracticeLogin { stem: format!("{name}-only"), ..practice_login() };
        Tenant::new(name, Api::Workiva).logs_in(login)
    });
    let mut world = World::adopted(9, tenants.into()).await;
    world.marry_all();
    let report = world.night().await;
    assert_eq!(report.exit().code(), 0, "{:?}", ends(&report));
    assert_eq!((logins(&world, "one"), logins(&world, "two")), (1, 1));
    world.assert_in_step();
    world.rest().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn d02_d09_a_login_is_tried_again_as_its_target_asks_and_no_more_often() {
    let wait = RetryAfterForm::Seconds(1);
    let cases = [
        ("throttled", Fault::Throttle { retry_after: wait }, 1000),
        ("unavailable", Fault::Unavailable { retry_after: wait }, 1000),
        ("not_now", Fault::Unavailable { retry_after: RetryAfterForm::None }, 0),
        ("failed", Fault::Error500NotApplied, 0),
        ("lost", Fault::LostRequest, 0),
        ("page", Fault::Error502Html, 0),
    ];
    let tenants = cases.clone().map(|(name, fault, _)| {
        let faults = Faults::script([(1, fault)]);
        Tenant::new(name, Api::Workiva).logs_in(practice_login()).faults(faults)
    });
    let mut world = World::adopted(4, tenants.into()).await;
    world.marry_all();
    let report = world.night().await;
    assert_eq!(report.exit().code(), 0, "{:?}", ends(&report));
    world.assert_in_step();
    for (name, _, least_ms) in cases {
        let seen = world.sandbox.requests(name);
        assert_eq!(logins(&world, name), 2, "{name}");
        assert!(seen[..2].iter().all(|seen| seen.method == "POST"), "{name}: {seen:?}");
        let apart = seen[1].at.saturating_sub(seen[0].at);
        assert!(apart >= Duration::from_millis(least_ms), "{name}: {apart:?}");
    }
    world.rest().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn g03_a_login_that_redirects_is_not_followed() {
    let tenant = Tenant::new("sly", Api::Kare).logs_in(practice_login());
    let tenant = tenant.faults(Faults::script([(1, Fault::Redirect)]));
    let mut world = World::adopted(4, vec![tenant]).await;
    world.marry_all();
    let report = world.night().await;
    let TenantEnd::Early(Ended::LoginRefused { why }) = &of(&report, "sly").end else {
        panic!("{:?}", ends(&report))
    };
    assert!(why.contains("redirect"), "{why}");
    assert_eq!(all(&world, "sly"), 1);
    let report = world.night().await;
    assert_eq!(report.exit().code(), 0, "{:?}", ends(&report));
    world.rest().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn inv7_the_calls_of_a_login_are_recorded_and_counted_in_the_quota() {
    // Twice as many as a window takes, and a token that is refused in between.
    let login = PracticeLogin { uses: Some(8), ..practice_login() };
    let tenant = Tenant::new("slow", Api::Datadog).logs_in(login).key("quota", "6/s");
    let mut world = World::adopted(12, vec![tenant]).await;
    world.marry_all();
    let began = world.now;
    let report = world.night().await;
    assert_eq!(report.exit().code(), 0, "{:?}", ends(&report));
    let seen = world.sandbox.requests("slow").len();
    assert_eq!(logins(&world, "slow"), 2);
    let recorded = world.store("slow").sends_since(began - 1.hour()).unwrap().len();
    assert!(recorded >= seen, "{recorded} of {seen}");
    // The target has counted too: a request too much would be a complaint.
    world.rest().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn d10_a_scope_that_is_narrower_than_asked_for_is_told_with_what_is_missing() {
    let scope = vec!["organization:read".to_owned()];
    let login = PracticeLogin { scope, ..practice_login() };
    let tenant = Tenant::new("narrow", Api::Workiva).logs_in(login);
    let mut world = World::adopted(3, vec![tenant]).await;
    world.marry_all();
    let report = world.night().await;
    let TenantEnd::Early(Ended::LoginRefused { why }) = &of(&report, "narrow").end else {
        panic!("{:?}", ends(&report))
    };
    assert!(why.contains("`organization:write` is missing"), "{why}");
    assert_eq!((logins(&world, "narrow"), all(&world, "narrow")), (1, 1));
}
