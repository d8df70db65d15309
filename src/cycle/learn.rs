//! What one outcome teaches of a user, held against what was wished of him.

use super::Failure;
use crate::{
    engine::{
        delivery::Parts,
        diff::{not_accepted, same},
    },
    model::{
        Action, AttrPath, Attributes, Edit, Fingerprint, Known, Operation, Outcome, Refusal, Wanted,
    },
    sender::End,
};

/// What is wished of one user.
#[derive(Debug)]
pub(super) struct Wishes {
    attributes: Attributes,
    /// Something of the row could not be believed, so that it must be looked at again.
    withheld: bool,
    pub(super) fingerprint: Fingerprint,
    refused: Attributes,
    /// Of the attributes that stay as others set them.
    pub(super) watched: Attributes,
}

impl Wishes {
    /// `known`: what is known of the user's account. `stays`: the attribute stays as others set it.
    pub(super) fn of(
        wanted: &Wanted,
        known: Option<&Known>,
        stays: impl Fn(&AttrPath) -> bool,
    ) -> Self {
        let watched = wanted.attributes.iter().filter(|(path, _)| stays(path));
        Self {
            attributes: wanted.attributes.clone(),
            withheld: wanted.is_incomplete(),
            fingerprint: wanted.fingerprint,
            refused: known.map(|known| known.refused.clone()).unwrap_or_default(),
            watched: watched.map(|(path, wish)| (path.clone(), wish.clone())).collect(),
        }
    }

    /// Refusals that still concern what is wished.
    fn still_refused(&self) -> Attributes {
        let current = |path: &AttrPath, value: &Option<_>| {
            self.attributes.get(path).is_some_and(|wish| same(wish.as_ref(), Option::as_ref(value)))
        };
        let refused = self.refused.iter().filter(|(path, value)| current(path, value));
        refused.map(|(path, value)| (path.clone(), value.clone())).collect()
    }

    fn settled_fingerprint(&self) -> Option<Fingerprint> {
        (!self.withheld).then_some(self.fingerprint)
    }

    /// Whether what is shown goes against none of the wishes, those aside that were refused. A
    /// target may move one attribute when another is set (a display name with the first name).
    fn agree_with(&self, shown: &Attributes, refused: &Attributes) -> bool {
        self.attributes.iter().all(|(path, wish)| {
            refused.contains_key(path)
                || shown.get(path).is_none_or(|value| same(value.as_ref(), wish.as_ref()))
        })
    }
}

/// What the snapshot learns from one outcome, besides the outcome itself.
#[derive(Default)]
pub(super) struct Learned {
    pub(super) fingerprint: Option<Fingerprint>,
    pub(super) refused: Option<Attributes>,
}

pub(super) fn told_of_rewritten(rewritten: &Attributes, end: &End) -> Failure {
    let paths: Vec<&str> = rewritten.keys().map(AttrPath::as_str).collect();
    let why = format!("the target took it and shows otherwise: {}", paths.join(", "));
    Failure { status: end.status, code: String::new(), why }
}

/// What the target said of the attributes that it would not take along with the rest.
pub(super) fn told_of_parts(parts: &Parts) -> Failure {
    let Parts { accepted: _, refused, refusal } = parts;
    let Refusal { status, code, excerpt, attributes: _ } = refusal;
    let paths: Vec<&str> = refused.iter().map(AttrPath::as_str).collect();
    let which = if paths.is_empty() {
        "some of it is left for the next run".to_owned()
    } else {
        format!("not taken: {}", paths.join(", "))
    };
    let why = format!("{which}; {}", excerpt.as_str());
    Failure { status: Some(*status), code: code.clone(), why }
}

pub(super) fn learn(wishes: &Wishes, operation: &Operation, end: &End) -> Learned {
    let edits = operation.edits();
    // Whatever else is wished of somebody who is back, is still to be sent.
    let is_all = !matches!(operation.action, Action::Enable { .. });
    let parts = end.parts.as_ref();
    let at_fault = |edit: &&Edit| parts.is_some_and(|parts| parts.refused.contains(&edit.path));
    let wish = |edit: &Edit| (edit.path.clone(), edit.after.clone());
    match &end.outcome {
        Outcome::Settled { .. } if edits.is_empty() => {
            Learned { fingerprint: None, refused: Some(wishes.still_refused()) }
        }
        Outcome::Settled { shown, unverified: _ } | Outcome::Created { shown, .. } => {
            let mut refused = wishes.still_refused();
            refused.extend(not_accepted(done_of(operation, end), shown));
            refused.extend(edits.iter().filter(at_fault).map(wish));
            let told = done_of(operation, end).count() + edits.iter().filter(at_fault).count();
            let agreed = told == edits.len() && wishes.agree_with(shown, &refused);
            let fingerprint = wishes.settled_fingerprint().filter(|_| agreed && is_all);
            Learned { fingerprint, refused: Some(refused) }
        }
        Outcome::Refused(refusal) if lasting(refusal) && !edits.is_empty() => {
            let mut refused = wishes.still_refused();
            let named = |edit: &&Edit| {
                refusal.attributes.is_empty() || refusal.attributes.contains(&edit.path)
            };
            let faults: Vec<&Edit> = match parts {
                Some(_) => edits.iter().filter(at_fault).collect(),
                None => edits.iter().filter(named).collect(),
            };
            let all = is_all && faults.len() == edits.len();
            refused.extend(faults.into_iter().map(wish));
            let fingerprint = all.then(|| wishes.settled_fingerprint()).flatten();
            Learned { fingerprint, refused: Some(refused) }
        }
        // Who is gone is asked for again, when the quarantine says so.
        Outcome::Gone
        | Outcome::Refused(_)
        | Outcome::InDoubt { .. }
        | Outcome::Deferred { .. }
        | Outcome::Matched { .. }
        | Outcome::Nobody
        | Outcome::Ambiguous { .. }
        | Outcome::Deleted => Learned::default(),
    }
}

/// Whether the same wish would be refused again tomorrow. A missing permission or a conflict may be
/// over by then.
fn lasting(refusal: &Refusal) -> bool {
    matches!(refusal.status, 400 | 404 | 413 | 415 | 422)
}

/// What the operation did, as far as its outcome says: where it went in parts, those that were
/// taken.
pub(super) fn done_of<'a>(
    operation: &'a Operation,
    end: &'a End,
) -> impl Iterator<Item = &'a Edit> {
    let parts = match end.outcome {
        Outcome::Settled { .. } | Outcome::Created { .. } => end.parts.as_ref(),
        Outcome::Refused(_)
        | Outcome::InDoubt { .. }
        | Outcome::Deferred { .. }
        | Outcome::Gone
        | Outcome::Matched { .. }
        | Outcome::Nobody
        | Outcome::Ambiguous { .. }
        | Outcome::Deleted => None,
    };
    let done = move |edit: &&Edit| parts.is_none_or(|parts| parts.accepted.contains(&edit.path));
    operation.edits().iter().filter(done)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{RemoteId, UserKey, Value};
    use jiff::Timestamp;
    use std::collections::BTreeMap;

    fn attributes(pairs: &[(&str, &str)]) -> Attributes {
        pairs.iter().map(|(path, text)| (AttrPath::new(path), Some(Value::from(*text)))).collect()
    }

    /// What is learnt when `givenName` was set and the target shows this.
    fn learned(wished: &[(&str, &str)], shown: &[(&str, &str)]) -> Learned {
        let change = |edit| Action::Patch { edits: vec![edit], companions: BTreeMap::new() };
        learned_by(change, wished, shown)
    }

    fn learned_by(
        change: impl FnOnce(Edit) -> Action,
        wished: &[(&str, &str)],
        shown: &[(&str, &str)],
    ) -> Learned {
        let key = UserKey::parse("E1").unwrap();
        let edit = Edit {
            path: AttrPath::new("givenName"),
            before: Some(Some(Value::from("Anne"))),
            after: Some(Value::from("Ann")),
        };
        let action = change(edit);
        let remote_id = RemoteId::parse("u1").unwrap();
        let operation = Operation { key: key.clone(), remote_id: Some(remote_id.clone()), action };
        let wanted = Wanted {
            key: key.clone(),
            remote_id: Some(remote_id),
            attributes: attributes(wished),
            withheld: Vec::new(),
            references: BTreeMap::new(),
            line: 2,
            fingerprint: Fingerprint(7),
        };
        let outcome = Outcome::Settled { shown: attributes(shown), unverified: false };
        learn(&Wishes::of(&wanted, None, |_| false), &operation, &ended(outcome))
    }

    fn ended(outcome: Outcome) -> End {
        let at = Timestamp::UNIX_EPOCH;
        End { outcome, status: Some(200), requests: 1, at, was_in_doubt: false, parts: None }
    }

    #[test]
    fn a_user_is_settled_by_an_answer_that_shows_all_that_is_wished() {
        let wished = [("givenName", "Ann"), ("displayName", "Ann Lee")];
        assert_eq!(learned(&wished, &wished).fingerprint, Some(Fingerprint(7)));
    }

    #[test]
    fn a_user_whose_other_attribute_moved_with_the_sent_one_is_looked_at_again() {
        let wished = [("givenName", "Ann"), ("displayName", "A. Lee")];
        let moved = learned(&wished, &[("givenName", "Ann"), ("displayName", "Ann Lee")]);
        assert_eq!(moved.fingerprint, None);
        assert!(moved.refused.unwrap().is_empty());
    }

    #[test]
    fn a_user_who_was_switched_on_again_is_looked_at_for_the_rest() {
        let wished = [("givenName", "Ann"), ("displayName", "Ann Lee")];
        let learned = learned_by(|edit| Action::Enable { edit }, &wished, &wished[..1]);
        assert_eq!(learned.fingerprint, None);
    }

    #[test]
    fn d14_a_value_that_was_sent_and_rewritten_needs_no_second_look() {
        let rewritten = learned(&[("givenName", "Ann")], &[("givenName", "ANN")]);
        assert_eq!(rewritten.fingerprint, Some(Fingerprint(7)));
        assert!(rewritten.refused.unwrap() == attributes(&[("givenName", "Ann")]));
    }
}
