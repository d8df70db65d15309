//! One tenant's target: the truth about its users, and what it saw of its client.

use crate::{
    chance::Chance,
    company::Tenant,
    oracle::Oracle,
    quota::{Count, Gate},
    weather::{Fate, Weather},
};
use jiff::{SignedDuration, Timestamp};
use rosterd::{
    model::Rate,
    sandbox::{Exchange, RetryAfterForm, Returned, Unplugged},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::time::Instant;

pub(crate) type Shared = Arc<Mutex<Target>>;

pub(crate) struct Target {
    pub(crate) tenant: Tenant,
    pub(crate) practice: Unplugged,
    /// As configured: the client's promise.
    pub(crate) quota: Rate,
    /// As enforced.
    pub(crate) gate: Option<Gate>,
    pub(crate) weather: Weather,
    pub(crate) chance: Chance,
    /// Whose id at the target is whose key.
    pub(crate) keys: BTreeMap<String, String>,
    /// Whose last request the client cannot know the fate of.
    pub(crate) doubted: BTreeSet<String>,
    /// Who cannot be looked at and was in doubt: sent once more, for what may arrive late.
    suspects: BTreeSet<String>,
    /// Who was refused something in this run that may have said what is so already: its parts may too.
    in_parts: BTreeSet<String>,
    /// Whose value was refused or ignored, so that it need not come to what is wished. By key.
    pub(crate) excused: BTreeSet<String>,
    /// The client may look at its users.
    pub(crate) reads: bool,
    /// Requests that this run has sent.
    pub(crate) sent: usize,
    pub(crate) patched: usize,
    /// Whose PATCH it has sent.
    pub(crate) changed: BTreeSet<String>,
    /// The client was asked to stop.
    pub(crate) stopped: Option<Instant>,
    left: Count,
    arrived: Count,
    pub(crate) silence: Option<Silence>,
    flying: BTreeSet<String>,
    /// Users of whom something was or will be done after its sender gave up, with how much is still
    /// to come: what the client knows of them is right only after another look.
    pub(crate) late: BTreeMap<String, usize>,
    oracle: Oracle,
}

/// The client was told to stay away.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Silence {
    pub(crate) told: Instant,
    pub(crate) until: Timestamp,
}

/// A request that leaves.
pub(crate) struct Leaving {
    pub(crate) user: String,
    pub(crate) fate: Fate,
    pub(crate) form: RetryAfterForm,
    pub(crate) way_there: Duration,
    pub(crate) way_back: Duration,
    /// It may say what is so already.
    may_repeat: bool,
    is_patch: bool,
}

impl Target {
    pub(crate) fn new(
        tenant: Tenant,
        practice: Unplugged,
        quota: Rate,
        weather: Weather,
        chance: Chance,
        keys: BTreeMap<String, String>,
        oracle: Oracle,
    ) -> Self {
        Self {
            tenant,
            practice,
            quota,
            gate: None,
            weather,
            chance,
            keys,
            doubted: BTreeSet::new(),
            suspects: BTreeSet::new(),
            in_parts: BTreeSet::new(),
            excused: BTreeSet::new(),
            reads: true,
            sent: 0,
            patched: 0,
            changed: BTreeSet::new(),
            stopped: None,
            left: Count::default(),
            arrived: Count::default(),
            silence: None,
            flying: BTreeSet::new(),
            late: BTreeMap::new(),
            oracle,
        }
    }

    pub(crate) fn name(&self) -> &str {
        &self.tenant.name
    }

    /// A run of the client begins.
    pub(crate) fn begin(&mut self) {
        (self.sent, self.patched) = (0, 0);
        self.in_parts.clear();
        self.changed.clear();
    }

    fn breach(&self, invariant: &str, what: &str) {
        self.oracle.breach(invariant, &format!("{}: {what}", self.name()));
    }

    /// A request leaves the client; what will become of it.
    pub(crate) fn leave(&mut self, method: &str, exchange: &Exchange, body: u64) -> Leaving {
        self.sent += 1;
        self.oracle.count_request();
        let user = self.practice.user_of(exchange).unwrap_or_default();
        let key = self.keys.get(&user).cloned().unwrap_or_default();
        self.judge_time(&key);
        if !self.flying.insert(user.clone()) {
            self.breach("INV-12", &format!("two requests for {key} at a time"));
        }
        let is_patch = method == "PATCH";
        if !is_patch && method != "GET" {
            self.breach("INV-17", method);
        }
        let doubted = self.doubted.contains(&user) || self.late.contains_key(&user);
        let in_parts = self.in_parts.contains(&user);
        let may_repeat = doubted || in_parts || is_patch && self.suspects.remove(&user);
        if is_patch {
            self.patched += 1;
            self.changed.insert(user.clone());
            self.doubted.insert(user.clone());
        }
        let fate = self.weather.fate(&mut self.chance);
        if is_patch && !self.reads && fate != Fate::Fine {
            self.suspects.insert(user.clone());
        }
        if is_patch && may_repeat && fate == Fate::Rejected {
            self.in_parts.insert(user.clone());
        }
        let form = self.weather.form(&mut self.chance);
        let (way_there, way_back) = self.ways();
        self.oracle.note(&format!("{} {method} {key} {body:016x} meets {fate:?}", self.name()));
        Leaving { user, fate, form, way_there, way_back, may_repeat, is_patch }
    }

    fn judge_time(&mut self, key: &str) {
        let (now, quota) = (Instant::now(), self.quota);
        let count = self.left.add(now, quota.per);
        if count > quota.requests.get() as usize {
            self.breach("INV-7", &format!("request {count} of {quota} leaves, for {key}"));
        }
        if self.stopped.is_some_and(|at| !at.elapsed().is_zero()) {
            self.breach("INV-18", &format!("a request leaves after the stop, for {key}"));
        }
        if let Some(Silence { told: _, until }) = self.silence
            && self.oracle.now() < until
        {
            let left = until.duration_since(self.oracle.now());
            self.breach("INV-8", &format!("a request leaves {left:#} too early, for {key}"));
        }
    }

    fn ways(&mut self) -> (Duration, Duration) {
        let most = self.weather.way;
        if self.weather.steady {
            return (most / 2, most / 2);
        }
        let least = Duration::from_micros(100);
        (self.chance.time(least, most), self.chance.time(least, most))
    }

    /// The request has arrived.
    pub(crate) fn arrive(&mut self, exchange: &Exchange, leaving: &Leaving) -> Returned {
        let now = Instant::now();
        let count = self.arrived.add(now, self.quota.per);
        if self.weather.steady && count > self.quota.requests.get() as usize {
            self.breach("INV-7", &format!("request {count} of {} arrives", self.quota));
        }
        let refused = self.gate.as_mut().and_then(|gate| gate.admit(now).err());
        let (fate, form) = match refused {
            Some(_) if leaving.form == RetryAfterForm::None => (Fate::Throttled, leaving.form),
            Some(wait) => (Fate::Throttled, RetryAfterForm::Seconds(wait)),
            None => (leaving.fate, leaving.form),
        };
        let before = self.practice.violations().len();
        let (mut returned, user) =
            self.practice.receive(exchange, fate.fault(form), self.oracle.now());
        if let Some(user) = user {
            self.practice.depart(&user);
        }
        if let (Some(status), Some(answer)) = (fate.status(), &mut returned.answer) {
            answer.status = status;
        }
        self.judge_manners(before, leaving.may_repeat);
        if returned.effect_after.is_some() {
            let (least, most) = (Duration::from_secs(1), Duration::from_mins(1));
            returned.effect_after = Some(self.chance.time(least, most));
            *self.late.entry(leaving.user.clone()).or_default() += 1;
        }
        if leaving.is_patch && matches!(fate, Fate::Rejected | Fate::Ignored) {
            self.excused.extend(self.keys.get(&leaving.user).cloned());
        }
        returned
    }

    /// The practice API's own complaints, but those that are judged better here.
    fn judge_manners(&self, before: usize, may_repeat: bool) {
        for complaint in &self.practice.violations()[before..] {
            let repeats = complaint.contains("to what it is already");
            let elsewhere =
                complaint.contains("still in flight") || complaint.contains("Retry-After");
            if !(elsewhere || repeats && may_repeat) {
                self.breach("INV-6", complaint);
            }
        }
    }

    /// The answer has reached the client.
    pub(crate) fn deliver(&mut self, leaving: &Leaving, status: u16, retry_after: Option<&str>) {
        let key = self.keys.get(&leaving.user).cloned().unwrap_or_default();
        let told = retry_after.unwrap_or("-");
        self.oracle.note(&format!("{} answers {status} {told} {key}", self.name()));
        if leaving.fate == Fate::Fine && (200..300).contains(&status) {
            self.doubted.remove(&leaving.user);
            self.late.retain(|user, to_come| *user != leaving.user || *to_come > 0);
        }
        let asked = retry_after.and_then(|text| until(text, self.oracle.now()));
        if let (429 | 503, Some(until)) = (status, asked) {
            let now = self.oracle.now();
            let before = self.silence.filter(|silence| silence.until > now);
            if before.is_none_or(|before| before.until < until) {
                self.silence = Some(Silence { told: Instant::now(), until });
            }
        }
    }

    /// What was given up is done after all.
    pub(crate) fn happen_late(&mut self, exchange: &Exchange, user: &str) {
        self.oracle.note(&format!("{} is late for {:?}", self.name(), self.keys.get(user)));
        self.practice.late_effect(exchange, self.oracle.now());
        if let Some(to_come) = self.late.get_mut(user) {
            *to_come -= 1;
        }
    }

    /// Nobody waits for the answer any more.
    pub(crate) fn land(&mut self, user: &str) {
        self.flying.remove(user);
    }

    /// The client was killed: what it has not written down it does not know.
    pub(crate) fn client_died(&mut self, open: &BTreeSet<String>, paused_until: Option<Timestamp>) {
        let in_doubt = self.keys.iter().filter(|(_, key)| open.contains(*key));
        let in_doubt: Vec<String> = in_doubt.map(|(user, _)| user.clone()).collect();
        if !self.reads {
            self.suspects.extend(in_doubt.iter().cloned());
        }
        self.doubted.extend(in_doubt);
        // Killed while it wrote that down.
        let forgotten = |silence: &Silence| {
            let just_now = silence.told.elapsed() < Duration::from_secs(1);
            just_now && paused_until.is_none_or(|until| until < silence.until)
        };
        self.silence = self.silence.filter(|silence| !forgotten(silence));
    }
}

/// When a header's time is over, as its standard has it.
fn until(text: &str, now: Timestamp) -> Option<Timestamp> {
    if let Ok(seconds) = text.parse::<i64>() {
        return now.checked_add(SignedDuration::from_secs(seconds)).ok();
    }
    let date = httpdate::parse_http_date(text).ok()?;
    Timestamp::try_from(date).ok()
}
