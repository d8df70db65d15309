//! `BioT`, "Update Organization User": a partial object; members marked (*) are mandatory when
//! their parent is present.

use super::{
    CustomType, SandboxTenant, biot_life, biot_list, checks,
    practice::{
        Edited, Incoming, PracticeApi, Refusal, Scene, fill, idle_members, members_of, millis,
        overlay,
    },
};
use jiff::Timestamp;
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;

pub(super) struct Biot;

/// What one member must look like.
#[derive(Clone, Copy)]
enum Shape {
    Text,
    /// At most 5000 characters.
    Description,
    Email,
    Phone,
    Locale,
    Gender,
    Date,
    DateTime,
    Timezone,
    Link,
    Country,
    Flag,
    /// 1 to 1440: a day at most.
    Minutes,
    Integer,
    Decimal,
    Uuid,
    /// An object with these members; `true` marks (*).
    Object(&'static [(&'static str, Self, bool)]),
}

const NAME: Shape =
    Shape::Object(&[("firstName", Shape::Text, true), ("lastName", Shape::Text, true)]);
const ADDRESS: Shape = Shape::Object(&[
    ("countryCode", Shape::Country, true),
    ("state", Shape::Text, false),
    ("city", Shape::Text, false),
    ("zipCode", Shape::Text, false),
    ("address1", Shape::Text, false),
    ("address2", Shape::Text, false),
]);
const MFA: Shape = Shape::Object(&[
    ("enabled", Shape::Flag, true),
    ("expirationInMinutes", Shape::Minutes, false),
]);
const REFERENCE: Shape = Shape::Object(&[("id", Shape::Uuid, true)]);

/// The document's body parameters.
const MEMBERS: &[(&str, Shape)] = &[
    ("_name", NAME),
    ("_description", Shape::Description),
    ("_email", Shape::Email),
    ("_phone", Shape::Phone),
    ("_locale", Shape::Locale),
    ("_gender", Shape::Gender),
    ("_dateOfBirth", Shape::Date),
    ("_address", ADDRESS),
    ("_mfa", MFA),
    ("_employeeId", Shape::Text),
    ("_ownerOrganization", REFERENCE),
];

impl PracticeApi for Biot {
    fn check_id(&self, id: &str) -> Result<(), &'static str> {
        if checks::is_uuid(id) { Ok(()) } else { Err("a BioT user id is a UUID") }
    }

    fn furnish(&self, id: &str, account: &mut Map<String, Value>, now: Timestamp) {
        fill(account, "_id", id);
        fill(account, "_enabled", "ENABLED");
        fill(account, "_creationTime", millis(now));
        fill(account, "_lastModifiedTime", millis(now));
    }

    fn user_in(&self, tenant: &SandboxTenant, request: &Incoming) -> Result<String, Refusal> {
        let segments = request.path_segments();
        let (id, switches) = match segments[..] {
            ["organization", "v1", "users", "organizations", id] => (id, false),
            ["organization", "v1", "users", "organizations", id, "enabled-state", _] => (id, true),
            _ => return Err(Refusal::new(404, "no such route").code("NOT_FOUND").avoidable()),
        };
        let is_right = match request.method.as_str() {
            "POST" => switches && tenant.mortal,
            "DELETE" => !switches && tenant.mortal,
            _ => request.is_read_or_patch() && !switches,
        };
        if !is_right {
            return Err(Refusal::of_status(405));
        }
        match request.query.as_deref() {
            None | Some("includeReferencers=true" | "includeReferencers=false") => {}
            Some(_) => return Err(Refusal::new(400, "unknown query parameter")),
        }
        self.check_id(id).map_err(|_| Refusal::new(400, "id must be a UUID"))?;
        Ok(id.to_owned())
    }

    fn find(&self, tenant: &SandboxTenant, request: &Incoming) -> Option<Result<Value, Refusal>> {
        biot_life::find(tenant, request)
    }

    fn create(
        &self,
        tenant: &SandboxTenant,
        request: &Incoming,
        body: &Value,
    ) -> Option<Result<(String, Value), Refusal>> {
        biot_life::create(self, tenant, request, body)
    }

    fn switch(
        &self,
        _: &SandboxTenant,
        request: &Incoming,
        account: &Value,
    ) -> Option<Result<Value, Refusal>> {
        biot_life::switch(request, account)
    }

    fn no_such_user(&self) -> Refusal {
        Refusal::new(404, "User not found").code("USER_NOT_FOUND")
    }

    fn media_type_status(&self) -> u16 {
        415
    }

    fn list(&self, tenant: &SandboxTenant, request: &Incoming) -> Option<Result<Value, Refusal>> {
        let is_list = request.path_segments() == ["organization", "v1", "users", "organizations"];
        (is_list && request.method == "GET").then(|| biot_list::list(tenant, request))
    }

    fn get(&self, _: &SandboxTenant, _: &str, account: &Value) -> Value {
        account.clone()
    }

    fn patch(&self, scene: &Scene<'_>, body: &Value) -> Result<Edited, Refusal> {
        let (members, remarks) = members_of(body)?;
        for (name, value) in members {
            check_member(scene.tenant, name, value)?;
        }
        if let Some(email) = members.get("_email").and_then(Value::as_str)
            && scene.taken(email, |account| account["_email"].as_str())
        {
            return Err(Refusal::of_status(409).code("EMAIL_ALREADY_EXIST"));
        }
        let idle = idle_members(scene.account, members);
        let mut account = scene.account.clone();
        overlay(&mut account, members, scene.tenant.nested);
        Ok(Edited { account, idle, remarks })
    }

    fn touch(&self, account: &mut Value, now: Timestamp) {
        account["_lastModifiedTime"] = millis(now).into();
    }

    fn error_body(&self, refusal: &Refusal) -> Value {
        let code = refusal.code.unwrap_or(match refusal.status {
            400 => "BAD_REQUEST",
            401 => "TOKEN_NOT_VALID",
            403 => "ACCESS_DENIED",
            404 => "USER_NOT_FOUND",
            405 => "METHOD_NOT_ALLOWED",
            409 => "CONFLICT",
            413 => "PAYLOAD_TOO_LARGE",
            415 => "UNSUPPORTED_MEDIA_TYPE",
            429 => "TOO_MANY_REQUESTS",
            503 => "SERVICE_UNAVAILABLE",
            504 => "GATEWAY_TIMEOUT",
            _ => "INTERNAL_SERVER_ERROR",
        });
        let details = if refusal.details.is_null() { json!({}) } else { refusal.details.clone() };
        json!({
            "code": code,
            "message": refusal.message,
            "serviceName": "organization",
            "traceId": "00000000000000000000000000000000",
            "environment": "sandbox",
            "details": details,
        })
    }
}

fn check_member(tenant: &SandboxTenant, name: &str, value: &Value) -> Result<(), Refusal> {
    if let Some((_, shape)) = MEMBERS.iter().find(|(member, _)| *member == name) {
        return check_shape(name, *shape, value);
    }
    match tenant.custom_attributes.get(name) {
        Some(custom) => check_custom(name, custom, value),
        None => Err(refuse("ATTRIBUTE_NOT_VALID_FOR_TEMPLATE", name, "is not an attribute here")),
    }
}

fn check_custom(name: &str, custom: &CustomType, value: &Value) -> Result<(), Refusal> {
    let shape = match custom {
        CustomType::Label | CustomType::Paragraph => Shape::Text,
        CustomType::Integer => Shape::Integer,
        CustomType::Decimal => Shape::Decimal,
        CustomType::Boolean => Shape::Flag,
        CustomType::Address => ADDRESS,
        CustomType::Name => NAME,
        CustomType::Phone => Shape::Phone,
        CustomType::Email => Shape::Email,
        CustomType::DateTime => Shape::DateTime,
        CustomType::Date => Shape::Date,
        CustomType::Timezone => Shape::Timezone,
        CustomType::Locale => Shape::Locale,
        CustomType::Link => Shape::Link,
        // The document does not say how a reference is written: as an id, or as `{ "id": … }`.
        CustomType::Reference if value.is_object() => REFERENCE,
        CustomType::Reference => Shape::Uuid,
        CustomType::SingleSelect(allowed) => return check_choices(name, allowed, &[value]),
        CustomType::MultiSelect(allowed) => {
            let Value::Array(chosen) = value else { return Err(type_mismatch(name)) };
            return check_choices(name, allowed, &chosen.iter().collect::<Vec<_>>());
        }
        CustomType::File | CustomType::Image | CustomType::Waveform => {
            let code = "WRITE_MODE_NOT_VALID_FOR_ATTRIBUTE_TYPE";
            return Err(refuse(code, name, "cannot be written here"));
        }
    };
    check_shape(name, shape, value)
}

fn check_choices(name: &str, allowed: &[String], chosen: &[&Value]) -> Result<(), Refusal> {
    let mut seen = BTreeSet::new();
    for choice in chosen {
        let Some(choice) = choice.as_str() else { return Err(type_mismatch(name)) };
        if !seen.insert(choice) {
            return Err(refuse("SELECT_ATTRIBUTE_DUPLICATED_VALUES", name, "repeats a value"));
        }
        if !allowed.is_empty() && !allowed.iter().any(|known| known == choice) {
            let refusal = refuse("SELECT_ATTRIBUTE_INVALID_VALUE", name, "is not among the values");
            let details = json!({ "attributeName": name, "allowedValues": allowed });
            return Err(refusal.details(details).unavoidable());
        }
    }
    Ok(())
}

fn check_shape(name: &str, shape: Shape, value: &Value) -> Result<(), Refusal> {
    let text = |fits: &dyn Fn(&str) -> bool, code| match value.as_str() {
        None => Err(type_mismatch(name)),
        Some(text) if fits(text) => Ok(()),
        Some(_) => Err(refuse(code, name, "does not have the documented form")),
    };
    let typed = |fits| if fits { Ok(()) } else { Err(type_mismatch(name)) };
    let pattern = "ATTRIBUTE_REGEX_VALIDATION_FAILED";
    match shape {
        Shape::Object(members) => check_object(name, members, value),
        Shape::Country if value.is_null() => {
            Err(refuse("COUNTRY_CODE_CANNOT_BE_NULL", name, "cannot be null"))
        }
        Shape::Text => typed(value.is_string()),
        Shape::Flag => typed(value.is_boolean()),
        Shape::Integer => typed(checks::safe_integer(value).is_some()),
        Shape::Decimal => typed(value.is_number()),
        Shape::Minutes => check_minutes(name, value),
        Shape::Description => {
            text(&|text| text.chars().count() <= 5000, "VALIDATION_MAX_ALLOWED_VALUE")
        }
        Shape::Gender => text(
            &|text| ["MALE", "FEMALE", "UNDISCLOSED"].contains(&text),
            "SELECT_ATTRIBUTE_INVALID_VALUE",
        ),
        Shape::Locale => text(&checks::is_lower_case_locale, "VALIDATION_LOCALE_NOT_VALID"),
        Shape::Timezone => text(&is_zone_name, "VALIDATION_TIMEZONE_NOT_VALID"),
        Shape::Date => text(&checks::is_iso_date, "ATTRIBUTE_VALUE_CONVERSION_FAILED"),
        Shape::DateTime => {
            text(&|text| text.parse::<Timestamp>().is_ok(), "ATTRIBUTE_VALUE_CONVERSION_FAILED")
        }
        Shape::Email => text(&checks::is_rfc5322_address, pattern),
        Shape::Phone => text(&checks::is_e164, pattern),
        Shape::Country => text(&checks::is_country, pattern),
        Shape::Uuid => text(&checks::is_uuid, pattern),
        Shape::Link => {
            text(&|text| text.starts_with("https://") || text.starts_with("http://"), pattern)
        }
    }
}

fn check_object(
    parent: &str,
    members: &[(&str, Shape, bool)],
    value: &Value,
) -> Result<(), Refusal> {
    let Value::Object(sent) = value else {
        let refusal = type_mismatch(parent);
        let is_owner = parent == "_ownerOrganization" && value.is_null();
        return Err(if is_owner {
            refusal.code("OWNER_ORGANIZATION_CANNOT_BE_NULL")
        } else {
            refusal
        });
    };
    if let Some(name) = sent.keys().find(|name| !members.iter().any(|(known, ..)| known == name)) {
        let path = format!("{parent}.{name}");
        return Err(refuse("ATTRIBUTE_NOT_VALID_FOR_TEMPLATE", &path, "is not an attribute here"));
    }
    for (member, shape, mandatory) in members {
        let path = format!("{parent}.{member}");
        match sent.get(*member) {
            Some(value) => check_shape(&path, *shape, value)?,
            None if *mandatory => {
                return Err(refuse("ATTRIBUTE_IS_MANDATORY", &path, "must go with its parent"));
            }
            None => {}
        }
    }
    Ok(())
}

fn check_minutes(name: &str, value: &Value) -> Result<(), Refusal> {
    match value.as_i64() {
        None => Err(type_mismatch(name)),
        Some(..1) => Err(refuse("VALIDATION_MINIMUM_ALLOWED_VALUE", name, "is below 1")),
        Some(1441..) => Err(refuse("VALIDATION_MAX_ALLOWED_VALUE", name, "is above 1440")),
        Some(1..=1440) => Ok(()),
    }
}

/// `Europe/Berlin`, `UTC`
fn is_zone_name(text: &str) -> bool {
    let is_word = |part: &str| {
        !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"_+-".contains(&b))
    };
    text.split('/').all(is_word)
}

fn type_mismatch(name: &str) -> Refusal {
    refuse("ATTRIBUTE_VALUE_TYPE_MISMATCH", name, "has the wrong type")
}

fn refuse(code: &'static str, name: &str, problem: &str) -> Refusal {
    let refusal = Refusal::new(400, format!("`{name}` {problem}")).code(code);
    refusal.details(json!({ "attributeName": name }))
}
