//! A machine's clock that is set between two nights.

use crate::{
    company::Tenant,
    world::{World, exit_of, of},
};
use jiff::{Span, ToSpan};
use rosterd::{
    cycle::TenantEnd,
    model::HeldReason,
    sandbox::{Api, Fault, Faults, RetryAfterForm},
};

const YEARS: [i64; 2] = [-10, 10];

fn years(count: i64) -> Span {
    (count * 366 * 24).hours()
}

#[tokio::test(flavor = "multi_thread")]
async fn e14_a_clock_that_steps_by_years_changes_nothing_of_what_is_sent() {
    for step in YEARS {
        let mut world = World::adopted(6, vec![Tenant::new("acme", Api::Datadog)]).await;
        world.marry_all();
        assert_eq!(exit_of(&world.night().await, "acme"), 0);
        world.move_to(world.now + years(step));
        world.rest().await;
        world.marry_all();
        assert_eq!(exit_of(&world.night().await, "acme"), 0);
        world.assert_in_step();
        world.move_to(world.now - years(step));
        world.rest().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn e14_a_silence_is_as_long_as_it_was_asked_for_when_the_clock_is_set_back() {
    let asks = Fault::Throttle { retry_after: RetryAfterForm::Seconds(7_200) };
    let tenant = Tenant::new("acme", Api::Datadog).one_by_one().faults(Faults::script([(2, asks)]));
    let mut world = World::adopted(5, vec![tenant]).await;
    world.marry_all();
    let began = world.now;
    assert_eq!(exit_of(&world.night().await, "acme"), 5);

    let back = began - years(10);
    for minutes in [0, 59] {
        world.move_to(back + minutes.minutes());
        let report = world.rest().await;
        assert!(matches!(of(&report, "acme").end, TenantEnd::Paused { .. }), "{report:?}");
    }
    world.move_to(back + 2.hours() + 15.minutes());
    assert_eq!(exit_of(&world.night().await, "acme"), 0);
    world.assert_in_step();
    world.rest().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn e14_nobody_stays_in_quarantine_for_years_because_the_clock_was_set_back() {
    let forbidden = Fault::Forbidden;
    let tenant =
        Tenant::new("acme", Api::Datadog).one_by_one().faults(Faults::script([(1, forbidden)]));
    let mut world = World::adopted(3, vec![tenant]).await;
    world.marry_all();
    let report = world.night().await;
    assert_eq!(of(&report, "acme").results.refused, 1);
    world.move_to(world.now - years(10));
    let report = world.night().await;
    let held = &of(&report, "acme").plan.as_ref().unwrap().held;
    assert!(held.iter().all(|held| held.reason != HeldReason::Refused), "{held:?}");
    world.assert_in_step();
    world.rest().await;
}
