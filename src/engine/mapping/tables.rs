//! Look-up tables and remote ids, checked and in normal form.

use super::{
    IdSource,
    rule::{Lookup, in_case},
    settings::{Case, LookupSettings, RemoteIdSettings},
};
use crate::{
    engine::value_rules::{Forms, ValueProblem, normalise, read_value},
    model::{Attribute, Problem},
};
use std::collections::BTreeMap;

pub(super) fn lookup_table(
    settings: &LookupSettings,
    case: Option<Case>,
    attribute: &Attribute,
    forms: &Forms,
    problems: &mut Vec<Problem>,
) -> Lookup {
    let LookupSettings { file, key, value, table, on_missing } = settings;
    check_file(file.is_some(), key.as_ref(), value.as_ref(), "lookup", problems);
    if file.is_none() && table.is_empty() {
        problems.push(Problem::new("lookup", "has neither `file` nor `table`"));
    }
    let mut words: BTreeMap<String, String> = BTreeMap::new();
    let mut clashes = 0_usize;
    for (from, to) in table {
        let from = in_case(&normalise(from), case).into_owned();
        let to = normalise(to).into_owned();
        let before = words.insert(from, to.clone());
        clashes += usize::from(before.is_some_and(|before| before != to));
    }
    if clashes > 0 {
        let message = format!("{clashes} entries differ from another one for the same word");
        let hint = "words are compared trimmed, in NFC and in the rule's `case`";
        problems.push(Problem::new("lookup.table", message).hint(hint));
    }
    // A file may serve several rules, so only what stands beside the rule has to fit it.
    if file.is_none() {
        check_table_values(words.values(), attribute, forms, problems);
    }
    Lookup { table: words, on_missing: *on_missing }
}

fn check_table_values<'a>(
    values: impl Iterator<Item = &'a String>,
    attribute: &Attribute,
    forms: &Forms,
    problems: &mut Vec<Problem>,
) {
    let read = |word: &String| read_value(&attribute.kind, attribute.max_chars, word, forms).err();
    let bad: Vec<ValueProblem> = values.filter(|word| !word.is_empty()).filter_map(read).collect();
    if let [first, ..] = bad.as_slice() {
        let message = format!("{} of its values cannot be sent; the first {first}", bad.len());
        problems.push(Problem::new("lookup.table", message));
    }
}

fn check_file(
    has_file: bool,
    key: Option<&String>,
    value: Option<&String>,
    prefix: &str,
    problems: &mut Vec<Problem>,
) {
    for (name, column) in [("key", key), ("value", value)] {
        let message = match (has_file, column) {
            (true, Some(column)) if column.trim().is_empty() => "is empty",
            (true, None) => "is missing: it names the column of `file` to read",
            (false, Some(_)) => "means nothing without `file`",
            (true, Some(_)) | (false, None) => continue,
        };
        problems.push(Problem::new(format!("{prefix}.{name}"), message));
    }
}

pub(super) fn id_source(
    settings: &RemoteIdSettings,
    problems: &mut Vec<Problem>,
) -> Option<IdSource> {
    let RemoteIdSettings { column, file, key, value, table, link } = settings;
    check_file(file.is_some(), key.as_ref(), value.as_ref(), "remote_id", problems);
    let has_table = file.is_some() || !table.is_empty();
    match column {
        Some(column) if column.trim().is_empty() => {
            problems.push(Problem::new("remote_id.column", "is empty"));
            None
        }
        Some(column) if !has_table => Some(IdSource::Column(column.clone())),
        None if has_table => id_table(table, problems).map(IdSource::Table),
        None if !link.is_empty() => Some(IdSource::Nowhere),
        Some(_) | None => {
            let message = "does not say where the users' ids at the target are";
            let hint = "give exactly one of `column` and `file`, or `link`";
            problems.push(Problem::new("remote_id", message).hint(hint));
            None
        }
    }
}

fn id_table(
    table: &BTreeMap<String, String>,
    problems: &mut Vec<Problem>,
) -> Option<BTreeMap<String, String>> {
    let normal: BTreeMap<String, String> =
        table.iter().map(|(key, id)| (normalise(key).into_owned(), id.clone())).collect();
    if normal.len() == table.len() {
        return Some(normal);
    }
    let message = format!(
        "{} keys are those of another entry, once trimmed and in NFC",
        table.len() - normal.len()
    );
    problems.push(Problem::new("remote_id.table", message));
    None
}
