//! Problems of the input as data: the read goes on, and all of them are told at the end.

use super::UserKey;
use serde::Serialize;
use std::fmt;

/// Something about the input that a person should know. Carries the place and never the content.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    pub severity: Severity,
    pub code: Code,
    pub place: Place,
    /// What and why, as a lowercase fragment; names columns, never a cell's content.
    pub message: String,
    /// What to do next; may be empty.
    pub hint: String,
    /// Whose row it is, where the key could be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<UserKey>,
}

/// Worst last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Told, nothing else.
    Warning,
    /// This row or user is not sent.
    Held,
    /// Nothing is sent at all.
    Refused,
}

/// A stable name for the kind of finding, `RD-` and four digits, to search for in the README.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct Code(pub &'static str);

/// Where it is. Lines and columns count from 1 and are physical ones.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Place {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<u64>,
    /// The column's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub column: Option<String>,
    /// The column's number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub column_number: Option<usize>,
    /// Bytes from the start of the file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub byte: Option<u64>,
    /// Of an element of a JSON document, by RFC 6901; of a feed with its page: `page 3 /data/17`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pointer: Option<String>,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, line, column, column_number, byte, pointer } = self;
        let mut parts = Vec::new();
        parts.extend(file.clone());
        parts.extend(pointer.clone());
        parts.extend(line.map(|line| format!("line {line}")));
        match (column, column_number) {
            (Some(name), Some(number)) => parts.push(format!("column {number} `{name}`")),
            (Some(name), None) => parts.push(format!("column `{name}`")),
            (None, Some(number)) => parts.push(format!("column {number}")),
            (None, None) => {}
        }
        parts.extend(byte.map(|byte| format!("byte {byte}")));
        f.write_str(&parts.join(", "))
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { severity: _, code, place, message, hint, key: _ } = self;
        let place = place.to_string();
        let separator = if place.is_empty() { "" } else { ": " };
        write!(f, "{place}{separator}{message}")?;
        if !hint.is_empty() {
            write!(f, "; {hint}")?;
        }
        write!(f, " [{}]", code.0)
    }
}
