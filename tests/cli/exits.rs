//! Exit codes: a public contract.

use crate::{company::Tenant, stage::Stage};
use rosterd::{
    daemon::holder,
    model::TenantId,
    sandbox::{Api, Fault, Faults, RetryAfterForm},
    store::Store,
};
use std::fs;

fn datadog() -> Vec<Tenant> {
    vec![Tenant::new("acme", Api::Datadog)]
}

#[test]
fn exit_0_done_and_nothing_to_do() {
    let mut stage = Stage::new(3, Tenant::of_each_api());
    assert_eq!(stage.run(&["check"]).code, 0);
    assert_eq!(stage.requests(), 0);
    assert_eq!(stage.run(&["run"]).code, 0);
    stage.marry_all();
    assert_eq!(stage.run(&["run"]).code, 0);
    stage.assert_in_step();
    assert_eq!(stage.assert_at_rest().code, 0);
    for arguments in [["--help"], ["--version"], ["example"], ["status"]] {
        let ended = stage.run(&arguments);
        assert_eq!(ended.code, 0, "{arguments:?}: {}", ended.stderr);
        assert_eq!(ended.stderr, "", "{arguments:?}");
    }
}

#[test]
fn exit_1_nothing_can_succeed() {
    let mut stage = Stage::adopted(3, datadog());
    stage.marry_all();
    stage.sandbox.set_faults("acme", Faults::always(Fault::Unauthorized));
    assert_eq!(stage.run(&["run"]).code, 1);
    assert_eq!(stage.run(&["quarantine", "release", "--tenant", "acme"]).code, 0);
    stage.sandbox.set_faults("acme", Faults::always(Fault::Redirect));
    assert_eq!(stage.run(&["run"]).code, 1);
    stage.no_more_faults();
    assert_eq!(stage.run(&["quarantine", "retry", "--tenant", "acme"]).code, 0);
    assert_eq!(stage.run(&["run"]).code, 0);
    stage.assert_in_step();
    stage.assert_at_rest();
}

#[test]
fn exit_2_only_when_asked_whether_there_are_changes() {
    let mut stage = Stage::adopted(3, datadog());
    assert_eq!(stage.run(&["plan", "--detailed-exitcode"]).code, 0);
    stage.change(1, "title", "Head of Sales");
    assert_eq!(stage.run(&["plan"]).code, 0);
    assert_eq!(stage.run(&["plan", "--detailed-exitcode"]).code, 2);
    assert_eq!(stage.run_with(&["plan"], &[("ROSTERD_DETAILED_EXITCODE", "true")]).code, 2);
    assert_eq!(stage.run(&["run", "--dry-run"]).code, 0);
    assert_eq!(stage.requests(), 0);
}

#[test]
fn exit_3_a_guard_holds_the_plan_and_names_its_key() {
    let tenants = vec![Tenant::new("acme", Api::Datadog).guards("max_update = \"30%\"")];
    let mut stage = Stage::adopted(4, tenants);
    stage.marry_all();
    for arguments in
        [&["plan"][..], &["run"], &["apply", "--yes"], &["plan", "--detailed-exitcode"]]
    {
        let ended = stage.run(arguments);
        assert_eq!(ended.code, 3, "{arguments:?}");
        assert!(ended.stdout.contains("max_update"), "{}", ended.stdout);
    }
    assert_eq!(stage.requests(), 0);
    assert_eq!(stage.assert_at_rest().code, 3);
}

#[test]
fn exit_4_somebody_is_held() {
    let mut stage = Stage::adopted(30, datadog());
    stage.change(2, "email", "nobody at example.org");
    stage.change(3, "title", "Head of Sales");
    assert_eq!(stage.run(&["plan"]).code, 4);
    assert_eq!(stage.run(&["run"]).code, 4);
    assert_eq!(stage.sent("acme"), ["PATCH E00003 title"]);
    assert_eq!(stage.assert_at_rest().code, 4);
}

#[test]
fn exit_5_the_target_wants_hours_of_silence() {
    let mut stage = Stage::adopted(3, datadog());
    stage.marry_all();
    let throttle = Fault::Throttle { retry_after: RetryAfterForm::Seconds(7_200) };
    stage.sandbox.set_faults("acme", Faults::script([(1, throttle)]));
    assert_eq!(stage.run(&["run"]).code, 5);
    assert_eq!(stage.assert_at_rest().code, 5);
    assert_eq!(stage.run(&["status"]).code, 0);
}

#[test]
fn exit_6_another_process_has_the_state_and_is_named() {
    let mut stage = Stage::adopted(
        3,
        vec![Tenant::new("busy", Api::Datadog), Tenant::new("free", Api::Datadog)],
    );
    stage.marry_all();
    let busy = TenantId::parse("busy").unwrap();
    let store = Store::open(&stage.path("state"), &busy, &holder()).unwrap();
    let ended = stage.run(&["run"]);
    assert_eq!(ended.code, 6);
    let told = ended.stdout + &ended.stderr;
    assert!(told.contains(&std::process::id().to_string()), "{told}");
    // The others go on, and looking goes on.
    assert_eq!((stage.sent("busy").len(), stage.sent("free").len()), (0, 3));
    assert_eq!(stage.run(&["plan"]).code, 0);
    assert_eq!(stage.run(&["status"]).code, 0);
    drop(store);
    assert_eq!(stage.run(&["run"]).code, 0);
    stage.assert_in_step();
    stage.assert_at_rest();
}

#[test]
fn exit_64_a_mistake_on_the_command_line() {
    let stage = Stage::new(2, datadog());
    for arguments in [
        &["synchronise"][..],
        &[],
        &["plan", "--no-such-flag"],
        &["plan", "--limit", "many"],
        &["run", "--tenant", "Not A Name"],
        &["run", "--tenant", "nobody"],
        &["run", "--source", "nowhere"],
        &["hold", "E00001", "--tenant", "acme"],
        &["hold", "E00001", "--reason", "leave"],
        &["hold", "--tenant", "acme", "--reason", "leave"],
        &["hold", "E00001", "--tenant", "acme", "--reason", " "],
        &["hold", "E00001", "--tenant", "nobody", "--reason", "leave"],
        &["hold", "E00001", "--tenant", "acme", "--reason", "leave", "--until", "soon"],
        &["hold", "E00001", "--tenant", "acme", "--reason", "leave", "--until", "2020-01-01"],
        &["release", "--tenant", "acme"],
        &["quarantine"],
        &["quarantine", "retry", "E00001"],
        &["quarantine", "list", "--tenant", "nobody"],
        &["quarantine", "retry", "E00001", "--all", "--tenant", "acme"],
        &["sandbox", "--fault", "earthquake=2%"],
        &["sandbox", "--quota", "often"],
        // There is no terminal to ask on.
        &["apply"],
        &["adopt"],
    ] {
        let ended = stage.run(arguments);
        assert_eq!(ended.code, 64, "{arguments:?}: {}", ended.stderr);
        assert_eq!(ended.stdout, "", "{arguments:?}");
        assert!(!ended.stderr.is_empty(), "{arguments:?}");
    }
    assert_eq!(stage.requests(), 0);
    assert!(!stage.path("state").exists());
}

#[test]
fn exit_65_a_source_that_is_refused_sends_nothing() {
    let stage = Stage::adopted(3, datadog());
    let roster = stage.read("roster.csv");
    let header = roster.lines().next().unwrap().to_owned() + "\n";
    let without_a_column = roster.replace("title", "titel");
    let cut = &roster[..roster.len() - 9];
    for text in [header.as_str(), "", cut, &without_a_column] {
        stage.write("roster.csv", text);
        for arguments in [&["check"][..], &["plan"], &["run"], &["apply", "--yes"]] {
            let ended = stage.run(arguments);
            assert_eq!(ended.code, 65, "{arguments:?}: {}", ended.stdout);
        }
    }
    fs::remove_file(stage.path("roster.csv")).unwrap();
    assert_eq!(stage.run(&["run"]).code, 65);
    assert_eq!(stage.requests(), 0);
    stage.write_roster();
    assert_eq!(stage.assert_at_rest().code, 0);
}

#[test]
fn exit_74_a_state_that_cannot_be_used_stops_its_tenant() {
    let tenants = vec![Tenant::new("acme", Api::Datadog), Tenant::new("other", Api::Datadog)];
    let mut stage = Stage::adopted(3, tenants);
    stage.marry_all();
    let good = fs::read(stage.path("state/acme.db")).unwrap();
    let mut damaged = good.clone();
    damaged[..64].fill(0x5a);
    fs::write(stage.path("state/acme.db"), &damaged).unwrap();
    for arguments in [&["plan"][..], &["run"], &["apply", "--yes"], &["status"]] {
        assert_eq!(stage.run(arguments).code, 74, "{arguments:?}");
    }
    assert_eq!((stage.sent("acme").len(), stage.sent("other").len()), (0, 3));
    assert!(fs::read(stage.path("state/acme.db")).unwrap() == damaged, "it was written to");
    fs::write(stage.path("state/acme.db"), &good).unwrap();
    assert_eq!(stage.run(&["run"]).code, 0);
    stage.assert_in_step();
    stage.assert_at_rest();

    stage.write("no-folder", "");
    assert_eq!(stage.run(&["run", "--state-dir", "no-folder"]).code, 74);
}

#[test]
fn exit_78_a_mistake_in_the_configuration() {
    let stage = Stage::new(2, datadog());
    let text = stage.read("rosterd.toml");
    for (wrong, word) in [
        (text.replace("quota", "qouta"), "qouta"),
        (text.replace("1000/s", "often"), "quota"),
        (text.replace("[tenants.acme.map]", "[tenants.acme.map"), "TOML"),
        (text.replace("token_env", "token"), "credentials"),
        (text.replace("http://127", "http://128"), "base_url"),
    ] {
        stage.write("rosterd.toml", &wrong);
        for verb in ["check", "plan", "run", "status", "daemon", "sandbox"] {
            let ended = stage.run(&[verb]);
            assert_eq!(ended.code, 78, "{word}, {verb}: {}", ended.stderr);
            assert!(ended.stderr.contains(word), "{word}: {}", ended.stderr);
            assert_eq!(ended.stdout, "", "{word}, {verb}");
        }
    }
    assert_eq!(stage.run(&["run", "--config", "nowhere.toml"]).code, 78);
    stage.write("rosterd.toml", &text);
    for verb in ["check", "plan", "run", "daemon"] {
        let ended = stage.run_with(&[verb], &[(crate::company::TOKEN_VARIABLE, "")]);
        assert_eq!(ended.code, 78, "{verb}");
        assert!(ended.stderr.contains("tenants.acme.credentials.token"), "{}", ended.stderr);
    }
    assert_eq!(stage.requests(), 0);
    assert!(!stage.path("state").exists());
}

#[test]
fn the_worst_of_several_tenants_counts() {
    let tenants = vec![
        Tenant::new("guarded", Api::Datadog).guards("max_update = \"1\""),
        Tenant::new("throttled", Api::Biot),
        Tenant::new("well", Api::Workiva),
    ];
    let mut stage = Stage::adopted(3, tenants);
    stage.marry_all();
    let throttle = Fault::Throttle { retry_after: RetryAfterForm::Seconds(7_200) };
    stage.sandbox.set_faults("throttled", Faults::always(throttle));
    assert_eq!(stage.run(&["run", "--tenant", "throttled"]).code, 5);
    assert_eq!(stage.run(&["run"]).code, 3);
    assert_eq!(stage.sent("well").len(), 3);
    assert_eq!(stage.run(&["run", "--tenant", "well"]).code, 0);
    stage.assert_at_rest();
}
