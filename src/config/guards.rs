//! What keeps a tenant from damage in bulk: its limits, and the accounts that nobody may touch.

use super::fields;
use crate::{
    engine::{
        guard::{Limit, Limits},
        value_rules::normalise,
    },
    model::{Problem, UserKey},
};
use serde::Deserialize;
use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

/// The table `[tenants.T.guards]`.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct GuardTable {
    max_update: Option<String>,
    max_disable: Option<String>,
    max_disable_abs: Option<String>,
    max_create: Option<String>,
    max_delete: Option<String>,
    max_key_change: Option<String>,
    max_attr_change: Option<String>,
    max_attr_clear: Option<String>,
    max_source_clear: Option<String>,
    max_source_shrink: Option<String>,
    max_source_growth: Option<String>,
    min_known: Option<String>,
    max_bad_values: Option<String>,
    max_drift: Option<String>,
}

type Parse = fn(&str) -> Result<Limit, &'static str>;

pub(super) fn limits(table: &GuardTable, at: &str, problems: &mut Vec<Problem>) -> Option<Limits> {
    let GuardTable {
        max_update,
        max_disable,
        max_disable_abs,
        max_create,
        max_delete,
        max_key_change,
        max_attr_change,
        max_attr_clear,
        max_source_clear,
        max_source_shrink,
        max_source_growth,
        min_known,
        max_bad_values,
        max_drift,
    } = table;
    let mut limits = Limits::default();
    let keys: [(&str, &Option<String>, &mut Limit, Parse); 14] = [
        ("max_update", max_update, &mut limits.max_update, Limit::parse),
        ("max_disable", max_disable, &mut limits.max_disable, Limit::parse),
        ("max_disable_abs", max_disable_abs, &mut limits.max_disable_abs, number),
        ("max_create", max_create, &mut limits.max_create, Limit::parse),
        ("max_delete", max_delete, &mut limits.max_delete, Limit::parse),
        ("max_key_change", max_key_change, &mut limits.max_key_change, Limit::parse),
        ("max_attr_change", max_attr_change, &mut limits.max_attr_change, Limit::parse),
        ("max_attr_clear", max_attr_clear, &mut limits.max_attr_clear, Limit::parse),
        ("max_source_clear", max_source_clear, &mut limits.max_source_clear, Limit::parse),
        ("max_source_shrink", max_source_shrink, &mut limits.max_source_shrink, Limit::parse),
        (
            "max_source_growth",
            max_source_growth,
            &mut limits.max_source_growth,
            Limit::parse_growth,
        ),
        ("min_known", min_known, &mut limits.min_known, Limit::parse),
        ("max_bad_values", max_bad_values, &mut limits.max_bad_values, Limit::parse),
        ("max_drift", max_drift, &mut limits.max_drift, Limit::parse),
    ];
    let mut is_right = true;
    for (key, text, limit, parse) in keys {
        let Some(text) = text else { continue };
        match parse(text) {
            Ok(read) => *limit = read,
            Err(why) => {
                is_right = false;
                problems.push(Problem::new(format!("{at}.{key}"), why));
            }
        }
    }
    is_right.then_some(limits)
}

fn number(text: &str) -> Result<Limit, &'static str> {
    text.trim().parse().map(Limit::Users).map_err(|_| "is not a whole number of users")
}

/// The keys of the accounts that are never changed: of the list and of the file, a key a line. A
/// text file with nobody in it is a mistake: it would protect nobody.
pub(super) fn protected(
    list: &[String],
    file: Option<&PathBuf>,
    folder: &Path,
    at: &str,
    problems: &mut Vec<Problem>,
) -> BTreeSet<UserKey> {
    let mut protected = BTreeSet::new();
    let mut take = |text: &str, place: String, problems: &mut Vec<Problem>| match UserKey::parse(
        normalise(text).as_ref(),
    ) {
        Ok(key) => {
            protected.insert(key);
        }
        Err(problem) => problems.push(Problem::new(place, format!("has a key that {problem}"))),
    };
    for text in list {
        take(text, format!("{at}.protected"), problems);
    }
    let Some(file) = file else { return protected };
    let place = format!("{at}.protected_file");
    match lines(&folder.join(file)) {
        Ok(lines) if lines.is_empty() => {
            let why = format!("the file {} names nobody", file.display());
            fields::add_news(vec![Problem::new(place, why)], problems);
        }
        Ok(lines) => lines.iter().for_each(|line| take(line, place.clone(), problems)),
        Err(why) => problems.push(Problem::new(place, why)),
    }
    protected
}

/// Lines that say something; one that begins with `#` does not.
fn lines(path: &Path) -> Result<Vec<String>, String> {
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .comment(Some(b'#'))
        .from_path(path)
        .map_err(|_| format!("the file {} cannot be read", path.display()))?;
    let mut lines = Vec::new();
    for record in reader.records() {
        let record = record.map_err(|_| format!("the file {} is no UTF-8 text", path.display()))?;
        let cell = record.get(0).unwrap_or_default();
        if record.len() != 1 {
            let line = record.position().map_or(0, csv::Position::line);
            return Err(format!("the file {} has more than a key in line {line}", path.display()));
        }
        if !cell.trim().is_empty() {
            lines.push(cell.to_owned());
        }
    }
    Ok(lines)
}

/// As the source has its keys, where it takes capitals for small letters.
pub(super) fn folded(protected: &BTreeSet<UserKey>) -> BTreeSet<UserKey> {
    let fold = |key: &UserKey| {
        let lower = key.as_str().to_lowercase();
        UserKey::parse(normalise(&lower).as_ref()).unwrap_or_else(|_| key.clone())
    };
    protected.iter().map(fold).collect()
}
