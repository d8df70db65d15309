//! Where a name leads, and addresses that are written out.

use crate::{
    stage::{Stage, rehearsal, tenant},
    target::{Target, Thief, answer, not_found},
};
use rosterd::{
    model::{Body, Method, Reach, Request},
    sender::{Hosts, Http, Looking, Lookup, Timeouts, http::Sent},
};
use std::{collections::BTreeMap, io, net::IpAddr, sync::Arc};

const NAME: &str = "target.test";

/// Every name leads to these.
#[derive(Debug)]
pub(crate) struct Table(pub(crate) Vec<IpAddr>);

impl Lookup for Table {
    fn lookup(&self, _: &str) -> Looking {
        let found = self.0.clone();
        Box::pin(async move { Ok(found) })
    }
}

/// Knows no name.
#[derive(Debug)]
struct Nothing;

impl Lookup for Nothing {
    fn lookup(&self, _: &str) -> Looking {
        Box::pin(async { Err(io::Error::other("no such name")) })
    }
}

pub(crate) fn get(url: &str) -> Request {
    Request {
        method: Method::Get,
        url: url.parse().unwrap(),
        headers: Vec::new(),
        credentials: Vec::new(),
        body: None,
    }
}

/// Sends one GET to where all names lead to those addresses.
async fn sent(url: &str, reach: Reach, ips: &[&str]) -> Sent {
    let table = Table(ips.iter().map(|ip| ip.parse().unwrap()).collect());
    let hosts = Hosts { lookup: Arc::new(table), ..Hosts::within(reach) };
    let http = Http::new(Timeouts::default(), hosts).unwrap();
    http.send(get(url), &BTreeMap::new()).await
}

/// Addresses that no tenant reaches by default, and some that none ever reaches.
const OUT_OF_REACH: [&str; 24] = [
    "127.0.0.1",
    "127.8.8.8",
    "0.0.0.0",
    "0.1.2.3",
    "10.0.0.1",
    "100.64.0.1",
    "169.254.169.254",
    "172.16.0.1",
    "172.31.255.254",
    "192.168.1.1",
    "192.0.2.7",
    "198.18.0.1",
    "224.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "::ffff:169.254.169.254",
    "::127.0.0.1",
    "64:ff9b::7f00:1",
    "fc00::1",
    "fe80::1",
    "ff02::1",
];

#[tokio::test]
async fn d28_g07_s08_a_name_that_leads_out_of_reach_is_refused_before_any_connection() {
    let thief = Thief::on("0.0.0.0:0");
    for ip in OUT_OF_REACH {
        let url = format!("https://{NAME}:{}/x", thief.port());
        let sent = sent(&url, Reach::default(), &[ip]).await;
        let Sent::Unreachable { why } = &sent else { panic!("{ip}: {sent:?}") };
        assert!(why.starts_with("the target's name leads to ") && !why.contains(NAME), "{why}");
    }
    assert!(!thief.was_visited());
}

#[tokio::test]
async fn d28_what_is_let_in_is_reached_by_name_and_the_rest_of_a_mixed_answer_is_not() {
    let target = Target::plain(not_found);
    let url = format!("http://{NAME}:{}/x", target.port());
    let reach = Reach { loopback: true, private: false };
    let sent = sent(&url, reach, &["10.0.0.1", "169.254.169.254", "127.0.0.1"]).await;
    let Sent::Answered(response) = &sent else { panic!("{sent:?}") };
    assert_eq!(response.status, 404);
    assert!(matches!(&response.body, Body::Whole(body) if !body.is_empty()));
}

#[tokio::test]
async fn d28_a_private_network_has_to_be_let_in_by_its_own_key() {
    let loopback = Reach { loopback: true, private: false };
    let sent = sent(&format!("https://{NAME}/x"), loopback, &["10.0.0.1", "fd00::1"]).await;
    let Sent::Unreachable { why } = &sent else { panic!("{sent:?}") };
    assert!(why.contains("10.0.0.1") && why.contains("`allow_private = true`"), "{why}");
}

#[tokio::test]
async fn g07_localhost_is_this_machine_or_nothing() {
    // Else a rehearsal without TLS could leave the machine.
    let thief = Thief::on("127.0.0.1:0");
    let reach = Reach { loopback: true, private: true };
    let url = format!("http://localhost:{}/x", thief.port());
    let sent = sent(&url, reach, &["93.184.215.14", "10.0.0.1"]).await;
    assert!(matches!(sent, Sent::NotSent { .. }), "{sent:?}");
}

#[tokio::test]
async fn g05_http_is_not_even_tried_where_the_tenant_has_no_rehearsal() {
    let thief = Thief::on("127.0.0.1:0");
    let url = format!("http://127.0.0.1:{}/x", thief.port());
    let sent = sent(&url, Reach { loopback: false, private: true }, &[]).await;
    assert!(matches!(sent, Sent::NotSent { .. }), "{sent:?}");
    assert!(!thief.was_visited());
}

#[tokio::test]
async fn d27_a_name_that_nobody_knows_is_nothing_sent() {
    let hosts = Hosts { lookup: Arc::new(Nothing), ..Hosts::within(Reach::default()) };
    let http = Http::new(Timeouts::default(), hosts).unwrap();
    let sent = http.send(get(&format!("https://{NAME}/x")), &BTreeMap::new()).await;
    let Sent::NotSent { why } = &sent else { panic!("{sent:?}") };
    assert_eq!(why, "no connection");
}

/// Ways to write an address that is not public, without the port.
const FORMS: [&str; 44] = [
    "127.0.0.1",
    "127.1",
    "127.0.1",
    "2130706433",
    "0x7f000001",
    "0x7f.0.0.1",
    "0x7f.1",
    "017700000001",
    "0177.0.0.1",
    "0177.0.0.01",
    "127.0.0.1.",
    "%31%32%37.0.0.1",
    "%6c%6f%63%61%6c%68%6f%73%74",
    "localhost",
    "LOCALHOST",
    "localhost.",
    "a.localhost",
    "0.0.0.0",
    "0",
    "0x0",
    "10.0.0.1",
    "10.1",
    "0xa000001",
    "167772161",
    "012.0.0.1",
    "172.16.0.1",
    "192.168.0.1",
    "3232235521",
    "0xc0.0xa8.0.1",
    "169.254.169.254",
    "2852039166",
    "0xa9fea9fe",
    "0251.0376.0251.0376",
    "100.64.0.1",
    "[::1]",
    "[::]",
    "[0:0:0:0:0:0:0:1]",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[::ffff:a9fe:a9fe]",
    "[::127.0.0.1]",
    "[64:ff9b::7f00:1]",
    "[fd00::1]",
    "[fe80::1]",
];

#[test]
fn c04_g07_s08_however_a_private_address_is_written_nothing_connects_to_it() {
    let thief = Thief::on("0.0.0.0:0");
    let names: Vec<String> = (1..=FORMS.len()).map(|number| format!("t{number}")).collect();
    let one = |(name, form): (&String, &&str)| {
        tenant(name, &format!("https://{form}:{}", thief.port()), "")
    };
    let tenants: Vec<String> = names.iter().zip(&FORMS).map(one).collect();
    let tenants: Vec<(&str, String)> = names.iter().map(String::as_str).zip(tenants).collect();
    let stage = Stage::new(&tenants);
    for verb in ["check", "run"] {
        let ended = stage.run(&[verb]);
        assert_eq!(ended.code, 78, "{}", ended.text);
        for (name, form) in names.iter().zip(FORMS) {
            let key = format!("`tenants.{name}.datadog.base_url`: names an address");
            assert!(ended.text.contains(&key), "{form}: {}", ended.text);
        }
    }
    assert!(!thief.was_visited());
}

#[test]
fn c04_each_key_lets_in_its_own_kind_of_address_and_none_the_machines_of_clouds() {
    let checked = |address: &str, keys: &str| {
        let stage = Stage::new(&[("acme", tenant("acme", address, keys))]);
        let ended = stage.run(&["check"]);
        (ended.code, ended.text)
    };
    let loopback = "allow_insecure_http = \"loopback\"";
    let private = "allow_private = true";
    assert_eq!(checked("https://10.0.0.1", private).0, 0);
    assert_eq!(checked("https://[fd00::1]", private).0, 0);
    assert_eq!(checked("https://127.0.0.1", loopback).0, 0);
    for (address, keys, told) in [
        ("http://10.0.0.1", private, "must start with `https://`"),
        ("https://10.0.0.1", loopback, "set `allow_private = true`"),
        ("https://127.0.0.1", private, "names an address of this machine"),
        ("https://169.254.169.254", private, "names an address at which no target can be"),
        ("https://[fe80::1]", private, "names an address at which no target can be"),
        ("https://0.0.0.0", loopback, "names an address at which no target can be"),
        ("https://api.example.com", "allow_private = \"perhaps\"", "`tenants.acme.allow_private`"),
    ] {
        let (code, text) = checked(address, keys);
        assert!(code == 78 && text.contains(told), "{address} {keys}: {text}");
    }
}

#[test]
fn a_rehearsal_by_name_works_and_a_second_run_sends_nothing() {
    let shown = r#"{"data":{},"id":"3fa85f64-5717-4562-b3fc-000000000001","title":"Nurse",
        "schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"active":true}"#;
    let target = Target::plain(move |_| answer("200 OK", "", shown));
    let base = format!("http://localhost:{}", target.port());
    let stage = Stage::new(&[("acme", rehearsal("acme", &base))]);
    let ended = stage.run(&["run"]);
    assert_eq!((ended.code, target.requests().len()), (0, 1), "{}", ended.text);
    assert_eq!((stage.run(&["run"]).code, target.requests().len()), (0, 1));
}
