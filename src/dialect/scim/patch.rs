//! Edits as a `PatchOp` (RFC 7644 §3.5.2), as the profile has it.
//!
//! Every operation says what shall hold in the end, so that a request may be sent twice: a list goes
//! whole by `replace`, a value of a list by a filter that finds it, and nothing is ever appended by
//! `add`.

use super::{
    catalogue::{Shape, Slot, Slots},
    path::Path,
    profile::Profile,
    resource::{self, has_element, list_after},
};
use crate::model::{Edit, Value};
use serde_json::{Map, Value as Json, json};
use std::collections::BTreeMap;

pub(super) const PATCH_OP: &str = "urn:ietf:params:scim:api:messages:2.0:PatchOp";

/// Why a request cannot be spelled without a look at the user.
const NO_LOOK: &str = "a list can only be changed as it was just read; set `reads = true`";

/// One edit with where it goes and what goes there; `None` unsets.
pub(super) struct Setting<'a> {
    pub(super) edit: &'a Edit,
    pub(super) slot: &'a Slot,
    pub(super) value: Option<Json>,
}

/// The edits in the order in which they are sent.
///
/// # Errors
/// When the server has no way to say one of them.
pub(super) fn settings<'a>(
    profile: &Profile,
    slots: &'a Slots,
    edits: &'a [Edit],
) -> Result<Vec<Setting<'a>>, String> {
    if edits.is_empty() {
        return Err("a change without any edit is never sent".to_owned());
    }
    let mut settings = Vec::new();
    for edit in edits {
        let Some(slot) = slots.get(&edit.path) else {
            return Err(format!("the API has no attribute `{}` to set", edit.path));
        };
        if edit.after.is_none() && !slot.attribute.clearable {
            return Err(format!("the API has no way to unset `{}`", edit.path));
        }
        let value = edit.after.as_ref().map(|value| spelled(profile, slot, value));
        settings.push(Setting { edit, slot, value });
    }
    // Some servers change nothing of a user who is switched off.
    settings.sort_by_key(|setting| match (setting.slot.attribute.disables, &setting.edit.after) {
        (true, Some(Value::Flag(true))) => 0,
        (true, _) => 2,
        (false, _) => 1,
    });
    Ok(settings)
}

fn spelled(profile: &Profile, slot: &Slot, value: &Value) -> Json {
    let one = |value: &Value| match value {
        Value::Flag(flag) if !profile.json_booleans => {
            Json::from(if *flag { "True" } else { "False" })
        }
        value => value.to_json(),
    };
    match (slot.shape, value) {
        (Shape::Values, Value::Set(members)) => {
            members.iter().map(|member| json!({ "value": one(member) })).collect()
        }
        (_, Value::Set(members)) => members.iter().map(one).collect(),
        (_, value) => one(value),
    }
}

/// Whether the edits can only be spelled from what a look has just shown.
pub(super) fn needs_look(profile: &Profile, slots: &Slots, edits: &[Edit]) -> bool {
    let filtered = || {
        edits.iter().filter_map(|edit| {
            let slot = slots.get(&edit.path)?;
            slot.path.filter.is_some().then_some((edit, slot.path.top()))
        })
    };
    let shown = |edit: &Edit| matches!(edit.before, Some(Some(_)));
    let twice = || {
        let mut lists: Vec<Path> = filtered().map(|(_, list)| list).collect();
        let all = lists.len();
        lists.sort();
        lists.dedup();
        lists.len() < all
    };
    filtered().any(|(edit, _)| !profile.value_paths || !profile.paths || !shown(edit))
        || (profile.one_operation_per_attribute && twice())
}

/// The body. `resource`: the user as a look has just shown it.
///
/// # Errors
/// When the profile has no way to say it, or it needs a look.
pub(super) fn body(
    profile: &Profile,
    settings: &[Setting<'_>],
    resource: Option<&Map<String, Json>>,
) -> Result<Json, String> {
    let operations = if profile.paths {
        with_paths(profile, settings, resource)?
    } else {
        vec![without_paths(profile, settings, resource)?]
    };
    if operations.is_empty() {
        return Err("there is nothing left to change".to_owned());
    }
    Ok(json!({ "schemas": [PATCH_OP], "Operations": operations }))
}

/// The settings by the attribute that they belong to, in their order.
fn by_attribute<'s, 'a>(settings: &'s [Setting<'a>]) -> Vec<(Path, Vec<&'s Setting<'a>>)> {
    let mut groups: Vec<(Path, Vec<&Setting<'_>>)> = Vec::new();
    for setting in settings {
        let top = setting.slot.path.top();
        match groups.iter_mut().find(|(path, _)| *path == top) {
            Some((_, group)) => group.push(setting),
            None => groups.push((top, vec![setting])),
        }
    }
    groups
}

fn with_paths(
    profile: &Profile,
    settings: &[Setting<'_>],
    resource: Option<&Map<String, Json>>,
) -> Result<Vec<Json>, String> {
    let mut operations = Vec::new();
    for (top, group) in by_attribute(settings) {
        let filtered = group.iter().any(|setting| setting.slot.path.filter.is_some());
        let once = profile.one_operation_per_attribute && group.len() > 1;
        if filtered && (once || !profile.value_paths || !all_there(&group, resource)) {
            operations.push(whole_list(profile, &top, &group, resource)?);
        } else if once || is_new_object(&group) {
            operations.push(as_object(profile, &top, &group));
        } else {
            operations.extend(group.iter().map(|setting| single(profile, setting)));
        }
    }
    Ok(operations)
}

/// Parts of an object of an extension, none of them there yet: some servers look in vain for an object
/// to put the first one in.
fn is_new_object(group: &[&Setting<'_>]) -> bool {
    group.iter().all(|setting| {
        let Setting { edit, slot, value } = setting;
        let is_part = slot.path.schema.is_some() && slot.path.sub.is_some();
        is_part && value.is_some() && edit.before == Some(None)
    })
}

/// Each of the values is there for its filter to find.
fn all_there(group: &[&Setting<'_>], resource: Option<&Map<String, Json>>) -> bool {
    group.iter().all(|setting| match resource {
        Some(resource) => has_element(resource, &setting.slot.path),
        None => matches!(setting.edit.before, Some(Some(_))),
    })
}

fn whole_list(
    profile: &Profile,
    top: &Path,
    group: &[&Setting<'_>],
    resource: Option<&Map<String, Json>>,
) -> Result<Json, String> {
    let list = new_list(group, resource)?;
    let is_empty = list.as_array().is_some_and(Vec::is_empty);
    let value = (!(is_empty && profile.remove)).then_some(list);
    Ok(operation(profile, if value.is_some() { "replace" } else { "remove" }, top, value))
}

fn new_list(group: &[&Setting<'_>], resource: Option<&Map<String, Json>>) -> Result<Json, String> {
    let resource = resource.ok_or(NO_LOOK)?;
    let edits = group.iter().map(|setting| (&setting.slot.path, setting.value.clone()));
    Ok(list_after(resource, edits))
}

/// RFC 7644 §3.5.2.3: of a complex attribute only the members that the value names change; null
/// unsets (RFC 7643 §2.5).
fn as_object(profile: &Profile, top: &Path, group: &[&Setting<'_>]) -> Json {
    let members = group.iter().map(|setting| {
        let name = setting.slot.path.sub.clone().unwrap_or_default();
        (name, setting.value.clone().unwrap_or_default())
    });
    let value = Json::Object(members.collect());
    let is_new = group.iter().all(|setting| setting.edit.before == Some(None));
    operation(profile, if is_new { absent(profile) } else { set(profile) }, top, Some(value))
}

fn single(profile: &Profile, setting: &Setting<'_>) -> Json {
    let Setting { edit, slot, value } = setting;
    let path = &slot.path;
    let is_empty = value.as_ref().and_then(Json::as_array).is_some_and(Vec::is_empty);
    match value {
        // RFC 7643 §2.5: an empty list is no list.
        Some(value) if !(is_empty && profile.remove) => {
            let is_list = slot.shape != Shape::Single || path.filter.is_some();
            let is_new = !is_list && edit.before == Some(None);
            let op = if is_new { absent(profile) } else { set(profile) };
            operation(profile, op, path, Some(value.clone()))
        }
        _ => {
            let is_whole = path.sub.as_ref().is_none_or(|sub| sub == "value");
            let element = path.element();
            let gone = if path.filter.is_some() && is_whole { &element } else { path };
            operation(profile, "remove", gone, None)
        }
    }
}

fn absent(profile: &Profile) -> &'static str {
    if profile.add_absent || !profile.replace { "add" } else { "replace" }
}

fn set(profile: &Profile) -> &'static str {
    if profile.replace { "replace" } else { "add" }
}

fn operation(profile: &Profile, op: &str, path: &Path, value: Option<Json>) -> Json {
    let mut operation = json!({ "op": cased(profile, op), "path": path.to_string() });
    if let Some(value) = value {
        operation["value"] = value;
    }
    operation
}

pub(super) fn cased(profile: &Profile, op: &str) -> String {
    if !profile.capital_ops {
        return op.to_owned();
    }
    let mut chars = op.chars();
    chars.next().into_iter().flat_map(char::to_uppercase).chain(chars).collect()
}

/// One operation whose value is an object with all that changes.
fn without_paths(
    profile: &Profile,
    settings: &[Setting<'_>],
    resource: Option<&Map<String, Json>>,
) -> Result<Json, String> {
    let mut value = Map::new();
    for (top, group) in by_attribute(settings) {
        if group.iter().any(|setting| setting.slot.path.filter.is_some()) {
            put(&mut value, &top, new_list(&group, resource)?);
        } else {
            for setting in group {
                put(&mut value, &setting.slot.path, setting.value.clone().unwrap_or_default());
            }
        }
    }
    Ok(json!({ "op": cased(profile, set(profile)), "value": value }))
}

/// Sets a member of the object by its path; `schemas` is nothing that changes.
fn put(object: &mut Map<String, Json>, path: &Path, value: Json) {
    resource::set(object, path, Some(value));
    object.remove("schemas");
}

/// The whole resource with the changes in it, for a server that takes it only so.
pub(super) fn resource_after(
    settings: &[Setting<'_>],
    resource: Option<&Map<String, Json>>,
) -> Result<Json, String> {
    let mut resource = resource
        .ok_or("the whole user can only be sent as it was just read; set `reads = true`")?
        .clone();
    // RFC 7644 §3.1: `meta` is the server's own.
    resource.retain(|name, _| !name.eq_ignore_ascii_case("meta"));
    let by_path: BTreeMap<_, _> =
        settings.iter().map(|setting| (&setting.slot.path, setting)).collect();
    for (path, setting) in by_path {
        let value = setting.value.clone().filter(|value| {
            !(setting.slot.shape != Shape::Single && value.as_array().is_some_and(Vec::is_empty))
        });
        resource::set(&mut resource, path, value);
    }
    resource::declare_all(&mut resource);
    Ok(Json::Object(resource))
}
