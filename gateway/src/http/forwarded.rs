//! What is said of the client to the backend, and who is believed about it. Owns the walk back through
//! X-Forwarded-For. Refuses every claim of a peer that is no trusted proxy: its fields are dropped before a
//! rule could match them.

use std::net::{IpAddr, SocketAddr};

use ipnet::IpNet;
use sluice_config::model::ForwardCertificate;

use super::{
    authority::Authority,
    client_certificate::ClientCertificate,
    encode::{write_address, write_field},
    field::{self, Fate, Known},
    request::RequestHead,
};

/// The client of one request, as far as it is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Forwarded {
    client: IpAddr,
    peer: IpAddr,
    scheme: Scheme,
    /// The peer is a trusted proxy: its fields are carried on.
    trusted: bool,
    /// Its X-Forwarded-Host is one valid host.
    host_given: bool,
    certificate: ForwardCertificate,
}

/// The scheme the client used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// Plain.
    Http,
    /// Over TLS.
    Https,
}

impl Scheme {
    /// In lower case.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }

    /// That of a connection that is secure or not.
    #[must_use]
    pub const fn by(is_secure: bool) -> Self {
        if is_secure { Self::Https } else { Self::Http }
    }

    fn of(name: &[u8]) -> Option<Self> {
        [Self::Http, Self::Https]
            .into_iter()
            .find(|scheme| name.eq_ignore_ascii_case(scheme.as_str().as_bytes()))
    }
}

impl Forwarded {
    /// Reads who the client is of `request`, which came from `peer` over `scheme`. If `peer` is in `trusted`,
    /// its X-Forwarded-*, Forwarded, X-Real-IP and client certificate fields are believed and carried on, the last as
    /// `certificate` says; otherwise they stay dropped. Call it before routing.
    #[must_use]
    pub fn read(
        request: &mut RequestHead,
        peer: IpAddr,
        trusted: &[IpNet],
        scheme: Scheme,
        certificate: ForwardCertificate,
    ) -> Self {
        let peer = peer.to_canonical();
        let is_trusted = |address: IpAddr| is_trusted(address, trusted);
        let mut forwarded = Self {
            client: peer,
            peer,
            scheme,
            trusted: is_trusted(peer),
            host_given: false,
            certificate,
        };
        if forwarded.trusted {
            request.trust(match certificate {
                ForwardCertificate::None => Fate::Forward,
                ForwardCertificate::Set => Fate::Dropped,
                ForwardCertificate::Append => Fate::Local,
            });
            forwarded.client = client(request, peer, is_trusted);
            let fields = request.fields();
            forwarded.scheme = only(fields.values(Known::ForwardedProto))
                .and_then(Scheme::of)
                .unwrap_or(scheme);
            forwarded.host_given = only(fields.values(Known::ForwardedHost)).is_some_and(Authority::is_valid);
        }
        forwarded
    }

    /// The believed address: the last one of X-Forwarded-For that is no trusted proxy, or the peer's.
    #[must_use]
    pub const fn client(&self) -> IpAddr {
        self.client
    }

    /// The scheme the client used.
    #[must_use]
    pub const fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// The values received that are carried on, then the peer's own address.
    pub(super) fn write_for(&self, out: &mut Vec<u8>, request: &RequestHead) {
        out.extend_from_slice(b"x-forwarded-for: ");
        if self.trusted {
            for value in request
                .fields()
                .values(Known::ForwardedFor)
                .filter(|value| !value.is_empty())
            {
                out.extend_from_slice(value);
                out.extend_from_slice(b", ");
            }
        }
        write_address(out, self.peer);
        out.extend_from_slice(b"\r\n");
    }

    /// The values received that are carried on, then what the client has `shown` itself.
    pub(super) fn write_certificate(
        &self,
        out: &mut Vec<u8>,
        request: &RequestHead,
        shown: Option<&ClientCertificate<'_>>,
    ) {
        if self.certificate == ForwardCertificate::None {
            return;
        }
        let start = out.len();
        let mut separator: &[u8] = b"x-forwarded-client-cert: ";
        let told = request.fields().values(Known::ForwardedClientCert);
        for value in told.filter(|value| !value.is_empty()) {
            out.extend_from_slice(separator);
            out.extend_from_slice(value);
            separator = b",";
        }
        if let Some(certificate) = shown {
            out.extend_from_slice(separator);
            certificate.write(out);
        }
        if out.len() > start {
            out.extend_from_slice(b"\r\n");
        }
    }

    pub(super) fn write_host(&self, out: &mut Vec<u8>, request: &RequestHead) {
        let given = request
            .fields()
            .first(Known::ForwardedHost)
            .filter(|_| self.host_given);
        let host = given.unwrap_or_else(|| request.authority().as_bytes());
        if !host.is_empty() {
            write_field(out, b"x-forwarded-host", host);
        }
    }
}

/// Whether an address in its canonical form is that of a trusted proxy.
#[must_use]
pub fn is_trusted(address: IpAddr, trusted: &[IpNet]) -> bool {
    trusted.iter().any(|net| net.contains(&address))
}

/// Walks X-Forwarded-For from its end, each address added by the one after it, to the first not trusted. One
/// that is no address ends the walk: what is before it was said by nobody known.
fn client(request: &RequestHead, peer: IpAddr, is_trusted: impl Fn(IpAddr) -> bool) -> IpAddr {
    let mut client = peer;
    for member in request
        .fields()
        .values(Known::ForwardedFor)
        .rev()
        .flat_map(|value| field::list(value).rev())
    {
        let Some(address) = address(member) else {
            break;
        };
        client = address;
        if !is_trusted(address) {
            break;
        }
    }
    client
}

/// An address, perhaps with the port that some proxies add.
fn address(member: &[u8]) -> Option<IpAddr> {
    let text = str::from_utf8(member).ok()?;
    let bare = text
        .strip_prefix('[')
        .and_then(|inner| inner.strip_suffix(']'))
        .unwrap_or(text);
    let address = bare.parse::<IpAddr>().ok();
    let address = address.or_else(|| Some(text.parse::<SocketAddr>().ok()?.ip()));
    address.map(|address| address.to_canonical())
}

/// The only value, if there is one.
fn only<'a>(mut values: impl Iterator<Item = &'a [u8]>) -> Option<&'a [u8]> {
    values.next().filter(|_| values.next().is_none())
}

#[cfg(test)]
mod tests;
