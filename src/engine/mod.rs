//! The decisions, as values: what differs, what to send, whether to dare, what to do next.
//!
//! Pure: no clock, no disk, no network. `now` and the dice are arguments.

pub mod delivery;
pub mod diff;
pub mod guard;
pub mod health;
pub mod plan;
pub mod retry;
