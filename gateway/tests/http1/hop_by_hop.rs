//! Fields that belong to one connection: not passed on, in either direction (RFC 9110 7.6.1).

use crate::harness::{Config, Gateway, Origin, on_both_drivers};

#[test]
fn fields_of_the_connection_are_not_passed_to_the_origin() {
    on_both_drivers(|driver| {
        let origin = Origin::echo("v1");
        let gateway = Gateway::start(driver, &Config::new().service("v1", &[origin.address()]));
        let response = gateway.ask(
            "GET / HTTP/1.1\r\nhost: h\r\nconnection: keep-alive, X-Hop\r\nConnection: x-other\r\nx-hop: 1\r\n\
             X-Other: 1\r\nkeep-alive: timeout=5\r\nproxy-connection: keep-alive\r\nproxy-authorization: Basic eA==\r\n\
             te: trailers\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABkAARAAAAAAAIAAAAA\r\nx-kept: 1\r\n\r\n",
        );
        let seen = response.seen();
        for name in [
            "x-hop",
            "x-other",
            "keep-alive",
            "proxy-connection",
            "proxy-authorization",
            "upgrade",
            "te",
        ] {
            assert_eq!(seen.header(name), None, "{name}: {seen:?}");
        }
        assert_eq!(seen.header("x-kept"), Some("1"));
        assert!(
            !seen
                .headers("connection")
                .iter()
                .any(|value| value.contains("x-")),
            "{seen:?}"
        );
    });
}

#[test]
fn connection_cannot_take_away_what_frames_or_guards_a_request() {
    on_both_drivers(|driver| {
        let origin = Origin::echo("v1");
        let gateway = Gateway::start(driver, &Config::new().service("v1", &[origin.address()]));
        let response = gateway.ask(
            "POST / HTTP/1.1\r\nhost: h\r\nauthorization: Bearer t\r\ncookie: a=b\r\ncontent-length: 4\r\n\
             connection: host, content-length, authorization, cookie, x-forwarded-for\r\n\r\nabcd",
        );
        let seen = response.seen();
        assert_eq!(seen.headers("host"), ["h"]);
        assert_eq!(seen.body, b"abcd");
        assert_eq!(seen.header("authorization"), Some("Bearer t"));
        assert_eq!(seen.header("x-forwarded-for"), Some("127.0.0.1"));
    });
}

#[test]
fn fields_of_the_origins_connection_are_not_passed_to_the_client() {
    on_both_drivers(|driver| {
        let origin = Origin::answering(|_| {
            b"HTTP/1.1 200 OK\r\nconnection: x-hop\r\nx-hop: 1\r\nkeep-alive: timeout=5\r\n\
              proxy-authenticate: Basic\r\nx-kept: 1\r\ncontent-length: 2\r\n\r\nok"
                .to_vec()
        });
        let gateway = Gateway::start(driver, &Config::new().service("v1", &[origin.address()]));
        let mut client = gateway.client();
        for _ in 0..2 {
            let response = client.get("h", "/");
            assert_eq!((response.status, response.text().as_str()), (200, "ok"));
            for name in ["x-hop", "keep-alive"] {
                assert_eq!(response.header(name), None, "{response:?}");
            }
            assert_eq!(response.header("x-kept"), Some("1"));
        }
    });
}

#[test]
fn an_origin_that_closes_does_not_close_the_client() {
    on_both_drivers(|driver| {
        let origin = Origin::serving(|mut connection| {
            connection.request();
            connection.send("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok");
        });
        let gateway = Gateway::start(driver, &Config::new().service("v1", &[origin.address()]));
        let mut client = gateway.client();
        for _ in 0..5 {
            let response = client.get("h", "/");
            assert_eq!((response.status, response.closes()), (200, false));
        }
        assert_eq!(origin.connections(), 5);
    });
}

#[test]
fn an_unknown_expectation_is_refused() {
    on_both_drivers(|driver| {
        let origin = Origin::echo("v1");
        let gateway = Gateway::start(driver, &Config::new().service("v1", &[origin.address()]));
        let response =
            gateway.ask("POST / HTTP/1.1\r\nhost: h\r\nexpect: miracles\r\ncontent-length: 1\r\n\r\nx");
        assert_eq!(response.status, 417);
        assert!(origin.bytes().is_empty());
    });
}
