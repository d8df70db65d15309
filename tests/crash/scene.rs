//! One cell's moment: whether it has come, and what it does to the process.

use crate::{
    cells::{Cell, Point, Way},
    image,
};
use fastrand::Rng;
use rosterd::store::Done;
use std::{
    fs,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard},
};
use tokio::sync::{Notify, watch};

/// Shared by all who may see the moment come.
#[derive(Clone)]
pub(crate) struct Scene {
    pub(crate) cell: Cell,
    /// Key of the user whom it is about.
    pub(crate) victim: &'static str,
    inner: Arc<Mutex<Inner>>,
    died: Arc<Notify>,
}

struct Inner {
    /// The state directory, and where it is copied to.
    state: PathBuf,
    image: PathBuf,
    /// As it was when the run began, which a power loss may bring back.
    mirror: Option<Vec<u8>>,
    struck: bool,
    dead: bool,
    failing: Option<Way>,
    chance: Rng,
    /// Chooses the sectors that a power loss in the middle of a commit leaves, where it is not left to
    /// chance.
    new_sectors: Option<usize>,
    /// Sectors that the commit of the moment changed.
    changed: usize,
    stop: watch::Sender<bool>,
    unheard: Vec<Done>,
}

/// What was going on at the disk.
#[derive(Clone, Copy)]
pub(crate) enum Stroke<'a> {
    Plain,
    /// A commit; the log as it was before.
    Within(&'a [u8]),
}

impl Scene {
    pub(crate) fn new(cell: Cell, victim: &'static str, state: PathBuf, image: PathBuf) -> Self {
        let mirror = fs::read(state.join("acme.serial")).ok();
        let inner = Inner {
            state,
            image,
            mirror,
            struck: false,
            dead: false,
            failing: None,
            chance: Rng::with_seed(cell.seed()),
            new_sectors: None,
            changed: 0,
            stop: watch::channel(false).0,
            unheard: Vec::new(),
        };
        Self { cell, victim, inner: Arc::new(Mutex::new(inner)), died: Arc::default() }
    }

    /// Of the sectors that the commit of the moment changes, only so many are new.
    pub(crate) fn with_new_sectors(self, count: usize) -> Self {
        self.inner().new_sectors = Some(count);
        self
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap()
    }

    pub(crate) fn log(&self) -> PathBuf {
        self.inner().state.join("acme.db-wal")
    }

    pub(crate) fn is_struck(&self) -> bool {
        self.inner().struck
    }

    pub(crate) fn is_dead(&self) -> bool {
        self.inner().dead
    }

    pub(crate) fn failing(&self) -> Option<Way> {
        self.inner().failing
    }

    /// Another process, on a disk that is well.
    pub(crate) fn begin_anew(&self) {
        let mut inner = self.inner();
        (inner.dead, inner.failing) = (false, None);
    }

    pub(crate) fn changed(&self) -> usize {
        self.inner().changed
    }

    pub(crate) fn stop(&self) -> watch::Receiver<bool> {
        self.inner().stop.subscribe()
    }

    pub(crate) fn keep(&self, done: Done) {
        self.inner().unheard.push(done);
    }

    /// Comes back when the process has been killed.
    pub(crate) async fn death(&self) {
        self.died.notified().await;
    }

    /// The moment has come, if it is this one and has not come before.
    pub(crate) fn reach(&self, point: Point) {
        if point == self.cell.point {
            self.strike(Stroke::Plain);
        }
    }

    pub(crate) fn strike(&self, stroke: Stroke<'_>) {
        let mut inner = self.inner();
        if inner.struck {
            return;
        }
        inner.struck = true;
        match self.cell.way {
            Way::Stop => {
                inner.stop.send_replace(true);
            }
            Way::DiskFull | Way::DiskError => inner.failing = Some(self.cell.way),
            Way::Kill | Way::PowerLoss => {
                inner.take_image(self.cell, stroke);
                inner.dead = true;
                self.died.notify_one();
            }
        }
    }
}

impl Inner {
    fn take_image(&mut self, cell: Cell, stroke: Stroke<'_>) {
        image::copy(&self.state, &self.image);
        if let Stroke::Within(before) = stroke {
            self.undo_some(before, cell.way);
        }
        if cell.way == Way::PowerLoss {
            image::lose_power(&self.image, &mut self.chance);
            // A name that was given is only there for certain once the folder is synced.
            if let Some(mirror) = self.mirror.as_ref().filter(|_| self.chance.bool()) {
                fs::write(self.image.join("acme.serial"), mirror).unwrap();
            }
        }
        if cell.point == Point::K19BackupHalfCopied {
            let backups = self.image.join("backups");
            fs::create_dir_all(&backups).unwrap();
            let state = fs::read(self.image.join("acme.db")).unwrap();
            let half = self.chance.usize(..state.len());
            fs::write(backups.join("acme.part"), &state[..half]).unwrap();
        }
    }

    /// The log as it is in the middle of a commit. A process writes from the front; a disk may take
    /// sectors in any order, as long as nobody waits for them.
    fn undo_some(&mut self, before: &[u8], way: Way) {
        let path = self.image.join("acme.db-wal");
        let after = fs::read(&path).unwrap();
        let changed = image::differing(before, &after);
        self.changed = changed.len();
        let kept = match self.new_sectors {
            Some(count) => count,
            None => self.chance.usize(..=changed.len()),
        };
        let in_order = way == Way::Kill || self.new_sectors.is_some();
        let mut order = changed;
        if !in_order {
            self.chance.shuffle(&mut order);
        }
        let new: std::collections::BTreeSet<usize> = order.into_iter().take(kept).collect();
        let left = image::mixed(before, &after, |number| new.contains(&number));
        fs::write(&path, left).unwrap();
    }
}
