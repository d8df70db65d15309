//! Look-up tables and id files: two columns of a CSV file.

use std::{collections::BTreeMap, path::Path};

/// Reads the columns `key` and `value` of a CSV file with a header.
///
/// # Errors
/// Why it cannot be used, with the line; never a cell's content.
pub(super) fn read(
    path: &Path,
    key: &str,
    value: &str,
) -> Result<BTreeMap<String, String>, String> {
    let fail = |why: String| format!("the file {}: {why}", path.display());
    let mut reader = csv::Reader::from_path(path).map_err(|error| fail(describe(&error)))?;
    let header = reader.headers().map_err(|error| fail(describe(&error)))?.clone();
    let find = |name: &str| {
        let place = header.iter().position(|column| column.trim() == name);
        let has = header.iter().collect::<Vec<_>>().join(", ");
        place.ok_or_else(|| fail(format!("has no column `{name}`; it has {has}")))
    };
    let (key, value) = (find(key)?, find(value)?);
    let mut table = BTreeMap::new();
    for record in reader.records() {
        let record = record.map_err(|error| fail(describe(&error)))?;
        let line = record.position().map_or(0, csv::Position::line);
        let cell = |n: usize| record.get(n).unwrap_or_default().trim().to_owned();
        let (key, value) = (cell(key), cell(value));
        if key.is_empty() || value.is_empty() {
            return Err(fail(format!("line {line} has an empty cell")));
        }
        match table.insert(key, value.clone()) {
            Some(before) if before != value => {
                return Err(fail(format!("line {line} says otherwise than an earlier one")));
            }
            Some(_) | None => {}
        }
    }
    Ok(table)
}

/// The csv crate's own texts quote cells.
fn describe(error: &csv::Error) -> String {
    let line = error.position().map_or_else(String::new, |at| format!("line {}: ", at.line()));
    match error.kind() {
        csv::ErrorKind::Io(error) => error.to_string(),
        csv::ErrorKind::Utf8 { .. } => format!("{line}is not UTF-8"),
        csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
            format!("{line}has {len} cells, the header has {expected_len}")
        }
        _ => format!("{line}cannot be read as CSV"),
    }
}
