//! Who changed what, attribute by attribute: what the roster wishes, what was last known, and what the
//! target shows now, held side by side.

use super::{diff::same, plan::is_of};
use crate::model::{
    AttrPath, Attributes, Drifted, Known, OnDrift, Standing, UserKey, Value, Wanted,
};
use serde::Serialize;

/// Who has changed an attribute since it was last known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Who {
    /// Nobody, or what is there is what is wished.
    InStep,
    /// The roster wishes something new, and the target is as it was known.
    Source,
    /// The roster wishes what it wished, and somebody else changed the target.
    Target,
    /// The roster wishes something new, and so it seems does somebody else.
    Both,
    /// The target never took that wish, and shows what it showed then.
    NotAccepted,
    /// Nobody has seen the attribute before.
    Unseen,
}

/// One attribute that is not as wished.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contrast {
    pub path: AttrPath,
    pub who: Who,
    pub policy: OnDrift,
    pub wanted: Option<Value>,
    /// `None`: it was never seen.
    pub known: Option<Option<Value>>,
    pub shown: Option<Value>,
}

/// One user whose account is not as wished, or not there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Drift {
    pub key: UserKey,
    pub sight: Sight,
}

/// What the target shows of a user who is not as wished.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sight {
    /// Not in step: by attribute, at least one.
    Contrasts(Vec<Contrast>),
    /// It says that there is no such user.
    Missing,
    /// Its list does not have the user, which is no proof that there is none.
    Unlisted,
}

impl Who {
    /// Somebody else has changed it.
    #[must_use]
    pub fn is_drift(self) -> bool {
        match self {
            Self::Target | Self::Both => true,
            Self::InStep | Self::Source | Self::NotAccepted | Self::Unseen => false,
        }
    }
}

impl Drift {
    /// Somebody else has changed something.
    #[must_use]
    pub fn is_drift(&self) -> bool {
        match &self.sight {
            Sight::Contrasts(contrasts) => contrasts.iter().any(|contrast| contrast.who.is_drift()),
            Sight::Missing => true,
            Sight::Unlisted => false,
        }
    }
}

/// Everything of a user that is not in step; `shown` in the normal form of the wishes
/// ([`super::diff::canonical`]). Attributes that are not shown at all are left out.
#[must_use]
pub fn contrasts(
    wanted: &Wanted,
    known: Option<&Known>,
    shown: &Attributes,
    policy: &dyn Fn(&AttrPath) -> OnDrift,
) -> Vec<Contrast> {
    let known = known.filter(|known| is_of(wanted, known));
    let contrast = |(path, wish): (&AttrPath, &Option<Value>)| {
        let shown = shown.get(path)?;
        let who = who(path, wish.as_ref(), known, shown.as_ref());
        (who != Who::InStep).then(|| Contrast {
            path: path.clone(),
            who,
            policy: policy(path),
            wanted: wish.clone(),
            known: known.and_then(|known| known.attributes.get(path).cloned()),
            shown: shown.clone(),
        })
    };
    wanted.attributes.iter().filter_map(contrast).collect()
}

fn who(path: &AttrPath, wish: Option<&Value>, known: Option<&Known>, shown: Option<&Value>) -> Who {
    if same(wish, shown) {
        return Who::InStep;
    }
    // What a request of ours may have changed says nothing of others.
    let before =
        known.filter(|known| known.standing == Standing::Settled && !known.suspect.contains(path));
    let Some((known, before)) = before.and_then(|k| Some((k, k.attributes.get(path)?))) else {
        return Who::Unseen;
    };
    let noted = known.drifted.get(path).map(|drifted| drifted.wish.as_ref());
    let refused = known.refused.get(path).map(Option::as_ref);
    let is_old = |old: Option<Option<&Value>>| old.is_some_and(|old| same(old, wish));
    match (same(before.as_ref(), shown), same(before.as_ref(), wish)) {
        (true, _) if is_old(noted) => Who::Target,
        (true, _) if is_old(refused) => Who::NotAccepted,
        (true, _) => Who::Source,
        (false, true) => Who::Target,
        (false, false) if is_old(noted) || is_old(refused) => Who::Target,
        (false, false) => Who::Both,
    }
}

/// The account as it is known once this was seen, and what of it others changed, by the wish at that
/// time; `None` when nothing of both is new. What was never seen stays so, and of a user in doubt, or
/// of what a request of ours may bring yet, nothing is taken in.
#[must_use]
pub fn taken_in(
    wanted: &Wanted,
    known: &Known,
    shown: &Attributes,
    contrasts: &[Contrast],
) -> Option<(Attributes, Attributes)> {
    if known.standing != Standing::Settled || !is_of(wanted, known) {
        return None;
    }
    let mut attributes = known.attributes.clone();
    for (path, value) in shown.iter().filter(|(path, _)| !known.suspect.contains(*path)) {
        let is_new = |before: &Option<Value>| !same(before.as_ref(), value.as_ref());
        if wanted.attributes.contains_key(path) && known.attributes.get(path).is_some_and(is_new) {
            attributes.insert(path.clone(), value.clone());
        }
    }
    let noted = |(path, drifted): (&AttrPath, &Drifted)| (path.clone(), drifted.wish.clone());
    let before: Attributes = known.drifted.iter().map(noted).collect();
    let mut wishes = before.clone();
    wishes.retain(|path, wish| {
        let lasts = |now: &Option<Value>| same(now.as_ref(), wish.as_ref());
        let holds = |shown: &Option<Value>| same(shown.as_ref(), wish.as_ref());
        wanted.attributes.get(path).is_none_or(lasts) && !shown.get(path).is_some_and(holds)
    });
    for contrast in contrasts.iter().filter(|contrast| contrast.who == Who::Target) {
        wishes.insert(contrast.path.clone(), contrast.wanted.clone());
    }
    (attributes != known.attributes || wishes != before).then_some((attributes, wishes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Drifted, Fingerprint, RemoteId};

    fn attributes(text: Option<&str>) -> Attributes {
        text.map(|text| (AttrPath::new("title"), Some(Value::from(text)))).into_iter().collect()
    }

    fn known(text: Option<&str>) -> Known {
        let remote_id = RemoteId::parse("u1").unwrap();
        Known {
            attributes: attributes(text),
            standing: Standing::Settled,
            ..Known::unseen(remote_id)
        }
    }

    fn wanted(wish: &str) -> Wanted {
        Wanted {
            key: UserKey::parse("E1").unwrap(),
            remote_id: RemoteId::parse("u1").ok(),
            attributes: attributes(Some(wish)),
            withheld: Vec::new(),
            references: std::collections::BTreeMap::new(),
            line: 2,
            fingerprint: Fingerprint::default(),
        }
    }

    fn found(wish: &str, known: &Known, shown: &str) -> Vec<Contrast> {
        let shown = attributes(Some(shown));
        contrasts(&wanted(wish), Some(known), &shown, &|_| OnDrift::Keep)
    }

    fn taken(wish: &str, known: &Known, shown: &str) -> Option<(Attributes, Attributes)> {
        let told = found(wish, known, shown);
        taken_in(&wanted(wish), known, &attributes(Some(shown)), &told)
    }

    fn who_changed(wish: &str, known: &Known, shown: &str) -> Who {
        found(wish, known, shown).first().map_or(Who::InStep, |contrast| contrast.who)
    }

    #[test]
    fn d33_who_changed_an_attribute_is_told_from_the_wish_what_was_known_and_what_is_there() {
        for (wish, before, shown, who) in [
            ("a", Some("a"), "a", Who::InStep),
            ("b", Some("a"), "b", Who::InStep),
            ("b", Some("a"), "a", Who::Source),
            ("a", Some("a"), "b", Who::Target),
            ("b", Some("a"), "c", Who::Both),
            ("a", None, "b", Who::Unseen),
            ("a", None, "a", Who::InStep),
        ] {
            let told = who_changed(wish, &known(before), shown);
            assert_eq!(told, who, "{wish} {before:?} {shown}");
        }
    }

    #[test]
    fn a_user_in_doubt_or_a_request_that_may_arrive_yet_is_nobody_elses_doing() {
        let in_doubt = Known { standing: Standing::InDoubt, ..known(Some("a")) };
        assert_eq!(who_changed("a", &in_doubt, "b"), Who::Unseen);
        let suspect = Known { suspect: [AttrPath::new("title")].into(), ..known(Some("a")) };
        assert_eq!(who_changed("a", &suspect, "b"), Who::Unseen);
    }

    #[test]
    fn d14_a_value_that_the_target_never_took_is_no_drift() {
        let refused = Known { refused: attributes(Some("A")), ..known(Some("a")) };
        assert_eq!(who_changed("A", &refused, "a"), Who::NotAccepted);
        assert_eq!(who_changed("A", &refused, "b"), Who::Target);
        assert_eq!(who_changed("B", &refused, "a"), Who::Source);
    }

    /// The same user once somebody has noted that.
    fn noted(account: Attributes, wishes: Attributes) -> Known {
        let drifted = |(path, wish)| (path, Drifted { wish, policy: OnDrift::Keep });
        Known {
            attributes: account,
            drifted: wishes.into_iter().map(drifted).collect(),
            ..known(None)
        }
    }

    #[test]
    fn what_was_noted_once_is_told_again_until_the_wish_changes() {
        let (account, wishes) = taken("a", &known(Some("a")), "b").unwrap();
        assert!(account == attributes(Some("b")) && wishes == attributes(Some("a")));
        let noted = noted(account, wishes);
        assert_eq!(who_changed("a", &noted, "b"), Who::Target);
        assert_eq!(taken("a", &noted, "b"), None, "nothing is new");
        assert_eq!(who_changed("a", &noted, "c"), Who::Target);
        assert_eq!(who_changed("c", &noted, "b"), Who::Source);
        assert_eq!(taken("c", &noted, "b"), Some((attributes(Some("b")), attributes(None))));
    }

    #[test]
    fn what_somebody_set_back_is_in_step_and_noted_no_more() {
        let noted = noted(attributes(Some("b")), attributes(Some("a")));
        assert_eq!(who_changed("a", &noted, "a"), Who::InStep);
        assert_eq!(taken("a", &noted, "a"), Some((attributes(Some("a")), attributes(None))));
    }

    #[test]
    fn what_the_roster_changed_and_what_was_never_seen_is_not_taken_in() {
        assert_eq!(taken("b", &known(Some("a")), "a"), None);
        assert_eq!(taken("a", &known(None), "b"), None);
        let in_doubt = Known { standing: Standing::InDoubt, ..known(Some("a")) };
        assert_eq!(taken("a", &in_doubt, "b"), None);
    }
}
