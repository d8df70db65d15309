//! What can go wrong with the state on disk.

use rusqlite::ErrorCode;
use std::{
    io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::Arc,
};

/// Why the state cannot be used. Clones share the cause, since one failed commit answers many.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    #[error(
        "the state is in use by {holder} (lock file `{}`); wait until that has ended, or stop it",
        path.display()
    )]
    Locked { path: PathBuf, holder: String },
    #[error(
        "state file `{}` is damaged: {what}; nothing was changed: put a copy of `backups/` back with \
         `rosterd restore`, or start anew with `rosterd resnapshot`, which reads every user from the \
         target; both keep the file for analysis",
        path.display()
    )]
    Damaged { path: PathBuf, what: String },
    #[error(
        "state file `{}` is not the newest: {what} (`{}` tells); nothing was changed: put the newest \
         copy back with `rosterd restore`, or have every user read from the target with `rosterd \
         resnapshot`; only where this file is the right one for certain, move `{}` away",
        path.display(), mirror.display(), mirror.display()
    )]
    Behind { path: PathBuf, mirror: PathBuf, what: String },
    #[error(
        "state file `{}` is missing, and `{}` tells that it had come to record {serial}; nothing was \
         changed: put the file back together with its `-wal` file, or a copy of it with `rosterd \
         restore`, or have every user read from the target with `rosterd resnapshot`",
        path.display(), mirror.display()
    )]
    Lost { path: PathBuf, mirror: PathBuf, serial: u64 },
    #[error(
        "`{}` is damaged, which tells how far the state had come; nothing was changed: where the \
         state file beside it is the right one for certain, move it away; else put a copy back with \
         `rosterd restore`, or have every user read from the target with `rosterd resnapshot`",
        path.display()
    )]
    Unreadable { path: PathBuf },
    #[error(
        "state file `{}` was last used on another machine; make sure that no rosterd works with it \
         there, then say `rosterd state adopt` here; where it was used there since it was copied, \
         let `rosterd resnapshot` follow",
        path.display()
    )]
    OtherMachine { path: PathBuf },
    #[error(
        "the state directory `{}` is on a network file system ({kind}), where neither locks nor the \
         log of writes can be trusted; configure one on a local disk, or set \
         `state.allow_network_fs` if this one is known to keep locks",
        dir.display()
    )]
    NetworkDisk { dir: PathBuf, kind: &'static str },
    #[error(
        "the state directory `{}` belongs to another user than this process (user id {uid}), and what \
         this one writes there the other could not; run it as its owner: `sudo -u '{owner}' rosterd …`",
        dir.display()
    )]
    NotOwner { dir: PathBuf, owner: String, uid: u32 },
    #[error("`{}` cannot be put back: {why}; nothing was changed", path.display())]
    Unfit { path: PathBuf, why: String },
    #[error(
        "state file `{}` has schema {found}, and this program knows up to {known}; use the program \
         that wrote it or a newer one, or restore a backup from before the upgrade",
        path.display()
    )]
    Newer { path: PathBuf, found: i64, known: i64 },
    #[error(
        "state file `{}` has schema {found}, and this program reads {known}; the next command that \
         writes (`run`, `apply` or the daemon) upgrades it",
        path.display()
    )]
    Older { path: PathBuf, found: i64, known: i64 },
    #[error(
        "state file `{}` belongs to {owner}; put the right file there, or correct the state \
         directory in the configuration",
        path.display()
    )]
    Foreign { path: PathBuf, owner: String },
    #[error(
        "no space is left for state file `{}`; nothing more is sent: free some space and run again",
        path.display()
    )]
    Full { path: PathBuf },
    #[error(
        "`{}` cannot be written by user id {uid}; give that user the state directory, or configure \
         another one",
        path.display()
    )]
    ReadOnly { path: PathBuf, uid: u32 },
    #[error(
        "state file `{}` was removed or replaced while it was in use; nothing more is sent: put it \
         back if you can, and start again",
        path.display()
    )]
    Replaced { path: PathBuf },
    #[error(
        "SQLite {found} is linked, and 3.51.3 is the oldest without the bug that damages files in \
         WAL mode; build with the bundled SQLite"
    )]
    OldSqlite { found: String },
    #[error("failed to {what} (`{}`); correct the cause and start again", path.display())]
    Io {
        what: &'static str,
        path: PathBuf,
        #[source]
        source: Arc<io::Error>,
    },
    #[error("failed to {what} (`{}`); correct the cause and start again", path.display())]
    Sql {
        what: &'static str,
        path: PathBuf,
        #[source]
        source: Arc<rusqlite::Error>,
    },
    #[error("the thread that writes the state has ended; start again, nothing recorded is lost")]
    Stopped,
}

impl StoreError {
    pub(super) fn io(what: &'static str, path: &Path, source: io::Error) -> Self {
        let path = path.to_owned();
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::Full { path },
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                Self::ReadOnly { path, uid: own_user_id() }
            }
            _ => Self::Io { what, path, source: Arc::new(source) },
        }
    }

    /// Something could not be read from or written to the disk, and trying again proves nothing.
    pub(super) fn is_of_the_disk(&self) -> bool {
        match self {
            Self::Sql { source, .. } => {
                source.sqlite_error_code() == Some(ErrorCode::SystemIoFailure)
            }
            Self::Io { .. } => true,
            Self::Locked { .. }
            | Self::Damaged { .. }
            | Self::Behind { .. }
            | Self::Lost { .. }
            | Self::Unreadable { .. }
            | Self::OtherMachine { .. }
            | Self::NetworkDisk { .. }
            | Self::NotOwner { .. }
            | Self::Unfit { .. }
            | Self::Newer { .. }
            | Self::Older { .. }
            | Self::Foreign { .. }
            | Self::Full { .. }
            | Self::ReadOnly { .. }
            | Self::Replaced { .. }
            | Self::OldSqlite { .. }
            | Self::Stopped => false,
        }
    }

    pub(super) fn sql(what: &'static str, path: &Path, source: rusqlite::Error) -> Self {
        let path = path.to_owned();
        if let rusqlite::Error::InvalidColumnType(..)
        | rusqlite::Error::FromSqlConversionFailure(..)
        | rusqlite::Error::Utf8Error(..) = source
        {
            let what = "it holds a value that was never written there".to_owned();
            return Self::Damaged { path, what };
        }
        match source.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => Self::Full { path },
            Some(ErrorCode::DatabaseCorrupt) => {
                Self::Damaged { path, what: "a page of it makes no sense".to_owned() }
            }
            Some(ErrorCode::NotADatabase) => {
                Self::Damaged { path, what: "it is no SQLite database".to_owned() }
            }
            Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied | ErrorCode::CannotOpen) => {
                Self::ReadOnly { path, uid: own_user_id() }
            }
            _ => Self::Sql { what, path, source: Arc::new(source) },
        }
    }
}

/// Only told to people; 0 where the system does not say.
fn own_user_id() -> u32 {
    std::fs::metadata("/proc/self").map_or(0, |own| own.uid())
}
