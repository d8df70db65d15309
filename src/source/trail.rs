//! From a row of our own copy back to where it came from.

use super::findings::at_line;
use crate::model::{Finding, Place};
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs::File,
    io::{self, BufRead, BufReader},
    path::Path,
};

/// Where a row came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Origin {
    /// A line of the file.
    Line(u64),
    /// An element of the list of records, from 0; and the page, from 1, where there are pages.
    Element { page: Option<u64>, number: u64 },
}

/// Where all rows came from. Rows of which each is the next one take no room.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Trail {
    /// The file that was read, or the feed.
    file: String,
    /// The list's place in a document, by RFC 6901.
    list: String,
    runs: Vec<(u64, Origin)>,
    rows: u64,
    /// What is to be told of a row instead of what the copy shows.
    #[serde(skip)]
    notes: BTreeMap<u64, Finding>,
}

/// Rows of which more can be told than the copy shows. Far more than are listed.
const NOTES_MAX: usize = 1000;

impl Trail {
    pub(super) fn new(file: String, list: String) -> Self {
        Self { file, list, ..Self::default() }
    }

    pub(super) fn push(&mut self, origin: Origin) {
        let row = self.rows;
        self.rows += 1;
        if self.runs.last().is_none_or(|(first, start)| start.after(row - first) != origin) {
            self.runs.push((row, origin));
        }
    }

    pub(super) fn rows(&self) -> u64 {
        self.rows
    }

    pub(super) fn note(&mut self, row: u64, finding: Finding) {
        if self.notes.len() < NOTES_MAX {
            self.notes.entry(row).or_insert(finding);
        }
    }

    /// Nothing was noted of any row.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        self.notes.is_empty()
    }

    pub(super) fn list(&self) -> &str {
        &self.list
    }

    /// Where a row came from, counted from 0.
    pub(super) fn origin(&self, row: u64) -> Option<Origin> {
        let at = self.runs.partition_point(|(first, _)| *first <= row);
        let (first, start) = self.runs.get(at.checked_sub(1)?)?;
        Some(start.after(row - first))
    }

    pub(super) fn note_of(&self, row: u64) -> Option<&Finding> {
        self.notes.get(&row)
    }

    /// The place of a row.
    pub(super) fn place(&self, row: u64) -> Place {
        let file = Some(self.file.clone()).filter(|file| !file.is_empty());
        match self.origin(row) {
            None => Place { file, ..Place::default() },
            Some(Origin::Line(line)) => Place { file, ..at_line(line) },
            Some(Origin::Element { page, number }) => {
                let page = page.map(|page| format!("page {page} ")).unwrap_or_default();
                let pointer = Some(format!("{page}{}/{number}", self.list));
                Place { file, pointer, ..Place::default() }
            }
        }
    }

    /// Lets findings about the copy tell where the trouble is in the original.
    ///
    /// # Errors
    /// When the copy cannot be read again.
    pub fn tell(&self, copy: &Path, findings: &mut [Finding]) -> io::Result<()> {
        let told = |finding: &Finding| named_lines(&finding.message).into_iter().flatten();
        let lines =
            findings.iter().flat_map(|finding| finding.place.line.into_iter().chain(told(finding)));
        let rows = rows_at(copy, &lines.collect())?;
        let row = |line: u64| rows.get(&line).copied().flatten();
        for finding in findings {
            if let Some(lines) = named_lines(&finding.message) {
                finding.message = self.retold(&finding.message, &lines, &row);
            }
            let row = finding.place.line.and_then(row);
            if let Some(note) = row.and_then(|row| self.notes.get(&row)) {
                let key = finding.key.take().or(note.key.clone());
                *finding = Finding { key, severity: finding.severity, ..note.clone() };
                continue;
            }
            let place = row.map_or_else(Place::default, |row| self.place(row));
            let column = finding.place.column.take();
            finding.place = Place { file: Some(self.file.clone()), column, ..place };
        }
        Ok(())
    }

    /// The message, naming places of the original instead of lines of the copy.
    fn retold(&self, message: &str, lines: &[u64], row: &impl Fn(u64) -> Option<u64>) -> String {
        let places: Vec<String> = lines
            .iter()
            .filter_map(|line| Some(self.place(row(*line)?)))
            .map(|place| match place {
                Place { line: Some(line), .. } => line.to_string(),
                Place { pointer, .. } => pointer.unwrap_or_default(),
            })
            .collect();
        let noun = if self.list_is_lines() { "lines" } else { "elements" };
        let rest = message
            .trim_start_matches(LINES)
            .trim_start_matches(|c: char| c.is_ascii_digit() || c == ',' || c == ' ');
        let gap = if rest.starts_with('…') { ", " } else { " " };
        format!("{noun} {}{gap}{rest}", places.join(", "))
    }

    fn list_is_lines(&self) -> bool {
        self.runs.iter().all(|(_, origin)| matches!(origin, Origin::Line(_)))
    }

    /// Where the rows at these lines of the copy came from.
    ///
    /// # Errors
    /// When the copy cannot be read again.
    pub fn places(
        &self,
        copy: &Path,
        lines: &BTreeSet<u64>,
    ) -> io::Result<BTreeMap<u64, (Place, Option<&Finding>)>> {
        let rows = rows_at(copy, lines)?;
        let place = |row: u64| (self.place(row), self.notes.get(&row));
        Ok(rows.into_iter().filter_map(|(line, row)| Some((line, place(row?)))).collect())
    }
}

/// How a message begins that names several rows.
const LINES: &str = "lines ";

/// The lines that a message names at its beginning.
fn named_lines(message: &str) -> Option<Vec<u64>> {
    let rest = message.strip_prefix(LINES)?;
    let end = rest.find(|c: char| !c.is_ascii_digit() && c != ',' && c != ' ')?;
    let lines: Option<Vec<u64>> = rest[..end]
        .split([',', ' '])
        .filter(|part| !part.is_empty())
        .map(|part| part.parse().ok())
        .collect();
    lines
}

impl Trail {
    /// The numbers of the rows at these lines of the copy: their lines in the original, or those of
    /// their elements, from 1.
    ///
    /// # Errors
    /// When the copy cannot be read again.
    pub fn numbers(&self, copy: &Path, lines: &BTreeSet<u64>) -> io::Result<BTreeMap<u64, u64>> {
        let number = |row: u64| match self.origin(row)? {
            Origin::Line(line) => Some(line),
            Origin::Element { page: _, number } => Some(number + 1),
        };
        let rows = rows_at(copy, lines)?.into_iter();
        Ok(rows.filter_map(|(line, row)| Some((line, number(row?)?))).collect())
    }
}

impl Origin {
    /// The one so many further.
    fn after(self, count: u64) -> Self {
        match self {
            Self::Line(line) => Self::Line(line + count),
            Self::Element { page, number } => Self::Element { page, number: number + count },
        }
    }
}

/// The rows, counted from 0 after the header, to which lines of our own copy belong; a cell with line
/// ends is quoted there, and a line end is what the reader takes for one.
fn rows_at(copy: &Path, lines: &BTreeSet<u64>) -> io::Result<BTreeMap<u64, Option<u64>>> {
    let mut rows = BTreeMap::new();
    let Some(last) = lines.last() else { return Ok(rows) };
    let mut input = BufReader::with_capacity(256 << 10, File::open(copy)?);
    let (mut line, mut row, mut quoted, mut after_cr) = (1, None, false, false);
    let mut note = |line: u64, row: Option<u64>| {
        if lines.contains(&line) {
            rows.insert(line, row);
        }
    };
    note(line, row);
    while line <= *last {
        let bytes = input.fill_buf()?;
        if bytes.is_empty() {
            break;
        }
        for byte in bytes {
            let ends_line = *byte == b'\r' || *byte == b'\n' && !after_cr;
            after_cr = *byte == b'\r';
            quoted ^= *byte == b'"';
            if ends_line {
                line += 1;
                row = if quoted { row } else { Some(row.map_or(0, |row| row + 1)) };
                note(line, row);
            }
        }
        let count = bytes.len();
        input.consume(count);
    }
    Ok(rows)
}
