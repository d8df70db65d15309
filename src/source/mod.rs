//! The sources: who works here, as records, with facts about the whole read.
//!
//! A source becomes one CSV file, be it our own copy of JSON ([`json`]), of a source and those that are
//! joined to it, or of rows that count from a day on (`merge`, `join`, `dates`), in a file of our own
//! (`draft`, `sheet`), from which a `trail` leads back. That file is looked at twice, for all tenants
//! together:
//!
//! ```text
//! first look   file ─► input ───► cut ────► block ──────► ledger ─────► Roster
//!                      gunzip,    pieces    rows, keys,   duplicates,   or Refused
//!                      decode     of text   settled?      references
//! second look  fresh rows ─► FreshRows ─► Batch ─► Record
//! ```
//!
//! The first look judges all rows and keeps nothing of one that every tenant has settled, but the
//! line of its user; the second reads only the fresh rows. Blocks are judged side by side, and most
//! rows at a glance (`plain`). Whatever is not plain goes through `scan` and the `csv` crate, and a
//! file of which a block does not end with a row is read once more, in one go (`look`), by the
//! `guard`: that is the reference, and the tests hold the fast way to it.
//!
//! Memory grows by 4 bytes for each user that is known, 40 for each fresh row, 8 for each user that
//! is not known, and 32 for each reference, never with the file: a cell is held to 64 KiB and a row
//! to 1 MiB.
//!
//! What decides the shape of it:
//!
//! - **Unknown is not absent.** A row that cannot be read is held, and when its key cannot be read
//!   the roster is `Partial`: nobody is a leaver by absence.
//! - **All problems in one run**, as far as one can go on: see [`codes`] for the kinds. Of each kind
//!   a hundred are listed and the rest counted.
//! - **A quote too many or too few never loses a user silently**: the row is refused or held.
//! - **A file may be cut.** A last row without a line end is held and the roster is `Partial`,
//!   unless a gzip checksum vouches for the end or `allow_missing_final_newline` is set. A cut
//!   exactly between two rows cannot be seen here; the guard on the number of rows sees it.
//! - **Values are not touched.** Cells come out as they stand; only keys are brought to a normal
//!   form (ASCII blanks trimmed, NFC, folded where wished).

mod again;
mod block;
mod cells;
pub mod codes;
mod csv;
mod cut;
mod dates;
mod draft;
mod drop;
#[cfg(test)]
mod equal;
mod fault;
mod findings;
mod grammar;
mod guard;
mod header;
mod input;
mod join;
pub mod json;
mod judge;
mod keys;
mod ledger;
mod lock;
mod look;
mod merge;
mod plain;
mod references;
mod roster;
mod rows;
mod scan;
mod settings;
mod sheet;
mod sniff;
mod spread;
mod stretch;
mod tale;
mod trail;
mod whole;

pub use csv::{header_findings, read, read_file};
pub use dates::{Effective, EffectiveSettings, PAST, STANDING, WAITING};
pub use draft::{Draft, Kept, make_private};
pub use drop::{Accepted, Companion, DropRules, DropSettings, Dropped, Newest};
pub use findings::Refused;
pub use input::Input;
pub use join::{JoinPart, JoinSettings, Missing, Partner};
pub use keys::{key_fingerprint, typed_key};
pub use lock::FileLock;
pub use merge::{Format, Merged, Part, merge};
pub use roster::{Arrival, Batch, FreshRows, Roster};
pub use settings::{CsvSettings, Demand, OnBadRow};
pub use sheet::{Copy, Sheet};
pub use tale::Tale;
pub use trail::{Origin, Trail};
pub use whole::FileMark;
