//! KARE: an e-mail address and a password give two tokens.
//!
//! Source: the vendor's page "login/credentials". `POST {base}/auth/v1/rs/login/credentials {email,
//! password}`, itself with a bearer token, answers 201 with `{data: {accessToken, refreshToken,
//! sessionToken}}`. No call that would refresh is documented, and neither is a lifetime: both tokens
//! are JSON Web Tokens, and the first of them that ends ends both.

use super::{Grant, Reading, lifetime, refusal};
use crate::{dialect::grammar::Complaint, model::Response};
use jiff::Timestamp;

const PLACES: [(&str, &str); 2] =
    [("token", "/data/accessToken"), ("session_token", "/data/sessionToken")];

pub(super) fn read(response: &Response, now: Timestamp) -> Reading {
    if !response.is_success() {
        let complaint = Complaint::of(response, &["/code"], &["/message"]);
        return refusal::usual(&complaint, response, now);
    }
    let grant = || {
        let tokens = refusal::tokens(&refusal::granted(response)?, &PLACES)?;
        let lifetime = lifetime::of_tokens(&tokens, response, now);
        Ok(Grant { tokens, lifetime, refresh: None })
    };
    grant().map_or_else(|reading| reading, Reading::Granted)
}
