//! What was done: runs and the outcome of every operation.

use super::{
    ActionKind, Conclusion, Snapshot, StoreError,
    chain::{Chain, Stored},
    convert::{
        count_from_integer, count_to_integer, edits_from_text, edits_to_text, instant_from_micros,
        instant_to_micros, remote_id_from_text, remote_id_to_text, sound,
    },
};
use crate::model::{Edit, Outcome, RemoteId, RunId, UserKey};
use jiff::Timestamp;
use rusqlite::{Row, Statement, params};

/// One operation, concluded. Holds the values; for reports, never for logs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JournalRow {
    pub operation_id: u64,
    /// `None`: concluded without an intent, outside of any run.
    pub run: Option<RunId>,
    pub at: Timestamp,
    pub key: UserKey,
    /// Also of the account that was found or made.
    pub remote_id: Option<RemoteId>,
    pub action: ActionKind,
    pub outcome: OutcomeKind,
    /// Empty when there is nothing to add. Of a refusal: the code, then what the target said.
    pub why: String,
    /// Of the last answer.
    pub status: Option<u16>,
    pub attempts: u32,
    pub edits: Vec<Edit>,
}

/// An [`Outcome`] without what it carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutcomeKind {
    Settled,
    /// Settled, but the target offers no way to see it.
    Unverified,
    Refused,
    InDoubt,
    Deferred,
    Gone,
    Matched,
    Nobody,
    Ambiguous,
    Created,
    Deleted,
}

impl OutcomeKind {
    const ALL: [Self; 11] = [
        Self::Settled,
        Self::Unverified,
        Self::Refused,
        Self::InDoubt,
        Self::Deferred,
        Self::Gone,
        Self::Matched,
        Self::Nobody,
        Self::Ambiguous,
        Self::Created,
        Self::Deleted,
    ];

    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Settled => "settled",
            Self::Unverified => "unverified",
            Self::Refused => "refused",
            Self::InDoubt => "in_doubt",
            Self::Deferred => "deferred",
            Self::Gone => "gone",
            Self::Matched => "matched",
            Self::Nobody => "nobody",
            Self::Ambiguous => "ambiguous",
            Self::Created => "created",
            Self::Deleted => "deleted",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }
}

impl From<&Outcome> for OutcomeKind {
    fn from(outcome: &Outcome) -> Self {
        match outcome {
            Outcome::Settled { unverified: false, .. } => Self::Settled,
            Outcome::Settled { unverified: true, .. } => Self::Unverified,
            Outcome::Refused(_) => Self::Refused,
            Outcome::InDoubt { .. } => Self::InDoubt,
            Outcome::Deferred { .. } => Self::Deferred,
            Outcome::Gone => Self::Gone,
            Outcome::Matched { .. } => Self::Matched,
            Outcome::Nobody => Self::Nobody,
            Outcome::Ambiguous { .. } => Self::Ambiguous,
            Outcome::Created { .. } => Self::Created,
            Outcome::Deleted => Self::Deleted,
        }
    }
}

/// Which rows of the journal; the newest ones when there are more than `limit`.
#[derive(Clone, Debug)]
pub struct JournalFilter {
    pub key: Option<UserKey>,
    pub run: Option<RunId>,
    pub limit: u32,
}

/// One run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunRow {
    pub run: RunId,
    /// What was asked for: `run`, `apply`, `daemon`.
    pub verb: String,
    pub started: Timestamp,
    /// `None`: under way, or killed.
    pub ended: Option<Timestamp>,
    /// JSON, as the run left it.
    pub summary: Option<String>,
}

impl Snapshot {
    /// Newest first.
    pub fn journal(&self, filter: &JournalFilter) -> Result<Vec<JournalRow>, StoreError> {
        let JournalFilter { key, run, limit } = filter;
        self.read("read the journal", |db| {
            let mut statement = db.prepare_cached(
                "SELECT operation, run, at, key, remote_id, action, outcome, why, status,
                     attempts, edits
                 FROM journal WHERE (?1 IS NULL OR key = ?1) AND (?2 IS NULL OR run = ?2)
                 ORDER BY id DESC LIMIT ?3",
            )?;
            let (key, run) = (key.as_ref().map(UserKey::as_str), run.as_ref().map(RunId::as_str));
            statement.query_map(params![key, run, limit], journal_row)?.collect()
        })
    }

    /// Newest first.
    pub fn runs(&self, limit: u32) -> Result<Vec<RunRow>, StoreError> {
        let mut runs: Vec<RunRow> = self.pending.runs_newest_first().collect();
        runs.extend(self.recorded_runs(limit)?);
        runs.truncate(limit as usize);
        Ok(runs)
    }

    fn recorded_runs(&self, limit: u32) -> Result<Vec<RunRow>, StoreError> {
        self.read("read the runs", |db| {
            let mut statement = db.prepare_cached(
                "SELECT id, verb, started, ended, summary FROM run ORDER BY number DESC LIMIT ?1",
            )?;
            let rows = statement.query_map([limit], |row| {
                Ok(RunRow {
                    run: sound(RunId::parse(row.get_ref(0)?.as_str()?).ok())?,
                    verb: row.get(1)?,
                    started: instant_from_micros(row.get(2)?),
                    ended: row.get::<_, Option<i64>>(3)?.map(instant_from_micros),
                    summary: row.get(4)?,
                })
            })?;
            rows.collect()
        })
    }
}

fn journal_row(row: &Row<'_>) -> rusqlite::Result<JournalRow> {
    let run = row.get::<_, Option<String>>(1)?;
    Ok(JournalRow {
        operation_id: count_from_integer(row.get(0)?),
        run: run.map(|run| sound(RunId::parse(&run).ok())).transpose()?,
        at: instant_from_micros(row.get(2)?),
        key: sound(UserKey::parse(row.get_ref(3)?.as_str()?).ok())?,
        remote_id: remote_id_from_text(row.get_ref(4)?.as_str()?)?,
        action: sound(ActionKind::parse(row.get_ref(5)?.as_str()?))?,
        outcome: sound(OutcomeKind::parse(row.get_ref(6)?.as_str()?))?,
        why: row.get(7)?,
        status: row.get(8)?,
        attempts: row.get(9)?,
        edits: sound(edits_from_text(row.get_ref(10)?.as_str()?))?,
    })
}

pub(super) const APPEND: &str = "INSERT INTO journal
         (id, operation, run, at, key, remote_id, action, outcome, why, status, attempts, edits,
          hash)
     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)";

/// Adds the outcome to the journal, by [`APPEND`], under an id that was never used.
pub(super) fn append(
    statement: &mut Statement<'_>,
    chain: &mut Chain,
    id: i64,
    conclusion: &Conclusion,
    run: Option<&str>,
) -> rusqlite::Result<()> {
    let Conclusion { operation_id, key, action, outcome, edits, status, attempts, at, .. } =
        conclusion;
    let (why, edits) = (why(outcome), edits_to_text(edits));
    let row = Stored {
        id,
        operation: count_to_integer(*operation_id),
        run,
        at: instant_to_micros(*at),
        key: key.as_str(),
        remote_id: remote_id_to_text(conclusion.account()),
        action: action.as_str(),
        outcome: OutcomeKind::from(outcome).as_str(),
        why: &why,
        status: status.map(i64::from),
        attempts: i64::from(*attempts),
        edits: &edits,
    };
    let hash = chain.add(&row);
    let Stored { operation, at, key, remote_id, action, outcome, status, attempts, .. } = row;
    statement.execute(params![
        id, operation, run, at, key, remote_id, action, outcome, why, status, attempts, edits,
        hash,
    ])?;
    Ok(())
}

fn why(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Settled { .. } | Outcome::Gone | Outcome::Nobody | Outcome::Deleted => {
            String::new()
        }
        Outcome::Created { unverified: false, .. } => String::new(),
        Outcome::Created { unverified: true, .. } => "not shown".to_owned(),
        Outcome::Matched { by, .. } => format!("by {by}"),
        Outcome::Ambiguous { count } => format!("{count} accounts"),
        Outcome::Refused(refusal) => {
            format!("{} {}", refusal.code, refusal.excerpt.as_str()).trim().to_owned()
        }
        Outcome::InDoubt { why } | Outcome::Deferred { why } => why.clone(),
    }
}
