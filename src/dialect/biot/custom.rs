//! The customer's own attributes, as the settings declare them: the type as the vendor's template
//! names it, or a table with the type and its limits.
//!
//! ```toml
//! custom = { badge = "LABEL", floor = { type = "INTEGER", min = 0, max = 40 } }
//! ```

use super::{ADDRESS, group};
use crate::{
    dialect::grammar::Table,
    model::{AttrPath, Attribute, Group, Kind, Problem},
};
use serde_json::{Map, Value as Json};

/// One custom attribute, or the members of one that is an object.
pub(super) struct Custom {
    pub(super) attributes: Vec<(AttrPath, Attribute)>,
    pub(super) group: Option<Group>,
    /// The path, when its value is a reference.
    pub(super) reference: Option<AttrPath>,
}

/// Every type that a template may have; the last three are known and refused.
const TYPES: [&str; 20] = [
    "LABEL",
    "PARAGRAPH",
    "INTEGER",
    "DECIMAL",
    "BOOLEAN",
    "SINGLE_SELECT",
    "MULTI_SELECT",
    "ADDRESS",
    "NAME",
    "PHONE",
    "EMAIL",
    "DATE_TIME",
    "DATE",
    "REFERENCE",
    "TIMEZONE",
    "LOCALE",
    "LINK",
    "FILE",
    "IMAGE",
    "WAVEFORM",
];

/// Reads `custom`; what is wrong with it is reported to the table.
pub(super) fn read(table: &mut Table<'_>) -> Vec<Custom> {
    let declared = match table.get("custom") {
        None => return Vec::new(),
        Some(Json::Object(declared)) => declared,
        Some(_) => {
            let problem = Problem::new("custom", "must be a table of attribute names and types");
            table.report(problem.hint(r#"for example `custom = { badge = "LABEL" }`"#));
            return Vec::new();
        }
    };
    let mut customs = Vec::new();
    for (name, declaration) in declared {
        match check_name(name).and_then(|()| read_one(name, declaration)) {
            Ok(custom) => customs.push(custom),
            Err(problems) => {
                let prefix = format!("custom.{name}");
                for problem in problems {
                    table.report(problem.under(&prefix));
                }
            }
        }
    }
    customs
}

/// The vendor's pattern for a name: `[a-zA-Z]\w*`, at most 36 characters.
fn check_name(name: &str) -> Result<(), Vec<Problem>> {
    let inner = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let first = |c: char| c.is_ascii_alphabetic();
    if name.starts_with(first) && name.chars().all(inner) && name.len() <= 36 {
        return Ok(());
    }
    let message =
        "is no name of a custom attribute: a letter, then letters, digits and `_`, at most 36";
    Err(vec![Problem::new("", message).hint("write the name as the attribute's template has it")])
}

fn read_one(name: &str, declaration: &Json) -> Result<Custom, Vec<Problem>> {
    match declaration {
        Json::Object(table) => limited(name, table),
        Json::String(_) => {
            let table = Map::from_iter([("type".to_owned(), declaration.clone())]);
            // Written without a table, so the key is the attribute's own.
            limited(name, &table).map_err(|problems| problems.into_iter().map(at_name).collect())
        }
        _ => Err(vec![Problem::new("", "must be the name of a type, or a table with `type`")]),
    }
}

fn at_name(problem: Problem) -> Problem {
    if problem.key == "type" { Problem { key: String::new(), ..problem } } else { problem }
}

/// Which limits a type can have besides its name.
fn limits_of(type_name: &str) -> &'static [&'static str] {
    match type_name {
        "INTEGER" => &["type", "min", "max"],
        "SINGLE_SELECT" | "MULTI_SELECT" => &["type", "values"],
        known if TYPES.contains(&known) => &["type"],
        // Of an unknown type nothing is known; one problem is enough.
        _ => &["type", "min", "max", "values"],
    }
}

fn limited(name: &str, declared: &Map<String, Json>) -> Result<Custom, Vec<Problem>> {
    let type_name = declared.get("type").and_then(Json::as_str).unwrap_or_default();
    let mut table = Table::inner(declared, limits_of(type_name));
    let custom = match table.required_text("type").and_then(|_| table.choice("type", &TYPES)) {
        None => None,
        Some("FILE" | "IMAGE" | "WAVEFORM") => {
            let problem = Problem::new("type", "holds uploads, which a roster cannot set");
            table.report(problem.hint("remove the attribute from `custom`"));
            None
        }
        Some("NAME") => Some(name_object(name)),
        Some("ADDRESS") => Some(address_object(name)),
        Some("REFERENCE") => {
            let reference = Some(AttrPath::new(name));
            Some(Custom { reference, ..single(name, Kind::Uuid) })
        }
        Some(simple) => simple_kind(simple, &mut table).map(|kind| single(name, kind)),
    };
    table.close(custom)
}

fn single(name: &str, kind: Kind) -> Custom {
    let attributes = vec![(AttrPath::new(name), Attribute::of(kind))];
    Custom { attributes, group: None, reference: None }
}

fn name_object(name: &str) -> Custom {
    let members = ["firstName", "lastName"];
    object(group(name, &members, &members), |_| Kind::Text)
}

fn address_object(name: &str) -> Custom {
    object(group(name, &ADDRESS, &["countryCode"]), |path| {
        if path.as_str().ends_with(".countryCode") { Kind::Country } else { Kind::Text }
    })
}

fn object(group: Group, kind: impl Fn(&AttrPath) -> Kind) -> Custom {
    let attribute = |path: &AttrPath| (path.clone(), Attribute::of(kind(path)));
    let attributes = group.members.iter().map(attribute).collect();
    Custom { attributes, group: Some(group), reference: None }
}

fn simple_kind(type_name: &str, table: &mut Table<'_>) -> Option<Kind> {
    Some(match type_name {
        "INTEGER" => table.integer_kind()?,
        "SINGLE_SELECT" => table.text_kind()?,
        "MULTI_SELECT" => Kind::SetOf(Box::new(table.text_kind()?)),
        "DECIMAL" => Kind::Decimal,
        "BOOLEAN" => Kind::Flag,
        "PHONE" => Kind::Phone,
        "EMAIL" => Kind::Email,
        "DATE_TIME" => Kind::DateTime,
        "DATE" => Kind::Date,
        "TIMEZONE" => Kind::TimeZone,
        "LOCALE" => Kind::Locale,
        "LINK" => Kind::Link,
        // LABEL and PARAGRAPH; the caller has dealt with every other type.
        _ => Kind::Text,
    })
}
