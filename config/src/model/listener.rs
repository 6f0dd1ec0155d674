//! Listeners: where connections come in and what they may do.

use std::net::SocketAddr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use super::{
    tls::ListenerTls,
    value::{ByteSize, Millis, Name, Place},
};

/// One listening address.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Listener {
    /// Unique among listeners.
    pub name: Name,
    /// Unique among listeners: the socket's identity over reloads.
    pub bind: SocketAddr,
    /// What its connections are taken for.
    #[serde(default)]
    pub protocol: Protocol,
    /// How it ends TLS; `None` serves plaintext, or passes connections on.
    pub tls: Option<ListenerTls>,
    /// Pending connections the kernel keeps (listen(2) backlog).
    pub backlog: u32,
    /// Open connections of this listener, per worker.
    pub connections: u32,
    /// Peers whose X-Forwarded-* and Forwarded fields are believed, and whose PROXY headers.
    pub trusted_proxies: Vec<IpNet>,
    /// Whether connections of trusted proxies begin with a PROXY header.
    #[serde(default)]
    pub proxy_protocol: bool,
    /// Whether calls of gRPC-Web are taken for calls of gRPC.
    #[serde(default)]
    pub grpc_web: bool,
    /// What the path may hold.
    pub path: PathPolicy,
    /// Largest request head, in bytes, request line and fields with their line ends.
    pub head_bytes_max: ByteSize,
    /// Most fields of a request head.
    pub head_fields_max: u16,
    /// Largest request target, in bytes.
    pub target_bytes_max: ByteSize,
    /// Largest request body; `None` has no bound.
    pub body_bytes_max: Option<ByteSize>,
    /// From accept to the end of the TLS handshake, or of the hello that is passed on.
    pub tls_handshake_timeout: Millis,
    /// From the first byte of a head (or from accept) to its last; bounds a PROXY header too.
    pub head_timeout: Millis,
    /// Between two bytes of a body, in either direction.
    pub body_idle_timeout: Millis,
    /// A keep-alive connection without a request.
    pub idle_timeout: Millis,
    /// A tunnel (after 101) or a connection passed on without a byte either way.
    pub tunnel_idle_timeout: Millis,
    /// Unsent and unread bytes held for each direction of a request; inside the kernel four times as many.
    pub buffer_bytes_max: ByteSize,
    /// Where the listener was declared.
    #[serde(skip)]
    pub place: Place,
}

/// What the connections of a listener are taken for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Protocol {
    /// HTTP, whose requests are served one by one, within TLS or not.
    #[default]
    Http,
    /// TLS, passed on as it is to where the server name leads.
    Tls,
    /// Bytes, passed on as they are.
    Tcp,
}

impl Protocol {
    /// Whether connections are passed on whole and unread.
    #[must_use]
    pub const fn is_passthrough(self) -> bool {
        matches!(self, Self::Tls | Self::Tcp)
    }

    /// As it is written.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Tls => "tls",
            Self::Tcp => "tcp",
        }
    }
}

/// What a request path may hold, beyond the always refused `%00`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct PathPolicy {
    /// Keep `%2F` and `%5C` as they are instead of refusing the request.
    pub keep_encoded_slashes: bool,
}
