//! A service as workers use it: its settings and the addresses it has now.

use std::{net::SocketAddr, sync::Arc};

use sluice_config::{
    Model,
    model::{self, Address, ServiceId, ServiceTls},
};
use sluice_routing::authorize::Policies;
use sluice_tls::ClientContext;

use super::{Resolved, Transports};
use crate::metrics::{GrpcMethods, PerWorker, Registry, ServiceMetrics};

/// One service.
pub struct Service {
    /// Its settings.
    pub settings: model::Service,
    /// How it is reached over TLS, if it is.
    pub tls: Option<Arc<ClientContext>>,
    /// Where it is now; DNS names stand here as the addresses they have. Empty when none resolves.
    pub endpoints: Vec<Endpoint>,
    /// What is asked of requests about to be sent to it.
    pub policies: Policies,
    /// Its counters.
    pub metrics: PerWorker<ServiceMetrics>,
    /// Those of its methods of gRPC, in all workers.
    pub grpc_methods: PerWorker<GrpcMethods>,
}

/// One address of a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// Where to connect.
    pub address: SocketAddr,
    /// As which host it is called over TLS; `None` in plaintext.
    pub host: Option<Arc<str>>,
    /// Relative to the others, at least 1.
    pub weight: u32,
    /// Whether it may be picked, as far as health checks told when this was compiled.
    pub up: bool,
}

impl Service {
    pub(super) fn compile(
        model: &Model,
        id: ServiceId,
        resolved: &Resolved,
        transports: &Transports,
        is_up: &impl Fn(&str, SocketAddr) -> bool,
        registry: &Registry,
    ) -> Self {
        let settings = &model.services[id.0];
        let name = settings.name.as_str();
        let mut endpoints: Vec<Endpoint> = Vec::with_capacity(settings.endpoints.len());
        for declared in &settings.endpoints {
            let weight = declared.weight.get();
            for address in addresses(&declared.address, resolved) {
                match endpoints.iter_mut().find(|known| known.address == address) {
                    Some(known) => known.weight = known.weight.saturating_add(weight),
                    None => endpoints.push(Endpoint {
                        address,
                        host: settings.tls.as_ref().map(|tls| host(tls, &declared.address)),
                        weight,
                        up: settings.health.is_none() || is_up(name, address),
                    }),
                }
            }
        }
        let metrics = registry.service(name);
        let unverified = settings.tls.as_ref().is_some_and(|tls| tls.unverified);
        metrics.of(0).tls_unverified.set(unverified.into());
        Self {
            tls: transports.services.get(name).cloned(),
            endpoints,
            policies: Policies::compile(model, |target| target.services.contains(&id)),
            metrics,
            grpc_methods: registry.grpc_methods(name),
            settings: settings.clone(),
        }
    }
}

/// As which host an endpoint is called.
fn host(tls: &ServiceTls, address: &Address) -> Arc<str> {
    match (&tls.server_name, address) {
        (Some(name), _) | (None, Address::Dns(name, _)) => name.as_str().into(),
        (None, Address::Ip(address)) => address.ip().to_string().into(),
    }
}

fn addresses(address: &Address, resolved: &Resolved) -> Vec<SocketAddr> {
    match address {
        Address::Ip(address) => vec![*address],
        Address::Dns(name, port) => resolved
            .get(name)
            .into_iter()
            .flatten()
            .map(|ip| SocketAddr::new(*ip, *port))
            .collect(),
    }
}
