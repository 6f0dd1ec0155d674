//! The states and numbers of HTTP/2 streams (RFC 9113 5.1): what each state takes, and how many there may be.

use crate::harness::{
    Config, Gateway,
    conformance::{Event, LATE, Must, PING, case, holding, run},
    frames::{
        code, continuation, data, flag, get, headers, ping, post, priority, request, rst_stream, setting,
        settings, window_update,
    },
    hpack::literal,
    on_both_drivers,
    peer::{Lost, Peer},
};

const PROTOCOL: &[u32] = &[code::PROTOCOL_ERROR];

fn all(frames: &[Vec<u8>]) -> Vec<u8> {
    frames.concat()
}

/// A request that is whole and whose answer does not come.
fn held() -> Vec<u8> {
    get(1, "/held")
}

fn more(flags: u8) -> Vec<u8> {
    continuation(1, flags, literal("x-more", "1"))
}

#[test]
fn streams_not_begun_take_headers_and_priority_alone() {
    let cases = [
        case(
            "5.1 idle: PRIORITY",
            all(&[priority(1, 0, 255), ping(PING)]),
            Must::Pong,
        ),
        case(
            "5.1 idle: DATA",
            data(1, flag::END_STREAM, "test"),
            Must::End(&[code::PROTOCOL_ERROR, code::STREAM_CLOSED]),
        ),
        case(
            "5.1 idle: RST_STREAM",
            rst_stream(1, code::CANCEL),
            Must::End(PROTOCOL),
        ),
        case(
            "5.1 idle: WINDOW_UPDATE",
            window_update(1, 100),
            Must::End(PROTOCOL),
        ),
        case(
            "5.1 idle: CONTINUATION",
            continuation(1, flag::END_HEADERS, request("GET", "/")),
            Must::End(PROTOCOL),
        ),
    ];
    on_both_drivers(|driver| run(driver, &cases));
}

#[test]
fn streams_whose_request_ended_take_no_more_of_it() {
    let zero = || settings(&[(setting::INITIAL_WINDOW_SIZE, 0)]);
    let trailers = || headers(1, flag::END_BOTH, literal("x-more", "1"));
    let cases = [
        case(
            "5.1 half-closed: WINDOW_UPDATE",
            all(&[zero(), get(1, "/"), window_update(1, 1)]),
            Must::Data(1),
        ),
        case(
            "5.1 half-closed: PRIORITY",
            all(&[zero(), get(1, "/"), priority(1, 0, 255), window_update(1, 1)]),
            Must::Data(1),
        ),
        case(
            "5.1 half-closed: RST_STREAM",
            all(&[held(), rst_stream(1, code::CANCEL), ping(PING)]),
            Must::Pong,
        ),
        case(
            "5.1 half-closed: DATA",
            all(&[held(), data(1, flag::END_STREAM, "test")]),
            Must::Reset(LATE),
        ),
        case(
            "5.1 half-closed: HEADERS",
            all(&[held(), held()]),
            Must::Reset(LATE),
        ),
        case(
            "5.1 half-closed: trailers",
            all(&[held(), trailers()]),
            Must::Reset(LATE),
        ),
        case(
            "5.1 half-closed: CONTINUATION",
            all(&[held(), continuation(1, flag::END_HEADERS, request("GET", "/"))]),
            Must::End(&[code::STREAM_CLOSED, code::PROTOCOL_ERROR]),
        ),
        case(
            "5.1 half-closed after DATA: DATA",
            all(&[
                post(1, "/held"),
                data(1, flag::END_STREAM, "a"),
                data(1, flag::END_STREAM, "b"),
            ]),
            Must::Reset(LATE),
        ),
    ];
    on_both_drivers(|driver| run(driver, &cases));
}

#[test]
fn streams_that_ended_take_priority_alone() {
    let reset = || [post(1, "/held"), rst_stream(1, code::CANCEL)].concat();
    let any = Must::End(&[code::STREAM_CLOSED, code::PROTOCOL_ERROR]);
    let answered = |name, bytes: Vec<u8>, must| case(name, get(1, "/"), must).after(Event::Answered, bytes);
    let cases = [
        answered(
            "5.1 closed: PRIORITY",
            all(&[priority(1, 0, 255), ping(PING)]),
            Must::Pong,
        ),
        answered(
            "5.1 closed: WINDOW_UPDATE late",
            all(&[window_update(1, 1), ping(PING)]),
            Must::Pong,
        ),
        answered(
            "5.1 closed: RST_STREAM late",
            all(&[rst_stream(1, code::CANCEL), ping(PING)]),
            Must::Pong,
        ),
        case(
            "5.1 reset: DATA",
            all(&[reset(), data(1, flag::END_STREAM, "test")]),
            Must::Reset(LATE),
        ),
        case(
            "5.1 reset: HEADERS",
            all(&[reset(), get(1, "/")]),
            Must::Reset(LATE),
        ),
        case(
            "5.1 reset: CONTINUATION",
            all(&[reset(), more(flag::END_HEADERS)]),
            any,
        ),
        answered(
            "5.1 closed: DATA",
            data(1, flag::END_STREAM, "test"),
            Must::Reset(LATE),
        ),
        answered("5.1 closed: HEADERS", get(1, "/"), Must::Reset(LATE)),
        answered("5.1 closed: CONTINUATION", more(flag::END_HEADERS), any),
    ];
    on_both_drivers(|driver| run(driver, &cases));
}

#[test]
fn the_numbers_of_streams_are_odd_and_grow() {
    let cases = [
        case("5.1.1 an even number", get(2, "/"), Must::End(PROTOCOL)),
        case(
            "5.1.1 a smaller number",
            all(&[get(5, "/"), get(3, "/")]),
            Must::End(LATE),
        ),
        case(
            "5.1.1 a number left out is closed",
            all(&[get(5, "/"), data(1, flag::END_STREAM, "test")]),
            Must::Reset(LATE),
        ),
    ];
    on_both_drivers(|driver| run(driver, &cases));
}

#[test]
fn streams_above_their_bound_are_refused_and_may_be_tried_again() {
    on_both_drivers(|driver| {
        let origin = holding();
        let gateway = Gateway::start(driver, &Config::new().service("v1", &[origin.address()]));
        let mut peer = Peer::connect(gateway.address());
        let bound = peer.streams_max();
        assert!(
            (100..=1000).contains(&bound),
            "100 or more (6.5.2), and a bound: {bound}"
        );
        let ids = (0..=bound).map(|nth| 2 * nth + 1);
        let requests: Vec<u8> = ids.flat_map(|id| get(id, "/held")).collect();
        assert!(peer.send(requests));
        let last = 2 * bound + 1;
        assert_eq!(peer.answer(last).unwrap_err(), Lost::Reset(code::REFUSED_STREAM));
        // What ends makes room.
        peer.send(rst_stream(1, code::CANCEL));
        assert!(peer.is_alive());
        assert_eq!(peer.get(last + 2, "/").unwrap().status, 200);
    });
}
