//! Bounds on waiting: what each one does when it passes. Short ones are set and their outcome awaited; no test
//! measures how long that took.

use std::net::SocketAddr;

use crate::harness::{self, Broken, Config, Gateway, Origin, on_both_drivers};
use socket2::{Domain, Socket, Type};

/// Answers `/slow` never, everything else at once.
fn hanging() -> Origin {
    Origin::serving(|mut connection| {
        while let Some(request) = connection.request() {
            match request.target() {
                "/slow" => drop(connection.wait_close()),
                "/half" => {
                    connection.send("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhello");
                    connection.wait_close();
                }
                _ => drop(connection.send(harness::ok("well"))),
            }
        }
    })
}

fn rule(timeouts: &str) -> String {
    format!("\n- name: all\n  rules:\n  - backends: [{{ service: v1 }}]\n    timeouts: {{ {timeouts} }}\n")
}

#[test]
fn a_head_that_does_not_end_is_408_and_a_silent_connection_just_ends() {
    on_both_drivers(|driver| {
        let origin = hanging();
        let config = Config::new()
            .service("v1", &[origin.address()])
            .listener("timeouts: { head: 1s }");
        let gateway = Gateway::start(driver, &config);
        let mut half = gateway.client();
        half.send("GET / HTTP/1.1\r\nhost: h\r\nx-a");
        let mut silent = gateway.client();
        assert_eq!(half.response().status, 408);
        half.expect_close();
        silent.expect_close();
        assert!(origin.bytes().is_empty());
    });
}

#[test]
fn a_connection_without_a_further_request_ends() {
    on_both_drivers(|driver| {
        let origin = hanging();
        let config = Config::new()
            .service("v1", &[origin.address()])
            .listener("timeouts: { idle: 300ms }");
        let gateway = Gateway::start(driver, &config);
        let mut client = gateway.client();
        assert_eq!(client.get("h", "/").text(), "well");
        client.expect_close();
    });
}

#[test]
fn an_origin_that_does_not_answer_in_time_is_504() {
    on_both_drivers(|driver| {
        let origin = hanging();
        for (timeouts, reason) in [
            ("backend: 1s", "backend_timeout"),
            ("request: 1s", "request_timeout"),
        ] {
            let config = Config::new()
                .service("v1", &[origin.address()])
                .routes(&rule(timeouts));
            let gateway = Gateway::start(driver, &config);
            let mut client = gateway.client();
            assert_eq!(client.get("h", "/slow").status, 504, "{timeouts}");
            assert_eq!(gateway.logged("/slow")["reason"], reason);
            assert_eq!(client.get("h", "/").text(), "well", "the connection goes on");
        }
        origin.wait_until("the end of the slow connections", |seen| {
            seen.requests
                .iter()
                .filter(|request| request.target() == "/slow")
                .count()
                == 2
        });
    });
}

#[test]
fn the_bound_on_a_request_holds_over_its_retries() {
    on_both_drivers(|driver| {
        let origin = hanging();
        let routes = "
- name: all
  rules:
  - backends: [{ service: v1 }]
    timeouts: { request: 500ms, backend: 200ms }
    retry:
      attempts: 10
      on: [timeout]
      backoff: { base: 1ms, max: 1ms }
      budget: { percent: 100, minPerSecond: 100 }
";
        let gateway = Gateway::start(
            driver,
            &Config::new().service("v1", &[origin.address()]).routes(routes),
        );
        assert_eq!(gateway.get("h", "/slow").status, 504);
        assert_eq!(gateway.logged("/slow")["reason"], "request_timeout");
        assert!(
            origin.requests().len() < 11,
            "all ten retries within the bound of two"
        );
    });
}

#[test]
fn a_body_that_stops_is_cut_off() {
    on_both_drivers(|driver| {
        let origin = hanging();
        let config = Config::new()
            .service("v1", &[origin.address()])
            .listener("timeouts: { bodyIdle: 300ms }");
        let gateway = Gateway::start(driver, &config);
        let mut client = gateway.client();
        client.send_get("h", "/half");
        assert!(matches!(
            client.try_response("GET"),
            Err(Broken::Cut(_) | Broken::Closed)
        ));
        assert_eq!(gateway.logged("/half")["reason"], "backend_timeout");

        let mut uploader = gateway.client();
        uploader.send("PUT /upload HTTP/1.1\r\nhost: h\r\ncontent-length: 10\r\n\r\nhello");
        assert_eq!(uploader.response().status, 408);
        uploader.expect_close();
        origin.wait_until("a broken upload", |seen| !seen.unclean.is_empty());
    });
}

#[test]
fn the_bound_on_a_request_cuts_an_answer_that_has_begun() {
    on_both_drivers(|driver| {
        let origin = hanging();
        let config = Config::new()
            .service("v1", &[origin.address()])
            .routes(&rule("request: 1s"));
        let gateway = Gateway::start(driver, &config);
        let mut client = gateway.client();
        client.send_get("h", "/half");
        assert!(matches!(
            client.try_response("GET"),
            Err(Broken::Cut(_) | Broken::Closed)
        ));
        assert_eq!(gateway.logged("/half")["reason"], "request_timeout");
    });
}

#[test]
fn a_connect_that_hangs_is_503() {
    // A listener whose queue is full answers no further SYN.
    let deaf = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    deaf.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    deaf.listen(0).unwrap();
    let address = deaf.local_addr().unwrap().as_socket().unwrap();
    let _filling: Vec<_> = (0..4)
        .map(|_| {
            let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
            socket.set_nonblocking(true).unwrap();
            socket.connect(&address.into()).ok();
            socket
        })
        .collect();
    on_both_drivers(|driver| {
        let config = Config::new().service_with("v1", &[address], "timeouts: { connect: 300ms }");
        let gateway = Gateway::start(driver, &config);
        assert_eq!(gateway.get("h", "/deaf").status, 503);
        assert_eq!(gateway.logged("/deaf")["reason"], "connect_failed");
    });
}

#[test]
fn a_tunnel_without_a_byte_ends() {
    on_both_drivers(|driver| {
        let origin = Origin::serving(|mut connection| {
            connection.head();
            connection.send("HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n");
            connection.wait_close();
        });
        let config = Config::new()
            .service("v1", &[origin.address()])
            .listener("timeouts: { tunnelIdle: 300ms }");
        let gateway = Gateway::start(driver, &config);
        let mut client = gateway.client();
        client.send("GET / HTTP/1.1\r\nhost: h\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n");
        assert_eq!(client.response().status, 101);
        client.expect_close();
        origin.wait_until("the end of the tunnel", |seen| seen.open == 0);
    });
}

#[test]
fn an_idle_upstream_connection_is_closed() {
    on_both_drivers(|driver| {
        let origin = hanging();
        let config = Config::new().service_with("v1", &[origin.address()], "pool: { idleTimeout: 300ms }");
        let gateway = Gateway::start(driver, &config);
        assert_eq!(gateway.get("h", "/").text(), "well");
        origin.wait_until("the end of the idle connection", |seen| {
            seen.connections == 1 && seen.open == 0
        });
        assert_eq!(gateway.get("h", "/").text(), "well");
    });
}
