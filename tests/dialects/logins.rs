//! The calls of the logins, and what their answers mean, by the documents.

use crate::fixtures::{Fixture, all};
use jiff::Timestamp;
use rosterd::{
    dialect::{
        REGISTRY, Settings,
        login::{self, Call, Fields, Kind, Login, Offer, Part, Reading},
    },
    model::{Body, Reach, Response},
};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value as Json, json};
use std::time::Duration;

fn offers(fixture: &Fixture) -> Vec<Offer> {
    let entry = REGISTRY.iter().find(|entry| entry.name == fixture.dialect).unwrap();
    let table = fixture.settings.as_object().unwrap().clone();
    (entry.open)(&Settings { table, reach: Reach::default() }).unwrap().logins()
}

fn open(table: &Json, offers: &[Offer]) -> Login {
    let table = table.as_object().unwrap().clone();
    login::open(&Settings { table, reach: Reach::default() }, offers).unwrap()
}

/// The only offer of that kind among all APIs; of Workiva's, the newer one.
fn of(kind: Kind) -> Vec<Offer> {
    let offers =
        all().iter().flat_map(offers).filter(|offer| offer.kind == kind).collect::<Vec<_>>();
    vec![offers.last().unwrap().clone()]
}

fn table_of(kind: Kind) -> Json {
    let (key, account) = match kind {
        Kind::ClientCredentials => ("client_id", "rosterd"),
        Kind::BiotService => ("id", "a1d97031-04e2-4907-a249-093f7436207b"),
        Kind::BiotUser => ("username", "rosterd"),
        Kind::KareCredentials => ("email", "rosterd@example.org"),
    };
    json!({ "type": kind.as_str(), key: account })
}

fn login_of(kind: Kind) -> Login {
    open(&table_of(kind), &of(kind))
}

/// `name=text`, `name=<secret>`.
fn spelled(call: &Call) -> Vec<String> {
    let (Fields::Form(fields) | Fields::Json(fields)) = &call.fields;
    let spell = |(name, part): &(&str, Part)| match part {
        Part::Plain(text) => format!("{name}={text}"),
        Part::Secret(secret) => format!("{name}=<{secret}>"),
    };
    fields.iter().map(spell).collect()
}

fn answer(status: u16, headers: &[(&str, &str)], body: &Json) -> Response {
    let headers = headers.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned()));
    let body = Body::Whole(body.to_string().into_bytes());
    Response { status, headers: headers.collect(), body }
}

fn read(kind: Kind, status: u16, body: &Json) -> Reading {
    login_of(kind).read(&answer(status, &[], body), Timestamp::UNIX_EPOCH)
}

#[test]
fn every_login_of_an_api_goes_below_its_own_base_and_gives_what_its_requests_carry() {
    for fixture in all() {
        for offer in offers(&fixture) {
            let place = (&offer.url, fixture.base);
            assert!(offer.url.as_str().starts_with(&format!("{}/", fixture.base)), "{place:?}");
            let login = open(&table_of(offer.kind), std::slice::from_ref(&offer));
            assert_eq!(
                (login.kind(), login.url(), &login.call().url),
                (offer.kind, &offer.url, &offer.url)
            );
            let entry = REGISTRY.iter().find(|entry| entry.name == fixture.dialect).unwrap();
            let table = fixture.settings.as_object().unwrap().clone();
            let dialect = (entry.open)(&Settings { table, reach: Reach::default() }).unwrap();
            let gives = offer.kind.tokens();
            assert!(dialect.credentials().iter().all(|name| gives.contains(name)));
        }
    }
}

#[test]
fn d10_every_call_is_spelled_as_its_document_has_it_and_names_secrets_without_knowing_them() {
    let calls = [
        (
            Kind::ClientCredentials,
            vec![
                "grant_type=client_credentials",
                "client_id=rosterd",
                "client_secret=<client_secret>",
                "scope=organization:read organization:write",
            ],
        ),
        (
            Kind::BiotService,
            vec!["id=a1d97031-04e2-4907-a249-093f7436207b", "secretKey=<secret_key>"],
        ),
        (Kind::BiotUser, vec!["username=rosterd", "password=<password>"]),
        (Kind::KareCredentials, vec!["email=rosterd@example.org", "password=<password>"]),
    ];
    for (kind, fields) in calls {
        let call = login_of(kind).call();
        assert_eq!(spelled(&call), fields);
        let carried: Vec<_> = call.credentials.iter().map(|header| header.credential).collect();
        let bearer = kind == Kind::KareCredentials;
        assert_eq!(carried, if bearer { vec!["token"] } else { vec![] });
        assert_eq!(call.basic, None);
    }
    let refresh = login_of(Kind::BiotUser).refresh().unwrap();
    assert!(refresh.url.path().ends_with("/ums/v2/users/token/refresh"));
    assert_eq!(spelled(&refresh), ["refreshToken=<refresh_token>"]);
}

#[test]
fn d10_a_client_elsewhere_says_who_it_is_in_a_header_and_what_it_wants_in_the_form() {
    let table = json!({
        "type": "client_credentials",
        "client_id": "rosterd",
        "token_url": "https://login.example.com/token",
        "scope": ["read", "write"],
        "audience": "https://api.example.com",
        "resource": ["urn:a", "urn:b"],
    });
    let call = open(&table, &[]).call();
    assert_eq!(call.basic, Some(("rosterd".to_owned(), "client_secret")));
    let fields = [
        "grant_type=client_credentials",
        "scope=read write",
        "audience=https://api.example.com",
        "resource=urn:a",
        "resource=urn:b",
    ];
    assert_eq!(spelled(&call), fields);
}

#[test]
fn d10_tokens_are_found_where_the_documents_have_them() {
    let jwt = "e30.eyJpYXQiOjEwMDAsImV4cCI6MTYwMH0.x";
    let at = "1970-01-01T00:10:00.000Z";
    let minutes = |minutes| Some(Duration::from_mins(minutes));
    let cases = [
        (
            Kind::ClientCredentials,
            json!({ "access_token": "a", "expires_in": 600, "token_type": "bearer" }),
            vec!["a"],
            minutes(10),
        ),
        (Kind::ClientCredentials, json!({ "access_token": jwt }), vec![jwt], minutes(10)),
        (Kind::ClientCredentials, json!({ "access_token": "a" }), vec!["a"], None),
        (
            Kind::BiotService,
            json!({ "accessToken": "a", "accessTokenExpiration": at }),
            vec!["a"],
            minutes(10),
        ),
        (
            Kind::BiotUser,
            json!({
                "accessJwt": { "token": "a", "expiration": at },
                "refreshJwt": { "token": "r", "expiration": at },
            }),
            vec!["a"],
            minutes(10),
        ),
        (
            Kind::KareCredentials,
            json!({ "data": { "accessToken": "a", "refreshToken": "r", "sessionToken": jwt } }),
            vec![jwt, "a"],
            minutes(10),
        ),
    ];
    for (kind, body, tokens, lifetime) in cases {
        let status = if kind == Kind::KareCredentials { 201 } else { 200 };
        let Reading::Granted(grant) = read(kind, status, &body) else { panic!("{body}") };
        let found: Vec<_> = grant.tokens.values().map(SecretString::expose_secret).collect();
        assert_eq!((found, grant.lifetime), (tokens, lifetime), "{body}");
        assert_eq!(grant.refresh.is_some(), kind == Kind::BiotUser);
    }
}

#[test]
fn d10_every_refusal_of_rfc_6749_is_one_and_what_is_not_now_is_tried_again() {
    let read =
        |status, code: &str| read(Kind::ClientCredentials, status, &json!({ "error": code }));
    for code in [
        "invalid_request",
        "invalid_client",
        "invalid_grant",
        "unauthorized_client",
        "unsupported_grant_type",
        "invalid_scope",
        "access_denied",
    ] {
        for status in [400, 401, 403] {
            let Reading::Refused { why } = read(status, code) else { panic!("{status} {code}") };
            assert_eq!(why, format!("the login is refused: {status} {code}"));
        }
    }
    for code in ["temporarily_unavailable", "server_error"] {
        assert!(matches!(read(400, code), Reading::Unavailable { .. }));
    }
    for status in [500, 502, 503, 504, 599] {
        assert!(matches!(read(status, ""), Reading::Unavailable { .. }), "{status}");
    }
    for status in [408, 425, 429] {
        assert!(matches!(read(status, ""), Reading::Throttled), "{status}");
    }
    for status in [301, 302, 307, 308, 404, 405, 410, 400, 415, 422] {
        assert!(matches!(read(status, ""), Reading::Refused { .. }), "{status}");
    }
}

#[test]
fn d10_a_locked_account_is_known_by_code_by_status_and_by_a_refusal_that_names_a_time() {
    let locked = |kind, status, headers: &[(&str, &str)], body: &Json| {
        let answer = answer(status, headers, body);
        match login_of(kind).read(&answer, Timestamp::UNIX_EPOCH) {
            Reading::Locked { wait, .. } => wait.map(|wait| wait.as_secs()),
            other => panic!("{other:?}"),
        }
    };
    let with_time = |minutes: Json| json!({ "code": "USER_LOCKED_WITH_TIME", "details": { "timeLeftInMinutes": minutes } });
    assert_eq!(locked(Kind::BiotUser, 401, &[], &with_time(json!(4))), Some(300));
    assert_eq!(locked(Kind::BiotUser, 401, &[], &with_time(json!("4"))), Some(300));
    assert_eq!(locked(Kind::BiotUser, 401, &[], &with_time(json!(null))), None);
    assert_eq!(locked(Kind::BiotService, 401, &[], &json!({ "code": "SERVICE_LOCKED" })), None);
    assert_eq!(locked(Kind::KareCredentials, 423, &[], &json!({})), None);
    let later = [("retry-after", "120")];
    for status in [401, 403, 423] {
        let code = json!({ "error": "access_denied" });
        assert_eq!(locked(Kind::ClientCredentials, status, &later, &code), Some(120));
    }
}

#[test]
fn d10_an_answer_without_a_token_that_can_be_used_is_refused_and_says_what_is_missing() {
    let refused = |kind, body: &Json| match read(kind, 200, body) {
        Reading::Refused { why } => why,
        other => panic!("{other:?}"),
    };
    let client = Kind::ClientCredentials;
    for (body, part) in [
        (json!({}), "without `access_token`"),
        (json!({ "access_token": "" }), "no header can carry"),
        (json!({ "access_token": "a b" }), "no header can carry"),
        (json!({ "access_token": "a\r\nx: y" }), "no header can carry"),
        (json!({ "access_token": "a", "token_type": "mac" }), "another type"),
        (
            json!({ "access_token": "a", "scope": "organization:read" }),
            "`organization:write` is missing",
        ),
    ] {
        assert!(refused(client, &body).contains(part), "{body}");
    }
    let jwt = json!({ "token": "a" });
    let second = json!({ "accessJwt": jwt, "mfaRequired": true });
    assert!(refused(Kind::BiotUser, &second).contains("a second factor"));
    let half = json!({ "data": { "accessToken": "a" } });
    assert!(refused(Kind::KareCredentials, &half).contains("without `data/sessionToken`"));
    assert!(matches!(read(client, 200, &json!("a page")), Reading::Unavailable { .. }));
}

#[test]
fn g01_a_login_that_says_its_secret_back_is_not_repeated() {
    let secret = "s3cr3t-of-the-client";
    for code in [secret, "asecretthatconsistsofnothingbutletters"] {
        let told = format!("{:?}", read(Kind::ClientCredentials, 401, &json!({ "error": code })));
        assert_eq!(told, r#"Refused { why: "the login is refused: 401" }"#);
    }
    let body = json!({ "access_token": secret, "refresh_token": secret });
    assert!(!format!("{:?}", read(Kind::ClientCredentials, 200, &body)).contains(secret));
}
