//! What repetitions cost.

use super::{Budget, Delivery, Next, State, Step, USED_UP};

impl Delivery<'_> {
    /// Every repetition costs; a look after what it is to look after is none.
    pub(super) fn pay_for(&mut self, step: Step, budget: &mut Budget) -> Step {
        let next = match &step {
            Step::Send(next) | Step::Again { next, .. } | Step::Pause(next) | Step::Renew(next) => {
                *next
            }
            Step::Stop { .. } | Step::Done(_) => return step,
        };
        let first_look = next == Next::Look && self.sent == Next::Operation;
        let first_sending = next == Next::Operation && std::mem::take(&mut self.unsent);
        if first_look || first_sending || budget.spend(self.cost) {
            self.sent = next;
            return step;
        }
        let outcome = self.abandon(USED_UP);
        let can_conclude = self.state == State::Sending && !self.doubtful;
        match &mut self.search {
            Some(search) if can_conclude => {
                search.bisection.give_up();
                self.conclude(outcome)
            }
            Some(_) | None => Step::Done(outcome),
        }
    }
}
