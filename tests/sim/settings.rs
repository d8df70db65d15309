//! The configuration of one seed's world, and where it lies.

use crate::{company::TOKEN_VARIABLE, planted::Planted, scenario::Scenario};
use rosterd::config::{Config, Surroundings, load};
use std::path::Path;
use tempfile::TempDir;

pub(crate) fn base(number: usize, name: &str) -> String {
    format!("http://127.0.0.1:{}/{name}", 9000 + number)
}

/// In memory where there is such a place: that a sync reaches the disk is tested elsewhere.
pub(crate) fn workshop() -> TempDir {
    let memory = Path::new("/dev/shm");
    let builder = tempfile::Builder::new();
    if memory.is_dir() { builder.tempdir_in(memory) } else { builder.tempdir() }.unwrap()
}

pub(crate) fn toml(scenario: &Scenario, planted: Option<Planted>) -> String {
    let bad_rows = if scenario.holds_bad_rows { "hold" } else { "refuse" };
    let mut text = format!(
        "[state]\ndir = \"state\"\nbackups_kept = 0\n\
         [sources.people.csv]\npath = \"roster.csv\"\nkey = \"employee_id\"\n\
         on_bad_row = \"{bad_rows}\"\n"
    );
    for (number, part) in scenario.tenants.iter().enumerate() {
        let tenant = match planted {
            // The bucket stands in the sender's place.
            Some(Planted::BucketAsLargeAsTheQuota) => part.tenant.clone().key("quota", "1000000/s"),
            _ => part.tenant.clone(),
        };
        text.push_str(&tenant.toml(&base(number, &part.tenant.name)));
    }
    text
}

pub(crate) fn config(dir: &Path) -> Config {
    let variables = [(TOKEN_VARIABLE.to_owned(), "practice".to_owned())].into();
    let surroundings = Surroundings { variables, ..Surroundings::default() };
    let config = load(&dir.join("rosterd.toml"), &surroundings);
    config.unwrap_or_else(|error| panic!("{error}"))
}
