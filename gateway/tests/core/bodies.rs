//! Bodies and interim answers, both ways, in every framing HTTP/1 has (RFC 9112 6.3, 7; RFC 9110 10.1.1, 15.2).

use crate::harness::{
    self, Config, Driver, Gateway, Origin, checksum, message::chunked, on_both_drivers, pattern,
};

fn echo(driver: Driver) -> (Origin, Gateway) {
    let origin = Origin::echo("v1");
    let gateway = Gateway::start(driver, &Config::new().service("v1", &[origin.address()]));
    (origin, gateway)
}

fn answering(driver: Driver, answer: &'static str) -> (Origin, Gateway) {
    let origin = Origin::answering(move |_| answer.as_bytes().to_vec());
    let gateway = Gateway::start(driver, &Config::new().service("v1", &[origin.address()]));
    (origin, gateway)
}

#[test]
fn request_bodies_arrive_whole_in_either_framing() {
    on_both_drivers(|driver| {
        let (origin, gateway) = echo(driver);
        let mut client = gateway.client();
        for length in [0, 1, 4095, 4096, 65535, 65536, 65537, 300_000] {
            let body = pattern(length);
            client.send(format!(
                "POST /cl HTTP/1.1\r\nhost: h\r\ncontent-length: {length}\r\n\r\n"
            ));
            client.send(&body);
            assert_eq!(
                checksum(&client.response().seen().body),
                checksum(&body),
                "{length} by length"
            );
            client.send("POST /te HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\n");
            let pieces: Vec<&[u8]> = body.chunks(10_007).collect();
            client.send(chunked(&pieces));
            assert_eq!(
                checksum(&client.response().seen().body),
                checksum(&body),
                "{length} in chunks"
            );
        }
        for request in origin.requests() {
            let by_length = request.header("content-length").is_some();
            assert_eq!(by_length, request.target() == "/cl", "{request:?}");
        }
    });
}

#[test]
fn sixteen_mebibytes_go_up_and_come_down_unchanged() {
    on_both_drivers(|driver| {
        let (_origin, gateway) = echo(driver);
        let body = pattern(16 << 20);
        let mut client = gateway.client();
        client.send(format!(
            "PUT /big HTTP/1.1\r\nhost: h\r\ncontent-length: {}\r\n\r\n",
            body.len()
        ));
        client.send(&body);
        assert_eq!(checksum(&client.response().seen().body), checksum(&body));
        client.send("PUT /big HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\n");
        client.send(chunked(&body.chunks(100_000).collect::<Vec<_>>()));
        assert_eq!(checksum(&client.response().seen().body), checksum(&body));
    });
}

#[test]
fn trailers_pass_both_ways() {
    on_both_drivers(|driver| {
        let answer = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ntrailer: x-sum\r\n\r\n2\r\nok\r\n0\r\nx-sum: 7\r\n\r\n";
        let (origin, gateway) = answering(driver, answer);
        let response = gateway.ask(
            "POST / HTTP/1.1\r\nhost: h\r\nte: trailers\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nx-check: 9\r\n\r\n",
        );
        assert_eq!(
            (response.text().as_str(), response.trailer("x-sum")),
            ("ok", vec!["7"])
        );
        let request = &origin.requests()[0];
        assert_eq!(request.body, b"abc");
        assert_eq!(request.trailers, [("x-check".to_owned(), "9".to_owned())]);
    });
}

#[test]
fn an_origin_that_ends_its_body_by_closing_is_framed_for_the_client() {
    on_both_drivers(|driver| {
        let origin = Origin::serving(|mut connection| {
            connection.request();
            connection.send("HTTP/1.1 200 OK\r\n\r\n");
            connection.send(pattern(200_000));
        });
        let gateway = Gateway::start(driver, &Config::new().service("v1", &[origin.address()]));
        let mut client = gateway.client();
        for _ in 0..2 {
            let response = client.get("h", "/");
            assert_eq!(response.header("transfer-encoding"), Some("chunked"));
            assert_eq!(checksum(&response.body), checksum(&pattern(200_000)));
        }
    });
}

#[test]
fn an_http_1_0_client_gets_a_body_that_ends_with_the_connection() {
    on_both_drivers(|driver| {
        let answer = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n3\r\nay!\r\n0\r\n\r\n";
        let (origin, gateway) = answering(driver, answer);
        let mut client = gateway.client();
        client.send("GET / HTTP/1.0\r\nhost: h\r\n\r\n");
        let response = client.response();
        assert_eq!((response.status, response.text().as_str()), (200, "okay!"));
        assert_eq!(response.header("transfer-encoding"), None);
        client.expect_close();
        assert!(origin.requests()[0].head.start.ends_with("HTTP/1.1"));
    });
}

#[test]
fn an_http_1_0_client_keeps_its_connection_only_when_it_asks() {
    on_both_drivers(|driver| {
        let (_origin, gateway) = echo(driver);
        let mut client = gateway.client();
        client.send("GET / HTTP/1.0\r\nhost: h\r\n\r\n");
        assert_eq!(client.response().status, 200);
        client.expect_close();
        let mut client = gateway.client();
        client.send("GET / HTTP/1.0\r\nhost: h\r\nconnection: keep-alive\r\n\r\n");
        let response = client.response();
        assert_eq!(response.status, 200);
        if response
            .headers("connection")
            .iter()
            .any(|value| value.eq_ignore_ascii_case("keep-alive"))
        {
            client.send("GET / HTTP/1.0\r\nhost: h\r\n\r\n");
            assert_eq!(client.response().status, 200);
        }
        client.expect_close();
    });
}

#[test]
fn an_http_1_0_client_without_host_is_routed_as_hostless() {
    on_both_drivers(|driver| {
        let (origin, gateway) = echo(driver);
        let response = gateway.ask("GET / HTTP/1.0\r\n\r\n");
        // RFC 9112 3.2 asks a Host of HTTP/1.1 alone; the origin, which gets HTTP/1.1, needs one.
        assert!(matches!(response.status, 200 | 400));
        assert!(origin.seen().unclean.is_empty());
    });
}

#[test]
fn answers_without_a_body_leave_the_connection_in_order() {
    on_both_drivers(|driver| {
        let origin = Origin::answering(|request| {
            let answer = match request.target() {
                "/head" => "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n",
                "/head-chunked" => "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n",
                "/204" => "HTTP/1.1 204 No Content\r\nx-a: 1\r\n\r\n",
                "/304" => "HTTP/1.1 304 Not Modified\r\ncontent-length: 5\r\netag: \"1\"\r\n\r\n",
                "/empty" => "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
                _ => "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello",
            };
            answer.as_bytes().to_vec()
        });
        let gateway = Gateway::start(driver, &Config::new().service("v1", &[origin.address()]));
        let mut client = gateway.client();
        for (method, target, status, length) in [
            ("HEAD", "/head", 200, Some("5")),
            ("HEAD", "/head-chunked", 200, None),
            ("GET", "/204", 204, None),
            ("GET", "/304", 304, Some("5")),
            ("GET", "/empty", 200, Some("0")),
            ("GET", "/full", 200, Some("5")),
        ] {
            client.send(format!("{method} {target} HTTP/1.1\r\nhost: h\r\n\r\n"));
            let response = client.try_response(method).unwrap();
            assert_eq!(
                (response.status, response.header("content-length")),
                (status, length),
                "{target}"
            );
            let text = if target == "/full" { "hello" } else { "" };
            assert_eq!(response.text(), text, "{target}");
        }
        assert_eq!(origin.connections(), 1, "the origin's connection too");
    });
}

#[test]
fn a_client_that_expects_100_is_told_to_go_on() {
    on_both_drivers(|driver| {
        let (_origin, gateway) = echo(driver);
        let mut client = gateway.client();
        for _ in 0..2 {
            client.send("PUT / HTTP/1.1\r\nhost: h\r\nexpect: 100-continue\r\ncontent-length: 4\r\n\r\n");
            assert_eq!(client.head().unwrap().second(), "100");
            client.send("body");
            let response = client.response();
            assert_eq!((response.status, response.seen().body), (200, b"body".to_vec()));
        }
    });
}

#[test]
fn a_body_sent_without_waiting_reaches_an_origin_that_never_says_100() {
    on_both_drivers(|driver| {
        let origin = Origin::serving(|mut connection| {
            let Some(head) = connection.head() else { return };
            assert_eq!(head.value("content-length"), Some("4"));
            let body = connection.take(4).unwrap_or_default();
            connection.send(harness::ok(body));
        });
        let gateway = Gateway::start(driver, &Config::new().service("v1", &[origin.address()]));
        let put = "PUT / HTTP/1.1\r\nhost: h\r\nexpect: 100-continue\r\ncontent-length: 4\r\n\r\nbody";
        assert_eq!(gateway.ask(put).text(), "body");
    });
}

#[test]
fn a_final_answer_may_come_before_the_expected_body() {
    on_both_drivers(|driver| {
        let origin = Origin::serving(|mut connection| {
            while connection.head().is_some() {
                connection.send("HTTP/1.1 403 Forbidden\r\ncontent-length: 2\r\n\r\nno");
            }
        });
        let gateway = Gateway::start(driver, &Config::new().service("v1", &[origin.address()]));
        let mut client = gateway.client();
        client.send("PUT / HTTP/1.1\r\nhost: h\r\nexpect: 100-continue\r\ncontent-length: 40\r\n\r\n");
        let response = client.response();
        assert_eq!((response.status, response.text().as_str()), (403, "no"));
        assert!(response.closes(), "{:?}", response.head);
        // The client may send the body or not: what comes next must not be taken for a request.
        client.try_send("GET /smuggled HTTP/1.1\r\nhost: h\r\n\r\n.....");
        if let Ok(second) = client.try_response("GET") {
            panic!("the body was answered: {second:?}");
        }
        assert!(!String::from_utf8_lossy(&origin.bytes()).contains("GET /smuggled"));
    });
}

#[test]
fn an_early_answer_reaches_a_client_that_goes_on_sending() {
    on_both_drivers(|driver| {
        let origin = Origin::serving(|mut connection| {
            if connection.head().is_some() {
                connection.send("HTTP/1.1 413 Content Too Large\r\ncontent-length: 5\r\n\r\nlarge");
            }
        });
        let gateway = Gateway::start(driver, &Config::new().service("v1", &[origin.address()]));
        let body = pattern(4 << 20);
        for _ in 0..5 {
            let mut client = gateway.client();
            client.send(format!(
                "PUT / HTTP/1.1\r\nhost: h\r\ncontent-length: {}\r\n\r\n",
                body.len()
            ));
            // The gateway may close before it has all.
            client.try_send(&body);
            let response = client.response();
            assert_eq!((response.status, response.text().as_str()), (413, "large"));
        }
    });
}

#[test]
fn a_body_that_follows_an_early_answer_is_never_a_request() {
    on_both_drivers(|driver| {
        let config = Config::new().routes(
            "
- name: all
  rules:
  - { matches: [{ path: { exact: /denied } }], filters: [{ direct: { status: 403, body: 'no' } }] }
  - { filters: [{ direct: { status: 200, body: 'next' } }] }
",
        );
        let gateway = Gateway::start(driver, &config);
        for framing in ["content-length: 42", "transfer-encoding: chunked"] {
            let inner = "GET /smuggled HTTP/1.1\r\nhost: h\r\nx-a: 1\r\n\r\n";
            let body = if framing.starts_with('c') {
                format!("{inner:.42}")
            } else {
                format!("{:x}\r\n{inner}\r\n0\r\n\r\n", inner.len())
            };
            let mut client = gateway.client();
            client.send(format!("POST /denied HTTP/1.1\r\nhost: h\r\n{framing}\r\n\r\n"));
            client.try_send(body);
            assert_eq!(client.response().status, 403);
            // Either the body is read and dropped and the next request served, or the connection ends.
            client.try_send("GET /next HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n");
            if let Ok(response) = client.try_response("GET") {
                assert_eq!(
                    (response.status, response.text().as_str()),
                    (200, "next"),
                    "{framing}"
                );
                client.expect_close();
            }
            assert!(
                !gateway.log_lines().iter().any(|line| line.contains("/smuggled")),
                "{framing}"
            );
        }
    });
}

#[test]
fn interim_answers_pass_to_clients_that_know_them() {
    on_both_drivers(|driver| {
        let answer = "HTTP/1.1 103 Early Hints\r\nlink: </a.css>\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
        let (_origin, gateway) = answering(driver, answer);
        let response = gateway.get("h", "/");
        assert_eq!((response.status, response.text().as_str()), (200, "ok"));
        let hints: Vec<_> = response
            .interim
            .iter()
            .map(|head| (head.second(), head.value("link")))
            .collect();
        assert_eq!(hints, [("103", Some("</a.css>"))]);
        let old = gateway.ask("GET / HTTP/1.0\r\nhost: h\r\n\r\n");
        assert_eq!((old.status, old.interim.len()), (200, 0), "HTTP/1.0 knows no 1xx");
    });
}
