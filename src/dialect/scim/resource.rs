//! A SCIM resource as JSON: where an attribute stands in it, and how it is set there.
//!
//! Names ignore case (RFC 7643 §2.1), and so does the word that chooses a value of a list: `type` is
//! one of those that do (§4.1.2).

use super::{catalogue::Shape, path::Filter, path::Path};
use serde_json::{Map, Value as Json};

type Object = Map<String, Json>;

/// The attribute as the resource shows it; `None`: it has none.
pub(super) fn find(resource: &Object, path: &Path, shape: Shape) -> Option<Json> {
    let found = member(container(resource, path)?, &path.attribute)?;
    match (&path.filter, &path.sub) {
        (Some(filter), sub) => match found {
            Json::Array(values) => {
                let chosen = chosen(values, filter)?;
                sub.as_ref().map_or(Some(chosen), |sub| member(chosen.as_object()?, sub)).cloned()
            }
            Json::Null => None,
            other => Some(other.clone()),
        },
        (None, Some(sub)) => match found {
            Json::Object(members) => member(members, sub).cloned(),
            Json::Null => None,
            // Some show a reference as its id alone.
            other => Some(other.clone()),
        },
        (None, None) => Some(match (shape, found) {
            (Shape::Values, Json::Array(values)) => values.iter().map(value_of).collect(),
            (_, found) => found.clone(),
        }),
    }
}

/// What counts of a value of a list: its `value`, where it is an object.
fn value_of(element: &Json) -> Json {
    match element {
        Json::Object(members) => member(members, "value").cloned().unwrap_or_default(),
        other => other.clone(),
    }
}

/// The primary one of the values that the filter chooses, else the first.
fn chosen<'j>(values: &'j [Json], filter: &Filter) -> Option<&'j Json> {
    let is_primary = |value: &&Json| {
        value.as_object().and_then(|members| member(members, "primary")) == Some(&Json::Bool(true))
    };
    let matching = || values.iter().filter(|value| matches(value, filter));
    matching().find(is_primary).or_else(|| matching().next())
}

fn matches(value: &Json, filter: &Filter) -> bool {
    let held = value.as_object().and_then(|members| member(members, &filter.name));
    held.and_then(Json::as_str).is_some_and(|held| held.eq_ignore_ascii_case(&filter.value))
}

/// Whether the list holds a value that the path's filter chooses.
pub(super) fn has_element(resource: &Object, path: &Path) -> bool {
    find(resource, &path.element(), Shape::Single).is_some_and(|found| found.is_object())
}

/// Sets the attribute in the resource, or takes it out of it (`None`). An extension that it needs is
/// added to `schemas`.
pub(super) fn set(resource: &mut Object, path: &Path, value: Option<Json>) {
    let container = match &path.schema {
        None => resource,
        Some(urn) => {
            declare(resource, urn);
            let name = key(resource, urn);
            match object_at(resource, &name) {
                Some(extension) => extension,
                None => return,
            }
        }
    };
    let name = key(container, &path.attribute);
    match (&path.filter, &path.sub) {
        (None, None) => put(container, &name, value),
        (None, Some(sub)) => {
            if let Some(object) = object_at(container, &name) {
                let sub = key(object, sub);
                put(object, &sub, value);
            }
        }
        (Some(filter), sub) => {
            let held = container.remove(&name);
            let mut values = match held {
                Some(Json::Array(values)) => values,
                _ => Vec::new(),
            };
            set_in(&mut values, &path.attribute, filter, sub.as_deref(), value);
            if !values.is_empty() {
                container.insert(name, Json::Array(values));
            }
        }
    }
}

/// Sets a value of a list, or what one of its members is.
fn set_in(
    values: &mut Vec<Json>,
    attribute: &str,
    filter: &Filter,
    sub: Option<&str>,
    value: Option<Json>,
) {
    let is_whole = sub.is_none_or(|sub| sub.eq_ignore_ascii_case("value"));
    match (value, sub) {
        (None, _) if is_whole => values.retain(|held| !matches(held, filter)),
        (value, Some(sub)) => {
            if value.is_some() && !values.iter().any(|held| matches(held, filter)) {
                values.push(new_element(attribute, filter, values.is_empty()));
            }
            for held in values.iter_mut().filter(|held| matches(held, filter)) {
                if let Json::Object(members) = held {
                    let sub = key(members, sub);
                    put(members, &sub, value.clone());
                }
            }
        }
        (_, None) => {}
    }
}

/// Where there is only one address, that is the one to write to; some servers demand that one is.
fn new_element(attribute: &str, filter: &Filter, is_first: bool) -> Json {
    let mut members = Object::new();
    members.insert(filter.name.clone(), filter.value.clone().into());
    if is_first && attribute.eq_ignore_ascii_case("emails") {
        members.insert("primary".to_owned(), true.into());
    }
    Json::Object(members)
}

fn put(object: &mut Object, name: &str, value: Option<Json>) {
    match value {
        Some(value) => _ = object.insert(name.to_owned(), value),
        None => _ = object.remove(name),
    }
}

fn object_at<'o>(object: &'o mut Object, name: &str) -> Option<&'o mut Object> {
    let member = object.entry(name).or_insert_with(|| Json::Object(Object::new()));
    if !member.is_object() {
        *member = Json::Object(Object::new());
    }
    member.as_object_mut()
}

/// RFC 7643 §3: `schemas` names every extension that the resource has.
pub(super) fn declare_all(resource: &mut Object) {
    let is_extension =
        |name: &&String| name.get(..4).is_some_and(|n| n.eq_ignore_ascii_case("urn:"));
    let extensions: Vec<String> = resource.keys().filter(is_extension).cloned().collect();
    for urn in extensions {
        declare(resource, &urn);
    }
}

fn declare(resource: &mut Object, urn: &str) {
    let schemas = resource.entry("schemas").or_insert_with(|| Json::Array(Vec::new()));
    if let Json::Array(schemas) = schemas {
        let is_it = |schema: &Json| schema.as_str().is_some_and(|s| s.eq_ignore_ascii_case(urn));
        if !schemas.iter().any(is_it) {
            schemas.push(urn.into());
        }
    }
}

fn container<'o>(resource: &'o Object, path: &Path) -> Option<&'o Object> {
    match &path.schema {
        None => Some(resource),
        Some(urn) => member(resource, urn)?.as_object(),
    }
}

/// The member's value, whatever the case of its name.
pub(super) fn member<'o>(object: &'o Object, name: &str) -> Option<&'o Json> {
    object.get(name).or_else(|| {
        object.iter().find(|(held, _)| held.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    })
}

/// The member's name as the object has it already.
fn key(object: &Object, name: &str) -> String {
    let held = object.keys().find(|held| held.eq_ignore_ascii_case(name));
    held.map_or_else(|| name.to_owned(), Clone::clone)
}

/// The list that the attribute is once these of its values are set.
pub(super) fn list_after<'a>(
    resource: &Object,
    edits: impl IntoIterator<Item = (&'a Path, Option<Json>)>,
) -> Json {
    let mut resource = resource.clone();
    let mut top = None;
    for (path, value) in edits {
        set(&mut resource, path, value);
        top = Some(path.top());
    }
    let list = top.and_then(|top| find(&resource, &top, Shape::Single));
    list.unwrap_or_else(|| Json::Array(Vec::new()))
}
