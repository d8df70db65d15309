//! Waits that a lane needs, and tokio does not have.

use std::{
    future::{Future, poll_fn},
    pin::Pin,
    task::Poll,
};
use tokio::sync::watch;

/// What there is of it without waiting.
pub(super) async fn at_once<F: Future>(mut wait: Pin<&mut F>) -> Poll<F::Output> {
    poll_fn(|context| Poll::Ready(wait.as_mut().poll(context))).await
}

/// Waits until the flag turns true; for ever when nobody is left to turn it.
pub(super) async fn told(flag: &mut watch::Receiver<bool>) {
    if flag.wait_for(|flag| *flag).await.is_err() {
        std::future::pending::<()>().await;
    }
}
