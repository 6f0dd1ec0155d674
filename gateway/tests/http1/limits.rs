//! Bounds on size and number: what is refused, and that the others are served meanwhile.

use crate::harness::{self, Client, Config, Driver, Gateway, Origin, Run, on_both_drivers};

fn start(driver: Driver, listener: &str) -> (Origin, Gateway) {
    let origin = Origin::echo("v1");
    let gateway = Gateway::start(
        driver,
        &Config::new()
            .service("v1", &[origin.address()])
            .listener(listener),
    );
    (origin, gateway)
}

#[test]
fn heads_are_bounded_before_an_origin_is_touched() {
    on_both_drivers(|driver| {
        let (origin, gateway) = start(driver, "");
        let fields = |count: usize| (0..count).map(|n| format!("x-{n}: 1\r\n")).collect::<String>();
        for (request, status) in [
            (
                format!("GET / HTTP/1.1\r\nhost: h\r\nx-a: {}\r\n\r\n", "a".repeat(70_000)),
                431,
            ),
            (format!("GET / HTTP/1.1\r\nhost: h\r\n{}\r\n", fields(101)), 431),
            (format!("GET / HTTP/1.1\r\nhost: h\r\n{}\r\n", fields(5000)), 431),
            (
                format!("GET /{} HTTP/1.1\r\nhost: h\r\n\r\n", "a".repeat(8200)),
                414,
            ),
            (
                format!("GET /?{} HTTP/1.1\r\nhost: h\r\n\r\n", "a".repeat(100_000)),
                414,
            ),
            (format!("{} / HTTP/1.1\r\nhost: h\r\n\r\n", "A".repeat(65)), 501),
        ] {
            let shown = &request[..60];
            let mut client = gateway.client();
            client.try_send(&request);
            let response = client
                .try_response("GET")
                .unwrap_or_else(|broken| panic!("{shown:?}: {broken:?}"));
            assert_eq!(response.status, status, "{shown:?}");
            client.expect_close();
        }
        assert!(origin.bytes().is_empty());
        let large = format!(
            "GET / HTTP/1.1\r\nhost: h\r\nx-a: {}\r\n{}\r\n",
            "a".repeat(50_000),
            fields(90)
        );
        assert_eq!(gateway.ask(large).status, 200, "within the bounds");
        let long = format!("GET /{} HTTP/1.1\r\nhost: h\r\n\r\n", "a".repeat(8000));
        assert_eq!(gateway.ask(long).status, 200, "within the bounds");
    });
}

#[test]
fn a_head_without_an_end_is_refused_at_the_bound() {
    on_both_drivers(|driver| {
        let (_origin, gateway) = start(driver, "");
        for start in ["GET / HTTP/1.1\r\nhost: h\r\nx-a: ", "GET /", "G"] {
            let mut client = gateway.client();
            client.try_send([start.as_bytes(), &[b'a'; 200_000]].concat());
            if let Ok(response) = client.try_response("GET") {
                assert!(
                    matches!(response.status, 400 | 414 | 431 | 501),
                    "{start:?}: {}",
                    response.status
                );
            }
        }
        assert_eq!(gateway.get("h", "/").status, 200);
    });
}

#[test]
fn the_listener_says_how_much_is_too_much() {
    on_both_drivers(|driver| {
        let (_origin, gateway) = start(
            driver,
            "limits: { headBytes: 1KiB, headFields: 5, targetBytes: 256B, bodyBytes: 1KiB }",
        );
        let head = |length| format!("GET / HTTP/1.1\r\nhost: h\r\nx-a: {}\r\n\r\n", "a".repeat(length));
        assert_eq!(gateway.ask(head(900)).status, 200);
        assert_eq!(gateway.ask(head(1100)).status, 431);
        let many = "GET / HTTP/1.1\r\nhost: h\r\na: 1\r\nb: 1\r\nc: 1\r\nd: 1\r\ne: 1\r\n\r\n";
        assert_eq!(gateway.ask(many).status, 431);
        assert_eq!(gateway.get("h", &format!("/{}", "a".repeat(256))).status, 414);
    });
}

#[test]
fn bodies_over_the_bound_are_413() {
    on_both_drivers(|driver| {
        let (origin, gateway) = start(driver, "limits: { bodyBytes: 1KiB }");
        let put = |length: usize| {
            format!(
                "PUT /{length} HTTP/1.1\r\nhost: h\r\ncontent-length: {length}\r\n\r\n{}",
                "x".repeat(length)
            )
        };
        assert_eq!(gateway.ask(put(1024)).status, 200);
        let mut client = gateway.client();
        client.try_send(put(1025));
        assert_eq!(client.response().status, 413);
        client.expect_close();
        assert_eq!(gateway.logged("/1025")["reason"], "body_too_large");
        assert_eq!(
            origin.requests().len(),
            1,
            "refused before the origin was touched"
        );

        let mut chunked = gateway.client();
        chunked.send("PUT /chunked HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\n");
        chunked.try_send(harness::message::chunked(&[&[b'x'; 1000], &[b'x'; 1000]]));
        assert_eq!(chunked.response().status, 413);
        chunked.expect_close();
        assert_eq!(origin.requests().len(), 1, "never a whole one");

        let mut asking = gateway.client();
        asking.send("PUT / HTTP/1.1\r\nhost: h\r\nexpect: 100-continue\r\ncontent-length: 5000\r\n\r\n");
        let response = asking.response();
        assert_eq!(
            (response.status, response.interim.len()),
            (413, 0),
            "not asked to go on"
        );
        assert!(response.closes(), "{:?}", response.head);
    });
}

#[test]
fn connections_over_the_bound_wait_for_room() {
    on_both_drivers(|driver| {
        let (origin, gateway) = start(driver, "limits: { connections: 4 }");
        let mut kept: Vec<_> = (0..4).map(|_| gateway.client()).collect();
        for client in &mut kept {
            assert_eq!(client.get("h", "/").status, 200);
        }
        let mut further = gateway.client();
        further.send_get("h", "/further");
        for client in &mut kept {
            assert_eq!(client.get("h", "/").status, 200, "those inside are served on");
        }
        let metrics = gateway.metrics();
        assert_eq!(
            metrics.sum("sluice_connections_active", &[("listener", "web")]),
            4.0
        );
        assert!(metrics.sum("sluice_accept_paused_total", &[]) > 0.0);
        assert!(!String::from_utf8_lossy(&origin.bytes()).contains("/further"));
        kept.pop();
        assert_eq!(further.response().seen().target(), "/further");
    });
}

#[test]
fn requests_in_flight_over_the_bound_are_503() {
    on_both_drivers(|driver| {
        let origin = Origin::serving(|mut connection| {
            connection.request();
            connection.wait_close();
        });
        let config = Config::new().service_with("v1", &[origin.address()], "pool: { requestsMax: 2 }");
        let gateway = Gateway::start(driver, &config);
        let mut waiting: Vec<Client> = (0..2).map(|_| gateway.client()).collect();
        for client in &mut waiting {
            client.send_get("h", "/wait");
        }
        origin.wait_until("two requests in flight", |seen| seen.requests.len() == 2);
        assert_eq!(gateway.get("h", "/third").status, 503);
        assert_eq!(gateway.logged("/third")["reason"], "overloaded");
    });
}

#[test]
fn clients_that_send_a_byte_at_a_time_hold_nobody_up() {
    on_both_drivers(|driver| {
        let (_origin, gateway) = start(driver, "timeouts: { head: 1s }");
        let request = "GET / HTTP/1.1\r\nhost: h\r\nx-slow: aaaaaaaaaaaaaaaaaaaaaaaa";
        let mut slow: Vec<_> = (0..100).map(|_| gateway.client()).collect();
        for byte in request.bytes() {
            for client in &mut slow {
                client.try_send([byte]);
            }
            assert_eq!(gateway.get("h", "/").status, 200);
        }
        for mut client in slow {
            let answer = client.try_response("GET");
            assert!(
                answer.as_ref().map_or(true, |response| response.status == 408),
                "{answer:?}"
            );
        }
    });
}

#[test]
fn a_held_connection_costs_little_memory() {
    const HELD: u64 = 200;
    on_both_drivers(|driver| {
        let (_origin, gateway) = start(driver, "");
        assert_eq!(gateway.get("h", "/").status, 200);
        let before = gateway.memory_peak();
        let mut held: Vec<_> = (0..HELD).map(|_| gateway.client()).collect();
        for client in &mut held {
            assert_eq!(client.get("h", "/").status, 200);
            client.send("GET / HTTP/1.1\r\nhost: h\r\nx-slow: ");
        }
        assert_eq!(gateway.get("h", "/").status, 200, "everything before was read");
        let grown = gateway.memory_peak().saturating_sub(before);
        // 20 KiB each, and what the first traffic makes the allocator and the receive buffers take.
        assert!(
            grown < HELD * 20 * 1024 + (4 << 20),
            "{} bytes each",
            grown / HELD
        );
    });
}

#[test]
fn without_file_descriptors_accepting_pauses_and_goes_on_later() {
    on_both_drivers(|driver| {
        let origin = Origin::echo("v1");
        let config = Config::new().service("v1", &[origin.address()]);
        let gateway = Run::on(driver).files_max(80).start(&config);
        let crowd: Vec<_> = (0..200)
            .filter_map(|_| Client::try_connect(gateway.address()).ok())
            .collect();
        gateway.wait_metrics("a pause", |metrics| {
            metrics.sum("sluice_accept_paused_total", &[])
                + metrics.sum("sluice_connections_refused_total", &[])
                > 0.0
        });
        // A loop that spins would count pauses by the million while this scrapes a few hundred times.
        let before = gateway.metrics().sum("sluice_accept_paused_total", &[]);
        for _ in 0..200 {
            gateway.metrics();
        }
        let pauses = gateway.metrics().sum("sluice_accept_paused_total", &[]) - before;
        assert!(pauses < 1000.0, "{pauses} pauses");
        drop(crowd);
        gateway.wait_metrics("the crowd's end", |metrics| {
            metrics.sum("sluice_connections_active", &[("listener", "web")]) < 5.0
        });
        harness::eventually("service again", || {
            let mut client = Client::try_connect(gateway.address()).ok()?;
            client.try_send("GET / HTTP/1.1\r\nhost: h\r\n\r\n");
            client
                .try_response("GET")
                .ok()
                .filter(|response| response.status == 200)
        });
    });
}
