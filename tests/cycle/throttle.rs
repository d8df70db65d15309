//! Targets that ask for silence.

use crate::{
    company::Tenant,
    world::{World, exit_of, of},
};
use jiff::ToSpan;
use rosterd::{
    cycle::TenantEnd,
    sandbox::{Api, Fault, Faults, RetryAfterForm},
    sender::Ended,
};
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

fn throttle(retry_after: RetryAfterForm) -> Fault {
    Fault::Throttle { retry_after }
}

/// When each request came, and whether it was turned away.
fn times(world: &World, tenant: &str) -> Vec<(Duration, bool)> {
    let seen = world.sandbox.requests(tenant);
    seen.iter().map(|seen| (seen.at, matches!(seen.status, Some(429 | 503)))).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn d01_d02_d03_every_form_of_retry_after_silences_its_tenant_and_no_other() {
    // Each form, and the least silence that it must bring. A date has no fractions of a second.
    let forms = [
        ("absent", RetryAfterForm::None, SECOND),
        ("seconds", RetryAfterForm::Seconds(1), SECOND),
        ("zero", RetryAfterForm::Seconds(0), SECOND),
        ("fixdate", RetryAfterForm::ImfFixdate(1), SECOND / 10),
        ("rfc850", RetryAfterForm::Rfc850(1), SECOND / 10),
        ("asctime", RetryAfterForm::Asctime(1), SECOND / 10),
    ];
    let mut tenants: Vec<Tenant> = Vec::new();
    for (name, form, _) in forms {
        let faults = Faults::script([(3, throttle(form))]);
        tenants.push(Tenant::new(name, Api::Datadog).one_by_one().faults(faults));
    }
    let unavailable = Fault::Unavailable { retry_after: RetryAfterForm::Seconds(1) };
    let unavailable = Faults::script([(3, unavailable)]);
    tenants.push(Tenant::new("unavailable", Api::Biot).one_by_one().faults(unavailable));
    tenants.push(Tenant::new("well", Api::Datadog).key("quota", "4/s"));
    let mut world = World::adopted(9, tenants).await;
    world.marry_all();

    let report = world.night().await;
    assert_eq!(report.exit().code(), 0);
    world.assert_in_step();
    let well = times(&world, "well");
    let unavailable = [("unavailable", RetryAfterForm::Seconds(1), SECOND)];
    for (name, _, least) in forms.into_iter().chain(unavailable) {
        let times = times(&world, name);
        // Nobody is asked twice but the one that was turned away.
        assert_eq!(times.len(), 10, "{name}");
        assert!(times[2].1, "{name}: {times:?}");
        let (told, next) = (times[2].0, times[3].0);
        assert!(next >= told + least, "{name}: silent for {:?} only", next.abs_diff(told));
        assert!(well.iter().any(|(at, _)| *at > told && *at < next), "{name} silenced another");
        assert_eq!(of(&report, name).results.requests.throttled, 1, "{name}");
    }
    world.rest().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn d08_retry_after_is_honoured_on_every_status() {
    let retry_after = RetryAfterForm::Seconds(1);
    // Turned away, and sent again.
    let statuses = [("s503", 503), ("s408", 408), ("s413", 413), ("s403", 403), ("s401", 401)];
    let tenant = |name: &str, fault| {
        let faults = Faults::script([(3, fault)]);
        Tenant::new(name, Api::Datadog).one_by_one().faults(faults)
    };
    let away =
        |(name, status): (&str, u16)| tenant(name, Fault::TurnedAway { status, retry_after });
    let mut tenants: Vec<Tenant> = statuses.map(away).into();
    // Served, and silent afterwards.
    tenants.push(tenant("served", Fault::WantsSilence { retry_after }));
    let mut world = World::adopted(5, tenants).await;
    world.marry_all();
    let report = world.night().await;
    assert_eq!(report.exit().code(), 0, "{report:?}");
    world.assert_in_step();
    for (name, requests) in statuses.map(|(name, _)| (name, 6)).into_iter().chain([("served", 5)]) {
        let times = times(&world, name);
        assert_eq!(times.len(), requests, "{name}");
        assert!(times[3].0 >= times[2].0 + SECOND, "{name}: {times:?}");
    }
    world.rest().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn d01_the_whole_tenant_is_silent_with_several_requests_in_flight() {
    let faults = Faults::script([(5, throttle(RetryAfterForm::Seconds(1)))]);
    let tenant = Tenant::new("acme", Api::Datadog).faults(faults);
    let mut world = World::adopted(24, vec![tenant]).await;
    world.marry_all();
    world.night().await;
    let times = times(&world, "acme");
    let told = times.iter().find(|(_, turned_away)| *turned_away).unwrap().0;
    // What had left already may arrive: four at most are under way.
    let during = times.iter().filter(|(at, _)| *at > told && *at < told + SECOND).count();
    assert!(during <= 4, "{during} requests after the target asked for silence");
    world.assert_in_step();
    world.rest().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn d04_a_retry_after_that_cannot_be_read_means_a_minute_also_for_the_next_run() {
    let forms = ["-1", "1.5", "+5", "120s", "", "soon"];
    let name = |number: usize| format!("form_{number}");
    let tenant = |(number, text)| {
        let faults = Faults::script([(1, throttle(RetryAfterForm::Invalid(text)))]);
        let tenant = Tenant::new(&name(number), Api::Datadog).one_by_one().faults(faults);
        tenant.key("run_deadline", "2s")
    };
    let mut world = World::adopted(1, forms.into_iter().enumerate().map(tenant).collect()).await;
    world.marry_all();
    let began = world.now;
    let report = world.night().await;
    for (number, form) in forms.into_iter().enumerate() {
        let name = name(number);
        assert_eq!(of(&report, &name).end, TenantEnd::Early(Ended::Deadline), "`{form}`");
        assert_eq!(exit_of(&report, &name), 5, "`{form}`");
        assert_eq!(world.sent(&name).len(), 1, "`{form}`");
        let pause = world.snapshot(&name).pause().unwrap().unwrap();
        assert!(pause.until >= began + 60.seconds(), "`{form}`");
    }
    // Half a minute later the next run waits too, until its own deadline.
    world.move_to(began + 30.seconds());
    world.rest().await;
    world.move_to(began + 5.minutes());
    world.night().await;
    world.assert_in_step();
    world.rest().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn d06_a_wait_of_more_than_an_hour_ends_the_run_and_outlives_it() {
    let asks = [("two_hours", 7_200), ("a_month", 2_592_000), ("for_ever", u64::MAX)];
    let mut tenants = vec![Tenant::new("well", Api::Datadog)];
    for (name, seconds) in asks {
        let faults = Faults::script([(2, throttle(RetryAfterForm::Seconds(seconds)))]);
        tenants.push(Tenant::new(name, Api::Datadog).one_by_one().faults(faults));
    }
    let mut world = World::adopted(5, tenants).await;
    world.marry_all();
    let began = world.now;
    let report = world.night().await;
    assert_eq!((exit_of(&report, "well"), report.exit().code()), (0, 5));
    for (name, _) in asks {
        let early = matches!(of(&report, name).end, TenantEnd::Early(Ended::Throttled { .. }));
        assert!(early, "{report:?}");
        assert_eq!(world.sent(name).len(), 2);
        assert_eq!(world.behind(name).len(), 4);
    }

    // Nobody is asked again too soon, whatever the day.
    world.move_to(began + 59.minutes());
    let report = world.rest().await;
    for (name, _) in asks {
        assert!(matches!(of(&report, name).end, TenantEnd::Paused { .. }), "{report:?}");
        assert_eq!(exit_of(&report, name), 5);
    }
    world.move_to(began + 2.hours() + 15.minutes());
    let report = world.night().await;
    assert_eq!(exit_of(&report, "two_hours"), 0);
    assert_eq!(world.sent("two_hours").len(), 4);
    assert_eq!(world.sent("a_month").len(), 0);

    world.move_to(began + (24 * 31).hours());
    let report = world.night().await;
    assert_eq!((exit_of(&report, "a_month"), world.sent("a_month").len()), (0, 4));
    assert!(matches!(of(&report, "for_ever").end, TenantEnd::Paused { .. }));
    world.rest().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_that_throttles_without_end_uses_up_the_time_of_its_run_and_no_more() {
    let storm = Faults::always(throttle(RetryAfterForm::Seconds(1)));
    let tenant = Tenant::new("acme", Api::Datadog).key("run_deadline", "2s").faults(storm);
    let mut world = World::adopted(8, vec![tenant]).await;
    world.marry_all();
    let began = world.now;
    let report = world.night().await;
    assert_eq!(of(&report, "acme").end, TenantEnd::Early(Ended::Deadline));
    assert_eq!(exit_of(&report, "acme"), 5);
    assert!(world.sent("acme").len() <= 12, "{:?}", world.sent("acme"));
    world.no_more_faults();
    world.move_to(began + 1.hour());
    world.night().await;
    world.assert_in_step();
    world.rest().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn inv7_the_quota_holds_in_every_window_also_across_runs() {
    let tenants = Api::ALL.map(|api| Tenant::new(api.name(), api).key("quota", "12/s"));
    let mut world = World::adopted(10, tenants.into()).await;
    for _ in 0..2 {
        world.marry_all();
        // Run after run, on a clock that goes on as the target's does.
        world.now = rosterd::daemon::now();
        let report = world.night().await;
        assert_eq!(report.exit().code(), 0);
        world.assert_in_step();
        for tenant in Api::ALL.map(Api::name) {
            assert_eq!(of(&report, tenant).results.requests.throttled, 0);
        }
    }
    world.rest().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn d35_a_quota_that_is_lower_than_configured_is_kept_by_waiting() {
    let tenant = Tenant::new("acme", Api::Datadog).practice_quota("5/s");
    let mut world = World::adopted(8, vec![tenant]).await;
    world.marry_all();
    let report = world.night().await;
    assert_eq!(report.exit().code(), 0);
    assert!(of(&report, "acme").results.requests.throttled >= 1);
    world.assert_in_step();
    let complaints = world.sandbox.violations("acme");
    assert!(complaints.iter().all(|complaint| complaint.contains("quota")), "{complaints:?}");
    assert_eq!(world.night().await.tenants[0].results.requests.patches, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn d01_a_tenant_that_is_silent_while_it_reads_keeps_no_other_from_sending() {
    let faults = Faults::script([(2, throttle(RetryAfterForm::Seconds(2)))]);
    let silent = Tenant::new("silent", Api::Datadog).one_by_one().faults(faults);
    // Nobody is known yet, so everybody is read first.
    let mut world = World::new(4, vec![silent, Tenant::new("well", Api::Biot)]).await;
    world.marry_all();
    let report = world.night().await;
    assert_eq!(report.exit().code(), 0);
    assert_eq!((world.count("well", "GET"), world.count("well", "PATCH")), (4, 4));
    let silent = times(&world, "silent");
    assert!(silent[1].1, "{silent:?}");
    let (last, _) = *times(&world, "well").last().unwrap();
    assert!(last < silent[2].0, "it sent until {last:?}, and the other spoke at {silent:?}");
    world.assert_in_step();
    world.rest().await;
}
