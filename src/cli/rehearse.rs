//! `rosterd sandbox`: the configured targets, on this machine.

use super::{
    Ended, Mistake,
    arguments::{Common, Sandbox as Wish},
    output::{say, write_stdout},
    practice_feed,
    signals::Signals,
    verbs::configuration,
};
use crate::{
    config::{Config, TenantConfig},
    cycle::{self, Exit, Options},
    daemon::{new_run, now},
    dialect::login::Kind,
    model::{AttrPath, Rate, Wanted, Weight},
    sandbox::{
        Api, CustomType, Department, Fault, Faults, PracticeLogin, RetryAfterForm, Sandbox,
        SandboxTenant, ScimQuirks, Tokens, account_of,
    },
};
use anyhow::{Context, anyhow};
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};
use tokio::sync::watch;

pub(super) async fn sandbox(common: &Common, wish: &Wish) -> anyhow::Result<Ended> {
    let config = configuration(common)?;
    let tenants = tenants(&config, wish)?;
    let signals = Signals::listen()?;
    let sandbox = Sandbox::start(wish.listen, tenants)
        .await
        .with_context(|| format!("failed to serve on {}", wish.listen))?;
    say(&format!(
        "serving {} tenants on {}; stop with Ctrl-C",
        config.tenants.len(),
        sandbox.address()
    ));
    let feed = match &wish.feed {
        Some(file) => {
            Some(practice_feed::serve(file, sandbox.address(), wish.token.clone()).await?)
        }
        None => None,
    };
    say("to rehearse, set these in another shell, and keep a state of its own:");
    write_stdout(&overlay(&config, &sandbox));
    let mut stop = signals.stop.clone();
    let _ = stop.wait_for(|stop| *stop).await;
    for tenant in config.tenants.keys() {
        let seen = sandbox.requests(tenant.as_str());
        let patches = seen.iter().filter(|seen| seen.method == "PATCH").count();
        say(&format!("{tenant}: {} requests, {patches} of them PATCH", seen.len()));
        for violation in sandbox.violations(tenant.as_str()) {
            say(&format!("{tenant}: violation: {violation}"));
        }
    }
    if let Some(feed) = feed {
        say(&format!("the feed: {} requests", feed.requests().len()));
        feed.stop().await;
    }
    sandbox.stop().await;
    Ok(Ended::Exit(Exit::Done))
}

/// Environment variables that turn the configuration to the sandbox.
fn overlay(config: &Config, sandbox: &Sandbox) -> String {
    let mut lines = vec!["export ROSTERD_STATE_DIR=./rehearsal-state".to_owned()];
    for (id, tenant) in &config.tenants {
        let prefix = format!("export ROSTERD__TENANTS__{}", id.as_str().to_uppercase());
        let api = tenant.api.to_uppercase();
        for key in ["REGION", "SITE"] {
            if tenant.settings.contains_key(&key.to_lowercase()) {
                lines.push(format!("{prefix}__{api}__{key}="));
            }
        }
        lines.push(format!("{prefix}__{api}__BASE_URL={}", sandbox.base_url(id.as_str())));
        lines.push(format!("{prefix}__ALLOW_INSECURE_HTTP=loopback"));
        // Else a rehearsal would log in where it is meant.
        if tenant.login.as_ref().is_some_and(|login| login.kind() == Kind::ClientCredentials) {
            let url = format!("{}/oauth2/token", sandbox.base_url(id.as_str()));
            lines.push(format!("{prefix}__LOGIN__TOKEN_URL={url}"));
        }
    }
    lines.join("\n") + "\n"
}

/// Practice tenants that hold what the roster wishes, as after a night of synchronization.
fn tenants(config: &Config, wish: &Wish) -> anyhow::Result<Vec<SandboxTenant>> {
    let faults = faults(wish)?;
    let quota = wish.quota.as_deref().map(Rate::parse).transpose();
    let quota = quota.map_err(|why| Mistake::CommandLine(format!("--quota {why}")))?;
    let options = Options {
        run: new_run(),
        verb: "sandbox",
        now: now(),
        tenants: BTreeSet::new(),
        users: BTreeSet::new(),
        stop: watch::channel(false).1,
    };
    let mut tenants = Vec::new();
    for source in config.sources.keys() {
        let wishes = cycle::wishes(config, source, &options)
            .map_err(|refused| anyhow!("the source `{source}` is refused: {refused}"))?;
        for (tenant, wanted) in wishes {
            let mut practice = practice_tenant(&tenant)?;
            settle(&mut practice, &wanted);
            drift(&mut practice, &tenant, &wanted, wish);
            practice.quota = quota.or(practice.quota);
            practice.faults = faults.clone();
            if let Some(token) = &wish.token {
                let headers = ["authorization", "x-session-token"];
                let accepted = headers.map(|header| (header.to_owned(), token.clone()));
                practice.tokens = Tokens::Exact(accepted.into());
            }
            tenants.push(practice);
        }
    }
    Ok(tenants)
}

/// What a strict server would not take from this tenant's requests.
fn scim_quirks(settings: &serde_json::Map<String, Value>) -> ScimQuirks {
    let preset = settings.get("preset").and_then(Value::as_str).unwrap_or_default();
    let is = |key: &str, value: &Value| settings.get(key) == Some(value);
    let groups = settings.get("groups").and_then(Value::as_array).into_iter().flatten();
    ScimQuirks {
        only_put: preset == "okta_put" || is("method", &"put".into()),
        like_entra: preset == "entra" || is("capital_ops", &true.into()),
        etag: preset == "wandb" || is("etag", &true.into()),
        cursors: is("paging", &"cursor".into()),
        groups: groups.filter_map(Value::as_str).map(str::to_owned).collect(),
        ..ScimQuirks::default()
    }
}

/// The tenant's practice twin: its quota, its ids and its custom attributes, with no account yet.
pub(super) fn practice_tenant(tenant: &TenantConfig) -> anyhow::Result<SandboxTenant> {
    let api: Api = tenant.api.parse().map_err(|_| anyhow!("no practice API `{}`", tenant.api))?;
    let mut practice = SandboxTenant::new(tenant.id.as_str(), api);
    let text = |key: &str| tenant.settings.get(key).and_then(Value::as_str).map(str::to_owned);
    let scope = text("organization_id").or_else(|| text("client_id"));
    practice.scope_id = scope.unwrap_or(practice.scope_id);
    practice.quota = Some(tenant.quota);
    practice.login = tenant.login.is_some().then(PracticeLogin::default);
    if api == Api::Scim {
        practice.scim = scim_quirks(&tenant.settings);
        return Ok(practice);
    }
    let custom = tenant.settings.get("custom").and_then(Value::as_object);
    for (name, settings) in custom.into_iter().flatten() {
        practice.custom_attributes.insert(name.clone(), custom_type(name, settings)?);
    }
    Ok(practice)
}

fn custom_type(name: &str, settings: &Value) -> anyhow::Result<CustomType> {
    let kind = settings.as_str().or_else(|| settings.get("type")?.as_str());
    let kind = kind.and_then(|kind| kind.parse().ok());
    let kind = kind.with_context(|| format!("no practice for the custom attribute `{name}`"))?;
    let values = settings.get("values").and_then(Value::as_array).into_iter().flatten();
    let values = values.filter_map(Value::as_str).map(str::to_owned).collect();
    Ok(match kind {
        CustomType::SingleSelect(_) => CustomType::SingleSelect(values),
        CustomType::MultiSelect(_) => CustomType::MultiSelect(values),
        other => other,
    })
}

/// Gives the practice tenant the accounts that the roster wishes.
fn settle(practice: &mut SandboxTenant, wanted: &[Wanted]) {
    for wanted in wanted {
        let set = wanted.attributes.iter().filter_map(|(path, value)| {
            Some((path.as_str().to_owned(), value.as_ref()?.to_json()))
        });
        let attributes: BTreeMap<String, Value> = set.collect();
        let departments = attributes.get("departments").and_then(Value::as_array);
        for id in departments.into_iter().flatten().filter_map(Value::as_str) {
            let name = format!("Department {}", practice.departments.len() + 1);
            let department = Department { name, description: String::new() };
            practice.departments.entry(id.to_owned()).or_insert(department);
        }
        let account = account_of(practice.api, &attributes);
        // Whoever is to be looked for has an account of some id.
        let id = wanted.remote_id.as_ref().map(|id| id.as_str().to_owned());
        let id =
            id.unwrap_or_else(|| uuid::Uuid::from_u128(wanted.key.fingerprint().0).to_string());
        practice.accounts.insert(id, account);
    }
}

/// Lets a share of the accounts show somebody else's value in one attribute that nobody logs in by.
fn drift(practice: &mut SandboxTenant, tenant: &TenantConfig, wanted: &[Wanted], wish: &Wish) {
    let mut dice = fastrand::Rng::with_seed(wish.seed);
    let plain = |path: &AttrPath| {
        let attribute = tenant.capabilities().attributes.get(path);
        attribute.is_some_and(|attribute| attribute.weight == Weight::Plain)
    };
    for own in wanted {
        if dice.u8(0..100) >= wish.drift {
            continue;
        }
        let paths: Vec<&AttrPath> = own.attributes.keys().filter(|path| plain(path)).collect();
        let (Some(path), Some(other)) = (dice.choice(paths), dice.choice(wanted)) else { continue };
        let Some(value) = other.attributes.get(path) else { continue };
        let mut drifted = own.clone();
        drifted.attributes.insert(path.clone(), value.clone());
        settle(practice, &[drifted]);
    }
}

/// Names of the faults that can be asked for.
const FAULTS: [(&str, Fault); 10] = [
    ("throttle", Fault::Throttle { retry_after: RetryAfterForm::Seconds(2) }),
    ("throttle-date", Fault::Throttle { retry_after: RetryAfterForm::ImfFixdate(2) }),
    ("throttle-bare", Fault::Throttle { retry_after: RetryAfterForm::None }),
    ("unavailable", Fault::Unavailable { retry_after: RetryAfterForm::Seconds(2) }),
    ("lost-answer", Fault::LostAnswer),
    ("lost-request", Fault::LostRequest),
    ("slow", Fault::Slow(Duration::from_secs(2))),
    ("error-500", Fault::Error500Applied),
    ("cut-body", Fault::CutBody),
    ("conflict", Fault::Conflict),
];

fn faults(wish: &Wish) -> Result<Faults, Mistake> {
    let shares: Result<Vec<_>, Mistake> = wish.faults.iter().map(|text| share(text)).collect();
    Ok(Faults::shares(wish.seed, shares?))
}

/// Reads `lost-answer=2%`.
fn share(text: &str) -> Result<(f64, Fault), Mistake> {
    let mistake = |why: &str| Mistake::CommandLine(format!("--fault {text}: {why}"));
    let Some((name, share)) = text.split_once('=') else {
        return Err(mistake("write it as NAME=SHARE, such as `lost-answer=2%`"));
    };
    let Some((_, fault)) = FAULTS.iter().find(|(known, _)| *known == name) else {
        let known: Vec<&str> = FAULTS.iter().map(|(name, _)| *name).collect();
        return Err(mistake(&format!("known are {}", known.join(", "))));
    };
    let percent = share.trim_end_matches('%').parse::<f64>().ok();
    let percent = percent.filter(|percent| (0.0..=100.0).contains(percent));
    let percent = percent.ok_or_else(|| mistake("the share is no percentage"))?;
    Ok((percent / 100.0, fault.clone()))
}
