//! What can happen to one request. Each fault has tenants of its own, and all of them go side by
//! side, so that every one also proves that it concerns nobody else.

use crate::{
    company::Tenant,
    world::{World, exit_of, of},
};
use jiff::ToSpan;
use rosterd::{
    config::TenantConfig,
    cycle::{Edges, Progress, Silent, TenantEnd},
    model::Request,
    sandbox::{Api, Fault, Faults, RetryAfterForm},
    sender::{Ended, Sending, Transport, Within},
};
use secrecy::SecretString;
use std::{collections::BTreeMap, sync::Arc, time::Duration};

const FAULTS: [(&str, Fault); 17] = [
    ("lost_answer", Fault::LostAnswer),
    ("lost_request", Fault::LostRequest),
    ("late_effect", Fault::LateEffect(Duration::from_millis(100))),
    ("slow", Fault::Slow(Duration::from_secs(3))),
    ("error_500_applied", Fault::Error500Applied),
    ("error_500_not", Fault::Error500NotApplied),
    ("error_504_applied", Fault::Error504Applied),
    ("error_504_not", Fault::Error504NotApplied),
    ("error_502_html", Fault::Error502Html),
    ("cut_body", Fault::CutBody),
    ("empty_body", Fault::EmptyBody),
    ("other_user", Fault::OtherUser),
    ("redirect", Fault::Redirect),
    ("unauthorized", Fault::Unauthorized),
    ("forbidden", Fault::Forbidden),
    ("conflict", Fault::Conflict),
    ("unavailable", Fault::Unavailable { retry_after: RetryAfterForm::None }),
];

/// How the night of a fault that meets every PATCH ends.
fn exit_of_always(fault: &Fault) -> u8 {
    match fault {
        // Done, as a look afterwards shows.
        Fault::LostAnswer
        | Fault::Slow(_)
        | Fault::Error500Applied
        | Fault::Error504Applied
        | Fault::CutBody
        | Fault::EmptyBody
        | Fault::LateEffect(_) => 0,
        // Not done, and told user by user.
        Fault::LostRequest
        | Fault::Error500NotApplied
        | Fault::Error504NotApplied
        | Fault::Error502Html
        | Fault::Conflict
        | Fault::Forbidden
        | Fault::Unavailable { .. } => 4,
        // Nothing can succeed, which a person has to see.
        Fault::OtherUser | Fault::Redirect | Fault::Unauthorized => 1,
        Fault::Throttle { .. }
        | Fault::Ignored
        | Fault::Withheld
        | Fault::TurnedAway { .. }
        | Fault::WantsSilence { .. }
        | Fault::Rejects { .. } => unreachable!("it has a test of its own"),
    }
}

/// A tenant for each fault and API, and one that is well.
fn tenants(apis: &[Api], meets: fn(Tenant, Fault) -> Tenant) -> Vec<Tenant> {
    let mut tenants = vec![Tenant::new("well", Api::Datadog)];
    for (name, fault) in FAULTS {
        for api in apis {
            let tenant = Tenant::new(&format!("{name}_{api}"), *api);
            let short = matches!(fault, Fault::Slow(_));
            let tenant = if short { tenant.key("request_timeout", "1s") } else { tenant };
            tenants.push(meets(tenant, fault.clone()));
        }
    }
    tenants
}

fn fault_of(tenant: &str) -> Option<&'static Fault> {
    static CASES: std::sync::OnceLock<Vec<(&str, Fault)>> = std::sync::OnceLock::new();
    let cases = CASES.get_or_init(|| FAULTS.into());
    cases.iter().find(|(name, _)| tenant.starts_with(name)).map(|(_, fault)| fault)
}

/// Requests of one method for each user.
fn per_user(world: &World, tenant: &str, method: &str) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for request in world.sent(tenant) {
        let mut words = request.split(' ');
        if words.next() == Some(method) {
            *counts.entry(words.next().unwrap().to_owned()).or_default() += 1;
        }
    }
    counts
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fault_that_meets_every_patch_of_a_night_is_made_good_by_the_next() {
    // One user, so that no fault comes often enough to say something of the target as a whole.
    let mut world = World::adopted(1, tenants(&Api::ALL, Tenant::always)).await;
    world.marry_all();
    let report = world.night().await;
    let names: Vec<String> = world.tenants.iter().map(|tenant| tenant.name.clone()).collect();
    let mut behind = BTreeMap::new();
    for name in &names {
        let exit = exit_of(&report, name);
        assert_eq!(exit, fault_of(name).map_or(0, exit_of_always), "{name}");
        for method in ["PATCH", "GET"] {
            let counts = per_user(&world, name, method);
            assert!(counts.values().all(|count| *count <= 4), "{name}: {counts:?}");
        }
        let users = world.behind(name).into_iter().map(str::to_owned).collect::<Vec<_>>();
        assert!(exit != 0 || users.is_empty(), "{name}: behind are {users:?}");
        behind.insert(name.clone(), users);
    }
    assert_eq!(world.count("well", "PATCH"), 1);

    world.no_more_faults();
    let report = world.night().await;
    for name in &names {
        assert_eq!(exit_of(&report, name), 0, "{name}");
        // Who was as wished is looked at, at most, and not patched again.
        let patched = per_user(&world, name, "PATCH");
        let users: Vec<String> = patched.keys().cloned().collect();
        assert_eq!(users, behind[name], "{name}");
        assert!(patched.values().all(|count| *count == 1), "{name}: {patched:?}");
    }
    world.assert_in_step();
    world.calm().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn d24_d25_a_fault_that_meets_one_patch_is_made_good_within_the_night_where_that_can_be() {
    // One whose answer shows what was done, and one that has to be looked at.
    let apis = [Api::Datadog, Api::Kare];
    let mut world = World::adopted(3, tenants(&apis, Tenant::once)).await;
    world.marry_all();
    let report = world.night().await;
    for tenant in &world.tenants {
        let (name, exit) = (&tenant.name, exit_of(&report, &tenant.name));
        let stays = match fault_of(name) {
            Some(Fault::OtherUser | Fault::Redirect | Fault::Unauthorized) => 1,
            Some(Fault::Forbidden) => 4,
            _ => 0,
        };
        assert_eq!(exit, stays, "{name}");
        let patched = per_user(&world, name, "PATCH");
        assert!(patched.values().all(|count| *count <= 2), "{name}: {patched:?}");
        assert!(exit != 0 || world.behind(name).is_empty(), "{name}");
    }
    world.night().await;
    world.assert_in_step();
    world.calm().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_first_night_full_of_faults_is_made_good_by_two_without() {
    let shares = [
        Fault::LostAnswer,
        Fault::LostRequest,
        Fault::Error500Applied,
        Fault::Error502Html,
        Fault::CutBody,
        Fault::EmptyBody,
        Fault::Conflict,
        Fault::Unavailable { retry_after: RetryAfterForm::None },
    ];
    let faults = |seed| Faults::shares(seed, shares.clone().map(|fault| (0.03, fault)));
    let tenants = Api::ALL.into_iter().zip(1..);
    // One request after another, so that each seed gives the same night every time.
    let tenant =
        |(api, seed): (Api, u64)| Tenant::new(api.name(), api).faults(faults(seed)).one_by_one();
    let mut world = World::new(15, tenants.map(tenant).collect()).await;
    world.marry_all();
    let report = world.night().await;
    for tenant in Api::ALL.map(Api::name) {
        assert!([0, 4].contains(&exit_of(&report, tenant)), "{report:?}");
        let sent = world.sent(tenant).len();
        assert!(sent <= 15 * 2 * 2 + 50, "{tenant}: {sent} requests");
    }
    world.no_more_faults();
    world.night().await;
    world.assert_in_step();
    world.calm().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn d14_a_value_that_the_target_ignores_is_sent_once_and_told_every_time() {
    let tenants = Api::ALL.map(|api| Tenant::new(api.name(), api).always(Fault::Ignored));
    let mut world = World::adopted(2, tenants.into()).await;
    world.marry_all();
    let report = world.night().await;
    for tenant in &report.tenants {
        assert_eq!((tenant.exit().code(), tenant.results.not_accepted), (4, 2), "{tenant:?}");
    }
    let counts = Api::ALL.map(|api| world.count(api.name(), "PATCH"));
    let mut patches = counts.into_iter().sum::<usize>();
    assert_eq!(patches, 10);
    for night in 0..10 {
        // Something else of the row changes, so that it is looked at anew.
        world.change(1, |person| {
            person.set("status", if night % 2 == 0 { "leave" } else { "active" });
        });
        let report = world.night().await;
        patches += world.count("workiva", "PATCH") + world.count("kare", "PATCH");
        let told = |name: &str| {
            let plan = of(&report, name).plan.as_ref().unwrap();
            plan.held.iter().filter(|held| held.others_go).count()
        };
        assert_eq!((told("workiva"), told("kare")), (2, 2), "night {night}");
    }
    assert_eq!(patches, 10);
    world.no_more_faults();
    // Another wish is another chance.
    world.change(2, |person| {
        person.set("status", "active").set("family_name", "Again").set("department", "Design");
    });
    world.night().await;
    assert!(world.behind("workiva") == ["E00001"] && world.count("workiva", "PATCH") == 1);
    world.rest().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn d14_a_value_that_somebody_changes_at_the_target_is_no_reason_to_send() {
    let mut world = World::adopted(2, vec![Tenant::new("datadog", Api::Datadog)]).await;
    let mut account = world.people[0].account(Api::Datadog);
    account["title"] = "By hand".into();
    world.sandbox.set_account("datadog", world.people[0].id(Api::Datadog), account);
    world.rest().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn d10_a_tenant_with_bad_credentials_stops_at_once_and_the_other_does_not_notice() {
    let sick = Tenant::new("sick", Api::Datadog).one_by_one();
    let sick = sick.faults(Faults::always(Fault::Unauthorized));
    let mut world = World::adopted(6, vec![sick, Tenant::new("well", Api::Datadog)]).await;
    world.marry_all();
    let report = world.night().await;
    assert_eq!((exit_of(&report, "sick"), exit_of(&report, "well")), (1, 0));
    assert_eq!((world.sent("sick").len(), world.count("well", "PATCH")), (1, 6));
    // Within the hour nothing is sent, and when a person says so one request, however many could go
    // side by side.
    world.change_tenant("sick", |tenant| tenant.key("quota", "999/s"));
    world.now -= 1439.minutes();
    assert_eq!(exit_of(&world.night().await, "sick"), 5);
    assert_eq!(world.sent("sick").len(), 0);
    world.store("sick").set_tenant_quarantine(None).unwrap();
    world.now -= 1439.minutes();
    assert_eq!(exit_of(&world.night().await, "sick"), 1);
    assert_eq!(world.sent("sick").len(), 1);
    world.no_more_faults();
    world.night().await;
    world.assert_in_step();
    world.rest().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn d11_three_users_in_a_row_that_may_not_be_changed_end_the_run() {
    let tenant = Tenant::new("acme", Api::Datadog).one_by_one().always(Fault::Forbidden);
    let mut world = World::adopted(9, vec![tenant]).await;
    world.marry_all();
    let report = world.night().await;
    assert_eq!((exit_of(&report, "acme"), world.sent("acme").len()), (1, 3));
    world.no_more_faults();
    world.night().await;
    world.assert_in_step();
    world.rest().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn d09_a_target_that_fails_is_left_alone_after_ten_failures_and_all_work_is_kept() {
    let faults = [
        ("unavailable", Fault::Unavailable { retry_after: RetryAfterForm::None }),
        ("error_500", Fault::Error500NotApplied),
        ("lost", Fault::LostRequest),
    ];
    let tenant = |(name, fault): &(&str, Fault)| {
        let tenant = Tenant::new(name, Api::Datadog).faults(Faults::always(fault.clone()));
        // Too short for the half minute that it is left alone for.
        tenant.key("run_deadline", "20s")
    };
    let mut world = World::adopted(40, faults.iter().map(tenant).collect()).await;
    world.marry_all();
    let report = world.night().await;
    for (name, _) in &faults {
        let end = &of(&report, name).end;
        assert!(matches!(end, TenantEnd::Early(Ended::Unwell { .. })), "{name}: {end:?}");
        assert_eq!(exit_of(&report, name), 5);
        // Ten, and what was on its way by then.
        assert!(world.sent(name).len() <= 14, "{name}: {:?}", world.sent(name));
        assert_eq!(world.behind(name).len(), 40);
    }
    world.no_more_faults();
    world.night().await;
    world.assert_in_step();
    world.calm().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn d19_one_attribute_that_the_target_rejects_without_a_word_is_found_and_the_rest_is_sent() {
    let apis = [(Api::Datadog, "title"), (Api::Kare, "professionId"), (Api::Biot, "_email")];
    let reject = |(api, name): (Api, &'static str)| {
        Tenant::new(api.name(), api).always(Fault::Rejects { name })
    };
    let mut world = World::adopted(2, apis.map(reject).into()).await;
    world.change(1, |person| {
        person.marry();
        person.set("title", "Head of Sales").set("department", "Design");
        person.set("email", "another@example.org");
    });
    let report = world.night().await;
    for (api, name) in apis {
        let (tenant, acme) = (api.name(), of(&report, api.name()));
        assert_eq!(acme.exit().code(), 4, "{tenant}: {acme:?}");
        assert_eq!((acme.results.settled, acme.results.not_accepted), (1, 1), "{tenant}");
        let refused = world.snapshot(tenant).refused().unwrap();
        let paths: Vec<&str> = refused.iter().map(|wish| wish.path.as_str()).collect();
        assert_eq!(paths, [name], "{tenant}");
        assert!(world.count(tenant, "PATCH") <= 4, "{tenant}: {:?}", world.sent(tenant));
    }
    // It is told, and not sent again until it is another.
    world.rest().await;
    world.no_more_faults();
    world.change(1, |person| {
        person.set("title", "Head of Design").set("department", "Sales");
        person.set("email", "third@example.org");
    });
    world.night().await;
    world.assert_in_step();
    world.rest().await;
}

/// Fails as a defect of our own would, wherever it is.
#[derive(Debug)]
struct Defect;

impl Within for Defect {
    fn send<'a>(&'a self, _: Request, _: &'a BTreeMap<String, SecretString>) -> Sending<'a> {
        Box::pin(async { panic!("planted") })
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn e26_a_panic_of_one_tenant_ends_that_tenant_and_no_other() {
    let names = ["in_a_request", "in_its_task", "well"];
    let tenants = names.map(|name| Tenant::new(name, Api::Datadog)).into();
    let mut world = World::adopted(6, tenants).await;
    world.marry_all();
    let usual = Edges::default();
    let transport = usual.transport.clone();
    let planted = move |tenant: &TenantConfig, timeouts| match tenant.id.as_str() {
        "in_a_request" => Ok(Transport::Within(Arc::new(Defect))),
        "in_its_task" => panic!("planted"),
        _ => transport(tenant, timeouts),
    };
    let edges = Edges { transport: Arc::new(planted), scribe: usual.scribe };
    let mut session = world.open().through(&edges);
    let progress: Arc<dyn Progress> = Arc::new(Silent);
    session.carry_out(&progress).await;
    let report = session.finish(world.now);
    assert_eq!(names.map(|name| exit_of(&report, name)), [1, 1, 0], "{report:?}");
    assert_eq!((world.behind("well").len(), world.behind("in_its_task").len()), (0, 6));

    world.move_to(world.now + 24.hours());
    // What was on its way when it failed is in doubt, and looked at before anything is sent again.
    assert_eq!(world.night().await.exit().code(), 0);
    world.assert_in_step();
    world.calm().await;
}
