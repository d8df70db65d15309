//! The decisions, as values: what a record means, what differs, what to send, whether to dare, and
//! what to do next.
//!
//! Pure: no clock, no disk, no network. `now` and the dice are arguments.

pub mod mapping;
pub mod value_rules;

pub mod bits;
pub mod index;

pub mod diff;
pub mod drift;
pub mod life;
pub mod plan;
pub mod quarantine;

pub mod guard;

pub mod bisect;
pub mod delivery;
pub mod listing;
pub mod reply;
pub mod retry;

pub mod allowance;
pub mod breaker;
pub mod budget;
pub mod caution;
pub mod health;
pub mod pace;
pub mod silence;
