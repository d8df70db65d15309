//! Our values as `SQLite` columns and back.

use crate::model::{AttrPath, Attributes, Edit, Fingerprint, RemoteId, Value};
use jiff::Timestamp;
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{self, MapAccess, SeqAccess, Visitor},
    ser::SerializeMap,
};
use serde_json::Value as Json;
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

/// As JSON with sorted names; null: unset.
pub(super) fn attributes_to_text(attributes: &Attributes) -> String {
    if attributes.is_empty() { "{}".to_owned() } else { to_text(&Stored(attributes)) }
}

/// `None`: not what [`attributes_to_text`] writes.
pub(super) fn attributes_from_text(text: &str) -> Option<Attributes> {
    if text == "{}" {
        return Some(Attributes::new());
    }
    let ReadAll(attributes) = serde_json::from_str(text).ok()?;
    Some(attributes)
}

/// `before` is left out while nothing is known, and null when it was unset.
pub(super) fn edits_to_text(edits: &[Edit]) -> String {
    if edits.is_empty() { "[]".to_owned() } else { to_text(&Stored(edits)) }
}

/// `None`: not what [`edits_to_text`] writes.
pub(super) fn edits_from_text(text: &str) -> Option<Vec<Edit>> {
    let stored: Vec<BTreeMap<String, Json>> = serde_json::from_str(text).ok()?;
    let edit = |stored: &BTreeMap<String, Json>| {
        let path = AttrPath::new(stored.get("path")?.as_str()?);
        let before = match stored.get("before") {
            Some(before) => Some(from_json(before)?),
            None => None,
        };
        Some(Edit { path, before, after: from_json(stored.get("after")?)? })
    };
    stored.iter().map(edit).collect()
}

pub(super) fn paths_to_text(paths: &BTreeSet<AttrPath>) -> String {
    to_text(paths)
}

/// `None`: not what [`paths_to_text`] writes.
pub(super) fn paths_from_text(text: &str) -> Option<BTreeSet<AttrPath>> {
    serde_json::from_str(text).ok()
}

fn to_text(stored: &impl Serialize) -> String {
    serde_json::to_string(stored).expect("names are texts, and memory takes what is written")
}

/// Something of ours as JSON, written without a tree of it in between.
struct Stored<T>(T);

impl Serialize for Stored<&Attributes> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(path, value)| (path.as_str(), Stored(value))))
    }
}

impl Serialize for Stored<&[Edit]> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(Stored))
    }
}

impl Serialize for Stored<&Edit> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Edit { path, before, after } = self.0;
        let mut fields = serializer.serialize_map(None)?;
        fields.serialize_entry("after", &Stored(after))?;
        if let Some(before) = before {
            fields.serialize_entry("before", &Stored(before))?;
        }
        fields.serialize_entry("path", path.as_str())?;
        fields.end()
    }
}

impl Serialize for Stored<&Option<Value>> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Some(value) => Stored(value).serialize(serializer),
            None => serializer.serialize_none(),
        }
    }
}

/// As everywhere, but a number with a fraction is `{"decimal": "0.1"}`: the reader of JSON takes
/// some of their last digits for others, and the user would differ from its row every night.
impl Serialize for Stored<&Value> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Value::Text(text) => serializer.serialize_str(text),
            Value::Flag(flag) => serializer.serialize_bool(*flag),
            Value::Integer(number) => serializer.serialize_i64(*number),
            Value::Decimal(_) => {
                serializer.collect_map([("decimal", self.0.to_json().to_string())])
            }
            Value::Set(members) => serializer.collect_seq(members.iter().map(Stored)),
        }
    }
}

/// Values as they were stored.
struct ReadAll(Attributes);

impl<'de> Deserialize<'de> for ReadAll {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ReadingAll).map(Self)
    }
}

struct ReadingAll;

impl<'de> Visitor<'de> for ReadingAll {
    type Value = Attributes;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("stored attributes")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Self::Value, A::Error> {
        let mut attributes = Attributes::new();
        while let Some((path, Read(value))) = fields.next_entry()? {
            attributes.insert(path, value);
        }
        Ok(attributes)
    }
}

/// A value as it was stored; null is one, "unset".
struct Read(Option<Value>);

impl<'de> Deserialize<'de> for Read {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reading).map(Read)
    }
}

struct Reading;

impl<'de> Visitor<'de> for Reading {
    type Value = Option<Value>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a stored value")
    }

    fn visit_unit<E: de::Error>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Some(Value::text(text)))
    }

    fn visit_bool<E: de::Error>(self, flag: bool) -> Result<Self::Value, E> {
        Ok(Some(Value::Flag(flag)))
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<Self::Value, E> {
        Ok(Some(Value::Integer(number)))
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<Self::Value, E> {
        let number = i64::try_from(number).map_err(|_| E::custom("no number of ours"))?;
        Ok(Some(Value::Integer(number)))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
        let mut set = BTreeSet::new();
        while let Some(Read(member)) = members.next_element()? {
            set.insert(member.ok_or_else(|| de::Error::custom("no set of ours"))?);
        }
        Ok(Some(Value::Set(set)))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Self::Value, A::Error> {
        let mut decimal = None;
        while let Some((name, text)) = fields.next_entry::<String, String>()? {
            decimal = (name == "decimal").then_some(text);
        }
        let number = decimal.and_then(|text| Value::number(text.parse().ok()?));
        number.map(Some).ok_or_else(|| de::Error::custom("no decimal of ours"))
    }
}

/// `None`: not a value of ours.
#[expect(clippy::option_option, reason = "an attribute is a value or unset, and this may fail")]
fn from_json(json: &Json) -> Option<Option<Value>> {
    Read::deserialize(json).ok().map(|Read(value)| value)
}

/// Empty where nobody knows it.
pub(super) fn remote_id_to_text(id: Option<&RemoteId>) -> &str {
    id.map_or("", RemoteId::as_str)
}

pub(super) fn remote_id_from_text(text: &str) -> rusqlite::Result<Option<RemoteId>> {
    if text.is_empty() { Ok(None) } else { sound(RemoteId::parse(text).ok()).map(Some) }
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
