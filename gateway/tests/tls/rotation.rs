//! Certificates that change while the gateway runs: new connections get the new one, no request is lost, and a bad file
//! leaves what was good.

use std::{
    net::SocketAddr,
    path::Path,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
};

use crate::harness::{
    self, Config, Driver, Gateway, Origin, Run,
    certificates::{Authority, put},
    eventually, on_both_drivers,
    secure::{Secure, der},
};

const TLS: &str = "protocol: https\ntls: { certificates: [{ cert: web.crt, key: web.key }] }";

fn start(driver: Driver, origin: &Origin, authority: &Authority) -> Gateway {
    let folder = tempfile::tempdir().expect("a temporary folder");
    authority.server(&["web.example"]).write(folder.path(), "web");
    let ports = harness::Ports::free();
    let config = Config::new().service("v1", &[origin.address()]).listener(TLS);
    std::fs::write(folder.path().join("sluice.yaml"), config.yaml(&ports)).expect("a configuration");
    Run::on(driver).workers(2).start_in(folder, ports)
}

/// Asks until told to stop, on one connection or on a new one each time.
fn ask(address: SocketAddr, secure: &Secure, keeps: bool, stop: &AtomicBool, done: &AtomicUsize) {
    let mut kept = None;
    while !stop.load(Ordering::SeqCst) {
        let mut session = match kept.take() {
            Some(session) => session,
            None => secure.connect(address, "web.example").expect("a handshake"),
        };
        assert_eq!(session.get("web.example", "/").expect("an answer").0, 200);
        done.fetch_add(1, Ordering::SeqCst);
        kept = keeps.then_some(session);
    }
}

#[test]
fn a_hundred_changes_under_load_lose_nothing() {
    on_both_drivers(|driver| {
        let (origin, authority) = (Origin::echo("v1"), Authority::new("root"));
        let gateway = start(driver, &origin, &authority);
        let (stop, done) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let secure = Secure::new(&authority, None);
        let load: Vec<_> = [true, true, false, false]
            .into_iter()
            .map(|keeps| {
                let (stop, done, secure) = (Arc::clone(&stop), Arc::clone(&done), secure.clone());
                let address = gateway.address();
                thread::spawn(move || ask(address, &secure, keeps, &stop, &done))
            })
            .collect();
        for _ in 0..100 {
            let pair = authority.server(&["web.example"]);
            pair.write(gateway.folder(), "web");
            let new = der(&pair.cert);
            eventually("the new certificate", || {
                let session = secure
                    .connect(gateway.address(), "web.example")
                    .expect("a handshake");
                (session.shown() == new).then_some(())
            });
        }
        stop.store(true, Ordering::SeqCst);
        for client in load {
            client.join().expect("no request was lost");
        }
        assert!(done.load(Ordering::SeqCst) > 200);
        let applied = gateway
            .metrics()
            .sum("sluice_certificate_reloads_total", &[("result", "applied")]);
        assert!(applied >= 100.0, "{applied}");
    });
}

#[test]
fn a_bad_file_leaves_what_was_good_and_says_which_and_why() {
    on_both_drivers(|driver| {
        let (origin, authority) = (Origin::echo("v1"), Authority::new("root"));
        let gateway = start(driver, &origin, &authority);
        let secure = Secure::new(&authority, None);
        let shown = || secure.connect(gateway.address(), "web.example").unwrap().shown();
        let first = shown();
        let rejected = |count: f64| {
            gateway.wait_metrics("the rejection", |metrics| {
                metrics.sum("sluice_certificate_reloads_total", &[("result", "rejected")]) >= count
            });
        };
        // A certificate whose key is another's, as between the two writes of a careless tool.
        let second = authority.server(&["web.example"]);
        put(&gateway.folder().join("web.crt"), &second.cert);
        rejected(1.0);
        gateway.wait_stderr("web.key: does not match the certificate in");
        assert_eq!(shown(), first);
        put(&gateway.folder().join("web.key"), &second.key);
        eventually("the second pair", || (shown() == der(&second.cert)).then_some(()));
        put(&gateway.folder().join("web.crt"), "rubbish");
        rejected(2.0);
        gateway.wait_stderr("web.crt: holds no certificate in PEM");
        assert_eq!(shown(), der(&second.cert));
        // Other changes go live all the same.
        let config = Config::new().service("v2", &[origin.address()]).listener(TLS);
        gateway.reload(&config);
        assert_eq!(shown(), der(&second.cert));
        assert!(gateway.metrics().sum("sluice_certificate_expiry_seconds", &[]) > 1.7e9);
    });
}

#[test]
fn a_new_listener_waits_for_its_certificate() {
    on_both_drivers(|driver| {
        let (origin, authority) = (Origin::echo("v1"), Authority::new("root"));
        let plain = Config::new().service("v1", &[origin.address()]);
        let gateway = Gateway::start(driver, &plain);
        assert_eq!(gateway.get("h", "/").status, 200);
        let before = gateway.reloads("applied");
        gateway.write(&gateway.yaml(&plain.clone().listener(TLS)));
        gateway.wait_stderr("web.crt: No such file");
        assert_eq!(gateway.get("h", "/").status, 200, "what ran runs on");
        authority.server(&["web.example"]).write(gateway.folder(), "web");
        gateway.wait_applied(before);
        let mut session = Secure::new(&authority, None)
            .connect(gateway.address(), "web.example")
            .unwrap();
        assert_eq!(session.get("web.example", "/").unwrap().0, 200);
    });
}

fn check(folder: &Path) -> (Option<i32>, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_sluice"))
        .arg("check")
        .arg(folder.join("sluice.yaml"))
        .output()
        .expect("the binary runs");
    let said = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8_lossy(&said).into_owned())
}

#[test]
fn check_looks_into_the_files() {
    let folder = tempfile::tempdir().unwrap();
    let (authority, other) = (Authority::new("root"), Authority::new("other"));
    let origin = Origin::echo("v1");
    let config = Config::new().service("v1", &[origin.address()]).listener(TLS);
    let path = folder.path().join("sluice.yaml");
    std::fs::write(&path, config.yaml(&harness::Ports::free())).unwrap();
    let (code, said) = check(folder.path());
    assert_eq!(code, Some(78), "{said}");
    assert!(
        said.contains("sluice.yaml:7:") && said.contains("web.crt: No such file"),
        "{said}"
    );
    authority.server(&["web.example"]).write(folder.path(), "web");
    let (code, said) = check(folder.path());
    assert_eq!((code, said.contains("warning")), (Some(0), false), "{said}");
    put(&folder.path().join("web.key"), &other.server(&["x"]).key);
    let (code, said) = check(folder.path());
    assert_eq!(code, Some(78), "{said}");
    assert!(said.contains("web.key: does not match"), "{said}");
    let soon = authority.client_with("spiffe://td/a", |params| {
        let now = std::time::SystemTime::now();
        params.not_after = (now + std::time::Duration::from_secs(5 * 86_400 + 60)).into();
    });
    soon.write(folder.path(), "web");
    let (code, said) = check(folder.path());
    assert_eq!(code, Some(0), "{said}");
    assert!(
        said.contains("web.crt: this certificate expires in 5 days"),
        "{said}"
    );
}
