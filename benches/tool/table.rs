//! A line for each figure, with what it should be.

use std::cell::Cell;

/// Which side of its limit a figure should be on.
#[derive(Clone, Copy)]
pub(crate) enum Better {
    More,
    Less,
}

/// Prints figures as they come, and remembers whether one was beyond its gate.
#[derive(Default)]
pub(crate) struct Table {
    over: Cell<bool>,
}

impl Table {
    pub(crate) fn begin() -> Self {
        println!("{:<58} {:>10} {:>8} {:>8}", "measure", "figure", "gate", "goal");
        Self::default()
    }

    /// A figure with a gate, which it must not pass, and a goal.
    pub(crate) fn judged(&self, what: &str, figure: f64, better: Better, gate: f64, goal: f64) {
        let meets = |limit: f64| match better {
            Better::More => figure >= limit,
            Better::Less => figure <= limit,
        };
        let verdict = match (meets(goal), meets(gate)) {
            (true, _) => "goal met",
            (false, true) => "ok",
            (false, false) => "OVER",
        };
        self.over.set(self.over.get() || !meets(gate));
        println!("{what:<58} {figure:>10.3} {gate:>8} {goal:>8}  {verdict}");
    }

    /// Whether every figure kept to its gate.
    pub(crate) fn held(&self) -> bool {
        !self.over.get()
    }
}

/// A figure that is only told.
pub(crate) fn told(what: &str, figure: f64) {
    println!("{what:<58} {figure:>10.1}");
}

pub(crate) fn skipped(what: &str, why: &str) {
    println!("{what:<58} not measured: {why}");
}

/// The middle one, or the upper of the two in the middle.
pub(crate) fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}
