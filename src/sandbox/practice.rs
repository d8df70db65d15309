//! What each practice API must tell, and the parts they share.

use super::{Nested, SandboxTenant, Tokens, checks};
use crate::model::Rate;
use axum::{body::Bytes, http::HeaderMap};
use jiff::Timestamp;
use serde_json::{Map, Value};

/// One target API as its document describes it, over accounts that are plain JSON.
pub(super) trait PracticeApi: Sync {
    /// What a user id of this API looks like.
    fn check_id(&self, id: &str) -> Result<(), &'static str>;

    /// Fills in the members that every account of this API shows.
    fn furnish(&self, id: &str, account: &mut Map<String, Value>, now: Timestamp);

    /// The user that method, path and version headers name.
    fn user_in(&self, tenant: &SandboxTenant, request: &Incoming) -> Result<String, Refusal>;

    /// The body of the page that the request asks for; `None`: it does not ask for a list.
    fn list(&self, tenant: &SandboxTenant, request: &Incoming) -> Option<Result<Value, Refusal>> {
        let _ = (tenant, request);
        None
    }

    /// The accounts that answer to the request's filter; `None`: it has none.
    fn find(&self, tenant: &SandboxTenant, request: &Incoming) -> Option<Result<Value, Refusal>> {
        let _ = (tenant, request);
        None
    }

    /// The account that the request makes, with its id; `None`: it makes none.
    fn create(
        &self,
        tenant: &SandboxTenant,
        request: &Incoming,
        body: &Value,
    ) -> Option<Result<(String, Value), Refusal>> {
        let _ = (tenant, request, body);
        None
    }

    /// The account after a request that changes it by another way than its own address; `None`: the
    /// request does not.
    fn switch(
        &self,
        tenant: &SandboxTenant,
        request: &Incoming,
        account: &Value,
    ) -> Option<Result<Value, Refusal>> {
        let _ = (tenant, request, account);
        None
    }

    /// The body of the answer to such a request, where it is not the user.
    fn answer_to(&self, tenant: &SandboxTenant, request: &Incoming) -> Option<Value> {
        let _ = (tenant, request);
        None
    }

    /// The user does not exist.
    fn no_such_user(&self) -> Refusal {
        Refusal::new(404, "user not found")
    }

    fn authorize(&self, tokens: &Tokens, headers: &HeaderMap) -> Result<(), Refusal> {
        check_bearer(tokens, headers)
    }

    /// What a body may be called.
    fn media_types(&self, tenant: &SandboxTenant) -> &'static [&'static str] {
        let _ = tenant;
        &["application/json"]
    }

    /// A careful client may use the method to change a user.
    fn is_change(&self, method: &str) -> bool {
        method == "PATCH"
    }

    /// Whether the change may be made to the account as it is.
    fn precondition(
        &self,
        tenant: &SandboxTenant,
        request: &Incoming,
        account: &Value,
    ) -> Result<(), Refusal> {
        let _ = (tenant, request, account);
        Ok(())
    }

    /// Headers of an answer that shows the account.
    fn headers(&self, tenant: &SandboxTenant, account: &Value) -> Vec<(&'static str, String)> {
        let _ = (tenant, account);
        Vec::new()
    }

    /// The status of an answer to a change: 200 with the user, or 204 with nothing.
    fn changed_status(&self, tenant: &SandboxTenant) -> u16 {
        let _ = tenant;
        200
    }

    /// The status for a body that has another media type.
    fn media_type_status(&self) -> u16 {
        400
    }

    /// The body of a successful GET.
    fn get(&self, tenant: &SandboxTenant, id: &str, account: &Value) -> Value;

    /// Judges and applies a PATCH body; the account itself is only replaced by the caller.
    fn patch(&self, scene: &Scene<'_>, body: &Value) -> Result<Edited, Refusal>;

    /// Notes in the account that it was changed.
    fn touch(&self, account: &mut Value, now: Timestamp);

    /// The body of a successful PATCH.
    fn patched(&self, tenant: &SandboxTenant, id: &str, account: &Value) -> Value {
        self.get(tenant, id, account)
    }

    /// What the body sets, as far as it can be told; also of a malformed one.
    fn outline(&self, body: &Value) -> Outline {
        Outline::of_object(body)
    }

    fn error_body(&self, refusal: &Refusal) -> Value;

    /// The same, where it is the tenant's own.
    fn error_body_of(&self, tenant: &SandboxTenant, refusal: &Refusal) -> Value {
        let _ = tenant;
        self.error_body(refusal)
    }

    fn over_quota(&self, quota: Rate) -> Refusal {
        let _ = quota;
        Refusal::of_status(429)
    }

    /// Headers that tell the client about its quota.
    fn quota_headers(&self, view: &QuotaView) -> Vec<(&'static str, String)> {
        let _ = view;
        Vec::new()
    }
}

/// A request below a tenant's prefix.
#[derive(Clone)]
pub(super) struct Incoming {
    pub(super) method: String,
    /// Percent-decoded; `None` where a segment does not decode to UTF-8.
    pub(super) segments: Vec<Option<String>>,
    /// As received, with the query.
    pub(super) path: String,
    pub(super) query: Option<String>,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

impl Incoming {
    /// The path's segments; one that cannot be decoded matches nothing.
    pub(super) fn path_segments(&self) -> Vec<&str> {
        self.segments.iter().map(|segment| segment.as_deref().unwrap_or("\u{0}")).collect()
    }

    pub(super) fn is_read_or_patch(&self) -> bool {
        self.method == "GET" || self.method == "PATCH"
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// Neither document nor practice knows a parameter here.
    pub(super) fn refuse_query(&self) -> Result<(), Refusal> {
        match self.query {
            Some(_) => Err(Refusal::new(400, "unknown query parameter")),
            None => Ok(()),
        }
    }
}

/// Where a PATCH happens.
pub(super) struct Scene<'a> {
    pub(super) tenant: &'a SandboxTenant,
    pub(super) id: &'a str,
    pub(super) account: &'a Value,
}

impl Scene<'_> {
    /// Another account holds that text under the member, whatever its case.
    pub(super) fn taken(&self, text: &str, member: fn(&Value) -> Option<&str>) -> bool {
        self.tenant.accounts.iter().any(|(id, account)| {
            id != self.id && member(account).is_some_and(|held| held.eq_ignore_ascii_case(text))
        })
    }
}

/// An accepted PATCH.
#[derive(Debug)]
pub(super) struct Edited {
    pub(super) account: Value,
    /// Attributes that were set to what they were already, without need.
    pub(super) idle: Vec<String>,
    /// Other things that are allowed but that a careful client does not do.
    pub(super) remarks: Vec<String>,
}

/// An answer other than success; each API renders it as its own error body.
#[derive(Clone, Debug)]
pub(super) struct Refusal {
    pub(super) status: u16,
    /// The vendor's word, where the status does not decide it.
    pub(super) code: Option<&'static str>,
    pub(super) message: String,
    /// `Null`: none.
    pub(super) details: Value,
    /// A careful client could have known from the document.
    pub(super) avoidable: bool,
}

impl Refusal {
    pub(super) fn new(status: u16, message: impl Into<String>) -> Self {
        let avoidable = matches!(status, 400 | 405 | 413 | 415);
        Self { status, code: None, message: message.into(), details: Value::Null, avoidable }
    }

    pub(super) fn of_status(status: u16) -> Self {
        Self::new(status, common_message(status))
    }

    pub(super) fn code(self, code: &'static str) -> Self {
        Self { code: Some(code), ..self }
    }

    pub(super) fn details(self, details: Value) -> Self {
        Self { details, ..self }
    }

    pub(super) fn avoidable(self) -> Self {
        Self { avoidable: true, ..self }
    }

    pub(super) fn unavoidable(self) -> Self {
        Self { avoidable: false, ..self }
    }
}

fn common_message(status: u16) -> &'static str {
    match status {
        400 => "Bad request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not found",
        405 => "Method not allowed",
        409 => "Conflict",
        413 => "Request too long",
        415 => "Unsupported media type",
        429 => "Too many requests",
        503 => "Service unavailable",
        504 => "Gateway timeout",
        _ => "Internal server error",
    }
}

/// How much of the quota is used.
pub(super) struct QuotaView {
    pub(super) quota: Rate,
    pub(super) remaining: usize,
    /// Seconds until the window frees a place, rounded up.
    pub(super) reset_s: u64,
}

/// What a body sets.
#[derive(Debug, Default)]
pub(super) struct Outline {
    pub(super) operations: usize,
    pub(super) names: Vec<String>,
}

impl Outline {
    pub(super) fn of_object(body: &Value) -> Self {
        let Value::Object(members) = body else { return Self::default() };
        let mut names = Vec::new();
        for (name, value) in members {
            push_leaves(name, value, &mut names);
        }
        Self { operations: members.len(), names }
    }
}

/// Names of the members that hold no further members, dotted.
pub(super) fn push_leaves(name: &str, value: &Value, names: &mut Vec<String>) {
    match value {
        Value::Object(members) if !members.is_empty() => {
            for (member, value) in members {
                push_leaves(&format!("{name}.{member}"), value, names);
            }
        }
        _ => names.push(name.to_owned()),
    }
}

pub(super) fn check_bearer(tokens: &Tokens, headers: &HeaderMap) -> Result<(), Refusal> {
    let header = headers.get("authorization").and_then(|value| value.to_str().ok());
    let token = header.and_then(|value| value.strip_prefix("Bearer ")).unwrap_or_default();
    let single = headers.get_all("authorization").iter().count() == 1;
    if single && tokens.accept("authorization", token) {
        Ok(())
    } else {
        Err(Refusal::of_status(401))
    }
}

/// Members of a partial object that say nothing new. A parent object is idle as a whole or not at
/// all: beside a changed member the others are companions, which the documents ask for or which
/// would otherwise be lost.
pub(super) fn idle_members(before: &Value, sent: &Map<String, Value>) -> Vec<String> {
    let idle = sent.iter().filter(|(name, value)| match (value, &before[name.as_str()]) {
        (Value::Object(members), held @ Value::Object(_)) => {
            members.iter().all(|(member, value)| checks::same(&held[member.as_str()], value))
        }
        (value, held) => checks::same(held, value),
    });
    idle.map(|(name, _)| name.clone()).collect()
}

/// Lays a partial object over the account.
pub(super) fn overlay(account: &mut Value, sent: &Map<String, Value>, nested: Nested) {
    for (name, value) in sent {
        match (nested, &mut account[name.as_str()], value) {
            (Nested::Merge, Value::Object(held), Value::Object(members)) => {
                held.extend(members.iter().map(|(name, value)| (name.clone(), value.clone())));
            }
            (_, held, value) => *held = value.clone(),
        }
    }
}

/// The body must be an object; one without members is allowed by the documents but pointless.
pub(super) fn members_of(body: &Value) -> Result<(&Map<String, Value>, Vec<String>), Refusal> {
    let Value::Object(members) = body else {
        return Err(Refusal::new(400, "the body must be a JSON object"));
    };
    let empty = members.is_empty().then(|| "a PATCH without any edit".to_owned());
    Ok((members, empty.into_iter().collect()))
}

/// Sets a member only where the account has none.
pub(super) fn fill(account: &mut Map<String, Value>, name: &str, value: impl Into<Value>) {
    account.entry(name).or_insert_with(|| value.into());
}

/// `2026-02-24T22:00:00.000Z`
pub(super) fn millis(now: Timestamp) -> String {
    format!("{now:.3}")
}
