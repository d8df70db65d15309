//! When a source's cycle runs: a five-field cron line in a named time zone.

use jiff::{Timestamp, tz::TimeZone};
use std::{fmt, str::FromStr as _};

/// Five cron fields and a time zone.
#[derive(Clone)]
pub struct Schedule {
    text: String,
    cron: croner::Cron,
    zone: TimeZone,
}

impl Schedule {
    /// `now` is needed to see that the line ever comes true: `0 0 31 2 *` parses.
    ///
    /// # Errors
    /// The key that is wrong, `cron` or `zone`, and why.
    pub fn parse(cron: &str, zone: &str) -> Result<Self, (&'static str, String)> {
        if cron.split_whitespace().count() != 5 {
            let why = "should have five fields: minute, hour, day, month, day of the week";
            return Err(("cron", why.to_owned()));
        }
        let parsed = croner::Cron::from_str(cron).map_err(|error| ("cron", error.to_string()))?;
        let unknown = || ("zone", "is not a time zone that this machine knows".to_owned());
        let zone = TimeZone::get(zone).map_err(|_| unknown())?;
        let schedule = Self { text: cron.to_owned(), cron: parsed, zone };
        // Any start will do: whether it ever comes true does not depend on it.
        match schedule.after(Timestamp::UNIX_EPOCH) {
            Some(_) => Ok(schedule),
            None => Err(("cron", "never comes true".to_owned())),
        }
    }

    /// The first moment after `now`; once per local time, also where the clock is changed.
    #[must_use]
    pub fn after(&self, now: Timestamp) -> Option<Timestamp> {
        let next = self.cron.find_next_occurrence(&now.to_zoned(self.zone.clone()), false);
        next.ok().map(|next| next.timestamp())
    }

    /// Whether a moment has come since the last run began: missed nights are caught up by one run.
    #[must_use]
    pub fn missed(&self, last: Option<Timestamp>, now: Timestamp) -> bool {
        last.is_none_or(|last| self.after(last).is_some_and(|due| due <= now))
    }
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.text, self.zone.iana_name().unwrap_or("UTC"))
    }
}

impl fmt::Debug for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Schedule({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn berlin(cron: &str) -> Schedule {
        Schedule::parse(cron, "Europe/Berlin").unwrap()
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn e15_a_night_without_half_past_two_still_has_its_run_and_one_with_two_has_one() {
        let nightly = berlin("30 2 * * *");
        // 29 March 2026: 02:00 becomes 03:00.
        let spring = nightly.after(at("2026-03-28T12:00:00Z")).unwrap();
        assert!(spring >= at("2026-03-29T01:00:00Z") && spring <= at("2026-03-29T02:00:00Z"));
        // 25 October 2026: 03:00 becomes 02:00.
        let autumn = nightly.after(at("2026-10-24T12:00:00Z")).unwrap();
        let after = nightly.after(autumn).unwrap();
        assert!(after > at("2026-10-25T12:00:00Z"), "{autumn} and again {after}");
    }

    #[test]
    fn e16_missed_nights_are_caught_up_by_one_run() {
        let nightly = berlin("30 2 * * *");
        let now = at("2026-11-21T12:00:00Z");
        assert!(nightly.missed(Some(at("2026-11-18T01:31:00Z")), now));
        assert!(!nightly.missed(Some(at("2026-11-21T01:31:00Z")), now));
        assert!(nightly.missed(None, now));
    }

    #[test]
    fn c08_a_schedule_that_cannot_be_is_refused() {
        let refused = |cron: &str, zone: &str| Schedule::parse(cron, zone).unwrap_err().0;
        assert_eq!(refused("0 0 30 2 *", "UTC"), "cron");
        assert_eq!(refused("0 0 * * * *", "UTC"), "cron");
        assert_eq!(refused("61 0 * * *", "UTC"), "cron");
        assert_eq!(refused("0 0 * * *", "Europe/Atlantis"), "zone");
    }
}
