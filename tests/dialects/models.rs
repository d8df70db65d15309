//! The target APIs as their documents describe them, written apart from the code under test: how a
//! user is stored and shown, and what a PATCH does to it.

use crate::{
    directory::Directory,
    fixtures::{Fixture, response},
    scim::Scim,
};
use rosterd::model::{Action, AttrPath, Attributes, Request, Value};
use serde_json::{Map, Value as Json, json};
use std::collections::BTreeSet;

/// One API's users. `stored` is a user as the API's read shows it, without any envelope.
pub(crate) trait Model {
    fn store(&self, id: &str, attributes: &Attributes) -> Json;

    /// Puts any JSON where the attribute is shown.
    fn put(&self, stored: &mut Json, path: &AttrPath, json: &Json);

    fn apply(&self, stored: &mut Json, body: &Json);

    fn read_answer(&self, stored: &Json) -> Json {
        stored.clone()
    }

    fn patch_answer(&self, stored: &Json) -> Json {
        stored.clone()
    }

    /// The attributes that a request names.
    fn named(&self, body: &Json) -> BTreeSet<AttrPath>;

    /// How a request names the attribute.
    fn name_of(&self, path: &AttrPath) -> AttrPath {
        path.clone()
    }

    /// What the API shows once an attribute was unset.
    fn when_unset(&self) -> Option<Value> {
        None
    }

    /// A second reading of the document, where it leaves one open.
    fn other_reading(&self) -> Option<Box<dyn Model>> {
        None
    }
}

pub(crate) fn of(fixture: &Fixture) -> Box<dyn Model> {
    match fixture.dialect {
        "workiva" => Box::new(Workiva),
        "biot" => Box::new(Biot { merges: false }),
        "scalepad" => Box::new(ScalePad),
        "kare" => Box::new(Kare { merges: false }),
        "datadog" => Box::new(Scim),
        "scim" => Box::new(Directory),
        other => panic!("no model of {other}"),
    }
}

fn set_all(model: &dyn Model, mut stored: Json, attributes: &Attributes) -> Json {
    for (path, value) in attributes {
        if let Some(value) = value {
            model.put(&mut stored, path, &value.to_json());
        }
    }
    stored
}

/// Puts a value at `a` or `a.b`.
pub(crate) fn put_at(stored: &mut Json, path: &str, json: &Json) {
    let object = stored.as_object_mut().unwrap();
    match path.split_once('.') {
        None => _ = object.insert(path.to_owned(), json.clone()),
        Some((parent, member)) => {
            let parent = object.entry(parent).or_insert_with(|| json!({}));
            parent.as_object_mut().unwrap().insert(member.to_owned(), json.clone());
        }
    }
}

/// JSON Patch (RFC 6902), by a library and by hand; both must agree.
struct Workiva;

impl Model for Workiva {
    fn store(&self, id: &str, attributes: &Attributes) -> Json {
        let names = ["givenName", "familyName", "displayName", "username", "email"];
        let mut stored = json!({
            "id": id,
            "status": "active",
            "created": { "dateTime": "2019-10-01T15:03:27Z" },
        });
        for name in names {
            stored[name] = Json::Null;
        }
        set_all(self, stored, attributes)
    }

    fn put(&self, stored: &mut Json, path: &AttrPath, json: &Json) {
        put_at(stored, path.as_str(), json);
    }

    fn apply(&self, stored: &mut Json, body: &Json) {
        let mut by_hand = stored.clone();
        for operation in body.as_array().unwrap() {
            let operation = operation.as_object().unwrap();
            assert_eq!(operation.len(), 3);
            assert_eq!(operation["op"], "replace");
            let target = by_hand.pointer_mut(operation["path"].as_str().unwrap());
            *target.expect("RFC 6902 §4.3: the target location must exist") =
                operation["value"].clone();
        }
        let patch: json_patch::Patch = serde_json::from_value(body.clone()).unwrap();
        json_patch::patch(stored, &patch).unwrap();
        assert_eq!(*stored, by_hand);
    }

    fn named(&self, body: &Json) -> BTreeSet<AttrPath> {
        let operations = body.as_array().unwrap();
        let paths: Vec<_> = operations
            .iter()
            .map(|operation| AttrPath::new(&operation["path"].as_str().unwrap()[1..]))
            .collect();
        let named: BTreeSet<_> = paths.iter().cloned().collect();
        assert_eq!(named.len(), paths.len(), "an attribute is named twice");
        named
    }
}

/// A partial object: "if a field is specified it will be updated". Whether a sent object replaces
/// the stored one or is merged into it is open; null unsets, for the tenants that say so.
struct Biot {
    merges: bool,
}

impl Model for Biot {
    fn store(&self, id: &str, attributes: &Attributes) -> Json {
        set_all(self, json!({ "_id": id, "_enabled": "ENABLED" }), attributes)
    }

    fn put(&self, stored: &mut Json, path: &AttrPath, json: &Json) {
        if path.as_str() == "mentor" && !json.is_object() {
            put_at(stored, "mentor.id", json);
        } else {
            put_at(stored, path.as_str(), json);
        }
    }

    fn apply(&self, stored: &mut Json, body: &Json) {
        update(stored.as_object_mut().unwrap(), body, self.merges);
    }

    fn named(&self, body: &Json) -> BTreeSet<AttrPath> {
        leaves(body)
            .into_iter()
            .map(|path| match path.as_str() {
                "mentor.id" => AttrPath::new("mentor"),
                path => AttrPath::new(path),
            })
            .collect()
    }

    fn other_reading(&self) -> Option<Box<dyn Model>> {
        (!self.merges).then(|| Box::new(Self { merges: true }) as Box<dyn Model>)
    }
}

fn update(stored: &mut Map<String, Json>, body: &Json, merges: bool) {
    for (name, value) in body.as_object().unwrap() {
        match value {
            Json::Null => _ = stored.remove(name),
            Json::Object(_) => {
                let kept = stored.remove(name).filter(|_| merges).unwrap_or_else(|| json!({}));
                let mut kept = kept.as_object().unwrap().clone();
                update(&mut kept, value, merges);
                stored.insert(name.clone(), Json::Object(kept));
            }
            value => _ = stored.insert(name.clone(), value.clone()),
        }
    }
}

fn leaves(body: &Json) -> Vec<String> {
    let mut paths = Vec::new();
    for (name, value) in body.as_object().unwrap() {
        match value {
            Json::Object(members) => {
                assert!(!members.is_empty(), "an empty object says nothing");
                paths.extend(members.keys().map(|member| format!("{name}.{member}")));
            }
            _ => paths.push(name.clone()),
        }
    }
    paths
}

/// A list of ids replaces the whole list; the answer shows objects.
struct ScalePad;

impl Model for ScalePad {
    fn store(&self, id: &str, attributes: &Attributes) -> Json {
        set_all(self, json!({ "id": id, "username": "mikechang" }), attributes)
    }

    fn put(&self, stored: &mut Json, path: &AttrPath, json: &Json) {
        assert_eq!(path.as_str(), "departments");
        let department = |id: &Json| json!({ "name": "Engineering", "description": "", "id": id });
        stored["departments"] = match json {
            // In another order and another case than it was sent.
            Json::Array(ids) => ids
                .iter()
                .rev()
                .map(|id| match id {
                    Json::String(id) => department(&json!(id.to_uppercase())),
                    other => department(other),
                })
                .collect(),
            other => other.clone(),
        };
    }

    fn apply(&self, stored: &mut Json, body: &Json) {
        for (name, ids) in body.as_object().unwrap() {
            assert!(ids.as_array().unwrap().iter().all(Json::is_string));
            self.put(stored, &AttrPath::new(name), ids);
        }
    }

    fn named(&self, body: &Json) -> BTreeSet<AttrPath> {
        body.as_object().unwrap().keys().map(|name| AttrPath::new(name)).collect()
    }

    fn when_unset(&self) -> Option<Value> {
        Some(Value::Set([].into()))
    }
}

/// A partial object; the answer to a PATCH shows the membership only, a read shows the profession
/// as an object.
struct Kare {
    merges: bool,
}

impl Model for Kare {
    fn store(&self, id: &str, attributes: &Attributes) -> Json {
        let id: Json = serde_json::from_str(id).unwrap();
        set_all(self, json!({ "id": id, "email": "j@example.com", "phone": null }), attributes)
    }

    fn put(&self, stored: &mut Json, path: &AttrPath, json: &Json) {
        match path.as_str() {
            "professionId" => stored["profession"] = json!({ "id": json, "name": "Engineer" }),
            path => put_at(stored, path, json),
        }
    }

    fn apply(&self, stored: &mut Json, body: &Json) {
        let mut body = body.clone();
        if let Some(id) = body.as_object_mut().unwrap().remove("professionId") {
            self.put(stored, &AttrPath::new("professionId"), &id);
        }
        update(stored.as_object_mut().unwrap(), &body, self.merges);
    }

    fn read_answer(&self, stored: &Json) -> Json {
        json!({ "data": stored })
    }

    fn patch_answer(&self, stored: &Json) -> Json {
        json!({ "data": {
            "userId": stored["id"],
            "organizationId": 1,
            "scope": stored["scope"],
            "permissions": stored["permissions"],
            "deletedAt": null,
            "updatedAt": "2024-12-09T14:23:00.000Z",
        }})
    }

    fn named(&self, body: &Json) -> BTreeSet<AttrPath> {
        leaves(body).iter().map(|path| AttrPath::new(path)).collect()
    }

    fn other_reading(&self) -> Option<Box<dyn Model>> {
        (!self.merges).then(|| Box::new(Self { merges: true }) as Box<dyn Model>)
    }
}

impl Fixture {
    /// Spells the action, after a look at a user without attributes where the dialect wants one.
    pub(crate) fn spell(&self, action: &Action) -> Result<Request, String> {
        let (dialect, model) = (self.open(), of(self));
        let look = response(200, &model.read_answer(&model.store(self.id, &[].into())));
        let basis = dialect.basis(&self.id(), &look);
        let basis = basis.filter(|_| dialect.builds_on_look(action));
        dialect.request_on(Some(&self.id()), action, basis.as_ref())
    }
}
