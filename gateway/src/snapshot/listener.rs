//! A listener as workers use it.

use sluice_config::{Model, model::ListenerId};
use sluice_routing::{authorize::Policies, table::RouteTable};

use crate::metrics::{ListenerMetrics, PerWorker, Registry, RequestCounters};

/// One listening address with all it needs to take a request.
pub struct Listener {
    /// Its index.
    pub id: ListenerId,
    /// Its settings.
    pub settings: sluice_config::model::Listener,
    /// Its rules.
    pub table: RouteTable,
    /// What is asked of its requests.
    pub policies: Policies,
    /// Its counters.
    pub metrics: PerWorker<ListenerMetrics>,
    /// Counters of requests that no rule took.
    pub unrouted: PerWorker<RequestCounters>,
}

impl Listener {
    pub(super) fn compile(model: &Model, id: ListenerId, registry: &Registry) -> Self {
        let settings = model.listeners[id.0].clone();
        Self {
            id,
            table: RouteTable::compile(model, id),
            policies: Policies::compile(model, |target| target.listeners.contains(&id)),
            metrics: registry.listener(settings.name.as_str()),
            unrouted: registry.requests(settings.name.as_str(), "-", "-"),
            settings,
        }
    }
}
