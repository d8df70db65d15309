//! What is kept of a source between runs: our own copy of it with a card that says what it was made
//! of, and which dropped file was used last.

use crate::{
    model::{Fingerprint, SourceId},
    source::{Accepted, Copy, Draft, FileLock, FileMark, Kept, Refused, Tale, Trail, make_private},
};
use jiff::civil::Date;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Write as _},
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

pub(super) struct Shelf {
    state: PathBuf,
    folder: PathBuf,
    source: String,
}

/// What our own copy was made of.
#[derive(Serialize, Deserialize)]
pub(super) struct Card {
    /// Of the settings.
    wish: String,
    inputs: Vec<Mark>,
    /// The copy's size, and when it was written, in nanoseconds.
    size: u64,
    written: (i64, i64),
    columns: Vec<String>,
    trail: Trail,
    /// The day that it was made for, and the first one on which it says something else.
    day: Option<Date>,
    changes: Option<Date>,
    pub(super) tale: Tale,
    pub(super) rows: Option<u64>,
}

#[derive(Serialize, Deserialize)]
struct Mark {
    size: u64,
    head: String,
    whole: String,
}

impl Card {
    pub(super) fn of(
        wish: String,
        inputs: &[FileMark],
        copy: &Copy,
        tale: Tale,
        rows: Option<u64>,
        day: Option<Date>,
        changes: Option<Date>,
    ) -> Self {
        let metadata = copy.kept.file().metadata().ok();
        let written = metadata.as_ref().map(|file| (file.mtime(), file.mtime_nsec()));
        Self {
            wish,
            inputs: inputs.iter().map(Mark::of).collect(),
            size: metadata.map_or(0, |file| file.len()),
            written: written.unwrap_or_default(),
            columns: copy.columns.clone(),
            trail: copy.trail.clone(),
            day,
            changes,
            tale,
            rows,
        }
    }

    /// It says the same on that day.
    fn is_good_on(&self, today: Option<Date>) -> bool {
        match (self.day, today) {
            (None, None) => true,
            (Some(made), Some(today)) => {
                made <= today && self.changes.is_none_or(|day| today < day)
            }
            (None, Some(_)) | (Some(_), None) => false,
        }
    }
}

impl Mark {
    fn of(mark: &FileMark) -> Self {
        let FileMark { size, head, whole } = mark;
        Self { size: *size, head: head.to_string(), whole: whole.to_string() }
    }

    fn read(&self) -> Option<FileMark> {
        let digits = |text: &str| u128::from_str_radix(text, 16).ok().map(Fingerprint);
        Some(FileMark { size: self.size, head: digits(&self.head)?, whole: digits(&self.whole)? })
    }
}

impl Shelf {
    pub(super) fn of(state: &Path, source: &SourceId) -> Self {
        let (state, folder) = (state.to_owned(), state.join("spool"));
        Self { state, folder, source: source.to_string() }
    }

    fn path(&self, ending: &str) -> PathBuf {
        self.folder.join(format!("{}.{ending}", self.source))
    }

    /// The copy that is there, if it is what would be made again. Nobody replaces it while the lock is
    /// kept.
    pub(super) fn reuse(
        &self,
        wish: &str,
        inputs: &[&Path],
        today: Option<Date>,
    ) -> Option<(Copy, Card, FileLock)> {
        let hold = File::open(self.path("lock")).ok()?;
        hold.try_lock_shared().ok()?;
        let hold = FileLock::of(hold);
        let card: Card = read(&self.path("json")).ok()??;
        if card.wish != wish || !card.is_good_on(today) || card.inputs.len() != inputs.len() {
            return None;
        }
        let kept = Kept::open(self.path("csv")).ok()?;
        let metadata = kept.file().metadata().ok()?;
        let written = (metadata.mtime(), metadata.mtime_nsec());
        if (metadata.len(), written) != (card.size, card.written) {
            return None;
        }
        let mut marked = card.inputs.iter().zip(inputs);
        let same = marked
            .all(|(mark, path)| mark.read().is_some_and(|mark| mark.is_of(path).unwrap_or(false)));
        let copy = || Copy { kept, trail: card.trail.clone(), columns: card.columns.clone() };
        same.then(copy).map(|copy| (copy, card, hold))
    }

    /// The right to replace the copy; `None` while somebody reads it.
    pub(super) fn claim(&self) -> io::Result<Option<FileLock>> {
        make_private(&self.folder)?;
        let mut options = OpenOptions::new();
        let options = options.write(true).read(true).create(true).truncate(false).mode(0o600);
        let lock = options.open(self.path("lock"))?;
        match lock.try_lock() {
            Ok(()) => Ok(Some(FileLock::of(lock))),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    /// A copy to write, under its name or without one.
    pub(super) fn draft(&self, named: bool) -> io::Result<Draft> {
        if named {
            return Draft::named(&self.folder, &format!("{}.csv", self.source));
        }
        let own = Draft::unnamed(&self.state);
        // Who only looks may have no state directory, or one that is not theirs.
        own.or_else(|_| Draft::unnamed(&std::env::temp_dir()))
    }

    pub(super) fn note(&self, card: &Card) -> io::Result<()> {
        write(&self.folder, &format!("{}.json", self.source), card)
    }

    /// The dropped file that was used last.
    pub(super) fn accepted(&self) -> Result<Option<Accepted>, Refused> {
        let path = self.path("drop.json");
        read(&path).map_err(|error| {
            let message = format!("what was used last cannot be read: {error}");
            let hint = "move it away to begin anew with what is in the folder";
            let place = crate::model::Place {
                file: Some(path.display().to_string()),
                ..crate::model::Place::default()
            };
            let code = crate::source::codes::NO_DROP;
            let severity = crate::model::Severity::Refused;
            let hint = hint.to_owned();
            crate::model::Finding { severity, code, place, message, hint, key: None }.into()
        })
    }

    pub(super) fn accept(&self, accepted: &Accepted) -> io::Result<()> {
        write(&self.folder, &format!("{}.drop.json", self.source), accepted)
    }
}

/// `None`: there is none.
fn read<T: DeserializeOwned>(path: &Path) -> io::Result<Option<T>> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(serde_json::from_slice(&bytes)?)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn write(folder: &Path, name: &str, value: &impl Serialize) -> io::Result<()> {
    let draft = Draft::named(folder, name)?;
    let mut file = draft.file();
    file.write_all(&serde_json::to_vec(value)?)?;
    draft.keep().map(|_| ())
}
