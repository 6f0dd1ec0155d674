//! When to act on a burst of changes: after it, yet not later than a bound.
//!
//! Owns the two times. Refuses a clock: it computes from the times given.

use std::time::Instant;

use sluice_config::defaults::operations::{RELOAD_LATEST, RELOAD_QUIET};
/// Changes that wait to be acted on.
#[derive(Debug, Default)]
pub(super) struct Debounce {
    /// Of the first and the last change since the last action.
    burst: Option<(Instant, Instant)>,
}

impl Debounce {
    /// Notes a change.
    pub(super) fn changed(&mut self, now: Instant) {
        let (first, _) = self.burst.unwrap_or((now, now));
        self.burst = Some((first, now));
    }

    /// When to act, if there is anything to act on: once nothing changed for [`RELOAD_QUIET`], at the latest
    /// [`RELOAD_LATEST`] after the first change.
    pub(super) fn due(&self) -> Option<Instant> {
        self.burst
            .map(|(first, last)| (last + RELOAD_QUIET).min(first + RELOAD_LATEST))
    }

    /// Forgets the changes; they are being acted on.
    pub(super) fn clear(&mut self) {
        self.burst = None;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn milliseconds(count: u64) -> Duration {
        Duration::from_millis(count)
    }

    #[test]
    fn one_save_is_one_action_after_a_quiet_moment() {
        let start = Instant::now();
        let mut debounce = Debounce::default();
        assert_eq!(debounce.due(), None);
        debounce.changed(start);
        debounce.changed(start + milliseconds(20));
        assert_eq!(debounce.due(), Some(start + milliseconds(120)));
        debounce.clear();
        assert_eq!(debounce.due(), None);
    }

    #[test]
    fn a_storm_acts_once_a_second() {
        let start = Instant::now();
        let mut debounce = Debounce::default();
        let mut actions = Vec::new();
        // A hundred changes in ten seconds, 99 ms apart: never quiet.
        for at in (0..100).map(|index| start + milliseconds(99 * index)) {
            if debounce.due().is_some_and(|due| due <= at) {
                actions.push(at);
                debounce.clear();
            }
            debounce.changed(at);
        }
        assert_eq!(actions.len(), 9);
        assert!(debounce.due().is_some(), "the last change is acted on too");
    }
}
