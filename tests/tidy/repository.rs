//! What the repository holds, and what is written about it.

use super::{
    layers::order,
    text::{Source, root, sources, whole_words},
    words::files,
};
use std::collections::BTreeSet;

/// Everything at the top level, and nothing else.
const TOP_LEVEL: &[&str] = &[
    ".cargo",
    ".ci",
    ".gitignore",
    "ARCHITECTURE.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE-APACHE",
    "LICENSE-MIT",
    "README.md",
    "SECURITY.md",
    "benches",
    "clippy.toml",
    "config",
    "deny.toml",
    "rust-toolchain.toml",
    "rustfmt.toml",
    "src",
    "state",
    "systemd",
    "tests",
];

/// What rosterd is built on, as it was ordered.
const ORDERED: &[&str] =
    &["tokio", "reqwest", "governor", "backoff", "serde", "csv", "rusqlite", "tracing", "config"];

/// Files of `src/dialect` that are shared by dialects and are none.
const NO_DIALECT: &[&str] = &["mod", "grammar", "lists", "login", "sunset"];

const ARCHITECTURE_LINES_MAX: usize = 149;

fn text(name: &str) -> String {
    let path = root().join(name);
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// The names below `[dependencies]`.
fn dependencies(manifest: &str) -> Vec<&str> {
    let below = manifest.lines().skip_while(|line| *line != "[dependencies]").skip(1);
    let own = below.take_while(|line| !line.starts_with('['));
    own.filter_map(|line| line.split_once('='))
        .map(|(name, _)| name.trim())
        .filter(|name| !name.starts_with('#'))
        .collect()
}

/// Whether some code speaks to this library.
fn is_used(package: &str, sources: &[Source]) -> bool {
    let name = package.replace('-', "_");
    let path = format!("{name}::");
    let called = |source: &Source| {
        // `crate::config::x` and `super::config::x` are our own.
        let own = |at: usize| source.code[..at].ends_with("::");
        whole_words(&source.code, &path).any(|at| !own(at))
    };
    sources.iter().any(|source| {
        called(source)
            || source.uses().iter().any(|(_, used)| *used == name || used.starts_with(&path))
    })
}

/// Names between backquotes that look like files of this repository.
fn named_files(text: &str) -> Vec<(usize, &str)> {
    let mut named = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let quoted = line.split('`').skip(1).step_by(2);
        let is_file = |name: &&str| {
            let plain = !name.contains([' ', '*', '<', '$', ':', '{', '!']);
            let folder = name.split_once('/').is_some_and(|(top, _)| TOP_LEVEL.contains(&top));
            let ending = [".rs", ".toml", ".md", ".sql"].iter().any(|end| name.ends_with(end));
            plain && (folder || ending || TOP_LEVEL.contains(name))
        };
        named.extend(quoted.filter(is_file).map(|name| (number + 1, name)));
    }
    named
}

/// Entries of `src/dialect` without a line in its registry.
fn unregistered(registry: &Source, files: &[String]) -> Vec<String> {
    let start = registry.code.find("REGISTRY: &[Entry]").expect("the registry");
    let end = start + registry.code[start..].find(';').expect("its end");
    let lines = &registry.code[start..end];
    let missing = |name: &&String| whole_words(lines, &format!("{name}::ENTRY")).count() != 1;
    files.iter().filter(missing).cloned().collect()
}

#[test]
fn the_top_level_holds_what_is_known_and_nothing_else() {
    let tops: BTreeSet<String> =
        files().iter().filter_map(|name| name.split('/').next().map(str::to_owned)).collect();
    let strange: Vec<&String> =
        tops.iter().filter(|name| !TOP_LEVEL.contains(&name.as_str())).collect();
    assert!(
        strange.is_empty(),
        "{strange:?} at the top level: move it into a folder, or add it to TOP_LEVEL in \
         tests/tidy/repository.rs with a line in ARCHITECTURE.md"
    );
}

#[test]
fn every_dialect_has_one_line_in_the_registry() {
    let registry = Source::new("src/dialect/mod.rs", &text("src/dialect/mod.rs"));
    let entries = std::fs::read_dir(root().join("src/dialect")).unwrap();
    let names = entries.map(|entry| entry.unwrap().path().file_stem().unwrap().to_owned());
    let names = names.map(|name| name.into_string().unwrap());
    let dialects: Vec<String> = names.filter(|name| !NO_DIALECT.contains(&name.as_str())).collect();
    assert!(dialects.len() >= 5, "{dialects:?}");
    let missing = unregistered(&registry, &dialects);
    assert!(
        missing.is_empty(),
        "src/dialect/mod.rs: {missing:?} need exactly one `name::ENTRY` each in REGISTRY (or a place \
         among what dialects share: NO_DIALECT)"
    );
}

#[test]
fn rosterd_is_built_on_what_was_ordered_and_on_nothing_unused() {
    let manifest = text("Cargo.toml");
    let sources = sources("src");
    let packages = dependencies(&manifest);
    for ordered in ORDERED {
        assert!(packages.contains(ordered), "Cargo.toml: `{ordered}` must stay a dependency");
    }
    let unused: Vec<&&str> =
        packages.iter().filter(|package| !is_used(package, &sources)).collect();
    assert!(unused.is_empty(), "Cargo.toml: no code in src/ names {unused:?}: take them out");
}

#[test]
fn architecture_names_files_that_exist() {
    let text = text("ARCHITECTURE.md");
    let gone: Vec<String> = named_files(&text)
        .into_iter()
        .filter(|(_, name)| !root().join(name).exists())
        .map(|(line, name)| format!("\n  ARCHITECTURE.md:{line}: `{name}` does not exist"))
        .collect();
    assert!(gone.is_empty(), "{}\nName the file that took its place.", gone.concat());
    let lines = text.lines().count();
    assert!(
        lines <= ARCHITECTURE_LINES_MAX,
        "ARCHITECTURE.md has {lines} lines: keep to the shape"
    );
}

#[test]
fn architecture_lists_the_modules_in_their_order() {
    let root = Source::new("src/lib.rs", &text("src/lib.rs"));
    let text = text("ARCHITECTURE.md");
    let rows = text.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next());
    let order = order(&root);
    let listed: Vec<&str> = rows.filter(|name| order.iter().any(|module| module == name)).collect();
    assert_eq!(
        listed, order,
        "ARCHITECTURE.md: one row for each module, in the order of src/lib.rs"
    );
}

#[test]
fn what_is_wrong_with_the_repository_is_seen() {
    let manifest = "[dependencies]\n# a = b\nserde = { version = \"1\" }\nconfig = \"1\"\n\
                    sd-notify = \"1\"\n\n[dev-dependencies]\ntempfile = \"3\"\n";
    assert_eq!(dependencies(manifest), ["serde", "config", "sd-notify"]);

    let own = Source::new(
        "src/cycle/x.rs",
        "use crate::config::Config;\nfn f() { crate::config::a() }\n",
    );
    assert!(!is_used("config", std::slice::from_ref(&own)));
    let theirs = Source::new("src/config/x.rs", "use config::Config;\n");
    assert!(is_used("config", &[own, theirs]));
    let dashed = Source::new("src/daemon.rs", "fn f() { sd_notify::notify() }\n// serde::x\n");
    assert!(is_used("sd-notify", std::slice::from_ref(&dashed)));
    assert!(!is_used("serde", &[dashed]));

    let named =
        named_files("see `src/lib.rs` and `x y.rs`,\n`state/*.db`, `tests/`, `plan`, `a.toml`");
    assert_eq!(named, [(1, "src/lib.rs"), (2, "tests/"), (2, "a.toml")]);

    let registry = Source::new(
        "src/dialect/mod.rs",
        "pub const REGISTRY: &[Entry] = &[a::ENTRY, c::ENTRY, c::ENTRY /* b::ENTRY */];\n",
    );
    let dialects = ["a", "b", "c"].map(str::to_owned);
    assert_eq!(unregistered(&registry, &dialects), ["b", "c"]);
}
