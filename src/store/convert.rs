//! Our values as `SQLite` columns and back.

use crate::model::{AttrPath, Attributes, Edit, Fingerprint, Value};
use jiff::Timestamp;
use serde_json::{Map, Value as Json, json};

/// As JSON with sorted names; null: unset.
pub(super) fn attributes_to_text(attributes: &Attributes) -> String {
    let pairs =
        attributes.iter().map(|(path, value)| (path.as_str().to_owned(), to_json(value.as_ref())));
    Json::Object(pairs.collect()).to_string()
}

/// `None`: not what [`attributes_to_text`] writes.
pub(super) fn attributes_from_text(text: &str) -> Option<Attributes> {
    let pairs: Map<String, Json> = serde_json::from_str(text).ok()?;
    pairs.iter().map(|(path, json)| Some((AttrPath::new(path), from_json(json)?))).collect()
}

/// `before` is left out while nothing is known, and null when it was unset.
pub(super) fn edits_to_text(edits: &[Edit]) -> String {
    let stored = edits.iter().map(|Edit { path, before, after }| {
        let mut stored = json!({ "path": path.as_str(), "after": to_json(after.as_ref()) });
        if let Some(before) = before {
            stored["before"] = to_json(before.as_ref());
        }
        stored
    });
    stored.collect::<Json>().to_string()
}

/// `None`: not what [`edits_to_text`] writes.
pub(super) fn edits_from_text(text: &str) -> Option<Vec<Edit>> {
    let stored: Vec<Map<String, Json>> = serde_json::from_str(text).ok()?;
    let edit = |stored: &Map<String, Json>| {
        let path = AttrPath::new(stored.get("path")?.as_str()?);
        let before = match stored.get("before") {
            Some(before) => Some(from_json(before)?),
            None => None,
        };
        Some(Edit { path, before, after: from_json(stored.get("after")?)? })
    };
    stored.iter().map(edit).collect()
}

fn to_json(value: Option<&Value>) -> Json {
    value.map_or(Json::Null, value_to_json)
}

/// `None`: not a value of ours; null is one, "unset".
#[expect(clippy::option_option, reason = "an attribute is a value or unset, and this may fail")]
fn from_json(json: &Json) -> Option<Option<Value>> {
    if json.is_null() { Some(None) } else { value_from_json(json).map(Some) }
}

/// As everywhere, but a number with a fraction is `{"decimal": "0.1"}`: the reader of JSON takes
/// some of their last digits for others, and the user would differ from its row every night.
fn value_to_json(value: &Value) -> Json {
    match value {
        Value::Text(_) | Value::Flag(_) | Value::Integer(_) => value.to_json(),
        Value::Decimal(_) => json!({ "decimal": value.to_json().to_string() }),
        Value::Set(members) => members.iter().map(value_to_json).collect(),
    }
}

fn value_from_json(json: &Json) -> Option<Value> {
    match json {
        Json::Object(decimal) => Value::number(decimal.get("decimal")?.as_str()?.parse().ok()?),
        Json::Array(members) => {
            members.iter().map(value_from_json).collect::<Option<_>>().map(Value::Set)
        }
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => Value::from_json(json),
    }
}

pub(super) fn fingerprint_to_bytes(fingerprint: Fingerprint) -> [u8; 16] {
    fingerprint.0.to_be_bytes()
}

pub(super) fn fingerprint_from_bytes(bytes: [u8; 16]) -> Fingerprint {
    Fingerprint(u128::from_be_bytes(bytes))
}

pub(super) fn instant_to_micros(at: Timestamp) -> i64 {
    at.as_microsecond()
}

/// A number that is no instant can only come from a damaged file; the nearest end of time stands
/// for it, which a caller sees at once.
pub(super) fn instant_from_micros(micros: i64) -> Timestamp {
    let nearest = if micros < 0 { Timestamp::MIN } else { Timestamp::MAX };
    Timestamp::from_microsecond(micros).unwrap_or(nearest)
}

/// `SQLite`'s integers are signed; ours that are not never reach the upper half.
pub(super) fn count_to_integer(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

pub(super) fn count_from_integer(integer: i64) -> u64 {
    u64::try_from(integer).unwrap_or_default()
}

/// What only damage can have made of a value of ours.
pub(super) fn sound<T>(value: Option<T>) -> rusqlite::Result<T> {
    value.ok_or(rusqlite::Error::InvalidColumnType(0, String::new(), rusqlite::types::Type::Text))
}
