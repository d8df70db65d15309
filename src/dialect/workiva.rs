//! Workiva: partially update an organization user, as a list of JSON Patch operations.
//!
//! Source: the API document "Partially update a single user in an organization", and the vendor's
//! published description of 2026-01-01 for the path that follows it.
//! - `PATCH …/organizations/{organization}/users/{id}`, a JSON array of `replace` on `/givenName`,
//!   `/familyName`, `/displayName`, `/username`, `/email`; `application/json`, not json-patch.
//! - The answer is the whole user. `GET` on the same path shows the same.
//! - `GET …/organizations/{organization}/users` lists all users, 1000 on a page, and `@nextLink` leads
//!   to the next one. Only the description of 2026-01-01 tells of it.
//! - The version of 2022-01-01 lives below `/prototype/admin` and ends on 2027-01-31. The header
//!   `X-Version` is always sent, since without it the vendor picks the old version.
//! - Errors are `{code, message}`, with the attribute at fault in `details[].target` at best.
//!
//! Deliberately absent: `add`, `remove` and `test`, which this endpoint does not take (so nothing
//! can be unset, and there is no lock); suspending a user, which its PATCH cannot do.

use super::grammar::{
    self, BEARER, Base, Complaint, NOT_OFFERED, Sight, Table, account_of, at, catalogue, created,
    delete, get, linked, nest, page_of, paged, patch, post, show_all, spell_all, success,
};
use super::{Dialect, Entry, Lists, Opened, Settings, login};
use crate::model::{
    Action, Answer, AttrPath, Attribute, Attributes, Capabilities, Creation, Cursor, Edit, Kind,
    Life, Notice, Page, RemoteId, Request, Response, Verdict, Weight,
};
use jiff::civil::{Date, date};
use serde_json::{Map, Value as Json, json};
use std::collections::BTreeMap;

pub(super) const ENTRY: Entry =
    Entry { name: "workiva", summary: "Workiva: users of an organization (JSON Patch)", open };

const REGIONS: [(&str, &str); 3] = [
    ("us", "https://api.app.wdesk.com"),
    ("eu", "https://api.eu.wdesk.com"),
    ("apac", "https://api.apac.wdesk.com"),
];

/// What a token needs for a read and for a change.
const SCOPE: [&str; 2] = ["organization:read", "organization:write"];
/// The largest page that there is.
const PAGE: &str = "$maxpagesize=1000";

/// Last day of the version of 2022-01-01, by the API document.
const SUNSET: Date = date(2027, 1, 31);

#[derive(Debug)]
struct Workiva {
    base: Base,
    organization: String,
    version: Version,
    capabilities: Capabilities,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Version {
    Of2022,
    Of2026,
}

fn open(settings: &Settings) -> Opened {
    let mut table = Table::of(settings, &["region", "base_url", "organization_id", "api_version"]);
    let base = table.place_or_base_url("region", &REGIONS);
    let organization = table.required_uuid("organization_id");
    let version = table.choice("api_version", &Version::ALL.map(Version::as_str));
    let version = version.and_then(Version::of);
    let parts = base.zip(organization).zip(version);
    let ((base, organization), version) = table.close(parts)?;
    let organization = organization.to_owned();
    Ok(Box::new(Workiva { base, organization, version, capabilities: capabilities(version) }))
}

/// Of making and deleting users only the documents of 2026-01-01 speak. There is no way to look for
/// one, since the grammar of the list's filter is not documented.
fn life(version: Version) -> Life {
    if version == Version::Of2022 {
        return Life::default();
    }
    let mandatory = ["username", "email"].map(AttrPath::new).to_vec();
    Life { create: Some(Creation { mandatory }), delete: true, ..Life::default() }
}

fn capabilities(version: Version) -> Capabilities {
    let key_like = |kind| Attribute::of(kind).weight(Weight::KeyLike);
    Capabilities {
        attributes: catalogue([
            ("givenName", Attribute::of(Kind::Text)),
            ("familyName", Attribute::of(Kind::Text)),
            ("displayName", Attribute::of(Kind::Text)),
            ("username", key_like(Kind::Text)),
            ("email", key_like(Kind::Email)),
        ]),
        read: true,
        groups: Vec::new(),
        life: life(version),
    }
}

impl Dialect for Workiva {
    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    fn credentials(&self) -> &'static [&'static str] {
        &["token"]
    }

    fn logins(&self) -> Vec<login::Offer> {
        let url = self.base.place(self.version.token_path());
        vec![login::Offer { kind: login::Kind::ClientCredentials, url, scope: &SCOPE }]
    }

    /// The vendor's ids are opaque.
    fn check_id(&self, _: &RemoteId) -> Result<(), String> {
        Ok(())
    }

    fn request(&self, id: Option<&RemoteId>, action: &Action) -> Result<Request, String> {
        let segments = self.segments();
        let user = || self.base.of_user(&segments, account_of(id)?);
        let offered = &self.capabilities.life;
        let mut request = match action {
            Action::Read => get(user()?, &[BEARER]),
            Action::Delete if offered.delete => delete(user()?, &[BEARER]),
            Action::Create { edits, by: _ } if offered.create.is_some() => {
                let values = spell_all(&self.capabilities, edits, &BTreeMap::new())?;
                post(self.base.below(&segments)?, &nest(values), &[BEARER])
            }
            Action::Patch { edits, companions } => {
                let values = spell_all(&self.capabilities, edits, companions)?;
                let replace = |(path, value)| replace(&path, &value);
                patch(user()?, &values.into_iter().map(replace).collect(), &[BEARER])
            }
            Action::Find { .. }
            | Action::Create { .. }
            | Action::Disable { .. }
            | Action::Enable { .. }
            | Action::Delete => return Err(NOT_OFFERED.to_owned()),
        };
        request.headers.push(self.version_header());
        Ok(request)
    }

    fn read(
        &self,
        id: Option<&RemoteId>,
        action: &Action,
        response: &Response,
        today: Date,
    ) -> Answer {
        if let (Action::Create { .. }, true) = (action, response.is_success()) {
            return created(response, complaint, |user| self.account(user));
        }
        if response.is_success() {
            return success(action, response, complaint, |user| self.see(id, user));
        }
        let complaint = complaint(response);
        match complaint.status() {
            // The endpoint is gone, which says nothing about the user.
            404 | 410 if self.has_ended(today) => complaint.answer(Verdict::Broken),
            400 | 422 => {
                let attributes = at_fault(&complaint, action.edits());
                complaint.answer(Verdict::Rejected { attributes })
            }
            _ => complaint.usual(),
        }
    }

    fn lists(&self) -> Result<&dyn Lists, &'static str> {
        match self.version {
            Version::Of2022 => {
                Err("only the version 2026-01-01 is documented to have a list; set \
                `api_version = \"2026-01-01\"`")
            }
            Version::Of2026 => Ok(self),
        }
    }

    fn notices(&self, today: Date) -> Vec<Notice> {
        if self.version == Version::Of2026 {
            return Vec::new();
        }
        let days = today.duration_until(SUNSET).as_hours() / 24;
        let message = match days {
            ..0 => format!("the version 2022-01-01 of Workiva's user API ended on {SUNSET}"),
            0 => "the version 2022-01-01 of Workiva's user API ends today".to_owned(),
            1 => format!("the version 2022-01-01 of Workiva's user API ends tomorrow, on {SUNSET}"),
            _ => {
                format!(
                    "the version 2022-01-01 of Workiva's user API ends on {SUNSET}, in {days} days"
                )
            }
        };
        let hint = r#"set `api_version = "2026-01-01"`; the requests stay the same"#.to_owned();
        vec![Notice { message, hint, refuses: self.has_ended(today) }]
    }
}

impl Lists for Workiva {
    fn page(&self, cursor: Option<&Cursor>) -> Result<Request, String> {
        let mut url = self.base.below(&self.segments())?;
        match cursor {
            None => url.set_query(Some(PAGE)),
            Some(Cursor::Word(query)) => url.set_query(Some(query)),
            Some(Cursor::Number(_)) => return Err("the list has no such page".to_owned()),
        }
        let mut request = get(url, &[BEARER]);
        request.headers.push(self.version_header());
        Ok(request)
    }

    fn read_page(&self, _: Option<&Cursor>, response: &Response, _: Date) -> Result<Page, Answer> {
        page_of(response, complaint, |body| {
            let page =
                paged(body, "data", |user| grammar::Entry::of(user.get("id"), || self.show(user)))?;
            let list = self.base.below(&self.segments()).map_err(|_| "next_link")?;
            let next = linked(body.get("@nextLink"), &list)?;
            Ok(Page { next, ..page })
        })
    }
}

impl Workiva {
    /// Of the address of all users.
    fn segments(&self) -> Vec<&str> {
        let mut segments = self.version.prefix().to_vec();
        segments.extend(["organizations", &self.organization, "users"]);
        segments
    }

    fn version_header(&self) -> (&'static str, String) {
        ("x-version", self.version.as_str().to_owned())
    }

    fn has_ended(&self, today: Date) -> bool {
        self.version == Version::Of2022 && today > SUNSET
    }

    fn see(&self, id: Option<&RemoteId>, user: &Map<String, Json>) -> Sight {
        match user.get("id").and_then(Json::as_str) {
            None => Sight::Nothing,
            Some(shown) if id.is_none_or(|id| shown != id.as_str()) => Sight::Stranger,
            Some(_) => Sight::User(self.show(user)),
        }
    }

    fn account(&self, user: &Map<String, Json>) -> Option<(RemoteId, Attributes)> {
        let id = RemoteId::parse(user.get("id")?.as_str()?).ok()?;
        Some((id, self.show(user)))
    }

    fn show(&self, user: &Map<String, Json>) -> Attributes {
        show_all(&self.capabilities.attributes, |path| at(user, path.as_str()))
    }
}

impl Version {
    /// The default first.
    const ALL: [Self; 2] = [Self::Of2022, Self::Of2026];

    fn of(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|version| version.as_str() == text)
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::Of2022 => "2022-01-01",
            Self::Of2026 => "2026-01-01",
        }
    }

    /// Where tokens are given out: the description has moved it, and names the old place as well.
    fn token_path(self) -> &'static [&'static str] {
        match self {
            Self::Of2022 => &["iam", "v1", "oauth2", "token"],
            Self::Of2026 => &["oauth2", "token"],
        }
    }

    fn prefix(self) -> &'static [&'static str] {
        match self {
            Self::Of2022 => &["prototype", "admin"],
            Self::Of2026 => &[],
        }
    }
}

fn replace(path: &AttrPath, value: &Json) -> Json {
    // RFC 6901 §3: `~` and `/` inside a name are escaped.
    let pointer = path.as_str().replace('~', "~0").replace('/', "~1");
    json!({ "op": "replace", "path": format!("/{pointer}"), "value": value })
}

fn complaint(response: &Response) -> Complaint {
    Complaint::of(response, &["/code"], &["/message"])
}

/// The sent attributes that the error's details name.
fn at_fault(complaint: &Complaint, edits: &[Edit]) -> Vec<AttrPath> {
    let details = complaint.at("/details").and_then(Json::as_array).into_iter().flatten();
    let targets: Vec<_> = details
        .filter_map(|detail| detail.get("target"))
        .chain(complaint.at("/target"))
        .filter_map(|target| target.as_str().map(|text| text.trim_start_matches('/')))
        .collect();
    let paths = edits.iter().map(|edit| &edit.path);
    paths.filter(|path| targets.contains(&path.as_str())).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn g16_the_pointer_of_any_name_means_that_member(name in "[~/01a\\PC]{0,8}") {
            let operation = replace(&AttrPath::new(&name), &json!(2));
            let mut stored = json!({ name.as_str(): 1, "other": 1 });
            let patch: json_patch::Patch = serde_json::from_value(json!([operation])).unwrap();
            json_patch::patch(&mut stored, &patch).unwrap();
            prop_assert_eq!(&stored[name.as_str()], &json!(2));
            prop_assert!(name == "other" || stored["other"] == 1);
        }
    }
}
