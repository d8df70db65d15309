//! Membership in groups, one member of one group a request (RFC 7644 §3.5.2).
//!
//! - `PATCH {base}/Groups/{id}`: `add` of a member to `members`, or `remove` of the one that a filter
//!   finds; both may be sent twice. A `remove` that names nobody would empty the group, and none is
//!   ever written.
//! - Only groups that the configuration names; what else a user is in is neither told nor touched.
//! - Each request names a single member, so it is below any server's limit of members.
//! - What a user is in says its read-only `groups` (RFC 7643 §4.1.2), where the server shows it.
//!   Without that nobody is taken out of a group whom rosterd has not put there.

use super::{Scim, complaint, is_error, patch, path::Filter, resource};
use crate::{
    dialect::grammar::{BEARER, Table, patch_as},
    model::{
        Action, Answer, AttrPath, Attribute, Attributes, Edit, Kind, Problem, RemoteId, Request,
        Response, Value, Verdict, Weight,
    },
};
use serde_json::{Map, Value as Json, json};
use std::collections::{BTreeMap, BTreeSet};

pub(super) const GROUPS: &str = "groups";

/// One membership that begins or ends.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Step {
    group: String,
    joins: bool,
    /// All that the user is in afterwards, as far as it is known.
    after: Option<Value>,
}

/// Reads `groups`: ids of those that users are put into and taken out of.
pub(super) fn read(table: &mut Table<'_>) -> Option<BTreeSet<String>> {
    let Some(value) = table.get(GROUPS) else { return Some(BTreeSet::new()) };
    let id = |value: &Json| RemoteId::parse(value.as_str()?).ok().map(|id| id.to_string());
    let ids = value.as_array().and_then(|ids| ids.iter().map(id).collect::<Option<_>>());
    if ids.is_none() {
        let hint = "the `id` of each group, as the server's `/Groups` shows it";
        table.report(Problem::new(GROUPS, "must be a list of ids of groups").hint(hint));
    }
    ids
}

pub(super) fn attribute(groups: &BTreeSet<String>) -> Attribute {
    let ids = Kind::Choice(groups.iter().cloned().collect());
    Attribute::of(Kind::SetOf(Box::new(ids))).weight(Weight::Privilege).clearable()
}

/// Those of the groups that the user is in by itself; `None`: the server does not say.
pub(super) fn shown(user: &Map<String, Json>, groups: &BTreeSet<String>) -> Option<Value> {
    let held = resource::member(user, GROUPS)?.as_array()?;
    let id_of = |held: &Json| {
        let held = held.as_object()?;
        let nested = resource::member(held, "type").and_then(Json::as_str) == Some("indirect");
        let id = resource::member(held, "value")?.as_str()?;
        (!nested && groups.contains(id)).then(|| Value::text(id))
    };
    Some(Value::Set(held.iter().filter_map(id_of).collect()))
}

/// The action in the order in which it is sent: all else first, then whatever is joined, then what is
/// left.
pub(super) fn apart(action: &Action) -> Vec<Action> {
    let is_groups = |edit: &&Edit| edit.path.as_str() == GROUPS;
    let Some(groups) = action.edits().iter().find(is_groups) else { return Vec::new() };
    let others: Vec<Edit> =
        action.edits().iter().filter(|edit| !is_groups(edit)).cloned().collect();
    let first = match action {
        Action::Patch { edits: _, companions } => (!others.is_empty())
            .then(|| Action::Patch { edits: others, companions: companions.clone() }),
        Action::Create { edits: _, by } => Some(Action::Create { edits: others, by: by.clone() }),
        Action::Read
        | Action::Find { .. }
        | Action::Disable { .. }
        | Action::Enable { .. }
        | Action::Delete => return Vec::new(),
    };
    let (before, after) = (before(groups), members(groups.after.as_ref()));
    let joined = after.difference(&before).map(|group| (group, true));
    let left = before.difference(&after).map(|group| (group, false));
    let mut now = groups.before.clone();
    let mut held = before.clone();
    let steps = joined.chain(left).map(|(group, joins)| {
        if joins {
            held.insert(group.clone())
        } else {
            held.remove(group)
        };
        let after = Some(Value::Set(held.iter().map(Value::text).collect()));
        let before = now.replace(after.clone());
        let edits = vec![Edit { path: groups.path.clone(), before, after }];
        Action::Patch { edits, companions: BTreeMap::new() }
    });
    let parts: Vec<Action> = first.into_iter().chain(steps).collect();
    // Nobody is taken out of what nobody knows of; that the user is there can still be seen.
    if parts.is_empty() { vec![Action::Read] } else { parts }
}

/// The step that the action is, if it is one.
pub(super) fn step_of(action: &Action) -> Option<Step> {
    let Action::Patch { edits, companions: _ } = action else { return None };
    let [edit] = &edits[..] else { return None };
    if edit.path.as_str() != GROUPS {
        return None;
    }
    let (before, after) = (before(edit), members(edit.after.as_ref()));
    let mut changed = before.symmetric_difference(&after);
    let group = changed.next().filter(|_| changed.clone().next().is_none())?.clone();
    Some(Step { joins: after.contains(&group), group, after: edit.after.clone() })
}

/// What is known of memberships; of what nobody has seen nothing is.
fn before(edit: &Edit) -> BTreeSet<String> {
    members(edit.before.as_ref().and_then(Option::as_ref))
}

fn members(value: Option<&Value>) -> BTreeSet<String> {
    let text = |value: &Value| match value {
        Value::Text(text) => Some(text.clone()),
        Value::Flag(_) | Value::Integer(_) | Value::Decimal(_) | Value::Set(_) => None,
    };
    match value {
        Some(Value::Set(members)) => members.iter().filter_map(text).collect(),
        Some(_) | None => BTreeSet::new(),
    }
}

impl Scim {
    pub(super) fn step(&self, step: &Step, user: &RemoteId) -> Result<Request, String> {
        let group = RemoteId::parse(&step.group).map_err(|_| "that is no id of a group")?;
        let url = self.base.of_user(&["Groups"], &group)?;
        let op = |op| patch::cased(&self.profile, op);
        let operation = if step.joins {
            json!({ "op": op("add"), "path": "members", "value": [{ "value": user.as_str() }] })
        } else {
            let member = Filter { name: "value".to_owned(), value: user.to_string() };
            json!({ "op": op("remove"), "path": format!("members[{member}]") })
        };
        let body = json!({ "schemas": [patch::PATCH_OP], "Operations": [operation] });
        Ok(patch_as(self.profile.media_type.as_str(), url, &body, &[BEARER]))
    }

    /// A group that has the new member shows it; that somebody is not in it any more is for the user to
    /// show, since a group may not show all.
    pub(super) fn read_step(step: &Step, user: &RemoteId, response: &Response) -> Answer {
        let path = AttrPath::new(GROUPS);
        let applied = |shown| Answer::of(Verdict::Applied { shown });
        if response.is_success() {
            if is_error(response) {
                return complaint(response).answer(Verdict::Uncertain);
            }
            let body = response.json().unwrap_or_default();
            let members = body["members"].as_array().into_iter().flatten();
            let mut ids = members.filter_map(|member| member["value"].as_str());
            let is_in = ids.any(|id| id.eq_ignore_ascii_case(user.as_str()));
            let shown = (step.joins && is_in).then(|| (path, step.after.clone()));
            return applied(shown.into_iter().collect());
        }
        let complaint = complaint(response);
        match (complaint.status(), complaint.code()) {
            // Nobody is there to be taken out.
            (400, "noTarget") if !step.joins => applied(Attributes::new()),
            // There is no such group, which says nothing of the user.
            (404 | 410, _) => complaint.answer(Verdict::Rejected { attributes: vec![path] }),
            _ => complaint.usual(),
        }
    }
}
