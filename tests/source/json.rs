//! JSON that is not to be believed, paths, and the copy that the reader of CSV files judges.

use rosterd::{
    engine::index::Index,
    model::{Completeness, Finding, Severity},
    source::{
        self, CsvSettings, Demand, Draft, OnBadRow, Refused,
        json::{FieldMap, FieldSpec, JsonForm, Path, Records, parse, spool},
    },
};
use std::{collections::BTreeMap, fs, io::Read};

fn refused(text: &str) -> Finding {
    let taken = &mut |_, _| Ok(());
    let refused = Records::at("$.data[*]").unwrap().read(text.as_bytes(), taken);
    refused.unwrap_err().findings.remove(0)
}

#[test]
fn b12_json_of_which_readers_make_different_things_is_refused_with_its_place() {
    let cases = [
        (r#"{"data":[{"id":1},{"id":2"#, "RD-1070", "the text ends in the middle", "/data/1"),
        (r#"{"data":[]} {}"#, "RD-1070", "something follows the end", ""),
        (r#"{"data":[{"id":NaN}]}"#, "RD-1070", "this is not JSON", "/data/0/id"),
        (r#"{"data":[{"id":1,"id":2}]}"#, "RD-1070", "this name twice", "/data/0/id"),
        (r#"{"data":[],"data":[]}"#, "RD-1070", "this name twice", "/data"),
        (r#"{"a":{"b":1,"b":1},"data":[]}"#, "RD-1070", "this name twice", "/a/b"),
        (r#"{"data":[{"n":"\ud800"}]}"#, "RD-1070", "half a character", "/data/0/n"),
        (r#"{"data":[{"n":01}]}"#, "RD-1070", "a number", "/data/0/n"),
        (r#"{"data":[{"n":1,}]}"#, "RD-1070", "a comma", "/data/0"),
        (r#"{"data":{"id":1}}"#, "RD-1071", "no list", "/data"),
        (r#"{"items":[]}"#, "RD-1071", "is missing", "/data"),
        (r"[]", "RD-1071", "an object is due", ""),
        ("", "RD-1070", "the text ends in the middle", ""),
    ];
    for (text, code, why, pointer) in cases {
        let finding = refused(text);
        assert_eq!(finding.code.0, code, "{text}: {finding}");
        assert!(finding.message.contains(why), "{text}: {finding}");
        assert_eq!(finding.place.pointer.unwrap_or_default(), pointer, "{text}");
        assert!(finding.place.line == Some(1) && finding.place.column_number > Some(0), "{text}");
    }
}

#[test]
fn b12_of_a_long_name_a_place_tells_the_beginning() {
    let text = |length| format!(r#"{{"data":[{{"{}":NaN}}]}}"#, "n".repeat(length));
    let pointer = |length| refused(&text(length)).place.pointer.unwrap();
    assert_eq!(pointer(64), format!("/data/0/{}", "n".repeat(64)));
    assert_eq!(pointer(65), format!("/data/0/{}…", "n".repeat(64)));
}

#[test]
fn b12_depth_is_held_to_64() {
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    assert!(parse(nested(64).as_bytes()).is_ok());
    let error = parse(nested(10_000).as_bytes()).unwrap_err();
    assert!(error.why.contains("64 deep"), "{error}");
}

#[test]
fn b12_text_that_is_not_utf_8_is_refused() {
    let error = parse(b"{\"name\":\"M\xfcller\"}").unwrap_err();
    assert_eq!((error.why.as_str(), error.pointer.as_str()), ("the text is not UTF-8", "/name"));
}

#[test]
fn b12_an_id_beyond_2_to_the_53_stays_what_it_is() {
    let id = "9007199254740993123456789.10";
    let node = parse(format!("{{\"id\":{id}}}").as_bytes()).unwrap();
    assert_eq!(Path::parse("id").unwrap().find(&node).unwrap().text(), Some(id));
}

#[test]
fn one_value_cannot_fill_the_memory() {
    let endless = b"{\"data\":[\"".chain(std::io::repeat(b'x'));
    let refused = Records::at("data").unwrap().read(endless, &mut |_, _| Ok(())).unwrap_err();
    assert!(refused.findings[0].message.contains("longer than 4 MiB"), "{refused}");
}

#[test]
fn what_stands_beside_the_records_is_kept_and_long_lists_are_cut() {
    let many = vec!["7"; 1000].join(",");
    let text = format!(r#"{{"next":"/p2","data":[{{"id":1}}],"included":[{many}],"total":3}}"#);
    let mut count = 0;
    let records = Records::at("$.data[*]").unwrap();
    let beside = records
        .read(text.as_bytes(), &mut |_, _| {
            count += 1;
            Ok(())
        })
        .unwrap();
    let find = |path: &str| Path::parse(path).unwrap().find(&beside).cloned();
    assert_eq!((count, find("next").unwrap().text()), (1, Some("/p2")));
    assert_eq!(find("$.total").unwrap().text(), Some("3"));
    assert!(find("included[63]").is_some() && find("included[64]").is_none());
}

fn fields(specs: &[(&str, &str, Option<&str>)]) -> FieldMap {
    let spec = |(column, path, join): &(&str, &str, Option<&str>)| {
        let spec = match join {
            Some(join) => FieldSpec::Joined { path: (*path).into(), join: (*join).into() },
            None => FieldSpec::Path((*path).into()),
        };
        ((*column).to_owned(), spec)
    };
    FieldMap::parse(&specs.iter().map(spec).collect::<BTreeMap<_, _>>()).unwrap()
}

struct Copied {
    dir: tempfile::TempDir,
    text: String,
    roster: Result<source::Roster, Refused>,
    findings: Vec<Finding>,
}

fn copy(text: &str, form: &JsonForm, rules: &CsvSettings) -> Result<Copied, Refused> {
    let dir = tempfile::tempdir().unwrap();
    let draft = Draft::named(&dir.path().join("spool"), "hr.csv").unwrap();
    let copy = spool(text.as_bytes(), form, rules, "hr.json".to_owned(), draft)?;
    let demand = Demand { optional: copy.columns.iter().cloned().collect(), ..Demand::default() };
    let roster = source::read_file(&copy.settings(rules), &demand, &Index::default());
    let mut findings = match &roster {
        Ok(roster) => roster.findings.clone(),
        Err(refused) => refused.findings.clone(),
    };
    copy.trail.tell(&copy.kept.path, &mut findings).unwrap();
    let text = fs::read_to_string(&copy.kept.path).unwrap();
    Ok(Copied { dir, text, roster, findings })
}

fn rules(on_bad_row: OnBadRow) -> CsvSettings {
    CsvSettings { key: "id".to_owned(), on_bad_row, ..CsvSettings::default() }
}

#[test]
fn paths_that_differ_in_a_word_of_a_filter_are_told_apart() {
    let shown = |kind: &str| {
        let path = format!("emails[?@.type=='{kind}'].value");
        format!("{:?}", fields(&[("email", path.as_str(), None)]))
    };
    assert_eq!(shown("work"), shown("work"));
    assert_ne!(shown("work"), shown("home"));
}

fn document(fields: FieldMap) -> JsonForm {
    JsonForm { records: Some(Records::at("$.people[*]").unwrap()), fields }
}

#[test]
fn field_paths_become_columns() {
    let fields = fields(&[
        ("id", "id", None),
        ("mail", "emails[?(@.type=='work' && @.value)].value", None),
        ("manager", "$.manager.id", None),
        ("groups", "groups[*].name", Some(";")),
        ("first", "['given names'][0]", None),
        ("cost", "costs[?@.share != 0].at", Some("|")),
    ]);
    let text = r#"{"people":[
        {"id": 12345678901234567890, "emails":[{"type":"home","value":"h"},{"type":"work"},
          {"type":"work","value":"w1"},{"type":"work","value":"w2"}], "manager":{"id":"E1"},
          "groups":[{"name":"a, b"},{"name":"c"},{}], "given names":["Ada","B"],
          "costs":[{"share":0.0,"at":"x"},{"share":1,"at":"y"},{"share":2,"at":"z"}]},
        {"id":"E2","emails":[],"manager":null,"groups":null}]}"#;
    let copied = copy(text, &document(fields), &rules(OnBadRow::Refuse)).unwrap();
    let expected = "\"cost\",\"first\",\"groups\",\"id\",\"mail\",\"manager\"\n\
                    y|z,Ada,\"a, b;c\",12345678901234567890,w1,E1\n,,,E2,,\n";
    assert_eq!(copied.text, expected);
    assert_eq!(copied.roster.unwrap().facts.rows, 2);
}

#[test]
fn a_field_that_no_element_has_is_a_column_that_is_not_there() {
    let fields = fields(&[("id", "id", None), ("phone", "contact.phone", None), ("x", "x", None)]);
    let text = r#"{"people":[{"id":"E1","x":"1\n2"},{"id":"E2","contact":{"fax":"1"},"x":null}]}"#;
    let copied = copy(text, &document(fields), &rules(OnBadRow::Refuse)).unwrap();
    assert_eq!(copied.text, "\"id\",\"x\"\nE1,\"1\n2\"\nE2,\n");
    assert!(!copied.roster.unwrap().columns.contains("phone"));
}

#[test]
fn a_record_that_cannot_be_used_is_held_and_told_with_its_pointer() {
    let fields = fields(&[("id", "id", None), ("title", "title", None)]);
    let text = "{\"people\":[{\"id\":\"E1\",\"title\":\"a\\nb\\r\\nc\\n\\n\\nd\"},\
                {\"id\":\"E2\",\"title\":{\"de\":\"x\"}},7,{\"id\":[],\"title\":\"\"},\
                {\"id\":\"E5\",\"title\":\"a\\u0007\"}]}";
    let refused = copy(text, &document(fields.clone()), &rules(OnBadRow::Refuse)).err().unwrap();
    let told: Vec<&str> =
        refused.findings.iter().filter_map(|f| f.place.pointer.as_deref()).collect();
    assert_eq!(told, ["/people/1", "/people/2", "/people/3"]);

    let held = copy(text, &document(fields), &rules(OnBadRow::Hold)).unwrap();
    let told: Vec<String> = held.findings.iter().map(ToString::to_string).collect();
    assert_eq!(told.len(), 4, "{told:#?}");
    assert!(
        told[0].starts_with("hr.json, /people/1, column `title`: an object stands"),
        "{told:?}"
    );
    assert!(told[1].starts_with("hr.json, /people/2: a number stands"), "{told:?}");
    assert!(told[2].starts_with("hr.json, /people/3, column `id`: a list stands"), "{told:?}");
    assert!(told[3].starts_with("hr.json, /people/4, column `title`: the cell holds"), "{told:?}");
    assert!(held.findings.iter().all(|finding| finding.severity == Severity::Held));
    let roster = held.roster.unwrap();
    assert_eq!((roster.facts.rows, roster.facts.held), (5, 4));
    assert!(matches!(roster.facts.completeness, Completeness::Partial(_)));
}

#[test]
fn b14_one_key_with_different_values_is_held_and_both_places_are_told() {
    let fields = fields(&[("id", "id", None), ("title", "title", None)]);
    let people: Vec<String> = (0..300).map(|n| format!(r#"{{"id":"E{n}","title":"x"}}"#)).collect();
    let text = format!(r#"{{"people":[{},{{"id":"E7","title":"y"}}]}}"#, people.join(","));
    let copied = copy(&text, &document(fields), &rules(OnBadRow::Refuse)).unwrap();
    assert_eq!(copied.findings[0].code.0, "RD-1047");
    assert_eq!(copied.findings[0].place.pointer.as_deref(), Some("/people/7"));
    let told = "elements /people/7, /people/300 have one key and say different things";
    assert_eq!(copied.findings[0].message, told);
    assert_eq!(copied.roster.unwrap().facts.held, 2);
}

#[test]
fn lines_of_json_are_told_by_their_line() {
    let form = JsonForm { records: None, fields: fields(&[("id", "id", None), ("t", "t", None)]) };
    let text =
        "{\"id\":1,\"t\":\"\"}\r\n\n  \n{\"id\":2,\"t\":[]}\n{\"id\":3\n{\"id\":4,\"t\":\"\"} x";
    let refused = copy(text, &form, &rules(OnBadRow::Refuse)).err().unwrap();
    let lines: Vec<_> = refused.findings.iter().map(|finding| finding.place.line).collect();
    assert_eq!(lines, [Some(4), Some(5), Some(6)]);
    let held = copy(text, &form, &rules(OnBadRow::Hold)).unwrap();
    assert_eq!(held.roster.unwrap().facts.held, 3);
    let lines: Vec<_> = held.findings.iter().map(|finding| finding.place.line).collect();
    assert_eq!(lines, [Some(4), Some(5), Some(6)]);
}

#[test]
fn a27_a_file_of_nothing_or_of_nobody_is_refused() {
    let form = document(fields(&[("id", "id", None)]));
    let empty = copy("", &form, &rules(OnBadRow::Refuse)).err().unwrap();
    assert_eq!(empty.findings[0].code.0, "RD-1015");
    let nobody = copy(r#"{"people":[]}"#, &form, &rules(OnBadRow::Refuse)).unwrap();
    assert_eq!(nobody.roster.unwrap_err().findings[0].code.0, "RD-1016");
}

#[test]
fn the_same_elements_give_the_same_bytes_and_only_we_may_read_them() {
    use std::os::unix::fs::MetadataExt as _;
    let form = document(fields(&[("id", "id", None)]));
    let one = copy(r#"{"people":[{"id":"1"}]}"#, &form, &rules(OnBadRow::Refuse)).unwrap();
    let other = copy("{\"people\" : [ {\"id\":1} ]}", &form, &rules(OnBadRow::Refuse)).unwrap();
    assert_eq!(one.text, other.text);
    let folder = one.dir.path().join("spool");
    assert_eq!(fs::metadata(&folder).unwrap().mode() & 0o777, 0o700);
    assert_eq!(fs::metadata(folder.join("hr.csv")).unwrap().mode() & 0o777, 0o600);
    assert_eq!(fs::read_dir(folder).unwrap().count(), 1);
}
