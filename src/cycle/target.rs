//! Whose accounts a snapshot is about: what one account of an API showed says nothing of another's.

use super::TenantEnd;
use crate::{
    config::TenantConfig,
    store::{Snapshot, Store, StoreError},
};
use jiff::Timestamp;

/// Set as soon as a snapshot is of any target.
const KNOWN: &str = "target";

fn mark_of(tenant: &TenantConfig) -> String {
    format!("{KNOWN}:{}", tenant.target)
}

/// Why the snapshot is not to be used for the tenant, if it is another target's.
pub(super) fn stranger(
    tenant: &TenantConfig,
    snapshot: &Snapshot,
) -> Result<Option<TenantEnd>, StoreError> {
    if snapshot.mark(KNOWN)?.is_none() || snapshot.mark(&mark_of(tenant))?.is_some() {
        return Ok(None);
    }
    let why = format!(
        "the snapshot is of another target: the address or the organization of `tenants.{}` has \
         changed since; change it back, or give the tenant another name or another --state-dir, \
         where everybody is read anew",
        tenant.id
    );
    Ok(Some(TenantEnd::Unusable { why }))
}

/// Notes whose accounts a new snapshot is about.
pub(super) fn note(
    tenant: &TenantConfig,
    store: &mut Store,
    now: Timestamp,
) -> Result<(), StoreError> {
    if store.mark(KNOWN)?.is_none() {
        store.set_mark(&mark_of(tenant), now)?;
        store.set_mark(KNOWN, now)?;
    }
    Ok(())
}
