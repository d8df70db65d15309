//! The inner loops, each by itself: what a row, a record, a user and a plan cost.
//!
//! Whole nights are measured elsewhere (`benches/night.py`); this tells which part of them to look at.

#![expect(clippy::unwrap_used, reason = "a benchmark stops where something is wrong")]

#[path = "tool/people.rs"]
#[expect(dead_code, reason = "the ids and the other nights are for the helper program")]
mod people;

use divan::{Bencher, black_box, counter::ItemsCount};
use people::Night;
use rosterd::{
    config::{Config, Surroundings, TenantConfig, load},
    engine::{
        diff::diff,
        index::Index,
        mapping::Mapped,
        plan::{Inputs, plan},
    },
    model::{Fingerprint, Known, Record, SourceId, Standing, Wanted},
    source::{self, Roster},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    io::Cursor,
    sync::Arc,
};
use tempfile::TempDir;

const ROWS: u32 = 20_000;
const USERS: u32 = 1_000;

fn main() {
    divan::main();
}

/// One tenant with five attributes, and its roster in memory.
struct World {
    config: Config,
    roster: Vec<u8>,
    _dir: TempDir,
}

impl World {
    fn of(rows: u32) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("bench.toml");
        std::fs::write(&path, CONFIGURATION).unwrap();
        let config = load(&path, &Surroundings::default()).unwrap();
        let mut roster = Vec::new();
        people::write(Night::First, rows, &mut roster).unwrap();
        Self { config, roster, _dir: dir }
    }

    fn tenant(&self) -> &Arc<TenantConfig> {
        self.config.tenants.values().next().unwrap()
    }

    /// The first look, at rows of whom nobody is known.
    fn look(&self) -> Roster {
        let id = SourceId::parse("hr").unwrap();
        let settings = &self.config.sources[&id].csv;
        let demand = self.config.demand(&id);
        let input = Cursor::new(self.roster.clone());
        source::read(settings, &demand, input, &Index::default()).unwrap()
    }

    /// Both looks.
    fn records(&self) -> Vec<Record> {
        let mut roster = self.look();
        let mut rows = roster.fresh_rows();
        let mut records = Vec::new();
        while let Some(batch) = rows.next().unwrap() {
            records.extend(batch.records().unwrap().into_iter().map(|arrival| arrival.record));
        }
        records
    }

    fn wanted(&self, record: &Record) -> Wanted {
        match self.tenant().mapping.map(record, &|_| Ok(())) {
            Mapped::Wanted(wanted) => wanted,
            other => panic!("{other:?}"),
        }
    }
}

const CONFIGURATION: &str = r#"
[sources.hr.csv]
path = "roster.csv"
key = "employee_id"
[tenants.t0.workiva]
region = "eu"
organization_id = "6513270e-269e-4d37-b2a7-4de452e6b438"
api_version = "2026-01-01"
[tenants.t0.credentials]
token_env = "TOKEN"
[tenants.t0.remote_id]
column = "user_name"
[tenants.t0.map]
givenName = { column = "given_name" }
familyName = { column = "family_name" }
displayName = { template = "{{ given_name }} {{ family_name }}" }
username = { column = "user_name" }
email = { column = "email", case = "lower" }
"#;

/// An account that shows all that is wished for, but for every tenth user's last attribute.
fn known(wanted: &[Wanted]) -> BTreeMap<rosterd::model::UserKey, Known> {
    let of = |(number, wanted): (usize, &Wanted)| {
        let mut attributes = wanted.attributes.clone();
        if number % 10 == 0 {
            *attributes.last_entry().unwrap().get_mut() = None;
        }
        let known = Known {
            attributes,
            standing: Standing::Settled,
            ..Known::unseen(wanted.remote_id.clone().unwrap())
        };
        (wanted.key.clone(), known)
    };
    wanted.iter().enumerate().map(of).collect()
}

#[divan::bench]
fn fingerprint_of_a_row(bencher: Bencher<'_, '_>) {
    let mut cells: Vec<String> = Vec::new();
    for number in 0..14 {
        let mut cell = String::new();
        write!(cell, "a cell, number {number}").unwrap();
        cells.push(cell);
    }
    bencher.bench(|| Fingerprint::of(black_box(&cells).iter().map(|cell| Some(cell.as_str()))));
}

#[divan::bench]
fn source_first_look(bencher: Bencher<'_, '_>) {
    let world = World::of(ROWS);
    bencher.counter(ItemsCount::new(ROWS)).bench(|| world.look());
}

#[divan::bench]
fn source_both_looks(bencher: Bencher<'_, '_>) {
    let world = World::of(ROWS);
    bencher.counter(ItemsCount::new(ROWS)).bench(|| world.records());
}

#[divan::bench]
fn map_one_record(bencher: Bencher<'_, '_>) {
    let world = World::of(1);
    let records = world.records();
    bencher.bench(|| world.wanted(black_box(&records[0])));
}

#[divan::bench]
fn diff_one_user(bencher: Bencher<'_, '_>) {
    let world = World::of(1);
    let wanted = world.wanted(&world.records()[0]);
    let known = known(std::slice::from_ref(&wanted));
    let known = known.values().next().unwrap();
    bencher.bench(|| diff(black_box(&wanted.attributes), black_box(known)));
}

#[divan::bench]
fn plan_users(bencher: Bencher<'_, '_>) {
    let world = World::of(USERS);
    let wanted: Vec<Wanted> = world.records().iter().map(|record| world.wanted(record)).collect();
    let tenant = world.tenant();
    let inputs = Inputs {
        tenant: &tenant.id,
        capabilities: tenant.dialect.capabilities(),
        reads: true,
        reads_done: false,
        quota: tenant.quota,
        wanted: &wanted,
        known: &known(&wanted),
        owners: &BTreeMap::new(),
        taken: &std::collections::BTreeSet::new(),
        held: &[],
        leavers: &[],
        leaving: &BTreeMap::new(),
        linked: &BTreeSet::new(),
        seen: &BTreeSet::new(),
        rules: &tenant.rules,
        link: &[],
        sought: &BTreeMap::new(),
        creating: &BTreeMap::new(),
        now: jiff::Timestamp::UNIX_EPOCH,
        protected: &BTreeSet::new(),
        untouched: 0,
    };
    assert_eq!(plan(&inputs).plan.operations.len(), USERS as usize / 10);
    bencher.counter(ItemsCount::new(USERS)).bench(|| plan(black_box(&inputs)));
}
