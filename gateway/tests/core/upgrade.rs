//! Upgrades (WebSocket): a tunnel of bytes after the origin's 101 and not a byte before
//! (RFC 9110 7.8; CVE-2026-2833).

use crate::harness::{
    self, Client, Config, Connection, Driver, Gateway, Origin, checksum, on_both_drivers, pattern,
};

const ASK: &str = "GET /chat HTTP/1.1\r\nhost: h\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\
     sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\nsec-websocket-version: 13\r\n\r\n";
const AGREE: &str = "HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\
     sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

fn tunnelled(driver: Driver, script: impl Fn(Connection) + Send + Sync + 'static) -> (Origin, Gateway) {
    let origin = Origin::serving(script);
    let gateway = Gateway::start(driver, &Config::new().service("v1", &[origin.address()]));
    (origin, gateway)
}

fn upgraded(gateway: &Gateway) -> Client {
    let mut client = gateway.client();
    client.send(ASK);
    let response = client.response();
    assert_eq!(response.status, 101);
    assert!(
        response
            .header("upgrade")
            .is_some_and(|value| value.eq_ignore_ascii_case("websocket"))
    );
    assert!(
        response
            .header("connection")
            .is_some_and(|value| value.eq_ignore_ascii_case("upgrade"))
    );
    assert_eq!(
        response.header("sec-websocket-accept"),
        Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")
    );
    client
}

#[test]
fn bytes_pass_both_ways_until_one_side_ends() {
    on_both_drivers(|driver| {
        let (origin, gateway) = tunnelled(driver, |mut connection| {
            let head = connection.head().unwrap();
            assert_eq!(head.value("upgrade"), Some("websocket"));
            assert!(
                head.value("connection")
                    .is_some_and(|value| value.eq_ignore_ascii_case("upgrade"))
            );
            connection.send([AGREE, "hello"].concat()); // the first bytes right behind the head
            while let Some(bytes) = connection.take(4) {
                connection.send(bytes);
            }
        });
        let mut client = upgraded(&gateway);
        assert_eq!(client.take(5), b"hello");
        for message in ["ping", "GET ", "\0\r\n\u{7f}"] {
            client.send(message);
            assert_eq!(client.take(4), message.as_bytes());
        }
        gateway.wait_metrics("an open tunnel", |metrics| {
            metrics.sum("sluice_tunnels_active", &[]) == 1.0
        });
        client.finish();
        client.expect_close();
        origin.wait_until("the end of the tunnel", |seen| seen.open == 0);
        gateway.wait_metrics("no open tunnel", |metrics| {
            metrics.sum("sluice_tunnels_active", &[]) == 0.0
        });
        assert_eq!(gateway.logged("/chat")["status"], 101);
    });
}

#[test]
fn an_origin_that_ends_the_tunnel_ends_it_for_the_client() {
    on_both_drivers(|driver| {
        let (_origin, gateway) = tunnelled(driver, |mut connection| {
            connection.head();
            connection.send([AGREE, "bye"].concat());
        });
        let mut client = upgraded(&gateway);
        assert_eq!(client.rest(), b"bye");
    });
}

#[test]
fn megabytes_pass_both_ways_at_once() {
    on_both_drivers(|driver| {
        const SIZE: usize = 4 << 20;
        let (_origin, gateway) = tunnelled(driver, |mut connection| {
            connection.head();
            connection.send(AGREE);
            let stream = connection.stream().try_clone().unwrap();
            let sender = std::thread::spawn(move || {
                use std::io::Write;
                (&stream).write_all(&pattern(SIZE)).is_ok()
            });
            let received = connection.take(SIZE).unwrap();
            assert!(sender.join().unwrap());
            connection.send(checksum(&received).to_be_bytes());
            connection.wait_close();
        });
        let mut client = upgraded(&gateway);
        let stream = client.stream().try_clone().unwrap();
        let sender = std::thread::spawn(move || {
            use std::io::Write;
            (&stream).write_all(&pattern(SIZE)).is_ok()
        });
        assert_eq!(checksum(&client.take(SIZE)), checksum(&pattern(SIZE)));
        assert!(sender.join().unwrap());
        assert_eq!(client.take(8), checksum(&pattern(SIZE)).to_be_bytes());
    });
}

#[test]
fn bytes_behind_a_refused_upgrade_are_not_tunnelled() {
    on_both_drivers(|driver| {
        let (origin, gateway) = tunnelled(driver, |mut connection| {
            while connection.head().is_some() {
                connection.send("HTTP/1.1 403 Forbidden\r\ncontent-length: 2\r\n\r\nno");
            }
        });
        let mut client = gateway.client();
        client.send([ASK.as_bytes(), b"\x81\x85tunnelled bytes\r\n\r\n"].concat());
        assert_eq!(client.response().status, 403);
        // They are the next request, and no good one.
        if let Ok(second) = client.try_response("GET") {
            assert_eq!(second.status, 400);
        }
        client.expect_close();
        assert!(!String::from_utf8_lossy(&origin.bytes()).contains("tunnelled"));
    });
}

#[test]
fn a_refused_upgrade_is_an_ordinary_answer() {
    on_both_drivers(|driver| {
        let (_origin, gateway) = tunnelled(driver, |mut connection| {
            while let Some(head) = connection.head() {
                connection.send(harness::ok(head.second()));
            }
        });
        let mut client = gateway.client();
        client.send([ASK, "GET /next HTTP/1.1\r\nhost: h\r\n\r\n"].concat());
        let response = client.response();
        assert_eq!((response.status, response.text().as_str()), (200, "/chat"));
        assert_eq!(response.header("upgrade"), None);
        assert_eq!(client.response().text(), "/next");
    });
}

#[test]
fn bytes_sent_too_early_wait_for_the_101() {
    on_both_drivers(|driver| {
        let (_origin, gateway) = tunnelled(driver, |mut connection| {
            connection.head();
            connection.send(AGREE);
            if let Some(early) = connection.take(5) {
                connection.send(early);
            }
            connection.wait_close();
        });
        let mut client = gateway.client();
        client.send([ASK, "early"].concat());
        assert_eq!(client.response().status, 101);
        assert_eq!(client.take(5), b"early");
    });
}

#[test]
fn an_upgrade_with_a_body_is_not_a_way_around_framing() {
    on_both_drivers(|driver| {
        let (origin, gateway) = tunnelled(driver, |mut connection| {
            while let Some(request) = connection.request() {
                connection.send(harness::ok(&request.body));
            }
        });
        let asked = ASK
            .replace("GET", "POST")
            .replace("\r\n\r\n", "\r\ncontent-length: 4\r\n\r\nbody");
        let response = gateway.ask(asked);
        assert!(matches!(response.status, 200 | 400), "{}", response.status);
        assert!(origin.seen().unclean.is_empty());
    });
}

#[test]
fn upgrade_to_http_2_is_not_offered() {
    on_both_drivers(|driver| {
        let (origin, gateway) = tunnelled(driver, |mut connection| {
            while connection.request().is_some() {
                connection.send(harness::ok("plain"));
            }
        });
        let response = gateway.ask(
            "GET / HTTP/1.1\r\nhost: h\r\nconnection: upgrade, http2-settings\r\nupgrade: h2c\r\n\
             http2-settings: AAMAAABkAARAAAAAAAIAAAAA\r\n\r\n",
        );
        assert_eq!((response.status, response.text().as_str()), (200, "plain"));
        let seen = &origin.requests()[0];
        assert_eq!(
            (seen.header("upgrade"), seen.header("http2-settings")),
            (None, None)
        );
    });
}
