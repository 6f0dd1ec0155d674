//! The tries of one request: what was tried, what may still be, and until when.

use std::{
    cell::RefCell,
    net::SocketAddr,
    time::{Duration, Instant},
};

use sluice_config::{
    defaults,
    model::{Retry, ServiceProtocol},
};
use sluice_routing::retry::{self, Attempt, Budget, StopReason, Verdict};

use super::{Account, Context, Upload, earlier};
use crate::{
    error::Failure,
    http::{RequestHead, ResponseHead},
    metrics::{RetryCounters, RetryOutcome},
    snapshot::Rule,
    upstream::Lease,
};

/// The tries of one request.
pub(super) struct Retries<'a> {
    /// The request's body, with what is kept of it.
    pub upload: Upload,
    /// When the request's time is over.
    pub deadline: Option<Instant>,
    /// Interim responses passed on.
    pub interims: u32,
    /// It is a call of gRPC.
    is_grpc: bool,
    policy: Option<&'a Retry>,
    counters: &'a RetryCounters,
    budget: &'a RefCell<Budget>,
    backend: Option<Duration>,
    /// When the whole request had been sent to the backend of this try.
    sent_at: Option<Instant>,
    /// Endpoints that failed.
    tried: Vec<SocketAddr>,
    idempotent: bool,
    retries: u32,
    replayed: bool,
    /// The connection of the last try was stale.
    stale: bool,
    reused: bool,
    sent: bool,
}

/// What follows a failed try.
pub(super) enum Again {
    /// Another, after a wait.
    After(Duration),
    /// None.
    No,
}

impl<'a> Retries<'a> {
    /// None yet.
    pub(super) fn new(
        context: &Context,
        rule: &'a Rule,
        budget: &'a RefCell<Budget>,
        request: &RequestHead,
        protocol: ServiceProtocol,
    ) -> Self {
        let now = context.io.now();
        let idempotent = retry::is_idempotent(request.method());
        // Only in HTTP/2 a backend can say that it did nothing.
        let may_refuse = protocol != ServiceProtocol::Http1;
        let is_grpc = request.is_grpc();
        let patience = if is_grpc { request.grpc_timeout() } else { None };
        let kept_max = match &rule.retry {
            Some(policy) => policy.body_limit.bytes(),
            None if idempotent || may_refuse => defaults::REPLAY_BYTES_MAX,
            None => 0,
        };
        if rule.retry.is_some() {
            budget.borrow_mut().on_request(now);
        }
        Self {
            upload: Upload::new(usize::try_from(kept_max).unwrap_or(usize::MAX)),
            deadline: earlier(
                rule.timeouts.request.map(|most| now + most.duration()),
                patience.map(|most| now + most),
            ),
            is_grpc,
            interims: 0,
            policy: rule.retry.as_ref(),
            counters: rule.retries.of(context.worker),
            budget,
            backend: rule.timeouts.backend.map(|most| most.duration()),
            sent_at: None,
            tried: Vec::new(),
            idempotent,
            retries: 0,
            replayed: false,
            stale: false,
            reused: false,
            sent: false,
        }
    }

    /// Endpoints that failed this request.
    pub(super) fn tried(&self) -> &[SocketAddr] {
        &self.tried
    }

    /// Whether it is a call of gRPC.
    pub(super) const fn is_grpc(&self) -> bool {
        self.is_grpc
    }

    /// A try begins.
    pub(super) fn begin(&mut self) {
        self.sent_at = None;
        self.reused = false;
        self.sent = false;
    }

    /// It has a connection, on which the request now goes out.
    pub(super) const fn sent_on(&mut self, lease: &Lease) {
        self.reused = lease.reused;
        self.sent = true;
    }

    /// The last kept connection was stale: others may be.
    pub(super) const fn wants_new_connection(&self) -> bool {
        self.stale
    }

    /// Whether the request's time is over.
    pub(super) fn is_late(&self, now: Instant) -> bool {
        self.deadline.is_some_and(|deadline| deadline <= now)
    }

    /// When the wait for this try's response head ends; runs from the moment the whole request was sent, as a slow
    /// client is not the backend's doing.
    pub(super) fn backend_deadline(&mut self, now: Instant) -> Option<Instant> {
        let sent_at = *self.sent_at.get_or_insert(now);
        self.backend.map(|most| sent_at + most)
    }

    /// Whether a response that begins so is worth another try instead.
    pub(super) fn after_head(
        &mut self,
        context: &Context,
        account: &mut Account<'_>,
        response: &ResponseHead,
        endpoint: SocketAddr,
    ) -> Again {
        account.grpc_status = if self.is_grpc {
            response.grpc_status()
        } else {
            None
        };
        let failure = match account.grpc_status {
            Some(status) => retry::Failure::Grpc(status),
            None => retry::Failure::Status(response.status()),
        };
        let again = self.decide(context, account, failure, false);
        if !matches!(again, Again::No) {
            self.avoid(endpoint);
        } else if self.retries > 0 && account.gave_up.is_none() {
            self.counters.count(RetryOutcome::Succeeded);
        }
        again
    }

    /// Whether a try that failed without an answer is followed by another.
    pub(super) fn after_failure(
        &mut self,
        context: &Context,
        account: &mut Account<'_>,
        failure: retry::Failure,
        endpoint: SocketAddr,
        answer_begun: bool,
    ) -> Again {
        let replayed = self.replayed;
        let again = self.decide(context, account, failure, answer_begun);
        if self.replayed == replayed {
            self.avoid(endpoint);
        }
        again
    }

    /// The next try goes elsewhere if it can.
    fn avoid(&mut self, endpoint: SocketAddr) {
        if !self.tried.contains(&endpoint) {
            self.tried.push(endpoint);
        }
    }

    fn decide(
        &mut self,
        context: &Context,
        account: &mut Account<'_>,
        failure: retry::Failure,
        answer_begun: bool,
    ) -> Again {
        let attempt = Attempt {
            policy: self.policy,
            retries: self.retries,
            failure,
            idempotent: self.idempotent,
            bytes_sent: self.sent,
            reused_connection: self.reused && !answer_begun,
            replayed: self.replayed,
            body_replayable: self.upload.can_replay(),
            response_started: false,
        };
        let mut budget = self.budget.borrow_mut();
        let now = context.io.now();
        let stopped = match context.with_rng(|rng| retry::decide(&attempt, &mut budget, now, rng)) {
            Verdict::Replay => {
                self.replayed = true;
                // What was refused may go by the connection it was refused on.
                self.stale = failure == retry::Failure::Reset;
                return Again::After(Duration::ZERO);
            }
            Verdict::Retry { wait } if self.deadline.is_some_and(|deadline| deadline <= now + wait) => {
                RetryOutcome::Timeout
            }
            Verdict::Retry { wait } => {
                self.retries += 1;
                self.counters.count(RetryOutcome::Retried);
                return Again::After(wait);
            }
            Verdict::Stop(StopReason::NotRetriable) => return Again::No,
            Verdict::Stop(StopReason::ResponseStarted) => RetryOutcome::ResponseStarted,
            Verdict::Stop(StopReason::NotIdempotent) => RetryOutcome::NotIdempotent,
            Verdict::Stop(StopReason::BodyTooLarge) => RetryOutcome::BodyTooLarge,
            Verdict::Stop(StopReason::Exhausted) => RetryOutcome::Exhausted,
            Verdict::Stop(StopReason::Budget) => RetryOutcome::Budget,
        };
        self.counters.count(stopped);
        account.gave_up = Some(stopped);
        Again::No
    }
}

/// What a request fails with when its last try failed so.
pub(super) const fn failure_of(failure: retry::Failure) -> Failure {
    match failure {
        retry::Failure::ConnectFailure => Failure::ConnectFailed,
        retry::Failure::Reset
        | retry::Failure::Refused
        | retry::Failure::Status(_)
        | retry::Failure::Grpc(_) => Failure::UpstreamReset,
        retry::Failure::Timeout => Failure::BackendTimeout,
    }
}
