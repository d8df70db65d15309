//! Columns whose cells are keys of the same source (a manager): references to nobody, and cycles.

use super::{
    codes,
    findings::{at_line, finding},
    keys,
    ledger::{Ledger, Spot, numbered},
};
use crate::{
    engine::index::Index,
    model::{Fingerprint, Place, Severity},
};

/// All references of one column, those of settled rows included, since a cycle may run through
/// them.
#[derive(Default)]
pub(super) struct Edges {
    /// Who refers, and to whom. 32 bytes each.
    edges: Vec<(Fingerprint, Fingerprint)>,
}

/// A node of the walk is numbered by the walk that came by first.
const NEVER: u32 = 0;

/// A fresh row, by its number, and a column of it that cannot be believed, by its number among
/// those of references.
pub(super) type Unusable = (u32, u16);

/// A finding that is listed, by its number, and the row whose key it is to have.
pub(super) type Unnamed = (usize, Spot);

impl Edges {
    /// An empty cell refers to nobody, and a cell that is no key refers to somebody unknown.
    pub(super) fn add(&mut self, from: Fingerprint, cell: &str, fold_case: bool) {
        match keys::read(cell, fold_case) {
            Ok(key) => self.edges.push((from, keys::fingerprint_of(&key))),
            Err(keys::KeyProblem::Empty) => {}
            // No text has the fingerprint of an absent one.
            Err(_) => self.edges.push((from, Fingerprint::of([None]))),
        }
    }

    pub(super) fn append(&mut self, mut later: Self) {
        self.edges.append(&mut later.edges);
    }

    fn find(&self, from: Fingerprint) -> Option<usize> {
        self.edges.binary_search_by_key(&from, |(from, _)| *from).ok()
    }
}

impl Ledger {
    /// Finds the wanted rows whose reference cannot be believed. `columns`: those of the references,
    /// with their names and where they are.
    pub(super) fn judge_references(
        &mut self,
        columns: &[(String, usize)],
        index: &Index,
    ) -> (Vec<Unusable>, Vec<Unnamed>) {
        let (mut unusable, mut unnamed) = (Vec::new(), Vec::new());
        let all = std::mem::take(&mut self.edges);
        for ((number, edges), (name, at)) in (0..).zip(all).zip(columns) {
            for (row, spot, line, flaw) in self.flaws(edges, index) {
                unusable.push((row, number));
                let place = Place {
                    column: Some(name.clone()),
                    column_number: Some(at + 1),
                    ..at_line(line)
                };
                let (code, what, hint) = match flaw {
                    Flaw::Cycle => {
                        (codes::REFERENCE_CYCLE, "closes a cycle", "correct one of the rows")
                    }
                    Flaw::Nobody => {
                        let hint = "add the person to the export, or leave the cell empty";
                        (codes::UNKNOWN_REFERENCE, "refers to nobody in this file", hint)
                    }
                };
                let message = format!("{what}; what depends on it is left as it is");
                let listed = self.findings.add(finding(Severity::Held, code, place, message, hint));
                unnamed.extend(listed.map(|listed| (listed, spot)));
            }
        }
        unusable.sort_unstable();
        (unusable, unnamed)
    }

    fn flaws(&self, mut edges: Edges, index: &Index) -> Vec<(u32, Spot, u64, Flaw)> {
        edges.edges.sort_unstable();
        edges.edges.dedup_by_key(|(from, _)| *from);
        let mut walks = Walks { number: 0, visited: vec![NEVER; edges.edges.len()] };
        let mut in_cycle = vec![false; edges.edges.len()];
        let mut flaws = Vec::new();
        for (number, fresh, row) in numbered(&self.fresh).filter(|(_, _, row)| row.is_wanted()) {
            let Some(at) = edges.find(row.key()) else { continue };
            walks.walk(at, &edges, &mut in_cycle);
            let flaw = match in_cycle[at] {
                true => Flaw::Cycle,
                false if !self.present.has_key(index, edges.edges[at].1) => Flaw::Nobody,
                false => continue,
            };
            flaws.push((number, fresh.spot(row), fresh.line + u64::from(row.line), flaw));
        }
        flaws
    }
}

#[derive(Clone, Copy)]
enum Flaw {
    Cycle,
    Nobody,
}

struct Walks {
    number: u32,
    visited: Vec<u32>,
}

impl Walks {
    /// Follows the references from `start` until the end or until a node seen before; if this very
    /// walk saw it, the walk has closed a cycle. Every node is walked through once in all.
    fn walk(&mut self, start: usize, references: &Edges, in_cycle: &mut [bool]) {
        self.number += 1;
        let mut at = start;
        while self.visited[at] == NEVER {
            self.visited[at] = self.number;
            match references.find(references.edges[at].1) {
                Some(next) => at = next,
                None => return,
            }
        }
        if self.visited[at] != self.number {
            return;
        }
        while !in_cycle[at] {
            in_cycle[at] = true;
            match references.find(references.edges[at].1) {
                Some(next) => at = next,
                None => return,
            }
        }
    }
}
