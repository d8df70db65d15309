//! A state that was changed, cut, put back, or carried elsewhere: noticed, and never interpreted.

use super::*;
use rosterd::{
    config::{Config, Surroundings, load},
    store::{Audit, Broken, Renewed, Request, audit, backup_folder, backups},
};

/// A configuration whose state is in `<dir>/state`, with a machine of that name.
fn config(dir: &Path, machine: &str) -> Config {
    let text = "[state]\ndir = \"state\"\nmachine_id = \"machine-id\"\nbackup_every = \"1h\"\n\
                backups_kept = 2\n\
                [sources.hr.csv]\npath = \"roster.csv\"\nkey = \"employee_id\"\n\
                [tenants.acme.datadog]\nsite = \"datadoghq.eu\"\n\
                [tenants.acme.credentials]\ntoken_env = \"ACME_TOKEN\"\n\
                [tenants.acme.remote_id]\ncolumn = \"datadog_id\"\n\
                [tenants.acme.map]\ntitle = { column = \"title\" }\n";
    fs::write(dir.join("rosterd.toml"), text).unwrap();
    fs::write(dir.join("machine-id"), machine).unwrap();
    load(&dir.join("rosterd.toml"), &Surroundings::default()).unwrap()
}

/// E1 to E5 with a title each, settled, in a state that a run has ended with.
fn five(dir: &Path) -> Store {
    let mut store = open(dir);
    let users: Vec<String> = (1..=5).map(|number| format!("E{number}")).collect();
    let ids: Vec<String> = (1..=5).map(|number| format!("r{number}")).collect();
    let title = || attributes(&[("title", Some("Clerk"))]);
    let accounts = users.iter().zip(&ids);
    let account = |(user, id)| (String::as_str(user), String::as_str(id), title(), None);
    adopt(&mut store, accounts.map(account).collect());
    end_run(&mut store, 0);
    store
}

fn end_run(store: &mut Store, second: i64) {
    store.begin_run(&run_of(second), "run", at(second)).unwrap();
    store.pack(VIEW, &[], &[]).unwrap();
    store.end_run(&run_of(second), "{}", at(second)).unwrap();
}

fn run_of(number: i64) -> RunId {
    RunId::parse(&format!("0192f0c1-2a3b-7c4d-8e5f-{number:012x}")).unwrap()
}

/// A PATCH of each user's title, from operation `first` on.
fn send(store: &mut Store, first: u64, users: u64, title: &str) {
    for number in 0..users {
        let (operation, user) = (first + number, format!("E{}", number % 5 + 1));
        let edits = vec![edit("title", "Clerk", title)];
        let shown = attributes(&[("title", Some(title))]);
        let mut end = conclusion(operation, &user, edits.clone(), settled(shown));
        end.at = at(i64::try_from(operation).unwrap());
        store.commit(&[intent(operation, &user, edits), concluded(end)]).unwrap();
    }
}

fn verdict(dir: &Path) -> Audit {
    audit(dir, &tenant()).unwrap().unwrap()
}

/// With plain SQL, as somebody would who can write the file.
fn tamper(dir: &Path, sql: &str) {
    db(dir).execute_batch(&format!("DROP TRIGGER journal_is_append_only; {sql}")).unwrap();
}

// ---- the journal's chain

#[test]
fn g14_a_row_of_the_journal_that_was_changed_or_taken_out_is_named() {
    let changed = |row| Broken::Changed { row, operation: row, at: at(row) };
    let missing = |row, after: Option<i64>| Broken::Missing { row, after: after.map(at) };
    for (sql, broken) in [
        ("", None),
        (
            "UPDATE journal SET edits = replace(edits, 'Chief', 'Chef') WHERE id = 3",
            Some(changed(3)),
        ),
        ("UPDATE journal SET key = 'E9' WHERE id = 1", Some(changed(1))),
        ("UPDATE journal SET status = NULL WHERE id = 5", Some(changed(5))),
        ("UPDATE journal SET run = NULL WHERE id = 2", Some(changed(2))),
        ("UPDATE journal SET hash = NULL WHERE id = 4", Some(changed(4))),
        ("UPDATE journal SET hash = zeroblob(16) WHERE id = 4", Some(changed(4))),
        ("DELETE FROM journal WHERE id = 3", Some(missing(3, Some(2)))),
        ("DELETE FROM journal WHERE id = 1", Some(missing(1, None))),
        ("DELETE FROM journal WHERE id >= 4", Some(missing(4, Some(3)))),
        ("DELETE FROM journal", Some(missing(1, None))),
        (
            "DELETE FROM journal WHERE id >= 4; UPDATE meta SET packed = 3",
            Some(missing(4, Some(3))),
        ),
        (
            "DELETE FROM journal WHERE id = 3; UPDATE journal SET id = id - 1 WHERE id > 3",
            Some(Broken::Changed { row: 3, operation: 4, at: at(4) }),
        ),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let mut store = five(dir.path());
        send(&mut store, 1, 6, "Chief");
        end_run(&mut store, 10);
        drop(store);
        tamper(dir.path(), sql);
        let found = verdict(dir.path());
        assert_eq!(found.broken, broken, "{sql}");
        assert_eq!(found.unchained, 0);
        if broken.is_none() {
            assert_eq!(found.sound, 6);
        }
    }
}

#[test]
fn g14_a_journal_of_which_old_rows_were_removed_by_age_is_still_whole() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = five(dir.path());
    send(&mut store, 1, 3, "Chief");
    store.pack(VIEW, &[], &[]).unwrap();
    let later = 91 * 86_400;
    end_run(&mut store, later);
    assert_eq!(verdict(dir.path()), Audit { sound: 0, unchained: 0, broken: None });
    send(&mut store, 4, 3, "Clerk");
    end_run(&mut store, later + 1);
    drop(store);
    assert!(verdict(dir.path()).broken.is_none());
    let mut store = open(dir.path());
    send(&mut store, 7, 2, "Chief");
    assert_eq!(verdict(dir.path()).sound, 5 - 3, "they are as old as their instants say");
    drop(store);
    tamper(dir.path(), "DELETE FROM journal WHERE operation = 7");
    assert!(matches!(verdict(dir.path()).broken, Some(Broken::Missing { row: 7, .. })));
}

#[test]
fn g14_a_journal_that_was_forged_as_a_whole_is_not_the_one_that_was_recorded() {
    let dirs = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    for (dir, title) in dirs.iter().zip(["Chief", "Chef"]) {
        let mut store = five(dir.path());
        send(&mut store, 1, 3, title);
        end_run(&mut store, 10);
    }
    let forged = dirs[1].path().join("acme.db").to_string_lossy().into_owned();
    tamper(
        dirs[0].path(),
        &format!(
            "ATTACH '{forged}' AS forged; DELETE FROM main.journal;
             INSERT INTO main.journal SELECT * FROM forged.journal"
        ),
    );
    assert_eq!(verdict(dirs[0].path()).broken, Some(Broken::Rewritten { row: 3 }));
}

// ---- the mirror

fn refusal(dir: &Path) -> StoreError {
    let before = content(dir);
    let Err(error) = Store::open(dir, &tenant(), &holder()) else { panic!("it was taken") };
    let mut after = content(dir);
    after.insert("acme.lock".to_owned(), before["acme.lock"].clone());
    assert!(before["acme.serial"] == after["acme.serial"], "{error}");
    assert_eq!(before.get("acme.db"), after.get("acme.db"), "{error}");
    for way in ["rosterd restore", "rosterd resnapshot"] {
        assert!(error.to_string().contains(way), "{error}");
    }
    error
}

#[test]
fn e09_f12_an_older_copy_in_the_place_of_the_file_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = five(dir.path());
    let older = fs::read(dir.path().join("acme.db")).unwrap();
    send(&mut store, 1, 1, "Chief");
    end_run(&mut store, 10);
    drop(store);
    let newest = fs::read(dir.path().join("acme.db")).unwrap();
    fs::write(dir.path().join("acme.db"), &older).unwrap();
    assert!(matches!(refusal(dir.path()), StoreError::Behind { .. }));
    // Looking goes on.
    assert_eq!(ReadStore::open(dir.path(), &tenant()).unwrap().unwrap().users().unwrap(), 5);

    fs::write(dir.path().join("acme.db"), &newest).unwrap();
    drop(open(dir.path()));
    fs::write(dir.path().join("acme.db"), &older).unwrap();
    fs::remove_file(dir.path().join("acme.serial")).unwrap();
    end_run(&mut open(dir.path()), 20);
    assert!(dir.path().join("acme.serial").exists(), "taken anew");
}

#[test]
fn e09_a_log_of_writes_that_was_lost_after_a_run_is_noticed() {
    let dir = tempfile::tempdir().unwrap();
    let store = five(dir.path());
    drop(store);
    let before_the_run = fs::read(dir.path().join("acme.db")).unwrap();
    let mut store = open(dir.path());
    send(&mut store, 1, 2, "Chief");
    let copy = tempfile::tempdir().unwrap();
    // As a copy of the file alone is, taken at that moment; and the next run's mirror.
    fs::write(copy.path().join("acme.db"), before_the_run).unwrap();
    fs::write(copy.path().join("acme.lock"), "").unwrap();
    end_run(&mut store, 10);
    fs::copy(dir.path().join("acme.serial"), copy.path().join("acme.serial")).unwrap();
    assert!(matches!(refusal(copy.path()), StoreError::Behind { .. }));
}

#[test]
fn e09_another_branch_of_the_same_history_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    drop(five(dir.path()));
    let fork = fs::read(dir.path().join("acme.db")).unwrap();
    let mut store = open(dir.path());
    send(&mut store, 1, 2, "Chief");
    end_run(&mut store, 10);
    drop(store);
    let mirror = fs::read(dir.path().join("acme.serial")).unwrap();
    fs::remove_file(dir.path().join("acme.serial")).unwrap();
    fs::write(dir.path().join("acme.db"), fork).unwrap();
    let mut store = open(dir.path());
    send(&mut store, 1, 3, "Chef");
    end_run(&mut store, 11);
    drop(store);
    fs::write(dir.path().join("acme.serial"), mirror).unwrap();
    let refused = refusal(dir.path());
    assert!(refused.to_string().contains("row 2"), "{refused}");
}

#[test]
fn e08_a_state_that_was_deleted_is_not_taken_for_a_new_one() {
    let dir = tempfile::tempdir().unwrap();
    drop(five(dir.path()));
    for empty in [false, true] {
        fs::remove_file(dir.path().join("acme.db")).unwrap();
        if empty {
            fs::write(dir.path().join("acme.db"), "").unwrap();
        }
        assert!(matches!(refusal(dir.path()), StoreError::Lost { .. }), "empty: {empty}");
        fs::write(dir.path().join("acme.db"), "").unwrap();
    }
    // Another tenant's file under this name, and a file made anew, are of another history.
    let other = tempfile::tempdir().unwrap();
    drop(five(other.path()));
    fs::copy(other.path().join("acme.db"), dir.path().join("acme.db")).unwrap();
    let refused = refusal(dir.path());
    assert!(refused.to_string().contains("another history"), "{refused}");
    fs::remove_file(dir.path().join("acme.db")).unwrap();
    fs::remove_file(dir.path().join("acme.serial")).unwrap();
    assert!(open(dir.path()).is_new());
}

#[test]
fn e01_after_a_killed_run_the_mirror_is_behind_and_the_state_is_taken() {
    let dir = tempfile::tempdir().unwrap();
    drop(five(dir.path()));
    let mirror = fs::read_to_string(dir.path().join("acme.serial")).unwrap();
    let mut store = open(dir.path());
    send(&mut store, 1, 2, "Chief");
    drop(store);
    assert_eq!(fs::read_to_string(dir.path().join("acme.serial")).unwrap(), mirror);
    end_run(&mut open(dir.path()), 10);
    let after = fs::read_to_string(dir.path().join("acme.serial")).unwrap();
    assert_ne!(after, mirror);
    assert_eq!(mode(&dir.path().join("acme.serial")), 0o600);
    // A night in which nothing is learnt writes no mirror.
    fs::remove_file(dir.path().join("acme.serial")).unwrap();
    fs::write(dir.path().join("acme.serial"), &after).unwrap();
    let written = fs::metadata(dir.path().join("acme.serial")).unwrap().modified().unwrap();
    end_run(&mut open(dir.path()), 20);
    let path = dir.path().join("acme.serial");
    assert_eq!(fs::metadata(path).unwrap().modified().unwrap(), written);
}

#[test]
fn e07_a_damaged_mirror_is_refused_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    drop(five(dir.path()));
    let mut mirror = fs::read(dir.path().join("acme.serial")).unwrap();
    mirror[50] ^= 1;
    fs::write(dir.path().join("acme.serial"), &mirror).unwrap();
    assert!(matches!(refusal(dir.path()), StoreError::Unreadable { .. }));
    ReadStore::open(dir.path(), &tenant()).unwrap().unwrap();
}

// ---- the place

#[test]
fn e13_a_state_on_another_machine_is_refused_until_it_is_adopted_there() {
    let dir = tempfile::tempdir().unwrap();
    let here = config(dir.path(), "machine-a\n");
    let open = |config: &Config| Store::open_for(config, &tenant(), &holder());
    let mut store = open(&here).unwrap();
    end_run(&mut store, 0);
    drop(store);
    drop(open(&here).unwrap());
    let there = config(dir.path(), "machine-b\n");
    let Err(error) = open(&there) else { panic!("it was taken") };
    assert!(matches!(error, StoreError::OtherMachine { .. }));
    assert!(error.to_string().contains("rosterd state adopt"), "{error}");
    // A machine without a name is not told from another.
    fs::remove_file(dir.path().join("machine-id")).unwrap();
    drop(open(&there).unwrap());

    let there = config(dir.path(), "machine-b\n");
    assert!(Store::adopt_machine(&there, &tenant(), &holder()).unwrap());
    assert!(!Store::adopt_machine(&there, &tenant(), &holder()).unwrap());
    drop(open(&there).unwrap());
    let file = fs::read(dir.path().join("state/acme.db")).unwrap();
    let name = b"machine-b";
    assert!(!file.windows(name.len()).any(|window| window == name), "its name is nobody's");
    let back = config(dir.path(), "machine-a\n");
    assert!(matches!(open(&back), Err(StoreError::OtherMachine { .. })));
}

#[test]
fn e10_a_log_of_writes_that_was_removed_while_in_use_stops_every_further_write() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = five(dir.path());
    send(&mut store, 1, 1, "Chief");
    let log = dir.path().join("acme.db-wal");
    fs::remove_file(&log).unwrap();
    let refused = store.commit(&[intent(2, "E2", vec![])]);
    let Err(StoreError::Replaced { path }) = refused else { panic!("it was written") };
    assert_eq!(path, log);
    drop(store);

    let mut store = open(dir.path());
    fs::copy(dir.path().join("acme.db"), dir.path().join("other")).unwrap();
    fs::rename(dir.path().join("other"), dir.path().join("acme.db")).unwrap();
    let refused = store.commit(&[intent(2, "E2", vec![])]);
    assert!(matches!(refused, Err(StoreError::Replaced { .. })));
}

// ---- copies, and the two ways out

struct Desk {
    dir: TempDir,
    config: Config,
}

impl Desk {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let config = config(dir.path(), "machine-a\n");
        drop(five(&config.state_dir));
        Self { dir, config }
    }

    fn state(&self) -> &Path {
        &self.config.state_dir
    }

    fn request(
        &self,
        act: impl FnOnce(&Request<'_>) -> Result<Renewed, StoreError>,
    ) -> Result<Renewed, StoreError> {
        let (holder, run) = (holder(), run_of(fastrand::i64(10_000..1_000_000)));
        act(&Request {
            config: &self.config,
            tenant: &tenant(),
            holder: &holder,
            run: &run,
            now: at(1000),
        })
    }

    fn restore(&self, copy: &Path) -> Result<Renewed, StoreError> {
        self.request(|request| Store::restore(request, copy))
    }

    fn resnapshot(&self) -> Result<Renewed, StoreError> {
        self.request(Store::resnapshot)
    }

    fn open(&self) -> Store {
        Store::open_for(&self.config, &tenant(), &holder()).unwrap()
    }

    /// As a copy was made of it.
    fn back_up(&self) -> std::path::PathBuf {
        let store = ReadStore::open(self.state(), &tenant()).unwrap().unwrap();
        store.back_up(&self.dir.path().join("copies"), at(5)).unwrap()
    }
}

/// Nothing of E1 to E5 is known but whose account is whose.
fn assert_all_in_doubt(store: &Store) {
    for number in 1..=5 {
        let known = known(store, &format!("E{number}")).unwrap();
        assert_eq!(known.standing, Standing::InDoubt);
        assert_eq!(known.remote_id, remote(&format!("r{number}")));
        assert!(known.attributes.is_empty() && known.refused.is_empty());
        assert_eq!(row(store, &format!("E{number}")), None);
    }
}

#[test]
fn a_copy_is_made_while_the_state_is_in_use_and_is_whole() {
    let desk = Desk::new();
    let mut store = desk.open();
    send(&mut store, 1, 2, "Chief");
    let copy = desk.back_up();
    assert_eq!((mode(&copy), mode(copy.parent().unwrap())), (0o600, 0o700));
    assert_eq!(copy.parent().unwrap().read_dir().unwrap().count(), 1, "it needs no other file");
    drop(store);
    let elsewhere = tempfile::tempdir().unwrap();
    fs::copy(&copy, elsewhere.path().join("acme.db")).unwrap();
    let store = open(elsewhere.path());
    assert_eq!(journal(&store).len(), 2);
    assert_eq!(known(&store, "E1").unwrap().attributes, attributes(&[("title", Some("Chief"))]));
}

#[test]
fn k19_a_run_that_is_about_to_send_makes_a_copy_when_one_is_due_and_keeps_as_many_as_it_is_told() {
    let desk = Desk::new();
    let made = || backups(&backup_folder(desk.state()), "acme").unwrap();
    let night = |second| {
        let mut store = desk.open();
        store.begin_run(&run_of(second), "run", at(second)).unwrap();
        store.make_ready_to_send().unwrap();
        store.end_run(&run_of(second), "{}", at(second)).unwrap();
        made().into_iter().map(|(made, _)| made).collect::<Vec<_>>()
    };
    assert!(made().is_empty(), "a night that sends nothing makes none");
    assert_eq!(night(10), [at(10)]);
    assert_eq!(night(11), [at(10)], "within the hour");
    assert_eq!(night(3611), [at(10), at(3611)]);
    assert_eq!(night(7300), [at(3611), at(7300)]);
    // Half a copy, which a killed run left, is in nobody's way.
    fs::write(backup_folder(desk.state()).join("acme.part"), "half").unwrap();
    assert_eq!(night(11_000), [at(7300), at(11_000)]);
    assert_eq!(backup_folder(desk.state()).read_dir().unwrap().count(), 2);
    // A copy from a time that is still to come proves nothing.
    assert_eq!(night(20).len(), 2);
}

#[test]
fn f12_a_copy_that_is_put_back_has_everybody_read_before_they_are_written() {
    let desk = Desk::new();
    let copy = desk.back_up();
    let mut store = desk.open();
    send(&mut store, 1, 3, "Chief");
    store.commit(&[Entry::Pause { until: at(9999), why: "Retry-After".to_owned() }]).unwrap();
    end_run(&mut store, 10);
    let (serial, operation) = (store.serial().unwrap(), store.last_operation().unwrap());
    assert!(matches!(desk.restore(&copy), Err(StoreError::Locked { .. })));
    drop(store);

    let Renewed { users, aside, records_lost } = desk.restore(&copy).unwrap();
    assert_eq!((users, records_lost), (5, 3));
    assert_eq!(mode(&aside.unwrap()), 0o600);
    let store = desk.open();
    assert_all_in_doubt(&store);
    assert_eq!(store.in_doubt().unwrap().len(), 5);
    // Neither a number nor the target's patience is used twice.
    assert!(store.serial().unwrap() > serial && store.last_operation().unwrap() == operation);
    assert_eq!(store.sends_since(at(0)).unwrap().len(), 3);
    assert_eq!(store.pause().unwrap().unwrap().until, at(9999));
    let run = store.runs(1).unwrap().remove(0);
    assert_eq!((run.verb.as_str(), run.ended), ("restore", Some(at(1000))));
    assert_eq!(verdict(desk.state()), Audit { sound: 0, unchained: 0, broken: None });
}

#[test]
fn e08_a_state_that_was_lost_is_put_back_from_a_copy() {
    let desk = Desk::new();
    let copy = desk.back_up();
    fs::remove_file(desk.state().join("acme.db")).unwrap();
    assert_eq!(desk.restore(&copy).unwrap(), Renewed { users: 5, aside: None, records_lost: 0 });
    assert_all_in_doubt(&desk.open());
}

#[test]
fn g19_what_is_no_sound_copy_of_this_very_state_is_not_put_back() {
    let desk = Desk::new();
    let copy = desk.back_up();
    let file = desk.dir.path().join("file");
    let sound = fs::read(&copy).unwrap();
    let edited = |sql: &str| {
        fs::write(&file, &sound).unwrap();
        let db = rusqlite::Connection::open(&file).unwrap();
        db.pragma_update(None, "journal_mode", "DELETE").unwrap();
        db.execute_batch(sql).unwrap();
        drop(db);
        fs::read(&file).unwrap()
    };
    let other = tempfile::tempdir().unwrap();
    drop(five(other.path()));
    let cases = [
        ("damaged", [&sound[..8192], &[0; 4096], &sound[12288..]].concat()),
        ("no SQLite database", b"x".repeat(9000)),
        ("empty", Vec::new()),
        ("hashes", edited("UPDATE user SET attributes = '{\"title\":\"Chief\"}' WHERE key = 'E1'")),
        ("tenant `other`", edited("UPDATE meta SET tenant = 'other'")),
        ("schema 99", edited("PRAGMA user_version = 99")),
        (
            "tables",
            edited("CREATE TRIGGER odd AFTER UPDATE ON user BEGIN DELETE FROM intent; END;"),
        ),
        ("another history", fs::read(other.path().join("acme.db")).unwrap()),
    ];
    let before = content(desk.state());
    for (why, bytes) in cases {
        fs::write(&file, bytes).unwrap();
        let refused = desk.restore(&file).unwrap_err();
        assert!(matches!(refused, StoreError::Unfit { .. }), "{why}: {refused}");
        assert!(refused.to_string().contains(why), "{why}: {refused}");
        assert!(content(desk.state()) == before, "{why}");
    }
    let in_use = desk.open();
    drop(in_use);
    assert_eq!(known(&desk.open(), "E1").unwrap().standing, Standing::Settled);
}

#[test]
fn e07_a_state_that_cannot_be_used_starts_anew_and_is_kept() {
    let desk = Desk::new();
    let path = desk.state().join("acme.db");
    let mut bytes = fs::read(&path).unwrap();
    bytes[..64].fill(0x5a);
    fs::write(&path, &bytes).unwrap();
    let Renewed { users, aside, .. } = desk.resnapshot().unwrap();
    assert_eq!(users, 0);
    assert!(fs::read(aside.unwrap()).unwrap() == bytes);
    let store = desk.open();
    assert_eq!(store.users().unwrap(), 0);
    assert!(store.serial().unwrap() > 1, "no plan of the old state is good for the new one");
}

#[test]
fn d34_a_new_start_keeps_the_ids_and_the_journal_and_nothing_else() {
    let desk = Desk::new();
    let mut store = desk.open();
    send(&mut store, 1, 3, "Chief");
    end_run(&mut store, 10);
    drop(store);
    assert_eq!(desk.resnapshot().unwrap(), Renewed { users: 5, aside: None, records_lost: 0 });
    let store = desk.open();
    assert_all_in_doubt(&store);
    assert_eq!(verdict(desk.state()).sound, 3);
    drop(store);
    // The way out for a state that is not the newest, or is gone.
    let older = fs::read(desk.state().join("acme.db")).unwrap();
    let mut store = desk.open();
    send(&mut store, 4, 1, "Clerk");
    end_run(&mut store, 20);
    drop(store);
    fs::write(desk.state().join("acme.db"), older).unwrap();
    assert!(matches!(refusal(desk.state()), StoreError::Behind { .. }));
    assert_eq!(desk.resnapshot().unwrap().users, 5);
    drop(desk.open());
    fs::remove_file(desk.state().join("acme.db")).unwrap();
    assert_eq!(desk.resnapshot().unwrap().users, 0);
    assert_eq!(desk.open().users().unwrap(), 0);
}

#[test]
fn a_new_start_keeps_doubts_about_creations_and_counts_leavers_from_anew() {
    let desk = Desk::new();
    let mut store = desk.open();
    let [Entry::Intent(creation), other] =
        [intent(1, "E9", vec![edit("title", "", "Chief")]), intent(2, "E2", vec![])]
    else {
        unreachable!("they are intents");
    };
    let creation = Intent { remote_id: None, action: ActionKind::Create, ..creation };
    store.commit(&[Entry::Intent(creation), other]).unwrap();
    store.note_leavers(&[&key("E3")], &[], &[], 2, at(3)).unwrap();
    drop(store);
    let db = rusqlite::Connection::open(desk.state().join("acme.db")).unwrap();
    db.execute("UPDATE intent SET run = 'x' WHERE operation = 2", []).unwrap();
    db.close().unwrap();
    desk.resnapshot().unwrap();
    let store = desk.open();
    let by = Match { path: AttrPath::new("title"), value: Value::text("Chief") };
    let creating = store.creating(&[AttrPath::new("title"), AttrPath::new("userName")]).unwrap();
    assert_eq!(creating, [(key("E9"), vec![by])].into());
    let leaving = store.leaving().unwrap()[&key("E3")];
    assert_eq!((leaving.absent, leaving.since), (0, at(1000)));
}

// ---- flipped bits

/// All that a plan is made of.
#[derive(Debug)]
struct Seen {
    known: Vec<Option<Known>>,
    rows: Vec<Option<Fingerprint>>,
    owners: BTreeMap<RemoteId, UserKey>,
    accepted: Option<AcceptedInput>,
    pause: Option<Timestamp>,
}

const USERS: u64 = 60;

fn seen(store: &Snapshot) -> Result<Seen, StoreError> {
    let keys: Vec<UserKey> = (1..=USERS).map(|number| key(&format!("E{number}"))).collect();
    let ids: BTreeSet<RemoteId> = (1..=USERS).map(|number| remote(&format!("r{number}"))).collect();
    let found = store.known(&keys.iter().collect::<Vec<_>>())?;
    let (index, results) = Index::of(vec![store.pages(VIEW)?]);
    results.into_iter().collect::<Result<(), _>>()?;
    let row = |key: &UserKey| {
        let place = index.find(key.fingerprint())?;
        let row = index.entry(place).row;
        index.is_settled(place, row).then_some(row)
    };
    Ok(Seen {
        known: keys.iter().map(|key| found.get(key).cloned()).collect(),
        rows: keys.iter().map(row).collect(),
        owners: store.owners(&ids.iter().collect())?,
        accepted: store.accepted_input()?,
        pause: store.pause()?.map(|pause| pause.until),
    })
}

/// Whether nobody is believed to be otherwise than they were: everybody is known as before, or has to
/// be looked at again.
fn is_harmless(before: &Seen, after: &Seen) -> bool {
    let known = before.known.iter().zip(&after.known).all(|(before, after)| {
        let Some(after) = after else { return true };
        let doubted = after.standing == Standing::InDoubt && after.attributes.is_empty();
        doubted || before.as_ref().is_some_and(|before| is_same(before, after))
    });
    let rows = before.rows.iter().zip(&after.rows);
    let rows = rows.into_iter().all(|(before, after)| before == after || after.is_none());
    // Who owns an id can only be told wrongly to the effect that somebody is held.
    let owners = after.owners.iter().all(|(id, owner)| before.owners.get(id) == Some(owner));
    known && rows && owners && (&before.accepted, before.pause) == (&after.accepted, after.pause)
}

fn is_same(a: &Known, b: &Known) -> bool {
    let Known { remote_id, attributes, standing, refused, suspect, drifted } = a;
    (remote_id, attributes, standing, refused, suspect, drifted)
        == (&b.remote_id, &b.attributes, &b.standing, &b.refused, &b.suspect, &b.drifted)
}

/// Where the pages of small tables end, which is where their rows are.
fn ends_of_pages(dir: &Path) -> Vec<usize> {
    let db = db(dir);
    let roots = "SELECT rootpage FROM sqlite_schema WHERE type = 'table' AND name IN
         ('intent', 'accepted_input', 'pause', 'meta', 'journal_anchor', 'mark')";
    let mut statement = db.prepare(roots).unwrap();
    let pages = statement.query_map([], |row| row.get::<_, u32>(0)).unwrap();
    pages.map(|page| page.unwrap() as usize * 4096).collect()
}

#[test]
fn e07_of_a_thousand_flipped_bits_each_is_detected_or_harmless() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = open(dir.path());
    let users: Vec<String> = (1..=USERS).map(|number| format!("E{number}")).collect();
    let ids: Vec<String> = (1..=USERS).map(|number| format!("r{number}")).collect();
    let title = || attributes(&[("title", Some("Clerk")), ("department", Some("Sales"))]);
    let rows = (1..).map(|number| Some(Fingerprint(number)));
    let accounts = users.iter().zip(&ids).zip(rows);
    let account = |((user, id), row)| (String::as_str(user), String::as_str(id), title(), row);
    adopt(&mut store, accounts.map(account).collect());
    send(&mut store, 1, 40, "Chief");
    let input = AcceptedInput { users: 60, rows: 60, digest: Fingerprint(5), at: at(1) };
    store.accept_input(&input).unwrap();
    store.commit(&[Entry::Pause { until: at(999), why: "Retry-After".to_owned() }]).unwrap();
    end_run(&mut store, 50);
    send(&mut store, 41, 10, "Head");
    let edits = vec![edit("title", "Clerk", "Chief"), edit("department", "Sales", "HR")];
    store.commit(&[intent(60, "E20", edits), intent(61, "E21", vec![])]).unwrap();
    drop(store);
    let sound = fs::read(dir.path().join("acme.db")).unwrap();
    let before = seen(&open(dir.path())).unwrap();

    let mut chance = fastrand::Rng::with_seed(7);
    let (mut detected, mut harmless) = (0, 0);
    let path = dir.path().join("acme.db");
    // Half of them anywhere, half of them where the little is that decides much.
    let ends = ends_of_pages(dir.path());
    for number in 0..1000 {
        let mut flipped = sound.clone();
        let at = match number % 2 {
            0 => chance.usize(..flipped.len()),
            _ => ends[chance.usize(..ends.len())] - 1 - chance.usize(..250),
        };
        let bit = chance.u8(..8);
        flipped[at] ^= 1 << bit;
        fs::write(&path, &flipped).unwrap();
        let opened = Store::open(dir.path(), &tenant(), &holder());
        let looked = opened.and_then(|mut store| {
            store.verify()?;
            seen(&store)
        });
        match looked {
            Err(error) => {
                assert!(
                    !matches!(error, StoreError::Locked { .. } | StoreError::Io { .. }),
                    "{error}"
                );
                detected += 1;
            }
            Ok(after) => {
                assert!(
                    is_harmless(&before, &after),
                    "byte {at}, bit {bit}: {before:?}\n{after:?}"
                );
                harmless += 1;
            }
        }
        for ending in ["-wal", "-shm"] {
            let _ = fs::remove_file(dir.path().join(format!("acme.db{ending}")));
        }
    }
    assert!(detected > 50 && detected + harmless == 1000, "{detected} detected");
}
