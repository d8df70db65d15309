//! What has one place: SQL, the HTTP library, the rate limiter, the retry schedule.

use super::{
    layers::named,
    text::{Offence, Source, Text, assert_none, root, sources, whole_words},
};

/// A word and the only place that may say it: a folder that ends with `/`, or a file.
const HOMES: &[(&str, &str)] = &[
    ("rusqlite", "src/store/"),
    ("reqwest", "src/sender/"),
    ("governor", "src/sender/"),
    ("backoff", "src/engine/retry.rs"),
];

/// What lets a client take a certificate that it should not.
const LAX_TLS: &[&str] =
    &[concat!("danger_", "accept"), concat!("accept_", "invalid"), concat!("dangerous_", "config")];

/// How a statement begins.
const STATEMENTS: &[&str] = &[
    "SELECT ",
    "INSERT INTO ",
    "INSERT OR ",
    "UPDATE ",
    "DELETE FROM ",
    "REPLACE INTO ",
    "CREATE TABLE ",
    "CREATE INDEX ",
    "ALTER TABLE ",
    "DROP TABLE ",
    "PRAGMA ",
    "VACUUM",
    "ATTACH ",
];

/// Macros and methods that make a text out of parts.
const JOINERS: &[&str] = &["format!", "format_args!", "write!", "writeln!", "concat!", "push_str"];

fn away_from_home(source: &Source) -> Vec<Offence> {
    let strange = HOMES.iter().filter(|(_, home)| !source.path.starts_with(home));
    strange.flat_map(|(word, _)| named(source, &[word])).collect()
}

fn lax_tls(source: &Source) -> Vec<Offence> {
    let found = LAX_TLS.iter().flat_map(|word| source.code.match_indices(word));
    found.map(|(at, word)| source.offence(at, format!("calls `{word}…`"))).collect()
}

fn is_sql(text: &Text) -> bool {
    let content = text.content.trim_start();
    STATEMENTS.iter().any(|start| content.starts_with(start))
}

fn sql_outside_the_store(source: &Source) -> Vec<Offence> {
    let outside = !source.path.starts_with("src/store/");
    let texts = source.texts.iter().filter(|text| outside && is_sql(text));
    texts.map(|text| source.offence(text.start, "a text with SQL")).collect()
}

/// A statement, or part of one, that is put together from pieces.
fn sql_from_parts(source: &Source) -> Vec<Offence> {
    let mut offences = Vec::new();
    for joiner in JOINERS {
        for at in source.find(joiner) {
            let end = closing(&source.code, at);
            let within = source.texts.iter().filter(|text| (at..end).contains(&text.start));
            let sql = within.filter(|text| is_sql(text) || has_clause(&text.content));
            offences.extend(sql.map(|_| source.offence(at, format!("`{joiner}` builds SQL"))));
        }
    }
    offences
}

fn has_clause(text: &str) -> bool {
    let clauses = ["SELECT", "INSERT", "UPDATE", "DELETE", "WHERE", "VALUES", "ORDER BY"];
    clauses.iter().any(|clause| whole_words(text, clause).next().is_some())
}

/// Where the parenthesis closes that opens first after `start`.
fn closing(code: &str, start: usize) -> usize {
    let mut depth = 0_u32;
    for (at, byte) in code.bytes().enumerate().skip(start) {
        match byte {
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' if depth <= 1 => return at,
            b')' | b']' | b'}' => depth -= 1,
            _ => {}
        }
    }
    code.len()
}

#[test]
fn each_library_is_named_in_its_one_place() {
    let offences: Vec<Offence> = sources("src").iter().flat_map(away_from_home).collect();
    assert_none(
        &offences,
        "rusqlite belongs to src/store, reqwest and governor to src/sender, backoff to \
         src/engine/retry.rs; everybody else speaks in the types of src/model.",
    );
}

#[test]
fn s10_nothing_switches_the_check_of_certificates_off() {
    let mut sources = sources("src");
    sources.extend(super::text::sources("tests"));
    let offences: Vec<Offence> = sources.iter().flat_map(lax_tls).collect();
    assert_none(&offences, "Give the machine the right certificate authority instead.");
}

#[test]
fn sql_stands_only_in_the_store_and_in_the_schema() {
    let offences: Vec<Offence> = sources("src").iter().flat_map(sql_outside_the_store).collect();
    assert_none(&offences, "Add a method to src/store and call it.");
    for entry in std::fs::read_dir(root().join("state")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        // The rest is the state of a checkout that was run from.
        let known = [".sql", ".db", ".db-wal", ".db-shm", ".lock", ".bak"];
        assert!(
            known.iter().any(|ending| name.ends_with(ending)),
            "state/{name}: only numbered .sql steps belong here"
        );
    }
}

#[test]
fn g18_s25_no_statement_is_put_together_from_parts() {
    let offences: Vec<Offence> = sources("src").iter().flat_map(sql_from_parts).collect();
    assert_none(&offences, "Write the statement out and bind its values as parameters.");
}

#[test]
fn what_is_in_the_wrong_place_is_seen() {
    let places = [
        ("src/cycle/x.rs", "use rusqlite::Connection;\n"),
        ("src/dialect/x.rs", "fn f(c: reqwest::Client) {}\n"),
        ("src/store/x.rs", "use governor::Quota;\n"),
        ("src/sender/x.rs", "use backoff::ExponentialBackoff;\n"),
        ("src/engine/retry_two.rs", "use backoff::ExponentialBackoff;\n"),
    ];
    for (path, text) in places {
        assert_eq!(away_from_home(&Source::new(path, text)).len(), 1, "{text}");
    }
    let lax = format!("fn f() {{ builder.{}_certs(true) }}\n", LAX_TLS[0]);
    assert_eq!(lax_tls(&Source::new("src/sender/x.rs", &lax)).len(), 1);
}

#[test]
fn sql_is_seen_where_it_should_not_be() {
    let strays = ["SELECT 1", "\\n  INSERT INTO a VALUES (1)", "PRAGMA user_version"];
    for text in strays {
        let code = format!("const A: &str = \"{}\";\n", text.replace("\\n", "\n"));
        assert_eq!(sql_outside_the_store(&Source::new("src/cycle/x.rs", &code)).len(), 1, "{text}");
        assert!(sql_outside_the_store(&Source::new("src/store/x.rs", &code)).is_empty());
    }
    let parts = [
        "fn f() { format!(\"DELETE FROM {table}\") }\n",
        "fn f() { db.execute(&format!(\n    \"a {} WHERE id = {id}\", 1)) }\n",
        "fn f() { sql.push_str(\" ORDER BY key\") }\n",
    ];
    for code in parts {
        assert_eq!(sql_from_parts(&Source::new("src/store/x.rs", code)).len(), 1, "{code}");
    }
    let fine = "fn f() { db.execute(\"SELECT 1\", []); format!(\"no {x}\"); }\n";
    assert!(sql_from_parts(&Source::new("src/store/x.rs", fine)).is_empty());
}
