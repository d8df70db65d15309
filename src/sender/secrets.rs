//! A tenant's secrets while it is sent to.

use super::login::Login;
use secrecy::{ExposeSecret, SecretString};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

/// What a tenant's requests are let in with.
#[derive(Debug)]
pub enum Access {
    /// Tokens that a person was given, kept like any secret.
    Kept(Secrets),
    /// Tokens that are fetched.
    Fetched(Box<Login>),
}

/// A tenant's secrets by name, and how to fetch them anew.
pub struct Secrets {
    load: Loader,
    current: Mutex<Arc<BTreeMap<String, SecretString>>>,
}

/// Reads the secrets from where they are kept; an error says which could not be read, and why.
pub type Loader = Box<dyn Fn() -> Result<BTreeMap<String, SecretString>, String> + Send + Sync>;

impl Access {
    /// Whether a request that was refused with these is worth sending again with others.
    pub(super) fn renew(&self, refused: &Arc<BTreeMap<String, SecretString>>) -> bool {
        match self {
            Self::Kept(secrets) => secrets.renew(refused),
            Self::Fetched(login) => login.renew(refused),
        }
    }
}

impl From<Secrets> for Access {
    fn from(secrets: Secrets) -> Self {
        Self::Kept(secrets)
    }
}

impl From<Login> for Access {
    fn from(login: Login) -> Self {
        Self::Fetched(Box::new(login))
    }
}

impl Secrets {
    pub fn load(load: Loader) -> Result<Self, String> {
        let current = Mutex::new(Arc::new(load()?));
        Ok(Self { load, current })
    }

    pub(super) fn current(&self) -> Arc<BTreeMap<String, SecretString>> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// As they are kept now; those from before, where they cannot be read.
    pub(super) fn read_again(&self) -> Arc<BTreeMap<String, SecretString>> {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if let Ok(fresh) = (self.load)() {
            *current = Arc::new(fresh);
        }
        current.clone()
    }

    /// Reads them again. `false` when they could not be read or are those that were just refused,
    /// so that sending again would be refused again.
    fn renew(&self, refused: &BTreeMap<String, SecretString>) -> bool {
        let text = |secrets: &BTreeMap<String, SecretString>| -> Vec<String> {
            secrets.values().map(|secret| secret.expose_secret().to_owned()).collect()
        };
        text(&self.read_again()) != text(refused)
    }
}

impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secrets")
    }
}
