//! What is told of calls of gRPC.

use std::fmt;

use super::{
    super::{
        grpc::{GrpcMethods, Method},
        page::{Labels, Spread},
        registry::Table,
    },
    Page,
};

pub(super) fn methods(page: &mut Page<'_>, table: &Table<1, GrpcMethods>) -> fmt::Result {
    let told: Vec<(&str, Method)> = table
        .iter()
        .flat_map(|([service], shared)| {
            let methods = shared.of(0).told().into_iter();
            methods.map(move |method| (service.as_str(), method))
        })
        .collect();
    page.counters(
        "sluice_grpc_requests_total",
        "Calls of gRPC ended, by service, method (other is any without a name of its own) and grpc-status.",
        told.iter().flat_map(|(service, method)| {
            method.by_status().map(move |(status, count)| {
                let mut labels = labels(service, method);
                labels.push(("grpc_status", status));
                (labels, count)
            })
        }),
    )?;
    page.histograms(
        "sluice_grpc_request_duration_seconds",
        "From the end of a call's head to the end of its answer.",
        told.iter().map(|(service, method)| {
            let spread = Spread::of(&method.series, |counters| &counters.duration);
            (labels(service, method), spread)
        }),
    )
}

fn labels<'m>(service: &'m str, method: &'m Method) -> Labels<'m> {
    vec![
        ("service", service),
        ("grpc_service", method.service.as_str()),
        ("grpc_method", method.method.as_str()),
    ]
}
