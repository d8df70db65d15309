//! The way through a feed's pages: from what one page says to the address of the next, or to the end.
//! Pure: settings, addresses and figures.

use super::{
    flaw::{Flaw, Moved},
    links,
};
use crate::{
    config::{PageSize, Paging},
    source::json::Node,
};
use std::collections::HashSet;
use url::Url;

/// Most pages of one feed.
pub(super) const PAGES_MAX: u32 = 10_000;
/// Longest address of a page, in bytes.
const ADDRESS_MAX: usize = 8192;

/// How far a read has come.
#[derive(Debug)]
pub(super) struct Walk<'a> {
    paging: &'a Paging,
    size: Option<&'a PageSize>,
    first: &'a Url,
    visited: HashSet<String>,
    /// Of the page that is being read, from 1.
    page: u32,
    elements: u64,
    total: Option<u64>,
}

/// What one page says about the way.
#[derive(Debug, Default)]
pub(super) struct Signs<'a> {
    /// The values of its `Link` headers.
    pub(super) links: Vec<&'a str>,
    /// What stands where the settings look for the next address or the cursor, if anything does.
    pub(super) way: Option<&'a Node>,
    pub(super) total: Option<u64>,
    pub(super) elements: u64,
}

/// What comes after a page.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Turn {
    Next(Url),
    End,
    /// The feed was changed meanwhile: all of it has to be read again.
    Moved(Moved),
}

impl<'a> Walk<'a> {
    /// The walk and the address of its first page.
    pub(super) fn begin(
        paging: &'a Paging,
        size: Option<&'a PageSize>,
        feed: &'a Url,
    ) -> (Self, Url) {
        let mut walk = Self {
            paging,
            size,
            first: feed,
            visited: HashSet::new(),
            page: 1,
            elements: 0,
            total: None,
        };
        let place = match paging {
            Paging::Whole | Paging::Link | Paging::Next { .. } | Paging::Cursor { .. } => None,
            Paging::Page { parameter, first, .. } | Paging::Offset { parameter, first, .. } => {
                Some((parameter, *first))
            }
        };
        let address =
            walk.address(place.map(|(name, value)| (name.as_str(), value.to_string())).as_slice());
        walk.visited.insert(address.to_string());
        (walk, address)
    }

    /// The number of the page that is being read, from 1.
    pub(super) fn page(&self) -> u32 {
        self.page
    }

    /// Where to go after the page that was read at `here`.
    pub(super) fn after(&mut self, here: &Url, signs: &Signs<'_>) -> Result<Turn, Flaw> {
        self.elements += signs.elements;
        if let Some(moved) = self.hear(signs.total) {
            return Ok(Turn::Moved(moved));
        }
        let next = match self.paging {
            Paging::Whole => None,
            Paging::Link => self.linked(here, signs)?,
            Paging::Next { .. } => self.named(here, signs.way)?,
            Paging::Cursor { parameter, .. } => self.cursor(parameter, signs.way)?,
            Paging::Page { parameter, first, short_page_ends } => self
                .goes_on(signs, *short_page_ends)
                .then(|| self.numbered(parameter, first + u64::from(self.page))),
            Paging::Offset { parameter, first, short_page_ends } => self
                .goes_on(signs, *short_page_ends)
                .then(|| self.numbered(parameter, first + self.elements)),
        };
        let Some(next) = next else { return Ok(self.end()) };
        if !self.visited.insert(next.to_string()) {
            return Err(Flaw::Cycle { page: self.page });
        }
        if self.page >= PAGES_MAX {
            return Err(Flaw::TooManyPages { max: PAGES_MAX });
        }
        self.page += 1;
        Ok(Turn::Next(next))
    }

    fn end(&self) -> Turn {
        match self.total {
            Some(told) if told != self.elements => {
                Turn::Moved(Moved::Count { found: self.elements, told })
            }
            _ => Turn::End,
        }
    }

    /// Takes in how many elements there are, where the page says so.
    fn hear(&mut self, total: Option<u64>) -> Option<Moved> {
        let after = total?;
        let before = *self.total.get_or_insert(after);
        (before != after).then_some(Moved::Total { before, after })
    }

    /// Only where the pages are counted: an empty page, or the announced number, is the end.
    fn goes_on(&self, signs: &Signs<'_>, short_page_ends: bool) -> bool {
        let short = self.size.is_some_and(|size| signs.elements < size.elements);
        let complete = self.total.is_some_and(|total| self.elements >= total);
        signs.elements > 0 && !complete && !(short && short_page_ends)
    }

    fn linked(&self, here: &Url, signs: &Signs<'_>) -> Result<Option<Url>, Flaw> {
        let found = links::next(signs.links.iter().copied());
        let found = found.map_err(|why| Flaw::Link { page: self.page, why })?;
        found.map(|text| self.within(here, &text)).transpose()
    }

    fn named(&self, here: &Url, way: Option<&Node>) -> Result<Option<Url>, Flaw> {
        match way {
            None | Some(Node::Null) => Ok(None),
            Some(Node::Text(text)) if text.is_empty() => Ok(None),
            Some(Node::Text(text)) => self.within(here, text).map(Some),
            Some(Node::Flag(_) | Node::Number(_) | Node::List(_) | Node::Object(_)) => {
                Err(self.no_way("neither a text nor null"))
            }
        }
    }

    fn cursor(&self, parameter: &str, way: Option<&Node>) -> Result<Option<Url>, Flaw> {
        let cursor = match way {
            None | Some(Node::Null) => return Ok(None),
            Some(Node::Text(text) | Node::Number(text)) => text,
            Some(Node::Flag(_) | Node::List(_) | Node::Object(_)) => {
                return Err(self.no_way("neither a text, a number nor null"));
            }
        };
        if cursor.is_empty() {
            return Ok(None);
        }
        let next = self.address(&[(parameter, cursor.clone())]);
        if next.as_str().len() > ADDRESS_MAX {
            return Err(self.no_way("longer than an address may be"));
        }
        Ok(Some(next))
    }

    fn no_way(&self, what: &'static str) -> Flaw {
        Flaw::NoWay { page: self.page, what }
    }

    fn numbered(&self, parameter: &str, number: u64) -> Url {
        self.address(&[(parameter, number.to_string())])
    }

    /// The feed's own address with the page size and these parameters.
    fn address(&self, place: &[(&str, String)]) -> Url {
        let size = self.size.map(|size| (size.parameter.as_str(), size.elements.to_string()));
        let mut url = self.first.clone();
        if size.is_some() || !place.is_empty() {
            let pairs = size.iter().chain(place);
            url.query_pairs_mut().extend_pairs(pairs.map(|(name, value)| (*name, value.as_str())));
        }
        url
    }

    /// An address that a page names, which must be at the feed's own origin.
    fn within(&self, here: &Url, text: &str) -> Result<Url, Flaw> {
        let page = self.page;
        let elsewhere =
            |why| Flaw::Elsewhere { page, origin: self.first.origin().ascii_serialization(), why };
        if text.len() > ADDRESS_MAX {
            return Err(elsewhere("it is longer than an address may be"));
        }
        let odd = |c: char| c.is_whitespace() || c.is_control() || c == '\\';
        if text.chars().any(odd) {
            return Err(elsewhere("it has a space, a control character or a backslash in it"));
        }
        let mut next = here.join(text).map_err(|_| elsewhere("it is no address"))?;
        if next.scheme() != self.first.scheme() {
            return Err(elsewhere("it has another scheme"));
        }
        if !next.username().is_empty() || next.password().is_some() {
            return Err(elsewhere("it names a user"));
        }
        if next.host() != self.first.host() {
            return Err(elsewhere("it names another host"));
        }
        if next.port_or_known_default() != self.first.port_or_known_default() {
            return Err(elsewhere("it names another port"));
        }
        // Never sent, so two addresses that differ in it are one page.
        next.set_fragment(None);
        Ok(next)
    }
}
