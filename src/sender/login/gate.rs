//! What a call of a login has to pass before it leaves.

use crate::{
    engine::{
        reply::{Asked, Reply},
        retry,
    },
    sender::{
        lane::dice,
        pacer::{Departure, Pacer},
    },
};
use std::{future::Future, time::Duration};
use tokio::time::{Instant, sleep};

/// Lets the calls of a login leave: one after another, and not above anybody's quota.
pub trait Gate: Send {
    /// Held from the departure to the answer.
    type Pass: Send;

    /// Waits until one call may leave, and has it written down where calls are counted. `None`: none
    /// may any more.
    ///
    /// # Errors
    /// Why it could not be written down.
    fn leave(&mut self) -> impl Future<Output = Result<Option<Self::Pass>, String>> + Send;

    /// The call has been answered, or has failed. `reply`: what that means for everything else that
    /// goes there; `None`, when it means nothing.
    ///
    /// # Errors
    /// Why that could not be written down.
    fn heed(
        &mut self,
        pass: Self::Pass,
        reply: Option<&Reply>,
    ) -> impl Future<Output = Result<(), String>> + Send;

    /// Waits so long; `None` when no call may leave any more.
    fn wait(&mut self, wait: Duration) -> impl Future<Output = Option<()>> + Send;
}

/// A gate that knows a quota and nothing else.
#[derive(Debug)]
pub struct Paced<'a> {
    pacer: &'a Pacer,
    throttled: u32,
}

impl<'a> Paced<'a> {
    #[must_use]
    pub fn by(pacer: &'a Pacer) -> Self {
        Self { pacer, throttled: 0 }
    }
}

impl<'a> Gate for Paced<'a> {
    type Pass = Departure<'a>;

    async fn leave(&mut self) -> Result<Option<Departure<'a>>, String> {
        self.pacer.slot().await;
        Ok(Some(self.pacer.depart().await))
    }

    async fn heed(&mut self, pass: Departure<'a>, reply: Option<&Reply>) -> Result<(), String> {
        drop(pass);
        let now = Instant::now();
        let wait = match reply.and_then(Reply::asks) {
            None => return Ok(()),
            Some(Asked::Silence(wait)) => wait,
            Some(Asked::Throttled(asked)) => {
                self.throttled += 1;
                retry::throttled(asked, self.throttled - 1, now.into_std(), dice())
            }
        };
        self.pacer.pause_until(now + wait.min(retry::WAIT_IN_RUN_MAX));
        Ok(())
    }

    async fn wait(&mut self, wait: Duration) -> Option<()> {
        sleep(wait).await;
        Some(())
    }
}
