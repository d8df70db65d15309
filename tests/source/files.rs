//! The file as a whole: encodings, formats, limits, ends.

use super::{
    good, is_partial, keys, names, plain, read_from, read_with, refused, roster, same_plan,
    settings,
};
use flate2::{Compression, write::GzEncoder};
use rosterd::{
    engine::index::Index,
    model::{Completeness, Severity},
    source::{CsvSettings, Demand, OnBadRow, codes, read_file},
};
use std::{
    fs,
    io::{self, Cursor, Read, Seek, SeekFrom, Write},
};

type Opened = Box<dyn Read + Send + Sync>;

/// Something that can only be read from its beginning.
struct Stream {
    open: Box<dyn Fn() -> Opened + Send + Sync>,
    now: Opened,
}

impl Stream {
    fn of(open: impl Fn() -> Opened + Send + Sync + 'static) -> Self {
        Self { now: open(), open: Box::new(open) }
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.now.read(buffer)
    }
}

impl Seek for Stream {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        assert_eq!(to, SeekFrom::Start(0));
        self.now = (self.open)();
        Ok(0)
    }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn utf16(text: &str, little: bool, mark: bool) -> Vec<u8> {
    let text = if mark { format!("\u{feff}{text}") } else { text.to_owned() };
    let bytes = |unit: u16| if little { unit.to_le_bytes() } else { unit.to_be_bytes() };
    text.encode_utf16().flat_map(bytes).collect()
}

fn encoded(encoding: &str) -> CsvSettings {
    CsvSettings { encoding: encoding.to_owned(), ..settings() }
}

#[test]
fn a01_a_byte_order_mark_changes_nothing() {
    for text in [plain(3), plain(3).replacen("id", "\"id\"", 1)] {
        assert!(same_plan(&good(&text), &good(format!("\u{feff}{text}"))));
    }
    let marked = format!("\u{feff}{}", plain(3));
    assert!(same_plan(&good(plain(3)), &roster(&encoded("windows-1252"), marked)));
}

#[test]
fn a02_utf_16_is_refused_unless_it_is_configured() {
    let text = "id,name\nE1,Zoë\nE2,Łukasz\n";
    for (little, mark) in [(true, true), (true, false), (false, true), (false, false)] {
        let bytes = utf16(text, little, mark);
        for other in ["utf-8", "windows-1252"] {
            let finding = refused(&encoded(other), &bytes, codes::UTF_16);
            assert!(finding.hint.contains("utf-16"));
        }
        let read = roster(&encoded("utf-16"), &bytes);
        assert_eq!(names(&read), ["Zoë", "Łukasz"]);
        assert!(same_plan(&read, &good(text)));
    }
}

#[test]
fn a01_a_byte_order_mark_within_a_file_is_part_of_its_key_and_holds_the_row() {
    for row in ["\u{feff}\"2\",bob,y", "\u{feff}2,bob,y", "\u{feff}\"id\",\"name\",\"title\""] {
        for before in ["", "1,ann,x\n", "\"1\",\"Smith, Ann\",\"\"\n"] {
            let hold = CsvSettings { on_bad_row: OnBadRow::Hold, ..settings() };
            let read = roster(&hold, format!("id,name,title\n{before}{row}\n3,cid,z\n"));
            assert_eq!(read.held.len(), 1, "{before}{row}");
            assert_eq!(read.records.len(), 1 + usize::from(!before.is_empty()));
            assert!(is_partial(&read));
        }
    }
}

#[test]
fn a02_broken_utf_16_is_refused() {
    let mut lone_surrogate = utf16("id,name\nE1,a", true, true);
    lone_surrogate.extend([0x00, 0xd8, b'\n', 0]);
    refused(&encoded("utf-16"), &lone_surrogate, codes::BAD_ENCODING);
    let mut half_a_unit = utf16("id,name\nE1,a\n", true, true);
    half_a_unit.push(b'x');
    refused(&encoded("utf-16"), &half_a_unit, codes::BAD_ENCODING);
}

#[test]
fn a03_bytes_that_are_not_utf_8_are_refused_with_line_and_byte() {
    let bytes = b"id,name\nE1,Ann\nE2,Zo\xeb\nE3,\xffx\n";
    let finding = refused(&settings(), bytes, codes::BAD_ENCODING);
    assert_eq!((finding.place.line, finding.place.byte), (Some(3), Some(20)));
    let all = read_with(&settings(), bytes).unwrap_err().findings;
    assert_eq!(all.len(), 2, "both bad rows are told");
    assert_eq!(names(&roster(&encoded("windows-1252"), b"id,name\nE2,Zo\xeb\n")), ["Zoë"]);
}

#[test]
fn a03_a_character_that_is_torn_apart_by_a_delimiter_is_refused() {
    refused(&settings(), b"id,name,title\nE1,\xc3,\xab\n", codes::BAD_ENCODING);
}

#[test]
fn a03_a_replacement_character_comes_out_only_when_it_went_in() {
    assert_eq!(names(&good("id,name\nE1,a\u{fffd}\n")), ["a\u{fffd}"]);
}

#[test]
fn a04_text_that_was_encoded_twice_is_warned_of() {
    let twice = "id,name,title\nE1,MÃ¼ller,x\nE2,Ann,y\n";
    let read = good(twice);
    assert_eq!(super::finding(&read, codes::DOUBLE_ENCODED).severity, Severity::Warning);
    assert_eq!(names(&read), ["MÃ¼ller", "Ann"]);
    let once = good(twice.replace("MÃ¼ller", "Müller"));
    assert!(once.findings.iter().all(|finding| finding.code != codes::DOUBLE_ENCODED));
    let rare = plain(200) + "E9,MÃ¼ller,x\n";
    assert!(good(rare).findings.iter().all(|finding| finding.code != codes::DOUBLE_ENCODED));
}

#[test]
fn a23_line_ends_blank_lines_and_a_sep_line_change_nothing() {
    let lf = "id,name,title\nE1,Ann,x\nE2,\"B, C\",y\n";
    let wanted = good(lf);
    let variants = [
        lf.replace('\n', "\r\n"),
        lf.replace('\n', "\r"),
        lf.replacen('\n', "\r\n", 2),
        lf.replace('\n', "\n\n"),
        lf.replace('\n', "\r\n\r\n"),
        format!("\n\r\n{lf}\n\n"),
        format!("sep=,\n{lf}"),
        format!("\u{feff}sep=,\r\n{lf}"),
        "SEP=;\r\nid;name;title\r\nE1;Ann;x\r\nE2;B, C;y\r\n".to_owned(),
        "sep=\t\nid\tname\ttitle\nE1\tAnn\tx\nE2\tB, C\ty\n".to_owned(),
    ];
    for variant in variants {
        assert!(same_plan(&wanted, &good(&variant)), "{variant:?}");
    }
}

#[test]
fn a23_lines_are_counted_as_an_editor_counts_them() {
    for end in ["\n", "\r\n", "\r"] {
        let text = "sep=,\nid,name\n\nE1,\"a\nb\"\n\nE2,c\n".replace('\n', end);
        let lines: Vec<u64> = good(text).records.iter().map(|record| record.line).collect();
        assert_eq!(lines, [4, 7], "{end:?}");
    }
}

#[test]
fn a25_a_file_without_a_final_line_end_holds_its_last_row_and_has_no_leavers() {
    let text = plain(3);
    let cut = text.trim_end();
    let read = good(cut);
    assert_eq!(keys(&read), ["E00001", "E00002"]);
    assert_eq!((read.facts.users, read.facts.held), (3, 1));
    assert_eq!(read.held[0].key.as_ref().unwrap().as_str(), "E00003");
    assert!(is_partial(&read));
    let trusting = CsvSettings { allow_missing_final_newline: true, ..settings() };
    assert!(same_plan(&roster(&trusting, cut), &good(&text)));
    assert!(same_plan(&good(gzip(cut.as_bytes())), &good(&text)), "a checksum vouches for the end");
}

#[test]
fn a25_a_key_at_the_end_of_a_cut_file_is_not_believed() {
    let read = good("name,id\nAnn,E1\nBob,E2");
    assert!(read.held[0].key.is_none());
    assert_eq!(read.facts.users, 1);
}

#[test]
fn a27_an_empty_file_is_refused() {
    for empty in ["", "\n\n", "\u{feff}", "\r\n", "sep=;\n"] {
        refused(&settings(), empty, codes::EMPTY);
    }
    refused(&settings(), gzip(b""), codes::EMPTY);
}

#[test]
fn a28_a_header_alone_is_refused_unless_it_is_allowed() {
    refused(&settings(), plain(0), codes::NO_ROWS);
    refused(&settings(), plain(0).trim_end(), codes::NO_ROWS);
    let read = roster(&CsvSettings { allow_empty: true, ..settings() }, plain(0));
    assert_eq!((read.facts.users, read.records.len(), read.present.len()), (0, 0, 0));
}

#[test]
fn a31_a_huge_cell_is_refused_by_the_name_of_its_limit() {
    let huge = "x".repeat(70_000);
    let multiline = CsvSettings { multiline: vec!["name".to_owned()], ..settings() };
    for cell in [huge.clone(), format!("\"{huge}\""), format!("\"a\n{huge}\"")] {
        let text = format!("id,name\nE1,{cell}\nE2,b\nE3,\"c\n");
        let finding = refused(&multiline, &text, codes::FIELD_TOO_LONG);
        assert_eq!(finding.place.line, Some(2));
        assert!(finding.message.contains("64 KiB"));
        let finding = refused(&multiline, &text, codes::OPEN_QUOTE);
        assert!(finding.place.line.unwrap() >= 4, "reading went on after it");
    }
    let whole = format!("id,name\nE1,\"{}\"\n", "x\n".repeat(32_000));
    assert_eq!(roster(&multiline, whole).records.len(), 1);
}

#[test]
fn a31_a_huge_row_is_refused_by_the_name_of_its_limit() {
    for row in [",".repeat(2 << 20), "\"a\",".repeat(300_000), ",\"a\nb\"".repeat(300_000)] {
        let finding = refused(&settings(), format!("id,name\n{row}\nE1,a\n"), codes::ROW_TOO_LONG);
        assert!(finding.message.contains("1 MiB"));
    }
}

#[test]
fn a31_an_endless_cell_is_left_at_the_limit_and_not_gathered() {
    let endless = |byte: u8| io::repeat(byte).take(24 << 20);
    for (start, byte) in [("id,name\nE1,", b'x'), ("id,name\nE1,\"", b'x'), ("", b','), ("", b'"')]
    {
        let input = Stream::of(move || Box::new(start.as_bytes().chain(endless(byte))));
        assert!(read_from(&settings(), &Demand::default(), input, &Index::default()).is_err());
    }
}

#[test]
fn a31_more_rows_than_the_limit_are_refused() {
    let few = CsvSettings { max_rows: 3, ..settings() };
    assert_eq!(roster(&few, plain(3)).facts.rows, 3);
    let finding = refused(&few, plain(9), codes::TOO_MANY_ROWS);
    assert!(finding.message.contains("max_rows"));
    assert_eq!(finding.place.line, Some(5));
}

#[test]
fn a32_other_formats_are_refused_by_their_name() {
    let cases: [(&[u8], &str); 14] = [
        (b"PK\x03\x04\x14\0\x06\0[Content_Types].xml", "Excel workbook (xlsx)"),
        (b"PK\x03\x04\x14\0\0\0\0\0roster.csv", "zip archive"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1\0\0", "old Excel workbook"),
        (b"%PDF-1.7\n", "PDF"),
        (b"\n <!DOCTYPE html><html>", "HTML page"),
        (b"\xef\xbb\xbf<HTML><body>Login", "HTML page"),
        (b"<?xml version=\"1.0\"?>", "XML"),
        (b"{\"users\": []}", "JSON"),
        (b"[{\"id\": 1}]", "JSON"),
        (b"BZh91AY", "bzip2"),
        (b"\x28\xb5\x2f\xfd\0", "zstd"),
        (b"\xfd7zXZ\0", "xz"),
        (b"-----BEGIN PGP MESSAGE-----", "PGP"),
        (b"SQLite format 3\0", "SQLite"),
    ];
    for (bytes, name) in cases {
        for bytes in [bytes.to_vec(), gzip(bytes)] {
            let finding = refused(&settings(), &bytes, codes::NOT_CSV);
            assert!(finding.message.contains(name), "{}", finding.message);
        }
    }
    refused(&settings(), gzip(&gzip(plain(3).as_bytes())), codes::NOT_CSV);
}

#[test]
fn a32_a_header_that_only_resembles_another_format_is_read() {
    let bracket = CsvSettings { key: "[id]".to_owned(), ..settings() };
    assert_eq!(roster(&bracket, "[id],name\nE1,a\n").facts.users, 1);
}

#[test]
fn a32_gzip_is_unpacked_and_every_cut_and_change_of_it_is_refused() {
    let text = plain(20);
    let packed = gzip(text.as_bytes());
    assert!(same_plan(&good(&packed), &good(&text)));
    for cut in 2..packed.len() {
        assert!(read_with(&settings(), &packed[..cut]).is_err(), "cut at {cut}");
    }
    // Bytes 4 to 9 of the header (time, level, system) mean nothing to the content.
    for at in (0..packed.len()).filter(|at| !(4..10).contains(at)) {
        let mut damaged = packed.clone();
        damaged[at] ^= 0x55;
        let read = read_with(&settings(), &damaged);
        assert!(read.is_err() || at == 3, "byte {at}");
    }
    let two_members = [gzip(text.as_bytes()), gzip(b"E9,Zed,x\n")].concat();
    assert_eq!(good(two_members).facts.users, 21);
}

#[test]
fn a32_a_gzip_bomb_is_left_early() {
    let bomb = gzip(&vec![b'\n'; 64 << 20]);
    refused(&settings(), bomb, codes::UNPACKS_TOO_LARGE);
}

#[test]
fn a33_values_come_out_as_they_stand() {
    let values = [
        "=cmd|' /C calc'!A0",
        "+1 555 0100",
        "-1",
        "@SUM(A1)",
        "  spaced  ",
        "e\u{301}",
        "a\tb",
        "007",
        "NULL",
        "1.2E+10",
    ];
    for value in values {
        assert_eq!(names(&good(format!("id,name\nE1,{value}\n"))), [value]);
        assert_eq!(names(&good(format!("id,name\nE1,\"{value}\"\n"))), [value]);
    }
    assert_eq!(names(&good("id,name\nE1,\"a \"\"b\"\"\r\n, c\"\n")), ["a \"b\"\r\n, c"]);
}

#[test]
fn a34_the_same_roster_has_the_same_digest_and_another_another() {
    let digest = |text: &str| good(text).facts.digest;
    assert_eq!(digest(&plain(5)), digest(&plain(5)));
    assert_ne!(digest(&plain(5)), digest(&plain(6)));
    assert_ne!(digest("id,name\nE1,a\n"), digest("id,name\nE1,b\n"));
    assert_ne!(digest("id,name\nE1,a\n"), digest("id,name,title\nE1,a,\n"));
    assert_ne!(digest("id,name\nE1,a\n"), digest("id,name\nE1,a\nE1,a\nE1,a\n"));
}

#[test]
fn a35_what_cannot_be_read_is_refused_with_the_path() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("roster.csv");
    let refused = |path: std::path::PathBuf| {
        let settings = CsvSettings { path: path.clone(), ..settings() };
        let refused = read_file(&settings, &Demand::default(), &Index::default()).unwrap_err();
        let finding = refused.findings[0].clone();
        assert_eq!(finding.code, codes::NOT_READABLE);
        assert_eq!(finding.place.file, Some(path.display().to_string()));
        finding.message
    };
    assert_eq!(refused(path.clone()), "does not exist");
    assert_eq!(refused(folder.path().to_owned()), "is a directory");
    assert_eq!(refused("/dev/null".into()), "is not a regular file");
    fs::write(&path, plain(3)).unwrap();
    assert_eq!(refused(path.join("below")), "cannot be opened: Not a directory (os error 20)");
    let fifo = folder.path().join("fifo");
    assert!(std::process::Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    assert_eq!(refused(fifo), "is not a regular file");
}

#[cfg(unix)]
#[test]
fn a35_a_configured_path_may_be_a_symbolic_link() {
    let folder = tempfile::tempdir().unwrap();
    let (file, link) = (folder.path().join("a.csv"), folder.path().join("b.csv"));
    fs::write(&file, plain(3)).unwrap();
    std::os::unix::fs::symlink(&file, &link).unwrap();
    let settings = CsvSettings { path: link, ..settings() };
    let index = Index::default();
    let read = read_file(&settings, &super::demand("name|title"), &index).unwrap();
    let read = super::whole(read, &index).unwrap();
    assert!(same_plan(&read, &good(plain(3))));
    assert_eq!(read.facts.completeness, Completeness::Complete);
}

#[test]
fn a26_a_file_that_changes_before_its_rows_are_read_again_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("roster.csv");
    let settings = CsvSettings { path: path.clone(), ..settings() };
    let changes: [fn(&str) -> String; 4] = [
        |text| format!("{text}E9,Zed,x\n"),
        |text| text.replace("Person 2", "Person 9"),
        |text| text[..30].to_owned(),
        |text| text.replace("E00002,", "\"E0002,"),
    ];
    for packed in [false, true] {
        let write = |text: &str| {
            fs::write(&path, if packed { gzip(text.as_bytes()) } else { text.into() }).unwrap();
        };
        for change in changes {
            write(&plain(3));
            let index = Index::default();
            let read = read_file(&settings, &super::demand("name|title"), &index).unwrap();
            write(&change(&plain(3)));
            let refused = super::whole(read, &index).unwrap_err();
            assert!(refused.findings[0].place.file.is_some());
            let told = refused.findings[0].code;
            assert!(told == codes::CHANGED_WHILE_READ || packed, "{refused}");
        }
    }
}

#[test]
fn a_failing_disk_is_refused_with_the_line() {
    struct Failing;
    impl Read for Failing {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::other("bad sector"))
        }
    }
    let input = Stream::of(|| Box::new(Cursor::new(plain(2000)).chain(Failing)));
    let refused = read_from(&settings(), &Demand::default(), input, &Index::default()).unwrap_err();
    let failed = refused.findings.iter().find(|finding| finding.code == codes::READ_FAILED);
    assert_eq!(failed.unwrap().place.line, Some(2002));
}
