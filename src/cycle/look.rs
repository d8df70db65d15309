//! Plans that nothing comes of: no lock, no request, no byte of the state changed.

use super::{
    CycleReport, Options, TenantEnd, TenantReport,
    case::Case,
    gather::{self, Index},
    session::{chosen, empty, end, refused_report, report},
    target,
    tenant::{blank, of_store, refusal},
};
use crate::{
    config::{Config, TenantConfig},
    engine::plan::digest,
    model::{SourceId, TrippedGuard, Wanted},
    source::Refused,
    store::ReadStore,
};
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
            let stranger = stranger.transpose()?.flatten();
            Ok((Index::of(store.as_deref())?, store, stranger))
        });
        match looked {
            Ok((index, store, None)) => opened.push((tenant.clone(), index, store)),
            Ok((_, _, Some(stranger))) => ended.push(end(blank(&tenant, options.now), stranger)),
            Err(error) => ended.push(end(blank(&tenant, options.now), of_store(&error))),
        }
    }
    let views: Vec<(&TenantConfig, &Index)> =
        opened.iter().map(|(tenant, index, _)| (tenant.as_ref(), index)).collect();
    let roster = match gather::read(config, source, settings, &views, !options.users.is_empty()) {
        Ok(roster) => Arc::new(roster),
        Err(refused) => {
            ended.extend(opened.iter().map(|(tenant, ..)| blank(tenant, options.now)));
            return refused_report(config, source, options, refused, ended);
        }
    };
    let plan = |(tenant, index, store): (Arc<TenantConfig>, Index, Option<ReadStore>)| {
        let report = blank(&tenant, options.now);
        let case = Case::new(tenant, settings, roster.clone(), index, options);
        planned(&case, store.as_deref(), report)
    };
    ended.extend(opened.into_iter().map(plan));
    report(config, source, options, &roster, ended)
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
    let roster = Arc::new(gather::read(config, source, settings, &[], true)?);
    let case = |tenant: Arc<TenantConfig>| {
        let index = Index::default();
        let case = Case::new(tenant.clone(), settings, roster.clone(), index, options);
        (tenant, case.into_wanted())
    };
    Ok(chosen(config, source, options).into_iter().map(case).collect())
}

/// Judges the source and maps it for every tenant, without state or network: nobody is known.
#[must_use]
pub fn judge(config: &Config, source: &SourceId, options: &Options) -> CycleReport {
    let Some(settings) = config.sources.get(source) else {
        return empty(config, source, options);
    };
    let roster = match gather::read(config, source, settings, &[], true) {
        Ok(roster) => Arc::new(roster),
        Err(refused) => return refused_report(config, source, options, refused, Vec::new()),
    };
    let plan = |tenant: Arc<TenantConfig>| {
        let report = blank(&tenant, options.now);
        let case = Case::new(tenant, settings, roster.clone(), Index::default(), options);
        let mut report = planned(&case, None, report);
        // Nobody is known here, so everybody would count as changed.
        let known_only = |guard: &TrippedGuard| guard.guard != "max_update";
        if let Some(plan) = &mut report.plan {
            plan.guards.retain(known_only);
            if plan.guards.is_empty() && report.end == TenantEnd::Guarded {
                report.end = TenantEnd::Planned;
            }
        }
        report
    };
    let tenants = chosen(config, source, options).into_iter().map(plan).collect();
    report(config, source, options, &roster, tenants)
}

/// A tenant's plan, with what would keep it from being sent.
fn planned(
    case: &Case,
    snapshot: Option<&crate::store::Snapshot>,
    mut report: TenantReport,
) -> TenantReport {
    report.findings = case.findings().to_vec();
    match case.plan(snapshot, false) {
        Err(error) => end(report, of_store(&error)),
        Ok(judgement) => {
            let plan = judgement.planned.plan;
            report.digest = digest(&plan);
            let guarded = !plan.guards.is_empty();
            report.plan = Some(plan);
            match refusal(&report.notices) {
                Some(refused) => end(report, refused),
                None if guarded => end(report, TenantEnd::Guarded),
                None => report,
            }
        }
    }
}
