//! Reloads: nothing is lost, nothing is half applied, and a bad configuration changes nothing.

use std::{fs, net::TcpListener, os::unix::fs::symlink, path::Path};

use crate::harness::{
    self, Client, Config, Driver, Gateway, Origin, Port, Ports, Run, load::Load, ok, on_both_drivers,
};

fn split(v1: u32, v2: u32) -> String {
    format!(
        "
- name: all
  rules:
  - matches: [{{ path: {{ exact: /tunnel }} }}]
    backends: [{{ service: tunnel }}]
  - backends: [{{ service: v1, weight: {v1} }}, {{ service: v2, weight: {v2} }}]
"
    )
}

fn tunnelling() -> Origin {
    Origin::serving(|mut connection| {
        connection.head();
        connection.send("HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n");
        while let Some(bytes) = connection.take(8) {
            connection.send(bytes);
        }
    })
}

fn tunnel(gateway: &Gateway) -> Client {
    let mut client = gateway.client();
    client.send("GET /tunnel HTTP/1.1\r\nhost: h\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n");
    assert_eq!(client.response().status, 101);
    client
}

fn one(driver: Driver) -> (Origin, Config, Gateway) {
    let origin = Origin::echo("v1");
    let config = Config::new().service("v1", &[origin.address()]);
    let gateway = Gateway::start(driver, &config);
    (origin, config, gateway)
}

#[test]
fn a_hundred_reloads_under_load_lose_nothing() {
    on_both_drivers(|driver| {
        let (v1, v2, echoing) = (Origin::echo("v1"), Origin::echo("v2"), tunnelling());
        let config = Config::new()
            .service("v1", &[v1.address()])
            .service("v2", &[v2.address()])
            .service("tunnel", &[echoing.address()]);
        let gateway = Run::on(driver)
            .workers(2)
            .start(&config.clone().routes(&split(100, 0)));
        let mut open = tunnel(&gateway);
        let load = Load::start(gateway.address(), 4, 2);
        for turn in 1..=100 {
            let (routes, backend) = if turn % 2 == 0 {
                (split(100, 0), "v1")
            } else {
                (split(0, 100), "v2")
            };
            gateway.reload(&config.clone().routes(&routes));
            assert_eq!(
                gateway.get("h", "/").backend(),
                backend,
                "the new weights count at once"
            );
            let message = format!("turn{turn:4}");
            open.send(&message);
            assert_eq!(open.take(8), message.as_bytes(), "the tunnel is open");
            load.wait_for(10);
        }
        let report = load.finish_without_loss();
        assert_eq!(report.closes, 0, "no kept connection was ended");
        assert!(
            report.by_backend["v1"] > 0 && report.by_backend["v2"] > 0,
            "{:?}",
            report.by_backend
        );
        assert_eq!(gateway.reloads("rejected"), 0.0);
    });
}

#[test]
fn a_bad_configuration_changes_nothing_and_is_seen() {
    on_both_drivers(|driver| {
        let (_origin, config, gateway) = one(driver);
        let mut kept = gateway.client();
        assert_eq!(kept.get("h", "/").backend(), "v1");
        let good = gateway.yaml(&config);
        for (turn, bad) in [
            good.replace("service: v1", "service: v9"),
            format!("{good}nonsense: true\n"),
            good.replace("endpoints", "endpoint"),
            "listeners: [".to_owned(),
            String::new(),
        ]
        .iter()
        .enumerate()
        {
            gateway.write(bad);
            harness::eventually("a rejected reload", || {
                (gateway.reloads("rejected") > turn as f64).then_some(())
            });
            assert_eq!(kept.get("h", "/").backend(), "v1", "{bad}");
            assert_eq!(gateway.get("h", "/").backend(), "v1", "{bad}");
        }
        gateway.wait_stderr("sluice.yaml:");
        let shown = gateway.admin("GET", "/config").text();
        assert!(shown.contains("sluice.yaml"), "the error and its place: {shown}");
        let before = gateway.reloads("applied");
        gateway.reload(&config.clone().listener("# changed").routes(
            "\n- { name: all, rules: [{ filters: [{ responseHeaders: { set: { x-new: '1' } } }], backends: [{ service: v1 }] }] }",
        ));
        assert!(gateway.reloads("applied") > before);
        assert_eq!(
            kept.get("h", "/").header("x-new"),
            Some("1"),
            "and a good one goes live again"
        );
    });
}

fn answering(text: &str) -> Config {
    Config::new().routes(&format!(
        "\n- {{ name: all, rules: [{{ filters: [{{ direct: {{ status: 200, body: {text} }} }}] }}] }}"
    ))
}

#[test]
fn a_file_written_in_place_is_noticed() {
    on_both_drivers(|driver| {
        let gateway = Gateway::start(driver, &answering("one"));
        let before = gateway.reloads("applied");
        gateway.write(&gateway.yaml(&answering("two")));
        gateway.wait_applied(before);
        assert_eq!(gateway.get("h", "/").text(), "two");
    });
}

#[test]
fn a_swapped_folder_of_links_is_noticed() {
    // What a Kubernetes ConfigMap volume looks like: `..data` is swapped for a link to a new folder.
    fn publish(folder: &Path, version: &str, yaml: &str) {
        fs::create_dir(folder.join(version)).unwrap();
        fs::write(folder.join(version).join("sluice.yaml"), yaml).unwrap();
        symlink(version, folder.join("..data_tmp")).unwrap();
        fs::rename(folder.join("..data_tmp"), folder.join("..data")).unwrap();
    }
    on_both_drivers(|driver| {
        let folder = tempfile::tempdir().unwrap();
        let ports = Ports::free();
        publish(folder.path(), "..2026_01", &answering("one").yaml(&ports));
        symlink("..data/sluice.yaml", folder.path().join("sluice.yaml")).unwrap();
        let gateway = Run::on(driver).start_in(folder, ports);
        assert_eq!(gateway.get("h", "/").text(), "one");
        for (version, text) in [("..2026_02", "two"), ("..2026_03", "three")] {
            let before = gateway.reloads("applied");
            publish(gateway.folder(), version, &gateway.yaml(&answering(text)));
            gateway.wait_applied(before);
            assert_eq!(gateway.get("h", "/").text(), text);
        }
    });
}

#[test]
fn several_files_are_one_configuration() {
    on_both_drivers(|driver| {
        let (_origin, config, gateway) = one(driver);
        let before = gateway.reloads("applied");
        fs::write(
            gateway.folder().join("extra.yaml"),
            "routes:\n- { name: extra, hosts: [extra.example], rules: [{ filters: [{ direct: { status: 200, body: extra } }] }] }\n",
        )
        .unwrap();
        gateway.wait_applied(before);
        assert_eq!(gateway.get("extra.example", "/").text(), "extra");
        assert_eq!(gateway.get("h", "/").backend(), "v1");
        let before = gateway.reloads("applied");
        fs::remove_file(gateway.folder().join("extra.yaml")).unwrap();
        gateway.wait_applied(before);
        assert_eq!(gateway.get("extra.example", "/").backend(), "v1");
        drop(config);
    });
}

#[test]
fn a_hangup_reloads_and_says_when_nothing_changed() {
    on_both_drivers(|driver| {
        let (_origin, _config, gateway) = one(driver);
        let before = gateway.reloads("unchanged");
        gateway.signal("HUP");
        harness::eventually("a reload without a change", || {
            (gateway.reloads("unchanged") > before).then_some(())
        });
        assert_eq!(gateway.get("h", "/").backend(), "v1");
    });
}

#[test]
fn listeners_come_and_go() {
    on_both_drivers(|driver| {
        let (origin, config, gateway) = one(driver);
        let mut kept = gateway.client();
        assert_eq!(kept.get("h", "/").status, 200);
        let side = Port::free();
        gateway.reload(&config.clone().add_listener("side", side.address()));
        let mut beside = Client::connect(side.address());
        assert_eq!(beside.get("h", "/").backend(), "v1");
        gateway.reload(&config);
        harness::eventually("the end of the removed listener", || {
            Client::try_connect(side.address()).err()
        });
        // A connection of it may have one more answer, which says that it ends; or it has ended.
        if beside.try_send("GET / HTTP/1.1\r\nhost: h\r\n\r\n")
            && let Ok(response) = beside.try_response("GET")
        {
            assert!(response.status == 200 && response.closes(), "{response:?}");
        }
        assert_eq!(
            kept.get("h", "/").status,
            200,
            "the other listener keeps its connections"
        );
        gateway.reload(&config.clone().add_listener("side", side.address()));
        assert_eq!(
            Client::connect(side.address()).get("h", "/").backend(),
            "v1",
            "and it can come back"
        );
        drop(origin);
    });
}

#[test]
fn a_taken_port_rejects_the_whole_reload() {
    on_both_drivers(|driver| {
        let (_origin, config, gateway) = one(driver);
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let clash = config
            .clone()
            .add_listener("side", taken.local_addr().unwrap())
            .routes(
                "\n- { name: all, rules: [{ filters: [{ direct: { status: 200, body: 'not this' } }] }] }",
            );
        gateway.write(&gateway.yaml(&clash));
        harness::eventually("a rejected reload", || {
            (gateway.reloads("rejected") > 0.0).then_some(())
        });
        assert_eq!(gateway.get("h", "/").backend(), "v1");
        let clash = gateway.wait_stderr(&taken.local_addr().unwrap().to_string());
        assert!(clash.contains("sluice.yaml:"), "and where it is written: {clash}");
        drop(taken);
        let before = gateway.reloads("applied");
        gateway.signal("HUP");
        gateway.wait_applied(before);
        assert_eq!(gateway.get("h", "/").text(), "not this");
    });
}

#[test]
fn a_storm_of_changes_is_coalesced() {
    on_both_drivers(|driver| {
        let gateway = Gateway::start(driver, &answering("start"));
        for turn in 0..200 {
            gateway.write(&gateway.yaml(&answering(&format!("turn{turn}"))));
        }
        harness::eventually("the last of the storm", || {
            (gateway.get("h", "/").text() == "turn199").then_some(())
        });
        let reloads = ["applied", "rejected", "unchanged"].map(|result| gateway.reloads(result));
        assert!(reloads.iter().sum::<f64>() < 50.0, "{reloads:?} of 200 changes");
    });
}

#[test]
fn a_request_ends_on_the_configuration_it_began_with() {
    on_both_drivers(|driver| {
        let (go, wait) = std::sync::mpsc::channel::<()>();
        let wait = std::sync::Mutex::new(wait);
        let slow = Origin::serving(move |mut connection| {
            connection.request();
            wait.lock().unwrap().recv().ok();
            connection.send(ok("old"));
        });
        let routes = "
- name: all
  rules:
  - { filters: [{ responseHeaders: { set: { x-of: old } } }], backends: [{ service: slow }] }
";
        let gateway = Gateway::start(
            driver,
            &Config::new().service("slow", &[slow.address()]).routes(routes),
        );
        let mut client = gateway.client();
        client.send_get("h", "/");
        slow.wait_until("the request", |seen| seen.requests.len() == 1);
        gateway.reload(&answering("new"));
        go.send(()).unwrap();
        let response = client.response();
        assert_eq!(
            (response.text().as_str(), response.header("x-of")),
            ("old", Some("old"))
        );
        assert_eq!(client.get("h", "/").text(), "new");
    });
}

#[test]
fn endpoints_that_stay_keep_their_connections() {
    on_both_drivers(|driver| {
        let (origin, config, gateway) = one(driver);
        for turn in 0..5 {
            assert_eq!(gateway.get("h", "/").backend(), "v1");
            gateway.reload(&config.clone().routes(&format!(
                "\n- {{ name: all, rules: [{{ name: turn-{turn}, backends: [{{ service: v1 }}] }}] }}"
            )));
        }
        assert_eq!(origin.connections(), 1);
    });
}
