//! Before the first request to a tenant: whether anything may leave, and what it leaves through.

use super::{
    Options, TenantEnd,
    blank::{chain, of_store, refusal},
    secrets::access,
    tenant::Desk,
    window::pacer,
};
use crate::{
    engine::retry::{WAIT_IN_RUN_MAX, moment_after},
    sender::{Lane, Timeouts},
    store::Store,
};
use jiff::SignedDuration;
use std::time::Duration;
use tokio::time::Instant;

/// When the target last refused the credentials.
pub(super) const REFUSED: &str = "credentials:refused";
/// A run within that time after it tries them with one request first, so that an account is not
/// locked by runs that come one after another.
const PROBE_FIRST: SignedDuration = SignedDuration::from_hours(1);

impl Desk {
    /// A lane for what this run sends to the tenant.
    ///
    /// # Errors
    /// The tenant's end, when nothing may be sent to it, or nothing can.
    pub(super) fn open_lane(&mut self, options: &Options) -> Result<Lane, TenantEnd> {
        self.verify()?;
        if let Some(end) = refusal(&self.report.notices) {
            return Err(end);
        }
        let config = &self.case.config;
        let store = self.store.as_ref().ok_or(TenantEnd::State { why: "no state".to_owned() })?;
        let (clock, started) = (self.clock, Instant::now());
        let pause = store.pause().map_err(|error| of_store(&error))?;
        let paused = pause.map_or(Duration::ZERO, |pause| clock.until(pause.until));
        if paused > WAIT_IN_RUN_MAX {
            let until = moment_after(clock.now(), paused);
            return Err(TenantEnd::Paused { until });
        }
        let pacer = pacer(config, store, &clock, started).map_err(|error| of_store(&error))?;
        if !paused.is_zero() {
            let (tenant, wait_s) = (&config.id, paused.as_secs());
            tracing::info!(%tenant, wait_s, "waiting: the target wanted silence last time");
        }
        pacer.pause_until(started + paused);
        let unusable = |why| TenantEnd::Unusable { why };
        let timeouts = Timeouts { total: config.request_timeout, ..Timeouts::default() };
        let transport = (self.edges.transport)(config, timeouts);
        let transport = transport.map_err(|error| unusable(chain(&error)))?;
        let access = access(config, &self.edges, clock).map_err(unusable)?;
        let mut lane = Lane::new(
            config.id.clone(),
            config.dialect.clone(),
            config.reads,
            transport,
            pacer,
            access,
            config.concurrency,
            clock,
            started + config.run_deadline,
            options.stop.clone(),
        );
        lane.reset_unit = config.rate_limit_reset;
        let refused = store.mark(REFUSED).map_err(|error| of_store(&error))?;
        if refused.is_some_and(|at| clock.now().duration_since(at) < PROBE_FIRST) {
            lane.probe_first();
        }
        Ok(lane)
    }

    /// Before the first request leaves: what is sent is decided by what the whole file says.
    fn verify(&mut self) -> Result<(), TenantEnd> {
        let store = self.store.as_mut();
        store.map_or(Ok(()), Store::make_ready_to_send).map_err(|error| of_store(&error))
    }
}
