//! One roster out of several sources, and of rows that count from a day on.
//!
//! ```text
//! main ────► reader ─► Calendar: which rows count today ─┐
//! partner ─► reader ─► cells by key ─────────────────────┴─► Sheet ─► the reader, as any file
//! ```
//!
//! Each source is judged by the reader of CSV files before, and one that is refused, or of which a
//! row has no readable key, refuses all. Of a partner all cells that it owns are kept in memory.

use super::{
    again::changed,
    codes,
    csv::read_file,
    dates::{Calendar, Effective, STANDING, Standing},
    draft::Draft,
    findings::{Refused, finding},
    join::{JoinPart, Shelf},
    roster::Roster,
    settings::{CsvSettings, Demand},
    sheet::{Copy, Sheet, UNUSABLE},
    tale::{Remark, Tale},
    trail::{Origin, Trail},
    whole::FileMark,
};
use crate::{
    engine::index::Index,
    model::{Finding, HeldRow, Place, Record, Severity, UserKey},
};
use jiff::civil::Date;
use std::collections::{BTreeMap, BTreeSet};

/// A source as the reader can read it: a file, or our own copy.
#[derive(Debug)]
pub struct Part {
    pub settings: CsvSettings,
    /// What it is called, for reports.
    pub shown: String,
    /// Of our own copy.
    pub copy: Option<Copy>,
}

/// One copy of all.
#[derive(Debug)]
pub struct Merged {
    pub copy: Copy,
    /// What the readers noticed besides.
    pub findings: Vec<Finding>,
    pub tale: Tale,
    /// Rows of the main source.
    pub rows: u64,
    /// The first day on which the same files mean something else.
    pub changes: Option<Date>,
    /// Of the files that were read: the main one, then the partners.
    pub marks: Vec<FileMark>,
}

/// Makes one copy. `demand`: the columns that are asked of all sources together.
///
/// # Errors
/// When one of the sources is refused, or the copy cannot be written.
pub fn merge(
    main: &Part,
    effective: Option<(&Effective, Date)>,
    partners: &[JoinPart<'_>],
    demand: &Demand,
    draft: Draft,
) -> Result<Merged, Refused> {
    let mut findings = Vec::new();
    let mut marks = Vec::new();
    let mut shelves = Vec::new();
    for partner in partners {
        let (shelf, mark) = Shelf::of(partner, demand, &mut findings)?;
        shelves.push(shelf);
        marks.push(mark);
    }
    let own = demand_of_main(main, effective.map(|(rules, _)| rules), partners, demand);
    let calendar = effective.map(|(rules, today)| calendar(main, rules, today));
    let (calendar, judged) = calendar.transpose()?.unzip();
    let mut roster = main.read_again(&own, judged)?;
    marks.insert(0, roster.file);
    let said = sorted_out(main, &mut roster, &mut findings)?;
    let mut writer = Writer::new(main, &roster, effective, calendar, shelves, demand, draft)?;
    writer.said = said;
    writer.write(&mut roster)?;
    let rows = roster.facts.rows;
    Ok(Merged { marks, ..writer.finish(findings, rows)? })
}

/// What the reader said of rows that are held, by line: that is told where they are judged again. All
/// else is added to the findings.
fn sorted_out(
    main: &Part,
    roster: &mut Roster,
    findings: &mut Vec<Finding>,
) -> Result<BTreeMap<u64, Finding>, Refused> {
    let found = std::mem::take(&mut roster.findings).into_iter();
    let (mut warnings, held): (Vec<_>, Vec<_>) =
        found.partition(|finding| finding.severity == Severity::Warning);
    main.tell(&mut warnings)?;
    findings.append(&mut warnings);
    Ok(held.into_iter().filter_map(|finding| Some((finding.place.line?, finding))).collect())
}

impl Part {
    /// All its rows, those of one key too: who counts is judged when all is together.
    fn read(&self, demand: &Demand) -> Result<Roster, Refused> {
        let settings =
            CsvSettings { references: Vec::new(), keys_repeat: true, ..self.settings.clone() };
        read_file(&settings, demand, &Index::default()).map_err(|refused| self.told(refused))
    }

    /// The same, of the very bytes that were read before, where they were.
    fn read_again(&self, demand: &Demand, before: Option<FileMark>) -> Result<Roster, Refused> {
        let roster = self.read(demand)?;
        if before.is_some_and(|before| before != roster.file) {
            let mut refused = changed();
            self.tell(&mut refused.findings)?;
            return Err(refused);
        }
        Ok(roster)
    }

    pub(super) fn told(&self, mut refused: Refused) -> Refused {
        match self.tell(&mut refused.findings) {
            Ok(()) => refused,
            Err(unreadable) => unreadable,
        }
    }

    /// Lets findings name the file that people know.
    pub(super) fn tell(&self, findings: &mut [Finding]) -> Result<(), Refused> {
        if let Some(Copy { kept, trail, .. }) = &self.copy {
            let told = trail.tell(&kept.path, findings);
            return told.map_err(|error| super::input::failure(&error).into());
        }
        for finding in findings {
            finding.place.file = Some(self.shown.clone());
        }
        Ok(())
    }

    fn trail(&self) -> Option<&Trail> {
        self.copy.as_ref().map(|copy| &copy.trail)
    }
}

/// What is asked of the main source: all that no partner owns, and the days.
fn demand_of_main(
    main: &Part,
    effective: Option<&Effective>,
    partners: &[JoinPart<'_>],
    demand: &Demand,
) -> Demand {
    let owned = |column: &&String| partners.iter().any(|partner| partner.columns.contains(*column));
    let own = |columns: &BTreeSet<String>| -> BTreeSet<String> {
        let own = columns.iter().filter(|column| !owned(column) && *column != STANDING);
        own.cloned().collect()
    };
    let mut required = own(&demand.required);
    required.extend(effective.into_iter().flat_map(Effective::columns).cloned());
    let references = main.settings.references.iter().filter(|column| !owned(column));
    required.extend(references.cloned());
    let mut optional = own(&demand.optional);
    optional.retain(|column| !required.contains(column));
    Demand { required, optional }
}

/// The days of all rows that have some, and of which bytes.
fn calendar(main: &Part, rules: &Effective, today: Date) -> Result<(Calendar, FileMark), Refused> {
    let mut calendar = Calendar::default();
    let required = rules.columns().cloned().collect();
    let mut roster = main.read(&Demand { required, ..Demand::default() })?;
    let file = roster.file;
    let mut rows = roster.fresh_rows();
    while let Some(batch) = rows.next()? {
        for arrival in batch.records()? {
            let Record { line, fields, .. } = &arrival.record;
            if let Ok(days) = rules.days(|column| fields.get(column)) {
                calendar.add(arrival.key.0, *line, days, today);
            }
        }
    }
    Ok((calendar, file))
}

struct Writer<'a> {
    sheet: Sheet,
    trail: Option<&'a Trail>,
    shown: &'a str,
    key: String,
    /// Columns of the main source, in their order.
    own: Vec<String>,
    effective: Option<(&'a Effective, Date)>,
    next: Option<Date>,
    left_out: BTreeSet<u64>,
    shelves: Vec<Shelf>,
    waiting: u64,
    first: Option<Date>,
    /// Rows of the main source so far.
    row: u64,
    /// What the reader said of rows that are held, by line.
    said: BTreeMap<u64, Finding>,
}

impl<'a> Writer<'a> {
    fn new(
        main: &'a Part,
        roster: &Roster,
        effective: Option<(&'a Effective, Date)>,
        calendar: Option<Calendar>,
        shelves: Vec<Shelf>,
        demand: &Demand,
        draft: Draft,
    ) -> Result<Self, Refused> {
        let key = main.settings.key.clone();
        let references = &main.settings.references;
        let asked = demand.required.iter().chain(&demand.optional).chain(references);
        let joined = |column: &String| shelves.iter().any(|shelf| shelf.columns.contains(column));
        let there = asked
            .filter(|column| roster.columns.contains(column) && **column != key && !joined(column));
        let own: Vec<String> = there.cloned().collect::<BTreeSet<_>>().into_iter().collect();
        let added = shelves.iter().flat_map(|shelf| shelf.columns.clone());
        let standing = effective.map(|_| STANDING.to_owned());
        let columns = [key.clone()].into_iter().chain(own.clone()).chain(added).chain(standing);
        let list = main.trail().map(|trail| trail.list().to_owned()).unwrap_or_default();
        let sheet = Sheet::create(draft, columns.collect(), main.shown.clone(), list)?;
        let today = effective.map(|(_, today)| today);
        Ok(Self {
            sheet,
            trail: main.trail(),
            shown: &main.shown,
            key,
            own,
            effective,
            next: calendar.as_ref().and_then(Calendar::next),
            left_out: calendar.zip(today).map(|(all, day)| all.left_out(day)).unwrap_or_default(),
            shelves,
            waiting: 0,
            first: None,
            row: 0,
            said: BTreeMap::new(),
        })
    }

    /// All rows, in their order.
    fn write(&mut self, roster: &mut Roster) -> Result<(), Refused> {
        let mut held = std::mem::take(&mut roster.held).into_iter().peekable();
        let mut rows = roster.fresh_rows();
        while let Some(batch) = rows.next()? {
            for arrival in batch.records()? {
                while let Some(row) = held.next_if(|row| row.line < arrival.record.line) {
                    self.held(&row)?;
                }
                self.record(arrival.key.0, &arrival.record)?;
            }
        }
        held.try_for_each(|row| self.held(&row))
    }

    fn record(&mut self, key: u128, record: &Record) -> Result<(), Refused> {
        let (origin, _) = self.next_row(record.line);
        let mut notes = Vec::new();
        let mut standing = Standing::InForce;
        if let Some((rules, today)) = self.effective {
            match rules.days(|column| record.fields.get(column)) {
                Ok(days) => {
                    standing = days.standing(today);
                    if standing == Standing::Waiting {
                        self.waiting += 1;
                        self.first = self.first.into_iter().chain(days.from).min();
                    }
                }
                Err((column, why)) => notes.push(bad_day(column, why, &record.key)),
            }
        }
        if self.left_out.contains(&record.line) {
            // Another row of the same person counts.
            return Ok(());
        }
        let cell = |column: &String| record.fields.get(column).unwrap_or_default().to_owned();
        let mut cells = vec![cell(&self.key)];
        cells.extend(self.own.iter().map(cell));
        for shelf in &mut self.shelves {
            shelf.push(key, &mut cells);
        }
        if self.effective.is_some() {
            let cell = if notes.is_empty() { standing.cell() } else { UNUSABLE };
            cells.push(cell.to_owned());
        }
        self.sheet.row(cells.iter().map(String::as_str), origin, notes)
    }

    /// A row that cannot be used here cannot be used there.
    fn held(&mut self, row: &HeldRow) -> Result<(), Refused> {
        let (origin, note) = self.next_row(row.line);
        if let Some(key) = &row.key {
            self.shelves.iter_mut().for_each(|shelf| shelf.meet(key.fingerprint().0));
        }
        let key = row.key.as_ref().map(UserKey::as_str).unwrap_or_default();
        let columns = self.sheet.columns().len();
        let cells = (0..columns).map(|at| match at {
            0 => key,
            1 => UNUSABLE,
            _ => "",
        });
        let place = Place::default();
        let said = note.or_else(|| self.said.remove(&row.line));
        let hint = "mend the row in the HR system";
        let note = said.unwrap_or_else(|| {
            finding(Severity::Held, codes::CONTROL_CHARACTER, place, row.why.clone(), hint)
        });
        let cells: Vec<&str> = cells.collect();
        self.sheet.row(cells, origin, vec![Finding { key: row.key.clone(), ..note }])
    }

    /// Where the next row came from, and what was noted of it.
    fn next_row(&mut self, line: u64) -> (Origin, Option<Finding>) {
        let row = self.row;
        self.row += 1;
        let origin = self.trail.and_then(|trail| trail.origin(row)).unwrap_or(Origin::Line(line));
        (origin, self.trail.and_then(|trail| trail.note_of(row)).cloned())
    }

    fn finish(self, mut findings: Vec<Finding>, rows: u64) -> Result<Merged, Refused> {
        let Self { sheet, shelves, waiting, first, next, shown, .. } = self;
        let strangers = shelves.iter().filter_map(Shelf::strangers).collect();
        let remarks = Remark::of(&mut findings);
        let tale = Tale { shown: shown.to_owned(), waiting, first, strangers, remarks };
        let copy = sheet.finish(&[])?;
        Ok(Merged { copy, findings, tale, rows, changes: next, marks: Vec::new() })
    }
}

fn bad_day(column: &str, why: &str, key: &UserKey) -> Finding {
    let place = Place { column: Some(column.to_owned()), ..Place::default() };
    let hint = "mend the day in the HR system, or set `format`";
    let held = finding(Severity::Held, codes::BAD_DAY, place, why, hint);
    Finding { key: Some(key.clone()), ..held }
}

/// What a file is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Format {
    Csv,
    Json(super::json::JsonForm),
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::EffectiveSettings;
    use std::fs;

    #[test]
    fn a26_b18_a_file_that_is_replaced_after_its_days_were_read_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let (path, other) = (dir.path().join("hr.csv"), dir.path().join("new.csv"));
        let key = "id".to_owned();
        let settings = CsvSettings { path: path.clone(), key, ..CsvSettings::default() };
        let main = Part { settings, shown: "hr.csv".to_owned(), copy: None };
        let (from, zone) = (Some("from".to_owned()), Some("UTC".to_owned()));
        let rules = EffectiveSettings { from, zone, ..EffectiveSettings::default() };
        let (rules, demand) = (rules.check().unwrap(), Demand::default());
        fs::write(&path, "id,from\nE1,2026-01-01\nE1,2026-03-01\n").unwrap();
        let (_, judged) = calendar(&main, &rules, "2026-02-01".parse().unwrap()).unwrap();
        assert!(main.read_again(&demand, Some(judged)).is_ok());
        fs::write(&other, "id,from\nE1,2026-03-01\nE1,2026-01-01\n").unwrap();
        fs::rename(&other, &path).unwrap();
        let refused = main.read_again(&demand, Some(judged)).map(|_| ()).unwrap_err();
        let [finding] = &refused.findings[..] else { panic!("{refused}") };
        assert_eq!(finding.code, codes::CHANGED_WHILE_READ);
        assert_eq!(finding.place.file.as_deref(), Some("hr.csv"));
        assert!(main.read_again(&demand, None).is_ok());
    }
}
