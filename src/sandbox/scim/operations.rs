//! A `PatchOp` by RFC 7644 §3.5.2, one operation after the other, all or none.

use super::{
    super::{
        checks,
        practice::{Edited, Refusal, Scene},
    },
    PATCH_SCHEMA, ScimQuirks, USER_SCHEMA,
    resource::{Form, form},
};
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Op {
    Add,
    Replace,
    Remove,
}

/// Where an operation applies.
struct Target {
    schema: Option<String>,
    name: String,
    filter: Option<(String, String)>,
    sub: Option<String>,
    form: Form,
}

pub(super) fn apply(scene: &Scene<'_>, body: &Value) -> Result<Edited, Refusal> {
    let quirks = &scene.tenant.scim;
    let (mut account, mut idle, mut remarks) = (scene.account.clone(), Vec::new(), Vec::new());
    let mut seen = BTreeSet::new();
    for operation in operations_of(body)? {
        let (op, path, value) = parts_of(operation, quirks)?;
        let before = account.clone();
        match path {
            Some(path) => {
                let target = target(path, quirks)?;
                let attribute = format!("{:?}:{}", target.schema, target.name);
                if !seen.insert(attribute) && quirks.one_operation_per_attribute {
                    return Err(Refusal::new(400, format!("`{}` is named twice", target.name)));
                }
                if op == Op::Add && matches!(target.form, Form::List(_)) {
                    remarks.push(format!("`add` on `{path}` appends, and is not safe to repeat"));
                }
                perform(&mut account, op, &target, value.cloned())?;
            }
            None => perform_all(&mut account, op, value, quirks)?,
        }
        if checks::same(&before, &account) {
            idle.push(path.unwrap_or("*").to_owned());
        }
    }
    Ok(Edited { account, idle, remarks })
}

fn syntax(message: &str) -> Refusal {
    Refusal::new(400, message).code("invalidSyntax")
}

fn operations_of(body: &Value) -> Result<&Vec<Value>, Refusal> {
    let members = body.as_object().ok_or_else(|| syntax("the body must be an object"))?;
    if members.keys().any(|name| !["schemas", "Operations"].contains(&name.as_str())) {
        return Err(syntax("a PatchOp has `schemas` and `Operations`"));
    }
    if body["schemas"] != json!([PATCH_SCHEMA]) {
        return Err(syntax("`schemas` does not name the PatchOp"));
    }
    match &body["Operations"] {
        Value::Array(operations) if !operations.is_empty() => Ok(operations),
        _ => Err(syntax("`Operations` must hold at least one operation")),
    }
}

type Parts<'a> = (Op, Option<&'a str>, Option<&'a Value>);

fn parts_of<'a>(operation: &'a Value, quirks: &ScimQuirks) -> Result<Parts<'a>, Refusal> {
    let members = operation.as_object().ok_or_else(|| syntax("an operation must be an object"))?;
    if members.keys().any(|name| !["op", "path", "value"].contains(&name.as_str())) {
        return Err(syntax("an operation has `op`, `path` and `value`"));
    }
    let name = operation["op"].as_str().unwrap_or_default();
    let capital = name.starts_with(|c: char| c.is_ascii_uppercase());
    let op = match name.to_lowercase().as_str() {
        "add" => Op::Add,
        "replace" if !quirks.no_replace => Op::Replace,
        "remove" if !quirks.no_remove => Op::Remove,
        _ => return Err(syntax("`op` is not understood")),
    };
    if capital != quirks.like_entra {
        return Err(syntax("`op` is not understood"));
    }
    let path = match members.get("path") {
        None => None,
        Some(Value::String(path)) => Some(path.as_str()),
        Some(_) => return Err(syntax("`path` must be a text")),
    };
    let value = members.get("value");
    match (op, path, value) {
        (Op::Remove, None, _) => Err(Refusal::new(400, "nothing to remove").code("noTarget")),
        (Op::Remove, Some(_), Some(_)) => Err(syntax("`remove` has no value")),
        (Op::Add | Op::Replace, _, None) => Err(syntax("`value` is missing")),
        (_, Some(_), _) if quirks.no_paths => Err(syntax("`path` is not understood")),
        (_, None, _) if quirks.no_pathless => Err(syntax("`path` is missing")),
        parts => Ok(parts),
    }
}

fn bad_path(path: &str) -> Refusal {
    Refusal::new(400, format!("the path `{path}` is not valid")).code("invalidPath")
}

fn target(path: &str, quirks: &ScimQuirks) -> Result<Target, Refusal> {
    let bad = || bad_path(path);
    let (head, rest) = match path.find('[') {
        Some(at) => (&path[..at], &path[at..]),
        None => (path, ""),
    };
    let (schema, attribute) = match head.rsplit_once(':') {
        Some((schema, attribute)) => (Some(schema), attribute),
        None => (None, head),
    };
    let schema = schema.filter(|schema| *schema != USER_SCHEMA).map(str::to_owned);
    let (name, mut sub) = match attribute.split_once('.') {
        Some((name, sub)) => (name, Some(sub)),
        None => (attribute, None),
    };
    let mut filter = None;
    if let Some(inner) = rest.strip_prefix('[') {
        if quirks.no_value_paths || sub.is_some() {
            return Err(bad());
        }
        let (attribute, quoted) = inner.split_once(" eq ").ok_or_else(bad)?;
        let mut texts = serde_json::Deserializer::from_str(quoted).into_iter::<String>();
        let value = texts.next().and_then(Result::ok).ok_or_else(bad)?;
        let after = quoted[texts.byte_offset()..].strip_prefix(']').ok_or_else(bad)?;
        filter = Some((attribute.to_owned(), value));
        sub = match after {
            "" => None,
            after => Some(after.strip_prefix('.').ok_or_else(bad)?),
        };
    }
    let form = form(schema.as_deref(), name).ok_or_else(bad)?;
    match form {
        Form::ReadOnly => Err(Refusal::new(400, "is read-only").code("mutability")),
        Form::Object(known) if filter.is_none() && sub.is_none_or(|sub| known.contains(&sub)) => {
            Ok(())
        }
        Form::List(known) if filter.is_some() == sub.is_some() || sub.is_none() => {
            if sub.is_none_or(|sub| known.contains(&sub)) { Ok(()) } else { Err(bad()) }
        }
        Form::Any => Ok(()),
        Form::Text | Form::Flag if filter.is_none() && sub.is_none() => Ok(()),
        _ => Err(bad()),
    }?;
    let (name, sub) = (name.to_owned(), sub.map(str::to_owned));
    Ok(Target { schema, name, filter, sub, form })
}

/// Without a path: each member of the value, by its own name.
fn perform_all(
    account: &mut Value,
    op: Op,
    value: Option<&Value>,
    quirks: &ScimQuirks,
) -> Result<(), Refusal> {
    let Some(Value::Object(members)) = value else {
        return Err(syntax("without a path the value must be an object"));
    };
    for (name, value) in members {
        match value {
            Value::Object(inner) if name.starts_with("urn:") && name != USER_SCHEMA => {
                for (inner, value) in inner {
                    let target = target(&format!("{name}:{inner}"), quirks)?;
                    perform(account, op, &target, Some(value.clone()))?;
                }
            }
            value => {
                if name.contains(['.', '[']) {
                    return Err(bad_path(name));
                }
                perform(account, op, &target(name, quirks)?, Some(value.clone()))?;
            }
        }
    }
    Ok(())
}

fn perform(
    account: &mut Value,
    op: Op,
    target: &Target,
    value: Option<Value>,
) -> Result<(), Refusal> {
    let value = value.map(|value| flagged(target.form, value));
    let container = match &target.schema {
        None => account,
        Some(urn) => object_at(account, urn),
    };
    let place = match container {
        Value::Object(members) => members.entry(target.name.clone()).or_insert(Value::Null),
        _ => return Err(bad_path(&target.name)),
    };
    if let Some(filter) = &target.filter {
        return perform_filtered(place, op, filter, target, value);
    }
    match (op, &target.sub, value) {
        (Op::Remove, None, _) => *place = Value::Null,
        (Op::Remove, Some(sub), _) => object(place)?.remove(sub).map_or((), drop),
        (_, Some(sub), Some(value)) => {
            object(place)?.insert(sub.clone(), value);
        }
        (Op::Add, None, Some(value)) if matches!(target.form, Form::List(_)) => {
            append(place, value)?;
        }
        // §3.5.2.3: of a complex attribute what is not named stays.
        (_, None, Some(Value::Object(members))) if matches!(target.form, Form::Object(_)) => {
            object(place)?.extend(members);
        }
        (_, None, Some(value)) => *place = value,
        (_, _, None) => return Err(syntax("`value` is missing")),
    }
    Ok(())
}

/// What a server that was made for Entra ID takes for a flag.
fn flagged(form: Form, value: Value) -> Value {
    match (form, value.as_str()) {
        (Form::Flag, Some("True")) => true.into(),
        (Form::Flag, Some("False")) => false.into(),
        _ => value,
    }
}

fn perform_filtered(
    place: &mut Value,
    op: Op,
    (name, wanted): &(String, String),
    target: &Target,
    value: Option<Value>,
) -> Result<(), Refusal> {
    let chosen =
        |held: &Value| held[name].as_str().is_some_and(|held| held.eq_ignore_ascii_case(wanted));
    let none = || Refusal::new(400, "the filter finds nothing").code("noTarget");
    let values = place.as_array_mut().ok_or_else(none)?;
    if !values.iter().any(chosen) {
        return Err(none());
    }
    match (op, &target.sub, value) {
        (Op::Remove, None, _) => values.retain(|held| !chosen(held)),
        (Op::Remove, Some(sub), _) => {
            for held in values.iter_mut().filter(|held| chosen(held)) {
                object(held)?.remove(sub);
            }
        }
        (_, Some(sub), Some(value)) => {
            for held in values.iter_mut().filter(|held| chosen(held)) {
                object(held)?.insert(sub.clone(), value.clone());
            }
        }
        (_, None, Some(Value::Object(members))) => {
            for held in values.iter_mut().filter(|held| chosen(held)) {
                object(held)?.extend(members.clone());
            }
        }
        (_, None, _) | (_, _, None) => return Err(syntax("the value is no object")),
    }
    Ok(())
}

/// §3.5.2.1: what is there to the letter is not added again; a new primary value takes the place of
/// the old.
fn append(place: &mut Value, value: Value) -> Result<(), Refusal> {
    if place.is_null() {
        *place = json!([]);
    }
    let values = place.as_array_mut().ok_or_else(|| syntax("is no list"))?;
    let added = match value {
        Value::Array(added) => added,
        value => vec![value],
    };
    for value in added {
        if values.contains(&value) {
            continue;
        }
        for held in values.iter_mut().filter(|_| value["primary"] == true) {
            object(held)?.remove("primary");
        }
        values.push(value);
    }
    Ok(())
}

fn object_at<'v>(account: &'v mut Value, name: &str) -> &'v mut Value {
    if !account[name].is_object() {
        account[name] = json!({});
    }
    &mut account[name]
}

fn object(place: &mut Value) -> Result<&mut Map<String, Value>, Refusal> {
    if place.is_null() {
        *place = json!({});
    }
    place.as_object_mut().ok_or_else(|| syntax("is no object"))
}
