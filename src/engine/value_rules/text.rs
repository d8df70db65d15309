//! Texts with a grammar: e-mail, phone, link, UUID.

use super::{Forms, ValueProblem, number::is_digits};
use email_address::{EmailAddress, Options};
use std::borrow::Cow;
use url::Url;

/// RFC 5322 addr-spec with a top-level domain; no display name, no domain literal. As written:
/// only the domain of an address is without case.
pub(super) fn email(text: &str) -> Result<&str, ValueProblem> {
    let options =
        Options::default().with_required_tld().without_domain_literal().without_display_text();
    EmailAddress::parse_with_options(text, options).map(|_| text).map_err(|_| ValueProblem::Email)
}

/// E.164, and with a region and the feature `phone` also what is dialled there.
pub(super) fn phone<'a>(text: &'a str, forms: &Forms) -> Result<Cow<'a, str>, ValueProblem> {
    if is_e164(text) {
        return Ok(Cow::Borrowed(text));
    }
    match &forms.phone_region {
        Some(region) => national_phone(text, region)
            .map(Cow::Owned)
            .ok_or_else(|| ValueProblem::PhoneOf { region: region.clone() }),
        None => Err(ValueProblem::Phone),
    }
}

fn is_e164(text: &str) -> bool {
    let digits = text.strip_prefix('+').unwrap_or_default();
    is_digits(digits) && !digits.starts_with('0') && (2..=15).contains(&digits.len())
}

#[cfg(feature = "phone")]
fn national_phone(text: &str, region: &str) -> Option<String> {
    let number = phonenumber::parse(Some(region.parse().ok()?), text).ok()?;
    let written = number.format().mode(phonenumber::Mode::E164).to_string();
    // An extension has no place in E.164, and leaving it out would dial somebody else.
    (number.is_valid() && number.extension().is_none() && is_e164(&written)).then_some(written)
}

#[cfg(not(feature = "phone"))]
fn national_phone(_text: &str, _region: &str) -> Option<String> {
    None
}

pub(super) fn phone_region_problem(region: &str) -> Option<&'static str> {
    if cfg!(not(feature = "phone")) {
        return Some("is not available: this build reads E.164 only");
    }
    let problem = "is not a country in two upper-case letters (ISO 3166)";
    (!is_phone_region(region)).then_some(problem)
}

#[cfg(feature = "phone")]
fn is_phone_region(region: &str) -> bool {
    region.parse::<phonenumber::country::Id>().is_ok()
}

#[cfg(not(feature = "phone"))]
fn is_phone_region(_region: &str) -> bool {
    false
}

/// Kept as written: the URL parser would add a slash and drop what it does not like.
pub(super) fn link(text: &str) -> Result<&str, ValueProblem> {
    let url = Url::parse(text).map_err(|_| ValueProblem::Link)?;
    let (scheme, rest) = text.split_once("://").ok_or(ValueProblem::Link)?;
    let is_web = ["http", "https"].contains(&url.scheme());
    let is_plain = scheme.eq_ignore_ascii_case(url.scheme())
        && !rest.starts_with('/')
        && !text.contains(|c: char| c.is_whitespace() || c == '\\');
    if is_web && is_plain { Ok(text) } else { Err(ValueProblem::Link) }
}

/// Any version, lower case.
pub(super) fn uuid(text: &str) -> Result<String, ValueProblem> {
    let lengths = text.split('-').map(str::len);
    let is_hex = text.bytes().all(|byte| byte == b'-' || byte.is_ascii_hexdigit());
    if lengths.eq([8, 4, 4, 4, 12]) && is_hex {
        Ok(text.to_ascii_lowercase())
    } else {
        Err(ValueProblem::Uuid)
    }
}
