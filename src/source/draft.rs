//! A file of our own that is being written: nobody else may read it, and under its name it is always
//! whole.

use rustix::fs::{Mode, OFlags};
use std::{
    fs::{self, DirBuilder, File},
    io,
    os::fd::AsRawFd as _,
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
};

/// A file before it has its name.
#[derive(Debug)]
pub struct Draft {
    file: File,
    folder: PathBuf,
    /// `None`: it has no name, and goes with the last who has it open.
    name: Option<Name>,
}

#[derive(Debug)]
struct Name {
    draft: PathBuf,
    to: PathBuf,
}

/// A whole file, and where it can be opened for as long as this is kept.
#[derive(Debug)]
pub struct Kept {
    pub path: PathBuf,
    file: File,
}

impl Draft {
    /// One that will be called so, in a folder that is made when it is missing.
    ///
    /// # Errors
    /// When the folder or the file cannot be made.
    pub fn named(folder: &Path, name: &str) -> io::Result<Self> {
        make_private(folder)?;
        let draft = folder.join(format!("{name}.part"));
        remove(&draft)?;
        let file = create(&draft)?;
        let name = Some(Name { draft, to: folder.join(name) });
        Ok(Self { file, folder: folder.to_owned(), name })
    }

    /// One without a name: nothing is left of it, even after a crash.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn unnamed(folder: &Path) -> io::Result<Self> {
        let path = folder.join(format!(".rosterd-{}.part", uuid::Uuid::now_v7()));
        let file = create(&path)?;
        remove(&path)?;
        Ok(Self { file, folder: folder.to_owned(), name: None })
    }

    /// Begins again with an empty file. What was written can still be read.
    pub(super) fn afresh(mut self) -> io::Result<(Self, File)> {
        let written = self.file.try_clone()?;
        let Some(name) = self.name.take() else {
            return Ok((Self::unnamed(&self.folder)?, written));
        };
        remove(&name.draft)?;
        let file = create(&name.draft)?;
        let folder = self.folder.clone();
        Ok((Self { file, folder, name: Some(name) }, written))
    }

    /// The open file, to write to.
    #[must_use]
    pub fn file(&self) -> &File {
        &self.file
    }

    /// Gives it its name, once it is on the disk.
    ///
    /// # Errors
    /// When it cannot be written to the disk or renamed.
    pub fn keep(mut self) -> io::Result<Kept> {
        let file = self.file.try_clone()?;
        let Some(name) = self.name.take() else {
            let path = PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()));
            return Ok(Kept { path, file });
        };
        file.sync_all()?;
        fs::rename(&name.draft, &name.to)?;
        if let Some(folder) = name.to.parent() {
            File::open(folder)?.sync_all()?;
        }
        Ok(Kept { path: name.to, file })
    }
}

/// What was not kept is not left behind.
impl Drop for Draft {
    fn drop(&mut self) {
        if let Some(name) = &self.name {
            let _ = remove(&name.draft);
        }
    }
}

impl Kept {
    /// A file that was kept before.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn open(path: PathBuf) -> io::Result<Self> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = rustix::fs::open(&path, flags, Mode::empty())?.into();
        Ok(Self { path, file })
    }

    /// The same, for somebody who keeps it no longer than this one is kept.
    ///
    /// # Errors
    /// When the process has too many files open.
    pub fn share(&self) -> io::Result<Self> {
        Ok(Self { path: self.path.clone(), file: self.file.try_clone()? })
    }

    /// The open file.
    #[must_use]
    pub fn file(&self) -> &File {
        &self.file
    }
}

/// A folder that only we look into; one that is there already stays as it is.
///
/// # Errors
/// When it is missing and cannot be made.
pub fn make_private(folder: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

/// Never through a link, and never a file that is there already.
fn create(path: &Path) -> io::Result<File> {
    let flags = OFlags::CREATE | OFlags::EXCL | OFlags::RDWR | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(rustix::fs::open(path, flags, Mode::from(0o600))?.into())
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
