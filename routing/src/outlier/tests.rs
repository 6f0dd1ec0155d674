//! Ejection and return, one endpoint and many.

use std::time::Duration;

use proptest::prelude::*;
use serde_json::{from_value, json};

use super::*;

const SECOND: Duration = Duration::from_secs(1);

/// Three failures in a row eject for a second.
fn set(endpoints: usize, percent_max: u8) -> EndpointSet {
    let rule = json!({ "consecutive_failures": 3, "ejection": 1000, "percent_max": percent_max });
    EndpointSet::new(
        Some(from_value(rule).unwrap()),
        vec![EndpointHealth::default(); endpoints],
    )
}

#[expect(clippy::disallowed_methods, reason = "any instant will do to count from")]
fn start() -> Instant {
    Instant::now()
}

/// Failures of `index` until it is ejected, at most ten.
fn fail(set: &mut EndpointSet, index: usize, now: Instant) -> Option<usize> {
    (1..=10).find(|_| set.on_failure(index, now))
}

fn usable(set: &EndpointSet, now: Instant) -> Vec<usize> {
    let usable = set.usable(now);
    (0..set.health().len()).filter(|index| usable(*index)).collect()
}

#[test]
fn failures_in_a_row_eject_and_time_brings_back() {
    let (mut set, start) = (set(3, 50), start());
    assert_eq!(fail(&mut set, 1, start), Some(3));
    assert_eq!(usable(&set, start), [0, 2]);
    assert_eq!(set.ejected(start), 1);
    let last = start + SECOND - Duration::from_nanos(1);
    assert_eq!(usable(&set, last), [0, 2]);
    assert_eq!(usable(&set, start + SECOND), [0, 1, 2]);
    assert_eq!(set.ejected(start + SECOND), 0);
}

#[test]
fn a_success_between_starts_the_row_anew() {
    let (mut set, start) = (set(2, 50), start());
    for _ in 0..10 {
        assert!(!set.on_failure(0, start) && !set.on_failure(0, start));
        set.on_success(0, start);
    }
    assert_eq!(usable(&set, start), [0, 1]);
}

#[test]
fn each_ejection_in_a_row_lasts_longer_up_to_ten_times() {
    let (mut set, mut now) = (set(2, 50), start());
    for times in (1..=10).chain([10, 10]) {
        assert_eq!(fail(&mut set, 0, now), Some(3));
        now += SECOND * times;
        assert!(set.health()[0].is_ejected(now - Duration::from_nanos(1)));
        assert!(!set.health()[0].is_ejected(now));
    }
    set.on_success(0, now);
    assert_eq!(fail(&mut set, 0, now), Some(3));
    assert!(!set.health()[0].is_ejected(now + SECOND));
}

#[test]
fn outcomes_of_old_requests_do_not_change_an_ejection() {
    let (mut set, start) = (set(2, 50), start());
    fail(&mut set, 0, start);
    set.on_success(0, start);
    assert_eq!(fail(&mut set, 0, start), None);
    assert_eq!(usable(&set, start), [1]);
    assert_eq!(usable(&set, start + SECOND), [0, 1]);
    // Nor did that success forget that there was one.
    fail(&mut set, 0, start + SECOND);
    assert_eq!(usable(&set, start + SECOND * 2), [1]);
}

#[test]
fn the_share_is_rounded_down_but_lets_one_out() {
    for (endpoints, percent, out) in [
        (0, 100, 0),
        (1, 100, 0),
        (2, 10, 1),
        (2, 0, 0),
        (3, 50, 1),
        (4, 50, 2),
        (10, 39, 3),
        (5, 100, 5),
    ] {
        let (mut set, start) = (set(endpoints, percent), start());
        let ejected = (0..endpoints)
            .filter(|index| fail(&mut set, *index, start).is_some())
            .count();
        assert_eq!(ejected, out, "{endpoints} endpoints, {percent} %");
        assert_eq!(set.ejected(start), out);
    }
}

#[test]
fn who_was_protected_goes_at_the_next_failure_with_room() {
    let (mut set, start) = (set(2, 50), start());
    fail(&mut set, 0, start);
    assert_eq!(fail(&mut set, 1, start), None);
    assert!(set.on_failure(1, start + SECOND));
    assert_eq!(usable(&set, start + SECOND), [0]);
}

#[test]
fn when_all_are_out_all_are_used() {
    let (mut set, start) = (set(3, 100), start());
    for index in 0..3 {
        fail(&mut set, index, start + SECOND * index as u32 / 10);
    }
    assert_eq!(usable(&set, start + SECOND / 2), [0, 1, 2]);
    // The first to come back ends the panic.
    assert_eq!(usable(&set, start + SECOND), [0]);
}

#[test]
fn without_a_rule_nothing_is_ejected() {
    let (mut old, start) = (set(2, 50), start());
    fail(&mut old, 0, start);
    let mut set = EndpointSet::new(None, old.health().iter().copied());
    assert_eq!(fail(&mut set, 0, start), None);
    assert_eq!(usable(&set, start), [0, 1]);
}

#[test]
fn a_new_set_takes_over_what_is_known() {
    let (mut old, start) = (set(3, 50), start());
    fail(&mut old, 2, start);
    let rule = from_value(json!({ "consecutive_failures": 1, "ejection": 5, "percent_max": 50 })).unwrap();
    let set = EndpointSet::new(Some(rule), [old.health()[2], EndpointHealth::default()]);
    assert_eq!(usable(&set, start), [1]);
    assert_eq!(usable(&set, start + SECOND), [0, 1]);
}

proptest! {
    #[test]
    fn someone_is_always_usable_and_the_share_is_kept(
        endpoints in 1_usize..12,
        percent in 0_u8..=100,
        events in prop::collection::vec((any::<prop::sample::Index>(), prop::bool::weighted(0.2), 0_u32..300), 0..200),
    ) {
        let (mut set, mut now) = (set(endpoints, percent), start());
        for (index, success, passed) in events {
            now += Duration::from_millis(passed.into());
            match success {
                true => set.on_success(index.index(endpoints), now),
                false => _ = set.on_failure(index.index(endpoints), now),
            }
            let out = set.health().iter().filter(|health| health.is_ejected(now)).count();
            prop_assert_eq!(set.ejected(now), out);
            prop_assert!(out * 100 <= (endpoints * usize::from(percent)).max(100));
            prop_assert!(endpoints > 1 || out == 0);
            let usable = usable(&set, now).len();
            prop_assert_eq!(usable, if out == endpoints { endpoints } else { endpoints - out });
        }
        prop_assert_eq!(usable(&set, now + SECOND * 10).len(), endpoints);
    }
}
