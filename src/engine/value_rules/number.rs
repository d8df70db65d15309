//! Numbers.

use super::{ValueProblem, list};
use crate::model::{INTEGER_MAX, Value};

/// Within the bounds, and within what every JSON reader keeps exactly.
pub(super) fn integer(text: &str, min: i64, max: i64) -> Result<i64, ValueProblem> {
    let (min, max) = (min.max(-INTEGER_MAX), max.min(INTEGER_MAX));
    whole(text)
        .filter(|number| (min..=max).contains(number))
        .ok_or(ValueProblem::Integer { min, max })
}

/// One of these numbers.
pub(super) fn listed(text: &str, allowed: &[i64]) -> Result<i64, ValueProblem> {
    whole(text)
        .filter(|number| allowed.contains(number))
        .ok_or_else(|| ValueProblem::NotAllowed { allowed: list(allowed) })
}

/// Digits with a point at most: an exponent in a roster is a spreadsheet's damage. No larger than a
/// whole number may be, since readers differ in what they make of more.
pub(super) fn decimal(text: &str) -> Result<Value, ValueProblem> {
    let (whole, fraction) = match unsigned(text).split_once('.') {
        Some((whole, fraction)) => (whole, fraction),
        None => (unsigned(text), "0"),
    };
    if !is_digits(whole) || !is_digits(fraction) {
        return Err(ValueProblem::Decimal);
    }
    #[expect(clippy::cast_precision_loss)]
    let is_exact = |number: &f64| number.abs() <= INTEGER_MAX as f64;
    let number = text.parse().ok().filter(is_exact);
    number.and_then(Value::number).ok_or(ValueProblem::Decimal)
}

fn whole(text: &str) -> Option<i64> {
    is_digits(unsigned(text)).then(|| text.parse().ok()).flatten()
}

fn unsigned(text: &str) -> &str {
    text.strip_prefix('-').unwrap_or(text)
}

pub(super) fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}
