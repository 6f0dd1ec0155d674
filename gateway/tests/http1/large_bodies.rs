//! Bodies large enough to pass inside the kernel: whole, counted, cut where their sender cut them, and held back by a
//! slow receiver.

use crate::harness::{self, Config, Gateway, Origin, checksum, on_both_drivers, pattern};

const LARGE: usize = 4 << 20;

#[test]
fn large_and_small_ones_take_turns_on_one_connection() {
    on_both_drivers(|driver| {
        let origin = Origin::answering(|request| {
            assert_eq!(checksum(&request.body), checksum(&pattern(request.body.len())));
            let asked = request.header("x-bytes").unwrap().parse().unwrap();
            harness::ok(pattern(asked))
        });
        let gateway = Gateway::start(driver, &Config::new().service("v1", &[origin.address()]));
        let mut client = gateway.client();
        let sizes = [LARGE, 10, 131_072, 0, LARGE + 1, 131_071, 200_000];
        for (up, down) in sizes.into_iter().zip(sizes.into_iter().rev()) {
            client.send(format!(
                "PUT /{up} HTTP/1.1\r\nhost: h\r\nx-bytes: {down}\r\ncontent-length: {up}\r\n\r\n"
            ));
            client.send(pattern(up));
            let response = client.response();
            assert_eq!(checksum(&response.body), checksum(&pattern(down)), "{up} up");
            let line = gateway.logged(&format!("/{up}"));
            let counted = |field: &str| line[field].as_u64().unwrap() as usize;
            assert!((up + 1..up + 400).contains(&counted("bytes_received")), "{line}");
            assert!((down + 1..down + 400).contains(&counted("bytes_sent")), "{line}");
        }
        assert_eq!(origin.connections(), 1);
    });
}

#[test]
fn what_a_backend_sent_before_it_broke_off_arrives_and_no_more() {
    on_both_drivers(|driver| {
        let origin = Origin::serving(|mut connection| {
            connection.request();
            connection.send(format!("HTTP/1.1 200 OK\r\ncontent-length: {LARGE}\r\n\r\n"));
            connection.send(pattern(LARGE - 1));
        });
        let gateway = Gateway::start(driver, &Config::new().service("v1", &[origin.address()]));
        let mut client = gateway.client();
        client.send_get("h", "/cut");
        assert_eq!(client.head().unwrap().second(), "200");
        assert_eq!(checksum(&client.rest()), checksum(&pattern(LARGE - 1)));
        assert_eq!(gateway.logged("/cut")["reason"], "upstream_reset");
    });
}

#[test]
fn a_client_that_leaves_half_way_lets_go_of_the_backend() {
    on_both_drivers(|driver| {
        let origin = Origin::serving(|mut connection| {
            connection.request();
            connection.send(format!(
                "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n",
                LARGE * 16
            ));
            assert!(!connection.send(pattern(LARGE * 16)), "all of it was taken");
        });
        let gateway = Gateway::start(driver, &Config::new().service("v1", &[origin.address()]));
        let mut client = gateway.client();
        client.send_get("h", "/left");
        client.head().unwrap();
        client.take(LARGE);
        client.reset();
        assert_eq!(gateway.logged("/left")["reason"], "client_gone");
        origin.wait_until("the backend's script ended", |seen| seen.open == 0);
    });
}

#[test]
fn a_client_that_stops_reading_is_let_go() {
    on_both_drivers(|driver| {
        let origin = Origin::answering(|_| harness::ok(pattern(LARGE * 16)));
        let config = Config::new()
            .listener("timeouts: { bodyIdle: 500ms }")
            .service("v1", &[origin.address()]);
        let gateway = Gateway::start(driver, &config);
        let mut client = gateway.client();
        client.send_get("h", "/stalled");
        client.head().unwrap();
        assert_eq!(gateway.logged("/stalled")["reason"], "client_timeout");
    });
}
