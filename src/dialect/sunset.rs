//! What any target may announce about its own end, in the headers of any response.
//!
//! Three spellings of `Deprecation` are in use: a date as in RFC 9745, and `true` or an HTTP-date
//! from its drafts. `Sunset` (RFC 8594 §3) is always an HTTP-date.

use crate::model::{Notice, Response};
use jiff::{Timestamp, tz::TimeZone};

/// What the response's headers announce; the same words for every user, so that one mention per run
/// is enough. Nothing of the header's own text is repeated.
#[must_use]
pub fn deprecation_notices(response: &Response) -> Vec<Notice> {
    let deprecation = response.header("deprecation").find_map(Deprecation::parse);
    let sunset = response.header("sunset").find_map(parse_http_date);
    let hint = "look up in the vendor's document what replaces it, and ask for an update in time";
    let notice = |message| Notice { message, hint: hint.to_owned(), refuses: false };
    deprecation.map(Deprecation::message).into_iter().chain(sunset.map(end)).map(notice).collect()
}

/// A `Deprecation` header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Deprecation {
    /// `true`, without a date.
    Already,
    /// From that moment on, past or future.
    At(Timestamp),
}

impl Deprecation {
    /// Something else, `false` included, says nothing.
    fn parse(text: &str) -> Option<Self> {
        let item = text.split(';').next().unwrap_or_default().trim();
        if item.eq_ignore_ascii_case("true") || item == "?1" {
            return Some(Self::Already);
        }
        match item.strip_prefix('@') {
            // RFC 9651 §3.3.7: seconds since 1970, a whole number.
            Some(seconds) => Timestamp::from_second(seconds.parse().ok()?).ok().map(Self::At),
            None => parse_http_date(text).map(Self::At),
        }
    }

    fn message(self) -> String {
        match self {
            Self::Already => "the target announces that this endpoint is deprecated".to_owned(),
            Self::At(moment) => {
                format!(
                    "the target announces that this endpoint is deprecated as of {}",
                    day(moment)
                )
            }
        }
    }
}

fn end(moment: Timestamp) -> String {
    format!("the target announces that this endpoint may be gone from {}", day(moment))
}

/// RFC 9110 §5.6.7: all three forms of an HTTP-date.
fn parse_http_date(text: &str) -> Option<Timestamp> {
    Timestamp::try_from(httpdate::parse_http_date(text.trim()).ok()?).ok()
}

fn day(moment: Timestamp) -> String {
    moment.to_zoned(TimeZone::UTC).date().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Body;

    fn told(headers: &[(&str, &str)]) -> Vec<String> {
        let headers = headers.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        let response = Response { status: 200, headers, body: Body::Whole(Vec::new()) };
        deprecation_notices(&response).into_iter().map(|notice| notice.message).collect()
    }

    #[test]
    fn all_three_spellings_of_a_deprecation_are_understood() {
        for text in [
            "@1770854400",
            "@1770854400;x=1",
            "Thu, 12 Feb 2026 00:00:00 GMT",
            "Thursday, 12-Feb-26 00:00:00 GMT",
            "Thu Feb 12 00:00:00 2026",
        ] {
            let told = told(&[("deprecation", text)]);
            assert!(told.len() == 1 && told[0].ends_with("as of 2026-02-12"), "{text}: {told:?}");
        }
        for text in ["true", "True", "?1"] {
            assert_eq!(told(&[("deprecation", text)]).len(), 1, "{text}");
        }
    }

    #[test]
    fn a_sunset_is_told_beside_the_deprecation() {
        let told = told(&[("sunset", "Sun, 31 Jan 2027 23:59:59 GMT"), ("deprecation", "true")]);
        assert_eq!(told.len(), 2);
        assert!(told[1].ends_with("2027-01-31"));
    }

    #[test]
    fn what_cannot_be_understood_says_nothing() {
        for text in
            ["", "false", "?0", "@", "@soon", "@99999999999999999", "tomorrow", "2027-01-31"]
        {
            assert_eq!(told(&[("deprecation", text), ("sunset", text)]), [""; 0], "{text}");
        }
        assert_eq!(told(&[("sunset", "true")]), [""; 0]);
    }
}
