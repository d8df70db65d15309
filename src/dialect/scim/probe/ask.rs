//! What each trial of a server sends.

use super::{Object, Probe, Trial};
use crate::{
    dialect::{
        grammar::{BEARER, patch_as},
        scim::{
            patch::{PATCH_OP, cased},
            profile::Writes,
            resource::member,
        },
    },
    model::{Method, Request},
};
use serde_json::{Value as Json, json};
use std::collections::BTreeMap;

/// What a wrong version is called, which no server has.
const NO_VERSION: &str = "\"rosterd-probe\"";
pub(super) const PAGER: [&str; 2] = ["+12025550100", "+12025550101"];

impl Probe {
    fn mark(&mut self) -> Json {
        self.marks += 1;
        format!("rosterd probe {}", self.marks).into()
    }

    pub(super) fn last_mark(&self) -> Json {
        format!("rosterd probe {}", self.marks).into()
    }

    fn has_paths(&self) -> bool {
        !self.works.is_empty() && self.profile.paths && self.profile.method == Writes::Patch
    }

    /// The request of a trial; `None`: there is nothing to ask.
    pub(super) fn request(&mut self, trial: Trial) -> Result<Option<Request>, String> {
        let operations = match trial {
            Trial::Put if !self.several && self.profile.paths => {
                let mut user = self.original.clone();
                user.insert("title".to_owned(), self.mark());
                return self.put(user).map(Some);
            }
            Trial::Version => return self.of_no_version(),
            Trial::Restore => return self.restore(),
            Trial::Replace(_) | Trial::Capital | Trial::Several | Trial::Pathless => {
                self.of_single_values(trial)
            }
            _ if self.has_paths() => self.of_parts_and_lists(trial),
            _ => None,
        };
        operations.map(|operations| self.patch(&operations)).transpose()
    }

    /// `op` in the case that the server understands.
    fn op(&self, op: &str, path: &str, value: Option<Json>) -> Json {
        let mut operation = json!({ "op": cased(&self.profile, op), "path": path });
        if let Some(value) = value {
            operation["value"] = value;
        }
        operation
    }

    fn of_single_values(&mut self, trial: Trial) -> Option<Vec<Json>> {
        let value = self.mark();
        Some(match (trial, &self.works[..]) {
            (Trial::Replace(name), _) => {
                self.touch(name);
                vec![self.op("replace", name, Some(value))]
            }
            (Trial::Capital, []) => {
                vec![json!({ "op": "Replace", "path": "title", "value": value })]
            }
            (Trial::Several, [first, second, ..]) => {
                let op = |name| self.op("replace", name, Some(value.clone()));
                vec![op(first), op(second)]
            }
            (Trial::Pathless, works) if !self.several => {
                let names = if works.len() > 1 { &works[..2] } else { &["title"] };
                let members = names.iter().map(|name| ((*name).to_owned(), value.clone()));
                let op = cased(&self.profile, "replace");
                vec![json!({ "op": op, "value": Json::Object(members.collect()) })]
            }
            _ => return None,
        })
    }

    fn of_parts_and_lists(&mut self, trial: Trial) -> Option<Vec<Json>> {
        let first = *self.works.first()?;
        let replace = |probe: &Self, path: &str, value| probe.op("replace", path, Some(value));
        Some(match trial {
            Trial::Part => {
                self.touch("name");
                let value = self.mark();
                vec![replace(self, "name.honorificPrefix", value)]
            }
            Trial::Parts if self.part => {
                let value = self.mark();
                ["name.honorificPrefix", "name.honorificSuffix"]
                    .map(|path| replace(self, path, value.clone()))
                    .into()
            }
            Trial::Remove => vec![self.op("remove", first, None)],
            Trial::AddAbsent if self.removed => {
                let value = self.mark();
                vec![self.op("add", first, Some(value))]
            }
            Trial::List => {
                self.touch("phoneNumbers");
                let mut list = self.numbers();
                list.push(json!({ "type": "pager", "value": PAGER[0] }));
                vec![replace(self, "phoneNumbers", list.into())]
            }
            Trial::ValuePath if self.list => {
                let path = r#"phoneNumbers[type eq "pager"].value"#;
                vec![replace(self, path, PAGER[1].into())]
            }
            Trial::Flag => vec![replace(self, "active", self.active()?.into())],
            Trial::TextFlag if !self.flag => {
                let text = if self.active()? { "True" } else { "False" };
                vec![replace(self, "active", text.into())]
            }
            _ => return None,
        })
    }

    /// A change of a version that is not there, where the server shows versions.
    fn of_no_version(&mut self) -> Result<Option<Request>, String> {
        let Some(first) = self.works.first().copied().filter(|_| self.etag && self.has_paths())
        else {
            return Ok(None);
        };
        let value = self.mark();
        let mut request = self.patch(&[self.op("replace", first, Some(value))])?;
        request.headers.push(("if-match", NO_VERSION.to_owned()));
        Ok(Some(request))
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

    fn patch(&self, operations: &[Json]) -> Result<Request, String> {
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
        let mut operations = Vec::new();
        let mut all = Object::new();
        for (path, held) in self.held() {
            all.insert(path.clone(), held.clone().unwrap_or_default());
            operations.push(match held {
                Some(held) => self.op("replace", &path, Some(held)),
                None if self.profile.remove => self.op("remove", &path, None),
                None => self.op("replace", &path, Some(Json::Null)),
            });
        }
        if !self.profile.paths {
            operations = vec![json!({ "op": cased(&self.profile, "replace"), "value": all })];
        }
        (!operations.is_empty()).then(|| self.patch(&operations)).transpose()
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
}
