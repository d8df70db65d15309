//! Where requests may go: below the tenant's own base address, to the very user, and nowhere else.

use crate::fixtures::{self, OTHER_UUID, open_with};
use proptest::prelude::*;
use rosterd::model::{Action, RemoteId};
use serde_json::{Value as Json, json};
use std::{fs, path::Path};
use url::Url;

/// Settings of every API with that base address.
fn with_base(base: &str) -> Vec<(&'static str, Json)> {
    vec![
        ("workiva", json!({ "base_url": base, "organization_id": OTHER_UUID })),
        ("biot", json!({ "base_url": base })),
        ("scalepad", json!({ "base_url": base, "client_id": OTHER_UUID })),
        ("kare", json!({ "base_url": base })),
        ("datadog", json!({ "base_url": base })),
        ("scim", json!({ "base_url": base })),
    ]
}

#[test]
fn c04_a_base_address_that_could_leak_or_stray_is_refused() {
    let secret = "hunter2";
    for base in [
        "",
        "api.example.com",
        "//api.example.com",
        "ftp://api.example.com",
        "http://api.example.com",
        "http://127.0.0.1:8080",
        "http://localhost:8080",
        "https://",
        "https:///x",
        "https:api.example.com",
        "https://?x",
        "https://user@api.example.com",
        "https://user:hunter2@api.example.com",
        "https://:hunter2@api.example.com",
        "https://@api.example.com",
        "https://api.example.com?token=hunter2",
        "https://api.example.com/v2?",
        "https://api.example.com/v2#",
        "https://api.example.com/#top",
        "https://api.example.com\\@evil.example.com",
        " https://api.example.com",
        "https://api.example.com\n",
        "https://api.exa\tmple.com",
        "https://api.example.com//v2",
        "https://api.example.com:99999",
        "https://127.0.0.1",
        "https://localhost",
        "https://10.1.2.3",
        "https://192.168.1.1",
        "https://169.254.169.254/latest",
        "https://[::1]",
        "https://[::ffff:10.0.0.1]",
        "https://2130706433",
    ] {
        for (dialect, settings) in with_base(base) {
            let problems = open_with(dialect, &settings, false).expect_err(base);
            assert_eq!(problems.len(), 1, "{dialect} {base}");
            assert_eq!(problems[0].key, "base_url");
            assert!(!problems[0].to_string().contains(secret));
        }
    }
}

#[test]
fn c04_http_is_for_loopback_only_and_only_when_allowed() {
    for (base, allowed) in [
        ("http://127.0.0.1:8080", true),
        ("http://127.9.9.9/x/", true),
        ("http://localhost:8080/main", true),
        ("http://[::1]:8080", true),
        ("https://127.0.0.1", true),
        ("https://api.example.com", true),
        ("http://api.example.com", false),
        ("http://localhost.example.com", false),
        ("http://10.0.0.1", false),
        ("http://0.0.0.0:8080", false),
        ("http://user@127.0.0.1", false),
        ("ftp://127.0.0.1", false),
    ] {
        for (dialect, settings) in with_base(base) {
            let opened = open_with(dialect, &settings, true);
            assert_eq!(opened.is_ok(), allowed, "{dialect} {base}");
        }
    }
}

#[test]
fn a_slash_at_the_end_of_a_base_address_means_nothing() {
    for (plain, slashed) in [
        ("https://a.example.com", "https://a.example.com/"),
        ("https://a.example.com:8443/v2/x", "https://a.example.com:8443/v2/x/"),
    ] {
        for ((dialect, plain), (_, slashed)) in with_base(plain).iter().zip(with_base(slashed)) {
            let fixture = fixtures::of(dialect);
            let url = |settings: &Json| {
                let dialect = open_with(dialect, settings, false).unwrap();
                dialect.request(Some(&fixture.id()), &Action::Read).unwrap().url
            };
            assert_eq!(url(plain), url(&slashed));
            assert!(!url(plain).as_str().trim_start_matches("https://").contains("//"));
        }
    }
}

#[test]
fn g08_ids_that_the_api_itself_would_not_give_are_refused() {
    for dialect in ["biot", "scalepad", "datadog"] {
        let fixture = fixtures::of(dialect);
        for bad in [
            "17",
            "jane",
            "a1d97031-04e2-4907-a249-093f7436207",
            "a1d9703104e24907a249093f7436207b",
            "g1d97031-04e2-4907-a249-093f7436207b",
            "a1d97031-04e2-4907-a249-093f7436207b-",
        ] {
            refused(&fixture, bad);
        }
        // The vendors' own samples do not keep to the versions of RFC 9562.
        let sample = RemoteId::parse("ffffffff-ffff-ffff-ffff-ffffffffffff").unwrap();
        assert!(fixture.open().check_id(&sample).is_ok());
    }
    let kare = fixtures::of("kare");
    for bad in
        ["0", "00", "017", "+17", "17.0", "1e3", "abc", "9007199254740992", "99999999999999999999"]
    {
        if RemoteId::parse(bad).is_ok() {
            refused(&kare, bad);
        }
    }
    assert!(RemoteId::parse("-5").is_err() && RemoteId::parse("me").is_err());
    let largest = RemoteId::parse("9007199254740991").unwrap();
    assert!(kare.open().check_id(&largest).is_ok());
}

fn refused(fixture: &fixtures::Fixture, id: &str) {
    let (dialect, id) = (fixture.open(), RemoteId::parse(id).unwrap());
    assert!(dialect.check_id(&id).is_err(), "{} {id}", fixture.dialect);
    assert!(dialect.request(Some(&id), &Action::Read).is_err(), "{} {id}", fixture.dialect);
}

/// The segments of an address, decoded here and not by the code under test.
fn segments(url: &Url) -> Vec<String> {
    let encoded = url.path_segments().unwrap();
    encoded
        .map(|segment| {
            let mut bytes = Vec::new();
            let mut pieces = segment.split('%');
            bytes.extend(pieces.next().unwrap().bytes());
            for piece in pieces {
                bytes.push(u8::from_str_radix(&piece[..2], 16).unwrap());
                bytes.extend(piece[2..].bytes());
            }
            String::from_utf8(bytes).unwrap()
        })
        .collect()
}

fn g08_refused_or_round_trip(text: &str) {
    let Ok(id) = RemoteId::parse(text) else { return };
    for fixture in fixtures::all() {
        let dialect = fixture.open();
        let request = dialect.request(Some(&id), &Action::Read);
        let Ok(request) = request else { continue };
        let known = dialect.request(Some(&fixture.id()), &Action::Read).unwrap().url;
        let url = Url::parse(request.url.as_str()).unwrap();
        assert_eq!(url.origin(), known.origin());
        assert!(url.query().is_none() && url.fragment().is_none());
        let (segments, expected) = (segments(&url), segments(&known));
        assert_eq!(segments.len(), expected.len());
        assert_eq!(segments.last().unwrap(), text);
        assert_eq!(segments[..segments.len() - 1], expected[..expected.len() - 1]);
    }
}

#[test]
fn g08_the_listed_ids_are_refused_or_mean_exactly_themselves() {
    let long = "a".repeat(1 << 20);
    for id in [
        "..",
        ".",
        "",
        "../",
        "../x",
        "a/b",
        "?",
        "#",
        "a?b",
        "a#b",
        "%2e%2e",
        "%2E",
        "\\",
        ";",
        "a;b",
        "\r\n",
        "a\nb",
        "\0",
        "me",
        "self",
        "$metadata",
        ".search",
        "a..b",
        "a.",
        "a+b",
        "a=b",
        "a@b",
        "a~b",
        long.as_str(),
    ] {
        g08_refused_or_round_trip(id);
    }
}

/// Any text, one of what leads elsewhere, what a remote id may be, a UUID, a whole number.
fn any_id() -> impl Strategy<Value = String> {
    prop_oneof![
        "\\PC{0,40}",
        "([.]|%2e|%2F|[/?#;:@\\\\]|\r|\n|\t|\0|a|me|self|[$]metadata|search){0,6}",
        "[A-Za-z0-9._@+=~-]{1,129}",
        "[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}",
        "[0-9]{1,17}",
    ]
}

proptest! {
    #![proptest_config(crate::exact::config())]

    #[test]
    fn g08_any_id_is_refused_or_means_exactly_itself(id in any_id()) {
        g08_refused_or_round_trip(&id);
    }
}

/// Hosts that stand in the vendors' documents.
const VENDOR_HOSTS: [&str; 12] = [
    "api.app.wdesk.com",
    "api.eu.wdesk.com",
    "api.apac.wdesk.com",
    "api.datadoghq.com",
    "api.us3.datadoghq.com",
    "api.us5.datadoghq.com",
    "api.ap1.datadoghq.com",
    "api.ap2.datadoghq.com",
    "api.datadoghq.eu",
    "api.ddog-gov.com",
    "api.us2.ddog-gov.com",
    "api.uk1.datadoghq.com",
];

#[test]
fn the_dialects_name_no_host_but_the_vendors_own() {
    let mut hosts = Vec::new();
    hosts_below(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src/dialect"), &mut hosts);
    for host in &hosts {
        assert!(VENDOR_HOSTS.contains(&host.as_str()), "{host}");
    }
    for host in VENDOR_HOSTS {
        assert!(hosts.iter().any(|found| found == host), "{host}");
    }
}

/// What follows a `://` in the code, up to the module's tests.
fn hosts_below(folder: &Path, hosts: &mut Vec<String>) {
    for file in fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        if path.is_dir() {
            hosts_below(&path, hosts);
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        let code = text.split("#[cfg(test)]").next().unwrap();
        for rest in code.split("://").skip(1) {
            let host = rest.split(|c: char| !c.is_ascii_alphanumeric() && !".-".contains(c));
            hosts.extend(host.take(1).filter(|host| !host.is_empty()).map(str::to_owned));
        }
    }
}

#[test]
fn an_address_in_an_answer_leads_nowhere() {
    let fixture = fixtures::of("datadog");
    let body = json!({
        "id": fixture.id,
        "meta": { "location": "https://elsewhere.example.com/api/scim/v2/Users/1" },
        "active": true,
    });
    let dialect = fixture.open();
    let answer = fixture.read(&Action::Read, &fixtures::response(200, &body));
    assert!(!format!("{answer:?}").contains("elsewhere"));
    let request = dialect.request(Some(&fixture.id()), &Action::Read).unwrap();
    assert!(request.url.as_str().starts_with("https://api.datadoghq.eu/api/v2/scim/Users/"));
}
