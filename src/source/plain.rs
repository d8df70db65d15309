//! Rows that can be told at a glance to have no fault: their cells, without a state machine.
//!
//! A row is *plain* when it has the header's number of cells, each either without a quote or opened
//! by one and closed by another right before the delimiter or line end (two within are one), no
//! line end in a cell, and no cell beyond the limit of a plain one. By the rules of
//! [`scan`](super::scan) such a row has no fault: nothing follows a closing quote, no quote stands
//! in an unquoted cell, and where no line end is hidden nothing was swallowed. All other rows go
//! the slow way.

use super::{
    cells::{Cells, SLACK},
    grammar::{Class, Grammar, PLAIN_FIELD_BYTES_MAX},
    guard::ROW_BYTES_MAX,
};

/// The row that was found last, and room for the next.
#[derive(Default)]
pub(super) struct PlainRow {
    /// Start and end of every cell in the text, or, beyond the text's end, in `unescaped`.
    cells: Vec<(u32, u32)>,
    unescaped: Vec<u8>,
    pub(super) control: bool,
}

/// The cells of a [`PlainRow`].
pub(super) struct PlainCells<'a> {
    text: &'a [u8],
    row: &'a PlainRow,
}

impl Cells for PlainCells<'_> {
    fn len(&self) -> usize {
        self.row.cells.len()
    }

    #[inline]
    fn bytes(&self, at: usize) -> &[u8] {
        let Some(&(start, end)) = self.row.cells.get(at) else { return &[] };
        let (start, end) = (start as usize, end as usize);
        match start.checked_sub(self.text.len()) {
            None => &self.text[start..end],
            Some(start) => &self.row.unescaped[start..end - self.text.len()],
        }
    }

    /// Most cells are short, and a copy of fixed length needs no call.
    #[inline]
    fn copy_to(&self, at: usize, room: &mut [u8]) -> usize {
        let Some(&(start, end)) = self.row.cells.get(at) else { return 0 };
        let (start, end) = (start as usize, end as usize);
        let length = end - start;
        let wide = self.text.get(start..start + SLACK).zip(room.get_mut(..SLACK));
        if let (true, Some((from, to))) = (length <= SLACK, wide) {
            to.copy_from_slice(from);
            return length;
        }
        let cell = self.bytes(at);
        room[..length].copy_from_slice(cell);
        length
    }
}

impl PlainRow {
    pub(super) fn cells<'a>(&'a self, text: &'a [u8]) -> PlainCells<'a> {
        PlainCells { text, row: self }
    }

    /// Finds the row that begins at `start`; gives its length without the line end. `None`: not
    /// plain, or without a line end.
    pub(super) fn find(
        &mut self,
        text: &[u8],
        start: usize,
        marks: &mut Marks,
        grammar: &Grammar,
    ) -> Option<usize> {
        self.cells.clear();
        self.unescaped.clear();
        self.control = false;
        marks.move_to(text, start);
        let columns = grammar.columns?;
        let mut from = start;
        loop {
            let at = marks.next(text)?;
            // Nearly all of them are.
            if text[at] == marks.delimiter {
                self.cells.push(span(from, at));
                from = at + 1;
                continue;
            }
            match grammar.class(text[at]) {
                Class::Cr | Class::Lf => {
                    self.cells.push(span(from, at));
                    break self.judged(start, at, columns);
                }
                Class::Quote if at == from => {
                    let end = self.quoted(text, from, marks, grammar)?;
                    from = end + 1;
                    if grammar.class(text[end]) != Class::Delimiter {
                        break self.judged(start, end, columns);
                    }
                }
                Class::Quote => return None,
                Class::Control => self.control = true,
                Class::Delimiter | Class::Plain | Class::NotAscii => {}
            }
        }
    }

    /// The cell that the quote at `from` opens; gives where the delimiter or line end stands behind
    /// its closing quote.
    fn quoted(
        &mut self,
        text: &[u8],
        from: usize,
        marks: &mut Marks,
        grammar: &Grammar,
    ) -> Option<usize> {
        let mut doubled = false;
        loop {
            let at = marks.next(text)?;
            match grammar.class(text[at]) {
                Class::Quote => {
                    let after = marks.next(text).filter(|after| *after == at + 1)?;
                    match grammar.class(text[after]) {
                        Class::Quote => doubled = true,
                        Class::Delimiter | Class::Cr | Class::Lf => {
                            self.push_quoted(text, from + 1, at, doubled);
                            return Some(after);
                        }
                        Class::Control | Class::Plain | Class::NotAscii => return None,
                    }
                }
                Class::Cr | Class::Lf => return None,
                Class::Control => self.control = true,
                Class::Delimiter | Class::Plain | Class::NotAscii => {}
            }
        }
    }

    fn push_quoted(&mut self, text: &[u8], from: usize, to: usize, doubled: bool) {
        if !doubled {
            return self.cells.push(span(from, to));
        }
        let start = self.unescaped.len();
        let mut rest = &text[from..to];
        while let Some(at) = memchr::memchr(b'"', rest) {
            self.unescaped.extend_from_slice(&rest[..=at]);
            rest = &rest[at + 2..];
        }
        self.unescaped.extend_from_slice(rest);
        self.cells.push(span(text.len() + start, text.len() + self.unescaped.len()));
    }

    fn judged(&self, start: usize, end: usize, columns: usize) -> Option<usize> {
        let length = end - start;
        // The quotes of a cell count as well, which may be as many again and two: what comes near the
        // limit is not judged here.
        let long = |(from, to): &(u32, u32)| (to - from) as usize >= PLAIN_FIELD_BYTES_MAX / 2;
        let short = length <= PLAIN_FIELD_BYTES_MAX / 2
            || length < ROW_BYTES_MAX && !self.cells.iter().any(long);
        (self.cells.len() == columns && short).then_some(length)
    }
}

/// Positions in a block, which is far smaller than 4 GiB.
#[expect(clippy::cast_possible_truncation)]
fn span(from: usize, to: usize) -> (u32, u32) {
    (from as u32, to as u32)
}

/// Goes through a text from one byte that may matter to the next: delimiters, quotes, and control
/// characters, line ends among them. Looks at 64 bytes at once, in loops that a compiler turns into
/// vector instructions.
pub(super) struct Marks {
    delimiter: u8,
    /// The 64 bytes from here on are those of `bits`.
    base: usize,
    /// A bit for each byte, those gone by cleared.
    bits: u64,
    /// Behind the last mark that was given.
    gone: usize,
}

impl Marks {
    pub(super) fn new(delimiter: u8) -> Self {
        Self { delimiter, base: usize::MAX, bits: 0, gone: 0 }
    }

    /// Another text.
    pub(super) fn reset(&mut self) {
        self.base = usize::MAX;
    }

    fn move_to(&mut self, text: &[u8], at: usize) {
        let base = at & !63;
        if base != self.base || at < self.gone {
            self.load(text, base);
        }
        self.bits &= u64::MAX << (at & 63);
    }

    #[inline]
    fn next(&mut self, text: &[u8]) -> Option<usize> {
        while self.bits == 0 {
            let base = self.base + 64;
            if base >= text.len() {
                return None;
            }
            self.load(text, base);
        }
        let at = self.base + self.bits.trailing_zeros() as usize;
        self.bits &= self.bits - 1;
        self.gone = at + 1;
        Some(at)
    }

    fn load(&mut self, text: &[u8], base: usize) {
        self.base = base;
        let rest = text.get(base..).unwrap_or_default();
        self.bits = if let Some(chunk) = rest.first_chunk::<64>() {
            self.look(chunk)
        } else {
            let mut chunk = [b' '; 64];
            chunk[..rest.len()].copy_from_slice(rest);
            self.look(&chunk)
        };
    }

    #[expect(clippy::needless_bitwise_bool, reason = "a branch would keep it from being a vector")]
    #[inline]
    fn look(&self, chunk: &[u8; 64]) -> u64 {
        let mut marks = [0_u8; 64];
        for (mark, byte) in marks.iter_mut().zip(chunk) {
            let hit =
                (*byte < 0x20) | (*byte == 0x7f) | (*byte == b'"') | (*byte == self.delimiter);
            *mark = u8::from(hit);
        }
        let (groups, _) = marks.as_chunks::<8>();
        let mut bits = 0;
        for (at, group) in groups.iter().enumerate() {
            // Brings the lowest bit of each byte into the highest byte, in their order.
            let gathered = u64::from_le_bytes(*group).wrapping_mul(0x0102_0408_1020_4080) >> 56;
            bits |= gathered << (8 * at);
        }
        bits
    }
}
