//! Words that say that something is not finished, or that belong to no product.

use super::text::{Offence, assert_none, line_of, root, sources, whole_words};
use std::{path::Path, process::Command};

/// Written in two halves, so that this file does not say them.
const UNFINISHED: &[&str] = &[
    concat!("to", "do!"),
    concat!("unimple", "mented!"),
    concat!("FIX", "ME"),
    concat!("TO", "DO"),
    concat!("XX", "X"),
    concat!("#[ign", "ore"),
];

/// Where it was made, and from what, is no part of the product.
const ELSEWHERE: &[&str] = &[
    concat!("crates", ".io"),
    concat!("static.", "crates"),
    concat!("/wo", "rk/"),
    concat!("/ho", "me/"),
    concat!("/ro", "ot/"),
    concat!("iss", "ue #"),
];

/// Written by cargo, which names the registry in them.
const LOCKS: &[&str] = &["Cargo.lock", "benches/peers/Cargo.lock"];

fn said(path: &str, text: &str, words: &[&str]) -> Vec<Offence> {
    let found = words.iter().flat_map(|word| whole_words(text, word).map(move |at| (at, word)));
    found
        .map(|(at, word)| Offence::new(path, line_of(text, at), format!("says `{word}`")))
        .collect()
}

/// The files of the repository that hold text: as git knows them, or all where there is no git.
pub(crate) fn files() -> Vec<String> {
    let listed = Command::new("git").current_dir(root()).args(["ls-files", "-z"]).output();
    let listed = listed.ok().filter(|output| output.status.success()).map(|output| output.stdout);
    let names = String::from_utf8(listed.unwrap_or_default()).unwrap();
    let mut names: Vec<String> = names
        .split_terminator('\0')
        .filter(|name| root().join(name).is_file())
        .map(str::to_owned)
        .collect();
    if names.is_empty() {
        walk(root(), &mut names);
    }
    names.sort();
    names
}

fn walk(folder: &Path, names: &mut Vec<String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.strip_prefix(root()).unwrap().to_string_lossy().into_owned();
        match path.is_dir() {
            true if [".git", "target"].contains(&name.as_str()) => {}
            true => walk(&path, names),
            false => names.push(name),
        }
    }
}

#[test]
fn nothing_is_left_unfinished() {
    let folders = ["src", "tests", "benches/tool"].into_iter().flat_map(sources);
    let offences: Vec<Offence> =
        folders.flat_map(|source| said(&source.path, &source.whole, UNFINISHED)).collect();
    assert_none(&offences, "Finish it, or take it out; a test that cannot pass is no test.");
}

#[test]
fn no_file_tells_where_it_was_made() {
    let mut offences = Vec::new();
    for name in files() {
        if LOCKS.contains(&name.as_str()) {
            continue;
        }
        // What is no text is generated, and .ci/run looks for that.
        let Ok(text) = std::fs::read_to_string(root().join(&name)) else { continue };
        offences.extend(said(&name, &text, ELSEWHERE));
    }
    assert_none(&offences, "Say it without the name of a place, a machine or a list of tasks.");
}

#[test]
fn each_of_the_words_is_seen() {
    for word in UNFINISHED.iter().chain(ELSEWHERE) {
        let found = said("src/x.rs", &format!("one\n// {word} two\n"), &[word]);
        assert_eq!(found.len(), 1, "{word}");
        assert_eq!(found[0].to_string(), format!("src/x.rs:2: says `{word}`"));
    }
    assert!(said("src/x.rs", "a mastodon of a tissue #1", UNFINISHED).is_empty());
}
