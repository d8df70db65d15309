//! Finding a server's ways out, on one user whom nobody needs: a small change, a look at what became of
//! it, and in the end all as it was.
//!
//! Every request sets values that can be told apart, so a look says what was understood, whatever the
//! status claimed. `active` is only ever set to what it is.

use super::{
    patch::PATCH_OP,
    profile::{MediaType, Profile, Writes, as_settings},
    resource::member,
};
use crate::{
    dialect::{
        ProbeStep, Prober,
        grammar::{BEARER, Base, get, patch_as},
    },
    model::{Method, RemoteId, Request, Response},
};
use serde_json::{Map, Value as Json, json};
use std::collections::BTreeMap;

type Object = Map<String, Json>;

/// What is tried, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trial {
    Announced,
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

const TRIALS: [Trial; 19] = [
    Trial::Announced,
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

/// What a wrong version is called, which no server has.
const NO_VERSION: &str = "\"rosterd-probe\"";
const PAGER: [&str; 2] = ["+12025550100", "+12025550101"];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Before anything: how the user is.
    First,
    Trying,
    Seeing,
}

#[derive(Debug)]
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
                if matches!(response.status, 401 | 403 | 404)
                    && self.trial() != Some(Trial::Announced)
                {
                    return Err(format!("a trial was refused with status {}", response.status));
                }
                self.status = response.status;
                if self.trial() == Some(Trial::Announced) {
                    self.announced(response);
                    self.at += 1;
                    return self.go_on();
                }
                self.phase = Phase::Seeing;
                self.look()
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
                Trial::Announced => {
                    let url = self.base.below(&["ServiceProviderConfig"])?;
                    return Ok(ProbeStep::Send(get(url, &[BEARER])));
                }
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

    /// What the server says of itself is told and not believed.
    fn announced(&mut self, response: &Response) {
        let said = response.json().filter(|_| response.is_success()).unwrap_or_default();
        for name in ["patch", "etag", "filter", "bulk"] {
            if let Some(supported) = said[name]["supported"].as_bool() {
                self.notes.push(format!("the server says of itself: {name} = {supported}"));
            }
        }
        let most = said["filter"]["maxResults"].as_i64();
        if let Some(most) = most.filter(|most| (1..self.profile.page_size).contains(most)) {
            self.profile.page_size = most;
        }
    }

    fn mark(&mut self) -> Json {
        self.marks += 1;
        format!("rosterd probe {}", self.marks).into()
    }

    fn last_mark(&self) -> Json {
        format!("rosterd probe {}", self.marks).into()
    }

    fn has_paths(&self) -> bool {
        !self.works.is_empty() && self.profile.paths && self.profile.method == Writes::Patch
    }

    /// The request of a trial; `None`: there is nothing to ask.
    fn request(&mut self, trial: Trial) -> Result<Option<Request>, String> {
        let replace = if self.profile.capital_ops { "Replace" } else { "replace" };
        let op = |path: &str, value: Json| json!({ "op": replace, "path": path, "value": value });
        let first = self.works.first().copied();
        let operations = match (trial, first) {
            (Trial::Replace(name), _) => {
                self.touch(name);
                let value = self.mark();
                vec![op(name, value)]
            }
            (Trial::Capital, None) => {
                vec![json!({ "op": "Replace", "path": "title", "value": self.mark() })]
            }
            (Trial::Several, Some(first)) if self.works.len() > 1 => {
                let value = self.mark();
                vec![op(first, value.clone()), op(self.works[1], value)]
            }
            (Trial::Pathless, _) if !self.several => {
                let value = self.mark();
                let names = if self.works.len() > 1 { &self.works[..2] } else { &["title"] };
                let members = names.iter().map(|name| ((*name).to_owned(), value.clone()));
                vec![json!({ "op": replace, "value": Json::Object(members.collect()) })]
            }
            (Trial::Put, _) if !self.several && self.profile.paths => {
                let mut user = self.original.clone();
                user.insert("title".to_owned(), self.mark());
                return self.put(user).map(Some);
            }
            (Trial::Part, Some(_)) if self.has_paths() => {
                self.touch("name");
                let value = self.mark();
                vec![op("name.honorificPrefix", value)]
            }
            (Trial::Parts, _) if self.part => {
                let value = self.mark();
                vec![op("name.honorificPrefix", value.clone()), op("name.honorificSuffix", value)]
            }
            (Trial::Remove, Some(first)) if self.has_paths() => {
                let remove = if self.profile.capital_ops { "Remove" } else { "remove" };
                vec![json!({ "op": remove, "path": first })]
            }
            (Trial::AddAbsent, Some(first)) if self.removed => {
                let add = if self.profile.capital_ops { "Add" } else { "add" };
                vec![json!({ "op": add, "path": first, "value": self.mark() })]
            }
            (Trial::List, Some(_)) if self.has_paths() => {
                self.touch("phoneNumbers");
                let mut list = self.numbers();
                list.push(json!({ "type": "pager", "value": PAGER[0] }));
                vec![op("phoneNumbers", list.into())]
            }
            (Trial::ValuePath, _) if self.list => {
                vec![op(r#"phoneNumbers[type eq "pager"].value"#, PAGER[1].into())]
            }
            (Trial::Flag, Some(_)) if self.has_paths() && self.active().is_some() => {
                vec![op("active", self.active().unwrap_or_default().into())]
            }
            (Trial::TextFlag, Some(_)) if self.has_paths() && !self.flag => match self.active() {
                Some(active) => vec![op("active", (if active { "True" } else { "False" }).into())],
                None => return Ok(None),
            },
            (Trial::Version, Some(first)) if self.etag && self.has_paths() => {
                let value = self.mark();
                let mut request = self.patch(vec![op(first, value)])?;
                request.headers.push(("if-match", NO_VERSION.to_owned()));
                return Ok(Some(request));
            }
            (Trial::Restore, _) => return self.restore(),
            _ => return Ok(None),
        };
        self.patch(operations).map(Some)
    }

    fn touch(&mut self, name: &'static str) {
        if !self.touched.contains(&name) {
            self.touched.push(name);
        }
    }

    fn numbers(&self) -> Vec<Json> {
        let list = member(&self.original, "phoneNumbers").and_then(Json::as_array);
        list.cloned().unwrap_or_default()
    }

    fn active(&self) -> Option<bool> {
        member(&self.original, "active").and_then(Json::as_bool)
    }

    fn patch(&self, operations: Vec<Json>) -> Result<Request, String> {
        let url = self.base.of_user(&["Users"], &self.id)?;
        let body = json!({ "schemas": [PATCH_OP], "Operations": operations });
        Ok(patch_as(self.profile.media_type.as_str(), url, &body, &[BEARER]))
    }

    fn put(&self, mut user: Object) -> Result<Request, String> {
        user.remove("meta");
        let url = self.base.of_user(&["Users"], &self.id)?;
        let media_type = self.profile.media_type.as_str();
        let request = patch_as(media_type, url, &Json::Object(user), &[BEARER]);
        Ok(Request { method: Method::Put, ..request })
    }

    /// Everything as it was: what was there is set, what was not is removed, or emptied.
    fn restore(&self) -> Result<Option<Request>, String> {
        if self.profile.method == Writes::Put {
            return self.put(self.original.clone()).map(Some);
        }
        let capital = |op: &str| match (self.profile.capital_ops, op) {
            (true, "remove") => "Remove".to_owned(),
            (true, _) => "Replace".to_owned(),
            (false, op) => op.to_owned(),
        };
        let mut operations = Vec::new();
        let mut all = Object::new();
        for (path, held) in self.held() {
            all.insert(path.clone(), held.clone().unwrap_or_default());
            operations.push(match held {
                Some(held) => json!({ "op": capital("replace"), "path": path, "value": held }),
                None if self.profile.remove => json!({ "op": capital("remove"), "path": path }),
                None => json!({ "op": capital("replace"), "path": path, "value": null }),
            });
        }
        if !self.profile.paths {
            operations = vec![json!({ "op": capital("replace"), "value": all })];
        }
        (!operations.is_empty()).then(|| self.patch(operations)).transpose()
    }

    /// What stood where trials have set something.
    fn held(&self) -> BTreeMap<String, Option<Json>> {
        let mut held = BTreeMap::new();
        for name in self.touched.iter().filter(|name| **name != "name") {
            if self.works.contains(name) || (*name == "phoneNumbers" && self.list) {
                held.insert((*name).to_owned(), member(&self.original, name).cloned());
            }
        }
        for part in ["honorificPrefix", "honorificSuffix"].iter().filter(|_| self.part) {
            let name = member(&self.original, "name").and_then(Json::as_object);
            let part_held = name.and_then(|name| member(name, part)).cloned();
            let set = *part == "honorificPrefix" || !self.profile.one_operation_per_attribute;
            if set {
                held.insert(format!("name.{part}"), part_held);
            }
        }
        held
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
            Trial::Replace(_) | Trial::Capital | Trial::Put | Trial::Restore | Trial::Announced => {
            }
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
