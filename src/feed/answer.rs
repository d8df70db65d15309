//! What the head of an answer says, before anything of its body is taken.

use super::flaw::Flaw;
use crate::{model::Response, sender::stream::untold};
use secrecy::SecretString;
use url::Url;

/// What an answer is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Answered {
    /// A page of JSON comes.
    Page,
    /// There is nothing there (204).
    NoContent,
    /// As it was when it was asked for before (304).
    Unchanged,
    /// Not there any more (410).
    Gone,
    /// Success, and of another kind.
    NotJson {
        kind: String,
    },
    Throttled,
    Unauthorized,
    /// Worth another try. `own_fault`: the server may fail so every time.
    Failing {
        own_fault: bool,
    },
    Refused(Flaw),
}

pub(super) fn judge(page: u32, head: &Response, url: &Url, conditional: bool) -> Answered {
    let status = head.status;
    // Any of these may ask for silence, as GitHub and RFC 9110 §15.5.14 have it.
    let silence = head.header("retry-after").next().is_some();
    match status {
        200 => kind_of(page, head),
        204 => Answered::NoContent,
        304 if conditional => Answered::Unchanged,
        304 => Answered::Refused(Flaw::Unasked),
        300..=399 => Answered::Refused(Flaw::Redirect { page, to: target(head, url) }),
        429 => Answered::Throttled,
        401 | 403 | 413 | 503 if silence => Answered::Throttled,
        401 => Answered::Unauthorized,
        408 | 425 | 502 | 503 | 504 => Answered::Failing { own_fault: false },
        410 => Answered::Gone,
        500..=599 => Answered::Failing { own_fault: true },
        _ => Answered::Refused(Flaw::Status { page, status }),
    }
}

/// Without a content type, what comes has to show that it is JSON.
fn kind_of(page: u32, head: &Response) -> Answered {
    let Some(value) = head.header("content-type").next() else { return Answered::Page };
    let (kind, parameters) = value.split_once(';').unwrap_or((value, ""));
    let kind = kind.trim().to_ascii_lowercase();
    let json = matches!(kind.as_str(), "application/json" | "text/json")
        || kind.split_once('/').is_some_and(|(_, sub)| sub.ends_with("+json"));
    if !json {
        return Answered::NotJson { kind: shown(&kind) };
    }
    let charset = parameters.split(';').filter_map(|part| part.split_once('='));
    let mut charset = charset.filter(|(name, _)| name.trim().eq_ignore_ascii_case("charset"));
    let Some((_, charset)) = charset.next() else { return Answered::Page };
    let charset = charset.trim().trim_matches('"').to_ascii_lowercase();
    if matches!(charset.as_str(), "utf-8" | "utf8" | "us-ascii") {
        return Answered::Page;
    }
    Answered::Refused(Flaw::Charset { page, charset: shown(&charset) })
}

/// Where a redirect leads, of which only the origin is told: the rest may be a token.
fn target(head: &Response, url: &Url) -> String {
    let location = head.header("location").next().and_then(|text| url.join(text).ok());
    let origin = location.map(|location| location.origin());
    let told = origin.filter(url::Origin::is_tuple).map(|origin| origin.ascii_serialization());
    told.unwrap_or_else(|| "nowhere that can be told".to_owned())
}

/// What is no page, with its title where it is one of HTML.
pub(super) fn not_json(
    page: u32,
    kind: String,
    beginning: &[u8],
    secrets: &[(String, SecretString)],
) -> Flaw {
    let text = String::from_utf8_lossy(beginning);
    let title = title(&text).map(|title| untold(&title, secrets)).unwrap_or_default();
    Flaw::NotJson { page, kind, title: shown(&title) }
}

fn title(html: &str) -> Option<String> {
    // Keeps the places of all bytes.
    let lower = html.to_ascii_lowercase();
    let start = lower.find("<title")?;
    let start = start + lower[start..].find('>')? + 1;
    let end = lower[start..].find('<').map_or(html.len(), |end| start + end);
    Some(html[start..end].split_whitespace().collect::<Vec<_>>().join(" "))
}

/// Most characters of a server's words that are told.
const SHOWN_MAX: usize = 64;

/// A server's own words, cut, with nothing in them that a terminal would obey.
pub(super) fn shown(text: &str) -> String {
    text.chars().take(SHOWN_MAX).flat_map(char::escape_debug).collect()
}
