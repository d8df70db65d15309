//! What a run writes its journal with here: each commit on the spot, and its end where a cell has it.

use crate::{
    cells::{Point, Way},
    scene::{Scene, Stroke},
};
use rosterd::store::{Done, Entry, Scribe, Store, StoreError};
use std::{
    fs, io,
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

pub(crate) struct Ink {
    scene: Scene,
    store: Mutex<Option<Store>>,
    commits: AtomicU64,
}

impl Ink {
    pub(crate) fn new(scene: Scene, store: Store) -> Self {
        Self { scene, store: Mutex::new(Some(store)), commits: AtomicU64::new(0) }
    }

    /// `None`: the process has ended by then.
    fn commit(&self, entries: &[Entry]) -> Option<Result<(), StoreError>> {
        let scene = &self.scene;
        let has = |point| point == scene.cell.point && scene.touches(point, entries);
        if has(Point::K07BeforeIntent) || has(Point::K12BeforeOutcome) {
            scene.strike(Stroke::Plain);
        }
        let is_within = has(Point::K13WithinOutcome);
        let before = is_within.then(|| fs::read(scene.log()).unwrap_or_default());
        if is_within && !scene.cell.way.is_sudden() {
            scene.strike(Stroke::Plain);
        }
        if scene.is_dead() {
            return None;
        }
        let failing = scene.failing();
        if failing == Some(Way::DiskFull) {
            return Some(Err(StoreError::Full { path: scene.log() }));
        }
        let mut store = self.store.lock().unwrap();
        let Some(store) = store.as_mut() else { return Some(Err(StoreError::Stopped)) };
        let written = store.commit(entries);
        if let Some(before) = before {
            scene.strike(Stroke::Within(&before));
        }
        let is_after = [
            Point::K08AfterIntent,
            Point::K14AfterOutcome,
            Point::K15PauseStored,
            Point::K20ApprovalUsed,
        ];
        if is_after.into_iter().any(has) {
            scene.strike(Stroke::Plain);
        }
        if scene.is_dead() {
            return None;
        }
        if failing == Some(Way::DiskError) {
            let source = io::Error::other("the disk says no").into();
            return Some(Err(StoreError::Io { what: "sync", path: scene.log(), source }));
        }
        self.commits.fetch_add(1, Ordering::Relaxed);
        Some(written)
    }
}

impl Scene {
    /// The entries are those of that moment.
    fn touches(&self, point: Point, entries: &[Entry]) -> bool {
        entries.iter().any(|entry| match (point, entry) {
            (
                Point::K07BeforeIntent | Point::K08AfterIntent | Point::K20ApprovalUsed,
                Entry::Intent(intent),
            ) => intent.action == self.cell.deed.kind() && intent.key.as_str() == self.victim,
            (
                Point::K12BeforeOutcome | Point::K13WithinOutcome | Point::K14AfterOutcome,
                Entry::Outcome(done),
            ) => done.action == self.cell.deed.kind() && done.key.as_str() == self.victim,
            (Point::K15PauseStored, Entry::Pause { .. }) => true,
            _ => false,
        })
    }
}

impl Scribe for Ink {
    fn submit(&self, entries: Vec<Entry>, done: Done) {
        match self.commit(&entries) {
            Some(written) => done(written),
            // Nobody hears of it any more.
            None => self.scene.keep(done),
        }
    }

    fn commits(&self) -> u64 {
        self.commits.load(Ordering::Relaxed)
    }

    fn finish(self: Box<Self>) -> Result<Store, StoreError> {
        self.store.lock().unwrap().take().ok_or(StoreError::Stopped)
    }
}
