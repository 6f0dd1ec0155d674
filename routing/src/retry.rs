//! Retries: whether a failed try is worth another, whether that is safe, and when.
//!
//! Owns the decision and the budget. Refuses to try: it picks no endpoint, keeps no body and waits for nothing.

mod budget;

use std::time::{Duration, Instant};

use fastrand::Rng;
use sluice_config::model::{GrpcStatus, Retry, RetryOn};

pub use budget::Budget;

/// How a try failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// No connection: refused, unreachable, timed out. Nothing of the request was sent.
    ConnectFailure,
    /// The connection ended before a whole response head.
    Reset,
    /// The backend said that it did nothing with the request, or nothing of it left.
    Refused,
    /// The rule's `backend` timeout passed before a whole response head.
    Timeout,
    /// The backend answered with this status, and nothing of that answer has gone to the client.
    Status(u16),
    /// The backend ended the call of gRPC with this status and without a message.
    Grpc(GrpcStatus),
}

/// A try that failed, and what bears on another.
#[derive(Debug, Clone, Copy)]
pub struct Attempt<'r> {
    /// The rule's policy.
    pub policy: Option<&'r Retry>,
    /// Retries made for this request before; replays do not count.
    pub retries: u32,
    /// How it failed.
    pub failure: Failure,
    /// Whether the method [is idempotent](is_idempotent).
    pub idempotent: bool,
    /// Whether any byte of the request went into this try's connection.
    pub bytes_sent: bool,
    /// Whether the connection had served a request before and gave not one byte of a response to this one.
    pub reused_connection: bool,
    /// Whether this request was [replayed](Verdict::Replay) before.
    pub replayed: bool,
    /// Whether all of the body that was sent is still held.
    pub body_replayable: bool,
    /// Whether any byte of a final response went to the client.
    pub response_started: bool,
}

/// What to do after a failed try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Send it again at once on a new connection, to the same endpoint if need be: the kept one was stale. Takes
    /// nothing from attempts and budget, as the backend never saw a request fail.
    Replay,
    /// Try again after waiting, on another endpoint if there is one. The budget is charged.
    Retry {
        /// How long to wait.
        wait: Duration,
    },
    /// Answer with this failure.
    Stop(StopReason),
}

/// Why there is no other try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopReason {
    /// No policy, or the failure is none of those it names.
    NotRetriable,
    /// The client has part of a response.
    ResponseStarted,
    /// The backend may have acted on a method that must not be repeated.
    NotIdempotent,
    /// The body was larger than is kept.
    BodyTooLarge,
    /// The policy's attempts are used up.
    Exhausted,
    /// The service's budget is used up.
    Budget,
}

impl StopReason {
    /// As metrics and the access log name it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NotRetriable => "not_retriable",
            Self::ResponseStarted => "response_started",
            Self::NotIdempotent => "not_idempotent",
            Self::BodyTooLarge => "body_too_large",
            Self::Exhausted => "exhausted",
            Self::Budget => "budget",
        }
    }
}

/// Whether a try that failed is followed by another.
///
/// A stale kept connection is told from a failing backend by what happened on it: used before, and closed without
/// a byte of answer. Servers close idle connections at any time (RFC 9112 9.5), so such a request is replayed once
/// even without a policy, if it is idempotent or nothing of it was sent (RFC 9110 9.2.2, RFC 9112 9.3.1). So is one
/// that the backend refused untouched, whatever its method (RFC 9113 8.7). For the rest, the budget is asked last, so that only retries that happen are charged.
pub fn decide(attempt: &Attempt<'_>, budget: &mut Budget, now: Instant, rng: &mut Rng) -> Verdict {
    if attempt.response_started {
        return Verdict::Stop(StopReason::ResponseStarted);
    }
    let refused = attempt.failure == Failure::Refused;
    let repeatable = attempt.idempotent || !attempt.bytes_sent || refused;
    let stale = refused || attempt.failure == Failure::Reset && attempt.reused_connection;
    if stale && !attempt.replayed && repeatable && attempt.body_replayable {
        return Verdict::Replay;
    }
    let Some(policy) = attempt
        .policy
        .filter(|policy| covers(&policy.on, attempt.failure))
    else {
        return Verdict::Stop(StopReason::NotRetriable);
    };
    if !repeatable && !policy.unsafe_methods {
        Verdict::Stop(StopReason::NotIdempotent)
    } else if !attempt.body_replayable {
        Verdict::Stop(StopReason::BodyTooLarge)
    } else if attempt.retries >= u32::from(policy.attempts) {
        Verdict::Stop(StopReason::Exhausted)
    } else if !budget.try_withdraw(now) {
        Verdict::Stop(StopReason::Budget)
    } else {
        let wait = backoff(policy, attempt.retries + 1, rng);
        Verdict::Retry { wait }
    }
}

/// Whether sending it twice asks for the same as sending it once (RFC 9110 9.2.2). Methods unknown here do not.
#[must_use]
pub fn is_idempotent(method: &str) -> bool {
    matches!(method, "GET" | "HEAD" | "OPTIONS" | "TRACE" | "PUT" | "DELETE")
}

/// How long to wait before retry number `retry` (from 1): anything up to `backoff_base` doubled with each retry and
/// bounded by `backoff_max`. With full jitter, as clients that failed together must not come back together.
#[must_use]
pub fn backoff(policy: &Retry, retry: u32, rng: &mut Rng) -> Duration {
    let doublings = retry.saturating_sub(1).min(31);
    let longest = policy
        .backoff_base
        .duration()
        .saturating_mul(1 << doublings)
        .min(policy.backoff_max.duration());
    longest.mul_f64(rng.f64())
}

fn covers(on: &[RetryOn], failure: Failure) -> bool {
    on.iter().any(|condition| match (condition, failure) {
        (RetryOn::ConnectFailure, Failure::ConnectFailure)
        | (RetryOn::Reset, Failure::Reset | Failure::Refused)
        | (RetryOn::RefusedStream, Failure::Refused)
        | (RetryOn::Timeout, Failure::Timeout) => true,
        (RetryOn::GatewayError, Failure::Status(status)) => (502..=504).contains(&status),
        (RetryOn::ServerError, Failure::Status(status)) => (500..=599).contains(&status),
        (RetryOn::Status(wanted), Failure::Status(status)) => *wanted == status,
        (RetryOn::Grpc(wanted), Failure::Grpc(status)) => *wanted == status,
        _ => false,
    })
}

#[cfg(test)]
mod tests;
