//! What a stretch of rows comes to, before all stretches are put together.

use super::{cells::Hasher, findings::Findings, guard::Row, references::Edges};
use crate::{
    engine::index::{Index, Place},
    model::{Fingerprint, HeldRow},
};

/// The rows of one stretch of the text. Its lines count from `line` and its bytes from `byte` on,
/// both of which are set by whoever knows them.
#[derive(Default)]
pub(super) struct Chunk {
    pub(super) byte: u64,
    /// Lines before that of number 0.
    pub(super) line: u64,
    pub(super) counts: Counts,
    pub(super) findings: Findings,
    pub(super) held: Vec<HeldRow>,
    pub(super) edges: Vec<Edges>,
    pub(super) settled: Vec<Settled>,
    pub(super) fresh: Vec<Ref>,
}

/// What is counted of rows.
#[derive(Default)]
pub(super) struct Counts {
    pub(super) rows: u64,
    /// Line ends in and behind them.
    pub(super) lines: u64,
    /// Sum of all rows' fingerprints: their order means nothing.
    pub(super) sum: u128,
    pub(super) damaged_keys: u64,
    pub(super) cells: u64,
    pub(super) double_encoded: u64,
    /// The last row may be cut, and so may the file.
    pub(super) open_end: bool,
}

impl Counts {
    #[inline]
    pub(super) fn add_to_sum(&mut self, fingerprint: Fingerprint) {
        self.sum = self.sum.wrapping_add(fingerprint.0);
    }

    /// Those of the rows that come next.
    pub(super) fn add(&mut self, next: &Self) {
        let Self { rows, lines, sum, damaged_keys, cells, double_encoded, open_end } = next;
        self.rows += rows;
        self.lines += lines;
        self.sum = self.sum.wrapping_add(*sum);
        self.damaged_keys += damaged_keys;
        self.cells += cells;
        self.double_encoded += double_encoded;
        self.open_end |= open_end;
    }
}

/// A row that was settled before, within its chunk.
#[derive(Clone, Copy)]
pub(super) struct Settled {
    pub(super) place: u32,
    pub(super) line: u32,
    pub(super) at: u32,
    pub(super) length: u32,
}

/// A fresh row within its chunk: 40 bytes.
#[derive(Clone, Copy)]
pub(super) struct Ref {
    key: [u64; 2],
    /// Half of the row's fingerprint: enough to tell whether it is still the same.
    pub(super) row: u64,
    pub(super) at: u32,
    length: u32,
    pub(super) line: u32,
    place: u32,
}

const NO_PLACE: u32 = u32::MAX;
/// Rows are far shorter than these bits of their length.
const HELD: u32 = 1 << 31;
const LEFT_OUT: u32 = 1 << 30;

impl Ref {
    pub(super) fn key(&self) -> Fingerprint {
        Fingerprint(u128::from(self.key[0]) << 64 | u128::from(self.key[1]))
    }

    pub(super) fn place(&self) -> Option<Place> {
        (self.place != NO_PLACE).then_some(Place(self.place))
    }

    pub(super) fn length(&self) -> usize {
        (self.length & !(HELD | LEFT_OUT)) as usize
    }

    /// The row itself is held, and says the same as no other.
    pub(super) fn is_held(&self) -> bool {
        self.length & HELD != 0
    }

    pub(super) fn leave_out(&mut self) {
        self.length |= LEFT_OUT;
    }

    /// It becomes a record.
    pub(super) fn is_wanted(&self) -> bool {
        self.length & (HELD | LEFT_OUT) == 0
    }
}

#[expect(clippy::cast_possible_truncation)]
pub(super) fn half(fingerprint: Fingerprint) -> u64 {
    fingerprint.0 as u64
}

/// A row whose key could be read.
#[derive(Clone, Copy)]
pub(super) struct Seen {
    pub(super) key: Fingerprint,
    pub(super) row: Fingerprint,
    pub(super) held: bool,
}

/// Rows are looked up so many at a time.
const AT_ONCE: usize = 256;

/// A stretch under way.
pub(super) struct Stretch<'a> {
    index: &'a Index,
    pub(super) chunk: Chunk,
    pub(super) hasher: Hasher,
    keys: Vec<Fingerprint>,
    rows: Vec<Waiting>,
    places: Vec<Option<Place>>,
}

#[derive(Clone, Copy)]
struct Waiting {
    row: Fingerprint,
    at: u32,
    length: u32,
    line: u32,
}

impl<'a> Stretch<'a> {
    pub(super) fn new(index: &'a Index) -> Self {
        Self {
            index,
            chunk: Chunk::default(),
            hasher: Hasher::default(),
            keys: Vec::with_capacity(AT_ONCE),
            rows: Vec::with_capacity(AT_ONCE),
            places: Vec::with_capacity(AT_ONCE),
        }
    }

    /// Begins the next one, with so many columns of references.
    pub(super) fn begin(&mut self, byte: u64, line: u64, references: usize) {
        let edges = (0..references).map(|_| Edges::default()).collect();
        self.chunk = Chunk { byte, line, edges, ..Chunk::default() };
    }

    pub(super) fn end(&mut self) -> Chunk {
        self.settle();
        self.chunk.fresh.shrink_to_fit();
        std::mem::take(&mut self.chunk)
    }

    /// Positions are within a chunk, which is far smaller than 4 GiB.
    #[expect(clippy::cast_possible_truncation)]
    #[inline]
    pub(super) fn see(&mut self, seen: Seen, row: &Row) {
        let Seen { key, row: fingerprint, held } = seen;
        self.keys.push(key);
        self.rows.push(Waiting {
            row: fingerprint,
            at: (row.byte - self.chunk.byte) as u32,
            length: row.length as u32 | if held { HELD } else { 0 },
            line: (row.line - self.chunk.line) as u32,
        });
        if self.keys.len() == AT_ONCE {
            self.settle();
        }
    }

    fn settle(&mut self) {
        let index = self.index;
        index.find_all(&self.keys, &mut self.places);
        for ((key, waiting), place) in self.keys.iter().zip(&self.rows).zip(&self.places) {
            let Waiting { row, at, length, line } = *waiting;
            let settled = |place: &Place| length & HELD == 0 && index.is_settled(*place, row);
            if let Some(Place(place)) = place.filter(settled) {
                self.chunk.settled.push(Settled { place, line, at, length });
                continue;
            }
            #[expect(clippy::cast_possible_truncation)]
            let key = [(key.0 >> 64) as u64, key.0 as u64];
            let place = place.map_or(NO_PLACE, |place| place.0);
            self.chunk.fresh.push(Ref { key, row: half(row), at, length, line, place });
        }
        self.keys.clear();
        self.rows.clear();
    }
}
