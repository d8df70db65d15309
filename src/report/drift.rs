//! Who changed what, for people and for programs.

use super::{
    Style,
    json::{FORMAT_VERSION, source},
    page::{Page, Tone},
    plan::{push_end, push_name, push_notices, push_source, sorted},
    value,
    words::{self, counted},
};
use crate::{
    cycle::{Compared, CycleReport, TenantReport},
    engine::drift::{Contrast, Drift, Sight, Who},
    model::{OnDrift, TenantId, Value},
};
use serde_json::{Value as Json, json};
use std::collections::BTreeMap;

/// Every account that is not as wished, attribute by attribute.
#[must_use]
pub fn drift_text(
    report: &CycleReport,
    found: &BTreeMap<TenantId, Compared>,
    style: &Style,
) -> String {
    let mut page = Page::new(style);
    push_source(&mut page, report);
    for tenant in sorted(report) {
        page.blank();
        push_name(&mut page, tenant);
        if let Some(compared) = found.get(&tenant.tenant) {
            push_compared(&mut page, tenant, compared);
        }
        push_end(&mut page, &tenant.end);
        push_notices(&mut page, &tenant.notices);
    }
    page.finish()
}

fn push_compared(page: &mut Page, tenant: &TenantReport, compared: &Compared) {
    let Compared { by_list, looked, in_step, drifts, noted, holds } = compared;
    let how = if *by_list { "by the list of all users" } else { "one by one" };
    page.fact("looked at", Tone::Plain, &format!("{}, {how}", counted(*looked, "account")));
    page.fact("in step", Tone::Plain, &in_step.to_string());
    let changed = compared.changed();
    let tone = if changed == 0 { Tone::Good } else { Tone::Care };
    page.fact("drifted", tone, &changed.to_string());
    let of = |sight: fn(&Sight) -> bool| drifts.iter().filter(|drift| sight(&drift.sight)).count();
    let unlisted = of(|sight| matches!(sight, Sight::Unlisted));
    if unlisted > 0 {
        let told = format!("{unlisted} (which is no proof that they are not there)");
        page.fact("not in the list", Tone::Care, &told);
    }
    let failed = tenant.results.failures.len();
    if failed > 0 {
        page.fact("not looked at", Tone::Care, &failed.to_string());
    }
    if *noted > 0 {
        let told = format!("{}, for the next run", counted(*noted, "user"));
        page.fact("remembered of", Tone::Plain, &told);
    }
    page.list(2, drifts, push_drift);
    if *holds {
        page.blank();
        let text = format!(
            "GUARD max_drift: others changed {changed} of {looked} accounts, and the next plan that \
             changes something is held. If the target was put back from a copy, `rosterd resnapshot \
             --tenant {}` has everybody read anew.",
            tenant.tenant
        );
        page.prose(2, Tone::Bad, &text);
    }
}

fn push_drift(page: &mut Page, drift: &Drift) {
    let Drift { key, sight } = drift;
    match sight {
        Sight::Missing => page.line(2, &[(Tone::Bad, &format!("{key}: not there"))]),
        Sight::Unlisted => page.line(2, &[(Tone::Care, &format!("{key}: not in the list"))]),
        Sight::Contrasts(contrasts) => {
            page.line(2, &[(Tone::Strong, key.as_str())]);
            for contrast in contrasts {
                push_contrast(page, contrast);
            }
        }
    }
}

fn push_contrast(page: &mut Page, contrast: &Contrast) {
    let Contrast { path, who, policy, wanted, known, shown } = contrast;
    let tone = if who.is_drift() { Tone::Care } else { Tone::Plain };
    page.line(4, &[(Tone::Plain, &format!("{path}: ")), (tone, words_of(*who))]);
    let values = page.style.values;
    let known = known.as_ref();
    let known = known.map_or(value::NOT_KNOWN.to_owned(), |known| shown_as(known.as_ref(), values));
    for (name, text) in [
        ("wished", shown_as(wanted.as_ref(), values)),
        ("known", known),
        ("there now", shown_as(shown.as_ref(), values)),
    ] {
        page.line(6, &[(Tone::Dim, &format!("{name:<10}")), (Tone::Plain, &text)]);
    }
    if who.is_drift() {
        page.line(
            6,
            &[
                (Tone::Dim, &format!("{:<10}", "on_drift")),
                (Tone::Plain, what_follows(*who, *policy)),
            ],
        );
    }
}

fn shown_as(value: Option<&Value>, values: bool) -> String {
    value::shown(value, values)
}

fn words_of(who: Who) -> &'static str {
    match who {
        Who::InStep => "in step",
        Who::Source => "source changed",
        Who::Target => "target changed",
        Who::Both => "both changed",
        Who::NotAccepted => "not accepted by the target",
        Who::Unseen => "never seen before",
    }
}

fn what_follows(who: Who, policy: OnDrift) -> &'static str {
    match (who, policy) {
        (Who::Both, _) => "the wish is another one by now, and is sent",
        (_, OnDrift::Overwrite) => "overwrite: the next run sends the wish",
        (_, OnDrift::Keep) => "keep: it stays until the wish changes",
        (_, OnDrift::Hold) => "hold: it stays until the wish changes, and every plan tells it",
    }
}

/// The same for programs.
#[must_use]
pub fn drift_json(report: &CycleReport, found: &BTreeMap<TenantId, Compared>) -> Json {
    let tenants = sorted(report).into_iter().map(|tenant| {
        let ending = words::ending(&tenant.end);
        let mut json = json!({
            "tenant": tenant.tenant,
            "api": tenant.api,
            "end": { "state": ending.state, "what": ending.what },
            "failures": tenant.results.failures.keys().collect::<Vec<_>>(),
        });
        if let Some(compared) = found.get(&tenant.tenant) {
            let Compared { by_list, looked, in_step, drifts, noted, holds } = compared;
            json["by_list"] = json!(by_list);
            json["looked"] = json!(looked);
            json["in_step"] = json!(in_step);
            json["drifted"] = json!(compared.changed());
            json["noted"] = json!(noted);
            json["holds_the_next_plan"] = json!(holds);
            json["users"] = drifts.iter().map(user_json).collect();
        }
        json
    });
    json!({
        "format_version": FORMAT_VERSION,
        "kind": "drift",
        "run": report.run,
        "started": report.started,
        "source": source(report),
        "findings": report.findings,
        "tenants": tenants.collect::<Json>(),
    })
}

fn user_json(drift: &Drift) -> Json {
    let Drift { key, sight } = drift;
    match sight {
        Sight::Missing => json!({ "key": key, "state": "missing" }),
        Sight::Unlisted => json!({ "key": key, "state": "unlisted" }),
        Sight::Contrasts(contrasts) => {
            let attributes: Json = contrasts.iter().map(contrast_json).collect();
            json!({ "key": key, "state": "there", "attributes": attributes })
        }
    }
}

/// What was never seen has no `known`, so that it is not taken for unset.
fn contrast_json(contrast: &Contrast) -> Json {
    let Contrast { path, who, policy, wanted, known, shown } = contrast;
    let mut json = json!({
        "attribute": path,
        "who": who,
        "on_drift": policy,
        "wanted": wanted,
        "shown": shown,
    });
    if let Some(known) = known {
        json["known"] = json!(known);
    }
    json
}
