//! Runs that are stopped or killed.

use crate::{
    company::Tenant,
    stage::{Stage, until},
};
use rosterd::sandbox::{Api, Fault};
use std::{collections::BTreeSet, time::Duration};
use tokio::time::Instant;

/// Every PATCH takes effect at once and is answered after a while.
fn slow(name: &str, api: Api) -> Tenant {
    Tenant::new(name, api).always(Fault::Slow(Duration::from_millis(250)))
}

fn patches(stage: &Stage) -> usize {
    let sent = stage.tenants.iter().flat_map(|tenant| stage.sent(&tenant.name));
    sent.filter(|request| request.starts_with("PATCH ")).count()
}

#[test]
fn e01_a_run_that_is_killed_at_any_moment_is_made_good_by_the_next() {
    let mut stage =
        Stage::adopted(24, vec![slow("datadog", Api::Datadog), slow("kare", Api::Kare)]);
    let mut doubts = 0;
    for moment in [1, 6, 14] {
        stage.marry_all();
        stage.sandbox.clear_requests();
        for tenant in &stage.tenants {
            stage.sandbox.set_faults(&tenant.name, tenant.faults.clone());
        }
        let mut running = stage.start(&["run"], &[]);
        until("it has sent some", || patches(&stage) >= moment);
        assert!(!running.is_over());
        running.kill();
        let open = |tenant| stage.snapshot(tenant).open_intents().unwrap().len();
        doubts += open("datadog") + open("kare");

        stage.no_more_faults();
        let ended = stage.run(&["run"]);
        assert_eq!(ended.code, 0, "{}", ended.stdout);
        stage.assert_in_step();
        // Who was in doubt is looked at twice more.
        for _ in 0..2 {
            stage.sandbox.clear_requests();
            assert_eq!((stage.run(&["run"]).code, patches(&stage)), (0, 0));
        }
        assert_eq!(stage.assert_at_rest().code, 0);
    }
    assert!(doubts > 0, "every kill hit a pause");
}

#[test]
fn e03_f09_inv18_a_stop_is_quick_and_clean_and_the_next_run_goes_on() {
    for (signal, code) in [("TERM", 143), ("INT", 130)] {
        let mut stage = Stage::adopted(40, vec![slow("acme", Api::Datadog)]);
        stage.marry_all();
        let mut running = stage.start(&["run"], &[]);
        until("it has sent some", || patches(&stage) >= 3);
        let asked = Instant::now();
        running.signal(signal);
        let ended = running.end();
        assert_eq!(ended.code, code, "{}", ended.stderr);
        assert!(asked.elapsed() < Duration::from_secs(4));
        let first: BTreeSet<String> = stage.sent("acme").into_iter().collect();
        assert!(first.len() < 40, "it was over before it could be stopped");
        assert!(stage.snapshot("acme").open_intents().unwrap().is_empty());
        assert!(stage.snapshot("acme").runs(1).unwrap()[0].ended.is_some());

        stage.no_more_faults();
        stage.sandbox.clear_requests();
        assert_eq!(stage.run(&["run"]).code, 0);
        let second: BTreeSet<String> = stage.sent("acme").into_iter().collect();
        assert!(first.is_disjoint(&second), "somebody was patched twice");
        assert_eq!(first.len() + second.len(), 40);
        stage.assert_in_step();
        stage.assert_at_rest();
    }
}

/// Every PATCH takes effect at once and is never answered.
fn mute() -> Tenant {
    Tenant::new("acme", Api::Datadog).always(Fault::Slow(Duration::from_hours(1)))
}

/// Nobody was answered, and the run has written down of whom that is.
fn assert_all_in_doubt(stage: &Stage) {
    let open = stage.snapshot("acme").open_intents().unwrap();
    let sent = stage.sent("acme").into_iter().collect::<BTreeSet<String>>();
    let ended = &stage.snapshot("acme").runs(1).unwrap()[0];
    assert_eq!(open.len(), sent.len());
    assert!(ended.ended.is_some());
}

/// After a run that left users in doubt: the next one makes it good, and two more look at them.
fn assert_made_good(stage: &Stage) {
    stage.no_more_faults();
    assert_eq!(stage.run(&["run"]).code, 0);
    stage.assert_in_step();
    for _ in 0..2 {
        stage.sandbox.clear_requests();
        assert_eq!((stage.run(&["run"]).code, patches(stage)), (0, 0));
    }
    stage.assert_at_rest();
}

#[test]
fn e03_a_second_signal_waits_for_nobody_and_leaves_a_clean_journal_too() {
    for second in ["TERM", "INT"] {
        let mut stage = Stage::adopted(40, vec![mute()]);
        stage.marry_all();
        let mut running = stage.start(&["--log-level", "info", "run"], &[]);
        until("it has sent some", || patches(&stage) >= 3);
        running.signal("TERM");
        until("it has heard", || running.stderr().contains("stopping"));
        assert!(!running.is_over());
        let (asked, sent) = (Instant::now(), patches(&stage));
        running.signal(second);
        let ended = running.end();
        assert_eq!(ended.code, 143, "{}", ended.stderr);
        assert!(asked.elapsed() < Duration::from_secs(4));
        assert_eq!(patches(&stage), sent, "it sent after it was asked to stop");
        assert_all_in_doubt(&stage);
        assert_made_good(&stage);
    }
}

#[test]
fn e03_inv18_a_stop_waits_for_an_answer_no_longer_than_a_request_may_take() {
    let mut stage = Stage::adopted(40, vec![mute().key("request_timeout", "1s")]);
    stage.marry_all();
    let mut running = stage.start(&["run"], &[]);
    until("it has sent some", || patches(&stage) >= 3);
    running.signal("INT");
    let ended = running.end();
    assert_eq!(ended.code, 130, "{}", ended.stderr);
    assert_all_in_doubt(&stage);
    assert_made_good(&stage);
}

#[test]
fn e03_the_end_of_a_terminal_is_a_stop_too_unless_it_is_ignored() {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:")).unwrap();
    let ignored = u64::from_str_radix(ignored.trim(), 16).unwrap() & 1 == 1;
    let mut stage = Stage::adopted(24, vec![slow("acme", Api::Datadog)]);
    stage.marry_all();
    let mut running = stage.start(&["run"], &[]);
    until("it has sent some", || patches(&stage) >= 3);
    running.signal("HUP");
    let ended = running.end();
    assert_eq!(ended.code, if ignored { 0 } else { 129 }, "{}", ended.stderr);
    assert!(stage.snapshot("acme").open_intents().unwrap().is_empty());
}

#[test]
fn a_stop_while_the_target_wants_silence_does_not_wait_for_it() {
    let throttle =
        Fault::Throttle { retry_after: rosterd::sandbox::RetryAfterForm::Seconds(1_800) };
    let mut stage = Stage::adopted(4, vec![Tenant::new("acme", Api::Datadog).once(throttle)]);
    stage.marry_all();
    let mut running = stage.start(&["run"], &[]);
    until("it waits", || stage.snapshot("acme").pause().unwrap().is_some());
    let asked = Instant::now();
    running.signal("TERM");
    assert_eq!(running.end().code, 143);
    assert!(asked.elapsed() < Duration::from_secs(4));
    assert!(stage.snapshot("acme").open_intents().unwrap().is_empty());
}
