//! One read of the source, and what it means for each tenant.

use super::{
    Options,
    case::Case,
    fan::in_order,
    intake::Intake,
    life::have_moved,
    prepare::{Prepared, prepare},
    same::{self, Memo, about_the_header},
    waiting::Waiting,
};
use crate::{
    config::{Config, SourceConfig, TenantConfig},
    engine::{
        index::{Entry, Index, PageHead, Pages, Place},
        mapping::Mapped,
        value_rules::normalise,
    },
    model::{
        Finding, Fingerprint, Place as FindingPlace, Record, Severity, SourceFacts, SourceId,
        UserKey,
    },
    source::{self, Arrival, Demand, Refused, Roster, codes::UNKNOWN_USER},
    store::{AcceptedView, PackedPages, Snapshot, StoreError},
};
use std::sync::Arc;

/// A tenant that takes part in a read.
pub(super) struct Guest<'a> {
    pub(super) tenant: &'a Arc<TenantConfig>,
    /// `None`: a tenant without a snapshot, of whom nobody is known.
    pub(super) snapshot: Option<&'a Snapshot>,
}

/// A source that was read and judged, and what it means for each guest.
pub(super) struct Gathered {
    pub(super) facts: SourceFacts,
    pub(super) findings: Vec<Finding>,
    /// In the order of the guests. An error is of that guest's snapshot alone.
    pub(super) cases: Vec<Result<Case, StoreError>>,
}

/// What was gathered of a source that was made ready before.
pub(super) struct Read {
    pub(super) gathered: Gathered,
    pub(super) prepared: Prepared,
}

/// Makes the source ready, and reads it.
pub(super) fn read(
    config: &Config,
    source: &SourceId,
    settings: &SourceConfig,
    guests: &[Guest<'_>],
    options: &Options,
) -> Result<Read, Refused> {
    let prepared = prepare(config, source, settings, options)?;
    let gathered = gather(config, source, &prepared, guests, options);
    let mut gathered = gathered.map_err(|refused| prepared.told(refused))?;
    gathered.facts.waiting = prepared.waiting;
    gathered.findings.extend(prepared.findings.iter().cloned());
    Ok(Read { gathered, prepared })
}

/// Reads the source once for all its tenants. A row that every one of them has settled is neither
/// kept nor mapped.
fn gather(
    config: &Config,
    source: &SourceId,
    prepared: &Prepared,
    guests: &[Guest<'_>],
    options: &Options,
) -> Result<Gathered, Refused> {
    let settings = &prepared.settings;
    let demand = config.demand(source);
    if let Some(mut gathered) = same::again(settings, &demand, guests, &options.users) {
        prepared.judge_rows(&gathered.facts)?;
        prepared.tell(&mut gathered.findings)?;
        return Ok(gathered);
    }
    let (mut index, indexed) = index_of(guests, settings);
    for key in &options.users {
        // Asked for by name, so looked at even if nothing has changed.
        index.unsettle(key.fingerprint());
    }
    let waiting = |(indexed, guest): (Result<(), StoreError>, &Guest<'_>)| {
        indexed.and_then(|()| Waiting::of(guest.snapshot, options.now))
    };
    let waiting: Vec<_> = indexed.into_iter().zip(guests).map(waiting).collect();
    for key in waiting.iter().flatten().flat_map(Waiting::users) {
        index.unsettle(key);
    }
    let mut roster = source::read_file(&settings.csv, &demand, &index)?;
    prepared.judge_rows(&roster.facts)?;
    let memos = about_the_header(&roster.findings, settings, &demand);
    prepared.tell_roster(&mut roster)?;
    let index = Arc::new(index);
    let mut intakes = intakes(guests, waiting, &index, &roster, options);
    let tenants: Vec<&TenantConfig> = guests.iter().map(|guest| guest.tenant.as_ref()).collect();
    let mut rows = roster.fresh_rows();
    in_order(
        || rows.next(),
        |batch| Ok(hear(&tenants, settings, &index, &batch.records()?)),
        |heard| {
            for ((intake, guest), heard) in intakes.iter_mut().zip(guests).zip(heard) {
                let taken = intake.as_mut().map(|intake| intake.take(heard, guest.snapshot));
                if let Ok(Err(error)) = taken {
                    *intake = Err(error);
                }
            }
            Ok(())
        },
    )?;
    drop(rows);
    let about = About { prepared, demand: &demand, roster: &roster, memos };
    let cases = cases(intakes, guests, &about)?;
    let mut findings = roster.findings.clone();
    let unknown = |key: &&UserKey| !roster.has_key(&index, key.fingerprint());
    findings.extend(options.users.iter().filter(unknown).map(nobody));
    Ok(Gathered { facts: roster.facts.clone(), findings, cases })
}

/// What all guests share once the rows are read.
struct About<'a> {
    prepared: &'a Prepared,
    demand: &'a Demand,
    roster: &'a Roster,
    /// All that was noticed is noticed of the header alone.
    memos: bool,
}

fn cases(
    intakes: Vec<Result<Intake, StoreError>>,
    guests: &[Guest<'_>],
    about: &About<'_>,
) -> Result<Vec<Result<Case, StoreError>>, Refused> {
    let About { prepared, demand, roster, memos } = about;
    let settings = &prepared.settings;
    let mut cases = Vec::with_capacity(guests.len());
    for (intake, guest) in intakes.into_iter().zip(guests) {
        let finished = intake.and_then(|mut intake| {
            intake.finish(roster, guest.snapshot)?;
            Ok(intake)
        });
        let case = match finished {
            Ok(mut intake) => {
                prepared.tell_intake(&mut intake)?;
                let memo = memos.then(|| Memo::of(guest.tenant, settings, demand, roster, &intake));
                let view = accepted_view(guest.tenant, settings, demand);
                Ok(Case::new(guest.tenant.clone(), view, &roster.facts, intake, memo.flatten()))
            }
            Err(error) => Err(error),
        };
        cases.push(case);
    }
    Ok(cases)
}

fn intakes(
    guests: &[Guest<'_>],
    waiting: Vec<Result<Waiting, StoreError>>,
    index: &Arc<Index>,
    roster: &Roster,
    options: &Options,
) -> Vec<Result<Intake, StoreError>> {
    let intake = |(number, (waiting, guest)): (usize, (Result<Waiting, _>, &Guest<'_>))| {
        let mut intake = Intake::new(number, index.clone(), &options.users).with(waiting?);
        intake.heed(guest.tenant, &roster.columns);
        Ok(intake)
    };
    waiting.into_iter().zip(guests).enumerate().map(intake).collect()
}

/// Asked for by name, and not there.
fn nobody(key: &UserKey) -> Finding {
    Finding {
        severity: Severity::Warning,
        code: UNKNOWN_USER,
        place: FindingPlace::default(),
        message: format!("nobody in this source has the key `{key}`, which was asked for"),
        hint: "write the key as the source's key column has it".to_owned(),
        key: Some(key.clone()),
    }
}

/// Names all that decides what a row means to a tenant: a row that was settled under another view
/// is looked at again.
pub(super) fn view(tenant: &TenantConfig, settings: &SourceConfig) -> Fingerprint {
    let leavers = settings.leavers.as_ref().map(|rule| {
        let texts = [&rule.column].into_iter().chain(&rule.values);
        Fingerprint::of(texts.map(|text| Some(text.as_str())))
    });
    tenant.mapping.digest().with(leavers.unwrap_or_default())
}

/// The same, with the columns that a row is told from another by.
pub(super) fn accepted_view(
    tenant: &TenantConfig,
    settings: &SourceConfig,
    demand: &Demand,
) -> AcceptedView {
    let columns = Fingerprint::of([Some(format!("{demand:?}").as_str())]);
    AcceptedView { view: view(tenant, settings), columns }
}

/// Who is known of the guests, and whose snapshot cannot be read.
pub(super) fn index_of(
    guests: &[Guest<'_>],
    settings: &SourceConfig,
) -> (Index, Vec<Result<(), StoreError>>) {
    let mut opened: Vec<Result<(), StoreError>> = Vec::new();
    let mut shelves = Vec::new();
    for guest in guests {
        let pages = guest.snapshot.map(|snapshot| {
            let view = view(guest.tenant, settings);
            // Under that view no row is settled.
            let anew = || view.with(Fingerprint::of([Some("anew")]));
            let moved = have_moved(&guest.tenant.mapping, snapshot)?;
            snapshot.pages(if moved { anew() } else { view })
        });
        let (shelf, result) = match pages.transpose() {
            Ok(pages) => (Shelf(pages), Ok(())),
            Err(error) => (Shelf(None), Err(error)),
        };
        shelves.push(shelf);
        opened.push(result);
    }
    let (index, read) = Index::of(shelves);
    (index, opened.into_iter().zip(read).map(|(opened, read)| opened.and(read)).collect())
}

/// Pages of a tenant that may have no snapshot yet.
struct Shelf<'a>(Option<PackedPages<'a>>);

impl Pages for Shelf<'_> {
    type Error = StoreError;

    fn heads(&self) -> &[PageHead] {
        self.0.as_ref().map_or(&[], Pages::heads)
    }

    fn read(&mut self, at: usize, entries: &mut Vec<Entry>) -> Result<(), StoreError> {
        self.0.as_mut().map_or(Ok(()), |pages| pages.read(at, entries))
    }

    fn touched(&self) -> &[Fingerprint] {
        self.0.as_ref().map_or(&[], Pages::touched)
    }
}

/// What one row means to one tenant.
pub(super) struct Heard {
    pub(super) entry: Entry,
    pub(super) place: Option<Place>,
    pub(super) key: UserKey,
    pub(super) meaning: Meaning,
}

pub(super) enum Meaning {
    /// The status column says that the user has left.
    Left,
    Mapped(Mapped),
    /// The row is not yet in force, and its user stays as he is.
    Waiting,
}

/// What rows mean to each tenant that has not settled them.
fn hear(
    tenants: &[&TenantConfig],
    settings: &SourceConfig,
    index: &Index,
    arrivals: &[Arrival],
) -> Vec<Vec<Heard>> {
    let of_tenant = |(number, tenant): (usize, &&TenantConfig)| {
        let fresh = arrivals.iter().filter(|arrival| {
            let row = arrival.record.fingerprint;
            !arrival.place.is_some_and(|place| index.is_settled_for(number, place, row))
        });
        fresh.map(|arrival| hear_one(tenant, settings, arrival)).collect()
    };
    tenants.iter().enumerate().map(of_tenant).collect()
}

pub(super) fn hear_one(tenant: &TenantConfig, settings: &SourceConfig, arrival: &Arrival) -> Heard {
    let Arrival { key, place, record } = arrival;
    let standing = settings.effective.as_ref().and_then(|_| record.fields.get(source::STANDING));
    let meaning = match standing {
        Some(source::WAITING) => Meaning::Waiting,
        Some(source::PAST) => Meaning::Left,
        _ if has_left(settings, record) => Meaning::Left,
        _ => Meaning::Mapped(tenant.mapping.map(record, &|id| tenant.dialect.check_id(id))),
    };
    Heard {
        entry: Entry { key: *key, row: record.fingerprint },
        place: *place,
        key: record.key.clone(),
        meaning,
    }
}

fn has_left(settings: &SourceConfig, record: &Record) -> bool {
    let Some(rule) = &settings.leavers else { return false };
    let cell = record.fields.get(&rule.column);
    cell.is_some_and(|cell| rule.values.contains(normalise(cell).as_ref()))
}
