//! Putting a copy back, and starting anew: the two ways out when the state file is not to be believed.
//!
//! After either, nothing is known of anybody but which account is theirs: everybody is in doubt, so
//! that they are read before they are written, or sent absolute values where the target shows nothing.

use super::{
    Holder, Snapshot, Store, StoreError,
    backup::stamp,
    convert::{count_to_integer, instant_to_micros},
    disk::Disk,
    doubt::{doubt_everybody, drop_what_is_damaged, each_user, restart_leavers},
    files::{Files, sync_parent},
    mirror::Mirror,
    opening::lock,
    place,
    rows::Found,
    schema,
    sqlite::{self, Look, Opened},
};
use crate::{
    config::Config,
    model::{RunId, TenantId},
};
use jiff::{SignedDuration, Timestamp};
use rusqlite::params;
use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Renewed {
    /// Users who are read, or sent everything, before anything else is done for them.
    pub users: u64,
    /// The file that was in use before; its log of writes, if it had one, lies beside it.
    pub aside: Option<PathBuf>,
    /// Commits since the copy was made that changed what is known, as far as they can be counted.
    pub records_lost: u64,
}

/// Who asks for it, and when.
pub struct Request<'a> {
    pub config: &'a Config,
    pub tenant: &'a TenantId,
    pub holder: &'a Holder,
    pub run: &'a RunId,
    pub now: Timestamp,
}

impl Store {
    /// Puts a copy of a tenant's state in the place of what is there. The copy is taken over as a
    /// whole or not at all; what was there is kept beside it.
    ///
    /// # Errors
    /// `Unfit` tells why the copy is not taken, `Locked` that the state is in use.
    pub fn restore(request: &Request<'_>, copy: &Path) -> Result<Renewed, StoreError> {
        let Request { config, tenant, holder, run, now } = *request;
        let dir = &config.state_dir;
        let _lock = lock(dir, &config.state, tenant, holder)?;
        let files = Files::of(dir, tenant);
        let part = Files::named(dir, &format!("{tenant}.restoring"));
        clear(&part)?;
        take_in(copy, &part)?;
        let before = Before::of(&files, tenant);
        let built = rebuild(&part, copy, tenant, &before, |disk| {
            renew(disk, config, &before, (run, "restore", now))
        });
        let (users, serial) = match built {
            Ok(built) => built,
            Err(error) => {
                clear(&part)?;
                return Err(error);
            }
        };
        let aside = exchange(&files, &part, now)?;
        write_mirror(&files, tenant)?;
        let records_lost = before.serial.saturating_sub(serial);
        Ok(Renewed { users, aside, records_lost })
    }

    /// Forgets all that is known of everybody but which account is theirs; the journal stays. A file
    /// that cannot be used, even for that, is put aside, and an empty one takes its place.
    ///
    /// # Errors
    /// `Locked`: the state is in use. `Newer` and `Foreign` leave the file as it was.
    pub fn resnapshot(request: &Request<'_>) -> Result<Renewed, StoreError> {
        let Request { config, tenant, holder, run, now } = *request;
        let dir = &config.state_dir;
        let _lock = lock(dir, &config.state, tenant, holder)?;
        let files = Files::of(dir, tenant);
        let before = Before::of(&files, tenant);
        let mut aside = None;
        let mut disk = match open_whole(Files::of(dir, tenant), tenant) {
            Err(StoreError::Damaged { .. }) => {
                aside = put_aside(&files, now)?;
                open_whole(Files::of(dir, tenant), tenant)?
            }
            opened => opened?,
        };
        let users = renew(&mut disk, config, &before, (run, "resnapshot", now))?;
        drop(disk);
        write_mirror(&files, tenant)?;
        Ok(Renewed { users, aside, records_lost: 0 })
    }
}

/// What is still worth knowing of the file that was in use.
#[derive(Default)]
struct Before {
    lineage: Option<String>,
    /// The highest that was ever recorded.
    serial: u64,
    operation: u64,
    /// Requests that the target's quota may still count.
    sent: Vec<Timestamp>,
    pause: Option<super::Pause>,
}

/// No quota looks further back.
const QUOTA_HOURS: i64 = 25;

impl Before {
    fn of(files: &Files, tenant: &TenantId) -> Self {
        let mut before = Self::read(files, tenant).unwrap_or_default();
        // One that cannot be read is replaced by what is written at the end.
        if let Ok(Some(mirror)) = Mirror::read(&files.mirror)
            && mirror.serial > 0
        {
            before.serial = before.serial.max(mirror.serial);
            before.lineage = Some(mirror.lineage);
        }
        before
    }

    fn read(files: &Files, tenant: &TenantId) -> Option<Self> {
        let look = if files.has_wal() { Look::Leftover } else { Look::Still };
        if files.is_missing() || files.has_journal() {
            return None;
        }
        let db = sqlite::open_reader(files, tenant, look).ok()??;
        let snapshot = Snapshot::new(db, files.db.clone()).ok()?;
        let newest = snapshot.sends_since(Timestamp::MIN).ok()?.last().copied();
        let since =
            newest.and_then(|at| at.checked_sub(SignedDuration::from_hours(QUOTA_HOURS)).ok());
        Some(Self {
            lineage: Some(snapshot.lineage().ok()?),
            serial: snapshot.serial().ok()?,
            operation: snapshot.last_operation().ok()?,
            sent: snapshot.sends_since(since.unwrap_or(Timestamp::MIN)).ok()?,
            pause: snapshot.pause().ok()?,
        })
    }
}

fn unfit(copy: &Path, why: impl Into<String>) -> StoreError {
    StoreError::Unfit { path: copy.into(), why: why.into() }
}

/// Copies the copy: what is checked is what is used, whoever can write where it lies.
fn take_in(copy: &Path, part: &Files) -> Result<(), StoreError> {
    let has_log = fs::metadata(Files::at(copy).wal).is_ok_and(|log| log.len() > 0);
    if has_log {
        let why = "it is a file in use, with a `-wal` file beside it that belongs to it; take a copy \
                   that `rosterd backup` made";
        return Err(unfit(copy, why));
    }
    part.prepare()?;
    fs::copy(copy, &part.db).map_err(|e| StoreError::io("read the copy", copy, e))?;
    part.prepare()
}

/// Opens the copy, judges it and brings it up to date; then closes it, all in one file. Returns what
/// `renew` gives, and the serial that the copy had.
fn rebuild(
    part: &Files,
    copy: &Path,
    tenant: &TenantId,
    before: &Before,
    renew: impl FnOnce(&mut Disk) -> Result<u64, StoreError>,
) -> Result<(u64, u64), StoreError> {
    let of_copy = |error| match error {
        StoreError::Damaged { what, .. } => unfit(copy, format!("it is damaged: {what}")),
        StoreError::Foreign { owner, .. } => unfit(copy, format!("it belongs to {owner}")),
        StoreError::Newer { found, known, .. } => {
            unfit(copy, format!("it has schema {found}, and this program knows up to {known}"))
        }
        other => other,
    };
    if part.is_empty() {
        return Err(unfit(copy, "it is empty"));
    }
    let mut disk = open_whole(Files::at(&part.db), tenant).map_err(of_copy)?;
    judge(disk.snapshot(), copy, before)?;
    let serial = disk.snapshot().serial()?;
    let users = renew(&mut disk)?;
    disk.empty_log()?;
    drop(disk);
    let synced = fs::File::open(&part.db).and_then(|db| db.sync_all());
    synced.map_err(|e| StoreError::io("write the copy", &part.db, e))?;
    Ok((users, serial))
}

/// All that tells a copy of this very state, whole, from anything else.
fn judge(found: &Snapshot, copy: &Path, before: &Before) -> Result<(), StoreError> {
    let lineage = found.lineage()?;
    if before.lineage.as_ref().is_some_and(|known| *known != lineage) {
        let why = "it is of another history than the state that is or was in use here; where it is \
                   the right one for certain, move the state's own files away first";
        return Err(unfit(copy, why));
    }
    if !found.read("compare the tables", schema::is_as_made)? {
        return Err(unfit(copy, "its tables are not those that rosterd makes"));
    }
    let damaged = found.read("check the rows", |db| {
        let mut damaged = 0_u64;
        each_user(db, |_, user| {
            damaged += u64::from(matches!(user, Found::Damaged(_)));
            Ok(())
        })?;
        Ok(damaged)
    })?;
    if damaged > 0 {
        return Err(unfit(copy, format!("{damaged} of its rows do not match their hashes")));
    }
    if found.audit()?.broken.is_some() {
        let why =
            "its journal is not as it was written; `rosterd audit verify` tells of a file in use";
        return Err(unfit(copy, why));
    }
    Ok(())
}

/// Opens a file to write and checks all of it.
fn open_whole(files: Files, tenant: &TenantId) -> Result<Disk, StoreError> {
    files.prepare()?;
    let Opened { db, is_checked, .. } = sqlite::open_writer(&files, tenant)?;
    if !is_checked {
        sqlite::check_integrity(&db, &files.db)?;
    }
    let snapshot = Snapshot::new(db, files.db.clone())?;
    Disk::new(snapshot, files)
}

/// Puts everybody in doubt, and writes down what is new in one transaction. Returns how many users
/// there are.
fn renew(
    disk: &mut Disk,
    config: &Config,
    before: &Before,
    (run, verb, now): (&RunId, &str, Timestamp),
) -> Result<u64, StoreError> {
    let machine = place::machine(&config.state.machine_id);
    let machine = machine.map(|machine| disk.snapshot().machine_tag(&machine));
    let users = disk.write("put everybody in doubt", |tx| {
        let users = doubt_everybody(tx)?;
        drop_what_is_damaged(tx)?;
        restart_leavers(tx, now)?;
        tx.execute(
            "UPDATE meta SET serial = max(serial, ?1) + 1, operation = max(operation, ?2)",
            [count_to_integer(before.serial), count_to_integer(before.operation)],
        )?;
        let mut sent = tx.prepare(
            "INSERT INTO sent (at, requests) VALUES (?1, 1)
             ON CONFLICT (at) DO UPDATE SET requests = max(requests, excluded.requests)",
        )?;
        for at in &before.sent {
            sent.execute([instant_to_micros(*at)])?;
        }
        if let Some(super::Pause { until, why }) = &before.pause {
            super::ledger::pause(tx, *until, why)?;
        }
        machine.map_or(Ok(()), |tag| place::bind(tx, tag))?;
        tx.execute(
            "INSERT INTO run (id, verb, started, ended, summary) VALUES (?1, ?2, ?3, ?3, ?4)",
            params![run.as_str(), verb, instant_to_micros(now), r#"{"exit":0}"#],
        )?;
        Ok(users)
    })?;
    disk.empty_log()?;
    Ok(users)
}

/// Puts the new file in the place of the old one, in one step, once the old one is safe.
fn exchange(files: &Files, part: &Files, now: Timestamp) -> Result<Option<PathBuf>, StoreError> {
    let failed = |e| StoreError::io("put the copy in its place", &files.db, e);
    let aside = aside_of(files, now);
    let kept = match fs::hard_link(&files.db, &aside) {
        Ok(()) => Some(aside),
        Err(e) if e.kind() == io::ErrorKind::NotFound => None,
        Err(e) => return Err(failed(e)),
    };
    move_logs(files, now)?;
    fs::rename(&part.db, &files.db).and_then(|()| sync_parent(&files.db)).map_err(failed)?;
    Ok(kept)
}

/// Moves the file out of the way, with what belongs to it.
fn put_aside(files: &Files, now: Timestamp) -> Result<Option<PathBuf>, StoreError> {
    move_logs(files, now)?;
    let aside = aside_of(files, now);
    let moved = fs::rename(&files.db, &aside).and_then(|()| sync_parent(&aside));
    moved.map_err(|e| StoreError::io("put the damaged file aside", &files.db, e))?;
    Ok(Some(aside))
}

fn aside_of(files: &Files, now: Timestamp) -> PathBuf {
    let mut name = files.db.as_os_str().to_owned();
    name.push(format!(".{}.aside", stamp(now)));
    PathBuf::from(name)
}

/// The log of another file would be taken for the new one's.
fn move_logs(files: &Files, now: Timestamp) -> Result<(), StoreError> {
    let aside = Files::at(&aside_of(files, now));
    for (from, to) in
        [(&files.wal, &aside.wal), (&files.journal, &aside.journal), (&files.shm, &aside.shm)]
    {
        match fs::rename(from, to) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => {
                return Err(StoreError::io("put a file aside", from, e));
            }
            Ok(()) | Err(_) => {}
        }
    }
    Ok(())
}

fn clear(part: &Files) -> Result<(), StoreError> {
    for path in [&part.db, &part.wal, &part.shm, &part.journal] {
        match fs::remove_file(path) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => {
                return Err(StoreError::io("remove what an earlier try left", path, e));
            }
            Ok(()) | Err(_) => {}
        }
    }
    Ok(())
}

fn write_mirror(files: &Files, tenant: &TenantId) -> Result<(), StoreError> {
    let Some(db) = sqlite::open_reader(files, tenant, Look::Still)? else { return Ok(()) };
    let mirror = Mirror::of(&db)
        .map_err(|e| StoreError::sql("read how far the state has come", &files.db, e))?;
    mirror.write(&files.mirror)
}
