//! The `[sources.X.csv]` table, and the rules that it becomes once it is checked.

use crate::model::Problem;
use serde::Deserialize;
use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
};

/// The table as written. [`CsvSettings::check`] says whether it can be used.
#[derive(Clone, Debug, Deserialize)]
#[serde(default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a key of the table")]
pub struct CsvSettings {
    pub path: PathBuf,
    /// Name of the key column, after aliases.
    pub key: String,
    /// One ASCII character.
    pub delimiter: String,
    /// A label of the WHATWG Encoding Standard: `utf-8`, `windows-1252`, `utf-16`.
    pub encoding: String,
    /// Header as it stands in the file → name used here.
    pub aliases: BTreeMap<String, String>,
    pub on_bad_row: OnBadRow,
    /// Columns that may hold more than three line ends, or more than 4 KiB.
    pub multiline: Vec<String>,
    /// A column that nobody asked for refuses the file.
    pub strict_columns: bool,
    /// What a whole key looks like, as a regular expression.
    pub key_pattern: Option<String>,
    /// Keys that differ only by case are one key (compared and kept in lower case).
    pub fold_key_case: bool,
    /// Columns whose cells are keys of this same source.
    pub references: Vec<String>,
    /// A header without rows is a roster of nobody.
    pub allow_empty: bool,
    /// A file that does not end with a line end is believed to be whole.
    pub allow_missing_final_newline: bool,
    pub max_rows: u64,
    /// Rows of one key are judged later.
    #[serde(skip)]
    pub keys_repeat: bool,
}

/// What to do about a row that cannot be read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnBadRow {
    /// Nothing of the file is used.
    #[default]
    Refuse,
    /// The other rows are used, and nobody is a leaver by absence.
    Hold,
}

/// What the tenants need of the file: column names after aliases. The key column is required
/// besides.
#[derive(Clone, Debug, Default)]
pub struct Demand {
    pub required: BTreeSet<String>,
    pub optional: BTreeSet<String>,
}

impl Default for CsvSettings {
    fn default() -> Self {
        Self {
            path: PathBuf::new(),
            key: String::new(),
            delimiter: ",".to_owned(),
            encoding: "utf-8".to_owned(),
            aliases: BTreeMap::new(),
            on_bad_row: OnBadRow::default(),
            multiline: Vec::new(),
            strict_columns: false,
            key_pattern: None,
            fold_key_case: false,
            references: Vec::new(),
            allow_empty: false,
            allow_missing_final_newline: false,
            max_rows: 20_000_000,
            keys_repeat: false,
        }
    }
}

impl CsvSettings {
    /// Every problem of the table, with keys relative to it.
    #[must_use]
    pub fn check(&self) -> Vec<Problem> {
        let mut problems = Rules::of(self).err().unwrap_or_default();
        if self.path.as_os_str().is_empty() {
            problems.push(Problem::new("path", "is missing").hint("name the CSV file to read"));
        }
        problems.sort();
        problems
    }
}

/// The settings that need parsing, parsed.
pub(super) struct Rules {
    pub(super) delimiter: u8,
    pub(super) encoding: &'static encoding_rs::Encoding,
    pub(super) key_pattern: Option<regex::Regex>,
}

impl Rules {
    pub(super) fn of(settings: &CsvSettings) -> Result<Self, Vec<Problem>> {
        let mut problems = Vec::new();
        check_names(settings, &mut problems);
        let delimiter = keep_problem(delimiter(&settings.delimiter), &mut problems);
        let encoding = keep_problem(encoding(&settings.encoding), &mut problems);
        let key_pattern = settings.key_pattern.as_deref().map(pattern).transpose();
        let key_pattern = keep_problem(key_pattern, &mut problems);
        match (delimiter, encoding, key_pattern) {
            (Some(delimiter), Some(encoding), Some(key_pattern)) if problems.is_empty() => {
                Ok(Self { delimiter, encoding, key_pattern })
            }
            _ => Err(problems),
        }
    }
}

fn keep_problem<T>(result: Result<T, Problem>, problems: &mut Vec<Problem>) -> Option<T> {
    result.map_err(|problem| problems.push(problem)).ok()
}

fn check_names(settings: &CsvSettings, problems: &mut Vec<Problem>) {
    if settings.key.is_empty() {
        problems.push(
            Problem::new("key", "is missing")
                .hint("name the column that holds the employee id, which never changes"),
        );
    }
    for (header, name) in &settings.aliases {
        if name.is_empty() {
            problems.push(Problem::new(format!("aliases.{header}"), "is an empty column name"));
        }
    }
    if settings.references.contains(&settings.key) {
        problems.push(
            Problem::new("references", "names the key column, which cannot refer to itself")
                .hint("name columns such as the manager's employee id"),
        );
    }
    if settings.max_rows == 0 {
        problems.push(Problem::new("max_rows", "is 0, so that no file could be read"));
    }
}

fn delimiter(text: &str) -> Result<u8, Problem> {
    let unusable = |byte: u8| byte.is_ascii_alphanumeric() || b"\"\r\n \0".contains(&byte);
    match text.as_bytes() {
        [byte] if byte.is_ascii() && !unusable(*byte) => Ok(*byte),
        _ => Err(Problem::new("delimiter", "is not one ASCII character that can separate cells")
            .hint(r#"write "," or ";" or "\t" or "|""#)),
    }
}

fn encoding(label: &str) -> Result<&'static encoding_rs::Encoding, Problem> {
    encoding_rs::Encoding::for_label_no_replacement(label.as_bytes()).ok_or_else(|| {
        Problem::new("encoding", "is not the name of an encoding")
            .hint(r#"write "utf-8", "windows-1252" or "utf-16""#)
    })
}

fn pattern(text: &str) -> Result<regex::Regex, Problem> {
    let compile = |text: &str| regex::RegexBuilder::new(text).size_limit(1 << 20).build();
    // Compiled alone first, so that `a)|(b` does not become valid by the parentheses around it.
    compile(text).and_then(|_| compile(&format!("^(?:{text})$"))).map_err(|_| {
        Problem::new("key_pattern", "is not a regular expression")
            .hint(r#"write what the whole key looks like: "E[0-9]{5}""#)
    })
}
