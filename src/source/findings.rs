//! Collects what a read notices, bounded per kind, so that a file of which every row is bad does
//! not become a list of every row.

use crate::model::{Code, Finding, Place, Severity};
use std::collections::BTreeMap;

/// The read cannot be used: all that was found, at least one of it of [`Severity::Refused`].
#[derive(Debug, thiserror::Error)]
#[error("{}", summary(findings))]
pub struct Refused {
    pub findings: Vec<Finding>,
}

fn summary(findings: &[Finding]) -> String {
    let mut refusing = findings.iter().filter(|finding| finding.severity == Severity::Refused);
    let first = refusing.next().map(ToString::to_string).unwrap_or_default();
    match refusing.count() {
        0 => first,
        more => format!("{first} (and {more} more)"),
    }
}

impl From<Finding> for Refused {
    fn from(finding: Finding) -> Self {
        Self { findings: vec![finding] }
    }
}

/// Findings of one kind that are listed one by one; of the rest only the number is told.
pub(super) const LISTED_PER_CODE: u64 = 100;

#[derive(Default)]
pub(super) struct Findings {
    listed: Vec<Finding>,
    kinds: BTreeMap<Code, Kind>,
}

struct Kind {
    count: u64,
    worst: Severity,
}

impl Findings {
    pub(super) fn add(&mut self, finding: Finding) {
        let kind =
            self.kinds.entry(finding.code).or_insert(Kind { count: 0, worst: Severity::Warning });
        kind.count += 1;
        kind.worst = kind.worst.max(finding.severity);
        if kind.count <= LISTED_PER_CODE {
            self.listed.push(finding);
        }
    }

    pub(super) fn refuse(&self) -> bool {
        self.kinds.values().any(|kind| kind.worst == Severity::Refused)
    }

    /// All of them in line order, those about the whole file first.
    pub(super) fn into_list(self) -> Vec<Finding> {
        let Self { mut listed, kinds } = self;
        listed.sort_by_key(|finding| finding.place.line);
        listed.extend(kinds.into_iter().filter_map(|(code, kind)| rest(code, &kind)));
        listed
    }
}

fn rest(code: Code, kind: &Kind) -> Option<Finding> {
    let more = kind.count.checked_sub(LISTED_PER_CODE).filter(|more| *more > 0)?;
    Some(finding(kind.worst, code, Place::default(), format!("and {more} more of this kind"), ""))
}

pub(super) fn finding(
    severity: Severity,
    code: Code,
    place: Place,
    message: impl Into<String>,
    hint: impl Into<String>,
) -> Finding {
    Finding { severity, code, place, message: message.into(), hint: hint.into(), key: None }
}

/// About the file as a whole, and the end of the read.
pub(super) fn refusal(code: Code, message: impl Into<String>, hint: impl Into<String>) -> Finding {
    finding(Severity::Refused, code, Place::default(), message, hint)
}

pub(super) fn at_line(line: u64) -> Place {
    Place { line: Some(line), ..Place::default() }
}
