//! Active health: what the answers to checks make of an endpoint.
//!
//! Owns how many answers in a row change the mind, and when health is no longer believed. Refuses to ask and to pick.

use sluice_config::model::Health;

/// What is held of one endpoint that is checked.
///
/// A new endpoint is up until its first check, and that one decides alone, as in Envoy and HAProxy: there is nothing to
/// hold against it. From then on only answers in a row change the mind, so an endpoint whose answers flap stays what it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Checked {
    up: bool,
    /// Answers in a row that speak against `up`.
    against: u32,
    /// Whether an answer to the question that is asked now has come.
    settled: bool,
}

impl Default for Checked {
    fn default() -> Self {
        Self {
            up: true,
            against: 0,
            settled: false,
        }
    }
}

impl Checked {
    /// Whether it may be picked.
    #[must_use]
    pub const fn is_up(self) -> bool {
        self.up
    }

    /// It is asked something else from now on: what is held stays, and the first answer decides alone.
    pub const fn unsettle(&mut self) {
        self.settled = false;
        self.against = 0;
    }

    /// Takes in an answer. True if it changes whether the endpoint is up.
    pub const fn on_answer(&mut self, passed: bool, rule: &Health) -> bool {
        let needed = match (self.settled, passed) {
            (false, _) => 1,
            (true, true) => rule.healthy_after,
            (true, false) => rule.unhealthy_after,
        };
        self.settled = true;
        if passed == self.up {
            self.against = 0;
            return false;
        }
        self.against = self.against.saturating_add(1);
        if self.against < needed {
            return false;
        }
        self.up = passed;
        self.against = 0;
        true
    }
}

/// Whether so few of the endpoints are up that all are to be used: with the few overrun, all would be lost.
#[must_use]
pub const fn is_panic(up: usize, all: usize, panic_below: u8) -> bool {
    up * 100 < all * panic_below as usize
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{from_value, json};

    use super::*;

    fn rule(healthy_after: u32, unhealthy_after: u32) -> Health {
        let rule = json!({
            "check": "Tcp", "port": null, "interval": 5000, "timeout": 1000,
            "healthy_after": healthy_after, "unhealthy_after": unhealthy_after, "panic_below": 0,
        });
        from_value(rule).unwrap()
    }

    /// `+` passes, `-` fails; after each, whether it is up: `U` or `d`.
    fn after(checked: &mut Checked, answers: &str, rule: &Health) -> String {
        let states = answers.chars().map(|answer| {
            let before = checked.is_up();
            let changed = checked.on_answer(answer == '+', rule);
            assert_eq!(changed, before != checked.is_up());
            if checked.is_up() { 'U' } else { 'd' }
        });
        states.collect()
    }

    #[test]
    fn three_failures_leave_out_and_two_passes_bring_back() {
        let mut checked = Checked::default();
        assert!(checked.is_up(), "until shown otherwise");
        assert_eq!(after(&mut checked, "+---++", &rule(2, 3)), "UUUddU");
        assert_eq!(after(&mut checked, "--+--+---", &rule(2, 3)), "UUUUUUUUd");
        assert_eq!(after(&mut checked, "+-+-++", &rule(2, 3)), "dddddU");
    }

    #[test]
    fn flapping_never_changes_the_mind() {
        for first in ["+", "-"] {
            let mut checked = Checked::default();
            let state = after(&mut checked, first, &rule(2, 3));
            let (state, answers) = (state.repeat(200), "+-".repeat(100));
            assert_eq!(after(&mut checked, &answers, &rule(2, 3)), state);
        }
    }

    #[test]
    fn the_first_answer_decides_alone() {
        assert_eq!(after(&mut Checked::default(), "-", &rule(9, 9)), "d");
        let mut checked = Checked::default();
        assert_eq!(after(&mut checked, "+--", &rule(2, 3)), "UUU");
        checked.unsettle();
        assert!(checked.is_up(), "asking something else changes nothing by itself");
        assert_eq!(after(&mut checked, "-+", &rule(2, 3)), "dd");
        checked.unsettle();
        assert_eq!(after(&mut checked, "+", &rule(2, 3)), "U");
    }

    #[test]
    fn panic_begins_below_the_share() {
        assert!(!is_panic(0, 4, 0), "0 is never");
        assert!(is_panic(0, 4, 1) && is_panic(1, 4, 50) && !is_panic(2, 4, 50));
        assert!(is_panic(3, 4, 100) && !is_panic(4, 4, 100) && !is_panic(0, 0, 100));
    }

    proptest! {
        #[test]
        fn a_change_takes_as_many_answers_in_a_row(
            answers in proptest::collection::vec(any::<bool>(), 1..200),
            healthy_after in 1..5_u32,
            unhealthy_after in 1..5_u32,
        ) {
            let rule = rule(healthy_after, unhealthy_after);
            let mut checked = Checked::default();
            let mut row = 0;
            for (index, passed) in answers.iter().enumerate() {
                row = if index > 0 && answers[index - 1] == *passed { row + 1 } else { 1 };
                let needed = if *passed { healthy_after } else { unhealthy_after };
                if checked.on_answer(*passed, &rule) {
                    prop_assert!(checked.is_up() == *passed && (index == 0 || row >= needed));
                } else {
                    prop_assert!(checked.is_up() == *passed || row < needed);
                }
            }
        }
    }
}
