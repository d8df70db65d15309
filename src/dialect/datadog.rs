//! Datadog: users over SCIM, as a `PatchOp`.
//!
//! Source: the API document "Patch user", and RFC 7644 §3.5.2.
//! - `PATCH {base}/api/v2/scim/Users/{user_uuid}` with `add` and `replace` only. Every operation
//!   names its path, since a path-less `replace` is a replacement of everything on some servers.
//! - What the user does not have is added and what it has is replaced: RFC 7644 §3.5.2.3 lets a
//!   `replace` of an absent value count as an `add`, but a value filter that matches nothing is an
//!   error. So a first work e-mail replaces `emails` as a whole.
//! - The answer is the whole user, or nothing (204); `GET` on the same path shows the same.
//! - `GET {base}/api/v2/scim/Users?startIndex&count` lists all users (RFC 7644 §3.4.2.4): entries
//!   count from 1, and the next page begins behind the entries that this one has, for a server may
//!   show fewer than were asked for.
//! - Errors are `{"errors": […]}`; the error form of RFC 7644 §3.12 is understood as well.
//!
//! - `POST {base}/api/v2/scim/Users` makes a user (201) and invites them by e-mail; `GET` there with
//!   `filter=userName eq "…"` finds one (RFC 7644 §3.4.2.2), which is the only form of filter. Some
//!   that answer are looked at again here, since a server that ignores the filter answers with all.
//!
//! Deliberately absent: `DELETE`, which only switches off, as `active` does; `remove`, which the endpoint does not take, so nothing can be unset;
//! `roles`, where a 200 may hide that something else was set; `meta.location` as an address to go
//! to, which names another host.

use super::grammar::{
    self, BEARER, Base, Complaint, NOT_OFFERED, Sight, Table, account_of, at, behind, catalogue,
    created, equals, first_of, get, is_same, is_uuid, list_response, matches, nest, page_of, patch,
    post, show_all, spell, success, with_query,
};
use super::{Dialect, Entry, Lists, Opened, Settings};
use crate::model::{
    Action, Answer, AttrPath, Attribute, Attributes, Capabilities, Creation, Cursor, Edit, Kind,
    Life, Match, Page, RemoteId, Request, Response, Switch, Value, Verdict, Weight,
};
use jiff::civil::Date;
use serde_json::{Map, Value as Json, json};
use std::collections::BTreeMap;

pub(super) const ENTRY: Entry =
    Entry { name: "datadog", summary: "Datadog: users over SCIM 2.0 (PatchOp)", open };

/// The sites of the API document, and `uk1`, which came later.
const SITES: [(&str, &str); 9] = [
    ("datadoghq.com", "https://api.datadoghq.com"),
    ("us3.datadoghq.com", "https://api.us3.datadoghq.com"),
    ("us5.datadoghq.com", "https://api.us5.datadoghq.com"),
    ("ap1.datadoghq.com", "https://api.ap1.datadoghq.com"),
    ("ap2.datadoghq.com", "https://api.ap2.datadoghq.com"),
    ("datadoghq.eu", "https://api.datadoghq.eu"),
    ("ddog-gov.com", "https://api.ddog-gov.com"),
    ("us2.ddog-gov.com", "https://api.us2.ddog-gov.com"),
    ("uk1.datadoghq.com", "https://api.uk1.datadoghq.com"),
];

const PATCH_OP: &str = "urn:ietf:params:scim:api:messages:2.0:PatchOp";
const USER_SCHEMA: &str = "urn:ietf:params:scim:schemas:core:2.0:User";
const USERS: [&str; 4] = ["api", "v2", "scim", "Users"];
const USER_NAME: &str = "userName";
const WORK_EMAIL: &str = r#"emails[type eq "work"].value"#;
/// Entries of a page. The document names no most, and a server that has one shows fewer.
const PAGE: u64 = 100;

#[derive(Debug)]
struct Datadog {
    base: Base,
    capabilities: Capabilities,
}

fn open(settings: &Settings) -> Opened {
    let mut table = Table::of(settings, &["site", "base_url"]);
    let base = table.place_or_base_url("site", &SITES);
    let base = table.close(base)?;
    Ok(Box::new(Datadog { base, capabilities: capabilities() }))
}

fn capabilities() -> Capabilities {
    let key_like = |kind| Attribute::of(kind).weight(Weight::KeyLike);
    Capabilities {
        attributes: catalogue([
            ("active", Attribute::of(Kind::Flag).weight(Weight::Privilege).disables()),
            ("title", Attribute::of(Kind::Text)),
            ("name.formatted", Attribute::of(Kind::Text)),
            (USER_NAME, key_like(Kind::Text)),
            (WORK_EMAIL, key_like(Kind::Email)),
        ]),
        read: true,
        groups: Vec::new(),
        life: Life {
            finds: vec![AttrPath::new(USER_NAME)],
            create: Some(Creation {
                mandatory: vec![AttrPath::new(USER_NAME), AttrPath::new(WORK_EMAIL)],
            }),
            switch: Some(Switch { path: AttrPath::new("active"), destroys: false }),
            delete: false,
        },
    }
}

impl Dialect for Datadog {
    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    fn credentials(&self) -> &'static [&'static str] {
        &["token"]
    }

    fn check_id(&self, id: &RemoteId) -> Result<(), String> {
        if is_uuid(id.as_str()) { Ok(()) } else { Err("should be a UUID".to_owned()) }
    }

    fn request(&self, id: Option<&RemoteId>, action: &Action) -> Result<Request, String> {
        match action {
            Action::Find { by } => return self.find(by),
            Action::Create { edits, by: _ } => return self.create(edits),
            Action::Read
            | Action::Patch { .. }
            | Action::Disable { .. }
            | Action::Enable { .. }
            | Action::Delete => {}
        }
        let id = account_of(id)?;
        self.check_id(id)?;
        let url = self.base.of_user(&USERS, id)?;
        match action {
            Action::Read => Ok(get(url, &[BEARER])),
            Action::Patch { edits, companions: _ } if edits.is_empty() => {
                Err("a change without any edit is never sent".to_owned())
            }
            Action::Patch { .. } | Action::Disable { .. } | Action::Enable { .. } => {
                let operations = action.edits().iter().map(|edit| self.operation(edit));
                let operations = operations.collect::<Result<Vec<_>, _>>()?;
                let schemas = Json::from(vec![PATCH_OP]);
                let body = [("schemas", schemas), ("Operations", Json::from(operations))];
                Ok(patch(url, &Json::from_iter(body), &[BEARER]))
            }
            Action::Find { .. } | Action::Create { .. } | Action::Delete => {
                Err(NOT_OFFERED.to_owned())
            }
        }
    }

    fn read(&self, id: Option<&RemoteId>, action: &Action, response: &Response, _: Date) -> Answer {
        match action {
            Action::Find { .. } if response.is_success() => {
                return matches(response, complaint, |list| self.matches(list));
            }
            Action::Create { .. } if response.is_success() => {
                return created(response, complaint, |user| self.account(user));
            }
            Action::Read
            | Action::Find { .. }
            | Action::Create { .. }
            | Action::Patch { .. }
            | Action::Disable { .. }
            | Action::Enable { .. }
            | Action::Delete => {}
        }
        if response.is_success() {
            return success(action, response, complaint, |user| self.see(id, user));
        }
        let complaint = complaint(response);
        // RFC 7644 §3.12: another user has that value; looking again does not help.
        let is_change = !matches!(action, Action::Create { .. });
        if is_change && complaint.status() == 409 && complaint.code() == "uniqueness" {
            let attributes = self.key_like(action.edits());
            return complaint.answer(Verdict::Rejected { attributes });
        }
        complaint.usual()
    }

    fn lists(&self) -> Result<&dyn Lists, &'static str> {
        Ok(self)
    }
}

impl Lists for Datadog {
    fn page(&self, cursor: Option<&Cursor>) -> Result<Request, String> {
        let start = first_of(cursor)?.to_string();
        let pairs = [("startIndex", start.as_str()), ("count", &PAGE.to_string())];
        Ok(get(with_query(self.base.below(&USERS)?, &pairs), &[BEARER]))
    }

    fn read_page(
        &self,
        cursor: Option<&Cursor>,
        response: &Response,
        _: Date,
    ) -> Result<Page, Answer> {
        page_of(response, complaint, |body| {
            let mut page =
                list_response(body, |user| grammar::Entry::of(user.get("id"), || self.show(user)))?;
            page.next = behind(cursor, &page);
            Ok(page)
        })
    }
}

impl Datadog {
    fn find(&self, by: &Match) -> Result<Request, String> {
        let Match { path, value } = by;
        let (USER_NAME, Value::Text(text)) = (path.as_str(), value) else {
            return Err(NOT_OFFERED.to_owned());
        };
        let mut url = self.base.below(&USERS)?;
        url.query_pairs_mut().append_pair("filter", &equals(path.as_str(), text));
        Ok(get(url, &[BEARER]))
    }

    fn create(&self, edits: &[Edit]) -> Result<Request, String> {
        let mut values = BTreeMap::new();
        for Edit { path, before: _, after } in edits {
            let value = spell(&self.capabilities, path, after.as_ref())?;
            if path.as_str() == WORK_EMAIL {
                let email = json!({ "value": value, "type": "work", "primary": true });
                values.insert(AttrPath::new("emails"), json!([email]));
            } else {
                values.insert(path.clone(), value);
            }
        }
        let mut user = nest(values);
        user["schemas"] = json!([USER_SCHEMA]);
        Ok(post(self.base.below(&USERS)?, &user, &[BEARER]))
    }

    /// The accounts of a list (RFC 7644 §3.4.2); `None`: it is none, or has one without an id.
    fn matches(&self, list: &Map<String, Json>) -> Option<Vec<(RemoteId, Attributes)>> {
        let total = list.get("totalResults")?.as_u64()?;
        let users = match list.get("Resources") {
            Some(users) => users.as_array()?.as_slice(),
            None => &[],
        };
        // More than a page: several answer.
        let whole = users.len() as u64 >= total || users.len() > 1;
        let accounts = users.iter().map(|user| self.account(user.as_object()?));
        accounts.collect::<Option<Vec<_>>>().filter(|_| whole)
    }

    fn account(&self, user: &Map<String, Json>) -> Option<(RemoteId, Attributes)> {
        let id = RemoteId::parse(user.get("id")?.as_str()?).ok()?;
        self.check_id(&id).ok()?;
        Some((id, self.show(user)))
    }

    fn operation(&self, edit: &Edit) -> Result<Json, String> {
        let Edit { path, before, after } = edit;
        let value = spell(&self.capabilities, path, after.as_ref())?;
        let operation = |op, path, value| json!({ "op": op, "path": path, "value": value });
        Ok(match (path.as_str(), before) {
            (WORK_EMAIL, Some(None)) => {
                let email = json!({ "value": value, "type": "work", "primary": true });
                // The list as a whole, for `add` would append (RFC 7644 §3.5.2.1): sent twice, it
                // still is one address. Work addresses are the only kind that Datadog has.
                operation("replace", "emails", json!([email]))
            }
            (path, Some(None)) => operation("add", path, value),
            (path, None | Some(Some(_))) => operation("replace", path, value),
        })
    }

    fn see(&self, id: Option<&RemoteId>, user: &Map<String, Json>) -> Sight {
        match user.get("id").and_then(Json::as_str) {
            None => Sight::Nothing,
            Some(shown) if !is_same(shown, id) => Sight::Stranger,
            Some(_) => Sight::User(self.show(user)),
        }
    }

    fn show(&self, user: &Map<String, Json>) -> Attributes {
        show_all(&self.capabilities.attributes, |path| match path.as_str() {
            WORK_EMAIL => work_email(user),
            path => at(user, path),
        })
    }

    fn key_like(&self, edits: &[Edit]) -> Vec<AttrPath> {
        let is_key_like = |path: &&AttrPath| {
            let attribute = self.capabilities.attributes.get(path);
            attribute.is_some_and(|attribute| attribute.weight == Weight::KeyLike)
        };
        edits.iter().map(|edit| &edit.path).filter(is_key_like).cloned().collect()
    }
}

/// The primary work address, else the first. RFC 7643 §2.1: names and `type` ignore case.
fn work_email(user: &Map<String, Json>) -> Option<&Json> {
    let emails = user.get("emails")?.as_array()?;
    let is_work = |email: &&Json| {
        let kind = email.get("type").and_then(Json::as_str);
        kind.is_some_and(|kind| kind.eq_ignore_ascii_case("work"))
    };
    let is_primary = |email: &&Json| email.get("primary") == Some(&Json::Bool(true));
    let primary = emails.iter().filter(is_work).find(is_primary);
    primary.or_else(|| emails.iter().find(is_work))?.get("value")
}

fn complaint(response: &Response) -> Complaint {
    Complaint::of(response, &["/scimType"], &["/errors/0", "/errors/0/detail", "/detail"])
}
