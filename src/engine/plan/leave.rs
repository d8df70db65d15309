//! Users who have left, and those who come back.
//!
//! ```text
//!  left (a status column, the scope) ──────────────────────┐
//!  absent from a complete read, again and again ───────────┴─► switched off ─► grace ─► deleted
//!                                        back in the roster ◄──────┘ switched on again
//! ```
//! Each step only where the API offers it and the tenant's `allow` names it; else it is told. And each
//! only with an account that was found, made, or shown by a read: see [`Inputs::linked`].

use super::{Inputs, Judged, Sought, link::ways};
use crate::{
    engine::{diff::folded, quarantine::SLACK},
    model::{
        Action, AttrPath, Edit, Fate, Held, HeldReason, Known, Leaver, LeaverReason, Match,
        Operation, RemoteId, Standing, Switch, Value, Wanted,
    },
};
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};

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

/// The leavers with what becomes of them; adds what is to be sent, and who is held.
pub(super) fn judge(
    inputs: &Inputs<'_>,
    operations: &mut Vec<Operation>,
    held: &mut Vec<Held>,
) -> Vec<Leaver> {
    if inputs.leavers.is_empty() {
        return Vec::new();
    }
    let claims = Claims::of(inputs);
    let mut leavers = Vec::with_capacity(inputs.leavers.len());
    for leaver in inputs.leavers {
        let known = inputs.known.get(&leaver.key);
        let (fate, action) = match known {
            Some(_) => judge_one(inputs, leaver, &claims),
            None => seek(inputs, leaver),
        };
        if let Some(action) = action {
            let remote_id = known.map(|known| known.remote_id.clone());
            operations.push(Operation { key: leaver.key.clone(), remote_id, action });
        }
        held.extend(if known.is_none() { ambiguous(inputs, leaver) } else { None });
        leavers.push(Leaver { fate, ..leaver.clone() });
    }
    leavers
}

/// Somebody for whom an account may have been made that nobody has seen: it is looked for by what the
/// creation has recorded, so that it is not left behind. Else nothing is known that could be left.
fn seek(inputs: &Inputs<'_>, leaver: &Leaver) -> (Fate, Option<Action>) {
    let may_go = switch(inputs).is_some() || deletes(inputs);
    let ways = inputs.creating.get(&leaver.key).filter(|ways| may_go && !ways.is_empty());
    let Some(ways) = ways else { return (Fate::Told, None) };
    if inputs.protected.contains(&leaver.key) {
        return (Fate::Protected, None);
    }
    let tried = match inputs.sought.get(&leaver.key) {
        None | Some(Sought::Linked) => 0,
        Some(Sought::Nobody { tried }) => *tried,
        Some(Sought::One { .. } | Sought::Taken { .. } | Sought::Several { .. }) => ways.len(),
    };
    match ways.get(tried) {
        Some(by) if !inputs.reads_done => (Fate::Read, Some(Action::Find { by: by.clone() })),
        Some(_) | None => (Fate::Unknown, None),
    }
}

fn ambiguous(inputs: &Inputs<'_>, leaver: &Leaver) -> Option<Held> {
    let Some(Sought::Several { count }) = inputs.sought.get(&leaver.key) else { return None };
    Some(Held {
        key: leaver.key.clone(),
        reason: HeldReason::Ambiguous,
        attribute: None,
        line: None,
        why: several(*count),
        others_go: false,
        timer: None,
        sides: None,
    })
}

fn several(count: usize) -> String {
    format!(
        "the user has left, and {count} accounts answer to what one that may have been made before is \
         looked for by; nothing happens to any of them until one is left"
    )
}

/// What users whom the roster has make of accounts: a key that was changed leaves its account to
/// another key.
struct Claims<'a> {
    /// Accounts that are theirs, or were found for them.
    ids: BTreeSet<&'a RemoteId>,
    /// What those of whom no account is known are looked for by: until a look-up has told, an account
    /// that has such a value may be theirs.
    values: BTreeMap<AttrPath, BTreeSet<Value>>,
}

impl<'a> Claims<'a> {
    fn of(inputs: &Inputs<'a>) -> Self {
        let of_wanted = |wanted: &'a Wanted| {
            let known = || inputs.known.get(&wanted.key).map(|known| &known.remote_id);
            wanted.remote_id.as_ref().or_else(known)
        };
        let found = |wanted: &'a Wanted| match inputs.sought.get(&wanted.key)? {
            Sought::One { remote_id, .. } | Sought::Taken { remote_id } => Some(remote_id),
            Sought::Nobody { .. } | Sought::Several { .. } | Sought::Linked => None,
        };
        let found = inputs.wanted.iter().filter_map(found);
        let ids = inputs.wanted.iter().filter_map(of_wanted).chain(inputs.taken).chain(found);
        let mut values: BTreeMap<AttrPath, BTreeSet<Value>> = BTreeMap::new();
        let strangers = inputs.wanted.iter().filter(|wanted| of_wanted(wanted).is_none());
        for Match { path, value } in strangers.flat_map(|wanted| ways(inputs.link, wanted)) {
            values.entry(path).or_default().insert(folded(&value));
        }
        Self { ids: ids.collect(), values }
    }

    fn has(&self, leaver: &Leaver, known: &Known) -> bool {
        let is_wished = |(path, wished): (&AttrPath, &BTreeSet<Value>)| {
            let shown = known.attributes.get(path).and_then(Option::as_ref);
            shown.is_some_and(|shown| wished.contains(&folded(shown)))
        };
        let by_value = || self.values.iter().any(is_wished);
        // Of whom the roster itself says that he has left, it says so of that account too.
        let is_absent = leaver.reason == LeaverReason::AbsentFromSource;
        self.ids.contains(&known.remote_id) || is_absent && by_value()
    }
}

fn judge_one(inputs: &Inputs<'_>, leaver: &Leaver, claims: &Claims<'_>) -> (Fate, Option<Action>) {
    let switch = switch(inputs);
    let known = inputs.known.get(&leaver.key).filter(|_| switch.is_some() || deletes(inputs));
    let linked = inputs.linked.contains(&leaver.key);
    let is_gone = |known: &Known| known.standing == Standing::Gone;
    let Some(known) = known.filter(|known| !is_gone(known) || linked && inputs.reads) else {
        return (Fate::Told, None);
    };
    if inputs.protected.contains(&leaver.key) {
        return (Fate::Protected, None);
    }
    if claims.has(leaver, known) {
        return (Fate::Unknown, None);
    }
    let absent = inputs.leaving.get(&leaver.key).map_or(0, |remembered| remembered.absent);
    if leaver.reason == LeaverReason::AbsentFromSource && absent < inputs.rules.absent_runs {
        return (Fate::Waits, None);
    }
    // The word of one answer; a read that says so too is the last.
    if is_gone(known) {
        return look_or(inputs, Fate::Told);
    }
    // An id that only stood in a roster may be anybody's: nothing happens to an account unseen.
    if !linked {
        return look_or(inputs, Fate::Unknown);
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
    if is_over(inputs, leaver) {
        return delete(inputs, leaver, known);
    }
    (if switch.is_some() { Fate::Off } else { Fate::Waits }, None)
}

fn look_or(inputs: &Inputs<'_>, otherwise: Fate) -> (Fate, Option<Action>) {
    if inputs.reads && !inputs.reads_done {
        (Fate::Read, Some(Action::Read))
    } else {
        (otherwise, None)
    }
}

fn switch<'a>(inputs: &Inputs<'a>) -> Option<&'a Switch> {
    inputs.capabilities.life.switch.as_ref().filter(|_| inputs.rules.disable)
}

fn deletes(inputs: &Inputs<'_>) -> bool {
    inputs.capabilities.life.delete && inputs.rules.delete
}

/// The time of grace is over, and the account may be deleted.
fn is_over(inputs: &Inputs<'_>, leaver: &Leaver) -> bool {
    // Where the API has no switch, the time runs since the user left.
    let from = inputs.leaving.get(&leaver.key).and_then(|remembered| {
        match inputs.capabilities.life.switch {
            Some(_) => remembered.disabled,
            None => Some(remembered.since),
        }
    });
    // A nightly run begins some minutes earlier or later than the one that switched the account off.
    let is_over = |from: Timestamp| inputs.now.duration_since(from) + SLACK >= inputs.rules.grace;
    deletes(inputs) && from.is_some_and(is_over)
}

/// What is known may be as old as the time of grace, and somebody may use the account again: it goes
/// only if this run has looked at it.
fn delete(inputs: &Inputs<'_>, leaver: &Leaver, known: &Known) -> (Fate, Option<Action>) {
    let fresh = !inputs.reads || inputs.seen.contains(&leaver.key);
    if fresh && known.standing == Standing::Settled {
        return (Fate::Deleted, Some(Action::Delete));
    }
    look_or(inputs, Fate::Unknown)
}

/// A user who is back, and whom we switched off: on again before anything else. `None`: nothing of
/// that kind.
pub(super) fn take_back(inputs: &Inputs<'_>, wanted: &Wanted, known: &Known) -> Option<Judged> {
    inputs.leaving.get(&wanted.key)?.disabled?;
    let switch = switch(inputs)?;
    // Where the row itself says whether the account is on, that counts.
    if known.standing == Standing::Gone || wanted.attributes.contains_key(&switch.path) {
        return None;
    }
    let judged = match shown(known, &switch.path) {
        Some(Some(Value::Flag(true))) => return None,
        None if inputs.reads && !inputs.reads_done => Action::Read,
        // On is what it shall be, whatever it is.
        Some(_) | None => Action::Enable { edit: flip(&switch.path, known, true) },
    };
    Some(Judged::Send(judged, Vec::new()))
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
        model::{Capabilities, Life, Rate, RemoteId, TenantId, UserKey},
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
        looks: Looks,
        gone: bool,
        /// Another user of the roster has this id.
        other: Option<&'static str>,
        /// A user of the roster without a known account is looked for by this name, where his is `Ann`.
        sought: Option<&'static str>,
    }

    #[derive(Clone, Copy, PartialEq)]
    enum Looks {
        Never,
        ToCome,
        Failed,
        Shown,
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
            looks: Looks::ToCome,
            gone: false,
            other: None,
            sought: None,
        }
    }

    fn off_since(day: i64) -> Scene {
        let at = Timestamp::from_second(day * DAY).unwrap();
        let leaving = Some(Leaving { absent: 2, since: at, disabled: Some(at) });
        Scene { on: Some(false), leaving, looks: Looks::Shown, ..scene() }
    }

    fn within<T>(scene: Scene, judge: impl FnOnce(&Inputs<'_>) -> T) -> T {
        let Scene { rules, life, on, leaving, linked, protected, looks, .. } = scene;
        let (gone, other, sought) = (scene.gone, scene.other, scene.sought);
        let key = UserKey::parse("E1").unwrap();
        let mut known = Known::unseen(RemoteId::parse("u1").unwrap());
        known.standing = if gone { Standing::Gone } else { Standing::Settled };
        known.attributes.extend(on.map(|on| (AttrPath::new("active"), Some(Value::Flag(on)))));
        let only = |there: bool| there.then(|| key.clone()).into_iter().collect::<BTreeSet<_>>();
        known.attributes.insert(name(), Some(Value::text("Ann")));
        let others = other.into_iter().map(|id| wanted("E2", Some(id)));
        let strangers = sought.into_iter().map(|sought| {
            let attributes = [(name(), Some(Value::text(sought)))].into();
            Wanted { attributes, ..wanted("E3", None) }
        });
        let inputs = Inputs {
            tenant: &TenantId::parse("acme").unwrap(),
            capabilities: &Capabilities { life, read: true, ..Capabilities::default() },
            reads: looks != Looks::Never,
            reads_done: looks != Looks::ToCome,
            quota: Rate::parse("1/s").unwrap(),
            wanted: &others.chain(strangers).collect::<Vec<_>>(),
            known: &[(key.clone(), known)].into(),
            owners: &BTreeMap::new(),
            taken: &BTreeSet::new(),
            held: &[],
            leavers: &[],
            leaving: &leaving.map(|leaving| (key.clone(), leaving)).into_iter().collect(),
            linked: &only(linked),
            seen: &only(looks == Looks::Shown),
            rules: &rules,
            link: &[name()],
            sought: &BTreeMap::new(),
            creating: &BTreeMap::new(),
            now: Timestamp::from_second(100 * DAY).unwrap(),
            protected: &only(protected),
            untouched: 0,
        };
        judge(&inputs)
    }

    fn judged(scene: Scene) -> (Fate, Option<Action>) {
        let leaver =
            Leaver { key: UserKey::parse("E1").unwrap(), reason: scene.reason, fate: Fate::Told };
        within(scene, |inputs| judge_one(inputs, &leaver, &Claims::of(inputs)))
    }

    /// What is sent first when he is back.
    fn taken_back(scene: Scene) -> Option<Action> {
        within(scene, |inputs| {
            let (key, known) = inputs.known.first_key_value().unwrap();
            match take_back(inputs, &wanted(key.as_str(), None), known)? {
                Judged::Send(action, _) => Some(action),
                Judged::Nothing(_) | Judged::Hold(_) => None,
            }
        })
    }

    fn name() -> AttrPath {
        AttrPath::new("userName")
    }

    fn wanted(key: &str, id: Option<&str>) -> Wanted {
        Wanted {
            key: UserKey::parse(key).unwrap(),
            remote_id: id.map(|id| RemoteId::parse(id).unwrap()),
            attributes: BTreeMap::new(),
            withheld: Vec::new(),
            references: BTreeMap::new(),
            line: 2,
            fingerprint: crate::model::Fingerprint(7),
        }
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
            assert_eq!(judged(Scene { looks: Looks::Failed, ..unseen }), (Fate::Unknown, None));
        }
        let old = Scene { linked: false, looks: Looks::ToCome, ..off_since(1) };
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
    fn nothing_happens_to_the_account_of_somebody_whose_key_is_another_now() {
        for scene in [scene(), off_since(1)] {
            let same = Scene { other: Some("u1"), ..scene.clone() };
            assert_eq!(judged(same), (Fate::Unknown, None));
            let another = Scene { other: Some("u2"), ..scene };
            assert_ne!(fate(another), Fate::Unknown);
        }
    }

    #[test]
    fn an_absent_users_account_may_be_that_of_whoever_is_looked_for_by_its_name() {
        for scene in [scene(), off_since(1)] {
            let sought = |sought| Scene { sought: Some(sought), ..scene.clone() };
            assert_eq!(judged(sought("ANN")), (Fate::Unknown, None));
            assert_ne!(fate(sought("Bob")), Fate::Unknown);
            let told = Scene { reason: LeaverReason::StatusColumn, ..sought("ann") };
            assert_ne!(fate(told), Fate::Unknown);
        }
    }

    #[test]
    fn an_account_is_deleted_only_in_a_run_that_has_shown_it_still_off() {
        let looks = |looks| fate(Scene { looks, ..off_since(69) });
        assert_eq!(looks(Looks::ToCome), Fate::Read);
        assert_eq!(looks(Looks::Failed), Fate::Unknown);
        assert_eq!(looks(Looks::Shown), Fate::Deleted);
        assert_eq!(fate(Scene { looks: Looks::ToCome, ..off_since(71) }), Fate::Off);
    }

    #[test]
    fn whoever_is_back_is_switched_on_unless_the_target_shows_that_he_is() {
        let back = |on, looks| taken_back(Scene { on, looks, ..off_since(1) });
        let enables = |action| matches!(action, Some(Action::Enable { .. }));
        assert!(enables(back(Some(false), Looks::ToCome)));
        assert_eq!(back(Some(true), Looks::ToCome), None);
        assert_eq!(back(None, Looks::ToCome), Some(Action::Read));
        assert!(enables(back(None, Looks::Failed)) && enables(back(None, Looks::Never)));
    }

    #[test]
    fn a_leaver_whom_the_target_does_not_have_is_looked_at_once_more() {
        let gone = Scene { gone: true, ..scene() };
        assert_eq!(judged(gone.clone()), (Fate::Read, Some(Action::Read)));
        assert_eq!(fate(Scene { looks: Looks::Failed, ..gone.clone() }), Fate::Told);
        assert_eq!(fate(Scene { linked: false, ..gone }), Fate::Told);
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
