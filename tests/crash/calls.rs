//! The program, ended at its n-th system call of a kind by `strace`, or told there that its disk is
//! full or broken.

#![expect(clippy::print_stdout, reason = "what was not tested, and how much was, is to be seen")]

use crate::{
    company::Tenant,
    program::{assert_made_good, stage},
    stage::{self, Stage},
};
use rosterd::sandbox::Api;
use std::{
    collections::BTreeMap,
    fs,
    process::{Command, Stdio},
};

/// With `ROSTERD_CRASH_ALL=1` every call of a kind; else so many, spread over the first ones.
const SOME: usize = 7;
/// More than any run here has of one kind in one thread.
const MOST: usize = 2000;

fn is_all() -> bool {
    std::env::vars().any(|(name, value)| name == "ROSTERD_CRASH_ALL" && value == "1")
}

/// Whether `strace` works here; says so where it does not.
fn is_traceable() -> bool {
    let mut tried = Command::new("strace");
    tried.args(["-o", "/dev/null", "true"]).stderr(Stdio::null());
    let works = tried.status().is_ok_and(|status| status.success());
    if !works {
        println!(
            "NOT TESTED: strace is not there or may not trace; install it (apt-get install strace)"
        );
    }
    works
}

/// How a traced run ended.
struct Traced {
    /// What was to happen has happened.
    met: bool,
    /// `None`: by a signal.
    code: Option<i32>,
    told: String,
}

/// Runs the program, and has that happen at the call. `strace` counts in each thread, and it happens
/// in the first one that comes so far: the journal's, where the calls before the first request were
/// fewer.
fn traced(stage: &Stage, verb: &[&str], call: &str, what: &str, number: usize) -> Traced {
    let inner = stage.command(verb);
    let (log, told) = (stage.path("strace.log"), stage.path("told"));
    let mut outer = Command::new("strace");
    outer.args(["-f", "-qq", "-o"]).arg(&log);
    outer.args(["-e", &format!("trace={call}"), "-e", "signal=none"]);
    outer.args(["-e", &format!("inject={call}:{what}:when={number}")]);
    outer.arg(inner.get_program()).args(inner.get_args());
    let path = std::env::var_os("PATH").unwrap_or_default();
    outer.env_clear().env("PATH", path).current_dir(inner.get_current_dir().unwrap());
    outer.envs(inner.get_envs().filter_map(|(name, value)| Some((name, value?))));
    outer.stdin(Stdio::null()).stdout(Stdio::null()).stderr(fs::File::create(&told).unwrap());
    let status = outer.status().unwrap();
    let log = fs::read_to_string(&log).unwrap_or_default();
    let met = log.contains("(INJECTED)") || status.code().is_none();
    Traced { met, code: status.code(), told: fs::read_to_string(&told).unwrap() }
}

/// The numbers of the calls to try.
fn numbers() -> Box<dyn Iterator<Item = usize>> {
    if is_all() {
        Box::new(1..MOST)
    } else {
        // Further apart the further they are.
        Box::new((0..SOME).map(|step| 1 + step * (step + 3) / 2))
    }
}

/// Goes through the calls of these kinds until there are no more; how often which end came.
fn go_through(calls: &[&str], what: &str) -> BTreeMap<(String, Option<i32>), usize> {
    let mut ends = BTreeMap::new();
    let mut stage = stage();
    for call in calls {
        for number in numbers() {
            for person in 1..=stage.people.len() {
                stage.change(person, "title", &format!("{call} {what} {number}"));
            }
            let Traced { met, code, told } = traced(&stage, &["run"], call, what, number);
            let moment = format!("{call} {what} {number}: {code:?} {told}");
            assert!(!told.contains("panicked"), "{moment}");
            assert_made_good(&stage, &moment);
            if !met {
                break;
            }
            *ends.entry(((*call).to_owned(), code)).or_default() += 1;
        }
    }
    println!("{what}: {ends:?}");
    ends
}

#[test]
fn e01_a_program_that_is_killed_at_a_write_is_made_good() {
    if is_traceable() {
        let ends = go_through(&["pwrite64", "fsync", "rename"], "signal=KILL");
        assert!(ends.keys().all(|(_, code)| code.is_none()), "{ends:?}");
        assert!(ends.values().sum::<usize>() > 4, "{ends:?}");
    }
}

#[test]
fn e01_an_adoption_that_is_killed_at_a_write_is_done_again() {
    for call in ["pwrite64", "fsync", "rename", "ftruncate"] {
        for number in numbers().take_while(|_| is_traceable()) {
            let mut stage = Stage::new(3, vec![Tenant::new("acme", Api::Datadog)]);
            let Traced { met, code, told } =
                traced(&stage, &["adopt", "--yes"], call, "signal=KILL", number);
            let again = stage.run(&["adopt", "--yes"]);
            let moment = format!("{call} {number}: {code:?} {told} {}", again.stderr);
            stage.change(1, "title", "Director");
            assert_made_good(&stage, &moment);
            if !met {
                break;
            }
        }
    }
}

#[test]
fn e01_a_copy_of_the_state_that_is_killed_at_a_write_leaves_the_state_and_no_half_of_a_copy() {
    let mut stage = stage();
    for call in ["pwrite64", "fsync", "rename"] {
        for number in numbers().take_while(|_| is_traceable()) {
            let verb = ["backup", "--to", "copies"];
            let Traced { met, code, told } = traced(&stage, &verb, call, "signal=KILL", number);
            let moment = format!("{call} {number}: {code:?} {told}");
            assert_eq!(stage.run(&verb).code, 0, "{moment}");
            stage.change(1, "title", &format!("{call} {number}"));
            assert_made_good(&stage, &moment);
            if !met {
                break;
            }
        }
    }
    let copies = stage::files(&stage.path("copies"));
    for (copy, _) in copies.iter().filter(|(path, _)| path.extension().is_some_and(|e| e == "db")) {
        let db = rusqlite::Connection::open(copy).unwrap();
        let check: String = db.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
        assert_eq!(check, "ok", "{}", copy.display());
    }
}

#[test]
fn e01_a_program_that_is_killed_while_it_reads_the_roster_is_made_good() {
    if is_traceable() {
        go_through(&["read"], "signal=KILL");
    }
}

#[test]
fn e01_a_program_that_is_killed_at_a_word_to_the_network_is_made_good() {
    if is_traceable() {
        go_through(&["sendto", "writev", "write", "recvfrom"], "signal=KILL");
    }
}

#[test]
fn e05_a_program_whose_disk_fails_ends_and_the_next_one_makes_it_good() {
    if is_traceable() {
        go_through(&["pwrite64", "fsync", "ftruncate"], "error=EIO");
    }
}

#[test]
fn e04_a_program_whose_disk_is_full_ends_and_the_next_one_makes_it_good() {
    if is_traceable() {
        go_through(&["pwrite64", "fsync", "rename"], "error=ENOSPC");
    }
}
