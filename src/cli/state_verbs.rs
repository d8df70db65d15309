//! The verbs about the state itself: copies of it, putting one back, starting anew, its journal's
//! soundness, and the machine it is used on.

use super::{
    Ended, Mistake,
    arguments::{Audit, Backup, Common, Renew, Restore, State, Tenants},
    ask,
    output::{say, write_stdout},
    verbs::configuration,
};
use crate::{
    config::Config,
    cycle::Exit,
    daemon::{holder, new_run, now},
    model::TenantId,
    store::{self, Broken, ReadStore, Renewed, Request, Store, StoreError},
};
use anyhow::{Context, bail};
use std::path::Path;

/// The tenants that are meant; all when none is named.
fn chosen(config: &Config, tenants: &[TenantId]) -> anyhow::Result<Vec<TenantId>> {
    if tenants.is_empty() {
        return Ok(config.tenants.keys().cloned().collect());
    }
    for tenant in tenants {
        if !config.tenants.contains_key(tenant) {
            let known: Vec<String> = config.tenants.keys().map(ToString::to_string).collect();
            let why = format!("there is no tenant `{tenant}`; known are {}", known.join(", "));
            bail!(Mistake::CommandLine(why));
        }
    }
    Ok(tenants.to_vec())
}

fn look(config: &Config, tenant: &TenantId) -> anyhow::Result<Option<ReadStore>> {
    let opened = ReadStore::open(&config.state_dir, tenant);
    opened.with_context(|| format!("failed to look at the state of {tenant}"))
}

pub(super) fn backup(common: &Common, backup: &Backup) -> anyhow::Result<Ended> {
    let config = configuration(common)?;
    let dir = backup.to.clone().unwrap_or_else(|| store::backup_folder(&config.state_dir));
    for tenant in chosen(&config, &backup.scope.tenants)? {
        let Some(store) = look(&config, &tenant)? else {
            write_stdout(&format!("{tenant}: has no state yet\n"));
            continue;
        };
        let copy = store.back_up(&dir, now());
        let copy = copy.with_context(|| format!("failed to copy the state of {tenant}"))?;
        let users = store.users()?;
        write_stdout(&format!("{tenant}: {users} users, copied to {}\n", copy.display()));
    }
    Ok(Ended::Exit(Exit::Done))
}

pub(super) fn restore(common: &Common, restore: &Restore) -> anyhow::Result<Ended> {
    let Restore { file, renew } = restore;
    let question = format!(
        "The state of {} becomes what {} holds, and everybody is read anew. Is that meant?",
        renew.tenant,
        file.display()
    );
    renewed(common, renew, &question, |request| {
        let renewed = Store::restore(request, file)?;
        let of_copy = format!("put back from {}", file.display());
        Ok(summary(request.tenant, &of_copy, &renewed))
    })
}

pub(super) fn resnapshot(common: &Common, renew: &Renew) -> anyhow::Result<Ended> {
    let question = format!(
        "All that is known of the users of {} is forgotten, and everybody is read anew. Is that \
         meant?",
        renew.tenant
    );
    renewed(common, renew, &question, |request| {
        let renewed = Store::resnapshot(request)?;
        Ok(summary(request.tenant, "starts anew", &renewed))
    })
}

/// Asks, does it, and tells what came of it.
fn renewed(
    common: &Common,
    renew: &Renew,
    question: &str,
    act: impl FnOnce(&Request<'_>) -> Result<String, StoreError>,
) -> anyhow::Result<Ended> {
    let Renew { tenant, yes } = renew;
    if !yes && !ask::somebody_there() {
        say("error: there is no terminal to ask on; pass --yes to do it without asking");
        return Ok(Ended::Usage);
    }
    let config = configuration(common)?;
    chosen(&config, std::slice::from_ref(tenant))?;
    if !yes && !ask::agreed(question).context("failed to ask on the terminal")? {
        write_stdout("nothing was changed\n");
        return Ok(Ended::Exit(Exit::Done));
    }
    let (holder, run) = (holder(), new_run());
    let request = Request { config: &config, tenant, holder: &holder, run: &run, now: now() };
    write_stdout(&act(&request)?);
    Ok(Ended::Exit(Exit::Done))
}

fn summary(tenant: &TenantId, what: &str, renewed: &Renewed) -> String {
    let Renewed { users, aside, records_lost } = renewed;
    let mut lines = vec![
        format!("{tenant}: {what}"),
        format!(
            "  {users} users are in doubt: the next run reads each before it changes anything, or \
             sends all values where the target shows none"
        ),
    ];
    if *records_lost > 0 {
        lines.push(format!("  {records_lost} records were made after the copy was"));
    }
    if let Some(aside) = aside {
        lines.push(format!("  what was there is kept as {}", aside.display()));
    }
    lines.join("\n") + "\n"
}

pub(super) fn audit(common: &Common, audit: &Audit) -> anyhow::Result<Ended> {
    let Audit::Verify(Tenants { tenants }) = audit;
    let config = configuration(common)?;
    let mut exit = Exit::Done;
    for tenant in chosen(&config, tenants)? {
        let audit = store::audit(&config.state_dir, &tenant);
        let audit = audit.with_context(|| format!("failed to read the journal of {tenant}"))?;
        let Some(store::Audit { sound, unchained, broken }) = audit else {
            write_stdout(&format!("{tenant}: has no state yet\n"));
            continue;
        };
        let older = match unchained {
            0 => String::new(),
            rows => format!("; {rows} older ones are from before there was a chain"),
        };
        let told = match broken {
            None => format!("{sound} rows of the journal are as they were written{older}"),
            Some(broken) => {
                exit = Exit::Failed;
                format!(
                    "{} ({sound} rows before it are as they were written{older})",
                    tell(&broken)
                )
            }
        };
        write_stdout(&format!("{tenant}: {told}\n"));
    }
    Ok(Ended::Exit(exit))
}

fn tell(broken: &Broken) -> String {
    match broken {
        Broken::Missing { row, after: Some(at) } => {
            format!("row {row} of the journal is missing: the one after that of {at}")
        }
        Broken::Missing { row, after: None } => format!("row {row} of the journal is missing"),
        Broken::Changed { row, operation, at } => {
            format!("row {row} of the journal (operation {operation}, {at}) was changed")
        }
        Broken::Rewritten { row } => {
            format!("the journal was written anew: row {row} is not the one that was recorded")
        }
    }
}

pub(super) fn state(common: &Common, state: &State) -> anyhow::Result<Ended> {
    let State::Adopt(Tenants { tenants }) = state;
    let config = configuration(common)?;
    for tenant in chosen(&config, tenants)? {
        if !has_state(&config.state_dir, &tenant) {
            write_stdout(&format!("{tenant}: has no state yet\n"));
            continue;
        }
        let moved = Store::adopt_machine(&config, &tenant, &holder())
            .with_context(|| format!("failed to take over the state of {tenant}"))?;
        let what = if moved { "is used on this machine from now on" } else { "is this machine's" };
        write_stdout(&format!("{tenant}: {what}\n"));
    }
    Ok(Ended::Exit(Exit::Done))
}

fn has_state(dir: &Path, tenant: &TenantId) -> bool {
    dir.join(format!("{tenant}.db")).exists()
}
