//! What is special about one target.

use crate::{
    company::Tenant,
    world::{World, exit_of, of},
};
use rosterd::{cycle::TenantEnd, sandbox::Api};

#[tokio::test(flavor = "multi_thread")]
async fn kares_names_are_looked_at_after_the_patch_that_does_not_show_them() {
    let mut world = World::adopted(3, vec![Tenant::new("kare", Api::Kare)]).await;
    world.change(1, |person| {
        person.set("given_name", "Other");
    });
    let report = world.night().await;
    assert_eq!(world.sent("kare"), ["GET E00001", "PATCH E00001 firstName"]);
    let results = &of(&report, "kare").results;
    assert_eq!((results.settled, results.unverified, results.not_accepted), (1, 0, 0));
    world.assert_in_step();
    world.rest().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn where_reads_are_switched_off_what_no_answer_shows_is_taken_to_hold() {
    let tenant = Tenant::new("kare", Api::Kare).flag("reads", false);
    let mut world = World::adopted(3, vec![tenant]).await;
    world.change(1, |person| {
        person.set("given_name", "Other");
    });
    let report = world.night().await;
    assert_eq!(world.sent("kare"), ["PATCH E00001 firstName"]);
    assert_eq!(of(&report, "kare").results.unverified, 1);
    world.assert_in_step();
    world.rest().await;
}

fn of_2022(tenant: Tenant) -> Tenant {
    tenant.api_version("2022-01-01")
}

#[tokio::test(flavor = "multi_thread")]
async fn c10_workivas_old_version_is_announced_and_after_its_end_not_used() {
    let tenants = vec![of_2022(Tenant::new("old", Api::Workiva)), Tenant::new("new", Api::Workiva)];
    let mut world = World::adopted(3, tenants).await;
    world.marry_all();
    let report = world.night().await;
    let notices = |tenant| &of(&report, tenant).notices;
    assert_eq!((notices("old").len(), notices("new").len()), (1, 0));
    assert!(!notices("old").first().unwrap().refuses);
    assert_eq!((exit_of(&report, "old"), exit_of(&report, "new")), (0, 0));
    world.assert_in_step();
    world.rest().await;

    // The last day is a day; two days later is too late.
    world.now = "2027-01-31T12:00:00Z".parse().unwrap();
    world.marry_all();
    assert_eq!(world.night().await.exit().code(), 0);
    world.assert_in_step();
    world.now = "2027-02-02T02:30:00Z".parse().unwrap();
    world.marry_all();
    let preview = world.preview();
    let report = world.night().await;
    for report in [&preview, &report] {
        let old = of(report, "old");
        assert!(matches!(old.end, TenantEnd::Unusable { .. }), "{old:?}");
        assert!(old.notices.first().unwrap().refuses);
        assert_eq!(exit_of(report, "old"), 78);
    }
    assert_eq!((world.sent("old").len(), world.count("new", "PATCH")), (0, 3));

    world.change_tenant("old", |tenant| tenant.api_version("2026-01-01"));
    assert_eq!(world.night().await.exit().code(), 0);
    assert_eq!(world.count("old", "PATCH"), 3);
    world.assert_in_step();
    world.rest().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn biots_names_travel_together_whatever_the_server_does_to_those_left_out() {
    let mut world = World::adopted(2, vec![Tenant::new("biot", Api::Biot)]).await;
    world.change(1, |person| {
        person.set("given_name", "Other");
    });
    world.night().await;
    assert_eq!(world.sent("biot"), ["PATCH E00001 _name.firstName _name.lastName"]);
    world.assert_in_step();
    world.rest().await;
}
