//! All pages of a list, one after another, at the tenant's pace and with its caution.
//!
//! A request for a page is about nobody, so it has no intent: what is recorded of it is that it left,
//! for the quota of the run that follows.

use super::{
    departure::Caller,
    grace::answer_in_time,
    http::Sent,
    lane::{Lane, dice},
    login::Tokens,
    record::{Delivered, Ended, Recorder},
};
use crate::{
    dialect::Lists,
    engine::{
        listing::{Census, Heard, Listing, Refused, Step},
        reply::Reply,
        retry::{self, RetryAfter},
    },
    model::{Answer, Attributes, Response, Verdict},
};
use jiff::tz::TimeZone;
use std::sync::Arc;
use tokio::time::{Instant, sleep};

/// Why there is no list of all users.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unlisted {
    #[error("the API has no list of users here: {0}")]
    NotOffered(&'static str),
    #[error("the list of users is refused: {0}")]
    Refused(#[from] Refused),
    /// The lane ended first.
    #[error("the list of users was not read to its end")]
    Ended,
}

/// What a page that left is recorded under: it is no operation's.
const NO_OPERATION: u64 = 0;

/// What becomes of each page: so many users are listed so far.
pub type Written = dyn Fn(u64) + Send + Sync;

impl Lane {
    /// Reads the whole list of the tenant's users, or nothing of it. `keep`: of a user's attributes,
    /// those that are of use.
    ///
    /// # Errors
    /// In the list itself, why there is none; the rest is as with [`Self::deliver`].
    pub async fn list<R: Recorder>(
        self: &Arc<Self>,
        recorder: &R,
        keep: &(dyn Fn(Attributes) -> Attributes + Sync),
        done: &Written,
    ) -> (Result<Census, Unlisted>, Delivered) {
        let listed = self.read_list(recorder, keep, done).await;
        let listed = listed.unwrap_or_else(|why| {
            self.end(Ended::NotRecorded { why });
            Err(Unlisted::Ended)
        });
        let mut shared = self.shared();
        let tally = std::mem::take(&mut shared.tally);
        let (ended, notices) = (shared.ended.clone(), shared.notices.clone());
        (listed, Delivered { left: 0, ended, tally, notices })
    }

    async fn read_list<R: Recorder>(
        &self,
        recorder: &R,
        keep: &(dyn Fn(Attributes) -> Attributes + Sync),
        done: &Written,
    ) -> Result<Result<Census, Unlisted>, String> {
        let lists = match self.dialect.lists() {
            Ok(lists) => lists,
            Err(why) => return Ok(Err(Unlisted::NotOffered(why))),
        };
        let mut listing = Listing::default();
        let mut caller = Caller::new(self, recorder, NO_OPERATION);
        loop {
            if self.or_end(self.slot()).await.is_none() {
                return Ok(Err(Unlisted::Ended));
            }
            let Some(tokens) = caller.tokens().await? else { return Ok(Err(Unlisted::Ended)) };
            let Some(heard) = self.page(lists, &listing, &mut caller, &tokens).await? else {
                return Ok(Err(Unlisted::Ended));
            };
            let step = listing.next(heard, keep, &mut self.shared().caution.budget);
            done(listing.found());
            match step {
                Step::Send | Step::Pause => {}
                Step::Again { failures } => {
                    let wait = retry::transient(failures, Instant::now().into_std(), dice());
                    if self.or_end(sleep(wait)).await.is_none() {
                        return Ok(Err(Unlisted::Ended));
                    }
                }
                Step::Renew if self.access.renew(&tokens) => {}
                Step::Renew | Step::Unauthorized => {
                    self.end(Ended::Unauthorized);
                    return Ok(Err(Unlisted::Ended));
                }
                Step::Done => return Ok(Ok(listing.finish())),
                Step::Refused(refused) => return Ok(Err(refused.into())),
            }
        }
    }

    /// One request for a page, which has a slot already; `None` when the lane has to end before it.
    async fn page<R: Recorder>(
        &self,
        lists: &dyn Lists,
        listing: &Listing,
        caller: &mut Caller<'_, R>,
        tokens: &Tokens,
    ) -> Result<Option<Heard>, String> {
        let cursor = listing.cursor();
        let request = match lists.page(cursor) {
            Ok(request) => request,
            Err(why) => return Ok(Some(Heard::Else(Reply::Unreachable { why }))),
        };
        let Some((pass, departure)) = caller.depart().await? else { return Ok(None) };
        self.shared().tally.reads += 1;
        let (answer, left) = (self.transport.fetch(request, tokens), Instant::now());
        let sent = answer_in_time(answer, self.stop.clone()).await;
        drop(departure);
        let (heard, reply) = match sent {
            Sent::Answered(response) => self.read_page(lists, listing, &response),
            Sent::NotSent { why } => without(Reply::NotSent { why }),
            Sent::Lost { why } => without(Reply::Lost { why }),
            Sent::Unreachable { why } => without(Reply::Unreachable { why }),
        };
        let (tenant, page, duration_ms) =
            (&self.tenant, listing.pages() + 1, left.elapsed().as_millis());
        tracing::debug!(%tenant, page, ?reply, duration_ms, "a page of the list");
        self.heed(&reply, pass, caller.recorder).await?;
        Ok(Some(heard))
    }

    fn read_page(
        &self,
        lists: &dyn Lists,
        listing: &Listing,
        response: &Response,
    ) -> (Heard, Reply) {
        let now = self.clock.now();
        self.heed_headers(response);
        let (status, retry_after) = (response.status, RetryAfter::of(response, now));
        let today = now.to_zoned(TimeZone::UTC).date();
        match lists.read_page(listing.cursor(), response, today) {
            Ok(page) => {
                let answer = Answer::of(Verdict::Found { shown: Attributes::new() });
                let heard = Heard::Page(page, response.bytes().len() as u64);
                (heard, Reply::Answered { answer, status, retry_after })
            }
            Err(answer) => without(Reply::Answered { answer, status, retry_after }),
        }
    }
}

/// It is no page.
fn without(reply: Reply) -> (Heard, Reply) {
    (Heard::Else(reply.clone()), reply)
}
