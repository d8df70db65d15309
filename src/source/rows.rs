//! Row by row: what each becomes.

use super::{
    cells::Cells,
    codes, fault,
    findings::{at_line, finding},
    grammar::Grammar,
    guard::Row,
    header::Header,
    keys::{self, KeyProblem},
    settings::{CsvSettings, OnBadRow, Rules},
    stretch::{Seen, Stretch},
};
use crate::model::{Finding, HeldRow, Place, Severity, UserKey};

/// What rows are judged by. Many may be judged at once.
pub(super) struct Judge<'a> {
    pub(super) settings: &'a CsvSettings,
    pub(super) rules: &'a Rules,
    pub(super) grammar: Grammar,
    pub(super) header: Header,
    /// By column that somebody asked for, in the order of their names: where it is.
    demanded: Vec<Option<usize>>,
    /// The last row is believed without a line end.
    trusts_end: bool,
    /// Positions in the text are positions in the file.
    bytes_known: bool,
}

impl<'a> Judge<'a> {
    pub(super) fn new(
        settings: &'a CsvSettings,
        rules: &'a Rules,
        header: Header,
        delimiter: u8,
        (trusts_end, bytes_known): (bool, bool),
    ) -> Self {
        let mut grammar = Grammar::new(delimiter);
        grammar.columns = Some(header.names.len());
        grammar.multiline.clone_from(&header.multiline);
        let demanded = header.demanded.iter().map(|(_, at)| *at).collect();
        Self { settings, rules, grammar, header, demanded, trusts_end, bytes_known }
    }

    /// Takes the next row.
    pub(super) fn row(&self, row: &Row, cells: &impl Cells, stretch: &mut Stretch) {
        stretch.chunk.counts.rows += 1;
        let names = &self.header.names;
        let on_bad_row = self.settings.on_bad_row;
        if let Some(finding) = fault::describe(row, names, self.bytes_known, on_bad_row) {
            stretch.chunk.counts.add_to_sum(row.raw);
            hold(row.line, None, finding, stretch);
            return;
        }
        stretch.chunk.counts.open_end |= !row.terminated && !self.trusts_end;
        if row.literal_quote.is_some() {
            self.literal_quote(row, stretch);
        }
        let cell = cells.text(self.header.key);
        match keys::read(cell, self.settings.fold_key_case) {
            Ok(key) => self.keyed(row, &key, cells, stretch),
            Err(problem) => {
                let fingerprint = stretch.hasher.row(cell, &self.demanded, cells, row.length);
                stretch.chunk.counts.add_to_sum(fingerprint);
                let finding = self.bad_key(row.line, problem);
                hold(row.line, None, finding, stretch);
            }
        }
    }

    /// A row whose key could be read.
    fn keyed(&self, row: &Row, key: &str, cells: &impl Cells, stretch: &mut Stretch) {
        let fingerprint = stretch.hasher.row(key, &self.demanded, cells, row.length);
        stretch.chunk.counts.add_to_sum(fingerprint);
        if row.not_ascii {
            self.look_at_letters(row, key, cells, stretch);
        } else {
            stretch.chunk.counts.cells += self.demanded.len() as u64;
        }
        let cut = !row.terminated && !self.trusts_end;
        let key_may_be_cut = cut && self.header.key + 1 == cells.len();
        if let Some(finding) = self.damaged_key(row.line, key) {
            stretch.chunk.counts.damaged_keys += 1;
            return hold(row.line, None, finding, stretch);
        }
        let problem = match row.control.then(|| control(cells)).flatten() {
            Some(at) => Some(self.control_character(row.line, at)),
            None => cut.then(|| open_end(row.line)),
        };
        let at = stretch.hasher.key(key);
        if let Some(finding) = problem {
            let known = Some(key).filter(|_| !key_may_be_cut);
            if known.is_some() {
                stretch.see(Seen { key: at, row: fingerprint, held: true }, row);
            }
            return hold(row.line, known, finding, stretch);
        }
        stretch.see(Seen { key: at, row: fingerprint, held: false }, row);
        for (edges, (_, column)) in stretch.chunk.edges.iter_mut().zip(&self.header.references) {
            edges.add(at, cells.text(*column), self.settings.fold_key_case);
        }
    }

    fn place(&self, line: u64, at: usize) -> Place {
        Place {
            column: self.header.names.get(at).cloned(),
            column_number: Some(at + 1),
            ..at_line(line)
        }
    }

    fn literal_quote(&self, row: &Row, stretch: &mut Stretch) {
        let Some((line, at)) = row.literal_quote else { return };
        let message = "a quote inside an unquoted cell is taken as it stands";
        let hint = "write it as two, and quote the whole cell";
        let place = self.place(line, at);
        let finding = finding(Severity::Warning, codes::LITERAL_QUOTE, place, message, hint);
        stretch.chunk.findings.add(finding);
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
    fn look_at_letters(&self, row: &Row, key: &str, cells: &impl Cells, stretch: &mut Stretch) {
        stretch.chunk.counts.cells += self.demanded.iter().flatten().count() as u64;
        if row.double_encoded {
            let demanded = self.demanded.iter().flatten();
            let twice = demanded.filter(|at| keys::is_double_encoded(cells.bytes(**at)));
            stretch.chunk.counts.double_encoded += twice.count() as u64;
        }
        if keys::is_mixed_script(key) {
            let message = "the key mixes letters of scripts that look alike";
            let place = self.place(row.line, self.header.key);
            let hint = "see whether it is the same key as another one";
            let code = codes::MIXED_SCRIPT;
            stretch.chunk.findings.add(finding(Severity::Warning, code, place, message, hint));
        }
    }
}

fn hold(line: u64, key: Option<&str>, mut finding: Finding, stretch: &mut Stretch) {
    let key = key.and_then(|key| UserKey::parse(key).ok());
    finding.key.clone_from(&key);
    stretch.chunk.held.push(HeldRow { key, line, why: finding.message.clone() });
    stretch.chunk.findings.add(finding);
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
fn control(cells: &impl Cells) -> Option<(usize, u8)> {
    let is_control = |byte: &u8| byte.is_ascii_control() && !b"\t\r\n".contains(byte);
    (0..cells.len())
        .find_map(|at| cells.bytes(at).iter().copied().find(is_control).map(|byte| (at, byte)))
}
