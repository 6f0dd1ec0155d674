//! Retries: how often, of what, where to, and why not.

use std::net::SocketAddr;

use crate::harness::{
    self, Config, Driver, Gateway, Origin, Port, metrics::Metrics, ok, on_both_drivers, origin::echo,
};

const UNAVAILABLE: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 4\r\n\r\nbusy";

fn unavailable() -> Origin {
    Origin::answering(|_| UNAVAILABLE.to_vec())
}

/// Reads the request and resets.
fn resetting() -> Origin {
    Origin::serving(|mut connection| {
        connection.request();
        connection.reset();
    })
}

fn start(driver: Driver, endpoints: &[SocketAddr], retry: &str) -> Gateway {
    start_balanced(driver, endpoints, "roundRobin", retry)
}

fn start_balanced(driver: Driver, endpoints: &[SocketAddr], balance: &str, retry: &str) -> Gateway {
    let routes = format!(
        "
- name: all
  rules:
  - name: only
    backends: [{{ service: v1 }}]
    timeouts: {{ backend: 10s }}
    retry: {{ backoff: {{ base: 1ms, max: 5ms }}, budget: {{ percent: 100, minPerSecond: 100 }}, {retry} }}
"
    );
    let config = Config::new()
        .service_with("v1", endpoints, &format!("balance: {balance}"))
        .routes(&routes);
    Gateway::start(driver, &config)
}

fn outcome(metrics: &Metrics, outcome: &str) -> f64 {
    metrics.sum("sluice_retries_total", &[("route", "all"), ("outcome", outcome)])
}

#[test]
fn a_failed_connect_is_tried_at_another_endpoint() {
    on_both_drivers(|driver| {
        let (nobody, good) = (Port::free(), Origin::echo("good"));
        let gateway = start(
            driver,
            &[nobody.address(), good.address()],
            "attempts: 1, on: [connectFailure]",
        );
        let mut client = gateway.client();
        for _ in 0..10 {
            assert_eq!(client.get("h", "/").backend(), "good");
        }
        // A POST too: nothing of it was sent yet.
        for _ in 0..4 {
            client.send("POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 4\r\n\r\nbody");
            assert_eq!(client.response().seen().body, b"body");
        }
        let metrics = gateway.metrics();
        assert!(outcome(&metrics, "retried") >= 1.0, "{}", metrics.text);
        assert_eq!(outcome(&metrics, "succeeded"), outcome(&metrics, "retried"));
        assert_eq!(outcome(&metrics, "not_idempotent"), 0.0);
    });
}

#[test]
fn a_retry_never_goes_to_the_same_endpoint_while_another_is_there() {
    on_both_drivers(|driver| {
        let (bad, good) = (unavailable(), Origin::echo("good"));
        for balance in ["roundRobin", "leastRequest", "random"] {
            let gateway = start_balanced(
                driver,
                &[bad.address(), good.address()],
                balance,
                "attempts: 1, on: [gatewayError]",
            );
            let mut client = gateway.client();
            for _ in 0..30 {
                assert_eq!(client.get("h", "/").backend(), "good", "{balance}");
            }
        }
    });
}

#[test]
fn attempts_are_counted_after_the_first_try_and_the_last_answer_is_passed_on() {
    on_both_drivers(|driver| {
        let origin = unavailable();
        let gateway = start(driver, &[origin.address()], "attempts: 2, on: [gatewayError]");
        let response = gateway.get("h", "/all");
        assert_eq!((response.status, response.text().as_str()), (503, "busy"));
        assert_eq!(origin.requests().len(), 3);
        let metrics = gateway.metrics();
        assert_eq!(
            (outcome(&metrics, "retried"), outcome(&metrics, "exhausted")),
            (2.0, 1.0)
        );
        let line = gateway.logged("/all");
        assert_eq!(
            (&line["attempts"], &line["retry"]),
            (&3.into(), &"exhausted".into())
        );
    });
}

#[test]
fn what_is_not_named_is_not_retried() {
    on_both_drivers(|driver| {
        let origin = unavailable();
        let gateway = start(
            driver,
            &[origin.address()],
            "attempts: 3, on: [connectFailure, reset]",
        );
        assert_eq!(gateway.get("h", "/").status, 503);
        assert_eq!(origin.requests().len(), 1);
    });
}

#[test]
fn statuses_are_retried_by_class_and_by_number() {
    on_both_drivers(|driver| {
        let origin = Origin::answering(|request| {
            let status = request.target().trim_start_matches('/');
            format!("HTTP/1.1 {status} X\r\ncontent-length: 0\r\n\r\n").into_bytes()
        });
        let gateway = start(driver, &[origin.address()], "attempts: 1, on: [5xx, 409]");
        for (target, tries) in [("/500", 2), ("/409", 2), ("/404", 1), ("/200", 1)] {
            let before = origin.requests().len();
            gateway.get("h", target);
            assert_eq!(origin.requests().len() - before, tries, "{target}");
        }
    });
}

#[test]
fn a_post_the_origin_may_have_acted_on_is_sent_once() {
    on_both_drivers(|driver| {
        let origin = resetting();
        let gateway = start(driver, &[origin.address()], "attempts: 3, on: [reset]");
        let post = "POST /once HTTP/1.1\r\nhost: h\r\ncontent-length: 4\r\n\r\nbody";
        assert_eq!(gateway.ask(post).status, 502);
        assert_eq!(origin.requests().len(), 1);
        assert_eq!(outcome(&gateway.metrics(), "not_idempotent"), 1.0);
        assert_eq!(gateway.logged("/once")["retry"], "not_idempotent");
    });
}

#[test]
fn unsafe_methods_are_retried_where_the_rule_says_so() {
    on_both_drivers(|driver| {
        let origin = resetting();
        let gateway = start(
            driver,
            &[origin.address()],
            "attempts: 2, on: [reset], unsafeMethods: true",
        );
        let post = "POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 4\r\n\r\nbody";
        assert_eq!(gateway.ask(post).status, 502);
        assert_eq!(origin.requests().len(), 3);
        assert!(origin.requests().iter().all(|request| request.body == b"body"));
    });
}

#[test]
fn a_body_is_replayed_up_to_its_limit() {
    on_both_drivers(|driver| {
        let (bad, good) = (resetting(), Origin::answering(|request| echo("good", request)));
        let retry = "attempts: 1, on: [reset], bodyLimit: 16KiB";
        let gateway = start(driver, &[bad.address(), good.address()], retry);
        let body = harness::pattern(16 << 10);
        for framing in ["content-length: 16384", "transfer-encoding: chunked"] {
            for _ in 0..4 {
                let mut client = gateway.client();
                client.send(format!("PUT / HTTP/1.1\r\nhost: h\r\n{framing}\r\n\r\n"));
                if framing.starts_with('c') {
                    client.send(&body);
                } else {
                    client.send(harness::message::chunked(&body.chunks(1000).collect::<Vec<_>>()));
                }
                let response = client.response();
                assert_eq!(
                    (response.status, response.seen().body == body),
                    (200, true),
                    "{framing}"
                );
            }
        }
    });
}

#[test]
fn a_larger_body_is_sent_once_and_said_so() {
    on_both_drivers(|driver| {
        let origin = resetting();
        let gateway = start(
            driver,
            &[origin.address()],
            "attempts: 3, on: [reset], bodyLimit: 1KiB",
        );
        let put = format!(
            "PUT /large HTTP/1.1\r\nhost: h\r\ncontent-length: 5000\r\n\r\n{}",
            "x".repeat(5000)
        );
        assert_eq!(gateway.ask(put).status, 502);
        assert_eq!(origin.requests().len(), 1);
        assert_eq!(outcome(&gateway.metrics(), "body_too_large"), 1.0);
        assert_eq!(gateway.logged("/large")["retry"], "body_too_large");
    });
}

#[test]
fn a_spent_budget_stops_retries() {
    on_both_drivers(|driver| {
        let origin = unavailable();
        let routes = "
- name: all
  rules:
  - backends: [{ service: v1 }]
    retry:
      attempts: 3
      on: [gatewayError]
      backoff: { base: 1ms, max: 1ms }
      budget: { percent: 20, minPerSecond: 0 }
";
        let config = Config::new().service("v1", &[origin.address()]).routes(routes);
        let gateway = Gateway::start(driver, &config);
        let mut client = gateway.client();
        for _ in 0..100 {
            assert_eq!(client.get("h", "/").status, 503);
        }
        let retried = origin.requests().len() - 100;
        assert!(retried <= 20, "{retried} retries of 100 requests");
        let metrics = gateway.metrics();
        assert_eq!(outcome(&metrics, "retried"), retried as f64);
        assert!(outcome(&metrics, "budget") >= 80.0, "{}", metrics.text);
    });
}

#[test]
fn a_try_that_takes_too_long_is_retried_where_the_rule_says_so() {
    on_both_drivers(|driver| {
        let hanging = Origin::serving(|mut connection| {
            connection.request();
            connection.wait_close();
        });
        let good = Origin::echo("good");
        let config = Config::new()
            .service_with("v1", &[hanging.address(), good.address()], "balance: roundRobin")
            .routes(
                "
- name: all
  rules:
  - backends: [{ service: v1 }]
    timeouts: { backend: 1s }
    retry: { attempts: 1, on: [timeout], backoff: { base: 1ms, max: 1ms } }
",
            );
        let gateway = Gateway::start(driver, &config);
        for _ in 0..2 {
            assert_eq!(gateway.get("h", "/").backend(), "good");
        }
    });
}

#[test]
fn an_answer_that_has_begun_is_not_retried() {
    on_both_drivers(|driver| {
        let origin = Origin::serving(|mut connection| {
            connection.request();
            connection.send("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhello");
            connection.reset();
        });
        let gateway = start(
            driver,
            &[origin.address()],
            "attempts: 3, on: [reset, gatewayError]",
        );
        let mut client = gateway.client();
        client.send_get("h", "/begun");
        assert!(client.try_response("GET").is_err());
        assert_eq!(gateway.logged("/begun")["attempts"], 1);
        assert_eq!(origin.requests().len(), 1);
    });
}

#[test]
fn an_endpoint_that_keeps_failing_is_left_out() {
    on_both_drivers(|driver| {
        let (bad, good) = (resetting(), Origin::answering(|_| ok("well")));
        let options =
            "balance: roundRobin\noutlier: { consecutiveFailures: 3, ejection: 60s, percentMax: 50 }";
        let config = Config::new().service_with("v1", &[bad.address(), good.address()], options);
        let gateway = Gateway::start(driver, &config);
        let mut client = gateway.client();
        let failed = (0..40).filter(|_| client.get("h", "/").status == 502).count();
        assert_eq!(failed, 3);
        let ejected = gateway
            .metrics()
            .sum("sluice_outlier_ejections_total", &[("service", "v1")]);
        assert_eq!(ejected, 1.0);
    });
}
