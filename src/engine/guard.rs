//! Whether a whole plan may be sent at all.
//!
//! Apart from the planner, so that the planner cannot talk itself out of it. Nothing of the tenant
//! is sent when one check trips, and no switch turns them off: each limit is a key of the tenant.
//! What a person approves is one plan, once; that is no limit's concern and not decided here.
//! A new check is one function in `checks.rs` and one line in [`CHECKS`].

mod checks;
mod figures;
mod limit;

pub use checks::Trip;
pub use figures::{Count, Figures, OfAttribute, Recent};
pub use limit::{HANDFUL, Limit, Limits};

use crate::model::{AttrPath, Capabilities, Plan, TrippedGuard};
use checks::Check;
use std::collections::BTreeMap;

/// What the checks look at.
#[derive(Debug)]
pub struct Evidence<'a> {
    pub plan: &'a Plan,
    pub capabilities: &'a Capabilities,
    pub limits: &'a Limits,
    /// Of the plan, together with the last day.
    pub figures: &'a Figures<'a>,
    /// Users of the tenant, also those whom a plan for some users is not about.
    pub users: u64,
    /// Of them, those who are not known here.
    pub strangers: u64,
    /// Users who are known here, in the source or not; 0 where that is not asked.
    pub accounts: u64,
    /// Users who are not known to be switched off.
    pub active: u64,
    /// Users in the source now, and at the last accepted read.
    pub source_users: u64,
    pub source_users_before: Option<u64>,
    /// How many users hold a value, or may hold one, for each attribute that the plan or the source
    /// empties.
    pub holders: &'a BTreeMap<AttrPath, u64>,
    /// How many users the source has emptied an attribute of, though nothing is sent for that.
    pub emptied: &'a BTreeMap<AttrPath, u64>,
    /// Accounts that others have changed, and those that were looked at, of the last look at many of
    /// them.
    pub drift: Option<(u64, u64)>,
    /// The mapping is another one than when the source was last accepted.
    pub new_mapping: bool,
}

/// Every check, in the order in which they are told.
pub const CHECKS: &[Check] = &[
    checks::source_shrink,
    checks::source_growth,
    checks::known,
    checks::update,
    checks::disable,
    checks::create,
    checks::delete,
    checks::key_change,
    checks::attr_change,
    checks::attr_clear,
    checks::source_clear,
    checks::bad_values,
    checks::drift,
];

/// All checks that trip; empty when the plan may be sent.
#[must_use]
pub fn judge(evidence: &Evidence<'_>) -> Vec<TrippedGuard> {
    let tenant = &evidence.plan.tenant;
    let trips = CHECKS.iter().flat_map(|check| check(evidence));
    trips.map(|trip| trip.named(tenant, evidence.new_mapping)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{
        Action, Attribute, Edit, Forecast, Held, HeldReason, Kind, Operation, RemoteId, TenantId,
        UserKey, Value, Weight,
    };
    use proptest::prelude::*;
    use std::time::Duration;

    fn key(n: u64) -> UserKey {
        UserKey::parse(&format!("E{n:05}")).unwrap()
    }

    fn edit(path: &str, after: Option<Value>) -> Edit {
        Edit { path: AttrPath::new(path), before: Some(Some(Value::from("old"))), after }
    }

    fn capabilities() -> Capabilities {
        let attributes = [
            ("title", Attribute::of(Kind::Text)),
            ("mail", Attribute::of(Kind::Email).weight(Weight::KeyLike)),
            ("active", Attribute::of(Kind::Flag).disables()),
        ];
        let attributes = attributes.map(|(path, attribute)| (AttrPath::new(path), attribute));
        Capabilities { attributes: attributes.into(), ..Capabilities::default() }
    }

    /// So many of the users are sent this.
    fn plan(users: u64, changed: u64, edits: &[Edit]) -> Plan {
        let operation = |n: u64| {
            let action = Action::Patch { edits: edits.to_vec(), companions: BTreeMap::new() };
            Operation { key: key(n), remote_id: RemoteId::parse("u").ok(), action }
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

    /// What does not stand in the plan.
    #[derive(Clone, Default)]
    struct Scene {
        /// In the source now, and before.
        source: Option<(u64, u64)>,
        strangers: u64,
        accounts: u64,
        holders: u64,
        emptied: u64,
        drift: Option<(u64, u64)>,
        recent: Vec<(u64, Edit)>,
        new_mapping: bool,
    }

    fn judged(plan: &Plan, scene: &Scene) -> Vec<TrippedGuard> {
        let (capabilities, limits, mut recent) =
            (capabilities(), Limits::default(), Recent::default());
        for (user, edit) in &scene.recent {
            recent.add(&key(*user), std::slice::from_ref(edit), &capabilities);
        }
        let of_title =
            |count: u64| -> BTreeMap<AttrPath, u64> { [(AttrPath::new("title"), count)].into() };
        let mut figures = Figures::of(plan, &capabilities);
        figures.count_along(plan, &recent, &capabilities);
        judge(&Evidence {
            plan,
            capabilities: &capabilities,
            limits: &limits,
            figures: &figures,
            users: plan.users,
            strangers: scene.strangers,
            accounts: scene.accounts,
            active: plan.users,
            source_users: scene.source.map_or(plan.users, |(now, _)| now),
            source_users_before: scene.source.map(|(_, before)| before),
            holders: &of_title(scene.holders),
            emptied: &of_title(scene.emptied),
            drift: scene.drift,
            new_mapping: scene.new_mapping,
        })
    }

    fn tripped(plan: &Plan, scene: &Scene) -> Vec<&'static str> {
        judged(plan, scene).into_iter().map(|guard| guard.guard).collect()
    }

    fn title() -> Edit {
        edit("title", Some(Value::from("new")))
    }

    #[test]
    fn f03_each_limit_trips_just_above_and_not_at_its_figure() {
        let none = Scene::default();
        let mail = edit("mail", Some(Value::from("a@example.org")));
        let off = edit("active", Some(Value::from(false)));
        let on = edit("active", Some(Value::from(true)));
        let cases: [(u64, u64, Edit, &[&str]); 13] = [
            (100, 20, title(), &[]),
            (100, 21, title(), &["max_attr_change"]),
            (100, 31, title(), &["max_update", "max_attr_change"]),
            (1000, 10, mail.clone(), &[]),
            (1000, 11, mail.clone(), &["max_key_change"]),
            (20, 5, mail, &[]),
            (1000, 50, off.clone(), &[]),
            (1000, 51, off.clone(), &["max_disable"]),
            (20, 5, off.clone(), &[]),
            (20_000, 500, off.clone(), &[]),
            (20_000, 501, off, &["max_disable_abs"]),
            (1000, 51, on, &[]),
            (3, 2, title(), &["max_update"]),
        ];
        for (users, changed, edit, expected) in cases {
            let plan = plan(users, changed, &[edit]);
            assert_eq!(tripped(&plan, &none), expected, "{changed} of {users}");
        }
        let quiet = plan(100, 0, &[]);
        let source = |now, before| Scene { source: Some((now, before)), ..Scene::default() };
        assert_eq!(tripped(&quiet, &source(90, 100)), [""; 0]);
        assert_eq!(tripped(&quiet, &source(89, 100)), ["max_source_shrink"]);
        assert_eq!(tripped(&quiet, &source(200, 100)), [""; 0]);
        assert_eq!(tripped(&quiet, &source(201, 100)), ["max_source_growth"]);
        let holders = Scene { holders: 100, ..Scene::default() };
        assert_eq!(tripped(&plan(1000, 10, &[edit("title", None)]), &holders), [""; 0]);
        assert_eq!(tripped(&plan(1000, 11, &[edit("title", None)]), &holders), ["max_attr_clear"]);
    }

    #[test]
    fn f01_few_known_users_trip_unless_most_of_those_known_are_in_the_source() {
        let quiet = plan(100, 0, &[]);
        let scene = |strangers, accounts| Scene { strangers, accounts, ..Scene::default() };
        assert_eq!(tripped(&quiet, &scene(97, 90)), ["min_known"]);
        assert_eq!(tripped(&quiet, &scene(97, 4)), [""; 0], "a tenant that is only being read");
        assert_eq!(tripped(&quiet, &scene(40, 900)), [""; 0], "a tenant of many leavers");
        assert_eq!(tripped(&quiet, &scene(100, 0)), [""; 0], "a tenant that knows nobody");
        let told = &judged(&quiet, &scene(97, 90))[0].figure;
        assert!(told.starts_with("only 3 (3.0 %) of the 100 users"), "{told}");
    }

    #[test]
    fn a20_values_that_the_source_has_emptied_hold_the_plan_though_nothing_is_sent_for_them() {
        let quiet = plan(100, 0, &[]);
        let scene = |emptied| Scene { emptied, holders: 80, ..Scene::default() };
        assert_eq!(tripped(&quiet, &scene(8)), [""; 0]);
        assert_eq!(tripped(&quiet, &scene(9)), ["max_source_clear"]);
    }

    #[test]
    fn d34_a_plan_that_changes_something_is_held_where_others_changed_more_than_a_tenth() {
        let scene = |changed| Scene { drift: Some((changed, 50)), ..Scene::default() };
        let small = plan(100, 1, &[title()]);
        assert_eq!(tripped(&small, &scene(5)), [""; 0]);
        assert_eq!(tripped(&small, &scene(6)), ["max_drift"]);
        assert_eq!(tripped(&plan(100, 0, &[]), &scene(50)), [""; 0], "nothing would be sent");
        let told = &judged(&small, &scene(6))[0].figure;
        assert!(told.contains("6 (12.0 %) of the 50 accounts"), "{told}");
        assert!(told.contains("rosterd resnapshot --tenant acme"), "{told}");
    }

    #[test]
    fn inv10_the_last_day_counts_along_and_a_user_of_both_counts_once() {
        let sent = |users: std::ops::Range<u64>| Scene {
            recent: users.map(|user| (user, title())).collect(),
            ..Scene::default()
        };
        let slice = plan(100, 10, &[title()]);
        assert_eq!(tripped(&slice, &sent(0..20)), [""; 0]);
        assert_eq!(tripped(&slice, &sent(0..21)), ["max_attr_change"]);
        assert_eq!(tripped(&slice, &sent(10..20)), [""; 0]);
        assert_eq!(tripped(&slice, &sent(10..31)), ["max_update", "max_attr_change"]);
        // What is not in the plan at all does not hold it.
        let other = plan(100, 1, &[edit("active", Some(Value::from(true)))]);
        assert_eq!(tripped(&other, &sent(0..25)), [""; 0]);
    }

    #[test]
    fn c05_what_a_new_mapping_changes_is_said_to_be_its_doing() {
        let plan = plan(100, 50, &[title()]);
        let told = |new_mapping| {
            let scene = Scene { new_mapping, ..Scene::default() };
            judged(&plan, &scene)[0].clone()
        };
        assert_eq!(told(false).figure, "50 (50.0 %) of 100 users would change");
        assert!(told(true).figure.contains("caused by config change"));
        assert_eq!(
            (&*told(true).key, &*told(true).limit),
            ("tenants.acme.guards.max_update", "30%")
        );
    }

    #[test]
    fn a_value_that_nobody_has_seen_counts_as_emptied() {
        let unseen = Edit { before: None, ..edit("title", None) };
        let plan = plan(1000, 11, &[unseen]);
        let holders = |holders| Scene { holders, ..Scene::default() };
        assert_eq!(tripped(&plan, &holders(100)), ["max_attr_clear"]);
        assert!(tripped(&plan, &holders(110)).is_empty());
    }

    #[test]
    fn a36_a_column_that_fails_for_more_than_five_percent_holds_the_plan() {
        let mut plan = plan(100, 0, &[]);
        let bad = |n| Held {
            key: key(n),
            reason: HeldReason::BadValue,
            attribute: Some(AttrPath::new("title")),
            line: None,
            why: String::new(),
            others_go: false,
            timer: None,
            sides: None,
        };
        plan.held = (0..5).map(bad).collect();
        assert!(tripped(&plan, &Scene::default()).is_empty());
        plan.held.push(bad(5));
        assert_eq!(tripped(&plan, &Scene::default()), ["max_bad_values"]);
    }

    proptest! {
        #[test]
        fn p12_losing_rows_of_users_who_stay_as_they_are_never_lets_a_held_plan_pass(
            users in 1_u64..400, changed in 0_u64..60, before in 1_u64..400, lost in 1_u64..100,
            kind in 0_u8..4, strangers in 0_u64..40, accounts in 0_u64..400, recent in 0_u64..40
        ) {
            let edits = [
                title(),
                edit("title", None),
                edit("mail", Some(Value::from("a@example.org"))),
                edit("active", Some(Value::from(false))),
            ];
            let edit = edits[usize::from(kind)].clone();
            let changed = changed.min(users);
            let strangers = strangers.min(users - changed);
            let lost = lost.min(users - changed - strangers);
            let scene = Scene {
                source: Some((users, before)),
                strangers,
                accounts,
                holders: 30,
                emptied: 0,
                drift: None,
                recent: (changed..changed + recent).map(|user| (user, edit.clone())).collect(),
                new_mapping: false,
            };
            let held = judged(&plan(users, changed, std::slice::from_ref(&edit)), &scene);
            let fewer = Scene { source: Some((users - lost, before)), ..scene };
            let after = judged(&plan(users - lost, changed, &[edit]), &fewer);
            for guard in held.iter().filter(|guard| guard.guard != "max_source_growth") {
                prop_assert!(after.iter().any(|after| after.guard == guard.guard), "{}", guard.guard);
            }
        }
    }
}
