//! `ScalePad` AMM: the departments of a user.
//!
//! Source: the API document "Update User".
//! - `PATCH {base}/clients/{client_id}/users/{user_id}` with `{"departments": [id, …]}`, which
//!   replaces the whole list; an empty list removes the user from all.
//! - The answer is the whole user, with departments as `{id, name, description}`; `GET` on the same
//!   path shows the same. Their order means nothing.
//! - `GET {base}/clients/{client_id}/users` lists all users, 500 on a page at most; `next_cursor` leads
//!   to the next page and is null on the last one.
//! - A 404 is the user's, the client's, or that of a department, which
//!   `error.details.invalid_department_ids` then names.
//! - The host is not published, so `base_url` is a setting; the version, `/v2`, belongs to it.
//! - UUIDs are compared and sent in lower case.
//!
//! Deliberately absent: `departments: null`, of which the document says nothing; the endpoints that
//! add or remove single members, which answer 200 for what they did not do.

use super::grammar::{
    self, BEARER, Base, Complaint, NOT_OFFERED, Sight, Table, account_of, catalogue, get, is_same,
    is_uuid, note, page_of, paged, patch, spell_all, success, with_query,
};
use super::{Dialect, Entry, Lists, Opened, Settings};
use crate::model::{
    Action, Answer, AttrPath, Attribute, Attributes, Capabilities, Cursor, Kind, Page, RemoteId,
    Request, Response, Verdict,
};
use jiff::civil::Date;
use serde_json::{Map, Value as Json, json};

pub(super) const ENTRY: Entry = Entry {
    name: "scalepad",
    summary: "ScalePad AMM: departments of a client's users (partial JSON)",
    open,
};

const DEPARTMENTS: &str = "departments";
/// The largest page that there is.
const PAGE: &str = "500";

#[derive(Debug)]
struct ScalePad {
    base: Base,
    client: String,
    capabilities: Capabilities,
}

fn open(settings: &Settings) -> Opened {
    let mut table = Table::of(settings, &["base_url", "client_id"]);
    let base = table.base_url();
    let client = table.required_uuid("client_id");
    let parts = base.zip(client);
    let (base, client) = table.close(parts)?;
    Ok(Box::new(ScalePad { base, client: client.to_owned(), capabilities: capabilities() }))
}

fn capabilities() -> Capabilities {
    let departments = Attribute::of(Kind::SetOf(Box::new(Kind::Uuid))).clearable();
    Capabilities {
        attributes: catalogue([(DEPARTMENTS, departments)]),
        read: true,
        ..Capabilities::default()
    }
}

impl Dialect for ScalePad {
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
        let id = account_of(id)?;
        self.check_id(id)?;
        let url = self.base.of_user(&["clients", &self.client, "users"], id)?;
        match action {
            Action::Read => Ok(get(url, &[BEARER])),
            Action::Patch { edits, companions } => {
                let values = spell_all(&self.capabilities, edits, companions)?;
                let members = values.into_iter().map(|(path, value)| {
                    let value = if value.is_null() { json!([]) } else { value };
                    (path.as_str().to_owned(), value)
                });
                Ok(patch(url, &Json::Object(members.collect()), &[BEARER]))
            }
            Action::Find { .. }
            | Action::Create { .. }
            | Action::Disable { .. }
            | Action::Enable { .. }
            | Action::Delete => Err(NOT_OFFERED.to_owned()),
        }
    }

    fn read(&self, id: Option<&RemoteId>, action: &Action, response: &Response, _: Date) -> Answer {
        if response.is_success() {
            return success(action, response, complaint, |user| self.see(id, user));
        }
        let complaint = complaint(response);
        let invalid = complaint.at("/error/details/invalid_department_ids");
        let names_departments = invalid.and_then(Json::as_array).is_some_and(|ids| !ids.is_empty());
        if names_departments && matches!(complaint.status(), 400 | 404 | 422) {
            let attributes = vec![AttrPath::new(DEPARTMENTS)];
            return complaint.answer(Verdict::Rejected { attributes });
        }
        complaint.usual()
    }

    fn lists(&self) -> Result<&dyn Lists, &'static str> {
        Ok(self)
    }
}

impl Lists for ScalePad {
    fn page(&self, cursor: Option<&Cursor>) -> Result<Request, String> {
        // By what never changes of a user: a list by last activity moves while it is read.
        let mut pairs = vec![("page_size", PAGE), ("sort_by", "created_at"), ("sort_order", "asc")];
        match cursor {
            None => {}
            Some(Cursor::Word(word)) => pairs.push(("cursor", word)),
            Some(Cursor::Number(_)) => return Err("the list has no such page".to_owned()),
        }
        let url = self.base.below(&["clients", &self.client, "users"])?;
        Ok(get(with_query(url, &pairs), &[BEARER]))
    }

    fn read_page(&self, _: Option<&Cursor>, response: &Response, _: Date) -> Result<Page, Answer> {
        page_of(response, complaint, |body| {
            let page = paged(body, "data", |user| {
                grammar::Entry::of(user.get("id"), || self.departments(user))
            })?;
            let next = match body.get("next_cursor") {
                None | Some(Json::Null) => None,
                Some(Json::String(word)) => Some(Cursor::word(word).ok_or("next_cursor")?),
                Some(_) => return Err("next_cursor"),
            };
            let total = body.get("total_count").and_then(Json::as_u64);
            Ok(Page { next, total, ..page })
        })
    }
}

impl ScalePad {
    fn see(&self, id: Option<&RemoteId>, user: &Map<String, Json>) -> Sight {
        match user.get("id").and_then(Json::as_str) {
            None => Sight::Nothing,
            Some(shown) if !is_same(shown, id) => Sight::Stranger,
            Some(_) => Sight::User(self.departments(user)),
        }
    }

    fn departments(&self, user: &Map<String, Json>) -> Attributes {
        let ids = match user.get(DEPARTMENTS) {
            Some(Json::Array(departments)) => {
                let ids = departments.iter();
                Some(
                    ids.map(|department| department.get("id").cloned().unwrap_or_default())
                        .collect(),
                )
            }
            other => other.cloned(),
        };
        let mut seen = Attributes::new();
        for (path, attribute) in &self.capabilities.attributes {
            note(&mut seen, path, &attribute.kind, ids.as_ref());
        }
        seen
    }
}

fn complaint(response: &Response) -> Complaint {
    Complaint::of(response, &["/error/code"], &["/error/message"])
}
