//! A server's ways are found out on one user, who is afterwards as before.

use crate::{company::Tenant, world::World};
use jiff::ToSpan;
use rosterd::{
    cycle::{self, Probed, Unprobed},
    daemon::holder,
    model::{RemoteId, TenantId},
    sandbox::{Api, Fault, Faults, RetryAfterForm, ScimQuirks},
};
use serde_json::{Value, json};

async fn probed(world: &World, name: &str) -> Result<Probed, Unprobed> {
    let (config, options) = (world.config(), world.options("probe"));
    let tenant = &config.tenants[&TenantId::parse(name).unwrap()];
    let id = RemoteId::parse(world.people[0].id(Api::Scim)).unwrap();
    cycle::probe(&config, tenant, &id, &options, &holder()).await
}

fn account(world: &World) -> Value {
    let mut account = world.sandbox.account("dir", world.people[0].id(Api::Scim)).unwrap();
    account["meta"] = Value::Null;
    account
}

async fn world(quirks: ScimQuirks) -> World {
    let tenant = Tenant::new("dir", Api::Scim).scim(quirks, "");
    let world = World::new(1, vec![tenant]).await;
    let mut user = world.people[0].account(Api::Scim);
    user["phoneNumbers"] = json!([{ "type": "home", "value": "+1", "display": "Home" }]);
    user["name"]["honorificSuffix"] = json!("III");
    world.sandbox.set_account("dir", world.people[0].id(Api::Scim), user);
    world
}

#[tokio::test(flavor = "multi_thread")]
async fn each_way_of_a_server_is_found_out_and_the_user_is_put_back() {
    let strict = ScimQuirks::default;
    for (quirks, found) in [
        (strict(), json!({})),
        (ScimQuirks { no_content: true, no_pathless: true, ..strict() }, json!({})),
        (
            ScimQuirks { no_value_paths: true, plain_errors: true, ..strict() },
            json!({ "value_paths": false }),
        ),
        (
            ScimQuirks { one_operation_per_attribute: true, ..strict() },
            json!({ "one_operation_per_attribute": true }),
        ),
        (ScimQuirks { no_remove: true, ..strict() }, json!({ "remove": false })),
        (ScimQuirks { only_put: true, ..strict() }, json!({ "method": "put" })),
        (
            ScimQuirks { no_paths: true, ..strict() },
            json!({ "paths": false, "value_paths": false }),
        ),
        (ScimQuirks { only_json: true, ..strict() }, json!({ "media_type": "application/json" })),
        (ScimQuirks { like_entra: true, ..strict() }, json!({ "capital_ops": true })),
    ] {
        let world = world(quirks.clone()).await;
        let before = account(&world);
        let Probed { settings, notes: _, left } = probed(&world, "dir").await.unwrap();
        let settings: serde_json::Map<_, _> =
            settings.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
        assert_eq!(Value::Object(settings), found, "{quirks:?}");
        assert_eq!(left, [""; 0], "{quirks:?}");
        assert_eq!(account(&world), before, "{quirks:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_probe_that_is_refused_says_what_may_not_be_as_it_was() {
    let world = world(ScimQuirks::default()).await;
    world.sandbox.set_faults("dir", Faults::always(Fault::Forbidden).only_patches());
    match probed(&world, "dir").await {
        Err(Unprobed::Failed { why, left }) => {
            assert!(why.contains("403"), "{why}");
            assert_eq!(left, ["title"]);
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn inv7_the_requests_of_a_probe_count_within_the_quota() {
    let world = world(ScimQuirks::default()).await;
    probed(&world, "dir").await.unwrap();
    let sent = world.sandbox.requests("dir").len();
    let since = "2026-01-01T00:00:00Z".parse().unwrap();
    assert_eq!(world.store("dir").sends_since(since).unwrap().len(), sent);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_silence_that_a_probe_is_asked_for_is_kept_by_the_runs_that_follow() {
    let world = world(ScimQuirks::default()).await;
    let asks = Fault::Throttle { retry_after: RetryAfterForm::Seconds(600) };
    world.sandbox.set_faults("dir", Faults::always(asks));
    assert!(matches!(probed(&world, "dir").await, Err(Unprobed::Failed { .. })));
    assert!(world.store("dir").pause().unwrap().unwrap().until > world.now + 590.seconds());
}
