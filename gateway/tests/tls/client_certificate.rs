//! What backends and the access log are told of the certificate that a client has shown, and of one that it only tells of.

use std::{fs, process::Command};

use crate::harness::{
    Config, Driver, Gateway, Origin, Ports, Run,
    certificates::{Authority, Pair, put},
    on_both_drivers,
    origin::Request,
    secure::Secure,
};
use rcgen::{DnType, ExtendedKeyUsagePurpose, SanType};

const GATEWAY: &str = "spiffe://td/ns/edge/sa/gateway";
const WEB: &str = "spiffe://td/ns/default/sa/web";
const FIELD: &str = "x-forwarded-client-cert";

fn start(driver: Driver, origin: &Origin, authority: &Authority, forward: &str, trusted: &str) -> Gateway {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let own = authority.client_with(GATEWAY, |params| {
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.subject_alt_names.push(dns("web.example"));
    });
    own.write(folder.path(), "web");
    put(&folder.path().join("ca.pem"), &authority.pem());
    let listener = format!(
        "protocol: https\ntrustedProxies: [{trusted}]\ntls:\n  certificates: [{{ cert: web.crt, key: web.key }}]\n  \
         clientAuth: {{ mode: request, ca: ca.pem, forward: {forward} }}"
    );
    let config = Config::new()
        .service("v1", &[origin.address()])
        .listener(&listener);
    let ports = Ports::free();
    fs::write(folder.path().join("sluice.yaml"), config.yaml(&ports)).expect("a configuration");
    Run::on(driver).start_in(folder, ports)
}

fn dns(name: &str) -> SanType {
    SanType::DnsName(name.try_into().expect("a name"))
}

/// What the backend is told where the client itself tells of `Hash=evil`.
fn told(gateway: &Gateway, authority: &Authority, pair: Option<&Pair>, target: &str) -> Vec<String> {
    let mut session = Secure::new(authority, pair)
        .connect(gateway.address(), "web.example")
        .expect("a session");
    let request = format!("GET {target} HTTP/1.1\r\nhost: web.example\r\n{FIELD}: Hash=evil\r\n\r\n");
    let (status, body) = session.ask(&request).expect("an answer");
    assert_eq!(status, 200);
    let request = Request::from_echo(body.as_bytes());
    request.headers(FIELD).into_iter().map(str::to_owned).collect()
}

/// How Envoy writes what a certificate says.
fn element(pair: &Pair, subject: &str, names: &str) -> String {
    let folder = tempfile::tempdir().expect("a temporary folder");
    pair.write(folder.path(), "shown");
    let said = Command::new("openssl")
        .args(["x509", "-noout", "-fingerprint", "-sha256", "-in", "shown.crt"])
        .current_dir(folder.path())
        .output()
        .expect("openssl runs");
    let said = String::from_utf8_lossy(&said.stdout).to_lowercase();
    let hash = said.trim().rsplit('=').next().expect("a hash").replace(':', "");
    format!("By={GATEWAY};Hash={hash};Subject=\"{subject}\";{names}")
}

#[test]
fn backends_are_told_what_was_shown_and_not_what_was_claimed() {
    on_both_drivers(|driver| {
        let (origin, authority) = (Origin::echo("v1"), Authority::new("root"));
        let web = authority.client_with(WEB, |params| {
            params.subject_alt_names.push(dns("web.internal"));
            params.distinguished_name.push(DnType::CommonName, "a, \"b\"");
        });
        let shown = element(&web, r#"CN=a, \"b\""#, &format!("URI={WEB};DNS=web.internal"));
        let claimed = || "Hash=evil".to_owned();
        for (forward, trusted, with, without) in [
            ("none", "192.0.2.1", vec![], vec![]),
            ("set", "192.0.2.1", vec![shown.clone()], vec![]),
            ("append", "192.0.2.1", vec![shown.clone()], vec![]),
            ("none", "127.0.0.1", vec![claimed()], vec![claimed()]),
            ("set", "127.0.0.1", vec![shown.clone()], vec![]),
            (
                "append",
                "127.0.0.1",
                vec![format!("Hash=evil,{shown}")],
                vec![claimed()],
            ),
        ] {
            let gateway = start(driver, &origin, &authority, forward, trusted);
            assert_eq!(
                told(&gateway, &authority, Some(&web), "/"),
                with,
                "{forward}, trusted {trusted}"
            );
            assert_eq!(
                told(&gateway, &authority, None, "/"),
                without,
                "{forward}, trusted {trusted}"
            );
        }
    });
}

#[test]
fn the_access_log_names_who_asked() {
    on_both_drivers(|driver| {
        let (origin, authority) = (Origin::echo("v1"), Authority::new("root"));
        let gateway = start(driver, &origin, &authority, "none", "192.0.2.1");
        let named = authority.client_with(WEB, |params| {
            params.subject_alt_names = vec![dns("a.internal"), dns("b.internal")];
        });
        for (target, pair, identity) in [
            ("/spiffe", Some(authority.client(WEB)), Some(WEB)),
            ("/names", Some(named), Some("a.internal,b.internal")),
            ("/nobody", None, None),
        ] {
            told(&gateway, &authority, pair.as_ref(), target);
            assert_eq!(gateway.logged(target)["identity"].as_str(), identity, "{target}");
        }
    });
}
