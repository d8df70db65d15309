//! Taking the roster for what the targets hold, for everybody of whom nothing is known.

use super::{
    CycleReport, Options, TenantEnd, TenantReport,
    close::close,
    fan::in_order,
    gather::{Guest, Heard, Meaning, accepted_view, hear_one, index_of, view},
    intake::Intake,
    prepare::{Prepared, prepare},
    session::{chosen, close_early, empty, end, open_store, refused_report, report},
    tenant::{blank, of_store},
};
use crate::{
    config::{Config, SourceConfig, TenantConfig},
    engine::{
        index::Index,
        mapping::Mapped,
        plan::{SHARED, count_users},
    },
    model::{
        Finding, Fingerprint, Forecast, Held, HeldReason, Plan, SourceFacts, SourceId, TenantId,
        UserKey,
    },
    source::{self, Arrival, Batch, Refused, Roster},
    store::{Account, Holder, Import, Imported, Store, StoreError},
};
use std::{collections::BTreeMap, sync::Arc, time::Duration};

/// Takes the roster for what the targets hold, for everybody of whom nothing is known. Sends
/// nothing. For a target that was just loaded from this very roster.
///
/// The source is read once for every tenant, so that memory does not grow with their number.
#[must_use]
pub fn adopt(
    config: &Config,
    source: &SourceId,
    options: &Options,
    holder: &Holder,
) -> (CycleReport, BTreeMap<TenantId, u64>) {
    let mut adopted = BTreeMap::new();
    let Some(settings) = config.sources.get(source) else {
        return (empty(config, source, options), adopted);
    };
    let prepared = match prepare(config, source, settings, options) {
        Ok(prepared) => prepared,
        Err(refused) => {
            let reports = chosen(config, source, options)
                .iter()
                .map(|tenant| end(blank(tenant, options.now), TenantEnd::SourceRefused))
                .collect();
            return (refused_report(config, source, options, refused, reports), adopted);
        }
    };
    let settings = &prepared.settings;
    let adoption = Adoption { config, source, settings, prepared: &prepared, options };
    let (mut read, mut reports) = (None, Vec::new());
    for tenant in chosen(config, source, options) {
        let store = match open_store(config, &tenant, options, holder) {
            Ok(store) => store,
            Err(report) => {
                reports.push(*report);
                continue;
            }
        };
        match adoption.adopt(&tenant, store) {
            Ok(Adopted { report, users, facts, findings }) => {
                adopted.insert(tenant.id.clone(), users);
                reports.push(report);
                read = Some((facts, findings));
            }
            Err(Refusal { report, refused }) => {
                reports.push(*report);
                return (refused_report(config, source, options, refused, reports), adopted);
            }
        }
    }
    let report = match read {
        Some(read) => report(config, source, options, read, reports),
        None => CycleReport { tenants: reports, ..empty(config, source, options) },
    };
    (report, adopted)
}

struct Adoption<'a> {
    config: &'a Config,
    source: &'a SourceId,
    settings: &'a SourceConfig,
    prepared: &'a Prepared,
    options: &'a Options,
}

struct Adopted {
    report: TenantReport,
    users: u64,
    facts: SourceFacts,
    findings: Vec<Finding>,
}

struct Refusal {
    report: Box<TenantReport>,
    refused: Refused,
}

/// Why an import was given up, and nothing of it kept.
enum Failure {
    Refused(Refused),
    Store(StoreError),
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<Refused> for Failure {
    fn from(refused: Refused) -> Self {
        Self::Refused(refused)
    }
}

impl Adoption<'_> {
    fn adopt(&self, tenant: &Arc<TenantConfig>, mut store: Store) -> Result<Adopted, Refusal> {
        let report = blank(tenant, self.options.now);
        let refuse = |store, refused| {
            let refused = self.prepared.told(refused);
            let report = end(blank(tenant, self.options.now), TenantEnd::SourceRefused);
            Refusal { report: Box::new(close_early(store, report, self.options)), refused }
        };
        let (index, mut results) =
            index_of(&[Guest { tenant, snapshot: Some(&store) }], self.settings);
        let index = Arc::new(index);
        let demand = self.config.demand(self.source);
        let mut roster = match source::read_file(&self.settings.csv, &demand, &index) {
            Ok(roster) => roster,
            Err(refused) => return Err(refuse(store, refused)),
        };
        let told = self.prepared.judge_rows(&roster.facts);
        if let Err(refused) = told.and_then(|()| self.prepared.tell_roster(&mut roster)) {
            return Err(refuse(store, refused));
        }
        let indexed = results.pop().unwrap_or(Ok(()));
        let imported = indexed.map_err(Failure::Store);
        let imported = imported.and_then(|()| self.import(tenant, &mut store, &mut roster, &index));
        let mut facts = roster.facts.clone();
        facts.waiting = self.prepared.waiting;
        let mut findings = roster.findings.clone();
        findings.extend(self.prepared.findings.iter().cloned());
        match imported {
            Ok((intake, imported)) => {
                let (report, users) = self.finish(tenant, store, &facts, intake, imported, report);
                Ok(Adopted { report, users, facts, findings })
            }
            Err(Failure::Refused(refused)) => Err(refuse(store, refused)),
            Err(Failure::Store(error)) => {
                Ok(Adopted { report: end(report, of_store(&error)), users: 0, facts, findings })
            }
        }
    }

    /// The second look at the file, straight into the snapshot.
    fn import(
        &self,
        tenant: &Arc<TenantConfig>,
        store: &mut Store,
        roster: &mut Roster,
        index: &Arc<Index>,
    ) -> Result<(Intake, Imported), Failure> {
        let mut intake = Intake::new(0, index.clone(), &self.options.users);
        let mut rows = roster.fresh_rows();
        let ((), imported) = store.import(view(tenant, self.settings), |import| {
            in_order(
                || Ok::<_, Failure>(rows.next()?),
                |batch| Ok(self.prepare(tenant, index, &batch)?),
                |prepared| take(prepared, import, &mut intake),
            )
        })?;
        drop(rows);
        intake.finish(roster, Some(store))?;
        self.prepared.tell_intake(&mut intake)?;
        Ok((intake, imported))
    }

    fn prepare(
        &self,
        tenant: &TenantConfig,
        index: &Index,
        batch: &Batch,
    ) -> Result<Accounts, Refused> {
        let mut prepared = Accounts { accounts: Vec::new(), others: Vec::new() };
        let arrivals = batch.records()?;
        let known =
            |arrival: &Arrival| arrival.place.is_some_and(|place| index.has_account(0, place));
        let users = &self.options.users;
        let chosen = |key: &UserKey| users.is_empty() || users.contains(key);
        for arrival in arrivals.iter().filter(|arrival| !known(arrival)) {
            let heard = hear_one(tenant, self.settings, arrival);
            match heard.meaning {
                Meaning::Mapped(Mapped::Wanted(wanted)) if chosen(&wanted.key) => {
                    let row = (!wanted.is_incomplete()).then_some(wanted.fingerprint);
                    // Whoever has to be looked for first stays unknown, too.
                    let Some(remote_id) = wanted.remote_id else { continue };
                    let account = Account::new(wanted.key, remote_id, &wanted.attributes);
                    prepared.accounts.push((account, row));
                }
                // Somebody whom this run is not about stays unknown.
                Meaning::Mapped(Mapped::Wanted(_)) => {}
                meaning => prepared.others.push(Heard { meaning, ..heard }),
            }
        }
        Ok(prepared)
    }

    fn finish(
        &self,
        tenant: &TenantConfig,
        mut store: Store,
        facts: &SourceFacts,
        mut intake: Intake,
        imported: Imported,
        mut report: TenantReport,
    ) -> (TenantReport, u64) {
        let Imported { adopted, shared } = imported;
        intake.held.extend(shared.into_iter().map(shared_id));
        intake.held.sort();
        intake.leavers.sort();
        report.findings = intake.findings;
        report.plan = Some(Plan {
            tenant: tenant.id.clone(),
            users: intake.untouched + adopted + count_users(&intake.held),
            unchanged: intake.untouched + adopted,
            operations: Vec::new(),
            held: intake.held,
            leavers: intake.leavers,
            // Nothing is sent, so there is nothing to guard.
            guards: Vec::new(),
            forecast: Forecast { requests: 0, duration: Duration::ZERO },
        });
        report.end = TenantEnd::Done;
        let view = accepted_view(tenant, self.settings, &self.config.demand(self.source));
        let closed = store
            .pack(view.view, &[], &intake.passing)
            .and_then(|()| close(&mut store, view, facts, &report, self.options, self.options.now));
        match closed {
            Ok(()) => (report, adopted),
            Err(error) => (end(report, of_store(&error)), adopted),
        }
    }
}

/// What a batch of rows means, for the one thread that writes.
struct Accounts {
    /// With the fingerprint of the row when all of it is wished.
    accounts: Vec<(Account, Option<Fingerprint>)>,
    others: Vec<Heard>,
}

fn take(prepared: Accounts, import: &mut Import<'_>, intake: &mut Intake) -> Result<(), Failure> {
    for (account, row) in prepared.accounts {
        import.add(account, row)?;
    }
    Ok(intake.take(prepared.others, None)?)
}

fn shared_id(key: UserKey) -> Held {
    Held {
        key,
        reason: HeldReason::SharedRemoteId,
        attribute: None,
        line: None,
        why: SHARED.to_owned(),
        others_go: false,
        timer: None,
        sides: None,
    }
}
