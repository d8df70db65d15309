//! `BioT`: users that are found, made and switched.

use super::{
    SandboxTenant,
    biot::Biot,
    life,
    practice::{Incoming, PracticeApi, Refusal, Scene},
};
use serde_json::{Value, json};

pub(super) fn find(tenant: &SandboxTenant, request: &Incoming) -> Option<Result<Value, Refusal>> {
    let ["organization", "v1", "users", "organizations"] = request.path_segments()[..] else {
        return None;
    };
    let query = request.query.as_deref().filter(|_| request.method == "GET")?;
    let search = url::form_urlencoded::parse(query.as_bytes());
    let (_, search) = search.into_owned().find(|(name, _)| name == "searchRequest")?;
    let search: Value = serde_json::from_str(&search).ok()?;
    let (path, test) = search["filter"].as_object()?.iter().next()?;
    let wished = test["eq"].as_str()?.to_owned();
    let found = tenant.accounts.values().filter(|account| account[path.as_str()] == wished);
    let data: Vec<&Value> = found.collect();
    let page = json!({ "totalResults": data.len(), "page": 0, "limit": search["limit"] });
    Some(Ok(json!({ "data": data, "metadata": { "page": page } })))
}

pub(super) fn create(
    api: &Biot,
    tenant: &SandboxTenant,
    request: &Incoming,
    body: &Value,
) -> Option<Result<(String, Value), Refusal>> {
    let ["organization", "v1", "users", "organizations"] = request.path_segments()[..] else {
        return None;
    };
    let id = life::fresh_uuid(&tenant.accounts);
    let nobody = json!({});
    let made = api.patch(&Scene { tenant, id: &id, account: &nobody }, body);
    let missing = ["_name", "_email"].iter().find(|name| body.get(**name).is_none());
    if let Some(missing) = missing {
        let why = format!("`{missing}` is missing");
        return Some(Err(Refusal::new(400, why).code("ATTRIBUTE_IS_MANDATORY")));
    }
    Some(made.map(|edited| (id, edited.account)))
}

pub(super) fn switch(request: &Incoming, account: &Value) -> Option<Result<Value, Refusal>> {
    let [.., "enabled-state", state] = request.path_segments()[..] else { return None };
    if !["ENABLED", "DISABLED"].contains(&state) || !request.body.is_empty() {
        return Some(Err(Refusal::new(400, "the state is ENABLED or DISABLED, without a body")));
    }
    let mut account = account.clone();
    account["_enabled"] = state.into();
    Some(Ok(account))
}
