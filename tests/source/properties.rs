//! What holds for every file: damage never loses a user in silence, and order means nothing.

use super::{Roster, cell as cell_of, good, is_partial, read_with, same_plan, settings};
use proptest::prelude::*;
use rosterd::{
    model::Record,
    source::{CsvSettings, OnBadRow},
};
use std::collections::BTreeSet;

/// Good files with every kind of quoting that could hide damage.
const SAMPLES: [&str; 10] = [
    "id,name,title\n1,ann,x\n2,bob,y\n3,cid,z\n4,dan,w\n",
    "id,name,title\n1,\"Smith, Ann\",x\n2,bob,\"y\"\n3,\"c\"\"i\"\"d\",z\n4,\"\",\"\"\n5,e,\"\"\n",
    "id,name,title\n1,\"12 Main\nBoston\",x\n2,b,\"two\nlines\"\n3,c,z\n4,\"d\n\",\"\ne\"\n",
    "id,name,title\n1,\"a,\",x\n2,b,\",\"\n3,\",c\",\",,\"\n4,\",\",\",\"\n5,e,\", Jr\"\n",
    "name,title,id\n\"a\",\"\",1\n\"\",\"x, y\",2\n\",\",\"\n\",3\n\"\"\"q\"\"\",r,4\n",
    "title,id,name\r\n\"a\nb\",1,\"c\r\nd, e\"\r\n,2,\r\n\"\"\"\",3,\"\"\"\"\"\"\r\nx,4,\"y\"\r\n",
    "id,name,title,a,b,c,d,e,f\n1,\"A, B\",\"\",,\"\",x,,\"\",\"\"\n2,b,\"\",,,x,,,\"q\"\n3,,,,,,,,\n",
    "id,name,title,a,b,c,d,e\n1,x,\",\",y,\",\",z,,\"\"\n2,x,\",\",\",,\",\",\",,v,\",\"\n3,,,,,,,\n",
    "id,name\n1,\"a\"\n2,\"b\nc\"\n3,\",\"\n4,\",d\"\n5,\"e,\"\n6,\"\"\"f\"\n",
    "\"id\",\"name\",\"title\"\n\"1\",\"a\",\"x\"\n\"2\",\"\",\"\"\n\"3\",\"c, d\",\"z\ny\"\n\"4\",\"e\",\"\"\n",
];

fn all_settings() -> Vec<CsvSettings> {
    let mut all = Vec::new();
    for on_bad_row in [OnBadRow::Refuse, OnBadRow::Hold] {
        for multiline in [vec![], vec!["name".to_owned(), "title".to_owned()]] {
            all.push(CsvSettings { on_bad_row, multiline, ..settings() });
        }
    }
    all
}

/// The users of `whole` are all still there, or the read says that absence proves nothing.
fn nobody_is_lost(whole: &Roster, read: &Roster) -> bool {
    is_partial(read) || read.present == whole.present
}

fn check_damage(sample: &str, damaged: &str) {
    for settings in all_settings() {
        let whole = read_with(&settings, sample).unwrap();
        let Ok(read) = read_with(&settings, damaged) else { continue };
        assert!(nobody_is_lost(&whole, &read), "{damaged:?}");
    }
}

#[test]
fn a07_one_quote_more_anywhere_never_loses_a_user() {
    for sample in SAMPLES {
        for at in 0..=sample.len() {
            let mut damaged = sample.to_owned();
            damaged.insert(at, '"');
            check_damage(sample, &damaged);
        }
    }
}

#[test]
fn a07_one_quote_less_anywhere_never_loses_a_user() {
    for sample in SAMPLES {
        for (at, _) in sample.match_indices('"') {
            let mut damaged = sample.to_owned();
            damaged.remove(at);
            check_damage(sample, &damaged);
        }
    }
}

#[test]
fn a25_a_file_cut_anywhere_is_refused_held_or_the_same_plan() {
    for sample in SAMPLES {
        let whole = good(sample);
        for cut in 0..sample.len() {
            let Ok(read) = read_with(&settings(), &sample[..cut]) else { continue };
            let at_row_end = sample[..cut].ends_with(['\n', '\r']) && {
                // A cut between two rows is a shorter roster, which another guard sees; all that is
                // left must then be exactly as it was.
                let left = |roster: &Roster| {
                    let rows = roster.records.iter();
                    rows.map(|r| (r.key.clone(), pairs(r))).collect::<BTreeSet<_>>()
                };
                left(&read).is_subset(&left(&whole))
            };
            assert!(at_row_end || is_partial(&read), "{:?}", &sample[..cut]);
            let mut told = read.records.iter();
            assert!(told.all(|record| whole.records.iter().any(|r| r.fields == record.fields)));
        }
    }
}

#[test]
fn p08_rows_that_cannot_be_read_never_make_leavers() {
    let sample = "id,name,title\nE1,a,x\nE2,b,y\nE3,c,z\n";
    let hold = CsvSettings { on_bad_row: OnBadRow::Hold, ..settings() };
    let whole = good(sample);
    for bad in
        ["E2,b", "E2,b,y,z", ",b,y", "\u{a0}E2,b,y", "E2\",b,y", "\"E2\"x,b,y", "E2,b\u{1},y"]
    {
        let read = read_with(&hold, sample.replace("E2,b,y", bad)).unwrap();
        assert!(nobody_is_lost(&whole, &read), "{bad:?}");
        assert_eq!((read.records.len(), read.held.len()), (2, 1), "{bad:?}");
    }
}

fn pairs(record: &Record) -> Vec<(String, String)> {
    record.fields.iter().map(|(name, cell)| (name.to_owned(), cell.to_owned())).collect()
}

fn cell() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z]{0,6}",
        "[a-z ,]{0,6}",
        "[a-z\"]{0,4}",
        "[a-zé,\"\n]{0,6}",
        Just(",".to_owned()),
        Just(String::new()),
    ]
}

fn table() -> impl Strategy<Value = Vec<[String; 3]>> {
    proptest::collection::vec([cell(), cell(), cell()], 1..8)
}

/// As an honest program writes it: quoted where needed, or everywhere.
fn write(rows: &[[String; 3]], order: &[usize; 4], always: bool) -> String {
    let quote = |cell: &str| {
        let needed = always || cell.contains([',', '"', '\n', '\r']);
        if needed { format!("\"{}\"", cell.replace('"', "\"\"")) } else { cell.to_owned() }
    };
    let line = |cells: [&str; 4]| order.map(|at| quote(cells[at])).join(",") + "\n";
    let body = rows.iter().enumerate().map(|(n, [a, b, c])| line([&format!("E{n}"), a, b, c]));
    line(["id", "name", "title", "note"]) + &body.collect::<String>()
}

const ORDERS: [[usize; 4]; 4] = [[0, 1, 2, 3], [3, 1, 0, 2], [1, 2, 3, 0], [2, 0, 3, 1]];

/// A cell of the table that looks like swallowed rows refuses the honest file, which is the price.
fn read_honest(text: &str) -> Option<Roster> {
    read_with(&settings(), text).ok().filter(|roster| roster.held.is_empty())
}

/// Three hundred cases, or as many as `PROPTEST_CASES` says.
fn config() -> ProptestConfig {
    let default = ProptestConfig { failure_persistence: None, ..ProptestConfig::default() };
    match std::env::var_os("PROPTEST_CASES") {
        Some(_) => default,
        None => ProptestConfig { cases: 300, ..default },
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn p09_a16_a40_no_order_of_rows_or_columns_changes_the_plan(
        rows in table(), order in 0..4_usize, always: bool, turn in 0..8_usize,
    ) {
        let first = write(&rows, &ORDERS[0], always);
        let Some(wanted) = read_honest(&first) else { return Ok(()) };
        let other = write(&rows, &ORDERS[order], !always);
        let mut lines = records(&other);
        let body = lines.len() - 1;
        lines[1..].rotate_left(turn % body);
        if let Some(read) = read_honest(&lines.concat()) {
            prop_assert!(same_plan(&wanted, &read));
        }
    }

    #[test]
    fn a33_every_value_comes_out_as_it_went_in(rows in table(), order in 0..4_usize, always: bool) {
        let text = write(&rows, &ORDERS[order], always);
        let Some(read) = read_honest(&text) else { return Ok(()) };
        for record in &read.records {
            let at: usize = record.key.as_str()[1..].parse().unwrap();
            prop_assert_eq!(cell_of(record, "name"), &rows[at][0]);
            prop_assert_eq!(cell_of(record, "title"), &rows[at][1]);
        }
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        for settings in all_settings() {
            let _ = read_with(&settings, &bytes);
        }
    }

    #[test]
    fn arbitrary_text_below_a_header_never_panics_and_rows_are_accounted_for(
        body in "([a-c],|\"|\n|\r|,|é|\u{a0}|\u{0}|x){0,60}"
    ) {
        for settings in all_settings() {
            let Ok(read) = read_with(&settings, format!("id,name,title\n{body}")) else { continue };
            let users = read.records.len() as u64
                + read.held.iter().filter_map(|held| held.key.clone()).collect::<BTreeSet<_>>().len() as u64;
            prop_assert_eq!(read.facts.users, users);
            prop_assert_eq!(read.present.len() as u64, users);
            prop_assert!(read.held.iter().all(|held| held.key.is_some()) || is_partial(&read));
        }
    }

    #[test]
    fn a03_a_byte_changed_anywhere_never_brings_a_replacement_character(
        at: prop::sample::Index, byte: u8,
    ) {
        let mut bytes = "id,name,title\nE1,Zoë,ÄÖÜ\nE2,Łukasz,日本\n".as_bytes().to_vec();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        if let Ok(read) = read_with(&settings(), &bytes) {
            let mut cells = read.records.iter().flat_map(|record| record.fields.iter());
            let replaced = cells.any(|(_, cell)| cell.contains(char::REPLACEMENT_CHARACTER));
            prop_assert!(!replaced);
        }
    }
}

proptest! {
    // Each case reads sixteen files, and every quote of ten samples has been tried at every place.
    #![proptest_config(ProptestConfig { cases: config().cases.min(1000), ..config() })]

    #[test]
    fn p08_a07_one_quote_more_or_less_in_any_file_never_loses_a_user(
        rows in table(), order in 0..4_usize, always: bool, at: prop::sample::Index,
    ) {
        let text = write(&rows, &ORDERS[order], always);
        if read_honest(&text).is_none() {
            return Ok(());
        }
        let quotes: Vec<usize> = text.match_indices('"').map(|(at, _)| at).collect();
        let mut more = text.clone();
        let place = at.index(text.len() + 1);
        if text.is_char_boundary(place) {
            more.insert(place, '"');
            check_damage(&text, &more);
        }
        if !quotes.is_empty() {
            let mut less = text.clone();
            less.remove(quotes[at.index(quotes.len())]);
            check_damage(&text, &less);
        }
    }
}

/// The physical records of an honest file.
fn records(text: &str) -> Vec<String> {
    let mut records = vec![String::new()];
    let mut quoted = false;
    for c in text.chars() {
        quoted ^= c == '"';
        records.last_mut().unwrap().push(c);
        if c == '\n' && !quoted {
            records.push(String::new());
        }
    }
    records.pop();
    records
}

#[test]
fn a07_two_quotes_more_anywhere_in_a_wide_file_never_swallow_a_row() {
    for sample in SAMPLES.iter().filter(|sample| sample.lines().next().unwrap().len() > 20) {
        let whole = good(sample);
        for first in 0..=sample.len() {
            for second in first..=sample.len() {
                let mut damaged = (*sample).to_owned();
                damaged.insert(second, '"');
                damaged.insert(first, '"');
                let Ok(read) = read_with(&settings(), &damaged) else { continue };
                assert!(is_partial(&read) || read.facts.rows == whole.facts.rows, "{damaged:?}");
            }
        }
    }
}
