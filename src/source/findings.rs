//! Collects what a read notices, bounded per kind, so that a file of which every row is bad does
//! not become a list of every row.

use crate::model::{Code, Finding, Place, Severity, UserKey};
use std::{collections::BTreeMap, path::Path};

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

/// The same, about that file.
pub(super) fn name_file(mut refused: Refused, path: &Path) -> Refused {
    for finding in &mut refused.findings {
        finding.place.file = Some(path.display().to_string());
    }
    refused
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
    /// The finding's number when it is listed.
    pub(super) fn add(&mut self, finding: Finding) -> Option<usize> {
        let kind =
            self.kinds.entry(finding.code).or_insert(Kind { count: 0, worst: Severity::Warning });
        kind.count += 1;
        kind.worst = kind.worst.max(finding.severity);
        if kind.count > LISTED_PER_CODE {
            return None;
        }
        self.listed.push(finding);
        Some(self.listed.len() - 1)
    }

    /// Takes what a later stretch of the file was found to have; its lines count from `lines` on.
    pub(super) fn append(&mut self, later: Self, lines: u64) {
        for mut finding in later.listed {
            finding.place.line = finding.place.line.map(|line| line + lines);
            self.add(finding);
        }
        for (code, kind) in later.kinds {
            // As many as are listed in all are listed of a stretch, so the rest is only counted.
            if let Some(own) = self.kinds.get_mut(&code) {
                own.count += kind.count.saturating_sub(LISTED_PER_CODE);
                own.worst = own.worst.max(kind.worst);
            }
        }
    }

    pub(super) fn set_key(&mut self, number: usize, key: UserKey) {
        if let Some(finding) = self.listed.get_mut(number) {
            finding.key = Some(key);
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
