//! Taking over many accounts at once: the first import of a target that was loaded by other means.

use super::{
    StoreError,
    convert::{attributes_to_text, sound},
    disk::{Disk, Failed},
    drift,
    find::Sieve,
    ledger::{Books, advance},
    life,
    pack::{Change, News, write_pages},
    packed::{each_moved, each_place, intact, key_fingerprint, remote_hash},
    rows,
};
use crate::{
    engine::index::UNSETTLED,
    model::{AttrPath, Attributes, Fingerprint, RemoteId, RunId, UserKey},
};
use jiff::Timestamp;
use rusqlite::{CachedStatement, Connection, OptionalExtension, Transaction, params};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

/// An account as the target holds it, brought into the form in which it is stored: the costly part,
/// which may be done anywhere.
pub struct Account {
    key: UserKey,
    remote_id: RemoteId,
    attributes: String,
    refused: String,
    /// What others changed of it, by what is wished of that; `None`: nothing new is said of it.
    drifted: Option<Attributes>,
    link: Option<Linked>,
    hash: [u8; 16],
    fingerprint: Fingerprint,
    remote: u64,
}

/// How it came that this is the user's account, where the roster does not say so.
struct Linked {
    by: AttrPath,
    run: RunId,
    at: Timestamp,
}

impl Account {
    #[must_use]
    pub fn new(key: UserKey, remote_id: RemoteId, attributes: &Attributes) -> Self {
        Self::with_refused(key, remote_id, attributes, &Attributes::new())
    }

    /// `refused`: values that the target would not take.
    #[must_use]
    pub fn with_refused(
        key: UserKey,
        remote_id: RemoteId,
        attributes: &Attributes,
        refused: &Attributes,
    ) -> Self {
        let (attributes, refused) = (attributes_to_text(attributes), attributes_to_text(refused));
        let hash =
            rows::row_hash(key.as_str(), remote_id.as_str(), true, false, &attributes, &refused);
        let (fingerprint, remote) = (key.fingerprint(), remote_hash(remote_id.as_str()));
        Self {
            key,
            remote_id,
            attributes,
            refused,
            drifted: None,
            link: None,
            hash,
            fingerprint,
            remote,
        }
    }

    /// It was found by that attribute. Whatever kept the user waiting for that is over.
    #[must_use]
    pub fn linked(self, by: &AttrPath, run: &RunId, at: Timestamp) -> Self {
        Self { link: Some(Linked { by: by.clone(), run: run.clone(), at }), ..self }
    }

    /// What others changed of it, by what is wished of that, in place of what was noted.
    #[must_use]
    pub fn drifted(self, wishes: Attributes) -> Self {
        Self { drifted: Some(wishes), ..self }
    }
}

/// What came of an import.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Imported {
    /// Users whose accounts were taken over.
    pub adopted: u64,
    /// Users who were not, because another one has the same id at the target; sorted. Nothing is
    /// known of them now.
    pub shared: Vec<UserKey>,
}

/// Takes accounts over, within one transaction; see [`super::Store::import`].
pub struct Import<'a> {
    tx: &'a Connection,
    put: CachedStatement<'a>,
    /// While nobody else has an id, they are handed out from here.
    next_id: Option<i64>,
    users: Vec<Change>,
    /// Of whom something is noted that others changed, and whether there is anything.
    drifted: Vec<(UserKey, bool)>,
    /// Who was linked.
    linked: Vec<UserKey>,
    path: &'a Path,
    failed: Option<StoreError>,
}

const INSERT: &str = "INSERT INTO user (id, key, remote_id, seen, gone, attributes, refused, hash)
     VALUES (?1, ?2, ?3, 1, 0, ?4, ?6, ?5)";
const REPLACE: &str = "INSERT INTO user (id, key, remote_id, seen, gone, attributes, refused, hash)
     VALUES (?1, ?2, ?3, 1, 0, ?4, ?6, ?5)
     ON CONFLICT (key) DO UPDATE SET remote_id = excluded.remote_id, seen = 1, gone = 0,
         attributes = excluded.attributes, refused = excluded.refused, hash = excluded.hash
     RETURNING id";

/// As the schema has it.
const INDEX_KEYS: &str = "CREATE UNIQUE INDEX user_key ON user (key)";

impl<'a> Import<'a> {
    fn begin(tx: &'a Transaction<'_>, path: &'a Path) -> rusqlite::Result<Self> {
        let known: bool =
            tx.query_row("SELECT EXISTS (SELECT 1 FROM user)", [], |row| row.get(0))?;
        if !known {
            // Made anew at the end: sorting once is far cheaper than finding a million places.
            tx.execute_batch("DROP INDEX user_key")?;
        }
        let put = tx.prepare_cached(if known { REPLACE } else { INSERT })?;
        let next_id = (!known).then_some(1);
        let (users, drifted, linked) = (Vec::new(), Vec::new(), Vec::new());
        Ok(Self { tx, put, next_id, users, drifted, linked, path, failed: None })
    }

    /// In place of what was known of the user. `row`: its row's own fingerprint, when all of the row
    /// is wished and nothing else is. Of two accounts of one user the later counts.
    ///
    /// # Errors
    /// After which nothing can be written any more.
    pub fn add(&mut self, account: Account, row: Option<Fingerprint>) -> Result<(), StoreError> {
        let Account {
            key,
            remote_id,
            attributes,
            refused,
            drifted,
            link,
            hash,
            fingerprint,
            remote,
        } = account;
        let put = self.put(key.as_str(), remote_id.as_str(), &attributes, &refused, hash);
        let put = put.and_then(|id| {
            if let Some(Linked { by, run, at }) = link {
                life::note_linked(self.tx, &key, &remote_id, &by, at, &run)?;
                self.linked.push(key.clone());
            }
            if let Some(wishes) = drifted {
                drift::put(self.tx, &key, &wishes)?;
                self.drifted.push((key, !wishes.is_empty()));
            }
            Ok(id)
        });
        let put = put.map_err(|e| {
            let failed = StoreError::sql("take over an account", self.path, e);
            self.failed.insert(failed).clone()
        });
        self.users.push(Change::account(fingerprint, put?, remote, row.unwrap_or(UNSETTLED)));
        Ok(())
    }

    fn put(
        &mut self,
        key: &str,
        remote_id: &str,
        attributes: &str,
        refused: &str,
        hash: [u8; 16],
    ) -> rusqlite::Result<u32> {
        let values = params![self.next_id, key, remote_id, attributes, hash, refused];
        let id = match self.next_id {
            Some(id) => {
                self.put.execute(values)?;
                self.next_id = Some(id + 1);
                id
            }
            None => self.put.query_row(values, |row| row.get(0))?,
        };
        rows::short_id(id)
    }
}

pub(super) fn import<T, E: From<StoreError>>(
    disk: &mut Disk,
    books: &mut Books,
    view: Fingerprint,
    run: impl FnOnce(&mut Import<'_>) -> Result<T, E>,
) -> Result<(T, Imported), E> {
    let path = disk.snapshot().path.clone();
    disk.try_write("take over accounts", |tx| {
        let mut import = Import::begin(tx, &path)?;
        match run(&mut import) {
            Ok(done) => Ok((done, finish(tx, books, view, import)?)),
            Err(error) => Err(match import.failed {
                Some(failed) => Failed::Both(failed, error),
                None => Failed::Change(error),
            }),
        }
    })
}

fn finish(
    tx: &Connection,
    books: &mut Books,
    view: Fingerprint,
    import: Import<'_>,
) -> rusqlite::Result<Imported> {
    let Import { tx: _, put, next_id, mut users, drifted, linked, path: _, failed: _ } = import;
    drop(put);
    for key in linked {
        books.quarantine.remove(&key);
    }
    for (key, has_some) in drifted {
        if has_some {
            books.drifted.insert(key);
        } else {
            books.drifted.remove(&key);
        }
    }
    let fresh = next_id.is_some();
    if !fresh {
        // Stable: of one user the later counts.
        users.sort_by_key(|user| user.key);
        keep_last(&mut users);
    }
    let suspects = Suspects::among(tx, &mut users, fresh)?;
    users.sort_unstable_by_key(|user| (user.key, user.id));
    let mut remove = tx.prepare_cached("DELETE FROM user WHERE id = ?1 RETURNING key")?;
    for id in keep_last(&mut users) {
        remove.query_row([id], |_| Ok(()))?;
    }
    let dropped = suspects.convict(tx, &users)?;
    let mut shared = Vec::new();
    for user in users.iter_mut().filter(|user| dropped.contains(&i64::from(user.id))) {
        *user = Change::forgotten(user.key);
    }
    for id in &dropped {
        let key = remove.query_row([id], |row| Ok(UserKey::parse(row.get_ref(0)?.as_str()?)))?;
        shared.push(sound(key.ok())?);
    }
    shared.sort_unstable();
    let adopted = (users.len() - shared.len()) as u64;
    let in_doubt = super::index::in_doubt(tx)?;
    let news = News { in_doubt: &in_doubt, ..News::of(&users) };
    write_pages(tx, Some(view), &news)?;
    tell_pack(tx, books, &users)?;
    advance(tx, adopted > 0, 0)?;
    // Sorting the keys takes as much memory again.
    drop(users);
    if fresh {
        tx.execute_batch(INDEX_KEYS)?;
    }
    Ok(Imported { adopted, shared })
}

/// Of changes sorted by user, leaves the last of each; returns the ids of the others that have one
/// of their own.
fn keep_last(users: &mut Vec<Change>) -> Vec<u32> {
    let mut others = Vec::new();
    users.dedup_by(|later, kept| {
        let same = later.key == kept.key;
        if same {
            others.extend((later.id != kept.id).then_some(kept.id));
            *kept = *later;
        }
        same
    });
    others
}

/// Who may have an id at the target that somebody else has, too.
#[derive(Default)]
struct Suspects {
    /// `user.id`.
    ids: BTreeSet<i64>,
    /// Users with an open intent, and where it went.
    targets: Vec<(Fingerprint, RemoteId)>,
}

impl Suspects {
    /// Leaves the users in another order.
    fn among(tx: &Connection, users: &mut [Change], fresh: bool) -> rusqlite::Result<Self> {
        let mut suspects = Self::default();
        let ids = &mut suspects.ids;
        users.sort_unstable_by_key(|user| user.remote);
        for same in users.chunk_by(|a, b| a.remote == b.remote).filter(|same| same.len() > 1) {
            ids.extend(same.iter().map(|user| i64::from(user.id)));
        }
        let open = rows::last_targets(tx)?;
        if fresh && open.is_empty() {
            return Ok(suspects);
        }
        let sieve = Sieve::of(users.iter().map(|user| user.remote).collect());
        let imported = |remote: u64| {
            let first = users.partition_point(|user| user.remote < remote);
            let same = users[first..].iter().take_while(move |user| user.remote == remote);
            same.map(|user| i64::from(user.id))
        };
        let mut suspect = |id: i64, remote: u64| {
            if sieve.contains(remote) {
                ids.extend(imported(remote).chain([id]));
            }
        };
        if !fresh {
            let read = each_place(tx, None, &mut |_, place| {
                suspect(i64::from(place.id), place.remote);
            });
            intact(read?)?;
            each_moved(tx, i64::MAX, &mut |_, id, remote_id| {
                if let Some(id) = id {
                    suspect(id, remote_hash(remote_id));
                }
            })?;
        }
        for (key, remote_id) in open {
            let Some(remote_id) = remote_id else { continue };
            let remote = remote_hash(remote_id.as_str());
            if sieve.contains(remote) {
                ids.extend(imported(remote));
                suspects.targets.push((key.fingerprint(), remote_id));
            }
        }
        Ok(suspects)
    }

    /// Those imported whose id at the target somebody else really has. `users`: sorted by key.
    fn convict(self, tx: &Connection, users: &[Change]) -> rusqlite::Result<BTreeSet<i64>> {
        let Self { ids, mut targets } = self;
        if ids.is_empty() {
            return Ok(ids);
        }
        targets.retain(|(key, _)| users.binary_search_by_key(key, |user| user.key).is_err());
        let mut find = tx.prepare_cached("SELECT remote_id FROM user WHERE id = ?1")?;
        let mut owners: BTreeMap<String, Vec<i64>> = BTreeMap::new();
        for id in ids {
            let remote_id: Option<String> = find.query_row([id], |row| row.get(0)).optional()?;
            if let Some(remote_id) = remote_id {
                owners.entry(remote_id).or_default().push(id);
            }
        }
        let is_target = |id: &String| targets.iter().any(|(_, target)| target.as_str() == id);
        let shared = owners.into_iter().filter(|(id, of)| of.len() > 1 || is_target(id));
        let shared: BTreeSet<i64> = shared.flat_map(|(_, ids)| ids).collect();
        let imported = users.iter().map(|user| i64::from(user.id));
        Ok(imported.filter(|id| shared.contains(id)).collect())
    }
}

/// What is imported is newer than what the next [`super::Store::pack`] knows of the same users.
fn tell_pack(tx: &Connection, books: &mut Books, users: &[Change]) -> rusqlite::Result<()> {
    if books.inherited.is_none() && books.news.is_empty() {
        return Ok(());
    }
    let mut moved: BTreeSet<Fingerprint> = books.news.iter().map(|change| change.key).collect();
    each_moved(tx, i64::MAX, &mut |key, _, _| {
        moved.insert(key_fingerprint(key));
    })?;
    books.news.extend(users.iter().filter(|user| moved.contains(&user.key)));
    Ok(())
}
