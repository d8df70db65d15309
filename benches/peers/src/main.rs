//! What the csv-diff crate makes of two rosters: how many rows it takes for changed, new and gone.

use csv_diff::{csv::Csv, csv_diff::CsvByteDiffLocal, diff_row::DiffByteRecord};
use std::{env, error::Error, fs::File};

fn main() -> Result<(), Box<dyn Error>> {
    let paths: Vec<String> = env::args().skip(1).collect();
    let [before, after] = &paths[..] else { return Err("two files are compared".into()) };
    let [before, after] = [File::open(before)?, File::open(after)?].map(Csv::with_reader_seek);
    let (mut changed, mut new, mut gone) = (0, 0, 0);
    // It takes the first column for the key, which is where the rosters have theirs.
    for row in CsvByteDiffLocal::new()?.diff(before, after)?.iter() {
        match row {
            DiffByteRecord::Modify { .. } => changed += 1,
            DiffByteRecord::Add(_) => new += 1,
            DiffByteRecord::Delete(_) => gone += 1,
        }
    }
    println!("{changed} changed, {new} new, {gone} gone");
    Ok(())
}
