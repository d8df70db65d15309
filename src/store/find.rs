//! Finding users: by fingerprint, by the id at the target, or all of them.

use super::{
    Snapshot, StoreError,
    convert::sound,
    packed::{Place, each_place, each_touched, first_half, intact, key_fingerprint, remote_hash},
    rows::{self, Found},
    snapshot::known_of,
};
use crate::{
    engine::index::page_of,
    model::{Fingerprint, Known, RemoteId, UserKey},
};
use rusqlite::Connection;
use std::collections::{BTreeMap, BTreeSet, HashSet};

impl Snapshot {
    /// Keys of accounts by their fingerprints, sorted; those of nobody known are left out.
    pub fn keys_of(&self, users: &[Fingerprint]) -> Result<Vec<UserKey>, StoreError> {
        if users.is_empty() {
            return Ok(Vec::new());
        }
        self.read("find users by fingerprint", |db| {
            let mut sorted = users.to_vec();
            sorted.sort_unstable();
            sorted.dedup();
            let mut missing: HashSet<Fingerprint> = sorted.iter().copied().collect();
            let mut keys = Vec::with_capacity(sorted.len());
            let mut find = |key: &str| {
                if missing.remove(&key_fingerprint(key)) {
                    keys.extend(UserKey::parse(key).ok());
                }
                missing.is_empty()
            };
            let mut by_id = db.prepare_cached("SELECT key FROM user WHERE id = ?1")?;
            let mut all = false;
            for id in ids_of(db, &sorted)? {
                let mut rows = by_id.query([id])?;
                if let Some(row) = rows.next()? {
                    all = find(row.get_ref(0)?.as_str()?);
                }
            }
            if !all {
                each_touched(db, &mut |key, _, _| all = find(key))?;
            }
            keys.sort_unstable();
            Ok(keys)
        })
    }

    /// Users of whom the target said that there is no such user, and who are not in doubt; sorted.
    pub fn gone(&self) -> Result<Vec<UserKey>, StoreError> {
        self.read("read who is gone", |db| {
            rows::keys(
                db,
                "SELECT key FROM user WHERE gone = 1 AND seen = 1
                 EXCEPT SELECT key FROM intent",
            )
        })
    }

    /// Who of those known has one of these ids at the target; of several, the first by key.
    pub fn owners(
        &self,
        ids: &BTreeSet<&RemoteId>,
    ) -> Result<BTreeMap<RemoteId, UserKey>, StoreError> {
        if ids.is_empty() {
            return Ok(BTreeMap::new());
        }
        self.read("find users by their ids at the target", |db| {
            let mut owners = BTreeMap::new();
            let mut claim = |key: &str, remote_id: &str| -> rusqlite::Result<()> {
                let remote_id = RemoteId::parse(remote_id).ok().filter(|id| ids.contains(id));
                let Some(remote_id) = remote_id else { return Ok(()) };
                let key = sound(UserKey::parse(key).ok())?;
                let owner = owners.entry(remote_id).or_insert_with(|| key.clone());
                if key < *owner {
                    *owner = key;
                }
                Ok(())
            };
            let mut by_id = db.prepare_cached("SELECT key, remote_id FROM user WHERE id = ?1")?;
            for id in ids_with(db, ids)? {
                let mut rows = by_id.query([id])?;
                if let Some(row) = rows.next()? {
                    claim(row.get_ref(0)?.as_str()?, row.get_ref(1)?.as_str()?)?;
                }
            }
            let mut claimed = Ok(());
            each_touched(db, &mut |key, _, remote_id| {
                if claimed.is_ok() {
                    claimed = claim(key, remote_id);
                }
            })?;
            claimed?;
            Ok(owners)
        })
    }

    /// Everybody known, and everybody of whom a request is on its way, in no particular order, until
    /// `visit` says `false`.
    pub fn each_known(&self, visit: &mut dyn FnMut(&Known) -> bool) -> Result<(), StoreError> {
        self.read("read everybody known", |db| {
            let mut open = rows::open_intents(db)?;
            let mut damaged = 0;
            let mut statement = db.prepare_cached(rows::ALL_USERS)?;
            let mut found = statement.query([])?;
            while let Some(row) = found.next()? {
                let key = row.get_ref(1)?.as_str()?;
                let of_user = if open.is_empty() { None } else { UserKey::parse(key).ok() };
                let of_user = of_user.and_then(|key| open.remove(&key)).unwrap_or_default();
                let user = rows::user_row(row)?;
                damaged += u64::from(matches!(user, Found::Damaged(_)));
                if !known_of(Some(user), &of_user).is_none_or(|known| visit(&known)) {
                    self.warn_of_damage(damaged);
                    return Ok(());
                }
            }
            self.warn_of_damage(damaged);
            let mut unknown = open.values().filter_map(|open| known_of(None, open));
            let _ = unknown.all(|known| visit(&known));
            Ok(())
        })
    }
}

/// `user.id` of whoever may be one of these, sorted; each page is read once.
fn ids_of(db: &Connection, sorted: &[Fingerprint]) -> rusqlite::Result<Vec<u32>> {
    let mut ids = Vec::with_capacity(sorted.len());
    for users in sorted.chunk_by(|a, b| page_of(*a) == page_of(*b)) {
        let mut rest = users;
        let read = each_place(db, Some(page_of(users[0])), &mut |key, Place { id, remote: _ }| {
            let passed = rest.iter().take_while(|user| first_half(**user) < key).count();
            rest = &rest[passed..];
            if rest.first().is_some_and(|user| first_half(*user) == key) {
                ids.push(id);
            }
        });
        intact(read?)?;
    }
    ids.sort_unstable();
    Ok(ids)
}

/// `user.id` of whoever may have one of these ids at the target, sorted.
fn ids_with(db: &Connection, ids: &BTreeSet<&RemoteId>) -> rusqlite::Result<Vec<u32>> {
    let wanted = Sieve::of(ids.iter().map(|id| remote_hash(id.as_str())).collect());
    let mut found = Vec::new();
    let read = each_place(db, None, &mut |_, Place { id, remote }| {
        if wanted.contains(remote) {
            found.push(id);
        }
    });
    intact(read?)?;
    found.sort_unstable();
    Ok(found)
}

/// Hashes, most others of which are told from them by one bit.
pub(super) struct Sieve {
    sorted: Vec<u64>,
    bits: Vec<u64>,
}

impl Sieve {
    /// 2^18 bits fit into the cache.
    const BITS: u32 = 18;

    pub(super) fn of(mut hashes: Vec<u64>) -> Self {
        hashes.sort_unstable();
        let mut bits = vec![0; 1 << (Self::BITS - 6)];
        for hash in &hashes {
            let (word, bit) = Self::place(*hash);
            bits[word] |= 1 << bit;
        }
        Self { sorted: hashes, bits }
    }

    pub(super) fn contains(&self, hash: u64) -> bool {
        let (word, bit) = Self::place(hash);
        self.bits[word] >> bit & 1 == 1 && self.sorted.binary_search(&hash).is_ok()
    }

    fn place(hash: u64) -> (usize, usize) {
        let place = (hash >> (64 - Self::BITS)) as usize;
        (place / 64, place % 64)
    }
}
