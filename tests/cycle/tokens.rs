//! A login by itself, on a clock that the test moves.

use jiff::Timestamp;
use rosterd::{
    dialect::{Settings, login},
    engine::reply::Reply,
    model::{Body, Reach, Request, Response},
    sender::{
        Clock, Login, Secrets, Transport, Within,
        http::Sent,
        login::{Gate, NoTokens, Tokens},
        transport::Sending,
    },
};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value as Json, json};
use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::time::{Instant, sleep};

/// Status, headers and body.
type Said = (u16, Vec<(String, String)>, Json);

/// A token endpoint: each answer takes a second. Without further answers it gives tokens for a minute.
#[derive(Debug, Default)]
struct Desk {
    answers: Mutex<VecDeque<Said>>,
    calls: Mutex<Vec<(Instant, String)>>,
}

impl Within for Desk {
    fn send<'a>(&'a self, request: Request, _: &'a BTreeMap<String, SecretString>) -> Sending<'a> {
        let body = String::from_utf8(request.body.unwrap()).unwrap();
        self.calls.lock().unwrap().push((Instant::now(), body));
        let number = self.calls.lock().unwrap().len();
        let usual = || (200, Vec::new(), granted(number, Some(60)));
        let (status, headers, body) =
            self.answers.lock().unwrap().pop_front().unwrap_or_else(usual);
        let body = Body::Whole(body.to_string().into_bytes());
        Box::pin(async move {
            sleep(Duration::from_secs(1)).await;
            Sent::Answered(Response { status, headers, body })
        })
    }
}

fn granted(number: usize, seconds: Option<u64>) -> Json {
    json!({ "access_token": format!("t{number}"), "expires_in": seconds, "token_type": "Bearer" })
}

impl Desk {
    fn saying(answers: impl IntoIterator<Item = (u16, Json)>) -> Arc<Self> {
        let answers = answers.into_iter().map(|(status, body)| (status, Vec::new(), body));
        Arc::new(Self { answers: Mutex::new(answers.collect()), ..Self::default() })
    }

    fn calls(&self) -> usize {
        self.calls.lock().unwrap().len()
    }

    /// When the calls came, in seconds from the first.
    fn moments(&self) -> Vec<u64> {
        let calls = self.calls.lock().unwrap();
        calls.iter().map(|(at, _)| (*at - calls[0].0).as_secs()).collect()
    }

    fn login(self: &Arc<Self>) -> Login {
        let table = json!({
            "type": "client_credentials",
            "client_id": "rosterd",
            "client_auth": "post",
            "token_url": "https://login.example.com/token",
        });
        let table = table.as_object().unwrap().clone();
        self.logging_in(&Settings { table, reach: Reach::default() }, &[])
    }

    fn logging_in(self: &Arc<Self>, settings: &Settings, offers: &[login::Offer]) -> Login {
        let secrets = || {
            let names = ["client_secret", "secret_key", "password"];
            Ok(names.map(|name| (name.to_owned(), SecretString::from("c4n4ry"))).into())
        };
        Login::new(
            login::open(settings, offers).unwrap(),
            Transport::Within(self.clone()),
            Secrets::load(Box::new(secrets)).unwrap(),
            Clock::new(Timestamp::UNIX_EPOCH, Instant::now()),
        )
    }

    fn biot_user(self: &Arc<Self>) -> Login {
        let table = json!({ "type": "biot_user", "username": "rosterd@example.org" });
        let table = table.as_object().unwrap().clone();
        let url = "https://biot.example.com/ums/v2/users/login".parse().unwrap();
        let offer = login::Offer { kind: login::Kind::BiotUser, url, scope: &[] };
        self.logging_in(&Settings { table, reach: Reach::default() }, &[offer])
    }
}

/// Lets everybody through.
#[derive(Default)]
struct Open {
    heeded: usize,
}

impl Gate for Open {
    type Pass = ();

    async fn leave(&mut self) -> Result<Option<()>, String> {
        Ok(Some(()))
    }

    async fn heed(&mut self, (): (), reply: Option<&Reply>) -> Result<(), String> {
        self.heeded += usize::from(reply.is_some());
        if let Some(Reply::Answered { retry_after, .. }) = reply
            && let rosterd::engine::retry::RetryAfter::Wait(wait) = retry_after
        {
            sleep(*wait).await;
        }
        Ok(())
    }

    async fn wait(&mut self, wait: Duration) -> Option<()> {
        sleep(wait).await;
        Some(())
    }
}

async fn ask(login: &Login) -> Result<Tokens, NoTokens> {
    login.tokens(&mut Open::default()).await
}

fn text(tokens: &Tokens) -> &str {
    tokens["token"].expose_secret()
}

async fn pass(seconds: u64) {
    sleep(Duration::from_secs(seconds)).await;
}

#[tokio::test(start_paused = true)]
async fn d10_a_hundred_who_ask_at_once_wait_for_one_call() {
    let desk = Desk::saying([]);
    let login = Arc::new(desk.login());
    let asking: Vec<_> = (0..100)
        .map(|_| {
            let login = login.clone();
            tokio::spawn(async move { text(&ask(&login).await.unwrap()).to_owned() })
        })
        .collect();
    for asked in asking {
        assert_eq!(asked.await.unwrap(), "t1");
    }
    assert_eq!(desk.calls(), 1);
    assert_eq!(
        desk.calls.lock().unwrap()[0].1,
        "grant_type=client_credentials&client_id=rosterd&client_secret=c4n4ry"
    );
}

#[tokio::test(start_paused = true)]
async fn d10_a_token_is_renewed_before_its_end_by_one_and_the_others_go_on_with_it() {
    let desk = Desk::saying([]);
    let login = Arc::new(desk.login());
    ask(&login).await.unwrap();
    pass(52).await;
    // 53 seconds after the call left: a tenth of its minute before the end is at 54.
    assert_eq!(text(&ask(&login).await.unwrap()), "t1");
    pass(1).await;
    let first = tokio::spawn({
        let login = login.clone();
        async move { text(&ask(&login).await.unwrap()).to_owned() }
    });
    tokio::task::yield_now().await;
    let second = ask(&login).await.unwrap();
    assert_eq!((first.await.unwrap().as_str(), text(&second)), ("t2", "t1"));
    assert_eq!(text(&ask(&login).await.unwrap()), "t2");
    assert_eq!(desk.calls(), 2);
}

#[tokio::test(start_paused = true)]
async fn d10_however_short_a_token_holds_it_is_used_for_half_of_that() {
    let desk = Desk::saying([(200, granted(1, Some(4))), (200, granted(2, None))]);
    let login = desk.login();
    ask(&login).await.unwrap();
    assert_eq!(text(&ask(&login).await.unwrap()), "t1");
    pass(1).await;
    assert_eq!(text(&ask(&login).await.unwrap()), "t2");
    // One that does not say how long is used until it is refused.
    pass(10_000_000).await;
    assert_eq!(text(&ask(&login).await.unwrap()), "t2");
    assert_eq!(desk.calls(), 2);
}

#[tokio::test(start_paused = true)]
async fn d10_after_a_401_tokens_are_fetched_once_for_all_who_were_refused_and_once_in_five_minutes()
{
    let desk = Desk::saying((1..5).map(|number| (200, granted(number, None))));
    let login = desk.login();
    let first = ask(&login).await.unwrap();
    assert!((0..4).all(|_| login.renew(&first)));
    let second = ask(&login).await.unwrap();
    assert!(login.renew(&first), "others have it anew");
    assert_eq!((text(&second), desk.calls()), ("t2", 2));
    pass(299 - 1).await;
    assert!(!login.renew(&second), "within five minutes");
    pass(2).await;
    assert!(login.renew(&second));
    assert_eq!(text(&ask(&login).await.unwrap()), "t3");
}

#[tokio::test(start_paused = true)]
async fn d10_what_is_refused_or_locked_is_not_asked_a_second_time() {
    let json = |code: &str| json!({ "error": code, "code": code });
    let with_time =
        json!({ "code": "USER_LOCKED_WITH_TIME", "details": { "timeLeftInMinutes": 14 } });
    let refused = |why: &str| NoTokens::Refused { why: why.to_owned() };
    let locked = |why: &str, minutes| NoTokens::Locked {
        why: why.to_owned(),
        wait: Duration::from_mins(minutes),
    };
    let is_locked = "the account of the login is locked: 401";
    for (status, body, expected) in [
        (401, json("invalid_client"), refused("the login is refused: 401 invalid_client")),
        (
            400,
            json("unauthorized_client"),
            refused("the login is refused: 400 unauthorized_client"),
        ),
        (403, json("LOGIN_FAILED"), refused("the login is refused: 403 LOGIN_FAILED")),
        (404, json(""), refused("there is no login at its address: 404")),
        (401, with_time, locked(&format!("{is_locked} USER_LOCKED_WITH_TIME"), 15)),
        (401, json("USER_LOCKED"), locked(&format!("{is_locked} USER_LOCKED"), 360)),
    ] {
        let desk = Desk::saying([(status, body)]);
        let login = desk.biot_user();
        for _ in 0..3 {
            assert_eq!(ask(&login).await.unwrap_err(), expected);
            pass(3600).await;
        }
        assert_eq!(desk.calls(), 1, "{expected}");
    }
}

#[tokio::test(start_paused = true)]
async fn d09_a_login_that_is_not_well_is_tried_four_times_in_a_run() {
    let busy = || (400, json!({ "error": "temporarily_unavailable" }));
    let failing = || (500, json!({}));
    let desk = Desk::saying([busy(), failing(), (200, json!("no object"))]);
    assert_eq!(text(&ask(&desk.login()).await.unwrap()), "t4");

    let desk = Desk::saying([busy(), failing(), busy(), failing()]);
    let login = desk.login();
    let why = "the login answers 500".to_owned();
    for _ in 0..2 {
        assert_eq!(ask(&login).await.unwrap_err(), NoTokens::Unwell { why: why.clone() });
    }
    assert_eq!(desk.calls(), 4);
}

#[tokio::test(start_paused = true)]
async fn d02_a_login_that_is_turned_away_comes_back_when_it_is_told_to() {
    let desk = Desk::saying([]);
    let later = vec![("retry-after".to_owned(), "90".to_owned())];
    desk.answers.lock().unwrap().push_back((429, later, json!({})));
    assert_eq!(text(&ask(&desk.login()).await.unwrap()), "t2");
    assert_eq!(desk.moments(), [0, 91]);
}

#[tokio::test(start_paused = true)]
async fn d10_a_user_of_biot_refreshes_and_logs_in_again_only_when_that_is_refused() {
    let pair = |number: u8| {
        let end = format!("1970-01-01T01:00:0{number}Z");
        json!({
            "accessJwt": { "token": format!("t{number}"), "expiration": end },
            "refreshJwt": { "token": format!("r{number}"), "expiration": end },
        })
    };
    let refused = (403, json!({ "code": "REFRESH_TOKEN_NOT_VALID" }));
    let desk = Desk::saying([(200, pair(1)), (200, pair(2)), refused, (200, pair(3))]);
    let login = desk.biot_user();
    for number in 1..=3 {
        let tokens = ask(&login).await.unwrap();
        assert_eq!(text(&tokens), format!("t{number}"));
        assert!(login.renew(&tokens));
        pass(301).await;
    }
    let bodies: Vec<String> =
        desk.calls.lock().unwrap().iter().map(|(_, body)| body.clone()).collect();
    let password = r#"{"password":"c4n4ry","username":"rosterd@example.org"}"#;
    let refresh = |number| format!(r#"{{"refreshToken":"r{number}"}}"#);
    assert_eq!(bodies, [password.to_owned(), refresh(1), refresh(2), password.to_owned()]);
}

#[tokio::test(start_paused = true)]
async fn g01_no_token_and_no_secret_of_a_login_shows() {
    let desk = Desk::saying([(200, json!({ "access_token": "t0k3n-c4n4ry" }))]);
    let login = desk.login();
    let tokens = ask(&login).await.unwrap();
    let told = format!("{login:?}{tokens:?}{:?}", login::Kind::ALL);
    assert!(!told.contains("c4n4ry"), "{told}");
}
