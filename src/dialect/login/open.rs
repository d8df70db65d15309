//! A `login` table becomes a login that cannot be wrong.

use super::{
    Kind, Login, Offer, Scheme,
    oauth::{Client, Place},
};
use crate::{
    dialect::{
        Settings,
        grammar::{Base, Table},
    },
    model::{Problem, Reach},
};
use serde_json::Value as Json;
use url::Url;

const CLIENT_KEYS: [&str; 6] =
    ["client_id", "token_url", "scope", "audience", "resource", "client_auth"];

/// Checks the table, of which the secrets are taken out already. `offers`: the logins that whoever
/// is logged in to has of its own; client credentials are taken everywhere.
///
/// # Errors
/// Every problem, with keys relative to the table.
pub fn open(settings: &Settings, offers: &[Offer]) -> Result<Login, Vec<Problem>> {
    let kinds = taken(offers);
    let names: Vec<&'static str> = kinds.iter().map(|kind| kind.as_str()).collect();
    // Which keys there may be depends on the kind, and that may be wrong.
    let keys: Vec<&str> = settings.table.keys().map(String::as_str).collect();
    let mut first = Table::inner(&settings.table, &keys);
    let is_named = first.required_text("type").is_some();
    let kind = is_named.then(|| first.choice("type", &names)).flatten().and_then(Kind::parse);
    let kind = first.close(kind)?;
    let offer = offers.iter().find(|offer| offer.kind == kind);
    match kind {
        Kind::ClientCredentials => client(settings, offer),
        Kind::BiotService => {
            let mut table = table_of(settings, kind, &["id"]);
            let id = table.required_uuid("id").map(str::to_owned);
            offered(table, offer, id.map(|id| Scheme::BiotService { id }))
        }
        Kind::BiotUser => {
            let mut table = table_of(settings, kind, &["username"]);
            let username = named_text(&mut table, "username");
            offered(table, offer, username.map(|username| Scheme::BiotUser { username }))
        }
        Kind::KareCredentials => {
            let mut table = table_of(settings, kind, &["email"]);
            let email = named_text(&mut table, "email");
            offered(table, offer, email.map(|email| Scheme::Kare { email }))
        }
    }
}

/// The kinds that can be chosen, by what is offered.
fn taken(offers: &[Offer]) -> Vec<Kind> {
    let is_taken = |kind: &Kind| {
        *kind == Kind::ClientCredentials || offers.iter().any(|offer| offer.kind == *kind)
    };
    Kind::ALL.into_iter().filter(is_taken).collect()
}

/// The table with these keys, and with those of the secrets.
fn table_of<'a>(settings: &'a Settings, kind: Kind, keys: &[&str]) -> Table<'a> {
    let places = kind
        .secrets()
        .iter()
        .flat_map(|name| ["file", "env", "credential"].map(|place| format!("{name}_{place}")));
    let places: Vec<String> = places.collect();
    let places = places.iter().map(String::as_str);
    let known: Vec<&str> = ["type"].into_iter().chain(keys.iter().copied()).chain(places).collect();
    Table::of(settings, &known)
}

fn offered(
    table: Table<'_>,
    offer: Option<&Offer>,
    scheme: Option<Scheme>,
) -> Result<Login, Vec<Problem>> {
    let login =
        scheme.zip(offer).map(|(scheme, Offer { url, .. })| Login { url: url.clone(), scheme });
    table.close(login)
}

fn client(settings: &Settings, offer: Option<&Offer>) -> Result<Login, Vec<Problem>> {
    let mut table = table_of(settings, Kind::ClientCredentials, &CLIENT_KEYS);
    let id = named_text(&mut table, "client_id");
    let url = token_url(&mut table, settings.reach, offer);
    let default = offer.map_or(&[][..], |offer| offer.scope);
    let default = default.iter().map(|&scope| scope.to_owned()).collect();
    let scope = words(&mut table, "scope", default);
    let resource = words(&mut table, "resource", Vec::new());
    let audience = match table.get("audience") {
        None => Some(None),
        Some(_) => named_text(&mut table, "audience").map(Some),
    };
    // RFC 6749 §2.3.1: every server has to take Basic, and a vendor's own document counts more.
    let places = if offer.is_some() { ["post", "basic"] } else { ["basic", "post"] };
    let place = table.choice("client_auth", &places);
    let place = place.map(|place| if place == "post" { Place::Post } else { Place::Basic });
    let client = id.zip(scope).zip(audience).zip(resource).zip(place);
    let client = client.map(|((((id, scope), audience), resource), place)| Client {
        id,
        place,
        scope,
        audience,
        resource,
    });
    let login = client.zip(url).map(|(client, url)| Login { url, scheme: Scheme::Client(client) });
    table.close(login)
}

/// RFC 6749 §3.2: it may have a query, and no fragment.
fn token_url(table: &mut Table<'_>, reach: Reach, offer: Option<&Offer>) -> Option<Url> {
    // An empty text is how an environment variable takes back what the file says.
    let is_given = table.get("token_url").is_some_and(|value| value.as_str() != Some(""));
    if !is_given {
        if offer.is_none() {
            let hint = "write the address that gives out the tokens, https included";
            table.report(Problem::new("token_url", "is missing").hint(hint));
        }
        return offer.map(|offer| offer.url.clone());
    }
    let text = table.text("token_url")?;
    let (place, query) = text.split_once('?').map_or((text, ""), |(place, query)| (place, query));
    let judged = Base::parse(place, reach).map(drop).and_then(|()| {
        let is_plain = query.chars().all(|c| c.is_ascii_graphic() && c != '#');
        let url = Url::parse(text).ok().filter(|_| is_plain);
        url.ok_or("is not an absolute https address without a fragment")
    });
    judged.map_err(|why| table.report(Problem::new("token_url", why))).ok()
}

/// A text that is not empty and goes into one line.
fn named_text(table: &mut Table<'_>, key: &str) -> Option<String> {
    let text = table.required_text(key)?;
    if text.is_empty() || text.chars().any(char::is_control) {
        table.report(Problem::new(key, "must be a text in one line that is not empty"));
        return None;
    }
    Some(text.to_owned())
}

/// A list of texts, or a single one; `None` when it is neither.
fn words(table: &mut Table<'_>, key: &str, default: Vec<String>) -> Option<Vec<String>> {
    let Some(value) = table.get(key) else { return Some(default) };
    let list = match value {
        Json::String(text) => text.split_whitespace().map(str::to_owned).map(Some).collect(),
        Json::Array(items) => items.iter().map(|item| item.as_str().map(str::to_owned)).collect(),
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::Object(_) => None,
    };
    // RFC 6749 §3.3: neither spaces nor anything but printable ASCII within one.
    let is_word =
        |word: &String| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_graphic());
    let list: Option<Vec<String>> = list;
    let list = list.filter(|list| list.iter().all(is_word));
    if list.is_none() {
        let why = "must be a list of texts in quotes, none with a space in it";
        table.report(Problem::new(key, why));
    }
    list
}
