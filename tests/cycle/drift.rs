//! Accounts that others change as well.
