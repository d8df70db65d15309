//! How much of the quota the target has taught us to use.

use super::{
    Pause, Snapshot, Store, StoreError,
    convert::{instant_from_micros, instant_to_micros},
    ledger,
};
use jiff::{SignedDuration, Timestamp};
use rusqlite::{Connection, OptionalExtension, params};

impl Snapshot {
    /// The share of the quota that an earlier run ended with, and when; `None`: all of it.
    pub fn learnt_pace(&self) -> Result<Option<(f64, Timestamp)>, StoreError> {
        self.read("read the learnt pace", |db| {
            db.query_row("SELECT share, at FROM pace", [], |row| {
                Ok((row.get(0)?, instant_from_micros(row.get(1)?)))
            })
            .optional()
        })
    }
}

impl Store {
    /// Remembers it. Nothing is written while all of the quota is used, as it was.
    pub fn remember_pace(&mut self, share: Option<f64>, at: Timestamp) -> Result<(), StoreError> {
        if share.is_none() && self.learnt_pace()?.is_none() {
            return Ok(());
        }
        self.disk().write("remember the pace", |tx| put(tx, share, at))
    }

    /// The clock was set back by so much: a silence that was asked for ends by as much earlier, as the
    /// clock tells it.
    pub fn clock_was_set_back(&mut self, by: SignedDuration) -> Result<(), StoreError> {
        let Some(Pause { until, why }) = self.pause()? else { return Ok(()) };
        let until = until.checked_sub(by).unwrap_or(Timestamp::MIN);
        self.disk().write("set the silence back with the clock", |tx| {
            tx.execute("DELETE FROM pause", [])?;
            ledger::pause(tx, until, &why)
        })
    }
}

pub(super) fn put(db: &Connection, share: Option<f64>, at: Timestamp) -> rusqlite::Result<()> {
    match share {
        Some(share) => db.execute(
            "INSERT OR REPLACE INTO pace (id, share, at) VALUES (1, ?1, ?2)",
            params![share, instant_to_micros(at)],
        ),
        None => db.execute("DELETE FROM pace", []),
    }
    .map(|_| ())
}
