//! Listeners that pass connections on (`protocol: tls` and `tcp`), and their routes: what may not stand there.
//!
//! Nothing of HTTP is read on them, so whatever needs it is a mistake and not something to be left out in silence.

use std::collections::HashMap;

use super::Checker;
use crate::{
    model::{ListenerId, Place, Protocol},
    spec::{self, Document, ListenerProtocol, Slot, Sticky},
    tree::NodeId,
};

/// What is known of listeners and services before routes are checked, by their index.
#[derive(Debug, Default)]
pub(super) struct Passing {
    /// `None` where it could not be read.
    protocols: Vec<Option<ListenerProtocol>>,
    /// Whether a service is reached over TLS.
    secured: Vec<bool>,
    /// The one route of each `tcp` listener so far.
    taken: HashMap<usize, Place>,
}

impl Passing {
    pub(super) fn new(documents: &[(NodeId, Document)]) -> Self {
        let listeners = documents
            .iter()
            .flat_map(|(_, document)| document.listeners.items());
        let services = documents
            .iter()
            .flat_map(|(_, document)| document.services.items());
        let protocol = |listener: &spec::Listener| {
            listener
                .protocol
                .read_or(ListenerProtocol::Http, |protocol| *protocol)
        };
        Self {
            protocols: listeners.map(|listener| protocol(listener.value()?)).collect(),
            secured: services
                .map(|service| {
                    service
                        .value()
                        .is_some_and(|service| service.tls.node().is_some())
                })
                .collect(),
            taken: HashMap::new(),
        }
    }

    fn protocol(&self, listener: ListenerId) -> Option<ListenerProtocol> {
        self.protocols.get(listener.0).copied().flatten()
    }
}

impl Checker<'_> {
    /// Reports what a listener of `protocol` has no use for.
    pub(super) fn passthrough_listener(&mut self, spec: &spec::Listener, protocol: ListenerProtocol) {
        let kind = Protocol::from(protocol);
        if !kind.is_passthrough() {
            return;
        }
        let (limits, timeouts) = (spec.limits.value(), spec.timeouts.value());
        // What stands before all else is read on any listener, from whom and for as long as these say.
        let reads_header = spec.proxy_protocol.value().is_some_and(|flag| flag.0);
        let unless_read = |at: Option<NodeId>| at.filter(|_| !reads_header);
        let mut fields = vec![
            ("trustedProxies", unless_read(spec.trusted_proxies.node())),
            ("grpcWeb", spec.grpc_web.node()),
            ("path", spec.path.node()),
        ];
        fields.extend(limits.into_iter().flat_map(|limits| {
            [
                ("headBytes", limits.head_bytes.node()),
                ("headFields", limits.head_fields.node()),
                ("targetBytes", limits.target_bytes.node()),
                ("bodyBytes", limits.body_bytes.node()),
            ]
        }));
        fields.extend(timeouts.into_iter().flat_map(|timeouts| {
            let handshake =
                (kind == Protocol::Tcp).then_some(("tlsHandshake", timeouts.tls_handshake.node()));
            [
                ("head", unless_read(timeouts.head.node())),
                ("bodyIdle", timeouts.body_idle.node()),
                ("idle", timeouts.idle.node()),
            ]
            .into_iter()
            .chain(handshake)
        }));
        for (name, at) in fields {
            if let Some(at) = at {
                let kind = kind.as_str();
                self.error(
                    at,
                    format!(
                        "with `protocol: {kind}` connections are passed on unread, so `{name}` does nothing"
                    ),
                );
            }
        }
    }

    /// The listeners of a route at `at` that names none.
    pub(super) fn http_listeners(&mut self, at: NodeId) -> Option<Vec<ListenerId>> {
        let all = (0..self.listener_count()).map(ListenerId);
        let passes_on = |id: &ListenerId| {
            let protocol = self.passing.protocol(*id);
            protocol.is_some_and(|protocol| Protocol::from(protocol).is_passthrough())
        };
        let http: Vec<ListenerId> = all.filter(|id| !passes_on(id)).collect();
        if http.is_empty() && self.listener_count() > 0 {
            self.error(
                at,
                "a route without `listeners` serves those for HTTP, and there is none: name the listeners it serves",
            );
            return None;
        }
        Some(http)
    }

    /// Reports what a route may not have for the listeners it serves.
    pub(super) fn passthrough_route(&mut self, at: NodeId, spec: &spec::Route, listeners: &[ListenerId]) {
        let kinds: Option<Vec<Protocol>> = listeners
            .iter()
            .map(|id| self.passing.protocol(*id).map(Protocol::from))
            .collect();
        let Some(kinds) = kinds else { return };
        let number = kinds.iter().filter(|kind| kind.is_passthrough()).count();
        if number == 0 {
            return;
        }
        if number < kinds.len() {
            self.error(
                spec.listeners.node().unwrap_or(at),
                "a route serves listeners for HTTP or such that pass connections on, not both: make it two routes",
            );
            return;
        }
        if let (true, Some(hosts)) = (kinds.contains(&Protocol::Tcp), spec.hosts.node()) {
            self.error(
                hosts,
                "with `protocol: tcp` a client names no host: leave `hosts` out, or write `protocol: tls`",
            );
        }
        for (id, kind) in listeners.iter().zip(&kinds) {
            if *kind == Protocol::Tcp {
                self.only_route(at, *id);
            }
        }
        let rules = spec.rules.items();
        if let Some(second) = rules.get(1).and_then(Slot::node) {
            self.error(
                second,
                "nothing tells the connections of such a listener apart but their host: a route has one rule",
            );
        }
        for rule in rules.iter().filter_map(Slot::value) {
            self.passthrough_rule(rule, kinds.contains(&Protocol::Tls));
        }
    }

    /// Reports a second route of a listener that cannot tell which of them to take.
    fn only_route(&mut self, at: NodeId, listener: ListenerId) {
        match self.passing.taken.get(&listener.0) {
            Some(first) => {
                let reason =
                    format!("a listener with `protocol: tcp` has one route, and has one already, at {first}");
                self.error(at, reason);
            }
            None => {
                self.passing.taken.insert(listener.0, self.tree.place(at));
            }
        }
    }

    fn passthrough_rule(&mut self, rule: &spec::Rule, is_tls: bool) {
        let mut fields = vec![
            ("matches", rule.matches.node()),
            ("filters", rule.filters.node()),
            ("timeouts", rule.timeouts.node()),
            ("retry", rule.retry.node()),
        ];
        if let Some((at, Sticky::Header(_) | Sticky::Cookie(_))) = rule.sticky.given() {
            fields.push(("sticky", Some(at)));
        }
        let backends = || rule.backends.items().iter().filter_map(Slot::value);
        fields.extend(backends().map(|backend| ("filters", backend.filters.node())));
        for (name, at) in fields {
            if let Some(at) = at {
                let rather = match name {
                    "sticky" => "write `sticky: { sourceAddress: true }`",
                    "retry" => "leave it out: where connecting fails, another endpoint is tried anyway",
                    "timeouts" => {
                        "the listener's `timeouts.tunnelIdle` and the service's `timeouts.connect` are for them"
                    }
                    _ => "leave it out",
                };
                self.error(
                    at,
                    format!("connections are passed on unread here, and `{name}` is for HTTP: {rather}"),
                );
            }
        }
        let services = backends().filter_map(|backend| backend.service.given());
        for (at, name) in services.filter(|_| is_tls) {
            // One that is missing is reported where it is looked up for good.
            let is_secured = self
                .service_index(&name.0)
                .is_some_and(|index| self.passing.secured[index]);
            if is_secured {
                self.error(
                    at,
                    format!(
                        "`{}` has `tls`, and what is passed on is TLS already: send it to a service without",
                        name.0
                    ),
                );
            }
        }
    }
}

impl From<ListenerProtocol> for Protocol {
    fn from(protocol: ListenerProtocol) -> Self {
        match protocol {
            ListenerProtocol::Http | ListenerProtocol::Https => Self::Http,
            ListenerProtocol::Tls => Self::Tls,
            ListenerProtocol::Tcp => Self::Tcp,
        }
    }
}
