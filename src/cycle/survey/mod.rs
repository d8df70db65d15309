//! What the targets hold now, user by user, beside what the source wishes: nothing is changed there.
//!
//! [`adopt_listed`] takes a tenant's list of all users for what is known; [`compare`] looks at accounts
//! and says who changed what. Both go through the tenant's lane, so that its pace, its pauses and its
//! caution hold for them as for a run, and both remember nothing of a tenant unless all of it was read.

mod adopt;
mod drift;
mod link;
mod live;
mod looks;

pub use adopt::{Listed, adopt_listed};
pub use drift::{Compared, Whom, compare};

use super::{
    CycleReport, Options, Progress, TenantEnd, TenantReport,
    gather::{self, Gathered, Guest},
    life::refer,
    session::{chosen, close_early, empty, end, open_store, refused_report, report},
    tenant::{Desk, blank, of_store},
};
use crate::{
    config::{Config, TenantConfig},
    model::{SourceId, TenantId, UserKey, Wanted},
    sender::{Clock, Ended},
    store::{Holder, StoreError},
};
use std::{collections::BTreeMap, future::Future, sync::Arc};
use tokio::time::Instant;

/// What a survey is about, the same for all tenants of the source.
struct Errand<'a> {
    config: &'a Config,
    source: &'a SourceId,
    options: &'a Options,
    holder: &'a Holder,
}

/// Somebody at a tenant's desk: what became of the tenant, and what was found if all went well.
type Errands<T> = (TenantReport, Option<T>);

/// Does `work` for each tenant of the source, side by side. The desks' cases have everybody whom the
/// source wishes something of, whatever is known of them.
async fn each<T: Send + 'static, F>(
    errand: Errand<'_>,
    progress: &Arc<dyn Progress>,
    work: impl Fn(Desk, Options, Arc<dyn Progress>) -> F,
) -> (CycleReport, BTreeMap<TenantId, T>)
where
    F: Future<Output = Errands<T>> + Send + 'static,
{
    let Errand { config, source, options, holder } = errand;
    let Some(settings) = config.sources.get(source) else {
        return (empty(config, source, options), BTreeMap::new());
    };
    let (mut desks, mut ended) = (Vec::new(), Vec::new());
    let mut opened = Vec::new();
    for tenant in chosen(config, source, options) {
        match open_store(config, &tenant, options, holder) {
            Ok(store) => opened.push((tenant, store)),
            Err(report) => ended.push(*report),
        }
    }
    let strangers: Vec<Guest<'_>> =
        opened.iter().map(|(tenant, _)| Guest { tenant, snapshot: None }).collect();
    let Gathered { facts, findings, cases } =
        match gather::read(config, source, settings, &strangers, options) {
            Ok(read) => read.gathered,
            Err(refused) => {
                for (tenant, store) in opened {
                    let report = end(blank(&tenant, options.now), TenantEnd::SourceRefused);
                    ended.push(close_early(store, report, options));
                }
                let report = refused_report(config, source, options, refused, ended);
                return (report, BTreeMap::new());
            }
        };
    let clock = Clock::new(options.now, Instant::now());
    for ((tenant, store), case) in opened.into_iter().zip(cases) {
        let report = blank(&tenant, options.now);
        match case {
            Ok(case) => desks.push((tenant, Desk::new(case, store, report, clock))),
            Err(error) => ended.push(end(report, of_store(&error))),
        }
    }
    let started = desks.into_iter().map(|(tenant, desk)| {
        let task = work(desk, options.clone(), progress.clone());
        (tenant, tokio::spawn(task))
    });
    // All of them begin before the first is waited for.
    let tasks: Vec<_> = started.collect();
    let mut found = BTreeMap::new();
    for (tenant, task) in tasks {
        let (report, results) = task.await.unwrap_or_else(|_| (panicked(&tenant, options), None));
        found.extend(results.map(|results| (tenant.id.clone(), results)));
        ended.push(report);
    }
    (report(config, source, options, (facts, findings), ended), found)
}

/// Of a tenant whose task panicked: its snapshot is as its last record left it.
fn panicked(tenant: &TenantConfig, options: &Options) -> TenantReport {
    let why = "an internal error; nothing of this was remembered".to_owned();
    end(blank(tenant, options.now), TenantEnd::Early(Ended::Broken { why }))
}

impl Desk {
    /// Everybody whom the source wishes something of, with the id at the target where anybody knows it.
    fn with_ids(&mut self) -> Result<Vec<Wanted>, StoreError> {
        let mut wanted = std::mem::take(&mut self.case.intake.wanted);
        let Some(store) = &self.store else { return Ok(wanted) };
        let nameless: Vec<&mut Wanted> =
            wanted.iter_mut().filter(|user| user.remote_id.is_none()).collect();
        let keys: Vec<&UserKey> = nameless.iter().map(|user| &user.key).collect();
        let mut known = store.known(&keys)?;
        for user in nameless {
            user.remote_id = known.remove(&user.key).map(|known| known.remote_id);
        }
        refer(&self.case.config.mapping, store, wanted.iter_mut())?;
        Ok(wanted)
    }

    /// Ends the tenant's part: nothing of it was remembered.
    fn broken<T>(mut self, why: String, options: &Options) -> Errands<T> {
        if !self.ended() {
            self.report.end = TenantEnd::Early(Ended::Broken { why });
        }
        self.closed(None, options)
    }

    /// Closes the run with what was found.
    fn closed<T>(mut self, found: Option<T>, options: &Options) -> Errands<T> {
        let Some(mut store) = self.store.take() else { return (self.report, found) };
        if let Err(error) = self.keep_pace(&mut store) {
            return (end(self.report, of_store(&error)), None);
        }
        (close_early(store, self.report, options), found)
    }
}
