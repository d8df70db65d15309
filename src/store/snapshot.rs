//! Reading: everything that can be asked of the state, by its writer and by onlookers alike.

use super::{
    Intent, StoreError,
    convert::{
        attributes_from_text, count_from_integer, fingerprint_from_bytes, instant_from_micros,
        instant_to_micros, sound,
    },
    fold::UserRow,
    rows::{self, Found, OpenIntent},
};
use crate::model::{AttrPath, Fingerprint, Known, RemoteId, Standing, UserKey, Value};
use jiff::Timestamp;
use ring::hmac;
use rusqlite::{Connection, OptionalExtension};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

/// The state of one tenant, for reading.
pub struct Snapshot {
    pub(super) db: Connection,
    pub(super) path: PathBuf,
    tag_key: hmac::Key,
}

/// What is read of every user, every night.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IndexEntry {
    pub key: UserKey,
    pub remote_id: RemoteId,
    /// Of the row under the mapping when all that it wished was settled; never while in doubt.
    pub fingerprint: Option<Fingerprint>,
    pub in_doubt: bool,
    /// The target says that there is no such user.
    pub gone: bool,
}

/// The last roster that passed the guards.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AcceptedInput {
    pub users: u64,
    pub rows: u64,
    pub digest: Fingerprint,
    pub at: Timestamp,
}

/// The tenant is not to be sent anything before `until`, which may have passed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pause {
    pub until: Timestamp,
    pub why: String,
}

/// A value that the target would not take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefusedWish {
    pub key: UserKey,
    pub path: AttrPath,
    pub wish: Option<Value>,
}

impl Snapshot {
    pub(super) fn new(db: Connection, path: PathBuf) -> Result<Self, StoreError> {
        let tag_key: [u8; 32] = db
            .query_row("SELECT tag_key FROM meta WHERE id = 1", [], |row| row.get(0))
            .map_err(|e| StoreError::sql("read the key of the tags", &path, e))?;
        Ok(Self { db, path, tag_key: hmac::Key::new(hmac::HMAC_SHA256, &tag_key) })
    }

    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Everybody known, and everybody of whom a request is on its way, sorted by key. One pass.
    pub fn index(&self) -> Result<Vec<IndexEntry>, StoreError> {
        self.read("read the index of users", |db| {
            let mut entries = self.index_rows(db)?;
            // The rows come in the order of their making, which mostly is the order of the keys.
            entries.sort_by(|a, b| a.key.cmp(&b.key));
            let mut unknown = Vec::new();
            for (key, remote_id) in rows::open_users(db)? {
                match entries.binary_search_by(|entry| entry.key.cmp(&key)) {
                    Ok(at) => entries[at].doubt(),
                    Err(_) => unknown.push(IndexEntry {
                        key,
                        remote_id,
                        fingerprint: None,
                        in_doubt: true,
                        gone: false,
                    }),
                }
            }
            if !unknown.is_empty() {
                entries.extend(unknown);
                entries.sort_by(|a, b| a.key.cmp(&b.key));
            }
            Ok(entries)
        })
    }

    fn index_rows(&self, db: &Connection) -> rusqlite::Result<Vec<IndexEntry>> {
        let users: i64 = db.query_row("SELECT count(*) FROM user", [], |row| row.get(0))?;
        let mut entries = Vec::with_capacity(usize::try_from(users).unwrap_or_default());
        let mut damaged = 0;
        let mut statement =
            db.prepare_cached("SELECT key, remote_id, fingerprint, seen, gone FROM user")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            match rows::index_entry(row)? {
                Some(entry) => entries.push(entry),
                None => damaged += 1,
            }
        }
        self.warn_of_damage(damaged);
        Ok(entries)
    }

    /// What is known of these users; those of whom nothing is are left out. Attributes that an
    /// open intent names are unknown, and so is everything about a user whose row is damaged.
    pub fn known(&self, keys: &[&UserKey]) -> Result<BTreeMap<UserKey, Known>, StoreError> {
        self.read("read what is known of users", |db| {
            let mut known = BTreeMap::new();
            let mut damaged = 0;
            for key in keys {
                let open = rows::open_intents(db, key)?;
                let row = match rows::find_user(db, key)? {
                    Found::Sound(row) => Some(row),
                    Found::Nothing => None,
                    Found::Damaged { id } => {
                        damaged += 1;
                        rows::remote_id_of(db, id)?.map(|id| UserRow::unseen((*key).clone(), id))
                    }
                };
                let row = row.or_else(|| {
                    let last = open.last()?;
                    Some(UserRow::unseen((*key).clone(), last.remote_id.clone()))
                });
                known.extend(row.map(|row| ((*key).clone(), known_of(row, &open))));
            }
            self.warn_of_damage(damaged);
            Ok(known)
        })
    }

    /// Everybody in doubt, sorted: with an open intent, or never shown by the target. Damage is
    /// only found when a user is looked at; see [`Self::known`].
    pub fn in_doubt(&self) -> Result<Vec<UserKey>, StoreError> {
        self.read("read who is in doubt", |db| {
            let mut statement = db.prepare_cached(
                "SELECT key FROM user WHERE seen = 0 UNION SELECT key FROM intent ORDER BY 1",
            )?;
            let keys = statement
                .query_map([], |row| sound(UserKey::parse(row.get_ref(0)?.as_str()?).ok()))?;
            keys.collect()
        })
    }

    /// Requests of which nobody knows what became, in the order in which they left.
    pub fn open_intents(&self) -> Result<Vec<Intent>, StoreError> {
        self.read("read the open intents", |db| {
            let mut statement = db.prepare_cached(
                "SELECT operation, run, key, remote_id, action, edits, at FROM intent
                 ORDER BY operation",
            )?;
            statement.query_map([], rows::intent)?.collect()
        })
    }

    /// All values that the target would not take, sorted by user and attribute.
    pub fn refused(&self) -> Result<Vec<RefusedWish>, StoreError> {
        self.read("read the refused values", |db| {
            let mut statement = db.prepare_cached(
                "SELECT user.key, account.refused FROM account JOIN user USING (id)
                 WHERE account.refused <> '{}' ORDER BY user.key",
            )?;
            let mut wishes = Vec::new();
            let mut rows = statement.query([])?;
            while let Some(row) = rows.next()? {
                let key = sound(UserKey::parse(row.get_ref(0)?.as_str()?).ok())?;
                let refused = sound(attributes_from_text(row.get_ref(1)?.as_str()?))?;
                let wishes_of = refused.into_iter();
                wishes.extend(wishes_of.map(|(path, wish)| RefusedWish {
                    key: key.clone(),
                    path,
                    wish,
                }));
            }
            Ok(wishes)
        })
    }

    pub fn accepted_input(&self) -> Result<Option<AcceptedInput>, StoreError> {
        self.read("read the last accepted input", |db| {
            db.query_row("SELECT users, rows, digest, at FROM accepted_input", [], |row| {
                Ok(AcceptedInput {
                    users: count_from_integer(row.get(0)?),
                    rows: count_from_integer(row.get(1)?),
                    digest: fingerprint_from_bytes(row.get(2)?),
                    at: instant_from_micros(row.get(3)?),
                })
            })
            .optional()
        })
    }

    pub fn pause(&self) -> Result<Option<Pause>, StoreError> {
        self.read("read the pause", |db| {
            db.query_row("SELECT until, why FROM pause", [], |row| {
                Ok(Pause { until: instant_from_micros(row.get(0)?), why: row.get(1)? })
            })
            .optional()
        })
    }

    /// When requests left, reads and repetitions included, sorted: one instant for each, from
    /// `since` on. Microseconds are kept.
    pub fn sends_since(&self, since: Timestamp) -> Result<Vec<Timestamp>, StoreError> {
        self.read("read when requests left", |db| {
            let mut statement =
                db.prepare_cached("SELECT at, requests FROM sent WHERE at >= ?1 ORDER BY at")?;
            let mut sends = Vec::new();
            let mut rows = statement.query([instant_to_micros(since)])?;
            while let Some(row) = rows.next()? {
                let at = instant_from_micros(row.get(0)?);
                let requests = usize::try_from(row.get::<_, i64>(1)?).unwrap_or_default();
                sends.extend(std::iter::repeat_n(at, requests));
            }
            Ok(sends)
        })
    }

    /// Grows with every commit that changes what is known of a user.
    pub fn serial(&self) -> Result<u64, StoreError> {
        self.meta("SELECT serial FROM meta").map(count_from_integer)
    }

    /// The largest operation number ever recorded; the next one is free.
    pub fn last_operation(&self) -> Result<u64, StoreError> {
        self.meta("SELECT operation FROM meta").map(count_from_integer)
    }

    /// A UUID drawn when the file was made: another one means another history.
    pub fn lineage(&self) -> Result<String, StoreError> {
        self.meta("SELECT lineage FROM meta")
    }

    /// Users of whom something is known.
    pub fn users(&self) -> Result<u64, StoreError> {
        self.meta("SELECT count(*) FROM user").map(count_from_integer)
    }

    /// When that was last done, as [`super::Store::set_mark`] was told.
    pub fn mark(&self, name: &str) -> Result<Option<Timestamp>, StoreError> {
        self.read("read a mark", |db| {
            let at = "SELECT at FROM mark WHERE name = ?1";
            let at: Option<i64> = db.query_row(at, [name], |row| row.get(0)).optional()?;
            Ok(at.map(instant_from_micros))
        })
    }

    /// How logs name a user: 12 hexadecimal digits that only this file's key can connect to it.
    #[must_use]
    pub fn tag(&self, key: &UserKey) -> String {
        let digest = hmac::sign(&self.tag_key, key.as_str().as_bytes());
        let mut start = [0; 8];
        start.copy_from_slice(&digest.as_ref()[..8]);
        format!("{:012x}", u64::from_be_bytes(start) >> 16)
    }

    fn meta<T: rusqlite::types::FromSql>(&self, sql: &str) -> Result<T, StoreError> {
        self.read("read the state file's own data", |db| db.query_row(sql, [], |row| row.get(0)))
    }

    /// One consistent look, whatever a writer does meanwhile.
    pub(super) fn read<T>(
        &self,
        what: &'static str,
        look: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        let within = || {
            let tx = self.db.unchecked_transaction()?;
            let seen = look(&tx)?;
            tx.commit()?;
            Ok(seen)
        };
        within().map_err(|e| StoreError::sql(what, &self.path, e))
    }

    pub(super) fn warn_of_damage(&self, rows: u64) {
        if rows > 0 {
            tracing::warn!(
                rows,
                file = %self.path.display(),
                "user rows do not match their hash; these users are read from the target again"
            );
        }
    }
}

impl IndexEntry {
    fn doubt(&mut self) {
        self.in_doubt = true;
        self.fingerprint = None;
    }
}

fn known_of(row: UserRow, open: &[OpenIntent]) -> Known {
    let UserRow { key: _, remote_id, fingerprint, seen, gone, mut attributes, mut refused } = row;
    for edit in open.iter().flat_map(|intent| &intent.edits) {
        attributes.remove(&edit.path);
        // What was refused before counts no more: another value may have been taken since.
        refused.remove(&edit.path);
    }
    let settled = seen && open.is_empty();
    Known {
        remote_id,
        attributes,
        standing: match (settled, gone) {
            (false, _) => Standing::InDoubt,
            (true, true) => Standing::Gone,
            (true, false) => Standing::Settled,
        },
        refused,
        fingerprint: fingerprint.filter(|_| settled),
    }
}
