//! The dialects' contract: what every entry of the registry owes, and what each API document says.

#![expect(clippy::unwrap_used, reason = "a test's helper that cannot go on fails the test")]

mod addresses;
mod contract;
mod directory;
mod documented;
mod exact;
mod fixtures;
mod life;
mod lists;
mod logins;
mod models;
mod notices;
mod scim;
mod settings;
