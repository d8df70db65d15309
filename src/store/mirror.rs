//! A tiny file beside the state file that says how far it has come: what tells that an older file was
//! put back, or that the end of it was lost. Written whole, when a run has ended.

use super::{
    StoreError,
    chain::{self, Link},
    convert::count_from_integer,
    files::{Files, write_whole},
};
use rusqlite::Connection;
use std::{fmt, fs, io, path::Path};
use xxhash_rust::xxh3::xxh3_64;

/// How far a state file had come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mirror {
    pub(super) lineage: String,
    pub(super) serial: u64,
    /// Of the journal, the last row.
    pub(super) row: i64,
    pub(super) hash: Link,
}

impl Mirror {
    /// `None`: there is none.
    pub(super) fn read(path: &Path) -> Result<Option<Self>, StoreError> {
        match fs::read_to_string(path) {
            Ok(text) => match Self::parse(&text) {
                Some(mirror) => Ok(Some(mirror)),
                None => Err(StoreError::Unreadable { path: path.into() }),
            },
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) if e.kind() == io::ErrorKind::InvalidData => {
                Err(StoreError::Unreadable { path: path.into() })
            }
            Err(e) => Err(StoreError::io("read how far the state had come", path, e)),
        }
    }

    pub(super) fn write(&self, path: &Path) -> Result<(), StoreError> {
        write_whole(path, self.to_string().as_bytes())
            .map_err(|e| StoreError::io("write down how far the state has come", path, e))
    }

    /// As the file stands.
    pub(super) fn of(db: &Connection) -> rusqlite::Result<Self> {
        let (row, hash) = chain::head(db)?;
        db.query_row("SELECT lineage, serial FROM meta", [], |meta| {
            let serial = count_from_integer(meta.get(1)?);
            Ok(Self { lineage: meta.get(0)?, serial, row, hash })
        })
    }

    fn parse(text: &str) -> Option<Self> {
        let (body, check) = text.split_at_checked(text.find("check ")?)?;
        let check = check.strip_prefix("check ")?.strip_suffix('\n')?;
        if check != format!("{:016x}", xxh3_64(body.as_bytes())) {
            return None;
        }
        let mut words = body.lines().map(|line| line.split_once(' '));
        let mut next = |name| words.next()?.filter(|(found, _)| *found == name).map(|(_, it)| it);
        let lineage = next("lineage")?.to_owned();
        let serial = next("serial")?.parse().ok()?;
        let (row, hash) = next("journal")?.split_once(' ')?;
        let hash = u128::from_str_radix(hash, 16).ok()?.to_be_bytes();
        Some(Self { lineage, serial, row: row.parse().ok()?, hash })
    }

    /// What is wrong with the state file, if it is not the one that the mirror was written of, or a
    /// later form of it. The file may be further than the mirror: a run that was killed.
    pub(super) fn objection(&self, db: &Connection) -> rusqlite::Result<Option<String>> {
        let found = Self::of(db)?;
        if found.lineage != self.lineage {
            let what = "it has another history than the file that was used here last";
            return Ok(Some(what.to_owned()));
        }
        if found.serial < self.serial || found.row < self.row {
            return Ok(Some(format!(
                "it has come to record {} and row {} of the journal, and there were record {} and row \
                 {}: an older copy was put in its place, or its `-wal` file was lost",
                found.serial, found.row, self.serial, self.row
            )));
        }
        if chain::hash_of(db, self.row)?.is_none_or(|hash| hash == self.hash) {
            return Ok(None);
        }
        Ok(Some(format!("row {} of its journal is not the one that was recorded", self.row)))
    }
}

impl fmt::Display for Mirror {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { lineage, serial, row, hash } = self;
        let hash = u128::from_be_bytes(*hash);
        let body = format!("lineage {lineage}\nserial {serial}\njournal {row} {hash:032x}\n");
        writeln!(f, "{body}check {:016x}", xxh3_64(body.as_bytes()))
    }
}

/// Refuses a file that is not the newest.
pub(super) fn check(files: &Files, db: &Connection) -> Result<Option<Mirror>, StoreError> {
    // Before anything was known, there is nothing to lose.
    let mirror = Mirror::read(&files.mirror)?.filter(|mirror| mirror.serial > 0);
    compare(files, db, mirror)
}

pub(super) fn compare(
    files: &Files,
    db: &Connection,
    mirror: Option<Mirror>,
) -> Result<Option<Mirror>, StoreError> {
    let Some(mirror) = mirror else { return Ok(None) };
    let objection = mirror
        .objection(db)
        .map_err(|e| StoreError::sql("read how far the state has come", &files.db, e))?;
    match objection {
        None => Ok(Some(mirror)),
        Some(what) => {
            let (path, mirror) = (files.db.clone(), files.mirror.clone());
            Err(StoreError::Behind { path, mirror, what })
        }
    }
}

pub(super) fn lost(files: &Files, mirror: &Mirror) -> StoreError {
    let (path, serial) = (files.db.clone(), mirror.serial);
    StoreError::Lost { path, mirror: files.mirror.clone(), serial }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mirror_is_read_back_as_written_and_no_changed_byte_of_it_is() {
        let mirror = Mirror { lineage: "l-1".to_owned(), serial: 42, row: 7, hash: [9; 16] };
        let text = mirror.to_string();
        assert_eq!(Mirror::parse(&text).as_ref(), Some(&mirror));
        for at in 0..text.len() {
            for bit in 0..8 {
                let mut bytes = text.clone().into_bytes();
                bytes[at] ^= 1 << bit;
                let read = String::from_utf8(bytes).ok().and_then(|text| Mirror::parse(&text));
                assert_eq!(read, None, "byte {at}, bit {bit}");
            }
        }
        assert_eq!(Mirror::parse(&text[..text.len() - 1]), None);
    }
}
