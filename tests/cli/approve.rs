//! `approve`: one held plan, once, by a person with a reason.

use crate::{
    company::Tenant,
    stage::{Ended, Stage},
};
use rosterd::{daemon::holder, model::TenantId, sandbox::Api, store::Store};
use std::process::Stdio;

/// A tenant whose plan the last run was not allowed to send, and the plan's digest.
fn held() -> (Stage, String) {
    let mut stage = Stage::adopted(10, vec![Tenant::new("acme", Api::Datadog).guards("")]);
    stage.marry_all();
    assert_eq!(stage.run(&["run"]).code, 3);
    let digest = waiting(&stage);
    (stage, digest)
}

fn waiting(stage: &Stage) -> String {
    let mut plans = stage.snapshot("acme").waiting_plans().unwrap();
    plans.pop().unwrap().digest
}

fn approve(stage: &Stage, digest: &str) -> Ended {
    stage.run(&["approve", digest, "--reason", "the merger"])
}

#[test]
fn f06_the_command_that_a_held_run_prints_lets_that_plan_pass_once() {
    let (stage, digest) = held();
    let told = stage.run(&["run"]).stdout;
    let command = format!("rosterd approve {digest} --reason \"...\"");
    assert!(told.contains(&command), "{told}");
    assert!(stage.run(&["status"]).stdout.contains(&command));

    let ended = approve(&stage, &digest);
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    assert!(ended.stdout.contains("max_update: 10 (100.0 %) of 10 users"), "{}", ended.stdout);
    assert_eq!(stage.requests(), 0);
    let status = stage.run(&["status"]).stdout;
    assert!(status.contains("(uid ") && status.contains(": the merger; not used yet"), "{status}");
    let json: serde_json::Value =
        serde_json::from_str(&stage.run(&["status", "--json"]).stdout).unwrap();
    assert_eq!(json["tenants"][0]["approved"][0]["digest"], digest);
    assert_eq!(json["tenants"][0]["waiting"][0]["digest"], digest);

    assert_eq!(stage.run(&["run"]).code, 0);
    assert_eq!(stage.sent("acme").len(), 10);
    stage.assert_in_step();
    assert_eq!(stage.assert_at_rest().code, 0);
    let status = stage.run(&["status"]).stdout;
    assert!(!status.contains("waits") && !status.contains("approved"), "{status}");
}

#[test]
fn f06_a_plan_that_does_not_wait_is_not_approved_and_those_that_do_are_listed() {
    let (mut stage, digest) = held();
    let ended = approve(&stage, "sha256:0123");
    assert_eq!((ended.code, ended.stdout.as_str()), (1, ""));
    assert!(ended.stderr.contains(&format!("acme: {digest} since 20")), "{}", ended.stderr);
    // Sent in the meantime: it does not wait any more, and nothing else does.
    stage.people.iter_mut().for_each(|person| {
        person.set("family_name", "Lee");
    });
    stage.tenants[0] = Tenant::new("acme", Api::Datadog);
    stage.configure("");
    stage.write_roster();
    assert_eq!(stage.run(&["run"]).code, 0);
    let ended = approve(&stage, &digest);
    assert_eq!(ended.code, 1);
    assert!(ended.stderr.contains("and no other does"), "{}", ended.stderr);
    stage.assert_at_rest();
}

#[test]
fn f06_a_held_plan_is_not_approved_once_a_user_of_it_was_sent() {
    let (stage, digest) = held();
    let one = ["run", "--user", "E00003"];
    assert_eq!(stage.run(&one).code, 0);
    assert_eq!(stage.requests(), 1);
    let ended = approve(&stage, &digest);
    assert_eq!(ended.code, 1);
    assert!(ended.stderr.contains("has changed since that plan was made"), "{}", ended.stderr);
}

#[test]
fn f10_of_two_people_who_approve_at_once_one_is_told_that_the_other_has() {
    let (stage, digest) = held();
    let start = |reason: &str| {
        let mut command = stage.command(&["approve", &digest, "--reason", reason]);
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    };
    let both = ["the merger", "the merger too"].map(start);
    let mut ended = both.map(|child| child.wait_with_output().unwrap());
    ended.sort_by_key(|output| output.status.code());
    assert_eq!(ended.each_ref().map(|output| output.status.code().unwrap()), [0, 1]);
    let told = String::from_utf8_lossy(&ended[1].stderr);
    assert!(told.contains("has approved that plan already"), "{told}");
    assert_eq!(stage.snapshot("acme").approvals(9).unwrap().len(), 1);
    assert_eq!(stage.run(&["run"]).code, 0);
    stage.assert_at_rest();
}

#[test]
fn f07_an_edited_plan_file_is_refused_and_an_approval_is_of_the_plan_that_is_derived_anew() {
    let (stage, digest) = held();
    assert_eq!(stage.run(&["plan", "--out", "plan.json"]).code, 3);
    let plan = stage.read("plan.json");
    assert!(plan.contains(&digest));
    // The file lets nothing pass.
    assert_eq!(stage.run(&["apply", "plan.json", "--yes"]).code, 3);
    assert_eq!(approve(&stage, &digest).code, 0);
    stage.write("plan.json", &plan.replace("Family3-Married", "Family3-Edited"));
    let ended = stage.run(&["apply", "plan.json", "--yes"]);
    assert_eq!(ended.code, 1);
    assert!(ended.stderr.contains("altered"), "{}", ended.stderr);
    assert_eq!(stage.requests(), 0);
    stage.write("plan.json", &plan);
    let ended = stage.run(&["apply", "plan.json", "--yes"]);
    assert_eq!(ended.code, 0, "{}{}", ended.stdout, ended.stderr);
    assert_eq!(stage.sent("acme").len(), 10);
    stage.assert_in_step();
    stage.assert_at_rest();
}

#[test]
fn exit_64_an_approval_needs_a_reason_and_lasts_a_day_at_most() {
    let (stage, digest) = held();
    for arguments in [
        &["approve", &digest][..],
        &["approve"],
        &["approve", &digest, "--reason", "  "],
        &["approve", &digest, "--reason", "x", "--expires", "25h"],
        &["approve", &digest, "--reason", "x", "--expires", "0s"],
        &["approve", &digest, "--reason", "x", "--expires", "soon"],
        &["approve", &digest, "--reason", "x", "--tenant", "nobody"],
    ] {
        let ended = stage.run(arguments);
        assert_eq!((ended.code, ended.stdout.as_str()), (64, ""), "{arguments:?}");
    }
    assert!(stage.snapshot("acme").approvals(9).unwrap().is_empty());
}

#[test]
fn exit_6_nothing_is_approved_while_a_run_is_at_work() {
    let (stage, digest) = held();
    let acme = TenantId::parse("acme").unwrap();
    let store = Store::open(&stage.path("state"), &acme, &holder()).unwrap();
    assert_eq!(approve(&stage, &digest).code, 6);
    drop(store);
    assert_eq!(approve(&stage, &digest).code, 0);
}

#[test]
fn f05_protected_users_can_stand_in_a_file() {
    let tenant = Tenant::new("acme", Api::Datadog).key("protected_file", "protected.txt");
    let mut stage = Stage::new(4, vec![tenant]);
    assert_eq!(stage.run(&["check"]).code, 78);
    stage.write("protected.txt", "# in case all else fails\n\n");
    assert!(stage.run(&["check"]).stderr.contains("names nobody"));
    stage.write("protected.txt", "# in case all else fails\n E00002 \n");
    assert_eq!(stage.run(&["adopt", "--yes"]).code, 0);
    stage.marry_all();
    let ended = stage.run(&["run"]);
    assert_eq!(ended.code, 4, "{ended:?}");
    assert_eq!(stage.sent("acme").len(), 3);
    let plan = stage.run(&["plan"]).stdout;
    assert!(plan.contains("! E00002, line 3: protected; nothing of the user is sent"), "{plan}");
    assert_eq!(stage.assert_at_rest().code, 4);
}
