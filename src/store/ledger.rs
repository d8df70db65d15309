//! From entries to rows, in groups: every statement is prepared once a group, and what is on its way
//! is known without asking.

use super::{
    ActionKind, Conclusion, Entry, Intent,
    chain::{self, Chain},
    convert::{count_to_integer, instant_to_micros},
    drift,
    fold::{Becomes, Closes, Suspicion, UserRow, drifted, fold},
    holds, journal, life, pace,
    pack::Change,
    packed::{is_bare, remote_hash},
    rows::{self, Found, OpenIntent, OpenIntents, Suspects},
};
use crate::{engine::index::UNSETTLED, model::UserKey};
use jiff::Timestamp;
use rusqlite::{CachedStatement, Connection, params};
use std::collections::{BTreeMap, BTreeSet};

/// What the writer remembers of its own file, so that it need not ask.
#[derive(Default)]
pub(super) struct Books {
    pub(super) open: OpenIntents,
    pub(super) suspects: Suspects,
    /// Largest id of the journal so far.
    pub(super) journal: i64,
    /// The hash of that row.
    pub(super) chain: Chain,
    /// Rows of the journal up to this one are of earlier processes, and some of them are not in the
    /// packed index.
    pub(super) inherited: Option<i64>,
    /// What the outcomes of this process mean for the packed index, in their order.
    pub(super) news: Vec<Change>,
    /// Who is in quarantine.
    pub(super) quarantine: BTreeSet<UserKey>,
    /// Of whom others have changed something.
    pub(super) drifted: BTreeSet<UserKey>,
}

impl Books {
    pub(super) fn of(db: &Connection) -> rusqlite::Result<Self> {
        let last = "SELECT max(packed, coalesce((SELECT max(id) FROM journal), 0)) FROM meta";
        let journal = db.query_row(last, [], |row| row.get(0))?;
        let packed: i64 = db.query_row("SELECT packed FROM meta", [], |row| row.get(0))?;
        let inherits = journal > packed || is_bare(db)?;
        let inherited = inherits.then_some(journal);
        let (open, suspects) = (rows::open_intents(db)?, rows::suspects(db)?);
        let (quarantine, chain) = (holds::users(db)?, Chain::after(chain::head(db)?.1));
        let (news, drifted) = (Vec::new(), drift::users(db)?);
        Ok(Self { open, suspects, journal, chain, inherited, news, quarantine, drifted })
    }
}

/// Writes one group of entries.
pub(super) fn write(db: &Connection, books: &mut Books, group: &[Entry]) -> rusqlite::Result<()> {
    let mut ledger = Ledger::prepare(db, books)?;
    for entry in group {
        match entry {
            Entry::Intent(intent) => ledger.open(intent)?,
            Entry::Sent { operation_id: _, at } => ledger.count(*at),
            Entry::Outcome(conclusion) => ledger.conclude(conclusion)?,
            Entry::Pause { until, why } => pause(db, *until, why)?,
            Entry::Pace { share, at } => pace::put(db, *share, *at)?,
        }
    }
    ledger.finish()
}

/// Moves the file's own counters.
pub(super) fn advance(db: &Connection, moved: bool, operation: u64) -> rusqlite::Result<()> {
    let mut statement = db.prepare_cached(
        "UPDATE meta SET serial = serial + ?1, operation = max(operation, ?2) WHERE id = 1",
    )?;
    statement.execute(params![moved, count_to_integer(operation)])?;
    Ok(())
}

/// In microseconds: many requests of one group share a row, and the quota counts each for so much
/// longer at most.
const SENT_GRAIN: i64 = 1000;

struct Ledger<'a> {
    db: &'a Connection,
    books: &'a mut Books,
    intend: CachedStatement<'a>,
    close: CachedStatement<'a>,
    append: CachedStatement<'a>,
    find: CachedStatement<'a>,
    insert: CachedStatement<'a>,
    update: CachedStatement<'a>,
    update_attributes: CachedStatement<'a>,
    /// Requests by when they left.
    sent: BTreeMap<i64, i64>,
    /// Largest operation number of the group; 0: none.
    operation: u64,
}

impl<'a> Ledger<'a> {
    fn prepare(db: &'a Connection, books: &'a mut Books) -> rusqlite::Result<Self> {
        Ok(Self {
            db,
            books,
            intend: db.prepare_cached(rows::INTEND)?,
            close: db.prepare_cached("DELETE FROM intent WHERE operation = ?1")?,
            append: db.prepare_cached(journal::APPEND)?,
            find: db.prepare_cached(rows::USER_OF_KEY)?,
            insert: db.prepare_cached(rows::INSERT_USER)?,
            update: db.prepare_cached(rows::UPDATE_USER)?,
            update_attributes: db.prepare_cached(rows::UPDATE_ATTRIBUTES)?,
            sent: BTreeMap::new(),
            operation: 0,
        })
    }

    fn open(&mut self, intent: &Intent) -> rusqlite::Result<()> {
        let Intent { operation_id, key, at, .. } = intent;
        // A read that was never answered says nothing that the next one does not.
        let open = self.books.open.entry(key.clone()).or_default();
        for read in open.extract_if(.., |open| open.action.is_look()) {
            self.close.execute([count_to_integer(read.operation_id)])?;
        }
        open.push(OpenIntent::from(intent));
        match intent.action {
            ActionKind::Disable => life::note_disabling(self.db, intent)?,
            // What earlier runs have not found says nothing of this one.
            ActionKind::Create => self.suspect(key, Suspicion::Over)?,
            ActionKind::Read
            | ActionKind::Find
            | ActionKind::Patch
            | ActionKind::Enable
            | ActionKind::Delete => {}
        }
        rows::put_intent(&mut self.intend, intent)?;
        self.operation = self.operation.max(*operation_id);
        self.count(*at);
        Ok(())
    }

    fn count(&mut self, at: Timestamp) {
        let at = instant_to_micros(at);
        let rounded_up = at.saturating_add((-at).rem_euclid(SENT_GRAIN));
        *self.sent.entry(rounded_up).or_default() += 1;
    }

    fn conclude(&mut self, conclusion: &Conclusion) -> rusqlite::Result<()> {
        let Conclusion { operation_id, key, fingerprint, .. } = conclusion;
        self.operation = self.operation.max(*operation_id);
        let (id, row) = match rows::find_user(&mut self.find, key)? {
            Some((id, Found::Sound(row))) => (Some(id), Some(row)),
            // Put right by what the target shows; nothing of it goes on.
            Some((id, Found::Damaged(_))) => (Some(id), None),
            None => (None, None),
        };
        self.drift(row.as_ref(), conclusion)?;
        let open = self.books.open.get(key).map_or(&[][..], Vec::as_slice);
        let own = open.iter().find(|intent| intent.operation_id == *operation_id);
        let run = own.map(|intent| intent.run.as_str());
        self.books.journal += 1;
        let chain = &mut self.books.chain;
        journal::append(&mut self.append, chain, self.books.journal, conclusion, run)?;
        holds::follow(self.db, &mut self.books.quarantine, conclusion)?;
        life::follow(self.db, conclusion, run)?;
        let bare = row.as_ref().map(UserRow::without_attributes);
        let folded = fold(row, open, self.books.suspects.get(key), conclusion);
        let settled = fingerprint.unwrap_or(UNSETTLED);
        match &folded.row {
            Becomes::Row(row) => {
                let id = match id {
                    Some(id) if bare == Some(row.without_attributes()) => {
                        rows::put_attributes(&mut self.update_attributes, id, row)?
                    }
                    Some(_) => rows::put_user(self.db, &mut self.update, id, row)?,
                    None => rows::put_user(self.db, &mut self.insert, id, row)?,
                };
                let (id, remote) = (rows::short_id(id)?, remote_hash(row.remote_id.as_str()));
                self.books.news.push(Change::account(key.fingerprint(), id, remote, settled));
            }
            Becomes::Nothing => {
                let mut forget = self.db.prepare_cached("DELETE FROM user WHERE key = ?1")?;
                forget.execute([key.as_str()])?;
                self.books.news.push(Change::forgotten(key.fingerprint()));
            }
            Becomes::AsItIs if id.is_some() => {
                self.books.news.push(Change::row(key.fingerprint(), settled));
            }
            Becomes::AsItIs => {}
        }
        self.suspect(key, folded.suspicion)?;
        self.close(conclusion, folded.closes)
    }

    fn drift(&mut self, row: Option<&UserRow>, conclusion: &Conclusion) -> rusqlite::Result<()> {
        let key = &conclusion.key;
        let known = self.books.drifted.contains(key);
        // Of most tenants nothing is watched, and of most users nothing noted.
        if !known && conclusion.watched.is_empty() {
            return Ok(());
        }
        let before =
            if known { drift::wishes(self.db, key)? } else { crate::model::Attributes::new() };
        let open = self.books.open.get(key).map_or(&[][..], Vec::as_slice);
        let suspect = self.books.suspects.get(key);
        let now = drifted(row, open, suspect, &before, conclusion);
        if now != before {
            drift::put(self.db, key, &now)?;
            if now.is_empty() {
                self.books.drifted.remove(key);
            } else {
                self.books.drifted.insert(key.clone());
            }
        }
        Ok(())
    }

    fn suspect(&mut self, key: &UserKey, suspicion: Suspicion) -> rusqlite::Result<()> {
        match suspicion {
            Suspicion::AsItIs => {}
            Suspicion::Now(suspect) => {
                rows::put_suspect(self.db, key, &suspect)?;
                self.books.suspects.insert(key.clone(), suspect);
            }
            Suspicion::Over => {
                rows::remove_suspect(self.db, key)?;
                self.books.suspects.remove(key);
            }
        }
        Ok(())
    }

    fn close(&mut self, conclusion: &Conclusion, closes: Closes) -> rusqlite::Result<()> {
        let Conclusion { operation_id, key, .. } = conclusion;
        let is_answered = |open: &OpenIntent| match closes {
            Closes::Nothing => false,
            Closes::Own => open.operation_id == *operation_id,
            Closes::All => true,
        };
        let Some(open) = self.books.open.get_mut(key) else { return Ok(()) };
        for answered in open.extract_if(.., |open| is_answered(open)) {
            self.close.execute([count_to_integer(answered.operation_id)])?;
        }
        if open.is_empty() {
            self.books.open.remove(key);
        }
        Ok(())
    }

    fn finish(self) -> rusqlite::Result<()> {
        let mut count = self.db.prepare_cached(
            "INSERT INTO sent (at, requests) VALUES (?1, ?2)
             ON CONFLICT (at) DO UPDATE SET requests = requests + excluded.requests",
        )?;
        for sent in &self.sent {
            count.execute(sent)?;
        }
        advance(self.db, self.operation > 0, self.operation)
    }
}

pub(super) fn pause(db: &Connection, until: Timestamp, why: &str) -> rusqlite::Result<()> {
    let until = instant_to_micros(until);
    db.execute(
        "INSERT INTO pause (id, until, why, hash) VALUES (1, ?1, ?2, ?3)
         ON CONFLICT (id) DO UPDATE SET until = excluded.until, why = excluded.why,
             hash = excluded.hash
         WHERE excluded.until > pause.until",
        params![until, why, rows::seal(&[until], &[why])],
    )?;
    Ok(())
}
