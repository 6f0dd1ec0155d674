//! Streams begun to be reset, by the client (CVE-2023-44487) or by making the gateway do it (CVE-2025-8671): counted,
//! and the connection ended before backends notice. Streams and upgrades that are not offered.

use crate::harness::{
    self, Config, Driver, Gateway, Origin,
    flood::{Outcome, assert_serves, bounded, flood, flood_to_the_end},
    frames::{
        WINDOW_MAX, code, data, flag, frame, get, headers, kind, post, priority, request_with, rst_stream,
        window_update,
    },
    on_both_drivers,
    peer::{Lost, Peer},
};

/// What is done on the stream of a number.
type Attack<'a> = &'a (dyn Fn(u32) -> Vec<u8> + Sync);

const CALM: Outcome = Outcome::Ended(Some(code::ENHANCE_YOUR_CALM));
/// Requests that may reach a backend, of however many that are reset.
const REACH_MAX: usize = 100;
/// Resets that end a connection.
const RESETS_MAX: u32 = 500;

fn start(driver: Driver) -> (Origin, Gateway) {
    let origin = Origin::echo("v1");
    let gateway = Gateway::start(driver, &Config::new().service("v1", &[origin.address()]));
    (origin, gateway)
}

/// `count` times what `attack` does on one stream.
fn streams(count: u32, attack: impl Fn(u32) -> Vec<u8>) -> Vec<u8> {
    (0..count).flat_map(|nth| attack(2 * nth + 1)).collect()
}

/// Requests of the attack, which no other client asks for.
fn reached(origin: &Origin) -> usize {
    let bytes = origin.bytes();
    bytes.windows(7).filter(|window| window == b"/reset ").count()
}

fn begun_and_reset(stream: u32) -> Vec<u8> {
    [get(stream, "/reset"), rst_stream(stream, code::CANCEL)].concat()
}

#[test]
fn a_flood_of_resets_ends_the_connection_and_hardly_reaches_a_backend() {
    on_both_drivers(|driver| {
        for (what, attack) in [
            ("whole requests", begun_and_reset as fn(u32) -> Vec<u8>),
            ("requests with a body to come", |stream| {
                [post(stream, "/reset"), rst_stream(stream, code::CANCEL)].concat()
            }),
            ("requests reset without an error", |stream| {
                [get(stream, "/reset"), rst_stream(stream, code::NO_ERROR)].concat()
            }),
        ] {
            let (origin, gateway) = start(driver);
            bounded(&gateway, what, || {
                let mut peer = Peer::connect(gateway.address());
                assert_eq!(
                    flood_to_the_end(&mut peer, &streams(10_000, attack)),
                    CALM,
                    "{what}"
                );
            });
            assert!(
                reached(&origin) <= REACH_MAX,
                "{what}: {} reached a backend",
                reached(&origin)
            );
            let mut peer = Peer::connect(gateway.address());
            assert_eq!(
                flood_to_the_end(&mut peer, &streams(RESETS_MAX, attack)),
                CALM,
                "{what}, {RESETS_MAX} of them"
            );
        }
    });
}

#[test]
fn a_reset_here_and_there_is_no_flood() {
    on_both_drivers(|driver| {
        let (_origin, gateway) = start(driver);
        let mut peer = Peer::connect(gateway.address());
        for nth in 0..100 {
            let stream = 4 * nth + 1;
            if nth % 5 == 0 {
                peer.send(begun_and_reset(stream));
            }
            let answer = peer.get(stream + 2, "/").expect("an answer");
            assert_eq!(answer.status, 200, "after {nth}");
        }
    });
}

#[test]
fn a_reset_stream_no_longer_keeps_a_backend_working() {
    on_both_drivers(|driver| {
        let origin = harness::conformance::holding();
        let gateway = Gateway::start(driver, &Config::new().service("v1", &[origin.address()]));
        let mut peer = Peer::connect(gateway.address());
        peer.send(get(1, "/held"));
        origin.wait_until("the request", |seen| seen.requests.len() == 1);
        peer.send(rst_stream(1, code::CANCEL));
        origin.wait_until("its end", |seen| seen.open == 0);
        assert!(peer.is_alive());
    });
}

#[test]
fn resets_that_the_gateway_is_made_to_send_count_too() {
    let trailing = |stream| data(stream, flag::END_STREAM, "late");
    let sized = |stream| {
        headers(
            stream,
            flag::END_HEADERS,
            request_with("POST", "/reset", &[("content-length", "1")]),
        )
    };
    let wrong = |stream, fields: &[(&str, &str)]| {
        headers(stream, flag::END_BOTH, request_with("GET", "/reset", fields))
    };
    let attacks: [(&str, Attack<'_>); 9] = [
        ("no window", &|stream| {
            [post(stream, "/reset"), window_update(stream, 0)].concat()
        }),
        ("too much window", &|stream| {
            let more = window_update(stream, WINDOW_MAX);
            [post(stream, "/reset"), more.clone(), more].concat()
        }),
        ("DATA after the end", &|stream| {
            [get(stream, "/reset"), trailing(stream)].concat()
        }),
        ("HEADERS after the end", &|stream| {
            [get(stream, "/reset"), get(stream, "/reset")].concat()
        }),
        ("a priority on itself", &|stream| {
            [post(stream, "/reset"), priority(stream, stream, 1)].concat()
        }),
        ("a priority of 4 bytes", &|stream| {
            [
                post(stream, "/reset"),
                frame(kind::PRIORITY, flag::NONE, stream, [0; 4]),
            ]
            .concat()
        }),
        ("more than said", &|stream| {
            [sized(stream), data(stream, flag::END_STREAM, "longer")].concat()
        }),
        ("a name in upper case", &|stream| {
            wrong(stream, &[("X-UPPER", "1")])
        }),
        ("a field of HTTP/1.1", &|stream| {
            wrong(stream, &[("connection", "close")])
        }),
    ];
    on_both_drivers(|driver| {
        let mut failures = Vec::new();
        for (what, attack) in attacks {
            let (origin, gateway) = start(driver);
            let mut peer = Peer::connect(gateway.address());
            let outcome = flood_to_the_end(&mut peer, &streams(RESETS_MAX, attack));
            if !outcome.is_error() {
                failures.push(format!("{what}: {outcome:?}"));
            }
            if reached(&origin) > REACH_MAX {
                failures.push(format!("{what}: {} reached a backend", reached(&origin)));
            }
            assert_serves(&gateway, what);
        }
        assert!(failures.is_empty(), "{}", failures.join("\n"));
    });
}

#[test]
fn streams_above_their_bound_do_not_reach_a_backend() {
    on_both_drivers(|driver| {
        let origin = harness::conformance::holding();
        let gateway = Gateway::start(driver, &Config::new().service("v1", &[origin.address()]));
        bounded(&gateway, "streams above their bound", || {
            let mut peer = Peer::connect(gateway.address());
            let bound = peer.streams_max();
            let first = streams(bound, |stream| get(stream, "/held"));
            assert_eq!(flood(&mut peer, &first), Outcome::Taken);
            for stream in (0..50).map(|nth| 2 * (bound + nth) + 1) {
                let lost = peer.get(stream, "/refused").unwrap_err();
                assert!(
                    matches!(lost, Lost::Reset(code::REFUSED_STREAM)),
                    "stream {stream}: {lost:?}"
                );
            }
        });
        let targets = origin.requests();
        assert!(targets.iter().all(|request| request.target() != "/refused"));
    });
}

#[test]
fn an_upgrade_to_http_2_is_not_offered() {
    on_both_drivers(|driver| {
        let (origin, gateway) = start(driver);
        for fields in [
            "upgrade: h2c\r\nconnection: upgrade, http2-settings\r\nhttp2-settings: AAMAAABkAAQAAP__\r\n",
            "upgrade: h2c\r\nconnection: upgrade\r\nhttp2-settings: AAMAAABkAAQAAP__\r\n",
            "upgrade: h2c, h2\r\nconnection: upgrade\r\n",
        ] {
            let response = gateway.ask(format!("GET / HTTP/1.1\r\nhost: h\r\n{fields}\r\n"));
            assert_eq!((response.status, response.interim.len()), (200, 0), "{fields}");
            let seen = response.seen();
            for name in ["upgrade", "http2-settings", "connection"] {
                let values = seen.headers(name);
                assert!(
                    values
                        .iter()
                        .all(|value| !value.contains("h2c") && !value.contains("AAM")),
                    "{seen:?}"
                );
            }
        }
        assert!(origin.seen().unclean.is_empty());
    });
}
