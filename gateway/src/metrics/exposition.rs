//! The text of a scrape.
//!
//! Owns names, help and labels of the metrics. Refuses to keep anything: it sums over the workers as it writes.

mod grpc;
mod passthrough;
mod proxy_protocol;
mod tls;

use std::{fmt, sync::Arc};

use prometheus_client::{collector::Collector, encoding::DescriptorEncoder};
use sluice_routing::authorize::Decision;

use super::{
    Counter, Gauge, Glitch,
    page::{Page, by_name, levels, spreads, sum},
    registry::{Shared, Table, Tables},
    series::{CheckResult, EndpointMetrics, ListenerMetrics, RetryOutcome, ServiceMetrics, WorkerMetrics},
};

#[derive(Debug)]
pub(super) struct Exposition(Arc<Shared>);

impl Exposition {
    pub(super) const fn new(shared: Arc<Shared>) -> Self {
        Self(shared)
    }
}

impl Collector for Exposition {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut page = Page(encoder);
        let tables = self.0.lock();
        requests(&mut page, &tables)?;
        passthrough::passthrough(&mut page, &tables)?;
        listeners(&mut page, &tables.listeners, &self.0.bad_request_rules)?;
        proxy_protocol::proxy_headers(&mut page, &tables.listeners)?;
        tls::tls(&mut page, &tables, &self.0.control)?;
        services(&mut page, &tables.services)?;
        grpc::methods(&mut page, &tables.grpc_methods)?;
        endpoints(&mut page, &tables.endpoints)?;
        decisions(&mut page, &tables)?;
        workers(&mut page, &self.0)?;
        control(&mut page, &self.0)
    }
}

fn requests(page: &mut Page<'_>, tables: &Tables) -> fmt::Result {
    page.counters(
        "sluice_requests_total",
        "Requests ended, by listener, route (- is none), service (- is none) and class of status (none is a \
         client gone before an answer).",
        tables
            .requests
            .iter()
            .flat_map(|([listener, route, service], series)| {
                CODE_CLASSES.iter().enumerate().filter_map(move |(index, class)| {
                    // Most classes never occur: a series begins with its first request.
                    let count = sum(series, |counters| &counters.by_class[index]);
                    let labels = vec![
                        ("listener", listener.as_str()),
                        ("route", route.as_str()),
                        ("service", service.as_str()),
                        ("code_class", *class),
                    ];
                    (count > 0).then_some((labels, count))
                })
            }),
    )
}

fn listeners(
    page: &mut Page<'_>,
    table: &Table<1, ListenerMetrics>,
    bad_request_rules: &[&'static str],
) -> fmt::Result {
    let named = |pick: fn(&ListenerMetrics) -> &Counter| by_name(table, "listener", pick);
    page.histograms(
        "sluice_request_duration_seconds",
        "From the end of a request's head to the end of its response.",
        spreads(table, "listener", |metrics| &metrics.request_duration),
    )?;
    page.counters(
        "sluice_connections_total",
        "Client connections accepted.",
        named(|metrics| &metrics.connections_accepted),
    )?;
    page.gauges(
        "sluice_connections_active",
        "Client connections open.",
        levels(table, "listener", |metrics| &metrics.connections_active),
    )?;
    page.counters(
        "sluice_connections_refused_total",
        "Client connections closed at once because a limit was reached.",
        named(|metrics| &metrics.connections_refused),
    )?;
    page.counters(
        "sluice_received_bytes_total",
        "Bytes received from clients.",
        named(|metrics| &metrics.bytes_received),
    )?;
    page.counters(
        "sluice_sent_bytes_total",
        "Bytes sent to clients.",
        named(|metrics| &metrics.bytes_sent),
    )?;
    page.counters(
        "sluice_http2_connections_ended_total",
        "Connections of clients that were ended for too many glitches of HTTP/2.",
        named(|metrics| &metrics.h2_ended),
    )?;
    page.counters(
        "sluice_http2_glitches_total",
        "What clients of HTTP/2 did that costs more than it costs them, by kind.",
        table.iter().flat_map(|([listener], series)| {
            Glitch::ALL.into_iter().filter_map(move |glitch| {
                let count = series.iter().map(|worker| worker.glitches.get(glitch)).sum();
                let labels = vec![("listener", listener.as_str()), ("kind", glitch.as_str())];
                (count > 0).then_some((labels, count))
            })
        }),
    )?;
    page.counters(
        "sluice_bad_requests_total",
        "Malformed requests, by the rule they broke.",
        table.iter().flat_map(|([listener], series)| {
            bad_request_rules
                .iter()
                .enumerate()
                .filter_map(move |(index, rule)| {
                    let rules = series.iter().filter_map(|worker| worker.bad_requests.get());
                    let count = rules.map(|rules| rules[index].1.get()).sum();
                    (count > 0).then_some((vec![("listener", listener.as_str()), ("rule", *rule)], count))
                })
        }),
    )
}

fn services(page: &mut Page<'_>, table: &Table<1, ServiceMetrics>) -> fmt::Result {
    let named = |pick: fn(&ServiceMetrics) -> &Counter| by_name(table, "service", pick);
    page.histograms(
        "sluice_upstream_duration_seconds",
        "From the pick of an endpoint to the end of its response's head, for each try.",
        spreads(table, "service", |metrics| &metrics.upstream_duration),
    )?;
    page.counters(
        "sluice_upstream_connects_total",
        "Connections to endpoints, by outcome.",
        table.iter().flat_map(|([service], series)| {
            let row = |outcome, pick: fn(&ServiceMetrics) -> &Counter| {
                let labels = vec![("service", service.as_str()), ("outcome", outcome)];
                (labels, sum(series, pick))
            };
            [
                row("connected", |metrics| &metrics.connects),
                row("failed", |metrics| &metrics.connect_failures),
            ]
        }),
    )?;
    page.counters(
        "sluice_upstream_pool_reuse_total",
        "Tries that went out on a kept connection.",
        named(|metrics| &metrics.pool_hits),
    )?;
    page.gauges(
        "sluice_upstream_requests_active",
        "Tries in flight.",
        levels(table, "service", |metrics| &metrics.requests_active),
    )?;
    page.gauges(
        "sluice_upstream_connections_idle",
        "Kept connections that wait for a request.",
        levels(table, "service", |metrics| &metrics.connections_idle),
    )?;
    page.gauges(
        "sluice_service_tls_unverified",
        "1 while the certificates of a service's endpoints are not checked (insecureSkipVerify).",
        levels(table, "service", |metrics| &metrics.tls_unverified),
    )?;
    page.counters(
        "sluice_upstream_overloaded_total",
        "Requests refused because the service had too many in flight.",
        named(|metrics| &metrics.overloaded),
    )?;
    page.counters(
        "sluice_outlier_ejections_total",
        "Endpoints left out for a while because they failed.",
        named(|metrics| &metrics.ejections),
    )
}

fn endpoints(page: &mut Page<'_>, table: &Table<1, EndpointMetrics>) -> fmt::Result {
    page.gauges(
        "sluice_service_endpoints",
        "Endpoints of a service, by what health checks tell of them (healthy where nothing does).",
        table.iter().flat_map(|([service], series)| {
            let row = |state, pick: fn(&EndpointMetrics) -> &Gauge| {
                let labels = vec![("service", service.as_str()), ("state", state)];
                (labels, series.iter().map(|metrics| pick(metrics).get()).sum())
            };
            [
                row("healthy", |metrics| &metrics.healthy),
                row("unhealthy", |metrics| &metrics.unhealthy),
            ]
        }),
    )?;
    page.counters(
        "sluice_health_checks_total",
        "Health checks of endpoints, by result.",
        table.iter().flat_map(|([service], series)| {
            CheckResult::ALL.into_iter().filter_map(move |result| {
                let count = series.iter().map(|metrics| metrics.checks(result)).sum();
                let labels = vec![("service", service.as_str()), ("result", result.as_str())];
                (count > 0).then_some((labels, count))
            })
        }),
    )
}

fn decisions(page: &mut Page<'_>, tables: &Tables) -> fmt::Result {
    page.counters(
        "sluice_retries_total",
        "Wishes to try again, by what became of them.",
        tables.retries.iter().flat_map(|([route], series)| {
            RetryOutcome::ALL.into_iter().filter_map(move |outcome| {
                let count = sum(series, |counters| &counters.by_outcome[outcome as usize]);
                let labels = vec![("route", route.as_str()), ("outcome", outcome.as_str())];
                (count > 0).then_some((labels, count))
            })
        }),
    )?;
    page.counters(
        "sluice_split_picks_total",
        "Requests that a rule's split gave to each of its services.",
        tables.split_picks.iter().map(|([route, rule, service], series)| {
            let labels = vec![
                ("route", route.as_str()),
                ("rule", rule.as_str()),
                ("service", service.as_str()),
            ];
            (labels, sum(series, |picks| picks))
        }),
    )?;
    page.counters(
        "sluice_policy_decisions_total",
        "What policies did with requests, or, run dry, would have done.",
        tables.policies.iter().flat_map(|([policy], series)| {
            Decision::ALL.into_iter().filter_map(move |decision| {
                let count = sum(series, |counters| &counters.by_decision[decision as usize]);
                let labels = vec![("policy", policy.as_str()), ("decision", decision.as_str())];
                (count > 0).then_some((labels, count))
            })
        }),
    )
}

fn workers(page: &mut Page<'_>, shared: &Shared) -> fmt::Result {
    let count = |pick: fn(&WorkerMetrics) -> &Counter| [(vec![], sum(&shared.worker, pick))];
    page.gauges(
        "sluice_workers",
        "Worker threads.",
        [(vec![], i64::try_from(shared.workers).unwrap_or(i64::MAX))],
    )?;
    let mut drivers: Vec<&'static str> = shared
        .worker
        .iter()
        .filter_map(|worker| worker.driver.get().copied())
        .collect();
    drivers.sort_unstable();
    drivers.dedup();
    page.gauges(
        "sluice_io_driver_info",
        "The I/O driver of the workers.",
        drivers.into_iter().map(|driver| (vec![("driver", driver)], 1)),
    )?;
    page.counters(
        "sluice_accept_paused_total",
        "Times a worker stopped accepting for want of file descriptors or room.",
        count(|metrics| &metrics.accept_paused),
    )?;
    page.counters(
        "sluice_panics_total",
        "Panics caught in a connection or request.",
        count(|metrics| &metrics.panics),
    )?;
    page.counters(
        "sluice_access_log_dropped_total",
        "Lines of the access log dropped because it could not be written, or not fast enough.",
        [(
            vec![],
            shared.access_log_failed.get() + sum(&shared.worker, |metrics| &metrics.access_log_dropped),
        )],
    )?;
    page.gauges(
        "sluice_tunnels_active",
        "Tunnels (WebSocket and other upgrades, connections passed on) open.",
        [(
            vec![],
            shared
                .worker
                .iter()
                .map(|worker| worker.tunnels_active.get())
                .sum(),
        )],
    )
}

fn control(page: &mut Page<'_>, shared: &Shared) -> fmt::Result {
    let control = &shared.control;
    page.gauges(
        "sluice_build_info",
        "The version of this binary.",
        [(vec![("version", env!("CARGO_PKG_VERSION"))], 1)],
    )?;
    page.gauges(
        "sluice_config_generation",
        "Generation of the configuration last published to the workers.",
        [(vec![], control.config_generation.get())],
    )?;
    page.gauges(
        "sluice_config_generation_oldest",
        "Generation of the oldest configuration a worker takes new requests with.",
        [(
            vec![],
            shared
                .worker
                .iter()
                .map(|worker| worker.snapshot_generation.get())
                .min()
                .unwrap_or(0),
        )],
    )?;
    page.counters(
        "sluice_config_reloads_total",
        "Loads of the configuration, by result.",
        [
            (vec![("result", "applied")], control.reloads_applied.get()),
            (vec![("result", "rejected")], control.reloads_rejected.get()),
            (vec![("result", "unchanged")], control.reloads_unchanged.get()),
        ],
    )?;
    page.gauges(
        "sluice_config_last_success_timestamp_seconds",
        "When a configuration last went live.",
        [(vec![], control.config_last_success_seconds.get())],
    )?;
    page.counters(
        "sluice_upgrades_total",
        "Upgrades of the binary, by result; one that completed is counted by the new process.",
        [
            (vec![("result", "completed")], control.upgrades_completed.get()),
            (vec![("result", "failed")], control.upgrades_failed.get()),
            (vec![("result", "refused")], control.upgrades_refused.get()),
        ],
    )?;
    page.counters(
        "sluice_dns_failures_total",
        "Look-ups of endpoint names that failed.",
        [(vec![], control.dns_failures.get())],
    )?;
    page.gauges(
        "process_resident_memory_bytes",
        "Memory of the process that is in RAM.",
        [(vec![], control.memory_resident_bytes.get())],
    )?;
    page.gauges(
        "sluice_memory_budget_bytes",
        "Up to where the resident memory should grow (limits.memory); 0 without a bound.",
        [(vec![], control.memory_budget_bytes.get())],
    )?;
    page.gauges(
        "sluice_memory_pressure",
        "For want of memory: 1 no idle connections are kept, 2 none is accepted either, 3 no request is served.",
        [(vec![], control.pressure.get())],
    )
}

/// Labels by index into `RequestCounters::by_class`.
const CODE_CLASSES: [&str; 6] = ["none", "1xx", "2xx", "3xx", "4xx", "5xx"];
