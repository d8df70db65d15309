//! Reads that move nothing: what is recorded of them is that they left, and what they showed is handed
//! back.

use crate::{
    cycle::recorder::Journal,
    model::{Operation, Outcome, UserKey},
    sender::{End, Recorder},
    store::{Store, StoreError},
};
use jiff::Timestamp;
use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

/// Counts what leaves, and keeps what comes back.
pub(super) struct Looks {
    journal: Journal,
    seen: Mutex<BTreeMap<UserKey, Outcome>>,
}

/// What stands for the number of an operation that nobody looks up.
const NUMBER: u64 = 0;

impl Looks {
    pub(super) fn new(journal: Journal) -> Self {
        Self { journal, seen: Mutex::default() }
    }

    /// The store, and what became of each read.
    pub(super) fn finish(self) -> Result<(Store, BTreeMap<UserKey, Outcome>), StoreError> {
        let Self { journal, seen } = self;
        let store = journal.finish()?.store;
        Ok((store, seen.into_inner().unwrap_or_else(PoisonError::into_inner)))
    }

    fn keep(&self, operation: &Operation, end: End) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.insert(operation.key.clone(), end.outcome);
    }
}

impl Recorder for Looks {
    async fn intend(&self, _: &Operation, at: Timestamp) -> Result<u64, String> {
        self.journal.again(NUMBER, at).await?;
        Ok(NUMBER)
    }

    async fn again(&self, _: u64, at: Timestamp) -> Result<(), String> {
        self.journal.again(NUMBER, at).await
    }

    async fn settle(&self, _: u64, operation: &Operation, end: End) -> Result<(), String> {
        self.keep(operation, end);
        Ok(())
    }

    async fn settle_and_intend(
        &self,
        _: u64,
        operation: &Operation,
        end: End,
        _: &Operation,
        at: Timestamp,
    ) -> Result<u64, String> {
        self.keep(operation, end);
        self.journal.again(NUMBER, at).await?;
        Ok(NUMBER)
    }

    async fn pause(
        &self,
        until: Timestamp,
        why: String,
        learnt: (Option<f64>, Timestamp),
    ) -> Result<(), String> {
        self.journal.pause(until, why, learnt).await
    }
}
