//! The `[sources.X.json]` and `[sources.X.jsonl]` tables.

use super::{
    fields::{FieldMap, FieldSpec},
    reader::Records,
};
use crate::{
    model::Problem,
    source::settings::{CsvSettings, OnBadRow, Rules},
};
use serde::Deserialize;
use std::{collections::BTreeMap, path::PathBuf};

/// The table as written. [`JsonSettings::check`] says whether it can be used.
#[derive(Clone, Debug, Deserialize)]
#[serde(default)]
pub struct JsonSettings {
    pub path: PathBuf,
    /// Where the list of people is, such as `$.data[*]`.
    pub records: String,
    /// Column ← path.
    pub fields: BTreeMap<String, FieldSpec>,
    /// The column of the employee id.
    pub key: String,
    pub on_bad_row: OnBadRow,
    /// See [`CsvSettings`], here and below.
    pub key_pattern: Option<String>,
    pub fold_key_case: bool,
    pub references: Vec<String>,
    pub allow_empty: bool,
    pub max_rows: u64,
}

/// The same of JSON lines, where each line is a record.
#[derive(Clone, Debug, Deserialize)]
#[serde(default)]
pub struct JsonLinesSettings {
    pub path: PathBuf,
    pub fields: BTreeMap<String, FieldSpec>,
    pub key: String,
    pub on_bad_row: OnBadRow,
    pub key_pattern: Option<String>,
    pub fold_key_case: bool,
    pub references: Vec<String>,
    pub allow_empty: bool,
    pub max_rows: u64,
}

/// How a JSON document, or lines of JSON, become rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JsonForm {
    /// `None`: each line is a record.
    pub records: Option<Records>,
    pub fields: FieldMap,
}

impl Default for JsonSettings {
    fn default() -> Self {
        let CsvSettings { max_rows, on_bad_row, .. } = CsvSettings::default();
        Self {
            path: PathBuf::new(),
            records: "$".to_owned(),
            fields: BTreeMap::new(),
            key: String::new(),
            on_bad_row,
            key_pattern: None,
            fold_key_case: false,
            references: Vec::new(),
            allow_empty: false,
            max_rows,
        }
    }
}

impl Default for JsonLinesSettings {
    fn default() -> Self {
        let JsonSettings {
            path,
            records: _,
            fields,
            key,
            on_bad_row,
            key_pattern,
            fold_key_case,
            references,
            allow_empty,
            max_rows,
        } = JsonSettings::default();
        Self {
            path,
            fields,
            key,
            on_bad_row,
            key_pattern,
            fold_key_case,
            references,
            allow_empty,
            max_rows,
        }
    }
}

impl JsonSettings {
    /// How elements become rows, and the rules for these rows.
    ///
    /// # Errors
    /// Every problem of the table, with keys relative to it. That the path is missing is none.
    pub fn check(&self) -> Result<(JsonForm, CsvSettings), Vec<Problem>> {
        let records = Records::at(&self.records).map_err(|error| {
            Problem::new("records", error.to_string())
                .hint(r#"lead to the list by names: "$.data[*]""#)
        });
        let rules = self.rules();
        let mut problems = Rules::of(&rules).err().unwrap_or_default();
        let fields = checked_fields(&self.fields, &rules, &mut problems);
        match records {
            Ok(records) if problems.is_empty() => {
                Ok((JsonForm { records: Some(records), fields }, rules))
            }
            records => {
                problems.extend(records.err());
                problems.sort();
                Err(problems)
            }
        }
    }

    fn rules(&self) -> CsvSettings {
        CsvSettings {
            path: self.path.clone(),
            key: self.key.clone(),
            on_bad_row: self.on_bad_row,
            key_pattern: self.key_pattern.clone(),
            fold_key_case: self.fold_key_case,
            references: self.references.clone(),
            allow_empty: self.allow_empty,
            max_rows: self.max_rows,
            multiline: self.fields.keys().cloned().collect(),
            ..CsvSettings::default()
        }
    }
}

impl JsonLinesSettings {
    /// See [`JsonSettings::check`].
    ///
    /// # Errors
    /// Every problem of the table, with keys relative to it.
    pub fn check(&self) -> Result<(JsonForm, CsvSettings), Vec<Problem>> {
        let Self {
            path,
            fields,
            key,
            on_bad_row,
            key_pattern,
            fold_key_case,
            references,
            allow_empty,
            max_rows,
        } = self.clone();
        let records = JsonSettings::default().records;
        let same = JsonSettings {
            path,
            records,
            fields,
            key,
            on_bad_row,
            key_pattern,
            fold_key_case,
            references,
            allow_empty,
            max_rows,
        };
        let (form, rules) = same.check()?;
        Ok((JsonForm { records: None, ..form }, rules))
    }
}

fn checked_fields(
    fields: &BTreeMap<String, FieldSpec>,
    rules: &CsvSettings,
    problems: &mut Vec<Problem>,
) -> FieldMap {
    if fields.is_empty() {
        problems
            .push(Problem::new("fields", "is missing").hint(
                r#"name the columns and where each comes from: { email = "contact.email" }"#,
            ));
    }
    let needed = [("key", &rules.key)].into_iter();
    let needed = needed.chain(rules.references.iter().map(|name| ("references", name)));
    for (at, name) in needed {
        if !name.is_empty() && !fields.is_empty() && !fields.contains_key(name) {
            let hint = format!("say in `fields` where `{name}` comes from");
            problems
                .push(Problem::new(at, "names a column that `fields` does not have").hint(hint));
        }
    }
    FieldMap::parse(fields).unwrap_or_else(|found| {
        problems.extend(found);
        FieldMap::default()
    })
}
