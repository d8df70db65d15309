//! The logins of the practice servers.

use super::{Call, Got, Practice, ann, tenant};
use reqwest::Method;
use rosterd::sandbox::{Api, PracticeLogin, SandboxTenant};
use serde_json::{Value, json};
use std::time::Duration;

const FORM: &str = "application/x-www-form-urlencoded";
const JSON: &str = "application/json";

async fn practice(api: Api, login: PracticeLogin) -> Practice {
    let login = PracticeLogin {
        account: Some("me".to_owned()),
        secret: "open".to_owned(),
        application: "application".to_owned(),
        ..login
    };
    Practice::with(SandboxTenant { login: Some(login), ..tenant(api) }).await
}

fn call(path: &str, kind: &str, body: &str) -> Call {
    let headers = vec![("user-agent", "test".to_owned()), ("content-type", kind.to_owned())];
    Call { method: Method::POST, path: path.to_owned(), headers, body: Some(body.to_owned()) }
}

fn client(body: &str) -> Call {
    call("/oauth2/token", FORM, body)
}

fn service(secret: &str) -> Call {
    let body = json!({ "id": "me", "secretKey": secret });
    call("/ums/v2/services/accessToken", JSON, &body.to_string())
}

fn user(secret: &str) -> Call {
    let body = json!({ "username": "me", "password": secret });
    call("/ums/v2/users/login", JSON, &body.to_string())
}

/// A read with that token.
async fn read_with(practice: &Practice, token: &str) -> u16 {
    let call =
        practice.call_get(ann(practice.api)).with("authorization", &format!("Bearer {token}"));
    practice.send(call).await.status
}

fn text<'a>(json: &'a Value, place: &str) -> &'a str {
    json.pointer(place).and_then(Value::as_str).unwrap()
}

fn status_and<'a>(got: &Got, json: &'a Value, place: &str) -> (u16, &'a str) {
    (got.status, text(json, place))
}

const GOOD: &str = "grant_type=client_credentials&client_id=me&client_secret=open";

#[tokio::test]
async fn workiva_gives_a_client_a_token_and_takes_no_other_than_those() {
    let practice = practice(Api::Workiva, PracticeLogin::default()).await;
    assert_eq!(read_with(&practice, "secret").await, 401);
    for path in ["/oauth2/token", "/iam/v1/oauth2/token"] {
        let got = practice.send(client(GOOD).at(path)).await;
        let json = got.json();
        assert_eq!(
            (got.status, &json["expires_in"], &json["token_type"]),
            (200, &json!(3600), &json!("bearer"))
        );
        assert_eq!(read_with(&practice, text(&json, "/access_token")).await, 200);
    }
    let wrong = practice.send(client(&GOOD.replace("open", "shut"))).await;
    assert_eq!(status_and(&wrong, &wrong.json(), "/error"), (401, "invalid_client"));
    practice.assert_flawless();
    practice.sandbox.revoke_tokens("acme");
    assert_eq!(read_with(&practice, "practice-access-1").await, 401);
}

#[tokio::test]
async fn a_login_that_is_not_as_the_document_has_it_is_refused_and_noted() {
    let practice = practice(Api::Workiva, PracticeLogin::default()).await;
    let without_secret = "grant_type=client_credentials&client_id=me";
    let wrong = [
        client(GOOD).with("content-type", JSON),
        client(GOOD).at(&format!("/oauth2/token?{GOOD}")),
        client(&GOOD.replace("client_credentials", "password")),
        client(&format!("{GOOD}&client_id=me")),
        client(&format!("{GOOD}&state=1")),
        client(without_secret),
    ];
    for (number, call) in wrong.into_iter().enumerate() {
        let got = practice.send(call).await;
        assert_eq!(status_and(&got, &got.json(), "/error"), (400, "invalid_request"));
        assert_eq!(practice.violations().len(), number + 1);
    }
    let shut = client(&GOOD.replace("open", "shut"));
    practice.send(shut).await;
    let shut = client(&GOOD.replace("open", "shut"));
    practice.send(shut).await;
    practice.assert_last_violation("a secret that was refused before");
}

#[tokio::test]
async fn biot_locks_who_gives_wrong_secrets_and_says_for_how_long() {
    let login = PracticeLogin { locked_after: 2, ..PracticeLogin::default() };
    let practice = practice(Api::Biot, login).await;
    for secret in ["one", "two"] {
        let got = practice.send(user(secret)).await;
        assert_eq!(status_and(&got, &got.json(), "/code"), (403, "LOGIN_FAILED"));
    }
    let got = practice.send(user("open")).await;
    let json = got.json();
    assert_eq!(status_and(&got, &json, "/code"), (401, "USER_LOCKED_WITH_TIME"));
    assert_eq!(json.pointer("/details/timeLeftInMinutes"), Some(&json!(15)));
    practice.assert_flawless();
    let got = practice.send(service("open")).await;
    assert_eq!(status_and(&got, &got.json(), "/code"), (401, "SERVICE_LOCKED"));
    practice.assert_last_violation("after it was told that the account is locked");
}

#[tokio::test]
async fn biot_gives_services_and_users_tokens_of_which_the_latter_can_be_refreshed() {
    let practice = practice(Api::Biot, PracticeLogin::default()).await;
    let json = practice.send(service("open")).await.json();
    assert!(text(&json, "/accessTokenExpiration").ends_with('Z'));
    assert_eq!(read_with(&practice, text(&json, "/accessToken")).await, 200);
    let json = practice.send(user("open")).await.json();
    let refresh = |token: &str| {
        call("/ums/v2/users/token/refresh", JSON, &json!({ "refreshToken": token }).to_string())
    };
    let again = practice.send(refresh(text(&json, "/refreshJwt/token"))).await.json();
    let tokens = [text(&json, "/accessJwt/token"), text(&again, "/accessJwt/token")];
    assert_ne!(tokens[0], tokens[1]);
    for token in tokens {
        assert_eq!(read_with(&practice, token).await, 200);
    }
    let got = practice.send(refresh("made up")).await;
    assert_eq!(status_and(&got, &got.json(), "/code"), (403, "REFRESH_TOKEN_NOT_VALID"));
    practice.assert_flawless();
}

#[tokio::test]
async fn kare_gives_two_tokens_to_whoever_brings_one() {
    let practice = practice(Api::Kare, PracticeLogin::default()).await;
    let body = json!({ "email": "me", "password": "open" }).to_string();
    let login = || call("/auth/v1/rs/login/credentials", JSON, &body);
    assert_eq!(practice.send(login()).await.status, 401);
    let got = practice.send(login().with("authorization", "Bearer application")).await;
    let json = got.json();
    let bearer = format!("Bearer {}", status_and(&got, &json, "/data/accessToken").1);
    assert_eq!(got.status, 201);
    let session = text(&json, "/data/sessionToken");
    let call = practice.call_get(ann(Api::Kare)).with("authorization", &bearer);
    assert_eq!(practice.send(call).await.status, 401, "one of two");
    let call = practice.call_get(ann(Api::Kare)).with("authorization", &bearer);
    assert_eq!(practice.send(call.with("x-session-token", session)).await.status, 200);
}

#[tokio::test]
async fn a_token_is_taken_for_its_time_or_so_many_requests() {
    let short = PracticeLogin { lifetime: Duration::ZERO, ..PracticeLogin::default() };
    let practice = practice(Api::Biot, short).await;
    let json = practice.send(service("open")).await.json();
    assert_eq!(read_with(&practice, text(&json, "/accessToken")).await, 401);
    let twice = PracticeLogin { uses: Some(2), ..PracticeLogin::default() };
    let practice = self::practice(Api::Biot, twice).await;
    let json = practice.send(service("open")).await.json();
    for status in [200, 200, 401] {
        assert_eq!(read_with(&practice, text(&json, "/accessToken")).await, status);
    }
}

#[tokio::test]
async fn the_house_has_an_identity_provider_where_the_api_has_no_login() {
    let practice = practice(Api::Datadog, PracticeLogin::default()).await;
    let form = "grant_type=client_credentials&audience=us";
    // me:open
    let basic = client(form).with("authorization", "Basic bWU6b3Blbg==");
    let json = practice.send(basic).await.json();
    assert_eq!(read_with(&practice, text(&json, "/access_token")).await, 200);
    assert_eq!(practice.send(client(GOOD)).await.status, 200);
    practice.assert_flawless();
    let both = client(GOOD).with("authorization", "Basic bWU6b3Blbg==");
    assert_eq!(practice.send(both).await.status, 400);
    practice.assert_last_violation("says in two ways who it is");
}
