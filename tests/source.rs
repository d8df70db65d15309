//! The CSV source against every way a file is known to go wrong. A test's name begins with the case
//! that it covers.

#![expect(clippy::unwrap_used, reason = "a test fails by it")]

#[path = "source/damage.rs"]
mod damage;
#[path = "source/feed.rs"]
mod feed;
#[path = "source/files.rs"]
mod files;
#[path = "source/headers.rs"]
mod headers;
#[path = "source/json.rs"]
mod json;
#[path = "source/properties.rs"]
mod properties;
#[path = "source/rows.rs"]
mod rows;

use rosterd::{
    engine::{
        bits::Bits,
        index::{Entry, Index, PageHead, Pages, page_of},
    },
    model::{Code, Completeness, Finding, Fingerprint, HeldRow, Record, Severity, SourceFacts},
    source::{self, CsvSettings, Demand, FileMark, Input, Refused, key_fingerprint},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    convert::Infallible,
    io::Cursor,
    ops::Range,
};

/// A roster of `id,name,title` with as many rows as asked, all sound.
fn plain(rows: u32) -> String {
    let row = |n| format!("E{n:05},Person {n},Engineer\n");
    format!("id,name,title\n{}", (1..=rows).map(row).collect::<String>())
}

/// One read, and the records of all its fresh rows, sorted by key.
#[derive(Debug)]
struct Roster {
    records: Vec<Record>,
    /// Keys of everybody in the file.
    present: BTreeSet<Fingerprint>,
    held: Vec<HeldRow>,
    findings: Vec<Finding>,
    facts: SourceFacts,
    file: FileMark,
}

fn whole(mut roster: source::Roster, index: &Index) -> Result<Roster, Refused> {
    let (fresh, mut records, mut present) = (roster.fresh(), Vec::new(), BTreeSet::new());
    let mut rows = roster.fresh_rows();
    while let Some(batch) = rows.next()? {
        for arrival in batch.records()? {
            assert_eq!(arrival.place, index.find(arrival.key));
            assert_eq!(arrival.key, key_fingerprint(&arrival.record.key));
            present.insert(arrival.key);
            records.push(arrival.record);
        }
    }
    drop(rows);
    assert_eq!((fresh, roster.fresh()), (records.len(), 0), "each is handed out once");
    present.extend(roster.held.iter().filter_map(|held| held.key.as_ref()).map(key_fingerprint));
    assert!(present.iter().all(|key| roster.has_key(index, *key)));
    present.extend(index_keys(index).filter(|key| roster.has_key(index, *key)));
    assert!(!roster.has_key(index, Fingerprint(7)));
    records.sort_by(|a, b| a.key.cmp(&b.key));
    let source::Roster { held, findings, facts, file, .. } = roster;
    Ok(Roster { records, present, held, findings, facts, file })
}

fn index_keys(index: &Index) -> impl Iterator<Item = Fingerprint> {
    index.accounts(0).map(|place| index.entry(place).key)
}

/// An index in which these rows are settled.
fn index_of(settled: &BTreeMap<Fingerprint, Fingerprint>) -> Index {
    let entries = settled.iter().map(|(key, row)| Entry { key: *key, row: *row }).collect();
    let (index, _) = Index::of(vec![Kept::of(entries)]);
    index
}

/// Pages in memory.
struct Kept {
    heads: Vec<PageHead>,
    entries: Vec<Entry>,
    ranges: Vec<Range<usize>>,
}

impl Kept {
    /// `entries`: sorted by key, each key once.
    fn of(entries: Vec<Entry>) -> Self {
        let (mut heads, mut ranges) = (Vec::new(), Vec::new());
        for page in entries.chunk_by(|a, b| page_of(a.key) == page_of(b.key)) {
            let mut accounts = Bits::new(page.len());
            (0..page.len()).for_each(|at| accounts.set(at));
            let number = page_of(page[0].key);
            heads.push(PageHead { number, entries: page.len(), digest: None, accounts });
            let start = ranges.last().map_or(0, |range: &Range<usize>| range.end);
            ranges.push(start..start + page.len());
        }
        Self { heads, entries, ranges }
    }
}

impl Pages for Kept {
    type Error = Infallible;

    fn heads(&self) -> &[PageHead] {
        &self.heads
    }

    fn read(&mut self, at: usize, entries: &mut Vec<Entry>) -> Result<(), Infallible> {
        entries.extend_from_slice(&self.entries[self.ranges[at].clone()]);
        Ok(())
    }

    fn touched(&self) -> &[Fingerprint] {
        &[]
    }
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
    read_from(settings, demand, Cursor::new(text.as_ref().to_vec()), &Index::default())
}

fn read_from(
    settings: &CsvSettings,
    demand: &Demand,
    input: impl Input + 'static,
    index: &Index,
) -> Result<Roster, Refused> {
    whole(source::read(settings, demand, input, index)?, index)
}

/// As [`read_with`], of which the index may know.
fn read_settled(
    settings: &CsvSettings,
    text: impl AsRef<[u8]>,
    index: &Index,
) -> Result<Roster, Refused> {
    read_from(settings, &demand("name|title"), Cursor::new(text.as_ref().to_vec()), index)
}

fn cell<'a>(record: &'a Record, name: &str) -> &'a str {
    record.fields.get(name).unwrap()
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
    roster.records.iter().map(|record| cell(record, "name")).collect()
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
