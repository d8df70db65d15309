//! Asking a target what it holds now.

use super::looks::Looks;
use crate::{
    cycle::{
        Options, Phase, Progress, Results, TenantEnd,
        recorder::Journal,
        tenant::{Desk, of_store},
    },
    engine::{diff::canonical, listing::Census},
    model::{Action, AttrPath, Attributes, Operation, Outcome, UserKey, Wanted},
    sender::{Ended, Unlisted},
    store::{Store, StoreError},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

impl Desk {
    /// All users of the tenant, as its list shows them; `None`: there is no list, and the tenant's end
    /// says why.
    pub(super) async fn list(
        &mut self,
        options: &Options,
        progress: &Arc<dyn Progress>,
    ) -> Option<Census> {
        let (lane, journal) = (self.lane(options)?, self.journal(options)?);
        let mut of_use = self.case.remembered();
        of_use.extend(self.case.config.mapping.link().iter().cloned());
        let keep = |shown: Attributes| kept(&of_use, &shown);
        let tenant = self.case.config.id.clone();
        progress.begin(&tenant, Phase::Reading, self.case.facts.users);
        let told = AtomicU64::new(0);
        let step = {
            let (progress, tenant) = (progress.clone(), tenant.clone());
            move |found: u64| {
                for _ in told.swap(found, Ordering::Relaxed)..found {
                    progress.step(&tenant);
                }
            }
        };
        let (listed, delivered) = lane.list(&journal, &keep, &step).await;
        progress.end(&tenant);
        self.take_back(journal.finish().map(|closed| closed.store));
        self.count(delivered);
        match listed {
            Ok(census) => Some(census).filter(|_| !self.ended()),
            Err(unlisted) => {
                if !self.ended() {
                    let why = unlisted.to_string();
                    self.report.end = TenantEnd::Early(Ended::Broken { why });
                }
                None
            }
        }
    }

    /// Looks at each of these users; what became of each read, as far as there was one. `None`: nobody
    /// was looked at, and the tenant's end says why.
    pub(super) async fn look(
        &mut self,
        users: &[&Wanted],
        options: &Options,
        progress: &Arc<dyn Progress>,
    ) -> Option<BTreeMap<UserKey, Outcome>> {
        let (lane, journal) = (self.lane(options)?, self.journal(options)?);
        let tenant = self.case.config.id.clone();
        progress.begin(&tenant, Phase::Reading, users.len() as u64);
        let step = {
            let (progress, tenant) = (progress.clone(), tenant.clone());
            move |_: &Outcome| progress.step(&tenant)
        };
        let looks = Arc::new(Looks::new(journal));
        let reads = users.iter().map(|wanted| Operation {
            key: wanted.key.clone(),
            remote_id: wanted.remote_id.clone(),
            action: Action::Read,
        });
        let delivered = lane.deliver(reads.collect(), &looks, Arc::new(step)).await;
        progress.end(&tenant);
        let looks = Arc::into_inner(looks)?;
        let remembered = self.case.remembered();
        let seen = match looks.finish() {
            Ok((store, seen)) => {
                self.take_back(Ok(store));
                seen
            }
            Err(error) => {
                self.take_back(Err(error));
                BTreeMap::new()
            }
        };
        self.count(delivered);
        let of_use = |outcome| match outcome {
            Outcome::Settled { shown, unverified } => {
                Outcome::Settled { shown: kept(&remembered, &shown), unverified }
            }
            other => other,
        };
        Some(seen.into_iter().map(|(key, outcome)| (key, of_use(outcome))).collect())
    }

    /// Why the tenant's users cannot be listed, if they cannot.
    pub(super) fn unlistable(&self) -> Option<Unlisted> {
        self.case.config.dialect.lists().err().map(Unlisted::NotOffered)
    }

    /// What is recorded of requests that are no operation of a plan.
    fn journal(&mut self, options: &Options) -> Option<Journal> {
        let store = self.store.take()?;
        let (scribe, keep) = (&*self.edges.scribe, self.case.remembered());
        let (run, nobody) = (options.run.clone(), BTreeMap::new());
        let journal = Journal::new(store, scribe, run, nobody, keep, Results::default());
        journal.map_err(|error| self.report.end = of_store(&error)).ok()
    }

    fn take_back(&mut self, store: Result<Store, StoreError>) {
        match store {
            Ok(store) => self.store = Some(store),
            Err(error) => self.report.end = of_store(&error),
        }
    }
}

/// What is remembered of what is shown, in the normal form of the wishes.
fn kept(remembered: &BTreeSet<AttrPath>, shown: &Attributes) -> Attributes {
    let mut kept = canonical(shown);
    kept.retain(|path, _| remembered.contains(path));
    kept
}
