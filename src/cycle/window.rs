//! What earlier runs sent within the quota's last window: a restart does not start a new one.

use crate::{
    config::TenantConfig,
    engine::{pace::LEARNT_FOR, retry::moment_after},
    sender::{Clock, Pacer, RECORD_AGE_MAX},
    store::{Store, StoreError},
};
use jiff::{SignedDuration, Timestamp};
use std::time::Duration;
use tokio::time::Instant;

/// A pacer that knows what may have reached the target in the last window.
pub(super) fn pacer(
    config: &TenantConfig,
    store: &Store,
    clock: &Clock,
    now: Instant,
) -> Result<Pacer, StoreError> {
    // From the record to the departure, and from there to the answer.
    let (wall, timeout) = (clock.now(), RECORD_AGE_MAX + config.request_timeout);
    let sends = store.sends_since(before(wall, config.quota.per + timeout))?;
    let previous = store.runs(2)?.into_iter().nth(1);
    let ended = previous.map_or(Some(Timestamp::MIN), |run| run.ended);
    // A clock that was set back makes a departure look like a future one: it counts as just now.
    let ago = |recorded: &Timestamp| {
        let arrived = latest_arrival(*recorded, ended, timeout, wall);
        Duration::try_from(wall.duration_since(arrived)).unwrap_or_default()
    };
    let recent: Vec<Duration> = sends.iter().map(ago).collect();
    let learnt = store.learnt_pace()?.filter(|(_, at)| is_recent(*at, wall));
    Ok(Pacer::new(config.quota, &recent, learnt.map(|(share, _)| share), now))
}

/// By how much the clock was set back since the last run, as far as can be told: it stands before that
/// run's end.
pub(super) fn set_back(
    store: &Store,
    now: Timestamp,
) -> Result<Option<SignedDuration>, StoreError> {
    let previous = store.runs(2)?.into_iter().nth(1);
    let last_seen = previous.map_or(Timestamp::MIN, |run| run.ended.unwrap_or(run.started));
    Ok(Some(last_seen.duration_since(now)).filter(SignedDuration::is_positive))
}

/// A clock that was set back makes it look like something of the future: learnt just now.
fn is_recent(at: Timestamp, now: Timestamp) -> bool {
    at >= before(now, LEARNT_FOR)
}

/// When a recorded request can have reached the target at the latest: before it was given up, and
/// before its run ended, unless the clock was set back in between. A run that was killed (`ended` is
/// `None`) may have sent what it had recorded at any time since.
fn latest_arrival(
    recorded: Timestamp,
    ended: Option<Timestamp>,
    timeout: Duration,
    now: Timestamp,
) -> Timestamp {
    match ended {
        None => now,
        Some(ended) if ended < recorded => moment_after(recorded, RECORD_AGE_MAX),
        Some(ended) => moment_after(recorded, timeout).min(ended),
    }
}

fn before(now: Timestamp, time: Duration) -> Timestamp {
    let time = SignedDuration::try_from(time).unwrap_or(SignedDuration::MAX);
    now.checked_sub(time).unwrap_or(Timestamp::MIN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inv7_a_request_counts_from_when_it_may_have_arrived_and_not_from_when_it_was_recorded() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let arrival = |ended: Option<i64>| {
            latest_arrival(at(0), ended.map(at), Duration::from_mins(1), at(500))
        };
        assert_eq!(arrival(Some(5)), at(5), "the run ended before the request would have");
        assert_eq!(arrival(Some(300)), at(60), "nobody waits longer for an answer");
        assert_eq!(arrival(None), at(500), "the run was killed");
        assert_eq!(arrival(Some(-9)), at(1), "the clock was set back");
    }
}
