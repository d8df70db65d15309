//! Opening the file: what `SQLite` must be told, and what must hold before it is believed.

use super::{StoreError, files::Files, schema};
use crate::model::TenantId;
use rusqlite::{Connection, OpenFlags, config::DbConfig, types::Value as Sql};
use std::{os::unix::ffi::OsStrExt, path::Path, time::Duration};

/// The oldest `SQLite` without the WAL-reset bug.
const OLDEST_SQLITE: i32 = 3_051_003;
const WRITER_PATIENCE: Duration = Duration::from_secs(5);
const READER_PATIENCE: Duration = Duration::from_secs(2);
/// More statements than we have; `SQLite` parses each once.
const STATEMENTS: usize = 64;

/// What a connection is told, and what it must answer when asked.
const PRAGMAS: &[(&str, &str, &str)] = &[
    // NORMAL may lose the last commits at a power loss, and with them what the target was sent.
    ("synchronous", "FULL", "2"),
    ("foreign_keys", "ON", "1"),
    ("trusted_schema", "OFF", "0"),
    ("cell_size_check", "ON", "1"),
    // Mapped pages would turn a failing disk into a signal.
    ("mmap_size", "0", "0"),
    // Nothing personal in the directory for temporary files.
    ("temp_store", "MEMORY", "2"),
    // What is deleted is really gone.
    ("secure_delete", "ON", "1"),
    ("journal_size_limit", "67108864", "67108864"),
    // Two syncs for 4 MB of log.
    ("wal_autocheckpoint", "1000", "1000"),
    // 8 MB: what a group of outcomes needs of the keys of some hundred thousand users.
    ("cache_size", "-1000", "-1000"),
];

/// Bytes of a log that begins anew after so many pages, and after what the last group adds.
pub(super) const LOG_LENGTH: u64 = 32 + (1000 + 128) * (24 + 4096);

/// A file that the writer may use.
pub(super) struct Opened {
    pub(super) db: Connection,
    /// It was made just now.
    pub(super) is_new: bool,
    /// All of it was checked.
    pub(super) is_checked: bool,
}

/// Opens the file for the one writer. The caller holds the lock. `Damaged`, `Newer` and `Foreign`
/// leave every byte as it was. All of it is checked when the last use did not end as it should.
pub(super) fn open_writer(files: &Files, tenant: &TenantId) -> Result<Opened, StoreError> {
    check_version(rusqlite::version_number())?;
    let path = &files.db;
    let failed = |e| StoreError::sql("open the state file", path, e);
    let (is_new, has_log) = (files.is_empty(), files.has_wal());
    let was_cut_off = has_log || files.has_journal();
    if is_new && has_log {
        let what = "it is empty, and its `-wal` file is not".to_owned();
        return Err(StoreError::Damaged { path: path.clone(), what });
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut db = Connection::open_with_flags(path, flags).map_err(failed)?;
    // Until everything is checked: even closing would write.
    harden(&db, WRITER_PATIENCE).map_err(failed)?;
    let found = check_owner(&db, path)?;
    let is_checked = found == 0 || was_cut_off || has_open_run(&db, path)?;
    if is_checked {
        check_integrity(&db, path)?;
    }
    if found == 0 {
        // Only takes effect before the first table.
        db.pragma_update(None, "auto_vacuum", "INCREMENTAL").map_err(failed)?;
    }
    tell(&db, path, "journal_mode", "WAL", "wal")?;
    for (name, value, answer) in PRAGMAS {
        tell(&db, path, name, value, answer)?;
    }
    schema::migrate(&mut db, path, schema::STEPS, tenant)?;
    check_tenant(&db, path, tenant)?;
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, false).map_err(failed)?;
    Ok(Opened { db, is_new: found == 0, is_checked })
}

/// For a writer with much to write, at the cost of memory.
pub(super) fn widen_cache(db: &Connection) -> rusqlite::Result<()> {
    db.pragma_update(None, "cache_size", -8000)
}

/// Whether the file goes without a log of writes from now on. Pages that are new to a file are then
/// written once and not twice; what they replace is kept beside them until the commit.
pub(super) fn leave_log(db: &Connection) -> rusqlite::Result<bool> {
    set_journal(db, "DELETE").map(|mode| mode == "delete")
}

pub(super) fn take_up_log(db: &Connection, path: &Path) -> Result<(), StoreError> {
    tell(db, path, "journal_mode", "WAL", "wal")
}

fn set_journal(db: &Connection, mode: &str) -> rusqlite::Result<String> {
    db.pragma_update_and_check(None, "journal_mode", mode, |row| row.get(0))
}

/// How a reader may look at the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Look {
    /// A writer is at work: through its shared memory.
    Beside,
    /// No writer, and all is in the file: as if it were on a read-only medium.
    Still,
    /// No writer, and a log that a killed one left: with an index of the log in our own memory, and
    /// the file locked against a writer meanwhile.
    Leftover,
}

/// Opens the file to look at it; `None`: there is no schema in it yet.
pub(super) fn open_reader(
    files: &Files,
    tenant: &TenantId,
    look: Look,
) -> Result<Option<Connection>, StoreError> {
    check_version(rusqlite::version_number())?;
    let path = &files.db;
    let failed = |e| StoreError::sql("open the state file for reading", path, e);
    let db = match look {
        Look::Beside => Connection::open_with_flags(
            path,
            OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX,
        ),
        Look::Still => Ok(open_still(path)?),
        Look::Leftover => Connection::open_with_flags(
            path,
            OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX,
        ),
    }
    .map_err(failed)?;
    harden(&db, READER_PATIENCE).map_err(failed)?;
    if look == Look::Leftover {
        tell(&db, path, "locking_mode", "EXCLUSIVE", "exclusive")?;
    }
    for (name, value, answer) in [
        ("query_only", "ON", "1"),
        ("trusted_schema", "OFF", "0"),
        ("cell_size_check", "ON", "1"),
        ("mmap_size", "0", "0"),
        ("temp_store", "MEMORY", "2"),
    ] {
        tell(&db, path, name, value, answer)?;
    }
    let (found, known) = (check_owner(&db, path)?, schema::newest());
    if found == 0 {
        return Ok(None);
    }
    if found < known {
        return Err(StoreError::Older { path: path.clone(), found, known });
    }
    check_tenant(&db, path, tenant)?;
    Ok(Some(db))
}

/// Opens a file to which nobody writes, and leaves every byte as it is.
pub(super) fn open_still(path: &Path) -> Result<Connection, StoreError> {
    check_version(rusqlite::version_number())?;
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY
        | OpenFlags::SQLITE_OPEN_NO_MUTEX
        | OpenFlags::SQLITE_OPEN_URI;
    let opened = Connection::open_with_flags(immutable_uri(path), flags);
    let hardened = opened.and_then(|db| harden(&db, READER_PATIENCE).map(|()| db));
    hardened.map_err(|e| StoreError::sql("open the state file for reading", path, e))
}

fn check_version(number: i32) -> Result<(), StoreError> {
    if number < OLDEST_SQLITE {
        return Err(StoreError::OldSqlite { found: rusqlite::version().to_owned() });
    }
    Ok(())
}

/// What holds for every connection, before it has read anything.
fn harden(db: &Connection, patience: Duration) -> rusqlite::Result<()> {
    db.busy_timeout(patience)?;
    db.set_prepared_statement_cache_capacity(STATEMENTS);
    for (setting, value) in [
        (DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true),
        (DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true),
        (DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false),
        (DbConfig::SQLITE_DBCONFIG_DQS_DML, false),
        (DbConfig::SQLITE_DBCONFIG_DQS_DDL, false),
    ] {
        db.set_db_config(setting, value)?;
    }
    Ok(())
}

/// Tells `SQLite`, then asks: a setting that it ignores would be a silent one.
fn tell(
    db: &Connection,
    path: &Path,
    name: &str,
    value: &str,
    answer: &str,
) -> Result<(), StoreError> {
    let failed = |e| StoreError::sql("configure the state file", path, e);
    db.pragma(None, name, value, |_| Ok(())).map_err(failed)?;
    let mut found = None;
    db.pragma_query(None, name, |row| {
        found = Some(match row.get(0)? {
            Sql::Integer(number) => number.to_string(),
            Sql::Text(text) => text,
            Sql::Null | Sql::Real(_) | Sql::Blob(_) => String::new(),
        });
        Ok(())
    })
    .map_err(failed)?;
    if found.as_deref().is_none_or(|found| found == answer) {
        return Ok(());
    }
    let why = format!("SQLite did not take the setting `{name}`");
    Err(StoreError::io("configure the state file", path, std::io::Error::other(why)))
}

/// The file is ours, and not newer than we know. Returns its schema; 0: nothing in it yet.
fn check_owner(db: &Connection, path: &Path) -> Result<i64, StoreError> {
    let failed = |e| StoreError::sql("read the state file", path, e);
    let found = schema::version(db).map_err(failed)?;
    let owner: i64 =
        db.pragma_query_value(None, "application_id", |row| row.get(0)).map_err(failed)?;
    let tables: i64 =
        db.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0)).map_err(failed)?;
    if tables == 0 && found == 0 {
        return Ok(0);
    }
    if owner != schema::APPLICATION_ID {
        let owner = "another program".to_owned();
        return Err(StoreError::Foreign { path: path.into(), owner });
    }
    let known = schema::newest();
    if found > known {
        return Err(StoreError::Newer { path: path.into(), found, known });
    }
    Ok(found)
}

/// A file of another tenant's, under this one's name, would send its people's values.
fn check_tenant(db: &Connection, path: &Path, tenant: &TenantId) -> Result<(), StoreError> {
    let owner: String = db
        .query_row("SELECT tenant FROM meta WHERE id = 1", [], |row| row.get(0))
        .map_err(|e| StoreError::sql("read whose state file it is", path, e))?;
    if owner == tenant.as_str() {
        return Ok(());
    }
    let owner = match TenantId::parse(&owner) {
        Ok(other) => format!("tenant `{other}`"),
        Err(_) => "a tenant with a damaged name".to_owned(),
    };
    Err(StoreError::Foreign { path: path.into(), owner })
}

/// The last run was cut off.
fn has_open_run(db: &Connection, path: &Path) -> Result<bool, StoreError> {
    let last = "SELECT coalesce((SELECT ended IS NULL FROM run ORDER BY number DESC LIMIT 1), 0)";
    let found = db.query_row(last, [], |row| row.get(0));
    found.map_err(|e| StoreError::sql("read how the last run ended", path, e))
}

pub(super) fn check_integrity(db: &Connection, path: &Path) -> Result<(), StoreError> {
    let failed = |e| StoreError::sql("check the state file", path, e);
    let mut problems = Vec::new();
    db.pragma_query(None, "integrity_check", |row| {
        problems.push(row.get::<_, String>(0)?);
        Ok(())
    })
    .map_err(failed)?;
    let mut orphans = 0_u64;
    db.pragma_query(None, "foreign_key_check", |_| {
        orphans += 1;
        Ok(())
    })
    .map_err(failed)?;
    if orphans > 0 {
        problems.push(format!("{orphans} rows belong to nothing"));
    }
    match problems.iter().find(|problem| *problem != "ok") {
        None => Ok(()),
        Some(first) => {
            let what = format!("{first} ({} problems)", problems.len());
            Err(StoreError::Damaged { path: path.into(), what })
        }
    }
}

/// With everything escaped that could mean something in a URI.
fn immutable_uri(path: &Path) -> String {
    let scheme = if path.is_absolute() { "file://" } else { "file:" };
    let escaped = path.as_os_str().as_bytes().iter().map(|byte| {
        let plain = byte.is_ascii_alphanumeric() || b"/._-".contains(byte);
        if plain { char::from(*byte).to_string() } else { format!("%{byte:02X}") }
    });
    format!("{scheme}{}?immutable=1", escaped.collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn e23_a_sqlite_that_may_corrupt_its_log_is_refused_and_ours_is_none() {
        assert!(matches!(check_version(3_051_002), Err(StoreError::OldSqlite { .. })));
        assert!(check_version(3_051_003).is_ok());
        assert!(check_version(rusqlite::version_number()).is_ok());
    }
}
