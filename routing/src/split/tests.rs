//! Shares are exact, sticky choices are stable.

use proptest::prelude::*;

use super::*;

fn shares(picks: &[usize], backends: usize) -> Vec<u32> {
    let mut shares = vec![0; backends];
    for pick in picks {
        shares[*pick] += 1;
    }
    shares
}

#[test]
fn nothing_to_pick() {
    assert_eq!(Split::new(&[]).pick(), None);
    assert_eq!(Split::new(&[0, 0]).pick(), None);
    assert_eq!(sticky_pick(&[], &[], 1), None);
    assert_eq!(sticky_pick(&[0, 0], &[1, 2], 1), None);
}

#[test]
fn a_canary_gets_its_tenth() {
    let mut split = Split::new(&[90, 10]);
    let picks: Vec<_> = (0..1000).filter_map(|_| split.pick()).collect();
    assert!(picks.windows(100).all(|window| shares(window, 2) == [90, 10]));
    assert!(picks.windows(10).all(|window| shares(window, 2) == [9, 1]));
}

proptest! {
    #[test]
    fn every_window_is_exact(
        weights in prop::collection::vec(0_u32..12, 1..6),
        scale in 1_u32..1000,
        offset in 0_usize..100,
    ) {
        let scaled: Vec<_> = weights.iter().map(|weight| weight * scale).collect();
        let sum: u32 = weights.iter().sum();
        let mut split = Split::new(&scaled);
        for _ in 0..offset {
            split.pick();
        }
        let picks: Vec<_> = (0..sum).filter_map(|_| split.pick()).collect();
        prop_assert_eq!(shares(&picks, weights.len()), weights);
    }

    #[test]
    fn a_raised_weight_only_draws_clients(
        weights in prop::collection::vec(0_u32..1000, 1..6),
        raised in any::<prop::sample::Index>(),
        by in 1_u32..1000,
        clients in prop::collection::vec(any::<u64>(), 100),
    ) {
        let keys = backend_keys(["a", "b", "c", "d", "e"].into_iter().take(weights.len()));
        let raised = raised.index(weights.len());
        let mut after = weights.clone();
        after[raised] += by;
        for client in clients {
            let (old, new) = (sticky_pick(&weights, &keys, client), sticky_pick(&after, &keys, client));
            prop_assert!(new == old || new == Some(raised));
            prop_assert!(old.is_none_or(|old| weights[old] > 0));
        }
    }

    #[test]
    fn a_backend_keeps_its_clients_wherever_it_stands(
        mut backends in prop::collection::vec((1_u32..100, any::<u64>()), 2..6),
        client: u64,
        swap in any::<(prop::sample::Index, prop::sample::Index)>(),
    ) {
        backends.sort_by_key(|backend| backend.1);
        backends.dedup_by_key(|backend| backend.1);
        let pick = |backends: &[(u32, u64)]| {
            let (weights, keys): (Vec<_>, Vec<_>) = backends.iter().copied().unzip();
            sticky_pick(&weights, &keys, client).map(|index| keys[index])
        };
        let before = pick(&backends);
        let length = backends.len();
        backends.swap(swap.0.index(length), swap.1.index(length));
        prop_assert_eq!(pick(&backends), before);
    }
}

#[test]
fn sticky_clients_spread_by_weight() {
    let weights = [90, 10, 0, 100];
    let keys = backend_keys(["v1", "v2", "v3", "v1"]);
    let picks: Vec<_> = (0..100_000)
        .filter_map(|user| sticky_pick(&weights, &keys, sticky_hash(format!("user-{user}").as_bytes())))
        .collect();
    let shares = shares(&picks, 4);
    for (share, weight) in shares.iter().zip(weights) {
        // Six standard deviations of the largest binomial share are under 1,000 of 100,000.
        assert!(share.abs_diff(weight * 500) < 1000, "{shares:?}");
    }
    assert_eq!(shares[2], 0);
}

#[test]
fn keys_of_one_service_differ() {
    let keys = backend_keys(["a", "a", "b", "a"]);
    assert_eq!(keys[0], sticky_hash(b"a"));
    assert_eq!(keys[2], sticky_hash(b"b"));
    assert!((0..4).all(|one| (0..one).all(|other| keys[one] != keys[other])));
}

/// A change here moves every sticky client of every user.
#[test]
fn hash_and_choice_never_change() {
    assert_eq!(sticky_hash(b""), mix(FNV_OFFSET));
    // Published vector: FNV-1a 64 of "foobar" is 0x85944171f73967e8.
    assert_eq!(sticky_hash(b"foobar"), mix(0x8594_4171_f739_67e8));
    let golden = [b"".as_slice(), b"a", b"foobar", b"user-1", &[0xff, 0]].map(sticky_hash);
    assert_eq!(golden, GOLDEN_HASHES);
    let keys = backend_keys(["reviews-v1", "reviews-v2", "reviews-v3"]);
    let picks: Vec<_> = (0_u32..24)
        .filter_map(|client| sticky_pick(&[3, 2, 1], &keys, sticky_hash(&client.to_be_bytes())))
        .collect();
    assert_eq!(picks, GOLDEN_PICKS);
}

const GOLDEN_HASHES: [u64; 5] = [
    0xefd0_1f60_ba99_2926,
    0x82a2_a958_a9be_ce5b,
    0x2c22_1949_22d1_672b,
    0x41a2_fca5_c684_01c5,
    0x6697_e696_89e5_177a,
];
const GOLDEN_PICKS: [usize; 24] = [
    0, 0, 0, 1, 0, 1, 0, 2, 0, 2, 0, 0, 0, 2, 0, 1, 1, 0, 2, 0, 0, 0, 0, 0,
];
