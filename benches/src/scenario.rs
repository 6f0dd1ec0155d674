//! What is measured: one table.

use serde::Serialize;

use crate::{
    error::BenchError,
    origin::{BODY_BYTES, Speech},
};

/// One thing that every peer is asked to do.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Scenario {
    /// As `--scenarios` takes it.
    pub(crate) name: &'static str,
    /// As a heading says it.
    pub(crate) title: &'static str,
    /// How many routes the peer is configured with; one takes everything.
    pub(crate) routes: usize,
    /// Where there is TLS.
    pub(crate) security: Security,
    pub(crate) protocols: Protocols,
    pub(crate) kind: Kind,
}

/// How it is measured.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) enum Kind {
    /// As many requests as the peer can take.
    Load(Load),
    /// Requests at a fixed rate, half of what the slowest of the peers can take.
    HalfLoad(Load),
    /// As many requests as the peer can take, side by side on each connection, as HTTP/2 has them.
    Streams(Streams),
    /// TLS connections, each with one request.
    Handshakes(Handshake),
    /// Long streams of bytes from the origin, so many at a time.
    Bulk { connections: usize },
    /// The memory of a peer that was just started, and what it grows by with this many connections that have had
    /// one answer each and rest.
    Rest { connections: usize },
}

/// Where there is TLS. Certificates are ECDSA on P-256, keys are agreed on by X25519, the version is 1.3.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) enum Security {
    /// Nowhere.
    None,
    /// Between the load and the peer.
    Tls,
    /// Between two of the peer, one behind the other, as sidecars are; each shows a certificate to the other.
    MutualPair,
}

/// What the load and the peer speak, and what the peer and the origin do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) enum Protocols {
    /// HTTP/1.1 on both sides.
    Http1,
    /// HTTP/2 towards the load, HTTP/1.1 towards the origin.
    Http2ToHttp1,
    /// HTTP/2 on both sides.
    Http2,
    /// None that the peer would know: it passes bytes on.
    Tcp,
}

impl Protocols {
    /// The origin that speaks them.
    pub(crate) fn origin(self) -> Speech {
        match self {
            Self::Http1 | Self::Http2ToHttp1 => Speech::Http1,
            Self::Http2 => Speech::Http2,
            Self::Tcp => Speech::Bytes,
        }
    }

    /// Whether clients speak HTTP/2.
    pub(crate) fn has_http2_clients(self) -> bool {
        matches!(self, Self::Http2ToHttp1 | Self::Http2)
    }
}

/// How two sides come to their keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) enum Handshake {
    /// With certificates.
    Full,
    /// From the session of the connection before.
    Resumed,
}

/// What a load generator sends.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Load {
    /// Open at a time.
    pub(crate) connections: usize,
    /// Of a request's body; none makes it a GET.
    pub(crate) up_bytes: usize,
    /// Of an answer's body.
    pub(crate) down_bytes: usize,
    /// Whether each request has a connection of its own.
    pub(crate) is_fresh: bool,
}

/// What a load generator sends over HTTP/2.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Streams {
    /// Open at a time.
    pub(crate) connections: usize,
    /// Requests in flight on each of them.
    pub(crate) each: usize,
    /// Whether a request is a unary gRPC call, whose message comes back, rather than a GET.
    pub(crate) is_grpc: bool,
}

impl Load {
    const fn keep_alive(connections: usize) -> Self {
        Self {
            connections,
            up_bytes: 0,
            down_bytes: BODY_BYTES,
            is_fresh: false,
        }
    }
}

impl Kind {
    /// What the median of a report is of.
    pub(crate) fn measure(&self) -> Measure {
        match self {
            Self::Load(_) | Self::Streams(_) | Self::Handshakes(_) => Measure::CpuMicroseconds,
            Self::Bulk { .. } => Measure::BulkMicroseconds,
            Self::HalfLoad(_) => Measure::TailMicroseconds,
            Self::Rest { connections: 0 } => Measure::IdleBytes,
            Self::Rest { .. } => Measure::ConnectionBytes,
        }
    }
}

/// The one figure of a scenario by which peers are compared; less is better.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) enum Measure {
    CpuMicroseconds,
    BulkMicroseconds,
    TailMicroseconds,
    IdleBytes,
    ConnectionBytes,
}

impl Measure {
    /// What its numbers are.
    pub(crate) fn unit(self) -> &'static str {
        match self {
            Self::CpuMicroseconds => "CPU us per request",
            Self::BulkMicroseconds => "CPU us per MiB",
            Self::TailMicroseconds => "p99 in us",
            Self::IdleBytes => "PSS in bytes",
            Self::ConnectionBytes => "bytes per connection",
        }
    }
}

/// The scenarios of these names, in the order of the table; all for no name.
pub(crate) fn chosen(names: &[String]) -> Result<Vec<Scenario>, BenchError> {
    let unknown = names
        .iter()
        .find(|name| SCENARIOS.iter().all(|scenario| scenario.name != **name));
    if let Some(name) = unknown {
        let known: Vec<&str> = SCENARIOS.iter().map(|scenario| scenario.name).collect();
        let text = format!("there is no scenario {name:?}; there are {}", known.join(", "));
        return Err(BenchError::Usage(text));
    }
    let is_chosen =
        |scenario: &&Scenario| names.is_empty() || names.iter().any(|name| *name == scenario.name);
    Ok(SCENARIOS.iter().filter(is_chosen).copied().collect())
}

const MANY: usize = 64;
/// Enough to fill both cores with bodies of a mebibyte, few enough that their buffers stay in the caches.
const FEW: usize = 16;

/// All of them.
pub(crate) const SCENARIOS: [Scenario; 27] = [
    load(
        "keepalive-1",
        "keep-alive, 1 connection, 64 B",
        Load::keep_alive(1),
    ),
    load(
        "keepalive-64",
        "keep-alive, 64 connections, 64 B",
        Load::keep_alive(MANY),
    ),
    load(
        "keepalive-1000",
        "keep-alive, 1000 connections, 64 B",
        Load::keep_alive(1000),
    ),
    load(
        "down-10k",
        "10 KiB down, 64 connections",
        Load {
            down_bytes: 10 << 10,
            ..Load::keep_alive(MANY)
        },
    ),
    load("down-1m", "1 MiB down, 16 connections", DOWN_MEBIBYTE),
    load("up-1m", "1 MiB up, 16 connections", UP_MEBIBYTE),
    load("fresh", "a new connection for each request", FRESH),
    Scenario {
        routes: 10,
        ..load(
            "routes-10",
            "10 routes on one host, 64 connections",
            Load::keep_alive(MANY),
        )
    },
    Scenario {
        routes: 10_000,
        ..load(
            "routes-10000",
            "10,000 routes over 1,000 hosts, 64 connections",
            Load::keep_alive(MANY),
        )
    },
    plain(
        "latency",
        "at half of the slowest peer's capacity, 64 connections",
        Kind::HalfLoad(Load::keep_alive(MANY)),
    ),
    tls(load(
        "tls-keepalive-64",
        "TLS, keep-alive, 64 connections, 64 B",
        Load::keep_alive(MANY),
    )),
    tls(load(
        "tls-down-1m",
        "TLS, 1 MiB down, 16 connections",
        DOWN_MEBIBYTE,
    )),
    tls(load("tls-up-1m", "TLS, 1 MiB up, 16 connections", UP_MEBIBYTE)),
    tls(load("tls-fresh", "TLS, a new connection for each request", FRESH)),
    tls(handshakes(
        "tls-full",
        "TLS, new connections, 8 at a time",
        Handshake::Full,
    )),
    tls(handshakes(
        "tls-resumed",
        "TLS, resumed connections, 8 at a time",
        Handshake::Resumed,
    )),
    Scenario {
        security: Security::MutualPair,
        ..load(
            "mtls-pair",
            "two in a row with mutual TLS between, keep-alive, 64 connections, 64 B",
            Load::keep_alive(MANY),
        )
    },
    speaking(
        Protocols::Http2ToHttp1,
        streams(
            "h2c-10x32",
            "HTTP/2 to HTTP/1.1, 10 connections with 32 streams, 64 B",
            GETS,
        ),
    ),
    tls(speaking(
        Protocols::Http2ToHttp1,
        streams(
            "h2-tls-10x32",
            "TLS, HTTP/2 to HTTP/1.1, 10 connections with 32 streams, 64 B",
            GETS,
        ),
    )),
    speaking(
        Protocols::Http2,
        streams(
            "h2-h2-10x32",
            "HTTP/2 on both sides, 10 connections with 32 streams, 64 B",
            GETS,
        ),
    ),
    speaking(
        Protocols::Http2,
        streams(
            "grpc-unary",
            "unary gRPC calls, 10 connections with 32 streams, 64 B",
            CALLS,
        ),
    ),
    speaking(
        Protocols::Tcp,
        plain(
            "tcp-stream",
            "TCP, 4 long streams from the origin",
            Kind::Bulk { connections: 4 },
        ),
    ),
    rest("idle", "just started, no connection", 0),
    rest("idle-1000", "1,000 connections at rest", 1000),
    rest("idle-10000", "10,000 connections at rest", 10_000),
    tls(rest("tls-idle-1000", "1,000 TLS connections at rest", 1000)),
    speaking(
        Protocols::Http2ToHttp1,
        rest("h2-idle-1000", "1,000 HTTP/2 connections at rest", 1000),
    ),
];

const DOWN_MEBIBYTE: Load = Load {
    down_bytes: 1 << 20,
    ..Load::keep_alive(FEW)
};
const UP_MEBIBYTE: Load = Load {
    up_bytes: 1 << 20,
    ..Load::keep_alive(FEW)
};
/// A new connection for each request.
pub(crate) const FRESH: Load = Load {
    is_fresh: true,
    ..Load::keep_alive(MANY)
};

const GETS: Streams = Streams {
    connections: 10,
    each: 32,
    is_grpc: false,
};
const CALLS: Streams = Streams {
    is_grpc: true,
    ..GETS
};

const fn load(name: &'static str, title: &'static str, load: Load) -> Scenario {
    plain(name, title, Kind::Load(load))
}

const fn streams(name: &'static str, title: &'static str, streams: Streams) -> Scenario {
    plain(name, title, Kind::Streams(streams))
}

const fn rest(name: &'static str, title: &'static str, connections: usize) -> Scenario {
    plain(name, title, Kind::Rest { connections })
}

const fn handshakes(name: &'static str, title: &'static str, handshake: Handshake) -> Scenario {
    plain(name, title, Kind::Handshakes(handshake))
}

const fn plain(name: &'static str, title: &'static str, kind: Kind) -> Scenario {
    Scenario {
        name,
        title,
        routes: 1,
        security: Security::None,
        protocols: Protocols::Http1,
        kind,
    }
}

const fn tls(scenario: Scenario) -> Scenario {
    Scenario {
        security: Security::Tls,
        ..scenario
    }
}

const fn speaking(protocols: Protocols, scenario: Scenario) -> Scenario {
    Scenario {
        protocols,
        ..scenario
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scenarios_are_chosen_by_name_in_the_order_of_the_table() {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let found = chosen(&names(&["idle", "fresh"])).unwrap();
        assert_eq!(
            found.iter().map(|scenario| scenario.name).collect::<Vec<_>>(),
            ["fresh", "idle"]
        );
        assert_eq!(chosen(&[]).unwrap().len(), SCENARIOS.len());
        assert!(chosen(&names(&["fresher"])).is_err());
    }
}
