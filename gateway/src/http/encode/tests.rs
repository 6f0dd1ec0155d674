//! Tests of `encode`.

use serde_json::{from_value, json};
use sluice_config::model::{ForwardCertificate, HeaderEdit, PathPolicy};

use super::*;
use crate::http::{Asked, HeadLimits, RequestLimits, Scan, Scheme};

const HEAD: HeadLimits = HeadLimits {
    bytes_max: 4096,
    fields_max: 40,
};
const REQUEST: RequestLimits = RequestLimits {
    head: HEAD,
    target_bytes_max: 512,
    path: PathPolicy {
        keep_encoded_slashes: false,
    },
};

fn request(head: &str) -> RequestHead {
    let mut request = RequestHead::default();
    request
        .parse(head.as_bytes(), &mut Scan::default(), &REQUEST)
        .unwrap();
    request
}

fn response(head: &str, asked: Asked<'_>) -> ResponseHead {
    let mut response = ResponseHead::default();
    response
        .parse(head.as_bytes(), &mut Scan::default(), &HEAD, asked)
        .unwrap();
    response
}

fn edits(edits: &[(&str, &str, &str)]) -> HeaderEdits {
    let edit = |&(kind, name, value): &(&str, &str, &str)| {
        let name = from_value(json!(name)).unwrap();
        let value = || from_value(json!(value)).unwrap();
        match kind {
            "set" => HeaderEdit::Set(name, value()),
            "add" => HeaderEdit::Add(name, value()),
            _ => HeaderEdit::Remove(name),
        }
    };
    HeaderEdits::merge(&edits.iter().map(edit).collect::<Vec<_>>(), &[])
}

/// What goes to the backend, with `change` to how it goes.
fn sent(head: &str, edits: &HeaderEdits, change: impl FnOnce(&mut OutgoingRequest<'_>)) -> String {
    let mut request = request(head);
    let forwarded = Forwarded::read(
        &mut request,
        "192.0.2.1".parse().unwrap(),
        &[],
        Scheme::Http,
        ForwardCertificate::None,
    );
    let mut outgoing = OutgoingRequest {
        path: request.path(),
        host: request.authority(),
        edits,
        forwarded: &forwarded,
        certificate: None,
        request_id: b"id",
        framing: request.framing(),
        upgrade: false,
        expect_continue: false,
    };
    change(&mut outgoing);
    let mut out = Vec::new();
    write_request_head(&mut out, &request, &outgoing);
    String::from_utf8(out).unwrap()
}

fn answered(
    response: &ResponseHead,
    edits: &HeaderEdits,
    version: Version,
    connection: Connection,
) -> String {
    let outgoing = OutgoingResponse {
        client_version: version,
        edits,
        framing: response.framing().towards(version),
        connection,
        date: "now",
    };
    let mut out = Vec::new();
    write_response_head(&mut out, response, &outgoing);
    String::from_utf8(out).unwrap()
}

const OWN: &str =
    "x-forwarded-for: 192.0.2.1\r\nx-forwarded-proto: http\r\nx-forwarded-host: a\r\nx-request-id: id\r\n";

#[test]
fn a_request_keeps_order_and_case_and_loses_what_was_for_one_hop() {
    let head = "POST http://A/x//y?q HTTP/1.1\r\nUser-Agent: u\r\nHost: b\r\nAccept:*/*\r\nX-Empty:\r\nX-Space:  s \r\n\
        Connection: close, X-Listed\r\nX-Listed: l\r\nKeep-Alive: 5\r\nTE: trailers\r\nProxy-Authorization: p\r\n\
        Proxy-Connection: keep-alive\r\nProxy: http://evil\r\nUpgrade: h2c\r\nHTTP2-Settings: AA\r\nTrailer: X-T\r\n\
        X_U: u\r\nX-Request-Id: r\r\nX-Real-IP: 1.1.1.1\r\nExpect: 100-continue\r\nTransfer-Encoding: chunked\r\n\
        Cookie: a=b\r\nAccept: text/html\r\n\r\n";
    assert_eq!(
        sent(head, &HeaderEdits::default(), |_| ()),
        format!(
            "POST /x/y?q HTTP/1.1\r\nhost: a\r\nUser-Agent: u\r\nAccept: */*\r\nX-Empty: \r\nX-Space: s\r\nTrailer: X-T\r\n\
             Cookie: a=b\r\nAccept: text/html\r\n{OWN}transfer-encoding: chunked\r\n\r\n"
        )
    );
}

#[test]
fn a_request_is_rewritten_as_the_route_wants() {
    let head = "PUT /a?q HTTP/1.1\r\nHost: a\r\nX-A: 1\r\nX-B: 2\r\nX-C: 3\r\nContent-Length: 07\r\n\r\n";
    let wanted = edits(&[
        ("set", "x-b", "new"),
        ("remove", "x-c", ""),
        ("add", "x-a", "more"),
        ("set", "x-request-id", "mine"),
        ("remove", "x-forwarded-host", ""),
        ("set", "content-length", "99"),
        ("set", "host", "evil"),
    ]);
    let out = sent(head, &wanted, |outgoing| {
        outgoing.path = "/new";
        outgoing.host = "b.example";
        outgoing.expect_continue = true;
    });
    assert_eq!(
        out,
        "PUT /new?q HTTP/1.1\r\nhost: b.example\r\nX-A: 1\r\nx-forwarded-for: 192.0.2.1\r\nx-forwarded-proto: http\r\n\
         x-b: new\r\nx-a: more\r\nx-request-id: mine\r\ncontent-length: 7\r\nexpect: 100-continue\r\n\r\n"
    );
}

#[test]
fn an_upgrade_is_offered_only_if_wanted() {
    let head = "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: k\r\n\r\n";
    let none = HeaderEdits::default();
    let offer = sent(head, &none, |outgoing| outgoing.upgrade = true);
    assert_eq!(
        offer,
        format!(
            "GET / HTTP/1.1\r\nhost: a\r\nSec-WebSocket-Key: k\r\n{OWN}connection: upgrade\r\nupgrade: websocket\r\n\r\n"
        )
    );
    assert!(!sent(head, &none, |_| ()).contains("pgrade"));
}

#[test]
fn a_response_keeps_what_is_end_to_end() {
    let response = response(
        "HTTP/1.0 404 Nope\r\nServer: s\r\nConnection: x-l\r\nX-L: l\r\nKeep-Alive: 5\r\nProxy-Status: p\r\n\
         Content-Length: 3\r\nSet-Cookie: a\r\nSet-Cookie: b\r\n\r\n",
        Asked::default(),
    );
    let none = HeaderEdits::default();
    let fields = "Server: s\r\nProxy-Status: p\r\nSet-Cookie: a\r\nSet-Cookie: b\r\ndate: now\r\ncontent-length: 3\r\n";
    assert_eq!(
        answered(&response, &none, Version::V11, Connection::KeepAlive),
        format!("HTTP/1.1 404 Nope\r\n{fields}\r\n")
    );
    assert_eq!(
        answered(&response, &none, Version::V10, Connection::KeepAlive),
        format!("HTTP/1.1 404 Nope\r\n{fields}connection: keep-alive\r\n\r\n")
    );
    assert_eq!(
        answered(
            &response,
            &edits(&[("remove", "server", ""), ("set", "date", "then")]),
            Version::V11,
            Connection::Close
        ),
        "HTTP/1.1 404 Nope\r\nProxy-Status: p\r\nSet-Cookie: a\r\nSet-Cookie: b\r\ndate: then\r\ncontent-length: 3\r\n\
         connection: close\r\n\r\n"
    );
}

#[test]
fn a_response_is_framed_for_its_client() {
    let none = HeaderEdits::default();
    let framed =
        |head: &str, asked, version| answered(&response(head, asked), &none, version, Connection::Close);
    let tail = |framing: &str| format!("{framing}connection: close\r\n\r\n");
    let chunked = "HTTP/1.1 200 OK\r\nDate: d\r\nTransfer-Encoding: chunked\r\n\r\n";
    let until_close = "HTTP/1.1 200 OK\r\nDate: d\r\n\r\n";
    for head in [chunked, until_close] {
        let new = framed(head, Asked::default(), Version::V11);
        assert_eq!(
            new,
            format!(
                "HTTP/1.1 200 OK\r\nDate: d\r\n{}",
                tail("transfer-encoding: chunked\r\n")
            )
        );
        let old = framed(head, Asked::default(), Version::V10);
        assert_eq!(old, format!("HTTP/1.1 200 OK\r\nDate: d\r\n{}", tail("")));
    }
    let to_head = Asked {
        head: true,
        upgrade: None,
    };
    let described = framed(
        "HTTP/1.1 200 OK\r\nDate: d\r\nContent-Length: 9\r\n\r\n",
        to_head,
        Version::V11,
    );
    assert_eq!(
        described,
        format!("HTTP/1.1 200 OK\r\nDate: d\r\n{}", tail("content-length: 9\r\n"))
    );
    let empty = framed(
        "HTTP/1.1 204 No\r\nDate: d\r\nContent-Length: 0\r\n\r\n",
        Asked::default(),
        Version::V11,
    );
    assert_eq!(empty, format!("HTTP/1.1 204 No\r\nDate: d\r\n{}", tail("")));
}

#[test]
fn a_switch_says_to_what() {
    let asked = Asked {
        head: false,
        upgrade: Some(b"websocket"),
    };
    let switch = response(
        "HTTP/1.1 101 S\r\nUpgrade: websocket\r\nConnection: upgrade\r\nDate: d\r\nSec-WebSocket-Accept: k\r\n\r\n",
        asked,
    );
    assert_eq!(
        answered(
            &switch,
            &HeaderEdits::default(),
            Version::V11,
            Connection::Upgrade
        ),
        "HTTP/1.1 101 S\r\nDate: d\r\nSec-WebSocket-Accept: k\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n"
    );
}

#[test]
fn an_interim_response_has_no_framing() {
    let mut out = Vec::new();
    let hints = response(
        "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\nConnection: close\r\n\r\n",
        Asked::default(),
    );
    write_interim(&mut out, &hints);
    assert_eq!(out, b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n");
}

#[test]
fn numbers_and_addresses_are_written_in_full() {
    for number in [0, 9, 10, 12_345, u64::MAX] {
        let mut out = Vec::new();
        write_number(&mut out, number);
        assert_eq!(out, number.to_string().as_bytes());
    }
    for address in ["0.0.0.0", "255.10.1.0", "2001:db8::1"] {
        let mut out = Vec::new();
        write_address(&mut out, address.parse().unwrap());
        assert_eq!(out, address.as_bytes());
    }
}

#[test]
fn addresses_are_written_as_they_are_read() {
    for text in ["0.0.0.0", "9.10.99.100", "192.0.2.255", "2001:db8::1"] {
        let mut out = Vec::new();
        write_address(&mut out, text.parse().unwrap());
        assert_eq!(out, text.as_bytes());
    }
}
