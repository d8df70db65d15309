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
mod scalepad;
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

    /// What an operator should know about this API on that day.
    fn notices(&self, today: Date) -> Vec<Notice> {
        let _ = today;
        Vec::new()
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
    &[workiva::ENTRY, biot::ENTRY, scalepad::ENTRY, kare::ENTRY, datadog::ENTRY];
