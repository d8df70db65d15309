//! Accounts that were found, made or switched off: what is remembered besides the accounts themselves.

use super::{
    Conclusion, Intent, Snapshot, Store, StoreError,
    convert::{fingerprint_to_bytes, instant_from_micros, instant_to_micros, sound},
    fold::UserRow,
    holds,
    ledger::advance,
    pack::{Change, News, write_pages},
    packed::remote_hash,
    rows,
};
use crate::{
    engine::{
        index::UNSETTLED,
        plan::Leaving,
        quarantine::{Cause, next_try},
    },
    model::{AttrPath, Attributes, Edit, Fingerprint, Outcome, RemoteId, RunId, UserKey, Value},
};
use jiff::Timestamp;
use rusqlite::{Connection, Row, params};
use std::collections::{BTreeMap, BTreeSet};

/// An account that was found for a user of whom the roster names none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    pub key: UserKey,
    pub remote_id: RemoteId,
    /// What the list showed of it, as far as it is remembered.
    pub shown: Attributes,
    pub by: AttrPath,
}

/// How an account came to be known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    pub key: UserKey,
    pub remote_id: RemoteId,
    /// The attribute that it was found by; `None`: it was made, or the roster names it.
    pub by: Option<AttrPath>,
    pub made: bool,
    pub at: Timestamp,
    pub run: Option<RunId>,
}

/// A user whose account was looked for in vain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InVain {
    pub key: UserKey,
    pub cause: Cause,
    pub why: String,
    /// Of the row as it was.
    pub row: Option<Fingerprint>,
}

impl Snapshot {
    /// Everybody who has left, or seems to have, or whom we switched off.
    pub fn leaving(&self) -> Result<BTreeMap<UserKey, Leaving>, StoreError> {
        self.read("read who has left", |db| {
            let mut statement = db.prepare("SELECT key, absent, since, disabled FROM leaver")?;
            let leaving = |row: &Row<'_>| {
                let key = sound(UserKey::parse(row.get_ref(0)?.as_str()?).ok())?;
                let disabled = row.get::<_, Option<i64>>(3)?.map(instant_from_micros);
                let since = instant_from_micros(row.get(2)?);
                Ok((key, Leaving { absent: row.get(1)?, since, disabled }))
            };
            statement.query_map([], leaving)?.collect()
        })
    }

    /// Of these users and the ids that are known of them, those whose account was found, made, or
    /// shown by a read.
    pub fn linked<'a>(
        &self,
        users: impl Iterator<Item = (&'a UserKey, &'a RemoteId)>,
    ) -> Result<BTreeSet<UserKey>, StoreError> {
        self.read("read whose account was seen", |db| {
            let mut find =
                db.prepare_cached("SELECT 1 FROM link WHERE key = ?1 AND remote_id = ?2")?;
            let mut linked = BTreeSet::new();
            for (key, remote_id) in users {
                if find.exists([key.as_str(), remote_id.as_str()])? {
                    linked.insert(key.clone());
                }
            }
            Ok(linked)
        })
    }

    /// How accounts came to be known, as far as that was seen, sorted by user.
    pub fn origins(&self) -> Result<Vec<Origin>, StoreError> {
        self.read("read how accounts came to be known", |db| {
            let mut statement =
                db.prepare("SELECT key, remote_id, how, by, at, run FROM link ORDER BY key")?;
            let origin = |row: &Row<'_>| {
                let by = row.get_ref(3)?.as_str()?;
                let run = row.get::<_, Option<String>>(5)?;
                Ok(Origin {
                    key: sound(UserKey::parse(row.get_ref(0)?.as_str()?).ok())?,
                    remote_id: sound(RemoteId::parse(row.get_ref(1)?.as_str()?).ok())?,
                    by: (!by.is_empty()).then(|| AttrPath::new(by)),
                    made: row.get_ref(2)?.as_str()? == CREATED,
                    at: instant_from_micros(row.get(4)?),
                    run: run.map(|run| sound(RunId::parse(&run).ok())).transpose()?,
                })
            };
            statement.query_map([], origin)?.collect()
        })
    }
}

const LINKED: &str = "linked";
const CREATED: &str = "created";

impl Store {
    /// Takes accounts for their users', all or none. Whatever was on its way of these users is over.
    pub fn link(&mut self, links: &[Link], run: &RunId, at: Timestamp) -> Result<(), StoreError> {
        if links.is_empty() {
            return Ok(());
        }
        let (disk, books) = self.disk_and_books();
        disk.write("link users to their accounts", |tx| {
            let mut changes = Vec::with_capacity(links.len());
            for link in links {
                changes.push(put_link(tx, link, run, at)?);
                rows::remove_suspect(tx, &link.key)?;
                books.suspects.remove(&link.key);
                books.open.remove(&link.key);
                books.quarantine.remove(&link.key);
            }
            changes.sort_unstable_by_key(|change| change.key);
            write_pages(tx, None, &News::of(&changes))?;
            books.news.extend(changes);
            advance(tx, true, 0)
        })
    }

    /// Notes that reads have shown accounts that the roster named.
    pub fn note_shown(
        &mut self,
        shown: &BTreeMap<UserKey, RemoteId>,
        run: &RunId,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        if shown.is_empty() {
            return Ok(());
        }
        let (disk, _) = self.disk_and_books();
        disk.amend("remember whose account was seen", |tx| {
            let mut known =
                tx.prepare_cached("SELECT 1 FROM link WHERE key = ?1 AND remote_id = ?2")?;
            for (key, remote_id) in shown {
                if !known.exists([key.as_str(), remote_id.as_str()])? {
                    note_origin(tx, key, remote_id, LINKED, "", at, Some(run.as_str()))?;
                }
            }
            Ok(())
        })
    }

    /// Counts who was missed by a complete read (`absent`), and remembers who is said to have left.
    /// Whoever is neither, and was not switched off by us, is forgotten; and so are `back`, who are
    /// on again. `enough`: so many reads are counted, and no more.
    pub fn note_leavers(
        &mut self,
        absent: &[&UserKey],
        left: &[&UserKey],
        back: &[&UserKey],
        enough: u32,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let current: BTreeSet<&UserKey> = absent.iter().chain(left).copied().collect();
        let now = instant_to_micros(now);
        let (disk, _) = self.disk_and_books();
        disk.amend("remember who has left", |tx| {
            let mut miss = tx.prepare_cached(
                "INSERT INTO leaver (key, absent, since, disabled) VALUES (?1, 1, ?2, NULL)
                 ON CONFLICT (key) DO UPDATE SET absent = absent + 1 WHERE absent < ?3",
            )?;
            for key in absent {
                miss.execute(params![key.as_str(), now, enough])?;
            }
            let mut leave = tx.prepare_cached(
                "INSERT INTO leaver (key, absent, since, disabled) VALUES (?1, 0, ?2, NULL)
                 ON CONFLICT (key) DO NOTHING",
            )?;
            for key in left {
                leave.execute(params![key.as_str(), now])?;
            }
            let mut forget = tx.prepare_cached("DELETE FROM leaver WHERE key = ?1")?;
            for key in back {
                forget.execute([key.as_str()])?;
            }
            for key in rows::keys(tx, "SELECT key FROM leaver WHERE disabled IS NULL")? {
                if !current.contains(&key) {
                    forget.execute([key.as_str()])?;
                }
            }
            Ok(())
        })
    }

    /// Ends the absence of users whom a read has shown, be it of a part only. Whoever was not switched
    /// off by us, and is not said to have left, is forgotten.
    pub fn note_present(
        &mut self,
        present: &[UserKey],
        left: &BTreeSet<&UserKey>,
    ) -> Result<(), StoreError> {
        if present.is_empty() {
            return Ok(());
        }
        let (disk, _) = self.disk_and_books();
        disk.amend("forget who was absent", |tx| {
            let mut reset = tx.prepare_cached("UPDATE leaver SET absent = 0 WHERE key = ?1")?;
            let mut forget =
                tx.prepare_cached("DELETE FROM leaver WHERE key = ?1 AND disabled IS NULL")?;
            for key in present {
                reset.execute([key.as_str()])?;
                if !left.contains(key) {
                    forget.execute([key.as_str()])?;
                }
            }
            Ok(())
        })
    }

    /// Puts users whose account was looked for in vain on the long schedule.
    pub fn seek_later(&mut self, users: &[InVain], at: Timestamp) -> Result<(), StoreError> {
        if users.is_empty() {
            return Ok(());
        }
        let (disk, books) = self.disk_and_books();
        disk.write("remember who was looked for in vain", |tx| {
            for InVain { key, cause, why, row, .. } in users {
                let before = holds::find(tx, key)?.filter(|found| found.row == *row);
                let begun = before.map(|found| found.timer).filter(|timer| timer.tries > 0);
                let since = begun.map_or(at, |timer| timer.since);
                let tries = begun.map_or(0, |timer| timer.tries).saturating_add(1);
                tx.prepare_cached(
                    "INSERT OR REPLACE INTO quarantine
                         (key, cause, why, status, row, since, last, tries, next)
                     VALUES (?1, ?2, ?3, NULL, ?4, ?5, ?6, ?7, ?8)",
                )?
                .execute(params![
                    key.as_str(),
                    cause.as_str(),
                    why,
                    row.map(fingerprint_to_bytes),
                    instant_to_micros(since),
                    instant_to_micros(at),
                    tries,
                    next_try(since, at).map(instant_to_micros),
                ])?;
                books.quarantine.insert(key.clone());
            }
            Ok(())
        })
    }
}

fn put_link(db: &Connection, link: &Link, run: &RunId, at: Timestamp) -> rusqlite::Result<Change> {
    let Link { key, remote_id, shown, by } = link;
    let row = UserRow {
        seen: true,
        attributes: shown.clone(),
        ..UserRow::unseen(key.clone(), remote_id.clone())
    };
    let found = rows::find_user(&mut *db.prepare_cached(rows::USER_OF_KEY)?, key)?;
    let id = found.map(|(id, _)| id);
    let put = if id.is_some() { rows::UPDATE_USER } else { rows::INSERT_USER };
    let id = rows::put_user(db, &mut *db.prepare_cached(put)?, id, &row)?;
    db.prepare_cached("DELETE FROM intent WHERE key = ?1")?.execute([key.as_str()])?;
    db.prepare_cached("DELETE FROM quarantine WHERE key = ?1")?.execute([key.as_str()])?;
    note_origin(db, key, remote_id, LINKED, by.as_str(), at, Some(run.as_str()))?;
    let remote = remote_hash(remote_id.as_str());
    Ok(Change::account(key.fingerprint(), rows::short_id(id)?, remote, UNSETTLED))
}

/// An account that was found in a list.
pub(super) fn note_linked(
    db: &Connection,
    key: &UserKey,
    remote_id: &RemoteId,
    by: &AttrPath,
    at: Timestamp,
    run: &RunId,
) -> rusqlite::Result<()> {
    db.prepare_cached("DELETE FROM quarantine WHERE key = ?1")?.execute([key.as_str()])?;
    note_origin(db, key, remote_id, LINKED, by.as_str(), at, Some(run.as_str()))
}

fn note_origin(
    db: &Connection,
    key: &UserKey,
    remote_id: &RemoteId,
    how: &str,
    by: &str,
    at: Timestamp,
    run: Option<&str>,
) -> rusqlite::Result<()> {
    db.prepare_cached(
        "INSERT OR REPLACE INTO link (key, remote_id, how, by, at, run)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )?
    .execute(params![key.as_str(), remote_id.as_str(), how, by, instant_to_micros(at), run])
    .map(drop)
}

/// Before an account is switched off: it may be, whatever comes of it.
pub(super) fn note_disabling(db: &Connection, intent: &Intent) -> rusqlite::Result<()> {
    db.prepare_cached(
        "INSERT INTO leaver (key, absent, since, disabled) VALUES (?1, 0, ?2, ?2)
         ON CONFLICT (key) DO UPDATE SET disabled = excluded.disabled",
    )?
    .execute(params![intent.key.as_str(), instant_to_micros(intent.at)])
    .map(drop)
}

/// What an outcome means for the account as a whole.
pub(super) fn follow(
    db: &Connection,
    conclusion: &Conclusion,
    run: Option<&str>,
) -> rusqlite::Result<()> {
    let Conclusion { key, action, outcome, edits, at, .. } = conclusion;
    match (action, outcome) {
        (_, Outcome::Created { remote_id, .. }) => {
            note_origin(db, key, remote_id, CREATED, "", *at, run)
        }
        (_, Outcome::Deleted) => {
            forget_leaver(db, key)?;
            let mut forget = db.prepare_cached("DELETE FROM link WHERE key = ?1")?;
            forget.execute([key.as_str()]).map(drop)
        }
        // Off still, whatever the target said: switched on again by a later run.
        (super::ActionKind::Enable, Outcome::Settled { shown, .. }) => {
            let is_off = |edit: &Edit| shown.get(&edit.path) == Some(&Some(Value::Flag(false)));
            if edits.iter().any(is_off) { Ok(()) } else { forget_leaver(db, key) }
        }
        // A leaver's account that a read did not find: nothing is left to look at.
        (super::ActionKind::Read, Outcome::Gone) => db
            .prepare_cached("DELETE FROM link WHERE key = ?1 AND key IN (SELECT key FROM leaver)")?
            .execute([key.as_str()])
            .map(drop),
        _ => Ok(()),
    }
}

fn forget_leaver(db: &Connection, key: &UserKey) -> rusqlite::Result<()> {
    let mut forget = db.prepare_cached("DELETE FROM leaver WHERE key = ?1")?;
    forget.execute([key.as_str()]).map(drop)
}
