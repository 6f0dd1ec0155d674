//! Tests of `request`.

use super::*;
use crate::http::HeadLimits;

const LIMITS: RequestLimits = RequestLimits {
    head: HeadLimits {
        bytes_max: 4096,
        fields_max: 20,
    },
    target_bytes_max: 512,
    path: sluice_config::model::PathPolicy {
        keep_encoded_slashes: false,
    },
};

fn parse(head: &str) -> RequestHead {
    let mut request = RequestHead::default();
    let progress = request.parse(head.as_bytes(), &mut Scan::default(), &LIMITS);
    assert_eq!(
        progress,
        Ok(Progress::Complete {
            head_bytes: head.len()
        })
    );
    request
}

#[test]
fn a_head_may_come_byte_by_byte() {
    let head = b"\r\nPOST /a?b HTTP/1.1\r\nHost: a.b:8\r\nContent-Length: 3\r\nX: y\r\n\r\nabcGET";
    let whole = head.len() - 6;
    let mut request = RequestHead::default();
    let mut scan = Scan::default();
    for end in 0..whole {
        assert_eq!(
            request.parse(&head[..end], &mut scan, &LIMITS),
            Ok(Progress::Incomplete),
            "{end}"
        );
    }
    assert_eq!(
        request.parse(head, &mut scan, &LIMITS),
        Ok(Progress::Complete { head_bytes: whole })
    );
    assert_eq!(
        (request.method(), request.target(), request.host()),
        ("POST", "/a?b", "a.b")
    );
    assert_eq!((request.port(), request.framing()), (Some(8), Framing::Length(3)));
    assert_eq!(request.header("x").as_deref(), Some(&b"y"[..]));
}

#[test]
fn nothing_is_left_of_the_request_before() {
    let mut request = parse(
        "BREW http://b:1/x?y HTTP/1.1\r\nHost: a\r\nConnection: close\r\nExpect: 100-continue\r\nTransfer-Encoding: chunked\r\nA_b: c\r\n\r\n",
    );
    assert_eq!((request.method_kind(), request.method()), (Method::Other, "BREW"));
    request.reset();
    let head = b"GET / HTTP/1.0\r\n\r\n";
    request.parse(head, &mut Scan::default(), &LIMITS).unwrap();
    assert_eq!((request.method(), request.version()), ("GET", Version::V10));
    assert_eq!(
        (request.host(), request.port(), request.query()),
        ("", None, None)
    );
    assert_eq!(
        (request.framing(), request.expects_continue(), request.dropped()),
        (Framing::None, false, 0)
    );
    assert!(!request.connection.close);
    assert_eq!(request.fields().iter().count(), 0);
}

#[test]
fn keep_alive_depends_on_the_version() {
    let keeps = |version: &str, connection: &str| {
        parse(&format!(
            "GET / HTTP/{version}\r\nHost: a\r\nConnection: {connection}\r\n\r\n"
        ))
        .wants_keep_alive()
    };
    assert!(keeps("1.1", ""));
    assert!(keeps("1.1", "x"));
    assert!(!keeps("1.1", "keep-alive, Close"));
    assert!(!keeps("1.0", ""));
    assert!(keeps("1.0", "Keep-Alive"));
    assert!(!keeps("1.0", "keep-alive, close"));
}

#[test]
fn several_values_are_one_list() {
    let request = parse(
        "GET / HTTP/1.1\r\nHost: a\r\nAccept: x\r\nCookie: a=1\r\naccept: y\r\nCookie: b=\"2\"\r\n\r\n",
    );
    assert_eq!(request.header("accept").as_deref(), Some(&b"x, y"[..]));
    assert_eq!(request.header("cookie").as_deref(), Some(&b"a=1; b=\"2\""[..]));
    assert_eq!(request.header("host").as_deref(), Some(&b"a"[..]));
    assert_eq!(request.header("absent"), None);
}

#[test]
fn cookies_are_found_by_name() {
    let request = parse("GET / HTTP/1.1\r\nHost: a\r\nCookie: ab=0; a=1;b=\"2\"\r\nCookie: a=3; c=\r\n\r\n");
    assert_eq!(request.cookie("a"), Some(&b"1"[..]));
    assert_eq!(request.cookie("b"), Some(&b"2"[..]));
    assert_eq!(request.cookie("c"), Some(&b""[..]));
    assert_eq!(request.cookie("d"), None);
    assert_eq!(request.cookie("A"), None);
}

#[test]
fn a_request_id_is_kept_if_it_is_sane() {
    let id = |lines: &str| {
        let request = parse(&format!("GET / HTTP/1.1\r\nHost: a\r\n{lines}\r\n"));
        request
            .request_id()
            .map(|id| String::from_utf8(id.to_vec()).unwrap())
    };
    assert_eq!(id("X-Request-ID: a-1\r\n").as_deref(), Some("a-1"));
    assert_eq!(id(""), None);
    assert_eq!(id("x-request-id:\r\n"), None);
    assert_eq!(id("x-request-id: a b\r\n"), None);
    assert_eq!(id("x-request-id: a\r\nx-request-id: a\r\n"), None);
    assert_eq!(id(&format!("x-request-id: {}\r\n", "a".repeat(129))), None);
}
