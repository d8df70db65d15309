//! Whole nights: a roster on disk, a snapshot in `SQLite`, HTTP on loopback. Every test ends with a
//! night that sends nothing, and with targets that have no complaint.

#![expect(clippy::unwrap_used, reason = "a failed step of a test ends it")]

mod approvals;
mod company;
mod directory;
mod directory_groups;
mod directory_life;
mod doubt;
mod drift;
mod faults;
mod guards;
mod held;
mod life;
mod lists;
mod probe;
mod quarantine;
mod quiet;
mod targets;
mod throttle;
mod world;
