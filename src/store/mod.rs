//! The memory of one tenant: one `SQLite` file, the only place with SQL.
//!
//! It holds what the target last showed of every user, the operations on their way (*intents*), the
//! journal of outcomes, and a few marks. An intent is durable before its request leaves; an outcome
//! and the change of the snapshot that it brings are one transaction, synced to the disk. While an
//! intent is open, the attributes that it names are unknown and its user is in doubt. Once that is
//! settled the user is *suspect*, since the request may arrive yet, until two later runs have read
//! what is known.
//!
//! - [`Store`] is the one writer. It owns `<tenant>.lock` for as long as it lives.
//! - [`ReadStore`] only looks, and leaves the directory as it found it.
//! - Both read through [`Snapshot`], so what plans need not know which of them it was given.
//! - [`Writer`] is a thread around a [`Store`] that commits in groups.
//!
//! The fingerprints that a quiet night compares are *packed*: a cache in large rows, read at once and
//! brought up to date at the end of a run ([`Store::pack`]). It is never older than it says: whoever
//! had an outcome since is not settled.
//!
//! A file that was changed, cut or put back by somebody else is noticed, and never interpreted: rows
//! have hashes, the journal is a chain ([`audit`]), and `<tenant>.serial` says how far the file had come.
//! [`Store::restore`] and [`Store::resnapshot`] are the ways out, and both believe nothing of anybody.
//!
//! There is no clock here: every instant is an argument.

mod approvals;
mod backup;
mod chain;
mod convert;
mod disk;
mod doubt;
mod drift;
mod entry;
mod error;
mod files;
mod find;
mod fold;
mod holds;
mod import;
mod index;
mod journal;
mod ledger;
mod life;
mod mirror;
mod opening;
mod pace;
mod pack;
mod packed;
mod pending;
mod place;
mod read_store;
mod recent;
mod reserve;
mod restore;
mod rows;
mod schema;
mod snapshot;
mod sqlite;
mod unmade;
mod write;
mod writer;

pub use approvals::{AcceptedView, Approval, ApprovalError, Approving, Bindings, WaitingPlan};
pub use backup::{backups, folder as backup_folder};
pub use chain::{Audit, Broken, audit};
pub use disk::disk_failure;
pub use drift::DriftSample;
pub use entry::{ActionKind, Conclusion, Entry, Intent};
pub use error::StoreError;
pub use files::Holder;
pub use holds::{Hold, InQuarantine, TenantInQuarantine};
pub use import::{Account, Import, Imported};
pub use journal::{JournalFilter, JournalRow, OutcomeKind, RunRow};
pub use life::{InVain, Link, Origin};
pub use packed::PackedPages;
pub use pending::LastAnswer;
pub use read_store::ReadStore;
pub use restore::{Renewed, Request};
pub use snapshot::{AcceptedInput, Pause, RefusedWish, Snapshot};
pub use write::{RETENTION_DAYS, Store};
pub use writer::{Done, Scribe, Writer};
