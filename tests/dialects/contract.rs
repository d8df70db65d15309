//! What every entry of the registry owes, whatever its API.

use crate::{
    fixtures::{self, Fixture, body_of, patch_of, raw_response, response},
    models,
};
use rosterd::{
    dialect::REGISTRY,
    model::{Action, Body, Edit, Method, Response, Verdict},
};
use serde_json::json;

fn some_patch(fixture: &Fixture) -> Action {
    let dialect = fixture.open();
    let first = dialect.capabilities().attributes.keys().next().unwrap().clone();
    patch_of(dialect.capabilities(), first.as_str())
}

#[test]
fn every_entry_has_a_fixture_a_name_and_a_summary() {
    for entry in REGISTRY {
        assert!(fixtures::all().iter().any(|fixture| fixture.dialect == entry.name));
        assert!(entry.name.chars().all(|c| c.is_ascii_lowercase()));
        assert!((10..80).contains(&entry.summary.len()), "{}", entry.name);
    }
    assert_eq!(REGISTRY.len(), 6);
}

#[test]
fn every_attribute_is_spelled_as_a_patch_below_the_base() {
    for fixture in fixtures::all() {
        let dialect = fixture.open();
        for path in dialect.capabilities().attributes.keys() {
            let action = patch_of(dialect.capabilities(), path.as_str());
            let request = fixture.spell(&action).unwrap();
            assert_eq!(request.method, Method::Patch);
            assert!(
                request.url.as_str().starts_with(&format!("{}/", fixture.base)),
                "{}",
                request.url
            );
            assert!(request.url.as_str().ends_with(&format!("/{}", fixture.id)), "{}", request.url);
            let content_types: Vec<_> =
                request.headers.iter().filter(|(name, _)| *name == "content-type").collect();
            assert_eq!(content_types, [&("content-type", fixture.media_type())]);
            let model = models::of(&fixture);
            let named = model.named(&body_of(&request));
            assert!(named.contains(&model.name_of(path)), "{} {path}", fixture.dialect);
        }
    }
}

#[test]
fn every_read_is_a_get_without_a_body_of_the_same_user() {
    for fixture in fixtures::all() {
        let dialect = fixture.open();
        assert!(dialect.capabilities().read);
        let request = dialect.request(Some(&fixture.id()), &Action::Read).unwrap();
        assert_eq!((request.method, &request.body), (Method::Get, &None));
        assert!(request.url.as_str().starts_with(&format!("{}/", fixture.base)), "{}", request.url);
        assert!(request.url.as_str().ends_with(&format!("/{}", fixture.id)), "{}", request.url);
    }
}

#[test]
fn a_request_carries_exactly_the_declared_credentials_and_no_secret() {
    for fixture in fixtures::all() {
        let dialect = fixture.open();
        for action in [Action::Read, some_patch(&fixture)] {
            let request = dialect.request(Some(&fixture.id()), &action).unwrap();
            let named: Vec<_> = request.credentials.iter().map(|c| c.credential).collect();
            assert_eq!(named, dialect.credentials());
            assert!(request.headers.iter().all(|(name, _)| *name != "authorization"));
            for (name, _) in &request.headers {
                assert_eq!(*name, name.to_ascii_lowercase());
            }
        }
    }
}

#[test]
fn each_path_of_each_group_is_in_the_catalogue() {
    for fixture in fixtures::all() {
        let dialect = fixture.open();
        let capabilities = dialect.capabilities();
        for group in &capabilities.groups {
            assert!(group.mandatory.iter().all(|path| group.members.contains(path)));
            for path in &group.members {
                assert!(capabilities.attributes.contains_key(path), "{path}");
                assert!(path.as_str().starts_with(&format!("{}.", group.parent)));
            }
        }
    }
}

#[test]
fn a_change_without_edits_or_of_an_unknown_attribute_is_not_spelled() {
    for fixture in fixtures::all() {
        let dialect = fixture.open();
        let empty = Action::Patch { edits: Vec::new(), companions: [].into() };
        assert!(dialect.request(Some(&fixture.id()), &empty).is_err());
        let path = rosterd::model::AttrPath::new("nonsense");
        let edit = Edit { path, before: None, after: Some("x".into()) };
        let unknown = Action::Patch { edits: vec![edit], companions: [].into() };
        assert!(dialect.request(Some(&fixture.id()), &unknown).is_err());
    }
}

#[test]
fn only_what_can_be_unset_is_spelled_as_unset() {
    for fixture in fixtures::all() {
        let dialect = fixture.open();
        for (path, attribute) in &dialect.capabilities().attributes {
            let before = Some(Some(fixtures::sample(&attribute.kind)));
            let edits = vec![Edit { path: path.clone(), before, after: None }];
            let action = Action::Patch { edits, companions: [].into() };
            let request = fixture.spell(&action);
            assert_eq!(request.is_ok(), attribute.clearable, "{} {path}", fixture.dialect);
        }
    }
}

#[test]
fn a_status_means_the_same_to_every_dialect() {
    let rejected = || Verdict::Rejected { attributes: Vec::new() };
    let table = [
        (100, Verdict::Uncertain),
        (202, Verdict::Uncertain),
        (207, Verdict::Uncertain),
        (301, Verdict::Broken),
        (302, Verdict::Broken),
        (304, Verdict::Broken),
        (307, Verdict::Broken),
        (308, Verdict::Broken),
        (400, rejected()),
        (401, Verdict::Unauthorized),
        (403, Verdict::Forbidden),
        (404, Verdict::Missing),
        (405, rejected()),
        (408, Verdict::Throttled),
        (409, Verdict::Conflict),
        (410, Verdict::Missing),
        (412, Verdict::Conflict),
        (422, rejected()),
        (423, Verdict::Unavailable),
        (425, Verdict::Throttled),
        (429, Verdict::Throttled),
        (451, rejected()),
        (500, Verdict::Uncertain),
        (501, rejected()),
        (502, Verdict::Uncertain),
        (503, Verdict::Unavailable),
        (504, Verdict::Uncertain),
        (599, Verdict::Uncertain),
        (600, Verdict::Uncertain),
    ];
    for fixture in fixtures::all() {
        for (status, verdict) in &table {
            for action in [Action::Read, some_patch(&fixture)] {
                for body in ["", "not json", "{}", "[]", "null", "<html></html>"] {
                    let response = raw_response(*status, "text/plain", body.as_bytes());
                    let answer = fixture.read(&action, &response);
                    assert_eq!(&answer.verdict, verdict, "{} {status} {body}", fixture.dialect);
                }
            }
        }
    }
}

#[test]
fn the_wrong_size_or_type_of_a_body_is_a_fault_of_ours_and_stops_kare() {
    for fixture in fixtures::all() {
        for status in [413, 415] {
            let verdict =
                fixture.read(&some_patch(&fixture), &response(status, &json!({}))).verdict;
            let expected = match fixture.dialect {
                "kare" => Verdict::Broken,
                _ => Verdict::Rejected { attributes: Vec::new() },
            };
            assert_eq!(verdict, expected, "{}", fixture.dialect);
        }
    }
}

#[test]
fn d16_a_change_whose_answer_cannot_be_read_is_applied_but_not_seen() {
    let unseen = Verdict::Applied { shown: [].into() };
    for fixture in fixtures::all() {
        let action = some_patch(&fixture);
        let model = models::of(&fixture);
        let whole = model.patch_answer(&model.store(fixture.id, &[].into())).to_string();
        let mut responses = vec![
            raw_response(204, "application/json", b""),
            raw_response(200, "application/json", b""),
            raw_response(200, "application/json", b"{\"id\":"),
            raw_response(200, "application/json", b"[]"),
            raw_response(200, "application/json", b"{}"),
            raw_response(200, "application/json", b"\xff\xfe"),
        ];
        let cut = Body::Cut(whole.as_bytes()[..whole.len() - 1].to_vec());
        responses.push(Response { status: 200, headers: Vec::new(), body: cut });
        responses.push(Response {
            status: 200,
            headers: Vec::new(),
            body: Body::Cut(whole.into_bytes()),
        });
        for response in responses {
            assert_eq!(fixture.read(&action, &response).verdict, unseen, "{}", fixture.dialect);
        }
    }
}

#[test]
fn b11_a_page_for_people_in_answer_to_a_change_leaves_open_whether_it_was_done() {
    for fixture in fixtures::all() {
        let response = raw_response(200, "text/html; charset=utf-8", b"<html>Log in</html>");
        let answer = fixture.read(&some_patch(&fixture), &response);
        assert_eq!(answer.verdict, Verdict::Uncertain, "{}", fixture.dialect);
        assert_eq!(answer.code, "html");
    }
}

#[test]
fn a_read_whose_answer_cannot_be_read_says_nothing() {
    for fixture in fixtures::all() {
        for (content_type, body, verdict) in [
            ("application/json", &b""[..], Verdict::Uncertain),
            ("application/json", b"{", Verdict::Uncertain),
            ("application/json", b"{}", Verdict::Uncertain),
            ("application/json", b"[]", Verdict::Uncertain),
            ("text/plain", b"ok", Verdict::Uncertain),
            ("text/html", b"<html>", Verdict::Uncertain),
            ("Text/HTML; charset=utf-8", b"<html>", Verdict::Uncertain),
        ] {
            let answer = fixture.read(&Action::Read, &raw_response(200, content_type, body));
            assert_eq!(answer.verdict, verdict, "{} {content_type}", fixture.dialect);
        }
    }
}

#[test]
fn d15_a_success_that_complains_leaves_open_what_was_done() {
    for fixture in fixtures::all() {
        for body in [json!({ "error": { "message": "no" } }), json!({ "errors": ["no"] })] {
            for action in [Action::Read, some_patch(&fixture)] {
                let verdict = fixture.read(&action, &response(200, &body)).verdict;
                assert_eq!(verdict, Verdict::Uncertain, "{}", fixture.dialect);
            }
        }
    }
}

#[test]
fn d31_an_answer_for_another_user_stops_the_tenant() {
    for fixture in fixtures::all() {
        let model = models::of(&fixture);
        let stranger = model.store(fixture.other_id, &[].into());
        for (action, body) in [
            (Action::Read, model.read_answer(&stranger)),
            (some_patch(&fixture), model.patch_answer(&stranger)),
        ] {
            let answer = fixture.read(&action, &response(200, &body));
            assert_eq!(answer.verdict, Verdict::Broken, "{}", fixture.dialect);
            assert_eq!(answer.code, "other_user");
        }
    }
}

#[test]
fn what_is_shown_as_no_value_of_ours_is_not_noted() {
    for fixture in fixtures::all() {
        let dialect = fixture.open();
        let model = models::of(&fixture);
        for path in dialect.capabilities().attributes.keys() {
            let mut stored = model.store(fixture.id, &[].into());
            model.put(&mut stored, path, &json!({ "odd": [{}] }));
            let body = model.read_answer(&stored);
            match fixture.read(&Action::Read, &response(200, &body)).verdict {
                Verdict::Found { shown } => assert!(!shown.contains_key(path), "{path}"),
                verdict => panic!("{} {path} {verdict:?}", fixture.dialect),
            }
        }
    }
}

#[test]
fn an_error_code_is_safe_to_log_and_a_message_is_kept_short() {
    let nasty = "E1\n\u{1b}[31m x=\"y\" é".to_owned() + &"z".repeat(200);
    let message = "m".repeat(5000);
    for fixture in fixtures::all() {
        for body in [
            json!({ "code": nasty, "message": message }),
            json!({ "error": { "code": nasty, "message": message } }),
            json!({ "scimType": nasty, "detail": message }),
            json!({ "code": 7, "error": 7, "errors": 7, "message": [] }),
        ] {
            let answer = fixture.read(&Action::Read, &response(500, &body));
            assert!(answer.code.len() <= 64);
            let safe = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
            assert!(answer.code.chars().all(safe), "{}", answer.code);
            assert!(answer.excerpt.as_str().chars().count() <= 300);
        }
    }
}

#[test]
fn d37_an_error_body_of_any_bytes_is_read() {
    for fixture in fixtures::all() {
        let body: Vec<u8> = (0..=255).cycle().take(70_000).collect();
        let answer = fixture.read(&Action::Read, &raw_response(502, "text/html", &body));
        assert_eq!(answer.verdict, Verdict::Uncertain);
        assert!(answer.excerpt.as_str().chars().all(|c| !c.is_control()));
    }
}
