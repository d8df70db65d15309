//! `rosterd approve`: a person lets one plan pass that a guard holds, once.

use super::{
    Ended, Mistake,
    arguments::{Approve, Common},
    output::{say, write_stdout},
    verbs::configuration,
};
use crate::{
    config::{Config, TenantConfig},
    cycle::Exit,
    daemon::{holder, now},
    model::{Excerpt, TenantId},
    report,
    store::{ApprovalError, Approving, ReadStore, Store, StoreError, WaitingPlan},
};
use anyhow::{Context, bail};
use jiff::{SignedDuration, Timestamp};
use std::{os::unix::fs::MetadataExt, sync::Arc, time::Duration};

/// Nobody remembers for longer what was looked at.
const LONGEST: SignedDuration = SignedDuration::from_hours(24);

pub(super) fn approve(common: &Common, wish: &Approve) -> anyhow::Result<Ended> {
    let config = configuration(common)?;
    let expires = expires(wish, now())?;
    // One line of a log and of a report, whoever writes it.
    let reason = Excerpt::of(&wish.reason);
    let reason = reason.as_str().trim();
    if reason.is_empty() {
        let why = "--reason is empty; say why all of it is meant, for those who look later";
        bail!(Mistake::CommandLine(why.to_owned()));
    }
    let waiting = waiting(&config, wish)?;
    let digest = full_digest(&wish.digest);
    // The digest is of the tenant's name too, so it is of one tenant.
    let Some((tenant, plan)) = waiting.iter().find(|(_, plan)| plan.digest == digest) else {
        say(&unknown(&digest, &waiting));
        return Ok(Ended::Exit(Exit::Failed));
    };
    let who = who();
    let approving = Approving { digest: &plan.digest, who: &who, reason, at: now(), expires };
    match record(&config, tenant, &approving) {
        Ok(()) => {
            write_stdout(&report::approved_text(tenant, plan, expires));
            Ok(Ended::Exit(Exit::Done))
        }
        Err(ApprovalError::Store(error @ StoreError::Locked { .. })) => {
            say(&format!("error: {error}"));
            Ok(Ended::Exit(Exit::Locked))
        }
        Err(ApprovalError::Store(error)) => Err(error.into()),
        Err(error) => {
            say(&format!("error: {tenant}: {error}; nothing was approved"));
            Ok(Ended::Exit(Exit::Failed))
        }
    }
}

fn expires(wish: &Approve, now: Timestamp) -> anyhow::Result<Timestamp> {
    let span = wish.expires.parse::<SignedDuration>().ok();
    let span = span.filter(|span| *span >= SignedDuration::from_secs(1) && *span <= LONGEST);
    let moment = span.and_then(|span| now.checked_add(span).ok());
    moment.ok_or_else(|| {
        let why = "--expires should be a time from a second to 24 hours, such as \"8h\"";
        Mistake::CommandLine(why.to_owned()).into()
    })
}

/// The digest as plans show it: what it was made with may be left out.
fn full_digest(text: &str) -> String {
    let text = text.trim().to_ascii_lowercase();
    if text.starts_with("sha256:") { text } else { format!("sha256:{text}") }
}

/// What waits, of the tenants that are meant.
fn waiting(config: &Config, wish: &Approve) -> anyhow::Result<Vec<(TenantId, WaitingPlan)>> {
    if let Some(unknown) = wish.tenants.iter().find(|id| !config.tenants.contains_key(*id)) {
        let known: Vec<String> = config.tenants.keys().map(ToString::to_string).collect();
        let why = format!("there is no tenant `{unknown}`; known are {}", known.join(", "));
        bail!(Mistake::CommandLine(why));
    }
    let is_meant =
        |tenant: &&Arc<TenantConfig>| wish.tenants.is_empty() || wish.tenants.contains(&tenant.id);
    let mut waiting = Vec::new();
    for tenant in config.tenants.values().filter(is_meant) {
        let look = || format!("failed to look at the state of {}", tenant.id);
        let store = ReadStore::open(&config.state_dir, &tenant.id).with_context(look)?;
        let plans = store.map(|store| store.waiting_plans()).transpose().with_context(look)?;
        let plans = plans.unwrap_or_default().into_iter();
        waiting.extend(plans.map(|plan| (tenant.id.clone(), plan)));
    }
    Ok(waiting)
}

fn unknown(digest: &str, waiting: &[(TenantId, WaitingPlan)]) -> String {
    let text = format!("error: no plan with the digest {digest} waits");
    if waiting.is_empty() {
        return text
            + ", and no other does; a plan waits once `run`, `apply` or the daemon was held";
    }
    let tell = |(tenant, plan): &(TenantId, WaitingPlan)| {
        format!("\n  {tenant}: {} since {}", plan.digest, plan.at)
    };
    let others: String = waiting.iter().map(tell).collect();
    format!("{text}; these do:{others}")
}

/// How often, and how long, somebody else who approves is waited for.
const TRIES: u32 = 50;
const PAUSE: Duration = Duration::from_millis(20);

/// Holds the tenant's lock no longer than the record takes. A run that is at work holds it for as
/// long as it lasts, and is not waited for.
fn record(
    config: &Config,
    tenant: &TenantId,
    approving: &Approving<'_>,
) -> Result<(), ApprovalError> {
    let open = || Store::open(&config.state_dir, tenant, &holder());
    let mut opened = open();
    for _ in 0..TRIES {
        if !matches!(opened, Err(StoreError::Locked { .. })) {
            break;
        }
        std::thread::park_timeout(PAUSE);
        opened = open();
    }
    opened?.approve(approving).map(|_| ())
}

/// The person as the system knows him: the name of the process's user, and who became that user by
/// `sudo`.
fn who() -> String {
    let uid = std::fs::metadata("/proc/self").map_or(0, |own| own.uid());
    let passwd = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let own = format!("{} (uid {uid})", name_of(&passwd, uid).unwrap_or("somebody"));
    let before = std::env::var_os("SUDO_UID").and_then(|uid| uid.to_str()?.parse().ok());
    match before {
        None => own,
        Some(before) => {
            let name = name_of(&passwd, before).unwrap_or("somebody");
            format!("{name} (uid {before}) as {own}")
        }
    }
}

fn name_of(passwd: &str, uid: u32) -> Option<&str> {
    let uid = uid.to_string();
    passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)? == uid).then_some(name)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_named_by_the_number_that_the_process_has() {
        let passwd = "root:x:0:0:root:/:/bin/sh\nann:x:1000:1000::/:/bin/sh\n";
        assert_eq!(name_of(passwd, 1000), Some("ann"));
        assert_eq!(name_of(passwd, 100), None);
    }

    #[test]
    fn a_digest_may_be_written_without_its_kind() {
        assert_eq!(full_digest(" AB12"), "sha256:ab12");
        assert_eq!(full_digest("sha256:ab12"), "sha256:ab12");
    }
}
