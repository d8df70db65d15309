//! The plan as a diff that a person can approve.

use super::{
    Style,
    counts::Counts,
    findings::push_findings,
    page::{Page, Tone},
    value,
    words::{self, counted},
};
use crate::{
    cycle::{CycleReport, TenantEnd, TenantReport},
    model::{
        Action, AttrPath, Edit, Finding, Forecast, Held, Leaver, Notice, Operation, Plan, Severity,
        Sides, TrippedGuard, UserKey, Value,
    },
};
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};

/// The plans of one source's tenants, with everything that a person needs to approve them.
#[must_use]
pub fn plan_text(report: &CycleReport, style: &Style) -> String {
    let mut page = Page::new(style);
    let first =
        if style.dry_run { "DRY RUN: this is a plan only; no change is sent." } else { "Plan" };
    page.line(0, &[(Tone::Strong, first)]);
    page.blank();
    push_source(&mut page, report);
    let tenants = sorted(report);
    for tenant in &tenants {
        page.blank();
        push_tenant(&mut page, tenant, Some(report.started));
    }
    if tenants.is_empty() {
        page.blank();
        page.line(0, &[(Tone::Care, "No tenant is fed by this source.")]);
    }
    page.blank();
    push_total(&mut page, Counts::of_tenants(&report.tenants));
    if style.dry_run {
        page.line(0, &[(Tone::Strong, "DRY RUN: no change was sent to any target.")]);
    }
    page.finish()
}

/// The plan of one tenant, to be asked about.
#[must_use]
pub fn tenant_plan_text(tenant: &TenantReport, style: &Style) -> String {
    let mut page = Page::new(style);
    push_tenant(&mut page, tenant, None);
    page.blank();
    push_total(&mut page, Counts::of_tenant(tenant));
    page.finish()
}

/// Tenants by name: they end in any order.
pub(super) fn sorted(report: &CycleReport) -> Vec<&TenantReport> {
    let mut tenants: Vec<&TenantReport> = report.tenants.iter().collect();
    tenants.sort_by(|a, b| a.tenant.cmp(&b.tenant));
    tenants
}

/// What was read, and what was noticed about it.
pub(super) fn push_source(page: &mut Page, report: &CycleReport) {
    let path = report.path.display().to_string();
    page.line(
        0,
        &[
            (Tone::Strong, &format!("Source {}", report.source)),
            (Tone::Plain, ": "),
            (Tone::Plain, &path),
        ],
    );
    match &report.facts {
        Some(facts) => {
            page.prose(2, Tone::Plain, &words::source_facts(facts));
            page.line(2, &[(Tone::Dim, &format!("digest {}", facts.digest))]);
        }
        None => page.line(2, &[(Tone::Bad, "REFUSED: nothing is planned and nothing is sent")]),
    }
    if !report.findings.is_empty() {
        let findings: Vec<&Finding> = report.findings.iter().collect();
        push_findings(page, 2, &findings);
    }
}

fn push_tenant(page: &mut Page, tenant: &TenantReport, started: Option<Timestamp>) {
    push_name(page, tenant);
    if let Some(plan) = &tenant.plan {
        push_figures(page, tenant, plan, started);
    }
    push_end(page, &tenant.end);
    if let Some(plan) = &tenant.plan {
        push_guards(page, &plan.guards, Some(&tenant.digest));
    }
    push_notices(page, &tenant.notices);
    if let Some(plan) = &tenant.plan {
        push_changes(page, plan, &tenant.privileges);
        push_reads(page, plan);
        push_held(page, &plan.held, &tenant.findings);
        push_leavers(page, &plan.leavers);
    }
    // Findings that hold a user are told with the user.
    let told = |finding: &&Finding| tenant.plan.is_none() || finding.severity != Severity::Held;
    let findings: Vec<&Finding> = tenant.findings.iter().filter(told).collect();
    if !findings.is_empty() {
        page.blank();
        push_findings(page, 2, &findings);
    }
}

pub(super) fn push_name(page: &mut Page, tenant: &TenantReport) {
    let name = format!("Tenant {}", tenant.tenant);
    page.line(0, &[(Tone::Strong, &name), (Tone::Plain, &format!(" ({})", tenant.api))]);
}

fn push_figures(page: &mut Page, tenant: &TenantReport, plan: &Plan, started: Option<Timestamp>) {
    let Counts { users, unchanged, changes, reads, held, withheld, leavers, .. } =
        Counts::of_plan(plan);
    page.fact("digest", Tone::Plain, &tenant.digest);
    page.fact("users", Tone::Plain, &users.to_string());
    page.fact("unchanged", Tone::Plain, &unchanged.to_string());
    let powers = privileged(plan, &tenant.privileges);
    let marked = match powers {
        0 => String::new(),
        users => format!(", {users} of them in a privilege"),
    };
    page.fact("to change", tone_of(changes, Tone::Good), &format!("{changes}{marked}"));
    page.fact("to read first", tone_of(reads, Tone::Care), &reads.to_string());
    page.fact("held", tone_of(held + withheld, Tone::Care), &held_words(held, withheld));
    let told = if leavers == 0 { "" } else { " (reported only)" };
    page.fact("leavers", tone_of(leavers, Tone::Care), &format!("{leavers}{told}"));
    page.fact("forecast", Tone::Plain, &forecast(plan.forecast, reads, started));
}

/// How many users of whom nothing goes, and values of users of whom the rest goes.
pub(super) fn held_words(held: u64, withheld: u64) -> String {
    match withheld {
        0 => held.to_string(),
        values => format!("{held}, and {} of other users", counted(values, "value")),
    }
}

/// How many users would have a privilege changed: told even where a limit hides the users.
fn privileged(plan: &Plan, privileges: &BTreeSet<AttrPath>) -> usize {
    let touches = |edits: &[Edit]| edits.iter().any(|edit| privileges.contains(&edit.path));
    plan.changes().filter(|(_, edits)| touches(edits)).count()
}

fn tone_of(count: u64, tone: Tone) -> Tone {
    if count == 0 { Tone::Plain } else { tone }
}

fn forecast(forecast: Forecast, reads: u64, started: Option<Timestamp>) -> String {
    let Forecast { requests, duration } = forecast;
    if requests == 0 {
        return "no request".to_owned();
    }
    let length = words::duration(duration);
    let mut text =
        format!("{}, about {length} at the tenant's quota", counted(requests, "request"));
    if let Some(end) = started.and_then(|started| started.checked_add(duration).ok()) {
        text = format!("{text}; sent at once, it would end at {}", words::moment(end));
    }
    if reads > 0 {
        text += "; more where a read finds a difference";
    }
    text
}

/// How the tenant's part ended, unless all went as it should.
pub(super) fn push_end(page: &mut Page, end: &TenantEnd) {
    // A guard is told at length.
    if matches!(end, TenantEnd::Guarded) {
        return;
    }
    let ending = words::ending(end);
    if !ending.fine {
        page.prose(2, Tone::Bad, &ending.what);
        page.prose(4, Tone::Plain, ending.next);
    }
}

/// `digest`: of the plan that they hold, where it can be approved.
pub(super) fn push_guards(page: &mut Page, guards: &[TrippedGuard], digest: Option<&str>) {
    for TrippedGuard { guard, figure, limit, key } in guards {
        page.blank();
        let text = format!("GUARD {guard}: {figure}; the limit is {limit} (`{key}`)");
        page.prose(2, Tone::Bad, &text);
    }
    let Some(digest) = digest.filter(|_| !guards.is_empty()) else { return };
    page.blank();
    let text = "Nothing is sent to this tenant. If all of it is meant, the command below lets this very \
                plan pass, once; else correct the source and plan again.";
    page.prose(2, Tone::Plain, text);
    page.line(4, &[(Tone::Strong, &words::approve_command(digest))]);
}

pub(super) fn push_notices(page: &mut Page, notices: &BTreeSet<Notice>) {
    for Notice { message, hint, refuses } in notices {
        page.blank();
        let tone = if *refuses { Tone::Bad } else { Tone::Care };
        page.prose(2, tone, &format!("NOTICE {message}"));
        if !hint.is_empty() {
            page.prose(4, Tone::Plain, hint);
        }
    }
}

fn push_changes(page: &mut Page, plan: &Plan, privileges: &BTreeSet<AttrPath>) {
    let changes: Vec<(&Operation, &[Edit])> = plan.changes().collect();
    if changes.is_empty() {
        return;
    }
    page.blank();
    page.list(2, &changes, |page, (operation, edits)| {
        let (sign, tone, rest) = sign_of(&operation.action);
        push_user(page, sign, tone, operation, rest);
        let paths = edits.iter().map(|edit| edit.path.as_str().chars().count());
        let column = paths.max().unwrap_or_default().min(LABEL_MAX);
        for edit in *edits {
            push_edit(page, edit, column, privileges.contains(&edit.path));
        }
        push_companions(page, &operation.action);
    });
}

/// How an operation is marked, and what is said of it besides its edits.
fn sign_of(action: &Action) -> (&'static str, Tone, &'static str) {
    match action {
        Action::Create { .. } => ("+ ", Tone::Good, " gets an account"),
        Action::Patch { .. } => ("~ ", Tone::Good, ""),
        Action::Enable { .. } => ("~ ", Tone::Good, " is back and is switched on again"),
        Action::Disable { .. } => ("- ", Tone::Bad, " has left and is switched off"),
        Action::Delete => ("- ", Tone::Bad, " left long ago; the account is DELETED"),
        Action::Read => ("? ", Tone::Care, " is read first: its account is not known"),
        Action::Find { .. } => ("? ", Tone::Care, " is looked for first: nobody knows its account"),
    }
}

/// Longer paths than this do not push the other values to the right.
const LABEL_MAX: usize = 32;

fn push_user(page: &mut Page, sign: &str, tone: Tone, operation: &Operation, rest: &str) {
    let Operation { key, remote_id, action: _ } = operation;
    let id = remote_id.as_ref().filter(|_| page.style.values);
    let id = id.map(|id| format!(" (remote id {id})")).unwrap_or_default();
    page.line(
        2,
        &[(tone, sign), (Tone::Strong, key.as_str()), (Tone::Dim, &id), (Tone::Plain, rest)],
    );
}

fn push_edit(page: &mut Page, edit: &Edit, column: usize, privilege: bool) {
    let Edit { path, before, after } = edit;
    let values = page.style.values;
    let label = format!("{:<width$} ", format!("{path}:"), width = column + 1);
    let mark = if privilege { "  !privilege" } else { "" };
    if let (Some(Some(before)), Some(after)) = (before, after)
        && let Some(delta) = value::set_delta(before, after, values)
    {
        page.line(6, &[(Tone::Plain, &label), (Tone::Plain, &delta), (Tone::Bad, mark)]);
        return;
    }
    let before = match before {
        None => value::NOT_KNOWN.to_owned(),
        Some(before) => value::shown(before.as_ref(), values),
    };
    let after = value::shown(after.as_ref(), values);
    let length = [&label, &before, &after, mark].iter().map(|text| text.chars().count()).sum();
    let label = (Tone::Plain, label.as_str());
    let (before, after, mark) = ((Tone::Dim, &*before), (Tone::Good, &*after), (Tone::Bad, mark));
    if fits(page, 6 + " → ".chars().count(), length) {
        page.line(6, &[label, before, (Tone::Plain, " → "), after, mark]);
    } else {
        page.line(6, &[label, before]);
        page.line(8, &[(Tone::Plain, "→ "), after, mark]);
    }
}

fn fits(page: &Page, taken: usize, length: usize) -> bool {
    page.style.width.is_none_or(|width| taken + length <= width)
}

fn push_companions(page: &mut Page, action: &Action) {
    let Action::Patch { edits: _, companions } = action else { return };
    if companions.is_empty() {
        return;
    }
    let paths: Vec<&str> = companions.keys().map(AttrPath::as_str).collect();
    let text = format!("goes along, unchanged: {}", paths.join(", "));
    page.prose(6, Tone::Dim, &text);
}

fn push_reads(page: &mut Page, plan: &Plan) {
    let reads: Vec<&Operation> = plan.reads().collect();
    if reads.is_empty() {
        return;
    }
    page.blank();
    page.list(2, &reads, |page, operation| {
        let (sign, tone, rest) = sign_of(&operation.action);
        push_user(page, sign, tone, operation, rest);
    });
}

pub(super) fn push_held(page: &mut Page, held: &[Held], findings: &[Finding]) {
    if held.is_empty() {
        return;
    }
    let hints: BTreeMap<(Option<&UserKey>, &str), &str> = findings
        .iter()
        .map(|finding| ((finding.key.as_ref(), finding.message.as_str()), finding.hint.as_str()))
        .collect();
    page.blank();
    page.list(2, held, |page, held| {
        let hint = hints.get(&(Some(&held.key), held.why.as_str())).copied().unwrap_or_default();
        push_held_user(page, held, hint);
    });
}

fn push_held_user(page: &mut Page, held: &Held, hint: &str) {
    let Held { key, reason, attribute, line, why, others_go, timer, sides } = held;
    let line = line.map(|line| format!(", line {line}")).unwrap_or_default();
    let attribute = attribute.as_ref().map(|path| format!(", {path}")).unwrap_or_default();
    let what = if *others_go { "the rest of the user goes" } else { "nothing of the user is sent" };
    let rest = format!("{line}{attribute}: {}; {what}", words::held_reason(*reason));
    page.line(2, &[(Tone::Care, "! "), (Tone::Strong, key.as_str()), (Tone::Plain, &rest)]);
    if !why.is_empty() {
        page.prose(6, Tone::Plain, why);
    }
    if let Some(Sides { wished, shown }) = sides {
        let told = |value: &Option<Value>| value::shown(value.as_ref(), page.style.values);
        let text = format!("wished {}; there now {}", told(wished), told(shown));
        page.prose(6, Tone::Plain, &text);
    }
    if let Some(timer) = timer {
        page.prose(6, Tone::Plain, &words::timer(*reason, timer));
    }
    if !hint.is_empty() {
        page.prose(6, Tone::Dim, hint);
    }
}

fn push_leavers(page: &mut Page, leavers: &[Leaver]) {
    if leavers.is_empty() {
        return;
    }
    page.blank();
    page.list(2, leavers, |page, Leaver { key, reason, fate }| {
        let (reason, fate) = (words::leaver_reason(*reason), words::fate(*fate));
        let rest = format!(": leaver, {reason}; {fate}");
        page.line(2, &[(Tone::Care, "- "), (Tone::Strong, key.as_str()), (Tone::Plain, &rest)]);
    });
}

fn push_total(page: &mut Page, counts: Counts) {
    let Counts { users, unchanged: _, changes, reads, held, withheld, leavers, guarded, unplanned } =
        counts;
    let mut parts = vec![format!("{changes} to change"), format!("{reads} to read first")];
    parts.push(format!("{held} held"));
    if withheld > 0 {
        parts.push(format!("{} not sent", counted(withheld, "value")));
    }
    let told = if leavers == 0 { "" } else { " (reported only)" };
    parts.push(format!("{}{told}", counted(leavers, "leaver")));
    page.line(0, &[(Tone::Strong, &format!("Plan: {}.", parts.join(", ")))]);
    if guarded > 0 {
        let text =
            format!("{} held by a guard: nothing is sent there.", counted(guarded, "tenant"));
        page.line(0, &[(Tone::Bad, &text)]);
    }
    if unplanned > 0 {
        let text = format!("{} could not be planned; see above.", counted(unplanned, "tenant"));
        page.line(0, &[(Tone::Bad, &text)]);
    }
    if users > 0 && guarded + unplanned + changes + reads + held + withheld == 0 {
        page.line(0, &[(Tone::Good, "Nothing to do: everybody is as they should be.")]);
    }
}
