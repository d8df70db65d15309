//! Looking, saving what was looked at, and sending exactly that.

use crate::{
    company::Tenant,
    stage::{Stage, files},
};
use rosterd::sandbox::{Api, Fault, RetryAfterForm};
use std::{fs, os::unix::fs::PermissionsExt, time::Duration};

#[test]
fn inv14_a_plan_changes_no_byte_of_the_state_and_sends_nothing() {
    let mut stage = Stage::new(5, Tenant::of_each_api());
    for arguments in [&["plan"][..], &["run", "-n"], &["check"], &["status"]] {
        assert_eq!(stage.run(arguments).code, 0);
        assert!(!stage.path("state").exists(), "{arguments:?} made a state");
    }
    assert_eq!(stage.run(&["run"]).code, 0);
    stage.sandbox.clear_requests();
    stage.marry_all();
    let before = files(&stage.path("state"));
    assert!(before.len() >= 5);
    for arguments in [
        &["plan"][..],
        &["plan", "--json"],
        &["plan", "--detailed-exitcode"],
        &["plan", "--user", "E00001"],
        &["plan", "--out", "plan.json"],
        &["run", "--dry-run"],
        &["check"],
        &["status"],
        &["status", "--json"],
    ] {
        stage.run(arguments);
        assert!(files(&stage.path("state")) == before, "{arguments:?} changed the state");
    }
    assert_eq!(stage.requests(), 0);
    assert_eq!(stage.run(&["run"]).code, 0);
    stage.assert_in_step();
    stage.assert_at_rest();
}

#[test]
fn the_files_of_the_state_are_their_owners_alone() {
    let stage = Stage::new(2, Tenant::of_each_api());
    assert_eq!(stage.run(&["run"]).code, 0);
    let mode = fs::metadata(stage.path("state")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
    for (path, (mode, _)) in files(&stage.path("state")) {
        assert_eq!(mode & 0o777, 0o600, "{}", path.display());
    }
}

#[test]
fn a_saved_plan_is_private_and_apply_sends_exactly_it() {
    let mut stage = Stage::adopted(
        5,
        vec![Tenant::new("datadog", Api::Datadog), Tenant::new("biot", Api::Biot)],
    );
    stage.change(3, "title", "Head of Sales");
    assert_eq!(stage.run(&["plan", "--out", "plan.json"]).code, 0);
    let mode = fs::metadata(stage.path("plan.json")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert!(
        serde_json::from_str::<serde_json::Value>(&stage.read("plan.json")).unwrap().is_object()
    );

    assert_eq!(stage.run(&["apply", "plan.json"]).code, 64);
    assert_eq!(stage.requests(), 0);
    let ended = stage.run(&["apply", "plan.json", "--yes"]);
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    assert_eq!(stage.sent("datadog"), ["PATCH E00003 title"]);
    assert_eq!(stage.sent("biot"), ["PATCH E00003 jobTitle"]);
    stage.assert_in_step();

    // What it would change is changed: a second time it is stale.
    assert_eq!(stage.run(&["apply", "plan.json", "--yes"]).code, 1);
    assert_eq!(stage.requests(), 2);
    stage.assert_at_rest();
}

#[test]
fn a_saved_plan_is_refused_once_the_roster_has_changed() {
    let mut stage = Stage::adopted(5, vec![Tenant::new("acme", Api::Datadog)]);
    stage.change(3, "title", "Head of Sales");
    assert_eq!(stage.run(&["plan", "--out", "plan.json"]).code, 0);
    stage.change(4, "title", "Head of Design");
    let ended = stage.run(&["apply", "plan.json", "--yes"]);
    assert_eq!(ended.code, 1);
    assert!(ended.stderr.contains("stale"), "{}", ended.stderr);
    assert_eq!(stage.requests(), 0);

    // As it was again, it is the plan that was saved.
    stage.change(4, "title", "Engineer");
    assert_eq!(stage.run(&["apply", "plan.json", "--yes"]).code, 0);
    assert_eq!(stage.sent("acme"), ["PATCH E00003 title"]);
    stage.assert_in_step();
    stage.assert_at_rest();
}

#[test]
fn a_saved_plan_is_refused_once_the_state_has_changed() {
    let mut stage = Stage::adopted(5, vec![Tenant::new("acme", Api::Datadog)]);
    stage.change(3, "title", "Head of Sales");
    stage.change(4, "title", "Head of Design");
    assert_eq!(stage.run(&["plan", "--out", "plan.json"]).code, 0);
    assert_eq!(stage.run(&["run", "--user", "E00003"]).code, 0);
    assert_eq!(stage.sent("acme"), ["PATCH E00003 title"]);
    assert_eq!(stage.run(&["apply", "plan.json", "--yes"]).code, 1);
    assert_eq!(stage.requests(), 1);
    assert_eq!(stage.run(&["apply", "--yes"]).code, 0);
    assert_eq!(stage.sent("acme"), ["PATCH E00003 title", "PATCH E00004 title"]);
    stage.assert_in_step();
    stage.assert_at_rest();
}

#[test]
fn a_saved_plan_of_a_source_that_is_not_there_any_more_is_refused() {
    let mut stage = Stage::adopted(3, vec![Tenant::new("acme", Api::Datadog)]);
    stage.change(3, "title", "Head of Sales");
    assert_eq!(stage.run(&["plan", "--out", "plan.json"]).code, 0);
    let renamed = stage.read("rosterd.toml").replace("sources.people", "sources.staff");
    stage.write("rosterd.toml", &renamed.replace("\"people\"", "\"staff\""));
    let ended = stage.run(&["apply", "plan.json", "--yes"]);
    assert_eq!(ended.code, 1);
    assert!(ended.stderr.contains("people"), "{}", ended.stderr);
    assert_eq!(stage.requests(), 0);
}

#[test]
fn a_file_that_is_no_plan_is_refused() {
    let mut stage = Stage::adopted(2, vec![Tenant::new("acme", Api::Datadog)]);
    stage.marry_all();
    stage.write("half.json", "{\"format_version\": \"1.0\", \"kind\":");
    for file in ["half.json", "roster.csv", "nowhere.json"] {
        let ended = stage.run(&["apply", file, "--yes"]);
        assert_eq!(ended.code, 1, "{file}");
        assert!(ended.stderr.contains(file), "{}", ended.stderr);
    }
    assert_eq!(stage.requests(), 0);
}

#[test]
fn a_refreshed_plan_only_reads() {
    let mut stage = Stage::new(4, Tenant::of_each_api());
    let tenants = stage.tenants.clone();
    stage.marry_all();
    assert_eq!(stage.run(&["plan", "--refresh", "--detailed-exitcode"]).code, 2);
    for tenant in &tenants {
        assert!(stage.sent(&tenant.name).iter().all(|request| request.starts_with("GET ")));
        assert_eq!(stage.sent(&tenant.name).len(), 4);
    }
    stage.sandbox.clear_requests();
    assert_eq!(stage.run(&["run"]).code, 0);
    assert!(stage.sent("datadog").iter().all(|request| request.starts_with("PATCH ")));
    stage.assert_in_step();
    stage.assert_at_rest();
}

#[test]
fn a_run_for_one_user_or_one_tenant_leaves_the_others_for_later() {
    let mut stage =
        Stage::adopted(3, vec![Tenant::new("one", Api::Datadog), Tenant::new("two", Api::Datadog)]);
    for number in 1..=3 {
        stage.change(number, "title", "Head of Sales");
    }
    assert_eq!(stage.run(&["run", "--user", "E00002", "--tenant", "one"]).code, 0);
    assert_eq!(stage.sent("one"), ["PATCH E00002 title"]);
    assert_eq!(stage.sent("two"), [""; 0]);
    assert_eq!(stage.run(&["apply", "--yes", "--tenant", "one"]).code, 0);
    assert_eq!((stage.sent("one").len(), stage.sent("two").len()), (3, 0));
    assert_eq!(stage.run(&["run"]).code, 0);
    assert_eq!((stage.sent("one").len(), stage.sent("two").len()), (3, 3));
    stage.assert_in_step();
    stage.assert_at_rest();
}

#[test]
fn d01_a_tenant_that_is_silent_keeps_no_other_source_from_running() {
    let silence = Fault::Throttle { retry_after: RetryAfterForm::Seconds(2) };
    let silent = Tenant::new("silent", Api::Datadog).one_by_one().once(silence);
    let tenants = vec![silent.key("source", "first"), Tenant::new("well", Api::Datadog)];
    let mut stage = Stage::new(3, tenants);
    stage.configure("[sources.first.csv]\npath = \"roster.csv\"\nkey = \"employee_id\"");
    stage.marry_all();
    let ended = stage.run(&["run", "--json"]);
    assert_eq!(ended.code, 0, "{ended:?}");
    assert_eq!(ended.stdout.lines().count(), 2, "one document for each source");
    let last = |tenant: &str| stage.sandbox.requests(tenant).last().unwrap().at;
    assert!(last("well") + Duration::from_secs(1) < last("silent"));
    stage.assert_in_step();
    stage.assert_at_rest();
}
