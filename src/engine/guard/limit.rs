//! Limits as people write them, and one tenant's table of them.

use std::fmt;

/// A share or a number of users.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Limit {
    /// Of 100.
    Percent(f64),
    Users(u64),
}

/// So many users may always be concerned where a limit is a share: one person with a new name is
/// more than 1 % of a tenant of fifty. What is to be stricter than that is written as a number.
pub const HANDFUL: u64 = 5;

impl Limit {
    /// Reads `30%`, `2.5%` or `500`.
    ///
    /// # Errors
    /// A fragment that says what is wrong.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        Self::read(text, 100.0).and_then(|limit| limit.ok_or("is not between 0% and 100%"))
    }

    /// The same for what can grow to more than the whole: up to `10000%`.
    ///
    /// # Errors
    /// A fragment that says what is wrong.
    pub fn parse_growth(text: &str) -> Result<Self, &'static str> {
        Self::read(text, 10_000.0).and_then(|limit| limit.ok_or("is not between 0% and 10000%"))
    }

    /// `None`: a share beyond the largest one.
    fn read(text: &str, percent_max: f64) -> Result<Option<Self>, &'static str> {
        let problem = "is neither a percentage such as `30%` nor a whole number of users";
        let Some(number) = text.trim().strip_suffix('%') else {
            return text.trim().parse().map(|users| Some(Self::Users(users))).map_err(|_| problem);
        };
        let percent = number.trim().parse::<f64>().map_err(|_| problem)?;
        Ok((0.0..=percent_max).contains(&percent).then_some(Self::Percent(percent)))
    }

    /// Whether `count` of `total` is more than allowed. One of a handful always is allowed, so
    /// that a small tenant can work, and no tenant is too small for the limit.
    #[must_use]
    pub fn exceeded(self, count: u64, total: u64) -> bool {
        self.exceeded_above(1, count, total)
    }

    /// The same, where `floor` users are allowed whatever share of the tenant they are. A limit of
    /// `0%`, or a number of users, is taken as it stands.
    #[must_use]
    pub fn exceeded_above(self, floor: u64, count: u64, total: u64) -> bool {
        let allowed = match self {
            Self::Users(users) => users,
            Self::Percent(percent) if percent <= 0.0 => 0,
            Self::Percent(percent) => share_of(percent, total).max(floor),
        };
        count > allowed
    }

    /// Whether `count` of `total` is less than this, as a share that has to be reached.
    #[must_use]
    pub fn missed(self, count: u64, total: u64) -> bool {
        match self {
            Self::Users(users) => count < users.min(total),
            Self::Percent(percent) => count < share_of(percent, total),
        }
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)]
fn share_of(percent: f64, total: u64) -> u64 {
    (total as f64 * percent / 100.0).floor() as u64
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Percent(percent) => write!(f, "{percent}%"),
            Self::Users(users) => write!(f, "{users}"),
        }
    }
}

/// One tenant's limits: the table `[tenants.T.guards]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Limits {
    /// Users changed.
    pub max_update: Limit,
    /// Users switched off, of those who are not yet.
    pub max_disable: Limit,
    /// The same in a tenant of any size.
    pub max_disable_abs: Limit,
    /// Accounts made, of those known.
    pub max_create: Limit,
    /// Accounts deleted, of those known.
    pub max_delete: Limit,
    /// Users of whom one key-like attribute changes.
    pub max_key_change: Limit,
    /// Users of whom one attribute changes, whichever it is.
    pub max_attr_change: Limit,
    /// Users whose value of one attribute is emptied, of those that have one.
    pub max_attr_clear: Limit,
    /// Users whose value of one attribute the source has emptied although nothing is sent for it, of
    /// those that have one.
    pub max_source_clear: Limit,
    /// Users missing against the last accepted read.
    pub max_source_shrink: Limit,
    /// Users that the last accepted read did not have.
    pub max_source_growth: Limit,
    /// Users of the source who have to be known here, and of those known here who have to be in the
    /// source: one of both shares has to be reached.
    pub min_known: Limit,
    /// Users with a bad value in one attribute.
    pub max_bad_values: Limit,
    /// Accounts that others have changed, of those that were last looked at together.
    pub max_drift: Limit,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_update: Limit::Percent(30.0),
            max_disable: Limit::Percent(5.0),
            max_disable_abs: Limit::Users(500),
            max_create: Limit::Percent(20.0),
            max_delete: Limit::Users(0),
            max_key_change: Limit::Percent(1.0),
            max_attr_change: Limit::Percent(20.0),
            max_attr_clear: Limit::Percent(10.0),
            max_source_clear: Limit::Percent(10.0),
            max_source_shrink: Limit::Percent(10.0),
            max_source_growth: Limit::Percent(100.0),
            min_known: Limit::Percent(50.0),
            max_bad_values: Limit::Percent(5.0),
            max_drift: Limit::Percent(10.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_read_as_people_write_them() {
        assert_eq!(Limit::parse("30%"), Ok(Limit::Percent(30.0)));
        assert_eq!(Limit::parse("500"), Ok(Limit::Users(500)));
        assert_eq!(Limit::parse_growth("250%"), Ok(Limit::Percent(250.0)));
        for bad in ["", "%", "-1", "101%", "-5%", "many", "NaN%"] {
            assert!(Limit::parse(bad).is_err(), "{bad}");
        }
        assert!(Limit::parse_growth("10001%").is_err());
    }

    #[test]
    fn a_floor_is_for_shares_and_neither_for_numbers_nor_for_nothing_at_all() {
        assert!(!Limit::Percent(1.0).exceeded_above(HANDFUL, 5, 50));
        assert!(Limit::Percent(1.0).exceeded_above(HANDFUL, 6, 50));
        assert!(Limit::Percent(0.0).exceeded_above(HANDFUL, 1, 50));
        assert!(Limit::Users(2).exceeded_above(HANDFUL, 3, 50));
    }
}
