//! One page after another from one server: at the feed's own pace, tried again where that is of use,
//! within limits of time and size.

use super::{
    answer::{Answered, judge, not_json},
    body::{Intake, Packing, Unfit},
    flaw::Flaw,
    keys::{Held, Keys},
    limits::Limits,
};
use crate::{
    engine::{
        allowance::Allowance,
        budget::{Budget, Cost},
        retry::{self, ATTEMPTS_AFTER_ERROR_MAX, ATTEMPTS_MAX, Dice, RetryAfter},
        silence::{Silence, Silences},
    },
    model::{Body, Response},
    sender::{
        Clock, Pacer,
        stream::{Get, Incoming, Opened, Piece, Pieces, Wire},
    },
};
use std::{future::Future, time::Duration};
use tokio::{
    sync::watch,
    time::{Instant, sleep, sleep_until, timeout_at},
};
use url::Url;

/// One server, asked for one page at a time.
pub(super) struct Server<'a> {
    pub(super) wire: &'a dyn Wire,
    pub(super) pacer: &'a Pacer,
    pub(super) keys: &'a Keys,
    pub(super) headers: &'a [(String, String)],
    pub(super) limits: Limits,
    pub(super) clock: Clock,
    /// When the read of the whole feed has taken too long.
    pub(super) deadline: Instant,
    pub(super) stop: watch::Receiver<bool>,
    pub(super) cautions: Cautions,
}

/// What the answers so far add up to.
#[derive(Default)]
pub(super) struct Cautions {
    silences: Silences,
    budget: Budget,
    /// Unpacked bytes of all pages.
    bytes: u64,
    /// When the credentials were renewed because of a 401.
    renewed: Option<Instant>,
}

/// What a server says of a version, to be asked by another time (RFC 9110 §8.8).
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(super) struct Validators {
    pub(super) etag: Option<String>,
    pub(super) last_modified: Option<String>,
}

impl Validators {
    pub(super) fn is_empty(&self) -> bool {
        self.etag.is_none() && self.last_modified.is_none()
    }
}

/// What came of asking for a page.
pub(super) enum Got {
    Page(Page),
    /// It is as it was when the validators were given.
    Unchanged,
    /// It is not there any more (410).
    Gone,
}

/// One page as it came.
pub(super) struct Page {
    /// Of the `Link` headers.
    pub(super) links: Vec<String>,
    pub(super) headers: Vec<(String, String)>,
    /// `None`: the server says that it has no content (204).
    pub(super) bytes: Option<Vec<u8>>,
    pub(super) validators: Validators,
}

/// What became of one request.
enum Tried {
    Got(Got),
    /// Nothing was served; the server may serve it another time.
    Failed {
        why: String,
        attempts_max: u32,
        cost: Cost,
    },
    Throttled(RetryAfter),
    Unauthorized,
    Refused(Flaw),
}

/// The least time between two renewals of the credentials.
const RENEW_EVERY: Duration = Duration::from_mins(5);

impl Server<'_> {
    /// The page with that number at that address; `since`: only if it is not as it was then.
    pub(super) async fn page(
        &mut self,
        number: u32,
        url: &Url,
        since: &Validators,
    ) -> Result<Got, Flaw> {
        let mut failures = 0;
        loop {
            let keys = self.or_end(self.keys.current(self.pacer)).await??;
            self.or_end(self.pacer.slot()).await?;
            let departure = self.or_end(self.pacer.depart()).await?;
            let get = self.request(url, since, keys.clone());
            let asked = !since.is_empty();
            let tried = self.or_end(self.attempt(number, get, asked)).await;
            drop(departure);
            match tried? {
                Tried::Got(got) => {
                    self.learn(&got);
                    return Ok(got);
                }
                Tried::Refused(flaw) => return Err(flaw),
                Tried::Throttled(asked) => self.be_silent(asked)?,
                Tried::Unauthorized => self.renew(&keys)?,
                Tried::Failed { why, attempts_max, cost } => {
                    failures += 1;
                    if failures >= attempts_max || !self.cautions.budget.spend(cost) {
                        return Err(Flaw::Exhausted { page: number, why });
                    }
                    let wait = retry::transient(failures - 1, Instant::now().into_std(), dice());
                    self.or_end(sleep(wait)).await?;
                }
            }
        }
    }

    fn request(&self, url: &Url, since: &Validators, keys: Held) -> Get {
        let mut headers = vec![
            ("accept".to_owned(), "application/json".to_owned()),
            ("accept-encoding".to_owned(), "gzip".to_owned()),
        ];
        let own = |name: &str| self.headers.iter().any(|(own, _)| own.eq_ignore_ascii_case(name));
        headers.retain(|(name, _)| !own(name));
        headers.extend(self.headers.iter().cloned());
        let Validators { etag, last_modified } = since;
        headers.extend(etag.iter().map(|etag| ("if-none-match".to_owned(), etag.clone())));
        let modified = last_modified.iter();
        headers.extend(modified.map(|date| ("if-modified-since".to_owned(), date.clone())));
        Get { url: url.clone(), headers, secrets: keys.headers }
    }

    /// One request, from the first byte to the last of the answer.
    async fn attempt(&self, number: u32, get: Get, conditional: bool) -> Tried {
        let (began, keys, url) = (Instant::now(), get.secrets.clone(), get.url.clone());
        let end = (began + self.limits.page).min(self.deadline);
        let head_end = (began + self.limits.head).min(end);
        let incoming = match timeout_at(head_end, self.wire.get(get)).await {
            Err(_) => return lost("no answer in time"),
            Ok(Opened::Answered(incoming)) => incoming,
            Ok(Opened::NotSent { why }) => {
                return Tried::Failed { why, attempts_max: ATTEMPTS_MAX, cost: Cost::Plain };
            }
            Ok(Opened::Lost { why }) => return lost(&why),
            Ok(Opened::Unreachable { why }) => return Tried::Refused(Flaw::Unreachable { why }),
        };
        let Incoming { status, headers, mut body } = incoming;
        let head = Response { status, headers, body: Body::Whole(Vec::new()) };
        let (page, duration_ms) = (number, began.elapsed().as_millis());
        tracing::debug!(page, http_status = status, duration_ms, "feed page answered");
        if let Some(allowance) = Allowance::of(&head, None, self.clock.now()) {
            self.pacer.heed(allowance, Instant::now());
        }
        match judge(number, &head, &url, conditional) {
            Answered::Page => self.take(number, &head, &mut *body, end).await,
            Answered::NoContent => Tried::Got(Got::Page(Page::of(&head, None))),
            Answered::Unchanged => Tried::Got(Got::Unchanged),
            Answered::Gone => Tried::Got(Got::Gone),
            Answered::NotJson { kind } => {
                let bytes = self.beginning(&head, &mut *body, end).await;
                Tried::Refused(not_json(number, kind, &bytes, &keys))
            }
            Answered::Throttled => Tried::Throttled(RetryAfter::of(&head, self.clock.now())),
            Answered::Unauthorized => Tried::Unauthorized,
            Answered::Failing { own_fault } => Tried::Failed {
                why: format!("status {status}"),
                attempts_max: if own_fault { ATTEMPTS_AFTER_ERROR_MAX } else { ATTEMPTS_MAX },
                cost: Cost::Plain,
            },
            Answered::Refused(flaw) => Tried::Refused(flaw),
        }
    }

    /// The body, whole and unpacked.
    async fn take(
        &self,
        number: u32,
        head: &Response,
        body: &mut dyn Pieces,
        end: Instant,
    ) -> Tried {
        let packing = match Packing::of(head.header("content-encoding")) {
            Ok(packing) => packing,
            Err(encoding) => {
                let encoding = super::answer::shown(&encoding);
                return Tried::Refused(Flaw::Encoding { page: number, encoding });
            }
        };
        let Limits { page_bytes, read_bytes, .. } = self.limits;
        let left = read_bytes.saturating_sub(self.cautions.bytes);
        let mut intake = Intake::new(packing, page_bytes.min(left));
        let unfit = |unfit| match unfit {
            Unfit::TooLarge if left < page_bytes => {
                Tried::Refused(Flaw::TooLarge { max: read_bytes })
            }
            Unfit::TooLarge => Tried::Refused(Flaw::PageTooLarge { page: number, max: page_bytes }),
            Unfit::Bomb => Tried::Refused(Flaw::Bomb { page: number }),
            Unfit::Damaged => lost("what came is no whole gzip"),
        };
        loop {
            match self.piece(body, end).await {
                Err(why) => return lost(why),
                Ok(Piece::Broken) => return lost("the connection broke"),
                Ok(Piece::Bytes(bytes)) => {
                    if let Err(found) = intake.take(&bytes) {
                        return unfit(found);
                    }
                }
                Ok(Piece::End) => break,
            }
        }
        match intake.finish() {
            Ok(bytes) => Tried::Got(Got::Page(Page::of(head, Some(bytes)))),
            Err(found) => unfit(found),
        }
    }

    /// Some of a body that is no page, to tell what it is.
    async fn beginning(&self, head: &Response, body: &mut dyn Pieces, end: Instant) -> Vec<u8> {
        let packing = Packing::of(head.header("content-encoding")).unwrap_or(Packing::Plain);
        let mut intake = Intake::new(packing, self.limits.shown_bytes);
        while let Ok(Piece::Bytes(bytes)) = self.piece(body, end).await {
            if intake.take(&bytes).is_err() {
                break;
            }
        }
        intake.so_far()
    }

    async fn piece(&self, body: &mut dyn Pieces, end: Instant) -> Result<Piece, &'static str> {
        let idle = Instant::now() + self.limits.idle;
        let came = timeout_at(idle.min(end), body.next()).await;
        came.map_err(|_| if idle < end { "no byte in time" } else { "it did not end in time" })
    }

    fn learn(&mut self, got: &Got) {
        self.cautions.silences.fruitful();
        self.cautions.silences.clean();
        self.cautions.budget.earn();
        if let Got::Page(Page { bytes: Some(bytes), .. }) = got {
            self.cautions.bytes += bytes.len() as u64;
        }
    }

    /// Closes the gate, or gives the read up.
    fn be_silent(&mut self, asked: RetryAfter) -> Result<(), Flaw> {
        let now = Instant::now();
        let silence = self.cautions.silences.throttled(asked, now.into_std(), dice());
        let Silence { wait, ends_the_run, throttled: _ } = silence;
        if ends_the_run {
            let long = wait > retry::WAIT_IN_RUN_MAX;
            return Err(if long { Flaw::Silent { wait } } else { Flaw::Throttled });
        }
        let _ = self.pacer.distrust(now);
        self.pacer.pause_until(now + wait);
        tracing::info!(wait_s = wait.as_secs(), "the feed wants silence");
        Ok(())
    }

    fn renew(&mut self, refused: &Held) -> Result<(), Flaw> {
        let now = Instant::now();
        let lately = self.cautions.renewed.is_some_and(|at| now - at < RENEW_EVERY);
        if lately || !self.keys.renew(refused)? {
            return Err(Flaw::Unauthorized);
        }
        self.cautions.renewed = Some(now);
        Ok(())
    }

    /// What is waited for, unless the time for the whole feed is over or somebody stops it.
    async fn or_end<T>(&self, future: impl Future<Output = T>) -> Result<T, Flaw> {
        tokio::select! {
            biased;
            () = stopped(self.stop.clone()) => Err(Flaw::Stopped),
            () = sleep_until(self.deadline) => Err(Flaw::TooSlow { limit: self.limits.read }),
            done = future => Ok(done),
        }
    }
}

/// Ends once somebody stops the run.
pub(super) async fn stopped(mut stop: watch::Receiver<bool>) {
    // Nobody is there who could stop it.
    if stop.wait_for(|stop| *stop).await.is_err() {
        std::future::pending::<()>().await;
    }
}

impl Page {
    fn of(head: &Response, bytes: Option<Vec<u8>>) -> Self {
        let first = |name| head.header(name).next().filter(|text| is_sound(text));
        let etag = first("etag").map(str::to_owned);
        let last_modified = first("last-modified")
            .filter(|modified| etag.is_some() || tells_versions_apart(head, modified));
        let validators = Validators { last_modified: last_modified.map(str::to_owned), etag };
        let links = head.header("link").map(str::to_owned).collect();
        Self { links, headers: head.headers.clone(), bytes, validators }
    }
}

/// RFC 9110 §8.8.2.2: a time in whole seconds stands for one version alone only once a while has
/// passed, by the server's own clock.
fn tells_versions_apart(head: &Response, modified: &str) -> bool {
    let modified = httpdate::parse_http_date(modified);
    let date = head.header("date").find_map(|date| httpdate::parse_http_date(date).ok());
    let passed = modified.ok().zip(date).and_then(|(then, now)| now.duration_since(then).ok());
    passed.is_some_and(|passed| passed >= Duration::from_mins(1))
}

/// It is sent back as it is.
fn is_sound(text: &str) -> bool {
    (1..=1024).contains(&text.len())
        && text.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic())
}

fn lost(why: &str) -> Tried {
    let why = why.to_owned();
    Tried::Failed { why, attempts_max: ATTEMPTS_MAX, cost: Cost::Unanswered }
}

fn dice() -> Dice {
    Dice::new(fastrand::f64())
}
