//! Rows of users and intents, as they are written and read back.

use super::{
    ActionKind, Intent,
    convert::{
        attributes_from_text, attributes_to_text, count_from_integer, count_to_integer,
        edits_from_text, edits_to_text, instant_from_micros, instant_to_micros, paths_from_text,
        paths_to_text, remote_id_from_text, remote_id_to_text, sound,
    },
    fold::UserRow,
};
use crate::model::{AttrPath, RemoteId, RunId, UserKey};
use rusqlite::{Connection, Row, Statement, params};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use xxhash_rust::xxh3::xxh3_128;

/// What an open intent says of its user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct OpenIntent {
    pub(super) operation_id: u64,
    pub(super) run: String,
    pub(super) remote_id: Option<RemoteId>,
    pub(super) action: ActionKind,
    /// What it is about to change.
    pub(super) paths: Vec<AttrPath>,
}

/// Everybody's open intents, oldest first.
pub(super) type OpenIntents = HashMap<UserKey, Vec<OpenIntent>>;

/// A user whose doubt is over, and of whom a request may arrive yet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Suspect {
    /// Reads in a row that showed what was known.
    pub(super) clean: u32,
    /// What the request would change.
    pub(super) paths: BTreeSet<AttrPath>,
}

/// Everybody who is one; few, and on most nights nobody.
pub(super) type Suspects = HashMap<UserKey, Suspect>;

pub(super) fn suspects(db: &Connection) -> rusqlite::Result<Suspects> {
    let mut statement = db.prepare_cached("SELECT key, clean, paths FROM suspect")?;
    let suspect = |row: &Row<'_>| {
        let key = sound(UserKey::parse(row.get_ref(0)?.as_str()?).ok())?;
        let paths = sound(paths_from_text(row.get_ref(2)?.as_str()?))?;
        Ok((key, Suspect { clean: row.get(1)?, paths }))
    };
    statement.query_map([], suspect)?.collect()
}

pub(super) fn put_suspect(
    db: &Connection,
    key: &UserKey,
    suspect: &Suspect,
) -> rusqlite::Result<()> {
    let Suspect { clean, paths } = suspect;
    let mut statement = db
        .prepare_cached("INSERT OR REPLACE INTO suspect (key, clean, paths) VALUES (?1, ?2, ?3)")?;
    statement.execute(params![key.as_str(), clean, paths_to_text(paths)])?;
    Ok(())
}

pub(super) fn remove_suspect(db: &Connection, key: &UserKey) -> rusqlite::Result<()> {
    db.prepare_cached("DELETE FROM suspect WHERE key = ?1")?.execute([key.as_str()])?;
    Ok(())
}

/// One user's row as it was found.
pub(super) enum Found {
    Sound(UserRow),
    /// The row does not match its hash: nothing of it is believed but the key it was found by and,
    /// if it is one at all, the id at the target.
    Damaged(Option<RemoteId>),
}

/// They are few: all are read at once.
pub(super) fn all_intents(db: &Connection) -> rusqlite::Result<Vec<Intent>> {
    db.prepare_cached(ALL_INTENTS)?.query_map([], intent)?.collect()
}

/// Operations whose intent is not as it was written.
pub(super) fn damaged_intents(db: &Connection) -> rusqlite::Result<Vec<i64>> {
    let mut statement = db.prepare_cached(ALL_INTENTS)?;
    let judged = statement.query_map([], |row| Ok((row.get(0)?, intent(row).is_err())))?;
    let judged: Vec<(i64, bool)> = judged.collect::<rusqlite::Result<_>>()?;
    Ok(judged.into_iter().filter_map(|(id, damaged)| damaged.then_some(id)).collect())
}

const ALL_INTENTS: &str = "SELECT operation, run, key, remote_id, action, edits, at, hash
     FROM intent ORDER BY operation";

pub(super) fn open_intents(db: &Connection) -> rusqlite::Result<OpenIntents> {
    let mut open = OpenIntents::new();
    for intent in all_intents(db)? {
        open.entry(intent.key.clone()).or_default().push(OpenIntent::from(&intent));
    }
    Ok(open)
}

impl From<&Intent> for OpenIntent {
    fn from(intent: &Intent) -> Self {
        let Intent { operation_id, run, key: _, remote_id, action, edits, at: _ } = intent;
        Self {
            operation_id: *operation_id,
            run: run.as_str().to_owned(),
            remote_id: remote_id.clone(),
            action: *action,
            paths: edits.iter().map(|edit| edit.path.clone()).collect(),
        }
    }
}

fn intent(row: &Row<'_>) -> rusqlite::Result<Intent> {
    let numbers = [row.get(0)?, row.get(6)?];
    let text = |column| Ok::<_, rusqlite::Error>(row.get_ref(column)?.as_str()?);
    let texts = [text(1)?, text(2)?, text(3)?, text(4)?, text(5)?];
    intact(row, 7, seal(&numbers, &texts))?;
    Ok(Intent {
        operation_id: count_from_integer(row.get(0)?),
        run: sound(RunId::parse(row.get_ref(1)?.as_str()?).ok())?,
        key: sound(UserKey::parse(row.get_ref(2)?.as_str()?).ok())?,
        remote_id: remote_id_from_text(row.get_ref(3)?.as_str()?)?,
        action: sound(ActionKind::parse(row.get_ref(4)?.as_str()?))?,
        edits: sound(edits_from_text(row.get_ref(5)?.as_str()?))?,
        at: instant_from_micros(row.get(6)?),
    })
}

pub(super) const INTEND: &str =
    "INSERT INTO intent (operation, run, key, remote_id, action, edits, at, hash)
     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";

/// Stores an intent by [`INTEND`].
pub(super) fn put_intent(statement: &mut Statement<'_>, intent: &Intent) -> rusqlite::Result<()> {
    let Intent { operation_id, run, key, remote_id, action, edits, at } = intent;
    let (operation, at) = (count_to_integer(*operation_id), instant_to_micros(*at));
    let edits = edits_to_text(edits);
    let remote_id = remote_id_to_text(remote_id.as_ref());
    let texts = [run.as_str(), key.as_str(), remote_id, action.as_str(), &edits];
    let hash = seal(&[operation, at], &texts);
    let [run, key, remote_id, action, edits] = texts;
    statement.execute(params![operation, run, key, remote_id, action, edits, at, hash])?;
    Ok(())
}

/// XXH3-128 of a small row, lengths included.
pub(super) fn seal(numbers: &[i64], texts: &[&str]) -> [u8; 16] {
    let mut bytes = Vec::with_capacity(256);
    for number in numbers {
        bytes.extend_from_slice(&number.to_le_bytes());
    }
    for text in texts {
        bytes.extend_from_slice(&(text.len() as u64).to_le_bytes());
        bytes.extend_from_slice(text.as_bytes());
    }
    xxh3_128(&bytes).to_be_bytes()
}

/// Whether a small row is as it was sealed; one from before there were seals is.
pub(super) fn intact(row: &Row<'_>, column: usize, seal: [u8; 16]) -> rusqlite::Result<()> {
    let found: Option<[u8; 16]> = row.get(column)?;
    sound(found.is_none_or(|found| found == seal).then_some(()))
}

/// The keys of the rows that a query without arguments gives, sorted.
pub(super) fn keys(db: &Connection, query: &str) -> rusqlite::Result<Vec<UserKey>> {
    let mut statement = db.prepare_cached(query)?;
    let rows =
        statement.query_map([], |row| sound(UserKey::parse(row.get_ref(0)?.as_str()?).ok()))?;
    let mut keys = rows.collect::<rusqlite::Result<Vec<_>>>()?;
    keys.sort_unstable();
    keys.dedup();
    Ok(keys)
}

/// Everybody, and one, with the columns that [`user_row`] reads.
pub(super) const ALL_USERS: &str =
    "SELECT id, key, remote_id, seen, gone, attributes, refused, hash FROM user";
pub(super) const USER_OF_KEY: &str =
    "SELECT id, key, remote_id, seen, gone, attributes, refused, hash FROM user WHERE key = ?1";

/// One user by [`USER_OF_KEY`], and its id.
pub(super) fn find_user(
    statement: &mut Statement<'_>,
    key: &UserKey,
) -> rusqlite::Result<Option<(i64, Found)>> {
    let mut rows = statement.query([key.as_str()])?;
    rows.next()?.map(|row| Ok((row.get(0)?, user_row(row)?))).transpose()
}

pub(super) fn user_row(row: &Row<'_>) -> rusqlite::Result<Found> {
    let (key, remote_id) = (row.get_ref(1)?.as_str()?, row.get_ref(2)?.as_str()?);
    let (seen, gone): (bool, bool) = (row.get(3)?, row.get(4)?);
    let (attributes, refused) = (row.get_ref(5)?.as_str()?, row.get_ref(6)?.as_str()?);
    let hash = row_hash(key, remote_id, seen, gone, attributes, refused);
    let intact = row.get_ref(7)?.as_blob()? == hash;
    let remote_id = RemoteId::parse(remote_id).ok();
    let whole = || {
        Some(UserRow {
            key: UserKey::parse(key).ok()?,
            remote_id: remote_id.clone()?,
            seen,
            gone,
            attributes: attributes_from_text(attributes)?,
            refused: attributes_from_text(refused)?,
        })
    };
    Ok(intact.then(whole).flatten().map_or(Found::Damaged(remote_id), Found::Sound))
}

/// Of the row's content, lengths included.
pub(super) fn row_hash(
    key: &str,
    remote_id: &str,
    seen: bool,
    gone: bool,
    attributes: &str,
    refused: &str,
) -> [u8; 16] {
    let parts = [key, remote_id, attributes, refused];
    let length = parts.iter().map(|part| part.len() + 8).sum::<usize>() + 2;
    let mut bytes = Vec::with_capacity(length);
    for part in parts {
        bytes.extend_from_slice(&(part.len() as u64).to_le_bytes());
        bytes.extend_from_slice(part.as_bytes());
    }
    bytes.extend([u8::from(seen), u8::from(gone)]);
    xxh3_128(&bytes).to_be_bytes()
}

pub(super) const INSERT_USER: &str =
    "INSERT INTO user (id, key, remote_id, seen, gone, attributes, refused, hash)
     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
pub(super) const UPDATE_USER: &str =
    "UPDATE user SET remote_id = ?3, seen = ?4, gone = ?5, attributes = ?6, refused = ?7, hash = ?8
     WHERE id = ?1 AND key = ?2";
/// When nothing else of the row has changed: what no index is over.
pub(super) const UPDATE_ATTRIBUTES: &str =
    "UPDATE user SET attributes = ?3, hash = ?4 WHERE id = ?1 AND key = ?2";

/// Stores the row by [`INSERT_USER`] or [`UPDATE_USER`]; returns the id, which only a new row may
/// leave open.
pub(super) fn put_user(
    db: &Connection,
    statement: &mut Statement<'_>,
    id: Option<i64>,
    row: &UserRow,
) -> rusqlite::Result<i64> {
    let UserRow { key, remote_id, seen, gone, .. } = row;
    let (attributes, refused, hash) = spelled(row);
    let (key, remote_id) = (key.as_str(), remote_id.as_str());
    statement.execute(params![id, key, remote_id, seen, gone, attributes, refused, hash])?;
    Ok(id.unwrap_or_else(|| db.last_insert_rowid()))
}

/// Stores the attributes by [`UPDATE_ATTRIBUTES`].
pub(super) fn put_attributes(
    statement: &mut Statement<'_>,
    id: i64,
    row: &UserRow,
) -> rusqlite::Result<i64> {
    let (attributes, _, hash) = spelled(row);
    statement.execute(params![id, row.key.as_str(), attributes, hash])?;
    Ok(id)
}

/// Attributes and refused values as text, and the hash of the whole row.
fn spelled(row: &UserRow) -> (String, String, [u8; 16]) {
    let UserRow { key, remote_id, seen, gone, attributes, refused } = row;
    let (attributes, refused) = (attributes_to_text(attributes), attributes_to_text(refused));
    let hash = row_hash(key.as_str(), remote_id.as_str(), *seen, *gone, &attributes, &refused);
    (attributes, refused, hash)
}

/// Users with an open intent and where the last one went.
pub(super) fn last_targets(
    db: &Connection,
) -> rusqlite::Result<BTreeMap<UserKey, Option<RemoteId>>> {
    let intents = all_intents(db)?.into_iter();
    Ok(intents.map(|intent| (intent.key, intent.remote_id)).collect())
}

/// A file has room for four billion users.
pub(super) fn short_id(id: i64) -> rusqlite::Result<u32> {
    sound(u32::try_from(id).ok())
}
