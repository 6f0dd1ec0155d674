//! What a decision may ask of a request, or of a connection that is passed on without its requests being read.
//!
//! Owns the one view of a request that every test reads through, so that routing knows no message type. Refuses
//! to parse: whoever implements the view has normalised host and path already.

use std::{borrow::Cow, net::IpAddr};

use sluice_config::model::SpiffeId;

/// A request as the rules see it.
pub trait RequestView {
    /// The host: lower case, without port and trailing dot, an IPv6 literal in brackets; empty if there is none.
    fn host(&self) -> &str;

    /// The method as it was sent (RFC 9110 9.1: case-sensitive). Empty for a connection that is passed on: of that
    /// nothing is known but how it arrived, and host, path, query and fields are not told.
    fn method(&self) -> &str;

    /// The path in its normal form, without the query. Begins with `/`, but for the `*` of OPTIONS.
    fn path(&self) -> &str;

    /// The query without its `?`, still percent-encoded.
    fn query(&self) -> Option<&str>;

    /// The value of the field `name` (lower case); several values are joined by `, ` (RFC 9110 5.3).
    fn header(&self, name: &str) -> Option<Cow<'_, [u8]>>;

    /// How it arrived. Asked for only where a rule or a policy needs it.
    fn arrival(&self) -> Arrival<'_>;
}

/// How a request arrived: what its connection tells of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arrival<'r> {
    /// Who the peer has proved to be by a certificate that was verified; `None` on plaintext.
    pub identity: Option<SpiffeId<'r>>,
    /// The DNS names of that certificate, lower case; none on plaintext.
    pub names: &'r [String],
    /// Where the connection came from; IPv4 as IPv4.
    pub peer: IpAddr,
    /// The client behind proxies that are trusted; without one the peer.
    pub client: IpAddr,
    /// The listener's.
    pub port: u16,
    /// The server name of the TLS hello, lower case; `None` on plaintext.
    pub sni: Option<&'r str>,
}

impl Arrival<'_> {
    /// From `peer` itself, on plaintext.
    #[must_use]
    pub const fn plain(peer: IpAddr, port: u16) -> Self {
        Self {
            identity: None,
            names: &[],
            peer,
            client: peer,
            port,
            sni: None,
        }
    }
}
