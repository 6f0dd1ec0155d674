//! What is told of connections that are passed on.

use std::fmt;

use super::{
    super::{Counter, page::sum, registry::Tables, series::PassthroughCounters},
    Page,
};

pub(super) fn passthrough(page: &mut Page<'_>, tables: &Tables) -> fmt::Result {
    page.counters(
        "sluice_passthrough_connections_total",
        "Connections passed on (listeners with protocol tls or tcp) that have ended, by listener, route and service (- is \
         none) and reason (- is none: both sides closed).",
        tables
            .passthrough
            .iter()
            .flat_map(|([listener, route, service], series)| {
                let reasons = PassthroughCounters::REASONS.iter().enumerate();
                reasons.filter_map(move |(index, reason)| {
                    let count = sum(series, |counters| &counters.by_reason[index]);
                    let labels = vec![
                        ("listener", listener.as_str()),
                        ("route", route.as_str()),
                        ("service", service.as_str()),
                        ("reason", *reason),
                    ];
                    (count > 0).then_some((labels, count))
                })
            }),
    )?;
    let bytes = |pick: fn(&PassthroughCounters) -> &Counter| {
        tables
            .passthrough
            .iter()
            .filter_map(move |([listener, route, service], series)| {
                let count = sum(series, pick);
                let labels = vec![
                    ("listener", listener.as_str()),
                    ("route", route.as_str()),
                    ("service", service.as_str()),
                ];
                (count > 0).then_some((labels, count))
            })
    };
    page.counters(
        "sluice_passthrough_received_bytes_total",
        "Bytes received from clients whose connections are passed on.",
        bytes(|counters| &counters.bytes_received),
    )?;
    page.counters(
        "sluice_passthrough_sent_bytes_total",
        "Bytes sent to clients whose connections are passed on.",
        bytes(|counters| &counters.bytes_sent),
    )
}
