//! What people and programs are shown.
//!
//! Golden files under `tests/report/` are meant to be read by a person: `ROSTERD_BLESS=1` rewrites
//! them, and the difference is reviewed.
#![expect(
    clippy::unwrap_used,
    clippy::unnecessary_wraps,
    reason = "helpers of tests may panic, and a wish is a value or none"
)]

use jiff::Timestamp;
use proptest::prelude::*;
use rosterd::{
    config::{Surroundings, load},
    cycle::{CycleReport, Failure, Quarantines, Results, TenantEnd, TenantReport},
    engine::{plan::digest, quarantine::TenantCause},
    model::{
        Action, AttrPath, Code, Completeness, Edit, Fate, Finding, Fingerprint, Forecast, Held,
        HeldReason, Leaver, LeaverReason, Match, Notice, Operation, Place, Plan, RemoteId, RunId,
        Severity, SourceFacts, SourceId, TenantId, Timer, TrippedGuard, UserKey, Value,
    },
    report::{
        AcceptedRoster, Approved, LastRun, Paused, SavedPlan, Style, TenantQuarantine,
        TenantStatus, Waiting, check_text, findings_text, json_line, json_text, plan_json,
        plan_text, status_json, status_text, summary_json, summary_text, tenant_plan_text,
    },
    sender::{Ended, Tally},
    store::{AcceptedInput, Account, Entry, Holder, Store, StoreError, TenantInQuarantine},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    time::Duration,
};

// ---- the world of these tests ------------------------------------------------------------------

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn key(text: &str) -> UserKey {
    UserKey::parse(text).unwrap()
}

fn tenant(text: &str) -> TenantId {
    TenantId::parse(text).unwrap()
}

fn text(text: &str) -> Option<Value> {
    Some(Value::text(text))
}

#[expect(clippy::option_option, reason = "unknown, unset, and a value")]
fn edit(path: &str, before: Option<Option<Value>>, after: Option<Value>) -> Edit {
    Edit { path: AttrPath::new(path), before, after }
}

fn patch(user: &str, edits: Vec<Edit>, companions: &[(&str, &str)]) -> Operation {
    let companions = companions.iter();
    let companions =
        companions.map(|(path, value)| (AttrPath::new(path), Value::from(*value))).collect();
    operation(user, Action::Patch { edits, companions })
}

fn operation(user: &str, action: Action) -> Operation {
    let remote_id = RemoteId::parse(&format!("id-{}", user.to_lowercase())).ok();
    Operation { key: key(user), remote_id, action }
}

fn held(user: &str, reason: HeldReason, attribute: Option<&str>, why: &str) -> Held {
    Held {
        key: key(user),
        reason,
        attribute: attribute.map(AttrPath::new),
        line: Some(17),
        why: why.to_owned(),
        others_go: reason == HeldReason::NotAccepted,
        timer: None,
        sides: None,
    }
}

fn finding(severity: Severity, line: u64, user: Option<&str>, message: &str) -> Finding {
    let file = Some("roster.csv".to_owned());
    let column = Some("Title".to_owned());
    Finding {
        severity,
        code: Code("RD-2001"),
        place: Place { file, line: Some(line), column, ..Place::default() },
        message: message.to_owned(),
        hint: "correct the cell in the source".to_owned(),
        key: user.map(key),
    }
}

fn operations() -> Vec<Operation> {
    let title = edit("title", Some(text("Engineer")), text("Senior Engineer"));
    let first = edit("_name.firstName", Some(text("Ann")), text("Anne"));
    let roles = edit(
        "roles",
        Some(Some(Value::set(["editor", "viewer"]))),
        Some(Value::set(["admin", "viewer"])),
    );
    vec![
        patch("E00017", vec![first, roles, title], &[("_name.lastName", "Lee")]),
        patch(
            "E00018",
            vec![
                edit("active", Some(Some(Value::from(true))), Some(Value::from(false))),
                edit("department", Some(None), text("Sales")),
                edit("level", Some(Some(Value::from(3))), Some(Value::from(4))),
                edit("phone", Some(text("+15550100")), None),
            ],
            &[],
        ),
        patch("E00019", vec![edit("title", None, text("Nurse \"in charge\""))], &[]),
        operation("E00020", Action::Read),
        operation("E00021", Action::Read),
    ]
}

fn plan_of(name: &str, operations: Vec<Operation>) -> Plan {
    let requests = operations.len() as u64;
    Plan {
        tenant: tenant(name),
        users: 998,
        unchanged: 991,
        operations,
        held: vec![
            held(
                "E00030",
                HeldReason::BadValue,
                Some("title"),
                "`title` is longer than 128 characters",
            ),
            held("E00031", HeldReason::SharedRemoteId, None, "another user has the same id"),
            held(
                "E00032",
                HeldReason::NotAccepted,
                Some("phone"),
                "the target did not take this value; not sent again",
            ),
        ],
        leavers: vec![Leaver {
            key: key("E00040"),
            reason: LeaverReason::AbsentFromSource,
            fate: Fate::Told,
        }],
        guards: Vec::new(),
        forecast: Forecast { requests, duration: Duration::from_secs(50 * requests) },
    }
}

fn tenant_report(name: &str, api: &'static str, plan: Option<Plan>) -> TenantReport {
    TenantReport {
        tenant: tenant(name),
        api,
        digest: plan.as_ref().map(digest).unwrap_or_default(),
        plan,
        findings: Vec::new(),
        notices: BTreeSet::new(),
        privileges: [AttrPath::new("roles"), AttrPath::new("active")].into(),
        results: Results::default(),
        quarantines: Quarantines::default(),
        end: TenantEnd::Planned,
    }
}

fn cycle(tenants: Vec<TenantReport>) -> CycleReport {
    CycleReport {
        run: RunId::parse("01890000-0000-7000-8000-000000000001").unwrap(),
        source: SourceId::parse("hr").unwrap(),
        path: PathBuf::from("/srv/hr/roster.csv"),
        started: at("2026-03-01T02:30:00Z"),
        facts: Some(SourceFacts {
            rows: 1000,
            users: 999,
            held: 1,
            waiting: 0,
            completeness: Completeness::Complete,
            digest: Fingerprint(7),
        }),
        findings: vec![finding(Severity::Warning, 3, None, "column `Title` is read twice")],
        tenants,
    }
}

/// One tenant with everything, one that a guard holds, and one that could not be planned.
fn rich_plan() -> CycleReport {
    let mut acme = tenant_report("acme", "workiva", Some(plan_of("acme", operations())));
    acme.findings = vec![
        finding(Severity::Held, 17, Some("E00030"), "`title` is longer than 128 characters"),
        finding(Severity::Warning, 18, Some("E00033"), "`phone` is empty and left as it is"),
    ];
    acme.notices = [Notice {
        message: "version 1 of this API ends on 2026-09-30".to_owned(),
        hint: "set `tenants.acme.version = 2`".to_owned(),
        refuses: false,
    }]
    .into();
    let mut plan = plan_of("beta", operations()[..1].to_vec());
    plan.held.clear();
    plan.guards = vec![TrippedGuard {
        guard: "max_update",
        figure: "412 (41.2 %) of 1000 users would change".to_owned(),
        limit: "30%".to_owned(),
        key: "tenants.beta.guards.max_update".to_owned(),
    }];
    let mut beta = tenant_report("beta", "kare", Some(plan));
    beta.end = TenantEnd::Guarded;
    let mut gamma = tenant_report("gamma", "biot", None);
    gamma.end = TenantEnd::Locked { why: "process 4711 on host a has the state".to_owned() };
    cycle(vec![gamma, acme, beta])
}

fn failure(status: Option<u16>, code: &str, why: &str) -> Failure {
    Failure { status, code: code.to_owned(), why: why.to_owned() }
}

fn rich_summary() -> CycleReport {
    let mut report = rich_plan();
    let [gamma, acme, _] = report.tenants.as_mut_slice() else { panic!("three tenants") };
    acme.results = Results {
        read: 2,
        settled: 1,
        unverified: 1,
        not_accepted: 1,
        refused: 1,
        gone: 1,
        in_doubt: 1,
        deferred: 1,
        left: 3,
        requests: Tally {
            reads: 3,
            patches: 5,
            throttled: 2,
            paused: Duration::from_millis(12_300),
        },
        failures: BTreeMap::from([
            (key("E00017"), failure(Some(422), "invalid_title", "Title \"Senior\" is unknown")),
            (key("E00018"), failure(Some(404), "", "the target has no such user")),
            (key("E00019"), failure(None, "", "the answer was lost")),
        ]),
    };
    acme.end = TenantEnd::Early(Ended::Throttled { until: at("2026-03-01T05:00:00Z") });
    gamma.end = TenantEnd::Paused { until: at("2026-03-02T02:30:00Z") };
    report
}

fn dry_run() -> Style {
    Style { dry_run: true, ..Style::default() }
}

fn assert_golden(name: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/report").join(name);
    if std::env::var_os("ROSTERD_BLESS").is_some() {
        std::fs::write(&path, text).unwrap();
    }
    let golden = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(golden == text, "{name} has changed; ROSTERD_BLESS=1 rewrites it. Now:\n{text}");
}

/// Control characters other than line ends, and characters that reorder a line.
fn is_dangerous(c: char) -> bool {
    let reorders = matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}'
        | '\u{2066}'..='\u{2069}' | '\u{61c}');
    reorders || (c.is_control() && c != '\n')
}

// ---- texts -------------------------------------------------------------------------------------

#[test]
fn a_rich_plan_reads_as_its_golden_file() {
    assert_golden("plan.txt", &plan_text(&rich_plan(), &dry_run()));
}

#[test]
fn a_plan_to_be_asked_about_reads_as_its_golden_file() {
    let report = rich_plan();
    assert_golden("tenant_plan.txt", &tenant_plan_text(&report.tenants[1], &Style::default()));
}

#[test]
fn a_narrow_plan_without_values_reads_as_its_golden_file() {
    let style = Style { values: false, width: Some(60), limit: Some(1), ..dry_run() };
    assert_golden("plan_narrow.txt", &plan_text(&rich_plan(), &style));
}

#[test]
fn a_rich_summary_reads_as_its_golden_file() {
    assert_golden("summary.txt", &summary_text(&rich_summary(), &Style::default()));
}

#[test]
fn a_check_reads_as_its_golden_file() {
    assert_golden("check.txt", &check_text(&rich_plan(), &Style::default()));
}

#[test]
fn f08_the_first_and_the_last_line_of_a_dry_run_say_so_and_those_of_a_run_do_not() {
    let text = plan_text(&rich_plan(), &dry_run());
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines.first().unwrap().starts_with("DRY RUN"));
    assert!(lines.last().unwrap().starts_with("DRY RUN"));
    let text = summary_text(&rich_summary(), &Style::default());
    assert!(!text.contains("DRY RUN") && text.starts_with("Run "));
}

#[test]
fn f13_the_forecast_tells_requests_duration_and_the_end() {
    let text = plan_text(&rich_plan(), &dry_run());
    assert!(text.contains("5 requests, about 4 min 10 s at the tenant's quota"));
    assert!(text.contains("it would end at 2026-03-01 02:34:10 UTC"));
}

#[test]
fn the_order_in_which_tenants_ended_changes_no_byte() {
    let mut other = rich_plan();
    other.tenants.reverse();
    assert_eq!(plan_text(&rich_plan(), &dry_run()), plan_text(&other, &dry_run()));
    assert_eq!(plan_json(&rich_plan()).to_string(), plan_json(&other).to_string());
    assert_eq!(summary_json(&rich_plan()).to_string(), summary_json(&other).to_string());
}

#[test]
fn a_refused_source_is_told_with_its_reasons_and_nothing_is_planned() {
    let mut report = cycle(Vec::new());
    report.facts = None;
    report.findings = vec![finding(Severity::Refused, 1, None, "the header has no key column")];
    let mut acme = tenant_report("acme", "workiva", None);
    acme.end = TenantEnd::SourceRefused;
    report.tenants.push(acme);
    let text = plan_text(&report, &dry_run());
    assert!(text.contains("REFUSED: nothing is planned"), "{text}");
    assert!(text.contains("the header has no key column"), "{text}");
    let json = plan_json(&report);
    assert_eq!((&json["errored"], &json["applyable"]), (&true.into(), &false.into()));
}

#[test]
fn a_partial_read_says_that_absence_proves_nothing() {
    let mut report = cycle(Vec::new());
    let facts = report.facts.as_mut().unwrap();
    facts.completeness = Completeness::Partial("the trailer is missing".to_owned());
    let text = plan_text(&report, &dry_run());
    assert!(text.contains("NOT complete: the trailer is missing"), "{text}");
    assert_eq!(plan_json(&report)["complete"], false);
}

#[test]
fn a_quiet_night_says_that_there_is_nothing_to_do() {
    let mut plan = plan_of("acme", Vec::new());
    plan.held.clear();
    plan.leavers.clear();
    let text = plan_text(&cycle(vec![tenant_report("acme", "kare", Some(plan))]), &dry_run());
    assert!(text.contains("Nothing to do: everybody is as they should be."), "{text}");
}

#[test]
fn a_limit_leaves_out_entries_of_a_list_and_says_how_many() {
    let operations: Vec<Operation> = (0..400)
        .map(|n| patch(&format!("E{n:05}"), vec![edit("title", None, text("x"))], &[]))
        .collect();
    let report = cycle(vec![tenant_report("acme", "kare", Some(plan_of("acme", operations)))]);
    let text = plan_text(&report, &Style { limit: Some(12), ..dry_run() });
    assert!(text.contains("… and 388 more (see --out or --json)"));
    assert_eq!(text.matches("  ~ E").count(), 12);
}

fn quarantined(next_try: Option<Timestamp>) -> TenantInQuarantine {
    let timer = Timer { since: at("2026-02-28T02:31:00Z"), next_try, tries: 3 };
    TenantInQuarantine { cause: TenantCause::Broken, why: "status 301".to_owned(), timer }
}

#[test]
fn every_end_of_a_tenant_says_what_happened_and_what_happens_next() {
    let why = || "reason given".to_owned();
    let until = at("2026-03-01T05:00:00Z");
    let ends = [
        TenantEnd::Guarded,
        TenantEnd::Declined,
        TenantEnd::Early(Ended::Stopped),
        TenantEnd::Early(Ended::Deadline),
        TenantEnd::Early(Ended::Throttled { until }),
        TenantEnd::Early(Ended::Unwell { why: why() }),
        TenantEnd::Early(Ended::Unauthorized),
        TenantEnd::Early(Ended::Broken { why: why() }),
        TenantEnd::Early(Ended::NotRecorded { why: why() }),
        TenantEnd::Paused { until },
        TenantEnd::Quarantined(quarantined(Some(until))),
        TenantEnd::Quarantined(quarantined(None)),
        TenantEnd::Locked { why: why() },
        TenantEnd::State { why: why() },
        TenantEnd::Unusable { why: why() },
        TenantEnd::SourceRefused,
    ];
    let mut seen = BTreeSet::new();
    for end in ends {
        let mut acme = tenant_report("acme", "kare", None);
        acme.end = end.clone();
        let report = cycle(vec![acme]);
        let json = summary_json(&report)["tenants"][0]["end"].clone();
        let [what, next] = ["what", "next"].map(|name| json[name].as_str().unwrap().to_owned());
        assert!(!what.is_empty() && !next.is_empty(), "{end:?}");
        assert!(seen.insert(json["state"].to_string()), "{end:?} has the name of another end");
        let text = summary_text(&report, &Style::default());
        assert!(text.contains(&what) && text.contains(&next), "{end:?}: {text}");
    }
}

#[test]
fn findings_are_told_worst_first_and_by_line_with_their_counts() {
    let findings = [
        finding(Severity::Warning, 9, None, "odd"),
        finding(Severity::Held, 12, Some("E2"), "bad"),
        finding(Severity::Held, 4, Some("E1"), "bad"),
        finding(Severity::Refused, 1, None, "no header"),
    ];
    let text = findings_text(&findings);
    assert_golden("findings.txt", &text);
    let mut reversed = findings.to_vec();
    reversed.reverse();
    assert_eq!(findings_text(&reversed), text);
    assert_eq!(findings_text(&[]), "no findings\n");
}

// ---- what data may not do ----------------------------------------------------------------------

const HOSTILE: &str = "x\u{1b}[2J\u{1b}]0;owned\u{7}\nDRY RUN\r\u{202e}evil\u{9b}31m\u{2066}";

/// Hostile text wherever text can come from a file or a target.
fn hostile() -> CycleReport {
    let mut report = rich_summary();
    report.path = PathBuf::from(format!("/srv/{HOSTILE}.csv"));
    report.findings = vec![finding(Severity::Held, 1, None, HOSTILE)];
    report.findings[0].place.column = Some(HOSTILE.to_owned());
    report.findings[0].hint = HOSTILE.into();
    let user = key("E\u{202e}1");
    for tenant in &mut report.tenants {
        tenant.notices =
            [Notice { message: HOSTILE.into(), hint: HOSTILE.into(), refuses: true }].into();
        tenant.results.failures.insert(user.clone(), failure(None, "", HOSTILE));
        let Some(plan) = &mut tenant.plan else { continue };
        let members = Some(Value::set([HOSTILE]));
        let edits = vec![
            edit("groups", Some(Some(Value::set(["a"]))), members),
            edit("title", Some(text(HOSTILE)), text("\u{200b}")),
        ];
        let mut operation = patch("E1", edits, &[]);
        operation.key = user.clone();
        plan.operations = vec![operation];
        plan.held[..].iter_mut().for_each(|held| held.why = HOSTILE.into());
        plan.leavers = vec![Leaver {
            key: user.clone(),
            reason: LeaverReason::StatusColumn,
            fate: Fate::Told,
        }];
        tenant.digest = digest(plan);
        tenant.end = TenantEnd::State { why: HOSTILE.to_owned() };
    }
    report
}

#[test]
fn g10_no_text_from_a_file_or_a_target_reaches_the_terminal_as_a_control_character() {
    let report = hostile();
    for style in [dry_run(), Style { values: false, width: Some(40), ..dry_run() }] {
        let texts = [
            plan_text(&report, &style),
            summary_text(&report, &style),
            check_text(&report, &style),
            findings_text(&report.findings),
            json_text(&plan_json(&report)),
            json_text(&summary_json(&report)),
        ];
        for text in texts {
            assert!(!text.chars().any(is_dangerous), "{text:?}");
            assert!(!text.contains('\u{200b}'), "{text:?}");
            let forged = text.lines().skip(1).filter(|line| line.starts_with("DRY RUN"));
            assert!(forged.count() <= 1, "a value forged a line: {text}");
        }
    }
    assert!(plan_text(&report, &dry_run()).contains("x\\u{1b}[2J"));
}

#[test]
fn json_that_is_safe_to_print_reads_back_as_it_was() {
    let json = plan_json(&hostile());
    for text in [json_text(&json), json_line(&json)] {
        assert_eq!(serde_json::from_str::<serde_json::Value>(&text).unwrap(), json);
    }
    let line = json_line(&json);
    assert!(line.lines().count() == 1 && !line.chars().any(is_dangerous));
}

#[test]
fn without_colour_there_is_no_escape_byte_and_with_it_the_words_are_the_same() {
    let colour = Style { colour: true, ..dry_run() };
    let (report, plain) = (rich_summary(), dry_run());
    for render in [plan_text, summary_text, check_text] {
        let (plain, painted) = (render(&report, &plain), render(&report, &colour));
        assert!(!plain.contains('\u{1b}'));
        assert!(painted.contains('\u{1b}'));
        assert_eq!(without_paint(&painted), plain);
    }
}

fn without_paint(text: &str) -> String {
    let mut parts = text.split('\u{1b}');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| text + part.split_once('m').map_or(part, |(_, rest)| rest))
}

#[test]
fn g11_without_values_no_value_id_or_vendors_word_is_shown() {
    let style = Style { values: false, ..dry_run() };
    let report = rich_summary();
    let text = plan_text(&report, &style) + &summary_text(&report, &style);
    for secret in [
        "Senior",
        "Engineer",
        "Anne",
        "admin",
        "editor",
        "Sales",
        "5550100",
        "id-e",
        "unknown\"",
        "Nurse",
    ] {
        assert!(!text.contains(secret), "{secret} is shown: {text}");
    }
    assert!(text.contains("text of 8 characters → text of 15 characters"), "{text}");
    assert!(text.contains("+1 −1 members (2 after)"), "{text}");
}

proptest! {
    #[test]
    fn p10_g10_whatever_a_value_holds_it_stays_on_its_line(before in any::<String>(), after in any::<String>()) {
        let edits = vec![edit("title", Some(text(&before)), text(&after))];
        let plan = plan_of("acme", vec![patch("E1", edits, &[])]);
        let lines = |report: &TenantReport| tenant_plan_text(report, &Style::default()).lines().count();
        let usual = plan_of("acme", vec![patch("E1", vec![edit("title", Some(text("a")), text("b"))], &[])]);
        let report = tenant_report("acme", "kare", Some(plan));
        prop_assert_eq!(lines(&report), lines(&tenant_report("acme", "kare", Some(usual))));
        prop_assert!(!tenant_plan_text(&report, &Style::default()).chars().any(is_dangerous));
    }

    #[test]
    fn a_plan_of_any_values_saved_and_read_is_the_same_plan(
        texts in prop::collection::vec(any::<String>(), 1..5), number in any::<f64>()
    ) {
        let number = Value::number(number).unwrap_or(Value::from(0));
        let mut edits: Vec<Edit> = texts
            .iter()
            .enumerate()
            .map(|(n, value)| edit(&format!("a{n}"), (n > 1).then(|| text(value)), text(value)))
            .collect();
        edits.push(edit("n", Some(None), Some(Value::set([number]))));
        let plan = plan_of("acme", vec![patch("E1", edits, &[("b", &texts[0])])]);
        let report = cycle(vec![tenant_report("acme", "kare", Some(plan))]);
        let saved = SavedPlan::read(&json_text(&plan_json(&report)));
        prop_assert!(saved.as_ref().is_ok_and(|s| s.stale(&report.tenants).is_none()), "{saved:?}");
    }
}

// ---- JSON, and the plan that was saved ---------------------------------------------------------

#[test]
fn a_rich_plan_as_json_is_its_golden_file() {
    assert_golden("plan.json", &json_text(&plan_json(&rich_plan())));
}

#[test]
fn a_rich_summary_as_json_is_its_golden_file() {
    assert_golden("summary.json", &json_text(&summary_json(&rich_summary())));
}

#[test]
fn a_saved_plan_holds_each_planned_tenants_digest_and_is_not_stale_at_once() {
    let report = rich_plan();
    let saved = SavedPlan::read(&json_text(&plan_json(&report))).unwrap();
    assert_eq!((saved.source.as_str(), saved.path.as_str()), ("hr", "/srv/hr/roster.csv"));
    let names: Vec<String> = saved.tenants.keys().map(ToString::to_string).collect();
    assert_eq!(names, ["acme", "beta"]);
    let acme = &saved.tenants[&tenant("acme")];
    assert_eq!((&acme.digest, acme.operations), (&report.tenants[1].digest, 5));
    assert_eq!(saved.stale(&report.tenants), None);
}

/// One of each operation with a whole account.
fn lives() -> CycleReport {
    let by = Match { path: AttrPath::new("userName"), value: Value::text("ann@x.org") };
    let flip = |to: bool| edit("active", Some(Some(Value::Flag(!to))), Some(Value::Flag(to)));
    let new = vec![edit("userName", Some(None), text("ann@x.org"))];
    let without_id = |user, action| Operation { remote_id: None, ..operation(user, action) };
    let operations = vec![
        without_id("E1", Action::Find { by: by.clone() }),
        without_id("E2", Action::Create { edits: new, by: vec![by] }),
        operation("E3", Action::Disable { edit: flip(false) }),
        operation("E4", Action::Enable { edit: flip(true) }),
        operation("E5", Action::Delete),
    ];
    let mut plan = plan_of("acme", operations);
    let fates = [Fate::Disabled, Fate::Deleted, Fate::Unknown];
    plan.leavers = ["E3", "E5", "E6"]
        .into_iter()
        .zip(fates)
        .map(|(user, fate)| Leaver { key: key(user), reason: LeaverReason::AbsentFromSource, fate })
        .collect();
    cycle(vec![tenant_report("acme", "datadog", Some(plan))])
}

#[test]
fn every_operation_with_a_whole_account_is_told_by_its_sign_and_in_words() {
    let report = lives();
    let told = plan_text(&report, &dry_run());
    for line in [
        "? E1 is looked for first",
        "+ E2 gets an account",
        "- E3 (remote id id-e3) has left and is switched off",
        "~ E4 (remote id id-e4) is back and is switched on again",
        "- E5 (remote id id-e5) left long ago; the account is DELETED",
        "- E6: leaver, absent from the source; the target has not shown the account",
    ] {
        assert!(told.contains(line), "{line}\n{told}");
    }
    let json = json_text(&plan_json(&report));
    for reason in ["joined", "left", "returned", "left_long_ago"] {
        assert!(json.contains(&format!("\"{reason}\"")), "{reason}\n{json}");
    }
    let saved = SavedPlan::read(&json).unwrap();
    assert_eq!(saved.stale(&report.tenants), None);
    let mut other = lives();
    let plan = other.tenants[0].plan.as_mut().unwrap();
    plan.operations.pop();
    other.tenants[0].digest = digest(plan);
    assert!(saved.stale(&other.tenants).is_some());
}

#[test]
fn a_saved_plan_is_stale_when_any_tenant_would_be_sent_something_else() {
    let report = rich_plan();
    let saved = SavedPlan::read(&json_text(&plan_json(&report))).unwrap();
    let mut changed = rich_plan();
    let plan = plan_of("acme", operations()[..2].to_vec());
    changed.tenants[1] = tenant_report("acme", "workiva", Some(plan));
    assert!(saved.stale(&changed.tenants).unwrap().contains("acme"));
    let mut fewer = rich_plan();
    fewer.tenants.remove(2);
    assert!(saved.stale(&fewer.tenants).unwrap().contains("beta"));
    let mut more = rich_plan();
    more.tenants[0] = tenant_report("gamma", "biot", Some(plan_of("gamma", operations())));
    assert!(saved.stale(&more.tenants).unwrap().contains("gamma"));
    let mut unplanned = rich_plan();
    unplanned.tenants[1].plan = None;
    assert!(saved.stale(&unplanned.tenants).is_some());
}

#[test]
fn f06_no_flipped_byte_of_a_saved_plan_lets_other_changes_pass() {
    let text = json_text(&plan_json(&rich_plan()));
    let whole = SavedPlan::read(&text).unwrap();
    let mut read_again = 0;
    for index in 0..text.len() {
        for bit in [1, 2, 4] {
            let mut bytes = text.clone().into_bytes();
            bytes[index] ^= bit;
            let Ok(flipped) = String::from_utf8(bytes) else { continue };
            let Ok(saved) = SavedPlan::read(&flipped) else { continue };
            // What was flipped is no part of what would be sent: a hint, a line number.
            let same = saved.tenants == whole.tenants;
            assert!(same || saved.stale(&rich_plan().tenants).is_some(), "byte {index}, bit {bit}");
            read_again += 1;
        }
    }
    assert!(read_again > 0);
    let digest = text.find("sha256:").unwrap() + "sha256:".len();
    for index in digest..digest + 64 {
        let mut bytes = text.clone().into_bytes();
        bytes[index] ^= 1;
        assert!(SavedPlan::read(&String::from_utf8(bytes).unwrap()).is_err(), "byte {index}");
    }
}

#[test]
fn a_plan_of_another_format_or_kind_is_refused_with_the_reason() {
    let plan = plan_json(&rich_plan());
    let with = |name: &str, value: &str| {
        let mut json = plan.clone();
        json[name] = value.into();
        SavedPlan::read(&json.to_string())
    };
    assert!(with("format_version", "1.7").is_ok());
    assert!(with("format_version", "2.0").unwrap_err().contains("major format version 2"));
    assert!(with("format_version", "new").unwrap_err().contains("not of the form"));
    assert!(with("kind", "run").unwrap_err().contains("another kind"));
    let text = plan.to_string();
    assert!(SavedPlan::read(&text[..text.len() / 2]).unwrap_err().contains("cut short"));
    assert!(SavedPlan::read("").unwrap_err().contains("cut short"));
    assert!(SavedPlan::read("plan").unwrap_err().contains("not JSON"));
    assert!(SavedPlan::read("{}").unwrap_err().contains("shape of a plan"));
}

#[test]
fn g12_why_a_saved_plan_is_refused_shows_no_value() {
    let mut json = plan_json(&rich_plan());
    json["tenants"][0]["changes"][0]["edits"][0]["after"] = serde_json::json!({"Canary": 1});
    assert!(!SavedPlan::read(&json.to_string()).unwrap_err().contains("Canary"));
    json["tenants"][0]["changes"][0]["key"] = serde_json::json!(["Canary"]);
    assert!(!SavedPlan::read(&json.to_string()).unwrap_err().contains("Canary"));
    json["tenants"][0]["tenant"] = "Canary".into();
    assert!(!SavedPlan::read(&json.to_string()).unwrap_err().contains("Canary"));
}

// ---- status ------------------------------------------------------------------------------------

fn statuses() -> Vec<TenantStatus> {
    let quiet = TenantStatus {
        tenant: tenant("beta"),
        api: "kare".to_owned(),
        users_known: 0,
        in_doubt: 0,
        not_accepted: 0,
        gone: 0,
        in_quarantine: 0,
        given_up: 0,
        held_by_hand: 0,
        quarantine: None,
        last_run: None,
        paused: None,
        accepted_input: None,
        next_run: None,
        waiting: Vec::new(),
        approved: Vec::new(),
        serial: 0,
    };
    let busy = TenantStatus {
        tenant: tenant("acme"),
        api: "workiva".to_owned(),
        users_known: 998,
        in_doubt: 2,
        not_accepted: 1,
        gone: 3,
        in_quarantine: 4,
        given_up: 1,
        held_by_hand: 2,
        quarantine: Some(TenantQuarantine {
            cause: "credentials",
            why: "the target refuses the credentials".to_owned(),
            timer: Timer {
                since: at("2026-02-28T02:31:00Z"),
                next_try: Some(at("2026-03-01T08:31:00Z")),
                tries: 3,
            },
        }),
        last_run: Some(LastRun {
            started: at("2026-03-01T02:30:00Z"),
            verb: "daemon".to_owned(),
            summary: "exit 5: 12 settled, 15 requests".to_owned(),
        }),
        paused: Some(Paused {
            until: at("2026-03-01T05:42:00Z"),
            why: "the target asked for fewer requests".to_owned(),
        }),
        accepted_input: Some(AcceptedRoster { users: 998, at: at("2026-02-28T02:31:00Z") }),
        next_run: Some(at("2026-03-02T02:30:00Z")),
        waiting: vec![Waiting {
            digest: "sha256:5d1c".to_owned(),
            since: at("2026-03-01T02:31:00Z"),
            figures: vec![
                "max_update: 412 (41.2 %) of 1000 users would change; the limit is 30%".to_owned(),
            ],
        }],
        approved: vec![Approved {
            digest: "sha256:77aa".to_owned(),
            who: "ann (uid 1000)".to_owned(),
            reason: "the merger\u{202e}".to_owned(),
            expires: at("2026-03-02T02:30:00Z"),
        }],
        serial: 17,
    };
    vec![quiet, busy]
}

#[test]
fn the_status_tells_what_waits_until_when_and_why() {
    let now = at("2026-03-01T05:30:00Z");
    assert_golden("status.txt", &status_text(&statuses(), now));
    assert_golden("status.json", &json_text(&status_json(&statuses())));
}

#[test]
fn a_pause_that_has_passed_is_not_told() {
    let text = status_text(&statuses(), at("2026-03-01T06:00:00Z"));
    assert!(!text.contains("paused"), "{text}");
}

const CONFIG: &str = r#"
[sources.hr.csv]
path = "roster.csv"
key = "employee_id"

[tenants.acme]
source = "hr"

[tenants.acme.datadog]
site = "datadoghq.eu"

[tenants.acme.credentials]
token_file = "token"

[tenants.acme.remote_id]
column = "datadog_id"

[tenants.acme.map]
title = { column = "title" }
"#;

#[test]
fn the_status_is_what_the_snapshot_holds() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("rosterd.toml");
    std::fs::write(&path, CONFIG).unwrap();
    let config = load(&path, &Surroundings::default()).unwrap();
    let acme = &config.tenants[&tenant("acme")];
    let none = TenantStatus::of(acme, None, None, at("2026-03-01T02:30:00Z")).unwrap();
    assert_eq!((none.users_known, none.serial, none.last_run), (0, 0, None));

    let now = at("2026-03-01T02:30:00Z");
    let holder = Holder { pid: 1, host: "here".to_owned(), since: now };
    let mut store = Store::open(dir.path(), &tenant("acme"), &holder).unwrap();
    let imported = store.import(Fingerprint(9), |import| {
        for user in ["E1", "E2"] {
            let attributes = [(AttrPath::new("title"), text("Clerk"))].into();
            let account = Account::new(key(user), RemoteId::parse(user).unwrap(), &attributes);
            import.add(account, Some(Fingerprint(1)))?;
        }
        Ok::<_, StoreError>(())
    });
    assert_eq!(imported.unwrap().1.adopted, 2);
    let run = RunId::parse("01890000-0000-7000-8000-000000000001").unwrap();
    store.begin_run(&run, "run", now).unwrap();
    let until = at("2026-03-01T05:00:00Z");
    store.commit(&[Entry::Pause { until, why: "slow down".to_owned() }]).unwrap();
    let input = AcceptedInput { users: 2, rows: 2, digest: Fingerprint(2), at: now };
    store.accept_input(&input).unwrap();
    let cut_off = TenantStatus::of(acme, Some(&store), None, now).unwrap();
    assert!(cut_off.last_run.unwrap().summary.contains("has not ended"));
    store.end_run(&run, r#"{"exit":5,"settled":1,"requests":3}"#, now).unwrap();

    let status = TenantStatus::of(acme, Some(&store), Some(until), now).unwrap();
    assert_eq!((status.users_known, status.in_doubt, status.gone), (2, 0, 0));
    assert_eq!(status.paused, Some(Paused { until, why: "slow down".to_owned() }));
    assert_eq!(status.accepted_input, Some(AcceptedRoster { users: 2, at: now }));
    let last = status.last_run.unwrap();
    assert_eq!((last.verb.as_str(), last.started), ("run", now));
    assert_eq!(last.summary, "exit 5: 1 settled, 3 requests");
    assert!(status.serial > 0);
}
