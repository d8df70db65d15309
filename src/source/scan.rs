//! The state machine that finds where a row ends, and what looks wrong about its quotes.
//!
//! It splits exactly as the `csv` crate does (RFC 4180, and a quote inside an unquoted cell is a
//! character like any other), but it also sees what that crate accepts in silence:
//!
//! ```text
//!            quote             quote                 delimiter, line end
//!   Start ─────────► Quoted ◄─────────► Closing ─────────────────────────► next cell, end of row
//!     │ other                              │ other: text after a closing quote
//!     ▼                                    ▼
//!   Unquoted ◄──────────────────────────────
//! ```
//!
//! **One quote too many or too few** turns quoted and unquoted text around. The number of quotes is
//! then odd, so that the damage always ends in one of three ways: text after a closing quote, a cell
//! that ends in a lone quote, or a quote that is open at the end of the file.
//!
//! **Two of them** can cancel out. If a row's end lies between, two rows become one, and that is told
//! by three marks, of which the first is always there when the whole has the right length:
//!
//! 1. Let the row have `n` cells and the suspect be cell `j`. Before its last line end stand the
//!    `n - 1 - j` delimiters of the rest of its row, after it at least `j` of the row that closes
//!    it: with fewer, the whole would not have `n` cells. (No honest line end can come later, since
//!    the first quoted cell with anything in it closes the suspect.)
//! 2. Where the quote that closes the suspect was meant to open a cell, a delimiter or a row end
//!    stands before it.
//! 3. Text turned around earlier or later in the same row hides delimiters of its own; such cells
//!    end (and, when they come later, begin) in a delimiter or a row end, too.

use super::grammar::{
    Class::{self, Control, Cr, Delimiter, Lf, NotAscii, Plain, Quote},
    FIELD_BYTES_MAX, Fault, FaultKind, Grammar, PLAIN_FIELD_BYTES_MAX, PLAIN_FIELD_NEWLINES_MAX,
};

/// From so many columns on, a cell that has a row's delimiters on both sides of a line end is not
/// believed, however it closes: no address has that many commas.
const COLUMNS_FOR_SHAPE_ALONE: usize = 8;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scanned {
    /// All given bytes are looked at, and the row goes on.
    More,
    /// The row ended; its terminator's first byte is the last one looked at.
    RowEnd,
    /// The row cannot be followed any further; see [`Scan::fault`].
    Broken,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Start,
    Unquoted,
    Quoted,
    Closing,
}

/// One row under way.
pub(super) struct Scan {
    state: State,
    /// Bytes of the row looked at.
    pub(super) at: usize,
    /// Number of the cell under way, from 0.
    pub(super) field: usize,
    field_at: usize,
    /// Line ends within the row so far.
    pub(super) lines: u64,
    quotes_in_unquoted: u32,
    quoted: QuotedField,
    /// Delimiters in cells that may be text turned around: they end as before an opening quote.
    hidden_ending: usize,
    /// The same of those that begin as after a closing quote, too.
    hidden_both: usize,
    suspects: Vec<Suspect>,
    pub(super) fault: Option<Fault>,
    /// The first quote inside an unquoted cell: lines before it, cell.
    pub(super) literal_quote: Option<(u64, usize)>,
    pub(super) control: bool,
    pub(super) not_ascii: bool,
}

#[derive(Clone, Copy, Default)]
struct QuotedField {
    /// Lines of the row before the opening quote.
    line: u64,
    newlines: u32,
    /// Bytes of the row up to and with the first line end in the cell.
    first_line_end: usize,
    delimiters: usize,
    /// Delimiters before the last line end.
    before_last: usize,
    /// So many that the rest of a row may stand there.
    holds_rest_of_row: bool,
}

/// A quoted cell with a line end in it.
struct Suspect {
    field: usize,
    line: u64,
    ends_as_before_opening: bool,
    after_last: usize,
    holds_rest_of_row: bool,
    hidden_through: usize,
}

impl Scan {
    pub(super) fn new() -> Self {
        Self {
            state: State::Start,
            at: 0,
            field: 0,
            field_at: 0,
            lines: 0,
            quotes_in_unquoted: 0,
            quoted: QuotedField::default(),
            hidden_ending: 0,
            hidden_both: 0,
            suspects: Vec::new(),
            fault: None,
            literal_quote: None,
            control: false,
            not_ascii: false,
        }
    }

    /// Goes on with the row; `row` is all of it that is read so far, from its first byte.
    pub(super) fn advance(&mut self, row: &[u8], grammar: &Grammar) -> Scanned {
        while let Some(&byte) = row.get(self.at) {
            let class = grammar.class(byte);
            self.at += 1;
            if class == Plain && matches!(self.state, State::Unquoted | State::Quoted) {
                continue;
            }
            self.control |= class == Control;
            self.not_ascii |= class == NotAscii;
            let step = match self.state {
                State::Start | State::Unquoted => self.outside(class, row, grammar),
                State::Quoted => self.inside(class, row, grammar),
                State::Closing => self.closing(class, row, grammar),
            };
            if step != Scanned::More {
                return step;
            }
        }
        self.check_length(grammar)
    }

    /// The input ended here: is the row whole but for its line end?
    pub(super) fn finish(&mut self, row: &[u8], grammar: &Grammar) -> Scanned {
        match self.state {
            State::Quoted => {
                self.break_at_quote(FaultKind::OpenAtEnd);
                return Scanned::Broken;
            }
            State::Closing => self.close_quoted(row, self.at, grammar),
            State::Start | State::Unquoted => {}
        }
        // Looks at one byte beyond, as if a line end stood there.
        self.at += 1;
        self.end_row(row, grammar)
    }

    /// Where to look for rows again after a quote that was never meant to open: the line after it.
    pub(super) fn line_after_quote(&self) -> Option<usize> {
        let inside = matches!(self.state, State::Quoted | State::Closing);
        (inside && self.quoted.newlines > 0).then_some(self.quoted.first_line_end)
    }

    fn outside(&mut self, class: Class, row: &[u8], grammar: &Grammar) -> Scanned {
        match class {
            Plain | NotAscii | Control => self.state = State::Unquoted,
            Quote if self.state == State::Start => {
                self.state = State::Quoted;
                self.quoted = QuotedField { line: self.lines, ..QuotedField::default() };
            }
            Quote => {
                self.quotes_in_unquoted += 1;
                self.literal_quote = self.literal_quote.or(Some((self.lines, self.field)));
            }
            Delimiter => return self.end_field(row, grammar),
            Cr | Lf => return self.end_row(row, grammar),
        }
        Scanned::More
    }

    fn inside(&mut self, class: Class, row: &[u8], grammar: &Grammar) -> Scanned {
        match class {
            Plain | NotAscii | Control => {}
            Quote => self.state = State::Closing,
            Delimiter => self.quoted.delimiters += 1,
            Cr | Lf => return self.newline_inside(class, row, grammar),
        }
        Scanned::More
    }

    fn closing(&mut self, class: Class, row: &[u8], grammar: &Grammar) -> Scanned {
        match class {
            Quote => self.state = State::Quoted,
            Plain | NotAscii | Control => {
                self.close_quoted(row, self.at - 1, grammar);
                self.blame(FaultKind::TextAfterQuote, self.quoted.line);
                self.state = State::Unquoted;
            }
            Delimiter => {
                self.close_quoted(row, self.at - 1, grammar);
                return self.end_field(row, grammar);
            }
            Cr | Lf => {
                self.close_quoted(row, self.at - 1, grammar);
                return self.end_row(row, grammar);
            }
        }
        Scanned::More
    }

    fn newline_inside(&mut self, class: Class, row: &[u8], grammar: &Grammar) -> Scanned {
        let second_of_crlf = class == Lf && row.get(self.at.wrapping_sub(2)) == Some(&b'\r');
        if second_of_crlf {
            if self.quoted.newlines == 1 {
                self.quoted.first_line_end = self.at;
            }
            return Scanned::More;
        }
        self.lines += 1;
        let rest_of_row = grammar
            .columns
            .map_or(0, |columns| columns.saturating_sub(1 + self.field + self.hidden_ending));
        let quoted = &mut self.quoted;
        quoted.newlines += 1;
        if quoted.newlines == 1 {
            quoted.first_line_end = self.at;
        }
        quoted.before_last = quoted.delimiters;
        quoted.holds_rest_of_row = quoted.delimiters >= rest_of_row;
        if quoted.newlines > PLAIN_FIELD_NEWLINES_MAX && !grammar.is_multiline(self.field) {
            self.break_at_quote(FaultKind::TooManyNewlines);
            return Scanned::Broken;
        }
        Scanned::More
    }

    /// `end`: offset just behind the closing quote.
    fn close_quoted(&mut self, row: &[u8], end: usize, grammar: &Grammar) {
        let content = &row[self.field_at + 1..end - 1];
        let border = |byte: Option<&u8>| {
            byte.is_some_and(|byte| matches!(grammar.class(*byte), Delimiter | Cr | Lf))
        };
        let ends = border(content.iter().rev().find(|byte| **byte != b'"'));
        let QuotedField { line, newlines, delimiters, before_last, holds_rest_of_row, .. } =
            self.quoted;
        if ends {
            self.hidden_ending += delimiters;
            self.hidden_both += if border(content.first()) { delimiters } else { 0 };
        }
        if newlines > 0 {
            self.suspects.push(Suspect {
                field: self.field,
                line,
                ends_as_before_opening: ends,
                after_last: delimiters - before_last,
                holds_rest_of_row,
                hidden_through: self.hidden_both,
            });
        }
    }

    fn end_field(&mut self, row: &[u8], grammar: &Grammar) -> Scanned {
        self.at -= 1;
        let length = self.check_length(grammar);
        self.at += 1;
        if length != Scanned::More {
            return length;
        }
        let lone = self.quotes_in_unquoted % 2 == 1 && row.get(self.at - 2) == Some(&b'"');
        if lone && self.state == State::Unquoted {
            self.blame(FaultKind::LoneQuote, self.lines);
        }
        self.state = State::Start;
        self.field += 1;
        self.field_at = self.at;
        self.quotes_in_unquoted = 0;
        Scanned::More
    }

    fn end_row(&mut self, row: &[u8], grammar: &Grammar) -> Scanned {
        match self.end_field(row, grammar) {
            Scanned::More => {}
            broken @ (Scanned::Broken | Scanned::RowEnd) => return broken,
        }
        let Some(columns) = grammar.columns else { return Scanned::RowEnd };
        if let Some(suspect) = self.suspects.iter().find(|s| self.swallowed(s, columns, grammar)) {
            let (line, field) = (suspect.line, suspect.field);
            let fault = Fault::at_field(FaultKind::LooksSwallowed, line, field);
            self.fault = self.fault.or(Some(fault));
        }
        if self.field != columns {
            let kind = FaultKind::Length { cells: self.field, columns };
            let fault = Fault { kind, lines: 0, field: None, offset: None };
            self.fault = self.fault.or(Some(fault));
        }
        Scanned::RowEnd
    }

    /// See the module's three marks.
    fn swallowed(&self, suspect: &Suspect, columns: usize, grammar: &Grammar) -> bool {
        let hidden_later = self.hidden_both - suspect.hidden_through;
        let head_of_row = suspect.field.saturating_sub(hidden_later);
        if suspect.after_last < head_of_row {
            return false;
        }
        let by_its_shape = suspect.holds_rest_of_row
            && columns >= COLUMNS_FOR_SHAPE_ALONE
            && !grammar.is_multiline(suspect.field);
        suspect.ends_as_before_opening || by_its_shape
    }

    /// The cell under way, up to `self.at`.
    fn check_length(&mut self, grammar: &Grammar) -> Scanned {
        let length = self.at - self.field_at;
        if length <= PLAIN_FIELD_BYTES_MAX {
            return Scanned::More;
        }
        let kind = match grammar.is_multiline(self.field) {
            _ if length > FIELD_BYTES_MAX => FaultKind::FieldTooLong,
            true => return Scanned::More,
            false => FaultKind::TooLongForPlain,
        };
        self.break_at_quote(kind);
        Scanned::Broken
    }

    pub(super) fn break_at_quote(&mut self, kind: FaultKind) {
        let quoted = matches!(self.state, State::Quoted | State::Closing);
        let line = if quoted { self.quoted.line } else { self.lines };
        self.fault = Some(Fault::at_field(kind, line, self.field));
    }

    fn blame(&mut self, kind: FaultKind, lines: u64) {
        self.fault = self.fault.or(Some(Fault::at_field(kind, lines, self.field)));
    }
}
