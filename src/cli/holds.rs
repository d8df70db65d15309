//! The verbs about users and tenants that wait: quarantine, and holds by hand.

use super::{
    Ended, Mistake,
    arguments::{Chosen, Common, Hold, OfTenants, Quarantine, QuarantineList, Release},
    output::{say, write_stdout},
    verbs::{configuration, keys_of},
};
use crate::{
    config::{Config, Surroundings, TenantConfig},
    cycle::Exit,
    daemon::{holder, now},
    model::{TenantId, Timer, UserKey},
    report,
    store::{self, ReadStore, Snapshot, Store},
};
use anyhow::{Context, bail};
use std::{os::unix::fs::MetadataExt, sync::Arc};

pub(super) fn quarantine(common: &Common, verb: &Quarantine) -> anyhow::Result<Ended> {
    let config = configuration(common)?;
    match verb {
        Quarantine::List(list) => show(&config, list),
        Quarantine::Release(chosen) => change(&config, chosen, release_one),
        Quarantine::Retry(chosen) => change(&config, chosen, retry_one),
    }
}

fn show(config: &Config, list: &QuarantineList) -> anyhow::Result<Ended> {
    let tenants = if list.tenants.is_empty() {
        config.tenants.values().cloned().collect()
    } else {
        named(config, &list.tenants)?
    };
    let mut lists = Vec::new();
    for tenant in tenants {
        let look = || {
            let store = ReadStore::open(&config.state_dir, &tenant.id)?;
            let snapshot = store.as_deref();
            let tenant_itself = snapshot.map_or(Ok(None), Snapshot::tenant_quarantine)?;
            let users = snapshot.map(Snapshot::quarantine).transpose()?.unwrap_or_default();
            Ok::<_, store::StoreError>((tenant_itself, users))
        };
        let (itself, users) =
            look().with_context(|| format!("failed to look at the state of {}", tenant.id))?;
        lists.push(report::QuarantineOf { tenant: tenant.id.clone(), itself, users });
    }
    if list.json {
        write_stdout(&report::json_text(&report::quarantine_json(&lists)));
    } else {
        write_stdout(&report::quarantine_text(&lists));
    }
    Ok(Ended::Exit(Exit::Done))
}

/// What is changed of one tenant: these users, or, with none named, the tenant itself.
type Change = fn(&mut Store, &[UserKey], bool) -> Result<(usize, bool), store::StoreError>;

fn change(config: &Config, chosen: &Chosen, change: Change) -> anyhow::Result<Ended> {
    let Chosen { keys, of, all } = chosen;
    let mut found = 0;
    for tenant in named(config, &of.tenants)? {
        let mut store = open(config, &tenant)?;
        let failed = || format!("failed to change the quarantine of {}", tenant.id);
        let users = match all {
            true => store.quarantine().with_context(failed)?.into_keys().collect(),
            false => keys_of(config, &tenant.source, keys),
        };
        let itself = *all || keys.is_empty();
        let (users, itself) = change(&mut store, &users, itself).with_context(failed)?;
        found += users + usize::from(itself);
        let itself = if itself { ", and the tenant itself" } else { "" };
        let plural = if users == 1 { "" } else { "s" };
        write_stdout(&format!("{}: {users} user{plural}{itself}\n", tenant.id));
    }
    if found == 0 {
        say("warning: none of them is in quarantine; `rosterd quarantine list` tells who is");
    }
    Ok(Ended::Exit(Exit::Done))
}

fn release_one(
    store: &mut Store,
    users: &[UserKey],
    itself: bool,
) -> Result<(usize, bool), store::StoreError> {
    let itself = itself && store.tenant_quarantine()?.is_some();
    if itself {
        store.set_tenant_quarantine(None)?;
    }
    Ok((store.release(users)?, itself))
}

fn retry_one(
    store: &mut Store,
    users: &[UserKey],
    itself: bool,
) -> Result<(usize, bool), store::StoreError> {
    let now = now();
    let state = if itself { store.tenant_quarantine()? } else { None };
    let itself = state.is_some();
    if let Some(state) = state {
        let timer = Timer { since: now, next_try: Some(now), tries: 0 };
        store.set_tenant_quarantine(Some(&store::TenantInQuarantine { timer, ..state }))?;
    }
    Ok((store.retry(users, now)?, itself))
}

pub(super) fn hold(common: &Common, hold: &Hold) -> anyhow::Result<Ended> {
    let config = configuration(common)?;
    let Hold { keys, of: OfTenants { tenants }, reason, until } = hold;
    let since = now();
    if until.is_some_and(|until| until <= since) {
        let why = "--until has passed already; name a time to come, or leave it out";
        bail!(Mistake::CommandLine(why.to_owned()));
    }
    let by_hand = store::Hold { reason: reason.clone(), person: person(), since, until: *until };
    for tenant in named(&config, tenants)? {
        let mut store = open(&config, &tenant)?;
        let failed = || format!("failed to hold users of {}", tenant.id);
        let users = keys_of(&config, &tenant.source, keys);
        let known = store.known(&users.iter().collect::<Vec<_>>()).with_context(failed)?;
        store.hold(&users, &by_hand).with_context(failed)?;
        for key in &users {
            write_stdout(&format!("{}: {key} is held\n", tenant.id));
            if !known.contains_key(key) {
                say(&format!(
                    "warning: {} knows nobody of the key `{key}`; the hold is kept for when \
                     somebody of that key comes",
                    tenant.id
                ));
            }
        }
    }
    Ok(Ended::Exit(Exit::Done))
}

pub(super) fn release(common: &Common, release: &Release) -> anyhow::Result<Ended> {
    let config = configuration(common)?;
    let Release { keys, of: OfTenants { tenants } } = release;
    for tenant in named(&config, tenants)? {
        let mut store = open(&config, &tenant)?;
        let failed = || format!("failed to release users of {}", tenant.id);
        let held = store.holds().with_context(failed)?;
        let users = keys_of(&config, &tenant.source, keys);
        store.end_holds(&users).with_context(failed)?;
        for key in &users {
            if held.contains_key(key) {
                write_stdout(&format!("{}: {key} is released\n", tenant.id));
            } else {
                say(&format!("warning: {} does not hold `{key}`", tenant.id));
            }
        }
    }
    Ok(Ended::Exit(Exit::Done))
}

/// The tenants of these names, each once.
fn named(config: &Config, tenants: &[TenantId]) -> anyhow::Result<Vec<Arc<TenantConfig>>> {
    let mut found: Vec<Arc<TenantConfig>> = Vec::new();
    for id in tenants {
        let Some(tenant) = config.tenants.get(id) else {
            let known: Vec<String> = config.tenants.keys().map(ToString::to_string).collect();
            let why = format!("there is no tenant `{id}`; known are {}", known.join(", "));
            bail!(Mistake::CommandLine(why));
        };
        if !found.iter().any(|known| known.id == *id) {
            found.push(tenant.clone());
        }
    }
    Ok(found)
}

fn open(config: &Config, tenant: &TenantConfig) -> anyhow::Result<Store> {
    Store::open(&config.state_dir, &tenant.id, &holder())
        .with_context(|| format!("failed to open the state of {}", tenant.id))
}

/// Who says so: whoever came by `sudo`, or the user of this process.
fn person() -> String {
    let variables = Surroundings::of_process().variables;
    let name = ["SUDO_USER", "USER", "LOGNAME"]
        .into_iter()
        .find_map(|name| variables.get(name).filter(|name| !name.is_empty()));
    let visible = |name: &String| name.chars().filter(|c| !c.is_control()).take(64).collect();
    let number = || {
        let own = std::fs::metadata("/proc/self").map_or(0, |own| own.uid());
        format!("user id {own}")
    };
    name.map_or_else(number, visible)
}
