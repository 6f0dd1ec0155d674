//! HTTP/2 requests that would be two requests, or another one, in HTTP/1.1 (RFC 9113 8.2, 8.3, 10.3): refused before a
//! byte reaches an origin. What is served arrives as one clean HTTP/1.1 request.

use std::thread;

use crate::harness::{
    Config, Driver, Gateway, Origin,
    frames::{code, flag, headers},
    hpack::block,
    on_both_drivers,
    peer::{Lost, Peer},
};

/// A name and a value, of any bytes.
type Bytes<'a> = (&'a [u8], &'a [u8]);

const METHOD: Bytes<'_> = (b":method", b"GET");
const SCHEME: Bytes<'_> = (b":scheme", b"http");
const PATH: Bytes<'_> = (b":path", b"/");
const AUTHORITY: Bytes<'_> = (b":authority", b"h");

fn start(driver: Driver) -> (Origin, Gateway) {
    let origin = Origin::echo("v1");
    let gateway = Gateway::start(driver, &Config::new().service("v1", &[origin.address()]));
    (origin, gateway)
}

/// Sends each of `requests`, frames of stream 1, on a connection of its own: reset for what it is, or an answer that refuses
/// it, while the connection goes on.
fn all_refused(requests: &[(String, Vec<u8>)]) {
    on_both_drivers(|driver| {
        let (origin, gateway) = start(driver);
        let refuse = |frames: &[u8]| {
            let mut peer = Peer::connect(gateway.address());
            peer.send(frames);
            match peer.answer(1) {
                Ok(answer) if matches!(answer.status, 400 | 405 | 421 | 431 | 501) => {}
                Err(Lost::Reset(code::PROTOCOL_ERROR)) => {}
                Err(Lost::Ended(code::PROTOCOL_ERROR)) => return None,
                Ok(answer) => return Some(format!("answered with {}", answer.status)),
                Err(lost) => return Some(format!("{lost:?}")),
            }
            (!peer.is_alive()).then(|| "the connection was lost".to_owned())
        };
        let mut failures: Vec<String> = thread::scope(|scope| {
            let refuse = &refuse;
            let threads: Vec<_> = requests
                .iter()
                .map(|(shown, frames)| (shown, scope.spawn(move || refuse(frames))))
                .collect();
            threads
                .into_iter()
                .filter_map(|(shown, thread)| {
                    let came = thread.join().expect("a verdict")?;
                    Some(format!("{shown}: {came}"))
                })
                .collect()
        });
        let reached = origin.bytes();
        if !reached.is_empty() {
            failures.push(format!("let through {:?}", String::from_utf8_lossy(&reached)));
        }
        assert!(failures.is_empty(), "{}", failures.join("\n"));
        assert_eq!(gateway.get("h", "/after").backend(), "v1", "others are served");
    });
}

fn shown(fields: &[Bytes<'_>]) -> String {
    let field = |(name, value): &Bytes<'_>| format!("{}: {}", name.escape_ascii(), value.escape_ascii());
    fields.iter().map(field).collect::<Vec<_>>().join(" | ")
}

fn whole(fields: &[Bytes<'_>]) -> (String, Vec<u8>) {
    (shown(fields), headers(1, flag::END_BOTH, block(fields)))
}

/// Ordinary requests, each with one further field.
fn with(fields: &[Bytes<'_>]) -> Vec<(String, Vec<u8>)> {
    let one = |field: &Bytes<'_>| whole(&[METHOD, SCHEME, PATH, AUTHORITY, *field]);
    fields.iter().map(one).collect()
}

/// Ordinary requests, each with another value of the pseudo-header field `name`.
fn instead(name: &[u8], values: &[&[u8]]) -> Vec<(String, Vec<u8>)> {
    let one = |value: &&[u8]| {
        let fields = [METHOD, SCHEME, PATH, AUTHORITY];
        whole(&fields.map(|field| if field.0 == name { (field.0, *value) } else { field }))
    };
    values.iter().map(one).collect()
}

#[test]
fn values_that_would_end_a_line_are_refused() {
    all_refused(&with(&[
        (b"x-a", b"1\r\nx-smuggled: 1"),
        (b"x-a", b"1\r\n\r\nGET /smuggled HTTP/1.1\r\nhost: h\r\n\r\n"),
        (b"x-a", b"1\nx-smuggled: 1"),
        (b"x-a", b"1\rx-smuggled: 1"),
        (b"x-a", b"1\r\n"),
        (b"x-a", b"\r\n1"),
        (b"x-a", b"1\x002"),
        (b"x-a", b"\0"),
        (b"x-a", b"a\x01b"),
        (b"x-a", b"a\x7fb"),
        (b"cookie", b"a=b\r\nx-smuggled: 1"),
        (b"host", b"h\r\nx-smuggled: 1"),
    ]));
}

#[test]
fn names_that_are_no_token_in_lower_case_are_refused() {
    all_refused(&with(&[
        (b"X-Upper", b"1"),
        (b"x-uppeR", b"1"),
        (b"x-a: 1\r\nx-smuggled", b"1"),
        (b"x-a\r\n", b"1"),
        (b"x-a\n", b"1"),
        (b"x-a\r", b"1"),
        (b"x-a\0", b"1"),
        (b"x-a ", b"1"),
        (b" x-a", b"1"),
        (b"x a", b"1"),
        (b"x-a\t", b"1"),
        (b"x-a:", b"1"),
        (b"x:a", b"1"),
        (b"transfer-encoding:", b"chunked"),
        (b"content-length ", b"5"),
        (b"", b"1"),
        (b":", b"1"),
        (b"x-\xe4", b"1"),
        (b"x-a\x7f", b"1"),
        (b"x(a)", b"1"),
        (b"\"x\"", b"1"),
    ]));
}

#[test]
fn fields_of_the_connection_are_refused() {
    all_refused(&with(&[
        (b"connection", b"close"),
        (b"connection", b"x-a"),
        (b"connection", b"upgrade"),
        (b"keep-alive", b"timeout=5"),
        (b"proxy-connection", b"keep-alive"),
        (b"transfer-encoding", b"chunked"),
        (b"transfer-encoding", b"identity"),
        (b"upgrade", b"h2c"),
        (b"upgrade", b"websocket"),
        (b"te", b"gzip"),
        (b"te", b"chunked"),
        (b"te", b"trailers, gzip"),
    ]));
}

#[test]
fn a_path_that_is_not_one_target_is_refused() {
    all_refused(&instead(
        b":path",
        &[
            b"",
            b"x",
            b"*",
            b"/ HTTP/1.1\r\nhost: h\r\n\r\nGET /smuggled",
            b"/ HTTP/1.1",
            b"/a b",
            b"/a\tb",
            b"/a\r\nb",
            b"/a\nb",
            b"/a\rb",
            b"/a\0b",
            b"/a\x7fb",
            b" /",
            b"/ ",
            b"http://other/",
            b"h:80",
        ],
    ));
}

#[test]
fn a_method_that_is_no_token_is_refused() {
    all_refused(&instead(
        b":method",
        &[
            b"",
            b"GET ",
            b" GET",
            b"GET /smuggled HTTP/1.1\r\nhost: h\r\n\r\nGET",
            b"GET /x",
            b"GET\t",
            b"GET\r\n",
            b"GET\0",
            b"G(T",
            b"GET:",
            b"G\xe4T",
            b"CONNECT",
        ],
    ));
}

#[test]
fn an_authority_that_is_not_a_host_is_refused() {
    all_refused(&instead(
        b":authority",
        &[
            b"h/evil",
            b"h/evil HTTP/1.1\r\nx: y",
            b"user@h",
            b"user:password@h",
            b"h evil",
            b" h",
            b"h\t",
            b"h\r\nx-smuggled: 1",
            b"h\nx: 1",
            b"h\0",
            b"h?x",
            b"h#x",
            b"h\\x",
            b"h, other",
            b"h:x",
            b"h:99999",
            b"h:80:80",
            b"h:-1",
            b"[::1",
            b"::1",
            b"http://h",
        ],
    ));
}

#[test]
fn a_scheme_that_is_none_is_refused() {
    all_refused(&instead(
        b":scheme",
        &[
            b"",
            b"ht tp",
            b"http://h/",
            b"http\r\nx-smuggled: 1",
            b"http\0",
            b"1",
            b"ftp",
        ],
    ));
}

#[test]
fn pseudo_headers_that_are_missing_double_late_or_unknown_are_refused() {
    let field: Bytes<'_> = (b"x-a", b"1");
    let connect: Bytes<'_> = (b":method", b"CONNECT");
    all_refused(&[
        whole(&[SCHEME, PATH, AUTHORITY]),
        whole(&[METHOD, PATH, AUTHORITY]),
        whole(&[METHOD, SCHEME, AUTHORITY]),
        whole(&[METHOD, SCHEME, PATH]),
        whole(&[field]),
        whole(&[METHOD, SCHEME, PATH, AUTHORITY, METHOD]),
        whole(&[METHOD, SCHEME, PATH, AUTHORITY, SCHEME]),
        whole(&[METHOD, SCHEME, PATH, AUTHORITY, PATH]),
        whole(&[METHOD, SCHEME, PATH, AUTHORITY, AUTHORITY]),
        whole(&[METHOD, SCHEME, PATH, AUTHORITY, (b":path", b"/other")]),
        whole(&[field, METHOD, SCHEME, PATH, AUTHORITY]),
        whole(&[METHOD, SCHEME, PATH, field, AUTHORITY]),
        whole(&[METHOD, SCHEME, PATH, AUTHORITY, (b":unknown", b"1")]),
        whole(&[METHOD, SCHEME, PATH, AUTHORITY, (b":status", b"200")]),
        whole(&[METHOD, SCHEME, PATH, AUTHORITY, (b":Path", b"/")]),
        whole(&[METHOD, SCHEME, PATH, AUTHORITY, (b":protocol", b"websocket")]),
        whole(&[connect, SCHEME, PATH, AUTHORITY, (b":protocol", b"connect-udp")]),
        whole(&[connect, AUTHORITY]),
        whole(&[METHOD, SCHEME, PATH, AUTHORITY, (b"host", b"h"), (b"host", b"h")]),
    ]);
}
