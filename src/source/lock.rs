//! A lock that ends when whoever took it lets go.

use std::fs::File;

/// A file on which this process has a lock (`flock`). Dropping it unlocks the file and then closes it.
///
/// To close it is not enough: the lock is the open file's, and a process that is being started beside
/// has the same open file until it runs its own program.
#[derive(Debug)]
pub struct FileLock(File);

impl FileLock {
    /// The file is locked already.
    #[must_use]
    pub fn of(locked: File) -> Self {
        Self(locked)
    }

    #[must_use]
    pub fn file(&self) -> &File {
        &self.0
    }
}

impl Drop for FileLock {
    fn drop(&mut self) {
        // Where that fails, the system does it when the last process closes the file.
        let _ = self.0.unlock();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_that_was_let_go_of_is_free_although_another_process_has_the_file_open() {
        let path = tempfile::NamedTempFile::new().unwrap().into_temp_path();
        let file = File::open(&path).unwrap();
        file.try_lock().unwrap();
        // What a process that is being started has.
        let same = file.try_clone().unwrap();
        drop(FileLock::of(file));
        File::open(&path).unwrap().try_lock().unwrap();
        drop(same);
    }
}
