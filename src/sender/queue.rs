//! Operations of one delivery, from waiting to begun.

use crate::model::Operation;
use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
};

/// Operations that were not begun, in their order.
#[derive(Default)]
pub(super) struct Queue(Mutex<VecDeque<Operation>>);

/// An operation whose intent is on the disk, under that number.
pub(super) struct Begun {
    pub(super) operation: Operation,
    pub(super) intent: u64,
}

impl Queue {
    /// In place of what is left of an earlier delivery.
    pub(super) fn fill(&self, operations: Vec<Operation>) {
        *self.lock() = operations.into();
    }

    pub(super) fn pop(&self) -> Option<Operation> {
        self.lock().pop_front()
    }

    /// The operation under the number of its intent, or back in the queue when there is none.
    pub(super) fn begin(
        &self,
        operation: Operation,
        intent: Result<Option<u64>, String>,
    ) -> Result<Option<Begun>, String> {
        if let Ok(Some(intent)) = intent {
            return Ok(Some(Begun { operation, intent }));
        }
        self.lock().push_front(operation);
        intent.map(|_| None)
    }

    pub(super) fn len(&self) -> usize {
        self.lock().len()
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Operation>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
