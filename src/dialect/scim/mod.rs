//! Users of any directory that speaks SCIM 2.0 (RFC 7643, RFC 7644).
//!
//! - `PATCH {base}/Users/{id}` with a `PatchOp`, or `PUT` of the whole user as it was just read, for
//!   servers that know nothing smaller. `base_url` ends where `/Users` begins.
//! - What servers differ in is a [`profile::Profile`]: a preset by name, and switches. None of them
//!   is guessed from an answer; `rosterd probe` tries them on one user.
//! - The answer is the whole user (200) or nothing (204), and then it is read. What is no whole user,
//!   since it does not even show `userName`, shows nothing.
//! - Errors are those of RFC 7644 §3.12, or whatever else: the status decides, and of `scimType`
//!   `uniqueness` and `noTarget`.
//! - Lists are never appended to. A first value of a kind is set by a `replace` of the list as it was
//!   just read, with the others in it; so a look goes before such a change ([`Dialect::builds_on`]).
//! - `If-Match` carries the strong tag that this look showed, where the profile says so; a weak one is
//!   no basis (RFC 9110 §13.1.1).
//! - Membership in groups goes by requests of its own: see `groups.rs`.
//!
//! Deliberately absent: `/Bulk`, which servers limit and count in their own ways; `password`;
//! `meta.location` as an address to go to.

mod catalogue;
mod custom;
mod groups;
mod life;
mod patch;
mod path;
mod presets;
mod probe;
mod profile;
mod resource;

use super::grammar::{
    self, BEARER, Base, Complaint, NO_PAGE, Sight, Table, account_of, behind, first_of, get,
    is_same, list_response, note, page_of, patch_as, success, with_query,
};
use super::{Basis, Dialect, Entry, Lists, Opened, Prober, Settings};
use crate::model::{
    Action, Answer, AttrPath, Attributes, Capabilities, Cursor, Kind, Method, Page, RemoteId,
    Request, Response, Verdict, Weight,
};
use catalogue::{Slot, Slots};
use groups::GROUPS;
use jiff::civil::Date;
use profile::{Paging, Profile, SWITCHES, Writes};
use serde_json::{Map, Value as Json};
use std::collections::{BTreeMap, BTreeSet};
use url::Url;

pub(super) const ENTRY: Entry =
    Entry { name: "scim", summary: "any directory that speaks SCIM 2.0 (PatchOp, or PUT)", open };

const ERROR: &str = "urn:ietf:params:scim:api:messages:2.0:Error";

#[derive(Debug)]
struct Scim {
    base: Base,
    profile: Profile,
    slots: Slots,
    /// Ids of the groups that users are put into and taken out of.
    groups: BTreeSet<String>,
    capabilities: Capabilities,
}

fn open(settings: &Settings) -> Opened {
    let keys: Vec<&str> =
        ["base_url", "preset", "custom", GROUPS].into_iter().chain(SWITCHES).collect();
    let mut table = Table::of(settings, &keys);
    let base = table.base_url();
    let profile = Profile::read(&mut table);
    let custom = custom::read(&mut table);
    let groups = groups::read(&mut table);
    let ((base, profile), groups) = table.close(base.zip(profile).zip(groups))?;
    let slots = catalogue::slots(&profile, custom);
    let settable = slots.iter().filter(|(_, slot)| catalogue::offers(&profile, slot));
    let mut attributes: BTreeMap<_, _> =
        settable.map(|(path, slot)| (path.clone(), slot.attribute.clone())).collect();
    if !groups.is_empty() {
        attributes.insert(AttrPath::new(GROUPS), groups::attribute(&groups));
    }
    let life = life::offered(&profile, &attributes);
    let capabilities = Capabilities { attributes, groups: Vec::new(), read: true, life };
    Ok(Box::new(Scim { base, profile, slots, groups, capabilities }))
}

impl Dialect for Scim {
    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    fn credentials(&self) -> &'static [&'static str] {
        &["token"]
    }

    fn check_id(&self, _: &RemoteId) -> Result<(), String> {
        Ok(())
    }

    fn request(&self, id: Option<&RemoteId>, action: &Action) -> Result<Request, String> {
        self.request_on(id, action, None)
    }

    fn apart(&self, action: &Action) -> Vec<Action> {
        groups::apart(action)
    }

    fn builds_on_look(&self, action: &Action) -> bool {
        let edits = action.edits();
        let Profile { method, etag, .. } = &self.profile;
        !matches!(action, Action::Create { .. })
            && !edits.is_empty()
            && groups::step_of(action).is_none()
            && (*method == Writes::Put
                || *etag
                || patch::needs_look(&self.profile, &self.slots, edits))
    }

    fn basis(&self, id: &RemoteId, response: &Response) -> Option<Basis> {
        let Some(Json::Object(resource)) = response.json() else { return None };
        let is_whole = resource::member(&resource, "userName").is_some();
        if !response.is_success() || !is_whole || !is(id, &resource) {
            return None;
        }
        let shown = response.header("etag").next().map(str::to_owned);
        let of_meta = || resource.get("meta")?.get("version")?.as_str().map(str::to_owned);
        let etag = shown.or_else(of_meta).filter(|tag| is_strong(tag));
        Some(Basis { resource, etag })
    }

    fn request_on(
        &self,
        id: Option<&RemoteId>,
        action: &Action,
        basis: Option<&Basis>,
    ) -> Result<Request, String> {
        match action {
            Action::Find { by } => return self.find(by),
            Action::Create { edits, by: _ } => return self.create(edits),
            Action::Delete => return self.delete(account_of(id)?),
            Action::Read => {
                return Ok(self.look(self.base.of_user(&["Users"], account_of(id)?)?));
            }
            Action::Patch { .. } | Action::Disable { .. } | Action::Enable { .. } => {}
        }
        if let Some(step) = groups::step_of(action) {
            return self.step(&step, account_of(id)?);
        }
        let url = self.base.of_user(&["Users"], account_of(id)?)?;
        let profile = match self.profile.method {
            Writes::Patch => &self.profile,
            Writes::Put => &self.profile.of_resources(),
        };
        let settings = patch::settings(profile, &self.slots, action.edits())?;
        let resource = basis.map(|basis| &basis.resource);
        let (method, body) = match self.profile.method {
            Writes::Patch => (Method::Patch, patch::body(&self.profile, &settings, resource)?),
            Writes::Put => (Method::Put, patch::resource_after(&settings, resource)?),
        };
        let mut request =
            Request { method, ..patch_as(self.profile.media_type.as_str(), url, &body, &[BEARER]) };
        if let Some(tag) = basis.and_then(|basis| basis.etag.as_ref()).filter(|_| self.profile.etag)
        {
            request.headers.push(("if-match", tag.clone()));
        }
        Ok(request)
    }

    fn read(&self, id: Option<&RemoteId>, action: &Action, response: &Response, _: Date) -> Answer {
        if let Some((step, id)) = groups::step_of(action).zip(id) {
            return Self::read_step(&step, id, response);
        }
        if response.is_success() {
            if is_error(response) {
                return complaint(response).answer(Verdict::Uncertain);
            }
            return match action {
                Action::Find { by } => self.read_matches(by, response),
                Action::Create { .. } => self.read_created(response),
                Action::Read
                | Action::Patch { .. }
                | Action::Disable { .. }
                | Action::Enable { .. }
                | Action::Delete => {
                    success(action, response, complaint, |user| self.see(id, action, user))
                }
            };
        }
        let complaint = complaint(response);
        match (complaint.status(), complaint.code()) {
            // RFC 7644 §3.12: another user has that value; some say so with a 400.
            (400 | 409, "uniqueness") => {
                let attributes = self.key_like(action);
                complaint.answer(Verdict::Rejected { attributes })
            }
            // What a filter was to find is not there (any more): as after any conflict, look again.
            (400, "noTarget") => complaint.answer(Verdict::Conflict),
            _ => complaint.usual(),
        }
    }

    fn prober(&self, id: &RemoteId) -> Option<Box<dyn Prober>> {
        Some(Box::new(probe::Probe::new(self.base.clone(), id.clone())))
    }

    fn lists(&self) -> Result<&dyn Lists, &'static str> {
        Ok(self)
    }
}

/// RFC 7644 §3.4.2.4: entries count from 1, and a server may show fewer than asked for. RFC 9865: each
/// page names the next one by a word of its own.
impl Lists for Scim {
    fn page(&self, cursor: Option<&Cursor>) -> Result<Request, String> {
        let count = self.profile.page_size.to_string();
        let place = match (self.profile.paging, cursor) {
            (Paging::Cursor, None) => ("cursor", String::new()),
            (Paging::Cursor, Some(Cursor::Word(word))) => ("cursor", word.clone()),
            (Paging::Cursor, Some(Cursor::Number(_))) => return Err(NO_PAGE.to_owned()),
            (Paging::Index, cursor) => ("startIndex", first_of(cursor)?.to_string()),
        };
        let pairs = [(place.0, place.1.as_str()), ("count", count.as_str())];
        Ok(self.look(with_query(self.base.below(&["Users"])?, &pairs)))
    }

    fn read_page(
        &self,
        cursor: Option<&Cursor>,
        response: &Response,
        _: Date,
    ) -> Result<Page, Answer> {
        page_of(response, complaint, |body| {
            let mut page = list_response(body, |user| {
                grammar::Entry::of(resource::member(user, "id"), || self.show(user))
            })?;
            if self.profile.paging == Paging::Cursor {
                page.next = match body.get("nextCursor") {
                    None | Some(Json::Null) => None,
                    Some(next) => Some(next.as_str().and_then(Cursor::word).ok_or("next_cursor")?),
                };
                return Ok(page);
            }
            page.next = behind(cursor, &page);
            Ok(page)
        })
    }
}

impl Scim {
    fn look(&self, url: Url) -> Request {
        let accept = vec![("accept", self.profile.media_type.as_str().to_owned())];
        Request { headers: accept, ..get(url, &[BEARER]) }
    }

    fn see(&self, id: Option<&RemoteId>, action: &Action, user: &Map<String, Json>) -> Sight {
        let writes = !action.is_look();
        match resource::member(user, "id").and_then(Json::as_str) {
            None => Sight::Nothing,
            Some(shown) if !is_same(shown, id) => Sight::Stranger,
            Some(_) if writes && resource::member(user, "userName").is_none() => Sight::Nothing,
            Some(_) => Sight::User(self.show(user)),
        }
    }

    fn show(&self, user: &Map<String, Json>) -> Attributes {
        let mut shown = Attributes::new();
        for (path, Slot { path: place, shape, attribute }) in &self.slots {
            let found = resource::find(user, place, *shape);
            let found = found.map(|found| normal(&attribute.kind, found));
            note(&mut shown, path, &attribute.kind, found.as_ref());
        }
        if let Some(groups) = groups::shown(user, &self.groups).filter(|_| !self.groups.is_empty())
        {
            shown.insert(AttrPath::new(GROUPS), Some(groups));
        }
        shown
    }

    fn key_like(&self, action: &Action) -> Vec<AttrPath> {
        let is_key_like = |path: &&AttrPath| {
            self.slots.get(path).is_some_and(|slot| slot.attribute.weight == Weight::KeyLike)
        };
        action.edits().iter().map(|edit| &edit.path).filter(is_key_like).cloned().collect()
    }
}

fn is(id: &RemoteId, user: &Map<String, Json>) -> bool {
    let shown = resource::member(user, "id").and_then(Json::as_str);
    shown.is_some_and(|shown| is_same(shown, Some(id)))
}

/// RFC 7643 §2.3.2 has flags as JSON; some show the text that Entra ID sends.
fn normal(kind: &Kind, shown: Json) -> Json {
    match (kind, &shown) {
        (Kind::Flag, Json::String(text)) if text.eq_ignore_ascii_case("true") => true.into(),
        (Kind::Flag, Json::String(text)) if text.eq_ignore_ascii_case("false") => false.into(),
        _ => shown,
    }
}

/// RFC 9110 §8.8.3: quoted, and not weak.
fn is_strong(tag: &str) -> bool {
    let inner = tag.strip_prefix('"').and_then(|tag| tag.strip_suffix('"'));
    inner.is_some_and(|inner| inner.bytes().all(|byte| byte > b' ' && byte != b'"' && byte < 127))
}

/// The error form of RFC 7644 §3.12, whatever the status around it.
fn is_error(response: &Response) -> bool {
    let body = response.json().unwrap_or_default();
    let schemas = body.get("schemas").and_then(Json::as_array);
    schemas.is_some_and(|schemas| schemas.iter().any(|schema| schema == ERROR))
}

fn complaint(response: &Response) -> Complaint {
    let code = ["/scimType", "/error/code", "/errors/0/code", "/code"];
    let message =
        ["/detail", "/error/message", "/errors/0/message", "/errors/0", "/message", "/error"];
    Complaint::of(response, &code, &message)
}
