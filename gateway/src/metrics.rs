//! Metrics: what workers count and how it is told.
//!
//! Owns the counters, their allotment by names of the configuration ([`Registry`]) and the text of a scrape.
//! Refuses locks and read-modify-write instructions on the request path, and labels taken from a client's
//! bytes: every label is a name of the configuration or of a closed list of this program. The exceptions, each of a
//! bounded number, are the addresses of peers that speak plaintext where TLS is wanted, and methods of gRPC.

mod exposition;
mod glitch;
mod grpc;
mod page;
mod registry;
mod series;

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
    time::Duration,
};

pub use glitch::{Glitch, Glitches};
pub use grpc::{GrpcMethods, MethodCounters};
pub use registry::{ControlMetrics, Registry};
pub use series::{
    CheckResult, EndpointMetrics, ListenerMetrics, PassthroughCounters, PlaintextPeers, PolicyCounters,
    ProxyHeaders, RequestCounters, RetryCounters, RetryOutcome, ServiceMetrics, WorkerMetrics,
};

/// A number that only grows. One thread writes it, any thread may read it.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds one.
    pub fn inc(&self) {
        self.add(1);
    }

    /// Adds `amount`. With a single writer a load and a store lose nothing and cost no lock prefix.
    pub fn add(&self, amount: u64) {
        self.0.store(
            self.0.load(Ordering::Relaxed).wrapping_add(amount),
            Ordering::Relaxed,
        );
    }

    /// The sum so far.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A number that goes up and down. One thread writes it, any thread may read it.
#[derive(Debug, Default)]
pub struct Gauge(AtomicI64);

impl Gauge {
    /// Adds one.
    pub fn inc(&self) {
        self.set(self.get().wrapping_add(1));
    }

    /// Takes one away.
    pub fn dec(&self) {
        self.set(self.get().wrapping_sub(1));
    }

    /// Sets it.
    pub fn set(&self, value: i64) {
        self.0.store(value, Ordering::Relaxed);
    }

    /// As it stands.
    #[must_use]
    pub fn get(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// How often a duration fell between fixed bounds. One thread writes it, any thread may read it.
#[derive(Debug, Default)]
pub struct Histogram {
    /// One for each of [`BUCKET_MICROSECONDS`], and one for what is longer.
    buckets: [Counter; BUCKET_MICROSECONDS.len() + 1],
    sum_nanoseconds: Counter,
}

impl Histogram {
    /// Counts one duration.
    pub fn observe(&self, duration: Duration) {
        let microseconds = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        let bucket = BUCKET_MICROSECONDS.partition_point(|&bound| bound < microseconds);
        self.buckets[bucket].inc();
        self.sum_nanoseconds
            .add(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX));
    }
}

/// Upper bounds of the buckets of every histogram, inclusive: half a millisecond, where a good backend on the
/// same rack answers, to half a minute, where every default time-out has passed.
const BUCKET_MICROSECONDS: [u64; 15] = [
    500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000,
    5_000_000, 10_000_000, 30_000_000,
];

/// One `T` for each worker, each on cache lines of its own so that workers do not disturb each other.
pub struct PerWorker<T>(Arc<[Padded<T>]>);

impl<T: Default> PerWorker<T> {
    /// For `workers` workers, all at their default.
    #[must_use]
    pub fn new(workers: usize) -> Self {
        Self((0..workers).map(|_| Padded(T::default())).collect())
    }
}

impl<T> PerWorker<T> {
    /// The one that worker `worker` writes; `worker` counts from 0 and is below the number given at the start.
    #[must_use]
    pub fn of(&self, worker: usize) -> &T {
        &self.0[worker].0
    }

    /// Each worker's, in order.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.0.iter().map(|padded| &padded.0)
    }
}

impl<T> Clone for PerWorker<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T: fmt::Debug> fmt::Debug for PerWorker<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

/// Two cache lines: the adjacent-line prefetcher of x86 works on pairs.
#[derive(Debug)]
#[repr(align(128))]
struct Padded<T>(T);

#[cfg(test)]
mod tests;
