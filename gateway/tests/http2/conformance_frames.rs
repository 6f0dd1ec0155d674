//! Each frame of HTTP/2 by its own rules (RFC 9113 6 and 7): lengths, stream numbers, padding, settings, windows.

use crate::harness::{
    Config, Gateway, Origin,
    conformance::{BAD_LENGTH, BAD_WINDOW, Event, Must, PING, case, run},
    frames::{
        code, continuation, data, flag, frame, get, goaway, headers, kind, ping, post, priority, request,
        request_with, rst_stream, setting, settings,
    },
    hpack::{block, literal},
    on_both_drivers,
    peer::Peer,
};

const PROTOCOL: &[u32] = &[code::PROTOCOL_ERROR];

fn all(frames: &[Vec<u8>]) -> Vec<u8> {
    frames.concat()
}

/// A payload behind the length of its padding, and so much padding.
fn padded(length: u8, payload: impl AsRef<[u8]>, padding: usize) -> Vec<u8> {
    [&[length], payload.as_ref(), &vec![0; padding]].concat()
}

/// The first frame of a request whose block goes on.
fn begun() -> Vec<u8> {
    headers(1, flag::END_STREAM, request("GET", "/"))
}

fn more(flags: u8) -> Vec<u8> {
    continuation(1, flags, literal("x-more", "1"))
}

#[test]
fn data_frames() {
    let framed = |flags, payload: Vec<u8>| [post(1, "/"), frame(kind::DATA, flags, 1, payload)].concat();
    let last = |text: &str| data(1, flag::END_STREAM, text);
    let both = flag::END_STREAM | flag::PADDED;
    let sized = headers(
        1,
        flag::END_HEADERS,
        request_with("POST", "/", &[("content-length", "4")]),
    );
    let cases = [
        case("6.1 DATA", all(&[post(1, "/"), last("test")]), Must::Answer),
        case(
            "6.1 several",
            all(&[post(1, "/"), data(1, flag::NONE, "test"), last("test")]),
            Must::Answer,
        ),
        case(
            "6.1 an empty last one",
            all(&[post(1, "/"), data(1, flag::NONE, "test"), last("")]),
            Must::Answer,
        ),
        case("6.1 padding", framed(both, padded(5, "test", 5)), Must::Answer),
        case(
            "6.1 nothing but padding",
            framed(both, padded(5, "", 5)),
            Must::Answer,
        ),
        case(
            "6.1 stream 0",
            data(0, flag::END_STREAM, "test"),
            Must::End(PROTOCOL),
        ),
        case(
            "6.1 padding longer than the frame",
            all(&[sized, frame(kind::DATA, both, 1, padded(6, "test", 0))]),
            Must::End(PROTOCOL),
        ),
        case(
            "6.1 padding without its length",
            framed(both, Vec::new()),
            Must::End(&[code::PROTOCOL_ERROR, code::FRAME_SIZE_ERROR]),
        ),
    ];
    on_both_drivers(|driver| run(driver, &cases));
}

#[test]
fn headers_frames() {
    let request = || request("GET", "/");
    let padding = |length, padding| {
        headers(
            1,
            flag::END_BOTH | flag::PADDED,
            padded(length, request(), padding),
        )
    };
    let longer = u8::try_from(request().len()).expect("a short block") + 1;
    let cases = [
        case("6.2 HEADERS", get(1, "/"), Must::Answer),
        case("6.2 padding", padding(8, 8), Must::Answer),
        case(
            "6.2 then PRIORITY",
            all(&[begun(), priority(1, 0, 255), more(flag::END_HEADERS)]),
            Must::End(PROTOCOL),
        ),
        case(
            "6.2 then another stream's",
            all(&[begun(), get(3, "/"), more(flag::END_HEADERS)]),
            Must::End(PROTOCOL),
        ),
        case(
            "6.2 stream 0",
            headers(0, flag::END_BOTH, request()),
            Must::End(PROTOCOL),
        ),
        case(
            "6.2 padding longer than the frame",
            padding(longer, 0),
            Must::End(PROTOCOL),
        ),
        case(
            "6.2 too short for its priority",
            headers(1, flag::END_BOTH | flag::PRIORITY, [0; 4]),
            Must::End(&[code::PROTOCOL_ERROR, code::FRAME_SIZE_ERROR]),
        ),
    ];
    on_both_drivers(|driver| run(driver, &cases));
}

#[test]
fn priority_and_rst_stream_frames() {
    let held = || post(1, "/held");
    let reset = |length: usize| frame(kind::RST_STREAM, flag::NONE, 1, vec![0; length]);
    let cases = [
        case(
            "6.3 PRIORITY on stream 0",
            priority(0, 3, 255),
            Must::End(PROTOCOL),
        ),
        case(
            "6.3 PRIORITY of 4 bytes",
            frame(kind::PRIORITY, flag::NONE, 1, [0; 4]),
            Must::Reset(BAD_LENGTH),
        ),
        case(
            "6.4 RST_STREAM",
            all(&[held(), rst_stream(1, code::CANCEL), ping(PING)]),
            Must::Pong,
        ),
        case(
            "6.4 RST_STREAM on stream 0",
            rst_stream(0, code::CANCEL),
            Must::End(PROTOCOL),
        ),
        case(
            "6.4 RST_STREAM on a stream not begun",
            rst_stream(1, code::CANCEL),
            Must::End(PROTOCOL),
        ),
        case(
            "6.4 RST_STREAM of 3 bytes",
            all(&[held(), reset(3)]),
            Must::End(BAD_LENGTH),
        ),
        case(
            "6.4 RST_STREAM of 5 bytes",
            all(&[held(), reset(5)]),
            Must::End(BAD_LENGTH),
        ),
        case(
            "7 RST_STREAM with an unknown code",
            all(&[held(), rst_stream(1, 0xff), ping(PING)]),
            Must::Pong,
        ),
    ];
    on_both_drivers(|driver| run(driver, &cases));
}

#[test]
fn settings_frames() {
    let every = [
        (setting::HEADER_TABLE_SIZE, 4096),
        (setting::ENABLE_PUSH, 1),
        (setting::MAX_CONCURRENT_STREAMS, 100),
        (setting::INITIAL_WINDOW_SIZE, 65_535),
        (setting::MAX_FRAME_SIZE, 16_384),
        (setting::MAX_HEADER_LIST_SIZE, 100),
    ];
    let one = |id, value| settings(&[(id, value)]);
    let sized = |flags, length: usize| frame(kind::SETTINGS, flags, 0, vec![0; length]);
    let cases = [
        case("6.5 SETTINGS", settings(&every), Must::Acknowledge),
        case(
            "6.5 an acknowledgement with a payload",
            sized(flag::ACK, 1),
            Must::End(BAD_LENGTH),
        ),
        case(
            "6.5 an acknowledgement with a setting",
            sized(flag::ACK, 6),
            Must::End(BAD_LENGTH),
        ),
        case(
            "6.5 SETTINGS on a stream",
            frame(kind::SETTINGS, flag::NONE, 1, [0, 3, 0, 0, 0, 100]),
            Must::End(PROTOCOL),
        ),
        case(
            "6.5 SETTINGS of 3 bytes",
            sized(flag::NONE, 3),
            Must::End(BAD_LENGTH),
        ),
        case(
            "6.5.2 ENABLE_PUSH of 2",
            one(setting::ENABLE_PUSH, 2),
            Must::End(PROTOCOL),
        ),
        case(
            "6.5.2 a window too large",
            one(setting::INITIAL_WINDOW_SIZE, 1 << 31),
            Must::End(BAD_WINDOW),
        ),
        case(
            "6.5.2 frames too small",
            one(setting::MAX_FRAME_SIZE, 16_383),
            Must::End(PROTOCOL),
        ),
        case(
            "6.5.2 frames too large",
            one(setting::MAX_FRAME_SIZE, 1 << 24),
            Must::End(PROTOCOL),
        ),
        case(
            "6.5.2 an unknown setting",
            all(&[one(0xff, 1), ping(PING)]),
            Must::Pong,
        ),
        case(
            "6.5.3 an acknowledgement at once",
            one(setting::ENABLE_PUSH, 0),
            Must::Acknowledge,
        ),
        case(
            "6.5.3 the last of two values",
            settings(&[
                (setting::INITIAL_WINDOW_SIZE, 100),
                (setting::INITIAL_WINDOW_SIZE, 1),
            ]),
            Must::Data(1),
        )
        .after(Event::Acknowledged, get(1, "/")),
    ];
    on_both_drivers(|driver| run(driver, &cases));
}

#[test]
fn ping_and_goaway_frames() {
    let ack = frame(kind::PING, flag::ACK, 0, *b"not this");
    let sized = |length: usize| frame(kind::PING, flag::NONE, 0, vec![0; length]);
    let cases = [
        case("6.7 PING", ping(PING), Must::Pong),
        case("6.7 an acknowledgement", all(&[ack, ping(PING)]), Must::Pong),
        case(
            "6.7 PING on a stream",
            frame(kind::PING, flag::NONE, 1, PING),
            Must::End(PROTOCOL),
        ),
        case("6.7 PING of 6 bytes", sized(6), Must::End(BAD_LENGTH)),
        case("6.7 PING of 9 bytes", sized(9), Must::End(BAD_LENGTH)),
        case(
            "6.8 GOAWAY",
            all(&[goaway(0, code::NO_ERROR), ping(PING)]),
            Must::PongOrEnd,
        ),
        case(
            "6.8 GOAWAY on a stream",
            frame(kind::GOAWAY, flag::NONE, 1, [0; 8]),
            Must::End(PROTOCOL),
        ),
        case(
            "6.8 GOAWAY of 7 bytes",
            frame(kind::GOAWAY, flag::NONE, 0, [0; 7]),
            Must::End(BAD_LENGTH),
        ),
        case(
            "6.8 GOAWAY leaves what runs",
            all(&[get(1, "/"), goaway(0, code::NO_ERROR)]),
            Must::Answer,
        ),
        case(
            "7 GOAWAY with an unknown code",
            all(&[goaway(0, 0xff), ping(PING)]),
            Must::PongOrEnd,
        ),
        case(
            "8.4 PUSH_PROMISE",
            frame(
                kind::PUSH_PROMISE,
                flag::END_HEADERS,
                1,
                [&[0, 0, 0, 3][..], &request("GET", "/")].concat(),
            ),
            Must::End(PROTOCOL),
        ),
    ];
    on_both_drivers(|driver| run(driver, &cases));
}

#[test]
fn an_acknowledgement_of_ping_is_not_answered() {
    on_both_drivers(|driver| {
        let origin = Origin::echo("v1");
        let gateway = Gateway::start(driver, &Config::new().service("v1", &[origin.address()]));
        let mut peer = Peer::connect(gateway.address());
        peer.send([frame(kind::PING, flag::ACK, 0, *b"not this"), ping(PING)].concat());
        let first = peer.wait(|frame| frame.kind == kind::PING).expect("an answer");
        assert_eq!(first.payload, PING);
    });
}

#[test]
fn continuation_frames() {
    let whole = request("GET", "/");
    let (first, rest) = whole.split_at(5);
    let (second, third) = rest.split_at(5);
    let start = || headers(1, flag::END_STREAM, first);
    let body = headers(1, flag::NONE, request("POST", "/"));
    let cases = [
        case(
            "6.10 one",
            all(&[start(), continuation(1, flag::END_HEADERS, rest)]),
            Must::Answer,
        ),
        case(
            "6.10 two",
            all(&[
                start(),
                continuation(1, flag::NONE, second),
                continuation(1, flag::END_HEADERS, third),
            ]),
            Must::Answer,
        ),
        case(
            "6.10 two more fields",
            all(&[begun(), more(flag::NONE), more(flag::END_HEADERS)]),
            Must::Answer,
        ),
        case(
            "6.10 then DATA",
            all(&[body.clone(), more(flag::NONE), data(1, flag::END_STREAM, "test")]),
            Must::End(PROTOCOL),
        ),
        case(
            "6.10 on stream 0",
            all(&[
                begun(),
                continuation(0, flag::END_HEADERS, block(&[("x-more", "1")])),
            ]),
            Must::End(PROTOCOL),
        ),
        case(
            "6.10 after the end of a block",
            all(&[get(1, "/held"), more(flag::END_HEADERS)]),
            Must::End(PROTOCOL),
        ),
        case(
            "6.10 after the end of another one",
            all(&[
                headers(1, flag::END_STREAM, request("GET", "/held")),
                more(flag::END_HEADERS),
                more(flag::END_HEADERS),
            ]),
            Must::End(PROTOCOL),
        ),
        case(
            "6.10 after DATA",
            all(&[body, data(1, flag::END_STREAM, "test"), more(flag::END_HEADERS)]),
            Must::End(PROTOCOL),
        ),
    ];
    on_both_drivers(|driver| run(driver, &cases));
}
