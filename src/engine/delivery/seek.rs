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
    engine::diff::canonical,
    model::{Action, Attributes, Match, Operation, Outcome, Refusal, RemoteId, Value},
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
    /// is not shown yet says as little.
    pub(super) fn missing(&mut self, status: u16, code: &str) -> Step {
        match self.operation.action {
            Action::Delete => Step::Done(Outcome::Deleted),
            Action::Find { .. } => self.broken(status, code),
            Action::Create { .. } => match self.made_unseen() {
                Some(made) => Step::Done(made),
                None => self.broken(status, code),
            },
            Action::Read
            | Action::Patch { .. }
            | Action::Disable { .. }
            | Action::Enable { .. } => Step::Done(Outcome::Gone),
        }
    }

    /// 503 promises nothing where a second request would do harm.
    pub(super) fn unavailable(&mut self, status: u16) -> Step {
        let why = format!("status {status}");
        if self.is_creating() { self.uncertain(&why) } else { self.transient(&why) }
    }

    /// The request was turned away, to be sent after the silence that was asked for.
    pub(super) fn turned_away(&mut self, status: u16) -> Step {
        if status != 503 || !self.is_creating() {
            return Step::Pause(self.current());
        }
        (self.doubtful, self.doubted) = (true, true);
        if by_of(&self.operation.action).is_empty() {
            return Step::Done(self.abandon("status 503"));
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
            (Doubt::Fate | Doubt::Conflict | Doubt::Unshown, _) => {
                self.state = State::Sending;
                self.doubtful = false;
                Step::Send(Next::Operation)
            }
        }
    }
}

/// Whether the account has that value, whatever its capitals (RFC 7643 §4.1.1 for user names; e-mail
/// addresses are compared so everywhere).
fn answers(shown: &Attributes, by: &Match) -> bool {
    let folded = |value: &Value| match value {
        Value::Text(text) => Value::text(text.to_lowercase()),
        Value::Flag(_) | Value::Integer(_) | Value::Decimal(_) | Value::Set(_) => value.clone(),
    };
    let shown = canonical(shown).remove(&by.path).flatten();
    shown.is_some_and(|shown| folded(&shown) == folded(&by.value))
}
