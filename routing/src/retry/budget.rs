//! The retry budget: how many retries a service can bear.
//!
//! Owns the count of requests and retries of the last ten seconds. Refuses to decide anything else: policy and
//! safety are the parent's.

use std::time::Instant;

/// Keeps retries to a share of the requests, so that a failing service does not meet more load for failing.
///
/// Each second a fixed number is free; those beyond are charged to the share of the requests of the last ten
/// seconds. So over any time there are at most `percent` of the requests and `per_second` for each second.
#[derive(Debug, Clone)]
pub struct Budget {
    percent: u64,
    per_second: u32,
    /// When the first second began.
    start: Option<Instant>,
    /// The current second since `start`.
    current: u64,
    seconds: [Second; WINDOW_SECONDS],
}

/// What happened in one second.
#[derive(Debug, Clone, Copy, Default)]
struct Second {
    requests: u32,
    free_retries: u32,
    charged_retries: u32,
}

impl Budget {
    /// `percent` (0 to 100) of the requests, and `per_second` besides.
    #[must_use]
    pub fn new(percent: u8, per_second: u32) -> Self {
        Self {
            percent: u64::from(percent),
            per_second,
            start: None,
            current: 0,
            seconds: [Second::default(); WINDOW_SECONDS],
        }
    }

    /// Counts a request, once however often it is tried.
    pub fn on_request(&mut self, now: Instant) {
        let second = self.second(now);
        second.requests = second.requests.saturating_add(1);
    }

    /// Takes one retry out of the budget, or tells that it has none left.
    #[must_use]
    pub fn try_withdraw(&mut self, now: Instant) -> bool {
        let per_second = self.per_second;
        let second = self.second(now);
        if second.free_retries < per_second {
            second.free_retries += 1;
            return true;
        }
        let sum = |count: fn(&Second) -> u32| {
            self.seconds
                .iter()
                .map(|second| u64::from(count(second)))
                .sum::<u64>()
        };
        let earned = sum(|second| second.requests) * self.percent / 100;
        if sum(|second| second.charged_retries) >= earned {
            return false;
        }
        self.second(now).charged_retries += 1;
        true
    }

    /// The second of `now`, after forgetting those that left the window. Time that steps back counts as standing.
    fn second(&mut self, now: Instant) -> &mut Second {
        let start = *self.start.get_or_insert(now);
        let second = now.saturating_duration_since(start).as_secs();
        let passed = second.saturating_sub(self.current);
        for ahead in 1..=passed.min(WINDOW_SECONDS as u64) {
            self.seconds[slot(self.current + ahead)] = Second::default();
        }
        self.current += passed;
        &mut self.seconds[slot(self.current)]
    }
}

const fn slot(second: u64) -> usize {
    (second % WINDOW_SECONDS as u64) as usize
}

/// Long enough to smooth a burst, short enough that yesterday's traffic earns nothing. The configuration promises it.
const WINDOW_SECONDS: usize = 10;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    fn withdraw(budget: &mut Budget, now: Instant, tries: u32) -> u32 {
        (0..tries).filter(|_| budget.try_withdraw(now)).count() as u32
    }

    #[expect(clippy::disallowed_methods, reason = "any instant will do to count from")]
    fn start() -> Instant {
        Instant::now()
    }

    #[test]
    fn some_are_free_each_second_and_the_rest_is_earned() {
        let (mut budget, start) = (Budget::new(20, 10), start());
        assert_eq!(withdraw(&mut budget, start, 100), 10);
        (0..100).for_each(|_| budget.on_request(start));
        assert_eq!(withdraw(&mut budget, start, 100), 20);
        let next = start + Duration::from_secs(1);
        assert_eq!(withdraw(&mut budget, next, 100), 10);
    }

    #[test]
    fn requests_earn_for_ten_seconds() {
        let (mut budget, start) = (Budget::new(50, 0), start());
        (0..10).for_each(|_| budget.on_request(start));
        let late = start + Duration::from_millis(9_999);
        assert_eq!(withdraw(&mut budget.clone(), late, 100), 5);
        let gone = start + Duration::from_secs(10);
        assert_eq!(withdraw(&mut budget.clone(), gone, 100), 0);
        let long_gone = start + Duration::from_secs(100_000);
        assert_eq!(withdraw(&mut budget, long_gone, 100), 0);
    }

    #[test]
    fn time_that_steps_back_stands() {
        let (mut budget, start) = (Budget::new(100, 0), start());
        let later = start + Duration::from_secs(5);
        budget.on_request(start);
        budget.on_request(later);
        assert_eq!(withdraw(&mut budget, start, 10), 2);
        assert_eq!(withdraw(&mut budget, later, 10), 0);
    }

    /// The same rules over the whole history, of which nothing is ever forgotten.
    #[derive(Default)]
    struct History {
        requests: Vec<u64>,
        free: Vec<u64>,
        charged: Vec<u64>,
    }

    impl History {
        fn try_withdraw(&mut self, percent: u8, per_second: u32, now: u64) -> bool {
            let within = |times: &[u64], seconds| times.iter().filter(|time| now - **time < seconds).count();
            let free = within(&self.free, 1) < per_second as usize;
            let earned = within(&self.requests, 10) * usize::from(percent) / 100;
            let granted = free || within(&self.charged, 10) < earned;
            if granted {
                if free { &mut self.free } else { &mut self.charged }.push(now);
            }
            granted
        }
    }

    proptest! {
        #[test]
        fn forgetting_changes_nothing(
            percent in 0_u8..=100,
            per_second in 0_u32..4,
            steps in prop::collection::vec((0_u64..4000, 0_u32..20, 0_u32..20), 1..40),
        ) {
            let (mut budget, start) = (Budget::new(percent, per_second), start());
            let (mut now, mut history) = (Duration::ZERO, History::default());
            for (passed, requests, retries) in steps {
                // The first call starts the clock.
                now += Duration::from_millis(if budget.start.is_none() { 0 } else { passed });
                for _ in 0..requests {
                    budget.on_request(start + now);
                    history.requests.push(now.as_secs());
                }
                for _ in 0..retries {
                    let granted = history.try_withdraw(percent, per_second, now.as_secs());
                    prop_assert_eq!(budget.try_withdraw(start + now), granted);
                }
                prop_assert!(history.charged.len() <= history.requests.len() * usize::from(percent) / 100);
            }
        }
    }
}
