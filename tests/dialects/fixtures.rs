//! One tenant of each API, and short ways to open it and to ask it.

use jiff::civil::{Date, date};
use rosterd::{
    dialect::{Dialect, Entry, Opened, REGISTRY, Settings},
    model::{
        Action, Answer, AttrPath, Attributes, Body, Capabilities, Edit, Kind, Reach, RemoteId,
        Response, Value,
    },
};
use serde_json::{Value as Json, json};
use std::collections::BTreeMap;

pub(crate) const TODAY: Date = date(2026, 11, 21);
pub(crate) const UUID: &str = "a1d97031-04e2-4907-a249-093f7436207b";
pub(crate) const OTHER_UUID: &str = "d1a2b3c4-e5f6-7890-abcd-ef1234567890";

/// Where the SCIM directory of these tests begins, and its tenant's own schema.
pub(crate) const DIRECTORY: &str = "https://directory.example.com/acme";
pub(crate) const ACME: &str = "urn:example:schemas:acme:2.0:User";

/// One tenant of one API.
pub(crate) struct Fixture {
    pub(crate) dialect: &'static str,
    pub(crate) settings: Json,
    /// Where its requests must go.
    pub(crate) base: &'static str,
    pub(crate) id: &'static str,
    pub(crate) other_id: &'static str,
}

pub(crate) fn all() -> Vec<Fixture> {
    let host = "https://directory.example.com";
    let uuids = |dialect, settings, base| Fixture {
        dialect,
        settings,
        base,
        id: UUID,
        other_id: OTHER_UUID,
    };
    vec![
        workiva("2022-01-01"),
        workiva("2026-01-01"),
        uuids("biot", json!({ "base_url": host, "custom": every_custom_type() }), host),
        uuids(
            "biot",
            json!({ "base_url": host, "null_clears": true, "custom": every_custom_type() }),
            host,
        ),
        uuids(
            "scalepad",
            json!({ "base_url": "https://api.example.com/v2/", "client_id": OTHER_UUID }),
            "https://api.example.com/v2",
        ),
        Fixture {
            dialect: "kare",
            settings: json!({ "base_url": "https://kare.example.com/main" }),
            base: "https://kare.example.com/main",
            id: "17",
            other_id: "18",
        },
        uuids("datadog", json!({ "site": "datadoghq.eu" }), "https://api.datadoghq.eu"),
        uuids("scim", directory(), DIRECTORY),
        uuids("scim", directory(), DIRECTORY).with("preset", json!("github_enterprise")),
    ]
}

fn workiva(api_version: &str) -> Fixture {
    Fixture {
        dialect: "workiva",
        settings: json!({
            "region": "eu",
            "organization_id": OTHER_UUID,
            "api_version": api_version,
        }),
        base: "https://api.eu.wdesk.com",
        id: "V1ZVd2VyFzU3NiQ1NDA4NjIzNzk2MjD",
        other_id: "V1ZVd2VyFzU3NiQ1NDA4NjIzNzk2MjE",
    }
}

fn every_custom_type() -> Json {
    json!({
        "label": "LABEL",
        "story": "PARAGRAPH",
        "floor": { "type": "INTEGER", "min": -2, "max": 40 },
        "ratio": "DECIMAL",
        "remote": "BOOLEAN",
        "badge": { "type": "SINGLE_SELECT", "values": ["RED", "GREEN", "BLUE"] },
        "skills": { "type": "MULTI_SELECT", "values": ["WELD", "DRIVE", "SWIM"] },
        "home": "ADDRESS",
        "formerly": "NAME",
        "mobile": "PHONE",
        "private": "EMAIL",
        "hired": "DATE_TIME",
        "born": "DATE",
        "mentor": "REFERENCE",
        "zone": "TIMEZONE",
        "tongue": "LOCALE",
        "page": "LINK",
    })
}

/// The first tenant of that API.
pub(crate) fn of(dialect: &str) -> Fixture {
    all().into_iter().find(|fixture| fixture.dialect == dialect).unwrap()
}

impl Fixture {
    pub(crate) fn open(&self) -> Box<dyn Dialect> {
        open(self.dialect, &self.settings).unwrap_or_else(|problems| {
            panic!("{}: {problems:?}", self.dialect);
        })
    }

    pub(crate) fn id(&self) -> RemoteId {
        RemoteId::parse(self.id).unwrap()
    }

    /// The same tenant with one setting changed; null removes it.
    pub(crate) fn with(mut self, key: &str, value: Json) -> Self {
        let table = self.settings.as_object_mut().unwrap();
        if value.is_null() {
            table.remove(key);
        } else {
            table.insert(key.to_owned(), value);
        }
        self
    }

    /// What its bodies are called.
    pub(crate) fn media_type(&self) -> String {
        let is_scim = self.dialect == "scim";
        (if is_scim { "application/scim+json" } else { "application/json" }).to_owned()
    }

    /// Reads a response to the action, today.
    pub(crate) fn read(&self, action: &Action, response: &Response) -> Answer {
        self.open().read(Some(&self.id()), action, response, TODAY)
    }
}

pub(crate) fn entry(dialect: &str) -> &'static Entry {
    REGISTRY.iter().find(|entry| entry.name == dialect).unwrap()
}

pub(crate) fn open(dialect: &str, settings: &Json) -> Opened {
    open_with(dialect, settings, false)
}

pub(crate) fn open_with(dialect: &str, settings: &Json, allow_http_loopback: bool) -> Opened {
    let table = settings.as_object().unwrap().clone();
    let reach = Reach { loopback: allow_http_loopback, ..Reach::default() };
    (entry(dialect).open)(&Settings { table, reach })
}

pub(crate) fn response(status: u16, body: &Json) -> Response {
    raw_response(status, "application/json", body.to_string().as_bytes())
}

pub(crate) fn raw_response(status: u16, content_type: &str, body: &[u8]) -> Response {
    let headers = vec![("content-type".to_owned(), content_type.to_owned())];
    Response { status, headers, body: Body::Whole(body.to_vec()) }
}

/// A change of these attributes, with the known members of their groups going along.
pub(crate) fn patch(
    capabilities: &Capabilities,
    known: &Attributes,
    wanted: &Attributes,
) -> Action {
    let edits: Vec<_> = wanted
        .iter()
        .filter(|(path, after)| known.get(path) != Some(after))
        .map(|(path, after)| Edit {
            path: path.clone(),
            before: known.get(path).cloned(),
            after: after.clone(),
        })
        .collect();
    let is_edited = |path: &AttrPath| edits.iter().any(|edit| edit.path == *path);
    let mut companions = BTreeMap::new();
    for group in &capabilities.groups {
        if group.members.iter().any(is_edited) {
            let others = group.members.iter().filter(|path| !is_edited(path));
            let values = others.filter_map(|path| Some((path.clone(), known.get(path)?.clone()?)));
            companions.extend(values);
        }
    }
    Action::Patch { edits, companions }
}

/// A change of one attribute of a user whose every attribute is known.
pub(crate) fn patch_of(capabilities: &Capabilities, path: &str) -> Action {
    let path = AttrPath::new(path);
    let sample = |(path, attribute): (&AttrPath, &rosterd::model::Attribute)| {
        (path.clone(), Some(sample(&attribute.kind)))
    };
    let mut known: Attributes = capabilities.attributes.iter().map(sample).collect();
    let wanted = [(path.clone(), known[&path].clone())].into();
    known.insert(path, None);
    patch(capabilities, &known, &wanted)
}

/// Some value of the kind.
pub(crate) fn sample(kind: &Kind) -> Value {
    match kind {
        Kind::Text => Value::text("Zoë \"O'Neill\" 李/~"),
        Kind::Email => Value::text("zoe@example.com"),
        Kind::Phone => Value::text("+12345678901"),
        Kind::Country => Value::text("US"),
        Kind::Locale => Value::text("en-us"),
        Kind::Date => Value::text("2007-12-20"),
        Kind::DateTime => Value::text("2026-02-24T21:23:53Z"),
        Kind::TimeZone => Value::text("Europe/Paris"),
        Kind::Link => Value::text("https://example.com/a?b=c"),
        Kind::Flag => Value::Flag(false),
        Kind::Integer { min, .. } => Value::Integer(*min),
        Kind::Decimal => Value::number(1.25).unwrap(),
        Kind::Choice(values) => Value::text(values[0].as_str()),
        Kind::Number(values) => Value::Integer(values[0]),
        Kind::Uuid => Value::text(UUID),
        Kind::SetOf(kind) => Value::Set([sample(kind)].into()),
    }
}

pub(crate) fn body_of(request: &rosterd::model::Request) -> Json {
    serde_json::from_slice(request.body.as_ref().unwrap()).unwrap()
}

pub(crate) fn directory() -> Json {
    json!({ "base_url": DIRECTORY, "custom": {
        format!("{ACME}:badge"): "string",
        format!("{ACME}:floor"): { "type": "integer", "min": -2, "max": 40 },
        format!("{ACME}:remote"): "boolean",
        format!("{ACME}:skills"): { "type": "string", "list": "plain", "values": ["WELD", "SWIM"] },
        format!("{ACME}:desk.room"): "string",
        r#"emails[type eq "private"].value"#: "email",
        r#"ims[type eq "x\"y"].value"#: "string",
    }})
}
