//! The whole cycle in a world of its own: virtual time, a network, targets and people that one
//! number decides. The sender, the plans, the dialects and the state file are the real ones.
//!
//! `ROSTERD_SEED=7 cargo test --test sim` lives one seed and tells its story; with
//! `ROSTERD_SEEDS=100000` the tests go through so many. What failed once stands in `regress.txt`.

#![expect(clippy::unwrap_used, reason = "a failed step of a test ends it")]

mod approver;
mod bites;
mod chance;
mod checks;
#[path = "../cycle/company.rs"]
#[expect(
    dead_code,
    reason = "the company of the tests of whole nights, of which some is used here"
)]
mod company;
mod crash;
mod foresight;
mod ink;
mod isolation;
mod life;
mod oracle;
mod planted;
mod quota;
mod roster;
mod scenario;
mod settings;
mod target;
mod weather;
mod wire;
mod world;

use life::{Life, live};

const SEEDS: u64 = 1000;
/// The seeds are gone through in so many tests, which run side by side.
const SHARES: u64 = 4;

fn number(variable: &str) -> Option<u64> {
    std::env::vars().find(|(name, _)| name == variable)?.1.parse().ok()
}

/// Lives a seed in which nothing may go wrong; its requests.
fn judge(seed: u64, lines: usize) -> Result<u64, String> {
    let Life { breaches, oracle, digest: _ } = live(seed, None);
    if breaches.is_empty() {
        return Ok(oracle.requests());
    }
    Err(format!(
        "seed {seed} breaks an invariant\n{}\n{}\nagain: ROSTERD_SEED={seed} cargo test --test sim\n",
        breaches.join("\n"),
        checks::story(&oracle, lines)
    ))
}

fn go_through(share: u64) {
    if number("ROSTERD_SEED").is_some() {
        return;
    }
    let seeds = number("ROSTERD_SEEDS").unwrap_or(SEEDS);
    let lives = (0..seeds).filter(|seed| seed % SHARES == share).map(|seed| judge(seed, 40));
    let (fine, broken): (Vec<_>, Vec<_>) = lives.partition(Result::is_ok);
    let broken: Vec<String> = broken.into_iter().filter_map(Result::err).collect();
    assert!(broken.is_empty(), "{} seeds fail\n\n{}", broken.len(), broken.join("\n"));
    let requests: u64 = fine.into_iter().flatten().sum();
    assert!(requests > seeds, "nothing much happens here: {requests} requests");
}

#[test]
fn inv1_to_inv17_hold_in_the_first_share_of_the_seeds() {
    go_through(0);
}

#[test]
fn inv1_to_inv17_hold_in_the_second_share_of_the_seeds() {
    go_through(1);
}

#[test]
fn inv1_to_inv17_hold_in_the_third_share_of_the_seeds() {
    go_through(2);
}

#[test]
fn inv1_to_inv17_hold_in_the_fourth_share_of_the_seeds() {
    go_through(3);
}

#[test]
fn every_seed_that_failed_once_holds() {
    let seeds = include_str!("regress.txt").lines().filter(|line| !line.starts_with('#'));
    for line in seeds {
        let seed = line.split(' ').next().unwrap().parse().unwrap();
        judge(seed, 200).unwrap_or_else(|story| panic!("{line}\n{story}"));
    }
}

#[test]
fn the_same_seed_is_the_same_life() {
    for seed in (0..SEEDS).step_by(50) {
        let (once, again) = (live(seed, None), live(seed, None));
        let (first, second) = (once.oracle.trace(), again.oracle.trace());
        let differs = first.iter().zip(&second).position(|(one, other)| one != other);
        let at = differs.map(|at| (&first[at], &second[at]));
        assert_eq!(once.digest, again.digest, "seed {seed}: {at:#?}");
    }
}

#[test]
fn a_seed_that_is_asked_for_tells_its_story() {
    let Some(seed) = number("ROSTERD_SEED") else { return };
    let life = live(seed, None);
    println!("{}", checks::story(&life.oracle, usize::MAX));
    assert!(life.breaches.is_empty(), "{}", life.breaches.join("\n"));
}
