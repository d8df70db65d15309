//! Servers that are known to differ from RFC 7644, by their own documents.
//!
//! Quotas are suggestions for the tenant's `quota`: a vendor's published limit, which other clients
//! of the same account share.

use super::profile::{Deactivation, MediaType, Profile, Writes};
use crate::dialect::grammar::Table;

/// A server by name.
pub(super) struct Preset {
    pub(super) name: &'static str,
    profile: fn() -> Profile,
}

const fn preset(name: &'static str, profile: fn() -> Profile) -> Preset {
    Preset { name, profile }
}

/// The first is what holds without a preset.
pub(super) const PRESETS: &[Preset] = &[
    preset("rfc", Profile::default),
    preset("entra", entra),
    preset("okta", okta),
    preset("okta_put", okta_put),
    preset("github", github),
    preset("github_enterprise", github_enterprise),
    preset("aws", aws),
    preset("slack", Profile::default),
    preset("atlassian", Profile::default),
    preset("databricks", Profile::default),
    preset("snowflake", snowflake),
    preset("sentry", sentry),
    preset("launchdarkly", Profile::default),
    preset("pagerduty", pagerduty),
    preset("cloudflare", cloudflare),
    preset("attio", Profile::default),
    preset("tealium", tealium),
    preset("miro", Profile::default),
    preset("terraform", terraform),
    preset("wandb", wandb),
    preset("formstack", formstack),
];

/// The profile that the table's `preset` names; `None` when it names none that is known.
pub(super) fn chosen(table: &mut Table<'_>) -> Option<Profile> {
    let names: Vec<&'static str> = PRESETS.iter().map(|preset| preset.name).collect();
    let chosen = table.choice("preset", &names)?;
    PRESETS.iter().find(|preset| preset.name == chosen).map(|preset| (preset.profile)())
}

fn texts(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// A server that was only ever tried with Entra ID without its flag for RFC 7644: `Replace`, `True`,
/// a path for each attribute.
fn entra() -> Profile {
    Profile { json_booleans: false, capital_ops: true, ..Profile::default() }
}

/// A server that was only ever tried with an Okta application from the catalogue: an operation
/// without a path.
fn okta() -> Profile {
    Profile { paths: false, value_paths: false, remove: false, ..Profile::default() }
}

/// The same with an Okta application of one's own, which knows no PATCH.
fn okta_put() -> Profile {
    Profile { method: Writes::Put, ..Profile::default() }
}

/// An organization: no filter in a path, and `active: false` removes the member and its SCIM id.
fn github() -> Profile {
    Profile { deactivation: Deactivation::Destroys, ..github_enterprise() }
}

/// An enterprise: no filter in a path; `active: false` suspends, and obfuscates login and e-mail.
fn github_enterprise() -> Profile {
    Profile { value_paths: false, ..Profile::default() }
}

/// IAM Identity Center: an attribute once in a request, `eq` filters, lists of 50.
fn aws() -> Profile {
    Profile { one_operation_per_attribute: true, page_size: 50, ..Profile::default() }
}

/// No attribute with several values. An empty list proves nothing there.
fn snowflake() -> Profile {
    Profile { lists: false, media_type: MediaType::Scim, ..Profile::default() }
}

/// PATCH takes `active` and nothing else, and only to switch off: who returns is a person's work.
fn sentry() -> Profile {
    Profile { attributes: texts(&["active"]), remove: false, ..Profile::default() }
}

/// `active: false` deletes the user.
fn pagerduty() -> Profile {
    Profile { deactivation: Deactivation::Destroys, ..Profile::default() }
}

/// Three attributes; the work e-mail is another name of `userName`, and `active: false` removes the
/// user from the account.
fn cloudflare() -> Profile {
    let attributes = texts(&["userName", "name.givenName", "name.familyName"]);
    Profile { attributes, deactivation: Deactivation::Destroys, ..Profile::default() }
}

fn tealium() -> Profile {
    Profile { immutable: texts(&["userName"]), ..Profile::default() }
}

/// HCP Terraform: lists of at most 200.
fn terraform() -> Profile {
    Profile { page_size: 200, ..Profile::default() }
}

/// W&B: changes name the version that they are based on.
fn wandb() -> Profile {
    Profile { etag: true, ..Profile::default() }
}

/// `add` and `remove` are all that it understands.
fn formstack() -> Profile {
    Profile { replace: false, ..Profile::default() }
}
