//! Cuts the text into blocks that are likely to hold whole rows.
//!
//! A block ends with a line at whose end the number of quotes since the block's beginning is even.
//! That is a guess: a quote within an unquoted cell makes it odd where it should be even. It need not
//! be right, since whoever reads a block [sees](super::block::Worker::read) whether it is.

use super::{block::Block, guard::ROW_BYTES_MAX};
use std::io::{self, ErrorKind, Read};

/// No guess is left.
pub(super) struct Uncut;

impl From<io::Error> for Uncut {
    fn from(_: io::Error) -> Self {
        Self
    }
}

pub(super) struct Cutter<R> {
    input: R,
    size: usize,
    /// Read, and behind the last block.
    rest: Vec<u8>,
    /// Position of `rest[0]`.
    byte: u64,
    exhausted: bool,
    spare: Vec<Vec<u8>>,
}

impl<R: Read> Cutter<R> {
    /// `size`: of a block, if rows are short.
    pub(super) fn new(input: R, size: usize, first_byte: u64) -> Self {
        let rest = Vec::with_capacity(size);
        Self { input, size, rest, byte: first_byte, exhausted: false, spare: Vec::new() }
    }

    /// Takes the room of a block that is no longer needed.
    pub(super) fn reuse(&mut self, room: Vec<u8>) {
        self.spare.push(room);
    }

    /// `None` at the end of the text.
    pub(super) fn next(&mut self) -> Result<Option<Block>, Uncut> {
        let mut wanted = self.size;
        loop {
            self.fill(wanted)?;
            if self.exhausted {
                let end = self.rest.len();
                return Ok((end > 0).then(|| self.block(end)));
            }
            // A quoted cell is never as long as a block. Where no line end is a row's by the count
            // of quotes, one of them is no opening nor closing one.
            let patient = wanted < 2 * self.size;
            let odd = || (!patient).then(|| cut(&self.rest, true)).flatten();
            if let Some(end) = cut(&self.rest, false).or_else(odd) {
                return Ok(Some(self.block(end)));
            }
            if wanted > ROW_BYTES_MAX + 2 * self.size {
                return Err(Uncut);
            }
            wanted += self.size.max(wanted / 2);
        }
    }

    fn fill(&mut self, wanted: usize) -> Result<(), Uncut> {
        let mut filled = self.rest.len();
        self.rest.resize(wanted.max(filled), 0);
        while filled < self.rest.len() && !self.exhausted {
            match self.input.read(&mut self.rest[filled..]) {
                Ok(count) => {
                    filled += count;
                    self.exhausted = count == 0;
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
        self.rest.truncate(filled);
        Ok(())
    }

    fn block(&mut self, end: usize) -> Block {
        let mut rest = self.spare.pop().unwrap_or_default();
        rest.clear();
        rest.extend_from_slice(&self.rest[end..]);
        let text = std::mem::replace(&mut self.rest, rest);
        let byte = self.byte;
        self.byte += end as u64;
        let last = self.exhausted && self.rest.is_empty();
        Block { text, start: 0, end, byte, last }
    }
}

/// Behind the last line end that has an even number of quotes before it, or an odd one.
fn cut(text: &[u8], odd: bool) -> Option<usize> {
    let quotes = |text: &[u8]| memchr::memchr_iter(b'"', text).count();
    let mut before = quotes(text);
    let mut end = text.len();
    while let Some(at) = memchr::memrchr2(b'\n', b'\r', &text[..end]) {
        before -= quotes(&text[at..end]);
        end = at;
        let next = text.get(at + 1);
        let torn = text[at] == b'\r' && next.is_none_or(|next| *next == b'\n');
        if !torn && (before % 2 == 1) == odd {
            return Some(at + 1);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cut_is_behind_a_line_that_closes_its_quotes() {
        let cases = [
            ("a\nb\nc", Some(4), None),
            ("a,\"x\ny\"\nb", Some(8), Some(5)),
            ("a\n\"b\nc", Some(2), Some(5)),
            ("a\r\nb\r", Some(3), None),
            ("a\rb", Some(2), None),
            ("abc", None, None),
        ];
        for (text, even, odd) in cases {
            assert_eq!(
                (cut(text.as_bytes(), false), cut(text.as_bytes(), true)),
                (even, odd),
                "{text:?}"
            );
        }
    }

    #[test]
    fn blocks_make_up_the_text() {
        let text = "ab\n\"c\nd\"\nef\n\n\"g\"\r\nh\"\ni\nj".repeat(9);
        for size in 1..40 {
            let mut cutter = Cutter::new(text.as_bytes(), size, 7);
            let (mut whole, mut last) = (Vec::new(), false);
            while let Ok(Some(block)) = cutter.next() {
                assert!(!last && block.byte == 7 + whole.len() as u64);
                whole.extend_from_slice(&block.text[..block.end]);
                last = block.last;
                cutter.reuse(block.text);
            }
            assert!(whole == text.as_bytes() && last, "size {size}");
        }
    }
}
