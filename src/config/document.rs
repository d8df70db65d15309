//! The document as a whole: its tables, one by one.

use super::{
    Config, SourceConfig, Surroundings,
    fields::{self, table},
    guards,
    source::source,
    state::StateTable,
    tenant::{self, Workplace},
};
use crate::model::{Problem, SourceId, TenantId};
use config::{Map, Value};
use serde::de::DeserializeOwned;
use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    sync::Arc,
};

/// Checks the whole document.
pub(super) fn check(
    document: Value,
    folder: &Path,
    surroundings: &Surroundings,
) -> Result<Config, Vec<Problem>> {
    let mut problems = Vec::new();
    let mut root = table(document, "", &mut problems);
    let state: StateTable = sub(&mut root, "state", "state", &mut problems);
    let rules = state.rules(folder, &mut problems);
    let mut sources = sources(&mut root, (folder, surroundings), &mut problems);
    let workplace = Workplace { folder, surroundings, sources: &sources.1 };
    let mut tenants = tenants(&mut root, &workplace, &mut problems);
    for tenant in tenants.values_mut() {
        let source = sources.0.get(&tenant.source);
        if source.is_some_and(|source| source.csv.fold_key_case) {
            tenant.protected = guards::folded(&tenant.protected);
            tenant.fold_keys();
        }
    }
    check_references(&mut sources.0, &tenants);
    for key in root.keys() {
        problems.push(fields::unknown_key(key, &["state", "sources", "tenants"]));
    }
    if !problems.is_empty() {
        problems.sort();
        return Err(problems);
    }
    let dir = state.dir.map(|dir| folder.join(dir));
    let state_dir = dir.or_else(|| surroundings.state_directory.clone());
    let state_dir = state_dir.unwrap_or_else(|| PathBuf::from("state"));
    let tenants = tenants.into_iter().map(|(id, tenant)| (id, Arc::new(tenant))).collect();
    Ok(Config { state_dir, state: rules, sources: sources.0, tenants })
}

/// What a rule refers by has to be somebody's key, as if the source's own table said so.
fn check_references(
    sources: &mut BTreeMap<SourceId, SourceConfig>,
    tenants: &BTreeMap<TenantId, tenant::TenantConfig>,
) {
    for tenant in tenants.values() {
        let Some(source) = sources.get_mut(&tenant.source) else { continue };
        for column in tenant.mapping.reference_columns() {
            if !source.csv.references.contains(column) {
                source.csv.references.push(column.clone());
            }
        }
    }
}

/// The sources that are right, and the names of all.
fn sources(
    root: &mut Map<String, Value>,
    place: (&Path, &Surroundings),
    problems: &mut Vec<Problem>,
) -> (BTreeMap<SourceId, SourceConfig>, BTreeSet<String>) {
    let tables = sub_tables(root, "sources", "sources", problems);
    if tables.is_empty() {
        let hint = "add a table `[sources.hr.csv]` with `path` and `key`";
        problems.push(Problem::new("sources", "has no source").hint(hint));
    }
    let names = tables.keys().cloned().collect();
    let mut sources = BTreeMap::new();
    for (name, value) in tables {
        let at = format!("sources.{name}");
        let id = SourceId::parse(&name)
            .map_err(|problem| problems.push(Problem::new(at.clone(), problem.to_string())));
        let source = source(value, &at, place, problems);
        if let Ok(id) = id {
            sources.insert(id, source);
        }
    }
    (sources, names)
}

fn tenants(
    root: &mut Map<String, Value>,
    workplace: &Workplace<'_>,
    problems: &mut Vec<Problem>,
) -> BTreeMap<TenantId, tenant::TenantConfig> {
    let tables = sub_tables(root, "tenants", "tenants", problems);
    if tables.is_empty() {
        let hint = "add a table `[tenants.NAME]` with a target API below it";
        problems.push(Problem::new("tenants", "has no tenant").hint(hint));
    }
    let mut tenants = BTreeMap::new();
    for (name, value) in tables {
        let at = format!("tenants.{name}");
        match TenantId::parse(&name) {
            Err(problem) => {
                let hint = "use lower-case letters, digits and `_`, a letter first";
                problems.push(Problem::new(at, problem.to_string()).hint(hint));
            }
            Ok(id) => {
                let tenant = tenant::check(id.clone(), value, &at, workplace, problems);
                tenants.extend(tenant.map(|tenant| (id, tenant)));
            }
        }
    }
    tenants
}

/// Takes a table of tables out of another.
pub(super) fn sub_tables(
    from: &mut Map<String, Value>,
    key: &str,
    at: &str,
    problems: &mut Vec<Problem>,
) -> BTreeMap<String, Value> {
    let value = from.remove(key);
    value.map(|value| table(value, at, problems)).unwrap_or_default().into_iter().collect()
}

/// Takes a table out of another and reads it; a missing one is as if it were empty.
pub(super) fn sub<T: DeserializeOwned + Default>(
    from: &mut Map<String, Value>,
    key: &str,
    at: &str,
    problems: &mut Vec<Problem>,
) -> T {
    from.remove(key).map(|value| fields::read(value, at, problems)).unwrap_or_default()
}
