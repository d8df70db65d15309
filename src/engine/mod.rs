//! The engine: every decision about a person's data, as plain functions from values to values.
//!
//! No clock, no disk, no network: whoever needs to know the time is given it. `value_rules` says
//! what a text must look like to be a value of a kind; `mapping` turns a record into the account
//! that is wanted.

pub mod mapping;
pub mod value_rules;
