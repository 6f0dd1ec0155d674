//! Health checks.

use std::num::NonZeroU16;

use super::{Checker, each};
use crate::{
    defaults,
    model::{Check, Health},
    spec,
    tree::NodeId,
};

impl Checker<'_> {
    pub(super) fn health(&mut self, at: NodeId, spec: &spec::Health) -> Option<Health> {
        let check = match (spec.http.given(), spec.tcp.node()) {
            (Some((at, http)), None) => self.http_check(at, http),
            (None, Some(_)) if spec.http.node().is_none() => spec.tcp.value().map(|_| Check::Tcp),
            // What is written was reported already.
            (None, None) if spec.http.node().is_some() => None,
            _ => {
                self.error(
                    at,
                    "a health check is either `http` or `tcp`: one of them stands here",
                );
                None
            }
        };
        let interval = spec
            .interval
            .read_or(defaults::HEALTH_INTERVAL, |interval| interval.0)?;
        if interval < defaults::HEALTH_INTERVAL_MIN {
            let least = defaults::HEALTH_INTERVAL_MIN;
            let at = spec.interval.node().unwrap_or(at);
            self.error(at, format!("checks are at least {least} apart, not {interval}"));
        }
        Some(Health {
            check: check?,
            port: match &spec.port {
                spec::Slot::Absent => None,
                port => Some(NonZeroU16::new(port.value()?.get()?)?),
            },
            interval,
            timeout: spec
                .timeout
                .read_or(defaults::HEALTH_TIMEOUT, |timeout| timeout.0)?,
            healthy_after: spec.healthy_after.number_or(defaults::HEALTH_HEALTHY_AFTER)?,
            unhealthy_after: spec.unhealthy_after.number_or(defaults::HEALTH_UNHEALTHY_AFTER)?,
            panic_below: spec.panic_below.number_or(defaults::HEALTH_PANIC_BELOW)?,
        })
    }

    fn http_check(&mut self, at: NodeId, spec: &spec::HttpCheck) -> Option<Check> {
        let target = self.required(at, "path", &spec.path);
        let host = spec.host.read_or(None, |host| Some(host.0.0.clone()))?;
        let statuses = match spec.statuses.value() {
            Some(list) => each(&list.0, |_, statuses| Some(statuses.0))?,
            None if spec.statuses.node().is_none() => vec![defaults::HEALTH_STATUSES],
            None => return None,
        };
        Some(Check::Http {
            target: target?.0.0.clone(),
            host,
            statuses,
        })
    }
}
