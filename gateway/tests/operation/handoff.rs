//! A new binary takes over from a running one: nothing is lost when it goes well, and nothing happens when it does not.

use std::{
    fs,
    os::{
        fd::OwnedFd,
        unix::{
            fs::PermissionsExt as _,
            net::{UnixDatagram, UnixStream},
        },
    },
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{Mutex, mpsc},
};

use crate::harness::{
    self, Client, Config, Driver, Gateway, Origin, Port, Ports, Run,
    certificates::Authority,
    eventually,
    gateway::runs,
    load::Load,
    ok, on_both_drivers,
    secure::{Secure, der},
};
use tempfile::TempDir;

/// The path a gateway is started by, where another binary is put later.
struct Binary {
    folder: TempDir,
}

impl Binary {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let binary = Self { folder };
        binary.restore();
        binary
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("sluice")
    }

    /// The real one.
    fn restore(&self) {
        let beside = self.folder.path().join("new");
        // A copy would be busy where another test starts a process meanwhile, which holds it open for writing.
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_sluice"), &beside).expect("a link to the binary");
        fs::rename(beside, self.path()).expect("it takes the place");
    }

    /// A script in its place.
    fn replace(&self, script: &str) {
        let beside = self.folder.path().join("new");
        fs::write(&beside, format!("#!/bin/sh\n{script}\n")).expect("the script is written");
        fs::set_permissions(&beside, fs::Permissions::from_mode(0o755)).expect("it can be run");
        fs::rename(beside, self.path()).expect("it takes the place");
    }

    /// One that runs the real one with other arguments.
    fn with_arguments(&self, folder: &Path, driver: Driver, workers: usize) {
        let (real, folder, driver) = (env!("CARGO_BIN_EXE_sluice"), folder.display(), driver.as_str());
        self.replace(&format!(
            "exec {real} run -c {folder} --io {driver} --workers {workers} --inherit"
        ));
    }
}

fn config(origin: &Origin) -> Config {
    Config::new().service("v1", &[origin.address()])
}

fn upgrades(gateway: &Gateway, result: &str) -> f64 {
    gateway
        .metrics()
        .sum("sluice_upgrades_total", &[("result", result)])
}

fn wait_failed(gateway: &Gateway, count: f64) {
    gateway.wait_metrics("a failed upgrade", |metrics| {
        metrics.sum("sluice_upgrades_total", &[("result", "failed")]) == count
    });
}

#[test]
fn upgrades_under_load_lose_nothing() {
    on_both_drivers(|driver| {
        let origin = Origin::echo("v1");
        let mut gateway = Run::on(driver).workers(2).start(&config(&origin));
        let load = Load::start(gateway.address(), 4, 4);
        load.wait_for(200);
        for _ in 0..3 {
            let old = gateway.upgrade();
            assert_ne!(gateway.pid(), old);
            gateway.wait_gone(old);
            assert_eq!(upgrades(&gateway, "completed"), 1.0);
            assert_eq!(gateway.admin("GET", "/readyz").status, 200);
            load.wait_for(200);
        }
        load.finish_without_loss();
    });
}

/// A gateway under load whose binary is another by now: one that runs with another number of workers.
fn upgradable(driver: Driver, workers: usize, then: usize) -> ((Origin, Binary), Gateway, Load) {
    let (origin, binary) = (Origin::echo("v1"), Binary::new());
    let gateway = Run::on(driver)
        .workers(workers)
        .binary(&binary.path())
        .start(&config(&origin));
    let load = Load::start(gateway.address(), 2, 4);
    load.wait_for(100);
    binary.with_arguments(gateway.folder(), driver, then);
    ((origin, binary), gateway, load)
}

#[test]
fn another_number_of_workers_loses_nothing() {
    on_both_drivers(|driver| {
        let (_ends, mut gateway, load) = upgradable(driver, 2, 3);
        let first = gateway.upgrade();
        load.wait_for(100);
        assert_eq!(gateway.metrics().sum("sluice_workers", &[]), 3.0);
        gateway.wait_gone(first);
        load.finish_without_loss();
    });
}

#[test]
fn fewer_workers_serve_every_socket() {
    on_both_drivers(|driver| {
        let (_ends, mut gateway, load) = upgradable(driver, 3, 1);
        let old = gateway.upgrade();
        gateway.wait_gone(old);
        load.wait_for(100);
        assert_eq!(gateway.metrics().sum("sluice_workers", &[]), 1.0);
        load.finish_without_loss();
    });
}

#[test]
fn requests_in_flight_and_tunnels_end_in_the_old_process() {
    on_both_drivers(|driver| {
        let (go, wait) = mpsc::channel::<()>();
        let wait = Mutex::new(wait);
        let held = Origin::serving(move |mut connection| {
            while connection.request().is_some() {
                wait.lock().unwrap().recv().ok();
                connection.send(ok("well"));
            }
        });
        let tunnelling = Origin::serving(|mut connection| {
            connection.request();
            connection
                .send("HTTP/1.1 101 Switching Protocols\r\nupgrade: echo\r\nconnection: upgrade\r\n\r\n");
            if let Some(bytes) = connection.take(4) {
                connection.send(bytes);
            }
            connection.wait_close();
        });
        let routes = "
- name: all
  rules:
  - { matches: [{ path: { prefix: /held } }], backends: [{ service: held }] }
  - { matches: [{ path: { prefix: /tunnel } }], backends: [{ service: tunnel }] }
  - { filters: [{ direct: { status: 200, body: new } }] }
";
        let config = Config::new()
            .service("held", &[held.address()])
            .service("tunnel", &[tunnelling.address()])
            .routes(routes);
        let mut gateway = Gateway::start(driver, &config);
        let mut slow = gateway.client();
        slow.send_get("h", "/held");
        held.wait_until("the request", |seen| seen.requests.len() == 1);
        let mut tunnel = gateway.client();
        tunnel.send("GET /tunnel HTTP/1.1\r\nhost: h\r\nupgrade: echo\r\nconnection: upgrade\r\n\r\n");
        assert_eq!(tunnel.response().status, 101);

        let old = gateway.upgrade();
        assert_eq!(gateway.get("h", "/").text(), "new");
        assert!(runs(old), "it has a request in flight");
        tunnel.send("ping");
        assert_eq!(tunnel.take(4), b"ping", "the tunnel is open");
        go.send(()).unwrap();
        let response = slow.response();
        assert_eq!((response.text().as_str(), response.closes()), ("well", true));
        tunnel.close();
        gateway.wait_gone(old);
        assert_eq!(gateway.get("h", "/").text(), "new");
    });
}

#[test]
fn tls_is_ended_by_both_with_the_same_certificate() {
    on_both_drivers(|driver| {
        let (origin, binary, authority) = (Origin::echo("v1"), Binary::new(), Authority::new("root"));
        let folder = tempfile::tempdir().unwrap();
        let pair = authority.server(&["web.example"]);
        pair.write(folder.path(), "web");
        let tls = "protocol: https\ntls: { certificates: [{ cert: web.crt, key: web.key }] }";
        let ports = Ports::free();
        let yaml = config(&origin).listener(tls).yaml(&ports);
        fs::write(folder.path().join("sluice.yaml"), yaml).unwrap();
        let mut gateway = Run::on(driver).binary(&binary.path()).start_in(folder, ports);
        let connect = |gateway: &Gateway| {
            let secure = Secure::new(&authority, None);
            secure.connect(gateway.address(), "web.example").unwrap()
        };
        let mut before = connect(&gateway);
        assert_eq!(before.get("web.example", "/").unwrap().0, 200);
        let old = gateway.upgrade();
        let mut after = connect(&gateway);
        assert_eq!(after.get("web.example", "/").unwrap().0, 200);
        assert_eq!(after.shown(), der(&pair.cert));
        // The old process answers it still, or has ended it with close_notify, which rustls would miss.
        let last = before.get("web.example", "/");
        assert!(
            last.as_ref().is_ok_and(|(status, _)| *status == 200)
                || last
                    .as_ref()
                    .is_err_and(|error| !error.to_string().contains("close_notify")),
            "{last:?}"
        );
        gateway.wait_gone(old);
    });
}

#[test]
fn a_binary_that_ends_or_refuses_leaves_the_old_one() {
    on_both_drivers(|driver| {
        let (origin, binary) = (Origin::echo("v1"), Binary::new());
        let mut gateway = Run::on(driver)
            .workers(2)
            .binary(&binary.path())
            .start(&config(&origin));
        let pid = gateway.pid();
        let load = Load::start(gateway.address(), 2, 4);
        let bad = tempfile::tempdir().unwrap();
        fs::write(bad.path().join("bad.yaml"), "listners: []\n").unwrap();

        binary.replace("exit 3");
        gateway.signal("USR2");
        wait_failed(&gateway, 1.0);
        gateway.wait_stderr("exit status: 3");

        binary.replace("kill -SEGV $$");
        gateway.signal("USR2");
        wait_failed(&gateway, 2.0);
        gateway.wait_stderr("signal: 11");

        // More workers, so that there would be sockets of its own to lose.
        binary.with_arguments(bad.path(), driver, 5);
        gateway.signal("USR2");
        wait_failed(&gateway, 3.0);
        let line = gateway.wait_stderr("exit status: 78");
        assert!(line.contains("bad.yaml:1:1"), "the reason and its place: {line}");

        fs::remove_file(binary.path()).unwrap();
        gateway.signal("USR2");
        wait_failed(&gateway, 4.0);
        gateway.wait_stderr("No such file");

        assert_eq!(gateway.pid(), pid);
        assert!(gateway.is_running());
        binary.restore();
        let old = gateway.upgrade();
        gateway.wait_gone(old);
        load.wait_for(100);
        load.finish_without_loss();
    });
}

#[test]
fn a_binary_that_hangs_is_killed_and_a_reload_waits_for_it() {
    on_both_drivers(|driver| {
        let (origin, binary) = (Origin::echo("v1"), Binary::new());
        let gateway = Run::on(driver).binary(&binary.path()).start(&config(&origin));
        let load = Load::start(gateway.address(), 1, 2);
        let pid = hang(&gateway, &binary);
        gateway.signal("USR2");
        gateway.wait_stderr("another upgrade is under way");
        assert_eq!(upgrades(&gateway, "refused"), 1.0);
        // What the new process was given must not change under it, and is looked at once that is over.
        gateway.signal("HUP");
        wait_failed(&gateway, 1.0);
        gateway.wait_stderr("was not ready within");
        eventually("the end of what hung", || (!runs(pid)).then_some(()));
        gateway.wait_metrics("the reload", |metrics| {
            metrics.sum("sluice_config_reloads_total", &[("result", "unchanged")]) == 1.0
        });
        load.wait_for(100);
        load.finish_without_loss();
    });
}

/// Begins an upgrade to a binary that never answers; gives its process.
fn hang(gateway: &Gateway, binary: &Binary) -> u32 {
    let file = gateway.folder().join("pid");
    binary.replace(&format!("echo $$ > {}; exec sleep 1000", file.display()));
    gateway.signal("USR2");
    eventually("the new process", || {
        let text = fs::read_to_string(&file).ok()?;
        text.strip_suffix('\n')?.parse().ok()
    })
}

#[test]
fn the_end_during_an_upgrade_ends_both() {
    on_both_drivers(|driver| {
        let (origin, binary) = (Origin::echo("v1"), Binary::new());
        let mut gateway = Run::on(driver).binary(&binary.path()).start(&config(&origin));
        let pid = hang(&gateway, &binary);
        gateway.signal("TERM");
        assert_eq!(gateway.wait_exit().code(), Some(0));
        eventually("the end of what hung", || (!runs(pid)).then_some(()));
    });
}

#[test]
fn a_listener_the_new_process_has_not_is_emptied() {
    on_both_drivers(|driver| {
        let (origin, binary, side) = (Origin::echo("v1"), Binary::new(), Port::free());
        let (folder, ports) = (tempfile::tempdir().unwrap(), Ports::free());
        let with_side = config(&origin).add_listener("side", side.address());
        fs::write(folder.path().join("sluice.yaml"), with_side.yaml(&ports)).unwrap();
        let mut gateway = Run::on(driver).binary(&binary.path()).start_in(folder, ports);
        let mut beside = Client::connect(side.address());
        assert_eq!(beside.get("h", "/").backend(), "v1");
        let load = Load::start(gateway.address(), 1, 2);

        let other = tempfile::tempdir().unwrap();
        fs::write(other.path().join("sluice.yaml"), gateway.yaml(&config(&origin))).unwrap();
        binary.with_arguments(other.path(), driver, 1);
        let old = gateway.upgrade();
        eventually("the end of the removed listener", || {
            Client::try_connect(side.address()).err()
        });
        gateway.wait_gone(old);
        load.wait_for(100);
        load.finish_without_loss();
    });
}

#[test]
fn the_service_manager_is_told_which_process_it_is() {
    on_both_drivers(|driver| {
        let (origin, folder) = (Origin::echo("v1"), tempfile::tempdir().unwrap());
        let path = folder.path().join("notify");
        let manager = UnixDatagram::bind(&path).unwrap();
        manager.set_read_timeout(Some(harness::GUARD)).unwrap();
        let heard = || {
            let mut bytes = [0; 256];
            let length = manager.recv(&mut bytes).unwrap();
            String::from_utf8_lossy(&bytes[..length]).into_owned()
        };
        let mut gateway = Run::on(driver)
            .variable("NOTIFY_SOCKET", &path)
            .start(&config(&origin));
        assert_eq!(heard(), "READY=1");
        for _ in 0..2 {
            let old = gateway.upgrade();
            assert_eq!(heard(), format!("MAINPID={}\nREADY=1", gateway.pid()));
            gateway.wait_gone(old);
        }
    });
}

#[test]
fn a_command_without_a_predecessor_says_so() {
    let folder = tempfile::tempdir().unwrap();
    // Over ssh, standard input may be a socket too.
    let (_shell, socket) = UnixStream::pair().unwrap();
    for input in [Stdio::null(), OwnedFd::from(socket).into()] {
        let output = Command::new(env!("CARGO_BIN_EXE_sluice"))
            .args(["run", "--inherit", "-c"])
            .arg(folder.path())
            .stdin(input)
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(1));
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(
            error.contains("--inherit is for a process that SIGUSR2 starts"),
            "{error}"
        );
    }
}
