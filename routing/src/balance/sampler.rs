//! Drawing by weight in constant time.
//!
//! Owns an alias table (Walker 1977, built as Vose 1991 does) in whole numbers, so shares are exact. Refuses to
//! change: a new set of weights is a new table.

use fastrand::Rng;

/// Draws positions in proportion to weight.
#[derive(Debug, Clone)]
pub(super) struct Sampler {
    columns: Vec<Column>,
    /// The height of a column: the sum of the weights.
    sum: u64,
}

/// One column of the table: up to `own` it stands for its own position, above for `other`.
#[derive(Debug, Clone, Copy)]
struct Column {
    own: u64,
    other: u32,
    weight: u32,
}

impl Sampler {
    pub(super) fn new(weights: &[u32]) -> Self {
        let sum = weights.iter().copied().map(u64::from).sum();
        let count = weights.len() as u64;
        // Each weight times the count fills the columns, each as high as the sum, without a rest. A u32 each for
        // weight and count keep the product in 64 bits.
        let mut columns: Vec<_> = weights
            .iter()
            .map(|weight| Column {
                own: u64::from(*weight) * count,
                other: 0,
                weight: *weight,
            })
            .collect();
        let (mut short, mut tall): (Vec<_>, Vec<_>) =
            (0..columns.len()).partition(|index| columns[*index].own < sum);
        while let (Some(needy), Some(giver)) = (short.pop(), tall.pop()) {
            columns[needy].other = giver as u32;
            columns[giver].own -= sum - columns[needy].own;
            match columns[giver].own < sum {
                true => short.push(giver),
                false => tall.push(giver),
            }
        }
        Self { columns, sum }
    }

    /// The weight at `index`.
    pub(super) fn weight(&self, index: usize) -> u32 {
        self.columns[index].weight
    }

    /// A position in proportion to weight among those that `accept` takes; `None` if it takes none of weight.
    ///
    /// Draws from all until one is taken, which is a fair draw from those taken. Where that is likely to take longer
    /// than looking at every position, it does that: in small sets, and after [`DRAWS_MAX`] draws in vain.
    pub(super) fn draw(&self, accept: impl Fn(usize) -> bool, rng: &mut Rng) -> Option<usize> {
        if self.sum == 0 {
            return None;
        }
        let draws = if self.columns.len() <= SMALL { 0 } else { DRAWS_MAX };
        for _ in 0..draws {
            let index = self.draw_any(rng);
            if accept(index) {
                return Some(index);
            }
        }
        let left = |index: &usize| self.columns[*index].weight > 0 && accept(*index);
        let weight = |index: usize| u64::from(self.columns[index].weight);
        let sum: u64 = (0..self.columns.len()).filter(left).map(weight).sum();
        let mut position = if sum == 0 { return None } else { rng.u64(0..sum) };
        (0..self.columns.len()).filter(left).find(|index| {
            let hit = position < weight(*index);
            position = position.wrapping_sub(weight(*index));
            hit
        })
    }

    #[inline]
    fn draw_any(&self, rng: &mut Rng) -> usize {
        let index = rng.usize(0..self.columns.len());
        let column = self.columns[index];
        // A full column needs no second draw: with equal weights all are.
        if column.own >= self.sum || rng.u64(0..self.sum) < column.own {
            index
        } else {
            column.other as usize
        }
    }
}

/// Draws before looking at all: with half of the weight usable, one pick in 256 pays for a look.
const DRAWS_MAX: u32 = 8;

/// In sets of two or three most draws of a second one would hit the first again.
const SMALL: usize = 3;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_table_holds_every_weight_exactly(weights in prop::collection::vec(0_u32..=1_000_000, 0..40)) {
            let sampler = Sampler::new(&weights);
            let mut held = vec![0_u64; weights.len()];
            for (index, column) in sampler.columns.iter().enumerate() {
                let own = column.own.min(sampler.sum);
                held[index] += own;
                held[column.other as usize] += sampler.sum - own;
            }
            let count = weights.len() as u64;
            let expected: Vec<_> = weights.iter().map(|weight| u64::from(*weight) * count).collect();
            prop_assert_eq!(held, expected);
        }

        #[test]
        fn draws_only_what_is_accepted_and_has_weight(
            weights in prop::collection::vec(0_u32..3, 0..20),
            accepted in prop::collection::vec(any::<bool>(), 20),
            seed: u64,
        ) {
            let sampler = Sampler::new(&weights);
            let drawn = sampler.draw(|index| accepted[index], &mut fastrand::Rng::with_seed(seed));
            let left = |index: usize| weights[index] > 0 && accepted[index];
            match drawn {
                Some(index) => prop_assert!(left(index)),
                None => prop_assert!(!(0..weights.len()).any(left)),
            }
        }
    }
}
