//! Feeds over servers that lie, stall, loop and fail. Time is tokio's, which nobody waits for.

use flate2::{Compression, write::GzEncoder};
use jiff::Timestamp;
use proptest::prelude::*;
use rosterd::{
    config::{Authorities, FeedConfig, PageSize, Paging, Total},
    engine::index::Index,
    feed::{Feed, Fetched, Limits},
    model::{Finding, Rate, Reach, SourceId},
    sender::{
        Clock,
        stream::{Coming, Get, Incoming, Opened, Opening, Piece, Pieces, Wire},
    },
    source::{
        self, CsvSettings, Demand, Refused,
        json::{FieldMap, FieldSpec, JsonForm, Path, Records},
    },
};
use rustix::fs::{FlockOperation, flock};
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, VecDeque},
    fmt::Write as _,
    fs,
    io::Write as _,
    sync::Mutex,
    time::Duration,
};
use tempfile::TempDir;
use tokio::{
    sync::watch,
    time::{Instant, sleep},
};

const FEED: &str = "https://hr.example.com/api/people";

// ---- servers -----------------------------------------------------------------------------------

/// A server that answers each request by its number, from 0, and its address below the origin.
struct Server<F> {
    answers: F,
    asked: Mutex<Vec<Asked>>,
    began: Instant,
}

struct Asked {
    at: Duration,
    path: String,
    headers: Vec<(String, String)>,
}

enum Answer {
    Reply { status: u16, headers: Vec<(String, String)>, body: Body },
    NotSent,
    Lost,
    Unreachable,
}

enum Body {
    Whole(Vec<u8>),
    /// These bytes, and then the connection breaks.
    Cut(Vec<u8>),
    /// A byte now and then, for ever.
    Drip(Duration),
    /// These bytes again and again.
    Endless(Vec<u8>),
}

impl<F: Fn(usize, &str) -> Answer + Send + Sync> Server<F> {
    fn new(answers: F) -> Self {
        Self { answers, asked: Mutex::default(), began: Instant::now() }
    }

    fn paths(&self) -> Vec<String> {
        self.asked.lock().unwrap().iter().map(|asked| asked.path.clone()).collect()
    }
}

impl<F: Fn(usize, &str) -> Answer + Send + Sync> Wire for Server<F> {
    fn get(&self, get: Get) -> Opening<'_> {
        let Get { url, headers, secrets } = get;
        assert!(url.as_str().starts_with("https://hr.example.com/"), "asked elsewhere");
        let path = url.as_str().trim_start_matches("https://hr.example.com").to_owned();
        let secret = |(name, _): &(String, _)| (name.clone(), "secret".to_owned());
        let headers = headers.into_iter().chain(secrets.iter().map(secret)).collect();
        let number = {
            let mut asked = self.asked.lock().unwrap();
            asked.push(Asked { at: self.began.elapsed(), path: path.clone(), headers });
            asked.len() - 1
        };
        let opened = match (self.answers)(number, &path) {
            Answer::Reply { status, headers, body } => {
                Opened::Answered(Incoming { status, headers, body: body.pieces() })
            }
            Answer::NotSent => Opened::NotSent { why: "no connection".to_owned() },
            Answer::Lost => Opened::Lost { why: "the connection broke".to_owned() },
            Answer::Unreachable => Opened::Unreachable { why: "no certificate".to_owned() },
        };
        Box::pin(async { opened })
    }
}

impl Body {
    fn pieces(self) -> Box<dyn Pieces> {
        let cut = |bytes: Vec<u8>| bytes.chunks(1000).map(<[u8]>::to_vec).collect::<VecDeque<_>>();
        Box::new(match self {
            Self::Whole(bytes) => Flow { pieces: cut(bytes), end: End::Whole },
            Self::Cut(bytes) => Flow { pieces: cut(bytes), end: End::Broken },
            Self::Drip(every) => Flow { pieces: VecDeque::new(), end: End::Drip(every) },
            Self::Endless(bytes) => Flow { pieces: VecDeque::new(), end: End::Endless(bytes) },
        })
    }
}

struct Flow {
    pieces: VecDeque<Vec<u8>>,
    end: End,
}

enum End {
    Whole,
    Broken,
    Drip(Duration),
    Endless(Vec<u8>),
}

impl Pieces for Flow {
    fn next(&mut self) -> Coming<'_> {
        Box::pin(async {
            if let Some(piece) = self.pieces.pop_front() {
                return Piece::Bytes(piece);
            }
            match &self.end {
                End::Whole => Piece::End,
                End::Broken => Piece::Broken,
                End::Drip(every) => {
                    sleep(*every).await;
                    Piece::Bytes(b" ".to_vec())
                }
                End::Endless(bytes) => Piece::Bytes(bytes.clone()),
            }
        })
    }
}

fn reply(status: u16, headers: &[(&str, &str)], body: impl Into<Vec<u8>>) -> Answer {
    let headers = headers.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
    Answer::Reply { status, headers, body: Body::Whole(body.into()) }
}

fn ok(page: &Value) -> Answer {
    reply(200, &[("content-type", "application/json; charset=utf-8")], page.to_string())
}

fn streamed(body: Body) -> Answer {
    let headers = vec![("content-type".to_owned(), "application/json".to_owned())];
    Answer::Reply { status: 200, headers, body }
}

fn people(ids: impl IntoIterator<Item = u32>) -> Value {
    ids.into_iter()
        .map(|id| json!({ "id": format!("E{id:05}"), "name": format!("P{id}") }))
        .collect()
}

/// A page of these people with a next address, or none.
fn linked(ids: impl IntoIterator<Item = u32>, next: Option<&str>) -> Value {
    json!({ "data": people(ids), "next": next })
}

fn numbered(path: &str) -> u32 {
    path.rsplit_once('=').map_or(1, |(_, number)| number.parse().unwrap())
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

// ---- the feed ----------------------------------------------------------------------------------

struct Desk {
    dir: TempDir,
    config: FeedConfig,
    limits: Limits,
    now: Timestamp,
    /// Where somebody who only looks keeps what he reads.
    elsewhere: Option<TempDir>,
    stopped: bool,
}

impl Desk {
    fn new(paging: Paging) -> Self {
        let config = FeedConfig {
            url: FEED.parse().unwrap(),
            reach: Reach::default(),
            authorities: Authorities::default(),
            quota: Rate::parse("100/s").unwrap(),
            headers: Vec::new(),
            paging,
            page_size: None,
            total: None,
            conditional: false,
            keys_may_repeat: false,
            access: None,
        };
        let now = "2026-03-02T02:30:00Z".parse().unwrap();
        let (dir, limits) = (tempfile::tempdir().unwrap(), Limits::default());
        Self { dir, config, limits, now, elsewhere: None, stopped: false }
    }

    fn next() -> Self {
        Self::new(Paging::Next { at: Path::parse("$.next").unwrap() })
    }

    fn page() -> Self {
        let parameter = "page".to_owned();
        Self::new(Paging::Page { parameter, first: 1, short_page_ends: false })
    }

    fn total(mut self) -> Self {
        self.config.total = Some(Total::Body(Path::parse("$.total").unwrap()));
        self
    }

    async fn fetch(&self, wire: &dyn Wire) -> Result<Fetched, Refused> {
        let field = |name: &str| (name.to_owned(), FieldSpec::Path(name.to_owned()));
        let form = JsonForm {
            records: Some(Records::at("$.data[*]").unwrap()),
            fields: FieldMap::parse(&BTreeMap::from([field("id"), field("name")])).unwrap(),
        };
        let (_never, stop) = watch::channel(self.stopped);
        let feed = Feed {
            source: &SourceId::parse("hr").unwrap(),
            config: &self.config,
            form: &form,
            rules: &rules(),
            folder: self.dir.path(),
            elsewhere: self.elsewhere.as_ref().map(TempDir::path),
            limits: self.limits,
        };
        feed.fetch_over(wire, Clock::new(self.now, Instant::now()), stop).await
    }

    async fn refused(&self, wire: &dyn Wire) -> Finding {
        let refused = self.fetch(wire).await.unwrap_err();
        assert_eq!(refused.findings.len(), 1, "{refused}");
        refused.findings.into_iter().next().unwrap()
    }

    /// Our own copy as it is now.
    fn copy(&self) -> Option<String> {
        fs::read_to_string(self.dir.path().join("hr.feed.csv")).ok()
    }

    /// A copy of an earlier read.
    fn with_copy(self) -> Self {
        fs::write(self.dir.path().join("hr.feed.csv"), "earlier").unwrap();
        self
    }
}

fn rules() -> CsvSettings {
    CsvSettings { key: "id".to_owned(), ..CsvSettings::default() }
}

#[expect(clippy::unnecessary_wraps, reason = "compared with a copy that may be missing")]
fn copy_of(ids: impl IntoIterator<Item = u32>) -> Option<String> {
    let mut text = "\"id\",\"name\"\n".to_owned();
    for id in ids {
        writeln!(text, "E{id:05},P{id}").unwrap();
    }
    Some(text)
}

// ---- pages -------------------------------------------------------------------------------------

#[tokio::test(start_paused = true)]
async fn pages_are_read_one_after_another_whichever_way_leads_on() {
    let by_link = Server::new(|number, _| {
        let links = ["</api/people?p=2>; rel=\"next\"", "<?p=3>; rel=next", "<x>; rel=first"];
        let headers = [("content-type", "application/json"), ("link", links[number])];
        let first = u32::try_from(number).unwrap() * 2;
        reply(200, &headers, linked([first, first + 1], None).to_string())
    });
    let desk = Desk::new(Paging::Link);
    desk.fetch(&by_link).await.unwrap();
    assert_eq!(by_link.paths(), ["/api/people", "/api/people?p=2", "/api/people?p=3"]);
    assert_eq!(desk.copy(), copy_of(0..6));

    let by_cursor = Server::new(|number, _| {
        let cursor = [json!("a b&c"), json!(7), Value::Null][number].clone();
        ok(
            &json!({ "data": people([u32::try_from(number).unwrap()]), "meta": { "cursor": cursor } }),
        )
    });
    let at = Path::parse("$.meta.cursor").unwrap();
    let mut desk = Desk::new(Paging::Cursor { at, parameter: "after".to_owned() });
    desk.config.page_size = Some(PageSize { parameter: "limit".to_owned(), elements: 1 });
    desk.fetch(&by_cursor).await.unwrap();
    let paths = ["?limit=1", "?limit=1&after=a+b%26c", "?limit=1&after=7"];
    assert_eq!(by_cursor.paths(), paths.map(|query| format!("/api/people{query}")));
    assert_eq!(desk.copy(), copy_of(0..3));

    let by_offset = Server::new(|_, path| {
        let first = numbered(path);
        ok(&json!({ "data": people(first..(first + 3).min(7)), "total": "7" }))
    });
    let parameter = "offset".to_owned();
    let offset = Paging::Offset { parameter, first: 0, short_page_ends: false };
    let desk = Desk::new(offset.clone()).total();
    desk.fetch(&by_offset).await.unwrap();
    let paths = ["?offset=0", "?offset=3", "?offset=6"];
    assert_eq!(by_offset.paths(), paths.map(|query| format!("/api/people{query}")));
    assert_eq!(desk.copy(), copy_of(0..7));

    by_offset.asked.lock().unwrap().clear();
    // Nobody says how many there are, so that only an empty page is the end.
    Desk::new(offset).fetch(&by_offset).await.unwrap();
    assert_eq!(by_offset.paths().len(), 4);
}

#[tokio::test(start_paused = true)]
async fn a_page_that_is_short_ends_the_feed_only_where_the_settings_say_so() {
    let mut desk = Desk::page();
    desk.config.page_size = Some(PageSize { parameter: "size".to_owned(), elements: 2 });
    for (short_page_ends, pages) in [(true, 2), (false, 3)] {
        let parameter = "page".to_owned();
        desk.config.paging = Paging::Page { parameter, first: 1, short_page_ends };
        let server = Server::new(|_, path: &str| {
            let page = numbered(path);
            ok(&json!({ "data": people([page, page + 10].into_iter().take(3 - page as usize)) }))
        });
        desk.fetch(&server).await.unwrap();
        assert_eq!(server.paths().len(), pages, "{short_page_ends}");
    }
}

#[tokio::test(start_paused = true)]
async fn where_pages_are_counted_no_content_is_the_end_and_elsewhere_it_is_no_page() {
    let answers = |number, _: &str| match number {
        0 => ok(&linked([1], Some("?page=2"))),
        _ => reply(204, &[], ""),
    };
    let desk = Desk::page();
    desk.fetch(&Server::new(answers)).await.unwrap();
    assert_eq!(desk.copy(), copy_of([1]));
    let told = Desk::next().refused(&Server::new(answers)).await;
    assert!(told.message.contains("page 2 was answered with status 204"), "{told}");
}

#[tokio::test(start_paused = true)]
async fn b01_a_next_link_that_leads_back_or_to_itself_is_refused() {
    for (back, paths) in [("/api/people", 1), ("?p=1", 2), ("?p=2#again", 3)] {
        let server = Server::new(|number, _| {
            let next = ["?p=1", "?p=2", "?p=2"][number.min(2)];
            let next = if number + 1 == paths { back } else { next };
            ok(&linked([u32::try_from(number).unwrap()], Some(next)))
        });
        let desk = Desk::next().with_copy();
        let told = desk.refused(&server).await;
        assert_eq!(told.code.0, "RD-1200");
        assert!(told.message.contains("a page that was read before"), "{back}: {told}");
        assert_eq!(server.paths().len(), paths, "{back}");
        assert_eq!(desk.copy().as_deref(), Some("earlier"));
    }
}

#[tokio::test(start_paused = true)]
async fn b01_a_server_that_sends_its_first_page_for_ever_is_refused_at_the_second() {
    for may_repeat in [false, true] {
        let server = Server::new(|_, _| ok(&linked(1..5, None)));
        let mut desk = Desk::page().with_copy();
        desk.config.keys_may_repeat = may_repeat;
        let told = desk.refused(&server).await;
        assert!(told.message.contains("the same users as an earlier page"), "{told}");
        assert_eq!(server.paths().len(), 2);
        assert_eq!(desk.copy().as_deref(), Some("earlier"));
    }
}

#[tokio::test(start_paused = true)]
async fn b01_a_feed_without_an_end_is_refused_after_ten_thousand_pages() {
    let server = Server::new(|_, path| {
        let number = numbered(path);
        ok(&linked([number], Some(&format!("?p={}", number + 1))))
    });
    let mut desk = Desk::next();
    desk.config.quota = Rate::parse("1000/s").unwrap();
    let told = desk.refused(&server).await;
    assert!(told.message.contains("more than 10000 pages"), "{told}");
    assert_eq!(server.paths().len(), 10_000);
}

#[tokio::test(start_paused = true)]
async fn b10_a_next_link_never_leaves_the_origin_of_the_feed() {
    for (next, why) in [
        ("https://evil.example.com/api", "another host"),
        ("//evil.example.com/api", "another host"),
        ("https://hr.example.com.evil.example/", "another host"),
        ("http://hr.example.com/api", "another scheme"),
        ("file:///etc/passwd", "another scheme"),
        ("data:application/json,[]", "another scheme"),
        ("https://hr.example.com:8443/api", "another port"),
        ("https://user:pass@hr.example.com/api", "names a user"),
        ("https://hr.example.com@evil.example.com/", "names a user"),
        ("https://127.0.0.1/api", "another host"),
        ("https://[::1]/api", "another host"),
        ("https://2130706433/api", "another host"),
        ("https://hr.example.com\\@evil.example.com/", "a backslash"),
        ("https:// hr.example.com/", "a space"),
        ("https://", "no address"),
    ] {
        let server = Server::new(|_, _| ok(&linked([1], Some(next))));
        let desk = Desk::next().with_copy();
        let told = desk.refused(&server).await;
        assert_eq!(told.code.0, "RD-1200");
        assert!(told.message.contains(why), "{next}: {told}");
        assert!(told.message.contains("not at https://hr.example.com"), "{told}");
        assert!(
            !told.to_string().contains("evil") && !told.to_string().contains("pass@"),
            "{told}"
        );
        assert_eq!(server.paths().len(), 1);
        assert_eq!(desk.copy().as_deref(), Some("earlier"));
    }
    let by_header = Server::new(|_, _| {
        let headers =
            [("content-type", "application/json"), ("link", "<//evil.example>; rel=next")];
        reply(200, &headers, linked([1], None).to_string())
    });
    let told = Desk::new(Paging::Link).refused(&by_header).await;
    assert!(told.message.contains("another host"), "{told}");
    // The same origin, however it is written, is no other.
    let same = Server::new(|number, _| {
        ok(&linked(
            [u32::try_from(number).unwrap()],
            ["HTTPS://HR.example.com:443/b"].get(number).copied(),
        ))
    });
    Desk::next().fetch(&same).await.unwrap();
    assert_eq!(same.paths(), ["/api/people", "/b"]);
}

#[tokio::test(start_paused = true)]
async fn what_leads_on_and_is_neither_an_address_nor_null_is_refused() {
    for strange in [json!(false), json!(2), json!([]), json!({ "href": "?p=2" })] {
        let server = Server::new(|_, _| ok(&json!({ "data": [], "next": strange })));
        let told = Desk::next().refused(&server).await;
        assert!(told.message.contains("neither a text nor null"), "{told}");
    }
    let damaged = Server::new(|_, _| {
        let headers = [("content-type", "application/json"), ("link", "</b>; rel=\"next")];
        reply(200, &headers, linked([1], None).to_string())
    });
    let told = Desk::new(Paging::Link).refused(&damaged).await;
    assert!(told.message.contains("not a list of links"), "{told}");
}

#[tokio::test(start_paused = true)]
async fn b13_a_page_that_is_not_as_the_way_on_has_it_is_no_last_page() {
    let serve = |meta: Value| {
        Server::new(move |_, _| ok(&json!({ "data": people([1]), "meta": meta.clone() })))
    };
    let at = || Path::parse("$.meta.next").unwrap();
    let cursor = Paging::Cursor { at: at(), parameter: "after".to_owned() };
    for paging in [Paging::Next { at: at() }, cursor] {
        for strange in [json!([]), json!([{ "next": "?p=2" }]), json!("?p=2"), json!(2)] {
            let desk = Desk::new(paging.clone()).with_copy();
            let told = desk.refused(&serve(strange)).await;
            assert_eq!(told.code.0, "RD-1200");
            assert!(told.message.contains("on the way of `$.meta.next`"), "{told}");
            assert_eq!(desk.copy().as_deref(), Some("earlier"));
        }
        for end in [json!(null), json!({}), json!({ "next": null }), json!({ "next": "" })] {
            Desk::new(paging.clone()).fetch(&serve(end)).await.unwrap();
        }
    }
}

#[tokio::test(start_paused = true)]
async fn b13_an_empty_page_in_the_middle_is_no_end_where_a_link_leads_on() {
    for empty in [0, 1, 2] {
        let server = Server::new(|number, _| {
            let id = u32::try_from(number).unwrap();
            let ids = if number == empty { id..id } else { id..id + 1 };
            ok(&linked(ids, ["?p=2", "?p=3"].get(number).copied()))
        });
        let desk = Desk::next();
        desk.fetch(&server).await.unwrap();
        assert_eq!(desk.copy(), copy_of((0..3).filter(|id| *id as usize != empty)));
    }
}

#[tokio::test(start_paused = true)]
async fn b13_a_feed_of_nobody_is_refused_by_the_rules_for_rows() {
    let server = Server::new(|_, _| ok(&linked([], None)));
    let desk = Desk::next();
    let fetched = desk.fetch(&server).await.unwrap();
    let read =
        source::read_file(&fetched.copy.settings(&rules()), &Demand::default(), &Index::default());
    assert_eq!(read.unwrap_err().findings[0].code.0, "RD-1016");
}

// ---- totals, and feeds that move ---------------------------------------------------------------

/// Two pages, of which the second is right from that read on.
fn moving(right_from: usize, wrong: &Value) -> impl Fn(usize, &str) -> Answer + Send + Sync {
    let wrong = wrong.clone();
    move |number, path| match path {
        "/api/people?page=1" => ok(&json!({ "data": people(0..3), "total": 5 })),
        _ if number / 2 >= right_from => ok(&json!({ "data": people(3..5), "total": 5 })),
        _ => ok(&wrong),
    }
}

#[tokio::test(start_paused = true)]
async fn b03_a_feed_that_moved_while_it_was_read_is_read_once_more_and_then_refused() {
    for (wrong, why) in [
        (
            json!({ "data": people(3..6), "total": 5 }),
            "it has 6 elements and says that there are 5",
        ),
        (json!({ "data": people(2..4), "total": 5 }), "page 2 has a user of an earlier page"),
        (
            json!({ "data": people(3..6), "total": 6 }),
            "at first that there are 5 elements and then 6",
        ),
    ] {
        let desk = Desk::page().total();
        let server = Server::new(moving(1, &wrong));
        desk.fetch(&server).await.unwrap();
        assert_eq!(server.paths().len(), 4);
        assert_eq!(desk.copy(), copy_of(0..5));

        let desk = Desk::page().total().with_copy();
        let server = Server::new(moving(2, &wrong));
        let told = desk.refused(&server).await;
        assert_eq!(told.code.0, "RD-1201");
        assert!(told.message.contains(why) && told.message.contains("also when"), "{told}");
        assert_eq!(server.paths().len(), 4);
        assert_eq!(desk.copy().as_deref(), Some("earlier"));
    }
}

#[tokio::test(start_paused = true)]
async fn b03_an_end_before_the_announced_number_is_none() {
    let answers = |number: usize, path: &str| match numbered(path) {
        1 => ok(&json!({ "data": people(0..3), "total": 5 })),
        // Only in the first read: an empty page where two are missing.
        _ if number < 2 => ok(&json!({ "data": [], "total": 5 })),
        _ => ok(&json!({ "data": people(3..5), "total": 5 })),
    };
    let desk = Desk::page().total();
    desk.fetch(&Server::new(answers)).await.unwrap();
    assert_eq!(desk.copy(), copy_of(0..5));
}

#[tokio::test(start_paused = true)]
async fn b04_a_feed_that_announces_no_number_is_read_and_one_that_should_is_refused() {
    let without = |_: usize, _: &str| ok(&linked(0..3, None));
    let desk = Desk::next();
    desk.fetch(&Server::new(without)).await.unwrap();
    assert_eq!(desk.copy(), copy_of(0..3));
    let told = Desk::next().total().refused(&Server::new(without)).await;
    assert!(told.message.contains("page 1 does not say how many elements there are"), "{told}");
    // Some say so on their first page only, and some in a header.
    let first_only = Server::new(|number, _| match number {
        0 => ok(&json!({ "data": people(0..1), "next": "?p=2", "total": 2 })),
        _ => ok(&linked(1..2, None)),
    });
    Desk::next().total().fetch(&first_only).await.unwrap();
    let by_header = |_: usize, _: &str| {
        let headers = [("content-type", "application/json"), ("x-total-count", "4")];
        reply(200, &headers, linked(0..3, None).to_string())
    };
    let mut desk = Desk::next();
    desk.config.total = Some(Total::Header("x-total-count".to_owned()));
    let told = desk.refused(&Server::new(by_header)).await;
    assert!(told.message.contains("it has 3 elements and says that there are 4"), "{told}");
}

#[tokio::test(start_paused = true)]
async fn b14_a_user_on_two_pages_with_different_values_is_held_where_keys_may_repeat() {
    let answers = |number: usize, _: &str| match number {
        0 => ok(&linked(0..200, Some("?p=2"))),
        _ => ok(&json!({ "data": [{ "id": "E00007", "name": "Other" }], "next": null })),
    };
    let told = Desk::next().refused(&Server::new(|n, p: &str| answers(n % 2, p))).await;
    assert!(told.message.contains("page 2 has a user of an earlier page"), "{told}");
    let mut desk = Desk::next();
    desk.config.keys_may_repeat = true;
    let fetched = desk.fetch(&Server::new(answers)).await.unwrap();
    let demand = Demand { required: ["name".to_owned()].into(), ..Demand::default() };
    let roster =
        source::read_file(&fetched.copy.settings(&rules()), &demand, &Index::default()).unwrap();
    assert_eq!((roster.facts.users, roster.facts.held), (200, 2));
    let mut findings = roster.findings.clone();
    fetched.copy.trail.tell(&fetched.copy.kept.path, &mut findings).unwrap();
    let pointers: Vec<_> = findings.iter().filter_map(|f| f.place.pointer.as_deref()).collect();
    assert_eq!(pointers, ["page 1 /data/7"]);
}

#[tokio::test(start_paused = true)]
async fn b17_a_page_that_is_gone_begins_the_read_anew_once() {
    let answers = |right_from: usize| {
        move |number: usize, path: &str| match path {
            "/api/people" => ok(&linked(0..1, Some("?p=2"))),
            _ if number / 2 >= right_from => ok(&linked(1..2, None)),
            _ => reply(410, &[], ""),
        }
    };
    let desk = Desk::next();
    desk.fetch(&Server::new(answers(1))).await.unwrap();
    assert_eq!(desk.copy(), copy_of(0..2));
    let desk = Desk::next().with_copy();
    let told = desk.refused(&Server::new(answers(9))).await;
    assert!(told.message.contains("page 2 is gone"), "{told}");
    assert_eq!(desk.copy().as_deref(), Some("earlier"));
    let told = Desk::next().refused(&Server::new(|_, _| reply(410, &[], ""))).await;
    assert!(told.message.contains("page 1 was answered with status 410"), "{told}");
}

// ---- failures ----------------------------------------------------------------------------------

/// Three pages, of which the second meets these answers first.
fn failing(mut bad: VecDeque<Answer>) -> Server<impl Fn(usize, &str) -> Answer + Send + Sync> {
    let bad = Mutex::new(std::mem::take(&mut bad));
    Server::new(move |_, path: &str| match path {
        "/api/people" => ok(&linked(0..1, Some("?p=2"))),
        "/api/people?p=2" => {
            let next = bad.lock().unwrap().pop_front();
            next.unwrap_or_else(|| ok(&linked(1..2, Some("?p=3"))))
        }
        _ => ok(&linked(2..3, None)),
    })
}

fn bad(kind: usize) -> Answer {
    let page = linked(1..2, None).to_string().into_bytes();
    match kind {
        0 => reply(500, &[], ""),
        1 => reply(503, &[], "busy"),
        2 => Answer::NotSent,
        3 => Answer::Lost,
        4 => streamed(Body::Cut(page[..20].to_vec())),
        5 => streamed(Body::Drip(Duration::from_secs(20))),
        6 => streamed(Body::Drip(Duration::from_secs(1))),
        7 => {
            let headers = [("content-type", "application/json"), ("content-encoding", "gzip")];
            let packed = gzip(&page);
            reply(200, &headers, &packed[..packed.len() - 5])
        }
        _ => reply(429, &[("retry-after", "2")], ""),
    }
}

#[tokio::test(start_paused = true)]
async fn b02_a_page_that_fails_twice_is_asked_for_again_and_nothing_is_missing() {
    for kind in 0..9 {
        let desk = Desk::next();
        let server = failing([bad(kind), bad(kind)].into());
        desk.fetch(&server).await.unwrap();
        assert_eq!(server.paths().len(), 5, "{kind}");
        assert_eq!(desk.copy(), copy_of(0..3));
    }
}

#[tokio::test(start_paused = true)]
async fn b02_a_page_that_fails_every_time_refuses_the_feed_and_leaves_the_last_copy() {
    for kind in 0..8 {
        let desk = Desk::next().with_copy();
        let server = failing((0..9).map(|_| bad(kind)).collect());
        let told = desk.refused(&server).await;
        assert!(told.message.contains("page 2 could not be read, and no further"), "{told}");
        let attempts = if kind == 0 { 3 } else { 4 };
        assert_eq!(server.paths().len(), 1 + attempts, "{kind}");
        assert_eq!(desk.copy().as_deref(), Some("earlier"));
    }
}

#[tokio::test(start_paused = true)]
async fn b02_what_no_repetition_helps_is_asked_for_once() {
    for (answer, code) in [
        (reply(404, &[], ""), "RD-1202"),
        (reply(400, &[], ""), "RD-1202"),
        (reply(403, &[], ""), "RD-1203"),
        (Answer::Unreachable, "RD-1204"),
        (reply(304, &[], ""), "RD-1202"),
    ] {
        let desk = Desk::next().with_copy();
        let server = failing([answer].into());
        assert_eq!(desk.refused(&server).await.code.0, code);
        assert_eq!(server.paths().len(), 2);
        assert_eq!(desk.copy().as_deref(), Some("earlier"));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 60, ..ProptestConfig::default() })]

    #[test]
    fn b02_a_feed_is_all_or_nothing_whatever_fails(kinds in prop::collection::vec(0_usize..9, 0..7)) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let desk = Desk::next().with_copy();
            let server = failing(kinds.iter().map(|kind| bad(*kind)).collect());
            match desk.fetch(&server).await {
                Ok(_) => assert_eq!(desk.copy(), copy_of(0..3)),
                Err(_) => assert_eq!(desk.copy().as_deref(), Some("earlier")),
            }
            let files = fs::read_dir(desk.dir.path()).unwrap();
            let drafts = files.filter(|file| {
                let name = file.as_ref().unwrap().file_name();
                name.to_string_lossy().contains(".part")
            });
            assert_eq!(drafts.count(), 0);
        });
    }
}

#[tokio::test(start_paused = true)]
async fn b06_a_server_that_says_nothing_or_a_byte_a_second_is_given_up_in_time() {
    for (every, attempt) in [(20, 15), (1, 120)] {
        let drip = Duration::from_secs(every);
        let server = Server::new(|_, _| streamed(Body::Drip(drip)));
        let desk = Desk::next().with_copy();
        let began = Instant::now();
        let told = desk.refused(&server).await;
        assert!(told.message.contains("no further try is left"), "{told}");
        let took = began.elapsed().as_secs();
        assert!((4 * attempt..4 * attempt + 10).contains(&took), "{took} s");
        assert_eq!(desk.copy().as_deref(), Some("earlier"));
    }
}

#[tokio::test(start_paused = true)]
async fn b06_a_feed_that_takes_more_than_two_hours_is_refused() {
    let server = Server::new(|_, path| {
        let number = numbered(path);
        ok(&linked([number], Some(&format!("?p={}", number + 1))))
    });
    let mut desk = Desk::next().with_copy();
    desk.config.quota = Rate::parse("1/min").unwrap();
    let began = Instant::now();
    let told = desk.refused(&server).await;
    assert!(told.message.contains("it took longer than 120 minutes"), "{told}");
    assert_eq!(began.elapsed().as_secs(), 7200);
    assert_eq!(desk.copy().as_deref(), Some("earlier"));
}

#[tokio::test(start_paused = true)]
async fn b07_a_page_or_a_feed_that_is_larger_than_any_is_refused_at_once() {
    let endless = || streamed(Body::Endless(vec![b' '; 1 << 20]));
    let server = Server::new(|_, _| endless());
    let desk = Desk::next().with_copy();
    let told = desk.refused(&server).await;
    assert_eq!(told.code.0, "RD-1206");
    assert!(told.message.contains("page 1 has more than 67108864 bytes"), "{told}");
    assert_eq!(server.paths().len(), 1);

    let mut desk = Desk::next().with_copy();
    desk.limits.read_bytes = 400;
    let server = Server::new(|_, path| {
        let number = numbered(path);
        ok(&linked([number], Some(&format!("?p={}", number + 1))))
    });
    let told = desk.refused(&server).await;
    assert!(told.message.contains("it has more than 400 bytes"), "{told}");
    assert_eq!(desk.copy().as_deref(), Some("earlier"));
}

#[tokio::test(start_paused = true)]
async fn b08_a_bomb_and_what_is_packed_twice_are_refused_at_once() {
    // Half a gibibyte in half a mebibyte: as many members as it takes.
    let bomb = gzip(&vec![b' '; 1 << 20]).repeat(512);
    assert!((500_000..600_000).contains(&bomb.len()), "{}", bomb.len());
    let packed = |encoding: &'static str, bytes: Vec<u8>| {
        move |_: usize, _: &str| {
            let headers = [("content-type", "application/json"), ("content-encoding", encoding)];
            reply(200, &headers, bytes.clone())
        }
    };
    let desk = Desk::next().with_copy();
    let server = Server::new(packed("gzip", bomb));
    let told = desk.refused(&server).await;
    assert!(told.message.contains("more than 100 times its size"), "{told}");
    assert_eq!((server.paths().len(), told.code.0), (1, "RD-1206"));
    let twice = gzip(&gzip(linked(0..1, None).to_string().as_bytes()));
    for (encoding, why) in [("gzip, gzip", "not asked for: gzip, gzip"), ("br", "asked for: br")] {
        let told = desk.refused(&Server::new(packed(encoding, twice.clone()))).await;
        assert!(told.message.contains(why), "{told}");
    }
    // Packed twice and said once is no JSON.
    assert_eq!(desk.refused(&Server::new(packed("gzip", twice))).await.code.0, "RD-1070");
    assert_eq!(desk.copy().as_deref(), Some("earlier"));
    let once = gzip(linked(0..3, None).to_string().as_bytes());
    desk.fetch(&Server::new(packed("gzip", once))).await.unwrap();
    assert_eq!(desk.copy(), copy_of(0..3));
}

#[tokio::test(start_paused = true)]
async fn b09_a_redirect_is_told_by_its_origin_and_not_followed() {
    for (to, told_as) in [
        ("https://login.example.org/in?token=canary", "to https://login.example.org,"),
        ("http://hr.example.com/api?token=canary", "to http://hr.example.com,"),
        ("/login?back=canary", "to https://hr.example.com,"),
        ("javascript:canary", "to nowhere that can be told,"),
    ] {
        for status in [301, 302, 303, 307, 308] {
            let server = Server::new(|_, _| reply(status, &[("location", to)], ""));
            let told = Desk::next().refused(&server).await;
            assert!(told.message.contains(told_as), "{told}");
            assert!(!told.to_string().contains("canary"), "{told}");
            assert_eq!(server.paths().len(), 1);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn b11_a_page_to_log_in_at_is_told_by_its_kind_and_title() {
    let long = format!("<TITLE lang=en>Sign\n in \u{1b}[2J{}</title>", "x".repeat(100));
    for (kind, body, told_as) in [
        (
            "text/html; charset=utf-8",
            "<html><title>Sign in</title>",
            r#"text/html, titled "Sign in""#,
        ),
        ("text/html", &long, r#"titled "Sign in \u{1b}[2Jxxx"#),
        ("text/html", "<title>", "is not JSON: text/html"),
        ("application/xml", "<a/>", "is not JSON: application/xml"),
        ("text/plain", "{}", "is not JSON: text/plain"),
    ] {
        let server = Server::new(|_, _| reply(200, &[("content-type", kind)], body));
        let desk = Desk::next().with_copy();
        let told = desk.refused(&server).await;
        assert_eq!(told.code.0, "RD-1205");
        assert!(told.message.contains(told_as), "{told}");
        assert!(told.message.chars().filter(|c| *c == 'x').count() < 64, "{told}");
        assert_eq!(desk.copy().as_deref(), Some("earlier"));
    }
    let latin = Server::new(|_, _| {
        reply(200, &[("content-type", "application/json;charset=ISO-8859-1")], "{}")
    });
    assert!(Desk::next().refused(&latin).await.message.contains("charset iso-8859-1"));
    // What says nothing of itself, or says it as an API does, has to show that it is JSON.
    for kind in [&[][..], &[("content-type", "application/vnd.hr+json")]] {
        let server = Server::new(|_, _| reply(200, kind, linked(0..1, None).to_string()));
        Desk::next().fetch(&server).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn b12_a_page_that_is_no_json_is_told_by_its_number_and_pointer() {
    for (second, why) in [
        (r#"{"data":[{"id":"E2"},{"id":"#, "page 2 /data/1"),
        (r#"{"data":[{"id":"E2","id":"E3"}]}"#, "page 2 /data/0/id"),
        (r#"{"data":[]} x"#, "page 2"),
        (r#"{"items":[]}"#, "page 2 /data"),
        ("", "page 2"),
    ] {
        let server = Server::new(|number, _| match number {
            0 => ok(&linked(0..1, Some("?p=2"))),
            _ => reply(200, &[("content-type", "application/json")], second),
        });
        let desk = Desk::next().with_copy();
        let told = desk.refused(&server).await;
        assert!(
            told.to_string().starts_with(&format!("feed https://hr.example.com, {why}")),
            "{told}"
        );
        assert_eq!(server.paths().len(), 2, "{second}");
        assert_eq!(desk.copy().as_deref(), Some("earlier"));
    }
}

// ---- silence and quota -------------------------------------------------------------------------

#[tokio::test(start_paused = true)]
async fn b15_a_feed_that_throttles_is_left_alone_for_as_long_as_it_asks() {
    for (status, header, least) in [
        (429, Some("7"), 7),
        (503, Some("90"), 90),
        (429, None, 1),
        (429, Some("soon"), 60),
        (403, Some("3"), 3),
    ] {
        let server = Server::new(|number, _| match number {
            0 => {
                let header: Vec<_> = header.iter().map(|value| ("retry-after", *value)).collect();
                reply(status, &header, "")
            }
            _ => ok(&linked(0..1, None)),
        });
        Desk::next().fetch(&server).await.unwrap();
        let asked = server.asked.lock().unwrap();
        let pause = asked[1].at.saturating_sub(asked[0].at);
        assert!(pause >= Duration::from_secs(least), "{status} {header:?}: {pause:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn b15_a_long_silence_ends_the_read_and_outlasts_the_run() {
    let throttled = Server::new(|_, _| reply(429, &[("retry-after", "7200")], ""));
    let mut desk = Desk::next().with_copy();
    let told = desk.refused(&throttled).await;
    assert_eq!(told.code.0, "RD-1204");
    assert!(told.message.contains("it wants no request for 7200 s"), "{told}");
    assert_eq!(throttled.paths().len(), 1);
    let well = Server::new(|_, _| ok(&linked(0..1, None)));
    desk.now += jiff::SignedDuration::from_mins(100);
    assert!(desk.refused(&well).await.message.contains("it wants no request for 12"));
    assert_eq!(well.paths().len(), 0);
    assert_eq!(desk.copy().as_deref(), Some("earlier"));
    desk.now += jiff::SignedDuration::from_mins(21);
    desk.fetch(&well).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn b15_a_silence_outlasts_the_run_by_a_day_at_most_and_at_its_own_address_alone() {
    let throttled = Server::new(|_, _| reply(429, &[("retry-after", "864000")], ""));
    let well = Server::new(|_, _| ok(&linked(0..1, None)));
    let mut desk = Desk::next();
    desk.refused(&throttled).await;
    desk.now += jiff::SignedDuration::from_hours(23);
    assert!(desk.refused(&well).await.message.contains("it wants no request for 3"));
    desk.now += jiff::SignedDuration::from_mins(61);
    desk.fetch(&well).await.unwrap();

    desk.refused(&throttled).await;
    desk.config.url = "https://hr.example.com/api/staff".parse().unwrap();
    desk.fetch(&well).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn who_runs_waits_for_whoever_is_asking_and_who_looks_does_not() {
    let well = Server::new(|_, _| ok(&linked(0..1, None)));
    let mut desk = Desk::next();
    desk.fetch(&well).await.unwrap();
    let asking = || {
        let asking = fs::File::open(desk.dir.path().join("hr.feed.asking")).unwrap();
        flock(&asking, FlockOperation::NonBlockingLockExclusive).unwrap();
        asking
    };
    let (began, held) = (Instant::now(), asking());
    let wait = Duration::from_secs(90);
    let let_go = async {
        sleep(wait).await;
        drop(held);
    };
    let (fetched, ()) = tokio::join!(desk.fetch(&well), let_go);
    fetched.unwrap();
    assert!((wait..wait * 2).contains(&began.elapsed()), "{:?}", began.elapsed());

    let (began, _held) = (Instant::now(), asking());
    assert!(desk.refused(&well).await.message.contains("another process is reading it"));
    assert_eq!(began.elapsed().as_secs(), desk.limits.read.as_secs());
    desk.stopped = true;
    assert!(desk.refused(&well).await.message.contains("the run was stopped"));
    desk.stopped = false;
    let began = Instant::now();
    desk.elsewhere = Some(tempfile::tempdir().unwrap());
    assert!(desk.refused(&well).await.message.contains("another process is reading it"));
    assert_eq!(began.elapsed(), Duration::ZERO);
    assert_eq!(well.paths().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn who_looks_makes_nothing_where_nobody_has_run() {
    let well = Server::new(|_, _| ok(&linked(0..1, None)));
    let mut desk = Desk::next();
    desk.elsewhere = Some(tempfile::tempdir().unwrap());
    let seen = desk.fetch(&well).await.unwrap();
    let text = fs::read_to_string(&seen.copy.kept.path).unwrap();
    assert_eq!(Some(text), copy_of(0..1));
    let folders = [Some(&desk.dir), desk.elsewhere.as_ref()];
    for folder in folders.into_iter().flatten() {
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn b15_who_throttles_for_ever_is_given_up() {
    let server = Server::new(|_, _| reply(429, &[], ""));
    let told = Desk::next().refused(&server).await;
    assert!(told.message.contains("again and again"), "{told}");
    assert_eq!(server.paths().len(), 10);
}

#[tokio::test(start_paused = true)]
async fn inv7_no_window_sees_more_pages_than_the_quota() {
    let server = Server::new(|_, path| {
        let number = numbered(path);
        let next = format!("?p={}", number + 1);
        ok(&linked([number], (number < 30).then_some(next.as_str())))
    });
    let mut desk = Desk::next();
    desk.config.quota = Rate::parse("5/s").unwrap();
    desk.fetch(&server).await.unwrap();
    let asked = server.asked.lock().unwrap();
    let times: Vec<_> = asked.iter().map(|asked| asked.at).collect();
    for window in times.windows(6) {
        assert!(window[5].saturating_sub(window[0]) >= Duration::from_secs(1), "{times:?}");
    }
}

// ---- conditional requests ----------------------------------------------------------------------

/// A single page with a tag, which says when it is as it was.
fn tagged(asked_with: &[(String, String)]) -> Answer {
    let same = asked_with.iter().any(|(n, v)| n == "if-none-match" && v == "\"v1\"");
    let dated = asked_with.iter().any(|(n, v)| n == "if-modified-since" && v.ends_with("GMT"));
    assert_eq!(same, dated);
    if same {
        return reply(304, &[("etag", "\"v1\"")], "");
    }
    let date = "Sat, 28 Feb 2026 12:00:00 GMT";
    let headers =
        [("content-type", "application/json"), ("etag", "\"v1\""), ("last-modified", date)];
    reply(200, &headers, linked(0..3, None).to_string())
}

struct Tagged(Mutex<Vec<u16>>);

impl Wire for Tagged {
    fn get(&self, get: Get) -> Opening<'_> {
        let Answer::Reply { status, headers, body } = tagged(&get.headers) else { unreachable!() };
        self.0.lock().unwrap().push(status);
        Box::pin(async move { Opened::Answered(Incoming { status, headers, body: body.pieces() }) })
    }
}

#[tokio::test(start_paused = true)]
async fn a_feed_that_is_as_it_was_is_not_sent_again() {
    let mut desk = Desk::new(Paging::Whole);
    desk.config.conditional = true;
    let server = Tagged(Mutex::default());
    let first = desk.fetch(&server).await.unwrap();
    let (copy, settings) = (desk.copy(), first.copy.settings(&rules()));
    assert!(!first.unchanged);
    drop(first);
    let second = desk.fetch(&server).await.unwrap();
    assert!(second.unchanged);
    assert_eq!(format!("{:?}", second.copy.settings(&rules())), format!("{settings:?}"));
    assert_eq!(desk.copy(), copy);
    drop(second);
    // Other settings, a copy that was touched or is gone: nothing is asked by halves.
    desk.config.headers.push(("x-company".to_owned(), "acme".to_owned()));
    assert!(!desk.fetch(&server).await.unwrap().unchanged);
    fs::write(desk.dir.path().join("hr.feed.csv"), "touched").unwrap();
    assert!(!desk.fetch(&server).await.unwrap().unchanged);
    fs::remove_file(desk.dir.path().join("hr.feed.csv")).unwrap();
    assert!(!desk.fetch(&server).await.unwrap().unchanged);
    assert!(desk.fetch(&server).await.unwrap().unchanged);
    assert_eq!(*server.0.lock().unwrap(), [200, 304, 200, 200, 200, 304]);
}

#[tokio::test(start_paused = true)]
async fn of_several_pages_the_first_stands_for_all_only_where_the_settings_say_so() {
    for conditional in [false, true] {
        let mut desk = Desk::next();
        desk.config.conditional = conditional;
        let answers = |_: usize, path: &str| {
            let headers = [("content-type", "application/json"), ("etag", "\"v1\"")];
            let (ids, next) = if path.contains('=') { (1, None) } else { (0, Some("?p=2")) };
            reply(200, &headers, linked([ids], next).to_string())
        };
        desk.fetch(&Server::new(answers)).await.unwrap();
        let again = Server::new(answers);
        desk.fetch(&again).await.unwrap();
        let asked = again.asked.lock().unwrap();
        let conditions = asked
            .iter()
            .map(|asked| asked.headers.iter().filter(|(name, _)| name.starts_with("if-")).count());
        assert_eq!(conditions.collect::<Vec<_>>(), [usize::from(conditional), 0]);
    }
}

/// How many conditions the second of two reads asks under, of a page with these headers.
async fn conditions(desk: &Desk, headers: &'static [(&'static str, &'static str)]) -> usize {
    let server = Server::new(|_, _| {
        let kind = [("content-type", "application/json")];
        reply(200, &[&kind[..], headers].concat(), linked(0..1, None).to_string())
    });
    desk.fetch(&server).await.unwrap();
    desk.fetch(&server).await.unwrap();
    let asked = server.asked.lock().unwrap();
    asked[1].headers.iter().filter(|(name, _)| name.starts_with("if-")).count()
}

#[tokio::test(start_paused = true)]
async fn that_a_feed_had_one_page_does_not_say_that_it_has_one() {
    let tag = &[("etag", "\"v1\"")];
    assert_eq!(conditions(&Desk::new(Paging::Whole), tag).await, 1);
    assert_eq!(conditions(&Desk::next(), tag).await, 0);
    assert_eq!(conditions(&Desk::new(Paging::Link), tag).await, 0);
}

#[tokio::test(start_paused = true)]
async fn a_time_alone_stands_for_a_version_only_once_a_minute_has_passed() {
    const THEN: (&str, &str) = ("last-modified", "Sat, 28 Feb 2026 12:00:00 GMT");
    let desk = || Desk::new(Paging::Whole);
    let late = &[THEN, ("date", "Sat, 28 Feb 2026 12:01:00 GMT")];
    assert_eq!(conditions(&desk(), late).await, 1);
    let soon = &[THEN, ("date", "Sat, 28 Feb 2026 12:00:59 GMT")];
    assert_eq!(conditions(&desk(), soon).await, 0);
    assert_eq!(conditions(&desk(), &[THEN]).await, 0);
    assert_eq!(conditions(&desk(), &[THEN, ("etag", "\"v1\"")]).await, 2);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_claims_that_nothing_changed_without_being_asked_is_not_believed() {
    let desk = Desk::new(Paging::Whole).with_copy();
    let told = desk.refused(&Server::new(|_, _| reply(304, &[], ""))).await;
    assert!(told.message.contains("nothing has changed, which it was not asked"), "{told}");
    assert_eq!(desk.copy().as_deref(), Some("earlier"));
}
