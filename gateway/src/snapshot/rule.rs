//! A rule as workers use it: header edits merged, redirects ready, counters at hand.

use sluice_config::{
    Model,
    model::{self, Direct, ListenerId, Name, Redirect, Retry, Rewrite, Route, ServiceId, Sticky, Timeouts},
};
use sluice_routing::{filter::HeaderEdits, split};

use crate::metrics::{Counter, PassthroughCounters, PerWorker, Registry, RequestCounters, RetryCounters};

/// One rule of a route.
pub struct Rule {
    /// The route's name.
    pub route: Name,
    /// The rule's name.
    pub name: Name,
    /// Where its requests go.
    pub action: Action,
    /// Bounds of a request.
    pub timeouts: Timeouts,
    /// When to try again.
    pub retry: Option<Retry>,
    /// Outcomes of retries, by route.
    pub retries: PerWorker<RetryCounters>,
}

/// Where the requests of a rule go.
pub enum Action {
    /// To one of several backends.
    Forward {
        /// By which shares.
        split: Split,
        /// What ties a client to a backend.
        sticky: Option<Sticky>,
        /// Change of the target.
        rewrite: Option<Rewrite>,
    },
    /// Answered by the gateway.
    Direct {
        /// What it says.
        direct: Direct,
        /// Changes to the answer's fields.
        edits: HeaderEdits,
        /// Who counts it.
        served: Served,
    },
    /// Answered with a redirect.
    Redirect {
        /// Where it leads.
        redirect: Redirect,
        /// Changes to the answer's fields.
        edits: HeaderEdits,
        /// Who counts it.
        served: Served,
    },
}

/// The shares of a rule, each vector by the same index.
pub struct Split {
    /// Where each goes; never empty.
    pub backends: Vec<Backend>,
    /// How large each is, relative to the sum.
    pub weights: Vec<u32>,
    /// What ties sticky clients to each; the same over reloads.
    pub keys: Vec<u64>,
}

/// One share of a split.
pub struct Backend {
    /// Where it goes.
    pub service: ServiceId,
    /// Changes to the request's fields, the rule's and the backend's.
    pub request_edits: HeaderEdits,
    /// Changes to the response's fields, likewise.
    pub response_edits: HeaderEdits,
    /// How often the split picked it.
    pub picks: PerWorker<Counter>,
    /// Who counts its requests.
    pub served: Served,
    /// Who counts its connections, where they are passed on.
    pub passthrough: ByListener<PassthroughCounters>,
}

/// Counters by the listener that is counted for.
pub struct ByListener<T>(Vec<Option<PerWorker<T>>>);

/// Counters of requests by the listener they came by.
pub type Served = ByListener<RequestCounters>;

impl<T> ByListener<T> {
    fn new(model: &Model, route: &Route, counters: impl Fn(&str) -> PerWorker<T>) -> Self {
        let mut by_listener = vec![None; model.listeners.len()];
        for id in &route.listeners {
            by_listener[id.0] = Some(counters(model.listeners[id.0].name.as_str()));
        }
        Self(by_listener)
    }

    /// The counters for this listener; `None` if the route does not serve it.
    #[must_use]
    pub fn by(&self, listener: ListenerId) -> Option<&PerWorker<T>> {
        self.0.get(listener.0)?.as_ref()
    }
}

/// Counters of the requests of a route that go to `service`.
fn served(model: &Model, route: &Route, service: &str, registry: &Registry) -> Served {
    Served::new(model, route, |listener| {
        registry.requests(listener, route.name.as_str(), service)
    })
}

/// Counters of its connections; none where it serves requests.
fn passthrough(
    model: &Model,
    route: &Route,
    service: &str,
    registry: &Registry,
) -> ByListener<PassthroughCounters> {
    let mut listeners = route.listeners.iter();
    if !listeners.any(|id| model.listeners[id.0].protocol.is_passthrough()) {
        return ByListener(Vec::new());
    }
    ByListener::new(model, route, |listener| {
        registry.passthrough(listener, route.name.as_str(), service)
    })
}

impl Rule {
    pub(super) fn compile(model: &Model, route: &Route, rule: &model::Rule, registry: &Registry) -> Self {
        Self {
            route: route.name.clone(),
            name: rule.name.clone(),
            action: Action::compile(model, route, rule, registry),
            timeouts: rule.timeouts,
            retry: rule.retry.clone(),
            retries: registry.retries(route.name.as_str()),
        }
    }
}

impl Action {
    fn compile(model: &Model, route: &Route, rule: &model::Rule, registry: &Registry) -> Self {
        let edits = || HeaderEdits::merge(&rule.filters.response_headers, &[]);
        let served = || served(model, route, "-", registry);
        match &rule.action {
            model::Action::Forward(backends) => Self::Forward {
                split: Split {
                    backends: backends
                        .iter()
                        .map(|share| Backend::compile(model, route, rule, share, registry))
                        .collect(),
                    weights: backends.iter().map(|share| share.weight.get()).collect(),
                    keys: split::backend_keys(
                        backends
                            .iter()
                            .map(|share| model.services[share.service.0].name.as_str()),
                    ),
                },
                sticky: rule.sticky.clone(),
                rewrite: rule.filters.rewrite.clone(),
            },
            model::Action::Direct(direct) => Self::Direct {
                direct: direct.clone(),
                edits: edits(),
                served: served(),
            },
            model::Action::Redirect(redirect) => Self::Redirect {
                redirect: redirect.clone(),
                edits: edits(),
                served: served(),
            },
        }
    }
}

impl Backend {
    fn compile(
        model: &Model,
        route: &Route,
        rule: &model::Rule,
        share: &model::Backend,
        registry: &Registry,
    ) -> Self {
        let service = model.services[share.service.0].name.as_str();
        Self {
            service: share.service,
            request_edits: HeaderEdits::merge(&rule.filters.request_headers, &share.filters.request_headers),
            response_edits: HeaderEdits::merge(
                &rule.filters.response_headers,
                &share.filters.response_headers,
            ),
            picks: registry.split_picks(route.name.as_str(), rule.name.as_str(), service),
            served: served(model, route, service, registry),
            passthrough: passthrough(model, route, service, registry),
        }
    }
}
