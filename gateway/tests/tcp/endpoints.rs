//! Where connections passed on go (`protocol: tcp`): by shares and load, to an endpoint that can be reached, to none for
//! whom a policy denies it, and where they went before when the configuration changes.

use std::{
    io::ErrorKind,
    net::{SocketAddr, TcpStream},
};

use crate::harness::{
    self, Client, Config, Gateway, Origin, Port,
    certificates::Authority,
    eventually, on_both_drivers,
    passing::{echo, ended, line, passing, says},
};

/// Whether a client that comes and sends something gets nothing and is reset. The reset may be there before the connect
/// is seen to have gone well.
fn is_turned_away(gateway: &Gateway) -> bool {
    Client::try_connect(gateway.address()).map_or_else(
        |error| error.kind() == ErrorKind::ConnectionReset,
        |mut client| {
            client.try_send("secret");
            client.rest().is_empty() && client.was_reset()
        },
    )
}

#[test]
fn connections_are_split_exactly_and_counted_while_they_are_open() {
    on_both_drivers(|driver| {
        let (one, other) = (echo("one"), echo("two"));
        let config = Config::new()
            .listener("protocol: tcp")
            .routes(
                "\n- name: db\n  listeners: [web]\n  rules: [{ backends: [{ service: a, weight: 3 }, { service: b }] }]",
            )
            .service("a", &[one.address()])
            .service("b", &[other.address()]);
        let gateway = Gateway::start(driver, &config);
        let mut clients: Vec<Client> = (0..8).map(|_| gateway.client()).collect();
        let mut names: Vec<Vec<u8>> = clients.iter_mut().map(|client| client.take(3)).collect();
        names.sort();
        assert_eq!(names.iter().filter(|name| *name == b"one").count(), 6);
        assert_eq!((one.connections(), other.connections()), (6, 2));
        let active = |service| {
            gateway
                .metrics()
                .sum("sluice_upstream_requests_active", &[("service", service)])
        };
        assert_eq!((active("a"), active("b")), (6.0, 2.0));
        drop(clients);
        eventually("no open connection", || {
            (active("a") + active("b") == 0.0).then_some(())
        });
    });
}

#[test]
fn open_connections_are_load_and_each_has_one_of_its_own() {
    on_both_drivers(|driver| {
        let (one, other) = (echo("one"), echo("two"));
        let gateway = Gateway::start(driver, &passing(&[one.address(), other.address()], ""));
        let mut open = Vec::new();
        for _ in 0..6 {
            let mut client = gateway.client();
            client.take(3);
            open.push(client);
        }
        assert_eq!((one.connections(), other.connections()), (3, 3));
        // None is kept for later.
        open.clear();
        one.wait_until("the end", |seen| seen.open == 0);
        gateway.client().take(3);
        assert_eq!(one.connections() + other.connections(), 7);
        assert_eq!(
            gateway.metrics().sum("sluice_upstream_pool_reuse_total", &[]),
            0.0
        );
    });
}

#[test]
fn where_one_endpoint_cannot_be_reached_another_is() {
    on_both_drivers(|driver| {
        let (dead, origin) = (Port::free(), echo("well"));
        let options =
            "balance: roundRobin\noutlier: { consecutiveFailures: 2, percentMax: 100, ejection: 1h }";
        let gateway = Gateway::start(driver, &passing(&[dead.address(), origin.address()], options));
        for _ in 0..6 {
            says(&mut gateway.client(), "well");
        }
        let metrics = gateway.metrics();
        let connects = |outcome| {
            let labels = [("service", "pg"), ("outcome", outcome)];
            metrics.sum("sluice_upstream_connects_total", &labels)
        };
        // Two failures in a row, and the dead one is left out.
        assert_eq!((connects("connected"), connects("failed")), (6.0, 2.0));
        assert_eq!(metrics.sum("sluice_outlier_ejections_total", &[]), 1.0);
        gateway.log_line("a second attempt", |line| line["attempts"] == 2);
    });
}

#[test]
fn where_none_can_be_reached_the_client_is_reset() {
    on_both_drivers(|driver| {
        let dead: Vec<Port> = (0..4).map(|_| Port::free()).collect();
        let addresses: Vec<SocketAddr> = dead.iter().map(Port::address).collect();
        let gateway = Gateway::start(driver, &passing(&addresses, "outlier: none"));
        assert!(is_turned_away(&gateway));
        let line = line(&gateway, "reason", "connect_failed");
        assert_eq!((&line["attempts"], &line["service"]), (&3.into(), &"pg".into()));
        // One that is alone is tried once.
        let gateway = Gateway::start(driver, &passing(&addresses[..1], "outlier: none"));
        assert!(is_turned_away(&gateway));
        assert_eq!(self::line(&gateway, "reason", "connect_failed")["attempts"], 1);
        let labels = [("service", "pg"), ("reason", "connect_failed")];
        assert_eq!(
            gateway
                .metrics()
                .sum("sluice_passthrough_connections_total", &labels),
            1.0
        );
    });
}

#[test]
fn who_is_denied_reaches_nobody() {
    on_both_drivers(|driver| {
        let origin = echo("well");
        for target in ["listeners: [web]", "routes: [db]", "services: [pg]"] {
            let before = origin.connections();
            let policy = |cidr: &str| {
                format!(
                    "policies:\n- {{ name: office, action: allow, target: {{ {target} }}, from: [{{ cidrs: [{cidr}] }}], to: [{{ not: {{ ports: [1] }} }}] }}\n"
                )
            };
            let config = passing(&[origin.address()], "");
            let gateway = Gateway::start(driver, &config.clone().document(&policy("127.0.0.0/8")));
            says(&mut gateway.client(), "well");
            assert_eq!(origin.connections(), before + 1);
            let gateway = Gateway::start(driver, &config.document(&policy("192.0.2.0/24")));
            assert!(is_turned_away(&gateway));
            line(&gateway, "reason", "denied:office");
            assert_eq!(ended(&gateway, "denied"), 1.0);
            let decided = [("policy", "office"), ("decision", "deny")];
            assert_eq!(
                gateway.metrics().sum("sluice_policy_decisions_total", &decided),
                1.0
            );
            assert_eq!(origin.connections(), before + 1, "{target}");
        }
    });
}

#[test]
fn what_asks_for_http_denies_none_and_allows_none() {
    on_both_drivers(|driver| {
        let origin = echo("well");
        let config = passing(&[origin.address()], "");
        let policy = |text: &str| {
            config
                .clone()
                .document(&format!("policies: [{{ name: p, {text} }}]\n"))
        };
        let deny = policy("action: deny, to: [{ methods: [GET], paths: ['*'] }]");
        says(&mut Gateway::start(driver, &deny).client(), "well");
        let allow = policy("action: allow, to: [{ not: { methods: [POST] } }]");
        assert!(is_turned_away(&Gateway::start(driver, &allow)));
        let audit = policy("action: audit, from: [{ cidrs: [127.0.0.1] }]");
        let gateway = Gateway::start(driver, &audit);
        says(&mut gateway.client(), "well");
        assert_eq!(line(&gateway, "protocol", "tcp")["policies"][0], "audit:p");
    });
}

#[test]
fn a_reload_leaves_open_ones_where_they_are() {
    on_both_drivers(|driver| {
        let (old, new) = (echo("old"), echo("new"));
        let gateway = Gateway::start(driver, &passing(&[old.address()], ""));
        let mut open = gateway.client();
        says(&mut open, "old");
        gateway.reload(&passing(&[new.address()], ""));
        says(&mut gateway.client(), "new");
        open.send("ping");
        assert_eq!(open.take(4), b"ping");
        // And where the listener goes, they stay.
        let elsewhere = Port::free();
        let moved = gateway
            .yaml(&passing(&[new.address()], ""))
            .replace(&gateway.address().to_string(), &elsewhere.address().to_string());
        let before = gateway.reloads("applied");
        gateway.write(&moved);
        gateway.wait_applied(before);
        says(&mut Client::connect(elsewhere.address()), "new");
        open.send("pong");
        assert_eq!(open.take(4), b"pong");
        open.finish();
        open.expect_close();
    });
}

#[test]
fn a_listener_may_become_another() {
    on_both_drivers(|driver| {
        let (web, db) = (Origin::echo("web"), echo("well"));
        let http = Config::new().service("pg", &[web.address()]);
        let gateway = Gateway::start(driver, &http);
        let mut kept = gateway.client();
        assert_eq!(kept.get("h", "/").backend(), "web");
        gateway.reload(&passing(&[db.address()], ""));
        // Its requests never go where connections go.
        kept.send_get("h", "/again");
        if let Ok(answer) = kept.try_response("GET") {
            assert_eq!(answer.backend(), "web");
        }
        kept.expect_close();
        let mut open = gateway.client();
        says(&mut open, "well");
        gateway.reload(&http);
        assert_eq!(gateway.get("h", "/").backend(), "web");
        open.send("ping");
        assert_eq!(open.take(4), b"ping");
    });
}

#[test]
fn plaintext_may_go_on_within_tls() {
    on_both_drivers(|driver| {
        let authority = Authority::new("root");
        let folder = tempfile::tempdir().unwrap();
        authority.server(&["db.example"]).write(folder.path(), "db");
        let port = Port::free();
        let mut server = std::process::Command::new("openssl")
            .args([
                "s_server",
                "-quiet",
                "-rev",
                "-accept",
                &port.address().to_string(),
            ])
            .args(["-cert", "db.crt", "-key", "db.key"])
            .current_dir(folder.path())
            .stdin(std::process::Stdio::null())
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .spawn()
            .unwrap();
        eventually("a listening backend", || TcpStream::connect(port.address()).ok());
        let beside = tempfile::tempdir().unwrap();
        std::fs::write(beside.path().join("ca.pem"), authority.pem()).unwrap();
        let ports = harness::Ports::free();
        let config = passing(&[port.address()], "tls: { ca: ca.pem, serverName: db.example }");
        std::fs::write(beside.path().join("sluice.yaml"), config.yaml(&ports)).unwrap();
        let gateway = harness::Run::on(driver).start_in(beside, ports);
        let mut client = gateway.client();
        client.send("drawer\n");
        assert_eq!(client.take(7), b"reward\n");
        drop(client);
        server.kill().unwrap();
        server.wait().unwrap();
    });
}
