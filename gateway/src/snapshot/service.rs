//! A service as workers use it: its settings and the addresses it has now.

use std::net::SocketAddr;

use sluice_config::{
    Model,
    model::{self, Address, ServiceId},
};
use sluice_routing::authorize::Policies;

use super::Resolved;
use crate::metrics::{PerWorker, Registry, ServiceMetrics};

/// One service.
pub struct Service {
    /// Its settings.
    pub settings: model::Service,
    /// Where it is now; DNS names stand here as the addresses they have. Empty when none resolves.
    pub endpoints: Vec<Endpoint>,
    /// What is asked of requests about to be sent to it.
    pub policies: Policies,
    /// Its counters.
    pub metrics: PerWorker<ServiceMetrics>,
}

/// One address of a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Endpoint {
    /// Where to connect.
    pub address: SocketAddr,
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
                        weight,
                        up: settings.health.is_none() || is_up(name, address),
                    }),
                }
            }
        }
        Self {
            endpoints,
            policies: Policies::compile(model, |target| target.services.contains(&id)),
            metrics: registry.service(name),
            settings: settings.clone(),
        }
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
