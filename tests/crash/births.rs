//! Accounts as a whole: one that is made, and one that is switched off, by a process that ends meanwhile.
//! Whatever happens, a person has one account in the end, and whoever has left has one that is off.

use crate::{
    cells::{Cell, Deed},
    company::{Person, Tenant},
    life::{
        QUOTA, RESTART, acme, config, edges, forget_silence, holder, in_time, practice, run_id,
        source, workshop, write_inputs,
    },
    scene::Scene,
    wire::{FIRST, Shared, Target},
};
use rosterd::{
    config::Config,
    cycle::{CycleReport, Options, Progress, Session, Silent, TenantEnd},
    model::Rate,
    sandbox::Unplugged,
    store::ReadStore,
};
use serde_json::json;
use std::{
    collections::BTreeSet,
    path::PathBuf,
    sync::{Arc, Mutex},
    time::Duration,
};
use tempfile::TempDir;
use tokio::{
    sync::watch,
    time::{Instant, sleep},
};

const PEOPLE: u32 = 3;
const VICTIM: usize = 1;
/// A doubt, the silence after it, two clean looks, and one night more.
const NIGHTS_MAX: u64 = 10;

struct Birth {
    cell: Cell,
    people: Vec<Person>,
    target: Shared,
    config: Arc<Config>,
    scene: Scene,
    runs: u64,
    deaths: u64,
    dir: TempDir,
}

fn tenant() -> Tenant {
    let tenant = Tenant::new("acme", rosterd::sandbox::Api::Datadog).key("quota", QUOTA);
    let tenant = tenant.linked_by("userName").allow(&["create", "disable"]);
    // The status column says who has left.
    tenant.map("active = { column = \"status\", true_values = [\"active\"], false_values = [\"leave\"] }\n", "")
        .key("scope", "status != 'gone'")
}

impl Birth {
    fn new(cell: Cell) -> Self {
        let (dir, people) = (workshop(), Person::all(PEOPLE));
        let there = people.iter().enumerate();
        let there = there.filter(|(at, _)| *at != VICTIM || cell.deed != Deed::Create);
        let there: Vec<Person> = there.map(|(_, person)| person.clone()).collect();
        let practice = practice(&tenant(), &there);
        let practice = Unplugged::new(practice, FIRST.parse().unwrap()).unwrap();
        let id = |person: &Person| (person.id(cell.api).to_owned(), person.key().to_owned());
        let keys = there.iter().map(id).collect();
        let quota = Rate::parse(QUOTA).unwrap();
        let target = Target::new(practice, quota, keys, Instant::now());
        write_inputs(dir.path(), &people, &tenant(), 0);
        let config = Arc::new(config(dir.path()));
        let state = |number: u64| dir.path().join(format!("state-{number}"));
        let scene = Scene::new(cell, "E00002", state(0), state(1));
        let target = Arc::new(Mutex::new(target));
        Self { cell, people, target, config, scene, runs: 0, deaths: 0, dir }
    }

    fn state(&self) -> PathBuf {
        self.dir.path().join(format!("state-{}", self.deaths))
    }

    async fn go_through(&mut self) -> Vec<String> {
        if self.cell.deed == Deed::SwitchOff {
            self.run().await;
            self.people[VICTIM].set("status", "gone");
            write_inputs(self.dir.path(), &self.people, &tenant(), self.deaths);
            sleep(Duration::from_hours(24)).await;
        }
        let mut quiet = 0;
        while self.runs < NIGHTS_MAX && quiet < 2 {
            let report = self.run().await;
            let (sent, broken, late) = {
                let target = self.target.lock().unwrap();
                (target.sent, !target.breaches.is_empty(), target.late_until.is_some())
            };
            if broken {
                break;
            }
            let ended = report.is_some_and(|report| report.tenants[0].end == TenantEnd::Done);
            quiet = if ended && sent == 0 && !late { quiet + 1 } else { 0 };
            sleep(if report_is_first(self.runs) { RESTART } else { Duration::from_hours(24) })
                .await;
        }
        self.judge(quiet);
        self.target.lock().unwrap().breaches.clone()
    }

    /// One run; `None` when it was killed.
    async fn run(&mut self) -> Option<CycleReport> {
        self.runs += 1;
        self.target.lock().unwrap().sent = 0;
        let is_first = !self.scene.is_struck();
        let stop = if is_first { self.scene.stop() } else { watch::channel(false).1 };
        let now = self.target.lock().unwrap().now();
        let (tenants, users) = (BTreeSet::new(), BTreeSet::new());
        let options = Options { run: run_id(self.runs), verb: "run", now, tenants, users, stop };
        let session = Session::open(self.config.clone(), &source(), options, &holder());
        let mut session = session.through(&edges(&self.target, &self.scene, &self.state()));
        let progress: Arc<dyn Progress> = Arc::new(Silent);
        let is_over = tokio::select! {
            biased;
            () = self.scene.death() => false,
            () = session.carry_out(&progress) => true,
        };
        if is_over {
            let now = self.target.lock().unwrap().now();
            let report = session.finish(now);
            if is_first && self.scene.is_struck() {
                self.forget_silence();
            }
            self.scene.begin_anew();
            return Some(report);
        }
        drop(session);
        tokio::task::yield_now().await;
        self.deaths += 1;
        write_inputs(self.dir.path(), &self.people, &tenant(), self.deaths);
        self.config = Arc::new(config(self.dir.path()));
        self.scene.begin_anew();
        self.forget_silence();
        None
    }

    /// What could not be written down, nobody knows.
    fn forget_silence(&self) {
        forget_silence(&self.target, ReadStore::open(&self.state(), &acme()).unwrap());
    }

    fn judge(&self, quiet: u32) {
        let mut target = self.target.lock().unwrap();
        let mut breaches = Vec::new();
        if quiet < 2 {
            breaches.push(format!("INV-5: {} runs, and no rest", self.runs));
        }
        let name = json!(self.people[VICTIM].get("email"));
        let accounts: Vec<_> = target.practice.accounts().collect();
        let own: Vec<_> =
            accounts.iter().filter(|(_, account)| account["userName"] == name).collect();
        if accounts.len() != PEOPLE as usize || own.len() != 1 {
            breaches.push(format!(
                "INV-3: {} accounts, {} of one person",
                accounts.len(),
                own.len()
            ));
        }
        let off: Vec<_> =
            accounts.iter().filter(|(_, account)| account["active"] == json!(false)).collect();
        let is_right = match self.cell.deed {
            Deed::SwitchOff => off.len() == 1 && off[0].0 == own[0].0,
            Deed::Create | Deed::Change => off.is_empty(),
        };
        if !is_right {
            breaches.push(format!("INV-4: {} accounts are off", off.len()));
        }
        let store = ReadStore::open(&self.state(), &acme()).unwrap().unwrap();
        let open = store.open_intents().unwrap().len();
        if open > 0 {
            breaches.push(format!("INV-4: {open} intents are open"));
        }
        let known = store.origins().unwrap();
        if known
            .iter()
            .any(|origin| accounts.iter().all(|(id, _)| *id != origin.remote_id.as_str()))
        {
            breaches.push("INV-2: an account is known that is not there".to_owned());
        }
        target.breaches.extend(breaches);
    }
}

/// A supervisor starts anew what has ended, and after that it is night by night.
fn report_is_first(runs: u64) -> bool {
    runs < 3
}

fn go_through(deed: Deed) {
    let (mut failures, mut missed) = (Vec::new(), Vec::new());
    let cells: Vec<Cell> = Cell::of_life(deed).collect();
    for cell in &cells {
        let (struck, breaches) = in_time(*cell, async {
            let mut birth = Birth::new(*cell);
            let breaches = birth.go_through().await;
            (birth.scene.is_struck(), breaches)
        });
        if !breaches.is_empty() {
            failures.push(format!("{cell}\n    {}", breaches.join("\n    ")));
        }
        if !struck {
            missed.push(cell.to_string());
        }
    }
    let (count, all) = (failures.len(), cells.len());
    assert!(failures.is_empty(), "{count} of {all} cells fail\n{}", failures.join("\n"));
    assert!(missed.is_empty(), "moments that never came\n{}", missed.join("\n"));
    assert!(all > 150, "{all} cells");
}

#[test]
fn inv3_whenever_the_making_of_an_account_is_cut_off_there_is_one_in_the_end() {
    go_through(Deed::Create);
}

#[test]
fn inv3_whenever_the_switching_off_is_cut_off_the_account_is_off_in_the_end_and_no_other() {
    go_through(Deed::SwitchOff);
}
