//! What a tenant's requests are let in with: secrets, read when they are needed and again when the
//! target takes them no more, or the login that gives it tokens.

use super::{blank::chain, edges::Edges};
use crate::{
    config::TenantConfig,
    sender::{Access, Clock, Login, Secrets, Timeouts, login::CALL_TIMEOUT},
};

pub(super) fn access(config: &TenantConfig, edges: &Edges, clock: Clock) -> Result<Access, String> {
    let kept = secrets(config)?;
    let Some(login) = &config.login else { return Ok(kept.into()) };
    let timeouts = Timeouts { total: CALL_TIMEOUT, ..Timeouts::default() };
    let transport = (edges.transport)(config, timeouts).map_err(|error| chain(&error))?;
    Ok(Login::new(login.clone(), transport, kept, clock).into())
}

fn secrets(config: &TenantConfig) -> Result<Secrets, String> {
    let places = config.secrets.clone();
    Secrets::load(Box::new(move || {
        let read = |(name, secret): (&String, &crate::config::Secret)| {
            secret.read().map(|text| (name.clone(), text)).map_err(|problem| problem.to_string())
        };
        places.iter().map(read).collect()
    }))
}
