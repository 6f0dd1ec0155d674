//! The side that faces backends: which endpoint, over which connection.
//!
//! Owns, for one worker, each service's endpoints, their loads and health, and the pools of idle connections. All of
//! it outlives a change of configuration: what stays the same keeps its state.

mod endpoint;
mod lease;
mod methods;
mod multiplexed;

use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    net::SocketAddr,
    rc::Rc,
    sync::Arc,
    time::{Duration, Instant},
};

use sluice_config::{defaults, model::GrpcStatus};
use sluice_io::SocketOptions;
use sluice_routing::{
    balance::Balancer,
    health,
    outlier::{EndpointHealth, EndpointSet},
};

use sluice_tls::ClientContext;

pub use endpoint::Endpoint;
pub use lease::Lease;

use methods::Methods;

use crate::{
    metrics::{PerWorker, ServiceMetrics},
    snapshot::{self, Snapshot},
    wire::proxy_protocol::{self, Ends},
};

/// One service as one worker sees it.
pub struct Service {
    /// Its name.
    pub name: String,
    /// Its settings, as of the snapshot it was made for.
    pub settings: sluice_config::model::Service,
    /// How its endpoints are reached over TLS, if they are.
    tls: Option<Arc<ClientContext>>,
    counters: PerWorker<ServiceMetrics>,
    worker: usize,
    methods: Methods,
    endpoints: Vec<Rc<Endpoint>>,
    balancer: RefCell<Balancer>,
    health: RefCell<EndpointSet>,
    active: Rc<Cell<u32>>,
}

/// The endpoint picked for one try.
pub struct Pick {
    /// It.
    pub endpoint: Rc<Endpoint>,
    /// Where it stands in its service.
    index: usize,
}

/// A place among the requests in flight of a service; given back when dropped.
pub struct Slot {
    active: Rc<Cell<u32>>,
    counters: PerWorker<ServiceMetrics>,
    worker: usize,
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.active.set(self.active.get() - 1);
        self.counters.of(self.worker).requests_active.dec();
    }
}

/// Services of a new snapshot, taking over the state of those that were there before.
#[must_use]
pub fn services(snapshot: &Snapshot, before: &[Rc<Service>], worker: usize) -> Vec<Rc<Service>> {
    let known: HashMap<&str, &Rc<Service>> = before
        .iter()
        .map(|service| (service.name.as_str(), service))
        .collect();
    let take_over = |compiled: &snapshot::Service| {
        let name = compiled.settings.name.as_str();
        Rc::new(Service::next(
            compiled,
            known.get(name).map(|service| &***service),
            worker,
        ))
    };
    snapshot.services.iter().map(take_over).collect()
}

impl Service {
    fn next(compiled: &snapshot::Service, before: Option<&Self>, worker: usize) -> Self {
        let tls = compiled.tls.clone();
        let made_by = |tls: &Option<Arc<ClientContext>>| tls.as_ref().map(Arc::as_ptr);
        let same_transport = before.is_some_and(|before| {
            made_by(&before.tls) == made_by(&tls) && before.settings.protocol == compiled.settings.protocol
        });
        let known: HashMap<SocketAddr, (&Rc<Endpoint>, EndpointHealth)> = before
            .into_iter()
            .flat_map(|service| {
                service
                    .endpoints
                    .iter()
                    .zip(service.health.borrow().health().to_vec())
            })
            .map(|(endpoint, health)| (endpoint.address, (endpoint, health)))
            .collect();
        let (endpoints, health): (Vec<_>, Vec<_>) = compiled
            .endpoints
            .iter()
            .map(|endpoint| {
                let new = || Rc::new(Endpoint::new(endpoint.address, endpoint.host.clone()));
                match known.get(&endpoint.address) {
                    Some((known, health)) if same_transport && known.host == endpoint.host => {
                        (Rc::clone(known), *health)
                    }
                    // Its connections were made to somebody else, or as somebody else.
                    Some((_, health)) => (new(), *health),
                    None => (new(), EndpointHealth::default()),
                }
            })
            .unzip();
        for (endpoint, compiled) in endpoints.iter().zip(&compiled.endpoints) {
            endpoint.set_up(compiled.up);
        }
        let weights: Vec<u32> = compiled
            .endpoints
            .iter()
            .map(|endpoint| endpoint.weight)
            .collect();
        Self {
            name: compiled.settings.name.as_str().to_owned(),
            settings: compiled.settings.clone(),
            tls,
            counters: compiled.metrics.clone(),
            worker,
            methods: Methods::new(
                compiled.grpc_methods.clone(),
                compiled.settings.grpc_method_metrics,
            ),
            endpoints,
            health: RefCell::new(EndpointSet::new(compiled.settings.outlier, health)),
            balancer: RefCell::new(Balancer::new(compiled.settings.balance, &weights)),
            active: before.map_or_else(Rc::default, |service| Rc::clone(&service.active)),
        }
    }

    /// Its counters, of this worker.
    #[must_use]
    pub fn metrics(&self) -> &ServiceMetrics {
        self.counters.of(self.worker)
    }

    /// Whether it counts methods of gRPC.
    #[must_use]
    pub const fn counts_calls(&self) -> bool {
        self.settings.grpc_method_metrics > 0
    }

    /// Counts a call of gRPC by its method, which is `known` to be one where an endpoint has answered for it.
    pub fn count_call(&self, path: &str, known: bool, status: GrpcStatus, duration: Duration) {
        let workers = self.counters.iter().count();
        let counters = self.methods.of(path, known, workers);
        counters.of(self.worker).count(status, duration);
    }

    /// A place among its requests in flight, or none when `pool.requestsMax` is reached.
    #[must_use]
    pub fn admit(&self) -> Option<Slot> {
        if self.active.get() >= self.settings.pool.requests_max {
            return None;
        }
        self.active.set(self.active.get() + 1);
        self.metrics().requests_active.inc();
        Some(Slot {
            active: Rc::clone(&self.active),
            counters: self.counters.clone(),
            worker: self.worker,
        })
    }

    /// What a new connection to it begins with: the header that tells these ends, or nothing.
    #[must_use]
    pub fn opening(&self, ends: impl FnOnce() -> Ends) -> Vec<u8> {
        let mut opening = Vec::new();
        if let Some(version) = self.settings.proxy_protocol {
            proxy_protocol::write(version, Some(ends()), &mut opening);
        }
        opening
    }

    /// The endpoint for a try: by balance among those neither ejected nor tried before; where none is left, among those not
    /// tried before; where all were, among all. One that health checks hold to be down is never picked, as it said so
    /// itself, while an ejection is a guess; unless so few are up that the service's `panicBelow` disregards them.
    #[must_use]
    pub fn pick(&self, tried: &[SocketAddr], now: Instant, rng: &mut fastrand::Rng) -> Option<Pick> {
        let load = |index: usize| self.endpoints[index].active();
        let health = self.health.borrow();
        let healthy = health.usable(now);
        let fresh = |index: usize| !tried.contains(&self.endpoints[index].address);
        let all = !self.trusts_checks();
        let up = |index: usize| all || self.endpoints[index].is_up();
        let mut balancer = self.balancer.borrow_mut();
        let index = balancer
            .pick(load, |index| up(index) && fresh(index) && healthy(index), rng)
            .or_else(|| balancer.pick(load, |index| up(index) && fresh(index), rng))
            .or_else(|| balancer.pick(load, up, rng))?;
        Some(Pick {
            endpoint: Rc::clone(&self.endpoints[index]),
            index,
        })
    }

    /// Whether what health checks say counts.
    fn trusts_checks(&self) -> bool {
        match self.settings.health.as_ref().map(|health| health.panic_below) {
            None => false,
            Some(0) => true,
            Some(panic_below) => {
                let up = self.endpoints.iter().filter(|endpoint| endpoint.is_up()).count();
                !health::is_panic(up, self.endpoints.len(), panic_below)
            }
        }
    }

    /// Health checks changed their mind on the endpoint at `address`, if it is one of this service's.
    pub fn set_up(&self, address: SocketAddr, up: bool) {
        if let Some(endpoint) = self.endpoints.iter().find(|endpoint| endpoint.address == address) {
            endpoint.set_up(up);
        }
    }

    /// A try there was answered.
    pub fn succeeded(&self, pick: &Pick, now: Instant) {
        self.health.borrow_mut().on_success(pick.index, now);
    }

    /// A try there failed without an answer.
    pub fn failed(&self, pick: &Pick, now: Instant) {
        if self.health.borrow_mut().on_failure(pick.index, now) {
            self.metrics().ejections.inc();
        }
    }

    /// Drops idle connections that were closed or kept too long, or all. Called now and then by the worker.
    pub fn sweep(&self, now: Instant, keeps_idle: bool) {
        let kept = if keeps_idle {
            self.settings.pool.idle_timeout.duration()
        } else {
            Duration::ZERO
        };
        let idle: usize = self
            .endpoints
            .iter()
            .map(|endpoint| endpoint.sweep(now, kept))
            .sum();
        self.metrics()
            .connections_idle
            .set(i64::try_from(idle).unwrap_or(i64::MAX));
    }
}

/// How sockets behave, on either side of a listener's requests.
#[must_use]
pub fn socket_options(listener: &sluice_config::model::Listener) -> SocketOptions {
    SocketOptions {
        nodelay: true,
        keepalive: Some(defaults::TCP_KEEPALIVE.duration()),
        // Most of a direction's bound goes to what is read at once, for each read and each send costs: the rest may still
        // wait to be sent when the next is read.
        receive_limit: usize::try_from(listener.buffer_bytes_max.bytes() / 4 * 3).unwrap_or(usize::MAX),
    }
}
