//! One connection that is passed on unread, told from top to bottom: route, authorize, pick, connect, join, account.
//!
//! Owns the order of these steps, as [`exchange`](super) does for a request, whose decisions it shares. Refuses to look
//! into what it passes on: what a policy or a route asks beyond how it arrived, it does not tell.

use std::{
    borrow::Cow,
    future::poll_fn,
    net::SocketAddr,
    pin::pin,
    task::Poll,
    time::{Duration, Instant},
};

use sluice_config::{
    defaults,
    model::{ListenerId, PolicyId, Sticky},
};
use sluice_routing::{
    Arrival, RequestView,
    authorize::{Decision, Policies},
    overload::Pressure,
};

use super::{
    Context, Current, Next, Watchdog,
    account::{reason, stamp},
    choose,
    plan::address_hash,
    tunnel::Ends,
};
use crate::{
    access_log::{Entry, Noted},
    error::Failure,
    metrics::{ListenerMetrics, PassthroughCounters},
    snapshot::{Action, Backend, Listener, Rule},
    upstream::{self, Lease, Pick, Service},
    wire::{Wire, proxy_protocol},
};

/// A client whose connection is passed on.
pub struct Connection {
    /// It, with all that has come and not been passed on.
    pub wire: Wire,
    /// Who it is: its other end, or whom a PROXY header told.
    pub peer: SocketAddr,
    /// When it was accepted.
    pub accepted: Instant,
    /// Bounds every wait.
    pub watchdog: Watchdog,
    /// The server name of its TLS hello, in lower case.
    pub server_name: Option<Box<str>>,
}

/// Passes a connection of this listener on, to its end; or, if it failed before it could be, tells so. Gives how it is to
/// be closed.
pub async fn pass_on(
    context: &Context,
    current: &Current,
    listener: ListenerId,
    connection: &mut Connection,
    arrived: Result<(), Failure>,
) -> Next {
    let mut passage = Passage::new(context, current, listener, connection);
    let outcome = match arrived {
        Ok(()) => {
            let passed = pin!(passage.run());
            context.io.contain(passed).await.unwrap_or(Err(Failure::Internal))
        }
        Err(failure) => Err(failure),
    };
    passage.close(outcome.err());
    match outcome {
        Ok(()) => Next::Close,
        Err(_) => Next::Abort,
    }
}

/// One connection on its way.
struct Passage<'a> {
    context: &'a Context,
    /// What was live when it was accepted; it ends on it.
    current: &'a Current,
    listener: &'a Listener,
    connection: &'a mut Connection,
    rule: Option<&'a Rule>,
    service: Option<&'a Service>,
    endpoint: Option<SocketAddr>,
    attempts: u32,
    /// How long the last try to connect took, if it did.
    upstream: Option<Duration>,
    /// For the log only.
    noted: Vec<Noted<'a>>,
    meter: Meter<'a>,
}

impl<'a> Passage<'a> {
    fn new(
        context: &'a Context,
        current: &'a Current,
        listener: ListenerId,
        connection: &'a mut Connection,
    ) -> Self {
        let listener = &current.snapshot.listeners[listener.0];
        Self {
            context,
            current,
            listener,
            connection,
            rule: None,
            service: None,
            endpoint: None,
            attempts: 0,
            upstream: None,
            noted: Vec::new(),
            meter: Meter {
                listener: listener.metrics.of(context.worker),
                passthrough: listener.unrouted_connections.of(context.worker),
                counted: (0, 0),
            },
        }
    }

    /// Route, authorize, pick a share and an endpoint, and join both.
    async fn run(&mut self) -> Result<(), Failure> {
        if self.context.pressure() == Pressure::Out {
            return Err(Failure::Overloaded);
        }
        let (current, listener) = (self.current, self.listener);
        let snapshot = &current.snapshot;
        let name = self.connection.server_name.as_deref().unwrap_or_default();
        let found = listener.table.find(&self.view(name));
        let found = found.map(|found| (found.route, snapshot.rule_index(&found)));
        self.rule = found.map(|(_, index)| &snapshot.rules[index]);
        // Asked first, so that who is denied does not learn which routes there are.
        self.authorize(&listener.policies)?;
        let (route, index) = found.ok_or(Failure::NoRoute)?;
        self.authorize(&snapshot.routes[route])?;
        // A rule of such a route does nothing else.
        let Action::Forward { split, sticky, .. } = &snapshot.rules[index].action else {
            return Err(Failure::NoRoute);
        };
        let tied = matches!(sticky, Some(Sticky::SourceAddress))
            .then(|| address_hash(self.connection.peer.ip().to_canonical()));
        let share = choose(self.context, split, tied, &current.turns[index])?;
        let service = &*current.services[share.service.0];
        self.goes_to(share, service);
        self.authorize(&snapshot.services[share.service.0].policies)?;
        let _slot = service.admit().ok_or(Failure::Overloaded)?;
        // Boxed, as it is large and soon over: every open connection would hold room for it.
        let lease = Box::pin(self.connect(service)).await?;
        self.join(lease).await
    }

    /// As policies see it; by rules it is found under `host`.
    fn view<'v>(&'v self, host: &'v str) -> View<'v> {
        let from = self.connection.wire.peer_address();
        let port = self.listener.settings.bind.port();
        let arrival = Arrival {
            client: self.connection.peer.ip().to_canonical(),
            sni: self.connection.server_name.as_deref(),
            ..Arrival::plain(from.ip().to_canonical(), port)
        };
        View { host, arrival }
    }

    fn goes_to(&mut self, share: &'a Backend, service: &'a Service) {
        self.service = Some(service);
        if let Some(counters) = share.passthrough.by(self.listener.id) {
            self.meter.passthrough = counters.of(self.context.worker);
        }
    }

    /// Asks the policies of one place.
    fn authorize(&mut self, policies: &Policies) -> Result<(), Failure> {
        if policies.is_empty() {
            return Ok(());
        }
        let mut noted = std::mem::take(&mut self.noted);
        let outcome = policies.decide(&self.view(""), |policy, decision| {
            noted.extend(self.decided(policy, decision));
        });
        self.noted = noted;
        outcome.map_err(Failure::Denied)
    }

    /// Counts what a policy did, and gives what the log is to be told of it.
    fn decided(&self, policy: PolicyId, decision: Decision) -> Option<Noted<'a>> {
        let snapshot = &self.current.snapshot;
        snapshot.policies[policy.0]
            .of(self.context.worker)
            .count(decision);
        let is_told = !matches!(decision, Decision::Allow | Decision::Deny);
        (is_told && self.context.log.borrow().is_some()).then(|| Noted {
            decision: decision.as_str(),
            policy: snapshot.model.policies[policy.0].name.as_str(),
        })
    }

    /// A connection to an endpoint of the service: if one cannot be reached, another one is tried.
    async fn connect(&mut self, service: &Service) -> Result<Lease, Failure> {
        let io = &self.context.io;
        let mut tried = Vec::new();
        loop {
            let now = io.now();
            let pick = self.context.with_rng(|rng| service.pick(&tried, now, rng));
            let pick = pick.ok_or(Failure::NoEndpoint)?;
            let address = pick.endpoint.address;
            // All were, then, and none will have come back this soon.
            if tried.contains(&address) || tried.len() == defaults::PASSTHROUGH_ATTEMPTS {
                return Err(Failure::ConnectFailed);
            }
            self.endpoint = Some(address);
            self.attempts += 1;
            match self.reach(service, &pick, now).await? {
                Some(lease) => {
                    let reached = io.now();
                    service.succeeded(&pick, reached);
                    self.upstream = Some(reached.saturating_duration_since(now));
                    return Ok(lease);
                }
                None => {
                    service.metrics().connect_failures.inc();
                    service.failed(&pick, io.now());
                    tried.push(address);
                }
            }
        }
    }

    /// A new connection, unless the endpoint cannot be reached in time. A client that has sent all it has to say is waited
    /// for like any other, and one that has reset is not.
    async fn reach(
        &mut self,
        service: &Service,
        pick: &Pick,
        now: Instant,
    ) -> Result<Option<Lease>, Failure> {
        let options = upstream::socket_options(&self.listener.settings);
        let bound = now + service.settings.connect_timeout.duration();
        let Connection {
            wire, watchdog, peer, ..
        } = &mut *self.connection;
        let opening = service.opening(|| proxy_protocol::Ends {
            source: *peer,
            destination: wire.local_address(),
        });
        let (io, endpoint) = (&self.context.io, &pick.endpoint);
        let mut connecting = pin!(Lease::connect(io, service, endpoint, &options, opening));
        poll_fn(|cx| {
            if let Poll::Ready(connected) = connecting.as_mut().poll(cx) {
                return Poll::Ready(Ok(connected.ok()));
            }
            if let Poll::Ready(Err(_)) = wire.poll_closed(cx) {
                return Poll::Ready(Err(Failure::ClientGone));
            }
            watchdog.poll(cx, Some(bound)).map(|()| Ok(None))
        })
        .await
    }

    /// Passes bytes on until both sides have ended.
    async fn join(&mut self, mut lease: Lease) -> Result<(), Failure> {
        let settings = &self.listener.settings;
        let open = &self.context.metrics().tunnels_active;
        open.inc();
        let ends = Ends {
            client: &mut self.connection.wire,
            backend: &mut lease.wire,
            watchdog: &mut self.connection.watchdog,
            buffer_bytes: usize::try_from(settings.buffer_bytes_max.bytes()).unwrap_or(usize::MAX),
            idle: settings.tunnel_idle_timeout.duration(),
        };
        let meter = &mut self.meter;
        let outcome = ends.join(&self.context.io, |bytes| meter.count(bytes)).await;
        open.dec();
        if outcome.is_err() {
            lease.abort();
        }
        outcome
    }

    /// Counts and logs it.
    fn close(mut self, failure: Option<Failure>) {
        self.meter.count(self.connection.wire.bytes());
        self.meter
            .passthrough
            .count(failure.map(|failure| failure.reason().0));
        let (bytes_received, bytes_sent) = self.meter.counted;
        let Some(log) = &mut *self.context.log.borrow_mut() else {
            return;
        };
        log.write(&Entry {
            time: stamp(),
            listener: self.listener.settings.name.as_str(),
            route: self.rule.map(|rule| rule.route.as_str()),
            rule: self.rule.map(|rule| rule.name.as_str()),
            service: self.service.map(|service| service.name.as_str()),
            endpoint: self.endpoint,
            sni: self.connection.server_name.as_deref(),
            protocol: self.listener.settings.protocol.as_str(),
            request: None,
            reason: failure.map(|failure| reason(failure, &self.current.snapshot)),
            policies: &self.noted,
            duration: self
                .context
                .io
                .now()
                .saturating_duration_since(self.connection.accepted),
            upstream: self.upstream,
            attempts: self.attempts,
            bytes_received,
            bytes_sent,
            client: self.connection.peer.ip().to_canonical(),
            peer: self.connection.wire.peer_address(),
            identity: None,
        });
    }
}

/// Counts bytes as they move: a connection may be open for days.
struct Meter<'a> {
    listener: &'a ListenerMetrics,
    passthrough: &'a PassthroughCounters,
    /// Bytes from and to the client that are counted.
    counted: (u64, u64),
}

impl Meter<'_> {
    /// So many there have been since it connected.
    fn count(&mut self, bytes: (u64, u64)) {
        let (received, sent) = (bytes.0 - self.counted.0, bytes.1 - self.counted.1);
        self.listener.bytes_received.add(received);
        self.listener.bytes_sent.add(sent);
        self.passthrough.bytes_received.add(received);
        self.passthrough.bytes_sent.add(sent);
        self.counted = bytes;
    }
}

/// A connection as rules and policies see it.
struct View<'v> {
    host: &'v str,
    arrival: Arrival<'v>,
}

impl RequestView for View<'_> {
    fn host(&self) -> &str {
        self.host
    }

    fn method(&self) -> &str {
        ""
    }

    fn path(&self) -> &str {
        ""
    }

    fn query(&self) -> Option<&str> {
        None
    }

    fn header(&self, _: &str) -> Option<Cow<'_, [u8]>> {
        None
    }

    fn arrival(&self) -> Arrival<'_> {
        self.arrival
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_failure_of_a_connection_is_counted() {
        for failure in [
            Failure::BadHello("not_tls"),
            Failure::ClientTimeout,
            Failure::ClientGone,
            Failure::NoRoute,
            Failure::Denied(PolicyId(0)),
            Failure::NoEndpoint,
            Failure::ConnectFailed,
            Failure::Overloaded,
            Failure::UpstreamReset,
            Failure::IdleTimeout,
            Failure::Internal,
        ] {
            let (name, _) = failure.reason();
            assert!(PassthroughCounters::REASONS.contains(&name), "{name}");
        }
    }
}
