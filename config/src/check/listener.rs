//! Listeners.

use std::{collections::HashMap, net::SocketAddr};

use super::{Checker, each};
use crate::{
    defaults,
    model::{ByteSize, Listener, Millis, PathPolicy},
    spec::{self, Document, EncodedSlashes, ListenerProtocol, OrNone, Slot, Written},
    tree::NodeId,
};

impl Checker<'_> {
    pub(super) fn listener(&mut self, at: NodeId, spec: &spec::Listener) -> Option<Listener> {
        let name = self.required(at, "name", &spec.name);
        let bind = self.required(at, "bind", &spec.bind);
        let protocol = spec
            .protocol
            .read_or(ListenerProtocol::Http, |protocol| *protocol);
        if let Some(protocol) = protocol {
            self.passthrough_listener(spec, protocol);
        }
        let limits = spec.limits.nested(|limits| self.listener_limits(limits));
        let timeouts = spec.timeouts.nested(listener_timeouts);
        let trusted_proxies = spec
            .trusted_proxies
            .nested(|list| each(&list.0, |_, network| Some(network.0.0)));
        let proxy_protocol = spec.proxy_protocol.read_or(false, |flag| flag.0);
        if let (Some(at), Some(true)) = (spec.proxy_protocol.node(), proxy_protocol)
            && trusted_proxies.as_ref().is_some_and(Vec::is_empty)
        {
            self.error(
                at,
                "a PROXY header is believed of `trustedProxies`, and there are none: name the proxies in front, as in `trustedProxies: [10.0.0.0/8]`",
            );
        }
        let tls = protocol.and_then(|protocol| self.tls(at, spec, protocol));
        let (limits, timeouts) = (limits?, timeouts?);
        Some(Listener {
            name: name?.0.clone(),
            bind: bind?.0.0,
            protocol: protocol?.into(),
            tls: tls?,
            backlog: spec.backlog.number_or(defaults::BACKLOG)?,
            connections: limits.connections,
            trusted_proxies: trusted_proxies?,
            proxy_protocol: proxy_protocol?,
            grpc_web: spec.grpc_web.read_or(false, |flag| flag.0)?,
            path: spec.path.nested(path_policy)?,
            head_bytes_max: limits.head_bytes,
            head_fields_max: limits.head_fields,
            target_bytes_max: limits.target_bytes,
            body_bytes_max: limits.body_bytes,
            tls_handshake_timeout: timeouts.tls_handshake,
            head_timeout: timeouts.head,
            body_idle_timeout: timeouts.body_idle,
            idle_timeout: timeouts.idle,
            tunnel_idle_timeout: timeouts.tunnel_idle,
            buffer_bytes_max: limits.buffer_bytes,
            place: self.tree.place(at),
        })
    }

    fn listener_limits(&mut self, spec: &spec::ListenerLimits) -> Option<Limits> {
        let head_bytes = spec.head_bytes.read_or(defaults::HEAD_BYTES, |size| size.0);
        let target_bytes = spec.target_bytes.read_or(defaults::TARGET_BYTES, |size| size.0);
        if let (Some(head), Some(target)) = (head_bytes, target_bytes)
            && target > head
            && let Some(at) = spec.target_bytes.node().or_else(|| spec.head_bytes.node())
        {
            self.error(at, format!("a target of {target} does not fit a head of {head}"));
        }
        Some(Limits {
            connections: spec.connections.number_or(defaults::LISTENER_CONNECTIONS)?,
            head_bytes: head_bytes?,
            head_fields: spec.head_fields.number_or(defaults::HEAD_FIELDS_MAX)?,
            target_bytes: target_bytes?,
            body_bytes: spec.body_bytes.read_or(None, |size| match size {
                OrNone::None => None,
                OrNone::Some(size) => Some(size.0),
            })?,
            buffer_bytes: spec.buffer_bytes.read_or(defaults::BUFFER_BYTES, |size| size.0)?,
        })
    }

    /// Reports sockets that two listeners, or a listener and the admin server, would both bind.
    pub(super) fn binds(&mut self, documents: &[(NodeId, Document)]) {
        let mut seen: HashMap<SocketAddr, (NodeId, &str)> = HashMap::new();
        let admin = documents
            .iter()
            .find_map(|(_, document)| document.admin.value()?.bind.given());
        if let Some((at, Written(bind))) = admin {
            seen.insert(bind.0, (at, "the admin server"));
        }
        for (_, document) in documents {
            for listener in document.listeners.items().iter().filter_map(Slot::value) {
                let Some((at, Written(bind))) = listener.bind.given() else {
                    continue;
                };
                match seen.get(&bind.0) {
                    Some((first, who)) => {
                        let place = self.tree.place(*first);
                        self.error(at, format!("{who} binds {} already, at {place}", bind.0));
                    }
                    None if admin.is_none() && bind.0 == defaults::ADMIN_BIND => {
                        self.error(
                            at,
                            format!("the admin server binds {} already, by default", bind.0),
                        );
                    }
                    None => {
                        seen.insert(bind.0, (at, "another listener"));
                    }
                }
            }
        }
    }
}

struct Limits {
    connections: u32,
    head_bytes: ByteSize,
    head_fields: u16,
    target_bytes: ByteSize,
    body_bytes: Option<ByteSize>,
    buffer_bytes: ByteSize,
}

struct Timeouts {
    tls_handshake: Millis,
    head: Millis,
    body_idle: Millis,
    idle: Millis,
    tunnel_idle: Millis,
}

fn listener_timeouts(spec: &spec::ListenerTimeouts) -> Option<Timeouts> {
    let or = |slot: &Slot<Written<Millis>>, default| slot.read_or(default, |timeout| timeout.0);
    Some(Timeouts {
        tls_handshake: or(&spec.tls_handshake, defaults::TLS_HANDSHAKE_TIMEOUT)?,
        head: or(&spec.head, defaults::HEAD_TIMEOUT)?,
        body_idle: or(&spec.body_idle, defaults::BODY_IDLE_TIMEOUT)?,
        idle: or(&spec.idle, defaults::IDLE_TIMEOUT)?,
        tunnel_idle: or(&spec.tunnel_idle, defaults::TUNNEL_IDLE_TIMEOUT)?,
    })
}

fn path_policy(spec: &spec::PathPolicy) -> Option<PathPolicy> {
    let keep_encoded_slashes = spec
        .encoded_slashes
        .read_or(false, |choice| matches!(choice, EncodedSlashes::Keep))?;
    Some(PathPolicy { keep_encoded_slashes })
}
