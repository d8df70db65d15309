//! How an outcome moves what is known of a user. Pure.

use super::{Conclusion, rows::OpenIntent};
use crate::model::{AttrPath, Attributes, Edit, Outcome, RemoteId, UserKey, Value};
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

/// What to write because of an outcome.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Folded {
    /// `None`: as it is.
    pub(super) row: Option<UserRow>,
    pub(super) closes: Closes,
}

/// `row`: what is stored, if anything. `open`: the user's open intents, this operation's included.
pub(super) fn fold(row: Option<UserRow>, open: &[OpenIntent], conclusion: &Conclusion) -> Folded {
    match &conclusion.outcome {
        Outcome::Settled { shown, unverified } => {
            let row = settle(row, open, conclusion, shown, *unverified);
            Folded { row: Some(row), closes: Closes::All }
        }
        Outcome::Gone => {
            let unseen = UserRow::unseen(conclusion.key.clone(), conclusion.remote_id.clone());
            let refused = conclusion.refused.clone().unwrap_or_default();
            let row = UserRow { seen: true, gone: true, refused, ..unseen };
            Folded { row: Some(row), closes: Closes::All }
        }
        Outcome::Refused(_) | Outcome::Deferred { .. } => {
            Folded { row: annotate(row, conclusion), closes: Closes::Own }
        }
        Outcome::InDoubt { .. } => {
            Folded { row: annotate(row, conclusion), closes: Closes::Nothing }
        }
    }
}

fn settle(
    row: Option<UserRow>,
    open: &[OpenIntent],
    conclusion: &Conclusion,
    shown: &Attributes,
    unverified: bool,
) -> UserRow {
    let Conclusion { key, remote_id, edits, refused, keep, .. } = conclusion;
    // What was known of another account says nothing of this one.
    let row = row
        .filter(|row| row.remote_id == *remote_id)
        .unwrap_or_else(|| UserRow::unseen(key.clone(), remote_id.clone()));
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
    UserRow {
        key: row.key,
        remote_id: row.remote_id,
        seen: true,
        gone: false,
        attributes,
        refused: refused.clone().unwrap_or(row.refused),
    }
}

fn wished(edit: &Edit) -> (AttrPath, Option<Value>) {
    (edit.path.clone(), edit.after.clone())
}

/// Notes what is not about the account itself. A user that was never seen stays so.
fn annotate(row: Option<UserRow>, conclusion: &Conclusion) -> Option<UserRow> {
    let Conclusion { key, remote_id, refused, .. } = conclusion;
    let refused = refused.clone()?;
    // As in `settle`: a refusal there says nothing of the account here.
    let row = row
        .filter(|row| row.remote_id == *remote_id)
        .unwrap_or_else(|| UserRow::unseen(key.clone(), remote_id.clone()));
    Some(UserRow { refused, ..row })
}
