//! `BioT`: update an organization user, as a partial JSON object.
//!
//! Source: the API document "Update Organization User", and the vendor's published description of
//! the organization service (2.4) for the error codes, the limits of `_mfa` and the types of custom
//! attributes.
//! - `PATCH {base}/organization/v1/users/organizations/{id}`: "if a field is specified in the
//!   request it will be updated". The host is each customer's own, so `base_url` is a setting.
//! - Whether an omitted member of a sent object (`_name`, `_address`, `_mfa`) is kept is not said,
//!   so an object always goes whole: that is right under both readings.
//! - The answer is the whole user; `GET` on the same path shows the same.
//! - `GET {base}/organization/v1/users/organizations?searchRequest=` lists all users; the pages count
//!   from 0 and have 100 entries, which is what the document names.
//! - The customer's own attributes are declared in the settings: `custom = { badge = "LABEL" }`.
//! - Errors are `{code, message, details}`, and the code, not the status, tells whose fault it is.
//! - References are `{"id": uuid}`. UUIDs are compared and sent in lower case.
//!
//! Deliberately absent: unsetting by null, unless the tenant's `null_clears` says that it was tried;
//! FILE, IMAGE and WAVEFORM attributes, whose values are uploads; the query `includeReferencers`,
//! which older deployments do not know.

mod custom;
mod fault;
mod life;
mod list;

use super::grammar::{
    BEARER, Base, Complaint, Sight, Table, account_of, at, catalogue, created, get, is_same,
    is_uuid, matches, nest, patch, show_all, spell_all, success,
};
use super::{Dialect, Entry, Lists, Opened, Settings, login};
use crate::model::{
    Action, Answer, AttrPath, Attribute, Attributes, Capabilities, Group, Kind, RemoteId, Request,
    Response, Verdict, Weight,
};
use custom::Custom;
use jiff::civil::Date;
use serde_json::{Map, Value as Json, json};
use std::collections::{BTreeMap, BTreeSet};

pub(super) const ENTRY: Entry = Entry {
    name: "biot",
    summary: "BioT: users of an organization, custom attributes included (partial JSON)",
    open,
};

const USERS: [&str; 4] = ["organization", "v1", "users", "organizations"];

#[derive(Debug)]
struct Biot {
    base: Base,
    capabilities: Capabilities,
    /// Attributes whose value stands in an object of its own: `{"id": …}`.
    references: BTreeSet<AttrPath>,
}

fn open(settings: &Settings) -> Opened {
    let mut table = Table::of(settings, &["base_url", "custom", "null_clears"]);
    let base = table.base_url();
    let null_clears = table.flag("null_clears");
    let custom = custom::read(&mut table);
    let (base, null_clears) = table.close(base.zip(null_clears))?;
    let mut capabilities = Capabilities {
        attributes: attributes(),
        groups: groups(),
        read: true,
        life: life::offered(),
    };
    let mut references = BTreeSet::new();
    for Custom { attributes, group, reference } in custom {
        references.extend(reference);
        capabilities.attributes.extend(attributes);
        capabilities.groups.extend(group);
    }
    if null_clears {
        make_clearable(&mut capabilities);
    }
    Ok(Box::new(Biot { base, capabilities, references }))
}

fn attributes() -> BTreeMap<AttrPath, Attribute> {
    let text = || Attribute::of(Kind::Text);
    let genders = ["MALE", "FEMALE", "UNDISCLOSED"].map(str::to_owned).to_vec();
    catalogue([
        ("_name.firstName", text()),
        ("_name.lastName", text()),
        ("_description", text().max_chars(5000)),
        ("_email", Attribute::of(Kind::Email).weight(Weight::KeyLike)),
        ("_phone", Attribute::of(Kind::Phone)),
        ("_locale", Attribute::of(Kind::Locale)),
        ("_gender", Attribute::of(Kind::Choice(genders))),
        ("_dateOfBirth", Attribute::of(Kind::Date)),
        ("_employeeId", text()),
        ("_address.countryCode", Attribute::of(Kind::Country)),
        ("_address.state", text()),
        ("_address.city", text()),
        ("_address.zipCode", text()),
        ("_address.address1", text()),
        ("_address.address2", text()),
        ("_mfa.enabled", Attribute::of(Kind::Flag)),
        ("_mfa.expirationInMinutes", Attribute::of(Kind::Integer { min: 1, max: 1440 })),
        ("_ownerOrganization.id", Attribute::of(Kind::Uuid).weight(Weight::Privilege)),
    ])
}

const SEGMENTS: [&str; 4] = ["organization", "v1", "users", "organizations"];

const ADDRESS: [&str; 6] = ["countryCode", "state", "city", "zipCode", "address1", "address2"];

fn groups() -> Vec<Group> {
    vec![
        group("_name", &["firstName", "lastName"], &["firstName", "lastName"]),
        group("_address", &ADDRESS, &["countryCode"]),
        group("_mfa", &["enabled", "expirationInMinutes"], &["enabled"]),
        group("_ownerOrganization", &["id"], &["id"]),
    ]
}

fn group(parent: &str, members: &[&str], mandatory: &[&str]) -> Group {
    let paths = |names: &[&str]| {
        names.iter().map(|name| AttrPath::new(&format!("{parent}.{name}"))).collect()
    };
    Group { parent: parent.to_owned(), members: paths(members), mandatory: paths(mandatory) }
}

/// All but what has to be there whenever its parent is: a null for two of those is an error of its
/// own (`COUNTRY_CODE_CANNOT_BE_NULL`, `OWNER_ORGANIZATION_CANNOT_BE_NULL`).
fn make_clearable(capabilities: &mut Capabilities) {
    let Capabilities { attributes, groups, read: _, life: _ } = capabilities;
    for (path, attribute) in attributes {
        attribute.clearable = !groups.iter().any(|group| group.mandatory.contains(path));
    }
}

impl Dialect for Biot {
    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    fn credentials(&self) -> &'static [&'static str] {
        &["token"]
    }

    fn logins(&self) -> Vec<login::Offer> {
        let offer = |kind, segments: &[&'static str]| login::Offer {
            kind,
            url: self.base.place(segments),
            scope: &[],
        };
        vec![
            offer(login::Kind::BiotService, &["ums", "v2", "services", "accessToken"]),
            offer(login::Kind::BiotUser, &["ums", "v2", "users", "login"]),
        ]
    }

    fn check_id(&self, id: &RemoteId) -> Result<(), String> {
        if is_uuid(id.as_str()) { Ok(()) } else { Err("should be a UUID".to_owned()) }
    }

    fn request(&self, id: Option<&RemoteId>, action: &Action) -> Result<Request, String> {
        let account = || {
            let id = account_of(id)?;
            self.check_id(id).map(|()| id)
        };
        match action {
            Action::Find { by } => self.find(by),
            Action::Create { edits, by: _ } => self.create(edits),
            Action::Read => Ok(get(self.base.of_user(&SEGMENTS, account()?)?, &[BEARER])),
            Action::Patch { edits, companions } => {
                let values = self.refer(spell_all(&self.capabilities, edits, companions)?);
                Ok(patch(self.base.of_user(&SEGMENTS, account()?)?, &nest(values), &[BEARER]))
            }
            Action::Disable { edit } | Action::Enable { edit } => self.switch(account()?, edit),
            Action::Delete => self.remove(account()?),
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
            Action::Create { .. } if response.status == 409 => {
                return complaint(response).answer(Verdict::Conflict);
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
        fault::answer(&self.capabilities, action.edits(), complaint(response))
    }

    fn lists(&self) -> Result<&dyn Lists, &'static str> {
        Ok(self)
    }
}

impl Biot {
    fn see(&self, id: Option<&RemoteId>, user: &Map<String, Json>) -> Sight {
        match user.get("_id").and_then(Json::as_str) {
            None => Sight::Nothing,
            Some(shown) if !is_same(shown, id) => Sight::Stranger,
            Some(_) => Sight::User(self.show(user)),
        }
    }

    fn show(&self, user: &Map<String, Json>) -> Attributes {
        let mut shown = show_all(&self.capabilities.attributes, |path| {
            let shown = at(user, path.as_str());
            if self.references.contains(path) { shown.map(reference_id) } else { shown }
        });
        life::show_enabled(user, &mut shown);
        shown
    }

    /// References as objects of their own.
    fn refer(&self, mut values: BTreeMap<AttrPath, Json>) -> BTreeMap<AttrPath, Json> {
        for (path, value) in &mut values {
            if self.references.contains(path) && !value.is_null() {
                *value = json!({ "id": value.take() });
            }
        }
        values
    }
}

/// The id within a reference; what has none is left as it is, and so is a null.
fn reference_id(reference: &Json) -> &Json {
    reference.get("id").unwrap_or(reference)
}

fn complaint(response: &Response) -> Complaint {
    Complaint::of(response, &["/code"], &["/message"])
}
