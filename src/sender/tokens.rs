//! A lane's tokens: fetched by whichever operation needs them first, in its name and out of the
//! tenant's quota.

use super::{
    departure::Caller,
    login::{Gate, NoTokens, Tokens},
    pacer::Departure,
    record::{Ended, Recorder},
    secrets::Access,
};
use crate::engine::{breaker::Pass, reply::Reply, retry::moment_after};
use std::time::Duration;
use tokio::time::sleep;

impl<R: Recorder> Caller<'_, R> {
    /// What the next request carries; `None` when the lane has ended. Has a slot, before and after.
    pub(super) async fn tokens(&mut self) -> Result<Option<Tokens>, String> {
        let lane = self.lane;
        let login = match &lane.access {
            Access::Kept(secrets) => return Ok(Some(secrets.current())),
            Access::Fetched(login) => login,
        };
        let before = self.calls;
        let mut door = Door { caller: &mut *self, has_slot: true };
        match lane.or_end(login.tokens(&mut door)).await {
            None => Ok(None),
            Some(Err(none)) => self.do_without(none).await.map(|()| None),
            Some(Ok(tokens)) if self.calls == before => Ok(Some(tokens)),
            Some(Ok(tokens)) => Ok(lane.or_end(lane.slot()).await.map(|()| tokens)),
        }
    }

    /// Without tokens nothing of this tenant can be sent.
    async fn do_without(&self, none: NoTokens) -> Result<(), String> {
        let lane = self.lane;
        let ended = match none {
            // Whoever fetched has told already.
            _ if lane.has_ended() => return Ok(()),
            NoTokens::Ended => return Ok(()),
            NoTokens::NotRecorded(why) => return Err(why),
            NoTokens::Refused { why } => Ended::LoginRefused { why },
            NoTokens::Unwell { why } => Ended::Unwell { why },
            NoTokens::Unreachable { why } => Ended::Broken { why },
            NoTokens::Locked { why, wait } => {
                let now = lane.clock.now();
                let until = moment_after(now, wait);
                let ended = format!("{why}; nothing is tried before {until:.0}");
                lane.end(Ended::LoginRefused { why: ended });
                return self.recorder.pause(until, why, (lane.pacer.learnt(), now)).await;
            }
        };
        lane.end(ended);
        Ok(())
    }
}

/// Lets the calls of the login leave like further requests of the operation.
struct Door<'c, 'a, R> {
    caller: &'c mut Caller<'a, R>,
    /// Of the request that has to wait now.
    has_slot: bool,
}

impl<'a, R: Recorder> Gate for Door<'_, 'a, R> {
    type Pass = (Pass, Departure<'a>);

    async fn leave(&mut self) -> Result<Option<Self::Pass>, String> {
        if !std::mem::take(&mut self.has_slot) {
            self.caller.lane.slot().await;
        }
        let left = self.caller.depart().await?;
        self.caller.calls += u32::from(left.is_some());
        Ok(left)
    }

    async fn heed(&mut self, pass: Self::Pass, reply: Option<&Reply>) -> Result<(), String> {
        let ((pass, departure), lane) = (pass, self.caller.lane);
        drop(departure);
        if let Some(reply) = reply {
            return lane.heed(reply, pass, self.caller.recorder).await;
        }
        lane.give_back(pass);
        Ok(())
    }

    async fn wait(&mut self, wait: Duration) -> Option<()> {
        self.caller.lane.or_end(sleep(wait)).await
    }
}
