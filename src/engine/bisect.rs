//! Which part of a rejected change is at fault, where the answer does not say.
//!
//! A PATCH is done as a whole or not at all (RFC 5789 §2), so one value that the target will not
//! take holds up all others of its user. The parts are sent in halves until the one at fault stands
//! alone, and then what was not sent yet: `log2 n + 1` tries for one fault among `n` parts, and never
//! more than six. Members of one object go together, since the target may demand them together.

use crate::model::{AttrPath, Edit, Group};
use std::collections::BTreeSet;

/// Tries of one operation after its first request.
pub const TRIES_MAX: u32 = 6;

/// Attributes that are sent together or not at all.
type Part = Vec<AttrPath>;

/// What the next answer decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// The first half of those under suspicion was sent.
    Halving,
    /// The last one under suspicion was sent alone, because all others were taken.
    Confirming,
    /// What was never sent without a part at fault was sent.
    Rest,
    Over,
}

/// The search in one operation.
#[derive(Clone, Debug)]
pub struct Bisection {
    stage: Stage,
    trying: Vec<Part>,
    /// One of them, or of those that are tried, is at fault.
    suspects: Vec<Part>,
    /// Not tried without a part at fault.
    rest: Vec<Part>,
    accepted: Vec<Part>,
    refused: Vec<Part>,
    tries: u32,
}

impl Bisection {
    /// All was sent and rejected. `named`: attributes that the answer blames. `None` when there is
    /// nothing to divide, or all is to blame.
    #[must_use]
    pub fn of(edits: &[Edit], groups: &[Group], named: &[AttrPath]) -> Option<Self> {
        let (blamed, others): (Vec<Part>, Vec<Part>) =
            parts(edits, groups).into_iter().partition(|part| blames(named, part));
        if others.is_empty() || (!named.is_empty() && blamed.is_empty()) {
            return None;
        }
        let mut search = Self {
            stage: Stage::Over,
            trying: Vec::new(),
            suspects: Vec::new(),
            rest: Vec::new(),
            accepted: Vec::new(),
            refused: blamed,
            tries: 0,
        };
        if search.refused.is_empty() {
            if others.len() < 2 {
                return None;
            }
            search.suspects = others;
            search.halve();
        } else {
            search.send_rest(others);
        }
        Some(search)
    }

    /// The attributes to send now; empty when the search is over.
    #[must_use]
    pub fn trying(&self) -> BTreeSet<&AttrPath> {
        self.trying.iter().flatten().collect()
    }

    #[must_use]
    pub fn is_over(&self) -> bool {
        self.stage == Stage::Over
    }

    /// The target took what was tried.
    pub fn accept(&mut self) {
        self.accepted.append(&mut self.trying);
        match self.stage {
            Stage::Halving if self.suspects.len() > 1 => self.halve(),
            Stage::Halving if self.rest.is_empty() => {
                self.send(Stage::Confirming);
            }
            Stage::Halving => self.convict(),
            Stage::Confirming | Stage::Rest | Stage::Over => self.stage = Stage::Over,
        }
    }

    /// The target rejected what was tried. `named`: attributes that the answer blames.
    pub fn reject(&mut self, named: &[AttrPath]) {
        let tried = std::mem::take(&mut self.trying);
        let (blamed, others): (Vec<Part>, Vec<Part>) =
            tried.into_iter().partition(|part| blames(named, part));
        if !blamed.is_empty() {
            self.refused.extend(blamed);
            let mut rest = std::mem::take(&mut self.rest);
            rest.extend(others);
            rest.append(&mut self.suspects);
            return self.send_rest(rest);
        }
        match self.stage {
            Stage::Halving => {
                let untried = std::mem::replace(&mut self.suspects, others);
                self.rest.extend(untried);
            }
            Stage::Confirming | Stage::Rest => self.suspects = others,
            Stage::Over => {}
        }
        if self.suspects.len() > 1 { self.halve() } else { self.convict() }
    }

    /// Sends no more. What was not found at fault is left for another run.
    pub fn give_up(&mut self) {
        self.stage = Stage::Over;
        self.rest.append(&mut self.trying);
        self.rest.append(&mut self.suspects);
    }

    #[must_use]
    pub fn accepted(&self) -> BTreeSet<AttrPath> {
        self.accepted.iter().flatten().cloned().collect()
    }

    #[must_use]
    pub fn refused(&self) -> BTreeSet<AttrPath> {
        self.refused.iter().flatten().cloned().collect()
    }

    /// The suspects are two or more.
    fn halve(&mut self) {
        if self.tries >= TRIES_MAX {
            if self.refused.is_empty() && self.accepted.is_empty() {
                // One of these few is at fault. All are held, so that the next run comes further.
                self.refused.append(&mut self.suspects);
            }
            return self.give_up();
        }
        let second = self.suspects.split_off(self.suspects.len() / 2);
        self.trying = std::mem::replace(&mut self.suspects, second);
        self.tries += 1;
        self.stage = Stage::Halving;
    }

    /// The one that is left under suspicion is at fault.
    fn convict(&mut self) {
        self.refused.append(&mut self.suspects);
        let rest = std::mem::take(&mut self.rest);
        self.send_rest(rest);
    }

    fn send_rest(&mut self, rest: Vec<Part>) {
        if rest.is_empty() {
            self.stage = Stage::Over;
            return;
        }
        self.suspects = rest;
        self.send(Stage::Rest);
    }

    /// Sends all that is under suspicion, if one more try is left.
    fn send(&mut self, stage: Stage) {
        if self.tries >= TRIES_MAX {
            return self.give_up();
        }
        self.trying = std::mem::take(&mut self.suspects);
        self.tries += 1;
        self.stage = stage;
    }
}

fn blames(named: &[AttrPath], part: &Part) -> bool {
    part.iter().any(|path| named.contains(path))
}

/// The edits of each group as one part, each other edit as one.
fn parts(edits: &[Edit], groups: &[Group]) -> Vec<Part> {
    let mut parts: Vec<(Option<usize>, Part)> = Vec::new();
    for Edit { path, .. } in edits {
        let group = groups.iter().position(|group| group.members.contains(path));
        let together = parts.iter_mut().find(|(of, _)| group.is_some() && *of == group);
        match together {
            Some((_, part)) => part.push(path.clone()),
            None => parts.push((group, vec![path.clone()])),
        }
    }
    parts.into_iter().map(|(_, part)| part).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Value;
    use proptest::prelude::*;

    fn name(number: usize) -> AttrPath {
        AttrPath::new(&format!("a{number:02}"))
    }

    fn edits(count: usize) -> Vec<Edit> {
        let edit =
            |number| Edit { path: name(number), before: None, after: Some(Value::from("x")) };
        (0..count).map(edit).collect()
    }

    /// Searches where these are at fault; the search and its tries.
    fn search(count: usize, groups: &[Group], faults: &[usize]) -> (Bisection, usize) {
        let faults: BTreeSet<AttrPath> = faults.iter().map(|number| name(*number)).collect();
        let mut search = Bisection::of(&edits(count), groups, &[]).unwrap();
        let mut tries = 0;
        while !search.is_over() {
            tries += 1;
            let sent = search.trying();
            assert!(!sent.is_empty());
            if sent.iter().any(|path| faults.contains(path)) {
                search.reject(&[]);
            } else {
                search.accept();
            }
        }
        (search, tries)
    }

    #[test]
    fn d19_one_fault_is_found_in_log2_n_and_one_tries_and_all_others_go() {
        for (count, tries_max) in [(2, 2), (3, 3), (4, 3), (8, 4), (16, 5), (32, 6)] {
            for fault in 0..count {
                let (search, tries) = search(count, &[], &[fault]);
                assert_eq!(search.refused(), [name(fault)].into(), "{fault} of {count}");
                assert_eq!(search.accepted().len(), count - 1, "{fault} of {count}");
                assert!(tries <= tries_max, "{tries} tries for {fault} of {count}");
            }
        }
    }

    #[test]
    fn d19_parts_that_are_only_refused_together_all_go_one_after_another() {
        let mut search = Bisection::of(&edits(2), &[], &[]).unwrap();
        search.accept();
        assert!(!search.is_over());
        search.accept();
        assert!(search.is_over() && search.refused().is_empty());
        assert_eq!(search.accepted().len(), 2);
    }

    #[test]
    fn d19_members_of_one_object_stay_together() {
        let members = vec![name(0), name(1), name(2)];
        let group = Group { parent: "_name".into(), mandatory: vec![name(0)], members };
        let (search, _) = search(5, &[group], &[1]);
        assert_eq!(search.refused(), [name(0), name(1), name(2)].into());
        assert_eq!(search.accepted(), [name(3), name(4)].into());
    }

    #[test]
    fn d19_what_the_answer_names_is_held_and_the_rest_goes_at_once() {
        let mut search = Bisection::of(&edits(4), &[], &[name(2)]).unwrap();
        assert_eq!(search.trying(), [&name(0), &name(1), &name(3)].into());
        search.accept();
        assert!(search.is_over());
        assert_eq!(search.refused(), [name(2)].into());
        assert!(Bisection::of(&edits(1), &[], &[]).is_none());
        assert!(Bisection::of(&edits(2), &[], &[name(0), name(1)]).is_none());
        assert!(Bisection::of(&edits(2), &[], &[name(7)]).is_none(), "nothing that was sent");
    }

    proptest! {
        #[test]
        fn d19_a_search_ends_within_six_tries_and_every_round_of_it_comes_further(
            count in 2_usize..120, faults in prop::collection::btree_set(0_usize..120, 1..5)
        ) {
            let faults: Vec<usize> = faults.into_iter().filter(|fault| *fault < count).collect();
            prop_assume!(!faults.is_empty());
            let (search, tries) = search(count, &[], &faults);
            prop_assert!(tries <= TRIES_MAX as usize);
            prop_assert!(search.accepted().is_disjoint(&search.refused()));
            prop_assert!(!search.refused().is_empty() || !search.accepted().is_empty());
            for fault in faults {
                prop_assert!(!search.accepted().contains(&name(fault)));
            }
        }
    }
}
