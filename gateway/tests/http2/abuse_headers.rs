//! Header blocks made to cost: without an end (VU#421644), large only when decoded, many fields for a byte each. Bounded
//! in frames, bytes and fields, and the compression of the connection stays right.

use crate::harness::{
    Config, Driver, Gateway, Origin,
    flood::{Outcome, bounded, flood, flood_to_the_end},
    frames::{FRAME_BYTES, continuation, flag, headers, request, setting},
    hpack::{block, indexed_literal, literal, table_size},
    on_both_drivers,
    peer::{Lost, Peer},
};

/// Header fields a listener takes by default, and what they may come to.
const FIELDS_MAX: usize = 100;
const HEAD_BYTES_MAX: usize = 64 * 1024;

fn start(driver: Driver) -> (Origin, Gateway) {
    let origin = Origin::echo("v1");
    let gateway = Gateway::start(driver, &Config::new().service("v1", &[origin.address()]));
    (origin, gateway)
}

/// A block in frames as large as they may be.
fn whole(stream: u32, block: &[u8]) -> Vec<u8> {
    let mut pieces = block.chunks(FRAME_BYTES).peekable();
    let mut frames = Vec::new();
    let mut is_first = true;
    while let Some(piece) = pieces.next() {
        let end = if pieces.peek().is_none() {
            flag::END_HEADERS
        } else {
            flag::NONE
        };
        frames.extend(if is_first {
            headers(stream, flag::END_STREAM | end, piece)
        } else {
            continuation(stream, end, piece)
        });
        is_first = false;
    }
    frames
}

/// Many times the newest entry of the dynamic table, a byte each.
fn references(count: usize) -> Vec<u8> {
    vec![0x80 | 62; count]
}

/// Sends a block that must not be served: an answer that says so, a reset or the end, and nothing at the origin. Where the
/// connection goes on, so does its compression.
fn refused(driver: Driver, what: &str, block: &[u8]) {
    let (origin, gateway) = start(driver);
    bounded(&gateway, what, || {
        let mut peer = Peer::connect(gateway.address());
        let marked = [block, &indexed_literal("x-mark", "1")].concat();
        peer.send(whole(1, &marked));
        match peer.answer(1) {
            Ok(answer) => assert_eq!(answer.status, 431, "{what}"),
            Err(Lost::Silent) => panic!("{what}: no answer"),
            Err(Lost::Ended(_) | Lost::Closed) => return,
            Err(Lost::Reset(_)) => {}
        }
        // The last entry of the refused block is known: it was decoded to its end.
        let next = [request("GET", "/next"), references(1)].concat();
        peer.send(headers(3, flag::END_BOTH, next));
        let answer = peer.answer(3).expect("the connection goes on");
        assert!(answer.text().contains("x-mark: 1"), "{what}: {}", answer.text());
    });
    let bytes = origin.bytes();
    let seen = String::from_utf8_lossy(&bytes);
    assert!(!seen.contains("/refused"), "{what}: reached the origin");
}

#[test]
fn the_bound_on_heads_is_told() {
    on_both_drivers(|driver| {
        let (_origin, gateway) = start(driver);
        let peer = Peer::connect(gateway.address());
        let bound = peer.setting(setting::MAX_HEADER_LIST_SIZE).expect("a bound");
        assert!(bound <= 128 * 1024, "{bound}");
    });
}

#[test]
fn a_block_without_an_end_ends_the_connection() {
    let start_of = |stream| headers(stream, flag::END_STREAM, request("GET", "/refused"));
    let field = block(&[("x-more", "a".repeat(1000))]);
    let large = field.repeat(16);
    let floods: [(&str, Vec<u8>); 4] = [
        (
            "32 MiB of fields",
            continuation(1, flag::NONE, large).repeat(2000),
        ),
        ("empty frames", continuation(1, flag::NONE, []).repeat(10_000)),
        (
            "frames of a byte",
            continuation(1, flag::NONE, [0]).repeat(10_000),
        ),
        (
            "frames of a field",
            continuation(1, flag::NONE, literal("x", "")).repeat(10_000),
        ),
    ];
    on_both_drivers(|driver| {
        for (what, frames) in &floods {
            let (origin, gateway) = start(driver);
            bounded(&gateway, what, || {
                let mut peer = Peer::connect(gateway.address());
                let outcome = flood_to_the_end(&mut peer, &[start_of(1), frames.clone()].concat());
                assert!(outcome.is_error(), "{what}: {outcome:?}");
            });
            let bytes = origin.bytes();
            assert!(!String::from_utf8_lossy(&bytes).contains("/refused"), "{what}");
        }
    });
}

#[test]
fn a_block_in_too_many_frames_is_refused_and_one_in_a_few_is_served() {
    let pieces = |count: usize| {
        let rest = block(&[("x-more", "1")]);
        let middle = continuation(1, flag::NONE, []).repeat(count - 1);
        [
            headers(1, flag::END_STREAM, request("GET", "/")),
            middle,
            continuation(1, flag::END_HEADERS, rest),
        ]
        .concat()
    };
    on_both_drivers(|driver| {
        let (_origin, gateway) = start(driver);
        let mut peer = Peer::connect(gateway.address());
        peer.send(pieces(4));
        assert_eq!(peer.answer(1).map(|answer| answer.status), Ok(200));
        let outcome = flood_to_the_end(&mut Peer::connect(gateway.address()), &pieces(17));
        assert!(outcome.is_error(), "{outcome:?}");
    });
}

#[test]
fn a_head_too_large_is_431_and_the_connection_goes_on() {
    let large = [
        request("GET", "/refused"),
        literal("x-large", "a".repeat(HEAD_BYTES_MAX)),
    ]
    .concat();
    let many: Vec<_> = (0..=FIELDS_MAX).map(|nth| (format!("x-{nth}"), "1")).collect();
    let many = [request("GET", "/refused"), block(&many)].concat();
    on_both_drivers(|driver| {
        refused(driver, "a head of more than 64 KiB", &large);
        refused(driver, "more than 100 fields", &many);
    });
}

#[test]
fn what_is_large_only_when_decoded_is_refused() {
    let bomb = |name: &str, value: &str, count| {
        [
            request("GET", "/refused"),
            indexed_literal(name, value),
            references(count),
        ]
        .concat()
    };
    let bombs = [
        (
            "a large entry, 16,000 times",
            bomb("x-large", &"a".repeat(4000), 16_000),
        ),
        (
            "a large entry, 60,000 times",
            bomb("x-large", &"a".repeat(4000), 60_000),
        ),
        ("a tiny entry, 16,000 times", bomb("x", "", 16_000)),
        ("a tiny entry, 101 times", bomb("x", "", FIELDS_MAX)),
        ("a crumb, 16,000 times", bomb("cookie", "", 16_000)),
        ("a crumb, 101 times", bomb("cookie", "a=b", FIELDS_MAX)),
    ];
    on_both_drivers(|driver| {
        for (what, block) in &bombs {
            refused(driver, what, block);
        }
    });
}

#[test]
fn bombs_on_every_stream_behind_a_closed_window_are_bounded() {
    on_both_drivers(|driver| {
        let (_origin, gateway) = start(driver);
        bounded(&gateway, "bombs", || {
            let window = [(setting::INITIAL_WINDOW_SIZE, 0)];
            let mut peers: Vec<Peer> = (0..20)
                .map(|_| Peer::connect_with(gateway.address(), &window))
                .collect();
            for peer in &mut peers {
                let entry = [request("GET", "/"), indexed_literal("x", "")].concat();
                let first = headers(1, flag::END_BOTH, entry);
                let rest = (1..100)
                    .map(|nth| whole(2 * nth + 1, &[request("GET", "/"), references(16_000)].concat()));
                // Ended, or each refused.
                let outcome = flood(peer, &[first, rest.flatten().collect()].concat());
                assert_ne!(outcome, Outcome::Hung);
            }
        });
    });
}

#[test]
fn cookie_crumbs_are_one_cookie_to_an_http_1_backend() {
    on_both_drivers(|driver| {
        let (origin, gateway) = start(driver);
        let mut peer = Peer::connect(gateway.address());
        let crumbs: Vec<_> = (0..50).map(|nth| ("cookie", format!("c{nth}=1"))).collect();
        peer.send(headers(
            1,
            flag::END_BOTH,
            [request("GET", "/"), block(&crumbs)].concat(),
        ));
        assert_eq!(peer.answer(1).map(|answer| answer.status), Ok(200));
        let joined: Vec<_> = crumbs.iter().map(|(_, value)| value.as_str()).collect();
        assert_eq!(
            origin.requests()[0].headers("cookie"),
            [joined.join("; ")],
            "RFC 9113 8.2.3"
        );
    });
}

#[test]
fn games_with_the_size_of_the_table_are_bounded() {
    let sizes: Vec<u8> = (0..8000)
        .flat_map(|turn| table_size(if turn % 2 == 0 { 0 } else { 4096 }))
        .collect();
    on_both_drivers(|driver| {
        let (_origin, gateway) = start(driver);
        bounded(&gateway, "sizes of the table", || {
            let mut peer = Peer::connect(gateway.address());
            let games =
                (0..50).map(|nth| whole(2 * nth + 1, &[&sizes[..16_000], &request("GET", "/")].concat()));
            assert_ne!(
                flood(&mut peer, &games.flatten().collect::<Vec<u8>>()),
                Outcome::Hung
            );
        });
    });
}
