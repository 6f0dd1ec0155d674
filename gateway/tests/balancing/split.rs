//! Splits by weight: exact over every window on one worker, and sticky where asked.

use std::collections::HashMap;

use crate::harness::{Config, Gateway, Origin, Run, on_both_drivers};

fn split(stable: u32, canary: u32, options: &str) -> String {
    format!(
        "
- name: all
  rules:
  - name: split
    backends: [{{ service: stable, weight: {stable} }}, {{ service: canary, weight: {canary} }}]
    {options}
"
    )
}

fn two(origins: &[Origin; 2]) -> Config {
    Config::new()
        .service("stable", &[origins[0].address()])
        .service("canary", &[origins[1].address()])
}

#[test]
fn every_window_holds_each_backend_exactly_its_weight() {
    let origins = [Origin::echo("stable"), Origin::echo("canary")];
    let config = two(&origins).routes(&split(90, 10, ""));
    on_both_drivers(|driver| {
        let gateway = Gateway::start(driver, &config);
        let mut client = gateway.client();
        let picks: Vec<bool> = (0..40)
            .map(|_| client.get("h", "/").backend() == "canary")
            .collect();
        for window in picks.windows(10) {
            assert_eq!(window.iter().filter(|canary| **canary).count(), 1, "{picks:?}");
        }
        let metrics = gateway.metrics();
        let picked = |service| {
            metrics.sum(
                "sluice_split_picks_total",
                &[("rule", "split"), ("service", service)],
            )
        };
        assert_eq!((picked("stable"), picked("canary")), (36.0, 4.0));
    });
}

#[test]
fn a_weight_of_zero_gets_nothing_and_all_zero_is_503() {
    let origins = [Origin::echo("stable"), Origin::echo("canary")];
    let config = two(&origins).routes(&split(1, 0, ""));
    on_both_drivers(|driver| {
        let gateway = Gateway::start(driver, &config);
        let mut client = gateway.client();
        assert!((0..20).all(|_| client.get("h", "/").backend() == "stable"));
        gateway.reload(&config.clone().routes(&split(0, 0, "")));
        assert_eq!(client.get("h", "/none").status, 503);
        assert_eq!(gateway.logged("/none")["reason"], "no_endpoint");
    });
}

#[test]
fn every_share_of_a_split_over_several_workers_adds_up() {
    let origins = [Origin::echo("stable"), Origin::echo("canary")];
    let config = two(&origins).routes(&split(3, 1, ""));
    on_both_drivers(|driver| {
        let gateway = Run::on(driver).workers(2).start(&config);
        for _ in 0..40 {
            assert_eq!(gateway.get("h", "/").status, 200);
        }
        let metrics = gateway.metrics();
        let picked = |service| metrics.sum("sluice_split_picks_total", &[("service", service)]);
        assert_eq!(picked("stable") + picked("canary"), 40.0);
        // Each worker is exact for itself: together they are off by less than one round each.
        assert!((picked("canary") - 10.0).abs() <= 2.0, "{}", picked("canary"));
    });
}

fn users_by_backend(gateway: &Gateway, field: impl Fn(usize) -> String) -> HashMap<usize, String> {
    let mut client = gateway.client();
    let mut ask = |user| {
        client.send(format!("GET / HTTP/1.1\r\nhost: h\r\n{}\r\n\r\n", field(user)));
        client.response().backend().to_owned()
    };
    (0..200).map(|user| (user, ask(user))).collect()
}

#[test]
fn sticky_by_header_moves_clients_only_towards_the_raised_backend() {
    let origins = [Origin::echo("stable"), Origin::echo("canary")];
    let sticky = "sticky: { header: x-user }";
    let config = two(&origins).routes(&split(90, 10, sticky));
    on_both_drivers(|driver| {
        let gateway = Gateway::start(driver, &config);
        let field = |user: usize| format!("x-user: user-{user}");
        let before = users_by_backend(&gateway, field);
        assert_eq!(
            before,
            users_by_backend(&gateway, field),
            "the same client, the same backend"
        );
        gateway.reload(&config.clone().routes(&split(50, 50, sticky)));
        let after = users_by_backend(&gateway, field);
        let on_canary =
            |users: &HashMap<usize, String>| users.values().filter(|name| *name == "canary").count();
        assert!(on_canary(&before) < on_canary(&after));
        let moved_back = (0..200).filter(|user| before[user] == "canary" && after[user] == "stable");
        assert_eq!(moved_back.count(), 0, "a raised weight takes no client away");
    });
}

#[test]
fn sticky_by_cookie_holds_and_without_one_the_split_is_exact() {
    let origins = [Origin::echo("stable"), Origin::echo("canary")];
    let config = two(&origins).routes(&split(1, 1, "sticky: { cookie: id }"));
    on_both_drivers(|driver| {
        let gateway = Gateway::start(driver, &config);
        let field = |user: usize| format!("cookie: a=b; id={user}; idx=9");
        let first = users_by_backend(&gateway, field);
        assert_eq!(first, users_by_backend(&gateway, field));
        assert!(first.values().any(|name| name == "canary") && first.values().any(|name| name == "stable"));
        let without = users_by_backend(&gateway, |_| "cookie: idx=9".to_owned());
        assert_eq!(without.values().filter(|name| *name == "canary").count(), 100);
    });
}

#[test]
fn sticky_by_source_address_keeps_one_client_on_one_backend() {
    let origins = [Origin::echo("stable"), Origin::echo("canary")];
    let config = two(&origins)
        .listener("trustedProxies: [127.0.0.1/32]")
        .routes(&split(1, 1, "sticky: { sourceAddress: true }"));
    on_both_drivers(|driver| {
        let gateway = Gateway::start(driver, &config);
        let backend = gateway.get("h", "/").backend().to_owned();
        assert!((0..20).all(|_| gateway.get("h", "/").backend() == backend));
        let behind = users_by_backend(&gateway, |user| format!("x-forwarded-for: 203.0.113.{user}"));
        assert!(
            behind.values().any(|name| *name != backend),
            "the believed address counts behind a proxy"
        );
    });
}

#[test]
fn requests_go_over_the_endpoints_of_a_service_by_their_weights() {
    let origins = [Origin::echo("one"), Origin::echo("two")];
    let addresses = [origins[0].address(), origins[1].address()];
    let config = Config::new().service_with("both", &addresses, "balance: roundRobin");
    on_both_drivers(|driver| {
        let gateway = Gateway::start(driver, &config);
        let mut client = gateway.client();
        let names: Vec<_> = (0..10)
            .map(|_| client.get("h", "/").backend().to_owned())
            .collect();
        assert_eq!(names.iter().filter(|name| *name == "one").count(), 5, "{names:?}");
    });
}
