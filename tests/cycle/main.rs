//! Whole nights: a roster on disk, a snapshot in `SQLite`, HTTP on loopback. Every test ends with a
//! night that sends nothing, and with targets that have no complaint.

#![expect(clippy::unwrap_used, reason = "a failed step of a test ends it")]

mod approvals;
mod clock;
mod company;
mod doubt;
mod faults;
mod feed;
mod guards;
mod held;
mod logins;
mod quarantine;
mod quiet;
mod sources;
mod targets;
mod throttle;
mod tokens;
mod world;
