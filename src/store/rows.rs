//! Rows of users and intents, as they are written and read back.

use super::{
    ActionKind, IndexEntry, Intent,
    convert::{
        attributes_from_text, attributes_to_text, count_from_integer, edits_from_text,
        fingerprint_from_bytes, fingerprint_to_bytes, instant_from_micros, sound,
    },
    fold::UserRow,
};
use crate::model::{Edit, Fingerprint, RemoteId, RunId, UserKey};
use rusqlite::{Connection, OptionalExtension, Row, params};
use std::collections::BTreeMap;

/// What an open intent says of its user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct OpenIntent {
    pub(super) operation_id: u64,
    pub(super) run: String,
    pub(super) remote_id: RemoteId,
    pub(super) edits: Vec<Edit>,
}

/// One user's row as it was found.
pub(super) enum Found {
    Sound(UserRow),
    /// The row does not match its hash: nothing of it is believed but the key it was found by.
    Damaged {
        id: i64,
    },
    Nothing,
}

/// `None`: a damaged row, whose user is as good as never seen.
pub(super) fn index_entry(row: &Row<'_>) -> rusqlite::Result<Option<IndexEntry>> {
    let key = UserKey::parse(row.get_ref(0)?.as_str()?);
    let remote_id = RemoteId::parse(row.get_ref(1)?.as_str()?);
    let (Ok(key), Ok(remote_id)) = (key, remote_id) else { return Ok(None) };
    let fingerprint = row.get::<_, Option<[u8; 16]>>(2)?.map(fingerprint_from_bytes);
    let in_doubt = !row.get::<_, bool>(3)?;
    let fingerprint = fingerprint.filter(|_| !in_doubt);
    Ok(Some(IndexEntry { key, remote_id, fingerprint, in_doubt, gone: row.get(4)? }))
}

/// Users with an open intent and where the last one went, sorted by key.
pub(super) fn open_users(db: &Connection) -> rusqlite::Result<BTreeMap<UserKey, RemoteId>> {
    let mut statement =
        db.prepare_cached("SELECT key, remote_id FROM intent ORDER BY operation")?;
    let mut users = BTreeMap::new();
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let key = sound(UserKey::parse(row.get_ref(0)?.as_str()?).ok())?;
        let remote_id = sound(RemoteId::parse(row.get_ref(1)?.as_str()?).ok())?;
        users.insert(key, remote_id);
    }
    Ok(users)
}

/// A user's open intents, oldest first.
pub(super) fn open_intents(db: &Connection, key: &UserKey) -> rusqlite::Result<Vec<OpenIntent>> {
    let mut statement = db.prepare_cached(
        "SELECT operation, run, remote_id, edits FROM intent WHERE key = ?1 ORDER BY operation",
    )?;
    let rows = statement.query_map([key.as_str()], |row| {
        Ok(OpenIntent {
            operation_id: count_from_integer(row.get(0)?),
            run: row.get(1)?,
            remote_id: sound(RemoteId::parse(row.get_ref(2)?.as_str()?).ok())?,
            edits: sound(edits_from_text(row.get_ref(3)?.as_str()?))?,
        })
    })?;
    rows.collect()
}

pub(super) fn find_user(db: &Connection, key: &UserKey) -> rusqlite::Result<Found> {
    let mut statement = db.prepare_cached(
        "SELECT user.id, remote_id, fingerprint, seen, gone, attributes, refused, hash
         FROM user LEFT JOIN account USING (id) WHERE key = ?1",
    )?;
    let found = statement.query_row([key.as_str()], |row| {
        let id = row.get(0)?;
        Ok(user_row(key, row)?.map_or(Found::Damaged { id }, Found::Sound))
    });
    Ok(found.optional()?.unwrap_or(Found::Nothing))
}

/// `None`: the row is not what its hash says.
fn user_row(key: &UserKey, row: &Row<'_>) -> rusqlite::Result<Option<UserRow>> {
    let remote_id: String = row.get(1)?;
    let (seen, gone): (bool, bool) = (row.get(3)?, row.get(4)?);
    let (attributes, refused): (Option<String>, Option<String>) = (row.get(5)?, row.get(6)?);
    let (Some(attributes), Some(refused)) = (attributes, refused) else { return Ok(None) };
    let hash = row_hash(key, &remote_id, seen, gone, &attributes, &refused);
    if row.get::<_, [u8; 16]>(7)? != hash {
        return Ok(None);
    }
    let fingerprint = row.get::<_, Option<[u8; 16]>>(2)?.map(fingerprint_from_bytes);
    let attributes = attributes_from_text(&attributes);
    let refused = attributes_from_text(&refused);
    let remote_id = RemoteId::parse(&remote_id).ok();
    let (Some(remote_id), Some(attributes), Some(refused)) = (remote_id, attributes, refused)
    else {
        return Ok(None);
    };
    let key = key.clone();
    Ok(Some(UserRow { key, remote_id, fingerprint, seen, gone, attributes, refused }))
}

/// Without the fingerprint: a flipped one only makes the user be looked at, and settling a million
/// users need not read their attributes.
fn row_hash(
    key: &UserKey,
    remote_id: &str,
    seen: bool,
    gone: bool,
    attributes: &str,
    refused: &str,
) -> [u8; 16] {
    let flag = |flag| if flag { "1" } else { "0" };
    let parts = [key.as_str(), remote_id, flag(seen), flag(gone), attributes, refused];
    Fingerprint::of(parts.map(Some)).0.to_be_bytes()
}

pub(super) fn remote_id_of(db: &Connection, id: i64) -> rusqlite::Result<Option<RemoteId>> {
    let mut statement = db.prepare_cached("SELECT remote_id FROM user WHERE id = ?1")?;
    statement.query_row(params![id], |row| Ok(RemoteId::parse(row.get_ref(0)?.as_str()?).ok()))
}

pub(super) fn intent(row: &Row<'_>) -> rusqlite::Result<Intent> {
    Ok(Intent {
        operation_id: count_from_integer(row.get(0)?),
        run: sound(RunId::parse(row.get_ref(1)?.as_str()?).ok())?,
        key: sound(UserKey::parse(row.get_ref(2)?.as_str()?).ok())?,
        remote_id: sound(RemoteId::parse(row.get_ref(3)?.as_str()?).ok())?,
        action: sound(ActionKind::parse(row.get_ref(4)?.as_str()?))?,
        edits: sound(edits_from_text(row.get_ref(5)?.as_str()?))?,
        at: instant_from_micros(row.get(6)?),
    })
}

/// Stores the row over what there was of that user.
pub(super) fn put_user(db: &Connection, row: &UserRow) -> rusqlite::Result<()> {
    let UserRow { key, remote_id, fingerprint, seen, gone, attributes, refused } = row;
    let (attributes, refused) = (attributes_to_text(attributes), attributes_to_text(refused));
    let hash = row_hash(key, remote_id.as_str(), *seen, *gone, &attributes, &refused);
    let fingerprint = fingerprint.map(fingerprint_to_bytes);
    let mut user = db.prepare_cached(
        "INSERT INTO user (key, remote_id, fingerprint, seen, gone) VALUES (?1, ?2, ?3, ?4, ?5)
         ON CONFLICT (key) DO UPDATE SET remote_id = excluded.remote_id,
             fingerprint = excluded.fingerprint, seen = excluded.seen, gone = excluded.gone
         RETURNING id",
    )?;
    let values = params![key.as_str(), remote_id.as_str(), fingerprint, seen, gone];
    let id: i64 = user.query_row(values, |row| row.get(0))?;
    let mut account = db.prepare_cached(
        "INSERT INTO account (id, attributes, refused, hash) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (id) DO UPDATE SET attributes = excluded.attributes,
             refused = excluded.refused, hash = excluded.hash",
    )?;
    account.execute(params![id, attributes, refused, hash])?;
    Ok(())
}
