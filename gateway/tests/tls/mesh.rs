//! An identity from the mesh's own authority: how it is got, how it is renewed while connections live, and what holds while
//! the authority is away.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path};

use crate::harness::{
    self, Config, Driver, Gateway, Origin, Ports, Run, eventually,
    mesh::{Mesh, ill, sluice},
    on_both_drivers,
    secure::Secure,
};
use tempfile::TempDir;

/// A listener that shows the identity.
const SECURE: &str = "protocol: https\ntls: {}";

/// What asks `mesh` for an identity, which is kept in `folder`.
fn identity(mesh: &Mesh, folder: &Path, more: &str) -> String {
    let (authority, folder) = (mesh.address(), folder.display());
    format!("identity: {{ authority: \"{authority}\", token: join.token, folder: \"{folder}\"{more} }}")
}

/// A folder with a configuration and a token.
fn folder(config: &Config, ports: &Ports, token: &str) -> TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    fs::write(folder.path().join("join.token"), token).expect("a token");
    fs::write(folder.path().join("sluice.yaml"), config.yaml(ports)).expect("a configuration");
    folder
}

fn start(driver: Driver, config: &Config, token: &str) -> Gateway {
    let ports = Ports::free();
    let folder = folder(config, &ports, token);
    Run::on(driver).workers(2).start_in(folder, ports)
}

/// What `sluice run` says that cannot start.
fn fails(driver: Driver, config: &Config, token: &str) -> (String, i32) {
    let folder = folder(config, &Ports::free(), token);
    let run = ["run", "-c", "sluice.yaml", "--io", driver.as_str()];
    ill(&sluice(folder.path(), &run))
}

fn renewals(gateway: &Gateway, result: &str) -> f64 {
    gateway
        .metrics()
        .sum("sluice_identity_renewals_total", &[("result", result)])
}

fn wait_renewals(gateway: &Gateway, result: &str, count: f64) {
    gateway.wait_metrics(result, |metrics| {
        metrics.sum("sluice_identity_renewals_total", &[("result", result)]) >= count
    });
}

#[test]
fn two_sidecars_join_and_speak_and_need_no_token_again() {
    on_both_drivers(|driver| {
        let (mesh, origin) = (Mesh::new(), Origin::echo("v1"));
        let kept = tempfile::tempdir().expect("a temporary folder");
        let [a, b] = ["a", "b"].map(|name| kept.path().join(name));
        let inbound = Config::new()
            .top(&identity(&mesh, &b, ""))
            .listener("protocol: https\ntls: { clientAuth: { mode: require } }")
            .service("v1", &[origin.address()]);
        let server = start(driver, &inbound, &mesh.token("b", &[]));
        let tls = "tls: { mode: mutual, verify: { spiffe: [\"spiffe://example.org/b\"] } }\n\
                   health: { http: { path: / }, interval: 50ms, timeout: 10s }";
        let outbound =
            Config::new()
                .top(&identity(&mesh, &a, ", ttl: 1h"))
                .service_with("b", &[server.address()], tls);
        let token = mesh.token("a", &[]);
        let client = start(driver, &outbound, &token);
        assert_eq!(client.get("h", "/").backend(), "v1");
        let line = mesh.wait_log("\"by\":\"token\"");
        assert!(
            line.contains("\"spiffe\":\"spiffe://example.org/") && line.contains("\"serial\":"),
            "{line}"
        );
        client.wait_metrics("a health check over mTLS", |metrics| {
            metrics.sum("sluice_health_checks_total", &[("result", "passed")]) >= 1.0
        });
        let secret = a.join("identity.pem");
        assert_eq!(
            fs::metadata(&secret).expect("a file").permissions().mode() & 0o777,
            0o600
        );
        assert_eq!(
            fs::metadata(&a).expect("a folder").permissions().mode() & 0o777,
            0o700
        );
        // Nobody hears of a secret.
        let page = client.admin("GET", "/config").text();
        let secret_part = token.split('.').nth(1).expect("a secret").to_owned();
        for text in [&page, &client.stderr(), &mesh.log()] {
            assert!(
                !text.contains(&secret_part) && !text.contains("PRIVATE KEY"),
                "{text}"
            );
        }
        assert!(page.contains("join.token"), "{page}");
        drop(client);
        // Started again with what is kept, and with no use for its token.
        let again = start(driver, &outbound, "used and gone");
        assert_eq!(again.get("h", "/").backend(), "v1");
        drop(again);
        // The token itself was good once.
        fs::remove_dir_all(&a).expect("a kept identity");
        let (told, status) = fails(driver, &outbound, &token);
        assert!(
            told.contains("it refuses: this join token is not known"),
            "{told}"
        );
        assert!(told.contains("sluice.yaml:") && status == 1, "{status}: {told}");
    });
}

#[test]
fn a_token_that_is_none_any_more_gets_nothing() {
    on_both_drivers(|driver| {
        let mesh = Mesh::new();
        let kept = tempfile::tempdir().expect("a temporary folder");
        let config = Config::new()
            .top(&identity(&mesh, &kept.path().join("id"), ""))
            .listener(SECURE)
            .routes("\n- { name: own, rules: [{ filters: [{ direct: { status: 200 } }] }] }");
        let made = std::time::Instant::now();
        let token = mesh.token("web", &["--ttl", "1s"]);
        eventually("the end of the token", || {
            (made.elapsed().as_secs() >= 2).then_some(())
        });
        let (told, status) = fails(driver, &config, &token);
        assert!(told.contains("it has expired") && status == 1, "{told}");
        let (told, status) = fails(driver, &config, "rubbish");
        assert!(
            told.contains("join.token: this is no join token") && status == 1,
            "{told}"
        );
        // Another's trust domain, the authority's own ID, and a name that is none.
        for (id, part) in [
            ("spiffe://example.com/a", "issues for example.org"),
            ("spiffe://example.org/sluice/authority", "the authority's own"),
            ("spiffe://example.org", "has a path"),
        ] {
            let (told, status) = ill(&sluice(
                mesh.folder(),
                &["ca", "token", "--dir", "ca", "--spiffe", id],
            ));
            assert!(told.contains(part) && status == 2, "{told}");
        }
    });
}

#[test]
fn whoever_is_not_the_authority_never_gets_to_see_the_token() {
    on_both_drivers(|driver| {
        let (mesh, other) = (Mesh::new(), Mesh::new());
        let kept = tempfile::tempdir().expect("a temporary folder");
        let id = kept.path().join("id");
        let own = "\n- { name: own, rules: [{ filters: [{ direct: { status: 200 } }] }] }";
        let config = |address| {
            let identity = format!(
                "identity: {{ authority: \"{address}\", token: join.token, folder: \"{}\" }}",
                id.display()
            );
            Config::new().top(&identity).listener(SECURE).routes(own)
        };
        let token = mesh.token("web", &[]);
        let (told, status) = fails(driver, &config(other.address()), &token);
        assert!(
            told.contains("not the authority that was meant") && status == 1,
            "{told}"
        );
        // A workload of the mesh, whose chain leads to the right root, in the authority's place.
        let rogue = tempfile::tempdir().expect("a temporary folder");
        let (cert, key) = mesh.pair("rogue");
        fs::write(rogue.path().join("it.crt"), cert + &mesh.root()).expect("a chain");
        fs::write(rogue.path().join("it.key"), key).expect("a key");
        let ports = Ports::free();
        let pretends = Config::new()
            .listener("protocol: https\ntls: { certificates: [{ cert: it.crt, key: it.key }] }")
            .routes(own);
        fs::write(rogue.path().join("sluice.yaml"), pretends.yaml(&ports)).expect("a configuration");
        let rogue = Run::on(driver).start_in(rogue, ports);
        let (told, status) = fails(driver, &config(rogue.address()), &token);
        assert!(
            told.contains("not the authority that was meant") && status == 1,
            "{told}"
        );
        assert_eq!(rogue.metrics().sum("sluice_requests_total", &[]), 0.0);
        // The token was told to nobody, and is good.
        let gateway = start(driver, &config(mesh.address()), &token);
        let secure = Secure::believing(&mesh.root(), None);
        assert!(
            secure.connect(gateway.address(), "localhost").is_err(),
            "it names no host"
        );
    });
}

#[test]
fn renewals_are_live_for_new_connections_and_an_authority_that_is_away_is_missed_by_no_one() {
    on_both_drivers(|driver| {
        let (mut mesh, origin) = (Mesh::new(), Origin::echo("v1"));
        let kept = tempfile::tempdir().expect("a temporary folder");
        let config = Config::new()
            .top(&identity(&mesh, &kept.path().join("id"), ", ttl: 9s"))
            .listener(SECURE)
            .service("v1", &[origin.address()]);
        let token = mesh.token("web", &["--dns", "web.example"]);
        let gateway = start(driver, &config, &token);
        let secure = Secure::believing(&mesh.root(), None);
        let connect = || {
            secure
                .connect(gateway.address(), "web.example")
                .expect("a handshake")
        };
        let mut first = connect();
        assert_eq!(first.get("web.example", "/").expect("an answer").0, 200);
        let ends = |metrics: &harness::metrics::Metrics| {
            metrics.sum("sluice_certificate_expiry_seconds", &[("listener", "web")])
        };
        let first_ends = ends(&gateway.metrics());
        wait_renewals(&gateway, "renewed", 1.0);
        mesh.wait_log("\"by\":\"certificate\"");
        gateway.wait_metrics("the new certificate", |metrics| ends(metrics) > first_ends);
        let mut second = eventually("the new certificate", || {
            Some(connect()).filter(|session| session.shown() != first.shown())
        });
        // A name that was asked for with the token stays, and so do connections.
        for session in [&mut first, &mut second] {
            assert_eq!(session.get("web.example", "/").expect("an answer").0, 200);
        }
        mesh.stop();
        wait_renewals(&gateway, "failed", 1.0);
        let mut third = connect();
        assert_eq!(third.shown(), second.shown(), "the old one serves on");
        for session in [&mut first, &mut second, &mut third] {
            assert_eq!(session.get("web.example", "/").expect("an answer").0, 200);
        }
        mesh.start();
        wait_renewals(&gateway, "renewed", 2.0);
        eventually("the third certificate", || {
            (connect().shown() != second.shown()).then_some(())
        });
        assert!(renewals(&gateway, "failed") >= 1.0);
        assert_eq!(first.get("web.example", "/").expect("an answer").0, 200);
        let rejected = gateway
            .metrics()
            .sum("sluice_certificate_reloads_total", &[("result", "rejected")]);
        assert_eq!(rejected, 0.0, "no renewal is ever seen half");
    });
}

#[test]
fn an_identity_that_a_reload_brings_is_fetched_and_then_goes_live() {
    on_both_drivers(|driver| {
        let (mesh, origin) = (Mesh::new(), Origin::echo("v1"));
        let kept = tempfile::tempdir().expect("a temporary folder");
        let plain = Config::new().service("v1", &[origin.address()]);
        let gateway = start(driver, &plain, &mesh.token("web", &["--dns", "web.example"]));
        assert_eq!(gateway.get("h", "/").status, 200);
        let before = gateway.reloads("applied");
        let config = plain
            .clone()
            .top(&identity(&mesh, &kept.path().join("id"), ""))
            .listener(SECURE);
        gateway.write(&gateway.yaml(&config));
        gateway.wait_applied(before);
        let secure = Secure::believing(&mesh.root(), None);
        let mut session = eventually("TLS", || secure.connect(gateway.address(), "web.example").ok());
        assert_eq!(session.get("web.example", "/").expect("an answer").0, 200);
    });
}

#[test]
fn a_start_waits_for_an_authority_that_comes_late() {
    on_both_drivers(|driver| {
        let (mut mesh, origin) = (Mesh::new(), Origin::echo("v1"));
        let kept = tempfile::tempdir().expect("a temporary folder");
        let config = Config::new()
            .top(&identity(&mesh, &kept.path().join("id"), ""))
            .listener(SECURE)
            .service("v1", &[origin.address()]);
        let token = mesh.token("web", &[]);
        mesh.stop();
        let ports = Ports::free();
        let folder = folder(&config, &ports, &token);
        // It tells that it waits, and for whom; the authority is started by that.
        let (early, late) = (folder.path().to_owned(), &mut mesh);
        std::thread::scope(|scope| {
            let gateway = scope.spawn(move || Run::on(driver).start_in(folder, ports));
            eventually("a start", || early.join("join.token").exists().then_some(()));
            late.start();
            let gateway = gateway.join().expect("a gateway");
            gateway.wait_stderr("the identity has a certificate");
        });
    });
}

#[test]
fn check_says_what_it_cannot_know() {
    let mesh = Mesh::new();
    let kept = tempfile::tempdir().expect("a temporary folder");
    let id = kept.path().join("id");
    let config = Config::new()
        .top(&identity(&mesh, &id, ""))
        .listener("protocol: https\ntls: { clientAuth: { mode: require } }")
        .routes("\n- { name: own, rules: [{ filters: [{ direct: { status: 200 } }] }] }");
    let ports = Ports::free();
    let folder = folder(&config, &ports, &mesh.token("web", &[]));
    let check = || {
        let ended = sluice(folder.path(), &["check", "sluice.yaml"]);
        (
            ended.status.code(),
            String::from_utf8_lossy(&ended.stderr).into_owned(),
        )
    };
    let (code, told) = check();
    assert_eq!(code, Some(0), "{told}");
    assert!(
        told.contains("warning: sluice.yaml:") && told.contains("is kept in"),
        "{told}"
    );
    assert!(!id.exists(), "nothing is fetched");
    // What is there is looked into as other files are.
    let (cert, key) = mesh.pair("web");
    fs::create_dir(&id).expect("a folder");
    fs::write(id.join("identity.pem"), cert.clone() + &key).expect("a pair");
    fs::write(id.join("root.pem"), mesh.root()).expect("a root");
    assert_eq!(check(), (Some(0), String::new()));
    fs::write(id.join("identity.pem"), cert + &mesh.pair("other").1).expect("a pair");
    let (code, told) = check();
    assert!(
        code == Some(0) && told.contains("does not match the certificate"),
        "{told}"
    );
}
