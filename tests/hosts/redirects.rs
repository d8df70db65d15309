//! Answers and surroundings that would lead requests, and the token with them, somewhere else.

use crate::{
    stage::{Stage, TOKEN, end, rehearsal},
    target::{Target, Thief, answer, not_found},
};
use std::sync::{Mutex, mpsc};

const REDIRECTS: [&str; 5] =
    ["301 Moved", "302 Found", "303 See Other", "307 Temporary", "308 Permanent"];

/// Leads whoever asks to that address.
fn leading_to(status: &'static str, location: String) -> Target {
    Target::plain(move |_| answer(status, &format!("location: {location}\r\n"), "{}"))
}

fn base(target: &Target) -> String {
    format!("http://127.0.0.1:{}", target.port())
}

/// The thief's address in every way that a header can spell it.
fn ways_to(thief: &Thief) -> [String; 3] {
    let port = thief.port();
    [
        format!("http://127.0.0.1:{port}/api"),
        format!("//127.0.0.1:{port}/api"),
        format!("http://somebody@localhost:{port}/api"),
    ]
}

#[test]
fn g03_g04_s07_a_redirect_of_a_read_is_not_followed_by_the_program() {
    for status in REDIRECTS {
        let thief = Thief::on("127.0.0.1:0");
        for location in ways_to(&thief) {
            let target = leading_to(status, location);
            let stage = Stage::new(&[("acme", rehearsal("acme", &base(&target)))]);
            let ended = stage.run(&["run"]);
            assert_eq!(ended.code, 1, "{status}: {}", ended.text);
            assert!(!thief.was_visited(), "{status}");
            let requests = target.requests();
            assert_eq!(requests.len(), 1, "{status}: {requests:?}");
            assert!(requests[0].starts_with("GET ") && requests[0].contains(TOKEN));
        }
    }
}

#[test]
fn g03_g04_d29_s07_a_redirect_of_a_patch_is_not_followed_by_the_program() {
    for status in REDIRECTS {
        let thief = Thief::on("127.0.0.1:0");
        let [location, ..] = ways_to(&thief);
        let target = leading_to(status, location);
        let stage = Stage::new(&[("acme", rehearsal("acme", &base(&target)))]);
        assert_eq!(stage.run(&["adopt", "--yes"]).code, 0);
        stage.title("Ward sister");
        let ended = stage.run(&["run"]);
        assert_eq!(ended.code, 1, "{status}: {}", ended.text);
        assert!(!thief.was_visited(), "{status}");
        let requests = target.requests();
        assert_eq!(requests.len(), 1, "{status}: {requests:?}");
        assert!(requests[0].starts_with("PATCH ") && requests[0].contains("Ward sister"));
    }
}

#[test]
fn g03_a_redirect_within_the_target_is_not_followed_either() {
    for status in REDIRECTS {
        let target = leading_to(status, "/api/elsewhere".to_owned());
        let stage = Stage::new(&[("acme", rehearsal("acme", &base(&target)))]);
        assert_eq!(stage.run(&["run"]).code, 1);
        assert_eq!(target.requests().len(), 1, "{status}");
    }
}

#[test]
fn inv13_each_tenants_token_goes_to_its_own_target_alone() {
    let (one, two) = (Target::plain(not_found), Target::plain(not_found));
    let stage = Stage::new(&[
        ("one", rehearsal("one", &base(&one))),
        ("two", rehearsal("two", &base(&two))),
    ]);
    stage.run(&["run"]);
    for (target, own, other) in [(&one, "one", "two"), (&two, "two", "one")] {
        let said = target.requests().concat();
        assert!(said.contains(&format!("{TOKEN}-{own}")), "{own}: {said}");
        assert!(!said.contains(&format!("{TOKEN}-{other}")), "{own}: {said}");
    }
}

#[test]
fn g06_s13_proxies_in_the_environment_are_ignored() {
    let (thief, target) = (Thief::on("127.0.0.1:0"), Target::plain(not_found));
    let stage = Stage::new(&[("acme", rehearsal("acme", &base(&target)))]);
    let proxy = format!("http://127.0.0.1:{}", thief.port());
    let mut command = stage.command(&["run"]);
    for name in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"] {
        command.env(name, &proxy).env(name.to_lowercase(), &proxy);
    }
    let ended = end(&mut command);
    assert_eq!(target.requests().len(), 1, "{}", ended.text);
    assert!(!thief.was_visited());
}

#[test]
fn s06_the_token_stands_neither_among_the_arguments_nor_in_the_environment() {
    let (tell, asked) = mpsc::channel();
    let (go_on, goes_on) = mpsc::channel::<()>();
    let goes_on = Mutex::new(goes_on);
    let target = Target::plain(move |request| {
        tell.send(()).unwrap();
        // Until the test has looked; its end lets go too.
        let _ = goes_on.lock().unwrap().recv();
        not_found(request)
    });
    let stage = Stage::new(&[("acme", rehearsal("acme", &base(&target)))]);
    let mut running = stage.start(&["run"]);
    asked.recv().unwrap();
    for name in ["cmdline", "environ"] {
        let text = std::fs::read(format!("/proc/{}/{name}", running.id())).unwrap();
        let text = String::from_utf8_lossy(&text);
        assert!(text.contains("rosterd") && !text.contains("canary"), "{name}: {text}");
    }
    go_on.send(()).unwrap();
    running.wait().unwrap();
    assert!(target.requests()[0].contains(TOKEN));
}
