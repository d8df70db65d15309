//! Copies of the state, made while it is in use.

use super::{
    Snapshot, StoreError,
    files::{part_of, prepare_dir, restrict, sync_parent},
    place, sqlite,
};
use jiff::{SignedDuration, Timestamp, civil::DateTime, tz::TimeZone};
use rusqlite::{Connection, OpenFlags, backup::Backup};
use std::{
    fs::{self, OpenOptions},
    io,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

/// Where copies are kept: a folder beside the state files.
#[must_use]
pub fn folder(dir: &Path) -> PathBuf {
    dir.join("backups")
}

const TIME: &str = "%Y%m%dT%H%M%SZ";

/// An instant as it stands in a file's name.
pub(super) fn stamp(at: Timestamp) -> String {
    at.strftime(TIME).to_string()
}

impl Snapshot {
    /// Copies the state, as it is at this moment, into `<dir>/<tenant>-<time>-<serial>.db` (0600),
    /// making the folder (0700) where there is none. The copy is checked before it gets its name,
    /// and needs no other file beside it. Returns where it is.
    pub fn back_up(&self, dir: &Path, now: Timestamp) -> Result<PathBuf, StoreError> {
        self.back_up_through(dir, now, part_of)
    }

    /// `part`: where the copy is until it is whole, by the name that it gets.
    fn back_up_through(
        &self,
        dir: &Path,
        now: Timestamp,
        part: impl FnOnce(&Path) -> PathBuf,
    ) -> Result<PathBuf, StoreError> {
        if let Some(state) = self.path.parent().filter(|state| dir.starts_with(state)) {
            place::check_owner(state)?;
        }
        prepare_dir(dir)?;
        let tenant: String = self.read("read whose state file it is", |db| {
            db.query_row("SELECT tenant FROM meta", [], |row| row.get(0))
        })?;
        let path = dir.join(format!("{tenant}-{}-{:08}.db", stamp(now), self.serial()?));
        let part = part(&path);
        let copied = copy(&self.db, &part).and_then(|()| check(&part)).and_then(|()| {
            let named = fs::rename(&part, &path).and_then(|()| sync_parent(&path));
            named.map_err(|e| StoreError::io("name a copy of the state", &path, e))
        });
        if copied.is_err() {
            // Half of a copy is of no use, and takes room.
            let _ = fs::remove_file(&part);
        }
        copied.map(|()| path)
    }
}

/// Copies all pages to a new file, synced, that needs none beside it.
pub(super) fn copy(from: &Connection, to: &Path) -> Result<(), StoreError> {
    let failed = |e| StoreError::io("create a copy of the state", to, e);
    let mut options = OpenOptions::new();
    let file = options.write(true).create(true).truncate(true).mode(0o600).open(to);
    let file = file.map_err(failed)?;
    restrict(to, 0o600).map_err(failed)?;
    let within = || {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let mut db = Connection::open_with_flags(to, flags)?;
        // Half of a copy is thrown away, and a whole one is synced below.
        db.pragma_update(None, "journal_mode", "OFF")?;
        db.pragma_update(None, "synchronous", "OFF")?;
        Backup::new(from, &mut db)?.step(-1).map(|_| ())
    };
    within().map_err(|e| StoreError::sql("copy the state", to, e))?;
    file.sync_all().map_err(failed)
}

fn check(copy: &Path) -> Result<(), StoreError> {
    let db = sqlite::open_still(copy)?;
    sqlite::check_integrity(&db, copy)
}

/// The copies of a tenant in that folder, oldest first, and when each was made.
pub fn backups(dir: &Path, tenant: &str) -> Result<Vec<(Timestamp, PathBuf)>, StoreError> {
    let failed = |e| StoreError::io("look for copies of the state", dir, e);
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(failed(e)),
    };
    let mut found = Vec::new();
    for entry in entries {
        let path = entry.map_err(failed)?.path();
        found.extend(made_at(&path, tenant).map(|at| (at, path)));
    }
    found.sort();
    Ok(found)
}

/// By its name; `None`: no copy of that tenant's state.
fn made_at(path: &Path, tenant: &str) -> Option<Timestamp> {
    let name = path.file_name()?.to_str()?.strip_suffix(".db")?;
    let (time, serial) = name.strip_prefix(tenant)?.strip_prefix('-')?.split_once('-')?;
    let _: u64 = serial.parse().ok()?;
    let time = DateTime::strptime(TIME, time).ok()?;
    Some(time.to_zoned(TimeZone::UTC).ok()?.timestamp())
}

/// Makes a copy when the newest is older than that, or from a time that is still to come, and keeps
/// so many.
pub(super) fn back_up_if_due(
    snapshot: &Snapshot,
    dir: &Path,
    tenant: &str,
    (every, kept): (SignedDuration, usize),
    now: Timestamp,
) -> Result<(), StoreError> {
    let copies = backups(dir, tenant)?;
    let is_fresh = |at: &Timestamp| *at <= now && now.duration_since(*at) < every;
    if kept == 0 || copies.last().is_some_and(|(at, _)| is_fresh(at)) {
        return Ok(());
    }
    // What a killed run has left of a copy is written over by the next one.
    let part = dir.join(format!("{tenant}.part"));
    let made = snapshot.back_up_through(dir, now, |_| part)?;
    let mut others: Vec<PathBuf> = copies.into_iter().map(|(_, path)| path).collect();
    others.retain(|path| *path != made);
    let surplus = (others.len() + 1).saturating_sub(kept);
    for old in others.iter().take(surplus) {
        fs::remove_file(old).map_err(|e| StoreError::io("remove an old copy", old, e))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_is_known_by_its_name_to_be_of_a_tenant_and_of_a_time() {
        let at: Timestamp = "2026-03-02T02:30:00Z".parse().unwrap();
        let path = |name: &str| PathBuf::from(format!("/state/backups/{name}"));
        let name = format!("acme-{}-00000042.db", stamp(at));
        assert_eq!(name, "acme-20260302T023000Z-00000042.db");
        assert_eq!(made_at(&path(&name), "acme"), Some(at));
        assert_eq!(made_at(&path(&name), "acm"), None);
        assert_eq!(made_at(&path(&format!("{name}.part")), "acme"), None);
        assert_eq!(made_at(&path("acme-yesterday-1.db"), "acme"), None);
    }
}
