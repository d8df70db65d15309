//! Practice servers of the five target APIs and of SCIM 2.0, in memory, on loopback.
//!
//! They are written from the APIs' own documents and know nothing of our dialects, so that they can
//! judge the requests which those send. Where a document leaves a question open they take the
//! reading that is harder on the client. Besides answering, each keeps what it has seen, and every
//! breach of manners that a careful client would never commit ([`Sandbox::violations`]).

mod answer;
mod attempt;
mod biot;
mod biot_life;
mod biot_list;
mod biot_types;
mod checks;
mod datadog;
mod faults;
mod feed;
mod judge;
mod kare;
mod life;
mod lists;
mod login;
mod practice;
mod quota;
mod scalepad;
mod scim;
mod seed;
mod server;
mod stage;
mod strict_json;
mod turns;
mod unplugged;
mod wire;
mod workiva;
mod workiva_list;

pub use biot_types::CustomType;
pub use faults::{Fault, Faults, RetryAfterForm};
pub use feed::{FeedFault, FeedSeen, FeedSettings, PracticeFeed};
pub use lists::Lie;
pub use login::PracticeLogin;
pub use quota::QuotaStyle;
pub use scim::ScimQuirks;
pub use seed::account_of;
pub use server::Sandbox;
pub use unplugged::{Answered, Exchange, Returned, Unplugged};

use crate::model::Rate;
use practice::PracticeApi;
use serde_json::Value;
use std::{collections::BTreeMap, fmt, str::FromStr, time::Duration};

/// One tenant of the sandbox, served under `/<name>`.
#[derive(Clone, Debug)]
pub struct SandboxTenant {
    /// The first segment of every path: ASCII letters, digits, `-` and `_`.
    pub name: String,
    pub api: Api,
    /// Workiva: the organization's UUID; `ScalePad`: the client's UUID; KARE: the organization's
    /// number, shown in answers; empty elsewhere.
    pub scope_id: String,
    /// `None`: no limit.
    pub quota: Option<Rate>,
    pub quota_style: QuotaStyle,
    pub tokens: Tokens,
    /// Who gets tokens; then no others are taken, whatever `tokens` says.
    pub login: Option<PracticeLogin>,
    pub faults: Faults,
    /// How long every answer takes; the effect is immediate.
    pub latency: Duration,
    pub nested: Nested,
    /// Entries of a page of the list of all users at most; `None`: as the API's document has it.
    pub page_max: Option<usize>,
    /// What is wrong with the list of all users.
    pub lie: Option<Lie>,
    /// Accounts may be made and taken away. Where not, a client that tries is noted.
    pub mortal: bool,
    /// By id, as a GET shows it. Members that the API always shows are filled in where absent.
    pub accounts: BTreeMap<String, Value>,
    /// `ScalePad`: the departments that exist, by UUID.
    pub departments: BTreeMap<String, Department>,
    /// `BioT`: the template's own attributes, by name.
    pub custom_attributes: BTreeMap<String, CustomType>,
    /// SCIM: what the server does not do as the RFC has it.
    pub scim: ScimQuirks,
}

impl SandboxTenant {
    /// A tenant without limit, faults or accounts that takes any token.
    pub fn new(name: &str, api: Api) -> Self {
        Self {
            name: name.to_owned(),
            api,
            scope_id: String::new(),
            quota: None,
            quota_style: QuotaStyle::Sliding,
            tokens: Tokens::Any,
            login: None,
            faults: Faults::none(),
            latency: Duration::ZERO,
            nested: Nested::Replace,
            page_max: None,
            lie: None,
            mortal: false,
            accounts: BTreeMap::new(),
            departments: BTreeMap::new(),
            custom_attributes: BTreeMap::new(),
            scim: ScimQuirks::default(),
        }
    }
}

/// The target APIs, by the names of their dialects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Api {
    Workiva,
    Biot,
    Scalepad,
    Kare,
    Datadog,
    /// No vendor's own: any directory that speaks SCIM 2.0.
    Scim,
}

impl Api {
    /// The vendors' own APIs.
    pub const ALL: [Self; 5] =
        [Self::Workiva, Self::Biot, Self::Scalepad, Self::Kare, Self::Datadog];

    pub fn name(self) -> &'static str {
        match self {
            Self::Workiva => "workiva",
            Self::Biot => "biot",
            Self::Scalepad => "scalepad",
            Self::Kare => "kare",
            Self::Datadog => "datadog",
            Self::Scim => "scim",
        }
    }

    fn practice(self) -> &'static dyn PracticeApi {
        match self {
            Self::Workiva => &workiva::Workiva,
            Self::Biot => &biot::Biot,
            Self::Scalepad => &scalepad::Scalepad,
            Self::Kare => &kare::Kare,
            Self::Datadog => &datadog::Datadog,
            Self::Scim => &scim::Scim,
        }
    }
}

impl FromStr for Api {
    type Err = UnknownApi;

    fn from_str(name: &str) -> Result<Self, UnknownApi> {
        Self::ALL.into_iter().chain([Self::Scim]).find(|api| api.name() == name).ok_or(UnknownApi)
    }
}

impl fmt::Display for Api {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no such practice API; there are workiva, biot, scalepad, kare, datadog and scim")]
pub struct UnknownApi;

/// Which credentials a tenant takes.
#[derive(Clone)]
pub enum Tokens {
    /// Any that are not empty.
    Any,
    /// Exactly these, by lower-case header name: `authorization` (the token without `Bearer `)
    /// and for KARE also `x-session-token`.
    Exact(BTreeMap<String, String>),
    /// Those of any of these.
    Given(Vec<BTreeMap<String, String>>),
}

impl Tokens {
    fn accept(&self, header: &str, token: &str) -> bool {
        match self {
            Self::Any => !token.is_empty(),
            Self::Exact(tokens) => tokens.get(header).is_some_and(|known| known == token),
            Self::Given(given) => {
                !token.is_empty()
                    && given.iter().any(|tokens| tokens.get(header).is_some_and(|t| t == token))
            }
        }
    }
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("Any"),
            Self::Exact(tokens) => write!(f, "Exact({} tokens)", tokens.len()),
            Self::Given(given) => write!(f, "Given({})", given.len()),
        }
    }
}

/// What becomes of the members of a nested object that a PATCH leaves out. No document says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nested {
    /// They are lost.
    Replace,
    /// They stay.
    Merge,
}

/// A `ScalePad` department as answers show it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Department {
    pub name: String,
    pub description: String,
}

/// One request as the sandbox saw it.
#[derive(Clone, Debug)]
pub struct Seen {
    /// Since the sandbox started.
    pub at: Duration,
    pub method: String,
    /// Below the tenant's prefix, with the query if there was one.
    pub path: String,
    /// The user that the path names, where it names one.
    pub user_id: Option<String>,
    /// `None`: the connection was closed without an answer.
    pub status: Option<u16>,
    /// The PATCH was accepted and took effect (or will, after [`Fault::LateEffect`]).
    pub applied: bool,
    /// Operations of a patch document, or members of a partial object.
    pub operations: usize,
    /// Attributes that the body sets, dotted: `_name.firstName`.
    pub names: Vec<String>,
    /// `Null` when there was none or it was not JSON.
    pub body: Value,
}
