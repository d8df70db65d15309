//! Who waits for room in a window that is full.

use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::sync::Notify;

/// Those who could leave if only the window had room for one more. While there are many, no further
/// bundle is given: else slots run ahead of departures, until every worker has one and each takes its
/// next slot, and a wait for the disk, alone.
#[derive(Debug, Default)]
pub(super) struct Crowd {
    waiting: AtomicUsize,
    thinned: Notify,
}

impl Crowd {
    pub(super) fn join(&self) -> InCrowd<'_> {
        self.waiting.fetch_add(1, Ordering::Relaxed);
        InCrowd(self)
    }

    pub(super) fn is_thin(&self, few: usize) -> bool {
        self.waiting.load(Ordering::Relaxed) <= few
    }

    /// Waits until somebody has left it. Only the holder of the turn does, so that the word finds it
    /// also when it comes first.
    pub(super) async fn thinned(&self) {
        self.thinned.notified().await;
    }
}

pub(super) struct InCrowd<'a>(&'a Crowd);

impl Drop for InCrowd<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::Relaxed);
        self.0.thinned.notify_one();
    }
}
