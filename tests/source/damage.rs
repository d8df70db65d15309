//! Quotes: what they swallow, and what is honest.

use super::{finding, good, is_partial, keys, names, read_with, refused, roster, settings};
use rosterd::{
    model::Severity,
    source::{CsvSettings, OnBadRow, codes},
};

fn holding() -> CsvSettings {
    CsvSettings { on_bad_row: OnBadRow::Hold, ..settings() }
}

#[test]
fn a06_line_ends_within_quotes_are_honest() {
    for address in [
        "12 Main St\nBoston",
        "12 Main St, Apt 4\r\nBoston, MA, 02110",
        "a\nb\nc\nd",
        "\n",
        "Boston\n",
        "\"\"HQ\"\"\nBoston",
    ] {
        let read = good(format!("id,name\nE1,\"{address}\"\nE2,b\n"));
        assert_eq!(names(&read), [address.replace("\"\"", "\"").as_str(), "b"]);
        let wide = format!("id,name,title,c,d\nE1,\"{address}\",x,\"Smith, Bob\",z\n");
        assert_eq!(keys(&good(wide)), ["E1"]);
    }
}

#[test]
fn a06_lines_stay_the_physical_ones() {
    let text = "id,name\nE1,\"a\nb\r\nc\"\nE2\n";
    assert_eq!(refused(&settings(), text, codes::ROW_LENGTH).place.line, Some(5));
    let text = "id,name,title\nE1,\"a\nb\",x\u{1}\nE2,\"a\nb\nc\"d,x\n";
    assert_eq!(refused(&settings(), text, codes::TEXT_AFTER_QUOTE).place.line, Some(4));
}

#[test]
fn a07_a_lone_quote_that_swallows_rows_is_refused() {
    let text = "id,name\n1,\"ann\n2,bob\n3,cid\n4,dan\n5,eve\n6,fay\n";
    let found = refused(&settings(), text, codes::SWALLOWED_ROWS);
    assert_eq!((found.place.line, found.place.column.as_deref()), (Some(2), Some("name")));
    refused(&holding(), text, codes::SWALLOWED_ROWS);
}

#[test]
fn a07_a_quote_that_is_open_at_the_end_is_refused_where_it_opened() {
    for text in ["id,name\n1,ann\n2,\"bo", "id,name\n1,ann\n2,\"bob\n", "id,name\n1,ann\n2,\""] {
        let found = refused(&holding(), text, codes::OPEN_QUOTE);
        assert_eq!((found.place.line, found.place.column_number), (Some(3), Some(2)));
    }
}

#[test]
fn a07_rows_swallowed_up_to_the_next_cell_that_opens_with_a_quote_are_seen() {
    let after = "id,name,title\n1,\"ann,x\n2,\"bob\",y\n3,c,z\n";
    assert_eq!(refused(&settings(), after, codes::TEXT_AFTER_QUOTE).place.line, Some(2));
    // The swallowing quote is closed by one that a delimiter follows, so nothing else looks wrong.
    let smooth = "id,name,title\n1,\"ann,x\n2,bob,\",\"\n3,c,z\n";
    let found = read_with(&settings(), smooth).unwrap_err().findings;
    assert!(found.iter().any(|finding| finding.severity == Severity::Refused));
    let even = "id,name,title\n1,\"ann,x\n2,bob,\", of the board\n3,c,z\n";
    assert_eq!(refused(&settings(), even, codes::SWALLOWED_ROWS).place.line, Some(2));
    let read = roster(&holding(), even);
    assert_eq!(keys(&read), ["3"]);
    assert!(is_partial(&read));
}

#[test]
fn a07_a_declared_column_is_guarded_against_swallowed_rows_all_the_same() {
    let declared = CsvSettings { multiline: vec!["name".to_owned()], ..settings() };
    let even = "id,name,title\n1,\"ann,x\n2,bob,\", of the board\n3,c,z\n";
    refused(&declared, even, codes::SWALLOWED_ROWS);
    let long = format!("id,name\n1,\"{}\"\n", "a line, with commas\n".repeat(50));
    refused(&settings(), &long, codes::SWALLOWED_ROWS);
    assert_eq!(roster(&declared, &long).records.len(), 1, "a text may end in a line end");
}

#[test]
fn a07_a_whole_row_within_a_wide_rows_cell_is_not_believed() {
    let wide = "id,name,a,b,c,d,e,f\n1,\"x\",1,2,3,4,5,6\n2,\"y,1,2,3,4,5,6\n3,z\",1,2,3,4,5,6\n";
    refused(&settings(), wide, codes::SWALLOWED_ROWS);
}

#[test]
fn a07_reading_goes_on_after_a_swallowing_quote_and_tells_of_the_next() {
    let text = format!("id,name\n1,\"a\n{}2,\"b\n{}3\n", "8,x\n9,y\n".repeat(3), "7,z\n".repeat(5));
    let findings = read_with(&settings(), text).unwrap_err().findings;
    let lines: Vec<_> = findings
        .iter()
        .filter(|f| f.code == codes::SWALLOWED_ROWS || f.code == codes::ROW_LENGTH)
        .map(|finding| finding.place.line.unwrap())
        .collect();
    assert_eq!(lines, [2, 9, 15]);
}

#[test]
fn a07_a_file_of_nothing_but_stray_quotes_is_given_up() {
    let text = format!("id,name\n{}", "1,\"a\n2,b\n3,c\n4,d\n5,e\n".repeat(2000));
    refused(&settings(), text, codes::GAVE_UP);
}

#[test]
fn a07_a_quote_in_the_key_makes_it_unreadable() {
    for key in ["E\"1", "\"E\"\"1\"", "E1\"", "\"E\"1"] {
        let text = format!("id,name\n{key},a\nE2,b\n");
        assert!(read_with(&settings(), &text).is_err());
        let read = roster(&holding(), &text);
        assert_eq!(keys(&read), ["E2"]);
        assert!(is_partial(&read));
    }
}

#[test]
fn a07_a_plain_cell_of_more_than_4_kib_is_refused_unless_declared() {
    let long = "x".repeat(5000);
    let declared = CsvSettings { multiline: vec!["name".to_owned()], ..settings() };
    for cell in [long.clone(), format!("\"{long}\"")] {
        let text = format!("id,name\nE1,{cell}\nE2,b\nE3\n");
        assert_eq!(refused(&settings(), &text, codes::SWALLOWED_ROWS).place.line, Some(2));
        assert_eq!(refused(&settings(), &text, codes::ROW_LENGTH).place.line, Some(4));
        assert_eq!(roster(&declared, text.replace("E3\n", "")).records.len(), 2);
    }
}

#[test]
fn a08_a_quote_inside_an_unquoted_cell_is_taken_as_it_stands() {
    for cell in ["5\" pipe", "Jo\"hn", "the \"best\"", "x\"\"y"] {
        let read = good(format!("id,name,title\nE1,{cell},x\nE2,b,y\n"));
        assert_eq!(names(&read), [cell, "b"]);
        let found = finding(&read, codes::LITERAL_QUOTE);
        assert_eq!((found.severity, found.place.line), (Severity::Warning, Some(2)));
        assert_eq!(found.place.column.as_deref(), Some("name"));
    }
}

#[test]
fn a08_a_cell_that_ends_in_a_quote_that_nothing_opened_is_a_bad_row() {
    // It may as well be the end of a cell that has lost its opening quote.
    let text = "id,name,title\nE1,Smith\",x\nE2,b,y\n";
    assert_eq!(refused(&settings(), text, codes::LONE_QUOTE).place.line, Some(2));
    assert_eq!(keys(&roster(&holding(), text)), ["E2"]);
}

#[test]
fn a07_text_after_a_closing_quote_is_a_bad_row() {
    let text = "id,name,title\nE1,\"a\"b,x\nE2,\"a\" ,x\nE3,b,y\n";
    assert_eq!(refused(&settings(), text, codes::TEXT_AFTER_QUOTE).place.line, Some(2));
    let read = roster(&holding(), text);
    assert_eq!((keys(&read), read.held.len()), (vec!["E3"], 2));
    assert!(is_partial(&read));
}
