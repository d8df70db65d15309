//! Accounts that are looked up, made and taken away, as far as the documents go.

use super::practice::{Incoming, Refusal};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// The text between quotation marks of the query's one parameter, `filter=userName eq "…"`; `None`:
/// there is no filter.
pub(super) fn filter_of(request: &Incoming, path: &str) -> Option<Result<String, Refusal>> {
    let query = request.query.as_deref()?;
    let pairs: Vec<(String, String)> =
        url::form_urlencoded::parse(query.as_bytes()).into_owned().collect();
    let (_, filter) = pairs.iter().find(|(name, _)| name == "filter")?;
    let bad = || Refusal::new(400, format!("the only filter is `{path} eq \"…\"`"));
    let others =
        pairs.iter().any(|(name, _)| !["filter", "startIndex", "count"].contains(&&**name));
    if others {
        return Some(Err(Refusal::new(400, "unknown query parameter")));
    }
    let mut words = filter.splitn(3, ' ');
    let attribute = words.next().unwrap_or_default();
    let fits = attribute.eq_ignore_ascii_case(path)
        && words.next().is_some_and(|operator| operator.eq_ignore_ascii_case("eq"));
    let text = words.next().and_then(|text| serde_json::from_str::<String>(text).ok());
    Some(text.filter(|_| fits).ok_or_else(bad))
}

/// RFC 7644 §3.4.2, all on one page. `member`: what is compared, whatever its capitals.
pub(super) fn listed(
    accounts: &BTreeMap<String, Value>,
    text: &str,
    member: fn(&Value) -> Option<&str>,
) -> Value {
    let lower = text.to_lowercase();
    let answers = |account: &&Value| member(account).is_some_and(|m| m.to_lowercase() == lower);
    let found: Vec<&Value> = accounts.values().filter(answers).collect();
    json!({
        "schemas": ["urn:ietf:params:scim:api:messages:2.0:ListResponse"],
        "totalResults": found.len(),
        "startIndex": 1,
        "itemsPerPage": found.len(),
        "Resources": found,
    })
}

/// An id that nobody has had: ids are given in turn.
pub(super) fn fresh_uuid(accounts: &BTreeMap<String, Value>) -> String {
    let id = |number: usize| format!("9b2f0000-0000-4000-8000-{number:012x}");
    let free = (accounts.len()..=2 * accounts.len()).map(id).find(|id| !accounts.contains_key(id));
    free.unwrap_or_default()
}
