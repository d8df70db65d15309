//! Who is not sent for now: users and the tenant in quarantine, and users held by hand.

use super::{
    Conclusion, Snapshot, Store, StoreError,
    convert::{
        fingerprint_from_bytes, fingerprint_to_bytes, instant_from_micros, instant_to_micros, sound,
    },
    ledger::advance,
    rows,
};
use crate::{
    engine::quarantine::{Cause, Effect, TenantCause, next_try},
    model::{Fingerprint, Outcome, Timer, UserKey},
};
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, params};
use std::collections::{BTreeMap, BTreeSet};

/// One user whose operation failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InQuarantine {
    pub cause: Cause,
    /// The target's code, or our own words; nothing of anybody. May be empty.
    pub why: String,
    /// Of the last answer.
    pub status: Option<u16>,
    /// Of the row that failed; `None`: whichever it was.
    pub row: Option<Fingerprint>,
    /// The last failure.
    pub last: Timestamp,
    pub timer: Timer,
}

/// One user held by a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hold {
    pub reason: String,
    /// Who said so.
    pub person: String,
    pub since: Timestamp,
    /// May have passed; `None`: until a person says so.
    pub until: Option<Timestamp>,
}

impl Hold {
    #[must_use]
    pub fn is_over(&self, now: Timestamp) -> bool {
        self.until.is_some_and(|until| until <= now)
    }
}

/// A tenant that nothing is sent to but probes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TenantInQuarantine {
    pub cause: TenantCause,
    /// In words; nothing of anybody.
    pub why: String,
    /// `next_try` is `None`: disabled, until a person releases it.
    pub timer: Timer,
}

impl TenantInQuarantine {
    /// Fails now, for the first time or once more.
    #[must_use]
    pub fn after(before: Option<&Self>, cause: TenantCause, why: String, now: Timestamp) -> Self {
        // Nothing was tried since a person wanted it tried anew.
        let begun = before.map(|before| before.timer).filter(|timer| timer.tries > 0);
        let since = begun.map_or(now, |timer| timer.since);
        let tries = begun.map_or(0, |timer| timer.tries).saturating_add(1);
        Self { cause, why, timer: Timer { since, next_try: next_try(since, now), tries } }
    }
}

impl Snapshot {
    pub fn quarantine(&self) -> Result<BTreeMap<UserKey, InQuarantine>, StoreError> {
        self.read("read who is in quarantine", |db| {
            let mut statement = db.prepare_cached(ALL)?;
            statement.query_map([], user)?.collect()
        })
    }

    /// By hand, those included that are over.
    pub fn holds(&self) -> Result<BTreeMap<UserKey, Hold>, StoreError> {
        self.read("read who is held by hand", |db| {
            let mut statement =
                db.prepare_cached("SELECT key, reason, person, since, until FROM hold")?;
            statement.query_map([], hold)?.collect()
        })
    }

    pub fn tenant_quarantine(&self) -> Result<Option<TenantInQuarantine>, StoreError> {
        self.read("read whether the tenant is in quarantine", |db| {
            let query = "SELECT cause, why, since, tries, next FROM tenant_quarantine";
            db.query_row(query, [], tenant).optional()
        })
    }
}

impl Store {
    /// Holds these users, in place of holds before. They need not be known.
    pub fn hold(&mut self, users: &[UserKey], hold: &Hold) -> Result<(), StoreError> {
        let Hold { reason, person, since, until } = hold;
        self.write_holds("hold users", |db, _| {
            for key in users {
                db.execute(
                    "INSERT OR REPLACE INTO hold (key, reason, person, since, until)
                     VALUES (?1, ?2, ?3, ?4, ?5)",
                    params![
                        key.as_str(),
                        reason,
                        person,
                        instant_to_micros(*since),
                        until.map(instant_to_micros),
                    ],
                )?;
            }
            Ok(users.len())
        })
        .map(drop)
    }

    /// Ends holds by hand; how many there were.
    pub fn end_holds(&mut self, users: &[UserKey]) -> Result<usize, StoreError> {
        self.write_holds("end holds", |db, _| {
            let end = |key: &UserKey| db.execute("DELETE FROM hold WHERE key = ?1", [key.as_str()]);
            users.iter().map(end).sum()
        })
    }

    /// Takes users out of quarantine; how many there were.
    pub fn release(&mut self, users: &[UserKey]) -> Result<usize, StoreError> {
        self.write_holds("release users from quarantine", |db, quarantine| {
            let mut released = 0;
            for key in users {
                quarantine.remove(key);
                released += db.execute("DELETE FROM quarantine WHERE key = ?1", [key.as_str()])?;
            }
            Ok(released)
        })
    }

    /// Has users in quarantine tried by the next run, and their schedule begin anew; how many there
    /// were.
    pub fn retry(&mut self, users: &[UserKey], now: Timestamp) -> Result<usize, StoreError> {
        self.write_holds("try users again", |db, _| {
            let retry = |key: &UserKey| {
                db.execute(
                    "UPDATE quarantine SET since = ?2, tries = 0, next = ?2 WHERE key = ?1",
                    params![key.as_str(), instant_to_micros(now)],
                )
            };
            users.iter().map(retry).sum()
        })
    }

    /// Puts the tenant into quarantine, or takes it out.
    pub fn set_tenant_quarantine(
        &mut self,
        state: Option<&TenantInQuarantine>,
    ) -> Result<(), StoreError> {
        self.write_holds("record the tenant's quarantine", |db, _| {
            let Some(TenantInQuarantine { cause, why, timer }) = state else {
                return db.execute("DELETE FROM tenant_quarantine", []);
            };
            let Timer { since, next_try, tries } = timer;
            db.execute(
                "INSERT OR REPLACE INTO tenant_quarantine (id, cause, why, since, tries, next)
                 VALUES (1, ?1, ?2, ?3, ?4, ?5)",
                params![
                    cause.as_str(),
                    why,
                    instant_to_micros(*since),
                    tries,
                    next_try.map(instant_to_micros),
                ],
            )
        })
        .map(drop)
    }

    /// Another answer is due to the same file from now on, so the serial moves.
    fn write_holds(
        &mut self,
        what: &'static str,
        change: impl FnOnce(&Connection, &mut BTreeSet<UserKey>) -> rusqlite::Result<usize>,
    ) -> Result<usize, StoreError> {
        let (disk, books) = self.disk_and_books();
        disk.write(what, |tx| {
            let changed = change(tx, &mut books.quarantine)?;
            advance(tx, changed > 0, 0)?;
            Ok(changed)
        })
    }
}

/// Who is in quarantine, for [`follow`].
pub(super) fn users(db: &Connection) -> rusqlite::Result<BTreeSet<UserKey>> {
    Ok(rows::keys(db, "SELECT key FROM quarantine")?.into_iter().collect())
}

/// Moves the quarantine as an outcome says. A success of somebody who is not in it costs nothing.
pub(super) fn follow(
    db: &Connection,
    quarantine: &mut BTreeSet<UserKey>,
    conclusion: &Conclusion,
) -> rusqlite::Result<()> {
    match conclusion.effect {
        Effect::Nothing => Ok(()),
        Effect::Ends if !quarantine.remove(&conclusion.key) => Ok(()),
        Effect::Ends => {
            let mut end = db.prepare_cached("DELETE FROM quarantine WHERE key = ?1")?;
            end.execute([conclusion.key.as_str()]).map(drop)
        }
        Effect::Fails(cause) => {
            let before = if quarantine.contains(&conclusion.key) {
                find(db, &conclusion.key)?
            } else {
                quarantine.insert(conclusion.key.clone());
                None
            };
            fail(db, before.as_ref(), cause, conclusion)
        }
    }
}

fn fail(
    db: &Connection,
    before: Option<&InQuarantine>,
    cause: Cause,
    conclusion: &Conclusion,
) -> rusqlite::Result<()> {
    let Conclusion { key, outcome, status, at, row, .. } = conclusion;
    // Another row is another wish, and a person may have wanted it tried anew.
    let same_wish = |before: &&InQuarantine| before.row.is_none() || before.row == *row;
    let begun = before.filter(same_wish).map(|before| before.timer);
    let begun = begun.filter(|timer| timer.tries > 0);
    let since = begun.map_or(*at, |timer| timer.since);
    let tries = begun.map_or(0, |timer| timer.tries).saturating_add(1);
    let why = match outcome {
        Outcome::Refused(refusal) => refusal.code.as_str(),
        Outcome::InDoubt { why } | Outcome::Deferred { why } => why,
        Outcome::Gone
        | Outcome::Settled { .. }
        | Outcome::Matched { .. }
        | Outcome::Nobody
        | Outcome::Ambiguous { .. }
        | Outcome::Created { .. }
        | Outcome::Deleted => "",
    };
    let mut put = db.prepare_cached(
        "INSERT OR REPLACE INTO quarantine
             (key, cause, why, status, row, since, last, tries, next)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
    )?;
    put.execute(params![
        key.as_str(),
        cause.as_str(),
        why,
        status,
        row.map(fingerprint_to_bytes),
        instant_to_micros(since),
        instant_to_micros(*at),
        tries,
        next_try(since, *at).map(instant_to_micros),
    ])
    .map(drop)
}

/// Everybody, and one, with the columns that [`user`] reads.
const ALL: &str = "SELECT key, cause, why, status, row, since, last, tries, next FROM quarantine";
const OF_KEY: &str = "SELECT key, cause, why, status, row, since, last, tries, next
    FROM quarantine WHERE key = ?1";

pub(super) fn find(db: &Connection, key: &UserKey) -> rusqlite::Result<Option<InQuarantine>> {
    let mut statement = db.prepare_cached(OF_KEY)?;
    Ok(statement.query_row([key.as_str()], user).optional()?.map(|(_, found)| found))
}

fn user(row: &Row<'_>) -> rusqlite::Result<(UserKey, InQuarantine)> {
    let found = InQuarantine {
        cause: sound(Cause::parse(row.get_ref(1)?.as_str()?))?,
        why: row.get(2)?,
        status: row.get(3)?,
        row: row.get::<_, Option<[u8; 16]>>(4)?.map(fingerprint_from_bytes),
        last: instant_from_micros(row.get(6)?),
        timer: Timer {
            since: instant_from_micros(row.get(5)?),
            next_try: instant(row, 8)?,
            tries: row.get(7)?,
        },
    };
    Ok((sound(UserKey::parse(row.get_ref(0)?.as_str()?).ok())?, found))
}

fn hold(row: &Row<'_>) -> rusqlite::Result<(UserKey, Hold)> {
    let found = Hold {
        reason: row.get(1)?,
        person: row.get(2)?,
        since: instant_from_micros(row.get(3)?),
        until: instant(row, 4)?,
    };
    Ok((sound(UserKey::parse(row.get_ref(0)?.as_str()?).ok())?, found))
}

fn tenant(row: &Row<'_>) -> rusqlite::Result<TenantInQuarantine> {
    let (since, next_try) = (instant_from_micros(row.get(2)?), instant(row, 4)?);
    Ok(TenantInQuarantine {
        cause: sound(TenantCause::parse(row.get_ref(0)?.as_str()?))?,
        why: row.get(1)?,
        timer: Timer { since, next_try, tries: row.get(3)? },
    })
}

fn instant(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<Timestamp>> {
    Ok(row.get::<_, Option<i64>>(column)?.map(instant_from_micros))
}
