//! A SCIM 2.0 server by RFC 7643 and RFC 7644: users, read, changed and listed.
//!
//! What real servers differ in is switched by [`ScimQuirks`]; without any it is strict. Where the RFC
//! leaves something open it takes the reading that is harder on the client: a filter in a path that
//! finds nothing is `noTarget` for every operation, and `add` appends whatever is not there to the
//! letter.

mod discovery;
mod groups;
mod operations;
mod resource;

use super::{
    SandboxTenant, checks, life,
    lists::{Query, Window},
    practice::{Edited, Incoming, Outline, PracticeApi, Refusal, Scene, fill, millis, push_leaves},
};
use jiff::Timestamp;
use serde_json::{Map, Value, json};

pub(super) struct Scim;

const USER_SCHEMA: &str = "urn:ietf:params:scim:schemas:core:2.0:User";
const GROUP_SCHEMA: &str = "urn:ietf:params:scim:schemas:core:2.0:Group";
const PATCH_SCHEMA: &str = "urn:ietf:params:scim:api:messages:2.0:PatchOp";
const ERROR_SCHEMA: &str = "urn:ietf:params:scim:api:messages:2.0:Error";
const LIST_SCHEMA: &str = "urn:ietf:params:scim:api:messages:2.0:ListResponse";

/// Ways in which a server is not as the RFC has it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is one quirk of real servers")]
pub struct ScimQuirks {
    /// No filter in a path.
    pub no_value_paths: bool,
    /// No path at all: one operation whose value is an object.
    pub no_paths: bool,
    /// No operation without a path.
    pub no_pathless: bool,
    /// PATCH is not there; PUT is.
    pub only_put: bool,
    /// No attribute by two operations of one request.
    pub one_operation_per_attribute: bool,
    pub no_replace: bool,
    pub no_remove: bool,
    /// `Replace` and `True` are the only way to say it.
    pub like_entra: bool,
    /// A change is answered by 204 and no body.
    pub no_content: bool,
    /// Answers carry a strong `ETag`, and changes need `If-Match`.
    pub etag: bool,
    /// Errors are a text.
    pub plain_errors: bool,
    /// `application/json` and nothing else.
    pub only_json: bool,
    /// No attribute with several values.
    pub no_lists: bool,
    /// The list of all users goes on by cursors (RFC 9865).
    pub cursors: bool,
    /// Ids of the groups that are there.
    pub groups: Vec<String>,
    /// Users do not show what they are in.
    pub groups_unseen: bool,
}

impl PracticeApi for Scim {
    fn check_id(&self, id: &str) -> Result<(), &'static str> {
        if id.is_empty() { Err("an id is a text") } else { Ok(()) }
    }

    fn furnish(&self, id: &str, account: &mut Map<String, Value>, now: Timestamp) {
        let extensions = account.keys().filter(|name| name.starts_with("urn:"));
        let schemas = [USER_SCHEMA].into_iter().chain(extensions.map(String::as_str));
        let schemas: Value = schemas.map(Value::from).collect();
        fill(account, "schemas", schemas);
        fill(account, "id", id);
        fill(account, "userName", format!("user-{id}"));
        let meta = json!({
            "resourceType": "User",
            "created": millis(now),
            "lastModified": millis(now),
            "version": "\"1\"",
        });
        fill(account, "meta", meta);
    }

    fn user_in(&self, tenant: &SandboxTenant, request: &Incoming) -> Result<String, Refusal> {
        if let Some(change) = groups::change(tenant, request) {
            return change.map(|change| change.member);
        }
        let segments = request.path_segments();
        let ["Users", id] = segments[..] else { return Err(Refusal::of_status(404).avoidable()) };
        let writes = if tenant.scim.only_put { "PUT" } else { "PATCH" };
        let leaves = request.method == "DELETE" && tenant.mortal;
        if !leaves && request.method != "GET" && request.method != writes {
            // RFC 7644 §3.12: the operation is not supported.
            return Err(Refusal::of_status(501).avoidable());
        }
        request.refuse_query()?;
        Ok(id.to_owned())
    }

    fn find(&self, _: &SandboxTenant, request: &Incoming) -> Option<Result<Value, Refusal>> {
        discovery::told(request).map(Ok)
    }

    fn list(&self, tenant: &SandboxTenant, request: &Incoming) -> Option<Result<Value, Refusal>> {
        let is_list = request.path_segments() == ["Users"] && request.method == "GET";
        is_list.then(|| list(tenant, request))
    }

    fn create(
        &self,
        tenant: &SandboxTenant,
        request: &Incoming,
        body: &Value,
    ) -> Option<Result<(String, Value), Refusal>> {
        (request.path_segments() == ["Users"]).then(|| {
            let id = life::fresh_uuid(&tenant.accounts);
            let mut account = resource::made(body)?;
            let scene = Scene { tenant, id: &id, account: &Value::Null };
            resource::check(&scene, &mut account)?;
            Ok((id, account))
        })
    }

    fn switch(
        &self,
        tenant: &SandboxTenant,
        request: &Incoming,
        account: &Value,
    ) -> Option<Result<Value, Refusal>> {
        Some(groups::change(tenant, request)?.and_then(|change| change.made(account)))
    }

    fn answer_to(&self, tenant: &SandboxTenant, request: &Incoming) -> Option<Value> {
        Some(groups::change(tenant, request)?.ok()?.shown(tenant))
    }

    fn media_types(&self, tenant: &SandboxTenant) -> &'static [&'static str] {
        if tenant.scim.only_json {
            &["application/json"]
        } else {
            &["application/scim+json", "application/json"]
        }
    }

    fn media_type_status(&self) -> u16 {
        415
    }

    fn is_change(&self, method: &str) -> bool {
        matches!(method, "PATCH" | "PUT")
    }

    fn get(&self, tenant: &SandboxTenant, _: &str, account: &Value) -> Value {
        let mut shown = account.clone();
        if let Value::Object(members) = &mut shown
            && tenant.scim.groups_unseen
        {
            members.remove("groups");
        }
        shown
    }

    fn precondition(
        &self,
        tenant: &SandboxTenant,
        request: &Incoming,
        account: &Value,
    ) -> Result<(), Refusal> {
        let tag = request.header("if-match");
        match (tenant.scim.etag, tag) {
            (false, None) => Ok(()),
            (false, Some(_)) => Err(Refusal::new(400, "no versions are kept here")),
            // RFC 6585 §3.
            (true, None) => Err(Refusal::new(428, "a change names its version").avoidable()),
            (true, Some(tag)) if account["meta"]["version"] == tag => Ok(()),
            (true, Some(_)) => Err(Refusal::new(412, "another version is there by now")),
        }
    }

    fn patch(&self, scene: &Scene<'_>, body: &Value) -> Result<Edited, Refusal> {
        let mut edited = if scene.tenant.scim.only_put {
            let account = resource::replaced(scene.account, body)?;
            let idle = (checks::same(&account, scene.account)).then(|| "*".to_owned());
            Edited { account, idle: idle.into_iter().collect(), remarks: Vec::new() }
        } else {
            operations::apply(scene, body)?
        };
        resource::check(scene, &mut edited.account)?;
        Ok(edited)
    }

    fn touch(&self, account: &mut Value, now: Timestamp) {
        let version = account["meta"]["version"].as_str().unwrap_or_default().trim_matches('"');
        let version = version.parse::<u64>().unwrap_or_default() + 1;
        account["meta"]["version"] = format!("\"{version}\"").into();
        account["meta"]["lastModified"] = millis(now).into();
    }

    fn headers(&self, tenant: &SandboxTenant, account: &Value) -> Vec<(&'static str, String)> {
        let tag = account["meta"]["version"].as_str().filter(|_| tenant.scim.etag);
        tag.map(|tag| ("etag", tag.to_owned())).into_iter().collect()
    }

    fn changed_status(&self, tenant: &SandboxTenant) -> u16 {
        if tenant.scim.no_content { 204 } else { 200 }
    }

    fn outline(&self, body: &Value) -> Outline {
        let Value::Array(operations) = &body["Operations"] else {
            return Outline::of_object(body);
        };
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
        let mut body = json!({
            "schemas": [ERROR_SCHEMA],
            "status": refusal.status.to_string(),
            "detail": refusal.message,
        });
        if let Some(code) = refusal.code {
            body["scimType"] = code.into();
        }
        body
    }

    fn error_body_of(&self, tenant: &SandboxTenant, refusal: &Refusal) -> Value {
        if tenant.scim.plain_errors {
            return Value::from(refusal.message.as_str());
        }
        self.error_body(refusal)
    }
}

/// RFC 7644 §3.4.2: the page that is asked for, of those whom the filter chooses.
fn list(tenant: &SandboxTenant, request: &Incoming) -> Result<Value, Refusal> {
    if tenant.scim.cursors && request.query.as_deref().is_none_or(|q| !q.contains("filter=")) {
        return list_by_cursor(tenant, request);
    }
    let mut query = Query::of(request, &["startIndex", "count", "filter"])?;
    let start = query.number("startIndex", 1)?.max(1);
    let count = query.number("count", 100)?;
    let (users, total) = match query.text("filter") {
        None => {
            let window = Window::of(tenant, start - 1, count.min(100));
            (window.users, window.total)
        }
        Some(filter) => {
            let chosen = chosen(tenant, &filter)?;
            let total = chosen.len();
            (chosen.into_iter().skip(start - 1).take(count.min(100)).collect(), total)
        }
    };
    Ok(json!({
        "schemas": [LIST_SCHEMA],
        "totalResults": total,
        "startIndex": start,
        "itemsPerPage": users.len(),
        "Resources": users,
    }))
}

/// RFC 9865 §2.1: the first page is asked for by a cursor without a word.
fn list_by_cursor(tenant: &SandboxTenant, request: &Incoming) -> Result<Value, Refusal> {
    let mut query = Query::of(request, &["cursor", "count"])?;
    let (count, word) = (query.number("count", 100)?, query.text("cursor"));
    let start = match word.as_deref() {
        None => return Err(Refusal::new(400, "a list begins with a cursor")),
        Some("") => 0,
        Some(word) => Window::place(word)
            .ok_or_else(|| Refusal::new(400, "that is no cursor").code("invalidCursor"))?,
    };
    let Window { users, next, total } = Window::of(tenant, start, count.min(100));
    let mut page = json!({ "schemas": [LIST_SCHEMA], "totalResults": total, "Resources": users });
    if let Some(next) = next {
        page["nextCursor"] = Window::cursor(next).into();
    }
    Ok(page)
}

/// `userName eq "…"` ignores case (RFC 7643 §4.1.1), `externalId eq "…"` does not (§3.1).
fn chosen<'a>(tenant: &'a SandboxTenant, filter: &str) -> Result<Vec<&'a Value>, Refusal> {
    let invalid = || Refusal::new(400, "the filter is not understood").code("invalidFilter");
    let (name, rest) = filter.split_once(" eq ").ok_or_else(invalid)?;
    let wanted: String = serde_json::from_str(rest).map_err(|_| invalid())?;
    let is_it = |held: &str| match name {
        "userName" => held.to_lowercase() == wanted.to_lowercase(),
        _ => held == wanted,
    };
    if !["userName", "externalId"].contains(&name) {
        return Err(invalid());
    }
    let accounts = tenant.accounts.values();
    Ok(accounts.filter(|account| account[name].as_str().is_some_and(is_it)).collect())
}
