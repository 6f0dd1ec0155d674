//! The catalogue of attacks on messages, row by row: `FAULTS` 2.1, 2.2 and 2.7.

use super::*;

const LIMITS: RequestLimits = RequestLimits {
    head: HeadLimits {
        bytes_max: 32 * 1024,
        fields_max: 100,
    },
    target_bytes_max: 8 * 1024,
    path: PathPolicy {
        keep_encoded_slashes: false,
    },
};

/// What is made of a head that is all there.
fn request(head: &[u8]) -> Result<RequestHead, &'static str> {
    let mut request = RequestHead::default();
    match request.parse(head, &mut Scan::default(), &LIMITS) {
        Ok(Progress::Complete { head_bytes }) => {
            assert_eq!(head_bytes, head.len());
            Ok(request)
        }
        Ok(Progress::Incomplete) => Err("incomplete"),
        Err(bad) => Err(bad.rule),
    }
}

/// The rule that a POST with these field lines breaks.
fn with(lines: &str) -> &'static str {
    let head = format!("POST / HTTP/1.1\r\nHost: a\r\n{lines}\r\n\r\n");
    request(head.as_bytes()).err().unwrap_or("accepted")
}

fn line(request_line: &str) -> &'static str {
    let head = format!("{request_line}\r\nHost: a\r\n\r\n");
    request(head.as_bytes()).err().unwrap_or("accepted")
}

fn response(head: &[u8], asked: Asked<'_>) -> Result<ResponseHead, &'static str> {
    let mut response = ResponseHead::default();
    match response.parse(head, &mut Scan::default(), &LIMITS.head, asked) {
        Ok(Progress::Complete { .. }) => Ok(response),
        Ok(Progress::Incomplete) => Err("incomplete"),
        Err(bad) => Err(bad.rule),
    }
}

fn answer(head: &str) -> &'static str {
    response(head.as_bytes(), Asked::default())
        .err()
        .unwrap_or("accepted")
}

/// The rule a chunked body breaks.
fn chunks(body: &[u8]) -> &'static str {
    let mut reader = BodyReader::new(Framing::Chunked);
    let mut rest = body;
    loop {
        match reader.next(rest) {
            Ok(piece) if piece.end => return "whole",
            Ok(piece) if piece.bytes() == 0 => return "incomplete",
            Ok(piece) => rest = &rest[piece.bytes()..],
            Err(bad) => return bad.rule,
        }
    }
}

#[test]
fn row_content_length_and_transfer_encoding() {
    for lines in [
        "Content-Length: 3\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nContent-Length: 3",
        "transfer-encoding: Chunked\r\nCONTENT-LENGTH: 0",
    ] {
        assert_eq!(with(lines), "content_length_and_transfer_encoding", "{lines}");
    }
}

#[test]
fn row_content_length() {
    for value in [
        "",
        " ",
        "+1",
        "-1",
        "1,1",
        "1, 1",
        "0x1",
        "1a",
        "1 1",
        "1_0",
        "1.0",
        "9223372036854775808",
        "18446744073709551616",
        "99999999999999999999",
        "\u{b2}",
    ] {
        assert_eq!(
            with(&format!("Content-Length: {value}")),
            "content_length",
            "{value:?}"
        );
    }
    assert_eq!(
        with("Content-Length: 1\r\nContent-Length: 2"),
        "content_length_twice"
    );
    assert_eq!(
        with("Content-Length: 1\r\ncontent-length: 1"),
        "content_length_twice"
    );
    assert_eq!(with("Content-Length: 9223372036854775807"), "accepted");
}

#[test]
fn row_transfer_encoding() {
    for (value, rule) in [
        ("xchunked", "transfer_encoding_unknown"),
        ("gzip", "transfer_encoding_unknown"),
        ("identity", "transfer_encoding_unknown"),
        ("chunked, gzip", "transfer_encoding"),
        ("gzip, chunked", "transfer_encoding"),
        ("chunked, chunked", "transfer_encoding"),
        (", chunked", "transfer_encoding"),
        ("chunked,", "transfer_encoding"),
        ("\"chunked\"", "transfer_encoding"),
        ("chunked;q=1", "transfer_encoding"),
        ("chunked chunked", "transfer_encoding"),
        ("", "transfer_encoding"),
        ("\u{b}chunked", "field_value"),
        ("chun\tked", "transfer_encoding"),
    ] {
        assert_eq!(with(&format!("Transfer-Encoding: {value}")), rule, "{value:?}");
    }
    assert_eq!(
        with("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked"),
        "transfer_encoding"
    );
    assert_eq!(
        with("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity"),
        "transfer_encoding"
    );
    assert_eq!(with("Transfer-Encoding:\tCHUNKED \t"), "accepted");
}

#[test]
fn row_transfer_encoding_in_http_1_0() {
    let head = b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n";
    assert_eq!(request(head).err(), Some("transfer_encoding_version"));
}

#[test]
fn row_field_syntax() {
    for lines in [
        "Content-Length : 1",
        "Transfer-Encoding\t: chunked",
        "No colon",
        "nocolon",
        ": value",
        "a(b): c",
        "a\u{e9}: c",
        "a\0: c",
        "a b: c",
        "a\"b: c",
    ] {
        assert_eq!(with(lines), "field_name", "{lines:?}");
    }
}

#[test]
fn row_folded_field() {
    assert_eq!(with("a: b\r\n c"), "folded_field");
    assert_eq!(with("a: b\r\n\tc: d"), "folded_field");
    assert_eq!(
        request(b"GET / HTTP/1.1\r\n Host: a\r\n\r\n").err(),
        Some("folded_field")
    );
}

#[test]
fn row_control_characters() {
    for value in ["a\rb", "a\0b", "a\u{1}b", "a\u{7f}b", "a\u{b}", "\r", "a\r"] {
        assert_eq!(with(&format!("x: {value}")), "field_value", "{value:?}");
    }
    assert_eq!(line("GET /\0 HTTP/1.1"), "request_line");
    assert_eq!(line("GET /a\rb HTTP/1.1"), "request_line");
    assert_eq!(line("GET / HTTP/1.1\r"), "version");
    assert_eq!(with("x: tab\there, and \u{e9}"), "accepted");
}

#[test]
fn row_bare_line_feed() {
    assert_eq!(request(b"GET / HTTP/1.1\nHost: a\n\n").err(), Some("bare_lf"));
    assert_eq!(request(b"GET / HTTP/1.1\r\nHost: a\n\r\n").err(), Some("bare_lf"));
    assert_eq!(request(b"GET / HTTP/1.1\r\nHost: a\r\n\n").err(), Some("bare_lf"));
    assert_eq!(
        request(b"\nGET / HTTP/1.1\r\nHost: a\r\n\r\n").err(),
        Some("bare_lf")
    );
}

#[test]
fn row_chunk_size() {
    for body in [
        "0x5\r\nhello\r\n",
        "+5\r\n",
        "-5\r\n",
        "5_0\r\n",
        " 5\r\n",
        "5 \r\n",
        "\t5\r\n",
        "\r\n",
        ";a\r\n",
        "g\r\n",
        "00000000000000005\r\n",
        "10000000000000000\r\n",
        "5\n",
        "5\rh",
        "\u{0}5\r\n",
        "5,\r\n",
    ] {
        assert_eq!(chunks(body.as_bytes()), "chunk_size", "{body:?}");
    }
    for body in ["5\r\nhello", "5\r\nhello\r", "ffffffffffffffff\r\nx"] {
        assert_eq!(chunks(body.as_bytes()), "incomplete", "{body:?}");
    }
    for body in [
        "5\r\nhelloo\r\n",
        "5\r\nhello\n",
        "5\r\nhello0\r\n",
        "5\r\nhello\rx",
        "3\r\nab\r\n0\r\n",
    ] {
        assert_eq!(chunks(body.as_bytes()), "chunk_end", "{body:?}");
    }
}

#[test]
fn row_chunk_extension() {
    assert_eq!(chunks(b"5;a=b;c=\"d e\"\r\nhello\r\n0;last\r\n\r\n"), "whole");
    assert_eq!(chunks(b"5;a\nb\r\nhello\r\n"), "chunk_extension");
    assert_eq!(chunks(b"5;a\0\r\n"), "chunk_extension");
    assert_eq!(chunks(b"5;a\rb\r\n"), "chunk_size");
    let chunk = |bytes: usize| format!("1;{}\r\nx\r\n", "a".repeat(bytes));
    assert_eq!(chunks(chunk(4096).as_bytes()), "incomplete");
    assert_eq!(chunks(chunk(4097).as_bytes()), "chunk_extension");
    assert_eq!(chunks(chunk(4096).repeat(4).as_bytes()), "incomplete");
    assert_eq!(chunks(chunk(4096).repeat(5).as_bytes()), "chunk_extension");
    assert_eq!(
        chunks(chunk(1).repeat(16 * 1024 + 1).as_bytes()),
        "chunk_extension"
    );
}

#[test]
fn row_trailers() {
    assert_eq!(chunks(b"0\r\nGET / HTTP/1.1\r\n\r\n"), "trailer");
    assert_eq!(chunks(b"0\r\na: b\n\r\n"), "trailer");
    assert_eq!(chunks(b"0\r\na : b\r\n\r\n"), "trailer");
    assert_eq!(chunks(b"0\r\na: b\r\n c\r\n\r\n"), "trailer");
    assert_eq!(chunks(b"0\r\na: b\rc\r\n\r\n"), "trailer");
    assert_eq!(
        chunks(format!("0\r\n{}\r\n", "a: b\r\n".repeat(33)).as_bytes()),
        "trailer_size"
    );
    assert_eq!(
        chunks(format!("0\r\na: {}", "b".repeat(9000)).as_bytes()),
        "trailer_size"
    );

    let mut reader = BodyReader::new(Framing::Chunked);
    let body = b"0\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\nHost: b\r\nAuthorization: x\r\n\
        Cookie: c\r\nSet-Cookie: s\r\nX-Forwarded-For: 1.2.3.4\r\nX_Y: z\r\nContent-Type: t\r\nRange: r\r\n\
        If-Match: i\r\nConnection: close\r\nX-Checksum: 9\r\nGrpc-Status: 0\r\n\r\nGET";
    let piece = reader.next(body).unwrap();
    assert!(piece.end);
    assert_eq!(piece.bytes(), body.len() - 3);
    let kept: Vec<_> = reader.trailers().iter().collect();
    assert_eq!(kept, [(&b"X-Checksum"[..], &b"9"[..]), (b"Grpc-Status", b"0")]);
}

#[test]
fn row_host() {
    let hosts = |lines: &str| request(format!("GET / HTTP/1.1\r\n{lines}\r\n").as_bytes()).err();
    assert_eq!(hosts(""), Some("host_missing"));
    assert_eq!(hosts("Host: a\r\nHost: a\r\n"), Some("host_twice"));
    assert_eq!(hosts("Host: a\r\nhost: b\r\n"), Some("host_twice"));
    for host in [
        "", "a,b", "a, b", "u@a", "u:p@a", "a/b", "/", "a b", "a:b", "a:", "a:99999", "a:1:2", "[::1", "a\\b",
    ] {
        assert_eq!(hosts(&format!("Host: {host}\r\n")), Some("host"), "{host:?}");
    }
    assert_eq!(hosts("Host: A.example:8080\r\n"), None);
    assert_eq!(
        request(b"GET / HTTP/1.0\r\n\r\n").map(|request| request.host().len()),
        Ok(0)
    );
    assert_eq!(
        request(b"GET / HTTP/1.0\r\nHost: a\r\nHost: a\r\n\r\n").err(),
        Some("host_twice")
    );
}

#[test]
fn row_absolute_form() {
    let request = request(b"GET http://B.example:81/p?q HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    assert_eq!(
        (request.host(), request.port(), request.authority()),
        ("b.example", Some(81), "b.example:81")
    );
    assert_eq!((request.path(), request.query()), ("/p", Some("q")));
    for (target, rule) in [
        ("ftp://a/", "target_form"),
        ("a/b", "target_form"),
        ("//", "accepted"),
        ("http:/a", "target_form"),
        ("http:///a", "target_authority"),
        ("http://u@a/", "target_authority"),
        ("http://a b/", "request_line"),
        ("http://a/#f", "path_character"),
        ("http://a#f", "path_character"),
        ("http://a?x#f", "target_character"),
        ("HTTPS://a", "accepted"),
    ] {
        assert_eq!(line(&format!("GET {target} HTTP/1.1")), rule, "{target}");
    }
}

#[test]
fn row_connect_and_asterisk() {
    assert_eq!(line("CONNECT a:443 HTTP/1.1"), "connect");
    assert_eq!(line("GET * HTTP/1.1"), "target_form");
    assert_eq!(line("OPTIONS * HTTP/1.1"), "accepted");
    assert_eq!(line("OPTIONS *a HTTP/1.1"), "target_form");
    let server = request(b"OPTIONS http://a HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    assert_eq!((server.path(), server.query()), ("*", None));
}

#[test]
fn row_version() {
    for (request_line, rule) in [
        ("GET /", "no_version"),
        ("GET / ", "no_version"),
        ("GET / HTTP/0.9", "version"),
        ("GET / HTTP/1.2", "version"),
        ("GET / HTTP/2.0", "version"),
        ("GET / HTTP/3", "version"),
        ("GET / HTTP/11", "version"),
        ("GET / HTTP/1.1 ", "no_version"),
        ("GET / http/1.1", "no_version"),
        ("GET / ICY/1.1", "no_version"),
        ("PRI * HTTP/2.0", "http2_preface"),
        ("GET  / HTTP/1.1", "request_line"),
        ("GET /a b HTTP/1.1", "request_line"),
        (" GET / HTTP/1.1", "request_line"),
        ("GET\t/ HTTP/1.1", "request_line"),
        ("G(T / HTTP/1.1", "request_line"),
    ] {
        assert_eq!(line(request_line), rule, "{request_line:?}");
    }
}

#[test]
fn row_a_first_line_is_judged_before_the_head_ends() {
    let early = |part: &[u8]| {
        RequestHead::default()
            .parse(part, &mut Scan::default(), &LIMITS)
            .err()
    };
    assert_eq!(early(b"GET /\r\n"), Some(BadRequest::NO_VERSION));
    assert_eq!(early(b"\x16\x03\x01\x02"), Some(BadRequest::REQUEST_LINE));
    assert_eq!(early(b"PRI * HTTP/2.0\r\n"), Some(BadRequest::HTTP2_PREFACE));
    assert_eq!(early(&[b'A'; 65]), Some(BadRequest::METHOD_BYTES));
    assert_eq!(early(&[b'A'; 64]), None);
    assert_eq!(early(b"GET"), None);
    assert_eq!(early(b"GET /\r"), None);
    assert_eq!(early(b"\r\n\r"), None);
}

#[test]
fn row_upgrade_with_a_body_or_without_connection() {
    let offers = |lines: &str| {
        let head = format!("GET / HTTP/1.1\r\nHost: a\r\n{lines}\r\n");
        let request = request(head.as_bytes()).unwrap();
        request
            .upgrade()
            .map(|value| String::from_utf8_lossy(value).into_owned())
    };
    assert_eq!(
        offers("Connection: Upgrade\r\nUpgrade: websocket\r\n").as_deref(),
        Some("websocket")
    );
    assert_eq!(offers("Upgrade: websocket\r\n"), None);
    assert_eq!(
        offers("Connection: upgrade\r\nUpgrade: websocket\r\nContent-Length: 1\r\n"),
        None
    );
    assert_eq!(
        offers("Connection: upgrade\r\nUpgrade: websocket\r\nTransfer-Encoding: chunked\r\n"),
        None
    );
    assert_eq!(
        offers("Connection: upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AA\r\n"),
        None
    );
    assert_eq!(offers("Connection: upgrade\r\nUpgrade: websocket, H2C\r\n"), None);
    assert_eq!(offers("Connection: upgrade\r\nUpgrade: web socket\r\n"), None);
    let old = request(b"GET / HTTP/1.0\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n").unwrap();
    assert_eq!(old.upgrade(), None);
}

#[test]
fn row_connection_keeps_protected_fields() {
    let head = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: host, content-length, authorization, cookie, x-a, x-request-id\r\n\
        Content-Length: 0\r\nAuthorization: b\r\nCookie: c\r\nX-A: d\r\nX-B: e\r\n\r\n";
    let request = request(head).unwrap();
    assert_eq!((request.host(), request.framing()), ("a", Framing::Length(0)));
    let kept: Vec<_> = request
        .fields()
        .iter()
        .filter(|(field, ..)| field.fate() == Fate::Forward)
        .map(|(_, name, _)| String::from_utf8_lossy(name).into_owned())
        .collect();
    assert_eq!(kept, ["Authorization", "Cookie", "X-B"]);
    assert_eq!(with("Connection: a b"), "connection");
    assert_eq!(with(&format!("Connection: {}", "x,".repeat(17))), "connection");
    assert_eq!(with("Connection: , keep-alive ,"), "accepted");
}

#[test]
fn row_expect() {
    assert_eq!(with("Expect: 200-ok"), "expect");
    assert_eq!(with("Expect: 100-continue, 100-continue"), "expect");
    assert_eq!(with("Expect: 100-continue\r\nExpect: 100-continue"), "expect");
    let head = b"PUT / HTTP/1.1\r\nHost: a\r\nExpect: 100-Continue\r\nContent-Length: 1\r\n\r\n";
    assert!(request(head).unwrap().expects_continue());
    let old = request(b"PUT / HTTP/1.0\r\nExpect: what\r\nContent-Length: 1\r\n\r\n").unwrap();
    assert!(!old.expects_continue());
}

#[test]
fn row_sizes() {
    let status = |head: String| {
        let outcome = RequestHead::default().parse(head.as_bytes(), &mut Scan::default(), &LIMITS);
        outcome.err().map_or(0, |bad| bad.status)
    };
    let target = |bytes: usize| format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "a".repeat(bytes - 1));
    assert_eq!(status(target(8192)), 0);
    assert_eq!(status(target(8193)), 414);
    assert_eq!(status(target(100_000)), 414);
    assert_eq!(status(target(100_000)[..9000].to_owned()), 414);
    assert_eq!(
        status(format!("{} / HTTP/1.1\r\nHost: a\r\n\r\n", "M".repeat(64))),
        0
    );
    assert_eq!(
        status(format!("{} / HTTP/1.1\r\nHost: a\r\n\r\n", "M".repeat(65))),
        501
    );
    let head = |fields: usize| {
        format!(
            "GET / HTTP/1.1\r\nHost: a\r\n{}\r\n",
            "a: b\r\n".repeat(fields - 1)
        )
    };
    assert_eq!(status(head(100)), 0);
    assert_eq!(status(head(101)), 431);
    assert_eq!(
        status(format!("GET / HTTP/1.1\r\nHost: a\r\nb: {}", "c".repeat(40_000))),
        431
    );
    assert_eq!(
        status(format!(
            "GET / HTTP/1.1\r\nHost: a\r\nb: {}\r\n\r\n",
            "c".repeat(40_000)
        )),
        431
    );
}

/// The limit held for heads in pieces only, when heads that come whole were first read at once.
#[test]
fn a_small_limit_of_fields_holds_for_a_head_that_comes_whole() {
    let limits = RequestLimits {
        head: HeadLimits {
            fields_max: 2,
            ..LIMITS.head
        },
        ..LIMITS
    };
    let head = b"GET / HTTP/1.1\r\nHost: a\r\nb: c\r\nd: e\r\n\r\n";
    let outcome = RequestHead::default().parse(head, &mut Scan::default(), &limits);
    assert_eq!(outcome, Err(BadRequest::HEAD_FIELDS));
}

#[test]
fn more_fields_than_fit_on_the_stack_are_read_where_the_limit_allows_them() {
    let head = format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "a: b\r\n".repeat(500));
    let limits = RequestLimits {
        head: HeadLimits {
            bytes_max: 32 * 1024,
            fields_max: 1000,
        },
        ..LIMITS
    };
    let mut request = RequestHead::default();
    let progress = request.parse(head.as_bytes(), &mut Scan::default(), &limits);
    assert_eq!(
        progress,
        Ok(Progress::Complete {
            head_bytes: head.len()
        })
    );
    assert_eq!(request.fields().iter().count(), 501);
}

#[test]
fn row_paths() {
    for (path, rule) in [
        ("/%2f", "path_slash"),
        ("/a%5Cb", "path_slash"),
        ("/%00", "path_control"),
        ("/a\\b", "path_character"),
        ("/a#b", "path_character"),
        ("/a?b#c", "target_character"),
        ("/a/..;/b", "path_dots"),
        ("/%zz", "path_escape"),
        ("/\u{e9}", "path_character"),
        ("/a?\u{e9}", "target_character"),
    ] {
        assert_eq!(line(&format!("GET {path} HTTP/1.1")), rule, "{path}");
    }
    let request = request(b"GET /a//./%2e%2E/%61%c3?x=%zz//.. HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    assert_eq!((request.path(), request.query()), ("/a%C3", Some("x=%zz//..")));
    assert_eq!(request.target(), "/a%C3?x=%zz//..");
}

#[test]
fn row_underscores() {
    let head = b"GET / HTTP/1.1\r\nHost: a\r\nX_User: root\r\nX-User: me\r\nContent_Length: 5\r\n\r\n";
    let request = request(head).unwrap();
    assert_eq!((request.dropped(), request.header("x_user")), (2, None));
    assert_eq!(request.header("x-user").as_deref(), Some(&b"me"[..]));
    assert_eq!(request.framing(), Framing::None);
}

#[test]
fn row_edge_fields_are_dropped_unless_the_peer_is_trusted() {
    let head = b"GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 6.6.6.6\r\nX-Forwarded-Prefix: /p\r\nForwarded: for=6\r\n\
        X-Real-IP: 6\r\nX-Gateway-User: root\r\nX-Forwarded-Client-Cert: c\r\nClient-Cert: c\r\n\r\n";
    let request = request(head).unwrap();
    for name in [
        "x-forwarded-for",
        "x-forwarded-prefix",
        "forwarded",
        "x-real-ip",
        "x-gateway-user",
        "client-cert",
    ] {
        assert_eq!(request.header(name), None, "{name}");
    }
}

#[test]
fn row_backend_framing() {
    let with = |lines: &str| answer(&format!("HTTP/1.1 200 OK\r\n{lines}\r\n\r\n"));
    assert_eq!(with("Content-Length: 1\r\nContent-Length: 2"), "content_length");
    assert_eq!(with("Content-Length: 1\r\nContent-Length: 1"), "content_length");
    assert_eq!(with("Content-Length: 1, 1"), "content_length");
    assert_eq!(with("Content-Length: -1"), "content_length");
    assert_eq!(
        with("Content-Length: 1\r\nTransfer-Encoding: x"),
        "transfer_encoding"
    );
    assert_eq!(
        with("Content-Length: 1\r\nTransfer-Encoding: chunked"),
        "content_length_and_transfer_encoding"
    );
    assert_eq!(with("Transfer-Encoding: gzip, chunked"), "transfer_encoding");
    assert_eq!(
        answer("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"),
        "transfer_encoding"
    );
}

#[test]
fn row_backend_characters() {
    let with = |lines: &str| answer(&format!("HTTP/1.1 200 OK\r\n{lines}\r\n\r\n"));
    assert_eq!(with("a: b\0"), "field_value");
    assert_eq!(with("a: b\x01"), "field_value");
    assert_eq!(with("a: b\rc: d"), "field_value");
    assert_eq!(with("a : b"), "field_name");
    assert_eq!(with("a: b\r\n c"), "folded_field");
    assert_eq!(answer("HTTP/1.1 200 OK\nA: b\n\n"), "bare_lf");
    assert_eq!(answer("HTTP/1.1 200 O\rK\r\n\r\n"), "status_line");
    assert_eq!(answer("HTTP/1.1 200 O\0K\r\n\r\n"), "status_line");
}

#[test]
fn row_backend_status() {
    for (status, rule) in [
        ("99", "status"),
        ("099", "status"),
        ("1000", "status"),
        ("abc", "status"),
        ("600", "status"),
        ("20", "status"),
        ("", "status"),
        ("-20", "status"),
        ("200", "accepted"),
        ("599 Odd", "accepted"),
        ("200 ", "accepted"),
    ] {
        assert_eq!(
            answer(&format!("HTTP/1.1 {status}\r\nA: b\r\n\r\n")),
            rule,
            "{status}"
        );
    }
    for junk in [
        "<html>",
        "\r\nHTTP/1.1 200 OK\r\n\r\n",
        "HTTP/0.9 200\r\n",
        "HTTP/2.0 200 OK\r\n\r\n",
        "ICY 200",
        "\0",
    ] {
        assert_eq!(answer(junk), "status_line", "{junk:?}");
    }
}

#[test]
fn row_backend_endless_head() {
    let head = format!("HTTP/1.1 200 OK\r\nA: {}", "b".repeat(33_000));
    assert_eq!(answer(&head), "head_bytes");
    assert_eq!(
        answer(&format!("HTTP/1.1 200 OK\r\n{}", "a: b\r\n".repeat(101))),
        "head_fields"
    );
}

#[test]
fn row_body_where_none_may_be() {
    let of = |head: &str, asked| response(head.as_bytes(), asked).unwrap();
    let to_head = Asked {
        head: true,
        upgrade: None,
    };
    let described = of("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", to_head);
    assert_eq!(
        (
            described.framing(),
            described.content_length(),
            described.keeps_alive()
        ),
        (Framing::None, Some(5), true)
    );
    let tainted = of(
        "HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n",
        Asked::default(),
    );
    assert_eq!((tainted.framing(), tainted.keeps_alive()), (Framing::None, false));
    let unchanged = of(
        "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n",
        Asked::default(),
    );
    assert_eq!(
        (unchanged.framing(), unchanged.keeps_alive()),
        (Framing::None, true)
    );
}

#[test]
fn row_switch_not_asked() {
    let head = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
    let asked = |upgrade| response(head, Asked { head: false, upgrade }).map(|response| response.status());
    assert_eq!(asked(None), Err("switch_not_asked"));
    assert_eq!(asked(Some(b"other")), Err("switch_not_asked"));
    assert_eq!(asked(Some(b"other, WebSocket")), Ok(101));
    let silent = response(
        b"HTTP/1.1 101 S\r\n\r\n",
        Asked {
            head: false,
            upgrade: Some(b"websocket"),
        },
    );
    assert_eq!(silent.err(), Some("switch_not_asked"));
}

#[test]
fn every_rule_has_one_name() {
    let names: std::collections::BTreeSet<_> = BadRequest::ALL.iter().map(|bad| bad.rule).collect();
    assert_eq!(names.len(), BadRequest::ALL.len());
    assert!(
        BadRequest::ALL
            .iter()
            .all(|bad| (400..=505).contains(&bad.status))
    );
}
