//! A plan that was saved to be approved.
//!
//! The file is only an assertion: what is sent is planned anew, and sent when its digest is the one
//! that the file names. The file's changes must have that digest too, so that what a person read in
//! it is what they approve.

use super::json::FORMAT_VERSION;
use crate::{
    cycle::TenantReport,
    engine::plan::digest,
    model::{
        Action, AttrPath, Edit, Forecast, Match, Operation, Plan, RemoteId, TenantId, UserKey,
        Value,
    },
};
use serde::{Deserialize, Deserializer};
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

/// What a saved plan asserts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SavedPlan {
    pub format_version: String,
    /// The source's name.
    pub source: String,
    /// The file that was read, for people.
    pub path: String,
    /// The tenants that could be planned.
    pub tenants: BTreeMap<TenantId, SavedTenant>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SavedTenant {
    /// See [`crate::engine::plan::digest`].
    pub digest: String,
    pub operations: u64,
}

impl SavedPlan {
    /// Reads the text of [`super::plan_json`].
    ///
    /// # Errors
    /// In words: why it is no plan, or not the one that it says it is. Shows no value.
    pub fn read(text: &str) -> Result<Self, String> {
        let head: Head = serde_json::from_str(text).map_err(|error| malformed(&error))?;
        check_version(&head.format_version)?;
        if head.kind != "plan" {
            return Err("it is a report of another kind; write one with `plan --out`".to_owned());
        }
        let body: Body = serde_json::from_str(text).map_err(|error| malformed(&error))?;
        let mut tenants = BTreeMap::new();
        let mut named = BTreeSet::new();
        for tenant in body.tenants {
            let id = TenantId::parse(&tenant.name)
                .map_err(|problem| format!("the name of a tenant {problem}"))?;
            if !named.insert(id.clone()) {
                return Err(format!("tenant `{id}` is in it twice"));
            }
            if let Some(saved) = tenant.check(&id)? {
                tenants.insert(id, saved);
            }
        }
        let Source { id: source, path } = body.source;
        Ok(Self { format_version: head.format_version, source, path, tenants })
    }

    /// The users that the plan of [`super::plan_json`] names.
    ///
    /// # Errors
    /// As with [`Self::read`].
    pub fn users(text: &str) -> Result<BTreeMap<TenantId, BTreeSet<UserKey>>, String> {
        let tenants = Self::read(text)?.tenants;
        let body: Body = serde_json::from_str(text).map_err(|error| malformed(&error))?;
        let named = body.tenants.into_iter().filter_map(|tenant| {
            let id = TenantId::parse(&tenant.name).ok().filter(|id| tenants.contains_key(id))?;
            let operations = tenant.changes.into_iter().chain(tenant.reads);
            Some((id, operations.map(|operation| operation.key).collect()))
        });
        Ok(named.collect())
    }

    /// Why the plans as they stand now are not the saved ones; `None` when they are.
    #[must_use]
    pub fn stale<'a>(&self, now: impl IntoIterator<Item = &'a TenantReport>) -> Option<String> {
        let now: BTreeMap<&TenantId, &TenantReport> =
            now.into_iter().map(|report| (&report.tenant, report)).collect();
        for (id, saved) in &self.tenants {
            let Some(report) = now.get(id) else {
                return Some(format!("tenant `{id}` is in the saved plan and not in this run"));
            };
            if report.plan.is_none() {
                return Some(format!("tenant `{id}` cannot be planned any more"));
            }
            if report.digest != saved.digest {
                return Some(format!("tenant `{id}` would be sent something else by now"));
            }
        }
        let unsaved = now.values().find(|report| {
            let sends = report.plan.as_ref().is_some_and(|plan| !plan.operations.is_empty());
            sends && !self.tenants.contains_key(&report.tenant)
        });
        unsaved.map(|report| format!("the saved plan has nothing of tenant `{}`", report.tenant))
    }
}

/// The parser's own words could show a value.
fn malformed(error: &serde_json::Error) -> String {
    let (line, column) = (error.line(), error.column());
    match error.classify() {
        serde_json::error::Category::Eof => "it is cut short; write it anew".to_owned(),
        serde_json::error::Category::Syntax | serde_json::error::Category::Io => {
            format!("it is not JSON at line {line}, column {column}; write it anew")
        }
        serde_json::error::Category::Data => {
            format!("it has not the shape of a plan at line {line}, column {column}")
        }
    }
}

fn check_version(version: &str) -> Result<(), String> {
    let major = |version: &str| -> Option<u64> {
        let (major, minor) = version.split_once('.')?;
        minor.parse::<u64>().ok().and(major.parse().ok())
    };
    let ours = major(FORMAT_VERSION);
    match major(version) {
        None => Err("its `format_version` is not of the form `1.0`".to_owned()),
        theirs if theirs == ours => Ok(()),
        Some(theirs) => Err(format!(
            "it has major format version {theirs}, and this program reads {FORMAT_VERSION}; write \
             the plan with this program"
        )),
    }
}

#[derive(Deserialize)]
struct Head {
    format_version: String,
    kind: String,
}

#[derive(Deserialize)]
struct Body {
    source: Source,
    tenants: Vec<Tenant>,
}

#[derive(Deserialize)]
struct Source {
    id: String,
    path: String,
}

#[derive(Deserialize)]
struct Tenant {
    #[serde(rename = "tenant")]
    name: String,
    planned: bool,
    digest: Option<String>,
    operations: Option<u64>,
    #[serde(default)]
    changes: Vec<SavedOperation>,
    #[serde(default)]
    reads: Vec<SavedOperation>,
}

#[derive(Deserialize)]
struct SavedOperation {
    key: UserKey,
    #[serde(default)]
    remote_id: Option<RemoteId>,
    action: SavedAction,
    #[serde(default)]
    by: Vec<SavedMatch>,
    #[serde(default)]
    edits: Vec<SavedEdit>,
    #[serde(default)]
    companions: BTreeMap<AttrPath, Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum SavedAction {
    Read,
    Find,
    Create,
    Patch,
    Disable,
    Enable,
    Delete,
}

#[derive(Deserialize)]
struct SavedMatch {
    attribute: AttrPath,
    value: Value,
}

#[derive(Deserialize)]
struct SavedEdit {
    attribute: AttrPath,
    #[serde(default, deserialize_with = "present")]
    #[expect(clippy::option_option, reason = "unknown, unset, and a value")]
    before: Option<Option<Value>>,
    after: Option<Value>,
}

/// Keeps a null apart from a field that is not there.
#[expect(clippy::option_option, reason = "unknown, unset, and a value")]
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<Value>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

impl Tenant {
    /// `None`: the tenant was not planned. Its changes must have the digest that stands there.
    fn check(self, id: &TenantId) -> Result<Option<SavedTenant>, String> {
        let Self { name: _, planned, digest: asserted, operations, changes, reads } = self;
        let found = changes.into_iter().chain(reads).map(SavedOperation::operation);
        let found: Option<Vec<Operation>> = found.collect();
        let mut found =
            found.ok_or_else(|| format!("tenant `{id}` has a change that says nothing"))?;
        found.sort_by(|a, b| a.key.cmp(&b.key));
        let (Some(asserted), Some(operations), true) = (asserted, operations, planned) else {
            if planned || !found.is_empty() {
                return Err(format!("tenant `{id}` has changes and no digest or count of them"));
            }
            return Ok(None);
        };
        let altered = || format!("the changes of tenant `{id}` are not those of its digest");
        if operations != found.len() as u64 || asserted != digest(&plan_of(id, found)) {
            return Err(format!("{}; the file was altered, write it anew", altered()));
        }
        Ok(Some(SavedTenant { digest: asserted, operations }))
    }
}

impl SavedOperation {
    /// `None`: it does not say all that such an action has.
    fn operation(self) -> Option<Operation> {
        let Self { key, remote_id, action, by, edits, companions } = self;
        let mut edits: Vec<Edit> = edits.into_iter().map(Edit::from).collect();
        let mut by: Vec<Match> = by.into_iter().map(Match::from).collect();
        let action = match action {
            SavedAction::Read => Action::Read,
            SavedAction::Find => Action::Find { by: by.pop()? },
            SavedAction::Create => Action::Create { edits, by },
            SavedAction::Patch => Action::Patch { edits, companions },
            SavedAction::Disable => Action::Disable { edit: edits.pop()? },
            SavedAction::Enable => Action::Enable { edit: edits.pop()? },
            SavedAction::Delete => Action::Delete,
        };
        Some(Operation { key, remote_id, action })
    }
}

impl From<SavedMatch> for Match {
    fn from(saved: SavedMatch) -> Self {
        let SavedMatch { attribute: path, value } = saved;
        Self { path, value }
    }
}

impl From<SavedEdit> for Edit {
    fn from(saved: SavedEdit) -> Self {
        let SavedEdit { attribute: path, before, after } = saved;
        Self { path, before, after }
    }
}

/// As much of a plan as its digest depends on.
fn plan_of(id: &TenantId, operations: Vec<Operation>) -> Plan {
    Plan {
        tenant: id.clone(),
        users: 0,
        unchanged: 0,
        operations,
        held: Vec::new(),
        leavers: Vec::new(),
        guards: Vec::new(),
        forecast: Forecast { requests: 0, duration: Duration::ZERO },
    }
}
