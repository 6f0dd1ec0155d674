//! What is told of the headers by which proxies tell their clients.

use std::fmt;

use super::{
    super::{
        page::sum,
        registry::Table,
        series::{ListenerMetrics, ProxyHeaders},
    },
    Page,
};

pub(super) fn proxy_headers(page: &mut Page<'_>, table: &Table<1, ListenerMetrics>) -> fmt::Result {
    page.counters(
        "sluice_proxy_headers_total",
        "PROXY headers awaited of trusted proxies, by result: told is a client's address, local the proxy's own \
         connection; after any other the connection was closed.",
        table.iter().flat_map(|([listener], series)| {
            let results = ProxyHeaders::RESULTS.iter().enumerate();
            results.filter_map(move |(index, result)| {
                let count = sum(series, |metrics| &metrics.proxy_headers.by_result[index]);
                let labels = vec![("listener", listener.as_str()), ("result", *result)];
                (count > 0).then_some((labels, count))
            })
        }),
    )
}
