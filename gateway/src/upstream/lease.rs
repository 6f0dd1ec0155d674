//! A connection to a backend, lent for one try.

use std::{rc::Rc, time::Instant};

use sluice_io::{Io, SocketOptions};

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
    ) -> std::io::Result<Self> {
        let load = Load::on(endpoint);
        let stream = io.connect(endpoint.address, options).await?;
        service.metrics().connects.inc();
        Ok(Self {
            wire: Box::new(Wire::new(stream)),
            reused: false,
            load,
        })
    }

    /// Keeps the connection for another request. Only after a whole response and a whole request.
    pub fn give_back(self, service: &Service, now: Instant) {
        if self.wire.is_quiet() {
            self.load
                .0
                .keep_idle(self.wire, service.settings.pool.idle_max, now);
        }
    }
}
