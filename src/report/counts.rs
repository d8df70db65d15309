//! What is counted in a plan, once for all renderings.

use crate::{cycle::TenantReport, model::Plan};
use std::{collections::BTreeSet, ops::AddAssign};

/// A plan in figures; or several plans.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) users: u64,
    pub(super) unchanged: u64,
    pub(super) changes: u64,
    pub(super) reads: u64,
    /// Users of whom nothing is sent.
    pub(super) held: u64,
    /// Values that are left as they are while the rest of the user goes.
    pub(super) withheld: u64,
    pub(super) leavers: u64,
    /// Tenants that nothing is sent to, because a guard tripped.
    pub(super) guarded: u64,
    /// Tenants without a plan.
    pub(super) unplanned: u64,
}

impl Counts {
    pub(super) fn of_tenants(tenants: &[TenantReport]) -> Self {
        let mut all = Self::default();
        for tenant in tenants {
            all += Self::of_tenant(tenant);
        }
        all
    }

    pub(super) fn of_tenant(tenant: &TenantReport) -> Self {
        match &tenant.plan {
            Some(plan) => Self::of_plan(plan),
            None => Self { unplanned: 1, ..Self::default() },
        }
    }

    pub(super) fn of_plan(plan: &Plan) -> Self {
        let held: BTreeSet<_> =
            plan.held.iter().filter(|held| !held.others_go).map(|held| &held.key).collect();
        Self {
            users: plan.users,
            unchanged: plan.unchanged,
            changes: plan.changes().count() as u64,
            reads: plan.reads().count() as u64,
            held: held.len() as u64,
            withheld: plan.held.iter().filter(|held| held.others_go).count() as u64,
            leavers: plan.leavers.len() as u64,
            guarded: u64::from(!plan.guards.is_empty()),
            unplanned: 0,
        }
    }
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        let Self { users, unchanged, changes, reads, held, withheld, leavers, guarded, unplanned } =
            other;
        self.users += users;
        self.unchanged += unchanged;
        self.changes += changes;
        self.reads += reads;
        self.held += held;
        self.withheld += withheld;
        self.leavers += leavers;
        self.guarded += guarded;
        self.unplanned += unplanned;
    }
}
