//! Datadog, "Patch user": SCIM's `PatchOp` with `add` and `replace` only, and errors in Datadog's
//! own form.

use super::{
    SandboxTenant, checks,
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
        let message = format!("Rate limit of {quota} reached. Please try again later.");
        // `Rate` says `s`; the vendor spells the unit out.
        Refusal::new(429, message.replace(" s reached", " seconds reached"))
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
            let spread = attributes.iter().map(|(name, value)| match name.contains(['.', '[']) {
                true => Err(Refusal::new(400, format!("unknown attribute `{name}`"))),
                false => spread(name, value, is_add),
            });
            Ok(spread.collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect())
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
    let idle = match place(scene.account.clone(), path) {
        Some(mut before) => checks::same(before.slot(), value),
        None => false,
    };
    if idle {
        edited.idle.push(path.clone());
    }
    let account = std::mem::take(&mut edited.account);
    let Some(mut place) = place(account, path) else {
        return Err(Refusal::new(400, format!("`{path}` matches nothing (noTarget)")));
    };
    *place.slot() = (*value).clone();
    edited.account = place.account;
    Ok(())
}

/// An attribute's position inside an account.
struct Place {
    account: Value,
    pointer: String,
}

impl Place {
    fn slot(&mut self) -> &mut Value {
        let (parent, member) = self.pointer.rsplit_once('/').unwrap_or_default();
        let parent = self.account.pointer_mut(parent).expect("`place` made the parent");
        &mut parent[member]
    }
}

fn place(mut account: Value, path: &str) -> Option<Place> {
    let pointer = match path.strip_prefix(WORK_EMAIL) {
        Some(member) => {
            let emails = account["emails"].as_array()?;
            let index = emails.iter().position(|email| email["type"] == "work")?;
            format!("/emails/{index}/{}", member.trim_start_matches('.'))
        }
        None => format!("/{}", path.replace('.', "/")),
    };
    if path.starts_with("name.") && !account["name"].is_object() {
        account["name"] = json!({});
    }
    Some(Place { account, pointer })
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
