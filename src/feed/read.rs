//! The whole feed: every page from the first to the last, twice where it was changed meanwhile, and
//! all of it or nothing.

use super::{
    fetch::{Got, Page, Server, Validators},
    flaw::{Flaw, Moved},
    pages::{Signs, Turn, Walk},
};
use crate::{
    config::{FeedConfig, Paging, Total},
    model::Fingerprint,
    source::{
        Refused,
        json::{Node, Path, Reach},
    },
};
use std::{collections::HashSet, num::ParseIntError};

/// What takes the elements in.
pub(super) trait Sink {
    /// Takes the elements of one page.
    ///
    /// # Errors
    /// Why the page, and with it the feed, is not believed.
    fn page(&mut self, number: u32, bytes: &[u8]) -> Result<Taken, Refused>;
}

/// What one page has.
pub(super) struct Taken {
    /// Of its elements, in their order; `None` where there is none that can be read.
    pub(super) keys: Vec<Option<Fingerprint>>,
    /// What stands beside them.
    pub(super) beside: Node,
}

/// Why nothing came of a read.
#[derive(Debug)]
pub(super) enum Failed {
    Flaw(Flaw),
    /// The sink does not believe a page, or cannot keep it.
    Refused(Refused),
}

impl From<Flaw> for Failed {
    fn from(flaw: Flaw) -> Self {
        Self::Flaw(flaw)
    }
}

impl From<Refused> for Failed {
    fn from(refused: Refused) -> Self {
        Self::Refused(refused)
    }
}

/// What came of a read.
pub(super) enum Read<S> {
    /// The feed is as it was when the validators were given.
    Unchanged,
    Whole {
        sink: S,
        /// Of the first page.
        validators: Validators,
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
    mut sink: impl FnMut() -> Result<S, Refused>,
) -> Result<Read<S>, Failed> {
    let why = match once(server, feed, since, sink()?).await? {
        Way::Ended(read) => return Ok(read),
        Way::Moved(why) => why,
    };
    tracing::info!(%why, "the feed was changed while it was read, and is read again");
    match once(server, feed, &Validators::default(), sink()?).await? {
        Way::Ended(read) => Ok(read),
        Way::Moved(why) => Err(Flaw::Moving { why }.into()),
    }
}

async fn once<S: Sink>(
    server: &mut Server<'_>,
    feed: &FeedConfig,
    since: &Validators,
    mut sink: S,
) -> Result<Way<S>, Failed> {
    let (mut walk, mut here) = Walk::begin(&feed.paging, feed.page_size.as_ref(), &feed.url);
    let mut users = Users::of(feed);
    let (mut first, nothing) = (None, Validators::default());
    loop {
        let number = walk.page();
        let since = if first.is_none() { since } else { &nothing };
        let page = match server.page(number, &here, since).await? {
            Got::Page(page) => page,
            Got::Unchanged => return Ok(Way::Ended(Read::Unchanged)),
            Got::Gone if number > 1 => return Ok(Way::Moved(Moved::Gone { page: number })),
            Got::Gone => return Err(Flaw::Status { page: number, status: 410 }.into()),
        };
        let bytes = content(feed, number, &page)?;
        let Taken { keys, beside } = match bytes {
            Some(bytes) => sink.page(number, bytes)?,
            None => Taken { keys: Vec::new(), beside: Node::Null },
        };
        if let Some(moved) = users.meet(number, &keys, bytes.unwrap_or_default())? {
            return Ok(Way::Moved(moved));
        }
        let signs = signs(feed, number, &page, &beside, keys.len() as u64)?;
        let turn = walk.after(&here, &signs)?;
        first.get_or_insert(page.validators);
        match turn {
            Turn::Next(next) => here = next,
            Turn::Moved(moved) => return Ok(Way::Moved(moved)),
            Turn::End => {
                let validators = first.unwrap_or_default();
                return Ok(Way::Ended(Read::Whole { sink, validators }));
            }
        }
    }
}

/// The page's bytes. Where pages are counted, "no content" is how some servers say that there was a
/// last one.
fn content<'p>(feed: &FeedConfig, number: u32, page: &'p Page) -> Result<Option<&'p [u8]>, Flaw> {
    let counted = matches!(feed.paging, Paging::Page { .. } | Paging::Offset { .. });
    match &page.bytes {
        // RFC 8259 §8.1 lets a reader pass over it.
        Some(bytes) => Ok(Some(bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes))),
        None if counted && number > 1 => Ok(None),
        None => Err(Flaw::Status { page: number, status: 204 }),
    }
}

fn signs<'p>(
    feed: &FeedConfig,
    number: u32,
    page: &'p Page,
    beside: &'p Node,
    elements: u64,
) -> Result<Signs<'p>, Flaw> {
    let way = match &feed.paging {
        Paging::Next { at } | Paging::Cursor { at, .. } => led_to(at, number, beside)?,
        Paging::Whole | Paging::Link | Paging::Page { .. } | Paging::Offset { .. } => None,
    };
    let links = page.links.iter().map(String::as_str).collect();
    let total = total(feed, number, page, beside)?;
    Ok(Signs { links, way, total, elements })
}

/// What stands there, if anything does. Where the way to it is not what the settings say, nobody knows
/// whether this is the last page.
fn led_to<'n>(at: &Path, page: u32, beside: &'n Node) -> Result<Option<&'n Node>, Flaw> {
    let mut found = None;
    match at.follow(beside, true, &mut |node| found = Some(node)) {
        Reach::There | Reach::Missing => Ok(found),
        Reach::Misfit => Err(Flaw::OffTheWay { page, path: at.to_string() }),
    }
}

/// How many elements the feed says it has. Some say so on the first page only.
fn total(feed: &FeedConfig, number: u32, page: &Page, beside: &Node) -> Result<Option<u64>, Flaw> {
    let told = match &feed.total {
        None => return Ok(None),
        Some(Total::Header(name)) => {
            let mut values = page.headers.iter().filter(|(header, _)| header == name);
            values.next().map(|(_, value)| value.trim().parse())
        }
        Some(Total::Body(at)) => in_body(at, beside),
    };
    match told {
        Some(Ok(total)) => Ok(Some(total)),
        None if number > 1 => Ok(None),
        Some(Err(_)) | None => Err(Flaw::NoTotal { page: number }),
    }
}

/// What stands there, if anything does.
fn in_body(at: &Path, beside: &Node) -> Option<Result<u64, ParseIntError>> {
    match at.find(beside)? {
        Node::Null => None,
        Node::Number(text) | Node::Text(text) => Some(text.parse()),
        Node::Flag(_) | Node::List(_) | Node::Object(_) => Some("".parse()),
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
