//! Looking at what targets hold now.

use crate::{company::Tenant, stage::Stage};
use rosterd::sandbox::Api;
use serde_json::{Value, json};

fn acme() -> Vec<Tenant> {
    vec![Tenant::new("acme", Api::Datadog)]
}

/// Somebody at the target does that.
fn set_title(stage: &Stage, number: usize, title: &str) {
    let id = stage.people[number - 1].id(Api::Datadog);
    let mut account = stage.sandbox.account("acme", id).unwrap();
    account["title"] = json!(title);
    stage.sandbox.set_account("acme", id, account);
}

#[test]
fn adopt_from_target_asks_nobody_and_the_first_run_sends_what_differs() {
    let mut stage = Stage::new(230, acme());
    stage.change(7, "title", "Director");
    let ended = stage.run(&["adopt", "--from-target"]);
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    let told = "acme: 230 users listed on 3 pages; 230 of the roster are known now, 230 of them anew and \
                0 linked; 0 of the roster are not listed, 0 of the listed are nobody's here\n";
    assert!(ended.stdout.starts_with(told), "{}", ended.stdout);
    assert_eq!(stage.requests(), 3);
    stage.sandbox.clear_requests();
    assert_eq!(stage.run(&["run"]).code, 0);
    assert_eq!(stage.sent("acme"), ["PATCH E00007 title"]);
    stage.assert_in_step();
    stage.assert_at_rest();
}

#[test]
fn adopt_from_target_tells_whom_it_cannot_link_and_why() {
    let mut stage = Stage::new(4, vec![Tenant::new("acme", Api::Datadog).linked_by("userName")]);
    let email = stage.people[0].get("email").to_uppercase();
    stage.change(2, "email", &email);
    let ended = stage.run(&["adopt", "--from-target"]);
    assert_eq!(ended.code, 4, "{}", ended.stdout);
    for told in [
        "2 of the roster are known now, 2 of them anew and 2 linked; 0 of the roster are not listed",
        "4 users in scope, 2 held",
        "! E00001: shared remote id; nothing of the user is sent",
        "! E00002: shared remote id; nothing of the user is sent",
        "the account that was found is another user's already",
    ] {
        assert!(ended.stdout.contains(told), "{told}\n{}", ended.stdout);
    }
}

#[test]
fn adopt_from_target_is_about_everybody_and_tells_of_a_target_without_a_list() {
    let stage = Stage::new(2, vec![Tenant::new("kare", Api::Kare)]);
    let ended = stage.run(&["adopt", "--from-target", "--user", "E00001"]);
    assert_eq!(ended.code, 64);
    assert!(ended.stderr.contains("leave --user out"), "{}", ended.stderr);
    let ended = stage.run(&["adopt", "--from-target"]);
    assert_eq!(ended.code, 1);
    assert!(ended.stdout.contains("KARE publishes neither the address"), "{}", ended.stdout);
    assert_eq!(stage.requests(), 0);
}

#[test]
fn d33_drift_tells_both_values_and_its_exit_code_only_where_it_is_asked_for() {
    let mut stage = Stage::adopted(20, acme());
    stage.assert_at_rest();
    let ended = stage.run(&["drift", "--all", "--detailed-exitcode"]);
    assert_eq!(ended.code, 0, "{}", ended.stdout);
    set_title(&stage, 3, "CTO");
    stage.change(4, "title", "Director");
    let ended = stage.run(&["drift", "--all", "--detailed-exitcode"]);
    assert_eq!(ended.code, 2);
    for told in [
        "looked at      20 accounts, by the list of all users",
        "in step        18",
        "drifted        1",
        "remembered of  1 user, for the next run",
        "  E00003\n    title: target changed\n      wished    \"Engineer\"\n      known     \
         \"Engineer\"\n      there now \"CTO\"\n      on_drift  overwrite: the next run sends",
        "  E00004\n    title: source changed\n",
    ] {
        assert!(ended.stdout.contains(told), "{told}\n{}", ended.stdout);
    }
    assert_eq!(stage.run(&["drift", "--sample", "20"]).code, 0);
    stage.sandbox.clear_requests();
    assert_eq!(stage.run(&["run"]).code, 0);
    assert_eq!(stage.sent("acme"), ["PATCH E00003 title", "PATCH E00004 title"]);
    stage.assert_at_rest();
}

#[test]
fn drift_looks_at_those_of_a_plan_or_those_who_are_named_and_prints_json_on_one_line() {
    let mut stage = Stage::adopted(20, acme());
    stage.assert_at_rest();
    stage.change(4, "title", "Director");
    assert_eq!(stage.run(&["plan", "--out", "plan.json"]).code, 0);
    set_title(&stage, 4, "CTO");
    stage.sandbox.clear_requests();
    let ended = stage.run(&["drift", "--plan", "plan.json", "--json", "--detailed-exitcode"]);
    assert_eq!(ended.code, 2);
    assert_eq!(stage.sent("acme"), ["GET E00004"]);
    assert_eq!(ended.stdout.lines().count(), 1);
    let json: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!((&json["kind"], &json["format_version"]), (&json!("drift"), &json!("1.0")));
    let tenant = &json["tenants"][0];
    assert_eq!((&tenant["looked"], &tenant["drifted"]), (&json!(1), &json!(1)));
    let attribute = &tenant["users"][0]["attributes"][0];
    let expected = json!({
        "attribute": "title", "who": "both", "on_drift": "overwrite",
        "wanted": "Director", "known": "Engineer", "shown": "CTO",
    });
    assert_eq!(attribute, &expected);
    stage.sandbox.clear_requests();
    let ended = stage.run(&["drift", "--user", "E00002"]);
    assert_eq!(ended.code, 0);
    assert_eq!(stage.sent("acme"), ["GET E00002"]);
    assert!(ended.stdout.contains("in step        1"), "{}", ended.stdout);
    for arguments in [&["--all", "--sample", "3"][..], &["--all", "--user", "E00001"]] {
        assert_eq!(stage.run(&[&["drift"], arguments].concat()).code, 64);
    }
    assert_eq!(stage.run(&["drift", "--plan", "roster.csv"]).code, 1);
}

#[test]
fn each_verb_says_what_it_does_and_does_not() {
    let stage = Stage::new(1, acme());
    let told = stage.run(&["adopt", "--help"]).stdout;
    for words in [
        "--from-target",
        "taken for gone",
        "never touched",
        "as a whole or not at all",
        "remote_id.link",
    ] {
        assert!(told.contains(words), "{words}\n{told}");
    }
    let told = stage.run(&["drift", "--help"]).stdout;
    for words in ["--sample", "overwrite", "keep", "hold", "max_drift", "resnapshot"] {
        assert!(told.contains(words), "{words}\n{told}");
    }
}
