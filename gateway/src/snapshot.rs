//! What workers act on: a [`Model`] compiled into tables, with its counters attached. It never changes.
//!
//! Owns compilation. Refuses the state of a running worker (pools, splits' turns, loads): that is the worker's.

mod listener;
mod rule;
mod service;

use std::{
    collections::HashMap,
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use sluice_config::{
    Model,
    model::{ListenerId, RouteId, ServiceId},
};
use sluice_routing::authorize::Policies;
use sluice_tls::{ClientContext, ServerContext};

pub use listener::Listener;
pub use rule::{Action, Backend, ByListener, Rule, Served, Split};
pub use service::{Endpoint, Service};

use crate::metrics::{PerWorker, PolicyCounters, Registry, RequestCounters};

/// One compiled configuration.
pub struct Snapshot {
    /// Counts up from 1 with each configuration that went live.
    pub generation: u64,
    /// What it was compiled from.
    pub model: Arc<Model>,
    /// By `ListenerId`.
    pub listeners: Vec<Listener>,
    /// Every rule of every route, in the order of the model.
    pub rules: Vec<Rule>,
    /// By `ServiceId`.
    pub services: Vec<Service>,
    /// What is asked of the requests of each route, by `RouteId`.
    pub routes: Vec<Policies>,
    /// Counters of decisions, by `PolicyId`.
    pub policies: Vec<PerWorker<PolicyCounters>>,
    /// Index in `rules` of the first rule of each route.
    first_rule: Vec<usize>,
}

/// What DNS last said, by name. A name that is missing has no address.
pub type Resolved = HashMap<String, Vec<IpAddr>>;

/// How connections are secured. It comes beside the model: its files change by themselves.
#[derive(Default)]
pub struct Transports {
    /// How listeners end TLS, by their address; every one that does is in it.
    pub listeners: HashMap<SocketAddr, Arc<ServerContext>>,
    /// How services are reached over TLS, by name; every one that is, is in it.
    pub services: HashMap<String, Arc<ClientContext>>,
}

/// Compiles a model. `is_up` tells of an endpoint of a service that has health checks what they say. Series of metrics
/// come from `registry`, so that they go on over reloads.
#[must_use]
pub fn compile(
    model: Arc<Model>,
    resolved: &Resolved,
    transports: &Transports,
    is_up: impl Fn(&str, SocketAddr) -> bool,
    registry: &Registry,
    generation: u64,
) -> Snapshot {
    let listeners = (0..model.listeners.len())
        .map(|id| Listener::compile(&model, ListenerId(id), transports, registry))
        .collect();
    let services = (0..model.services.len())
        .map(|id| Service::compile(&model, ServiceId(id), resolved, transports, &is_up, registry))
        .collect();
    let routes = (0..model.routes.len())
        .map(|id| Policies::compile(&model, |target| target.routes.contains(&RouteId(id))))
        .collect();
    let policies = model
        .policies
        .iter()
        .map(|policy| registry.policy(policy.name.as_str()))
        .collect();
    let mut rules = Vec::new();
    let mut first_rule = Vec::with_capacity(model.routes.len());
    for route in &model.routes {
        first_rule.push(rules.len());
        rules.extend(
            route
                .rules
                .iter()
                .map(|rule| Rule::compile(&model, route, rule, registry)),
        );
    }
    Snapshot {
        generation,
        listeners,
        rules,
        services,
        routes,
        policies,
        first_rule,
        model,
    }
}

impl Snapshot {
    /// Index in [`Snapshot::rules`] of a rule that a table found.
    #[must_use]
    pub fn rule_index(&self, found: &sluice_routing::table::Found) -> usize {
        self.first_rule[found.route] + found.rule
    }

    /// The counters of requests that no rule took.
    #[must_use]
    pub fn unrouted(&self, listener: ListenerId) -> &PerWorker<RequestCounters> {
        &self.listeners[listener.0].unrouted
    }
}
