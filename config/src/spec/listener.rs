//! How a listener is written.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{
    List, ListenerTls, OrNone, Slot, Written,
    notation::{Bind, Network},
    scalar::{Flag, Int, Size},
};
use crate::{
    defaults::{
        BACKLOG, BACKLOG_MAX, BODY_IDLE_TIMEOUT, BUFFER_BYTES, BUFFER_BYTES_BOUNDS, CONNECTIONS_MAX,
        HEAD_BYTES, HEAD_BYTES_BOUNDS, HEAD_FIELDS_LIMIT, HEAD_FIELDS_MAX, HEAD_TIMEOUT, IDLE_TIMEOUT,
        LISTENER_CONNECTIONS, TARGET_BYTES, TARGET_BYTES_BOUNDS, TLS_HANDSHAKE_TIMEOUT, TUNNEL_IDLE_TIMEOUT,
    },
    model::{ByteSize, Millis, Name},
};

/// One address where connections come in.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(
    rename_all = "camelCase",
    deny_unknown_fields,
    expecting = "a listener, a map with `name` and `bind`"
)]
pub(crate) struct Listener {
    /// Unique among listeners.
    pub(crate) name: Slot<Written<Name>>,
    /// IP address and port; unique among listeners.
    pub(crate) bind: Slot<Written<Bind>>,
    /// What is spoken on it.
    #[serde(default)]
    #[schemars(extend("default" = "http"))]
    pub(crate) protocol: Slot<ListenerProtocol>,
    /// How TLS is ended; with `protocol: https`.
    #[serde(default)]
    pub(crate) tls: Slot<ListenerTls>,
    /// Pending connections the kernel keeps; it caps this at `net.core.somaxconn`.
    #[serde(default)]
    #[schemars(extend("default" = BACKLOG))]
    pub(crate) backlog: Slot<Int<1, BACKLOG_MAX>>,
    /// Networks and addresses of proxies whose `x-forwarded-*` and `forwarded` fields are believed, and, with
    /// `proxyProtocol`, their headers; the fields of other peers are dropped.
    #[serde(default)]
    pub(crate) trusted_proxies: Slot<List<Written<Network>>>,
    /// Whether connections of `trustedProxies` begin with a header of the PROXY protocol, version 1 or 2, which tells who
    /// the client is; each of them must. Those of other peers are taken as they come.
    #[serde(default)]
    #[schemars(extend("default" = false))]
    pub(crate) proxy_protocol: Slot<Flag>,
    /// Whether calls of gRPC-Web, which browsers make, are taken for calls of gRPC, and answered as they came.
    #[serde(default)]
    #[schemars(extend("default" = false))]
    pub(crate) grpc_web: Slot<Flag>,
    /// What a path may hold.
    #[serde(default)]
    pub(crate) path: Slot<PathPolicy>,
    /// Bounds on what clients may ask of memory.
    #[serde(default)]
    pub(crate) limits: Slot<ListenerLimits>,
    /// Bounds on how long clients may take.
    #[serde(default)]
    pub(crate) timeouts: Slot<ListenerTimeouts>,
}

/// What is spoken on a listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) enum ListenerProtocol {
    /// HTTP/1.1 and HTTP/1.0 without TLS.
    Http,
    /// The same within TLS, which is ended here; see `tls`.
    Https,
    /// TLS that is passed on as it is, to where the server name of its hello is routed.
    Tls,
    /// Connections that are passed on as they are.
    Tcp,
}

/// What a path may hold.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(
    default,
    rename_all = "camelCase",
    deny_unknown_fields,
    expecting = "a map with `encodedSlashes`"
)]
pub(crate) struct PathPolicy {
    /// What to do with a request whose path holds `%2F` or `%5C`, which backends read in different ways.
    #[schemars(extend("default" = "refuse"))]
    pub(crate) encoded_slashes: Slot<EncodedSlashes>,
}

/// What to do with `%2F` and `%5C` in a path.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) enum EncodedSlashes {
    /// Answer 400.
    Refuse,
    /// Match and send on as they are.
    Keep,
}

/// Bounds on what clients may ask of memory.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(
    default,
    rename_all = "camelCase",
    deny_unknown_fields,
    expecting = "a map of limits"
)]
pub(crate) struct ListenerLimits {
    /// Open connections of this listener, for each worker.
    #[schemars(extend("default" = LISTENER_CONNECTIONS))]
    pub(crate) connections: Slot<Int<1, CONNECTIONS_MAX>>,
    /// Largest request head: 1KiB to 1MiB.
    #[schemars(extend("default" = HEAD_BYTES.to_string()))]
    pub(crate) head_bytes: Slot<Size<{ HEAD_BYTES_BOUNDS[0] }, { HEAD_BYTES_BOUNDS[1] }>>,
    /// Most fields of a request head.
    #[schemars(extend("default" = HEAD_FIELDS_MAX))]
    pub(crate) head_fields: Slot<Int<1, HEAD_FIELDS_LIMIT>>,
    /// Largest request target: 256B to 1MiB, and no larger than the head.
    #[schemars(extend("default" = TARGET_BYTES.to_string()))]
    pub(crate) target_bytes: Slot<Size<{ TARGET_BYTES_BOUNDS[0] }, { TARGET_BYTES_BOUNDS[1] }>>,
    /// Largest request body, up to 1TiB, or `none` for no bound.
    #[schemars(extend("default" = "none"))]
    pub(crate) body_bytes: Slot<OrNone<Size<0, { ByteSize::MAX }>>>,
    /// Unsent and unread bytes held for each direction of a request: 4KiB to 16MiB. Of what passes inside the kernel, four
    /// times as many.
    #[schemars(extend("default" = BUFFER_BYTES.to_string()))]
    pub(crate) buffer_bytes: Slot<Size<{ BUFFER_BYTES_BOUNDS[0] }, { BUFFER_BYTES_BOUNDS[1] }>>,
}

/// Bounds on how long clients may take.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(
    default,
    rename_all = "camelCase",
    deny_unknown_fields,
    expecting = "a map of timeouts"
)]
pub(crate) struct ListenerTimeouts {
    /// A TLS handshake, from accept to its end; with `protocol: tls` its hello.
    #[schemars(extend("default" = TLS_HANDSHAKE_TIMEOUT.to_string()))]
    pub(crate) tls_handshake: Slot<Written<Millis>>,
    /// From the first byte of a request head, or from accept, to its last; and so long for the header of
    /// `proxyProtocol`, whatever follows it.
    #[schemars(extend("default" = HEAD_TIMEOUT.to_string()))]
    pub(crate) head: Slot<Written<Millis>>,
    /// Between two bytes of a body, in either direction.
    #[schemars(extend("default" = BODY_IDLE_TIMEOUT.to_string()))]
    pub(crate) body_idle: Slot<Written<Millis>>,
    /// A keep-alive connection without a request.
    #[schemars(extend("default" = IDLE_TIMEOUT.to_string()))]
    pub(crate) idle: Slot<Written<Millis>>,
    /// A tunnel (after an upgrade, or with `protocol: tls` or `tcp`) without a byte either way.
    #[schemars(extend("default" = TUNNEL_IDLE_TIMEOUT.to_string()))]
    pub(crate) tunnel_idle: Slot<Written<Millis>>,
}
