//! Countries, locales, time zones.

use super::ValueProblem;
use celes::Country;
use icu_locale_core::LanguageIdentifier;

/// ISO 3166-1 alpha-2, upper case; from alpha-2, alpha-3 or the English name, in any case.
/// Numbers are refused: a spreadsheet takes their leading zeros.
pub(super) fn country(text: &str) -> Result<&'static str, ValueProblem> {
    let found = match text.len() {
        2 => Country::from_alpha2(text),
        3 => Country::from_alpha3(text),
        _ => {
            let name: String = text.chars().filter(|c| !" .,'()-".contains(*c)).collect();
            Country::from_name(&name).or_else(|_| Country::from_alias(&name))
        }
    };
    found.map(|country| country.alpha2).map_err(|_| ValueProblem::Country)
}

/// `{ISO 639}-{ISO 3166}`, lower case, from `en-US` or `en_US`. The country must exist; of the
/// language only the shape is looked at.
pub(super) fn locale(text: &str) -> Result<String, ValueProblem> {
    let tag = text.replace('_', "-");
    let parsed = LanguageIdentifier::try_from_str(&tag).map_err(|_| ValueProblem::Locale)?;
    let LanguageIdentifier { language, script, region, variants } = parsed;
    let region = region.ok_or(ValueProblem::Locale)?;
    let is_named = (2..=3).contains(&language.as_str().len()) && language.as_str() != "und";
    if script.is_some() || !variants.is_empty() || !is_named {
        return Err(ValueProblem::Locale);
    }
    Country::from_alpha2(region.as_str()).map_err(|_| ValueProblem::Locale)?;
    Ok(format!("{}-{}", language.as_str(), region.as_str().to_ascii_lowercase()))
}

/// `Area/Location`, perhaps with one more part, or `UTC`. Only the shape: which names exist is a
/// matter of the time zone database, which differs between here and the target.
pub(super) fn time_zone(text: &str) -> Result<&str, ValueProblem> {
    let parts: Vec<_> = text.split('/').collect();
    let shaped = (2..=3).contains(&parts.len()) && parts.iter().all(|part| is_zone_part(part));
    if shaped || text == "UTC" { Ok(text) } else { Err(ValueProblem::TimeZone) }
}

fn is_zone_part(part: &str) -> bool {
    part.starts_with(|c: char| c.is_ascii_uppercase())
        && part.chars().all(|c| c.is_ascii_alphanumeric() || "_+-".contains(c))
}
