//! What a source yields: records by column name, and facts about the whole read.

use super::{Finding, Fingerprint, UserKey};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

/// Column names of one read, after aliases, in the file's order. Names are unique.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Columns(Vec<String>);

impl Columns {
    /// The caller has checked that the names are unique.
    #[must_use]
    pub fn new(names: Vec<String>) -> Self {
        Self(names)
    }

    #[must_use]
    pub fn names(&self) -> &[String] {
        &self.0
    }

    #[must_use]
    pub fn contains(&self, name: &str) -> bool {
        self.0.iter().any(|column| column == name)
    }
}

/// One row of the source, by column name.
#[derive(Clone, PartialEq, Eq)]
pub struct Record {
    pub key: UserKey,
    /// The row's first physical line, from 1.
    pub line: u64,
    /// Cells by column name, exactly as read (decoded, neither trimmed nor normalised). A column
    /// that the file does not have is absent, which is not the same as empty.
    pub fields: BTreeMap<String, String>,
    /// Columns whose cell cannot be believed though the row can: a reference to nobody, or one
    /// that closes a cycle. The mapping leaves what depends on them as it is.
    pub unusable: BTreeSet<String>,
    /// Of the key and the cells that some tenant uses.
    pub fingerprint: Fingerprint,
}

/// A row that could not be read: neither a change nor a leaver.
#[derive(Clone, Debug)]
pub struct HeldRow {
    /// Absent when the key itself could not be read; then nobody is a leaver by absence.
    pub key: Option<UserKey>,
    pub line: u64,
    /// Why, for the report; without any cell's content.
    pub why: String,
}

/// Facts about one complete or partial read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceFacts {
    /// Data rows seen, held ones and collapsed repetitions included.
    pub rows: u64,
    /// Distinct users of them, held ones included.
    pub users: u64,
    /// Rows held.
    pub held: u64,
    pub completeness: Completeness,
    /// Of all rows, whatever their order; equal digests mean equal rosters.
    pub digest: Fingerprint,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Completeness {
    Complete,
    /// Why absence proves nothing in this read.
    Partial(String),
}

/// One read of a source, judged.
#[derive(Clone, Debug)]
pub struct Roster {
    pub columns: Columns,
    /// The rows that the caller asked to keep, sorted by key. Keys are unique.
    pub records: Vec<Record>,
    /// Fingerprints of the keys of everybody in the file, held rows with a readable key included.
    pub present: BTreeSet<Fingerprint>,
    pub held: Vec<HeldRow>,
    /// Everything noticed that did not refuse the read, in line order.
    pub findings: Vec<Finding>,
    pub facts: SourceFacts,
}

impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Record(line {}, {} fields)", self.line, self.fields.len())
    }
}
