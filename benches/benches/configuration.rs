//! What a reload costs before anything is compiled: a mebibyte of the native language read and checked.

use std::{fmt::Write as _, hint::black_box, time::Duration};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use sluice_config::Model;

/// One listener, and as many services with a route of ten rules each as fit into `bytes`.
fn text(bytes: usize) -> String {
    let (mut routes, mut services) = (String::new(), String::new());
    let mut number = 0;
    while LISTENERS.len() + routes.len() + services.len() < bytes {
        write_route(&mut routes, number);
        let (high, low) = (number / 250, number % 250 + 1);
        writeln!(
            services,
            "- name: service-{number}\n  endpoints: [{{ address: 10.0.{high}.{low}:8080 }}, {{ address: 10.1.{high}.{low}:8080 }}]"
        )
        .expect("memory");
        number += 1;
    }
    format!("{LISTENERS}routes:\n{routes}services:\n{services}")
}

fn write_route(routes: &mut String, number: usize) {
    writeln!(
        routes,
        "- name: route-{number}\n  hosts: [service-{number}.example.com]\n  rules:"
    )
    .expect("memory");
    for rule in 0..10 {
        writeln!(
            routes,
            "  - name: rule-{rule}\n    matches: [{{ path: {{ prefix: /api/resource-{rule} }}, method: GET }}]\n    \
             timeouts: {{ request: 3s }}\n    backends: [{{ service: service-{number} }}]"
        )
        .expect("memory");
    }
}

fn read(criterion: &mut Criterion) {
    let text = text(1 << 20);
    let mut group = criterion.benchmark_group("configuration");
    group.throughput(Throughput::Bytes(text.len() as u64));
    group.bench_function("YAML parse of 1 MiB", |bencher| {
        bencher.iter(|| Model::from_yaml(black_box(&text)).expect("it has no problems"));
    });
    group.finish();
}

/// One pass takes a good part of a second, so few of them say enough.
fn brief() -> Criterion {
    let brief = Criterion::default().sample_size(10);
    brief
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(3))
}

const LISTENERS: &str = "listeners:\n- { name: web, bind: 127.0.0.1:8080 }\n";

criterion_group! {
    name = configuration;
    config = brief();
    targets = read
}
criterion_main!(configuration);
