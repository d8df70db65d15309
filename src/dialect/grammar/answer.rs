//! What a response means, as far as all APIs agree.

use crate::model::{Action, Answer, Attributes, Excerpt, RemoteId, Response, Verdict};
use serde_json::{Map, Value as Json};

/// What an answer's body shows of the user.
pub(crate) enum Sight {
    User(Attributes),
    /// It shows somebody else.
    Stranger,
    /// It shows that the user is gone; the code says how.
    Gone(&'static str),
    /// It shows no user.
    Nothing,
}

/// Reads an answer with a status of 200 to 299. `see` looks for the user in the body.
///
/// A body that shows nobody leaves a PATCH applied but not seen, and says nothing to a read; but a
/// body that complains, whatever its status, or a page for people leaves open what was done.
pub(crate) fn success(
    action: &Action,
    response: &Response,
    complaint: impl FnOnce(&Response) -> Complaint,
    see: impl FnOnce(&Map<String, Json>) -> Sight,
) -> Answer {
    // RFC 9110 §15.3.3: accepted is not done. 207 (RFC 4918 §13) hides statuses in its body.
    if matches!(response.status, 202 | 207) {
        return Answer::of(Verdict::Uncertain);
    }
    let Some(Json::Object(body)) = response.json() else { return unseen(action, response) };
    match (see(&body), action) {
        (Sight::User(shown), Action::Read) => Answer::of(Verdict::Found { shown }),
        (
            Sight::User(shown),
            Action::Patch { .. } | Action::Disable { .. } | Action::Enable { .. } | Action::Delete,
        ) => Answer::of(Verdict::Applied { shown }),
        (Sight::Stranger, _) => coded(Verdict::Broken, "other_user"),
        (Sight::Gone(code), _) => coded(Verdict::Missing, code),
        (Sight::Nothing, _) if complains(&body) => complaint(response).answer(Verdict::Uncertain),
        // Look-ups and creations have readers of their own.
        (Sight::Nothing, _) | (Sight::User(_), Action::Find { .. } | Action::Create { .. }) => {
            unseen(action, response)
        }
    }
}

/// Reads an answer to a creation with a status of 200 to 299. `account`: its id, and what is shown.
///
/// An answer that does not say which account was made leaves open whether one was.
pub(crate) fn created(
    response: &Response,
    complaint: impl FnOnce(&Response) -> Complaint,
    account: impl FnOnce(&Map<String, Json>) -> Option<(RemoteId, Attributes)>,
) -> Answer {
    let body = match response.json() {
        Some(Json::Object(body)) if !matches!(response.status, 202 | 207) => body,
        _ => return unread(response),
    };
    match account(&body) {
        Some((id, shown)) => Answer::of(Verdict::Created { id, shown }),
        None if complains(&body) => complaint(response).answer(Verdict::Uncertain),
        None => Answer::of(Verdict::Uncertain),
    }
}

/// Reads an answer to a look-up with a status of 200 to 299. `list`: all accounts that answer; `None`
/// where the body is no whole list of them.
pub(crate) fn matches(
    response: &Response,
    complaint: impl FnOnce(&Response) -> Complaint,
    list: impl FnOnce(&Map<String, Json>) -> Option<Vec<(RemoteId, Attributes)>>,
) -> Answer {
    let Some(Json::Object(body)) = response.json() else { return unread(response) };
    match list(&body) {
        Some(accounts) if response.status == 200 => Answer::of(Verdict::Matches(accounts)),
        Some(_) => Answer::of(Verdict::Uncertain),
        None => complaint(response).answer(Verdict::Uncertain),
    }
}

fn unread(response: &Response) -> Answer {
    if is_html(response) {
        return coded(Verdict::Uncertain, Answer::PAGE);
    }
    Answer::of(Verdict::Uncertain)
}

fn unseen(action: &Action, response: &Response) -> Answer {
    // A page for people where an API should be: a portal, a proxy's excuse, or the wrong base
    // address. One of them proves nothing, but a change may never have reached the API.
    if is_html(response) {
        return coded(Verdict::Uncertain, Answer::PAGE);
    }
    match action {
        Action::Patch { .. } | Action::Disable { .. } | Action::Enable { .. } | Action::Delete => {
            Answer::of(Verdict::Applied { shown: Attributes::new() })
        }
        Action::Read | Action::Find { .. } | Action::Create { .. } => {
            Answer::of(Verdict::Uncertain)
        }
    }
}

fn complains(body: &Map<String, Json>) -> bool {
    ["error", "errors", "scimType"].iter().any(|key| body.get(*key).is_some_and(|v| !v.is_null()))
}

fn is_html(response: &Response) -> bool {
    response.header("content-type").any(|kind| {
        let kind = kind.split(';').next().unwrap_or_default().trim();
        kind.eq_ignore_ascii_case("text/html") || kind.eq_ignore_ascii_case("application/xhtml+xml")
    })
}

fn coded(verdict: Verdict, code: &str) -> Answer {
    Answer { verdict, code: code.to_owned(), excerpt: Excerpt::default() }
}

/// An error answer, as far as its body could be read.
pub(crate) struct Complaint {
    status: u16,
    code: String,
    message: String,
    body: Json,
}

impl Complaint {
    /// `code` and `message`: where in the body they may stand, as JSON Pointers, the best first.
    pub(crate) fn of(response: &Response, code: &[&str], message: &[&str]) -> Self {
        let body = response.json().unwrap_or_default();
        let code = code.iter().find_map(|place| scalar(body.pointer(place)?));
        let message = message.iter().find_map(|place| scalar(body.pointer(place)?));
        Self {
            status: response.status,
            code: code.map(|code| sanitised(&code)).unwrap_or_default(),
            message: message.unwrap_or_else(|| start_of(response.bytes())),
            body,
        }
    }

    pub(crate) fn status(&self) -> u16 {
        self.status
    }

    pub(crate) fn code(&self) -> &str {
        &self.code
    }

    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    /// Something else in the body, by JSON Pointer.
    pub(crate) fn at(&self, place: &str) -> Option<&Json> {
        self.body.pointer(place)
    }

    pub(crate) fn answer(self, verdict: Verdict) -> Answer {
        Answer { verdict, code: self.code, excerpt: Excerpt::of(&self.message) }
    }

    /// What the status alone means, where the vendor says nothing else.
    pub(crate) fn usual(self) -> Answer {
        let verdict = verdict_of(self.status);
        self.answer(verdict)
    }
}

/// RFC 9110 §15: a status that is not known means what the first of its class means, so an unknown
/// 4xx is a 400 and an unknown 5xx a 500.
fn verdict_of(status: u16) -> Verdict {
    match status {
        300..=399 => Verdict::Broken,
        401 => Verdict::Unauthorized,
        403 => Verdict::Forbidden,
        404 | 410 => Verdict::Missing,
        408 | 425 | 429 => Verdict::Throttled,
        409 | 412 => Verdict::Conflict,
        423 | 503 => Verdict::Unavailable,
        400..=499 | 501 => Verdict::Rejected { attributes: Vec::new() },
        _ => Verdict::Uncertain,
    }
}

fn scalar(json: &Json) -> Option<String> {
    match json {
        Json::String(text) => Some(text.clone()),
        Json::Number(number) => Some(number.to_string()),
        Json::Null | Json::Bool(_) | Json::Array(_) | Json::Object(_) => None,
    }
}

/// A code is written to logs, so only what cannot forge a line or hold a sentence is kept.
fn sanitised(code: &str) -> String {
    let safe = |c: &char| c.is_ascii_alphanumeric() || "_.-".contains(*c);
    code.chars().filter(safe).take(64).collect()
}

/// More than an excerpt keeps, whatever the encoding.
fn start_of(bytes: &[u8]) -> String {
    String::from_utf8_lossy(&bytes[..bytes.len().min(2048)]).into_owned()
}
