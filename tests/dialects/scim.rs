//! A SCIM user and what a `PatchOp` does to it, by RFC 7644 §3.5.2, strictly.

use crate::models::{Model, put_at};
use rosterd::model::{AttrPath, Attributes};
use serde_json::{Value as Json, json};
use std::collections::BTreeSet;

const WORK_EMAIL: &str = r#"emails[type eq "work"].value"#;

pub(crate) struct Scim;

impl Model for Scim {
    fn store(&self, id: &str, attributes: &Attributes) -> Json {
        let mut stored = json!({
            "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"],
            "id": id,
            "meta": { "resourceType": "User" },
        });
        for (path, value) in attributes {
            if let Some(value) = value {
                self.put(&mut stored, path, &value.to_json());
            }
        }
        stored
    }

    fn put(&self, stored: &mut Json, path: &AttrPath, json: &Json) {
        match path.as_str() {
            WORK_EMAIL => {
                stored["emails"] = json!([{ "type": "work", "primary": true, "value": json }]);
            }
            path => put_at(stored, path, json),
        }
    }

    fn apply(&self, stored: &mut Json, body: &Json) {
        assert_eq!(body["schemas"], json!(["urn:ietf:params:scim:api:messages:2.0:PatchOp"]));
        assert_eq!(body.as_object().unwrap().len(), 2);
        let operations = body["Operations"].as_array().unwrap();
        assert!(!operations.is_empty());
        for operation in operations {
            assert_eq!(operation.as_object().unwrap().len(), 3);
            let path = Path::parse(operation["path"].as_str().expect("every path is explicit"));
            match operation["op"].as_str().unwrap() {
                "add" => add(stored, &path, &operation["value"]),
                "replace" => replace(stored, &path, &operation["value"]),
                other => panic!("{other} is not offered"),
            }
        }
    }

    fn named(&self, body: &Json) -> BTreeSet<AttrPath> {
        let operations = body["Operations"].as_array().unwrap();
        let named: BTreeSet<_> = operations
            .iter()
            .map(|operation| match operation["path"].as_str().unwrap() {
                "emails" => AttrPath::new(WORK_EMAIL),
                path => AttrPath::new(path),
            })
            .collect();
        assert_eq!(named.len(), operations.len(), "an attribute is named twice");
        named
    }
}

/// `attr`, `attr.sub` or `attr[name eq "value"].sub`.
struct Path {
    attribute: String,
    filter: Option<(String, String)>,
    sub: Option<String>,
}

impl Path {
    fn parse(text: &str) -> Self {
        if let Some((attribute, rest)) = text.split_once('[') {
            let (filter, sub) = rest.split_once(']').unwrap();
            let (name, value) = filter.split_once(" eq ").unwrap();
            let value: String = serde_json::from_str(value).unwrap();
            return Self {
                attribute: attribute.to_owned(),
                filter: Some((name.to_owned(), value)),
                sub: sub.strip_prefix('.').map(str::to_owned),
            };
        }
        let (attribute, sub) = match text.split_once('.') {
            Some((attribute, sub)) => (attribute, Some(sub.to_owned())),
            None => (text, None),
        };
        Self { attribute: attribute.to_owned(), filter: None, sub }
    }

    fn dotted(&self) -> String {
        match &self.sub {
            Some(sub) => format!("{}.{sub}", self.attribute),
            None => self.attribute.clone(),
        }
    }
}

/// §3.5.2.1: a value of a list is appended, unless the list already holds it; a single value is set.
fn add(stored: &mut Json, path: &Path, value: &Json) {
    assert!(path.filter.is_none(), "adding below a filter is not defined");
    let Some(added) = value.as_array() else { return put_at(stored, &path.dotted(), value) };
    let object = stored.as_object_mut().unwrap();
    let list = object.entry(&path.attribute).or_insert_with(|| json!([])).as_array_mut().unwrap();
    for value in added {
        if list.contains(value) {
            continue;
        }
        // §3.5.2: a new primary value takes the place of the old.
        for other in list.iter_mut().filter(|_| value["primary"] == true) {
            other["primary"] = json!(false);
        }
        list.push(value.clone());
    }
}

/// §3.5.2.3: what a filter matches is set, and a filter that matches nothing is an error.
fn replace(stored: &mut Json, path: &Path, value: &Json) {
    let Some((name, wanted)) = &path.filter else {
        return put_at(stored, &path.dotted(), value);
    };
    let list = stored.get_mut(&path.attribute).and_then(Json::as_array_mut).expect("noTarget");
    let mut matched = 0;
    for member in list.iter_mut().filter(|member| member[name] == wanted.as_str()) {
        member[path.sub.as_ref().unwrap()] = value.clone();
        matched += 1;
    }
    assert!(matched > 0, "noTarget");
}
