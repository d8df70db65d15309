//! Datadog, "Patch user": SCIM's `PatchOp` with `add` and `replace` only, and errors in Datadog's
//! own form.

use super::{
    SandboxTenant, checks, life,
    lists::{Query, Window},
    practice::{
        Edited, Incoming, Outline, PracticeApi, QuotaView, Refusal, Scene, fill, millis,
        push_leaves,
    },
};
use crate::model::Rate;
use jiff::Timestamp;
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;

pub(super) struct Datadog;

const PATCH_SCHEMA: &str = "urn:ietf:params:scim:api:messages:2.0:PatchOp";
const USER_SCHEMA: &str = "urn:ietf:params:scim:schemas:core:2.0:User";
const WORK_EMAIL: &str = "emails[type eq \"work\"]";

impl PracticeApi for Datadog {
    fn check_id(&self, id: &str) -> Result<(), &'static str> {
        if checks::is_uuid(id) { Ok(()) } else { Err("a Datadog user id is a UUID") }
    }

    fn furnish(&self, id: &str, account: &mut Map<String, Value>, now: Timestamp) {
        fill(account, "schemas", json!([USER_SCHEMA]));
        fill(account, "id", id);
        fill(account, "active", true);
        let meta = json!({
            "created": millis(now),
            "lastModified": millis(now),
            "location": format!("https://app.datadoghq.com/api/scim/v2/Users/{id}"),
            "resourceType": "User",
        });
        fill(account, "meta", meta);
    }

    fn user_in(&self, _: &SandboxTenant, request: &Incoming) -> Result<String, Refusal> {
        let segments = request.path_segments();
        let ["api", "v2", "scim", "Users", id] = segments[..] else {
            return Err(Refusal::of_status(404).avoidable());
        };
        if !request.is_read_or_patch() {
            return Err(Refusal::of_status(405));
        }
        request.refuse_query()?;
        self.check_id(id).map_err(|_| Refusal::new(400, "user_uuid must be a UUID"))?;
        Ok(id.to_owned())
    }

    fn list(&self, tenant: &SandboxTenant, request: &Incoming) -> Option<Result<Value, Refusal>> {
        let is_list = request.path_segments() == ["api", "v2", "scim", "Users"];
        (is_list && request.method == "GET").then(|| list(tenant, request))
    }

    fn find(&self, tenant: &SandboxTenant, request: &Incoming) -> Option<Result<Value, Refusal>> {
        let ["api", "v2", "scim", "Users"] = request.path_segments()[..] else { return None };
        if request.method != "GET" {
            return None;
        }
        let text = life::filter_of(request, "userName")?;
        Some(text.map(|text| life::listed(&tenant.accounts, &text, |a| a["userName"].as_str())))
    }

    fn create(
        &self,
        tenant: &SandboxTenant,
        request: &Incoming,
        body: &Value,
    ) -> Option<Result<(String, Value), Refusal>> {
        let ["api", "v2", "scim", "Users"] = request.path_segments()[..] else { return None };
        let id = life::fresh_uuid(&tenant.accounts);
        Some(check_new(tenant, &id, body).map(|()| (id, body.clone())))
    }

    fn get(&self, _: &SandboxTenant, _: &str, account: &Value) -> Value {
        account.clone()
    }

    fn patch(&self, scene: &Scene<'_>, body: &Value) -> Result<Edited, Refusal> {
        let mut edited =
            Edited { account: scene.account.clone(), idle: Vec::new(), remarks: Vec::new() };
        let mut seen = BTreeSet::new();
        for operation in operations_of(body)? {
            for set in sets_of(operation)? {
                if !seen.insert(set.path.clone()) {
                    edited.remarks.push(format!("`{}` is set twice", set.path));
                }
                apply(scene, &set, &mut edited)?;
            }
        }
        Ok(edited)
    }

    fn touch(&self, account: &mut Value, now: Timestamp) {
        account["meta"]["lastModified"] = millis(now).into();
    }

    fn outline(&self, body: &Value) -> Outline {
        let Value::Array(operations) = &body["Operations"] else { return Outline::default() };
        let mut names = Vec::new();
        for operation in operations {
            match (&operation["path"], &operation["value"]) {
                (Value::String(path), value) => push_leaves(path, value, &mut names),
                (_, value) => names.append(&mut Outline::of_object(value).names),
            }
        }
        Outline { operations: operations.len(), names }
    }

    fn error_body(&self, refusal: &Refusal) -> Value {
        json!({ "errors": [refusal.message] })
    }

    fn over_quota(&self, quota: Rate) -> Refusal {
        let Rate { requests, per } = quota;
        let seconds = per.as_secs();
        let limit = format!("Rate limit of {requests} requests in {seconds} seconds reached.");
        Refusal::new(429, format!("{limit} Please try again later."))
    }

    fn quota_headers(&self, view: &QuotaView) -> Vec<(&'static str, String)> {
        vec![
            ("x-ratelimit-limit", view.quota.requests.to_string()),
            ("x-ratelimit-period", view.quota.per.as_secs().to_string()),
            ("x-ratelimit-remaining", view.remaining.to_string()),
            ("x-ratelimit-reset", view.reset_s.to_string()),
            ("x-ratelimit-name", "scim_users".to_owned()),
        ]
    }
}

/// By the document: entries count from 1, and 20 stand on a page unless another number is asked for.
/// The most is not said; as RFC 7644 §3.4.2.4 allows, there are fewer than asked for beyond 100.
fn list(tenant: &SandboxTenant, request: &Incoming) -> Result<Value, Refusal> {
    let mut query = Query::of(request, &["startIndex", "count"])?;
    let start = query.number("startIndex", 1)?.max(1);
    let count = query.number("count", 20)?;
    let Window { users, total, .. } = Window::of(tenant, start - 1, count.min(100));
    Ok(json!({
        "schemas": ["urn:ietf:params:scim:api:messages:2.0:ListResponse"],
        "totalResults": total,
        "startIndex": start,
        "itemsPerPage": users.len(),
        "Resources": users,
    }))
}

/// A new user: its schema, and attributes that a PATCH could set, whole.
fn check_new(tenant: &SandboxTenant, id: &str, body: &Value) -> Result<(), Refusal> {
    let Value::Object(members) = body else {
        return Err(Refusal::new(400, "the body must be a JSON object"));
    };
    if body["schemas"] != json!([USER_SCHEMA]) {
        return Err(Refusal::new(400, format!("`schemas` must be [\"{USER_SCHEMA}\"]")));
    }
    for name in ["userName", "emails"] {
        if !members.contains_key(name) {
            return Err(Refusal::new(400, format!("a new user needs `{name}`")));
        }
    }
    let nobody = Value::Null;
    let scene = Scene { tenant, id, account: &nobody };
    for (name, value) in members.iter().filter(|(name, _)| *name != "schemas") {
        for set in spread(name, value, false)? {
            // RFC 7644 §3.3: where nothing is wrong with it, somebody has the name.
            let taken = |refusal| Refusal { status: 409, ..refusal };
            check_value(&scene, &set).map_err(|e| if e.avoidable { e } else { taken(e) })?;
        }
    }
    Ok(())
}

/// One attribute set by an operation; a path-less operation may set several.
struct Set<'a> {
    path: String,
    value: &'a Value,
    is_add: bool,
}

fn operations_of(body: &Value) -> Result<&Vec<Value>, Refusal> {
    let Value::Object(members) = body else {
        return Err(Refusal::new(400, "the body must be a JSON object"));
    };
    if let Some(name) = members.keys().find(|name| !["schemas", "Operations"].contains(&&***name)) {
        return Err(Refusal::new(400, format!("unknown member `{name}`")));
    }
    if body["schemas"] != json!([PATCH_SCHEMA]) {
        return Err(Refusal::new(400, format!("`schemas` must be [\"{PATCH_SCHEMA}\"]")));
    }
    match &body["Operations"] {
        // RFC 7644 §3.5.2: one or more operations.
        Value::Array(operations) if !operations.is_empty() => Ok(operations),
        _ => Err(Refusal::new(400, "`Operations` must be an array of at least one operation")),
    }
}

fn sets_of(operation: &Value) -> Result<Vec<Set<'_>>, Refusal> {
    let Value::Object(members) = operation else {
        return Err(Refusal::new(400, "an operation must be an object"));
    };
    if let Some(name) = members.keys().find(|name| !["op", "path", "value"].contains(&&***name)) {
        return Err(Refusal::new(400, format!("unknown member `{name}` in an operation")));
    }
    let is_add = match operation["op"].as_str() {
        Some("add") => true,
        Some("replace") => false,
        _ => return Err(Refusal::new(400, "`op` must be `add` or `replace`")),
    };
    let Some(value) = members.get("value") else {
        return Err(Refusal::new(400, "an operation needs a `value`"));
    };
    match (members.get("path"), value) {
        (Some(Value::String(path)), value) => spread(path, value, is_add),
        (Some(_), _) => Err(Refusal::new(400, "`path` must be a string")),
        (None, Value::Object(attributes)) => {
            let mut sets = Vec::new();
            for (name, value) in attributes {
                if name.contains(['.', '[']) {
                    return Err(Refusal::new(400, format!("unknown attribute `{name}`")));
                }
                sets.append(&mut spread(name, value, is_add)?);
            }
            Ok(sets)
        }
        (None, _) => Err(Refusal::new(400, "without a `path` the value must be an object")),
    }
}

/// The complex attribute `name` stands for its members.
fn spread<'a>(path: &str, value: &'a Value, is_add: bool) -> Result<Vec<Set<'a>>, Refusal> {
    let set = |path: String, value| Set { path, value, is_add };
    match (path, value) {
        ("name", Value::Object(members)) if !members.is_empty() => {
            Ok(members.iter().map(|(name, value)| set(format!("name.{name}"), value)).collect())
        }
        ("name", _) => Err(Refusal::new(400, "`name` must be an object with members")),
        (path, value) => Ok(vec![set(path.to_owned(), value)]),
    }
}

fn apply(scene: &Scene<'_>, set: &Set<'_>, edited: &mut Edited) -> Result<(), Refusal> {
    check_value(scene, set)?;
    let Set { path, value, is_add } = set;
    if path == "emails" && *is_add {
        edited.remarks.push("`add` on `emails` appends, so it is not safe to send twice".into());
        return add_emails(value, &mut edited.account);
    }
    let held = pointer_in(scene.account, path).and_then(|at| scene.account.pointer(&at));
    if held.is_some_and(|held| checks::same(held, value)) {
        edited.idle.push(path.clone());
    }
    let Some(pointer) = pointer_in(&edited.account, path) else {
        return Err(Refusal::new(400, format!("`{path}` matches nothing (noTarget)")));
    };
    put(&mut edited.account, &pointer, (*value).clone());
    Ok(())
}

/// Where in the account the attribute stands, or would stand.
fn pointer_in(account: &Value, path: &str) -> Option<String> {
    let Some(member) = path.strip_prefix(WORK_EMAIL) else {
        return Some(format!("/{}", path.replace('.', "/")));
    };
    let emails = account["emails"].as_array()?;
    let index = emails.iter().position(|email| email["type"] == "work")?;
    Some(format!("/emails/{index}/{}", member.trim_start_matches('.')))
}

/// Sets one attribute; a parent object that is not there yet is made.
fn put(account: &mut Value, pointer: &str, value: Value) {
    let (parent, member) = pointer.rsplit_once('/').unwrap_or_default();
    if let Some(name) = parent.strip_prefix('/')
        && account.pointer(parent).is_none_or(Value::is_null)
    {
        account[name] = json!({});
    }
    if let Some(Value::Object(members)) = account.pointer_mut(parent) {
        members.insert(member.to_owned(), value);
    }
}

fn add_emails(value: &Value, account: &mut Value) -> Result<(), Refusal> {
    if !account["emails"].is_array() {
        account["emails"] = json!([]);
    }
    let (Some(held), Some(added)) = (account["emails"].as_array_mut(), value.as_array()) else {
        return Err(Refusal::new(400, "`emails` must be an array"));
    };
    for email in added {
        if !held.contains(email) {
            held.push(email.clone());
        }
    }
    Ok(())
}

fn check_value(scene: &Scene<'_>, set: &Set<'_>) -> Result<(), Refusal> {
    let Set { path, value, is_add: _ } = set;
    let fits = match path.as_str() {
        "active" | "emails[type eq \"work\"].primary" => value.is_boolean(),
        "title" | "name.formatted" => value.is_string(),
        "emails[type eq \"work\"].value" => value.as_str().is_some_and(checks::has_mail_shape),
        "emails" => are_emails(value),
        "userName" => match value.as_str().filter(|name| !name.is_empty()) {
            Some(name) if scene.taken(name, |account| account["userName"].as_str()) => {
                return Err(Refusal::new(400, "`userName` is taken").unavoidable());
            }
            name => name.is_some(),
        },
        "id" | "meta" | "schemas" => {
            return Err(Refusal::new(400, format!("`{path}` is read-only")));
        }
        _ => return Err(Refusal::new(400, format!("unknown attribute `{path}`"))),
    };
    if fits {
        Ok(())
    } else {
        Err(Refusal::new(400, format!("the value of `{path}` is not valid")))
    }
}

fn are_emails(value: &Value) -> bool {
    let Value::Array(emails) = value else { return false };
    let primaries = emails.iter().filter(|email| email["primary"] == true).count();
    primaries <= 1 && emails.iter().all(is_email)
}

fn is_email(email: &Value) -> bool {
    let Value::Object(members) = email else { return false };
    members.contains_key("value")
        && members.iter().all(|(name, value)| match name.as_str() {
            "value" => value.as_str().is_some_and(checks::has_mail_shape),
            "type" => value == "work",
            "primary" => value.is_boolean(),
            _ => false,
        })
}
