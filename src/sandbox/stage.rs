//! One tenant in action: decides what a request meets, and applies it.

use super::{
    Fault, Faults, RetryAfterForm, SandboxTenant, Seen,
    answer::Answer,
    attempt::Attempt,
    faults::FaultPlan,
    judge::Judge,
    login::{Admission, Doorkeeper, Endpoint},
    practice::{Incoming, Outline, PracticeApi, Refusal},
    quota::Window,
    strict_json,
};
use jiff::Timestamp;
use serde_json::Value;
use std::time::Duration;
use tokio::time::Instant;

/// One tenant, its accounts and everything noted about its client.
pub(super) struct Stage {
    pub(super) tenant: SandboxTenant,
    pub(super) seen: Vec<Seen>,
    pub(super) judge: Judge,
    pub(super) api: &'static dyn PracticeApi,
    pub(super) window: Window,
    faults: FaultPlan,
    withheld: Vec<Incoming>,
    pub(super) door: Doorkeeper,
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

impl Stage {
    pub(super) fn new(mut tenant: SandboxTenant, stamp: Timestamp) -> Result<Self, String> {
        let mut stage = Self {
            api: tenant.api.practice(),
            seen: Vec::new(),
            judge: Judge::default(),
            window: Window::new(tenant.quota, tenant.quota_style),
            faults: FaultPlan::new(std::mem::take(&mut tenant.faults)),
            withheld: Vec::new(),
            door: Doorkeeper::default(),
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

    pub(super) fn set_lie(&mut self, lie: Option<super::Lie>) {
        self.tenant.lie = lie;
    }

    pub(super) fn set_faults(&mut self, faults: Faults) {
        self.faults = FaultPlan::new(faults);
    }

    /// A request's head is there; names the user that it is about.
    pub(super) fn arrive(&mut self, request: &Incoming) -> Option<String> {
        let user = self.api.user_in(&self.tenant, request).ok();
        self.judge.head(request, user.as_deref());
        let is_login = self.login_call(request).is_some();
        let is_strange = request.method != "GET" && !self.api.is_change(&request.method);
        if is_strange && !is_login && !self.tenant.mortal {
            self.judge.strange(request);
        }
        user
    }

    pub(super) fn user_of(&self, request: &Incoming) -> Option<String> {
        self.api.user_in(&self.tenant, request).ok()
    }

    /// The body of a successful GET.
    pub(super) fn show(&self, id: &str) -> Option<Value> {
        Some(self.api.get(&self.tenant, id, self.tenant.accounts.get(id)?))
    }

    /// A request's body is longer than any API takes.
    pub(super) fn refuse_long(&mut self, request: &Incoming) -> Answer {
        self.judge.note(request, "the body is too long");
        self.refuse(&Refusal::of_status(413))
    }

    /// A request is complete.
    pub(super) fn receive(&mut self, request: &Incoming, moment: Moment) -> Turn {
        let known = self.seen.len();
        self.record(request, moment);
        if self.tenant.login.is_some() && self.login_call(request).is_none() {
            self.tenant.tokens = self.door.tokens(moment.now);
            self.door.used(request);
        }
        let user = self.seen[known].user_id.as_deref();
        self.judge.pace(request, user, moment.now);
        let fault = self.faults.next(&request.method);
        let turn = match (self.window.admit(moment.now), fault) {
            (Err((quota, wait_s)), _) => {
                self.judge.note(request, &format!("above the quota of {quota}"));
                let refusal = self.api.over_quota(quota);
                self.turn_away(&refusal, RetryAfterForm::Seconds(wait_s), moment)
            }
            (Ok(()), None) => {
                let turn = self.perform(request, moment);
                self.settle(&turn, known);
                turn
            }
            (Ok(()), Some(fault)) => self.perform_with(&fault, request, moment),
        };
        self.seen[known].status = turn.answer.as_ref().map(|answer| answer.status);
        self.with_quota_headers(turn, moment.now)
    }

    /// The effects of all requests that were held up on the way.
    pub(super) fn release(&mut self, stamp: Timestamp) {
        for request in std::mem::take(&mut self.withheld) {
            self.late_effect(&request, stamp);
        }
    }

    /// The effect of a request whose sender has long lost the connection.
    pub(super) fn late_effect(&mut self, request: &Incoming, stamp: Timestamp) {
        match self.attempt(request) {
            Ok(Attempt::Edit { id, edited, .. }) => self.commit(&id, edited.account, stamp),
            Ok(Attempt::Make { id, account }) => self.make(id, account, stamp),
            Ok(Attempt::Remove { id }) => drop(self.tenant.accounts.remove(&id)),
            Ok(Attempt::Read(_)) | Err(_) => {}
        }
    }

    fn login_call(&self, request: &Incoming) -> Option<Endpoint> {
        self.tenant.login.as_ref().and_then(|_| Endpoint::of(self.tenant.api, request))
    }

    fn log_in(&mut self, request: &Incoming, moment: Moment) -> Option<Turn> {
        let (endpoint, login) = (self.login_call(request)?, self.tenant.login.as_ref()?);
        let admission = self.door.admit(endpoint, login, request, moment);
        let Admission { answer, violations } = admission;
        for violation in violations {
            self.judge.note(request, &violation);
        }
        Some(self.turn(Some(answer)))
    }

    /// The request as any server without faults takes it.
    fn perform(&mut self, request: &Incoming, moment: Moment) -> Turn {
        if let Some(turn) = self.log_in(request, moment) {
            return turn;
        }
        let attempt = self.attempt(request);
        self.judge.attempt(request, &attempt);
        let answer = match attempt {
            Err(refusal) => self.refuse(&refusal),
            Ok(Attempt::Read(body)) => Answer::ok(&body),
            Ok(Attempt::Edit { id, edited, .. }) => {
                self.mark_applied();
                self.commit(&id, edited.account, moment.stamp);
                self.changed(request, &id)
            }
            Ok(Attempt::Make { id, account }) => {
                self.mark_applied();
                self.make(id.clone(), account, moment.stamp);
                let account = &self.tenant.accounts[&id];
                Answer::json(201, &self.api.get(&self.tenant, &id, account))
            }
            Ok(Attempt::Remove { id }) => {
                self.mark_applied();
                self.tenant.accounts.remove(&id);
                Answer { status: 204, headers: Vec::new(), body: String::new() }
            }
        };
        let answer = self.with_headers(request, answer);
        self.turn(Some(answer))
    }

    /// The account as the API completes it. What was asked for was judged before.
    fn make(&mut self, id: String, account: Value, stamp: Timestamp) {
        if let Err(problem) = self.set_account(id, account, stamp) {
            self.judge.violations.push(format!("an account cannot be made: {problem}"));
        }
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
                let attempt = self.attempt(request);
                let is_edit = matches!(&attempt, Ok(attempt) if attempt.changes());
                if is_edit {
                    self.mark_applied();
                    self.doubt(request, true);
                }
                Turn { effect_after: is_edit.then_some(*after), ..self.turn(None) }
            }
            Fault::Withheld => self.withhold(request),
            Fault::TurnedAway { status, retry_after } => {
                self.turn_away(&Refusal::of_status(*status), *retry_after, moment)
            }
            Fault::WantsSilence { retry_after } => {
                let mut turn = self.perform(request, moment);
                if let Some(answer) = &mut turn.answer {
                    self.ask_to_wait(answer, *retry_after, moment);
                }
                turn
            }
            Fault::Rejects { name } if self.names(name) => self.turn_refused(400),
            Fault::Rejects { .. } => self.perform(request, moment),
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

    /// Keeps the request for later, and answers nothing.
    fn withhold(&mut self, request: &Incoming) -> Turn {
        if self.attempt(request).is_ok_and(|attempt| attempt.changes()) {
            self.doubt(request, true);
            self.withheld.push(request.clone());
        }
        self.turn(None)
    }

    /// The request that is being answered sets that attribute.
    fn names(&self, name: &str) -> bool {
        self.seen.last().is_some_and(|seen| seen.names.iter().any(|sent| sent == name))
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
        self.judge.attempt(request, &attempt);
        let answer = match attempt {
            Err(refusal) => self.refuse(&refusal),
            Ok(Attempt::Read(body)) => Answer::ok(&body),
            Ok(Attempt::Edit { id, .. }) => self.changed(request, &id),
            Ok(Attempt::Make { .. } | Attempt::Remove { .. }) => {
                Answer { status: 204, headers: Vec::new(), body: String::new() }
            }
        };
        let answer = self.with_headers(request, answer);
        self.turn(Some(answer))
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

    /// A success that reached the client ends its doubt about that user.
    fn settle(&mut self, turn: &Turn, index: usize) {
        let seen = &self.seen[index];
        let succeeded = turn.answer.as_ref().is_some_and(|answer| answer.status < 300);
        if let Some(user) = seen.user_id.as_deref().filter(|_| succeeded) {
            self.judge.settle(user, seen.method == "GET");
        }
    }

    /// The client cannot know what became of that PATCH.
    fn doubt(&mut self, request: &Incoming, outlasts_reads: bool) {
        let user = self.api.user_in(&self.tenant, request);
        if let (Ok(user), Ok(body)) = (user, strict_json::parse(&request.body)) {
            self.judge.doubt(user, body, outlasts_reads);
        }
    }

    fn mark_applied(&mut self) {
        if let Some(seen) = self.seen.last_mut() {
            seen.applied = true;
        }
    }
}
