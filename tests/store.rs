//! The store with real files: what it promises about them, and that only outcomes move the snapshot.

#![expect(clippy::unwrap_used, reason = "a test's helpers stop where its body would")]

use jiff::{Timestamp, ToSpan};
use proptest::prelude::*;
use rosterd::{
    engine::{diff::same, index::Index, quarantine::Effect},
    model::{
        AttrPath, Attributes, Edit, Excerpt, Fingerprint, Known, Match, Outcome, Refusal, RemoteId,
        RunId, Standing, TenantId, UserKey, Value,
    },
    store::{
        AcceptedInput, Account, ActionKind, Conclusion, Entry, Holder, Imported, Intent,
        JournalFilter, LastAnswer, OutcomeKind, ReadStore, RefusedWish, Snapshot, Store,
        StoreError, Writer,
    },
};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    os::unix::fs::PermissionsExt,
    path::Path,
    sync::{Arc, mpsc},
};
use tempfile::TempDir;

#[path = "store/damage.rs"]
mod damage;
#[path = "store/packed.rs"]
mod packed;

const RUN: &str = "0192f0c1-2a3b-7c4d-8e5f-001122334455";

fn tenant() -> TenantId {
    TenantId::parse("acme").unwrap()
}

fn holder() -> Holder {
    Holder { pid: 4711, host: "hr-01".to_owned(), since: at(0) }
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

fn key(text: &str) -> UserKey {
    UserKey::parse(text).unwrap()
}

fn remote(text: &str) -> RemoteId {
    RemoteId::parse(text).unwrap()
}

fn run() -> RunId {
    RunId::parse(RUN).unwrap()
}

fn path(text: &str) -> AttrPath {
    AttrPath::new(text)
}

fn attributes(pairs: &[(&str, Option<&str>)]) -> Attributes {
    pairs.iter().map(|(name, value)| (path(name), value.map(Value::from))).collect()
}

fn edit(name: &str, before: &str, after: &str) -> Edit {
    let before = Some(Some(Value::from(before)));
    Edit { path: path(name), before, after: Some(Value::from(after)) }
}

fn open(dir: &Path) -> Store {
    Store::open(dir, &tenant(), &holder()).unwrap()
}

fn db(dir: &Path) -> rusqlite::Connection {
    rusqlite::Connection::open(dir.join("acme.db")).unwrap()
}

/// The view of most tests.
const VIEW: Fingerprint = Fingerprint(1);

type Adopted<'a> = (&'a str, &'a str, Attributes, Option<Fingerprint>);

fn adopt(store: &mut Store, accounts: Vec<Adopted<'_>>) -> Imported {
    let import = store.import(VIEW, |import| {
        for (user, remote_id, attributes, row) in accounts {
            import.add(Account::new(key(user), remote(remote_id), &attributes), row)?;
        }
        Ok::<_, StoreError>(())
    });
    import.unwrap().1
}

fn index(store: &Snapshot, view: Fingerprint) -> Index {
    let (index, results) = Index::of(vec![store.pages(view).unwrap()]);
    results.into_iter().collect::<Result<(), _>>().unwrap();
    index
}

/// Which row of the user is settled.
fn row(store: &Snapshot, user: &str) -> Option<Fingerprint> {
    row_under(store, VIEW, user)
}

fn row_under(store: &Snapshot, view: Fingerprint, user: &str) -> Option<Fingerprint> {
    let index = index(store, view);
    let place = index.find(key(user).fingerprint())?;
    let row = index.entry(place).row;
    index.is_settled(place, row).then_some(row)
}

/// Everybody with an account, as the index tells.
fn accounts(store: &Snapshot) -> Vec<UserKey> {
    let index = index(store, VIEW);
    let users: Vec<_> = index.accounts(0).map(|place| index.entry(place).key).collect();
    store.keys_of(&users).unwrap()
}

/// A store in which E1 holds title `Clerk` and department `HR`, settled.
fn store_with_e1(dir: &Path) -> Store {
    let mut store = open(dir);
    let known = attributes(&[("title", Some("Clerk")), ("department", Some("HR"))]);
    adopt(&mut store, vec![("E1", "r1", known, Some(Fingerprint(7)))]);
    store
}

fn intent(operation_id: u64, user: &str, edits: Vec<Edit>) -> Entry {
    let action = if edits.is_empty() { ActionKind::Read } else { ActionKind::Patch };
    Entry::Intent(Intent {
        operation_id,
        run: run(),
        key: key(user),
        remote_id: Some(remote(&user.to_lowercase().replace('e', "r"))),
        action,
        edits,
        at: at(i64::try_from(operation_id).unwrap()),
    })
}

fn conclusion(operation_id: u64, user: &str, edits: Vec<Edit>, outcome: Outcome) -> Conclusion {
    Conclusion {
        operation_id,
        key: key(user),
        remote_id: Some(remote(&user.to_lowercase().replace('e', "r"))),
        action: if edits.is_empty() { ActionKind::Read } else { ActionKind::Patch },
        outcome,
        edits,
        was_in_doubt: false,
        status: Some(200),
        attempts: 1,
        at: at(100),
        fingerprint: None,
        refused: None,
        keep: Arc::default(),
        watched: Attributes::new(),
        effect: Effect::Nothing,
        row: None,
    }
}

fn settled(shown: Attributes) -> Outcome {
    Outcome::Settled { shown, unverified: false }
}

fn concluded(conclusion: Conclusion) -> Entry {
    Entry::Outcome(Box::new(conclusion))
}

fn known(store: &Snapshot, user: &str) -> Option<Known> {
    store.known(&[&key(user)]).unwrap().remove(&key(user))
}

/// Starts a PATCH of E1's title, ends it so, packs, and tells what is known then.
fn known_after(outcome: Outcome, adjust: impl FnOnce(&mut Conclusion)) -> (Known, Store, TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let mut store = store_with_e1(dir.path());
    let edits = vec![edit("title", "Clerk", "Chief")];
    let mut end = conclusion(1, "E1", edits.clone(), outcome);
    adjust(&mut end);
    store.commit(&[intent(1, "E1", edits), concluded(end)]).unwrap();
    store.pack(VIEW, &[], &[]).unwrap();
    let known = known(&store, "E1").unwrap();
    (known, store, dir)
}

// ---- outcomes

#[test]
fn inv01_an_open_intent_puts_its_user_in_doubt_and_its_attributes_out_of_sight() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = store_with_e1(dir.path());
    assert_eq!(known(&store, "E1").unwrap().standing, Standing::Settled);
    store.commit(&[intent(1, "E1", vec![edit("title", "Clerk", "Chief")])]).unwrap();

    let now = known(&store, "E1").unwrap();
    assert_eq!(now.standing, Standing::InDoubt);
    assert_eq!(now.attributes, attributes(&[("department", Some("HR"))]));
    assert_eq!(store.in_doubt().unwrap(), [key("E1")]);
    assert_eq!((row(&store, "E1"), accounts(&store)), (None, vec![key("E1")]));
    assert_eq!(store.open_intents().unwrap()[0].edits, [edit("title", "Clerk", "Chief")]);
}

#[test]
fn inv02_a_settled_patch_becomes_what_is_known() {
    let shown = attributes(&[
        ("title", Some("Chief")),
        ("department", None),
        ("nickname", Some("nobody wishes for it")),
    ]);
    let (now, store, _dir) = known_after(settled(shown), |end| {
        end.fingerprint = Some(Fingerprint(8));
        end.keep = Arc::new([path("department")].into());
    });
    assert_eq!(now.attributes, attributes(&[("title", Some("Chief")), ("department", None)]));
    assert_eq!((now.standing, row(&store, "E1")), (Standing::Settled, Some(Fingerprint(8))));
    assert!(store.in_doubt().unwrap().is_empty());
    assert!(store.open_intents().unwrap().is_empty());
}

#[test]
fn what_was_sent_is_taken_to_hold_where_nothing_can_be_seen() {
    let outcome = Outcome::Settled { shown: Attributes::new(), unverified: true };
    let (now, store, _dir) = known_after(outcome, |_| ());
    let expected = attributes(&[("title", Some("Chief")), ("department", Some("HR"))]);
    assert_eq!((now.attributes, now.standing), (expected, Standing::Settled));
    assert_eq!(journal(&store)[0].outcome, OutcomeKind::Unverified);
}

#[test]
fn an_edit_that_was_not_shown_is_unknown_and_not_hoped_for() {
    let (now, _store, _dir) = known_after(settled(Attributes::new()), |_| ());
    assert_eq!(now.attributes, attributes(&[("department", Some("HR"))]));
}

#[test]
fn a_settled_part_without_a_fingerprint_has_the_row_looked_at_again() {
    let shown = attributes(&[("title", Some("Chief"))]);
    let (_now, store, _dir) = known_after(settled(shown), |_| ());
    assert_eq!(row(&store, "E1"), None);
}

#[test]
fn a_refused_patch_leaves_what_is_known_and_the_wish_is_remembered() {
    let refusal = Refusal {
        status: 400,
        code: "invalidValue".to_owned(),
        excerpt: Excerpt::of("no such title"),
        attributes: vec![path("title")],
    };
    let wish = attributes(&[("title", Some("Chief"))]);
    let (now, mut store, _dir) = known_after(Outcome::Refused(refusal), |end| {
        end.status = Some(400);
        end.refused = Some(wish.clone());
    });
    let before = attributes(&[("title", Some("Clerk")), ("department", Some("HR"))]);
    assert_eq!((now.attributes, now.refused), (before, wish));
    assert_eq!((now.standing, row(&store, "E1")), (Standing::Settled, None));
    let listed =
        RefusedWish { key: key("E1"), path: path("title"), wish: Some(Value::from("Chief")) };
    assert_eq!(store.refused().unwrap(), [listed]);
    assert_eq!(journal(&store)[0].why, "invalidValue no such title");

    let mut end = conclusion(2, "E1", vec![], settled(Attributes::new()));
    end.refused = Some(Attributes::new());
    store.commit(&[concluded(end)]).unwrap();
    assert!(store.refused().unwrap().is_empty());
}

#[test]
fn an_operation_in_doubt_stays_open() {
    let why = "the connection was cut".to_owned();
    let (now, store, _dir) = known_after(Outcome::InDoubt { why }, |end| end.status = None);
    assert_eq!(now.standing, Standing::InDoubt);
    assert_eq!(now.attributes, attributes(&[("department", Some("HR"))]));
    assert_eq!(store.open_intents().unwrap().len(), 1);
}

#[test]
fn a_deferred_operation_leaves_what_is_known_and_has_the_row_looked_at_again() {
    let (now, store, _dir) =
        known_after(Outcome::Deferred { why: "too many requests".to_owned() }, |_| ());
    let before = attributes(&[("title", Some("Clerk")), ("department", Some("HR"))]);
    assert_eq!((now.attributes, now.standing), (before, Standing::Settled));
    assert_eq!(row(&store, "E1"), None);
    assert!(store.open_intents().unwrap().is_empty());
}

#[test]
fn somebody_gone_is_known_to_be_and_comes_back_when_seen() {
    let (now, mut store, _dir) = known_after(Outcome::Gone, |_| ());
    assert_eq!((now.attributes, now.standing), (Attributes::new(), Standing::Gone));
    assert_eq!((store.gone().unwrap(), row(&store, "E1")), (vec![key("E1")], None));

    let shown = attributes(&[("title", Some("Chief"))]);
    let mut end = conclusion(2, "E1", vec![], settled(shown.clone()));
    end.keep = Arc::new([path("title")].into());
    store.commit(&[intent(2, "E1", vec![]), concluded(end)]).unwrap();
    assert!(store.gone().unwrap().is_empty());
    assert_eq!(known(&store, "E1").unwrap().attributes, shown);
}

#[test]
fn inv03_a_read_answers_for_every_request_that_left_before_it() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = store_with_e1(dir.path());
    let titled = vec![edit("title", "Clerk", "Chief")];
    let moved = vec![edit("department", "HR", "IT")];
    store.commit(&[intent(1, "E1", titled), intent(2, "E1", moved)]).unwrap();
    let mut end = conclusion(3, "E1", vec![], settled(attributes(&[("title", Some("Chief"))])));
    end.keep = Arc::new([path("title"), path("department")].into());
    store.commit(&[intent(3, "E1", vec![]), concluded(end)]).unwrap();

    let now = known(&store, "E1").unwrap();
    assert_eq!(now.standing, Standing::Settled);
    // The department was on its way and was not shown: it is not known any more.
    assert_eq!(now.attributes, attributes(&[("title", Some("Chief"))]));
}

#[test]
fn inv03_a_refusal_answers_for_its_own_request_only() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = store_with_e1(dir.path());
    let titled = vec![edit("title", "Clerk", "Chief")];
    let moved = vec![edit("department", "HR", "IT")];
    let end = conclusion(2, "E1", moved.clone(), Outcome::Deferred { why: String::new() });
    store.commit(&[intent(1, "E1", titled), intent(2, "E1", moved), concluded(end)]).unwrap();
    let now = known(&store, "E1").unwrap();
    assert_eq!(now.standing, Standing::InDoubt);
    assert_eq!(now.attributes, attributes(&[("department", Some("HR"))]));
}

#[test]
fn somebody_never_seen_is_in_doubt_while_a_read_is_open_and_unknown_after_it_was_put_off() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = open(dir.path());
    assert!(known(&store, "E9").is_none());
    store.commit(&[intent(1, "E9", vec![])]).unwrap();
    let now = known(&store, "E9").unwrap();
    assert_eq!((now.remote_id, now.standing), (remote("r9"), Standing::InDoubt));
    assert_eq!((accounts(&store), store.users().unwrap()), (vec![key("E9")], 1));

    let end = conclusion(1, "E9", vec![], Outcome::Deferred { why: String::new() });
    store.commit(&[concluded(end)]).unwrap();
    assert!(known(&store, "E9").is_none());
    assert_eq!((accounts(&store), store.users().unwrap()), (vec![], 0));
}

#[test]
fn what_was_known_of_another_account_says_nothing_of_the_new_one() {
    let shown = attributes(&[("title", Some("Chief"))]);
    let (now, _store, _dir) = known_after(settled(shown.clone()), |end| {
        end.remote_id = Some(remote("other"));
    });
    assert_eq!((now.attributes, now.remote_id), (shown, remote("other")));
}

// ---- the files

#[test]
fn e01_what_was_committed_is_there_without_a_close_and_after_one() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = store_with_e1(dir.path());
    store.commit(&[intent(1, "E1", vec![edit("title", "Clerk", "Chief")])]).unwrap();

    // What a killed process leaves: the file and its log, nothing closed.
    let copy = tempfile::tempdir().unwrap();
    for name in ["acme.db", "acme.db-wal"] {
        fs::copy(dir.path().join(name), copy.path().join(name)).unwrap();
    }
    assert!(fs::metadata(copy.path().join("acme.db-wal")).unwrap().len() > 0);
    let lineage = store.lineage().unwrap();
    drop(store);
    for dir in [dir.path(), copy.path()] {
        let store = open(dir);
        assert!(!store.is_new());
        assert_eq!(store.lineage().unwrap(), lineage);
        assert_eq!(store.in_doubt().unwrap(), [key("E1")]);
        assert_eq!(store.last_operation().unwrap(), 1);
        let now = known(&store, "E1").unwrap();
        assert_eq!(now.attributes, attributes(&[("department", Some("HR"))]));
    }
}

#[test]
fn e02_a_log_cut_anywhere_gives_the_state_after_one_of_its_commits() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = store_with_e1(dir.path());
    store.end_run(&run(), "{}", at(0)).unwrap();
    for operation in 1..=3 {
        store.commit(&[intent(operation, "E1", vec![])]).unwrap();
    }
    let log = fs::read(dir.path().join("acme.db-wal")).unwrap();
    let mut last = 0;
    for length in (0..=log.len()).step_by(997).chain([log.len()]) {
        let copy = tempfile::tempdir().unwrap();
        fs::copy(dir.path().join("acme.db"), copy.path().join("acme.db")).unwrap();
        fs::write(copy.path().join("acme.db-wal"), &log[..length]).unwrap();
        let operation = open(copy.path()).last_operation().unwrap();
        assert!((last..=3).contains(&operation), "{length}: {operation}");
        last = operation;
    }
    assert_eq!(last, 3);
}

#[test]
fn g02_only_the_owner_may_read_what_is_made() {
    let base = tempfile::tempdir().unwrap();
    let dir = base.path().join("state");
    let mut store = open(&dir);
    store.set_mark("nightly", at(0)).unwrap();
    assert_eq!(mode(&dir), 0o700);
    let mut names: Vec<_> = fs::read_dir(&dir).unwrap().map(|e| e.unwrap().path()).collect();
    names.sort();
    let ends = ["acme.db", "acme.db-shm", "acme.db-wal", "acme.lock"];
    assert_eq!(names, ends.map(|end| dir.join(end)));
    assert!(names.iter().all(|name| mode(name) == 0o600));
}

#[test]
fn g02_files_that_others_may_read_are_closed_to_them() {
    let dir = tempfile::tempdir().unwrap();
    drop(store_with_e1(dir.path()));
    for name in ["acme.db", "acme.lock"] {
        let open_to_all = fs::Permissions::from_mode(0o666);
        fs::set_permissions(dir.path().join(name), open_to_all).unwrap();
    }
    let _store = open(dir.path());
    for name in ["acme.db", "acme.db-wal", "acme.db-shm", "acme.lock"] {
        assert_eq!(mode(&dir.path().join(name)), 0o600, "{name}");
    }
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn e11_a_second_writer_is_told_who_the_first_one_is() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let Err(StoreError::Locked { holder, .. }) = Store::open(dir.path(), &tenant(), &holder())
    else {
        panic!("the lock was not held");
    };
    assert_eq!(holder, format!("process 4711 on hr-01 since {}", at(0)));
    drop(store);
    open(dir.path());
}

#[test]
fn e11_of_twenty_racing_starts_one_wins() {
    let dir = tempfile::tempdir().unwrap();
    let start = std::sync::Barrier::new(20);
    let end = std::sync::Barrier::new(20);
    let won = std::thread::scope(|scope| {
        let race = || {
            start.wait();
            let store = Store::open(dir.path(), &tenant(), &holder());
            end.wait();
            match store {
                Ok(_) => 1,
                Err(StoreError::Locked { .. }) => 0,
                Err(other) => panic!("{other}"),
            }
        };
        let racers: Vec<_> = (0..20).map(|_| scope.spawn(race)).collect();
        racers.into_iter().map(|racer| racer.join().unwrap()).sum::<i32>()
    });
    assert_eq!(won, 1);
}

#[test]
fn e11_tenants_do_not_lock_each_other() {
    let dir = tempfile::tempdir().unwrap();
    let _acme = open(dir.path());
    Store::open(dir.path(), &TenantId::parse("other").unwrap(), &holder()).unwrap();
}

#[test]
fn e21_a_newer_schema_is_refused_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    drop(store_with_e1(dir.path()));
    db(dir.path()).pragma_update(None, "user_version", 99).unwrap();
    let before = content(dir.path());
    let refused = Store::open(dir.path(), &tenant(), &holder());
    let Err(StoreError::Newer { found: 99, known, .. }) = refused else { panic!("it was taken") };
    let Err(error) = ReadStore::open(dir.path(), &tenant()) else { panic!("it was taken") };
    // Both versions, and a way out.
    for word in ["schema 99", &format!("up to {known};"), "newer one", "backup"] {
        assert!(error.to_string().contains(word), "{error}");
    }
    assert_eq!(content(dir.path())["acme.db"], before["acme.db"]);
}

#[test]
fn e07_a_damaged_file_is_refused_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    drop(store_with_e1(dir.path()));
    let file = dir.path().join("acme.db");
    let sound = fs::read(&file).unwrap();
    let zeroed_page = [&sound[..4096], &[0; 4096], &sound[8192..]].concat();
    let cases = [
        b"this is no database, though it has a length".repeat(99),
        zeroed_page,
        sound[..9000].to_vec(),
    ];
    for damaged in cases {
        fs::write(&file, &damaged).unwrap();
        let opened = Store::open(dir.path(), &tenant(), &holder());
        let refused = opened.and_then(|mut store| store.verify());
        assert!(matches!(refused, Err(StoreError::Damaged { .. })), "{:?}", refused.err());
        assert!(fs::read(&file).unwrap() == damaged);
    }
}

#[test]
fn a_file_of_another_tenant_or_program_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    drop(store_with_e1(dir.path()));
    fs::copy(dir.path().join("acme.db"), dir.path().join("other.db")).unwrap();
    let refused = Store::open(dir.path(), &TenantId::parse("other").unwrap(), &holder());
    let Err(StoreError::Foreign { owner, .. }) = refused else { panic!("it was taken") };
    assert_eq!(owner, "tenant `acme`");

    let dir = tempfile::tempdir().unwrap();
    db(dir.path()).execute_batch("CREATE TABLE songs (name TEXT)").unwrap();
    let refused = Store::open(dir.path(), &tenant(), &holder());
    assert!(matches!(refused, Err(StoreError::Foreign { .. })));
}

#[test]
fn e06_a_directory_that_cannot_be_made_is_an_error_that_names_it() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, "").unwrap();
    let Err(error) = Store::open(&file.join("state"), &tenant(), &holder()) else {
        panic!("it was made");
    };
    assert!(error.to_string().contains("file/state"), "{error}");
}

#[test]
fn e10_a_file_that_was_removed_while_in_use_stops_every_further_write() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = store_with_e1(dir.path());
    let (file, aside) = (dir.path().join("acme.db"), dir.path().join("aside.db"));
    fs::rename(&file, &aside).unwrap();
    let refused = store.commit(&[intent(1, "E1", vec![])]);
    assert!(matches!(refused, Err(StoreError::Replaced { .. })));
    fs::rename(&aside, &file).unwrap();
    assert!(store.set_mark("nightly", at(0)).is_err(), "what failed once stays failed");
}

#[test]
fn a_failed_write_leaves_nothing_of_itself_and_stops_every_further_one() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = store_with_e1(dir.path());
    let serial = store.serial().unwrap();
    let twice = [intent(1, "E1", vec![]), intent(2, "E2", vec![]), intent(2, "E3", vec![])];
    assert!(store.commit(&twice).is_err());
    assert!(store.commit(&[intent(5, "E1", vec![])]).is_err());
    assert!(store.in_doubt().unwrap().is_empty());
    assert_eq!(store.serial().unwrap(), serial);
    drop(store);
    open(dir.path()).commit(&[intent(1, "E1", vec![])]).unwrap();
}

#[test]
fn e07_f11_a_user_whose_row_does_not_match_its_hash_is_as_good_as_never_seen() {
    let changes = [
        "UPDATE user SET attributes = '{\"title\":\"Boss\"}'",
        "UPDATE user SET remote_id = 'somebody'",
        "UPDATE user SET gone = 1",
        "UPDATE user SET refused = '{\"title\":\"x\"}'",
    ];
    for change in changes {
        let dir = tempfile::tempdir().unwrap();
        drop(store_with_e1(dir.path()));
        assert_eq!(db(dir.path()).execute(change, []).unwrap(), 1);
        let mut store = open(dir.path());
        let now = known(&store, "E1").unwrap();
        assert_eq!((now.attributes, now.standing), (Attributes::new(), Standing::InDoubt));
        assert!(now.refused.is_empty());

        let mut end = conclusion(1, "E1", vec![], settled(attributes(&[("title", None)])));
        end.keep = Arc::new([path("title")].into());
        store.commit(&[intent(1, "E1", vec![]), concluded(end)]).unwrap();
        assert_eq!(known(&store, "E1").unwrap().attributes, attributes(&[("title", None)]));
    }
}

#[test]
fn tables_take_no_value_of_another_type_and_the_journal_no_change() {
    let dir = tempfile::tempdir().unwrap();
    let (_, store, dir) = {
        drop(dir);
        known_after(Outcome::Gone, |_| ())
    };
    drop(store);
    let db = db(dir.path());
    assert!(db.execute("UPDATE user SET seen = 'yes'", []).is_err());
    assert!(db.execute("INSERT INTO sent (at, requests) VALUES (1, 'many')", []).is_err());
    assert!(db.execute("UPDATE journal SET outcome = 'settled'", []).is_err());
    let tables = "SELECT count(*) FROM pragma_table_list
                  WHERE schema = 'main' AND name NOT LIKE 'sqlite_%' AND NOT strict";
    assert_eq!(db.query_row(tables, [], |row| row.get::<_, i64>(0)).unwrap(), 0);
}

// ---- only looking

/// Every file of a directory and all that is in it.
fn content(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = fs::read_dir(dir).unwrap().map(Result::unwrap);
    let named =
        entries.map(|e| (e.file_name().into_string().unwrap(), fs::read(e.path()).unwrap()));
    named.collect()
}

fn look(dir: &Path) {
    let store = ReadStore::open(dir, &tenant()).unwrap().unwrap();
    assert_eq!(row(&store, "E1"), Some(Fingerprint(7)));
    assert_eq!(known(&store, "E1").unwrap().remote_id, remote("r1"));
    assert!(store.pause().unwrap().is_none());
}

#[test]
fn inv14_looking_leaves_the_directory_as_it_was() {
    let dir = tempfile::tempdir().unwrap();
    assert!(ReadStore::open(dir.path(), &tenant()).unwrap().is_none());
    assert!(ReadStore::open(&dir.path().join("nowhere"), &tenant()).unwrap().is_none());
    assert!(content(dir.path()).is_empty());

    drop(store_with_e1(dir.path()));
    let before = content(dir.path());
    assert_eq!(before.keys().collect::<Vec<_>>(), ["acme.db", "acme.lock", "acme.serial"]);
    look(dir.path());
    assert!(content(dir.path()) == before);
}

#[test]
fn inv14_looking_at_what_a_killed_writer_left_leaves_it_as_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let store = store_with_e1(dir.path());
    for names in [
        ["acme.db", "acme.db-wal"].as_slice(),
        &["acme.db", "acme.db-wal", "acme.db-shm", "acme.lock"],
    ] {
        let copy = tempfile::tempdir().unwrap();
        for name in names {
            fs::copy(dir.path().join(name), copy.path().join(name)).unwrap();
        }
        let before = content(copy.path());
        look(copy.path());
        assert!(content(copy.path()) == before, "{names:?}");
        assert_eq!(known(&open(copy.path()), "E1").unwrap().standing, Standing::Settled);
    }
    drop(store);
}

#[test]
fn a_directory_with_signs_in_its_name_can_be_looked_at() {
    let base = tempfile::tempdir().unwrap();
    let dir = base.path().join("a b?c#d%41ü");
    drop(store_with_e1(&dir));
    look(&dir);
}

#[test]
fn e11_looking_works_beside_a_writer_and_sees_what_it_commits() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = store_with_e1(dir.path());
    let reader = ReadStore::open(dir.path(), &tenant()).unwrap().unwrap();
    assert!(reader.in_doubt().unwrap().is_empty());
    store.commit(&[intent(1, "E1", vec![])]).unwrap();
    assert_eq!(reader.in_doubt().unwrap(), [key("E1")]);
    drop(reader);
    store.commit(&[intent(2, "E1", vec![])]).unwrap();
}

#[test]
fn a_writer_waits_for_a_reader() {
    let dir = tempfile::tempdir().unwrap();
    drop(store_with_e1(dir.path()));
    let reader = ReadStore::open(dir.path(), &tenant()).unwrap().unwrap();
    let (told, opened) = mpsc::channel();
    std::thread::scope(|scope| {
        scope.spawn(|| told.send(open(dir.path()).users()).unwrap());
        assert!(opened.try_recv().is_err());
        assert_eq!(reader.users().unwrap(), 1);
        drop(reader);
        assert_eq!(opened.recv().unwrap().unwrap(), 1);
    });
}

// ---- the books

fn journal(store: &Snapshot) -> Vec<rosterd::store::JournalRow> {
    store.journal(&JournalFilter { key: None, run: None, limit: 100 }).unwrap()
}

#[test]
fn the_journal_tells_every_outcome_newest_first() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = store_with_e1(dir.path());
    let edits = vec![
        Edit { path: path("a"), before: None, after: Some(Value::set(["x", "y"])) },
        Edit { path: path("b"), before: Some(None), after: Some(Value::Flag(true)) },
        Edit { path: path("c"), before: Some(Some(Value::Integer(3))), after: None },
    ];
    let mut first = conclusion(1, "E1", edits.clone(), Outcome::InDoubt { why: "cut".to_owned() });
    (first.status, first.attempts) = (None, 3);
    let second = conclusion(2, "E2", vec![], Outcome::Gone);
    store.commit(&[intent(1, "E1", edits.clone()), concluded(first)]).unwrap();
    store.commit(&[concluded(second)]).unwrap();

    let rows = journal(&store);
    assert_eq!((rows[0].outcome, rows[0].action), (OutcomeKind::Gone, ActionKind::Read));
    assert_eq!(rows[0].run, None);
    assert_eq!((rows[1].outcome, rows[1].action), (OutcomeKind::InDoubt, ActionKind::Patch));
    assert_eq!((rows[1].status, rows[1].attempts, rows[1].why.as_str()), (None, 3, "cut"));
    assert_eq!((rows[1].run.clone(), rows[1].at), (Some(run()), at(100)));
    assert_eq!(rows[1].edits, edits);

    let of = |key, run| store.journal(&JournalFilter { key, run, limit: 1 }).unwrap();
    assert_eq!(of(Some(key("E1")), None), rows[1..]);
    assert_eq!(of(None, Some(run())), rows[1..]);
    assert_eq!(of(None, None), rows[..1]);
    assert!(of(Some(key("E2")), Some(run())).is_empty());
}

#[test]
fn runs_are_listed_newest_first_with_their_end() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = open(dir.path());
    let second = RunId::parse("0192f0c1-2a3b-7c4d-8e5f-001122334456").unwrap();
    store.begin_run(&run(), "apply", at(1)).unwrap();
    store.end_run(&run(), "{\"applied\":3}", at(2)).unwrap();
    store.begin_run(&second, "run", at(3)).unwrap();
    let runs = store.runs(10).unwrap();
    assert_eq!((runs[0].run.clone(), runs[0].ended), (second, None));
    assert_eq!((runs[1].verb.as_str(), runs[1].ended), ("apply", Some(at(2))));
    assert_eq!(runs[1].summary.as_deref(), Some("{\"applied\":3}"));
}

#[test]
fn inv07_the_time_of_every_request_is_kept_for_the_quota() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = open(dir.path());
    let again = |second| Entry::Sent { operation_id: 1, at: at(second) };
    store.commit(&[intent(1, "E1", vec![]), again(5), again(5), again(9)]).unwrap();
    store.commit(&[intent(6, "E2", vec![])]).unwrap();
    assert_eq!(store.sends_since(at(0)).unwrap(), [1, 5, 5, 6, 9].map(at));
    assert_eq!(store.sends_since(at(6)).unwrap(), [6, 9].map(at));
}

#[test]
fn inv08_a_shorter_pause_does_not_end_a_longer_one() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = open(dir.path());
    let pause = |second, why: &str| Entry::Pause { until: at(second), why: why.to_owned() };
    store.commit(&[pause(50, "Retry-After"), pause(20, "a later answer")]).unwrap();
    drop(store);
    let mut store = open(dir.path());
    let found = store.pause().unwrap().unwrap();
    assert_eq!((found.until, found.why.as_str()), (at(50), "Retry-After"));
    store.clear_pause().unwrap();
    assert!(store.pause().unwrap().is_none());
}

#[test]
fn e29_what_is_older_than_ninety_days_is_removed_except_open_intents() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = store_with_e1(dir.path());
    store.begin_run(&run(), "run", at(0)).unwrap();
    let end = conclusion(2, "E2", vec![], Outcome::Gone);
    store.commit(&[intent(1, "E1", vec![]), concluded(end)]).unwrap();
    let later = RunId::parse("0192f0c1-2a3b-7c4d-8e5f-001122334456").unwrap();
    store.end_run(&later, "{}", at(100) + (24 * 90).hours()).unwrap();
    assert_eq!((journal(&store).len(), store.sends_since(at(0)).unwrap().len()), (1, 0));
    assert!(store.runs(1).unwrap().is_empty());
    store.end_run(&later, "{}", at(101) + (24 * 90).hours()).unwrap();
    assert_eq!(journal(&store).len(), 1, "the packed index does not know of it yet");
    store.pack(VIEW, &[], &[]).unwrap();
    store.end_run(&later, "{}", at(101) + (24 * 90).hours()).unwrap();
    assert!(journal(&store).is_empty());
    assert_eq!(store.open_intents().unwrap().len(), 1);

    let end = conclusion(3, "E3", vec![], Outcome::Gone);
    store.commit(&[concluded(end)]).unwrap();
    drop(store);
    assert_eq!(row(&open(dir.path()), "E3"), None, "no number of the journal is used twice");
}

#[test]
fn the_accepted_input_and_marks_are_kept() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = open(dir.path());
    assert!(store.is_new());
    assert_eq!((store.accepted_input().unwrap(), store.mark("nightly").unwrap()), (None, None));
    for users in [10, 11] {
        let input = AcceptedInput { users, rows: 12, digest: Fingerprint(u128::MAX), at: at(1) };
        store.accept_input(&input).unwrap();
        store.set_mark("nightly", at(i64::try_from(users).unwrap())).unwrap();
        assert_eq!(store.accepted_input().unwrap(), Some(input));
    }
    assert_eq!(store.mark("nightly").unwrap(), Some(at(11)));
}

#[test]
fn the_serial_grows_with_what_is_known_and_with_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = store_with_e1(dir.path());
    let first = store.serial().unwrap();
    store.begin_run(&run(), "run", at(0)).unwrap();
    let pause = Entry::Pause { until: at(50), why: String::new() };
    store.commit(&[pause, Entry::Sent { operation_id: 1, at: at(0) }]).unwrap();
    assert_eq!(store.serial().unwrap(), first);
    store.commit(&[intent(1, "E1", vec![])]).unwrap();
    assert_eq!(store.serial().unwrap(), first + 1);
    store.forget(&[&key("E1")]).unwrap();
    assert_eq!(store.serial().unwrap(), first + 2);
}

#[test]
fn g11_a_tag_names_a_user_within_one_file_only() {
    let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let store = open(here.path());
    let tag = store.tag(&key("E1"));
    assert!(tag.len() == 12 && tag.chars().all(|c| c.is_ascii_hexdigit()));
    assert_ne!(tag, store.tag(&key("E2")));
    assert_ne!(tag, open(there.path()).tag(&key("E1")));
    drop(store);
    assert_eq!(tag, open(here.path()).tag(&key("E1")));
}

#[test]
fn e05_what_a_log_was_prepared_with_means_nothing_after_a_kill() {
    let (here, copied) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let length = || fs::metadata(here.path().join("acme.db-wal")).unwrap().len();
    let mut store = store_with_e1(here.path());
    store.make_ready(999).unwrap();
    assert_eq!(length(), 0, "not for a few operations");
    store.make_ready(1000).unwrap();
    let prepared = length();
    assert!(prepared > 4_000_000);
    store.commit(&[intent(1, "E1", vec![])]).unwrap();
    assert_eq!(length(), prepared);
    for name in ["acme.db", "acme.db-wal"] {
        fs::copy(here.path().join(name), copied.path().join(name)).unwrap();
    }
    assert_eq!(open(copied.path()).open_intents().unwrap().len(), 1);
    store.end_run(&run(), "{}", at(1)).unwrap();
    assert_eq!(length(), 0);
    store.make_ready(1000).unwrap();
    drop(store);
    assert_eq!(open(here.path()).open_intents().unwrap().len(), 1);
}

// ---- the writer

#[test]
fn what_is_queued_together_shares_a_commit() {
    let dir = tempfile::tempdir().unwrap();
    let writer = Writer::spawn(open(dir.path()));
    let (begun, has_begun) = mpsc::channel();
    let (go, may_go) = mpsc::channel::<()>();
    writer.submit(
        vec![intent(1, "E1", vec![])],
        Box::new(move |result| {
            begun.send(result.is_ok()).unwrap();
            may_go.recv().unwrap();
        }),
    );
    assert!(has_begun.recv().unwrap());
    let (told, results) = mpsc::channel();
    for operation in 2..=601 {
        let told = told.clone();
        let done =
            move |result: Result<(), StoreError>| told.send((operation, result.is_ok())).unwrap();
        writer.submit(vec![intent(operation, &format!("E{operation}"), vec![])], Box::new(done));
    }
    go.send(()).unwrap();
    let told: Vec<_> = (2..=601).map(|_| results.recv().unwrap()).collect();
    assert_eq!(told, (2..=601).map(|operation| (operation, true)).collect::<Vec<_>>());
    assert_eq!(writer.commits(), 1 + 2, "the first, then 512 and the rest");
    assert_eq!(writer.finish().unwrap().open_intents().unwrap().len(), 601);
}

#[test]
fn e05_after_a_failed_commit_every_later_one_fails() {
    let dir = tempfile::tempdir().unwrap();
    let writer = Writer::spawn(store_with_e1(dir.path()));
    let (told, results) = mpsc::channel();
    let submit = |operation| {
        let told = told.clone();
        let done = move |result| told.send(result).unwrap();
        let edits = vec![edit("title", "Clerk", "Chief")];
        writer.submit(vec![intent(operation, "E1", edits)], Box::new(done));
        results.recv().unwrap()
    };
    submit(1).unwrap();
    submit(1).unwrap_err();
    submit(2).unwrap_err();
    assert_eq!(writer.commits(), 1);
    let mut store = writer.finish().unwrap();
    store.set_mark("nightly", at(0)).unwrap_err();
}

#[test]
fn a_writer_whose_thread_has_died_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let writer = Writer::spawn(open(dir.path()));
    let (told, results) = mpsc::channel::<()>();
    let dying = Box::new(move |_| {
        let _dropped_with_the_thread = told;
        panic!("on purpose");
    });
    writer.submit(vec![intent(1, "E1", vec![])], dying);
    results.recv().unwrap_err();
    assert!(matches!(writer.finish(), Err(StoreError::Stopped)));
    assert_eq!(open(dir.path()).open_intents().unwrap().len(), 1);
}

// ---- against a naive model

/// What the store should know, told as plainly as possible.
#[derive(Default)]
struct Model {
    accounts: BTreeMap<UserKey, (Attributes, Attributes, Option<Fingerprint>, bool)>,
    /// Users with an outcome since they were packed.
    touched: BTreeSet<UserKey>,
    open: Vec<(u64, UserKey, Vec<Edit>)>,
    /// Clean reads, and what is in question.
    suspects: BTreeMap<UserKey, (u32, BTreeSet<AttrPath>)>,
}

impl Model {
    fn take(&mut self, entry: &Entry) {
        match entry {
            Entry::Intent(intent) => {
                self.open.retain(|(_, key, edits)| *key != intent.key || !edits.is_empty());
                self.open.push((intent.operation_id, intent.key.clone(), intent.edits.clone()));
            }
            Entry::Outcome(end) => self.end(end),
            Entry::Sent { .. } | Entry::Pause { .. } | Entry::Pace { .. } => {}
        }
    }

    fn end(&mut self, end: &Conclusion) {
        let before = self.accounts.get(&end.key).cloned();
        self.touched.insert(end.key.clone());
        self.suspect(end);
        let (mut account, refused, _, _) = before.clone().unwrap_or_default();
        let new_refused = end.refused.clone().unwrap_or(refused);
        match &end.outcome {
            Outcome::Matched { .. }
            | Outcome::Nobody
            | Outcome::Ambiguous { .. }
            | Outcome::Created { .. }
            | Outcome::Deleted => unreachable!("the model knows accounts that stay"),
            Outcome::Settled { shown, unverified } => {
                let mut touched: Vec<AttrPath> = end.edits.iter().map(|e| e.path.clone()).collect();
                for (_, key, edits) in &self.open {
                    if *key == end.key {
                        touched.extend(edits.iter().map(|edit| edit.path.clone()));
                    }
                }
                account.retain(|path, _| !touched.contains(path));
                for Edit { path, after, .. } in &end.edits {
                    if *unverified {
                        account.insert(path.clone(), after.clone());
                    }
                    if let Some(value) = shown.get(path) {
                        account.insert(path.clone(), value.clone());
                    }
                }
                for path in end.keep.iter() {
                    if let Some(value) = shown.get(path) {
                        account.insert(path.clone(), value.clone());
                    }
                }
                self.accounts
                    .insert(end.key.clone(), (account, new_refused, end.fingerprint, true));
                self.open.retain(|(_, key, _)| *key != end.key);
            }
            Outcome::Gone => {
                let refused = end.refused.clone().unwrap_or_default();
                let gone = (Attributes::new(), refused, end.fingerprint, true);
                self.accounts.insert(end.key.clone(), gone);
                self.open.retain(|(_, key, _)| *key != end.key);
            }
            Outcome::Refused(_) | Outcome::Deferred { .. } | Outcome::InDoubt { .. } => {
                if before.is_some() || end.refused.is_some() {
                    let seen = before.is_some_and(|(_, _, _, seen)| seen);
                    let known = (account, new_refused, end.fingerprint, seen);
                    self.accounts.insert(end.key.clone(), known);
                }
                if !matches!(end.outcome, Outcome::InDoubt { .. }) {
                    self.open.retain(|(operation, _, _)| *operation != end.operation_id);
                }
            }
        }
    }

    fn suspect(&mut self, end: &Conclusion) {
        let shown = match &end.outcome {
            Outcome::Settled { shown, .. } => shown,
            Outcome::Gone => {
                self.suspects.remove(&end.key);
                return;
            }
            Outcome::Refused(_) | Outcome::Deferred { .. } | Outcome::InDoubt { .. } => return,
            Outcome::Matched { .. }
            | Outcome::Nobody
            | Outcome::Ambiguous { .. }
            | Outcome::Created { .. }
            | Outcome::Deleted => unreachable!("the model knows accounts that stay"),
        };
        let earlier = |open: &&(u64, UserKey, Vec<Edit>)| {
            open.0 != end.operation_id && open.1 == end.key && !open.2.is_empty()
        };
        let edits = self.open.iter().filter(earlier).flat_map(|(_, _, edits)| edits);
        let doubted: BTreeSet<AttrPath> = edits.map(|edit| edit.path.clone()).collect();
        if !doubted.is_empty() {
            let (clean, paths) = self.suspects.entry(end.key.clone()).or_default();
            *clean = 0;
            paths.extend(doubted);
            return;
        }
        let Some((clean, paths)) = self.suspects.get_mut(&end.key) else { return };
        if end.edits.is_empty() {
            let agrees = self.accounts.get(&end.key).is_some_and(|(account, ..)| {
                account.iter().all(|(path, value)| {
                    shown.get(path).is_none_or(|shown| same(shown.as_ref(), value.as_ref()))
                })
            });
            *clean = if agrees { *clean + 1 } else { 0 };
        }
        let anew = |path: &AttrPath| {
            end.edits.iter().any(|edit| edit.path == *path && edit.before.is_none())
        };
        let left: BTreeSet<AttrPath> = paths.iter().filter(|path| !anew(path)).cloned().collect();
        if *clean == 2 || left.is_empty() {
            self.suspects.remove(&end.key);
        } else if left.len() < paths.len() {
            (*clean, *paths) = (0, left);
        }
    }

    fn known(&self, key: &UserKey) -> Option<Seen> {
        let open: Vec<_> = self.open.iter().filter(|(_, user, _)| user == key).collect();
        let account = self.accounts.get(key).cloned();
        if account.is_none() && open.is_empty() {
            return None;
        }
        let (mut account, mut refused, _, seen) = account.unwrap_or_default();
        for edit in open.iter().flat_map(|(_, _, edits)| edits) {
            account.remove(&edit.path);
            refused.remove(&edit.path);
        }
        Some((account, refused, seen && open.is_empty()))
    }

    /// Whether there is an account, and which row of it is settled.
    fn entry(&self, key: &UserKey) -> (bool, Option<Fingerprint>) {
        let Some((_, _, settled)) = self.known(key) else { return (false, None) };
        let row = self.accounts.get(key).and_then(|(_, _, row, _)| *row);
        (true, row.filter(|_| settled && !self.touched.contains(key)))
    }

    /// `lost`: by a process that ended before it packed, so that its rows are not known.
    fn pack(&mut self, lost: bool) {
        for key in std::mem::take(&mut self.touched) {
            let unsettled = lost || self.suspects.contains_key(&key);
            if let Some((_, _, row, _)) = self.accounts.get_mut(&key).filter(|_| unsettled) {
                *row = None;
            }
        }
    }
}

/// Attributes, refused, settled.
type Seen = (Attributes, Attributes, bool);

fn any_value() -> impl Strategy<Value = Option<Value>> {
    prop_oneof![
        Just(None),
        "\\PC{0,8}".prop_map(|text| Some(Value::from(text))),
        any::<bool>().prop_map(|flag| Some(Value::Flag(flag))),
        any::<i64>().prop_map(|number| Some(Value::Integer(number))),
        (-1.0e6..1.0e6_f64).prop_map(Value::number),
        prop::collection::vec("[a-c\"\\\\]{0,3}", 0..3).prop_map(|set| Some(Value::set(set))),
    ]
}

fn any_path() -> impl Strategy<Value = AttrPath> {
    prop_oneof![Just("a"), Just("b.c"), Just("emails[type eq \"work\"].value")]
        .prop_map(AttrPath::new)
}

fn any_attributes() -> impl Strategy<Value = Attributes> {
    prop::collection::btree_map(any_path(), any_value(), 0..3)
}

fn any_edits() -> impl Strategy<Value = Vec<Edit>> {
    let values = (prop::option::of(any_value()), any_value());
    prop::collection::btree_map(any_path(), values, 0..3).prop_map(|edits| {
        let edit = |(path, (before, after))| Edit { path, before, after };
        edits.into_iter().map(edit).collect()
    })
}

fn any_outcome() -> impl Strategy<Value = Outcome> {
    prop_oneof![
        3 => (any_attributes(), any::<bool>())
            .prop_map(|(shown, unverified)| Outcome::Settled { shown, unverified }),
        1 => Just(Outcome::Refused(Refusal {
            status: 400,
            code: String::new(),
            excerpt: Excerpt::default(),
            attributes: vec![],
        })),
        1 => Just(Outcome::InDoubt { why: String::new() }),
        1 => Just(Outcome::Deferred { why: String::new() }),
        1 => Just(Outcome::Gone),
    ]
}

/// A step: the user, the edits, whether an intent precedes, and the end, if it comes to one.
type Step = (u8, Vec<Edit>, bool, Option<End>);
type End = (Outcome, Option<u64>, Option<Attributes>, BTreeSet<AttrPath>);

fn any_step() -> impl Strategy<Value = Step> {
    let end = (
        any_outcome(),
        prop::option::of(any::<u64>()),
        prop::option::of(any_attributes()),
        prop::collection::btree_set(any_path(), 0..3),
    );
    (0..3_u8, any_edits(), any::<bool>(), prop::option::weighted(0.7, end))
}

fn entries_of(operation: u64, (user, edits, has_intent, end): Step) -> Vec<Entry> {
    let user = format!("E{user}");
    let mut entries = Vec::new();
    if has_intent {
        entries.push(intent(operation, &user, edits.clone()));
    }
    if let Some((outcome, fingerprint, refused, keep)) = end {
        let mut end = conclusion(operation, &user, edits, outcome);
        end.fingerprint = fingerprint.map(|bits| Fingerprint(u128::from(bits)));
        (end.refused, end.keep) = (refused, Arc::new(keep));
        entries.push(concluded(end));
    }
    entries
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..Default::default() })]

    #[test]
    fn any_sequence_of_entries_in_any_grouping_gives_what_the_naive_model_knows(
        nights in prop::collection::vec((prop::collection::vec(any_step(), 0..8), any_end()), 1..5),
        group in 1..5_usize,
    ) {
        let dir = tempfile::tempdir().unwrap();
        let (mut store, mut model) = (open(dir.path()), Model::default());
        let mut number = 0;
        for (steps, (packs, reopens)) in nights {
            let mut entries = Vec::new();
            for step in steps {
                number += 1;
                entries.extend(entries_of(number, step));
            }
            for group in entries.chunks(group) {
                for entry in group {
                    model.take(entry);
                }
                store.commit(group).unwrap();
            }
            check(&store, &model)?;
            if packs {
                store.pack(VIEW, &[], &[]).unwrap();
                model.pack(false);
                check(&store, &model)?;
            }
            if reopens {
                drop(store);
                store = open(dir.path());
                check(&store, &model)?;
                store.pack(VIEW, &[], &[]).unwrap();
                model.pack(true);
                check(&store, &model)?;
            }
        }
    }
}

/// How a night ends: packed or not, and with the end of the process or not.
fn any_end() -> impl Strategy<Value = (bool, bool)> {
    (any::<bool>(), any::<bool>())
}

fn check(store: &Snapshot, model: &Model) -> Result<(), TestCaseError> {
    let index = index(store, VIEW);
    let mut everybody = 0;
    for user in ["E0", "E1", "E2"] {
        let found = known(store, user).map(|known| {
            let Known { remote_id: _, attributes, standing, refused, suspect, drifted } = known;
            assert!(drifted.is_empty(), "nothing is watched");
            let expected = model.suspects.get(&key(user)).map(|(_, paths)| paths.clone());
            assert_eq!(suspect, expected.unwrap_or_default());
            (attributes, refused, standing != Standing::InDoubt)
        });
        everybody += u64::from(found.is_some());
        prop_assert!(found == model.known(&key(user)));
        let place = index.find(key(user).fingerprint());
        let account = place.is_some_and(|place| index.has_account(0, place));
        prop_assert_eq!((account, row(store, user)), model.entry(&key(user)));
    }
    let mut visited = 0;
    store
        .each_known(&mut |_| {
            visited += 1;
            true
        })
        .unwrap();
    prop_assert_eq!((visited, store.users().unwrap()), (everybody, everybody));
    prop_assert_eq!(accounts(store).len() as u64, everybody);
    Ok(())
}
