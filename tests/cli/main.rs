//! The program as people and systems run it: exit codes, what is on stdout and stderr, signals, and
//! the files that it leaves. The targets are practice servers in this process.

#![expect(clippy::unwrap_used, reason = "a failed step of a test ends it")]

mod approve;
#[expect(dead_code, reason = "whole nights need more of it")]
#[path = "../cycle/company.rs"]
mod company;
mod exits;
mod holds;
mod output;
mod plans;
mod probe;
mod service;
mod signals;
mod stage;
mod state;
mod surveys;
