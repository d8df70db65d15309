//! How an outcome moves what is known of a user. Pure.

use super::{
    Conclusion,
    rows::{OpenIntent, Suspect},
};
use crate::{
    engine::diff::same,
    model::{AttrPath, Attributes, Edit, Outcome, RemoteId, UserKey, Value},
};
use std::collections::BTreeSet;

/// What is stored of one user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct UserRow {
    pub(super) key: UserKey,
    pub(super) remote_id: RemoteId,
    /// The target has shown this user, or said that there is none.
    pub(super) seen: bool,
    pub(super) gone: bool,
    pub(super) attributes: Attributes,
    pub(super) refused: Attributes,
}

impl UserRow {
    pub(super) fn unseen(key: UserKey, remote_id: RemoteId) -> Self {
        Self {
            key,
            remote_id,
            seen: false,
            gone: false,
            attributes: Attributes::new(),
            refused: Attributes::new(),
        }
    }

    /// What is shown goes against nothing that is known.
    fn agrees_with(&self, shown: &Attributes) -> bool {
        let same = |path, known: &Option<Value>| {
            shown.get(path).is_none_or(|value| same(value.as_ref(), known.as_ref()))
        };
        self.attributes.iter().all(|(path, known)| same(path, known))
    }

    /// Everything else of it.
    pub(super) fn without_attributes(&self) -> Self {
        let Self { key, remote_id, seen, gone, attributes: _, refused } = self;
        Self {
            key: key.clone(),
            remote_id: remote_id.clone(),
            seen: *seen,
            gone: *gone,
            attributes: Attributes::new(),
            refused: refused.clone(),
        }
    }
}

/// Which of the user's open intents an outcome closes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Closes {
    Nothing,
    /// The one of its own operation. An older one is not answered by it.
    Own,
    /// All: the target was seen since.
    All,
}

/// What becomes of the user's row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Becomes {
    AsItIs,
    Row(UserRow),
    /// The account is not there any more, and nothing is left to know.
    Nothing,
}

/// Whether a request of the user may still arrive although its doubt is settled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Suspicion {
    AsItIs,
    Now(Suspect),
    Over,
}

/// What to write because of an outcome.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Folded {
    pub(super) row: Becomes,
    pub(super) closes: Closes,
    pub(super) suspicion: Suspicion,
}

/// `row`: what is stored, if anything. `open`: the user's open intents, this operation's included.
pub(super) fn fold(
    row: Option<UserRow>,
    open: &[OpenIntent],
    suspect: Option<&Suspect>,
    conclusion: &Conclusion,
) -> Folded {
    let suspicion = suspicion(row.as_ref(), open, suspect, conclusion);
    match &conclusion.outcome {
        Outcome::Settled { shown, unverified } | Outcome::Created { shown, unverified, .. } => {
            let settled = settle(row, open, conclusion, shown, *unverified);
            Folded { row: becomes(settled), closes: Closes::All, suspicion }
        }
        Outcome::Gone => {
            let refused = conclusion.refused.clone().unwrap_or_default();
            let gone = unseen(conclusion);
            let gone = gone.map(|row| UserRow { seen: true, gone: true, refused, ..row });
            Folded { row: becomes(gone), closes: Closes::All, suspicion }
        }
        Outcome::Deleted => Folded { row: Becomes::Nothing, closes: Closes::All, suspicion },
        // Whose account it is, is said when all have been looked for.
        Outcome::Matched { .. } | Outcome::Nobody | Outcome::Ambiguous { .. } => {
            Folded { row: Becomes::AsItIs, closes: Closes::Own, suspicion }
        }
        // An earlier request of it may have been done all the same.
        Outcome::Refused(_) | Outcome::Deferred { .. } if conclusion.was_in_doubt => {
            Folded { row: becomes(annotate(row, conclusion)), closes: Closes::Nothing, suspicion }
        }
        Outcome::Refused(_) | Outcome::Deferred { .. } => {
            Folded { row: becomes(annotate(row, conclusion)), closes: Closes::Own, suspicion }
        }
        Outcome::InDoubt { .. } => {
            Folded { row: becomes(annotate(row, conclusion)), closes: Closes::Nothing, suspicion }
        }
    }
}

fn becomes(row: Option<UserRow>) -> Becomes {
    row.map_or(Becomes::AsItIs, Becomes::Row)
}

/// The account that the outcome is about, as if nothing were known of it.
fn unseen(conclusion: &Conclusion) -> Option<UserRow> {
    let remote_id = conclusion.account()?.clone();
    Some(UserRow::unseen(conclusion.key.clone(), remote_id))
}

fn settle(
    row: Option<UserRow>,
    open: &[OpenIntent],
    conclusion: &Conclusion,
    shown: &Attributes,
    unverified: bool,
) -> Option<UserRow> {
    let Conclusion { edits, refused, keep, .. } = conclusion;
    let unseen = unseen(conclusion)?;
    // What was known of another account says nothing of this one.
    let row = row.filter(|row| row.remote_id == unseen.remote_id).unwrap_or(unseen);
    let mut attributes = row.attributes;
    // Whatever was on its way may have happened or not: only what is shown now is known.
    let edited: BTreeSet<&AttrPath> = edits.iter().map(|edit| &edit.path).collect();
    let in_doubt = open.iter().flat_map(|intent| &intent.paths);
    for path in in_doubt.chain(edited.iter().copied()) {
        attributes.remove(path);
    }
    if unverified {
        attributes.extend(edits.iter().map(wished));
    }
    let kept = shown.iter().filter(|(path, _)| keep.contains(path) || edited.contains(path));
    attributes.extend(kept.map(|(path, value)| (path.clone(), value.clone())));
    Some(UserRow {
        key: row.key,
        remote_id: row.remote_id,
        seen: true,
        gone: false,
        attributes,
        refused: refused.clone().unwrap_or(row.refused),
    })
}

/// Reads in a row, each of a run of its own, that have to show what is known.
const CLEAN_READS: u32 = 2;

/// Who was in doubt is suspect, once that is settled, until the reads of two later runs have shown
/// what is known, or what was in doubt was sent once more where nothing can be read.
fn suspicion(
    row: Option<&UserRow>,
    open: &[OpenIntent],
    suspect: Option<&Suspect>,
    conclusion: &Conclusion,
) -> Suspicion {
    let shown = match &conclusion.outcome {
        Outcome::Settled { shown, unverified: _ } => shown,
        Outcome::Gone | Outcome::Deleted => return Suspicion::Over,
        // An account that is new has no earlier request on its way.
        Outcome::Created { .. }
        | Outcome::Matched { .. }
        | Outcome::Nobody
        | Outcome::Ambiguous { .. }
        | Outcome::Refused(_)
        | Outcome::Deferred { .. }
        | Outcome::InDoubt { .. } => return Suspicion::AsItIs,
    };
    let own = |intent: &OpenIntent| intent.operation_id == conclusion.operation_id;
    let doubted =
        |intent: &&OpenIntent| intent.action.sets() && (conclusion.was_in_doubt || !own(intent));
    let mut doubted = open.iter().filter(doubted).peekable();
    if doubted.peek().is_some() {
        let mut paths = suspect.map(|suspect| suspect.paths.clone()).unwrap_or_default();
        paths.extend(doubted.flat_map(|intent| &intent.paths).cloned());
        return Suspicion::Now(Suspect { clean: 0, paths });
    }
    match suspect {
        Some(suspect) if conclusion.edits.is_empty() => {
            let agrees = row.is_some_and(|row| row.agrees_with(shown));
            let clean = if agrees { suspect.clean + 1 } else { 0 };
            if clean >= CLEAN_READS {
                return Suspicion::Over;
            }
            Suspicion::Now(Suspect { clean, paths: suspect.paths.clone() })
        }
        Some(suspect) => sent_anew(suspect, &conclusion.edits),
        None => Suspicion::AsItIs,
    }
}

/// What was sent again without anybody having looked is over; the rest is what the target refuses, or
/// nobody wishes any more, and waits until it is sent.
fn sent_anew(suspect: &Suspect, edits: &[Edit]) -> Suspicion {
    let anew =
        |path: &AttrPath| edits.iter().any(|edit| edit.path == *path && edit.before.is_none());
    let left: BTreeSet<AttrPath> =
        suspect.paths.iter().filter(|path| !anew(path)).cloned().collect();
    if left.is_empty() {
        Suspicion::Over
    } else if left.len() < suspect.paths.len() {
        Suspicion::Now(Suspect { clean: 0, paths: left })
    } else {
        Suspicion::AsItIs
    }
}

/// What others have changed of the user, by what was wished of it then. `before`: what was noted of
/// that.
///
/// A wish that is another one by now, or holds, ends it. What one of our own requests may still bring,
/// or this very one has sent, is nobody else's doing.
pub(super) fn drifted(
    row: Option<&UserRow>,
    open: &[OpenIntent],
    suspect: Option<&Suspect>,
    before: &Attributes,
    conclusion: &Conclusion,
) -> Attributes {
    let Conclusion { remote_id, edits, watched, outcome, .. } = conclusion;
    let shown = match outcome {
        Outcome::Settled { shown, unverified: _ } => shown,
        Outcome::Gone | Outcome::Deleted | Outcome::Created { .. } => return Attributes::new(),
        Outcome::Matched { .. }
        | Outcome::Nobody
        | Outcome::Ambiguous { .. }
        | Outcome::Refused(_)
        | Outcome::Deferred { .. }
        | Outcome::InDoubt { .. } => return before.clone(),
    };
    let sent = |path: &AttrPath| edits.iter().any(|edit| edit.path == *path);
    let ours = |path: &AttrPath| {
        sent(path)
            || open.iter().any(|intent| intent.paths.contains(path))
            || suspect.is_some_and(|suspect| suspect.paths.contains(path))
    };
    let says = |path: &AttrPath, value: &Option<Value>| {
        shown.get(path).is_some_and(|shown| same(shown.as_ref(), value.as_ref()))
    };
    let lasts = |(path, wish): &(&AttrPath, &Option<Value>)| {
        let changed = watched.get(*path).is_some_and(|now| !same(now.as_ref(), wish.as_ref()));
        !changed && !sent(path) && !says(path, wish)
    };
    let row = row.filter(|row| remote_id.as_ref() == Some(&row.remote_id));
    let row = row.filter(|row| row.seen && !row.gone);
    let held = |path: &AttrPath, wish: &Option<Value>| {
        let known = row.and_then(|row| row.attributes.get(path));
        known.is_some_and(|known| same(known.as_ref(), wish.as_ref()))
    };
    let is_new = |(path, wish): &(&AttrPath, &Option<Value>)| {
        !ours(path) && held(path, wish) && shown.contains_key(*path) && !says(path, wish)
    };
    let lasting = before.iter().filter(lasts);
    let new = watched.iter().filter(is_new);
    lasting.chain(new).map(|(path, wish)| (path.clone(), wish.clone())).collect()
}

fn wished(edit: &Edit) -> (AttrPath, Option<Value>) {
    (edit.path.clone(), edit.after.clone())
}

/// Notes what is not about the account itself. A user that was never seen stays so.
fn annotate(row: Option<UserRow>, conclusion: &Conclusion) -> Option<UserRow> {
    let refused = conclusion.refused.clone()?;
    let unseen = unseen(conclusion)?;
    // As in `settle`: a refusal there says nothing of the account here.
    let row = row.filter(|row| row.remote_id == unseen.remote_id).unwrap_or(unseen);
    Some(UserRow { refused, ..row })
}
