//! Believing nothing of what is known any more.

use super::{
    convert::instant_to_micros,
    pending,
    rows::{self, Found},
    snapshot,
};
use jiff::Timestamp;
use rusqlite::{Connection, params};

/// Nothing is left of anybody but the id at the target; a row that cannot be believed goes.
pub(super) fn doubt_everybody(db: &Connection) -> rusqlite::Result<u64> {
    const NOTHING: &str = "{}";
    let mut ids = Vec::new();
    let mut damaged = Vec::new();
    each_user(db, |id, user| {
        match user {
            Found::Sound(_) => ids.push(id),
            Found::Damaged(_) => damaged.push(id),
        }
        Ok(())
    })?;
    let mut remove = db.prepare("DELETE FROM user WHERE id = ?1")?;
    for id in damaged {
        remove.execute([id])?;
    }
    db.execute_batch("DELETE FROM drift; DELETE FROM drift_sample")?;
    let mut find = db.prepare("SELECT key, remote_id FROM user WHERE id = ?1")?;
    let mut update = db.prepare(
        "UPDATE user SET seen = 0, gone = 0, attributes = '{}', refused = '{}', hash = ?2
         WHERE id = ?1",
    )?;
    for id in &ids {
        let hash = find.query_row([id], |row| {
            let (key, remote_id) = (row.get_ref(0)?.as_str()?, row.get_ref(1)?.as_str()?);
            Ok(rows::row_hash(key, remote_id, false, false, NOTHING, NOTHING))
        })?;
        update.execute(params![id, hash])?;
    }
    Ok(ids.len() as u64)
}

/// Nobody is settled, so that the packed index is made anew; and what cannot be believed of the rest
/// would keep every later run from its work.
pub(super) fn drop_what_is_damaged(db: &Connection) -> rusqlite::Result<()> {
    db.execute_batch("DELETE FROM index_page; DELETE FROM index_account; DELETE FROM last_answer")?;
    // One that can be read may stand for an account that was made, and that nobody has seen.
    for operation in rows::damaged_intents(db)? {
        db.execute("DELETE FROM intent WHERE operation = ?1", [operation])?;
    }
    if pending::read_accepted_input(db).is_err() {
        db.execute("DELETE FROM accepted_input", [])?;
    }
    if snapshot::read_pause(db).is_err() {
        db.execute("DELETE FROM pause", [])?;
    }
    Ok(())
}

/// What was counted of those who left, and since when, may be as old as the copy.
pub(super) fn restart_leavers(db: &Connection, now: Timestamp) -> rusqlite::Result<()> {
    db.execute(
        "UPDATE leaver SET absent = 0, since = ?1,
             disabled = CASE WHEN disabled IS NULL THEN NULL ELSE ?1 END",
        [instant_to_micros(now)],
    )
    .map(drop)
}

pub(super) fn each_user(
    db: &Connection,
    mut visit: impl FnMut(i64, Found) -> rusqlite::Result<()>,
) -> rusqlite::Result<()> {
    let mut statement = db.prepare(rows::ALL_USERS)?;
    let mut found = statement.query([])?;
    while let Some(row) = found.next()? {
        // What is no text at all is as damaged as one with a flipped bit.
        let user = rows::user_row(row).unwrap_or(Found::Damaged(None));
        visit(row.get(0)?, user)?;
    }
    Ok(())
}
