//! OAuth 2.0 client credentials (RFC 6749 §4.4).
//!
//! Workiva's document has the same form, with the client in the body and errors as in RFC 6749 §5.2.

use super::{Call, Fields, Grant, Part, Reading, lifetime, refusal};
use crate::{dialect::grammar::Complaint, model::Response};
use jiff::Timestamp;
use serde_json::Value as Json;
use std::collections::BTreeSet;
use url::Url;

/// One client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Client {
    pub(super) id: String,
    pub(super) place: Place,
    /// Empty: whatever the client may have.
    pub(super) scope: Vec<String>,
    pub(super) audience: Option<String>,
    /// RFC 8707.
    pub(super) resource: Vec<String>,
}

/// Where the client says who it is (RFC 6749 §2.3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Basic,
    Post,
}

const SECRET: &str = "client_secret";

impl Client {
    pub(super) fn id(&self) -> &str {
        &self.id
    }

    pub(super) fn call(&self, url: Url) -> Call {
        let Self { id, place, scope, audience, resource } = self;
        let plain = |text: &str| Part::Plain(text.to_owned());
        let mut form = vec![("grant_type", plain("client_credentials"))];
        let basic = match place {
            Place::Basic => Some((id.clone(), SECRET)),
            Place::Post => {
                form.extend([("client_id", plain(id)), (SECRET, Part::Secret(SECRET))]);
                None
            }
        };
        if !scope.is_empty() {
            form.push(("scope", Part::Plain(scope.join(" "))));
        }
        form.extend(audience.iter().map(|audience| ("audience", plain(audience))));
        form.extend(resource.iter().map(|resource| ("resource", plain(resource))));
        Call { url, credentials: Vec::new(), basic, fields: Fields::Form(form) }
    }

    pub(super) fn read(&self, response: &Response, now: Timestamp) -> Reading {
        if !response.is_success() {
            let complaint = Complaint::of(response, &["/error", "/code"], &[]);
            return match complaint.code() {
                // RFC 6749 §4.1.2.1 has these two, and servers use them here too.
                "temporarily_unavailable" | "server_error"
                    if matches!(response.status, 400 | 401 | 403) =>
                {
                    let why = format!("the login answers {}", complaint.code());
                    Reading::Unavailable { why }
                }
                _ => refusal::usual(&complaint, response, now),
            };
        }
        self.grant(response, now).map_or_else(|reading| reading, Reading::Granted)
    }

    fn grant(&self, response: &Response, now: Timestamp) -> Result<Grant, Reading> {
        let body = refusal::granted(response)?;
        let tokens = refusal::tokens(&body, &[("token", "/access_token")])?;
        let kind = body["token_type"].as_str().unwrap_or("bearer");
        if !kind.eq_ignore_ascii_case("bearer") {
            let why = "the login gives a token of another type than `Bearer`".to_owned();
            return Err(Reading::Refused { why });
        }
        self.check_scope(&body)?;
        let lifetime = lifetime::of_seconds(&body["expires_in"]);
        let lifetime = lifetime.or_else(|| lifetime::of_tokens(&tokens, response, now));
        Ok(Grant { tokens, lifetime, refresh: None })
    }

    /// RFC 6749 §5.1: where the scope is another one than asked for, the answer says so.
    fn check_scope(&self, body: &Json) -> Result<(), Reading> {
        let Some(given) = body["scope"].as_str() else { return Ok(()) };
        let given: BTreeSet<&str> = given.split_whitespace().collect();
        let missing: Vec<&str> =
            self.scope.iter().map(String::as_str).filter(|scope| !given.contains(scope)).collect();
        if missing.is_empty() {
            return Ok(());
        }
        let missing = missing.join(" ");
        Err(Reading::Refused {
            why: format!("the login gives less than was asked for: `{missing}` is missing"),
        })
    }
}
