//! The target within this process: what it holds, what it is asked, and what it holds against who
//! asks.

use crate::{
    cells::{Deed, LATE, Point},
    scene::Scene,
};
use jiff::Timestamp;
use rosterd::{
    model::{Body, Rate, Request, Response},
    sandbox::{Answered, Exchange, Returned, Unplugged},
    sender::{Timeouts, Within, http::Sent, transport::Sending},
};
use rusqlite::{Connection, OpenFlags};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    fmt,
    path::PathBuf,
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::time::{Instant, sleep, sleep_until, timeout};

const WAY: Duration = Duration::from_millis(400);

/// When a life begins.
pub(crate) const FIRST: &str = "2026-03-02T02:30:00Z";

pub(crate) struct Target {
    pub(crate) practice: Unplugged,
    pub(crate) quota: Rate,
    /// Whose id is whose key.
    pub(crate) keys: BTreeMap<String, String>,
    /// What the roster has ever wished: by user's key and place in the account, every value.
    pub(crate) wished: BTreeMap<String, Wishes>,
    pub(crate) breaches: Vec<String>,
    /// Requests of this run.
    pub(crate) sent: u64,
    /// Keys of the users that this run has asked about.
    pub(crate) touched: BTreeSet<String>,
    /// The request of the moment has met what becomes of it.
    pub(crate) is_fated: bool,
    /// An effect that is still to come, at that time.
    pub(crate) late_until: Option<Instant>,
    /// When it was told, and until when.
    pub(crate) silence: Option<(Instant, Timestamp)>,
    flying: BTreeSet<String>,
    left: VecDeque<Instant>,
    started: Instant,
}

pub(crate) type Shared = Arc<Mutex<Target>>;
pub(crate) type Wishes = BTreeMap<String, Vec<Value>>;

impl Target {
    pub(crate) fn new(
        practice: Unplugged,
        quota: Rate,
        keys: BTreeMap<String, String>,
        started: Instant,
    ) -> Self {
        Self {
            practice,
            quota,
            keys,
            wished: BTreeMap::new(),
            breaches: Vec::new(),
            sent: 0,
            touched: BTreeSet::new(),
            is_fated: false,
            late_until: None,
            silence: None,
            flying: BTreeSet::new(),
            left: VecDeque::new(),
            started,
        }
    }

    pub(crate) fn now(&self) -> Timestamp {
        let passed = self.started.elapsed();
        FIRST.parse::<Timestamp>().unwrap() + jiff::SignedDuration::try_from(passed).unwrap()
    }

    pub(crate) fn breach(&mut self, what: String) {
        self.breaches.push(what);
    }

    /// From now on these values are wished.
    pub(crate) fn wish(&mut self, key: &str, account: &Value) {
        let wishes = self.wished.entry(key.to_owned()).or_default();
        for (place, value) in leaves(account) {
            wishes.entry(place).or_default().push(value);
        }
    }

    fn leave(&mut self, method: &str, deed: Deed, user: &str, key: &str) {
        self.sent += 1;
        self.touched.insert(key.to_owned());
        if !["GET", "PATCH", deed.method()].contains(&method) {
            self.breach(format!("INV-17: a {method}"));
        }
        if !user.is_empty() && !self.flying.insert(user.to_owned()) {
            self.breach(format!("INV-12: two requests for {key} at a time"));
        }
        if let Some((_, until)) = self.silence.filter(|(_, until)| self.now() < *until) {
            self.breach(format!("INV-8: a request for {key} before {until}"));
        }
        let (now, per) = (Instant::now(), self.quota.per);
        while self.left.front().is_some_and(|at| *at + per <= now) {
            self.left.pop_front();
        }
        self.left.push_back(now);
        if self.left.len() > self.quota.requests.get() as usize {
            self.breach(format!("INV-7: {} requests in {per:?}", self.left.len()));
        }
    }

    /// Everything that was changed is as the roster has had it at some time.
    fn judge_account(&mut self, user: &str, key: &str) {
        let Some(account) = self.practice.account(user) else { return };
        let held = leaves(account);
        // Of an account that was just made, nobody knows yet whose it is.
        let Some(wishes) = self.wished.get(key) else { return };
        let strange = wishes
            .iter()
            .find(|(place, values)| held.get(*place).is_none_or(|value| !values.contains(value)));
        if let Some((place, _)) = strange {
            let what = format!("{place} of {key} is what nobody ever wished");
            self.breach(what);
        }
    }
}

/// The values in it that hold no others, by where they are.
pub(crate) fn leaves(value: &Value) -> BTreeMap<String, Value> {
    let mut found = BTreeMap::new();
    collect(value, "", &mut found);
    found
}

fn collect(value: &Value, place: &str, found: &mut BTreeMap<String, Value>) {
    match value {
        Value::Object(members) => {
            for (name, value) in members {
                collect(value, &format!("{place}/{name}"), found);
            }
        }
        Value::Array(values) => {
            for (at, value) in values.iter().enumerate() {
                collect(value, &format!("{place}/{at}"), found);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            found.insert(place.to_owned(), value.clone());
        }
    }
}

/// One run's way there.
#[derive(Clone)]
pub(crate) struct Wire {
    pub(crate) target: Shared,
    pub(crate) scene: Scene,
    pub(crate) timeouts: Timeouts,
    /// The state file, to look for intents.
    pub(crate) file: PathBuf,
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
        if self.scene.is_dead() {
            return std::future::pending().await;
        }
        let (method, deed) = (request.method.as_str(), self.scene.cell.deed);
        let exchange = exchange(&request, secrets);
        let (user, key) = {
            let mut target = self.target.lock().unwrap();
            let user = target.practice.user_of(&exchange).unwrap_or_default();
            let known = target.keys.get(&user).cloned();
            // Whoever is made has no id yet; in these lives only one is.
            let made =
                || if method == "POST" { self.scene.victim.to_owned() } else { String::new() };
            let key = known.unwrap_or_else(made);
            target.leave(method, deed, &user, &key);
            (user, key)
        };
        let _landing = Landing { target: self.target.clone(), user: user.clone() };
        let changes = method != "GET";
        if changes && !self.sees_intent(&key) {
            let what = format!("INV-1: a {method} of {key} leaves without an intent");
            self.target.lock().unwrap().breach(what);
        }
        let is_it = changes && method == deed.method() && key == self.scene.victim;
        if is_it {
            self.scene.reach(Point::K09RequestHalfWritten);
        }
        if self.scene.is_dead() {
            // What was to be the rest of it is gone.
            return std::future::pending().await;
        }
        let wire = self.clone();
        // What has left arrives, also when its sender is dead by then.
        let arrival = tokio::spawn(async move {
            sleep(WAY / 2).await;
            let returned = wire.arrive(exchange, &user, &key, is_it);
            if is_it {
                wire.scene.reach(Point::K10RequestWritten);
            }
            returned
        });
        self.answer(arrival.await.unwrap(), is_it).await
    }

    fn arrive(&self, exchange: Exchange, user: &str, key: &str, is_it: bool) -> Returned {
        let mut target = self.target.lock().unwrap();
        let is_fated = is_it && !target.is_fated;
        let (fault, status) = if is_fated { self.scene.cell.fate.fault() } else { (None, None) };
        let (now, known) = (target.now(), target.practice.violations().len());
        let (mut returned, met) = target.practice.receive(&exchange, fault, now);
        if let Some(met) = met {
            target.practice.depart(&met);
        }
        target.is_fated |= is_fated;
        if let (Some(status), Some(answer)) = (status.filter(|_| is_fated), &mut returned.answer) {
            answer.status = status;
        }
        target.judge_account(user, key);
        let complaints = target.practice.violations()[known..].to_vec();
        // Whoever does not know whether it was done may say so again; silence is judged above.
        let may_be =
            |told: &String| told.contains("to what it is already") || told.contains("Retry-After");
        target.breaches.extend(complaints.into_iter().filter(|told| !may_be(told)));
        if let Some(after) = returned.effect_after {
            target.late_until = Some(Instant::now() + after);
            let target = self.target.clone();
            tokio::spawn(async move {
                sleep(LATE).await;
                let mut target = target.lock().unwrap();
                let now = target.now();
                target.practice.late_effect(&exchange, now);
                target.late_until = None;
            });
        }
        returned
    }

    async fn answer(&self, returned: Returned, is_it: bool) -> Sent {
        let Returned { answer, cut_body, delay, effect_after: _ } = returned;
        let due = Instant::now() + delay + WAY / 2;
        if timeout(self.timeouts.total, sleep_until(due)).await.is_err() {
            return Sent::Lost { why: "no answer in time".to_owned() };
        }
        let Some(Answered { status, headers, mut body }) = answer else {
            return Sent::Lost { why: "the connection broke".to_owned() };
        };
        if is_it {
            self.scene.reach(Point::K11AnswerHalfRead);
        }
        if self.scene.is_dead() {
            return std::future::pending().await;
        }
        let silence = headers.iter().find(|(name, _)| name == "retry-after");
        if let (429 | 503, Some((_, seconds))) = (status, silence) {
            let mut target = self.target.lock().unwrap();
            let until = target.now() + jiff::SignedDuration::from_secs(seconds.parse().unwrap());
            target.silence = Some((Instant::now(), until));
        }
        let body = if cut_body {
            body.truncate(body.len() / 2);
            Body::Cut(body)
        } else {
            Body::Whole(body)
        };
        Sent::Answered(Response { status, headers, body })
    }

    fn sees_intent(&self, key: &str) -> bool {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY;
        let db = Connection::open_with_flags(&self.file, flags).unwrap();
        let open = "SELECT count(*) FROM intent WHERE key = ?1 AND action NOT IN ('read', 'find')";
        db.query_row(open, [key], |row| row.get::<_, i64>(0)).unwrap() > 0
    }
}

fn exchange(request: &Request, secrets: &BTreeMap<String, SecretString>) -> Exchange {
    let own = request.headers.iter().map(|(name, value)| ((*name).to_owned(), value.clone()));
    let credentials = request.credentials.iter().map(|header| {
        let secret = secrets[header.credential].expose_secret();
        (header.header.to_owned(), format!("{}{secret}", header.prefix))
    });
    let name = [("user-agent".to_owned(), "rosterd/within".to_owned())];
    let headers: Vec<_> = own.chain(credentials).chain(name).collect();
    let url = &request.url;
    let query = url.query().map_or_else(String::new, |query| format!("?{query}"));
    let path = format!("{}{query}", url.path());
    let body = request.body.clone().unwrap_or_default();
    Exchange::of(request.method.as_str(), &path, &headers, body).unwrap()
}

/// A request is under way until this is dropped.
struct Landing {
    target: Shared,
    user: String,
}

impl Drop for Landing {
    fn drop(&mut self) {
        if let Ok(mut target) = self.target.lock() {
            target.flying.remove(&self.user);
        }
    }
}

impl fmt::Debug for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Wire")
    }
}
