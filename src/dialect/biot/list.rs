//! The list of all users, by `searchRequest`.

use super::{Biot, USERS, complaint};
use crate::{
    dialect::{
        Lists,
        grammar::{BEARER, Entry, get, page_of, paged, with_query},
    },
    model::{Answer, Cursor, Page, Request, Response},
};
use jiff::civil::Date;
use serde_json::json;

/// Entries of a page: the documented default, since no document names a most.
const PAGE: u64 = 100;

impl Lists for Biot {
    fn page(&self, cursor: Option<&Cursor>) -> Result<Request, String> {
        // By what never changes: in the order of creation, which is the default, the newest first,
        // every new user would move all pages.
        let search = json!({
            "sort": [{ "prop": "_id", "order": "ASC" }],
            "limit": PAGE,
            "page": number_of(cursor)?,
        });
        let pairs = [("searchRequest", search.to_string())];
        let pairs = pairs.each_ref().map(|(name, text)| (*name, text.as_str()));
        Ok(get(with_query(self.base.below(&USERS)?, &pairs), &[BEARER]))
    }

    fn read_page(
        &self,
        cursor: Option<&Cursor>,
        response: &Response,
        _: Date,
    ) -> Result<Page, Answer> {
        let number = number_of(cursor).unwrap_or_default();
        page_of(response, complaint, |body| {
            let page = paged(body, "data", |user| Entry::of(user.get("_id"), || self.show(user)))?;
            let told = |name: &str| body.get("metadata")?.get("page")?.get(name)?.as_u64();
            // Pages of another size, or another page than the one that was asked for, would leave
            // users out.
            if told("limit").is_some_and(|limit| limit != PAGE)
                || told("page").is_some_and(|page| page != number)
            {
                return Err("other_page");
            }
            let entries = page.users.len() as u64 + page.unnamed;
            let total = told("totalResults");
            let more = total.map_or(entries == PAGE, |total| (number + 1) * PAGE < total);
            Ok(Page { next: more.then_some(Cursor::Number(number + 1)), total, ..page })
        })
    }
}

/// Pages count from 0.
fn number_of(cursor: Option<&Cursor>) -> Result<u64, String> {
    match cursor {
        None => Ok(0),
        Some(Cursor::Number(number)) => Ok(*number),
        Some(Cursor::Word(_)) => Err("the list has no such page".to_owned()),
    }
}
