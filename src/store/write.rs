//! Writing: the one writer of a tenant's state.

use super::{
    AcceptedInput, Conclusion, Entry, Holder, Intent, Snapshot, StoreError,
    convert::{count_to_integer, edits_to_text, fingerprint_to_bytes, instant_to_micros},
    files::{self, Files, Identity},
    fold::{Closes, UserRow, fold},
    journal,
    rows::{self, Found},
    sqlite,
};
use crate::model::{Attributes, Fingerprint, RemoteId, RunId, TenantId, UserKey};
use jiff::{SignedDuration, Timestamp};
use rusqlite::{Connection, Transaction, TransactionBehavior, params};
use std::{fs::File, ops::Deref, path::Path};

/// How long runs and their journal are kept.
pub const RETENTION_DAYS: i64 = 90;

/// The state of one tenant and its only writer, for as long as this value lives. A process that is
/// killed loses nothing that a method has returned from.
///
/// After the first write that fails every later one fails with the same error: what the disk holds
/// is not known any more until the file is opened, and checked, anew.
pub struct Store {
    snapshot: Snapshot,
    files: Files,
    identity: Identity,
    failed: Option<StoreError>,
    is_new: bool,
    /// Dropped last: the file is closed by then.
    _lock: File,
}

/// One user's account as the target holds it, from an import; with the fingerprint of the row when
/// all of it is wished.
pub type Adopted = (UserKey, RemoteId, Attributes, Option<Fingerprint>);

impl Store {
    /// Opens `<dir>/<tenant>.db`, creating the directory (0700) and the files (0600) that are not
    /// there, and takes the lock in `<dir>/<tenant>.lock`.
    ///
    /// # Errors
    /// `Locked` names the holder. `Damaged`, `Newer` and `Foreign` leave the state as it was.
    pub fn open(dir: &Path, tenant: &TenantId, holder: &Holder) -> Result<Self, StoreError> {
        files::prepare_dir(dir)?;
        let files = Files::of(dir, tenant);
        let lock = files::lock_for_writing(&files.lock, holder)?;
        files.prepare()?;
        let (db, is_new) = sqlite::open_writer(&files, tenant)?;
        let replaced = || StoreError::Replaced { path: files.db.clone() };
        let identity = files.identity().ok_or_else(replaced)?;
        let snapshot = Snapshot::new(db, files.db.clone())?;
        Ok(Self { snapshot, files, identity, failed: None, is_new, _lock: lock })
    }

    /// This very opening made the file: nobody is known, and everybody is read before written.
    #[must_use]
    pub fn is_new(&self) -> bool {
        self.is_new
    }

    /// Makes the entries durable in one transaction, all or none, in their order.
    pub fn commit(&mut self, entries: &[Entry]) -> Result<(), StoreError> {
        if entries.is_empty() {
            return Ok(());
        }
        self.write("record what was done", |tx| {
            let mut moved = false;
            let mut operation = 0;
            for entry in entries {
                match entry {
                    Entry::Intent(intent) => {
                        open_intent(tx, intent)?;
                        operation = operation.max(intent.operation_id);
                        moved = true;
                    }
                    Entry::Sent { operation_id: _, at } => count_request(tx, *at)?,
                    Entry::Outcome(conclusion) => {
                        conclude(tx, conclusion)?;
                        operation = operation.max(conclusion.operation_id);
                        moved = true;
                    }
                    Entry::Pause { until, why } => pause(tx, *until, why)?,
                }
            }
            advance(tx, moved, operation)
        })
    }

    /// Remembers that these users, mapped anew, are as they should be. Unknown ones are left out.
    pub fn settle_rows(&mut self, rows: &[(UserKey, Fingerprint)]) -> Result<(), StoreError> {
        if rows.is_empty() {
            return Ok(());
        }
        self.write("remember unchanged users", |tx| {
            let mut statement =
                tx.prepare_cached("UPDATE user SET fingerprint = ?2 WHERE key = ?1")?;
            for (key, fingerprint) in rows {
                statement.execute(params![key.as_str(), fingerprint_to_bytes(*fingerprint)])?;
            }
            advance(tx, true, 0)
        })
    }

    /// Takes over accounts as the target holds them, in place of what was known of these users, and
    /// returns how many. Somebody with an open intent stays in doubt.
    pub fn adopt(&mut self, accounts: impl Iterator<Item = Adopted>) -> Result<u64, StoreError> {
        self.write("take over accounts", |tx| {
            let mut adopted = 0;
            for (key, remote_id, attributes, fingerprint) in accounts {
                let unseen = UserRow::unseen(key, remote_id);
                rows::put_user(tx, &UserRow { fingerprint, seen: true, attributes, ..unseen })?;
                adopted += 1;
            }
            advance(tx, adopted > 0, 0)?;
            Ok(adopted)
        })
    }

    /// Removes all that is known of these users, open intents included; the journal stays.
    pub fn forget(&mut self, keys: &[&UserKey]) -> Result<(), StoreError> {
        if keys.is_empty() {
            return Ok(());
        }
        self.write("forget users", |tx| {
            for key in keys {
                tx.prepare_cached("DELETE FROM user WHERE key = ?1")?.execute([key.as_str()])?;
                tx.prepare_cached("DELETE FROM intent WHERE key = ?1")?.execute([key.as_str()])?;
            }
            advance(tx, true, 0)
        })
    }

    /// `verb`: what was asked for, such as `apply`.
    pub fn begin_run(&mut self, run: &RunId, verb: &str, now: Timestamp) -> Result<(), StoreError> {
        self.write("record the begin of the run", |tx| {
            tx.execute(
                "INSERT INTO run (id, verb, started) VALUES (?1, ?2, ?3)",
                params![run.as_str(), verb, instant_to_micros(now)],
            )?;
            Ok(())
        })
    }

    /// `summary` is JSON. Also brings the log of writes back into the file and empties it.
    pub fn end_run(
        &mut self,
        run: &RunId,
        summary: &str,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.write("record the end of the run", |tx| {
            tx.execute(
                "UPDATE run SET ended = ?2, summary = ?3 WHERE id = ?1",
                params![run.as_str(), instant_to_micros(now), summary],
            )?;
            Ok(())
        })?;
        self.tidy("empty the log of writes", "PRAGMA wal_checkpoint(TRUNCATE)")
    }

    /// Notes the roster that passed the guards, to measure the next one by.
    pub fn accept_input(&mut self, input: &AcceptedInput) -> Result<(), StoreError> {
        let AcceptedInput { users, rows, digest, at } = input;
        self.write("remember the accepted input", |tx| {
            tx.execute(
                "INSERT OR REPLACE INTO accepted_input (id, users, rows, digest, at)
                 VALUES (1, ?1, ?2, ?3, ?4)",
                params![
                    count_to_integer(*users),
                    count_to_integer(*rows),
                    fingerprint_to_bytes(*digest),
                    instant_to_micros(*at),
                ],
            )?;
            Ok(())
        })
    }

    /// Lets requests leave again although the pause has not passed: a person has said so.
    pub fn clear_pause(&mut self) -> Result<(), StoreError> {
        self.write("end the pause", |tx| {
            tx.execute("DELETE FROM pause", [])?;
            Ok(())
        })
    }

    /// Notes when something on a schedule was last done; see [`Snapshot::mark`].
    pub fn set_mark(&mut self, name: &str, at: Timestamp) -> Result<(), StoreError> {
        self.write("set a mark", |tx| {
            tx.execute(
                "INSERT OR REPLACE INTO mark (name, at) VALUES (?1, ?2)",
                params![name, instant_to_micros(at)],
            )?;
            Ok(())
        })
    }

    /// Removes runs, their journal and the times of requests once they are older than
    /// [`RETENTION_DAYS`]. Open intents are kept whatever their age.
    pub fn prune(&mut self, now: Timestamp) -> Result<(), StoreError> {
        let age = SignedDuration::from_hours(24 * RETENTION_DAYS);
        let Ok(oldest) = now.checked_sub(age) else { return Ok(()) };
        self.write("remove old runs", |tx| {
            let oldest = [instant_to_micros(oldest)];
            // Rows stand in the order of time: the first young one ends the search.
            tx.execute(
                "DELETE FROM journal WHERE id < coalesce(
                     (SELECT id FROM journal WHERE at >= ?1 ORDER BY id LIMIT 1),
                     9223372036854775807)",
                oldest,
            )?;
            tx.execute("DELETE FROM sent WHERE at < ?1", oldest)?;
            tx.execute("DELETE FROM run WHERE coalesce(ended, started) < ?1", oldest)?;
            Ok(())
        })?;
        self.tidy("give back unused space", "PRAGMA incremental_vacuum")
    }

    /// One synced transaction, or the error that every later call gets too.
    fn write<T>(
        &mut self,
        what: &'static str,
        change: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        self.check_usable()?;
        let db = &mut self.snapshot.db;
        let within = || {
            // IMMEDIATE: a transaction that only later finds out that it writes fails at once when
            // somebody else holds the file, without waiting.
            let tx = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let done = change(&tx)?;
            tx.commit()?;
            Ok(done)
        };
        within().map_err(|e| self.latch(StoreError::sql(what, &self.files.db, e)))
    }

    /// Runs a pragma that has rows to step through.
    fn tidy(&mut self, what: &'static str, pragma: &str) -> Result<(), StoreError> {
        self.check_usable()?;
        let step = || {
            let mut statement = self.snapshot.db.prepare(pragma)?;
            let mut rows = statement.query([])?;
            while rows.next()?.is_some() {}
            Ok(())
        };
        step().map_err(|e| self.latch(StoreError::sql(what, &self.files.db, e)))
    }

    /// `SQLite` would go on writing into a file that has no name any more.
    fn check_usable(&mut self) -> Result<(), StoreError> {
        if self.failed.is_none() && self.files.identity() != Some(self.identity) {
            self.latch(StoreError::Replaced { path: self.files.db.clone() });
        }
        self.failed.clone().map_or(Ok(()), Err)
    }

    fn latch(&mut self, error: StoreError) -> StoreError {
        self.failed = Some(error.clone());
        error
    }
}

/// The writer reads like anybody else.
impl Deref for Store {
    type Target = Snapshot;

    fn deref(&self) -> &Snapshot {
        &self.snapshot
    }
}

fn open_intent(tx: &Connection, intent: &Intent) -> rusqlite::Result<()> {
    let Intent { operation_id, run, key, remote_id, action, edits, at } = intent;
    // A read that was never answered says nothing that the next one does not.
    tx.prepare_cached("DELETE FROM intent WHERE key = ?1 AND action = 'read'")?
        .execute([key.as_str()])?;
    let mut statement = tx.prepare_cached(
        "INSERT INTO intent (operation, run, key, remote_id, action, edits, at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?;
    statement.execute(params![
        count_to_integer(*operation_id),
        run.as_str(),
        key.as_str(),
        remote_id.as_str(),
        action.as_str(),
        edits_to_text(edits),
        instant_to_micros(*at),
    ])?;
    count_request(tx, *at)
}

fn count_request(tx: &Connection, at: Timestamp) -> rusqlite::Result<()> {
    let mut statement = tx.prepare_cached(
        "INSERT INTO sent (at, requests) VALUES (?1, 1)
         ON CONFLICT (at) DO UPDATE SET requests = requests + 1",
    )?;
    statement.execute([instant_to_micros(at)])?;
    Ok(())
}

fn conclude(tx: &Connection, conclusion: &Conclusion) -> rusqlite::Result<()> {
    let open = rows::open_intents(tx, &conclusion.key)?;
    let row = match rows::find_user(tx, &conclusion.key)? {
        Found::Sound(row) => Some(row),
        // Put right by what the target shows; nothing of it goes on.
        Found::Damaged { .. } | Found::Nothing => None,
    };
    let own = open.iter().find(|intent| intent.operation_id == conclusion.operation_id);
    let run = own.map(|intent| intent.run.as_str());
    journal::append(tx, conclusion, run)?;
    let folded = fold(row, &open, conclusion);
    if let Some(row) = &folded.row {
        rows::put_user(tx, row)?;
    }
    match folded.closes {
        Closes::Nothing => {}
        Closes::Own => {
            tx.prepare_cached("DELETE FROM intent WHERE operation = ?1")?
                .execute([count_to_integer(conclusion.operation_id)])?;
        }
        Closes::All => {
            tx.prepare_cached("DELETE FROM intent WHERE key = ?1")?
                .execute([conclusion.key.as_str()])?;
        }
    }
    Ok(())
}

fn pause(tx: &Connection, until: Timestamp, why: &str) -> rusqlite::Result<()> {
    tx.execute(
        "INSERT INTO pause (id, until, why) VALUES (1, ?1, ?2)
         ON CONFLICT (id) DO UPDATE SET until = excluded.until, why = excluded.why
         WHERE excluded.until > pause.until",
        params![instant_to_micros(until), why],
    )?;
    Ok(())
}

/// Moves the file's own counters.
fn advance(tx: &Connection, moved: bool, operation: u64) -> rusqlite::Result<()> {
    let mut statement = tx.prepare_cached(
        "UPDATE meta SET serial = serial + ?1, operation = max(operation, ?2) WHERE id = 1",
    )?;
    statement.execute(params![moved, count_to_integer(operation)])?;
    Ok(())
}
