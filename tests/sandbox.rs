//! The practice servers answer as the documents say, break as asked, and see bad manners.

#![expect(clippy::unwrap_used, reason = "a failed step of a test ends it")]
#![expect(clippy::needless_pass_by_value, reason = "bodies are written where they are sent")]

#[path = "sandbox/logins.rs"]
mod logins;

use reqwest::{Method, header::HeaderMap};
use rosterd::{
    model::Rate,
    sandbox::{
        Api, CustomType, Department, Fault, Faults, Nested, QuotaStyle, RetryAfterForm, Sandbox,
        SandboxTenant, Tokens,
    },
};
use serde_json::{Value, json};
use std::{net::SocketAddr, time::Duration};

const ORG: &str = "aa7cf840-9ca9-46a3-9778-9015d6580d50";
const ANN: &str = "3fa85f64-5717-4562-b3fc-2c963f66afa6";
const BOB: &str = "4fa85f64-5717-4562-b3fc-2c963f66afa6";
const NOBODY: &str = "5fa85f64-5717-4562-b3fc-2c963f66afa6";
const SALES: &str = "d1a2b3c4-e5f6-7890-abcd-ef1234567890";
const RESEARCH: &str = "e2b3c4d5-f6a7-8901-bcde-f12345678901";

struct Practice {
    sandbox: Sandbox,
    client: reqwest::Client,
    api: Api,
}

#[derive(Debug)]
struct Got {
    status: u16,
    headers: HeaderMap,
    text: String,
}

impl Got {
    fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or(Value::Null)
    }
}

/// A request that every API takes, before a test spoils it.
struct Call {
    method: Method,
    path: String,
    headers: Vec<(&'static str, String)>,
    body: Option<String>,
}

impl Call {
    fn new(api: Api, method: Method, id: &str, body: Option<String>) -> Self {
        let path = match (api, &method) {
            (Api::Workiva, _) => format!("/organizations/{ORG}/users/{id}"),
            (Api::Biot, _) => format!("/organization/v1/users/organizations/{id}"),
            (Api::Scalepad, _) => format!("/clients/{ORG}/users/{id}"),
            (Api::Kare, &Method::GET) => format!("/users/v1/rs/{id}"),
            (Api::Kare, _) => format!("/users-organizations/v1/rs/users/{id}"),
            (Api::Datadog, _) => format!("/api/v2/scim/Users/{id}"),
            (Api::Scim, _) => format!("/Users/{id}"),
        };
        let mut headers =
            vec![("user-agent", "test".to_owned()), ("authorization", "Bearer secret".to_owned())];
        if body.is_some() {
            headers.push(("content-type", "application/json".to_owned()));
        }
        match api {
            Api::Workiva => headers.push(("x-version", "2026-01-01".to_owned())),
            Api::Kare => headers.push(("x-session-token", "session".to_owned())),
            Api::Biot | Api::Scalepad | Api::Datadog | Api::Scim => {}
        }
        Self { method, path, headers, body }
    }

    fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(header, _)| *header != name);
        self
    }

    fn with(self, name: &'static str, value: &str) -> Self {
        let mut call = self.without(name);
        call.headers.push((name, value.to_owned()));
        call
    }

    fn at(self, path: &str) -> Self {
        Self { path: path.to_owned(), ..self }
    }
}

impl Practice {
    async fn of(api: Api) -> Self {
        Self::with(tenant(api)).await
    }

    async fn with(tenant: SandboxTenant) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let api = tenant.api;
        let listen = SocketAddr::from(([127, 0, 0, 1], 0));
        let sandbox = Sandbox::start(listen, vec![tenant]).await.unwrap();
        let client = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .build()
            .unwrap();
        Self { sandbox, client, api }
    }

    fn builder(&self, call: Call) -> reqwest::RequestBuilder {
        let url = format!("{}{}", self.sandbox.base_url("acme"), call.path);
        let mut request = self.client.request(call.method, url);
        for (name, value) in call.headers {
            request = request.header(name, value);
        }
        match call.body {
            Some(body) => request.body(body),
            None => request,
        }
    }

    async fn try_send(&self, call: Call) -> reqwest::Result<Got> {
        let response = self.builder(call).send().await?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Ok(Got { status, headers, text: response.text().await? })
    }

    async fn send(&self, call: Call) -> Got {
        self.try_send(call).await.unwrap()
    }

    fn call_patch(&self, id: &str, body: &Value) -> Call {
        Call::new(self.api, Method::PATCH, id, Some(body.to_string()))
    }

    fn call_get(&self, id: &str) -> Call {
        Call::new(self.api, Method::GET, id, None)
    }

    async fn patch(&self, id: &str, body: Value) -> Got {
        self.send(self.call_patch(id, &body)).await
    }

    async fn get(&self, id: &str) -> Got {
        self.send(self.call_get(id)).await
    }

    fn account(&self, id: &str) -> Value {
        self.sandbox.account("acme", id).unwrap()
    }

    fn violations(&self) -> Vec<String> {
        self.sandbox.violations("acme")
    }

    #[track_caller]
    fn assert_flawless(&self) {
        assert_eq!(self.violations(), Vec::<String>::new());
    }

    #[track_caller]
    fn assert_last_violation(&self, part: &str) {
        let violations = self.violations();
        assert!(violations.last().is_some_and(|v| v.contains(part)), "{part}: {violations:?}");
    }

    /// Every body is refused with that status, changes nothing and counts as a violation.
    async fn assert_refused(&self, id: &str, status: u16, bodies: &[Value]) {
        let before = self.account(id);
        for (index, body) in bodies.iter().enumerate() {
            let got = self.patch(id, body.clone()).await;
            assert_eq!(got.status, status, "{body}: {got:?}");
            assert_eq!(self.account(id), before, "{body}");
            assert_eq!(self.violations().len(), index + 1, "{body}: {:?}", self.violations());
        }
    }
}

/// A tenant `acme` with Ann and Bob.
fn tenant(api: Api) -> SandboxTenant {
    let mut tenant = SandboxTenant::new("acme", api);
    tenant.scope_id = match api {
        Api::Workiva | Api::Scalepad => ORG.to_owned(),
        Api::Kare => "7".to_owned(),
        Api::Biot | Api::Datadog | Api::Scim => String::new(),
    };
    for (id, name) in [(ann(api), "Ann"), (bob(api), "Bob")] {
        tenant.accounts.insert(id.to_owned(), account(api, name));
    }
    for (id, name) in [(SALES, "Sales"), (RESEARCH, "Research")] {
        let department = Department { name: name.to_owned(), description: format!("{name}!") };
        tenant.departments.insert(id.to_owned(), department);
    }
    for (name, custom) in [
        ("badge", CustomType::Integer),
        ("shift", CustomType::SingleSelect(vec!["day".to_owned(), "night".to_owned()])),
        ("skills", CustomType::MultiSelect(Vec::new())),
        ("scan", CustomType::File),
    ] {
        tenant.custom_attributes.insert(name.to_owned(), custom);
    }
    tenant
}

fn ann(api: Api) -> &'static str {
    match api {
        Api::Workiva => "V1ZVd2Vy+ann",
        Api::Kare => "17",
        Api::Biot | Api::Scalepad | Api::Datadog | Api::Scim => ANN,
    }
}

fn bob(api: Api) -> &'static str {
    match api {
        Api::Workiva => "V1ZVd2Vy+bob",
        Api::Kare => "18",
        Api::Biot | Api::Scalepad | Api::Datadog | Api::Scim => BOB,
    }
}

fn nobody(api: Api) -> &'static str {
    if api == Api::Kare { "99" } else { NOBODY }
}

fn account(api: Api, name: &str) -> Value {
    let mail = format!("{name}@example.com");
    match api {
        Api::Workiva => json!({
            "givenName": name, "familyName": "Lee", "displayName": name,
            "username": mail, "email": mail,
            "modified": { "dateTime": "2021-07-14T08:03:02Z" },
        }),
        Api::Biot => json!({
            "_name": { "firstName": name, "lastName": "Lee" }, "_email": mail,
            "_address": { "countryCode": "US", "city": "Boston" },
            "_lastModifiedTime": "2021-07-14T08:03:02.000Z",
        }),
        Api::Scalepad => json!({
            "username": name, "user_key": name,
            "departments": [{ "id": SALES, "name": "Sales", "description": "Sales!" }],
            "updated_at": "2021-07-14T08:03:02.000Z",
        }),
        Api::Kare => json!({
            "firstName": name, "lastName": "Lee", "email": mail, "scope": 1,
            "profession": { "id": 3, "name": "Nurse" },
            "permissions": { "group": 1, "read": [1, 2], "manage": [1] },
            "updatedAt": "2021-07-14T08:03:02.000Z",
        }),
        Api::Datadog | Api::Scim => json!({
            "userName": mail, "title": "Clerk", "name": { "formatted": name },
            "emails": [{ "value": mail, "type": "work", "primary": true }],
            "meta": { "lastModified": "2021-07-14T08:03:02.000Z", "resourceType": "User" },
        }),
    }
}

/// The smallest body that changes something about Ann.
fn small_edit(api: Api) -> Value {
    match api {
        Api::Workiva => json!([{ "op": "replace", "path": "/displayName", "value": "Ann L." }]),
        Api::Biot => json!({ "_name": { "firstName": "Anna", "lastName": "Lee" } }),
        Api::Scalepad => json!({ "departments": [RESEARCH] }),
        Api::Kare => json!({ "lastName": "Li" }),
        Api::Datadog | Api::Scim => {
            scim(json!([{ "op": "replace", "path": "title", "value": "CEO" }]))
        }
    }
}

fn scim(operations: Value) -> Value {
    let schema = "urn:ietf:params:scim:api:messages:2.0:PatchOp";
    json!({ "schemas": [schema], "Operations": operations })
}

fn modified(api: Api, account: &Value) -> Value {
    match api {
        Api::Workiva => account["modified"]["dateTime"].clone(),
        Api::Biot => account["_lastModifiedTime"].clone(),
        Api::Scalepad => account["updated_at"].clone(),
        Api::Kare => account["updatedAt"].clone(),
        Api::Datadog | Api::Scim => account["meta"]["lastModified"].clone(),
    }
}

/// The word by which an API's error body says what happened.
fn error_word(api: Api, body: &Value) -> String {
    let word = match api {
        Api::Workiva | Api::Biot => &body["code"],
        Api::Scalepad => &body["error"]["code"],
        Api::Kare => &body["message"],
        Api::Datadog => &body["errors"][0],
        Api::Scim => &body["detail"],
    };
    word.as_str().unwrap_or_default().to_owned()
}

// What all five have in common.

#[tokio::test]
async fn a_minimal_client_changes_an_account_without_a_violation() {
    for api in Api::ALL {
        let practice = Practice::of(api).await;
        let before = practice.account(ann(api));
        let got = practice.patch(ann(api), small_edit(api)).await;
        assert_eq!(got.status, 200, "{api}: {got:?}");
        let after = practice.account(ann(api));
        assert_ne!(after, before, "{api}");
        assert_ne!(modified(api, &after), modified(api, &before), "{api}");
        let read = practice.get(ann(api)).await.json();
        assert_eq!(if api == Api::Kare { &read["data"] } else { &read }, &after, "{api}");
        practice.assert_flawless();
        let seen = practice.sandbox.requests("acme");
        assert_eq!((seen[0].method.as_str(), seen[0].status), ("PATCH", Some(200)), "{api}");
        assert_eq!(seen[0].user_id.as_deref(), Some(ann(api)), "{api}");
        assert!(seen[0].applied && !seen[1].applied, "{api}");
        assert_eq!((seen[0].operations, &seen[0].body), (1, &small_edit(api)), "{api}");
        practice.sandbox.clear_requests();
        assert!(practice.sandbox.requests("acme").is_empty());
    }
}

#[tokio::test]
async fn the_seen_names_are_the_attributes_that_the_body_sets() {
    for (api, names) in [
        (Api::Workiva, &["displayName"][..]),
        (Api::Biot, &["_name.firstName", "_name.lastName"]),
        (Api::Scalepad, &["departments"]),
        (Api::Kare, &["lastName"]),
        (Api::Datadog, &["title"]),
        (Api::Scim, &["title"]),
    ] {
        let practice = Practice::of(api).await;
        practice.patch(ann(api), small_edit(api)).await;
        assert_eq!(practice.sandbox.requests("acme")[0].names, names, "{api}");
    }
}

#[tokio::test]
async fn missing_and_wrong_tokens_are_refused_in_each_apis_own_words() {
    for (api, word) in [
        (Api::Workiva, "401Unauthorized"),
        (Api::Biot, "TOKEN_NOT_VALID"),
        (Api::Scalepad, "unauthorized"),
        (Api::Kare, "Unauthorized"),
        (Api::Datadog, "Unauthorized"),
        (Api::Scim, "Unauthorized"),
    ] {
        let mut exact = tenant(api);
        let tokens = [("authorization", "secret"), ("x-session-token", "session")];
        let tokens = tokens.map(|(header, token)| (header.to_owned(), token.to_owned()));
        exact.tokens = Tokens::Exact(tokens.into());
        let practice = Practice::with(exact).await;
        let get = || practice.call_get(ann(api));
        let mut calls = vec![
            get().without("authorization"),
            get().with("authorization", "Bearer other"),
            get().with("authorization", "Bearer "),
            get().with("authorization", "secret"),
        ];
        if api == Api::Kare {
            calls.push(get().without("x-session-token"));
            calls.push(get().with("x-session-token", "other"));
        }
        for call in calls {
            let got = practice.send(call).await;
            assert_eq!((got.status, error_word(api, &got.json())), (401, word.to_owned()));
        }
        assert_eq!(practice.get(ann(api)).await.status, 200, "{api}");
        practice.assert_flawless();
    }
}

#[tokio::test]
async fn an_unknown_user_is_missing_in_each_apis_own_words_and_no_fault_of_the_client() {
    for (api, word) in [
        (Api::Workiva, "404NotFound"),
        (Api::Biot, "USER_NOT_FOUND"),
        (Api::Scalepad, "not_found"),
        (Api::Kare, "user not found"),
        (Api::Datadog, "user not found"),
        (Api::Scim, "user not found"),
    ] {
        let practice = Practice::of(api).await;
        for got in
            [practice.get(nobody(api)).await, practice.patch(nobody(api), small_edit(api)).await]
        {
            assert_eq!((got.status, error_word(api, &got.json())), (404, word.to_owned()));
        }
        practice.assert_flawless();
    }
}

#[tokio::test]
async fn unknown_paths_and_methods_are_refused_and_count_as_violations() {
    for (api, path_status, method_status) in [
        (Api::Workiva, 404, 405),
        (Api::Biot, 404, 405),
        (Api::Scalepad, 404, 405),
        (Api::Kare, 403, 403),
        (Api::Datadog, 404, 405),
    ] {
        let practice = Practice::of(api).await;
        let got = practice.send(practice.call_get(ann(api)).at("/elsewhere")).await;
        assert_eq!(got.status, path_status, "{api}");
        assert!(!error_word(api, &got.json()).is_empty(), "{api}: {got:?}");
        practice.assert_last_violation("refused");
        for method in [Method::PUT, Method::POST, Method::DELETE] {
            let known = practice.violations().len();
            let got = practice.send(Call::new(api, method, ann(api), None)).await;
            assert_eq!(got.status, method_status, "{api}");
            assert!(practice.violations()[known].contains("only GET and PATCH"), "{api}");
        }
        let stranger = format!("http://{}/nobody/x", practice.sandbox.address());
        assert_eq!(practice.client.get(stranger).send().await.unwrap().status(), 404);
    }
    let kare = Practice::of(Api::Kare).await;
    let got = kare.send(kare.call_get("17").at("/users/v2/rs/17")).await;
    assert_eq!(got.json(), json!({ "message": "Missing Authentication Token" }));
}

#[tokio::test]
async fn only_application_json_without_parameters_is_taken() {
    for (api, status) in [
        (Api::Workiva, 400),
        (Api::Biot, 415),
        (Api::Scalepad, 400),
        (Api::Kare, 415),
        (Api::Datadog, 400),
        (Api::Scim, 415),
    ] {
        let practice = Practice::of(api).await;
        let patch = || practice.call_patch(ann(api), &small_edit(api));
        for call in [
            patch().without("content-type"),
            patch().with("content-type", "application/json; charset=utf-8"),
            patch().with("content-type", "application/json-patch+json"),
        ] {
            assert_eq!(practice.send(call).await.status, status, "{api}");
            practice.assert_last_violation("content type");
        }
    }
}

#[tokio::test]
async fn a_body_that_is_not_json_or_names_a_member_twice_is_refused() {
    for api in Api::ALL {
        let practice = Practice::of(api).await;
        for body in
            ["", "{", "{} {}", r#"{"a":1,"a":2}"#, "[{\"op\":\"x\",\"op\":\"y\"}]", "\"\\q\""]
        {
            let call = Call::new(api, Method::PATCH, ann(api), Some(body.to_owned()));
            assert_eq!(practice.send(call).await.status, 400, "{api} {body}");
            practice.assert_last_violation("not JSON");
        }
        assert_eq!(practice.patch(ann(api), json!("text")).await.status, 400, "{api}");
    }
}

#[tokio::test]
async fn what_says_nothing_new_is_answered_but_counts_as_a_violation() {
    for (api, body, name) in [
        (
            Api::Workiva,
            json!([{ "op": "replace", "path": "/givenName", "value": "Ann" }]),
            "givenName",
        ),
        (Api::Biot, json!({ "_name": { "firstName": "Ann", "lastName": "Lee" } }), "_name"),
        (Api::Scalepad, json!({ "departments": [SALES] }), "departments"),
        (Api::Kare, json!({ "professionId": 3, "lastName": "Li" }), "professionId"),
        (Api::Kare, json!({ "permissions": { "read": [2, 1] } }), "permissions"),
        (
            Api::Datadog,
            scim(json!([{ "op": "replace", "path": "name.formatted", "value": "Ann" }])),
            "name.formatted",
        ),
        (Api::Datadog, scim(json!([{ "op": "replace", "value": { "title": "Clerk" } }])), "title"),
    ] {
        let practice = Practice::of(api).await;
        let before = modified(api, &practice.account(ann(api)));
        assert_eq!(practice.patch(ann(api), body.clone()).await.status, 200, "{body}");
        practice.assert_last_violation(&format!("sets `{name}` to what it is already"));
        assert_eq!(practice.violations().len(), 1, "{body}");
        let untouched = modified(api, &practice.account(ann(api))) == before;
        assert_eq!(untouched, body.get("lastName").is_none() && name != "permissions", "{body}");
    }
}

#[tokio::test]
async fn an_empty_edit_and_a_missing_user_agent_count_as_violations() {
    for api in [Api::Biot, Api::Scalepad, Api::Kare] {
        let practice = Practice::of(api).await;
        assert_eq!(practice.patch(ann(api), json!({})).await.status, 200, "{api}");
        practice.assert_last_violation("without any edit");
        practice.send(practice.call_get(ann(api)).without("user-agent")).await;
        practice.assert_last_violation("User-Agent");
    }
}

// Each API's own rules.

#[tokio::test]
async fn workiva_takes_each_path_only_with_its_own_version() {
    let practice = Practice::of(Api::Workiva).await;
    let new = practice.call_get(ann(Api::Workiva)).path;
    let old = format!("/prototype/admin{new}");
    for (path, version, status) in [
        (&old, None, 200),
        (&old, Some("2022-01-01"), 200),
        (&old, Some("2026-01-01"), 400),
        (&new, Some("2026-01-01"), 200),
        (&new, Some("2022-01-01"), 400),
        (&new, None, 400),
    ] {
        let call = practice.call_get(ann(Api::Workiva)).at(path).without("x-version");
        let call = match version {
            Some(version) => call.with("x-version", version),
            None => call,
        };
        assert_eq!(practice.send(call).await.status, status, "{path} {version:?}");
    }
    assert_eq!(practice.violations().len(), 3);
}

#[tokio::test]
async fn workiva_refuses_everything_but_replace_on_five_paths() {
    let replace =
        |path: &str, value: Value| json!({ "op": "replace", "path": path, "value": value });
    let practice = Practice::of(Api::Workiva).await;
    let bodies = [
        json!([]),
        json!({}),
        json!(["x"]),
        json!([{ "op": "add", "path": "/email", "value": "a@example.com" }]),
        json!([{ "op": "test", "path": "/email", "value": "Ann@example.com" }]),
        json!([{ "op": "Replace", "path": "/givenName", "value": "A" }]),
        json!([{ "op": "remove", "path": "/email" }]),
        json!([{ "op": "replace", "path": "/givenName" }]),
        json!([{ "op": "replace", "path": "/givenName", "value": "A", "from": "/email" }]),
        json!([replace("givenName", json!("A"))]),
        json!([replace("/status", json!("suspended"))]),
        json!([replace("/id", json!("x"))]),
        json!([replace("/givenName", Value::Null)]),
        json!([replace("/givenName", json!(5))]),
        json!([replace("/email", json!("nobody"))]),
        json!([replace("/username", json!(""))]),
        json!([replace("/givenName", json!("A")), replace("/givenName", json!("B"))]),
        // One bad operation spoils the whole document.
        json!([replace("/givenName", json!("A")), replace("/status", json!("active"))]),
    ];
    practice.assert_refused(ann(Api::Workiva), 400, &bodies).await;
}

#[tokio::test]
async fn workiva_answers_a_taken_user_name_with_a_conflict() {
    let practice = Practice::of(Api::Workiva).await;
    let body = json!([{ "op": "replace", "path": "/username", "value": "BOB@example.com" }]);
    let got = practice.patch(ann(Api::Workiva), body).await;
    assert_eq!((got.status, got.json()["code"].as_str()), (409, Some("409Conflict")));
    practice.assert_flawless();
}

#[tokio::test]
async fn workiva_ids_are_opaque_and_may_be_percent_encoded() {
    let practice = Practice::of(Api::Workiva).await;
    let got = practice.get("V1ZVd2Vy%2Bann").await;
    assert_eq!((got.status, &got.json()["id"]), (200, &json!("V1ZVd2Vy+ann")));
    let elsewhere = format!("/organizations/{NOBODY}/users/V1ZVd2Vy+ann");
    assert_eq!(practice.send(practice.call_get("").at(&elsewhere)).await.status, 404);
    practice.assert_flawless();
}

#[tokio::test]
async fn biot_wants_documented_shapes_and_the_mandatory_members() {
    let name = |first: Value| json!({ "_name": { "firstName": first, "lastName": "Lee" } });
    let practice = Practice::of(Api::Biot).await;
    let bodies = [
        json!([]),
        json!({ "_name": null }),
        json!({ "_name": { "firstName": "Anna" } }),
        name(json!(5)),
        json!({ "_name": { "firstName": "Anna", "lastName": "Lee", "middleName": "X" } }),
        json!({ "_address": { "city": "Rome" } }),
        json!({ "_address": { "countryCode": null } }),
        json!({ "_address": { "countryCode": "us" } }),
        json!({ "_address": { "countryCode": "XX" } }),
        json!({ "_mfa": { "expirationInMinutes": 5 } }),
        json!({ "_mfa": { "enabled": "true" } }),
        json!({ "_mfa": { "enabled": true, "expirationInMinutes": 0 } }),
        json!({ "_mfa": { "enabled": true, "expirationInMinutes": 1441 } }),
        json!({ "_mfa": { "enabled": true, "expirationInMinutes": 1.5 } }),
        json!({ "_description": "x".repeat(5001) }),
        json!({ "_email": "no address" }),
        json!({ "_email": "a..b@example.com" }),
        json!({ "_phone": "0123456789" }),
        json!({ "_phone": "+1 234 567" }),
        json!({ "_locale": "en-US" }),
        json!({ "_locale": "en" }),
        json!({ "_gender": "female" }),
        json!({ "_dateOfBirth": "2007-02-30" }),
        json!({ "_dateOfBirth": "20071220" }),
        json!({ "_ownerOrganization": { "id": "x" } }),
        json!({ "_ownerOrganization": null }),
        json!({ "_employeeId": 5 }),
        json!({ "_id": NOBODY }),
        json!({ "_enabled": "DISABLED" }),
        json!({ "unheardOf": "x" }),
        json!({ "badge": "5" }),
        json!({ "skills": "rust" }),
        json!({ "skills": ["rust", "rust"] }),
        json!({ "scan": "x" }),
    ];
    practice.assert_refused(ANN, 400, &bodies).await;
}

#[tokio::test]
async fn biot_names_what_is_wrong_by_code() {
    let practice = Practice::of(Api::Biot).await;
    for (body, status, code) in [
        (json!({ "_address": { "countryCode": null } }), 400, "COUNTRY_CODE_CANNOT_BE_NULL"),
        (json!({ "_ownerOrganization": null }), 400, "OWNER_ORGANIZATION_CANNOT_BE_NULL"),
        (json!({ "_name": { "lastName": "Lee" } }), 400, "ATTRIBUTE_IS_MANDATORY"),
        (json!({ "_locale": "xx" }), 400, "VALIDATION_LOCALE_NOT_VALID"),
        (json!({ "unheardOf": 1 }), 400, "ATTRIBUTE_NOT_VALID_FOR_TEMPLATE"),
        (json!({ "shift": "noon" }), 400, "SELECT_ATTRIBUTE_INVALID_VALUE"),
        (json!({ "_email": "bob@example.com" }), 409, "EMAIL_ALREADY_EXIST"),
    ] {
        let got = practice.patch(ANN, body.clone()).await;
        assert_eq!((got.status, got.json()["code"].as_str()), (status, Some(code)), "{body}");
    }
    assert_eq!(practice.violations().len(), 5, "the last two depend on the customer's own data");
}

#[tokio::test]
async fn biot_takes_every_documented_attribute_and_shows_the_whole_user() {
    let practice = Practice::of(Api::Biot).await;
    let body = json!({
        "_name": { "firstName": "Anna", "lastName": "Lee" },
        "_description": "x".repeat(5000),
        "_email": "anna@example.com",
        "_phone": "+12345678901",
        "_locale": "en-us",
        "_gender": "FEMALE",
        "_dateOfBirth": "2007-12-20",
        "_employeeId": "4711",
        "_address": {
            "countryCode": "US", "state": "Massachusetts", "city": "Boston", "zipCode": "02101",
            "address1": "11 Main St.", "address2": "Entry B, Apartment 1",
        },
        "_mfa": { "enabled": true, "expirationInMinutes": 1440 },
        "_ownerOrganization": { "id": ORG },
        "badge": 5, "shift": "day", "skills": ["rust", "tea"],
    });
    let got = practice.patch(ANN, body.clone()).await;
    let shown = got.json();
    for (name, value) in body.as_object().unwrap() {
        assert_eq!(&shown[name], value, "{name}");
    }
    assert_eq!((&shown["_id"], &shown["_enabled"]), (&json!(ANN), &json!("ENABLED")));
    practice.assert_flawless();
    let query = format!("/organization/v1/users/organizations/{ANN}?includeReferencers=false");
    assert_eq!(practice.send(practice.call_get(ANN).at(&query)).await.status, 200);
}

#[tokio::test]
async fn members_that_a_nested_object_leaves_out_are_lost_unless_merging_is_asked_for() {
    let body = json!({ "_address": { "countryCode": "CA" } });
    for (nested, address) in [
        (Nested::Replace, json!({ "countryCode": "CA" })),
        (Nested::Merge, json!({ "countryCode": "CA", "city": "Boston" })),
    ] {
        let practice = Practice::with(SandboxTenant { nested, ..tenant(Api::Biot) }).await;
        practice.patch(ANN, body.clone()).await;
        assert_eq!(practice.account(ANN)["_address"], address, "{nested:?}");
        practice.assert_flawless();
    }
}

#[tokio::test]
async fn scalepad_shows_departments_whole_and_replaces_the_list() {
    let practice = Practice::of(Api::Scalepad).await;
    let got = practice.patch(ANN, json!({ "departments": [RESEARCH, SALES] })).await;
    let research = json!({ "id": RESEARCH, "name": "Research", "description": "Research!" });
    assert!(got.json()["departments"].as_array().unwrap().contains(&research));
    let got = practice.patch(ANN, json!({ "departments": [] })).await;
    assert_eq!(got.json()["departments"], json!([]));
    practice.assert_flawless();
    practice.patch(ANN, json!({ "departments": [SALES, SALES] })).await;
    practice.assert_last_violation("twice");
}

#[tokio::test]
async fn scalepad_refuses_malformed_and_immutable_members() {
    let practice = Practice::of(Api::Scalepad).await;
    let bodies = [
        json!([]),
        json!({ "departments": null }),
        json!({ "departments": SALES }),
        json!({ "departments": ["Sales"] }),
        json!({ "departments": [{ "id": SALES }] }),
        json!({ "username": "ann2" }),
        json!({ "id": BOB }),
        json!({ "user_key": "x" }),
        json!({ "last_activity": { "at": "2026-02-24T21:23:53.082Z" } }),
        json!({ "created_at": "2026-02-05T21:29:34.214Z" }),
        json!({ "teams": [] }),
    ];
    practice.assert_refused(ANN, 400, &bodies).await;
}

#[tokio::test]
async fn scalepad_names_the_departments_that_do_not_exist() {
    let practice = Practice::of(Api::Scalepad).await;
    let got = practice.patch(ANN, json!({ "departments": [SALES, NOBODY] })).await;
    assert_eq!(got.status, 404);
    assert_eq!(got.json()["error"]["details"], json!({ "invalid_department_ids": [NOBODY] }));
    let elsewhere = format!("/clients/{NOBODY}/users/{ANN}");
    let got = practice.send(practice.call_get(ANN).at(&elsewhere)).await;
    assert_eq!((got.status, &got.json()["error"]["details"]), (404, &Value::Null));
    practice.assert_flawless();
    assert_eq!(practice.get("ann").await.status, 400, "the path wants UUIDs");
}

#[tokio::test]
async fn kare_shows_the_membership_but_no_names() {
    let practice = Practice::of(Api::Kare).await;
    let body = json!({
        "firstName": "Anna", "professionId": -9, "scope": 2,
        "permissions": { "group": 2, "read": [], "manage": [4] },
    });
    let shown = practice.patch("17", body.clone()).await.json()["data"].clone();
    let names: Vec<_> = shown.as_object().unwrap().keys().cloned().collect();
    assert_eq!(
        names,
        ["createdAt", "deletedAt", "organizationId", "permissions", "scope", "updatedAt", "userId"]
    );
    assert_eq!((&shown["userId"], &shown["organizationId"]), (&json!(17), &json!(7)));
    assert_eq!(shown["permissions"], body["permissions"]);
    let read = practice.get("17").await.json()["data"].clone();
    assert_eq!((&read["firstName"], &read["profession"]["id"]), (&json!("Anna"), &json!(-9)));
    practice.assert_flawless();
}

#[tokio::test]
async fn kare_refuses_what_its_document_excludes() {
    let practice = Practice::of(Api::Kare).await;
    let bodies = [
        json!([]),
        json!({ "firstName": "ä".repeat(251) }),
        json!({ "lastName": null }),
        json!({ "professionId": "1" }),
        json!({ "professionId": 1.5 }),
        json!({ "professionId": 9_007_199_254_740_992_i64 }),
        json!({ "scope": 3 }),
        json!({ "scope": "1" }),
        json!({ "permissions": [] }),
        json!({ "permissions": { "group": "1" } }),
        json!({ "permissions": { "read": [1.5] } }),
        json!({ "permissions": { "delete": [1] } }),
        json!({ "deletedAt": null }),
        json!({ "email": "x@example.com" }),
    ];
    practice.assert_refused("17", 400, &bodies).await;
    let longest = json!({ "firstName": "ä".repeat(250) });
    assert_eq!(practice.patch("17", longest).await.status, 200);
}

#[tokio::test]
async fn kare_ids_are_whole_numbers_and_me_is_never_asked_for() {
    let practice = Practice::of(Api::Kare).await;
    for (id, status) in [("x", 400), ("017", 400), ("9007199254740992", 400), ("me", 404)] {
        assert_eq!(practice.patch(id, json!({ "lastName": "Li" })).await.status, status, "{id}");
        practice.assert_last_violation("refused");
    }
}

#[tokio::test]
async fn datadog_takes_both_documented_forms() {
    let practice = Practice::of(Api::Datadog).await;
    let body = scim(json!([
        { "op": "replace", "path": "title", "value": "CEO" },
        { "op": "replace", "value": { "name": { "formatted": "John Doe" }, "active": false } },
        { "op": "add", "path": "emails[type eq \"work\"].value", "value": "john@example.com" },
    ]));
    let shown = practice.patch(ANN, body).await.json();
    assert_eq!((&shown["title"], &shown["active"]), (&json!("CEO"), &json!(false)));
    assert_eq!(shown["name"], json!({ "formatted": "John Doe" }));
    let emails = json!([{ "value": "john@example.com", "type": "work", "primary": true }]);
    assert_eq!(shown["emails"], emails);
    assert_eq!(shown["meta"]["resourceType"], "User");
    practice.assert_flawless();
    let names = &practice.sandbox.requests("acme")[0].names;
    assert_eq!(names[..3], ["title", "active", "name.formatted"]);
}

#[tokio::test]
async fn datadog_refuses_other_operations_attributes_and_types() {
    let replace =
        |path: &str, value: Value| scim(json!([{ "op": "replace", "path": path, "value": value }]));
    let pathless = |value: Value| scim(json!([{ "op": "replace", "value": value }]));
    let practice = Practice::of(Api::Datadog).await;
    let good = json!([{ "op": "replace", "path": "title", "value": "CEO" }]);
    let bodies = [
        scim(json!([])),
        json!({ "Operations": good }),
        json!({ "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "Operations": good }),
        json!({ "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"], "operations": good }),
        scim(json!([{ "op": "remove", "path": "title" }])),
        scim(json!([{ "op": "Replace", "path": "title", "value": "CEO" }])),
        scim(json!([{ "op": "replace", "path": "title" }])),
        scim(json!([{ "op": "replace", "path": 5, "value": "CEO" }])),
        scim(json!([{ "op": "replace", "path": "title", "value": "CEO", "from": "x" }])),
        replace("title", Value::Null),
        replace("active", json!("false")),
        replace("active", json!("False")),
        replace("name.givenName", json!("John")),
        replace("name", json!("John")),
        replace("id", json!(BOB)),
        replace("meta", json!({})),
        replace("roles", json!([])),
        replace("externalId", json!("x")),
        replace("userName", json!("")),
        replace("emails", json!([{ "value": "a@example.com", "type": "home" }])),
        replace("emails", json!({ "value": "a@example.com" })),
        replace("emails[type eq \"home\"].value", json!("a@example.com")),
        replace("emails[type eq \"work\"].value", json!("nobody")),
        pathless(json!("CEO")),
        pathless(json!({ "name.formatted": "John" })),
        pathless(json!({ "displayName": "John" })),
    ];
    practice.assert_refused(ANN, 400, &bodies).await;
    let got = practice.patch(ANN, scim(json!([]))).await;
    assert!(got.json()["errors"][0].is_string());
}

#[tokio::test]
async fn datadog_finds_no_target_without_a_work_address() {
    let practice = Practice::of(Api::Datadog).await;
    practice.sandbox.set_account("acme", ANN, json!({ "userName": "ann" }));
    let path = "emails[type eq \"work\"].value";
    let body = scim(json!([{ "op": "replace", "path": path, "value": "a@example.com" }]));
    assert_eq!(practice.patch(ANN, body).await.status, 400);
    let body = scim(json!([{ "op": "replace", "path": "name.formatted", "value": "Ann" }]));
    assert_eq!(practice.patch(ANN, body).await.json()["name"], json!({ "formatted": "Ann" }));
}

#[tokio::test]
async fn datadog_appending_or_setting_twice_counts_as_a_violation() {
    let practice = Practice::of(Api::Datadog).await;
    let email = json!([{ "value": "second@example.com", "type": "work", "primary": false }]);
    let body = scim(json!([{ "op": "add", "path": "emails", "value": email }]));
    let shown = practice.patch(ANN, body).await.json();
    assert_eq!(shown["emails"].as_array().unwrap().len(), 2);
    practice.assert_last_violation("appends");
    let body = scim(json!([
        { "op": "replace", "path": "title", "value": "CEO" },
        { "op": "replace", "value": { "title": "CTO" } },
    ]));
    assert_eq!(practice.patch(ANN, body).await.json()["title"], "CTO");
    practice.assert_last_violation("twice");
}

// Quota and manners.

#[tokio::test]
async fn the_quota_is_kept_and_explained_in_each_apis_own_words() {
    for (api, word) in [
        (Api::Workiva, "429TooManyRequests"),
        (Api::Biot, "TOO_MANY_REQUESTS"),
        (Api::Scalepad, "rate_limited"),
        (Api::Kare, "Too many requests"),
        (Api::Datadog, "Rate limit of 2 requests in 3600 seconds reached. Please try again later."),
    ] {
        let quota = Rate::parse("2/h").ok();
        let quota_style = QuotaStyle::Sliding;
        let practice = Practice::with(SandboxTenant { quota, quota_style, ..tenant(api) }).await;
        let first = practice.get(ann(api)).await;
        practice.get(bob(api)).await;
        practice.assert_flawless();
        let before = practice.account(ann(api));
        let got = practice.patch(ann(api), small_edit(api)).await;
        assert_eq!((got.status, error_word(api, &got.json())), (429, word.to_owned()));
        let wait: u64 = got.headers["retry-after"].to_str().unwrap().parse().unwrap();
        assert!((3500..=3600).contains(&wait), "{wait}");
        practice.assert_last_violation("above the quota");
        assert_eq!(practice.account(ann(api)), before, "{api}");
        assert!(!practice.sandbox.requests("acme")[2].applied);
        let remaining = |got: &Got| got.headers.get("x-ratelimit-remaining").cloned();
        if api == Api::Datadog {
            assert_eq!(
                (remaining(&first).unwrap(), remaining(&got).unwrap()),
                ("1".parse().unwrap(), "0".parse().unwrap())
            );
            assert_eq!(got.headers["x-ratelimit-limit"], "2");
            assert_eq!(got.headers["x-ratelimit-period"], "3600");
        } else {
            assert_eq!(remaining(&first), None);
        }
    }
}

/// Lets time pass for the server and the client alike.
async fn pass(time: Duration) {
    tokio::time::pause();
    tokio::time::advance(time).await;
    tokio::time::resume();
}

#[tokio::test]
async fn a_request_before_the_time_that_retry_after_named_is_a_violation() {
    for form in [
        RetryAfterForm::Seconds(30),
        RetryAfterForm::ImfFixdate(30),
        RetryAfterForm::Rfc850(30),
        RetryAfterForm::Asctime(30),
    ] {
        let practice = Practice::of(Api::Kare).await;
        let fault = Fault::Throttle { retry_after: form };
        practice.sandbox.set_faults("acme", Faults::script([(1, fault)]));
        let got = practice.get("17").await;
        assert_eq!(got.status, 429);
        let header = got.headers["retry-after"].to_str().unwrap();
        assert_eq!(header.ends_with("GMT"), header.contains(','), "{header}");
        practice.get("17").await;
        assert_eq!(practice.violations().len(), 1, "{form:?}: the same user at once");
        practice.assert_last_violation("Retry-After");
        pass(Duration::from_secs(20)).await;
        practice.get("18").await;
        assert_eq!(practice.violations().len(), 2, "{form:?}: another user too early");
        pass(Duration::from_secs(10)).await;
        practice.get("17").await;
        assert_eq!(practice.violations().len(), 2, "{form:?}: in time");
    }
}

#[tokio::test]
async fn a_request_that_was_on_the_way_when_another_was_turned_away_is_no_violation() {
    let practice = Practice::of(Api::Kare).await;
    let fault = Fault::Throttle { retry_after: RetryAfterForm::Seconds(30) };
    practice.sandbox.set_faults("acme", Faults::script([(1, fault)]));
    let (throttled, other) = tokio::join!(practice.get("17"), practice.get("18"));
    assert_eq!(throttled.status + other.status, 629);
    practice.assert_flawless();
}

#[tokio::test]
async fn an_invalid_or_absent_retry_after_bans_nobody() {
    let practice = Practice::of(Api::Workiva).await;
    let forms =
        [RetryAfterForm::None, RetryAfterForm::Invalid("１２"), RetryAfterForm::Invalid("-1")];
    let faults = forms.map(|retry_after| Fault::Unavailable { retry_after });
    practice.sandbox.set_faults("acme", Faults::script((1..).zip(faults)));
    for header in [None, Some("１２"), Some("-1")] {
        let got = practice.get(ann(Api::Workiva)).await;
        assert_eq!(got.status, 503);
        assert_eq!(got.json()["code"], "503ServiceUnavailable");
        let sent = got.headers.get("retry-after").map(reqwest::header::HeaderValue::as_bytes);
        assert_eq!(sent, header.map(str::as_bytes));
        pass(Duration::from_secs(1)).await;
    }
    practice.assert_flawless();
}

#[tokio::test]
async fn two_requests_in_flight_for_one_user_are_a_violation_and_an_abandoned_one_is_not() {
    let practice = Practice::of(Api::Biot).await;
    let slow = Fault::Slow(Duration::from_hours(1));
    practice.sandbox.set_faults("acme", Faults::script([(1, slow)]));
    let first = practice.builder(practice.call_patch(ANN, &small_edit(Api::Biot))).send();
    let first = tokio::spawn(first);
    while practice.sandbox.requests("acme").is_empty() {
        tokio::task::yield_now().await;
    }
    assert_eq!(practice.account(ANN)["_name"]["firstName"], "Anna", "slow, but applied at once");
    practice.get(BOB).await;
    practice.assert_flawless();
    practice.get(ANN).await;
    practice.assert_last_violation("in flight");
    first.abort();
    loop {
        let known = practice.violations().len();
        practice.get(ANN).await;
        if practice.violations().len() == known {
            break;
        }
    }
}

// Faults.

/// What the client sees of one PATCH under a fault: the status, or `None` without a whole answer;
/// and whether the account changed.
async fn under(practice: &Practice, fault: Fault) -> (Option<Got>, bool) {
    let api = practice.api;
    practice.sandbox.set_account("acme", ann(api), account(api, "Ann"));
    practice.sandbox.set_faults("acme", Faults::script([(1, fault)]));
    let before = practice.account(ann(api));
    let got = practice.try_send(practice.call_patch(ann(api), &small_edit(api))).await.ok();
    let changed = practice.account(ann(api)) != before;
    let seen = practice.sandbox.requests("acme").pop().unwrap();
    assert_eq!(seen.applied, changed);
    (got, changed)
}

#[tokio::test]
async fn each_fault_does_to_answer_and_account_what_it_says() {
    let retry_after = RetryAfterForm::None;
    for api in Api::ALL {
        let practice = Practice::of(api).await;
        for (fault, status, applied) in [
            (Fault::Throttle { retry_after }, Some(429), false),
            (Fault::Unavailable { retry_after }, Some(503), false),
            (Fault::LostAnswer, None, true),
            (Fault::LostRequest, None, false),
            (Fault::Slow(Duration::from_millis(1)), Some(200), true),
            (Fault::Error500Applied, Some(500), true),
            (Fault::Error500NotApplied, Some(500), false),
            (Fault::Error504Applied, Some(504), true),
            (Fault::Error504NotApplied, Some(504), false),
            (Fault::Error502Html, Some(502), false),
            (Fault::CutBody, None, true),
            (Fault::EmptyBody, Some(200), true),
            (Fault::OtherUser, Some(200), true),
            (Fault::Ignored, Some(200), false),
            (Fault::Redirect, Some(307), false),
            (Fault::Unauthorized, Some(401), false),
            (Fault::Forbidden, Some(403), false),
            (Fault::Conflict, Some(409), false),
        ] {
            let (got, changed) = under(&practice, fault.clone()).await;
            let seen = got.as_ref().map(|got| got.status);
            assert_eq!((seen, changed), (status, applied), "{api} {fault:?}: {got:?}");
        }
        practice.assert_flawless();
    }
}

#[tokio::test]
async fn a_lost_answer_leaves_not_a_byte_and_a_cut_one_half_a_body() {
    let practice = Practice::of(Api::Workiva).await;
    practice
        .sandbox
        .set_faults("acme", Faults::script([(1, Fault::LostAnswer), (3, Fault::CutBody)]));
    let call = || practice.builder(practice.call_get(ann(Api::Workiva))).send();
    assert!(call().await.is_err());
    assert_eq!(practice.sandbox.requests("acme")[0].status, None);
    let whole = call().await.unwrap().text().await.unwrap();
    let mut cut = call().await.unwrap();
    assert_eq!(cut.status(), 200);
    assert_eq!(cut.content_length(), Some(whole.len() as u64));
    let mut bytes = Vec::new();
    let error = loop {
        match cut.chunk().await {
            Ok(chunk) => bytes.extend_from_slice(&chunk.expect("the body must not seem whole")),
            Err(error) => break error,
        }
    };
    assert!(error.is_body() || error.is_decode(), "{error:?}");
    assert_eq!(bytes, whole.as_bytes()[..whole.len() / 2]);
    assert_eq!(call().await.unwrap().status(), 200, "the next connection is sound");
}

#[tokio::test]
async fn the_answer_under_other_user_names_someone_else() {
    for api in Api::ALL {
        let practice = Practice::of(api).await;
        let (got, _) = under(&practice, Fault::OtherUser).await;
        let got = got.unwrap();
        assert!(!got.text.contains(&format!("\"{}\"", ann(api))), "{api}: {got:?}");
        assert_ne!(got.json()["data"]["userId"], 17, "{api}");
    }
}

#[tokio::test]
async fn a_late_effect_comes_after_the_connection_was_lost() {
    let practice = Practice::of(Api::Scalepad).await;
    let late = Fault::LateEffect(Duration::from_mins(1));
    practice.sandbox.set_faults("acme", Faults::script([(1, late)]));
    let call = practice.call_patch(ANN, &small_edit(Api::Scalepad));
    assert!(practice.try_send(call).await.is_err());
    assert_eq!(practice.get(ANN).await.json()["departments"][0]["id"], SALES);
    pass(Duration::from_secs(61)).await;
    while practice.account(ANN)["departments"][0]["id"] != RESEARCH {
        tokio::task::yield_now().await;
    }
    let again = practice.patch(ANN, small_edit(Api::Scalepad)).await;
    assert_eq!(again.status, 200);
    practice.assert_flawless();
}

#[tokio::test]
async fn sending_again_what_is_in_doubt_is_no_violation_until_a_read_has_settled_it() {
    let lost_then = |second| [(1, Fault::Error500Applied), (2, second)];
    let slow = Fault::Slow(Duration::ZERO);
    for (faults, reads, violations) in [
        (Faults::script([(1, Fault::Error500Applied)]), 0, 0),
        (Faults::script([(1, Fault::Error500Applied)]), 1, 1),
        (Faults::script(lost_then(Fault::LostAnswer)), 1, 0),
        (Faults::script(lost_then(slow)), 2, 1),
    ] {
        let practice = Practice::of(Api::Datadog).await;
        practice.sandbox.set_faults("acme", faults);
        practice.patch(ANN, small_edit(Api::Datadog)).await;
        for _ in 0..reads {
            let _ = practice.try_send(practice.call_get(ANN)).await;
        }
        assert_eq!(practice.patch(ANN, small_edit(Api::Datadog)).await.status, 200);
        assert_eq!(practice.violations().len(), violations, "{reads} reads");
    }
}

#[tokio::test]
async fn a_client_that_follows_a_redirect_is_noticed() {
    let practice = Practice::of(Api::Biot).await;
    practice.sandbox.set_faults("acme", Faults::script([(1, Fault::Redirect)]));
    let got = practice.get(ANN).await;
    let location = got.headers["location"].to_str().unwrap();
    let path = location.strip_prefix("/acme").unwrap();
    practice.assert_flawless();
    assert_eq!(practice.send(practice.call_get(ANN).at(path)).await.status, 404);
    practice.assert_last_violation("refused with 404");
}

// The sandbox itself.

#[tokio::test]
async fn tenants_stand_side_by_side_and_stopping_closes_every_connection() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let tenants = Api::ALL.map(|api| SandboxTenant { name: api.to_string(), ..tenant(api) });
    let listen = SocketAddr::from(([127, 0, 0, 1], 0));
    let sandbox = Sandbox::start(listen, tenants.into()).await.unwrap();
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let urls = Api::ALL.map(|api| {
        let path = Call::new(api, Method::GET, ann(api), None).path;
        format!("{}{path}", sandbox.base_url(api.name()))
    });
    for (api, url) in Api::ALL.iter().zip(&urls) {
        assert_eq!(client.get(url).send().await.unwrap().status().as_u16() / 100, 4, "{api}");
        assert_eq!(sandbox.requests(api.name()).len(), 1, "{api}");
    }
    sandbox.stop().await;
    for url in &urls {
        assert!(client.get(url).send().await.is_err());
    }
}

#[tokio::test]
async fn what_cannot_be_served_is_refused_at_the_start() {
    let with_account = |api, id: &str, account: Value| {
        let mut tenant = SandboxTenant::new("acme", api);
        tenant.accounts.insert(id.to_owned(), account);
        vec![tenant]
    };
    let acme = || SandboxTenant::new("acme", Api::Biot);
    for (tenants, part) in [
        (vec![SandboxTenant::new("a/b", Api::Biot)], "`a/b`"),
        (vec![SandboxTenant::new("", Api::Biot)], "name"),
        (vec![acme(), acme()], "two tenants"),
        (with_account(Api::Biot, "17", json!({})), "UUID"),
        (with_account(Api::Kare, "me", json!({})), "whole number"),
        (with_account(Api::Workiva, "x", json!([])), "object"),
    ] {
        let listen = SocketAddr::from(([127, 0, 0, 1], 0));
        let error = Sandbox::start(listen, tenants).await.unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput);
        assert!(error.to_string().contains(part), "{error}");
    }
    let everywhere = SocketAddr::from(([0, 0, 0, 0], 0));
    assert!(Sandbox::start(everywhere, Vec::new()).await.is_err());
}

#[test]
fn practice_apis_are_called_like_their_dialects() {
    for api in Api::ALL {
        assert_eq!(api.name().parse(), Ok(api));
    }
    assert!("okta".parse::<Api>().is_err());
    assert_eq!("SINGLE_SELECT".parse(), Ok(CustomType::SingleSelect(Vec::new())));
}
