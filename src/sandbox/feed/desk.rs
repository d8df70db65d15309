//! What a practice feed answers.

use super::{FeedFault, FeedSeen, Office, PAGE_SIZE, PAGE_SIZE_MAX};
use crate::sender::login::base64;
use axum::{
    body::Bytes,
    http::{HeaderMap, HeaderName, header},
};
use flate2::{Compression, write::GzEncoder};
use jiff::Timestamp;
use serde_json::{Map, Value, json};
use std::{collections::BTreeMap, io::Write as _};

pub(super) struct Desk {
    pub(super) people: Vec<Value>,
    /// Those that are taken, and for how many pages yet.
    pub(super) tokens: BTreeMap<String, Option<u32>>,
    /// Whether nobody needs one.
    pub(super) open: bool,
    pub(super) given: u32,
    pub(super) faults: BTreeMap<u64, FeedFault>,
    /// Requests for pages since the faults were set.
    pub(super) met: u64,
    pub(super) seen: Vec<FeedSeen>,
}

/// An answer, unless the connection is closed instead.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: Vec<(HeaderName, String)>,
    pub(super) body: Vec<u8>,
    pub(super) cut: bool,
}

impl Answer {
    pub(super) fn bare(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: Vec::new(), cut: false }
    }

    fn json(status: u16, body: &Value) -> Self {
        let headers = vec![(header::CONTENT_TYPE, "application/json".to_owned())];
        Self { status, headers, body: body.to_string().into_bytes(), cut: false }
    }
}

impl Desk {
    /// `None`: the connection is closed.
    pub(super) fn page(
        &mut self,
        method: &str,
        name: &str,
        query: &str,
        headers: &HeaderMap,
    ) -> Option<Answer> {
        self.met += 1;
        let fault = self.faults.get(&self.met).cloned();
        if let Some(fault) = fault.as_ref().filter(|fault| **fault != FeedFault::CutBody) {
            return turned_away(fault);
        }
        if method != "GET" {
            return Some(Answer::bare(405));
        }
        if !self.admits(headers) {
            return Some(Answer::bare(401));
        }
        let mut answer = self.cut_into_pages(name, query, headers);
        answer.cut = fault.is_some();
        Some(answer)
    }

    fn admits(&mut self, headers: &HeaderMap) -> bool {
        if self.open {
            return true;
        }
        let given = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let token = given.and_then(|value| value.strip_prefix("Bearer "));
        match token.and_then(|token| self.tokens.get_mut(token)) {
            None | Some(Some(0)) => false,
            Some(None) => true,
            Some(Some(pages)) => {
                *pages -= 1;
                true
            }
        }
    }

    fn cut_into_pages(&self, name: &str, query: &str, headers: &HeaderMap) -> Answer {
        let asked = |wanted: &str| {
            let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
            pairs.filter(|(name, _)| *name == wanted).map(|(_, value)| value).next()
        };
        let number = |name: &str| asked(name).and_then(|text| text.parse::<usize>().ok());
        let size = number("limit").unwrap_or(PAGE_SIZE).clamp(1, PAGE_SIZE_MAX);
        let page = number("page").unwrap_or(1).max(1);
        let first = match name {
            "all" => 0,
            "link" | "next" | "page" => (page - 1).saturating_mul(size),
            "cursor" => asked("cursor").map_or(0, |cursor| {
                cursor.strip_prefix("c").and_then(|text| text.parse().ok()).unwrap_or(usize::MAX)
            }),
            "offset" => number("offset").unwrap_or(0),
            _ => return Answer::bare(404),
        };
        let size = if name == "all" { usize::MAX } else { size };
        let people = self.people.iter().skip(first).take(size);
        let people: Vec<&Value> = people.collect();
        let end = first.saturating_add(people.len());
        let more = end < self.people.len();
        let mut body = Map::new();
        body.insert("data".to_owned(), json!(people));
        body.insert("total".to_owned(), json!(self.people.len()));
        let next = format!("/{name}?limit={size}&page={}", page + 1);
        let mut answer_headers = Vec::new();
        match name {
            "next" => {
                body.insert("next".to_owned(), if more { json!(next) } else { Value::Null });
            }
            "cursor" => {
                let cursor = if more { json!(format!("c{end}")) } else { Value::Null };
                body.insert("cursor".to_owned(), cursor);
            }
            "link" if more => {
                answer_headers.push((header::LINK, format!("<{next}>; rel=\"next\"")));
            }
            _ => {}
        }
        self.finish(name, &Value::Object(body), answer_headers, headers)
    }

    fn finish(
        &self,
        name: &str,
        body: &Value,
        further: Vec<(HeaderName, String)>,
        headers: &HeaderMap,
    ) -> Answer {
        let says = |name: HeaderName, word: &str| {
            let value = headers.get(name).and_then(|value| value.to_str().ok());
            value.is_some_and(|value| value.contains(word))
        };
        let mut answer = Answer::json(200, body);
        if name == "all" {
            let all = Value::from(self.people.clone()).to_string();
            let tag = format!("\"{:032x}\"", xxhash_rust::xxh3::xxh3_128(all.as_bytes()));
            if says(header::IF_NONE_MATCH, &tag) {
                answer = Answer::bare(304);
            }
            answer.headers.push((header::ETAG, tag));
        }
        if says(header::ACCEPT_ENCODING, "gzip") && !answer.body.is_empty() {
            answer.body = gzip(&answer.body);
            answer.headers.push((header::CONTENT_ENCODING, "gzip".to_owned()));
        }
        answer.headers.extend(further);
        answer
    }

    /// RFC 6749 §4.4, with either way of telling who asks (§2.3.1).
    pub(super) fn token(
        &mut self,
        office: &Office,
        method: &str,
        headers: &HeaderMap,
        form: &Bytes,
    ) -> Answer {
        let Some((id, secret)) = &office.client else { return Answer::bare(404) };
        if method != "POST" {
            return Answer::bare(405);
        }
        let form: BTreeMap<String, String> =
            url::form_urlencoded::parse(form).into_owned().collect();
        let said = |name: &str| form.get(name).map(String::as_str);
        if said("grant_type") != Some("client_credentials") {
            return Answer::json(400, &json!({ "error": "unsupported_grant_type" }));
        }
        let posted = said("client_id") == Some(id) && said("client_secret") == Some(secret);
        let basic = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        if !posted
            && basic != Some(&format!("Basic {}", base64(format!("{id}:{secret}").as_bytes())))
        {
            return Answer::json(401, &json!({ "error": "invalid_client" }));
        }
        self.given += 1;
        let token = format!("practice-feed-token-{}", self.given);
        let pages = Some(office.pages_per_token).filter(|pages| *pages > 0);
        self.tokens.insert(token.clone(), pages);
        let body = json!({ "access_token": token, "token_type": "Bearer", "expires_in": 3600 });
        Answer::json(200, &body)
    }
}

/// What a fault answers; `None`: the connection is closed.
fn turned_away(fault: &FeedFault) -> Option<Answer> {
    let with = |status, name: HeaderName, value: Option<String>| {
        let headers = value.map(|value| (name, value)).into_iter().collect();
        Some(Answer { headers, ..Answer::bare(status) })
    };
    match fault {
        FeedFault::Status(status, retry_after) => {
            with(*status, header::RETRY_AFTER, retry_after.header(wall_clock()))
        }
        FeedFault::Lost => None,
        FeedFault::Redirect(to) => with(302, header::LOCATION, Some(to.clone())),
        FeedFault::SignIn | FeedFault::CutBody => {
            let page = "<html><title>Sign in</title></html>".into();
            let answer = with(200, header::CONTENT_TYPE, Some("text/html".to_owned()));
            answer.map(|answer| Answer { body: page, ..answer })
        }
    }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
    // Writing to memory does not fail.
    let _ = packed.write_all(bytes);
    packed.finish().unwrap_or_default()
}

#[expect(clippy::disallowed_methods, reason = "a server stamps what it sends with its own clock")]
fn wall_clock() -> Timestamp {
    Timestamp::now()
}
