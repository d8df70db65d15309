//! One operation on its way: from what came back, what to do next.
//!
//! ```text
//!            ┌────────────── again (transient, after the credentials, after the pause)
//!            ▼                                   │
//!  send ─► Sending ── applied, all shown ────────┼──► settled
//!            │  ▲                                │
//!            │  └── not done ── Looking ─────────┤
//!            ├─► uncertain, conflict, ──►────────┼──► settled, in doubt, refused, gone
//!            │   applied but not shown           │
//!            └─► rejected, of several parts ──► the parts, by [`super::bisect`]
//! ```
//! Looking is a read of the user whose answer decides. Where the target offers no read, the same
//! absolute values are sent again instead: every body sets values and none appends, so a request is
//! safe to send twice.
//!
//! A creation cannot be sent twice, so it has its own way: see `seek.rs`.
//!
//! Whatever is sent again is paid for out of the tenant's [`Budget`]. When that is used up, the
//! operation is deferred, or in doubt, and belongs to the next run.

mod basis;
mod pay;
mod search;
mod seek;

pub use search::Parts;

use super::{
    budget::{Budget, Cost},
    diff::{canonical, same},
    reply::Reply,
    retry::{ATTEMPTS_AFTER_ERROR_MAX, ATTEMPTS_MAX},
};
use crate::model::{
    Action, Answer, Attributes, Edit, Group, Operation, Outcome, Refusal, RemoteId, Verdict,
};
use search::Search;
use seek::Seek;

/// The request that goes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// The operation itself, as far as [`Delivery::action`] says.
    Operation,
    /// A read of its user; after a creation a look-up of what it should have made.
    Look,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Send at once.
    Send(Next),
    /// Send after the wait of the `failures`-th transient failure, from 0.
    Again {
        next: Next,
        failures: u32,
    },
    /// Send once the tenant's silence is over; see [`Reply::asks`]. Does not use up an attempt.
    Pause(Next),
    /// Renew the credentials, then send; if they cannot be renewed, [`Delivery::abandon`].
    Renew(Next),
    /// Nothing more may be sent to this tenant in this run.
    Stop {
        cause: StopCause,
        outcome: Outcome,
    },
    Done(Outcome),
}

/// Why a tenant's run ends early.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StopCause {
    /// The credentials are refused.
    Unauthorized,
    /// No request can succeed: wrong address, wrong contract, a certificate, an endpoint gone.
    Broken { why: String },
}

/// Why the user is being looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Doubt {
    /// Nothing was sent yet: the change is built on what this look shows.
    Basis,
    /// Done, but the answer did not show all that was sent.
    Unshown,
    /// Nobody knows whether it was done.
    Fate,
    /// The target spoke of a conflict.
    Conflict,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Sending,
    Looking(Doubt),
}

/// One operation on its way.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "facts that happen once, in any order")]
pub struct Delivery<'a> {
    operation: &'a Operation,
    groups: &'a [Group],
    /// The target offers a read.
    reads: bool,
    state: State,
    /// What the reply that comes next answers.
    sent: Next,
    /// Of the next repetition.
    cost: Cost,
    /// Requests that came to nothing, throttled ones not counted.
    failures: u32,
    failures_max: u32,
    renewed: bool,
    conflicted: bool,
    /// A PATCH left whose fate is not known.
    doubtful: bool,
    /// One did at some time.
    doubted: bool,
    /// Nothing of the operation left yet, because a look goes first.
    unsent: bool,
    search: Option<Search>,
    seek: Seek,
}

impl<'a> Delivery<'a> {
    /// `reads`: the target offers a read. `groups`: its attributes that travel together.
    #[must_use]
    pub fn new(operation: &'a Operation, reads: bool, groups: &'a [Group]) -> Self {
        Self {
            operation,
            groups,
            reads,
            state: State::Sending,
            sent: Next::Operation,
            cost: Cost::Plain,
            failures: 0,
            failures_max: ATTEMPTS_MAX,
            renewed: false,
            conflicted: false,
            doubtful: false,
            doubted: false,
            unsent: false,
            search: None,
            seek: Seek::of(operation),
        }
    }

    /// What to send, and of which account.
    #[must_use]
    pub fn request(&self, next: Next) -> (Option<&RemoteId>, &Action) {
        match next {
            Next::Operation => (self.operation.remote_id.as_ref(), self.action()),
            Next::Look => (self.account(), self.seek.look()),
        }
    }

    /// What [`Next::Operation`] sends: the whole operation, or the part that is tried.
    #[must_use]
    pub fn action(&self) -> &Action {
        self.search.as_ref().map_or(&self.operation.action, |search| &search.action)
    }

    /// A change left whose fate was not known for a time; it may arrive yet.
    #[must_use]
    pub fn was_in_doubt(&self) -> bool {
        self.doubted
    }

    /// The outcome when the run has to end before the next request.
    #[must_use]
    pub fn abandon(&self, why: &str) -> Outcome {
        if let Some(made) = self.made_unseen() {
            return made;
        }
        let some_went = self.parts().is_some_and(|parts| !parts.accepted.is_empty());
        let looks_after = matches!(self.state, State::Looking(doubt) if doubt != Doubt::Basis);
        if self.doubtful || some_went || looks_after {
            Outcome::InDoubt { why: why.to_owned() }
        } else {
            Outcome::Deferred { why: why.to_owned() }
        }
    }

    /// What to do after this reply.
    #[must_use]
    pub fn next(&mut self, reply: Reply, budget: &mut Budget) -> Step {
        match &reply {
            Reply::Lost { .. } => self.cost = Cost::Unanswered,
            // What a look shows makes the request before it neither cheaper nor dearer.
            _ if self.sent == Next::Look => {}
            _ => self.cost = Cost::Plain,
        }
        let throttled = reply.throttles();
        let step = match reply {
            Reply::Answered { status, .. } if throttled => self.turned_away(status),
            Reply::Answered { answer, status, retry_after: _ } => self.answered(answer, status),
            Reply::NotSent { why } => self.transient(&why),
            Reply::Lost { why } => self.uncertain(&why),
            Reply::Unreachable { why } => {
                Step::Stop { outcome: self.abandon(&why), cause: StopCause::Broken { why } }
            }
        };
        let step = self.search_on(step);
        self.pay_for(step, budget)
    }

    fn answered(&mut self, answer: Answer, status: u16) -> Step {
        let Answer { verdict, code, excerpt } = answer;
        let refusal = |attributes| Refusal { status, code: code.clone(), excerpt, attributes };
        match (verdict, self.state) {
            (Verdict::Applied { shown }, State::Sending) => self.applied(canonical(&shown)),
            (Verdict::Found { shown }, State::Sending) => settled(canonical(&shown)),
            (Verdict::Found { shown }, State::Looking(doubt)) => {
                self.found(canonical(&shown), doubt)
            }
            (Verdict::Created { id, shown }, State::Sending) => self.made(id, canonical(&shown)),
            (Verdict::Matches(matches), _) => self.matches(matches),
            (Verdict::Applied { .. } | Verdict::Created { .. }, State::Looking(_)) => {
                self.uncertain("the answer to a read is not one")
            }
            (Verdict::Missing, _) => self.missing(status, &code),
            (Verdict::Throttled, _) => Step::Pause(self.current()),
            (Verdict::Unavailable, _) => self.unavailable(status),
            (Verdict::Uncertain, _) => {
                if status >= 500 && !matches!(status, 502 | 504) {
                    self.failures_max = ATTEMPTS_AFTER_ERROR_MAX;
                }
                self.uncertain(&format!("status {status}"))
            }
            (Verdict::Conflict, State::Sending) => self.conflict(refusal(Vec::new())),
            (Verdict::Rejected { attributes }, State::Sending) => {
                self.rejected(refusal(attributes))
            }
            (Verdict::Forbidden, State::Sending) => {
                Step::Done(Outcome::Refused(refusal(Vec::new())))
            }
            // The read is refused, which says nothing about what was sent before it.
            (
                Verdict::Conflict | Verdict::Rejected { .. } | Verdict::Forbidden,
                State::Looking(_),
            ) => Step::Done(self.abandon(&format!("the read-back was refused with {status}"))),
            (Verdict::Unauthorized, _) => self.unauthorized(),
            (Verdict::Broken, _) => self.broken(status, &code),
        }
    }

    fn applied(&mut self, shown: Attributes) -> Step {
        match self.operation.action {
            Action::Delete => return Step::Done(Outcome::Deleted),
            Action::Create { .. } if self.seek.made().is_none() => {
                return self.uncertain("the answer does not say which account was made");
            }
            Action::Create { .. }
            | Action::Patch { .. }
            | Action::Disable { .. }
            | Action::Enable { .. }
            | Action::Read
            | Action::Find { .. } => {}
        }
        let all_shown = self.edits().iter().all(|edit| shown.contains_key(&edit.path));
        if all_shown {
            return self.done(shown, false);
        }
        if self.reads {
            self.state = State::Looking(Doubt::Unshown);
            return Step::Send(Next::Look);
        }
        self.seen(shown)
    }

    /// It is done as far as the target can show it; what it has no way to show is taken to hold.
    fn seen(&self, shown: Attributes) -> Step {
        let unverified = self.edits().iter().any(|edit| !shown.contains_key(&edit.path));
        let sent = self.edits().iter().map(|edit| (edit.path.clone(), edit.after.clone()));
        let shown = sent.chain(shown).collect();
        self.done(shown, unverified)
    }

    fn found(&mut self, shown: Attributes, doubt: Doubt) -> Step {
        match doubt {
            // It said "done", so what it shows otherwise it rewrote or ignored.
            Doubt::Unshown => self.seen(shown),
            // Nobody said so: only what is seen to hold was done.
            Doubt::Basis | Doubt::Fate | Doubt::Conflict
                if self.operation.action != Action::Delete
                    && self.edits().iter().all(|edit| holds(edit, &shown)) =>
            {
                settled(shown)
            }
            // Not done, which says nothing about the value: the next run looks and sends again.
            Doubt::Fate | Doubt::Conflict if self.failures >= self.failures_max => {
                Step::Done(self.abandon("sent as often as a run may, and not done"))
            }
            Doubt::Basis | Doubt::Fate | Doubt::Conflict => {
                self.state = State::Sending;
                self.doubtful = false;
                Step::Send(Next::Operation)
            }
        }
    }

    fn conflict(&mut self, refusal: Refusal) -> Step {
        if self.conflicted {
            return Step::Done(Outcome::Refused(refusal));
        }
        self.conflicted = true;
        if let Action::Create { .. } = self.operation.action {
            return self.seek_rival(refusal);
        }
        if self.reads && !self.operation.action.is_look() {
            self.state = State::Looking(Doubt::Conflict);
            return Step::Send(Next::Look);
        }
        self.again(Next::Operation)
    }

    /// Nothing was done.
    fn transient(&mut self, why: &str) -> Step {
        self.failures += 1;
        if self.failures >= self.failures_max {
            return Step::Done(self.abandon(why));
        }
        self.again(self.current())
    }

    /// Something may have been done.
    fn uncertain(&mut self, why: &str) -> Step {
        let writes = !self.operation.action.is_look();
        // What a look came to says nothing new.
        if writes && self.state == State::Sending {
            (self.doubtful, self.doubted) = (true, true);
        }
        if let (Action::Create { .. }, State::Sending) = (&self.operation.action, self.state) {
            return self.seek_own(why);
        }
        if self.reads && writes && self.state == State::Sending {
            self.state = State::Looking(Doubt::Fate);
            self.failures += 1;
            return self.again(Next::Look);
        }
        self.transient(why)
    }

    fn unauthorized(&mut self) -> Step {
        if self.renewed {
            let outcome = self.abandon("the credentials are refused");
            return Step::Stop { cause: StopCause::Unauthorized, outcome };
        }
        self.renewed = true;
        Step::Renew(self.current())
    }

    fn broken(&mut self, status: u16, code: &str) -> Step {
        // A success that makes no sense may still have changed something.
        self.doubtful |= !self.operation.action.is_look() && (200..300).contains(&status);
        let why = match code {
            "" => format!("status {status}"),
            code => format!("status {status}, {code}"),
        };
        Step::Stop { outcome: self.abandon(&why), cause: StopCause::Broken { why } }
    }

    fn again(&self, next: Next) -> Step {
        Step::Again { next, failures: self.failures.saturating_sub(1) }
    }

    fn current(&self) -> Next {
        match self.state {
            State::Sending => Next::Operation,
            State::Looking(_) => Next::Look,
        }
    }

    /// What is sent at present.
    fn edits(&self) -> &[Edit] {
        self.action().edits()
    }
}

/// Why an operation that may be sent again is not.
const USED_UP: &str = "the tenant's repetitions of this run are used up";

fn settled(shown: Attributes) -> Step {
    Step::Done(Outcome::Settled { shown, unverified: false })
}

fn holds(edit: &Edit, shown: &Attributes) -> bool {
    shown.get(&edit.path).is_some_and(|value| same(value.as_ref(), edit.after.as_ref()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        engine::retry::RetryAfter,
        model::{AttrPath, RemoteId, UserKey, Value},
    };
    use proptest::prelude::*;
    use std::time::Duration;

    impl Delivery<'_> {
        /// As if nothing had been sent again yet.
        fn then(&mut self, reply: Reply) -> Step {
            self.next(reply, &mut Budget::default())
        }
    }

    fn patch() -> Operation {
        let edit = Edit {
            path: AttrPath::new("title"),
            before: Some(Some(Value::from("old"))),
            after: Some(Value::from("new")),
        };
        let action =
            Action::Patch { edits: vec![edit], companions: std::collections::BTreeMap::new() };
        Operation { action, ..read() }
    }

    fn read() -> Operation {
        let key = UserKey::parse("E1").unwrap();
        let remote_id = RemoteId::parse("u1").unwrap();
        Operation { key, remote_id: Some(remote_id), action: Action::Read }
    }

    fn shown(text: &str) -> Attributes {
        [(AttrPath::new("title"), Some(Value::from(text)))].into()
    }

    fn reply(verdict: Verdict, status: u16) -> Reply {
        let retry_after = RetryAfter::Absent;
        Reply::Answered { answer: Answer::of(verdict), status, retry_after }
    }

    fn lost() -> Reply {
        Reply::Lost { why: "no answer".into() }
    }

    fn found(text: &str) -> Reply {
        reply(Verdict::Found { shown: shown(text) }, 200)
    }

    #[test]
    fn an_answer_that_shows_all_that_was_sent_settles_it() {
        let operation = patch();
        let mut delivery = Delivery::new(&operation, true, &[]);
        let step = delivery.then(reply(Verdict::Applied { shown: shown("new") }, 200));
        assert_eq!(step, settled(shown("new")));
    }

    #[test]
    fn d16_an_answer_that_does_not_show_it_is_read_back() {
        let operation = patch();
        let mut delivery = Delivery::new(&operation, true, &[]);
        let applied = || reply(Verdict::Applied { shown: Attributes::new() }, 204);
        assert_eq!(delivery.then(applied()), Step::Send(Next::Look));
        assert_eq!(delivery.then(found("new")), settled(shown("new")));

        let mut blind = Delivery::new(&operation, false, &[]);
        let taken = Outcome::Settled { shown: shown("new"), unverified: true };
        assert_eq!(blind.then(applied()), Step::Done(taken));
    }

    #[test]
    fn d21_a_lost_answer_whose_change_was_done_is_not_sent_again() {
        let operation = patch();
        let mut delivery = Delivery::new(&operation, true, &[]);
        assert_eq!(delivery.then(lost()), Step::Again { next: Next::Look, failures: 0 });
        assert_eq!(delivery.then(found("new")), settled(shown("new")));
    }

    #[test]
    fn d22_a_lost_request_is_sent_again_after_the_look() {
        let operation = patch();
        let mut delivery = Delivery::new(&operation, true, &[]);
        let _ = delivery.then(lost());
        assert_eq!(delivery.then(found("old")), Step::Send(Next::Operation));
        let step = delivery.then(reply(Verdict::Applied { shown: shown("new") }, 200));
        assert_eq!(step, settled(shown("new")));
    }

    #[test]
    fn d22_what_was_never_done_in_all_attempts_is_in_doubt_and_not_taken_for_a_rewritten_value() {
        let operation = patch();
        let mut delivery = Delivery::new(&operation, true, &[]);
        let mut sent = 1;
        let outcome = loop {
            let failed = reply(Verdict::Uncertain, 504);
            assert!(matches!(delivery.then(failed), Step::Again { next: Next::Look, .. }));
            match delivery.then(found("old")) {
                Step::Send(Next::Operation) => sent += 1,
                Step::Done(outcome) => break outcome,
                step => panic!("{step:?}"),
            }
        };
        assert!(matches!(outcome, Outcome::InDoubt { .. }), "{outcome:?}");
        assert_eq!(sent, ATTEMPTS_MAX);
    }

    #[test]
    fn d21_a_look_that_does_not_show_the_attribute_proves_nothing_and_it_is_sent_again() {
        let operation = patch();
        let mut delivery = Delivery::new(&operation, true, &[]);
        let _ = delivery.then(lost());
        let nothing = || reply(Verdict::Found { shown: Attributes::new() }, 200);
        assert_eq!(delivery.then(nothing()), Step::Send(Next::Operation));
        let applied = reply(Verdict::Applied { shown: Attributes::new() }, 204);
        assert_eq!(delivery.then(applied), Step::Send(Next::Look));
        let taken = Outcome::Settled { shown: shown("new"), unverified: true };
        assert_eq!(delivery.then(nothing()), Step::Done(taken));
    }

    #[test]
    fn without_a_read_the_absolute_value_is_sent_again() {
        let operation = patch();
        let mut delivery = Delivery::new(&operation, false, &[]);
        assert_eq!(delivery.then(lost()), Step::Again { next: Next::Operation, failures: 0 });
    }

    #[test]
    fn a_fate_that_stays_unknown_ends_in_doubt_and_never_as_done() {
        let operation = patch();
        for reads in [true, false] {
            let mut delivery = Delivery::new(&operation, reads, &[]);
            let mut step = Step::Send(Next::Operation);
            let mut requests = 0;
            while !matches!(step, Step::Done(_)) {
                step = delivery.then(lost());
                requests += 1;
            }
            assert!(matches!(step, Step::Done(Outcome::InDoubt { .. })));
            assert_eq!(requests, ATTEMPTS_MAX);
        }
    }

    #[test]
    fn what_never_left_is_deferred_and_not_in_doubt() {
        let operation = patch();
        let mut delivery = Delivery::new(&operation, true, &[]);
        let not_sent = || Reply::NotSent { why: "refused".into() };
        for failures in 0..ATTEMPTS_MAX - 1 {
            let again = Step::Again { next: Next::Operation, failures };
            assert_eq!(delivery.then(not_sent()), again);
        }
        assert!(matches!(delivery.then(not_sent()), Step::Done(Outcome::Deferred { .. })));
    }

    #[test]
    fn a_throttled_request_uses_up_no_attempt() {
        let operation = patch();
        let mut delivery = Delivery::new(&operation, true, &[]);
        let retry_after = RetryAfter::Wait(Duration::from_secs(9));
        let answer = Answer::of(Verdict::Throttled);
        for _ in 0..50 {
            let reply = Reply::Answered { answer: answer.clone(), status: 429, retry_after };
            assert_eq!(delivery.then(reply), Step::Pause(Next::Operation));
        }
    }

    #[test]
    fn d10_credentials_are_renewed_once_and_then_the_tenant_stops() {
        let operation = patch();
        let mut delivery = Delivery::new(&operation, true, &[]);
        let refused = || reply(Verdict::Unauthorized, 401);
        assert_eq!(delivery.then(refused()), Step::Renew(Next::Operation));
        let stop = delivery.then(refused());
        assert!(matches!(stop, Step::Stop { cause: StopCause::Unauthorized, .. }));
    }

    #[test]
    fn d13_a_conflict_is_looked_at_and_tried_once_more() {
        let operation = patch();
        let mut delivery = Delivery::new(&operation, true, &[]);
        let conflict = || reply(Verdict::Conflict, 409);
        assert_eq!(delivery.then(conflict()), Step::Send(Next::Look));
        assert_eq!(delivery.then(found("old")), Step::Send(Next::Operation));
        assert!(matches!(delivery.then(conflict()), Step::Done(Outcome::Refused(_))));

        let mut no_op = Delivery::new(&operation, true, &[]);
        let _ = no_op.then(conflict());
        assert_eq!(no_op.then(found("new")), settled(shown("new")));
    }

    #[test]
    fn d29_a_redirect_stops_the_tenant_and_leaves_no_doubt() {
        let operation = patch();
        let mut delivery = Delivery::new(&operation, true, &[]);
        let Step::Stop { outcome, .. } = delivery.then(reply(Verdict::Broken, 307)) else {
            panic!("the tenant goes on")
        };
        assert!(matches!(outcome, Outcome::Deferred { .. }));
    }

    #[test]
    fn d31_a_success_for_another_user_stays_in_doubt() {
        let operation = patch();
        let mut delivery = Delivery::new(&operation, true, &[]);
        let Step::Stop { outcome, .. } = delivery.then(reply(Verdict::Broken, 200)) else {
            panic!("the tenant goes on")
        };
        assert!(matches!(outcome, Outcome::InDoubt { .. }));
    }

    fn any_reply() -> impl Strategy<Value = Reply> {
        let verdict = prop_oneof![
            Just(Verdict::Applied { shown: shown("new") }),
            Just(Verdict::Applied { shown: Attributes::new() }),
            Just(Verdict::Found { shown: shown("new") }),
            Just(Verdict::Found { shown: shown("old") }),
            Just(Verdict::Missing),
            Just(Verdict::Unavailable),
            Just(Verdict::Uncertain),
            Just(Verdict::Conflict),
            Just(Verdict::Rejected { attributes: Vec::new() }),
            Just(Verdict::Unauthorized),
            Just(Verdict::Forbidden),
            Just(Verdict::Broken),
        ];
        prop_oneof![
            verdict.prop_map(|verdict| reply(verdict, 200)),
            Just(lost()),
            Just(Reply::NotSent { why: "refused".into() }),
            Just(Reply::Unreachable { why: "certificate".into() }),
        ]
    }

    proptest! {
        #[test]
        fn every_delivery_ends_within_a_dozen_requests(
            replies in prop::collection::vec(any_reply(), 40), reads in any::<bool>()
        ) {
            for operation in [patch(), read()] {
                let mut delivery = Delivery::new(&operation, reads, &[]);
                let end = replies.iter().cloned().position(|reply| {
                    matches!(delivery.then(reply), Step::Done(_) | Step::Stop { .. })
                });
                prop_assert!(end.is_some_and(|requests| requests < 12), "{:?}", end);
            }
        }

        #[test]
        fn a_patch_is_settled_only_by_an_answer_that_shows_the_user(
            replies in prop::collection::vec(any_reply(), 40)
        ) {
            let operation = patch();
            let mut delivery = Delivery::new(&operation, true, &[]);
            for reply in replies {
                let shows = matches!(&reply, Reply::Answered { answer, .. } if matches!(
                    &answer.verdict,
                    Verdict::Applied { shown } | Verdict::Found { shown } if !shown.is_empty()
                ));
                match delivery.then(reply) {
                    Step::Done(Outcome::Settled { .. }) => { prop_assert!(shows); break }
                    Step::Done(_) | Step::Stop { .. } => break,
                    Step::Send(_) | Step::Again { .. } | Step::Pause(_) | Step::Renew(_) => {}
                }
            }
        }
    }
}
