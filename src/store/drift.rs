//! What others changed at the target.

use super::{
    Snapshot, Store, StoreError,
    convert::{
        attributes_from_text, attributes_to_text, count_from_integer, count_to_integer,
        instant_from_micros, instant_to_micros, sound,
    },
};
use crate::model::{Attributes, Drifted, OnDrift, UserKey};
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};
use std::collections::{BTreeMap, BTreeSet};

/// What came of looking at many accounts together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DriftSample {
    pub at: Timestamp,
    pub looked: u64,
    /// Of them, those that others had changed.
    pub changed: u64,
}

impl Snapshot {
    /// The last look at many accounts together, unless a plan was approved since that it held.
    pub fn drift_sample(&self) -> Result<Option<DriftSample>, StoreError> {
        self.read("read what others changed", |db| {
            let query = "SELECT at, looked, changed FROM drift_sample";
            db.query_row(query, [], |row| {
                Ok(DriftSample {
                    at: instant_from_micros(row.get(0)?),
                    looked: count_from_integer(row.get(1)?),
                    changed: count_from_integer(row.get(2)?),
                })
            })
            .optional()
        })
    }
}

impl Store {
    /// In place of the last one.
    pub fn note_drift_sample(&mut self, sample: &DriftSample) -> Result<(), StoreError> {
        let DriftSample { at, looked, changed } = *sample;
        let (looked, changed) = (count_to_integer(looked), count_to_integer(changed));
        self.disk().write("note how much others changed", |tx| {
            let note = "INSERT OR REPLACE INTO drift_sample (id, at, looked, changed)
                 VALUES (1, ?1, ?2, ?3)";
            tx.execute(note, params![instant_to_micros(at), looked, changed])?;
            Ok(())
        })
    }

    /// It holds no plan any more.
    pub fn clear_drift_sample(&mut self) -> Result<(), StoreError> {
        self.disk().write("end what held the plan", |tx| {
            tx.execute("DELETE FROM drift_sample", [])?;
            Ok(())
        })
    }
}

/// Everybody who has some.
pub(super) fn users(db: &Connection) -> rusqlite::Result<BTreeSet<UserKey>> {
    let mut statement = db.prepare_cached("SELECT key FROM drift")?;
    let key = |row: &rusqlite::Row<'_>| sound(UserKey::parse(row.get_ref(0)?.as_str()?).ok());
    statement.query_map([], key)?.collect()
}

/// What was wished of the user when it was noticed; most have none.
pub(super) fn wishes(db: &Connection, key: &UserKey) -> rusqlite::Result<Attributes> {
    let mut statement = db.prepare_cached("SELECT wishes FROM drift WHERE key = ?1")?;
    let found = statement
        .query_row([key.as_str()], |row| sound(attributes_from_text(row.get_ref(0)?.as_str()?)));
    Ok(found.optional()?.unwrap_or_default())
}

/// In place of what was noted of the user.
pub(super) fn put(db: &Connection, key: &UserKey, wishes: &Attributes) -> rusqlite::Result<()> {
    if wishes.is_empty() {
        db.prepare_cached("DELETE FROM drift WHERE key = ?1")?.execute([key.as_str()])?;
        return Ok(());
    }
    let note = "INSERT OR REPLACE INTO drift (key, wishes) VALUES (?1, ?2)";
    db.prepare_cached(note)?.execute([key.as_str(), &attributes_to_text(wishes)])?;
    Ok(())
}

/// Until the mapping has its say, what others did stays.
pub(super) fn noted(wishes: Attributes) -> BTreeMap<crate::model::AttrPath, Drifted> {
    let noted = |(path, wish)| (path, Drifted { wish, policy: OnDrift::Hold });
    wishes.into_iter().map(noted).collect()
}
