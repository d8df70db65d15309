//! The program itself, killed where it can be seen from outside, and at system calls.

use crate::{
    company::Tenant,
    stage::{Stage, until},
};
use rosterd::sandbox::{Api, Fault};
use std::time::Duration;

/// A company of ten with one target, which the state knows. Every outcome is a commit of its own.
pub(crate) fn stage() -> Stage {
    Stage::adopted(10, vec![Tenant::new("acme", Api::Datadog).one_by_one()])
}

/// The runs after one that was cut off: everybody is as wished by the first of them, and after two
/// clean looks at whoever was in doubt nothing is sent any more.
pub(crate) fn assert_made_good(stage: &Stage, what: &str) {
    stage.no_more_faults();
    let ended = stage.run(&["run"]);
    assert_eq!(ended.code, 0, "{what}: {}{}", ended.stdout, ended.stderr);
    stage.assert_in_step();
    for _ in 0..3 {
        stage.sandbox.clear_requests();
        let ended = stage.run(&["run"]);
        assert_eq!(ended.code, 0, "{what}: {}{}", ended.stdout, ended.stderr);
        let sent = stage.sent("acme");
        let changes = sent.iter().filter(|request| !request.starts_with("GET ")).count();
        assert_eq!(changes, 0, "{what}: {sent:?}");
        if sent.is_empty() {
            stage.assert_in_step();
            return;
        }
    }
    panic!("{what}: there is no rest");
}

#[test]
fn e01_a_program_that_is_killed_at_its_nth_request_is_made_good() {
    // Before the answer, which takes a while, and after it, where the next one has been seen.
    for fault in [Some(Fault::Slow(Duration::from_millis(150))), Some(Fault::LostRequest), None] {
        let tenant = Tenant::new("acme", Api::Datadog).one_by_one().key("quota", "20/s");
        let tenant = match fault {
            Some(fault) => tenant.always(fault),
            None => tenant,
        };
        let mut stage = Stage::adopted(4, vec![tenant]);
        for moment in 1..=4 {
            stage.marry_all();
            stage.sandbox.clear_requests();
            stage.sandbox.set_faults("acme", stage.tenants[0].faults.clone());
            let mut running = stage.start(&["run"], &[]);
            until("it has sent some", || stage.requests() >= moment || running.is_over());
            running.kill();
            assert_made_good(&stage, &format!("request {moment}"));
        }
    }
}

#[test]
fn e01_an_adoption_that_is_killed_at_any_time_is_done_again() {
    let mut stage = Stage::new(200, vec![Tenant::new("acme", Api::Datadog)]);
    for milliseconds in [0, 3, 6, 10, 15, 20, 30, 50] {
        let mut running = stage.start(&["adopt", "--yes"], &[]);
        std::thread::park_timeout(Duration::from_millis(milliseconds));
        running.kill();
    }
    let ended = stage.run(&["adopt", "--yes"]);
    let again = ended.stdout + &ended.stderr;
    stage.change(7, "title", "Director");
    assert_made_good(&stage, &again);
}
