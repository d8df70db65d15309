//! The files of look-ups and ids, read before the mapping is compiled.

use super::{fields, table as csv_table};
use crate::{
    engine::mapping::{LookupSettings, MappingSettings, RemoteIdSettings},
    model::Problem,
};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

/// Reads the look-up and id files into their tables.
pub(super) fn load_tables(
    mut settings: MappingSettings,
    folder: &Path,
    at: &str,
    problems: &mut Vec<Problem>,
) -> MappingSettings {
    for (path, rule) in &mut settings.map {
        if let Some(lookup) = &mut rule.lookup {
            let LookupSettings { file, key, value, table, on_missing: _ } = lookup;
            let at = format!("{at}.map.{}.lookup", fields::part(path));
            load_table(
                file.as_ref(),
                key.as_deref(),
                value.as_deref(),
                table,
                folder,
                &at,
                problems,
            );
        }
    }
    let RemoteIdSettings { column: _, file, key, value, table, link: _ } = &mut settings.remote_id;
    let at = format!("{at}.remote_id");
    load_table(file.as_ref(), key.as_deref(), value.as_deref(), table, folder, &at, problems);
    settings
}

fn load_table(
    file: Option<&PathBuf>,
    key: Option<&str>,
    value: Option<&str>,
    table: &mut BTreeMap<String, String>,
    folder: &Path,
    at: &str,
    problems: &mut Vec<Problem>,
) {
    // Which of the columns is not named, the mapping tells.
    let (Some(file), Some(key), Some(value)) = (file, key, value) else { return };
    match csv_table::read(&folder.join(file), key, value) {
        Ok(read) if table.is_empty() => *table = read,
        Ok(_) => {
            let why = "has both `file` and `table`";
            problems.push(Problem::new(at, why).hint("keep one of them"));
        }
        Err(why) => problems.push(Problem::new(format!("{at}.file"), why)),
    }
}
