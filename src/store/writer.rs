//! A thread that writes, so that nobody waits for a disk who could be sending.

use super::{Entry, Store, StoreError};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc::{self, Receiver, Sender},
    },
    thread::JoinHandle,
};

/// Told once the entries are on the disk, or will not be. Runs on the writer's thread: it should
/// only pass the word on.
pub type Done = Box<dyn FnOnce(Result<(), StoreError>) + Send>;

/// Most submissions that share one commit, so that the first of them does not wait for long.
const GROUP_MAX: usize = 512;

/// Commits what is submitted in the order of submission, as much as has come in at a time. Under
/// load many outcomes share one sync of the disk. The queue is as long as there are submissions
/// without an answer, which its users bound.
pub struct Writer {
    queue: Sender<Submission>,
    commits: Arc<AtomicU64>,
    thread: JoinHandle<Store>,
}

struct Submission {
    entries: Vec<Entry>,
    done: Done,
}

impl Writer {
    #[must_use]
    pub fn spawn(store: Store) -> Self {
        let (queue, submissions) = mpsc::channel();
        let commits = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&commits);
        let thread = std::thread::spawn(move || write_all(store, &submissions, &counter));
        Self { queue, commits, thread }
    }

    /// Never waits. `done` is called exactly once, also when the entries cannot be written.
    pub fn submit(&self, entries: Vec<Entry>, done: Done) {
        if let Err(mpsc::SendError(unsent)) = self.queue.send(Submission { entries, done }) {
            (unsent.done)(Err(StoreError::Stopped));
        }
    }

    /// Commits so far; far fewer than submissions when much is in flight.
    #[must_use]
    pub fn commits(&self) -> u64 {
        self.commits.load(Ordering::Relaxed)
    }

    /// Writes what is queued, ends the thread and hands the store back.
    ///
    /// # Errors
    /// `Stopped` when a `done` panicked, and the thread with it.
    pub fn finish(self) -> Result<Store, StoreError> {
        let Self { queue, commits: _, thread } = self;
        drop(queue);
        thread.join().map_err(|_| StoreError::Stopped)
    }
}

fn write_all(mut store: Store, submissions: &Receiver<Submission>, commits: &AtomicU64) -> Store {
    while let Ok(first) = submissions.recv() {
        let mut entries = first.entries;
        let mut waiting = vec![first.done];
        while waiting.len() < GROUP_MAX {
            let Ok(next) = submissions.try_recv() else { break };
            entries.extend(next.entries);
            waiting.push(next.done);
        }
        let result = store.commit(&entries);
        if result.is_ok() {
            commits.fetch_add(1, Ordering::Relaxed);
        }
        for done in waiting {
            done(result.clone());
        }
    }
    store
}
