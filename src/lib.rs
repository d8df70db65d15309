//! rosterd keeps user directories in step with the HR roster.
//!
//! The modules stand in the order of the pipeline, and each may use only those above it:
//! `ARCHITECTURE.md` tells what is where, and `tests/tidy.rs` holds the code to it.

pub mod model;

pub mod engine;

pub mod dialect;

pub mod source;

pub mod config;

pub mod store;

pub mod sender;

pub mod feed;

pub mod cycle;

pub mod daemon;

pub mod report;

pub mod sandbox;

pub mod cli;
