//! The load: wrk where a peer is to give what it has, h2load where the rate is fixed or HTTP/2 is spoken, openssl where
//! sessions are resumed, and a reader of our own where bytes are only passed on.
//!
//! A run that had one wrong answer has no figure. wrk looks at every answer (status and length of the body) in a first
//! pass, which also warms the peer up; as that costs the core of the load more than the peers cost theirs, in the
//! measured pass it counts what is above status 399, broken or late, and the bytes must come to what they were in the
//! first. h2load counts statuses and bytes of bodies itself.

mod bulk;
mod h2load;
mod openssl;
mod streams;
mod wrk;

pub(crate) use bulk::{DrainArguments, bulk, drain};
pub(crate) use h2load::at_rate;
pub(crate) use openssl::handshakes;
pub(crate) use streams::StreamsLoad;
pub(crate) use wrk::Wrk;

/// What clients saw of one turn.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Seen {
    /// All answers of the turn, each of them right; or mebibytes, where there are no answers.
    pub(crate) amount: u64,
    pub(crate) per_second: f64,
    /// Absent where the generator tells none.
    pub(crate) times: Option<Times>,
}

/// Microseconds from a request to the end of its answer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Times {
    pub(crate) p50_us: f64,
    pub(crate) p99_us: f64,
    pub(crate) p999_us: f64,
}
