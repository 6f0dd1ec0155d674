//! Splits: which backend of a rule takes a request.
//!
//! Owns exact shares for anonymous requests and stable choices for sticky ones. Refuses to know what a backend is:
//! it answers with positions in the list of weights.

use crate::turns::Turns;

/// Exact weighted shares: smooth weighted round robin.
///
/// Every window of `sum(weights) / gcd(weights)` consecutive picks, wherever it begins, holds each backend exactly
/// `weight / gcd(weights)` times.
#[derive(Debug, Clone)]
pub struct Split {
    turns: Turns,
}

impl Split {
    /// A backend of weight 0 is never picked.
    #[must_use]
    pub fn new(weights: &[u32]) -> Self {
        Self {
            turns: Turns::new(weights),
        }
    }

    /// The backend of the next request; `None` if no weight is above 0.
    pub fn pick(&mut self) -> Option<usize> {
        self.turns.next(|_| true)
    }
}

/// The backend of one client: weighted rendezvous hashing (highest random weight with logarithmic scores).
///
/// Each backend draws `u` in (0, 1) from `client` and its key and scores `-weight / ln(u)`; the highest score wins,
/// the earlier backend on a draw. A backend wins its weight's share of the clients. No score depends on another
/// backend's weight, so raising one weight moves clients only to that backend, and lowering one only away from it.
/// Weight 0 is never picked; `None` if no weight is above 0 or the lists are empty.
///
/// `backend_keys` go with `weights` by position and must differ, as those of [`backend_keys`] do; `client` is a
/// [`sticky_hash`].
#[must_use]
pub fn sticky_pick(weights: &[u32], backend_keys: &[u64], client: u64) -> Option<usize> {
    let mut best: Option<(usize, f64)> = None;
    for (index, (weight, key)) in weights.iter().zip(backend_keys).enumerate() {
        if *weight == 0 {
            continue;
        }
        let score = -f64::from(*weight) / unit(mix(client ^ mix(*key))).ln();
        if best.is_none_or(|(_, highest)| score > highest) {
            best = Some((index, score));
        }
    }
    best.map(|(index, _)| index)
}

/// A key for each backend from its service's name; the second backend of one service gets one of its own, and so on.
#[must_use]
pub fn backend_keys<'a>(services: impl IntoIterator<Item = &'a str>) -> Vec<u64> {
    let mut keys = Vec::new();
    for service in services {
        let mut key = sticky_hash(service.as_bytes());
        while keys.contains(&key) {
            key = mix(key.wrapping_add(1));
        }
        keys.push(key);
    }
    keys
}

/// What stands for a client: 64-bit FNV-1a of `value`, finished by MurmurHash3's fmix64.
///
/// Part of what users see: the same on every host, worker and version, so that a fleet of gateways sends a client
/// to one backend. Not secret and not keyed: whoever chooses the value can choose the backend, among those the rule
/// has.
#[must_use]
pub fn sticky_hash(value: &[u8]) -> u64 {
    let hash = value.iter().fold(FNV_OFFSET, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(FNV_PRIME)
    });
    mix(hash)
}

/// The finaliser of MurmurHash3 (fmix64): a bijection in which every bit of the input reaches every bit of the output.
const fn mix(mut hash: u64) -> u64 {
    hash ^= hash >> 33;
    hash = hash.wrapping_mul(0xff51_afd7_ed55_8ccd);
    hash ^= hash >> 33;
    hash = hash.wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    hash ^ hash >> 33
}

/// The upper 53 bits as a number in (0, 1), neither end included.
fn unit(hash: u64) -> f64 {
    ((hash >> 11) as f64 + 0.5) / (1_u64 << 53) as f64
}

/// Offset basis and prime of FNV-1a, 64 bits.
const FNV_OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
const FNV_PRIME: u64 = 0x0000_0100_0000_01b3;

#[cfg(test)]
mod tests;
