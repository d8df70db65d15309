//! One tenant's tables.

use super::{
    Authorities, Secret, Surroundings,
    document::sub,
    fields, guards, life, login,
    lookups::load_tables,
    numbers::{concurrency, duration, rate},
};
use crate::{
    dialect::{self, Dialect, REGISTRY, Settings, login::Login},
    engine::{
        allowance::ResetUnit,
        guard::Limits,
        life::Rules,
        mapping::{Mapping, MappingSettings, RuleSettings},
    },
    model::{Capabilities, Fingerprint, Notice, Problem, Rate, Reach, SourceId, TenantId, UserKey},
};
use config::{Map, Value};
use jiff::civil::Date;
use serde::Deserialize;
use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

/// One tenant without a problem.
#[derive(Debug)]
pub struct TenantConfig {
    pub id: TenantId,
    pub source: SourceId,
    /// The dialect's name in the registry.
    pub api: &'static str,
    pub dialect: Arc<dyn Dialect>,
    /// Stands for the account at the API: its address, and the organization there.
    pub target: Fingerprint,
    /// The dialect's table as it was written, for a rehearsal.
    pub settings: serde_json::Map<String, serde_json::Value>,
    pub mapping: Mapping,
    pub quota: Rate,
    /// What its requests may reach besides the public internet.
    pub reach: Reach,
    /// Those it trusts besides the machine's.
    pub authorities: Authorities,
    /// Requests in flight at most, 1 to 64.
    pub concurrency: usize,
    /// The target offers a read of one user, and the tenant uses it.
    pub reads: bool,
    pub limits: Limits,
    /// What may be done with whole accounts.
    pub rules: Rules,
    /// Users whose account is never changed.
    pub protected: BTreeSet<UserKey>,
    /// Longest time that one request may take.
    pub request_timeout: Duration,
    /// What `X-RateLimit-Reset` counts at this target; `None`: those headers are not looked at.
    pub rate_limit_reset: Option<ResetUnit>,
    /// Longest time that one run of this tenant may take.
    pub run_deadline: Duration,
    /// Those that its requests carry, or those of the login.
    pub secrets: BTreeMap<String, Secret>,
    /// What gives it tokens; `None`: a person was given them.
    pub login: Option<Login>,
    /// Last day of a token that a person was given.
    pub token_expires: Option<Date>,
}

/// The tenant's own keys, without its tables.
#[derive(Deserialize)]
#[serde(default)]
struct Keys {
    source: Option<String>,
    quota: Option<String>,
    concurrency: u64,
    reads: bool,
    scope: Option<String>,
    allow: Vec<String>,
    absent_runs: u32,
    grace_days: u32,
    protected: Vec<String>,
    protected_file: Option<PathBuf>,
    request_timeout: String,
    rate_limit_reset: Option<ResetUnit>,
    run_deadline: String,
    allow_insecure_http: Option<String>,
    allow_private: bool,
    ca_file: Option<PathBuf>,
}

impl Default for Keys {
    fn default() -> Self {
        Self {
            source: None,
            quota: None,
            concurrency: 4,
            reads: true,
            scope: None,
            allow: vec!["update".to_owned()],
            absent_runs: 1,
            grace_days: 30,
            protected: Vec::new(),
            protected_file: None,
            request_timeout: "60s".to_owned(),
            rate_limit_reset: None,
            run_deadline: "6h".to_owned(),
            allow_insecure_http: None,
            allow_private: false,
            ca_file: None,
        }
    }
}

/// What a tenant is checked against.
pub(super) struct Workplace<'a> {
    pub(super) folder: &'a Path,
    pub(super) surroundings: &'a Surroundings,
    pub(super) sources: &'a BTreeSet<String>,
}

/// A quota that no small API minds, for a tenant that names none (conventions of SCIM servers
/// start at 5 in a second).
const QUOTA_DEFAULT: &str = "5/s";

pub(super) fn check(
    id: TenantId,
    value: Value,
    at: &str,
    workplace: &Workplace<'_>,
    problems: &mut Vec<Problem>,
) -> Option<TenantConfig> {
    let mut tables = fields::table(value, at, problems);
    let dialect_tables = take_dialects(&mut tables);
    let guards = sub(&mut tables, "guards", &format!("{at}.guards"), problems);
    let entrance = login::Tables::take(&mut tables);
    let remote_id = sub(&mut tables, "remote_id", &format!("{at}.remote_id"), problems);
    let map = rules(&mut tables, &format!("{at}.map"), problems);
    let keys = own_keys(tables, at, problems);
    let reach = reach(&keys, at, problems);
    let opened = open(dialect_tables, reach, at, problems);
    let settings = MappingSettings { map, scope: keys.scope.clone(), remote_id };
    let Workplace { folder, surroundings, sources } = workplace;
    let settings = load_tables(settings, folder, at, problems);
    let mapping = opened.as_ref().and_then(|opened| compile(&settings, opened, at, problems));
    let dialect = opened.as_ref().map(|opened| &*opened.dialect);
    let entrance = entrance.to(dialect, reach, (folder, surroundings), at, problems);
    let source = source(keys.source.as_deref(), sources, at, problems);
    let quota = rate(keys.quota.as_deref().unwrap_or(QUOTA_DEFAULT), at, problems);
    let limits = guards::limits(&guards, &format!("{at}.guards"), problems);
    let protected = protected(&keys, folder, at, problems);
    let authorities = Authorities::of(keys.ca_file.as_deref(), folder, at, problems);
    let concurrency = concurrency(keys.concurrency, at, problems);
    let rules = rules_of_life(&keys, opened.as_ref(), at, problems);
    let [request_timeout, run_deadline] = times(&keys, at, problems);
    let (opened, mapping, rules) = (opened?, mapping?, rules?);
    let login::Entrance { secrets, login, token_expires } = entrance?;
    Some(TenantConfig {
        reads: keys.reads && opened.dialect.capabilities().read,
        id,
        source: source?,
        api: opened.name,
        dialect: opened.dialect,
        target: target(opened.name, &opened.table),
        settings: opened.table,
        mapping: mapping.creating(rules.create),
        quota: quota?,
        reach,
        authorities: authorities?,
        concurrency: concurrency?,
        limits: limits?,
        rules,
        protected,
        request_timeout: request_timeout?,
        rate_limit_reset: keys.rate_limit_reset,
        run_deadline: run_deadline?,
        secrets,
        login,
        token_expires,
    })
}

fn compile(
    settings: &MappingSettings,
    opened: &Open,
    at: &str,
    problems: &mut Vec<Problem>,
) -> Option<Mapping> {
    keep(Mapping::compile(settings, opened.dialect.capabilities()), at, problems)
}

fn rules_of_life(
    keys: &Keys,
    opened: Option<&Open>,
    at: &str,
    problems: &mut Vec<Problem>,
) -> Option<Rules> {
    let Keys { allow, absent_runs, grace_days, .. } = keys;
    let offered = &opened?.dialect.capabilities().life;
    Some(life::rules(allow, *absent_runs, *grace_days, offered, at, problems))
}

fn protected(
    keys: &Keys,
    folder: &Path,
    at: &str,
    problems: &mut Vec<Problem>,
) -> BTreeSet<UserKey> {
    guards::protected(&keys.protected, keys.protected_file.as_ref(), folder, at, problems)
}

/// A dialect that was opened.
struct Open {
    name: &'static str,
    dialect: Arc<dyn Dialect>,
    table: serde_json::Map<String, serde_json::Value>,
}

/// The tables that bear a dialect's name.
fn take_dialects(tables: &mut Map<String, Value>) -> Vec<(&'static dialect::Entry, Value)> {
    let take = |entry: &'static dialect::Entry| Some((entry, tables.remove(entry.name)?));
    REGISTRY.iter().filter_map(take).collect()
}

fn open(
    mut found: Vec<(&'static dialect::Entry, Value)>,
    reach: Reach,
    at: &str,
    problems: &mut Vec<Problem>,
) -> Option<Open> {
    if found.len() != 1 {
        let known: Vec<String> =
            REGISTRY.iter().map(|entry| format!("`[{at}.{}]`", entry.name)).collect();
        let hint = format!("add exactly one of the tables {}", known.join(", "));
        let why = if found.is_empty() { "has no target API" } else { "has several target APIs" };
        problems.push(Problem::new(at, why).hint(hint));
        return None;
    }
    let (entry, value) = found.pop()?;
    let at = format!("{at}.{}", entry.name);
    let table: Result<serde_json::Map<_, _>, _> = value.try_deserialize();
    let Ok(table) = table else {
        problems.push(Problem::new(at, "should be a table"));
        return None;
    };
    let settings = Settings { table: table.clone(), reach };
    let dialect = keep((entry.open)(&settings), &at, problems)?;
    Some(Open { name: entry.name, dialect: dialect.into(), table })
}

/// Keys of the dialects' tables that say which account of the API it is.
const ACCOUNT_KEYS: [&str; 5] = ["base_url", "region", "site", "organization_id", "client_id"];

fn target(api: &str, table: &serde_json::Map<String, serde_json::Value>) -> Fingerprint {
    let text = |key| table.get(key).and_then(serde_json::Value::as_str);
    let given = ACCOUNT_KEYS.map(|key| text(key).map(|text| text.trim_end_matches('/')));
    // An empty text is a key that was taken back.
    let account = given.map(|text| text.filter(|text| !text.is_empty()));
    Fingerprint::of([Some(api)].into_iter().chain(account))
}

fn own_keys(tables: Map<String, Value>, at: &str, problems: &mut Vec<Problem>) -> Keys {
    let known = fields::known_keys::<Keys>();
    let others = ["map", "remote_id", "credentials", "login", "guards"].into_iter();
    let dialects = REGISTRY.iter().map(|entry| entry.name);
    let all: Vec<&str> = known.iter().copied().chain(others).chain(dialects).collect();
    let (own, unknown): (Map<_, _>, Map<_, _>) =
        tables.into_iter().partition(|(key, _)| known.contains(&key.as_str()));
    problems.extend(unknown.keys().map(|key| fields::unknown_key(key, &all).under(at)));
    fields::read(Value::from(own), at, problems)
}

fn rules(
    tables: &mut Map<String, Value>,
    at: &str,
    problems: &mut Vec<Problem>,
) -> BTreeMap<String, RuleSettings> {
    let map = super::document::sub_tables(tables, "map", at, problems);
    let read = |(path, value): (String, Value)| {
        let rule = rule(value, &format!("{at}.{}", fields::part(&path)), problems);
        (path, rule)
    };
    map.into_iter().map(read).collect()
}

/// The look-up is read apart, so that its keys are compared with its own.
fn rule(value: Value, at: &str, problems: &mut Vec<Problem>) -> RuleSettings {
    let mut table = fields::table(value, at, problems);
    let lookup = table.remove("lookup");
    let lookup = lookup.map(|lookup| fields::read(lookup, &format!("{at}.lookup"), problems));
    RuleSettings { lookup, ..fields::read(Value::from(table), at, problems) }
}

fn times(keys: &Keys, at: &str, problems: &mut Vec<Problem>) -> [Option<Duration>; 2] {
    let times = [("request_timeout", &keys.request_timeout), ("run_deadline", &keys.run_deadline)];
    times.map(|(name, text)| duration(text, name, at, problems))
}

fn reach(keys: &Keys, at: &str, problems: &mut Vec<Problem>) -> Reach {
    Reach {
        loopback: insecure_http(keys.allow_insecure_http.as_deref(), at, problems),
        private: keys.allow_private,
    }
}

pub(super) fn insecure_http(setting: Option<&str>, at: &str, problems: &mut Vec<Problem>) -> bool {
    match setting {
        None => false,
        Some("loopback") => true,
        Some(_) => {
            let hint = "remove it, or set \"loopback\" to rehearse against this machine";
            let key = format!("{at}.allow_insecure_http");
            problems.push(Problem::new(key, "can only be \"loopback\"").hint(hint));
            false
        }
    }
}

fn source(
    name: Option<&str>,
    sources: &BTreeSet<String>,
    at: &str,
    problems: &mut Vec<Problem>,
) -> Option<SourceId> {
    let key = format!("{at}.source");
    let known = || format!("known are {}", sources.iter().cloned().collect::<Vec<_>>().join(", "));
    let name = match (name, sources.len()) {
        (Some(name), _) => name,
        // The only one there is needs no naming.
        (None, 1) => sources.first()?,
        (None, _) => {
            problems.push(Problem::new(key, "is missing").hint(known()));
            return None;
        }
    };
    if !sources.contains(name) {
        problems.push(Problem::new(key, "names no source").hint(known()));
        return None;
    }
    SourceId::parse(name).ok()
}

/// The value; or its problems, one table further out.
fn keep<T>(checked: Result<T, Vec<Problem>>, at: &str, problems: &mut Vec<Problem>) -> Option<T> {
    let report = |found: Vec<Problem>| {
        let found = found.into_iter().map(|problem| problem.under(at));
        fields::add_news(found.collect(), problems);
    };
    checked.map_err(report).ok()
}

impl TenantConfig {
    /// Of a source that takes capitals in keys for small letters.
    pub(super) fn fold_keys(&mut self) {
        self.mapping.fold_keys();
    }

    pub fn capabilities(&self) -> &Capabilities {
        self.dialect.capabilities()
    }

    /// What an operator should know on that day.
    pub fn notices(&self, today: Date) -> Vec<Notice> {
        let expiry = self.token_expires.and_then(|last_day| login::expiry(last_day, today));
        self.dialect.notices(today).into_iter().chain(expiry).collect()
    }
}
