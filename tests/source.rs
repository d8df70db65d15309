//! The CSV source against every way a file is known to go wrong. A test's name begins with the case
//! that it covers.

#![expect(clippy::unwrap_used, reason = "a test fails by it")]

#[path = "source/damage.rs"]
mod damage;
#[path = "source/files.rs"]
mod files;
#[path = "source/headers.rs"]
mod headers;
#[path = "source/properties.rs"]
mod properties;
#[path = "source/rows.rs"]
mod rows;

use rosterd::{
    model::{Code, Completeness, Finding, Roster, Severity},
    source::{CsvSettings, Demand, Refused, read},
};

/// A roster of `id,name,title` with as many rows as asked, all sound.
fn plain(rows: u32) -> String {
    let row = |n| format!("E{n:05},Person {n},Engineer\n");
    format!("id,name,title\n{}", (1..=rows).map(row).collect::<String>())
}

fn settings() -> CsvSettings {
    CsvSettings { path: "roster.csv".into(), key: "id".to_owned(), ..CsvSettings::default() }
}

/// Names that are required, and after a bar those that are optional.
fn demand(columns: &str) -> Demand {
    let (required, optional) = columns.split_once('|').unwrap_or((columns, ""));
    let set = |names: &str| names.split_whitespace().map(str::to_owned).collect();
    Demand { required: set(required), optional: set(optional) }
}

/// Reads with all rows kept, `name` required and `title` optional.
fn read_with(settings: &CsvSettings, text: impl AsRef<[u8]>) -> Result<Roster, Refused> {
    read_for(settings, &demand("name|title"), text)
}

fn read_for(
    settings: &CsvSettings,
    demand: &Demand,
    text: impl AsRef<[u8]>,
) -> Result<Roster, Refused> {
    read(settings, demand, text.as_ref(), &mut |_, _| true)
}

#[track_caller]
fn roster(settings: &CsvSettings, text: impl AsRef<[u8]>) -> Roster {
    read_with(settings, text).unwrap_or_else(|refused| panic!("refused: {refused}"))
}

#[track_caller]
fn good(text: impl AsRef<[u8]>) -> Roster {
    roster(&settings(), text)
}

/// The finding that refused the read; it must have the code.
#[track_caller]
fn refused(settings: &CsvSettings, text: impl AsRef<[u8]>, code: Code) -> Finding {
    let findings = match read_with(settings, text) {
        Ok(_) => panic!("not refused, wanted {code:?}"),
        Err(refused) => refused.findings,
    };
    let refusing = |finding: &&Finding| finding.severity == Severity::Refused;
    let found = findings.iter().filter(refusing).find(|finding| finding.code == code);
    found.unwrap_or_else(|| panic!("wanted {code:?}, found {findings:#?}")).clone()
}

#[track_caller]
fn finding(roster: &Roster, code: Code) -> &Finding {
    let found = roster.findings.iter().find(|finding| finding.code == code);
    found.unwrap_or_else(|| panic!("wanted {code:?}, found {:#?}", roster.findings))
}

fn keys(roster: &Roster) -> Vec<&str> {
    roster.records.iter().map(|record| record.key.as_str()).collect()
}

fn names(roster: &Roster) -> Vec<&str> {
    roster.records.iter().map(|record| record.fields["name"].as_str()).collect()
}

fn is_partial(roster: &Roster) -> bool {
    matches!(roster.facts.completeness, Completeness::Partial(_))
}

/// All that a plan is made from: users, values, who is there, digest.
fn same_plan(a: &Roster, b: &Roster) -> bool {
    let content = |roster: &Roster| {
        let records = roster.records.iter();
        records.map(|r| (r.key.clone(), r.fields.clone(), r.fingerprint)).collect::<Vec<_>>()
    };
    content(a) == content(b)
        && a.present == b.present
        && a.facts.digest == b.facts.digest
        && a.facts.completeness == b.facts.completeness
}
