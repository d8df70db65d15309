//! Where the secret of a login goes, and the token that it gives: each to its own address.

use crate::{
    stage::{Stage, TOKEN, rehearsal},
    target::{Target, Thief, answer, not_found},
};

const GIVEN: &str = "canary-9b1e-given";

/// A tenant at that API, with a login at that address.
fn logging_in(api: &Target, token_url: &str) -> Stage {
    let tenant = rehearsal("acme", &format!("http://127.0.0.1:{}", api.port()));
    let credentials = "[tenants.acme.credentials]\ntoken_file = \"acme-token\"\n";
    let login = format!(
        "[tenants.acme.login]\ntype = \"client_credentials\"\nclient_id = \"rosterd\"\n\
         client_auth = \"post\"\nclient_secret_file = \"acme-token\"\ntoken_url = \"{token_url}\"\n"
    );
    assert!(tenant.contains(credentials));
    Stage::new(&[("acme", tenant.replace(credentials, &login))])
}

fn url_of(target: &Target) -> String {
    format!("http://127.0.0.1:{}/token", target.port())
}

fn gives_tokens(_: &str) -> String {
    let body = format!(r#"{{"access_token":"{GIVEN}","token_type":"Bearer","expires_in":600}}"#);
    answer("200 OK", "", &body)
}

#[test]
fn g03_inv13_the_secret_goes_to_the_login_alone_and_the_token_to_the_api_alone() {
    let (login, api) = (Target::plain(gives_tokens), Target::plain(not_found));
    let stage = logging_in(&api, &url_of(&login));
    let ended = stage.run(&["run"]);
    let (asked, sent) = (login.requests(), api.requests());
    assert_eq!((asked.len(), sent.is_empty()), (1, false), "{}", ended.text);
    assert!(asked[0].starts_with("POST /token ") && asked[0].contains(TOKEN));
    assert!(asked.iter().all(|request| !request.contains(GIVEN)));
    for request in &sent {
        assert!(request.contains(&format!("Bearer {GIVEN}")) && !request.contains(TOKEN));
    }
    assert!(!ended.text.contains("canary"), "{}", ended.text);
}

#[test]
fn g03_g04_a_redirect_of_a_login_is_not_followed() {
    for status in ["301 Moved", "302 Found", "303 See Other", "307 Temporary", "308 Permanent"] {
        let thief = Thief::on("127.0.0.1:0");
        let location = format!("location: http://127.0.0.1:{}/token\r\n", thief.port());
        let login = Target::plain(move |_| answer(status, &location, "{}"));
        let api = Target::plain(not_found);
        let stage = logging_in(&api, &url_of(&login));
        assert_eq!(stage.run(&["run"]).code, 1, "{status}");
        // In quarantine by now, and its probe is not due.
        assert_eq!(stage.run(&["run"]).code, 5, "{status}");
        assert!(!thief.was_visited(), "{status}");
        assert_eq!(login.requests().len(), 1, "{status}: a refused login is left alone");
        assert!(api.requests().is_empty(), "{status}");
    }
}

#[test]
fn d10_check_tells_who_logs_in_where_and_calls_nobody() {
    let (login, api) = (Target::plain(gives_tokens), Target::plain(not_found));
    let stage = logging_in(&api, &url_of(&login));
    let told = stage.run(&["check"]);
    let line = format!("logs in as `rosterd` (client_credentials) at {}", url_of(&login));
    assert!(told.code == 0 && told.text.contains(&line), "{}", told.text);
    stage.write("acme-token", "", 0o600);
    let told = stage.run(&["check"]);
    assert_eq!(told.code, 78);
    assert!(told.text.contains("`tenants.acme.login.client_secret`: is empty"), "{}", told.text);
    assert!(login.requests().is_empty() && api.requests().is_empty());
}

#[test]
fn g24_a_secret_of_a_login_that_was_changed_is_read_by_the_next_run() {
    let takes = |request: &str| {
        if request.contains("the-new-one") {
            return gives_tokens(request);
        }
        answer("401 Unauthorized", "", r#"{"error":"invalid_client"}"#)
    };
    let (login, api) = (Target::plain(takes), Target::plain(not_found));
    let stage = logging_in(&api, &url_of(&login));
    let ended = stage.run(&["run"]);
    assert_eq!(ended.code, 1, "{}", ended.text);
    assert!(ended.text.contains("the login is refused: 401 invalid_client"), "{}", ended.text);
    stage.write("acme-token", "the-new-one", 0o600);
    assert_eq!(stage.run(&["quarantine", "retry", "--tenant", "acme"]).code, 0);
    stage.run(&["run"]);
    assert_eq!((login.requests().len(), api.requests().is_empty()), (2, false));
}
