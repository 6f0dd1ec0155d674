//! Passive ejection: leaving out endpoints whose tries fail without an answer.
//!
//! Owns the count of failures of each endpoint and the rule on how many may be out at once. Refuses to probe or to
//! pick: it hears of outcomes and answers who is usable.

use std::time::Instant;

use sluice_config::model::Outlier;

/// What is known of one endpoint. Outlives the set it is in: a new set takes it over.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct EndpointHealth {
    /// Failures since the last success.
    failures: u32,
    /// Ejections since the last success.
    ejections: u32,
    /// Left out until then.
    until: Option<Instant>,
}

impl EndpointHealth {
    /// Whether it is left out at `now`.
    #[must_use]
    pub fn is_ejected(&self, now: Instant) -> bool {
        self.until.is_some_and(|until| now < until)
    }
}

/// The endpoints of one service and the rule for leaving some out.
///
/// An endpoint is ejected after `consecutive_failures` in a row, for `ejection` times the number of ejections since
/// its last success, at most ten times. It then comes back with a clean count; another row of failures ejects it
/// for longer.
///
/// At most `percent_max` of the endpoints are out at once, rounded down, but one of two or more always may be (else
/// small services could never eject) unless the share is 0. A sole endpoint never is. An endpoint that the rule
/// protects is ejected at its next failure once there is room. Where a share of 100 lets all be out at once, all are
/// used (panic): a guess at health is worth less than an answer.
#[derive(Debug, Clone)]
pub struct EndpointSet {
    rule: Option<Outlier>,
    endpoints: Vec<EndpointHealth>,
    /// No ejection lasts longer: after it, no endpoint needs a look.
    quiet_from: Option<Instant>,
}

impl EndpointSet {
    /// Endpoints with what is known of them already; without a rule none is ejected, nor stays so.
    #[must_use]
    pub fn new(rule: Option<Outlier>, endpoints: impl IntoIterator<Item = EndpointHealth>) -> Self {
        let known = |health: EndpointHealth| {
            if rule.is_some() {
                health
            } else {
                EndpointHealth::default()
            }
        };
        let endpoints: Vec<_> = endpoints.into_iter().map(known).collect();
        Self {
            rule,
            quiet_from: endpoints.iter().filter_map(|health| health.until).max(),
            endpoints,
        }
    }

    /// What is known of each, by position.
    #[must_use]
    pub fn health(&self) -> &[EndpointHealth] {
        &self.endpoints
    }

    /// The endpoint at `index` answered. That does not end an ejection: the answer may be to an old request.
    pub fn on_success(&mut self, index: usize, now: Instant) {
        let health = &mut self.endpoints[index];
        health.failures = 0;
        if health.ejections > 0 && !health.is_ejected(now) {
            *health = EndpointHealth::default();
        }
    }

    /// The endpoint at `index` failed to connect, to keep its connection or to answer in time. True if this ejects it.
    pub fn on_failure(&mut self, index: usize, now: Instant) -> bool {
        let Some(rule) = self.rule else { return false };
        if self.endpoints[index].is_ejected(now) {
            return false;
        }
        let failures = self.endpoints[index].failures.saturating_add(1);
        self.endpoints[index].failures = failures;
        if failures < rule.consecutive_failures || self.ejected(now) >= self.ejected_max(rule) {
            return false;
        }
        let health = &mut self.endpoints[index];
        let ejections = health.ejections.saturating_add(1);
        let until = now + rule.ejection.duration() * ejections.min(EJECTION_TIMES_MAX);
        *health = EndpointHealth {
            failures: 0,
            ejections,
            until: Some(until),
        };
        self.quiet_from = self.quiet_from.max(Some(until));
        true
    }

    /// How many are left out at `now`.
    #[must_use]
    pub fn ejected(&self, now: Instant) -> usize {
        match self.is_quiet(now) {
            true => 0,
            false => self
                .endpoints
                .iter()
                .filter(|health| health.is_ejected(now))
                .count(),
        }
    }

    /// Who may be picked at `now`, by position. Looks at the set once, then answers at once.
    pub fn usable(&self, now: Instant) -> impl Fn(usize) -> bool {
        let all = self.is_quiet(now) || self.endpoints.iter().all(|health| health.is_ejected(now));
        move |index| all || !self.endpoints[index].is_ejected(now)
    }

    fn is_quiet(&self, now: Instant) -> bool {
        self.quiet_from.is_none_or(|quiet_from| now >= quiet_from)
    }

    fn ejected_max(&self, rule: Outlier) -> usize {
        let share = self.endpoints.len() * usize::from(rule.percent_max.min(100)) / 100;
        match (self.endpoints.len(), rule.percent_max) {
            (0 | 1, _) | (_, 0) => 0,
            _ => share.max(1),
        }
    }
}

/// Ten times the first ejection keeps a lasting outage cheap and a recovery seen within minutes. The configuration
/// promises it.
const EJECTION_TIMES_MAX: u32 = 10;

#[cfg(test)]
mod tests;
