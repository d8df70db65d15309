//! What is known of each tenant, and what waits.

use super::{
    Style,
    json::FORMAT_VERSION,
    page::{FACT_COLUMN, Page, Tone},
    words::{self, counted},
};
use crate::{
    config::TenantConfig,
    model::{TenantId, Timer},
    store::{Approval, RunRow, Snapshot, StoreError, TenantInQuarantine, WaitingPlan},
};
use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Value as Json, json};
use std::collections::BTreeSet;

/// One tenant between two runs.
#[derive(Clone, Debug, Serialize)]
pub struct TenantStatus {
    pub tenant: TenantId,
    pub api: String,
    pub users_known: u64,
    pub in_doubt: u64,
    /// Users with a value that the target would not take.
    pub not_accepted: u64,
    /// Users that the target does not have.
    pub gone: u64,
    /// Users that failed and are tried again, on the long schedule.
    pub in_quarantine: u64,
    /// Users that failed for 28 days and are not tried any more.
    pub given_up: u64,
    /// Users that a person holds.
    pub held_by_hand: u64,
    /// The tenant's own.
    pub quarantine: Option<TenantQuarantine>,
    pub last_run: Option<LastRun>,
    /// May have passed.
    pub paused: Option<Paused>,
    pub accepted_input: Option<AcceptedRoster>,
    pub next_run: Option<Timestamp>,
    /// Plans that a guard holds.
    pub waiting: Vec<Waiting>,
    /// Approvals that nobody has used; some may have expired.
    pub approved: Vec<Approved>,
    /// Grows with every write of the snapshot.
    pub serial: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LastRun {
    pub started: Timestamp,
    pub verb: String,
    /// `exit 4: 12 settled, 1 refused, 15 requests`.
    pub summary: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Paused {
    pub until: Timestamp,
    pub why: String,
}

/// Nothing is sent to the tenant but a probe, now and then.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TenantQuarantine {
    /// `credentials`, `broken`, `rate`.
    pub cause: &'static str,
    pub why: String,
    #[serde(flatten)]
    pub timer: Timer,
}

/// The last complete read that was sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AcceptedRoster {
    pub users: u64,
    pub at: Timestamp,
}

/// A plan that waits for a person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Waiting {
    pub digest: String,
    pub since: Timestamp,
    /// What each guard counted.
    pub figures: Vec<String>,
}

/// A plan that the next run may send.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Approved {
    pub digest: String,
    pub who: String,
    pub reason: String,
    pub expires: Timestamp,
}

/// Approvals that `status` looks through: more than a day has.
const APPROVALS: u32 = 64;

impl TenantStatus {
    /// Asks the snapshot; `None`: there is none yet.
    pub fn of(
        tenant: &TenantConfig,
        snapshot: Option<&Snapshot>,
        next_run: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<Self, StoreError> {
        let mut status = Self {
            tenant: tenant.id.clone(),
            api: tenant.api.to_owned(),
            users_known: 0,
            in_doubt: 0,
            not_accepted: 0,
            gone: 0,
            in_quarantine: 0,
            given_up: 0,
            held_by_hand: 0,
            quarantine: None,
            last_run: None,
            paused: None,
            accepted_input: None,
            next_run,
            waiting: Vec::new(),
            approved: Vec::new(),
            serial: 0,
        };
        if let Some(snapshot) = snapshot {
            status.ask(snapshot)?;
            status.ask_who_waits(snapshot, now)?;
        }
        Ok(status)
    }

    fn ask(&mut self, snapshot: &Snapshot) -> Result<(), StoreError> {
        let refused: BTreeSet<_> = snapshot.refused()?.into_iter().map(|wish| wish.key).collect();
        self.users_known = snapshot.users()?;
        self.in_doubt = snapshot.in_doubt()?.len() as u64;
        self.gone = snapshot.gone()?.len() as u64;
        self.not_accepted = refused.len() as u64;
        self.last_run = snapshot.runs(1)?.into_iter().next().map(last_run);
        self.paused = snapshot.pause()?.map(|pause| Paused { until: pause.until, why: pause.why });
        self.accepted_input = snapshot
            .accepted_input()?
            .map(|input| AcceptedRoster { users: input.users, at: input.at });
        let waiting = snapshot.waiting_plans()?.into_iter();
        self.waiting = waiting.map(Waiting::from).collect();
        let unused = snapshot.approvals(APPROVALS)?.into_iter().filter(|a| a.used.is_none());
        self.approved = unused.map(Approved::from).collect();
        self.serial = snapshot.serial()?;
        Ok(())
    }

    fn ask_who_waits(&mut self, snapshot: &Snapshot, now: Timestamp) -> Result<(), StoreError> {
        let users = snapshot.quarantine()?;
        let given_up = users.values().filter(|user| user.timer.next_try.is_none()).count();
        self.given_up = given_up as u64;
        self.in_quarantine = (users.len() - given_up) as u64;
        let holds = snapshot.holds()?;
        self.held_by_hand = holds.values().filter(|hold| !hold.is_over(now)).count() as u64;
        self.quarantine = snapshot.tenant_quarantine()?.map(of_tenant);
        Ok(())
    }
}

fn of_tenant(state: TenantInQuarantine) -> TenantQuarantine {
    let TenantInQuarantine { cause, why, timer } = state;
    TenantQuarantine { cause: cause.as_str(), why, timer }
}

impl From<WaitingPlan> for Waiting {
    fn from(plan: WaitingPlan) -> Self {
        let WaitingPlan { digest, run: _, at, figures, bindings: _ } = plan;
        Self { digest, since: at, figures }
    }
}

impl From<Approval> for Approved {
    fn from(approval: Approval) -> Self {
        let Approval { digest, who, reason, expires, .. } = approval;
        Self { digest, who, reason, expires }
    }
}

fn last_run(row: RunRow) -> LastRun {
    let RunRow { run: _, verb, started, ended, summary } = row;
    let summary = match (ended, summary) {
        (None, _) => "has not ended, or was cut off; the next run settles what it left".to_owned(),
        (Some(_), None) => "ended".to_owned(),
        (Some(_), Some(summary)) => figures(&summary),
    };
    LastRun { started, verb, summary }
}

/// The stored figures in words; what is not of their shape, as it is.
fn figures(summary: &str) -> String {
    let Ok(Json::Object(fields)) = serde_json::from_str(summary) else {
        return summary.to_owned();
    };
    let number = |name: &str| fields.get(name).and_then(Json::as_u64);
    let exit = number("exit").map_or("ended".to_owned(), |code| format!("exit {code}"));
    let names = [
        "settled",
        "read",
        "not_accepted",
        "refused",
        "gone",
        "in_doubt",
        "deferred",
        "left",
        "held",
        "requests",
    ];
    let told: Vec<String> = names
        .iter()
        .filter_map(|name| Some((name, number(name)?)))
        .filter(|(_, count)| *count > 0)
        .map(|(name, count)| format!("{count} {}", name.replace('_', " ")))
        .collect();
    if told.is_empty() {
        format!("{exit}: nothing to do")
    } else {
        format!("{exit}: {}", told.join(", "))
    }
}

/// `now` tells how far away the moments are.
#[must_use]
pub fn status_text(statuses: &[TenantStatus], now: Timestamp) -> String {
    let mut page = Page::new(&Style::default());
    for (number, status) in sorted(statuses).into_iter().enumerate() {
        if number > 0 {
            page.blank();
        }
        push_status(&mut page, status, now);
    }
    if statuses.is_empty() {
        page.line(0, &[(Tone::Plain, "no tenant is configured")]);
    }
    page.finish()
}

/// What was let pass, for whoever did.
#[must_use]
pub fn approved_text(tenant: &TenantId, plan: &WaitingPlan, expires: Timestamp) -> String {
    let mut page = Page::new(&Style::default());
    let name = format!("Tenant {tenant}: {} is approved", plan.digest);
    page.line(0, &[(Tone::Strong, &name)]);
    for figure in &plan.figures {
        page.prose(2, Tone::Care, figure);
    }
    let text = format!(
        "The next `run`, `apply` or daemon cycle that makes this very plan of the same source, \
         state and configuration sends it, once, until {}.",
        words::moment(expires)
    );
    page.prose(2, Tone::Plain, &text);
    page.finish()
}

#[must_use]
pub fn status_json(statuses: &[TenantStatus]) -> Json {
    json!({ "format_version": FORMAT_VERSION, "kind": "status", "tenants": sorted(statuses) })
}

fn sorted(statuses: &[TenantStatus]) -> Vec<&TenantStatus> {
    let mut sorted: Vec<&TenantStatus> = statuses.iter().collect();
    sorted.sort_by(|a, b| a.tenant.cmp(&b.tenant));
    sorted
}

fn push_status(page: &mut Page, status: &TenantStatus, now: Timestamp) {
    let TenantStatus {
        tenant,
        api,
        users_known,
        in_doubt,
        not_accepted,
        gone,
        in_quarantine,
        given_up,
        held_by_hand,
        quarantine,
        last_run,
        paused,
        accepted_input,
        next_run,
        waiting: held,
        approved,
        serial,
    } = status;
    let name = format!("Tenant {tenant}");
    page.line(0, &[(Tone::Strong, &name), (Tone::Plain, &format!(" ({api})"))]);
    page.fact("users known", Tone::Plain, &users_known.to_string());
    let waiting = [
        ("in doubt", *in_doubt, "settled by the next run before anything else is sent for them"),
        ("not accepted", *not_accepted, "not sent again until the roster or the mapping changes"),
        ("gone", *gone, "correct the remote id, or take the user out of the tenant's scope"),
        ("in quarantine", *in_quarantine, "`rosterd quarantine list` tells why, and the next try"),
        ("given up", *given_up, "tried again when the row changes, or after `quarantine retry`"),
        ("held by hand", *held_by_hand, "until their time is over, or `rosterd release`"),
    ];
    for (name, count, next) in waiting {
        let text = if count == 0 { "0".to_owned() } else { format!("{count}; {next}") };
        page.fact(name, if count == 0 { Tone::Plain } else { Tone::Care }, &text);
    }
    push_quarantine(page, quarantine.as_ref(), now);
    push_paused(page, paused.as_ref(), now);
    let at = |at: Timestamp| format!("{} ({})", words::moment(at), words::relative(at, now));
    let roster = accepted_input.as_ref().map_or("none accepted yet".to_owned(), |input| {
        format!("{}, accepted {}", counted(input.users, "user"), at(input.at))
    });
    page.fact("roster", Tone::Plain, &roster);
    let last = last_run.as_ref().map_or("none yet".to_owned(), |run| {
        format!("{}, {}: {}", at(run.started), run.verb, run.summary)
    });
    page.fact("last run", Tone::Plain, &last);
    page.fact("next run", Tone::Plain, &next_run.map_or("not scheduled".to_owned(), at));
    page.fact("serial", Tone::Plain, &serial.to_string());
    push_waiting(page, held, approved, now);
}

fn push_waiting(page: &mut Page, waiting: &[Waiting], approved: &[Approved], now: Timestamp) {
    let open: Vec<&Approved> = approved.iter().filter(|approved| now < approved.expires).collect();
    for Waiting { digest, since, figures } in waiting {
        let since =
            format!("a plan, since {} ({})", words::moment(*since), words::relative(*since, now));
        page.fact("waits", Tone::Care, &since);
        for figure in figures {
            page.prose(FACT_COLUMN, Tone::Care, figure);
        }
        if !open.iter().any(|approved| approved.digest == *digest) {
            page.line(FACT_COLUMN, &[(Tone::Strong, &words::approve_command(digest))]);
        }
    }
    for Approved { digest, who, reason, expires } in open {
        let until = format!("{} ({})", words::moment(*expires), words::relative(*expires, now));
        let text = format!("{digest} by {who}: {reason}; not used yet, counts until {until}");
        page.fact("approved", Tone::Care, &text);
    }
}

fn push_quarantine(page: &mut Page, quarantine: Option<&TenantQuarantine>, now: Timestamp) {
    let Some(TenantQuarantine { cause: _, why, timer }) = quarantine else { return };
    let Timer { since, next_try, tries: _ } = timer;
    let since = words::moment(*since);
    let (name, text) = match next_try {
        Some(next) => {
            let (moment, apart) = (words::moment(*next), words::relative(*next, now));
            ("quarantine", format!("since {since}: {why}; next probe {moment} ({apart})"))
        }
        None => (
            "disabled",
            format!("since {since}: {why}; until `rosterd quarantine release --tenant`"),
        ),
    };
    page.fact(name, Tone::Bad, &text);
}

fn push_paused(page: &mut Page, paused: Option<&Paused>, now: Timestamp) {
    let Some(Paused { until, why }) = paused.filter(|paused| paused.until > now) else { return };
    let (moment, apart) = (words::moment(*until), words::relative(*until, now));
    let text = format!("until {moment} ({apart}): {why}; the first run after that goes on");
    page.fact("paused", Tone::Care, &text);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stored_figures_are_told_in_words_and_zeros_are_not() {
        let stored = r#"{"exit":4,"settled":12,"refused":1,"in_doubt":0,"requests":15}"#;
        assert_eq!(figures(stored), "exit 4: 12 settled, 1 refused, 15 requests");
        assert_eq!(figures(r#"{"exit":0}"#), "exit 0: nothing to do");
        assert_eq!(figures("stopped"), "stopped");
    }
}
