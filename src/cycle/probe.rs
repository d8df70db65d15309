//! Finds out how a tenant's server speaks its API, on one user whom nobody needs.
//!
//! One request at a time, within the tenant's quota and under its lock; that each left is recorded, so
//! that the run that follows counts it. Nothing of the user is remembered.

use super::{
    Options, TenantReport,
    session::{close_early, open_store},
    tenant::blank,
    window::pacer,
};
use crate::{
    config::{Config, TenantConfig},
    dialect::ProbeStep,
    engine::retry::RetryAfter,
    model::{RemoteId, Request, Response},
    sender::{Clock, Hosts, Http, Pacer, Timeouts, Transport, http::Sent},
    store::{Entry, Holder, Store},
};
use secrecy::SecretString;
use std::{collections::BTreeMap, time::Duration};
use tokio::time::{Instant, sleep};

/// What was found out.
#[derive(Debug)]
pub struct Probed {
    /// Keys of the API's table, where the server is not as the document has it.
    pub settings: Vec<(&'static str, serde_json::Value)>,
    pub notes: Vec<String>,
    /// Attributes of the user that could not be put back.
    pub left: Vec<String>,
}

/// Why nothing was found out.
#[derive(Debug)]
pub enum Unprobed {
    /// The state, or the tenant as it stands; the report says why.
    NotBegun(Box<TenantReport>),
    NotOffered,
    /// The attributes of the user that may not be as they were.
    Failed {
        why: String,
        left: Vec<String>,
    },
}

/// The longest silence that is waited for, and how often.
const SILENCE_MAX: Duration = Duration::from_mins(2);
const SILENCES_MAX: u32 = 5;

pub async fn probe(
    config: &Config,
    tenant: &TenantConfig,
    id: &RemoteId,
    options: &Options,
    holder: &Holder,
) -> Result<Probed, Unprobed> {
    let mut store = open_store(config, tenant, options, holder).map_err(Unprobed::NotBegun)?;
    let found = try_all(tenant, id, options, &mut store).await;
    close_early(store, blank(tenant, options.now), options);
    found
}

async fn try_all(
    tenant: &TenantConfig,
    id: &RemoteId,
    options: &Options,
    store: &mut Store,
) -> Result<Probed, Unprobed> {
    let mut prober = tenant.dialect.prober(id).ok_or(Unprobed::NotOffered)?;
    let mut wire = match Wire::open(tenant, options, store) {
        Ok(wire) => wire,
        Err(why) => return Err(Unprobed::Failed { why, left: Vec::new() }),
    };
    let mut last = None;
    loop {
        let step = prober.next(last.as_ref());
        let sent = match step {
            Ok(ProbeStep::Done { settings, notes, left }) => {
                return Ok(Probed { settings, notes, left });
            }
            Ok(ProbeStep::Send(request)) => wire.send(&request, store).await,
            Err(why) => Err(why),
        };
        match sent {
            Ok(response) => last = Some(response),
            Err(why) => return Err(Unprobed::Failed { why, left: prober.to_put_back() }),
        }
    }
}

/// The way there and back.
struct Wire<'a> {
    options: &'a Options,
    clock: Clock,
    pacer: Pacer,
    transport: Transport,
    secrets: BTreeMap<String, SecretString>,
}

impl<'a> Wire<'a> {
    fn open(
        tenant: &TenantConfig,
        options: &'a Options,
        store: &mut Store,
    ) -> Result<Self, String> {
        let clock = Clock::new(options.now, Instant::now());
        store.make_ready_to_send().map_err(|error| error.to_string())?;
        let pause = store.pause().map_err(|error| error.to_string())?;
        if pause.is_some_and(|pause| pause.until > clock.now()) {
            return Err("the target wanted silence the last time; try later".to_owned());
        }
        let pacer = pacer(tenant, store, &clock, Instant::now());
        let timeouts = Timeouts { total: tenant.request_timeout, ..Timeouts::default() };
        let hosts = Hosts {
            authorities: tenant.authorities.certificates().to_vec(),
            ..Hosts::within(tenant.reach)
        };
        let read = |(name, secret): (&String, &crate::config::Secret)| {
            secret.read().map(|text| (name.clone(), text)).map_err(|problem| problem.to_string())
        };
        Ok(Self {
            options,
            clock,
            pacer: pacer.map_err(|error| error.to_string())?,
            transport: Http::new(timeouts, hosts).map_err(|error| error.to_string())?.into(),
            secrets: tenant.secrets.iter().map(read).collect::<Result<_, _>>()?,
        })
    }

    /// One request, again after a silence that the target asks for: it sets what it says it sets.
    async fn send(&mut self, request: &Request, store: &mut Store) -> Result<Response, String> {
        for _ in 0..SILENCES_MAX {
            if *self.options.stop.borrow() {
                return Err("stopped".to_owned());
            }
            // Written down when it may leave, however long that took: the next run counts the quota by it.
            let departure = self.pacer.depart().await;
            let entry = Entry::Sent { operation_id: 0, at: self.clock.now() };
            store.commit(&[entry]).map_err(|error| error.to_string())?;
            let sent = self.transport.send(request.clone(), &self.secrets).await;
            drop(departure);
            let response = match sent {
                Sent::Answered(response) => response,
                Sent::NotSent { why } | Sent::Lost { why } | Sent::Unreachable { why } => {
                    return Err(why);
                }
            };
            if !matches!(response.status, 429 | 503) {
                return Ok(response);
            }
            let wait = match RetryAfter::of(&response, self.clock.now()) {
                RetryAfter::Wait(wait) => wait,
                RetryAfter::Absent | RetryAfter::Invalid => SILENCE_MAX,
            };
            // Known to the run that follows, however this one ends.
            if let Ok(until) = self.clock.now().checked_add(wait) {
                let why = format!("status {}", response.status);
                let pause = Entry::Pause { until, why };
                store.commit(&[pause]).map_err(|error| error.to_string())?;
            }
            if wait > SILENCE_MAX {
                return Err(format!("the target wants silence for {} s", wait.as_secs()));
            }
            sleep(wait).await;
        }
        Err("the target wanted silence too often".to_owned())
    }
}
