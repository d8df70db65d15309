//! A plan and a run for programs. Additive within a major version of the format.

use super::{
    counts::Counts,
    escape::is_hidden,
    plan::sorted,
    words::{self, whole_seconds},
};
use crate::{
    cycle::{CycleReport, Failure, Quarantines, Results, TenantEnd, TenantReport, Turn},
    engine::plan::operation_json,
    model::{
        Action, AttrPath, Completeness, Edit, Forecast, Notice, Operation, Plan, SourceFacts,
        Timer, TrippedGuard, UserKey,
    },
    sender::{Ended, Tally},
    store::TenantInQuarantine,
};
use serde_json::{Value as Json, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
};

/// `major.minor`: a reader of one major version understands every later minor one.
pub const FORMAT_VERSION: &str = "1.0";

/// The plan: who would be sent what, and why not.
#[must_use]
pub fn plan_json(report: &CycleReport) -> Json {
    document("plan", report)
}

/// The run: the plan as it was carried out, and what became of it.
#[must_use]
pub fn summary_json(report: &CycleReport) -> Json {
    let mut json = document("run", report);
    let exit = report.exit();
    json["exit"] = json!({ "code": exit.code(), "meaning": words::exit_meaning(exit) });
    json
}

/// The document as text of many lines, safe to print on a terminal: whatever is invisible there is
/// spelled as `\u202e`, which every JSON reader reads back as it was.
#[must_use]
pub fn json_text(json: &Json) -> String {
    spell_hidden(&format!("{json:#}")) + "\n"
}

/// The same as one line, for programs that read a document a line.
#[must_use]
pub fn json_line(json: &Json) -> String {
    spell_hidden(&json.to_string()) + "\n"
}

fn spell_hidden(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    for c in json.chars() {
        // Outside of texts there are only spaces and line ends, and inside them no line end.
        if c == '\n' || !is_hidden(c) {
            text.push(c);
            continue;
        }
        for unit in c.encode_utf16(&mut [0; 2]) {
            let _ = write!(text, "\\u{unit:04x}");
        }
    }
    text
}

fn document(kind: &str, report: &CycleReport) -> Json {
    let CycleReport { run, source: _, path: _, started, facts, findings, tenants: _ } = report;
    let tenants = sorted(report);
    let complete = facts.as_ref().is_some_and(|f| f.completeness == Completeness::Complete);
    let planned = tenants.iter().all(|tenant| tenant.plan.is_some());
    json!({
        "format_version": FORMAT_VERSION,
        "kind": kind,
        "run": run,
        "started": started,
        "applyable": tenants.iter().any(|tenant| is_applyable(tenant)),
        "complete": complete && planned,
        "errored": facts.is_none() || !planned,
        "source": source(report),
        "summary": summary(report),
        "guards": tenants.iter().flat_map(|tenant| guards(tenant)).collect::<Json>(),
        "findings": findings,
        "tenants": tenants.iter().map(|tenant| tenant_json(tenant)).collect::<Json>(),
    })
}

/// There is something to send, and nothing stands in its way.
fn is_applyable(tenant: &TenantReport) -> bool {
    let sendable = |plan: &Plan| !plan.operations.is_empty() && plan.guards.is_empty();
    tenant.plan.as_ref().is_some_and(sendable)
        && !matches!(tenant.end, TenantEnd::Quarantined(_))
        && !tenant.notices.iter().any(|notice| notice.refuses)
}

pub(super) fn source(report: &CycleReport) -> Json {
    let mut json = json!({ "id": report.source, "path": report.path.display().to_string() });
    let Some(facts) = &report.facts else {
        json["refused"] = json!(true);
        return json;
    };
    let SourceFacts { rows, users, held, waiting, completeness, digest } = facts;
    json["digest"] = json!(digest.to_string());
    json["rows"] = json!(rows);
    json["users"] = json!(users);
    json["held"] = json!(held);
    if *waiting > 0 {
        json["waiting"] = json!(waiting);
    }
    json["refused"] = json!(false);
    json["complete"] = json!(*completeness == Completeness::Complete);
    if let Completeness::Partial(why) = completeness {
        json["partial_because"] = json!(why);
    }
    json
}

fn summary(report: &CycleReport) -> Json {
    let Counts { users, unchanged, changes, reads, held, withheld, leavers, guarded, unplanned } =
        Counts::of_tenants(&report.tenants);
    json!({
        "users": users,
        "unchanged": unchanged,
        "to_change": changes,
        "to_read": reads,
        "held": held,
        "values_held": withheld,
        "leavers": leavers,
        "tenants_guarded": guarded,
        "tenants_not_planned": unplanned,
    })
}

fn guards(tenant: &TenantReport) -> Vec<Json> {
    let guards = tenant.plan.iter().flat_map(|plan| &plan.guards);
    guards
        .map(|TrippedGuard { guard, figure, limit, key }| {
            json!({
                "tenant": tenant.tenant,
                "guard": guard,
                "figure": figure,
                "limit": limit,
                "key": key,
            })
        })
        .collect()
}

fn tenant_json(tenant: &TenantReport) -> Json {
    let TenantReport {
        tenant: id,
        api,
        plan,
        digest,
        findings,
        notices,
        privileges,
        results,
        quarantines: Quarantines { turn, users: timers },
        end,
    } = tenant;
    let mut json = json!({
        "tenant": id,
        "api": api,
        "planned": plan.is_some(),
        "findings": findings,
        "notices": notices.iter().map(notice).collect::<Json>(),
        "results": results_json(results, timers),
        "end": end_json(end),
    });
    if let Some(turn) = turn {
        json["quarantine"] = turn_json(turn);
    }
    let Some(plan) = plan else { return json };
    let Plan { tenant: _, users, unchanged, operations, held, leavers, guards: _, forecast } = plan;
    let Forecast { requests, duration } = forecast;
    let changes = plan.changes().map(|(operation, edits)| change(operation, edits, privileges));
    json["digest"] = json!(digest);
    json["users"] = json!(users);
    json["unchanged"] = json!(unchanged);
    json["operations"] = json!(operations.len());
    json["changes"] = changes.collect();
    json["reads"] = plan.reads().map(read).collect();
    json["held"] = json!(held);
    json["leavers"] = json!(leavers);
    json["forecast"] = json!({ "requests": requests, "seconds": whole_seconds(*duration) });
    json
}

fn change(operation: &Operation, edits: &[Edit], privileges: &BTreeSet<AttrPath>) -> Json {
    let sensitive = edits.iter().map(|edit| &edit.path).filter(|path| privileges.contains(*path));
    let mut json = operation_json(operation);
    json["reason"] = json!(reason(operation));
    json["sensitive"] = json!(sensitive.collect::<Vec<_>>());
    json
}

fn read(operation: &Operation) -> Json {
    let mut json = operation_json(operation);
    json["reason"] = json!(reason(operation));
    json
}

fn reason(operation: &Operation) -> &'static str {
    match &operation.action {
        Action::Read => "not_known",
        Action::Find { .. } => "not_linked",
        Action::Create { .. } => "joined",
        Action::Disable { .. } => "left",
        Action::Enable { .. } => "returned",
        Action::Delete => "left_long_ago",
        Action::Patch { edits, companions: _ } => {
            let never_seen = edits.iter().all(|edit| edit.before.is_none());
            if never_seen { "never_seen" } else { "attribute_changed" }
        }
    }
}

fn notice(notice: &Notice) -> Json {
    let Notice { message, hint, refuses } = notice;
    json!({ "message": message, "hint": hint, "refuses": refuses })
}

fn turn_json(turn: &Turn) -> Json {
    match turn {
        Turn::Entered(state) => state_json("entered", state),
        Turn::Changed(state) => state_json("changed", state),
        Turn::Left { since } => json!({ "turn": "left", "since": since }),
    }
}

fn state_json(turn: &str, state: &TenantInQuarantine) -> Json {
    let TenantInQuarantine { cause, why, timer: Timer { since, next_try, tries } } = state;
    json!({
        "turn": turn,
        "cause": cause.as_str(),
        "why": why,
        "since": since,
        "next_try": next_try,
        "tries": tries,
    })
}

fn results_json(results: &Results, timers: &BTreeMap<UserKey, Timer>) -> Json {
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
        failures,
    } = results;
    let Tally { reads, patches, throttled, paused } = requests;
    let failures = failures.iter().map(|(key, Failure { status, code, why })| {
        let mut failure = json!({ "key": key, "status": status, "code": code, "why": why });
        if let Some(timer) = timers.get(key) {
            failure["timer"] = json!(timer);
        }
        failure
    });
    json!({
        "read": read,
        "settled": settled,
        "unverified": unverified,
        "not_accepted": not_accepted,
        "refused": refused,
        "gone": gone,
        "in_doubt": in_doubt,
        "deferred": deferred,
        "left": left,
        "requests": {
            "reads": reads,
            "patches": patches,
            "throttled": throttled,
            "paused_seconds": whole_seconds(*paused),
        },
        "failures": failures.collect::<Json>(),
    })
}

fn end_json(end: &TenantEnd) -> Json {
    let ending = words::ending(end);
    let mut json = json!({ "state": ending.state, "what": ending.what, "next": ending.next });
    if let TenantEnd::Paused { until } | TenantEnd::Early(Ended::Throttled { until }) = end {
        json["until"] = json!(until);
    }
    if let TenantEnd::Quarantined(state) = end {
        json["quarantine"] = state_json("waits", state);
    }
    json
}
