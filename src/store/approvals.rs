//! Plans that a guard holds, and what people have approved.

use super::{
    Snapshot, Store, StoreError,
    convert::{
        count_from_integer, count_to_integer, fingerprint_from_bytes, fingerprint_to_bytes,
        instant_from_micros, instant_to_micros, sound,
    },
    disk::Failed,
};
use crate::model::{Fingerprint, RunId};
use jiff::{SignedDuration, Timestamp};
use rusqlite::{Connection, OptionalExtension, Row, params};

/// What a plan was made of, besides its own operations, which its digest names: an approval only
/// counts while all of this is the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bindings {
    /// As [`Snapshot::lineage`].
    pub lineage: String,
    /// As [`Snapshot::serial`].
    pub serial: u64,
    /// Of the rows that were read.
    pub source: Fingerprint,
    /// Of the mapping, the limits, and all else of the configuration that decides.
    pub settings: Fingerprint,
}

/// What the rows of a source are looked at with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AcceptedView {
    /// Of the mapping and the settings; see [`Snapshot::pages`].
    pub view: Fingerprint,
    /// Of the columns that all tenants of the source ask for: when they change, so does every row.
    pub columns: Fingerprint,
}

/// A plan that a guard holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WaitingPlan {
    pub digest: String,
    /// The run that was held.
    pub run: RunId,
    pub at: Timestamp,
    /// What each guard counted, in words.
    pub figures: Vec<String>,
    pub bindings: Bindings,
}

/// A person's word that one plan may be sent, once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Approval {
    pub id: i64,
    pub digest: String,
    /// The user who said so, as the system knows him.
    pub who: String,
    pub reason: String,
    pub at: Timestamp,
    /// From then on it does not count.
    pub expires: Timestamp,
    pub figures: Vec<String>,
    pub bindings: Bindings,
    /// When, and by which run.
    pub used: Option<(Timestamp, RunId)>,
}

impl Approval {
    /// Nobody has used it, and it counts still.
    #[must_use]
    pub fn is_open(&self, now: Timestamp) -> bool {
        self.used.is_none() && now < self.expires && !self.is_of_the_future(now)
    }

    /// The clock was set back since somebody approved, so that nobody knows how long ago that was.
    #[must_use]
    pub fn is_of_the_future(&self, now: Timestamp) -> bool {
        self.at.duration_since(now) > CLOCKS_DIFFER
    }
}

/// A clock that is set right again goes back by less.
const CLOCKS_DIFFER: SignedDuration = SignedDuration::from_mins(5);

/// Who approves what, why, and for how long.
#[derive(Clone, Debug)]
pub struct Approving<'a> {
    pub digest: &'a str,
    pub who: &'a str,
    pub reason: &'a str,
    pub at: Timestamp,
    pub expires: Timestamp,
}

/// Why a plan was not approved.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ApprovalError {
    #[error("no plan with that digest waits here")]
    NotWaiting,
    #[error("{who} has approved that plan already, at {at}")]
    Already { who: String, at: Timestamp },
    #[error(
        "what is known of the users has changed since that plan was made; the next run makes \
         another one"
    )]
    Moved,
    #[error(transparent)]
    Store(#[from] StoreError),
}

const WAITING: &str = "SELECT digest, run, at, figures, serial, source, settings,
        (SELECT lineage FROM meta)
    FROM waiting_plan WHERE ?1 IS NULL OR digest = ?1 ORDER BY at DESC, digest";
const APPROVALS: &str = "SELECT digest, run, at, figures, serial, source, settings, lineage,
        id, who, reason, expires, used
    FROM approval WHERE ?1 IS NULL OR digest = ?1 ORDER BY id DESC LIMIT ?2";

impl Snapshot {
    /// Plans that a guard holds, newest first.
    pub fn waiting_plans(&self) -> Result<Vec<WaitingPlan>, StoreError> {
        self.read("read the plans that wait", |db| {
            let every: Option<&str> = None;
            db.prepare_cached(WAITING)?.query_map([every], waiting_plan)?.collect()
        })
    }

    /// The last so many approvals, newest first.
    pub fn approvals(&self, limit: u32) -> Result<Vec<Approval>, StoreError> {
        self.read("read the approvals", |db| {
            let every: Option<&str> = None;
            let mut statement = db.prepare_cached(APPROVALS)?;
            statement.query_map(params![every, limit], approval)?.collect()
        })
    }

    /// What the plan that is made now is made of.
    pub fn bindings(
        &self,
        source: Fingerprint,
        settings: Fingerprint,
    ) -> Result<Bindings, StoreError> {
        Ok(Bindings { lineage: self.lineage()?, serial: self.serial()?, source, settings })
    }

    /// What rows were looked at with when the source was last accepted; `None`: nobody has noted it.
    pub fn accepted_view(&self) -> Result<Option<AcceptedView>, StoreError> {
        self.read("read the last accepted mapping", |db| {
            let accepted = "SELECT view, columns FROM accepted_view";
            db.query_row(accepted, [], |row| {
                Ok(AcceptedView {
                    view: fingerprint_from_bytes(row.get(0)?),
                    columns: fingerprint_from_bytes(row.get(1)?),
                })
            })
            .optional()
        })
    }
}

impl Store {
    /// Remembers a plan that a guard holds. `alone`: those held before it do not wait any more.
    pub fn hold_plan(&mut self, plan: &WaitingPlan, alone: bool) -> Result<(), StoreError> {
        let WaitingPlan { digest, run, at, figures, bindings } = plan;
        let Bindings { lineage: _, serial, source, settings } = bindings;
        self.disk().write("remember the plan that waits", |tx| {
            if alone {
                tx.execute("DELETE FROM waiting_plan", [])?;
            }
            tx.execute(
                "INSERT OR REPLACE INTO waiting_plan
                     (digest, run, at, figures, serial, source, settings)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                params![
                    digest,
                    run.as_str(),
                    instant_to_micros(*at),
                    figures_to_text(figures),
                    count_to_integer(*serial),
                    fingerprint_to_bytes(*source),
                    fingerprint_to_bytes(*settings),
                ],
            )?;
            Ok(())
        })
    }

    /// No plan waits any more. Nothing is written when none did.
    pub fn forget_waiting_plans(&mut self) -> Result<(), StoreError> {
        if self.waiting_plans()?.is_empty() {
            return Ok(());
        }
        self.disk().write("forget the plans that waited", |tx| {
            tx.execute("DELETE FROM waiting_plan", []).map(|_| ())
        })
    }

    /// Lets a plan that waits pass, once.
    ///
    /// # Errors
    /// Of two people the one who comes second is told who was first.
    pub fn approve(&mut self, approving: &Approving<'_>) -> Result<Approval, ApprovalError> {
        let Approving { digest, who, reason, at, expires } = *approving;
        self.disk().try_write("record the approval", |tx| {
            let waiting = tx.query_row(WAITING, [digest], waiting_plan).optional()?;
            let Some(WaitingPlan { figures, bindings, .. }) = waiting else {
                return Err(Failed::Change(ApprovalError::NotWaiting));
            };
            if let Some(open) = open_approval(tx, digest, &bindings, at)? {
                return Err(Failed::Change(ApprovalError::Already { who: open.who, at: open.at }));
            }
            let serial: i64 = tx.query_row("SELECT serial FROM meta", [], |row| row.get(0))?;
            if count_from_integer(serial) != bindings.serial {
                return Err(Failed::Change(ApprovalError::Moved));
            }
            insert(tx, approving, &figures, &bindings)?;
            let (digest, who, reason) = (digest.to_owned(), who.to_owned(), reason.to_owned());
            let id = tx.last_insert_rowid();
            Ok(Approval { id, digest, who, reason, at, expires, figures, bindings, used: None })
        })
    }

    /// Marks an approval as used by the run; `false`: it was, or it does not count any more, and
    /// nothing may be sent.
    pub fn use_approval(
        &mut self,
        id: i64,
        run: &RunId,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        self.disk().write("mark the approval as used", |tx| {
            let marked = tx.execute(
                "UPDATE approval SET used = ?2, run = ?3
                 WHERE id = ?1 AND used IS NULL AND expires > ?2",
                params![id, instant_to_micros(now), run.as_str()],
            )?;
            Ok(marked == 1)
        })
    }

    /// Notes what rows were looked at with when the source was accepted. Nothing is written when it
    /// is as before.
    pub fn accept_view(&mut self, accepted: AcceptedView) -> Result<(), StoreError> {
        if self.accepted_view()? == Some(accepted) {
            return Ok(());
        }
        let AcceptedView { view, columns } = accepted;
        self.disk().write("note the accepted mapping", |tx| {
            let note =
                "INSERT OR REPLACE INTO accepted_view (id, view, columns) VALUES (1, ?1, ?2)";
            tx.execute(note, [view, columns].map(fingerprint_to_bytes)).map(|_| ())
        })
    }
}

fn open_approval(
    db: &Connection,
    digest: &str,
    bindings: &Bindings,
    now: Timestamp,
) -> rusqlite::Result<Option<Approval>> {
    let mut statement = db.prepare(APPROVALS)?;
    let found: Vec<Approval> = statement
        .query_map(params![digest, u32::MAX], approval)?
        .collect::<rusqlite::Result<_>>()?;
    let counts = |found: &Approval| found.is_open(now) && found.bindings == *bindings;
    Ok(found.into_iter().find(counts))
}

fn insert(
    db: &Connection,
    approving: &Approving<'_>,
    figures: &[String],
    bindings: &Bindings,
) -> rusqlite::Result<()> {
    let Approving { digest, who, reason, at, expires } = approving;
    let Bindings { lineage, serial, source, settings } = bindings;
    db.execute(
        "INSERT INTO approval
             (digest, who, reason, at, expires, figures, lineage, serial, source, settings)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
        params![
            digest,
            who,
            reason,
            instant_to_micros(*at),
            instant_to_micros(*expires),
            figures_to_text(figures),
            lineage,
            count_to_integer(*serial),
            fingerprint_to_bytes(*source),
            fingerprint_to_bytes(*settings),
        ],
    )?;
    Ok(())
}

fn waiting_plan(row: &Row<'_>) -> rusqlite::Result<WaitingPlan> {
    Ok(WaitingPlan {
        digest: row.get(0)?,
        run: sound(RunId::parse(row.get_ref(1)?.as_str()?).ok())?,
        at: instant_from_micros(row.get(2)?),
        figures: figures_from_text(row)?,
        bindings: bindings(row)?,
    })
}

fn approval(row: &Row<'_>) -> rusqlite::Result<Approval> {
    let run = row.get::<_, Option<String>>(1)?;
    let run = run.map(|run| sound(RunId::parse(&run).ok())).transpose()?;
    let used = row.get::<_, Option<i64>>(12)?.map(instant_from_micros);
    Ok(Approval {
        id: row.get(8)?,
        digest: row.get(0)?,
        who: row.get(9)?,
        reason: row.get(10)?,
        at: instant_from_micros(row.get(2)?),
        expires: instant_from_micros(row.get(11)?),
        figures: figures_from_text(row)?,
        bindings: bindings(row)?,
        used: used.zip(run),
    })
}

fn bindings(row: &Row<'_>) -> rusqlite::Result<Bindings> {
    Ok(Bindings {
        serial: count_from_integer(row.get(4)?),
        source: fingerprint_from_bytes(row.get(5)?),
        settings: fingerprint_from_bytes(row.get(6)?),
        lineage: row.get(7)?,
    })
}

fn figures_to_text(figures: &[String]) -> String {
    serde_json::to_string(figures).expect("a list of texts can always be spelled")
}

fn figures_from_text(row: &Row<'_>) -> rusqlite::Result<Vec<String>> {
    sound(serde_json::from_str(row.get_ref(3)?.as_str()?).ok())
}
