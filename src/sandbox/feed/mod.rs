//! A practice HR feed on loopback: the same people, cut into pages in every way that feeds know.
//!
//! | path | what leads on |
//! |---|---|
//! | `/all` | nothing: one page with `ETag` |
//! | `/link?page=N` | a `Link` header |
//! | `/next?page=N` | `next` in the body, an address |
//! | `/cursor?cursor=…` | `cursor` in the body |
//! | `/page?page=N` | the number, from 1 |
//! | `/offset?offset=N` | how many came before |
//!
//! Each page is `{"data": […], "total": N}`; `limit` asks for another size. `POST /token` gives out
//! tokens for client credentials (RFC 6749 §4.4).

mod desk;

use super::{
    RetryAfterForm,
    wire::{Door, Link, Links},
};
use axum::{
    Router,
    body::Body,
    extract::{ConnectInfo, Request, State, connect_info::Connected},
    http::{HeaderValue, StatusCode},
    response::Response,
    serve::IncomingStream,
};
use desk::{Answer, Desk};
use serde_json::Value;
use std::{
    collections::BTreeMap,
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::{net::TcpListener, task::JoinHandle};

/// Elements of a page that nobody asked to be of another size.
const PAGE_SIZE: usize = 100;
const PAGE_SIZE_MAX: usize = 10_000;
/// Longest body of a request for a token.
const FORM_BYTES_MAX: usize = 4096;

/// What a practice feed serves, and to whom.
#[derive(Clone, Debug, Default)]
pub struct FeedSettings {
    /// The elements, in their order.
    pub people: Vec<Value>,
    /// The one token that is taken; `None`: any, and none.
    pub token: Option<String>,
    /// Who may ask for tokens: the id and its secret.
    pub client: Option<(String, String)>,
    /// A fetched token is taken for so many pages; 0: for ever.
    pub pages_per_token: u32,
    /// By the number of the request for a page, from 1.
    pub faults: BTreeMap<u64, FeedFault>,
}

/// One thing that goes wrong with a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FeedFault {
    /// This status instead of a page.
    Status(u16, RetryAfterForm),
    /// The connection is closed without an answer.
    Lost,
    /// The connection is closed in the middle of the body.
    CutBody,
    Redirect(String),
    /// Success, and a page to log in at.
    SignIn,
}

/// One request as the feed saw it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FeedSeen {
    pub method: String,
    /// With the query, if there was one.
    pub path: String,
    /// `None`: the connection was closed without an answer.
    pub status: Option<u16>,
}

/// A running practice feed.
#[derive(Debug)]
pub struct PracticeFeed {
    address: SocketAddr,
    office: Arc<Office>,
    door: JoinHandle<()>,
}

impl PracticeFeed {
    /// Listens on a loopback address; port 0 takes a free one.
    ///
    /// # Errors
    /// `InvalidInput` where the address is not loopback, or what the system says about listening.
    pub async fn start(listen: SocketAddr, settings: FeedSettings) -> io::Result<Self> {
        if !listen.ip().is_loopback() {
            let why = "the practice feed listens on loopback addresses only";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, why));
        }
        let office = Arc::new(Office::new(settings));
        let listener = TcpListener::bind(listen).await?;
        let address = listener.local_addr()?;
        let door = Door { listener, links: Arc::clone(&office.links) };
        let router = Router::new().fallback(serve).with_state(Arc::clone(&office));
        let service = router.into_make_service_with_connect_info::<Peer>();
        let door = tokio::spawn(async move {
            // The listener retries by itself, so that serving ends only with the task.
            let _ = axum::serve(door, service).await;
        });
        Ok(Self { address, office, door })
    }

    /// `http://127.0.0.1:PORT/NAME`.
    pub fn url(&self, name: &str) -> String {
        format!("http://{}/{name}", self.address)
    }

    /// Every request so far, in the order of arrival.
    pub fn requests(&self) -> Vec<FeedSeen> {
        self.office.desk().seen.clone()
    }

    pub fn clear_requests(&self) {
        self.office.desk().seen.clear();
    }

    /// From the next request on.
    pub fn set_people(&self, people: Vec<Value>) {
        self.office.desk().people = people;
    }

    /// From the next request on, which is the first.
    pub fn set_faults(&self, faults: impl IntoIterator<Item = (u64, FeedFault)>) {
        let mut desk = self.office.desk();
        (desk.faults, desk.met) = (faults.into_iter().collect(), 0);
    }

    /// Closes the listener and every connection.
    pub async fn stop(self) {
        self.door.abort();
        // The only outcome is the abort just asked for.
        let _ = self.door.await;
        self.office.links.cut_all();
    }
}

struct Office {
    client: Option<(String, String)>,
    pages_per_token: u32,
    desk: Mutex<Desk>,
    links: Arc<Links>,
}

impl Office {
    fn new(settings: FeedSettings) -> Self {
        let FeedSettings { people, token, client, pages_per_token, faults } = settings;
        let open = token.is_none() && client.is_none();
        let tokens = token.into_iter().map(|token| (token, None)).collect();
        let (met, seen) = (0, Vec::new());
        let desk = Mutex::new(Desk { people, tokens, open, given: 0, faults, met, seen });
        Self { client, pages_per_token, desk, links: Arc::default() }
    }

    fn desk(&self) -> MutexGuard<'_, Desk> {
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Office {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Office")
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
    State(office): State<Arc<Office>>,
    ConnectInfo(Peer(link)): ConnectInfo<Peer>,
    request: Request,
) -> Response {
    let (head, body) = request.into_parts();
    let method = head.method.to_string();
    let query = head.uri.query().unwrap_or_default().to_owned();
    let path = head.uri.path_and_query().map_or_else(String::new, ToString::to_string);
    let name = head.uri.path().trim_start_matches('/').to_owned();
    let form = axum::body::to_bytes(body, FORM_BYTES_MAX).await.unwrap_or_default();
    let answer = {
        let mut desk = office.desk();
        let answer = if name == "token" {
            Some(desk.token(&office, &method, &head.headers, &form))
        } else {
            desk.page(&method, &name, &query, &head.headers)
        };
        let status = answer.as_ref().map(|answer| answer.status);
        desk.seen.push(FeedSeen { method, path, status });
        answer
    };
    let Some(answer) = answer else {
        link.cut();
        // Never leaves: the connection refuses to write.
        return respond(Answer::bare(500));
    };
    if answer.cut {
        link.cut_in_the_next_body();
    }
    respond(answer)
}

fn respond(answer: Answer) -> Response {
    let mut response = Response::new(Body::from(answer.body));
    *response.status_mut() = StatusCode::from_u16(answer.status).unwrap_or_default();
    for (name, value) in answer.headers {
        if let Ok(value) = HeaderValue::from_str(&value) {
            response.headers_mut().append(name, value);
        }
    }
    response
}
