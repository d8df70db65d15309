//! `BioT`, the list of all users, by `searchRequest`.

use super::{
    SandboxTenant,
    lists::{Query, Window},
    practice::{Incoming, Refusal},
    strict_json,
};
use serde_json::{Value, json};

/// By the document: pages count from 0 and have 100 entries unless another number is asked for. The
/// newest come first, which a careful client does not build on.
pub(super) fn list(tenant: &SandboxTenant, request: &Incoming) -> Result<Value, Refusal> {
    let mut query = Query::of(request, &["searchRequest"])?;
    let search = query.text("searchRequest").unwrap_or_else(|| "{}".to_owned());
    let search = strict_json::parse(search.as_bytes());
    let search = search.map_err(|_| Refusal::new(400, "searchRequest is not JSON"))?;
    let Value::Object(members) = &search else {
        return Err(Refusal::new(400, "searchRequest is no object"));
    };
    if let Some(name) = members.keys().find(|name| !["sort", "limit", "page"].contains(&&***name)) {
        return Err(Refusal::new(400, format!("`{name}` is not understood here")));
    }
    if search["sort"] != json!([{ "prop": "_id", "order": "ASC" }]) {
        return Err(Refusal::new(400, "pages in the order of creation move under their reader"));
    }
    let number = |name: &str, default: usize| match members.get(name) {
        None => Ok(default),
        Some(value) => {
            let number = value.as_u64().and_then(|number| usize::try_from(number).ok());
            number.ok_or_else(|| Refusal::new(400, format!("`{name}` is no number")))
        }
    };
    let (limit, page) = (number("limit", 100)?, number("page", 0)?);
    if limit == 0 {
        return Err(Refusal::new(400, "`limit` is at least 1"));
    }
    let limit = limit.min(tenant.page_max.unwrap_or(limit));
    let Window { users, total, .. } = Window::of(tenant, page.saturating_mul(limit), limit);
    let page = json!({ "totalResults": total, "page": page, "limit": limit });
    Ok(json!({ "data": users, "metadata": { "page": page } }))
}
