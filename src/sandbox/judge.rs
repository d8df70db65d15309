//! What a careful, minimal client would never have done.

use super::{
    attempt::Attempt,
    practice::{Incoming, Refusal},
};
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet, btree_map::Entry},
    time::Duration,
};
use tokio::time::Instant;

/// Requests that come so soon after a Retry-After was sent may have left before the client could
/// read it. One for a user whose own request was turned away cannot: it waited for that answer.
const ON_THE_WAY: Duration = Duration::from_millis(500);

/// Watches one tenant's client. What it writes down names attributes, never their values.
#[derive(Default)]
pub(super) struct Judge {
    pub(super) violations: Vec<String>,
    requests: u64,
    ban: Option<Ban>,
    in_flight: BTreeMap<String, usize>,
    in_doubt: BTreeMap<String, Doubt>,
}

/// The client was told to stay away.
struct Ban {
    first_told: Instant,
    until: Instant,
    /// Whose requests were turned away.
    users: BTreeSet<String>,
}

/// A PATCH whose sender cannot know whether it took effect, so that sending it again is not idle.
struct Doubt {
    body: Value,
    /// The effect may come even after a read that does not show it.
    outlasts_reads: bool,
}

impl Judge {
    pub(super) fn note(&mut self, request: &Incoming, what: &str) {
        let Incoming { method, path, .. } = request;
        self.violations.push(format!("request {}, {method} {path}: {what}", self.requests));
    }

    /// A request has a method that no change of one user needs.
    pub(super) fn strange(&mut self, request: &Incoming) {
        self.note(request, "only GET and PATCH are ever needed");
    }

    /// A request begins.
    pub(super) fn head(&mut self, request: &Incoming, user: Option<&str>) {
        self.requests += 1;
        if request.header("user-agent").is_none_or(str::is_empty) {
            self.note(request, "without a User-Agent");
        }
        let Some(user) = user else { return };
        let count = self.in_flight.entry(user.to_owned()).or_default();
        *count += 1;
        if *count > 1 {
            self.note(request, "another request for this user is still in flight");
        }
    }

    /// A request for that user was answered, or its connection ended.
    pub(super) fn depart(&mut self, user: &str) {
        if let Entry::Occupied(mut count) = self.in_flight.entry(user.to_owned()) {
            *count.get_mut() -= 1;
            if *count.get() == 0 {
                count.remove();
            }
        }
    }

    pub(super) fn pace(&mut self, request: &Incoming, user: Option<&str>, now: Instant) {
        let Some(ban) = self.ban.as_ref().filter(|ban| now < ban.until) else { return };
        let on_the_way = now < ban.first_told + ON_THE_WAY;
        if !on_the_way || user.is_some_and(|user| ban.users.contains(user)) {
            self.note(request, "before the time that Retry-After named");
        }
    }

    /// A Retry-After was sent; of several that run the longest counts.
    pub(super) fn ban(&mut self, user: Option<String>, now: Instant, until: Instant) {
        let fresh = || Ban { first_told: now, until, users: BTreeSet::new() };
        let mut ban = self.ban.take().filter(|ban| now < ban.until).unwrap_or_else(fresh);
        ban.until = ban.until.max(until);
        ban.users.extend(user);
        self.ban = Some(ban);
    }

    pub(super) fn attempt(&mut self, request: &Incoming, attempt: &Result<Attempt, Refusal>) {
        match attempt {
            Err(refusal) if refusal.avoidable => {
                let Refusal { status, message, .. } = refusal;
                self.note(request, &format!("refused with {status}: {message}"));
            }
            Ok(Attempt::Read(_)) if !request.body.is_empty() => {
                self.note(request, "a read with a body");
            }
            Err(_) | Ok(Attempt::Read(_) | Attempt::Make { .. } | Attempt::Remove { .. }) => {}
            Ok(Attempt::Edit { id, body, edited }) => {
                let doubted = self.in_doubt.get(id).is_some_and(|doubt| doubt.body == *body);
                if !edited.idle.is_empty() && !doubted {
                    let names = edited.idle.join("`, `");
                    self.note(request, &format!("sets `{names}` to what it is already"));
                }
                for remark in &edited.remarks {
                    self.note(request, remark);
                }
            }
        }
    }

    pub(super) fn doubt(&mut self, user: String, body: Value, outlasts_reads: bool) {
        self.in_doubt.insert(user, Doubt { body, outlasts_reads });
    }

    /// A trustworthy answer about that user was given.
    pub(super) fn settle(&mut self, user: &str, by_read: bool) {
        if !self.in_doubt.get(user).is_some_and(|doubt| by_read && doubt.outlasts_reads) {
            self.in_doubt.remove(user);
        }
    }
}
