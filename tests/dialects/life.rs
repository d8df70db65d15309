//! What the documents say of finding, making, switching and deleting users.

use crate::fixtures::{self, Fixture, UUID, all, body_of, raw_response, response};
use rosterd::model::{
    Action, AttrPath, Attributes, Edit, Match, Method, RemoteId, Request, Value, Verdict,
};
use serde_json::{Value as Json, json};

const WORK_EMAIL: &str = r#"emails[type eq "work"].value"#;

fn new(pairs: &[(&str, &str)]) -> Action {
    let edit = |(path, text): &(&str, &str)| Edit {
        path: AttrPath::new(path),
        before: Some(None),
        after: Some(Value::text(*text)),
    };
    Action::Create { edits: pairs.iter().map(edit).collect(), by: Vec::new() }
}

fn find(path: &str, text: &str) -> Action {
    Action::Find { by: Match { path: AttrPath::new(path), value: Value::text(text) } }
}

fn flip(path: &str, to: bool) -> Edit {
    Edit { path: AttrPath::new(path), before: None, after: Some(Value::Flag(to)) }
}

fn ask(fixture: &Fixture, action: &Action) -> Request {
    fixture.open().request(None, action).unwrap()
}

fn query(request: &Request) -> Vec<(String, String)> {
    request.url.query_pairs().into_owned().collect()
}

fn hear(fixture: &Fixture, action: &Action, status: u16, body: &Json) -> Verdict {
    fixture.open().read(None, action, &response(status, body), fixtures::TODAY).verdict
}

fn ids(verdict: Verdict) -> Vec<String> {
    let Verdict::Matches(accounts) = verdict else { panic!("{verdict:?}") };
    accounts.into_iter().map(|(id, _): (RemoteId, Attributes)| id.to_string()).collect()
}

#[test]
fn datadog_looks_a_user_up_by_a_filter_that_no_name_can_break_out_of() {
    let fixture = fixtures::of("datadog");
    let request = ask(&fixture, &find("userName", "a\"b\\c & d@x.org"));
    assert_eq!((request.method, request.body.is_none()), (Method::Get, true));
    assert!(request.url.path().ends_with("/api/v2/scim/Users"), "{}", request.url);
    let filter = r#"userName eq "a\"b\\c & d@x.org""#.to_owned();
    assert_eq!(query(&request), [("filter".to_owned(), filter)]);
}

#[test]
fn datadogs_list_is_believed_only_as_a_whole() {
    let (fixture, action) = (fixtures::of("datadog"), find("userName", "ann@x.org"));
    let user = json!({ "id": UUID, "userName": "ann@x.org" });
    let list = |total: u64, users: Json| json!({ "totalResults": total, "Resources": users });
    assert_eq!(ids(hear(&fixture, &action, 200, &list(1, json!([user])))), [UUID]);
    assert_eq!(ids(hear(&fixture, &action, 200, &json!({ "totalResults": 0 }))), [""; 0]);
    for doubtful in [
        list(2, json!([user])),
        list(1, json!([{ "userName": "ann@x.org" }])),
        list(1, json!([{ "id": "../me" }])),
        json!({ "Resources": [] }),
        json!({ "errors": ["no"] }),
        json!([]),
    ] {
        assert_eq!(hear(&fixture, &action, 200, &doubtful), Verdict::Uncertain, "{doubtful}");
    }
}

#[test]
fn a_scim_list_with_anybody_on_it_never_says_that_there_is_nobody() {
    let (fixture, action) = (fixtures::of("scim"), find("userName", "ann@x.org"));
    let list = |total: u64, users: Json| json!({ "totalResults": total, "Resources": users });
    assert_eq!(ids(hear(&fixture, &action, 200, &list(0, json!([])))), [""; 0]);
    let other = json!({ "id": UUID, "userName": "bob@x.org" });
    assert_eq!(ids(hear(&fixture, &action, 200, &list(1, json!([other])))), [UUID]);
    for doubtful in [list(1, json!([{ "id": UUID }])), list(2, json!([other]))] {
        assert_eq!(hear(&fixture, &action, 200, &doubtful), Verdict::Uncertain, "{doubtful}");
    }
}

#[test]
fn datadog_makes_a_user_whole_and_the_answer_says_which() {
    let fixture = fixtures::of("datadog");
    let action =
        new(&[(WORK_EMAIL, "a@x.org"), ("name.formatted", "Ann Lee"), ("userName", "a@x.org")]);
    let request = ask(&fixture, &action);
    assert_eq!((request.method, request.url.query()), (Method::Post, None));
    let expected = json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"],
        "userName": "a@x.org",
        "name": { "formatted": "Ann Lee" },
        "emails": [{ "value": "a@x.org", "type": "work", "primary": true }],
    });
    assert_eq!(body_of(&request), expected);
    let verdict = hear(&fixture, &action, 201, &json!({ "id": UUID, "userName": "a@x.org" }));
    assert!(matches!(verdict, Verdict::Created { ref id, .. } if id.as_str() == UUID));
    assert_eq!(hear(&fixture, &action, 201, &json!({})), Verdict::Uncertain);
    let taken = json!({ "errors": ["taken"], "scimType": "uniqueness" });
    assert_eq!(hear(&fixture, &action, 409, &taken), Verdict::Conflict);
}

#[test]
fn biots_endpoints_of_users_as_a_whole_are_as_documented() {
    let fixture = fixtures::of("biot");
    let dialect = fixture.open();
    let request = ask(&fixture, &find("_email", "a@x.org"));
    let (name, search) = query(&request).remove(0);
    let search: Json = serde_json::from_str(&search).unwrap();
    assert_eq!(
        (name.as_str(), &search["filter"]),
        ("searchRequest", &json!({ "_email": { "eq": "a@x.org" } }))
    );
    let found = json!({ "data": [{ "_id": UUID, "_email": "a@x.org" }], "metadata": {} });
    assert_eq!(ids(hear(&fixture, &find("_email", "a@x.org"), 200, &found)), [UUID]);

    let action = new(&[("_email", "a@x.org"), ("_name.firstName", "A"), ("_name.lastName", "L")]);
    let request = ask(&fixture, &action);
    assert!(request.headers.contains(&("x-execution-mode", "sync".to_owned())));
    assert_eq!(
        body_of(&request),
        json!({ "_email": "a@x.org", "_name": { "firstName": "A", "lastName": "L" } })
    );

    let id = fixture.id();
    for (action, state) in [
        (Action::Disable { edit: flip("_enabled", false) }, "DISABLED"),
        (Action::Enable { edit: flip("_enabled", true) }, "ENABLED"),
    ] {
        let request = dialect.request(Some(&id), &action).unwrap();
        let end = format!("/organization/v1/users/organizations/{UUID}/enabled-state/{state}");
        assert!(request.url.path().ends_with(&end), "{}", request.url);
        assert_eq!((request.method, request.body), (Method::Post, None));
    }
    let request = dialect.request(Some(&id), &Action::Delete).unwrap();
    assert_eq!((request.method, request.body), (Method::Delete, None));
}

#[test]
fn workiva_makes_and_deletes_users_in_the_new_version_only_and_looks_up_nobody() {
    let new_version = fixtures::of("workiva").with("api_version", json!("2026-01-01"));
    let life = |fixture: &Fixture| fixture.open().capabilities().life.clone();
    assert!(life(&new_version).create.is_some() && life(&new_version).delete);
    assert!(life(&new_version).finds.is_empty() && life(&new_version).switch.is_none());
    let old = fixtures::of("workiva").with("api_version", json!("2022-01-01"));
    assert_eq!(life(&old), rosterd::model::Life::default());

    let action = new(&[("username", "ann"), ("email", "a@x.org")]);
    let request = ask(&new_version, &action);
    assert!(request.url.path().ends_with("/users") && request.method == Method::Post);
    assert_eq!(body_of(&request), json!({ "username": "ann", "email": "a@x.org" }));
    let gone = raw_response(204, "application/json", b"");
    let verdict = new_version.read(&Action::Delete, &gone).verdict;
    assert_eq!(verdict, Verdict::Applied { shown: Attributes::new() });
}

#[test]
fn no_dialect_spells_what_it_does_not_offer() {
    for fixture in all() {
        let dialect = fixture.open();
        let life = dialect.capabilities().life.clone();
        let (id, edit) = (fixture.id(), flip("active", false));
        let refused = |action| dialect.request(Some(&id), &action).is_err();
        let name = fixture.dialect;
        assert!(life.delete || refused(Action::Delete), "{name}");
        assert!(life.switch.is_some() || refused(Action::Disable { edit }), "{name}");
        assert!(!life.finds.is_empty() || dialect.request(None, &find("title", "x")).is_err());
        let made = dialect.request(None, &new(&[("firstName", "x")]));
        assert!(life.create.is_some() || made.is_err(), "{name}");
        assert!(dialect.request(None, &Action::Read).is_err(), "{name}");
    }
}
