//! The mapping: how a record of the source becomes the account that one tenant wants.
//!
//! [`MappingSettings`] are as written; [`Mapping::compile`] checks all of them against what the
//! target offers and keeps a form that needs no further checks. Mapping a record gives one of
//! three: it is not this tenant's, it is an account, or it is held. Whoever is held is neither
//! changed nor a leaver.
//!
//! A text passes these stages, in this order: trim and NFC, split, case, look-up, the rule of the
//! attribute's [`Kind`](crate::model::Kind). Nothing left after trimming, splitting or looking up
//! means *empty*, and `on_empty` decides.

mod compile;
mod constant;
mod digest;
mod names;
mod rule;
mod settings;
mod tables;
mod template;
mod trouble;

pub use settings::{
    Case, LookupSettings, MappingSettings, OnEmpty, OnMissing, RemoteIdSettings, RuleSettings,
};
pub use trouble::{
    BAD_REMOTE_ID, BAD_VALUE, EMPTY_VALUE, NO_REMOTE_ID, NOT_IN_LOOKUP, SCOPE_UNDECIDED,
    TEMPLATE_FAILED, UNBELIEVED_COLUMN,
};

use crate::model::{
    AttrPath, Attributes, Capabilities, Finding, Fingerprint, Held, Known, OnDrift, Problem,
    Record, RemoteId, UNKNOWN_CELL, UserKey, Wanted,
};
use rule::{Rule, Wish};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};
use template::{Scope, Templates};
use trouble::Trouble;

/// The compiled mapping of one tenant.
pub struct Mapping {
    /// Sorted by path, each path once.
    rules: Vec<Rule>,
    templates: Templates,
    scope: Option<Scope>,
    remote_id: IdSource,
    /// Ways to look for whoever has no id, the best first.
    link: Vec<AttrPath>,
    /// Whoever has no id is to be given an account.
    creates: bool,
    required: BTreeSet<String>,
    optional: BTreeSet<String>,
    digest: Fingerprint,
}

/// Where the user's id at the target is found.
enum IdSource {
    Column(String),
    /// Remote id by user key.
    Table(BTreeMap<String, String>),
    /// Everybody is looked for.
    Nowhere,
}

/// What a record means to one tenant.
#[derive(Clone, Debug)]
pub enum Mapped {
    /// The tenant's scope does not take this user.
    OutOfScope,
    Wanted(Wanted),
    /// Nothing of the user is sent; all reasons, at least one, each as a hold and as a finding.
    Held {
        held: Vec<Held>,
        findings: Vec<Finding>,
    },
}

impl Mapping {
    /// # Errors
    /// Every problem of the settings, with keys relative to the tenant: `map.title.on_empty`.
    pub fn compile(
        settings: &MappingSettings,
        capabilities: &Capabilities,
    ) -> Result<Self, Vec<Problem>> {
        compile::compile(settings, capabilities)
    }

    /// The attributes that it maps, sorted.
    pub fn attributes(&self) -> impl Iterator<Item = &AttrPath> {
        self.rules.iter().map(|rule| &rule.path)
    }

    /// Whether a user without an id is one who is to be given an account.
    #[must_use]
    pub fn creating(self, creates: bool) -> Self {
        Self { creates, ..self }
    }

    /// Attributes by which users without an id are looked for, the best first.
    #[must_use]
    pub fn link(&self) -> &[AttrPath] {
        &self.link
    }

    /// Attributes of which an empty cell says nothing, as far as the file has their columns: where it
    /// has not, nothing is said of anybody.
    pub fn silent_when_empty(&self, has: &dyn Fn(&str) -> bool) -> BTreeSet<AttrPath> {
        let silent = |rule: &&Rule| {
            let columns = rule.columns();
            rule.on_empty == OnEmpty::Keep
                && !columns.is_empty()
                && columns.iter().all(|column| has(column))
        };
        self.rules.iter().filter(silent).map(|rule| rule.path.clone()).collect()
    }

    /// What others set there at the target stays.
    #[must_use]
    pub fn stays(&self, path: &AttrPath) -> bool {
        self.on_drift(path) != OnDrift::Overwrite
    }

    /// What becomes of the attribute when somebody else changes it.
    #[must_use]
    pub fn on_drift(&self, path: &AttrPath) -> OnDrift {
        let rule = self.rules.binary_search_by(|rule| rule.path.cmp(path));
        rule.map_or(OnDrift::Overwrite, |at| self.rules[at].on_drift)
    }

    /// Has its say on what others changed.
    pub fn judge_drift<'a>(&self, known: impl IntoIterator<Item = &'a mut Known>) {
        for (path, drifted) in known.into_iter().flat_map(|known| &mut known.drifted) {
            drifted.policy = self.on_drift(path);
        }
    }

    /// Columns whose cells are other users' keys, since a rule refers to them.
    pub fn reference_columns(&self) -> impl Iterator<Item = &String> {
        self.rules.iter().filter(|rule| rule.reference).flat_map(Rule::columns)
    }

    /// Of a source that takes capitals in keys for small letters.
    pub fn fold_keys(&mut self) {
        for rule in self.rules.iter_mut().filter(|rule| rule.reference) {
            rule.case = Some(Case::Lower);
        }
    }

    /// Gives references the ids that are known by now.
    pub fn refer(&self, wanted: &mut Wanted, ids: &BTreeMap<UserKey, RemoteId>) {
        for (path, key) in &wanted.references {
            let rule = self.rules.iter().find(|rule| rule.path == *path);
            let value = rule.zip(ids.get(key)).and_then(|(rule, id)| rule.value_of(id));
            match value {
                Some(value) => wanted.attributes.insert(path.clone(), Some(value)),
                None => wanted.attributes.remove(path),
            };
        }
    }

    /// Columns that the source must have, those of templates, scope and remote id included.
    pub fn required_columns(&self) -> BTreeSet<String> {
        self.required.clone()
    }

    /// Columns that may be missing from the source; none of them is required elsewhere.
    pub fn optional_columns(&self) -> BTreeSet<String> {
        self.optional.clone()
    }

    /// Of everything but the record that can change a result.
    pub fn digest(&self) -> Fingerprint {
        self.digest
    }

    /// `check_id`: the target's own rule for a user id; its message must not repeat the id.
    pub fn map(
        &self,
        record: &Record,
        check_id: &dyn Fn(&RemoteId) -> Result<(), String>,
    ) -> Mapped {
        match self.is_in_scope(record) {
            Ok(true) => {}
            Ok(false) => return Mapped::OutOfScope,
            Err(trouble) => return held(record, vec![trouble]),
        }
        let mut troubles = Vec::new();
        let remote_id = self.remote_id(record, check_id).map_err(|t| troubles.push(t)).ok();
        let Wishes { attributes, withheld, references } = self.wishes(record, &mut troubles);
        match remote_id {
            Some(remote_id) if troubles.is_empty() => Mapped::Wanted(Wanted {
                key: record.key.clone(),
                remote_id,
                attributes,
                withheld,
                references,
                line: record.line,
                fingerprint: record.fingerprint,
            }),
            _ => held(record, troubles),
        }
    }

    fn is_in_scope(&self, record: &Record) -> Result<bool, Trouble> {
        let Some(scope) = &self.scope else { return Ok(true) };
        if let Some(column) = scope.columns().find(|name| is_unbelieved(record, name)) {
            return Err(Trouble::unbelieved_column(column, "the scope"));
        }
        scope.takes(record).map_err(Trouble::scope_undecided)
    }

    fn remote_id(
        &self,
        record: &Record,
        check_id: &dyn Fn(&RemoteId) -> Result<(), String>,
    ) -> Result<Option<RemoteId>, Trouble> {
        let (text, column) = match &self.remote_id {
            IdSource::Column(column) if is_unbelieved(record, column) => {
                return Err(Trouble::unbelieved_column(column, "the remote id"));
            }
            IdSource::Column(column) => (record.fields.get(column), Some(column)),
            IdSource::Table(table) => (table.get(record.key.as_str()).map(String::as_str), None),
            IdSource::Nowhere => (None, None),
        };
        let column = column.map(String::as_str);
        let text = super::value_rules::normalise(text.unwrap_or_default());
        if text.is_empty() && (self.creates || !self.link.is_empty()) {
            return Ok(None);
        }
        if text.is_empty() {
            return Err(Trouble::no_remote_id(column));
        }
        let id = RemoteId::parse(&text)
            .map_err(|problem| Trouble::bad_remote_id(column, &problem.to_string()))?;
        check_id(&id).map_err(|problem| Trouble::bad_remote_id(column, &problem))?;
        Ok(Some(id))
    }

    fn wishes(&self, record: &Record, troubles: &mut Vec<Trouble>) -> Wishes {
        let mut wishes = Wishes::default();
        let texts = self.templates.of(record);
        for rule in &self.rules {
            match rule.wish(record, &texts) {
                Ok(Wish::Value(value)) => {
                    wishes.attributes.insert(rule.path.clone(), value);
                }
                Ok(Wish::Reference(key)) => {
                    wishes.references.insert(rule.path.clone(), key);
                }
                Ok(Wish::Untouched) => {}
                Ok(Wish::Withheld) => wishes.withheld.push(rule.path.clone()),
                Err(problem) => troubles.push(Trouble::bad_value(rule, &problem)),
            }
        }
        wishes
    }
}

/// What the rules say of one record.
#[derive(Default)]
struct Wishes {
    attributes: Attributes,
    withheld: Vec<AttrPath>,
    references: BTreeMap<AttrPath, UserKey>,
}

fn held(record: &Record, troubles: Vec<Trouble>) -> Mapped {
    let (held, findings) = troubles.into_iter().map(|trouble| trouble.told(record)).unzip();
    Mapped::Held { held, findings }
}

/// The cell cannot be believed, or is not there though the source promised it.
fn is_unbelieved(record: &Record, column: &str) -> bool {
    let cell = record.fields.get(column);
    record.unusable.contains(column) || cell.is_none_or(|cell| cell == UNKNOWN_CELL)
}

/// Remote ids and look-up tables are personal, so only the size is shown.
impl fmt::Debug for Mapping {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Mapping({} attributes)", self.rules.len())
    }
}
