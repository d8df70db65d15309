//! Where a cycle touches the world while it sends.

use crate::{
    config::TenantConfig,
    sender::{Hosts, Http, SetupError, Timeouts, Transport},
    store::{Scribe, Store, Writer},
};
use std::{fmt, sync::Arc};

/// How a tenant is reached, and how is written down what is sent to it. What is decided about
/// anybody's data is on this side of both, so that a simulation that has its own of each (see
/// [`super::Session::through`]) runs all of it.
#[derive(Clone)]
pub struct Edges {
    pub transport: Arc<OpenTransport>,
    pub scribe: Arc<OpenScribe>,
}

/// Called when a tenant's first request of a run is about to leave.
pub type OpenTransport =
    dyn Fn(&TenantConfig, Timeouts) -> Result<Transport, SetupError> + Send + Sync;

/// Called at the beginning of each round that sends.
pub type OpenScribe = dyn Fn(Store) -> Box<dyn Scribe> + Send + Sync;

impl Default for Edges {
    /// HTTPS, and a thread that commits in groups.
    fn default() -> Self {
        Self {
            transport: Arc::new(|tenant, timeouts| {
                let hosts = Hosts {
                    authorities: tenant.authorities.certificates().to_vec(),
                    ..Hosts::within(tenant.reach)
                };
                Http::new(timeouts, hosts).map(Transport::Http)
            }),
            scribe: Arc::new(|store| Box::new(Writer::spawn(store))),
        }
    }
}

impl fmt::Debug for Edges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Edges")
    }
}
