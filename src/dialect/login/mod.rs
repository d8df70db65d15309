//! Logins: how tokens are asked for, and what the answers say.
//!
//! Pure like the dialects. A call names the secrets that it carries, and the sender puts them in; of
//! an answer only the tokens are kept, in types that tell nobody. What a vendor says of a refusal is
//! repeated as its code at most.
//!
//! Deliberately absent: logins that need a person, and any look at whether a token is genuine.

mod biot;
mod kare;
mod lifetime;
mod oauth;
mod open;
mod refusal;

pub use open::open;

use crate::model::{CredentialHeader, Response};
use jiff::Timestamp;
use secrecy::SecretString;
use std::{collections::BTreeMap, fmt, time::Duration};
use url::Url;

/// The kinds of login, by their names in the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// OAuth 2.0 client credentials (RFC 6749 §4.4).
    ClientCredentials,
    BiotService,
    BiotUser,
    KareCredentials,
}

impl Kind {
    pub const ALL: [Self; 4] =
        [Self::ClientCredentials, Self::BiotService, Self::BiotUser, Self::KareCredentials];

    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ClientCredentials => "client_credentials",
            Self::BiotService => "biot_service",
            Self::BiotUser => "biot_user",
            Self::KareCredentials => "kare_credentials",
        }
    }

    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }

    /// Names of the secrets that its calls carry.
    #[must_use]
    pub fn secrets(self) -> &'static [&'static str] {
        match self {
            Self::ClientCredentials => &["client_secret"],
            Self::BiotService => &["secret_key"],
            Self::BiotUser => &["password"],
            Self::KareCredentials => &["password", "token"],
        }
    }

    /// Names of the tokens that it gives.
    #[must_use]
    pub fn tokens(self) -> &'static [&'static str] {
        match self {
            Self::ClientCredentials | Self::BiotService | Self::BiotUser => &["token"],
            Self::KareCredentials => &["token", "session_token"],
        }
    }
}

/// What a target API says of a login of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    pub kind: Kind,
    /// Where its calls go.
    pub url: Url,
    /// What is asked for where the configuration says nothing. OAuth only.
    pub scope: &'static [&'static str],
}

/// One login, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Login {
    url: Url,
    scheme: Scheme,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Scheme {
    Client(oauth::Client),
    BiotService { id: String },
    BiotUser { username: String },
    Kare { email: String },
}

/// One call of a login, complete but for the secrets. Always a POST.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    pub url: Url,
    pub credentials: Vec<CredentialHeader>,
    /// HTTP Basic: the user, and the name of the secret that is the password.
    pub basic: Option<(String, &'static str)>,
    pub fields: Fields,
}

/// The body of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fields {
    /// `application/x-www-form-urlencoded`.
    Form(Vec<(&'static str, Part)>),
    /// An object of texts.
    Json(Vec<(&'static str, Part)>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    Plain(String),
    /// The secret of that name.
    Secret(&'static str),
}

/// The name under which a call that refreshes carries what it was given.
pub const REFRESH: &str = "refresh_token";

/// What an answer to a call means.
#[derive(Debug)]
pub enum Reading {
    Granted(Grant),
    /// It will be refused again: nothing of it may be tried a second time.
    Refused {
        why: String,
    },
    /// The account is locked: not to be tried before that time has passed; `None`: nobody said when.
    Locked {
        wait: Option<Duration>,
        why: String,
    },
    /// Too many calls; `Retry-After` says until when.
    Throttled,
    /// Not now.
    Unavailable {
        why: String,
    },
}

/// Tokens, and how long they hold since the call left; `None`: until they are refused.
pub struct Grant {
    pub tokens: BTreeMap<String, SecretString>,
    pub lifetime: Option<Duration>,
    /// For [`Login::refresh`].
    pub refresh: Option<SecretString>,
}

impl Login {
    #[must_use]
    pub fn kind(&self) -> Kind {
        match &self.scheme {
            Scheme::Client(_) => Kind::ClientCredentials,
            Scheme::BiotService { .. } => Kind::BiotService,
            Scheme::BiotUser { .. } => Kind::BiotUser,
            Scheme::Kare { .. } => Kind::KareCredentials,
        }
    }

    /// Where the secrets go, and nowhere else.
    #[must_use]
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// Who logs in: no secret, but somebody's name may be in it.
    #[must_use]
    pub fn account(&self) -> &str {
        match &self.scheme {
            Scheme::Client(client) => client.id(),
            Scheme::BiotService { id } => id,
            Scheme::BiotUser { username } => username,
            Scheme::Kare { email } => email,
        }
    }

    /// The call that asks for tokens with the secrets of [`Kind::secrets`].
    #[must_use]
    pub fn call(&self) -> Call {
        let json = |fields| Call {
            url: self.url.clone(),
            credentials: Vec::new(),
            basic: None,
            fields: Fields::Json(fields),
        };
        let plain = |text: &String| Part::Plain(text.clone());
        match &self.scheme {
            Scheme::Client(client) => client.call(self.url.clone()),
            Scheme::BiotService { id } => {
                json(vec![("id", plain(id)), ("secretKey", Part::Secret("secret_key"))])
            }
            Scheme::BiotUser { username } => {
                json(vec![("username", plain(username)), ("password", Part::Secret("password"))])
            }
            Scheme::Kare { email } => Call {
                credentials: vec![super::grammar::BEARER],
                ..json(vec![("email", plain(email)), ("password", Part::Secret("password"))])
            },
        }
    }

    /// The call that asks for tokens with what [`Grant::refresh`] was, where there is such a call.
    #[must_use]
    pub fn refresh(&self) -> Option<Call> {
        match &self.scheme {
            Scheme::BiotUser { .. } => biot::refresh(&self.url),
            Scheme::Client(_) | Scheme::BiotService { .. } | Scheme::Kare { .. } => None,
        }
    }

    /// Reads the answer to either call. `now` counts only where the answer has no `Date` of its own.
    #[must_use]
    pub fn read(&self, response: &Response, now: Timestamp) -> Reading {
        match &self.scheme {
            Scheme::Client(client) => client.read(response, now),
            Scheme::BiotService { .. } => biot::service(response, now),
            Scheme::BiotUser { .. } => biot::user(response, now),
            Scheme::Kare { .. } => kare::read(response, now),
        }
    }
}

impl fmt::Debug for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { tokens, lifetime, refresh } = self;
        let names: Vec<&String> = tokens.keys().collect();
        write!(f, "Grant({names:?}, {lifetime:?}, refresh: {})", refresh.is_some())
    }
}
