//! Row by row: what each becomes.

use super::{
    codes, fault,
    findings::{Findings, at_line, finding, refusal},
    guard::Row,
    header::Header,
    keys::{self, KeyProblem},
    references::References,
    register::Register,
    settings::{CsvSettings, OnBadRow, Rules},
};
use crate::model::{Finding, Fingerprint, HeldRow, Place, Record, Severity, UserKey};
use ::csv::ByteRecord;
use std::collections::{BTreeMap, BTreeSet};

/// A read under way.
pub(super) struct Reading<'a> {
    pub(super) settings: &'a CsvSettings,
    pub(super) rules: &'a Rules,
    pub(super) header: Header,
    /// The last row is believed without a line end.
    pub(super) trusts_end: bool,
    /// Positions in the text are positions in the file.
    pub(super) bytes_known: bool,
    pub(super) rows: u64,
    /// Sum of all rows' fingerprints: their order means nothing.
    pub(super) sum: u128,
    pub(super) records: Vec<(Fingerprint, Record)>,
    pub(super) held: Vec<HeldRow>,
    pub(super) register: Register,
    pub(super) references: Vec<References>,
    pub(super) damaged_keys: u64,
    pub(super) cells: u64,
    pub(super) double_encoded: u64,
    /// The last row may be cut, and so may the file.
    pub(super) open_end: bool,
}

impl<'a> Reading<'a> {
    pub(super) fn new(
        settings: &'a CsvSettings,
        rules: &'a Rules,
        header: Header,
        trusts_end: bool,
        bytes_known: bool,
    ) -> Self {
        let references =
            header.references.iter().map(|(name, at)| References::new(name.clone(), *at)).collect();
        Self {
            settings,
            rules,
            header,
            trusts_end,
            bytes_known,
            rows: 0,
            sum: 0,
            records: Vec::new(),
            held: Vec::new(),
            register: Register::default(),
            references,
            damaged_keys: 0,
            cells: 0,
            double_encoded: 0,
            open_end: false,
        }
    }

    /// Takes the next row; false when no more are wanted.
    pub(super) fn row(
        &mut self,
        row: &Row,
        cells: &ByteRecord,
        findings: &mut Findings,
        keep: &mut dyn FnMut(Fingerprint, Fingerprint) -> bool,
    ) -> bool {
        self.rows += 1;
        if self.rows > self.settings.max_rows {
            let limit = self.settings.max_rows;
            let message = format!("the file has more than max_rows = {limit} rows");
            let mut refusal =
                refusal(codes::TOO_MANY_ROWS, message, "raise `max_rows` if it is right");
            refusal.place = at_line(row.line);
            findings.add(refusal);
            return false;
        }
        let names = &self.header.names;
        let on_bad_row = self.settings.on_bad_row;
        if let Some(finding) = fault::describe(row, names, self.bytes_known, on_bad_row) {
            self.sum = self.sum.wrapping_add(row.raw.0);
            self.hold(row.line, None, finding, findings);
            return true;
        }
        self.open_end |= !row.terminated && !self.trusts_end;
        self.literal_quote(row, findings);
        let cell = text(cells, self.header.key);
        match keys::read(cell, self.settings.fold_key_case) {
            Ok(key) => self.keyed(row, &key, cells, findings, keep),
            Err(problem) => {
                self.sum = self.sum.wrapping_add(self.fingerprint(cell, cells).0);
                let finding = self.bad_key(row.line, problem);
                self.hold(row.line, None, finding, findings);
            }
        }
        true
    }

    /// A row whose key could be read.
    fn keyed(
        &mut self,
        row: &Row,
        key: &str,
        cells: &ByteRecord,
        findings: &mut Findings,
        keep: &mut dyn FnMut(Fingerprint, Fingerprint) -> bool,
    ) {
        let fingerprint = self.fingerprint(key, cells);
        self.sum = self.sum.wrapping_add(fingerprint.0);
        if row.not_ascii {
            self.look_at_letters(row, key, cells, findings);
        } else {
            self.cells += self.header.demanded.len() as u64;
        }
        let cut = !row.terminated && !self.trusts_end;
        let key_may_be_cut = cut && self.header.key + 1 == cells.len();
        if let Some(finding) = self.damaged_key(row.line, key) {
            self.damaged_keys += 1;
            return self.hold(row.line, None, finding, findings);
        }
        let problem = match row.control.then(|| control(cells)).flatten() {
            Some(at) => Some(self.control_character(row.line, at)),
            None => cut.then(|| open_end(row.line)),
        };
        let at = keys::fingerprint_of(key);
        if let Some(finding) = problem {
            let known = Some(key).filter(|_| !key_may_be_cut);
            if known.is_some() {
                // Such a row says the same as no other.
                let unlike = fingerprint.with(Fingerprint(u128::from(row.line)));
                self.register.see(at, unlike, row.line, key);
            }
            return self.hold(row.line, known, finding, findings);
        }
        self.register.see(at, fingerprint, row.line, key);
        for references in &mut self.references {
            references.add(at, text(cells, references.at), self.settings.fold_key_case);
        }
        if keep(at, fingerprint)
            && let Some(record) = self.record(row.line, key, cells, fingerprint)
        {
            self.records.push((at, record));
        }
    }

    fn fingerprint(&self, key: &str, cells: &ByteRecord) -> Fingerprint {
        let demanded = self.header.demanded.iter().map(|(_, at)| at.map(|at| text(cells, at)));
        Fingerprint::of(std::iter::once(Some(key)).chain(demanded))
    }

    fn record(
        &self,
        line: u64,
        key: &str,
        cells: &ByteRecord,
        fingerprint: Fingerprint,
    ) -> Option<Record> {
        let present = |(name, at): &(String, Option<usize>)| {
            at.map(|at| (name.clone(), text(cells, at).to_owned()))
        };
        let mut fields: BTreeMap<String, String> =
            self.header.demanded.iter().filter_map(present).collect();
        fields.insert(self.settings.key.clone(), text(cells, self.header.key).to_owned());
        let key = UserKey::parse(key).ok()?;
        Some(Record { key, line, fields, unusable: BTreeSet::new(), fingerprint })
    }

    fn hold(
        &mut self,
        line: u64,
        key: Option<&str>,
        mut finding: Finding,
        findings: &mut Findings,
    ) {
        let key = key.and_then(|key| UserKey::parse(key).ok());
        finding.key.clone_from(&key);
        self.held.push(HeldRow { key, line, why: finding.message.clone() });
        findings.add(finding);
    }

    fn place(&self, line: u64, at: usize) -> Place {
        Place {
            column: self.header.names.get(at).cloned(),
            column_number: Some(at + 1),
            ..at_line(line)
        }
    }

    fn literal_quote(&self, row: &Row, findings: &mut Findings) {
        let Some((line, at)) = row.literal_quote else { return };
        let message = "a quote inside an unquoted cell is taken as it stands";
        let hint = "write it as two, and quote the whole cell";
        let place = self.place(line, at);
        findings.add(finding(Severity::Warning, codes::LITERAL_QUOTE, place, message, hint));
    }

    fn bad_key(&self, line: u64, problem: KeyProblem) -> Finding {
        let bad_row = match self.settings.on_bad_row {
            OnBadRow::Refuse => Severity::Refused,
            OnBadRow::Hold => Severity::Held,
        };
        let bad = |severity, code, message: String, hint: &str| {
            finding(severity, code, self.place(line, self.header.key), message, hint)
        };
        match problem {
            KeyProblem::Empty => {
                let hint = "give the row its key, or delete the row";
                bad(bad_row, codes::EMPTY_KEY, "the row has no key".to_owned(), hint)
            }
            KeyProblem::TooLong => {
                let message = format!("the key is longer than {} bytes", UserKey::MAX_BYTES);
                bad(bad_row, codes::BAD_KEY, message, "see whether `key` names the right column")
            }
            KeyProblem::Quote => {
                let message = "the key holds a quote".to_owned();
                bad(bad_row, codes::BAD_KEY, message, "look for a stray quote")
            }
            KeyProblem::Control(c) => {
                let message = format!("the key holds the control character U+{:04X}", u32::from(c));
                bad(Severity::Refused, codes::BAD_KEY, message, "export the file again")
            }
            KeyProblem::Invisible(c) => {
                let message = format!("the key holds U+{:04X}, which cannot be seen", u32::from(c));
                let hint = "remove it from the HR system";
                bad(Severity::Held, codes::INVISIBLE_IN_KEY, message, hint)
            }
        }
    }

    /// A39: what is there is a text, but not the key that it was.
    fn damaged_key(&self, line: u64, key: &str) -> Option<Finding> {
        let place = || self.place(line, self.header.key);
        let pattern = self.rules.key_pattern.as_ref();
        let (message, hint) = if keys::is_spreadsheet_damage(key) {
            ("a spreadsheet rewrote the key", "format the column as text before saving")
        } else if pattern.is_some_and(|pattern| !pattern.is_match(key)) {
            ("the key does not match `key_pattern`", "look for lost leading zeros")
        } else {
            return None;
        };
        Some(finding(Severity::Held, codes::KEY_DAMAGED, place(), message, hint))
    }

    fn control_character(&self, line: u64, (at, c): (usize, u8)) -> Finding {
        let message = format!("the cell holds the control character U+{c:04X}");
        let place = self.place(line, at);
        let hint = "remove it from the HR system";
        finding(Severity::Held, codes::CONTROL_CHARACTER, place, message, hint)
    }

    /// A04, A14: only rows that are not ASCII can have either.
    fn look_at_letters(
        &mut self,
        row: &Row,
        key: &str,
        cells: &ByteRecord,
        findings: &mut Findings,
    ) {
        for at in self.header.demanded.iter().filter_map(|(_, at)| *at) {
            self.cells += 1;
            self.double_encoded += u64::from(keys::is_double_encoded(text(cells, at)));
        }
        if keys::is_mixed_script(key) {
            let message = "the key mixes letters of scripts that look alike";
            let place = self.place(row.line, self.header.key);
            let hint = "see whether it is the same key as another one";
            findings.add(finding(Severity::Warning, codes::MIXED_SCRIPT, place, message, hint));
        }
    }
}

fn open_end(line: u64) -> Finding {
    finding(
        Severity::Held,
        codes::NO_FINAL_NEWLINE,
        at_line(line),
        "the last row has no line end, so that it may be cut",
        "end the file with a line end, or set allow_missing_final_newline = true",
    )
}

/// The first control character in a cell, and the cell; line ends and tabs are none.
fn control(cells: &ByteRecord) -> Option<(usize, u8)> {
    let is_control = |byte: &u8| byte.is_ascii_control() && !b"\t\r\n".contains(byte);
    cells
        .iter()
        .enumerate()
        .find_map(|(at, cell)| cell.iter().copied().find(is_control).map(|byte| (at, byte)))
}

/// A cell. The guard passes on only rows that are UTF-8, of the header's number of cells.
fn text(cells: &ByteRecord, at: usize) -> &str {
    cells.get(at).and_then(|cell| std::str::from_utf8(cell).ok()).unwrap_or_default()
}
