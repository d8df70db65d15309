//! A folder into which files are dropped: the newest one that is whole counts, and goes to the archive
//! once a run has used it.
//!
//! Only regular files with one name are looked at, through the folder that was opened and never
//! through a link; what is read is the very file that was judged.

mod archive;
mod settings;

pub use settings::{Companion, DropSettings, Newest};

use crate::{
    model::{Finding, Place, Severity},
    source::{
        codes,
        findings::{Refused, finding, refusal},
    },
};
use jiff::{SignedDuration, Timestamp};
use ring::digest::{Context, SHA256};
use rustix::fs::{AtFlags, FileType, Mode, OFlags, Stat};
use serde::{Deserialize, Serialize};
use settings::ENDINGS;
use std::{
    fmt::Write as _,
    fs::File,
    io::{self, Read, Seek as _},
    os::fd::AsRawFd as _,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

/// The table, checked.
#[derive(Clone, Debug)]
pub struct DropRules {
    folder: PathBuf,
    pattern: regex::Regex,
    newest: Newest,
    stable_for: SignedDuration,
    companion: Option<Companion>,
    archive: PathBuf,
}

/// The file that was used last.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Accepted {
    pub name: String,
    /// When it was last written to, in nanoseconds of Unix time.
    pub written: i128,
    /// Where it is.
    pub path: PathBuf,
}

/// The file to read.
#[derive(Debug)]
pub struct Dropped {
    /// What it is called, for reports.
    pub shown: PathBuf,
    /// Where to open it, as long as this is kept.
    pub path: PathBuf,
    /// How many rows it says it has.
    pub rows: Option<u64>,
    /// What else is to be told of the folder.
    pub findings: Vec<Finding>,
    name: String,
    stamp: Stamp,
    file: File,
    /// It is in the archive already.
    used: bool,
}

/// A file of the folder that has the right name.
struct Candidate {
    name: String,
    stamp: Stamp,
}

/// What another write to a file changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    /// In nanoseconds of Unix time.
    written: i128,
    size: i128,
}

impl Stamp {
    fn of(file: &File) -> io::Result<Self> {
        Ok(Self::told_by(&rustix::fs::fstat(file)?))
    }

    fn told_by(stat: &Stat) -> Self {
        let written = i128::from(stat.st_mtime) * 1_000_000_000 + i128::from(stat.st_mtime_nsec);
        Self { written, size: i128::from(stat.st_size) }
    }
}

impl DropRules {
    /// Where files are dropped.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The newest whole file; where nothing new came, the one that was used last.
    ///
    /// # Errors
    /// When there is none, none is whole yet, or the newest is older than the one used last.
    pub fn find(&self, now: Timestamp, last: Option<&Accepted>) -> Result<Dropped, Refused> {
        let folder = open_folder(&self.folder).map_err(|error| self.no_folder(&error))?;
        let mut candidates = self.candidates(&folder).map_err(|error| self.no_folder(&error))?;
        candidates.sort_by(|a, b| self.order(a).cmp(&self.order(b)));
        let mut unready = Vec::new();
        while let Some(candidate) = candidates.pop() {
            match self.judge(&folder, &candidate, now)? {
                Ok((file, rows)) => {
                    self.judge_age(&candidate, last)?;
                    return Ok(self.dropped(candidate, file, rows, unready));
                }
                Err(why) => unready.push(why),
            }
        }
        if let Some(mut first) = unready.into_iter().next() {
            first.severity = Severity::Refused;
            return Err(first.into());
        }
        self.used(last)
    }

    fn candidates(&self, folder: &File) -> io::Result<Vec<Candidate>> {
        let mut candidates = Vec::new();
        for entry in rustix::fs::Dir::read_from(folder)? {
            let entry = entry?;
            let Ok(name) = entry.file_name().to_str() else { continue };
            let own = name.starts_with('.') || ENDINGS.iter().any(|ending| name.ends_with(ending));
            if own || !self.pattern.is_match(name) {
                continue;
            }
            let stat = match rustix::fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW) {
                // Somebody has taken it away meanwhile.
                Err(rustix::io::Errno::NOENT) => continue,
                stat => stat?,
            };
            // What is no file is judged too, as far as it is the newest.
            let is_folder = FileType::from_raw_mode(stat.st_mode) == FileType::Directory;
            if !is_folder {
                let stamp = Stamp::told_by(&stat);
                candidates.push(Candidate { name: name.to_owned(), stamp });
            }
        }
        Ok(candidates)
    }

    fn order<'c>(&self, candidate: &'c Candidate) -> (i128, &'c str) {
        self.order_of(&candidate.name, candidate.stamp.written)
    }

    fn order_of<'c>(&self, name: &'c str, written: i128) -> (i128, &'c str) {
        match self.newest {
            Newest::Name => (0, name),
            Newest::Time => (written, name),
        }
    }

    /// The open file and the rows that it says it has, or why it is not whole yet.
    fn judge(
        &self,
        folder: &File,
        candidate: &Candidate,
        now: Timestamp,
    ) -> Result<Result<(File, Option<u64>), Finding>, Refused> {
        let name = &candidate.name;
        let mut file = open_file(folder, name).map_err(|why| self.refuse(name, why))?;
        let unseen = |error: io::Error| self.refuse(name, (codes::NOT_READABLE, error.to_string()));
        if Stamp::of(&file).map_err(unseen)? != candidate.stamp {
            return Ok(Err(self.unready(name, "is being written to".to_owned())));
        }
        let written = now.as_nanosecond() - candidate.stamp.written;
        let wait = self.stable_for.as_nanos() - written;
        if wait > 0 {
            let seconds = (wait + 999_999_999) / 1_000_000_000;
            let why =
                format!("was written to too lately; it is whole in {seconds} s at the earliest");
            return Ok(Err(self.unready(name, why)));
        }
        let Some(companion) = self.companion else { return Ok(Ok((file, None))) };
        let beside = format!("{name}{}", companion.ending());
        let Ok(mut open) = open_file(folder, &beside) else {
            return Ok(Err(self.unready(name, format!("has no `{beside}` yet"))));
        };
        let mut text = String::new();
        let read = (&mut open).take(4096).read_to_string(&mut text);
        let first = text.split_ascii_whitespace().next().unwrap_or_default();
        let unlike = |why: &str| self.refuse(name, (codes::UNLIKE_COMPANION, why.to_owned()));
        match companion {
            // What it says may have been about an earlier file of this name.
            Companion::Done
                if Stamp::of(&open).map_err(unseen)?.written < candidate.stamp.written =>
            {
                Ok(Err(self.unready(name, format!("was written to after its `{beside}`"))))
            }
            Companion::Done => Ok(Ok((file, None))),
            _ if read.is_err() => Err(unlike("has a companion that is no text")),
            Companion::Rows => match first.parse() {
                Ok(rows) => Ok(Ok((file, Some(rows)))),
                Err(_) => Err(unlike("has a companion without a number of rows")),
            },
            Companion::Sha256 => {
                let sum = checksum(&mut file)
                    .map_err(|error| self.refuse(name, (codes::READ_FAILED, error.to_string())))?;
                if first.eq_ignore_ascii_case(&sum) {
                    Ok(Ok((file, None)))
                } else {
                    Err(unlike("does not have the checksum that its companion says"))
                }
            }
        }
    }

    fn judge_age(&self, candidate: &Candidate, last: Option<&Accepted>) -> Result<(), Refused> {
        let Some(Accepted { name, written, path: _ }) = last else { return Ok(()) };
        if self.order(candidate) >= self.order_of(name, *written) {
            return Ok(());
        }
        let message = format!("is older than `{name}`, which was used last");
        Err(self.refuse(&candidate.name, (codes::OLDER_THAN_USED, message)))
    }

    fn dropped(
        &self,
        candidate: Candidate,
        file: File,
        rows: Option<u64>,
        findings: Vec<Finding>,
    ) -> Dropped {
        let Candidate { name, stamp } = candidate;
        let path = path_of(&file);
        let shown = self.folder.join(&name);
        Dropped { shown, path, rows, findings, name, stamp, file, used: false }
    }

    /// Nothing new came: the file that was used last says what it said.
    fn used(&self, last: Option<&Accepted>) -> Result<Dropped, Refused> {
        let Some(Accepted { name, written, path }) = last else {
            let message = "the drop folder has no file that the pattern takes";
            let mut refusal = refusal(codes::NO_DROP, message, "see whether the export ran");
            refusal.place.file = Some(self.folder.display().to_string());
            return Err(refusal.into());
        };
        let opened = path.parent().zip(path.file_name().and_then(|name| name.to_str()));
        let opened = opened.ok_or_else(|| "has no name".to_owned()).and_then(|(folder, name)| {
            let folder = open_folder(folder).map_err(|error| error.to_string())?;
            open_file(&folder, name).map_err(|(_, why)| why)
        });
        let file = opened.map_err(|why| {
            let message = format!("nothing new came, and what was used last {why}");
            let hint = "see whether the export ran, or put the file back";
            let mut refusal = refusal(codes::NO_DROP, message, hint);
            refusal.place.file = Some(path.display().to_string());
            Refused::from(refusal)
        })?;
        Ok(Dropped {
            shown: path.clone(),
            path: path_of(&file),
            rows: None,
            findings: Vec::new(),
            name: name.clone(),
            stamp: Stamp { written: *written, size: 0 },
            file,
            used: true,
        })
    }

    fn unready(&self, name: &str, why: String) -> Finding {
        let hint = "nothing is lost: the next run looks again";
        finding(Severity::Warning, codes::NOT_READY, self.place(name), why, hint)
    }

    fn refuse(&self, name: &str, (code, why): (crate::model::Code, String)) -> Refused {
        let hint = "drop the file again under a name that comes later";
        finding(Severity::Refused, code, self.place(name), why, hint).into()
    }

    fn place(&self, name: &str) -> Place {
        Place { file: Some(self.folder.join(name).display().to_string()), ..Place::default() }
    }

    fn no_folder(&self, error: &io::Error) -> Refused {
        let message = format!("the drop folder cannot be looked through: {error}");
        let mut refusal = refusal(codes::NO_DROP, message, "see whether the path is right");
        refusal.place.file = Some(self.folder.display().to_string());
        refusal.into()
    }
}

fn open_folder(path: &Path) -> io::Result<File> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    Ok(rustix::fs::open(path, flags, Mode::empty())?.into())
}

/// A regular file with one name, in that folder; not a link, and nothing that waits for a writer.
fn open_file(folder: &File, name: &str) -> Result<File, (crate::model::Code, String)> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let unreadable = |why: String| (codes::NOT_READABLE, why);
    let file: File = match rustix::fs::openat(folder, name, flags, Mode::empty()) {
        Ok(file) => file.into(),
        Err(rustix::io::Errno::LOOP) => return Err(unreadable("is a link".to_owned())),
        Err(error) => return Err(unreadable(format!("cannot be opened: {error}"))),
    };
    match file.metadata() {
        Ok(metadata) if !metadata.is_file() => Err(unreadable("is not a regular file".to_owned())),
        Ok(metadata) if metadata.nlink() > 1 => {
            Err(unreadable("has a second name, under which it may be changed".to_owned()))
        }
        Ok(_) => Ok(file),
        Err(error) => Err(unreadable(format!("cannot be looked at: {error}"))),
    }
}

fn path_of(file: &File) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()))
}

fn checksum(file: &mut File) -> io::Result<String> {
    let mut context = Context::new(&SHA256);
    let mut buffer = vec![0; 256 << 10];
    file.rewind()?;
    loop {
        match file.read(&mut buffer)? {
            0 => break,
            count => context.update(&buffer[..count]),
        }
    }
    let digest = context.finish();
    let mut text = String::new();
    for byte in digest.as_ref() {
        let _ = write!(text, "{byte:02x}");
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_written_to_while_the_folder_is_looked_through_is_not_whole_yet() {
        let dir = tempfile::tempdir().unwrap();
        let settings = DropSettings {
            folder: "in".into(),
            archive: "used".into(),
            pattern: "*.csv".to_owned(),
            stable_for: Some("0s".to_owned()),
            ..DropSettings::default()
        };
        let rules = settings.check(dir.path()).unwrap();
        std::fs::create_dir(rules.folder()).unwrap();
        let path = rules.folder().join("hr.csv");
        std::fs::write(&path, "id\nE1\n").unwrap();
        let folder = open_folder(rules.folder()).unwrap();
        let [candidate] = &rules.candidates(&folder).unwrap()[..] else { panic!("one file") };
        let judge = || rules.judge(&folder, candidate, Timestamp::MAX).unwrap();
        assert!(judge().is_ok());
        std::fs::write(&path, "id\nE1\nE2\n").unwrap();
        assert_eq!(judge().unwrap_err().code, codes::NOT_READY);
    }
}
