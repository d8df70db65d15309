//! What a simulated run writes its journal with: on the spot, or after a while that the seed draws.

use crate::{chance::Chance, planted::Planted};
use rosterd::{
    model::Outcome,
    store::{Conclusion, Done, Entry, Scribe, Store, StoreError},
};
use std::{
    path::PathBuf,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::time::sleep;

/// The disk of one tenant, as far as a run's journal is concerned.
#[derive(Clone)]
pub(crate) struct Disk {
    /// The log of writes, and how long it was after each commit of this run.
    pub(crate) log: PathBuf,
    pub(crate) lengths: Arc<Mutex<Vec<u64>>>,
    /// Draws how long a commit takes; none takes no time.
    pub(crate) slow: Option<Arc<Mutex<Chance>>>,
    /// So many commits succeed, and no more.
    pub(crate) full_after: Option<u64>,
    pub(crate) planted: Option<Planted>,
}

pub(crate) struct Ink {
    disk: Disk,
    store: Arc<Mutex<Option<Store>>>,
    /// Held by the commit that is under way.
    turn: Arc<tokio::sync::Mutex<()>>,
    commits: Arc<AtomicU64>,
}

impl Disk {
    pub(crate) fn open(&self, store: Store) -> Ink {
        Ink {
            disk: self.clone(),
            store: Arc::new(Mutex::new(Some(store))),
            turn: Arc::default(),
            commits: Arc::default(),
        }
    }

    fn draw(&self) -> Duration {
        let Some(slow) = &self.slow else { return Duration::ZERO };
        let mut slow = slow.lock().unwrap();
        if slow.hits(0.7) {
            return Duration::ZERO;
        }
        slow.time(Duration::from_micros(50), Duration::from_millis(400))
    }

    fn commit(
        &self,
        store: &mut Store,
        commits: &AtomicU64,
        entries: Vec<Entry>,
    ) -> Result<(), StoreError> {
        if self.full_after.is_some_and(|most| commits.load(Ordering::Relaxed) >= most) {
            return Err(StoreError::Stopped);
        }
        let entries: Vec<Entry> =
            entries.into_iter().filter_map(|entry| self.spoil(entry)).collect();
        store.commit(&entries)?;
        commits.fetch_add(1, Ordering::Relaxed);
        let length = std::fs::metadata(&self.log).map_or(0, |log| log.len());
        self.lengths.lock().unwrap().push(length);
        Ok(())
    }

    /// What a planted bug makes of an entry.
    fn spoil(&self, entry: Entry) -> Option<Entry> {
        match (self.planted, entry) {
            (Some(Planted::NoJournal), Entry::Intent(_))
            | (Some(Planted::OutcomeNotWritten), Entry::Outcome(_)) => None,
            (Some(planted), Entry::Outcome(conclusion)) => {
                Some(Entry::Outcome(Box::new(spoil_outcome(planted, *conclusion))))
            }
            (_, entry) => Some(entry),
        }
    }
}

fn spoil_outcome(planted: Planted, conclusion: Conclusion) -> Conclusion {
    let Outcome::InDoubt { why } = &conclusion.outcome else { return conclusion };
    let outcome = match planted {
        Planted::NoLookAfterDoubt => Outcome::Deferred { why: why.clone() },
        Planted::DoneBeforeTheAnswer => {
            let edits = conclusion.edits.iter();
            let shown = edits.map(|edit| (edit.path.clone(), edit.after.clone())).collect();
            Outcome::Settled { shown, unverified: false }
        }
        _ => return conclusion,
    };
    Conclusion { outcome, ..conclusion }
}

impl Scribe for Ink {
    fn submit(&self, entries: Vec<Entry>, done: Done) {
        let (disk, store, commits) = (self.disk.clone(), self.store.clone(), self.commits.clone());
        let commit = move || match store.lock().unwrap().as_mut() {
            Some(store) => disk.commit(store, &commits, entries),
            None => Err(StoreError::Stopped),
        };
        if self.disk.slow.is_none() {
            done(commit());
            return;
        }
        let (disk, turn) = (self.disk.clone(), self.turn.clone());
        tokio::spawn(async move {
            let _turn = turn.lock().await;
            pause(disk.draw()).await;
            let written = commit();
            pause(disk.draw()).await;
            done(written);
        });
    }

    fn commits(&self) -> u64 {
        self.commits.load(Ordering::Relaxed)
    }

    fn finish(self: Box<Self>) -> Result<Store, StoreError> {
        self.store.lock().unwrap().take().ok_or(StoreError::Stopped)
    }
}

async fn pause(time: Duration) {
    if !time.is_zero() {
        sleep(time).await;
    }
}
