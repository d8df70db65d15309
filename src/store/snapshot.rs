//! Reading: everything that can be asked of the state, by its writer and by onlookers alike.

use super::{
    Intent, StoreError,
    convert::{
        attributes_from_text, count_from_integer, instant_from_micros, instant_to_micros, sound,
    },
    drift,
    fold::UserRow,
    pending::Pending,
    rows::{self, Found, OpenIntent},
};
use crate::model::{AttrPath, Attributes, Fingerprint, Known, Standing, UserKey, Value};
use jiff::Timestamp;
use ring::hmac;
use rusqlite::{Connection, OptionalExtension, Transaction};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

/// The state of one tenant, for reading.
pub struct Snapshot {
    pub(super) db: Connection,
    pub(super) path: PathBuf,
    /// What the writer has not written yet counts as if it had.
    pub(super) pending: Pending,
    tag_key: hmac::Key,
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
        let tag_key = hmac::Key::new(hmac::HMAC_SHA256, &tag_key);
        Ok(Self { db, path, pending: Pending::default(), tag_key })
    }

    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What is known of these users; those of whom nothing is are left out. Attributes that an
    /// open intent names are unknown, and so is everything about a user whose row is damaged.
    pub fn known(&self, keys: &[&UserKey]) -> Result<BTreeMap<UserKey, Known>, StoreError> {
        if keys.is_empty() {
            return Ok(BTreeMap::new());
        }
        self.read("read what is known of users", |db| {
            let (open, mut suspects) = (rows::open_intents(db)?, rows::suspects(db)?);
            let mut statement = db.prepare_cached(rows::USER_OF_KEY)?;
            let drifted = drift::users(db)?;
            let mut damaged = 0;
            // One after another as they stand in the index.
            let mut sorted = keys.to_vec();
            sorted.sort_unstable();
            let mut known = Vec::with_capacity(sorted.len());
            for key in sorted {
                let row = rows::find_user(&mut statement, key)?.map(|(_, found)| found);
                damaged += u64::from(matches!(row, Some(Found::Damaged(_))));
                let open = open.get(key).map_or(&[][..], Vec::as_slice);
                let suspect = suspects.remove(key).map(|suspect| suspect.paths);
                let wishes =
                    if drifted.contains(key) { drift::wishes(db, key)? } else { Attributes::new() };
                known.extend(known_of(row, open).map(|known| {
                    let (suspect, drifted) = (suspect.unwrap_or_default(), drift::noted(wishes));
                    (key.clone(), Known { suspect, drifted, ..known })
                }));
            }
            self.warn_of_damage(damaged);
            Ok(known.into_iter().collect())
        })
    }

    /// Everybody in doubt, sorted: with an open intent, or never shown by the target. Damage is
    /// only found when a user is looked at; see [`Self::known`].
    pub fn in_doubt(&self) -> Result<Vec<UserKey>, StoreError> {
        self.read("read who is in doubt", |db| {
            rows::keys(db, "SELECT key FROM user WHERE seen = 0 UNION SELECT key FROM intent")
        })
    }

    /// Everybody of whom a request may arrive yet although its doubt is settled, sorted.
    pub fn suspects(&self) -> Result<Vec<UserKey>, StoreError> {
        self.read("read who is suspect", |db| rows::keys(db, "SELECT key FROM suspect"))
    }

    /// Requests of which nobody knows what became, in the order in which they left.
    pub fn open_intents(&self) -> Result<Vec<Intent>, StoreError> {
        self.read("read the open intents", rows::all_intents)
    }

    /// All values that the target would not take, sorted by user and attribute.
    pub fn refused(&self) -> Result<Vec<RefusedWish>, StoreError> {
        self.read("read the refused values", |db| {
            let mut statement = db.prepare_cached(
                "SELECT key, refused FROM user WHERE refused <> '{}' ORDER BY key",
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

    pub fn pause(&self) -> Result<Option<Pause>, StoreError> {
        self.read("read the pause", read_pause)
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

    pub(super) fn knows_anybody(&self) -> Result<bool, StoreError> {
        self.meta("SELECT EXISTS (SELECT 1 FROM user)")
    }

    /// Users of whom something is known, or a request is on its way.
    pub fn users(&self) -> Result<u64, StoreError> {
        self.meta(
            "SELECT (SELECT count(*) FROM user) + (SELECT count(DISTINCT key) FROM intent
                 WHERE NOT EXISTS (SELECT 1 FROM user WHERE user.key = intent.key))",
        )
        .map(count_from_integer)
    }

    /// How logs name a user: 12 hexadecimal digits that only this file's key can connect to it.
    #[must_use]
    pub fn tag(&self, key: &UserKey) -> String {
        let digest = hmac::sign(&self.tag_key, key.as_str().as_bytes());
        let mut start = [0; 8];
        start.copy_from_slice(&digest.as_ref()[..8]);
        format!("{:012x}", u64::from_be_bytes(start) >> 16)
    }

    /// Stands for a machine, in this file only.
    pub(super) fn machine_tag(&self, machine: &str) -> [u8; 32] {
        let digest = hmac::sign(&self.tag_key, format!("machine {machine}").as_bytes());
        let mut tag = [0; 32];
        tag.copy_from_slice(digest.as_ref());
        tag
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
            let _look = self.look()?;
            look(&self.db)
        };
        within().map_err(|e| StoreError::sql(what, &self.path, e))
    }

    /// Keeps what is read the same until it is dropped; `None` within another one.
    pub(super) fn look(&self) -> rusqlite::Result<Option<Transaction<'_>>> {
        let begun = self.db.is_autocommit();
        begun.then(|| self.db.unchecked_transaction()).transpose()
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

pub(super) fn read_pause(db: &Connection) -> rusqlite::Result<Option<Pause>> {
    db.query_row("SELECT until, why, hash FROM pause", [], |row| {
        let why = row.get_ref(1)?.as_str()?;
        rows::intact(row, 2, rows::seal(&[row.get(0)?], &[why]))?;
        Ok(Pause { until: instant_from_micros(row.get(0)?), why: why.to_owned() })
    })
    .optional()
}

/// `row`: as it was found, if at all. `None`: nobody knows of the user. Says of nobody that he is
/// suspect, or that others changed something of him.
pub(super) fn known_of(row: Option<Found>, open: &[OpenIntent]) -> Option<Known> {
    let (remote_id, row) = match row {
        Some(Found::Sound(row)) => (Some(row.remote_id.clone()), Some(row)),
        Some(Found::Damaged(remote_id)) => (remote_id, None),
        None => (None, None),
    };
    let last_target = || open.iter().rev().find_map(|open| open.remote_id.clone());
    let remote_id = remote_id.or_else(last_target)?;
    let Some(row) = row else { return Some(Known::unseen(remote_id)) };
    let UserRow { key: _, remote_id, seen, gone, mut attributes, mut refused } = row;
    for path in open.iter().flat_map(|intent| &intent.paths) {
        attributes.remove(path);
        // What was refused before counts no more: another value may have been taken since.
        refused.remove(path);
    }
    let standing = match (seen && open.is_empty(), gone) {
        (false, _) => Standing::InDoubt,
        (true, true) => Standing::Gone,
        (true, false) => Standing::Settled,
    };
    let (suspect, drifted) = (BTreeSet::new(), BTreeMap::new());
    Some(Known { remote_id, attributes, standing, refused, suspect, drifted })
}
