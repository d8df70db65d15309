//! One request and its response over HTTP, and nothing else.

use super::{
    hide,
    resolver::{Lookup, OfMachine, Refused, Resolver},
};
use crate::model::{Body, Method, Reach, Request, Response};
use reqwest::{
    Certificate, Client,
    header::{HeaderName, HeaderValue},
    redirect::Policy,
    tls,
};
use secrecy::{ExposeSecret, SecretString};
use std::{collections::BTreeMap, error::Error, sync::Arc, time::Duration};

/// What became of one request.
#[derive(Debug)]
pub enum Sent {
    /// Status line and headers came; the body perhaps only in part.
    Answered(Response),
    /// It certainly did not reach the target.
    NotSent { why: String },
    /// Part of it left, and no answer came.
    Lost { why: String },
    /// The target's certificate is not valid, or its name leads to where no request may go: none can
    /// succeed.
    Unreachable { why: String },
}

/// Bounds of one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// Until the connection stands, TLS included.
    pub connect: Duration,
    /// Without a byte from the target.
    pub idle: Duration,
    /// The whole request.
    pub total: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            idle: Duration::from_secs(30),
            total: Duration::from_mins(1),
        }
    }
}

/// Whom a tenant's requests may reach, and whom they trust.
#[derive(Clone, Debug)]
pub struct Hosts {
    pub reach: Reach,
    /// Certificate authorities besides the machine's, each as DER.
    pub authorities: Vec<Vec<u8>>,
    pub lookup: Arc<dyn Lookup>,
}

impl Hosts {
    /// By the names and with the authorities of this machine.
    #[must_use]
    pub fn within(reach: Reach) -> Self {
        Self { reach, authorities: Vec::new(), lookup: Arc::new(OfMachine) }
    }
}

/// Largest body of a response that is looked at, in bytes.
const BODY_MAX: usize = 1 << 20;
/// The same of a page of a list: a thousand users, each as large as sixteen answers usually are.
const PAGE_MAX: usize = 16 << 20;

/// The HTTP client of one tenant. Follows no redirect (it would carry the body, and every header but
/// `Authorization`, to another host), asks no proxy from the environment, never sends again by
/// itself, and names itself.
#[derive(Clone, Debug)]
pub struct Http {
    pub(super) client: Client,
}

/// The HTTP client could not be made.
#[derive(Debug, thiserror::Error)]
#[error("cannot set up HTTPS on this machine")]
pub struct SetupError(#[source] reqwest::Error);

impl Http {
    pub fn new(timeouts: Timeouts, hosts: Hosts) -> Result<Self, SetupError> {
        let Hosts { reach, authorities, lookup } = hosts;
        // A second call finds the provider in place, which is all that is wanted.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let authorities = authorities.iter().map(|der| Certificate::from_der(der));
        let authorities = authorities.collect::<Result<Vec<_>, _>>().map_err(SetupError)?;
        let mut builder = Client::builder();
        if !authorities.is_empty() {
            builder = builder.tls_certs_merge(authorities);
        }
        let client = builder
            .tls_version_min(tls::Version::TLS_1_2)
            .https_only(!reach.loopback)
            .dns_resolver(Resolver { lookup, reach })
            .redirect(Policy::none())
            .retry(reqwest::retry::never())
            .no_proxy()
            .referer(false)
            .user_agent(concat!("rosterd/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(timeouts.connect)
            .read_timeout(timeouts.idle)
            .timeout(timeouts.total)
            .pool_idle_timeout(Duration::from_mins(1))
            .build()
            .map_err(SetupError)?;
        Ok(Self { client })
    }

    /// Sends one request with the tenant's secrets put in.
    pub async fn send(&self, request: Request, secrets: &BTreeMap<String, SecretString>) -> Sent {
        self.exchange(request, secrets, BODY_MAX).await
    }

    /// The same for a page of a list.
    pub(super) async fn fetch(
        &self,
        request: Request,
        secrets: &BTreeMap<String, SecretString>,
    ) -> Sent {
        self.exchange(request, secrets, PAGE_MAX).await
    }

    async fn exchange(
        &self,
        request: Request,
        secrets: &BTreeMap<String, SecretString>,
        body_max: usize,
    ) -> Sent {
        let built = match self.build(request, secrets) {
            Ok(built) => built,
            Err(why) => return Sent::NotSent { why },
        };
        match self.client.execute(built).await {
            Ok(response) => {
                Sent::Answered(hide::without(receive(response, body_max).await, secrets))
            }
            Err(error) => classify(&error),
        }
    }

    fn build(
        &self,
        request: Request,
        secrets: &BTreeMap<String, SecretString>,
    ) -> Result<reqwest::Request, String> {
        let Request { method, url, headers, credentials, body } = request;
        let method = match method {
            Method::Get => reqwest::Method::GET,
            Method::Post => reqwest::Method::POST,
            Method::Patch => reqwest::Method::PATCH,
            Method::Put => reqwest::Method::PUT,
            Method::Delete => reqwest::Method::DELETE,
        };
        let mut builder = self.client.request(method, url);
        for (name, value) in headers {
            let value = HeaderValue::try_from(value);
            let mut value = value.map_err(|_| "the request cannot be built".to_owned())?;
            value.set_sensitive(name == "authorization");
            builder = builder.header(name, value);
        }
        for header in credentials {
            let secret = secrets.get(header.credential);
            let secret = secret.ok_or_else(|| format!("no secret `{}`", header.credential))?;
            let text = format!("{}{}", header.prefix, secret.expose_secret());
            let mut value = HeaderValue::from_str(&text)
                .map_err(|_| format!("the secret `{}` cannot be a header", header.credential))?;
            value.set_sensitive(true);
            builder = builder.header(HeaderName::from_static(header.header), value);
        }
        if let Some(body) = body {
            builder = builder.body(body);
        }
        builder.build().map_err(|_| "the request cannot be built".to_owned())
    }
}

async fn receive(mut response: reqwest::Response, body_max: usize) -> Response {
    let status = response.status().as_u16();
    let headers = headers_of(&response);
    let mut bytes = Vec::new();
    let body = loop {
        match response.chunk().await {
            Ok(Some(chunk)) if bytes.len() + chunk.len() <= body_max => {
                bytes.extend_from_slice(&chunk);
            }
            Ok(None) => break Body::Whole(bytes),
            Ok(Some(_)) | Err(_) => break Body::Cut(bytes),
        }
    };
    Response { status, headers, body }
}

/// In the order of arrival, with lower-case names.
pub(super) fn headers_of(response: &reqwest::Response) -> Vec<(String, String)> {
    let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let headers = response.headers().iter();
    headers.map(|(name, value)| (name.as_str().to_owned(), text(value))).collect()
}

/// Only a connection that never stood is "not sent"; whatever else failed may have been done. The
/// texts are ours: the library's would name the URL, and with it the user.
pub(super) fn classify(error: &reqwest::Error) -> Sent {
    if error.is_builder() {
        return Sent::NotSent { why: "the request cannot be built".to_owned() };
    }
    if !error.is_connect() {
        let why = if error.is_timeout() { "no answer in time" } else { "the connection broke" };
        return Sent::Lost { why: why.to_owned() };
    }
    if let Some(refused) = causes(error).find_map(|cause| cause.downcast_ref::<Refused>()) {
        return Sent::Unreachable { why: refused.to_string() };
    }
    if let Some(why) = certificate_problem(error) {
        return Sent::Unreachable { why };
    }
    let why = if error.is_timeout() { "no connection in time" } else { "no connection" };
    Sent::NotSent { why: why.to_owned() }
}

fn certificate_problem(error: &reqwest::Error) -> Option<String> {
    causes(error).find_map(tls_error).and_then(tls_problem)
}

/// An `io::Error` names as its source what comes after the error that it holds, and may hold another.
fn tls_error<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a rustls::Error> {
    match error.downcast_ref::<std::io::Error>() {
        Some(error) => tls_error(error.get_ref()?),
        None => error.downcast_ref(),
    }
}

fn causes(error: &reqwest::Error) -> impl Iterator<Item = &(dyn Error + 'static)> {
    std::iter::successors(error.source(), |error| (*error).source())
}

fn tls_problem(error: &rustls::Error) -> Option<String> {
    match error {
        rustls::Error::InvalidCertificate(problem) => {
            Some(format!("the target's certificate is not valid: {problem}"))
        }
        rustls::Error::PeerIncompatible(_) => {
            Some("the target speaks no TLS 1.2 or newer".to_owned())
        }
        _ => None,
    }
}
