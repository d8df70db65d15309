//! What a source's text must look like to be a value of a [`Kind`], and that value's normal form.
//!
//! Nothing is guessed: a text that is not of a documented or configured form is a problem that
//! names the rule, and never the text. Reading the text of an accepted value again, in its normal
//! form, gives the same value.

mod moment;
mod number;
mod place;
mod text;

use crate::model::{Kind, Value};
use icu_normalizer::ComposingNormalizerBorrowed;
use std::borrow::Cow;

/// Forms beyond the documented ones that a rule of the mapping allows. What is configured here
/// replaces the default form, it does not join it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Forms {
    /// Words that mean true, spelled exactly so; empty: `true`.
    pub true_values: Vec<String>,
    /// Words that mean false, spelled exactly so; empty: `false`.
    pub false_values: Vec<String>,
    /// How dates and instants are written, in `strptime` letters: `%d.%m.%Y`. An instant needs
    /// its offset (`%z`).
    pub date_format: Option<String>,
    /// ISO 3166 country whose national phone forms are read, besides E.164. Without the feature
    /// `phone` it changes nothing; see [`phone_region_problem`].
    pub phone_region: Option<String>,
}

/// The rule that a text breaks. Reads after the name of the attribute; never holds the text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ValueProblem {
    #[error("is empty")]
    Empty,
    #[error("holds a control character, such as a line break, a tab or a NUL")]
    ControlCharacter,
    #[error("is longer than {max} characters")]
    TooLong { max: usize },
    #[error("is not an e-mail address of the form `local@domain.tld` (RFC 5322)")]
    Email,
    #[error("is not a phone number of the form `+`, then 2 to 15 digits (E.164)")]
    Phone,
    #[error("is neither an E.164 phone number nor a valid one as written in {region}")]
    PhoneOf { region: String },
    #[error("is not a country: two letters, three letters or the English name (ISO 3166)")]
    Country,
    #[error("is not a locale of the form `en-us`: language (ISO 639), country (ISO 3166)")]
    Locale,
    #[error("is not a real date of the form `2007-12-20` (ISO 8601)")]
    Date,
    #[error("is not an instant of the form `2007-12-20T08:15:00Z` (RFC 3339)")]
    DateTime,
    #[error("is not a real date of the configured form `{form}`")]
    DateForm { form: String },
    #[error("is not a time zone of the form `Area/Location` (IANA)")]
    TimeZone,
    #[error("is not an absolute `http://` or `https://` address")]
    Link,
    #[error("is none of the words for true ({yes}) and false ({no})")]
    Flag { yes: String, no: String },
    #[error("is not a whole number from {min} to {max}")]
    Integer { min: i64, max: i64 },
    #[error("is not a decimal number such as `12.5`, below 2^53")]
    Decimal,
    #[error("is none of {allowed}")]
    NotAllowed { allowed: String },
    #[error("is not a UUID: 8-4-4-4-12 hexadecimal digits")]
    Uuid,
}

/// Reads a text, already [`normalise`]d, as a value of the kind, in normal form. A set kind gives
/// the set with that one member.
///
/// `max_chars` counts Unicode scalar values of the normal form.
///
/// # Errors
/// The first rule that the text breaks.
pub fn read_value(
    kind: &Kind,
    max_chars: Option<usize>,
    text: &str,
    forms: &Forms,
) -> Result<Value, ValueProblem> {
    if text.is_empty() {
        return Err(ValueProblem::Empty);
    }
    if text.chars().any(char::is_control) {
        return Err(ValueProblem::ControlCharacter);
    }
    let value = match kind {
        Kind::Text => Value::text(text),
        Kind::Email => Value::text(text::email(text)?),
        Kind::Phone => Value::text(text::phone(text, forms)?),
        Kind::Country => Value::text(place::country(text)?),
        Kind::Locale => Value::text(place::locale(text)?),
        Kind::Date => Value::text(moment::date(text, forms)?),
        Kind::DateTime => Value::text(moment::date_time(text, forms)?),
        Kind::TimeZone => Value::text(place::time_zone(text)?),
        Kind::Link => Value::text(text::link(text)?),
        Kind::Flag => Value::Flag(flag(text, forms)?),
        Kind::Integer { min, max } => Value::Integer(number::integer(text, *min, *max)?),
        Kind::Decimal => number::decimal(text)?,
        Kind::Choice(allowed) => Value::text(choice(text, allowed)?),
        Kind::Number(allowed) => Value::Integer(number::listed(text, allowed)?),
        Kind::Uuid => Value::text(text::uuid(text)?),
        Kind::SetOf(member) => Value::set([read_value(member, max_chars, text, forms)?]),
    };
    match (&value, max_chars) {
        (Value::Text(text), Some(max)) if text.chars().count() > max => {
            Err(ValueProblem::TooLong { max })
        }
        _ => Ok(value),
    }
}

/// Canonical composition (Unicode NFC), without `White_Space` at the ends. Doing it twice changes
/// nothing.
#[must_use]
pub fn normalise(text: &str) -> Cow<'_, str> {
    let text = text.trim();
    if text.is_ascii() {
        return Cow::Borrowed(text);
    }
    const { ComposingNormalizerBorrowed::new_nfc() }.normalize(text)
}

/// Why `region` cannot be the country of national phone forms; `None` when it can.
#[must_use]
pub fn phone_region_problem(region: &str) -> Option<&'static str> {
    text::phone_region_problem(region)
}

/// Why `form` cannot be the written form of the kind's dates; `None` when it can, or when the kind
/// has no dates.
#[must_use]
pub fn date_format_problem(kind: &Kind, form: &str) -> Option<&'static str> {
    moment::format_problem(kind, form)
}

fn flag(text: &str, forms: &Forms) -> Result<bool, ValueProblem> {
    let Forms { true_values, false_values, date_format: _, phone_region: _ } = forms;
    if is_word(text, true_values, "true") {
        return Ok(true);
    }
    if is_word(text, false_values, "false") {
        return Ok(false);
    }
    let words = |configured: &[String], default: &str| match configured {
        [] => list([default]),
        words => list(words),
    };
    Err(ValueProblem::Flag { yes: words(true_values, "true"), no: words(false_values, "false") })
}

fn is_word(text: &str, configured: &[String], default: &str) -> bool {
    match configured {
        [] => text == default,
        words => words.iter().any(|word| word == text),
    }
}

fn choice<'a>(text: &'a str, allowed: &[String]) -> Result<&'a str, ValueProblem> {
    if allowed.iter().any(|choice| choice == text) {
        return Ok(text);
    }
    Err(ValueProblem::NotAllowed { allowed: list(allowed) })
}

/// `a`, `b` and so on, each in back-quotes; a long list is cut and says so.
fn list<T: ToString>(items: impl IntoIterator<Item = T>) -> String {
    const SHOWN_MAX: usize = 20;
    let mut quoted: Vec<_> =
        items.into_iter().map(|item| format!("`{}`", item.to_string())).collect();
    let more = quoted.len().saturating_sub(SHOWN_MAX);
    quoted.truncate(SHOWN_MAX);
    if more > 0 {
        quoted.push(format!("and {more} more"));
    }
    quoted.join(", ")
}
