//! Everything that was noticed about the input, in one list.

use super::{
    Style,
    page::{Page, Tone},
    words::counted,
};
use crate::model::{Finding, Severity};
use std::cmp::Reverse;

/// All findings, worst first and then by place, with a count of each kind.
#[must_use]
pub fn findings_text(findings: &[Finding]) -> String {
    let mut page = Page::new(&Style::default());
    let findings: Vec<&Finding> = findings.iter().collect();
    push_findings(&mut page, 0, &findings);
    page.finish()
}

pub(super) fn push_findings(page: &mut Page, indent: usize, findings: &[&Finding]) {
    let mut findings = findings.to_vec();
    findings.sort_by(|a, b| rank(a).cmp(&rank(b)));
    findings.dedup();
    page.line(indent, &[(Tone::Strong, &total(&findings))]);
    for group in findings.chunk_by(|a, b| a.severity == b.severity) {
        let Some(first) = group.first() else { continue };
        let (name, tone) = match first.severity {
            Severity::Refused => ("refused, nothing is sent", Tone::Bad),
            Severity::Held => ("held", Tone::Care),
            Severity::Warning => ("warnings", Tone::Care),
        };
        page.line(indent + 2, &[(tone, &format!("{name}:"))]);
        page.list(indent + 4, group, |page, finding| push_finding(page, indent + 4, finding));
    }
}

fn push_finding(page: &mut Page, indent: usize, finding: &Finding) {
    let Finding { severity: _, code, place, message, hint, key } = finding;
    let mut parts: Vec<String> = Vec::new();
    let place = place.to_string();
    parts.extend((!place.is_empty()).then_some(place));
    parts.extend(key.as_ref().map(|key| format!("user {key}")));
    parts.push(message.clone());
    page.prose(indent, Tone::Plain, &format!("{} [{}]", parts.join(": "), code.0));
    if !hint.is_empty() {
        page.prose(indent + 4, Tone::Dim, hint);
    }
}

fn rank(finding: &Finding) -> impl Ord + '_ {
    let Finding { severity, code, place, message, hint, key } = finding;
    (Reverse(*severity), place, *code, key, message, hint)
}

/// `2 findings: 1 held, 1 warning`.
fn total(findings: &[&Finding]) -> String {
    let count = |severity| findings.iter().filter(|finding| finding.severity == severity).count();
    let (refused, held, warnings) =
        (count(Severity::Refused), count(Severity::Held), count(Severity::Warning));
    let mut told = Vec::new();
    told.extend((refused > 0).then(|| format!("{refused} refused")));
    told.extend((held > 0).then(|| format!("{held} held")));
    told.extend((warnings > 0).then(|| counted(warnings as u64, "warning")));
    if told.is_empty() {
        return "no findings".to_owned();
    }
    format!("{}: {}", counted(findings.len() as u64, "finding"), told.join(", "))
}
