//! Keys, duplicates, references, and single cells.

use super::{
    Roster, cell, finding, good, index_of, is_partial, keys, names, plain, read_for, read_with,
    refused, roster, same_plan, settings,
};
use rosterd::{
    engine::index::Index,
    model::{Completeness, Fingerprint, Severity, UserKey},
    source::{CsvSettings, Demand, OnBadRow, codes, key_fingerprint},
};

/// An index in which all the rows that were read are settled.
fn settled_in(read: &Roster) -> Index {
    let rows = read.records.iter().map(|row| (key_fingerprint(&row.key), row.fingerprint));
    index_of(&rows.collect())
}

fn holding() -> CsvSettings {
    CsvSettings { on_bad_row: OnBadRow::Hold, ..settings() }
}

fn print_of(key: &str) -> Fingerprint {
    key_fingerprint(&UserKey::parse(key).unwrap())
}

fn is_present(roster: &Roster, key: &str) -> bool {
    roster.present.contains(&print_of(key))
}

/// Sound rows enough that a few others are not the file's fault, then these.
fn among_many(rows: &str) -> String {
    plain(500) + rows
}

#[test]
fn a05_a_control_character_holds_the_row_and_in_a_key_refuses() {
    for c in ['\0', '\u{1}', '\u{8}', '\u{b}', '\u{1b}', '\u{1f}', '\u{7f}'] {
        let read = good(format!("id,name,title\nE1,a{c}b,x\nE2,c,y\n"));
        assert_eq!(keys(&read), ["E2"]);
        let found = finding(&read, codes::CONTROL_CHARACTER);
        assert_eq!((found.place.line, found.place.column.as_deref()), (Some(2), Some("name")));
        assert!(is_present(&read, "E1") && read.held[0].key.is_some());
        assert_eq!(read.facts.completeness, Completeness::Complete, "the key could be read");
        for key in [format!("E{c}1"), format!("É{c}")] {
            refused(&holding(), format!("id,name\n{key},a\n"), codes::BAD_KEY);
        }
    }
    assert_eq!(names(&good("id,name\nE1,a\tb\n")), ["a\tb"], "a tab is a blank");
}

#[test]
fn a09_identical_rows_are_one() {
    let text = "id,name,title\nE1,a,x\nE2,b,y\nE1,a,x\n E1 ,a,x\n";
    let read = good(text);
    assert_eq!(keys(&read), ["E1", "E2"]);
    assert_eq!(read.records[0].line, 2);
    assert_eq!((read.facts.rows, read.facts.users, read.facts.held), (4, 2, 0));
    let found = finding(&read, codes::REPEATED_ROW);
    assert_eq!(found.severity, Severity::Warning);
    assert!(found.message.contains("2, 4, 5"));
}

#[test]
fn a10_different_rows_of_one_key_are_all_held() {
    let read = good(among_many("E9,a,x\nE9,b,x\n"));
    assert_eq!((read.records.len(), read.facts.users, read.facts.held), (500, 501, 2));
    assert!(is_present(&read, "E9"));
    assert!(read.held.iter().all(|held| held.key.as_ref().unwrap().as_str() == "E9"));
    assert!(finding(&read, codes::DUPLICATE_KEY).message.contains("502, 503"));
    assert_eq!(read.facts.completeness, Completeness::Complete);
}

#[test]
fn a10_it_does_not_matter_which_of_the_rows_is_kept() {
    let text = among_many("E9,a,x\nE9,b,x\n");
    for settled in ["E9,a,x\n", "E9,b,x\n"] {
        let index = settled_in(&good(format!("id,name,title\n{settled}")));
        let read = super::read_settled(&settings(), &text, &index).unwrap();
        assert_eq!((read.records.len(), read.held.len(), read.facts.users), (500, 2, 501));
        assert!(read.held.iter().all(|held| held.key.as_ref().unwrap().as_str() == "E9"));
        assert!(finding(&read, codes::DUPLICATE_KEY).message.contains("502, 503"));
    }
}

#[test]
fn a10_more_than_one_in_a_hundred_refuse() {
    refused(&settings(), "id,name\nE1,a\nE1,b\nE2,c\n", codes::MANY_DUPLICATES);
    assert_eq!(good(plain(198) + "E9,a,x\nE9,b,x\n").held.len(), 2);
    refused(&settings(), plain(197) + "E9,a,x\nE9,b,x\n", codes::MANY_DUPLICATES);
}

#[test]
fn a10_a_held_row_and_a_sound_one_of_the_same_key_are_both_held() {
    let read = good(among_many("E9,a\u{1},x\nE9,b,x\n"));
    assert_eq!((read.records.len(), read.held.len()), (500, 2));
}

#[test]
fn a11_keys_that_differ_by_case_are_one_where_folding_is_set() {
    let text = among_many("Bob,a,x\nbob,b,x\nZOË,c,x\nzoe\u{308},c,x\n");
    assert_eq!(good(&text).records.len(), 504);
    let read = roster(&CsvSettings { fold_key_case: true, ..settings() }, &text);
    assert_eq!((read.facts.users, read.held.len()), (502, 2));
    assert!(is_present(&read, "bob") && is_present(&read, "zoë"));
}

#[test]
fn a12_ascii_blanks_around_a_key_are_trimmed() {
    let read = good("id,name\n  E1\t,a\n\"E2 \",b\n");
    assert_eq!(keys(&read), ["E1", "E2"]);
    assert_eq!(cell(&read.records[0], "id"), "  E1\t", "the cell itself is not touched");
    assert!(good(among_many("E9,a,x\n E9,b,x\n")).held.len() == 2);
}

#[test]
fn a12_a_key_with_something_invisible_is_held_and_the_character_named() {
    for c in ['\u{a0}', '\u{200b}', '\u{feff}', '\u{202e}', '\u{3000}', '\u{ad}', '\u{fffd}'] {
        for key in [format!("E1{c}"), format!("{c}E1"), format!("E{c}1")] {
            let read = good(format!("id,name\nE2,b\n{key},a\n"));
            assert_eq!(keys(&read), ["E2"]);
            let found = finding(&read, codes::INVISIBLE_IN_KEY);
            assert!(found.message.contains(&format!("U+{:04X}", u32::from(c))));
            assert!(is_partial(&read) && read.held[0].key.is_none());
        }
    }
}

#[test]
fn a13_keys_are_brought_to_nfc_and_decomposed_repetitions_are_seen() {
    let read = good("id,name\nZoe\u{308},a\n");
    assert_eq!(keys(&read), ["Zoë"]);
    assert_eq!(good("id,name\nZoë,a\nZoe\u{308},a\n").facts.users, 1);
}

#[test]
fn a14_a_key_of_mixed_scripts_is_warned_of() {
    let read = good("id,name\nРаul,a\nПавел,b\nZoë,c\n");
    assert_eq!(read.records.len(), 3);
    let found: Vec<_> =
        read.findings.iter().filter(|finding| finding.code == codes::MIXED_SCRIPT).collect();
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].severity, found[0].place.line), (Severity::Warning, Some(2)));
}

#[test]
fn a24_a_row_of_another_length_refuses_or_is_held_without_leavers() {
    for row in ["E2", "E2,b", "E2,b,y,z", "E2,b,y,", ",,,"] {
        let text = format!("id,name,title\nE1,a,x\n{row}\nE3,c,z\n");
        assert_eq!(refused(&settings(), &text, codes::ROW_LENGTH).place.line, Some(3));
        let read = roster(&holding(), &text);
        assert_eq!(keys(&read), ["E1", "E3"]);
        assert_eq!((read.held.len(), read.facts.rows, read.facts.held), (1, 3, 1));
        assert!(is_partial(&read));
    }
}

#[test]
fn a24_a_row_without_a_key_refuses_or_is_held_without_leavers() {
    for row in [",b,y", "  ,b,y", ",,", "\"\",,"] {
        let text = format!("id,name,title\nE1,a,x\n{row}\n");
        refused(&settings(), &text, codes::EMPTY_KEY);
        assert!(is_partial(&roster(&holding(), &text)));
    }
    let long = format!("id,name\n{},a\n", "x".repeat(513));
    refused(&settings(), &long, codes::BAD_KEY);
    assert!(is_partial(&roster(&holding(), &long)));
}

#[test]
fn a36_a_value_of_the_wrong_type_is_the_mappings_to_judge() {
    let read = good("id,name,title\nE1,31.02.,maybe\n");
    assert_eq!(cell(&read.records[0], "title"), "maybe");
}

#[test]
fn a37_nothing_is_guessed_about_dates_and_booleans() {
    let read = good("id,name,title\nE1,WAHR,01/02/03\n");
    assert_eq!((names(&read)[0], cell(&read.records[0], "title")), ("WAHR", "01/02/03"));
}

fn with_managers(rows: &str) -> (Roster, Vec<String>) {
    let settings = CsvSettings { references: vec!["boss".to_owned()], ..settings() };
    let text = format!("id,boss,name\n{rows}");
    let read = read_for(&settings, &super::demand("boss name"), text).unwrap();
    let unusable = read.records.iter().filter(|record| record.unusable.contains("boss"));
    let unusable = unusable.map(|record| record.key.as_str().to_owned()).collect();
    (read, unusable)
}

#[test]
fn a38_a_reference_to_nobody_is_held_and_the_rest_of_the_row_goes() {
    let (read, unusable) = with_managers("E1,,a\nE2, E1 ,b\nE3,E9,c\nE4,\u{a0},d\n");
    assert_eq!(unusable, ["E3", "E4"]);
    assert_eq!(read.records.len(), 4);
    let found = finding(&read, codes::UNKNOWN_REFERENCE);
    assert_eq!((found.severity, found.place.line), (Severity::Held, Some(4)));
    assert_eq!(found.key.as_ref().unwrap().as_str(), "E3");
    assert_eq!(read.facts.held, 0, "the row itself is not held");
}

#[test]
fn a38_a_cycle_of_any_length_is_held_and_what_leads_into_it_is_not() {
    for (rows, wanted) in [
        ("E1,E1,a\nE2,E1,b\n", &["E1"][..]),
        ("E1,E2,a\nE2,E1,b\nE3,E2,c\nE4,E3,d\n", &["E1", "E2"]),
        ("E5,E1,a\nE1,E2,a\nE2,E3,b\nE3,E1,c\nE4,,d\n", &["E1", "E2", "E3"]),
    ] {
        assert_eq!(with_managers(rows).1, wanted);
    }
    let ring = (0..5000).map(|n| format!("E{n:04},E{:04},x\n", (n + 1) % 5000));
    assert_eq!(with_managers(&ring.collect::<String>()).1.len(), 5000);
    let chain = (0..5000).map(|n| format!("E{n:04},E{:04},x\n", (n + 1).min(4999)));
    assert_eq!(with_managers(&chain.collect::<String>()).1, ["E4999"]);
}

#[test]
fn a38_a_cycle_through_rows_that_are_not_kept_is_seen() {
    let settings = CsvSettings { references: vec!["boss".to_owned()], ..settings() };
    let text = "id,boss\nE1,E2\nE2,E3\nE3,E1\nE4,E1\n";
    let demand = super::demand("boss");
    let all = read_for(&settings, &demand, text).unwrap();
    let rows = all.records.iter().filter(|record| record.key.as_str() != "E2");
    let rows = rows.map(|record| (key_fingerprint(&record.key), record.fingerprint));
    let index = index_of(&rows.collect());
    let input = std::io::Cursor::new(text);
    let read = super::read_from(&settings, &demand, input, &index).unwrap();
    assert_eq!(keys(&read), ["E2"]);
    assert!(read.records[0].unusable.contains("boss"));
}

#[test]
fn a38_a_held_person_can_be_referred_to() {
    let (read, unusable) = with_managers("E1,,a\u{1}\nE2,E1,b\n");
    assert_eq!(keys(&read), ["E2"]);
    assert!(unusable.is_empty());
}

#[test]
fn a39_keys_that_a_spreadsheet_rewrote_are_held_and_when_many_refused() {
    let read = good(among_many("1.2E+10,a,x\n"));
    assert_eq!(read.records.len(), 500);
    assert_eq!(finding(&read, codes::KEY_DAMAGED).severity, Severity::Held);
    assert!(is_partial(&read));
    let some = "1.2E+10,a,x\n1.3E+10,a,x\n".repeat(3);
    refused(&settings(), among_many(&some), codes::MANY_KEYS_DAMAGED);
}

#[test]
fn a39_keys_that_lost_their_leading_zeros_do_not_match_the_pattern() {
    let pattern = Some("[0-9]{5}".to_owned());
    let settings = CsvSettings { key_pattern: pattern, ..settings() };
    let row = |n: u32| format!("{n:05},a,x\n");
    let rows = (1..=300).map(row).collect::<String>();
    let text = format!("id,name,title\n{rows}");
    assert_eq!(roster(&settings, &text).records.len(), 300);
    let read = roster(&settings, format!("{text}417,a,x\n"));
    assert_eq!((read.records.len(), read.held.len()), (300, 1));
    assert!(is_partial(&read));
    refused(&settings, "id,name,title\n17,a,x\n00018,b,y\n", codes::MANY_KEYS_DAMAGED);
    refused(&settings, "id,name,title\n000177,a,x\n", codes::MANY_KEYS_DAMAGED);
}

#[test]
fn rows_that_are_settled_are_not_handed_out_and_all_facts_are_the_same() {
    let text = "id,name,title\nE1,a,x\nE2,b\u{1},y\nE3,c,z\nE3,c,z\n";
    let all = good(text);
    assert_eq!((keys(&all), all.present.len()), (vec!["E1", "E3"], 3));
    let index = settled_in(&good("id,name,title\nE1,a,x\nE3,c,z\nE4,d,w\n"));
    let read = super::read_settled(&settings(), text, &index).unwrap();
    assert!(read.records.is_empty() && read.held.len() == 1);
    assert_eq!((&read.facts, &read.findings), (&all.facts, &all.findings));
    assert_eq!((read.present, read.file), (all.present, all.file));
    let changed = text.replace("E1,a", "E1,b");
    let read = super::read_settled(&settings(), changed, &index).unwrap();
    assert_eq!((keys(&read), names(&read)), (vec!["E1"], vec!["b"]));
    assert!(!is_present(&read, "E4") && is_present(&read, "E3"));
}

#[test]
fn a_column_that_nobody_asked_for_does_not_change_a_row() {
    let (a, b) = (good("id,name,x\nE1,a,1\n"), good("id,name,x\nE1,a,2\n"));
    assert!(same_plan(&a, &b));
    let none = Demand::default();
    let read = read_for(&settings(), &none, "id,name\nE1,a\n").unwrap();
    assert_eq!(read.records[0].fields.iter().collect::<Vec<_>>(), [("id", "E1")]);
}

#[test]
fn of_each_kind_a_hundred_are_listed_and_the_rest_counted() {
    let text = format!("id,name\n{}", "bad\n".repeat(1234));
    let findings = read_with(&settings(), text).unwrap_err().findings;
    assert_eq!(findings.len(), 101);
    assert!(findings[100].message.contains("1134 more"));
    assert_eq!(findings[100].severity, Severity::Refused);
}

#[test]
fn no_finding_shows_a_cell() {
    let bad = "id,name,title\nqanary1,qanary\u{1},x\nqanary\u{a0},qanary,x\nqanary2,\"qanary\"qanary,x\n\
               qanary3,qanary\nqanary4,qan\"ary,x\n\"qan\"\"ary\",a,b\n1.2E+10,qanary,\n";
    let refused = read_with(&settings(), bad).unwrap_err();
    for finding in &refused.findings {
        assert!(!finding.to_string().contains("qan"), "{finding}");
    }
    assert!(refused.findings.len() >= 7);
    assert!(!format!("{refused}{refused:?}").contains("qan"));
}
