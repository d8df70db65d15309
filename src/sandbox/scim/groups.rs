//! Groups: one member joins or leaves by a request, and the user shows what it is in.

use super::{GROUP_SCHEMA, PATCH_SCHEMA};
use crate::sandbox::{
    SandboxTenant,
    practice::{Incoming, Refusal},
};
use serde_json::{Value, json};

/// One member that joins or leaves.
pub(super) struct Change {
    group: String,
    pub(super) member: String,
    joins: bool,
}

/// The change that the request is; `None`: it is about no group.
pub(super) fn change(
    tenant: &SandboxTenant,
    request: &Incoming,
) -> Option<Result<Change, Refusal>> {
    let ["Groups", group] = request.path_segments()[..] else { return None };
    if request.method != "PATCH" {
        return Some(Err(Refusal::of_status(501).avoidable()));
    }
    if !tenant.scim.groups.iter().any(|held| held == group) {
        return Some(Err(Refusal::new(404, "there is no such group")));
    }
    let invalid = || Refusal::new(400, "that is no change of one member").code("invalidSyntax");
    let Some((joins, member)) = read(&request.body) else { return Some(Err(invalid())) };
    Some(Ok(Change { group: group.to_owned(), member, joins }))
}

fn read(body: &[u8]) -> Option<(bool, String)> {
    let body: Value = serde_json::from_slice(body).ok()?;
    let [operation] = &body["Operations"].as_array()?[..] else { return None };
    if body["schemas"] != json!([PATCH_SCHEMA]) {
        return None;
    }
    let (op, path) = (operation["op"].as_str()?, operation["path"].as_str()?);
    match op.to_ascii_lowercase().as_str() {
        "add" if path == "members" => {
            let [member] = &operation["value"].as_array()?[..] else { return None };
            Some((true, member["value"].as_str()?.to_owned()))
        }
        "remove" if operation.get("value").is_none() => {
            let quoted = path.strip_prefix("members[value eq ")?.strip_suffix(']')?;
            Some((false, serde_json::from_str(quoted).ok()?))
        }
        _ => None,
    }
}

impl Change {
    /// The member's account afterwards. RFC 7644 §3.5.2.2 leaves open what becomes of a filter that
    /// finds nobody; here it is an error.
    pub(super) fn made(&self, account: &Value) -> Result<Value, Refusal> {
        let mut account = account.clone();
        let held = account["groups"].as_array().cloned().unwrap_or_default();
        let is_in = held.iter().any(|held| held["value"] == self.group.as_str());
        let mut groups: Vec<Value> =
            held.into_iter().filter(|held| held["value"] != self.group.as_str()).collect();
        if self.joins {
            groups.push(json!({ "value": self.group, "type": "direct" }));
        } else if !is_in {
            return Err(Refusal::new(400, "nobody is there").code("noTarget").unavoidable());
        }
        account["groups"] = groups.into();
        Ok(account)
    }

    /// The group with all its members.
    pub(super) fn shown(&self, tenant: &SandboxTenant) -> Value {
        let is_in = |account: &Value| {
            let groups = account["groups"].as_array().into_iter().flatten();
            groups.into_iter().any(|held| held["value"] == self.group.as_str())
        };
        let members = tenant.accounts.iter().filter(|(_, account)| is_in(account));
        let members: Vec<Value> = members.map(|(id, _)| json!({ "value": id })).collect();
        json!({ "schemas": [GROUP_SCHEMA], "id": self.group, "members": members })
    }
}
