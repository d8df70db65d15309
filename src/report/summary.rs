//! What became of a run.

use super::{
    Style,
    counts::Counts,
    page::{FACT_COLUMN, Page, Tone},
    plan::{held_words, push_guards, push_name, push_notices, push_source, sorted},
    words::{self, counted},
};
use crate::{
    cycle::{CycleReport, Failure, Quarantines, Results, TenantReport, Turn},
    model::{HeldReason, UserKey},
    sender::Tally,
};

/// What was done, who failed and why, how each tenant's part ended and what happens next.
#[must_use]
pub fn summary_text(report: &CycleReport, style: &Style) -> String {
    let mut page = Page::new(style);
    page.line(0, &[(Tone::Strong, &headline(report, style))]);
    page.blank();
    push_source(&mut page, report);
    for tenant in sorted(report) {
        page.blank();
        push_tenant(&mut page, tenant);
    }
    page.blank();
    let exit = report.exit();
    let tone = if exit.code() == 0 { Tone::Good } else { Tone::Care };
    let text = format!("Exit {}: {}.", exit.code(), words::exit_meaning(exit));
    page.prose(0, tone, &text);
    if style.dry_run {
        page.line(0, &[(Tone::Strong, "DRY RUN: no change was sent to any target.")]);
    }
    page.finish()
}

/// Says whether this was the real thing.
fn headline(report: &CycleReport, style: &Style) -> String {
    let patches: u64 = report.tenants.iter().map(|t| t.results.requests.patches).sum();
    let run = &report.run;
    match (style.dry_run, patches) {
        (true, _) => format!("DRY RUN {run}: no change was sent to any target."),
        (false, 0) => format!("Run {run}: no change was sent to any target."),
        (false, _) => format!("Run {run}: {} sent.", counted(patches, "PATCH request")),
    }
}

fn push_tenant(page: &mut Page, tenant: &TenantReport) {
    push_name(page, tenant);
    if tenant.plan.is_some() || tenant.results != Results::default() {
        push_results(page, &tenant.results);
    }
    if let Some(plan) = &tenant.plan {
        let Counts { held, withheld, .. } = Counts::of_plan(plan);
        if held + withheld > 0 {
            let text = format!("{}; `plan` lists them", held_words(held, withheld));
            page.fact("held", Tone::Care, &text);
        }
        if !plan.leavers.is_empty() {
            page.fact("leavers", Tone::Care, &format!("{} (reported only)", plan.leavers.len()));
        }
    }
    push_failures(page, &tenant.results, &tenant.quarantines);
    if let Some(plan) = &tenant.plan {
        push_guards(page, &plan.guards, Some(&tenant.digest));
    }
    push_turn(page, tenant.quarantines.turn.as_ref());
    push_notices(page, &tenant.notices);
    let ending = words::ending(&tenant.end);
    page.blank();
    page.prose(2, if ending.fine { Tone::Good } else { Tone::Bad }, &ending.what);
    if !ending.next.is_empty() {
        page.prose(4, Tone::Plain, ending.next);
    }
}

fn push_results(page: &mut Page, results: &Results) {
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
    } = results;
    let told = match unverified {
        0 => String::new(),
        count => format!(", {count} of them without a way to see it at the target"),
    };
    let tone = if *settled == 0 { Tone::Plain } else { Tone::Good };
    page.fact("settled", tone, &format!("{}{told}", counted(*settled, "user")));
    page.fact("read", Tone::Plain, &counted(*read, "user"));
    page.fact("requests", Tone::Plain, &tally(requests));
    let troubles = [
        (*not_accepted, "not accepted", NOT_ACCEPTED),
        (*refused, "refused", REFUSED),
        (*gone, "gone", GONE),
        (*in_doubt, "in doubt", IN_DOUBT),
        (*deferred, "deferred", DEFERRED),
        (*left, "not begun", LEFT),
    ];
    for (count, name, next) in troubles.into_iter().filter(|(count, ..)| *count > 0) {
        page.fact(name, Tone::Care, &counted(count, "user"));
        page.prose(FACT_COLUMN, Tone::Dim, next);
    }
}

const NOT_ACCEPTED: &str = "the target shows another value than the one sent; not sent again until \
    the roster or the mapping changes it";
const REFUSED: &str = "a value that the target rejects is not sent again until it changes; a \
    missing permission or a conflict is tried again after 6, 12 and 24 hours and then daily";
const GONE: &str = "correct the remote id, or take the user out of the tenant's scope";
const IN_DOUBT: &str = "no trustworthy answer came; the next run settles it before anything else \
    is sent for them";
const DEFERRED: &str = "nothing was done at the target; the next run plans them again, or a later \
    one whom no attempt has reached";
const LEFT: &str = "nothing was sent; the next run plans them again";

fn tally(tally: &Tally) -> String {
    let Tally { reads, patches, throttled, paused } = tally;
    let mut text =
        format!("{} ({reads} to read, {patches} PATCH)", counted(reads + patches, "request"));
    if *throttled > 0 {
        let silence = words::duration(*paused);
        text = format!(
            "{text}, {throttled} throttled by the target, {silence} of silence that it asked for"
        );
    }
    text
}

fn push_turn(page: &mut Page, turn: Option<&Turn>) {
    let Some(turn) = turn else { return };
    let (what, next) = words::turn(turn);
    page.blank();
    page.prose(2, Tone::Care, &format!("QUARANTINE {what}"));
    if !next.is_empty() {
        page.prose(4, Tone::Plain, next);
    }
}

fn push_failures(page: &mut Page, results: &Results, quarantines: &Quarantines) {
    if results.failures.is_empty() {
        return;
    }
    page.blank();
    let failures: Vec<(&UserKey, &Failure)> = results.failures.iter().collect();
    page.list(2, &failures, |page, (key, failure)| {
        let Failure { status, code, why } = failure;
        let status = status.map_or("no answer".to_owned(), |status| format!("status {status}"));
        let code = if code.is_empty() { String::new() } else { format!(", {code}") };
        let rest = format!(": {status}{code}");
        page.line(2, &[(Tone::Bad, "! "), (Tone::Strong, key.as_str()), (Tone::Plain, &rest)]);
        if page.style.values && !why.is_empty() {
            page.prose(6, Tone::Plain, why);
        } else if !why.is_empty() {
            let text = format!("(text of {} characters)", why.chars().count());
            page.line(6, &[(Tone::Dim, &text)]);
        }
        if let Some(timer) = quarantines.users.get(key) {
            page.prose(6, Tone::Plain, &words::timer(HeldReason::Refused, timer));
        }
    });
}
