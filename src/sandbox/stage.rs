//! One tenant in action: decides what a request meets, applies it, and judges its manners.

use super::{
    Fault, Faults, RetryAfterForm, SandboxTenant, Seen,
    faults::FaultPlan,
    practice::{Edited, Incoming, Outline, PracticeApi, Refusal, Scene},
    quota::Window,
    strict_json,
};
use jiff::Timestamp;
use serde_json::Value;
use std::{
    collections::{BTreeMap, btree_map::Entry},
    time::Duration,
};
use tokio::time::Instant;

/// Requests that come so soon after a Retry-After was sent had left before the client could read
/// it.
const ON_THE_WAY: Duration = Duration::from_millis(250);

/// One tenant, its accounts and everything noted about its client.
pub(super) struct Stage {
    pub(super) tenant: SandboxTenant,
    pub(super) seen: Vec<Seen>,
    pub(super) violations: Vec<String>,
    api: &'static dyn PracticeApi,
    window: Window,
    faults: FaultPlan,
    ban: Option<Ban>,
    in_flight: BTreeMap<String, usize>,
    in_doubt: BTreeMap<String, Doubt>,
    requests: u64,
}

/// The instant of a request, on every clock that matters.
#[derive(Clone, Copy)]
pub(super) struct Moment {
    pub(super) since_start: Duration,
    pub(super) now: Instant,
    pub(super) stamp: Timestamp,
}

/// What the network is to do.
pub(super) struct Turn {
    /// `None`: close the connection without an answer.
    pub(super) answer: Option<Answer>,
    pub(super) delay: Duration,
    pub(super) cut_body: bool,
    /// Apply the request only after this time.
    pub(super) effect_after: Option<Duration>,
}

/// An HTTP answer as plain data.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: String,
}

/// The client was told to stay away.
struct Ban {
    told: Instant,
    until: Instant,
}

/// A PATCH whose sender cannot know whether it took effect, so that sending it again is not idle.
struct Doubt {
    body: Value,
    /// The effect may come even after a read that does not show it.
    outlasts_reads: bool,
}

/// What the API itself makes of a request, before the network has its say.
enum Attempt {
    Read(Value),
    Edit { id: String, body: Value, edited: Edited },
}

impl Stage {
    pub(super) fn new(mut tenant: SandboxTenant, stamp: Timestamp) -> Result<Self, String> {
        let mut stage = Self {
            api: tenant.api.practice(),
            seen: Vec::new(),
            violations: Vec::new(),
            window: Window::new(tenant.quota, tenant.quota_style),
            faults: FaultPlan::new(std::mem::take(&mut tenant.faults)),
            ban: None,
            in_flight: BTreeMap::new(),
            in_doubt: BTreeMap::new(),
            requests: 0,
            tenant,
        };
        for (id, account) in std::mem::take(&mut stage.tenant.accounts) {
            stage.set_account(id, account, stamp)?;
        }
        Ok(stage)
    }

    pub(super) fn set_account(
        &mut self,
        id: String,
        account: Value,
        stamp: Timestamp,
    ) -> Result<(), String> {
        self.api.check_id(&id)?;
        let Value::Object(mut account) = account else {
            return Err("an account must be a JSON object".to_owned());
        };
        self.api.furnish(&id, &mut account, stamp);
        self.tenant.accounts.insert(id, Value::Object(account));
        Ok(())
    }

    pub(super) fn set_faults(&mut self, faults: Faults) {
        self.faults = FaultPlan::new(faults);
    }

    /// A request's head is there; names the user that it is about.
    pub(super) fn arrive(&mut self, request: &Incoming) -> Option<String> {
        self.requests += 1;
        self.judge_head(request);
        let user = self.api.user_in(&self.tenant, request).ok()?;
        let others = self.in_flight.entry(user.clone()).or_default();
        *others += 1;
        if *others > 1 {
            self.note(request, "another request for this user is still in flight");
        }
        Some(user)
    }

    /// A request for that user was answered or given up.
    pub(super) fn depart(&mut self, user: &str) {
        if let Entry::Occupied(mut count) = self.in_flight.entry(user.to_owned()) {
            *count.get_mut() -= 1;
            if *count.get() == 0 {
                count.remove();
            }
        }
    }

    /// A request is complete.
    pub(super) fn receive(&mut self, request: &Incoming, moment: Moment) -> Turn {
        let known = self.seen.len();
        self.record(request, moment);
        self.judge_ban(request, moment.now);
        let fault = self.faults.next(&request.method);
        let turn = match (self.window.admit(moment.now), fault) {
            (Err((quota, wait_s)), _) => {
                self.note(request, &format!("above the quota of {quota}"));
                let refusal = self.api.over_quota(quota);
                self.turn_away(&refusal, RetryAfterForm::Seconds(wait_s), moment)
            }
            (Ok(()), None) => self.perform(request, moment),
            (Ok(()), Some(fault)) => self.perform_with(&fault, request, moment),
        };
        self.seen[known].status = turn.answer.as_ref().map(|answer| answer.status);
        self.with_quota_headers(turn, moment.now)
    }

    /// The effect of a request whose sender has long lost the connection.
    pub(super) fn late_effect(&mut self, request: &Incoming, stamp: Timestamp) {
        if let Ok(Attempt::Edit { id, edited, .. }) = self.attempt(request) {
            self.commit(&id, edited.account, stamp);
        }
    }

    /// The request as any server without faults takes it.
    fn perform(&mut self, request: &Incoming, moment: Moment) -> Turn {
        let attempt = self.attempt(request);
        self.judge(request, &attempt);
        let answer = match attempt {
            Err(refusal) => self.refuse(&refusal),
            Ok(Attempt::Read(body)) => {
                let user = self.api.user_in(&self.tenant, request).unwrap_or_default();
                self.settle(&user, true);
                Answer::ok(&body)
            }
            Ok(Attempt::Edit { id, edited, .. }) => {
                self.mark_applied();
                self.commit(&id, edited.account, moment.stamp);
                self.settle(&id, false);
                Answer::ok(&self.api.patched(&self.tenant, &id, &self.tenant.accounts[&id]))
            }
        };
        self.turn(Some(answer))
    }

    fn perform_with(&mut self, fault: &Fault, request: &Incoming, moment: Moment) -> Turn {
        match fault {
            Fault::Throttle { retry_after } => {
                let refusal = match self.tenant.quota {
                    Some(quota) => self.api.over_quota(quota),
                    None => Refusal::of_status(429),
                };
                self.turn_away(&refusal, *retry_after, moment)
            }
            Fault::Unavailable { retry_after } => {
                self.turn_away(&Refusal::of_status(503), *retry_after, moment)
            }
            Fault::LostRequest => self.turn(None),
            Fault::LateEffect(after) => {
                let is_edit = matches!(self.attempt(request), Ok(Attempt::Edit { .. }));
                if is_edit {
                    self.mark_applied();
                    self.doubt(request, true);
                }
                Turn { effect_after: is_edit.then_some(*after), ..self.turn(None) }
            }
            Fault::Error500NotApplied => self.turn_refused(500),
            Fault::Error504NotApplied => self.turn_refused(504),
            Fault::Unauthorized => self.turn_refused(401),
            Fault::Forbidden => self.turn_refused(403),
            Fault::Conflict => self.turn_refused(409),
            Fault::Error502Html => self.turn(Some(Answer::html(502))),
            Fault::Redirect => self.turn(Some(Answer::redirect(&self.tenant.name))),
            Fault::Ignored => self.ignore(request),
            Fault::LostAnswer
            | Fault::Slow(_)
            | Fault::Error500Applied
            | Fault::Error504Applied
            | Fault::CutBody
            | Fault::EmptyBody
            | Fault::OtherUser => {
                let turn = self.perform(request, moment);
                self.doubt(request, false);
                self.spoil(fault, request, turn)
            }
        }
    }

    /// What is left of the answer to a request that was performed.
    fn spoil(&self, fault: &Fault, request: &Incoming, turn: Turn) -> Turn {
        match (fault, turn.answer) {
            (Fault::Slow(delay), answer) => Turn { answer, delay: turn.delay + *delay, ..turn },
            (Fault::Error500Applied, _) => self.turn_refused(500),
            (Fault::Error504Applied, _) => self.turn_refused(504),
            (Fault::CutBody, answer) => Turn { answer, cut_body: true, ..turn },
            (Fault::EmptyBody, Some(answer)) => {
                Turn { answer: Some(Answer { body: String::new(), ..answer }), ..turn }
            }
            (Fault::OtherUser, Some(answer)) => {
                let id = self.api.user_in(&self.tenant, request).unwrap_or_default();
                Turn { answer: Some(answer.about_another_than(&id)), ..turn }
            }
            _ => Turn { answer: None, ..turn },
        }
    }

    /// Judges and answers a request without applying it.
    fn ignore(&mut self, request: &Incoming) -> Turn {
        let attempt = self.attempt(request);
        self.judge(request, &attempt);
        let answer = match attempt {
            Err(refusal) => self.refuse(&refusal),
            Ok(Attempt::Read(body)) => Answer::ok(&body),
            Ok(Attempt::Edit { id, .. }) => {
                Answer::ok(&self.api.patched(&self.tenant, &id, &self.tenant.accounts[&id]))
            }
        };
        self.turn(Some(answer))
    }

    fn attempt(&self, request: &Incoming) -> Result<Attempt, Refusal> {
        self.api.authorize(&self.tenant.tokens, &request.headers)?;
        let id = self.api.user_in(&self.tenant, request)?;
        let account = self.tenant.accounts.get(&id).ok_or_else(|| self.api.no_such_user())?;
        if request.method == "GET" {
            return Ok(Attempt::Read(self.api.get(&self.tenant, &id, account)));
        }
        let media_types = request.headers.get_all("content-type").iter();
        if !media_types.map(axum::http::HeaderValue::as_bytes).eq([b"application/json"]) {
            let status = self.api.media_type_status();
            return Err(Refusal::new(status, "the content type must be `application/json`"));
        }
        let body = strict_json::parse(&request.body);
        let body = body.map_err(|e| Refusal::new(400, format!("the body is not JSON: {e}")))?;
        let scene = Scene { tenant: &self.tenant, id: &id, account };
        let edited = self.api.patch(&scene, &body)?;
        Ok(Attempt::Edit { id, body, edited })
    }

    fn commit(&mut self, id: &str, mut account: Value, stamp: Timestamp) {
        let Some(held) = self.tenant.accounts.get_mut(id) else { return };
        if *held != account {
            self.api.touch(&mut account, stamp);
            *held = account;
        }
    }

    fn record(&mut self, request: &Incoming, moment: Moment) {
        let body = serde_json::from_slice(&request.body).unwrap_or(Value::Null);
        let Outline { operations, names } = self.api.outline(&body);
        self.seen.push(Seen {
            at: moment.since_start,
            method: request.method.clone(),
            path: request.path.clone(),
            user_id: self.api.user_in(&self.tenant, request).ok(),
            status: None,
            applied: false,
            operations,
            names,
            body,
        });
    }

    fn mark_applied(&mut self) {
        if let Some(seen) = self.seen.last_mut() {
            seen.applied = true;
        }
    }
}

/// Answers.
impl Stage {
    fn turn(&self, answer: Option<Answer>) -> Turn {
        Turn { answer, delay: self.tenant.latency, cut_body: false, effect_after: None }
    }

    fn turn_refused(&self, status: u16) -> Turn {
        self.turn(Some(self.refuse(&Refusal::of_status(status))))
    }

    fn refuse(&self, refusal: &Refusal) -> Answer {
        Answer::json(refusal.status, &self.api.error_body(refusal))
    }

    fn turn_away(&mut self, refusal: &Refusal, form: RetryAfterForm, moment: Moment) -> Turn {
        let mut answer = self.refuse(refusal);
        answer.headers.extend(form.header(moment.stamp).map(|value| ("retry-after", value)));
        if let Some(until) = form.wait(moment.stamp).and_then(|wait| moment.now.checked_add(wait)) {
            let longer = self.ban.take().filter(|ban| ban.until >= until);
            self.ban = Some(longer.unwrap_or(Ban { told: moment.now, until }));
        }
        self.turn(Some(answer))
    }

    fn with_quota_headers(&self, mut turn: Turn, now: Instant) -> Turn {
        if let (Some(answer), Some(view)) = (&mut turn.answer, self.window.view(now)) {
            answer.headers.extend(self.api.quota_headers(&view));
        }
        turn
    }
}

/// Judgement.
impl Stage {
    fn note(&mut self, request: &Incoming, what: &str) {
        let Incoming { method, path, .. } = request;
        self.violations.push(format!("request {}, {method} {path}: {what}", self.requests));
    }

    fn judge_head(&mut self, request: &Incoming) {
        if request.header("user-agent").is_none_or(str::is_empty) {
            self.note(request, "without a User-Agent");
        }
        if !request.is_read_or_patch() {
            self.note(request, "only GET and PATCH are ever needed");
        }
    }

    fn judge_ban(&mut self, request: &Incoming, now: Instant) {
        let banned = |ban: &Ban| ban.told + ON_THE_WAY <= now && now < ban.until;
        if self.ban.as_ref().is_some_and(banned) {
            self.note(request, "before the time that Retry-After named");
        }
    }

    fn judge(&mut self, request: &Incoming, attempt: &Result<Attempt, Refusal>) {
        match attempt {
            Err(refusal) if refusal.avoidable => {
                self.note(
                    request,
                    &format!("refused with {}: {}", refusal.status, refusal.message),
                );
            }
            Ok(Attempt::Read(_)) if !request.body.is_empty() => {
                self.note(request, "a read with a body");
            }
            Err(_) | Ok(Attempt::Read(_)) => {}
            Ok(Attempt::Edit { id, body, edited }) => {
                let doubted = self.in_doubt.get(id).is_some_and(|doubt| doubt.body == *body);
                if !edited.idle.is_empty() && !doubted {
                    let names = edited.idle.join("`, `");
                    self.note(request, &format!("sets `{names}` to what it is already"));
                }
                for remark in &edited.remarks {
                    self.note(request, remark);
                }
            }
        }
    }

    fn doubt(&mut self, request: &Incoming, outlasts_reads: bool) {
        if let (Ok(user), Ok(body)) =
            (self.api.user_in(&self.tenant, request), strict_json::parse(&request.body))
        {
            self.in_doubt.insert(user, Doubt { body, outlasts_reads });
        }
    }

    fn settle(&mut self, user: &str, by_read: bool) {
        if !self.in_doubt.get(user).is_some_and(|doubt| by_read && doubt.outlasts_reads) {
            self.in_doubt.remove(user);
        }
    }
}

impl Answer {
    fn json(status: u16, body: &Value) -> Self {
        let headers = vec![("content-type", "application/json".to_owned())];
        Self { status, headers, body: body.to_string() }
    }

    fn ok(body: &Value) -> Self {
        Self::json(200, body)
    }

    fn html(status: u16) -> Self {
        let headers = vec![("content-type", "text/html".to_owned())];
        let body = format!("<html><body><h1>{status}</h1></body></html>");
        Self { status, headers, body }
    }

    /// To where a client that follows is noticed.
    fn redirect(tenant: &str) -> Self {
        let headers = vec![("location", format!("/{tenant}/redirected"))];
        Self { status: 307, headers, body: String::new() }
    }

    fn about_another_than(self, id: &str) -> Self {
        let Ok(mut body) = serde_json::from_str(&self.body) else { return self };
        rename(&mut body, id);
        Self { body: body.to_string(), ..self }
    }
}

/// Puts another id of the same kind wherever the id stands.
fn rename(value: &mut Value, id: &str) {
    match value {
        Value::String(text) if text == id => {
            let digit = |c: char| if c == '7' { '8' } else { '7' };
            *text = text.chars().map(|c| if c.is_ascii_digit() { digit(c) } else { c }).collect();
            if text == id {
                text.push('7');
            }
        }
        Value::Number(number) if number.to_string() == id => *value = Value::from(987_654_321),
        Value::Array(items) => items.iter_mut().for_each(|item| rename(item, id)),
        Value::Object(members) => members.values_mut().for_each(|member| rename(member, id)),
        _ => {}
    }
}
