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

use super::{
    RetryAfterForm,
    wire::{Door, Link, Links},
};
use crate::sender::login::base64;
use axum::{
    Router,
    body::{Body, Bytes},
    extract::{ConnectInfo, Request, State, connect_info::Connected},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::Response,
    serve::IncomingStream,
};
use flate2::{Compression, write::GzEncoder};
use jiff::Timestamp;
use serde_json::{Map, Value, json};
use std::{
    collections::BTreeMap,
    io::{self, Write as _},
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

struct Desk {
    people: Vec<Value>,
    /// Those that are taken, and for how many pages yet.
    tokens: BTreeMap<String, Option<u32>>,
    /// Whether nobody needs one.
    open: bool,
    given: u32,
    faults: BTreeMap<u64, FeedFault>,
    /// Requests for pages since the faults were set.
    met: u64,
    seen: Vec<FeedSeen>,
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

/// An answer, unless the connection is closed instead.
struct Answer {
    status: u16,
    headers: Vec<(HeaderName, String)>,
    body: Vec<u8>,
    cut: bool,
}

impl Answer {
    fn bare(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: Vec::new(), cut: false }
    }

    fn json(status: u16, body: &Value) -> Self {
        let headers = vec![(header::CONTENT_TYPE, "application/json".to_owned())];
        Self { status, headers, body: body.to_string().into_bytes(), cut: false }
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

impl Desk {
    /// `None`: the connection is closed.
    fn page(
        &mut self,
        method: &str,
        name: &str,
        query: &str,
        headers: &HeaderMap,
    ) -> Option<Answer> {
        self.met += 1;
        let fault = self.faults.get(&self.met).cloned();
        if let Some(fault) = fault.as_ref().filter(|fault| **fault != FeedFault::CutBody) {
            return turned_away(fault);
        }
        if method != "GET" {
            return Some(Answer::bare(405));
        }
        if !self.admits(headers) {
            return Some(Answer::bare(401));
        }
        let mut answer = self.cut_into_pages(name, query, headers);
        answer.cut = fault.is_some();
        Some(answer)
    }

    fn admits(&mut self, headers: &HeaderMap) -> bool {
        if self.open {
            return true;
        }
        let given = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let token = given.and_then(|value| value.strip_prefix("Bearer "));
        match token.and_then(|token| self.tokens.get_mut(token)) {
            None | Some(Some(0)) => false,
            Some(None) => true,
            Some(Some(pages)) => {
                *pages -= 1;
                true
            }
        }
    }

    fn cut_into_pages(&self, name: &str, query: &str, headers: &HeaderMap) -> Answer {
        let asked = |wanted: &str| {
            let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
            pairs.filter(|(name, _)| *name == wanted).map(|(_, value)| value).next()
        };
        let number = |name: &str| asked(name).and_then(|text| text.parse::<usize>().ok());
        let size = number("limit").unwrap_or(PAGE_SIZE).clamp(1, PAGE_SIZE_MAX);
        let page = number("page").unwrap_or(1).max(1);
        let first = match name {
            "all" => 0,
            "link" | "next" | "page" => (page - 1).saturating_mul(size),
            "cursor" => asked("cursor").map_or(0, |cursor| {
                cursor.strip_prefix("c").and_then(|text| text.parse().ok()).unwrap_or(usize::MAX)
            }),
            "offset" => number("offset").unwrap_or(0),
            _ => return Answer::bare(404),
        };
        let size = if name == "all" { usize::MAX } else { size };
        let people = self.people.iter().skip(first).take(size);
        let people: Vec<&Value> = people.collect();
        let end = first.saturating_add(people.len());
        let more = end < self.people.len();
        let mut body = Map::new();
        body.insert("data".to_owned(), json!(people));
        body.insert("total".to_owned(), json!(self.people.len()));
        let next = format!("/{name}?limit={size}&page={}", page + 1);
        let mut answer_headers = Vec::new();
        match name {
            "next" => {
                body.insert("next".to_owned(), if more { json!(next) } else { Value::Null });
            }
            "cursor" => {
                let cursor = if more { json!(format!("c{end}")) } else { Value::Null };
                body.insert("cursor".to_owned(), cursor);
            }
            "link" if more => {
                answer_headers.push((header::LINK, format!("<{next}>; rel=\"next\"")))
            }
            _ => {}
        }
        self.finish(name, Value::Object(body), answer_headers, headers)
    }

    fn finish(
        &self,
        name: &str,
        body: Value,
        further: Vec<(HeaderName, String)>,
        headers: &HeaderMap,
    ) -> Answer {
        let says = |name: HeaderName, word: &str| {
            let value = headers.get(name).and_then(|value| value.to_str().ok());
            value.is_some_and(|value| value.contains(word))
        };
        let mut answer = Answer::json(200, &body);
        if name == "all" {
            let all = Value::from(self.people.clone()).to_string();
            let tag = format!("\"{:032x}\"", xxhash_rust::xxh3::xxh3_128(all.as_bytes()));
            if says(header::IF_NONE_MATCH, &tag) {
                answer = Answer::bare(304);
            }
            answer.headers.push((header::ETAG, tag));
        }
        if says(header::ACCEPT_ENCODING, "gzip") && !answer.body.is_empty() {
            answer.body = gzip(&answer.body);
            answer.headers.push((header::CONTENT_ENCODING, "gzip".to_owned()));
        }
        answer.headers.extend(further);
        answer
    }

    /// RFC 6749 §4.4, with either way of telling who asks (§2.3.1).
    fn token(
        &mut self,
        office: &Office,
        method: &str,
        headers: &HeaderMap,
        form: &Bytes,
    ) -> Answer {
        let Some((id, secret)) = &office.client else { return Answer::bare(404) };
        if method != "POST" {
            return Answer::bare(405);
        }
        let form: BTreeMap<String, String> =
            url::form_urlencoded::parse(form).into_owned().collect();
        let said = |name: &str| form.get(name).map(String::as_str);
        if said("grant_type") != Some("client_credentials") {
            return Answer::json(400, &json!({ "error": "unsupported_grant_type" }));
        }
        let posted = said("client_id") == Some(id) && said("client_secret") == Some(secret);
        let basic = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        if !posted
            && basic != Some(&format!("Basic {}", base64(format!("{id}:{secret}").as_bytes())))
        {
            return Answer::json(401, &json!({ "error": "invalid_client" }));
        }
        self.given += 1;
        let token = format!("practice-feed-token-{}", self.given);
        let pages = Some(office.pages_per_token).filter(|pages| *pages > 0);
        self.tokens.insert(token.clone(), pages);
        let body = json!({ "access_token": token, "token_type": "Bearer", "expires_in": 3600 });
        Answer::json(200, &body)
    }
}

/// What a fault answers; `None`: the connection is closed.
fn turned_away(fault: &FeedFault) -> Option<Answer> {
    let with = |status, name: HeaderName, value: Option<String>| {
        let headers = value.map(|value| (name, value)).into_iter().collect();
        Some(Answer { headers, ..Answer::bare(status) })
    };
    match fault {
        FeedFault::Status(status, retry_after) => {
            with(*status, header::RETRY_AFTER, retry_after.header(wall_clock()))
        }
        FeedFault::Lost => None,
        FeedFault::Redirect(to) => with(302, header::LOCATION, Some(to.clone())),
        FeedFault::SignIn | FeedFault::CutBody => {
            let page = "<html><title>Sign in</title></html>".into();
            let answer = with(200, header::CONTENT_TYPE, Some("text/html".to_owned()));
            answer.map(|answer| Answer { body: page, ..answer })
        }
    }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
    // Writing to memory does not fail.
    let _ = packed.write_all(bytes);
    packed.finish().unwrap_or_default()
}

#[expect(clippy::disallowed_methods, reason = "a server stamps what it sends with its own clock")]
fn wall_clock() -> Timestamp {
    Timestamp::now()
}
