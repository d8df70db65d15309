//! Sources that are no plain CSV file: JSON, drop folders, joined sources, rows with days.

use crate::{
    company::{Person, Tenant, roster},
    world::{self, World, exit_of, of},
};
use jiff::{Timestamp, ToSpan as _};
use rosterd::{
    cycle::{self, CycleReport, Options, Progress, Session, Silent, TenantEnd},
    daemon::holder,
    model::{Finding, LeaverReason, Severity, TenantId, UNKNOWN_CELL},
    sandbox::Api,
};
use serde_json::{Value, json};
use std::{
    fmt::Write as _,
    fs::{self, File},
    os::unix::fs::MetadataExt as _,
    path::Path,
    sync::Arc,
};

pub(crate) const FIELDS: &str = r#"
employee_id = "id"
given_name = "name.given"
family_name = "name.family"
email = "emails[?(@.type=='work')].value"
title = "job['title']"
department = "units[0].name"
status = "status"
workiva_id = "accounts[?@.system=='workiva'].id"
uuid = "accounts[?@.system=='uuid'].id"
kare_id = "accounts[?@.system=='kare'].id"
"#;

fn source(format: &str, rest: &str) -> String {
    let file = format!("path = \"people.{format}\"\nkey = \"employee_id\"\n");
    format!("[sources.people.{format}]\n{file}{rest}\n[sources.people.{format}.fields]\n{FIELDS}")
}

pub(crate) fn element(person: &Person) -> Value {
    let get = |column| person.get(column);
    json!({
        "id": get("employee_id"),
        "name": { "given": get("given_name"), "family": get("family_name") },
        "emails": [{ "type": "home", "value": "x" }, { "type": "work", "value": get("email") }],
        "job": { "title": get("title") },
        "units": [{ "name": get("department") }, { "name": "all" }],
        "status": get("status"),
        "accounts": [
            { "system": "workiva", "id": get("workiva_id") },
            { "system": "kare", "id": get("kare_id").parse::<u64>().unwrap() },
            { "system": "uuid", "id": get("uuid") },
        ],
    })
}

fn document(people: &[Person]) -> String {
    let people: Vec<Value> = people.iter().map(element).collect();
    serde_json::to_string_pretty(&json!({ "total": people.len(), "data": people })).unwrap()
}

fn lines(people: &[Person]) -> String {
    people.iter().map(|person| element(person).to_string() + "\n").collect()
}

/// Without the columns that no tenant uses.
fn found(report: &CycleReport) -> Vec<&Finding> {
    report.findings.iter().filter(|finding| finding.code.0 != "RD-1025").collect()
}

fn codes(report: &CycleReport) -> Vec<&str> {
    found(report).iter().map(|finding| finding.code.0).collect()
}

/// What makes a file another one, or the same.
fn made(path: &Path) -> (u64, i64, i64) {
    let metadata = fs::metadata(path).unwrap();
    (metadata.ino(), metadata.mtime(), metadata.mtime_nsec())
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_json_roster_one_changed_title_is_one_patch_where_it_is_mapped() {
    let rest = "records = \"$.data[*]\"";
    let mut world = World::new(300, Tenant::of_each_api()).await.with_source(&source("json", rest));
    let write = |world: &World| fs::write(world.path("people.json"), document(&world.people));
    write(&world).unwrap();
    world.adopt();
    world.rest().await;
    let copy = world.state_dir().join("spool/people.csv");
    let before = made(&copy);
    world.rest().await;
    assert_eq!(made(&copy), before, "the same file is not copied again");

    world.people[76].set("title", "Head of \"Engineering\", and more");
    write(&world).unwrap();
    assert_eq!(world.preview().exit().code(), 0);
    assert_eq!(made(&copy), before, "who only looks leaves the copy as it is");
    let report = world.night().await;
    assert_eq!(report.exit().code(), 0);
    assert_eq!(world.sent("datadog"), ["PATCH E00077 title"]);
    assert_eq!(world.sent("biot"), ["PATCH E00077 jobTitle"]);
    assert_ne!(made(&copy), before);
    world.rest().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_of_json_are_a_roster_and_a_bad_one_is_told_by_its_line() {
    let settings = source("jsonl", "on_bad_row = \"hold\"");
    let mut world =
        World::new(300, vec![Tenant::new("datadog", Api::Datadog)]).await.with_source(&settings);
    fs::write(world.path("people.jsonl"), lines(&world.people)).unwrap();
    world.adopt();
    world.rest().await;

    let mut text = lines(&world.people).replacen("\"E00009\"", "[]", 1);
    text = text.replacen("\"title\":\"Engineer\"", "\"title\":{}", 1);
    fs::write(world.path("people.jsonl"), format!("\n{text}")).unwrap();
    let report = world.night().await;
    assert_eq!(world.sent("datadog"), [""; 0]);
    let told: Vec<_> = found(&report).iter().map(|finding| finding.place.line).collect();
    assert_eq!(told, [Some(2), Some(10)], "{:?}", report.findings);
    assert!(of(&report, "datadog").plan.as_ref().unwrap().leavers.is_empty());
    let held = &of(&report, "datadog").plan.as_ref().unwrap().held;
    assert_eq!((held.len(), held[0].line), (1, Some(2)), "{held:?}");

    fs::write(world.path("people.jsonl"), lines(&world.people)).unwrap();
    world.rest().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn b12_a_json_file_that_is_cut_changes_nobody() {
    let rest = "records = \"data\"";
    let mut world = World::new(30, Tenant::of_each_api()).await.with_source(&source("json", rest));
    let text = document(&world.people);
    fs::write(world.path("people.json"), &text).unwrap();
    world.adopt();
    world.marry_all();
    let text = document(&world.people);
    fs::write(world.path("people.json"), &text[..text.len() / 2]).unwrap();
    let report = world.night().await;
    assert_eq!((report.exit().code(), codes(&report)), (65, vec!["RD-1070"]));
    let place = &found(&report)[0].place;
    assert!(place.pointer.as_ref().unwrap().starts_with("/data/1"), "{place:?}");
    assert!(place.file.as_ref().unwrap().ends_with("people.json"), "{place:?}");
    assert!(world.sandbox.requests("datadog").is_empty());

    fs::write(world.path("people.json"), &text).unwrap();
    world.night().await;
    world.assert_in_step();
    world.rest().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn b16_who_is_marked_has_left_by_the_mark_and_who_is_missing_by_absence() {
    let leavers = "[sources.people.leavers]\ncolumn = \"status\"\nvalues = [\"deleted\"]\n";
    let settings = leavers.to_owned() + &source("json", "records = \"data\"");
    let mut world =
        World::new(20, vec![Tenant::new("datadog", Api::Datadog)]).await.with_source(&settings);
    let write = |world: &World| fs::write(world.path("people.json"), document(&world.people));
    write(&world).unwrap();
    world.adopt();
    world.people[2].set("status", "deleted");
    world.people.remove(19);
    write(&world).unwrap();
    let report = world.night().await;
    let leavers = &of(&report, "datadog").plan.as_ref().unwrap().leavers;
    let told: Vec<_> = leavers.iter().map(|leaver| (leaver.key.as_str(), leaver.reason)).collect();
    let marked = ("E00003", LeaverReason::StatusColumn);
    assert_eq!(told, [marked, ("E00020", LeaverReason::AbsentFromSource)]);
    world.rest().await;
}

const DROP: &str = "[sources.people.csv]\nkey = \"employee_id\"\n\
    [sources.people.drop]\nfolder = \"in\"\narchive = \"used\"\npattern = \"hr-*.csv\"\n";

/// Drops a file that was written to so many seconds ago.
fn drop_file(world: &World, name: &str, text: &str, age: i64) {
    let path = world.path("in").join(name);
    fs::write(&path, text).unwrap();
    let written: Timestamp = world.now - age.seconds();
    File::options().write(true).open(&path).unwrap().set_modified(written.into()).unwrap();
}

async fn dropping(rest: &str) -> World {
    let world = World::new(20, vec![Tenant::new("datadog", Api::Datadog)]).await;
    let mut world = world.with_source(&format!("{DROP}{rest}"));
    fs::create_dir(world.path("in")).unwrap();
    drop_file(&world, "hr-01.csv", &roster(&world.people), 100_000);
    if rest.contains("done") {
        drop_file(&world, "hr-01.csv.done", "", 0);
    }
    world.adopt();
    world
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[tokio::test(flavor = "multi_thread")]
async fn the_newest_file_of_a_drop_folder_counts_and_goes_to_the_archive_once_it_was_used() {
    let mut world = dropping("").await;
    assert_eq!(names(&world.path("in")), ["hr-01.csv"], "an import uses nothing up");
    world.rest().await;
    assert_eq!(
        (names(&world.path("in")).len(), names(&world.path("used"))),
        (0, vec!["hr-01.csv".into()])
    );
    world.rest().await;

    world.marry_all();
    drop_file(&world, "hr-02.csv", "overtaken", 100_000);
    drop_file(&world, "hr-03.csv", &roster(&world.people), 100_000);
    drop_file(&world, "other.csv", "not ours", 100_000);
    assert_eq!(world.preview().exit().code(), 0);
    assert_eq!(names(&world.path("in")).len(), 3, "who only looks leaves all as it is");
    assert_eq!(world.night().await.exit().code(), 0);
    world.assert_in_step();
    assert_eq!(names(&world.path("in")), ["other.csv"]);
    assert_eq!(names(&world.path("used")), ["hr-01.csv", "hr-02.csv", "hr-03.csv"]);
    world.rest().await;

    drop_file(&world, "hr-03.csv", &roster(&world.people), 100_000);
    world.rest().await;
    assert_eq!(names(&world.path("used"))[3], "hr-03.csv.2", "nothing is overwritten");

    drop_file(&world, "hr-02.csv", &roster(&world.people), 100_000);
    let report = world.night().await;
    assert_eq!((report.exit().code(), codes(&report)), (65, vec!["RD-1082"]));
    assert!(found(&report)[0].place.file.as_ref().unwrap().ends_with("in/hr-02.csv"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_not_yet_stable_is_not_read_and_not_lost() {
    let mut world = dropping("stable_for = \"10m\"\n").await;
    world.rest().await;
    world.marry_all();
    drop_file(&world, "hr-02.csv", &roster(&world.people), 599);
    let report = world.night().await;
    assert_eq!((report.exit().code(), codes(&report)), (65, vec!["RD-1080"]));
    assert!(found(&report)[0].message.contains("whole in 1 s"), "{:?}", report.findings);
    assert!(world.sandbox.requests("datadog").is_empty());

    assert_eq!(world.night().await.exit().code(), 0);
    world.assert_in_step();
    assert_eq!(names(&world.path("used")).len(), 2);
    world.rest().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_with_a_mark_counts_once_the_mark_is_there() {
    let mut world = dropping("companion = \"done\"\n").await;
    world.rest().await;
    assert_eq!(names(&world.path("used")), ["hr-01.csv", "hr-01.csv.done"]);
    world.marry_all();
    drop_file(&world, "hr-02.csv", &roster(&world.people), 0);
    drop_file(&world, "hr-03.csv", "half of i", 0);
    drop_file(&world, "hr-02.csv.done", "", 0);
    let report = world.night().await;
    assert_eq!(codes(&report), ["RD-1080"]);
    assert_eq!((report.exit().code(), found(&report)[0].severity), (0, Severity::Warning));
    world.assert_in_step();
    assert_eq!(names(&world.path("in")), ["hr-03.csv"]);
    world.move_to(world.now);
    assert_eq!(world.night().await.exit().code(), 65);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mark_that_is_older_than_its_file_is_about_another_one() {
    let mut world = dropping("companion = \"done\"\n").await;
    world.rest().await;
    world.marry_all();
    drop_file(&world, "hr-02.csv", &roster(&world.people), 10);
    drop_file(&world, "hr-02.csv.done", "", 11);
    let report = world.night().await;
    assert_eq!((report.exit().code(), codes(&report)), (65, vec!["RD-1080"]));
    assert!(found(&report)[0].message.contains("after its `hr-02.csv.done`"), "{report:?}");
    assert!(world.sandbox.requests("datadog").is_empty());
    drop_file(&world, "hr-02.csv.done", "", 0);
    assert_eq!(world.night().await.exit().code(), 0);
    world.assert_in_step();
}

#[tokio::test(flavor = "multi_thread")]
async fn a26_a_dropped_file_that_was_written_to_after_it_was_read_is_looked_at_again() {
    let mut world = dropping("").await;
    let mut session = world.open();
    drop_file(&world, "hr-01.csv", &roster(&world.people), 99_999);
    let progress: Arc<dyn Progress> = Arc::new(Silent);
    session.carry_out(&progress).await;
    assert_eq!(session.finish(world.now).exit().code(), 0);
    assert_eq!(names(&world.path("in")), ["hr-01.csv"]);
    world.rest().await;
    assert_eq!((names(&world.path("in")).len(), names(&world.path("used")).len()), (0, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_no_archive_takes_is_still_known_to_have_been_used() {
    let mut world = dropping("").await;
    fs::write(world.path("used"), "no folder").unwrap();
    let report = world.night().await;
    assert_eq!((report.exit().code(), codes(&report)), (0, vec!["RD-1084"]));
    assert_eq!(names(&world.path("in")), ["hr-01.csv"]);
    fs::remove_file(world.path("in").join("hr-01.csv")).unwrap();
    drop_file(&world, "hr-00.csv", &roster(&world.people), 100_000);
    let report = world.night().await;
    assert_eq!((report.exit().code(), codes(&report)), (65, vec!["RD-1082"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a25_a_file_is_held_to_the_checksum_and_the_rows_that_its_companion_says() {
    for (companion, right, wrong) in
        [("rows", "20\n".to_owned(), "21".to_owned()), ("sha256", String::new(), "0".repeat(64))]
    {
        let mut world = dropping("").await;
        world = world.with_source(&format!("{DROP}companion = \"{companion}\"\n"));
        world.marry_all();
        let text = roster(&world.people);
        drop_file(&world, "hr-02.csv", &text, 0);
        let name = format!("hr-02.csv.{companion}");
        drop_file(&world, &name, &wrong, 0);
        let report = world.night().await;
        assert_eq!((report.exit().code(), codes(&report)), (65, vec!["RD-1083"]), "{companion}");
        assert!(world.sandbox.requests("datadog").is_empty());

        let sum = ring::digest::digest(&ring::digest::SHA256, text.as_bytes());
        let sum: Vec<String> = sum.as_ref().iter().map(|byte| format!("{byte:02X}")).collect();
        let sum = sum.concat();
        let right = if companion == "rows" { right } else { format!("{sum}  hr-02.csv\n") };
        drop_file(&world, &name, &right, 0);
        let report = world.night().await;
        assert_eq!(report.exit().code(), 0, "{companion} {:?}", report.findings);
        world.assert_in_step();
        world.rest().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn g21_a_link_in_the_drop_folder_is_refused_and_nothing_is_read_through_it() {
    let mut world = dropping("").await;
    fs::write(world.path("secret.csv"), roster(&world.people)).unwrap();
    let link = world.path("in").join("hr-09.csv");
    std::os::unix::fs::symlink(world.path("secret.csv"), &link).unwrap();
    for hard in [false, true] {
        if hard {
            fs::remove_file(&link).unwrap();
            fs::hard_link(world.path("secret.csv"), &link).unwrap();
        }
        let written = (world.now - 1.hours()).into();
        File::options()
            .write(true)
            .open(world.path("secret.csv"))
            .unwrap()
            .set_modified(written)
            .unwrap();
        let report = world.night().await;
        assert_eq!((report.exit().code(), codes(&report)), (65, vec!["RD-1001"]), "{hard}");
        assert!(names(&world.path("used")).is_empty());
    }
    fs::remove_file(&link).unwrap();
    world.rest().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a29_a_file_whose_plan_is_held_stays_where_it_is_until_somebody_has_decided() {
    let mut world = dropping("").await;
    world.rest().await;
    drop_file(&world, "hr-02.csv", &roster(&world.people[..8]), 100_000);
    let report = world.night().await;
    assert_eq!(exit_of(&report, "datadog"), 3, "{:?}", of(&report, "datadog").plan);
    assert_eq!(of(&report, "datadog").end, TenantEnd::Guarded);
    assert_eq!(
        (names(&world.path("in")), names(&world.path("used")).len()),
        (vec!["hr-02.csv".into()], 1)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a27_an_empty_drop_folder_or_file_is_no_roster_of_nobody() {
    let mut world = dropping("").await;
    drop_file(&world, "hr-02.csv", "", 100_000);
    let report = world.night().await;
    assert_eq!((report.exit().code(), codes(&report)), (65, vec!["RD-1015"]));
    assert!(found(&report)[0].place.file.as_ref().unwrap().ends_with("in/hr-02.csv"));
    for name in names(&world.path("in")) {
        fs::remove_file(world.path("in").join(name)).unwrap();
    }
    let report = world.night().await;
    assert_eq!((report.exit().code(), codes(&report)), (65, vec!["RD-1081"]));
}

/// The roster with two more columns.
fn dated(people: &[Person], days: &dyn Fn(&Person) -> Vec<(&'static str, &'static str)>) -> String {
    let text = roster(people);
    let mut lines = text.lines();
    let mut dated = format!("{},valid_from,valid_until\n", lines.next().unwrap());
    for (line, person) in lines.zip(people) {
        for (from, until) in days(person) {
            writeln!(dated, "{line},{from},{until}").unwrap();
        }
    }
    dated
}

const DAYS: &str = "[sources.people.effective]\nfrom = \"valid_from\"\nuntil = \"valid_until\"\n\
    zone = \"Europe/Berlin\"\nformat = \"%d.%m.%Y\"\n";

#[tokio::test(flavor = "multi_thread")]
async fn b18_a_row_of_the_future_waits_for_its_day_where_the_zone_has_it() {
    let tenants = vec![Tenant::new("datadog", Api::Datadog)];
    let mut world = World::new(20, tenants).await.with_source(DAYS);
    world.write_roster_as(&dated(&world.people, &|_| vec![("", "")]));
    world.adopt();
    world.rest().await;

    // E00003 changes on the 10th, and stands there once more until then; E00004 has only the new row.
    let old = world.people[2].clone();
    world.people[2].set("title", "Head");
    world.people[3].set("title", "Chief");
    let mut people = world.people.clone();
    people.insert(2, old);
    let text = dated(&people, &|person| match (person.key(), person.get("title")) {
        ("E00003", "Engineer") => vec![("01.01.2020", "09.03.2026")],
        ("E00003", _) => vec![("10.03.2026", "")],
        ("E00004", _) => vec![("10.03.2026", "31.12.2030")],
        ("E00005", _) => vec![("", "09.03.2026")],
        _ => vec![("", "")],
    });
    world.write_roster_as(&text);
    world.move_to("2026-03-09T22:59:00Z".parse().unwrap());
    let report = world.rest().await;
    let told = (report.facts.as_ref().unwrap().waiting, codes(&report));
    assert_eq!(told, (2, vec!["RD-1091"]), "{:?}", report.findings);
    assert!(found(&report)[0].message.contains("2026-03-10"), "{:?}", report.findings);
    let plan = of(&report, "datadog").plan.as_ref().unwrap();
    assert_eq!((plan.leavers.len(), plan.held.len(), plan.unchanged), (0, 0, 20));
    let copy = world.state_dir().join("spool/people.csv");
    let before = made(&copy);
    world.move_to("2026-03-09T22:59:30Z".parse().unwrap());
    world.rest().await;
    assert_eq!(made(&copy), before, "until that day the copy stays as it is");

    // Midnight in Berlin.
    world.move_to("2026-03-09T23:00:00Z".parse().unwrap());
    let report = world.night().await;
    assert_eq!(world.sent("datadog"), ["PATCH E00003 title", "PATCH E00004 title"]);
    assert_eq!(report.facts.as_ref().unwrap().waiting, 0);
    let leavers = &of(&report, "datadog").plan.as_ref().unwrap().leavers;
    assert_eq!(leavers.len(), 1, "the last day of E00005 is over");
    assert_eq!(
        (leavers[0].key.as_str(), leavers[0].reason),
        ("E00005", LeaverReason::StatusColumn)
    );
    world.rest().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a10_two_rows_of_one_person_in_force_on_one_day_are_held() {
    let tenants = vec![Tenant::new("datadog", Api::Datadog)];
    let mut world = World::new(300, tenants).await.with_source(DAYS);
    world.write_roster_as(&dated(&world.people, &|_| vec![("", "")]));
    world.adopt();
    let mut other = world.people[2].clone();
    other.set("title", "Head");
    let mut people = world.people.clone();
    people.push(other);
    let text = dated(&people, &|person| match person.key() {
        "E00007" => vec![("31.02.2026", "")],
        "E00008" => vec![("02.02.2026", "01.02.2026")],
        _ => vec![("01.01.2026", "")],
    });
    world.write_roster_as(&text);
    let report = world.rest().await;
    let told: Vec<_> = found(&report).iter().map(|f| (f.code.0, f.place.line)).collect();
    let expected = [("RD-1047", Some(4)), ("RD-1090", Some(8)), ("RD-1090", Some(9))];
    assert_eq!(told, expected, "{:?}", report.findings);
    assert_eq!(found(&report)[0].message, "lines 4, 302 have one key and say different things");
    let held = &of(&report, "datadog").plan.as_ref().unwrap().held;
    let held: Vec<_> = held.iter().map(|held| (held.key.as_str(), held.line)).collect();
    assert_eq!(held, [("E00003", Some(4)), ("E00007", Some(8)), ("E00008", Some(9))]);
}

const TITLES: &str = "[sources.people.join.titles]\ncolumns = [\"title\"]\n\
    [sources.people.join.titles.jsonl]\npath = \"titles.jsonl\"\nkey = \"employee_id\"\n\
    [sources.people.join.titles.jsonl.fields]\nemployee_id = \"who\"\ntitle = \"is\"\n";

fn titles(people: &[Person]) -> String {
    let line = |person: &Person| json!({ "who": person.key(), "is": person.get("title") });
    people.iter().map(|person| line(person).to_string() + "\n").collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_joined_source_owns_its_columns_and_who_is_not_in_it_is_left_alone() {
    let tenants = vec![Tenant::new("datadog", Api::Datadog), Tenant::new("kare", Api::Kare)];
    let mut world = World::new(40, tenants).await.with_source(TITLES);
    fs::write(world.path("titles.jsonl"), titles(&world.people)).unwrap();
    world.adopt();
    world.rest().await;
    let copy = world.state_dir().join("spool/people.csv");
    let before = made(&copy);
    world.rest().await;
    assert_eq!(made(&copy), before);

    // The roster's own title says nothing any more; E00002 and E00003 are not in the other source.
    world.people[0].set("title", "Head");
    let mut said: Vec<Person> = world.people.clone();
    said.drain(1..3);
    said.push(Person::new(999));
    fs::write(world.path("titles.jsonl"), titles(&said)).unwrap();
    world.people[4].set("title", "not the owner");
    world.write_roster();
    let report = world.night().await;
    assert_eq!(world.sent("datadog"), ["PATCH E00001 title"]);
    assert_eq!((report.exit().code(), codes(&report)), (0, vec!["RD-1096"]));
    assert!(found(&report)[0].message.starts_with("1 row of `titles`"), "{:?}", report.findings);
    world.rest().await;

    for damaged in ["{\"who\":\"E00001\"", "", "{\"is\":\"nobody\"}\n"] {
        fs::write(world.path("titles.jsonl"), damaged).unwrap();
        world.marry_all();
        let report = world.night().await;
        assert_eq!(report.exit().code(), 65, "{damaged}");
        let told = found(&report)[0].place.file.as_deref().unwrap_or_default();
        assert!(told.ends_with("titles.jsonl"), "{:?}", report.findings);
        assert!(world.sandbox.requests("datadog").is_empty());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_not_in_a_joined_source_has_empty_cells_where_that_is_said() {
    let missing = TITLES.replacen("columns", "missing = \"empty\"\ncolumns", 1);
    let tenants = vec![Tenant::new("datadog", Api::Datadog)];
    let mut world = World::new(20, tenants).await.with_source(&missing);
    fs::write(world.path("titles.jsonl"), titles(&world.people[1..])).unwrap();
    world.adopt();
    world.rest().await;
    let copied = || fs::read_to_string(world.state_dir().join("spool/people.csv")).unwrap();
    let row = copied().lines().find(|line| line.starts_with("E00001,")).unwrap().to_owned();
    assert!(row.ends_with(','), "{row}");
    assert!(!copied().contains(UNKNOWN_CELL));
    let mut world = world.with_source(TITLES);
    world.rest().await;
    let copied = fs::read_to_string(world.state_dir().join("spool/people.csv")).unwrap();
    assert_eq!(copied.matches(UNKNOWN_CELL).count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_json_roster_with_days_and_a_partner_is_told_of_by_its_elements() {
    let days = "[sources.people.effective]\nfrom = \"from\"\nzone = \"UTC\"\n";
    let rest = "records = \"data\"\non_bad_row = \"hold\"";
    let table = source("json", rest) + "from = \"from\"\n";
    let table = table.replace("title = \"job['title']\"\n", "");
    let settings = format!("{days}{TITLES}{table}");
    let mut world =
        World::new(120, vec![Tenant::new("datadog", Api::Datadog)]).await.with_source(&settings);
    fs::write(world.path("titles.jsonl"), titles(&world.people)).unwrap();
    let text =
        document(&world.people).replace("\"id\": \"E00001\"", "\"from\": null, \"id\": \"E00001\"");
    fs::write(world.path("people.json"), &text).unwrap();
    world.adopt();
    assert_eq!(found(&world.rest().await).len(), 0);
    let copy = world.state_dir().join("spool/people.csv");
    let before = made(&copy);
    world.rest().await;
    assert_eq!(made(&copy), before);

    let text = text
        .replace("\"id\": \"E00002\"", "\"from\": [\"2026-01-01\"], \"id\": \"E00002\"")
        .replace("\"id\": \"E00003\"", "\"from\": \"soon\", \"id\": \"E00003\"")
        .replace("\"id\": \"E00004\"", "\"from\": \"2031-01-01\", \"id\": \"E00004\"");
    fs::write(world.path("people.json"), &text).unwrap();
    let report = world.rest().await;
    let told: Vec<_> =
        found(&report).iter().map(|f| (f.code.0, f.place.pointer.as_deref())).collect();
    let expected = [("RD-1073", Some("/data/1")), ("RD-1090", Some("/data/2")), ("RD-1091", None)];
    assert_eq!(told, expected, "{:?}", report.findings);
    let plan = of(&report, "datadog").plan.as_ref().unwrap();
    let held: Vec<_> = plan.held.iter().map(|held| (held.key.as_str(), held.line)).collect();
    assert_eq!(held, [("E00002", Some(2)), ("E00003", Some(3))]);
    assert!(plan.held[1].why.starts_with("/data/2: "), "{}", plan.held[1].why);
    assert!(plan.leavers.is_empty());
    fs::write(world.path("people.json"), text.replace("\"soon\"", "\"2026-01-01\"")).unwrap();
    assert_eq!(found(&world.rest().await).len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_only_looks_leaves_nothing_behind() {
    let rest = "records = \"data\"";
    let tenants = vec![Tenant::new("datadog", Api::Datadog)];
    let world = World::new(20, tenants).await.with_source(&source("json", rest));
    fs::write(world.path("people.json"), document(&world.people)).unwrap();
    for verb in ["check", "sandbox"] {
        let report = cycle::judge(&world.config(), &world::source(), &world.options(verb));
        assert_eq!((report.exit().code(), report.facts.as_ref().unwrap().users), (0, 20));
    }
    assert_eq!(world.preview().facts.unwrap().users, 20);
    assert!(!world.state_dir().exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_beside_another_one_makes_a_copy_of_its_own() {
    let rest = "records = \"data\"";
    let tenants = vec![Tenant::new("datadog", Api::Datadog), Tenant::new("kare", Api::Kare)];
    let mut world = World::new(20, tenants).await.with_source(&source("json", rest));
    fs::write(world.path("people.json"), document(&world.people)).unwrap();
    world.adopt();
    let copy = world.state_dir().join("spool/people.csv");
    let open = |world: &World, tenant: &str| {
        let tenants = [TenantId::parse(tenant).unwrap()].into();
        let options = Options { tenants, ..world.options("run") };
        Session::open(Arc::new(world.config()), &world::source(), options, &holder())
    };
    let first = open(&world, "datadog");
    let before = made(&copy);
    world.people[0].set("title", "Head");
    fs::write(world.path("people.json"), document(&world.people)).unwrap();
    let second = open(&world, "kare");
    assert_eq!(made(&copy), before, "the first run still reads it");
    for session in [first, second] {
        assert_eq!(session.finish(world.now).facts.unwrap().rows, 20);
    }
    world.night().await;
    assert_ne!(made(&copy), before);
    world.rest().await;
}
