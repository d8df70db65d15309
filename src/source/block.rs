//! One block of the text, judged by itself: whole rows and nothing else, or not at all.

use super::{
    cells::Splitter,
    guard::{ROW_BYTES_MAX, Row},
    keys::is_double_encoded,
    plain::{Marks, PlainRow},
    rows::Judge,
    scan::{Scan, Scanned},
    stretch::{Chunk, Stretch},
};
use crate::engine::index::Index;
use crate::model::Fingerprint;
use ::csv::ByteRecord;

/// A piece of the text that is believed to begin and to end with whole rows.
pub(super) struct Block {
    pub(super) text: Vec<u8>,
    /// It is `text[start..end]`.
    pub(super) start: usize,
    pub(super) end: usize,
    /// Position of `text[0]`.
    pub(super) byte: u64,
    /// Nothing comes after it, so that the last row may lack its line end.
    pub(super) last: bool,
}

pub(super) struct Worker<'a> {
    judge: &'a Judge<'a>,
    stretch: Stretch<'a>,
    marks: Marks,
    plain: PlainRow,
    splitter: Splitter,
    cells: ByteRecord,
}

/// Where in the block the next row begins.
#[derive(Clone, Copy)]
struct Here {
    at: usize,
    line: u64,
    /// The last row ended in a CR, so that an LF here still belongs to it.
    after_cr: bool,
}

impl<'a> Worker<'a> {
    pub(super) fn new(judge: &'a Judge<'a>, index: &'a Index, delimiter: u8) -> Self {
        Self {
            judge,
            stretch: Stretch::new(index),
            marks: Marks::new(delimiter),
            plain: PlainRow::default(),
            splitter: Splitter::new(delimiter),
            cells: ByteRecord::new(),
        }
    }

    /// Judges the rows of the block, with lines counted from 1. `None` when the block's end is not
    /// that of a row, or when a row cannot be followed: then it is not known where rows begin.
    pub(super) fn read(&mut self, block: &Block) -> Option<Chunk> {
        let text = block.text.get(..block.end)?;
        self.stretch.begin(block.byte, 0, self.judge.header.references.len());
        self.marks.reset();
        let mut here = Here { at: block.start, line: 1, after_cr: false };
        while here.skip_blank_lines(text) {
            here = match self.plain.find(text, here.at, &mut self.marks, &self.judge.grammar) {
                Some(length) => self.plain_row(text, here, length, block)?,
                None => self.other_row(text, here, block)?,
            };
        }
        self.stretch.chunk.counts.lines = here.line - 1;
        Some(self.stretch.end())
    }

    fn plain_row(&mut self, text: &[u8], here: Here, length: usize, block: &Block) -> Option<Here> {
        let bytes = &text[here.at..here.at + length];
        let not_ascii = !bytes.is_ascii();
        // Faster than the standard library's where most is ASCII.
        if not_ascii && encoding_rs::Encoding::utf8_valid_up_to(bytes) < length {
            return self.other_row(text, here, block);
        }
        let row = Row {
            line: here.line,
            lines: 0,
            byte: block.byte + here.at as u64,
            length,
            fault: None,
            literal_quote: None,
            control: self.plain.control,
            not_ascii,
            double_encoded: not_ascii && is_double_encoded(bytes),
            terminated: true,
            raw: Fingerprint::default(),
        };
        self.judge.row(&row, &self.plain.cells(text), &mut self.stretch);
        Some(here.after(text, &row))
    }

    /// The slow way, which tells what is wrong.
    fn other_row(&mut self, text: &[u8], here: Here, block: &Block) -> Option<Here> {
        let rest = &text[here.at..];
        let mut scan = Scan::new();
        let terminated = match scan.advance(rest, &self.judge.grammar) {
            Scanned::RowEnd => true,
            Scanned::More if block.last => {
                (scan.finish(rest, &self.judge.grammar) != Scanned::Broken).then_some(false)?
            }
            Scanned::More | Scanned::Broken => return None,
        };
        if scan.at > ROW_BYTES_MAX {
            return None;
        }
        let bytes = &rest[..scan.at - 1];
        let byte = block.byte + here.at as u64;
        let row = Row::ended(&scan, bytes, here.line, byte, terminated);
        if row.fault.is_none() && !self.splitter.split(bytes, &mut self.cells) {
            return None;
        }
        self.judge.row(&row, &self.cells, &mut self.stretch);
        Some(here.after(text, &row))
    }
}

impl Here {
    /// False at the end of the block.
    fn skip_blank_lines(&mut self, text: &[u8]) -> bool {
        while let Some(byte @ (b'\r' | b'\n')) = text.get(self.at) {
            self.line += u64::from(*byte == b'\r' || !self.after_cr);
            self.after_cr = *byte == b'\r';
            self.at += 1;
        }
        self.after_cr = false;
        self.at < text.len()
    }

    fn after(self, text: &[u8], row: &Row) -> Self {
        let end = self.at + row.length;
        let line = self.line + row.lines + u64::from(row.terminated);
        let after_cr = text.get(end) == Some(&b'\r');
        Self { at: end + usize::from(row.terminated), line, after_cr }
    }
}
