//! The logins of the APIs: who gets tokens, and which tokens are taken.
//!
//! Workiva has OAuth 2.0 client credentials, with the client in the form; `BioT` has service users
//! and people's users, and locks whoever gives a wrong secret too often; KARE has an e-mail address
//! and a password behind a bearer token. The others give out tokens on their pages only. Beside each
//! API but Workiva's stands an identity provider of the house, which takes RFC 6749 by the letter.

use super::{
    Api, Tokens,
    answer::Answer,
    practice::{Incoming, millis},
    stage::Moment,
};
use crate::sender::login::{base64, base64url};
use serde_json::{Value, json};
use std::{collections::BTreeMap, fmt, time::Duration};
use tokio::time::Instant;
use url::form_urlencoded;

/// Who may log in at a practice tenant, and what becomes of it.
#[derive(Clone)]
pub struct PracticeLogin {
    /// The client's id, the service's id, the user name or the e-mail address; `None`: anybody's,
    /// with any secret.
    pub account: Option<String>,
    pub secret: String,
    /// KARE: the token that the login itself has to carry.
    pub application: String,
    /// What every token begins with.
    pub stem: String,
    pub lifetime: Duration,
    /// What answers say of the lifetime, where that is something else.
    pub told: Option<Duration>,
    /// A token is taken so often and no more; `None`: without end.
    pub uses: Option<u32>,
    /// `BioT`: after so many wrong secrets the account is locked.
    pub locked_after: u32,
    pub locked_for: Duration,
    /// Workiva: what the client may have.
    pub scope: Vec<String>,
}

impl Default for PracticeLogin {
    /// Anybody, for an hour.
    fn default() -> Self {
        Self {
            account: None,
            secret: String::new(),
            application: String::new(),
            stem: "practice".to_owned(),
            lifetime: Duration::from_hours(1),
            told: None,
            uses: None,
            locked_after: 3,
            locked_for: Duration::from_mins(15),
            scope: ["organization:read", "organization:write"].map(str::to_owned).into(),
        }
    }
}

impl fmt::Debug for PracticeLogin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PracticeLogin(for {:?})", self.lifetime)
    }
}

/// The call that method and path name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Endpoint {
    Client,
    /// Of the identity provider.
    Issuer,
    Service,
    User,
    Refresh,
    Credentials,
}

impl Endpoint {
    pub(super) fn of(api: Api, request: &Incoming) -> Option<Self> {
        match (api, request.method.as_str(), &request.path_segments()[..]) {
            (Api::Workiva, "POST", ["oauth2", "token"] | ["iam", "v1", "oauth2", "token"]) => {
                Some(Self::Client)
            }
            (Api::Biot, "POST", ["ums", "v2", "services", "accessToken"]) => Some(Self::Service),
            (Api::Biot, "POST", ["ums", "v2", "users", "login"]) => Some(Self::User),
            (Api::Biot, "POST", ["ums", "v2", "users", "token", "refresh"]) => Some(Self::Refresh),
            (Api::Kare, "POST", ["auth", "v1", "rs", "login", "credentials"]) => {
                Some(Self::Credentials)
            }
            (_, "POST", ["oauth2", "token"]) => Some(Self::Issuer),
            _ => None,
        }
    }

    fn media_type(self) -> &'static str {
        match self {
            Self::Client | Self::Issuer => "application/x-www-form-urlencoded",
            Self::Service | Self::User | Self::Refresh | Self::Credentials => "application/json",
        }
    }

    /// The members of the body, and no others: who, and with what.
    fn members(self) -> (&'static [&'static str], &'static str, &'static str) {
        match self {
            Self::Client => (
                &["grant_type", "client_id", "client_secret", "scope"],
                "client_id",
                "client_secret",
            ),
            Self::Issuer => (
                &["grant_type", "client_id", "client_secret", "scope", "audience", "resource"],
                "client_id",
                "client_secret",
            ),
            Self::Service => (&["id", "secretKey"], "id", "secretKey"),
            Self::User => (&["username", "password"], "username", "password"),
            Self::Refresh => (&["refreshToken"], "", "refreshToken"),
            Self::Credentials => (&["email", "password"], "email", "password"),
        }
    }
}

/// Keeps one tenant's door.
#[derive(Default)]
pub(super) struct Doorkeeper {
    given: Vec<Given>,
    count: u64,
    /// Wrong secrets, the last of them last.
    wrong: Vec<String>,
    locked_until: Option<Instant>,
    told_locked: bool,
}

/// Tokens that were given out.
struct Given {
    /// By the header that carries them.
    headers: BTreeMap<String, String>,
    refresh: String,
    until: Instant,
    uses_left: Option<u32>,
}

/// What a call comes to, and what a careful client would not have done.
pub(super) struct Admission {
    pub(super) answer: Answer,
    pub(super) violations: Vec<String>,
}

impl Doorkeeper {
    /// The tokens that are taken now.
    pub(super) fn tokens(&self, now: Instant) -> Tokens {
        let holds = |given: &&Given| now < given.until && given.uses_left != Some(0);
        Tokens::Given(self.given.iter().filter(holds).map(|given| given.headers.clone()).collect())
    }

    /// A request that is no login has come.
    pub(super) fn used(&mut self, request: &Incoming) {
        let bearer = bearer(request);
        let same = |given: &&mut Given| {
            given.headers.get("authorization").map(String::as_str) == Some(bearer)
        };
        if let Some(given) = self.given.iter_mut().find(same) {
            given.uses_left = given.uses_left.map(|left| left.saturating_sub(1));
        }
    }

    /// No token that was given out so far is taken any more.
    pub(super) fn revoke(&mut self) {
        self.given.clear();
    }

    pub(super) fn admit(
        &mut self,
        endpoint: Endpoint,
        login: &PracticeLogin,
        request: &Incoming,
        moment: Moment,
    ) -> Admission {
        let members = match members(endpoint, request) {
            Ok(members) => members,
            Err(why) => {
                let answer = refusal(endpoint, 400, "invalid_request", None);
                return Admission { answer, violations: vec![format!("a login that {why}")] };
            }
        };
        let mut violations = Vec::new();
        let (_, who, with) = endpoint.members();
        let text = |name: &str| members.get(name).map(String::as_str).unwrap_or_default();
        if endpoint == Endpoint::Refresh {
            let known = self.given.iter().any(|given| given.refresh == text(with));
            let answer = if known {
                self.give(endpoint, login, moment)
            } else {
                refusal(endpoint, 403, "REFRESH_TOKEN_NOT_VALID", None)
            };
            return Admission { answer, violations };
        }
        if let Some(until) = self.locked_until.filter(|until| moment.now < *until) {
            if std::mem::replace(&mut self.told_locked, true) {
                violations.push("a login after it was told that the account is locked".to_owned());
            }
            let left = until - moment.now;
            return Admission { answer: locked(endpoint, left), violations };
        }
        let is_other = |account| {
            let basic = endpoint == Endpoint::Issuer && says_basic(request, account, &login.secret);
            !basic && (account != text(who) || login.secret != text(with))
        };
        if login.account.as_deref().is_some_and(is_other) {
            return self.refuse(endpoint, login, text(with), moment.now);
        }
        if endpoint == Endpoint::Credentials
            && login.account.is_some()
            && bearer(request) != login.application
        {
            let answer = refusal(endpoint, 401, "Unauthorized", None);
            return Admission { answer, violations };
        }
        self.wrong.clear();
        Admission { answer: self.give(endpoint, login, moment), violations }
    }

    fn refuse(
        &mut self,
        endpoint: Endpoint,
        login: &PracticeLogin,
        secret: &str,
        now: Instant,
    ) -> Admission {
        let again = self.wrong.iter().any(|wrong| wrong == secret);
        let violations = again.then(|| "a login with a secret that was refused before".to_owned());
        self.wrong.push(secret.to_owned());
        let locks = matches!(endpoint, Endpoint::Service | Endpoint::User);
        if locks && self.wrong.len() >= login.locked_after as usize {
            self.wrong.clear();
            self.locked_until = Some(now + login.locked_for);
        }
        let (status, code) = match endpoint {
            Endpoint::Client | Endpoint::Issuer => (401, "invalid_client"),
            Endpoint::Service | Endpoint::User | Endpoint::Refresh => (403, "LOGIN_FAILED"),
            Endpoint::Credentials => (401, "Unauthorized"),
        };
        let answer = refusal(endpoint, status, code, None);
        Admission { answer, violations: violations.into_iter().collect() }
    }

    fn give(&mut self, endpoint: Endpoint, login: &PracticeLogin, moment: Moment) -> Answer {
        self.count += 1;
        let told = login.told.unwrap_or(login.lifetime);
        let end = crate::engine::retry::moment_after(moment.stamp, told);
        let PracticeLogin { stem, uses, scope, lifetime, .. } = login;
        let name = |kind: &str| format!("{stem}-{kind}-{}", self.count);
        let jwt = |kind: &str| {
            let claims = json!({ "iat": moment.stamp.as_second(), "exp": end.as_second() });
            format!("e30.{}.{}", base64url(claims.to_string().as_bytes()), name(kind))
        };
        let (token, session, refresh) = match endpoint {
            Endpoint::Credentials => (jwt("access"), jwt("session"), jwt("refresh")),
            Endpoint::Client
            | Endpoint::Issuer
            | Endpoint::Service
            | Endpoint::User
            | Endpoint::Refresh => (name("access"), String::new(), name("refresh")),
        };
        let (status, body) = match endpoint {
            Endpoint::Client => (
                200,
                json!({
                    "access_token": token,
                    "expires_in": told.as_secs(),
                    "token_type": "bearer",
                    "scope": scope.join(" "),
                }),
            ),
            Endpoint::Issuer => (
                200,
                json!({ "access_token": token, "expires_in": told.as_secs(), "token_type": "Bearer" }),
            ),
            Endpoint::Service => {
                (200, json!({ "accessToken": token, "accessTokenExpiration": millis(end) }))
            }
            Endpoint::User | Endpoint::Refresh => (
                200,
                json!({
                    "accessJwt": { "token": token, "expiration": millis(end) },
                    "refreshJwt": { "token": refresh, "expiration": millis(end) },
                    "userId": "3fa85f64-5717-4562-b3fc-2c963f66afa6",
                    "ownerOrganizationId": "00000000-0000-0000-0000-000000000000",
                    "mfaRequired": false,
                    "passwordResetRequired": false,
                }),
            ),
            Endpoint::Credentials => (
                201,
                json!({ "data": {
                    "accessToken": token, "refreshToken": refresh, "sessionToken": session,
                }}),
            ),
        };
        let headers = [("authorization", token), ("x-session-token", session)];
        let headers = headers.map(|(header, token)| (header.to_owned(), token)).into();
        let (until, uses_left) = (moment.now + *lifetime, *uses);
        self.given.push(Given { headers, refresh, until, uses_left });
        Answer::json(status, &body)
    }
}

fn bearer(request: &Incoming) -> &str {
    let header = request.header("authorization").unwrap_or_default();
    header.strip_prefix("Bearer ").unwrap_or_default()
}

/// RFC 6749 §2.3.1.
fn says_basic(request: &Incoming, account: &str, secret: &str) -> bool {
    let encode = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    let both = format!("{}:{}", encode(account), encode(secret));
    request.header("authorization") == Some(&format!("Basic {}", base64(both.as_bytes())))
}

/// Strictly as the documents have it; else what the client did.
fn members(
    endpoint: Endpoint,
    request: &Incoming,
) -> Result<BTreeMap<String, String>, &'static str> {
    if request.query.is_some() {
        return Err("has a query, where its secret could be");
    }
    if request.header("content-type") != Some(endpoint.media_type()) {
        return Err("has another content type than the document");
    }
    let pairs: Vec<(String, String)> = match endpoint {
        Endpoint::Client | Endpoint::Issuer => {
            form_urlencoded::parse(&request.body).into_owned().collect()
        }
        Endpoint::Service | Endpoint::User | Endpoint::Refresh | Endpoint::Credentials => {
            let body: Value = serde_json::from_slice(&request.body).map_err(|_| "is no JSON")?;
            let members = body.as_object().ok_or("is no object")?.iter();
            let text =
                |(name, value): (&String, &Value)| Some((name.clone(), value.as_str()?.to_owned()));
            members.map(text).collect::<Option<_>>().ok_or("has a member that is no text")?
        }
    };
    let (known, who, with) = endpoint.members();
    let count = pairs.len();
    let members: BTreeMap<String, String> = pairs.into_iter().collect();
    if members.len() != count || members.keys().any(|name| !known.contains(&name.as_str())) {
        return Err("has a member twice, or one that the document does not know");
    }
    let is_basic = endpoint == Endpoint::Issuer && request.header("authorization").is_some();
    if is_basic && [who, with].iter().any(|name| members.contains_key(*name)) {
        // RFC 6749 §2.3: one way in each request.
        return Err("says in two ways who it is");
    }
    let lacks = |name: &&str| !name.is_empty() && !members.contains_key(*name);
    if !is_basic && [who, with].iter().any(lacks) {
        return Err("lacks a member");
    }
    let grant = members.get("grant_type").map(String::as_str);
    if matches!(endpoint, Endpoint::Client | Endpoint::Issuer)
        && grant != Some("client_credentials")
    {
        return Err("asks for another grant than `client_credentials`");
    }
    Ok(members)
}

fn locked(endpoint: Endpoint, left: Duration) -> Answer {
    let minutes = left.as_secs().div_ceil(60);
    match endpoint {
        Endpoint::Service => refusal(endpoint, 401, "SERVICE_LOCKED", None),
        _ => refusal(endpoint, 401, "USER_LOCKED_WITH_TIME", Some(minutes)),
    }
}

fn refusal(endpoint: Endpoint, status: u16, code: &str, minutes: Option<u64>) -> Answer {
    let body = match endpoint {
        Endpoint::Client | Endpoint::Issuer => {
            json!({ "error": code, "error_description": "refused" })
        }
        Endpoint::Service | Endpoint::User | Endpoint::Refresh => {
            let details = minutes.map(|minutes| json!({ "timeLeftInMinutes": minutes }));
            json!({
                "code": code,
                "message": "refused",
                "serviceName": "ums",
                "traceId": "00000000000000000000000000000000",
                "environment": "sandbox",
                "details": details.unwrap_or_else(|| json!({})),
            })
        }
        Endpoint::Credentials => json!({ "message": code }),
    };
    Answer::json(status, &body)
}
