//! Whether a whole plan may be sent at all.
//!
//! Apart from the planner, so that the planner cannot talk itself out of it. Nothing of the tenant
//! is sent when one check trips, and no switch turns them off: each limit is a key of the tenant.
//! A new check is one function and one line in [`CHECKS`].

use crate::model::{AttrPath, HeldReason, Plan, TenantId, TrippedGuard, Value};
use std::{collections::BTreeMap, fmt};

/// A share or a number of users.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Limit {
    /// Of 100.
    Percent(f64),
    Users(u64),
}

impl Limit {
    /// Reads `30%`, `2.5%` or `500`.
    ///
    /// # Errors
    /// A fragment that says what is wrong.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let problem = "is neither a percentage such as `30%` nor a whole number of users";
        match text.trim().strip_suffix('%') {
            Some(number) => match number.trim().parse::<f64>() {
                Ok(percent) if (0.0..=100.0).contains(&percent) => Ok(Self::Percent(percent)),
                Ok(_) => Err("is not between 0% and 100%"),
                Err(_) => Err(problem),
            },
            None => text.trim().parse().map(Self::Users).map_err(|_| problem),
        }
    }

    /// Whether `count` of `total` is more than allowed. One of a handful always is allowed, so
    /// that a small tenant can work, and no tenant is too small for the limit.
    #[must_use]
    pub fn exceeded(self, count: u64, total: u64) -> bool {
        count > self.of(total)
    }

    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)]
    fn of(self, total: u64) -> u64 {
        match self {
            Self::Users(users) => users,
            Self::Percent(0.0) => 0,
            Self::Percent(percent) => ((total as f64 * percent / 100.0).floor() as u64).max(1),
        }
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Percent(percent) => write!(f, "{percent}%"),
            Self::Users(users) => write!(f, "{users}"),
        }
    }
}

/// One tenant's limits: the table `[tenants.T.guards]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Limits {
    /// Users changed.
    pub max_update: Limit,
    /// Users whose value of one attribute is emptied, of those that have one.
    pub max_attr_clear: Limit,
    /// Users missing against the last accepted read.
    pub max_source_shrink: Limit,
    /// Users with a bad value in one attribute.
    pub max_bad_values: Limit,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_update: Limit::Percent(30.0),
            max_attr_clear: Limit::Percent(10.0),
            max_source_shrink: Limit::Percent(10.0),
            max_bad_values: Limit::Percent(5.0),
        }
    }
}

/// What the checks look at.
#[derive(Debug)]
pub struct Evidence<'a> {
    pub plan: &'a Plan,
    pub limits: &'a Limits,
    /// Users of the tenant, also those whom a plan for some users is not about.
    pub users: u64,
    /// Users in the source now, and at the last accepted read.
    pub source_users: u64,
    pub source_users_before: Option<u64>,
    /// How many users hold a value, or may hold one, for each attribute that the plan empties.
    pub holders: &'a BTreeMap<AttrPath, u64>,
}

type Check = fn(&Evidence<'_>) -> Vec<Trip>;

/// Every check, in the order in which they are told.
pub const CHECKS: &[Check] = &[source_shrink, update, attr_clear, bad_values];

/// All checks that trip; empty when the plan may be sent.
#[must_use]
pub fn judge(evidence: &Evidence<'_>) -> Vec<TrippedGuard> {
    let tenant = &evidence.plan.tenant;
    CHECKS.iter().flat_map(|check| check(evidence)).map(|trip| trip.named(tenant)).collect()
}

/// A limit that was passed, before the tenant's name is put to it.
#[derive(Debug)]
pub struct Trip {
    guard: &'static str,
    figure: String,
    limit: Limit,
}

impl Trip {
    fn named(self, tenant: &TenantId) -> TrippedGuard {
        let Self { guard, figure, limit } = self;
        let key = format!("tenants.{tenant}.guards.{guard}");
        TrippedGuard { guard, figure, limit: limit.to_string(), key }
    }
}

fn source_shrink(evidence: &Evidence<'_>) -> Vec<Trip> {
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
    vec![Trip { guard: "max_source_shrink", figure, limit }]
}

fn update(evidence: &Evidence<'_>) -> Vec<Trip> {
    let users = evidence.users;
    let changed = evidence.plan.changes().count() as u64;
    let limit = evidence.limits.max_update;
    if !limit.exceeded(changed, users) {
        return Vec::new();
    }
    let figure = format!("{} of {users} users would change", share(changed, users));
    vec![Trip { guard: "max_update", figure, limit }]
}

fn attr_clear(evidence: &Evidence<'_>) -> Vec<Trip> {
    let limit = evidence.limits.max_attr_clear;
    let trip = |(path, cleared): (&AttrPath, u64)| {
        let holders = evidence.holders.get(path).copied().unwrap_or(cleared).max(cleared);
        limit.exceeded(cleared, holders).then(|| Trip {
            guard: "max_attr_clear",
            figure: format!(
                "`{path}` would be emptied for {} of the {holders} users that have one",
                share(cleared, holders)
            ),
            limit,
        })
    };
    cleared(evidence.plan).into_iter().filter_map(trip).collect()
}

/// How many users the plan would leave without a value, by attribute.
#[must_use]
pub fn cleared(plan: &Plan) -> BTreeMap<&AttrPath, u64> {
    let mut cleared = BTreeMap::new();
    for edit in plan.changes().flat_map(|(_, edits)| edits) {
        let empties = edit.after.as_ref().is_none_or(Value::is_empty_set);
        // Unknown is not unset: there may be a value.
        if empties && edit.before.as_ref().is_none_or(Option::is_some) {
            *cleared.entry(&edit.path).or_default() += 1;
        }
    }
    cleared
}

fn bad_values(evidence: &Evidence<'_>) -> Vec<Trip> {
    let limit = evidence.limits.max_bad_values;
    let users = evidence.users;
    let mut bad: BTreeMap<&AttrPath, u64> = BTreeMap::new();
    for held in &evidence.plan.held {
        if let (HeldReason::BadValue, Some(path)) = (held.reason, &held.attribute) {
            *bad.entry(path).or_default() += 1;
        }
    }
    let trip = |(path, count): (&AttrPath, u64)| {
        limit.exceeded(count, users).then(|| Trip {
            guard: "max_bad_values",
            figure: format!(
                "`{path}` has a bad value for {} of {users} users",
                share(count, users)
            ),
            limit,
        })
    };
    bad.into_iter().filter_map(trip).collect()
}

/// `412 (41.2 %)`.
#[expect(clippy::cast_precision_loss)]
fn share(count: u64, total: u64) -> String {
    format!("{count} ({:.1} %)", count as f64 * 100.0 / total.max(1) as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Action, Edit, Forecast, Held, Operation, RemoteId, UserKey};
    use proptest::prelude::*;
    use std::time::Duration;

    fn key(n: u64) -> UserKey {
        UserKey::parse(&format!("E{n}")).unwrap()
    }

    /// `changed` of `users` get another title, `emptied` of them none.
    fn plan(users: u64, changed: u64, emptied: u64) -> Plan {
        let operation = |n: u64| {
            let edit = Edit {
                path: AttrPath::new("title"),
                before: Some(Some(Value::from("old"))),
                after: (n >= emptied).then(|| Value::from("new")),
            };
            let action = Action::Patch { edits: vec![edit], companions: BTreeMap::new() };
            Operation { key: key(n), remote_id: RemoteId::parse("u").unwrap(), action }
        };
        Plan {
            tenant: TenantId::parse("acme").unwrap(),
            users,
            unchanged: users - changed,
            operations: (0..changed).map(operation).collect(),
            held: Vec::new(),
            leavers: Vec::new(),
            guards: Vec::new(),
            forecast: Forecast { requests: changed, duration: Duration::ZERO },
        }
    }

    fn tripped(plan: &Plan, now: u64, before: Option<u64>, holders: u64) -> Vec<&'static str> {
        let holders = [(AttrPath::new("title"), holders)].into();
        let limits = Limits::default();
        let evidence = Evidence {
            plan,
            limits: &limits,
            users: plan.users,
            source_users: now,
            source_users_before: before,
            holders: &holders,
        };
        judge(&evidence).into_iter().map(|guard| guard.guard).collect()
    }

    #[test]
    fn f03_each_limit_trips_just_above_and_not_at_its_figure() {
        let none: [&str; 0] = [];
        assert_eq!(tripped(&plan(100, 30, 0), 100, None, 100), none);
        assert_eq!(tripped(&plan(100, 31, 0), 100, None, 100), ["max_update"]);
        assert_eq!(tripped(&plan(1000, 10, 10), 1000, None, 100), none);
        assert_eq!(tripped(&plan(1000, 11, 11), 1000, None, 100), ["max_attr_clear"]);
        assert_eq!(tripped(&plan(90, 0, 0), 90, Some(100), 0), none);
        assert_eq!(tripped(&plan(89, 0, 0), 89, Some(100), 0), ["max_source_shrink"]);
    }

    #[test]
    fn a_value_that_nobody_has_seen_counts_as_emptied() {
        let mut plan = plan(1000, 11, 11);
        for operation in &mut plan.operations {
            let Action::Patch { edits, .. } = &mut operation.action else { panic!("not a patch") };
            edits[0].before = None;
        }
        assert_eq!(tripped(&plan, 1000, None, 100), ["max_attr_clear"]);
        assert!(tripped(&plan, 1000, None, 110).is_empty());
    }

    #[test]
    fn a36_a_column_that_fails_for_more_than_five_percent_holds_the_plan() {
        let mut plan = plan(100, 0, 0);
        let bad = |n| Held {
            key: key(n),
            reason: HeldReason::BadValue,
            attribute: Some(AttrPath::new("title")),
            line: None,
            why: String::new(),
            others_go: false,
            timer: None,
        };
        plan.held = (0..5).map(bad).collect();
        assert!(tripped(&plan, 100, None, 0).is_empty());
        plan.held.push(bad(5));
        assert_eq!(tripped(&plan, 100, None, 0), ["max_bad_values"]);
    }

    #[test]
    fn a_tenant_of_three_may_change_one_of_them_and_not_two() {
        assert!(tripped(&plan(3, 1, 0), 3, None, 3).is_empty());
        assert_eq!(tripped(&plan(3, 2, 0), 3, None, 3), ["max_update"]);
    }

    #[test]
    fn a_tripped_guard_names_figure_limit_and_key() {
        let plan = plan(100, 50, 0);
        let limits = Limits::default();
        let evidence = Evidence {
            plan: &plan,
            limits: &limits,
            users: plan.users,
            source_users: 100,
            source_users_before: None,
            holders: &BTreeMap::new(),
        };
        let guard = &judge(&evidence)[0];
        assert_eq!(guard.key, "tenants.acme.guards.max_update");
        assert_eq!(guard.limit, "30%");
        assert_eq!(guard.figure, "50 (50.0 %) of 100 users would change");
    }

    #[test]
    fn limits_are_read_as_people_write_them() {
        assert_eq!(Limit::parse("30%"), Ok(Limit::Percent(30.0)));
        assert_eq!(Limit::parse("500"), Ok(Limit::Users(500)));
        for bad in ["", "%", "-1", "101%", "-5%", "many", "NaN%"] {
            assert!(Limit::parse(bad).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn losing_more_rows_never_lets_a_held_plan_pass(before in 1_u64..500, now in 0_u64..500) {
            let held = |now| !tripped(&plan(1, 0, 0), now, Some(before), 0).is_empty();
            if held(now) {
                prop_assert!(held(now.saturating_sub(1)));
            }
        }
    }
}
