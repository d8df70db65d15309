//! A source that is joined to another by the key, and owns some of its columns.

use super::{
    codes,
    csv::read_file,
    findings::{Refused, refusal},
    merge::{Format, Part},
    settings::{CsvSettings, Demand},
    tale::Strangers,
    whole::FileMark,
};
use crate::{
    engine::index::Index,
    model::{Completeness, Finding, Problem, UNKNOWN_CELL},
};
use serde::Deserialize;
use std::collections::{BTreeSet, HashMap, HashSet};

/// The `[sources.X.join.NAME]` table, but for what says where it is read from.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct JoinSettings {
    /// The columns that this source owns.
    pub columns: Vec<String>,
    pub missing: Missing,
}

/// What a person's cells are who is not in the partner.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Missing {
    /// Nothing is known: what the person has is left alone.
    #[default]
    Keep,
    /// Empty.
    Empty,
}

impl JoinSettings {
    /// Every problem of the table, with keys relative to it.
    #[must_use]
    pub fn check(&self) -> Vec<Problem> {
        let hint = "name the columns that come from here";
        let missing = Problem::new("columns", "is missing").hint(hint);
        if self.columns.is_empty() { vec![missing] } else { Vec::new() }
    }
}

/// A source that is joined to another.
#[derive(Clone, Debug)]
pub struct Partner {
    pub name: String,
    pub rules: CsvSettings,
    pub format: Format,
    pub columns: BTreeSet<String>,
    pub missing: Missing,
}

/// A partner, what it owns, and what it says.
#[derive(Debug)]
pub struct JoinPart<'a> {
    pub name: &'a str,
    pub columns: &'a BTreeSet<String>,
    pub missing: Missing,
    pub part: &'a Part,
}

struct Row {
    cells: Box<[Box<str>]>,
    /// Somebody in the roster has this key.
    met: bool,
}

/// What a partner says of each key.
pub(super) struct Shelf {
    name: String,
    pub(super) columns: Vec<String>,
    missing: Missing,
    rows: HashMap<u128, Row>,
    /// Keys of rows that cannot be used: nothing is known of them.
    held: HashSet<u128>,
    shown: String,
}

impl Shelf {
    pub(super) fn of(
        partner: &JoinPart<'_>,
        demand: &Demand,
        findings: &mut Vec<Finding>,
    ) -> Result<(Self, FileMark), Refused> {
        let JoinPart { name, columns, missing, part } = partner;
        let wanted = |column: &&String| {
            demand.required.contains(*column) || demand.optional.contains(*column)
        };
        let columns: Vec<String> = columns.iter().filter(wanted).cloned().collect();
        let own = Demand { required: columns.iter().cloned().collect(), ..Demand::default() };
        let settings = CsvSettings { references: Vec::new(), ..part.settings.clone() };
        let read = read_file(&settings, &own, &Index::default());
        let mut roster = read.map_err(|refused| part.told(refused))?;
        part.tell(&mut roster.findings)?;
        if let Completeness::Partial(_) = roster.facts.completeness {
            findings.extend(roster.findings.iter().cloned());
            let message = format!("the joined source `{name}` is not complete");
            let hint = "mend it: without it nobody can tell whose cells are missing";
            let mut refusal = refusal(codes::PARTNER_PARTIAL, message, hint);
            refusal.place.file = Some(part.shown.clone());
            let mut findings = std::mem::take(findings);
            findings.push(refusal);
            return Err(Refused { findings });
        }
        findings.append(&mut roster.findings);
        let keys = roster.held.iter().filter_map(|row| row.key.as_ref());
        let mut shelf = Self {
            name: (*name).to_owned(),
            held: keys.map(|key| key.fingerprint().0).collect(),
            columns,
            missing: *missing,
            rows: HashMap::with_capacity(roster.fresh()),
            shown: part.shown.clone(),
        };
        let mark = roster.file;
        let mut rows = roster.fresh_rows();
        while let Some(batch) = rows.next()? {
            for arrival in batch.records()? {
                let cell = |column: &String| arrival.record.fields.get(column).unwrap_or_default();
                let cells = shelf.columns.iter().map(|column| cell(column).into()).collect();
                shelf.rows.insert(arrival.key.0, Row { cells, met: false });
            }
        }
        Ok((shelf, mark))
    }

    /// The cells of a person.
    pub(super) fn push(&mut self, key: u128, cells: &mut Vec<String>) {
        if let Some(row) = self.rows.get_mut(&key) {
            row.met = true;
            cells.extend(row.cells.iter().map(ToString::to_string));
            return;
        }
        let unknown = self.missing == Missing::Keep || self.held.contains(&key);
        let cell = if unknown { UNKNOWN_CELL } else { "" };
        cells.extend(self.columns.iter().map(|_| cell.to_owned()));
    }

    /// The person is in the roster, in a row that cannot be used.
    pub(super) fn meet(&mut self, key: u128) {
        if let Some(row) = self.rows.get_mut(&key) {
            row.met = true;
        }
    }

    pub(super) fn strangers(&self) -> Option<Strangers> {
        let rows = self.rows.values().filter(|row| !row.met).count() as u64;
        let (partner, shown) = (self.name.clone(), self.shown.clone());
        (rows > 0).then_some(Strangers { partner, shown, rows })
    }
}
