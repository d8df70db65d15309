//! What a lane has recorded, and what it tells of what it did.

use crate::{
    engine::delivery::Parts,
    model::{Notice, Operation, Outcome},
};
use jiff::Timestamp;
use std::{collections::BTreeSet, future::Future, time::Duration};

/// Where intents and outcomes are made durable. Each call returns when it is on disk.
pub trait Recorder: Send + Sync + 'static {
    /// Before the first request of an operation leaves; the number names it from then on.
    fn intend(
        &self,
        operation: &Operation,
        at: Timestamp,
    ) -> impl Future<Output = Result<u64, String>> + Send;

    /// Before each further request of it leaves.
    fn again(&self, intent: u64, at: Timestamp) -> impl Future<Output = Result<(), String>> + Send;

    fn settle(
        &self,
        intent: u64,
        operation: &Operation,
        end: End,
    ) -> impl Future<Output = Result<(), String>> + Send;

    /// As [`Self::settle`] of one operation and then [`Self::intend`] of the next one, but both or
    /// neither, and in one wait for the disk.
    fn settle_and_intend(
        &self,
        intent: u64,
        operation: &Operation,
        end: End,
        next: &Operation,
        at: Timestamp,
    ) -> impl Future<Output = Result<u64, String>> + Send;

    /// Nothing is to be sent to the tenant before that instant. `learnt`: the share of the quota to
    /// use after it, and when that was learnt; see [`super::Pacer::learnt`].
    fn pause(
        &self,
        until: Timestamp,
        why: String,
        learnt: (Option<f64>, Timestamp),
    ) -> impl Future<Output = Result<(), String>> + Send;
}

/// How one operation ended.
#[derive(Clone, Debug)]
pub struct End {
    pub outcome: Outcome,
    /// Of the last answer, if there was one.
    pub status: Option<u16>,
    /// Requests sent for it.
    pub requests: u32,
    pub at: Timestamp,
    /// Nobody knew for a time what became of a request of it, which may arrive yet.
    pub was_in_doubt: bool,
    /// Where it did not go as a whole.
    pub parts: Option<Parts>,
}

/// What became of a list of operations.
#[derive(Debug, Default)]
pub struct Delivered {
    /// Operations that were not begun.
    pub left: usize,
    pub ended: Option<Ended>,
    pub tally: Tally,
    pub notices: BTreeSet<Notice>,
}

/// Why a lane ended before its last operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// The process is asked to stop.
    Stopped,
    /// The run took too long.
    Deadline,
    /// The target asked for silence until then: for longer than a run waits, or again and again
    /// without an answer in between.
    Throttled {
        until: Timestamp,
    },
    /// The target failed again and again.
    Unwell {
        why: String,
    },
    Unauthorized,
    /// The target's login gives no tokens, and would give none if it were asked again.
    LoginRefused {
        why: String,
    },
    Broken {
        why: String,
    },
    /// An intent or an outcome could not be written, so nothing may be sent any more.
    NotRecorded {
        why: String,
    },
}

/// Counted in requests, not in operations.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Reads and look-ups.
    pub reads: u64,
    /// Whatever changes something.
    pub patches: u64,
    pub throttled: u64,
    /// Time that the whole lane was silent because the target asked for it.
    pub paused: Duration,
}
