//! How long a token holds. A server's moments are measured by the server's own clock, as far as it
//! tells the time: neither clock need be right.

use crate::model::Response;
use jiff::{SignedDuration, Timestamp};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value as Json;
use std::{collections::BTreeMap, time::Duration};

/// Longer than any token holds, and short enough for every clock to add.
const LONGEST: Duration = Duration::from_hours(24 * 3660);

/// Seconds, as a number or in quotes. What is over already is not believed: `None`, like what cannot
/// be read.
pub(super) fn of_seconds(json: &Json) -> Option<Duration> {
    let seconds = json.as_f64().or_else(|| json.as_str()?.trim().parse().ok())?;
    let seconds = Some(seconds).filter(|seconds| *seconds > 0.0)?;
    Some(Duration::from_secs_f64(seconds.min(LONGEST.as_secs_f64())))
}

/// A moment as RFC 3339 has it, or in seconds or milliseconds since 1970.
pub(super) fn of_moment(json: &Json, response: &Response, now: Timestamp) -> Option<Duration> {
    let moment = match json {
        Json::String(text) => text.parse().ok()?,
        Json::Number(number) => since_1970(number.as_f64()?)?,
        Json::Null | Json::Bool(_) | Json::Array(_) | Json::Object(_) => return None,
    };
    from_to(their_now(response, now), moment)
}

/// By the tokens themselves, where they are JSON Web Tokens (RFC 7519 §4.1.4): the first end. Nothing
/// is believed of them but when to ask for new ones.
pub(super) fn of_tokens(
    tokens: &BTreeMap<String, SecretString>,
    response: &Response,
    now: Timestamp,
) -> Option<Duration> {
    tokens.values().filter_map(|token| of_token(token, response, now)).min()
}

fn of_token(token: &SecretString, response: &Response, now: Timestamp) -> Option<Duration> {
    let mut parts = token.expose_secret().split('.');
    let (_, claims, _) = (parts.next()?, parts.next()?, parts.next()?);
    let claims: Json = serde_json::from_slice(&base64url(claims)?).ok()?;
    let moment = |name: &str| since_1970(claims.get(name)?.as_f64()?);
    let issued = moment("iat").unwrap_or_else(|| their_now(response, now));
    from_to(issued, moment("exp")?)
}

fn from_to(from: Timestamp, to: Timestamp) -> Option<Duration> {
    let left = to.duration_since(from);
    let left = Some(left).filter(|left| *left > SignedDuration::ZERO)?;
    Duration::try_from(left).ok().map(|left| left.min(LONGEST))
}

fn their_now(response: &Response, now: Timestamp) -> Timestamp {
    let date = |text: &str| Timestamp::try_from(httpdate::parse_http_date(text.trim()).ok()?).ok();
    response.header("date").find_map(date).unwrap_or(now)
}

/// Milliseconds where seconds would lie beyond the year 5000.
fn since_1970(number: f64) -> Option<Timestamp> {
    let millis = if number > 1e11 { number } else { number * 1000.0 };
    #[expect(clippy::cast_possible_truncation, reason = "it saturates, and that is refused")]
    Timestamp::from_millisecond(millis as i64).ok()
}

/// RFC 4648 §5, without padding.
fn base64url(text: &str) -> Option<Vec<u8>> {
    let (mut bytes, mut bits, mut held) = (Vec::new(), 0_u32, 0_u32);
    for byte in text.trim_end_matches('=').bytes() {
        let six = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'-' | b'+' => 62,
            b'_' | b'/' => 63,
            _ => return None,
        };
        (held, bits) = (held << 6 | u32::from(six), bits + 6);
        if bits >= 8 {
            bits -= 8;
            bytes.push(u8::try_from(held >> bits & 0xff).ok()?);
        }
        held &= 0xff;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Body;
    use serde_json::json;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn answer(date: Option<&str>) -> Response {
        let headers = date.map(|date| ("date".to_owned(), date.to_owned())).into_iter().collect();
        Response { status: 200, headers, body: Body::Whole(Vec::new()) }
    }

    fn seconds(count: u64) -> Duration {
        Duration::from_secs(count)
    }

    #[test]
    fn d10_a_lifetime_is_read_from_seconds_and_what_is_over_is_not_believed() {
        for (json, expected) in [
            (json!(3600), Some(seconds(3600))),
            (json!("60"), Some(seconds(60))),
            (json!(0), None),
            (json!(-5), None),
            (json!("soon"), None),
            (json!(null), None),
            (json!(1e300), Some(LONGEST)),
        ] {
            assert_eq!(of_seconds(&json), expected, "{json}");
        }
    }

    #[test]
    fn d10_a_moment_is_measured_by_the_clock_of_whoever_named_it() {
        let end = json!("2026-11-21T13:00:00.000Z");
        let theirs = answer(Some("Sat, 21 Nov 2026 12:30:00 GMT"));
        assert_eq!(of_moment(&end, &theirs, at(0)), Some(seconds(1800)));
        let now = "2026-11-21T12:59:00Z".parse().unwrap();
        assert_eq!(of_moment(&end, &answer(None), now), Some(seconds(60)));
        assert_eq!(of_moment(&json!(1_000_060), &answer(None), at(1_000_000)), Some(seconds(60)));
        let millis = json!(1_800_000_060_000_i64);
        assert_eq!(of_moment(&millis, &answer(None), at(1_800_000_000)), Some(seconds(60)));
        assert_eq!(of_moment(&json!("2026-11-21T12:00:00Z"), &theirs, at(0)), None, "over");
    }

    #[test]
    fn d10_a_token_that_says_itself_when_it_ends_is_heard_and_the_first_end_counts() {
        // {"iat":1000,"exp":1600} and {"exp":1300}
        let tokens = |texts: &[&str]| -> BTreeMap<String, SecretString> {
            let named = texts.iter().enumerate();
            named.map(|(at, text)| (at.to_string(), SecretString::from(*text))).collect()
        };
        let both = ["e30.eyJpYXQiOjEwMDAsImV4cCI6MTYwMH0.x", "e30.eyJleHAiOjEzMDB9.x"];
        let now = at(1000);
        assert_eq!(of_tokens(&tokens(&both[..1]), &answer(None), at(9)), Some(seconds(600)));
        assert_eq!(of_tokens(&tokens(&both), &answer(None), now), Some(seconds(300)));
        for none in ["opaque", "a.b.c", "e30.e30.x", "e30.!!.x"] {
            assert_eq!(of_tokens(&tokens(&[none]), &answer(None), now), None, "{none}");
        }
    }
}
