//! Whatever reads bytes that others made is handed bytes of every kind: noise, and sound samples that
//! were cut, flipped, stretched and joined. `tests/fuzz/targets.rs` has what must hold for each.
//!
//! ```text
//! cargo test --test fuzz                                   some cases of each, at random
//! PROPTEST_CASES=10000 cargo test --test fuzz              so many of each
//! ROSTERD_FUZZ_SECONDS=60 cargo test --test fuzz csv       as many as fit into that time
//! ```
//!
//! What fails is made as small as it goes and shown as bytes. The targets know nothing of this file,
//! so that another fuzzer can call them just as well.

#![expect(clippy::unwrap_used, reason = "a test fails by it")]

#[expect(dead_code, reason = "the tests of the dialects need more of it")]
#[path = "dialects/fixtures.rs"]
mod fixtures;
#[path = "fuzz/state.rs"]
mod state;
#[path = "fuzz/targets.rs"]
mod targets;

use proptest::{
    prelude::*,
    sample::Index,
    test_runner::{TestError, TestRunner},
};
use std::time::Duration;
use tokio::time::Instant;

/// A saved plan of three tenants.
const PLAN: &str = include_str!("report/plan.json");

/// One change of a sound sample. Places count from its start, as shares of its length.
#[derive(Clone, Debug)]
enum Change {
    Flip(Index, u8),
    Set(Index, u8),
    Insert(Index, Vec<u8>),
    Delete(Index, usize),
    Repeat(Index, usize),
    Cut(Index),
    /// The rest is that of another place.
    Join(Index, Index),
}

fn any_change() -> impl Strategy<Value = Change> {
    let at = any::<Index>;
    // Signs that mean something to one of the readers.
    let signs = proptest::sample::select(&b"\",\n\r;=|%/\\{}[]:.0-\0\xff\t '#"[..]);
    prop_oneof![
        (at(), 0..8_u8).prop_map(|(at, bit)| Change::Flip(at, 1 << bit)),
        (at(), signs).prop_map(|(at, byte)| Change::Set(at, byte)),
        (at(), prop::collection::vec(any::<u8>(), 1..6))
            .prop_map(|(at, new)| Change::Insert(at, new)),
        (at(), 1..40_usize).prop_map(|(at, length)| Change::Delete(at, length)),
        (at(), 1..400_usize).prop_map(|(at, length)| Change::Repeat(at, length)),
        at().prop_map(Change::Cut),
        (at(), at()).prop_map(|(at, from)| Change::Join(at, from)),
    ]
}

impl Change {
    fn apply(self, bytes: &mut Vec<u8>) {
        if bytes.is_empty() {
            return;
        }
        let length = bytes.len();
        let part = |at: usize, size: usize| at..(at + size).min(length);
        match self {
            Self::Flip(at, mask) => bytes[at.index(length)] ^= mask,
            Self::Set(at, byte) => bytes[at.index(length)] = byte,
            Self::Insert(at, new) => {
                let at = at.index(length);
                bytes.splice(at..at, new);
            }
            Self::Delete(at, size) => drop(bytes.drain(part(at.index(length), size))),
            Self::Repeat(at, size) => {
                let again = bytes[part(at.index(length), size)].to_vec();
                let at = at.index(length);
                bytes.splice(at..at, again);
            }
            Self::Cut(at) => bytes.truncate(at.index(length)),
            Self::Join(at, from) => {
                let rest = bytes[from.index(length)..].to_vec();
                bytes.truncate(at.index(length));
                bytes.extend(rest);
            }
        }
    }
}

/// Noise, or one of the samples after a few changes.
fn bytes(samples: Vec<Vec<u8>>) -> BoxedStrategy<Vec<u8>> {
    let changed = (0..samples.len(), prop::collection::vec(any_change(), 0..5));
    let changed = changed.prop_map(move |(sample, changes)| {
        let mut bytes = samples[sample].clone();
        for change in changes {
            change.apply(&mut bytes);
        }
        bytes
    });
    prop_oneof![1 => prop::collection::vec(any::<u8>(), 0..400), 5 => changed].boxed()
}

/// Hands the target bytes: 64 times, or as `PROPTEST_CASES` or `ROSTERD_FUZZ_SECONDS` says.
fn fuzz(target: fn(&[u8]), samples: &[&[u8]]) {
    for sample in samples {
        target(sample);
    }
    let usual = ProptestConfig { failure_persistence: None, ..ProptestConfig::default() };
    let seconds = std::env::var_os("ROSTERD_FUZZ_SECONDS");
    let seconds = seconds.map_or(0, |text| text.into_string().unwrap().parse().unwrap());
    let config = match std::env::var_os("PROPTEST_CASES") {
        Some(_) => usual,
        None => ProptestConfig { cases: 64, ..usual },
    };
    let bytes = bytes(samples.iter().map(|sample| sample.to_vec()).collect());
    let end = Instant::now() + Duration::from_secs(seconds);
    loop {
        let tried = TestRunner::new(config.clone()).run(&bytes, |data| {
            target(&data);
            Ok(())
        });
        match tried {
            Ok(()) => {}
            Err(TestError::Fail(why, data)) => {
                panic!("{why}: b\"{}\"", data.escape_ascii());
            }
            Err(TestError::Abort(why)) => panic!("{why}"),
        }
        if Instant::now() >= end {
            return;
        }
    }
}

#[test]
fn a05_a25_csv_of_any_bytes_is_refused_or_accounted_for() {
    let utf_16: Vec<u8> =
        "\u{feff}id,name\nE1,Zoë\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    fuzz(
        targets::csv_input,
        &[
            b"id,name,title\nE1,Ann,x\nE2,Bob,y\n",
            b"\xef\xbb\xbf\"id\",\"name\",\"title\"\r\n\"1\",\"Smith, Ann\",\"\"\r\n2,\"two\r\nlines\",z\r\n",
            "id;name;title\nE1;Zo\u{eb};x\nE1;Zo\u{eb};x\nE\u{a0}2;;\n".as_bytes(),
            "sep=,\nid,name\nE1,\u{c3}\u{bc}\n\nE1,x\n".as_bytes(),
            &utf_16,
        ],
    );
}

#[test]
fn b12_json_of_any_bytes_is_refused_or_becomes_one_copy() {
    fuzz(
        targets::json_input,
        &[
            b"{\"data\":[{\"id\":12345678901234567890,\"emails\":[{\"type\":\"work\",\"value\":\"a\"}]}]}",
            br#"{"total":2,"data":[{"id":"E1","groups":[{"name":"a\nb"},{"name":"c"}]},{"id":"E2"}]}"#,
            b"\xef\xbb\xbf{ \"data\" : [ {\"id\":\"\\ud83d\\ude00\",\"groups\":null}, 7 ] }\n",
            br#"{"a":[1,-2.5e3,true,[],{}],"data":[{"id":"x","emails":{}}],"next":"/2"}"#,
        ],
    );
}

#[test]
fn a_path_of_any_bytes_is_one_or_is_told_of_by_its_place() {
    let deep = b"$.a['b c'][0].d[*].e[?(@.x.y=='z' && @['q'] != 1.5)].f";
    fuzz(targets::json_path, &[deep, b"a[?@.t==\"\\\"\"]", b"['\xc3\xa4']..b[12"]);
}

#[test]
fn d04_d06_e28_a_retry_after_of_any_bytes_at_any_time_is_never_undercut() {
    fuzz(
        targets::retry_after,
        &[
            b"\0\0\0\0\0\0\0\x00120",
            b"\x40\x11\x01\x6a\0\0\0\x00120, 60\n7|Sat, 21 Nov 2026 11:00:00 GMT",
            b"\xff\xff\xff\xff\0\0\0\0Sat, 21 Nov 2026 12:02:00 GMT|Sat, 21 Nov 2026 12:00:00 GMT",
            b"\0\0\0\0\0\0\0\x80Friday, 31-Dec-99 23:59:59 GMT",
            b"\xff\xff\xff\xff\xff\xff\xff\x7fFri Dec 31 23:59:60 9999|100000000000000000000000",
        ],
    );
}

#[test]
fn what_any_bytes_say_is_left_slows_down_for_an_hour_at_most() {
    fuzz(
        targets::rate_limit,
        &[
            b"\0RateLimit: \"default\";r=50;t=30",
            b"\0RateLimit: limit=100, remaining=50, reset=50",
            b"\0RateLimit-Remaining: 0\nRateLimit-Reset: 3600",
            b"\x03X-RateLimit-Remaining: 1\nX-RateLimit-Reset: 1795262500",
            b"\x04X-Rate-Limit-Remaining: 1\nX-Rate-Limit-Reset: 1795262500000",
        ],
    );
}

const SCIM_ERROR: &str = r#"{"schemas":["urn:ietf:params:scim:api:messages:2.0:Error"],"status":"409","scimType":"uniqueness","detail":"userName is taken"}"#;

#[test]
fn d15_d37_errors_of_any_bytes_are_no_success_and_are_told_safely() {
    let with = |status: u16, body: &str| {
        let [high, low] = (status - 100).to_le_bytes();
        [&[high, low, 0][..], body.as_bytes()].concat()
    };
    let samples = [
        with(
            400,
            r#"{"code":"INVALID","message":"no such title","details":[{"target":"/displayName"}]}"#,
        ),
        with(409, SCIM_ERROR),
        with(
            422,
            r#"{"errors":[{"status":"422","title":"Invalid","detail":"d","source":{"pointer":"/data/attributes/title"}}]}"#,
        ),
        with(404, r#"{"error":{"code":404,"message":"\u0007\u202enot found"}}"#),
        with(502, "<html><head><title>502 Bad Gateway</title></head><body>nginx</body></html>"),
        with(200, r#"{"error":"it failed"}"#),
    ];
    fuzz(targets::error_body, &samples.each_ref().map(Vec::as_slice));
}

#[test]
fn d16_d31_answers_of_any_bytes_show_this_user_and_known_attributes_or_nothing() {
    let uuid = fixtures::UUID;
    let samples = [
        format!("\0{{\"id\":\"{uuid}\",\"active\":true,\"userName\":\"a@example.com\",\"emails\":[{{\"type\":\"work\",\"value\":\"a@example.com\",\"primary\":true}}]}}"),
        format!("\0{{\"data\":{{\"id\":\"{uuid}\",\"type\":\"users\",\"attributes\":{{\"title\":null}}}}}}"),
        format!("\0{{\"_id\":\"{uuid}\",\"_name\":{{\"firstName\":\"Ann\",\"lastName\":\"Lee\"}},\"_email\":\"a@example.com\",\"floor\":3}}"),
        "\0{\"id\":17,\"firstName\":\"Ann\",\"lastName\":\"Lee\",\"professionId\":410,\"scope\":2}".to_owned(),
        "\0{\"id\":\"V1ZVd2VyFzU3NiQ1NDA4NjIzNzk2MjD\",\"givenName\":\"Ann\",\"username\":\"a\",\"email\":\"a@example.com\"}".to_owned(),
    ];
    fuzz(targets::response_body, &samples.each_ref().map(String::as_bytes));
}

#[test]
fn g08_an_id_of_any_bytes_is_refused_or_means_exactly_itself() {
    fuzz(
        targets::url_of_id,
        &[
            b"17",
            b"..",
            b"a/../../b",
            b"%2e%2e%2f",
            fixtures::UUID.as_bytes(),
            b"V1ZVd2VyFzU3NiQ1NDA4NjIzNzk2MjD",
            b"a.b_c@d+e=f~g-h",
        ],
    );
}

#[test]
fn f07_g14_a_plan_file_of_any_bytes_is_refused_or_what_its_digest_says() {
    fuzz(targets::plan_file, &[PLAN.as_bytes(), b"{\"format_version\":\"1.0\",\"kind\":\"plan\"}"]);
}

#[test]
fn e07_g19_a_state_file_of_any_bytes_is_refused_or_says_nothing_new() {
    let sound = state::bytes();
    fuzz(targets::state_file, &[sound, &sound[..4096], b"SQLite format 3\0", b""]);
}

#[test]
fn a_configuration_of_any_bytes_is_taken_or_refused_for_the_same_reasons() {
    let small = b"[sources.hr.csv]\npath = \"roster.csv\"\nkey = \"id\"\n[tenants.acme.datadog]\n\
        site = \"datadoghq.eu\"\n[tenants.acme.credentials]\ntoken_env = \"T\"\n\
        [tenants.acme.remote_id]\ncolumn = \"uuid\"\n[tenants.acme.map]\n\
        title = { column = \"title\", on_empty = \"clear\" }\n\
        active = { template = \"{{ status == 'x' }}\" }\n";
    fuzz(targets::config_toml, &[config_example(), small]);
}

fn config_example() -> &'static [u8] {
    rosterd::config::EXAMPLE.as_bytes()
}

#[test]
fn g20_an_answer_that_is_nested_without_end_is_only_unreadable() {
    for (open, close) in [("[", "]"), ("{\"id\":", "}"), ("{\"data\":[", "]}")] {
        let deep = format!("{}1{}", open.repeat(100_000), close.repeat(100_000));
        for kind in ["\0", "\x01"] {
            targets::response_body(format!("{kind}{deep}").as_bytes());
            targets::error_body(format!("\x2c\x01{kind}{deep}").as_bytes());
        }
    }
}
