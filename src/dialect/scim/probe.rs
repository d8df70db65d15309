//! Finding a server's ways out, on one user whom nobody needs: a small change, a look at what became of
//! it, and in the end all as it was.
//!
//! Every request sets values that can be told apart, so a look says what was understood, whatever the
//! status claimed. `active` is only ever set to what it is.

mod ask;
mod told;

use super::{
    profile::{MediaType, Profile, Writes, as_settings},
    resource::member,
};
use crate::{
    dialect::{
        ProbeStep, Prober,
        grammar::{BEARER, Base, get},
    },
    model::{RemoteId, Request, Response},
};
use ask::PAGER;
use serde_json::{Map, Value as Json};

type Object = Map<String, Json>;

/// What is tried, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trial {
    Announced,
    Schemas,
    Replace(&'static str),
    Capital,
    Pathless,
    Put,
    Several,
    Part,
    Parts,
    Remove,
    AddAbsent,
    List,
    ValuePath,
    Flag,
    TextFlag,
    Version,
    Restore,
    Look,
}

const TRIALS: [Trial; 20] = [
    Trial::Announced,
    Trial::Schemas,
    Trial::Replace("title"),
    Trial::Capital,
    Trial::Replace("displayName"),
    Trial::Replace("nickName"),
    Trial::Several,
    Trial::Pathless,
    Trial::Put,
    Trial::Part,
    Trial::Parts,
    Trial::Remove,
    Trial::AddAbsent,
    Trial::List,
    Trial::ValuePath,
    Trial::Flag,
    Trial::TextFlag,
    Trial::Version,
    Trial::Restore,
    Trial::Look,
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Before anything: how the user is.
    First,
    Trying,
    Seeing,
}

#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each answers a question of its own")]
pub(super) struct Probe {
    base: Base,
    id: RemoteId,
    profile: Profile,
    original: Object,
    etag: bool,
    /// Attributes that could be set, the best first.
    works: Vec<&'static str>,
    several: bool,
    part: bool,
    list: bool,
    removed: bool,
    flag: bool,
    at: usize,
    phase: Phase,
    /// The status that the last trial was answered with.
    status: u16,
    marks: u32,
    /// Members of the user that trials have set.
    touched: Vec<&'static str>,
    notes: Vec<String>,
}

impl Probe {
    pub(super) fn new(base: Base, id: RemoteId) -> Self {
        Self {
            base,
            id,
            profile: Profile::default(),
            original: Object::new(),
            etag: false,
            works: Vec::new(),
            several: false,
            part: false,
            list: false,
            removed: false,
            flag: false,
            at: 0,
            phase: Phase::First,
            status: 0,
            marks: 0,
            touched: Vec::new(),
            notes: Vec::new(),
        }
    }
}

impl Prober for Probe {
    fn next(&mut self, response: Option<&Response>) -> Result<ProbeStep, String> {
        match (self.phase, response) {
            (_, None) => self.look(),
            (Phase::First, Some(response)) => {
                self.original = user_in(response).ok_or_else(|| {
                    format!("the user cannot be read: status {}", response.status)
                })?;
                let tag = response.header("etag").next();
                self.etag = tag.is_some_and(super::is_strong);
                self.go_on()
            }
            (Phase::Trying, Some(response)) => {
                if response.status == 415 && self.profile.media_type == MediaType::Scim {
                    self.profile.media_type = MediaType::Json;
                    return self.go_on();
                }
                match self.trial() {
                    Some(Trial::Announced) => self.announced(response),
                    Some(Trial::Schemas) => self.schemas(response),
                    _ if matches!(response.status, 401 | 403 | 404) => {
                        return Err(format!("a trial was refused with status {}", response.status));
                    }
                    _ => {
                        self.status = response.status;
                        self.phase = Phase::Seeing;
                        return self.look();
                    }
                }
                self.at += 1;
                self.go_on()
            }
            (Phase::Seeing, Some(response)) => {
                let user = user_in(response)
                    .ok_or_else(|| format!("the user is gone: status {}", response.status))?;
                self.judge(&user);
                self.at += 1;
                self.go_on()
            }
        }
    }

    fn to_put_back(&self) -> Vec<String> {
        self.touched.iter().map(|name| (*name).to_owned()).collect()
    }
}

impl Probe {
    fn trial(&self) -> Option<Trial> {
        TRIALS.get(self.at).copied()
    }

    fn look(&self) -> Result<ProbeStep, String> {
        let url = self.base.of_user(&["Users"], &self.id)?;
        let accept = vec![("accept", self.profile.media_type.as_str().to_owned())];
        Ok(ProbeStep::Send(Request { headers: accept, ..get(url, &[BEARER]) }))
    }

    /// The next trial that there is a question for.
    fn go_on(&mut self) -> Result<ProbeStep, String> {
        while let Some(trial) = self.trial() {
            self.phase = Phase::Trying;
            match trial {
                Trial::Announced => return self.ask("ServiceProviderConfig"),
                Trial::Schemas => return self.ask("Schemas"),
                Trial::Look => {
                    self.phase = Phase::Seeing;
                    return self.look();
                }
                trial => {
                    if let Some(request) = self.request(trial)? {
                        return Ok(ProbeStep::Send(request));
                    }
                }
            }
            self.at += 1;
        }
        let settings = as_settings(&self.profile);
        Ok(ProbeStep::Done { settings, notes: self.notes.clone(), left: self.to_put_back() })
    }

    /// What the look after a trial says.
    fn judge(&mut self, user: &Object) {
        let Some(trial) = self.trial() else { return };
        let mark = self.last_mark();
        let shows = |name: &str| member(user, name) == Some(&mark);
        let parts = |name: &str| {
            let object = member(user, "name").and_then(Json::as_object);
            object.and_then(|object| member(object, name)) == Some(&mark)
        };
        match trial {
            Trial::Replace(name) if shows(name) => {
                self.works.push(name);
                let how = if self.status == 204 { "204, and nothing" } else { "200, and the user" };
                if self.works.len() == 1 {
                    self.notes.push(format!("a change is answered with {how}"));
                }
            }
            Trial::Capital if shows("title") => {
                self.works.push("title");
                (self.profile.capital_ops, self.profile.json_booleans) = (true, true);
            }
            Trial::Several => self.several = self.works[..2].iter().all(|name| shows(name)),
            Trial::Pathless => {
                let names = if self.works.len() > 1 { &self.works[..2] } else { &["title"][..] };
                if names.iter().all(|name| shows(name)) {
                    (self.profile.paths, self.profile.value_paths) = (false, false);
                }
                if self.works.is_empty() && !self.profile.paths {
                    self.works.push("title");
                }
            }
            Trial::Put if shows("title") => self.profile.method = Writes::Put,
            Trial::Part => self.part = parts("honorificPrefix"),
            Trial::Parts => {
                let both = parts("honorificPrefix") && parts("honorificSuffix");
                self.profile.one_operation_per_attribute = !both;
            }
            Trial::Remove => {
                let gone = |name: &&str| member(user, name).is_none_or(Json::is_null);
                self.removed = self.works.first().is_some_and(gone);
                self.profile.remove = self.removed;
            }
            Trial::AddAbsent => {
                self.profile.add_absent = self.works.first().is_some_and(|name| shows(name));
            }
            Trial::List => self.list = has_number(user, PAGER[0]),
            Trial::ValuePath => self.profile.value_paths = has_number(user, PAGER[1]),
            Trial::Flag => self.flag = self.status < 300,
            Trial::TextFlag => self.profile.json_booleans = self.status >= 300,
            Trial::Version => self.profile.etag = self.status == 412,
            Trial::Look => self.compare(user),
            Trial::Replace(_)
            | Trial::Capital
            | Trial::Put
            | Trial::Restore
            | Trial::Announced
            | Trial::Schemas => {}
        }
    }

    /// Leaves in `touched` what is not as it was.
    fn compare(&mut self, user: &Object) {
        let empty = |value: &Json| match value {
            Json::Null => true,
            Json::Array(list) => list.is_empty(),
            Json::Object(members) => members.is_empty(),
            Json::String(text) => text.is_empty(),
            Json::Bool(_) | Json::Number(_) => false,
        };
        let held = |user: &Object, name: &str| member(user, name).filter(|v| !empty(v)).cloned();
        let original = self.original.clone();
        self.touched.retain(|name| held(user, name) != held(&original, name));
        if self.works.is_empty() && self.profile.method == Writes::Patch {
            self.notes.push("no change of this user was understood in any form".to_owned());
        }
    }
}

fn has_number(user: &Object, number: &str) -> bool {
    let list = member(user, "phoneNumbers").and_then(Json::as_array).into_iter().flatten();
    let mut values = list.filter_map(|value| member(value.as_object()?, "value")?.as_str());
    values.any(|value| value == number)
}

fn user_in(response: &Response) -> Option<Object> {
    let Some(Json::Object(user)) = response.json() else { return None };
    (response.is_success() && member(&user, "id").is_some()).then_some(user)
}
