//! Elements become rows of our own copy, which the reader of CSV files then judges like any file.

use super::{
    fields::{CellProblem, FieldMap},
    node::Node,
    reader::{ELEMENT_BYTES_MAX, JsonError, parse},
    settings::JsonForm,
};
use crate::{
    model::{Finding, Place},
    source::{
        again::changed,
        codes,
        csv::open,
        draft::Draft,
        findings::{Refused, finding, refusal},
        input::{self, Hashed},
        roster::Watch,
        settings::CsvSettings,
        sheet::{Copy, Sheet, UNUSABLE, severity},
        trail::Origin,
        whole::FileMark,
    },
};
use std::{
    io::{BufRead, BufReader, Read},
    path::Path,
};

/// Our own copy of a source of JSON, while it is written: one row an element, in their order. The
/// same elements give the same bytes.
pub struct Spool {
    sheet: Sheet,
    fields: FieldMap,
    /// By column: some element has it.
    there: Vec<bool>,
    cells: Vec<String>,
    key: Option<usize>,
    rules: CsvSettings,
}

impl Spool {
    /// `rules`: those for rows; `file`: what findings are to name; `list`: see
    /// [`Records::pointer`](super::Records::pointer).
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn create(
        draft: Draft,
        fields: FieldMap,
        rules: &CsvSettings,
        file: String,
        list: String,
    ) -> Result<Self, Refused> {
        let columns: Vec<String> = fields.columns().map(str::to_owned).collect();
        let key = columns.iter().position(|column| *column == rules.key);
        Ok(Self {
            there: vec![false; columns.len()],
            cells: vec![String::new(); columns.len()],
            key,
            sheet: Sheet::create(draft, columns, file, list)?,
            fields,
            rules: rules.clone(),
        })
    }

    /// Writes an element's row. One that can be no row is held, or refuses all, as `on_bad_row` has
    /// it; which is told at the end.
    ///
    /// # Errors
    /// When it cannot be written, or there are too many.
    pub fn add(&mut self, element: &Node, origin: Origin) -> Result<(), Refused> {
        self.count()?;
        self.cells.iter_mut().for_each(String::clear);
        if !matches!(element, Node::Object(_)) {
            let message = format!("{} stands where an object is due", element.kind());
            let hint = "see whether `records` leads to the list of people";
            return self
                .add_unreadable(origin, self.bad(codes::NOT_AN_OBJECT, None, message, hint));
        }
        let mut notes = Vec::new();
        let fields = self.fields.fields().iter().zip(&mut self.cells).zip(&mut self.there);
        for (at, ((field, cell), there)) in fields.enumerate() {
            cell.clear();
            match field.cell(element, cell) {
                Ok(found) => *there |= found,
                Err(problem) => {
                    *there = true;
                    cell.clear();
                    // Without a key nobody is held, and the read is not complete.
                    cell.push_str(if self.key == Some(at) { "" } else { UNUSABLE });
                    notes.push((field.column.clone(), problem));
                }
            }
        }
        let notes = notes.into_iter().map(|(column, problem)| self.unusable(column, problem));
        let notes = notes.collect();
        self.sheet.row(self.cells.iter().map(String::as_str), origin, notes)
    }

    /// The key of the row that was written last, as it stands in its cell.
    #[must_use]
    pub fn last_key(&self) -> Option<&str> {
        self.key.and_then(|at| self.cells.get(at)).map(String::as_str)
    }

    /// Something that can be no element stands there.
    fn add_unreadable(&mut self, origin: Origin, note: Finding) -> Result<(), Refused> {
        let cells = self.cells.iter().map(|_| "");
        self.sheet.row(cells, origin, vec![note])
    }

    /// Ends it.
    ///
    /// # Errors
    /// When an element refuses all of them, or it cannot be written.
    pub fn finish(self) -> Result<Copy, Refused> {
        let none = self.sheet.rows() == 0;
        let there: Vec<bool> = self.there.iter().map(|there| *there || none).collect();
        self.sheet.finish(&there)
    }

    fn count(&self) -> Result<(), Refused> {
        let max = self.rules.max_rows;
        if self.sheet.rows() < max {
            return Ok(());
        }
        let message = format!("there are more than max_rows = {max} elements");
        Err(refusal(codes::TOO_MANY_ROWS, message, "raise `max_rows` if it is right").into())
    }

    fn unusable(&self, column: String, problem: CellProblem) -> Finding {
        let (code, hint) = match problem {
            CellProblem::NotText(_) | CellProblem::Misfit => {
                (codes::NOT_A_TEXT, "mend the path in `fields`, or the record")
            }
            CellProblem::HoldsSeparator => {
                (codes::HOLDS_SEPARATOR, "choose another `join` in `fields`")
            }
        };
        self.bad(code, Some(column), problem.to_string(), hint)
    }

    fn bad(
        &self,
        code: crate::model::Code,
        column: Option<String>,
        message: String,
        hint: &str,
    ) -> Finding {
        let place = Place { column, ..Place::default() };
        finding(severity(self.rules.on_bad_row), code, place, message, hint)
    }
}

/// Copies the file at that path, which is told of as `shown`; and says which bytes it had.
///
/// # Errors
/// When the file cannot be opened or was written to meanwhile, and all reasons of [`spool`].
pub fn spool_file(
    path: &Path,
    shown: &str,
    form: &JsonForm,
    rules: &CsvSettings,
    draft: Draft,
) -> Result<(Copy, FileMark), Refused> {
    let copied = open(path).and_then(|(file, before)| {
        let input = file.try_clone().map_err(|error| input::failure(&error))?;
        let watch = Watch { file, path: path.to_owned(), before };
        // Not beyond the size that it had: a file that grows would never end.
        let mut hashed = Hashed::new(input.take(watch.before.len()));
        let copy = spool(&mut hashed, form, rules, shown.to_owned(), draft);
        if watch.changed() {
            return Err(changed());
        }
        Ok((copy?, hashed.mark()))
    });
    copied.map_err(|mut refused| {
        for finding in &mut refused.findings {
            finding.place.file = Some(shown.to_owned());
        }
        refused
    })
}

/// Copies a file of JSON, or of lines of JSON, be it packed with gzip. `list`: see [`Spool::create`].
///
/// # Errors
/// When the file is not to be believed, or the copy cannot be written.
pub fn spool(
    input: impl Read + Send,
    form: &JsonForm,
    rules: &CsvSettings,
    file: String,
    draft: Draft,
) -> Result<Copy, Refused> {
    let text = input::open_json(input)?;
    let list = form.records.as_ref().map(super::Records::pointer).unwrap_or_default();
    let mut spool = Spool::create(draft, form.fields.clone(), rules, file, list)?;
    match &form.records {
        Some(records) => {
            records.read(text, &mut |number, node| {
                spool.add(&node, Origin::Element { page: None, number })
            })?;
        }
        None => spool.lines(text)?,
    }
    spool.finish()
}

impl Spool {
    fn lines(&mut self, text: impl Read) -> Result<(), Refused> {
        let mut text = BufReader::with_capacity(64 << 10, text);
        let mut line = Vec::new();
        for number in 1.. {
            line.clear();
            let most = ELEMENT_BYTES_MAX + 1;
            let read = text.by_ref().take(most).read_until(b'\n', &mut line);
            if read.map_err(|error| input::failure(&error))? == 0 {
                break;
            }
            if line.len() as u64 == most {
                let message = format!("the line is longer than {} MiB", ELEMENT_BYTES_MAX >> 20);
                let mut finding = refusal(codes::NOT_JSON, message, "look for missing line ends");
                finding.place.line = Some(number);
                return Err(finding.into());
            }
            if line.iter().all(u8::is_ascii_whitespace) {
                continue;
            }
            match parse(&line) {
                Ok(node) => self.add(&node, Origin::Line(number))?,
                Err(error) => self.bad_line(number, error)?,
            }
        }
        Ok(())
    }

    fn bad_line(&mut self, number: u64, error: JsonError) -> Result<(), Refused> {
        self.count()?;
        let note = error.finding(severity(self.rules.on_bad_row));
        self.add_unreadable(Origin::Line(number), note)
    }
}
