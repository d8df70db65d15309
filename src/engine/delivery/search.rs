//! An operation that was rejected and goes in parts: each of them sent, answered and looked after as
//! the whole would be.

use super::{Delivery, Next, State, Step};
use crate::{
    engine::bisect::Bisection,
    model::{Action, AttrPath, Attributes, Group, Operation, Outcome, Refusal},
};
use std::collections::BTreeSet;

/// What became of the parts of an operation that did not go as a whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parts {
    pub accepted: BTreeSet<AttrPath>,
    /// Found at fault. What is in neither was not sent without them, and is left for another run.
    pub refused: BTreeSet<AttrPath>,
    /// What the target said when it rejected them.
    pub refusal: Refusal,
}

/// A search for what is at fault, under way.
#[derive(Clone, Debug)]
pub(super) struct Search {
    pub(super) bisection: Bisection,
    /// What is sent now.
    pub(super) action: Action,
    refusal: Refusal,
    shown: Attributes,
    unverified: bool,
}

impl Delivery<'_> {
    /// `None`: the operation went as a whole, or not at all.
    #[must_use]
    pub fn parts(&self) -> Option<Parts> {
        let Search { bisection, refusal, .. } = self.search.as_ref()?;
        let (accepted, refused) = (bisection.accepted(), bisection.refused());
        let told = !accepted.is_empty() || !refused.is_empty();
        told.then(|| Parts { accepted, refused, refusal: refusal.clone() })
    }

    /// Nothing of it was done.
    pub(super) fn rejected(&mut self, refusal: Refusal) -> Step {
        let Action::Patch { edits, companions: _ } = &self.operation.action else {
            return Step::Done(Outcome::Refused(refusal));
        };
        // Without a name, only what is said of a body's content is about one of its parts.
        let divisible = matches!(refusal.status, 400 | 422) || !refusal.attributes.is_empty();
        match &mut self.search {
            Some(search) if divisible => {
                search.bisection.reject(&refusal.attributes);
                self.try_next()
            }
            None if divisible => {
                let found = Bisection::of(edits, self.groups, &refusal.attributes);
                let Some(bisection) = found else { return Step::Done(Outcome::Refused(refusal)) };
                self.search = Some(Search {
                    bisection,
                    action: Action::Read,
                    refusal,
                    shown: Attributes::new(),
                    unverified: false,
                });
                self.try_next()
            }
            Some(_) | None => Step::Done(Outcome::Refused(refusal)),
        }
    }

    /// What an answer means for the search, if there is one.
    pub(super) fn search_on(&mut self, step: Step) -> Step {
        let Some(search) = &mut self.search else { return step };
        match step {
            Step::Done(Outcome::Settled { shown, unverified }) if !search.bisection.is_over() => {
                search.shown.extend(shown);
                search.unverified |= unverified;
                search.bisection.accept();
                self.try_next()
            }
            Step::Done(outcome @ Outcome::Refused(_)) if !search.bisection.is_over() => {
                search.bisection.give_up();
                self.conclude(outcome)
            }
            step => step,
        }
    }

    /// Sends the next part, or ends the search.
    fn try_next(&mut self) -> Step {
        let Some(search) = &mut self.search else { return Step::Send(Next::Operation) };
        if search.bisection.is_over() {
            let outcome = Outcome::Refused(Refusal {
                // None of it was taken, by whatever name.
                attributes: Vec::new(),
                ..search.refusal.clone()
            });
            return self.conclude(outcome);
        }
        search.action = part_of(self.operation, self.groups, &search.bisection.trying());
        self.state = State::Sending;
        (self.doubtful, self.conflicted) = (false, false);
        Step::Send(Next::Operation)
    }

    /// The outcome of a search that is over: `otherwise` when nothing was taken.
    pub(super) fn conclude(&mut self, otherwise: Outcome) -> Step {
        let Some(search) = &mut self.search else { return Step::Done(otherwise) };
        if search.bisection.accepted().is_empty() {
            return Step::Done(otherwise);
        }
        let (shown, unverified) = (std::mem::take(&mut search.shown), search.unverified);
        Step::Done(Outcome::Settled { shown, unverified })
    }
}

/// The operation with these edits only, and the companions that they need.
fn part_of(operation: &Operation, groups: &[Group], paths: &BTreeSet<&AttrPath>) -> Action {
    let Action::Patch { edits, companions } = &operation.action else { return Action::Read };
    let goes_along = |path: &AttrPath| {
        groups
            .iter()
            .filter(|group| group.members.contains(path))
            .any(|group| group.members.iter().any(|member| paths.contains(member)))
    };
    let edits = edits.iter().filter(|edit| paths.contains(&edit.path)).cloned().collect();
    let companions = companions.iter().filter(|(path, _)| goes_along(path));
    let companions = companions.map(|(path, value)| (path.clone(), value.clone())).collect();
    Action::Patch { edits, companions }
}
