//! What a tenant in action answers, and the headers that go with it.

use super::{
    RetryAfterForm,
    answer::Answer,
    practice::{Incoming, Refusal},
    stage::{Moment, Stage, Turn},
};
use tokio::time::Instant;

impl Stage {
    pub(super) fn turn(&self, answer: Option<Answer>) -> Turn {
        Turn { answer, delay: self.tenant.latency, cut_body: false, effect_after: None }
    }

    pub(super) fn turn_refused(&self, status: u16) -> Turn {
        self.turn(Some(self.refuse(&Refusal::of_status(status))))
    }

    pub(super) fn refuse(&self, refusal: &Refusal) -> Answer {
        Answer::json(refusal.status, &self.api.error_body_of(&self.tenant, refusal))
    }

    /// The answer to a change of that user.
    pub(super) fn changed(&self, request: &Incoming, id: &str) -> Answer {
        let user = || self.api.patched(&self.tenant, id, &self.tenant.accounts[id]);
        let shown = self.api.answer_to(&self.tenant, request).unwrap_or_else(user);
        match self.api.changed_status(&self.tenant) {
            204 => Answer { status: 204, headers: Vec::new(), body: String::new() },
            status => Answer::json(status, &shown),
        }
    }

    pub(super) fn with_headers(&self, request: &Incoming, mut answer: Answer) -> Answer {
        let account = self.user_of(request).and_then(|id| self.tenant.accounts.get(&id));
        if let Some(account) = account.filter(|_| answer.status < 300) {
            answer.headers.extend(self.api.headers(&self.tenant, account));
        }
        answer
    }

    pub(super) fn turn_away(
        &mut self,
        refusal: &Refusal,
        form: RetryAfterForm,
        moment: Moment,
    ) -> Turn {
        let mut answer = self.refuse(refusal);
        self.ask_to_wait(&mut answer, form, moment);
        self.turn(Some(answer))
    }

    pub(super) fn ask_to_wait(
        &mut self,
        answer: &mut Answer,
        form: RetryAfterForm,
        moment: Moment,
    ) {
        answer.headers.extend(form.header(moment.stamp).map(|value| ("retry-after", value)));
        if let Some(until) = form.wait(moment.stamp).and_then(|wait| moment.now.checked_add(wait)) {
            let user = self.seen.last().and_then(|seen| seen.user_id.clone());
            self.judge.ban(user, moment.now, until);
        }
    }

    pub(super) fn with_quota_headers(&self, mut turn: Turn, now: Instant) -> Turn {
        if let (Some(answer), Some(view)) = (&mut turn.answer, self.window.view(now)) {
            answer.headers.extend(self.api.quota_headers(&view));
        }
        turn
    }
}
