//! Users who have left, and those who come back.
//!
//! ```text
//!  left (a status column, the scope) ──────────────────────┐
//!  absent from a complete read, again and again ───────────┴─► switched off ─► grace ─► deleted
//!                                        back in the roster ◄──────┘ switched on again
//! ```
//! Each step only where the API offers it and the tenant's `allow` names it; else it is told.

use super::{Inputs, Judged};
use crate::{
    engine::quarantine::SLACK,
    model::{
        Action, AttrPath, Edit, Fate, Known, Leaver, LeaverReason, Operation, Standing, Value,
        Wanted,
    },
};
use jiff::Timestamp;

/// What is remembered of somebody who has left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Leaving {
    /// Complete reads in a row, before this one, that did not have the user.
    pub absent: u32,
    /// Since when.
    pub since: Timestamp,
    /// When we switched the account off.
    pub disabled: Option<Timestamp>,
}

/// The leavers with what becomes of them; adds what is to be sent.
pub(super) fn judge(inputs: &Inputs<'_>, operations: &mut Vec<Operation>) -> Vec<Leaver> {
    let mut leavers = Vec::with_capacity(inputs.leavers.len());
    for leaver in inputs.leavers {
        let (fate, action) = judge_one(inputs, leaver);
        let known = inputs.known.get(&leaver.key);
        if let (Some(action), Some(known)) = (action, known) {
            let remote_id = Some(known.remote_id.clone());
            operations.push(Operation { key: leaver.key.clone(), remote_id, action });
        }
        leavers.push(Leaver { fate, ..leaver.clone() });
    }
    leavers
}

fn judge_one(inputs: &Inputs<'_>, leaver: &Leaver) -> (Fate, Option<Action>) {
    let life = &inputs.capabilities.life;
    let switch = life.switch.as_ref().filter(|_| inputs.rules.disable);
    let deletes = life.delete && inputs.rules.delete;
    let known = inputs.known.get(&leaver.key).filter(|known| known.standing != Standing::Gone);
    let Some(known) = known.filter(|_| switch.is_some() || deletes) else {
        return (Fate::Told, None);
    };
    if inputs.protected.contains(&leaver.key) {
        return (Fate::Protected, None);
    }
    let remembered = inputs.leaving.get(&leaver.key);
    let absent = remembered.map_or(0, |remembered| remembered.absent);
    if leaver.reason == LeaverReason::AbsentFromSource && absent < inputs.rules.absent_runs {
        return (Fate::Waits, None);
    }
    if let Some(switch) = switch {
        match state_of(inputs, known, &switch.path) {
            State::LookFirst => return (Fate::Read, Some(Action::Read)),
            State::Unknown => return (Fate::Unknown, None),
            State::On(before) => {
                let edit = flip(&switch.path, before, false);
                return (Fate::Disabled, Some(Action::Disable { edit }));
            }
            State::Off => {}
        }
    }
    let off = if switch.is_some() { Fate::Off } else { Fate::Waits };
    // Where the API has no switch, the time runs since the user left.
    let from = remembered.and_then(|remembered| match life.switch {
        Some(_) => remembered.disabled,
        None => Some(remembered.since),
    });
    // A nightly run begins some minutes earlier or later than the one that switched the account off.
    let is_over = |from: Timestamp| inputs.now.duration_since(from) + SLACK >= inputs.rules.grace;
    match from.filter(|_| deletes) {
        Some(from) if is_over(from) && known.standing == Standing::Settled => {
            (Fate::Deleted, Some(Action::Delete))
        }
        Some(from) if is_over(from) && inputs.reads && !inputs.reads_done => {
            (Fate::Read, Some(Action::Read))
        }
        Some(from) if is_over(from) => (Fate::Unknown, None),
        Some(_) | None => (off, None),
    }
}

/// A user who is back, and whom we switched off: on again before anything else. `None`: nothing of
/// that kind.
pub(super) fn take_back(inputs: &Inputs<'_>, wanted: &Wanted, known: &Known) -> Option<Judged> {
    inputs.leaving.get(&wanted.key)?.disabled?;
    let switch = inputs.capabilities.life.switch.as_ref().filter(|_| inputs.rules.disable)?;
    // Where the row itself says whether the account is on, that counts.
    if known.standing == Standing::Gone || wanted.attributes.contains_key(&switch.path) {
        return None;
    }
    match state_of(inputs, known, &switch.path) {
        State::LookFirst => Some(Judged::Send(Action::Read, Vec::new())),
        State::Off => {
            let before = Some(Some(Value::Flag(false)));
            let edit = flip(&switch.path, before, true);
            Some(Judged::Send(Action::Enable { edit }, Vec::new()))
        }
        State::On(_) | State::Unknown => None,
    }
}

/// Whether an account is on, as far as that is known.
enum State {
    LookFirst,
    Unknown,
    /// With what is known to be there.
    On(Option<Option<Value>>),
    Off,
}

fn state_of(inputs: &Inputs<'_>, known: &Known, switch: &AttrPath) -> State {
    let shown = known.attributes.get(switch).filter(|_| known.standing == Standing::Settled);
    match shown {
        Some(Some(Value::Flag(false))) => State::Off,
        Some(shown) => State::On(Some(shown.clone())),
        None if inputs.reads && !inputs.reads_done => State::LookFirst,
        None if inputs.reads => State::Unknown,
        None => State::On(None),
    }
}

fn flip(switch: &AttrPath, before: Option<Option<Value>>, to: bool) -> Edit {
    Edit { path: switch.clone(), before, after: Some(Value::Flag(to)) }
}
