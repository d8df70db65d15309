//! The attributes of RFC 7643: the core User (§4.1) and the enterprise extension (§4.3).

use super::{
    path::Path,
    profile::{Deactivation, Profile},
};
use crate::model::{AttrPath, Attribute, Kind, Weight};
use std::collections::BTreeMap;

pub(super) const ENTERPRISE: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";

/// How an attribute's value stands in a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    Single,
    /// A list of objects of which `value` counts.
    Values,
    /// A list of texts or numbers.
    Plain,
}

/// One attribute: where it stands, and what may be there.
#[derive(Clone, Debug)]
pub(super) struct Slot {
    pub(super) path: Path,
    pub(super) shape: Shape,
    pub(super) attribute: Attribute,
}

pub(super) type Slots = BTreeMap<AttrPath, Slot>;

/// Never to be set by a roster: read-only, or a secret.
pub(super) const NEVER: [&str; 5] = ["id", "meta", "schemas", "password", "groups"];

/// The attributes that this server has, of those that the RFC knows and of the tenant's own. `active`
/// is always among them: whole accounts are switched by it.
pub(super) fn slots(profile: &Profile, custom: Vec<Slot>) -> Slots {
    let all = single().chain(typed()).chain(sets()).chain(custom);
    let offered = all.filter(|slot| offers(profile, slot) || slot.attribute.disables);
    offered.map(|slot| (AttrPath::new(&slot.path.to_string()), finished(profile, slot))).collect()
}

/// What the profile leaves of the catalogue to be set by a rule.
pub(super) fn offers(profile: &Profile, slot: &Slot) -> bool {
    let path = slot.path.to_string();
    let is_list = slot.shape != Shape::Single || slot.path.filter.is_some();
    let named = |list: &[String]| list.contains(&path);
    (profile.attributes.is_empty() || named(&profile.attributes))
        && !named(&profile.immutable)
        && (profile.lists || !is_list)
        // What only knows `add` would append to a list.
        && (profile.replace || !is_list)
        && (profile.deactivation == Deactivation::Suspends || path != "active")
}

/// RFC 7643 §4.1.1: `userName` is required, so neither it nor a flag that lets people in is unset.
fn finished(profile: &Profile, slot: Slot) -> Slot {
    let is_needed = slot.attribute.weight == Weight::Privilege && slot.shape == Shape::Single;
    let is_name = slot.path.attribute == "userName";
    let clearable = profile.can_unset() && !is_needed && !is_name;
    Slot { attribute: Attribute { clearable, ..slot.attribute }, ..slot }
}

fn slot(path: Path, attribute: Attribute) -> Slot {
    Slot { path, shape: Shape::Single, attribute }
}

/// The names here are the RFC's own, so that none of them is refused.
fn path(text: &str) -> Option<Path> {
    Path::parse(text).ok()
}

fn single() -> impl Iterator<Item = Slot> {
    let text = || Attribute::of(Kind::Text);
    let key_like = || text().weight(Weight::KeyLike);
    let active = Attribute::of(Kind::Flag).weight(Weight::Privilege).disables();
    let core = [
        ("userName", key_like()),
        ("externalId", key_like()),
        ("active", active),
        ("name.formatted", text()),
        ("name.givenName", text()),
        ("name.middleName", text()),
        ("name.familyName", text()),
        ("name.honorificPrefix", text()),
        ("name.honorificSuffix", text()),
        ("displayName", text()),
        ("nickName", text()),
        ("profileUrl", Attribute::of(Kind::Link)),
        ("title", text()),
        ("userType", text()),
        ("preferredLanguage", text()),
        ("locale", text()),
        ("timezone", Attribute::of(Kind::TimeZone)),
    ];
    let enterprise =
        ["employeeNumber", "costCenter", "organization", "division", "department", "manager.value"];
    let enterprise = enterprise.map(|name| (format!("{ENTERPRISE}:{name}"), text()));
    let core = core.map(|(name, attribute)| (name.to_owned(), attribute));
    let all = core.into_iter().chain(enterprise);
    all.filter_map(|(name, attribute)| Some(slot(path(&name)?, attribute)))
}

/// Values of lists, by their type: §4.1.2 names the types.
fn typed() -> impl Iterator<Item = Slot> {
    let address = [
        ("formatted", Kind::Text),
        ("streetAddress", Kind::Text),
        ("locality", Kind::Text),
        ("region", Kind::Text),
        ("postalCode", Kind::Text),
        ("country", Kind::Country),
    ];
    let mut all = Vec::new();
    for kind in ["work", "home", "other"] {
        all.push(("emails", kind, "value", Attribute::of(Kind::Email).weight(Weight::KeyLike)));
        for (member, of) in &address {
            all.push(("addresses", kind, member, Attribute::of(of.clone())));
        }
    }
    for kind in ["work", "home", "mobile", "fax", "pager", "other"] {
        all.push(("phoneNumbers", kind, "value", Attribute::of(Kind::Phone)));
    }
    all.into_iter().filter_map(|(list, kind, member, attribute)| {
        Some(slot(path(&format!(r#"{list}[type eq "{kind}"].{member}"#))?, attribute))
    })
}

fn sets() -> impl Iterator<Item = Slot> {
    ["roles", "entitlements"].into_iter().filter_map(|name| {
        let attribute = Attribute::of(Kind::SetOf(Box::new(Kind::Text))).weight(Weight::Privilege);
        Some(Slot { path: path(name)?, shape: Shape::Values, attribute })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_attribute_of_the_rfc_is_lost_on_the_way_into_the_catalogue() {
        let slots = slots(&Profile::default(), Vec::new());
        assert_eq!(slots.len(), 17 + 6 + 3 * (1 + 6) + 6 + 2);
        for name in ["userName", "active"] {
            assert!(!slots[&AttrPath::new(name)].attribute.clearable);
        }
        assert!(slots[&AttrPath::new("roles")].attribute.clearable);
    }
}
