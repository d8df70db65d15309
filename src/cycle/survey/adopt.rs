//! Taking a target's own list of all users for what is known of them.

use super::{Errand, Errands, each};
use crate::{
    config::{Config, TenantConfig},
    cycle::{
        CycleReport, Options, Progress, TenantEnd,
        tenant::{Desk, of_store},
    },
    engine::{
        diff::{Diff, diff},
        drift::{contrasts, taken_in},
        listing::Census,
        plan::{SHARED, count_users},
    },
    model::{
        Attributes, Fingerprint, Forecast, Held, HeldReason, Known, Listed as Entry, Plan,
        RemoteId, SourceId, Standing, TenantId, UserKey, Wanted,
    },
    store::{Account, Holder, Imported, Store, StoreError},
};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
    time::Duration,
};

/// What came of one tenant's list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listed {
    /// Entries of the list, and its pages.
    pub entries: u64,
    pub pages: u32,
    /// Users of the roster whom it has; what it shows of them is known now.
    pub known: u64,
    /// Of them, those of whom nothing, or something else, was known before.
    pub news: u64,
    /// Users of the roster whom it does not have. Nothing is said of them: no list is proof that
    /// somebody is not there.
    pub unlisted: u64,
    /// Entries that are nobody's: neither in the roster nor known here. Never touched.
    pub unmanaged: u64,
}

/// Takes what each target lists of its users for what is known of those in the roster, all of a tenant
/// or nothing. Sends nothing but reads.
pub async fn adopt_listed(
    config: &Config,
    source: &SourceId,
    options: &Options,
    holder: &Holder,
    progress: &Arc<dyn Progress>,
) -> (CycleReport, BTreeMap<TenantId, Listed>) {
    let errand = Errand { config, source, options, holder };
    each(errand, progress, |desk, options, progress| async move {
        desk.adopt_listed(&options, &progress).await
    })
    .await
}

impl Desk {
    async fn adopt_listed(
        mut self,
        options: &Options,
        progress: &Arc<dyn Progress>,
    ) -> Errands<Listed> {
        if let Some(unlisted) = self.unlistable() {
            return self.broken(unlisted.to_string(), options);
        }
        let Some(census) = self.list(options, progress).await else {
            return self.closed(None, options);
        };
        let Some(mut store) = self.store.take() else { return (self.report, None) };
        let matched = Matched::of(&self.case.intake.wanted, census);
        let adopted = matched.adopt(&self.case.config, self.case.view.view, &mut store);
        self.store = Some(store);
        match adopted {
            Ok((listed, shared)) => {
                self.report.plan = Some(self.told(shared));
                self.report.end = TenantEnd::Done;
                self.first_measure(listed, options)
            }
            Err(error) => {
                self.report.end = of_store(&error);
                self.closed(None, options)
            }
        }
    }

    /// A plan that sends nothing, for who is held.
    fn told(&self, shared: Vec<UserKey>) -> Plan {
        let intake = &self.case.intake;
        let mut held = intake.held.clone();
        held.extend(shared.into_iter().map(shared_id));
        held.sort();
        let in_scope = intake.untouched + intake.wanted.len() as u64;
        Plan {
            tenant: self.case.config.id.clone(),
            users: in_scope + count_users(&intake.held),
            unchanged: in_scope,
            operations: Vec::new(),
            held,
            leavers: Vec::new(),
            guards: Vec::new(),
            forecast: Forecast { requests: 0, duration: Duration::ZERO },
        }
    }

    /// As every import, it is the measure for the roster of the next run where there is none.
    fn first_measure(mut self, listed: Listed, options: &Options) -> Errands<Listed> {
        let Some(mut store) = self.store.take() else { return (self.report, None) };
        let (view, facts) = (self.case.view, self.case.facts.clone());
        let closed = self.keep_pace(&mut store).and_then(|()| {
            let now = self.clock.now();
            crate::cycle::close::close(&mut store, view, &facts, &self.report, options, now)
        });
        match closed {
            Ok(()) => (self.report, Some(listed)),
            Err(error) => {
                self.report.end = of_store(&error);
                (self.report, None)
            }
        }
    }
}

/// The roster beside a list, by the ids at the target.
struct Matched<'a> {
    users: Vec<(&'a Wanted, Attributes)>,
    /// Ids of the other entries.
    others: BTreeSet<RemoteId>,
    shared: Vec<UserKey>,
    listed: Listed,
}

impl<'a> Matched<'a> {
    fn of(wanted: &'a [Wanted], census: Census) -> Self {
        let Census { users: entries, unnamed, pages } = census;
        let count = entries.len() as u64 + unnamed;
        let mut by_id: HashMap<RemoteId, Vec<&Wanted>> = HashMap::new();
        for user in wanted {
            by_id.entry(user.remote_id.folded()).or_default().push(user);
        }
        let mut shared = Vec::new();
        let (mut users, mut others) = (Vec::new(), BTreeSet::new());
        for Entry { remote_id, attributes } in entries {
            match by_id.remove(&remote_id).as_deref() {
                None => _ = others.insert(remote_id),
                Some([user]) => users.push((*user, attributes)),
                Some(sharers) => shared.extend(sharers.iter().map(|user| user.key.clone())),
            }
        }
        shared.sort();
        // Whoever is left was asked for and is not there.
        let unlisted = by_id.values().map(Vec::len).sum::<usize>() as u64;
        let listed = Listed {
            entries: count,
            pages,
            known: users.len() as u64,
            news: 0,
            unlisted,
            unmanaged: unnamed,
        };
        Self { users, others, shared, listed }
    }

    /// Writes all of it in one go. Returns whose ids are not theirs alone, too.
    fn adopt(
        self,
        tenant: &TenantConfig,
        view: Fingerprint,
        store: &mut Store,
    ) -> Result<(Listed, Vec<UserKey>), StoreError> {
        let Self { users, others, mut shared, mut listed } = self;
        let owned = store.owners(&others.iter().collect())?;
        listed.unmanaged += (others.len() - owned.len()) as u64;
        let mut accounts = Vec::new();
        for part in users.chunks(CHUNK) {
            let keys: Vec<&UserKey> = part.iter().map(|(user, _)| &user.key).collect();
            let mut known = store.known(&keys)?;
            tenant.mapping.judge_drift(known.values_mut());
            let news = part
                .iter()
                .filter_map(|(user, shown)| account(tenant, user, known.get(&user.key), shown));
            accounts.extend(news);
        }
        if accounts.is_empty() {
            return Ok((listed, shared));
        }
        let ((), imported) = store.import(view, |import| {
            accounts.into_iter().try_for_each(|(account, row)| import.add(account, row))
        })?;
        let Imported { adopted, shared: also } = imported;
        listed.news = adopted;
        listed.known -= also.len() as u64;
        shared.extend(also);
        Ok((listed, shared))
    }
}

/// Users whose accounts are asked for together.
const CHUNK: usize = 5000;

/// The user's account as the list shows it, with the fingerprint of the row when nothing else is wished;
/// `None`: it is known like that already.
fn account(
    tenant: &TenantConfig,
    user: &Wanted,
    known: Option<&Known>,
    shown: &Attributes,
) -> Option<(Account, Option<Fingerprint>)> {
    let unseen = Known::unseen(user.remote_id.clone());
    let found = known.filter(|known| known.remote_id == user.remote_id);
    let known = found.unwrap_or(&unseen);
    let told = contrasts(user, Some(known), shown, &|path| tenant.mapping.on_drift(path));
    let noted = taken_in(user, known, shown, &told).map(|(_, wishes)| wishes);
    let mut attributes = known.attributes.clone();
    attributes.extend(shown.iter().map(|(path, value)| (path.clone(), value.clone())));
    let is_settled = known.standing == Standing::Settled;
    if is_settled && noted.is_none() && attributes == known.attributes {
        return None;
    }
    let seen = Known { attributes, standing: Standing::Settled, ..known.clone() };
    // Whoever was in doubt is looked at once more, and whoever was changed is planned.
    let is_as_wished = (found.is_none() || is_settled)
        && noted.is_none()
        && user.withheld.is_empty()
        && seen.suspect.is_empty()
        && diff(&user.attributes, &seen) == Diff::default();
    let Known { remote_id, attributes, refused, .. } = &seen;
    let (key, remote_id) = (user.key.clone(), remote_id.clone());
    let account = Account::with_refused(key, remote_id, attributes, refused);
    let account = match noted {
        Some(wishes) => account.drifted(wishes),
        None => account,
    };
    Some((account, is_as_wished.then_some(user.fingerprint)))
}

fn shared_id(key: UserKey) -> Held {
    Held {
        key,
        reason: HeldReason::SharedRemoteId,
        attribute: None,
        line: None,
        why: SHARED.to_owned(),
        others_go: false,
        timer: None,
        sides: None,
    }
}
