//! Writing: the one writer of a tenant's state.

use super::{
    AcceptedInput, Entry, Holder, Import, Imported, LastAnswer, Snapshot, StoreError,
    convert::instant_to_micros,
    disk::Disk,
    files::{self, Files},
    import, index,
    ledger::{self, Books, advance},
    pack::{Change, News, write_pages},
    rows,
    sqlite::{self, Opened},
};
use crate::{
    engine::index::Entry as Settled,
    model::{Fingerprint, RunId, TenantId, UserKey},
};
use jiff::{SignedDuration, Timestamp};
use rusqlite::{Connection, params};
use std::{fs::File, ops::Deref, path::Path};

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
    disk: Disk,
    books: Books,
    is_new: bool,
    /// The whole file was checked since it was opened.
    is_checked: bool,
    /// A run has written down when that was.
    is_noted: bool,
    /// Dropped last: the file is closed by then.
    _lock: File,
}

impl Store {
    /// Opens `<dir>/<tenant>.db`, creating the directory (0700) and the files (0600) that are not
    /// there, and takes the lock in `<dir>/<tenant>.lock`. After a use that did not end as it should
    /// the whole file is checked; see [`Self::verify`].
    ///
    /// # Errors
    /// `Locked` names the holder. `Damaged`, `Newer` and `Foreign` leave the state as it was.
    pub fn open(dir: &Path, tenant: &TenantId, holder: &Holder) -> Result<Self, StoreError> {
        files::prepare_dir(dir)?;
        let files = Files::of(dir, tenant);
        let lock = files::lock_for_writing(&files.lock, holder)?;
        files.prepare()?;
        let Opened { db, is_new, is_checked } = sqlite::open_writer(&files, tenant)?;
        let snapshot = Snapshot::new(db, files.db.clone())?;
        let books = snapshot.read("read what is on its way", Books::of)?;
        let disk = Disk::new(snapshot, files)?;
        Ok(Self { disk, books, is_new, is_checked, is_noted: false, _lock: lock })
    }

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

    /// Prepares for so many operations, so that the first of them are recorded as quickly as the
    /// later ones.
    pub fn make_ready(&mut self, operations: usize) -> Result<(), StoreError> {
        if operations < MANY {
            return Ok(());
        }
        self.disk.stretch_log()
    }

    /// Makes the entries durable in one transaction, all or none, in their order.
    pub fn commit(&mut self, entries: &[Entry]) -> Result<(), StoreError> {
        if entries.is_empty() {
            return Ok(());
        }
        if entries.iter().any(|entry| matches!(entry, Entry::Intent(_))) {
            self.verify()?;
        }
        let books = &mut self.books;
        self.disk.write("record what was done", |tx| ledger::write(tx, books, entries))
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
                rows::remove_suspect(tx, key)?;
                books.open.remove(*key);
                books.suspects.remove(*key);
            }
            write_pages(tx, None, &News::of(&changes))?;
            books.news.extend(changes);
            advance(tx, true, 0)
        })
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
        self.disk.empty_log()
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

    /// Lets requests leave again although the pause has not passed: a person has said so.
    pub fn clear_pause(&mut self) -> Result<(), StoreError> {
        self.disk.write("end the pause", |tx| {
            tx.execute("DELETE FROM pause", [])?;
            Ok(())
        })
    }

    /// Notes when something on a schedule was last done; see [`Snapshot::mark`]. Written with the
    /// next transaction.
    pub fn set_mark(&mut self, name: &str, at: Timestamp) -> Result<(), StoreError> {
        self.disk.check_usable()?;
        self.disk.pending().marks.insert(name.to_owned(), at);
        Ok(())
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
    tx.execute(
        "DELETE FROM journal WHERE id <= (SELECT packed FROM meta) AND id < coalesce(
             (SELECT id FROM journal WHERE at >= ?1 ORDER BY id LIMIT 1), 9223372036854775807)",
        oldest,
    )?;
    tx.execute("DELETE FROM sent WHERE at < ?1", oldest)?;
    tx.execute("DELETE FROM run WHERE coalesce(ended, started) < ?1", oldest)?;
    Ok(())
}
