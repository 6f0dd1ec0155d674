//! Floods of HTTP/2 frames to be answered or to be ignored (CVE-2019-9511 to 9518), by clients that do not read: memory
//! stays within its bound, and others are served meanwhile.

use crate::harness::{
    self, Config, Driver, Gateway, Origin,
    flood::{bounded, press},
    frames::{
        WINDOW_MAX, code, data, flag, frame, get, headers, kind, ping, post, priority, request_with,
        rst_stream, setting, settings, window_update,
    },
    on_both_drivers,
    peer::Peer,
};

/// Answers `/large` with 4 MiB, `/held` never, and everything else at once.
fn start(driver: Driver) -> (Origin, Gateway) {
    let large = harness::ok(vec![b'x'; 4 << 20]);
    let origin = Origin::serving(move |mut connection| {
        while let Some(request) = connection.request() {
            match request.target() {
                "/held" => drop(connection.wait_close()),
                "/large" => drop(connection.send(&large)),
                _ => drop(connection.send(harness::ok("well"))),
            }
        }
    });
    let gateway = Gateway::start(driver, &Config::new().service("v1", &[origin.address()]));
    (origin, gateway)
}

/// Presses `frames` so many times, after `first`, on a gateway whose answers nobody reads.
fn unread(what: &str, first: Vec<u8>, frames: &[u8], count: usize) {
    let all = [first, frames.repeat(count)].concat();
    on_both_drivers(|driver| {
        let (_origin, gateway) = start(driver);
        bounded(&gateway, what, || {
            let mut peer = Peer::connect(gateway.address());
            press(&mut peer, &all);
            harness::flood::assert_serves(&gateway, what);
        });
    });
}

#[test]
fn settings_floods() {
    unread("empty SETTINGS", Vec::new(), &settings(&[]), 300_000);
    let windows = settings(&[
        (setting::INITIAL_WINDOW_SIZE, 0),
        (setting::INITIAL_WINDOW_SIZE, 65_535),
    ]);
    unread("SETTINGS of windows", post(1, "/held"), &windows, 200_000);
    unread("large SETTINGS", Vec::new(), &settings(&[(0xff, 1); 2000]), 500);
}

#[test]
fn ping_floods() {
    unread("PING", Vec::new(), &ping([0; 8]), 300_000);
}

#[test]
fn floods_that_are_not_answered() {
    unread("PRIORITY", Vec::new(), &priority(1, 0, 1), 300_000);
    let far: Vec<u8> = (0..100_000).flat_map(|nth| priority(2 * nth + 1, 0, 1)).collect();
    unread("PRIORITY of ever other streams", Vec::new(), &far, 1);
    unread(
        "WINDOW_UPDATE of the connection",
        Vec::new(),
        &window_update(0, 1),
        300_000,
    );
    unread(
        "WINDOW_UPDATE of a stream",
        post(1, "/held"),
        &window_update(1, 1),
        300_000,
    );
    unread(
        "unknown frames",
        Vec::new(),
        &frame(0x16, flag::NONE, 0, []),
        300_000,
    );
    unread(
        "large unknown frames",
        Vec::new(),
        &frame(0x16, flag::NONE, 1, [0; 16_384]),
        2000,
    );
    unread(
        "GOAWAY",
        Vec::new(),
        &harness::frames::goaway(0, code::NO_ERROR),
        100_000,
    );
}

#[test]
fn floods_of_data() {
    unread("empty DATA", post(1, "/held"), &data(1, flag::NONE, []), 300_000);
    let padding = frame(kind::DATA, flag::PADDED, 1, [0]);
    unread("DATA of padding alone", post(1, "/held"), &padding, 60_000);
    unread(
        "DATA of a byte",
        post(1, "/held"),
        &data(1, flag::NONE, "x"),
        60_000,
    );
}

#[test]
fn floods_of_resets() {
    let over = [post(1, "/held"), rst_stream(1, code::CANCEL)].concat();
    unread(
        "RST_STREAM of one stream",
        over,
        &rst_stream(1, code::CANCEL),
        300_000,
    );
    let each = |attack: fn(u32) -> Vec<u8>| {
        (0..10_000)
            .flat_map(|nth| attack(2 * nth + 1))
            .collect::<Vec<u8>>()
    };
    let reset = each(|stream| [get(stream, "/held"), rst_stream(stream, code::CANCEL)].concat());
    unread("requests and RST_STREAM", Vec::new(), &reset, 1);
    let malformed = each(|stream| {
        headers(
            stream,
            flag::END_BOTH,
            request_with("GET", "/", &[("X-UPPER", "1")]),
        )
    });
    unread("malformed requests", Vec::new(), &malformed, 1);
    let late = each(|stream| [get(stream, "/"), data(stream, flag::END_STREAM, "late")].concat());
    unread("DATA on streams that ended", Vec::new(), &late, 1);
}

#[test]
fn requests_whose_answers_nobody_reads() {
    let small: Vec<u8> = (0..20_000).flat_map(|nth| get(2 * nth + 1, "/")).collect();
    unread("small answers", Vec::new(), &small, 1);
    let wide = [
        settings(&[(setting::INITIAL_WINDOW_SIZE, WINDOW_MAX)]),
        window_update(0, WINDOW_MAX - 65_535),
    ]
    .concat();
    let large: Vec<u8> = (0..100).flat_map(|nth| get(2 * nth + 1, "/large")).collect();
    unread("large answers", wide, &large, 1);
    let closed = settings(&[(setting::INITIAL_WINDOW_SIZE, 0)]);
    unread("large answers behind closed windows", closed, &large, 1);
}
