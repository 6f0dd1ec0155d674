//! HTTP/2 requests as an HTTP/1.1 origin gets them: one clean request each, framed by what came (RFC 9113 8.1.1 and
//! 8.3.1), and never one whose length is not its body's.

use crate::harness::{
    self, Broken, Config, Driver, Gateway, Origin,
    frames::{code, data, flag, headers, request, request_with},
    hpack::block,
    on_both_drivers,
    peer::{Answer, Lost, Peer},
};

fn start(driver: Driver) -> (Origin, Gateway) {
    let origin = Origin::echo("v1");
    let gateway = Gateway::start(driver, &Config::new().service("v1", &[origin.address()]));
    (origin, gateway)
}

#[test]
fn a_length_that_is_not_the_bodys_is_refused() {
    let lengths: [&[&str]; 14] = [
        &["3"],
        &["5"],
        &["0"],
        &["4", "5"],
        &["5", "4"],
        &["4, 5"],
        &["4,"],
        &["+4"],
        &["-4"],
        &["0x4"],
        &["4 4"],
        &[""],
        &["abc"],
        &["18446744073709551620"],
    ];
    let requests: Vec<_> = lengths
        .iter()
        .map(|lengths| {
            let fields: Vec<_> = lengths.iter().map(|length| ("content-length", *length)).collect();
            let head = headers(1, flag::END_HEADERS, request_with("POST", "/", &fields));
            (
                format!("a body of 4 as {lengths:?}"),
                [head, data(1, flag::END_STREAM, "four")].concat(),
            )
        })
        .collect();
    on_both_drivers(|driver| {
        let (origin, gateway) = start(driver);
        for (shown, frames) in &requests {
            let mut peer = Peer::connect(gateway.address());
            peer.send(frames);
            match peer.answer(1) {
                Ok(answer) => assert_eq!(answer.status, 400, "{shown}"),
                Err(lost) => assert!(
                    matches!(
                        lost,
                        Lost::Reset(code::PROTOCOL_ERROR) | Lost::Ended(code::PROTOCOL_ERROR)
                    ),
                    "{shown}: {lost:?}"
                ),
            }
        }
        // A head may have been passed on before its body was known to be wrong: then never a whole request.
        assert!(origin.requests().is_empty(), "{:?}", origin.requests());
        assert_eq!(
            gateway.get("h", "/after").backend(),
            "v1",
            "on a connection that is not one of those"
        );
        let refused = |request: &harness::origin::Request| request.target() == "/after";
        assert!(origin.requests().iter().all(refused));
        assert!(
            origin
                .seen()
                .unclean
                .iter()
                .all(|broken| matches!(broken, Broken::Cut(_)))
        );
    });
}

fn answered(peer: &mut Peer, stream: u32, frames: &[Vec<u8>]) -> Answer {
    peer.send(frames.concat());
    peer.answer(stream).expect("an answer")
}

#[test]
fn a_request_arrives_as_one_clean_http_1_1_request() {
    on_both_drivers(|driver| {
        let (origin, gateway) = start(driver);
        let mut peer = Peer::connect(gateway.address());
        let head = |stream, method, flags, fields: &[(&str, &str)]| {
            headers(stream, flags, request_with(method, "/x?y=1", fields))
        };
        let last = |stream| data(stream, flag::END_STREAM, "body");
        let sized = [("content-length", "4"), ("te", "trailers")];
        answered(
            &mut peer,
            1,
            &[head(1, "POST", flag::END_HEADERS, &sized), last(1)],
        );
        answered(&mut peer, 3, &[head(3, "POST", flag::END_HEADERS, &[]), last(3)]);
        answered(&mut peer, 5, &[head(5, "GET", flag::END_HEADERS, &[]), last(5)]);
        answered(&mut peer, 7, &[head(7, "GET", flag::END_BOTH, &[])]);
        answered(&mut peer, 9, &[head(9, "POST", flag::END_BOTH, &[])]);
        answered(
            &mut peer,
            11,
            &[head(11, "GET", flag::END_BOTH, &[("host", "other")])],
        );
        let requests = origin.requests();
        let framing: Vec<_> = requests
            .iter()
            .map(|request| {
                (
                    request.header("content-length"),
                    request.header("transfer-encoding"),
                )
            })
            .collect();
        assert_eq!(
            framing[..3],
            [
                (Some("4"), None),
                (None, Some("chunked")),
                (None, Some("chunked"))
            ]
        );
        assert_eq!(framing[3], (None, None), "no body, no framing");
        assert!(matches!(framing[4], (Some("0") | None, None)), "{:?}", framing[4]);
        for request in &requests {
            assert_eq!(request.target(), "/x?y=1");
            assert_eq!(
                request.header("host"),
                Some("h"),
                ":authority wins (RFC 9113 8.3.1)"
            );
            assert!(request.headers("te").is_empty(), "hop by hop (RFC 9110 10.1.4)");
        }
        assert!(requests[..3].iter().all(|request| request.body == b"body"));
        assert!(origin.seen().unclean.is_empty(), "{:?}", origin.seen().unclean);
    });
}

#[test]
fn the_host_field_stands_in_for_an_authority_that_is_not_there() {
    on_both_drivers(|driver| {
        let (origin, gateway) = start(driver);
        let mut peer = Peer::connect(gateway.address());
        let fields = [
            (":method", "GET"),
            (":scheme", "http"),
            (":path", "/"),
            ("host", "named"),
        ];
        let answer = answered(&mut peer, 1, &[headers(1, flag::END_BOTH, block(&fields))]);
        assert_eq!(answer.status, 200);
        assert_eq!(origin.requests()[0].header("host"), Some("named"));
    });
}

#[test]
fn trailers_are_never_merged_into_the_head() {
    on_both_drivers(|driver| {
        let (origin, gateway) = start(driver);
        for name in [
            "content-length",
            "transfer-encoding",
            "host",
            "authorization",
            "connection",
            "te",
            "\"x\"",
            ":method",
            ":path",
        ] {
            let mut peer = Peer::connect(gateway.address());
            let head = headers(1, flag::END_HEADERS, request("POST", "/"));
            let trailers = headers(1, flag::END_BOTH, block(&[(name, "1"), ("x-trailer", "1")]));
            peer.send([head, data(1, flag::NONE, "body"), trailers].concat());
            match peer.answer(1) {
                Ok(answer) => assert!(matches!(answer.status, 200 | 400), "{name}: {answer:?}"),
                Err(lost) => assert_eq!(lost, Lost::Reset(code::PROTOCOL_ERROR), "{name}"),
            }
        }
        for request in origin.requests() {
            assert_eq!(request.header("host"), Some("h"));
            let names: Vec<_> = request.trailers.iter().map(|(name, _)| name.as_str()).collect();
            assert!(names.iter().all(|name| *name == "x-trailer"), "{names:?}");
        }
    });
}

/// The library drops what follows `#` before the gateway sees the path: then the origin does not see it either, and routes
/// match what is passed on (RFC 9110 4.2.5 has no fragment in a request).
#[test]
fn a_fragment_is_not_passed_on() {
    on_both_drivers(|driver| {
        let (origin, gateway) = start(driver);
        let mut peer = Peer::connect(gateway.address());
        let head = headers(1, flag::END_BOTH, request("GET", "/a#b"));
        let answer = answered(&mut peer, 1, &[head]);
        assert!(matches!(answer.status, 200 | 400), "{answer:?}");
        assert!(origin.requests().iter().all(|request| request.target() == "/a"));
    });
}
