//! What differs between the wanted and the known account, attribute by attribute.

use crate::model::{AttrPath, Attributes, Edit, Known, OnDrift, Value};

/// What differs. The lists are sorted by path and share none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Diff {
    /// Attributes that are known to differ.
    pub edits: Vec<Edit>,
    /// Wishes for attributes that nobody has seen yet, as edits from nowhere.
    pub unseen: Vec<Edit>,
    /// The target would not take this very value before, and is not known to hold it now.
    pub not_accepted: Vec<AttrPath>,
    /// Somebody else changed it at the target, and it is held for a person to decide.
    pub contested: Vec<Edit>,
}

/// Compares every wish with what is known. `diff(x, x)` is empty.
#[must_use]
pub fn diff(wanted: &Attributes, known: &Known) -> Diff {
    let mut diff = Diff::default();
    for (path, wish) in wanted {
        let edit = |before| Edit { path: path.clone(), before, after: wish.clone() };
        match known.attributes.get(path) {
            Some(shown) if same(wish.as_ref(), shown.as_ref()) => {}
            _ if refused_before(known, path, wish.as_ref()) => {
                diff.not_accepted.push(path.clone());
            }
            shown => match (on_drift(known, path, wish.as_ref()), shown) {
                (OnDrift::Keep, _) => {}
                (OnDrift::Hold, shown) => diff.contested.push(edit(shown.cloned())),
                (OnDrift::Overwrite, None) => diff.unseen.push(edit(None)),
                (OnDrift::Overwrite, Some(shown)) => diff.edits.push(edit(Some(shown.clone()))),
            },
        }
    }
    diff
}

/// What becomes of a wish that does not hold: it is sent, unless somebody else has changed the attribute
/// while the wish was this one.
fn on_drift(known: &Known, path: &AttrPath, wish: Option<&Value>) -> OnDrift {
    let drifted = known.drifted.get(path);
    let drifted = drifted.filter(|drifted| same(drifted.wish.as_ref(), wish));
    drifted.map_or(OnDrift::Overwrite, |drifted| drifted.policy)
}

fn refused_before(known: &Known, path: &AttrPath, wish: Option<&Value>) -> bool {
    known.refused.get(path).is_some_and(|refused| same(refused.as_ref(), wish))
}

/// Whether two contents of an attribute mean the same. An empty text and an empty set mean unset
/// (RFC 7643 §2.5 says so for SCIM, and no other target tells them apart).
#[must_use]
pub fn same(a: Option<&Value>, b: Option<&Value>) -> bool {
    meaning(a) == meaning(b)
}

fn meaning(value: Option<&Value>) -> Option<&Value> {
    value.filter(|value| {
        !value.is_empty_set() && !matches!(value, Value::Text(text) if text.is_empty())
    })
}

/// What the target showed, in the normal form of the wishes: text in NFC and trimmed, so that a
/// target that stores another Unicode form does not look different every night.
#[must_use]
pub fn canonical(shown: &Attributes) -> Attributes {
    shown.iter().map(|(path, value)| (path.clone(), value.as_ref().map(canonical_value))).collect()
}

/// As look-ups compare: whatever its capitals (RFC 7643 §4.1.1 for user names; e-mail addresses are
/// compared so everywhere).
pub(super) fn folded(value: &Value) -> Value {
    match value {
        Value::Text(text) => Value::text(text.to_lowercase()),
        Value::Flag(_) | Value::Integer(_) | Value::Decimal(_) | Value::Set(_) => value.clone(),
    }
}

fn canonical_value(value: &Value) -> Value {
    match value {
        Value::Text(text) => {
            let nfc = icu_normalizer::ComposingNormalizerBorrowed::new_nfc();
            Value::text(nfc.normalize(text.trim()))
        }
        Value::Set(members) => Value::Set(members.iter().map(canonical_value).collect()),
        Value::Flag(_) | Value::Integer(_) | Value::Decimal(_) => value.clone(),
    }
}

/// Of what was sent, the wishes that the target shows otherwise: it rewrote or ignored them, and
/// sending them again would do the same every night.
#[must_use]
pub fn not_accepted<'a>(
    edits: impl IntoIterator<Item = &'a Edit>,
    shown: &Attributes,
) -> Attributes {
    edits
        .into_iter()
        .filter(|edit| {
            shown.get(&edit.path).is_some_and(|value| !same(value.as_ref(), edit.after.as_ref()))
        })
        .map(|edit| (edit.path.clone(), edit.after.clone()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{RemoteId, Standing};
    use proptest::prelude::*;

    fn attributes(pairs: &[(&str, Option<&str>)]) -> Attributes {
        pairs.iter().map(|(path, text)| (AttrPath::new(path), text.map(Value::from))).collect()
    }

    fn known(pairs: &[(&str, Option<&str>)]) -> Known {
        let remote_id = RemoteId::parse("u1").unwrap();
        Known {
            attributes: attributes(pairs),
            standing: Standing::Settled,
            ..Known::unseen(remote_id)
        }
    }

    #[test]
    fn only_what_differs_becomes_an_edit() {
        let known = known(&[("a", Some("1")), ("b", Some("2")), ("c", None)]);
        let diff =
            diff(&attributes(&[("a", Some("1")), ("b", Some("3")), ("c", Some("x"))]), &known);
        let paths: Vec<_> = diff.edits.iter().map(|edit| edit.path.as_str()).collect();
        assert_eq!(paths, ["b", "c"]);
    }

    #[test]
    fn an_attribute_that_nobody_has_seen_is_not_taken_for_unset() {
        let diff = diff(&attributes(&[("a", None)]), &known(&[]));
        assert_eq!((diff.edits.len(), diff.unseen.len()), (0, 1));
    }

    #[test]
    fn d14_a_refused_value_is_not_sent_again_until_the_wish_changes() {
        let mut known = known(&[("mail", Some("ann@x.org"))]);
        known.refused = attributes(&[("mail", Some("Ann@x.org"))]);
        let again = diff(&attributes(&[("mail", Some("Ann@x.org"))]), &known);
        assert_eq!((again.edits.len(), again.not_accepted.len()), (0, 1));
        let other = diff(&attributes(&[("mail", Some("anna@x.org"))]), &known);
        assert_eq!((other.edits.len(), other.not_accepted.len()), (1, 0));
    }

    #[test]
    fn a_refused_value_is_not_sent_again_to_a_target_that_shows_nothing_either() {
        let mut known = known(&[]);
        known.refused = attributes(&[("mail", Some("Ann@x.org"))]);
        let again = diff(&attributes(&[("mail", Some("Ann@x.org"))]), &known);
        assert_eq!((again.unseen.len(), again.not_accepted.len()), (0, 1));
    }

    #[test]
    fn a13_the_unicode_form_that_a_target_stores_makes_no_difference() {
        let shown = canonical(&attributes(&[("name", Some(" Zoe\u{308} "))]));
        assert!(shown == attributes(&[("name", Some("Zo\u{eb}"))]));
    }

    #[test]
    fn unset_and_empty_mean_the_same() {
        assert!(same(None, Some(&Value::text(""))));
        assert!(same(Some(&Value::set::<&str>([])), None));
        assert!(!same(Some(&Value::Flag(false)), None));
    }

    fn any_attributes() -> impl Strategy<Value = Attributes> {
        let value = prop_oneof![
            Just(None),
            "[a-c]{0,2}".prop_map(|text| Some(Value::from(text))),
            any::<bool>().prop_map(|flag| Some(Value::Flag(flag))),
            prop::collection::btree_set("[a-c]", 0..3).prop_map(|set| Some(Value::set(set))),
        ];
        prop::collection::btree_map("[p-t]".prop_map(|path| AttrPath::new(&path)), value, 0..5)
    }

    proptest! {
        #[test]
        fn p04_an_account_never_differs_from_itself(account in any_attributes()) {
            let mut known = known(&[]);
            known.attributes.clone_from(&account);
            prop_assert_eq!(diff(&account, &known), Diff::default());
        }

        #[test]
        fn p04_applying_the_edits_to_the_known_account_gives_the_wanted_one(
            before in any_attributes(), after in any_attributes()
        ) {
            let mut known = known(&[]);
            known.attributes.clone_from(&before);
            let Diff { edits, unseen, .. } = diff(&after, &known);
            for edit in edits.into_iter().chain(unseen) {
                known.attributes.insert(edit.path, edit.after);
            }
            let settled = diff(&after, &known);
            prop_assert_eq!(settled, Diff::default());
        }
    }
}
