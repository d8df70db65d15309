//! Who is known of the tenants of one source, packed: 33 bytes a user and a few bits for each
//! tenant, found by the fingerprint of the key.
//!
//! Tenants fed by one source mostly know the same users by the same rows. The entries of the one
//! that knows most are held once, and of every tenant only two bits a user: *has an account* and
//! *has settled this very row*. A page that is the same in two tenants is not even read twice.
//!
//! ```text
//!  key ──► bucket (the key's first bits) ──► entry: key, row ──► bits of each tenant
//! ```
//!
//! A lookup that missed a match would only cost a comparison, and one that found a wrong match
//! would need two keys or two rows of 128 equal bits: of a million users in a thousand nights, a
//! chance of about 10^-21 (birthday bound: pairs / 2^128).

mod build;
mod level;

use super::bits::Bits;
use crate::model::Fingerprint;
use build::Builder;
use level::Level;

/// A user's key, and the row that was settled last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    pub key: Fingerprint,
    /// [`UNSETTLED`] when there is none.
    pub row: Fingerprint,
}

/// No row has this fingerprint.
pub const UNSETTLED: Fingerprint = Fingerprint(0);

impl Entry {
    pub const BYTES: usize = 32;

    #[must_use]
    pub fn to_bytes(self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        bytes[..16].copy_from_slice(&self.key.0.to_be_bytes());
        bytes[16..].copy_from_slice(&self.row.0.to_be_bytes());
        bytes
    }

    #[must_use]
    pub fn from_bytes(bytes: &[u8; Self::BYTES]) -> Self {
        let half = |from: usize| {
            let mut half = [0; 16];
            half.copy_from_slice(&bytes[from..from + 16]);
            Fingerprint(u128::from_be_bytes(half))
        };
        Self { key: half(0), row: half(16) }
    }
}

/// The entries of one tenant are cut into so many pages, by the first bits of the key.
pub const PAGES: usize = 1 << PAGE_BITS;
const PAGE_BITS: u32 = 10;

/// The page that a key belongs to.
#[must_use]
pub fn page_of(key: Fingerprint) -> usize {
    first_bits(key, PAGE_BITS)
}

fn first_bits(key: Fingerprint, bits: u32) -> usize {
    (key.0 >> (128 - bits)) as usize
}

/// What is known of a page without reading it.
#[derive(Clone, Debug)]
pub struct PageHead {
    pub number: usize,
    pub entries: usize,
    /// Pages with equal digests hold the same entries. `None`: it cannot be told without a look.
    pub digest: Option<Fingerprint>,
    /// By entry: the tenant has an account for this user, or once had. The others are users of the
    /// source with whom this tenant has nothing to do.
    pub accounts: Bits,
}

/// The packed entries of one tenant.
pub trait Pages {
    type Error;

    /// Sorted by number.
    fn heads(&self) -> &[PageHead];

    /// Appends the entries of the page that `heads()[at]` is of, sorted by key, each key once.
    fn read(&mut self, at: usize, entries: &mut Vec<Entry>) -> Result<(), Self::Error>;

    /// Accounts of which something may have changed since the pages were written: not settled
    /// whatever the pages say. They need not be in any page.
    fn touched(&self) -> &[Fingerprint];
}

/// A user's number in an [`Index`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place(pub u32);

impl Place {
    #[must_use]
    pub fn at(self) -> usize {
        self.0 as usize
    }
}

#[expect(clippy::cast_possible_truncation, reason = "an index has room for 4 billion users")]
fn place(at: usize) -> Place {
    Place(at as u32)
}

/// Everybody that some tenant of a source has an entry for.
#[derive(Debug, Default)]
pub struct Index {
    /// Entries of the tenant that has most of them.
    base: Level,
    /// Entries that only other tenants have; their places follow those of `base`.
    extra: Level,
    tenants: Vec<Marks>,
    settled_by_all: Bits,
}

/// What one tenant says, by place.
#[derive(Clone, Debug, Default)]
struct Marks {
    account: Bits,
    settled: Bits,
}

impl Index {
    /// Of several tenants, in their order. A tenant whose pages cannot be read has its error in its
    /// place, knows nobody, and keeps no row from counting as settled.
    pub fn of<P: Pages>(mut tenants: Vec<P>) -> (Self, Vec<Result<(), P::Error>>) {
        let mut builder = Builder::for_tenants(&tenants);
        let mut base = tenants.get_mut(builder.base).map(|pages| builder.add_base(pages));
        let mut add = |(at, pages)| match base.take_if(|_| at == builder.base) {
            Some(result) => result,
            None => builder.add(at, pages),
        };
        let results: Vec<_> = tenants.iter_mut().enumerate().map(&mut add).collect();
        let touched: Vec<&[Fingerprint]> = tenants.iter().map(Pages::touched).collect();
        let sound: Vec<bool> = results.iter().map(Result::is_ok).collect();
        (builder.finish(&touched, &sound), results)
    }

    /// Has the user's row looked at again, whatever it says.
    pub fn unsettle(&mut self, key: Fingerprint) {
        let Some(place) = self.find(key) else { return };
        self.settled_by_all.clear(place.at());
        for marks in &mut self.tenants {
            marks.settled.clear(place.at());
        }
    }

    /// Number of places.
    #[must_use]
    pub fn len(&self) -> usize {
        self.base.entries.len() + self.extra.entries.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    #[must_use]
    pub fn find(&self, key: Fingerprint) -> Option<Place> {
        let found = self.base.find(key);
        let extra = || Some(self.base.entries.len() + self.extra.find(key)?);
        found.or_else(extra).map(place)
    }

    /// Finds many keys at once, so that the waits for memory overlap. `places` is emptied first.
    pub fn find_all(&self, keys: &[Fingerprint], places: &mut Vec<Option<Place>>) {
        places.clear();
        self.base.warm(keys);
        places.extend(keys.iter().map(|key| self.find(*key)));
    }

    #[must_use]
    pub fn entry(&self, place: Place) -> Entry {
        let base = self.base.entries.len();
        match place.at().checked_sub(base) {
            None => self.base.entries[place.at()],
            Some(at) => self.extra.entries[at],
        }
    }

    /// Every tenant has settled this very row of the user.
    #[must_use]
    pub fn is_settled(&self, place: Place, row: Fingerprint) -> bool {
        self.entry(place).row == row && self.settled_by_all.get(place.at())
    }

    /// The tenant (by its number) has.
    #[must_use]
    pub fn is_settled_for(&self, tenant: usize, place: Place, row: Fingerprint) -> bool {
        let settled = self.tenants.get(tenant).is_some_and(|marks| marks.settled.get(place.at()));
        settled && self.entry(place).row == row
    }

    /// The tenant has an account for the user, or once had.
    #[must_use]
    pub fn has_account(&self, tenant: usize, place: Place) -> bool {
        self.tenants.get(tenant).is_some_and(|marks| marks.account.get(place.at()))
    }

    /// Everybody for whom the tenant has an account.
    pub fn accounts(&self, tenant: usize) -> impl Iterator<Item = Place> {
        self.tenants.get(tenant).into_iter().flat_map(|marks| marks.account.iter()).map(place)
    }
}

impl Marks {
    fn note(&mut self, at: usize, account: bool, settled: bool) {
        if account {
            self.account.set(at);
        }
        if settled {
            self.settled.set(at);
        }
    }

    fn touch(&mut self, at: usize) {
        self.account.set(at);
        self.settled.clear(at);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::{BTreeMap, BTreeSet};

    /// One tenant's pages: by key its row and whether there is an account; and who is touched.
    #[derive(Clone, Debug)]
    struct Tenant {
        users: BTreeMap<u8, (u8, bool)>,
        touched: BTreeSet<u8>,
        broken: bool,
    }

    struct Kept {
        heads: Vec<PageHead>,
        pages: Vec<Vec<Entry>>,
        touched: Vec<Fingerprint>,
        broken: bool,
    }

    /// Few pages, with some keys in each.
    fn key(user: u8) -> Fingerprint {
        Fingerprint(u128::from(user % 7) << 118 | u128::from(user))
    }

    fn row(row: u8) -> Fingerprint {
        Fingerprint(u128::from(row))
    }

    fn kept(tenant: &Tenant) -> Kept {
        let mut pages: BTreeMap<usize, Vec<(Entry, bool)>> = BTreeMap::new();
        for (user, (settled, account)) in &tenant.users {
            let entry = Entry { key: key(*user), row: row(*settled) };
            pages.entry(page_of(entry.key)).or_default().push((entry, *account));
        }
        let mut heads = Vec::new();
        for (number, page) in &mut pages {
            page.sort_by_key(|(entry, _)| entry.key);
            let mut accounts = Bits::default();
            page.iter()
                .enumerate()
                .filter(|(_, (_, yes))| *yes)
                .for_each(|(at, _)| accounts.set(at));
            let bytes: Vec<u8> = page.iter().flat_map(|(entry, _)| entry.to_bytes()).collect();
            let digest = Some(Fingerprint(xxhash_rust::xxh3::xxh3_128(&bytes)));
            heads.push(PageHead { number: *number, entries: page.len(), digest, accounts });
        }
        let pages = pages.into_values().map(|page| page.into_iter().map(|(e, _)| e).collect());
        Kept {
            heads,
            pages: pages.collect(),
            touched: tenant.touched.iter().map(|user| key(*user)).collect(),
            broken: tenant.broken,
        }
    }

    impl Pages for Kept {
        type Error = &'static str;

        fn heads(&self) -> &[PageHead] {
            &self.heads
        }

        fn read(&mut self, at: usize, entries: &mut Vec<Entry>) -> Result<(), Self::Error> {
            if self.broken && at > 0 {
                return Err("damaged");
            }
            entries.extend(&self.pages[at]);
            Ok(())
        }

        fn touched(&self) -> &[Fingerprint] {
            &self.touched
        }
    }

    fn tenant() -> impl Strategy<Value = Tenant> {
        let users = prop::collection::btree_map(0_u8..24, (0_u8..3, any::<bool>()), 0..24);
        let touched = prop::collection::btree_set(0_u8..24, 0..3);
        (users, touched, prop::bool::weighted(0.1)).prop_map(|(users, touched, broken)| Tenant {
            users,
            touched,
            broken,
        })
    }

    proptest! {
        #[test]
        fn an_index_says_of_every_tenant_what_its_pages_say(
            mut tenants in prop::collection::vec(tenant(), 0..4), twin in any::<bool>()
        ) {
            if twin && tenants.len() > 1 {
                tenants[0].users = tenants[1].users.clone();
            }
            let (index, results) = Index::of(tenants.iter().map(kept).collect());
            let sound: Vec<bool> = results.iter().map(Result::is_ok).collect();
            for (user, settled) in (0..24).flat_map(|user| (0..4).map(move |row| (user, row))) {
                let place = index.find(key(user));
                let mut all = sound.contains(&true);
                let mut said = false;
                for (at, tenant) in tenants.iter().enumerate() {
                    let own = tenant.users.get(&user);
                    let touched = tenant.touched.contains(&user);
                    let account = touched || own.is_some_and(|(_, account)| *account);
                    let settles = settled != 0 && !touched
                        && own.is_some_and(|(row, _)| *row == settled);
                    let found = place.is_some_and(|place| index.has_account(at, place));
                    let told = place.is_some_and(|p| index.is_settled_for(at, p, row(settled)));
                    prop_assert_eq!(found, sound[at] && account);
                    // Of tenants that settled different rows of a user only some are told; of a
                    // row that they agree on, all are.
                    prop_assert!(!told || sound[at] && settles);
                    all &= !sound[at] || settles;
                    said |= told;
                }
                let told = place.is_some_and(|place| index.is_settled(place, row(settled)));
                let expected = all && settled != 0;
                // Entries of a tenant that broke half-way may stand in the way of others'.
                let broken = sound.contains(&false);
                prop_assert!(told == expected || broken && !told);
                prop_assert!(!told || said);
            }
            for at in 0..tenants.len() {
                let listed: Vec<Place> = index.accounts(at).collect();
                prop_assert!(listed.iter().all(|place| index.has_account(at, *place)));
                prop_assert!(listed.is_sorted());
            }
        }

        #[test]
        fn a_batch_finds_what_single_lookups_find(users in prop::collection::vec(0_u8..40, 0..60)) {
            let tenant = Tenant {
                users: (0..24).map(|user| (user, (1, true))).collect(),
                touched: [30].into(),
                broken: false,
            };
            let (index, _) = Index::of(vec![kept(&tenant)]);
            let keys: Vec<Fingerprint> = users.iter().map(|user| key(*user)).collect();
            let mut places = Vec::new();
            index.find_all(&keys, &mut places);
            let single: Vec<_> = keys.iter().map(|key| index.find(*key)).collect();
            prop_assert_eq!(places, single);
            prop_assert_eq!(index.len(), 25);
        }
    }

    #[test]
    fn an_entry_is_stored_in_32_bytes_that_sort_by_key() {
        let entry = Entry { key: Fingerprint(1 << 120), row: Fingerprint(7) };
        assert_eq!(Entry::from_bytes(&entry.to_bytes()), entry);
        assert_eq!(entry.to_bytes()[0], 1);
    }
}
