//! HTTP/2 clients that stop: each wait has its bound (CVE-2019-9517 and -9511), and the backend is let go with it. No
//! test measures how long that took.

use crate::harness::{
    self, Config, Driver, Gateway, Origin,
    conformance::holding,
    frames::{FRAME_BYTES, PREFACE, data, flag, get, headers, kind, post, request, setting, settings},
    on_both_drivers,
    peer::{Lost, Peer},
};

fn start(driver: Driver, origin: &Origin, timeouts: &str) -> Gateway {
    let config = Config::new()
        .service("v1", &[origin.address()])
        .listener(&format!("timeouts: {{ {timeouts} }}"));
    Gateway::start(driver, &config)
}

/// Answers with 4 MiB; with a small window most of it stays here.
fn large() -> Origin {
    let body = harness::ok(vec![b'x'; 4 << 20]);
    Origin::answering(move |_request| body.clone())
}

/// Waits for the end of stream 1 by a reset or of the connection.
fn ended(peer: &mut Peer, what: &str) {
    match peer.answer(1) {
        Ok(answer) if answer.status >= 400 => {}
        Ok(answer) => panic!("{what}: answered with {}", answer.status),
        Err(Lost::Silent) => panic!("{what}: held open"),
        Err(Lost::Reset(_) | Lost::Ended(_) | Lost::Closed) => {}
    }
}

#[test]
fn an_answer_behind_a_window_that_stays_closed_is_given_up() {
    on_both_drivers(|driver| {
        for window in [0, 1] {
            let origin = large();
            let gateway = start(driver, &origin, "bodyIdle: 300ms");
            let windows = [(setting::INITIAL_WINDOW_SIZE, window)];
            let mut peer = Peer::connect_with(gateway.address(), &windows);
            peer.send(get(1, "/"));
            ended(&mut peer, &format!("a window of {window}"));
            origin.wait_until("the end of its connection", |seen| seen.open == 0);
        }
    });
}

#[test]
fn an_answer_behind_the_window_of_the_connection_is_given_up() {
    on_both_drivers(|driver| {
        let origin = large();
        let gateway = start(driver, &origin, "bodyIdle: 300ms");
        let windows = [(setting::INITIAL_WINDOW_SIZE, 1 << 24)];
        let mut peer = Peer::connect_with(gateway.address(), &windows);
        peer.send(get(1, "/"));
        ended(&mut peer, "the window of the connection");
        origin.wait_until("the end of its connection", |seen| seen.open == 0);
    });
}

#[test]
fn other_streams_go_on_while_one_stalls() {
    on_both_drivers(|driver| {
        let origin = large();
        let gateway = start(driver, &origin, "bodyIdle: 300ms");
        let windows = [(setting::INITIAL_WINDOW_SIZE, 0)];
        let mut peer = Peer::connect_with(gateway.address(), &windows);
        peer.send(get(1, "/"));
        peer.wait(|frame| frame.kind == kind::HEADERS).expect("a head");
        peer.send(headers(3, flag::END_BOTH, request("HEAD", "/")));
        let answer = peer.answer(3).expect("an answer without a body");
        assert_eq!(answer.status, 200);
    });
}

#[test]
fn a_body_that_stops_is_given_up() {
    on_both_drivers(|driver| {
        let origin = holding();
        let gateway = start(driver, &origin, "bodyIdle: 300ms");
        for (what, first) in [
            ("none of it", Vec::new()),
            ("a part of it", data(1, flag::NONE, [b'x'; FRAME_BYTES])),
        ] {
            let mut peer = Peer::connect(gateway.address());
            peer.send([post(1, "/"), first].concat());
            ended(&mut peer, what);
        }
        assert!(origin.requests().is_empty(), "no whole request ever came");
    });
}

#[test]
fn a_connection_without_a_request_ends() {
    on_both_drivers(|driver| {
        let origin = holding();
        let gateway = start(driver, &origin, "idle: 300ms, head: 300ms");
        let block = headers(1, flag::END_STREAM, request("GET", "/"));
        let begun = [
            ("half a preface", PREFACE[..12].to_vec()),
            ("a preface without SETTINGS", PREFACE.to_vec()),
            ("a preface and SETTINGS", [PREFACE, &settings(&[])].concat()),
            ("half a frame", [PREFACE, &settings(&[]), &block[..20]].concat()),
            ("half a block", [PREFACE, &settings(&[]), &block].concat()),
        ]
        .map(|(what, bytes)| {
            let mut client = gateway.client();
            client.send(bytes);
            (what, client)
        });
        for (what, mut client) in begun {
            // Whatever is said, it is the last of it.
            client.rest();
            assert!(origin.bytes().is_empty(), "{what}");
        }
    });
}

#[test]
fn an_idle_connection_is_told_that_it_ends() {
    on_both_drivers(|driver| {
        let origin = holding();
        let gateway = start(driver, &origin, "idle: 300ms");
        let mut peer = Peer::connect(gateway.address());
        assert_eq!(peer.get(1, "/").map(|answer| answer.status), Ok(200));
        assert_eq!(peer.end(), Ok(Some(harness::frames::code::NO_ERROR)));
    });
}

#[test]
fn a_request_that_runs_is_not_idle() {
    on_both_drivers(|driver| {
        let origin = Origin::serving(|mut connection| {
            while connection.request().is_some() {
                std::thread::park_timeout(std::time::Duration::from_secs(1));
                connection.send(harness::ok("well"));
            }
        });
        let gateway = start(driver, &origin, "idle: 300ms, head: 300ms");
        let mut peer = Peer::connect(gateway.address());
        assert_eq!(
            peer.get(1, "/").map(|answer| answer.text()),
            Ok("well".to_owned())
        );
    });
}
