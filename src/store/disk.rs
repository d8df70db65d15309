//! The file under the writer: transactions, and what becomes of it once one has failed.

use super::{
    Snapshot, StoreError,
    files::{Files, Identity, identity},
    pending::Pending,
    sqlite,
};
use rusqlite::{Transaction, TransactionBehavior};
use std::{
    collections::BTreeMap,
    fs::OpenOptions,
    io::{self, Read as _},
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

/// The open file. After the first write that fails every later one fails with the same error.
pub(super) struct Disk {
    snapshot: Snapshot,
    files: Files,
    identity: Identity,
    /// Of the log of writes, once there is one: what is written to one without a name is lost.
    log: Option<Identity>,
    failed: Option<StoreError>,
}

impl Disk {
    pub(super) fn new(snapshot: Snapshot, files: Files) -> Result<Self, StoreError> {
        let replaced = || StoreError::Replaced { path: files.db.clone() };
        let identity = identity(&files.db).ok_or_else(replaced)?;
        Ok(Self { snapshot, files, identity, log: None, failed: None })
    }

    pub(super) fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }

    pub(super) fn files(&self) -> &Files {
        &self.files
    }

    pub(super) fn pending(&mut self) -> &mut Pending {
        &mut self.snapshot.pending
    }

    /// One synced transaction, or the error that every later call gets too. What is pending goes
    /// along.
    pub(super) fn write<T>(
        &mut self,
        what: &'static str,
        change: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        self.try_write(what, |tx| change(tx).map_err(Failed::<StoreError>::Disk))
    }

    /// As [`Self::write`], but when nothing is changed, nothing goes along, and nothing is written.
    pub(super) fn amend(
        &mut self,
        what: &'static str,
        change: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<()>,
    ) -> Result<(), StoreError> {
        self.check_usable()?;
        let within = || {
            let tx = begin(&mut self.snapshot.db)?;
            let before = tx.total_changes();
            change(&tx)?;
            if tx.total_changes() == before {
                Ok(())
            } else {
                finish(tx, &mut self.snapshot.pending)
            }
        };
        within().map_err(|e| self.latch(StoreError::sql(what, &self.files.db, e)))
    }

    /// As [`Self::write`], for a change that has errors of its own: one that is no [`Failed::Disk`]
    /// takes back what was changed, and no more.
    pub(super) fn try_write<T, E: From<StoreError>>(
        &mut self,
        what: &'static str,
        change: impl FnOnce(&Transaction<'_>) -> Result<T, Failed<E>>,
    ) -> Result<T, E> {
        self.check_usable()?;
        let within = || {
            let tx = begin(&mut self.snapshot.db)?;
            let done = change(&tx)?;
            finish(tx, &mut self.snapshot.pending)?;
            if self.log.is_none() {
                self.log = identity(&self.files.wal);
            }
            Ok(done)
        };
        within().map_err(|failed| match failed {
            Failed::Disk(e) => self.latch(StoreError::sql(what, &self.files.db, e)).into(),
            Failed::Change(e) => e,
            Failed::Both(failed, e) => {
                self.latch(failed);
                e
            }
        })
    }

    pub(super) fn verify(&mut self) -> Result<(), StoreError> {
        self.check_usable()?;
        let checked = sqlite::check_integrity(&self.snapshot.db, &self.files.db);
        checked.map_err(|error| self.latch(error))
    }

    /// See [`sqlite::widen_cache`].
    pub(super) fn widen_cache(&mut self) -> Result<(), StoreError> {
        let widened = sqlite::widen_cache(&self.snapshot.db);
        widened.map_err(|e| self.latch(StoreError::sql("prepare to write", &self.files.db, e)))
    }

    /// Writes without the log, where nobody else has the file open; see [`sqlite::leave_log`].
    pub(super) fn leave_log(&mut self) -> Result<(), StoreError> {
        self.check_usable()?;
        match sqlite::leave_log(&self.snapshot.db) {
            Ok(_) => {
                self.log = None;
                Ok(())
            }
            Err(e) if e.sqlite_error_code() == Some(rusqlite::ErrorCode::DatabaseBusy) => Ok(()),
            Err(e) => {
                let what = "write without the log of writes";
                Err(self.latch(StoreError::sql(what, &self.files.db, e)))
            }
        }
    }

    pub(super) fn take_up_log(&mut self) -> Result<(), StoreError> {
        let taken_up = sqlite::take_up_log(&self.snapshot.db, &self.files.db);
        taken_up.map_err(|error| self.latch(error))
    }

    /// Makes the log of writes as long as it gets before it begins anew. A sync that does not also
    /// have to make a file longer takes a fraction of the time.
    pub(super) fn stretch_log(&mut self) -> Result<(), StoreError> {
        self.check_usable()?;
        let path = &self.files.wal;
        stretch(path, sqlite::LOG_LENGTH)
            .map_err(|e| StoreError::io("make room in the log of writes", path, e))
            .map_err(|error| self.latch(error))
    }

    /// Brings the log of writes back into the file and empties it.
    pub(super) fn empty_log(&mut self) -> Result<(), StoreError> {
        self.tidy("empty the log of writes", "PRAGMA wal_checkpoint(TRUNCATE)")
    }

    /// Gives unused space back to the system, if there is any.
    pub(super) fn give_back(&mut self) -> Result<(), StoreError> {
        let unused = self.snapshot.read("look for unused space", |db| {
            db.pragma_query_value(None, "freelist_count", |row| row.get::<_, i64>(0))
        })?;
        if unused == 0 {
            return Ok(());
        }
        self.tidy("give back unused space", "PRAGMA incremental_vacuum")
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

    /// After a write that found no space, and was taken back: there is some now.
    pub(super) fn revive(&mut self) {
        self.failed =
            self.failed.take().filter(|failed| !matches!(failed, StoreError::Full { .. }));
    }

    /// `SQLite` would go on writing into a file that has no name any more.
    pub(super) fn check_usable(&mut self) -> Result<(), StoreError> {
        if self.failed.is_none() {
            if identity(&self.files.db) != Some(self.identity) {
                self.latch(StoreError::Replaced { path: self.files.db.clone() });
            } else if self.log.is_some() && identity(&self.files.wal) != self.log {
                self.latch(StoreError::Replaced { path: self.files.wal.clone() });
            }
        }
        self.failed.clone().map_or(Ok(()), Err)
    }

    fn latch(&mut self, error: StoreError) -> StoreError {
        if error.is_of_the_disk()
            && let Some(dir) = self.files.db.parent()
        {
            let mut broken = BROKEN.lock().unwrap_or_else(PoisonError::into_inner);
            broken.entry(dir.to_owned()).or_insert_with(|| error.clone());
        }
        self.failed = Some(error.clone());
        error
    }
}

/// Directories whose disk has failed, with what it failed at first. A sync that is tried again may
/// succeed for data that was lost: nothing there is written by this process any more.
static BROKEN: Mutex<BTreeMap<PathBuf, StoreError>> = Mutex::new(BTreeMap::new());

/// The first failure of any disk that this process has written state to: it should end.
#[must_use]
pub fn disk_failure() -> Option<StoreError> {
    BROKEN.lock().unwrap_or_else(PoisonError::into_inner).values().next().cloned()
}

pub(super) fn refuse_after_failure(dir: &Path) -> Result<(), StoreError> {
    let broken = BROKEN.lock().unwrap_or_else(PoisonError::into_inner);
    broken.get(dir).cloned().map_or(Ok(()), Err)
}

/// Adds zeros, in which `SQLite` finds nothing that it would take for its own.
fn stretch(log: &Path, length: u64) -> io::Result<()> {
    let mut file = match OpenOptions::new().append(true).open(log) {
        Ok(file) => file,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(e) => return Err(e),
    };
    let lacking = length.saturating_sub(file.metadata()?.len());
    io::copy(&mut io::repeat(0).take(lacking), &mut file)?;
    file.sync_all()
}

/// Why a change was taken back.
pub(super) enum Failed<E> {
    Disk(rusqlite::Error),
    Change(E),
    /// The one because of the other.
    Both(StoreError, E),
}

impl<E> From<rusqlite::Error> for Failed<E> {
    fn from(error: rusqlite::Error) -> Self {
        Self::Disk(error)
    }
}

fn begin(db: &mut rusqlite::Connection) -> rusqlite::Result<Transaction<'_>> {
    // IMMEDIATE: a transaction that only later finds out that it writes fails at once when somebody
    // else holds the file, without waiting.
    db.transaction_with_behavior(TransactionBehavior::Immediate)
}

fn finish(tx: Transaction<'_>, pending: &mut Pending) -> rusqlite::Result<()> {
    if pending.is_empty() {
        return tx.commit();
    }
    pending.write(&tx)?;
    tx.commit()?;
    *pending = Pending::default();
    Ok(())
}
