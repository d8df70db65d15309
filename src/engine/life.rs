//! What may be done with whole accounts: a tenant's rules.

use jiff::SignedDuration;

/// What a tenant lets happen to accounts besides changes. By default nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rules {
    /// `allow` has "create".
    pub create: bool,
    /// `allow` has "disable", or at an API where that destroys the account "destroy".
    pub disable: bool,
    /// `allow` has "delete".
    pub delete: bool,
    /// Complete reads before this one that have to have missed a user, so that absence counts.
    pub absent_runs: u32,
    /// How long an account stays switched off before it is deleted.
    pub grace: SignedDuration,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            create: false,
            disable: false,
            delete: false,
            absent_runs: 1,
            grace: SignedDuration::from_hours(30 * 24),
        }
    }
}
