//! What a cycle tells while it works.

use crate::model::TenantId;

/// A stretch of work with a known length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Looking at users whose account is not known.
    Reading,
    /// Sending changes.
    Sending,
}

/// Told from several tasks at once.
pub trait Progress: Send + Sync {
    fn begin(&self, tenant: &TenantId, phase: Phase, operations: u64);
    fn step(&self, tenant: &TenantId);
    fn end(&self, tenant: &TenantId);
}

/// Says nothing.
#[derive(Clone, Copy, Debug)]
pub struct Silent;

impl Progress for Silent {
    fn begin(&self, _: &TenantId, _: Phase, _: u64) {}
    fn step(&self, _: &TenantId) {}
    fn end(&self, _: &TenantId) {}
}
