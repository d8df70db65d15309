//! rosterd keeps user directories in step with the HR roster.
//!
//! The modules stand in the order of the pipeline, and each may use only those above it:
//! `ARCHITECTURE.md` tells what is where, and `tests/tidy.rs` holds the code to it.

pub mod dialect;
pub mod model;
pub mod source;
