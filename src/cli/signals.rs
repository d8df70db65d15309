//! SIGTERM, SIGINT and SIGHUP: stop taking work, let what is in flight finish, write it down. To the
//! daemon SIGHUP means something else: read the configuration anew.

use super::Ended;
use crate::cycle::Exit;
use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicU8, Ordering},
};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::watch,
};

const HANGUP: u8 = 1;
const INTERRUPT: u8 = 2;
const TERMINATE: u8 = 15;

const ASKING_TO_STOP: [(SignalKind, u8); 2] =
    [(SignalKind::interrupt(), INTERRUPT), (SignalKind::terminate(), TERMINATE)];

/// Told when the process is asked to stop.
#[derive(Clone, Debug)]
pub(super) struct Signals {
    /// As [`crate::cycle::Options::stop`] has it.
    pub(super) stop: watch::Receiver<bool>,
    /// Number of the first signal; 0: none.
    first: Arc<AtomicU8>,
}

/// The other end, let go of with the second signal.
type Tell = Arc<Mutex<Option<watch::Sender<bool>>>>;

impl Signals {
    /// Listens from now on. The first signal lets requests in flight be answered; with the second
    /// nobody waits for an answer any more, and whoever has none is in doubt.
    pub(super) fn listen() -> std::io::Result<Self> {
        let mut kinds = ASKING_TO_STOP.to_vec();
        // Under `nohup` the end of a terminal means nothing.
        if !ignores(HANGUP) {
            kinds.push((SignalKind::hangup(), HANGUP));
        }
        Self::stopped_by(kinds)
    }

    /// As [`Self::listen`], but SIGHUP does not stop: each that arrives changes what is watched.
    pub(super) fn listen_and_reload() -> std::io::Result<(Self, watch::Receiver<u64>)> {
        let (tell, reload) = watch::channel(0);
        let mut arrivals = signal(SignalKind::hangup())?;
        tokio::spawn(async move {
            while arrivals.recv().await.is_some() {
                tell.send_modify(|count| *count += 1);
            }
        });
        Ok((Self::stopped_by(ASKING_TO_STOP.to_vec())?, reload))
    }

    fn stopped_by(kinds: Vec<(SignalKind, u8)>) -> std::io::Result<Self> {
        let (tell, stop) = watch::channel(false);
        let tell: Tell = Arc::new(Mutex::new(Some(tell)));
        let first = Arc::new(AtomicU8::new(0));
        for (kind, number) in kinds {
            let mut arrivals = signal(kind)?;
            let (tell, first) = (tell.clone(), first.clone());
            tokio::spawn(async move {
                while arrivals.recv().await.is_some() {
                    arrived(number, &tell, &first);
                }
            });
        }
        Ok(Self { stop, first })
    }

    /// The signal that asked to stop, if one did.
    pub(super) fn number(&self) -> Option<u8> {
        Some(self.first.load(Ordering::Relaxed)).filter(|number| *number != 0)
    }

    /// How a verb ended that would have ended like this; a signal does not hide that the state cannot
    /// be relied on.
    pub(super) fn end(&self, ended: Ended) -> Ended {
        match (self.number(), ended) {
            (None, ended) | (Some(_), ended @ Ended::Exit(Exit::State)) => ended,
            (Some(number), _) => Ended::Signal(number),
        }
    }
}

fn arrived(number: u8, tell: &Tell, first: &AtomicU8) {
    let mut tell = tell.lock().unwrap_or_else(PoisonError::into_inner);
    if first.compare_exchange(0, number, Ordering::Relaxed, Ordering::Relaxed).is_err() {
        if tell.take().is_some() {
            tracing::warn!("leaving at once: who has no answer yet is in doubt");
        }
    } else if let Some(tell) = &*tell {
        tracing::info!("stopping: requests under way are waited for; a second signal is not");
        tell.send_replace(true);
    }
}

/// Whether this process was started with the signal ignored.
fn ignores(number: u8) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_some_and(|mask| mask >> (number - 1) & 1 == 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signals() -> (Signals, Tell) {
        let (tell, stop) = watch::channel(false);
        (Signals { stop, first: Arc::default() }, Arc::new(Mutex::new(Some(tell))))
    }

    #[test]
    fn e03_the_first_signal_names_the_end_and_the_second_means_at_once() {
        let (signals, tell) = signals();
        assert!(matches!(signals.end(Ended::Exit(Exit::Early)), Ended::Exit(Exit::Early)));
        arrived(TERMINATE, &tell, &signals.first);
        assert!(*signals.stop.borrow() && signals.stop.has_changed().is_ok());
        arrived(INTERRUPT, &tell, &signals.first);
        assert!(*signals.stop.borrow() && signals.stop.has_changed().is_err());
        arrived(INTERRUPT, &tell, &signals.first);
        assert!(matches!(signals.end(Ended::Exit(Exit::Early)), Ended::Signal(15)));
    }

    #[test]
    fn e03_a_signal_does_not_hide_that_the_state_cannot_be_written() {
        let (signals, tell) = signals();
        arrived(INTERRUPT, &tell, &signals.first);
        assert_eq!(signals.end(Ended::Exit(Exit::State)).code(), 74);
        assert_eq!(signals.end(Ended::Exit(Exit::Config)).code(), 130);
        assert_eq!(signals.end(Ended::Changes).code(), 130);
    }
}
