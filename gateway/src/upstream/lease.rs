//! A connection to a backend, lent for one try.

use std::{
    future::poll_fn,
    io::{self, ErrorKind},
    rc::Rc,
    time::Instant,
};

use sluice_config::model::ServiceProtocol;
use sluice_io::{Io, SocketOptions, TcpStream};
use sluice_tls::{ClientContext, Stream};

use super::{Endpoint, Service, multiplexed::Place};
use crate::wire::{H2, Wire};

/// A connection for one try; counts as load of its endpoint until dropped. Dropping it closes the connection.
pub struct Lease {
    /// The connection; boxed once when it opens, as it moves from request to request.
    pub wire: Box<Wire>,
    /// Whether it served a request before: then it may turn out to be closed already.
    pub reused: bool,
    load: Load,
    /// Its place on a connection that it shares.
    _place: Option<Place>,
}

/// Counts one try at an endpoint.
struct Load(Rc<Endpoint>);

impl Load {
    fn on(endpoint: &Rc<Endpoint>) -> Self {
        endpoint.enter();
        Self(Rc::clone(endpoint))
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.0.leave();
    }
}

impl Lease {
    /// An idle connection to the endpoint, if one is kept, or a place on one that is shared. One that began with a client's
    /// header never is.
    #[must_use]
    pub fn pooled(io: &Io, service: &Service, endpoint: &Rc<Endpoint>, now: Instant) -> Option<Self> {
        if service.settings.proxy_protocol.is_some() {
            return None;
        }
        let kept = endpoint.take_idle(now, service.settings.pool.idle_timeout);
        let lease = match kept {
            Some(wire) => Self::of(wire, true, endpoint),
            None if service.settings.protocol == ServiceProtocol::Http1 => return None,
            None => Self::shared(io, endpoint)?,
        };
        service.metrics().pool_hits.inc();
        Some(lease)
    }

    /// A connection to the endpoint for a request, of the version that the service says or both agree on: a new one, or a
    /// place on one that another request has opened meanwhile.
    ///
    /// # Errors
    /// As of [`Self::connect`].
    pub async fn open(
        io: &Io,
        service: &Service,
        endpoint: &Rc<Endpoint>,
        options: &SocketOptions,
        opening: Vec<u8>,
    ) -> io::Result<Self> {
        let settled = match (service.settings.protocol, &service.tls) {
            (ServiceProtocol::Http1, _) | (ServiceProtocol::Auto, None) => true,
            (ServiceProtocol::Auto, Some(_)) => endpoint.speaks_http1.get(),
            (ServiceProtocol::H2, _) => false,
        };
        if settled {
            return Self::connect(io, service, endpoint, options, opening).await;
        }
        let turn = endpoint.multiplexed.turn().await;
        if let Some(lease) = Self::shared(io, endpoint) {
            return Ok(lease);
        }
        let stream = dial(io, service, endpoint, options, opening).await?;
        let agreed = stream.alpn();
        let is_h2 = agreed == Some(b"h2") || !stream.transport().is_secure();
        if !is_h2 && service.settings.protocol == ServiceProtocol::H2 {
            return Err(io::Error::new(
                ErrorKind::Unsupported,
                "the endpoint does not agree to HTTP/2",
            ));
        }
        if !is_h2 {
            endpoint.speaks_http1.set(true);
            return Ok(Self::of(Box::new(Wire::new(stream)), false, endpoint));
        }
        let begun = turn.begin(io, stream).await?;
        Ok(Self::on(begun, false, endpoint))
    }

    fn shared(io: &Io, endpoint: &Rc<Endpoint>) -> Option<Self> {
        let stream = endpoint.multiplexed.stream(io)?;
        Some(Self::on(stream, true, endpoint))
    }

    fn on((stream, place): (H2, Place), reused: bool, endpoint: &Rc<Endpoint>) -> Self {
        Self {
            _place: Some(place),
            ..Self::of(Box::new(Wire::H2(Box::new(stream))), reused, endpoint)
        }
    }

    fn of(wire: Box<Wire>, reused: bool, endpoint: &Rc<Endpoint>) -> Self {
        Self {
            wire,
            reused,
            load: Load::on(endpoint),
            _place: None,
        }
    }

    /// A new connection to the endpoint, for a request of HTTP/1 or for what is passed on, which begins with `opening`, before
    /// TLS.
    ///
    /// # Errors
    /// When the system says no. The time bound is the caller's.
    pub async fn connect(
        io: &Io,
        service: &Service,
        endpoint: &Rc<Endpoint>,
        options: &SocketOptions,
        opening: Vec<u8>,
    ) -> io::Result<Self> {
        let _load = Load::on(endpoint);
        let stream = dial(io, service, endpoint, options, opening).await?;
        Ok(Self::of(Box::new(Wire::new(stream)), false, endpoint))
    }

    /// Resets the connection, so that the endpoint cannot take what it got for the whole.
    pub fn abort(self) {
        (*self.wire).abort();
    }

    /// Keeps the connection for another request, unless it began with a header: then it is its client's. Only after a
    /// whole response and a whole request.
    pub fn give_back(mut self, service: &Service, now: Instant) {
        if service.settings.proxy_protocol.is_none() && self.wire.is_quiet() {
            self.load
                .0
                .keep_idle(self.wire, service.settings.pool.idle_max, now);
        }
    }
}

/// A new connection, over TLS where the service says so.
async fn dial(
    io: &Io,
    service: &Service,
    endpoint: &Endpoint,
    options: &SocketOptions,
    opening: Vec<u8>,
) -> io::Result<Stream> {
    let mut tcp = io.connect(endpoint.address, options).await?;
    if !opening.is_empty() {
        tcp.write(&opening);
        // Sent by itself, as it may be the endpoint that speaks next.
        tcp.start_flush();
    }
    let stream = match (&service.tls, &endpoint.host) {
        (Some(context), Some(host)) => secure(service, endpoint, tcp, context, host).await?,
        (None, _) => tcp.into(),
        // Never in plaintext what is to be secret.
        (Some(_), None) => return Err(ErrorKind::Unsupported.into()),
    };
    service.metrics().connects.inc();
    Ok(stream)
}

/// Shakes hands over a new connection.
async fn secure(
    service: &Service,
    endpoint: &Endpoint,
    tcp: TcpStream,
    context: &ClientContext,
    host: &str,
) -> io::Result<Stream> {
    let mut stream = Stream::connect(tcp, context, host)?;
    match poll_fn(|cx| stream.poll_handshake(cx)).await {
        Ok(()) => {
            service.metrics().count_handshake(stream.is_resumed());
            Ok(stream)
        }
        Err(failure) => {
            service.metrics().count_failed_handshake(failure.reason);
            let (name, address) = (service.name.as_str(), endpoint.address);
            let (reason, detail) = (failure.reason.as_str(), &failure.detail);
            tracing::warn!(service = name, %address, reason, %detail, "a TLS handshake with a backend failed");
            // The alert that says so is queued: it goes, or the backend learns no more than that it was closed on.
            let _ = poll_fn(|cx| stream.poll_flush(cx)).await;
            Err(io::Error::other(failure))
        }
    }
}
