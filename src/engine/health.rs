//! When single failures add up to a tenant that nothing should be sent to.

use crate::model::{Outcome, Refusal};

/// One user's end, as far as the tenant's health is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sign {
    Fine,
    /// 403.
    Forbidden,
    /// 404, 410.
    Gone,
    /// 400, 405, 415, 422, 501 …: the contract was not met.
    Rejected,
    /// Nothing that tells about the contract: throttled, unreachable, unknown.
    Silent,
}

impl Sign {
    #[must_use]
    pub fn of(outcome: &Outcome) -> Self {
        match outcome {
            Outcome::Settled { .. } => Self::Fine,
            Outcome::Gone => Self::Gone,
            Outcome::Refused(Refusal { status, attributes, .. }) => match status {
                // About one value or a conflict with another user: the API understood.
                _ if !attributes.is_empty() => Self::Silent,
                409 | 412 => Self::Silent,
                403 => Self::Forbidden,
                _ => Self::Rejected,
            },
            Outcome::InDoubt { .. } | Outcome::Deferred { .. } => Self::Silent,
        }
    }
}

/// What a tenant's first answers of a run tell.
#[derive(Clone, Debug, Default)]
pub struct Health {
    answers: u32,
    fine: u32,
    gone: u32,
    rejected: u32,
    forbidden_in_a_row: u32,
}

/// So many users in a row that may not be touched mean that the credentials may touch nobody.
const FORBIDDEN_MAX: u32 = 3;
/// So many rejections before the first success mean that the API is another one than configured.
const REJECTED_MAX: u32 = 5;
/// Of the first 20 answers, so many users gone mean that the address is another tenant's.
const GONE_MAX: u32 = 4;
const GONE_AMONG: u32 = 20;
/// Fewer answers than this prove nothing about missing users.
const GONE_LEAST: u32 = 10;

impl Health {
    /// Takes one user's end; a text when nothing more should be sent to the tenant.
    pub fn take(&mut self, sign: Sign) -> Option<String> {
        match sign {
            Sign::Silent => return None,
            Sign::Fine => self.fine += 1,
            Sign::Gone => self.gone += 1,
            Sign::Rejected => self.rejected += 1,
            Sign::Forbidden => {}
        }
        self.answers += 1;
        self.forbidden_in_a_row =
            if sign == Sign::Forbidden { self.forbidden_in_a_row + 1 } else { 0 };
        self.judge()
    }

    fn judge(&self) -> Option<String> {
        let Self { answers, fine, gone, rejected, forbidden_in_a_row } = *self;
        if forbidden_in_a_row >= FORBIDDEN_MAX {
            return Some(format!(
                "{forbidden_in_a_row} users in a row may not be changed; the credentials lack a \
                 permission"
            ));
        }
        if fine == 0 && rejected >= REJECTED_MAX && rejected == answers {
            return Some(format!(
                "the first {rejected} requests were all rejected; is this the API that the tenant \
                 is configured for?"
            ));
        }
        let among = (GONE_LEAST..=GONE_AMONG).contains(&answers);
        if among && gone >= GONE_MAX && gone * 5 >= answers {
            return Some(format!(
                "{gone} of the first {answers} users do not exist at the target; is this the right \
                 base address, and are these its ids?"
            ));
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{AttrPath, Excerpt};

    fn stops_after(signs: &[Sign]) -> Option<usize> {
        let mut health = Health::default();
        signs.iter().position(|sign| health.take(*sign).is_some()).map(|n| n + 1)
    }

    #[test]
    fn d11_one_forbidden_user_is_held_and_three_in_a_row_stop_the_tenant() {
        use Sign::{Fine, Forbidden};
        assert_eq!(stops_after(&[Forbidden, Fine, Forbidden, Forbidden, Fine]), None);
        assert_eq!(stops_after(&[Fine, Forbidden, Forbidden, Forbidden]), Some(4));
    }

    #[test]
    fn c12_a_dialect_that_does_not_fit_stops_after_five_rejections_and_not_after_ten_thousand() {
        assert_eq!(stops_after(&[Sign::Rejected; 9]), Some(5));
        let mut mixed = [Sign::Rejected; 9];
        mixed[1] = Sign::Fine;
        assert_eq!(stops_after(&mixed), None);
    }

    #[test]
    fn d12_a_fifth_of_the_first_users_missing_means_a_wrong_address() {
        let mut signs = [Sign::Fine; 20];
        signs[..3].fill(Sign::Gone);
        assert_eq!(stops_after(&signs), None);
        signs[..4].fill(Sign::Gone);
        assert_eq!(stops_after(&signs), Some(10));
    }

    #[test]
    fn d20_a_refusal_of_one_value_is_no_sign_of_a_wrong_api_or_missing_rights() {
        let sign = |status, attributes: &[&str]| {
            let attributes = attributes.iter().map(|path| AttrPath::new(path)).collect();
            let (code, excerpt) = (String::new(), Excerpt::default());
            Sign::of(&Outcome::Refused(Refusal { status, code, excerpt, attributes }))
        };
        assert_eq!((sign(400, &[]), sign(403, &[])), (Sign::Rejected, Sign::Forbidden));
        for silent in [sign(409, &[]), sign(400, &["_email"]), sign(403, &["_email"])] {
            assert_eq!(silent, Sign::Silent);
        }
    }

    #[test]
    fn throttled_and_unreachable_users_tell_nothing() {
        assert_eq!(stops_after(&[Sign::Silent; 100]), None);
    }
}
