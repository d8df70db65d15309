//! The key of a row: its normal form, and what shows that a cell is no longer the key it was.

use icu_normalizer::ComposingNormalizerBorrowed;
use std::borrow::Cow;

use super::CsvSettings;
use crate::model::{Fingerprint, UserKey};

/// Why a cell is no key. Names the character, never the cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum KeyProblem {
    Empty,
    TooLong,
    Control(char),
    Quote,
    /// It looks like a blank or like nothing, so nobody would see it in a report.
    Invisible(char),
}

/// A key that a person has typed, as this source reads its own. `None`: no row can have it.
#[must_use]
pub fn typed_key(text: &str, settings: &CsvSettings) -> Option<UserKey> {
    UserKey::parse(&read(text, settings.fold_key_case).ok()?).ok()
}

/// The fingerprint by which a user is found in [`Roster::has_key`](super::Roster::has_key).
#[must_use]
pub fn key_fingerprint(key: &UserKey) -> Fingerprint {
    key.fingerprint()
}

pub(super) fn fingerprint_of(key: &str) -> Fingerprint {
    Fingerprint::of([Some(key)])
}

/// Trims ASCII blanks, folds where wished, and brings to NFC. Borrowed where nothing changes.
pub(super) fn read(cell: &str, fold_case: bool) -> Result<Cow<'_, str>, KeyProblem> {
    let key = cell.trim_matches([' ', '\t']);
    if key.is_empty() {
        return Err(KeyProblem::Empty);
    }
    if key.contains('"') {
        return Err(KeyProblem::Quote);
    }
    if key.is_ascii() {
        if let Some(byte) = key.bytes().find(u8::is_ascii_control) {
            return Err(KeyProblem::Control(char::from(byte)));
        }
        let lower = fold_case && key.bytes().any(|byte| byte.is_ascii_uppercase());
        let key = if lower { key.to_ascii_lowercase().into() } else { Cow::Borrowed(key) };
        return short_enough(key);
    }
    if let Some(c) = key.chars().find(|c| c.is_control()) {
        return Err(KeyProblem::Control(c));
    }
    if let Some(c) = key.chars().find(|c| is_invisible(*c)) {
        return Err(KeyProblem::Invisible(c));
    }
    let key = nfc(key);
    short_enough(if fold_case { nfc(&key.to_lowercase()).into_owned().into() } else { key })
}

fn short_enough(key: Cow<'_, str>) -> Result<Cow<'_, str>, KeyProblem> {
    if key.len() > UserKey::MAX_BYTES { Err(KeyProblem::TooLong) } else { Ok(key) }
}

pub(super) fn nfc(text: &str) -> Cow<'_, str> {
    ComposingNormalizerBorrowed::new_nfc().normalize(text)
}

/// Blanks other than the ASCII one, characters without width, direction marks, and the mark that a
/// lossy decoder leaves.
fn is_invisible(c: char) -> bool {
    matches!(
        c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}'
            | '\u{fff0}'..='\u{fffd}' | '\u{e0000}'..='\u{e0fff}'
    ) || (c != ' ' && c.is_whitespace())
}

/// What a spreadsheet makes of an id: `1.2E+10`, `1,2E+10`, `#REF!`.
pub(super) fn is_spreadsheet_damage(key: &str) -> bool {
    if matches!(key, "#N/A" | "#REF!" | "#NAME?" | "#VALUE!" | "#NULL!" | "#NUM!" | "#DIV/0!") {
        return true;
    }
    let Some((mantissa, exponent)) = key.split_once(['E', 'e']) else { return false };
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let (whole, fraction) = mantissa.split_once(['.', ',']).unwrap_or((mantissa, "0"));
    digits(whole) && digits(fraction) && exponent.strip_prefix('+').is_some_and(digits)
}

/// Letters of more than one of the scripts that look alike.
pub(super) fn is_mixed_script(key: &str) -> bool {
    if key.is_ascii() {
        return false;
    }
    let mut scripts = key.chars().filter_map(lookalike_script);
    scripts.next().is_some_and(|first| scripts.any(|script| script != first))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Script {
    Latin,
    Greek,
    Cyrillic,
    Armenian,
    Cherokee,
    FullWidth,
}

fn lookalike_script(c: char) -> Option<Script> {
    match c {
        'a'..='z' | 'A'..='Z' | '\u{c0}'..='\u{24f}' | '\u{1e00}'..='\u{1eff}' => {
            Some(Script::Latin)
        }
        '\u{370}'..='\u{3ff}' | '\u{1f00}'..='\u{1fff}' => Some(Script::Greek),
        '\u{400}'..='\u{52f}' => Some(Script::Cyrillic),
        '\u{531}'..='\u{58a}' => Some(Script::Armenian),
        '\u{13a0}'..='\u{13ff}' => Some(Script::Cherokee),
        '\u{ff21}'..='\u{ff5a}' => Some(Script::FullWidth),
        _ => None,
    }
}

/// UTF-8 that was taken for Windows-1252 and encoded again: `Ã¼`, `Â°`, `â€™`.
pub(super) fn is_double_encoded(bytes: &[u8]) -> bool {
    memchr::memchr_iter(0xc3, bytes).any(|at| {
        matches!(
            bytes[at + 1..],
            [0x82 | 0x83, 0xc2, 0x80..=0xbf, ..] | [0xa2, 0xe2, 0x82, 0xac, ..]
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_a_spreadsheet_writes_is_its_damage() {
        for damaged in ["1.2E+10", "1,2E+10", "7E+05", "#N/A"] {
            assert!(is_spreadsheet_damage(damaged), "{damaged}");
        }
        for sound in ["12E45", "E00017", "1.2", "E+10", "1.E+3", "A#REF!", ""] {
            assert!(!is_spreadsheet_damage(sound), "{sound}");
        }
    }

    #[test]
    fn double_encoding_is_told_from_honest_letters() {
        for twice in ["MÃ¼ller", "Oâ€™Brien", "20 Â°C"] {
            assert!(is_double_encoded(twice.as_bytes()), "{twice}");
        }
        for once in ["Müller", "Ã", "São", "ÂME", "plain"] {
            assert!(!is_double_encoded(once.as_bytes()), "{once}");
        }
    }

    #[test]
    fn a_typed_key_is_the_key_of_the_row() {
        let settings = CsvSettings { fold_key_case: true, ..CsvSettings::default() };
        let typed = |text| typed_key(text, &settings).map(|key| key.as_str().to_owned());
        assert_eq!(typed(" E1\t"), Some("e1".to_owned()));
        assert_eq!(typed("Zoe\u{308}"), Some("zo\u{eb}".to_owned()));
        assert_eq!((typed("  "), typed("E\u{200b}1")), (None, None));
    }

    #[test]
    fn a_key_is_read_the_same_twice() {
        for cell in [" E1 ", "Zoe\u{308}", "ÄB", "İ"] {
            let key = read(cell, true).unwrap().into_owned();
            assert!(read(&key, true).unwrap() == key);
        }
    }
}
