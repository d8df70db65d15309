//! The document as a whole: its tables, one by one.

use super::{
    Config, LeaverRule, Schedule, SourceConfig, Surroundings,
    fields::{self, table},
    guards,
    state::StateTable,
    tenant::{self, Workplace},
};
use crate::{
    engine::value_rules::normalise,
    model::{Problem, SourceId, TenantId},
    source::CsvSettings,
};
use config::{Map, Value};
use serde::{Deserialize, de::DeserializeOwned};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    sync::Arc,
};

#[derive(Default, Deserialize)]
#[serde(default)]
struct LeaverTable {
    column: String,
    values: Vec<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct ScheduleTable {
    cron: String,
    zone: Option<String>,
}

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
    let mut sources = sources(&mut root, folder, &mut problems);
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
    folder: &Path,
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
        let source = source(value, &at, folder, problems);
        if let Ok(id) = id {
            sources.insert(id, source);
        }
    }
    (sources, names)
}

fn source(value: Value, at: &str, folder: &Path, problems: &mut Vec<Problem>) -> SourceConfig {
    let mut table = table(value, at, problems);
    let mut csv: CsvSettings = sub(&mut table, "csv", &format!("{at}.csv"), problems);
    let found = csv.check().into_iter().map(|problem| problem.under(&format!("{at}.csv")));
    fields::add_news(found.collect(), problems);
    if !csv.path.as_os_str().is_empty() {
        csv.path = folder.join(&csv.path);
    }
    let leavers = table.remove("leavers").and_then(|value| {
        let at = format!("{at}.leavers");
        let table = read_whole(value, &at, problems)?;
        leaver_rule(table, &at, problems)
    });
    let schedule = table.remove("schedule").and_then(|value| {
        let at = format!("{at}.schedule");
        schedule(&read_whole(value, &at, problems)?, &at, problems)
    });
    for key in table.keys() {
        let problem = fields::unknown_key(key, &["csv", "leavers", "schedule"]);
        problems.push(problem.under(at));
    }
    SourceConfig { csv, leavers, schedule }
}

/// The table, where nothing is wrong with its keys: then what is missing is really missing.
fn read_whole<T: DeserializeOwned + Default>(
    value: Value,
    at: &str,
    problems: &mut Vec<Problem>,
) -> Option<T> {
    let before = problems.len();
    let table = fields::read(value, at, problems);
    (problems.len() == before).then_some(table)
}

fn leaver_rule(table: LeaverTable, at: &str, problems: &mut Vec<Problem>) -> Option<LeaverRule> {
    let LeaverTable { column, values } = table;
    if column.is_empty() || values.is_empty() {
        let why = "needs both `column` and `values`";
        problems.push(Problem::new(at, why));
        return None;
    }
    let values = values.iter().map(|value| normalise(value).into_owned()).collect();
    Some(LeaverRule { column, values })
}

fn schedule(table: &ScheduleTable, at: &str, problems: &mut Vec<Problem>) -> Option<Schedule> {
    let Some(zone) = &table.zone else {
        let hint = "name the zone that `cron` is in, such as \"Europe/Berlin\" or \"UTC\"";
        problems.push(Problem::new(format!("{at}.zone"), "is missing").hint(hint));
        return None;
    };
    let parsed = Schedule::parse(&table.cron, zone);
    parsed.map_err(|(key, why)| problems.push(Problem::new(format!("{at}.{key}"), why))).ok()
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
