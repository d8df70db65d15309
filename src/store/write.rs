//! Writing: the one writer of a tenant's state.

use super::{
    AcceptedInput, Entry, Import, Imported, LastAnswer, Snapshot, StoreError, backup, chain,
    convert::instant_to_micros,
    disk::Disk,
    drift, import, index,
    ledger::{self, Books, advance},
    mirror::Mirror,
    pack::{Change, News, write_pages},
    reserve, rows,
};
use crate::{
    config::StateRules,
    engine::index::Entry as Settled,
    model::{Attributes, Fingerprint, RunId, TenantId, UserKey},
    source::FileLock,
};
use jiff::{SignedDuration, Timestamp};
use rusqlite::{Connection, params};
use std::ops::Deref;

/// How long runs and their journal are kept.
pub const RETENTION_DAYS: i64 = 90;

/// The whole file is checked at least so often, although nothing points to damage.
const CHECK_DAYS: i64 = 7;
/// When that was last done.
const CHECKED: &str = "store:checked";

/// Operations for which it pays to prepare.
const MANY: usize = 1000;

/// The state of one tenant and its only writer, for as long as this value lives. A process that is
/// killed loses nothing that a method has returned from, but for what says that it waits for the
/// next transaction.
///
/// After the first write that fails every later one fails with the same error: what the disk holds
/// is not known any more until the file is opened, and checked, anew.
pub struct Store {
    pub(super) disk: Disk,
    pub(super) books: Books,
    pub(super) is_new: bool,
    /// The whole file was checked since it was opened.
    pub(super) is_checked: bool,
    /// A run has written down when that was.
    pub(super) is_noted: bool,
    /// As it is on the disk.
    pub(super) mirror: Option<Mirror>,
    pub(super) rules: StateRules,
    pub(super) tenant: TenantId,
    /// When the last run began.
    pub(super) began: Option<Timestamp>,
    /// The disk was found full: outcomes are recorded, and no request leaves.
    pub(super) full: Option<StoreError>,
    /// Dropped last: the file is closed by then.
    pub(super) _lock: FileLock,
}

impl Store {
    /// This very opening made the file: nobody is known, and everybody is read before written.
    #[must_use]
    pub fn is_new(&self) -> bool {
        self.is_new
    }

    /// Checks the whole file, once for each opening. It takes seconds for a million users, and is
    /// due before anything is sent: the first intent sees to it, when nobody has before.
    pub fn verify(&mut self) -> Result<(), StoreError> {
        if !self.is_checked {
            self.disk.verify()?;
            self.disk.widen_cache()?;
            (self.is_checked, self.is_noted) = (true, false);
        }
        Ok(())
    }

    /// What has to be done before the first request leaves: all of the file is checked, a copy of it
    /// made when one is due, and space held back for what is recorded last.
    pub fn make_ready_to_send(&mut self) -> Result<(), StoreError> {
        self.verify()?;
        let Some(dir) = self.path().parent() else { return Ok(()) };
        if let Some(now) = self.began.filter(|_| !self.is_new) {
            let StateRules { backup_every, backups_kept, .. } = self.rules;
            let (folder, rule) = (backup::folder(dir), (backup_every, backups_kept));
            backup::back_up_if_due(self, &folder, self.tenant.as_str(), rule, now)?;
        }
        reserve::hold(dir, self.tenant.as_str())
    }

    /// Prepares for so many operations, so that the first of them are recorded as quickly as the
    /// later ones.
    pub fn make_ready(&mut self, operations: usize) -> Result<(), StoreError> {
        if operations < MANY {
            return Ok(());
        }
        self.disk.stretch_log()
    }

    /// Makes the entries durable in one transaction, all or none, in their order.
    ///
    /// # Errors
    /// `Full`: space was given back that had been held for this, the outcomes are recorded, and no
    /// intent is: nothing more may leave.
    pub fn commit(&mut self, entries: &[Entry]) -> Result<(), StoreError> {
        if entries.is_empty() {
            return Ok(());
        }
        if entries.iter().any(is_of_a_request) {
            if let Some(full) = &self.full {
                let full = full.clone();
                return self.commit_rest(entries, full);
            }
            self.verify()?;
        }
        match self.write(entries) {
            Err(full @ StoreError::Full { .. }) if self.is_given_room(&full)? => {
                self.commit_rest(entries, full)
            }
            written => written,
        }
    }

    fn write(&mut self, entries: &[Entry]) -> Result<(), StoreError> {
        let books = &mut self.books;
        self.disk.write("record what was done", |tx| ledger::write(tx, books, entries))
    }

    /// What is left of the entries on a full disk, where nothing may leave any more.
    fn commit_rest(&mut self, entries: &[Entry], full: StoreError) -> Result<(), StoreError> {
        let rest: Vec<Entry> =
            entries.iter().filter(|entry| !is_of_a_request(entry)).cloned().collect();
        if !rest.is_empty() {
            self.write(&rest)?;
        }
        if rest.len() == entries.len() { Ok(()) } else { Err(full) }
    }

    /// Whether there was space held back, which is free now.
    fn is_given_room(&mut self, full: &StoreError) -> Result<bool, StoreError> {
        let dir = self.path().parent();
        if self.full.is_some() || !dir.is_some_and(reserve::release) {
            return Ok(false);
        }
        self.full = Some(full.clone());
        self.disk.revive();
        // What was written down of the failed entries was taken back.
        self.books = self.disk.snapshot().read("read what is on its way", Books::of)?;
        Ok(true)
    }

    /// Brings the packed index up to date: what the outcomes since the last time have settled; users
    /// that need nothing (`settled`, of whom only accounts count); and users of the source with whom
    /// this tenant has nothing to do (`passing`), unless they have an account. Whoever was touched,
    /// and is in none of these, stays unsettled. `view`: as for [`Snapshot::pages`], and the one
    /// under which the outcomes were concluded.
    ///
    /// Nothing is written when nothing changes.
    pub fn pack(
        &mut self,
        view: Fingerprint,
        settled: &[Settled],
        passing: &[Settled],
    ) -> Result<(), StoreError> {
        let Self { disk, books, .. } = self;
        disk.amend("bring the index of users up to date", |tx| {
            let changes = index::changes(tx, books)?;
            let in_doubt = index::in_doubt(tx)?;
            let (settled, passing) = (index::sorted(settled), index::sorted(passing));
            let news = News {
                changes: &changes,
                settled: &settled,
                passing: &passing,
                in_doubt: &in_doubt,
            };
            write_pages(tx, Some(view), &news)?;
            index::take_into_account(tx, books.journal)
        })
    }

    /// Takes over accounts as the target holds them, all or none, in place of what was known of
    /// these users. Somebody with an open intent stays in doubt. `run` is handed what takes them.
    ///
    /// # Errors
    /// Whatever `run` fails with; nothing is taken over then.
    pub fn import<T, E: From<StoreError>>(
        &mut self,
        view: Fingerprint,
        run: impl FnOnce(&mut Import<'_>) -> Result<T, E>,
    ) -> Result<(T, Imported), E> {
        let is_first = !self.disk.snapshot().knows_anybody()?;
        self.disk.widen_cache()?;
        if is_first {
            self.disk.leave_log()?;
        }
        let imported = import::import(&mut self.disk, &mut self.books, view, run);
        if is_first && self.disk.check_usable().is_ok() {
            self.disk.take_up_log()?;
        }
        let (done, imported) = imported?;
        self.disk.empty_log()?;
        self.write_mirror()?;
        Ok((done, imported))
    }

    /// Removes all that is known of these users, open intents included; the journal stays.
    pub fn forget(&mut self, keys: &[&UserKey]) -> Result<(), StoreError> {
        if keys.is_empty() {
            return Ok(());
        }
        let mut changes: Vec<Change> =
            keys.iter().map(|key| Change::forgotten(key.fingerprint())).collect();
        changes.sort_unstable_by_key(|change| change.key);
        let books = &mut self.books;
        self.disk.write("forget users", |tx| {
            for key in keys {
                tx.prepare_cached("DELETE FROM user WHERE key = ?1")?.execute([key.as_str()])?;
                tx.prepare_cached("DELETE FROM intent WHERE key = ?1")?.execute([key.as_str()])?;
                tx.prepare_cached("DELETE FROM quarantine WHERE key = ?1")?
                    .execute([key.as_str()])?;
                rows::remove_suspect(tx, key)?;
                drift::put(tx, key, &Attributes::new())?;
                books.open.remove(*key);
                books.quarantine.remove(*key);
                books.suspects.remove(*key);
                books.drifted.remove(*key);
            }
            write_pages(tx, None, &News::of(&changes))?;
            books.news.extend(changes);
            advance(tx, true, 0)
        })?;
        self.write_mirror()
    }

    /// `verb`: what was asked for, such as `apply`. Written with the next transaction. The whole
    /// file is checked when that was long ago.
    pub fn begin_run(&mut self, run: &RunId, verb: &str, now: Timestamp) -> Result<(), StoreError> {
        self.disk.check_usable()?;
        let age = SignedDuration::from_hours(24 * CHECK_DAYS);
        let checked = self.mark(CHECKED)?.filter(|at| *at <= now);
        if checked.is_none_or(|at| now.duration_since(at) > age) {
            // What this opening has noted is that old.
            self.is_checked &= !self.is_noted;
            self.verify()?;
        }
        self.began = Some(now);
        let pending = self.disk.pending();
        if self.is_checked && !self.is_noted {
            pending.marks.insert(CHECKED.to_owned(), now);
            self.is_noted = true;
        }
        pending.runs.push((run.clone(), verb.to_owned(), now));
        Ok(())
    }

    /// Closes the run, with everything that waits to be written, and removes what is older than
    /// [`RETENTION_DAYS`]: runs, the times of requests, and the journal as far as the packed index
    /// takes it into account. `summary` is JSON. Also brings the log of writes back into the file.
    pub fn end_run(
        &mut self,
        run: &RunId,
        summary: &str,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let pending = &mut self.disk.pending().runs;
        let begun = pending.iter().position(|(pending, ..)| pending == run);
        let begun = begun.map(|at| pending.remove(at));
        self.disk.write("record the end of the run", |tx| {
            if let Some((run, verb, started)) = begun {
                tx.execute(
                    "INSERT INTO run (id, verb, started) VALUES (?1, ?2, ?3)",
                    params![run.as_str(), verb, instant_to_micros(started)],
                )?;
            }
            tx.execute(
                "UPDATE run SET ended = ?2, summary = ?3 WHERE id = ?1",
                params![run.as_str(), instant_to_micros(now), summary],
            )?;
            prune(tx, now)
        })?;
        self.disk.give_back()?;
        self.disk.empty_log()?;
        self.write_mirror()
    }

    /// Writes down beside the file how far it has come, unless that stands there.
    fn write_mirror(&mut self) -> Result<(), StoreError> {
        let now = self.disk.snapshot().read("read how far the state has come", Mirror::of)?;
        if self.mirror.as_ref() != Some(&now) {
            now.write(&self.disk.files().mirror)?;
            self.mirror = Some(now);
        }
        Ok(())
    }

    /// Notes the roster that passed the guards, to measure the next one by. Written with the next
    /// transaction.
    pub fn accept_input(&mut self, input: &AcceptedInput) -> Result<(), StoreError> {
        self.disk.check_usable()?;
        self.disk.pending().accepted_input = Some(input.clone());
        Ok(())
    }

    /// Notes what was said to a source file; see [`Snapshot::last_answer`]. Written with the next
    /// transaction.
    pub fn remember_answer(&mut self, answer: &LastAnswer) -> Result<(), StoreError> {
        self.disk.check_usable()?;
        self.disk.pending().last_answer = Some(answer.clone());
        Ok(())
    }

    pub(super) fn disk_and_books(&mut self) -> (&mut Disk, &mut Books) {
        (&mut self.disk, &mut self.books)
    }

    /// Lets requests leave again although the pause has not passed: a person has said so.
    pub fn clear_pause(&mut self) -> Result<(), StoreError> {
        self.disk.write("end the pause", |tx| {
            tx.execute("DELETE FROM pause", [])?;
            Ok(())
        })
    }

    pub(super) fn disk(&mut self) -> &mut Disk {
        &mut self.disk
    }

    /// Notes when something on a schedule was last done; see [`Snapshot::mark`]. Written with the
    /// next transaction.
    pub fn set_mark(&mut self, name: &str, at: Timestamp) -> Result<(), StoreError> {
        self.disk.check_usable()?;
        self.disk.pending().marks.insert(name.to_owned(), at);
        Ok(())
    }
}

/// It says that a request is about to leave.
fn is_of_a_request(entry: &Entry) -> bool {
    match entry {
        Entry::Intent(_) | Entry::Sent { .. } => true,
        Entry::Outcome(_) | Entry::Pause { .. } | Entry::Pace { .. } => false,
    }
}

/// The writer reads like anybody else.
impl Deref for Store {
    type Target = Snapshot;

    fn deref(&self) -> &Snapshot {
        self.disk.snapshot()
    }
}

/// Open intents are kept whatever their age, and so are outcomes that the packed index does not know.
fn prune(tx: &Connection, now: Timestamp) -> rusqlite::Result<()> {
    let age = SignedDuration::from_hours(24 * RETENTION_DAYS);
    let Ok(oldest) = now.checked_sub(age) else { return Ok(()) };
    let oldest = [instant_to_micros(oldest)];
    // Rows stand in the order of time: the first young one ends the search.
    let first_kept = "SELECT min(packed + 1, coalesce(
             (SELECT id FROM journal WHERE at >= ?1 ORDER BY id LIMIT 1), packed + 1)) FROM meta";
    chain::prune(tx, tx.query_row(first_kept, oldest, |row| row.get(0))?)?;
    tx.execute("DELETE FROM sent WHERE at < ?1", oldest)?;
    tx.execute("DELETE FROM run WHERE coalesce(ended, started) < ?1", oldest)?;
    tx.execute("DELETE FROM hold WHERE until <= ?1", [instant_to_micros(now)])?;
    Ok(())
}
