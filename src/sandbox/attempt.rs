//! What the API itself makes of a request, before the network has its say.

use super::{
    practice::{Edited, Incoming, Refusal, Scene},
    stage::Stage,
    strict_json,
};
use serde_json::Value;

/// What a request comes to.
pub(super) enum Attempt {
    Read(Value),
    Edit { id: String, body: Value, edited: Edited },
    Make { id: String, account: Value },
    Remove { id: String },
}

impl Attempt {
    pub(super) fn changes(&self) -> bool {
        match self {
            Self::Read(_) => false,
            Self::Edit { .. } | Self::Make { .. } | Self::Remove { .. } => true,
        }
    }
}

impl Stage {
    pub(super) fn attempt(&self, request: &Incoming) -> Result<Attempt, Refusal> {
        self.api.authorize(&self.tenant.tokens, &request.headers)?;
        if let Some(found) = self.api.find(&self.tenant, request) {
            return found.map(Attempt::Read);
        }
        if let Some(page) = self.api.list(&self.tenant, request) {
            return page.map(Attempt::Read);
        }
        let user = self.api.user_in(&self.tenant, request);
        if request.method == "POST" && self.tenant.mortal && user.is_err() {
            return self.creation(request);
        }
        let id = user?;
        let account = self.tenant.accounts.get(&id).ok_or_else(|| self.api.no_such_user())?;
        if let Some(switched) = self.api.switch(&self.tenant, request, account) {
            let edited = Edited { account: switched?, idle: Vec::new(), remarks: Vec::new() };
            return Ok(Attempt::Edit { id, body: Value::Null, edited });
        }
        if request.method == "GET" {
            return Ok(Attempt::Read(self.api.get(&self.tenant, &id, account)));
        }
        if request.method == "DELETE" {
            return Ok(Attempt::Remove { id });
        }
        self.api.precondition(&self.tenant, request, account)?;
        let body = self.body_of(request)?;
        let scene = Scene { tenant: &self.tenant, id: &id, account };
        let edited = self.api.patch(&scene, &body)?;
        Ok(Attempt::Edit { id, body, edited })
    }

    fn creation(&self, request: &Incoming) -> Result<Attempt, Refusal> {
        let body = self.body_of(request)?;
        let made = self.api.create(&self.tenant, request, &body);
        let (id, account) = made.unwrap_or_else(|| Err(Refusal::of_status(405)))?;
        Ok(Attempt::Make { id, account })
    }

    fn body_of(&self, request: &Incoming) -> Result<Value, Refusal> {
        self.check_media_type(request)?;
        let body = strict_json::parse(&request.body);
        body.map_err(|e| Refusal::new(400, format!("the body is not JSON: {e}")))
    }

    fn check_media_type(&self, request: &Incoming) -> Result<(), Refusal> {
        let mut named = request.headers.get_all("content-type").iter();
        let known = self.api.media_types(&self.tenant);
        let first = named.next().and_then(|name| name.to_str().ok());
        if first.is_some_and(|name| known.contains(&name)) && named.next().is_none() {
            return Ok(());
        }
        let message = format!("the content type must be `{}`", known.join("` or `"));
        Err(Refusal::new(self.api.media_type_status(), message))
    }
}
