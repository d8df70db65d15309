//! Whole nights: a roster on disk, a snapshot in `SQLite`, HTTP on loopback. Every test ends with a
//! night that sends nothing, and with targets that have no complaint.

#![expect(clippy::unwrap_used, reason = "a failed step of a test ends it")]

mod approvals;
mod clock;
mod company;
mod directory;
mod directory_groups;
mod directory_life;
mod doubt;
mod drift;
mod faults;
mod feed;
mod guards;
mod held;
mod life;
mod lists;
mod logins;
mod probe;
mod quarantine;
mod quiet;
mod references;
mod sources;
mod strangers;
mod targets;
mod throttle;
mod tokens;
mod unmade;
mod world;
