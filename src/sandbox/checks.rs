//! Shapes that the documents name, judged without the help of the code under test.

use serde_json::Value;

/// Largest integer that every JSON reader holds exactly: 2^53 − 1.
pub(super) const SAFE_INTEGER_MAX: i64 = 9_007_199_254_740_991;

/// Equal as far as meaning goes: the order of a list does not count.
pub(super) fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && sorted(a) == sorted(b),
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len()
                && a.iter().all(|(name, value)| b.get(name).is_some_and(|b| same(value, b)))
        }
        (a, b) => a == b,
    }
}

fn sorted(items: &[Value]) -> Vec<String> {
    let mut texts: Vec<_> = items.iter().map(Value::to_string).collect();
    texts.sort_unstable();
    texts
}

/// 8-4-4-4-12 hexadecimal digits of any version: the documents' own samples are not RFC 4122.
pub(super) fn is_uuid(text: &str) -> bool {
    let groups: Vec<_> = text.split('-').collect();
    groups.iter().map(|group| group.len()).eq([8, 4, 4, 4, 12])
        && groups.iter().all(|group| group.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

/// RFC 5322 §3.4.1 addr-spec in its dot-atom form.
pub(super) fn is_rfc5322_address(text: &str) -> bool {
    let Some((local, domain)) = text.rsplit_once('@') else { return false };
    let is_atext =
        |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~".contains(&byte);
    let is_dot_atom =
        |part: &str| part.split('.').all(|atom| !atom.is_empty() && atom.bytes().all(is_atext));
    local.len() <= 64 && domain.len() <= 253 && is_dot_atom(local) && is_dot_atom(domain)
}

/// Something before and something after an `@`: all that an undocumented field can ask for.
pub(super) fn has_mail_shape(text: &str) -> bool {
    text.rsplit_once('@').is_some_and(|(local, domain)| !local.is_empty() && !domain.is_empty())
        && !text.contains(|c: char| c.is_whitespace() || c.is_control())
}

/// `+`, then 2 to 15 digits of which the first is not 0.
pub(super) fn is_e164(text: &str) -> bool {
    let Some(digits) = text.strip_prefix('+') else { return false };
    (2..=15).contains(&digits.len())
        && !digits.starts_with('0')
        && digits.bytes().all(|byte| byte.is_ascii_digit())
}

/// ISO 3166-1 alpha-2, upper case.
pub(super) fn is_country(text: &str) -> bool {
    text.len() == 2
        && text.bytes().all(|byte| byte.is_ascii_uppercase())
        && celes::Country::from_alpha2(text).is_ok()
}

/// `{ISO 639}-{ISO 3166}`, both lower case.
pub(super) fn is_lower_case_locale(text: &str) -> bool {
    let Some((language, country)) = text.split_once('-') else { return false };
    (2..=3).contains(&language.len())
        && language.bytes().all(|byte| byte.is_ascii_lowercase())
        && country.bytes().all(|byte| byte.is_ascii_lowercase())
        && is_country(&country.to_ascii_uppercase())
}

/// `YYYY-MM-DD`, a day that exists.
pub(super) fn is_iso_date(text: &str) -> bool {
    text.len() == 10 && text.parse::<jiff::civil::Date>().is_ok()
}

/// A whole number within ±(2^53 − 1).
pub(super) fn safe_integer(value: &Value) -> Option<i64> {
    value.as_i64().filter(|number| (-SAFE_INTEGER_MAX..=SAFE_INTEGER_MAX).contains(number))
}
