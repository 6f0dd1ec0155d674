//! Services: where requests end up.

use std::{fmt, net::SocketAddr, str::FromStr};

use serde::{Deserialize, Serialize};

use super::{
    health::Health,
    tls::{ApplicationProtocol, ServiceTls},
    value::{Invalid, Millis, Name, Weight, domain},
};

/// A named set of endpoints that serve the same thing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Service {
    /// Unique among services.
    pub name: Name,
    /// Never empty.
    pub endpoints: Vec<Endpoint>,
    /// What is spoken to them.
    pub protocol: ServiceProtocol,
    /// How they are reached over TLS; `None` in plaintext.
    pub tls: Option<ServiceTls>,
    /// What tells them, first on each connection, who the client is; `None` nothing.
    #[serde(default)]
    pub proxy_protocol: Option<ProxyProtocol>,
    /// Most methods of gRPC that are counted each by itself; with 0 none is.
    #[serde(default)]
    pub grpc_method_metrics: u16,
    /// How one is picked.
    pub balance: Balance,
    /// Bound on connecting.
    pub connect_timeout: Millis,
    /// Kept connections.
    pub pool: Pool,
    /// When an endpoint is left out for a while; `None` never.
    pub outlier: Option<Outlier>,
    /// How its endpoints are asked whether they are well; `None` not at all.
    pub health: Option<Health>,
}

/// One place a service is at.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Endpoint {
    /// Where to connect.
    pub address: Address,
    /// Relative to the others; at least 1.
    pub weight: Weight,
}

/// Where to connect.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Address {
    /// A literal address and port.
    Ip(SocketAddr),
    /// A DNS name (lower case, no trailing dot) and port: as many endpoints as it has addresses.
    Dns(String, u16),
}

/// What is spoken to the endpoints of a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ServiceProtocol {
    /// HTTP/1.1.
    Http1,
    /// HTTP/2: over TLS, or in clear text by prior knowledge (RFC 9113 3.3).
    H2,
    /// Over TLS whichever of both the endpoint prefers, in clear text HTTP/1.1.
    Auto,
}

impl ServiceProtocol {
    /// What is offered over TLS, best first.
    #[must_use]
    pub const fn alpn(self) -> &'static [ApplicationProtocol] {
        match self {
            Self::Http1 => &[ApplicationProtocol::Http1],
            Self::H2 => &[ApplicationProtocol::Http2],
            Self::Auto => &[ApplicationProtocol::Http2, ApplicationProtocol::Http1],
        }
    }
}

/// The form of a PROXY header that is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ProxyProtocol {
    /// A line of text.
    V1,
    /// The binary form.
    V2,
}

/// How an endpoint is picked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Balance {
    /// The less loaded of two picked at random, load being requests in flight over weight.
    LeastRequest,
    /// By turns, in proportion to weight.
    RoundRobin,
    /// At random, in proportion to weight.
    Random,
}

/// Kept upstream connections, per worker and endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pool {
    /// Most idle connections kept; 0 keeps none.
    pub idle_max: u32,
    /// How long an idle one is kept.
    pub idle_timeout: Millis,
    /// Most requests in flight; more are answered 503 (overloaded).
    pub requests_max: u32,
}

/// Passive ejection of an endpoint whose tries fail without an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outlier {
    /// Connect failures, resets and timeouts in a row that eject it.
    pub consecutive_failures: u32,
    /// How long the first time; times the number of ejections in a row, at most ten times this.
    pub ejection: Millis,
    /// Share of the endpoints that may be out at once, 0 to 100; below that the rest are used all the same.
    pub percent_max: u8,
}

impl Address {
    /// Reads `10.0.0.1:80`, `[::1]:80` or `name.example:80`.
    ///
    /// # Errors
    /// When the port is missing or 0, or the host is neither an address nor a DNS name.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        if let Ok(address) = text.parse::<SocketAddr>() {
            return if address.port() == 0 {
                Err(no_port())
            } else {
                Ok(Self::Ip(address))
            };
        }
        if let Some((_, rest)) = text.split_once("://") {
            return Err(Invalid::rather(
                "an address has no scheme",
                rest.trim_end_matches('/'),
            ));
        }
        if text.starts_with('[') || text.parse::<std::net::Ipv6Addr>().is_ok() {
            return Err(Invalid::because(
                "an IPv6 address and its port are written `[::1]:80`",
            ));
        }
        let Some((host, port)) = text.rsplit_once(':') else {
            return Err(Invalid::because(
                "an address has a port, as in `10.0.0.1:80` or `name.example:80`",
            ));
        };
        let port = match port.parse::<u16>() {
            Ok(number) if number != 0 && !port.starts_with('+') => number,
            _ => return Err(no_port()),
        };
        Ok(Self::Dns(domain(host)?, port))
    }
}

fn no_port() -> Invalid {
    Invalid::because("a port is from 1 to 65535")
}

impl FromStr for Address {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        Self::parse(text)
    }
}

impl fmt::Display for Address {
    /// As [`Address::parse`] reads it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(address) => write!(f, "{address}"),
            Self::Dns(name, port) => write!(f, "{name}:{port}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_and_written() {
        for text in ["10.0.0.1:80", "[::1]:80", "reviews.prod.svc:9080", "localhost:1"] {
            assert_eq!(Address::parse(text).unwrap().to_string(), text);
        }
        assert_eq!(Address::parse("A.b.:80").unwrap(), Address::Dns("a.b".into(), 80));
        for wrong in [
            "",
            "a",
            "10.0.0.1",
            "::1",
            "[::1]",
            "a:0",
            "10.0.0.1:0",
            "a:65536",
            "10.0.0.256:80",
            ":80",
            "a b:1",
            "a:+80",
        ] {
            assert!(Address::parse(wrong).is_err(), "{wrong}");
        }
        assert_eq!(
            Address::parse("http://a:80/").unwrap_err().suggestion.as_deref(),
            Some("a:80")
        );
    }
}
