//! The rules for values, and the mapping from records to accounts.
#![expect(
    clippy::unwrap_used,
    clippy::option_option,
    clippy::too_many_lines,
    clippy::unnecessary_wraps,
    reason = "helpers of tests may panic, a wish has three cases, and a table is as long as it is"
)]

use proptest::prelude::*;
use rosterd::{
    engine::{
        mapping::{
            BAD_REMOTE_ID, BAD_VALUE, Case, EMPTY_VALUE, LookupSettings, Mapped, Mapping,
            MappingSettings, NO_REMOTE_ID, NOT_IN_LOOKUP, OnEmpty, OnMissing, RemoteIdSettings,
            RuleSettings, SCOPE_UNDECIDED, TEMPLATE_FAILED, UNBELIEVED_COLUMN,
        },
        value_rules::{Forms, ValueProblem, date_format_problem, normalise, read_value},
    },
    model::{
        AttrPath, Attribute, Capabilities, Finding, Fingerprint, Held, HeldReason, INTEGER_MAX,
        Kind, OnDrift, Problem, Record, RemoteId, Severity, UserKey, Value, Wanted,
    },
};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};

// ---- the world of these tests ------------------------------------------------------------------

fn capabilities() -> Capabilities {
    let text = || Attribute::of(Kind::Text);
    let attributes = [
        ("title", text().max_chars(20).clearable()),
        ("department", text()),
        ("name.familyName", text()),
        ("email", Attribute::of(Kind::Email)),
        ("phone", Attribute::of(Kind::Phone)),
        ("active", Attribute::of(Kind::Flag)),
        ("startDate", Attribute::of(Kind::Date)),
        ("seen", Attribute::of(Kind::DateTime)),
        ("level", Attribute::of(Kind::Integer { min: 1, max: 9 })),
        ("tier", Attribute::of(Kind::Number(vec![10, 20]))),
        ("share", Attribute::of(Kind::Decimal)),
        ("role", Attribute::of(Kind::Choice(vec!["ADMIN".into(), "USER".into()]))),
        ("groups", Attribute::of(Kind::SetOf(Box::new(Kind::Text)))),
    ];
    Capabilities {
        attributes: attributes.into_iter().map(|(path, a)| (AttrPath::new(path), a)).collect(),
        ..Capabilities::default()
    }
}

fn column(name: &str) -> RuleSettings {
    RuleSettings { column: Some(name.into()), ..RuleSettings::default() }
}

fn constant(value: serde_json::Value) -> RuleSettings {
    RuleSettings { constant: Some(value), ..RuleSettings::default() }
}

fn template(text: &str) -> RuleSettings {
    RuleSettings { template: Some(text.into()), ..RuleSettings::default() }
}

fn lookup(entries: &[(&str, &str)]) -> LookupSettings {
    LookupSettings { table: table(entries), ..LookupSettings::default() }
}

fn table(entries: &[(&str, &str)]) -> BTreeMap<String, String> {
    entries.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect()
}

fn settings(rules: &[(&str, RuleSettings)]) -> MappingSettings {
    MappingSettings {
        map: rules.iter().map(|(path, rule)| ((*path).into(), rule.clone())).collect(),
        scope: None,
        remote_id: RemoteIdSettings { column: Some("Id".into()), ..RemoteIdSettings::default() },
    }
}

fn compile(settings: &MappingSettings) -> Mapping {
    match Mapping::compile(settings, &capabilities()) {
        Ok(mapping) => mapping,
        Err(problems) => panic!("{problems:#?}"),
    }
}

fn problems(settings: &MappingSettings) -> Vec<Problem> {
    Mapping::compile(settings, &capabilities()).expect_err("refused")
}

/// The problems of the one rule, as `key: message`.
fn problems_of(path: &str, rule: RuleSettings) -> Vec<String> {
    problems(&settings(&[(path, rule)])).iter().map(ToString::to_string).collect()
}

fn record(cells: &[(&str, &str)]) -> Record {
    let mut fields = table(cells);
    fields.entry("Id".into()).or_insert_with(|| "remote-7".into());
    Record {
        key: UserKey::parse("E7").unwrap(),
        line: 12,
        fields: fields.into_iter().collect(),
        unusable: BTreeSet::new(),
        fingerprint: Fingerprint(77),
    }
}

fn any_id(_: &RemoteId) -> Result<(), String> {
    Ok(())
}

fn wanted(mapping: &Mapping, record: &Record) -> Wanted {
    match mapping.map(record, &any_id) {
        Mapped::Wanted(wanted) => wanted,
        Mapped::OutOfScope => panic!("out of scope"),
        Mapped::Held { findings, .. } => panic!("{findings:#?}"),
    }
}

fn held(mapping: &Mapping, record: &Record) -> (Vec<Held>, Vec<Finding>) {
    match mapping.map(record, &any_id) {
        Mapped::Held { held, findings } => (held, findings),
        Mapped::OutOfScope => panic!("out of scope"),
        Mapped::Wanted(_) => panic!("wanted"),
    }
}

/// What the one rule makes of the cells: `None`, untouched; `Some(None)`, unset.
fn wish(path: &str, rule: RuleSettings, cells: &[(&str, &str)]) -> Option<Option<Value>> {
    let mapping = compile(&settings(&[(path, rule)]));
    wanted(&mapping, &record(cells)).attributes.remove(&AttrPath::new(path))
}

fn value(path: &str, rule: RuleSettings, cells: &[(&str, &str)]) -> Value {
    wish(path, rule, cells).expect("touched").expect("a value")
}

/// The findings' codes for the one rule.
fn codes(path: &str, rule: RuleSettings, cells: &[(&str, &str)]) -> Vec<&'static str> {
    let (_, findings) = held(&compile(&settings(&[(path, rule)])), &record(cells));
    findings.iter().map(|finding| finding.code.0).collect()
}

fn read(kind: &Kind, text: &str) -> Result<Value, ValueProblem> {
    read_value(kind, None, &normalise(text), &Forms::default())
}

/// The text that a reader would write for the value.
fn as_text(value: &Value) -> String {
    let one = |json: serde_json::Value| match json {
        serde_json::Value::String(text) => text,
        serde_json::Value::Number(number) if number.is_f64() => {
            number.as_f64().unwrap().to_string()
        }
        other => other.to_string(),
    };
    match value.to_json() {
        serde_json::Value::Array(mut members) if members.len() == 1 => one(members.remove(0)),
        other => one(other),
    }
}

// ---- values ------------------------------------------------------------------------------------

#[test]
fn a36_every_kind_takes_its_documented_form_and_brings_it_into_normal_form() {
    let cases: Vec<(Kind, Vec<(&str, Value)>)> = vec![
        (Kind::Text, vec![("Zoë O'Neil", "Zoë O'Neil".into()), ("  x ", "x".into())]),
        (
            Kind::Email,
            vec![
                ("Jane.Smith+hr@example.co.uk", "Jane.Smith+hr@example.co.uk".into()),
                ("zoë@münchen.example", "zoë@münchen.example".into()),
            ],
        ),
        (
            Kind::Phone,
            vec![
                ("+4930123456", "+4930123456".into()),
                ("+12", "+12".into()),
                ("+123456789012345", "+123456789012345".into()),
            ],
        ),
        (
            Kind::Country,
            vec![
                ("de", "DE".into()),
                ("US", "US".into()),
                ("GBR", "GB".into()),
                ("Germany", "DE".into()),
                ("united kingdom", "GB".into()),
            ],
        ),
        (
            Kind::Locale,
            vec![("en_US", "en-us".into()), ("de-AT", "de-at".into()), ("fil-ph", "fil-ph".into())],
        ),
        (
            Kind::Date,
            vec![("2007-12-20", "2007-12-20".into()), ("2024-02-29", "2024-02-29".into())],
        ),
        (
            Kind::DateTime,
            vec![
                ("2007-12-20T08:15:00Z", "2007-12-20T08:15:00Z".into()),
                ("2007-12-20t10:15:00+02:00", "2007-12-20T08:15:00Z".into()),
                ("2007-12-20T08:15:00.250z", "2007-12-20T08:15:00.25Z".into()),
            ],
        ),
        (
            Kind::TimeZone,
            vec![
                ("Europe/Berlin", "Europe/Berlin".into()),
                ("America/Argentina/Buenos_Aires", "America/Argentina/Buenos_Aires".into()),
                ("UTC", "UTC".into()),
            ],
        ),
        (Kind::Link, vec![("https://example.com/a?b=c", "https://example.com/a?b=c".into())]),
        (Kind::Flag, vec![("true", true.into()), ("false", false.into())]),
        (
            Kind::Integer { min: -5, max: i64::MAX },
            vec![("-5", (-5).into()), ("007", 7.into()), ("9007199254740991", INTEGER_MAX.into())],
        ),
        (
            Kind::Decimal,
            vec![("12.50", Value::number(12.5).unwrap()), ("-3", (-3).into()), ("2.0", 2.into())],
        ),
        (Kind::Choice(vec!["FULL TIME".into()]), vec![("FULL TIME", "FULL TIME".into())]),
        (Kind::Number(vec![10, 20]), vec![("20", 20.into())]),
        (
            Kind::Uuid,
            vec![(
                "6BA7B810-9DAD-11D1-80B4-00C04FD430C8",
                "6ba7b810-9dad-11d1-80b4-00c04fd430c8".into(),
            )],
        ),
        (Kind::SetOf(Box::new(Kind::Country)), vec![("fr", Value::set(["FR"]))]),
    ];
    for (kind, texts) in cases {
        for (text, expected) in texts {
            let value = read(&kind, text);
            assert!(value == Ok(expected), "{kind:?} {text}: {value:?}");
            let again = read(&kind, &as_text(value.as_ref().unwrap()));
            assert!(again == value, "{kind:?} {text}: a second reading differs");
        }
    }
}

#[test]
fn a36_every_kind_refuses_what_is_not_of_its_form() {
    let cases: [(Kind, &[&str]); 16] = [
        (Kind::Text, &["", "   "]),
        (
            Kind::Email,
            &[
                "jane",
                "jane@",
                "@example.com",
                "jane@localhost",
                "jane@[127.0.0.1]",
                "Jane Smith <jane@example.com>",
                "jane smith@example.com",
                "a@b@example.com",
            ],
        ),
        (
            Kind::Phone,
            &[
                "4930123456",
                "+0930123456",
                "+1",
                "+1234567890123456",
                "+49 30 123456",
                "030/123456",
                "+49-30-123",
                "+４９３０",
                "tel:+4930123456",
            ],
        ),
        (Kind::Country, &["UK", "EU", "ZZ", "276", "D", "Atlantis", "D E"]),
        (
            Kind::Locale,
            &[
                "en",
                "english",
                "en-UK",
                "en-zz",
                "de-Latn-de",
                "en-us-posix",
                "-us",
                "und-us",
                "en--us",
            ],
        ),
        (
            Kind::Date,
            &[
                "2023-02-29",
                "2024-2-9",
                "20240209",
                "09.02.2024",
                "01/02/03",
                "2024-02-09T00:00:00Z",
                "0000-01-01",
                "31.02.",
                "-2024-02-09",
                "２０２４-02-09",
            ],
        ),
        (
            Kind::DateTime,
            &[
                "2007-12-20",
                "2007-12-20T08:15:00",
                "2007-12-20 08:15:00Z",
                "2007-12-20T08:15Z",
                "2007-12-20T25:15:00Z",
                "2007-12-20T08:15:00+02",
                "2007-12-20T08:15:00.Z",
                "2007-12-20T08:15:00Z[Europe/Berlin]",
                "0000-01-01T00:00:00+01:00",
            ],
        ),
        (Kind::TimeZone, &["Berlin", "europe/berlin", "Europe/", "/Berlin", "CET+1", "A/B/C/D"]),
        (
            Kind::Link,
            &[
                "example.com",
                "ftp://example.com",
                "javascript:alert(1)",
                "https:example.com",
                "https://",
                "https:///x",
                "https://a b",
                "https://a\\b",
                "/path",
                "mailto:a@b.cd",
            ],
        ),
        (Kind::Flag, &["maybe", "TRUE", "True", "1", "yes", "WAHR"]),
        (Kind::Integer { min: 1, max: 9 }, &["0", "10", "+5", "5.0", "1e0", "five", "-", "٥"]),
        (
            Kind::Integer { min: i64::MIN, max: i64::MAX },
            &["9007199254740992", "-9007199254740992", "99999999999999999999"],
        ),
        (
            Kind::Decimal,
            &[
                "1,5",
                ".5",
                "5.",
                "1.2E+10",
                "inf",
                "NaN",
                "--1",
                "9007199254740992",
                "1.2.3",
                "0x10",
            ],
        ),
        (Kind::Choice(vec!["ADMIN".into()]), &["admin", "ADMIN2"]),
        (Kind::Number(vec![10, 20]), &["15", "10.0", "x"]),
        (
            Kind::Uuid,
            &[
                "6ba7b8109dad11d180b400c04fd430c8",
                "{6ba7b810-9dad-11d1-80b4-00c04fd430c8}",
                "6ba7b810-9dad-11d1-80b4-00c04fd430cg",
                "6ba7b810-9dad-11d1-80b4-00c04fd430c",
            ],
        ),
    ];
    for (kind, texts) in cases {
        for text in texts {
            let problem = read(&kind, text).expect_err(text).to_string();
            assert!(problem.starts_with("is "), "{problem}");
        }
    }
}

#[test]
fn a05_a_control_character_is_refused_in_every_kind() {
    for kind in [Kind::Text, Kind::Email, Kind::Link, Kind::Flag] {
        for text in ["a\0b", "a\nb", "a\tb", "a\u{7f}b", "a\u{85}b", "https://a\rb.example"] {
            assert_eq!(read(&kind, text), Err(ValueProblem::ControlCharacter), "{kind:?}");
        }
    }
}

#[test]
fn the_longest_text_is_counted_in_unicode_scalar_values_of_the_normal_form() {
    let read = |text: &str| read_value(&Kind::Text, Some(3), &normalise(text), &Forms::default());
    assert!(read("äöü").is_ok());
    assert!(read("a\u{308}o\u{308}u\u{308}").is_ok());
    assert_eq!(read("äöüß"), Err(ValueProblem::TooLong { max: 3 }));
    let members = Kind::SetOf(Box::new(Kind::Text));
    assert!(read_value(&members, Some(3), "abcd", &Forms::default()).is_err());
}

#[test]
fn a37_flags_are_the_configured_words_and_no_others() {
    let forms = Forms {
        true_values: vec!["WAHR".into(), "1".into()],
        false_values: vec!["FALSCH".into()],
        ..Forms::default()
    };
    let read = |text| read_value(&Kind::Flag, None, text, &forms);
    assert_eq!(read("WAHR"), Ok(true.into()));
    assert_eq!(read("1"), Ok(true.into()));
    assert_eq!(read("FALSCH"), Ok(false.into()));
    for text in ["true", "false", "wahr", "0"] {
        let told = read(text).unwrap_err().to_string();
        assert_eq!(told, "is none of the words for true (`WAHR`, `1`) and false (`FALSCH`)");
    }
}

#[test]
fn a37_dates_are_of_the_configured_form_and_no_other() {
    let forms = Forms { date_format: Some("%d.%m.%Y".into()), ..Forms::default() };
    let read = |text| read_value(&Kind::Date, None, text, &forms);
    assert_eq!(read("09.02.2024"), Ok("2024-02-09".into()));
    for text in ["2024-02-09", "31.02.2024", "01/02/03", "09.02.24x", "9.2."] {
        let told = read(text).unwrap_err().to_string();
        assert_eq!(told, "is not a real date of the configured form `%d.%m.%Y`", "{text}");
    }
    let forms = Forms { date_format: Some("%d/%m/%Y %H:%M %z".into()), ..Forms::default() };
    let read = |text| read_value(&Kind::DateTime, None, text, &forms);
    assert_eq!(read("20/12/2007 10:15 +0200"), Ok("2007-12-20T08:15:00Z".into()));
}

#[test]
fn a_date_format_that_does_not_tell_the_whole_date_is_refused() {
    for (kind, form, fits) in [
        (Kind::Date, "%d.%m.%Y", true),
        (Kind::Date, "%m/%d/%y", true),
        (Kind::Date, "%d.%m.", false),
        (Kind::Date, "%Q!", false),
        (Kind::Date, "", false),
        (Kind::DateTime, "%Y-%m-%d %H:%M:%S%z", true),
        (Kind::DateTime, "%Y-%m-%d %H:%M:%S", false),
    ] {
        assert_eq!(date_format_problem(&kind, form).is_none(), fits, "{form}");
    }
}

#[cfg(feature = "phone")]
#[test]
fn national_phone_forms_of_the_configured_region_become_e164() {
    let forms = Forms { phone_region: Some("DE".into()), ..Forms::default() };
    let read = |text| read_value(&Kind::Phone, None, text, &forms);
    for text in ["030 1234567", "(030) 123-4567", "+49 30 1234567", "+49301234567"] {
        assert_eq!(read(text), Ok("+49301234567".into()), "{text}");
    }
    for text in ["12", "030 1234567 ext. 5", "nobody"] {
        assert!(matches!(read(text), Err(ValueProblem::PhoneOf { .. })), "{text}");
    }
    assert!(
        problems_of(
            "phone",
            RuleSettings { phone_region: Some("Germany".into()), ..column("Phone") }
        )[0]
        .starts_with("`map.phone.phone_region`")
    );
}

#[cfg(not(feature = "phone"))]
#[test]
fn a_phone_region_needs_a_build_that_knows_national_forms() {
    let rule = RuleSettings { phone_region: Some("DE".into()), ..column("Phone") };
    assert_eq!(
        problems_of("phone", rule),
        ["`map.phone.phone_region`: is not available: this build reads E.164 only",]
    );
}

fn any_kind() -> impl Strategy<Value = Kind> {
    let kinds = vec![
        Kind::Text,
        Kind::Email,
        Kind::Phone,
        Kind::Country,
        Kind::Locale,
        Kind::Date,
        Kind::DateTime,
        Kind::TimeZone,
        Kind::Link,
        Kind::Flag,
        Kind::Integer { min: i64::MIN, max: i64::MAX },
        Kind::Decimal,
        Kind::Choice(vec!["a".into(), "B c".into()]),
        Kind::Number(vec![-1, 0, 7]),
        Kind::Uuid,
        Kind::SetOf(Box::new(Kind::Text)),
    ];
    proptest::sample::select(kinds)
}

/// Texts of which a good part is accepted by some kind.
fn any_text() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        "[a-z]{1,8}@[a-z]{1,8}\\.[a-z]{2,3}",
        "\\+[0-9]{1,16}",
        "[a-zA-Z]{2,3}",
        "[a-z]{2,3}[-_][a-zA-Z]{2}",
        "[0-9]{4}-[01][0-9]-[0-3][0-9]",
        "2[0-9]{3}-0[1-9]-[0-2][0-9]T[01][0-9]:[0-5][0-9]:00(\\.[0-9]{1,9})?(Z|[+-]0[0-9]:00)",
        "[A-Z][a-z]{1,8}/[A-Z][a-z_]{1,8}",
        "https?://[a-zA-Z0-9./?#-]{1,20}",
        "-?[0-9]{1,25}(\\.[0-9]{1,25})?",
        "[0-9a-fA-F]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9A-F]{4}-[0-9a-f]{12}",
        "(true|false|a|B c|7)",
    ]
}

proptest! {
    #[test]
    fn p04_a13_normalising_twice_is_normalising_once(text in any::<String>()) {
        let once = normalise(&text).into_owned();
        prop_assert_eq!(normalise(&once).into_owned(), once);
    }

    #[test]
    fn p04_an_accepted_values_text_reads_as_the_same_value(kind in any_kind(), text in any_text()) {
        if let Ok(value) = read(&kind, &text) {
            let again = as_text(&value);
            prop_assert!(normalise(&again) == again.as_str());
            prop_assert!(read(&kind, &again) == Ok(value));
        }
    }

    #[test]
    fn a33_what_looks_like_a_formula_goes_to_the_target_unchanged(rest in "[ -~]{0,15}[!-~]") {
        for start in ["=", "+", "-", "@", "=cmd|"] {
            let text = format!("{start}{rest}");
            let title = value("department", column("Title"), &[("Title", &text)]);
            prop_assert!(title == Value::text(text.as_str()));
        }
    }

    #[test]
    fn a_template_without_marks_is_its_own_text(text in "[a-zA-Z .,'|()]{1,20}") {
        let rule = RuleSettings { on_empty: OnEmpty::Keep, ..template(&text) };
        let text = normalise(&text);
        let expected = (!text.is_empty()).then(|| Some(Value::text(text)));
        prop_assert!(wish("department", rule, &[]) == expected);
    }
}

#[test]
fn a13_decomposed_input_gives_the_same_account_as_composed_input() {
    let settings = settings(&[
        ("title", column("Title")),
        (
            "department",
            RuleSettings { lookup: Some(lookup(&[("Zu\u{308}rich", "ZH")])), ..column("Ort") },
        ),
        ("name.familyName", template("{{ row['Name'] }}")),
    ]);
    let mapping = compile(&settings);
    let composed =
        wanted(&mapping, &record(&[("Title", "Café"), ("Ort", "Zürich"), ("Name", "Noël")]));
    let decomposed = record(&[
        ("Title", " Cafe\u{301}\u{a0}"),
        ("Ort", "Zu\u{308}rich"),
        ("Name", "Noe\u{308}l"),
    ]);
    assert!(wanted(&mapping, &decomposed).attributes == composed.attributes);
    assert_eq!(composed.attributes.len(), 3);
}

// ---- rules -------------------------------------------------------------------------------------

#[test]
fn a_wanted_account_carries_the_fingerprint_of_its_row() {
    let mapping = compile(&settings(&[("title", column("Title"))]));
    let record = record(&[("Title", " Engineer ")]);
    let Wanted { key, remote_id, attributes, withheld, references, line, fingerprint } =
        wanted(&mapping, &record);
    assert!(references.is_empty());
    assert!(key == record.key && remote_id == RemoteId::parse("remote-7").ok() && line == 12);
    assert!(attributes == [(AttrPath::new("title"), Some(Value::text("Engineer")))].into());
    assert!(withheld.is_empty());
    assert_eq!(fingerprint, record.fingerprint);
}

#[test]
fn an_empty_cell_means_what_on_empty_says() {
    for cell in ["", "  ", "\u{a0}"] {
        let cells = [("Title", cell)];
        let rule = |on_empty| RuleSettings { on_empty, ..column("Title") };
        assert!(wish("title", rule(OnEmpty::Keep), &cells).is_none());
        assert!(wish("title", rule(OnEmpty::Clear), &cells) == Some(None));
        assert_eq!(codes("title", rule(OnEmpty::Error), &cells), [EMPTY_VALUE.0]);
    }
}

#[test]
fn a_template_that_renders_to_nothing_is_empty() {
    let cells = [("given", " "), ("family", "")];
    let rule = |on_empty| RuleSettings { on_empty, ..template("{{ given }} {{ family }}") };
    assert!(wish("title", rule(OnEmpty::Keep), &cells).is_none());
    assert!(wish("title", rule(OnEmpty::Clear), &cells) == Some(None));
    assert_eq!(codes("title", rule(OnEmpty::Error), &cells), [EMPTY_VALUE.0]);
}

#[test]
fn a_cell_is_split_looked_up_and_emptied_in_this_order() {
    let rule = |on_empty, on_missing| RuleSettings {
        split: Some(";".into()),
        lookup: Some(LookupSettings {
            on_missing,
            ..lookup(&[("dev", "Developers"), ("ops", "Operators"), ("none", "")])
        }),
        on_empty,
        ..column("Groups")
    };
    let keep = || rule(OnEmpty::Keep, OnMissing::Error);
    let cells = |text| [("Groups", text)];
    assert!(
        value("groups", keep(), &cells(" ops ;dev;; dev"))
            == Value::set(["Developers", "Operators"])
    );
    assert!(value("groups", keep(), &cells("dev;none")) == Value::set(["Developers"]));
    for empty in ["", ";", " ; ;", "none", "none;none"] {
        assert!(wish("groups", keep(), &cells(empty)).is_none());
        let cleared = value("groups", rule(OnEmpty::Clear, OnMissing::Error), &cells(empty));
        assert!(cleared.is_empty_set());
        let refused = codes("groups", rule(OnEmpty::Error, OnMissing::Error), &cells(empty));
        assert_eq!(refused, [EMPTY_VALUE.0]);
    }
    assert_eq!(codes("groups", keep(), &cells("dev;art")), [NOT_IN_LOOKUP.0]);
    assert!(wish("groups", rule(OnEmpty::Clear, OnMissing::Keep), &cells("dev;art")).is_none());
}

#[test]
fn a_set_from_a_cell_without_split_has_that_one_member() {
    assert!(value("groups", column("G"), &[("G", "a;b")]) == Value::set(["a;b"]));
}

#[test]
fn a_lookup_is_exact_but_for_the_case_of_the_rule() {
    let rule = |case| RuleSettings {
        case,
        lookup: Some(lookup(&[(" Sales", "S1"), ("IT", "I1")])),
        ..column("Dept")
    };
    assert!(value("department", rule(None), &[("Dept", "Sales ")]) == "S1".into());
    assert_eq!(codes("department", rule(None), &[("Dept", "SALES")]), [NOT_IN_LOOKUP.0]);
    assert!(value("department", rule(Some(Case::Lower)), &[("Dept", "SALES")]) == "S1".into());
    assert!(value("department", rule(Some(Case::Upper)), &[("Dept", "it")]) == "I1".into());
}

#[test]
fn the_case_of_a_rule_is_that_of_its_value() {
    let rule = |case| RuleSettings { case: Some(case), ..column("Mail") };
    let cells = [("Mail", "Jane@Example.COM")];
    assert!(value("email", rule(Case::Lower), &cells) == "jane@example.com".into());
    assert!(value("email", rule(Case::Upper), &cells) == "JANE@EXAMPLE.COM".into());
}

#[test]
fn a_template_sees_trimmed_columns_by_name_and_by_row() {
    let cells = [("given", " Zoë "), ("family", "O'Neil & Co"), ("Employee ID", "007")];
    for (text, expected) in [
        ("{{ given }} {{ family }}", "Zoë O'Neil & Co"),
        ("{{ row[\"Employee ID\"] }}-{{ row.given }}", "007-Zoë"),
        ("{{ given[:1] }}{{ family|upper|first }}", "ZO"),
        ("{{ (given ~ '.' ~ family|replace(\"'\", '')|split(' ')|first)|lower }}", "zoë.oneil"),
        ("{% if given == 'Zoë' %}yes{% else %}no{% endif %}", "yes"),
        ("{{ 'x' if given == 'y' }}{{ given }}", "Zoë"),
    ] {
        assert!(value("department", template(text), &cells) == expected.into(), "{text}");
    }
}

#[test]
fn a_template_feeds_every_stage_that_a_column_does() {
    let rule = RuleSettings { split: Some(",".into()), ..template("{{ a }},{{ b }}") };
    assert!(value("groups", rule, &[("a", "x"), ("b", "y, z")]) == Value::set(["x", "y", "z"]));
    assert!(value("level", template("{{ a|int + 1 }}"), &[("a", "4")]) == 5.into());
    assert!(value("active", template("{{ a == 'in' }}"), &[("a", "in")]) == true.into());
}

#[test]
fn a_template_that_fails_for_a_row_holds_that_user_and_ends() {
    for text in [
        "{{ a|int }}",
        "{{ a.nothing }}",
        "{{ a|split(' ')|first|last|first|int }}",
        "{{ none }}",
        "{% for i in range(1000) %}{% for j in range(1000) %}{{ a }}{% endfor %}{% endfor %}",
    ] {
        assert_eq!(codes("department", template(text), &[("a", "secret")]), [TEMPLATE_FAILED.0]);
    }
}

#[test]
fn constants_are_read_as_their_attributes_kind() {
    for (path, json, expected) in [
        ("title", json!(" Café "), Value::text("Café")),
        ("active", json!(true), true.into()),
        ("active", json!("false"), false.into()),
        ("level", json!(3), 3.into()),
        ("level", json!("3"), 3.into()),
        ("tier", json!(20), 20.into()),
        ("share", json!(0.25), Value::number(0.25).unwrap()),
        ("groups", json!(["b", "a", "b"]), Value::set(["a", "b"])),
        ("groups", json!("a"), Value::set(["a"])),
        ("groups", json!([]), Value::set(Vec::<Value>::new())),
    ] {
        assert!(value(path, constant(json.clone()), &[]) == expected, "{path} {json}");
    }
}

#[test]
fn constants_that_do_not_fit_are_refused_when_compiling() {
    for (path, json) in [
        ("title", json!("a title of more than twenty characters")),
        ("title", json!("")),
        ("title", json!(5)),
        ("title", json!(["a"])),
        ("title", json!(null)),
        ("title", json!({"a": 1})),
        ("active", json!("yes")),
        ("level", json!(10)),
        ("level", json!(2.5)),
        ("role", json!("admin")),
        ("groups", json!(["a", 5])),
        ("email", json!(true)),
    ] {
        let told = problems_of(path, constant(json.clone()));
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(told[0].starts_with(&format!("`map.{path}.constant`: ")), "{told:?}");
    }
}

#[test]
fn a20_an_optional_column_that_is_absent_leaves_the_attribute_untouched() {
    let rule = RuleSettings { optional: true, on_empty: OnEmpty::Clear, ..column("Title") };
    assert!(wish("title", rule.clone(), &[]).is_none());
    assert!(wish("title", rule, &[("Title", "")]) == Some(None));
    let rule = RuleSettings { optional: true, ..template("{{ a }}{{ b }}") };
    assert!(wish("title", rule, &[("a", "x")]).is_none());
}

#[test]
fn a38_attributes_of_a_column_that_cannot_be_believed_are_withheld_and_the_others_go() {
    let mapping = compile(&settings(&[
        ("department", column("Manager")),
        ("name.familyName", template("{{ Manager }}")),
        ("title", column("Title")),
    ]));
    let mut record = record(&[("Manager", "E9"), ("Title", "Boss")]);
    record.unusable.insert("Manager".into());
    let wanted = wanted(&mapping, &record);
    assert_eq!(wanted.withheld, [AttrPath::new("department"), AttrPath::new("name.familyName")]);
    assert!(wanted.attributes == [(AttrPath::new("title"), Some(Value::text("Boss")))].into());
}

#[test]
fn the_id_in_the_roster_counts_before_any_look_up_and_without_both_nobody_has_one() {
    let mut capabilities = capabilities();
    capabilities.life.finds = vec![AttrPath::new("title")];
    let mut settings = settings(&[("title", column("Title"))]);
    let ids = |settings: &MappingSettings, create: bool| {
        let mapping = Mapping::compile(settings, &capabilities).unwrap().creating(create);
        ["u1", " "].map(|id| match mapping.map(&record(&[("Title", "x"), ("Id", id)]), &any_id) {
            Mapped::Wanted(wanted) => Some(wanted.remote_id),
            Mapped::OutOfScope | Mapped::Held { .. } => None,
        })
    };
    let named = Some(RemoteId::parse("u1").ok());
    assert!(ids(&settings, false) == [named.clone(), None]);
    assert!(ids(&settings, true) == [named.clone(), Some(None)]);
    settings.remote_id.link = vec!["title".to_owned()];
    assert!(ids(&settings, false) == [named, Some(None)]);
}

#[test]
fn a_reference_has_no_value_until_the_other_user_has_an_id_that_the_attribute_can_hold() {
    let refer = |name| RuleSettings { reference: true, ..column(name) };
    let rules = [("title", refer("Manager")), ("level", refer("Manager"))];
    let mapping = compile(&settings(&rules));
    assert_eq!(mapping.reference_columns().next().unwrap(), "Manager");
    let mut user = wanted(&mapping, &record(&[("Manager", " E9 ")]));
    let other = UserKey::parse("E9").unwrap();
    assert!(user.attributes.is_empty() && user.references.values().all(|key| *key == other));
    assert!(user.is_incomplete() && user.open_references().count() == 2);

    let id = |text| [(other.clone(), RemoteId::parse(text).unwrap())].into();
    mapping.refer(&mut user, &id("u9"));
    // `level` takes numbers up to 9.
    assert_eq!(user.open_references().collect::<Vec<_>>(), [&AttrPath::new("level")]);
    assert!(user.attributes == [(AttrPath::new("title"), Some(Value::text("u9")))].into());
    mapping.refer(&mut user, &id("7"));
    assert!(user.attributes[&AttrPath::new("level")] == Some(Value::Integer(7)));
    assert!(!user.is_incomplete());
    mapping.refer(&mut user, &BTreeMap::new());
    assert!(user.attributes.is_empty());
}

#[test]
fn a_reference_is_one_cell_for_one_id_and_an_empty_cell_means_what_on_empty_says() {
    let refer = || RuleSettings { reference: true, ..column("Manager") };
    for rule in [
        RuleSettings { column: None, ..refer() },
        RuleSettings { split: Some(";".into()), ..refer() },
        RuleSettings { lookup: Some(lookup(&[("a", "b")])), ..refer() },
    ] {
        assert!(problems_of("title", rule).iter().any(|told| told.contains("title.reference")));
    }
    assert!(problems_of("groups", refer()).iter().any(|told| told.contains("reference")));
    let clear = RuleSettings { on_empty: OnEmpty::Clear, ..refer() };
    assert!(wish("title", refer(), &[("Manager", " ")]).is_none());
    assert!(wish("title", clear, &[("Manager", "")]) == Some(None));
}

#[test]
fn a_required_column_that_is_absent_withholds_the_attribute() {
    let mapping = compile(&settings(&[("title", column("Title"))]));
    let wanted = wanted(&mapping, &record(&[]));
    assert_eq!(wanted.withheld, [AttrPath::new("title")]);
    assert!(wanted.attributes.is_empty());
}

#[test]
fn a36_every_bad_value_of_a_user_is_told_with_its_column_and_what_is_allowed() {
    let mapping = compile(&settings(&[
        ("active", column("Active")),
        ("role", column("Role")),
        ("startDate", column("Start")),
        ("title", column("Title")),
    ]));
    let record = record(&[
        ("Active", "maybe"),
        ("Role", "boss"),
        ("Start", "31.02."),
        ("Title", "fine"),
        ("Id", ""),
    ]);
    let (held, findings) = held(&mapping, &record);
    assert_eq!(held.len(), 4);
    assert_eq!(held[0].reason, HeldReason::NoRemoteId);
    assert!(held[1..].iter().all(|held| held.reason == HeldReason::BadValue && !held.others_go));
    assert!(held.iter().all(|held| held.line == Some(12) && held.key == record.key));
    let told: Vec<_> = findings[1..].iter().map(ToString::to_string).collect();
    assert_eq!(
        told[0],
        "line 12, column `Active`: `active` is none of the words for true (`true`) \
        and false (`false`); correct the cell, or the rule that reads it (`map.active`) [RD-2001]"
    );
    assert!(told[1].contains("column `Role`: `role` is none of `ADMIN`, `USER`;"), "{}", told[1]);
    assert!(told[2].contains("column `Start`: `startDate` is not a real date"), "{}", told[2]);
    assert!(findings.iter().all(|finding| finding.severity == Severity::Held));
    assert_eq!(findings[1].code, BAD_VALUE);
}

// ---- scope and remote id -----------------------------------------------------------------------

fn scoped(scope: &str) -> MappingSettings {
    MappingSettings { scope: Some(scope.into()), ..settings(&[("title", column("Title"))]) }
}

#[test]
fn the_scope_takes_whom_its_expression_takes() {
    let mapping = compile(&scoped(
        "status != 'left' and row['Country Code'] in ['DE', 'FR'] and not (title[:2] == 'Dr')",
    ));
    for (status, country, title, is_taken) in [
        ("active", " DE ", "Mr", true),
        ("left", "DE", "Mr", false),
        ("active", "US", "Mr", false),
        ("active", "FR", "Dr.", false),
        ("", "FR", "", true),
    ] {
        let cells =
            [("status", status), ("Country Code", country), ("title", title), ("Title", "x")];
        let mapped = mapping.map(&record(&cells), &any_id);
        assert_eq!(matches!(mapped, Mapped::Wanted(_)), is_taken, "{status} {country} {title}");
        assert_eq!(matches!(mapped, Mapped::OutOfScope), !is_taken);
    }
}

#[test]
fn whoever_is_out_of_scope_is_not_held_for_bad_values() {
    let settings = MappingSettings {
        scope: Some("status == 'in'".into()),
        ..settings(&[("email", column("Mail"))])
    };
    let mapped = compile(&settings).map(&record(&[("status", "out"), ("Mail", "bad")]), &any_id);
    assert!(matches!(mapped, Mapped::OutOfScope));
}

#[test]
fn a_scope_that_does_not_decide_holds_the_user() {
    let mapping = compile(&scoped("status|int > 3"));
    let cells = |status| record(&[("status", status), ("Title", "x")]);
    assert!(matches!(mapping.map(&cells("4"), &any_id), Mapped::Wanted(_)));
    let (holds, findings) = held(&mapping, &cells("many"));
    assert_eq!((holds.len(), findings[0].code), (1, SCOPE_UNDECIDED));
    let (_, findings) = held(&compile(&scoped("status.x == 'a'")), &cells("a"));
    assert_eq!(findings[0].code, SCOPE_UNDECIDED);
}

#[test]
fn scope_and_remote_id_hold_the_user_when_their_column_cannot_be_believed() {
    let mut record = record(&[("status", "in"), ("Title", "x")]);
    for name in ["status", "Id"] {
        record.unusable = BTreeSet::from([name.to_owned()]);
        let (holds, findings) = held(&compile(&scoped("status == 'in'")), &record);
        assert_eq!(holds[0].reason, HeldReason::BadReference);
        assert_eq!(findings[0].code, UNBELIEVED_COLUMN);
    }
}

#[test]
fn a_scope_that_is_not_a_yes_or_no_is_refused_when_compiling() {
    for (scope, told) in [
        ("active", "neither true nor false"),
        ("status == 'x' and country", "neither true nor false"),
        ("status ==", "`scope`"),
        ("status == 'a' }} {{ 'b'", "`scope`"),
        ("status|strange == 'x'", "there is no filter `strange`"),
        ("status is strange", "there is no test `strange`"),
        ("status.lower() == 'x'", "there is no method `.lower()`"),
        ("lower(status) == 'x'", "there is no function `lower`"),
        ("row[status] == 'x'", "`row` needs a column's name in quotes"),
        ("debug() == 'x'", "there is no function `debug`"),
    ] {
        let problems = problems(&scoped(scope));
        assert!(problems.iter().all(|problem| problem.key == "scope"), "{scope}");
        assert!(problems[0].to_string().contains(told), "{scope}: {problems:?}");
    }
}

#[test]
fn the_remote_id_comes_from_a_column() {
    let mapping = compile(&settings(&[("title", constant(json!("x")))]));
    for (id, expected) in [
        (" a-1 ", Ok("a-1")),
        ("", Err(NO_REMOTE_ID)),
        ("..", Err(BAD_REMOTE_ID)),
        ("me", Err(BAD_REMOTE_ID)),
        ("a/b", Err(BAD_REMOTE_ID)),
    ] {
        match (mapping.map(&record(&[("Id", id)]), &any_id), expected) {
            (Mapped::Wanted(wanted), Ok(id)) => {
                assert_eq!(wanted.remote_id, RemoteId::parse(id).ok());
            }
            (Mapped::Held { findings, .. }, Err(code)) => {
                assert_eq!(findings[0].code, code);
                assert_eq!(findings[0].place.column.as_deref(), Some("Id"));
            }
            (mapped, _) => panic!("{id}: {mapped:?}"),
        }
    }
}

#[test]
fn the_remote_id_comes_from_a_table_by_key() {
    let mut settings = settings(&[("title", constant(json!("x")))]);
    settings.remote_id = RemoteIdSettings {
        file: Some("ids.csv".into()),
        key: Some("employee".into()),
        value: Some("id".into()),
        table: table(&[(" E7", "remote-9")]),
        ..RemoteIdSettings::default()
    };
    let found = wanted(&compile(&settings), &record(&[])).remote_id;
    assert_eq!(found, RemoteId::parse("remote-9").ok());
    settings.remote_id.table.clear();
    let (holds, findings) = held(&compile(&settings), &record(&[]));
    assert_eq!((holds[0].reason, findings[0].code), (HeldReason::NoRemoteId, NO_REMOTE_ID));
}

#[test]
fn a_remote_id_that_the_target_would_not_take_holds_the_user() {
    let mapping = compile(&settings(&[("title", constant(json!("x")))]));
    let refuse = |_: &RemoteId| Err("is not a UUID".to_owned());
    let Mapped::Held { held, findings } = mapping.map(&record(&[]), &refuse) else {
        panic!("not held")
    };
    assert_eq!((held[0].reason, findings[0].code), (HeldReason::BadValue, BAD_REMOTE_ID));
    assert_eq!(held[0].why, "the remote id is not a UUID");
}

// ---- compiling ---------------------------------------------------------------------------------

#[test]
fn the_columns_are_those_of_every_rule_scope_and_remote_id() {
    let optional = |rule| RuleSettings { optional: true, ..rule };
    let mut settings = settings(&[
        ("title", column("Title")),
        ("department", optional(column("Dept"))),
        ("name.familyName", optional(column("Title"))),
        ("groups", template("{{ a[:1] }}{{ row['b c'] }}")),
        ("role", constant(json!("USER"))),
    ]);
    settings.scope = Some("status == 'in'".into());
    let mapping = compile(&settings);
    let required: Vec<_> = mapping.required_columns().into_iter().collect();
    assert_eq!(required, ["Id", "Title", "a", "b c", "status"]);
    assert_eq!(mapping.optional_columns(), BTreeSet::from(["Dept".to_owned()]));
    let paths: Vec<_> = mapping.attributes().map(AttrPath::as_str).collect();
    assert_eq!(paths, ["department", "groups", "name.familyName", "role", "title"]);
}

#[test]
fn all_problems_of_a_mapping_are_told_at_once() {
    let both = RuleSettings { template: Some("{{ x".into()), ..column("A") };
    let clear = RuleSettings {
        on_empty: OnEmpty::Clear,
        split: Some(";".into()),
        date_format: Some("%d".into()),
        ..column("B")
    };
    let start = RuleSettings { date_format: Some("%d.%m.".into()), ..column("C") };
    let flag = RuleSettings {
        true_values: vec!["1".into(), "false".into()],
        false_values: vec![String::new(), "false".into()],
        ..column("D")
    };
    let table = RuleSettings {
        split: Some(String::new()),
        lookup: Some(LookupSettings { key: Some("k".into()), ..LookupSettings::default() }),
        ..column("E")
    };
    let role =
        RuleSettings { lookup: Some(lookup(&[("a", "BOSS"), (" a", "USER")])), ..column("") };
    let fixed = RuleSettings {
        optional: true,
        on_empty: OnEmpty::Clear,
        case: Some(Case::Lower),
        ..constant(json!("x"))
    };
    let settings = MappingSettings {
        map: [
            ("tilte", both),
            ("department", clear),
            ("startDate", start),
            ("active", flag),
            ("groups", table),
            ("role", role),
            ("title", fixed),
            ("name.familyName", RuleSettings::default()),
            ("email", template("{{ mail|strange }}")),
        ]
        .map(|(path, rule)| (path.to_owned(), rule))
        .into(),
        scope: Some("active".into()),
        remote_id: RemoteIdSettings::default(),
    };
    let mut keys: Vec<_> = problems(&settings).into_iter().map(|problem| problem.key).collect();
    keys.sort();
    assert_eq!(
        keys,
        [
            "map.\"name.familyName\"",
            "map.active.false_values",
            "map.active.true_values",
            "map.department.date_format",
            "map.department.on_empty",
            "map.department.split",
            "map.email.template",
            "map.groups.lookup",
            "map.groups.lookup.key",
            "map.groups.split",
            "map.role.column",
            "map.role.lookup.table",
            "map.role.lookup.table",
            "map.startDate.date_format",
            "map.tilte",
            "map.tilte",
            "map.tilte.template",
            "map.title.case",
            "map.title.on_empty",
            "map.title.optional",
            "remote_id",
            "scope",
        ]
    );
}

#[test]
fn an_unknown_attribute_is_told_with_the_nearest_known_one() {
    assert_eq!(
        problems_of("Titel", column("T")),
        ["`map.Titel`: the target has no attribute `Titel`; did you mean `title`?",]
    );
    assert_eq!(problems_of("zzz", column("T")), ["`map.zzz`: the target has no attribute `zzz`"]);
}

#[test]
fn clearing_what_the_target_cannot_unset_is_refused_with_the_reason() {
    let rule = RuleSettings { on_empty: OnEmpty::Clear, ..column("Dept") };
    assert_eq!(
        problems_of("department", rule),
        ["`map.department.on_empty`: the target documents no way to unset `department`; \
         use `keep` or `error`",]
    );
}

#[test]
fn a_template_that_cannot_work_is_refused_when_compiling() {
    for (text, told) in [
        ("{{ a", "`map.title.template`"),
        ("{% if a %}", "`map.title.template`"),
        ("{% if a == 'b' %}{{ a|strange }}{% endif %}", "there is no filter `strange`"),
        ("{{ a is strange }}", "there is no test `strange`"),
        ("{{ strange(a) }}", "there is no function `strange`"),
        ("{{ a.upper() }}", "there is no method `.upper()`"),
        ("{{ a|replace }}", "missing argument"),
        ("{{ row }}", "`row` needs a column's name"),
        ("{{ debug() }}", "there is no function `debug`"),
        ("{% include 'x' %}", "`map.title.template`"),
    ] {
        let problems = problems_of("title", template(text));
        assert!(problems[0].contains(told), "{text}: {problems:?}");
    }
}

#[test]
fn remote_ids_come_from_exactly_one_place() {
    let some = |text: &str| Some(text.to_owned());
    let file = RemoteIdSettings { file: Some("ids.csv".into()), ..RemoteIdSettings::default() };
    for (remote_id, keys) in [
        (RemoteIdSettings::default(), vec!["remote_id"]),
        (file.clone(), vec!["remote_id.key", "remote_id.value"]),
        (
            RemoteIdSettings {
                column: some("Id"),
                key: some("a"),
                value: some("b"),
                ..file.clone()
            },
            vec!["remote_id"],
        ),
        (
            RemoteIdSettings { column: some(" "), ..RemoteIdSettings::default() },
            vec!["remote_id.column"],
        ),
        (
            RemoteIdSettings { table: table(&[("a", "1"), ("a ", "2")]), ..Default::default() },
            vec!["remote_id.table"],
        ),
    ] {
        let settings = MappingSettings { remote_id, ..settings(&[("title", column("Title"))]) };
        let told: Vec<_> = problems(&settings).into_iter().map(|problem| problem.key).collect();
        assert_eq!(told, keys);
    }
}

#[test]
fn the_settings_are_read_from_a_configuration_file() {
    let text = r#"{
        "map": {
            "title": { "column": "Job", "on_empty": "clear", "case": "upper" },
            "groups": {
                "column": "G",
                "split": ";",
                "lookup": { "table": { "a": "A" }, "on_missing": "keep" }
            },
            "role": { "constant": "USER" }
        },
        "scope": "status == 'in'",
        "remote_id": { "column": "Id" }
    }"#;
    let mapping = compile(&serde_json::from_str(text).unwrap());
    let cells = [("Job", "boss"), ("G", "a"), ("status", "in")];
    let wanted = wanted(&mapping, &record(&cells));
    assert!(wanted.attributes[&AttrPath::new("title")] == Some("BOSS".into()));
    assert!(wanted.attributes[&AttrPath::new("groups")] == Some(Value::set(["A"])));
}

#[test]
fn the_digest_moves_with_every_setting_that_can_change_a_result() {
    type Change = fn(&mut MappingSettings);
    fn rule<'a>(settings: &'a mut MappingSettings, path: &str) -> &'a mut RuleSettings {
        settings.map.get_mut(path).unwrap()
    }
    let mut base = settings(&[
        ("title", column("A")),
        ("groups", RuleSettings { lookup: Some(lookup(&[("a", "b")])), ..column("G") }),
        ("active", column("Active")),
        ("startDate", column("Start")),
        ("role", constant(json!("USER"))),
        ("department", template("{{ A }}")),
    ]);
    base.remote_id = RemoteIdSettings { table: table(&[("E7", "r7")]), ..Default::default() };
    let changes: Vec<Change> = vec![
        |s| rule(s, "title").column = Some("B".into()),
        |s| rule(s, "role").constant = Some(json!("ADMIN")),
        |s| rule(s, "department").template = Some("{{ B }}".into()),
        |s| rule(s, "groups").split = Some(";".into()),
        |s| rule(s, "groups").lookup = None,
        |s| {
            rule(s, "groups").lookup.as_mut().unwrap().table.insert("a".into(), "c".into());
        },
        |s| {
            rule(s, "groups").lookup.as_mut().unwrap().table.insert("z".into(), "c".into());
        },
        |s| rule(s, "groups").lookup.as_mut().unwrap().on_missing = OnMissing::Keep,
        |s| rule(s, "title").on_empty = OnEmpty::Clear,
        |s| rule(s, "title").on_empty = OnEmpty::Error,
        |s| rule(s, "title").optional = true,
        |s| rule(s, "title").case = Some(Case::Lower),
        |s| rule(s, "title").case = Some(Case::Upper),
        |s| rule(s, "startDate").date_format = Some("%d.%m.%Y".into()),
        |s| rule(s, "title").on_drift = OnDrift::Keep,
        |s| rule(s, "title").on_drift = OnDrift::Hold,
        |s| rule(s, "active").true_values = vec!["1".into()],
        |s| rule(s, "active").false_values = vec!["1".into()],
        |s| s.scope = Some("a == 'b'".into()),
        |s| s.remote_id = RemoteIdSettings { column: Some("Id".into()), ..Default::default() },
        |s| {
            s.remote_id.table.insert("E7".into(), "r8".into());
        },
        |s| {
            s.map.remove("active");
        },
        |s| {
            s.map.insert("share".into(), constant(json!(1)));
        },
    ];
    let mut digests = vec![compile(&base).digest()];
    for change in &changes {
        let mut other = base.clone();
        change(&mut other);
        digests.push(compile(&other).digest());
    }
    let mut capabilities = capabilities();
    capabilities.attributes.insert(AttrPath::new("title"), Attribute::of(Kind::Text).clearable());
    digests.push(Mapping::compile(&base, &capabilities).unwrap().digest());
    let distinct: BTreeSet<_> = digests.iter().collect();
    assert_eq!(distinct.len(), changes.len() + 2);
    assert_eq!(compile(&base).digest(), digests[0]);
}

#[test]
fn nothing_of_a_record_or_a_constant_is_ever_told() {
    const CANARY: &str = "canary-7f3a";
    let mut base = settings(&[]);
    for path in capabilities().attributes.keys() {
        let bad = match path.as_str() {
            "title" => template("{{ row['C']|int }}"),
            "department" => RuleSettings { lookup: Some(lookup(&[("a", "b")])), ..column("C") },
            "name.familyName" => template("{{ C.missing }}"),
            "groups" => template("{{ C|batch(C) }}"),
            _ => column("C"),
        };
        base.map.insert(path.as_str().into(), bad);
    }
    let mapping = compile(&base);
    let record = record(&[("C", CANARY), ("Id", &format!("{CANARY}/x"))]);
    let mapped = mapping.map(&record, &any_id);
    let Mapped::Held { held, findings } = &mapped else { panic!("not held") };
    assert_eq!(held.len(), capabilities().attributes.len() + 1);
    let told = format!("{mapped:?} {mapping:?} {record:?}")
        + &serde_json::to_string(&(held, findings)).unwrap();
    assert!(!told.contains(CANARY), "{told}");

    let mut base = settings(&[]);
    for path in capabilities()
        .attributes
        .keys()
        .filter(|p| !["groups", "title", "department", "name.familyName"].contains(&p.as_str()))
    {
        base.map.insert(path.as_str().into(), constant(json!(CANARY)));
    }
    base.map.insert(
        "department".into(),
        RuleSettings {
            lookup: Some(lookup(&[(CANARY, CANARY), ("canary-7f3a ", "x")])),
            ..column("A")
        },
    );
    base.remote_id.table = table(&[(CANARY, CANARY)]);
    let told = format!("{:?} {:?}", problems(&base), base.remote_id);
    assert!(!told.contains(CANARY), "{told}");
}
