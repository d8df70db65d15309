//! Ends of a process, and of a machine, at every moment: what the next runs make of them.
//!
//! `ROSTERD_CRASH_ALL=1 cargo test --test crash` ends the program at every single system call that it
//! writes with; without it, at some of them.

#![expect(clippy::unwrap_used, reason = "a failed step of a test ends it")]

mod births;
mod calls;
mod cells;
#[path = "../cycle/company.rs"]
#[expect(dead_code, reason = "whole nights need more of it")]
mod company;
mod image;
mod ink;
mod life;
mod matrix;
mod program;
mod scene;
#[path = "../cli/stage.rs"]
#[expect(dead_code, reason = "the commands need more of it")]
mod stage;
mod wire;
