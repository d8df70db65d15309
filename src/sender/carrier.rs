//! One operation from its first request to its outcome: asks the delivery what is next, and does it.

use super::{
    departure::Caller,
    grace::answer_in_time,
    http::Sent,
    lane::{Lane, dice},
    record::{Ended, Recorder},
};
use crate::{
    dialect::Basis,
    engine::{
        delivery::{Delivery, Step, StopCause},
        reply::Reply,
        retry::{self, RetryAfter},
    },
    model::{Action, Operation, Outcome, RemoteId},
};
use jiff::tz::TimeZone;
use secrecy::SecretString;
use std::{collections::BTreeMap, time::Duration};
use tokio::time::{Instant, sleep};

const ENDED_FIRST: &str = "the run ended first";

/// One operation and what it has used up.
pub(super) struct Carrier<'a, R> {
    caller: Caller<'a, R>,
    pub(super) requests: u32,
    /// Of the last answer.
    pub(super) status: Option<u16>,
    /// The operation changes attributes of an account that is there.
    changes: bool,
    /// What the last look showed, where changes are built on it.
    basis: Option<Basis>,
}

/// What became of one request.
enum Sending {
    Replied(Reply),
    /// The lane ended before it could leave.
    Ended,
    /// It cannot be spelled so that it would mean this user.
    Unspoken {
        why: String,
    },
}

impl<'a, R: Recorder> Carrier<'a, R> {
    /// Of an operation whose intent has just been written down, or of a part of one for which so many
    /// requests have left since.
    pub(super) fn new(
        lane: &'a Lane,
        operation: &'a Operation,
        recorder: &'a R,
        intent: u64,
        requests: u32,
    ) -> Self {
        let caller = match requests {
            0 => Caller::begun(lane, recorder, intent),
            _ => Caller::new(lane, recorder, intent),
        };
        let changes = operation.remote_id.is_some() && !operation.edits().is_empty();
        Self { caller, requests, status: None, changes, basis: None }
    }

    /// Sends until the delivery has an outcome, which the delivery then says more of.
    pub(super) async fn run(&mut self, delivery: &mut Delivery<'a>) -> Result<Outcome, String> {
        let mut next = delivery.first();
        loop {
            let Some(secrets) = self.caller.tokens().await? else {
                return Ok(delivery.abandon(ENDED_FIRST));
            };
            let sent = delivery.request(next);
            let reply = match self.request(sent, &secrets).await? {
                Sending::Replied(reply) => reply,
                Sending::Ended => return Ok(delivery.abandon(ENDED_FIRST)),
                Sending::Unspoken { why } => return Ok(delivery.abandon(&why)),
            };
            let step = delivery.next(reply, &mut self.caller.lane.shared().caution.budget);
            next = match step {
                Step::Done(outcome) => return Ok(outcome),
                Step::Stop { cause: StopCause::Broken { why }, outcome } => {
                    self.caller.lane.end(Ended::Broken { why });
                    return Ok(outcome);
                }
                Step::Stop { cause: StopCause::Unauthorized, outcome } => {
                    self.caller.lane.end(Ended::Unauthorized);
                    return Ok(outcome);
                }
                Step::Send(next) | Step::Pause(next) => next,
                Step::Again { next, failures } => {
                    let wait = retry::transient(failures, Instant::now().into_std(), dice());
                    if self.caller.lane.or_end(sleep(wait)).await.is_none() {
                        return Ok(delivery.abandon(ENDED_FIRST));
                    }
                    next
                }
                Step::Renew(next) if self.caller.lane.access.renew(&secrets) => next,
                Step::Renew(_) => {
                    self.caller.lane.end(Ended::Unauthorized);
                    return Ok(delivery.abandon("the credentials are refused"));
                }
            };
            if self.caller.lane.or_end(self.caller.lane.slot()).await.is_none() {
                return Ok(delivery.abandon(ENDED_FIRST));
            }
        }
    }

    /// One request and its reply, which the whole lane heeds before anything else is done.
    async fn request(
        &mut self,
        (remote_id, action): (Option<&RemoteId>, &Action),
        secrets: &BTreeMap<String, SecretString>,
    ) -> Result<Sending, String> {
        let basis = self.basis.as_ref();
        let request = match self.caller.lane.dialect.request_on(remote_id, action, basis) {
            Ok(request) => request,
            Err(why) => return Ok(Sending::Unspoken { why }),
        };
        let Some((pass, departure)) = self.caller.depart().await? else {
            return Ok(Sending::Ended);
        };
        self.requests += 1;
        self.count_request(action);
        let (method, left) = (request.method.as_str(), Instant::now());
        let answer = self.caller.lane.transport.send(request, secrets);
        let sent = answer_in_time(answer, self.caller.lane.stop.clone()).await;
        drop(departure);
        let reply = self.read(remote_id, action, sent);
        let took = left.elapsed();
        self.log(method, &reply, took);
        self.caller.lane.heed(&reply, pass, self.caller.recorder).await?;
        Ok(Sending::Replied(reply))
    }

    /// The operation is named by its number: the user is nobody's business but the report's.
    fn log(&self, method: &str, reply: &Reply, took: Duration) {
        let tenant = &self.caller.lane.tenant;
        let (op, attempt, duration_ms) = (self.caller.intent, self.requests, took.as_millis());
        match reply {
            Reply::Answered { answer, status, retry_after } => tracing::debug!(
                %tenant, op, attempt, method, http_status = status, code = answer.code,
                ?retry_after, duration_ms, "answered"
            ),
            Reply::NotSent { why } => {
                tracing::debug!(%tenant, op, attempt, method, why, duration_ms, "not sent");
            }
            Reply::Lost { why } => {
                tracing::debug!(%tenant, op, attempt, method, why, duration_ms, "no answer");
            }
            Reply::Unreachable { why } => {
                tracing::warn!(%tenant, op, attempt, method, why, "unreachable");
            }
        }
    }

    fn count_request(&self, action: &Action) {
        let mut shared = self.caller.lane.shared();
        if action.is_look() {
            shared.tally.reads += 1;
        } else {
            shared.tally.patches += 1;
        }
    }

    fn read(&mut self, remote_id: Option<&RemoteId>, action: &Action, sent: Sent) -> Reply {
        let response = match sent {
            Sent::Answered(response) => response,
            Sent::NotSent { why } => return Reply::NotSent { why },
            Sent::Lost { why } => return Reply::Lost { why },
            Sent::Unreachable { why } => return Reply::Unreachable { why },
        };
        let now = self.caller.lane.clock.now();
        let today = now.to_zoned(TimeZone::UTC).date();
        let answer = self.caller.lane.dialect.read(remote_id, action, &response, today);
        // What was done since makes an older look no basis any more.
        let shows = *action == Action::Read || response.is_success();
        if let Some(id) = remote_id.filter(|_| shows && self.changes) {
            self.basis = self.caller.lane.dialect.basis(id, &response);
        }
        let retry_after = RetryAfter::of(&response, now);
        self.caller.lane.heed_headers(&response);
        self.status = Some(response.status);
        Reply::Answered { answer, status: response.status, retry_after }
    }
}
