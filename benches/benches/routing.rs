//! What one request pays for its decisions: the route lookup, the split, the balancer.
//!
//! The lookup must not grow with the table: 10,000 routes over 1,000 hosts at most 1.5 times 10 routes.
//! Requests come in a shuffled order over all routes, as a table that is only ever asked one thing sits in the
//! nearest cache whatever its size. The ratio is printed apart, from the best of many rounds that take turns: on a
//! machine with other work, two figures from different moments do not compare.

use std::{
    borrow::Cow,
    hint::black_box,
    net::{IpAddr, Ipv4Addr},
    time::{Duration, Instant},
};

use criterion::{Criterion, criterion_group, criterion_main};
use fastrand::Rng;
use serde_json::{Value, from_value, json};
use sluice_config::{
    Model,
    model::{Balance, ListenerId},
};
use sluice_routing::{
    Arrival, RequestView,
    balance::Balancer,
    split::{Split, backend_keys, sticky_hash, sticky_pick},
    table::RouteTable,
};

struct Request {
    host: String,
    path: String,
}

impl RequestView for Request {
    fn host(&self) -> &str {
        &self.host
    }
    fn method(&self) -> &str {
        "GET"
    }
    fn path(&self) -> &str {
        &self.path
    }
    fn query(&self) -> Option<&str> {
        Some("q=1")
    }
    fn header(&self, _: &str) -> Option<Cow<'_, [u8]>> {
        None
    }
    fn arrival(&self) -> Arrival<'_> {
        Arrival::plain(IpAddr::V4(Ipv4Addr::LOCALHOST), 8080)
    }
}

fn host(index: usize) -> String {
    format!("service-{index}.example.com")
}

/// `hosts` routes with `paths` rules each: one prefix a rule.
fn model(hosts: usize, paths: usize) -> Model {
    let rule = |path: usize| {
        json!({
            "name": format!("rule-{path}"),
            "matches": [{
                "path": { "Prefix": format!("/api/resource-{path}") }, "method": null, "headers": [], "query": [],
            }],
            "action": { "Direct": { "status": 200, "body": "", "headers": [] } },
            "filters": { "request_headers": [], "response_headers": [], "rewrite": null },
            "timeouts": { "request": null, "backend": null }, "retry": null, "sticky": null,
        })
    };
    let rules: Value = (0..paths).map(rule).collect();
    let route = |index: usize| {
        json!({
            "name": format!("route-{index}"), "listeners": [0], "hosts": [{ "Exact": host(index) }], "rules": rules,
        })
    };
    let routes: Value = (0..hosts).map(route).collect();
    let model = json!({
        "admin": { "bind": "127.0.0.1:1" }, "workers": "Auto", "limits": { "connections": 1, "memory": "Unbounded" },
        "drain": { "timeout": 1 }, "access_log": null, "listeners": [], "routes": routes, "services": [],
    });
    from_value(model).expect("the shape above is that of a model")
}

/// A thousand requests, each for a rule of the model drawn at random.
fn requests(hosts: usize, paths: usize) -> Vec<Request> {
    let mut rng = Rng::with_seed(1);
    let request = |_| Request {
        host: host(rng.usize(0..hosts)),
        path: format!("/api/resource-{}/items/42", rng.usize(0..paths)),
    };
    (0..REQUESTS).map(request).collect()
}

/// A table and what it is asked.
struct Case {
    name: &'static str,
    table: RouteTable,
    requests: Vec<Request>,
}

fn cases() -> Vec<Case> {
    let sizes = [
        ("10 routes on 1 host", 1, 10),
        ("1,000 routes over 100 hosts", 100, 10),
        ("10,000 routes over 1,000 hosts", 1000, 10),
        ("10,000 routes on 1 host", 1, 10_000),
    ];
    let case = |(name, hosts, paths)| {
        let table = RouteTable::compile(&model(hosts, paths), ListenerId(0));
        let requests = requests(hosts, paths);
        let found = requests.iter().all(|request| table.find(request).is_some());
        assert!(found, "every request has its route");
        Case {
            name,
            table,
            requests,
        }
    };
    sizes.into_iter().map(case).collect()
}

/// Prints what a lookup costs in each case beside the first, both at their best.
fn ratio(_: &mut Criterion) {
    let cases = cases();
    let mut best = vec![Duration::MAX; cases.len()];
    for _ in 0..ROUNDS {
        for (case, best) in cases.iter().zip(&mut best) {
            let ask = |request| _ = black_box(case.table.find(request));
            // The first pass brings the table back into the caches that another has just used.
            case.requests.iter().for_each(ask);
            let start = Instant::now();
            case.requests.iter().for_each(ask);
            *best = start.elapsed().min(*best);
        }
    }
    for (case, time) in cases.iter().zip(&best) {
        let nanoseconds = time.as_secs_f64() * 1e9 / REQUESTS as f64;
        let ratio = time.as_secs_f64() / best[0].as_secs_f64();
        println!(
            "{:32} {nanoseconds:6.1} ns a lookup, {ratio:.2} x {}",
            case.name, cases[0].name
        );
    }
}

fn lookup(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("lookup");
    for Case {
        name,
        table,
        requests,
    } in cases()
    {
        let mut next = requests.iter().cycle();
        group.bench_function(name, |bencher| {
            bencher.iter(|| next.next().map(|request| table.find(request)))
        });
    }
    group.finish();
}

fn compile(criterion: &mut Criterion) {
    let model = model(1000, 10);
    criterion.bench_function("compile 10,000 routes over 1,000 hosts", |bencher| {
        bencher.iter(|| RouteTable::compile(&model, ListenerId(0)));
    });
}

fn split(criterion: &mut Criterion) {
    let mut split = Split::new(&[90, 10]);
    criterion.bench_function("split, 2 backends", |bencher| bencher.iter(|| split.pick()));
    let keys = backend_keys(["reviews-v1", "reviews-v2"]);
    let mut client = 0_u64;
    criterion.bench_function("sticky, 2 backends", |bencher| {
        bencher.iter(|| {
            client += 1;
            sticky_pick(&[90, 10], &keys, sticky_hash(&client.to_le_bytes()))
        });
    });
}

fn balance(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("balance");
    for (name, kind) in [
        ("leastRequest", Balance::LeastRequest),
        ("roundRobin", Balance::RoundRobin),
        ("random", Balance::Random),
    ] {
        for (endpoints, weights_max) in [(3, 1), (3, 3), (1000, 1), (1000, 3)] {
            let weights: Vec<u32> = (0..endpoints).map(|index| 1 + index % weights_max).collect();
            let load: Vec<u32> = (0..endpoints).map(|index| index % 7).collect();
            let mut balancer = Balancer::new(kind, &weights);
            let mut rng = Rng::with_seed(1);
            group.bench_function(
                format!("{name}, {endpoints} endpoints of weights to {weights_max}"),
                |bencher| {
                    bencher.iter(|| {
                        balancer.pick(|index| load[index], |index| black_box(index) < 1000, &mut rng)
                    });
                },
            );
        }
    }
    group.finish();
}

/// More than a predictor learns by heart, few enough that the requests themselves stay in the nearer caches.
const REQUESTS: usize = 1000;

/// Takes about a second; enough to meet a quiet moment.
const ROUNDS: usize = 3000;

fn brief() -> Criterion {
    let brief = Criterion::default().sample_size(30);
    brief
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1))
}

criterion_group! {
    name = routing;
    config = brief();
    targets = ratio, lookup, compile, split, balance
}
criterion_main!(routing);
