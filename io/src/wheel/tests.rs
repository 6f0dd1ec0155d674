//! The wheel against a sorted list, in simulated time.

use std::collections::BTreeMap;

use super::*;

fn drain(wheel: &mut Wheel<u64>, now: u64) -> Vec<u64> {
    let mut fired = Vec::new();
    while let Some(key) = wheel.expire(now) {
        fired.push(wheel.remove(key));
    }
    fired
}

fn insert(wheel: &mut Wheel<u64>, at: u64) -> Key {
    let key = wheel.add(at);
    wheel.link(key, at);
    key
}

#[test]
fn entries_fire_at_their_tick_and_not_before() {
    for at in [
        1,
        2,
        63,
        64,
        65,
        127,
        128,
        4095,
        4096,
        4097,
        300_000,
        86_400_000,
        SPAN - 1,
    ] {
        let mut wheel = Wheel::new();
        insert(&mut wheel, at);
        assert!(wheel.next().unwrap() <= at);
        assert_eq!(drain(&mut wheel, at - 1), [], "early for {at}");
        assert_eq!(drain(&mut wheel, at), [at], "late for {at}");
        assert_eq!(wheel.next(), None);
    }
}

#[test]
fn what_is_past_is_due_at_once() {
    let mut wheel = Wheel::new();
    drain(&mut wheel, 1000);
    insert(&mut wheel, 10);
    insert(&mut wheel, 1000);
    assert_eq!(wheel.next(), Some(1000));
    let mut fired = drain(&mut wheel, 1000);
    fired.sort_unstable();
    assert_eq!(fired, [10, 1000]);
}

#[test]
fn beyond_the_span_waits_and_moves_on() {
    let mut wheel = Wheel::new();
    drain(&mut wheel, 12_345);
    let at = 3 * SPAN + 7;
    insert(&mut wheel, at);
    assert_eq!(drain(&mut wheel, at - 1), []);
    assert_eq!(drain(&mut wheel, at), [at]);
}

#[test]
fn moved_and_cancelled_entries_leave_their_slot() {
    let mut wheel = Wheel::new();
    let (a, b, c) = (
        insert(&mut wheel, 100),
        insert(&mut wheel, 100),
        insert(&mut wheel, 100),
    );
    wheel.unlink(b);
    wheel.link(a, 50);
    assert_eq!(wheel.expire(60), Some(a));
    assert_eq!(wheel.expire(60), None);
    assert_eq!(wheel.expire(100), Some(c));
    assert_eq!(wheel.expire(1000), None);
    assert_eq!(wheel.len(), 3);
}

#[test]
fn random_histories_match_a_sorted_list() {
    // A fixed linear congruential sequence: the same history in every run.
    let mut state = 0x2545_F491_4F6C_DD1D_u64;
    let mut random = move |below: u64| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    };
    let mut wheel = Wheel::new();
    let mut model: BTreeMap<Key, u64> = BTreeMap::new();
    let mut now = 0;
    for _ in 0..20_000 {
        match random(4) {
            0 | 1 => {
                let reach = [70, 5000, 400_000, 90_000_000][random(4) as usize];
                let at = now + random(reach);
                let key = insert(&mut wheel, at);
                model.insert(key, at);
            }
            2 => {
                if let Some((&key, _)) = model.iter().nth(random(1 + model.len() as u64) as usize) {
                    wheel.remove(key);
                    model.remove(&key);
                }
            }
            _ => {
                let reach = [3, 100, 10_000, 1_000_000][random(4) as usize];
                now += random(reach);
                let mut fired = drain(&mut wheel, now);
                fired.sort_unstable();
                let mut expected: Vec<u64> = model.values().copied().filter(|at| *at <= now).collect();
                expected.sort_unstable();
                assert_eq!(fired, expected);
                model.retain(|_, at| *at > now);
            }
        }
        let next = wheel.next();
        assert!(next.unwrap_or(u64::MAX) <= model.values().copied().min().unwrap_or(u64::MAX));
    }
}
