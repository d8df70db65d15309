//! Lists of all users: what is asked for, and the part of it that goes on one page.

use super::{
    SandboxTenant,
    practice::{Incoming, Refusal},
};
use serde_json::Value;
use std::collections::BTreeMap;

/// What is wrong with a list of all users.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lie {
    /// It announces one user more than it shows.
    Total,
    /// Each page but the first begins with the last user of the one before.
    Twice,
    /// What leads on from the second page leads to it again.
    Loop,
    /// Links to the next page begin with this, and not with the tenant's own address.
    Elsewhere(String),
    /// The second page is empty, and the third one goes on.
    Gap,
}

/// The part of all users that goes on one page.
pub(super) struct Window<'a> {
    pub(super) users: Vec<&'a Value>,
    /// Where the next page begins.
    pub(super) next: Option<usize>,
    pub(super) total: usize,
}

impl<'a> Window<'a> {
    /// So many users at most, from the one at `start` on, counted from 0.
    pub(super) fn of(tenant: &'a SandboxTenant, start: usize, size: usize) -> Self {
        let size = size.min(tenant.page_max.unwrap_or(size));
        let all = tenant.accounts.len();
        // The marker of a gap is a place beyond all users.
        let gap = tenant.lie == Some(Lie::Gap) && start > 0 && start <= all;
        let start = if start > all { start - all - 1 } else { start };
        let from = if tenant.lie == Some(Lie::Twice) { start.saturating_sub(1) } else { start };
        let end = start.saturating_add(size).min(all);
        let users = tenant.accounts.values().skip(from).take(end.saturating_sub(from));
        let users = if gap { Vec::new() } else { users.collect() };
        let next = match &tenant.lie {
            Some(Lie::Loop) if start > 0 => start,
            Some(Lie::Gap) if gap => start + all + 1,
            _ => end,
        };
        let total = all + usize::from(tenant.lie == Some(Lie::Total));
        Self { users, next: (gap || end < all).then_some(next), total }
    }

    /// A place in the list, spelled so that nobody takes it for a number to count with.
    pub(super) fn cursor(place: usize) -> String {
        format!("c{place:x}z")
    }

    /// The place of such a cursor.
    pub(super) fn place(cursor: &str) -> Option<usize> {
        let place = cursor.strip_prefix('c').and_then(|text| text.strip_suffix('z'))?;
        usize::from_str_radix(place, 16).ok()
    }
}

/// The pairs of a query, percent-decoded.
pub(super) struct Query(BTreeMap<String, String>);

impl Query {
    pub(super) fn of(request: &Incoming, known: &[&str]) -> Result<Self, Refusal> {
        let mut pairs = BTreeMap::new();
        let query = request.query.as_deref().unwrap_or_default();
        for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
            if !known.contains(&name.as_ref()) {
                return Err(Refusal::new(400, format!("unknown query parameter `{name}`")));
            }
            if pairs.insert(name.clone().into_owned(), value.into_owned()).is_some() {
                return Err(Refusal::new(400, format!("`{name}` is there twice")));
            }
        }
        Ok(Self(pairs))
    }

    pub(super) fn text(&mut self, name: &str) -> Option<String> {
        self.0.remove(name)
    }

    pub(super) fn number(&mut self, name: &str, default: usize) -> Result<usize, Refusal> {
        let Some(text) = self.text(name) else { return Ok(default) };
        text.parse().map_err(|_| Refusal::new(400, format!("`{name}` is no number")))
    }

    /// Where a page begins, by the cursor of the page before it.
    pub(super) fn place(&mut self, name: &str) -> Result<usize, Refusal> {
        let Some(text) = self.text(name) else { return Ok(0) };
        Window::place(&text).ok_or_else(|| Refusal::new(400, format!("`{name}` is no cursor")))
    }
}
