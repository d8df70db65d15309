//! The chain of the journal: each row's hash covers the row before it, so that a row that was taken
//! out or changed by somebody else is seen.

use super::{
    ReadStore, Snapshot, StoreError, convert::instant_from_micros, files::Files, mirror::Mirror,
};
use crate::model::TenantId;
use jiff::Timestamp;
use ring::digest;
use rusqlite::{Connection, OptionalExtension, Row, params};
use std::path::Path;

/// A row's hash, and all that the next one needs of it.
pub(super) type Link = [u8; 16];

/// A row of the journal as it is stored, but for its hash.
pub(super) struct Stored<'a> {
    pub(super) id: i64,
    pub(super) operation: i64,
    pub(super) run: Option<&'a str>,
    pub(super) at: i64,
    pub(super) key: &'a str,
    pub(super) remote_id: &'a str,
    pub(super) action: &'a str,
    pub(super) outcome: &'a str,
    pub(super) why: &'a str,
    pub(super) status: Option<i64>,
    pub(super) attempts: i64,
    pub(super) edits: &'a str,
}

/// The end of the chain.
#[derive(Clone, Debug, Default)]
pub(super) struct Chain {
    pub(super) last: Link,
    /// Kept for its memory.
    bytes: Vec<u8>,
}

impl Chain {
    pub(super) fn after(last: Link) -> Self {
        Self { last, bytes: Vec::new() }
    }

    /// The hash of the next row.
    pub(super) fn add(&mut self, row: &Stored<'_>) -> Link {
        let Stored { id, operation, run, at, key, remote_id, action, outcome, .. } = *row;
        let Stored { why, status, attempts, edits, .. } = *row;
        let bytes = &mut self.bytes;
        bytes.clear();
        bytes.extend_from_slice(&self.last);
        // No status is below zero.
        for number in [id, operation, at, status.unwrap_or(-1), attempts] {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        bytes.push(u8::from(run.is_some()));
        for text in [run.unwrap_or_default(), key, remote_id, action, outcome, why, edits] {
            bytes.extend_from_slice(&(text.len() as u64).to_le_bytes());
            bytes.extend_from_slice(text.as_bytes());
        }
        self.last.copy_from_slice(&digest::digest(&digest::SHA256, bytes).as_ref()[..16]);
        self.last
    }
}

/// Number and hash of the journal's last row; the anchor when there is none.
pub(super) fn head(db: &Connection) -> rusqlite::Result<(i64, Link)> {
    let last = "SELECT id, coalesce(hash, zeroblob(16)) FROM journal ORDER BY id DESC LIMIT 1";
    let mut statement = db.prepare_cached(last)?;
    let mut rows = statement.query([])?;
    match rows.next()? {
        Some(row) => Ok((row.get(0)?, row.get(1)?)),
        None => anchor(db),
    }
}

/// The hash of that row, wherever it is kept; `None` when it is not.
pub(super) fn hash_of(db: &Connection, id: i64) -> rusqlite::Result<Option<Link>> {
    let (row, hash) = anchor(db)?;
    if row == id {
        return Ok(Some(hash));
    }
    let mut statement = db.prepare_cached("SELECT hash FROM journal WHERE id = ?1")?;
    let mut rows = statement.query([id])?;
    rows.next()?.map_or(Ok(None), |row| row.get(0))
}

pub(super) fn anchor(db: &Connection) -> rusqlite::Result<(i64, Link)> {
    db.query_row("SELECT row, hash FROM journal_anchor", [], |row| Ok((row.get(0)?, row.get(1)?)))
}

/// Removes the rows before that one. What the chain goes on from stays.
pub(super) fn prune(db: &Connection, first_kept: i64) -> rusqlite::Result<()> {
    db.execute(
        "UPDATE journal_anchor SET (row, hash) = (SELECT id, hash FROM journal
             WHERE id < ?1 ORDER BY id DESC LIMIT 1)
         WHERE EXISTS (SELECT 1 FROM journal
             WHERE id < ?1 AND id > journal_anchor.row AND hash IS NOT NULL)",
        params![first_kept],
    )?;
    db.execute("DELETE FROM journal WHERE id < ?1", [first_kept])?;
    Ok(())
}

/// What a walk along the journal found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Audit {
    /// Rows that are as they were written.
    pub sound: u64,
    /// Rows from before there was a chain, which nothing is known of.
    pub unchained: u64,
    /// The first row that is not as it was written.
    pub broken: Option<Broken>,
}

/// A row of the journal that was taken out or changed. Nothing in it is of anybody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Broken {
    /// The row with that number is not there.
    Missing {
        row: i64,
        /// Of the row before it, if that is there.
        after: Option<Timestamp>,
    },
    /// The row with that number has another content, or a row has come in between.
    Changed { row: i64, operation: i64, at: Timestamp },
    /// The rows fit together, and the one with that number is not the one that was recorded beside
    /// the file.
    Rewritten { row: i64 },
}

const ROWS: &str = "SELECT id, operation, run, at, key, remote_id, action, outcome, why, status,
         attempts, edits, hash FROM journal WHERE id > ?1 ORDER BY id";

/// Walks along the journal of a tenant, as far as it once went by what is written beside the file;
/// `None`: there is no state yet.
pub fn audit(dir: &Path, tenant: &TenantId) -> Result<Option<Audit>, StoreError> {
    // Before the file, so that a run that ends meanwhile is not taken for damage.
    let mirror = Mirror::read(&Files::of(dir, tenant).mirror)?;
    let Some(store) = ReadStore::open(dir, tenant)? else { return Ok(None) };
    let mut audit = store.audit()?;
    if let (None, Some(mirror)) = (&audit.broken, mirror) {
        audit.broken = store.read("compare the journal", |db| against(db, &mirror))?;
    }
    Ok(Some(audit))
}

fn against(db: &Connection, mirror: &Mirror) -> rusqlite::Result<Option<Broken>> {
    let (last, _) = head(db)?;
    if last < mirror.row {
        let at = "SELECT at FROM journal WHERE id = ?1";
        let at: Option<i64> = db.query_row(at, [last], |row| row.get(0)).optional()?;
        return Ok(Some(Broken::Missing { row: last + 1, after: at.map(instant_from_micros) }));
    }
    let found = hash_of(db, mirror.row)?;
    let other = found.is_some_and(|found| found != mirror.hash);
    Ok(other.then_some(Broken::Rewritten { row: mirror.row }))
}

impl Snapshot {
    /// Walks the journal from its first chained row to the last one that was ever written, as far as
    /// the file knows.
    pub fn audit(&self) -> Result<Audit, StoreError> {
        self.read("walk along the journal", walk)
    }
}

fn walk(db: &Connection) -> rusqlite::Result<Audit> {
    let (anchored, hash) = anchor(db)?;
    let unchained = "SELECT count(*) FROM journal WHERE id <= ?1";
    let unchained: i64 = db.query_row(unchained, [anchored], |row| row.get(0))?;
    let mut walk = Walk { chain: Chain::after(hash), row: anchored, at: None, sound: 0 };
    let mut statement = db.prepare(ROWS)?;
    let mut rows = statement.query([anchored])?;
    let mut broken = None;
    while broken.is_none() {
        let Some(row) = rows.next()? else {
            broken = walk.end(db)?;
            break;
        };
        broken = walk.step(row)?;
    }
    Ok(Audit { sound: walk.sound, unchained: unchained.unsigned_abs(), broken })
}

struct Walk {
    chain: Chain,
    /// The row that was passed last.
    row: i64,
    at: Option<Timestamp>,
    sound: u64,
}

impl Walk {
    fn step(&mut self, row: &Row<'_>) -> rusqlite::Result<Option<Broken>> {
        let id: i64 = row.get(0)?;
        if id != self.row + 1 {
            return Ok(Some(Broken::Missing { row: self.row + 1, after: self.at }));
        }
        let (operation, at) = (row.get(1)?, instant_from_micros(row.get(3)?));
        // A text that is none is a change too.
        let hash = stored(row).ok().map(|row| self.chain.add(&row));
        if hash.is_none() || row.get_ref(12)?.as_blob().ok() != hash.as_ref().map(|hash| &hash[..])
        {
            return Ok(Some(Broken::Changed { row: id, operation, at }));
        }
        (self.row, self.at) = (id, Some(at));
        self.sound += 1;
        Ok(None)
    }

    /// The packed index remembers how far the journal once went.
    fn end(&self, db: &Connection) -> rusqlite::Result<Option<Broken>> {
        let packed: i64 = db.query_row("SELECT packed FROM meta", [], |row| row.get(0))?;
        let missing = packed > self.row;
        Ok(missing.then_some(Broken::Missing { row: self.row + 1, after: self.at }))
    }
}

fn stored<'a>(row: &'a Row<'_>) -> rusqlite::Result<Stored<'a>> {
    let text = |column| Ok::<_, rusqlite::Error>(row.get_ref(column)?.as_str()?);
    Ok(Stored {
        id: row.get(0)?,
        operation: row.get(1)?,
        run: row.get_ref(2)?.as_str_or_null()?,
        at: row.get(3)?,
        key: text(4)?,
        remote_id: text(5)?,
        action: text(6)?,
        outcome: text(7)?,
        why: text(8)?,
        status: row.get(9)?,
        attempts: row.get(10)?,
        edits: text(11)?,
    })
}
