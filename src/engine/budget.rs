//! How often one tenant's run may send again, all its operations together.
//!
//! Every operation may be sent once whatever happens. What is sent beyond that is paid for out of
//! 50 tokens, and each operation that ends well earns a tenth of one. So a run sends at most 50
//! requests more than 1.10 for each operation, whatever the target answers. A read that has to tell
//! what became of a request is no repetition, and free.

/// In tenths of a token, so that ten tenths are one.
const FULL: u32 = 500;
const EARNED: u32 = 1;

/// What one repetition costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cost {
    /// 1: the target has answered, or was never reached.
    Plain,
    /// 2: no answer came, for which somebody has waited long.
    Unanswered,
}

impl Cost {
    fn tenths(self) -> u32 {
        match self {
            Self::Plain => 10,
            Self::Unanswered => 20,
        }
    }
}

/// The tokens of one tenant in one run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    tenths: u32,
}

impl Default for Budget {
    fn default() -> Self {
        Self { tenths: FULL }
    }
}

impl Budget {
    /// Takes the cost of one repetition; `false`, and takes nothing, when there is not enough left.
    #[must_use]
    pub fn spend(&mut self, cost: Cost) -> bool {
        let left = self.tenths.checked_sub(cost.tenths());
        self.tenths = left.unwrap_or(self.tenths);
        left.is_some()
    }

    /// An operation has ended well.
    pub fn earn(&mut self) {
        self.tenths = (self.tenths + EARNED).min(FULL);
    }

    /// Whole tokens that are left.
    #[must_use]
    pub fn left(&self) -> u32 {
        self.tenths / 10
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn fifty_repetitions_are_free_or_half_as_many_after_silence() {
        for (cost, times) in [(Cost::Plain, 50), (Cost::Unanswered, 25)] {
            let mut budget = Budget::default();
            assert!((0..times).all(|_| budget.spend(cost)));
            assert!(!budget.spend(cost));
            assert_eq!(budget.left(), 0);
        }
    }

    #[test]
    fn what_is_earned_never_makes_more_than_fifty() {
        let mut budget = Budget::default();
        (0..1000).for_each(|_| budget.earn());
        assert_eq!(budget, Budget::default());
    }

    proptest! {
        #[test]
        fn inv9_repetitions_stay_below_a_tenth_of_what_ended_well_and_fifty(
            events in prop::collection::vec(0_u8..3, 0..2000)
        ) {
            let mut budget = Budget::default();
            let (mut earned, mut spent) = (0_u32, 0_u32);
            for event in events {
                match event {
                    0 => { budget.earn(); earned += 1 }
                    1 => spent += u32::from(budget.spend(Cost::Plain)),
                    _ => spent += u32::from(budget.spend(Cost::Unanswered)),
                }
            }
            prop_assert!(spent * 10 <= earned + 500);
        }
    }
}
