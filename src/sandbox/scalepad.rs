//! `ScalePad` AMM, "Update User": one list of departments, replaced as a whole.

use super::{
    SandboxTenant, checks,
    lists::{Query, Window},
    practice::{Edited, Incoming, PracticeApi, Refusal, Scene, fill, members_of, millis},
};
use jiff::Timestamp;
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;

pub(super) struct Scalepad;

/// The document's table of fields that this endpoint cannot change.
const SYSTEM_MANAGED: [&str; 6] =
    ["id", "username", "user_key", "last_activity", "created_at", "updated_at"];

impl PracticeApi for Scalepad {
    fn check_id(&self, id: &str) -> Result<(), &'static str> {
        if checks::is_uuid(id) { Ok(()) } else { Err("a ScalePad user id is a UUID") }
    }

    fn furnish(&self, id: &str, account: &mut Map<String, Value>, now: Timestamp) {
        fill(account, "id", id);
        fill(account, "departments", json!([]));
        fill(account, "created_at", millis(now));
        fill(account, "updated_at", millis(now));
    }

    fn user_in(&self, tenant: &SandboxTenant, request: &Incoming) -> Result<String, Refusal> {
        let segments = request.path_segments();
        let ["clients", client, "users", id] = segments[..] else {
            return Err(Refusal::new(404, "no such route").avoidable());
        };
        if !request.is_read_or_patch() {
            return Err(Refusal::of_status(405));
        }
        request.refuse_query()?;
        if !checks::is_uuid(client) || !checks::is_uuid(id) {
            return Err(Refusal::new(400, "client_id and user_id must be UUIDs"));
        }
        if client != tenant.scope_id {
            return Err(Refusal::new(404, "Client not found"));
        }
        Ok(id.to_owned())
    }

    fn list(&self, tenant: &SandboxTenant, request: &Incoming) -> Option<Result<Value, Refusal>> {
        match request.path_segments()[..] {
            ["clients", client, "users"] if request.method == "GET" => {
                Some(list(tenant, client, request))
            }
            _ => None,
        }
    }

    fn no_such_user(&self) -> Refusal {
        Refusal::new(404, "User not found")
    }

    fn get(&self, _: &SandboxTenant, _: &str, account: &Value) -> Value {
        account.clone()
    }

    fn patch(&self, scene: &Scene<'_>, body: &Value) -> Result<Edited, Refusal> {
        let (members, mut remarks) = members_of(body)?;
        if let Some(name) = members.keys().find(|name| *name != "departments") {
            let what = if SYSTEM_MANAGED.contains(&&**name) { "system-managed" } else { "unknown" };
            return Err(Refusal::new(400, format!("`{name}` is {what}")));
        }
        let mut edited =
            Edited { account: scene.account.clone(), idle: Vec::new(), remarks: Vec::new() };
        if let Some(departments) = members.get("departments") {
            let ids = read_ids(departments)?;
            check_known(scene.tenant, &ids)?;
            let wanted: BTreeSet<_> = ids.iter().copied().collect();
            if wanted.len() < ids.len() {
                remarks.push("the same department twice".to_owned());
            }
            if wanted == held_ids(scene.account) {
                edited.idle.push("departments".to_owned());
            } else {
                edited.account["departments"] = show(scene.tenant, &wanted);
            }
        }
        Ok(Edited { remarks, ..edited })
    }

    fn touch(&self, account: &mut Value, now: Timestamp) {
        account["updated_at"] = millis(now).into();
    }

    fn error_body(&self, refusal: &Refusal) -> Value {
        let code = refusal.code.unwrap_or(match refusal.status {
            400 => "invalid_request",
            401 => "unauthorized",
            403 => "forbidden",
            404 => "not_found",
            405 => "method_not_allowed",
            409 => "conflict",
            413 => "payload_too_large",
            429 => "rate_limited",
            503 => "service_unavailable",
            504 => "gateway_timeout",
            _ => "internal_error",
        });
        let mut error = json!({ "code": code, "message": refusal.message });
        if !refusal.details.is_null() {
            error["details"] = refusal.details.clone();
        }
        json!({ "error": error })
    }
}

/// By the document: 100 on a page unless another number, 500 at most, is asked for; the cursor is the
/// server's own.
fn list(tenant: &SandboxTenant, client: &str, request: &Incoming) -> Result<Value, Refusal> {
    if client != tenant.scope_id {
        return Err(Refusal::new(404, "Client not found"));
    }
    let known = ["q", "department_id", "sort_by", "sort_order", "page_size", "cursor"];
    let mut query = Query::of(request, &known)?;
    for (name, allowed) in [
        ("q", &[][..]),
        ("department_id", &[]),
        ("sort_by", &["username", "last_activity", "created_at"]),
        ("sort_order", &["asc", "desc"]),
    ] {
        if query.text(name).is_some_and(|text| !allowed.contains(&text.as_str())) {
            return Err(Refusal::new(400, format!("`{name}` is not understood here")));
        }
    }
    let size = query.number("page_size", 100)?;
    if !(1..=500).contains(&size) {
        return Err(Refusal::new(400, "`page_size` is from 1 to 500"));
    }
    let start = query.place("cursor")?;
    let Window { users, next, total } = Window::of(tenant, start, size);
    Ok(json!({ "data": users, "total_count": total, "next_cursor": next.map(Window::cursor) }))
}

fn read_ids(departments: &Value) -> Result<Vec<&str>, Refusal> {
    let Value::Array(items) = departments else {
        return Err(Refusal::new(400, "`departments` must be an array of ids"));
    };
    let ids = items.iter().map(|item| item.as_str().filter(|id| checks::is_uuid(id)));
    let ids: Option<Vec<_>> = ids.collect();
    ids.ok_or_else(|| Refusal::new(400, "malformed UUID in `departments`"))
}

fn check_known(tenant: &SandboxTenant, ids: &[&str]) -> Result<(), Refusal> {
    let mut unknown = ids.to_vec();
    unknown.retain(|id| !tenant.departments.contains_key(*id));
    if unknown.is_empty() {
        return Ok(());
    }
    let refusal = Refusal::new(404, "One or more departments not found");
    Err(refusal.details(json!({ "invalid_department_ids": unknown })))
}

fn held_ids(account: &Value) -> BTreeSet<&str> {
    let held = account["departments"].as_array().map_or(&[][..], Vec::as_slice);
    held.iter().filter_map(|department| department["id"].as_str()).collect()
}

/// A request names departments by id; answers show them whole.
fn show(tenant: &SandboxTenant, ids: &BTreeSet<&str>) -> Value {
    let departments = ids.iter().filter_map(|id| Some((id, tenant.departments.get(*id)?)));
    let shown = departments.map(|(id, department)| {
        json!({ "id": id, "name": department.name, "description": department.description })
    });
    shown.collect()
}
