//! Taking a target's own list of all users for what is known of them.

use super::{
    Errand, Errands, each,
    link::{Found, Search, search},
};
use crate::{
    config::{Config, TenantConfig},
    cycle::{
        CycleReport, Options, Progress, TenantEnd,
        life::mark_moved,
        tenant::{Desk, of_store},
    },
    engine::{
        diff::{Diff, diff},
        drift::{contrasts, taken_in},
        listing::Census,
        plan::{SHARED, TAKEN, count_users, is_of, several},
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
            Ok((listed, held)) => {
                self.report.plan = Some(self.told(&listed, held));
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
    fn told(&self, listed: &Listed, mut held: Vec<Held>) -> Plan {
        held.extend(self.case.intake.held.iter().cloned());
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

/// The roster beside a list.
struct Matched<'a> {
    /// What the list shows; the others speak of these by number.
    entries: Vec<Entry>,
    users: Vec<(&'a Wanted, usize)>,
    /// Users of whom nobody knows the id.
    nameless: Vec<&'a Wanted>,
    /// Entries that nobody's id names.
    free: BTreeSet<usize>,
    held: Vec<Held>,
    listed: Listed,
}

/// Accounts as the list shows them, each with the fingerprint of its row when nothing else is wished.
type Accounts = Vec<(Account, Option<Fingerprint>)>;

/// Where and when a list becomes what is known.
struct Place<'a> {
    tenant: &'a TenantConfig,
    view: Fingerprint,
    remembered: BTreeSet<AttrPath>,
    run: &'a RunId,
    now: Timestamp,
}

impl<'a> Matched<'a> {
    /// By the ids at the target.
    fn of(wanted: &'a [Wanted], census: Census) -> Self {
        let Census { users: entries, unnamed, pages } = census;
        let mut by_id: HashMap<RemoteId, Vec<&Wanted>> = HashMap::new();
        let (mut users, mut nameless) = (Vec::new(), Vec::new());
        for user in wanted {
            match &user.remote_id {
                Some(id) => by_id.entry(id.folded()).or_default().push(user),
                None => nameless.push(user),
            }
        }
        let (mut held, mut free) = (Vec::new(), BTreeSet::new());
        for (number, entry) in entries.iter().enumerate() {
            match by_id.remove(&entry.remote_id).as_deref() {
                None => _ = free.insert(number),
                Some([user]) => users.push((*user, number)),
                Some(sharers) => held.extend(sharers.iter().map(|user| shared_id(&user.key))),
            }
        }
        // Whoever is left was asked for and is not there.
        let unlisted = by_id.values().map(Vec::len).sum::<usize>() as u64;
        let listed = Listed {
            entries: entries.len() as u64 + unnamed,
            pages,
            known: users.len() as u64,
            unlisted,
            unmanaged: unnamed,
            ..Listed::default()
        };
        Self { entries, users, nameless, free, held, listed }
    }

    /// Writes all of it in one go. Returns who is held besides, too.
    fn adopt(
        mut self,
        place: &Place<'_>,
        store: &mut Store,
    ) -> Result<(Listed, Vec<Held>), StoreError> {
        let id = |number: &usize| &self.entries[*number].remote_id;
        let owned = store.owners(&self.free.iter().map(id).collect())?;
        self.free.retain(|number| !owned.contains_key(&self.entries[*number].remote_id));
        let mut accounts = self.link(place, store)?;
        let Self { entries, users, nameless: _, free, mut held, mut listed } = self;
        listed.unmanaged += free.len() as u64;
        let mut moved = false;
        for part in users.chunks(CHUNK) {
            let keys: Vec<&UserKey> = part.iter().map(|(user, _)| &user.key).collect();
            let mut known = store.known(&keys)?;
            place.tenant.mapping.judge_drift(known.values_mut());
            let is_moved = |(user, _): &(&Wanted, usize)| {
                known.get(&user.key).is_some_and(|known| !is_of(user, known))
            };
            moved |= part.iter().any(is_moved);
            let news = part.iter().filter_map(|(user, number)| {
                account(place, user, known.get(&user.key), &entries[*number].attributes)
            });
            accounts.extend(news);
        }
        if accounts.is_empty() {
            return Ok((listed, held));
        }
        if moved {
            mark_moved(&place.tenant.mapping, store, place.now)?;
        }
        let ((), imported) = store.import(place.view, |import| {
            accounts.into_iter().try_for_each(|(account, row)| import.add(account, row))
        })?;
        let Imported { adopted, shared } = imported;
        listed.news = adopted;
        listed.known -= shared.len() as u64;
        held.extend(shared.iter().map(shared_id));
        Ok((listed, held))
    }

    /// Accounts of users of whom nobody knew theirs, by what they are looked for by. For whom one may
    /// have been made that nobody has seen, the next run looks itself.
    fn link(&mut self, place: &Place<'_>, store: &Store) -> Result<Accounts, StoreError> {
        let by = place.tenant.mapping.link();
        let creating = store.creating(by)?;
        let nameless = self.nameless.len();
        self.nameless.retain(|user| !creating.contains_key(&user.key));
        let Search { found, several: many, taken } =
            search(&self.nameless, by, &self.entries, &self.free);
        let unlisted = nameless - found.len() - many.len() - taken.len();
        self.listed.unlisted += unlisted as u64;
        let ambiguous = |(user, count): (&Wanted, usize)| {
            hold(&user.key, HeldReason::Ambiguous, several(count))
        };
        self.held.extend(many.into_iter().map(ambiguous));
        let is_taken =
            |user: &Wanted| hold(&user.key, HeldReason::SharedRemoteId, TAKEN.to_owned());
        self.held.extend(taken.into_iter().map(is_taken));
        self.listed.linked = found.len() as u64;
        self.listed.known += self.listed.linked;
        let mut accounts = Vec::new();
        for Found { user, entry, by } in found {
            self.free.remove(&entry);
            let Entry { remote_id, attributes } = &self.entries[entry];
            let named = Wanted { remote_id: Some(remote_id.clone()), ..user.clone() };
            let made = account(place, &named, None, attributes);
            let linked =
                |(account, row): (Account, _)| (account.linked(&by, place.run, place.now), row);
            accounts.extend(made.map(linked));
        }
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
        && !user.is_incomplete()
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

fn shared_id(key: &UserKey) -> Held {
    hold(key, HeldReason::SharedRemoteId, SHARED.to_owned())
}

fn hold(key: &UserKey, reason: HeldReason, why: String) -> Held {
    Held {
        key: key.clone(),
        reason,
        attribute: None,
        line: None,
        why,
        others_go: false,
        timer: None,
        sides: None,
    }
}
