//! A connection to a backend, lent for one try.

use std::{
    future::poll_fn,
    io::{self, ErrorKind},
    rc::Rc,
    time::Instant,
};

use sluice_io::{Io, SocketOptions, TcpStream};
use sluice_tls::{ClientContext, Stream};

use super::{Endpoint, Service};
use crate::wire::Wire;

/// A connection for one try; counts as load of its endpoint until dropped. Dropping it closes the connection.
pub struct Lease {
    /// The connection; boxed once when it opens, as it moves from request to request.
    pub wire: Box<Wire>,
    /// Whether it served a request before: then it may turn out to be closed already.
    pub reused: bool,
    load: Load,
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
    /// An idle connection to the endpoint, if one is kept.
    #[must_use]
    pub fn pooled(service: &Service, endpoint: &Rc<Endpoint>, now: Instant) -> Option<Self> {
        let wire = endpoint.take_idle(now, service.settings.pool.idle_timeout)?;
        service.metrics().pool_hits.inc();
        Some(Self {
            wire,
            reused: true,
            load: Load::on(endpoint),
        })
    }

    /// A new connection to the endpoint.
    ///
    /// # Errors
    /// When the system says no. The time bound is the caller's.
    pub async fn connect(
        io: &Io,
        service: &Service,
        endpoint: &Rc<Endpoint>,
        options: &SocketOptions,
    ) -> io::Result<Self> {
        let load = Load::on(endpoint);
        let tcp = io.connect(endpoint.address, options).await?;
        let stream = match (&service.tls, &endpoint.host) {
            (Some(context), Some(host)) => secure(service, endpoint, tcp, context, host).await?,
            (None, _) => tcp.into(),
            // Never in plaintext what is to be secret.
            (Some(_), None) => return Err(ErrorKind::Unsupported.into()),
        };
        service.metrics().connects.inc();
        Ok(Self {
            wire: Box::new(Wire::new(stream)),
            reused: false,
            load,
        })
    }

    /// Resets the connection, so that the endpoint cannot take what it got for the whole.
    pub fn abort(self) {
        (*self.wire).abort();
    }

    /// Keeps the connection for another request. Only after a whole response and a whole request.
    pub fn give_back(mut self, service: &Service, now: Instant) {
        if self.wire.is_quiet() {
            self.load
                .0
                .keep_idle(self.wire, service.settings.pool.idle_max, now);
        }
    }
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
