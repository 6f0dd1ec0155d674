//! How the process ends: told, at once, or killed.

use std::sync::{Mutex, mpsc};

use crate::harness::{
    self, Client, Config, Driver, Gateway, Origin, Ports, Run, load::Load, ok, on_both_drivers,
};

/// Answers each request once the test says so.
fn held() -> (Origin, mpsc::Sender<()>) {
    let (go, wait) = mpsc::channel::<()>();
    let wait = Mutex::new(wait);
    let origin = Origin::serving(move |mut connection| {
        while connection.request().is_some() {
            wait.lock().expect("no holder panics").recv().ok();
            connection.send(ok("well"));
        }
    });
    (origin, go)
}

fn in_flight(driver: Driver, top: &str) -> (Origin, mpsc::Sender<()>, Gateway, Client) {
    let (origin, go) = held();
    let gateway = Gateway::start(driver, &Config::new().service("v1", &[origin.address()]).top(top));
    let mut client = gateway.client();
    client.send_get("h", "/held");
    origin.wait_until("the request", |seen| seen.requests.len() == 1);
    (origin, go, gateway, client)
}

#[test]
fn a_gateway_without_work_ends_at_once_and_well() {
    on_both_drivers(|driver| {
        let origin = Origin::echo("v1");
        let mut gateway = Gateway::start(driver, &Config::new().service("v1", &[origin.address()]));
        let mut idle = gateway.client();
        assert_eq!(idle.get("h", "/").status, 200);
        gateway.signal("TERM");
        idle.expect_close();
        assert_eq!(gateway.wait_exit().code(), Some(0));
        origin.wait_until("the end of pooled connections", |seen| seen.open == 0);
    });
}

#[test]
fn requests_in_flight_end_well_and_say_that_the_connection_ends() {
    on_both_drivers(|driver| {
        let (_origin, go, mut gateway, mut client) = in_flight(driver, "");
        assert_eq!(gateway.admin("GET", "/readyz").status, 200);
        gateway.signal("TERM");
        harness::eventually("not ready", || {
            (gateway.admin("GET", "/readyz").status == 503).then_some(())
        });
        assert_eq!(
            gateway.admin("GET", "/livez").status,
            200,
            "alive while it drains"
        );
        harness::eventually("no further connections", || {
            Client::try_connect(gateway.address()).err()
        });
        assert!(gateway.is_running());
        go.send(()).unwrap();
        let response = client.response();
        assert_eq!((response.text().as_str(), response.closes()), ("well", true));
        client.expect_close();
        assert_eq!(gateway.wait_exit().code(), Some(0));
    });
}

#[test]
fn what_takes_too_long_is_cut_at_the_bound() {
    on_both_drivers(|driver| {
        let (_origin, _go, mut gateway, mut client) = in_flight(driver, "drain: { timeout: 300ms }");
        gateway.signal("TERM");
        assert_eq!(gateway.wait_exit().code(), Some(0));
        assert!(client.try_response("GET").is_err());
    });
}

#[test]
fn a_second_signal_ends_it_now() {
    on_both_drivers(|driver| {
        let (_origin, _go, mut gateway, mut client) = in_flight(driver, "drain: { timeout: 1h }");
        gateway.signal("TERM");
        harness::eventually("not ready", || {
            (gateway.admin("GET", "/readyz").status == 503).then_some(())
        });
        gateway.signal("TERM");
        gateway.wait_exit();
        assert!(client.try_response("GET").is_err());
    });
}

#[test]
fn the_admin_server_can_be_asked_to_drain() {
    on_both_drivers(|driver| {
        let (_origin, go, mut gateway, mut client) = in_flight(driver, "");
        assert_eq!(gateway.admin("GET", "/drain").status, 405);
        let answer = gateway.admin("POST", "/drain");
        assert!((200..300).contains(&answer.status), "{}", answer.status);
        harness::eventually("not ready", || {
            (gateway.admin("GET", "/readyz").status == 503).then_some(())
        });
        go.send(()).unwrap();
        let response = client.response();
        assert_eq!((response.text().as_str(), response.closes()), ("well", true));
        assert_eq!(gateway.wait_exit().code(), Some(0));
    });
}

#[test]
fn clients_under_load_lose_nothing_to_a_drain() {
    on_both_drivers(|driver| {
        let origin = Origin::echo("v1");
        let mut gateway = Run::on(driver)
            .workers(2)
            .start(&Config::new().service("v1", &[origin.address()]));
        let load = Load::start(gateway.address(), 6, 2);
        load.wait_for(500);
        gateway.signal("TERM");
        assert_eq!(gateway.wait_exit().code(), Some(0));
        let report = load.finish();
        let (kept, fresh): (Vec<_>, Vec<_>) = report.lost.iter().partition(|lost| lost.starts_with("kept"));
        assert!(
            kept.is_empty(),
            "lost {} of {}: {kept:?}",
            kept.len(),
            report.answered()
        );
        // Once nobody listens a connect fails, as a load balancer would see it. A connection whose handshake ends in
        // the instant in which a socket closes is reset by the kernel: at most one for each worker's socket.
        let reset: Vec<_> = fresh.iter().filter(|lost| !lost.contains("connect:")).collect();
        assert!(
            reset.len() <= 2,
            "lost {} of {}: {reset:?}",
            reset.len(),
            report.answered()
        );
    });
}

#[test]
fn the_end_may_come_while_a_reload_runs() {
    on_both_drivers(|driver| {
        let origin = Origin::echo("v1");
        let config = Config::new().service("v1", &[origin.address()]);
        for _ in 0..5 {
            let mut gateway = Gateway::start(driver, &config);
            gateway.write(&gateway.yaml(&config.clone().listener("backlog: 100")));
            gateway.signal("HUP");
            gateway.signal("TERM");
            assert_eq!(gateway.wait_exit().code(), Some(0));
        }
    });
}

#[test]
fn a_killed_gateway_hinders_no_other() {
    on_both_drivers(|driver| {
        let origin = Origin::echo("v1");
        let config = Config::new().service("v1", &[origin.address()]);
        let ports = Ports::free();
        for _ in 0..3 {
            let folder = tempfile::tempdir().unwrap();
            std::fs::write(folder.path().join("sluice.yaml"), config.yaml(&ports)).unwrap();
            let mut gateway = Run::on(driver).start_in(folder, ports.clone());
            assert_eq!(gateway.get("h", "/").backend(), "v1");
            gateway.signal("KILL");
            gateway.wait_exit();
        }
    });
}

#[test]
fn one_killed_amid_a_reload_leaves_nothing_that_hinders_a_start() {
    on_both_drivers(|driver| {
        let (origin, side) = (Origin::echo("v1"), harness::Port::free());
        let config = Config::new().service("v1", &[origin.address()]);
        let ports = Ports::free();
        for turn in 0..3 {
            let folder = tempfile::tempdir().unwrap();
            std::fs::write(folder.path().join("sluice.yaml"), config.yaml(&ports)).unwrap();
            let mut gateway = Run::on(driver).workers(2).start_in(folder, ports.clone());
            let bigger = config.clone().add_listener("side", side.address());
            gateway.write(&gateway.yaml(&bigger.top(&format!("drain: {{ timeout: {}s }}", turn + 1))));
            gateway.signal("HUP");
            gateway.signal("KILL");
            gateway.wait_exit();
        }
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("sluice.yaml"), config.yaml(&ports)).unwrap();
        assert_eq!(
            Run::on(driver).start_in(folder, ports).get("h", "/").backend(),
            "v1"
        );
    });
}
