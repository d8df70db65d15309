//! The end of a run: what it leaves behind.

use super::{Options, Results, TenantEnd, TenantReport, WHOLE_RUN};
use crate::{
    model::{Completeness, SourceFacts},
    sender::Ended,
    store::{AcceptedInput, AcceptedView, Store, StoreError},
};
use jiff::Timestamp;

/// Records the end of a run, and the roster as a measure for the next one.
pub(super) fn close(
    store: &mut Store,
    view: AcceptedView,
    facts: &SourceFacts,
    report: &TenantReport,
    options: &Options,
    now: Timestamp,
) -> Result<(), StoreError> {
    let passed = report.plan.as_ref().is_none_or(|plan| plan.guards.is_empty());
    let sent = matches!(report.end, TenantEnd::Done | TenantEnd::Early(_));
    // What is adopted is the first measure, and never takes the place of one.
    let first = options.users.is_empty() && store.accepted_input()?.is_none();
    let measures = options.is_whole() || first;
    if passed && sent && measures && facts.completeness == Completeness::Complete {
        let (users, rows, digest) = (facts.users, facts.rows, facts.digest);
        store.accept_input(&AcceptedInput { users, rows, digest, at: now })?;
        store.accept_view(view)?;
    }
    let broken_off = matches!(report.end, TenantEnd::Declined | TenantEnd::Early(Ended::Stopped));
    if options.is_whole() && !broken_off {
        store.set_mark(WHOLE_RUN, options.now)?;
    }
    store.end_run(&options.run, &summary(report), now)
}

/// The run in figures, for the record and for `status`.
fn summary(report: &TenantReport) -> String {
    let Results {
        read,
        settled,
        unverified,
        not_accepted,
        refused,
        gone,
        in_doubt,
        deferred,
        left,
        requests,
        failures: _,
    } = &report.results;
    let held = report.plan.as_ref().map_or(0, |plan| plan.held.len());
    serde_json::json!({
        "exit": report.exit().code(),
        "digest": report.digest,
        "read": read,
        "settled": settled,
        "unverified": unverified,
        "not_accepted": not_accepted,
        "refused": refused,
        "gone": gone,
        "in_doubt": in_doubt,
        "deferred": deferred,
        "left": left,
        "held": held,
        "requests": requests.reads + requests.patches,
    })
    .to_string()
}
