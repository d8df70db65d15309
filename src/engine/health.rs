//! When single failures add up to a tenant that nothing should be sent to.

use super::reply::Reply;
use crate::model::{Outcome, Refusal};
use std::collections::VecDeque;

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
            Outcome::Settled { .. }
            | Outcome::Matched { .. }
            | Outcome::Nobody
            | Outcome::Ambiguous { .. }
            | Outcome::Created { .. }
            | Outcome::Deleted => Self::Fine,
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

/// What a tenant's answers of a run tell.
#[derive(Clone, Debug, Default)]
pub struct Health {
    answers: u32,
    fine: u32,
    gone: u32,
    rejected: u32,
    forbidden_in_a_row: u32,
    /// Whether each of the last users was forbidden, the latest last.
    forbidden: VecDeque<bool>,
    pages_in_a_row: u32,
}

/// So many users in a row that may not be touched mean that the credentials may touch nobody.
const FORBIDDEN_MAX: u32 = 3;
/// Of the last 20 users, so many mean the same: more than a fifth.
const FORBIDDEN_OF_LAST_MAX: usize = 5;
const LAST: usize = 20;
/// So many pages for people in a row mean that no API answers.
const PAGES_MAX: u32 = 5;
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
        let forbidden = sign == Sign::Forbidden;
        self.forbidden_in_a_row = if forbidden { self.forbidden_in_a_row + 1 } else { 0 };
        if self.forbidden.len() == LAST {
            self.forbidden.pop_front();
        }
        self.forbidden.push_back(forbidden);
        self.judge()
    }

    /// Takes one reply; a text when nothing more should be sent to the tenant.
    pub fn hear(&mut self, reply: &Reply) -> Option<String> {
        match reply {
            _ if reply.is_page() => self.pages_in_a_row += 1,
            Reply::Answered { .. } => self.pages_in_a_row = 0,
            Reply::NotSent { .. } | Reply::Lost { .. } | Reply::Unreachable { .. } => {}
        }
        let pages = self.pages_in_a_row;
        (pages >= PAGES_MAX).then(|| {
            format!(
                "{pages} answers in a row were web pages and not the API's; is the base address \
                 right, and is a portal in between?"
            )
        })
    }

    fn judge(&self) -> Option<String> {
        let Self { answers, fine, gone, rejected, forbidden_in_a_row, .. } = *self;
        if forbidden_in_a_row >= FORBIDDEN_MAX {
            return Some(format!(
                "{forbidden_in_a_row} users in a row may not be changed; the credentials lack a \
                 permission"
            ));
        }
        let forbidden = self.forbidden.iter().filter(|forbidden| **forbidden).count();
        if forbidden >= FORBIDDEN_OF_LAST_MAX {
            return Some(format!(
                "{forbidden} of the last {} users may not be changed; the credentials lack a \
                 permission",
                self.forbidden.len()
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
    use crate::{
        engine::retry::RetryAfter,
        model::{Answer, AttrPath, Excerpt, Verdict},
    };

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
    fn d11_more_than_a_fifth_of_the_last_users_forbidden_stop_the_tenant_too() {
        let every = |n: usize| {
            let sign = |at| if at % n == n - 1 { Sign::Forbidden } else { Sign::Fine };
            (0..100).map(sign).collect::<Vec<_>>()
        };
        assert_eq!(stops_after(&every(5)), None, "a fifth");
        assert_eq!(stops_after(&every(4)), Some(20));
    }

    #[test]
    fn b11_pages_for_people_stop_the_tenant_only_when_they_come_in_a_row() {
        let page = |code: &str| {
            let code = code.to_owned();
            let answer = Answer { code, ..Answer::of(Verdict::Uncertain) };
            Reply::Answered { answer, status: 200, retry_after: RetryAfter::Absent }
        };
        let mut health = Health::default();
        for code in ["html", "html", "html", "html", "", "html", "html", "html", "html"] {
            assert_eq!(health.hear(&page(code)), None);
        }
        assert_eq!(health.hear(&Reply::Lost { why: "closed".into() }), None);
        assert!(health.hear(&page("html")).unwrap().contains("5 answers in a row"));
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
