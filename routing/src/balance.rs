//! Balancing: which endpoint of a service takes a request.
//!
//! Owns the pick among endpoints. Refuses to know health, load or what was tried before: the caller answers those
//! by position, and decides what to do when none is usable.

mod sampler;

use fastrand::Rng;
use sluice_config::model::Balance;

use crate::turns::Turns;
use sampler::Sampler;

/// Picks endpoints of one service for one worker.
#[derive(Debug, Clone)]
pub struct Balancer {
    way: Way,
}

#[derive(Debug, Clone)]
enum Way {
    LeastRequest(Sampler),
    RoundRobin(Turns),
    Random(Sampler),
}

impl Balancer {
    /// For endpoints of these weights, in this order. An endpoint of weight 0 is never picked.
    #[must_use]
    pub fn new(kind: Balance, weights: &[u32]) -> Self {
        let way = match kind {
            Balance::LeastRequest => Way::LeastRequest(Sampler::new(weights)),
            Balance::RoundRobin => Way::RoundRobin(Turns::new(weights)),
            Balance::Random => Way::Random(Sampler::new(weights)),
        };
        Self { way }
    }

    /// The endpoint for the next request, among those `usable`; `None` if none is.
    ///
    /// `load` is an endpoint's requests in flight. `leastRequest` and `random` cost the same for two endpoints and
    /// for thousands while most of the weight is usable; `roundRobin` looks at every endpoint.
    pub fn pick(
        &mut self,
        load: impl Fn(usize) -> u32,
        usable: impl Fn(usize) -> bool,
        rng: &mut Rng,
    ) -> Option<usize> {
        match &mut self.way {
            Way::LeastRequest(sampler) => less_loaded_of_two(sampler, load, usable, rng),
            Way::RoundRobin(turns) => turns.next(usable),
            Way::Random(sampler) => sampler.draw(usable, rng),
        }
    }
}

/// The power of two choices (Mitzenmacher, 2001): nearly as even as asking all, without the herd that follows when
/// several workers all see the same least loaded one.
///
/// Both are drawn by weight and the first is taken unless the second is less loaded for its weight, so that an idle
/// service too is used by weight.
fn less_loaded_of_two(
    sampler: &Sampler,
    load: impl Fn(usize) -> u32,
    usable: impl Fn(usize) -> bool,
    rng: &mut Rng,
) -> Option<usize> {
    let first = sampler.draw(&usable, rng)?;
    let Some(second) = sampler.draw(|index| index != first && usable(index), rng) else {
        return Some(first);
    };
    let weighed = |one: usize, other: usize| u64::from(load(one)) * u64::from(sampler.weight(other));
    Some(match weighed(second, first) < weighed(first, second) {
        true => second,
        false => first,
    })
}

#[cfg(test)]
mod tests;
