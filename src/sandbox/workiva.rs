//! Workiva, "Partially update a single user in an organization": JSON Patch, `replace` only.

use super::{
    SandboxTenant, checks,
    practice::{Edited, Incoming, Outline, PracticeApi, Refusal, Scene, fill},
    workiva_list,
};
use jiff::Timestamp;
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;

pub(super) struct Workiva;

/// The document's option table.
const PATHS: [&str; 5] = ["/givenName", "/familyName", "/displayName", "/username", "/email"];

const OLD_VERSION: &str = "2022-01-01";
const NEW_VERSION: &str = "2026-01-01";

impl PracticeApi for Workiva {
    fn check_id(&self, id: &str) -> Result<(), &'static str> {
        if id.is_empty() { Err("a Workiva user id is not empty") } else { Ok(()) }
    }

    fn furnish(&self, id: &str, account: &mut Map<String, Value>, now: Timestamp) {
        fill(account, "id", id);
        fill(account, "status", "active");
        fill(account, "created", json!({ "dateTime": seconds(now) }));
        fill(account, "modified", json!({ "dateTime": seconds(now) }));
    }

    fn user_in(&self, tenant: &SandboxTenant, request: &Incoming) -> Result<String, Refusal> {
        let segments = request.path_segments();
        let (is_new, organization, id) = match segments[..] {
            ["prototype", "admin", "organizations", organization, "users", id] => {
                (false, organization, id)
            }
            ["organizations", organization, "users", id] => (true, organization, id),
            _ => return Err(Refusal::new(404, "no such resource").avoidable()),
        };
        let deletes = request.method == "DELETE" && is_new && tenant.mortal;
        if !request.is_read_or_patch() && !deletes {
            return Err(Refusal::of_status(405));
        }
        check_version(is_new, request)?;
        request.refuse_query()?;
        if !checks::is_uuid(organization) {
            return Err(Refusal::new(400, "organizationId must be a UUID"));
        }
        if organization != tenant.scope_id {
            return Err(Refusal::of_status(404));
        }
        Ok(id.to_owned())
    }

    fn list(&self, tenant: &SandboxTenant, request: &Incoming) -> Option<Result<Value, Refusal>> {
        match request.path_segments()[..] {
            ["organizations", organization, "users"] if request.method == "GET" => {
                Some(workiva_list::list(tenant, organization, request))
            }
            _ => None,
        }
    }

    fn create(
        &self,
        tenant: &SandboxTenant,
        request: &Incoming,
        body: &Value,
    ) -> Option<Result<(String, Value), Refusal>> {
        let ["organizations", organization, "users"] = request.path_segments()[..] else {
            return None;
        };
        if organization != tenant.scope_id {
            return Some(Err(Refusal::of_status(404)));
        }
        let id = format!("V0ZNew{}", tenant.accounts.len());
        let checked = check_version(true, request).and_then(|()| check_new(tenant, &id, body));
        Some(checked.map(|()| (id, body.clone())))
    }

    fn no_such_user(&self) -> Refusal {
        Refusal::of_status(404)
    }

    fn get(&self, _: &SandboxTenant, _: &str, account: &Value) -> Value {
        account.clone()
    }

    fn patch(&self, scene: &Scene<'_>, body: &Value) -> Result<Edited, Refusal> {
        let Value::Array(operations) = body else {
            return Err(Refusal::new(400, "the body must be an array of operations"));
        };
        if operations.is_empty() {
            return Err(Refusal::new(400, "the patch document has no operation"));
        }
        let (mut seen, mut idle) = (BTreeSet::new(), Vec::new());
        let mut account = scene.account.clone();
        for operation in operations {
            let (name, text) = read_operation(operation)?;
            if !seen.insert(name) {
                return Err(Refusal::new(400, format!("`/{name}` is set twice")));
            }
            check_value(scene, name, text)?;
            if scene.account[name] == text {
                idle.push(name.to_owned());
            }
            account[name] = text.into();
        }
        Ok(Edited { account, idle, remarks: Vec::new() })
    }

    fn touch(&self, account: &mut Value, now: Timestamp) {
        account["modified"] = json!({ "dateTime": seconds(now) });
    }

    fn outline(&self, body: &Value) -> Outline {
        let Value::Array(operations) = body else { return Outline::default() };
        let paths = operations.iter().filter_map(|operation| operation["path"].as_str());
        let names = paths.map(|path| path.trim_start_matches('/').to_owned()).collect();
        Outline { operations: operations.len(), names }
    }

    fn error_body(&self, refusal: &Refusal) -> Value {
        let code = refusal.code.map_or_else(|| code_of(refusal.status), str::to_owned);
        json!({ "code": code, "message": refusal.message })
    }
}

/// A new user: members that a PATCH could set, a user name and an address among them.
fn check_new(tenant: &SandboxTenant, id: &str, body: &Value) -> Result<(), Refusal> {
    let Value::Object(members) = body else {
        return Err(Refusal::new(400, "the body must be an object"));
    };
    let nobody = json!({});
    let scene = Scene { tenant, id, account: &nobody };
    for (name, value) in members {
        let known = PATHS.iter().any(|path| path.trim_start_matches('/') == name);
        let text = value.as_str().filter(|_| known);
        let text = text.ok_or_else(|| Refusal::new(400, format!("`{name}` is not valid")))?;
        check_value(&scene, name, text)?;
    }
    match ["username", "email"].iter().find(|name| !members.contains_key(**name)) {
        Some(missing) => Err(Refusal::new(400, format!("`{missing}` is missing"))),
        None => Ok(()),
    }
}

/// The path decides the version; without the header the old one is meant.
pub(super) fn check_version(is_new: bool, request: &Incoming) -> Result<(), Refusal> {
    let version = request.header("x-version");
    let fits = match version {
        None => !is_new,
        Some(version) => version == if is_new { NEW_VERSION } else { OLD_VERSION },
    };
    if fits { Ok(()) } else { Err(Refusal::new(400, "X-Version does not fit this path")) }
}

fn read_operation(operation: &Value) -> Result<(&str, &str), Refusal> {
    let Value::Object(members) = operation else {
        return Err(Refusal::new(400, "an operation must be an object"));
    };
    if let Some(name) = members.keys().find(|name| !["op", "path", "value"].contains(&&***name)) {
        return Err(Refusal::new(400, format!("unknown member `{name}` in an operation")));
    }
    if operation["op"] != "replace" {
        return Err(Refusal::new(400, "the only operation supported here is `replace`"));
    }
    let path = operation["path"].as_str().filter(|path| PATHS.contains(path));
    let Some(name) = path.and_then(|path| path.strip_prefix('/')) else {
        return Err(Refusal::new(400, "the path does not support PATCH"));
    };
    let Some(text) = operation["value"].as_str() else {
        return Err(Refusal::new(400, format!("the value of `/{name}` must be a string")));
    };
    Ok((name, text))
}

fn check_value(scene: &Scene<'_>, name: &str, text: &str) -> Result<(), Refusal> {
    let taken = match name {
        "email" if !checks::has_mail_shape(text) => {
            return Err(Refusal::new(400, "`/email` must be an e-mail address"));
        }
        "username" if text.is_empty() => {
            return Err(Refusal::new(400, "`/username` must not be empty"));
        }
        "email" => scene.taken(text, |account| account["email"].as_str()),
        "username" => scene.taken(text, |account| account["username"].as_str()),
        _ => false,
    };
    if taken { Err(Refusal::of_status(409)) } else { Ok(()) }
}

fn code_of(status: u16) -> String {
    let word = match status {
        400 => "BadRequest",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "NotFound",
        405 => "MethodNotAllowed",
        409 => "Conflict",
        413 => "PayloadTooLarge",
        429 => "TooManyRequests",
        503 => "ServiceUnavailable",
        504 => "GatewayTimeout",
        _ => "InternalServerError",
    };
    format!("{status}{word}")
}

/// `2021-07-14T08:03:02Z`
fn seconds(now: Timestamp) -> String {
    format!("{now:.0}")
}
