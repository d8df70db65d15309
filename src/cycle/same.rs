//! The very same file again, under the same settings: what it meant last time, it means now.
//!
//! Only remembered of a run after which nothing was left to do or to tell but about the header.

use super::{
    case::Case,
    gather::{Gathered, Guest, accepted_view, view},
    intake::Intake,
};
use crate::{
    config::{SourceConfig, TenantConfig},
    model::{Completeness, Finding, Fingerprint, SourceFacts, UserKey},
    source::{self, CsvSettings, Demand, FileMark, Roster},
    store::{LastAnswer, Store, StoreError},
};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeSet, path::PathBuf, sync::Arc};

/// What to remember of a run, should it end well.
pub(super) struct Memo {
    mark: FileMark,
    settings: Fingerprint,
    body: Body,
}

/// The figures of a quiet run.
#[derive(Serialize, Deserialize)]
struct Body {
    rows: u64,
    users: u64,
    /// [`SourceFacts::digest`], in hexadecimal digits.
    digest: String,
    /// Users in the tenant's scope.
    in_scope: u64,
}

/// Names all that decides, besides the file and the snapshot, what a quiet run says.
fn settings_of(tenant: &TenantConfig, settings: &SourceConfig, demand: &Demand) -> Fingerprint {
    let texts = [
        env!("CARGO_PKG_VERSION").to_owned(),
        view(tenant, settings).to_string(),
        // Wherever it lies, and under whatever name: these bytes are the same.
        format!("{:?}", CsvSettings { path: PathBuf::new(), ..settings.csv.clone() }),
        format!("{:?}", tenant.limits),
        format!("{demand:?}"),
    ];
    Fingerprint::of(texts.iter().map(|text| Some(text.as_str())))
}

/// The cases as they were last time, if this is the same file for every guest.
pub(super) fn again(
    settings: &SourceConfig,
    demand: &Demand,
    guests: &[Guest<'_>],
    chosen: &BTreeSet<UserKey>,
) -> Option<Gathered> {
    if !chosen.is_empty() {
        return None;
    }
    let remembered = |guest: &Guest<'_>| {
        let snapshot = guest.snapshot?;
        let answer = snapshot.last_answer().ok()??;
        let same = answer.settings == settings_of(guest.tenant, settings, demand)
            && answer.serial == snapshot.serial().ok()?;
        same.then_some(answer)
    };
    let answers: Vec<LastAnswer> = guests.iter().map(remembered).collect::<Option<_>>()?;
    let first = mark_of(answers.first()?);
    if answers.iter().any(|answer| mark_of(answer) != first) {
        return None;
    }
    let bodies = answers.iter().map(|answer| serde_json::from_str(&answer.body).ok());
    let bodies: Vec<Body> = bodies.collect::<Option<_>>()?;
    // One that cannot be read is told of by the read that follows.
    if !first.is_of(&settings.csv.path).ok()? {
        return None;
    }
    let findings = source::header_findings(&settings.csv, demand).ok()?;
    let facts = facts(bodies.first()?)?;
    let case = |(guest, body): (&Guest<'_>, &Body)| {
        let mut intake = Intake::new(0, Arc::default(), chosen);
        intake.untouched = body.in_scope;
        let view = accepted_view(guest.tenant, settings, demand);
        Ok(Case::new(guest.tenant.clone(), view, &facts, intake, None))
    };
    let cases = guests.iter().zip(&bodies).map(case).collect();
    Some(Gathered { facts: facts.clone(), findings, cases })
}

fn mark_of(answer: &LastAnswer) -> FileMark {
    FileMark { size: answer.size, head: answer.head, whole: answer.file }
}

fn facts(body: &Body) -> Option<SourceFacts> {
    Some(SourceFacts {
        rows: body.rows,
        users: body.users,
        held: 0,
        waiting: 0,
        completeness: Completeness::Complete,
        digest: Fingerprint(u128::from_str_radix(&body.digest, 16).ok()?),
    })
}

impl Memo {
    /// `None`: there is something to do, or to tell.
    pub(super) fn of(
        tenant: &TenantConfig,
        settings: &SourceConfig,
        demand: &Demand,
        roster: &Roster,
        intake: &Intake,
    ) -> Option<Self> {
        let facts = &roster.facts;
        let sound = facts.completeness == Completeness::Complete && facts.held == 0;
        if !sound || !intake.is_quiet() {
            return None;
        }
        let body = Body {
            rows: facts.rows,
            users: facts.users,
            digest: facts.digest.to_string(),
            in_scope: intake.untouched,
        };
        Some(Self { mark: roster.file, settings: settings_of(tenant, settings, demand), body })
    }

    pub(super) fn keep(self, store: &mut Store) -> Result<(), StoreError> {
        let Self { mark: FileMark { size, head, whole: file }, settings, body } = self;
        let Ok(body) = serde_json::to_string(&body) else { return Ok(()) };
        let serial = store.serial()?;
        store.remember_answer(&LastAnswer { file, size, head, settings, serial, body })
    }
}

/// Whether reading the header alone tells as much.
pub(super) fn about_the_header(
    findings: &[Finding],
    settings: &SourceConfig,
    demand: &Demand,
) -> bool {
    source::header_findings(&settings.csv, demand)
        .is_ok_and(|of_header| of_header.len() == findings.len())
}
