//! What the README shows is what there is.

#![expect(clippy::unwrap_used, reason = "a test's helpers stop where its body would")]

use rosterd::{
    config::{Surroundings, load},
    dialect::REGISTRY,
};
use std::{collections::BTreeSet, process::Command};

const README: &str = include_str!("../README.md");

/// The fenced blocks of one language.
fn blocks(language: &str) -> Vec<&'static str> {
    let fence = format!("```{language}\n");
    README.split(&fence).skip(1).filter_map(|rest| rest.split("\n```").next()).collect()
}

fn help(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_rosterd")).args(arguments).output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn the_configuration_in_the_readme_loads_as_it_stands() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rosterd.toml");
    let [whole, feed] = blocks("toml")[..] else { panic!("a configuration and a feed are shown") };
    let (_, tenant) = whole.split_once("[tenants.acme]").unwrap();
    // The feed may stand in the file's place.
    for toml in [whole.to_owned(), format!("{feed}\n[tenants.acme]{tenant}")] {
        std::fs::write(&path, toml).unwrap();
        let config = load(&path, &Surroundings::default());
        let config = config.unwrap_or_else(|error| panic!("{error}"));
        assert_eq!((config.sources.len(), config.tenants.len()), (1, 1));
    }
}

#[test]
fn the_first_two_commands_are_the_demo_and_the_tests() {
    assert_eq!(blocks("console")[..2], ["cargo run --release -- demo", "cargo test"]);
}

#[test]
fn every_verb_of_the_binary_is_in_the_readme_and_the_other_way_round() {
    let commands = help(&["--help"]);
    let listed = commands.split("Commands:").nth(1).unwrap().split("\n\n").next().unwrap();
    let verb = |line: &'_ str| line.split_whitespace().next().map(str::to_owned);
    let of_binary: BTreeSet<String> =
        listed.lines().filter_map(verb).filter(|verb| verb != "help").collect();
    let table = README.split("## The verbs").nth(1).unwrap().split("\n\n").nth(1).unwrap();
    let cell = |line: &str| Some(line.strip_prefix("| `")?.split('`').next()?.to_owned());
    let of_readme: BTreeSet<String> = table.lines().filter_map(cell).collect();
    assert_eq!(of_binary, of_readme);
}

#[test]
fn every_exit_code_of_the_readme_is_in_the_help() {
    let help = help(&["--help"]);
    let table = README.split("| exit code |").nth(1).unwrap().split("\n\n").next().unwrap();
    let codes = table.lines().filter_map(|line| line.strip_prefix("| ")?.split(" |").next());
    let codes: Vec<&str> = codes.filter(|code| code.starts_with(char::is_numeric)).collect();
    assert_eq!(codes.len(), 12);
    let words: BTreeSet<&str> = help
        .split(|c: char| c.is_whitespace() || c == ',')
        .filter(|word| !word.is_empty())
        .collect();
    for code in codes.iter().flat_map(|code| code.split(", ")) {
        assert!(words.contains(code), "{code}");
    }
}

#[test]
fn every_target_api_is_in_the_readme() {
    for entry in REGISTRY {
        assert!(README.contains(&format!("| `{}` |", entry.name)), "{}", entry.name);
    }
}
