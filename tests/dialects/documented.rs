//! The answers that stand in the API documents, each read as what it means.

use crate::fixtures::{self, Fixture, OTHER_UUID, UUID, patch, response, sample};
use rosterd::model::{Action, AttrPath, Attributes, Value, Verdict};
use serde_json::{Value as Json, json};

fn attributes(pairs: &[(&str, Option<Value>)]) -> Attributes {
    pairs.iter().map(|(path, value)| (AttrPath::new(path), value.clone())).collect()
}

/// A change of these attributes from unset.
fn change(fixture: &Fixture, paths: &[&str]) -> Action {
    let dialect = fixture.open();
    let catalogue = &dialect.capabilities().attributes;
    let mut known = Attributes::new();
    let mut wanted = Attributes::new();
    for path in paths {
        let path = AttrPath::new(path);
        wanted.insert(path.clone(), Some(sample(&catalogue[&path].kind)));
        known.insert(path, None);
    }
    patch(dialect.capabilities(), &known, &wanted)
}

fn rejected(paths: &[&str]) -> Verdict {
    Verdict::Rejected { attributes: paths.iter().map(|path| AttrPath::new(path)).collect() }
}

#[test]
fn workivas_answer_shows_the_user() {
    let fixture = fixtures::of("workiva");
    let body = json!({
        "created": { "dateTime": "2019-10-01T15:03:27Z" },
        "displayName": "Jane Smith",
        "email": "jane.smith@example.com",
        "familyName": "Smith",
        "givenName": "Jane",
        "id": "V1ZVd2VyFzU3NiQ1NDA4NjIzNzk2MjD",
        "modified": { "dateTime": "2021-07-14T08:03:02Z" },
        "status": "active",
        "username": "jane.smith@example.com"
    });
    let shown = attributes(&[
        ("displayName", Some("Jane Smith".into())),
        ("email", Some("jane.smith@example.com".into())),
        ("familyName", Some("Smith".into())),
        ("givenName", Some("Jane".into())),
        ("username", Some("jane.smith@example.com".into())),
    ]);
    let read = fixture.read(&Action::Read, &response(200, &body));
    assert!(read.verdict == Verdict::Found { shown: shown.clone() });
    let patched = fixture.read(&change(&fixture, &["displayName"]), &response(200, &body));
    assert!(patched.verdict == Verdict::Applied { shown });
}

#[test]
fn workivas_documented_request_is_spelled_as_documented() {
    let fixture = fixtures::of("workiva").with("region", json!("us"));
    let dialect = fixture.open();
    let known = attributes(&[("displayName", Some("Jane Smith".into()))]);
    let wanted = attributes(&[("displayName", Some("Smith, Jane".into()))]);
    let action = patch(dialect.capabilities(), &known, &wanted);
    let request = dialect.request(Some(&fixture.id()), &action).unwrap();
    assert_eq!(
        request.url.as_str(),
        format!(
            "https://api.app.wdesk.com/prototype/admin/organizations/{OTHER_UUID}/users/{}",
            fixture.id
        )
    );
    assert_eq!(
        request.body.unwrap(),
        br#"[{"op":"replace","path":"/displayName","value":"Smith, Jane"}]"#
    );
    assert!(request.headers.contains(&("x-version", "2022-01-01".to_owned())));
    assert!(request.headers.contains(&("accept", "application/json".to_owned())));
}

#[test]
fn workivas_errors_are_read() {
    let fixture = fixtures::of("workiva");
    let action = change(&fixture, &["email", "givenName"]);
    for (status, code, verdict) in [
        (400, "400BadRequest", rejected(&[])),
        (401, "401Unauthorized", Verdict::Unauthorized),
        (403, "403Forbidden", Verdict::Forbidden),
        (404, "404NotFound", Verdict::Missing),
        (409, "409Conflict", Verdict::Conflict),
        (429, "429TooManyRequests", Verdict::Throttled),
        (500, "500InternalServerError", Verdict::Uncertain),
        (503, "503ServiceUnavailable", Verdict::Unavailable),
    ] {
        let message = "The request was unacceptable";
        let body = json!({ "code": code, "message": message });
        let answer = fixture.read(&action, &response(status, &body));
        assert_eq!((&answer.verdict, answer.code.as_str()), (&verdict, code));
        assert_eq!(answer.excerpt.as_str(), message);
    }
    let body =
        json!({ "code": "BadArgument", "details": [{ "target": "/email" }, { "code": "x" }] });
    assert_eq!(fixture.read(&action, &response(400, &body)).verdict, rejected(&["email"]));
    let body = json!({ "code": "BadArgument", "target": "givenName" });
    assert_eq!(fixture.read(&action, &response(422, &body)).verdict, rejected(&["givenName"]));
}

#[test]
fn biots_objects_go_whole_and_references_are_objects() {
    let fixture = fixtures::of("biot");
    let dialect = fixture.open();
    let known = attributes(&[
        ("_address.countryCode", Some("US".into())),
        ("_address.city", Some("Boston".into())),
        ("_address.zipCode", None),
        ("_name.firstName", Some("John".into())),
        ("_name.lastName", Some("Smith".into())),
        ("mentor", None),
    ]);
    let wanted = attributes(&[
        ("_address.state", Some("Massachusetts".into())),
        ("mentor", Some(UUID.to_uppercase().into())),
    ]);
    let action = patch(dialect.capabilities(), &known, &wanted);
    let request = dialect.request(Some(&fixture.id()), &action).unwrap();
    assert_eq!(
        request.url.as_str(),
        format!("https://directory.example.com/organization/v1/users/organizations/{UUID}")
    );
    assert_eq!(
        fixtures::body_of(&request),
        json!({
            "_address": { "countryCode": "US", "city": "Boston", "state": "Massachusetts" },
            "mentor": { "id": UUID },
        })
    );
}

#[test]
fn biots_nulls_are_spelled_where_the_tenant_says_that_they_clear() {
    let fixture = fixtures::of("biot").with("null_clears", json!(true));
    let dialect = fixture.open();
    let known = attributes(&[
        ("_address.countryCode", Some("US".into())),
        ("_address.city", Some("Boston".into())),
        ("mentor", Some(UUID.into())),
        ("skills", Some(Value::set(["WELD"]))),
    ]);
    let wanted = attributes(&[
        ("_address.city", None),
        ("mentor", None),
        ("skills", Some(Value::Set([].into()))),
    ]);
    let action = patch(dialect.capabilities(), &known, &wanted);
    let body = fixtures::body_of(&dialect.request(Some(&fixture.id()), &action).unwrap());
    let address = json!({ "countryCode": "US", "city": null });
    assert_eq!(body, json!({ "_address": address, "mentor": null, "skills": [] }));
    let clearable: Vec<_> = dialect
        .capabilities()
        .attributes
        .iter()
        .filter(|(_, attribute)| !attribute.clearable)
        .map(|(path, _)| path.as_str())
        .collect();
    assert_eq!(
        clearable,
        [
            "_address.countryCode",
            "_mfa.enabled",
            "_name.firstName",
            "_name.lastName",
            "_ownerOrganization.id",
            "formerly.firstName",
            "formerly.lastName",
            "home.countryCode",
        ]
    );
}

#[test]
fn biots_error_codes_tell_whose_fault_it_is() {
    let fixture = fixtures::of("biot");
    let dialect = fixture.open();
    let every: Vec<_> = dialect.capabilities().attributes.keys().map(AttrPath::as_str).collect();
    let action = change(&fixture, &every);
    let reference = rejected(&["_ownerOrganization.id", "mentor"]);
    for (status, code, verdict) in [
        (400, "OWNER_ORGANIZATION_CANNOT_BE_NULL", rejected(&["_ownerOrganization.id"])),
        (400, "COUNTRY_CODE_CANNOT_BE_NULL", rejected(&["_address.countryCode"])),
        (400, "OTP_UPDATE_PHONE_DISABLED", rejected(&["_phone"])),
        (400, "VALIDATION_LOCALE_NOT_VALID", rejected(&["_locale", "tongue"])),
        (400, "VALIDATION_TIMEZONE_NOT_VALID", rejected(&["zone"])),
        (400, "REFERENCED_ENTITY_TYPE_MISMATCH", reference.clone()),
        (400, "ATTRIBUTE_IS_MANDATORY", rejected(&[])),
        (400, "SOMETHING_NEW", rejected(&[])),
        (401, "TOKEN_NOT_VALID", Verdict::Unauthorized),
        (403, "EMAIL_CHANGE_NOT_PERMITTED", rejected(&["_email"])),
        (403, "OWNER_ORGANIZATION_ID_MISMATCH", rejected(&["_ownerOrganization.id"])),
        (403, "ALREADY_REFERENCED_UNIQUELY", reference.clone()),
        (403, "ACCESS_DENIED", Verdict::Forbidden),
        (404, "USER_NOT_FOUND", Verdict::Missing),
        (404, "ORGANIZATION_NOT_FOUND", rejected(&["_ownerOrganization.id"])),
        (404, "REFERENCE_CONFIGURATION_ENTITY_NOT_FOUND", reference),
        (409, "EMAIL_ALREADY_EXIST", rejected(&["_email"])),
        (409, "USERNAME_ALREADY_EXIST", rejected(&["_email"])),
        (409, "USER_IS_ORGANIZATION_ADMIN", rejected(&[])),
        (409, "SOMETHING_NEW", Verdict::Conflict),
        (500, "INTERNAL_SERVER_ERROR", Verdict::Uncertain),
        (504, "GATEWAY_TIMEOUT", Verdict::Uncertain),
    ] {
        let body = json!({ "code": code, "message": "m", "traceId": "t", "details": {} });
        let answer = fixture.read(&action, &response(status, &body));
        assert_eq!((&answer.verdict, answer.code.as_str()), (&verdict, code));
    }
}

#[test]
fn biots_details_name_the_attribute_at_fault() {
    let fixture = fixtures::of("biot");
    let action = change(&fixture, &["_address.city", "_address.countryCode", "badge", "label"]);
    for (name, verdict) in [
        ("badge", rejected(&["badge"])),
        ("_address", rejected(&["_address.city", "_address.countryCode"])),
        ("_address.city", rejected(&["_address.city"])),
        ("_locale", rejected(&[])),
        ("nonsense", rejected(&[])),
    ] {
        let details = json!({ "attributeName": name, "value": "x", "regex": "y" });
        let body = json!({ "code": "ATTRIBUTE_REGEX_VALIDATION_FAILED", "details": details });
        assert_eq!(fixture.read(&action, &response(400, &body)).verdict, verdict, "{name}");
    }
}

#[test]
fn biots_answer_shows_members_references_and_what_is_unset() {
    let fixture = fixtures::of("biot");
    let body = json!({
        "_id": UUID.to_uppercase(),
        "_enabled": "ENABLED",
        "_name": { "firstName": "John", "lastName": "Smith" },
        "_mfa": { "enabled": true, "expirationInMinutes": 5 },
        "_address": null,
        "_ownerOrganization": { "id": UUID.to_uppercase(), "name": "Acme" },
        "mentor": { "id": UUID, "name": "Jo" },
        "skills": ["SWIM", "DRIVE"],
        "ratio": 2.0,
    });
    let verdict = fixture.read(&Action::Read, &response(200, &body)).verdict;
    let Verdict::Found { shown } = verdict else { panic!("{verdict:?}") };
    let expected = attributes(&[
        ("_name.firstName", Some("John".into())),
        ("_mfa.enabled", Some(true.into())),
        ("_mfa.expirationInMinutes", Some(5.into())),
        ("_address.city", None),
        ("_ownerOrganization.id", Some(UUID.into())),
        ("mentor", Some(UUID.into())),
        ("skills", Some(Value::set(["DRIVE", "SWIM"]))),
        ("ratio", Some(2.into())),
        ("label", None),
    ]);
    for (path, value) in expected {
        assert!(shown.get(&path) == Some(&value), "{path}");
    }
    // And whether the user is on, which no PATCH sets.
    assert!(shown.get(&AttrPath::new("_enabled")) == Some(&Some(true.into())));
    assert_eq!(shown.len(), fixture.open().capabilities().attributes.len() + 1);
}

#[test]
fn scalepads_answer_shows_the_departments_as_a_set_of_ids() {
    let fixture = fixtures::of("scalepad");
    let user = |departments: Json| {
        json!({
            "id": UUID,
            "username": "mikechang",
            "last_activity": { "at": "2026-02-24T21:23:53.082Z" },
            "departments": departments,
        })
    };
    let department = |id: &str| json!({ "id": id, "name": "Engineering", "description": "x" });
    for (departments, value) in [
        (json!([department(OTHER_UUID)]), Some(Value::set([OTHER_UUID]))),
        (
            json!([department(&UUID.to_uppercase()), department(OTHER_UUID)]),
            Some(Value::set([OTHER_UUID, UUID])),
        ),
        (json!([]), Some(Value::Set([].into()))),
        (Json::Null, None),
    ] {
        let shown = attributes(&[("departments", value)]);
        let body = user(departments);
        let read = fixture.read(&Action::Read, &response(200, &body)).verdict;
        assert!(read == Verdict::Found { shown: shown.clone() });
        let action = change(&fixture, &["departments"]);
        let patched = fixture.read(&action, &response(200, &body)).verdict;
        assert!(patched == Verdict::Applied { shown });
    }
    for departments in [json!([{ "name": "no id" }]), json!("x"), json!({})] {
        let read = fixture.read(&Action::Read, &response(200, &user(departments))).verdict;
        assert!(read == Verdict::Found { shown: [].into() });
    }
}

#[test]
fn scalepads_departments_are_replaced_as_a_whole_and_emptied_by_an_empty_list() {
    let fixture = fixtures::of("scalepad");
    let dialect = fixture.open();
    let known = attributes(&[("departments", Some(Value::set([UUID])))]);
    for (value, list) in [
        (Some(Value::set([UUID.to_uppercase(), OTHER_UUID.to_owned()])), json!([UUID, OTHER_UUID])),
        (Some(Value::Set([].into())), json!([])),
        (None, json!([])),
    ] {
        let wanted = attributes(&[("departments", value)]);
        let action = patch(dialect.capabilities(), &known, &wanted);
        let request = dialect.request(Some(&fixture.id()), &action).unwrap();
        assert_eq!(
            request.url.as_str(),
            format!("https://api.example.com/v2/clients/{OTHER_UUID}/users/{UUID}")
        );
        assert_eq!(fixtures::body_of(&request), json!({ "departments": list }));
    }
}

#[test]
fn scalepads_404_is_the_departments_when_it_names_them_and_the_users_otherwise() {
    let fixture = fixtures::of("scalepad");
    let action = change(&fixture, &["departments"]);
    let error = |details: Json| {
        json!({ "error": {
            "code": "not_found",
            "message": "One or more departments not found",
            "details": details,
        }})
    };
    let ids = json!({ "invalid_department_ids": ["ffffffff-ffff-ffff-ffff-ffffffffffff"] });
    let answer = fixture.read(&action, &response(404, &error(ids)));
    assert_eq!(answer.verdict, rejected(&["departments"]));
    assert_eq!(answer.code, "not_found");
    assert_eq!(answer.excerpt.as_str(), "One or more departments not found");
    for details in [json!({ "invalid_department_ids": [] }), json!({}), Json::Null] {
        let answer = fixture.read(&action, &response(404, &error(details)));
        assert_eq!(answer.verdict, Verdict::Missing);
    }
}

fn kares_membership(deleted_at: &Json) -> Json {
    json!({ "data": {
        "userId": 17,
        "organizationId": 1,
        "scope": 1,
        "permissions": { "group": 1, "read": [1, 2], "manage": [2, 1] },
        "deletedAt": deleted_at,
        "updatedAt": "2024-12-09T14:23:00.000Z",
        "createdAt": "2024-01-15T08:45:00.000Z",
    }})
}

#[test]
fn kares_answer_shows_the_membership_and_no_names() {
    let fixture = fixtures::of("kare");
    let shown = attributes(&[
        ("scope", Some(1.into())),
        ("permissions.group", Some(1.into())),
        ("permissions.manage", Some(Value::set([1, 2]))),
        ("permissions.read", Some(Value::set([1, 2]))),
    ]);
    let body = kares_membership(&Json::Null);
    let answer = fixture.read(&change(&fixture, &["firstName"]), &response(200, &body));
    assert!(answer.verdict == Verdict::Applied { shown });
    let dialect = fixture.open();
    for (path, attribute) in &dialect.capabilities().attributes {
        let shown = !["firstName", "lastName", "professionId"].contains(&path.as_str());
        assert_eq!(attribute.shown_in_answer, shown, "{path}");
    }
}

#[test]
fn kares_read_shows_names_and_profession() {
    let fixture = fixtures::of("kare");
    let body = json!({ "data": {
        "id": 17, "firstName": "John", "lastName": null, "email": "j@example.com",
        "profession": { "id": 3, "name": "Architect" }, "scope": 2,
    }});
    let shown = attributes(&[
        ("firstName", Some("John".into())),
        ("lastName", None),
        ("professionId", Some(3.into())),
        ("scope", Some(2.into())),
        ("permissions.group", None),
        ("permissions.manage", None),
        ("permissions.read", None),
    ]);
    let answer = fixture.read(&Action::Read, &response(200, &body));
    assert!(answer.verdict == Verdict::Found { shown });
}

#[test]
fn a_membership_that_has_ended_counts_as_a_missing_user() {
    let fixture = fixtures::of("kare");
    let body = kares_membership(&json!("2024-12-15T10:00:00.000Z"));
    let answer = fixture.read(&change(&fixture, &["scope"]), &response(200, &body));
    assert_eq!(answer.verdict, Verdict::Missing);
    assert_eq!(answer.code, "membership_deleted");
}

#[test]
fn kares_requests_are_spelled_as_documented() {
    let fixture = fixtures::of("kare");
    let dialect = fixture.open();
    let known = attributes(&[
        ("permissions.group", Some(1.into())),
        ("permissions.manage", Some(Value::set([1, 2]))),
        ("permissions.read", None),
        ("scope", Some(1.into())),
    ]);
    let wanted = attributes(&[
        ("firstName", Some("John".into())),
        ("permissions.group", Some(4.into())),
        ("scope", Some(2.into())),
    ]);
    let action = patch(dialect.capabilities(), &known, &wanted);
    let request = dialect.request(Some(&fixture.id()), &action).unwrap();
    let base = "https://kare.example.com/main";
    assert_eq!(request.url.as_str(), format!("{base}/users-organizations/v1/rs/users/17"));
    let permissions = json!({ "group": 4, "manage": [1, 2] });
    let body = json!({ "firstName": "John", "permissions": permissions, "scope": 2 });
    assert_eq!(fixtures::body_of(&request), body);
    let read = dialect.request(Some(&fixture.id()), &Action::Read).unwrap();
    assert_eq!(read.url.as_str(), format!("{base}/users/v1/rs/17"));
    let headers: Vec<_> = read.credentials.iter().map(|c| (c.header, c.prefix)).collect();
    assert_eq!(headers, [("authorization", "Bearer "), ("x-session-token", "")]);
}

#[test]
fn the_platform_below_kare_answers_an_unknown_path_with_a_403() {
    let fixture = fixtures::of("kare");
    for (message, verdict) in [
        ("Missing Authentication Token", Verdict::Broken),
        ("Forbidden", Verdict::Forbidden),
        ("The security token included in the request is expired", Verdict::Forbidden),
    ] {
        for action in [Action::Read, change(&fixture, &["scope"])] {
            let answer = fixture.read(&action, &response(403, &json!({ "message": message })));
            assert_eq!(answer.verdict, verdict);
            assert_eq!(answer.excerpt.as_str(), message);
        }
    }
}

#[test]
fn datadogs_answer_shows_the_user() {
    let fixture = fixtures::of("datadog");
    let user = |emails: Json| {
        json!({
            "active": false,
            "emails": emails,
            "id": UUID,
            "meta": { "resourceType": "User" },
            "name": { "formatted": "John Doe" },
            "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"],
            "userName": "jd",
        })
    };
    let email = |kind: &str, primary: bool, value: &str| json!({ "type": kind, "primary": primary, "value": value });
    for (emails, value) in [
        (json!([email("work", true, "a@example.com")]), Some("a@example.com".into())),
        (json!([email("Work", false, "a@example.com")]), Some("a@example.com".into())),
        (
            json!([email("work", false, "a@example.com"), email("work", true, "b@example.com")]),
            Some("b@example.com".into()),
        ),
        (json!([email("home", true, "a@example.com")]), None),
        (json!([{ "type": "work" }]), None),
        (json!([]), None),
        (Json::Null, None),
    ] {
        let shown = attributes(&[
            ("active", Some(false.into())),
            (r#"emails[type eq "work"].value"#, value),
            ("name.formatted", Some("John Doe".into())),
            ("title", None),
            ("userName", Some("jd".into())),
        ]);
        let answer = fixture.read(&Action::Read, &response(200, &user(emails)));
        assert!(answer.verdict == Verdict::Found { shown });
    }
}

#[test]
fn datadogs_operations_replace_what_is_there_and_add_what_is_not() {
    let fixture = fixtures::of("datadog");
    let dialect = fixture.open();
    let email = r#"emails[type eq "work"].value"#;
    let known = attributes(&[
        ("active", Some(true.into())),
        ("title", None),
        (email, None),
        ("userName", Some("jd".into())),
    ]);
    let wanted = attributes(&[
        ("active", Some(false.into())),
        ("title", Some("CEO".into())),
        (email, Some("a@example.com".into())),
        ("name.formatted", Some("John Doe".into())),
        ("userName", Some("jd".into())),
    ]);
    let action = patch(dialect.capabilities(), &known, &wanted);
    let request = dialect.request(Some(&fixture.id()), &action).unwrap();
    let added = json!([{ "value": "a@example.com", "type": "work", "primary": true }]);
    assert_eq!(
        fixtures::body_of(&request),
        json!({
            "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
            "Operations": [
                { "op": "replace", "path": "active", "value": false },
                { "op": "replace", "path": "emails", "value": added },
                { "op": "replace", "path": "name.formatted", "value": "John Doe" },
                { "op": "add", "path": "title", "value": "CEO" },
            ],
        })
    );
    let known = attributes(&[(email, Some("b@example.com".into()))]);
    let wanted = attributes(&[(email, Some("a@example.com".into()))]);
    let action = patch(dialect.capabilities(), &known, &wanted);
    let body = fixtures::body_of(&dialect.request(Some(&fixture.id()), &action).unwrap());
    let operation = json!({ "op": "replace", "path": email, "value": "a@example.com" });
    assert_eq!(body["Operations"], json!([operation]));
}

#[test]
fn datadogs_errors_are_read_in_both_forms() {
    let fixture = fixtures::of("datadog");
    let action = change(&fixture, &["title", "userName"]);
    for (status, verdict) in [
        (400, rejected(&[])),
        (403, Verdict::Forbidden),
        (404, Verdict::Missing),
        (409, Verdict::Conflict),
        (429, Verdict::Throttled),
    ] {
        let body = json!({ "errors": ["Bad Request"] });
        let answer = fixture.read(&action, &response(status, &body));
        assert_eq!((answer.verdict, answer.code.as_str()), (verdict, ""));
        assert_eq!(answer.excerpt.as_str(), "Bad Request");
    }
    for (status, kind, verdict) in [
        (400, "invalidValue", rejected(&[])),
        (409, "uniqueness", rejected(&["userName"])),
        (412, "invalidVers", Verdict::Conflict),
        (403, "sensitive", Verdict::Forbidden),
    ] {
        let body = json!({
            "schemas": ["urn:ietf:params:scim:api:messages:2.0:Error"],
            "status": status.to_string(),
            "scimType": kind,
            "detail": "no",
        });
        let answer = fixture.read(&action, &response(status, &body));
        assert_eq!((answer.verdict, answer.code.as_str()), (verdict, kind));
        assert_eq!(answer.excerpt.as_str(), "no");
    }
}

#[test]
fn every_datadog_site_has_its_own_address() {
    for site in [
        "datadoghq.com",
        "us3.datadoghq.com",
        "us5.datadoghq.com",
        "ap1.datadoghq.com",
        "ap2.datadoghq.com",
        "datadoghq.eu",
        "ddog-gov.com",
        "us2.ddog-gov.com",
        "uk1.datadoghq.com",
    ] {
        let fixture = fixtures::of("datadog").with("site", json!(site));
        let request = fixture.open().request(Some(&fixture.id()), &Action::Read).unwrap();
        assert_eq!(request.url.as_str(), format!("https://api.{site}/api/v2/scim/Users/{UUID}"));
    }
}
