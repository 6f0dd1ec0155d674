//! Several requests on one connection, sent without waiting: answered in order, each whole (RFC 9112 9.3.2).

use crate::harness::{Config, Gateway, Origin, on_both_drivers};

#[test]
fn a_burst_is_answered_in_order() {
    on_both_drivers(|driver| {
        let origin = Origin::echo("v1");
        let gateway = Gateway::start(driver, &Config::new().service("v1", &[origin.address()]));
        let mut client = gateway.client();
        let burst: String = (0..200)
            .map(|n| format!("GET /{n} HTTP/1.1\r\nhost: h\r\n\r\n"))
            .collect();
        client.send(burst);
        for n in 0..200 {
            assert_eq!(client.response().seen().target(), format!("/{n}"));
        }
    });
}

#[test]
fn requests_with_and_without_bodies_keep_apart() {
    on_both_drivers(|driver| {
        let origin = Origin::echo("v1");
        let gateway = Gateway::start(driver, &Config::new().service("v1", &[origin.address()]));
        let mut client = gateway.client();
        client.send(
            "POST /a HTTP/1.1\r\nhost: h\r\ncontent-length: 5\r\n\r\nGET /\
             HEAD /b HTTP/1.1\r\nhost: h\r\n\r\n\
             POST /c HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\n5\r\nPOST \r\n0\r\n\r\n\
             \r\nGET /d HTTP/1.1\r\nhost: h\r\n\r\n\
             GET /nowhere HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n\
             GET /never HTTP/1.1\r\nhost: h\r\n\r\n",
        );
        for (method, target, body) in [
            ("POST", "/a", "GET /"),
            ("HEAD", "/b", ""),
            ("POST", "/c", "POST "),
            ("GET", "/d", ""),
        ] {
            let response = client.try_response(method).unwrap();
            assert_eq!(response.status, 200);
            if method != "HEAD" {
                let seen = response.seen();
                assert_eq!((seen.target(), seen.body.as_slice()), (target, body.as_bytes()));
            }
        }
        let last = client.response();
        assert_eq!((last.seen().target(), last.closes()), ("/nowhere", true));
        client.expect_close();
        assert!(!String::from_utf8_lossy(&origin.bytes()).contains("/never"));
    });
}

#[test]
fn a_request_may_be_cut_anywhere_on_its_way() {
    on_both_drivers(|driver| {
        let origin = Origin::echo("v1");
        let gateway = Gateway::start(driver, &Config::new().service("v1", &[origin.address()]));
        let mut client = gateway.client();
        let two = "POST /a HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n10\r\n0123456789abcdef\r\n\
                   0\r\nx-t: 1\r\n\r\nPUT /b HTTP/1.1\r\nhost: h\r\ncontent-length: 3\r\n\r\nxyz";
        for byte in two.as_bytes() {
            client.send([*byte]); // one segment each: the socket does not delay
        }
        assert_eq!(client.response().seen().body, b"abc0123456789abcdef");
        assert_eq!(client.response().seen().body, b"xyz");
        for split in 1..two.len() {
            client.send(&two[..split]);
            client.send(&two[split..]);
            assert_eq!(
                client.response().seen().body,
                b"abc0123456789abcdef",
                "cut at {split}"
            );
            assert_eq!(client.response().seen().body, b"xyz", "cut at {split}");
        }
        assert!(origin.seen().unclean.is_empty());
    });
}

#[test]
fn an_answer_may_be_cut_anywhere_on_its_way() {
    on_both_drivers(|driver| {
        let origin = Origin::serving(|mut connection| {
            while connection.request().is_some() {
                let answer = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\na;x=y\r\n0123456789\r\n\
                              0\r\nx-t: 1\r\n\r\n";
                for byte in answer.as_bytes() {
                    connection.send([*byte]);
                }
            }
        });
        let gateway = Gateway::start(driver, &Config::new().service("v1", &[origin.address()]));
        let mut client = gateway.client();
        for _ in 0..5 {
            let response = client.get("h", "/");
            assert_eq!(
                (response.text().as_str(), response.trailer("x-t")),
                ("abc0123456789", vec!["1"])
            );
        }
        assert_eq!(origin.connections(), 1);
    });
}

#[test]
fn a_client_that_ends_its_side_still_gets_every_answer() {
    on_both_drivers(|driver| {
        let origin = Origin::echo("v1");
        let gateway = Gateway::start(driver, &Config::new().service("v1", &[origin.address()]));
        let mut client = gateway.client();
        client.send("GET /a HTTP/1.1\r\nhost: h\r\n\r\nGET /b HTTP/1.1\r\nhost: h\r\n\r\n");
        client.finish();
        assert_eq!(client.response().seen().target(), "/a");
        assert_eq!(client.response().seen().target(), "/b");
        client.expect_close();
    });
}

#[test]
fn upstream_connections_are_kept_and_used_again() {
    on_both_drivers(|driver| {
        let origin = Origin::echo("v1");
        let gateway = Gateway::start(driver, &Config::new().service("v1", &[origin.address()]));
        for _ in 0..20 {
            assert_eq!(gateway.get("h", "/").status, 200);
        }
        assert_eq!(origin.connections(), 1, "twenty clients, one after the other");
        let reused = gateway
            .metrics()
            .sum("sluice_upstream_pool_reuse_total", &[("service", "v1")]);
        assert_eq!(reused, 19.0);
    });
}
