//! How long the answer to a request under way is waited for once the process is asked to stop.

use super::http::Sent;
use std::{future::Future, pin::pin, time::Duration};
use tokio::{sync::watch, time::sleep};

/// A stop takes 90 seconds at most, and service managers kill after that. What is left of it is for
/// the last records.
pub const GRACE: Duration = Duration::from_secs(80);

/// The answer; or, when it does not come in time, what is known of the request then. `stop` is as in
/// [`crate::cycle::Options::stop`].
pub(super) async fn answer_in_time(
    answer: impl Future<Output = Sent>,
    stop: watch::Receiver<bool>,
) -> Sent {
    let mut answer = pin!(answer);
    tokio::select! {
        biased;
        sent = &mut answer => sent,
        why = out_of_patience(stop) => Sent::Lost { why: why.to_owned() },
    }
}

async fn out_of_patience(mut stop: watch::Receiver<bool>) -> &'static str {
    if stop.wait_for(|stop| *stop).await.is_err() {
        std::future::pending::<()>().await;
    }
    tokio::select! {
        () = sleep(GRACE) => "no answer within the time that a stop may take",
        () = at_once(stop) => "the run was told to leave at once",
    }
}

/// Nobody is left who could say it, since it was said twice.
async fn at_once(mut stop: watch::Receiver<bool>) {
    while stop.changed().await.is_ok() {}
}
