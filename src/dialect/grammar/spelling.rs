//! Values as JSON, in both directions, and requests around them.

use crate::model::{
    AttrPath, Attribute, Attributes, Capabilities, CredentialHeader, Edit, Kind, Method, RemoteId,
    Request, Value,
};
use serde_json::{Map, Value as Json};
use std::collections::BTreeMap;
use url::Url;

/// `Authorization: Bearer` with the secret called `token`.
pub(crate) const BEARER: CredentialHeader =
    CredentialHeader { header: "authorization", prefix: "Bearer ", credential: "token" };

const JSON: &str = "application/json";

pub(crate) fn catalogue(
    attributes: impl IntoIterator<Item = (&'static str, Attribute)>,
) -> BTreeMap<AttrPath, Attribute> {
    let attributes = attributes.into_iter();
    attributes.map(|(path, attribute)| (AttrPath::new(path), attribute)).collect()
}

/// Why an action is not spelled that the dialect's capabilities do not offer.
pub(crate) const NOT_OFFERED: &str = "the API offers no such thing";

/// The id of the account that an action is about.
///
/// # Errors
/// The action is about none, which an API without look-up and creation does not offer.
pub(crate) fn account_of(id: Option<&RemoteId>) -> Result<&RemoteId, String> {
    id.ok_or_else(|| NOT_OFFERED.to_owned())
}

/// Whether an answer shows that very account, by an id whose letters may be of either case.
pub(crate) fn is_same(shown: &str, id: Option<&RemoteId>) -> bool {
    id.is_some_and(|id| shown.eq_ignore_ascii_case(id.as_str()))
}

pub(crate) fn get(url: Url, credentials: &[CredentialHeader]) -> Request {
    Request {
        method: Method::Get,
        url,
        headers: vec![("accept", JSON.to_owned())],
        credentials: credentials.to_vec(),
        body: None,
    }
}

/// The content type stands without a charset: one API takes exactly this value, and RFC 8259 §11
/// defines no parameter for it.
pub(crate) fn patch(url: Url, body: &Json, credentials: &[CredentialHeader]) -> Request {
    patch_as(JSON, url, body, credentials)
}

/// With a media type of the API's own.
pub(crate) fn patch_as(
    media_type: &str,
    url: Url,
    body: &Json,
    credentials: &[CredentialHeader],
) -> Request {
    Request {
        method: Method::Patch,
        headers: vec![("accept", media_type.to_owned()), ("content-type", media_type.to_owned())],
        body: Some(serde_json::to_vec(body).expect("JSON can be written, and memory takes it")),
        ..get(url, credentials)
    }
}

/// As [`patch`], to make something.
pub(crate) fn post(url: Url, body: &Json, credentials: &[CredentialHeader]) -> Request {
    Request { method: Method::Post, ..patch(url, body, credentials) }
}

/// A request that says all in its address.
pub(crate) fn switch(url: Url, credentials: &[CredentialHeader]) -> Request {
    Request { method: Method::Post, ..get(url, credentials) }
}

pub(crate) fn delete(url: Url, credentials: &[CredentialHeader]) -> Request {
    Request { method: Method::Delete, ..get(url, credentials) }
}

/// A SCIM filter for one exact text (RFC 7644 §3.4.2.2): the text as JSON spells it.
pub(crate) fn equals(path: &str, text: &str) -> String {
    format!("{path} eq {}", Json::from(text))
}

/// Each edit and each companion with its value as JSON, sorted by path; null unsets.
///
/// # Errors
/// When the API's contract has no way to say it: the planner's fault, told and not sent.
pub(crate) fn spell_all(
    capabilities: &Capabilities,
    edits: &[Edit],
    companions: &BTreeMap<AttrPath, Value>,
) -> Result<BTreeMap<AttrPath, Json>, String> {
    if edits.is_empty() {
        return Err("a change without any edit is never sent".to_owned());
    }
    let edits = edits.iter().map(|edit| (&edit.path, edit.after.as_ref()));
    let companions = companions.iter().map(|(path, value)| (path, Some(value)));
    let spelled = |(path, value): (&AttrPath, Option<&Value>)| {
        Ok((path.clone(), spell(capabilities, path, value)?))
    };
    companions.chain(edits).map(spelled).collect()
}

/// One value as JSON; null unsets.
///
/// # Errors
/// When the API has no such attribute, or no way to unset it.
pub(crate) fn spell(
    capabilities: &Capabilities,
    path: &AttrPath,
    value: Option<&Value>,
) -> Result<Json, String> {
    let Some(attribute) = capabilities.attributes.get(path) else {
        return Err(format!("the API has no attribute `{path}` to set"));
    };
    match value {
        Some(value) => Ok(value_to_json(&attribute.kind, value)),
        None if attribute.clearable => Ok(Json::Null),
        None => Err(format!("the API has no way to unset `{path}`")),
    }
}

/// A UUID means the same in either case of its letters (RFC 9562 §4); lower case is normal form.
fn value_to_json(kind: &Kind, value: &Value) -> Json {
    match (kind, value) {
        (Kind::Uuid, Value::Text(text)) => Json::from(text.to_ascii_lowercase()),
        (Kind::SetOf(kind), Value::Set(members)) => {
            members.iter().map(|member| value_to_json(kind, member)).collect()
        }
        (_, value) => value.to_json(),
    }
}

/// Notes what a representation shows of one attribute. Absent and null mean unset in all five APIs;
/// of what is no value of this kind nothing can be said, so it is not noted at all.
pub(crate) fn note(seen: &mut Attributes, path: &AttrPath, kind: &Kind, json: Option<&Json>) {
    match json {
        None | Some(Json::Null) => _ = seen.insert(path.clone(), None),
        Some(json) => {
            if let Some(value) = value_from_json(kind, json) {
                seen.insert(path.clone(), Some(value));
            }
        }
    }
}

fn value_from_json(kind: &Kind, json: &Json) -> Option<Value> {
    match (kind, json) {
        (Kind::Uuid, Json::String(text)) => Some(Value::text(text.to_ascii_lowercase())),
        (Kind::SetOf(kind), Json::Array(members)) => {
            let members = members.iter().map(|member| value_from_json(kind, member));
            members.collect::<Option<_>>().map(Value::Set)
        }
        (Kind::SetOf(_), _) | (_, Json::Array(_)) => None,
        (_, json) => Value::from_json(json),
    }
}

/// Every attribute of the catalogue as a representation shows it. `find` yields the JSON behind a
/// path; attributes that the representation never shows are left out by the caller.
pub(crate) fn show_all<'a, 'j>(
    attributes: impl IntoIterator<Item = (&'a AttrPath, &'a Attribute)>,
    find: impl Fn(&AttrPath) -> Option<&'j Json>,
) -> Attributes {
    let mut seen = Attributes::new();
    for (path, attribute) in attributes {
        note(&mut seen, path, &attribute.kind, find(path));
    }
    seen
}

/// The member at a dotted path: `_name.firstName`.
pub(crate) fn at<'j>(object: &'j Map<String, Json>, path: &str) -> Option<&'j Json> {
    let mut parts = path.split('.');
    let first = object.get(parts.next()?)?;
    parts.try_fold(first, |json, part| json.get(part))
}

/// Dotted paths as an object of objects, at most two deep as in all five APIs.
pub(crate) fn nest(values: BTreeMap<AttrPath, Json>) -> Json {
    let mut object = Map::new();
    for (path, value) in values {
        match path.as_str().split_once('.') {
            None => _ = object.insert(path.as_str().to_owned(), value),
            Some((parent, member)) => {
                let parent = object.entry(parent).or_insert_with(|| Json::Object(Map::new()));
                if let Json::Object(parent) = parent {
                    parent.insert(member.to_owned(), value);
                }
            }
        }
    }
    Json::Object(object)
}
