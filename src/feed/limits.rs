//! How large a feed may be, and how long reading it may take.

use super::body::PAGE_BYTES_MAX;
use crate::sender::Timeouts;
use std::time::Duration;

/// Bounds of one read. Settings change none of them; a test does.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Of one page, unpacked.
    pub page_bytes: u64,
    /// Of all pages.
    pub read_bytes: u64,
    /// Of what is no page, to tell what it is.
    pub shown_bytes: u64,
    /// Until the head of an answer has come.
    pub head: Duration,
    /// Without a byte.
    pub idle: Duration,
    /// One page, from the request to its last byte.
    pub page: Duration,
    /// The whole feed, read again where that has to be.
    pub read: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            page_bytes: PAGE_BYTES_MAX,
            read_bytes: 8 << 30,
            shown_bytes: 64 << 10,
            head: Duration::from_secs(30),
            idle: Duration::from_secs(15),
            page: Duration::from_mins(2),
            read: Duration::from_hours(2),
        }
    }
}

impl Limits {
    /// For the HTTP library, which then ends what nobody waits for any more.
    pub(super) fn timeouts(&self) -> Timeouts {
        let spare = Duration::from_secs(5);
        Timeouts { idle: self.head + spare, total: self.page + spare, ..Timeouts::default() }
    }
}
