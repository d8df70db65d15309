//! The mapping as written in the configuration, below `[tenants.NAME]`.

use crate::model::OnDrift;
use serde::Deserialize;
use std::{collections::BTreeMap, fmt, path::PathBuf};

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct MappingSettings {
    /// Rules by the attribute's path in the target's spelling.
    pub map: BTreeMap<String, RuleSettings>,
    /// Jinja expression over the columns that says whether the tenant takes a user:
    /// `status != 'terminated' and country in ['DE', 'FR']`. Absent: everybody.
    pub scope: Option<String>,
    pub remote_id: RemoteIdSettings,
}

/// `[map.ATTRIBUTE]`: exactly one of `column`, `constant` and `template`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct RuleSettings {
    pub column: Option<String>,
    /// A text, a boolean, a number, or a list of these for a set.
    pub constant: Option<serde_json::Value>,
    /// Jinja text over the columns: `{{ given_name }} {{ row["Family name"] }}`.
    pub template: Option<String>,
    /// What separates the members of a set within one cell; absent: the cell is the one member.
    pub split: Option<String>,
    /// The cell is another user's key, and the value that user's id at the target.
    pub reference: bool,
    pub lookup: Option<LookupSettings>,
    pub on_empty: OnEmpty,
    /// The columns may be missing from the source, and then the attribute is left as it is.
    pub optional: bool,
    /// Applied before the look-up.
    pub case: Option<Case>,
    /// `strptime` form of the source's dates: `%d.%m.%Y`.
    pub date_format: Option<String>,
    pub true_values: Vec<String>,
    pub false_values: Vec<String>,
    /// What becomes of the attribute when somebody else changes it at the target.
    pub on_drift: OnDrift,
    /// ISO 3166 country whose national phone forms are read.
    pub phone_region: Option<String>,
}

/// What an empty cell means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnEmpty {
    /// The source says nothing: the attribute is left as it is.
    #[default]
    Keep,
    /// The attribute is to be unset; a set is to be empty.
    Clear,
    /// The user is held.
    Error,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Case {
    Lower,
    Upper,
}

/// A table from the source's words to the target's. `file` is a CSV of which the columns `key` and
/// `value` are read into `table` before the mapping is compiled.
#[derive(Clone, Default, Deserialize)]
#[serde(default)]
pub struct LookupSettings {
    pub file: Option<PathBuf>,
    pub key: Option<String>,
    pub value: Option<String>,
    pub table: BTreeMap<String, String>,
    pub on_missing: OnMissing,
}

/// What a word that is not in the table means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnMissing {
    /// The user is held.
    #[default]
    Error,
    /// The attribute is left as it is.
    Keep,
}

/// Where the users' ids at the target are: at most one of `column` and `file`, and without either
/// `link`: attributes by which whoever has no id is looked for, the best first. `file` is a CSV of
/// which the columns `key` (the user's key in the source) and `value` are read into `table` before
/// the mapping is compiled.
#[derive(Clone, Default, Deserialize)]
#[serde(default)]
pub struct RemoteIdSettings {
    pub column: Option<String>,
    pub file: Option<PathBuf>,
    pub key: Option<String>,
    pub value: Option<String>,
    pub table: BTreeMap<String, String>,
    pub link: Vec<String>,
}

/// What the table holds may be personal, so only its size is shown.
impl fmt::Debug for LookupSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, key, value, table, on_missing } = self;
        f.debug_struct("LookupSettings")
            .field("file", file)
            .field("key", key)
            .field("value", value)
            .field("entries", &table.len())
            .field("on_missing", on_missing)
            .finish()
    }
}

/// See [`LookupSettings`].
impl fmt::Debug for RemoteIdSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { column, file, key, value, table, link } = self;
        f.debug_struct("RemoteIdSettings")
            .field("link", link)
            .field("column", column)
            .field("file", file)
            .field("key", key)
            .field("value", value)
            .field("entries", &table.len())
            .finish()
    }
}
