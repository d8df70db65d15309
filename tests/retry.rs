//! What is sent again, after which wait, and when a tenant's run ends: `tests/vectors/retry.json`,
//! played to the pure machine without a clock, a socket or a disk.
//!
//! A vector's `responses` answer one request after another, the last of them all that follow; `judge`
//! is a target that rejects a PATCH with one of the `faults` in it, and shows what it took of any
//! other. Operations go one after another. Waits are in seconds, with dice that fall in the middle.

#![expect(clippy::unwrap_used, reason = "a failed step of a test ends it")]

use proptest::prelude::*;
use rosterd::{
    engine::{
        breaker::Leave,
        caution::{Caution, Heed},
        delivery::{Delivery, Next, Step, StopCause},
        reply::Reply,
        retry::{self, Dice, RetryAfter},
    },
    model::{
        Action, Answer, AttrPath, Attributes, Edit, Group, Operation, Outcome, RemoteId, UserKey,
        Value, Verdict,
    },
};
use serde::Deserialize;
use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Vector {
    name: String,
    #[serde(default = "one")]
    operations: usize,
    /// Attributes `a1`, `a2` … of each PATCH; 0: the operations are reads.
    #[serde(default = "one")]
    edits: usize,
    /// Of these, members of one object.
    #[serde(default)]
    together: Vec<String>,
    #[serde(default = "yes")]
    reads: bool,
    #[serde(default)]
    faults: Vec<String>,
    responses: Vec<String>,
    /// How often they come, one after another.
    #[serde(default = "one")]
    times: usize,
    expect: Expected,
}

#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Expected {
    /// Without looks.
    requests: usize,
    looks: usize,
    outcomes: BTreeMap<String, usize>,
    /// What was found at fault.
    refused: BTreeSet<String>,
    waits: Vec<f64>,
    /// In place of `waits`, where there are many.
    waited: Option<f64>,
    ended: Option<String>,
    /// Operations that were not begun.
    left: usize,
    tokens: u32,
}

fn one() -> usize {
    1
}

fn yes() -> bool {
    true
}

#[test]
fn every_vector_of_what_is_sent_again_holds() {
    let vectors: Vec<Vector> = serde_json::from_str(include_str!("vectors/retry.json")).unwrap();
    assert!(vectors.len() >= 60, "{} vectors", vectors.len());
    let names: BTreeSet<&str> = vectors.iter().map(|vector| vector.name.as_str()).collect();
    assert_eq!(names.len(), vectors.len(), "two have one name");
    let mut wrong = Vec::new();
    for vector in &vectors {
        let mut found = Play::of(vector).found;
        if let Some(expected) = vector.expect.waited {
            let waited: f64 = found.waits.drain(..).sum();
            found.waited = Some(if (waited - expected).abs() < 1.0 { expected } else { waited });
        }
        if found != vector.expect {
            wrong.push(format!("{}:\n  {found:?}\n  {:?}", vector.name, vector.expect));
        }
        // Whatever a target answers.
        let most = vector.operations * 11 / 10 + 50;
        assert!(found.requests <= most, "{}: {} requests", vector.name, found.requests);
        assert!(found.looks <= most, "{}: {} looks", vector.name, found.looks);
    }
    assert!(wrong.is_empty(), "found, then expected:\n{}", wrong.join("\n"));
}

const RESPONSES: [&str; 24] = [
    "200 new",
    "200 new",
    "200 new",
    "200 old",
    "204",
    "202",
    "page",
    "lost",
    "lost",
    "not reached",
    "400",
    "400 a1",
    "401 after 1",
    "403",
    "403 after 2",
    "404",
    "409",
    "429",
    "429 after 1",
    "500",
    "502",
    "503",
    "503 after 3",
    "judge",
];

proptest! {
    #[test]
    fn inv9_whatever_a_target_answers_it_is_sent_little_more_than_there_is_to_do(
        responses in prop::collection::vec(prop::sample::select(&RESPONSES[..]), 1..12),
        operations in 1_usize..400, edits in 0_usize..5, reads in any::<bool>()
    ) {
        let responses = responses.into_iter().map(str::to_owned).collect();
        let vector = Vector {
            name: String::new(),
            operations,
            edits,
            together: Vec::new(),
            reads,
            faults: vec!["a2".to_owned()],
            responses,
            times: 1000,
            expect: Expected::default(),
        };
        let Expected { requests, looks, outcomes, left, .. } = Play::of(&vector).found;
        let most = operations * 11 / 10 + 50;
        prop_assert!(requests <= most, "{} requests", requests);
        // One look for each request is free; what is repeated of either is paid for out of the
        // same tokens, so what is repeated of one is not there for the other.
        prop_assert!(looks <= most, "{} looks", looks);
        prop_assert_eq!(outcomes.values().sum::<usize>() + left, operations);
    }
}

/// One vector, played.
struct Play<'a> {
    vector: &'a Vector,
    caution: Caution,
    now: Instant,
    answered: usize,
    found: Expected,
}

const MIDDLE: f64 = 0.5;

impl<'a> Play<'a> {
    fn of(vector: &'a Vector) -> Self {
        let now = tokio::time::Instant::now().into_std();
        let (caution, found) = (Caution::default(), Expected::default());
        let mut play = Self { vector, caution, now, answered: 0, found };
        let operation = operation(vector);
        for number in 0..vector.operations {
            if play.found.ended.is_some() {
                play.found.left = vector.operations - number;
                break;
            }
            let outcome = play.deliver(&operation);
            if play.caution.conclude(&outcome).is_some() {
                play.end("broken");
            }
            *play.found.outcomes.entry(name_of(&outcome).to_owned()).or_default() += 1;
        }
        play.found.tokens = play.caution.budget.left();
        play
    }

    fn deliver(&mut self, operation: &Operation) -> Outcome {
        let members: Vec<AttrPath> =
            self.vector.together.iter().map(|text| AttrPath::new(text)).collect();
        let groups = [Group { parent: "object".into(), members, mandatory: Vec::new() }];
        let mut delivery = Delivery::new(operation, self.vector.reads, &groups);
        let mut next = Next::Operation;
        let outcome = loop {
            let reply = self.request(operation, &delivery, next);
            next = match delivery.next(reply, &mut self.caution.budget) {
                Step::Done(outcome) => break outcome,
                Step::Stop { cause: StopCause::Unauthorized, outcome } => {
                    self.end("unauthorized");
                    break outcome;
                }
                Step::Stop { cause: StopCause::Broken { .. }, outcome } => {
                    self.end("broken");
                    break outcome;
                }
                _ if self.found.ended.is_some() => break delivery.abandon("the run ended first"),
                Step::Again { next, failures } => {
                    self.wait(retry::transient(failures, self.now, Dice::new(MIDDLE)));
                    next
                }
                Step::Send(next) | Step::Pause(next) | Step::Renew(next) => next,
            };
        };
        let refused = delivery.parts().map(|parts| parts.refused).unwrap_or_default();
        self.found.refused.extend(refused.iter().map(|path| path.as_str().to_owned()));
        outcome
    }

    fn request(&mut self, operation: &Operation, delivery: &Delivery<'_>, next: Next) -> Reply {
        let Leave::Now(pass) = self.caution.breaker.ask(self.now) else { panic!("not waited") };
        let responses = &self.vector.responses;
        let last = responses.len() * self.vector.times - 1;
        let at = self.answered.min(last) % responses.len();
        self.answered += 1;
        let looks = next == Next::Look || operation.action == Action::Read;
        match next {
            Next::Operation => self.found.requests += 1,
            Next::Look => self.found.looks += 1,
        }
        let sent = if looks { &operation.action } else { delivery.action() };
        let reply = reply(&self.vector.responses[at], sent, looks, &self.vector.faults);
        let Heed { silence, opened, hopeless } =
            self.caution.hear(&reply, pass, self.now, Dice::new(MIDDLE));
        if hopeless.is_some() {
            self.end("broken");
        }
        match silence {
            Some(silence) if silence.ends_the_run => self.end("throttled"),
            Some(silence) => self.wait(silence.wait),
            None => {}
        }
        match opened {
            Some(opened) if opened.ends_the_run() => self.end("unwell"),
            Some(opened) => self.wait(opened.wait),
            None => {}
        }
        reply
    }

    fn wait(&mut self, wait: Duration) {
        self.now += wait;
        self.found.waits.push((wait.as_secs_f64() * 100.0).round() / 100.0);
    }

    fn end(&mut self, why: &str) {
        self.found.ended.get_or_insert_with(|| why.to_owned());
    }
}

fn operation(vector: &Vector) -> Operation {
    let edit = |number| Edit {
        path: AttrPath::new(&format!("a{number}")),
        before: Some(Some(Value::from("old"))),
        after: Some(Value::from("new")),
    };
    let edits: Vec<Edit> = (1..=vector.edits).map(edit).collect();
    let patch = Action::Patch { edits, companions: BTreeMap::new() };
    Operation {
        key: UserKey::parse("E1").unwrap(),
        remote_id: RemoteId::parse("u1").ok(),
        action: if vector.edits == 0 { Action::Read } else { patch },
    }
}

fn name_of(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Settled { unverified: false, .. } => "settled",
        Outcome::Settled { unverified: true, .. } => "unverified",
        Outcome::Refused(_) => "refused",
        Outcome::InDoubt { .. } => "in doubt",
        Outcome::Deferred { .. } => "deferred",
        Outcome::Gone => "gone",
        Outcome::Matched { .. } => "matched",
        Outcome::Nobody => "nobody",
        Outcome::Ambiguous { .. } => "ambiguous",
        Outcome::Created { .. } => "created",
        Outcome::Deleted => "deleted",
    }
}

/// `200 new`, `429 after 5`, `400 a1`, `lost`, …
fn reply(text: &str, sent: &Action, looks: bool, faults: &[String]) -> Reply {
    let why = || text.to_owned();
    match text {
        "lost" => return Reply::Lost { why: why() },
        "not reached" => return Reply::NotSent { why: why() },
        "bad certificate" => return Reply::Unreachable { why: why() },
        "page" => {
            let answer = Answer { code: Answer::PAGE.into(), ..Answer::of(Verdict::Uncertain) };
            return Reply::Answered { answer, status: 200, retry_after: RetryAfter::Absent };
        }
        "judge" => {
            let at_fault = |edit: &Edit| faults.iter().any(|fault| fault == edit.path.as_str());
            let fits = looks || !edits(sent).iter().any(at_fault);
            return reply(if fits { "200 new" } else { "400" }, sent, looks, faults);
        }
        _ => {}
    }
    let (what, after) = text.split_once(" after ").map_or((text, None), |(a, b)| (a, Some(b)));
    let retry_after = match after.map(str::parse) {
        None => RetryAfter::Absent,
        Some(Ok(seconds)) => RetryAfter::Wait(Duration::from_secs(seconds)),
        Some(Err(_)) => RetryAfter::Invalid,
    };
    let (status, detail) = what.split_once(' ').unwrap_or((what, ""));
    let status = status.parse().unwrap();
    let answer = Answer::of(verdict(status, detail, sent, looks));
    Reply::Answered { answer, status, retry_after }
}

fn verdict(status: u16, detail: &str, sent: &Action, looks: bool) -> Verdict {
    match (status, detail) {
        (200, "new" | "old" | "") | (204, _) => {
            let shown: Attributes = match detail {
                "" => Attributes::new(),
                text => {
                    let of = |edit: &Edit| (edit.path.clone(), Some(Value::from(text)));
                    edits(sent).iter().map(of).collect()
                }
            };
            if looks { Verdict::Found { shown } } else { Verdict::Applied { shown } }
        }
        (200 | 300..=399, _) => Verdict::Broken,
        (401, _) => Verdict::Unauthorized,
        (403, _) => Verdict::Forbidden,
        (404 | 410, _) => Verdict::Missing,
        (408 | 425 | 429, _) => Verdict::Throttled,
        (409 | 412, _) => Verdict::Conflict,
        (423 | 503, _) => Verdict::Unavailable,
        (400..=499, "") => Verdict::Rejected { attributes: Vec::new() },
        (400..=499, named) => Verdict::Rejected { attributes: vec![AttrPath::new(named)] },
        _ => Verdict::Uncertain,
    }
}

fn edits(action: &Action) -> &[Edit] {
    action.edits()
}
