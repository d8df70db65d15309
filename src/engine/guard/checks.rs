//! The checks, one function each.

use super::{Evidence, figures::Count, limit::HANDFUL, limit::Limit};
use crate::model::{AttrPath, HeldReason, TenantId, TrippedGuard, Weight};
use std::collections::BTreeMap;

pub(super) type Check = fn(&Evidence<'_>) -> Vec<Trip>;

/// A limit that was passed, before the tenant's name is put to it.
#[derive(Debug)]
pub struct Trip {
    guard: &'static str,
    figure: String,
    limit: Limit,
    /// A new mapping could be all that there is to it.
    of_changes: bool,
}

impl Trip {
    fn new(guard: &'static str, limit: Limit, figure: String) -> Self {
        Self { guard, figure, limit, of_changes: false }
    }

    fn of_changes(self) -> Self {
        Self { of_changes: true, ..self }
    }

    pub(super) fn named(self, tenant: &TenantId, new_mapping: bool) -> TrippedGuard {
        let Self { guard, mut figure, limit, of_changes } = self;
        if of_changes && new_mapping {
            figure += "; caused by config change: the mapping is another one than when the source \
                       was last accepted";
        }
        let key = format!("tenants.{tenant}.guards.{guard}");
        TrippedGuard { guard, figure, limit: limit.to_string(), key }
    }
}

pub(super) fn source_shrink(evidence: &Evidence<'_>) -> Vec<Trip> {
    let now = evidence.source_users;
    let Some(before) = evidence.source_users_before else { return Vec::new() };
    let lost = before.saturating_sub(now);
    let limit = evidence.limits.max_source_shrink;
    if lost == 0 || !limit.exceeded(lost, before) {
        return Vec::new();
    }
    let figure = format!(
        "the source has {now} users and had {before} when it was last accepted: {} fewer",
        share(lost, before)
    );
    vec![Trip::new("max_source_shrink", limit, figure)]
}

pub(super) fn source_growth(evidence: &Evidence<'_>) -> Vec<Trip> {
    let now = evidence.source_users;
    let Some(before) = evidence.source_users_before else { return Vec::new() };
    let gained = now.saturating_sub(before);
    let limit = evidence.limits.max_source_growth;
    if gained == 0 || !limit.exceeded_above(HANDFUL, gained, before) {
        return Vec::new();
    }
    let figure = format!(
        "the source has {now} users and had {before} when it was last accepted: {} more",
        share(gained, before)
    );
    vec![Trip::new("max_source_growth", limit, figure)]
}

/// Another tenant's file shares few users with what is known here, whichever way one looks: a
/// tenant that has only begun to be known, or that knows many who have left, shares most of one
/// side.
pub(super) fn known(evidence: &Evidence<'_>) -> Vec<Trip> {
    let Evidence { users, accounts, strangers, limits, .. } = *evidence;
    let (known, limit) = (users.saturating_sub(strangers), limits.min_known);
    let few = accounts > 0 && strangers > HANDFUL;
    if !few || !limit.missed(known, users) || !limit.missed(known, accounts) {
        return Vec::new();
    }
    let figure = format!(
        "only {} of the {users} users of the source are known here, where {accounts} are: is it \
         another tenant's file?",
        share(known, users)
    );
    vec![Trip::new("min_known", limit, figure)]
}

pub(super) fn update(evidence: &Evidence<'_>) -> Vec<Trip> {
    let (users, limit) = (evidence.users, evidence.limits.max_update);
    let count = evidence.figures.changed;
    if count.planned == 0 || !limit.exceeded(count.all(), users) {
        return Vec::new();
    }
    let told = format!("{} of {users} users would change{}", share(count.all(), users), day(count));
    vec![Trip::new("max_update", limit, told).of_changes()]
}

pub(super) fn disable(evidence: &Evidence<'_>) -> Vec<Trip> {
    let (active, count) = (evidence.active, evidence.figures.disabled);
    if count.planned == 0 {
        return Vec::new();
    }
    let told = format!(
        "{} of the {active} users that are active would be switched off{}",
        share(count.all(), active),
        day(count)
    );
    let (share, number) = (evidence.limits.max_disable, evidence.limits.max_disable_abs);
    let mut trips = Vec::new();
    if share.exceeded_above(HANDFUL, count.all(), active) {
        trips.push(Trip::new("max_disable", share, told.clone()).of_changes());
    }
    if number.exceeded_above(HANDFUL, count.all(), active) {
        trips.push(Trip::new("max_disable_abs", number, told).of_changes());
    }
    trips
}

pub(super) fn create(evidence: &Evidence<'_>) -> Vec<Trip> {
    let (limit, count) = (evidence.limits.max_create, evidence.figures.created);
    // Those that were made within the day are known by now.
    let accounts = evidence.accounts.saturating_sub(count.before);
    if count.planned == 0 || !limit.exceeded_above(HANDFUL, count.all(), accounts) {
        return Vec::new();
    }
    let told = format!(
        "{} accounts would be made, where {accounts} were known{}",
        count.all(),
        day(count)
    );
    vec![Trip::new("max_create", limit, told)]
}

pub(super) fn delete(evidence: &Evidence<'_>) -> Vec<Trip> {
    let (limit, count) = (evidence.limits.max_delete, evidence.figures.deleted);
    let accounts = evidence.accounts + count.before;
    if count.planned == 0 || !limit.exceeded(count.all(), accounts) {
        return Vec::new();
    }
    let told = format!(
        "{} accounts would be deleted for good, of {accounts} that were known{}",
        count.all(),
        day(count)
    );
    vec![Trip::new("max_delete", limit, told)]
}

pub(super) fn key_change(evidence: &Evidence<'_>) -> Vec<Trip> {
    let key_like = |path: &AttrPath| {
        let attribute = evidence.capabilities.attributes.get(path);
        attribute.is_some_and(|attribute| attribute.weight == Weight::KeyLike)
    };
    let tell = |path: &AttrPath, changed: &str| {
        format!("`{path}`, by which people log in or are found, would change for {changed}")
    };
    changed("max_key_change", evidence.limits.max_key_change, evidence, &key_like, &tell)
}

pub(super) fn attr_change(evidence: &Evidence<'_>) -> Vec<Trip> {
    let tell = |path: &AttrPath, changed: &str| format!("`{path}` would change for {changed}");
    changed("max_attr_change", evidence.limits.max_attr_change, evidence, &|_| true, &tell)
}

fn changed(
    guard: &'static str,
    limit: Limit,
    evidence: &Evidence<'_>,
    concerns: &dyn Fn(&AttrPath) -> bool,
    tell: &dyn Fn(&AttrPath, &str) -> String,
) -> Vec<Trip> {
    let users = evidence.users;
    let attributes = evidence.figures.attributes.iter();
    let counts = attributes.map(|(path, attribute)| (*path, attribute.changed));
    let passed = counts.filter(|(path, count)| {
        concerns(path) && limit.exceeded_above(HANDFUL, count.all(), users)
    });
    passed
        .map(|(path, count)| {
            let told = format!("{} of {users} users{}", share(count.all(), users), day(count));
            Trip::new(guard, limit, tell(path, &told)).of_changes()
        })
        .collect()
}

pub(super) fn attr_clear(evidence: &Evidence<'_>) -> Vec<Trip> {
    let limit = evidence.limits.max_attr_clear;
    let trip = |(path, cleared): (&AttrPath, Count)| {
        let all = cleared.all();
        // Whoever was emptied before has none any more, and had one when the day began.
        let holders = evidence.holders.get(path).copied().unwrap_or_default() + cleared.before;
        let holders = holders.max(all);
        (cleared.planned > 0 && limit.exceeded(all, holders)).then(|| {
            let figure = format!(
                "`{path}` would be emptied for {} of the {holders} users that have one{}",
                share(all, holders),
                day(cleared)
            );
            Trip::new("max_attr_clear", limit, figure).of_changes()
        })
    };
    let attributes = evidence.figures.attributes.iter();
    attributes.filter_map(|(path, attribute)| trip((path, attribute.cleared))).collect()
}

pub(super) fn source_clear(evidence: &Evidence<'_>) -> Vec<Trip> {
    let limit = evidence.limits.max_source_clear;
    let trip = |(path, emptied): (&AttrPath, &u64)| {
        let holders = evidence.holders.get(path).copied().unwrap_or_default().max(*emptied);
        limit.exceeded_above(HANDFUL, *emptied, holders).then(|| {
            let figure = format!(
                "the source has nothing for `{path}` any more of {} of the {holders} users that \
                 have one",
                share(*emptied, holders)
            );
            Trip::new("max_source_clear", limit, figure)
        })
    };
    evidence.emptied.iter().filter_map(trip).collect()
}

pub(super) fn bad_values(evidence: &Evidence<'_>) -> Vec<Trip> {
    let limit = evidence.limits.max_bad_values;
    let users = evidence.users;
    let mut bad: BTreeMap<&AttrPath, u64> = BTreeMap::new();
    for held in &evidence.plan.held {
        if let (HeldReason::BadValue, Some(path)) = (held.reason, &held.attribute) {
            *bad.entry(path).or_default() += 1;
        }
    }
    let trip = |(path, count): (&AttrPath, u64)| {
        limit.exceeded(count, users).then(|| {
            let count = share(count, users);
            let figure = format!("`{path}` has a bad value for {count} of {users} users");
            Trip::new("max_bad_values", limit, figure)
        })
    };
    bad.into_iter().filter_map(trip).collect()
}

/// A target that somebody has put back to an old state looks like one that many have changed by hand, and
/// what was not looked at is then not as it is known either.
pub(super) fn drift(evidence: &Evidence<'_>) -> Vec<Trip> {
    let limit = evidence.limits.max_drift;
    let sends = evidence.figures.changed.planned > 0;
    let Some((changed, looked)) = evidence.drift.filter(|_| sends) else { return Vec::new() };
    let trip = limit.exceeded(changed, looked).then(|| {
        let tenant = &evidence.plan.tenant;
        let figure = format!(
            "others changed {} of the {looked} accounts that `rosterd drift` looked at; if the \
             target was put back from a copy, `rosterd resnapshot --tenant {tenant}` has everybody \
             read anew",
            share(changed, looked)
        );
        Trip::new("max_drift", limit, figure)
    });
    trip.into_iter().collect()
}

/// `412 (41.2 %)`.
#[expect(clippy::cast_precision_loss)]
fn share(count: u64, total: u64) -> String {
    format!("{count} ({:.1} %)", count as f64 * 100.0 / total.max(1) as f64)
}

/// How many of them are not in the plan.
fn day(count: Count) -> String {
    match count.before {
        0 => String::new(),
        before => format!(", the {before} that were sent within the last day among them"),
    }
}
