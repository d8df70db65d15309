//! What rosterd is measured with: made-up rosters, the floor that a night is held against, a target
//! that answers on loopback, and the two benchmarks that send to it.

#![expect(clippy::print_stdout, reason = "figures go to whoever asked for them")]
#![expect(clippy::disallowed_methods, reason = "who measures time has to read the clock")]

mod floor;
mod people;
mod quota;
mod send;
mod stage;
mod table;
mod target;

use anyhow::{Result, bail};
use clap::{Parser, Subcommand};
use people::Night;
use std::{
    fs::{self, File},
    io::{BufWriter, Write as _},
    path::{Path, PathBuf},
};

#[derive(Parser)]
#[command(about = "Measures rosterd; the README's chapter on speed has the commands")]
struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Write rosters of made-up people, and configurations that read them
    Roster {
        #[arg(long, default_value_t = 1_000_000)]
        rows: u32,
        #[arg(long)]
        dir: PathBuf,
    },
    /// One pass over a roster: take it apart and hash every key and row
    Floor { file: PathBuf },
    /// Requests a second with a durable record of each, beside a client that keeps none
    Send(send::Options),
    /// Use of a quota that the target counts exactly
    Quota(quota::Options),
}

fn main() -> Result<()> {
    match Arguments::parse().verb {
        Verb::Roster { rows, dir } => write_all(rows, &dir),
        Verb::Floor { file } => {
            let (rows, sum) = floor::pass(&file)?;
            println!("{rows} rows, {sum:032x}");
            Ok(())
        }
        Verb::Send(options) => send::measure(&options),
        Verb::Quota(options) => quota::measure(&options),
    }
}

fn write_all(rows: u32, dir: &Path) -> Result<()> {
    // Everybody's number has to fit with the joiners'.
    if !(1..=99_000_000).contains(&rows) {
        bail!("--rows is from 1 to 99000000");
    }
    fs::create_dir_all(dir)?;
    for (name, night) in
        [("day0.csv", Night::First), ("noop.csv", Night::Quiet), ("day1.csv", Night::Busy)]
    {
        let written = write_roster(night, rows, &dir.join(name))?;
        println!("{name}: {written} rows");
    }
    let mut ids = BufWriter::new(File::create(dir.join("ids.csv"))?);
    people::write_ids(rows, &mut ids)?;
    ids.flush()?;
    for (name, text) in stage::nights() {
        fs::write(dir.join(name), text)?;
    }
    Ok(())
}

fn write_roster(night: Night, rows: u32, path: &Path) -> Result<u32> {
    let mut out = BufWriter::with_capacity(1 << 20, File::create(path)?);
    let written = people::write(night, rows, &mut out)?;
    out.flush()?;
    Ok(written)
}
