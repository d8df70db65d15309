//! Settings that cannot be right are refused, all problems at once, each with its key.

use crate::fixtures::{self, UUID, open};
use rosterd::model::{AttrPath, Kind, Problem};
use serde_json::{Value as Json, json};

fn problems(dialect: &str, settings: &Json) -> Vec<Problem> {
    open(dialect, settings).err().unwrap_or_default()
}

fn keys(dialect: &str, settings: &Json) -> Vec<String> {
    problems(dialect, settings).into_iter().map(|problem| problem.key).collect()
}

#[test]
fn an_unknown_key_is_refused_with_the_nearest_name() {
    for fixture in fixtures::all() {
        for known in fixture.settings.as_object().unwrap().keys() {
            let slip = format!("{}x{}", &known[..2], &known[2..]);
            let mut settings = fixture.settings.clone();
            settings[&slip] = json!("anything");
            let problems = problems(fixture.dialect, &settings);
            assert_eq!(problems.len(), 1, "{slip}");
            assert_eq!(problems[0].key, slip);
            assert_eq!(problems[0].hint, format!("did you mean `{known}`?"));
        }
        let mut settings = fixture.settings.clone();
        settings["zzzzzzzz"] = json!("anything");
        let problems = problems(fixture.dialect, &settings);
        assert!(problems[0].hint.starts_with("choose from `"), "{}", problems[0].hint);
    }
}

#[test]
fn all_problems_are_told_at_once() {
    let settings = json!({
        "region": "mars", "organization_id": "1", "api_version": 2022, "organisation": "x",
    });
    assert_eq!(
        keys("workiva", &settings),
        ["api_version", "organisation", "organization_id", "region"]
    );
    assert_eq!(keys("workiva", &json!({})), ["organization_id", "region"]);
    assert_eq!(keys("scalepad", &json!({ "client_id": 5 })), ["base_url", "client_id"]);
    assert_eq!(keys("kare", &json!({})), ["base_url"]);
    assert_eq!(keys("datadog", &json!({})), ["site"]);
    assert_eq!(keys("biot", &json!({ "null_clears": "yes" })), ["base_url", "null_clears"]);
}

#[test]
fn a_place_and_a_base_address_exclude_each_other() {
    let base = "https://api.example.com";
    let workiva = |region: Json, base: Json| {
        json!({
            "region": region, "base_url": base, "organization_id": UUID,
        })
    };
    assert_eq!(keys("workiva", &workiva(json!("us"), json!(base))), ["region"]);
    assert_eq!(keys("datadog", &json!({ "site": "datadoghq.eu", "base_url": base })), ["site"]);
    assert!(open("datadog", &json!({ "base_url": base })).is_ok());
}

#[test]
fn a_wrong_choice_is_answered_with_the_nearest_one() {
    for (site, hint) in [
        ("datadoghq.de", "did you mean `datadoghq.eu`?"),
        ("DATADOGHQ.COM", "did you mean `datadoghq.com`?"),
        ("example.org", "choose from `datadoghq.com`"),
    ] {
        let problems = problems("datadog", &json!({ "site": site }));
        assert!(problems[0].hint.starts_with(hint), "{}", problems[0].hint);
    }
    let region = json!({ "region": "eur", "organization_id": UUID });
    assert_eq!(problems("workiva", &region)[0].hint, "did you mean `eu`?");
}

fn custom(declared: &Json) -> Json {
    json!({ "base_url": "https://directory.example.com", "custom": declared })
}

#[test]
fn a_custom_attribute_has_a_known_type_and_only_the_limits_of_that_type() {
    for (declared, key, words) in [
        (json!("LABEL"), "custom", "must be a table"),
        (json!({ "badge": 5 }), "custom.badge", "the name of a type"),
        (json!({ "badge": "LABLE" }), "custom.badge", "`LABEL`"),
        (json!({ "badge": { "type": "LABLE" } }), "custom.badge.type", "`LABEL`"),
        (json!({ "badge": { "type": "LABLE", "values": [] } }), "custom.badge.type", "`LABEL`"),
        (json!({ "badge": {} }), "custom.badge.type", "is missing"),
        (json!({ "badge": "FILE" }), "custom.badge", "uploads"),
        (json!({ "badge": "IMAGE" }), "custom.badge", "uploads"),
        (json!({ "badge": { "type": "WAVEFORM" } }), "custom.badge.type", "uploads"),
        (json!({ "badge": { "type": "LABEL", "min": 1 } }), "custom.badge.min", "not a setting"),
        (json!({ "badge": { "type": "INTEGER", "mni": 1 } }), "custom.badge.mni", "`min`"),
        (
            json!({ "badge": { "type": "INTEGER", "min": 2, "max": 1 } }),
            "custom.badge.min",
            "above",
        ),
        (json!({ "badge": { "type": "INTEGER", "min": "2" } }), "custom.badge.min", "whole number"),
        (
            json!({ "badge": { "type": "SINGLE_SELECT", "values": [] } }),
            "custom.badge.values",
            "list",
        ),
        (
            json!({ "badge": { "type": "MULTI_SELECT", "values": [1] } }),
            "custom.badge.values",
            "list",
        ),
        (json!({ "_badge": "LABEL" }), "custom._badge", "a letter"),
        (json!({ "a.b": "LABEL" }), "custom.a.b", "a letter"),
        (json!({ "é": "LABEL" }), "custom.é", "a letter"),
        (json!({ "": "LABEL" }), "custom.", "a letter"),
        (json!({ "a".repeat(37): "LABEL" }), &format!("custom.{}", "a".repeat(37)), "a letter"),
    ] {
        let problems = problems("biot", &custom(&declared));
        assert_eq!(problems.len(), 1, "{declared}: {problems:?}");
        assert_eq!(problems[0].key, key, "{declared}");
        assert!(problems[0].to_string().contains(words), "{}", problems[0]);
    }
    assert!(open("biot", &custom(&json!({ "a".repeat(36): "LABEL" }))).is_ok());
}

#[test]
fn each_custom_type_becomes_the_kind_of_value_that_it_holds() {
    let dialect = fixtures::of("biot").open();
    let text = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
    for (path, kind) in [
        ("label", Kind::Text),
        ("story", Kind::Text),
        ("floor", Kind::Integer { min: -2, max: 40 }),
        ("ratio", Kind::Decimal),
        ("remote", Kind::Flag),
        ("badge", Kind::Choice(text(&["RED", "GREEN", "BLUE"]))),
        ("skills", Kind::SetOf(Box::new(Kind::Choice(text(&["WELD", "DRIVE", "SWIM"]))))),
        ("home.countryCode", Kind::Country),
        ("home.city", Kind::Text),
        ("formerly.lastName", Kind::Text),
        ("mobile", Kind::Phone),
        ("private", Kind::Email),
        ("hired", Kind::DateTime),
        ("born", Kind::Date),
        ("mentor", Kind::Uuid),
        ("zone", Kind::TimeZone),
        ("tongue", Kind::Locale),
        ("page", Kind::Link),
    ] {
        assert_eq!(dialect.capabilities().attributes[&AttrPath::new(path)].kind, kind, "{path}");
    }
    let parents: Vec<_> =
        dialect.capabilities().groups.iter().map(|group| group.parent.as_str()).collect();
    assert_eq!(parents, ["_name", "_address", "_mfa", "_ownerOrganization", "formerly", "home"]);
}
