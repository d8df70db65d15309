//! `rosterd probe`: how a server speaks its API, as lines of the configuration.

use super::{
    Ended, Mistake,
    arguments::{Common, Probe},
    output::{say, write_stdout},
    signals::Signals,
    verbs::{configuration, secrets_ready},
};
use crate::{
    config::TenantConfig,
    cycle::{self, Exit, Options, Probed, Unprobed},
    daemon::{holder, new_run, now},
};
use anyhow::{Context, bail};
use std::{collections::BTreeSet, fmt::Write as _};

pub(super) async fn probe(common: &Common, wish: &Probe) -> anyhow::Result<Ended> {
    let config = configuration(common)?;
    if let Err(ended) = secrets_ready(common, &config) {
        return Ok(ended);
    }
    let Some(tenant) = config.tenants.get(&wish.tenant) else {
        bail!(Mistake::CommandLine(format!("there is no tenant `{}`", wish.tenant)));
    };
    let signals = Signals::listen()?;
    let options = Options {
        run: new_run(),
        verb: "probe",
        now: now(),
        tenants: [tenant.id.clone()].into(),
        users: BTreeSet::new(),
        stop: signals.stop.clone(),
    };
    let found = cycle::probe(&config, tenant, &wish.user, &options, &holder()).await;
    let probed = match found {
        Ok(probed) => probed,
        Err(Unprobed::NotBegun(report)) => {
            say(&format!("{}: {:?}", tenant.id, report.end));
            return Ok(signals.end(Ended::Exit(report.exit())));
        }
        Err(Unprobed::NotOffered) => {
            let why =
                format!("`{}` is the same everywhere; there is nothing to find out", tenant.api);
            bail!(Mistake::CommandLine(why));
        }
        Err(Unprobed::Failed { why, left }) => {
            say(&format!("the probe did not come to its end: {why}"));
            tell_left(&left);
            return Ok(signals.end(Ended::Exit(Exit::Failed)));
        }
    };
    let text = toml(tenant, &probed);
    match &wish.write {
        None => write_stdout(&text),
        Some(file) => std::fs::write(file, text)
            .with_context(|| format!("failed to write {}", file.display()))?,
    }
    tell_left(&probed.left);
    let exit = if probed.left.is_empty() { Exit::Done } else { Exit::Partial };
    Ok(signals.end(Ended::Exit(exit)))
}

fn tell_left(left: &[String]) {
    if !left.is_empty() {
        say(&format!("not as it was at that user: {}; put it back by hand", left.join(", ")));
    }
}

/// The table of the API, with what was found out; the other keys stay as they are.
fn toml(tenant: &TenantConfig, probed: &Probed) -> String {
    let mut text = String::new();
    for note in &probed.notes {
        let _ = writeln!(text, "# {note}");
    }
    let _ = writeln!(text, "[tenants.{}.{}]", tenant.id, tenant.api);
    if probed.settings.is_empty() {
        text.push_str("# as its document has it; no switch is needed\n");
    }
    for (key, value) in &probed.settings {
        // A flag, a number or a plain text is the same in TOML.
        let _ = writeln!(text, "{key} = {value}");
    }
    text
}
