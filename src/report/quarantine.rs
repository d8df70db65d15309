//! Who is in quarantine, since when, and when they are tried again.

use super::{
    Style,
    json::FORMAT_VERSION,
    page::{Page, Tone},
    words,
};
use crate::{
    model::{HeldReason, TenantId, Timer, UserKey},
    store::{InQuarantine, TenantInQuarantine},
};
use serde_json::{Value as Json, json};
use std::collections::BTreeMap;

/// One tenant's quarantine.
#[derive(Clone, Debug)]
pub struct QuarantineOf {
    pub tenant: TenantId,
    /// The tenant's own.
    pub itself: Option<TenantInQuarantine>,
    pub users: BTreeMap<UserKey, InQuarantine>,
}

#[must_use]
pub fn quarantine_text(lists: &[QuarantineOf]) -> String {
    let mut page = Page::new(&Style::default());
    for (number, QuarantineOf { tenant, itself, users }) in lists.iter().enumerate() {
        if number > 0 {
            page.blank();
        }
        page.line(0, &[(Tone::Strong, &format!("Tenant {tenant}"))]);
        if let Some(TenantInQuarantine { cause: _, why, timer }) = itself {
            page.line(2, &[(Tone::Bad, &format!("! the tenant itself: {why}"))]);
            page.line(6, &[(Tone::Plain, &words::tenant_timer(timer))]);
        }
        for (key, user) in users {
            let rest = format!(": {}", reason(user));
            page.line(2, &[(Tone::Care, "! "), (Tone::Strong, key.as_str()), (Tone::Plain, &rest)]);
            page.line(6, &[(Tone::Plain, &words::timer(HeldReason::Refused, &user.timer))]);
        }
        if itself.is_none() && users.is_empty() {
            page.line(2, &[(Tone::Plain, "nobody is in quarantine")]);
        }
    }
    page.finish()
}

fn reason(user: &InQuarantine) -> String {
    let InQuarantine { cause, why, status, row: _, last: _, timer: _ } = user;
    let status = status.map(|status| format!("status {status}")).unwrap_or_default();
    let details: Vec<&str> =
        [status.as_str(), why].into_iter().filter(|text| !text.is_empty()).collect();
    match details[..] {
        [] => cause.told().to_owned(),
        _ => format!("{} ({})", cause.told(), details.join(", ")),
    }
}

#[must_use]
pub fn quarantine_json(lists: &[QuarantineOf]) -> Json {
    let tenant = |list: &QuarantineOf| {
        let QuarantineOf { tenant, itself, users } = list;
        let itself = itself.as_ref().map(|state| {
            let TenantInQuarantine { cause, why, timer } = state;
            entry(cause.as_str(), why, timer)
        });
        let users = users.iter().map(|(key, user)| {
            let InQuarantine { cause, why, status, row: _, last, timer } = user;
            let mut json = entry(cause.as_str(), why, timer);
            json["key"] = json!(key);
            json["status"] = json!(status);
            json["last_failure"] = json!(last);
            json
        });
        json!({ "tenant": tenant, "quarantine": itself, "users": users.collect::<Json>() })
    };
    json!({
        "format_version": FORMAT_VERSION,
        "kind": "quarantine",
        "tenants": lists.iter().map(tenant).collect::<Json>(),
    })
}

fn entry(reason: &str, why: &str, timer: &Timer) -> Json {
    let Timer { since, next_try, tries } = timer;
    json!({
        "reason": reason,
        "why": why,
        "since": since,
        "next_try": next_try,
        "tries": tries,
        "given_up": next_try.is_none(),
    })
}
