//! What is written where, and what is never written.

use crate::{
    company::{Person, Tenant},
    stage::{Ended, Stage, TOKEN, files},
};
use rosterd::sandbox::{Api, Fault, Faults, RetryAfterForm};
use std::{io::Read, process::Stdio};

#[test]
fn the_environment_lies_over_the_file_and_a_flag_over_both() {
    let mut stage = Stage::adopted(2, vec![Tenant::new("acme", Api::Datadog)]);
    stage.marry_all();
    stage.write("other.csv", &stage.read("roster.csv"));
    stage.write("roster.csv", "");
    let path = ("ROSTERD__SOURCES__PEOPLE__CSV__PATH", "other.csv");
    assert_eq!(stage.run(&["run"]).code, 65);
    assert_eq!(stage.run_with(&["plan", "--detailed-exitcode"], &[path]).code, 2);
    let nowhere = ("ROSTERD__TENANTS__ACME__DATADOG__BASE_URL", "http://127.0.0.1:9/acme");
    let unused = ("ROSTERD_STATE_DIR", "unused");
    let soon = ("ROSTERD__TENANTS__ACME__RUN_DEADLINE", "9s");
    let ended = stage.run_with(&["run"], &[path, nowhere, unused, soon]);
    assert_eq!((ended.code, stage.requests()), (5, 0), "nobody is there");
    // What is known of one address is not used for another.
    assert_eq!(stage.run_with(&["run"], &[path, nowhere]).code, 78);
    let wrong = ("ROSTERD__TENANTS__ACME__QUOTA", "often");
    assert_eq!(stage.run_with(&["run"], &[path, wrong]).code, 78);

    // Another state knows nobody, and so everybody is read.
    let elsewhere = ("ROSTERD_STATE_DIR", "second");
    assert_eq!(stage.run_with(&["plan", "--refresh"], &[path, elsewhere]).code, 0);
    assert_eq!(stage.sent("acme"), ["GET E00001", "GET E00002"]);
    stage.sandbox.clear_requests();
    let arguments = ["plan", "--refresh", "--state-dir", "third"];
    assert_eq!(stage.run_with(&arguments, &[path, elsewhere]).code, 0);
    assert!(stage.path("third/acme.db").exists() && stage.requests() == 2);

    stage.write_roster();
    assert_eq!(stage.run(&["run"]).code, 0);
    stage.assert_in_step();
    stage.assert_at_rest();
}

#[test]
fn without_a_terminal_there_is_no_escape_character() {
    let mut stage = Stage::adopted(4, Tenant::of_each_api());
    stage.change(1, "title", "Head of Sales");
    stage.change(2, "email", "nobody at example.org");
    let plain = |ended: Ended, what: &str| {
        assert!(!ended.stdout.contains('\u{1b}'), "{what}: {}", ended.stdout);
        assert!(!ended.stderr.contains('\u{1b}'), "{what}: {}", ended.stderr);
    };
    for arguments in [
        &["--help"][..],
        &["no-such-verb"],
        &["check"],
        &["plan"],
        &["status"],
        &["--log-level", "trace", "run"],
    ] {
        plain(stage.run(arguments), arguments[0]);
        plain(stage.run_with(arguments, &[("NO_COLOR", "1")]), arguments[0]);
        plain(stage.run_with(arguments, &[("ROSTERD_COLOR", "never")]), arguments[0]);
    }
}

#[test]
fn data_is_on_stdout_and_a_quiet_run_says_nothing_on_stderr() {
    let mut stage = Stage::adopted(3, vec![Tenant::new("acme", Api::Datadog)]);
    stage.change(1, "title", "Head of Sales");
    for arguments in [
        &["check"][..],
        &["plan"],
        &["plan", "--json"],
        &["run"],
        &["run", "--json"],
        &["status"],
        &["status", "--json"],
        &["example"],
    ] {
        let ended = stage.run(arguments);
        assert_eq!((ended.code, ended.stderr.as_str()), (0, ""), "{arguments:?}");
        assert!(!ended.stdout.is_empty(), "{arguments:?}");
        if arguments.contains(&"--json") {
            let json: serde_json::Value = serde_json::from_str(&ended.stdout).unwrap();
            assert!(json.is_object() || json.is_array(), "{arguments:?}: {json}");
        }
    }
}

/// Values of one person, and what they become, that nobody else has.
const CANARIES: [(&str, &str); 4] = [
    ("given_name", "Zyxwina"),
    ("family_name", "Quokkaburra"),
    ("email", "zyx.quokka@example.org"),
    ("title", "Chief Canary"),
];

#[test]
fn g01_g11_g12_inv16_no_log_tells_a_value_and_nothing_tells_a_token() {
    let mut people = Person::all(8);
    // One request after another: each seed is one storm.
    let tenants = Tenant::of_each_api().into_iter().map(Tenant::one_by_one).collect();
    let mut stage = Stage::of(people.clone(), tenants);
    for (column, text) in CANARIES {
        people[4].set(column, text);
    }
    people[5].set("email", "not-an-address-quokkaburra");
    stage.people = people;
    stage.write_roster();
    let storm = [
        Fault::LostAnswer,
        Fault::Error500NotApplied,
        Fault::Error502Html,
        Fault::CutBody,
        Fault::Conflict,
        Fault::Forbidden,
        Fault::Throttle { retry_after: RetryAfterForm::Seconds(0) },
    ];
    for (tenant, seed) in stage.tenants.iter().zip(1..) {
        let shares = storm.clone().map(|fault| (0.05, fault));
        stage.sandbox.set_faults(&tenant.name, Faults::shares(seed, shares));
    }
    let mut endings = Vec::new();
    for arguments in
        [&["run"][..], &["plan", "--json"], &["run", "--json"], &["status"], &["plan"], &["check"]]
    {
        for format in ["text", "json"] {
            let logs = [("ROSTERD_LOG_LEVEL", "trace"), ("ROSTERD_LOG_FORMAT", format)];
            endings.push(stage.run_with(arguments, &logs));
        }
        stage.no_more_faults();
    }
    // A wrong token is told by its place.
    for tenant in &stage.tenants {
        stage.sandbox.set_faults(&tenant.name, Faults::always(Fault::Unauthorized));
    }
    stage.people[4].marry();
    stage.write_roster();
    endings.push(stage.run_with(&["run"], &[("ROSTERD_LOG_LEVEL", "trace")]));
    assert!(endings.iter().any(|ended| ended.stderr.len() > 1_000), "nothing was logged");

    for Ended { code, stdout, stderr } in &endings {
        assert!(!stdout.contains(TOKEN) && !stderr.contains(TOKEN), "exit {code}");
        let stderr = stderr.to_lowercase();
        for word in canary_words() {
            assert!(!stderr.contains(&word), "exit {code} told `{word}`: {stderr}");
        }
    }
    let left = files(&stage.path("state"));
    assert!(left.len() >= 5);
    for (path, (_, bytes)) in left {
        assert!(!holds(&bytes, TOKEN), "{} holds the token", path.display());
        let is_database = path.to_str().unwrap().contains(".db");
        for word in canary_words().iter().filter(|_| !is_database) {
            assert!(!holds(&bytes.to_ascii_lowercase(), word), "{}: {word}", path.display());
        }
    }
}

fn canary_words() -> Vec<String> {
    let words = CANARIES.iter().flat_map(|(_, text)| text.split([' ', '@', '.']));
    let mut words: Vec<String> = words.map(str::to_lowercase).collect();
    words.retain(|word| !["example", "org", "chief"].contains(&word.as_str()));
    words
}

fn holds(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

#[test]
fn the_demo_ends_well_and_keeps_what_it_is_told_to_keep() {
    let stage = Stage::new(1, vec![Tenant::new("acme", Api::Datadog)]);
    let ended = stage.run(&["demo", "--dir", "kept"]);
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    for file in ["night-1.json", "night-2.json", "night-3.json", "state/datadog.db"] {
        assert!(stage.path("kept").join(file).exists(), "{file}");
    }
    // Never into a folder where something else is.
    assert_eq!(stage.run(&["demo", "--dir", "kept"]).code, 1);
}

#[test]
fn e25_a_log_that_nobody_reads_holds_up_nothing() {
    let mut stage = Stage::adopted(200, vec![Tenant::new("acme", Api::Datadog)]);
    stage.marry_all();
    let mut command = stage.command(&["run", "--log-level", "debug"]);
    // A pipe takes 64 KiB.
    let mut running = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    assert_eq!(running.wait().unwrap().code(), Some(0));
    let mut log = String::new();
    running.stderr.take().unwrap().read_to_string(&mut log).unwrap();
    assert!(log.len() > 60_000, "{}", log.len());
    stage.assert_in_step();
    stage.assert_at_rest();
}
