//! The `[sources.X.drop]` table.

use super::DropRules;
use crate::model::Problem;
use jiff::SignedDuration;
use serde::Deserialize;
use std::path::{Path, PathBuf};

/// The table as written.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct DropSettings {
    pub folder: PathBuf,
    /// Of names; `*` is any text and `?` any character.
    pub pattern: String,
    pub newest: Newest,
    pub stable_for: Option<String>,
    pub companion: Option<Companion>,
    pub archive: PathBuf,
}

/// What makes a file newer than another.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Newest {
    /// Its name comes later: `roster-2026-11-21.csv`.
    #[default]
    Name,
    /// It was written to later.
    Time,
}

/// A second file, by whose being there the first one is known to be whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Companion {
    /// `NAME.done`, whatever is in it.
    Done,
    /// `NAME.sha256`: the checksum in hexadecimal digits.
    Sha256,
    /// `NAME.rows`: the number of rows, without the header.
    Rows,
}

pub(super) const ENDINGS: [&str; 3] = [".done", ".sha256", ".rows"];
const STABLE_FOR: SignedDuration = SignedDuration::from_secs(60);

impl DropSettings {
    /// # Errors
    /// Every problem of the table, with keys relative to it.
    pub fn check(self, base: &Path) -> Result<DropRules, Vec<Problem>> {
        let Self { folder, pattern, newest, stable_for, companion, archive } = self;
        let mut problems = Vec::new();
        for (key, path) in [("folder", &folder), ("archive", &archive)] {
            if path.as_os_str().is_empty() {
                problems.push(Problem::new(key, "is missing").hint("name a folder"));
            }
        }
        if problems.is_empty() && folder == archive {
            let hint = "name another folder, on the same file system";
            problems.push(Problem::new("archive", "is the drop folder itself").hint(hint));
        }
        if pattern.is_empty() || pattern.contains('/') {
            let hint = "write what the names look like: \"roster-*.csv\"";
            problems.push(Problem::new("pattern", "is no pattern for names of files").hint(hint));
        }
        let parsed =
            |text: &String| text.parse().ok().filter(|span: &SignedDuration| !span.is_negative());
        let stable_for = match stable_for.as_ref().map(parsed) {
            Some(None) => {
                let why = "should be a time such as \"60s\"";
                problems.push(Problem::new("stable_for", why));
                STABLE_FOR
            }
            Some(Some(span)) => span,
            None if companion.is_some() => SignedDuration::ZERO,
            None => STABLE_FOR,
        };
        match glob(&pattern) {
            Ok(pattern) if problems.is_empty() => Ok(DropRules {
                folder: base.join(folder),
                pattern,
                newest,
                stable_for,
                companion,
                archive: base.join(archive),
            }),
            _ => Err(problems),
        }
    }
}

fn glob(pattern: &str) -> Result<regex::Regex, regex::Error> {
    let parts = regex::escape(pattern).replace(r"\*", ".*").replace(r"\?", ".");
    regex::Regex::new(&format!("^(?s:{parts})$"))
}

impl Companion {
    pub(super) fn ending(self) -> &'static str {
        match self {
            Self::Done => ".done",
            Self::Sha256 => ".sha256",
            Self::Rows => ".rows",
        }
    }
}
