//! The verbs about the state, and a state that must not be used, as people meet them.

use crate::{
    company::Tenant,
    stage::{Stage, files},
};
use rosterd::sandbox::Api;
use std::{fs, os::unix::fs::PermissionsExt, path::PathBuf, process::Command};

/// Five people at two targets, of which one shows no user to anybody.
fn stage() -> Stage {
    let tenants = vec![
        Tenant::new("acme", Api::Datadog),
        Tenant::new("blind", Api::Biot).key("reads", "false"),
    ];
    Stage::adopted(5, tenants)
}

fn state(stage: &Stage, name: &str) -> PathBuf {
    stage.path("state").join(name)
}

fn only_file(folder: PathBuf, start: &str) -> PathBuf {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let found: Vec<PathBuf> = entries
        .filter(|path| path.file_name().unwrap().to_string_lossy().starts_with(start))
        .collect();
    let [path] = &found[..] else { panic!("{found:?}") };
    path.clone()
}

#[test]
fn f12_a_copy_is_put_back_and_everybody_is_looked_at_before_anything_is_changed() {
    let mut stage = stage();
    let ended = stage.run(&["backup", "--to", "copies"]);
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    assert!(ended.stdout.contains("acme: 5 users, copied to"), "{}", ended.stdout);
    stage.change(2, "title", "Head of Sales");
    assert_eq!(stage.run(&["run"]).code, 0);
    stage.assert_in_step();

    for (tenant, name) in [("acme", "acme-"), ("blind", "blind-")] {
        let copy = only_file(stage.path("copies"), name);
        assert_eq!(fs::metadata(&copy).unwrap().permissions().mode() & 0o777, 0o600);
        let copy = copy.to_str().unwrap();
        assert_eq!(stage.run(&["restore", copy, "--tenant", tenant]).code, 64);
        let ended = stage.run(&["restore", copy, "--tenant", tenant, "--yes"]);
        assert_eq!(ended.code, 0, "{}", ended.stderr);
        assert!(ended.stdout.contains("5 users are in doubt"), "{}", ended.stdout);
        assert!(ended.stdout.contains("2 records were made after"), "{}", ended.stdout);
        only_file(stage.path("state"), &format!("{tenant}.db.2"));
        // The other tenant's copy is none of this one's.
        let other = if tenant == "acme" { "blind" } else { "acme" };
        let refused = stage.run(&["restore", copy, "--tenant", other, "--yes"]);
        assert_eq!(refused.code, 74);
        assert!(refused.stderr.contains("belongs to tenant"), "{}", refused.stderr);
    }
    stage.sandbox.clear_requests();
    assert_eq!(stage.run(&["run"]).code, 0);
    let people: Vec<String> = (1..=5).map(|number| format!("GET E0000{number}")).collect();
    assert_eq!(stage.sent("acme"), people, "each is read, and all are as they should be");
    let blind = stage.sent("blind");
    assert_eq!(blind.len(), 5);
    assert!(blind.iter().all(|sent| sent.starts_with("PATCH")), "{blind:?}");
    stage.assert_in_step();
    // The second run sends nothing. (The practice server calls it a mistake to send somebody what
    // they have, and there was no other way.)
    stage.sandbox.clear_requests();
    assert_eq!(stage.run(&["run"]).code, 0);
    assert_eq!(stage.requests(), 0);
    let status = stage.run(&["status"]);
    assert_eq!(status.code, 0, "{}", status.stderr);
}

#[test]
fn e09_a_state_that_is_not_the_newest_is_refused_and_made_anew() {
    let mut stage = stage();
    let older = fs::read(state(&stage, "acme.db")).unwrap();
    stage.change(2, "title", "Head of Sales");
    assert_eq!(stage.run(&["run"]).code, 0);
    fs::write(state(&stage, "acme.db"), &older).unwrap();
    stage.change(3, "title", "Head of Sales");
    stage.sandbox.clear_requests();
    let before = files(&stage.path("state"));
    let ended = stage.run(&["run", "--tenant", "acme"]);
    assert_eq!(ended.code, 74);
    let told = ended.stdout + &ended.stderr;
    for word in ["not the newest", "rosterd restore", "rosterd resnapshot", "acme.serial"] {
        assert!(told.contains(word), "{told}");
    }
    assert_eq!(stage.requests(), 0);
    let after = files(&stage.path("state"));
    for name in ["acme.db", "acme.serial"] {
        assert!(before[&state(&stage, name)] == after[&state(&stage, name)], "{name}");
    }
    // Who only looks is warned.
    let plan = stage.run(&["plan"]);
    assert_eq!(plan.code, 0);
    assert!(plan.stderr.contains("not the newest"), "{}", plan.stderr);

    assert_eq!(stage.run(&["resnapshot", "--tenant", "acme"]).code, 64);
    assert_eq!(stage.run(&["resnapshot", "--yes"]).code, 64);
    let ended = stage.run(&["resnapshot", "--tenant", "acme", "--yes"]);
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    assert_eq!(stage.run(&["run"]).code, 0);
    let sent = stage.sent("acme");
    assert_eq!(sent.iter().filter(|sent| sent.starts_with("GET")).count(), 5);
    assert_eq!(sent[5..], ["PATCH E00003 title"]);
    stage.assert_in_step();
    assert_eq!(stage.assert_at_rest().code, 0);
}

#[test]
fn e08_a_state_that_was_deleted_sends_nothing_until_a_person_says_what_is_meant() {
    let mut stage = stage();
    stage.marry_all();
    fs::remove_file(state(&stage, "acme.db")).unwrap();
    let ended = stage.run(&["run", "--tenant", "acme"]);
    assert_eq!(ended.code, 74);
    assert!((ended.stdout + &ended.stderr).contains("is missing"));
    assert_eq!(stage.requests(), 0);
    assert!(stage.run(&["plan"]).stderr.contains("is missing"));
    assert_eq!(stage.run(&["resnapshot", "--tenant", "acme", "--yes"]).code, 0);
    assert_eq!(stage.run(&["run"]).code, 0);
    let sent = stage.sent("acme");
    assert_eq!(sent.iter().filter(|sent| sent.starts_with("GET")).count(), 5);
    stage.assert_in_step();
    assert_eq!(stage.assert_at_rest().code, 0);
}

#[test]
fn g14_s18_a_row_of_the_journal_that_somebody_took_out_is_named_and_nobody_with_it() {
    let mut stage = stage();
    stage.marry_all();
    assert_eq!(stage.run(&["run"]).code, 0);
    let ended = stage.run(&["audit", "verify"]);
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    let both = "acme: 5 rows of the journal are as they were written\n\
                blind: 5 rows of the journal are as they were written\n";
    assert_eq!(ended.stdout, both);
    let sql = "DELETE FROM journal WHERE id = 3";
    rusqlite::Connection::open(state(&stage, "acme.db")).unwrap().execute(sql, []).unwrap();
    let ended = stage.run(&["audit", "verify"]);
    assert_eq!(ended.code, 1);
    assert!(ended.stdout.contains("acme: row 3 of the journal is missing"), "{}", ended.stdout);
    assert!(!ended.stdout.contains("E0000") && !ended.stderr.contains("E0000"));
    assert_eq!(stage.run(&["audit", "verify", "--tenant", "blind"]).code, 0);
    assert_eq!(stage.run(&["audit", "verify", "--tenant", "nobody"]).code, 64);
}

#[test]
fn e13_a_state_on_another_machine_waits_for_a_person() {
    let mut stage = stage();
    let machine = |name: &str| {
        stage.write(name, name);
        stage.path(name).to_string_lossy().into_owned()
    };
    let (here, there) = (machine("machine-a"), machine("machine-b"));
    let variable = "ROSTERD__STATE__MACHINE_ID";
    // Bound since the import, to the machine of this test where it has a name.
    let bind = stage.run_with(&["state", "adopt"], &[(variable, &here)]);
    assert_eq!(bind.code, 0, "{}", bind.stderr);
    stage.change(1, "title", "Head of Sales");
    let ended = stage.run_with(&["run"], &[(variable, &there)]);
    assert_eq!(ended.code, 74);
    let told = ended.stdout + &ended.stderr;
    assert!(told.contains("another machine") && told.contains("rosterd state adopt"), "{told}");
    assert_eq!(stage.requests(), 0);
    let adopted = stage.run_with(&["state", "adopt"], &[(variable, &there)]);
    assert_eq!(adopted.stdout.matches("on this machine from now on").count(), 2);
    assert_eq!(stage.run_with(&["run"], &[(variable, &there)]).code, 0);
    assert_eq!(stage.run_with(&["run"], &[(variable, &here)]).code, 74);
    stage.assert_in_step();
}

#[test]
fn f14_somebody_elses_state_is_not_written_to() {
    let mut stage = stage();
    stage.marry_all();
    if std::os::unix::fs::chown(stage.path("state"), Some(65_533), None).is_err() {
        // Only root gives files away; who the owner is, is tried beside the code.
        return;
    }
    for arguments in [
        &["run"][..],
        &["backup"],
        &["state", "adopt"],
        &["resnapshot", "--tenant", "acme", "--yes"],
    ] {
        let ended = stage.run(arguments);
        assert_eq!(ended.code, 74, "{arguments:?}");
        let told = ended.stdout + &ended.stderr;
        assert!(told.contains("sudo -u '#65533' rosterd"), "{arguments:?}: {told}");
    }
    assert_eq!(stage.requests(), 0);
    assert_eq!(stage.run(&["status"]).code, 0);
}

#[test]
fn e11_who_holds_the_state_is_told_once_and_what_to_do_once() {
    let stage = stage();
    let acme = rosterd::model::TenantId::parse("acme").unwrap();
    let holder = rosterd::daemon::holder();
    let store = rosterd::store::Store::open(&stage.path("state"), &acme, &holder).unwrap();
    let ended = stage.run(&["run", "--tenant", "acme"]);
    assert_eq!(ended.code, 6);
    assert_eq!(ended.stdout.matches("wait until").count(), 1, "{}", ended.stdout);
    let who = format!("process {} on {}", std::process::id(), holder.host);
    assert!(ended.stdout.contains(&who), "{}", ended.stdout);
    let ended = stage.run(&["resnapshot", "--tenant", "acme", "--yes"]);
    assert_eq!(ended.code, 6);
    assert!(ended.stderr.contains(&who), "{}", ended.stderr);
    drop(store);
}

/// Every request that a target saw is of somebody with an intent or an outcome on the disk.
fn assert_all_recorded(stage: &Stage) {
    let store = stage.snapshot("acme");
    let mut recorded: Vec<String> =
        store.open_intents().unwrap().iter().map(|intent| intent.key.to_string()).collect();
    let filter = rosterd::store::JournalFilter { key: None, run: None, limit: 999 };
    recorded.extend(store.journal(&filter).unwrap().iter().map(|row| row.key.to_string()));
    for sent in stage.sent("acme") {
        let user = sent.split(' ').nth(1).unwrap();
        assert!(recorded.iter().any(|key| key == user), "nothing tells of {sent}");
    }
}

#[test]
fn e05_a_file_that_cannot_grow_stops_the_run_and_the_next_one_goes_on() {
    for kilobytes in [64, 128, 200, 400] {
        let mut stage = Stage::adopted(60, vec![Tenant::new("acme", Api::Datadog)]);
        stage.marry_all();
        let program = stage.command(&["run"]);
        let mut limited = Command::new("bash");
        // Ignored, the signal becomes an error of the write.
        let script = format!("trap '' XFSZ; ulimit -f {kilobytes}; exec \"$0\" run");
        limited.args(["-c", &script]).arg(program.get_program()).env_clear();
        limited.current_dir(program.get_current_dir().unwrap());
        for (name, value) in program.get_envs() {
            limited.env(name, value.unwrap());
        }
        let output = limited.output().unwrap();
        assert_eq!(output.status.code(), Some(74), "{kilobytes}: {output:?}");
        assert_all_recorded(&stage);
        assert_eq!(stage.run(&["run"]).code, 0, "{kilobytes}");
        stage.assert_in_step();
        assert_eq!(stage.assert_at_rest().code, 0);
    }
}

#[test]
fn e04_a_full_disk_stops_the_run_before_what_cannot_be_recorded_and_the_next_one_goes_on() {
    if Command::new("strace").arg("-V").output().is_err() {
        return;
    }
    for write in [1, 2, 5, 9, 14, 20, 30] {
        let mut stage = Stage::adopted(20, vec![Tenant::new("acme", Api::Datadog)]);
        stage.marry_all();
        let program = stage.command(&["run"]);
        let mut traced = Command::new("strace");
        let inject = format!("inject=pwrite64:error=ENOSPC:when={write}");
        traced.args(["-f", "-qq", "-o", "/dev/null", "-e", "trace=pwrite64", "-e", &inject]);
        traced.arg(program.get_program()).arg("run").env_clear();
        traced.current_dir(program.get_current_dir().unwrap());
        for (name, value) in program.get_envs() {
            traced.env(name, value.unwrap());
        }
        let output = traced.output().unwrap();
        if String::from_utf8_lossy(&output.stderr).contains("ptrace") {
            return;
        }
        assert_eq!(output.status.code(), Some(74), "{write}: {output:?}");
        assert_all_recorded(&stage);
        assert_eq!(stage.run(&["run"]).code, 0, "{write}");
        stage.assert_in_step();
        assert_eq!(stage.assert_at_rest().code, 0);
    }
}
