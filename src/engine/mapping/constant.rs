//! Constants: values that the configuration gives.

use crate::{
    engine::value_rules::{Forms, normalise, read_value},
    model::{Kind, Value},
};
use serde_json::Value as Json;

/// A value of the configuration; the fragment that tells why it is none never repeats it.
pub(super) fn constant_value(
    json: &Json,
    kind: &Kind,
    max_chars: Option<usize>,
    forms: &Forms,
) -> Result<Value, String> {
    let read = |text: &str| {
        read_value(kind, max_chars, &normalise(text), forms).map_err(|problem| problem.to_string())
    };
    match (kind, json) {
        (_, Json::Null | Json::Object(_)) => {
            Err("is not a text, a boolean, a number or a list".to_owned())
        }
        (Kind::SetOf(member), Json::Array(items)) => items
            .iter()
            .map(|item| constant_value(item, member, max_chars, forms))
            .collect::<Result<Vec<_>, _>>()
            .map(Value::set),
        (Kind::SetOf(member), item) => {
            constant_value(item, member, max_chars, forms).map(|value| Value::set([value]))
        }
        (_, Json::Array(_)) => Err("is a list, and the attribute takes one value".to_owned()),
        (_, Json::String(text)) => read(text),
        (Kind::Flag, Json::Bool(flag)) => Ok(Value::Flag(*flag)),
        (Kind::Integer { .. } | Kind::Number(_), Json::Number(number)) => read(&number.to_string()),
        // Never with an exponent, which JSON's own text may have.
        (Kind::Decimal, Json::Number(number)) => {
            read(&number.as_f64().unwrap_or(f64::INFINITY).to_string())
        }
        (_, Json::Bool(_)) => Err("is a boolean, and the attribute is not".to_owned()),
        (_, Json::Number(_)) => {
            Err("is a number, and the attribute is not; write a text in quotes".to_owned())
        }
    }
}
