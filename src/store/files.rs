//! The files of one tenant, who may read them, and the lock.

use super::StoreError;
use crate::{
    model::{Excerpt, TenantId},
    source::FileLock,
};
use jiff::Timestamp;
use std::{
    fmt,
    fs::{self, DirBuilder, File, OpenOptions, Permissions, TryLockError},
    io::{self, Read, Write},
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
    time::Duration,
};

/// Who holds the state; written into the lock file for people to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    pub pid: u32,
    pub host: String,
    pub since: Timestamp,
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "process {} on {} since {}", self.pid, self.host, self.since)
    }
}

/// Where one tenant's state is.
pub(super) struct Files {
    pub(super) db: PathBuf,
    pub(super) wal: PathBuf,
    pub(super) shm: PathBuf,
    /// Only there while a first import is under way, or after one that was killed.
    pub(super) journal: PathBuf,
    pub(super) lock: PathBuf,
    /// How far the state has come; see [`super::mirror`].
    pub(super) mirror: PathBuf,
}

impl Files {
    pub(super) fn of(dir: &Path, tenant: &TenantId) -> Self {
        Self::named(dir, tenant.as_str())
    }

    /// `name`: a tenant's, or one that no tenant can have.
    pub(super) fn named(dir: &Path, name: &str) -> Self {
        let file = |ending: &str| dir.join(format!("{name}{ending}"));
        Self { lock: file(".lock"), mirror: file(".serial"), ..Self::at(&file(".db")) }
    }

    /// With the names that `SQLite` gives to what belongs to a file.
    pub(super) fn at(db: &Path) -> Self {
        let file = |ending: &str| {
            let mut name = db.as_os_str().to_owned();
            name.push(ending);
            PathBuf::from(name)
        };
        Self {
            wal: file("-wal"),
            shm: file("-shm"),
            journal: file("-journal"),
            lock: file(".lock"),
            mirror: file(".serial"),
            db: db.to_owned(),
        }
    }

    /// Makes sure that the database file is there and that only its owner may read it. `SQLite` gives
    /// the files beside it the mode that this one has, and would make this one as the umask says.
    ///
    /// An existing file is never opened here: to close it would drop the locks that `SQLite` may hold
    /// on it in this very process.
    pub(super) fn prepare(&self) -> Result<(), StoreError> {
        match OpenOptions::new().write(true).create_new(true).mode(0o600).open(&self.db) {
            Ok(file) => {
                let synced = file.sync_all().and_then(|()| sync_parent(&self.db));
                synced.map_err(|e| StoreError::io("create the state file", &self.db, e))?;
            }
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
            Err(e) => return Err(StoreError::io("create the state file", &self.db, e)),
        }
        [&self.db, &self.wal, &self.shm, &self.journal].into_iter().try_for_each(|path| {
            restrict(path, 0o600).map_err(|e| StoreError::io("protect a state file", path, e))
        })
    }

    pub(super) fn has_wal(&self) -> bool {
        fs::metadata(&self.wal).is_ok_and(|wal| wal.len() > 0)
    }

    /// Half of a first import may stand in the file: what it replaced is in here.
    pub(super) fn has_journal(&self) -> bool {
        fs::metadata(&self.journal).is_ok_and(|journal| journal.len() > 0)
    }

    /// Nothing was ever written to it.
    pub(super) fn is_missing(&self) -> bool {
        fs::metadata(&self.db).map_or(true, |db| db.len() == 0) && !self.has_journal()
    }

    pub(super) fn is_empty(&self) -> bool {
        fs::metadata(&self.db).is_ok_and(|db| db.len() == 0)
    }
}

/// Tells this very file from one that was put in its place; `None` when there is none.
pub(super) fn identity(path: &Path) -> Option<Identity> {
    let found = fs::metadata(path).ok().filter(|found| found.nlink() == 1)?;
    Some(Identity { device: found.dev(), inode: found.ino() })
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Identity {
    device: u64,
    inode: u64,
}

/// Creates the state directory for its owner alone. One that is there already is left as it is:
/// whoever made it has decided.
pub(super) fn prepare_dir(dir: &Path) -> Result<(), StoreError> {
    if dir.is_dir() {
        return Ok(());
    }
    let made = DirBuilder::new().recursive(true).mode(0o700).create(dir);
    made.and_then(|()| restrict(dir, 0o700))
        .map_err(|e| StoreError::io("create the state directory", dir, e))
}

pub(super) fn restrict(path: &Path, mode: u32) -> io::Result<()> {
    match fs::metadata(path) {
        Ok(found) if found.mode() & 0o777 == mode => Ok(()),
        Ok(_) => fs::set_permissions(path, Permissions::from_mode(mode)),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(e) => Err(e),
    }
}

/// Puts a file that only its owner may read in the place of the one that is there, whole or not at
/// all, whatever happens to the process or the machine.
pub(super) fn write_whole(path: &Path, content: &[u8]) -> io::Result<()> {
    let part = part_of(path);
    let mut options = OpenOptions::new();
    let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&part)?;
    restrict(&part, 0o600)?;
    file.write_all(content)?;
    file.sync_all()?;
    fs::rename(&part, path)
}

/// Where a file is written before it gets its name.
pub(super) fn part_of(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".part");
    PathBuf::from(name)
}

/// Without it a power loss could take the file's name back.
pub(super) fn sync_parent(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), |dir| File::open(dir)?.sync_all())
}

/// How long a writer waits for commands that are reading: as long as `SQLite` would.
const READER_TRIES: u32 = 250;
const READER_PAUSE: Duration = Duration::from_millis(20);

/// Takes the lock for a writer. The system frees it however the process ends, so that it can never be
/// stale.
pub(super) fn lock_for_writing(path: &Path, holder: &Holder) -> Result<FileLock, StoreError> {
    let failed = |e| StoreError::io("take the lock", path, e);
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false).mode(0o600);
    let mut file = options.open(path).map_err(failed)?;
    restrict(path, 0o600).map_err(failed)?;
    for _ in 0..READER_TRIES {
        match file.try_lock() {
            Ok(()) => {
                file.set_len(0).and_then(|()| writeln!(file, "{holder}")).map_err(failed)?;
                return Ok(FileLock::of(file));
            }
            Err(TryLockError::WouldBlock) => {
                if lock_for_reading(path)?.is_writer_alive() {
                    return Err(StoreError::Locked { path: path.into(), holder: holder_of(path) });
                }
                std::thread::park_timeout(READER_PAUSE);
            }
            Err(TryLockError::Error(e)) => return Err(failed(e)),
        }
    }
    let holder = "a command that has been reading it for 5 s".to_owned();
    Err(StoreError::Locked { path: path.into(), holder })
}

/// What somebody who only reads found at the lock.
pub(super) enum ReadLock {
    /// No writer runs, and none starts while the file is held. `None`: there never was a writer.
    Quiet(Option<FileLock>),
    WriterAlive,
}

impl ReadLock {
    pub(super) fn is_writer_alive(&self) -> bool {
        matches!(self, Self::WriterAlive)
    }
}

/// Shares the lock with other readers, without touching the file.
pub(super) fn lock_for_reading(path: &Path) -> Result<ReadLock, StoreError> {
    let failed = |e| StoreError::io("look at the lock", path, e);
    let file = match File::open(path) {
        Ok(file) => file,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(ReadLock::Quiet(None)),
        Err(e) => return Err(failed(e)),
    };
    match file.try_lock_shared() {
        Ok(()) => Ok(ReadLock::Quiet(Some(FileLock::of(file)))),
        Err(TryLockError::WouldBlock) => Ok(ReadLock::WriterAlive),
        Err(TryLockError::Error(e)) => Err(failed(e)),
    }
}

fn holder_of(path: &Path) -> String {
    let mut text = String::new();
    let read = File::open(path).and_then(|file| file.take(300).read_to_string(&mut text));
    if read.is_err() || text.trim().is_empty() {
        return "another process".to_owned();
    }
    Excerpt::of(&text).as_str().to_owned()
}
