//! Space that is held back, so that what became of requests on their way can be recorded when the
//! disk is full.

use super::{StoreError, files::restrict};
use rustix::fs::{FallocateFlags, fallocate};
use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read as _},
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

/// Bytes held back for all tenants of a state directory: far more than is ever in flight.
const SIZE: u64 = 16 << 20;

fn path(dir: &Path) -> PathBuf {
    dir.join("reserve")
}

/// Holds the space back, unless that is done. `who`: whom nobody else goes by meanwhile.
///
/// # Errors
/// `Full`: there is not so much, and nothing should be sent.
pub(super) fn hold(dir: &Path, who: &str) -> Result<(), StoreError> {
    let path = path(dir);
    let is_held = |found: fs::Metadata| found.len() == SIZE && found.blocks() * 512 >= SIZE;
    if fs::metadata(&path).is_ok_and(is_held) {
        return Ok(());
    }
    let part = dir.join(format!("reserve.{who}.part"));
    let made = make(&part).and_then(|()| fs::rename(&part, &path));
    if made.is_err() {
        let _ = fs::remove_file(&part);
    }
    made.map_err(|e| StoreError::io("hold back space for the last records", &path, e))
}

/// Gives the space back; `false`: there was none.
pub(super) fn release(dir: &Path) -> bool {
    fs::remove_file(path(dir)).is_ok()
}

fn make(path: &Path) -> io::Result<()> {
    let mut options = OpenOptions::new();
    let file = options.write(true).create(true).truncate(true).mode(0o600).open(path)?;
    restrict(path, 0o600)?;
    match fallocate(&file, FallocateFlags::empty(), 0, SIZE) {
        Ok(()) => Ok(()),
        Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::NOSYS) => fill(file),
        Err(e) => Err(e.into()),
    }
}

fn fill(mut file: File) -> io::Result<()> {
    io::copy(&mut io::repeat(0).take(SIZE), &mut file)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        engine::quarantine::Effect,
        model::{Attributes, Outcome, RemoteId, RunId, TenantId, UserKey},
        store::{ActionKind, Conclusion, Entry, Holder, Intent, JournalFilter, Store},
    };
    use jiff::Timestamp;

    fn intent(operation_id: u64) -> Entry {
        Entry::Intent(Intent {
            operation_id,
            run: RunId::parse("0192f0c1-2a3b-7c4d-8e5f-001122334455").unwrap(),
            key: UserKey::parse(&format!("E{operation_id}")).unwrap(),
            remote_id: RemoteId::parse("r1").ok(),
            action: ActionKind::Read,
            edits: Vec::new(),
            at: Timestamp::UNIX_EPOCH,
        })
    }

    fn outcome(operation_id: u64, why: &str) -> Entry {
        Entry::Outcome(Box::new(Conclusion {
            operation_id,
            key: UserKey::parse(&format!("E{operation_id}")).unwrap(),
            remote_id: RemoteId::parse("r1").ok(),
            action: ActionKind::Read,
            outcome: Outcome::Deferred { why: why.to_owned() },
            edits: Vec::new(),
            status: None,
            attempts: 1,
            at: Timestamp::UNIX_EPOCH,
            fingerprint: None,
            refused: Some(Attributes::new()),
            watched: Attributes::new(),
            keep: std::sync::Arc::default(),
            was_in_doubt: false,
            effect: Effect::Nothing,
            row: None,
        }))
    }

    #[test]
    fn e04_on_a_full_disk_what_is_on_its_way_is_recorded_and_nothing_more_leaves() {
        let dir = tempfile::tempdir().unwrap();
        let tenant = TenantId::parse("acme").unwrap();
        let holder = Holder { pid: 1, host: "here".to_owned(), since: Timestamp::UNIX_EPOCH };
        let open = || Store::open(dir.path(), &tenant, &holder).unwrap();
        let mut store = open();
        store.make_ready_to_send().unwrap();
        assert!(path(dir.path()).exists());
        for operation in 1..=3 {
            store.commit(&[intent(operation)]).unwrap();
        }
        // No page more than there are: what a full disk says.
        let pages = |store: &Store, most: u32| {
            let pragma = format!("PRAGMA max_page_count = {most}");
            store.db.query_row(&pragma, [], |row| row.get::<_, i64>(0)).unwrap()
        };
        let used = u32::try_from(pages(&store, 1)).unwrap();
        let long = "x".repeat(9000);
        let refused = store.commit(&[outcome(1, &long), intent(4)]);
        assert!(matches!(refused, Err(StoreError::Full { .. })), "{refused:?}");
        assert!(!path(dir.path()).exists(), "the space is free now");
        // It was too little this once, as no space was won in truth: the file is closed for good.
        assert!(store.commit(&[outcome(2, "")]).is_err());
        drop(store);

        let mut store = open();
        store.make_ready_to_send().unwrap();
        pages(&store, used + 1);
        let short = |operation| outcome(operation, "");
        assert!(store.commit(&[outcome(1, &long), intent(4)]).is_err());
        drop(store);
        let mut store = open();
        store.make_ready_to_send().unwrap();
        store.full = Some(StoreError::Full { path: dir.path().to_owned() });
        // Of a group with both, the outcome is recorded and the intent is not.
        assert!(store.commit(&[short(1), intent(5)]).is_err());
        assert!(store.commit(&[intent(6)]).is_err());
        store.commit(&[short(2), short(3)]).unwrap();
        let filter = JournalFilter { key: None, run: None, limit: 9 };
        assert_eq!(store.journal(&filter).unwrap().len(), 3);
        assert!(store.open_intents().unwrap().is_empty());
        drop(store);
        // With space again, everything goes on.
        let mut store = open();
        store.make_ready_to_send().unwrap();
        store.commit(&[intent(7)]).unwrap();
    }

    #[test]
    fn e04_the_space_is_really_taken_given_back_once_and_taken_again() {
        let dir = tempfile::tempdir().unwrap();
        for _ in 0..2 {
            hold(dir.path(), "acme").unwrap();
            let held = fs::metadata(path(dir.path())).unwrap();
            assert!(held.len() == SIZE && held.blocks() * 512 >= SIZE);
            assert_eq!(held.mode() & 0o777, 0o600);
            hold(dir.path(), "acme").unwrap();
            assert!(release(dir.path()));
            assert!(!release(dir.path()));
        }
        fill(File::create(path(dir.path())).unwrap()).unwrap();
        hold(dir.path(), "acme").unwrap();
    }
}
