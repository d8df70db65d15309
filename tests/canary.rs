//! Whole stories with the real program, in which one person and one token are like nobody and nothing
//! else: every byte that is written anywhere is searched for both. The token may be nowhere; the
//! person only where somebody asked for people, and in files that are their owner's alone.

#![expect(clippy::unwrap_used, reason = "a failed step of a test ends it")]

#[expect(dead_code, reason = "whole nights need more of it")]
#[path = "cycle/company.rs"]
mod company;
#[path = "canary/echo.rs"]
mod echo;
#[expect(dead_code, reason = "other stories need more of it")]
#[path = "cli/stage.rs"]
mod stage;

use company::{TOKEN, Tenant, practice_login};
use echo::Echo;
use rosterd::{
    model::TenantId,
    sandbox::{Api, Fault, Faults, RetryAfterForm},
    store::Store,
};
use stage::{Ended, Stage, end_of, files};
use std::{fs, os::unix::fs::PermissionsExt, process::Command};

/// What the person is called, and becomes.
const PERSON: [(&str, &str); 4] = [
    ("given_name", "Zyxwina"),
    ("family_name", "Quokkaburra"),
    ("email", "zyx.quokka@example.org"),
    ("title", "Qanary Keeper"),
];
/// Of all of that, in lower case, what nothing else contains.
const WORDS: [&str; 5] = ["zyxwina", "quokka", "zyx.", "qanary", "keeper"];

/// The program under `umask 000`, logging all there is. What it says is searched, and what a person
/// did not ask to see must not be there.
fn rosterd(stage: &Stage, arguments: &[&str], format: &str, shows_people: bool) -> Ended {
    let program = stage.command(arguments);
    let mut command = Command::new("sh");
    command.args(["-c", "umask 000; exec \"$0\" \"$@\""]).arg(program.get_program());
    command.args(program.get_args()).env_clear().current_dir(program.get_current_dir().unwrap());
    for (name, value) in program.get_envs() {
        command.env(name, value.unwrap());
    }
    command.env("ROSTERD_LOG_LEVEL", "trace").env("ROSTERD_LOG_FORMAT", format);
    let ended = end_of(&mut command);
    let Ended { code, stdout, stderr } = &ended;
    assert!([0, 1, 2, 3, 4, 5, 6, 64, 65, 74, 78].contains(code), "{arguments:?}: {code}");
    assert_no_person(stderr.as_bytes(), &format!("stderr of {arguments:?}"));
    if !shows_people {
        assert_no_person(stdout.as_bytes(), &format!("stdout of {arguments:?}"));
    }
    ended
}

fn assert_no_person(bytes: &[u8], what: &str) {
    let lower = bytes.to_ascii_lowercase();
    for word in WORDS {
        let at = memchr::memmem::find(&lower, word.as_bytes());
        let around =
            at.map(|at| String::from_utf8_lossy(&bytes[at.saturating_sub(80)..at + word.len()]));
        assert!(around.is_none(), "{what} tells `{word}`: …{}", around.unwrap());
    }
}

fn holds(bytes: &[u8], text: &str) -> bool {
    memchr::memmem::find(bytes, text.as_bytes()).is_some()
}

/// Everybody's accounts are as the roster was, and the roster says something new of the person.
fn story(tenants: Vec<Tenant>) -> Stage {
    let mut stage = Stage::new(8, tenants);
    let mut person = stage.people[4].clone();
    for (column, text) in PERSON {
        person.set(column, text);
    }
    stage.people[4] = person;
    stage
}

/// Every file of the program's: its owner's alone, without the token, and the person only in the
/// state, its copies, and the plans that somebody asked for. Gives how many hold the person.
fn search_files(stage: &Stage, plans: &[&str]) -> usize {
    let ours = ["roster.csv", "departments.csv", "rosterd.toml"].map(|name| stage.path(name));
    let mut with_person = 0;
    for (path, (mode, bytes)) in files(&stage.path("")) {
        if ours.contains(&path) {
            continue;
        }
        let name = path.display();
        assert_eq!(mode & 0o077, 0, "{name} can be read by others: {mode:o}");
        assert!(!holds(&bytes, TOKEN), "{name} holds the token");
        let text = path.to_str().unwrap();
        if text.contains(".db") || plans.iter().any(|plan| text.ends_with(plan)) {
            let lower = bytes.to_ascii_lowercase();
            with_person += usize::from(WORDS.iter().any(|word| holds(&lower, word)));
        } else {
            assert_no_person(&bytes, &name.to_string());
        }
    }
    for folder in ["state", "state/backups"] {
        let mode = fs::metadata(stage.path(folder)).unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{folder} is open to others: {mode:o}");
    }
    with_person
}

#[test]
fn g01_g02_g11_g12_s02_s03_s04_a_whole_story_tells_no_token_and_the_person_only_on_request() {
    let echo = Echo::start();
    // One request after another: each seed is one storm.
    let mut tenants: Vec<Tenant> =
        Tenant::of_each_api().into_iter().map(Tenant::one_by_one).collect();
    tenants.push(Tenant::new("echo", Api::Datadog));
    tenants.push(Tenant::new("login", Api::Biot).logs_in(practice_login()));
    // Says back a token that was fetched.
    tenants.push(Tenant::new("said_back", Api::Datadog).logs_in(practice_login()));
    let stage = story(tenants);
    let mut toml = stage.read("rosterd.toml");
    for name in ["echo", "said_back"] {
        let base = |url: &str| format!("base_url = \"{url}\"");
        toml = toml.replace(&base(&stage.sandbox.base_url(name)), &base(&echo.base_url()));
    }
    stage.write("rosterd.toml", &toml);
    let steps = |stage: &Stage, steps: &[(&[&str], bool)]| {
        for (arguments, shows_people) in steps {
            for format in ["text", "json"] {
                rosterd(stage, arguments, format, *shows_people);
            }
        }
    };
    steps(&stage, &[(&["check"], false), (&["adopt", "--yes"], false), (&["status"], false)]);
    stage.write_roster();
    steps(&stage, &[(&["check"], false), (&["plan"], true), (&["plan", "--json"], true)]);
    steps(
        &stage,
        &[(&["plan", "--out", "plan.json"], true), (&["plan", "--detailed-exitcode"], true)],
    );
    assert!(holds(stage.read("plan.json").as_bytes(), "Quokkaburra"), "the person is in the plan");

    let storm = [
        Fault::LostAnswer,
        Fault::Error500NotApplied,
        Fault::Error502Html,
        Fault::CutBody,
        Fault::Conflict,
        Fault::Forbidden,
        Fault::Throttle { retry_after: RetryAfterForm::Seconds(0) },
    ];
    for (tenant, seed) in stage
        .tenants
        .iter()
        .zip(1..)
        .filter(|(tenant, _)| !["echo", "said_back"].contains(&&*tenant.name))
    {
        let shares = storm.clone().map(|fault| (0.1, fault));
        stage.sandbox.set_faults(&tenant.name, Faults::shares(seed, shares));
    }
    steps(&stage, &[(&["apply", "plan.json", "--yes"], true), (&["run", "--json"], true)]);
    assert!(echo.heard("quokkaburra") && echo.heard(TOKEN), "it was sent, and said back");
    assert!(echo.heard(&format!("{TOKEN}-access-1")), "so was a token that was fetched");
    stage.no_more_faults();
    steps(&stage, &[(&["run"], true), (&["status"], false), (&["status", "--json"], false)]);
    steps(
        &stage,
        &[
            (&["quarantine", "list"], true),
            (&["hold", "E00003", "--tenant", "biot", "--reason", "leave"], false),
            (&["release", "E00003", "--tenant", "biot"], false),
            (&["backup"], false),
            (&["audit", "verify"], false),
            (&["state", "adopt"], false),
        ],
    );
    assert!(search_files(&stage, &["plan.json"]) >= 6, "the state and its copies know the person");
}

#[test]
fn g01_g11_g12_no_way_to_fail_tells_a_token_or_a_person() {
    let tenant = || Tenant::new("acme", Api::Datadog);
    let mut stage = story(vec![tenant().guards("max_update = \"1\"")]);
    let mut codes = Vec::new();
    let mut run = |stage: &Stage, arguments: &[&str], shows_people: bool| {
        for format in ["text", "json"] {
            codes.push(rosterd(stage, arguments, format, shows_people).code);
        }
    };
    run(&stage, &["adopt", "--yes"], false);
    run(&stage, &["backup"], false);
    stage.people.iter_mut().for_each(|person| {
        person.marry();
    });
    stage.write_roster();
    run(&stage, &["plan", "--detailed-exitcode"], true);
    run(&stage, &["run"], true);
    let digest = stage.snapshot("acme").waiting_plans().unwrap().pop().unwrap().digest;
    run(&stage, &["approve", &digest, "--reason", "the merger"], false);
    stage.sandbox.set_faults("acme", Faults::always(Fault::Unauthorized));
    run(&stage, &["run"], true);
    stage.tenants[0] = tenant();
    stage.configure("");
    run(&stage, &["quarantine", "release", "--tenant", "acme"], false);
    run(&stage, &["plan", "--detailed-exitcode"], true);
    let throttle = Fault::Throttle { retry_after: RetryAfterForm::Seconds(7_200) };
    stage.sandbox.set_faults("acme", Faults::always(throttle));
    run(&stage, &["run"], true);

    stage.people[5].set("email", "not an address of quokkaburra");
    stage.write_roster();
    run(&stage, &["check"], true);
    run(&stage, &["run"], true);
    run(&stage, &["run", "--user", "Nobody"], false);
    run(&stage, &["run", "--no-such-flag"], false);
    let acme = TenantId::parse("acme").unwrap();
    let store = Store::open(&stage.path("state"), &acme, &rosterd::daemon::holder()).unwrap();
    run(&stage, &["run"], true);
    drop(store);
    let roster = stage.read("roster.csv");
    stage.write("roster.csv", &roster.replacen(",Zyxwina,", ",\"Zyxwina,", 1));
    run(&stage, &["check"], false);
    run(&stage, &["run"], false);
    stage.write_roster();
    run(&stage, &["apply", "roster.csv", "--yes"], false);
    let toml = stage.read("rosterd.toml");
    stage.write("rosterd.toml", &toml.replace("quota", "qouta"));
    run(&stage, &["run"], false);
    stage.write("rosterd.toml", &toml);
    search_files(&stage, &[]);
    let mut damaged = fs::read(stage.path("state/acme.db")).unwrap();
    let half = damaged.len() / 2;
    damaged[half..].fill(0x5a);
    fs::write(stage.path("state/acme.db"), damaged).unwrap();
    run(&stage, &["run"], true);
    run(&stage, &["status"], false);
    codes.sort_unstable();
    codes.dedup();
    assert_eq!(codes, [0, 1, 2, 3, 4, 5, 6, 64, 65, 74, 78], "every way to end was gone");
}

#[test]
fn g21_a_plan_goes_in_the_place_of_a_link_and_not_to_where_it_leads() {
    let mut stage = story(vec![Tenant::new("acme", Api::Datadog)]);
    assert_eq!(stage.run(&["adopt", "--yes"]).code, 0);
    stage.marry_all();
    stage.write("elsewhere", "untouched");
    std::os::unix::fs::symlink("elsewhere", stage.path("plan.json")).unwrap();
    assert_eq!(stage.run(&["plan", "--out", "plan.json"]).code, 0);
    assert_eq!(stage.read("elsewhere"), "untouched");
    let mode = fs::symlink_metadata(stage.path("plan.json")).unwrap().permissions().mode();
    assert_eq!(mode, 0o100_600);
}

#[test]
fn g13_s12_a_run_and_a_waiting_service_listen_nowhere() {
    let mut stage = story(vec![Tenant::new("acme", Api::Datadog)]);
    stage.configure("[sources.people.schedule]\ncron = \"30 2 1 1 *\"\nzone = \"Europe/Berlin\"");
    assert_eq!(stage.run(&["adopt", "--yes"]).code, 0);
    stage.marry_all();
    let slow = Fault::Slow(std::time::Duration::from_secs(3));
    stage.sandbox.set_faults("acme", Faults::always(slow));
    for verb in ["run", "daemon"] {
        stage.sandbox.clear_requests();
        let mut running = stage.start(&[verb], &[("ROSTERD_LOG_LEVEL", "info")]);
        stage::until("it is at work", || {
            stage.requests() > 0 || verb == "daemon" && !running.stderr().is_empty()
        });
        assert_eq!(listens(running.id()), [""; 0], "{verb}");
        running.kill();
    }
}

/// The lines of the machine's tables of sockets that are that process's own and listen.
fn listens(process: u32) -> Vec<String> {
    let sockets: Vec<String> = fs::read_dir(format!("/proc/{process}/fd"))
        .unwrap()
        .filter_map(|entry| {
            fs::read_link(entry.ok()?.path()).ok()?.into_os_string().into_string().ok()
        })
        .filter_map(|link| Some(link.strip_prefix("socket:[")?.strip_suffix(']')?.to_owned()))
        .collect();
    let tables = ["tcp", "tcp6", "udp", "udp6"].map(|table| {
        fs::read_to_string(format!("/proc/{process}/net/{table}")).unwrap_or_default()
    });
    let is_ours = |line: &&str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        // 0A: a TCP socket that listens; 07: a UDP socket that nobody is connected to.
        let listens = fields.get(3).is_some_and(|state| ["0A", "07"].contains(state));
        listens && fields.get(9).is_some_and(|inode| sockets.iter().any(|own| own == inode))
    };
    let lines = tables.iter().flat_map(|table| table.lines());
    lines.filter(is_ours).map(str::to_owned).collect()
}

#[test]
fn e20_without_file_descriptors_nothing_is_sent_that_is_not_recorded_and_the_next_run_goes_on() {
    let mut stage = Stage::adopted(6, vec![Tenant::new("acme", Api::Datadog)]);
    stage.marry_all();
    let mut failed = 0;
    for descriptors in 5..24 {
        let program = stage.command(&["run"]);
        let mut command = Command::new("sh");
        let script = format!("ulimit -n {descriptors}; exec \"$0\" run");
        command.args(["-c", &script]).arg(program.get_program()).env_clear();
        command.current_dir(program.get_current_dir().unwrap());
        for (name, value) in program.get_envs() {
            command.env(name, value.unwrap());
        }
        let output = command.output().unwrap();
        // Whatever could not be opened: an error with a code, or the work is done.
        assert!(output.status.code().is_some(), "{descriptors}: {output:?}");
        failed += usize::from(!output.status.success());
    }
    assert!(failed > 0);
    assert_eq!(stage.run(&["run"]).code, 0);
    stage.assert_in_step();
    assert_eq!(stage.assert_at_rest().code, 0);
}
