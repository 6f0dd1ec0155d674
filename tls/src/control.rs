//! Sessions of the control thread, whose runtime is tokio: there ordinary libraries do the work.
//!
//! Owns the handshake over a tokio stream, with the same contexts that workers use. Refuses to bound its time: that is
//! its caller's.

use std::{io, sync::Arc};

use rustls_pki_types::ServerName;
use sluice_config::model::ApplicationProtocol;
use tokio::net::TcpStream;
use tokio_rustls::{TlsAcceptor, TlsConnector};

use crate::{ClientContext, Failure, Peer, Reason, ServerContext};

/// A session whose other end is a server.
pub type ClientSession = tokio_rustls::client::TlsStream<TcpStream>;

/// A session whose other end is a client.
pub type ServerSession = tokio_rustls::server::TlsStream<TcpStream>;

/// Speaks TLS on `stream` with the server called `host`, a DNS name or an address.
///
/// # Errors
/// When `host` is neither, or why the handshake failed.
pub async fn connect(
    stream: TcpStream,
    context: &ClientContext,
    host: &str,
) -> Result<ClientSession, Failure> {
    let host = ServerName::try_from(host).map_err(|error| Failure::new(Reason::Internal, error))?;
    let connector = TlsConnector::from(context.shared());
    let session = connector.connect(host.to_owned(), stream).await;
    session.map_err(|error| failure(&error))
}

/// What both sides agreed to speak, if that is one of ours.
#[must_use]
pub fn agreed(session: &ClientSession) -> Option<ApplicationProtocol> {
    let name = session.get_ref().1.alpn_protocol()?;
    let known = [ApplicationProtocol::Http2, ApplicationProtocol::Http1];
    known
        .into_iter()
        .find(|protocol| protocol.as_str().as_bytes() == name)
}

/// Ends TLS for a client on `stream`. Gives the session, and who the client is if it showed a certificate.
///
/// # Errors
/// Why the handshake failed.
pub async fn accept(
    stream: TcpStream,
    context: &ServerContext,
) -> Result<(ServerSession, Option<Peer>), Failure> {
    let acceptor = TlsAcceptor::from(Arc::new(context.shared()));
    let session = acceptor.accept(stream).await.map_err(|error| failure(&error))?;
    let (_, connection) = session.get_ref();
    let shown = connection.peer_certificates().and_then(<[_]>::first);
    let peer = shown.map(|certificate| Peer::read(certificate));
    let peer = peer
        .transpose()
        .map_err(|error| Failure::new(Reason::CertificateInvalid, error))?;
    Ok((session, peer))
}

/// What rustls said comes wrapped; all else is the connection's end.
fn failure(error: &io::Error) -> Failure {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref());
    match inner {
        Some(error) => Failure::of(error, false),
        None => Failure::new(Reason::Closed, error),
    }
}
