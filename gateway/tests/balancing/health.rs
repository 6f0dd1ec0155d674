//! Health checks: who is left out and who comes back, what is answered when nobody is well, and what outlives a reload.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use crate::harness::{self, Config, Driver, Gateway, Origin, Port, Run, h2, ok, on_both_drivers};
use hyper::http::Response;

const SERVICE: (&str, &str) = ("service", "v1");

/// A backend whose health path answers as told; everything else it echoes.
struct Backend {
    origin: Origin,
    well: Arc<AtomicBool>,
}

impl Backend {
    fn start(name: &'static str) -> Self {
        let well = Arc::new(AtomicBool::new(true));
        let told = Arc::clone(&well);
        let origin = Origin::answering(move |request| match request.target() {
            "/healthz" if told.load(Ordering::SeqCst) => ok("well"),
            "/healthz" => b"HTTP/1.1 500 Internal Server Error\r\ncontent-length: 0\r\n\r\n".to_vec(),
            _ => harness::origin::echo(name, request),
        });
        Self { origin, well }
    }

    fn is_well(&self, well: bool) {
        self.well.store(well, Ordering::SeqCst);
    }

    fn address(&self) -> SocketAddr {
        self.origin.address()
    }
}

fn config(endpoints: &[SocketAddr], health: &str) -> Config {
    Config::new().service_with(
        "v1",
        endpoints,
        &format!("balance: roundRobin\nhealth: {{ {health} }}"),
    )
}

/// Waits until so many endpoints are held to be healthy, on every worker's word.
fn wait_endpoints(gateway: &Gateway, healthy: f64, unhealthy: f64) {
    gateway.wait_metrics("endpoints told apart", |metrics| {
        let count = |state| metrics.sum("sluice_service_endpoints", &[SERVICE, ("state", state)]);
        count("healthy") == healthy && count("unhealthy") == unhealthy
    });
    // Every worker has taken in what was told before it was asked.
    assert_eq!(gateway.admin("GET", "/readyz").status, 200);
}

/// Waits for so many more checks with this result.
fn wait_checks(gateway: &Gateway, result: &str, more: f64) {
    let count = |metrics: &harness::metrics::Metrics| {
        metrics.sum("sluice_health_checks_total", &[SERVICE, ("result", result)])
    };
    let before = count(&gateway.metrics());
    gateway.wait_metrics("checks", |metrics| count(metrics) >= before + more);
}

/// Which backends answer, of eight requests.
fn answering(gateway: &Gateway) -> Vec<String> {
    let mut names: Vec<String> = (0..8)
        .map(|_| gateway.get("h", "/").backend().to_owned())
        .collect();
    names.sort();
    names.dedup();
    names
}

const QUICK: &str = "http: { path: /healthz }, interval: 20ms";

#[test]
fn a_backend_that_turns_bad_is_left_out_and_comes_back() {
    on_both_drivers(|driver| {
        let (bad, good) = (Backend::start("bad"), Backend::start("good"));
        let gateway = Run::on(driver)
            .workers(2)
            .start(&config(&[bad.address(), good.address()], QUICK));
        wait_checks(&gateway, "passed", 4.0);
        assert_eq!(answering(&gateway), ["bad", "good"]);
        bad.is_well(false);
        wait_endpoints(&gateway, 1.0, 1.0);
        assert_eq!(answering(&gateway), ["good"]);
        let line = gateway.wait_stderr("is down by its health checks");
        assert!(
            line.contains(&bad.address().to_string()) && line.contains("500"),
            "{line}"
        );
        let metrics = gateway.metrics();
        let failed = metrics.sum("sluice_health_checks_total", &[SERVICE, ("result", "bad_status")]);
        assert!(failed >= 3.0, "{failed} failures are not three in a row");
        bad.is_well(true);
        wait_endpoints(&gateway, 2.0, 0.0);
        gateway.wait_stderr("is up again by its health checks");
        assert_eq!(answering(&gateway), ["bad", "good"]);
    });
}

#[test]
fn the_check_is_a_request_like_any_other() {
    on_both_drivers(|driver| {
        let backend = Backend::start("v1");
        let health = "http: { path: '/healthz?full=1', host: health.example, statuses: [200-299, 404] }, interval: 20ms";
        let gateway = Gateway::start(driver, &config(&[backend.address()], health));
        wait_checks(&gateway, "passed", 1.0);
        let request = backend.origin.requests().remove(0);
        assert_eq!((request.method(), request.target()), ("GET", "/healthz?full=1"));
        assert_eq!(request.header("host"), Some("health.example"));
        assert!(
            request
                .header("user-agent")
                .is_some_and(|agent| agent.starts_with("sluice/"))
        );
    });
}

#[test]
fn flapping_changes_nothing() {
    on_both_drivers(|driver| {
        let turn = AtomicUsize::new(0);
        let origin = Origin::answering(move |request| match request.target() {
            "/healthz" if turn.fetch_add(1, Ordering::SeqCst) % 2 == 1 => {
                b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n".to_vec()
            }
            _ => harness::origin::echo("v1", request),
        });
        let gateway = Gateway::start(driver, &config(&[origin.address()], QUICK));
        wait_checks(&gateway, "bad_status", 10.0);
        assert_eq!(gateway.get("h", "/").backend(), "v1");
        let log = gateway.stderr();
        assert!(!log.contains("health checks"), "{log}");
    });
}

/// A service whose only endpoint is asked at another port, so that every connection to its own is a request's.
fn checked_beside(driver: Driver, more: &str) -> (Origin, Backend, Gateway) {
    let (traffic, beside) = (Origin::echo("v1"), Backend::start("beside"));
    let health = format!("port: {}, {QUICK}{more}", beside.address().port());
    let gateway = Gateway::start(driver, &config(&[traffic.address()], &health));
    (traffic, beside, gateway)
}

#[test]
fn when_all_are_down_requests_are_refused_at_once() {
    on_both_drivers(|driver| {
        let (traffic, beside, gateway) = checked_beside(driver, "");
        wait_checks(&gateway, "passed", 1.0);
        beside.is_well(false);
        wait_endpoints(&gateway, 0.0, 1.0);
        assert_eq!(gateway.get("h", "/refused").status, 503);
        assert_eq!(gateway.logged("/refused")["reason"], "no_endpoint");
        assert_eq!(traffic.connections(), 0, "nobody asks an endpoint that is down");
        beside.is_well(true);
        wait_endpoints(&gateway, 1.0, 0.0);
        assert_eq!(gateway.get("h", "/").backend(), "v1");
    });
}

#[test]
fn below_the_panic_share_all_are_used() {
    on_both_drivers(|driver| {
        let (_traffic, beside, gateway) = checked_beside(driver, ", panicBelow: 50");
        beside.is_well(false);
        wait_endpoints(&gateway, 0.0, 1.0);
        assert_eq!(gateway.get("h", "/").backend(), "v1");
    });
}

#[test]
fn a_health_path_that_hangs_or_breaks_off_is_no_answer() {
    on_both_drivers(|driver| {
        let hanging = Origin::serving(|mut connection| {
            connection.request();
            connection.wait_close();
        });
        let cut = Origin::serving(|mut connection| {
            connection.request();
            connection.send("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf");
        });
        let nonsense = Origin::serving(|mut connection| {
            connection.request();
            connection.send("220 mail.example ESMTP\r\n");
        });
        for (origin, result) in [(&hanging, "timeout"), (&cut, "broken"), (&nonsense, "broken")] {
            let health = format!("{QUICK}, timeout: 50ms");
            let gateway = Gateway::start(driver, &config(&[origin.address()], &health));
            wait_endpoints(&gateway, 0.0, 1.0);
            wait_checks(&gateway, result, 3.0);
            assert_eq!(gateway.get("h", "/").status, 503);
        }
    });
}

#[test]
fn an_endless_answer_is_read_no_further_than_needed() {
    on_both_drivers(|driver| {
        let origin = Origin::serving(|mut connection| {
            connection.request();
            connection.send("HTTP/1.1 200 OK\r\n\r\n");
            while connection.send([b'x'; 4096]) {}
        });
        let health = "http: { path: /healthz }, interval: 20ms, timeout: 10s";
        let gateway = Gateway::start(driver, &config(&[origin.address()], health));
        wait_checks(&gateway, "passed", 3.0);
    });
}

#[test]
fn a_port_that_nobody_listens_on_is_down_and_one_that_accepts_is_up() {
    on_both_drivers(|driver| {
        let (origin, nobody) = (Origin::echo("v1"), Port::free());
        let gateway = Gateway::start(
            driver,
            &config(&[origin.address(), nobody.address()], "tcp: true, interval: 20ms"),
        );
        wait_endpoints(&gateway, 1.0, 1.0);
        gateway.wait_stderr("cannot be connected to");
        wait_checks(&gateway, "connect_failed", 1.0);
        assert_eq!(answering(&gateway), ["v1"]);
        // What is down is found again once it listens.
        let listener = std::net::TcpListener::from({
            let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
            socket.set_reuse_address(true).unwrap();
            socket.set_reuse_port(true).unwrap();
            socket.bind(&nobody.address().into()).unwrap();
            socket.listen(16).unwrap();
            socket
        });
        let _late = Origin::over(listener, |mut connection| {
            while let Some(request) = connection.request() {
                connection.send(harness::origin::echo("late", &request));
            }
        });
        wait_endpoints(&gateway, 2.0, 0.0);
        assert_eq!(answering(&gateway), ["late", "v1"]);
    });
}

#[test]
fn a_reload_keeps_what_is_held_and_forgets_what_is_not_asked() {
    on_both_drivers(|driver| {
        let (bad, good) = (Backend::start("bad"), Backend::start("good"));
        bad.is_well(false);
        let endpoints = [bad.address(), good.address()];
        let checked = config(&endpoints, QUICK);
        let gateway = Gateway::start(driver, &checked);
        wait_endpoints(&gateway, 1.0, 1.0);
        // Asked once a day from now on: what is held can only be what was held before.
        let rare = config(&endpoints, "http: { path: /healthz }, interval: 24h");
        for turn in 0..3 {
            gateway.reload(&rare.clone().listener(&format!("# turn {turn}")));
            assert_eq!(answering(&gateway), ["good"]);
            wait_endpoints(&gateway, 1.0, 1.0);
        }
        gateway.reload(&Config::new().service_with("v1", &endpoints, "balance: roundRobin"));
        assert_eq!(answering(&gateway), ["bad", "good"]);
        wait_endpoints(&gateway, 2.0, 0.0);
        gateway.reload(&checked);
        wait_endpoints(&gateway, 1.0, 1.0);
        assert_eq!(answering(&gateway), ["good"]);
    });
}

#[test]
fn nobody_asks_for_a_service_that_is_gone() {
    on_both_drivers(|driver| {
        let (gone, kept) = (Backend::start("gone"), Backend::start("kept"));
        let gateway = Gateway::start(driver, &config(&[gone.address()], QUICK));
        wait_checks(&gateway, "passed", 2.0);
        gateway.reload(&config(&[kept.address()], QUICK));
        gone.origin
            .wait_until("the end of the last check", |seen| seen.open == 0);
        let asked = gone.origin.connections();
        wait_checks(&gateway, "passed", 10.0);
        // One may have been on its way.
        assert!(gone.origin.connections() <= asked + 1);
        gateway.reload(&Config::new().service("other", &[kept.address()]));
        kept.origin
            .wait_until("the end of the last check", |seen| seen.open == 0);
        let metrics = gateway.metrics();
        assert_eq!(metrics.sum("sluice_service_endpoints", &[SERVICE]), 0.0);
        assert_eq!(
            metrics.sum(
                "sluice_service_endpoints",
                &[("service", "other"), ("state", "healthy")]
            ),
            1.0
        );
    });
}

#[test]
fn a_backend_of_http2_is_asked_in_http2() {
    on_both_drivers(|driver| {
        let well = Arc::new(AtomicBool::new(true));
        let told = Arc::clone(&well);
        let backend = h2::Backend::serving(100, move |mut asked| {
            let uri = asked.request.uri().to_string();
            let is_well = told.load(Ordering::SeqCst) && uri == "http://health.example/healthz?full=1";
            async move {
                let status = if is_well { 200 } else { 503 };
                let head = Response::builder().status(status).body(()).expect("a head");
                if let Ok(mut stream) = asked.answer.send_response(head, false) {
                    h2::send_all(&mut stream, "a body".into(), None).await;
                }
            }
        });
        let config = Config::new().service_with(
            "v1",
            &[backend.address()],
            "protocol: h2\nhealth: { http: { path: /healthz?full=1, host: health.example }, interval: 20ms }",
        );
        let gateway = Gateway::start(driver, &config);
        wait_checks(&gateway, "passed", 3.0);
        wait_endpoints(&gateway, 1.0, 0.0);
        well.store(false, Ordering::SeqCst);
        wait_endpoints(&gateway, 0.0, 1.0);
        let line = gateway.wait_stderr("is down by its health checks");
        assert!(line.contains("503"), "{line}");
        well.store(true, Ordering::SeqCst);
        wait_endpoints(&gateway, 1.0, 0.0);
    });
}
