//! The verbs about users and tenants that wait.

use crate::{company::Tenant, stage::Stage};
use rosterd::{
    daemon::holder,
    model::{TenantId, UserKey},
    sandbox::{Api, Fault, Faults},
    store::Store,
};
use serde_json::Value;

const ACME: [&str; 2] = ["--tenant", "acme"];

/// Eight people, all of whom have a change.
fn stage() -> Stage {
    let mut stage = Stage::adopted(8, vec![Tenant::new("acme", Api::Datadog).one_by_one()]);
    stage.marry_all();
    stage
}

fn with<'a>(verb: &[&'a str], rest: &[&'a str]) -> Vec<&'a str> {
    verb.iter().chain(rest).copied().collect()
}

fn json(stage: &Stage, arguments: &[&str]) -> Value {
    let ended = stage.run(arguments);
    serde_json::from_str(&ended.stdout).unwrap_or_else(|_| panic!("{ended:?}"))
}

#[test]
fn who_is_held_by_hand_is_told_with_who_and_why_and_is_sent_once_released() {
    let stage = stage();
    let hold = ["hold", " E00002 ", "--reason", "on leave", "--until", "2999-01-01"];
    let ended = stage.run_with(&with(&hold, &ACME), &[("USER", "anna")]);
    assert_eq!((ended.code, ended.stderr.as_str()), (0, ""));
    assert_eq!(ended.stdout, "acme: E00002 is held\n");

    let ended = stage.run(&["plan"]);
    assert_eq!(ended.code, 4);
    for told in ["E00002", "held by hand", "held by anna: on leave", "until 2999-01-01 00:00:00"] {
        assert!(ended.stdout.contains(told), "{told} is not in {}", ended.stdout);
    }
    let plan = json(&stage, &["plan", "--json"]);
    let told = &plan["tenants"][0]["held"][0];
    assert_eq!((told["key"].as_str(), told["reason"].as_str()), (Some("E00002"), Some("by_hand")));
    assert_eq!(told["timer"]["next_try"], "2999-01-01T00:00:00Z");
    assert!(stage.run(&["status"]).stdout.contains("held by hand"));
    assert_eq!(json(&stage, &["status", "--json"])["tenants"][0]["held_by_hand"], 1);

    assert_eq!(stage.run(&["run"]).code, 4);
    assert_eq!(stage.sent("acme").len(), 7);
    assert_eq!(stage.assert_at_rest().code, 4);

    let ended = stage.run(&with(&["release", "E00002"], &ACME));
    assert_eq!((ended.code, ended.stdout.as_str()), (0, "acme: E00002 is released\n"));
    let again = stage.run(&with(&["release", "E00002"], &ACME));
    assert!(again.code == 0 && again.stderr.contains("does not hold"), "{again:?}");
    assert_eq!(stage.run(&["run"]).code, 0);
    stage.assert_in_step();
    stage.assert_at_rest();
}

#[test]
fn a_hold_of_a_key_that_nobody_has_warns_and_is_kept() {
    let stage = stage();
    let ended = stage.run(&with(&["hold", "E77777", "--reason", "not yet"], &ACME));
    assert_eq!(ended.code, 0);
    assert!(ended.stderr.contains("nobody of the key `E77777`"), "{}", ended.stderr);
    let held = stage.snapshot("acme").holds().unwrap();
    assert_eq!(held.keys().map(UserKey::as_str).collect::<Vec<_>>(), ["E77777"]);
    assert_eq!(stage.run(&["run"]).code, 0);
    stage.assert_in_step();
    stage.assert_at_rest();
}

#[test]
fn exit_6_nobody_is_held_while_another_process_has_the_state() {
    let stage = stage();
    let acme = TenantId::parse("acme").unwrap();
    let store = Store::open(&stage.path("state"), &acme, &holder()).unwrap();
    for verb in [
        &["hold", "E00001", "--reason", "leave"][..],
        &["release", "E00001"],
        &["quarantine", "retry", "E00001"],
    ] {
        let ended = stage.run(&with(verb, &ACME));
        assert_eq!(ended.code, 6, "{verb:?}: {}", ended.stderr);
        assert!(ended.stderr.contains("acme"), "{}", ended.stderr);
    }
    drop(store);
    assert_eq!(stage.run(&["run"]).code, 0);
    stage.assert_at_rest();
}

#[test]
fn who_was_refused_is_listed_and_tried_at_once_when_a_person_says_so() {
    let mut stage = stage();
    stage.sandbox.set_faults("acme", Faults::script([(2, Fault::Forbidden)]));
    assert_eq!(stage.run(&["run"]).code, 4);
    assert_eq!(stage.assert_at_rest().code, 4);
    let ended = stage.run(&["quarantine", "list"]);
    assert_eq!((ended.code, ended.stderr.as_str()), (0, ""));
    for told in ["Tenant acme", "E00002", "the target refused it (status 403", "1 try", "next try"]
    {
        assert!(ended.stdout.contains(told), "{told} is not in {}", ended.stdout);
    }
    let list = json(&stage, &["quarantine", "list", "--json", "--tenant", "acme"]);
    let user = &list["tenants"][0]["users"][0];
    assert_eq!((user["key"].as_str(), user["reason"].as_str()), (Some("E00002"), Some("refused")));
    assert_eq!((user["tries"].as_u64(), user["given_up"].as_bool()), (Some(1), Some(false)));
    assert_eq!(json(&stage, &["status", "--json"])["tenants"][0]["in_quarantine"], 1);

    let ended = stage.run(&with(&["quarantine", "retry", "E00002"], &ACME));
    assert_eq!((ended.code, ended.stdout.as_str()), (0, "acme: 1 user\n"));
    assert_eq!(stage.run(&["run"]).code, 0);
    stage.assert_in_step();
    assert!(stage.run(&["quarantine", "list"]).stdout.contains("nobody is in quarantine"));
    let ended = stage.run(&with(&["quarantine", "release", "E00002"], &ACME));
    assert!(ended.stderr.contains("none of them is in quarantine"), "{ended:?}");
    stage.assert_at_rest();

    // All of them at once.
    stage.marry_all();
    stage
        .sandbox
        .set_faults("acme", Faults::script([(2, Fault::Forbidden), (4, Fault::Forbidden)]));
    assert_eq!(stage.run(&["run"]).code, 4);
    let ended = stage.run(&with(&["quarantine", "release", "--all"], &ACME));
    assert_eq!(ended.stdout, "acme: 2 users\n");
    assert_eq!(stage.run(&["run"]).code, 0);
    stage.assert_in_step();
    stage.assert_at_rest();
}

#[test]
fn d10_a_tenant_in_quarantine_exits_with_5_and_is_probed_when_a_person_says_so() {
    let stage = stage();
    stage.sandbox.set_faults("acme", Faults::always(Fault::Unauthorized));
    assert_eq!(stage.run(&["run"]).code, 1);
    stage.no_more_faults();
    assert_eq!(stage.assert_at_rest().code, 5);
    assert_eq!(stage.run(&["plan"]).code, 5);
    let status = json(&stage, &["status", "--json"]);
    assert_eq!(status["tenants"][0]["quarantine"]["cause"], "credentials");
    assert!(stage.run(&["status"]).stdout.contains("next probe"));
    let list = stage.run(&["quarantine", "list"]).stdout;
    assert!(list.contains("the tenant itself: the target refuses the credentials"), "{list}");

    let ended = stage.run(&with(&["quarantine", "retry"], &ACME));
    assert_eq!(ended.stdout, "acme: 0 users, and the tenant itself\n");
    let ended = stage.run(&["run"]);
    assert_eq!(ended.code, 0);
    assert!(ended.stdout.contains("out of quarantine"), "{}", ended.stdout);
    stage.assert_in_step();
    stage.assert_at_rest();
}

#[test]
fn a_user_is_asked_for_as_the_source_spells_keys_and_an_unknown_one_is_told() {
    let mut stage = Stage::new(8, vec![Tenant::new("acme", Api::Datadog)]);
    stage.configure("fold_key_case = true");
    assert_eq!(stage.run(&["adopt", "--yes"]).code, 0);
    stage.marry_all();
    for typed in ["e00003", " E00003 "] {
        let plan = json(&stage, &["plan", "--json", "--user", typed]);
        assert_eq!(plan["tenants"][0]["changes"][0]["remote_id"], stage.people[2].get("uuid"));
        let findings = plan["findings"].as_array().unwrap();
        assert!(findings.iter().all(|finding| finding["code"] != "RD-1060"), "{findings:?}");
    }
    for verb in [&["plan"][..], &["run"], &["apply", "--yes"]] {
        let ended = stage.run(&with(verb, &["--user", "E00033"]));
        let told = "nobody in this source has the key `e00033`";
        assert!(ended.stdout.contains(told), "{verb:?}: {}", ended.stdout);
    }
    assert_eq!(stage.requests(), 0);
}
