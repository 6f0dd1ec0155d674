//! What is told of a request when it is over: counters and the access log.

use std::{
    cell::OnceCell,
    net::SocketAddr,
    time::{Instant, SystemTime},
};

use sluice_config::model::{ForwardCertificate, GrpcStatus, ListenerId, PolicyId};
use sluice_routing::authorize::Decision;

use super::{Client, Context, Current};
use crate::{
    access_log::{self, Entry, Noted, Reason},
    answer,
    error::Failure,
    http::{Forwarded, Known, RequestHead, RequestId, Scheme, Version},
    metrics::{PerWorker, RequestCounters, RetryOutcome},
    snapshot::{Backend, Listener, Rule, Served, Snapshot},
    upstream::Service,
};

/// The notes of one request.
pub(super) struct Account<'a> {
    /// The status the client gets.
    pub(super) status: Option<u16>,
    /// How the call of gRPC ended, where it is one.
    pub(super) grpc_status: Option<GrpcStatus>,
    /// Why there was no further try, where one was wished for.
    pub(super) gave_up: Option<RetryOutcome>,
    /// What the client may be believed about itself.
    pub(super) forwarded: Forwarded,
    /// The id given to a request that came without one.
    pub(super) made_id: OnceCell<RequestId>,
    endpoint: Option<SocketAddr>,
    attempts: u32,
    try_started: Option<Instant>,
    answered_at: Option<Instant>,
    served: Option<&'a PerWorker<RequestCounters>>,
    listener_id: ListenerId,
    rule: Option<&'a Rule>,
    service: Option<&'a Service>,
    failure: Option<Failure>,
    /// For the log only.
    noted: Vec<Noted<'a>>,
    snapshot: &'a Snapshot,
    started: Instant,
    counted: bool,
    bytes_before: (u64, u64),
}

impl<'a> Account<'a> {
    /// Opens at the end of the request's head.
    #[must_use]
    pub(super) fn open(
        context: &Context,
        current: &'a Current,
        client: &Client,
        request: &mut RequestHead,
    ) -> Self {
        let listener = &current.snapshot.listeners[client.listener.0];
        let trusted = &listener.settings.trusted_proxies;
        let scheme = Scheme::by(client.wire.transport().is_secure());
        let tls = listener.settings.tls.as_ref();
        let certificate = tls.map_or(ForwardCertificate::None, |tls| tls.client_auth.forward);
        Self {
            listener_id: client.listener,
            endpoint: None,
            status: None,
            grpc_status: None,
            attempts: 0,
            gave_up: None,
            try_started: None,
            answered_at: None,
            served: Some(&listener.unrouted),
            forwarded: Forwarded::read(request, client.peer.ip(), trusted, scheme, certificate),
            made_id: OnceCell::new(),
            rule: None,
            service: None,
            failure: None,
            noted: Vec::new(),
            snapshot: &current.snapshot,
            started: context.io.now(),
            counted: false,
            bytes_before: client.bytes_before,
        }
    }

    /// A rule took it.
    pub(super) const fn routed(&mut self, rule: &'a Rule) {
        self.rule = Some(rule);
    }

    /// A policy did something, or, run dry, would have.
    pub(super) fn decided(&mut self, context: &Context, policy: PolicyId, decision: Decision) {
        self.snapshot.policies[policy.0]
            .of(context.worker)
            .count(decision);
        let is_told = !matches!(decision, Decision::Allow | Decision::Deny);
        if is_told && context.log.borrow().is_some() {
            self.noted.push(Noted {
                decision: decision.as_str(),
                policy: self.policy_name(policy),
            });
        }
    }

    fn listener(&self) -> &'a Listener {
        &self.snapshot.listeners[self.listener_id.0]
    }

    fn policy_name(&self, policy: PolicyId) -> &'a str {
        self.snapshot.model.policies[policy.0].name.as_str()
    }

    /// A share of the rule's split took it.
    pub(super) fn shared(&mut self, current: &'a Current, share: &'a Backend) {
        self.service = Some(&current.services[share.service.0]);
        self.served_by(&share.served);
    }

    /// These counters are for it.
    pub(super) fn served_by(&mut self, served: &'a Served) {
        self.served = served.by(self.listener_id);
    }

    /// A try begins.
    pub(super) const fn tries(&mut self, endpoint: SocketAddr, now: Instant) {
        self.endpoint = Some(endpoint);
        self.attempts += 1;
        self.try_started = Some(now);
        self.answered_at = None;
    }

    /// The endpoint of the last try.
    pub(super) const fn endpoint(&self) -> Option<SocketAddr> {
        self.endpoint
    }

    /// The try's response head is there.
    pub(super) const fn answered_at(&mut self, now: Instant) {
        self.answered_at = Some(now);
    }

    /// It failed.
    pub(super) const fn failed(&mut self, failure: Failure) {
        self.failure = Some(failure);
    }

    /// Counts it: at its end, or when a tunnel opens, whose end may be hours away.
    pub(super) fn count(&mut self, context: &Context) {
        if std::mem::replace(&mut self.counted, true) {
            return;
        }
        let metrics = self.listener().metrics.of(context.worker);
        metrics
            .request_duration
            .observe(context.io.now().saturating_duration_since(self.started));
        if let Some(Failure::BadRequest { rule, .. }) = self.failure {
            metrics.count_bad_request(rule);
        }
        if let Some(served) = self.served {
            served.of(context.worker).count(self.status);
        }
    }

    /// Closes at the end of the response.
    pub(super) fn close(mut self, context: &Context, client: &Client, request: &RequestHead) {
        self.count(context);
        self.count_call(context, request);
        let (received, sent) = client.wire.bytes();
        let metrics = self.listener().metrics.of(context.worker);
        let (received, sent) = (received - self.bytes_before.0, sent - self.bytes_before.1);
        metrics.bytes_received.add(received);
        metrics.bytes_sent.add(sent);
        if let Some(log) = context.log.borrow_mut().as_mut() {
            log.write(&self.entry(context, client, request, (received, sent)));
        }
    }

    /// Counts a call of gRPC that was for a service.
    fn count_call(&self, context: &Context, request: &RequestHead) {
        let told = self.service.filter(|service| service.counts_calls());
        let Some(service) = told.filter(|_| request.is_grpc()) else {
            return;
        };
        // One that nobody answered to its end ends by what stopped it.
        let failed = self
            .failure
            .map(|failure| answer::to(failure).map(|answer| answer.grpc));
        let status = self
            .grpc_status
            .or_else(|| failed.map(|status| status.unwrap_or(GrpcStatus::CANCELLED)))
            .unwrap_or(GrpcStatus::UNKNOWN);
        // Anybody can send a name; that it is one is said by a backend.
        let known = self.answered_at.is_some() && status != GrpcStatus::UNIMPLEMENTED;
        let duration = context.io.now().saturating_duration_since(self.started);
        service.count_call(request.path(), known, status, duration);
    }

    fn entry<'e>(
        &'e self,
        context: &Context,
        client: &'e Client,
        request: &'e RequestHead,
        (received, sent): (u64, u64),
    ) -> Entry<'e> {
        let duration = context.io.now().saturating_duration_since(self.started);
        let id = request
            .request_id()
            .or_else(|| self.made_id.get().map(RequestId::as_bytes))
            .unwrap_or_default();
        let transport = client.wire.transport();
        Entry {
            time: stamp(),
            listener: self.listener().settings.name.as_str(),
            route: self.rule.map(|rule| rule.route.as_str()),
            rule: self.rule.map(|rule| rule.name.as_str()),
            service: self.service.map(|service| service.name.as_str()),
            endpoint: self.endpoint,
            sni: transport.server_name(),
            protocol: match request.version() {
                Version::V10 => "HTTP/1.0",
                Version::V11 => "HTTP/1.1",
                Version::V2 => "HTTP/2",
            },
            request: Some(access_log::Request {
                method: request.method().as_bytes(),
                host: request.host().as_bytes(),
                path: request.target().as_bytes(),
                status: self.status,
                grpc_status: self.grpc_status.map(|status| status.0),
                retry: self.gave_up,
                id,
                user_agent: request.fields().first(Known::UserAgent),
            }),
            reason: self.failure.map(|failure| reason(failure, self.snapshot)),
            policies: &self.noted,
            duration,
            upstream: self
                .answered_at
                .zip(self.try_started)
                .map(|(answered, started)| answered.saturating_duration_since(started)),
            attempts: self.attempts,
            bytes_received: received,
            bytes_sent: sent,
            client: self.forwarded.client(),
            peer: client.wire.peer_address(),
            identity: transport.peer(),
        }
    }
}

/// The time of day, for the log.
pub(super) fn stamp() -> SystemTime {
    SystemTime::now()
}

/// A failure as the log tells it.
pub(super) fn reason(failure: Failure, snapshot: &Snapshot) -> Reason<'_> {
    let (name, detail) = failure.reason();
    match failure {
        Failure::Denied(policy) => Reason {
            name,
            detail: Some(snapshot.model.policies[policy.0].name.as_str()),
        },
        _ => Reason { name, detail },
    }
}
