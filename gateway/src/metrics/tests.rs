//! What a scrape says, and which series there are.

use std::{
    io::Write,
    process::{Command, Stdio},
};

use super::*;
use sluice_config::defaults::operations::SERIES_RELOADS_KEPT;

const RULES: [&str; 2] = ["obs_fold", "content_length"];

fn filled() -> Registry {
    let registry = Registry::new(2, RULES);
    for worker in 0..2 {
        let requests = registry.requests("web", "reviews", "v1");
        requests.of(worker).count(Some(200));
        requests.of(worker).count(Some(503));
        requests.of(worker).count(None);
        let passed = registry.passthrough("db", "pg", "v1");
        passed.of(worker).count(None);
        passed.of(worker).count(Some("connect_failed"));
        passed.of(worker).count(Some("of nobody's making"));
        passed.of(worker).bytes_received.add(7);
        let listener = registry.listener("web");
        listener.of(worker).connections_accepted.inc();
        listener.of(worker).connections_active.inc();
        listener
            .of(worker)
            .request_duration
            .observe(Duration::from_micros(1_500));
        listener.of(worker).count_bad_request("obs_fold");
        listener.of(worker).count_bad_request("of a client's making");
        let service = registry.service("v1");
        service.of(worker).connects.inc();
        service
            .of(worker)
            .upstream_duration
            .observe(Duration::from_secs(60));
        registry
            .split_picks("reviews", "everyone", "v1")
            .of(worker)
            .add(9);
        registry.retries("reviews").of(worker).count(RetryOutcome::Budget);
        registry.worker().of(worker).driver.get_or_init(|| "epoll");
    }
    let endpoints = registry.endpoints("v1");
    endpoints.of(0).healthy.set(2);
    endpoints.of(0).unhealthy.set(1);
    endpoints.of(0).count(CheckResult::Timeout);
    registry.control().config_generation.set(3);
    registry
}

#[test]
fn sums_over_workers() {
    let text = filled().encode().unwrap();
    for line in [
        r#"sluice_requests_total{listener="web",route="reviews",service="v1",code_class="2xx"} 2"#,
        r#"sluice_requests_total{listener="web",route="reviews",service="v1",code_class="none"} 2"#,
        r#"sluice_passthrough_connections_total{listener="db",route="pg",service="v1",reason="-"} 2"#,
        r#"sluice_passthrough_connections_total{listener="db",route="pg",service="v1",reason="connect_failed"} 2"#,
        r#"sluice_passthrough_received_bytes_total{listener="db",route="pg",service="v1"} 14"#,
        r#"sluice_connections_total{listener="web"} 2"#,
        r#"sluice_connections_active{listener="web"} 2"#,
        r#"sluice_bad_requests_total{listener="web",rule="obs_fold"} 2"#,
        r#"sluice_request_duration_seconds_sum{listener="web"} 0.003"#,
        r#"sluice_request_duration_seconds_bucket{le="0.001",listener="web"} 0"#,
        r#"sluice_request_duration_seconds_bucket{le="0.0025",listener="web"} 2"#,
        r#"sluice_upstream_duration_seconds_bucket{le="30.0",service="v1"} 0"#,
        r#"sluice_upstream_duration_seconds_bucket{le="+Inf",service="v1"} 2"#,
        r#"sluice_upstream_connects_total{service="v1",outcome="connected"} 2"#,
        r#"sluice_split_picks_total{route="reviews",rule="everyone",service="v1"} 18"#,
        r#"sluice_retries_total{route="reviews",outcome="budget"} 2"#,
        r#"sluice_service_endpoints{service="v1",state="healthy"} 2"#,
        r#"sluice_service_endpoints{service="v1",state="unhealthy"} 1"#,
        r#"sluice_health_checks_total{service="v1",result="timeout"} 1"#,
        r#"sluice_io_driver_info{driver="epoll"} 1"#,
        "sluice_config_generation 3",
        "sluice_workers 2",
    ] {
        assert!(
            text.lines().any(|found| found == line),
            "{line} is not in\n{text}"
        );
    }
}

#[test]
fn silent_classes_and_rules_are_not_printed() {
    let text = filled().encode().unwrap();
    for absent in ["4xx", "content_length", "exhausted", "bad_status"] {
        assert!(!text.contains(absent), "{absent} is in\n{text}");
    }
}

#[test]
fn promtool_finds_nothing() {
    for text in [
        filled().encode().unwrap(),
        Registry::new(1, RULES).encode().unwrap(),
    ] {
        let Ok(mut promtool) = Command::new("promtool")
            .args(["check", "metrics"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
        else {
            eprintln!("skipped: promtool (Debian package prometheus) is not installed");
            return;
        };
        promtool.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
        let output = promtool.wait_with_output().unwrap();
        let said =
            String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && said.is_empty(), "{said}\n{text}");
    }
}

#[test]
fn series_outlive_reloads_and_end_after_their_names() {
    let registry = Registry::new(1, RULES);
    registry.service("gone").of(0).connects.inc();
    for load in 0..SERIES_RELOADS_KEPT + 1 {
        let kept = registry.service("kept");
        assert_eq!(kept.of(0).connects.get(), load);
        kept.of(0).connects.inc();
        assert!(
            registry.encode().unwrap().contains("gone"),
            "dropped after {load} loads"
        );
        registry.retain_recent();
    }
    let text = registry.encode().unwrap();
    assert!(text.contains("kept") && !text.contains("gone"), "{text}");
    assert_eq!(registry.service("gone").of(0).connects.get(), 0);
}

#[test]
fn gauges_go_both_ways() {
    let gauge = Gauge::default();
    gauge.inc();
    gauge.inc();
    gauge.dec();
    assert_eq!(gauge.get(), 1);
}
