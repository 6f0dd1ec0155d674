//! Memory: what a burst took goes back, and close to the bound less is taken on, until there is room again.

#[path = "support/harness.rs"]
mod harness;

use std::fmt::Write as _;

use harness::{Client, Config, Driver, Gateway, on_both_drivers};

const RESIDENT: &str = "process_resident_memory_bytes";
const PRESSURE: &str = "sluice_memory_pressure";

fn start(driver: Driver, limits: &str) -> Gateway {
    let config = Config::new()
        .routes("\n- { name: all, rules: [{ filters: [{ direct: { status: 200, body: hi } }] }] }")
        .listener("timeouts: { head: 10m }")
        .top(limits);
    Gateway::start(driver, &config)
}

/// A head that never ends, just below the bound on heads: the gateway must hold all of it.
fn endless_head() -> String {
    let mut head = String::from("GET / HTTP/1.1\r\nhost: h\r\n");
    for field in 0..80 {
        write!(head, "x-{field}: {:a<700}\r\n", "").expect("a string takes all");
    }
    head
}

fn resident(gateway: &Gateway) -> f64 {
    gateway.metrics().sum(RESIDENT, &[])
}

#[test]
fn what_a_burst_took_goes_back() {
    on_both_drivers(|driver| {
        let gateway = start(driver, "");
        gateway.wait_metrics("the first look", |metrics| metrics.sum(RESIDENT, &[]) > 0.0);
        let before = resident(&gateway);
        let head = endless_head();
        let hogs: Vec<Client> = (0..600)
            .map(|_| {
                let mut hog = gateway.client();
                hog.send(&head);
                hog
            })
            .collect();
        let taken = 500.0 * head.len() as f64;
        gateway.wait_metrics("the heads in memory", |metrics| {
            metrics.sum(RESIDENT, &[]) > before + taken
        });
        drop(hogs);
        gateway.wait_metrics("the memory back", |metrics| {
            metrics.sum(RESIDENT, &[]) < before + taken / 2.0
        });
    });
}

#[test]
fn close_to_the_bound_less_is_taken_on_and_after_it_all_again() {
    on_both_drivers(|driver| {
        let gateway = start(driver, "limits: { memory: 64MiB }");
        let mut kept: Vec<Client> = (0..2).map(|_| gateway.client()).collect();
        for client in &mut kept {
            let response = client.get("h", "/");
            assert_eq!((response.status, response.closes()), (200, false));
        }
        // Connected before there is none to be had.
        let mut hogs: Vec<Client> = (0..1200).map(|_| gateway.client()).collect();
        let head = endless_head();
        let mut asked_when_tight = false;
        for (turn, hog) in hogs.iter_mut().enumerate() {
            hog.send(&head);
            if turn % 10 > 0 {
                continue;
            }
            let level = gateway.metrics().sum(PRESSURE, &[]);
            if level >= 3.0 {
                break;
            }
            if level >= 1.0 && !asked_when_tight {
                asked_when_tight = true;
                let response = kept[0].get("h", "/tight");
                assert_eq!((response.status, response.closes()), (200, true));
            }
        }
        gateway.wait_metrics("no memory left", |metrics| metrics.sum(PRESSURE, &[]) == 3.0);
        gateway.wait_stderr("memory runs out");
        let refused = kept[1].get("h", "/refused");
        assert_eq!((refused.status, refused.closes()), (503, true));
        assert_eq!(gateway.logged("/refused")["reason"], "overloaded");
        let mut waiting = gateway.client();
        waiting.send_get("h", "/waiting");
        drop(hogs);
        gateway.wait_stderr("there is memory again");
        let response = waiting.response();
        assert_eq!((response.status, response.closes()), (200, false));
    });
}
