//! A look before the first request, for changes that are built on what it shows.

use super::{Delivery, Doubt, Next, State};

impl Delivery<'_> {
    /// The same with a look before the first request, on which the change is built. Does nothing where
    /// the target offers no read.
    #[must_use]
    pub fn after_a_look(self) -> Self {
        if !self.reads {
            return self;
        }
        Self { state: State::Looking(Doubt::Basis), sent: Next::Look, unsent: true, ..self }
    }

    /// What is sent first.
    #[must_use]
    pub fn first(&self) -> Next {
        self.current()
    }
}
