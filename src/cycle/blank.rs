//! A tenant's report before anything has happened, and ends that need no run.

use super::{Results, TenantEnd, TenantReport, quarantine::Quarantines};
use crate::{
    config::TenantConfig,
    model::{Notice, Weight},
    store::StoreError,
};
use jiff::{Timestamp, tz::TimeZone};
use std::collections::BTreeSet;

/// A tenant's report before anything has happened.
pub(super) fn blank(tenant: &TenantConfig, now: Timestamp) -> TenantReport {
    let attributes = tenant.capabilities().attributes.iter();
    let privileges = attributes.filter(|(_, attribute)| attribute.weight == Weight::Privilege);
    TenantReport {
        tenant: tenant.id.clone(),
        api: tenant.api,
        plan: None,
        digest: String::new(),
        findings: Vec::new(),
        notices: tenant.notices(now.to_zoned(TimeZone::UTC).date()).into_iter().collect(),
        privileges: privileges.map(|(path, _)| path.clone()).collect(),
        results: Results::default(),
        quarantines: Quarantines::default(),
        end: TenantEnd::Planned,
    }
}

/// The notice that forbids sending to the tenant at all.
pub(super) fn refusal(notices: &BTreeSet<Notice>) -> Option<TenantEnd> {
    let notice = notices.iter().find(|notice| notice.refuses)?;
    Some(TenantEnd::Unusable { why: format!("{}; {}", notice.message, notice.hint) })
}

pub(super) fn of_store(error: &StoreError) -> TenantEnd {
    match error {
        // What to do, the report tells of every tenant that ended like this.
        StoreError::Locked { path, holder } => {
            let why = format!("the state is in use by {holder} (lock file `{}`)", path.display());
            TenantEnd::Locked { why }
        }
        _ => TenantEnd::State { why: chain(error) },
    }
}

/// An error with its causes, in one line.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}
