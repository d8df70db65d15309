//! The verbs that look at what targets hold now.

use super::{
    Ended, Mistake,
    arguments::{Adopt, Common, Drift},
    output::{Bars, say, write_stdout},
    signals::Signals,
    verbs::{configuration, options, secrets_ready, sources},
};
use crate::{
    cycle::{self, Compared, Exit, Listed, Progress, Whom},
    daemon::{holder, new_run},
    model::TenantId,
    report::{self, SavedPlan, Style},
};
use anyhow::{Context, bail};
use std::sync::Arc;

/// Users of a sample where nobody says how many.
const SAMPLE: u32 = 100;

/// Takes what the targets list for what is known. Nothing that is asked for: it only reads.
pub(super) async fn adopt_from_target(
    common: &Common,
    adopt: &Adopt,
    colour: bool,
) -> anyhow::Result<Ended> {
    let config = configuration(common)?;
    if let Err(ended) = secrets_ready(common, &config) {
        return Ok(ended);
    }
    if !adopt.scope.users.is_empty() {
        let why = "a list has all users; leave --user out, or look at some with `rosterd drift`";
        bail!(Mistake::CommandLine(why.to_owned()));
    }
    let signals = Signals::listen()?;
    let progress: Arc<dyn Progress> = Arc::new(Bars::new());
    let (run, mut exit) = (new_run(), Exit::Done);
    for source in sources(&config, &adopt.scope)? {
        let about = (&config, &source);
        let options = options("adopt", &run, &adopt.scope, about, signals.stop.clone());
        let (report, listed) =
            cycle::adopt_listed(&config, &source, &options, &holder(), &progress).await;
        for (tenant, listed) in &listed {
            write_stdout(&told(tenant, listed));
        }
        let style = Style { colour, ..Style::default() };
        write_stdout(&report::adopt_text(&report, &style));
        exit = exit.max(report.exit());
    }
    Ok(signals.end(Ended::Exit(exit)))
}

fn told(tenant: &TenantId, listed: &Listed) -> String {
    let Listed { entries, pages, known, news, linked, unlisted, unmanaged } = listed;
    format!(
        "{tenant}: {entries} users listed on {pages} pages; {known} of the roster are known now, \
         {news} of them anew and {linked} linked; {unlisted} of the roster are not listed, \
         {unmanaged} of the listed are nobody's here\n"
    )
}

pub(super) async fn drift(common: &Common, drift: &Drift, colour: bool) -> anyhow::Result<Ended> {
    let config = configuration(common)?;
    if let Err(ended) = secrets_ready(common, &config) {
        return Ok(ended);
    }
    let whom = whom(drift)?;
    let signals = Signals::listen()?;
    let progress: Arc<dyn Progress> = Arc::new(Bars::new());
    let (run, mut exit, mut drifted) = (new_run(), Exit::Done, false);
    for source in sources(&config, &drift.scope)? {
        let about = (&config, &source);
        let options = options("drift", &run, &drift.scope, about, signals.stop.clone());
        let (report, found) =
            cycle::compare(&config, &source, &options, &whom, &holder(), &progress).await;
        if drift.json {
            write_stdout(&report::json_line(&report::drift_json(&report, &found)));
        } else {
            let limit = Some(drift.limit).filter(|limit| *limit > 0);
            let style = Style { colour, limit, ..Style::default() };
            write_stdout(&report::drift_text(&report, &found, &style));
        }
        drifted |= found.values().map(Compared::changed).sum::<u64>() > 0;
        exit = exit.max(report.exit());
    }
    let changes = drift.detailed_exitcode && drifted && matches!(exit, Exit::Done | Exit::Partial);
    Ok(signals.end(if changes { Ended::Changes } else { Ended::Exit(exit) }))
}

fn whom(drift: &Drift) -> anyhow::Result<Whom> {
    if drift.all {
        return Ok(Whom::Everybody);
    }
    if !drift.scope.users.is_empty() {
        return Ok(Whom::Named);
    }
    let Some(path) = &drift.plan else {
        return Ok(Whom::Sample(drift.sample.unwrap_or(SAMPLE) as usize));
    };
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("failed to read the plan {}", path.display()))?;
    let users = SavedPlan::users(&text);
    let users = users.map_err(|why| anyhow::anyhow!("{} is no plan: {why}", path.display()))?;
    if users.values().all(std::collections::BTreeSet::is_empty) {
        say("the plan names nobody");
    }
    Ok(Whom::Planned(users))
}
