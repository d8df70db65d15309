//! Dates and instants.

use super::{Forms, ValueProblem};
use crate::model::Kind;
use jiff::{Timestamp, civil};

/// `2007-12-20` and nothing else, or the configured form and nothing else.
pub(super) fn date(text: &str, forms: &Forms) -> Result<String, ValueProblem> {
    let read = match &forms.date_format {
        Some(form) => civil::Date::strptime(form, text).ok(),
        None => has_shape(text, "0000-00-00").then(|| text.parse().ok()).flatten(),
    };
    read.filter(|date: &civil::Date| date.year() >= 1)
        .map(|date| date.to_string())
        .ok_or_else(|| problem(forms, ValueProblem::Date))
}

/// RFC 3339 §5.6 with its offset, or the configured form. In UTC: `2007-12-20T08:15:00Z`.
pub(super) fn date_time(text: &str, forms: &Forms) -> Result<String, ValueProblem> {
    let read = match &forms.date_format {
        Some(form) => Timestamp::strptime(form, text).ok(),
        None => is_rfc3339(text).then(|| text.parse().ok()).flatten(),
    };
    // An offset can carry an instant of the first year out of four-digit years.
    read.map(|instant| instant.to_string())
        .filter(|normal| is_rfc3339(normal))
        .ok_or_else(|| problem(forms, ValueProblem::DateTime))
}

/// A form is usable when what it writes is read back as the same day, or instant.
pub(super) fn format_problem(kind: &Kind, form: &str) -> Option<&'static str> {
    let day = civil::date(2007, 12, 20);
    let noon = Timestamp::from_second(1_198_152_000).unwrap_or_default();
    match kind {
        Kind::SetOf(member) => format_problem(member, form),
        Kind::Date => {
            let written = jiff::fmt::strtime::format(form, day).ok();
            let read = written.and_then(|text| civil::Date::strptime(form, text).ok());
            (read != Some(day)).then_some("does not tell a whole date: year, month and day")
        }
        Kind::DateTime => {
            let written = jiff::fmt::strtime::format(form, noon).ok();
            let read = written.and_then(|text| Timestamp::strptime(form, text).ok());
            (read != Some(noon)).then_some("does not tell a whole instant: date, time and offset")
        }
        Kind::Text
        | Kind::Email
        | Kind::Phone
        | Kind::Country
        | Kind::Locale
        | Kind::TimeZone
        | Kind::Link
        | Kind::Flag
        | Kind::Integer { .. }
        | Kind::Decimal
        | Kind::Choice(_)
        | Kind::Number(_)
        | Kind::Uuid => None,
    }
}

fn problem(forms: &Forms, default: ValueProblem) -> ValueProblem {
    match &forms.date_format {
        Some(form) => ValueProblem::DateForm { form: form.clone() },
        None => default,
    }
}

fn is_rfc3339(text: &str) -> bool {
    let Some((seconds, rest)) = text.split_at_checked(19) else { return false };
    let upper = seconds.to_ascii_uppercase();
    let offset = match rest.strip_prefix('.') {
        Some(fraction) => {
            let offset = fraction.trim_start_matches(|c: char| c.is_ascii_digit());
            if offset.len() == fraction.len() { "" } else { offset }
        }
        None => rest,
    };
    has_shape(&upper, "0000-00-00T00:00:00")
        && (offset.eq_ignore_ascii_case("Z")
            || has_shape(offset, "+00:00")
            || has_shape(offset, "-00:00"))
}

/// A `0` of the shape stands for any digit, everything else for itself.
pub(super) fn has_shape(text: &str, shape: &str) -> bool {
    text.len() == shape.len()
        && text.bytes().zip(shape.bytes()).all(|(byte, wanted)| match wanted {
            b'0' => byte.is_ascii_digit(),
            _ => byte == wanted,
        })
}
