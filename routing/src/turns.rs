//! Taking turns in proportion to weight.
//!
//! Owns smooth weighted round robin, on which splits and the round robin balancer both stand. Refuses to know what
//! the turns are for.
//!
//! Each pick credits every entry its weight, takes the one with the most credit and charges it the sum of the
//! weights. With the weights divided by their greatest common divisor, and every entry taking part, the credits
//! are all zero again after `sum` picks: credits add up to zero, each is above `-sum` (only an entry with positive
//! credit is charged), and after `sum` picks each is a multiple of `sum`. So the picks repeat with that period,
//! every window of that length holds each entry exactly its weight, and turns of one entry lie far apart.

/// The entries and whose turn it is. A pick looks at every entry, unless all weigh the same: then the credits would
/// lead from one entry to the next, and so the pick just goes there.
#[derive(Debug, Clone)]
pub(crate) struct Turns {
    entries: Vec<Entry>,
    all_alike: bool,
    /// Where a round goes on, if all are alike.
    next: usize,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    weight: i64,
    credit: i64,
}

impl Turns {
    pub(crate) fn new(weights: &[u32]) -> Self {
        let divisor = weights.iter().copied().fold(0, gcd).max(1);
        let entry = |weight: &u32| Entry {
            weight: i64::from(weight / divisor),
            credit: 0,
        };
        Self {
            entries: weights.iter().map(entry).collect(),
            all_alike: weights.iter().all(|weight| *weight == divisor),
            next: 0,
        }
    }

    /// The next among those `usable` whose weight is not zero. The others neither gain nor lose meanwhile.
    pub(crate) fn next(&mut self, usable: impl Fn(usize) -> bool) -> Option<usize> {
        match self.all_alike {
            true => self.next_alike(usable),
            false => self.next_weighted(usable),
        }
    }

    fn next_alike(&mut self, usable: impl Fn(usize) -> bool) -> Option<usize> {
        let index = (self.next..self.entries.len())
            .chain(0..self.next)
            .find(|index| usable(*index))?;
        self.next = index + 1;
        Some(index)
    }

    fn next_weighted(&mut self, usable: impl Fn(usize) -> bool) -> Option<usize> {
        let mut sum = 0;
        let mut best: Option<(usize, i64)> = None;
        for (index, entry) in self.entries.iter_mut().enumerate() {
            if entry.weight == 0 || !usable(index) {
                continue;
            }
            sum += entry.weight;
            entry.credit += entry.weight;
            if best.is_none_or(|(_, credit)| entry.credit > credit) {
                best = Some((index, entry.credit));
            }
        }
        let (index, _) = best?;
        self.entries[index].credit -= sum;
        Some(index)
    }
}

const fn gcd(one: u32, other: u32) -> u32 {
    if other == 0 { one } else { gcd(other, one % other) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turns_of_one_entry_lie_apart() {
        let mut turns = Turns::new(&[50, 10, 10]);
        let picks: Vec<_> = (0..7).filter_map(|_| turns.next(|_| true)).collect();
        assert_eq!(picks, [0, 0, 1, 0, 2, 0, 0]);
    }

    #[test]
    fn who_is_not_usable_is_passed_over_and_comes_back() {
        let mut turns = Turns::new(&[1, 1, 1]);
        let picks: Vec<_> = (0..4).filter_map(|_| turns.next(|index| index != 1)).collect();
        assert_eq!(picks, [0, 2, 0, 2]);
        let picks: Vec<_> = (0..4).filter_map(|_| turns.next(|_| true)).collect();
        assert_eq!(picks, [0, 1, 2, 0]);
        assert_eq!(turns.next(|_| false), None);
        let mut turns = Turns::new(&[1, 2, 1]);
        let picks: Vec<_> = (0..4).filter_map(|_| turns.next(|index| index != 1)).collect();
        assert_eq!(picks, [0, 2, 0, 2]);
        let picks: Vec<_> = (0..4).filter_map(|_| turns.next(|_| true)).collect();
        assert_eq!(picks, [1, 0, 2, 1]);
        assert_eq!(turns.next(|_| false), None);
    }

    #[test]
    fn weights_at_their_bound_do_not_overflow() {
        let mut turns = Turns::new(&[1_000_000; 1000]);
        assert!((0..3000).all(|pick| turns.next(|_| true) == Some(pick % 1000)));
        let mut turns = Turns::new(&[u32::MAX, u32::MAX - 1]);
        assert!((0..100).all(|pick| turns.next(|_| true) == Some(pick % 2)));
    }
}
