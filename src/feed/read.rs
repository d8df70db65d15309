//! The whole feed: every page from the first to the last, twice where it was changed meanwhile, and
//! all of it or nothing.

use super::{
    fetch::{Got, Page, Server, Validators},
    flaw::{Flaw, Moved},
    pages::{Signs, Turn, Walk},
    spots::{self, Found},
};
use crate::{
    config::{FeedConfig, Paging, Spot, Total},
    model::Fingerprint,
};
use std::collections::HashSet;

/// What takes the elements in.
pub(super) trait Sink {
    /// Takes the elements of one page; tells their keys, `None` where one cannot be read.
    ///
    /// # Errors
    /// Why the page cannot be used, without a value of it.
    fn page(&mut self, number: u32, bytes: &[u8]) -> Result<Vec<Option<Fingerprint>>, Flaw>;
}

/// What came of a read.
#[derive(Debug)]
pub(super) enum Read<S> {
    /// The feed is as it was when the validators were given.
    Unchanged,
    Whole {
        sink: S,
        /// Of the first page.
        validators: Validators,
        pages: u32,
        elements: u64,
    },
}

/// How one way through the pages ended.
enum Way<S> {
    Ended(Read<S>),
    Moved(Moved),
}

/// Reads the feed. Once it turns out that it was changed meanwhile, it is read once more from its
/// beginning, into another sink.
pub(super) async fn read<S: Sink>(
    server: &mut Server<'_>,
    feed: &FeedConfig,
    since: &Validators,
    mut sink: impl FnMut() -> Result<S, Flaw>,
) -> Result<Read<S>, Flaw> {
    let why = match once(server, feed, since, sink()?).await? {
        Way::Ended(read) => return Ok(read),
        Way::Moved(why) => why,
    };
    tracing::info!(%why, "the feed was changed while it was read, and is read again");
    match once(server, feed, &Validators::default(), sink()?).await? {
        Way::Ended(read) => Ok(read),
        Way::Moved(why) => Err(Flaw::Moving { why }),
    }
}

async fn once<S: Sink>(
    server: &mut Server<'_>,
    feed: &FeedConfig,
    since: &Validators,
    mut sink: S,
) -> Result<Way<S>, Flaw> {
    let (mut walk, mut here) = Walk::begin(&feed.paging, feed.page_size.as_ref(), &feed.url);
    let (mut users, mut elements) = (Users::of(feed), 0);
    let (mut first, nothing) = (None, Validators::default());
    loop {
        let number = walk.page();
        let since = if first.is_none() { since } else { &nothing };
        let page = match server.page(number, &here, since).await? {
            Got::Page(page) => page,
            Got::Unchanged => return Ok(Way::Ended(Read::Unchanged)),
            Got::Gone if number > 1 => return Ok(Way::Moved(Moved::Gone { page: number })),
            Got::Gone => return Err(Flaw::Status { page: number, status: 410 }),
        };
        let bytes = content(feed, number, &page)?;
        let keys = if bytes.is_empty() { Vec::new() } else { sink.page(number, bytes)? };
        if let Some(moved) = users.meet(number, &keys, bytes)? {
            return Ok(Way::Moved(moved));
        }
        elements += keys.len() as u64;
        let signs = signs(feed, number, &page, bytes, keys.len())?;
        let turn = walk.after(&here, &signs)?;
        first.get_or_insert(page.validators);
        match turn {
            Turn::Next(next) => here = next,
            Turn::Moved(moved) => return Ok(Way::Moved(moved)),
            Turn::End => {
                let validators = first.unwrap_or_default();
                let read = Read::Whole { sink, validators, pages: number, elements };
                return Ok(Way::Ended(read));
            }
        }
    }
}

/// The page's bytes. Where pages are counted, "no content" is how some servers say that there was a
/// last one.
fn content<'p>(feed: &FeedConfig, number: u32, page: &'p Page) -> Result<&'p [u8], Flaw> {
    let counted = matches!(feed.paging, Paging::Page { .. } | Paging::Offset { .. });
    match &page.bytes {
        Some(bytes) if bytes.is_empty() => {
            Err(Flaw::Page { page: number, why: "it is empty".to_owned() })
        }
        Some(bytes) => Ok(bytes),
        None if counted && number > 1 => Ok(&[]),
        None => Err(Flaw::Status { page: number, status: 204 }),
    }
}

fn signs<'p>(
    feed: &FeedConfig,
    number: u32,
    page: &'p Page,
    bytes: &[u8],
    elements: usize,
) -> Result<Signs<'p>, Flaw> {
    let way = match &feed.paging {
        Paging::Next { at } | Paging::Cursor { at, .. } => Some(at),
        Paging::Whole | Paging::Link | Paging::Page { .. } | Paging::Offset { .. } => None,
    };
    let counted = match &feed.total {
        Some(Total::Body(at)) => Some(at),
        Some(Total::Header(_)) | None => None,
    };
    let wanted: Vec<&Spot> = way.into_iter().chain(counted).collect();
    let mut found = if wanted.is_empty() || bytes.is_empty() {
        Vec::new().into_iter()
    } else {
        let found = spots::find(bytes, &wanted);
        found.map_err(|_| unreadable(number))?.into_iter()
    };
    let way = way.and_then(|_| found.next()).unwrap_or_default();
    let total = total(feed, number, page, found.next())?;
    let links = page.links.iter().map(String::as_str).collect();
    Ok(Signs { links, way, total, elements: elements as u64 })
}

fn unreadable(page: u32) -> Flaw {
    Flaw::Page { page, why: "it is not JSON".to_owned() }
}

/// How many elements the feed says it has. Some say so on the first page only.
fn total(
    feed: &FeedConfig,
    number: u32,
    page: &Page,
    found: Option<Found>,
) -> Result<Option<u64>, Flaw> {
    let told = match (&feed.total, found) {
        (None, _) => return Ok(None),
        (Some(Total::Header(name)), _) => {
            let values = page.headers.iter().filter(|(header, _)| header == name);
            let mut values = values.map(|(_, value)| value.trim().parse::<u64>());
            values.next().map(|value| value.map_err(drop))
        }
        (Some(Total::Body(_)), Some(Found::Number(total))) => Some(Ok(total)),
        (Some(Total::Body(_)), Some(Found::Text(text))) => Some(text.parse().map_err(drop)),
        (Some(Total::Body(_)), Some(Found::Other)) => Some(Err(())),
        (Some(Total::Body(_)), Some(Found::Missing | Found::Null) | None) => None,
    };
    match told {
        Some(Ok(total)) => Ok(Some(total)),
        None if number > 1 => Ok(None),
        Some(Err(())) | None => Err(Flaw::NoTotal { page: number }),
    }
}

/// Who was on the pages so far.
struct Users {
    may_repeat: bool,
    met: HashSet<Fingerprint>,
    pages: HashSet<Fingerprint>,
}

impl Users {
    fn of(feed: &FeedConfig) -> Self {
        Self { may_repeat: feed.keys_may_repeat, met: HashSet::new(), pages: HashSet::new() }
    }

    /// Takes a page in. A server that does not know the parameter of the paging sends its first page
    /// for ever, which no address shows.
    fn meet(
        &mut self,
        page: u32,
        keys: &[Option<Fingerprint>],
        bytes: &[u8],
    ) -> Result<Option<Moved>, Flaw> {
        if keys.is_empty() {
            return Ok(None);
        }
        let mark = if self.may_repeat { Fingerprint::of_bytes(bytes) } else { of_all(keys) };
        if !self.pages.insert(mark) {
            return Err(Flaw::SamePage { page });
        }
        if self.may_repeat {
            return Ok(None);
        }
        if keys.iter().flatten().any(|key| self.met.contains(key)) {
            return Ok(Some(Moved::Twice { page }));
        }
        // Twice on one page is the server's own: the rules for rows see to it.
        self.met.extend(keys.iter().flatten());
        Ok(None)
    }
}

fn of_all(keys: &[Option<Fingerprint>]) -> Fingerprint {
    let bytes = keys.iter().flat_map(|key| key.map_or(0, |key| key.0).to_le_bytes());
    Fingerprint::of_bytes(&bytes.collect::<Vec<u8>>())
}
