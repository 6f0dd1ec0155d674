//! Listeners that end TLS: real clients are served, certificates are chosen by name, tickets are taken by every worker,
//! and what was told of plaintext connections holds.

use std::{path::Path, process::Command};

use crate::harness::{
    self, Config, Driver, Gateway, Origin, Run,
    certificates::Authority,
    on_both_drivers,
    secure::{Secure, der, s_client},
};

/// Starts a gateway whose listener has these certificates beside its configuration.
fn start(run: Run, config: Config, names: &[&str], write: impl FnOnce(&Path)) -> Gateway {
    let folder = tempfile::tempdir().expect("a temporary folder");
    write(folder.path());
    let pairs: Vec<String> = names
        .iter()
        .map(|name| format!("{{ cert: {name}.crt, key: {name}.key }}"))
        .collect();
    let config = if names.is_empty() {
        config
    } else {
        config.listener(&format!(
            "protocol: https\ntls:\n  certificates: [{}]",
            pairs.join(", ")
        ))
    };
    let ports = harness::Ports::free();
    std::fs::write(folder.path().join("sluice.yaml"), config.yaml(&ports)).expect("a configuration");
    run.start_in(folder, ports)
}

fn curl(gateway: &Gateway, authority: &Authority, options: &[&str]) -> String {
    let ca = gateway.folder().join("ca.pem");
    std::fs::write(&ca, authority.pem()).expect("a file");
    let port = gateway.address().port();
    let output = Command::new("curl")
        .args(["-sS", "--max-time", "20", "--cacert"])
        .arg(&ca)
        .args(["--resolve", &format!("web.example:{port}:127.0.0.1")])
        .args(["--resolve", &format!("other.example:{port}:127.0.0.1")])
        .args(options)
        .output()
        .expect("curl runs");
    let said = [output.stdout, output.stderr].concat();
    String::from_utf8_lossy(&said).into_owned()
}

fn ordinary(driver: Driver, origin: &Origin, authority: &Authority) -> Gateway {
    let pair = authority.server(&["web.example"]);
    start(
        Run::on(driver),
        Config::new().service("v1", &[origin.address()]),
        &["web"],
        |folder| pair.write(folder, "web"),
    )
}

#[test]
fn curl_is_served_in_both_versions() {
    on_both_drivers(|driver| {
        let (origin, authority) = (Origin::echo("v1"), Authority::new("root"));
        let gateway = ordinary(driver, &origin, &authority);
        let url = format!("https://web.example:{}/a?b=c", gateway.address().port());
        let cases = [
            ("--tls-max 1.2", "HTTP/2 200"),
            ("--tlsv1.3", "HTTP/2 200"),
            ("--http1.1 --tls-max 1.2", "HTTP/1.1 200"),
            ("--http1.1", "HTTP/1.1 200"),
        ];
        for (options, status) in cases {
            let options: Vec<&str> = options.split(' ').chain(["-i", &url]).collect();
            let said = curl(&gateway, &authority, &options);
            assert!(said.starts_with(status), "{said}");
            assert!(said.contains("GET /a?b=c"), "{said}");
            assert!(said.contains("x-forwarded-proto: https"), "{said}");
        }
        let large = "x".repeat(3_000_000);
        std::fs::write(gateway.folder().join("large"), &large).unwrap();
        let file = format!("@{}", gateway.folder().join("large").display());
        let said = curl(&gateway, &authority, &["--data-binary", &file, &url]);
        assert!(said.contains(&large), "{} bytes", said.len());
        let metrics = gateway.metrics();
        assert_eq!(
            metrics.sum("sluice_tls_handshakes_total", &[("kind", "full")]),
            5.0
        );
    });
}

#[test]
fn python_is_served_and_resumes_and_what_is_old_is_refused() {
    on_both_drivers(|driver| {
        let (origin, authority) = (Origin::echo("v1"), Authority::new("root"));
        let gateway = ordinary(driver, &origin, &authority);
        let ca = gateway.folder().join("ca.pem");
        std::fs::write(&ca, authority.pem()).expect("a file");
        let output = Command::new("python3")
            .arg(concat!(
                env!("CARGO_MANIFEST_DIR"),
                "/tests/support/tls_client.py"
            ))
            .arg(gateway.address().port().to_string())
            .arg(&ca)
            .output()
            .expect("python3 runs");
        let said = String::from_utf8_lossy(&output.stdout);
        assert_eq!(
            said.lines().collect::<Vec<_>>(),
            [
                // Both say no signature algorithm that a newer version could use.
                "TLSv1 refused SSLV3_ALERT_HANDSHAKE_FAILURE",
                "TLSv1_1 refused SSLV3_ALERT_HANDSHAKE_FAILURE",
                "TLSv1_2 http/1.1 HTTP/1.1 200 OK full then http/1.1 HTTP/1.1 200 OK resumed",
                "TLSv1_3 http/1.1 HTTP/1.1 200 OK full then http/1.1 HTTP/1.1 200 OK resumed",
            ],
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
    });
}

#[test]
fn plaintext_and_rubbish_are_refused_and_counted() {
    on_both_drivers(|driver| {
        let (origin, authority) = (Origin::echo("v1"), Authority::new("root"));
        let gateway = ordinary(driver, &origin, &authority);
        let mut client = gateway.client();
        client.send("GET / HTTP/1.1\r\nhost: h\r\n\r\n");
        assert_eq!(client.rest()[0], 21, "an alert");
        let failed = |reason| {
            move |metrics: &harness::metrics::Metrics| {
                metrics.sum(
                    "sluice_tls_handshake_failures_total",
                    &[("listener", "web"), ("reason", reason)],
                ) == 1.0
            }
        };
        gateway.wait_metrics("the count", failed("not_tls"));
        gateway.client().close();
        gateway.wait_metrics("the count", failed("closed"));
        let said = s_client(
            gateway.address(),
            gateway.folder(),
            &["-tls1_1", "-cipher", "ALL:@SECLEVEL=0"],
        );
        assert!(said.contains("SSL alert number"), "{said}");
        gateway.wait_metrics("the count", failed("nothing_in_common"));
    });
}

#[test]
fn a_silent_client_has_so_long_for_its_handshake() {
    on_both_drivers(|driver| {
        let (origin, authority) = (Origin::echo("v1"), Authority::new("root"));
        let pair = authority.server(&["web.example"]);
        let config = Config::new()
            .service("v1", &[origin.address()])
            .listener("timeouts: { tlsHandshake: 200ms }");
        let gateway = start(Run::on(driver), config, &["web"], |folder| {
            pair.write(folder, "web")
        });
        let mut client = gateway.client();
        client.send([22, 3, 1, 2, 0, 1]);
        client.rest();
        gateway.wait_metrics("the count", |metrics| {
            metrics.sum("sluice_tls_handshake_failures_total", &[("reason", "timeout")]) == 1.0
        });
    });
}

#[test]
fn a_request_for_another_certificates_host_is_misdirected() {
    on_both_drivers(|driver| {
        let (origin, authority) = (Origin::echo("v1"), Authority::new("root"));
        let (web, other) = (
            authority.server(&["web.example", "127.0.0.1"]),
            authority.server(&["*.other.example"]),
        );
        let config = Config::new().service("v1", &[origin.address()]);
        let gateway = start(Run::on(driver), config, &["web", "other"], |folder| {
            web.write(folder, "web");
            other.write(folder, "other");
        });
        let secure = Secure::new(&authority, None);
        let mut session = secure.connect(gateway.address(), "a.other.example").unwrap();
        assert_eq!(session.shown(), der(&other.cert));
        assert_eq!(session.get("a.other.example", "/").unwrap().0, 200);
        assert_eq!(session.get("b.other.example:8443", "/").unwrap().0, 200);
        assert_eq!(session.get("web.example", "/misdirected").unwrap().0, 421);
        assert_eq!(session.get("a.b.other.example", "/").unwrap().0, 421);
        assert_eq!(
            session.get("a.other.example", "/").unwrap().0,
            200,
            "the connection goes on"
        );
        assert_eq!(gateway.logged("/misdirected")["reason"], "misdirected");
        // Without a name in the handshake, only what another certificate is for.
        let mut session = secure.connect(gateway.address(), "127.0.0.1").unwrap();
        assert_eq!(session.shown(), der(&web.cert));
        assert_eq!(session.get("127.0.0.1", "/").unwrap().0, 200);
        assert_eq!(session.get("unknown.example", "/").unwrap().0, 200);
        assert_eq!(session.get("a.other.example", "/").unwrap().0, 421);
    });
}

#[test]
fn a_ticket_is_taken_by_every_worker() {
    on_both_drivers(|driver| {
        let (origin, authority) = (Origin::echo("v1"), Authority::new("root"));
        let pair = authority.server(&["web.example"]);
        let config = Config::new().service("v1", &[origin.address()]);
        let gateway = start(Run::on(driver).workers(3), config, &["web"], |folder| {
            pair.write(folder, "web")
        });
        let secure = Secure::new(&authority, None).resuming();
        let mut resumed = 0;
        for turn in 0..30 {
            let mut session = secure.connect(gateway.address(), "web.example").unwrap();
            assert_eq!(session.get("web.example", "/").unwrap().0, 200);
            assert_eq!(session.is_resumed(), turn > 0, "turn {turn}");
            resumed += usize::from(session.is_resumed());
        }
        let counted = gateway
            .metrics()
            .sum("sluice_tls_handshakes_total", &[("kind", "resumed")]);
        assert_eq!(counted, resumed as f64);
    });
}

#[test]
fn a_drain_ends_secure_connections_well() {
    on_both_drivers(|driver| {
        let (origin, authority) = (Origin::echo("v1"), Authority::new("root"));
        let mut gateway = ordinary(driver, &origin, &authority);
        let secure = Secure::new(&authority, None);
        let mut session = secure.connect(gateway.address(), "web.example").unwrap();
        assert_eq!(session.get("web.example", "/").unwrap().0, 200);
        gateway.signal("TERM");
        // With close_notify: rustls tells an end without it.
        let ended = session.get("web.example", "/");
        assert!(
            ended.as_ref().is_ok_and(|(status, _)| *status == 200)
                || ended
                    .as_ref()
                    .is_err_and(|error| !error.to_string().contains("close_notify")),
            "{ended:?}"
        );
        assert_eq!(gateway.wait_exit().code(), Some(0));
    });
}
