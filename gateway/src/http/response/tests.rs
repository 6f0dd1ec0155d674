//! Tests of `response`.

use super::*;

const LIMITS: HeadLimits = HeadLimits {
    bytes_max: 4096,
    fields_max: 20,
};

fn parse(head: &str, asked: Asked<'_>) -> ResponseHead {
    let mut response = ResponseHead::default();
    let progress = response.parse(head.as_bytes(), &mut Scan::default(), &LIMITS, asked);
    assert_eq!(
        progress,
        Ok(Progress::Complete {
            head_bytes: head.len()
        }),
        "{head}"
    );
    response
}

#[test]
fn a_head_may_come_byte_by_byte() {
    let head = b"HTTP/1.1 404 Not Found\r\nContent-Length: 3\r\n\r\nabc";
    let whole = head.len() - 3;
    let mut response = ResponseHead::default();
    let mut scan = Scan::default();
    for end in 0..whole {
        let progress = response.parse(&head[..end], &mut scan, &LIMITS, Asked::default());
        assert_eq!(progress, Ok(Progress::Incomplete), "{end}");
    }
    let progress = response.parse(head, &mut scan, &LIMITS, Asked::default());
    assert_eq!(progress, Ok(Progress::Complete { head_bytes: whole }));
    assert_eq!(
        (response.status(), response.status_text()),
        (404, &b"404 Not Found"[..])
    );
}

#[test]
fn the_framing_depends_on_request_and_status() {
    let framing = |head: &str, asked| parse(head, asked).framing();
    let (get, head) = (
        Asked::default(),
        Asked {
            head: true,
            upgrade: None,
        },
    );
    assert_eq!(
        framing("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", get),
        Framing::Length(5)
    );
    assert_eq!(
        framing("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", get),
        Framing::Chunked
    );
    assert_eq!(
        framing("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", head),
        Framing::None
    );
    assert_eq!(framing("HTTP/1.1 200 OK\r\n\r\n", get), Framing::UntilClose);
    assert_eq!(framing("HTTP/1.1 200 OK\r\n\r\n", head), Framing::None);
    assert_eq!(framing("HTTP/1.1 204\r\n\r\n", get), Framing::None);
    assert_eq!(framing("HTTP/1.1 304\r\n\r\n", get), Framing::None);
    assert_eq!(framing("HTTP/1.1 100\r\n\r\n", get), Framing::None);
}

#[test]
fn the_connection_may_live_on_if_nothing_speaks_against_it() {
    let keeps = |head: &str| parse(head, Asked::default()).keeps_alive();
    assert!(keeps("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"));
    assert!(!keeps("HTTP/1.1 200 OK\r\n\r\n"));
    assert!(!keeps(
        "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
    ));
    assert!(!keeps("HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n"));
    assert!(keeps(
        "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 0\r\n\r\n"
    ));
}

#[test]
fn interim_responses_are_told_from_a_switch() {
    assert!(parse("HTTP/1.1 100 Continue\r\n\r\n", Asked::default()).is_interim());
    assert!(parse("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n", Asked::default()).is_interim());
    let asked = Asked {
        head: false,
        upgrade: Some(b"websocket"),
    };
    let switch = parse(
        "HTTP/1.1 101 S\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
        asked,
    );
    assert!(!switch.is_interim());
    assert!(!switch.keeps_alive());
    assert_eq!(switch.upgrade(), Some(&b"websocket"[..]));
}
