//! One-way order of the modules, and what the pure ones may not name.

use super::text::{Offence, Source, assert_none, sources};

/// What a pure module does without: a clock, a disk, the network, the environment, a runtime, and
/// whatever is only needed by those who share something between threads.
const IMPURE: &[&str] = &[
    "std::fs",
    "std::net",
    "std::env",
    "std::io",
    "std::process",
    "std::thread",
    "SystemTime::now",
    "Instant::now",
    "Timestamp::now",
    "Zoned::now",
    "now_v7",
    "tokio",
    "async",
    "await",
    "Arc",
    "Mutex",
    "RwLock",
    "reqwest",
    "rusqlite",
    "governor",
];

/// What a module that reads files, but has no clock and no runtime, does without.
const UNTIMED: &[&str] = &[
    "std::net",
    "SystemTime::now",
    "Instant::now",
    "Timestamp::now",
    "Zoned::now",
    "tokio",
    "async",
    "await",
    "reqwest",
    "governor",
];

struct Purity {
    module: &'static str,
    without: &'static [&'static str],
    /// Files with a word that the rest of the module does without, and why.
    except: &'static [(&'static str, &'static [&'static str])],
}

const PURE: &[Purity] = &[
    Purity {
        module: "model",
        without: IMPURE,
        // The names of the columns: one immutable list for all records of a read.
        // Network addresses are values there, which nobody connects to.
        except: &[("src/model/record.rs", &["Arc"]), ("src/model/reach.rs", &["std::net"])],
    },
    Purity { module: "engine", without: IMPURE, except: &[] },
    Purity { module: "dialect", without: IMPURE, except: &[] },
    Purity { module: "source", without: UNTIMED, except: &[] },
    Purity {
        module: "config",
        without: IMPURE,
        except: &[
            // Reads the one file and the environment; its tenants are handed to tasks side by side.
            ("src/config/mod.rs", &["std::fs", "std::env", "Arc"]),
            ("src/config/document.rs", &["Arc"]),
            ("src/config/tenant.rs", &["Arc"]),
            // Reads a secret when it is needed, and who else may.
            ("src/config/secret.rs", &["std::fs", "std::io"]),
            // Reads a tenant's own authorities, and asks who else may write them.
            ("src/config/authority.rs", &["std::fs", "std::io"]),
        ],
    },
    Purity {
        module: "store",
        without: UNTIMED,
        // How long a commit takes, and so how long outcomes wait for company, nobody else knows.
        except: &[("src/store/writer.rs", &["Instant::now"])],
    },
];

/// Modules in the order of `src/lib.rs`.
pub(crate) fn order(root: &Source) -> Vec<String> {
    let name =
        |line: &str| line.trim().strip_prefix("pub mod ")?.strip_suffix(';').map(str::to_owned);
    root.code.lines().filter_map(name).collect()
}

/// Every path from the crate's root that leads to a later module, or to none.
fn against_the_order(order: &[String], source: &Source) -> Vec<Offence> {
    let rank = |name: &str| order.iter().position(|module| module == name);
    let Some(own) = rank(source.module()) else { return Vec::new() };
    let judge = |(at, name): (usize, String)| match rank(&name) {
        Some(other) if other <= own => None,
        Some(_) => {
            Some(source.offence(at, format!("`{}` uses the later `{name}`", source.module())))
        }
        None => Some(source.offence(at, format!("`crate::{name}` is none of the modules"))),
    };
    let mut named = named_from_root(source);
    named.sort();
    named.dedup();
    named.into_iter().filter_map(judge).collect()
}

/// The modules that a file names from the crate's root: `crate::x`, or by climbing to it.
fn named_from_root(source: &Source) -> Vec<(usize, String)> {
    let mut named: Vec<(usize, String)> = source
        .uses()
        .into_iter()
        .filter_map(|(at, path)| Some((at, first_from_root(&path, source.depth())?)))
        .collect();
    for root in ["crate", "super"] {
        for at in source.find(root).filter(|at| !source.code[..*at].ends_with("::")) {
            let rest = &source.code[at..];
            let is_path = |c: char| c.is_alphanumeric() || c == '_' || c == ':';
            let path = &rest[..rest.find(|c| !is_path(c)).unwrap_or(rest.len())];
            named.extend(first_from_root(path, source.depth()).map(|name| (at, name)));
        }
    }
    named
}

fn first_from_root(path: &str, depth: usize) -> Option<String> {
    let mut names = path.split("::").map(str::trim);
    let climbed = path.split("::").take_while(|name| name.trim() == "super").count();
    let name = if climbed > 0 && climbed >= depth {
        names.nth(climbed)?
    } else {
        names.next().filter(|name| *name == "crate")?;
        names.next()?
    };
    (!name.is_empty()).then(|| name.to_owned())
}

/// Every word of the list that a file names, in its code or by `use`.
pub(crate) fn named(source: &Source, words: &[&str]) -> Vec<Offence> {
    let mut found: Vec<(usize, &str)> = Vec::new();
    let uses = source.uses();
    for word in words {
        found.extend(source.find(word).map(|at| (source.line(at), *word)));
        let path = format!("{word}::");
        let brought = uses.iter().filter(|(_, used)| used == word || used.starts_with(&path));
        found.extend(brought.map(|(at, _)| (source.line(*at), *word)));
    }
    found.sort_unstable();
    found.dedup();
    let tell = |(line, word)| Offence::new(&source.path, line, format!("names `{word}`"));
    found.into_iter().map(tell).collect()
}

fn impure(purity: &Purity, source: &Source) -> Vec<Offence> {
    let excepted = purity.except.iter().find(|(path, _)| *path == source.path);
    let excepted = excepted.map_or(&[][..], |(_, words)| words);
    let words: Vec<&str> =
        purity.without.iter().copied().filter(|word| !excepted.contains(word)).collect();
    named(source, &words)
}

#[test]
fn a_module_uses_only_those_before_it() {
    let sources = sources("src");
    let root = sources.iter().find(|source| source.path == "src/lib.rs").unwrap();
    let order = order(root);
    assert!(order.len() > 5, "src/lib.rs names its modules as `pub mod x;`, one a line");
    let strays = sources.iter().filter(|source| {
        !["lib", "main"].contains(&source.module())
            && !order.iter().any(|module| module == source.module())
    });
    let mut offences: Vec<Offence> =
        strays.map(|source| source.offence(0, "belongs to no module of src/lib.rs")).collect();
    offences.extend(sources.iter().flat_map(|source| against_the_order(&order, source)));
    assert_none(
        &offences,
        "A module may use only those above it in src/lib.rs: move what is shared up, or hand it \
         down as an argument.",
    );
}

#[test]
fn pure_modules_name_no_clock_disk_network_or_runtime() {
    let sources = sources("src");
    let offences: Vec<Offence> = PURE
        .iter()
        .flat_map(|purity| {
            let own = sources.iter().filter(|source| source.module() == purity.module);
            own.flat_map(|source| impure(purity, source)).collect::<Vec<_>>()
        })
        .collect();
    assert_none(
        &offences,
        "Take what is needed as an argument (`now`, a text, a reader) and let a later module fetch \
         it; see the table of modules in ARCHITECTURE.md.",
    );
}

#[test]
fn every_exception_from_purity_is_still_needed() {
    let sources = sources("src");
    for (path, words) in PURE.iter().flat_map(|purity| purity.except) {
        let source = sources.iter().find(|source| source.path == *path);
        let source = source.unwrap_or_else(|| panic!("{path} is gone: take it off the list"));
        for word in *words {
            let found = named(source, &[word]);
            assert!(!found.is_empty(), "{path} no longer names `{word}`: take it off the list");
        }
    }
}

#[test]
fn the_order_is_seen_to_be_broken_in_every_way_of_writing_it() {
    let order: Vec<String> = ["model", "engine", "cycle"].map(str::to_owned).into();
    let cases = [
        ("src/model/x.rs", "use crate::engine::Plan;\n", 1),
        ("src/engine/x.rs", "use crate::{\n    model,\n    cycle::{a, b},\n};\n", 3),
        ("src/engine/x.rs", "fn f() { crate::cycle::run() }\n", 1),
        ("src/engine/mod.rs", "use super::cycle;\n", 1),
        ("src/engine/plan/x.rs", "\nuse super::super::super::cycle::run;\n", 2),
        ("src/engine.rs", "fn f() { super::cycle::run() }\n", 1),
        ("src/engine/x.rs", "use crate::nowhere;\n", 1),
    ];
    for (path, text, line) in cases {
        let found = against_the_order(&order, &Source::new(path, text));
        let place = format!("{path}:{line}: ");
        assert!(found.iter().any(|offence| offence.to_string().starts_with(&place)), "{text}");
    }
    let fine = "use super::model::a;\nuse crate::{engine::b, model::{self, c}};\n\
                #[cfg(test)]\nmod tests { use crate::cycle; }\n// crate::cycle\n";
    assert!(against_the_order(&order, &Source::new("src/engine/mod.rs", fine)).is_empty());
    let deeper = "use super::super::plan::c;\n";
    assert!(against_the_order(&order, &Source::new("src/engine/a/b.rs", deeper)).is_empty());
}

#[test]
fn every_impure_word_is_seen_however_it_is_written() {
    for word in IMPURE {
        let found =
            named(&Source::new("src/model/x.rs", &format!("fn f() {{ {word}(); }}\n")), &[word]);
        assert_eq!(found.len(), 1, "{word}");
    }
    let grouped =
        Source::new("src/model/x.rs", "use std::{\n    fmt,\n    fs::{self, File},\n};\n");
    let told: Vec<String> = named(&grouped, IMPURE).iter().map(ToString::to_string).collect();
    assert_eq!(told, ["src/model/x.rs:3: names `std::fs`"]);
    let allowed =
        Purity { module: "model", without: IMPURE, except: &[("src/model/x.rs", &["Arc"])] };
    let two = Source::new("src/model/x.rs", "fn f(a: Arc<str>, b: Mutex<u8>) {}\n");
    let told: Vec<String> = impure(&allowed, &two).iter().map(ToString::to_string).collect();
    assert_eq!(told, ["src/model/x.rs:1: names `Mutex`"]);
}
