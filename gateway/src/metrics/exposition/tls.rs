//! What is told of handshakes and certificates.

use std::fmt;

use sluice_tls::Reason;

use super::{
    super::{
        registry::{ControlMetrics, Tables},
        series::Handshakes,
    },
    Page,
};

pub(super) fn tls(page: &mut Page<'_>, tables: &Tables, control: &ControlMetrics) -> fmt::Result {
    handshakes(page, tables)?;
    page.counters(
        "sluice_plaintext_connections_total",
        "Connections in plaintext on a listener that is permissive, by source; those after the first 64 are `other`.",
        tables.plaintext_peers.iter().flat_map(|([listener], series)| {
            let sources = series.of(0).by_source();
            sources.into_iter().map(move |(source, count)| (listener, source, count))
        }).collect::<Vec<_>>().iter().map(|(listener, source, count)| {
            (vec![("listener", listener.as_str()), ("source", source.as_str())], *count)
        }),
    )?;
    page.gauges(
        "sluice_certificate_expiry_seconds",
        "When a certificate in use ends, in seconds since 1970.",
        tables.certificates.iter().map(|([listener, file], series)| {
            let labels = vec![("listener", listener.as_str()), ("certificate", file.as_str())];
            (labels, series.of(0).get())
        }),
    )?;
    page.counters(
        "sluice_certificate_reloads_total",
        "Changes of certificate, key, CA and CRL files, by result; what is rejected leaves the old in use.",
        [
            (vec![("result", "applied")], control.certificates_applied.get()),
            (vec![("result", "rejected")], control.certificates_rejected.get()),
        ],
    )?;
    page.counters(
        "sluice_identity_renewals_total",
        "Certificates asked for of the mesh's authority while this process runs, by result.",
        [
            (vec![("result", "renewed")], control.identity_renewed.get()),
            (vec![("result", "failed")], control.identity_failed.get()),
        ],
    )
}

fn handshakes(page: &mut Page<'_>, tables: &Tables) -> fmt::Result {
    let listeners = |count: &dyn Fn(&Handshakes) -> u64| -> Vec<(&str, u64)> {
        let all = tables.listeners.iter();
        all.map(|([name], series)| {
            (
                name.as_str(),
                series.iter().map(|one| count(&one.handshakes)).sum(),
            )
        })
        .collect()
    };
    let services = |count: &dyn Fn(&Handshakes) -> u64| -> Vec<(&str, u64)> {
        let all = tables.services.iter();
        all.map(|([name], series)| {
            (
                name.as_str(),
                series.iter().map(|one| count(&one.handshakes)).sum(),
            )
        })
        .collect()
    };
    page.counters(
        "sluice_tls_handshakes_total",
        "TLS handshakes done with clients, in full or resumed by a ticket.",
        done("listener", &listeners),
    )?;
    page.counters(
        "sluice_tls_handshake_failures_total",
        "TLS handshakes with clients that failed, by reason.",
        failed("listener", &listeners),
    )?;
    page.counters(
        "sluice_upstream_tls_handshakes_total",
        "TLS handshakes done with endpoints, in full or resumed by a ticket.",
        done("service", &services),
    )?;
    page.counters(
        "sluice_upstream_tls_handshake_failures_total",
        "TLS handshakes with endpoints that failed, by reason.",
        failed("service", &services),
    )
}

/// How many there were of one outcome, by who had them.
type Counts<'c> = dyn Fn(&dyn Fn(&Handshakes) -> u64) -> Vec<(&'c str, u64)> + 'c;
type Row<'c> = (Vec<(&'static str, &'c str)>, u64);

fn done<'c>(who: &'static str, counts: &Counts<'c>) -> Vec<Row<'c>> {
    let kinds = ["full", "resumed"].into_iter().enumerate();
    kinds
        .flat_map(|(index, kind)| rows(who, "kind", kind, counts(&|all| all.done[index].get())))
        .collect()
}

fn failed<'c>(who: &'static str, counts: &Counts<'c>) -> Vec<Row<'c>> {
    let rows_of = |reason: Reason| {
        let count = |all: &Handshakes| all.failed[reason as usize].get();
        rows(who, "reason", reason.as_str(), counts(&count))
    };
    Reason::ALL.into_iter().flat_map(rows_of).collect()
}

/// Those that are not 0.
fn rows<'c>(
    who: &'static str,
    what: &'static str,
    value: &'static str,
    counts: Vec<(&'c str, u64)>,
) -> impl Iterator<Item = Row<'c>> {
    let some = counts.into_iter().filter(|(_, count)| *count > 0);
    some.map(move |(name, count)| (vec![(who, name), (what, value)], count))
}
