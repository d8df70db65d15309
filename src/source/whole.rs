//! Whether a file is, byte by byte, the one that was read before.

use crate::model::Fingerprint;
use std::{
    fs::File,
    io::{self, Read},
    path::Path,
};
use xxhash_rust::xxh3::Xxh3Default;

/// The first bytes: they tell most files apart, a shuffled one of the same size among them.
const HEAD_BYTES: u64 = 64 << 10;
const READ_BYTES: usize = 256 << 10;

/// The bytes of a whole file, compressed ones as they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileMark {
    pub size: u64,
    pub head: Fingerprint,
    pub whole: Fingerprint,
}

impl FileMark {
    /// Of the file as it is now.
    ///
    /// # Errors
    /// When the file cannot be opened or read.
    pub fn of(path: &Path) -> io::Result<Self> {
        let mut marker = Marker::default();
        marker.take_from(&mut File::open(path)?)?;
        Ok(marker.finish())
    }

    /// Whether the file has these very bytes. Only one that is alike so far is read to its end.
    ///
    /// # Errors
    /// When the file cannot be opened or read.
    pub fn is_of(&self, path: &Path) -> io::Result<bool> {
        if !path.metadata()?.is_file() {
            return Ok(false);
        }
        let mut file = File::open(path)?;
        if file.metadata()?.len() != self.size {
            return Ok(false);
        }
        let mut marker = Marker::default();
        marker.take_from(&mut (&mut file).take(HEAD_BYTES))?;
        if marker.head() != self.head {
            return Ok(false);
        }
        marker.take_from(&mut file)?;
        Ok(marker.finish() == *self)
    }
}

/// Makes a [`FileMark`] of bytes as they come.
#[derive(Default)]
pub(super) struct Marker {
    size: u64,
    head: Option<Fingerprint>,
    hasher: Box<Xxh3Default>,
}

impl Marker {
    pub(super) fn take(&mut self, mut bytes: &[u8]) {
        let missing = HEAD_BYTES.saturating_sub(self.size);
        if self.head.is_none() && bytes.len() as u64 >= missing {
            let (head, rest) = bytes.split_at(usize::try_from(missing).unwrap_or_default());
            self.update(head);
            self.head = Some(Fingerprint(self.hasher.digest128()));
            bytes = rest;
        }
        self.update(bytes);
    }

    fn update(&mut self, bytes: &[u8]) {
        self.hasher.update(bytes);
        self.size += bytes.len() as u64;
    }

    fn take_from(&mut self, input: &mut impl Read) -> io::Result<()> {
        let mut buffer = vec![0; READ_BYTES];
        loop {
            match input.read(&mut buffer) {
                Ok(0) => return Ok(()),
                Ok(count) => self.take(&buffer[..count]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Of a file that is no longer than a head: all of it.
    fn head(&self) -> Fingerprint {
        self.head.unwrap_or_else(|| Fingerprint(self.hasher.digest128()))
    }

    pub(super) fn finish(&self) -> FileMark {
        let whole = Fingerprint(self.hasher.digest128());
        FileMark { size: self.size, head: self.head(), whole }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(bytes: &[u8], step: usize) -> FileMark {
        let mut marker = Marker::default();
        bytes.chunks(step).for_each(|chunk| marker.take(chunk));
        marker.finish()
    }

    #[test]
    fn a_file_is_the_same_only_with_the_same_bytes() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("roster.csv");
        for size in [0, 1, 65_535, 65_536, 65_537, 600_000] {
            let bytes: Vec<u8> = (0..=255).cycle().take(size).collect();
            std::fs::write(&path, &bytes).unwrap();
            for step in [7_777, 65_536, 1 << 20] {
                assert!(mark(&bytes, step).is_of(&path).unwrap(), "{size} {step}");
            }
            for at in [0, size / 2, size.saturating_sub(1)] {
                let mut other = bytes.clone();
                other.get_mut(at).into_iter().for_each(|byte| *byte ^= 1);
                assert_eq!(mark(&other, 1 << 20).is_of(&path).unwrap(), size == 0);
            }
            let longer = [&bytes[..], b"x"].concat();
            assert!(!mark(&longer, 1 << 20).is_of(&path).unwrap());
        }
    }

    #[test]
    fn what_is_no_file_is_not_the_same() {
        let dir = tempfile::tempdir().unwrap();
        assert!(!mark(b"", 1).is_of(dir.path()).unwrap());
        assert!(mark(b"", 1).is_of(&dir.path().join("none")).is_err());
    }
}
