//! Workiva, the list of all users.

use super::{
    Lie, SandboxTenant,
    lists::{Query, Window},
    practice::{Incoming, Refusal},
    workiva::check_version,
};
use serde_json::{Value, json};

/// By the description of 2026-01-01: 1000 on a page at most, and the link to the next one is whole.
pub(super) fn list(
    tenant: &SandboxTenant,
    organization: &str,
    request: &Incoming,
) -> Result<Value, Refusal> {
    check_version(true, request)?;
    if organization != tenant.scope_id {
        return Err(Refusal::of_status(404));
    }
    let mut query = Query::of(request, &["$maxpagesize", "$next", "$filter"])?;
    if query.text("$filter").is_some() {
        return Err(Refusal::new(400, "`$filter` is not understood here"));
    }
    let size = query.number("$maxpagesize", 1000)?;
    if !(1..=1000).contains(&size) {
        return Err(Refusal::new(400, "`$maxpagesize` is from 1 to 1000"));
    }
    let Window { users, next, .. } = Window::of(tenant, query.place("$next")?, size);
    let mut page = json!({ "data": users });
    if let Some(next) = next {
        let path = request.path.split('?').next().unwrap_or_default();
        let origin = match &tenant.lie {
            Some(Lie::Elsewhere(origin)) => origin.clone(),
            _ => format!("http://{}/{}", request.header("host").unwrap_or_default(), tenant.name),
        };
        let query = format!("%24maxpagesize={size}&%24next={}", Window::cursor(next));
        page["@nextLink"] = format!("{origin}{path}?{query}").into();
    }
    Ok(page)
}
