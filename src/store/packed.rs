//! The packed index as it is stored, and how it is read.
//!
//! A page is believed no further than its hashes reach, and of whoever is *touched* only that there
//! is an account: the pages may be older than the outcomes.

use super::{
    Snapshot, StoreError,
    convert::{
        count_from_integer, fingerprint_from_bytes, fingerprint_to_bytes, remote_id_to_text,
    },
    pack::page_number,
    rows,
};
use crate::{
    engine::{
        bits::Bits,
        index::{Entry, PAGES, PageHead, Pages, UNSETTLED},
    },
    model::Fingerprint,
};
use rusqlite::{CachedStatement, Connection, Row, Transaction};
use std::path::Path;
use xxhash_rust::xxh3::{xxh3_64, xxh3_128};

/// Where one account is: its place among the accounts of a page tells which entry it is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// `user.id`.
    pub(super) id: u32,
    /// Of the remote id; see [`remote_hash`].
    pub(super) remote: u64,
}

impl Place {
    /// With eight bytes of the key's fingerprint in front.
    pub(super) const BYTES: usize = 20;

    pub(super) fn to_bytes(self, key: Fingerprint) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        bytes[..8].copy_from_slice(&first_half(key).to_be_bytes());
        bytes[8..12].copy_from_slice(&self.id.to_be_bytes());
        bytes[12..].copy_from_slice(&self.remote.to_be_bytes());
        bytes
    }

    /// And the first half of the key's fingerprint.
    pub(super) fn from_bytes(bytes: &[u8; Self::BYTES]) -> (u64, Self) {
        let [k0, k1, k2, k3, k4, k5, k6, k7, id @ .., r0, r1, r2, r3, r4, r5, r6, r7] = *bytes;
        let key = u64::from_be_bytes([k0, k1, k2, k3, k4, k5, k6, k7]);
        let remote = u64::from_be_bytes([r0, r1, r2, r3, r4, r5, r6, r7]);
        (key, Self { id: u32::from_be_bytes(id), remote })
    }
}

pub(super) fn first_half(fingerprint: Fingerprint) -> u64 {
    (fingerprint.0 >> 64) as u64
}

pub(super) fn remote_hash(remote_id: &str) -> u64 {
    first_half(Fingerprint(xxh3_128(remote_id.as_bytes())))
}

/// As [`UserKey::fingerprint`](crate::model::UserKey::fingerprint), without a copy of the text.
pub(super) fn key_fingerprint(text: &str) -> Fingerprint {
    Fingerprint::of([Some(text)])
}

/// A page but for its entries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) number: usize,
    pub(super) view: Fingerprint,
    pub(super) digest: Fingerprint,
    pub(super) count: usize,
    /// As [`Bits::to_bytes`] gives them.
    pub(super) accounts: Vec<u8>,
}

/// The columns that [`Head::read`] takes.
const HEADS: &str =
    "SELECT number, view, digest, count, accounts, hash FROM index_page ORDER BY number";

impl Head {
    /// `None`: not what its hash says.
    pub(super) fn read(row: &Row<'_>) -> rusqlite::Result<Option<Self>> {
        let head = Self {
            number: usize::try_from(row.get::<_, i64>(0)?).unwrap_or(PAGES),
            view: fingerprint_from_bytes(row.get(1)?),
            digest: fingerprint_from_bytes(row.get(2)?),
            count: usize::try_from(count_from_integer(row.get(3)?)).unwrap_or_default(),
            accounts: row.get(4)?,
        };
        let intact = head.number < PAGES && row.get_ref(5)?.as_blob()? == head.hash();
        Ok(intact.then_some(head))
    }

    pub(super) fn hash(&self) -> [u8; 8] {
        let Self { number, view, digest, count, accounts } = self;
        let mut bytes = Vec::with_capacity(48 + accounts.len());
        bytes.extend((*number as u64).to_le_bytes());
        bytes.extend(fingerprint_to_bytes(*view));
        bytes.extend(fingerprint_to_bytes(*digest));
        bytes.extend((*count as u64).to_le_bytes());
        bytes.extend(accounts);
        xxh3_64(&bytes).to_be_bytes()
    }

    /// Whether these are the entries that it is the head of.
    pub(super) fn fits(&self, entries: &[u8]) -> bool {
        entries.len() == self.count * Entry::BYTES && Fingerprint(xxh3_128(entries)) == self.digest
    }
}

/// The entries of one tenant; see [`Snapshot::pages`].
pub struct PackedPages<'a> {
    heads: Vec<PageHead>,
    stored: Vec<Head>,
    view: Fingerprint,
    touched: Vec<Fingerprint>,
    entries: CachedStatement<'a>,
    path: &'a Path,
    /// Keeps the pages as they are while they are read.
    _look: Option<Transaction<'a>>,
}

impl Snapshot {
    /// Who is known, and which row of each was settled last under that view: the fingerprint of the
    /// mapping and the settings. What was settled under another one counts for nothing.
    pub fn pages(&self, view: Fingerprint) -> Result<PackedPages<'_>, StoreError> {
        let failed = |e| StoreError::sql("read the index of users", &self.path, e);
        let look = self.look().map_err(failed)?;
        let stored = self.heads().map_err(failed)?;
        let stored = stored.into_iter().map(|head| head.ok_or_else(|| self.damaged_index()));
        let stored = stored.collect::<Result<Vec<_>, _>>()?;
        let heads = stored.iter().map(|head| PageHead {
            number: head.number,
            entries: head.count,
            digest: (head.view == view).then_some(head.digest),
            accounts: Bits::from_bytes(&head.accounts),
        });
        let mut touched = Vec::new();
        let mut touch = |key: &str, _, _: &str| touched.push(key_fingerprint(key));
        each_touched(&self.db, &mut touch).map_err(failed)?;
        touched.sort_unstable();
        touched.dedup();
        let entries = self.db.prepare_cached("SELECT entries FROM index_page WHERE number = ?1");
        Ok(PackedPages {
            heads: heads.collect(),
            stored,
            view,
            touched,
            entries: entries.map_err(failed)?,
            path: &self.path,
            _look: look,
        })
    }

    fn heads(&self) -> rusqlite::Result<Vec<Option<Head>>> {
        let mut statement = self.db.prepare_cached(HEADS)?;
        statement.query_map([], Head::read)?.collect()
    }

    fn damaged_index(&self) -> StoreError {
        damaged(&self.path)
    }
}

fn damaged(path: &Path) -> StoreError {
    let what = "a page of the index does not match its hash".to_owned();
    StoreError::Damaged { path: path.into(), what }
}

impl Pages for PackedPages<'_> {
    type Error = StoreError;

    fn heads(&self) -> &[PageHead] {
        &self.heads
    }

    fn read(&mut self, at: usize, entries: &mut Vec<Entry>) -> Result<(), StoreError> {
        let (head, path) = (&self.stored[at], self.path);
        let failed = |e| StoreError::sql("read a page of the index", path, e);
        let mut rows = self.entries.query([page_number(head.number)]).map_err(failed)?;
        let row = rows.next().map_err(failed)?.ok_or_else(|| damaged(path))?;
        let blob = row.get_ref(0).map_err(failed)?.as_blob();
        let bytes = blob.ok().filter(|bytes| head.fits(bytes)).ok_or_else(|| damaged(path))?;
        let (stored, _) = bytes.as_chunks::<{ Entry::BYTES }>();
        let stored = stored.iter().map(Entry::from_bytes);
        if head.view == self.view {
            entries.extend(stored);
        } else {
            entries.extend(stored.map(|entry| Entry { row: UNSETTLED, ..entry }));
        }
        Ok(())
    }

    fn touched(&self) -> &[Fingerprint] {
        &self.touched
    }
}

/// Everybody of whom the pages may say too much: key, `user.id` if there is a row, and the id at the
/// target. Somebody may come more than once, with the same values.
pub(super) fn each_touched(
    db: &Connection,
    visit: &mut dyn FnMut(&str, Option<i64>, &str),
) -> rusqlite::Result<()> {
    each_moved(db, i64::MAX, visit)?;
    let mut unseen = db.prepare_cached("SELECT key, id, remote_id FROM user WHERE seen = 0")?;
    each(&mut unseen, [], visit)?;
    let mut user = db.prepare_cached("SELECT id, remote_id FROM user WHERE key = ?1")?;
    for (key, last) in &rows::last_targets(db)? {
        let mut found = user.query([key.as_str()])?;
        match found.next()? {
            Some(row) => visit(key.as_str(), row.get(0)?, row.get_ref(1)?.as_str()?),
            None => visit(key.as_str(), None, remote_id_to_text(last.as_ref())),
        }
    }
    Ok(())
}

/// Users with an outcome that the pages do not take into account, up to that row of the journal;
/// everybody, when there are no pages at all.
pub(super) fn each_moved(
    db: &Connection,
    last: i64,
    visit: &mut dyn FnMut(&str, Option<i64>, &str),
) -> rusqlite::Result<()> {
    if is_bare(db)? {
        let mut all = db.prepare_cached("SELECT key, id, remote_id FROM user")?;
        return each(&mut all, [], visit);
    }
    let mut moved = db.prepare_cached(
        "SELECT user.key, user.id, user.remote_id FROM journal CROSS JOIN user USING (key)
         WHERE journal.id > (SELECT packed FROM meta) AND journal.id <= ?1",
    )?;
    each(&mut moved, [last], visit)
}

/// Users are known, and the index knows nobody: it was thrown away.
pub(super) fn is_bare(db: &Connection) -> rusqlite::Result<bool> {
    let mut statement = db.prepare_cached(
        "SELECT NOT EXISTS (SELECT 1 FROM index_account) AND EXISTS (SELECT 1 FROM user)",
    )?;
    statement.query_row([], |row| row.get(0))
}

fn each(
    statement: &mut CachedStatement<'_>,
    arguments: impl rusqlite::Params,
    visit: &mut dyn FnMut(&str, Option<i64>, &str),
) -> rusqlite::Result<()> {
    let mut rows = statement.query(arguments)?;
    while let Some(row) = rows.next()? {
        visit(row.get_ref(0)?.as_str()?, row.get(1)?, row.get_ref(2)?.as_str()?);
    }
    Ok(())
}

/// Visits the accounts of a page, or of all, as they are stored; tells whether they were intact.
pub(super) fn each_place(
    db: &Connection,
    page: Option<usize>,
    visit: &mut dyn FnMut(u64, Place),
) -> rusqlite::Result<bool> {
    let mut statement = db.prepare_cached(
        "SELECT hash, accounts FROM index_account WHERE number BETWEEN ?1 AND ?2 ORDER BY number",
    )?;
    let mut rows = statement
        .query([page_number(page.unwrap_or(0)), page_number(page.unwrap_or(PAGES - 1))])?;
    while let Some(row) = rows.next()? {
        let bytes = row.get_ref(1)?.as_blob()?;
        if row.get_ref(0)?.as_blob()? != xxh3_64(bytes).to_be_bytes() {
            return Ok(false);
        }
        let (places, _) = bytes.as_chunks::<{ Place::BYTES }>();
        for place in places {
            let (key, place) = Place::from_bytes(place);
            visit(key, place);
        }
    }
    Ok(true)
}

/// What a hash that does not fit means to a statement.
pub(super) fn intact(intact: bool) -> rusqlite::Result<()> {
    super::convert::sound(intact.then_some(()))
}
