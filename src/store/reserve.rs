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
