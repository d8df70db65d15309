//! One read of the source, and what it means for each tenant.

use crate::{
    config::{Config, SourceConfig, TenantConfig},
    engine::{index, mapping::Mapped, plan::GONE, value_rules::normalise},
    model::{
        Completeness, Finding, Fingerprint, Held, HeldReason, Known, Leaver, LeaverReason, Record,
        RemoteId, Roster, SourceId, Standing, UserKey, Wanted,
    },
    source::{self, Refused},
    store::{Snapshot, StoreError},
};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

/// Under which rows are settled: the fingerprints that are compared carry the mapping themselves.
pub(super) const VIEW: Fingerprint = Fingerprint(1);

/// What is known of a user without looking at its attributes.
#[derive(Debug)]
pub(super) struct IndexEntry {
    key: UserKey,
    remote_id: RemoteId,
    fingerprint: Option<Fingerprint>,
    gone: bool,
}

/// Who is known of one tenant, found by the fingerprint of the key.
#[derive(Debug, Default)]
pub(super) struct Index {
    users: HashMap<Fingerprint, IndexEntry>,
}

impl Index {
    /// `None`: a tenant without a snapshot, of whom nobody is known.
    pub(super) fn of(snapshot: Option<&Snapshot>) -> Result<Self, StoreError> {
        let Some(snapshot) = snapshot else { return Ok(Self::default()) };
        let (packed, results) = index::Index::of(vec![snapshot.pages(VIEW)?]);
        results.into_iter().collect::<Result<(), _>>()?;
        let users: Vec<Fingerprint> =
            packed.accounts(0).map(|place| packed.entry(place).key).collect();
        let keys = snapshot.keys_of(&users)?;
        let known = snapshot.known(&keys.iter().collect::<Vec<_>>())?;
        let entry = |(key, known): (UserKey, Known)| {
            let user = key.fingerprint();
            let row = packed.find(user).and_then(|place| {
                let row = packed.entry(place).row;
                packed.is_settled_for(0, place, row).then_some(row)
            });
            let gone = known.standing == Standing::Gone;
            (user, IndexEntry { key, remote_id: known.remote_id, fingerprint: row, gone })
        };
        Ok(Self { users: known.into_iter().map(entry).collect() })
    }

    /// Who of those known has one of the ids that are wished for.
    pub(super) fn owners(&self, wanted: &[Wanted]) -> BTreeMap<RemoteId, UserKey> {
        if wanted.is_empty() {
            return BTreeMap::new();
        }
        let ids: HashSet<&RemoteId> = wanted.iter().map(|wanted| &wanted.remote_id).collect();
        let claimed = self.users.values().filter(|entry| ids.contains(&entry.remote_id));
        claimed.map(|entry| (entry.remote_id.clone(), entry.key.clone())).collect()
    }

    pub(super) fn keys(&self) -> impl Iterator<Item = &UserKey> {
        self.users.values().map(|entry| &entry.key)
    }

    /// Whether this very row was settled under this very mapping.
    fn settled(&self, key: Fingerprint, fingerprint: Fingerprint) -> bool {
        self.users.get(&key).is_some_and(|entry| entry.fingerprint == Some(fingerprint))
    }

    pub(super) fn knows(&self, key: &UserKey) -> bool {
        self.users.contains_key(&source::key_fingerprint(key))
    }
}

/// Reads the source once for all its tenants. A row that every one of them has settled is neither
/// kept nor mapped.
pub(super) fn read(
    config: &Config,
    source: &SourceId,
    settings: &SourceConfig,
    tenants: &[(&TenantConfig, &Index)],
    keep_all: bool,
) -> Result<Roster, Refused> {
    let mut keep = |key: Fingerprint, row: Fingerprint| {
        let differs = |(tenant, index): &(&TenantConfig, &Index)| {
            !index.settled(key, row.with(tenant.mapping.digest()))
        };
        keep_all || tenants.iter().any(differs)
    };
    source::read_file(&settings.csv, &config.demand(source), &mut keep)
}

/// What one read means for one tenant.
#[derive(Debug, Default)]
pub(super) struct Intake {
    /// Users that have to be compared.
    pub(super) wanted: Vec<Wanted>,
    pub(super) held: Vec<Held>,
    pub(super) leavers: Vec<Leaver>,
    pub(super) findings: Vec<Finding>,
    /// Users in scope whose row was settled before.
    pub(super) untouched: u64,
}

pub(super) fn intake(
    tenant: &TenantConfig,
    settings: &SourceConfig,
    roster: &Roster,
    index: &Index,
    remap: bool,
) -> Intake {
    let mut intake = Intake::default();
    let mut judged = BTreeSet::new();
    for record in &roster.records {
        let key = source::key_fingerprint(&record.key);
        if !remap && index.settled(key, record.fingerprint.with(tenant.mapping.digest())) {
            continue;
        }
        judged.insert(key);
        intake.take(tenant, settings, record, index);
    }
    intake.take_bad_rows(roster, index, &mut judged);
    for (key, entry) in &index.users {
        if !judged.contains(key) {
            intake.take_known(entry, roster, roster.present.contains(key));
        }
    }
    intake
}

impl Intake {
    fn take(
        &mut self,
        tenant: &TenantConfig,
        settings: &SourceConfig,
        record: &Record,
        index: &Index,
    ) {
        let leaver = |reason| Leaver { key: record.key.clone(), reason };
        if has_left(settings, record) {
            self.leavers
                .extend(index.knows(&record.key).then(|| leaver(LeaverReason::StatusColumn)));
            return;
        }
        match tenant.mapping.map(record, &|id| tenant.dialect.check_id(id)) {
            Mapped::OutOfScope => {
                let known = index.knows(&record.key);
                self.leavers.extend(known.then(|| leaver(LeaverReason::OutOfScope)));
            }
            Mapped::Wanted(wanted) => self.wanted.push(wanted),
            Mapped::Held { held, findings } => {
                self.held.extend(held);
                self.findings.extend(findings);
            }
        }
    }

    /// A row that cannot be read says nothing of its user, who stays as he is.
    fn take_bad_rows(
        &mut self,
        roster: &Roster,
        index: &Index,
        judged: &mut BTreeSet<Fingerprint>,
    ) {
        for row in &roster.held {
            let Some(key) = &row.key else { continue };
            let first = judged.insert(source::key_fingerprint(key));
            if !first || !index.knows(key) {
                continue;
            }
            self.held.push(Held {
                key: key.clone(),
                reason: HeldReason::BadRow,
                attribute: None,
                line: Some(row.line),
                why: row.why.clone(),
                others_go: false,
            });
        }
    }

    /// Somebody known whose row was not looked at: nothing new, or no row.
    fn take_known(&mut self, entry: &IndexEntry, roster: &Roster, present: bool) {
        let key = entry.key.clone();
        if present && entry.gone {
            self.held.push(Held {
                key,
                reason: HeldReason::Gone,
                attribute: None,
                line: None,
                why: GONE.to_owned(),
                others_go: false,
            });
        } else if present {
            self.untouched += 1;
        } else if roster.facts.completeness == Completeness::Complete {
            self.leavers.push(Leaver { key, reason: LeaverReason::AbsentFromSource });
        }
    }
}

fn has_left(settings: &SourceConfig, record: &Record) -> bool {
    let Some(rule) = &settings.leavers else { return false };
    let cell = record.fields.get(&rule.column);
    cell.is_some_and(|cell| rule.values.contains(normalise(cell).as_ref()))
}
