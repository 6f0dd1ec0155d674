//! What health checks found, told to the workers and counted.

use super::{
    super::probe::{Answer, Fault, Learned},
    State,
};
use crate::{
    metrics::CheckResult,
    snapshot::Service,
    worker::{Health, Message},
};

impl State {
    /// Takes in what a health check found.
    pub(in crate::control) fn learn_health(&mut self, answer: &Answer) {
        let learned = self.probes.learn(answer);
        if learned == Learned::Nothing {
            return;
        }
        let series = self.registry.endpoints(&answer.service);
        let metrics = series.of(0);
        let result = answer.outcome.as_ref().err();
        metrics.count(result.map_or(CheckResult::Passed, Fault::result));
        let Learned::Changed { up } = learned else {
            return;
        };
        let (service, endpoint) = (answer.service.as_str(), answer.address);
        match result {
            Some(fault) => {
                metrics.healthy.dec();
                metrics.unhealthy.inc();
                tracing::warn!(service, %endpoint, reason = %fault, "an endpoint is down by its health checks");
            }
            None => {
                metrics.healthy.inc();
                metrics.unhealthy.dec();
                tracing::info!(service, %endpoint, "an endpoint is up again by its health checks");
            }
        }
        let health = Health {
            service: service.into(),
            address: endpoint,
            up,
        };
        self.fleet.tell(|| Message::Health(health.clone()));
    }

    /// Counts the endpoints of what runs; of services that have left none.
    pub(super) fn count_endpoints(&self, services: &[Service]) {
        let names = services.iter().map(|service| service.settings.name.as_str());
        self.registry.forget_endpoints();
        for (name, service) in names.zip(services) {
            let up = service.endpoints.iter().filter(|endpoint| endpoint.up).count();
            let series = self.registry.endpoints(name);
            let count = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
            series.of(0).healthy.set(count(up));
            series.of(0).unhealthy.set(count(service.endpoints.len() - up));
        }
    }
}
