//! What is to be told of a merged source, whether it is read anew or not.

use super::{codes, findings::finding};
use crate::model::{Code, Finding, Place, Severity};
use jiff::civil::Date;
use serde::{Deserialize, Serialize};

/// What is to be told of every read of the same files.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Tale {
    /// The file of the main source.
    pub(super) shown: String,
    /// Rows that wait for their first day, and the first of these days.
    pub waiting: u64,
    pub(super) first: Option<Date>,
    pub(super) strangers: Vec<Strangers>,
    pub(super) remarks: Vec<Remark>,
}

/// Rows of a partner that belong to nobody.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Strangers {
    pub(super) partner: String,
    pub(super) shown: String,
    pub(super) rows: u64,
}

/// A warning of a reader.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Remark {
    code: String,
    file: Option<String>,
    line: Option<u64>,
    column: Option<String>,
    message: String,
    hint: String,
}

/// Kinds of warning that say nothing of a certain user.
const REMARKS: [Code; 5] = [
    codes::UNKNOWN_COLUMN,
    codes::UNNAMED_COLUMN,
    codes::DOUBLE_ENCODED,
    codes::LITERAL_QUOTE,
    codes::MIXED_SCRIPT,
];

impl Remark {
    /// Takes those out that can be told again.
    pub(super) fn of(findings: &mut Vec<Finding>) -> Vec<Self> {
        let is_remark = |finding: &mut Finding| {
            let plain = finding.key.is_none() && finding.place.pointer.is_none();
            plain && finding.severity == Severity::Warning && REMARKS.contains(&finding.code)
        };
        let remark = |finding: Finding| {
            let Finding { code, place, message, hint, .. } = finding;
            let Place { file, line, column, .. } = place;
            Self { code: code.0.to_owned(), file, line, column, message, hint }
        };
        findings.extract_if(.., is_remark).map(remark).collect()
    }

    fn finding(&self) -> Option<Finding> {
        let Self { code, file, line, column, message, hint } = self;
        let code = REMARKS.into_iter().find(|known| known.0 == code)?;
        let (file, column) = (file.clone(), column.clone());
        let place = Place { file, line: *line, column, ..Place::default() };
        Some(finding(Severity::Warning, code, place, message, hint))
    }
}

impl Tale {
    #[must_use]
    pub fn findings(&self) -> Vec<Finding> {
        let Self { shown, waiting, first, strangers, remarks } = self;
        let remarks = remarks.iter().filter_map(Remark::finding);
        let strangers = strangers.iter().map(Strangers::finding);
        remarks.chain(strangers).chain(first.map(|day| waits(*waiting, day, shown))).collect()
    }
}

impl Strangers {
    fn finding(&self) -> Finding {
        let Self { partner, shown, rows } = self;
        let place = Place { file: Some(shown.clone()), ..Place::default() };
        let message = match rows {
            1 => format!("1 row of `{partner}` belongs to nobody in the roster"),
            rows => format!("{rows} rows of `{partner}` belong to nobody in the roster"),
        };
        let hint = "nothing comes of them";
        finding(Severity::Warning, codes::PARTNER_STRANGERS, place, message, hint)
    }
}

/// B18.
fn waits(rows: u64, first: Date, shown: &str) -> Finding {
    let place = Place { file: Some(shown.to_owned()), ..Place::default() };
    let message = match rows {
        1 => format!("1 row waits for its first day, {first}"),
        rows => format!("{rows} rows wait for their first day, the first of them for {first}"),
    };
    finding(Severity::Warning, codes::WAITING, place, message, "")
}
