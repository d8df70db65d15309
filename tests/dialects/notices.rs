//! What an operator is told about an API's end, and what its end does to the answers.

use crate::fixtures::{self, Fixture, response};
use jiff::civil::{Date, date};
use rosterd::model::{Action, Notice, Verdict};
use serde_json::json;

fn workiva(version: &str) -> Fixture {
    fixtures::of("workiva").with("api_version", json!(version))
}

fn told(fixture: &Fixture, today: Date) -> Vec<Notice> {
    fixture.open().notices(today)
}

#[test]
fn workivas_old_version_counts_its_days_and_then_refuses() {
    let fixture = workiva("2022-01-01");
    for (today, words, refuses) in [
        (date(2026, 11, 21), "in 71 days", false),
        (date(2027, 1, 29), "in 2 days", false),
        (date(2027, 1, 30), "tomorrow", false),
        (date(2027, 1, 31), "today", false),
        (date(2027, 2, 1), "ended on 2027-01-31", true),
        (date(2030, 1, 1), "ended on 2027-01-31", true),
    ] {
        let notices = told(&fixture, today);
        assert_eq!(notices.len(), 1);
        assert!(notices[0].message.contains(words), "{}", notices[0].message);
        assert!(notices[0].hint.contains(r#"api_version = "2026-01-01""#));
        assert_eq!(notices[0].refuses, refuses, "{today}");
    }
}

#[test]
fn the_old_version_is_what_a_silent_configuration_means_and_the_new_one_has_nothing_to_tell() {
    let silent = fixtures::of("workiva").with("api_version", json!(null));
    assert_eq!(told(&silent, fixtures::TODAY).len(), 1);
    assert!(told(&workiva("2026-01-01"), date(2030, 1, 1)).is_empty());
    for dialect in ["biot", "scalepad", "kare", "datadog"] {
        assert!(told(&fixtures::of(dialect), date(2030, 1, 1)).is_empty());
    }
}

#[test]
fn a_404_of_an_endpoint_that_has_ended_says_nothing_about_the_user() {
    for (version, today, verdict) in [
        ("2022-01-01", date(2027, 1, 31), Verdict::Missing),
        ("2022-01-01", date(2027, 2, 1), Verdict::Broken),
        ("2026-01-01", date(2027, 2, 1), Verdict::Missing),
    ] {
        let fixture = workiva(version);
        for status in [404, 410] {
            let response = response(status, &json!({ "code": "404NotFound" }));
            let answer = fixture.open().read(Some(&fixture.id()), &Action::Read, &response, today);
            assert_eq!(answer.verdict, verdict, "{version} {today}");
        }
    }
}

#[test]
fn each_version_of_workivas_api_has_its_path_and_names_itself() {
    for (version, path) in [
        ("2022-01-01", "/prototype/admin/organizations/"),
        ("2026-01-01", ".wdesk.com/organizations/"),
    ] {
        let fixture = workiva(version);
        let request = fixture.open().request(Some(&fixture.id()), &Action::Read).unwrap();
        assert!(request.url.as_str().contains(path), "{}", request.url);
        assert!(request.headers.contains(&("x-version", version.to_owned())));
    }
}
