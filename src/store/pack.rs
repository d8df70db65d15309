//! Bringing the packed index up to date. A page that comes out as it was is not written.

use super::{
    convert::{count_to_integer, fingerprint_to_bytes, sound},
    packed::{Head, Place, intact},
};
use crate::{
    engine::{
        bits::Bits,
        index::{Entry, PAGES, UNSETTLED, page_of},
    },
    model::Fingerprint,
};
use rusqlite::{CachedStatement, Connection, params};
use std::collections::BTreeSet;
use xxhash_rust::xxh3::{xxh3_64, xxh3_128};

/// What has become known of one user: 48 bytes, because there may be a million of them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Change {
    pub(super) key: Fingerprint,
    /// [`UNSETTLED`] when none is.
    pub(super) row: Fingerprint,
    /// As in [`Place`], of an account.
    pub(super) remote: u64,
    pub(super) id: u32,
    pub(super) kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// There is an account, here, with that row.
    Account,
    /// The row is that one, if there is an account.
    Row,
    /// The tenant has nothing to do with the user, unless there is an account.
    Passing,
    /// Nothing is known of the user any more.
    Forgotten,
}

impl Change {
    pub(super) fn account(key: Fingerprint, id: u32, remote: u64, row: Fingerprint) -> Self {
        Self { key, row, remote, id, kind: Kind::Account }
    }

    pub(super) fn row(key: Fingerprint, row: Fingerprint) -> Self {
        Self { key, row, remote: 0, id: 0, kind: Kind::Row }
    }

    pub(super) fn passing(entry: &Entry) -> Self {
        let Entry { key, row } = *entry;
        Self { kind: Kind::Passing, ..Self::row(key, row) }
    }

    pub(super) fn forgotten(key: Fingerprint) -> Self {
        Self { kind: Kind::Forgotten, ..Self::row(key, UNSETTLED) }
    }
}

/// All that is new, each list sorted by key; of one user the later list has the last word, and in
/// `changes` the later change.
pub(super) struct News<'a> {
    pub(super) changes: &'a [Change],
    pub(super) settled: &'a [Entry],
    pub(super) passing: &'a [Entry],
    /// Users whose row counts as unsettled whatever is said.
    pub(super) in_doubt: &'a BTreeSet<Fingerprint>,
}

/// Writes the pages that change. `view`: under which rows are settled from now on; `None`: as they
/// were.
pub(super) fn write_pages(
    db: &Connection,
    view: Option<Fingerprint>,
    news: &News<'_>,
) -> rusqlite::Result<()> {
    let News { mut changes, mut settled, mut passing, in_doubt } = *news;
    let mut binder = Binder::prepare(db, view)?;
    let mut of_page = Vec::new();
    for number in 0..PAGES {
        let within = |key: Fingerprint| page_of(key) <= number;
        of_page.clear();
        of_page.extend_from_slice(split(&mut changes, |change| within(change.key)));
        let rows = split(&mut settled, |entry| within(entry.key));
        of_page.extend(rows.iter().map(|entry| Change::row(entry.key, entry.row)));
        let users = split(&mut passing, |entry| within(entry.key));
        of_page.extend(users.iter().map(Change::passing));
        if of_page.is_empty() {
            continue;
        }
        for change in &mut of_page {
            if !in_doubt.is_empty() && in_doubt.contains(&change.key) {
                change.row = UNSETTLED;
            }
        }
        binder.rebind(number, &of_page)?;
    }
    Ok(())
}

/// Cuts off what the predicate, which is true for a beginning only, is true for.
fn split<'a, T>(rest: &mut &'a [T], is_within: impl Fn(&T) -> bool) -> &'a [T] {
    let (within, after) = rest.split_at(rest.partition_point(is_within));
    *rest = after;
    within
}

/// One entry of a page, with its account.
struct Slot {
    key: Fingerprint,
    row: Fingerprint,
    account: Option<Place>,
}

struct Binder<'a> {
    view: Option<Fingerprint>,
    load: CachedStatement<'a>,
    store: CachedStatement<'a>,
    store_places: CachedStatement<'a>,
    remove: [CachedStatement<'a>; 2],
}

impl<'a> Binder<'a> {
    fn prepare(db: &'a Connection, view: Option<Fingerprint>) -> rusqlite::Result<Self> {
        Ok(Self {
            view,
            load: db.prepare_cached(
                "SELECT page.number, view, digest, count, page.accounts, page.hash, entries,
                     place.accounts, place.hash
                 FROM index_page AS page LEFT JOIN index_account AS place USING (number)
                 WHERE page.number = ?1",
            )?,
            store: db.prepare_cached(
                "INSERT OR REPLACE INTO index_page
                     (number, view, digest, count, accounts, hash, entries)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            )?,
            store_places: db.prepare_cached(
                "INSERT OR REPLACE INTO index_account (number, hash, accounts)
                 VALUES (?1, ?2, ?3)",
            )?,
            remove: [
                db.prepare_cached("DELETE FROM index_page WHERE number = ?1")?,
                db.prepare_cached("DELETE FROM index_account WHERE number = ?1")?,
            ],
        })
    }

    fn rebind(&mut self, number: usize, changes: &[Change]) -> rusqlite::Result<()> {
        let (head, mut slots, places) = self.load(number)?;
        let view = self.view.or(head.as_ref().map(|head| head.view)).unwrap_or_default();
        if head.as_ref().is_some_and(|head| head.view != view) {
            for slot in &mut slots {
                slot.row = UNSETTLED;
            }
        }
        for change in changes {
            apply(&mut slots, change);
        }
        if slots.is_empty() {
            let number = page_number(number);
            return self.remove.iter_mut().try_for_each(|s| s.execute([number]).map(|_| ()));
        }
        self.store(number, view, head.as_ref(), &slots)?;
        self.store_places(number, &places, &slots)
    }

    /// The page as it is, and its places as they are stored.
    fn load(&mut self, number: usize) -> rusqlite::Result<(Option<Head>, Vec<Slot>, Vec<u8>)> {
        let mut rows = self.load.query([page_number(number)])?;
        let Some(row) = rows.next()? else { return Ok((None, Vec::new(), Vec::new())) };
        let head = sound(Head::read(row)?)?;
        let entries = row.get_ref(6)?.as_blob()?;
        let places = row.get_ref(7)?.as_blob_or_null()?.unwrap_or_default();
        let hash = row.get_ref(8)?.as_blob_or_null()?;
        intact(head.fits(entries))?;
        intact(hash.is_none_or(|hash| hash == xxh3_64(places).to_be_bytes()))?;
        let accounts = Bits::from_bytes(&head.accounts);
        let (entries, _) = entries.as_chunks::<{ Entry::BYTES }>();
        let (chunks, _) = places.as_chunks::<{ Place::BYTES }>();
        intact(accounts.count() == chunks.len() as u64)?;
        let mut chunks = chunks.iter();
        let slot = |(at, entry)| {
            let Entry { key, row } = Entry::from_bytes(entry);
            let account = accounts.get(at).then(|| chunks.next()).flatten();
            Slot { key, row, account: account.map(|place| Place::from_bytes(place).1) }
        };
        let slots = entries.iter().enumerate().map(slot).collect();
        Ok((Some(head), slots, places.to_owned()))
    }

    fn store(
        &mut self,
        number: usize,
        view: Fingerprint,
        before: Option<&Head>,
        slots: &[Slot],
    ) -> rusqlite::Result<()> {
        let mut entries = Vec::with_capacity(slots.len() * Entry::BYTES);
        let mut accounts = Bits::new(slots.len());
        for (at, Slot { key, row, account }) in slots.iter().enumerate() {
            entries.extend_from_slice(&Entry { key: *key, row: *row }.to_bytes());
            if account.is_some() {
                accounts.set(at);
            }
        }
        let head = Head {
            number,
            view,
            digest: Fingerprint(xxh3_128(&entries)),
            count: slots.len(),
            accounts: accounts.to_bytes(slots.len()),
        };
        if before == Some(&head) {
            return Ok(());
        }
        let count = count_to_integer(head.count as u64);
        let (view, digest) = (fingerprint_to_bytes(view), fingerprint_to_bytes(head.digest));
        let (number, hash) = (page_number(number), head.hash());
        self.store.execute(params![number, view, digest, count, head.accounts, hash, entries])?;
        Ok(())
    }

    fn store_places(
        &mut self,
        number: usize,
        before: &[u8],
        slots: &[Slot],
    ) -> rusqlite::Result<()> {
        let places = slots.iter().filter_map(|slot| Some(slot.account?.to_bytes(slot.key)));
        let places: Vec<u8> = places.flatten().collect();
        if places != before {
            let hash = xxh3_64(&places).to_be_bytes();
            self.store_places.execute(params![page_number(number), hash, places])?;
        }
        Ok(())
    }
}

pub(super) fn page_number(number: usize) -> i64 {
    count_to_integer(number as u64)
}

fn apply(slots: &mut Vec<Slot>, change: &Change) {
    let Change { key, row, remote, id, kind } = *change;
    // Most often what comes is new and sorted.
    let found = match slots.last() {
        Some(last) if last.key < key => Err(slots.len()),
        _ => slots.binary_search_by_key(&key, |slot| slot.key),
    };
    match (found, kind) {
        (Ok(at), Kind::Account) => {
            slots[at] = Slot { key, row, account: Some(Place { id, remote }) };
        }
        (Err(at), Kind::Account) => {
            slots.insert(at, Slot { key, row, account: Some(Place { id, remote }) });
        }
        (Ok(at), Kind::Row) if slots[at].account.is_some() => slots[at].row = row,
        (Ok(at), Kind::Passing) if slots[at].account.is_none() => slots[at].row = row,
        (Err(at), Kind::Passing) => slots.insert(at, Slot { key, row, account: None }),
        (Ok(at), Kind::Forgotten) => {
            slots.remove(at);
        }
        (Ok(_), Kind::Row | Kind::Passing) | (Err(_), Kind::Row | Kind::Forgotten) => {}
    }
}
