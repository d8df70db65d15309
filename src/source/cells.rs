//! The cells of one row, however they were found.

use crate::model::Fingerprint;
use ::csv::ByteRecord;
use std::io::{self, Read};

/// The cells of a row that is UTF-8 as a whole.
pub(super) trait Cells {
    fn len(&self) -> usize;

    /// Nothing for a cell that is not there.
    fn bytes(&self, at: usize) -> &[u8];

    /// Writes a cell at the start of `room`, which has [`SLACK`] bytes more than the cell.
    #[inline]
    fn copy_to(&self, at: usize, room: &mut [u8]) -> usize {
        let cell = self.bytes(at);
        room[..cell.len()].copy_from_slice(cell);
        cell.len()
    }

    fn text(&self, at: usize) -> &str {
        std::str::from_utf8(self.bytes(at)).unwrap_or_default()
    }
}

impl Cells for ByteRecord {
    fn len(&self) -> usize {
        Self::len(self)
    }

    fn bytes(&self, at: usize) -> &[u8] {
        self.get(at).unwrap_or_default()
    }
}

/// A short cell is copied by so many bytes at once, whatever its length.
pub(super) const SLACK: usize = 32;
/// Most bytes of a length; see [`Fingerprint::put_length`].
const LENGTH_BYTES_MAX: usize = 10;

/// Takes the fingerprints of rows; the same as [`Fingerprint::of`] takes.
#[derive(Default)]
pub(super) struct Hasher {
    room: Vec<u8>,
}

impl Hasher {
    pub(super) fn key(&mut self, key: &str) -> Fingerprint {
        self.make_room(key.len(), 1);
        let length = self.put(0, key.as_bytes());
        Fingerprint::of_bytes(&self.room[..length])
    }

    /// Of the key and the cells of those columns, absent ones as absent. `row_bytes`: at least as
    /// long as all the cells.
    pub(super) fn row(
        &mut self,
        key: &str,
        columns: &[Option<usize>],
        cells: &impl Cells,
        row_bytes: usize,
    ) -> Fingerprint {
        self.make_room(key.len() + row_bytes, columns.len() + 1);
        let mut length = self.put(0, key.as_bytes());
        for column in columns {
            length = match column {
                Some(at) => {
                    let start = self.put_length(length, Some(cells.bytes(*at).len()));
                    start + cells.copy_to(*at, &mut self.room[start..])
                }
                None => self.put_length(length, None),
            };
        }
        Fingerprint::of_bytes(&self.room[..length])
    }

    fn make_room(&mut self, bytes: usize, texts: usize) {
        let needed = bytes + texts * LENGTH_BYTES_MAX + SLACK;
        if self.room.len() < needed {
            self.room.resize(needed, 0);
        }
    }

    fn put(&mut self, at: usize, text: &[u8]) -> usize {
        let start = self.put_length(at, Some(text.len()));
        let end = start + text.len();
        self.room[start..end].copy_from_slice(text);
        end
    }

    #[inline]
    fn put_length(&mut self, mut at: usize, length: Option<usize>) -> usize {
        Fingerprint::put_length(length, &mut |byte| {
            self.room[at] = byte;
            at += 1;
        });
        at
    }
}

/// Splits single rows with the `csv` crate.
pub(super) struct Splitter {
    reader: ::csv::Reader<Feed>,
}

/// Hands out one row, with a plain LF behind it.
struct Feed {
    row: Vec<u8>,
    given: usize,
}

impl Read for Feed {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let rest = &self.row[self.given..];
        let count = rest.len().min(buffer.len());
        buffer[..count].copy_from_slice(&rest[..count]);
        self.given += count;
        Ok(count)
    }
}

impl Splitter {
    pub(super) fn new(delimiter: u8) -> Self {
        let reader = ::csv::ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .delimiter(delimiter)
            .from_reader(Feed { row: Vec::new(), given: 0 });
        let mut splitter = Self { reader };
        // The library drops a byte order mark from the first row that it reads, which may be any.
        splitter.split(b"-", &mut ByteRecord::new());
        splitter
    }

    /// `row`: without its line end, not blank. False when it is not exactly one row, for which one
    /// with a quote left open is taken.
    pub(super) fn split(&mut self, row: &[u8], cells: &mut ByteRecord) -> bool {
        let feed = self.reader.get_mut();
        feed.row.clear();
        feed.row.extend_from_slice(row);
        feed.row.push(b'\n');
        feed.given = 0;
        let start = self.reader.position().byte();
        let one = self.reader.read_byte_record(cells).unwrap_or(false);
        let read = self.reader.position().byte() - start;
        one && read == row.len() as u64 + 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_has_the_fingerprint_of_its_texts() {
        let long = "x".repeat(40_000);
        let cells = ByteRecord::from(vec!["", "E1", "Zoë", &long]);
        let mut hasher = Hasher::default();
        let columns = [Some(3), None, Some(0), Some(2), Some(1)];
        let texts = [Some("k"), Some(&long), None, Some(""), Some("Zoë"), Some("E1")];
        let bytes = cells.as_slice().len();
        assert_eq!(hasher.row("k", &columns, &cells, bytes), Fingerprint::of(texts));
        assert_eq!(hasher.key(&long), Fingerprint::of([Some(long.as_str())]));
    }

    #[test]
    fn one_row_is_split_and_two_are_not() {
        let (mut splitter, mut cells) = (Splitter::new(b','), ByteRecord::new());
        assert!(splitter.split(b"a,\"b\n\"\"c\"", &mut cells));
        assert_eq!(cells, vec!["a", "b\n\"c"]);
        for broken in [&b"a,b\nc,d"[..], b""] {
            assert!(!splitter.split(broken, &mut cells), "{broken:?}");
            splitter = Splitter::new(b',');
        }
        let marked = "\u{feff}\"a\",b";
        assert!(splitter.split(marked.as_bytes(), &mut cells));
        assert_eq!(cells, vec!["\u{feff}\"a\"", "b"]);
        let long = "y".repeat(100_000);
        assert!(splitter.split(long.as_bytes(), &mut cells) && cells.len() == 1);
        assert!(splitter.split(b"c,d", &mut cells) && cells.len() == 2);
    }
}
