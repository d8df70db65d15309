//! What goes into the packed index, besides what callers say.

use super::{
    ledger::Books,
    pack::{Change, News},
    packed::{each_moved, key_fingerprint, remote_hash},
    rows,
};
use crate::{
    engine::index::{Entry, UNSETTLED},
    model::Fingerprint,
};
use rusqlite::Connection;
use std::{borrow::Cow, collections::BTreeSet};

impl<'a> News<'a> {
    /// Of changes alone.
    pub(super) fn of(changes: &'a [Change]) -> Self {
        static NOBODY: BTreeSet<Fingerprint> = BTreeSet::new();
        Self { changes, settled: &[], passing: &[], in_doubt: &NOBODY }
    }
}

/// What has changed since the pages were written, sorted by key: by processes that were killed, of
/// whom only the users are known, then by this one.
pub(super) fn changes(db: &Connection, books: &mut Books) -> rusqlite::Result<Vec<Change>> {
    let mut changes = inherited(db, books)?;
    if changes.is_empty() {
        changes = std::mem::take(&mut books.news);
    } else {
        changes.append(&mut books.news);
    }
    // Stable: of one user the last has the last word.
    changes.sort_by_key(|change| change.key);
    Ok(changes)
}

fn inherited(db: &Connection, books: &mut Books) -> rusqlite::Result<Vec<Change>> {
    let mut changes = Vec::new();
    let Some(last) = books.inherited.take() else { return Ok(changes) };
    let mut failed = Ok(());
    each_moved(db, last, &mut |key, id, remote_id| match rows::short_id(id.unwrap_or_default()) {
        Ok(id) => {
            let (key, remote) = (key_fingerprint(key), remote_hash(remote_id));
            changes.push(Change::account(key, id, remote, UNSETTLED));
        }
        Err(error) => failed = Err(error),
    })?;
    failed.map(|()| changes)
}

/// Users who are not settled whatever is said.
pub(super) fn in_doubt(db: &Connection) -> rusqlite::Result<BTreeSet<Fingerprint>> {
    let query = "SELECT key FROM user WHERE seen = 0 UNION SELECT key FROM intent
         UNION SELECT key FROM suspect";
    let keys = rows::keys(db, query)?;
    Ok(keys.iter().map(crate::model::UserKey::fingerprint).collect())
}

/// By key, the later of two last.
pub(super) fn sorted(entries: &[Entry]) -> Cow<'_, [Entry]> {
    if entries.is_sorted_by_key(|entry| entry.key) {
        return Cow::Borrowed(entries);
    }
    let mut sorted = entries.to_vec();
    sorted.sort_by_key(|entry| entry.key);
    Cow::Owned(sorted)
}

/// From now on the pages say everything up to that row of the journal.
pub(super) fn take_into_account(db: &Connection, journal: i64) -> rusqlite::Result<()> {
    db.execute("UPDATE meta SET packed = ?1 WHERE packed <> ?1", [journal])?;
    Ok(())
}
