//! Overload: what is still taken on while memory runs out.
//!
//! Owns the steps and when each is taken and left. Refuses to measure and to act.

use sluice_config::defaults::operations::{
    MEMORY_OUT_PERCENT, MEMORY_SHORT_PERCENT, MEMORY_SLACK_PERCENT, MEMORY_TIGHT_PERCENT,
};

/// How much is taken on. Each step does what those before it do, too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Pressure {
    /// All there is.
    #[default]
    None,
    /// No connection is kept idle: clients are told to close, upstream connections are dropped.
    Tight,
    /// No connection is accepted.
    Short,
    /// No request is served.
    Out,
}

impl Pressure {
    /// Every step, with the percentage of the budget from which on it is taken.
    const STEPS: [(Self, u64); 3] = [
        (Self::Tight, MEMORY_TIGHT_PERCENT),
        (Self::Short, MEMORY_SHORT_PERCENT),
        (Self::Out, MEMORY_OUT_PERCENT),
    ];

    /// The step after `self` with `used` bytes of a budget. A step is left only well below where it was taken.
    #[must_use]
    pub fn next(self, used: u64, budget: u64) -> Self {
        // In this order neither overflows nor rounds for budgets from 100 bytes to 2^57.
        let percent = used.saturating_mul(100) / budget.max(1);
        Self::STEPS
            .into_iter()
            .filter(|&(step, from)| {
                let slack = if step <= self { MEMORY_SLACK_PERCENT } else { 0 };
                percent >= from - slack
            })
            .map(|(step, _)| step)
            .max()
            .unwrap_or_default()
    }

    /// As a number for a gauge, from 0.
    #[must_use]
    pub const fn level(self) -> i64 {
        self as i64
    }
}

#[cfg(test)]
mod tests {
    use super::Pressure::{self, None, Out, Short, Tight};

    #[test]
    fn steps_are_taken_as_memory_goes() {
        let next = |used| None.next(used, 1000);
        assert_eq!(
            [0, 919, 920, 949, 950, 979].map(next),
            [None, None, Tight, Tight, Short, Short]
        );
        assert_eq!([980, 1000, u64::MAX].map(next), [Out; 3]);
    }

    #[test]
    fn steps_are_left_later_than_taken() {
        assert_eq!(
            [979, 960, 959, 930, 929, 900, 899].map(|used| Out.next(used, 1000)),
            [Out, Out, Short, Short, Tight, Tight, None]
        );
        assert_eq!(
            [949, 930, 929].map(|used| Short.next(used, 1000)),
            [Short, Short, Tight]
        );
        assert_eq!(
            [919, 900, 899].map(|used| Tight.next(used, 1000)),
            [Tight, Tight, None]
        );
        assert_eq!(Tight.next(985, 1000), Out, "up by more than one");
    }

    #[test]
    fn levels_go_up_with_the_steps() {
        assert_eq!([None, Tight, Short, Out].map(Pressure::level), [0, 1, 2, 3]);
    }
}
