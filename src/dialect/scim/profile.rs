//! What SCIM servers differ in, as switches. A preset sets those of a server that is known; what the
//! configuration says comes after it.

use super::presets;
use crate::{dialect::grammar::Table, model::Problem};
use serde_json::Value as Json;

/// One server's ways. The default is a server that keeps to RFC 7644.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each says one thing of a server")]
pub(super) struct Profile {
    pub(super) method: Writes,
    /// `emails[type eq "work"].value` may be a path. Without it a list is read, changed, and sent as a
    /// whole.
    pub(super) value_paths: bool,
    /// Operations name a path each. Without it there is one operation, whose value is an object with
    /// all that changes (RFC 7644 §3.5.2.3 allows both).
    pub(super) paths: bool,
    /// Flags are sent as JSON; without it as the texts `True` and `False`, like Entra ID does.
    pub(super) json_booleans: bool,
    /// `Replace` in place of `replace`, like Entra ID.
    pub(super) capital_ops: bool,
    /// No attribute may be named by two operations of one request, so `name.givenName` and
    /// `name.familyName` travel as one object.
    pub(super) one_operation_per_attribute: bool,
    /// Of what is sent and of what is asked for.
    pub(super) media_type: MediaType,
    /// What the user does not have yet is added; without it replaced, which RFC 7644 §3.5.2.3 lets
    /// count as the same.
    pub(super) add_absent: bool,
    /// `replace` is understood. Without it `add` is sent for single values, and lists are not offered.
    pub(super) replace: bool,
    /// `remove` is understood, so that attributes can be unset.
    pub(super) remove: bool,
    /// A change names the version that it is based on (`If-Match`), where the server shows a strong
    /// one: a read goes before each.
    pub(super) etag: bool,
    /// The server keeps attributes with several values.
    pub(super) lists: bool,
    pub(super) deactivation: Deactivation,
    /// The only attributes that can be set; empty: all of the catalogue.
    pub(super) attributes: Vec<String>,
    /// Attributes that cannot be set once the user is there.
    pub(super) immutable: Vec<String>,
    /// Attributes that a filter may ask for by `eq`, in the order of trying.
    pub(super) filters: Vec<String>,
    /// How the list of all users goes on.
    pub(super) paging: Paging,
    /// Users asked for at a time.
    pub(super) page_size: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Paging {
    /// By the number of the first user (RFC 7644 §3.4.2.4).
    Index,
    /// By a word that the page before shows (RFC 9865).
    Cursor,
}

/// How a change is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Writes {
    Patch,
    /// The whole resource, as a read has just shown it, with the changes in it.
    Put,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum MediaType {
    Scim,
    Json,
}

impl MediaType {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Scim => "application/scim+json",
            Self::Json => "application/json",
        }
    }
}

/// What `active: false` does to an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Deactivation {
    /// It can be undone by `active: true`.
    Suspends,
    /// The account is gone, or its data is; `active` is no attribute to be mapped then.
    Destroys,
}

impl Default for Profile {
    fn default() -> Self {
        Self {
            method: Writes::Patch,
            value_paths: true,
            paths: true,
            json_booleans: true,
            capital_ops: false,
            one_operation_per_attribute: false,
            media_type: MediaType::Scim,
            add_absent: true,
            replace: true,
            remove: true,
            etag: false,
            lists: true,
            deactivation: Deactivation::Suspends,
            attributes: Vec::new(),
            immutable: Vec::new(),
            filters: ["externalId", "userName"].map(str::to_owned).into(),
            paging: Paging::Index,
            page_size: 100,
        }
    }
}

/// The keys of `[tenants.x.scim]` that are switches.
pub(super) const SWITCHES: [&str; 18] = [
    "method",
    "value_paths",
    "paths",
    "booleans",
    "capital_ops",
    "one_operation_per_attribute",
    "media_type",
    "add_absent",
    "replace",
    "remove",
    "etag",
    "lists",
    "deactivation",
    "attributes",
    "immutable",
    "filters",
    "paging",
    "page_size",
];

impl Profile {
    /// The same for a resource that goes whole: there flags are JSON everywhere.
    pub(super) fn of_resources(&self) -> Self {
        Self { json_booleans: true, ..self.clone() }
    }

    pub(super) fn can_unset(&self) -> bool {
        self.remove || self.method == Writes::Put
    }

    /// The preset, with what the table says otherwise.
    pub(super) fn read(table: &mut Table<'_>) -> Option<Self> {
        let base = presets::chosen(table)?;
        let method = choice(table, "method", base.method, &WRITES)?;
        let booleans = choice(table, "booleans", base.json_booleans, &BOOLEANS)?;
        let media_type = choice(table, "media_type", base.media_type, &MEDIA_TYPES)?;
        let deactivation = choice(table, "deactivation", base.deactivation, &DEACTIVATIONS)?;
        let profile = Self {
            method,
            value_paths: flag(table, "value_paths", base.value_paths)?,
            paths: flag(table, "paths", base.paths)?,
            json_booleans: booleans,
            capital_ops: flag(table, "capital_ops", base.capital_ops)?,
            one_operation_per_attribute: flag(
                table,
                "one_operation_per_attribute",
                base.one_operation_per_attribute,
            )?,
            media_type,
            add_absent: flag(table, "add_absent", base.add_absent)?,
            replace: flag(table, "replace", base.replace)?,
            remove: flag(table, "remove", base.remove)?,
            etag: flag(table, "etag", base.etag)?,
            lists: flag(table, "lists", base.lists)?,
            deactivation,
            attributes: texts(table, "attributes", base.attributes)?,
            immutable: texts(table, "immutable", base.immutable)?,
            filters: filters(table, base.filters)?,
            paging: choice(table, "paging", base.paging, &PAGINGS)?,
            page_size: page_size(table, base.page_size)?,
        };
        Some(profile)
    }
}

const WRITES: [(&str, Writes); 2] = [("patch", Writes::Patch), ("put", Writes::Put)];
const BOOLEANS: [(&str, bool); 2] = [("json", true), ("text", false)];
const MEDIA_TYPES: [(&str, MediaType); 2] =
    [("application/scim+json", MediaType::Scim), ("application/json", MediaType::Json)];
const PAGINGS: [(&str, Paging); 2] = [("index", Paging::Index), ("cursor", Paging::Cursor)];
const DEACTIVATIONS: [(&str, Deactivation); 2] =
    [("suspends", Deactivation::Suspends), ("destroys", Deactivation::Destroys)];

fn flag(table: &mut Table<'_>, key: &str, default: bool) -> Option<bool> {
    if table.get(key).is_none() { Some(default) } else { table.flag(key) }
}

fn choice<T: Copy>(
    table: &mut Table<'_>,
    key: &str,
    default: T,
    of: &[(&'static str, T)],
) -> Option<T> {
    if table.get(key).is_none() {
        return Some(default);
    }
    let names: Vec<&'static str> = of.iter().map(|(name, _)| *name).collect();
    let chosen = table.choice(key, &names)?;
    of.iter().find(|(name, _)| *name == chosen).map(|(_, value)| *value)
}

fn texts(table: &mut Table<'_>, key: &str, default: Vec<String>) -> Option<Vec<String>> {
    let Some(value) = table.get(key) else { return Some(default) };
    let texts = value.as_array().and_then(|values| {
        values.iter().map(|value| value.as_str().map(str::to_owned)).collect::<Option<Vec<_>>>()
    });
    if texts.is_none() {
        table.report(Problem::new(key, "must be a list of texts"));
    }
    texts
}

/// What somebody can be looked for by: an answer has to name one user at most.
fn filters(table: &mut Table<'_>, default: Vec<String>) -> Option<Vec<String>> {
    let filters = texts(table, "filters", default)?;
    let known = |name: &String| ["externalId", "userName"].contains(&name.as_str());
    if filters.iter().all(known) {
        return Some(filters);
    }
    let message = "can hold `externalId` and `userName`";
    table.report(Problem::new("filters", message).hint("users are looked for by these two"));
    None
}

fn page_size(table: &mut Table<'_>, default: i64) -> Option<i64> {
    let size = table.integer("page_size", default)?;
    if (1..=10_000).contains(&size) {
        return Some(size);
    }
    table.report(Problem::new("page_size", "must be from 1 to 10000"));
    None
}

/// A switch as the configuration has it, where it is not as in the RFC; for `rosterd probe`.
pub(super) fn as_settings(profile: &Profile) -> Vec<(&'static str, Json)> {
    let name = |is: bool, (name, _): (&'static str, bool)| is.then_some(name);
    let rfc = Profile::default();
    let put = name(profile.method == Writes::Put, ("put", true));
    let text = name(!profile.json_booleans, ("text", true));
    let json = name(profile.media_type == MediaType::Json, ("application/json", true));
    let destroys = name(profile.deactivation == Deactivation::Destroys, ("destroys", true));
    let words =
        [("method", put), ("booleans", text), ("media_type", json), ("deactivation", destroys)];
    let flags = [
        ("value_paths", profile.value_paths, rfc.value_paths),
        ("paths", profile.paths, rfc.paths),
        ("capital_ops", profile.capital_ops, rfc.capital_ops),
        (
            "one_operation_per_attribute",
            profile.one_operation_per_attribute,
            rfc.one_operation_per_attribute,
        ),
        ("add_absent", profile.add_absent, rfc.add_absent),
        ("replace", profile.replace, rfc.replace),
        ("remove", profile.remove, rfc.remove),
        ("etag", profile.etag, rfc.etag),
        ("lists", profile.lists, rfc.lists),
    ];
    let page =
        (profile.page_size != rfc.page_size).then(|| ("page_size", profile.page_size.into()));
    let words = words.into_iter().filter_map(|(key, word)| Some((key, Json::from(word?))));
    let flags = flags.into_iter().filter(|(_, is, default)| is != default);
    words.chain(flags.map(|(key, is, _)| (key, Json::from(is)))).chain(page).collect()
}
