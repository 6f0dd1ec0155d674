//! The admin server: what it tells, and that it refuses the rest.

use std::{
    io::Write,
    process::{Command, Stdio},
};

use crate::harness::{Client, Config, Driver, Gateway, Origin, Run, on_both_drivers};

fn start(driver: Driver) -> (Origin, Gateway) {
    let origin = Origin::echo("v1");
    let gateway = Run::on(driver)
        .workers(2)
        .start(&Config::new().service("v1", &[origin.address()]));
    (origin, gateway)
}

#[test]
fn metrics_count_what_happened() {
    on_both_drivers(|driver| {
        let (_origin, gateway) = start(driver);
        for _ in 0..10 {
            assert_eq!(gateway.get("h", "/").status, 200);
        }
        gateway.ask("GET / HTTP/1.1\r\nbad header\r\n\r\n");
        let ok = [
            ("listener", "web"),
            ("route", "all"),
            ("service", "v1"),
            ("code_class", "2xx"),
        ];
        let metrics = gateway.wait_metrics("ten requests", |metrics| {
            metrics.sum("sluice_requests_total", &ok) == 10.0
        });
        assert_eq!(
            metrics.sum("sluice_requests_total", &[("code_class", "4xx")]),
            1.0
        );
        assert_eq!(
            metrics.sum("sluice_connections_total", &[("listener", "web")]),
            11.0
        );
        assert!(metrics.sum("sluice_request_duration_seconds_count", &[]) >= 10.0);
        assert_eq!(
            metrics.sum("sluice_upstream_duration_seconds_count", &[("service", "v1")]),
            10.0
        );
        assert_eq!(
            metrics.sum("sluice_io_driver_info", &[("driver", driver.as_str())]),
            1.0
        );
        assert_eq!(metrics.sum("sluice_workers", &[]), 2.0);
        assert!(metrics.has("sluice_build_info") && metrics.has("sluice_config_generation"));
        gateway.wait_metrics("no open connection", |metrics| {
            metrics.sum("sluice_connections_active", &[]) == 0.0
        });
    });
}

#[test]
fn no_label_comes_from_a_clients_bytes() {
    on_both_drivers(|driver| {
        let (_origin, gateway) = start(driver);
        gateway.get("h", "/");
        gateway.ask("GET / HTTP/1.1\r\nbad header\r\n\r\n");
        let before = gateway.metrics().count();
        for n in 0..100 {
            gateway.ask(format!(
                "M{n} /path{n} HTTP/1.1\r\nhost: host{n}.example\r\nuser-agent: agent{n}\r\n\r\n"
            ));
        }
        let metrics = gateway.metrics();
        assert_eq!(metrics.count(), before, "{}", metrics.text);
        assert!(!metrics.text.contains("host1") && !metrics.text.contains("path1"));
    });
}

#[test]
fn promtool_finds_nothing_to_complain_about() {
    if Command::new("promtool").arg("--version").output().is_err() {
        println!("promtool is not installed: not checked");
        return;
    }
    on_both_drivers(|driver| {
        let (_origin, gateway) = start(driver);
        gateway.get("h", "/");
        gateway.ask("GET / HTTP/1.1\r\nbad header\r\n\r\n");
        let answer = gateway.admin("GET", "/metrics");
        assert!(
            answer
                .header("content-type")
                .is_some_and(|kind| kind.starts_with("text/plain")),
            "{answer:?}"
        );
        let mut promtool = Command::new("promtool")
            .args(["check", "metrics"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        promtool.stdin.take().unwrap().write_all(&answer.body).unwrap();
        let output = promtool.wait_with_output().unwrap();
        let said = [output.stdout, output.stderr].concat();
        assert!(
            output.status.success() && said.is_empty(),
            "{}",
            String::from_utf8_lossy(&said)
        );
    });
}

#[test]
fn health_is_told() {
    on_both_drivers(|driver| {
        let (_origin, gateway) = start(driver);
        for target in ["/livez", "/readyz"] {
            assert_eq!(gateway.admin("GET", target).status, 200, "{target}");
        }
    });
}

#[test]
fn the_running_configuration_is_shown() {
    on_both_drivers(|driver| {
        let (origin, gateway) = start(driver);
        let answer = gateway.admin("GET", "/config");
        assert_eq!(answer.status, 200);
        let shown: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
        assert!(shown.is_object());
        assert!(
            answer.text().contains(&origin.address().to_string()),
            "{}",
            answer.text()
        );
    });
}

#[test]
fn a_decision_is_explained() {
    on_both_drivers(|driver| {
        let (_origin, gateway) = start(driver);
        let answer = gateway.admin("GET", "/explain?url=http://h/x&method=GET");
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert!(answer.text().contains("v1"), "{}", answer.text());
    });
}

#[test]
fn what_it_does_not_know_is_refused() {
    on_both_drivers(|driver| {
        let (_origin, gateway) = start(driver);
        for (method, target, status) in [
            ("GET", "/nothing", 404),
            ("POST", "/metrics", 405),
            ("DELETE", "/config", 405),
            ("GET", "/drain", 405),
        ] {
            assert_eq!(gateway.admin(method, target).status, status, "{method} {target}");
        }
        assert_eq!(
            gateway.admin("GET", "/readyz").status,
            200,
            "and nothing happened"
        );
    });
}

#[test]
fn a_scraper_that_does_not_read_holds_nobody_up() {
    on_both_drivers(|driver| {
        let (_origin, gateway) = start(driver);
        let mut lazy: Vec<Client> = (0..20)
            .map(|_| Client::connect(gateway.admin_address()))
            .collect();
        for client in &mut lazy {
            client.send("GET /metrics HTTP/1.1\r\nhost: admin\r\n\r\n".repeat(50));
        }
        for _ in 0..10 {
            assert_eq!(gateway.get("h", "/").status, 200);
            assert_eq!(gateway.admin("GET", "/readyz").status, 200);
        }
    });
}
