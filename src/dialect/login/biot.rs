//! `BioT`: a service user, or a person's user with a password.
//!
//! Source: the vendor's published description of its user management.
//! - `POST {base}/ums/v2/services/accessToken {id, secretKey}` gives `{accessToken,
//!   accessTokenExpiration}`.
//! - `POST {base}/ums/v2/users/login {username, password}` gives `{accessJwt, refreshJwt}`, each a
//!   `{token, expiration}`; `POST {base}/ums/v2/users/token/refresh {refreshToken}` gives the same.
//! - Errors are `{code, details}`. Failed logins lock the account: 401 `SERVICE_LOCKED`,
//!   `USER_LOCKED`, or `USER_LOCKED_WITH_TIME` with `timeLeftInMinutes`.

use super::{Call, Fields, Grant, Part, REFRESH, Reading, lifetime, refusal};
use crate::{dialect::grammar::Complaint, model::Response};
use jiff::Timestamp;
use secrecy::SecretString;
use serde_json::Value as Json;
use std::time::Duration;
use url::Url;

pub(super) fn service(response: &Response, now: Timestamp) -> Reading {
    if !response.is_success() {
        return complaint(response, now);
    }
    let grant = || {
        let body = refusal::granted(response)?;
        let tokens = refusal::tokens(&body, &[("token", "/accessToken")])?;
        let lifetime = lifetime::of_moment(&body["accessTokenExpiration"], response, now)
            .or_else(|| lifetime::of_tokens(&tokens, response, now));
        Ok(Grant { tokens, lifetime, refresh: None })
    };
    grant().map_or_else(|reading| reading, Reading::Granted)
}

pub(super) fn user(response: &Response, now: Timestamp) -> Reading {
    if !response.is_success() {
        return complaint(response, now);
    }
    user_grant(response, now).map_or_else(|reading| reading, Reading::Granted)
}

fn user_grant(response: &Response, now: Timestamp) -> Result<Grant, Reading> {
    let body = refusal::granted(response)?;
    for (flag, what) in
        [("mfaRequired", "a second factor"), ("passwordResetRequired", "a new password")]
    {
        if body[flag] == true {
            let why = format!("the login asks for {what}, which only a person can give");
            return Err(Reading::Refused { why });
        }
    }
    let tokens = refusal::tokens(&body, &[("token", "/accessJwt/token")])?;
    let lifetime = lifetime::of_moment(&body["accessJwt"]["expiration"], response, now)
        .or_else(|| lifetime::of_tokens(&tokens, response, now));
    let refresh = body["refreshJwt"]["token"].as_str().map(SecretString::from);
    Ok(Grant { tokens, lifetime, refresh })
}

/// Beside the login: `…/users/login` and `…/users/token/refresh`.
pub(super) fn refresh(login: &Url) -> Option<Call> {
    let url = login.join("token/refresh").ok()?;
    let fields = Fields::Json(vec![("refreshToken", Part::Secret(REFRESH))]);
    Some(Call { url, credentials: Vec::new(), basic: None, fields })
}

fn complaint(response: &Response, now: Timestamp) -> Reading {
    let complaint = Complaint::of(response, &["/code"], &[]);
    if !matches!(complaint.code(), "SERVICE_LOCKED" | "USER_LOCKED" | "USER_LOCKED_WITH_TIME") {
        return refusal::usual(&complaint, response, now);
    }
    let places = ["/details/timeLeftInMinutes", "/timeLeftInMinutes"];
    let minutes = places.iter().find_map(|place| complaint.at(place)).and_then(minutes);
    // The one that has begun counts as whole.
    let wait = minutes.map(|minutes| Duration::from_mins(minutes.saturating_add(1)));
    Reading::Locked { wait, why: refusal::locked(&complaint) }
}

/// At most a year: longer is nobody's lock.
fn minutes(json: &Json) -> Option<u64> {
    let minutes = json.as_f64().or_else(|| json.as_str()?.parse().ok())?;
    let whole = minutes.is_finite() && minutes >= 0.0;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "neither negative nor large"
    )]
    whole.then(|| minutes.ceil().min(525_600.0) as u64)
}
