//! The schema, as numbered steps. A step that was released is never changed: the next one follows.

use super::{StoreError, convert::count_to_integer};
use crate::model::TenantId;
use ring::rand::{SecureRandom, SystemRandom};
use rusqlite::{Connection, Transaction, TransactionBehavior, params};
use std::{
    fs::OpenOptions,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

/// "rost", in the file's header: tells our files from any other `SQLite` file.
pub(super) const APPLICATION_ID: i64 = 0x726f_7374;

pub(super) const STEPS: &[&str] = &[
    include_str!("../../state/001_snapshot.sql"),
    include_str!("../../state/002_delivery.sql"),
    include_str!("../../state/003_approvals.sql"),
    include_str!("../../state/004_holds.sql"),
    include_str!("../../state/005_damage.sql"),
    include_str!("../../state/006_pace.sql"),
    include_str!("../../state/007_life.sql"),
    include_str!("../../state/008_import.sql"),
];

/// The schema that this program writes.
pub(super) fn newest() -> i64 {
    steps_of(STEPS)
}

fn steps_of(steps: &[&str]) -> i64 {
    count_to_integer(steps.len() as u64)
}

/// How many steps the file has been through; 0: an empty one.
pub(super) fn version(db: &Connection) -> rusqlite::Result<i64> {
    db.pragma_query_value(None, "user_version", |row| row.get(0))
}

/// Takes the file through the steps that it lacks, each in a transaction of its own, so that one
/// that was killed half-way is simply done again. A file with something in it is copied first.
pub(super) fn migrate(
    db: &mut Connection,
    path: &Path,
    steps: &[&str],
    tenant: &TenantId,
) -> Result<(), StoreError> {
    let failed = |e| StoreError::sql("upgrade the state file", path, e);
    let found = version(db).map_err(failed)?;
    if 0 < found && found < steps_of(steps) {
        back_up(db, path, found)?;
    }
    for (number, step) in (1..).zip(steps).filter(|(number, _)| *number > found) {
        let tx = db.transaction_with_behavior(TransactionBehavior::Immediate).map_err(failed)?;
        tx.execute_batch(step).map_err(failed)?;
        if number == 1 {
            sign(&tx, path, tenant)?;
        }
        tx.pragma_update(None, "user_version", number).map_err(failed)?;
        tx.commit().map_err(failed)?;
    }
    Ok(())
}

/// Whether there is in the file what the steps make, and nothing else: no trigger, no view.
pub(super) fn is_as_made(db: &Connection) -> rusqlite::Result<bool> {
    let made = Connection::open_in_memory()?;
    for step in STEPS {
        made.execute_batch(step)?;
    }
    Ok(objects(db)? == objects(&made)?)
}

fn objects(db: &Connection) -> rusqlite::Result<Vec<(String, String, Option<String>)>> {
    let mut statement =
        db.prepare("SELECT type, name, sql FROM sqlite_schema ORDER BY type, name")?;
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    rows.collect()
}

/// Writes down whose file it is.
fn sign(tx: &Transaction<'_>, path: &Path, tenant: &TenantId) -> Result<(), StoreError> {
    let lineage = uuid::Builder::from_random_bytes(random(path)?).into_uuid().to_string();
    let tag_key: [u8; 32] = random(path)?;
    let failed = |e| StoreError::sql("sign the state file", path, e);
    tx.pragma_update(None, "application_id", APPLICATION_ID).map_err(failed)?;
    tx.execute(
        "INSERT INTO meta (id, tenant, lineage, serial, operation, packed, tag_key)
         VALUES (1, ?1, ?2, 0, 0, 0, ?3)",
        params![tenant.as_str(), lineage, tag_key],
    )
    .map_err(failed)?;
    Ok(())
}

fn random<const N: usize>(path: &Path) -> Result<[u8; N], StoreError> {
    let mut bytes = [0; N];
    SystemRandom::new().fill(&mut bytes).map_err(|_| {
        let source = std::io::Error::other("the system gives no random bytes");
        StoreError::io("sign the state file", path, source)
    })?;
    Ok(bytes)
}

/// Copies the file to `<file>.schema-<n>.bak`, through `SQLite`, so that what is only in the
/// write-ahead log comes along.
fn back_up(db: &Connection, path: &Path, version: i64) -> Result<(), StoreError> {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".schema-{version}.bak"));
    let copy = PathBuf::from(name);
    // SQLite fills an empty file that is there, and so the mode is ours.
    OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&copy)
        .map_err(|e| StoreError::io("create a backup before the upgrade", &copy, e))?;
    db.execute("VACUUM INTO ?1", [copy.to_string_lossy()])
        .map_err(|e| StoreError::sql("write a backup before the upgrade", &copy, e))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::MetadataExt;

    fn tenant() -> TenantId {
        TenantId::parse("acme").unwrap()
    }

    #[test]
    fn d12_users_who_are_gone_since_before_quarantines_are_due_in_the_next_run() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("acme.db");
        let mut db = Connection::open(&path).unwrap();
        migrate(&mut db, &path, &STEPS[..1], &tenant()).unwrap();
        db.execute_batch(
            "INSERT INTO run (id, verb, started) VALUES ('r', 'run', 7000000);
             INSERT INTO user (key, remote_id, seen, gone, attributes, refused, hash)
             VALUES ('E1', 'u1', 1, 1, '{}', '{}', zeroblob(16)),
                    ('E2', 'u2', 1, 0, '{}', '{}', zeroblob(16));",
        )
        .unwrap();
        migrate(&mut db, &path, STEPS, &tenant()).unwrap();
        let found = "SELECT key, cause, since, tries, next FROM quarantine";
        let found: (String, String, i64, i64, i64) = db
            .query_row(found, [], |row| {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?))
            })
            .unwrap();
        assert_eq!(found, ("E1".into(), "gone".into(), 7_000_000, 1, 7_000_000));
    }

    #[test]
    fn a_first_import_may_follow_the_steps_in_the_same_opening_of_the_file() {
        for done in 0..STEPS.len() {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("acme.db");
            let mut db = Connection::open(&path).unwrap();
            db.pragma_update(None, "temp_store", "MEMORY").unwrap();
            migrate(&mut db, &path, &STEPS[..done], &tenant()).unwrap();
            migrate(&mut db, &path, STEPS, &tenant()).unwrap();
            let tx = db.transaction().unwrap();
            let dropped = tx.execute_batch("DROP INDEX user_key");
            assert!(dropped.is_ok(), "from schema {done}: {dropped:?}");
        }
    }

    #[test]
    fn e22_a_step_that_fails_leaves_the_file_as_it_was_and_a_copy_beside_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("acme.db");
        let mut db = Connection::open(&path).unwrap();
        migrate(&mut db, &path, &STEPS[..1], &tenant()).unwrap();

        let with = |step| [STEPS, &[step]].concat();
        let broken = with("CREATE TABLE extra (a TEXT) STRICT; CREATE NONSENSE;");
        assert!(migrate(&mut db, &path, &broken, &tenant()).is_err());
        assert_eq!(version(&db).unwrap(), newest());
        let tables = "SELECT count(*) FROM sqlite_schema WHERE name = 'extra'";
        assert_eq!(db.query_row(tables, [], |row| row.get::<_, i64>(0)).unwrap(), 0);

        let whole = with("CREATE TABLE extra (a TEXT) STRICT;");
        migrate(&mut db, &path, &whole, &tenant()).unwrap();
        assert_eq!(version(&db).unwrap(), newest() + 1);
        let copy = dir.path().join(format!("acme.db.schema-{}.bak", newest()));
        assert_eq!(std::fs::metadata(&copy).unwrap().mode() & 0o777, 0o600);
        assert_eq!(version(&Connection::open(copy).unwrap()).unwrap(), newest());
    }
}
