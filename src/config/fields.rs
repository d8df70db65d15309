//! Which keys a table may have, and which of them somebody meant.

use crate::model::Problem;
use serde::{
    Deserialize, Deserializer,
    de::{DeserializeOwned, Error as _, Visitor, value::Error},
};
use std::collections::BTreeSet;

/// Reads one table into its type. A wrong type and every unknown key become problems.
pub(super) fn read<T: DeserializeOwned + Default>(
    value: config::Value,
    at: &str,
    problems: &mut Vec<Problem>,
) -> T {
    let mut unknown = BTreeSet::new();
    let read = serde_ignored::deserialize(value, |path| {
        unknown.insert(path.to_string());
    });
    for key in unknown {
        problems.push(unknown_key(&key, names::<T>()).under(at));
    }
    read.unwrap_or_else(|error: config::ConfigError| {
        problems.push(type_problem(&error, at));
        T::default()
    })
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
    let scored = known.map(|other| (strsim::jaro_winkler(name, other), other));
    let near = scored.filter(|(score, _)| *score > 0.75);
    near.max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, other)| other)
}

fn type_problem(error: &config::ConfigError, at: &str) -> Problem {
    match error {
        config::ConfigError::At { error, key: Some(key), .. } => {
            type_problem(error, &format!("{at}.{key}"))
        }
        // What was found instead may be a misplaced secret, so only the wanted type is told.
        config::ConfigError::Type { expected, key, .. } => {
            let key = key.as_deref().map_or(at.to_owned(), |key| format!("{at}.{key}"));
            Problem::new(key, format!("should be {expected}"))
        }
        config::ConfigError::Message(message) => Problem::new(at, message.clone()),
        _ => Problem::new(at, "cannot be read"),
    }
}

/// The names of a struct's fields, as its `Deserialize` asks for them.
fn names<T: DeserializeOwned>() -> &'static [&'static str] {
    let mut found: &'static [&'static str] = &[];
    let _ = T::deserialize(Asked(&mut found));
    found
}

/// A deserializer that only listens to what is asked of it.
struct Asked<'a>(&'a mut &'static [&'static str]);

impl<'de> Deserializer<'de> for Asked<'_> {
    type Error = Error;

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        fields: &'static [&'static str],
        _visitor: V,
    ) -> Result<V::Value, Error> {
        *self.0 = fields;
        Err(Error::custom("asked"))
    }

    fn deserialize_any<V: Visitor<'de>>(self, _visitor: V) -> Result<V::Value, Error> {
        Err(Error::custom("not a struct"))
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 u8 u16 u32 u64 f32 f64 char str string bytes byte_buf option unit
        unit_struct newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}

/// The names of a type's fields, for tables that are taken apart by hand.
pub(super) fn known_keys<T: for<'de> Deserialize<'de>>() -> &'static [&'static str] {
    names::<T>()
}
