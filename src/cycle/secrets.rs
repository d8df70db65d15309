//! A tenant's secrets, read when they are needed and again when the target takes them no more.

use crate::{config::TenantConfig, sender::Secrets};

pub(super) fn secrets(config: &TenantConfig) -> Result<Secrets, String> {
    let places = config.secrets.clone();
    Secrets::load(Box::new(move || {
        let read = |(name, secret): (&String, &crate::config::Secret)| {
            secret.read().map(|text| (name.clone(), text)).map_err(|problem| problem.to_string())
        };
        places.iter().map(read).collect()
    }))
}
