//! What a source yields: records by column name, and facts about the whole read.

use super::{Fingerprint, UserKey};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::Arc,
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

/// A cell of which nothing is known, which is not the same as an empty one: what depends on it stays as
/// it is. No text of people: the character is one of those that Unicode leaves to programs.
pub const UNKNOWN_CELL: &str = "\u{fdd0}";

/// One row of the source, by column name.
#[derive(Clone, PartialEq, Eq)]
pub struct Record {
    pub key: UserKey,
    /// The row's first physical line, from 1.
    pub line: u64,
    /// Cells by column name, exactly as read (decoded, neither trimmed nor normalised). A column
    /// that the file does not have is absent, which is not the same as empty.
    pub fields: Fields,
    /// Columns whose cell cannot be believed though the row can: a reference to nobody, or one
    /// that closes a cycle. The mapping leaves what depends on them as it is.
    pub unusable: BTreeSet<String>,
    /// Of the key and the cells that some tenant uses.
    pub fingerprint: Fingerprint,
}

/// Cells by column name. The names are shared by all records of one read: an immutable list, which
/// is why an `Arc` may stand here though nothing else in this module is shared between threads.
#[derive(Clone)]
pub struct Fields {
    /// Sorted, each name once.
    names: Arc<[String]>,
    /// All cells, one after another.
    text: String,
    /// Where each cell ends in `text`.
    ends: Vec<u32>,
}

impl Fields {
    /// Of nothing yet; takes one cell a name. `names`: sorted, each name once.
    #[must_use]
    pub fn under(names: Arc<[String]>, bytes: usize) -> Self {
        let ends = Vec::with_capacity(names.len());
        Self { names, text: String::with_capacity(bytes), ends }
    }

    /// The next name's cell. All cells together are held to 4 GiB; names without one are absent.
    pub fn push(&mut self, cell: &str) {
        self.text.push_str(cell);
        self.ends.push(u32::try_from(self.text.len()).unwrap_or(u32::MAX));
    }

    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        let at = self.names.binary_search_by(|known| known.as_str().cmp(name)).ok()?;
        self.cell(at)
    }

    #[must_use]
    pub fn contains(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    #[must_use]
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Names and cells, in the order of the names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        let cells = (0..self.ends.len()).filter_map(|at| self.cell(at));
        self.names.iter().map(String::as_str).zip(cells)
    }

    fn cell(&self, at: usize) -> Option<&str> {
        let end = *self.ends.get(at)? as usize;
        let start = at.checked_sub(1).map_or(0, |before| self.ends[before] as usize);
        self.text.get(start..end)
    }
}

impl FromIterator<(String, String)> for Fields {
    /// Of two cells of one name the last one counts.
    fn from_iter<I: IntoIterator<Item = (String, String)>>(cells: I) -> Self {
        let cells: BTreeMap<String, String> = cells.into_iter().collect();
        let bytes = cells.values().map(String::len).sum();
        let (names, cells): (Vec<String>, Vec<String>) = cells.into_iter().unzip();
        let mut fields = Self::under(names.into(), bytes);
        for cell in &cells {
            fields.push(cell);
        }
        fields
    }
}

impl PartialEq for Fields {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Eq for Fields {}

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
    /// Rows that wait for their first day; their users stay as they are.
    pub waiting: u64,
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

impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Record(line {}, {} fields)", self.line, self.fields.len())
    }
}

/// Cells are personal.
impl fmt::Debug for Fields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fields({} cells)", self.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_found_by_name_and_listed_in_the_order_of_names() {
        let pair = |name: &str, cell: &str| (name.to_owned(), cell.to_owned());
        let fields: Fields =
            [pair("title", "Clerk"), pair("id", "E1"), pair("name", "")].into_iter().collect();
        assert_eq!((fields.get("id"), fields.get("name")), (Some("E1"), Some("")));
        assert!(fields.get("boss").is_none() && fields.contains("title"));
        let listed: Vec<_> = fields.iter().collect();
        assert_eq!(listed, [("id", "E1"), ("name", ""), ("title", "Clerk")]);
        let mut same = Fields::under(["id", "name", "title"].map(str::to_owned).into(), 0);
        for cell in ["E1", "", "Clerk"] {
            same.push(cell);
        }
        assert_eq!(fields, same);
    }
}
