//! How much of a quota is used, at a target that counts exactly and forgives nothing.

use crate::{
    stage::{Company, Stage},
    table::{Better, Table, told},
    target::{Book, Manner, Page, Target},
};
use anyhow::{Context as _, Result, ensure};
use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

const ANSWERS_AFTER: Duration = Duration::from_millis(50);
/// What the target asks for of its own accord: after so long, silence for so many seconds.
const SILENCE: (Duration, u64) = (Duration::from_secs(8), 3);
/// How long after the silence the quota has to be in full use again, and how long that is watched.
const RECOVERY: Duration = Duration::from_secs(2);
const WATCHED_SECONDS: u32 = 15;

#[derive(clap::Args)]
pub(crate) struct Options {
    /// How long each quota is used
    #[arg(long, default_value_t = 60)]
    seconds: u32,
    #[arg(long, default_value = "target/release/rosterd")]
    rosterd: PathBuf,
    /// One of the measures alone
    #[arg(long, value_enum)]
    only: Option<Measure>,
    /// Exit with 1 when a figure is beyond its gate
    #[arg(long)]
    gate: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Measure {
    /// One tenant, at 50/s and at 500/s
    Single,
    /// A hundred tenants at once
    Hundred,
    /// What follows a 429
    Silence,
}

pub(crate) fn measure(options: &Options) -> Result<()> {
    let target = Target::start()?;
    let table = Table::begin();
    let asked = |measure| options.only.is_none_or(|only| only == measure);
    if asked(Measure::Single) {
        use_of(options, &target, &table, 50, 1)?;
        use_of(options, &target, &table, 500, 1)?;
    }
    if asked(Measure::Hundred) {
        use_of(options, &target, &table, 50, 100)?;
    }
    if asked(Measure::Silence) {
        after_silence(options, &target, &table)?;
    }
    ensure!(!options.gate || table.held(), "a figure is beyond its gate");
    Ok(())
}

/// Sends to `tenants` tenants, each with its own quota; what the target saw.
fn play(
    options: &Options,
    target: &Target,
    (rate, tenants, seconds): (u32, u32, u32),
    silence: Option<(Duration, u64)>,
) -> Result<Book> {
    // A little more than there is time for, so that the end of the roster is not measured.
    let users = rate * (seconds + 2);
    let company = Company { users, tenants, quota: format!("{rate}/s"), concurrency: 64 };
    let stage = Stage::set(&company, &options.rosterd, target.address)?;
    let per_second = Some(usize::try_from(rate)?);
    target.turn(Manner { after: ANSWERS_AFTER, per_second, silence, records: false });
    stage.run(&[])?;
    let book = target.turn(Manner::default());
    ensure!(book.tenants.len() == tenants as usize, "not every tenant sent something");
    Ok(book)
}

fn use_of(
    options: &Options,
    target: &Target,
    table: &Table,
    rate: u32,
    tenants: u32,
) -> Result<()> {
    let seconds = options.seconds;
    let book = play(options, target, (rate, tenants, seconds), None)?;
    let pages = || book.tenants.values();
    let shares: Vec<f64> = pages().map(|page| share(page, rate, seconds)).collect();
    let mean = shares.iter().sum::<f64>() / f64::from(tenants);
    let refused: usize = pages().map(refused).sum();
    let what = if tenants == 1 {
        format!("e: use of {rate}/s for {seconds} s")
    } else {
        format!("e: use of {rate}/s by each of {tenants} tenants for {seconds} s")
    };
    let (gate, goal) = if tenants == 1 { (0.97, 0.99) } else { (0.95, 0.98) };
    // To the third digit, as the goal is meant.
    table.judged(&what, (mean * 1000.0).round() / 1000.0, Better::More, gate, goal);
    if tenants > 1 {
        let least = shares.iter().copied().fold(f64::INFINITY, f64::min);
        told("e: the tenant that used the least of it, per cent", least * 100.0);
    }
    let refused = f64::from(u32::try_from(refused)?);
    table.judged("e: requests refused (429)", refused, Better::Less, 0.0, 0.0);
    Ok(())
}

/// The target throttles for a reason of its own, and asks for some seconds of silence.
fn after_silence(options: &Options, target: &Target, table: &Table) -> Result<()> {
    let rate = 50;
    let (when, length) = SILENCE;
    let length = Duration::from_secs(length);
    let seconds = u32::try_from((when + RECOVERY).as_secs())? + WATCHED_SECONDS;
    let book = play(options, target, (rate, 1, seconds), Some(SILENCE))?;
    let page = book.tenants.values().next().context("no tenant")?;
    let silenced = page.silenced.context("the target never asked for silence")?;
    let end = silenced + length;
    // What was on its way when the 429 left is nobody's fault.
    let on_its_way = silenced + Duration::from_millis(20);
    let next = page.arrivals.iter().map(|(at, _)| *at).find(|at| *at > on_its_way);
    let next = next.context("nothing came after the silence")?;
    let early = end.saturating_duration_since(next).as_secs_f64();
    let late = next.saturating_duration_since(end).as_secs_f64();
    table.judged("e: Retry-After: sent too early by, s", early, Better::Less, 0.0, 0.0);
    table.judged("e: Retry-After: silent too long by, s", late, Better::Less, 0.05, 0.05);
    let watched = end + RECOVERY;
    let used = taken(page, watched, WATCHED_SECONDS) / paced(rate, silenced, watched);
    let used = (used * 1000.0).round() / 1000.0;
    let what = "e: use of the lowered pace from 2 s after the silence";
    table.judged(what, used, Better::More, 0.97, 0.97);
    let refused = f64::from(u32::try_from(refused(page))?);
    table.judged(
        "e: requests refused (429), of which 1 on purpose",
        refused,
        Better::Less,
        1.0,
        1.0,
    );
    Ok(())
}

/// What a pace of seven tenths allows in the watched seconds, a fiftieth of the quota more each ten
/// seconds since the target throttled.
fn paced(rate: u32, throttled: Instant, watched: Instant) -> f64 {
    let begun = (watched - throttled).as_secs();
    let tenths = (begun..begun + u64::from(WATCHED_SECONDS)).map(|second| second / 10);
    tenths
        .map(|tenths| {
            f64::from(rate) * (0.7 + 0.02 * f64::from(u8::try_from(tenths).unwrap_or(u8::MAX)))
        })
        .sum()
}

fn share(page: &Page, rate: u32, seconds: u32) -> f64 {
    let Some((first, _)) = page.arrivals.first() else { return 0.0 };
    taken(page, *first, seconds) / f64::from(rate * seconds)
}

/// Requests that were taken within so many seconds from `start` on.
fn taken(page: &Page, start: Instant, seconds: u32) -> f64 {
    let within = start..start + Duration::from_secs(seconds.into());
    let taken = page.arrivals.iter().filter(|(at, taken)| *taken && within.contains(at));
    f64::from(u32::try_from(taken.count()).expect("as many as there are users"))
}

fn refused(page: &Page) -> usize {
    page.arrivals.iter().filter(|(_, taken)| !taken).count()
}
