//! The listener, and the way from a socket to a [`Stage`] and back.

use super::{
    Faults, Lie, SandboxTenant, Seen,
    answer::Answer,
    login::Doorkeeper,
    practice::Incoming,
    stage::{Moment, Stage},
    wire::{Door, Link, Links},
};
use axum::{
    Router,
    body::{Body, Bytes},
    extract::{ConnectInfo, Request, State, connect_info::Connected},
    http::{HeaderName, HeaderValue, StatusCode},
    response::Response,
    serve::IncomingStream,
};
use jiff::Timestamp;
use serde_json::Value;
use std::{
    collections::BTreeMap,
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::{net::TcpListener, task::JoinHandle, time::Instant};

/// The strictest of the five documents takes 10 MiB.
const BODY_BYTES_MAX: usize = 10_485_760;

/// The running practice servers. Its methods panic when asked for a tenant that it does not have.
#[derive(Debug)]
pub struct Sandbox {
    address: SocketAddr,
    hall: Arc<Hall>,
    door: JoinHandle<()>,
}

impl Sandbox {
    /// Listens on a loopback address; port 0 takes a free one.
    ///
    /// # Errors
    /// `InvalidInput` where a tenant or an account cannot be served, the address is not loopback,
    /// or what the system says about listening there.
    pub async fn start(listen: SocketAddr, tenants: Vec<SandboxTenant>) -> io::Result<Self> {
        if !listen.ip().is_loopback() {
            return Err(invalid("the sandbox listens on loopback addresses only"));
        }
        let hall = Arc::new(Hall::open(tenants)?);
        let listener = TcpListener::bind(listen).await?;
        let address = listener.local_addr()?;
        let door = Door { listener, links: Arc::clone(&hall.links) };
        let router = Router::new().fallback(serve).with_state(Arc::clone(&hall));
        let service = router.into_make_service_with_connect_info::<Peer>();
        let door = tokio::spawn(async move {
            // The listener retries by itself, so that serving ends only with the task.
            let _ = axum::serve(door, service).await;
        });
        Ok(Self { address, hall, door })
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where that tenant's API begins: `http://127.0.0.1:PORT/TENANT`.
    pub fn base_url(&self, tenant: &str) -> String {
        format!("http://{}/{tenant}", self.address)
    }

    /// Every request so far, in the order of arrival.
    pub fn requests(&self, tenant: &str) -> Vec<Seen> {
        self.hall.stage(tenant).seen.clone()
    }

    /// Forgets the requests of all tenants; violations stay.
    pub fn clear_requests(&self) {
        for stage in self.hall.stages.values() {
            lock(stage).seen.clear();
        }
    }

    /// What a careful, minimal client would never have done.
    pub fn violations(&self, tenant: &str) -> Vec<String> {
        self.hall.stage(tenant).judge.violations.clone()
    }

    /// The account as a GET would show it now.
    pub fn account(&self, tenant: &str, id: &str) -> Option<Value> {
        self.hall.stage(tenant).tenant.accounts.get(id).cloned()
    }

    /// All accounts that are there, by id.
    pub fn accounts(&self, tenant: &str) -> BTreeMap<String, Value> {
        self.hall.stage(tenant).tenant.accounts.clone()
    }

    /// Puts an account there, as someone else's doing.
    pub fn set_account(&self, tenant: &str, id: &str, account: Value) {
        let outcome = self.hall.stage(tenant).set_account(id.to_owned(), account, wall_clock());
        if let Err(problem) = outcome {
            panic!("the account of `{tenant}` cannot be served: {problem}");
        }
    }

    /// Takes an account away, as someone else's doing.
    pub fn remove_account(&self, tenant: &str, id: &str) -> Option<Value> {
        self.hall.stage(tenant).tenant.accounts.remove(id)
    }

    /// Has the requests arrive that [`Fault::Withheld`](super::Fault::Withheld) held up.
    pub fn release(&self, tenant: &str) {
        self.hall.stage(tenant).release(wall_clock());
    }

    /// No token that a login gave out so far is taken any more.
    pub fn revoke_tokens(&self, tenant: &str) {
        self.hall.stage(tenant).door.revoke();
    }

    /// Who may log in from now on, with nothing held against anybody.
    pub fn set_login(&self, tenant: &str, login: super::PracticeLogin) {
        let mut stage = self.hall.stage(tenant);
        (stage.tenant.login, stage.door) = (Some(login), Doorkeeper::default());
    }

    /// From the next page of a list on.
    pub fn set_lie(&self, tenant: &str, lie: Option<Lie>) {
        self.hall.stage(tenant).set_lie(lie);
    }

    /// From the next request on.
    pub fn set_faults(&self, tenant: &str, faults: Faults) {
        self.hall.stage(tenant).set_faults(faults);
    }

    /// Closes the listener and every connection.
    pub async fn stop(self) {
        self.door.abort();
        // The only outcome is the abort just asked for.
        let _ = self.door.await;
        self.hall.links.cut_all();
    }
}

/// All tenants and connections.
struct Hall {
    started: Instant,
    stages: BTreeMap<String, Mutex<Stage>>,
    links: Arc<Links>,
}

impl Hall {
    fn open(tenants: Vec<SandboxTenant>) -> io::Result<Self> {
        let mut stages = BTreeMap::new();
        for tenant in tenants {
            let name = tenant.name.clone();
            let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
            if name.is_empty() || !name.bytes().all(is_plain) {
                return Err(invalid(&format!("`{name}` cannot be a tenant's name in a path")));
            }
            let stage = Stage::new(tenant, wall_clock())
                .map_err(|problem| invalid(&format!("tenant `{name}`: {problem}")))?;
            if stages.insert(name.clone(), Mutex::new(stage)).is_some() {
                return Err(invalid(&format!("two tenants are called `{name}`")));
            }
        }
        Ok(Self { started: Instant::now(), stages, links: Arc::default() })
    }

    fn stage(&self, tenant: &str) -> MutexGuard<'_, Stage> {
        match self.stages.get(tenant) {
            Some(stage) => lock(stage),
            None => panic!("the sandbox has no tenant `{tenant}`"),
        }
    }

    fn moment(&self) -> Moment {
        let now = Instant::now();
        Moment { since_start: now - self.started, now, stamp: wall_clock() }
    }
}

impl std::fmt::Debug for Hall {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.stages.keys()).finish()
    }
}

/// The connection that a request came over.
#[derive(Clone)]
struct Peer(Arc<Link>);

impl Connected<IncomingStream<'_, Door>> for Peer {
    fn connect_info(stream: IncomingStream<'_, Door>) -> Self {
        Self(Arc::clone(&stream.io().link))
    }
}

async fn serve(
    State(hall): State<Arc<Hall>>,
    ConnectInfo(Peer(link)): ConnectInfo<Peer>,
    request: Request,
) -> Response {
    let (head, body) = request.into_parts();
    let Some((tenant, mut incoming)) = split_head(&head) else { return status(404) };
    if !hall.stages.contains_key(&tenant) {
        return status(404);
    }
    let in_flight = InFlight::of(&hall, &tenant, &incoming);
    match read_body(&incoming, body).await {
        Payload::Whole(bytes) => incoming.body = bytes,
        Payload::TooLong => return respond(hall.stage(&tenant).refuse_long(&incoming)),
        Payload::Broken => {
            link.cut();
            return status(400);
        }
    }
    let turn = hall.stage(&tenant).receive(&incoming, hall.moment());
    if let Some(after) = turn.effect_after {
        let hall = Arc::clone(&hall);
        tokio::spawn(async move {
            tokio::time::sleep(after).await;
            hall.stage(&tenant).late_effect(&incoming, wall_clock());
        });
    }
    if !turn.delay.is_zero() {
        tokio::time::sleep(turn.delay).await;
    }
    drop(in_flight);
    if turn.cut_body {
        link.cut_in_the_next_body();
    }
    let Some(answer) = turn.answer else {
        link.cut();
        // Never leaves: the connection refuses to write.
        return status(500);
    };
    respond(answer)
}

/// A request counts as in flight from its head to its answer, or until its connection ends.
struct InFlight {
    hall: Arc<Hall>,
    tenant: String,
    user: Option<String>,
}

impl InFlight {
    fn of(hall: &Arc<Hall>, tenant: &str, request: &Incoming) -> Self {
        let user = hall.stage(tenant).arrive(request);
        Self { hall: Arc::clone(hall), tenant: tenant.to_owned(), user }
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        if let Some(user) = &self.user {
            self.hall.stage(&self.tenant).judge.depart(user);
        }
    }
}

/// The tenant's name, and the request below its prefix, still without the body.
fn split_head(head: &axum::http::request::Parts) -> Option<(String, Incoming)> {
    let query = head.uri.query();
    let (tenant, segments, path) = split_path(head.uri.path(), query)?;
    let incoming = Incoming {
        method: head.method.to_string(),
        segments,
        path,
        query: query.map(str::to_owned),
        headers: head.headers.clone(),
        body: Bytes::new(),
    };
    Some((tenant, incoming))
}

/// The tenant's name; below its prefix the segments, and the whole path with its query.
pub(super) fn split_path(
    path: &str,
    query: Option<&str>,
) -> Option<(String, Vec<Option<String>>, String)> {
    let (tenant, below) = path.strip_prefix('/')?.split_once('/')?;
    let suffix = query.map_or_else(String::new, |query| format!("?{query}"));
    let segments = below.split('/').map(percent_decoded).collect();
    Some((tenant.to_owned(), segments, format!("/{below}{suffix}")))
}

/// RFC 3986 §2.1; `None` where that gives no text.
fn percent_decoded(segment: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(segment.len());
    let mut rest = segment.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte == b'%' {
            let (digits, after) = rest.split_at_checked(2)?;
            rest = after;
            bytes.push(u8::from_str_radix(str::from_utf8(digits).ok()?, 16).ok()?);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok()
}

enum Payload {
    Whole(Bytes),
    TooLong,
    /// The client went away in the middle of it.
    Broken,
}

async fn read_body(request: &Incoming, body: Body) -> Payload {
    let announced = request.header("content-length").and_then(|length| length.parse().ok());
    if announced.is_some_and(|bytes: usize| bytes > BODY_BYTES_MAX) {
        return Payload::TooLong;
    }
    axum::body::to_bytes(body, BODY_BYTES_MAX).await.map_or(Payload::Broken, Payload::Whole)
}

fn respond(answer: Answer) -> Response {
    let mut response = Response::new(Body::from(answer.body));
    *response.status_mut() = StatusCode::from_u16(answer.status).unwrap_or_default();
    for (name, value) in answer.headers {
        // From bytes, since an invalid Retry-After may hold any text.
        if let Ok(value) = HeaderValue::from_bytes(value.as_bytes()) {
            response.headers_mut().append(HeaderName::from_static(name), value);
        }
    }
    response
}

fn status(status: u16) -> Response {
    respond(Answer { status, headers: Vec::new(), body: String::new() })
}

fn invalid(problem: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, problem)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[expect(clippy::disallowed_methods, reason = "a server stamps what it changes with its own clock")]
fn wall_clock() -> Timestamp {
    Timestamp::now()
}
