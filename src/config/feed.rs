//! An HTTP feed of JSON: `[sources.X.feed]`.

use super::{
    Authorities, Paging, Secret, Surroundings,
    fields::{self, part},
    login,
    numbers::rate,
    paging::{PageSize, PagingTable, one_place},
    tenant,
};
use crate::{
    dialect::{self, login::Login},
    model::{Notice, Problem, Rate, Reach},
    source::json::{self, JsonSettings},
};
use config::{Map, Value};
use jiff::civil::Date;
use serde::Deserialize;
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};
use url::Url;

/// One feed without a problem: where it is and how it is read. What its elements mean, the source's
/// other settings say.
#[derive(Clone, Debug)]
pub struct FeedConfig {
    /// Of the first page, without what the paging adds.
    pub url: Url,
    /// What its requests may reach besides the public internet.
    pub reach: Reach,
    /// Those it trusts besides the machine's.
    pub authorities: Authorities,
    pub quota: Rate,
    /// Sent with every request; none of them is a secret.
    pub headers: Vec<(String, String)>,
    pub paging: Paging,
    pub page_size: Option<PageSize>,
    pub total: Option<Total>,
    /// The validators of the first page stand for the whole feed.
    pub conditional: bool,
    /// A key may stand on two pages.
    pub keys_may_repeat: bool,
    pub access: Option<FeedAccess>,
}

/// Where a feed says how many elements it has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Total {
    Body(json::Path),
    /// In lower case.
    Header(String),
}

/// What a feed lets in with: a token, in one header.
#[derive(Clone, Debug)]
pub struct FeedAccess {
    pub header: String,
    /// What stands before the token.
    pub prefix: String,
    /// The token's place, or those of the secrets of the login.
    pub secrets: BTreeMap<String, Secret>,
    pub login: Option<Login>,
    /// Last day of a token that a person was given.
    pub token_expires: Option<Date>,
}

impl FeedConfig {
    /// What reports call it: where it is, without what its address may tell.
    #[must_use]
    pub fn shown(&self) -> String {
        format!("feed {}", self.url.origin().ascii_serialization())
    }

    /// What an operator should know of its token on that day.
    #[must_use]
    pub fn expiry(&self, today: Date) -> Option<Notice> {
        let last_day = self.access.as_ref()?.token_expires?;
        login::expiry(last_day, today)
    }
}

/// The feed's own keys, without its tables.
#[derive(Deserialize)]
#[serde(default)]
#[expect(clippy::struct_field_names, reason = "each is a key of the table")]
struct Keys {
    url: String,
    quota: String,
    total: Option<String>,
    total_header: Option<String>,
    conditional: bool,
    keys_may_repeat: bool,
    token_header: String,
    token_prefix: String,
    allow_insecure_http: Option<String>,
    allow_private: bool,
    ca_file: Option<PathBuf>,
}

impl Default for Keys {
    fn default() -> Self {
        Self {
            url: String::new(),
            quota: "5/s".to_owned(),
            total: None,
            total_header: None,
            conditional: false,
            keys_may_repeat: false,
            token_header: "authorization".to_owned(),
            token_prefix: "Bearer ".to_owned(),
            allow_insecure_http: None,
            allow_private: false,
            ca_file: None,
        }
    }
}

/// The tables of a feed besides its keys.
struct Tables {
    paging: Option<Value>,
    headers: Option<Value>,
    entrance: login::Tables,
}

impl Tables {
    const NAMES: [&str; 4] = ["paging", "headers", "credentials", "login"];

    fn take(table: &mut Map<String, Value>) -> Self {
        let (paging, headers) = (table.remove("paging"), table.remove("headers"));
        Self { paging, headers, entrance: login::Tables::take(table) }
    }
}

/// A feed, and what its elements mean.
pub(super) struct Checked {
    /// `None`: something is wrong with it, which was told.
    pub(super) feed: Option<FeedConfig>,
    /// The rest of the table, as if it were about a file.
    pub(super) json: JsonSettings,
}

/// Reads `[sources.X.feed]`; `at` is its path.
pub(super) fn read(
    value: Value,
    at: &str,
    (folder, surroundings): (&Path, &Surroundings),
    problems: &mut Vec<Problem>,
) -> Checked {
    let mut table = fields::table(value, at, problems);
    let tables = Tables::take(&mut table);
    let (own, others) = (fields::known_keys::<Keys>(), fields::known_keys::<JsonSettings>());
    let others = others.iter().copied().filter(|key| *key != "path");
    let known: Vec<&str> = own.iter().copied().chain(others).chain(Tables::NAMES).collect();
    let (mut table, unknown): (Map<_, _>, Map<_, _>) =
        table.into_iter().partition(|(key, _)| known.contains(&key.as_str()));
    problems.extend(unknown.keys().map(|key| fields::unknown_key(key, &known).under(at)));
    let keys: Map<_, _> =
        own.iter().filter_map(|key| Some(((*key).to_owned(), table.remove(*key)?))).collect();
    let keys: Keys = fields::read(Value::from(keys), at, problems);
    let json: JsonSettings = fields::read(Value::from(table), at, problems);
    let feed = check(&keys, tables, at, (folder, surroundings), problems);
    problems.extend(feed.as_ref().and_then(|feed| nothing_beside(feed, &json, at)));
    Checked { feed, json }
}

/// A page that is a list itself has no place for what leads on.
fn nothing_beside(feed: &FeedConfig, json: &JsonSettings, at: &str) -> Option<Problem> {
    let beside = match feed.paging {
        Paging::Next { .. } => "next",
        Paging::Cursor { .. } => "cursor",
        Paging::Whole | Paging::Link | Paging::Page { .. } | Paging::Offset { .. } => return None,
    };
    let records = json::Records::at(&json.records).ok()?;
    records.pointer().is_empty().then(|| {
        let why = format!("is all of a page, and `paging.{beside}` stands beside the records");
        let hint = "lead to the list by names: \"$.data[*]\"";
        Problem::new(format!("{at}.records"), why).hint(hint)
    })
}

fn check(
    keys: &Keys,
    tables: Tables,
    at: &str,
    (folder, surroundings): (&Path, &Surroundings),
    problems: &mut Vec<Problem>,
) -> Option<FeedConfig> {
    let Tables { paging, headers, entrance } = tables;
    let insecure = keys.allow_insecure_http.as_deref();
    let loopback = tenant::insecure_http(insecure, at, problems);
    let reach = Reach { loopback, private: keys.allow_private };
    let paged = paging.is_some();
    let paging = read_paging(paging, &format!("{at}.paging"), problems);
    let url = url(keys, reach, paging.as_ref(), at, problems);
    let headers = plain_headers(headers, keys, &format!("{at}.headers"), problems);
    let authorities = Authorities::of(keys.ca_file.as_deref(), folder, at, problems);
    let quota = rate(&keys.quota, at, problems);
    let total = total(keys, at, problems);
    let access = access(keys, entrance, reach, at, (folder, surroundings), problems);
    let (paging, page_size) = paging?;
    Some(FeedConfig {
        url: url?,
        reach,
        authorities: authorities?,
        quota: quota?,
        headers: headers?,
        paging,
        page_size,
        total: total.ok()?,
        // A single page stands for all there is.
        conditional: keys.conditional || !paged,
        keys_may_repeat: keys.keys_may_repeat,
        access: access.ok()?,
    })
}

type Paged = (Paging, Option<PageSize>);

fn read_paging(table: Option<Value>, at: &str, problems: &mut Vec<Problem>) -> Option<Paged> {
    let Some(table) = table else { return Some((Paging::Whole, None)) };
    let before = problems.len();
    let table: PagingTable = fields::read(table, at, problems);
    if problems.len() > before {
        return None;
    }
    let told = |found: Vec<Problem>| {
        problems.extend(found.into_iter().map(|problem| problem.under(at)));
    };
    table.check().map_err(told).ok()
}

fn url(
    keys: &Keys,
    reach: Reach,
    paging: Option<&Paged>,
    at: &str,
    problems: &mut Vec<Problem>,
) -> Option<Url> {
    let mut problem = |why: &str, hint: &str| {
        problems.push(Problem::new(format!("{at}.url"), why).hint(hint));
    };
    if keys.url.is_empty() {
        problem("is missing", "write the address of the feed's first page, https included");
        return None;
    }
    let url = dialect::address(&keys.url, reach).map_err(|why| problem(why, "")).ok()?;
    let names: Vec<String> = url.query_pairs().map(|(name, _)| name.into_owned()).collect();
    if names.iter().any(|name| sounds_secret(name)) {
        let hint = "addresses end up in logs; the server should take the token in a header";
        problem("has a parameter that looks like a secret", hint);
    }
    let added = paging.map(|(paging, size)| {
        let place = match paging {
            Paging::Whole | Paging::Link | Paging::Next { .. } => None,
            Paging::Cursor { parameter, .. }
            | Paging::Page { parameter, .. }
            | Paging::Offset { parameter, .. } => Some(parameter),
        };
        place.into_iter().chain(size.as_ref().map(|size| &size.parameter))
    });
    if added.into_iter().flatten().any(|added| names.contains(added)) {
        problem("has a parameter that the paging adds", "take it out of the address");
    }
    Some(url)
}

/// Nobody should have to ask whether it is one.
fn sounds_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let words = ["key", "token", "secret", "password", "passwd", "signature", "authorization"];
    name == "sig" || name == "cookie" || words.iter().any(|word| name.contains(word))
}

/// Headers that say how a request is framed or come from elsewhere.
const TAKEN: [&str; 9] = [
    "host",
    "connection",
    "content-length",
    "transfer-encoding",
    "accept-encoding",
    "if-none-match",
    "if-modified-since",
    "range",
    "user-agent",
];

fn plain_headers(
    table: Option<Value>,
    keys: &Keys,
    at: &str,
    problems: &mut Vec<Problem>,
) -> Option<Vec<(String, String)>> {
    let Some(table) = table else { return Some(Vec::new()) };
    let before = problems.len();
    let mut headers = Vec::new();
    for (name, value) in fields::table(table, at, problems) {
        let key = format!("{at}.{}", part(&name));
        let mut problem = |why: &str, hint: &str| problems.push(Problem::new(&key, why).hint(hint));
        let name = name.to_ascii_lowercase();
        let Ok(value) = value.into_string() else {
            problem("should be a text", "");
            continue;
        };
        if !is_token(&name) {
            problem("is no name of a header", "");
        } else if sounds_secret(&name) || name == keys.token_header.to_ascii_lowercase() {
            let hint = "put it into `credentials` and name its header in `token_header`";
            problem("looks like a secret, which does not belong in the configuration", hint);
        } else if TAKEN.contains(&name.as_str()) {
            problem("is a header that only rosterd itself sets", "take it out");
        } else if !is_line(&value) {
            problem("has a character that no header can carry", "");
        }
        headers.push((name, value));
    }
    headers.sort();
    (problems.len() == before).then_some(headers)
}

/// RFC 9110 §5.6.2.
fn is_token(text: &str) -> bool {
    let odd = |byte: u8| !byte.is_ascii_alphanumeric() && !b"!#$%&'*+-.^_`|~".contains(&byte);
    !text.is_empty() && !text.bytes().any(odd)
}

fn is_line(text: &str) -> bool {
    text.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic())
}

/// What is wrong with it was told.
struct Told;

fn total(keys: &Keys, at: &str, problems: &mut Vec<Problem>) -> Result<Option<Total>, Told> {
    match (&keys.total, &keys.total_header) {
        (None, None) => Ok(None),
        (Some(_), Some(_)) => {
            let why = "stands beside `total`, and only one of them can hold";
            problems.push(Problem::new(format!("{at}.total_header"), why));
            Err(Told)
        }
        (Some(text), None) => {
            let mut problem = |why| problems.push(Problem::new(format!("{at}.total"), why));
            one_place(text).map(|path| Some(Total::Body(path))).map_err(|why| {
                problem(why);
                Told
            })
        }
        (None, Some(name)) if is_token(name) => Ok(Some(Total::Header(name.to_ascii_lowercase()))),
        (None, Some(_)) => {
            problems.push(Problem::new(format!("{at}.total_header"), "is no name of a header"));
            Err(Told)
        }
    }
}

fn access(
    keys: &Keys,
    entrance: login::Tables,
    reach: Reach,
    at: &str,
    (folder, surroundings): (&Path, &Surroundings),
    problems: &mut Vec<Problem>,
) -> Result<Option<FeedAccess>, Told> {
    let before = problems.len();
    let header = keys.token_header.to_ascii_lowercase();
    if !is_token(&header) || TAKEN.contains(&header.as_str()) {
        let why = "is no name of a header that can carry a token";
        problems.push(Problem::new(format!("{at}.token_header"), why));
    }
    let prefix = keys.token_prefix.clone();
    if !is_line(&prefix) {
        let why = "has a character that no header can carry";
        problems.push(Problem::new(format!("{at}.token_prefix"), why));
    }
    if entrance.is_empty() {
        return if problems.len() == before { Ok(None) } else { Err(Told) };
    }
    let ground = login::Ground { carried: &["token"], offers: &[], reach, folder, surroundings };
    let login::Entrance { secrets, login, token_expires } = entrance.check(at, &ground, problems);
    let access = FeedAccess { header, prefix, secrets, login, token_expires };
    if problems.len() == before { Ok(Some(access)) } else { Err(Told) }
}
