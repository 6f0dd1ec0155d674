//! HTTP/2 from its start to its errors (RFC 9113 3.4 to 5.5): the preface, the form of frames, header blocks, the
//! states and numbers of streams, priorities.

use crate::harness::{
    self, Config, Gateway, Origin,
    conformance::{BAD_BLOCK, Must, PING, case, holding, run},
    frames::{
        FRAME_BYTES, PREFACE, code, continuation, data, flag, frame, get, headers, kind, ping, post,
        priority, priority_field, request, request_with, setting, settings,
    },
    on_both_drivers,
    peer::Peer,
};

const PROTOCOL: &[u32] = &[code::PROTOCOL_ERROR];
const SIZE: &[u32] = &[code::FRAME_SIZE_ERROR];

fn all(frames: &[Vec<u8>]) -> Vec<u8> {
    frames.concat()
}

/// A request that is whole and whose answer does not come.
fn held() -> Vec<u8> {
    get(1, "/held")
}

/// The first frame of a request whose block goes on.
fn begun() -> Vec<u8> {
    headers(1, flag::NONE, request("POST", "/"))
}

fn more(flags: u8) -> Vec<u8> {
    continuation(1, flags, harness::hpack::literal("x-more", "1"))
}

/// 3.4, from before the first frame, where [`case`] has already passed it.
#[test]
fn the_preface_is_answered_by_settings_and_another_one_by_the_end() {
    on_both_drivers(|driver| {
        let origin = Origin::echo("v1");
        let gateway = Gateway::start(driver, &Config::new().service("v1", &[origin.address()]));
        Peer::connect_with(gateway.address(), &[(setting::INITIAL_WINDOW_SIZE, 65_535)]);
        let mut slow = Peer::silent(gateway.address());
        for byte in PREFACE {
            assert!(slow.send([*byte]));
        }
        assert!(slow.send(settings(&[])));
        assert_eq!(slow.frame().map(|first| first.kind), Ok(kind::SETTINGS));
        for first in [get(1, "/"), ping(PING), frame(kind::SETTINGS, flag::ACK, 0, [])] {
            let mut rash = Peer::silent(gateway.address());
            assert!(rash.send([PREFACE, &first, &settings(&[])].concat()));
            let ended = rash.wait(|frame| frame.kind == kind::GOAWAY);
            let goodbye = ended.expect("it is told why");
            assert_eq!(goodbye.payload[4..8], code::PROTOCOL_ERROR.to_be_bytes());
        }
        for wrong in [
            "PRI * HTTP/2.0\r\n\r\nSM\r\n\r ",
            "PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n",
            "PRI * HTTP/2.0\r\nhost: h\r\n\r\nSM\r\n\r\n",
            "PRI / HTTP/2.0\r\n\r\nSM\r\n\r\n",
            "INVALID CONNECTION PREFACE\r\n\r\n",
        ] {
            let mut client = gateway.client();
            client.try_send(wrong);
            client.finish();
            let rest = client.rest();
            let is_served = rest.windows(12).any(|window| window == b"HTTP/1.1 200");
            assert!(!is_served, "{wrong:?}: {:?}", String::from_utf8_lossy(&rest));
        }
        assert!(origin.bytes().is_empty());
    });
}

#[test]
fn frames_of_any_form_that_is_allowed_are_taken() {
    let unknown = |stream| frame(0x16, flag::NONE, stream, [0; 8]);
    let largest = [post(1, "/"), data(1, flag::END_STREAM, [b'x'; FRAME_BYTES])].concat();
    let cases = [
        case("4.1 an unknown frame", all(&[unknown(0), ping(PING)]), Must::Pong),
        case(
            "4.1 undefined flags",
            frame(kind::PING, 0x16, 0, PING),
            Must::Pong,
        ),
        case(
            "4.1 the reserved bit",
            frame(kind::PING, 0x16, 1 << 31, PING),
            Must::Pong,
        ),
        case("4.2 the largest DATA frame", largest, Must::Answer),
        case(
            "5.5 an unknown frame on a stream not begun",
            all(&[unknown(1), ping(PING)]),
            Must::PongOrEnd,
        ),
        case(
            "5.5 an unknown frame in a request",
            all(&[post(1, "/"), unknown(1), data(1, flag::END_STREAM, "test")]),
            Must::Answer,
        ),
        case(
            "5.5 one in a header block",
            all(&[begun(), unknown(0)]),
            Must::End(PROTOCOL),
        ),
    ];
    on_both_drivers(|driver| run(driver, &cases));
}

#[test]
fn frames_that_are_too_large_are_refused() {
    let large = vec![b'x'; FRAME_BYTES + 1];
    let fields: Vec<_> = ["x-a", "x-b", "x-c", "x-d", "x-e"]
        .map(|name| (name, "x".repeat(4000)))
        .into();
    let block = [request("GET", "/"), harness::hpack::block(&fields)].concat();
    let cases = [
        case(
            "4.2 DATA",
            all(&[post(1, "/"), data(1, flag::END_STREAM, &large)]),
            Must::Reset(SIZE),
        ),
        case("4.2 HEADERS", headers(1, flag::END_BOTH, block), Must::End(SIZE)),
        case(
            "4.2 an unknown frame",
            frame(0x16, flag::NONE, 0, &large),
            Must::End(SIZE),
        ),
    ];
    on_both_drivers(|driver| run(driver, &cases));
}

#[test]
fn a_header_block_is_one_and_whole() {
    let cut = || headers(1, flag::END_BOTH, [0x40]);
    let cases = [
        case("4.3 a block that breaks off", cut(), Must::End(BAD_BLOCK)),
        case(
            "4.3 PRIORITY in a block",
            all(&[begun(), priority(1, 0, 255), more(flag::END_HEADERS)]),
            Must::End(PROTOCOL),
        ),
        case(
            "4.3 HEADERS of another stream in a block",
            all(&[begun(), get(3, "/"), more(flag::END_HEADERS)]),
            Must::End(PROTOCOL),
        ),
        case(
            "4.3 PING in a block",
            all(&[begun(), ping(PING)]),
            Must::End(PROTOCOL),
        ),
    ];
    on_both_drivers(|driver| run(driver, &cases));
}

#[test]
fn priorities_are_taken_and_never_followed_into_the_dark() {
    let depending = |on, weight| {
        let block = [priority_field(on, weight), request("GET", "/")].concat();
        headers(1, flag::END_BOTH | flag::PRIORITY, block)
    };
    let exclusive = 1 << 31;
    let cases = [
        case(
            "5.3 weight 1",
            all(&[priority(1, 0, 0), get(1, "/")]),
            Must::Answer,
        ),
        case(
            "5.3 weight 256",
            all(&[priority(1, 0, 255), get(1, "/")]),
            Must::Answer,
        ),
        case(
            "5.3 a dependency",
            all(&[priority(3, 1, 0), get(1, "/")]),
            Must::Answer,
        ),
        case(
            "5.3 alone",
            all(&[priority(1, exclusive, 0), get(1, "/")]),
            Must::Answer,
        ),
        case(
            "5.3 a higher stream not begun",
            all(&[priority(3, 0, 255), get(1, "/")]),
            Must::Answer,
        ),
        case("5.3 in HEADERS", depending(0, 255), Must::Answer),
        case("5.3 in HEADERS, alone", depending(exclusive, 255), Must::Answer),
        case(
            "5.3.1 HEADERS on themselves",
            depending(1, 255),
            Must::Reset(PROTOCOL),
        ),
        case(
            "5.3.1 PRIORITY on itself",
            priority(1, 1, 255),
            Must::Reset(PROTOCOL),
        ),
    ];
    on_both_drivers(|driver| run(driver, &cases));
}

#[test]
fn an_error_of_the_connection_is_said_and_ends_it() {
    let cases = [
        case(
            "5.4.1 PING on a stream",
            frame(kind::PING, flag::NONE, 3, PING),
            Must::End(PROTOCOL),
        ),
        case(
            "5.4.1 PING on a stream while it runs",
            all(&[held(), frame(kind::PING, flag::NONE, 1, PING)]),
            Must::End(PROTOCOL),
        ),
    ];
    on_both_drivers(|driver| run(driver, &cases));
    on_both_drivers(|driver| {
        let origin = holding();
        let gateway = Gateway::start(driver, &Config::new().service("v1", &[origin.address()]));
        let mut peer = Peer::connect(gateway.address());
        let wrong = request_with("GET", "/", &[("connection", "close")]);
        peer.send([get(1, "/held"), headers(3, flag::END_BOTH, wrong), get(5, "/")].concat());
        assert_eq!(peer.answer(5).expect("others are served").status, 200);
        assert!(peer.is_alive());
    });
}
