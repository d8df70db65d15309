//! KARE, "Update user organization": a partial object whose answer shows no names, behind an API
//! gateway. The names are read with "Get user" at another path.

use super::{
    SandboxTenant, Tokens, checks,
    practice::{
        Edited, Incoming, PracticeApi, Refusal, Scene, check_bearer, fill, idle_members,
        members_of, millis, overlay,
    },
};
use axum::http::HeaderMap;
use jiff::Timestamp;
use serde_json::{Map, Value, json};

pub(super) struct Kare;

const SESSION_HEADER: &str = "x-session-token";
const NAME_CHARS_MAX: usize = 250;

impl PracticeApi for Kare {
    fn check_id(&self, id: &str) -> Result<(), &'static str> {
        let number = id.parse().ok().filter(|number: &i64| number.to_string() == id);
        let number = number.and_then(|number| checks::safe_integer(&number.into()));
        number.map(|_| ()).ok_or("a KARE user id is a whole number within ±(2^53 − 1)")
    }

    fn furnish(&self, id: &str, account: &mut Map<String, Value>, now: Timestamp) {
        fill(account, "id", id.parse::<i64>().ok());
        fill(account, "deletedAt", Value::Null);
        fill(account, "createdAt", millis(now));
        fill(account, "updatedAt", millis(now));
    }

    fn user_in(&self, _: &SandboxTenant, request: &Incoming) -> Result<String, Refusal> {
        let segments = request.path_segments();
        let id = match (request.method.as_str(), &segments[..]) {
            ("PATCH", ["users-organizations", "v1", "rs", "users", id])
            | ("GET", ["users", "v1", "rs", id]) => *id,
            _ => return Err(Refusal::new(403, "Missing Authentication Token").avoidable()),
        };
        request.refuse_query()?;
        if id == "me" {
            // No account stands behind the token here, and a careful client never asks.
            return Err(Refusal::new(404, "`me` would be the operator's own account").avoidable());
        }
        self.check_id(id).map_err(|problem| Refusal::new(400, problem))?;
        Ok(id.to_owned())
    }

    fn authorize(&self, tokens: &Tokens, headers: &HeaderMap) -> Result<(), Refusal> {
        check_bearer(tokens, headers)?;
        let session = headers.get(SESSION_HEADER).and_then(|value| value.to_str().ok());
        if tokens.accept(SESSION_HEADER, session.unwrap_or_default()) {
            Ok(())
        } else {
            Err(Refusal::of_status(401))
        }
    }

    fn media_type_status(&self) -> u16 {
        415
    }

    fn get(&self, _: &SandboxTenant, _: &str, account: &Value) -> Value {
        json!({ "data": account })
    }

    fn patch(&self, scene: &Scene<'_>, body: &Value) -> Result<Edited, Refusal> {
        let (members, remarks) = members_of(body)?;
        for (name, value) in members {
            check_member(name, value)?;
        }
        let mut idle = idle_members(&as_written(scene.account), members);
        idle.sort_unstable();
        let mut account = scene.account.clone();
        let mut direct = members.clone();
        if let Some(profession) = direct.remove("professionId")
            && account["profession"]["id"] != profession
        {
            let name = format!("Profession {profession}");
            account["profession"] = json!({ "id": profession, "name": name });
        }
        overlay(&mut account, &direct, scene.tenant.nested);
        Ok(Edited { account, idle, remarks })
    }

    fn touch(&self, account: &mut Value, now: Timestamp) {
        account["updatedAt"] = millis(now).into();
    }

    fn patched(&self, tenant: &SandboxTenant, id: &str, account: &Value) -> Value {
        let number = |text: &str| text.parse::<i64>().map_or(Value::Null, Value::from);
        let organization = match number(&tenant.scope_id) {
            Value::Null => json!(1),
            organization => organization,
        };
        json!({ "data": {
            "userId": number(id),
            "organizationId": organization,
            "scope": account["scope"],
            "permissions": account["permissions"],
            "deletedAt": account["deletedAt"],
            "updatedAt": account["updatedAt"],
            "createdAt": account["createdAt"],
        }})
    }

    fn error_body(&self, refusal: &Refusal) -> Value {
        json!({ "message": refusal.message })
    }
}

/// A read shows `profession { id, name }` where a PATCH writes `professionId`.
fn as_written(account: &Value) -> Value {
    let mut written = account.clone();
    written["professionId"] = account["profession"]["id"].clone();
    written
}

fn check_member(name: &str, value: &Value) -> Result<(), Refusal> {
    let problem = match name {
        "firstName" | "lastName" => match value.as_str() {
            None => "must be a string",
            Some(text) if text.chars().count() > NAME_CHARS_MAX => "has more than 250 characters",
            Some(_) => return Ok(()),
        },
        "professionId" if checks::safe_integer(value).is_none() => "must be a whole number",
        "scope" if !matches!(value.as_i64(), Some(1 | 2)) => "must be 1 or 2",
        "permissions" => return check_permissions(value),
        "professionId" | "scope" => return Ok(()),
        _ => "is unknown",
    };
    Err(Refusal::new(400, format!("`{name}` {problem}")))
}

fn check_permissions(permissions: &Value) -> Result<(), Refusal> {
    let Value::Object(members) = permissions else {
        return Err(Refusal::new(400, "`permissions` must be an object"));
    };
    let is_integer = |value: &Value| checks::safe_integer(value).is_some();
    let wrong = members.iter().find(|(name, value)| match name.as_str() {
        "group" => !is_integer(value),
        "read" | "manage" => !value.as_array().is_some_and(|list| list.iter().all(is_integer)),
        _ => true,
    });
    match wrong {
        Some((name, _)) => Err(Refusal::new(400, format!("`permissions.{name}` is not valid"))),
        None => Ok(()),
    }
}
