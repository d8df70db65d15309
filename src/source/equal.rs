//! However a file is read, it says the same: in blocks of any size or in one go, at a glance or by
//! the guard.

use super::{
    CsvSettings, Demand, Input, OnBadRow, Roster,
    cells::{Cells, Splitter},
    codes,
    csv::{read_at, read_watched},
    grammar::Grammar,
    guard::Row,
    input,
    look::Look,
    plain::{Marks, PlainRow},
    roster::Watch,
    scan::{Scan, Scanned},
    settings::Rules,
    spread::{self, Pace},
};
use crate::{
    engine::{
        bits::Bits,
        index::{Entry, Index, PAGES, PageHead, Pages, page_of},
    },
    model::{Finding, Fingerprint, UserKey},
};
use ::csv::ByteRecord;
use flate2::{Compression, write::GzEncoder};
use proptest::prelude::*;
use std::{
    collections::BTreeMap,
    convert::Infallible,
    fs,
    io::{self, Cursor, Read, Seek, SeekFrom, Write},
};

/// One page a key's place, so that no two entries need an order.
struct Kept(Vec<PageHead>, Vec<Vec<Entry>>);

impl Pages for Kept {
    type Error = Infallible;

    fn heads(&self) -> &[PageHead] {
        &self.0
    }

    fn read(&mut self, at: usize, entries: &mut Vec<Entry>) -> Result<(), Infallible> {
        entries.extend_from_slice(&self.1[at]);
        Ok(())
    }

    fn touched(&self) -> &[Fingerprint] {
        &[]
    }
}

fn index_of(settled: &BTreeMap<Fingerprint, Fingerprint>) -> Index {
    let mut pages = vec![Vec::new(); PAGES];
    for (key, row) in settled {
        pages[page_of(*key)].push(Entry { key: *key, row: *row });
    }
    let head = |(number, page): (usize, &Vec<Entry>)| PageHead {
        number,
        entries: page.len(),
        digest: None,
        accounts: Bits::new(page.len()),
    };
    let heads = pages.iter().enumerate().map(head).collect();
    Index::of(vec![Kept(heads, pages)]).0
}

/// Everything public of a read, but for the keys' own debug form.
fn told(mut roster: Roster, index: &Index) -> String {
    let mut lines = vec![format!("{:?} {:?} {:?}", roster.columns, roster.facts, roster.file)];
    lines.extend(roster.findings.iter().map(finding));
    let key = |key: &Option<UserKey>| key.as_ref().map(|key| key.as_str().to_owned());
    lines.extend(roster.held.iter().map(|h| format!("{:?} {} {}", key(&h.key), h.line, h.why)));
    for name in KEYS {
        let key = super::key_fingerprint(&UserKey::parse(name).unwrap());
        let placed = index.find(key).map(|place| roster.has(place));
        lines.push(format!("{name} {} {placed:?}", roster.has_key(index, key)));
    }
    let fresh = roster.fresh();
    let mut rows = roster.fresh_rows();
    let mut count = 0;
    while let Some(batch) = rows.next().unwrap() {
        for arrival in batch.records().unwrap() {
            let r = &arrival.record;
            let fields: Vec<_> = r.fields.iter().collect();
            lines.push(format!("{} {} {:?} {:?}", r.key.as_str(), r.line, fields, r.unusable));
            lines.push(format!("{:?} {:?} {:?}", arrival.key, arrival.place, r.fingerprint));
            count += 1;
        }
    }
    assert_eq!(count, fresh);
    lines.join("\n")
}

fn finding(finding: &Finding) -> String {
    let key = finding.key.as_ref().map(UserKey::as_str);
    format!("{:?} {finding} {key:?}", finding.severity)
}

const KEYS: [&str; 6] = ["E1", "E2", "a", "ab", "é", "x"];

fn all(settings: &CsvSettings, text: &[u8], index: &Index, pace: Option<Pace>) -> String {
    let demand = Demand {
        required: ["name".to_owned()].into(),
        optional: ["title", "boss"].map(str::to_owned).into(),
    };
    let input = Box::new(Cursor::new(text.to_vec()));
    match read_at(settings, &demand, input, u64::MAX, index, pace) {
        Ok(roster) => told(roster, index),
        Err(refused) => refused.findings.iter().map(finding).collect::<Vec<_>>().join("\n"),
    }
}

/// Of the rows that a read hands out, those with an even fingerprint.
fn some_settled(settings: &CsvSettings, text: &[u8]) -> Index {
    let demand = Demand {
        required: ["name".to_owned()].into(),
        optional: ["title", "boss"].map(str::to_owned).into(),
    };
    let nobody = Index::default();
    let index = &nobody;
    let input = Box::new(Cursor::new(text.to_vec()));
    let mut settled = BTreeMap::new();
    if let Ok(mut roster) = read_at(settings, &demand, input, u64::MAX, index, None) {
        let mut rows = roster.fresh_rows();
        while let Some(batch) = rows.next().unwrap() {
            for row in batch.records().unwrap() {
                match row.record.fingerprint.0 % 3 {
                    0 => settled.insert(row.key, row.record.fingerprint),
                    1 => settled.insert(row.key, Fingerprint(9)),
                    _ => None,
                };
            }
        }
    }
    index_of(&settled)
}

fn packed(text: &[u8], how: u8) -> Vec<u8> {
    match (how, std::str::from_utf8(text)) {
        (1, _) => {
            let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
            encoder.write_all(text).unwrap();
            encoder.finish().unwrap()
        }
        (2, Ok(text)) => {
            format!("\u{feff}{text}").encode_utf16().flat_map(u16::to_le_bytes).collect()
        }
        _ => text.to_vec(),
    }
}

fn settings(bits: u8, how: u8) -> CsvSettings {
    let bit = |at: u8| bits >> at & 1 == 1;
    CsvSettings {
        path: "roster.csv".into(),
        key: "id".to_owned(),
        on_bad_row: if bit(0) { OnBadRow::Hold } else { OnBadRow::Refuse },
        references: if bit(1) { vec!["boss".to_owned()] } else { vec![] },
        multiline: if bit(2) { vec!["title".to_owned()] } else { vec![] },
        fold_key_case: bit(3),
        allow_missing_final_newline: bit(4),
        allow_empty: bit(5),
        max_rows: if bit(6) && bit(7) { 9 } else { 1000 },
        encoding: if how == 2 { "utf-16" } else { "utf-8" }.to_owned(),
        ..CsvSettings::default()
    }
}

fn noise() -> impl Strategy<Value = Vec<u8>> {
    let token = prop_oneof![
        8 => Just(&b"\n"[..]), 2 => Just(&b"\r\n"[..]), 1 => Just(&b"\r"[..]), 9 => Just(&b","[..]),
        2 => Just(&b"\""[..]), 3 => Just(&b"\"a\""[..]), 1 => Just(&b"\"x\"\"\""[..]),
        1 => Just(&b"\"p\nq\""[..]), 4 => Just(&b"a"[..]), 4 => Just(&b"E1"[..]),
        2 => Just("é".as_bytes()), 1 => Just(&b"\0"[..]), 1 => Just(&b"\t"[..]),
        1 => Just(&b"\x7f"[..]), 1 => Just(&b"\xff"[..]), 6 => Just(&b"E1,x,y,E2\n"[..]),
        4 => Just(&b"E2,\"a, b\",,E1\n"[..]), 3 => Just(&b"ab,,\"a\nb\",\n"[..]),
    ];
    proptest::collection::vec(token, 0..60).prop_map(|tokens| tokens.concat())
}

/// Honest rosters: every cell is quoted where it must be, or always.
fn honest() -> impl Strategy<Value = Vec<u8>> {
    let cell = prop_oneof![
        4 => "[a-z]{0,9}", 1 => "[a-z,]{0,5}", 1 => "[a-z\n]{1,6}", 1 => "[aé\"]{0,4}",
        1 => Just("x".repeat(70)),
    ];
    let row = (prop_oneof!["E[0-9]{1,2}", "[a-z]{1,40}"], [cell.clone(), cell], "(E[0-9])?");
    let rows = proptest::collection::vec((row, any::<bool>()), 0..30);
    (rows, prop_oneof![Just("\n"), Just("\r\n"), Just("\r"), Just("\n\n")]).prop_map(
        |(rows, end)| {
            let mut text = String::new();
            for ((key, [name, title], boss), always) in rows {
                let quoted = |cell: &str| {
                    let needed = always || cell.contains([',', '"', '\n']);
                    if needed {
                        format!("\"{}\"", cell.replace('"', "\"\""))
                    } else {
                        cell.to_owned()
                    }
                };
                let cells = [&key, &name, &title, &boss].map(|cell| quoted(cell));
                text += &(cells.join(",") + end);
            }
            text.into_bytes()
        },
    )
}

fn check(
    body: &[u8],
    bits: u8,
    how: u8,
    bytes: usize,
    workers: usize,
) -> Result<(), TestCaseError> {
    let settings = settings(bits, how);
    for header in ["id,name,title,boss\n", "sep=,\r\nboss,id,name,title\r\n"] {
        let text = packed(&[header.as_bytes(), body].concat(), how);
        for index in [Index::default(), some_settled(&settings, &text)] {
            let reference = all(&settings, &text, &index, None);
            let spread = all(&settings, &text, &index, Some(Pace { bytes, workers }));
            prop_assert_eq!(&reference, &spread);
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(400) })]

    #[test]
    fn noise_in_blocks_of_any_size_says_what_it_says_in_one_go(
        body in noise(), bits: u8, how in 0..3_u8, bytes in 1..120_usize, workers in 1..4_usize,
    ) {
        check(&body, bits, how, bytes, workers)?;
    }

    #[test]
    fn a_roster_in_blocks_of_any_size_says_what_it_says_in_one_go(
        body in honest(), bits: u8, how in 0..3_u8, bytes in 1..300_usize, workers in 1..4_usize,
    ) {
        check(&body, bits, how, bytes, workers)?;
    }

    #[test]
    fn a_plain_row_has_no_fault_and_the_cells_that_the_csv_crate_finds(
        body in prop_oneof![noise(), honest()], delimiter in prop_oneof![Just(b','), Just(b'\t'), Just(b'a')],
    ) {
        let mut grammar = Grammar::new(delimiter);
        grammar.columns = Some(4);
        let (mut marks, mut plain) = (Marks::new(delimiter), PlainRow::default());
        let (mut splitter, mut cells) = (Splitter::new(delimiter), ByteRecord::new());
        for start in 0..body.len() {
            let length = plain.find(&body, start, &mut marks, &grammar);
            let Some(length) = length.filter(|length| *length > 0) else { continue };
            let mut scan = Scan::new();
            prop_assert_eq!(scan.advance(&body[start..], &grammar), Scanned::RowEnd);
            let bytes = &body[start..start + length];
            let row = Row::ended(&scan, bytes, 1, 0, true);
            let sound = std::str::from_utf8(bytes).is_ok();
            prop_assert_eq!(row.fault.is_none(), sound, "{:?}", row.fault);
            prop_assert_eq!((scan.at - 1, row.lines, row.literal_quote), (length, 0, None));
            prop_assert_eq!((row.control, row.not_ascii), (plain.control, !bytes.is_ascii()));
            prop_assert!(splitter.split(bytes, &mut cells));
            let found = plain.cells(&body);
            prop_assert_eq!(found.len(), cells.len());
            for at in 0..cells.len() {
                prop_assert_eq!(found.bytes(at), &cells[at]);
                let mut room = [0; 512];
                let copied = found.copy_to(at, &mut room);
                prop_assert_eq!(&room[..copied], &cells[at]);
            }
        }
    }

    #[test]
    fn blocks_of_an_honest_roster_are_believed(body in honest(), bytes in 200..400_usize) {
        let settings = settings(0, 0);
        let rules = Rules::of(&settings).unwrap();
        let (nobody, demand) = (Index::default(), Demand::default());
        let index = &nobody;
        let look = Look { settings: &settings, rules: &rules, demand: &demand, index };
        let text = [b"id,name,title,boss\n", &body[..]].concat();
        let whole = look.in_one_go(input::open(&text[..], rules.encoding).unwrap()).unwrap();
        let text = input::open(&text[..], rules.encoding).unwrap();
        let spread = spread::read(&look, text, Pace { bytes, workers: 2 });
        // What looks swallowed is not believed, and ends the way of blocks.
        if !whole.ledger.findings.refuse() {
            let rows = spread.map(|looked| looked.ledger.counts.rows);
            prop_assert_eq!(rows, Some(whole.ledger.counts.rows));
        }
    }
}

/// Is written to while it is read.
struct Growing {
    file: fs::File,
    path: std::path::PathBuf,
}

impl Read for Growing {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        fs::OpenOptions::new().append(true).open(&self.path)?.write_all(b"E9,Zed,x\n")?;
        self.file.read(buffer)
    }
}

impl Seek for Growing {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.file.seek(to)
    }
}

#[test]
fn a26_a_file_that_grows_while_it_is_read_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("roster.csv");
    fs::write(&path, "id,name,title\nE1,a,x\n").unwrap();
    let file = fs::File::open(&path).unwrap();
    let before = file.metadata().unwrap();
    let grows: Box<dyn Input> =
        Box::new(Growing { file: file.try_clone().unwrap(), path: path.clone() });
    let nobody = Index::default();
    let index = &nobody;
    let watch = Watch { file, path, before };
    let read = read_watched(&settings(0, 0), &Demand::default(), grows, index, watch);
    assert_eq!(read.unwrap_err().findings[0].code, codes::CHANGED_WHILE_READ);
}
