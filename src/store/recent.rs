//! What the last day's runs have changed, for the guards to count along.

use super::{
    ActionKind, Snapshot, StoreError,
    convert::{edits_from_text, instant_to_micros, sound},
};
use crate::model::{Edit, UserKey};
use jiff::Timestamp;
use rusqlite::{Connection, Row};
use std::collections::BTreeSet;

impl Snapshot {
    /// Hands out what runs that began after `since` have changed, or may have: of every operation
    /// the user and the edits, in no particular order. Without the runs that an approval let pass,
    /// and without what the target would not take.
    pub fn each_change_since(
        &self,
        since: Timestamp,
        visit: &mut Visit<'_>,
    ) -> Result<(), StoreError> {
        self.read("read what was sent within the last day", |db| {
            let runs = counted_runs(db, since)?;
            if runs.is_empty() {
                return Ok(());
            }
            each_outcome(db, instant_to_micros(since), &runs, visit)?;
            each_open(db, &runs, visit)
        })
    }
}

/// Is told of whom, of what kind, and what was set.
pub(super) type Visit<'a> = dyn FnMut(&UserKey, ActionKind, &[Edit]) + 'a;

/// Operations that change nothing.
const LOOKS: [&str; 2] = ["read", "find"];
/// Outcomes after which something is changed, or may be.
const DONE: [&str; 5] = ["settled", "unverified", "in_doubt", "created", "deleted"];

fn counted_runs(db: &Connection, since: Timestamp) -> rusqlite::Result<BTreeSet<String>> {
    let mut statement = db.prepare_cached(
        "SELECT id FROM run WHERE started > ?1
             AND id NOT IN (SELECT run FROM approval WHERE run IS NOT NULL)",
    )?;
    statement.query_map([instant_to_micros(since)], |row| row.get(0))?.collect()
}

/// From the journal's end backwards: its rows stand in the order of time.
fn each_outcome(
    db: &Connection,
    since: i64,
    runs: &BTreeSet<String>,
    visit: &mut Visit<'_>,
) -> rusqlite::Result<()> {
    let mut statement = db.prepare_cached(
        "SELECT at, run, action, outcome, key, edits FROM journal ORDER BY id DESC",
    )?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        if row.get::<_, i64>(0)? < since {
            return Ok(());
        }
        let run = row.get_ref(1)?.as_str_or_null()?;
        let changes = !LOOKS.contains(&row.get_ref(2)?.as_str()?);
        let done = DONE.contains(&row.get_ref(3)?.as_str()?);
        if changes && done && run.is_some_and(|run| runs.contains(run)) {
            hand_out(row, [2, 4, 5], visit)?;
        }
    }
    Ok(())
}

/// Requests of which nobody knows what became.
fn each_open(
    db: &Connection,
    runs: &BTreeSet<String>,
    visit: &mut Visit<'_>,
) -> rusqlite::Result<()> {
    let mut statement = db.prepare_cached(
        "SELECT run, action, key, edits FROM intent WHERE action NOT IN ('read', 'find')",
    )?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        if runs.contains(row.get_ref(0)?.as_str()?) {
            hand_out(row, [1, 2, 3], visit)?;
        }
    }
    Ok(())
}

fn hand_out(
    row: &Row<'_>,
    [action, key, edits]: [usize; 3],
    visit: &mut Visit<'_>,
) -> rusqlite::Result<()> {
    let action = sound(ActionKind::parse(row.get_ref(action)?.as_str()?))?;
    let key = sound(UserKey::parse(row.get_ref(key)?.as_str()?).ok())?;
    let edits = sound(edits_from_text(row.get_ref(edits)?.as_str()?))?;
    visit(&key, action, &edits);
    Ok(())
}
