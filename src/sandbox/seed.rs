//! Accounts for a rehearsal: as each API would show a user with these attributes.

use super::Api;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// The account that shows these attributes, named as in the API's document (`_name.firstName`,
/// `emails[type eq "work"].value`).
#[must_use]
pub fn account_of(api: Api, attributes: &BTreeMap<String, Value>) -> Value {
    let mut account = Value::Object(Map::new());
    for (path, value) in attributes {
        match (api, path.as_str()) {
            (Api::Scalepad, "departments") => {
                let ids = value.as_array().into_iter().flatten();
                account["departments"] = ids.map(|id| json!({ "id": id })).collect();
            }
            (Api::Datadog, r#"emails[type eq "work"].value"#) => {
                account["emails"] = json!([{ "value": value, "type": "work", "primary": true }]);
            }
            (Api::Scim, path) => put_scim(&mut account, path, value),
            (Api::Kare, "professionId") => account["profession"] = json!({ "id": value }),
            _ => put(&mut account, path, value),
        }
    }
    account
}

/// The value below a filter joins the list; the name of an extension may have dots of its own.
fn put_scim(account: &mut Value, path: &str, value: &Value) {
    let (head, rest) = path.split_once('[').unwrap_or((path, ""));
    let (schema, name) =
        head.rsplit_once(':').map_or((None, head), |(urn, name)| (Some(urn), name));
    if let Some(urn) = schema {
        if !account[urn].is_object() {
            account[urn] = json!({});
        }
        return put(&mut account[urn], name, value);
    }
    let Some((filter, sub)) = rest.split_once("\"].") else {
        let as_values =
            |values: &Vec<Value>| values.iter().map(|v| json!({ "value": v })).collect();
        return put(account, name, &value.as_array().map_or_else(|| value.clone(), as_values));
    };
    let kind = filter.rsplit('"').next().unwrap_or_default();
    if !account[name].is_array() {
        account[name] = json!([]);
    }
    let Some(values) = account[name].as_array_mut() else { return };
    match values.iter_mut().find(|found| found["type"] == kind) {
        Some(found) => found[sub] = value.clone(),
        None => values.push(json!({ "type": kind, sub: value })),
    }
}

fn put(account: &mut Value, path: &str, value: &Value) {
    let mut place = account;
    for name in path.split('.') {
        if !place.is_object() {
            *place = Value::Object(Map::new());
        }
        place = &mut place[name];
    }
    *place = value.clone();
}
