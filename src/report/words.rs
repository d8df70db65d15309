//! Counts, times, reasons and endings in words.

use crate::{
    cycle::{Exit, TenantEnd, Turn},
    model::{Completeness, Fate, HeldReason, LeaverReason, SourceFacts, Timer},
    sender::Ended,
    store::TenantInQuarantine,
};
use jiff::{SignedDuration, Timestamp};
use std::time::Duration;

/// `1 user`, `2 users`.
pub(super) fn counted(count: u64, one: &str) -> String {
    if count == 1 { format!("1 {one}") } else { format!("{count} {one}s") }
}

/// `4 min 10 s`: the two largest units, rounded up to the second.
pub(super) fn duration(duration: Duration) -> String {
    let seconds = whole_seconds(duration);
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
    let two = |large: u64, unit, small: u64, fraction| match small {
        0 => format!("{large} {unit}"),
        _ => format!("{large} {unit} {small} {fraction}"),
    };
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, _) => two(minutes, "min", seconds % 60, "s"),
        (0, _, _) => two(hours, "h", minutes, "min"),
        (_, _, _) => two(days, "d", hours, "h"),
    }
}

/// Rounded up.
pub(super) fn whole_seconds(duration: Duration) -> u64 {
    duration.as_secs() + u64::from(duration.subsec_nanos() > 0)
}

/// `2026-03-01 02:30:00 UTC`.
pub(super) fn moment(moment: Timestamp) -> String {
    moment.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}

/// `in 12 min`, `3 h ago`.
pub(super) fn relative(moment: Timestamp, now: Timestamp) -> String {
    let apart: SignedDuration = moment.duration_since(now);
    let words = duration(apart.unsigned_abs());
    if apart.is_negative() { format!("{words} ago") } else { format!("in {words}") }
}

/// What one read of the source found.
pub(super) fn source_facts(facts: &SourceFacts) -> String {
    let SourceFacts { rows, users, held, waiting, completeness, digest: _ } = facts;
    let counts = [counted(*rows, "row"), counted(*users, "user")].join(", ");
    let waiting = if *waiting > 0 { format!(", {waiting} waiting") } else { String::new() };
    let held = format!("{} held{waiting}", counted(*held, "row"));
    match completeness {
        Completeness::Complete => format!("{counts}, {held}, complete"),
        Completeness::Partial(why) => {
            format!(
                "{counts}, {held}, NOT complete: {why}; who is absent is not taken for a leaver"
            )
        }
    }
}

pub(super) fn held_reason(reason: HeldReason) -> &'static str {
    match reason {
        HeldReason::BadRow => "bad row",
        HeldReason::BadValue => "bad value",
        HeldReason::NoRemoteId => "no remote id",
        HeldReason::Ambiguous => "several accounts",
        HeldReason::SharedRemoteId => "shared remote id",
        HeldReason::BadReference => "bad reference",
        HeldReason::OpenReference => "reference waits",
        HeldReason::MissingCompanion => "missing companion",
        HeldReason::NotAccepted => "not accepted before",
        HeldReason::Gone => "gone at the target",
        HeldReason::Refused => "refused by the target",
        HeldReason::InDoubt => "in doubt",
        HeldReason::Protected => "protected",
        HeldReason::Unreachable => "not reached",
        HeldReason::Drifted => "changed at the target",
        HeldReason::ByHand => "held by hand",
    }
}

/// Since when somebody is held, and for how long.
pub(super) fn timer(reason: HeldReason, timer: &Timer) -> String {
    let Timer { since, next_try, tries } = timer;
    let since = moment(*since);
    match (reason, next_try) {
        (HeldReason::ByHand, Some(until)) => format!("since {since}, until {}", moment(*until)),
        (HeldReason::ByHand, None) => format!("since {since}, until `rosterd release`"),
        (_, Some(next)) => {
            let tries = if *tries == 1 { "1 try".to_owned() } else { format!("{tries} tries") };
            format!("failed since {since}, {tries}; next try {}", moment(*next))
        }
        (_, None) => format!(
            "given up after {tries} tries since {since}; tried again when the row changes, or \
             after `rosterd quarantine retry`"
        ),
    }
}

/// The same of a tenant.
pub(super) fn tenant_timer(timer: &Timer) -> String {
    let Timer { since, next_try, tries: _ } = timer;
    let since = moment(*since);
    match next_try {
        Some(next) => format!("since {since}; next probe {}", moment(*next)),
        None => format!("since {since}; disabled until `rosterd quarantine release --tenant`"),
    }
}

/// What lets a plan that a guard holds pass.
pub(super) fn approve_command(digest: &str) -> String {
    format!("rosterd approve {digest} --reason \"...\"")
}

/// What a plan does about somebody who has left.
pub(super) fn fate(fate: Fate) -> &'static str {
    match fate {
        Fate::Told => "reported only",
        Fate::Waits => "waits for another complete read, or for the time of grace to end",
        Fate::Protected => "protected, so that nothing is sent",
        Fate::Read => "read first",
        Fate::Unknown => {
            "the target has not shown the account, or it is another user's, so nothing is sent"
        }
        Fate::Disabled => "switched off by this plan",
        Fate::Off => "switched off already",
        Fate::Deleted => "deleted by this plan",
    }
}

pub(super) fn leaver_reason(reason: LeaverReason) -> &'static str {
    match reason {
        LeaverReason::AbsentFromSource => "absent from the source",
        LeaverReason::StatusColumn => "the status column says so",
        LeaverReason::OutOfScope => "no longer in the tenant's scope",
    }
}

pub(super) fn exit_meaning(exit: Exit) -> &'static str {
    match exit {
        Exit::Done => "done, or nothing to do",
        Exit::Partial => "applied, but some users failed, are held or are in quarantine",
        Exit::Early => "stopped early, or a tenant is in quarantine; a later run goes on",
        Exit::Guarded => "a guard held the plan of at least one tenant; nothing was sent there",
        Exit::Failed => "failed; the reason stands with the tenant",
        Exit::Locked => "another process holds the state; nothing was sent there",
        Exit::Source => "the source was refused; nothing was sent",
        Exit::Config => "the configuration, a secret or a target's date is in the way",
        Exit::State => "the state cannot be read or written",
    }
}

/// How a tenant's part ended.
pub(super) struct Ending {
    /// A stable name, for programs.
    pub(super) state: &'static str,
    pub(super) what: String,
    /// What happens next and what to do; empty when nothing is to be said.
    pub(super) next: &'static str,
    /// Nobody needs to look.
    pub(super) fine: bool,
}

pub(super) fn ending(end: &TenantEnd) -> Ending {
    let (state, what, next) = match end {
        TenantEnd::Planned => ("planned", "planned; no change was sent".to_owned(), ""),
        TenantEnd::Done => ("done", "done; everything that was planned was sent".to_owned(), ""),
        TenantEnd::Guarded => (
            "guarded",
            "held by a guard; no change was sent".to_owned(),
            "look at the plan: if it is meant, approve it by its digest; else correct the source",
        ),
        TenantEnd::Declined => (
            "declined",
            "not approved; no change was sent".to_owned(),
            "the next run plans the same again",
        ),
        TenantEnd::Early(ended) => return early(ended),
        TenantEnd::Paused { until } => (
            "paused",
            format!("paused until {} by the target's Retry-After; not begun", moment(*until)),
            "the first run after that goes on; nothing needs to be done",
        ),
        TenantEnd::Quarantined(state) => return quarantined(state),
        TenantEnd::Locked { why } => (
            "locked",
            format!("not begun: {why}"),
            "wait until the other process has ended, then run again",
        ),
        TenantEnd::State { why } => (
            "state",
            format!("the snapshot cannot be used: {why}"),
            "mend the state directory (space, permissions) or restore it, then run again",
        ),
        TenantEnd::Unusable { why } => (
            "unusable",
            format!("cannot be sent to as it is configured: {why}"),
            "correct the tenant's configuration or its secret, then run again",
        ),
        TenantEnd::SourceRefused => (
            "source_refused",
            "the source was refused; nothing was sent".to_owned(),
            "correct the source as the findings say, then run again",
        ),
    };
    let fine = matches!(end, TenantEnd::Planned | TenantEnd::Done);
    Ending { state, what, next, fine }
}

fn quarantined(state: &TenantInQuarantine) -> Ending {
    let TenantInQuarantine { cause: _, why, timer } = state;
    let since = moment(timer.since);
    let (state, what, next) = match timer.next_try {
        Some(next) => (
            "quarantined",
            format!("in quarantine since {since}: {why}; next probe {}", moment(next)),
            "correct the cause; the first run after the next probe's hour tries a few users and, \
             when that goes well, sends the rest; `rosterd quarantine retry --tenant` tries at once",
        ),
        None => (
            "disabled",
            format!("disabled, after 28 days in quarantine since {since}: {why}"),
            "correct the cause, then `rosterd quarantine release --tenant`",
        ),
    };
    Ending { state, what, next, fine: false }
}

/// The turn that a tenant's quarantine has taken: what, and what comes of it.
pub(super) fn turn(turn: &Turn) -> (String, &'static str) {
    match turn {
        Turn::Entered(state) => (format!("now in quarantine: {}", state.why), QUARANTINED),
        Turn::Changed(state) => {
            (format!("still in quarantine, for another reason: {}", state.why), QUARANTINED)
        }
        Turn::Left { since } => {
            (format!("out of quarantine, in which it was since {}", moment(*since)), "")
        }
    }
}

const QUARANTINED: &str = "later runs try a few users after 6, 12 and 24 hours and then daily, and \
    send the rest once that goes well; after 28 days a person has to release it";

fn early(ended: &Ended) -> Ending {
    let (state, what, next) = match ended {
        Ended::Stopped => (
            "stopped",
            "stopped early, because the process was asked to stop".to_owned(),
            "the next run goes on; nothing needs to be done",
        ),
        Ended::Deadline => (
            "deadline",
            "stopped early at the run's time limit".to_owned(),
            "the next run goes on; if this happens every night, ask the vendor for a higher quota \
             or raise `run_deadline`",
        ),
        Ended::Throttled { until } => (
            "throttled",
            format!("paused until {} by the target's Retry-After", moment(*until)),
            "the next run after that goes on; if this happens every night, lower `quota`",
        ),
        Ended::Unwell { why } => (
            "unwell",
            format!("stopped early, because the target is not well: {why}"),
            "the next run goes on; if this lasts, ask the vendor or look at the network in between",
        ),
        Ended::Unauthorized => (
            "unauthorized",
            "stopped: the target refuses the credentials".to_owned(),
            "renew the tenant's secret; the next run goes on, and within the hour it tries the \
             credentials with one request first",
        ),
        Ended::LoginRefused { why } => (
            "login_refused",
            format!("stopped: {why}"),
            "check the tenant's `login`, its secret and what the vendor has it allowed; an account \
             that is locked is let open by the vendor, and logging in again would lock it anew",
        ),
        Ended::Broken { why } => (
            "broken",
            format!("stopped: {why}"),
            "check the tenant's address, permissions and API version; the next run tries again",
        ),
        Ended::NotRecorded { why } => (
            "not_recorded",
            format!("stopped, because the state could not be written: {why}"),
            "mend the state directory (space, permissions); users on their way are in doubt and \
             are looked at before they are sent again",
        ),
    };
    Ending { state, what, next, fine: false }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn f13_durations_are_told_in_their_two_largest_units() {
        for (millis, words) in [
            (0, "0 s"),
            (1, "1 s"),
            (59_001, "1 min"),
            (250_000, "4 min 10 s"),
            (3_600_000, "1 h"),
            (39_599_000, "10 h 59 min"),
            (180_000_000, "2 d 2 h"),
        ] {
            assert_eq!(duration(Duration::from_millis(millis)), words);
        }
    }

    #[test]
    fn a_moment_is_told_from_now() {
        let now = Timestamp::from_second(1_000_000).unwrap();
        let at = |second| relative(Timestamp::from_second(second).unwrap(), now);
        assert_eq!((at(1_000_720), at(999_940)), ("in 12 min".into(), "1 min ago".into()));
    }
}
