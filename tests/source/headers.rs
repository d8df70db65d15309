//! The header line, and the settings.

use super::{demand, finding, good, keys, plain, read_for, read_with, refused, roster, settings};
use rosterd::{
    model::Severity,
    source::{CsvSettings, OnBadRow, codes},
};

#[test]
fn a15_a_missing_column_is_refused_with_what_was_found_and_what_is_near() {
    let finding = refused(&settings(), "id,nmae,dept\nE1,a,b\n", codes::MISSING_COLUMN);
    assert!(finding.message.contains("`name` is missing"));
    assert!(finding.message.contains("`nmae`") && finding.message.contains("`dept`"));
    assert!(finding.hint.contains("\"nmae\" = \"name\""), "{}", finding.hint);
}

#[test]
fn a15_all_missing_columns_and_all_bad_rows_are_told_in_one_run() {
    let wide = demand("name mail dept");
    let refused = read_for(&settings(), &wide, "id,name\nE1,a\nE2\n,c\n").unwrap_err();
    let codes: Vec<_> = refused.findings.iter().map(|finding| finding.code).collect();
    let wanted =
        [codes::MISSING_COLUMN, codes::MISSING_COLUMN, codes::ROW_LENGTH, codes::EMPTY_KEY];
    assert_eq!(codes, wanted);
}

#[test]
fn a15_a_missing_key_column_is_refused() {
    refused(&settings(), "ID,name\nE1,a\n", codes::MISSING_COLUMN);
}

#[test]
fn a16_columns_go_by_name_only() {
    let read = good("title,name,id\nx,Ann,E1\n");
    assert_eq!(read.records[0].fields, good("id,name,title\nE1,Ann,x\n").records[0].fields);
}

#[test]
fn a17_another_spelling_is_refused_unless_it_is_an_alias() {
    for header in ["Name", "NAME", " name", "name ", "na me", "first_name"] {
        let text = format!("id,{header}\nE1,Ann\n");
        refused(&settings(), &text, codes::MISSING_COLUMN);
        let aliases = [(header.to_owned(), "name".to_owned())].into();
        let read = roster(&CsvSettings { aliases, ..settings() }, &text);
        assert_eq!(super::names(&read), ["Ann"]);
    }
}

#[test]
fn a17_a_header_in_decomposed_letters_is_the_same_name() {
    let sized = CsvSettings { key: "größe".to_owned(), ..settings() };
    assert_eq!(roster(&sized, "gro\u{308}ße,name\nE1,a\n").facts.users, 1);
    let sized = CsvSettings { key: "gro\u{308}ße".to_owned(), ..settings() };
    assert_eq!(roster(&sized, "größe,name\nE1,a\n").facts.users, 1);
}

#[test]
fn a18_two_columns_of_one_name_are_refused() {
    let finding = refused(&settings(), "id,name,name\nE1,a,b\n", codes::DUPLICATE_COLUMN);
    assert_eq!((finding.place.line, finding.place.column_number), (Some(1), Some(3)));
    let aliases = [("full name".to_owned(), "name".to_owned())].into();
    let both = CsvSettings { aliases, ..settings() };
    refused(&both, "id,name,full name\nE1,a,b\n", codes::DUPLICATE_COLUMN);
}

#[test]
fn a19_an_unknown_column_is_warned_of_once_or_refused() {
    let text = "id,name,shoe size,hat\nE1,a,43,x\nE2,b,44,y\n";
    let read = good(text);
    let unknown = read.findings.iter().filter(|f| f.code == codes::UNKNOWN_COLUMN);
    assert_eq!(unknown.count(), 1);
    assert!(finding(&read, codes::UNKNOWN_COLUMN).message.contains("`shoe size`"));
    assert_eq!(read.records[0].fields.len(), 2, "only what was asked for is kept");
    let strict = CsvSettings { strict_columns: true, ..settings() };
    refused(&strict, text, codes::UNKNOWN_COLUMN);
}

#[test]
fn a19_a_column_without_a_name_is_ignored() {
    let read = good("id,name,,\nE1,a,,\n");
    assert_eq!(finding(&read, codes::UNNAMED_COLUMN).severity, Severity::Warning);
    assert_eq!(keys(&read), ["E1"]);
}

#[test]
fn a20_an_absent_column_is_not_an_empty_one() {
    let absent = good("id,name\nE1,a\n");
    let empty = good("id,name,title\nE1,a,\n");
    assert!(!absent.records[0].fields.contains("title"));
    assert_eq!(empty.records[0].fields.get("title"), Some(""));
    assert_ne!(absent.records[0].fingerprint, empty.records[0].fingerprint);
}

#[test]
fn a21_a_file_without_a_header_is_refused_and_shows_nobody() {
    for text in ["E00017,Zyxwv Qanary,Boss\n", "zyxwv@qanary.example,Zyxwv\nx,y\n"] {
        refused(&settings(), text, codes::NO_HEADER);
        let told = format!("{:?}", read_with(&settings(), text).unwrap_err().findings);
        assert!(!told.to_lowercase().contains("qanary") && !told.contains("E00017"), "{told}");
    }
    let words = read_with(&settings(), "Zyxwv,Qanary,Boss\n").unwrap_err();
    assert!(!format!("{:?}", words.findings).contains("Qanary"));
}

#[test]
fn a22_another_delimiter_is_refused_with_a_guess() {
    for (delimiter, name) in [(";", "semicolon"), ("\t", "tab"), ("|", "vertical bar")] {
        let text = plain(3).replace(',', delimiter);
        let finding = refused(&settings(), &text, codes::WRONG_DELIMITER);
        assert!(finding.message.contains(name));
        assert!(finding.hint.contains(&format!("{delimiter:?}")));
        let right = CsvSettings { delimiter: delimiter.to_owned(), ..settings() };
        assert_eq!(roster(&right, &text).facts.users, 3);
    }
}

#[test]
fn a07_a_stray_quote_in_the_header_is_refused() {
    let text = "id,name,title,note\nE1,\"a\",b,c\nE2,\"d\",e,f\n";
    for at in 0..=text.find('\n').unwrap() {
        let mut damaged = text.to_owned();
        damaged.insert(at, '"');
        assert!(read_with(&settings(), &damaged).is_err(), "{damaged:?}");
    }
}

#[test]
fn a40_headers_spelled_at_random_give_one_digest_where_aliases_say_so() {
    let aliases = ["ID", "Id", "NAME", "Name", "TITLE", "Title"]
        .map(|header| (header.to_owned(), header.to_lowercase()))
        .into();
    let settings = CsvSettings { aliases, ..settings() };
    let digests = [
        "id,name,title\nE1,a,x\nE2,b,y\n",
        "TITLE,Id,name\ny,E2,b\nx,E1,a\n",
        "Name,Title,ID\na,x,E1\nb,y,E2\n",
    ]
    .map(|text| roster(&settings, text).facts.digest);
    assert!(digests.iter().all(|digest| *digest == digests[0]));
}

#[test]
fn c01_all_problems_of_the_settings_are_told_at_once() {
    let bad = CsvSettings {
        delimiter: ";;".to_owned(),
        encoding: "utf-9".to_owned(),
        key_pattern: Some("a)|(b".to_owned()),
        references: vec![String::new()],
        max_rows: 0,
        ..CsvSettings::default()
    };
    let keys: Vec<String> = bad.check().into_iter().map(|problem| problem.key).collect();
    let wanted = ["delimiter", "encoding", "key", "key_pattern", "max_rows", "path", "references"];
    assert_eq!(keys, wanted);
    assert!(settings().check().is_empty());
    assert_eq!(
        read_with(&bad, plain(3)).unwrap_err().findings[0].code,
        codes::SETTINGS,
        "unusable settings refuse and do not panic"
    );
    for delimiter in ["\"", "a", "7", "\n", " ", "", "é"] {
        let bad = CsvSettings { delimiter: delimiter.to_owned(), ..settings() };
        assert_eq!(bad.check().len(), 1, "{delimiter:?}");
    }
}

#[test]
fn the_table_is_read_with_defaults() {
    let table = serde_json::json!({"path": "a.csv", "key": "id", "on_bad_row": "hold"});
    let settings: CsvSettings = serde_json::from_value(table).unwrap();
    assert_eq!(settings.on_bad_row, OnBadRow::Hold);
    assert_eq!((settings.delimiter.as_str(), settings.encoding.as_str()), (",", "utf-8"));
    assert_eq!(settings.max_rows, 20_000_000);
    assert!(settings.check().is_empty());
}
