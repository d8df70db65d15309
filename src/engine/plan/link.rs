//! Users of whom nobody knows the account: looked for, and made where that is allowed.

use super::{Inputs, Judged, hold, told};
use crate::{
    engine::diff::Diff,
    model::{Action, AttrPath, Attributes, Creation, Edit, HeldReason, Match, RemoteId, Wanted},
};

/// What look-ups of one user have brought in this run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sought {
    /// So many ways have found nobody.
    Nobody {
        tried: usize,
    },
    /// This account, which is not yet known to be nobody else's.
    One {
        remote_id: RemoteId,
        shown: Attributes,
        by: AttrPath,
    },
    /// An account that somebody else has.
    Taken {
        remote_id: RemoteId,
    },
    Several {
        count: usize,
    },
    /// Linked: it is known now.
    Linked,
}

/// Why nothing is sent for somebody whose account, as it was found, is not theirs alone.
pub const TAKEN: &str = "the account that was found is another user's already";

/// Why nothing is sent for somebody to whom so many accounts answer.
#[must_use]
pub fn several(count: usize) -> String {
    format!(
        "{count} accounts answer to what this user is looked for by; write the id of the right one \
         into the roster"
    )
}

pub(super) fn judge(inputs: &Inputs<'_>, wanted: &Wanted) -> Judged {
    let held = |reason, why: String| Judged::Hold(hold(wanted, reason, None, why));
    let by = ways(inputs.link, wanted);
    // Whom nobody can look for, may have an account all the same.
    if by.is_empty() && !inputs.link.is_empty() {
        let paths: Vec<&str> = inputs.link.iter().map(AttrPath::as_str).collect();
        let why =
            format!("the row has no {}, by which the account is looked for", paths.join(", "));
        return held(HeldReason::NoRemoteId, why);
    }
    let tried = match inputs.sought.get(&wanted.key) {
        None | Some(Sought::Linked) => 0,
        Some(Sought::Nobody { tried }) => *tried,
        Some(Sought::Several { count }) => {
            return held(HeldReason::Ambiguous, several(*count));
        }
        Some(Sought::Taken { .. } | Sought::One { .. }) => {
            return held(HeldReason::SharedRemoteId, TAKEN.to_owned());
        }
    };
    match by.get(tried) {
        Some(by) if !inputs.reads_done => Judged::Send(Action::Find { by: by.clone() }, Vec::new()),
        Some(_) => {
            let why = "the account could not be looked for; the next run tries again".to_owned();
            held(HeldReason::InDoubt, why)
        }
        None => match &inputs.capabilities.life.create {
            Some(creation) if inputs.rules.create => create(inputs, wanted, creation, by),
            Some(_) => held(HeldReason::NoRemoteId, unknown(&by, "`allow` has no \"create\"")),
            None => held(HeldReason::NoRemoteId, unknown(&by, "the API makes none")),
        },
    }
}

fn unknown(by: &[Match], why_none_is_made: &str) -> String {
    let paths: Vec<&str> = by.iter().map(|by| by.path.as_str()).collect();
    match paths.as_slice() {
        [] => format!("nobody says which account is this user's, and {why_none_is_made}"),
        paths => {
            format!("no account answers to the user's {}, and {why_none_is_made}", paths.join(", "))
        }
    }
}

/// Ways to look for the user, as far as the row has the values.
pub(super) fn ways(link: &[AttrPath], wanted: &Wanted) -> Vec<Match> {
    let way = |path: &AttrPath| {
        let value = wanted.attributes.get(path)?.clone()?;
        Some(Match { path: path.clone(), value })
    };
    link.iter().filter_map(way).collect()
}

fn create(inputs: &Inputs<'_>, wanted: &Wanted, creation: &Creation, by: Vec<Match>) -> Judged {
    // Looked for and not found is another matter: then there is none.
    if by.is_empty() && inputs.creating.contains_key(&wanted.key) {
        let why = "an account may have been made, and the API has no way to look for it; write \
                   its id into the roster";
        return Judged::Hold(hold(wanted, HeldReason::InDoubt, None, why.to_owned()));
    }
    let edit = |(path, value): (&AttrPath, &Option<_>)| {
        let after = Some(value.clone()?);
        Some(Edit { path: path.clone(), before: Some(None), after })
    };
    let edits: Vec<Edit> = wanted.attributes.iter().filter_map(edit).collect();
    let has = |path: &AttrPath| edits.iter().any(|edit| edit.path == *path);
    let groups = inputs.capabilities.groups.iter();
    let of_groups = groups.filter(|group| group.members.iter().any(has));
    let mut mandatory = creation.mandatory.iter().chain(of_groups.flat_map(|g| &g.mandatory));
    if let Some(missing) = mandatory.find(|path| !has(path)) {
        let why = format!("an account cannot be made without `{missing}`, which the row lacks");
        let missing = Some(missing.clone());
        return Judged::Hold(hold(wanted, HeldReason::MissingCompanion, missing, why));
    }
    Judged::Send(Action::Create { edits, by }, told(wanted, &Diff::default()))
}
