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
            (Api::Kare, "professionId") => account["profession"] = json!({ "id": value }),
            _ => put(&mut account, path, value),
        }
    }
    account
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
