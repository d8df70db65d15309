//! Accounts that are not known yet: looked for, and made at most once.
//!
//! ```text
//!  create ─► made ──────────────────────────────────────────► created
//!     │  ▲                                              ┌────► matched: it is there, be it ours
//!     │  └───── nobody, after an answer that was lost ──┤
//!     ├─► lost, 5xx, cut ──► looked for, way by way ────┼────► several
//!     └─► conflict ────────► looked for, way by way ────┴────► refused, when nobody is found
//! ```
//! Where the target has no look-up, a creation whose answer was lost stays in doubt: another one might
//! make a second account.

use super::{Delivery, Doubt, Next, State, Step};
use crate::{
    engine::diff::{canonical, folded},
    model::{Action, Attributes, Match, Operation, Outcome, Refusal, RemoteId},
};

/// Where the search for an account stands.
#[derive(Clone, Debug)]
pub(super) struct Seek {
    /// The next look.
    look: Action,
    /// How many of the ways have been tried.
    tried: usize,
    /// The account that was made.
    made: Option<RemoteId>,
    /// Why it could not be made.
    refusal: Option<Refusal>,
}

impl Seek {
    pub(super) fn of(operation: &Operation) -> Self {
        let look = by_of(&operation.action).first().map_or(Action::Read, find);
        Self { look, tried: 0, made: None, refusal: None }
    }

    pub(super) fn look(&self) -> &Action {
        &self.look
    }

    pub(super) fn made(&self) -> Option<&RemoteId> {
        self.made.as_ref()
    }
}

/// Ways by which what a creation makes can be looked for.
fn by_of(action: &Action) -> &[Match] {
    match action {
        Action::Create { edits: _, by } => by,
        Action::Read
        | Action::Find { .. }
        | Action::Patch { .. }
        | Action::Disable { .. }
        | Action::Enable { .. }
        | Action::Delete => &[],
    }
}

fn find(by: &Match) -> Action {
    Action::Find { by: by.clone() }
}

impl Delivery<'_> {
    /// The account that is looked at; `None` while there is none yet.
    pub(super) fn account(&self) -> Option<&RemoteId> {
        self.operation.remote_id.as_ref().or(self.seek.made())
    }

    pub(super) fn done(&self, shown: Attributes, unverified: bool) -> Step {
        Step::Done(match self.seek.made().cloned() {
            Some(remote_id) => Outcome::Created { remote_id, shown, unverified },
            None => Outcome::Settled { shown, unverified },
        })
    }

    /// What is to be told of an account that was made, and that nobody has looked at since.
    pub(super) fn made_unseen(&self) -> Option<Outcome> {
        let remote_id = self.seek.made()?.clone();
        let sent = self.operation.edits().iter();
        let shown = sent.map(|edit| (edit.path.clone(), edit.after.clone())).collect();
        Some(Outcome::Created { remote_id, shown, unverified: true })
    }

    pub(super) fn made(&mut self, id: RemoteId, shown: Attributes) -> Step {
        match self.operation.action {
            Action::Create { .. } => {
                (self.seek.made, self.seek.look) = (Some(id), Action::Read);
                self.doubtful = false;
                self.applied(shown)
            }
            Action::Read
            | Action::Find { .. }
            | Action::Patch { .. }
            | Action::Disable { .. }
            | Action::Enable { .. }
            | Action::Delete => self.uncertain("the answer is one to a creation"),
        }
    }

    /// There is no such account. Of a creation that says nothing; that the one which was just made
    /// is not shown yet says as little. That it was deleted, it says only where a deletion left before
    /// whose answer was lost: else nobody knows what was looked for.
    pub(super) fn missing(&mut self, status: u16, code: &str) -> Step {
        match self.operation.action {
            Action::Delete if self.doubted => Step::Done(Outcome::Deleted),
            Action::Find { .. } => self.broken(status, code),
            Action::Create { .. } => match self.made_unseen() {
                Some(made) => Step::Done(made),
                None => self.broken(status, code),
            },
            Action::Read
            | Action::Patch { .. }
            | Action::Disable { .. }
            | Action::Enable { .. }
            | Action::Delete => Step::Done(Outcome::Gone),
        }
    }

    /// 503 promises nothing where a second request would do harm.
    pub(super) fn unavailable(&mut self, status: u16) -> Step {
        let why = format!("status {status}");
        if self.is_creating() { self.uncertain(&why) } else { self.transient(&why) }
    }

    /// The request was turned away, to be sent after the silence that was asked for.
    pub(super) fn turned_away(&mut self, status: u16) -> Step {
        if !matches!(status, 408 | 503) || !self.is_creating() {
            return Step::Pause(self.current());
        }
        (self.doubtful, self.doubted) = (true, true);
        if by_of(&self.operation.action).is_empty() {
            return Step::Done(self.abandon(&format!("status {status}")));
        }
        self.begin_seeking(Doubt::Fate);
        Step::Pause(Next::Look)
    }

    fn is_creating(&self) -> bool {
        matches!(self.operation.action, Action::Create { .. }) && self.state == State::Sending
    }

    fn begin_seeking(&mut self, doubt: Doubt) {
        self.state = State::Looking(doubt);
        self.seek.tried = 0;
        self.seek.look = by_of(&self.operation.action).first().map_or(Action::Read, find);
    }

    /// Whether the account was made, nobody knows: it is looked for before another is.
    pub(super) fn seek_own(&mut self, why: &str) -> Step {
        (self.doubtful, self.doubted) = (true, true);
        if by_of(&self.operation.action).is_empty() {
            return Step::Done(self.abandon(why));
        }
        self.failures += 1;
        self.begin_seeking(Doubt::Fate);
        self.again(Next::Look)
    }

    /// Somebody has what the account was to have: perhaps this very user.
    pub(super) fn seek_rival(&mut self, refusal: Refusal) -> Step {
        if by_of(&self.operation.action).is_empty() {
            return Step::Done(Outcome::Refused(refusal));
        }
        self.seek.refusal = Some(refusal);
        self.begin_seeking(Doubt::Conflict);
        Step::Send(Next::Look)
    }

    /// What a look-up has brought.
    pub(super) fn matches(&mut self, matches: Vec<(RemoteId, Attributes)>) -> Step {
        let (Action::Find { by }, true) = (self.sought().clone(), self.is_seeking()) else {
            return self.uncertain("the answer to a read is a list");
        };
        let some = !matches.is_empty();
        let mut exact: Vec<(RemoteId, Attributes)> =
            matches.into_iter().filter(|(_, shown)| answers(shown, &by)).collect();
        exact.dedup_by(|a, b| a.0 == b.0);
        let Match { path: by, value: _ } = by;
        match (exact.pop(), exact.len()) {
            (Some((remote_id, shown)), 0) => {
                Step::Done(Outcome::Matched { remote_id, shown: canonical(&shown), by })
            }
            (Some(_), others) => Step::Done(Outcome::Ambiguous { count: others + 1 }),
            // Who answers with others than were asked for may have left ours out.
            (None, _) if some => {
                Step::Done(self.abandon("the target's list has accounts that were not asked for"))
            }
            (None, _) => self.nobody(),
        }
    }

    /// The look-up that is under way.
    fn sought(&self) -> &Action {
        match self.state {
            State::Sending => &self.operation.action,
            State::Looking(_) => &self.seek.look,
        }
    }

    fn is_seeking(&self) -> bool {
        match self.state {
            State::Sending => matches!(self.operation.action, Action::Find { .. }),
            State::Looking(_) => true,
        }
    }

    fn nobody(&mut self) -> Step {
        let State::Looking(doubt) = self.state else { return Step::Done(Outcome::Nobody) };
        self.seek.tried += 1;
        if let Some(by) = by_of(&self.operation.action).get(self.seek.tried) {
            self.seek.look = find(by);
            return Step::Send(Next::Look);
        }
        match (doubt, self.seek.refusal.take()) {
            (Doubt::Conflict, Some(refusal)) => Step::Done(Outcome::Refused(refusal)),
            _ if self.failures >= self.failures_max => {
                Step::Done(self.abandon("sent as often as a run may, and nobody is found"))
            }
            (Doubt::Basis | Doubt::Fate | Doubt::Conflict | Doubt::Unshown, _) => {
                self.state = State::Sending;
                self.doubtful = false;
                Step::Send(Next::Operation)
            }
        }
    }
}

/// Whether the account has that value.
fn answers(shown: &Attributes, by: &Match) -> bool {
    let shown = canonical(shown).remove(&by.path).flatten();
    shown.is_some_and(|shown| folded(&shown) == folded(&by.value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        engine::{budget::Budget, reply::Reply, retry::RetryAfter},
        model::{Answer, AttrPath, Edit, UserKey, Value, Verdict},
    };

    fn by(path: &str) -> Match {
        Match { path: AttrPath::new(path), value: Value::text("Ann@x.org") }
    }

    fn creation(by: Vec<Match>) -> Operation {
        let after = Some(Value::text("Ann@x.org"));
        let edit = Edit { path: AttrPath::new("userName"), before: Some(None), after };
        let action = Action::Create { edits: vec![edit], by };
        Operation { key: UserKey::parse("E1").unwrap(), remote_id: None, action }
    }

    fn account(name: &str) -> (RemoteId, Attributes) {
        let shown = [(AttrPath::new("userName"), Some(Value::text(name)))].into();
        (RemoteId::parse("u1").unwrap(), shown)
    }

    fn answered(verdict: Verdict, status: u16) -> Reply {
        let retry_after = RetryAfter::Absent;
        Reply::Answered { answer: Answer::of(verdict), status, retry_after }
    }

    fn next(delivery: &mut Delivery<'_>, reply: Reply) -> Step {
        delivery.next(reply, &mut Budget::default())
    }

    fn lost() -> Reply {
        Reply::Lost { why: "no answer".to_owned() }
    }

    #[test]
    fn a_creation_whose_answer_was_lost_is_looked_for_every_way_before_it_is_sent_again() {
        let operation = creation(vec![by("externalId"), by("userName")]);
        let mut delivery = Delivery::new(&operation, true, &[]);
        assert_eq!(next(&mut delivery, lost()), Step::Again { next: Next::Look, failures: 0 });
        let way = |delivery: &Delivery<'_>| delivery.request(Next::Look).1.clone();
        assert_eq!(way(&delivery), find(&by("externalId")));
        let nobody = || answered(Verdict::Matches(Vec::new()), 200);
        assert_eq!(next(&mut delivery, nobody()), Step::Send(Next::Look));
        assert_eq!(way(&delivery), find(&by("userName")));
        assert_eq!(next(&mut delivery, nobody()), Step::Send(Next::Operation));
    }

    #[test]
    fn a_503_with_or_without_retry_after_does_not_let_a_creation_be_sent_blindly() {
        for retry_after in [RetryAfter::Absent, RetryAfter::Wait(std::time::Duration::from_secs(9))]
        {
            let operation = creation(vec![by("userName")]);
            let mut delivery = Delivery::new(&operation, true, &[]);
            let answer = Answer::of(Verdict::Unavailable);
            let reply = Reply::Answered { answer, status: 503, retry_after };
            let step = next(&mut delivery, reply);
            let looks =
                matches!(step, Step::Again { next: Next::Look, .. } | Step::Pause(Next::Look));
            assert!(looks, "{step:?}");
        }
    }

    #[test]
    fn without_a_look_up_a_creation_that_was_lost_stays_in_doubt() {
        let operation = creation(Vec::new());
        for reply in [lost(), answered(Verdict::Uncertain, 500)] {
            let mut delivery = Delivery::new(&operation, true, &[]);
            let step = next(&mut delivery, reply);
            assert!(matches!(step, Step::Done(Outcome::InDoubt { .. })), "{step:?}");
        }
    }

    #[test]
    fn after_a_conflict_the_rival_is_adopted_or_the_creation_refused() {
        let operation = creation(vec![by("userName")]);
        let conflict = || answered(Verdict::Conflict, 409);
        let mut delivery = Delivery::new(&operation, true, &[]);
        assert_eq!(next(&mut delivery, conflict()), Step::Send(Next::Look));
        let found = answered(Verdict::Matches(vec![account("ANN@X.ORG")]), 200);
        let step = next(&mut delivery, found);
        assert!(matches!(step, Step::Done(Outcome::Matched { .. })), "{step:?}");

        let mut refused = Delivery::new(&operation, true, &[]);
        let _ = next(&mut refused, conflict());
        let step = next(&mut refused, answered(Verdict::Matches(Vec::new()), 200));
        assert!(matches!(step, Step::Done(Outcome::Refused(_))), "{step:?}");
    }

    fn deletion() -> Operation {
        let (key, remote_id) = (UserKey::parse("E1").unwrap(), RemoteId::parse("u1").unwrap());
        Operation { key, remote_id: Some(remote_id), action: Action::Delete }
    }

    #[test]
    fn a_404_to_a_deletion_means_done_only_after_one_whose_answer_was_lost() {
        let operation = deletion();
        let missing = || answered(Verdict::Missing, 404);
        let mut first = Delivery::new(&operation, true, &[]);
        assert_eq!(next(&mut first, missing()), Step::Done(Outcome::Gone));
        for reads in [true, false] {
            let mut delivery = Delivery::new(&operation, reads, &[]);
            let _ = next(&mut delivery, lost());
            assert_eq!(next(&mut delivery, missing()), Step::Done(Outcome::Deleted));
        }
    }

    #[test]
    fn after_a_408_a_creation_is_looked_for() {
        let operation = creation(vec![by("userName")]);
        let mut delivery = Delivery::new(&operation, true, &[]);
        let step = next(&mut delivery, answered(Verdict::Throttled, 408));
        assert!(matches!(step, Step::Again { next: Next::Look, .. } | Step::Pause(Next::Look)));
    }

    #[test]
    fn a_list_of_others_proves_neither_that_there_is_nobody_nor_that_there_is_somebody() {
        let (key, action) = (UserKey::parse("E1").unwrap(), find(&by("userName")));
        let operation = Operation { key, remote_id: None, action };
        let mut delivery = Delivery::new(&operation, true, &[]);
        let others = answered(Verdict::Matches(vec![account("bob@x.org")]), 200);
        let step = next(&mut delivery, others);
        assert!(matches!(step, Step::Done(Outcome::Deferred { .. })), "{step:?}");
    }

    #[test]
    fn an_account_that_was_made_is_read_where_the_answer_shows_too_little_and_never_made_again() {
        let operation = creation(vec![by("userName")]);
        let mut delivery = Delivery::new(&operation, true, &[]);
        let (id, shown) = account("Ann@x.org");
        let made = Verdict::Created { id: id.clone(), shown: Attributes::new() };
        assert_eq!(next(&mut delivery, answered(made, 201)), Step::Send(Next::Look));
        assert_eq!(delivery.request(Next::Look), (Some(&id), &Action::Read));
        let missing = delivery.clone();
        let step = next(&mut delivery, answered(Verdict::Found { shown: shown.clone() }, 200));
        let created = Outcome::Created { remote_id: id.clone(), shown, unverified: false };
        assert_eq!(step, Step::Done(created));
        // Not to be seen yet: it is there all the same.
        let mut missing = missing;
        let step = next(&mut missing, answered(Verdict::Missing, 404));
        assert!(matches!(step, Step::Done(Outcome::Created { unverified: true, .. })), "{step:?}");
    }
}
