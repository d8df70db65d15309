//! All stretches of the file put together, in its order: who is present, and who is there twice.

use super::{
    findings::Findings,
    references::Edges,
    stretch::{Chunk, Counts, Ref, Settled, half},
};
use crate::{
    engine::index::{Index, Place},
    model::{Fingerprint, HeldRow},
};
use std::collections::{BTreeMap, BTreeSet};

#[derive(Default)]
pub(super) struct Ledger {
    pub(super) counts: Counts,
    pub(super) findings: Findings,
    pub(super) held: Vec<HeldRow>,
    pub(super) edges: Vec<Edges>,
    pub(super) present: Present,
    /// The rows that are not settled, in the vectors that they came in.
    pub(super) fresh: Vec<Fresh>,
    /// Places seen more than once.
    twice: BTreeSet<Place>,
    /// Settled rows of places that had been seen.
    again: Vec<(Place, Member)>,
}

/// Everybody in the file.
#[derive(Default)]
pub(super) struct Present {
    /// By place: the line on which the user came first, 0 for somebody absent. What is beyond 4
    /// billion lines stands as the last one that can be told.
    first_lines: Vec<u32>,
    /// Halves of the fingerprints of the keys that the index does not have, sorted.
    strangers: Vec<u64>,
}

impl Present {
    pub(super) fn has(&self, place: Place) -> bool {
        self.first_lines.get(place.at()).is_some_and(|line| *line > 0)
    }

    pub(super) fn has_key(&self, index: &Index, key: Fingerprint) -> bool {
        match index.find(key) {
            Some(place) => self.has(place),
            None => self.strangers.binary_search(&half(key)).is_ok(),
        }
    }

    pub(super) fn users(&self) -> u64 {
        let known = self.first_lines.iter().filter(|line| **line > 0).count();
        (known + self.strangers.len()) as u64
    }
}

/// Fresh rows that stand near one another.
pub(super) struct Fresh {
    pub(super) byte: u64,
    pub(super) line: u64,
    pub(super) refs: Vec<Ref>,
}

/// Where a row stands in the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Spot {
    pub(super) byte: u64,
    pub(super) length: usize,
}

/// The rows of a key that came more than once, in their order.
pub(super) struct Repeated {
    pub(super) members: Vec<Member>,
}

#[derive(Clone, Copy)]
pub(super) struct Member {
    pub(super) line: u64,
    row: u64,
    unlike: bool,
    /// Unknown of a settled row that came first.
    spot: Option<Spot>,
    /// Its number among the fresh rows, when it is one.
    pub(super) fresh: Option<u32>,
}

impl Repeated {
    /// All the rows say the same.
    pub(super) fn same(&self) -> bool {
        let first = self.members.first().map(|member| member.row);
        self.members.iter().all(|member| !member.unlike && Some(member.row) == first)
    }

    /// A row in which the key can be read.
    pub(super) fn spot(&self) -> Option<Spot> {
        self.members.iter().find_map(|member| member.spot)
    }
}

impl Ledger {
    pub(super) fn new(index: &Index, references: usize) -> Self {
        let present = Present { first_lines: vec![0; index.len()], strangers: Vec::new() };
        let edges = (0..references).map(|_| Edges::default()).collect();
        Self { edges, present, ..Self::default() }
    }

    /// Takes the next stretch.
    pub(super) fn take(&mut self, chunk: Chunk) {
        self.counts.add(&chunk.counts);
        for (all, edges) in self.edges.iter_mut().zip(chunk.edges) {
            all.append(edges);
        }
        for Settled { place, line, at, length } in chunk.settled {
            let line = chunk.line + u64::from(line);
            if !self.note(Place(place), line) {
                let byte = chunk.byte + u64::from(at);
                let spot = Some(Spot { byte, length: length as usize });
                let member = Member { line, row: 0, unlike: false, spot, fresh: None };
                self.again.push((Place(place), member));
            }
        }
        for (line, place) in chunk.fresh.iter().filter_map(|row| Some((row.line, row.place()?))) {
            self.note(place, chunk.line + u64::from(line));
        }
        if !chunk.fresh.is_empty() {
            self.fresh.push(Fresh { byte: chunk.byte, line: chunk.line, refs: chunk.fresh });
        }
    }

    /// Takes the next stretch, of which all lines are those of the file.
    pub(super) fn take_told(&mut self, mut chunk: Chunk) {
        self.tell(std::mem::take(&mut chunk.findings), std::mem::take(&mut chunk.held), 0);
        self.take(chunk);
    }

    /// The findings and held rows of a stretch whose lines counted from `lines` on.
    pub(super) fn tell(&mut self, findings: Findings, held: Vec<HeldRow>, lines: u64) {
        self.findings.append(findings, lines);
        self.held.extend(held.into_iter().map(|row| HeldRow { line: row.line + lines, ..row }));
    }

    /// False when the place was seen before.
    fn note(&mut self, place: Place, line: u64) -> bool {
        let first = &mut self.present.first_lines[place.at()];
        if *first == 0 {
            *first = saturated(line);
            return true;
        }
        self.twice.insert(place);
        false
    }

    /// Finds who is there more than once, in the order of their first rows, and whom the index does
    /// not have.
    pub(super) fn repeated(&mut self, index: &Index) -> Vec<Repeated> {
        let mut groups = self.known_twice(index);
        self.find_strangers(&mut groups);
        let mut repeated: Vec<Repeated> = groups
            .into_values()
            .map(|mut members| {
                members.sort_by_key(|member| member.line);
                Repeated { members }
            })
            .collect();
        repeated.sort_by_key(|group| group.members.first().map(|member| member.line));
        repeated
    }

    fn known_twice(&mut self, index: &Index) -> BTreeMap<Fingerprint, Vec<Member>> {
        let mut groups: BTreeMap<Fingerprint, Vec<Member>> = BTreeMap::new();
        let twice = std::mem::take(&mut self.twice);
        if twice.is_empty() {
            return groups;
        }
        let mut firsts_fresh = BTreeSet::new();
        for (number, fresh, row) in numbered(&self.fresh) {
            let Some(place) = row.place().filter(|place| twice.contains(place)) else { continue };
            let member = member(number, fresh, row);
            if saturated(member.line) == self.present.first_lines[place.at()] {
                firsts_fresh.insert(place);
            }
            groups.entry(row.key()).or_default().push(member);
        }
        let settled = |place: Place| half(index.entry(place).row);
        for (place, member) in std::mem::take(&mut self.again) {
            let member = Member { row: settled(place), ..member };
            groups.entry(index.entry(place).key).or_default().push(member);
        }
        for place in twice.difference(&firsts_fresh) {
            let line = u64::from(self.present.first_lines[place.at()]);
            let row = settled(*place);
            let first = Member { line, row, unlike: false, spot: None, fresh: None };
            groups.entry(index.entry(*place).key).or_default().push(first);
        }
        groups
    }

    fn find_strangers(&mut self, groups: &mut BTreeMap<Fingerprint, Vec<Member>>) {
        let unknown = numbered(&self.fresh).filter(|(_, _, row)| row.place().is_none());
        let mut found: Vec<(u64, u32)> =
            unknown.map(|(number, _, row)| (half(row.key()), number)).collect();
        found.sort_unstable();
        let starts = starts(&self.fresh);
        for alike in found.chunk_by(|(a, _), (b, _)| a == b).filter(|alike| alike.len() > 1) {
            let mut by_key: BTreeMap<Fingerprint, Vec<Member>> = BTreeMap::new();
            for (_, number) in alike {
                let (at, within) = locate(&starts, *number);
                let row = &self.fresh[at].refs[within];
                by_key.entry(row.key()).or_default().push(member(*number, &self.fresh[at], row));
            }
            groups.extend(by_key.into_iter().filter(|(_, members)| members.len() > 1));
        }
        // Two strangers with the same half are one here, and counted as one: of ten million, a
        // chance of 3 in a million.
        found.dedup_by_key(|(half, _)| *half);
        self.present.strangers = found.into_iter().map(|(half, _)| half).collect();
    }

    /// The rows of these numbers become no records.
    pub(super) fn leave_out(&mut self, numbers: impl IntoIterator<Item = u32>) {
        let starts = starts(&self.fresh);
        for number in numbers {
            let (at, within) = locate(&starts, number);
            self.fresh[at].refs[within].leave_out();
        }
    }
}

fn saturated(line: u64) -> u32 {
    u32::try_from(line).unwrap_or(u32::MAX)
}

fn member(number: u32, fresh: &Fresh, row: &Ref) -> Member {
    Member {
        line: fresh.line + u64::from(row.line),
        row: row.row,
        unlike: row.is_held(),
        spot: Some(fresh.spot(row)),
        fresh: Some(number),
    }
}

impl Fresh {
    pub(super) fn spot(&self, row: &Ref) -> Spot {
        Spot { byte: self.byte + u64::from(row.at), length: row.length() }
    }
}

/// All of them with their numbers, in the file's order. A read has fewer than 4 billion rows.
pub(super) fn numbered(fresh: &[Fresh]) -> impl Iterator<Item = (u32, &Fresh, &Ref)> {
    let rows = fresh.iter().flat_map(|fresh| fresh.refs.iter().map(move |row| (fresh, row)));
    (0..).zip(rows).map(|(number, (fresh, row))| (number, fresh, row))
}

/// The number of each vector's first row.
fn starts(fresh: &[Fresh]) -> Vec<usize> {
    let mut sum = 0;
    let start = |fresh: &Fresh| {
        sum += fresh.refs.len();
        sum - fresh.refs.len()
    };
    fresh.iter().map(start).collect()
}

fn locate(starts: &[usize], number: u32) -> (usize, usize) {
    let number = number as usize;
    let at = starts.partition_point(|start| *start <= number) - 1;
    (at, number - starts[at])
}
