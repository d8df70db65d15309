//! Who changed what: accounts as they are now, beside what is wished and what was known.

use super::{Errand, Errands, each};
use crate::{
    config::{Config, TenantConfig},
    cycle::{
        CycleReport, Failure, Options, Progress, TenantEnd,
        tenant::{Desk, of_store},
    },
    engine::{
        drift::{Drift, Sight, contrasts, taken_in},
        listing::Census,
    },
    model::{
        Attributes, Fingerprint, Known, Outcome, RemoteId, RunId, SourceId, Standing, TenantId,
        UserKey, Wanted,
    },
    store::{Account, DriftSample, Holder, Store, StoreError},
};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

/// Whose accounts are looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Whom {
    /// Everybody's, by the list of all users where there is one.
    Everybody,
    /// So many, drawn anew by each run.
    Sample(usize),
    /// Theirs whom the options name.
    Named,
    /// Theirs whom a plan names, by tenant.
    Planned(BTreeMap<TenantId, BTreeSet<UserKey>>),
}

/// What came of one tenant's accounts.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Compared {
    /// They were read as a list.
    pub by_list: bool,
    /// Users whose account was seen, or said not to be there.
    pub looked: u64,
    /// Of them, those of whom everything is as wished.
    pub in_step: u64,
    /// The others, and whom the list does not have; sorted by key.
    pub drifts: Vec<Drift>,
    /// Users of whom something was noted for the next run.
    pub noted: u64,
    /// More were changed by others than `max_drift` allows: the next plan is held.
    pub holds: bool,
}

impl Compared {
    /// Users whom others have changed.
    #[must_use]
    pub fn changed(&self) -> u64 {
        self.drifts.iter().filter(|drift| drift.is_drift()).count() as u64
    }
}

/// Looks at accounts and says attribute by attribute who changed them. Sends nothing but reads; of
/// what is known it changes only what others have changed, for the rules' `on_drift` to have its say.
pub async fn compare(
    config: &Config,
    source: &SourceId,
    options: &Options,
    whom: &Whom,
    holder: &Holder,
    progress: &Arc<dyn Progress>,
) -> (CycleReport, BTreeMap<TenantId, Compared>) {
    let errand = Errand { config, source, options, holder };
    let whom = Arc::new(whom.clone());
    each(errand, progress, |desk, options, progress| {
        let whom = whom.clone();
        async move { desk.compare(&whom, &options, &progress).await }
    })
    .await
}

/// Everybody who was asked for, with what the target shows.
type Seen<'a> = Vec<(&'a Wanted, Live)>;

enum Live {
    Shown(Attributes),
    Missing,
    Unlisted,
}

impl Desk {
    async fn compare(
        mut self,
        whom: &Whom,
        options: &Options,
        progress: &Arc<dyn Progress>,
    ) -> Errands<Compared> {
        let by_list = *whom == Whom::Everybody && self.unlistable().is_none();
        if !by_list && !self.case.config.reads {
            let why = "the tenant offers no list of users, and `reads = false` keeps its users from \
                       being read one by one";
            return self.broken(why.to_owned(), options);
        }
        let mut wanted = match self.with_ids() {
            Ok(wanted) => wanted,
            Err(error) => {
                self.report.end = of_store(&error);
                return self.closed(None, options);
            }
        };
        // Of whom nobody knows the account, nothing can be looked at.
        wanted.retain(|user| user.remote_id.is_some());
        let asked = asked_for(&wanted, whom, &self.case.config.id, &options.run);
        let seen = if by_list {
            let census = self.list(options, progress).await;
            census.map(|census| of_list(&asked, census))
        } else {
            let reads = self.look(&asked, options, progress).await;
            reads.map(|reads| self.of_reads(&asked, reads))
        };
        let (Some(seen), Some(mut store)) = (seen, self.store.take()) else {
            return self.closed(None, options);
        };
        let counts = matches!(whom, Whom::Everybody | Whom::Sample(_));
        let sample = counts.then(|| self.clock.now());
        let view = self.case.view.view;
        let compared = conclude(&self.case.config, view, &seen, sample, &mut store);
        self.store = Some(store);
        match compared {
            Ok(compared) => {
                if !self.ended() {
                    self.report.end = TenantEnd::Done;
                }
                self.closed(Some(Compared { by_list, ..compared }), options)
            }
            Err(error) => {
                self.report.end = of_store(&error);
                self.closed(None, options)
            }
        }
    }

    /// Whoever could not be looked at is a failure of this run and no drift.
    fn of_reads<'a>(
        &mut self,
        asked: &[&'a Wanted],
        mut reads: BTreeMap<UserKey, Outcome>,
    ) -> Seen<'a> {
        let mut seen = Vec::new();
        let results = &mut self.report.results;
        for user in asked {
            let why = match reads.remove(&user.key) {
                None => continue,
                Some(Outcome::Settled { shown, unverified: _ }) => {
                    results.read += 1;
                    seen.push((*user, Live::Shown(shown)));
                    continue;
                }
                Some(Outcome::Gone) => {
                    results.read += 1;
                    seen.push((*user, Live::Missing));
                    continue;
                }
                Some(Outcome::Refused(refusal)) => format!("status {}", refusal.status),
                Some(Outcome::InDoubt { why } | Outcome::Deferred { why }) => why,
                Some(
                    Outcome::Matched { .. }
                    | Outcome::Nobody
                    | Outcome::Ambiguous { .. }
                    | Outcome::Created { .. }
                    | Outcome::Deleted,
                ) => "the answer is none to a read".to_owned(),
            };
            results.deferred += 1;
            let failure = Failure { status: None, code: String::new(), why };
            results.failures.insert(user.key.clone(), failure);
        }
        seen
    }
}

fn asked_for<'a>(
    wanted: &'a [Wanted],
    whom: &Whom,
    tenant: &TenantId,
    run: &RunId,
) -> Vec<&'a Wanted> {
    let all = wanted.iter();
    match whom {
        // Whom the options name are all that were gathered.
        Whom::Everybody | Whom::Named => all.collect(),
        Whom::Planned(planned) => {
            let planned = planned.get(tenant);
            all.filter(|user| planned.is_some_and(|keys| keys.contains(&user.key))).collect()
        }
        Whom::Sample(size) => {
            let mut drawn: Vec<&Wanted> = all.collect();
            let lot =
                |user: &&Wanted| Fingerprint::of([Some(run.as_str()), Some(user.key.as_str())]);
            drawn.sort_by_cached_key(lot);
            drawn.truncate(*size);
            drawn
        }
    }
}

fn of_list<'a>(asked: &[&'a Wanted], census: Census) -> Seen<'a> {
    let listed = census.users.into_iter().map(|entry| (entry.remote_id, entry.attributes));
    let mut listed: HashMap<RemoteId, Attributes> = listed.collect();
    let live = |user: &&'a Wanted| {
        let id = user.remote_id.as_ref().map(RemoteId::folded);
        let shown = id.and_then(|id| listed.remove(&id));
        (*user, shown.map_or(Live::Unlisted, Live::Shown))
    };
    asked.iter().map(live).collect()
}

/// Users whose accounts are asked for together.
const CHUNK: usize = 5000;

/// `sample`: when these users were looked at to stand for all of the tenant.
fn conclude(
    tenant: &TenantConfig,
    view: Fingerprint,
    seen: &[(&Wanted, Live)],
    sample: Option<jiff::Timestamp>,
    store: &mut Store,
) -> Result<Compared, StoreError> {
    let (mut compared, mut news, mut strangers) = (Compared::default(), Vec::new(), 0);
    for part in seen.chunks(CHUNK) {
        let keys: Vec<&UserKey> = part.iter().map(|(user, _)| &user.key).collect();
        let mut known = store.known(&keys)?;
        tenant.mapping.judge_drift(known.values_mut());
        for (user, live) in part {
            let known = known.get(&user.key);
            strangers += u64::from(known.is_none_or(|known| known.standing != Standing::Settled));
            let drift = compared.take(tenant, user, known, live, &mut news);
            compared.drifts.extend(drift);
        }
    }
    compared.drifts.sort_by(|a, b| a.key.cmp(&b.key));
    compared.noted = news.len() as u64;
    if !news.is_empty() {
        store.import(view, |import| {
            news.into_iter().try_for_each(|account| import.add(account, None))
        })?;
    }
    let looked = compared.looked.saturating_sub(strangers);
    if let Some(at) = sample.filter(|_| looked > 0) {
        let changed = compared.changed().min(looked);
        compared.holds = tenant.limits.max_drift.exceeded(changed, looked);
        store.note_drift_sample(&DriftSample { at, looked, changed })?;
    }
    Ok(compared)
}

impl Compared {
    fn take(
        &mut self,
        tenant: &TenantConfig,
        user: &Wanted,
        known: Option<&Known>,
        live: &Live,
        news: &mut Vec<Account>,
    ) -> Option<Drift> {
        let drift = |sight| Some(Drift { key: user.key.clone(), sight });
        let shown = match live {
            Live::Shown(shown) => shown,
            Live::Unlisted => return drift(Sight::Unlisted),
            Live::Missing => {
                self.looked += 1;
                return drift(Sight::Missing);
            }
        };
        self.looked += 1;
        let told = contrasts(user, known, shown, &|path| tenant.mapping.on_drift(path));
        let taken = known.and_then(|known| Some((known, taken_in(user, known, shown, &told)?)));
        if let Some((known, (attributes, wishes))) = taken {
            let (key, remote_id) = (user.key.clone(), known.remote_id.clone());
            let account = Account::with_refused(key, remote_id, &attributes, &known.refused);
            news.push(account.drifted(wishes));
        }
        if told.is_empty() {
            self.in_step += 1;
            return None;
        }
        drift(Sight::Contrasts(told))
    }
}
