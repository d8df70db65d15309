//! What is written down along with the next transaction, because a sync of its own would cost more
//! than it is worth: nothing of it is needed before something is sent.

use super::{
    AcceptedInput, RunRow, StoreError,
    convert::{
        count_from_integer, count_to_integer, fingerprint_from_bytes, fingerprint_to_bytes,
        instant_from_micros, instant_to_micros,
    },
    place,
    rows::{intact, seal},
};
use crate::model::{Fingerprint, RunId};
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};
use std::collections::BTreeMap;

/// What the last whole run said to a source file, for when the very same file comes again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastAnswer {
    /// Of the whole file.
    pub file: Fingerprint,
    /// Of the file, in bytes.
    pub size: u64,
    /// Of the file's beginning.
    pub head: Fingerprint,
    /// Of everything else that the answer depends on.
    pub settings: Fingerprint,
    /// As [`super::Snapshot::serial`] was.
    pub serial: u64,
    /// The answer, as its writer put it.
    pub body: String,
}

/// Not written yet.
#[derive(Default)]
pub(super) struct Pending {
    /// In the order of their begin.
    pub(super) runs: Vec<(RunId, String, Timestamp)>,
    pub(super) marks: BTreeMap<String, Timestamp>,
    pub(super) accepted_input: Option<AcceptedInput>,
    pub(super) last_answer: Option<LastAnswer>,
    /// The tag of the machine on which the file is used from now on.
    pub(super) machine: Option<[u8; 32]>,
}

impl Pending {
    pub(super) fn is_empty(&self) -> bool {
        let Self { runs, marks, accepted_input, last_answer, machine } = self;
        runs.is_empty()
            && marks.is_empty()
            && accepted_input.is_none()
            && last_answer.is_none()
            && machine.is_none()
    }

    /// As they will be once written, newest first.
    pub(super) fn runs_newest_first(&self) -> impl Iterator<Item = RunRow> {
        self.runs.iter().rev().map(|(run, verb, started)| RunRow {
            run: run.clone(),
            verb: verb.clone(),
            started: *started,
            ended: None,
            summary: None,
        })
    }

    pub(super) fn write(&self, db: &Connection) -> rusqlite::Result<()> {
        let Self { runs, marks, accepted_input, last_answer, machine } = self;
        machine.map_or(Ok(()), |tag| place::bind(db, tag))?;
        for (run, verb, started) in runs {
            db.execute(
                "INSERT INTO run (id, verb, started) VALUES (?1, ?2, ?3)",
                params![run.as_str(), verb, instant_to_micros(*started)],
            )?;
        }
        for (name, at) in marks {
            db.execute(
                "INSERT OR REPLACE INTO mark (name, at) VALUES (?1, ?2)",
                params![name, instant_to_micros(*at)],
            )?;
        }
        if let Some(input) = accepted_input {
            write_accepted_input(db, input)?;
        }
        last_answer.as_ref().map_or(Ok(()), |answer| write_last_answer(db, answer))
    }
}

fn write_accepted_input(db: &Connection, input: &AcceptedInput) -> rusqlite::Result<()> {
    let AcceptedInput { users, rows, digest, at } = input;
    let (users, rows) = (count_to_integer(*users), count_to_integer(*rows));
    let at = instant_to_micros(*at);
    let hash = seal(&[users, rows, at], &[&digest.to_string()]);
    db.execute(
        "INSERT OR REPLACE INTO accepted_input (id, users, rows, digest, at, hash)
         VALUES (1, ?1, ?2, ?3, ?4, ?5)",
        params![users, rows, fingerprint_to_bytes(*digest), at, hash],
    )?;
    Ok(())
}

fn write_last_answer(db: &Connection, answer: &LastAnswer) -> rusqlite::Result<()> {
    let LastAnswer { file, size, head, settings, serial, body } = answer;
    db.execute(
        "INSERT OR REPLACE INTO last_answer (id, file, size, head, settings, serial, body)
         VALUES (1, ?1, ?2, ?3, ?4, ?5, ?6)",
        params![
            fingerprint_to_bytes(*file),
            count_to_integer(*size),
            fingerprint_to_bytes(*head),
            fingerprint_to_bytes(*settings),
            count_to_integer(*serial),
            body,
        ],
    )?;
    Ok(())
}

pub(super) fn read_accepted_input(db: &Connection) -> rusqlite::Result<Option<AcceptedInput>> {
    let input = "SELECT users, rows, digest, at, hash FROM accepted_input";
    db.query_row(input, [], |row| {
        let digest = fingerprint_from_bytes(row.get(2)?);
        let numbers = [row.get(0)?, row.get(1)?, row.get(3)?];
        intact(row, 4, seal(&numbers, &[&digest.to_string()]))?;
        Ok(AcceptedInput {
            users: count_from_integer(row.get(0)?),
            rows: count_from_integer(row.get(1)?),
            digest,
            at: instant_from_micros(row.get(3)?),
        })
    })
    .optional()
}

impl super::Snapshot {
    /// What was last remembered, whatever has changed since: the caller compares.
    pub fn last_answer(&self) -> Result<Option<LastAnswer>, StoreError> {
        if let Some(answer) = &self.pending.last_answer {
            return Ok(Some(answer.clone()));
        }
        self.read("read the last answer", |db| {
            let answer = "SELECT file, size, head, settings, serial, body FROM last_answer";
            db.query_row(answer, [], |row| {
                Ok(LastAnswer {
                    file: fingerprint_from_bytes(row.get(0)?),
                    size: count_from_integer(row.get(1)?),
                    head: fingerprint_from_bytes(row.get(2)?),
                    settings: fingerprint_from_bytes(row.get(3)?),
                    serial: count_from_integer(row.get(4)?),
                    body: row.get(5)?,
                })
            })
            .optional()
        })
    }

    pub fn accepted_input(&self) -> Result<Option<AcceptedInput>, StoreError> {
        if let Some(input) = &self.pending.accepted_input {
            return Ok(Some(input.clone()));
        }
        self.read("read the last accepted input", read_accepted_input)
    }

    /// When that was last done, as [`super::Store::set_mark`] was told.
    pub fn mark(&self, name: &str) -> Result<Option<Timestamp>, StoreError> {
        if let Some(at) = self.pending.marks.get(name) {
            return Ok(Some(*at));
        }
        self.read("read a mark", |db| {
            let at = "SELECT at FROM mark WHERE name = ?1";
            let at: Option<i64> = db.query_row(at, [name], |row| row.get(0)).optional()?;
            Ok(at.map(instant_from_micros))
        })
    }
}
