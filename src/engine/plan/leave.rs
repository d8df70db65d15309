//! Users who have left, and those who come back.
//!
//! ```text
//!  left (a status column, the scope) ──────────────────────┐
//!  absent from a complete read, again and again ───────────┴─► switched off ─► grace ─► deleted
//!                                        back in the roster ◄──────┘ switched on again
//! ```
//! Each step only where the API offers it and the tenant's `allow` names it; else it is told. And each
//! only with an account that was found, made, or shown by a read: see [`Inputs::linked`].

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
    // An id that only stood in a roster may be anybody's: nothing happens to an account unseen.
    if !inputs.linked.contains(&leaver.key) {
        return if inputs.reads && !inputs.reads_done {
            (Fate::Read, Some(Action::Read))
        } else {
            (Fate::Unknown, None)
        };
    }
    if let Some(switch) = switch {
        match state_of(inputs, known, &switch.path) {
            State::LookFirst => return (Fate::Read, Some(Action::Read)),
            State::Unknown => return (Fate::Unknown, None),
            State::On => {
                let edit = flip(&switch.path, known, false);
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
            let edit = flip(&switch.path, known, true);
            Some(Judged::Send(Action::Enable { edit }, Vec::new()))
        }
        State::On | State::Unknown => None,
    }
}

/// Whether an account is on, as far as that is known.
enum State {
    LookFirst,
    Unknown,
    On,
    Off,
}

fn state_of(inputs: &Inputs<'_>, known: &Known, switch: &AttrPath) -> State {
    match shown(known, switch) {
        Some(Some(Value::Flag(false))) => State::Off,
        None if inputs.reads && !inputs.reads_done => State::LookFirst,
        None if inputs.reads => State::Unknown,
        Some(_) | None => State::On,
    }
}

/// What the target last showed there, unless a request was on its way since.
fn shown<'a>(known: &'a Known, path: &AttrPath) -> Option<&'a Option<Value>> {
    known.attributes.get(path).filter(|_| known.standing == Standing::Settled)
}

fn flip(switch: &AttrPath, known: &Known, to: bool) -> Edit {
    let (before, after) = (shown(known, switch).cloned(), Some(Value::Flag(to)));
    Edit { path: switch.clone(), before, after }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        engine::life::Rules,
        model::{Capabilities, Life, Rate, RemoteId, Switch, TenantId, UserKey},
    };
    use std::collections::{BTreeMap, BTreeSet};

    /// One leaver, as the plan finds him.
    #[derive(Clone)]
    struct Scene {
        rules: Rules,
        life: Life,
        reason: LeaverReason,
        /// Whether the account is on, as far as it is known.
        on: Option<bool>,
        leaving: Option<Leaving>,
        linked: bool,
        protected: bool,
        reads_done: bool,
    }

    const DAY: i64 = 86_400;

    /// At day 100, somebody who is linked and on, was absent once before, and at an API that offers
    /// all; everything is allowed.
    fn scene() -> Scene {
        let since = Timestamp::from_second(99 * DAY).unwrap();
        Scene {
            rules: Rules { create: true, disable: true, delete: true, ..Rules::default() },
            life: Life {
                switch: Some(Switch { path: AttrPath::new("active"), destroys: false }),
                delete: true,
                ..Life::default()
            },
            reason: LeaverReason::AbsentFromSource,
            on: Some(true),
            leaving: Some(Leaving { absent: 1, since, disabled: None }),
            linked: true,
            protected: false,
            reads_done: false,
        }
    }

    fn off_since(day: i64) -> Scene {
        let at = Timestamp::from_second(day * DAY).unwrap();
        let leaving = Some(Leaving { absent: 2, since: at, disabled: Some(at) });
        Scene { on: Some(false), leaving, ..scene() }
    }

    fn judged(scene: Scene) -> (Fate, Option<Action>) {
        let Scene { rules, life, reason, on, leaving, linked, protected, reads_done } = scene;
        let key = UserKey::parse("E1").unwrap();
        let mut known = Known::unseen(RemoteId::parse("u1").unwrap());
        known.standing = Standing::Settled;
        known.attributes.extend(on.map(|on| (AttrPath::new("active"), Some(Value::Flag(on)))));
        let only = |there: bool| there.then(|| key.clone()).into_iter().collect::<BTreeSet<_>>();
        let inputs = Inputs {
            tenant: &TenantId::parse("acme").unwrap(),
            capabilities: &Capabilities { life, read: true, ..Capabilities::default() },
            reads: true,
            reads_done,
            quota: Rate::parse("1/s").unwrap(),
            wanted: &[],
            known: &[(key.clone(), known)].into(),
            owners: &BTreeMap::new(),
            taken: &BTreeSet::new(),
            held: &[],
            leavers: &[],
            leaving: &leaving.map(|leaving| (key.clone(), leaving)).into_iter().collect(),
            linked: &only(linked),
            rules: &rules,
            link: &[],
            sought: &BTreeMap::new(),
            creating: &BTreeSet::new(),
            now: Timestamp::from_second(100 * DAY).unwrap(),
            protected: &only(protected),
            untouched: 0,
        };
        judge_one(&inputs, &Leaver { key, reason, fate: Fate::Told })
    }

    fn fate(scene: Scene) -> Fate {
        judged(scene).0
    }

    #[test]
    fn only_what_is_allowed_and_offered_happens_to_whoever_has_left_and_is_not_protected() {
        assert!(matches!(judged(scene()), (Fate::Disabled, Some(Action::Disable { .. }))));
        assert_eq!(fate(Scene { rules: Rules::default(), ..scene() }), Fate::Told);
        assert_eq!(fate(Scene { life: Life::default(), ..scene() }), Fate::Told);
        assert_eq!(judged(Scene { protected: true, ..scene() }), (Fate::Protected, None));
    }

    #[test]
    fn absence_counts_after_enough_reads_and_the_rosters_own_word_at_once() {
        assert_eq!(fate(Scene { leaving: None, ..scene() }), Fate::Waits);
        let two = Rules { absent_runs: 2, ..scene().rules };
        assert_eq!(fate(Scene { rules: two, ..scene() }), Fate::Waits);
        for reason in [LeaverReason::StatusColumn, LeaverReason::OutOfScope] {
            assert_eq!(fate(Scene { leaving: None, reason, ..scene() }), Fate::Disabled);
        }
    }

    #[test]
    fn an_account_that_nobody_has_seen_is_looked_at_and_else_left_alone() {
        for unseen in [Scene { linked: false, ..scene() }, Scene { on: None, ..scene() }] {
            assert_eq!(judged(unseen.clone()), (Fate::Read, Some(Action::Read)));
            assert_eq!(judged(Scene { reads_done: true, ..unseen }), (Fate::Unknown, None));
        }
        let old = Scene { linked: false, ..off_since(1) };
        assert_eq!(fate(old), Fate::Read);
    }

    #[test]
    fn an_account_is_deleted_after_the_time_of_grace_and_only_if_we_have_switched_it_off() {
        assert_eq!(judged(off_since(69)), (Fate::Deleted, Some(Action::Delete)));
        assert_eq!(judged(off_since(71)), (Fate::Off, None));
        let by_others = Scene { on: Some(false), ..scene() };
        assert_eq!(judged(by_others), (Fate::Off, None));
        // Switched on again meanwhile: off first.
        assert_eq!(fate(Scene { on: Some(true), ..off_since(1) }), Fate::Disabled);
        let never = Rules { delete: false, ..scene().rules };
        assert_eq!(fate(Scene { rules: never, ..off_since(1) }), Fate::Off);
    }

    #[test]
    fn where_there_is_no_switch_the_time_of_grace_runs_since_the_user_left() {
        let bare = |day| Scene { life: Life { switch: None, ..scene().life }, ..off_since(day) };
        assert_eq!((fate(bare(69)), fate(bare(71))), (Fate::Deleted, Fate::Waits));
        // Where there is one that may not be used, nobody is deleted.
        let alone = Rules { disable: false, ..scene().rules };
        let on = Scene { rules: alone, leaving: scene().leaving, ..off_since(1) };
        assert_eq!(fate(on), Fate::Waits);
    }
}
