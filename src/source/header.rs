//! The header line: which column is which, by name only.

use super::{
    codes,
    findings::{Findings, at_line, finding},
    keys::nfc,
    settings::{CsvSettings, Demand},
};
use crate::model::{Place, Severity};
use std::collections::{BTreeMap, BTreeSet};

/// Where the columns are.
pub(super) struct Header {
    /// After aliases, in the file's order. Unique, but for those of columns without a name.
    pub(super) names: Vec<String>,
    pub(super) key: usize,
    /// The columns that somebody asked for, in the order of their names; absent ones as `None`.
    pub(super) demanded: Vec<(String, Option<usize>)>,
    pub(super) references: Vec<(String, usize)>,
    pub(super) multiline: Vec<bool>,
}

/// A name like this is shown in a message; what is longer is text and not a name.
const NAME_CHARS_MAX: usize = 64;
/// Names at least so much alike (1: the same) are worth a hint.
const LIKENESS_MIN: f64 = 0.7;
const DELIMITERS: [(char, &str); 4] =
    [(';', "a semicolon"), (',', "a comma"), ('\t', "a tab"), ('|', "a vertical bar")];

/// Finds the columns and tells of all that is wrong with the header. `None`: rows cannot be read.
pub(super) fn read(
    cells: &[&str],
    line: u64,
    settings: &CsvSettings,
    demand: &Demand,
    findings: &mut Findings,
) -> Option<Header> {
    let wanted = Wanted::of(settings, demand);
    let names: Vec<String> = cells.iter().map(|cell| wanted.name_of(cell, settings)).collect();
    let mut report = Report { findings, line, names: &names };
    let none_known = !names.iter().any(|name| wanted.all.contains(name.as_str()));
    if none_known && report.wrong_delimiter(&wanted) {
        return None;
    }
    if names.iter().any(|name| name.chars().any(char::is_control)) {
        report.refuse(
            codes::HEADER_DAMAGED,
            "a column's name holds a control character",
            "export the file again",
        );
        return None;
    }
    if none_known && report.no_header(&wanted) {
        return None;
    }
    report.unnamed();
    let unique = report.duplicates();
    report.missing(&wanted);
    report.unknown(&wanted, settings.strict_columns);
    let place = |name: &str| names.iter().position(|column| column == name);
    let key = place(&settings.key).filter(|_| unique)?;
    let demanded: BTreeSet<&String> = demand.required.iter().chain(&demand.optional).collect();
    Some(Header {
        key,
        demanded: demanded.into_iter().map(|name| (name.clone(), place(name))).collect(),
        references: settings
            .references
            .iter()
            .filter_map(|name| place(name).map(|at| (name.clone(), at)))
            .collect(),
        multiline: names.iter().map(|name| settings.multiline.contains(name)).collect(),
        names,
    })
}

struct Wanted<'a> {
    required: BTreeSet<&'a str>,
    all: BTreeSet<&'a str>,
    /// Names in NFC, for the configured ones that are not.
    composed: BTreeMap<String, &'a str>,
}

impl<'a> Wanted<'a> {
    fn of(settings: &'a CsvSettings, demand: &'a Demand) -> Self {
        let key = settings.key.as_str();
        let required: BTreeSet<&str> =
            demand.required.iter().map(String::as_str).chain([key]).collect();
        let all: BTreeSet<&str> = demand
            .optional
            .iter()
            .chain(&settings.references)
            .chain(&settings.multiline)
            .map(String::as_str)
            .chain(required.iter().copied())
            .collect();
        let composed = all.iter().map(|name| (nfc(name).into_owned(), *name)).collect();
        Self { required, all, composed }
    }

    /// The name used here for a header of the file.
    fn name_of(&self, header: &str, settings: &CsvSettings) -> String {
        if let Some(name) = settings.aliases.get(header) {
            return name.clone();
        }
        let composed = nfc(header);
        match self.composed.get(composed.as_ref()) {
            Some(name) => (*name).to_owned(),
            None => composed.into_owned(),
        }
    }
}

struct Report<'a> {
    findings: &'a mut Findings,
    line: u64,
    names: &'a [String],
}

impl Report<'_> {
    fn refuse(&mut self, code: crate::model::Code, message: impl Into<String>, hint: &str) {
        self.findings.add(finding(Severity::Refused, code, at_line(self.line), message, hint));
    }

    fn at_column(&self, number: usize, name: &str) -> Place {
        Place { column: Some(name.to_owned()), column_number: Some(number), ..at_line(self.line) }
    }

    /// A22: one column, in which the wanted names stand with something else between them.
    fn wrong_delimiter(&mut self, wanted: &Wanted<'_>) -> bool {
        let [only] = self.names else { return false };
        let count =
            |c: char| only.split(c).map(str::trim).filter(|n| wanted.all.contains(n)).count();
        let guess = DELIMITERS
            .iter()
            .filter(|(c, _)| only.contains(*c))
            .max_by_key(|(c, _)| (count(*c), only.matches(*c).count()));
        let Some((delimiter, name)) = guess else { return false };
        self.refuse(
            codes::WRONG_DELIMITER,
            format!("one column found; the cells seem to be separated by {name}"),
            &format!("set delimiter = {:?}", delimiter.to_string()),
        );
        true
    }

    /// A21: no name is known, and the line looks like a person's row. What it holds is not shown.
    fn no_header(&mut self, wanted: &Wanted<'_>) -> bool {
        let spelled_alike =
            |name: &String| wanted.all.iter().any(|other| likeness(name, other) >= LIKENESS_MIN);
        let data = |name: &String| {
            name.contains('@') || name.chars().filter(char::is_ascii_digit).count() >= 2
        };
        if self.names.iter().any(spelled_alike) || !self.names.iter().any(data) {
            return false;
        }
        let message = format!(
            "the first line looks like data, and none of the wanted columns is in it: {}",
            list(&wanted.required)
        );
        self.refuse(codes::NO_HEADER, message, "export the file with its header line");
        true
    }

    fn unnamed(&mut self) {
        let unnamed = self.names.iter().position(String::is_empty);
        if let Some(at) = unnamed {
            let place = Place { column_number: Some(at + 1), ..at_line(self.line) };
            let message = "a column without a name is ignored";
            self.findings.add(finding(
                Severity::Warning,
                codes::UNNAMED_COLUMN,
                place,
                message,
                "",
            ));
        }
    }

    /// A18. True when there are none.
    fn duplicates(&mut self) -> bool {
        let mut first: BTreeMap<&str, usize> = BTreeMap::new();
        let mut unique = true;
        for (number, name) in (1..).zip(self.names).filter(|(_, name)| !name.is_empty()) {
            let Some(earlier) = first.insert(name, number) else { continue };
            unique = false;
            let message = format!("has the name of column {earlier}");
            let place = self.at_column(number, &shown(name));
            let hint = "give each column one name, and no two aliases of one file the same";
            let code = codes::DUPLICATE_COLUMN;
            self.findings.add(finding(Severity::Refused, code, place, message, hint));
        }
        unique
    }

    /// A15, A17: by exact name, with the nearest one for a hint. Found names are shown only when one
    /// of them is known: else they may be somebody's row.
    fn missing(&mut self, wanted: &Wanted<'_>) {
        let header = self
            .names
            .iter()
            .any(|name| wanted.all.iter().any(|wanted| likeness(name, wanted) >= LIKENESS_MIN));
        let missing = wanted.required.iter().filter(|w| !self.names.iter().any(|n| n == *w));
        for column in missing.copied().collect::<Vec<_>>() {
            let mut message = format!("the column `{column}` is missing");
            if header {
                let found = self.names.iter().map(String::as_str).filter(|n| !n.is_empty());
                message = format!("{message}; found: {}", list(&found.collect()));
            }
            let hint = match self.nearest(column, wanted) {
                Some(near) => {
                    format!("if `{near}` is that column, add {near:?} = {column:?} to `aliases`")
                }
                None => "export the file with that column".to_owned(),
            };
            self.refuse(codes::MISSING_COLUMN, message, &hint);
        }
    }

    /// The found name most like it that is not itself wanted.
    fn nearest(&self, column: &str, wanted: &Wanted<'_>) -> Option<String> {
        let free = self.names.iter().filter(|name| !wanted.all.contains(name.as_str()));
        free.map(|name| (likeness(name, column), name))
            .filter(|(likeness, _)| *likeness >= LIKENESS_MIN)
            .max_by(|(a, _), (b, _)| a.total_cmp(b))
            .map(|(_, name)| shown(name))
    }

    /// A19: once for all of them.
    fn unknown(&mut self, wanted: &Wanted<'_>, strict: bool) {
        let unknown: BTreeSet<&str> = self
            .names
            .iter()
            .map(String::as_str)
            .filter(|name| !name.is_empty() && !wanted.all.contains(name))
            .collect();
        let severity = if strict { Severity::Refused } else { Severity::Warning };
        if unknown.is_empty() || unknown.len() == self.names.len() {
            return;
        }
        let message = format!("columns that no tenant uses: {}", list(&unknown));
        let hint =
            if strict { "drop them from the export, or set strict_columns = false" } else { "" };
        let place = at_line(self.line);
        self.findings.add(finding(severity, codes::UNKNOWN_COLUMN, place, message, hint));
    }
}

fn likeness(a: &str, b: &str) -> f64 {
    let plain = |name: &str| {
        name.chars().filter(|c| c.is_alphanumeric()).collect::<String>().to_lowercase()
    };
    if a.chars().count() > NAME_CHARS_MAX {
        return 0.0;
    }
    strsim::normalized_damerau_levenshtein(&plain(a), &plain(b))
}

fn list(names: &BTreeSet<&str>) -> String {
    const SHOWN: usize = 20;
    let quoted = names.iter().take(SHOWN).map(|name| format!("`{}`", shown(name)));
    let text = quoted.collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(SHOWN) {
        0 => text,
        more => format!("{text} and {more} more"),
    }
}

fn shown(name: &str) -> String {
    name.chars().take(NAME_CHARS_MAX).collect()
}
