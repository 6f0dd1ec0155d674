//! Windows of HTTP/2 (RFC 9113 6.9): what widens and narrows them, and that no answer runs past them.

use crate::harness::{
    conformance::{BAD_LENGTH, BAD_WINDOW, Event, Must, PING, case, run},
    frames::{WINDOW_MAX, code, flag, frame, get, kind, ping, post, setting, settings, window_update},
    on_both_drivers,
};

const PROTOCOL: &[u32] = &[code::PROTOCOL_ERROR];
const FLOW: &[u32] = &[code::FLOW_CONTROL_ERROR];

fn all(frames: &[Vec<u8>]) -> Vec<u8> {
    frames.concat()
}

#[test]
fn window_update_frames() {
    let held = || post(1, "/held");
    let sized = |length: usize| frame(kind::WINDOW_UPDATE, flag::NONE, 0, vec![1; length]);
    let twice = |stream| {
        [
            window_update(stream, WINDOW_MAX),
            window_update(stream, WINDOW_MAX),
        ]
        .concat()
    };
    let window = |size| settings(&[(setting::INITIAL_WINDOW_SIZE, size)]);
    let cases = [
        case(
            "6.9 of the connection",
            all(&[window_update(0, 1), ping(PING)]),
            Must::Pong,
        ),
        case(
            "6.9 of a stream",
            all(&[get(1, "/"), window_update(1, 1)]),
            Must::Answer,
        ),
        case(
            "6.9 none for the connection",
            window_update(0, 0),
            Must::End(PROTOCOL),
        ),
        case(
            "6.9 none for a stream",
            all(&[held(), window_update(1, 0)]),
            Must::Reset(PROTOCOL),
        ),
        case("6.9 WINDOW_UPDATE of 3 bytes", sized(3), Must::End(BAD_LENGTH)),
        case("6.9 WINDOW_UPDATE of 5 bytes", sized(5), Must::End(BAD_LENGTH)),
        case("6.9.1 a window of 1", window(1), Must::Data(1)).after(Event::Acknowledged, get(1, "/")),
        case("6.9.1 too much for the connection", twice(0), Must::End(FLOW)),
        case(
            "6.9.1 too much for a stream",
            all(&[held(), twice(1)]),
            Must::ResetOnly(code::FLOW_CONTROL_ERROR),
        ),
        case("6.9.2 a window grows under a stream", window(0), Must::Data(1))
            .after(Event::Acknowledged, all(&[get(1, "/"), window(1)])),
        case("6.9.2 and shrinks below nothing", window(3), Must::Data(1))
            .after(Event::Acknowledged, get(1, "/"))
            .after(Event::Data, window(2))
            .after(Event::Acknowledged, window_update(1, 2)),
        case(
            "6.9.2 an initial window too large",
            window(1 << 31),
            Must::End(BAD_WINDOW),
        ),
        case(
            "6.9.2 one that overflows a stream's",
            all(&[held(), window_update(1, WINDOW_MAX - 65_535), window(65_536)]),
            Must::End(FLOW),
        ),
    ];
    on_both_drivers(|driver| run(driver, &cases));
}
