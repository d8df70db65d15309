//! Plans that nothing comes of: no lock, no request, no byte of the state changed.

use super::{
    CycleReport, Options, TenantEnd, TenantReport,
    case::Case,
    evidence::overtime,
    gather::{Gathered, Guest, Read, read},
    quarantine::waiting,
    session::{chosen, empty, end, refused_report, report},
    target,
    tenant::{blank, of_store, refusal},
};
use crate::{
    config::{Config, TenantConfig},
    engine::plan::digest,
    model::{SourceId, TrippedGuard, Wanted},
    source::Refused,
    store::{ReadStore, Snapshot, StoreError},
};
use jiff::Timestamp;
use std::sync::Arc;

/// The plans of a source's tenants, from snapshots opened read-only: no byte of the state changes
/// and no request leaves.
#[must_use]
pub fn preview(config: &Config, source: &SourceId, options: &Options) -> CycleReport {
    let Some(settings) = config.sources.get(source) else {
        return empty(config, source, options);
    };
    let mut opened = Vec::new();
    let mut ended = Vec::new();
    for tenant in chosen(config, source, options) {
        let looked = ReadStore::open(&config.state_dir, &tenant.id).and_then(|store| {
            let stranger = store.as_deref().map(|store| target::stranger(&tenant, store));
            Ok((store, stranger.transpose()?.flatten()))
        });
        match looked {
            Ok((store, None)) => opened.push((tenant.clone(), store)),
            Ok((_, Some(stranger))) => ended.push(end(blank(&tenant, options.now), stranger)),
            Err(error) => ended.push(end(blank(&tenant, options.now), of_store(&error))),
        }
    }
    let guest = |(tenant, store)| Guest { tenant, snapshot: Option::as_deref(store) };
    let guests: Vec<Guest<'_>> =
        opened.iter().map(|(tenant, store)| guest((tenant, store))).collect();
    let gathered = match read(config, source, settings, &guests, options) {
        Ok(Read { gathered, .. }) => gathered,
        Err(refused) => {
            ended.extend(opened.iter().map(|(tenant, ..)| blank(tenant, options.now)));
            return refused_report(config, source, options, refused, ended);
        }
    };
    let Gathered { facts, findings, cases } = gathered;
    for ((tenant, store), case) in opened.iter().zip(cases) {
        let report = blank(tenant, options.now);
        ended.push(match case {
            Ok(case) => planned(case, store.as_deref(), report, options.now),
            Err(error) => end(report, of_store(&error)),
        });
    }
    report(config, source, options, (facts, findings), ended)
}

/// A tenant and the accounts that are wished of it.
pub type Wishes = (Arc<TenantConfig>, Vec<Wanted>);

/// What the source wishes of each of its tenants, without a look at any snapshot.
///
/// # Errors
/// Why the source is refused.
pub fn wishes(
    config: &Config,
    source: &SourceId,
    options: &Options,
) -> Result<Vec<Wishes>, Refused> {
    let Some(settings) = config.sources.get(source) else { return Ok(Vec::new()) };
    let tenants = chosen(config, source, options);
    let read = read(config, source, settings, &strangers(&tenants), options)?;
    let cases = read.gathered.cases;
    let wanted = |(tenant, case): (&Arc<TenantConfig>, Result<Case, StoreError>)| {
        Some((tenant.clone(), case.ok()?.into_wanted()))
    };
    Ok(tenants.iter().zip(cases).filter_map(wanted).collect())
}

/// The tenants as if nobody were known of any.
fn strangers(tenants: &[Arc<TenantConfig>]) -> Vec<Guest<'_>> {
    tenants.iter().map(|tenant| Guest { tenant, snapshot: None }).collect()
}

/// Judges the source and maps it for every tenant, without state or network: nobody is known.
#[must_use]
pub fn judge(config: &Config, source: &SourceId, options: &Options) -> CycleReport {
    let Some(settings) = config.sources.get(source) else {
        return empty(config, source, options);
    };
    let tenants = chosen(config, source, options);
    let gathered = match read(config, source, settings, &strangers(&tenants), options) {
        Ok(Read { gathered, .. }) => gathered,
        Err(refused) => return refused_report(config, source, options, refused, Vec::new()),
    };
    let Gathered { facts, findings, cases } = gathered;
    let plan = |(tenant, case): (&Arc<TenantConfig>, Result<Case, StoreError>)| {
        let report = blank(tenant, options.now);
        let mut report = match case {
            Ok(case) => planned(case, None, report, options.now),
            Err(error) => end(report, of_store(&error)),
        };
        // Nobody is known here, so everybody would count as changed.
        let of_known =
            ["max_update", "max_disable", "max_disable_abs", "max_key_change", "max_attr_change"];
        let known_only = |guard: &TrippedGuard| !of_known.contains(&guard.guard);
        if let Some(plan) = &mut report.plan {
            plan.guards.retain(known_only);
            if plan.guards.is_empty() && report.end == TenantEnd::Guarded {
                report.end = TenantEnd::Planned;
            }
        }
        report
    };
    let tenants = tenants.iter().zip(cases).map(plan).collect();
    report(config, source, options, (facts, findings), tenants)
}

/// A tenant's plan, with what would keep it from being sent.
fn planned(
    mut case: Case,
    snapshot: Option<&Snapshot>,
    mut report: TenantReport,
    now: Timestamp,
) -> TenantReport {
    report.findings = case.findings().to_vec();
    match case.plan(snapshot, false, now) {
        Err(error) => end(report, of_store(&error)),
        Ok(judgement) => {
            let plan = judgement.planned.plan;
            report.digest = digest(&plan);
            report.notices.extend(overtime(&case.config, &plan));
            report.plan = Some(plan);
            let passed = snapshot.map(|snapshot| case.let_pass(&mut report, snapshot, now));
            if let Some(Err(error)) = passed {
                return end(report, of_store(&error));
            }
            let guarded = report.plan.as_ref().is_some_and(|plan| !plan.guards.is_empty());
            if let Some(refused) = refusal(&report.notices) {
                return end(report, refused);
            }
            if guarded {
                return end(report, TenantEnd::Guarded);
            }
            match waiting(snapshot, now) {
                Ok(Some(state)) => end(report, TenantEnd::Quarantined(state)),
                Ok(None) => report,
                Err(error) => end(report, of_store(&error)),
            }
        }
    }
}
