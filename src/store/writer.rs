//! A thread that writes, so that nobody waits for a disk who could be sending.

use super::{Entry, Store, StoreError};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc::{self, Receiver, Sender},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

/// Told once the entries are on the disk, or will not be. Runs on the writer's thread: it should
/// only pass the word on.
pub type Done = Box<dyn FnOnce(Result<(), StoreError>) + Send>;

/// Makes durable what is submitted, in the order of submission, with a store in its hands until it
/// has finished. A run's is a [`Writer`].
pub trait Scribe: Send + Sync {
    /// As [`Writer::submit`].
    fn submit(&self, entries: Vec<Entry>, done: Done);

    /// As [`Writer::commits`].
    fn commits(&self) -> u64;

    /// As [`Writer::finish`].
    fn finish(self: Box<Self>) -> Result<Store, StoreError>;
}

impl Scribe for Writer {
    fn submit(&self, entries: Vec<Entry>, done: Done) {
        Self::submit(self, entries, done);
    }

    fn commits(&self) -> u64 {
        Self::commits(self)
    }

    fn finish(self: Box<Self>) -> Result<Store, StoreError> {
        Self::finish(*self)
    }
}

/// Most submissions that share one commit, so that the first of them does not wait for long.
const GROUP_MAX: usize = 512;
/// Nothing leaves because of an outcome, so outcomes wait for company, be it an intent that cannot: at
/// a quota, those of a bundle of slots come together. A process that is killed meanwhile has a few
/// more users to look at.
const PATIENCE: Duration = Duration::from_millis(200);

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

#[expect(clippy::disallowed_methods, reason = "a disk is waited for in real time")]
fn write_all(mut store: Store, submissions: &Receiver<Submission>, commits: &AtomicU64) -> Store {
    // Without an outcome so far.
    let mut open = 0;
    while let Ok(first) = submissions.recv() {
        let deadline = Instant::now() + PATIENCE;
        let mut group = Group::of(first, &mut open);
        while group.waiting.len() < GROUP_MAX {
            let left = if group.can_wait && open > 0 {
                deadline.saturating_duration_since(Instant::now())
            } else {
                Duration::ZERO
            };
            let Some(next) = next_within(submissions, left) else { break };
            group.add(next, &mut open);
        }
        let result = store.commit(&group.entries);
        if result.is_ok() {
            commits.fetch_add(1, Ordering::Relaxed);
        }
        for done in group.waiting {
            done(result.clone());
        }
    }
    store
}

/// What is committed in one go.
struct Group {
    entries: Vec<Entry>,
    waiting: Vec<Done>,
    /// Nobody waits for any of it before something leaves.
    can_wait: bool,
}

impl Group {
    fn of(first: Submission, open: &mut u64) -> Self {
        let mut group = Self { entries: Vec::new(), waiting: Vec::new(), can_wait: true };
        group.add(first, open);
        group
    }

    /// `open`: how many operations have an intent and no outcome, of which company may come.
    fn add(&mut self, submission: Submission, open: &mut u64) {
        for entry in &submission.entries {
            match entry {
                Entry::Outcome(_) => *open = open.saturating_sub(1),
                Entry::Intent(_) => {
                    *open += 1;
                    self.can_wait = false;
                }
                Entry::Sent { .. } | Entry::Pause { .. } | Entry::Pace { .. } => {
                    self.can_wait = false;
                }
            }
        }
        self.entries.extend(submission.entries);
        self.waiting.push(submission.done);
    }
}

fn next_within(submissions: &Receiver<Submission>, time: Duration) -> Option<Submission> {
    let there = submissions.try_recv();
    if time.is_zero() { there.ok() } else { there.or_else(|_| submissions.recv_timeout(time)).ok() }
}
