//! Requests over HTTP/2 (RFC 9113 8) and their header compression (RFC 7541): what is served, and what is malformed.

use crate::harness::{
    Config, Gateway, Origin,
    conformance::{BAD_BLOCK, Case, Must, case, run},
    frames::{code, data, flag, get, headers, kind, post, request, request_with, setting, settings},
    hpack::{block, integer, literal, table_size},
    on_both_drivers,
    peer::Peer,
};

const MALFORMED: Must = Must::Reset(&[code::PROTOCOL_ERROR]);
const UNDECODABLE: Must = Must::End(BAD_BLOCK);

fn all(frames: &[Vec<u8>]) -> Vec<u8> {
    frames.concat()
}

fn asking(name: &'static str, fields: &[(&str, &str)], must: Must) -> Case {
    case(name, headers(1, flag::END_BOTH, block(fields)), must)
}

/// An ordinary request with further fields.
fn with(name: &'static str, fields: &[(&str, &str)], must: Must) -> Case {
    case(
        name,
        headers(1, flag::END_BOTH, request_with("GET", "/", fields)),
        must,
    )
}

/// An ordinary request with further bytes in its block.
fn coded(name: &'static str, bytes: &[u8], must: Must) -> Case {
    case(
        name,
        headers(1, flag::END_BOTH, [&request("GET", "/"), bytes].concat()),
        must,
    )
}

#[test]
fn requests() {
    let trailers = headers(1, flag::END_BOTH, literal("x-test", "ok"));
    let open = headers(1, flag::END_HEADERS, literal("x-test", "ok"));
    let announced = headers(
        1,
        flag::END_HEADERS,
        request_with("POST", "/", &[("trailer", "x-test")]),
    );
    let cases = [
        case("8.1 GET", get(1, "/"), Must::Answer),
        case(
            "8.1 HEAD",
            headers(1, flag::END_BOTH, request("HEAD", "/")),
            Must::Answer,
        ),
        case(
            "8.1 POST",
            all(&[post(1, "/"), data(1, flag::END_STREAM, "test")]),
            Must::Answer,
        ),
        case(
            "8.1 trailers",
            all(&[announced, data(1, flag::NONE, "test"), trailers.clone()]),
            Must::Answer,
        ),
        case(
            "8.1 trailers without a body",
            all(&[post(1, "/"), trailers]),
            Must::Answer,
        ),
        case(
            "8.1 trailers that do not end it",
            all(&[post(1, "/"), data(1, flag::NONE, "test"), open]),
            MALFORMED,
        ),
    ];
    on_both_drivers(|driver| run(driver, &cases));
}

#[test]
fn malformed_fields() {
    let late = [literal("x-test", "ok"), request("GET", "/")].concat();
    let body = || data(1, flag::NONE, "test");
    let cases = [
        with("8.2 a name in upper case", &[("X-TEST", "ok")], MALFORMED),
        with("8.2.2 connection", &[("connection", "keep-alive")], MALFORMED),
        with(
            "8.2.2 te other than trailers",
            &[("trailers", "test"), ("te", "trailers, deflate")],
            MALFORMED,
        ),
        with("8.2.2 te: trailers", &[("te", "trailers")], Must::Answer),
        with("8.3 an unknown pseudo-header", &[(":test", "ok")], MALFORMED),
        with("8.3 one of answers", &[(":status", "200")], MALFORMED),
        case(
            "8.3 one in trailers that do not end it",
            all(&[
                post(1, "/"),
                body(),
                headers(1, flag::END_HEADERS, literal(":method", "POST")),
            ]),
            MALFORMED,
        ),
        case("8.3 after a field", headers(1, flag::END_BOTH, late), MALFORMED),
    ];
    on_both_drivers(|driver| run(driver, &cases));
}

#[test]
fn malformed_pseudo_headers() {
    let (method, scheme, path) = ((":method", "GET"), (":scheme", "http"), (":path", "/"));
    let authority = (":authority", "h");
    let cases = [
        asking(
            "8.3.1 an empty path",
            &[method, scheme, (":path", ""), authority],
            MALFORMED,
        ),
        asking("8.3.1 no method", &[scheme, path, authority], MALFORMED),
        asking("8.3.1 no scheme", &[method, path, authority], MALFORMED),
        asking("8.3.1 no path", &[method, scheme, authority], MALFORMED),
        with("8.3.1 two methods", &[method], MALFORMED),
        with("8.3.1 two schemes", &[scheme], MALFORMED),
        with("8.3.1 two paths", &[path], MALFORMED),
        with("8.3.1 two authorities", &[authority], MALFORMED),
    ];
    on_both_drivers(|driver| run(driver, &cases));
}

#[test]
fn bodies_of_another_length_than_said() {
    let sized = |length| {
        headers(
            1,
            flag::END_HEADERS,
            request_with("POST", "/", &[("content-length", length)]),
        )
    };
    let last = |text: &str| data(1, flag::END_STREAM, text);
    let cases = [
        case(
            "8.1.1 as long as said",
            all(&[sized("4"), last("test")]),
            Must::Answer,
        ),
        case("8.1.1 longer", all(&[sized("1"), last("test")]), MALFORMED),
        case(
            "8.1.1 longer in two frames",
            all(&[sized("1"), data(1, flag::NONE, "test"), last("test")]),
            MALFORMED,
        ),
        case(
            "8.1.1 longer by the second frame",
            all(&[sized("5"), data(1, flag::NONE, "test"), last("test")]),
            MALFORMED,
        ),
        case("8.1.1 shorter", all(&[sized("5"), last("test")]), MALFORMED),
        case("8.1.1 none", all(&[sized("5"), last("")]), MALFORMED),
        with("8.1.1 none at all", &[("content-length", "5")], MALFORMED),
        case(
            "8.1.1 shorter, with trailers",
            all(&[
                sized("5"),
                data(1, flag::NONE, "test"),
                headers(1, flag::END_BOTH, literal("x-test", "ok")),
            ]),
            MALFORMED,
        ),
    ];
    on_both_drivers(|driver| run(driver, &cases));
}

/// `x-test` and `user-agent` with `h2spec` after them, plain and Huffman-coded.
const PLAIN: [&[u8]; 2] = [b"\x06x-test\x06h2spec", b"\x0auser-agent\x06h2spec"];
const CODED: [&[u8]; 2] = [
    b"\x85\xf2\xb2\x4a\x84\xff\x84\x9c\x48\xac\xa4",
    b"\x87\xb5\x05\xb1\x61\xcc\x5a\x93\x84\x9c\x48\xac\xa4",
];

#[test]
fn every_way_to_write_a_field() {
    let value = b"\x06h2spec";
    let named = |name, first, text: &[u8]| coded(name, &[&[first][..], text].concat(), Must::Answer);
    let sized = |name, sizes: &[usize]| {
        let sizes: Vec<u8> = sizes.iter().flat_map(|size| table_size(*size)).collect();
        case(
            name,
            headers(1, flag::END_BOTH, [sizes, request("GET", "/")].concat()),
            Must::Answer,
        )
    };
    let cases = [
        named("6.1 indexed", 0x80 | 58, b""),
        coded(
            "6.2.1 indexed name",
            &[&integer(0x40, 6, 58)[..], value].concat(),
            Must::Answer,
        ),
        named("6.2.1 new name", 0x40, PLAIN[0]),
        named("6.2.1 another", 0x40, PLAIN[1]),
        named("6.2.1 new name, coded", 0x40, CODED[0]),
        named("6.2.1 another, coded", 0x40, CODED[1]),
        coded(
            "6.2.2 indexed name",
            &[&integer(0, 4, 58)[..], value].concat(),
            Must::Answer,
        ),
        named("6.2.2 new name", 0, PLAIN[0]),
        named("6.2.2 another", 0, PLAIN[1]),
        named("6.2.2 new name, coded", 0, CODED[0]),
        named("6.2.2 another, coded", 0, CODED[1]),
        coded(
            "6.2.3 indexed name",
            &[&integer(0x10, 4, 58)[..], value].concat(),
            Must::Answer,
        ),
        named("6.2.3 new name", 0x10, PLAIN[0]),
        named("6.2.3 another", 0x10, PLAIN[1]),
        named("6.2.3 new name, coded", 0x10, CODED[0]),
        named("6.2.3 another, coded", 0x10, CODED[1]),
        coded(
            "6.1 from the dynamic table",
            &[&[0x40], PLAIN[0], &[0x80 | 62]].concat(),
            Must::Answer,
        ),
        sized("6.3 a new size of the table", &[128]),
        sized("6.3 two", &[128, 4096]),
        sized("6.3 none, and back", &[0, 4096]),
    ];
    on_both_drivers(|driver| run(driver, &cases));
}

#[test]
fn what_cannot_be_decoded_ends_the_connection() {
    let larger = [table_size(4097), request("GET", "/")].concat();
    let huge = [0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f];
    let cases = [
        coded(
            "2.3.3 an index beyond the tables",
            &integer(0x80, 7, 70),
            UNDECODABLE,
        ),
        coded(
            "2.3.3 a name beyond them",
            &[integer(0x40, 6, 70), vec![0]].concat(),
            UNDECODABLE,
        ),
        coded(
            "4.2 a new size of the table at the end",
            &table_size(1),
            UNDECODABLE,
        ),
        coded("5.1 an integer without an end", &huge, UNDECODABLE),
        coded(
            "5.2 a string longer than the block",
            b"\x00\x06x-test\x7f",
            UNDECODABLE,
        ),
        coded(
            "5.2 padding of a byte",
            b"\x00\x85\xf2\xb2\x4a\x84\xff\x84\x49\x50\x9f\xff",
            UNDECODABLE,
        ),
        coded(
            "5.2 padding of zeros",
            b"\x00\x85\xf2\xb2\x4a\x84\xff\x83\x49\x50\x90",
            UNDECODABLE,
        ),
        coded(
            "5.2 the end of string in it",
            b"\x00\x85\xf2\xb2\x4a\x84\xff\x87\x49\x51\xff\xff\xff\xfa\x7f",
            UNDECODABLE,
        ),
        coded("6.1 index 0", &[0x80], UNDECODABLE),
        case(
            "6.3 a table larger than agreed",
            headers(1, flag::END_BOTH, larger),
            UNDECODABLE,
        ),
    ];
    on_both_drivers(|driver| run(driver, &cases));
}

#[test]
fn the_table_of_answers_keeps_to_what_the_client_allows() {
    on_both_drivers(|driver| {
        let origin = Origin::echo("v1");
        let gateway = Gateway::start(driver, &Config::new().service("v1", &[origin.address()]));
        let mut peer = Peer::connect(gateway.address());
        for (turn, size) in [4096, 0, 64, 4096].into_iter().enumerate() {
            peer.send(settings(&[(setting::HEADER_TABLE_SIZE, size)]));
            peer.wait(|frame| frame.kind == kind::SETTINGS)
                .expect("an acknowledgement");
            for request in 0..3 {
                let stream = u32::try_from(turn * 6 + request * 2 + 1).expect("a number");
                let answer = peer.get(stream, "/").expect("an answer");
                assert_eq!((answer.status, answer.headers("x-backend")), (200, vec!["v1"]));
            }
        }
    });
}
