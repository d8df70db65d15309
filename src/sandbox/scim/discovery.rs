//! What a server says of itself (RFC 7644 §4). Here it claims more than it does, so that nobody relies
//! on it.

use super::{LIST_SCHEMA, USER_SCHEMA};
use crate::sandbox::practice::Incoming;
use serde_json::{Value, json};

/// `None`: the request asks for something else.
pub(super) fn told(request: &Incoming) -> Option<Value> {
    match (request.method.as_str(), &request.path_segments()[..]) {
        ("GET", ["ServiceProviderConfig"]) => Some(json!({
            "schemas": ["urn:ietf:params:scim:schemas:core:2.0:ServiceProviderConfig"],
            "patch": { "supported": true },
            "bulk": { "supported": true, "maxOperations": 1000, "maxPayloadSize": 1_048_576 },
            "filter": { "supported": true, "maxResults": 200 },
            "changePassword": { "supported": false },
            "sort": { "supported": false },
            "etag": { "supported": true },
            "authenticationSchemes": [],
        })),
        ("GET", ["Schemas"]) => {
            let attribute =
                |name, kind, many| json!({ "name": name, "type": kind, "multiValued": many });
            let own = json!({
                "id": "urn:example:schemas:acme:2.0:User",
                "attributes": [
                    attribute("badge", "string", false),
                    attribute("skills", "string", true),
                    attribute("no\nname", "string", false),
                ],
            });
            let user = json!({ "id": USER_SCHEMA, "attributes": [] });
            Some(json!({
                "schemas": [LIST_SCHEMA], "totalResults": 2, "Resources": [user, own],
            }))
        }
        _ => None,
    }
}
