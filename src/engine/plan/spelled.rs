//! A plan in its canonical spelling, and the name that it gives the plan.

use crate::model::{Action, AttrPath, Edit, Match, Operation, Plan, RemoteId, UserKey, Value};
use serde::Serialize;
use serde_json::{Value as Json, json};
use std::{collections::BTreeMap, fmt::Write as _};

/// Names this very plan: SHA-256 of its operations in a canonical spelling. Two plans with the same
/// digest send the same.
#[must_use]
pub fn digest(plan: &Plan) -> String {
    let mut context = ring::digest::Context::new(&ring::digest::SHA256);
    let mut border = "{\"operations\":[";
    for operation in &plan.operations {
        context.update(border.as_bytes());
        // A map with texts as keys can always be spelled.
        let spelled = serde_json::to_vec(&Spelled::of(operation)).unwrap_or_default();
        context.update(&spelled);
        border = ",";
    }
    if plan.operations.is_empty() {
        context.update(border.as_bytes());
    }
    // The name of a tenant needs no escapes.
    context.update(format!("],\"tenant\":\"{}\"}}", plan.tenant).as_bytes());
    context.finish().as_ref().iter().fold("sha256:".to_owned(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// One operation as JSON: who, what, before and after.
#[must_use]
pub fn operation_json(operation: &Operation) -> Json {
    json!(Spelled::of(operation))
}

/// The canonical spelling: names in the order of the alphabet.
#[derive(Serialize)]
struct Spelled<'a> {
    action: &'static str,
    /// What is looked for, or would be after a doubt.
    #[serde(skip_serializing_if = "Option::is_none")]
    by: Option<Vec<SpelledMatch<'a>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    companions: Option<&'a BTreeMap<AttrPath, Value>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    edits: Option<Vec<SpelledEdit<'a>>>,
    key: &'a UserKey,
    #[serde(skip_serializing_if = "Option::is_none")]
    remote_id: Option<&'a RemoteId>,
}

#[derive(Serialize)]
struct SpelledMatch<'a> {
    attribute: &'a AttrPath,
    value: &'a Value,
}

#[derive(Serialize)]
struct SpelledEdit<'a> {
    after: &'a Option<Value>,
    attribute: &'a AttrPath,
    /// An unknown "before" is left out, so that it is not taken for "unset".
    #[serde(skip_serializing_if = "Option::is_none")]
    before: Option<&'a Option<Value>>,
}

impl<'a> Spelled<'a> {
    fn of(operation: &'a Operation) -> Self {
        let Operation { key, remote_id, action } = operation;
        let (name, by, companions) = match action {
            Action::Read => ("read", None, None),
            Action::Find { by } => ("find", Some(std::slice::from_ref(by)), None),
            Action::Create { edits: _, by } => ("create", Some(by.as_slice()), None),
            Action::Patch { edits: _, companions } => ("patch", None, Some(companions)),
            Action::Disable { .. } => ("disable", None, None),
            Action::Enable { .. } => ("enable", None, None),
            Action::Delete => ("delete", None, None),
        };
        let edits = match action {
            Action::Read | Action::Find { .. } | Action::Delete => None,
            Action::Create { .. }
            | Action::Patch { .. }
            | Action::Disable { .. }
            | Action::Enable { .. } => Some(action.edits().iter().map(SpelledEdit::of).collect()),
        };
        let by = by.map(|by| by.iter().map(SpelledMatch::of).collect());
        Self { action: name, by, companions, edits, key, remote_id: remote_id.as_ref() }
    }
}

impl<'a> SpelledMatch<'a> {
    fn of(by: &'a Match) -> Self {
        let Match { path: attribute, value } = by;
        Self { attribute, value }
    }
}

impl<'a> SpelledEdit<'a> {
    fn of(edit: &'a Edit) -> Self {
        let Edit { path, before, after } = edit;
        Self { after, attribute: path, before: before.as_ref() }
    }
}
