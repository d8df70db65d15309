//! What a user may look like: RFC 7643 §4.1, §4.3 and, for other extensions, anything.

use super::{
    super::{
        checks,
        practice::{Refusal, Scene},
    },
    USER_SCHEMA,
};
use serde_json::{Map, Value};

const ENTERPRISE: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";

/// What stands under a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    Text,
    Flag,
    /// An object of these members.
    Object(&'static [&'static str]),
    /// A list of objects of these members.
    List(&'static [&'static str]),
    /// Of an extension that is not described.
    Any,
    ReadOnly,
}

const NAME: &[&str] =
    &["formatted", "familyName", "givenName", "middleName", "honorificPrefix", "honorificSuffix"];
const VALUE: &[&str] = &["value", "type", "primary", "display"];
const ADDRESS: &[&str] = &[
    "formatted",
    "streetAddress",
    "locality",
    "region",
    "postalCode",
    "country",
    "type",
    "primary",
];

/// The form of an attribute of the core schema or of an extension; `None`: there is no such name.
pub(super) fn form(schema: Option<&str>, name: &str) -> Option<Form> {
    match schema {
        Some(USER_SCHEMA) | None => core_form(name),
        Some(ENTERPRISE) => match name {
            "employeeNumber" | "costCenter" | "organization" | "division" | "department" => {
                Some(Form::Text)
            }
            "manager" => Some(Form::Object(&["value", "$ref", "displayName"])),
            _ => None,
        },
        Some(_) => Some(Form::Any),
    }
}

fn core_form(name: &str) -> Option<Form> {
    Some(match name {
        "userName" | "displayName" | "nickName" | "profileUrl" | "title" | "userType"
        | "preferredLanguage" | "locale" | "timezone" | "externalId" => Form::Text,
        "active" => Form::Flag,
        "name" => Form::Object(NAME),
        "emails" | "phoneNumbers" | "ims" | "photos" | "roles" | "entitlements" => {
            Form::List(VALUE)
        }
        "addresses" => Form::List(ADDRESS),
        "id" | "meta" | "schemas" | "groups" => Form::ReadOnly,
        _ => return None,
    })
}

/// RFC 7644 §3.3: a new user, as it is sent; what is the server's own is not taken from it.
pub(super) fn made(body: &Value) -> Result<Value, Refusal> {
    let Value::Object(sent) = body else {
        return Err(Refusal::new(400, "the body is no resource").code("invalidSyntax"));
    };
    let schemas = body["schemas"].as_array();
    let declared = |name: &str| schemas.is_some_and(|all| all.contains(&name.into()));
    let extensions = sent.keys().filter(|name| name.starts_with("urn:"));
    if !declared(USER_SCHEMA) || !extensions.clone().all(|name| declared(name)) {
        return Err(Refusal::new(400, "`schemas` is not what is there").code("invalidSyntax"));
    }
    let own = ["id", "meta", "groups"];
    let kept = sent.iter().filter(|(name, _)| !own.contains(&name.as_str()));
    Ok(Value::Object(kept.map(|(name, value)| (name.clone(), value.clone())).collect()))
}

/// RFC 7644 §3.5.1: what is sent takes the place of all but what is read-only.
pub(super) fn replaced(held: &Value, body: &Value) -> Result<Value, Refusal> {
    let Value::Object(sent) = body else {
        return Err(Refusal::new(400, "the body is no resource").code("invalidSyntax"));
    };
    if body["id"] != held["id"] || !body["schemas"].is_array() {
        return Err(Refusal::new(400, "the body is another resource").code("invalidValue"));
    }
    let mut account = Map::new();
    for name in ["schemas", "id", "meta", "groups"] {
        if let Some(value) = held.get(name) {
            account.insert(name.to_owned(), value.clone());
        }
    }
    for (name, value) in sent {
        if core_form(name) != Some(Form::ReadOnly) {
            account.insert(name.clone(), value.clone());
        }
    }
    for extension in sent.keys().filter(|name| name.starts_with("urn:")) {
        let declared =
            body["schemas"].as_array().is_some_and(|all| all.contains(&extension[..].into()));
        if !declared {
            let message = format!("`{extension}` is not among `schemas`");
            return Err(Refusal::new(400, message).code("invalidSyntax"));
        }
    }
    Ok(Value::Object(account))
}

/// The whole user after a change: the forms, and what may be there once.
pub(super) fn check(scene: &Scene<'_>, account: &mut Value) -> Result<(), Refusal> {
    tidy(account);
    let Value::Object(members) = &*account else { return Err(invalid("the user")) };
    for (name, value) in members {
        match value {
            Value::Object(inner) if name.starts_with("urn:") => {
                for (inner, value) in inner {
                    check_one(Some(name), inner, value)?;
                }
            }
            value => check_one(None, name, value)?,
        }
        if scene.tenant.scim.no_lists && matches!(core_form(name), Some(Form::List(_))) {
            return Err(invalid(name));
        }
    }
    match account["userName"].as_str().filter(|name| !name.is_empty()) {
        None => Err(Refusal::new(400, "`userName` is required").code("invalidValue")),
        Some(name) if scene.taken(name, |account| account["userName"].as_str()) => {
            let refusal = Refusal::new(409, "`userName` is taken").code("uniqueness");
            Err(refusal.unavoidable())
        }
        Some(_) => Ok(()),
    }
}

/// RFC 7643 §2.5: null and the empty list mean unassigned; an extension without members is none.
fn tidy(account: &mut Value) {
    let Value::Object(members) = account else { return };
    members.retain(|_, value| {
        if let Value::Object(inner) = value {
            inner.retain(|_, value| !is_unassigned(value));
        }
        !is_unassigned(value) && value.as_object().is_none_or(|inner| !inner.is_empty())
    });
    let extensions: Vec<String> =
        members.keys().filter(|name| name.starts_with("urn:")).cloned().collect();
    let schemas = [USER_SCHEMA.to_owned()].into_iter().chain(extensions);
    members.insert("schemas".to_owned(), schemas.map(Value::from).collect());
}

fn is_unassigned(value: &Value) -> bool {
    value.is_null() || value.as_array().is_some_and(Vec::is_empty)
}

fn check_one(schema: Option<&str>, name: &str, value: &Value) -> Result<(), Refusal> {
    let form = form(schema, name).ok_or_else(|| invalid(name))?;
    let fits = match form {
        Form::Text => value.is_string(),
        Form::Flag => value.is_boolean(),
        Form::Object(known) => has_only(value, known),
        Form::List(known) => is_list(name, value, known),
        Form::Any | Form::ReadOnly => true,
    };
    if fits { Ok(()) } else { Err(invalid(name)) }
}

fn invalid(name: &str) -> Refusal {
    Refusal::new(400, format!("the value of `{name}` is not valid")).code("invalidValue")
}

fn has_only(value: &Value, known: &[&str]) -> bool {
    value.as_object().is_some_and(|members| {
        members.iter().all(|(name, value)| {
            let form_fits = if name == "primary" { value.is_boolean() } else { value.is_string() };
            known.contains(&name.as_str()) && form_fits
        })
    })
}

/// RFC 7643 §2.4: one value is the primary one at most.
fn is_list(name: &str, value: &Value, known: &[&str]) -> bool {
    let Value::Array(values) = value else { return false };
    let primaries = values.iter().filter(|value| value["primary"] == true).count();
    let mails = name != "emails"
        || values.iter().all(|value| value["value"].as_str().is_none_or(checks::has_mail_shape));
    primaries <= 1 && mails && values.iter().all(|value| has_only(value, known))
}
