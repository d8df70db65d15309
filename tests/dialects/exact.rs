//! Requests are exact and minimal: applied as the API's document says, they give the wanted account,
//! name nothing else, and may be sent twice (INV-6).

use crate::{
    fixtures::{self, Fixture, body_of, patch, response},
    models::{self, Model},
};
use proptest::{
    collection::btree_set,
    option,
    prelude::*,
    sample::{select, subsequence},
};
use rosterd::model::{Action, AttrPath, Attributes, Capabilities, Kind, Value, Verdict};
use std::collections::BTreeSet;

/// A thousand cases, or as many as `PROPTEST_CASES` says.
pub(crate) fn config() -> ProptestConfig {
    let default = ProptestConfig { failure_persistence: None, ..ProptestConfig::default() };
    match std::env::var_os("PROPTEST_CASES") {
        Some(_) => default,
        None => ProptestConfig { cases: 1000, ..default },
    }
}

fn value(kind: &Kind) -> BoxedStrategy<Value> {
    let text =
        |pattern: &str| proptest::string::string_regex(pattern).unwrap().prop_map(Value::text);
    match kind {
        Kind::Text => text("[^\\p{C}\\p{Z}]([^\\p{C}]{0,8}[^\\p{C}\\p{Z}])?").boxed(),
        Kind::Email => text("[a-z'+]{1,8}@[a-z]{1,8}\\.example").boxed(),
        Kind::Phone => text("\\+[1-9][0-9]{1,14}").boxed(),
        Kind::Country => text("[A-Z]{2}").boxed(),
        Kind::Locale => text("[a-z]{2}-[a-z]{2}").boxed(),
        Kind::Date => text("20[0-9]{2}-0[1-9]-[12][0-9]").boxed(),
        Kind::DateTime => text("20[0-9]{2}-0[1-9]-[12][0-9]T0[0-9]:[0-5][0-9]:00Z").boxed(),
        Kind::TimeZone => text("Europe/[A-Z][a-z]{3,8}").boxed(),
        Kind::Link => text("https://[a-z]{1,8}\\.example/[a-z?&=]{0,8}").boxed(),
        Kind::Uuid => text("[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}").boxed(),
        Kind::Flag => any::<bool>().prop_map(Value::Flag).boxed(),
        Kind::Integer { min, max } => (*min..=*max).prop_map(Value::Integer).boxed(),
        Kind::Decimal => {
            any::<i32>().prop_map(|n| Value::number(f64::from(n) / 8.0).unwrap()).boxed()
        }
        Kind::Choice(values) => select(values.clone()).prop_map(Value::text).boxed(),
        Kind::Number(values) => select(values.clone()).prop_map(Value::Integer).boxed(),
        Kind::SetOf(kind) => btree_set(value(kind), 0..4).prop_map(Value::Set).boxed(),
    }
}

/// A known account and a wanted one. What a parent object demands is always known, as the planner
/// sees to; what cannot be unset is not wished unset.
pub(crate) fn accounts(capabilities: &Capabilities) -> BoxedStrategy<(Attributes, Attributes)> {
    attributes(capabilities).prop_map(split).boxed()
}

/// The same, of up to a dozen attributes; for APIs that have many.
pub(crate) fn sparse_accounts(
    capabilities: &Capabilities,
) -> BoxedStrategy<(Attributes, Attributes)> {
    let attributes = attributes(capabilities);
    let most = attributes.len().min(12);
    subsequence(attributes, 1..=most).prop_flat_map(|some| some).prop_map(split).boxed()
}

/// A path with what is known of it, and what is wished for it.
type Drawn = (AttrPath, Option<Value>, Option<Option<Value>>);

fn split(attributes: Vec<Drawn>) -> (Attributes, Attributes) {
    let mut accounts = (Attributes::new(), Attributes::new());
    for (path, known, wish) in attributes {
        accounts.1.extend(wish.map(|wish| (path.clone(), wish)));
        accounts.0.insert(path, known);
    }
    accounts
}

fn attributes(capabilities: &Capabilities) -> Vec<BoxedStrategy<Drawn>> {
    capabilities
        .attributes
        .iter()
        .map(|(path, attribute)| {
            let is_mandatory =
                capabilities.groups.iter().any(|group| group.mandatory.contains(path));
            let known = if is_mandatory {
                value(&attribute.kind).prop_map(Some).boxed()
            } else {
                option::of(value(&attribute.kind)).boxed()
            };
            let wish = if attribute.clearable {
                option::of(value(&attribute.kind)).boxed()
            } else {
                value(&attribute.kind).prop_map(Some).boxed()
            };
            (Just(path.clone()), known, option::weighted(0.4, wish)).boxed()
        })
        .collect()
}

fn seen(fixture: &Fixture, model: &dyn Model, stored: &serde_json::Value) -> Attributes {
    let answer = fixture.read(&Action::Read, &response(200, &model.read_answer(stored)));
    match answer.verdict {
        Verdict::Found { shown } => settable(fixture, shown),
        verdict => panic!("{verdict:?}"),
    }
}

/// Without what only an endpoint of its own sets, which is no matter of PATCH.
fn settable(fixture: &Fixture, mut shown: Attributes) -> Attributes {
    let dialect = fixture.open();
    shown.retain(|path, _| dialect.capabilities().attributes.contains_key(path));
    shown
}

fn check(fixture: &Fixture, model: &dyn Model, known: &Attributes, wanted: &Attributes) {
    let dialect = fixture.open();
    let mut stored = model.store(fixture.id, known);
    assert!(seen(fixture, model, &stored) == *known, "a read shows what is stored");

    let action = patch(dialect.capabilities(), known, wanted);
    let Action::Patch { edits, companions } = &action else { unreachable!() };
    if edits.is_empty() {
        return;
    }
    let body = body_of(&dialect.request(Some(&fixture.id()), &action).unwrap());
    let sent: BTreeSet<_> =
        edits.iter().map(|edit| &edit.path).chain(companions.keys()).cloned().collect();
    assert_eq!(model.named(&body), sent, "it names what is sent and nothing else");

    model.apply(&mut stored, &body);
    let mut expected = known.clone();
    for edit in edits {
        expected.insert(edit.path.clone(), edit.after.clone().or_else(|| model.when_unset()));
    }
    assert!(seen(fixture, model, &stored) == expected, "it gives the wanted account: {body}");

    let mut twice = stored.clone();
    model.apply(&mut twice, &body);
    assert_eq!(twice, stored, "sending it twice is sending it once");

    let answer = fixture.read(&action, &response(200, &model.patch_answer(&stored)));
    let visible = |path: &AttrPath| dialect.capabilities().attributes[path].shown_in_answer;
    expected.retain(|path, _| visible(path));
    let Verdict::Applied { shown } = answer.verdict else { panic!("{:?}", answer.verdict) };
    assert!(settable(fixture, shown) == expected, "the answer shows it");
}

fn holds_for(dialect: &str) {
    for fixture in fixtures::all().into_iter().filter(|fixture| fixture.dialect == dialect) {
        let opened = fixture.open();
        let first = models::of(&fixture);
        let mut runner = proptest::test_runner::TestRunner::new(config());
        let property = |(known, wanted): (Attributes, Attributes)| {
            check(&fixture, first.as_ref(), &known, &wanted);
            if let Some(other) = first.other_reading() {
                check(&fixture, other.as_ref(), &known, &wanted);
            }
            Ok(())
        };
        let result = runner.run(&accounts(opened.capabilities()), property);
        result.unwrap_or_else(|failure| panic!("{dialect}: {failure}"));
    }
}

#[test]
fn p01_p02_p03_inv6_workivas_requests_are_exact_minimal_and_safe_to_repeat() {
    holds_for("workiva");
}

#[test]
fn p01_p03_inv6_biots_requests_are_exact_minimal_and_safe_to_repeat_under_both_readings() {
    holds_for("biot");
}

#[test]
fn p01_p03_inv6_scalepads_requests_are_exact_minimal_and_safe_to_repeat() {
    holds_for("scalepad");
}

#[test]
fn p01_p03_inv6_kares_requests_are_exact_minimal_and_safe_to_repeat_under_both_readings() {
    holds_for("kare");
}

#[test]
fn p01_p03_g15_inv6_datadogs_requests_are_exact_minimal_and_safe_to_repeat() {
    holds_for("datadog");
}
