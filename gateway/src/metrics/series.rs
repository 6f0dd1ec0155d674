//! The groups of counters that the rooms of the request path hold, one group for each thing named.
//!
//! Owns their shape. Refuses labels and text, but for the closed lists of outcomes.

use std::{
    collections::BTreeMap,
    net::IpAddr,
    sync::{Mutex, OnceLock, PoisonError},
};

use sluice_config::defaults::PLAINTEXT_SOURCES_MAX;
use sluice_tls::Reason;

use sluice_routing::authorize::Decision;

use super::{Counter, Gauge, Glitches, Histogram};

/// Requests of one listener, route and service, by class of status.
#[derive(Debug, Default)]
pub struct RequestCounters {
    /// Index 0: ended without an answer (the client went away). 1 to 5: the first digit of the status.
    pub by_class: [Counter; 6],
}

impl RequestCounters {
    /// Counts a request that ended with `status`, or with none.
    pub fn count(&self, status: Option<u16>) {
        let class = status.map_or(0, |status| usize::from(status / 100));
        if let Some(counter) = self.by_class.get(class) {
            counter.inc();
        }
    }
}

/// Connections that were passed on, of one listener, route and service.
#[derive(Debug, Default)]
pub struct PassthroughCounters {
    /// Bytes from clients.
    pub bytes_received: Counter,
    /// Bytes to clients.
    pub bytes_sent: Counter,
    pub(super) by_reason: [Counter; Self::REASONS.len()],
}

impl PassthroughCounters {
    /// Every reason why one may end: names of the access log, and `-` where both sides closed.
    pub const REASONS: [&str; 12] = [
        "-",
        "bad_hello",
        "client_timeout",
        "client_gone",
        "no_route",
        "denied",
        "no_endpoint",
        "connect_failed",
        "overloaded",
        "upstream_reset",
        "idle_timeout",
        "internal",
    ];

    /// Counts one that has ended, for a reason or well.
    pub fn count(&self, reason: Option<&str>) {
        let reason = reason.unwrap_or("-");
        if let Some(index) = Self::REASONS.iter().position(|known| *known == reason) {
            self.by_reason[index].inc();
        }
    }
}

/// What one listener saw.
#[derive(Debug, Default)]
pub struct ListenerMetrics {
    /// Connections taken from the kernel and served.
    pub connections_accepted: Counter,
    /// Connections closed at once, a limit being reached.
    pub connections_refused: Counter,
    /// Connections open now.
    pub connections_active: Gauge,
    /// From the end of a request's head to the end of its response.
    pub request_duration: Histogram,
    /// Bytes from clients.
    pub bytes_received: Counter,
    /// Bytes to clients.
    pub bytes_sent: Counter,
    /// PROXY headers of trusted proxies.
    pub proxy_headers: ProxyHeaders,
    /// TLS handshakes with clients.
    pub(super) handshakes: Handshakes,
    /// What clients of HTTP/2 do that costs more than it costs them, by kind.
    pub glitches: Glitches,
    /// Connections of HTTP/2 that were ended for it.
    pub h2_ended: Counter,
    /// Malformed requests by the rule they broke, one for each rule given to
    /// [`Registry::new`](super::Registry::new).
    pub(super) bad_requests: OnceLock<Box<[(&'static str, Counter)]>>,
}

impl ListenerMetrics {
    /// Counts a TLS handshake that was done.
    pub fn count_handshake(&self, is_resumed: bool) {
        self.handshakes.done[usize::from(is_resumed)].inc();
    }

    /// Counts a TLS handshake that failed.
    pub fn count_failed_handshake(&self, reason: Reason) {
        self.handshakes.failed[reason as usize].inc();
    }

    /// Counts a malformed request. A rule that is not on the list given to
    /// [`Registry::new`](super::Registry::new) is not counted.
    pub fn count_bad_request(&self, rule: &str) {
        let rules = self.bad_requests.get().map(AsRef::as_ref).unwrap_or_default();
        if let Some((_, counter)) = rules.iter().find(|(name, _)| *name == rule) {
            counter.inc();
        }
    }
}

/// What became of PROXY headers.
#[derive(Debug, Default)]
pub struct ProxyHeaders {
    pub(super) by_result: [Counter; Self::RESULTS.len()],
}

impl ProxyHeaders {
    /// A client was told, or the proxy itself; or why the connection was closed.
    pub const RESULTS: [&str; 8] = [
        "told",
        "local",
        "missing",
        "malformed",
        "too_long",
        "bad_checksum",
        "closed",
        "timeout",
    ];

    /// Counts one.
    pub fn count(&self, result: &str) {
        if let Some(index) = Self::RESULTS.iter().position(|known| *known == result) {
            self.by_result[index].inc();
        }
    }
}

/// Connections in plaintext by where they came from, on a listener that speaks TLS too. All workers count here, behind a
/// lock: it is taken once for such a connection, and never for a request.
#[derive(Debug, Default)]
pub struct PlaintextPeers(Mutex<Sources>);

#[derive(Debug, Default)]
struct Sources {
    named: BTreeMap<IpAddr, u64>,
    others: u64,
}

impl PlaintextPeers {
    /// Counts one. The first [`PLAINTEXT_SOURCES_MAX`] addresses are counted each by itself, those after together.
    pub fn count(&self, source: IpAddr) {
        let mut sources = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let has_room = sources.named.len() < PLAINTEXT_SOURCES_MAX;
        match sources.named.get_mut(&source) {
            Some(count) => *count += 1,
            None if has_room => _ = sources.named.insert(source, 1),
            None => sources.others += 1,
        }
    }

    /// How many came from where; `other` stands for those after the first.
    #[must_use]
    pub fn by_source(&self) -> Vec<(String, u64)> {
        let sources = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let named = sources
            .named
            .iter()
            .map(|(source, count)| (source.to_canonical().to_string(), *count));
        let others = (sources.others > 0).then(|| ("other".to_owned(), sources.others));
        named.chain(others).collect()
    }
}

/// What one service did.
#[derive(Debug, Default)]
pub struct ServiceMetrics {
    /// From the pick of an endpoint to the end of the response's head, each try by itself.
    pub upstream_duration: Histogram,
    /// Connections made.
    pub connects: Counter,
    /// Connections that could not be made, timed out ones too.
    pub connect_failures: Counter,
    /// Tries on a kept connection.
    pub pool_hits: Counter,
    /// Tries in flight now.
    pub requests_active: Gauge,
    /// Kept connections idle now.
    pub connections_idle: Gauge,
    /// Requests refused because too many were in flight.
    pub overloaded: Counter,
    /// Endpoints left out for failing.
    pub ejections: Counter,
    /// 1 while certificates of its endpoints are not checked; told by the control thread, on the first worker's.
    pub tls_unverified: Gauge,
    /// TLS handshakes with its endpoints.
    pub(super) handshakes: Handshakes,
}

impl ServiceMetrics {
    /// Counts a TLS handshake that was done.
    pub fn count_handshake(&self, is_resumed: bool) {
        self.handshakes.done[usize::from(is_resumed)].inc();
    }

    /// Counts a TLS handshake that failed.
    pub fn count_failed_handshake(&self, reason: Reason) {
        self.handshakes.failed[reason as usize].inc();
    }
}

/// What became of TLS handshakes.
#[derive(Debug, Default)]
pub(super) struct Handshakes {
    /// Those done: in full, and by a ticket of an earlier one.
    pub(super) done: [Counter; 2],
    /// Those that failed, by the number of the reason.
    pub(super) failed: [Counter; Reason::ALL.len()],
}

/// What became of a wish to try again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(usize)]
pub enum RetryOutcome {
    /// Another try was sent.
    Retried,
    /// A later try was answered with what the rule does not retry.
    Succeeded,
    /// No attempts were left.
    Exhausted,
    /// The budget was spent.
    Budget,
    /// The method may not be repeated (RFC 9110 9.2.2).
    NotIdempotent,
    /// The body is larger than what is kept for a replay.
    BodyTooLarge,
    /// The response had begun.
    ResponseStarted,
    /// The request's time was over.
    Timeout,
}

impl RetryOutcome {
    /// How many there are.
    pub const COUNT: usize = Self::ALL.len();

    /// Every outcome, in the order of the counters.
    pub const ALL: [Self; 8] = [
        Self::Retried,
        Self::Succeeded,
        Self::Exhausted,
        Self::Budget,
        Self::NotIdempotent,
        Self::BodyTooLarge,
        Self::ResponseStarted,
        Self::Timeout,
    ];

    /// As label and in the access log.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Retried => "retried",
            Self::Succeeded => "succeeded",
            Self::Exhausted => "exhausted",
            Self::Budget => "budget",
            Self::NotIdempotent => "not_idempotent",
            Self::BodyTooLarge => "body_too_large",
            Self::ResponseStarted => "response_started",
            Self::Timeout => "timeout",
        }
    }
}

/// Retries of one route.
#[derive(Debug, Default)]
pub struct RetryCounters {
    /// By [`RetryOutcome`].
    pub by_outcome: [Counter; RetryOutcome::COUNT],
}

impl RetryCounters {
    /// Counts one outcome.
    pub fn count(&self, outcome: RetryOutcome) {
        self.by_outcome[outcome as usize].inc();
    }
}

/// Decisions of one policy.
#[derive(Debug, Default)]
pub struct PolicyCounters {
    /// By [`Decision`].
    pub by_decision: [Counter; Decision::ALL.len()],
}

impl PolicyCounters {
    /// Counts one decision.
    pub fn count(&self, decision: Decision) {
        self.by_decision[decision as usize].inc();
    }
}

/// How a health check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(usize)]
pub enum CheckResult {
    /// Well.
    Passed,
    /// Without a connection.
    Connect,
    /// Without TLS with whom it should be.
    Tls,
    /// With a status that does not pass.
    Status,
    /// Without a whole answer.
    Broken,
    /// Not in time.
    Timeout,
}

impl CheckResult {
    /// Every result, in the order of the counters.
    pub const ALL: [Self; 6] = [
        Self::Passed,
        Self::Connect,
        Self::Tls,
        Self::Status,
        Self::Broken,
        Self::Timeout,
    ];

    /// As label.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Connect => "connect_failed",
            Self::Tls => "tls_failed",
            Self::Status => "bad_status",
            Self::Broken => "broken",
            Self::Timeout => "timeout",
        }
    }
}

/// What the control thread knows of the endpoints of one service.
#[derive(Debug, Default)]
pub struct EndpointMetrics {
    /// Endpoints that may be picked as far as health checks tell; all of them where there is none.
    pub healthy: Gauge,
    /// Endpoints that health checks hold to be down.
    pub unhealthy: Gauge,
    by_result: [Counter; CheckResult::ALL.len()],
}

impl EndpointMetrics {
    /// Counts one health check.
    pub fn count(&self, result: CheckResult) {
        self.by_result[result as usize].inc();
    }

    /// How many ended so.
    #[must_use]
    pub fn checks(&self, result: CheckResult) -> u64 {
        self.by_result[result as usize].get()
    }
}

/// What one worker did, whatever the listener.
#[derive(Debug, Default)]
pub struct WorkerMetrics {
    /// Times accepting stopped for want of file descriptors or room.
    pub accept_paused: Counter,
    /// Panics caught.
    pub panics: Counter,
    /// Lines of the access log that were dropped.
    pub access_log_dropped: Counter,
    /// Generation of the snapshot in use.
    pub snapshot_generation: Gauge,
    /// Tunnels open now.
    pub tunnels_active: Gauge,
    /// The I/O driver, once chosen: `uring` or `epoll`.
    pub driver: OnceLock<&'static str>,
}
