//! Whole nights on a feed: HTTP on loopback, pages, tokens, and a server that fails.

use crate::{
    company::{Person, TOKEN, TOKEN_VARIABLE, Tenant},
    sources::{FIELDS, element},
    world::{self, World, of},
};
use assert_cmd::Command;
use rosterd::{
    cycle::{self, CycleReport, TenantEnd},
    model::{LeaverReason, Severity},
    sandbox::{Api, FeedFault, FeedSettings, PracticeFeed, RetryAfterForm},
};
use serde_json::Value;
use std::{fs, io::ErrorKind, net::TcpListener};

/// Each way from page to page: its name at the practice feed, and the table of the settings.
const STYLES: [(&str, &str); 6] = [
    ("all", ""),
    ("link", "style = \"link\""),
    ("next", "style = \"next\"\nnext = \"$.next\""),
    ("cursor", "style = \"cursor\"\ncursor = \"$.cursor\"\nparameter = \"cursor\""),
    ("page", "style = \"page\"\nparameter = \"page\""),
    ("offset", "style = \"offset\"\nparameter = \"offset\"\nshort_page_ends = true"),
];

fn settings(feed: &PracticeFeed, style: &str, further: &str) -> String {
    let (name, paging) = STYLES.into_iter().find(|(name, _)| *name == style).unwrap();
    let paging = match paging {
        "" => String::new(),
        keys => format!(
            "[sources.people.feed.paging]\n{keys}\npage_size = 50\npage_size_parameter = \"limit\"\n"
        ),
    };
    format!(
        "[sources.people.feed]\nurl = \"{}\"\nkey = \"employee_id\"\nrecords = \"$.data[*]\"\n\
         total = \"$.total\"\nquota = \"1000/s\"\nallow_insecure_http = \"loopback\"\n\
         [sources.people.feed.fields]\n{FIELDS}\n{paging}{further}",
        feed.url(name)
    )
}

fn elements(people: &[Person]) -> Vec<Value> {
    people.iter().map(element).collect()
}

async fn practice(people: &[Person], settings: FeedSettings) -> PracticeFeed {
    let settings = FeedSettings { people: elements(people), ..settings };
    PracticeFeed::start(([127, 0, 0, 1], 0).into(), settings).await.unwrap()
}

/// One tenant, adopted from a feed of that style.
async fn adopted(count: u32, style: &str) -> (World, PracticeFeed) {
    let feed = practice(&Person::all(count), FeedSettings::default()).await;
    let world = World::new(count, vec![Tenant::new("datadog", Api::Datadog)]).await;
    let mut world = world.with_source(&settings(&feed, style, ""));
    world.adopt();
    (world, feed)
}

fn statuses(feed: &PracticeFeed) -> Vec<Option<u16>> {
    feed.requests().into_iter().map(|seen| seen.status).collect()
}

/// Why the source was refused, and that nothing came of it.
fn refusal(world: &World, report: &CycleReport) -> String {
    assert_eq!(report.exit().code(), 65, "{report:?}");
    assert_eq!(of(report, "datadog").end, TenantEnd::SourceRefused);
    assert_eq!(world.sent("datadog"), [""; 0]);
    let refused = report.findings.iter().filter(|finding| finding.severity == Severity::Refused);
    let told: Vec<String> = refused.map(ToString::to_string).collect();
    assert_eq!(told.len(), 1, "{told:?}");
    told.concat()
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_feed_in_any_pages_one_changed_title_is_one_patch_and_then_nothing() {
    for (style, _) in STYLES {
        let (mut world, feed) = adopted(130, style).await;
        world.rest().await;
        world.people[76].set("title", "Head of \"Engineering\", and more");
        feed.set_people(elements(&world.people));
        feed.clear_requests();
        let report = world.night().await;
        assert_eq!(report.exit().code(), 0, "{style}: {report:?}");
        assert_eq!(world.sent("datadog"), ["PATCH E00077 title"], "{style}");
        assert_eq!(feed.requests().len(), if style == "all" { 1 } else { 3 }, "{style}");
        world.assert_in_step();
        world.rest().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_feed_that_says_it_is_as_it_was_makes_a_quiet_night() {
    let (mut world, feed) = adopted(130, "all").await;
    world.rest().await;
    feed.clear_requests();
    assert_eq!(world.preview().exit().code(), 0);
    world.rest().await;
    assert_eq!(statuses(&feed), [Some(304), Some(304)]);
    // Its copy is no more: all of it is sent again, and says the same.
    fs::remove_file(world.state_dir().join("spool/people.feed.csv")).unwrap();
    feed.clear_requests();
    world.rest().await;
    assert_eq!(statuses(&feed), [Some(200)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_feed_whose_elements_are_read_in_another_way_is_sent_again() {
    let (mut world, feed) = adopted(20, "all").await;
    world.rest().await;
    feed.clear_requests();
    world.preview();
    let world = world.with_source(&settings(&feed, "all", "").replace("=='work'", "=='home'"));
    let plan = of(&world.preview(), "datadog").plan.clone();
    assert_eq!(statuses(&feed), [Some(304), Some(200)]);
    assert_eq!(plan.unwrap().held.len(), 20, "no such address");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_only_looks_at_a_feed_leaves_nothing_behind() {
    let feed = practice(&Person::all(20), FeedSettings::default()).await;
    let world = World::new(20, vec![Tenant::new("datadog", Api::Datadog)]).await;
    let world = world.with_source(&settings(&feed, "next", ""));
    for verb in ["check", "plan", "sandbox"] {
        let report = cycle::judge(&world.config(), &world::source(), &world.options(verb));
        assert_eq!(report.facts.unwrap().users, 20, "{verb}");
        assert!(!world.state_dir().exists(), "{verb}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn b02_b11_b15_a_night_on_a_feed_that_fails_for_a_moment_misses_nobody() {
    let (mut world, feed) = adopted(130, "next").await;
    world.marry_all();
    feed.set_people(elements(&world.people));
    let faults = [
        (1, FeedFault::Status(503, RetryAfterForm::Seconds(1))),
        (3, FeedFault::CutBody),
        (4, FeedFault::Lost),
        (6, FeedFault::Status(500, RetryAfterForm::None)),
    ];
    feed.set_faults(faults);
    feed.clear_requests();
    let report = world.night().await;
    assert_eq!(report.exit().code(), 0, "{report:?}");
    assert_eq!(world.count("datadog", "PATCH"), 130);
    assert_eq!(feed.requests().len(), 3 + 4);
    world.assert_in_step();

    feed.set_faults([(2, FeedFault::SignIn)]);
    let report = world.night().await;
    let told = refusal(&world, &report);
    assert!(told.contains("page 2 is not JSON: text/html, titled \"Sign in\""), "{told}");
    assert!(told.contains("feed http://127.0.0.1:") && told.contains("[RD-1205]"), "{told}");
    feed.set_faults([]);
    world.rest().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn b09_a_redirect_of_a_feed_is_told_and_nobody_is_visited() {
    let (mut world, feed) = adopted(130, "link").await;
    let thief = TcpListener::bind("127.0.0.1:0").unwrap();
    thief.set_nonblocking(true).unwrap();
    let to = format!("http://{}/in?token=canary", thief.local_addr().unwrap());
    feed.set_faults([(2, FeedFault::Redirect(to))]);
    let report = world.night().await;
    let told = refusal(&world, &report);
    let origin = format!("a redirect to http://{}, which", thief.local_addr().unwrap());
    assert!(told.contains(&origin) && !told.contains("canary"), "{told}");
    assert_eq!(thief.accept().unwrap_err().kind(), ErrorKind::WouldBlock);
    feed.set_faults([]);
    world.rest().await;
}

/// A feed of three pages that gives out tokens, each good for so many pages.
async fn with_login(pages_per_token: u32) -> (World, PracticeFeed) {
    let client = Some(("rosterd".to_owned(), TOKEN.to_owned()));
    let further = FeedSettings { client, pages_per_token, ..FeedSettings::default() };
    let feed = practice(&Person::all(130), further).await;
    let world = World::new(130, vec![Tenant::new("datadog", Api::Datadog)]).await;
    let login = format!(
        "[sources.people.feed.login]\ntype = \"client_credentials\"\nclient_id = \"rosterd\"\n\
         token_url = \"{}\"\nclient_secret_env = \"{TOKEN_VARIABLE}\"\n",
        feed.url("token")
    );
    let mut world = world.with_source(&settings(&feed, "page", &login));
    if pages_per_token > 1 {
        world.adopt();
    }
    (world, feed)
}

#[tokio::test(flavor = "multi_thread")]
async fn b05_a_token_that_expires_between_pages_is_fetched_anew_once_for_the_same_page() {
    let (mut world, feed) = with_login(2).await;
    feed.clear_requests();
    world.rest().await;
    let asked: Vec<_> =
        feed.requests().into_iter().map(|seen| (seen.path, seen.status.unwrap())).collect();
    let page = |number: u32| format!("/page?limit=50&page={number}");
    let token = || "/token".to_owned();
    let expected = [
        (token(), 200),
        (page(1), 200),
        (page(2), 200),
        (page(3), 401),
        (token(), 200),
        (page(3), 200),
    ];
    assert_eq!(asked, expected);

    let (mut world, feed) = with_login(1).await;
    let report = world.night().await;
    let told = refusal(&world, &report);
    assert!(told.contains("its credentials are refused"), "{told}");
    assert_eq!(statuses(&feed).iter().filter(|status| **status == Some(401)).count(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn b05_a_token_that_a_person_gave_and_that_is_refused_is_tried_once() {
    let token = Some("another".to_owned());
    let feed = practice(&Person::all(3), FeedSettings { token, ..FeedSettings::default() }).await;
    let world = World::new(3, vec![Tenant::new("datadog", Api::Datadog)]).await;
    let credentials =
        format!("[sources.people.feed.credentials]\ntoken_env = \"{TOKEN_VARIABLE}\"\n");
    let mut world = world.with_source(&settings(&feed, "all", &credentials));
    let report = world.night().await;
    let told = refusal(&world, &report);
    assert!(told.contains("its credentials are refused") && !told.contains(TOKEN), "{told}");
    assert_eq!(statuses(&feed), [Some(401)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn b16_who_is_marked_in_a_feed_has_left_by_the_mark_and_who_is_missing_by_absence() {
    let feed = practice(&Person::all(60), FeedSettings::default()).await;
    let leavers = "[sources.people.leavers]\ncolumn = \"status\"\nvalues = [\"terminated\"]\n";
    let world = World::new(60, vec![Tenant::new("datadog", Api::Datadog)]).await;
    let mut world = world.with_source(&settings(&feed, "cursor", leavers));
    world.adopt();
    world.people[6].set("status", "terminated");
    let mut people = world.people.clone();
    people.remove(30);
    feed.set_people(elements(&people));
    let report = world.preview();
    let plan = of(&report, "datadog").plan.as_ref().unwrap();
    let left = |reason: LeaverReason| {
        let left = plan.leavers.iter().filter(move |leaver| leaver.reason == reason);
        left.map(|leaver| leaver.key.as_str().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(left(LeaverReason::StatusColumn), ["E00007"]);
    assert_eq!(left(LeaverReason::AbsentFromSource), ["E00031"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn b18_rows_of_a_feed_wait_for_their_day_and_a_file_may_be_joined_to_it() {
    let with_days = |people: &[Person], from: &str| {
        let mut elements = elements(people);
        elements[4]["from"] = from.into();
        elements
    };
    let people = Person::all(130);
    let feed = practice(&[], FeedSettings::default()).await;
    feed.set_people(with_days(&people, ""));
    let world = World::new(130, vec![Tenant::new("datadog", Api::Datadog)]).await;
    let source = settings(&feed, "next", "")
        .replace("status = \"status\"", "status = \"status\"\nvalid_from = \"from\"")
        .replace("title = \"job['title']\"\n", "")
        .replace("quota", "keys_may_repeat = true\nquota");
    let further = "[sources.people.effective]\nfrom = \"valid_from\"\nzone = \"UTC\"\n\
        [sources.people.join.titles]\ncolumns = [\"title\"]\n\
        [sources.people.join.titles.csv]\npath = \"titles.csv\"\nkey = \"employee_id\"\n";
    let titles = |title: &str| {
        let rows = people.iter().map(|person| format!("{},{title}\n", person.key()));
        "employee_id,title\n".to_owned() + &rows.collect::<String>()
    };
    let mut world = world.with_source(&format!("{source}{further}"));
    fs::write(world.path("titles.csv"), titles("Engineer")).unwrap();
    world.adopt();
    world.rest().await;

    world.people[4].set("family_name", "Later");
    world.people[5].set("family_name", "Now");
    feed.set_people(with_days(&world.people, "2030-01-01"));
    let report = world.night().await;
    assert_eq!(report.exit().code(), 0, "{report:?}");
    assert_eq!(world.sent("datadog"), ["PATCH E00006 name.formatted"]);
    assert_eq!(report.facts.unwrap().waiting, 1);
    fs::write(world.path("titles.csv"), titles("Officer")).unwrap();
    world.night().await;
    assert_eq!(world.count("datadog", "PATCH"), 129);
    world.rest().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_program_reads_a_feed_with_every_verb_that_reads_a_source() {
    let token = Some(TOKEN.to_owned());
    let settings_of = FeedSettings { token, ..FeedSettings::default() };
    let feed = practice(&Person::all(70), settings_of).await;
    let world = World::new(70, vec![Tenant::new("datadog", Api::Datadog)]).await;
    let credentials = format!(
        "[sources.people.feed.credentials]\ntoken_env = \"{TOKEN_VARIABLE}\"\n\
             token_expires = \"2020-01-31\"\n"
    );
    let world = world.with_source(&settings(&feed, "link", &credentials));
    let rosterd = |arguments: Vec<&str>| {
        let mut rosterd = Command::new(env!("CARGO_BIN_EXE_rosterd"));
        rosterd.env_clear().env(TOKEN_VARIABLE, TOKEN).args(["--log-level", "debug"]);
        rosterd.arg("--config").arg(world.path("rosterd.toml")).args(arguments);
        let output = rosterd.output().unwrap();
        let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        assert!(!text.contains(TOKEN) && !text.contains("Family1"), "{text}");
        (output.status.code().unwrap(), text)
    };
    for verb in [&["check"][..], &["adopt", "--yes"], &["plan"], &["run"], &["apply", "--yes"]] {
        feed.clear_requests();
        let (code, text) = rosterd(verb.to_vec());
        assert_eq!(code, 0, "{verb:?}: {text}");
        assert!(text.contains("its last day was 2020-01-31"), "{verb:?}: {text}");
        assert_eq!(feed.requests().len(), 2, "{verb:?}");
    }
    feed.set_faults([(1, FeedFault::SignIn)]);
    let (code, text) = rosterd(vec!["run"]);
    assert_eq!(code, 65, "{text}");
    assert!(text.contains("RD-1205") && text.contains("feed http://127.0.0.1:"), "{text}");
}
