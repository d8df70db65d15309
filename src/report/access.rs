//! How each tenant is let in: what the configuration says, without a call.

use super::{
    Style,
    page::{Page, Tone},
};
use crate::config::TenantConfig;

/// One line for each tenant: a token that it was given, or the login that gives it one.
#[must_use]
pub fn access_text<'a>(
    tenants: impl IntoIterator<Item = &'a TenantConfig>,
    style: &Style,
) -> String {
    let mut page = Page::new(style);
    page.blank();
    page.line(0, &[(Tone::Strong, "How each tenant is let in")]);
    for tenant in tenants {
        page.fact(tenant.id.as_str(), Tone::Plain, &way_in(tenant));
    }
    page.finish()
}

fn way_in(tenant: &TenantConfig) -> String {
    match (&tenant.login, tenant.token_expires) {
        (Some(login), _) => {
            let (kind, account, url) = (login.kind().as_str(), login.account(), login.url());
            format!("logs in as `{account}` ({kind}) at {url}")
        }
        (None, Some(last_day)) => format!("a token that it was given, until {last_day}"),
        (None, None) => "a token that it was given; `token_expires` is not set".to_owned(),
    }
}
