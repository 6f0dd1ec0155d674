//! Services.

use std::collections::HashMap;

use super::{Checker, each};
use crate::{
    defaults,
    model::{Address, Balance, Endpoint, Outlier, Pool, Service, ServiceProtocol, Weight},
    spec::{self, OrNone, Slot},
    tree::NodeId,
};

impl Checker<'_> {
    pub(super) fn service(&mut self, at: NodeId, spec: &spec::Service) -> Option<Service> {
        let name = self.required(at, "name", &spec.name);
        let endpoints = self.required(at, "endpoints", &spec.endpoints).and_then(|list| {
            let mut seen = HashMap::new();
            each(&list.0, |at, spec| self.endpoint(at, spec, &mut seen))
        });
        let tls = match &spec.tls {
            Slot::Absent => Some(None),
            tls => tls
                .given()
                .and_then(|(at, spec)| self.service_tls(at, spec))
                .map(Some),
        };
        let shares = matches!(
            spec.protocol.value(),
            Some(spec::ServiceProtocol::H2 | spec::ServiceProtocol::Auto)
        );
        if let (Some(at), true) = (spec.proxy_protocol.node(), shares) {
            self.error(
                at,
                "`proxyProtocol` tells of one client for each connection, and those of HTTP/2 are shared by all: remove it, or \
                 `protocol`",
            );
        }
        Some(Service {
            name: name?.0.clone(),
            endpoints: endpoints?,
            protocol: spec
                .protocol
                .read_or(ServiceProtocol::Http1, |protocol| (*protocol).into())?,
            tls: tls?,
            proxy_protocol: spec
                .proxy_protocol
                .read_or(None, |version| Some((*version).into()))?,
            grpc_method_metrics: spec.grpc_method_metrics.number_or(0)?,
            balance: spec
                .balance
                .read_or(Balance::LeastRequest, |balance| (*balance).into())?,
            connect_timeout: spec.timeouts.nested(|timeouts| {
                timeouts
                    .connect
                    .read_or(defaults::CONNECT_TIMEOUT, |timeout| timeout.0)
            })?,
            pool: spec.pool.nested(pool)?,
            outlier: match spec.outlier.value() {
                Some(OrNone::None) => None,
                Some(OrNone::Some(spec)) => Some(outlier(spec)?),
                None if spec.outlier.node().is_none() => Some(outlier(&spec::Outlier::default())?),
                None => return None,
            },
            health: match &spec.health {
                Slot::Absent => None,
                health => {
                    let (at, spec) = health.given()?;
                    Some(self.health(at, spec)?)
                }
            },
        })
    }

    fn endpoint(
        &mut self,
        at: NodeId,
        spec: &spec::Endpoint,
        seen: &mut HashMap<Address, NodeId>,
    ) -> Option<Endpoint> {
        let address = &self.required(at, "address", &spec.address)?.0;
        if let Some(first) = seen.insert(address.clone(), at) {
            let place = self.tree.place(first);
            self.error(
                at,
                format!("{address} is an endpoint already, at {place}: give it a larger `weight`"),
            );
        }
        let weight = spec.weight.number_or(1)?;
        Some(Endpoint {
            address: address.clone(),
            weight: Weight::new(weight).ok()?,
        })
    }
}

fn pool(spec: &spec::Pool) -> Option<Pool> {
    Some(Pool {
        idle_max: spec.idle_max.number_or(defaults::POOL_IDLE_MAX)?,
        idle_timeout: spec
            .idle_timeout
            .read_or(defaults::POOL_IDLE_TIMEOUT, |timeout| timeout.0)?,
        requests_max: spec.requests_max.number_or(defaults::POOL_REQUESTS_MAX)?,
    })
}

fn outlier(spec: &spec::Outlier) -> Option<Outlier> {
    Some(Outlier {
        consecutive_failures: spec
            .consecutive_failures
            .number_or(defaults::OUTLIER_CONSECUTIVE_FAILURES)?,
        ejection: spec
            .ejection
            .read_or(defaults::OUTLIER_EJECTION, |timeout| timeout.0)?,
        percent_max: spec.percent_max.number_or(defaults::OUTLIER_PERCENT_MAX)?,
    })
}
