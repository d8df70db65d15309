//! Stands between the file and the `csv` crate, and hands it one whole row at a time.
//!
//! The crate accepts what a stray quote swallowed and what a cut file lost. The guard finds the rows
//! itself ([`Scan`]), keeps the physical line and byte of each, holds the limits with flat memory,
//! and passes on only rows that are sound; for the others it passes a placeholder, so that rows and
//! [`Guard::row`] stay in step. After damage that cannot be followed it looks for rows again on the
//! next line, so that one run tells of all of it.

use super::{
    grammar::{Fault, FaultKind, Grammar},
    keys::is_double_encoded,
    scan::{Scan, Scanned},
};
use crate::model::Fingerprint;
use std::io::{self, ErrorKind, Read};

/// Longest row.
pub(super) const ROW_BYTES_MAX: usize = 1 << 20;
/// Size that the `csv` crate's own buffer must have, so that a row fits.
pub(super) const BUFFER_BYTES: usize = ROW_BYTES_MAX + 16;
const READ_BYTES: usize = 64 << 10;
/// How often reading starts again after damage. Each time may read a row's length twice.
const RESTARTS_MAX: u32 = 100;
/// Stands for a row that is not passed on.
const PLACEHOLDER: &[u8] = b"-\n";

/// What the guard saw of one row.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each says one thing of the row")]
pub(super) struct Row {
    /// Its first physical line, from 1.
    pub(super) line: u64,
    /// Line ends within its cells.
    pub(super) lines: u64,
    /// Bytes of the text before it.
    pub(super) byte: u64,
    /// Bytes of it, without the line end.
    pub(super) length: usize,
    pub(super) fault: Option<Fault>,
    /// The first quote inside an unquoted cell: line, cell from 0.
    pub(super) literal_quote: Option<(u64, usize)>,
    pub(super) control: bool,
    pub(super) not_ascii: bool,
    /// Some cell looks like text that was encoded twice.
    pub(super) double_encoded: bool,
    /// A line end follows.
    pub(super) terminated: bool,
    /// Stands for the row's bytes where its cells cannot be read.
    pub(super) raw: Fingerprint,
}

impl Row {
    /// A row that could be followed to its end. `bytes`: without the line end.
    pub(super) fn ended(scan: &Scan, bytes: &[u8], line: u64, byte: u64, terminated: bool) -> Self {
        let not_text = scan.not_ascii.then(|| not_utf8(bytes)).flatten();
        let row = Self::of(scan, bytes, line, byte, not_text.or(scan.fault));
        Self { terminated, ..row }
    }

    fn of(scan: &Scan, bytes: &[u8], line: u64, byte: u64, fault: Option<Fault>) -> Self {
        let raw = fault.map_or_else(Fingerprint::default, |_| Fingerprint::of_bytes(bytes));
        Self {
            line,
            lines: scan.lines,
            byte,
            length: bytes.len(),
            fault,
            literal_quote: scan.literal_quote.map(|(lines, field)| (line + lines, field)),
            control: scan.control,
            not_ascii: scan.not_ascii,
            double_encoded: scan.not_ascii && is_double_encoded(bytes),
            terminated: true,
            raw,
        }
    }
}

pub(super) struct Guard<R> {
    input: R,
    pub(super) grammar: Grammar,
    buffer: Vec<u8>,
    /// Where in the buffer the row under way begins, and where what is read ends.
    start: usize,
    end: usize,
    /// Place of `start` in the text: bytes before it, and its line from 1.
    pub(super) byte: u64,
    line: u64,
    /// The last row ended in a CR, so that an LF here still belongs to it.
    pub(super) after_cr: bool,
    exhausted: bool,
    restarts: u32,
    row: Option<Row>,
    failure: Option<io::Error>,
}

impl<R: Read> Guard<R> {
    /// Reads the first line's beginning, for the sake of Excel's `sep=;`, which outranks the
    /// configured delimiter. `first_byte`: where in the file the text begins.
    pub(super) fn new(input: R, delimiter: u8, first_byte: u64) -> (Self, u8) {
        let mut guard = Self {
            input,
            grammar: Grammar::new(delimiter),
            buffer: vec![0; READ_BYTES],
            start: 0,
            end: 0,
            byte: first_byte,
            line: 1,
            after_cr: false,
            exhausted: false,
            restarts: 0,
            row: None,
            failure: None,
        };
        while guard.end < 8 && guard.fill() {}
        let delimiter = guard.take_sep_line().unwrap_or(delimiter);
        guard.grammar = Grammar::new(delimiter);
        (guard, delimiter)
    }

    /// The row that the last read handed out.
    pub(super) fn row(&self) -> Option<&Row> {
        self.row.as_ref()
    }

    /// Why the input ended before its end.
    pub(super) fn take_failure(&mut self) -> Option<io::Error> {
        self.failure.take()
    }

    /// The line that is being read.
    pub(super) fn line(&self) -> u64 {
        self.line
    }

    fn take_sep_line(&mut self) -> Option<u8> {
        let head = &self.buffer[self.start..self.end];
        let (start, rest) = head.split_at_checked(4)?;
        let (delimiter, rest) = rest.split_first()?;
        let ends = rest.first().is_none_or(|byte| matches!(byte, b'\r' | b'\n'));
        let separates = !delimiter.is_ascii_alphanumeric() && !b"\"\r\n ".contains(delimiter);
        if !start.eq_ignore_ascii_case(b"sep=") || !ends || !separates || !delimiter.is_ascii() {
            return None;
        }
        let delimiter = *delimiter;
        self.after_cr = rest.first() == Some(&b'\r');
        self.consume(5 + usize::from(!rest.is_empty()), 1);
        Some(delimiter)
    }

    /// Finds the next row; its bytes without the line end are `buffer[start..start + length]`.
    fn next_row(&mut self) -> Option<(Row, usize, usize)> {
        if self.restarts > RESTARTS_MAX {
            return None;
        }
        self.skip_blank_lines();
        let mut scan = Scan::new();
        loop {
            let seen = &self.buffer[self.start..self.end];
            let scanned = match scan.advance(seen, &self.grammar) {
                Scanned::More if seen.len() > ROW_BYTES_MAX => {
                    scan.break_at_quote(FaultKind::RowTooLong);
                    Scanned::Broken
                }
                scanned => scanned,
            };
            match scanned {
                Scanned::RowEnd if scan.at > ROW_BYTES_MAX => {
                    scan.break_at_quote(FaultKind::RowTooLong);
                    return Some(self.broken(&scan));
                }
                Scanned::RowEnd => return Some(self.ended(&scan, true)),
                Scanned::Broken => return Some(self.broken(&scan)),
                Scanned::More if self.fill() => {}
                Scanned::More => return self.last(scan),
            }
        }
    }

    /// Nothing more comes: what is left is a last row without a line end, or nothing.
    fn last(&mut self, mut scan: Scan) -> Option<(Row, usize, usize)> {
        if self.failure.is_some() || self.start == self.end {
            return None;
        }
        match scan.finish(&self.buffer[self.start..self.end], &self.grammar) {
            Scanned::RowEnd | Scanned::More => Some(self.ended(&scan, false)),
            Scanned::Broken => Some(self.broken(&scan)),
        }
    }

    /// The row is whole: gives it, its length, and the bytes that go with it.
    fn ended(&mut self, scan: &Scan, terminated: bool) -> (Row, usize, usize) {
        let length = scan.at - 1;
        let bytes = &self.buffer[self.start..self.start + length];
        let row = Row::ended(scan, bytes, self.line, self.byte, terminated);
        (row, length, length + usize::from(terminated))
    }

    /// The row cannot be followed: looks for rows again on the line after its opening quote, or
    /// after all of it that belongs to this line.
    fn broken(&mut self, scan: &Scan) -> (Row, usize, usize) {
        self.restarts += 1;
        let fault = if self.restarts > RESTARTS_MAX {
            Some(Fault { kind: FaultKind::GaveUp, lines: 0, field: None, offset: None })
        } else {
            scan.fault
        };
        let seen = scan.at.min(self.end - self.start);
        let bytes = &self.buffer[self.start..self.start + seen];
        let row = Row::of(scan, bytes, self.line, self.byte, fault);
        let after = scan.line_after_quote();
        match after {
            Some(after) => {
                let line = scan.fault.map_or(0, |fault| fault.lines) + 1;
                self.consume(after, line);
            }
            None => self.discard_line(seen, scan.lines),
        }
        (row, 0, 0)
    }

    fn skip_blank_lines(&mut self) {
        loop {
            if self.start == self.end && !self.fill() {
                return;
            }
            match self.buffer[self.start] {
                b'\n' if self.after_cr => {
                    self.after_cr = false;
                    self.consume(1, 0);
                }
                byte @ (b'\r' | b'\n') => {
                    self.after_cr = byte == b'\r';
                    self.consume(1, 1);
                }
                _ => {
                    self.after_cr = false;
                    return;
                }
            }
        }
    }

    /// Drops the `seen` bytes (with their `lines`) and the rest of the physical line, without
    /// keeping it.
    fn discard_line(&mut self, seen: usize, lines: u64) {
        let ended = seen > 0 && matches!(self.buffer[self.start + seen - 1], b'\r' | b'\n');
        let seen = seen - usize::from(ended);
        self.consume(seen, lines);
        loop {
            let rest = &self.buffer[self.start..self.end];
            if let Some(at) = rest.iter().position(|byte| matches!(byte, b'\r' | b'\n')) {
                return self.consume(at, 0);
            }
            let length = rest.len();
            self.consume(length, 0);
            if !self.fill() {
                return;
            }
        }
    }

    fn consume(&mut self, bytes: usize, lines: u64) {
        self.start += bytes;
        self.byte += bytes as u64;
        self.line += lines;
    }

    /// Reads more; false at the end of the input.
    fn fill(&mut self) -> bool {
        if self.exhausted {
            return false;
        }
        self.buffer.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.start = 0;
        self.buffer.resize(self.buffer.len().max(self.end + READ_BYTES), 0);
        loop {
            match self.input.read(&mut self.buffer[self.end..]) {
                Ok(count) => {
                    self.end += count;
                    self.exhausted = count == 0;
                    return count > 0;
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => {
                    self.exhausted = true;
                    self.failure = Some(error);
                    return false;
                }
            }
        }
    }
}

/// One read hands out one row, with a plain LF behind it.
impl<R: Read> Read for Guard<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some((row, length, consumed)) = self.next_row() else {
            self.row = None;
            return Ok(0);
        };
        self.row = Some(row);
        let bytes = &self.buffer[self.start..self.start + length];
        let count = if row.fault.is_some() {
            buffer[..PLACEHOLDER.len()].copy_from_slice(PLACEHOLDER);
            PLACEHOLDER.len()
        } else {
            buffer[..length].copy_from_slice(bytes);
            buffer[length] = b'\n';
            length + 1
        };
        if consumed > length {
            self.after_cr = self.buffer[self.start + length] == b'\r';
        }
        self.consume(consumed, row_lines(&row, consumed > length));
        Ok(count)
    }
}

/// Lines to move on by; a row that was broken has moved on already.
fn row_lines(row: &Row, ended: bool) -> u64 {
    if ended { row.lines + 1 } else { 0 }
}

fn not_utf8(bytes: &[u8]) -> Option<Fault> {
    let valid = std::str::from_utf8(bytes).err()?.valid_up_to();
    let before = bytes[..valid].split(|byte| *byte == b'\n').count() as u64 - 1;
    Some(Fault { kind: FaultKind::NotUtf8, lines: before, field: None, offset: Some(valid) })
}
