//! Attribute values, before and after, for a person.

use super::escape::quoted;
use crate::model::Value;

/// What stands for a value that the target was never asked for.
pub(super) const NOT_KNOWN: &str = "(not known)";
const NOT_SET: &str = "(not set)";

/// The value, or only its kind and length.
pub(super) fn shown(value: Option<&Value>, values: bool) -> String {
    match value {
        None => NOT_SET.to_owned(),
        Some(value) if values => content(value),
        Some(value) => shape(value),
    }
}

/// Members that come and go; `None` when either side is no set.
pub(super) fn set_delta(before: &Value, after: &Value, values: bool) -> Option<String> {
    let (Value::Set(before), Value::Set(after)) = (before, after) else { return None };
    let added: Vec<String> = after.difference(before).map(content).collect();
    let removed: Vec<String> = before.difference(after).map(content).collect();
    if !values {
        let (added, removed) = (added.len(), removed.len());
        return Some(format!("+{added} −{removed} members ({} after)", after.len()));
    }
    let added = added.iter().map(|member| format!("+{member}"));
    let removed = removed.iter().map(|member| format!("−{member}"));
    let members: Vec<String> = added.chain(removed).collect();
    Some(format!("{} ({} after)", members.join(" "), after.len()))
}

fn content(value: &Value) -> String {
    match value {
        Value::Text(text) => quoted(text),
        Value::Flag(_) | Value::Integer(_) | Value::Decimal(_) => value.to_json().to_string(),
        Value::Set(members) => {
            let members: Vec<String> = members.iter().map(content).collect();
            format!("[{}]", members.join(", "))
        }
    }
}

fn shape(value: &Value) -> String {
    match value {
        Value::Text(text) => format!("text of {} characters", text.chars().count()),
        Value::Flag(_) => "a flag".to_owned(),
        Value::Integer(_) | Value::Decimal(_) => "a number".to_owned(),
        Value::Set(members) => format!("set of {} members", members.len()),
    }
}
