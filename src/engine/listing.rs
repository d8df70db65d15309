//! All pages of a list together: from what came back, what to ask for next, and whether the whole is
//! believed.
//!
//! ```text
//!            ┌──────────────── a page, and another behind it
//!            ▼                               │
//!  send ─► Reading ── the last page ─► as many as were announced, nobody twice ─► done
//!            │  ▲                            │ no
//!            │  └── from the beginning, once ┤
//!            ├─► throttled, unavailable, … ──┘──► again    no ─► refused, nothing of it is used
//!            └─► a loop, too much, a link elsewhere ──► refused
//! ```
//! Offsets skip and repeat users when somebody is added or removed meanwhile, and no API of those known
//! reads from a snapshot of its own. So a list is believed as a whole or not at all: when what the
//! target announces and what it shows agree, or, where it announces nothing, when nobody comes twice.
//! An empty page ends nothing; only a page that leads nowhere is the last one.

use super::{
    budget::{Budget, Cost},
    reply::Reply,
    retry::ATTEMPTS_MAX,
};
use crate::model::{Answer, Attributes, Cursor, Fingerprint, Listed, Page, RemoteId, Verdict};
use std::collections::HashSet;

/// Pages of one reading at most.
pub const PAGES_MAX: u32 = 10_000;
/// Bytes of all pages of one reading together.
pub const BYTES_MAX: u64 = 4 << 30;

/// One list of all users, while it is read.
#[derive(Debug, Default)]
pub struct Listing {
    cursor: Option<Cursor>,
    /// Pages that were read, by what led to them.
    visited: HashSet<Option<Cursor>>,
    pages: u32,
    bytes: u64,
    /// Of all entries that were seen, which a list of many pages has to be told by.
    ids: HashSet<Fingerprint>,
    users: Vec<Listed>,
    unnamed: u64,
    /// By the first page that said so.
    announced: Option<u64>,
    /// The first reading did not add up.
    second: bool,
    /// Requests for this page that came to nothing, throttled ones not counted.
    failures: u32,
    renewed: bool,
}

/// What the sender has made of one request for a page.
#[derive(Clone, Debug)]
pub enum Heard {
    /// Of so many bytes.
    Page(Page, u64),
    Else(Reply),
}

/// What to do next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Ask for the page at [`Listing::cursor`].
    Send,
    /// The same after the wait of the `failures`-th transient failure, from 0.
    Again {
        failures: u32,
    },
    /// The same once the tenant's silence is over.
    Pause,
    /// Renew the credentials, then the same.
    Renew,
    /// All of it is there: [`Listing::finish`].
    Done,
    Refused(Refused),
    /// The credentials are refused.
    Unauthorized,
}

/// Why nothing of a list is used. Shows nobody.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    #[error("page {page} leads back to a page that was read already")]
    Loop { page: u32 },
    #[error("it has more than {PAGES_MAX} pages")]
    Pages,
    #[error("its pages are larger than {} GiB together", BYTES_MAX >> 30)]
    Bytes,
    #[error("it has {found} users and says that it has {announced}, and so it did the second time")]
    Total { announced: u64, found: u64 },
    #[error("it says that it has {first} users, and {then} on a later page, twice in a row")]
    Moved { first: u64, then: u64 },
    #[error("it shows a user twice, and so it did the second time")]
    Twice,
    #[error("page {page} is not to be believed ({code})")]
    Unbelievable { page: u32, code: String },
    #[error("page {page} was refused with status {status}{}", told(.code))]
    Status { page: u32, status: u16, code: String },
    #[error("page {page} did not come: {why}")]
    NoAnswer { page: u32, why: String },
}

fn told(code: &str) -> String {
    if code.is_empty() { String::new() } else { format!(", {code}") }
}

/// All users of a tenant, as its list shows them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Census {
    /// No id twice.
    pub users: Vec<Listed>,
    /// Entries whose ids no roster could name.
    pub unnamed: u64,
    pub pages: u32,
}

impl Listing {
    /// Which page is asked for; `None`: the first one.
    #[must_use]
    pub fn cursor(&self) -> Option<&Cursor> {
        self.cursor.as_ref()
    }

    /// Pages that were read so far.
    #[must_use]
    pub fn pages(&self) -> u32 {
        self.pages
    }

    /// Entries that they had.
    #[must_use]
    pub fn found(&self) -> u64 {
        self.users.len() as u64 + self.unnamed
    }

    /// What to do after this. `keep`: of a user's attributes, those that are of use.
    #[must_use]
    pub fn next(
        &mut self,
        heard: Heard,
        keep: &dyn Fn(Attributes) -> Attributes,
        budget: &mut Budget,
    ) -> Step {
        match heard {
            Heard::Page(page, bytes) => self.take(page, bytes, keep),
            Heard::Else(reply) => self.without(reply, budget),
        }
    }

    /// What was read; only whole after [`Step::Done`].
    #[must_use]
    pub fn finish(self) -> Census {
        Census { users: self.users, unnamed: self.unnamed, pages: self.pages }
    }

    fn take(&mut self, page: Page, bytes: u64, keep: &dyn Fn(Attributes) -> Attributes) -> Step {
        let Page { users, unnamed, next, total } = page;
        (self.failures, self.renewed) = (0, false);
        self.pages += 1;
        self.bytes = self.bytes.saturating_add(bytes);
        self.unnamed += unnamed;
        self.visited.insert(self.cursor.clone());
        if self.bytes > BYTES_MAX {
            return Step::Refused(Refused::Bytes);
        }
        let (first, then) = (self.announced.or(total), total.or(self.announced));
        self.announced = first;
        if let (Some(first), Some(then)) = (first, then)
            && first != then
        {
            return self.anew(Refused::Moved { first, then });
        }
        for Listed { remote_id, attributes } in users {
            if !self.ids.insert(fingerprint(&remote_id)) {
                return self.anew(Refused::Twice);
            }
            self.users.push(Listed { remote_id, attributes: keep(attributes) });
        }
        match next {
            None => self.add_up(),
            next if self.visited.contains(&next) => {
                Step::Refused(Refused::Loop { page: self.pages })
            }
            Some(_) if self.pages >= PAGES_MAX => Step::Refused(Refused::Pages),
            next => {
                self.cursor = next;
                Step::Send
            }
        }
    }

    fn add_up(&mut self) -> Step {
        let found = self.found();
        match self.announced {
            Some(announced) if announced != found => self.anew(Refused::Total { announced, found }),
            Some(_) | None => Step::Done,
        }
    }

    /// From the beginning; a second time it is refused.
    fn anew(&mut self, refused: Refused) -> Step {
        if self.second {
            return Step::Refused(refused);
        }
        *self = Self { second: true, ..Self::default() };
        Step::Send
    }

    fn without(&mut self, reply: Reply, budget: &mut Budget) -> Step {
        let (throttled, lost) = (reply.throttles(), matches!(reply, Reply::Lost { .. }));
        let step = match reply {
            Reply::Answered { .. } if throttled => Step::Pause,
            Reply::Answered { answer, status, retry_after: _ } => self.answered(answer, status),
            Reply::NotSent { why } | Reply::Lost { why } => self.transient(why),
            Reply::Unreachable { why } => Step::Refused(Refused::NoAnswer { page: self.at(), why }),
        };
        let repeats = matches!(step, Step::Again { .. } | Step::Pause | Step::Renew);
        let cost = if lost { Cost::Unanswered } else { Cost::Plain };
        if repeats && !budget.spend(cost) {
            let why = "the tenant's repetitions of this run are used up".to_owned();
            return Step::Refused(Refused::NoAnswer { page: self.at(), why });
        }
        step
    }

    fn answered(&mut self, answer: Answer, status: u16) -> Step {
        let Answer { verdict, code, excerpt: _ } = answer;
        let page = self.at();
        match verdict {
            Verdict::Throttled => Step::Pause,
            Verdict::Unavailable | Verdict::Uncertain | Verdict::Conflict => {
                self.transient(format!("status {status}{}", told(&code)))
            }
            Verdict::Unauthorized if self.renewed => Step::Unauthorized,
            Verdict::Unauthorized => {
                self.renewed = true;
                Step::Renew
            }
            Verdict::Broken if (200..300).contains(&status) => {
                Step::Refused(Refused::Unbelievable { page, code })
            }
            Verdict::Applied { .. }
            | Verdict::Found { .. }
            | Verdict::Matches(_)
            | Verdict::Created { .. }
            | Verdict::Missing
            | Verdict::Rejected { .. }
            | Verdict::Forbidden
            | Verdict::Broken => Step::Refused(Refused::Status { page, status, code }),
        }
    }

    fn transient(&mut self, why: String) -> Step {
        self.failures += 1;
        if self.failures >= ATTEMPTS_MAX {
            return Step::Refused(Refused::NoAnswer { page: self.at(), why });
        }
        Step::Again { failures: self.failures - 1 }
    }

    /// The number of the page that is asked for, from 1.
    fn at(&self) -> u32 {
        self.pages + 1
    }
}

fn fingerprint(id: &RemoteId) -> Fingerprint {
    Fingerprint::of_bytes(id.as_str().as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::retry::RetryAfter;
    use proptest::prelude::*;

    fn listed(id: u64) -> Listed {
        let remote_id = RemoteId::parse(&format!("u{id}")).unwrap();
        Listed { remote_id, attributes: Attributes::new() }
    }

    fn page(ids: std::ops::Range<u64>, next: Option<u64>, total: Option<u64>) -> Heard {
        let (users, next) = (ids.map(listed).collect(), next.map(Cursor::Number));
        Heard::Page(Page { users, unnamed: 0, next, total }, 100)
    }

    fn answered(verdict: Verdict, status: u16) -> Heard {
        let answer = Answer::of(verdict);
        Heard::Else(Reply::Answered { answer, status, retry_after: RetryAfter::Absent })
    }

    /// What is to be done after all of this; the steps before it all ask for something.
    fn after(listing: &mut Listing, heard: Vec<Heard>) -> Step {
        let mut last = Step::Send;
        for heard in heard {
            let asks = !matches!(last, Step::Done | Step::Refused(_) | Step::Unauthorized);
            assert!(asks, "{last:?}");
            last = listing.next(heard, &|attributes| attributes, &mut Budget::default());
        }
        last
    }

    fn read(heard: Vec<Heard>) -> Step {
        after(&mut Listing::default(), heard)
    }

    #[test]
    fn all_pages_together_are_the_list() {
        let mut listing = Listing::default();
        let pages =
            [page(0..2, Some(1), Some(5)), page(2..4, Some(2), Some(5)), page(4..5, None, Some(5))];
        assert_eq!(after(&mut listing, pages.into()), Step::Done);
        let Census { users, unnamed, pages } = listing.finish();
        assert_eq!((users, unnamed, pages), ((0..5).map(listed).collect(), 0, 3));
    }

    #[test]
    fn b01_a_next_page_that_was_read_already_is_refused() {
        let itself = [page(0..1, Some(1), None), page(1..2, Some(1), None)];
        assert_eq!(read(itself.into()), Step::Refused(Refused::Loop { page: 2 }));
        let cycle =
            [page(0..1, Some(1), None), page(1..2, Some(2), None), page(2..3, Some(1), None)];
        assert_eq!(read(cycle.into()), Step::Refused(Refused::Loop { page: 3 }));
    }

    #[test]
    fn b01_a_list_without_an_end_is_refused_after_so_many_pages() {
        let mut listing = Listing::default();
        let endless = (0..u64::from(PAGES_MAX)).map(|n| page(n..n + 1, Some(n + 1), None));
        assert_eq!(after(&mut listing, endless.collect()), Step::Refused(Refused::Pages));
    }

    #[test]
    fn b07_pages_that_are_too_large_together_are_refused() {
        let page = Page { next: Some(Cursor::Number(1)), ..Page::default() };
        let step = read(vec![Heard::Page(page, BYTES_MAX + 1)]);
        assert_eq!(step, Step::Refused(Refused::Bytes));
    }

    #[test]
    fn b03_a_list_that_does_not_add_up_is_read_once_more_and_then_refused() {
        let short = || vec![page(0..2, Some(1), Some(3)), page(2..2, None, Some(3))];
        let whole = || vec![page(0..2, Some(1), Some(3)), page(2..3, None, Some(3))];
        assert_eq!(read([short(), whole()].concat()), Step::Done);
        let refused = Refused::Total { announced: 3, found: 2 };
        assert_eq!(read([short(), short()].concat()), Step::Refused(refused));

        let moved = || vec![page(0..2, Some(1), Some(3)), page(2..3, None, Some(4))];
        assert_eq!(read([moved(), whole()].concat()), Step::Done);
        let refused = Refused::Moved { first: 3, then: 4 };
        assert_eq!(read([moved(), moved()].concat()), Step::Refused(refused));
    }

    #[test]
    fn b03_b14_a_user_on_two_pages_has_the_list_read_once_more_and_then_refused() {
        let twice = || vec![page(0..2, Some(1), None), page(1..3, None, None)];
        let once = || vec![page(0..2, Some(1), None), page(2..3, None, None)];
        let mut listing = Listing::default();
        assert_eq!(after(&mut listing, [twice(), once()].concat()), Step::Done);
        assert_eq!(listing.finish().users.len(), 3, "nothing of the first reading is left");
        assert_eq!(read([twice(), twice()].concat()), Step::Refused(Refused::Twice));
    }

    #[test]
    fn b04_where_no_total_is_announced_the_last_page_ends_the_list() {
        assert_eq!(read(vec![page(0..2, Some(1), None), page(2..3, None, None)]), Step::Done);
    }

    #[test]
    fn b13_an_empty_page_in_the_middle_ends_nothing() {
        let pages = vec![
            page(0..2, Some(1), Some(3)),
            page(0..0, Some(2), Some(3)),
            page(2..3, None, Some(3)),
        ];
        assert_eq!(read(pages), Step::Done);
        assert_eq!(read(vec![page(0..0, None, Some(0))]), Step::Done, "nobody is there");
    }

    #[test]
    fn b02_a_page_that_fails_is_asked_for_again_and_gives_up_the_list_in_the_end() {
        let fails = || answered(Verdict::Uncertain, 500);
        let mut listing = Listing::default();
        let started = vec![page(0..2, Some(1), None), fails()];
        assert_eq!(after(&mut listing, started), Step::Again { failures: 0 });
        assert_eq!(listing.cursor(), Some(&Cursor::Number(1)), "the same page");
        assert_eq!(after(&mut listing, vec![fails()]), Step::Again { failures: 1 });
        assert_eq!(after(&mut listing, vec![fails()]), Step::Again { failures: 2 });
        let why = "status 500".to_owned();
        let refused = Step::Refused(Refused::NoAnswer { page: 2, why });
        assert_eq!(after(&mut listing, vec![fails()]), refused);
    }

    #[test]
    fn b05_credentials_are_renewed_once_a_page() {
        let expired = || answered(Verdict::Unauthorized, 401);
        let mut listing = Listing::default();
        assert_eq!(after(&mut listing, vec![expired()]), Step::Renew);
        assert_eq!(after(&mut listing, vec![page(0..1, Some(1), None)]), Step::Send);
        assert_eq!(after(&mut listing, vec![expired()]), Step::Renew);
        assert_eq!(after(&mut listing, vec![expired()]), Step::Unauthorized);
    }

    #[test]
    fn b15_a_target_that_throttles_is_waited_for() {
        assert_eq!(read(vec![answered(Verdict::Throttled, 429)]), Step::Pause);
        assert_eq!(read(vec![answered(Verdict::Unavailable, 503)]), Step::Again { failures: 0 });
    }

    #[test]
    fn repetitions_are_paid_for_out_of_the_tenants_budget() {
        let mut budget = Budget::default();
        while budget.spend(Cost::Plain) {}
        let heard = answered(Verdict::Throttled, 429);
        let step = Listing::default().next(heard, &|attributes| attributes, &mut budget);
        assert!(matches!(step, Step::Refused(Refused::NoAnswer { page: 1, .. })), "{step:?}");
    }

    #[test]
    fn what_can_never_succeed_is_not_asked_for_again() {
        for (verdict, status) in [
            (Verdict::Missing, 404),
            (Verdict::Forbidden, 403),
            (Verdict::Rejected { attributes: Vec::new() }, 400),
            (Verdict::Broken, 302),
        ] {
            let refused = Refused::Status { page: 1, status, code: String::new() };
            assert_eq!(read(vec![answered(verdict, status)]), Step::Refused(refused));
        }
        let elsewhere =
            Answer { code: "next_link_elsewhere".into(), ..Answer::of(Verdict::Broken) };
        let retry_after = RetryAfter::Absent;
        let heard = Heard::Else(Reply::Answered { answer: elsewhere, status: 200, retry_after });
        let code = "next_link_elsewhere".to_owned();
        assert_eq!(read(vec![heard]), Step::Refused(Refused::Unbelievable { page: 1, code }));
    }

    proptest! {
        #[test]
        fn a_list_that_is_believed_has_everybody_once_whatever_the_pages(
            sizes in prop::collection::vec(0_u64..4, 1..20), lie in prop::option::of(0_u64..100)
        ) {
            let total: u64 = sizes.iter().sum();
            let announced = lie.unwrap_or(total);
            let pages = || {
                let mut first = 0;
                let last = sizes.len() as u64;
                (1..=last).zip(&sizes).map(|(number, size)| {
                    let ids = first..first + size;
                    first += size;
                    page(ids, (number < last).then_some(number), Some(announced))
                }).collect::<Vec<_>>()
            };
            let mut listing = Listing::default();
            let step = after(&mut listing, if announced == total {
                pages()
            } else {
                [pages(), pages()].concat()
            });
            prop_assert_eq!(step == Step::Done, announced == total);
            if step == Step::Done {
                prop_assert_eq!(listing.finish().users.len() as u64, total);
            }
        }
    }
}
