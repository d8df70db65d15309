//! The way that a lane's requests take to their target.

use super::http::{Http, Sent};
use crate::model::Request;
use secrecy::SecretString;
use std::{collections::BTreeMap, fmt, future::Future, pin::Pin, sync::Arc};

/// What carries one request there and its answer back.
#[derive(Clone, Debug)]
pub enum Transport {
    Http(Http),
    /// A target within this process, for a simulation in which nothing else has a say.
    Within(Arc<dyn Within>),
}

/// A target within this process.
pub trait Within: Send + Sync + fmt::Debug {
    fn send<'a>(
        &'a self,
        request: Request,
        secrets: &'a BTreeMap<String, SecretString>,
    ) -> Sending<'a>;
}

/// A request under way. Dropped, nobody waits for its answer any more; whether it is done then is
/// the target's business.
pub type Sending<'a> = Pin<Box<dyn Future<Output = Sent> + Send + 'a>>;

impl Transport {
    /// Sends one request with the tenant's secrets put in.
    pub async fn send(&self, request: Request, secrets: &BTreeMap<String, SecretString>) -> Sent {
        match self {
            Self::Http(http) => http.send(request, secrets).await,
            Self::Within(target) => target.send(request, secrets).await,
        }
    }

    /// Sends the request for a page of a list, which may be larger than an answer about one user.
    pub(super) async fn fetch(
        &self,
        request: Request,
        secrets: &BTreeMap<String, SecretString>,
    ) -> Sent {
        match self {
            Self::Http(http) => http.fetch(request, secrets).await,
            Self::Within(target) => target.send(request, secrets).await,
        }
    }
}

impl From<Http> for Transport {
    fn from(http: Http) -> Self {
        Self::Http(http)
    }
}
