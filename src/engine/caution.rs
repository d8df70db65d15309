//! What the answers of one tenant add up to in one run: whether, and from when on, it may be sent
//! more.
//!
//! ```text
//!  reply ──► silence   the target asked for it            every request waits
//!        ├─► breaker   too many failures                  every request waits, then one at a time
//!        └─► health    nothing that is sent can succeed   the run of the tenant ends
//!  outcome ► budget    what ended well earns a tenth of a repetition
//!        └─► health
//! ```

use super::{
    breaker::{Breaker, Opened, Pass, Pulse},
    budget::Budget,
    health::{Health, Sign},
    reply::{Asked, Reply},
    retry::Dice,
    silence::{Silence, Silences},
};
use crate::model::Outcome;
use std::time::Instant;

/// One tenant in one run.
#[derive(Clone, Debug, Default)]
pub struct Caution {
    pub budget: Budget,
    pub breaker: Breaker,
    silences: Silences,
    health: Health,
}

/// What one reply changes for the whole tenant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Heed {
    pub silence: Option<Silence>,
    pub opened: Option<Opened>,
    /// Why nothing more should be sent to the tenant.
    pub hopeless: Option<String>,
}

impl Caution {
    /// Takes in the reply to the request that left with this pass.
    pub fn hear(&mut self, reply: &Reply, pass: Pass, now: Instant, dice: Dice) -> Heed {
        let pulse = reply.pulse();
        if pulse == Pulse::Well {
            self.silences.fruitful();
        }
        let silence = match reply.asks() {
            Some(Asked::Throttled(asked)) => Some(self.silences.throttled(asked, now, dice)),
            Some(Asked::Silence(wait)) => Some(self.silences.asked(wait, now)),
            None => None,
        };
        if silence.is_none_or(|silence| !silence.throttled) {
            self.silences.clean();
        }
        Heed {
            silence,
            opened: self.breaker.hear(pass, pulse, now, dice),
            hopeless: self.health.hear(reply),
        }
    }

    /// Takes in how an operation ended; a text when nothing more should be sent to the tenant.
    pub fn conclude(&mut self, outcome: &Outcome) -> Option<String> {
        if matches!(outcome, Outcome::Settled { .. }) {
            self.budget.earn();
        }
        self.health.take(Sign::of(outcome))
    }
}
