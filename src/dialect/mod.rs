//! The dialects: how each target API spells an operation and how it answers.
//!
//! A dialect is pure and sees no secret. It never decides *whether*, only *how*: what to send was
//! decided by the planner from the [`Capabilities`] that the dialect declares. Adding a target API
//! is one file here and one line in [`REGISTRY`].

mod biot;
mod datadog;
mod grammar;
mod kare;
mod lists;
pub mod login;
mod scalepad;
mod scim;
pub mod sunset;
mod workiva;

pub use lists::{Lists, NO_LIST};
pub use sunset::deprecation_notices;

use crate::model::{
    Action, Answer, Capabilities, Notice, Problem, Reach, RemoteId, Request, Response,
};
use jiff::civil::Date;
use std::fmt;

/// One target API, opened with one tenant's settings.
pub trait Dialect: fmt::Debug + Send + Sync {
    fn capabilities(&self) -> &Capabilities;

    /// Names of the secrets that its requests carry: `token`, and for some a second one.
    fn credentials(&self) -> &'static [&'static str];

    /// The logins of its own that give them; none, when people hand out its tokens.
    fn logins(&self) -> Vec<login::Offer> {
        Vec::new()
    }

    /// The API's own rule for a user id, beyond [`RemoteId`]'s.
    ///
    /// # Errors
    /// A fragment that says what the id should look like.
    fn check_id(&self, id: &RemoteId) -> Result<(), String>;

    /// Spells the action as the smallest request that the contract allows. `id`: of the account,
    /// and `None` for [`Action::Find`] and [`Action::Create`].
    ///
    /// # Errors
    /// When the address built from the id would not mean that user, or the API offers no such thing.
    fn request(&self, id: Option<&RemoteId>, action: &Action) -> Result<Request, String>;

    /// What the action is sent as, in this order, where one request cannot say it all: each part with
    /// a request of its own. Empty: one request says it.
    fn apart(&self, action: &Action) -> Vec<Action> {
        let _ = action;
        Vec::new()
    }

    /// The change can only be spelled from what a look has just shown: a list that goes whole, a user
    /// that goes whole, the version that it is based on. A look goes before it then.
    fn builds_on_look(&self, action: &Action) -> bool {
        let _ = action;
        false
    }

    /// What a look showed, to build a change on. `None`: it showed no such user.
    fn basis(&self, id: &RemoteId, response: &Response) -> Option<Basis> {
        let _ = (id, response);
        None
    }

    /// As [`Self::request`], with what the last look showed.
    ///
    /// # Errors
    /// As with [`Self::request`], or the change needs a basis and there is none.
    fn request_on(
        &self,
        id: Option<&RemoteId>,
        action: &Action,
        basis: Option<&Basis>,
    ) -> Result<Request, String> {
        let _ = basis;
        self.request(id, action)
    }

    /// Reads the response to that request. A look-up is answered by
    /// [`crate::model::Verdict::Matches`], in which each account shows what it was looked for by; a
    /// creation by [`crate::model::Verdict::Created`].
    fn read(
        &self,
        id: Option<&RemoteId>,
        action: &Action,
        response: &Response,
        today: Date,
    ) -> Answer;

    /// How all users of the tenant are listed.
    ///
    /// # Errors
    /// A fragment that says why the API offers no list, or none to this tenant.
    fn lists(&self) -> Result<&dyn Lists, &'static str> {
        Err(NO_LIST)
    }

    /// Finds the server's ways out on that user; `None`: they are the same everywhere.
    fn prober(&self, id: &RemoteId) -> Option<Box<dyn Prober>> {
        let _ = id;
        None
    }

    /// What an operator should know about this API on that day.
    fn notices(&self, today: Date) -> Vec<Notice> {
        let _ = today;
        Vec::new()
    }
}

/// Trials on one user whom nobody needs, one request after the other; in the end all is as it was.
pub trait Prober: fmt::Debug + Send {
    /// What comes after the response to the last request; `None` at the beginning, and to go on after
    /// a request that came to nothing.
    ///
    /// # Errors
    /// Why no trial makes sense any more.
    fn next(&mut self, response: Option<&Response>) -> Result<ProbeStep, String>;

    /// The attributes that may not be as they were if nothing more is sent.
    fn to_put_back(&self) -> Vec<String>;
}

#[derive(Debug)]
pub enum ProbeStep {
    Send(Request),
    Done {
        /// Keys of the dialect's table that say how the server is.
        settings: Vec<(&'static str, serde_json::Value)>,
        /// What else was noticed.
        notes: Vec<String>,
        /// Attributes that could not be put back.
        left: Vec<String>,
    },
}

/// A user as a look showed it, which a change is built on within the same operation and which is never
/// kept. Personal, so `Debug` hides it.
#[derive(Clone, PartialEq)]
pub struct Basis {
    pub resource: serde_json::Map<String, serde_json::Value>,
    /// A strong entity tag, quotes included (RFC 9110 §8.8.3).
    pub etag: Option<String>,
}

impl fmt::Debug for Basis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Basis({} members)", self.resource.len())
    }
}

/// A tenant's own table of the dialect's settings, not yet checked.
#[derive(Clone, Debug)]
pub struct Settings {
    pub table: serde_json::Map<String, serde_json::Value>,
    /// Where the base address may lead.
    pub reach: Reach,
}

/// One line of the registry.
pub struct Entry {
    /// The table's name in the configuration: `[tenants.acme.workiva]`.
    pub name: &'static str,
    /// One line for `--help` and the README.
    pub summary: &'static str,
    /// Checks the settings and opens the dialect; reports every problem, with keys relative to
    /// the table.
    pub open: fn(&Settings) -> Opened,
}

/// A dialect that is ready, or everything that is wrong with its settings.
pub type Opened = Result<Box<dyn Dialect>, Vec<Problem>>;

/// Every target API that rosterd speaks to.
pub const REGISTRY: &[Entry] =
    &[workiva::ENTRY, biot::ENTRY, scalepad::ENTRY, kare::ENTRY, datadog::ENTRY, scim::ENTRY];

/// Reads an address to which credentials go: https within the reach, as `grammar` has it for a base
/// address, and a query besides.
///
/// # Errors
/// A fragment that says what is wrong. It never repeats the text, which may hold a password.
pub fn address(text: &str, reach: Reach) -> Result<url::Url, &'static str> {
    let (place, query) = text.split_once('?').map_or((text, ""), |(place, query)| (place, query));
    grammar::Base::parse(place, reach)?;
    let is_plain = query.chars().all(|c| c.is_ascii_graphic() && c != '#');
    let url = url::Url::parse(text).ok().filter(|_| is_plain);
    url.ok_or("is not an absolute https address without a fragment")
}
