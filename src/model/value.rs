//! One attribute's value, in normal form, so that `==` is meaning.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value as Json;
use std::{collections::BTreeSet, fmt};

/// An attribute's value in normal form: texts are NFC and trimmed, sets are sorted and without
/// repetition, a whole number is always an `Integer`. The mapping brings source values into this
/// form and a dialect the target's, so that comparing is `==`.
///
/// As JSON: a string, a boolean, a number, or an array. Personal, so `Debug` shows the kind only.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Value {
    Text(String),
    Flag(bool),
    Integer(i64),
    Decimal(Decimal),
    Set(BTreeSet<Self>),
}

/// A number with a fraction, as its shortest decimal text.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Decimal(String);

/// Largest whole number that every JSON reader keeps exactly (2^53 - 1).
pub const INTEGER_MAX: i64 = 9_007_199_254_740_991;

impl Value {
    pub fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    /// A number in normal form; `None` when it is not finite.
    #[must_use]
    pub fn number(number: f64) -> Option<Self> {
        if !number.is_finite() {
            return None;
        }
        #[expect(clippy::cast_possible_truncation, clippy::cast_precision_loss)]
        if number.fract() == 0.0 && number.abs() <= INTEGER_MAX as f64 {
            return Some(Self::Integer(number as i64));
        }
        Some(Self::Decimal(Decimal(number.to_string())))
    }

    pub fn set<T: Into<Self>>(members: impl IntoIterator<Item = T>) -> Self {
        Self::Set(members.into_iter().map(Into::into).collect())
    }

    /// A set without members: the empty list, which is a value and not "unset".
    #[must_use]
    pub fn is_empty_set(&self) -> bool {
        matches!(self, Self::Set(members) if members.is_empty())
    }

    #[must_use]
    pub fn to_json(&self) -> Json {
        match self {
            Self::Text(text) => Json::from(text.as_str()),
            Self::Flag(flag) => Json::from(*flag),
            Self::Integer(number) => Json::from(*number),
            Self::Decimal(Decimal(text)) => Json::from(text.parse::<f64>().unwrap_or_default()),
            Self::Set(members) => members.iter().map(Self::to_json).collect(),
        }
    }

    /// `None` for null, an object, or an array that holds either: no value of ours.
    #[must_use]
    pub fn from_json(json: &Json) -> Option<Self> {
        match json {
            Json::String(text) => Some(Self::text(text.as_str())),
            Json::Bool(flag) => Some(Self::Flag(*flag)),
            Json::Number(number) => match number.as_i64() {
                Some(whole) => Some(Self::Integer(whole)),
                None => Self::number(number.as_f64()?),
            },
            Json::Array(members) => {
                members.iter().map(Self::from_json).collect::<Option<_>>().map(Self::Set)
            }
            Json::Null | Json::Object(_) => None,
        }
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::text(text)
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<bool> for Value {
    fn from(flag: bool) -> Self {
        Self::Flag(flag)
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Integer(number)
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => write!(f, "Text({} characters)", text.chars().count()),
            Self::Flag(_) => f.write_str("Flag(…)"),
            Self::Integer(_) => f.write_str("Integer(…)"),
            Self::Decimal(_) => f.write_str("Decimal(…)"),
            Self::Set(members) => write!(f, "Set({} members)", members.len()),
        }
    }
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Text(text) => serializer.serialize_str(text),
            Self::Flag(flag) => serializer.serialize_bool(*flag),
            Self::Integer(integer) => serializer.serialize_i64(*integer),
            Self::Decimal(_) => self.to_json().serialize(serializer),
            Self::Set(members) => serializer.collect_seq(members),
        }
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let json = Json::deserialize(deserializer)?;
        Self::from_json(&json).ok_or_else(|| serde::de::Error::custom("not an attribute value"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_there_and_back_is_the_same_value() {
        let values = [
            Value::text("Zoë"),
            Value::Flag(true),
            Value::Integer(-5),
            Value::number(1.25).unwrap(),
            Value::set(["b", "a"]),
        ];
        for value in values {
            assert!(Value::from_json(&value.to_json()) == Some(value));
        }
    }

    #[test]
    fn a_whole_number_is_an_integer_however_it_was_written() {
        assert!(Value::number(2.0) == Some(Value::Integer(2)));
        assert!(Value::from_json(&serde_json::json!(2.0)) == Some(Value::Integer(2)));
    }

    #[test]
    fn the_order_and_repetition_of_a_sets_members_mean_nothing() {
        assert!(Value::set(["a", "b", "a"]) == Value::set(["b", "a"]));
    }
}
