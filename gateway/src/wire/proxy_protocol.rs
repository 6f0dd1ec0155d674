//! The PROXY protocol: the header by which a proxy says, before anything else on a connection, whose it is.
//!
//! Owns both versions of HAProxy's specification ("The PROXY protocol, versions 1 & 2"), read and written; pure. Refuses
//! what the specification does not allow, and guesses nothing. What it tells beyond addresses is passed over.

mod v1;
mod v2;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use sluice_config::model::ProxyProtocol;

/// Both ends of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ends {
    /// Who opened it. Port 0 where none is known.
    pub source: SocketAddr,
    /// Where it was opened to.
    pub destination: SocketAddr,
}

/// A header that was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// How long it is.
    pub bytes: usize,
    /// Whose connection it is; `None` is the proxy's own, or one that has no address of a network.
    pub told: Option<Ends>,
}

/// Why there is no header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BadHeader {
    /// The connection begins with something else.
    Missing,
    /// It breaks the rule told.
    Malformed(&'static str),
    /// It is longer than [`PROXY_HEADER_BYTES_MAX`](sluice_config::defaults::PROXY_HEADER_BYTES_MAX), or a line than 107
    /// bytes.
    TooLong,
    /// Its checksum is that of other bytes.
    BadChecksum,
}

/// Reads the header that `received` begins with; `None` while it may become one.
///
/// # Errors
/// When it never will, whatever follows.
pub fn read(received: &[u8]) -> Result<Option<Header>, BadHeader> {
    if may_begin_with(received, v2::SIGNATURE) {
        v2::read(received)
    } else if may_begin_with(received, v1::SIGNATURE) {
        v1::read(received)
    } else {
        Err(BadHeader::Missing)
    }
}

/// Appends the header of this version that tells these ends; of `None` that the connection is our own.
pub fn write(version: ProxyProtocol, told: Option<Ends>, out: &mut Vec<u8>) {
    match version {
        ProxyProtocol::V1 => v1::write(told, out),
        ProxyProtocol::V2 => v2::write(told, out),
    }
}

fn may_begin_with(received: &[u8], mark: &[u8]) -> bool {
    let seen = received.len().min(mark.len());
    received[..seen] == mark[..seen]
}

/// The addresses of two ends, as a header has them: of one family.
enum Addresses {
    V4([Ipv4Addr; 2]),
    V6([Ipv6Addr; 2]),
}

impl Ends {
    /// As IPv4 where both are, mapped or not, else as IPv6 (RFC 4291 2.5.5.2).
    fn addresses(&self) -> Addresses {
        let mapped = |address: IpAddr| match address {
            IpAddr::V4(address) => address.to_ipv6_mapped(),
            IpAddr::V6(address) => address,
        };
        match [self.source, self.destination].map(|end| end.ip().to_canonical()) {
            [IpAddr::V4(source), IpAddr::V4(destination)] => Addresses::V4([source, destination]),
            both => Addresses::V6(both.map(mapped)),
        }
    }
}

impl BadHeader {
    /// As it is counted.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Malformed(_) => "malformed",
            Self::TooLong => "too_long",
            Self::BadChecksum => "bad_checksum",
        }
    }

    /// The rule it broke, if that says more.
    #[must_use]
    pub const fn rule(self) -> Option<&'static str> {
        match self {
            Self::Malformed(rule) => Some(rule),
            Self::Missing | Self::TooLong | Self::BadChecksum => None,
        }
    }
}

#[cfg(test)]
mod tests;
