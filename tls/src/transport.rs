//! What a connection tells of itself apart from its bytes: whether it is secure, who is at the other end, which name was
//! asked for. A value of its own, as the streams of an HTTP/2 connection each have it while another task reads the bytes.

use std::sync::Arc;

use sluice_config::model::SpiffeId;

use crate::{Peer, peer::spiffe_id, server::Chooser};

/// See the module.
#[derive(Debug, Clone)]
pub struct Transport {
    is_secure: bool,
    /// What a client asked for; none where this side is the client.
    chooser: Option<Arc<Chooser>>,
    peer: Option<Arc<Peer>>,
}

impl Transport {
    /// Of a connection without TLS.
    pub const PLAIN: Self = Self {
        is_secure: false,
        chooser: None,
        peer: None,
    };

    pub(crate) const fn new(chooser: Option<Arc<Chooser>>) -> Self {
        Self {
            is_secure: true,
            chooser,
            peer: None,
        }
    }

    pub(crate) fn met(&mut self, peer: Peer) {
        self.peer = Some(Arc::new(peer));
    }

    pub(crate) fn chooser(&self) -> Option<&Chooser> {
        self.chooser.as_deref()
    }

    /// Whether bytes are sealed on the wire.
    #[must_use]
    pub const fn is_secure(&self) -> bool {
        self.is_secure
    }

    /// Who is at the other end, if it showed a certificate.
    #[must_use]
    pub fn peer(&self) -> Option<&Peer> {
        self.peer.as_deref()
    }

    /// The SPIFFE ID of the certificate that the client was shown.
    #[must_use]
    pub fn own_identity(&self) -> Option<SpiffeId<'_>> {
        spiffe_id(&self.chooser()?.shown()?.uris)
    }

    /// The name the client asked for (SNI, RFC 6066 3), in lower case.
    #[must_use]
    pub fn server_name(&self) -> Option<&str> {
        self.chooser()?.server_name()
    }

    /// Whether a request for `host` (no port) belongs on this connection: not if its certificate is for others and one of
    /// the listener's others is for it.
    #[must_use]
    pub fn serves(&self, host: &str) -> bool {
        self.chooser().is_none_or(|chooser| chooser.serves(host))
    }
}
