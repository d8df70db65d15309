//! Taking a target's own list of all users for what is known of them.

use super::{
    Errand, Errands, each,
    link::{self, Found},
};
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
        plan::{SHARED, count_users, is_of},
    },
    model::{
        AttrPath, Attributes, Fingerprint, Forecast, Held, HeldReason, Known, Listed as Entry,
        Plan, RemoteId, RunId, SourceId, Standing, TenantId, UserKey, Wanted,
    },
    store::{Account, Holder, Imported, Store, StoreError},
};
use jiff::Timestamp;
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
    /// Of them, those whom the roster names no id of, and who were found by another attribute.
    pub linked: u64,
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
        let wanted = self.with_ids();
        let Some(mut store) = self.store.take() else { return (self.report, None) };
        let place = Place {
            tenant: &self.case.config,
            view: self.case.view.view,
            remembered: self.case.remembered(),
            run: &options.run,
            now: self.clock.now(),
        };
        let adopted =
            wanted.and_then(|wanted| Matched::of(&wanted, census).adopt(&place, &mut store));
        self.store = Some(store);
        match adopted {
            Ok((listed, shared)) => {
                self.report.plan = Some(self.told(&listed, shared));
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
    fn told(&self, listed: &Listed, shared: Vec<UserKey>) -> Plan {
        let intake = &self.case.intake;
        let mut held = intake.held.clone();
        held.extend(shared.into_iter().map(shared_id));
        held.sort();
        let unchanged = listed.known + listed.unlisted;
        Plan {
            tenant: self.case.config.id.clone(),
            users: unchanged + count_users(&held),
            unchanged,
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
    /// Users of whom nobody knows the id.
    nameless: Vec<&'a Wanted>,
    /// The other entries.
    others: Vec<Entry>,
    shared: Vec<UserKey>,
    listed: Listed,
}

/// Where and when a list becomes what is known.
struct Place<'a> {
    tenant: &'a TenantConfig,
    view: Fingerprint,
    remembered: BTreeSet<AttrPath>,
    run: &'a RunId,
    now: Timestamp,
}

impl<'a> Matched<'a> {
    fn of(wanted: &'a [Wanted], census: Census) -> Self {
        let Census { users: entries, unnamed, pages } = census;
        let count = entries.len() as u64 + unnamed;
        let mut by_id: HashMap<RemoteId, Vec<&Wanted>> = HashMap::new();
        let (mut users, mut nameless) = (Vec::new(), Vec::new());
        for user in wanted {
            match &user.remote_id {
                Some(id) => by_id.entry(id.folded()).or_default().push(user),
                None => nameless.push(user),
            }
        }
        let (mut shared, mut others) = (Vec::new(), Vec::new());
        for Entry { remote_id, attributes } in entries {
            match by_id.remove(&remote_id).as_deref() {
                None => others.push(Entry { remote_id, attributes }),
                Some([user]) => users.push((*user, attributes)),
                Some(sharers) => shared.extend(sharers.iter().map(|user| user.key.clone())),
            }
        }
        shared.sort();
        // Whoever is left was asked for and is not there.
        let unlisted = by_id.values().map(Vec::len).sum::<usize>() as u64;
        let known = users.len() as u64;
        let listed = Listed {
            entries: count,
            pages,
            known,
            unlisted,
            unmanaged: unnamed,
            ..Listed::default()
        };
        Self { users, nameless, others, shared, listed }
    }

    /// Writes all of it in one go. Returns whose ids are not theirs alone, too.
    fn adopt(
        mut self,
        place: &Place<'_>,
        store: &mut Store,
    ) -> Result<(Listed, Vec<UserKey>), StoreError> {
        let owned = store.owners(&self.others.iter().map(|entry| &entry.remote_id).collect())?;
        self.others.retain(|entry| !owned.contains_key(&entry.remote_id));
        let mut accounts = self.links(place, store)?;
        let Self { users, nameless: _, others, mut shared, mut listed } = self;
        listed.unmanaged += others.len() as u64;
        for part in users.chunks(CHUNK) {
            let keys: Vec<&UserKey> = part.iter().map(|(user, _)| &user.key).collect();
            let mut known = store.known(&keys)?;
            place.tenant.mapping.judge_drift(known.values_mut());
            let news = part
                .iter()
                .filter_map(|(user, shown)| account(place, user, known.get(&user.key), shown));
            accounts.extend(news);
        }
        if accounts.is_empty() {
            return Ok((listed, shared));
        }
        let ((), imported) = store.import(place.view, |import| {
            accounts.into_iter().try_for_each(|(account, row)| import.add(account, row))
        })?;
        let Imported { adopted, shared: also } = imported;
        listed.news = adopted;
        listed.known -= also.len() as u64;
        shared.extend(also);
        Ok((listed, shared))
    }

    /// Accounts of users of whom nobody knew theirs. For whom one may have been made that nobody has
    /// seen, the next run looks itself.
    fn links(
        &mut self,
        place: &Place<'_>,
        store: &Store,
    ) -> Result<Vec<(Account, Option<Fingerprint>)>, StoreError> {
        let creating = store.creating()?;
        self.nameless.retain(|user| !creating.contains(&user.key));
        let found = link::find(&self.nameless, place.tenant.mapping.link(), &self.others);
        let mut accounts = Vec::new();
        let mut taken = BTreeSet::new();
        for Found { user, entry, by } in found {
            let Entry { remote_id, attributes } = &self.others[entry];
            let named = Wanted { remote_id: Some(remote_id.clone()), ..user.clone() };
            let made = account(place, &named, None, attributes);
            accounts.extend(
                made.map(|(account, row)| (account.linked(&by, place.run, place.now), row)),
            );
            taken.insert(entry);
        }
        let mut number = 0;
        self.others.retain(|_| {
            number += 1;
            !taken.contains(&(number - 1))
        });
        let (linked, nameless) = (taken.len() as u64, self.nameless.len() as u64);
        self.listed.linked = linked;
        self.listed.known += linked;
        self.listed.unlisted += nameless - linked;
        Ok(accounts)
    }
}

/// Users whose accounts are asked for together.
const CHUNK: usize = 5000;

/// The user's account as the list shows it, with the fingerprint of the row when nothing else is wished;
/// `None`: it is known like that already, or nobody knows whose it is.
fn account(
    place: &Place<'_>,
    user: &Wanted,
    known: Option<&Known>,
    shown: &Attributes,
) -> Option<(Account, Option<Fingerprint>)> {
    let mapping = &place.tenant.mapping;
    let unseen = Known::unseen(user.remote_id.clone()?);
    let found = known.filter(|known| is_of(user, known));
    let known = found.unwrap_or(&unseen);
    let told = contrasts(user, Some(known), shown, &|path| mapping.on_drift(path));
    let noted = taken_in(user, known, shown, &told).map(|(_, wishes)| wishes);
    let mut attributes = known.attributes.clone();
    // What users are only looked for by is not remembered.
    let kept = shown.iter().filter(|(path, _)| place.remembered.contains(path));
    attributes.extend(kept.map(|(path, value)| (path.clone(), value.clone())));
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
