//! Pages of a list, as far as all APIs agree.

use super::Complaint;
use crate::model::{
    Answer, Attributes, Body, Cursor, Excerpt, Listed, Page, RemoteId, Response, Verdict,
};
use serde_json::{Map, Value as Json};
use url::Url;

/// The address with these pairs as its query. Nothing of them is a secret.
pub(crate) fn with_query(mut url: Url, pairs: &[(&str, &str)]) -> Url {
    url.query_pairs_mut().extend_pairs(pairs);
    url
}

/// Reads a response to the request for a page. `read` makes a page of the body.
///
/// # Errors
/// What the response means where it is no page.
pub(crate) fn page_of(
    response: &Response,
    complaint: impl FnOnce(&Response) -> Complaint,
    read: impl FnOnce(&Map<String, Json>) -> Result<Page, &'static str>,
) -> Result<Page, Answer> {
    // As with one user: accepted is no page, and 204 and its like have none.
    if !response.is_success() || matches!(response.status, 202 | 207) {
        return Err(complaint(response).usual());
    }
    match (response.json(), &response.body) {
        (Some(Json::Object(body)), _) => read(&body).map_err(broken),
        // Cut on its way: the next time it may come whole.
        (_, Body::Cut(_)) => Err(coded(Verdict::Uncertain, "cut")),
        (_, Body::Whole(_)) => Err(coded(Verdict::Uncertain, Answer::PAGE)),
    }
}

/// What one entry of a list is.
pub(crate) enum Entry {
    User(RemoteId, Attributes),
    /// Its id is none that a roster could name.
    Unnamed,
    /// It is no user at all.
    Nothing,
}

/// The entries below that name as a page that leads nowhere yet.
///
/// # Errors
/// A code, when there is no list or something else in it than users.
pub(crate) fn paged(
    body: &Map<String, Json>,
    name: &str,
    read: impl Fn(&Map<String, Json>) -> Entry,
) -> Result<Page, &'static str> {
    let Some(Json::Array(entries)) = body.get(name) else { return Err("no_list") };
    let mut page = Page::default();
    for entry in entries {
        match entry.as_object().map_or(Entry::Nothing, &read) {
            Entry::User(remote_id, attributes) => page.users.push(Listed { remote_id, attributes }),
            Entry::Unnamed => page.unnamed += 1,
            Entry::Nothing => return Err("no_user"),
        }
    }
    Ok(page)
}

/// A page of a `ListResponse` (RFC 7644 §3.4.2), which may leave the entries out where there are none. It
/// leads nowhere yet.
///
/// # Errors
/// As of [`paged`].
pub(crate) fn list_response(
    body: &Map<String, Json>,
    read: impl Fn(&Map<String, Json>) -> Entry,
) -> Result<Page, &'static str> {
    let total = body.get("totalResults").and_then(Json::as_u64);
    let page = match body.get("Resources") {
        None | Some(Json::Null) if total.is_some() => Page::default(),
        _ => paged(body, "Resources", read)?,
    };
    Ok(Page { total, ..page })
}

/// The number of the page's first entry, which count from 1 (§3.4.2.4).
///
/// # Errors
/// When the page is named by a word.
pub(crate) fn first_of(cursor: Option<&Cursor>) -> Result<u64, String> {
    match cursor {
        None => Ok(1),
        Some(Cursor::Number(number)) => Ok(*number),
        Some(Cursor::Word(_)) => Err(NO_PAGE.to_owned()),
    }
}

/// The page that begins behind the entries of this one, for a server may show fewer than were asked
/// for. Behind a page without entries there is nothing that another one could begin with.
pub(crate) fn behind(cursor: Option<&Cursor>, page: &Page) -> Option<Cursor> {
    let entries = page.users.len() as u64 + page.unnamed;
    let next = first_of(cursor).unwrap_or(1) + entries;
    let more = entries > 0 && page.total.is_none_or(|total| next <= total);
    more.then_some(Cursor::Number(next))
}

pub(crate) const NO_PAGE: &str = "the list has no such page";

impl Entry {
    /// A user by the text of its id, which is one part of the entry.
    pub(crate) fn of(id: Option<&Json>, show: impl FnOnce() -> Attributes) -> Self {
        match id {
            Some(Json::String(id)) => {
                RemoteId::parse(id).map_or(Self::Unnamed, |id| Self::User(id.folded(), show()))
            }
            _ => Self::Nothing,
        }
    }
}

/// The query of a link to the next page, which may lead to another page of this very list and to
/// nothing else. `None`: there is no link.
///
/// # Errors
/// A code, when it leads elsewhere: what follows it would carry the credentials along.
pub(crate) fn linked(link: Option<&Json>, list: &Url) -> Result<Option<Cursor>, &'static str> {
    let link = match link {
        None | Some(Json::Null) => return Ok(None),
        Some(Json::String(link)) => link,
        Some(_) => return Err("next_link"),
    };
    if link.len() > Cursor::WORD_MAX || link.contains(|c: char| c.is_control() || c == '\\') {
        return Err("next_link");
    }
    let next = list.join(link).map_err(|_| "next_link")?;
    let bare = next.username().is_empty() && next.password().is_none() && next.fragment().is_none();
    if !bare || next.origin() != list.origin() || next.path() != list.path() {
        return Err("next_link_elsewhere");
    }
    next.query().and_then(Cursor::word).map(Some).ok_or("next_link")
}

fn broken(code: &str) -> Answer {
    coded(Verdict::Broken, code)
}

fn coded(verdict: Verdict, code: &str) -> Answer {
    Answer { verdict, code: code.to_owned(), excerpt: Excerpt::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lead(link: &str) -> Result<Option<Cursor>, &'static str> {
        let list = Url::parse("https://api.example.com/v1/users").unwrap();
        linked(Some(&Json::from(link)), &list)
    }

    #[test]
    fn b10_a_next_link_never_leaves_the_origin_and_the_path_of_its_list() {
        for good in [
            "https://api.example.com/v1/users?next=2",
            "https://api.example.com:443/v1/users?next=2",
            "/v1/users?next=2",
            "?next=2",
        ] {
            assert_eq!(lead(good), Ok(Cursor::word("next=2")), "{good}");
        }
        for bad in [
            "http://api.example.com/v1/users?next=2",
            "https://api.example.com:8443/v1/users?next=2",
            "https://example.com/v1/users?next=2",
            "https://93.184.215.14/v1/users?next=2",
            "//evil.example/v1/users?next=2",
            "https://api.example.com/v1/admins?next=2",
            "https://api.example.com/v1/users/../admins?next=2",
            "https://api.example.com/v1/users/7?next=2",
            "https://me:secret@api.example.com/v1/users?next=2",
            "https://api.example.com/v1/users?next=2#there",
            "file:///v1/users?next=2",
            "javascript:alert(1)",
            "https://api.example.com\\@evil.example/v1/users?next=2",
            "https://api.example.com/v1/users",
            "?",
            "",
            "?next=\u{0}2",
        ] {
            assert!(lead(bad).is_err(), "{bad}");
        }
        assert!(lead(&format!("?next={}", "2".repeat(5000))).is_err());
        let list = Url::parse("https://api.example.com/v1/users").unwrap();
        assert_eq!(linked(Some(&Json::from(7)), &list), Err("next_link"));
        assert_eq!(linked(Some(&Json::Null), &list), Ok(None));
        assert_eq!(linked(None, &list), Ok(None));
    }
}
