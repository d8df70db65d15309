//! The command line: every flag can also be given by an environment variable.

use assert_cmd::Command;
use std::collections::BTreeMap;

/// Flags that every program has, and that no variable should switch on.
const WITHOUT: &[&str] = &["--help", "--version"];

fn help(arguments: &[&str]) -> String {
    let mut rosterd = Command::new(env!("CARGO_BIN_EXE_rosterd"));
    // Nothing of this environment, which could hide a value or colour a line.
    let output = rosterd.env_clear().args(arguments).output().unwrap();
    assert!(output.status.success(), "rosterd {arguments:?} has no help");
    String::from_utf8(output.stdout).unwrap()
}

/// The first word of each line below `Commands:`.
fn verbs(help: &str) -> Vec<&str> {
    let below = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    let lines = below.take_while(|line| line.starts_with("  "));
    lines
        .filter(|line| !line.starts_with("   "))
        .filter_map(|line| line.split_whitespace().next())
        .collect()
}

/// Each flag and positional argument with all that is said about it, in one line.
fn arguments(help: &str) -> BTreeMap<String, String> {
    let mut found: BTreeMap<String, String> = BTreeMap::new();
    let mut current: Option<String> = None;
    for line in help.lines() {
        if !line.is_empty() && !line.starts_with(' ') {
            current = None;
        }
        current = name(line).or(current);
        if let Some(name) = &current {
            let said = found.entry(name.clone()).or_default();
            said.push(' ');
            said.push_str(line.trim());
        }
    }
    found
}

/// The argument that a line begins to tell of: `  -c, --config <FILE>  where` → `--config`. What is
/// set further to the right goes on about the one before.
fn name(line: &str) -> Option<String> {
    let text = line.trim_start();
    let indent = line.len() - text.len();
    let flag = text.starts_with('-') && (2..=6).contains(&indent);
    let positional = text.starts_with(['[', '<']) && indent == 2;
    let mut words = text.split_whitespace().map(|word| word.trim_end_matches(',')).peekable();
    let first = words.peek().copied()?;
    let long = words.take_while(|word| word.starts_with('-')).find(|word| word.starts_with("--"));
    (flag || positional).then(|| long.unwrap_or(first).to_owned())
}

/// Flags without a variable of their own.
fn without_variable(help: &str) -> Vec<String> {
    let found = arguments(help).into_iter();
    let named = |said: &str| said.contains("[env: ROSTERD_");
    found
        .filter(|(flag, said)| !WITHOUT.contains(&flag.as_str()) && !named(said))
        .map(|(flag, _)| flag)
        .collect()
}

#[test]
fn every_flag_of_every_verb_has_an_environment_variable() {
    let top = help(&["--help"]);
    let verbs = verbs(&top);
    assert!(verbs.contains(&"plan") && verbs.contains(&"daemon"), "verbs not found in:\n{top}");
    let mut missing = without_variable(&top);
    for verb in verbs.into_iter().filter(|verb| *verb != "help") {
        let said = help(&[verb, "--help"]);
        assert!(arguments(&said).contains_key("--help"), "flags not found in:\n{said}");
        missing.extend(without_variable(&said).into_iter().map(|flag| format!("{verb} {flag}")));
    }
    assert!(
        missing.is_empty(),
        "src/cli/arguments.rs: give each of these an `env = \"ROSTERD_…\"`: {missing:?}"
    );
}

#[test]
fn a_flag_without_a_variable_is_seen() {
    let said = "Usage: x\n\nArguments:\n  [FILE]  a file [env: ROSTERD_FILE=]\n\nOptions:\n  \
                -c, --config <FILE>  where [env: ROSTERD_CONFIG=] [default: /etc]\n      \
                --bare <N>\n          of -l and --long flags\n          [default: 1]\n      \
                --last           the last [env:\n                       ROSTERD_LAST=]\n  \
                -h, --help       Print help\n";
    assert_eq!(without_variable(said), ["--bare"]);
    let positional = "Arguments:\n  [FILE]  a file\n";
    assert_eq!(without_variable(positional), ["[FILE]"]);
    assert_eq!(
        verbs("Commands:\n  plan   a\n         b\n  help   c\n\nOptions:\n  -h"),
        ["plan", "help"]
    );
}
