//! KARE: a user of the organization and what the user may do there.
//!
//! Source: the API document "Update user organization", and the vendor's page "get-user".
//! - `PATCH {base}/users-organizations/v1/rs/users/{userId}`, a partial JSON object; the base ends
//!   with the stage, `/main`. The content type is exactly `application/json`.
//! - Two secrets: `Authorization: Bearer` and `x-session-token`.
//! - The answer holds the membership and neither names nor profession, so those need a read:
//!   `GET {base}/users/v1/rs/{userId}`.
//! - Whether a sent `permissions` object replaces or merges is not said, so it goes whole.
//! - `userId` is a whole number; `me`, which the API would take for the caller, is no id here.
//! - No error is documented. The platform (Amazon API Gateway) answers an unknown path with 403 and
//!   "Missing Authentication Token", which is a wrong address and no matter of rights.
//!
//! An answer with a `deletedAt` shows a membership that has ended. It counts as a missing user: the
//! change may have been taken, but a person has to look.
//!
//! Deliberately absent: a list of all users, of whose address and pages nothing is published;
//! unsetting anything; `deletedAt` as something to set; the flags of the
//! vendor's get-user page that tell which fields may be updated, of which only a refusal is proof.

use super::grammar::{
    BEARER, Base, Complaint, NOT_OFFERED, Sight, Table, account_of, at, catalogue, get, nest,
    patch, show_all, spell_all, success,
};
use super::{Dialect, Entry, Lists, Opened, Settings, login};
use crate::model::{
    Action, Answer, AttrPath, Attribute, Capabilities, CredentialHeader, Group, INTEGER_MAX, Kind,
    RemoteId, Request, Response, Verdict, Weight,
};
use jiff::civil::Date;
use serde_json::{Map, Value as Json};

pub(super) const ENTRY: Entry = Entry {
    name: "kare",
    summary: "KARE: users of an organization (partial JSON, two tokens)",
    open,
};

const CREDENTIALS: [CredentialHeader; 2] = [
    BEARER,
    CredentialHeader { header: "x-session-token", prefix: "", credential: "session_token" },
];

const PERMISSIONS: [&str; 3] = ["permissions.group", "permissions.manage", "permissions.read"];

#[derive(Debug)]
struct Kare {
    base: Base,
    capabilities: Capabilities,
}

fn open(settings: &Settings) -> Opened {
    let mut table = Table::of(settings, &["base_url"]);
    let base = table.base_url();
    let base = table.close(base)?;
    Ok(Box::new(Kare { base, capabilities: capabilities() }))
}

fn capabilities() -> Capabilities {
    let integer = || Kind::Integer { min: -INTEGER_MAX, max: INTEGER_MAX };
    let integers = || Kind::SetOf(Box::new(integer()));
    let unseen = |kind| Attribute::of(kind).not_shown_in_answer();
    let privilege = |kind| Attribute::of(kind).weight(Weight::Privilege);
    let [group, manage, read] = PERMISSIONS;
    Capabilities {
        attributes: catalogue([
            ("firstName", unseen(Kind::Text).max_chars(250)),
            ("lastName", unseen(Kind::Text).max_chars(250)),
            ("professionId", unseen(integer())),
            ("scope", privilege(Kind::Number(vec![1, 2]))),
            (group, privilege(integer())),
            (manage, privilege(integers())),
            (read, privilege(integers())),
        ]),
        groups: vec![Group {
            parent: "permissions".to_owned(),
            members: PERMISSIONS.map(AttrPath::new).to_vec(),
            mandatory: Vec::new(),
        }],
        read: true,
        ..Capabilities::default()
    }
}

impl Dialect for Kare {
    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    fn credentials(&self) -> &'static [&'static str] {
        &["token", "session_token"]
    }

    fn logins(&self) -> Vec<login::Offer> {
        let url = self.base.place(&["auth", "v1", "rs", "login", "credentials"]);
        vec![login::Offer { kind: login::Kind::KareCredentials, url, scope: &[] }]
    }

    fn check_id(&self, id: &RemoteId) -> Result<(), String> {
        let number = id.as_str().parse::<i64>().ok();
        let number = number.filter(|number| (1..=INTEGER_MAX).contains(number));
        match number {
            Some(number) if number.to_string() == id.as_str() => Ok(()),
            _ => Err(format!("should be a whole number from 1 to {INTEGER_MAX}")),
        }
    }

    fn request(&self, id: Option<&RemoteId>, action: &Action) -> Result<Request, String> {
        let id = account_of(id)?;
        self.check_id(id)?;
        match action {
            Action::Read => Ok(get(self.base.of_user(&["users", "v1", "rs"], id)?, &CREDENTIALS)),
            Action::Patch { edits, companions } => {
                let segments = ["users-organizations", "v1", "rs", "users"];
                let url = self.base.of_user(&segments, id)?;
                let values = spell_all(&self.capabilities, edits, companions)?;
                Ok(patch(url, &nest(values), &CREDENTIALS))
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
            return success(action, response, complaint, |body| self.see(id, action, body));
        }
        let complaint = complaint(response);
        let wrong_path = complaint.message() == "Missing Authentication Token";
        match complaint.status() {
            403 if wrong_path => complaint.answer(Verdict::Broken),
            413 | 415 => complaint.answer(Verdict::Broken),
            _ => complaint.usual(),
        }
    }

    fn lists(&self) -> Result<&dyn Lists, &'static str> {
        Err("KARE publishes neither the address nor the pages of its list of users")
    }
}

impl Kare {
    fn see(&self, id: Option<&RemoteId>, action: &Action, body: &Map<String, Json>) -> Sight {
        let Some(Json::Object(data)) = body.get("data") else { return Sight::Nothing };
        let is_read = *action == Action::Read;
        let id_name = if is_read { "id" } else { "userId" };
        match data.get(id_name) {
            None | Some(Json::Null) => Sight::Nothing,
            Some(shown) if !is_same(shown, id) => Sight::Stranger,
            Some(_) if data.get("deletedAt").is_some_and(|at| !at.is_null()) => {
                Sight::Gone("membership_deleted")
            }
            Some(_) => {
                let in_answer = |attribute: &Attribute| is_read || attribute.shown_in_answer;
                let catalogue = self.capabilities.attributes.iter();
                let visible = catalogue.filter(|(_, attribute)| in_answer(attribute));
                Sight::User(show_all(visible, |path| at(data, shown_at(path))))
            }
        }
    }
}

/// A read shows the profession as an object.
fn shown_at(path: &AttrPath) -> &str {
    match path.as_str() {
        "professionId" => "profession.id",
        path => path,
    }
}

fn is_same(shown: &Json, id: Option<&RemoteId>) -> bool {
    let Some(id) = id else { return false };
    match shown {
        Json::String(text) => text == id.as_str(),
        shown => shown.as_i64().is_some_and(|number| number.to_string() == id.as_str()),
    }
}

fn complaint(response: &Response) -> Complaint {
    Complaint::of(response, &["/code"], &["/message"])
}
