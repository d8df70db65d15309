//! Which keys a table may have, and which of them somebody meant.

use crate::model::Problem;
use config::{ConfigError, Map, Value};
use serde::{
    Deserializer,
    de::{
        DeserializeOwned, DeserializeSeed, Error as _, IntoDeserializer as _, MapAccess, Visitor,
        value::Error,
    },
};
use std::{borrow::Cow, collections::BTreeSet};

/// Reads one table into its type, a struct whose fields are no tables with names of their own. Every
/// unknown key and every value of a wrong type becomes a problem, and the rest of the table is read all
/// the same.
pub(super) fn read<T: DeserializeOwned + Default>(
    value: Value,
    at: &str,
    problems: &mut Vec<Problem>,
) -> T {
    let mut table = table(value, at, problems);
    let wrong: Vec<_> = table
        .iter()
        .filter_map(|(key, value)| Some((key.clone(), problem_of::<T>(key, value)?)))
        .collect();
    for (key, problem) in wrong {
        table.remove(&key);
        problems.push(problem.under(at));
    }
    let known = known_keys::<T>();
    let unknown: BTreeSet<&str> =
        table.keys().map(String::as_str).filter(|key| !known.contains(key)).collect();
    problems.extend(unknown.iter().map(|key| unknown_key(key, known).under(at)));
    // Every key was tried by itself, so what is left can be read.
    T::deserialize(Value::from(table)).unwrap_or_default()
}

/// A table's entries; anything else is a problem.
pub(super) fn table(value: Value, at: &str, problems: &mut Vec<Problem>) -> Map<String, Value> {
    value.into_table().unwrap_or_else(|_| {
        problems.push(Problem::new(at, "should be a table"));
        Map::new()
    })
}

/// A name as one part of a key's path.
pub(super) fn part(name: &str) -> Cow<'_, str> {
    let is_bare = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if name.chars().all(is_bare) { name.into() } else { format!("\"{name}\"").into() }
}

/// Adds what was found about keys of which nothing was told yet: what is wrong already is not missing
/// besides.
pub(super) fn add_news(found: Vec<Problem>, problems: &mut Vec<Problem>) {
    let told: BTreeSet<String> = problems.iter().map(|problem| problem.key.clone()).collect();
    problems.extend(found.into_iter().filter(|problem| !told.contains(&problem.key)));
}

/// An unknown key, with the nearest of those that are known.
pub(super) fn unknown_key(key: &str, known: &[&str]) -> Problem {
    let last = key.rsplit('.').next().unwrap_or(key);
    let hint = nearest(last, known.iter().copied()).map_or_else(
        || format!("known are {}", known.join(", ")),
        |name| format!("did you mean `{name}`?"),
    );
    Problem::new(key, "is not a known key").hint(hint)
}

/// The known name that is spelled most like this one, if any comes near.
pub(super) fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let scored = known.map(|other| (likeness(name, other), other));
    let near = scored.filter(|(score, _)| *score > 0.75);
    near.max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, other)| other)
}

/// From 0 to 1. One slip of the fingers is near in short names too, where the measure of the shared
/// beginning says little.
fn likeness(name: &str, other: &str) -> f64 {
    let is_slip = other.len() > 2 && strsim::damerau_levenshtein(name, other) == 1;
    strsim::jaro_winkler(name, other).max(if is_slip { 0.9 } else { 0.0 })
}

/// What is wrong with the value of one key of `T`'s table. The value itself is never told: it may be
/// a misplaced secret.
fn problem_of<T: DeserializeOwned>(key: &str, value: &Value) -> Option<Problem> {
    let table = Map::from_iter([(key.to_owned(), value.clone())]);
    let error = T::deserialize(Value::from(table)).err()?;
    Some(match told(&error) {
        (place, Some(expected)) => {
            Problem::new(place.unwrap_or(key), format!("should be {}", in_toml(expected)))
        }
        (_, None) => choice_problem(key, value, choices::<T>(key)),
    })
}

/// Where it is and what should be there, as far as the error tells.
fn told(error: &ConfigError) -> (Option<&str>, Option<&str>) {
    match error {
        ConfigError::Type { expected, key, .. } => (key.as_deref(), Some(expected)),
        ConfigError::At { error, key, .. } => (key.as_deref(), told(error).1),
        // serde: "invalid type: integer `5`, expected a sequence".
        ConfigError::Message(text) if text.starts_with("invalid type: ") => {
            (None, text.rsplit_once(", expected ").map(|(_, expected)| expected))
        }
        _ => (None, None),
    }
}

/// As TOML calls it.
fn in_toml(expected: &str) -> &str {
    match expected {
        "a sequence" => "a list",
        "a map" => "a table",
        other => other,
    }
}

fn choice_problem(key: &str, value: &Value, choices: &[&str]) -> Problem {
    let text = value.clone().into_string().unwrap_or_default();
    let problem = Problem::new(key, "is not a value that this key can have");
    match (nearest(&text, choices.iter().copied()), choices) {
        (_, []) => problem,
        (Some(name), _) => problem.hint(format!("did you mean `{name}`?")),
        (None, choices) => problem.hint(format!("choose from {}", choices.join(", "))),
    }
}

/// The names of a struct's fields, as its `Deserialize` asks for them.
pub(super) fn known_keys<T: DeserializeOwned>() -> &'static [&'static str] {
    let mut heard: Names = &[];
    let _ = T::deserialize(Asked { field: None, heard: &mut heard });
    heard
}

/// The words that a struct's field can be, where it is an enum.
fn choices<T: DeserializeOwned>(field: &str) -> &'static [&'static str] {
    let mut heard: Names = &[];
    let _ = T::deserialize(Asked { field: Some(field), heard: &mut heard });
    heard
}

type Names = &'static [&'static str];

/// A deserializer that only listens to what is asked of it: for a struct's fields, or for what it
/// wants of one of them.
struct Asked<'a> {
    field: Option<&'a str>,
    heard: &'a mut Names,
}

impl Asked<'_> {
    fn hear(self, names: Names) -> Error {
        *self.heard = names;
        Error::custom("asked")
    }
}

impl<'de> Deserializer<'de> for Asked<'_> {
    type Error = Error;

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        fields: Names,
        visitor: V,
    ) -> Result<V::Value, Error> {
        if self.field.is_some() { visitor.visit_map(self) } else { Err(self.hear(fields)) }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        variants: Names,
        _visitor: V,
    ) -> Result<V::Value, Error> {
        Err(self.hear(variants))
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_some(self)
    }

    fn deserialize_any<V: Visitor<'de>>(self, _visitor: V) -> Result<V::Value, Error> {
        Err(Error::custom("neither a struct nor an enum"))
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 u8 u16 u32 u64 f32 f64 char str string bytes byte_buf unit
        unit_struct newtype_struct seq tuple tuple_struct map identifier ignored_any
    }
}

/// The struct as a map of that one field.
impl<'de> MapAccess<'de> for Asked<'_> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Error> {
        let field = self.field.take();
        field.map(|field| seed.deserialize(field.into_deserializer())).transpose()
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, Error> {
        seed.deserialize(Asked { field: None, heard: self.heard })
    }
}
