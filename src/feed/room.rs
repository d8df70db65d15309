//! Where our own copy of a feed lies, who may ask for it, and who may replace it.
//!
//! Two locks: whoever asks holds the first alone, so that the quota is kept, and lets go of it after the
//! last page; whoever reads the copy shares the second, and only who has it alone may replace the copy.
//! Who may not makes a copy without a name, of which nothing is left.

use super::{flaw::Flaw, memo::Shelf};
use crate::source::{Draft, FileLock, Kept, make_private};
use std::{
    fs::{File, OpenOptions},
    io,
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

pub(super) struct Room {
    folder: PathBuf,
    source: String,
    /// `None`: nothing is remembered, and nothing kept under a name.
    locks: Option<Locks>,
}

struct Locks {
    /// Nobody else asks meanwhile.
    _asking: FileLock,
    reading: Option<Reading>,
}

struct Reading {
    file: FileLock,
    /// Nobody else reads the copy.
    alone: bool,
}

impl Room {
    /// `elsewhere`: a folder for whoever only looks. Such a one asks from the first only where others of
    /// the same user have asked before: whatever it made there might be in their way.
    pub(super) fn open(
        folder: &Path,
        source: &str,
        elsewhere: Option<&Path>,
    ) -> Result<Self, Flaw> {
        let room = |folder: &Path, locks| Self {
            folder: folder.to_owned(),
            source: source.to_owned(),
            locks,
        };
        match (Locks::take(folder, source, elsewhere.is_some()), elsewhere) {
            (Ok(Some(locks)), _) => Ok(room(folder, Some(locks))),
            (Ok(None), _) => Err(Flaw::Busy),
            (Err(_), Some(elsewhere)) => Ok(room(elsewhere, None)),
            (Err(error), None) => Err(Flaw::Disk { why: error.to_string() }),
        }
    }

    pub(super) fn shelf(&self) -> Option<Shelf> {
        self.locks.as_ref().map(|_| Shelf(self.folder.join(format!("{}.feed.json", self.source))))
    }

    /// The copy that has a name.
    pub(super) fn copy(&self) -> PathBuf {
        self.folder.join(self.name())
    }

    fn name(&self) -> String {
        format!("{}.feed.csv", self.source)
    }

    /// Nobody replaces the named copy while this is here.
    pub(super) fn holds_copy(&self) -> bool {
        self.reading().is_some()
    }

    /// What is written now gets the name.
    pub(super) fn names_copy(&self) -> bool {
        self.reading().is_some_and(|reading| reading.alone)
    }

    fn reading(&self) -> Option<&Reading> {
        self.locks.as_ref().and_then(|locks| locks.reading.as_ref())
    }

    pub(super) fn draft(&self) -> io::Result<Draft> {
        if self.names_copy() {
            Draft::named(&self.folder, &self.name())
        } else {
            Draft::unnamed(&self.folder)
        }
    }

    pub(super) fn kept(&self) -> io::Result<Kept> {
        Kept::open(self.copy())
    }

    /// Lets others ask, and read the same copy; keeps them from replacing it.
    pub(super) fn close(self) -> Option<FileLock> {
        let Reading { file, alone } = self.locks?.reading?;
        // Where that fails, others make copies without a name for a while.
        if alone {
            let _ = file.file().try_lock_shared();
        }
        Some(file)
    }
}

impl Locks {
    /// `None`: somebody else asks. `looks`: nothing is made that is not there, and what is there is
    /// the own user's.
    fn take(folder: &Path, source: &str, looks: bool) -> io::Result<Option<Self>> {
        if !looks {
            make_private(folder)?;
        }
        let open = |ending: &str| -> io::Result<File> {
            let path = folder.join(format!("{source}.feed.{ending}"));
            let mut options = OpenOptions::new();
            options.read(true).write(true).create(!looks).truncate(false).mode(0o600);
            let file = options.open(path)?;
            let own = file.metadata()?.uid() == rustix::process::geteuid().as_raw();
            if own || !looks { Ok(file) } else { Err(io::ErrorKind::PermissionDenied.into()) }
        };
        let (asking, file) = (open("asking")?, open("reading")?);
        if asking.try_lock().is_err() {
            return Ok(None);
        }
        let asking = FileLock::of(asking);
        let alone = file.try_lock().is_ok();
        let held = alone || file.try_lock_shared().is_ok();
        let reading = held.then(|| Reading { file: FileLock::of(file), alone });
        Ok(Some(Self { _asking: asking, reading }))
    }
}
