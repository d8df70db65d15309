//! One operation to its end. Where it goes by several requests, each part is delivered as an operation
//! would be, one after the other, and what became of all of them is one outcome.

use super::{
    carrier::Carrier,
    lane::Lane,
    queue::Begun,
    record::{End, Recorder},
};
use crate::{
    engine::delivery::{Delivery, Parts},
    model::{Action, AttrPath, Attributes, Excerpt, Operation, Outcome, Refusal, RemoteId},
};
use std::collections::BTreeSet;

impl Lane {
    /// Carries one operation to its end. Has a slot already.
    pub(super) async fn carry<R: Recorder>(
        &self,
        begun: &Begun,
        recorder: &R,
    ) -> Result<End, String> {
        let Begun { operation, intent } = begun;
        let parts = self.dialect.apart(&operation.action);
        if parts.is_empty() {
            return self.carry_one(operation, *intent, 0, recorder).await;
        }
        // Seldom, and on the heap: the place for it is not carried along by every other operation.
        Box::pin(self.carry_apart(operation, parts, *intent, recorder)).await
    }

    /// The same of an operation, or a part of one, that one request can say. `requests`: sent for it
    /// before.
    async fn carry_one<R: Recorder>(
        &self,
        operation: &Operation,
        intent: u64,
        requests: u32,
        recorder: &R,
    ) -> Result<End, String> {
        let mut carrier = Carrier::new(self, operation, recorder, intent, requests);
        let groups = &self.dialect.capabilities().groups;
        let mut delivery = Delivery::new(operation, self.reads, groups);
        if self.dialect.builds_on_look(&operation.action) {
            delivery = delivery.after_a_look();
        }
        let outcome = carrier.run(&mut delivery).await?;
        let Carrier { requests, status, .. } = carrier;
        let (was_in_doubt, parts) = (delivery.was_in_doubt(), delivery.parts());
        Ok(End { outcome, status, requests, at: self.clock.now(), was_in_doubt, parts })
    }

    /// Sends part after part, until one of them does not come to a good end.
    async fn carry_apart<R: Recorder>(
        &self,
        operation: &Operation,
        parts: Vec<Action>,
        intent: u64,
        recorder: &R,
    ) -> Result<End, String> {
        let mut whole = Whole::default();
        let mut remote_id = operation.remote_id.clone();
        for action in parts {
            if whole.went && self.or_end(self.slot()).await.is_none() {
                let paths = paths_of(&action);
                whole.failed = Some((Outcome::Deferred { why: ENDED_FIRST.to_owned() }, paths));
                break;
            }
            let part = Operation { key: operation.key.clone(), remote_id, action };
            let end = self.carry_one(&part, intent, whole.requests, recorder).await?;
            if !whole.take(&part, end) {
                break;
            }
            remote_id = whole.made.clone().or(part.remote_id);
        }
        Ok(whole.end(self.clock.now()))
    }
}

const ENDED_FIRST: &str = "the run ended first";
const NOT_YET: &str = "the account was made, and the target does not show it yet";

/// What has become of the parts so far.
#[derive(Default)]
struct Whole {
    /// One part came to a good end.
    went: bool,
    made: Option<RemoteId>,
    shown: Attributes,
    unverified: bool,
    accepted: BTreeSet<AttrPath>,
    refused: BTreeSet<AttrPath>,
    refusal: Option<Refusal>,
    /// The part that did not, with its attributes.
    failed: Option<(Outcome, BTreeSet<AttrPath>)>,
    status: Option<u16>,
    requests: u32,
    was_in_doubt: bool,
}

impl Whole {
    /// Whether the next part may go.
    fn take(&mut self, part: &Operation, end: End) -> bool {
        let End { outcome, status, requests, at: _, was_in_doubt, parts } = end;
        self.was_in_doubt |= was_in_doubt;
        (self.status, self.requests) = (status, requests);
        let (shown, unverified) = match outcome {
            Outcome::Settled { shown, unverified } => (shown, unverified),
            Outcome::Created { remote_id, shown, unverified } => {
                self.made = Some(remote_id);
                (shown, unverified)
            }
            outcome => {
                self.failed = Some((outcome, paths_of(&part.action)));
                return false;
            }
        };
        self.went = true;
        self.shown.extend(shown);
        self.unverified |= unverified;
        match parts {
            None => self.accepted.extend(paths_of(&part.action)),
            Some(Parts { accepted, refused, refusal }) => {
                self.accepted.extend(accepted);
                self.refused.extend(refused);
                self.refusal = Some(refusal);
            }
        }
        true
    }

    fn end(mut self, at: jiff::Timestamp) -> End {
        let outcome = match self.failed.take() {
            None => self.settled(),
            Some((Outcome::Refused(refusal), paths)) if !self.went => {
                let named = if refusal.attributes.is_empty() {
                    paths.into_iter().collect()
                } else {
                    refusal.attributes
                };
                Outcome::Refused(Refusal { attributes: named, ..refusal })
            }
            Some((outcome, _)) if !self.went => outcome,
            // Part of an attribute may have gone before: it is not done, and may go again.
            Some((Outcome::Refused(refusal), paths)) => {
                self.accepted.retain(|path| !paths.contains(path));
                self.refused.extend(paths);
                self.refusal = Some(refusal);
                self.settled()
            }
            Some((Outcome::Deferred { why }, paths)) => self.left(&why, &paths),
            Some((Outcome::InDoubt { why }, paths)) if self.made.is_some() => {
                self.left(&why, &paths)
            }
            // What was acknowledged is there, though it is not shown yet.
            Some((Outcome::Gone, paths)) if self.made.is_some() => self.left(NOT_YET, &paths),
            Some((outcome, _)) => outcome,
        };
        let Self { accepted, refused, refusal, status, requests, was_in_doubt, .. } = self;
        let whole = matches!(outcome, Outcome::Settled { .. } | Outcome::Created { .. });
        let parts = refusal.filter(|_| whole);
        let parts = parts.map(|refusal| Parts { accepted, refused, refusal });
        End { outcome, status, requests, at, was_in_doubt, parts }
    }

    /// The rest is for the next run.
    fn left(&mut self, why: &str, paths: &BTreeSet<AttrPath>) -> Outcome {
        self.accepted.retain(|path| !paths.contains(path));
        self.shown.retain(|path, _| !paths.contains(path));
        let status = self.status.unwrap_or_default();
        let (code, excerpt, attributes) = (String::new(), Excerpt::of(why), Vec::new());
        let refusal = Refusal { status, code, excerpt, attributes };
        self.refusal = Some(self.refusal.take().unwrap_or(refusal));
        self.settled()
    }

    fn settled(&mut self) -> Outcome {
        let (shown, unverified) = (std::mem::take(&mut self.shown), self.unverified);
        match self.made.take() {
            Some(remote_id) => Outcome::Created { remote_id, shown, unverified },
            None => Outcome::Settled { shown, unverified },
        }
    }
}

fn paths_of(action: &Action) -> BTreeSet<AttrPath> {
    action.edits().iter().map(|edit| edit.path.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Edit, UserKey, Value};
    use jiff::Timestamp;

    fn ended(outcome: Outcome) -> End {
        let at = Timestamp::UNIX_EPOCH;
        End { outcome, status: None, requests: 1, at, was_in_doubt: false, parts: None }
    }

    #[test]
    fn an_account_that_was_made_is_kept_whatever_becomes_of_the_parts_that_follow() {
        let edit = |path: &str| Edit {
            path: AttrPath::new(path),
            before: None,
            after: Some(Value::Flag(true)),
        };
        let part =
            |action| Operation { key: UserKey::parse("E1").unwrap(), remote_id: None, action };
        let remote_id = RemoteId::parse("u1").unwrap();
        let lost = Outcome::InDoubt { why: "no answer".to_owned() };
        for end in [Outcome::Gone, lost, Outcome::Deferred { why: "late".to_owned() }] {
            let mut whole = Whole::default();
            let creation = Action::Create { edits: vec![edit("userName")], by: Vec::new() };
            let shown = Attributes::new();
            let made = Outcome::Created { remote_id: remote_id.clone(), shown, unverified: true };
            assert!(whole.take(&part(creation), ended(made)));
            assert!(!whole.take(&part(Action::Disable { edit: edit("active") }), ended(end)));
            let End { outcome, parts, .. } = whole.end(Timestamp::UNIX_EPOCH);
            assert!(matches!(outcome, Outcome::Created { .. }), "{outcome:?}");
            assert_eq!(parts.unwrap().accepted, [AttrPath::new("userName")].into());
        }
    }
}
