//! Columns whose cells are keys of the same source (a manager): references to nobody, and cycles.

use super::{
    codes,
    findings::{Findings, at_line, finding},
    keys,
    register::Register,
};
use crate::model::{Code, Fingerprint, Place, Record, Severity};

/// All references of one column, those of rows that are not kept included, since a cycle may run
/// through them.
pub(super) struct References {
    column: String,
    pub(super) at: usize,
    /// Who refers, and to whom. 32 bytes each.
    edges: Vec<(Fingerprint, Fingerprint)>,
}

/// A node of the walk is numbered by the walk that came by first.
const NEVER: u32 = 0;

impl References {
    pub(super) fn new(column: String, at: usize) -> Self {
        Self { column, at, edges: Vec::new() }
    }

    /// An empty cell refers to nobody, and a cell that is no key refers to somebody unknown.
    pub(super) fn add(&mut self, from: Fingerprint, cell: &str, fold_case: bool) {
        match keys::read(cell, fold_case) {
            Ok(key) => self.edges.push((from, keys::fingerprint_of(&key))),
            Err(keys::KeyProblem::Empty) => {}
            // No text has the fingerprint of an absent one.
            Err(_) => self.edges.push((from, Fingerprint::of([None]))),
        }
    }

    /// Marks the kept records whose reference cannot be believed.
    pub(super) fn judge(
        mut self,
        records: &mut [(Fingerprint, Record)],
        register: &Register,
        findings: &mut Findings,
    ) {
        self.edges.sort_unstable();
        self.edges.dedup_by_key(|(from, _)| *from);
        let mut walks = Walks { number: 0, visited: vec![NEVER; self.edges.len()] };
        let mut in_cycle = vec![false; self.edges.len()];
        for (key, record) in records {
            let Some(at) = self.find(*key) else { continue };
            walks.walk(at, &self, &mut in_cycle);
            let problem = if in_cycle[at] {
                Some((codes::REFERENCE_CYCLE, "closes a cycle", "correct one of the rows"))
            } else if !register.contains(self.edges[at].1) {
                let hint = "add the person to the export, or leave the cell empty";
                Some((codes::UNKNOWN_REFERENCE, "refers to nobody in this file", hint))
            } else {
                None
            };
            if let Some(problem) = problem {
                findings.add(self.mark(record, problem));
            }
        }
    }

    fn mark(&self, record: &mut Record, problem: (Code, &str, &str)) -> crate::model::Finding {
        let (code, what, hint) = problem;
        record.unusable.insert(self.column.clone());
        let place = Place {
            column: Some(self.column.clone()),
            column_number: Some(self.at + 1),
            ..at_line(record.line)
        };
        let message = format!("{what}; what depends on it is left as it is");
        let mut finding = finding(Severity::Held, code, place, message, hint);
        finding.key = Some(record.key.clone());
        finding
    }

    fn find(&self, from: Fingerprint) -> Option<usize> {
        self.edges.binary_search_by_key(&from, |(from, _)| *from).ok()
    }
}

struct Walks {
    number: u32,
    visited: Vec<u32>,
}

impl Walks {
    /// Follows the references from `start` until the end or until a node seen before; if this very
    /// walk saw it, the walk has closed a cycle. Every node is walked through once in all.
    fn walk(&mut self, start: usize, references: &References, in_cycle: &mut [bool]) {
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
