//! What can go wrong is listed in `tests/catalogue/ids`. Whatever is listed there has a test whose name
//! begins with the id, or a reason in `tests/catalogue/gaps.toml` why it has none.

#![expect(clippy::unwrap_used, reason = "a test fails by it")]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

/// Numbers of other lists that names may begin with, and how far each of them goes.
const OTHERS: [(char, u32); 3] = [('c', 12), ('k', 20), ('s', 25)];

/// The test functions of the texts below a folder, each with its file.
fn tests_below(folder: &Path, found: &mut Vec<(String, String)>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            tests_below(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let names = tests_of(&fs::read_to_string(&path).unwrap());
            found.extend(names.into_iter().map(|name| (name, path.display().to_string())));
        }
    }
}

/// The functions with `#[test]`, or an attribute that ends in `::test`, on the lines above.
fn tests_of(text: &str) -> Vec<String> {
    let (mut is_test, mut names) = (false, Vec::new());
    for line in text.lines().map(str::trim_start) {
        let attribute = line.strip_prefix("#[").map(|rest| rest.split(['(', ']']).next().unwrap());
        if let Some(attribute) = attribute {
            is_test |= attribute == "test" || attribute.ends_with("::test");
            continue;
        }
        let function = line.strip_prefix("async ").unwrap_or(line).strip_prefix("fn ");
        if let Some(function) = function.filter(|_| is_test) {
            names.push(function.split(['(', '<']).next().unwrap().to_owned());
        }
        is_test &= line.is_empty() || line.starts_with("//");
    }
    names
}

/// The ids that a name begins with. Numbers of promises such as `inv7` may stand among them.
fn ids_of(name: &str) -> Vec<String> {
    let is_id = |part: &&str| {
        let mut chars = part.chars();
        chars.next().is_some_and(|first| first.is_ascii_lowercase())
            && !chars.as_str().is_empty()
            && chars.all(|c| c.is_ascii_digit())
    };
    let is_promise =
        |part: &str| part.strip_prefix("inv").is_some_and(|number| number.parse::<u32>().is_ok());
    let leading = name.split('_').take_while(|part| is_id(part) || is_promise(part));
    leading.filter(is_id).map(str::to_uppercase).collect()
}

fn is_of_another_list(id: &str) -> bool {
    let (letter, number) = id.split_at(1);
    let of = OTHERS.iter().find(|(other, _)| letter.eq_ignore_ascii_case(&other.to_string()));
    of.is_some_and(|(_, last)| number.len() == 2 && (1..=*last).contains(&number.parse().unwrap()))
}

/// What is wrong with the list, the gaps and the names of the tests together.
fn offences(
    ids: &BTreeSet<String>,
    gaps: &BTreeMap<String, String>,
    tests: &[(String, String)],
) -> Vec<String> {
    let (mut covered, mut offences) = (BTreeSet::new(), Vec::new());
    for (name, file) in tests {
        for id in ids_of(name) {
            if !ids.contains(&id) && !is_of_another_list(&id) {
                offences.push(format!("{file}: `{name}` begins with {id}, which is not there"));
            }
            covered.insert(id);
        }
    }
    for id in ids {
        match (covered.contains(id), gaps.get(id)) {
            (false, None) => offences.push(format!("{id} has neither a test nor a reason")),
            (true, Some(_)) => offences.push(format!("{id} has a test by now: it is no gap")),
            (true, None) | (false, Some(_)) => {}
        }
    }
    for (id, reason) in gaps {
        if !ids.contains(id) {
            offences.push(format!("{id} is a gap in a list that does not have it"));
        }
        if reason.split(' ').count() < 4 {
            offences.push(format!("{id} is a gap without a reason"));
        }
    }
    offences
}

fn listed(text: &str) -> BTreeSet<String> {
    let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.map(|line| line.split(' ').next().unwrap().to_owned()).collect()
}

#[test]
fn every_id_has_a_test_or_a_reason_why_not() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = |name: &str| fs::read_to_string(root.join("tests/catalogue").join(name)).unwrap();
    let ids = listed(&read("ids"));
    let file = config::File::from_str(&read("gaps.toml"), config::FileFormat::Toml);
    let gaps = config::Config::builder().add_source(file).build().unwrap();
    // Keys of a configuration come in lower case.
    let gaps: BTreeMap<String, String> = gaps.try_deserialize().unwrap();
    let gaps = gaps.into_iter().map(|(id, reason)| (id.to_uppercase(), reason)).collect();
    let mut tests = Vec::new();
    for folder in ["src", "tests"] {
        tests_below(&root.join(folder), &mut tests);
    }
    assert_eq!((ids.len(), tests.len() > 700), (40 + 18 + 38 + 29 + 15 + 25 + 12, true));
    let offences = offences(&ids, &gaps, &tests);
    assert!(offences.is_empty(), "{}", offences.join("\n"));
}

#[test]
fn what_is_wrong_with_a_name_or_a_gap_is_seen() {
    let planted = "#[test]\nfn a01_it_holds() {}\n\
        #[tokio::test(start_paused = true)]\nasync fn inv7_a02_s01_it_holds() {}\n\
        #[test]\n#[should_panic]\nfn a99_it_holds() {}\nfn a03_is_none() {}\n\
        #[test_log]\nfn a04_is_none() {}\n#[test]\nfn a_word() {}\n#[test]\nfn a1_x() {}\n";
    let names = tests_of(planted);
    assert_eq!(names, ["a01_it_holds", "inv7_a02_s01_it_holds", "a99_it_holds", "a_word", "a1_x"]);
    let tests: Vec<_> = names.into_iter().map(|name| (name, "x.rs".to_owned())).collect();
    let ids = listed("# a list\nA01 one\n\nA02 two\nA03 three\nA04 four");
    let gaps =
        [("A02", "nobody has come to it"), ("A04", "later"), ("A05", "nobody has come to it")];
    let gaps = gaps.map(|(id, reason)| (id.to_owned(), reason.to_owned())).into();
    let told = [
        "x.rs: `a99_it_holds` begins with A99, which is not there",
        "x.rs: `a1_x` begins with A1, which is not there",
        "A02 has a test by now: it is no gap",
        "A03 has neither a test nor a reason",
        "A04 is a gap without a reason",
        "A05 is a gap in a list that does not have it",
    ];
    assert_eq!(offences(&ids, &gaps, &tests), told);
}
