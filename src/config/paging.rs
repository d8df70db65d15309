//! How a feed is cut into pages: `[sources.X.feed.paging]`.

use crate::{
    model::Problem,
    source::json::{Path, PathError},
};
use serde::Deserialize;

/// The way from one page of a feed to the next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Paging {
    /// The whole feed is one answer.
    Whole,
    /// A `Link` header with `rel="next"` (RFC 8288).
    Link,
    /// An address in the body.
    Next { at: Path },
    /// A word in the body that the next request repeats.
    Cursor { at: Path, parameter: String },
    /// The number of the page.
    Page { parameter: String, first: u64, short_page_ends: bool },
    /// How many elements came before.
    Offset { parameter: String, first: u64, short_page_ends: bool },
}

/// How many elements a page should have, and the query parameter that asks for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PageSize {
    pub parameter: String,
    pub elements: u64,
}

/// `[sources.X.feed.paging]` as it is written.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct PagingTable {
    style: Option<Style>,
    next: Option<String>,
    cursor: Option<String>,
    parameter: Option<String>,
    first: Option<u64>,
    short_page_ends: Option<bool>,
    page_size: Option<u64>,
    page_size_parameter: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Style {
    Link,
    Next,
    Cursor,
    Page,
    Offset,
}

impl Style {
    /// The keys that mean something, besides the style and the page size.
    fn keys(self) -> &'static [&'static str] {
        match self {
            Self::Link => &[],
            Self::Next => &["next"],
            Self::Cursor => &["cursor", "parameter"],
            Self::Page | Self::Offset => &["parameter", "first", "short_page_ends"],
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::Link => "link",
            Self::Next => "next",
            Self::Cursor => "cursor",
            Self::Page => "page",
            Self::Offset => "offset",
        }
    }
}

/// Most elements that a page is asked for.
const PAGE_SIZE_MAX: u64 = 100_000;

impl PagingTable {
    /// The paging, and every problem with keys relative to the table.
    pub(super) fn check(self) -> Result<(Paging, Option<PageSize>), Vec<Problem>> {
        let mut problems = Vec::new();
        let Some(style) = self.style else {
            let hint = "choose from link, next, cursor, page, offset; without this table the feed \
                        is one page";
            return Err(vec![Problem::new("style", "is missing").hint(hint)]);
        };
        problems.extend(self.strangers(style));
        let size = self.size(&mut problems);
        let paging = self.paging(style, size.as_ref(), &mut problems);
        match paging {
            Some(paging) if problems.is_empty() => Ok((paging, size)),
            _ => Err(problems),
        }
    }

    /// Keys that mean nothing with this style.
    fn strangers(&self, style: Style) -> Vec<Problem> {
        let given = [
            ("next", self.next.is_some()),
            ("cursor", self.cursor.is_some()),
            ("parameter", self.parameter.is_some()),
            ("first", self.first.is_some()),
            ("short_page_ends", self.short_page_ends.is_some()),
        ];
        let stray = given.iter().filter(|(key, given)| *given && !style.keys().contains(key));
        let why = format!("means nothing with `style = \"{}\"`", style.word());
        stray.map(|(key, _)| Problem::new(*key, why.clone()).hint("take it out")).collect()
    }

    fn paging(
        &self,
        style: Style,
        size: Option<&PageSize>,
        problems: &mut Vec<Problem>,
    ) -> Option<Paging> {
        let short_page_ends = self.short_page_ends.unwrap_or(false);
        if short_page_ends && size.is_none() {
            let why = "needs `page_size` and `page_size_parameter`, to know what is short";
            problems.push(Problem::new("short_page_ends", why));
        }
        match style {
            Style::Link => Some(Paging::Link),
            Style::Next => {
                let at = place(self.next.as_deref(), "next", "$.links.next", problems)?;
                Some(Paging::Next { at })
            }
            Style::Cursor => {
                let at = place(self.cursor.as_deref(), "cursor", "$.meta.cursor", problems);
                let parameter = self.parameter("cursor", problems);
                Some(Paging::Cursor { at: at?, parameter: parameter? })
            }
            Style::Page => {
                let (parameter, first) = (self.parameter("page", problems)?, self.first);
                Some(Paging::Page { parameter, first: first.unwrap_or(1), short_page_ends })
            }
            Style::Offset => {
                let (parameter, first) = (self.parameter("offset", problems)?, self.first);
                Some(Paging::Offset { parameter, first: first.unwrap_or(0), short_page_ends })
            }
        }
    }

    fn parameter(&self, example: &str, problems: &mut Vec<Problem>) -> Option<String> {
        let given = self.parameter.clone().filter(|name| !name.is_empty());
        if given.is_none() {
            let hint = format!("name the query parameter, such as \"{example}\"");
            problems.push(Problem::new("parameter", "is missing").hint(hint));
        }
        given
    }

    fn size(&self, problems: &mut Vec<Problem>) -> Option<PageSize> {
        let (elements, parameter) = match (self.page_size, &self.page_size_parameter) {
            (None, None) => return None,
            (Some(elements), Some(parameter)) if !parameter.is_empty() => (elements, parameter),
            (Some(_), _) => {
                let hint = "name the query parameter that asks for it, such as \"limit\"";
                problems.push(Problem::new("page_size_parameter", "is missing").hint(hint));
                return None;
            }
            (None, Some(_)) => {
                problems.push(Problem::new("page_size", "is missing"));
                return None;
            }
        };
        if !(1..=PAGE_SIZE_MAX).contains(&elements) {
            let why = format!("should be from 1 to {PAGE_SIZE_MAX}");
            problems.push(Problem::new("page_size", why));
            return None;
        }
        Some(PageSize { parameter: parameter.clone(), elements })
    }
}

/// A place that has to be named.
fn place(
    text: Option<&str>,
    key: &str,
    example: &str,
    problems: &mut Vec<Problem>,
) -> Option<Path> {
    let Some(text) = text else {
        let hint = format!("say where it stands in the body, such as \"{example}\"");
        problems.push(Problem::new(key, "is missing").hint(hint));
        return None;
    };
    one_place(text).map_err(|why| problems.push(Problem::new(key, why))).ok()
}

/// A path to one value beside the records: `$.meta.next`, `$['@odata.nextLink']`.
pub(super) fn one_place(text: &str) -> Result<Path, String> {
    let path = Path::parse(text).map_err(|error: PathError| error.to_string())?;
    if path.is_by_names() { Ok(path) } else { Err("should be names only".to_owned()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_leads_on_is_found_by_names_alone() {
        for right in ["$.meta.next", "meta.next", "$['@odata.nextLink']"] {
            assert!(one_place(right).is_ok(), "{right}");
        }
        for wrong in ["", "$", "$.a[*]", "$.a[0]", "$.a[?@.b==1]", "$.."] {
            assert!(one_place(wrong).is_err(), "{wrong}");
        }
    }

    fn problems(table: PagingTable) -> Vec<String> {
        let found = table.check().err().unwrap_or_default();
        found.into_iter().map(|problem| problem.key).collect()
    }

    #[test]
    fn every_problem_of_the_paging_is_told_in_one_go() {
        assert_eq!(problems(PagingTable::default()), ["style"]);
        let style = Some(Style::Cursor);
        let bare = PagingTable { style, ..PagingTable::default() };
        assert_eq!(problems(bare), ["cursor", "parameter"]);
        let stray = PagingTable {
            style: Some(Style::Link),
            first: Some(1),
            next: Some("$.next".to_owned()),
            page_size: Some(0),
            page_size_parameter: Some("limit".to_owned()),
            ..PagingTable::default()
        };
        assert_eq!(problems(stray), ["next", "first", "page_size"]);
        let short = PagingTable {
            style: Some(Style::Page),
            parameter: Some("page".to_owned()),
            short_page_ends: Some(true),
            ..PagingTable::default()
        };
        assert_eq!(problems(short), ["short_page_ends"]);
    }
}
