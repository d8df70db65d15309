//! A tenant's secrets while it is sent to.

use secrecy::{ExposeSecret, SecretString};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

/// A tenant's secrets by name, and how to fetch them anew.
pub struct Secrets {
    load: Loader,
    current: Mutex<Arc<BTreeMap<String, SecretString>>>,
}

/// Reads the secrets from where they are kept; an error says which could not be read, and why.
pub type Loader = Box<dyn Fn() -> Result<BTreeMap<String, SecretString>, String> + Send + Sync>;

impl Secrets {
    pub fn load(load: Loader) -> Result<Self, String> {
        let current = Mutex::new(Arc::new(load()?));
        Ok(Self { load, current })
    }

    pub(super) fn current(&self) -> Arc<BTreeMap<String, SecretString>> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Reads them again. `false` when they could not be read or are those that were just refused,
    /// so that sending again would be refused again.
    pub(super) fn renew(&self, refused: &BTreeMap<String, SecretString>) -> bool {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if let Ok(fresh) = (self.load)() {
            *current = Arc::new(fresh);
        }
        let text = |secrets: &BTreeMap<String, SecretString>| -> Vec<String> {
            secrets.values().map(|secret| secret.expose_secret().to_owned()).collect()
        };
        text(&current) != text(refused)
    }
}
