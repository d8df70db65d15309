//! What becomes of a dropped file once a run has used it.

use super::{Accepted, DropRules, Dropped, Stamp, open_folder};
use crate::{
    model::{Finding, Severity},
    source::{codes, draft::make_private, findings::finding},
};
use rustix::fs::{AtFlags, RenameFlags};
use std::{fs::File, io, os::unix::fs::MetadataExt as _};

impl DropRules {
    /// Moves the file that a run has used to the archive, and its companion. `keep` notes where it
    /// is, before it is there: a file that is still in the folder then is merely used once more.
    ///
    /// # Errors
    /// When it cannot be noted or moved; then it stays in the folder.
    pub fn archive(
        &self,
        dropped: &Dropped,
        keep: impl Fn(&Accepted) -> io::Result<()>,
    ) -> io::Result<()> {
        if dropped.used {
            return Ok(());
        }
        let from = open_folder(&self.folder)?;
        let now = rustix::fs::statat(&from, &dropped.name, AtFlags::SYMLINK_NOFOLLOW)?;
        let before = dropped.file.metadata()?;
        if (now.st_ino, now.st_dev) != (before.ino(), before.dev()) {
            // Another file has its name by now, which the next run looks at.
            return Ok(());
        }
        if Stamp::told_by(&now) != dropped.stamp {
            // It was written to since: nobody has read all that it says now.
            return Ok(());
        }
        let accepted = |path| {
            let Dropped { name, stamp, .. } = dropped;
            Accepted { name: name.clone(), written: stamp.written, path }
        };
        let to = make_private(&self.archive).and_then(|()| open_folder(&self.archive));
        let to = match to {
            Ok(to) => to,
            Err(error) => {
                keep(&accepted(self.folder.join(&dropped.name)))?;
                return Err(error);
            }
        };
        for number in 1..=ATTEMPTS {
            let name = numbered(&dropped.name, number);
            if rustix::fs::statat(&to, &name, AtFlags::SYMLINK_NOFOLLOW).is_ok() {
                continue;
            }
            keep(&accepted(self.archive.join(&name)))?;
            match move_to(&from, &dropped.name, &to, &name) {
                Ok(()) => {
                    self.move_companion(&dropped.name, &from, &to, number);
                    self.move_older(dropped, &from, &to)?;
                    from.sync_all()?;
                    return to.sync_all();
                }
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => {
                    keep(&accepted(self.folder.join(&dropped.name)))?;
                    return Err(error);
                }
            }
        }
        Err(io::Error::other("the archive has too many files of this name"))
    }

    /// Nothing hangs on it: without its file nobody looks at it.
    fn move_companion(&self, name: &str, from: &File, to: &File, number: u32) {
        if let Some(companion) = self.companion {
            let beside = |name: &str| format!("{name}{}", companion.ending());
            let _ = move_to(from, &beside(name), to, &beside(&numbered(name, number)));
        }
    }

    /// Files that a newer one has overtaken would only be refused from now on.
    fn move_older(&self, dropped: &Dropped, from: &File, to: &File) -> io::Result<()> {
        let used = self.order_of(&dropped.name, dropped.stamp.written);
        for older in self.candidates(from)? {
            if self.order(&older) >= used {
                continue;
            }
            let moved = (1..=ATTEMPTS).find(|number| {
                move_to(from, &older.name, to, &numbered(&older.name, *number)).is_ok()
            });
            if let Some(number) = moved {
                self.move_companion(&older.name, from, to, number);
            }
        }
        Ok(())
    }

    /// Of a file that a run has used and that stays where it is.
    #[must_use]
    pub fn not_archived(&self, dropped: &Dropped, error: &io::Error) -> Finding {
        let message = format!("could not be moved to the archive: {error}");
        let hint = "name an `archive` on the same file system that rosterd may write to";
        finding(Severity::Warning, codes::NOT_ARCHIVED, self.place(&dropped.name), message, hint)
    }
}

/// Files of one name in the archive.
const ATTEMPTS: u32 = 1000;

fn numbered(name: &str, number: u32) -> String {
    if number == 1 { name.to_owned() } else { format!("{name}.{number}") }
}

/// Never over another file.
fn move_to(from: &File, name: &str, to: &File, new: &str) -> io::Result<()> {
    Ok(rustix::fs::renameat_with(from, name, to, new, RenameFlags::NOREPLACE)?)
}
