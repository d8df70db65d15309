//! How long a file and a function may be.

use super::text::{Offence, Source, assert_none, sources};
use std::ops::Range;

/// Lines of a file, tests left out.
const FILE_MAX: usize = 400;
/// Lines of a function, from `fn` to its last brace.
const FUNCTION_MAX: usize = 60;

/// Files that may be longer, up to which length, and why. A file that has become short enough must
/// leave the list.
const LONGER: &[(&str, usize, &str)] = &[];

fn too_long(source: &Source, longer: &[(&str, usize, &str)]) -> Vec<Offence> {
    let excepted = longer.iter().find(|(path, ..)| *path == source.path);
    let max = excepted.map_or(FILE_MAX, |(_, max, _)| *max);
    let lines = source.lines();
    let mut offences = Vec::new();
    if lines > max {
        let what = format!("the file has {lines} lines without its tests, of {max} at most");
        offences.push(source.offence(0, what));
    }
    if excepted.is_some() && lines <= FILE_MAX {
        offences.push(source.offence(0, "needs no exception any more: take it off the list"));
    }
    for (name, range) in functions(&source.code) {
        let lines = source.line(range.end) - source.line(range.start) + 1;
        if lines > FUNCTION_MAX {
            let what = format!("`{name}` has {lines} lines, of {FUNCTION_MAX} at most");
            offences.push(source.offence(range.start, what));
        }
    }
    offences
}

/// Every function with a body: its name, and from `fn` to its last brace.
fn functions(code: &str) -> Vec<(&str, Range<usize>)> {
    let mut found = Vec::new();
    for start in super::text::whole_words(code, "fn") {
        let rest = code[start + 2..].trim_start();
        let name_end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
        // A type such as `fn(u8) -> u8` has no name.
        if name_end > 0
            && let Some(end) = body_end(code, start)
        {
            found.push((&rest[..name_end], start..end));
        }
    }
    found
}

/// Where the body ends; `None` for a signature without one.
fn body_end(code: &str, start: usize) -> Option<usize> {
    let (mut braces, mut others) = (0_u32, 0_u32);
    for (at, byte) in code.bytes().enumerate().skip(start) {
        match byte {
            b'(' | b'[' => others += 1,
            b')' | b']' => others = others.saturating_sub(1),
            b'{' => braces += 1,
            b'}' if braces == 1 => return Some(at),
            b'}' => braces = braces.checked_sub(1)?,
            b';' if braces == 0 && others == 0 => return None,
            _ => {}
        }
    }
    None
}

#[test]
fn files_and_functions_are_short() {
    let sources = sources("src");
    for (path, _, why) in LONGER {
        assert!(sources.iter().any(|source| source.path == *path), "{path} is gone");
        assert!(!why.is_empty(), "{path}: say why it may be longer");
    }
    let offences: Vec<Offence> =
        sources.iter().flat_map(|source| too_long(source, LONGER)).collect();
    assert_none(&offences, "Split it by idea: one noun a file, one step a function.");
}

#[test]
fn what_is_too_long_is_seen() {
    let file = |lines: usize| Source::new("src/model/x.rs", &"use a;\n".repeat(lines));
    assert!(too_long(&file(FILE_MAX), &[]).is_empty());
    assert_eq!(too_long(&file(FILE_MAX + 1), &[]).len(), 1);
    let excepted = [("src/model/x.rs", FILE_MAX + 1, "a reason")];
    assert!(too_long(&file(FILE_MAX + 1), &excepted).is_empty());
    assert_eq!(too_long(&file(FILE_MAX + 2), &excepted).len(), 1);
    assert_eq!(too_long(&file(FILE_MAX), &excepted).len(), 1);

    let tests = format!("#[cfg(test)]\nmod tests {{\n{}}}\n", "use a;\n".repeat(FILE_MAX));
    assert!(too_long(&Source::new("src/model/x.rs", &tests), &[]).is_empty());

    let function = |lines: usize| {
        let body = "    let a = [0; 2];\n".repeat(lines - 2);
        Source::new("src/model/x.rs", &format!("fn f(g: fn(u8) -> u8) {{\n{body}}}\n"))
    };
    assert!(too_long(&function(FUNCTION_MAX), &[]).is_empty());
    let told = too_long(&function(FUNCTION_MAX + 1), &[]);
    assert_eq!(told.len(), 1);
    assert!(told[0].to_string().starts_with("src/model/x.rs:1: `f` has 61 lines"), "{}", told[0]);
}
