//! INV-15: at the end of a run every user and every operation is accounted for, and once.

use super::{Results, TenantEnd, TenantReport};
use crate::{
    model::{Held, HeldReason, Plan, UserKey},
    sender::Ended,
};
use std::collections::BTreeSet;

/// Says so when the books do not balance, which is a fault of this program; tests stop there.
/// `booked`: operations that were to be sent.
pub(super) fn check(report: &TenantReport, booked: u64) {
    let wrong = report.plan.as_ref().and_then(of_plan).or_else(|| of_results(report, booked));
    if let Some(wrong) = wrong {
        tracing::error!(tenant = %report.tenant, "the books do not balance: {wrong}");
        debug_assert!(false, "the books of {} do not balance: {wrong}", report.tenant);
    }
}

/// Users are unchanged, planned or held, and held ones have what they are held by.
fn of_plan(plan: &Plan) -> Option<String> {
    // Those of leavers are of nobody whom the source has.
    let leavers: BTreeSet<&UserKey> = plan.leavers.iter().map(|leaver| &leaver.key).collect();
    let operations: Vec<&UserKey> = plan
        .operations
        .iter()
        .map(|planned| &planned.key)
        .filter(|k| !leavers.contains(k))
        .collect();
    let planned: BTreeSet<&UserKey> = operations.iter().copied().collect();
    let whole = plan.held.iter().filter(|held| !held.others_go && !leavers.contains(&held.key));
    let held: BTreeSet<&UserKey> = whole.map(|held| &held.key).collect();
    let both = planned.intersection(&held).count();
    let sum = plan.unchanged + planned.len() as u64 + held.len() as u64;
    if sum != plan.users || both > 0 || planned.len() != operations.len() {
        return Some(format!(
            "{} users are {} unchanged, {} planned in {} operations and {} held, {both} of them \
             twice",
            plan.users,
            plan.unchanged,
            planned.len(),
            operations.len(),
            held.len(),
        ));
    }
    let untimed = plan.held.iter().filter(|held| !has_its_timer(held)).count();
    (untimed > 0).then(|| format!("{untimed} are held without since when"))
}

fn has_its_timer(held: &Held) -> bool {
    match held.reason {
        HeldReason::ByHand | HeldReason::Refused | HeldReason::Unreachable => held.timer.is_some(),
        // In doubt are also those whom no run has tried to look at; looked for in vain for the first
        // time, a user has a timer from the next run on.
        HeldReason::InDoubt | HeldReason::Gone | HeldReason::NoRemoteId | HeldReason::Ambiguous => {
            true
        }
        HeldReason::BadRow
        | HeldReason::BadValue
        | HeldReason::SharedRemoteId
        | HeldReason::BadReference
        | HeldReason::OpenReference
        | HeldReason::MissingCompanion
        | HeldReason::NotAccepted
        | HeldReason::Drifted
        | HeldReason::Protected => held.timer.is_none(),
    }
}

/// Operations have an outcome, or were not begun.
fn of_results(report: &TenantReport, booked: u64) -> Option<String> {
    // What a state that cannot be written or a failed worker has swallowed is told as such.
    if let TenantEnd::State { .. }
    | TenantEnd::Early(Ended::NotRecorded { .. } | Ended::Broken { .. })
    | TenantEnd::Locked { .. } = report.end
    {
        return None;
    }
    let Results {
        read,
        settled,
        unverified: _,
        not_accepted: _,
        refused,
        gone,
        in_doubt,
        deferred,
        left,
        requests: _,
        failures: _,
    } = &report.results;
    let told = read + settled + refused + gone + in_doubt + deferred + left;
    (told != booked).then(|| format!("{booked} operations have {told} ends"))
}
