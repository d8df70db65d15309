//! Users who are looked for, made, switched and taken away (RFC 7644 §3.3, §3.4.2, §3.6).

use super::{
    Scim, complaint,
    patch::{self, Setting},
    path::Filter,
    profile::{Deactivation, Profile},
    resource,
};
use crate::{
    dialect::grammar::{BEARER, created, get, matches, patch_as, with_query},
    model::{
        Answer, AttrPath, Attribute, Attributes, Creation, Edit, Life, Match, Method, RemoteId,
        Request, Response, Switch, Value,
    },
};
use serde_json::{Map, Value as Json, json};
use std::collections::BTreeMap;

const USER: &str = "urn:ietf:params:scim:schemas:core:2.0:User";

/// What the server offers besides changes. Where `active` destroys, switching off is named so. Who
/// cannot be given a name is not made.
pub(super) fn offered(profile: &Profile, settable: &BTreeMap<AttrPath, Attribute>) -> Life {
    let destroys = profile.deactivation == Deactivation::Destroys;
    let name = AttrPath::new("userName");
    Life {
        finds: profile.filters.iter().map(|name| AttrPath::new(name)).collect(),
        create: settable.contains_key(&name).then(|| Creation { mandatory: vec![name] }),
        switch: Some(Switch { path: AttrPath::new("active"), destroys }),
        delete: true,
    }
}

impl Scim {
    /// `externalId` is compared to the letter, `userName` is not (RFC 7643 §3.1, §4.1.1): the server's
    /// to say, and what it shows is looked at again by the one who asked.
    pub(super) fn find(&self, by: &Match) -> Result<Request, String> {
        let Value::Text(text) = &by.value else {
            return Err("users are looked for by a text".to_owned());
        };
        let filter = Filter { name: by.path.to_string(), value: text.clone() };
        let url = self.base.below(&["Users"])?;
        Ok(self.look(with_query(url, &[("filter", &filter.to_string())])))
    }

    pub(super) fn create(&self, edits: &[Edit]) -> Result<Request, String> {
        let settings = patch::settings(&self.profile.of_resources(), &self.slots, edits)?;
        let mut user = Map::new();
        user.insert("schemas".to_owned(), json!([USER]));
        for Setting { edit: _, slot, value } in settings {
            resource::set(&mut user, &slot.path, value);
        }
        let media_type = self.profile.media_type.as_str();
        let url = self.base.below(&["Users"])?;
        let request = patch_as(media_type, url, &Json::Object(user), &[BEARER]);
        Ok(Request { method: Method::Post, ..request })
    }

    pub(super) fn delete(&self, id: &RemoteId) -> Result<Request, String> {
        let url = self.base.of_user(&["Users"], id)?;
        let accept = vec![("accept", self.profile.media_type.as_str().to_owned())];
        Ok(Request { method: Method::Delete, headers: accept, ..get(url, &[BEARER]) })
    }

    /// The whole user, or nothing that could be believed.
    pub(super) fn read_created(&self, response: &Response) -> Answer {
        created(response, complaint, |user| {
            let (id, shown) = self.account(user)?;
            let is_whole = resource::member(user, "userName").is_some();
            Some((id, if is_whole { shown } else { Attributes::new() }))
        })
    }

    /// A server that ignores the filter answers with all; a list that does not say how many there are is
    /// none.
    pub(super) fn read_matches(&self, by: &Match, response: &Response) -> Answer {
        matches(response, complaint, |list| {
            let total = resource::member(list, "totalResults")?.as_u64()?;
            let users = match resource::member(list, "Resources") {
                None | Some(Json::Null) => &[][..],
                Some(users) => users.as_array()?.as_slice(),
            };
            let text = |user: &Json| {
                let held = resource::member(user.as_object()?, by.path.as_str())?;
                Some(held.as_str()?.to_lowercase())
            };
            // Who does not show what was asked for, may be the one all the same.
            let texts: Vec<String> = users.iter().map(text).collect::<Option<_>>()?;
            let wanted = by.value.to_json().as_str().map(str::to_lowercase);
            let answer = texts.iter().filter(|text| Some(*text) == wanted.as_ref()).count();
            // More than a page: several answer, or the filter was ignored and there may be others.
            if answer < 2 && (users.len() as u64) < total {
                return None;
            }
            users.iter().map(|user| self.account(user.as_object()?)).collect()
        })
    }

    fn account(&self, user: &Map<String, Json>) -> Option<(RemoteId, Attributes)> {
        let id = RemoteId::parse(resource::member(user, "id")?.as_str()?).ok()?;
        Some((id, self.show(user)))
    }
}
