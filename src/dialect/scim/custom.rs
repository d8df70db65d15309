//! A tenant's own attributes: those of its schemas, and further values of the lists of the core.
//!
//! ```toml
//! [tenants.acme.scim.custom]
//! "urn:example:schemas:acme:2.0:User:badge" = "string"
//! "urn:example:schemas:acme:2.0:User:floor" = { type = "integer", min = -2, max = 40 }
//! "urn:example:schemas:acme:2.0:User:skills" = { type = "string", list = "plain" }
//! 'emails[type eq "private"].value' = "email"
//! ```

use super::{
    catalogue::{NEVER, Shape, Slot},
    path::Path,
};
use crate::{
    dialect::grammar::Table,
    model::{Attribute, Kind, Problem, Weight},
};
use serde_json::{Map, Value as Json};

/// RFC 7643 §2.3's simple types, and forms of a text that are worth checking.
const TYPES: [&str; 10] = [
    "string",
    "boolean",
    "integer",
    "decimal",
    "dateTime",
    "date",
    "reference",
    "email",
    "phone",
    "uuid",
];

/// Reads `custom`; what is wrong with it is reported to the table.
pub(super) fn read(table: &mut Table<'_>) -> Vec<Slot> {
    let declared = match table.get("custom") {
        None => return Vec::new(),
        Some(Json::Object(declared)) => declared,
        Some(_) => {
            let problem = Problem::new("custom", "must be a table of attribute paths and types");
            table.report(
                problem.hint(r#"for example `custom = { "urn:…:User:badge" = "string" }`"#),
            );
            return Vec::new();
        }
    };
    let mut slots = Vec::new();
    for (name, declaration) in declared {
        match read_one(name, declaration) {
            Ok(slot) => slots.push(slot),
            Err(problems) => {
                let prefix = format!("custom.{name}");
                for problem in problems {
                    table.report(problem.under(&prefix));
                }
            }
        }
    }
    slots
}

fn read_one(name: &str, declaration: &Json) -> Result<Slot, Vec<Problem>> {
    let path = Path::parse(name).map_err(|why| {
        let hint = r#"for example `urn:example:2.0:User:badge` or `emails[type eq "work"].value`"#;
        vec![Problem::new("", why).hint(hint)]
    })?;
    if path.to_string() != name {
        let hint = format!("write it as `{path}`, and so in the mapping");
        return Err(vec![Problem::new("", "is not written as paths are").hint(hint)]);
    }
    if path.schema.is_none()
        && NEVER.iter().any(|never| never.eq_ignore_ascii_case(&path.attribute))
    {
        return Err(vec![Problem::new("", "is the server's own, or a secret, and is never sent")]);
    }
    match declaration {
        Json::Object(table) => limited(path, table),
        Json::String(_) => {
            let table = Map::from_iter([("type".to_owned(), declaration.clone())]);
            limited(path, &table).map_err(|problems| problems.into_iter().map(at_name).collect())
        }
        _ => Err(vec![Problem::new("", "must be the name of a type, or a table with `type`")]),
    }
}

/// Written without a table, so the key is the attribute's own.
fn at_name(problem: Problem) -> Problem {
    if problem.key == "type" { Problem { key: String::new(), ..problem } } else { problem }
}

fn limits_of(type_name: &str) -> &'static [&'static str] {
    match type_name {
        "integer" => &["type", "list", "key_like", "min", "max"],
        "string" => &["type", "list", "key_like", "max_chars", "values"],
        known if TYPES.contains(&known) => &["type", "list", "key_like"],
        // Of an unknown type nothing is known; one problem is enough.
        _ => &["type", "list", "key_like", "min", "max", "max_chars", "values"],
    }
}

fn limited(path: Path, declared: &Map<String, Json>) -> Result<Slot, Vec<Problem>> {
    let type_name = declared.get("type").and_then(Json::as_str).unwrap_or_default();
    let mut table = Table::inner(declared, limits_of(type_name));
    let kind = match table.required_text("type").and_then(|_| table.choice("type", &TYPES)) {
        None => None,
        Some(name) => kind_of(name, &mut table),
    };
    let shape = shape(&mut table, &path);
    let key_like = table.flag("key_like");
    let max_chars = max_chars(&mut table);
    let slot = kind.zip(shape).zip(key_like).zip(max_chars).map(
        |(((kind, shape), key_like), max_chars)| {
            let kind = match shape {
                Shape::Single => kind,
                Shape::Values | Shape::Plain => Kind::SetOf(Box::new(kind)),
            };
            let weight = if key_like { Weight::KeyLike } else { Weight::Plain };
            let attribute = Attribute { max_chars, ..Attribute::of(kind).weight(weight) };
            Slot { path, shape, attribute }
        },
    );
    table.close(slot)
}

fn kind_of(name: &str, table: &mut Table<'_>) -> Option<Kind> {
    Some(match name {
        "boolean" => Kind::Flag,
        "integer" => table.integer_kind()?,
        "decimal" => Kind::Decimal,
        "dateTime" => Kind::DateTime,
        "date" => Kind::Date,
        "email" => Kind::Email,
        "phone" => Kind::Phone,
        "uuid" => Kind::Uuid,
        "string" => table.text_kind()?,
        // A reference: a URI, or the id of a resource; the caller has dealt with what is no type.
        _ => Kind::Text,
    })
}

/// `None` inside: no limit.
#[expect(clippy::option_option, reason = "the outer one is a problem that was reported")]
fn max_chars(table: &mut Table<'_>) -> Option<Option<usize>> {
    if table.get("max_chars").is_none() {
        return Some(None);
    }
    let chars = table.integer("max_chars", 0)?;
    let chars = usize::try_from(chars).ok().filter(|chars| *chars > 0);
    if chars.is_none() {
        table.report(Problem::new("max_chars", "must be above 0"));
    }
    chars.map(Some)
}

fn shape(table: &mut Table<'_>, path: &Path) -> Option<Shape> {
    let shape = match table.get("list") {
        None => return Some(Shape::Single),
        Some(_) => match table.choice("list", &["values", "plain"])? {
            "plain" => Shape::Plain,
            _ => Shape::Values,
        },
    };
    if path.filter.is_some() || path.sub.is_some() {
        let hint = "name the list alone, or leave `list` out";
        table.report(
            Problem::new("list", "is of a whole attribute, and this is part of one").hint(hint),
        );
        return None;
    }
    Some(shape)
}
