//! `BioT`: accounts as a whole.
//!
//! Source: the vendor's published description of the organization service (2.4).
//! - `GET {base}/organization/v1/users/organizations?searchRequest={json}` finds users by the exact
//!   value of an attribute: `{"filter": {"_email": {"eq": "…"}}}`; the answer is `{data, metadata}`.
//! - `POST` there makes a user (201), who is then invited by e-mail. The header `x-execution-mode: sync`
//!   has the answer show the user, which without it may not be there yet.
//! - `POST …/{id}/enabled-state/{ENABLED|DISABLED}` switches a user; reads show it as `_enabled`.
//! - `DELETE …/{id}` takes a user away (204).

use super::{Biot, SEGMENTS};
use crate::{
    dialect::grammar::{BEARER, delete, get, nest, post, spell_all, switch},
    model::{AttrPath, Attributes, Creation, Edit, Life, Match, RemoteId, Request, Switch, Value},
};
use serde_json::{Map, Value as Json, json};
use std::collections::BTreeMap;

const ENABLED: &str = "_enabled";
const FINDS: [&str; 2] = ["_employeeId", "_email"];
const MANDATORY: [&str; 3] = ["_name.firstName", "_name.lastName", "_email"];

pub(super) fn offered() -> Life {
    Life {
        finds: FINDS.map(AttrPath::new).to_vec(),
        create: Some(Creation { mandatory: MANDATORY.map(AttrPath::new).to_vec() }),
        switch: Some(Switch { path: AttrPath::new(ENABLED), destroys: false }),
        delete: true,
    }
}

/// Notes whether the user is on, in either of the spellings that the documents have.
pub(super) fn show_enabled(user: &Map<String, Json>, shown: &mut Attributes) {
    let enabled = match user.get(ENABLED) {
        Some(Json::Bool(flag)) => Some(*flag),
        Some(Json::String(word)) if word == "ENABLED" => Some(true),
        Some(Json::String(word)) if word == "DISABLED" => Some(false),
        _ => None,
    };
    if let Some(flag) = enabled {
        shown.insert(AttrPath::new(ENABLED), Some(Value::Flag(flag)));
    }
}

impl Biot {
    pub(super) fn find(&self, by: &Match) -> Result<Request, String> {
        let Match { path, value } = by;
        let filter = json!({ path.as_str(): { "eq": value.to_json() } });
        let search = json!({ "filter": filter, "limit": 10, "page": 0 });
        let mut url = self.base.below(&SEGMENTS)?;
        url.query_pairs_mut().append_pair("searchRequest", &search.to_string());
        Ok(get(url, &[BEARER]))
    }

    pub(super) fn create(&self, edits: &[Edit]) -> Result<Request, String> {
        let values = self.refer(spell_all(&self.capabilities, edits, &BTreeMap::new())?);
        let mut request = post(self.base.below(&SEGMENTS)?, &nest(values), &[BEARER]);
        request.headers.push(("x-execution-mode", "sync".to_owned()));
        Ok(request)
    }

    pub(super) fn switch(&self, id: &RemoteId, edit: &Edit) -> Result<Request, String> {
        let state = if edit.after == Some(Value::Flag(true)) { "ENABLED" } else { "DISABLED" };
        let url = self.base.of_user_and(&SEGMENTS, id, &["enabled-state", state])?;
        Ok(switch(url, &[BEARER]))
    }

    pub(super) fn remove(&self, id: &RemoteId) -> Result<Request, String> {
        Ok(delete(self.base.of_user(&SEGMENTS, id)?, &[BEARER]))
    }

    /// The accounts of a list; `None`: it is none, or not all of it.
    pub(super) fn matches(&self, list: &Map<String, Json>) -> Option<Vec<(RemoteId, Attributes)>> {
        let users = list.get("data")?.as_array()?;
        let total =
            list.get("metadata").and_then(|metadata| metadata["page"]["totalResults"].as_u64());
        if total.is_some_and(|total| total != users.len() as u64) {
            return None;
        }
        users.iter().map(|user| self.account(user.as_object()?)).collect()
    }

    pub(super) fn account(&self, user: &Map<String, Json>) -> Option<(RemoteId, Attributes)> {
        let id = RemoteId::parse(user.get("_id")?.as_str()?).ok()?;
        Some((id, self.show(user)))
    }
}
