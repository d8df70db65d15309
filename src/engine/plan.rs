//! From wanted and known to the operations of one tenant, with nothing left to choose.

mod leave;
mod link;
mod spelled;

pub use leave::Leaving;
pub use link::{Sought, TAKEN, several};
pub use spelled::{digest, operation_json};

use super::{
    diff::{Diff, diff},
    life::Rules,
};
use crate::model::{
    Action, AttrPath, Capabilities, Edit, Forecast, Held, HeldReason, Known, Leaver, Match,
    Operation, Plan, Rate, RemoteId, Sides, Standing, TenantId, UserKey, Value, Wanted,
};
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};

/// All that a plan depends on.
#[derive(Debug)]
pub struct Inputs<'a> {
    pub tenant: &'a TenantId,
    pub capabilities: &'a Capabilities,
    /// The target offers a read and the tenant uses it.
    pub reads: bool,
    /// The reads of this cycle are over: who is still in doubt waits for the next one, and what no
    /// read shows is sent.
    pub reads_done: bool,
    pub quota: Rate,
    /// Users who are not as their row wishes, in any order.
    pub wanted: &'a [Wanted],
    /// What is known of them.
    pub known: &'a BTreeMap<UserKey, Known>,
    /// Who of those known has which remote id; of ids that nobody wishes for nothing is needed.
    pub owners: &'a BTreeMap<RemoteId, UserKey>,
    /// Remote ids that this roster gives to users who are not in `wanted`.
    pub taken: &'a BTreeSet<RemoteId>,
    /// Held before the diff: rows and values.
    pub held: &'a [Held],
    pub leavers: &'a [Leaver],
    /// What is remembered of those who left, and of those who have come back since.
    pub leaving: &'a BTreeMap<UserKey, Leaving>,
    /// Leavers whose known account was found, made, or shown by a read of its own.
    pub linked: &'a BTreeSet<UserKey>,
    /// Leavers whose account a read of this run has shown.
    pub seen: &'a BTreeSet<UserKey>,
    /// What may be done with whole accounts.
    pub rules: &'a Rules,
    /// Attributes by which users without a known id are looked for, the best first.
    pub link: &'a [AttrPath],
    /// What look-ups of this run have brought.
    pub sought: &'a BTreeMap<UserKey, Sought>,
    /// Users for whom an account may have been made that nobody has seen, and what it can be looked
    /// for by, as the creation recorded it.
    pub creating: &'a BTreeMap<UserKey, Vec<Match>>,
    pub now: Timestamp,
    /// Users whose account is never changed.
    pub protected: &'a BTreeSet<UserKey>,
    /// Other users in scope, who need nothing.
    pub untouched: u64,
}

/// A plan, and who needs nothing.
#[derive(Debug)]
pub struct Planned {
    /// Without guards: [`super::guard::judge`] adds them.
    pub plan: Plan,
    /// Users whose every wish is as it should be or was refused before: their row needs no look
    /// until it changes.
    pub settled: Vec<UserKey>,
}

/// Plans one tenant. The same inputs give the same plan, in whatever order they come.
#[must_use]
pub fn plan(inputs: &Inputs<'_>) -> Planned {
    let sharers = sharers(inputs);
    let mut operations = Vec::new();
    let mut held = inputs.held.to_vec();
    let mut settled = Vec::new();
    let mut unchanged = inputs.untouched;
    for wanted in inputs.wanted {
        if sharers.contains(&wanted.key) {
            held.push(hold(wanted, HeldReason::SharedRemoteId, None, SHARED.to_owned()));
            continue;
        }
        match judge_user(inputs, wanted) {
            Judged::Send(action, _)
                if !action.is_look() && inputs.protected.contains(&wanted.key) =>
            {
                held.push(hold(wanted, HeldReason::Protected, None, PROTECTED.to_owned()));
            }
            Judged::Send(action, told) => {
                operations.push(operation(inputs, wanted, action));
                held.extend(told);
            }
            Judged::Nothing(told) => {
                unchanged += 1;
                let lasting = |held: &Held| held.reason == HeldReason::NotAccepted;
                if !wanted.is_incomplete() && told.iter().all(lasting) {
                    settled.push(wanted.key.clone());
                }
                held.extend(told);
            }
            Judged::Hold(why) => held.push(why),
        }
    }
    let mut leavers = leave::judge(inputs, &mut operations, &mut held);
    leavers.sort();
    operations.sort_by(|a, b| a.key.cmp(&b.key));
    held.sort();
    let held_users = count_users(inputs.held);
    let plan = Plan {
        tenant: inputs.tenant.clone(),
        users: inputs.untouched + inputs.wanted.len() as u64 + held_users,
        unchanged,
        forecast: forecast(operations.len() as u64, inputs.quota),
        operations,
        held,
        leavers,
        guards: Vec::new(),
    };
    Planned { plan, settled }
}

/// Why nothing is sent for users with one id.
pub const SHARED: &str =
    "another user has the same id at the target, and nobody can say whose it is";

/// Why nothing is sent for somebody whom nothing may happen to.
const PROTECTED: &str = "the row wishes a change, and `protected` says that nothing of this account \
    is ever changed; change it at the target, or correct the row";

/// Whether what is known is about the account that is wished: where the roster names none, it is.
#[must_use]
pub fn is_of(wanted: &Wanted, known: &Known) -> bool {
    wanted.remote_id.as_ref().is_none_or(|id| *id == known.remote_id)
}

/// Users of whom two or more claim one remote id.
fn sharers<'a>(inputs: &Inputs<'a>) -> BTreeSet<&'a UserKey> {
    let mut claims: BTreeMap<&RemoteId, Vec<&UserKey>> = BTreeMap::new();
    let mut ids: BTreeMap<&UserKey, &RemoteId> = BTreeMap::new();
    for wanted in inputs.wanted {
        let known = || inputs.known.get(&wanted.key).map(|known| &known.remote_id);
        let Some(id) = wanted.remote_id.as_ref().or_else(known) else { continue };
        claims.entry(id).or_default().push(&wanted.key);
        ids.insert(&wanted.key, id);
    }
    let moved = |owner: &UserKey, id| ids.get(owner).is_some_and(|wanted| *wanted != id);
    let mut sharers = BTreeSet::new();
    for (id, users) in claims {
        let other = inputs.owners.get(id).filter(|owner| !users.contains(owner));
        // The owner of record counts, unless this very roster says that it has another id now.
        let other = other.is_some_and(|owner| !moved(owner, id));
        if users.len() > 1 || other || inputs.taken.contains(id) {
            sharers.extend(users);
        }
    }
    sharers
}

/// Whether there is nothing to send or to tell of this user, now and until something changes.
#[must_use]
pub fn is_as_wanted(wanted: &Wanted, known: &Known) -> bool {
    known.standing == Standing::Settled
        && known.suspect.is_empty()
        && is_of(wanted, known)
        && !wanted.is_incomplete()
        && diff(&wanted.attributes, known) == Diff::default()
}

enum Judged {
    /// Send this; the rest is told beside it.
    Send(Action, Vec<Held>),
    /// Nothing to send; told are attributes that are withheld or were not accepted.
    Nothing(Vec<Held>),
    Hold(Held),
}

fn judge_user(inputs: &Inputs<'_>, wanted: &Wanted) -> Judged {
    let unseen;
    let known = match inputs.known.get(&wanted.key).filter(|known| is_of(wanted, known)) {
        Some(known) => known,
        None => match wanted.remote_id.clone() {
            Some(remote_id) => {
                unseen = Known::unseen(remote_id);
                &unseen
            }
            None => return link::judge(inputs, wanted),
        },
    };
    if let Some(judged) = leave::take_back(inputs, wanted, known) {
        return judged;
    }
    let anew = sent_anew(inputs, wanted, known);
    let known = anew.as_ref().unwrap_or(known);
    let diff = diff(&wanted.attributes, known);
    let told = told(wanted, &diff);
    let is_suspect = !known.suspect.is_empty() && !inputs.reads_done;
    let never_shown = !diff.unseen.is_empty() && !inputs.reads_done;
    match known.standing {
        Standing::InDoubt | Standing::Gone if inputs.reads => {
            return read_first(inputs, wanted, known.standing);
        }
        Standing::Settled if inputs.reads && (never_shown || is_suspect) => {
            return read_first(inputs, wanted, known.standing);
        }
        Standing::Settled | Standing::InDoubt | Standing::Gone => {}
    }
    let mut edits = diff.edits;
    edits.extend(diff.unseen);
    if edits.is_empty() {
        return Judged::Nothing(told);
    }
    edits.sort_by(|a, b| a.path.cmp(&b.path));
    match companions(inputs.capabilities, &edits, known) {
        Ok(companions) => Judged::Send(Action::Patch { edits, companions }, told),
        // A member of the object that nobody has looked for yet may be there all the same.
        Err(Missing { never_seen: true, .. }) if inputs.reads && !inputs.reads_done => {
            Judged::Send(Action::Read, told)
        }
        Err(Missing { parent, member, .. }) => {
            let why = format!(
                "`{parent}` cannot be sent without `{member}`, which neither the roster nor the \
                 target has; map it"
            );
            Judged::Hold(hold(wanted, HeldReason::MissingCompanion, Some(member), why))
        }
    }
}

/// What is known of a suspect where nothing can be read: what may have been overwritten since is
/// unknown, and so it is sent once more.
fn sent_anew(inputs: &Inputs<'_>, wanted: &Wanted, known: &Known) -> Option<Known> {
    if inputs.reads || known.suspect.is_empty() {
        return None;
    }
    let mut known = known.clone();
    for path in known.suspect.iter().filter(|path| wanted.attributes.contains_key(*path)) {
        known.attributes.remove(path);
    }
    Some(known)
}

fn read_first(inputs: &Inputs<'_>, wanted: &Wanted, standing: Standing) -> Judged {
    if !inputs.reads_done {
        return Judged::Send(Action::Read, Vec::new());
    }
    let (reason, why) = match standing {
        Standing::Gone => (HeldReason::Gone, GONE),
        Standing::InDoubt | Standing::Settled => (HeldReason::InDoubt, IN_DOUBT),
    };
    Judged::Hold(hold(wanted, reason, None, why.to_owned()))
}

/// Why nothing is sent for somebody whom the target does not have.
pub const GONE: &str = "the target has no such user";
const OPEN_REFERENCE: &str = "it refers to somebody whose account here is not known yet; sent by the \
    first run that begins after it is";
const IN_DOUBT: &str = "the target could not say what it holds; the next run looks again";

/// Attributes that stay as they are while the rest of the user goes on.
fn told(wanted: &Wanted, diff: &Diff) -> Vec<Held> {
    let tell = |path: &AttrPath, reason, why: &str| Held {
        others_go: true,
        ..hold(wanted, reason, Some(path.clone()), why.to_owned())
    };
    let withheld = wanted.withheld.iter().map(|path| {
        tell(path, HeldReason::BadReference, "the cell it depends on cannot be believed")
    });
    let refused = diff.not_accepted.iter().map(|path| {
        tell(path, HeldReason::NotAccepted, "the target did not take this value; not sent again")
    });
    let contested = diff.contested.iter().map(|Edit { path, before, after }| {
        let sides = Sides { wished: after.clone(), shown: before.clone().flatten() };
        Held { sides: Some(sides), ..tell(path, HeldReason::Drifted, DRIFTED) }
    });
    let open = wanted.open_references();
    let open = open.map(|path| tell(path, HeldReason::OpenReference, OPEN_REFERENCE));
    withheld.chain(open).chain(refused).chain(contested).collect()
}

/// Why an attribute is held that somebody else changed.
const DRIFTED: &str = "somebody changed it at the target, and the rule's `on_drift` says to hold it; \
    change it back there, or in the roster too, or change the rule";

fn hold(wanted: &Wanted, reason: HeldReason, attribute: Option<AttrPath>, why: String) -> Held {
    let key = wanted.key.clone();
    Held {
        key,
        reason,
        attribute,
        line: Some(wanted.line),
        why,
        others_go: false,
        timer: None,
        sides: None,
    }
}

fn operation(inputs: &Inputs<'_>, wanted: &Wanted, action: Action) -> Operation {
    let known = || Some(inputs.known.get(&wanted.key)?.remote_id.clone());
    let remote_id = match action {
        Action::Find { .. } | Action::Create { .. } => None,
        Action::Read
        | Action::Patch { .. }
        | Action::Disable { .. }
        | Action::Enable { .. }
        | Action::Delete => wanted.remote_id.clone().or_else(known),
    };
    Operation { key: wanted.key.clone(), remote_id, action }
}

/// A mandatory member that nobody knows.
struct Missing {
    parent: String,
    member: AttrPath,
    /// The target was never asked for it.
    never_seen: bool,
}

/// The members that go along with the edits of their group, as known: what is wished otherwise is
/// an edit itself, or was refused before and must not ride along.
fn companions(
    capabilities: &Capabilities,
    edits: &[Edit],
    known: &Known,
) -> Result<BTreeMap<AttrPath, Value>, Missing> {
    let mut companions = BTreeMap::new();
    let edited = |path: &AttrPath| edits.iter().any(|edit| edit.path == *path);
    for group in &capabilities.groups {
        if !group.members.iter().any(edited) {
            continue;
        }
        for member in group.members.iter().filter(|member| !edited(member)) {
            let shown = known.attributes.get(member);
            let missing = |never_seen| Missing {
                parent: group.parent.clone(),
                member: member.clone(),
                never_seen,
            };
            match shown.cloned().flatten() {
                Some(value) => {
                    companions.insert(member.clone(), value);
                }
                // An omitted member might be cleared, so its absence has to have been seen.
                None if shown.is_none() => return Err(missing(true)),
                None if group.mandatory.contains(member) => return Err(missing(false)),
                None => {}
            }
        }
    }
    Ok(companions)
}

/// Users of whom nothing is sent, however many reasons there are.
#[must_use]
pub fn count_users(held: &[Held]) -> u64 {
    let whole = held.iter().filter(|held| !held.others_go);
    whole.map(|held| &held.key).collect::<BTreeSet<_>>().len() as u64
}

fn forecast(requests: u64, quota: Rate) -> Forecast {
    let requests_max = u32::try_from(requests).unwrap_or(u32::MAX);
    Forecast { requests, duration: quota.interval().saturating_mul(requests_max) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Attribute, Attributes, Fingerprint, Group, Kind};
    use proptest::prelude::*;

    fn capabilities() -> Capabilities {
        let paths = ["name.first", "name.last", "title"];
        let attributes = paths.map(|path| (AttrPath::new(path), Attribute::of(Kind::Text)));
        let members: Vec<AttrPath> = paths[..2].iter().map(|path| AttrPath::new(path)).collect();
        let group = Group { parent: "name".into(), mandatory: members.clone(), members };
        Capabilities {
            attributes: attributes.into(),
            groups: vec![group],
            read: true,
            ..Capabilities::default()
        }
    }

    fn attributes(pairs: &[(&str, &str)]) -> Attributes {
        pairs.iter().map(|(path, text)| (AttrPath::new(path), Some(Value::from(*text)))).collect()
    }

    fn wanted(key: &str, pairs: &[(&str, &str)]) -> Wanted {
        Wanted {
            key: UserKey::parse(key).unwrap(),
            remote_id: RemoteId::parse(&format!("id-{key}")).ok(),
            attributes: attributes(pairs),
            withheld: Vec::new(),
            references: BTreeMap::new(),
            line: 2,
            fingerprint: Fingerprint::default(),
        }
    }

    fn known(key: &str, pairs: &[(&str, &str)]) -> (UserKey, Known) {
        let remote_id = RemoteId::parse(&format!("id-{key}")).unwrap();
        let known = Known {
            attributes: attributes(pairs),
            standing: Standing::Settled,
            ..Known::unseen(remote_id)
        };
        (UserKey::parse(key).unwrap(), known)
    }

    struct World {
        wanted: Vec<Wanted>,
        known: BTreeMap<UserKey, Known>,
        reads: bool,
        reads_done: bool,
    }

    impl World {
        fn plan(&self) -> Planned {
            let owners = self.known.iter();
            let owners =
                owners.map(|(key, known)| (known.remote_id.clone(), key.clone())).collect();
            plan(&Inputs {
                tenant: &TenantId::parse("acme").unwrap(),
                capabilities: &capabilities(),
                reads: self.reads,
                reads_done: self.reads_done,
                quota: Rate::parse("60/min").unwrap(),
                wanted: &self.wanted,
                known: &self.known,
                owners: &owners,
                taken: &BTreeSet::new(),
                held: &[],
                leavers: &[],
                leaving: &BTreeMap::new(),
                linked: &BTreeSet::new(),
                seen: &BTreeSet::new(),
                rules: &Rules::default(),
                link: &[],
                sought: &BTreeMap::new(),
                creating: &BTreeMap::new(),
                now: Timestamp::UNIX_EPOCH,
                protected: &BTreeSet::new(),
                untouched: 0,
            })
        }
    }

    fn world(wanted: Vec<Wanted>, known: Vec<(UserKey, Known)>) -> World {
        World { wanted, known: known.into_iter().collect(), reads: true, reads_done: false }
    }

    #[test]
    fn a_user_that_is_as_wanted_gets_no_operation_and_is_settled() {
        let planned =
            world(vec![wanted("E1", &[("title", "CEO")])], vec![known("E1", &[("title", "CEO")])])
                .plan();
        assert_eq!((planned.plan.operations.len(), planned.settled.len()), (0, 1));
    }

    #[test]
    fn a_user_never_seen_is_read_first_and_patched_blindly_only_where_no_read_is_offered() {
        let mut world = world(vec![wanted("E1", &[("title", "CEO")])], vec![]);
        assert_eq!(world.plan().plan.operations[0].action, Action::Read);
        world.reads = false;
        let planned = world.plan();
        let Action::Patch { edits, .. } = &planned.plan.operations[0].action else {
            panic!("not a patch")
        };
        assert!(edits[0].before.is_none());
    }

    #[test]
    fn who_could_not_be_read_is_held_once_the_reads_are_over() {
        let mut world = world(vec![wanted("E1", &[("title", "CEO")])], vec![]);
        world.reads_done = true;
        let planned = world.plan();
        assert!(planned.plan.operations.is_empty() && planned.settled.is_empty());
        assert_eq!(planned.plan.held[0].reason, HeldReason::InDoubt);
    }

    #[test]
    fn a_refused_value_does_not_ride_along_with_another_members_edit() {
        let (key, mut ann) = known("E1", &[("name.first", "Anne"), ("title", "CEO")]);
        ann.attributes.insert(AttrPath::new("name.last"), None);
        ann.refused = attributes(&[("name.last", "???")]);
        let wishes = [("name.first", "Ann"), ("name.last", "???")];
        let planned = world(vec![wanted("E1", &wishes)], vec![(key, ann)]).plan();
        assert!(planned.plan.operations.is_empty());
        assert_eq!(planned.plan.held[0].reason, HeldReason::MissingCompanion);
    }

    #[test]
    fn d12_who_is_gone_at_the_target_is_looked_at_again_and_never_sent_a_change() {
        let (key, mut gone) = known("E1", &[]);
        gone.standing = Standing::Gone;
        let mut world = world(vec![wanted("E1", &[("title", "CEO")])], vec![(key, gone)]);
        assert_eq!(world.plan().plan.operations[0].action, Action::Read);
        world.reads_done = true;
        let planned = world.plan();
        assert!(planned.plan.operations.is_empty() && planned.settled.is_empty());
        assert_eq!(planned.plan.held[0].reason, HeldReason::Gone);
    }

    #[test]
    fn the_other_members_of_an_object_go_along_as_known() {
        let planned = world(
            vec![wanted("E1", &[("name.first", "Ann")])],
            vec![known("E1", &[("name.first", "Anne"), ("name.last", "Lee"), ("title", "CEO")])],
        )
        .plan();
        let Action::Patch { edits, companions } = &planned.plan.operations[0].action else {
            panic!("not a patch")
        };
        assert_eq!(edits.len(), 1);
        let paths: Vec<_> = companions.keys().map(AttrPath::as_str).collect();
        assert_eq!(paths, ["name.last"]);
    }

    #[test]
    fn a_mandatory_member_that_nobody_knows_holds_the_user() {
        let mut known = known("E1", &[("name.first", "Anne")]);
        known.1.attributes.insert(AttrPath::new("name.last"), None);
        let planned = world(vec![wanted("E1", &[("name.first", "Ann")])], vec![known]).plan();
        assert!(planned.plan.operations.is_empty());
        assert_eq!(planned.plan.held[0].reason, HeldReason::MissingCompanion);
    }

    #[test]
    fn two_users_with_one_remote_id_are_both_held() {
        let mut second = wanted("E2", &[("title", "CFO")]);
        second.remote_id = RemoteId::parse("id-E1").ok();
        let both = world(vec![wanted("E1", &[("title", "CEO")]), second.clone()], vec![]).plan();
        assert_eq!((both.plan.operations.len(), both.plan.held.len()), (0, 2));
        // The other one need not be in tonight's changes.
        let one = world(vec![second], vec![known("E1", &[("title", "CEO")])]).plan();
        assert_eq!((one.plan.operations.len(), one.plan.held.len()), (0, 1));
    }

    #[test]
    fn d32_a_user_with_another_remote_id_is_read_there_before_anything_is_sent() {
        let mut moved = wanted("E1", &[("title", "CEO")]);
        moved.remote_id = RemoteId::parse("elsewhere").ok();
        let planned = world(vec![moved], vec![known("E1", &[("title", "CEO")])]).plan();
        assert_eq!(planned.plan.operations[0].action, Action::Read);
    }

    proptest! {
        #[test]
        fn p09_a40_the_order_of_the_users_makes_no_difference_to_the_plan(
            titles in prop::collection::vec("[a-b]", 1..8), seed in any::<u64>()
        ) {
            let people = |titles: &[String]| -> Vec<Wanted> {
                let one = |(n, title): (usize, &String)| wanted(&format!("E{n}"), &[("title", title)]);
                titles.iter().enumerate().map(one).collect()
            };
            let known: Vec<_> =
                (0..titles.len()).map(|n| known(&format!("E{n}"), &[("title", "a")])).collect();
            let sorted = world(people(&titles), known.clone()).plan().plan;
            let mut shuffled = people(&titles);
            fastrand::Rng::with_seed(seed).shuffle(&mut shuffled);
            let shuffled = world(shuffled, known).plan().plan;
            prop_assert_eq!(digest(&sorted), digest(&shuffled));
        }
    }
}
