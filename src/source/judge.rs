//! What all rows together say, once the last one is read.

use super::{
    codes,
    findings::{Findings, at_line, finding, refusal},
    register::Repeated,
    rows::Reading,
};
use crate::model::{
    Code, Columns, Completeness, Finding, Fingerprint, HeldRow, Place, Roster, Severity,
    SourceFacts,
};
use std::collections::BTreeSet;

impl Reading<'_> {
    pub(super) fn judge(&mut self, findings: &mut Findings) {
        if self.rows == 0 && !self.settings.allow_empty {
            let hint = "set allow_empty = true if the roster may be empty";
            findings.add(refusal(codes::NO_ROWS, "the file has a header and no rows", hint));
        }
        if self.damaged_keys * 100 >= self.rows.max(1) {
            let message = format!("{} of {} keys are damaged", self.damaged_keys, self.rows);
            let hint = "export the file again, without a spreadsheet in between";
            findings.add(refusal(codes::MANY_KEYS_DAMAGED, message, hint));
        }
        if is_many(self.double_encoded, self.cells) {
            let message = format!(
                "{} of {} cells look like text that was encoded twice",
                self.double_encoded, self.cells
            );
            let hint = "see how the export is converted to UTF-8";
            let place = Place::default();
            let code = codes::DOUBLE_ENCODED;
            findings.add(finding(Severity::Warning, code, place, message, hint));
        }
        self.judge_repeated(findings);
        for references in std::mem::take(&mut self.references) {
            references.judge(&mut self.records, &self.register, findings);
        }
    }

    /// A09, A10. Which of the rows was kept, or came first, does not matter.
    fn judge_repeated(&mut self, findings: &mut Findings) {
        let repeated = self.register.take_repeated();
        for group in repeated.values() {
            findings.add(repeated_finding(group));
        }
        let differing = repeated.values().filter(|group| !group.same);
        let rows: u64 = differing.clone().map(|group| group.lines.len() as u64).sum();
        if is_many(rows, self.rows) {
            let message = format!("{rows} of {} rows share their key with another", self.rows);
            let hint = "see whether `key` names the right column";
            findings.add(refusal(codes::MANY_DUPLICATES, message, hint));
            return;
        }
        let held: BTreeSet<u64> = self.held.iter().map(|held| held.line).collect();
        for group in differing {
            self.held.extend(hold_all(group, &held));
        }
        self.records.sort_by(|(_, a), (_, b)| (&a.key, a.line).cmp(&(&b.key, b.line)));
        self.records.retain(|(at, _)| repeated.get(at).is_none_or(|group| group.same));
        self.records.dedup_by_key(|(at, _)| *at);
    }

    pub(super) fn into_roster(mut self, findings: Vec<Finding>) -> Roster {
        self.held.sort_by_key(|held| held.line);
        let facts = SourceFacts {
            rows: self.rows,
            users: self.register.users(),
            held: self.held.len() as u64,
            completeness: self.completeness(),
            digest: self.digest(),
        };
        let named = self.header.names.into_iter().filter(|name| !name.is_empty());
        Roster {
            columns: Columns::new(named.collect()),
            records: self.records.into_iter().map(|(_, record)| record).collect(),
            present: self.register.into_present(),
            held: self.held,
            findings,
            facts,
        }
    }

    fn completeness(&self) -> Completeness {
        let mut unread = self.held.iter().filter(|held| held.key.is_none());
        let mut reasons = Vec::new();
        if let Some(first) = unread.next() {
            let count = unread.count() + 1;
            reasons.push(format!(
                "{count} rows have no readable key, the first at line {}",
                first.line
            ));
        }
        if self.open_end {
            reasons.push("the file does not end with a line end, so that it may be cut".to_owned());
        }
        if reasons.is_empty() {
            Completeness::Complete
        } else {
            Completeness::Partial(reasons.join("; "))
        }
    }

    /// Of the rows as a set (repetitions counted), and of the columns that are there.
    fn digest(&self) -> Fingerprint {
        let columns = self.header.demanded.iter().filter(|(_, at)| at.is_some());
        let columns = Fingerprint::of(columns.map(|(name, _)| Some(name.as_str())));
        Fingerprint(self.sum).with(columns).with(Fingerprint(u128::from(self.rows)))
    }
}

/// A share of the rows beyond which a kind of damage is not the rows' but the file's: 1 %.
fn is_many(count: u64, rows: u64) -> bool {
    count * 100 > rows
}

/// All rows of the key but those held already.
fn hold_all(group: &Repeated, held: &BTreeSet<u64>) -> impl Iterator<Item = HeldRow> {
    group.lines.iter().filter(|line| !held.contains(line)).map(|line| HeldRow {
        key: Some(group.key.clone()),
        line: *line,
        why: "another row with this key says something else".to_owned(),
    })
}

fn repeated_finding(group: &Repeated) -> Finding {
    const SHOWN: usize = 10;
    let lines: Vec<String> = group.lines.iter().take(SHOWN).map(u64::to_string).collect();
    let more = if group.lines.len() > SHOWN { ", …" } else { "" };
    let lines = format!("lines {}{more}", lines.join(", "));
    let (severity, code, message, hint): (_, Code, _, _) = if group.same {
        (Severity::Warning, codes::REPEATED_ROW, format!("{lines} say the same"), "")
    } else {
        let message = format!("{lines} have one key and say different things");
        (Severity::Held, codes::DUPLICATE_KEY, message, "decide which is right in the HR system")
    };
    let place = group.lines.first().map(|line| at_line(*line)).unwrap_or_default();
    let mut finding = finding(severity, code, place, message, hint);
    finding.key = Some(group.key.clone());
    finding
}
