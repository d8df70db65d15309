//! The people, what happens to them, and the file that tells it.

use crate::{
    chance::Chance,
    company::{self, Person},
    planted::Planted,
    scenario::Scenario,
};
use rosterd::sandbox::Api;
use std::collections::BTreeSet;

pub(crate) struct Roster {
    /// As HR has them now.
    pub(crate) people: Vec<Person>,
    /// As they were before their last change.
    before: Vec<Person>,
    /// Whether there is a row.
    present: Vec<bool>,
    /// Rows that cannot be read.
    damaged: BTreeSet<usize>,
    changes: u64,
}

const NAMES: [&str; 6] = ["Ann", "Zoë", "Óscar", "Jo-Ann", "O'Hara", "Łukasz"];
const DEPARTMENTS: [&str; 3] = ["Sales", "Research", "Design"];

impl Roster {
    pub(crate) fn new(scenario: &Scenario) -> Self {
        let people = Person::all(scenario.people);
        let present = (0..people.len()).map(|at| at < scenario.first as usize).collect();
        let (before, damaged) = (people.clone(), BTreeSet::new());
        Self { people, before, present, damaged, changes: 0 }
    }

    /// What happens between two nights.
    pub(crate) fn pass(&mut self, scenario: &Scenario, chance: &mut Chance) {
        self.damaged.clear();
        let shares = &scenario.shares;
        for at in 0..self.people.len() {
            if chance.hits(shares.busy) {
                self.change(at, shares.revert, chance);
            }
        }
        if chance.hits(0.3) {
            self.join();
        }
        if chance.hits(shares.vanish) {
            let at = chance.index(self.people.len());
            self.present[at] = false;
        }
        if chance.hits(shares.damage) {
            self.damaged.insert(chance.index(self.people.len()));
        }
    }

    fn change(&mut self, at: usize, revert: f64, chance: &mut Chance) {
        if chance.hits(revert) {
            std::mem::swap(&mut self.people[at], &mut self.before[at]);
            return;
        }
        self.before[at] = self.people[at].clone();
        self.changes += 1;
        let (number, name) = (self.changes, chance.pick(&NAMES));
        let person = &mut self.people[at];
        match chance.index(5) {
            0 => person.set("given_name", name),
            1 => person.set("family_name", &format!("{name}{number}")),
            2 => person.set("title", &format!("Engineer {}", number % 7)),
            3 => person.set("department", chance.pick(&DEPARTMENTS)),
            _ => person.set("status", chance.pick(&["active", "leave"])),
        };
    }

    /// Whoever is not there yet, or not any more, comes.
    fn join(&mut self) {
        if let Some(absent) = self.present.iter_mut().find(|present| !**present) {
            *absent = true;
        }
    }

    /// Everybody is there and can be read.
    pub(crate) fn mend(&mut self) {
        self.present.fill(true);
        self.damaged.clear();
    }

    /// Keys of the rows in the file.
    pub(crate) fn present(&self) -> BTreeSet<&str> {
        let here = self.people.iter().zip(&self.present).filter(|(_, present)| **present);
        here.map(|(person, _)| person.key()).collect()
    }

    pub(crate) fn is_damaged(&self) -> bool {
        self.damaged.iter().any(|at| self.present[*at])
    }

    /// What the file says to a target of that API, as far as it can be read.
    pub(crate) fn wishes(&self, api: Api) -> Vec<Option<serde_json::Value>> {
        let row = |at: usize| self.present[at] && !self.damaged.contains(&at);
        let people = self.people.iter().enumerate();
        people.map(|(at, person)| row(at).then(|| person.account(api))).collect()
    }

    /// The file. A damaged row lacks its last cell.
    pub(crate) fn text(&self, planted: Option<Planted>) -> String {
        let text = company::roster(&self.people);
        let mut lines = text.lines();
        let mut file = lines.next().unwrap().to_owned() + "\n";
        for (at, line) in lines.enumerate().filter(|(at, _)| self.present[*at]) {
            let damaged = self.damaged.contains(&at);
            if damaged && planted == Some(Planted::UnreadableIsAbsent) {
                continue;
            }
            let end = if damaged { line.rfind(',').unwrap() } else { line.len() };
            file.push_str(&line[..end]);
            file.push('\n');
        }
        file
    }
}
