//! Requests a second: rosterd with the intent and the outcome of each on the disk, beside one HTTP
//! client that sends the very same requests and remembers nothing.

use crate::{
    stage::{Company, Stage},
    table::{Better, Table, median, skipped, told},
    target::{Book, Manner, Target},
};
use anyhow::{Context as _, Result, bail, ensure};
use reqwest::Client;
use std::{
    fs,
    net::SocketAddr,
    path::PathBuf,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

const IN_FLIGHT: u32 = 64;
/// What an API that is neither near nor fast takes.
const SLOW: Duration = Duration::from_millis(50);

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Users that change while the target answers at once
    #[arg(long, default_value_t = 40_000)]
    users: u32,
    /// Users that change while it answers after 50 ms
    #[arg(long, default_value_t = 12_800)]
    slow_users: u32,
    /// How often each is measured; the median counts
    #[arg(long, default_value_t = 5)]
    runs: u32,
    #[arg(long, default_value = "target/release/rosterd")]
    rosterd: PathBuf,
    /// Exit with 1 when a figure is beyond its gate
    #[arg(long)]
    gate: bool,
}

pub(crate) fn measure(options: &Options) -> Result<()> {
    let target = Target::start()?;
    let table = Table::begin();
    at_once(options, &target, &table)?;
    slowly(options, &target, &table)?;
    ensure!(!options.gate || table.held(), "a figure is beyond its gate");
    Ok(())
}

fn stage(options: &Options, users: u32, target: &Target) -> Result<Stage> {
    // As good as none.
    let quota = "1000000/s".to_owned();
    let company = Company { users, tenants: 1, quota, concurrency: IN_FLIGHT };
    Stage::set(&company, &options.rosterd, target.address)
}

fn at_once(options: &Options, target: &Target, table: &Table) -> Result<()> {
    let stage = stage(options, options.users, target)?;
    let manner = Manner { records: true, ..Manner::default() };
    let (mut own, mut bare, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..options.runs {
        stage.rewind()?;
        target.turn(manner);
        stage.run(&[])?;
        let book = target.turn(Manner::default());
        let ours = rate(&book, options.users)?;
        replay(target.address, book.requests)?;
        let theirs = rate(&target.turn(Manner::default()), options.users)?;
        own.push(ours);
        bare.push(theirs);
        ratios.push(ours / theirs);
    }
    told("d: reqwest alone, 64 in flight, requests/s", median(bare));
    told("d: rosterd, each with intent and outcome, requests/s", median(own));
    table.judged("d: share of what reqwest alone sends", median(ratios), Better::More, 0.4, 0.6);
    syncs(options, &stage, target, table)
}

/// Counted by strace, in a run of its own, since it slows the process down.
fn syncs(options: &Options, stage: &Stage, target: &Target, table: &Table) -> Result<()> {
    let what = "d: syncs for each outcome";
    if !is_there("strace", "--version") {
        skipped(what, "strace is not installed");
        return Ok(());
    }
    stage.rewind()?;
    target.turn(Manner::default());
    let said = stage.at("syncs");
    let said = said.to_str().context("a folder whose name is no text")?;
    stage.run(&["strace", "-f", "--seccomp-bpf", "-e", "trace=fsync,fdatasync", "-o", said])?;
    rate(&target.turn(Manner::default()), options.users)?;
    let calls = fs::read_to_string(said)?;
    // A call that another thread's call interrupted stands on two lines, and begins on one.
    let count = calls.lines().filter(|line| line.contains("sync(")).count();
    let count = u32::try_from(count)?;
    table.judged(what, f64::from(count) / f64::from(options.users), Better::Less, 0.2, 0.1);
    Ok(())
}

fn slowly(options: &Options, target: &Target, table: &Table) -> Result<()> {
    let manner = Manner { after: SLOW, ..Manner::default() };
    let stage = stage(options, options.slow_users, target)?;
    let with_wrk = is_there("wrk", "--version");
    let (mut own, mut ratios) = (Vec::new(), Vec::new());
    for _ in 0..options.runs {
        stage.rewind()?;
        target.turn(manner);
        stage.run(&[])?;
        let ours = rate(&target.turn(manner), options.slow_users)?;
        own.push(ours);
        if with_wrk {
            ratios.push(ours / wrk(target.address, &stage)?);
        }
    }
    told("d: rosterd, answers after 50 ms, requests/s", median(own));
    let what = "d: the same, as a share of wrk's";
    if with_wrk {
        table.judged(what, median(ratios), Better::More, 0.95, 0.98);
    } else {
        skipped(what, "wrk is not installed");
    }
    Ok(())
}

/// Requests a second; each of the users once. Counted from when as many as can be in flight have
/// come: they come at once, and would count for more than their share.
fn rate(book: &Book, users: u32) -> Result<f64> {
    let pages: Vec<_> = book.tenants.values().collect();
    let [page] = pages[..] else { bail!("{} tenants sent something, not 1", pages.len()) };
    let count = page.arrivals.len();
    ensure!(count == users as usize, "{count} requests for {users} users");
    let (first, _) = page.arrivals.get(IN_FLIGHT as usize - 1).context("too few --users")?;
    let (last, _) = page.arrivals.last().context("nothing was sent")?;
    Ok(f64::from(users - IN_FLIGHT) / (*last - *first).as_secs_f64())
}

fn replay(target: SocketAddr, requests: Vec<(String, Vec<u8>)>) -> Result<()> {
    // A provider that is in place already is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = Client::builder().pool_max_idle_per_host(IN_FLIGHT as usize).build()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let requests: Arc<[(String, Vec<u8>)]> = requests.into();
    let next = Arc::new(AtomicUsize::new(0));
    runtime.block_on(async {
        let mut senders = tokio::task::JoinSet::new();
        for _ in 0..IN_FLIGHT {
            let (client, requests, next) = (client.clone(), requests.clone(), next.clone());
            senders.spawn(async move {
                while let Some((path, body)) = requests.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let request = client.patch(format!("http://{target}{path}"));
                    let request = request.header("authorization", "Bearer not-a-secret");
                    let request = request.header("content-type", "application/json");
                    request.body(body.clone()).send().await?.error_for_status()?.bytes().await?;
                }
                Ok::<(), reqwest::Error>(())
            });
        }
        while let Some(ended) = senders.join_next().await {
            ended??;
        }
        Ok(())
    })
}

/// Requests a second of wrk, which repeats one request and reads no answer's body.
fn wrk(target: SocketAddr, stage: &Stage) -> Result<f64> {
    let script = stage.at("patch.lua");
    fs::write(
        &script,
        "wrk.method = \"PATCH\"\nwrk.headers[\"content-type\"] = \"application/json\"\n\
         wrk.body = '{\"Operations\":[{\"op\":\"replace\",\"path\":\"title\",\"value\":\"Designer\"}],\
         \"schemas\":[\"urn:ietf:params:scim:api:messages:2.0:PatchOp\"]}'\n",
    )?;
    let mut command = Command::new("wrk");
    command.args(["--threads", "1", "--connections", "64", "--duration", "10s", "--script"]);
    let output = command.arg(script).arg(format!("http://{target}/t0/Users/1")).output()?;
    let said = String::from_utf8_lossy(&output.stdout);
    let figure = said.lines().find_map(|line| line.strip_prefix("Requests/sec:"));
    figure.and_then(|figure| figure.trim().parse().ok()).context("wrk did not say its rate")
}

fn is_there(program: &str, argument: &str) -> bool {
    // What it exits with is its own affair: wrk shows its version and calls that a failure.
    Command::new(program).arg(argument).output().is_ok()
}
