//! The network between the sender and one target.

use crate::{
    oracle::Oracle,
    planted::Planted,
    target::{Leaving, Shared, Target},
};
use rosterd::{
    model::{Body, Request, Response},
    sandbox::{Answered, Exchange, Returned},
    sender::{Sending, Timeouts, Within, http::Sent},
};
use rusqlite::{Connection, OpenFlags};
use secrecy::{ExposeSecret, SecretString};
use std::{
    collections::BTreeMap,
    fmt,
    hash::{DefaultHasher, Hash, Hasher},
    path::PathBuf,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::{
    sync::oneshot,
    time::{Instant, sleep, sleep_until, timeout},
};

/// One run's way to one target.
pub(crate) struct Wire {
    pub(crate) target: Shared,
    pub(crate) oracle: Oracle,
    /// Every request goes below this address.
    pub(crate) base: String,
    pub(crate) timeouts: Timeouts,
    /// The process that sends has not been killed.
    pub(crate) alive: Arc<AtomicBool>,
    pub(crate) eyes: Eyes,
    pub(crate) planted: Option<Planted>,
    /// When the next request may leave, where that is planted: a bucket that is full at first.
    pub(crate) bucket: Arc<Mutex<Instant>>,
}

/// Looks into the state file beside its writer.
#[derive(Clone)]
pub(crate) struct Eyes {
    pub(crate) file: PathBuf,
    pub(crate) open: Arc<Mutex<Option<Connection>>>,
}

impl Eyes {
    pub(crate) fn of(file: PathBuf) -> Self {
        Self { file, open: Arc::default() }
    }

    /// Whether the intent to change that user is on the disk.
    fn see_intent(&self, key: &str) -> bool {
        let mut open = self.open.lock().unwrap();
        let db = open.get_or_insert_with(|| {
            Connection::open_with_flags(&self.file, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap()
        });
        let mut find = db
            .prepare_cached("SELECT count(*) FROM intent WHERE key = ?1 AND action = 'patch'")
            .unwrap();
        find.query_row([key], |row| row.get::<_, i64>(0)).unwrap() > 0
    }
}

impl Within for Wire {
    fn send<'a>(
        &'a self,
        request: Request,
        secrets: &'a BTreeMap<String, SecretString>,
    ) -> Sending<'a> {
        Box::pin(self.carry(request, secrets))
    }
}

impl Wire {
    async fn carry(&self, request: Request, secrets: &BTreeMap<String, SecretString>) -> Sent {
        if self.planted == Some(Planted::BucketAsLargeAsTheQuota) {
            self.wait_for_a_token().await;
        }
        if self.planted == Some(Planted::HedgedRequests) {
            let first = self.once(&request, secrets);
            let second = async {
                sleep(Duration::from_millis(300)).await;
                self.once(&request, secrets).await
            };
            return tokio::select! { biased; sent = first => sent, sent = second => sent };
        }
        loop {
            let sent = self.once(&request, secrets).await;
            let Sent::Answered(response) = &sent else { return sent };
            let header = |name| response.header(name).next().map(str::to_owned);
            if self.planted == Some(Planted::RetryAfterForOneUser)
                && let (429, Some(Ok(wait))) =
                    (response.status, header("retry-after").map(|text| text.parse()))
            {
                sleep(Duration::from_secs(wait)).await;
                continue;
            }
            if self.planted == Some(Planted::RedirectFollowed)
                && let Some(place) = header("location")
            {
                let url = format!("https://elsewhere{place}").parse().unwrap();
                let moved = Request { url, ..request.clone() };
                return self.once(&moved, secrets).await;
            }
            return sent;
        }
    }

    async fn once(&self, request: &Request, secrets: &BTreeMap<String, SecretString>) -> Sent {
        if !self.alive.load(Ordering::Relaxed) {
            return std::future::pending().await;
        }
        let method = request.method.as_str();
        let exchange = Self::exchange(request, secrets);
        let leaving = {
            let mut target = self.target();
            if !request.url.as_str().starts_with(&self.base) {
                self.oracle.breach("INV-13", "a request goes to an address of nobody's");
                return Sent::NotSent { why: "no such host".to_owned() };
            }
            let leaving = target.leave(method, &exchange, digest(request));
            if method == "PATCH" {
                self.look_for_intent(&target, &leaving);
            }
            leaving
        };
        let _landing = Landing { target: self.target.clone(), user: leaving.user.clone() };
        match leaving.fate {
            crate::weather::Fate::NoConnection => {
                sleep(leaving.way_there).await;
                return Sent::NotSent { why: "no connection".to_owned() };
            }
            crate::weather::Fate::NoRoute => {
                sleep(self.timeouts.connect).await;
                return Sent::NotSent { why: "no connection in time".to_owned() };
            }
            _ => {}
        }
        self.travel(exchange, leaving).await
    }

    async fn travel(&self, exchange: Exchange, leaving: Leaving) -> Sent {
        let (bring, brought) = oneshot::channel();
        let (target, user) = (self.target.clone(), leaving.user.clone());
        // What has left arrives, also when its sender is dead by then.
        tokio::spawn(async move {
            sleep(leaving.way_there).await;
            let returned = target.lock().unwrap().arrive(&exchange, &leaving);
            let (delay, late) = (returned.delay + leaving.way_back, returned.effect_after);
            // Nobody may be there any more.
            let _ = bring.send((returned, Instant::now() + delay, leaving));
            if let Some(late) = late {
                sleep(late).await;
                target.lock().unwrap().happen_late(&exchange, &user);
            }
        });
        let answered = async {
            let (returned, due, leaving) = brought.await.ok()?;
            sleep_until(due).await;
            Some((returned, leaving))
        };
        let Ok(Some((returned, leaving))) = timeout(self.timeouts.total, answered).await else {
            return Sent::Lost { why: "no answer in time".to_owned() };
        };
        let Returned { answer, cut_body, delay: _, effect_after: _ } = returned;
        let Some(Answered { status, headers, mut body }) = answer else {
            return Sent::Lost { why: "the connection broke".to_owned() };
        };
        let retry_after = headers.iter().find(|(name, _)| name == "retry-after");
        let retry_after = retry_after.map(|(_, value)| value.as_str());
        self.target().deliver(&leaving, status, retry_after);
        let body = if cut_body {
            body.truncate(body.len() / 2);
            Body::Cut(body)
        } else {
            Body::Whole(body)
        };
        Sent::Answered(Response { status, headers, body })
    }

    fn look_for_intent(&self, target: &Target, leaving: &Leaving) {
        let key = target.keys.get(&leaving.user).map_or("", String::as_str);
        if !self.eyes.see_intent(key) {
            let what = format!("{}: a PATCH of {key} leaves without an intent", target.name());
            self.oracle.breach("INV-1", &what);
        }
    }

    fn exchange(request: &Request, secrets: &BTreeMap<String, SecretString>) -> Exchange {
        let own = request.headers.iter().map(|(name, value)| ((*name).to_owned(), value.clone()));
        let credential = |header: &rosterd::model::CredentialHeader| {
            let secret = secrets[header.credential].expose_secret();
            (header.header.to_owned(), format!("{}{secret}", header.prefix))
        };
        let credentials = request.credentials.iter().map(credential);
        let name = [("user-agent".to_owned(), "rosterd/simulated".to_owned())];
        let headers: Vec<_> = own.chain(credentials).chain(name).collect();
        let url = &request.url;
        let query = url.query().map_or_else(String::new, |query| format!("?{query}"));
        let path = format!("{}{query}", url.path());
        let body = request.body.clone().unwrap_or_default();
        Exchange::of(request.method.as_str(), &path, &headers, body).unwrap()
    }

    async fn wait_for_a_token(&self) {
        let (interval, window) = {
            let target = self.target();
            (target.quota.interval(), target.quota.per)
        };
        let due = {
            let mut next = self.bucket.lock().unwrap();
            let now = Instant::now();
            // Full: the next token was there a window ago.
            let full = now.checked_sub(window).unwrap_or(now);
            let due = (*next).max(full) + interval;
            *next = due;
            due
        };
        sleep_until(due).await;
    }

    fn target(&self) -> MutexGuard<'_, Target> {
        self.target.lock().unwrap()
    }
}

fn digest(request: &Request) -> u64 {
    let mut hasher = DefaultHasher::new();
    (&request.url, &request.headers, &request.body).hash(&mut hasher);
    hasher.finish()
}

/// A request is under way until this is dropped.
struct Landing {
    target: Shared,
    user: String,
}

impl Drop for Landing {
    fn drop(&mut self) {
        if let Ok(mut target) = self.target.lock() {
            target.land(&self.user);
        }
    }
}

impl fmt::Debug for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Wire({})", self.base)
    }
}
