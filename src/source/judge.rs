//! What all rows together say, once the last one is read.

use super::{
    codes,
    findings::{at_line, finding, refusal},
    ledger::{Ledger, Repeated, Spot},
    references::Unusable,
    rows::Judge,
};
use crate::{
    engine::index::Index,
    model::{Code, Completeness, Finding, Fingerprint, HeldRow, Place, Severity, SourceFacts},
};
use std::collections::BTreeSet;

/// What can only be told once some rows are read again.
#[derive(Default)]
pub(super) struct Judgement {
    pub(super) unusable: Vec<Unusable>,
    /// Where a key is to be read, of what, and its fingerprint.
    pub(super) unnamed: Vec<(Spot, Unnamed)>,
}

/// What lacks its key, by its number.
#[derive(Clone, Copy)]
pub(super) enum Unnamed {
    Finding(usize),
    Held(usize),
}

impl Ledger {
    pub(super) fn judge(&mut self, judge: &Judge<'_>, index: &Index) -> Judgement {
        if self.counts.rows == 0 && !judge.settings.allow_empty {
            let hint = "set allow_empty = true if the roster may be empty";
            self.findings.add(refusal(codes::NO_ROWS, "the file has a header and no rows", hint));
        }
        if self.counts.damaged_keys * 100 >= self.counts.rows.max(1) {
            let message =
                format!("{} of {} keys are damaged", self.counts.damaged_keys, self.counts.rows);
            let hint = "export the file again, without a spreadsheet in between";
            self.findings.add(refusal(codes::MANY_KEYS_DAMAGED, message, hint));
        }
        if is_many(self.counts.double_encoded, self.counts.cells) {
            let message = format!(
                "{} of {} cells look like text that was encoded twice",
                self.counts.double_encoded, self.counts.cells
            );
            let hint = "see how the export is converted to UTF-8";
            let place = Place::default();
            let code = codes::DOUBLE_ENCODED;
            self.findings.add(finding(Severity::Warning, code, place, message, hint));
        }
        let mut judgement = Judgement::default();
        if !judge.settings.keys_repeat {
            self.judge_repeated(index, &mut judgement);
        }
        let (unusable, unnamed) = self.judge_references(&judge.header.references, index);
        judgement.unusable = unusable;
        let unnamed = unnamed.into_iter().map(|(at, spot)| (spot, Unnamed::Finding(at)));
        judgement.unnamed.extend(unnamed);
        judgement
    }

    /// A09, A10. Which of the rows was settled, or came first, does not matter.
    fn judge_repeated(&mut self, index: &Index, judgement: &mut Judgement) {
        let repeated = self.repeated(index);
        let mut left_out: Vec<u32> = Vec::new();
        for group in &repeated {
            let listed = self.findings.add(repeated_finding(group));
            let spot = listed.zip(group.spot());
            judgement.unnamed.extend(spot.map(|(at, spot)| (spot, Unnamed::Finding(at))));
            // Of rows that say the same one is enough.
            let kept = usize::from(group.same());
            left_out.extend(group.members.iter().skip(kept).filter_map(|member| member.fresh));
        }
        self.leave_out(left_out);
        let differing = || repeated.iter().filter(|group| !group.same());
        let rows: u64 = differing().map(|group| group.members.len() as u64).sum();
        if is_many(rows, self.counts.rows) {
            let message =
                format!("{rows} of {} rows share their key with another", self.counts.rows);
            let hint = "see whether `key` names the right column";
            self.findings.add(refusal(codes::MANY_DUPLICATES, message, hint));
            return;
        }
        let held: BTreeSet<u64> = self.held.iter().map(|held| held.line).collect();
        for group in differing() {
            for member in group.members.iter().filter(|member| !held.contains(&member.line)) {
                let spot = group.spot().map(|spot| (spot, Unnamed::Held(self.held.len())));
                judgement.unnamed.extend(spot);
                let why = "another row with this key says something else".to_owned();
                self.held.push(HeldRow { key: None, line: member.line, why });
            }
        }
    }

    pub(super) fn facts(&self, judge: &Judge<'_>) -> SourceFacts {
        SourceFacts {
            rows: self.counts.rows,
            users: self.present.users(),
            held: self.held.len() as u64,
            waiting: 0,
            completeness: self.completeness(),
            digest: self.digest(judge),
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
        if self.counts.open_end {
            reasons.push("the file does not end with a line end, so that it may be cut".to_owned());
        }
        if reasons.is_empty() {
            Completeness::Complete
        } else {
            Completeness::Partial(reasons.join("; "))
        }
    }

    /// Of the rows as a set (repetitions counted), and of the columns that are there.
    fn digest(&self, judge: &Judge<'_>) -> Fingerprint {
        let columns = judge.header.demanded.iter().filter(|(_, at)| at.is_some());
        let columns = Fingerprint::of(columns.map(|(name, _)| Some(name.as_str())));
        Fingerprint(self.counts.sum).with(columns).with(Fingerprint(u128::from(self.counts.rows)))
    }
}

/// A share of the rows beyond which a kind of damage is not the rows' but the file's: 1 %.
fn is_many(count: u64, rows: u64) -> bool {
    count * 100 > rows
}

fn repeated_finding(group: &Repeated) -> Finding {
    const SHOWN: usize = 10;
    let lines: Vec<String> =
        group.members.iter().take(SHOWN).map(|member| member.line.to_string()).collect();
    let more = if group.members.len() > SHOWN { ", …" } else { "" };
    let lines = format!("lines {}{more}", lines.join(", "));
    let (severity, code, message, hint): (_, Code, _, _) = if group.same() {
        (Severity::Warning, codes::REPEATED_ROW, format!("{lines} say the same"), "")
    } else {
        let message = format!("{lines} have one key and say different things");
        (Severity::Held, codes::DUPLICATE_KEY, message, "decide which is right in the HR system")
    };
    let place = group.members.first().map(|member| at_line(member.line)).unwrap_or_default();
    finding(severity, code, place, message, hint)
}
