//! Our own copy of a source as CSV: UTF-8, commas, lines that end with LF, cells quoted where they
//! must be. The same rows give the same bytes.

use super::{
    codes,
    draft::{Draft, Kept},
    findings::{Findings, Refused, refusal},
    settings::CsvSettings,
    trail::{Origin, Trail},
};
use crate::model::{Finding, Place, Severity};
use std::{
    fs::File,
    io::{self, BufWriter, Seek as _},
    path::PathBuf,
};

/// Stands in a cell of a row that cannot be used: the reader holds a row with a control character.
pub(super) const UNUSABLE: &str = "\u{1}";
const BUFFER_BYTES: usize = 256 << 10;

/// Is written row by row.
pub struct Sheet {
    draft: Draft,
    rows: csv::Writer<BufWriter<File>>,
    columns: Vec<String>,
    trail: Trail,
    findings: Findings,
}

/// A copy that is whole.
#[derive(Debug)]
pub struct Copy {
    pub kept: Kept,
    pub trail: Trail,
    /// Its columns, in their order.
    pub columns: Vec<String>,
}

impl Sheet {
    /// # Errors
    /// When it cannot be written.
    pub fn create(
        draft: Draft,
        columns: Vec<String>,
        file: String,
        list: String,
    ) -> Result<Self, Refused> {
        let rows = begin(draft.file().try_clone(), &columns).map_err(|error| no_copy(&error))?;
        let (trail, findings) = (Trail::new(file, list), Findings::default());
        Ok(Self { draft, rows, columns, trail, findings })
    }

    pub fn columns(&self) -> &[String] {
        &self.columns
    }

    /// Number of rows so far.
    pub fn rows(&self) -> u64 {
        self.trail.rows()
    }

    /// Writes the next row. What is noted of it is told in place of what the copy shows; a row that
    /// cannot be used has [`UNUSABLE`] in a cell, or no key.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(super) fn row<'c>(
        &mut self,
        cells: impl IntoIterator<Item = &'c str>,
        origin: Origin,
        notes: Vec<Finding>,
    ) -> Result<(), Refused> {
        let row = self.trail.rows();
        self.trail.push(origin);
        for mut note in notes {
            let Place { column, column_number, pointer, .. } = std::mem::take(&mut note.place);
            let place = self.trail.place(row);
            let pointer = place.pointer.clone().or(pointer);
            note.place = Place { column, column_number, pointer, ..place };
            self.trail.note(row, note.clone());
            self.findings.add(note);
        }
        self.rows.write_record(cells).map_err(|error| no_copy(&error.into()))
    }

    /// Ends it. Columns that are not `there` are left out: nothing was said about them, which is not
    /// the same as an empty cell.
    ///
    /// # Errors
    /// When a row refuses all of it, or it cannot be written.
    pub(super) fn finish(self, there: &[bool]) -> Result<Copy, Refused> {
        let Self { draft, rows, columns, trail, findings } = self;
        if findings.refuse() {
            return Err(Refused { findings: findings.into_list() });
        }
        let end = || -> io::Result<File> {
            let file = rows.into_inner().map_err(|error| io::Error::other(error.to_string()))?;
            file.into_inner().map_err(io::IntoInnerError::into_error)
        };
        let file = end().map_err(|error| no_copy(&error))?;
        let keeps = |at: usize| there.get(at).copied().unwrap_or(true);
        let kept = (0..columns.len()).filter(|at| keeps(*at)).collect::<Vec<usize>>();
        let draft = if kept.len() < columns.len() && !kept.is_empty() {
            drop(file);
            narrow(draft, &kept).map_err(|error| no_copy(&error))?
        } else {
            draft
        };
        let columns = kept.iter().filter_map(|at| columns.get(*at).cloned()).collect();
        let kept = draft.keep().map_err(|error| no_copy(&error))?;
        Ok(Copy { kept, trail, columns })
    }
}

impl Copy {
    /// As the reader of CSV files is to read it.
    #[must_use]
    pub fn settings(&self, rules: &CsvSettings) -> CsvSettings {
        settings_of(self.kept.path.clone(), self.columns.clone(), rules)
    }
}

/// The rules for rows, for our own copy at that path.
#[must_use]
pub(super) fn settings_of(path: PathBuf, columns: Vec<String>, rules: &CsvSettings) -> CsvSettings {
    let own = CsvSettings::default();
    CsvSettings {
        path,
        delimiter: own.delimiter,
        encoding: own.encoding,
        aliases: own.aliases,
        // What we have quoted ourselves is no stray quote.
        multiline: columns,
        allow_missing_final_newline: false,
        ..rules.clone()
    }
}

fn begin(file: io::Result<File>, columns: &[String]) -> io::Result<csv::Writer<BufWriter<File>>> {
    let mut file = BufWriter::with_capacity(BUFFER_BYTES, file?);
    write_header(&mut file, columns.iter().map(String::as_str))?;
    Ok(csv::WriterBuilder::new().buffer_capacity(8 << 10).from_writer(file))
}

/// Quoted throughout, so that no name looks like the beginning of another kind of file.
fn write_header<'c>(
    file: &mut impl io::Write,
    columns: impl Iterator<Item = &'c str>,
) -> io::Result<()> {
    let quoted: Vec<String> =
        columns.map(|column| format!("\"{}\"", column.replace('"', "\"\""))).collect();
    writeln!(file, "{}", quoted.join(","))
}

/// Writes it anew with these columns only. Seldom: a source seldom loses a field altogether.
fn narrow(draft: Draft, kept: &[usize]) -> io::Result<Draft> {
    let (draft, mut written) = draft.afresh()?;
    written.rewind()?;
    let mut rows = csv::ReaderBuilder::new().has_headers(false).from_reader(written);
    let mut out = BufWriter::with_capacity(BUFFER_BYTES, draft.file());
    let mut record = csv::StringRecord::new();
    rows.read_record(&mut record)?;
    write_header(&mut out, kept.iter().filter_map(|at| record.get(*at)))?;
    let mut out = csv::Writer::from_writer(out);
    while rows.read_record(&mut record)? {
        out.write_record(kept.iter().filter_map(|at| record.get(*at)))?;
    }
    out.flush()?;
    drop(out);
    Ok(draft)
}

pub(super) fn no_copy(error: &io::Error) -> Refused {
    let message = format!("our own copy of the source cannot be written: {error}");
    let hint = "see whether the state directory has room and may be written to";
    refusal(codes::NO_SPOOL, message, hint).into()
}

/// What a bad row does.
pub(super) fn severity(on_bad_row: super::settings::OnBadRow) -> Severity {
    match on_bad_row {
        super::settings::OnBadRow::Refuse => Severity::Refused,
        super::settings::OnBadRow::Hold => Severity::Held,
    }
}
