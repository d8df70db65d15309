//! A practice API without a socket, for a simulation that is its own network and its own clock.

use super::{
    Fault, Faults, SandboxTenant, Seen,
    practice::Incoming,
    server::split_path,
    stage::{Moment, Stage, Turn},
};
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use jiff::Timestamp;
use serde_json::Value;
use std::time::Duration;
use tokio::time::Instant;

/// One tenant's practice API.
pub struct Unplugged {
    stage: Stage,
    started: Instant,
}

/// A request that has come in whole.
pub struct Exchange(Incoming);

/// What the network is to bring back.
#[derive(Clone, Debug)]
pub struct Returned {
    /// `None`: the connection is closed without an answer.
    pub answer: Option<Answered>,
    pub delay: Duration,
    /// Half of the body comes, and then the end.
    pub cut_body: bool,
    /// [`Unplugged::late_effect`] is due after this time.
    pub effect_after: Option<Duration>,
}

#[derive(Clone, Debug)]
pub struct Answered {
    pub status: u16,
    /// Lower-case names.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Exchange {
    /// `path` is that of the URL, with its query: `/TENANT/…`. `None`: it is below no tenant, or a
    /// header is none.
    pub fn of(
        method: &str,
        path: &str,
        headers: &[(String, String)],
        body: Vec<u8>,
    ) -> Option<Self> {
        let (path, query) = path.split_once('?').map_or((path, None), |(p, q)| (p, Some(q)));
        let (_, segments, below) = split_path(path, query)?;
        let header = |(name, value): &(String, String)| {
            Some((HeaderName::try_from(name).ok()?, HeaderValue::try_from(value).ok()?))
        };
        Some(Self(Incoming {
            method: method.to_owned(),
            segments,
            path: below,
            query: query.map(str::to_owned),
            headers: headers.iter().map(header).collect::<Option<HeaderMap>>()?,
            body: body.into(),
        }))
    }
}

impl Unplugged {
    /// # Errors
    /// What about the tenant or an account cannot be served.
    pub fn new(tenant: SandboxTenant, stamp: Timestamp) -> Result<Self, String> {
        let (stage, started) = (Stage::new(tenant, stamp)?, Instant::now());
        Ok(Self { stage, started })
    }

    /// A request arrives and meets the fault; names the user that it is about. It is in flight until
    /// [`Self::depart`] is told.
    pub fn receive(
        &mut self,
        exchange: &Exchange,
        fault: Option<Fault>,
        stamp: Timestamp,
    ) -> (Returned, Option<String>) {
        let Exchange(incoming) = exchange;
        let user = self.stage.arrive(incoming);
        self.stage.set_faults(fault.map_or_else(Faults::none, Faults::always));
        let now = Instant::now();
        let moment = Moment { since_start: now - self.started, now, stamp };
        let Turn { answer, delay, cut_body, effect_after } = self.stage.receive(incoming, moment);
        let answer = answer.map(|answer| Answered {
            status: answer.status,
            headers: answer.headers.into_iter().map(|(n, v)| (n.to_owned(), v)).collect(),
            body: answer.body.into_bytes(),
        });
        (Returned { answer, delay, cut_body, effect_after }, user)
    }

    /// That user's request is answered, or its connection has ended.
    pub fn depart(&mut self, user: &str) {
        self.stage.judge.depart(user);
    }

    /// The effect of a request whose sender has long lost the connection.
    pub fn late_effect(&mut self, exchange: &Exchange, stamp: Timestamp) {
        self.stage.late_effect(&exchange.0, stamp);
    }

    /// Every request so far, in the order of arrival.
    pub fn requests(&self) -> &[Seen] {
        &self.stage.seen
    }

    /// What a careful, minimal client would never have done.
    pub fn violations(&self) -> &[String] {
        &self.stage.judge.violations
    }

    /// The user that the request names, and that there need not be.
    pub fn user_of(&self, exchange: &Exchange) -> Option<String> {
        self.stage.user_of(&exchange.0)
    }

    /// The body of a successful GET, without a request.
    pub fn show(&self, id: &str) -> Option<Value> {
        self.stage.show(id)
    }

    /// The account as it is kept.
    pub fn account(&self, id: &str) -> Option<&Value> {
        self.stage.tenant.accounts.get(id)
    }

    /// All accounts, by their ids.
    pub fn accounts(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.stage.tenant.accounts.iter().map(|(id, account)| (id.as_str(), account))
    }

    /// Puts an account there, as someone else's doing.
    ///
    /// # Errors
    /// Why it cannot be served.
    pub fn set_account(
        &mut self,
        id: &str,
        account: Value,
        stamp: Timestamp,
    ) -> Result<(), String> {
        self.stage.set_account(id.to_owned(), account, stamp)
    }
}
