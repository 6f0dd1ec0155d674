//! A listener as workers use it.

use std::sync::Arc;

use sluice_config::{Model, model::ListenerId};
use sluice_routing::{authorize::Policies, table::RouteTable};
use sluice_tls::ServerContext;

use super::Transports;
use crate::metrics::{
    ListenerMetrics, PassthroughCounters, PerWorker, PlaintextPeers, Registry, RequestCounters,
};

/// One listening address with all it needs to take a request.
pub struct Listener {
    /// Its index.
    pub id: ListenerId,
    /// Its settings.
    pub settings: sluice_config::model::Listener,
    /// How it ends TLS, where it does.
    pub tls: Option<Arc<ServerContext>>,
    /// Its rules.
    pub table: RouteTable,
    /// What is asked of its requests.
    pub policies: Policies,
    /// Its counters.
    pub metrics: PerWorker<ListenerMetrics>,
    /// Who spoke plaintext where TLS is spoken too; shared by the workers.
    pub plaintext: PerWorker<PlaintextPeers>,
    /// Counters of requests that no rule took.
    pub unrouted: PerWorker<RequestCounters>,
    /// Counters of connections to be passed on that no rule took.
    pub unrouted_connections: PerWorker<PassthroughCounters>,
}

impl Listener {
    pub(super) fn compile(
        model: &Model,
        id: ListenerId,
        transports: &Transports,
        registry: &Registry,
    ) -> Self {
        let settings = model.listeners[id.0].clone();
        Self {
            id,
            table: RouteTable::compile(model, id),
            policies: Policies::compile(model, |target| target.listeners.contains(&id)),
            tls: transports.listeners.get(&settings.bind).cloned(),
            plaintext: registry.plaintext_peers(settings.name.as_str()),
            metrics: registry.listener(settings.name.as_str()),
            unrouted: registry.requests(settings.name.as_str(), "-", "-"),
            unrouted_connections: registry.passthrough(settings.name.as_str(), "-", "-"),
            settings,
        }
    }
}
