//! What was seen, in order, and what should never be seen.

use jiff::{SignedDuration, Timestamp};
use std::{
    hash::{DefaultHasher, Hash, Hasher},
    sync::{Arc, Mutex, MutexGuard},
};
use tokio::time::Instant;

/// The trace of one seed, and every breach of an invariant in it. Shared by all who see something.
#[derive(Clone)]
pub(crate) struct Oracle(Arc<Mutex<Book>>);

struct Book {
    started: Instant,
    trace: Vec<String>,
    breaches: Vec<String>,
    requests: u64,
}

/// When the first night begins.
const FIRST: &str = "2026-03-02T02:30:00Z";

impl Oracle {
    pub(crate) fn new() -> Self {
        let (trace, breaches) = (Vec::new(), Vec::new());
        Self(Arc::new(Mutex::new(Book { started: Instant::now(), trace, breaches, requests: 0 })))
    }

    /// Everybody's wall clock.
    pub(crate) fn now(&self) -> Timestamp {
        let passed = SignedDuration::try_from(self.book().started.elapsed()).unwrap();
        FIRST.parse::<Timestamp>().unwrap() + passed
    }

    pub(crate) fn note(&self, line: &str) {
        let mut book = self.book();
        let at = book.started.elapsed().as_micros();
        book.trace.push(format!("{at} {line}"));
    }

    pub(crate) fn count_request(&self) {
        self.book().requests += 1;
    }

    pub(crate) fn requests(&self) -> u64 {
        self.book().requests
    }

    /// An invariant does not hold.
    pub(crate) fn breach(&self, invariant: &str, what: &str) {
        self.note(&format!("BREACH {invariant}: {what}"));
        self.book().breaches.push(format!("{invariant}: {what}"));
    }

    pub(crate) fn breaches(&self) -> Vec<String> {
        self.book().breaches.clone()
    }

    pub(crate) fn trace(&self) -> Vec<String> {
        self.book().trace.clone()
    }

    /// Names the trace.
    pub(crate) fn digest(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.book().trace.hash(&mut hasher);
        hasher.finish()
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.0.lock().unwrap()
    }
}
