//! Each way of balancing by its distribution, with a seeded generator.

use std::cell::Cell;

use super::*;

const PICKS: u32 = 100_000;

fn shares(
    kind: Balance,
    weights: &[u32],
    load: impl Fn(usize) -> u32,
    usable: impl Fn(usize) -> bool,
) -> Vec<u32> {
    let mut balancer = Balancer::new(kind, weights);
    let mut rng = Rng::with_seed(7);
    let mut shares = vec![0; weights.len()];
    for _ in 0..PICKS {
        shares[balancer.pick(&load, &usable, &mut rng).unwrap()] += 1;
    }
    shares
}

/// Within six standard deviations of a binomial share, at most 950 of 100,000.
fn assert_close(shares: &[u32], expected: &[u32]) {
    for (share, expected) in shares.iter().zip(expected) {
        assert!(share.abs_diff(*expected) < 950, "{shares:?}, not {expected:?}");
    }
}

#[test]
fn none_usable_is_none() {
    for kind in [Balance::LeastRequest, Balance::RoundRobin, Balance::Random] {
        let mut rng = Rng::with_seed(1);
        assert_eq!(Balancer::new(kind, &[]).pick(|_| 0, |_| true, &mut rng), None);
        assert_eq!(Balancer::new(kind, &[0]).pick(|_| 0, |_| true, &mut rng), None);
        assert_eq!(
            Balancer::new(kind, &[1, 2]).pick(|_| 0, |_| false, &mut rng),
            None
        );
        assert_eq!(
            Balancer::new(kind, &[1, 2]).pick(|_| 0, |index| index == 0, &mut rng),
            Some(0)
        );
    }
}

#[test]
fn idle_endpoints_are_used_by_weight() {
    for kind in [Balance::LeastRequest, Balance::RoundRobin, Balance::Random] {
        assert_close(
            &shares(kind, &[1, 2, 7], |_| 0, |_| true),
            &[10_000, 20_000, 70_000],
        );
        assert_close(&shares(kind, &[5, 5], |_| 0, |_| true), &[50_000, 50_000]);
    }
}

#[test]
fn what_is_not_usable_leaves_its_share_to_the_others() {
    for kind in [Balance::LeastRequest, Balance::RoundRobin, Balance::Random] {
        assert_close(
            &shares(kind, &[1, 90, 3], |_| 0, |index| index != 1),
            &[25_000, 0, 75_000],
        );
    }
}

#[test]
fn round_robin_is_exact() {
    assert_eq!(
        shares(Balance::RoundRobin, &[1, 3], |_| 0, |_| true),
        [25_000, 75_000]
    );
}

#[test]
fn the_more_loaded_of_two_is_never_taken() {
    let shares = shares(Balance::LeastRequest, &[1, 1], |index| [5, 4][index], |_| true);
    assert_eq!(shares, [0, PICKS]);
}

#[test]
fn load_counts_for_its_weight() {
    // 9 of weight 3 is less than 4 of weight 1.
    let shares = shares(Balance::LeastRequest, &[3, 1], |index| [9, 4][index], |_| true);
    assert_eq!(shares, [PICKS, 0]);
}

#[test]
fn the_most_loaded_of_many_is_never_taken() {
    let shares = shares(Balance::LeastRequest, &[1; 5], |index| index as u32, |_| true);
    assert_eq!(shares[4], 0);
    // Pairs of distinct endpoints: the least loaded one is in 2/5 of them.
    assert_close(&shares, &[40_000, 30_000, 20_000, 10_000, 0]);
}

/// Balls into bins: with two choices the fullest of 1,000 holds little more than the mean of 100.
#[test]
fn two_choices_keep_the_load_even() {
    let load = vec![Cell::new(0_u32); 1000];
    let mut balancer = Balancer::new(Balance::LeastRequest, &[1; 1000]);
    let mut rng = Rng::with_seed(3);
    for _ in 0..PICKS {
        let picked = balancer
            .pick(|index| load[index].get(), |_| true, &mut rng)
            .unwrap();
        load[picked].set(load[picked].get() + 1);
    }
    let fullest = load.iter().map(Cell::get).max();
    assert!(fullest.is_some_and(|fullest| fullest <= 105), "{fullest:?}");
}

/// One endpoint left of 10,000 is found though no draw hits it.
#[test]
fn the_last_one_usable_is_found() {
    let mut balancer = Balancer::new(Balance::LeastRequest, &[1; 10_000]);
    let picked = balancer.pick(|_| 0, |index| index == 9_876, &mut Rng::with_seed(1));
    assert_eq!(picked, Some(9_876));
}
