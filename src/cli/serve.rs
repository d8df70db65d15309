//! The verb `daemon`: the configuration that it begins with, and how that is read anew.

use super::{
    Ended, Mistake,
    arguments::Common,
    signals::Signals,
    verbs::{configuration, secrets_ready},
};
use crate::{
    config::Config,
    cycle::Exit,
    daemon::{self, Wishes},
    model::SourceId,
    store,
};
use anyhow::bail;
use std::{collections::BTreeSet, sync::Arc};

pub(super) async fn daemon(common: &Common) -> anyhow::Result<Ended> {
    let config = Arc::new(configuration(common)?);
    if let Err(ended) = secrets_ready(common, &config) {
        return Ok(ended);
    }
    check_schedules(&config)?;
    daemon::believe(daemon::now())?;
    let (signals, reload) = Signals::listen_and_reload()?;
    let read = || {
        let config = configuration(common)?;
        if secrets_ready(common, &config).is_err() {
            bail!("a secret cannot be used");
        }
        check_schedules(&config)?;
        Ok(Arc::new(config))
    };
    daemon::serve(config, read, Wishes { stop: signals.stop, reload }).await?;
    if let Some(failure) = store::disk_failure() {
        return Err(failure.into());
    }
    Ok(Ended::Exit(Exit::Done))
}

fn check_schedules(config: &Config) -> anyhow::Result<()> {
    let unscheduled: BTreeSet<&SourceId> = config
        .sources
        .iter()
        .filter(|(_, source)| source.schedule.is_none())
        .map(|(id, _)| id)
        .collect();
    if unscheduled.len() == config.sources.len() {
        let why = "no source has a schedule; add `[sources.NAME.schedule]` with `cron` and `zone`";
        bail!(Mistake::Configuration(why.to_owned()));
    }
    for source in unscheduled {
        tracing::warn!(%source, "the source has no schedule and is left alone");
    }
    Ok(())
}
