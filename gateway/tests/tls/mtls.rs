//! Clients that show certificates: the good come in, the bad get the right alert in both versions and never reach a
//! backend, and who still speaks plaintext is counted before it is refused. openssl is the client.

use std::path::Path;

use crate::harness::{
    self, Config, Driver, Gateway, Origin, Run,
    certificates::{Authority, Pair, constrained_to, put},
    on_both_drivers,
    secure::{Secure, s_client},
};
use rcgen::{
    BasicConstraints, CustomExtension, ExtendedKeyUsagePurpose, IsCa, KeyUsagePurpose, SanType, date_time_ymd,
};

fn start(
    driver: Driver,
    origin: &Origin,
    authority: &Authority,
    auth: &str,
    write: impl FnOnce(&Path),
) -> Gateway {
    let folder = tempfile::tempdir().expect("a temporary folder");
    authority.server(&["web.example"]).write(folder.path(), "web");
    put(&folder.path().join("ca.pem"), &authority.pem());
    write(folder.path());
    let tls = format!(
        "protocol: https\ntls:\n  certificates: [{{ cert: web.crt, key: web.key }}]\n  clientAuth: {auth}"
    );
    let config = Config::new().service("v1", &[origin.address()]).listener(&tls);
    let ports = harness::Ports::free();
    std::fs::write(folder.path().join("sluice.yaml"), config.yaml(&ports)).expect("a configuration");
    Run::on(driver).start_in(folder, ports)
}

/// A client's certificate, the alert it gets, and the reason that is counted.
struct Case(&'static str, Option<Pair>, &'static str, &'static str);

const ID: &str = "spiffe://td/ns/n/sa/web";

/// Clients whose own certificate is bad.
fn bad(authority: &Authority) -> Vec<Case> {
    let between = |first, last| {
        authority.client_with(ID, |params| {
            (params.not_before, params.not_after) = (date_time_ymd(first, 1, 1), date_time_ymd(last, 1, 1));
        })
    };
    let for_servers = authority.client_with(ID, |params| {
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    });
    let unknown = authority.client_with(ID, |params| {
        let mut extension = CustomExtension::from_oid_content(&[1, 3, 6, 1, 4, 1, 55555, 1], vec![5, 0]);
        extension.set_criticality(true);
        params.custom_extensions = vec![extension];
    });
    let other = |name| Some(Authority::new(name).client(ID));
    let (expired, early) = (Some(between(2001, 2002)), Some(between(3001, 3002)));
    vec![
        Case("none", None, "certificate required", "no_certificate"),
        Case("expired", expired, "certificate expired", "certificate_expired"),
        Case(
            "not yet valid",
            early,
            "certificate expired",
            "certificate_expired",
        ),
        Case(
            "another authority",
            other("other"),
            "unknown ca",
            "unknown_authority",
        ),
        Case(
            "same name, other key",
            other("root"),
            "decrypt error",
            "certificate_invalid",
        ),
        Case(
            "for servers",
            Some(for_servers),
            "unsupported certificate",
            "certificate_purpose",
        ),
        Case(
            "unknown and critical",
            Some(unknown),
            "certificate unknown",
            "certificate_invalid",
        ),
    ]
}

/// Clients whose certificate is good and its chain is not.
fn badly_chained(authority: &Authority) -> Vec<Case> {
    let chained = |below: &Authority, mut pair: Pair| {
        pair.cert.push_str(&below.pem());
        Some(pair)
    };
    let missing = Some(authority.intermediate("middle", |_| {}).client(ID));
    let no_authority = authority.intermediate("no authority", |params| params.is_ca = IsCa::ExplicitNoCa);
    let no_signer = authority.intermediate("no signer", |params| {
        params.key_usages = vec![KeyUsagePurpose::CrlSign];
    });
    let short = authority.intermediate("short", |params| {
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    });
    let below_short = short.intermediate("below short", |_| {});
    let mut too_deep = below_short.client(ID);
    too_deep.cert.push_str(&below_short.pem());
    let constrained = authority.intermediate("constrained", constrained_to("inside.example"));
    let outside = constrained.client_with(ID, |params| {
        params.subject_alt_names = vec![SanType::DnsName("outside.example".try_into().expect("a name"))];
    });
    let below_none = chained(&no_authority, no_authority.client(ID));
    let unsigned = chained(&no_signer, no_signer.client(ID));
    let (deep, outside) = (chained(&short, too_deep), chained(&constrained, outside));
    vec![
        Case("missing intermediate", missing, "unknown ca", "unknown_authority"),
        Case(
            "below no authority",
            below_none,
            "certificate unknown",
            "certificate_invalid",
        ),
        Case(
            "below what may not sign",
            unsigned,
            "unknown ca",
            "unknown_authority",
        ),
        Case("too deep", deep, "certificate unknown", "certificate_invalid"),
        Case(
            "outside of the names",
            outside,
            "certificate unknown",
            "certificate_invalid",
        ),
    ]
}

/// What openssl says of a request with this certificate.
fn ask(gateway: &Gateway, version: &str, pair: Option<&Pair>) -> String {
    let mut options = vec![version, "-servername", "web.example"];
    if let Some(pair) = pair {
        pair.write(gateway.folder(), "client");
        options.extend([
            "-cert",
            "client.crt",
            "-key",
            "client.key",
            "-cert_chain",
            "client.crt",
        ]);
    }
    s_client(gateway.address(), gateway.folder(), &options)
}

#[test]
fn bad_certificates_get_their_alert_and_never_a_request_through() {
    on_both_drivers(|driver| {
        let (origin, authority) = (Origin::echo("v1"), Authority::new("root"));
        let gateway = start(
            driver,
            &origin,
            &authority,
            "{ mode: require, ca: [ca.pem] }",
            |_| {},
        );
        let mut failures = 0.0;
        let cases = bad(&authority).into_iter().chain(badly_chained(&authority));
        for Case(name, pair, alert, reason) in cases {
            for version in ["-tls1_2", "-tls1_3"] {
                let said = ask(&gateway, version, pair.as_ref());
                assert!(
                    said.contains(&format!("alert {alert}")),
                    "{name} {version}: {said}"
                );
                assert!(!said.contains("200 OK"), "{name} {version}: {said}");
                failures += 1.0;
                gateway.wait_metrics(name, |metrics| {
                    metrics.sum("sluice_tls_handshake_failures_total", &[]) >= failures
                });
                let counted = gateway
                    .metrics()
                    .sum("sluice_tls_handshake_failures_total", &[("reason", reason)]);
                assert!(counted > 0.0, "{name}");
            }
        }
        let metrics = gateway.metrics();
        assert_eq!(metrics.sum("sluice_requests_total", &[]), 0.0);
        assert_eq!(metrics.sum("sluice_tls_handshakes_total", &[]), 0.0);
    });
}

#[test]
fn good_certificates_are_served() {
    on_both_drivers(|driver| {
        let (origin, authority) = (Origin::echo("v1"), Authority::new("root"));
        let gateway = start(
            driver,
            &origin,
            &authority,
            "{ mode: require, ca: [ca.pem] }",
            |_| {},
        );
        let middle = authority.intermediate("middle", |_| {});
        let mut below = middle.client("spiffe://td/b");
        below.cert.push_str(&middle.pem());
        for pair in [authority.client("spiffe://td/a"), below] {
            let mut session = Secure::new(&authority, Some(&pair))
                .connect(gateway.address(), "web.example")
                .unwrap();
            assert_eq!(session.get("web.example", "/").unwrap().0, 200);
            for version in ["-tls1_2", "-tls1_3"] {
                let said = ask(&gateway, version, Some(&pair));
                assert!(said.contains("200 OK"), "{said}");
            }
        }
    });
}

#[test]
fn a_revoked_certificate_is_refused_once_the_list_says_so() {
    on_both_drivers(|driver| {
        let (origin, authority) = (Origin::echo("v1"), Authority::new("root"));
        let (good, bad) = (
            authority.client("spiffe://td/good"),
            authority.client("spiffe://td/bad"),
        );
        let auth = "{ mode: require, ca: [ca.pem], crl: [crl.pem] }";
        let gateway = start(driver, &origin, &authority, auth, |folder| {
            put(&folder.join("crl.pem"), &authority.revoke(&[]));
        });
        let get = |pair: &Pair| {
            let mut session =
                Secure::new(&authority, Some(pair)).connect(gateway.address(), "web.example")?;
            session.get("web.example", "/")
        };
        assert_eq!((get(&good).unwrap().0, get(&bad).unwrap().0), (200, 200));
        put(&gateway.folder().join("crl.pem"), &authority.revoke(&[&bad]));
        let error = harness::eventually("the list in use", || get(&bad).err());
        assert!(error.to_string().contains("CertificateRevoked"), "{error}");
        assert_eq!(get(&good).unwrap().0, 200);
    });
}

#[test]
fn a_certificate_may_be_left_out_where_it_is_only_requested() {
    on_both_drivers(|driver| {
        let (origin, authority) = (Origin::echo("v1"), Authority::new("root"));
        let gateway = start(
            driver,
            &origin,
            &authority,
            "{ mode: request, ca: [ca.pem] }",
            |_| {},
        );
        let get = |pair: Option<&Pair>| {
            let mut session = Secure::new(&authority, pair).connect(gateway.address(), "web.example")?;
            session.get("web.example", "/").map(|(status, _)| status)
        };
        assert_eq!(get(None).unwrap(), 200);
        assert_eq!(get(Some(&authority.client("spiffe://td/a"))).unwrap(), 200);
        assert!(get(Some(&Authority::new("other").client("spiffe://td/a"))).is_err());
    });
}

#[test]
fn permissive_serves_both_and_counts_who_would_be_refused() {
    on_both_drivers(|driver| {
        let (origin, authority) = (Origin::echo("v1"), Authority::new("root"));
        let gateway = start(
            driver,
            &origin,
            &authority,
            "{ mode: permissive, ca: [ca.pem] }",
            |_| {},
        );
        let mut plain = gateway.client();
        assert_eq!(plain.get("web.example", "/").status, 200);
        // In single bytes too.
        let mut slow = gateway.client();
        for byte in b"GET / HTTP/1.1\r\nhost: h\r\n\r\n" {
            slow.send([*byte]);
        }
        assert_eq!(slow.response().status, 200);
        let pair = authority.client("spiffe://td/a");
        let mut session = Secure::new(&authority, Some(&pair))
            .connect(gateway.address(), "web.example")
            .unwrap();
        assert_eq!(session.get("web.example", "/").unwrap().0, 200);
        let mut anonymous = Secure::new(&authority, None)
            .connect(gateway.address(), "web.example")
            .unwrap();
        assert!(
            anonymous.get("web.example", "/").is_err(),
            "who speaks TLS proves who it is"
        );
        let labels = [("listener", "web"), ("source", "127.0.0.1")];
        assert_eq!(
            gateway
                .metrics()
                .sum("sluice_plaintext_connections_total", &labels),
            2.0
        );
    });
}
