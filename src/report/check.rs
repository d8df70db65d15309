//! What a look at the source and its mapping found, without state or network.

use super::{
    Style,
    counts::Counts,
    findings::push_findings,
    page::{Page, Tone},
    plan::{push_guards, push_held, push_name, push_notices, push_source, sorted},
    words::{self, counted},
};
use crate::{
    cycle::{CycleReport, TenantEnd, TenantReport},
    model::{Finding, Held},
};

/// Every problem of the source and of its values, in one go. What would be sent is not told: that
/// takes a look at the snapshots, which is `plan`.
#[must_use]
pub fn check_text(report: &CycleReport, style: &Style) -> String {
    let mut page = Page::new(style);
    push_source(&mut page, report);
    for tenant in sorted(report) {
        page.blank();
        push_tenant(&mut page, tenant);
    }
    page.finish()
}

/// The same of an import, and whom it held for what the source alone does not show: an id, or an
/// account, that two users have.
#[must_use]
pub fn adopt_text(report: &CycleReport, style: &Style) -> String {
    let mut page = Page::new(style);
    push_source(&mut page, report);
    for tenant in sorted(report) {
        page.blank();
        push_tenant(&mut page, tenant);
        let found =
            |held: &&Held| tenant.findings.iter().any(|f| f.key.as_ref() == Some(&held.key));
        let held = tenant.plan.iter().flat_map(|plan| &plan.held).filter(|held| !found(held));
        push_held(&mut page, &held.cloned().collect::<Vec<_>>(), &tenant.findings);
    }
    page.finish()
}

fn push_tenant(page: &mut Page, tenant: &TenantReport) {
    push_name(page, tenant);
    if let Some(plan) = &tenant.plan {
        let Counts { users, held, withheld, .. } = Counts::of_plan(plan);
        let tone = if held + withheld == 0 { Tone::Good } else { Tone::Care };
        let text = format!(
            "{} in scope, {held} held, {} not sent",
            counted(users, "user"),
            counted(withheld, "value")
        );
        page.line(2, &[(tone, &text)]);
        push_guards(page, &plan.guards, None);
    }
    if !matches!(tenant.end, TenantEnd::Guarded) {
        let ending = words::ending(&tenant.end);
        if !ending.fine {
            page.prose(2, Tone::Bad, &ending.what);
            page.prose(4, Tone::Plain, ending.next);
        }
    }
    push_notices(page, &tenant.notices);
    let findings: Vec<&Finding> = tenant.findings.iter().collect();
    if !findings.is_empty() {
        page.blank();
        push_findings(page, 2, &findings);
    }
}
