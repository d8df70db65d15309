//! What a server says of itself (RFC 7644 §4): told to whoever reads the outcome, and relied on nowhere.

use super::Probe;
use crate::{
    dialect::{
        ProbeStep,
        grammar::{BEARER, get},
        scim::catalogue::ENTERPRISE,
    },
    model::Response,
};
use serde_json::Value as Json;

/// Attributes of schemas that are told at most.
const TOLD_MAX: usize = 40;

impl Probe {
    pub(super) fn ask(&self, name: &str) -> Result<ProbeStep, String> {
        Ok(ProbeStep::Send(get(self.base.below(&[name])?, &[BEARER])))
    }

    /// What the server says of itself is told and not believed.
    pub(super) fn announced(&mut self, response: &Response) {
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

    /// Attributes of schemas beside the RFC's own, which `custom` would have to name.
    pub(super) fn schemas(&mut self, response: &Response) {
        let said = response.json().filter(|_| response.is_success()).unwrap_or_default();
        let schemas = said.as_array().or_else(|| said["Resources"].as_array());
        let is_own = |schema: &&Json| {
            let id = schema["id"].as_str().unwrap_or_default();
            id != ENTERPRISE && !id.starts_with("urn:ietf:params:scim:schemas:core:")
        };
        let notes = schemas.into_iter().flatten().filter(is_own).flat_map(|schema| {
            let attributes = schema["attributes"].as_array().into_iter().flatten();
            attributes.filter_map(|attribute| {
                let (urn, name) = (plain(&schema["id"])?, plain(&attribute["name"])?);
                let list = if attribute["multiValued"] == true { ", a list" } else { "" };
                let kind = plain(&attribute["type"])?;
                Some(format!("the server says that it has {urn}:{name} ({kind}{list})"))
            })
        });
        self.notes.extend(notes.take(TOLD_MAX));
    }
}

/// A text that can neither end a line nor say anything but a name.
fn plain(json: &Json) -> Option<&str> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_.:-$".contains(c);
    json.as_str().filter(|text| !text.is_empty() && text.len() <= 200 && text.chars().all(is_plain))
}
