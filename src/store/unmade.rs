//! Accounts that may have been made, and that nobody has seen.

use super::{
    ActionKind, Snapshot, Store, StoreError,
    convert::instant_to_micros,
    ledger::{Books, advance},
    rows::{self, Suspect},
};
use crate::model::{AttrPath, Match, UserKey};
use jiff::Timestamp;
use rusqlite::{Connection, params};
use std::collections::BTreeMap;

impl Snapshot {
    /// Users for whom an account may have been made that nobody has seen. Of `link`, what the creations
    /// would have given it, to look for it by: of the oldest first, and each once.
    pub fn creating(&self, link: &[AttrPath]) -> Result<BTreeMap<UserKey, Vec<Match>>, StoreError> {
        let mut creating: BTreeMap<UserKey, Vec<Match>> = BTreeMap::new();
        let intents = self.open_intents()?.into_iter();
        for intent in intents.filter(|intent| intent.action == ActionKind::Create) {
            let ways = creating.entry(intent.key).or_default();
            for path in link {
                let edit = intent.edits.iter().find(|edit| edit.path == *path);
                let value = edit.and_then(|edit| edit.after.clone());
                let by = value.map(|value| Match { path: path.clone(), value });
                ways.extend(by.filter(|by| !ways.contains(by)));
            }
        }
        Ok(creating)
    }
}

impl Store {
    /// Notes that these users, of whom nothing is wished any more, were looked for by all that a creation
    /// has recorded, and not found. A request may arrive yet: the doubt is over when two runs have said
    /// so, and the creation left no later than `before`.
    pub fn note_unmade(&mut self, users: &[&UserKey], before: Timestamp) -> Result<(), StoreError> {
        if users.is_empty() {
            return Ok(());
        }
        let (disk, books) = self.disk_and_books();
        disk.amend("remember whose account was not made", |tx| {
            for key in users {
                let again = books.suspects.get(*key).is_some_and(|suspect| suspect.clean > 0);
                if again && left_before(tx, key, before)? {
                    give_up(tx, books, key)?;
                } else if !again {
                    let suspect = Suspect { clean: 1, ..Suspect::default() };
                    rows::put_suspect(tx, key, &suspect)?;
                    books.suspects.insert((*key).clone(), suspect);
                }
            }
            Ok(())
        })
    }
}

fn left_before(db: &Connection, key: &UserKey, before: Timestamp) -> rusqlite::Result<bool> {
    let mut later =
        db.prepare_cached("SELECT 1 FROM intent WHERE key = ?1 AND action = 'create' AND at > ?2")?;
    Ok(!later.exists(params![key.as_str(), instant_to_micros(before)])?)
}

fn give_up(db: &Connection, books: &mut Books, key: &UserKey) -> rusqlite::Result<()> {
    let mut close = db.prepare_cached("DELETE FROM intent WHERE key = ?1 AND action = 'create'")?;
    close.execute([key.as_str()])?;
    rows::remove_suspect(db, key)?;
    books.suspects.remove(key);
    if let Some(open) = books.open.get_mut(key) {
        open.retain(|intent| intent.action != ActionKind::Create);
        if open.is_empty() {
            books.open.remove(key);
        }
    }
    advance(db, true, 0)
}
