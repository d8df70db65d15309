//! Whom requests go to, and whom they do not: names, addresses, certificates, redirects, proxies.
//! The targets are written out here, byte for byte, so that they can do what no honest one does.

#![expect(clippy::unwrap_used, reason = "a failed step of a test ends it")]

mod certificates;
mod logins;
mod names;
mod redirects;
mod stage;
mod target;
