//! Rows that count from a day on, or up to one, in a stated time zone.

use crate::model::Problem;
use jiff::{Timestamp, civil::Date, tz::TimeZone};
use serde::Deserialize;
use std::collections::{BTreeSet, HashMap};

/// The column of our own copy that says how a row stands to the day: empty where it is in force.
pub const STANDING: &str = "rosterd:standing";
/// A row that is not yet in force.
pub const WAITING: &str = "waiting";
/// A row that is no longer in force.
pub const PAST: &str = "past";

/// The `[sources.X.effective]` table.
#[derive(Clone, Debug, Deserialize)]
#[serde(default)]
pub struct EffectiveSettings {
    pub from: Option<String>,
    pub until: Option<String>,
    pub zone: Option<String>,
    pub format: String,
}

/// From which day on and up to which day a row counts.
#[derive(Clone, Debug)]
pub struct Effective {
    /// Columns: the first day and the last day, both of them days in force.
    pub from: Option<String>,
    pub until: Option<String>,
    zone: TimeZone,
    format: String,
}

/// The days of one row; what is empty is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Days {
    pub(super) from: Option<Date>,
    pub(super) until: Option<Date>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    InForce,
    Waiting,
    Past,
}

impl Default for EffectiveSettings {
    fn default() -> Self {
        Self { from: None, until: None, zone: None, format: "%Y-%m-%d".to_owned() }
    }
}

impl EffectiveSettings {
    /// # Errors
    /// Every problem of the table, with keys relative to it.
    pub fn check(self) -> Result<Effective, Vec<Problem>> {
        let Self { from, until, zone, format } = self;
        let mut problems = Vec::new();
        let named = |column: &Option<String>| column.as_ref().is_some_and(|name| !name.is_empty());
        if !named(&from) && !named(&until) {
            problems.push(
                Problem::new("from", "is missing")
                    .hint("name the column of the first day, or that of the last day: `until`"),
            );
        }
        let found = zone.as_deref().map(TimeZone::get);
        if zone.is_none() {
            let hint = "name the zone in which a day begins, such as \"Europe/Berlin\" or \"UTC\"";
            problems.push(Problem::new("zone", "is missing").hint(hint));
        } else if !matches!(found, Some(Ok(_))) {
            problems.push(Problem::new("zone", "is not a time zone that this machine knows"));
        }
        let day = jiff::civil::date(2024, 12, 31);
        let spelled = jiff::fmt::strtime::format(format.as_str(), day).ok();
        if spelled.and_then(|text| Date::strptime(&format, text).ok()) != Some(day) {
            problems.push(
                Problem::new("format", "does not say which day a text is")
                    .hint(r#"write year, month and day: "%Y-%m-%d", "%d.%m.%Y""#),
            );
        }
        match found {
            Some(Ok(zone)) if problems.is_empty() => Ok(Effective { from, until, zone, format }),
            _ => Err(problems),
        }
    }
}

impl Effective {
    /// The day that it is there.
    #[must_use]
    pub fn today(&self, now: Timestamp) -> Date {
        now.to_zoned(self.zone.clone()).date()
    }

    /// Columns that must be there.
    pub fn columns(&self) -> impl Iterator<Item = &String> {
        self.from.iter().chain(&self.until)
    }

    /// Everything that decides, as text.
    #[must_use]
    pub fn described(&self) -> String {
        let Self { from, until, zone, format } = self;
        format!("{from:?} {until:?} {:?} {format:?}", zone.iana_name())
    }

    /// The row's days, or the column that is none.
    pub(super) fn days<'c>(
        &self,
        cell: impl Fn(&str) -> Option<&'c str>,
    ) -> Result<Days, (&str, &'static str)> {
        let from = self.day(self.from.as_deref(), &cell)?;
        let until = self.day(self.until.as_deref(), &cell)?;
        if from.zip(until).is_some_and(|(from, until)| from > until) {
            return Err((self.until.as_deref().unwrap_or_default(), "is before the first day"));
        }
        Ok(Days { from, until })
    }

    fn day<'s, 'c>(
        &self,
        column: Option<&'s str>,
        cell: impl Fn(&str) -> Option<&'c str>,
    ) -> Result<Option<Date>, (&'s str, &'static str)> {
        let Some(column) = column else { return Ok(None) };
        match cell(column).unwrap_or_default().trim() {
            "" => Ok(None),
            text => Date::strptime(&self.format, text)
                .map(Some)
                .map_err(|_| (column, "is no day in the `format` that is set")),
        }
    }
}

impl Days {
    pub(super) fn standing(self, today: Date) -> Standing {
        match self {
            Self { from: Some(from), .. } if from > today => Standing::Waiting,
            Self { until: Some(until), .. } if until < today => Standing::Past,
            Self { .. } => Standing::InForce,
        }
    }

    /// The next day on which it stands otherwise.
    pub(super) fn changes(self, today: Date) -> Option<Date> {
        match (self.standing(today), self) {
            (Standing::Waiting, Self { from, .. }) => from,
            (Standing::InForce, Self { until, .. }) => until.and_then(|day| day.tomorrow().ok()),
            (Standing::Past, _) => None,
        }
    }
}

impl Standing {
    pub(super) fn cell(self) -> &'static str {
        match self {
            Self::InForce => "",
            Self::Waiting => WAITING,
            Self::Past => PAST,
        }
    }
}

/// All rows by key, so that of several rows of one person those in force count; without one the last
/// that was; and else the first that will be.
#[derive(Default)]
pub(super) struct Calendar {
    rows: HashMap<u128, Vec<(u64, Days)>>,
    next: Option<Date>,
}

impl Calendar {
    pub(super) fn add(&mut self, key: u128, row: u64, days: Days, today: Date) {
        self.rows.entry(key).or_default().push((row, days));
        self.next = self.next.into_iter().chain(days.changes(today)).min();
    }

    /// The first day on which anything is otherwise.
    pub(super) fn next(&self) -> Option<Date> {
        self.next
    }

    /// Rows that do not count, since others of the same key do.
    pub(super) fn left_out(&self, today: Date) -> BTreeSet<u64> {
        let several = self.rows.values().filter(|rows| rows.len() > 1);
        several.flat_map(|rows| left_out(rows, today)).collect()
    }
}

fn left_out(rows: &[(u64, Days)], today: Date) -> Vec<u64> {
    let of = |standing| rows.iter().filter(move |(_, days)| days.standing(today) == standing);
    if of(Standing::InForce).next().is_some() {
        let others = rows.iter().filter(|(_, days)| days.standing(today) != Standing::InForce);
        return others.map(|(row, _)| *row).collect();
    }
    let last = of(Standing::Past).max_by_key(|(row, days)| (days.until, *row));
    let first = of(Standing::Waiting).min_by_key(|(row, days)| (days.from, *row));
    let kept = last.or(first).map(|(row, _)| *row);
    rows.iter().map(|(row, _)| *row).filter(|row| Some(*row) != kept).collect()
}
