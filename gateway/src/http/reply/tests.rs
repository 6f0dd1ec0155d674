//! Tests of `reply`.

use super::*;

const REPLY: Reply<'_> = Reply {
    status: 404,
    body: b"no route\n",
    to_head: false,
    client_version: Version::V11,
    connection: Connection::KeepAlive,
    date: "now",
};

fn written(reply: &Reply<'_>, fields: &[(&str, &str)]) -> String {
    let mut out = Vec::new();
    write_reply(&mut out, reply, fields.iter().copied());
    String::from_utf8(out).unwrap()
}

#[test]
fn a_reply_is_plain_text_unless_it_says_otherwise() {
    assert_eq!(
        written(&REPLY, &[]),
        "HTTP/1.1 404 Not Found\r\ndate: now\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: 9\r\n\r\nno route\n"
    );
    assert_eq!(
        written(
            &REPLY,
            &[("Content-Type", "a/b"), ("content-length", "3"), ("x", "y")]
        ),
        "HTTP/1.1 404 Not Found\r\nContent-Type: a/b\r\nx: y\r\ndate: now\r\ncontent-length: 9\r\n\r\nno route\n"
    );
}

#[test]
fn a_reply_to_head_only_describes_its_body() {
    let reply = Reply {
        to_head: true,
        connection: Connection::Close,
        ..REPLY
    };
    assert_eq!(
        written(&reply, &[]),
        "HTTP/1.1 404 Not Found\r\ndate: now\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: 9\r\n\
         connection: close\r\n\r\n"
    );
}

#[test]
fn a_reply_without_content_has_no_length() {
    let reply = Reply {
        status: 204,
        client_version: Version::V10,
        ..REPLY
    };
    assert_eq!(
        written(&reply, &[]),
        "HTTP/1.1 204 No Content\r\ndate: now\r\nconnection: keep-alive\r\n\r\n"
    );
    let reply = Reply {
        status: 599,
        body: b"",
        ..REPLY
    };
    assert_eq!(
        written(&reply, &[]),
        "HTTP/1.1 599 \r\ndate: now\r\ncontent-length: 0\r\n\r\n"
    );
}
