//! What a file is, by its first bytes: names the formats that are often sent by mistake.

pub(super) fn is_gzip(head: &[u8]) -> bool {
    head.starts_with(b"\x1f\x8b")
}

/// The name of the format, with an article, when the file is certainly no CSV.
pub(super) fn foreign_format(head: &[u8]) -> Option<&'static str> {
    let magic = MAGIC.iter().find(|(magic, _)| head.starts_with(magic)).map(|(_, name)| *name);
    match magic {
        Some("a zip archive") if is_workbook(head) => Some("an Excel workbook (xlsx)"),
        Some(name) => Some(name),
        None => markup(head),
    }
}

const MAGIC: &[(&[u8], &str)] = &[
    (b"PK\x03\x04", "a zip archive"),
    (b"PK\x05\x06", "an empty zip archive"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an old Excel workbook (xls)"),
    (b"%PDF-", "a PDF document"),
    (b"\x1f\x8b", "a gzip file within a gzip file"),
    (b"BZh", "a bzip2 file"),
    (b"\xfd7zXZ\0", "an xz file"),
    (b"\x28\xb5\x2f\xfd", "a zstd file"),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive"),
    (b"Rar!\x1a\x07", "a RAR archive"),
    (b"SQLite format 3\0", "an SQLite database"),
    (b"PAR1", "a Parquet file"),
    (b"-----BEGIN PGP MESSAGE", "a PGP-encrypted file"),
    (b"{\\rtf", "an RTF document"),
];

/// The first entries of an xlsx are always these parts of the Open Packaging Conventions.
fn is_workbook(head: &[u8]) -> bool {
    [&b"[Content_Types].xml"[..], b"xl/", b"_rels/", b"docProps/"]
        .iter()
        .any(|part| head.windows(part.len()).any(|window| window == *part))
}

fn markup(head: &[u8]) -> Option<&'static str> {
    let head = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head).trim_ascii_start();
    let starts = |text: &str| {
        head.get(..text.len()).is_some_and(|start| start.eq_ignore_ascii_case(text.as_bytes()))
    };
    let next = head.get(1..).unwrap_or_default().trim_ascii_start().first().copied();
    match head.first()? {
        b'<' if starts("<!doctype html") || starts("<html") || starts("<head") => {
            Some("an HTML page")
        }
        b'<' if starts("<?xml") => Some("an XML document"),
        b'{' if matches!(next, Some(b'"' | b'}')) => Some("a JSON document"),
        b'[' if matches!(next, Some(b'{' | b'[' | b'"' | b']')) => Some("a JSON document"),
        _ => None,
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Utf16 {
    LittleEndian,
    BigEndian,
}

/// UTF-16 by its byte order mark or, without one, by the zero bytes that every second byte of a
/// Latin text has.
pub(super) fn utf16(head: &[u8]) -> Option<Utf16> {
    match head {
        [0xff, 0xfe, ..] => return Some(Utf16::LittleEndian),
        [0xfe, 0xff, ..] => return Some(Utf16::BigEndian),
        _ => {}
    }
    let pairs = head.len() / 2;
    let zeros = |offset: usize| head.iter().skip(offset).step_by(2).filter(|b| **b == 0).count();
    let (even, odd) = (zeros(0), zeros(1));
    // One NUL in a text is a damaged cell (A05); nulls in every second place are an encoding.
    let mostly = |these: usize, those: usize| these * 10 >= pairs * 4 && those * 10 < pairs;
    match pairs {
        0 | 1 => None,
        _ if mostly(odd, even) => Some(Utf16::LittleEndian),
        _ if mostly(even, odd) => Some(Utf16::BigEndian),
        _ => None,
    }
}
