//! The units: what they start, and how little they may do.
#![expect(clippy::unwrap_used, reason = "helpers of tests may panic")]

use std::{
    collections::BTreeSet,
    fs, io,
    path::Path,
    process::{Command, Output},
};

const SERVICES: [&str; 2] = ["rosterd.service", "rosterd-run.service"];
const TIMER: &str = "rosterd-run.timer";

/// Ten times the exposure that `systemd-analyze security` may find at most; a network service that
/// has to reach the world cannot do much better.
const EXPOSURE_MAX: &str = "11";

/// Looked for where `systemd-analyze` is not there to judge; each is worth a good part of the score.
const HARDENING: [&str; 20] = [
    "User=rosterd",
    "UMask=0077",
    "NoNewPrivileges=yes",
    "CapabilityBoundingSet=",
    "PrivateUsers=yes",
    "PrivateTmp=yes",
    "PrivateDevices=yes",
    "ProtectSystem=strict",
    "ProtectHome=yes",
    "ProtectProc=invisible",
    "ProtectClock=yes",
    "ProtectKernelLogs=yes",
    "ProtectKernelModules=yes",
    "ProtectKernelTunables=yes",
    "ProtectControlGroups=yes",
    "RestrictNamespaces=yes",
    "RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX",
    "MemoryDenyWriteExecute=yes",
    "SystemCallArchitectures=native",
    "SystemCallFilter=@system-service",
];

fn unit(name: &str) -> String {
    fs::read_to_string(Path::new("systemd").join(name)).unwrap()
}

/// The settings, without comments and section names.
fn settings(name: &str) -> Vec<String> {
    let text = unit(name);
    let lines = text.lines().filter(|line| !line.starts_with(['#', '[']) && !line.is_empty());
    lines.map(str::to_owned).collect()
}

fn values(name: &str, key: &str) -> Vec<String> {
    let start = format!("{key}=");
    let settings = settings(name);
    settings.iter().filter_map(|line| line.strip_prefix(&start)).map(str::to_owned).collect()
}

/// `None` where the program is not installed.
fn systemd_analyze(arguments: &[&str]) -> Option<Output> {
    match Command::new("systemd-analyze").args(arguments).current_dir("systemd").output() {
        Ok(output) => Some(output),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => panic!("systemd-analyze: {error}"),
    }
}

#[test]
fn g23_s01_the_services_expose_hardly_anything() {
    for service in SERVICES {
        let own: BTreeSet<_> = settings(service).into_iter().collect();
        for line in HARDENING {
            assert!(own.contains(line), "{service} lacks {line}");
        }
        let threshold = format!("--threshold={EXPOSURE_MAX}");
        let path = format!("./{service}");
        let judged =
            systemd_analyze(&["security", "--offline=true", &threshold, "--no-pager", &path]);
        if let Some(output) = judged {
            let shown = String::from_utf8_lossy(&output.stdout);
            assert!(output.status.success(), "{}", shown.lines().last().unwrap_or_default());
        }
    }
}

#[test]
fn systemd_understands_every_line_of_the_units() {
    let names = [SERVICES[0], SERVICES[1], TIMER].map(|name| format!("./{name}"));
    let arguments: Vec<&str> =
        ["verify", "--man=no"].into_iter().chain(names.iter().map(String::as_str)).collect();
    let Some(output) = systemd_analyze(&arguments) else { return };
    let shown = String::from_utf8_lossy(&output.stderr).into_owned();
    // The program need not be installed where the tests run, and other units are not ours to judge.
    let complaints: Vec<_> = shown
        .lines()
        .filter(|line| line.contains("rosterd") && !line.contains("is not executable"))
        .collect();
    assert_eq!(complaints, [""; 0]);
}

#[test]
fn both_services_carry_the_same_hardening_lines() {
    let block = |name: &str| {
        let text = unit(name);
        let (_, block) = text.split_once("# ---- hardening").unwrap();
        block.split("[Install]").next().unwrap().trim_end().to_owned()
    };
    let [daemon, run] = SERVICES.map(block);
    assert_eq!(daemon, run);
    assert!(daemon.lines().count() > 50);
}

#[test]
fn the_services_start_what_they_should() {
    let with_config =
        |verb: &str| vec![format!("/usr/bin/rosterd {verb} --config /etc/rosterd/rosterd.toml")];
    for (service, kind, verb) in
        [(SERVICES[0], "notify", "daemon"), (SERVICES[1], "oneshot", "run")]
    {
        assert_eq!(values(service, "Type"), [kind]);
        assert_eq!(values(service, "ExecStart"), with_config(verb));
        // A secret on a command line or in a unit's environment is everybody's to read.
        assert!(values(service, "Environment").is_empty());
    }
}

#[test]
fn no_exit_code_but_0_counts_as_success() {
    for service in SERVICES {
        assert!(values(service, "SuccessExitStatus").is_empty(), "{service}");
        // A missing configuration must fail loudly, and not be a condition that was not met.
        assert!(values(service, "ConditionPathExists").is_empty(), "{service}");
    }
    assert_eq!(values(SERVICES[0], "RestartPreventExitStatus"), ["64 78"]);
}

#[test]
fn e16_the_timer_makes_up_for_a_missed_night_and_names_its_zone() {
    assert_eq!(values(TIMER, "OnCalendar"), ["*-*-* 02:30:00 UTC"]);
    assert_eq!(values(TIMER, "Persistent"), ["true"]);
    assert_eq!(values(TIMER, "RandomizedDelaySec"), ["15min"]);
    assert_eq!(values(TIMER, "Unit"), ["rosterd-run.service"]);
}

#[test]
fn the_user_of_the_services_is_made_by_the_package() {
    let users = settings("rosterd.sysusers");
    assert_eq!(users.len(), 1);
    assert!(users[0].starts_with("u rosterd - "), "{users:?}");
    for service in SERVICES {
        assert_eq!(values(service, "User"), ["rosterd"]);
    }
}
