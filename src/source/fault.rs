//! What a row's fault is called, and whether one row's fault refuses the file.

use super::{
    codes,
    grammar::{FIELD_BYTES_MAX, FaultKind, PLAIN_FIELD_BYTES_MAX, PLAIN_FIELD_NEWLINES_MAX},
    guard::{ROW_BYTES_MAX, Row},
    settings::OnBadRow,
};
use crate::model::{Code, Finding, Place, Severity};

/// The finding of a row's fault. `columns`: the header's names; `first_byte`: see
/// [`Text`](super::input::Text).
pub(super) fn describe(
    row: &Row,
    columns: &[String],
    bytes_known: bool,
    on_bad_row: OnBadRow,
) -> Option<Finding> {
    let fault = row.fault.as_ref()?;
    let (code, message, hint) = words(fault.kind);
    let byte = fault.offset.map(|offset| row.byte + offset as u64);
    let place = Place {
        file: None,
        line: Some(row.line + fault.lines),
        column: fault.field.and_then(|field| columns.get(field)).cloned(),
        column_number: fault.field.map(|field| field + 1),
        byte: byte.filter(|_| bytes_known),
        pointer: None,
    };
    let holds = on_bad_row == OnBadRow::Hold && may_be_held(fault.kind);
    let severity = if holds { Severity::Held } else { Severity::Refused };
    Some(Finding { severity, code, place, message, hint: hint.to_owned(), key: None })
}

/// Whether what follows the row can be believed although the row cannot.
fn may_be_held(kind: FaultKind) -> bool {
    match kind {
        FaultKind::TextAfterQuote
        | FaultKind::LoneQuote
        | FaultKind::LooksSwallowed
        | FaultKind::Length { .. } => true,
        FaultKind::TooLongForPlain
        | FaultKind::TooManyNewlines
        | FaultKind::FieldTooLong
        | FaultKind::RowTooLong
        | FaultKind::OpenAtEnd
        | FaultKind::NotUtf8
        | FaultKind::GaveUp => false,
    }
}

const DOUBLE_IT: &str = "write a quote within a cell as two, and quote the whole cell";
const DECLARE_IT: &str =
    "look for a stray quote; if the text is meant, list its column in `multiline`";

fn words(kind: FaultKind) -> (Code, String, &'static str) {
    let (code, message, hint) = match kind {
        FaultKind::TextAfterQuote => {
            (codes::TEXT_AFTER_QUOTE, "text follows a closing quote".to_owned(), DOUBLE_IT)
        }
        FaultKind::LoneQuote => (
            codes::LONE_QUOTE,
            "the cell ends with a quote that nothing opened".to_owned(),
            DOUBLE_IT,
        ),
        FaultKind::LooksSwallowed => (
            codes::SWALLOWED_ROWS,
            "the cell seems to have swallowed other rows".to_owned(),
            DECLARE_IT,
        ),
        FaultKind::TooLongForPlain => (
            codes::SWALLOWED_ROWS,
            format!("the cell is longer than {PLAIN_FIELD_BYTES_MAX} bytes"),
            DECLARE_IT,
        ),
        FaultKind::TooManyNewlines => (
            codes::SWALLOWED_ROWS,
            format!(
                "the quote that opens here holds more than {PLAIN_FIELD_NEWLINES_MAX} line ends"
            ),
            DECLARE_IT,
        ),
        FaultKind::FieldTooLong => (
            codes::FIELD_TOO_LONG,
            format!("the cell is longer than the limit of {} KiB", FIELD_BYTES_MAX >> 10),
            "look for a stray quote",
        ),
        FaultKind::RowTooLong => (
            codes::ROW_TOO_LONG,
            format!("the row is longer than the limit of {} MiB", ROW_BYTES_MAX >> 20),
            "look for missing line ends",
        ),
        FaultKind::OpenAtEnd => (
            codes::OPEN_QUOTE,
            "the quote that opens here is never closed".to_owned(),
            "look for a stray quote; if there is none, the file was cut, so fetch it again",
        ),
        FaultKind::Length { cells, columns } => (
            codes::ROW_LENGTH,
            format!("the row has {cells} cells, the header {columns}"),
            "quote the cells that hold a delimiter",
        ),
        FaultKind::NotUtf8 => (
            codes::BAD_ENCODING,
            "the text is not UTF-8".to_owned(),
            "save the file as UTF-8, or set `encoding` to what it is in, say \"windows-1252\"",
        ),
        FaultKind::GaveUp => (
            codes::GAVE_UP,
            "reading stopped here, since so many rows cannot be told apart".to_owned(),
            "mend the quotes above first",
        ),
    };
    (code, message, hint)
}
