//! Asking a person.

use std::io::{BufRead, IsTerminal, Write};
use tokio::sync::{oneshot, watch};

/// Whether there is somebody to ask.
pub(super) fn somebody_there() -> bool {
    std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
}

/// Asks on the terminal; only `y` and `yes` mean yes.
pub(super) fn agreed(question: &str) -> std::io::Result<bool> {
    ask(question)?;
    read_answer()
}

/// The same, and being asked to stop means no: the signals that would have ended the process are
/// listened to by then.
pub(super) async fn agreed_unless_stopped(
    question: &str,
    stop: watch::Receiver<bool>,
) -> std::io::Result<bool> {
    ask(question)?;
    answer_unless_stopped(read_answer, stop).await
}

/// Reads on a thread of its own, which nobody waits for once the process ends.
async fn answer_unless_stopped(
    read: impl FnOnce() -> std::io::Result<bool> + Send + 'static,
    mut stop: watch::Receiver<bool>,
) -> std::io::Result<bool> {
    let (tell, answer) = oneshot::channel();
    std::thread::spawn(move || tell.send(read()));
    tokio::select! {
        answer = answer => answer.unwrap_or(Ok(false)),
        _ = stop.wait_for(|stop| *stop) => Ok(false),
    }
}

fn ask(question: &str) -> std::io::Result<()> {
    let mut stderr = std::io::stderr().lock();
    write!(stderr, "{question} [y/N] ")?;
    stderr.flush()
}

fn read_answer() -> std::io::Result<bool> {
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer)?;
    Ok(matches!(answer.trim().to_lowercase().as_str(), "y" | "yes"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    #[tokio::test]
    async fn e03_a_signal_while_a_person_is_asked_means_no_and_does_not_wait_for_the_answer() {
        let (_person, silence) = mpsc::channel::<bool>();
        let read = move || silence.recv().map_err(std::io::Error::other);
        let (tell, stop) = watch::channel(false);
        tell.send_replace(true);
        assert!(!answer_unless_stopped(read, stop).await.unwrap());
    }

    #[tokio::test]
    async fn an_answer_counts_while_nobody_asks_to_stop() {
        let (_tell, stop) = watch::channel(false);
        assert!(answer_unless_stopped(|| Ok(true), stop).await.unwrap());
    }
}
