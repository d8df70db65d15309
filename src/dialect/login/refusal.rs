//! What all logins have in common: tokens that a header can carry, and answers without any.

use super::Reading;
use crate::{dialect::grammar::Complaint, engine::retry::RetryAfter, model::Response};
use jiff::Timestamp;
use secrecy::SecretString;
use serde_json::Value as Json;
use std::collections::BTreeMap;

/// Longest token, in bytes; what is longer no server takes in a header.
const TOKEN_BYTES_MAX: usize = 16 * 1024;

/// Longest code that is repeated: all documented ones are shorter.
const CODE_CHARS_MAX: usize = 32;

/// The tokens of an answer, by name and place; or what is wrong with it.
pub(super) fn tokens(
    body: &Json,
    places: &[(&str, &str)],
) -> Result<BTreeMap<String, SecretString>, Reading> {
    let mut tokens = BTreeMap::new();
    for (name, place) in places {
        let Some(text) = body.pointer(place).and_then(Json::as_str) else {
            let why = format!("the login answers without `{}`", place.trim_start_matches('/'));
            return Err(Reading::Refused { why });
        };
        // RFC 9110 §5.5: what a header can carry, and no space that would end it.
        let fits = text.bytes().all(|byte| byte.is_ascii_graphic());
        if text.is_empty() || !fits || text.len() > TOKEN_BYTES_MAX {
            let why = "the login gives a token that no header can carry".to_owned();
            return Err(Reading::Refused { why });
        }
        tokens.insert((*name).to_owned(), SecretString::from(text));
    }
    Ok(tokens)
}

/// The body of an answer that grants something.
pub(super) fn granted(response: &Response) -> Result<Json, Reading> {
    response.json().filter(Json::is_object).ok_or_else(|| Reading::Unavailable {
        why: format!("the login answers {} with something else than tokens", response.status),
    })
}

/// An answer without tokens, as far as its status and headers tell. Whatever says neither "later"
/// nor "too much" is a refusal: the same words again would be refused again, and count against the
/// account.
pub(super) fn usual(complaint: &Complaint, response: &Response, now: Timestamp) -> Reading {
    let wait = match RetryAfter::of(response, now) {
        RetryAfter::Wait(wait) if !wait.is_zero() => Some(wait),
        RetryAfter::Wait(_) | RetryAfter::Absent | RetryAfter::Invalid => None,
    };
    match complaint.status() {
        408 | 425 | 429 => Reading::Throttled,
        503 if RetryAfter::of(response, now) != RetryAfter::Absent => Reading::Throttled,
        // RFC 4918 §11.3.
        423 => Reading::Locked { wait, why: locked(complaint) },
        401 | 403 if wait.is_some() => Reading::Locked { wait, why: locked(complaint) },
        500.. => Reading::Unavailable { why: told("the login answers", complaint) },
        300..=399 => Reading::Refused {
            why: told("the login answers with a redirect, which is not followed:", complaint),
        },
        404 | 405 | 410 => {
            Reading::Refused { why: told("there is no login at its address:", complaint) }
        }
        _ => refused(complaint),
    }
}

pub(super) fn refused(complaint: &Complaint) -> Reading {
    Reading::Refused { why: told("the login is refused:", complaint) }
}

pub(super) fn locked(complaint: &Complaint) -> String {
    told("the account of the login is locked:", complaint)
}

/// The status, and the vendor's code where it is a word: what a login says back may be what it was
/// sent.
fn told(what: &str, complaint: &Complaint) -> String {
    let (status, code) = (complaint.status(), complaint.code());
    let is_word = |c: char| c.is_ascii_alphabetic() || c == '_';
    if code.is_empty() || code.len() > CODE_CHARS_MAX || !code.chars().all(is_word) {
        return format!("{what} {status}");
    }
    format!("{what} {status} {code}")
}
