//! Looking at the state without leaving a trace.

use super::{
    Snapshot, StoreError,
    files::{Files, ReadLock, lock_for_reading},
    mirror::{self, Mirror},
    sqlite::{Look, open_reader},
};
use crate::{model::TenantId, source::FileLock};
use std::{ops::Deref, path::Path};

/// The state of one tenant for somebody who only looks: no byte of the directory changes.
///
/// While a writer is at work it reads beside it. While none is, it shares the lock, so that none can
/// start in the middle: a writer waits 5 s for it. So read what is needed, and drop it before
/// waiting for anything.
pub struct ReadStore {
    snapshot: Snapshot,
    /// Dropped last.
    _lock: Option<FileLock>,
}

impl ReadStore {
    /// `None`: there is no state of that tenant yet, or its first import is not done.
    pub fn open(dir: &Path, tenant: &TenantId) -> Result<Option<Self>, StoreError> {
        let files = Files::of(dir, tenant);
        let mirror = Mirror::read(&files.mirror).unwrap_or_else(|error| {
            tracing::warn!("{error}");
            None
        });
        let mirror = mirror.filter(|mirror| mirror.serial > 0);
        match std::fs::metadata(&files.db) {
            Ok(_) => {}
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                if let Some(mirror) = mirror {
                    tracing::warn!("{}", mirror::lost(&files, &mirror));
                }
                return Ok(None);
            }
            Err(e) => return Err(StoreError::io("find the state file", &files.db, e)),
        }
        let lock = lock_for_reading(&files.lock)?;
        if files.has_journal() {
            // Nobody was known before that import, and nobody is until it is done.
            return Ok(None);
        }
        let (way, held) = match lock {
            ReadLock::WriterAlive => (Look::Beside, None),
            ReadLock::Quiet(lock) if files.has_wal() => (Look::Leftover, lock),
            ReadLock::Quiet(lock) => (Look::Still, lock),
        };
        let Some(db) = open_reader(&files, tenant, way)? else { return Ok(None) };
        if let Err(error) = mirror::compare(&files, &db, mirror) {
            tracing::warn!("{error}");
        }
        Ok(Some(Self { snapshot: Snapshot::new(db, files.db)?, _lock: held }))
    }
}

/// A reader is a snapshot that happens to be held open in a certain way.
impl Deref for ReadStore {
    type Target = Snapshot;

    fn deref(&self) -> &Snapshot {
        &self.snapshot
    }
}
