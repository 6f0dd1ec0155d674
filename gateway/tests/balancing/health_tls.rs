//! Health checks of services that are reached over TLS: asked as requests are sent, and believing no one else.

use crate::harness::{
    Config, Driver, Gateway, Ports, Run,
    certificates::{Authority, Pair, put},
    on_both_drivers,
};

/// A gateway in a folder of its own with these files.
fn start(driver: Driver, config: &Config, pairs: &[(&str, &Pair)], ca: &Authority) -> Gateway {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for (name, pair) in pairs {
        pair.write(folder.path(), name);
    }
    put(&folder.path().join("ca.pem"), &ca.pem());
    let ports = Ports::free();
    std::fs::write(folder.path().join("sluice.yaml"), config.yaml(&ports)).expect("a configuration");
    Run::on(driver).start_in(folder, ports)
}

/// One that is well, for who shows a certificate, and answers for its own name alone.
fn backend(driver: Driver, authority: &Authority) -> Gateway {
    let tls = "protocol: https\ntls: { certificates: [{ cert: it.crt, key: it.key }], strictSni: true, \
               clientAuth: { mode: require, ca: ca.pem } }";
    let config = Config::new()
        .listener(tls)
        .routes("\n- { name: well, rules: [{ filters: [{ direct: { status: 200, body: well } }] }] }");
    let pair = authority.server(&["backend.example"]);
    start(driver, &config, &[("it", &pair)], authority)
}

/// One in front of it.
fn front(driver: Driver, backend: &Gateway, authority: &Authority, tls: &str, health: &str) -> Gateway {
    let options = format!("tls: {{ {tls} }}\nhealth: {{ {health}, interval: 20ms }}");
    let config = Config::new().service_with("v1", &[backend.address()], &options);
    let pair = authority.client("spiffe://td/front");
    start(driver, &config, &[("me", &pair)], authority)
}

fn wait(gateway: &Gateway, healthy: f64) {
    gateway.wait_metrics("what the checks tell", |metrics| {
        let labels = [("service", "v1"), ("state", "healthy")];
        let asked = metrics.sum("sluice_health_checks_total", &[]);
        asked >= 1.0 && metrics.sum("sluice_service_endpoints", &labels) == healthy
    });
}

const MUTUAL: &str = "mode: mutual, ca: ca.pem, cert: me.crt, key: me.key, serverName: backend.example";
const HTTP: &str = "http: { path: /healthz }";

#[test]
fn an_endpoint_is_asked_as_requests_are_sent_and_a_changed_file_counts_at_once() {
    on_both_drivers(|driver| {
        let (authority, other) = (Authority::new("root"), Authority::new("other"));
        let backend = backend(driver, &authority);
        let front = front(driver, &backend, &authority, MUTUAL, HTTP);
        let passed = [("service", "v1"), ("result", "passed")];
        front.wait_metrics("checks passed", |metrics| {
            metrics.sum("sluice_health_checks_total", &passed) >= 3.0
        });
        wait(&front, 1.0);
        assert_eq!(front.get("backend.example", "/").text(), "well");
        put(&front.folder().join("ca.pem"), &other.pem());
        let line = front.wait_stderr("is down by its health checks");
        assert!(
            line.contains("TLS fails") && line.contains("unknown_authority"),
            "{line}"
        );
        wait(&front, 0.0);
        let failed = front
            .metrics()
            .sum("sluice_health_checks_total", &[("result", "tls_failed")]);
        assert!(failed >= 3.0, "{failed}");
        put(&front.folder().join("ca.pem"), &authority.pem());
        front.wait_stderr("is up again by its health checks");
        wait(&front, 1.0);
    });
}

#[test]
fn who_shows_no_certificate_or_calls_by_another_name_finds_nobody_well() {
    on_both_drivers(|driver| {
        let authority = Authority::new("root");
        let backend = backend(driver, &authority);
        for tls in [
            "ca: ca.pem, serverName: backend.example",
            "mode: mutual, ca: ca.pem, cert: me.crt, key: me.key, serverName: other.example",
        ] {
            let front = front(driver, &backend, &authority, tls, HTTP);
            wait(&front, 0.0);
        }
    });
}

#[test]
fn what_is_not_verified_is_asked_all_the_same_and_a_connect_is_only_that() {
    on_both_drivers(|driver| {
        let (authority, other) = (Authority::new("root"), Authority::new("other"));
        let backend = backend(driver, &authority);
        let skips =
            "mode: mutual, cert: me.crt, key: me.key, serverName: backend.example, insecureSkipVerify: true";
        let asks = front(driver, &backend, &authority, skips, HTTP);
        let connects = front(driver, &backend, &authority, MUTUAL, "tcp: true");
        put(&connects.folder().join("ca.pem"), &other.pem());
        connects.wait_metrics("the changed file", |metrics| {
            metrics.sum("sluice_certificate_reloads_total", &[("result", "applied")]) >= 1.0
        });
        for front in [&asks, &connects] {
            let passed = || {
                front
                    .metrics()
                    .sum("sluice_health_checks_total", &[("result", "passed")])
            };
            let before = passed();
            front.wait_metrics("checks passed", |_| passed() >= before + 3.0);
            wait(front, 1.0);
        }
    });
}
