//! Backends behind TLS: who is taken for the one that was meant, as whom the gateway calls, and what becomes of
//! connections when either changes.

use std::{
    net::{SocketAddr, TcpListener, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
};

use crate::harness::{
    Config, Driver, Gateway, Origin, Ports, Run,
    certificates::{Authority, Pair},
    checksum, eventually, on_both_drivers, pattern,
};
use rcgen::{DnType, ExtendedKeyUsagePurpose, SanType, date_time_ymd};

/// `openssl s_server`, which answers every request with a page on its connection.
struct Backend {
    process: Child,
    address: SocketAddr,
}

impl Backend {
    fn start(folder: &Path, name: &str, options: &[&str]) -> Self {
        let free = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = free.local_addr().expect("an address");
        drop(free);
        let process = Command::new("openssl")
            .args(["s_server", "-quiet", "-www", "-accept", &address.to_string()])
            .args(["-cert", &format!("{name}.crt"), "-key", &format!("{name}.key")])
            .args(options)
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("openssl runs");
        eventually("a listening backend", || TcpStream::connect(address).ok());
        Self { process, address }
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        // It is gone already at worst.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A gateway beside these files, with one service whose `tls` is this.
fn gateway(driver: Driver, backend: SocketAddr, tls: &str, write: impl FnOnce(&Path)) -> Gateway {
    let folder = tempfile::tempdir().expect("a temporary folder");
    write(folder.path());
    let ports = Ports::free();
    let config = Config::new().service_with("v1", &[backend], &format!("tls: {tls}"));
    std::fs::write(folder.path().join("sluice.yaml"), config.yaml(&ports)).expect("a configuration");
    Run::on(driver).start_in(folder, ports)
}

fn ca(folder: &Path, authority: &Authority) {
    std::fs::write(folder.join("ca.pem"), authority.pem()).expect("a file");
}

fn handshakes(gateway: &Gateway, kind: &str) -> f64 {
    gateway.metrics().sum(
        "sluice_upstream_tls_handshakes_total",
        &[("service", "v1"), ("kind", kind)],
    )
}

#[test]
fn a_backend_is_called_by_its_name_and_sessions_are_resumed() {
    on_both_drivers(|driver| {
        let authority = Authority::new("root");
        let beside = tempfile::tempdir().expect("a temporary folder");
        authority.server(&["backend.example"]).write(beside.path(), "it");
        for version in ["-tls1_2", "-tls1_3"] {
            let backend = Backend::start(beside.path(), "it", &[version]);
            let tls = "{ ca: ca.pem, serverName: backend.example }";
            let gateway = gateway(driver, backend.address, tls, |folder| ca(folder, &authority));
            let first = gateway.get("h", "/");
            assert_eq!(first.status, 200);
            assert!(first.text().contains("New, TLSv1"), "{}", first.text());
            assert!(
                gateway.get("h", "/").text().contains("Reused, TLSv1"),
                "{version}"
            );
            assert_eq!(
                (handshakes(&gateway, "full"), handshakes(&gateway, "resumed")),
                (1.0, 1.0)
            );
        }
    });
}

#[test]
fn a_backend_that_is_somebody_else_gets_no_request() {
    let (authority, other) = (Authority::new("root"), Authority::new("other"));
    let for_servers = |change: &dyn Fn(&mut rcgen::CertificateParams)| {
        authority.client_with("spiffe://td/x", |params| {
            params.subject_alt_names = vec![SanType::DnsName("backend.example".try_into().expect("a name"))];
            params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
            change(params);
        })
    };
    let cases: [(&str, Pair, &str); 5] = [
        (
            "another name",
            authority.server(&["other.example"]),
            "certificate_invalid",
        ),
        (
            "another authority",
            other.server(&["backend.example"]),
            "unknown_authority",
        ),
        (
            "for clients only",
            for_servers(&|params| params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth]),
            "certificate_purpose",
        ),
        (
            "expired",
            for_servers(&|params| {
                (params.not_before, params.not_after) =
                    (date_time_ymd(2001, 1, 1), date_time_ymd(2002, 1, 1));
            }),
            "certificate_expired",
        ),
        (
            "a common name only",
            for_servers(&|params| {
                params.subject_alt_names.clear();
                params
                    .distinguished_name
                    .push(DnType::CommonName, "backend.example");
            }),
            "certificate_invalid",
        ),
    ];
    on_both_drivers(|driver| {
        for (case, pair, reason) in &cases {
            let beside = tempfile::tempdir().expect("a temporary folder");
            pair.write(beside.path(), "it");
            let backend = Backend::start(beside.path(), "it", &[]);
            let tls = "{ ca: ca.pem, serverName: backend.example }";
            let gateway = gateway(driver, backend.address, tls, |folder| ca(folder, &authority));
            assert_eq!(gateway.get("h", "/who").status, 503, "{case}");
            assert_eq!(gateway.logged("/who")["reason"], "connect_failed", "{case}");
            let labels = [("service", "v1"), ("reason", *reason)];
            let failed = gateway
                .metrics()
                .sum("sluice_upstream_tls_handshake_failures_total", &labels);
            assert!(failed >= 1.0, "{case}: {reason}");
        }
    });
}

#[test]
fn identities_decide_on_both_sides() {
    on_both_drivers(|driver| {
        let authority = Authority::new("root");
        let beside = tempfile::tempdir().expect("a temporary folder");
        let api = authority.client_with("spiffe://td/ns/default/sa/api", |params| {
            params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        });
        api.write(beside.path(), "it");
        ca(beside.path(), &authority);
        let options = ["-CAfile", "ca.pem", "-Verify", "1", "-verify_return_error"];
        let backend = Backend::start(beside.path(), "it", &options);
        let mutual = |pattern: &str| {
            format!(
                "{{ mode: mutual, ca: [ca.pem], cert: me.crt, key: me.key, verify: {{ spiffe: ['{pattern}'] }} }}"
            )
        };
        let write = |folder: &Path| {
            ca(folder, &authority);
            authority
                .client("spiffe://td/ns/default/sa/web")
                .write(folder, "me");
        };
        let good = gateway(driver, backend.address, &mutual("spiffe://td/ns/*/sa/api"), write);
        assert_eq!(good.get("h", "/").status, 200);
        let other = gateway(driver, backend.address, &mutual("spiffe://td/ns/*/sa/db"), write);
        assert_eq!(other.get("h", "/").status, 503);
        // It insists on a certificate, which with TLS 1.3 it says after the handshake is done on this side.
        let simple = "{ ca: ca.pem, verify: { spiffe: ['spiffe://td/**'] } }";
        let nobody = gateway(driver, backend.address, simple, write);
        assert!(matches!(nobody.get("h", "/").status, 502 | 503));
    });
}

/// A gateway that lets in only who shows a certificate of `authority`, in front of `origin`.
fn sidecar(driver: Driver, authority: &Authority, origin: &Origin) -> Gateway {
    let folder = tempfile::tempdir().expect("a temporary folder");
    ca(folder.path(), authority);
    authority.server(&["sidecar.example"]).write(folder.path(), "it");
    let tls = "protocol: https\ntls:\n  certificates: [{ cert: it.crt, key: it.key }]\n  clientAuth: { mode: require, ca: [ca.pem] }";
    let ports = Ports::free();
    let config = Config::new().service("v1", &[origin.address()]).listener(tls);
    std::fs::write(folder.path().join("sluice.yaml"), config.yaml(&ports)).expect("a configuration");
    Run::on(driver).start_in(folder, ports)
}

const TO_SIDECAR: &str =
    "{ mode: mutual, ca: ca.pem, cert: me.crt, key: me.key, serverName: sidecar.example }";

#[test]
fn two_gateways_speak_mutual_tls_and_bodies_pass_whole() {
    on_both_drivers(|driver| {
        let authority = Authority::new("root");
        let origin = Origin::echo("v1");
        let sidecar = sidecar(driver, &authority, &origin);
        let edge = gateway(driver, sidecar.address(), TO_SIDECAR, |folder| {
            ca(folder, &authority);
            authority
                .client("spiffe://td/ns/default/sa/edge")
                .write(folder, "me");
        });
        let mut client = edge.client();
        for length in [0, 10, 16 * 1024, 300_000, 4 << 20] {
            let body = pattern(length);
            client.send(format!(
                "PUT /b HTTP/1.1\r\nhost: sidecar.example\r\ncontent-length: {length}\r\n\r\n"
            ));
            client.send(&body);
            assert_eq!(
                checksum(&client.response().seen().body),
                checksum(&body),
                "{length}"
            );
        }
        assert_eq!(handshakes(&edge, "full"), 1.0, "one connection serves all");
    });
}

#[test]
fn connections_made_as_somebody_else_are_not_used_again() {
    on_both_drivers(|driver| {
        let authority = Authority::new("root");
        let origin = Origin::echo("v1");
        let sidecar = sidecar(driver, &authority, &origin);
        let edge = gateway(driver, sidecar.address(), TO_SIDECAR, |folder| {
            ca(folder, &authority);
            authority
                .client("spiffe://td/ns/default/sa/old")
                .write(folder, "me");
        });
        let mut client = edge.client();
        for _ in 0..3 {
            assert_eq!(client.get("sidecar.example", "/").status, 200);
        }
        assert_eq!(handshakes(&edge, "full"), 1.0);
        // The key follows the certificate: in between the pair does not match, and the old one stays.
        authority
            .client("spiffe://td/ns/default/sa/new")
            .write(edge.folder(), "me");
        eventually("a handshake as the new one", || {
            assert_eq!(client.get("sidecar.example", "/").status, 200);
            (handshakes(&edge, "full") == 2.0).then_some(())
        });
    });
}

#[test]
fn what_is_not_verified_is_told() {
    on_both_drivers(|driver| {
        let beside = tempfile::tempdir().expect("a temporary folder");
        Authority::new("root")
            .server(&["other.example"])
            .write(beside.path(), "it");
        let backend = Backend::start(beside.path(), "it", &[]);
        let gateway = gateway(driver, backend.address, "{ insecureSkipVerify: true }", |_| {});
        assert_eq!(gateway.get("h", "/").status, 200);
        gateway.wait_stderr("insecureSkipVerify");
        let unverified = gateway
            .metrics()
            .sum("sluice_service_tls_unverified", &[("service", "v1")]);
        assert_eq!(unverified, 1.0);
    });
}
