//! The first look at a file in one go, by the guard and the `csv` crate: the reference for every
//! faster one, and the only one that reads on after damage.

use super::{
    codes, fault,
    findings::{Findings, Refused, at_line, refusal},
    guard::{BUFFER_BYTES, Guard},
    header::{self, Header},
    input::{self, Text},
    ledger::Ledger,
    rows::Judge,
    settings::{CsvSettings, Demand, OnBadRow, Rules},
    stretch::Stretch,
};
use crate::engine::index::Index;
use crate::model::Finding;
use std::io::Read;

/// What is looked for.
#[derive(Clone, Copy)]
pub(super) struct Look<'a> {
    pub(super) settings: &'a CsvSettings,
    pub(super) rules: &'a Rules,
    pub(super) demand: &'a Demand,
    pub(super) index: &'a Index,
}

/// What was found, still to be judged as a whole.
pub(super) struct Looked<'a> {
    pub(super) judge: Judge<'a>,
    pub(super) ledger: Ledger,
    /// In force, be it by the file's own word.
    pub(super) delimiter: u8,
}

/// Rows of a stretch.
const STRETCH_ROWS: u64 = 4096;
/// A stretch is held to positions of 32 bits.
const STRETCH_BYTES: u64 = 1 << 30;

impl<'a> Look<'a> {
    /// A read's rows are numbered in 32 bits.
    pub(super) fn rows_max(&self) -> u64 {
        self.settings.max_rows.min(u64::from(u32::MAX))
    }

    /// All rows, up to their end or until there is no sense in going on.
    pub(super) fn in_one_go(&self, text: Text<'_>) -> Result<Looked<'a>, Refused> {
        let Text { reader, end_is_proven, first_byte } = text;
        let mut findings = Findings::default();
        let (guard, delimiter) =
            Guard::new(reader, self.rules.delimiter, first_byte.unwrap_or_default());
        let mut rows = reader_of(guard, delimiter);
        let mut cells = ::csv::ByteRecord::new();
        let Some(header) = read_header(&mut rows, &mut cells, self, &mut findings) else {
            return Err(Refused { findings: findings.into_list() });
        };
        let guard = rows.get_mut();
        guard.grammar.columns = Some(header.names.len());
        guard.grammar.multiline.clone_from(&header.multiline);
        let trusts_end = end_is_proven || self.settings.allow_missing_final_newline;
        let trusts = (trusts_end, first_byte.is_some());
        let judge = Judge::new(self.settings, self.rules, header, delimiter, trusts);
        let mut ledger = Ledger::new(self.index, judge.header.references.len());
        ledger.findings = findings;
        self.read_rows(&mut rows, &mut cells, &judge, &mut ledger);
        Ok(Looked { judge, ledger, delimiter })
    }

    /// What is told of the header.
    pub(super) fn header_alone(&self, text: Text<'_>) -> Result<Vec<Finding>, Refused> {
        let mut findings = Findings::default();
        let (guard, delimiter) = Guard::new(text.reader, self.rules.delimiter, 0);
        let header = header_of(guard, delimiter, self, &mut findings);
        let findings = findings.into_list();
        if header.is_some() { Ok(findings) } else { Err(Refused { findings }) }
    }

    fn read_rows<R: Read>(
        &self,
        rows: &mut Rows<R>,
        cells: &mut ::csv::ByteRecord,
        judge: &Judge<'_>,
        ledger: &mut Ledger,
    ) {
        let mut stretch = Stretch::new(self.index);
        let references = judge.header.references.len();
        stretch.begin(0, 0, references);
        while next(rows, cells, &mut ledger.findings) {
            let Some(row) = rows.get_ref().row() else { break };
            let chunk = &stretch.chunk;
            let full = chunk.counts.rows >= STRETCH_ROWS || row.byte - chunk.byte > STRETCH_BYTES;
            if full || chunk.counts.rows == 0 {
                ledger.take_told(stretch.end());
                stretch.begin(row.byte, row.line, references);
            }
            if ledger.counts.rows + stretch.chunk.counts.rows == self.rows_max() {
                let message = format!("the file has more than max_rows = {}", self.rows_max());
                let hint = "raise `max_rows` if it is right";
                let mut refusal = refusal(codes::TOO_MANY_ROWS, message + " rows", hint);
                refusal.place = at_line(row.line);
                ledger.findings.add(refusal);
                ledger.counts.rows += 1;
                break;
            }
            judge.row(row, cells, &mut stretch);
        }
        ledger.take_told(stretch.end());
    }
}

/// The header that the guard comes to first, and the guard behind it.
pub(super) fn header_of<R: Read>(
    guard: Guard<R>,
    delimiter: u8,
    look: &Look<'_>,
    findings: &mut Findings,
) -> Option<(Header, Guard<R>)> {
    let mut rows = reader_of(guard, delimiter);
    let header = read_header(&mut rows, &mut ::csv::ByteRecord::new(), look, findings)?;
    Some((header, rows.into_inner()))
}

fn reader_of<R: Read>(guard: Guard<R>, delimiter: u8) -> Rows<R> {
    ::csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .delimiter(delimiter)
        .buffer_capacity(BUFFER_BYTES)
        .from_reader(guard)
}

type Rows<R> = ::csv::Reader<Guard<R>>;

/// Moves on to the next row. False at the end, or when the input failed, which is then told.
fn next<R: Read>(
    rows: &mut Rows<R>,
    cells: &mut ::csv::ByteRecord,
    findings: &mut Findings,
) -> bool {
    // The guard fails silently and keeps the reason, so that this can only be a row or the end.
    let more = rows.read_byte_record(cells).unwrap_or(false);
    let guard = rows.get_mut();
    if let Some(error) = guard.take_failure() {
        let mut finding = input::failure(&error);
        finding.place.line = Some(guard.line());
        findings.add(finding);
    }
    more
}

fn read_header<R: Read>(
    rows: &mut Rows<R>,
    cells: &mut ::csv::ByteRecord,
    look: &Look<'_>,
    findings: &mut Findings,
) -> Option<Header> {
    let more = next(rows, cells, findings);
    let Some(row) = rows.get_ref().row().filter(|_| more) else {
        if !findings.refuse() {
            let hint = "see whether the export ran; an empty file never means that all users left";
            findings.add(refusal(codes::EMPTY, "the file is empty", hint));
        }
        return None;
    };
    if let Some(finding) = fault::describe(row, &[], false, OnBadRow::Refuse) {
        findings.add(finding);
        return None;
    }
    let names: Vec<&str> = cells.iter().filter_map(|cell| std::str::from_utf8(cell).ok()).collect();
    if row.literal_quote.is_some() || row.lines > 0 || names.len() != cells.len() {
        let mut finding = refusal(
            codes::HEADER_DAMAGED,
            "the header line holds a stray quote",
            "column names have neither quotes nor line ends in them",
        );
        finding.place.line = Some(row.line);
        findings.add(finding);
        return None;
    }
    header::read(&names, row.line, look.settings, look.demand, findings)
}
