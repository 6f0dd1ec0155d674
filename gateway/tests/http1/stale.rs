//! Pooled upstream connections that end as they are used again: replayed on a new one where that is safe
//! (RFC 9112 9.3.1), and never where the origin may have acted.

use crate::harness::{Config, Gateway, Origin, ok, on_both_drivers};

/// Answers one request on each connection; ends it when the next one has come.
fn closing_on_reuse() -> Origin {
    Origin::serving(|mut connection| {
        if connection.request().is_some() {
            connection.send(ok("well"));
            connection.request();
        }
    })
}

#[test]
fn a_connection_closed_while_idle_costs_no_request() {
    on_both_drivers(|driver| {
        let origin = Origin::serving(|mut connection| {
            connection.request();
            connection.send(ok("well"));
        });
        let gateway = Gateway::start(driver, &Config::new().service("v1", &[origin.address()]));
        let mut client = gateway.client();
        for _ in 0..200 {
            assert_eq!(client.get("h", "/").text(), "well");
        }
    });
}

#[test]
fn an_idempotent_request_is_replayed_when_the_connection_was_stale() {
    on_both_drivers(|driver| {
        let origin = closing_on_reuse();
        let gateway = Gateway::start(driver, &Config::new().service("v1", &[origin.address()]));
        let mut client = gateway.client();
        for turn in 0..50 {
            assert_eq!(client.get("h", "/").status, 200, "turn {turn}");
            client.send("PUT / HTTP/1.1\r\nhost: h\r\ncontent-length: 4\r\n\r\nbody");
            assert_eq!(client.response().status, 200, "turn {turn}");
        }
    });
}

#[test]
fn a_post_that_may_have_been_acted_on_is_not_replayed() {
    on_both_drivers(|driver| {
        let origin = closing_on_reuse();
        let gateway = Gateway::start(driver, &Config::new().service("v1", &[origin.address()]));
        let mut client = gateway.client();
        assert_eq!(client.get("h", "/").status, 200);
        client.send("POST /once HTTP/1.1\r\nhost: h\r\ncontent-length: 4\r\n\r\nbody");
        assert_eq!(client.response().status, 502);
        let posts = origin
            .requests()
            .iter()
            .filter(|request| request.target() == "/once")
            .count();
        assert_eq!(posts, 1);
    });
}

#[test]
fn a_stale_connection_is_replayed_once_not_for_ever() {
    on_both_drivers(|driver| {
        let origin = Origin::serving(|mut connection| {
            let first = connection.request();
            if connection.index == 0 && first.is_some() {
                connection.send(ok("well"));
                connection.request();
            }
        });
        let gateway = Gateway::start(driver, &Config::new().service("v1", &[origin.address()]));
        let mut client = gateway.client();
        assert_eq!(client.get("h", "/first").status, 200);
        assert_eq!(client.get("h", "/second").status, 502);
        let tries = origin
            .requests()
            .iter()
            .filter(|request| request.target() == "/second")
            .count();
        assert_eq!(tries, 2, "on the stale connection and on a new one");
    });
}
