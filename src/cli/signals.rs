//! SIGTERM and SIGINT: stop taking work, let what is in flight finish, write it down.

use std::sync::{
    Arc,
    atomic::{AtomicU8, Ordering},
};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::watch,
};

/// Told when the process is asked to stop.
#[derive(Clone, Debug)]
pub(super) struct Signals {
    pub(super) stop: watch::Receiver<bool>,
    /// Number of the first signal; 0: none.
    first: Arc<AtomicU8>,
}

impl Signals {
    /// Listens from now on. A second signal changes nothing: the stop is already as quick as it can
    /// be without forgetting an answer.
    pub(super) fn listen() -> std::io::Result<Self> {
        let (tell, stop) = watch::channel(false);
        let first = Arc::new(AtomicU8::new(0));
        for (kind, number) in [(SignalKind::interrupt(), 2), (SignalKind::terminate(), 15)] {
            let mut arrivals = signal(kind)?;
            let (tell, first) = (tell.clone(), first.clone());
            tokio::spawn(async move {
                while arrivals.recv().await.is_some() {
                    let _ = first.compare_exchange(0, number, Ordering::Relaxed, Ordering::Relaxed);
                    tell.send_replace(true);
                }
            });
        }
        Ok(Self { stop, first })
    }

    /// The signal that asked to stop, if one did.
    pub(super) fn number(&self) -> Option<u8> {
        Some(self.first.load(Ordering::Relaxed)).filter(|number| *number != 0)
    }
}
