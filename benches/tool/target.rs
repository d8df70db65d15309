//! A target on loopback: answers every PATCH with the user as it then is, and keeps a record of what
//! came when. One thread, no HTTP library: it should cost next to nothing beside its client.

use anyhow::{Context as _, Result};
use std::{
    collections::{BTreeMap, VecDeque},
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    runtime::Builder,
};

/// How the target behaves; tenants are told apart by the first segment of the path.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Manner {
    /// Time until a request is answered.
    pub(crate) after: Duration,
    /// Requests of a tenant within any second, refused ones included; what is more gets a 429.
    pub(crate) per_second: Option<usize>,
    /// When, from the first request on, it asks for silence by a 429, and for how many seconds.
    pub(crate) silence: Option<(Duration, u64)>,
    /// Keep what was sent.
    pub(crate) records: bool,
}

/// What came, by tenant.
#[derive(Debug, Default)]
pub(crate) struct Book {
    pub(crate) tenants: BTreeMap<String, Page>,
    /// Path and body of each request, in the order of their arrival.
    pub(crate) requests: Vec<(String, Vec<u8>)>,
}

#[derive(Debug, Default)]
pub(crate) struct Page {
    /// When each request came, and whether it was taken.
    pub(crate) arrivals: Vec<(Instant, bool)>,
    /// When silence was asked for.
    pub(crate) silenced: Option<Instant>,
    window: VecDeque<Instant>,
}

pub(crate) struct Target {
    pub(crate) address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<(Manner, Book)>,
}

enum Judged {
    Taken(Duration),
    /// With the seconds of `Retry-After`.
    Refused(u64),
}

impl Target {
    /// Listens from now until the process ends.
    pub(crate) fn start() -> Result<Self> {
        let listener = std::net::TcpListener::bind(("127.0.0.1", 0))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared { state: Mutex::default() });
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let serving = shared.clone();
        std::thread::spawn(move || runtime.block_on(serve(listener, serving)));
        Ok(Self { address, shared })
    }

    /// Behaves like this from now on, with an empty book; the book until now.
    pub(crate) fn turn(&self, manner: Manner) -> Book {
        let mut state = self.shared.state.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut *state, (manner, Book::default())).1
    }
}

async fn serve(listener: std::net::TcpListener, shared: Arc<Shared>) {
    let listener = TcpListener::from_std(listener).expect("a listener that does not block");
    while let Ok((stream, _)) = listener.accept().await {
        let shared = shared.clone();
        // A client that goes away in the middle of a request ends its own connection only.
        tokio::spawn(async move { converse(stream, &shared).await });
    }
}

async fn converse(mut stream: TcpStream, shared: &Shared) -> Result<()> {
    stream.set_nodelay(true)?;
    let mut input = Vec::with_capacity(4096);
    let mut output = Vec::with_capacity(1024);
    loop {
        let (head, whole) = loop {
            if let Some(found) = complete(&input) {
                break found;
            }
            if stream.read_buf(&mut input).await? == 0 {
                return Ok(());
            }
        };
        let path = path_of(&input[..head]).context("not a request")?;
        let body = &input[head..whole];
        output.clear();
        match shared.judge(path, body) {
            Judged::Taken(after) => {
                answer(path, body, &mut output);
                if !after.is_zero() {
                    tokio::time::sleep(after).await;
                }
            }
            Judged::Refused(seconds) => output.extend_from_slice(
                format!(
                    "HTTP/1.1 429 Too Many Requests\r\nretry-after: {seconds}\r\n\
                     content-length: 0\r\n\r\n"
                )
                .as_bytes(),
            ),
        }
        stream.write_all(&output).await?;
        input.drain(..whole);
    }
}

/// Where the head ends and where the body does, once both are there.
fn complete(input: &[u8]) -> Option<(usize, usize)> {
    let head = find(input, b"\r\n\r\n")? + 4;
    let length = input[..head].split(|byte| *byte == b'\n').find_map(|line| {
        let (name, value) = line.split_at_checked(15)?;
        name.eq_ignore_ascii_case(b"content-length:").then(|| value.trim_ascii())
    });
    let length = length.and_then(|length| std::str::from_utf8(length).ok()?.parse().ok());
    let whole = head + length.unwrap_or(0_usize);
    (input.len() >= whole).then_some((head, whole))
}

fn path_of(head: &[u8]) -> Option<&str> {
    let line = head.split(|byte| *byte == b'\r').next()?;
    std::str::from_utf8(line).ok()?.split(' ').nth(1)
}

/// The user, with the id of the path and the title of the body.
fn answer(path: &str, body: &[u8], output: &mut Vec<u8>) {
    let id = path.rsplit('/').next().unwrap_or_default();
    let title = title_of(body).unwrap_or_default();
    let length = br#"{"id":"","title":""}"#.len() + id.len() + title.len();
    output.extend_from_slice(b"HTTP/1.1 200 OK\r\ncontent-type: application/scim+json\r\n");
    output.extend_from_slice(format!("content-length: {length}\r\n\r\n").as_bytes());
    output.extend_from_slice(format!(r#"{{"id":"{id}","title":""#).as_bytes());
    output.extend_from_slice(title);
    output.extend_from_slice(br#""}"#);
}

/// The value of the only operation, as JSON spells it.
fn title_of(body: &[u8]) -> Option<&[u8]> {
    let start = find(body, br#""value":""#)? + 9;
    let value = &body[start..];
    let end = (0..value.len()).find(|&at| value[at] == b'"' && !value[..at].ends_with(b"\\"))?;
    Some(&value[..end])
}

fn find(text: &[u8], what: &[u8]) -> Option<usize> {
    text.windows(what.len()).position(|window| window == what)
}

impl Shared {
    fn judge(&self, path: &str, body: &[u8]) -> Judged {
        let now = Instant::now();
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let (manner, book) = &mut *state;
        if manner.records {
            book.requests.push((path.to_owned(), body.to_vec()));
        }
        let tenant = path.split('/').nth(1).unwrap_or_default();
        if !book.tenants.contains_key(tenant) {
            book.tenants.insert(tenant.to_owned(), Page::default());
        }
        let page = book.tenants.get_mut(tenant).expect("put there if it was not");
        page.judge(manner, now)
    }
}

impl Page {
    fn judge(&mut self, manner: &Manner, now: Instant) -> Judged {
        let began = self.arrivals.first().map_or(now, |(first, _)| *first);
        let mut judged = Judged::Taken(manner.after);
        if let Some(most) = manner.per_second {
            let second = Duration::from_secs(1);
            while self.window.front().is_some_and(|then| now - *then >= second) {
                self.window.pop_front();
            }
            self.window.push_back(now);
            if self.window.len() > most {
                judged = Judged::Refused(1);
            }
        }
        if let Some((when, seconds)) = manner.silence
            && self.silenced.is_none()
            && now - began >= when
        {
            self.silenced = Some(now);
            judged = Judged::Refused(seconds);
        }
        self.arrivals.push((now, matches!(judged, Judged::Taken(_))));
        judged
    }
}
