//! The packed index: what it may be believed, what brings it up to date, and whom it finds.

use super::*;
use rosterd::engine::index::Entry as Packed;

fn packed(user: &str, row: u128) -> Packed {
    Packed { key: key(user).fingerprint(), row: Fingerprint(row) }
}

/// E1 to E40, settled under the view of most tests by the row of their number.
fn store_with_forty(dir: &Path) -> Store {
    let mut store = open(dir);
    let users: Vec<String> = (1..=40).map(|number| format!("E{number}")).collect();
    let ids: Vec<String> = (1..=40).map(|number| format!("r{number}")).collect();
    let account = |(number, (user, id))| {
        let title = attributes(&[("title", Some("Clerk"))]);
        (user, id, title, Some(Fingerprint(number)))
    };
    let accounts = (1..).zip(users.iter().map(String::as_str).zip(ids.iter().map(String::as_str)));
    let imported = adopt(&mut store, accounts.map(account).collect());
    assert_eq!(imported, Imported { adopted: 40, shared: vec![] });
    store
}

/// Numbers of those of the forty who are not settled by the row of their number.
fn unsettled(store: &Snapshot, view: Fingerprint) -> Vec<u128> {
    let index = index(store, view);
    let is_unsettled = |number: &u128| {
        let place = index.find(key(&format!("E{number}")).fingerprint()).unwrap();
        assert!(index.has_account(0, place));
        !index.is_settled(place, Fingerprint(*number))
    };
    (1..=40).filter(is_unsettled).collect()
}

/// The whole life of one PATCH of a user's title; with a row when it settles all of it.
fn patch(operation: u64, number: u128, row: Option<u128>) -> [Entry; 2] {
    let user = format!("E{number}");
    let edits = vec![edit("title", "Clerk", "Chief")];
    let shown = attributes(&[("title", Some("Chief"))]);
    let mut end = conclusion(operation, &user, edits.clone(), settled(shown));
    end.fingerprint = row.map(Fingerprint);
    [intent(operation, &user, edits), concluded(end)]
}

#[test]
fn e01_killed_before_it_packs_exactly_the_touched_users_are_unsettled() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = store_with_forty(dir.path());
    assert!(unsettled(&store, VIEW).is_empty());
    store.commit(&patch(1, 3, Some(3))).unwrap();
    store.commit(&patch(2, 30, Some(99))).unwrap();
    store.commit(&[intent(3, "E7", vec![])]).unwrap();
    assert_eq!(unsettled(&store, VIEW), [3, 7, 30]);
    drop(store);

    let mut store = open(dir.path());
    assert_eq!(unsettled(&store, VIEW), [3, 7, 30]);
    // What was looked at since and needs nothing is settled; the rest waits for a look.
    store.pack(VIEW, &[packed("E3", 3), packed("E7", 7), packed("nobody", 1)], &[]).unwrap();
    assert_eq!(unsettled(&store, VIEW), [7, 30], "one is in doubt, one was not looked at");
    drop(store);
    assert_eq!(unsettled(&open(dir.path()), VIEW), [7, 30]);
}

#[test]
fn e01_a_row_that_comes_back_after_a_kill_never_looks_settled() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = store_with_forty(dir.path());
    // Row 5 was settled; another one was sent, and its process killed.
    store.commit(&patch(1, 5, Some(55))).unwrap();
    drop(store);
    let mut store = open(dir.path());
    assert_eq!(unsettled(&store, VIEW), [5]);
    store.pack(VIEW, &[], &[]).unwrap();
    assert_eq!((row(&store, "E5"), unsettled(&store, VIEW)), (None, vec![5]));
}

#[test]
fn what_the_outcomes_of_a_process_settled_is_packed_with_the_last_word_of_each_user() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = store_with_forty(dir.path());
    store.commit(&patch(1, 5, Some(55))).unwrap();
    store.commit(&patch(2, 6, Some(66))).unwrap();
    store.commit(&patch(3, 6, None)).unwrap();
    store.pack(VIEW, &[], &[]).unwrap();
    assert_eq!((row(&store, "E5"), row(&store, "E6")), (Some(Fingerprint(55)), None));
    assert_eq!(row(&store, "E4"), Some(Fingerprint(4)));
}

#[test]
fn what_was_settled_under_another_view_counts_for_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = store_with_forty(dir.path());
    let other = Fingerprint(2);
    assert_eq!(unsettled(&store, other).len(), 40);
    store.pack(other, &[packed("E9", 9)], &[]).unwrap();
    assert_eq!(unsettled(&store, other).len(), 39);
    assert_eq!(row_under(&store, other, "E9"), Some(Fingerprint(9)));
    // Back again: only the pages that were rewritten have lost what they knew.
    let lost = unsettled(&store, VIEW);
    assert!(lost.contains(&9) && lost.len() < 10, "{lost:?}");
}

#[test]
fn users_with_whom_a_tenant_has_nothing_to_do_are_remembered_without_an_account() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = store_with_forty(dir.path());
    store.pack(VIEW, &[], &[packed("P1", 7), packed("E5", 8)]).unwrap();
    assert_eq!(
        (row(&store, "P1"), row(&store, "E5")),
        (Some(Fingerprint(7)), Some(Fingerprint(5)))
    );
    assert_eq!(accounts(&store).len(), 40);
    assert!(store.keys_of(&[key("P1").fingerprint()]).unwrap().is_empty());
    // Then the tenant has.
    store.commit(&[intent(1, "P1", vec![])]).unwrap();
    assert_eq!((row(&store, "P1"), accounts(&store).len()), (None, 41));
    let mut end = conclusion(1, "P1", vec![], settled(attributes(&[("title", Some("Clerk"))])));
    end.keep = Arc::new([path("title")].into());
    store.commit(&[concluded(end)]).unwrap();
    store.pack(VIEW, &[], &[packed("P1", 7)]).unwrap();
    assert_eq!((row(&store, "P1"), accounts(&store).len()), (None, 41));
    assert_eq!(store.keys_of(&[key("P1").fingerprint()]).unwrap(), [key("P1")]);
}

#[test]
fn nothing_is_written_when_nothing_changes() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = store_with_forty(dir.path());
    store.set_mark("nightly", at(0)).unwrap();
    let before = content(dir.path());
    store.pack(VIEW, &[], &[]).unwrap();
    store.pack(VIEW, &[packed("E5", 5), packed("nobody", 1)], &[packed("E6", 9)]).unwrap();
    let after = content(dir.path());
    assert!(after["acme.db"] == before["acme.db"] && after["acme.db-wal"] == before["acme.db-wal"]);
    store.pack(VIEW, &[packed("E5", 6)], &[]).unwrap();
    assert!(content(dir.path())["acme.db-wal"] != before["acme.db-wal"]);
}

#[test]
fn forgotten_users_leave_the_index_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = store_with_forty(dir.path());
    store.commit(&patch(1, 5, Some(55))).unwrap();
    store.forget(&[&key("E5"), &key("E6")]).unwrap();
    assert_eq!(accounts(&store).len(), 38);
    drop(store);
    let mut store = open(dir.path());
    assert_eq!((accounts(&store).len(), row(&store, "E6")), (38, None));
    store.forget(&[&key("E7")]).unwrap();
    store.pack(VIEW, &[packed("E7", 7)], &[]).unwrap();
    assert_eq!((accounts(&store).len(), store.users().unwrap()), (37, 37));
}

#[test]
fn e07_a_page_of_the_index_that_does_not_match_its_hash_is_damage() {
    let changes = [
        "UPDATE index_page SET accounts = zeroblob(length(accounts))",
        "UPDATE index_page SET view = randomblob(16)",
        "UPDATE index_page SET entries = zeroblob(length(entries))",
        "UPDATE index_page SET count = count + 1",
        "UPDATE index_account SET accounts = zeroblob(length(accounts))",
    ];
    for change in changes {
        let dir = tempfile::tempdir().unwrap();
        drop(store_with_e1(dir.path()));
        db(dir.path()).execute(change, []).unwrap();
        let store = open(dir.path());
        let index = store.pages(VIEW).map(|pages| Index::of(vec![pages]).1.remove(0));
        let found = index.and_then(|read| read).and_then(|()| {
            store.keys_of(&[key("E1").fingerprint()]).map(|keys| assert!(keys.is_empty()))
        });
        assert!(matches!(found, Err(StoreError::Damaged { .. })), "{change}");
    }
}

#[test]
fn an_index_that_was_thrown_away_is_made_anew_and_settles_nobody() {
    let dir = tempfile::tempdir().unwrap();
    drop(store_with_forty(dir.path()));
    let db = db(dir.path());
    db.execute_batch("DELETE FROM index_page; DELETE FROM index_account").unwrap();
    drop(db);
    let mut store = open(dir.path());
    assert_eq!(unsettled(&store, VIEW).len(), 40);
    assert_eq!(accounts(&store).len(), 40);
    store.pack(VIEW, &[packed("E5", 5)], &[]).unwrap();
    drop(store);
    let store = open(dir.path());
    assert_eq!((unsettled(&store, VIEW).len(), accounts(&store).len()), (39, 40));
    assert_eq!(store.pages(VIEW).map(|pages| owned(&pages)).unwrap(), 0);
}

/// How many users are touched.
fn owned(pages: &rosterd::store::PackedPages<'_>) -> usize {
    rosterd::engine::index::Pages::touched(pages).len()
}

// ---- finding users

#[test]
fn users_are_found_by_fingerprint_whether_packed_or_only_touched() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = store_with_forty(dir.path());
    store.commit(&[intent(1, "E77", vec![])]).unwrap();
    let end = conclusion(2, "E78", vec![], settled(Attributes::new()));
    store.commit(&[concluded(end)]).unwrap();
    let users = ["E78", "E40", "nobody", "E1", "E77", "E1"].map(|user| key(user).fingerprint());
    assert_eq!(store.keys_of(&users).unwrap(), ["E1", "E40", "E77", "E78"].map(key));
    assert!(store.keys_of(&[]).unwrap().is_empty());
}

#[test]
fn who_is_gone_is_listed_unless_in_doubt() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = store_with_forty(dir.path());
    for (operation, user) in [(1, "E9"), (2, "E10"), (3, "E11")] {
        let end = conclusion(operation, user, vec![], Outcome::Gone);
        store.commit(&[concluded(end)]).unwrap();
    }
    store.commit(&[intent(4, "E10", vec![])]).unwrap();
    assert_eq!(store.gone().unwrap(), ["E11", "E9"].map(key));
}

#[test]
fn the_owner_of_an_id_is_whoever_has_it_now() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = store_with_forty(dir.path());
    let owners = |store: &Snapshot, ids: &[&str]| {
        let ids: Vec<RemoteId> = ids.iter().map(|id| remote(id)).collect();
        let owners = store.owners(&ids.iter().collect()).unwrap();
        let named = |(id, key): (RemoteId, UserKey)| (id.to_string(), key.to_string());
        owners.into_iter().map(named).collect::<Vec<_>>()
    };
    let pair = |id: &str, user: &str| (id.to_owned(), user.to_owned());
    assert_eq!(owners(&store, &["r1", "r40", "r41"]), [pair("r1", "E1"), pair("r40", "E40")]);
    // E1 has moved to another id, and of a new user only a request is on its way.
    let mut end = conclusion(1, "E1", vec![], settled(Attributes::new()));
    end.remote_id = Some(remote("r99"));
    store.commit(&[concluded(end), intent(2, "E77", vec![])]).unwrap();
    let expected = [pair("r77", "E77"), pair("r99", "E1")];
    assert_eq!(owners(&store, &["r1", "r99", "r77"]), expected);
    store.pack(VIEW, &[], &[]).unwrap();
    assert_eq!(owners(&store, &["r1", "r99", "r77"]), expected);
    assert!(owners(&store, &[]).is_empty());
}

#[test]
fn everybody_known_is_visited_until_it_is_enough() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = store_with_forty(dir.path());
    store
        .commit(&[intent(1, "E77", vec![]), intent(2, "E3", vec![edit("title", "a", "b")])])
        .unwrap();
    let mut seen = Vec::new();
    store
        .each_known(&mut |known| {
            seen.push((known.remote_id.to_string(), known.standing, known.attributes.len()));
            true
        })
        .unwrap();
    assert_eq!(seen.len(), 41);
    assert!(seen.contains(&("r77".to_owned(), Standing::InDoubt, 0)));
    assert!(seen.contains(&("r3".to_owned(), Standing::InDoubt, 0)));
    assert!(seen.contains(&("r4".to_owned(), Standing::Settled, 1)));
    let mut visits = 0;
    store
        .each_known(&mut |_| {
            visits += 1;
            visits < 5
        })
        .unwrap();
    assert_eq!(visits, 5);
}

// ---- taking over many accounts

#[test]
fn an_import_that_fails_leaves_nothing_and_the_store_usable() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = open(dir.path());
    let failed = store.import(VIEW, |import| {
        import.add(Account::new(key("E1"), remote("r1"), &Attributes::new()), None)?;
        Err::<(), _>(StoreError::Stopped)
    });
    assert!(matches!(failed, Err(StoreError::Stopped)));
    assert_eq!((store.users().unwrap(), accounts(&store).len()), (0, 0));
    assert_eq!(adopt(&mut store, vec![("E1", "r1", Attributes::new(), None)]).adopted, 1);
    assert_eq!(accounts(&store), [key("E1")]);
    drop(store);
    open(dir.path()).verify().unwrap();
}

#[test]
fn two_users_with_one_id_are_both_left_out() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = open(dir.path());
    store.commit(&[intent(1, "E9", vec![])]).unwrap();
    let none = Attributes::new;
    let accounts_of = vec![
        ("E2", "same", none(), None),
        ("E1", "same", none(), Some(Fingerprint(1))),
        ("E3", "r3", none(), Some(Fingerprint(3))),
        ("E4", "r9", none(), None),
    ];
    let imported = adopt(&mut store, accounts_of);
    // The id of E4 is the one where a request for E9 went.
    assert_eq!(imported, Imported { adopted: 1, shared: ["E1", "E2", "E4"].map(key).into() });
    assert_eq!(accounts(&store), ["E3", "E9"].map(key));
    // Against those who were known before, who stay.
    let late = vec![("E5", "r3", none(), None), ("E6", "r6", none(), None)];
    let imported = adopt(&mut store, late);
    assert_eq!(imported, Imported { adopted: 1, shared: vec![key("E5")] });
    assert_eq!(accounts(&store), ["E3", "E6", "E9"].map(key));
    assert_eq!(row(&store, "E3"), Some(Fingerprint(3)));
    store.verify().unwrap();
}

#[test]
fn of_two_accounts_of_one_user_the_later_counts() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = open(dir.path());
    for round in 0..2 {
        let titled = |title| attributes(&[("title", Some(title))]);
        let twice = vec![
            ("E1", "r0", titled("Clerk"), Some(Fingerprint(1))),
            ("E2", "r2", titled("Clerk"), None),
            ("E1", "r1", titled("Chief"), Some(Fingerprint(2))),
        ];
        assert_eq!(adopt(&mut store, twice).adopted, 2, "{round}");
        let now = known(&store, "E1").unwrap();
        assert_eq!((now.remote_id, now.attributes), (remote("r1"), titled("Chief")));
        assert_eq!((row(&store, "E1"), store.users().unwrap()), (Some(Fingerprint(2)), 2));
    }
}

#[test]
fn an_account_is_taken_over_in_place_of_what_was_known_and_doubt_stays() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = store_with_forty(dir.path());
    store.commit(&patch(1, 5, Some(55))).unwrap();
    store.commit(&[intent(2, "E6", vec![edit("title", "Clerk", "Chief")])]).unwrap();
    let boss = || attributes(&[("title", Some("Boss"))]);
    let again = ["E5", "E6", "E7"].map(|user| (user, "x", boss(), Some(Fingerprint(9))));
    let again = again.into_iter().zip(["r5", "r6", "r70"]);
    let again = again.map(|((user, _, title, row), id)| (user, id, title, row)).collect();
    assert_eq!(adopt(&mut store, again).adopted, 3);
    assert_eq!(known(&store, "E7").unwrap().remote_id, remote("r70"));
    assert_eq!(known(&store, "E6").unwrap().standing, Standing::InDoubt);
    assert_eq!(row(&store, "E7"), Some(Fingerprint(9)));
    store.pack(VIEW, &[], &[]).unwrap();
    assert_eq!((row(&store, "E5"), row(&store, "E6")), (Some(Fingerprint(9)), None));
    assert_eq!(known(&store, "E5").unwrap().attributes, boss());
}

// ---- what waits for the next transaction

fn answer() -> LastAnswer {
    LastAnswer {
        file: Fingerprint(1),
        size: 172,
        head: Fingerprint(u128::MAX),
        settings: Fingerprint(3),
        serial: 4,
        body: "{\"exit\":0}".to_owned(),
    }
}

#[test]
fn what_waits_is_seen_at_once_and_written_with_the_next_transaction() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = store_with_e1(dir.path());
    let input = AcceptedInput { users: 1, rows: 1, digest: Fingerprint(1), at: at(1) };
    let wait = |store: &mut Store| {
        store.begin_run(&run(), "run", at(1)).unwrap();
        store.set_mark("nightly", at(1)).unwrap();
        store.accept_input(&input).unwrap();
        store.remember_answer(&answer()).unwrap();
    };
    let seen = |store: &Snapshot| {
        let marked = store.mark("nightly").unwrap().is_some();
        let accepted = store.accepted_input().unwrap() == Some(input.clone());
        let answered = store.last_answer().unwrap() == Some(answer());
        [store.runs(5).unwrap().len() == 1, marked, accepted, answered]
    };
    let before = content(dir.path());
    wait(&mut store);
    assert_eq!(seen(&store), [true; 4]);
    assert!(content(dir.path()) == before);
    drop(store);
    let mut store = open(dir.path());
    assert_eq!(seen(&store), [false; 4], "nobody needs it of a run that did nothing");

    wait(&mut store);
    store.commit(&[intent(1, "E1", vec![])]).unwrap();
    drop(store);
    let store = open(dir.path());
    assert_eq!(seen(&store), [true; 4]);
}

#[test]
fn a_quiet_night_writes_less_than_64_kilobytes() {
    let written = || {
        let io = fs::read_to_string("/proc/thread-self/io").unwrap();
        let line = io.lines().find_map(|line| line.strip_prefix("wchar: ")).unwrap();
        line.parse::<u64>().unwrap()
    };
    let dir = tempfile::tempdir().unwrap();
    drop(store_with_forty(dir.path()));
    let before = written();
    let mut store = open(dir.path());
    store.begin_run(&run(), "run", at(1)).unwrap();
    store.pack(VIEW, &[], &[]).unwrap();
    store.set_mark("nightly", at(1)).unwrap();
    let input = AcceptedInput { users: 1, rows: 1, digest: Fingerprint(1), at: at(1) };
    store.accept_input(&input).unwrap();
    store.remember_answer(&LastAnswer { body: "x".repeat(1500), ..answer() }).unwrap();
    store.end_run(&run(), "{\"exit\":0}", at(2)).unwrap();
    drop(store);
    let bytes = written() - before;
    assert!((4096..65536).contains(&bytes), "{bytes}");
}

// ---- damage

/// Takes E1 out of the index of keys: the file can still be opened and read.
fn damage(dir: &Path) {
    let file = dir.join("acme.db");
    let mut bytes = fs::read(&file).unwrap();
    let of_row = |at: &usize| bytes[*at..].starts_with(b"E1r1");
    let places = (0..bytes.len() - 4).filter(|at| bytes[*at..].starts_with(b"E1") && !of_row(at));
    let places: Vec<usize> = places.collect();
    assert!(!places.is_empty());
    for at in places {
        bytes[at + 1] = b'2';
    }
    fs::write(&file, &bytes).unwrap();
}

#[expect(clippy::needless_pass_by_value, reason = "what was just returned is looked at")]
fn is_damage<T>(result: Result<T, StoreError>) -> bool {
    matches!(result, Err(StoreError::Damaged { .. }))
}

#[test]
fn e07_damage_is_found_before_anything_is_sent() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = store_with_e1(dir.path());
    store.begin_run(&run(), "run", at(0)).unwrap();
    store.end_run(&run(), "{}", at(1)).unwrap();
    drop(store);
    damage(dir.path());
    let before = content(dir.path())["acme.db"].clone();

    let mut store = open(dir.path());
    assert!(is_damage(store.verify()));
    assert!(is_damage(store.set_mark("nightly", at(0))), "it stays unusable");
    drop(store);
    let mut store = open(dir.path());
    assert!(is_damage(store.commit(&[intent(1, "E1", vec![])])), "the first intent sees to it");
    drop(store);
    let mut store = open(dir.path());
    let week = (24 * 7).hours();
    store.begin_run(&run(), "run", at(0) + week).unwrap();
    assert!(is_damage(store.begin_run(&run(), "run", at(1) + week)), "the last look is too old");
    drop(store);
    let mut store = open(dir.path());
    assert!(is_damage(store.begin_run(&run(), "run", at(-1))), "it was in the future");
    drop(store);
    assert!(content(dir.path())["acme.db"] == before);
}

#[test]
fn e07_damage_is_found_at_once_after_a_use_that_was_cut_off() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = store_with_e1(dir.path());
    store.begin_run(&run(), "run", at(0)).unwrap();
    store.clear_pause().unwrap();
    drop(store);
    damage(dir.path());
    assert!(is_damage(Store::open(dir.path(), &tenant(), &holder())), "a run has no end");
}

#[test]
fn e01_a_first_import_that_is_killed_leaves_nobody_known_and_is_simply_done_again() {
    let (dir, killed) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let users = 0..30_000;
    let title = "C".repeat(400);
    let account = |number: &u32| {
        let known = attributes(&[("title", Some(&title))]);
        Account::new(key(&format!("E{number}")), remote(&format!("r{number}")), &known)
    };
    let mut store = open(dir.path());
    let imported = store.import(VIEW, |import| {
        for number in users.clone() {
            import.add(account(&number), None)?;
        }
        // What the disk holds when the process is killed here.
        for file in std::fs::read_dir(dir.path()).unwrap().map(Result::unwrap) {
            std::fs::copy(file.path(), killed.path().join(file.file_name())).unwrap();
        }
        assert!(ReadStore::open(dir.path(), &tenant()).unwrap().is_none());
        Ok::<_, StoreError>(())
    });
    assert_eq!(imported.unwrap().1.adopted, 30_000);
    assert_eq!(ReadStore::open(dir.path(), &tenant()).unwrap().unwrap().users().unwrap(), 30_000);

    let half = std::fs::metadata(killed.path().join("acme.db")).unwrap().len();
    assert!(half > 4_000_000, "{half} bytes were written before the kill");
    assert!(killed.path().join("acme.db-journal").exists());
    assert!(ReadStore::open(killed.path(), &tenant()).unwrap().is_none());
    let mut store = open(killed.path());
    store.verify().unwrap();
    assert_eq!(store.users().unwrap(), 0);
    let again =
        adopt(&mut store, vec![("E1", "r1", attributes(&[("title", Some("Chief"))]), None)]);
    assert_eq!(again.adopted, 1);
    drop(store);
    assert!(!killed.path().join("acme.db-journal").exists());
}
